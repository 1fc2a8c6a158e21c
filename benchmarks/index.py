"""Index: the first one of a fresh clone, and catching up with one new run."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from benchmarks.configs import Sweep
from benchmarks.plumbing import Entry, newest_entries, write
from benchmarks.report import Row
from benchmarks.timing import Samples, interleaved
from benchmarks.workshop import REF, Workshop, git
from gitparams.git import Git
from gitparams.index import Index, Progress
from gitparams.ledger import Ledger
from gitparams.library import record
from gitparams.repository import Repository

_FIRST_ROUNDS, _NEW_RUNS = 3, 30


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    clone = shop.clone(shop.runs)
    yield _first(clone, shop)
    shop.say("index: interrupted")
    yield _resumed(clone, shop)
    shop.say("index: one new run")
    taken = _caught_up(clone, shop)
    yield Row(f"one new run, {shop.runs:,} runs: Index.catch_up", taken["index"], most=10e-3)
    yield Row(f"one new run, {shop.runs:,} runs: Repository.find", taken["repository"])


def _first(clone: Path, shop: Workshop) -> Row:
    names = shop.folder / "names"
    names.write_text("".join(f"{name}\n" for name in _read_names(clone)))
    taken = interleaved({"index": _indexing(clone), "walk": _walk(clone, names)}, _FIRST_ROUNDS, warm_up=0)
    what = f"first index of a fresh clone, {shop.runs:,} runs"
    return Row(what, taken["index"], "rev-list | cat-file --batch", taken["walk"], most=15)


def _resumed(clone: Path, shop: Workshop) -> Row:
    """Return how long the rest takes after the first index was interrupted half way."""

    def interrupt(done: int, total: int) -> None:
        if done >= total / 2:
            raise KeyboardInterrupt

    taken: dict[str, list[float]] = {"whole": [], "rest": []}
    for _ in range(_FIRST_ROUNDS):
        taken["whole"].append(_spent(_indexing(clone)))
        with suppress(KeyboardInterrupt):
            _indexing(clone, progress=interrupt)()
        taken["rest"].append(_spent(_indexing(clone, anew=False)))
    whole, rest = (Samples(tuple(values)) for values in taken.values())
    return Row(f"the rest after ^C half way, {shop.runs:,} runs", rest, "the whole first index", whole, most_ratio=0.75)


def _spent(thing: Callable[[], object]) -> float:
    begun = time.perf_counter()
    thing()
    return time.perf_counter() - begun


def _unwatched(done: int, total: int) -> None:
    pass


def _indexing(clone: Path, *, anew: bool = True, progress: Progress = _unwatched) -> Callable[[], object]:
    def index() -> None:
        if anew:
            shutil.rmtree(clone / ".git" / "gitparams", ignore_errors=True)
        with Git.find(clone) as asked:
            ledger = Ledger(asked)
            with closing(Index.open(asked, ledger, progress)) as mirror:
                mirror.catch_up(ledger.tip())

    return index


def _walk(clone: Path, names: Path) -> Callable[[], object]:
    """Return what reads the same objects and does nothing with them: all commits, and three files of each run."""

    def walk() -> None:
        listing = subprocess.Popen(["git", "rev-list", REF], cwd=clone, stdout=subprocess.PIPE)
        assert listing.stdout is not None
        _cat_file(clone, listing.stdout)
        assert listing.wait() == 0
        with names.open("rb") as file:
            _cat_file(clone, file)

    return walk


def _cat_file(clone: Path, stdin: IO[bytes]) -> None:
    words = ["git", "cat-file", "--batch", "--buffer"]
    subprocess.run(words, cwd=clone, stdin=stdin, stdout=subprocess.DEVNULL, check=True)


def _read_names(clone: Path) -> Iterator[str]:
    """Yield the names by which an index asks for the files of each run, by its newest entry."""
    for line in git(clone, "log", "--format=%T %(trailers:key=Run-Event,valueonly,separator=%x20)", REF).split("\n"):
        tree, event = line.split()
        if event == "finish":
            yield from (f"{tree}:{name}" for name in ("run.json", "params.json", "metrics.json"))


def _caught_up(clone: Path, shop: Workshop) -> dict[str, Samples]:
    """Return the times to mirror one entry that another process appended: in an open index, and on opening a repository."""
    taken: dict[str, list[float]] = {"index": [], "repository": []}
    with Git.find(clone) as asked:
        ledger = Ledger(asked)
        mirror = Index.open(asked, ledger)
        mirror.catch_up(ledger.tip())
        for number, entry in enumerate(_new_entries(shop)):
            write(clone, entry)
            tip = ledger.tip()
            begun = time.perf_counter()
            if number % 2:
                mirror.catch_up(tip)
            else:
                Repository.find(clone).close()
            taken["index" if number % 2 else "repository"].append(time.perf_counter() - begun)
        mirror.close()
    return {name: Samples(tuple(values[1:])) for name, values in taken.items()}


def _new_entries(shop: Workshop) -> list[Entry]:
    """Return entries that no ledger has yet, recorded elsewhere; without code, which the clone does not have."""
    sweep, elsewhere = Sweep(7), shop.repository()
    with chdir(elsewhere):
        for _ in range(_NEW_RUNS):
            record(sweep.params(), sweep.metrics())
    return [replace(entry, trees={}) for entry in newest_entries(elsewhere, _NEW_RUNS)]
