"""Ledger: the one ref that holds every entry, appended to by compare-and-swap and joined without conflicts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from gitparams.entry import Header, alias_message, author_line, commit_object, message, parse_commit, run_files, tree_objects
from gitparams.errors import LedgerError
from gitparams.git import Git, GitObject, RefMoved, TreeEntry
from gitparams.lockfile import LockFile
from gitparams.model import Event, Oid, Run, RunId

REF = "refs/gitparams/runs"
LOCK_PATIENCE = 5.0  # seconds; the lock only spares lost races, so after that the compare-and-swap alone decides
ATTEMPTS = 60
APPENDS_A_MAINTENANCE = 500
T = TypeVar("T")
_JOINER = "gitparams <gitparams@localhost>"  # fixed, so that every clone makes the same merge


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry that is about to be appended.

    Attributes:
        run: the whole state of the run after the event.
        event: what happened.
        subject: the line for people.
        author: ``Name <email>``.
        prev: the trees of the entries of this run that the event changes.
        compared: the run whose values the subject quotes.
        files: the detail files to write, by name.
        carried: the files kept from the entry before, by name.
        packs: packs of objects that the entry needs beside its own, such as those of ``code/``.
    """

    run: Run
    event: Event
    subject: str
    author: str
    prev: tuple[Oid, ...] = ()
    compared: RunId | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    carried: Mapping[str, TreeEntry] = field(default_factory=dict)
    packs: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Appended:
    """An entry that is on the ledger: its commit, the commit it follows, what its header says, and its draft."""

    commit: Oid
    before: Oid | None
    header: Header
    draft: Draft


class Ledger:
    """The ledger of one repository."""

    def __init__(self, git: Git) -> None:
        self.git = git
        self.folder = git.place.common_dir / "gitparams"

    def tip(self) -> Oid | None:
        """Return the newest entry, or None while there is no ledger."""
        return self.git.ref(REF)

    # -- append -------------------------------------------------------------------------------------------------------

    def append(self, prepare: Callable[[Oid | None], Draft], done: Callable[[Appended], None] | None = None) -> Appended:
        """Append one entry.

        Args:
            prepare: makes the draft from the tip it will follow; called again when another writer was faster.
            done: called with the entry once it is on the ledger, while the lock is still held.

        Raises:
            LedgerError: git could not write it; the ledger is as it was.
        """

        def attempt(tip: Oid | None) -> Appended:
            appended = self._try(tip, prepare(tip))
            self.remember(appended.commit)
            if done is not None:
                done(appended)
            return appended

        appended = self._insist(attempt)
        self._maintain(appended.commit)
        return appended

    def alias(self, pairs: Sequence[tuple[Oid, Oid]], how: str, author: str, when: datetime) -> Oid:
        """Append an entry that says which commits became which, and return it. It keeps the tree of the entry it follows.

        Raises:
            LedgerError: git could not write it, or there is no ledger yet.
        """

        def attempt(tip: Oid | None) -> Oid:
            header = next((header for _, header in self.headers([tip] if tip else [])), None)
            if header is None:
                raise LedgerError("There is no entry that an alias could follow.")
            text = alias_message(pairs, how)
            commit = commit_object(self.git, header.tree, (tip,) if tip else (), author_line(author, when), text)
            self._write([self.git.pack([commit])], commit.oid, tip, lambda: self.git.read(commit.oid) is None)
            self.remember(commit.oid)
            return commit.oid

        return self._insist(attempt)

    def _insist(self, attempt: Callable[[Oid | None], T]) -> T:
        """Return what an attempt to append after the tip returns, trying again when another writer was faster."""
        for number in range(ATTEMPTS):
            with self._lock():
                self.git.expect_write()
                try:
                    return attempt(self.tip())
                except RefMoved:
                    pass
            time.sleep(os.urandom(1)[0] / 255 * min(0.5, 0.005 * 2**number))
        raise LedgerError(f"{REF} moved {ATTEMPTS} times while one entry was appended.", hint="gitparams doctor")

    def _try(self, tip: Oid | None, draft: Draft) -> Appended:
        objects, commit = self._objects(tip, draft)
        header = parse_commit(commit.data)
        # After a lost race all is sent again: a gc may have taken meanwhile what no ref named.
        packs = [*draft.packs, self.git.pack(objects)]
        self._write(packs, commit.oid, tip, lambda: self._lost(header.tree, draft))
        return Appended(commit.oid, tip, header, draft)

    def _write(self, packs: Sequence[bytes], commit: Oid, tip: Oid | None, lost: Callable[[], bool]) -> None:
        """Write packs and move the ref to a commit of theirs; `lost` tells afterwards whether objects are gone."""
        keeps: list[Path | None] = []
        try:
            keeps.extend([self.git.write_pack(pack) for pack in packs])
            self.git.move_ref(REF, commit, tip)
            if self.git.collecting or lost():
                # A gc that began after our look at gc.pid may take, or have taken, what no ref named at that time.
                keeps.extend([self.git.write_pack(pack, whole=True) for pack in packs])
        finally:
            for keep in keeps:
                if keep is not None:
                    keep.unlink(missing_ok=True)

    def _lost(self, tree: Oid, draft: Draft) -> bool:
        """Tell whether objects of an entry are gone; a gc takes a pack's objects together, so one of each pack tells."""
        written = [tree, *([draft.run.code.tree] if draft.packs and draft.run.code.tree else [])]
        return any(self.git.read(oid) is None for oid in written)

    def _objects(self, tip: Oid | None, draft: Draft) -> tuple[list[GitObject], GitObject]:
        files = {**run_files(draft.run, draft.event), **draft.files}
        tree, blobs = tree_objects(self.git, files, draft.carried, None if draft.prev else draft.run.code.tree)
        text = message(draft.subject, draft.run, draft.event, draft.prev, draft.compared)
        author = author_line(draft.author, draft.event.time)
        commit = commit_object(self.git, tree.oid, (tip,) if tip else (), author, text)
        return list({item.oid: item for item in (*blobs, tree, commit)}.values()), commit

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with LockFile(self.folder / "ledger.lock") as lock:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                lock.take(LOCK_PATIENCE)
            except OSError as error:
                if not os.access(self.git.place.common_dir, os.W_OK):
                    raise LedgerError(f"{self.git.place.common_dir} cannot be written: {error.strerror}.") from None
                # A file system without locks: the compare-and-swap alone suffices.
            yield

    def _maintain(self, commit: Oid) -> None:
        """About once in 500 appends, let git tidy up as its own commands do; what takes long it does in the background."""
        if int(commit[:8], 16) % APPENDS_A_MAINTENANCE == 0:
            self.git.run("maintenance", "run", "--auto", "--quiet", check=False)

    # -- remember the tip ---------------------------------------------------------------------------------------------

    def remembered(self) -> Oid | None:
        """Return the last tip that was seen here, or None."""
        try:
            text = (self.folder / "tip").read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return Oid(text) if len(text) == len(self.git.zero) else None

    def remember(self, tip: Oid) -> None:
        """Keep the tip, so that a rewind is noticed even when the index is gone."""
        try:
            # In place: all tips are of one length, and a rename for each append would cost a tenth of it.
            descriptor = os.open(self.folder / "tip", os.O_WRONLY | os.O_CREAT, 0o666)
            try:
                os.write(descriptor, f"{tip}\n".encode())
            finally:
                os.close(descriptor)
        except OSError:
            pass  # a second memory, not the truth

    def guard(self) -> Oid | None:
        """Undo a rewind: when the tip lacks what was seen before, join the two; return the tip that was missing, or None.

        Raises:
            LedgerError: the ref could not be moved.
        """
        last, tip = self.remembered(), self.tip()
        if last is None or last == tip:
            return None
        if self.git.read(last) is None:
            return None  # pruned: there is nothing left to join
        if tip is not None and self._contains(tip, last):
            self.remember(tip)
            return None
        if tip is not None and self._purged(last, tip):
            self.remember(tip)
            return None
        joined = self.join(tip, last) if tip is not None else last
        self.git.move_ref(REF, joined, tip)
        self.remember(joined)
        return last

    def _contains(self, tip: Oid, commit: Oid) -> bool:
        return self.git.run("merge-base", "--is-ancestor", commit, tip, check=False).returncode == 0

    def _purged(self, last: Oid, tip: Oid) -> bool:
        return any(header.event == "purge" for _, header in self.headers(self.between(last, tip)[0]))

    # -- read ---------------------------------------------------------------------------------------------------------

    def between(self, old: Oid | None, new: Oid | None) -> tuple[list[Oid], list[Oid]]:
        """Return the commits that `new` has and `old` lacks, oldest first, and those the other way round.

        Raises:
            GitParamsError: a tip is not in this repository any more.
        """
        if new is None:
            return [], []
        if old is None:
            return [Oid(line) for line in self.git.lines("rev-list", "--reverse", new)], []
        added: list[Oid] = []
        dropped: list[Oid] = []
        for line in self.git.lines("rev-list", "--reverse", "--left-right", f"{old}...{new}"):
            (added if line[0] == ">" else dropped).append(Oid(line[1:]))
        return added, dropped

    def headers(self, commits: Iterable[Oid]) -> Iterator[tuple[Oid, Header]]:
        """Yield each commit with what it says; one that is missing is left out."""
        for found in self.git.read_many(commits):
            if found is not None and found[1] == "commit":
                yield Oid(found[0]), parse_commit(found[2])

    # -- join ---------------------------------------------------------------------------------------------------------

    def join(self, mine: Oid, theirs: Oid) -> Oid:
        """Return the tip that holds both ledgers, writing a merge where one is needed.

        While my tip is a merge it is replaced by its parents; their tip is kept; of these the ones that no other contains
        are kept, sorted. One left: that one; else one merge that every clone writes alike. So it converges with and
        without a hub, never makes a merge without a new entry, and always fast-forwards the remote.
        """
        mine_heads = self._heads(mine)
        if mine_heads == self._heads(theirs):
            return theirs
        tips = self.git.text("merge-base", "--independent", *sorted(mine_heads | {theirs})).split()
        parents = sorted(Oid(tip) for tip in tips)
        return parents[0] if len(parents) == 1 else self._write_merge(parents)

    def _heads(self, tip: Oid) -> frozenset[Oid]:
        heads, waiting = set(), [tip]
        while waiting:
            commit = waiting.pop()
            found = self.git.read(commit)
            parents = parse_commit(found[2]).parents if found else ()
            if len(parents) > 1:
                waiting.extend(parents)
            else:
                heads.add(commit)
        return frozenset(heads)

    def _write_merge(self, parents: Sequence[Oid]) -> Oid:
        headers = dict(self.headers(parents))
        newest = max(
            (header.author.rpartition("> ")[2] for header in headers.values()), key=lambda date: (int(date.split()[0]), date)
        )
        text = f"merge {len(parents)} ledgers\n\nRun-Event: merge\n"
        # The first parent's tree: with an empty one the next push would send all code again.
        commit = commit_object(self.git, headers[parents[0]].tree, parents, f"{_JOINER} {newest}", text)
        keep = self.git.write_pack(self.git.pack([commit]))
        if keep is not None:
            keep.unlink(missing_ok=True)
        return commit.oid
