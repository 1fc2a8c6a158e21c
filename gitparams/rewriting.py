"""Rewriting: the chain of entries without the runs that were purged, as every clone makes it alike.

What comes out depends on the chain and the dead run ids alone. Entries of dead runs are dropped and their children adopt
their parents; merges are made anew by the joining rule; what quotes a dead run gets a subject without values; all else
stays byte for byte but for its parents, and for a signature, which would not hold any more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gitparams.entry import Header, commit_object, parse_commit
from gitparams.git import Git, GitObject
from gitparams.model import SHOWN_ID_LETTERS, EventKind, Oid, RunId, is_run_id

JOINER = "gitparams <gitparams@localhost>"  # fixed, so that every clone makes the same merge


class _Place(NamedTuple):
    """A commit as it stands in the new chain; `depth` is greater than that of all below it."""

    parents: tuple[Oid, ...]
    tree: Oid
    author: str
    depth: int


class Rewriting:
    """What commits of ledgers become without some runs. Nothing is written before `write`.

    Args:
        git: where they are.
        dead: the ids of the runs that go.
        nobodys: whether commits go that are entries of no run that can be told.

    Attributes:
        became: each commit that was followed → what stands in its place; None where nothing is left.
        tainted: the commits that are entries of dead runs, or come after one.
        oldest: the entries of dead runs with none below them.
        trees: the trees of the entries of dead runs.
        followed: the tips that were followed.
        rewritten: how many entries and merges were made anew.
        partial: whether a commit below those that were followed is missing here, as in a shallow clone.
    """

    def __init__(self, git: Git, dead: Iterable[RunId], *, nobodys: bool = False) -> None:
        self.git, self.dead, self.nobodys = git, frozenset(dead), nobodys
        self.became: dict[Oid, Oid | None] = {}
        self.tainted: set[Oid] = set()
        self.oldest: list[Oid] = []
        self.trees: set[Oid] = set()
        self.followed: list[Oid] = []
        self.rewritten = 0
        self.partial = False
        self._places: dict[Oid, _Place] = {}
        self._made: dict[Oid, GitObject] = {}

    def follow(self, tips: Iterable[Oid], but: Iterable[Oid] = ()) -> None:
        """Work out what all commits below some tips become.

        Args:
            tips: the newest ones.
            but: what they hold is left out: it was followed before, or is known to hold no dead run.
        """
        tips = list(tips)
        words = [*tips, *(f"^{commit}" for commit in but)]
        self.followed += tips
        found = self.git.read_many(self.git.lines("rev-list", "--topo-order", "--reverse", "--stdin", stdin=words))
        for one in found:
            if one is not None and one[1] == "commit" and one[0] not in self.became:
                self._take(Oid(one[0]), one[2])

    def follow_between(self, mine: Oid, theirs: Oid) -> None:
        """Work out what the commits become that one of two tips has and the other lacks."""
        self.follow([mine, theirs], self.git.text("merge-base", "--all", mine, theirs, check=False).split())  # type: ignore[arg-type]

    def above(self, parent: Oid | None, author: str, text: str) -> GitObject:
        """Return an entry of no run that follows a commit, with that one's tree; not yet taken along."""
        parents = (parent,) if parent else ()
        return commit_object(self.git, self._tree_of(parents), parents, author, text)

    def add(self, item: GitObject) -> None:
        """Take one more object along when the rest is written."""
        self._made[item.oid] = item

    def write(self) -> Path | None:
        """Write what was made since the last time as one pack; return the ``.keep`` file to remove once a ref holds it.

        Raises:
            LedgerError: git could not write it.
        """
        made, self._made = list(self._made.values()), {}
        return self.git.write_pack(self.git.pack(made), whole=True) if made else None

    def holds(self, oid: Oid) -> bool:
        """Tell whether an object that a name leads to is, or comes after, an entry of a dead run, as far as was followed."""
        return oid in self.tainted or oid in self.trees

    # -- one commit ---------------------------------------------------------------------------------------------------

    def _take(self, commit: Oid, data: bytes) -> None:
        header = parse_commit(data)
        dies = header.of_run and (header.run in self.dead or (self.nobodys and header.run is None))
        tainted = any(parent in self.tainted for parent in header.parents)
        if dies:
            self.trees.add(header.tree)
            self.oldest += [] if tainted else [commit]
        if dies or tainted:
            self.tainted.add(commit)
        parents = tuple(map(self._now, header.parents))
        heads = header.parents if parents == header.parents else self._maximal({one for one in parents if one is not None})
        if dies:
            self.became[commit] = self._joined(heads)
        elif heads == header.parents and not self._tells_of_the_dead(header):
            self.became[commit] = commit
            self._places[commit] = self._placed(header.parents, header.tree, header.author)
        elif len(header.parents) > 1:
            self.became[commit] = self._joined(heads)
        else:
            self.became[commit] = self._rewritten(data, header, heads)

    def _now(self, parent: Oid) -> Oid | None:
        if parent in self.became:
            return self.became[parent]
        if self.git.read(parent) is None:
            self.partial = True
        return parent

    def _tells_of_the_dead(self, header: Header) -> bool:
        return header.trailers.get("Run-Compared") in self.dead or header.tree in self.trees

    def _rewritten(self, data: bytes, header: Header, parents: Sequence[Oid]) -> Oid:
        head, _, text = data.partition(b"\n\n")
        # An alias or a purge has the tree of the entry it follows; that one may be gone.
        tree = header.tree if header.of_run else self._tree_of(parents)
        if header.trailers.get("Run-Compared") in self.dead:
            text = _without_values(header, text)
        lines = [f"tree {tree}".encode(), *(f"parent {parent}".encode() for parent in parents), _people(head)]
        made = self.git.object("commit", b"\n".join(lines) + b"\n\n" + text)
        return self._keep(made, tuple(parents), tree, header.author)

    def _tree_of(self, parents: Sequence[Oid]) -> Oid:
        if parents:
            return self._known(parents[0]).tree
        empty = self.git.tree_object({})
        self.add(empty)
        return empty.oid

    def _joined(self, heads: Sequence[Oid]) -> Oid | None:
        if len(heads) < 2:
            return heads[0] if heads else None
        known = {head: self._known(head) for head in heads}
        made = merge_commit(self.git, {head: (place.tree, place.author) for head, place in known.items()})
        header = parse_commit(made.data)
        return self._keep(made, tuple(heads), header.tree, header.author)

    def _keep(self, made: GitObject, parents: tuple[Oid, ...], tree: Oid, author: str) -> Oid:
        self.add(made)
        self.rewritten += 1
        self._places[made.oid] = self._placed(parents, tree, author)
        return made.oid

    def _placed(self, parents: tuple[Oid, ...], tree: Oid, author: str) -> _Place:
        below = [self._places[parent].depth for parent in parents if parent in self._places]
        return _Place(parents, tree, author, 1 + max(below, default=0))

    def _known(self, commit: Oid) -> _Place:
        if commit in self._places:
            return self._places[commit]
        found = self.git.read(commit)
        header = parse_commit(found[2] if found else b"")
        return _Place((), header.tree, header.author, 0)

    # -- the joining rule, among commits that may not be written yet --------------------------------------------------

    def _maximal(self, commits: Collection[Oid]) -> tuple[Oid, ...]:
        """Return those that no other of them contains, sorted."""
        if len(commits) < 2:
            return tuple(commits)
        return tuple(
            sorted(one for one in commits if not any(other != one and self._contains(other, one) for other in commits))
        )

    def _contains(self, above: Oid, below: Oid) -> bool:
        least = self._places[below].depth if below in self._places else 0
        waiting, seen, edge = [above], set[Oid](), set[Oid]()
        while waiting:
            one = waiting.pop()
            if one == below:
                return True
            if one in seen:
                continue
            seen.add(one)
            place = self._places.get(one)
            if place is None:
                edge.add(one)
            elif place.depth > least:
                waiting.extend(place.parents)
        if below in self._places:
            return False  # what was not followed holds nothing that was
        return any(self.git.run("merge-base", "--is-ancestor", below, one, check=False).returncode == 0 for one in edge)


# -- messages -------------------------------------------------------------------------------------------------------------


_DATE = re.compile(r"> (\d{1,18} [+-]\d{4})$", re.ASCII)
_NO_DATE = "0 +0000"  # of an entry that somebody wrote without one


def merge_commit(git: Git, parents: Mapping[Oid, tuple[Oid, str]]) -> GitObject:
    """Return the merge of some ledgers that every clone writes alike; `parents` maps each to its tree and author line."""
    ordered = sorted(parents)
    dates = (date[1] if (date := _DATE.search(author)) else _NO_DATE for _, author in parents.values())
    newest = max(dates, key=lambda date: (int(date.split()[0]), date))
    text = f"merge {len(parents)} ledgers\n\nRun-Event: {EventKind.MERGE}\n"
    # The first parent's tree: with an empty one the next push would send all code again.
    return commit_object(git, parents[ordered[0]][0], ordered, f"{JOINER} {newest}", text)


def purge_message(dead: Collection[RunId]) -> str:
    """Return the message of the entry that names purged runs.

    >>> print(purge_message([RunId("qpvuntsmwlqtrvkp")]), end="")
    purge 1 run
    <BLANKLINE>
    Run-Event: purge
    Run-Purged: qpvuntsmwlqtrvkp
    """
    many = "run" if len(dead) == 1 else "runs"
    return f"purge {len(dead)} {many}\n\nRun-Event: {EventKind.PURGE}\nRun-Purged: {' '.join(sorted(dead))}\n"


def purged_by(header: Header) -> frozenset[RunId]:
    """Return the runs that an entry says were purged.

    >>> purged_by(Header(Oid("11"), (), "", {"Run-Event": "purge", "Run-Purged": "qpvuntsmwlqtrvkp"}))
    frozenset({'qpvuntsmwlqtrvkp'})
    """
    words = header.trailers.get("Run-Purged", "").split() if header.event == EventKind.PURGE else []
    return frozenset(RunId(word) for word in words if is_run_id(word))


def _without_values(header: Header, text: bytes) -> bytes:
    """Return a message that quotes nothing: event, id and trailers."""
    last = text.rstrip(b"\n").rpartition(b"\n\n")[2]
    trailers = b"".join(line + b"\n" for line in _TRAILER.findall(last))
    return f"{header.event} {(header.run or '')[:SHOWN_ID_LETTERS]}".rstrip().encode() + b"\n\n" + trailers


def _people(head: bytes) -> bytes:
    """Return the lines of a commit's head behind its parents, without a signature of what it was."""
    people = head[head.index(b"\nauthor ") + 1 :]
    return _SIGNATURE.sub(b"", people + b"\n").removesuffix(b"\n") if b"\ngpgsig" in people else people


_SIGNATURE = re.compile(rb"^gpgsig(?:-sha256)? [^\n]*\n(?: [^\n]*\n)*", re.M)
_TRAILER = re.compile(rb"^Run-[A-Za-z]+: .*$", re.M)
