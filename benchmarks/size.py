"""Size: what a run takes in a packed ledger."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.configs import Sweep
from benchmarks.report import Row, Unit
from benchmarks.timing import Samples
from benchmarks.workshop import Workshop, entries, git
from gitparams.journal import Ending
from gitparams.model import Status, now
from gitparams.params import layer
from gitparams.repository import Repository
from gitparams.writing import Beginning

_RUNS = 2000


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    folder = shop.repository()
    empty = _packed(folder)
    _write_runs(folder)
    assert entries(folder) == 2 * _RUNS
    pack, both = (with_runs - before for with_runs, before in zip(_packed(folder), empty, strict=True))
    what = f"a run of {_RUNS:,}, packed (start + finish)"
    yield Row(what, _bytes(both), most=1500, unit=Unit.BYTES)
    yield Row("the same without the pack's .idx", _bytes(pack), unit=Unit.BYTES)


def _write_runs(folder: Path) -> None:
    """Write runs as `gitparams.start` and `finish` do, in one repository kept open."""
    sweep = Sweep(3)
    with Repository.find(folder) as repository:
        for _ in range(_RUNS):
            beginning = Beginning(params=layer(sweep.params(), "code"), command=("python", "train.py"), cwd=folder)
            journal = repository.begin(beginning)
            repository.finish(journal, Ending(Status.COMPLETED, now(), 0), sweep.metrics())


def _packed(folder: Path) -> tuple[int, int]:
    """Return the bytes of the packs of a copy after a gc, and of packs and their indexes."""
    copy = folder.with_name(f"{folder.name}-packed")
    shutil.copytree(folder, copy)
    git(copy, "gc", "-q")
    git(copy, "repack", "-a", "-d", "-f", "-q")
    counted = dict(line.split(": ") for line in git(copy, "count-objects", "-v").split("\n"))
    assert counted["count"] == "0"
    pack = sum(file.stat().st_size for file in (copy / ".git" / "objects" / "pack").glob("*.pack"))
    shutil.rmtree(copy)
    return pack, int(counted["size-pack"]) * 1024


def _bytes(total: int) -> Samples:
    return Samples((total / _RUNS,))
