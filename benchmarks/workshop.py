"""Workshop: a folder of throw-away repositories, and a git that knows nothing of the person who measures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.generate import ledger_of
from benchmarks.installed import program

REF = "refs/gitparams/runs"
# gc off: a gc that begins in the middle of a loop would be timed on one side only.
_CONFIG = """
[user]
    name = Bench
    email = bench@example.org
[init]
    defaultBranch = main
[gc]
    auto = 0
[maintenance]
    auto = false
"""
_LEAKS = ("GIT_", "GITPARAMS_", "PYTHONDONTWRITE", "COV_", "COVERAGE_")
_RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")


@dataclass
class Workshop:
    """Where one run of the benchmarks works.

    Attributes:
        folder: its own, removed at the end.
        cache: where generated ledgers are kept.
        runs: how many runs the large ledger has.
        rounds: how often whole processes are timed.
        say: called with what is going on.
    """

    folder: Path
    cache: Path
    runs: int
    rounds: int
    say: Callable[[str], None]
    _count: int = 0
    _indexed: dict[int, Path] = field(default_factory=dict)

    @property
    def nothing(self) -> list[str]:
        """The words of the yardstick of start-up: this Python, doing nothing."""
        return [sys.executable, "-c", "pass"]

    def repository(self) -> Path:
        """Return a new repository with one commit of code; each is like the other to the byte."""
        folder = self._new()
        dates = {"GIT_AUTHOR_DATE": "1767225600 +0000", "GIT_COMMITTER_DATE": "1767225600 +0000"}
        git(folder, "init", "-q")
        for name in ("train.py", "model.py", "data.py"):
            (folder / name).write_text(f"print({name!r})\n")
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", "code", variables=dates)
        return folder

    def clone(self, runs: int) -> Path:
        """Return a fresh clone, without an index, of a generated ledger."""
        source = ledger_of(runs, self.cache, say=self.say)
        folder = self._new()
        git(self.folder, "clone", "-q", "-c", f"remote.origin.fetch=+{REF}:{REF}", str(source), str(folder))
        return folder

    def indexed(self, runs: int) -> Path:
        """Return a clone of a generated ledger whose index is there; the same one each time."""
        if runs not in self._indexed:
            folder = self.clone(runs)
            self.say(f"index {runs:,} runs")
            subprocess.run([*program(), "log", "-n", "1"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            self._indexed[runs] = folder
        return self._indexed[runs]

    def _new(self) -> Path:
        self._count += 1
        folder = self.folder / f"r{self._count}"
        folder.mkdir()
        return folder


@contextmanager
def workshop(cache: Path | None, runs: int, rounds: int, say: Callable[[str], None]) -> Iterator[Workshop]:
    """Open a workshop, on the disk of the cache so that clones are made of links; nothing of it stays but the cache."""
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="gitparams-benchmarks-", dir=cache)).resolve()
    before = dict(os.environ)
    try:
        _seal(folder)
        yield Workshop(folder, cache.resolve() if cache else folder, runs, rounds, say)
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def git(folder: Path, *words: str, stdin: bytes = b"", variables: Mapping[str, str] | None = None) -> str:
    """Run one git command and return what it printed."""
    environment = {**os.environ, **variables} if variables else None
    done = subprocess.run(["git", *words], cwd=folder, input=stdin, stdout=subprocess.PIPE, env=environment, check=True)
    return done.stdout.decode().rstrip("\n")


def python(folder: Path, code: str, *words: str) -> str:
    """Run a few lines in a Python of their own and return what they printed."""
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.rstrip("\n")


def entries(folder: Path) -> int:
    """Return how many entries the ledger has."""
    return int(git(folder, "rev-list", "--count", REF))


def _seal(folder: Path) -> None:
    for name in list(os.environ):
        if name.startswith(_LEAKS) or name in _RANKS:
            del os.environ[name]
    home = folder / "home"
    home.mkdir()
    (home / "gitconfig").write_text(_CONFIG)
    os.environ.update(
        HOME=str(home),
        XDG_CONFIG_HOME=str(home),
        XDG_STATE_HOME=str(home),
        GIT_CONFIG_GLOBAL=str(home / "gitconfig"),
        GIT_CONFIG_NOSYSTEM="1",
        GITPARAMS_STRICT="1",
        LC_ALL="C.UTF-8",
    )
