"""Snapshot: the code of a run as a git tree, without touching the work tree, the index or HEAD."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from gitparams.entry import parse_commit
from gitparams.errors import GitParamsError
from gitparams.git import Git
from gitparams.index import Index
from gitparams.model import CodeState, Oid

_PATCH_ID_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The code of a run, and a pack of the objects of its tree that the repository may not have."""

    code: CodeState
    pack: bytes | None = None


def take(git: Git, memory: Index) -> Snapshot:
    """Return the code as it is now: HEAD's tree when no tracked file changed, else a tree of the tracked files.

    What holds for ever of an object id (its patch-id, its soundness) is kept in the index.

    A tree that ``git fsck --strict`` rejects is left out with a note, since servers refuse it and with it the ledger.
    """
    standing = _standing(git)
    commit, branch, dirty = standing.commit, standing.branch, bool(standing.changed)
    tree = _tree_of(git, commit)
    submodules = _submodules(git, standing.changed)
    pack = None
    if dirty:
        try:
            tree, pack = _changed_tree(git)
        except GitParamsError as error:
            return Snapshot(CodeState(commit, branch, None, True, note=str(error), submodules=submodules))
    note = _flaw(git, tree, memory) if tree and not pack else None
    patch_id = patch_id_of(git, commit, memory) if commit else None
    subject, authored = headline(git, commit) if commit else (None, None)
    return Snapshot(
        CodeState(commit, branch, None if note else tree, dirty, patch_id, subject, authored, note, submodules), pack
    )


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where HEAD stands, and the lines of `git status` for what differs from it."""

    commit: Oid | None
    branch: str | None
    changed: tuple[bytes, ...] = ()


def _standing(git: Git) -> _Standing:
    if git.place.top is None:
        branch = git.text("symbolic-ref", "--quiet", "--short", "HEAD", check=False) or None
        return _Standing(git.commit_of("HEAD"), branch)
    answer = git.run("status", "--porcelain=v2", "--branch", "--untracked-files=no", "-z").stdout.split(b"\0")
    commit, branch = None, None
    for line in answer:
        if line.startswith(b"# branch.oid ") and not line.endswith(b"(initial)"):
            commit = Oid(line[13:].decode())
        elif line.startswith(b"# branch.head ") and line != b"# branch.head (detached)":
            branch = line[14:].decode("utf-8", "replace")
    return _Standing(commit, branch, tuple(line for line in answer if line and not line.startswith(b"# ")))


def _submodules(git: Git, changed: Iterable[bytes]) -> dict[str, str]:
    """Return path → commit of the submodules that are checked out; ``dirty`` ones say so."""
    top = git.place.top
    if top is None or not (top / ".gitmodules").is_file():
        return {}
    # `1 .M S.M. …`: the third field of git status --porcelain=v2 says M for changed files inside of a submodule
    dirty = {line.split(b" ", 8)[8] for line in changed if line.startswith(b"1 ") and line.split(b" ", 3)[2][2:3] == b"M"}
    found = {}
    for line in git.run("ls-files", "--stage", "-z").stdout.split(b"\0"):
        if line.startswith(b"160000 "):
            path = line.partition(b"\t")[2]
            head = git.text(f"--git-dir={top / os.fsdecode(path) / '.git'}", "rev-parse", "--verify", "HEAD", check=False)
            if head:
                found[path.decode("utf-8", "replace")] = f"{head} dirty" if path in dirty else head
    return found


def _tree_of(git: Git, commit: Oid | None) -> Oid | None:
    found = git.read(f"{commit}^{{tree}}") if commit else None
    return found[0] if found else None


def _changed_tree(git: Git) -> tuple[Oid, bytes]:
    """Return the tree of the tracked files as they are on disk, and its new objects.

    They are made in an object folder of their own and travel in the pack: loose objects that nothing names yet would be
    taken away by a `gc --prune=now` beside us.
    """
    with _quarantine(git) as variables:
        folder = Path(variables["GIT_OBJECT_DIRECTORY"])
        index = folder / "index"
        present = Path(git.text("rev-parse", "--path-format=absolute", "--git-path", "index"))
        if present.exists():
            shutil.copy2(present, index)
        variables = {**variables, "GIT_INDEX_FILE": str(index)}
        git.run("add", "--update", "--ignore-errors", ":/", variables=variables)
        tree = Oid(git.run("write-tree", variables=variables).stdout.decode().strip())
        new = list(_loose_objects(folder))
        pack = git.run("pack-objects", "--stdout", "-q", stdin="".join(f"{oid}\n" for oid in new).encode(), variables=variables)
        return tree, pack.stdout


def _flaw(git: Git, tree: Oid, memory: Index) -> str | None:
    """Return what `fsck --strict` has against a tree, or None; asked once a tree."""
    kept = memory.remembered(f"sound {tree}")
    if kept is None:
        kept = _fsck(git, tree)
        memory.remember(f"sound {tree}", kept)
    return kept or None


def _fsck(git: Git, tree: Oid) -> str:
    trees = git.run("pack-objects", "--revs", "--filter=blob:none", "--stdout", "-q", stdin=f"{tree}\n".encode(), check=False)
    if trees.returncode != 0:
        return "git could not read the tree of the code"
    with _quarantine(git) as variables:
        checked = git.run("index-pack", "--strict", "--stdin", stdin=trees.stdout, variables=variables, check=False)
    if checked.returncode == 0:
        return ""
    return "git fsck --strict rejects the tree of the code: " + checked.stderr.decode("utf-8", "replace").strip().split("\n")[0]


def headline(git: Git, commit: Oid) -> tuple[str | None, str | None]:
    """Return a commit's subject and its author date in ISO 8601; what a rebase keeps when even the patch changes."""
    found = git.read(commit)
    if found is None or found[1] != "commit":
        return None, None
    head, _, body = found[2].decode("utf-8", "replace").partition("\n\n")
    subject = " ".join(body.lstrip("\n").partition("\n\n")[0].split())
    date = re.search(r"^author .*> (\d+) ([+-])(\d\d)(\d\d)$", head, re.MULTILINE)
    if date is None:
        return subject or None, None
    minutes = (int(date[3]) * 60 + int(date[4])) * (-1 if date[2] == "-" else 1)
    try:
        authored = datetime.fromtimestamp(int(date[1]), timezone(timedelta(minutes=minutes)))
    except (ValueError, OverflowError, OSError):  # a date that no clock of ours can show
        return subject or None, None
    return subject or None, authored.isoformat()


def patch_id_of(git: Git, commit: Oid, memory: Index) -> str | None:
    """Return ``git patch-id --stable`` of what a commit changed, which a rebase keeps; None where there is none.

    A merge has none, nor what is too large to be read in a moment. It is kept in `memory`.
    """
    kept = memory.remembered(f"patch-id {commit}")
    if kept is None:
        if _is_cut(git, commit):
            return None  # git would take the whole tree for the patch
        kept = _git_patch_id(git, commit)
        memory.remember(f"patch-id {commit}", kept)
    return kept or None


def _is_cut(git: Git, commit: Oid) -> bool:
    """Tell whether a shallow clone ends at a commit: it names parents that are not here."""
    found = git.read(commit)
    return found is None or any(git.read(parent) is None for parent in parse_commit(found[2]).parents)


def _git_patch_id(git: Git, commit: Oid) -> str:
    with git.open("diff-tree", "-p", "--root", commit) as diff:
        done = subprocess.Popen(
            git.command("patch-id", "--stable"),
            stdin=diff.stdout,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=git.environment,
        )
        try:
            answer, _ = done.communicate(timeout=_PATCH_ID_SECONDS)
        except subprocess.TimeoutExpired:  # a commit of gigabytes: its id is not worth the wait
            diff.kill()
            done.kill()
            answer, _ = done.communicate()
    return answer.decode().split(" ")[0].strip() if done.returncode == 0 else ""


@contextmanager
def _quarantine(git: Git) -> Iterator[Mapping[str, str]]:
    """Yield the variables of an object folder of its own, with the repository's behind it."""
    objects = git.place.common_dir / "objects"
    behind = f'"{objects}"' if os.pathsep in str(objects) else str(objects)
    with tempfile.TemporaryDirectory(prefix="gitparams-") as folder:
        yield {"GIT_OBJECT_DIRECTORY": folder, "GIT_ALTERNATE_OBJECT_DIRECTORIES": behind}


def _loose_objects(folder: Path) -> Iterator[str]:
    for fan in sorted(folder.glob("[0-9a-f][0-9a-f]")):
        for item in sorted(fan.iterdir()):
            if not item.name.startswith("tmp_"):
                yield fan.name + item.name
