"""Start-up: `gitparams log -n 20` as a whole process, on a small and on a large ledger whose index is there."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.installed import program
from benchmarks.report import Row
from benchmarks.timing import interleaved, process
from benchmarks.workshop import Workshop

_SMALL = 1000


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    small, large = f"log -n 20, {_SMALL:,} runs", f"log -n 20, {shop.runs:,} runs"
    log = [*program(), "log", "-n", "20"]
    folders = {small: shop.indexed(_SMALL), large: shop.indexed(shop.runs)}
    taken = interleaved(
        {**{name: process(log, folder) for name, folder in folders.items()}, "pass": process(shop.nothing, shop.folder)},
        shop.rounds,
        warm_up=2,
    )
    for name in folders:
        yield Row(name, taken[name], "python -c pass", taken["pass"], most_ratio=8)
    yield Row(large, taken[large], f"the same, {_SMALL:,} runs", taken[small], most_ratio=1.3)
