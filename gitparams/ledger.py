"""Ledger: the one ref that holds every entry, appended to by compare-and-swap and joined without conflicts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gitparams.entry import Header, alias_message, author_line, commit_object, message, parse_commit, run_files, tree_objects
from gitparams.errors import GitParamsError, LedgerError
from gitparams.git import Git, GitObject, RefMoved, TreeEntry
from gitparams.lockfile import LockFile
from gitparams.model import Event, Oid, Run, RunId
from gitparams.rights import make_folder, share

if TYPE_CHECKING:
    from gitparams.rewriting import Rewriting

REF = "refs/gitparams/runs"
TRACKING = "refs/gitparams/remotes"
_HERE = "recorded-here"
LOCK_PATIENCE = 5.0  # seconds without an append; the lock only spares lost races: then the compare-and-swap alone decides
LOCK_MOST = 60.0  # seconds, however many others append meanwhile
ATTEMPTS = 60
APPENDS_A_MAINTENANCE = 500
LOOSE_OBJECTS = 100
"""Entries of more objects than this that are appended together stay in one pack (as in git's fetch.unpackLimit)."""
T = TypeVar("T")


class RunPurged(LedgerError):
    """The run was removed for good, and nothing more of it is written."""


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
        here: whether a program of this repository made it, and not somebody whose run is brought in.
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
    here: bool = False


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
        self.is_purged: Callable[[RunId], bool] = lambda run: False
        """Tells whether a purge on the ledger names a run; the index knows, and `Repository` hands it over."""
        self._signs: bool | None = None

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
            LedgerError: git could not write it; the ledger is as it was. RunPurged: its run is gone for good.
        """

        def attempt(tip: Oid | None) -> Appended:
            draft = prepare(tip)
            if self.is_purged(draft.run.id):
                raise RunPurged(f"Run {draft.run.short_id} was purged: nothing is written of it.")
            appended = self._try(tip, draft)
            self.remember(appended.commit)
            if draft.here:
                self._note(appended.header.tree)
            if done is not None:
                done(appended)
            return appended

        appended = self._insist(attempt)
        self.git.settle(REF)
        self._maintain(appended.commit)
        return appended

    def append_all(
        self, prepare: Callable[[Oid | None], Sequence[Draft]], done: Callable[[Appended], None] | None = None
    ) -> list[Appended]:
        """Append entries one after another, in one pack and one move of the ref: all of them, or none.

        Args:
            prepare: makes the drafts from the tip they will follow; called again when another writer was faster. Those of
                runs that are gone for good are its own to leave out.
            done: as in `append`, for each entry in turn.

        Raises:
            LedgerError: git could not write them; the ledger is as it was.
        """

        def attempt(tip: Oid | None) -> list[Appended]:
            objects: dict[Oid, GitObject] = {}
            appended: list[Appended] = []
            packs: list[bytes] = []
            for draft in prepare(tip):
                before = appended[-1].commit if appended else tip
                made, commit = self._objects(before, draft)
                commit = self._signed(commit, made)
                objects.update((item.oid, item) for item in (*made, commit))
                packs += draft.packs
                appended.append(Appended(commit.oid, before, parse_commit(commit.data), draft))
            if appended:
                last = appended[-1]
                whole = [*packs, self.git.pack(list(objects.values()))]
                many = len(objects) > LOOSE_OBJECTS
                self._write(whole, last.commit, tip, lambda: self._lost(last.header.tree, last.draft), whole=many)
                self.remember(last.commit)
                for entry in appended:
                    if entry.draft.here:
                        self._note(entry.header.tree)
            if done is not None:
                for entry in appended:
                    done(entry)
            return appended

        appended = self._insist(attempt)
        self.git.settle(REF)
        if appended:
            self._maintain(appended[-1].commit)
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
            commit = self._signed(commit)
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
        commit = self._signed(commit, objects)
        header = parse_commit(commit.data)
        # After a lost race all is sent again: a gc may have taken meanwhile what no ref named.
        packs = [*draft.packs, self.git.pack([*objects, commit])]
        self._write(packs, commit.oid, tip, lambda: self._lost(header.tree, draft))
        return Appended(commit.oid, tip, header, draft)

    def _write(
        self, packs: Sequence[bytes], commit: Oid, tip: Oid | None, lost: Callable[[], bool], *, whole: bool = False
    ) -> None:
        """Write packs and move the ref to a commit of theirs; `lost` tells afterwards whether objects are gone.

        With `whole` the packs stay packs, as is right for many objects.
        """
        keeps: list[Path | None] = []
        try:
            keeps.extend([self.git.write_pack(pack, whole=whole) for pack in packs])
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
        return list({item.oid: item for item in (*blobs, tree)}.values()), commit

    def _signed(self, commit: GitObject, needed: Sequence[GitObject] = ()) -> GitObject:
        """Return the commit, signed where ``gitparams.sign`` says so; one that cannot be is never written unsigned.

        Args:
            commit: unsigned.
            needed: its tree and what that holds, as far as they are new: git signs no commit without its tree.
        """
        if self._signs is None:
            self._signs = self.git.flag("gitparams.sign")
        if not self._signs:
            return commit
        keep = self.git.write_pack(self.git.pack(needed)) if needed else None
        try:
            return self.git.signed(commit)
        finally:
            if keep is not None:
                keep.unlink(missing_ok=True)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with LockFile(self.folder / "ledger.lock") as lock:
            try:
                self.make_folder()
                self._take(lock)
            except OSError as error:
                if not os.access(self.git.place.common_dir, os.W_OK):
                    raise LedgerError(f"{self.git.place.common_dir} cannot be written: {error.strerror}.") from None
                # A file system without locks: the compare-and-swap alone suffices.
            yield

    def _take(self, lock: LockFile) -> None:
        """Take the lock, or let it be when nothing was appended for a while: who holds it then stands still.

        Among dozens of writers a turn takes longer than that, and who went on without it would lose races and win nothing.
        """
        until, seen = time.monotonic() + LOCK_MOST, self._last_append()
        while not lock.take(LOCK_PATIENCE):
            before, seen = seen, self._last_append()
            if seen == before or time.monotonic() > until:
                return

    def _last_append(self) -> int | None:
        """Return the time of the last append here, as far as it can be told."""
        try:
            return (self.folder / "tip").stat().st_mtime_ns
        except OSError:
            return None

    def make_folder(self) -> None:
        """Make the folder of what is not shared with other clones, for all who may use the repository. Raises `OSError`."""
        make_folder(self.folder, self.git.place.common_dir)

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
            self._jot("tip", tip)
        except OSError:
            pass  # a second memory, not the truth

    def _jot(self, name: str, oid: Oid, how: int = 0) -> None:
        descriptor = self._open(self.folder / name, os.O_WRONLY | how)
        try:
            os.write(descriptor, f"{oid}\n".encode())
        finally:
            os.close(descriptor)

    def _open(self, path: Path, how: int) -> int:
        try:
            return os.open(path, how)
        except FileNotFoundError:
            descriptor = os.open(path, how | os.O_CREAT, 0o666)
            share(path, self.git.place.common_dir)
            return descriptor

    # -- remember what was recorded here ------------------------------------------------------------------------------

    def _note(self, tree: Oid) -> None:
        """Keep that an entry was recorded here. Its tree tells it, since a purge makes commits anew and no tree."""
        with suppress(OSError):  # then it is not known
            self._jot(_HERE, tree, os.O_APPEND)

    def recorded_here(self, trees: Collection[Oid]) -> bool:
        """Tell whether entries were all recorded in this repository: no fetch writes that, and what is not known is a no.

        Args:
            trees: the trees of the entries.
        """
        missing = set(trees)
        if not missing:
            return False
        with suppress(OSError, UnicodeDecodeError), (self.folder / _HERE).open(encoding="ascii") as lines:
            for line in lines:
                missing.discard(Oid(line.rstrip("\n")))
        return not missing

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
        if tip is not None and (self.covers(tip, last) or self.explains(tip, last)):
            self.remember(tip)
            return None
        joined = self.join(tip, last) if tip is not None else last
        self.git.move_ref(REF, joined, tip)
        self.remember(joined)
        return last

    def covers(self, tip: Oid, old: Oid) -> bool:
        """Tell whether a tip has every entry that another has; a merge that joining made anew is not missed."""
        return self._contains(tip, old) or all(self._contains(tip, head) for head in self._heads(old))

    def _contains(self, tip: Oid, commit: Oid) -> bool:
        return self.git.run("merge-base", "--is-ancestor", commit, tip, check=False).returncode == 0

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

    def is_one(self, tip: Oid) -> bool:
        """Tell whether an object leads to a ledger: a commit with an entry of ours at its top or somewhere below.

        What an attacker or an accident left on top of entries is read as a run that is broken; somebody's code, pushed to our
        ref, is none of ours.
        """
        found = self.git.read(f"{tip}^{{commit}}")
        if found is None or found[1] != "commit":
            return False
        if parse_commit(found[2]).event:
            return True
        return any(header.event for _, header in self.headers(map(Oid, self.git.lines("rev-list", found[0]))))

    # -- adopt --------------------------------------------------------------------------------------------------------

    def adopt(self, tips: Sequence[Oid]) -> tuple[Oid | None, Oid | None]:
        """Join tips that came from elsewhere to the ledger, and return its tip before and after.

        Args:
            tips: commits that are here with all that they need; the last one is fast-forwarded.

        Raises:
            LedgerError: git could not move the ref, or a ledger that was cut cannot tell how it belongs to a tip.
        """

        def attempt(tip: Oid | None) -> tuple[Oid | None, Oid | None]:
            joined = tip
            for theirs in tips:
                self._check_related(joined, theirs)
                joined = theirs if joined is None else self.join(joined, theirs)
            if joined is not None and joined != tip:
                self._move_to(joined, tip)
            return tip, joined

        return self._insist(attempt)

    def _move_to(self, joined: Oid, tip: Oid | None) -> None:
        """Move the ref to a commit that a gc beside us may take until then."""
        found = self.git.read(joined)
        self.git.move_ref(REF, joined, tip)
        self.remember(joined)
        if found is not None and (self.git.collecting or self.git.read(joined) is None):
            keep = self.git.write_pack(self.git.pack([GitObject("commit", found[2], joined)]), whole=True)
            if keep is not None:
                keep.unlink(missing_ok=True)

    def _check_related(self, mine: Oid | None, theirs: Oid) -> None:
        """Refuse to join what may be one history but for the part that a shallow fetch left out."""
        if mine is None or not self.cut():
            return
        if self.git.run("merge-base", mine, theirs, check=False).returncode != 0:
            raise LedgerError(
                "The ledger here was cut by a shallow fetch, and lacks what it has in common with the other.",
                hint="git fetch --unshallow origin refs/gitparams/runs",
            )

    def cut(self) -> list[Oid]:
        """Return the entries at which a shallow fetch cut the ledger: what is older is elsewhere, and was never deleted."""
        try:
            words = (self.git.place.common_dir / "shallow").read_text("ascii").split()
        except (OSError, UnicodeDecodeError):
            return []
        return [commit for commit, header in self.headers(map(Oid, words)) if header.event and header.parents]

    def adopt_fetched(self) -> tuple[Oid | None, Oid | None]:
        """Join what a plain ``git fetch`` brought of the ledgers of remotes; return the tip before and after as `adopt`.

        Nothing is asked of git while that is what it was: then both are None.

        Raises:
            LedgerError: as `adopt`.
        """
        seen, known = sorted(set(self._tracked())), self.folder / "joined"
        try:
            new = set(seen).difference(known.read_text("ascii").split())
        except (OSError, UnicodeDecodeError):
            new = set(seen)
        if not new:
            return None, None
        tip = self.tip()
        lacking = [oid for oid in sorted(new) if self.is_one(oid) and (tip is None or not self._contains(tip, oid))]
        before, after = self.adopt(lacking) if lacking else (tip, tip)
        with suppress(OSError):  # it only spares asking again
            self.folder.mkdir(parents=True, exist_ok=True)
            known.write_text("".join(f"{oid}\n" for oid in seen), "ascii")
        return before, after

    def _tracked(self) -> Iterator[Oid]:
        """Yield what the tracking refs hold; those that git has packed are old news, and no process is started."""
        for folder, _, names in os.walk(self.git.place.common_dir / TRACKING):
            if "runs" in names:
                with suppress(OSError, UnicodeDecodeError):
                    text = Path(folder, "runs").read_text("ascii").strip()
                    if len(text) == len(self.git.zero) and not set(text) - set("0123456789abcdef"):
                        yield Oid(text)

    # -- join ---------------------------------------------------------------------------------------------------------

    def join(self, mine: Oid, theirs: Oid) -> Oid:
        """Return the tip that holds both ledgers, writing a merge where one is needed.

        While my tip is a merge it is replaced by its parents; their tip is kept; of these the ones that no other contains
        are kept, sorted. One left: that one; else one merge that every clone writes alike. So it converges with and
        without a hub, never makes a merge without a new entry, and always fast-forwards the remote.

        What either side has purged is taken from both first; then the result fast-forwards what becomes of their tip.

        Raises:
            LedgerError: there is a purge, and a ledger that was cut cannot tell what becomes of it.
        """
        here, there = self.without_purged(mine, theirs)
        if here is None or there is None:
            return here or there or theirs
        if (here, there) != (mine, theirs) and self._contains(here, there):
            return here
        return self._joined(here, there)

    def without_purged(self, mine: Oid, theirs: Oid) -> tuple[Oid | None, Oid | None]:
        """Return what two tips become without the runs that either side has purged; None where nothing is left of one.

        Raises:
            LedgerError: there is a purge, and a ledger that was cut cannot tell what becomes of it.
        """
        # What both hold was made without the runs of every purge on either side; so only the rest is looked at.
        purges = self.git.text("rev-list", "--basic-regexp", "--grep=^Run-Event: purge$", f"{mine}...{theirs}").split()
        if not purges:
            return mine, theirs
        from gitparams.rewriting import Rewriting, purged_by

        dead = {run for _, header in self.headers(map(Oid, purges)) for run in purged_by(header)}
        rewriting = Rewriting(self.git, dead)
        rewriting.follow_between(mine, theirs)
        if rewriting.partial:
            raise _cut_by_a_shallow_fetch()
        _let_go([rewriting.write()])
        return rewriting.became.get(mine, mine), rewriting.became.get(theirs, theirs)

    def explains(self, mine: Oid, theirs: Oid) -> bool:
        """Tell whether all that their tip has and mine lacks are runs that were purged on mine: then mine may replace it."""
        try:
            here, there = self.without_purged(mine, theirs)
        except GitParamsError:
            return False
        return here == mine and (there is None or self._contains(mine, there))

    def _joined(self, mine: Oid, theirs: Oid) -> Oid:
        mine_heads = self._heads(mine)
        if mine_heads == self._heads(theirs):
            return theirs
        tips = self.git.text("merge-base", "--independent", *sorted(mine_heads | {theirs})).split()
        parents = sorted(Oid(tip) for tip in tips)
        return parents[0] if len(parents) == 1 else self._write_merge(parents)

    def _heads(self, tip: Oid) -> frozenset[Oid]:
        heads, waiting, reached = set(), [tip], {tip}
        while waiting:
            commit = waiting.pop()
            found = self.git.read(commit)
            parents = parse_commit(found[2]).parents if found else ()
            if len(parents) > 1:
                waiting.extend(set(parents) - reached)
                reached.update(parents)
            else:
                heads.add(commit)
        return frozenset(heads)

    def _write_merge(self, parents: Sequence[Oid]) -> Oid:
        from gitparams.rewriting import merge_commit

        commit = merge_commit(self.git, {oid: (header.tree, header.author) for oid, header in self.headers(parents)})
        _let_go([self.git.write_pack(self.git.pack([commit]))])
        return commit.oid

    # -- purge --------------------------------------------------------------------------------------------------------

    def purge(
        self, dead: Collection[RunId], author: str, when: datetime, done: Callable[[Oid, Oid], object] | None = None
    ) -> Rewriting:
        """Rewrite the ledger without some runs, with an entry on top that names them; return what became of each commit.

        The commits that were there before stay in the repository until nothing refers to them and git collects them.

        Args:
            dead: the runs.
            author, when: ``Name <email>`` of who does it, and the time.
            done: called with the tip before and after, while the lock is still held.

        Raises:
            LedgerError: git could not write it, or the ledger was cut by a shallow fetch; the ledger is as it was.
        """
        from gitparams.rewriting import Rewriting, purge_message

        rewriting, keeps = Rewriting(self.git, dead), list[Path | None]()

        def follow(tip: Oid | None) -> None:
            if tip is not None and tip not in rewriting.became:
                rewriting.follow([tip], rewriting.followed)
            if rewriting.partial:
                raise _cut_by_a_shallow_fetch()

        def attempt(tip: Oid | None) -> Rewriting:
            if tip is None:
                raise LedgerError("There is no ledger yet.")
            follow(tip)  # what was appended meanwhile
            keeps.append(rewriting.write())  # git signs no commit without its parent
            made = self._signed(rewriting.above(rewriting.became[tip], author_line(author, when), purge_message(dead)))
            rewriting.add(made)
            keeps.append(rewriting.write())
            self.git.move_ref(REF, made.oid, tip)
            self.remember(made.oid)
            if done is not None:
                done(tip, made.oid)
            return rewriting

        try:
            follow(self.tip())  # it takes seconds at a hundred thousand entries, and nobody is kept waiting
            keeps.append(rewriting.write())
            return self._insist(attempt)
        finally:
            _let_go(keeps)


def _let_go(keeps: Iterable[Path | None]) -> None:
    for keep in keeps:
        if keep is not None:
            keep.unlink(missing_ok=True)


def _cut_by_a_shallow_fetch() -> LedgerError:
    return LedgerError(
        "The ledger here was cut by a shallow fetch, so nobody can tell what a purge makes of the rest.",
        hint="git fetch --unshallow origin refs/gitparams/runs",
    )
