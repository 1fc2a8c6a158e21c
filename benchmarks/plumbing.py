"""Plumbing: an entry as a shell script would write it, one git process for each object; the yardstick of `record`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workshop import REF, git
from gitparams.git import _DURABLE as DURABLE  # the very same words, whatever they become


@dataclass(frozen=True, slots=True)
class Entry:
    """What an entry of a ledger is made of.

    Attributes:
        blobs: its files by name. trees: its folders' ids by name.
        message: the commit's message.
    """

    blobs: dict[str, bytes]
    trees: dict[str, str]
    message: bytes


def newest_entries(folder: Path, count: int) -> list[Entry]:
    """Return the last entries of a ledger, oldest first."""
    commits = git(folder, "rev-list", "--reverse", f"--max-count={count}", REF).split()
    return [_entry(folder, commit) for commit in commits]


def write(folder: Path, entry: Entry, *, durable: bool = False) -> None:
    """Append an entry by compare-and-swap: rev-parse, hash-object a blob, mktree, commit-tree, update-ref."""
    words = ("git", *DURABLE) if durable else ("git",)
    tip = _answer(folder, ("git", "rev-parse", "--verify", "--quiet", REF), check=False)
    lines = [f"040000 tree {oid}\t{name}" for name, oid in entry.trees.items()]
    for name, data in entry.blobs.items():
        lines.append(f"100644 blob {_answer(folder, (*words, 'hash-object', '-w', '--stdin'), data)}\t{name}")
    tree = _answer(folder, (*words, "mktree"), "\n".join(lines).encode())
    parent = ("-p", tip) if tip else ()
    commit = _answer(folder, (*words, "commit-tree", tree, *parent), entry.message)
    _answer(folder, (*words, "update-ref", "--create-reflog", "-m", "plumbing", REF, commit, tip or "0" * len(commit)))


def _entry(folder: Path, commit: str) -> Entry:
    found = list(_listed(folder, commit))
    blobs = {name: _answer_bytes(folder, ("git", "cat-file", "blob", oid)) for kind, oid, name in found if kind == "blob"}
    trees = {name: oid for kind, oid, name in found if kind == "tree"}
    body = _answer_bytes(folder, ("git", "cat-file", "commit", commit)).partition(b"\n\n")[2]
    return Entry(blobs, trees, body)


def _listed(folder: Path, commit: str) -> Iterator[tuple[str, str, str]]:
    for line in git(folder, "ls-tree", commit).split("\n"):
        head, _, name = line.partition("\t")
        _, kind, oid = head.split()
        yield kind, oid, name


def _answer(folder: Path, words: Sequence[str], stdin: bytes = b"", *, check: bool = True) -> str:
    return _answer_bytes(folder, words, stdin, check=check).decode().strip()


def _answer_bytes(folder: Path, words: Sequence[str], stdin: bytes = b"", *, check: bool = True) -> bytes:
    done = subprocess.run(words, cwd=folder, input=stdin, stdout=subprocess.PIPE, check=check)
    return done.stdout
