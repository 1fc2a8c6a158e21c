"""Plots: `gitparams plot parallel` of 2,000 runs to an HTML file, the whole process, where plotly is installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from benchmarks.installed import program
from benchmarks.report import Row
from benchmarks.timing import interleaved, process
from benchmarks.workshop import Workshop

_RUNS = 2000


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    if find_spec("plotly") is None:
        shop.say("plotly is not installed: no figure of plot")
        return
    folder = shop.indexed(_RUNS)
    what = f"gitparams plot parallel -o x.html, {_RUNS:,} runs × 50 params"
    drawn = process([*program(), "plot", "parallel", "-o", str(shop.folder / "x.html")], folder)
    yield Row(what, interleaved({what: drawn}, shop.rounds)[what], most=3)
