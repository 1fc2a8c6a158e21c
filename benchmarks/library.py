"""Library: all runs of the large ledger as a pandas frame, and in groups of replicates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import chdir
from importlib.util import find_spec

from benchmarks.ask import EXPRESSION
from benchmarks.report import Row
from benchmarks.timing import interleaved
from benchmarks.workshop import Workshop
from gitparams.library import runs

_ROUNDS = 3


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    size = f"{shop.runs:,} runs"
    with chdir(shop.indexed(shop.runs)):
        yield _timed(f"runs().replicates(), {size}", lambda: runs().replicates(), most=2)
        yield _timed(f"runs(where, sort=…)[:20], {size}", lambda: list(runs(EXPRESSION, sort="-metrics.acc")[:20]))
        if find_spec("pandas") is None:
            shop.say("pandas is not installed: no figure of to_pandas()")
            return
        yield _timed(f"runs().to_pandas(), {size} × 50 params", lambda: runs().to_pandas(), most=8)


def _timed(what: str, thing: Callable[[], object], most: float | None = None) -> Row:
    return Row(what, interleaved({what: thing}, _ROUNDS)[what], most=most)
