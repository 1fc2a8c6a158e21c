"""Generate: a throw-away ledger of many runs, entry by entry as gitparams writes them, through one `git fast-import`.

``python -m benchmarks.generate FOLDER --runs 100000`` makes one to play with. The same seed makes the same commits.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO

from benchmarks.configs import Sweep
from gitparams.entry import FORMAT, author_line, details_files, message, run_files, tree_objects
from gitparams.git import Git, TreeEntry, parse_tree
from gitparams.model import CodeState, Details, Event, EventKind, Oid, Run, RunId, Status
from gitparams.params import layer, nested

SEED = 20261
_EPOCH = datetime(2025, 1, 1, 9, tzinfo=timezone(timedelta(hours=1)))
_EXPERIMENTS = ("resnet", "resnet", "resnet", "vit", "vit", "ablation", "default")
_TAGS = ("baseline", "keep", "paper", "sweep-3")
_PEOPLE = ("Ada <ada@example.org>", "Ada <ada@example.org>", "Grace <grace@example.org>")
_CODE_COMMITS = 20
_REF = "refs/gitparams/runs"
_Compared = tuple[RunId, float]


def ledger_of(runs: int, cache: Path, seed: int = SEED, say: Callable[[str], None] = lambda text: None) -> Path:
    """Return a repository whose ledger has so many runs, made now or found in the cache. Clone it; do not write to it."""
    kept = cache / f"ledger-{runs}-{seed}-{_digest()}"
    if not kept.exists():
        say(f"generate {runs:,} runs")
        temporary = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
        try:
            generate(temporary, runs, seed)
            temporary.rename(kept)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    return kept


def generate(folder: Path, runs: int, seed: int = SEED) -> None:
    """Make a repository in an empty folder: a little code, and a ledger of `runs` runs, packed as a server packs it."""

    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "config", "user.name", "Bench")
    _git(folder, "config", "user.email", "bench@example.org")
    with _fast_import(folder) as process:
        assert process.stdin is not None
        _write_code(process.stdin)
    with Git.find(folder) as git:
        codes = _codes(git)
        with _fast_import(folder) as process:
            assert process.stdin is not None
            for number, written in enumerate(_written(git, runs, seed, codes)):
                written.write(process.stdin, first=number == 0)
    if process.returncode:
        raise SystemExit("git fast-import failed")
    _git(folder, "reset", "-q", "--hard", "main")
    _git(folder, "-c", "pack.threads=0", "repack", "-a", "-d", "-q", "-f", "--window=6", "--depth=20")


# -- runs -----------------------------------------------------------------------------------------------------------------


def _written(git: Git, runs: int, seed: int, codes: list[CodeState]) -> Iterator[_Written]:
    """Yield the entries of all runs, oldest first: a start and a finish each."""
    sweep = Sweep(seed)
    # Where the params came from is the same in every run, as in a program that declares them in its code.
    origins = details_files(Details(origins=layer(sweep.params(), "code").origins))
    before: dict[str, _Compared] = {}
    for number in range(runs):
        run, moment, nonces = _run(sweep, number, codes[number * len(codes) // runs])
        yield from _entries_of(git, run, moment, nonces, origins, before)


def _run(sweep: Sweep, number: int, code: CodeState) -> tuple[Run, datetime, tuple[str, str]]:
    """Return a run as it ended, its end's time, and the nonces of its two events."""
    some = sweep.random
    identity = RunId("".join(some.choices("klmnopqrstuvwxyz", k=16)))
    started = _EPOCH + timedelta(minutes=5 * number, microseconds=some.randrange(10**6))
    ended = started + timedelta(seconds=some.uniform(30, 280))
    status = some.choices((Status.COMPLETED, Status.FAILED, Status.INTERRUPTED), (93, 5, 2))[0]
    run = Run(
        id=identity,
        status=status,
        started=started,
        finished=ended,
        name=f"run-{number}" if some.random() < 0.02 else None,
        experiment=some.choice(_EXPERIMENTS),
        params=nested(sweep.params()),
        metrics=sweep.metrics() if status is Status.COMPLETED else {},
        command=("python", "train.py", "--config", "conf/train.yaml"),
        code=code,
        author=some.choice(_PEOPLE),
        host=f"node{some.randrange(8):02d}",
        user="ada",
        python="3.11.9",
        exit_code={Status.COMPLETED: 0, Status.FAILED: 1}.get(status, 130),
        tags=tuple(sorted(set(some.choices(_TAGS, k=2)))) if some.random() < 0.1 else (),
    )
    return run, ended, (f"{some.getrandbits(64):016x}", f"{some.getrandbits(64):016x}")


def _entries_of(
    git: Git,
    run: Run,
    ended: datetime,
    nonces: tuple[str, str],
    origins: dict[str, bytes],
    before: dict[str, _Compared],
) -> Iterator[_Written]:
    begun = replace(run, status=Status.RUNNING, finished=None, exit_code=None, metrics={})
    compared = before.get(run.experiment)
    start, finish = Event(EventKind.START, run.started, nonces[0]), Event(EventKind.FINISH, ended, nonces[1])
    first = _Written.of(git, begun, start, {**run_files(begun, start), **origins}, (), compared)
    yield first
    yield _Written.of(git, run, finish, {**run_files(run, finish), **origins}, (first.tree,), compared)
    if run.status is Status.COMPLETED:
        before[run.experiment] = (run.id, run.metrics["acc"])


@dataclass(frozen=True, slots=True)
class _Written:
    """An entry as fast-import takes it."""

    tree: Oid
    entries: dict[str, TreeEntry]
    blobs: dict[str, bytes]
    author: str
    message: bytes

    @classmethod
    def of(
        cls,
        git: Git,
        run: Run,
        event: Event,
        files: dict[str, bytes],
        prev: tuple[Oid, ...],
        compared: _Compared | None,
    ) -> _Written:
        """Return the entry of an event; the tree is computed as gitparams does, since the next entry of the run names it."""

        tree, blobs = tree_objects(git, files, {}, run.code.tree)
        subject = f"{event.kind} {run.short_id}: {_subject(run, compared)}"
        text = message(subject, run, event, prev, compared[0] if compared else None)
        return cls(
            tree.oid,
            parse_tree(tree.data, git.zero),
            {blob.oid: blob.data for blob in blobs},
            author_line(run.author, event.time),
            text.encode(),
        )

    def write(self, stream: IO[bytes], *, first: bool) -> None:
        """Write the commit, its files in place; fast-import knows the ones it has seen by their ids."""
        parts = [b"commit %s\nauthor %s\ncommitter %s\n" % (_REF.encode(), self.author.encode(), self.author.encode())]
        parts.append(b"data %d\n%s\n" % (len(self.message), self.message))
        if not first:
            parts.append(b"deleteall\n")
        for name, entry in self.entries.items():
            data = self.blobs.get(entry.oid)
            if data is None:
                parts.append(b"M 040000 %s %s\n" % (entry.oid.encode(), name.encode()))
            else:
                parts.append(b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data))
        stream.write(b"".join(parts))


def _subject(run: Run, compared: _Compared | None) -> str:
    if compared is None:
        return f"first run of {run.experiment}"
    metric = f" · acc {compared[1]:.4g} → {run.metrics['acc']:.4g}" if "acc" in run.metrics else ""
    return f"optim.lr → {run.params['optim']['lr']:.3g}{metric}"


# -- code -----------------------------------------------------------------------------------------------------------------


def _write_code(stream: IO[bytes]) -> None:
    """Write the commits of a small project, each with another line."""
    author = f"Ada <ada@example.org> {int(_EPOCH.timestamp()) - 86400} +0100"
    for number in range(_CODE_COMMITS):
        text = "".join(f"print('step', {line})\n" for line in range(40 + number))
        subject = f"code {number}"
        stream.write(f"commit refs/heads/main\nauthor {author}\ncommitter {author}\ndata {len(subject)}\n{subject}\n".encode())
        stream.write(f"M 100644 inline train.py\ndata {len(text)}\n{text}\n".encode())


def _codes(git: Git) -> list[CodeState]:
    states = []
    for line in git.text("log", "--reverse", "--format=%H %T", "main").split("\n"):
        commit, tree = line.split()
        states.append(CodeState(Oid(commit), "main", Oid(tree), patch_id=hashlib.sha1(commit.encode()).hexdigest()))
    return states


# -- git ------------------------------------------------------------------------------------------------------------------


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _fast_import(folder: Path) -> subprocess.Popen[bytes]:
    # Deltas are the repack's work: here they only cost time.
    return subprocess.Popen(["git", "fast-import", "--quiet", "--depth=0"], cwd=folder, stdin=subprocess.PIPE)


def _digest() -> str:
    """Return what names this way of generating: another source or format, another ledger."""
    sources = b"".join(Path(__file__).with_name(name).read_bytes() for name in ("generate.py", "configs.py"))
    return hashlib.sha256(sources + str(FORMAT).encode()).hexdigest()[:8]


def main() -> int:
    """Make one ledger."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generate", description="Make a repository with a ledger of many runs"
    )
    parser.add_argument("folder", type=Path, help="an empty or new folder")
    parser.add_argument("--runs", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed, other runs")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if any(options.folder.iterdir()):
        parser.error(f"{options.folder} is not empty")
    begun = time.monotonic()
    generate(options.folder, options.runs, options.seed)
    print(f"{options.runs:,} runs in {time.monotonic() - begun:.1f} s: {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
