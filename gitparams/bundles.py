"""Bundles: runs in one file, on their way to a machine that shares no network with this one.

A bundle of a repository is a git bundle of the ledger, or of what the ledger would be without the other runs: any git can
read it. Without a repository there is no ledger: the journals of runs that were kept aside are packed as they are.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gitparams.closing import Closing
from gitparams.entry import RUN, check_document
from gitparams.errors import FormatError, LedgerError, UsageError
from gitparams.git import Git, said
from gitparams.index import Filter, Index
from gitparams.journal import Journal, found_dead, journals
from gitparams.ledger import REF, Ledger
from gitparams.model import Oid, Run, RunId
from gitparams.values import decode_json

_GIT_BUNDLE = re.compile(rb"# v([23]) git bundle\n")
_JOURNALS = b"PK"
_LONGEST_HEADER = 1 << 20
_CHUNK = 1 << 20
_REPORTS = "capture"
_MEMBER = re.compile(
    r"([k-z]{16})/(run\.json|(?:series|heard|joined|changes)\.jsonl|packages\.txt|output\.log(?:\.1)?|joined|capture/[\w.-]+)"
)
"""The files of a journal that travel; not ``code.pack``, whose objects nobody could tell from another's."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What came of a bundle.

    Attributes:
        runs: the ids of the runs of which it brought something new, in the order in which they were begun.
        purged: the ids of runs that are here and that it would remove for good; nothing was brought in then.
        unread: the ids of runs with entries in it that cannot be read; they came along as they are, as by a pull.
        strays: how many commits of no run came along.
    """

    runs: tuple[RunId, ...]
    purged: tuple[RunId, ...] = ()
    unread: tuple[RunId, ...] = ()
    strays: int = 0


@dataclass(frozen=True, slots=True)
class _News:
    """What a bundle has that is not here: the runs with entries that can be read, oldest first, and the rest as `Brought`."""

    runs: tuple[RunId, ...]
    unread: tuple[RunId, ...]
    strays: int


class Bundles:
    """The bundles of one repository.

    Args:
        git, ledger, index: the repository's.
        closing: brings journals to the ledger.
    """

    def __init__(self, git: Git, ledger: Ledger, index: Index, closing: Closing) -> None:
        self.git, self.ledger, self.index, self.closing = git, ledger, index, closing

    # -- out ----------------------------------------------------------------------------------------------------------

    def write(self, path: Path, runs: Collection[RunId] | None = None) -> list[RunId]:
        """Write runs into a bundle, and return their ids; a file that is there is replaced when the new one is whole.

        Args:
            path: the file.
            runs: the runs, and with a group those within it; None for the whole ledger.

        Raises:
            LedgerError: there are no runs, or git could not write the file.
        """
        tip = self.ledger.tip()
        known = self.index.ids(Filter(groups=True)) + self.index.ids(Filter(groups=True, deleted=True))
        if tip is None or not known:
            raise LedgerError("There are no runs to export.", hint="gitparams run -- python train.py")
        if runs is None:
            self._bundle(self.git, path)
            return known
        chosen = self._with_children(runs)
        with self._beside() as other:
            other.move_ref(REF, self._without(other, tip, set(known) - chosen), None)
            self._bundle(other, path)
        return [run for run in known if run in chosen]

    def _with_children(self, runs: Collection[RunId]) -> set[RunId]:
        chosen, waiting = set(runs), list(runs)
        while waiting:
            run = self.index.run(waiting.pop())
            if isinstance(run, Run) and run.group:
                within = set(self.index.ids(Filter(parent=run.id, groups=True))) - chosen
                chosen |= within
                waiting += within
        return chosen

    def _without(self, other: Git, tip: Oid, others: Collection[RunId]) -> Oid:
        """Return the tip of the ledger as it would be without other runs: not a value of theirs is in a message, either."""
        from gitparams.rewriting import Rewriting

        rewriting = Rewriting(other, others, nobodys=True)
        rewriting.follow([tip])
        left = rewriting.became[tip]
        keep = rewriting.write()
        if keep is not None:
            keep.unlink(missing_ok=True)
        if left is None:
            raise LedgerError("There are no runs to export.", hint="gitparams log")
        return left

    def _bundle(self, git: Git, path: Path) -> None:
        done = git.run("bundle", "create", "--quiet", str(path.absolute()), REF, check=False)
        if done.returncode != 0:
            raise LedgerError(f"{path} could not be written: {said(done.stderr)}")

    # -- in -----------------------------------------------------------------------------------------------------------

    def read(self, path: Path, *, purge: bool = False) -> Brought:
        """Bring in the runs of a bundle, with their own times; what is here already stays as it is, so twice does nothing.

        Nothing is brought in before all of it was looked at: a bundle comes from anybody. What cannot be read is no reason to
        refuse the rest.

        Args:
            path: a file that `write` or `write_journals` wrote, or ``git bundle create`` of a ledger.
            purge: whether runs of this repository may go that were removed for good where the bundle was made.

        Raises:
            UsageError: it cannot be read, is no bundle, was cut, or builds upon entries that are not here.
            LedgerError: it is no ledger, has another run under an id of ours, or the ledger could not be written.
        """
        try:
            with path.open("rb") as file:
                head = file.read(_LONGEST_HEADER)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
        if head.startswith(_JOURNALS):
            return self._read_journals(path)
        tip = self._tip_of(path, head)
        if self._holds(tip):
            return Brought(())
        with self._beside() as other:
            self._fetch(other, path, f"+{REF}:{REF}", path)
            if other.ref(REF) != tip:
                raise UsageError(f"{path} holds another ledger than it says.")
            news = self._news(other, tip, path)
            named, aliases = self._told_of_others(other, tip)
            dead = tuple(sorted(run for run in named if self.index.trees_of(run)))
            if dead and not purge:
                return Brought((), dead)
            if not (news.runs or news.unread or aliases or any(not self.index.is_purged(run) for run in named)):
                return Brought(())
            self._fetch(self.git, other.place.git_dir, REF, path)
        self.ledger.adopt([tip])
        self.index.catch_up(self.ledger.tip())
        runs, unread = (tuple(run for run in some if self.index.trees_of(run)) for some in (news.runs, news.unread))
        return Brought(runs, unread=unread, strays=news.strays)

    def _tip_of(self, path: Path, head: bytes) -> Oid:
        """Return the ledger's tip that the header of a git bundle names. Raises `UsageError`."""
        version = _GIT_BUNDLE.match(head)
        if version is None:
            raise UsageError(f"{path} is no bundle.", hint="gitparams export bundle FILE   (writes one)")
        text, empty, _ = head.partition(b"\n\n")
        lines = text.decode("utf-8", "replace").split("\n")[1:]
        if not empty:
            raise UsageError(f"{path} was cut: its header has no end.")
        hashed = next((line.partition("=")[2] for line in lines if line.startswith("@object-format=")), "sha1")
        if hashed != self.git.place.hash_name:
            raise UsageError(f"{path} is of a {hashed} repository, and this one is {self.git.place.hash_name}.")
        missing = [word[1:] for line in lines for word in line.split(" ")[:1] if word[:1] == "-" and self._lacks(word[1:])]
        if missing:
            lacking = f"entries that are not here ({missing[0][:10]})"
            raise UsageError(f"{path} builds upon {lacking}: bring in the earlier ones first.")
        tips = [line.partition(" ")[0] for line in lines if line.partition(" ")[2] == REF]
        if len(tips) != 1 or not self._is_oid(tips[0]):
            raise UsageError(f"{path} holds no runs: {REF} is not in it.", hint="gitparams export bundle FILE   (writes one)")
        return Oid(tips[0])

    def _is_oid(self, word: str) -> bool:
        return len(word) == len(self.git.zero) and re.fullmatch("[0-9a-f]+", word) is not None

    def _lacks(self, word: str) -> bool:
        return not self._is_oid(word) or self.git.read(word) is None

    def _holds(self, tip: Oid) -> bool:
        mine = self.ledger.tip()
        contains = ("merge-base", "--is-ancestor", tip, mine or "")
        return mine is not None and self.git.run(*contains, check=False).returncode == 0

    def _fetch(self, git: Git, source: Path, refspec: str, path: Path) -> None:
        """Fetch a ledger as `pull` does, looking at every object on the way. Raises `UsageError`."""
        words = ("--quiet", "--no-write-fetch-head", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance")
        checked = ("-c", "fetch.fsckObjects=true", "-c", "protocol.file.allow=always")
        done = git.run(*checked, "fetch", *words, "--refmap=", str(source.absolute()), refspec, check=False)
        if done.returncode != 0:
            raise UsageError(f"{path} cannot be brought in, it was cut or is damaged: {said(done.stderr)}")

    def _news(self, other: Git, tip: Oid, path: Path) -> _News:
        """Return what a bundle has that is not here.

        Raises:
            LedgerError: it is no ledger, or a run has the id of another one here.
        """
        if not Ledger(other).is_one(tip):
            raise LedgerError(f"{path} is no ledger: {tip[:10]} is no entry of a run.")
        runs: dict[RunId, bool] = {}
        fresh: list[tuple[Oid, RunId, bool]] = []
        strays = 0
        for _, header in Ledger(other).headers(self._commits(other, tip)):
            if header.run is None:
                strays += header.of_run
            elif header.of_run:
                fresh.append((header.tree, header.run, not header.prev))
        there = self.index.known_trees([tree for tree, _, _ in fresh])
        for tree, run, first in fresh:
            if tree not in there:
                runs[run] = self._can_be_read(other, tree, run, first, path) and runs.get(run, True)
        read, unread = (tuple(run for run, can in runs.items() if can is wanted) for wanted in (True, False))
        return _News(read, unread, strays)

    def _commits(self, other: Git, tip: Oid) -> Iterator[Oid]:
        mine = self.ledger.tip()
        for line in other.lines("rev-list", "--topo-order", "--reverse", tip, *([f"^{mine}"] if mine else [])):
            yield Oid(line)

    def _can_be_read(self, other: Git, tree: Oid, run: RunId, first: bool, path: Path) -> bool:
        """Tell whether an entry is one of its run. Raises `LedgerError` when the run has the id of another one here."""
        found = other.read(f"{tree}:{RUN}")
        try:
            document = decode_json(found[2]) if found else None
            if not isinstance(document, dict):
                return False
            check_document(document)
        except (ValueError, FormatError, RecursionError):
            return False
        if document["id"] != run:
            return False
        here = self.index.run(run) if first else None
        if isinstance(here, Run) and document["started"] != here.started.isoformat():
            raise LedgerError(f"{path} has another run under the id of run {run[:8]}, begun at {document['started']}.")
        return True

    def _told_of_others(self, other: Git, tip: Oid) -> tuple[set[RunId], bool]:
        """Return the runs that the purges of a bundle name, and whether it has an alias that is not known here."""
        from gitparams.rewriting import purged_by

        named: set[RunId] = set()
        pairs: set[tuple[Oid, Oid]] = set()
        for _, header in Ledger(other).headers(self._commits(other, tip)):
            named |= purged_by(header)
            pairs.update(header.aliases)
        return named, not pairs <= self.index.aliases_of([old for old, _ in pairs])

    @contextmanager
    def _beside(self) -> Iterator[Git]:
        """Give a repository that reads ours and whose own objects are gone afterwards: what is refused never came here."""
        with self._folder() as folder, self.git.beside(folder) as other:
            yield other

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        try:
            self.ledger.folder.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix="incoming-", dir=self.ledger.folder))
        except OSError as error:
            raise LedgerError(f"{self.ledger.folder} cannot be written: {error.strerror}.") from None
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # -- journals -----------------------------------------------------------------------------------------------------

    def _read_journals(self, path: Path) -> Brought:
        with self._folder() as folder:
            unpack_journals(path, folder)
            for journal in journals(folder):
                self._check_journal(journal, path)
            return Brought(tuple(run.id for run in self.closing.bring_in(folder, anywhere=True)))

    def _check_journal(self, journal: Journal, path: Path) -> None:
        """Refuse a journal that cannot be read or is another run's; drop one that is on the ledger already."""
        try:
            state = journal.read()
            if state.run.id != journal.id:
                raise FormatError(f"it is that of {state.run.id}.")
        except FormatError as error:
            raise LedgerError(f"{path} holds a run that cannot be read, {journal.id[:8]}: {error}") from None
        if self.ledger.is_purged(journal.id):
            journal.remove()
            return
        here = self.index.run(journal.id)
        if not isinstance(here, Run):
            return
        if here.started != state.run.started:
            raise LedgerError(f"{path} has another run under the id of run {journal.id[:8]}, begun at {state.run.started}.")
        if here.status.finished:
            journal.remove()


def write_journals(path: Path, spools: Sequence[Path]) -> list[RunId]:
    """Pack the runs of spools into one file, and return their ids; they stay where they are, and such as go on are left out.

    Raises:
        LedgerError: there are none, or the file cannot be written.
    """
    waiting = [journal for spool in spools for journal in journals(spool) if _is_over(journal)]
    if not waiting:
        raise LedgerError("There are no runs to export: none was kept aside.")
    temporary = path.with_name(f"{path.name}.new")
    try:
        # Not compressed: then it cannot grow when it is unpacked, and whoever unpacks it need not fear that.
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as packed:
            for journal in waiting:
                with _ended(journal) as whole:
                    _pack(packed, whole)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise LedgerError(f"{path} could not be written: {error.strerror or error}.") from None
    return [journal.id for journal in waiting]


def _is_over(journal: Journal) -> bool:
    with suppress(FormatError):
        return not journal.alive() and journal.read() is not None
    return False


@contextmanager
def _ended(journal: Journal) -> Iterator[Journal]:
    """Give a journal that says how its run ended: only here can it be known that its process is gone."""
    if journal.read().ending is not None:
        yield journal
        return
    with tempfile.TemporaryDirectory(prefix="gitparams-") as folder:
        copy = journal.saved_to(Path(folder))
        copy.end(found_dead(journal.folder))
        copy.close()
        yield copy


def _pack(packed: zipfile.ZipFile, journal: Journal) -> None:
    for file in sorted([*journal.folder.iterdir(), *(journal.folder / _REPORTS).glob("*")]):
        member = f"{journal.id}/{file.relative_to(journal.folder).as_posix()}"
        if _MEMBER.fullmatch(member) and file.is_file():
            packed.write(file, member)


def unpack_journals(path: Path, folder: Path) -> None:
    """Unpack what `write_journals` packed, and nothing else, into a folder.

    Raises:
        UsageError: it is cut or damaged, or holds what is not part of a journal.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            members = packed.infolist()
            for member in members:
                _check_member(member, path)
            if len({member.filename for member in members}) != len(members):
                raise UsageError(f"{path} holds a file twice.")
            for number, member in enumerate(members):
                _unpack(packed, member, folder / member.filename)
                os.utime(folder / member.filename, (number, number))  # long ago: nobody is at work on it any more
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, OSError) as error:
        raise UsageError(f"{path} cannot be brought in, it was cut or is damaged: {error}") from None


def _check_member(member: zipfile.ZipInfo, path: Path) -> None:
    if _MEMBER.fullmatch(member.filename) is None or ".." in member.filename.split("/"):
        raise UsageError(f"{path} is no bundle of runs: {member.filename!r} is in it.")
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise UsageError(f"{path} is no bundle of runs: {member.filename!r} is compressed.")


def _unpack(packed: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with packed.open(member) as source, place.open("xb") as target:
        _copy(source, target)


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while data := source.read(_CHUNK):
        target.write(data)
