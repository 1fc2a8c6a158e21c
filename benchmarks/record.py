"""Record: finished runs recorded in a loop, beside the same files written by git's plumbing a process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

from benchmarks.configs import Sweep
from benchmarks.plumbing import Entry, newest_entries, write
from benchmarks.report import Row
from benchmarks.timing import Samples, interleaved
from benchmarks.workshop import Workshop, entries
from gitparams.library import record

_BATCH, _ROUNDS, _WARM_UP = 20, 12, 1


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    ours, plain, durable = shop.repository(), shop.repository(), shop.repository()
    written = _written_before(ours)
    taken = _interleaved(ours, plain, durable, written)
    for folder in (ours, plain, durable):
        assert entries(folder) >= (_ROUNDS + _WARM_UP) * _BATCH
    blobs = len(written[-1].blobs)
    each = {name: samples.each(_BATCH) for name, samples in taken.items()}
    yield Row("record() in a loop, a run", each["record"], f"git by subprocess, {blobs} blobs", each["plain"], most_ratio=0.5)
    yield Row("record() in a loop, a run", each["record"], "the same, as durable as ours", each["durable"])


def _written_before(folder: Path) -> list[Entry]:
    """Record as many runs as the plumbing is going to write, and return their entries for it."""
    count = (_ROUNDS + _WARM_UP) * _BATCH
    sweep = Sweep(1)
    with chdir(folder):
        for _ in range(count):
            record(sweep.params(), sweep.metrics())
    return newest_entries(folder, count)


def _interleaved(ours: Path, plain: Path, durable: Path, written: list[Entry]) -> dict[str, Samples]:
    sweep = Sweep(2)
    for_plain, for_durable = iter(written), iter(written)

    def record_ours() -> None:
        with chdir(ours):
            for _ in range(_BATCH):
                record(sweep.params(), sweep.metrics())

    def write_plain() -> None:
        for _ in range(_BATCH):
            write(plain, next(for_plain))

    def write_durable() -> None:
        for _ in range(_BATCH):
            write(durable, next(for_durable), durable=True)

    return interleaved({"record": record_ours, "plain": write_plain, "durable": write_durable}, _ROUNDS, _WARM_UP)
