"""Purging: runs are taken out of the ledger and out of all that is gitparams' own, and what else holds them is found.

A purged run's bytes are gone when no ref, reflog or file leads to them any more, and git has collected its garbage. What
belongs to the person (tags, branches, stashes, reflogs of HEAD, remotes) is named and left alone.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from gitparams.entry import author_line
from gitparams.errors import UsageError
from gitparams.git import Git
from gitparams.index import Index
from gitparams.ledger import REF, TRACKING, Ledger
from gitparams.model import Oid, Run, RunId
from gitparams.rewriting import Rewriting

OURS, PREFETCHED = "refs/gitparams/", "refs/prefetch/"
_ID_FILES = ("FETCH_HEAD", "ORIG_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_HEAD", "AUTO_MERGE", "shallow")
# prefix → what it is called, and the command that deletes one
_KINDS = {
    "refs/tags/": ("tag", "git tag -d"),
    "refs/heads/": ("branch", "git branch -D"),
    "refs/remotes/": ("remote-tracking branch", "git branch -rd"),
    "refs/": ("ref", "git update-ref -d"),
}
_MOST_ASKED = 100  # commits on one command line


class Rooms(Protocol):
    """What a purge works on; a `Repository` is one."""

    git: Git
    ledger: Ledger
    index: Index

    @property
    def live(self) -> Path:
        """The folder of the journals."""
        ...


@dataclass(frozen=True, slots=True)
class Holder:
    """Something that still leads to the bytes of purged runs.

    Attributes:
        what: its kind: ``tag``, ``branch``, ``reflog``, ``bundle`` …
        name: what it is called.
        remedy: the command that ends it, ready to paste; None where there is none.
        remote: the remote it is at; None when it is here.
        certain: whether it surely holds them; a remote that could not be asked, or that knows more than we do, may.
    """

    what: str
    name: str
    remedy: str | None = None
    remote: str | None = None
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge did.

    Attributes:
        runs: the runs that are gone.
        rewritten: how many entries were written anew since they came after one of these.
        holders: what else leads to the bytes.
        trees: trees of the entries that are gone, by which `remains` looks for them.
    """

    runs: tuple[RunId, ...]
    rewritten: int
    holders: tuple[Holder, ...]
    trees: tuple[Oid, ...]


def purge(
    rooms: Rooms, runs: Sequence[RunId], author: str, when: datetime, *, offline: bool = False, spool: Path | None = None
) -> Purged:
    """Remove runs for good: from the ledger, the journals, the index and every ref of ours.

    Args:
        rooms: the repository.
        runs: their ids; children of a group are runs of their own, and stay.
        author, when: who does it, ``Name <email>``, and the time.
        offline: do not ask the remotes what they have.
        spool: the folder of runs that wait for a repository; looked at only.

    Raises:
        UsageError: one of the runs is going on.
        LedgerError: git could not write it; the ledger is as it was.
    """
    for run in runs:
        _refuse_live(rooms, run)
    dead, line = frozenset(runs), author_line(author, when)
    rewriting = rooms.ledger.purge(dead, author, when, lambda before, after: rooms.index.forget(dead, line, before, after))
    rewritten = rewriting.rewritten
    holders = after_purge(rooms, runs, rewriting=rewriting, spool=spool)
    if not offline:
        holders = (*holders, *at_remotes(rooms.git, rewriting))
    return Purged(tuple(runs), rewritten, holders, tuple(sorted(rewriting.trees)))


def after_purge(
    rooms: Rooms, dead: Collection[RunId], *, rewriting: Rewriting | None = None, spool: Path | None = None
) -> tuple[Holder, ...]:
    """Take purged runs out of all that is ours beside the ledger, and return what else here leads to them.

    To be called whenever the ledger moved to where a purge is that was not known here; doing it twice does no harm.

    Args:
        rooms: the repository; its ledger has the purge.
        dead: the runs that were purged.
        rewriting: what became of the ledger's commits, where that is known.
        spool: the folder of runs that wait for a repository.
    """
    git, ledger = rooms.git, rooms.ledger
    tip = ledger.tip()
    rewriting = rewriting or Rewriting(git, dead)
    refs, logs = _refs(git), _reflogs(git)
    pinned = [*_id_files(git), *_work_trees(git)]
    named = {*refs.values(), *(oid for _, oid in logs), *(oid for _, _, oid in pinned)}
    entries = [oid for oid, header in ledger.headers(sorted(named)) if header.event or header.run]
    rewriting.follow(entries, [*([tip] if tip else []), *rewriting.followed])
    above = _containing(git, rewriting.oldest)
    held = {ref: oid for ref, oid in refs.items() if ref in above or rewriting.holds(oid)}
    _clean_refs(git, rewriting, {ref: oid for ref, oid in held.items() if ref.startswith((OURS, PREFETCHED)) and ref != REF})
    holders = [
        *(_held_by(ref, rewriting.holds(oid)) for ref, oid in held.items() if not ref.startswith((OURS, PREFETCHED))),
        *_holding_reflogs(rewriting, [(name, oid) for name, oid in logs if name not in held]),
        *(Holder(what, name, _remedy_of(what, name)) for what, name, oid in pinned if oid in rewriting.tainted),
        *_bundles(git, rewriting, [ledger.folder, *([spool] if spool else [])]),
        *_alternates(git, rewriting),
        *(Holder("spool", str(place), f"rm -r {shlex.quote(str(place))}") for place in _spooled(spool, dead)),
    ]  # fmt: skip
    forget_journals(rooms.live, rooms.index, dead)
    _clean_reflogs(git)
    if tip is not None:
        ledger.remember(tip)
    rooms.index.catch_up(tip)
    if not rooms.index.scrub():
        path = ledger.folder / "index.db"
        holders.append(Holder("index", str(path), f"rm {shlex.quote(str(path))}*"))
    rooms.index.forget_learned()
    return tuple(holders)


def forget_journals(live: Path, index: Index, among: Iterable[RunId] | None = None) -> list[RunId]:
    """Remove the journals of purged runs that no process keeps, and return whose they were.

    Args:
        live: the folder of the journals.
        index: knows what was purged.
        among: the runs to look for; None looks at every journal.
    """
    from gitparams.journal import Journal, journals

    found = journals(live) if among is None else [Journal(live / run) for run in among if _is_in(live, run)]
    gone = [journal for journal in found if (among is not None or index.is_purged(journal.id)) and not journal.alive()]
    for journal in gone:
        journal.remove()
    return [journal.id for journal in gone]


def remains(git: Git, trees: Iterable[Oid]) -> bool:
    """Tell whether an entry of a purged run is still in the repository's objects."""
    return not _present(git).isdisjoint(trees)


def _present(git: Git, folder: Path | None = None) -> set[str]:
    """Return the ids of all objects that are here, or in another folder of objects.

    To ask for one by name would fetch it in a partial clone, and so bring back what was purged.
    """
    variables = {"GIT_OBJECT_DIRECTORY": str(folder)} if folder is not None else None
    words = ("cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname)")
    return set(git.run(*words, variables=variables, check=False).stdout.decode().split())


def collect(git: Git) -> None:
    """Let git collect its garbage at once. Raises `GitParamsError` when it could not."""
    git.close()
    git.run("gc", "--prune=now", "--quiet")


def _refuse_live(rooms: Rooms, run: RunId) -> None:
    from gitparams.journal import Journal

    known = rooms.index.run(run)
    for one in (run, known.parent if isinstance(known, Run) else None):
        if one is not None and _is_in(rooms.live, one) and Journal(rooms.live / one).alive():
            raise UsageError(
                f"Run {one[:8]} is going on, and would write more of it.", hint=f"gitparams purge {run[:8]}   # later"
            )


def _is_in(folder: Path, run: RunId) -> bool:
    return (folder / run).is_dir()


def _spooled(spool: Path | None, dead: Iterable[RunId]) -> list[Path]:
    return [spool / run for run in sorted(dead) if _is_in(spool, run)] if spool is not None else []


# -- what leads to commits ------------------------------------------------------------------------------------------------


def _refs(git: Git) -> dict[str, Oid]:
    """Return all refs with the objects they lead to, tags peeled."""
    lines = git.lines("for-each-ref", "--format=%(refname) %(objectname) %(*objectname)")
    return {words[0]: Oid(words[-1]) for words in (line.split() for line in lines)}


def _reflogs(git: Git) -> list[tuple[str, Oid]]:
    """Return the refs that have a reflog, each with the commits in it."""
    text = git.text("log", "--walk-reflogs", "--all", "--no-show-signature", "--format=%gD%x00%H", check=False)
    pairs = (line.split("\0") for line in text.splitlines() if "\0" in line)
    return [(name.rpartition("@{")[0], Oid(oid)) for name, oid in pairs]


def _id_files(git: Git) -> Iterator[tuple[str, str, Oid]]:
    """Yield the ids in files such as FETCH_HEAD, of every work tree."""
    folders = dict.fromkeys([git.place.git_dir, git.place.common_dir, *sorted(git.place.common_dir.glob("worktrees/*"))])
    for path in (folder / name for folder in folders for name in _ID_FILES):
        with suppress(OSError):
            for line in path.read_text("utf-8", "replace").splitlines():
                word = line.split()[0] if line.split() else ""
                if len(word) == len(git.zero) and not set(word) - set("0123456789abcdef"):
                    yield path.name, str(path), Oid(word)


def _work_trees(git: Git) -> Iterator[tuple[str, str, Oid]]:
    """Yield the commits that work trees stand on."""
    path = ""
    for line in git.text("worktree", "list", "--porcelain", check=False).splitlines():
        word, _, value = line.partition(" ")
        if word == "worktree":
            path = value
        elif word == "HEAD":
            yield "work tree", path, Oid(value)


def _clean_refs(git: Git, rewriting: Rewriting, stale: Mapping[str, Oid]) -> None:
    """Move our refs to what their commits became, or delete them; what was only seen at remotes is seen again."""
    moved = {
        ref: new
        for ref, oid in stale.items()
        if not ref.startswith((PREFETCHED, f"{TRACKING}/"))
        and not rewriting.partial
        and (new := rewriting.became.get(oid)) is not None
    }
    keep = rewriting.write() if any(git.read(new) is None for new in moved.values()) else None
    for ref, new in moved.items():
        git.move_ref(ref, new, stale[ref])
    for ref in stale.keys() - moved.keys():
        git.run("update-ref", "-d", ref, stale[ref], check=False)
    if keep is not None:
        keep.unlink(missing_ok=True)


def _clean_reflogs(git: Git) -> None:
    """Empty the reflogs of our refs: each old id in them would keep its commit alive for months."""
    refs = [ref for ref in _refs(git) if ref.startswith((OURS, PREFETCHED))]
    for start in range(0, len(refs), _MOST_ASKED):
        git.run("reflog", "expire", "--expire=all", "--expire-unreachable=all", *refs[start : start + _MOST_ASKED], check=False)


def _containing(git: Git, commits: Sequence[Oid]) -> frozenset[str]:
    """Return the refs from which one of some commits is reached."""
    found: set[str] = set()
    for start in range(0, len(commits), _MOST_ASKED):
        words = [f"--contains={commit}" for commit in commits[start : start + _MOST_ASKED]]
        found.update(git.text("for-each-ref", "--format=%(refname)", *words, check=False).split())
    return frozenset(found)


def _held_by(ref: str, is_entry: bool) -> Holder:
    """Return a ref of the user's; one that leads to more than entries is not to be deleted for them."""
    prefix = next(prefix for prefix in _KINDS if ref.startswith(prefix))
    name = ref.removeprefix(prefix) if prefix != "refs/" else ref
    what, command = _KINDS[prefix]
    return Holder(what, name, f"{command} {shlex.quote(name)}" if is_entry else None)


def _holding_reflogs(rewriting: Rewriting, logs: Sequence[tuple[str, Oid]]) -> Iterator[Holder]:
    names = dict.fromkeys(name for name, oid in logs if oid in rewriting.tainted and not name.startswith((OURS, PREFETCHED)))
    for name in names:
        places = [place for place, oid in enumerate(oid for other, oid in logs if other == name) if oid in rewriting.tainted]
        # from the last to the first: each deletion moves those behind it
        words = " ".join(shlex.quote(f"{name}@{{{place}}}") for place in reversed(places))
        yield Holder("reflog", name, f"git reflog delete --rewrite {words}")


def _remedy_of(what: str, name: str) -> str:
    if what == "work tree":
        return f"git -C {shlex.quote(name)} checkout -"
    return "git fetch --unshallow" if what == "shallow" else f"rm {shlex.quote(name)}"


def _bundles(git: Git, rewriting: Rewriting, folders: Iterable[Path]) -> Iterator[Holder]:
    for path in sorted({path for folder in folders for path in folder.glob("*.bundle")}):
        heads = git.text("bundle", "list-heads", str(path), check=False).splitlines()
        if any(line.split()[0] in rewriting.tainted for line in heads if line):
            yield Holder("bundle", str(path), f"rm {shlex.quote(str(path))}")


def _alternates(git: Git, rewriting: Rewriting) -> Iterator[Holder]:
    """Yield the repositories that this one borrows objects from, where they have the runs too."""
    objects = git.place.common_dir / "objects"
    try:
        lines = (objects / "info" / "alternates").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    for path in (objects / line for line in lines if line and not line.startswith("#")):
        if not _present(git, path).isdisjoint(rewriting.oldest):
            yield Holder("alternate", str(path), f"git -C {shlex.quote(str(path.parent))} gc --prune=now")


# -- remotes --------------------------------------------------------------------------------------------------------------


def at_remotes(git: Git, rewriting: Rewriting) -> Iterator[Holder]:
    """Yield the refs of remotes that lead to purged runs, or may."""
    present: set[str] | None = None
    for remote in (git.porcelain("remote") or "").split():
        answer = git.porcelain("ls-remote", "--", remote)
        if answer is None:
            yield Holder("remote", remote, f"gitparams push {shlex.quote(remote)}", remote, certain=False)
            continue
        for oid, _, ref in (line.partition("\t") for line in answer.splitlines()):
            known = Oid(oid) in rewriting.tainted
            if not known and ref.startswith(OURS):
                present = _present(git) if present is None else present
            if known or (ref.startswith(OURS) and present is not None and oid not in present):
                yield Holder("ref", ref, _push_remedy(remote, ref), remote, certain=known)


def _push_remedy(remote: str, ref: str) -> str:
    if ref == REF:
        return f"gitparams push {shlex.quote(remote)}"
    return f"git push {shlex.quote(remote)} --delete {shlex.quote(ref.removesuffix('^{}'))}"
