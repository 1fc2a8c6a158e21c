"""Tab: the answer to a shell that asks what may come next, as a whole process on the large ledger."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.installed import program
from benchmarks.report import Row
from benchmarks.timing import interleaved, process
from benchmarks.workshop import Workshop

_MOST = 0.2
_LINES = {
    "flags": ("log", "--"),
    "runs": ("show", ""),
    "a name": ("show", "run-99"),
    "tags": ("tag", "latest", ""),
    "param keys": ("run", "-p", "optim."),
    "metrics": ("show", "best:"),
}


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    folder = shop.indexed(shop.runs)
    things = {
        f"TAB: {name}, {shop.runs:,} runs": process(
            [*program(), "__complete", "bash", str(len(line)), "gitparams", *line], folder
        )
        for name, line in _LINES.items()
    }
    taken = interleaved({**things, "pass": process(shop.nothing, shop.folder)}, shop.rounds, warm_up=2)
    for name in things:
        yield Row(name, taken[name], "python -c pass", taken["pass"], most=_MOST)
