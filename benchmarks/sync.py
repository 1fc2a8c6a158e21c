"""Sync: pull and push beside git's own commands, and the objects of a first push."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

from benchmarks.configs import Sweep
from benchmarks.generate import ledger_of
from benchmarks.installed import program
from benchmarks.report import Row, Unit
from benchmarks.timing import Samples, interleaved, process
from benchmarks.workshop import REF, Workshop, git
from gitparams.git import Git
from gitparams.ledger import Ledger
from gitparams.library import record
from gitparams.repository import Repository
from gitparams.sync import Sync

_FIRST_ROUNDS, _ROUNDS, _FILES = 2, 15, 2000


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    hub = _folder(shop, "hub.git")
    git(shop.folder, "clone", "-q", "--mirror", str(ledger_of(shop.runs, shop.cache, say=shop.say)), str(hub))
    shop.say("sync: first pulls")
    yield _first(shop, hub)
    clone = _clone(shop, hub, "clone")
    with Repository.find(clone) as repository:
        repository.pull()
        yield from _nothing_new(shop, clone, repository)
        shop.say("sync: pushes")
        yield _one_run(shop, clone, repository)
    yield _objects(shop)


def _folder(shop: Workshop, name: str) -> Path:
    return shop.folder / f"sync-{name}"


def _clone(shop: Workshop, hub: Path, name: str) -> Path:
    """Return a clone that has nothing of the ledger: one of a path would get every object."""
    folder = _folder(shop, name)
    git(shop.folder, "clone", "-q", f"file://{hub}", str(folder))
    return folder


def _first(shop: Workshop, hub: Path) -> Row:
    """Time first pulls without the index, which has a topic of its own, and plain fetches of the same ref."""
    taken: dict[str, list[float]] = {"pull": [], "fetch": []}
    for number in range(_FIRST_ROUNDS):
        pulling, fetching = (_clone(shop, hub, f"{what}{number}") for what in taken)
        with Git.find(pulling) as plain:
            taken["pull"].append(_spent(Sync(plain, Ledger(plain)).pull))
        taken["fetch"].append(_spent(process(["git", "fetch", "-q", "origin", f"{REF}:{REF}"], fetching)))
    pull, fetch = (Samples(tuple(values)) for values in taken.values())
    return Row(f"first pull of {shop.runs:,} runs, without the index", pull, "git fetch of the same ref", fetch, most_ratio=2)


def _spent(thing: Callable[[], object]) -> float:
    begun = time.perf_counter()
    thing()
    return time.perf_counter() - begun


def _nothing_new(shop: Workshop, clone: Path, repository: Repository) -> Iterator[Row]:
    things = {
        "pull": repository.pull,
        "ls-remote": process(["git", "ls-remote", "origin", REF], clone),
        "process": process([*program(), "pull"], clone),
    }
    taken = interleaved(things, shop.rounds)
    what = f"pull with nothing new, {shop.runs:,} runs"
    yield Row(f"{what}: Repository.pull", taken["pull"], "git ls-remote", taken["ls-remote"], most_ratio=3)
    yield Row(f"{what}: gitparams pull, the whole process", taken["process"], "git ls-remote", taken["ls-remote"])


def _one_run(shop: Workshop, clone: Path, repository: Repository) -> Row:
    """Time pushes of one run and of one commit, made in turn; making them is not timed."""
    taken: dict[str, list[float]] = {"run": [], "commit": []}
    sweep = Sweep(11)
    push = process(["git", "push", "-q", "origin", "HEAD:refs/heads/bench"], clone)
    for number in range(_ROUNDS):
        with chdir(clone):
            record(sweep.params(), sweep.metrics())
        (clone / "train.py").write_text(f"print({number})\n")
        git(clone, "commit", "-q", "-a", "-m", str(number))
        taken["run"].append(_spent(repository.push))
        taken["commit"].append(_spent(push))
    run, commit = (Samples(tuple(values[1:])) for values in taken.values())
    what = f"push of one run, the remote has {shop.runs:,}: Repository.push"
    return Row(what, run, "git push of one commit", commit, most_ratio=3)


def _objects(shop: Workshop) -> Row:
    """Count what the first push to a remote sends that has the code: with a whole snapshot it would be thousands."""
    code, hub = shop.repository(), _folder(shop, "code.git")
    for number in range(_FILES):
        (code / f"file{number}.py").write_text(f"print({number})\n")
    git(code, "add", ".")
    git(code, "commit", "-q", "-m", "many files")
    git(shop.folder, "clone", "-q", "--bare", str(code), str(hub))
    clone, trace, sweep = _clone(shop, hub, "first-push"), _folder(shop, "trace"), Sweep(12)
    with chdir(clone):
        record(sweep.params(), sweep.metrics())
    process([*program(), "push"], clone, {**os.environ, "GIT_TRACE2_EVENT": str(trace)})()
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    sent = sum(int(event["value"]) for event in events if event.get("key") == "write_pack_file/wrote")
    return Row(f"first push beside {_FILES:,} files: objects sent", Samples((sent,)), most=20, unit=Unit.COUNT)
