"""Doctor: what may be wrong with a repository's runs, found one by one, and mended where that loses nothing."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gitparams.errors import FormatError, GitParamsError, ParamsFileError
from gitparams.index import BrokenRun, Filter
from gitparams.journal import journals
from gitparams.ledger import REF
from gitparams.recorder import spool_folder
from gitparams.repository import Repository

OLDEST_GIT = (2, 30)
_STALE_LOCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: its name.
        good: whether it is as it should be.
        says: a sentence about it.
        hint: the next step, where there is one.
    """

    what: str
    good: bool
    says: str
    hint: str | None = None


def examine(repository: Repository) -> Iterator[Finding]:
    """Yield what was found, one finding or more for each thing looked at; a wrong index is made anew on the way."""
    for what, look in _LOOKS.items():
        try:
            yield from look(repository)
        except (GitParamsError, OSError, sqlite3.Error) as error:
            yield Finding(what, False, str(error), getattr(error, "hint", None))


def _git(repository: Repository) -> Iterator[Finding]:
    said = repository.git.text("version")
    match = re.search(r"(\d+)\.(\d+)", said)
    recent = match is not None and (int(match[1]), int(match[2])) >= OLDEST_GIT
    yield Finding("git", recent, f"{said}.", None if recent else "install git 2.30 or newer")


def _identity(repository: Repository) -> Iterator[Finding]:
    known = repository.git.run("config", "user.email", check=False).returncode == 0
    hint = None if known else 'git config --global user.name "Your Name"; git config --global user.email you@example.com'
    yield Finding("identity", True, f"Entries are written as {repository.author}.", hint)


def _ledger(repository: Repository) -> Iterator[Finding]:
    tip = repository.ledger.tip()
    if tip is None:
        yield Finding("ledger", True, "No runs yet.", "gitparams run -- python train.py")
        return
    entries = int(repository.git.text("rev-list", "--count", REF))
    yield Finding("ledger", True, f"{entries} entries up to {tip[:10]}.")
    lock = repository.git.place.common_dir / f"{REF}.lock"
    if lock.exists() and time.time() - lock.stat().st_mtime > _STALE_LOCK_SECONDS:
        yield Finding("ledger", False, f"{lock} was left by a git process that died.", f"rm {lock}")
    shallow = repository.git.place.common_dir / "shallow"
    if shallow.exists() and set(shallow.read_text().split()) & set(
        repository.git.text("rev-list", "--max-parents=0", REF).split()
    ):
        yield Finding(
            "ledger",
            False,
            "The ledger was cut by a shallow fetch: older runs are missing here.",
            "git fetch --unshallow origin " + REF,
        )


def _index(repository: Repository) -> Iterator[Finding]:
    sound = repository.index.connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
    if not sound:
        repository.index.rebuild(repository.ledger.tip())
    runs = repository.count(Filter(groups=True))
    yield Finding("index", True, f"{runs} runs{'' if sound else '; it was damaged and made anew'}.")
    for run in repository.runs(Filter(status="broken")):
        if isinstance(run, BrokenRun):
            yield Finding("run", False, f"Run {run.id[:8]} cannot be read: {run.reason}", _upgrade(run.reason))


def _journals(repository: Repository) -> Iterator[Finding]:
    going_on = 0
    for journal in journals(repository.live):
        try:
            journal.read()
            going_on += 1
        except FormatError as error:
            yield Finding("journal", False, f"{journal.folder}: {error}", "what was logged is in its series.jsonl")
    yield Finding("journals", True, f"{going_on} {'run goes' if going_on == 1 else 'runs go'} on.")


def _settings(repository: Repository) -> Iterator[Finding]:
    from gitparams.capture.files import params_words

    settings, top = repository.settings, repository.git.place.top
    missing = []
    for word in settings.params_files if top is not None else ():
        try:
            params_words([word], top or Path.cwd())
        except ParamsFileError as error:
            missing.append(word)
            yield Finding("settings", False, f"gitparams.yaml names {word}: {error.problem}")
    if not missing:
        yield Finding(
            "settings", True, f"Experiment {settings.experiment or 'default'}, {len(settings.params_files)} params files."
        )


def _hooks(repository: Repository) -> Iterator[Finding]:
    from gitparams.hook_files import OPTIONAL, HookState, status, status_line

    for hook in status(repository.git):
        if hook.event in OPTIONAL and hook.kind is None:
            continue  # nobody asked for it
        good = hook.state in (HookState.INSTALLED, HookState.ABSENT, HookState.FOREIGN)
        asked = f" {hook.event}" if hook.event in OPTIONAL else ""
        yield Finding("hook", good, f"{status_line(hook)}.", None if good else f"gitparams hooks install{asked}")


def _spool(repository: Repository) -> Iterator[Finding]:
    waiting = len(journals(spool_folder()))
    yield Finding(
        "spool", waiting == 0, f"{waiting} runs wait in {spool_folder()}.", "gitparams import spool" if waiting else None
    )


def _upgrade(reason: str) -> str | None:
    return "pip install --upgrade gitparams" if "format" in reason else None


_LOOKS: dict[str, Callable[[Repository], Iterator[Finding]]] = {
    "git": _git,
    "identity": _identity,
    "ledger": _ledger,
    "index": _index,
    "journals": _journals,
    "settings": _settings,
    "hooks": _hooks,
    "spool": _spool,
}
