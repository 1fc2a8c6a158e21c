"""Index: a SQLite mirror of the ledger, for questions that git answers slowly. Disposable: any doubt ends in rebuilding it.

Each run has one row: the fields that lists are sorted and filtered by, its run.json, and its params and metrics as flat
documents in which a value carries its type, so that SQL compares numbers with numbers and text with text.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gitparams.entry import (
    METRICS,
    PARAMS,
    RUN,
    Header,
    author_of,
    check_document,
    check_format,
    read_event,
    read_run,
    run_document,
)
from gitparams.errors import FormatError, GitParamsError, RunNotFound, UsageError
from gitparams.flat import decode_flat, flat_document, flat_key, key_of, keys_of, nested_of, no_collecting
from gitparams.git import TOO_LARGE, Git
from gitparams.ledger import Appended, Ledger
from gitparams.model import EventKind, Oid, Run, RunId, Status
from gitparams.params import path_keys, path_text
from gitparams.rights import make_folder, share
from gitparams.values import Value, decode_json, encode_json

if TYPE_CHECKING:
    from gitparams.query import Query
    from gitparams.reading import Applied, Rules
    from gitparams.versions import Version

SCHEMA = 7
MOST_JSON = 16 << 20
"""Bytes of a run.json, params.json or metrics.json that are read; twenty times as much memory may come of it."""
_BATCH = 2000
# A run may be ended in another thread than it was begun in; one thread at a time is its caller's affair.
_OPENED: dict[str, Any] = {"isolation_level": None, "check_same_thread": False}
_BUSY_SECONDS = 10.0

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
  tree TEXT NOT NULL, run TEXT NOT NULL, event TEXT NOT NULL, author TEXT NOT NULL, prev TEXT NOT NULL,
  PRIMARY KEY (tree, run, event, author, prev)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
  id TEXT PRIMARY KEY, started REAL NOT NULL, experiment TEXT, status TEXT, name TEXT, commit_id TEXT, parent TEXT,
  hidden INTEGER NOT NULL, author TEXT NOT NULL, trees TEXT NOT NULL, broken TEXT,
  document TEXT, params TEXT NOT NULL, metrics TEXT NOT NULL, ruled TEXT, raw TEXT
);
CREATE TABLE IF NOT EXISTS aliases (new TEXT NOT NULL, old TEXT NOT NULL, PRIMARY KEY (new, old)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS purged (run TEXT NOT NULL, author TEXT NOT NULL, PRIMARY KEY (run, author)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (document TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (document, key)) WITHOUT ROWID;
"""
_INDEXES = {
    "entries_of_run": "entries (run)",
    "runs_by_time": "runs (hidden, started DESC, id)",
    "runs_before": "runs (experiment, status, hidden, started)",
    "runs_by_name": "runs (name) WHERE name IS NOT NULL",
    "runs_by_commit": "runs (commit_id, started)",
    "runs_by_parent": "runs (parent) WHERE parent IS NOT NULL",
    "runs_running": "runs (id) WHERE status = 'running'",
}
_LOADING_PAGES = -65536  # KiB
_MOST_MAPPED = 1 << 40  # bytes; SQLite's own bound is lower
# each makes every new run a little slower
_MOST_KEY_INDEXES = 100
# Shown 0, deleted 1, group 2: one small number, so that counting and listing need one index.
_SHOWN, _DELETED, _GROUP = 0, 1, 2

Function = tuple[str, int, Callable[..., Any]]
"""A function that SQL calls: its name, how many arguments it takes (-1: any number), and itself."""

Progress = Callable[[int, int], None]
"""Called with how many runs were read and how many there are."""


@dataclass(frozen=True, slots=True)
class BrokenRun:
    """A run whose newest entry cannot be read: what is known of it, and why."""

    id: RunId
    started: datetime
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A run in a list, and the run before it."""

    run: Run | BrokenRun
    before: Run | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which runs a list holds.

    Attributes:
        experiment, status, name, commit: the field's value.
        since, until: bounds of the start time, both included; after: a bound that is not.
        changed: paths of params, beginnings of them or globs; a run is kept when one differs from the run before it.
        deleted: the deleted runs instead of the others.
        groups: the groups as well.
        parent: the run they belong to.
        where: a compiled expression; runs that cannot be read never meet it.
        author: a part of the author's name or address, in any case.
        grep: a part of the name, the note or a tag, in any case.
        ids: the runs to choose from.
        code: the code commits to choose from.
    """

    experiment: str | None = None
    status: str | None = None
    commit: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: datetime | None = None
    changed: tuple[str, ...] = ()
    deleted: bool = False
    groups: bool = False
    parent: str | None = None
    where: Query | None = None
    author: str | None = None
    grep: str | None = None
    ids: tuple[str, ...] | None = None
    code: OfCommits | None = None


class OfCommits(NamedTuple):
    """The runs recorded at some commits, and others that belong to them."""

    commits: tuple[Oid, ...]
    runs: tuple[RunId, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """A value that runs are sorted by: numbers first, then the rest, and runs without it last, in both directions.

    Attributes:
        sql: the typed value, as the flat documents have it, or NULL.
        descending: the greatest first.
        functions: what the SQL calls.
    """

    sql: str
    descending: bool = False
    functions: tuple[Function, ...] = ()


CodeKey = Literal["tree", "patch_id", "headline"]
"""What of a run's code outlives a rewrite of its commit."""


class Located(NamedTuple):
    """A run, the commit it was recorded at, the tree of its code, and whether files differed from the commit."""

    run: RunId
    commit: Oid | None
    tree: Oid | None
    dirty: bool


class _Keys(NamedTuple):
    """Flat keys that rows of runs have."""

    params: set[str]
    metrics: set[str]


class Ruled(NamedTuple):
    """What the rules for old runs did to a run: the notes, and the written path of a param as recorded → as it is read."""

    notes: tuple[str, ...] = ()
    moved: Mapping[str, str] = MappingProxyType({})


class _Entry(NamedTuple):
    """A row of the entries."""

    tree: Oid
    run: RunId
    event: str
    author: str
    prev: str


def _entry(header: Header, run: RunId) -> _Entry:
    return _Entry(header.tree, run, sys.intern(header.event), header.author, " ".join(header.prev))


class Index:
    """The mirror of one repository's ledger. Open it with `Index.open`, and close it."""

    def __init__(self, git: Git, ledger: Ledger, connection: sqlite3.Connection, progress: Progress | None = None) -> None:
        self.git, self.ledger, self.connection, self.progress = git, ledger, connection, progress
        self._added: tuple[str, Run | None] = ("", None)  # the newest run of ours, by its tree: most often the one before
        self._keys = _Keys(set(), set())  # of the rows that were made; and the keys that are in their table for certain
        self._noted: dict[str, set[str]] = {"params": set(), "metrics": set()}
        self._taught: tuple[sqlite3.Connection | None, set[str]] = (None, set())
        self._rules: tuple[str, Rules | None] = ("", None)  # the rules that new rows are read by, as they are kept and parsed

    @classmethod
    def open(cls, git: Git, ledger: Ledger, progress: Progress | None = None) -> Index:
        """Open the index; made anew when missing, damaged or of another version, in memory when nothing can be written."""
        path = ledger.folder / "index.db"
        try:
            connection = _connect(path)
        except (sqlite3.Error, OSError) as error:
            busy = isinstance(error, sqlite3.DatabaseError) and _is_busy(error)
            connection = _in_memory(path) if busy else _replaced(path)  # never taken away below those who work with it
        return cls(git, ledger, connection, progress)

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    # -- keeping up ---------------------------------------------------------------------------------------------------

    def catch_up(self, tip: Oid | None) -> None:
        """Mirror the ledger up to `tip`. Cheap when nothing is new."""
        try:
            if self._tip() != tip:
                self._mirror(tip)
        except sqlite3.DatabaseError as error:
            if _is_busy(error):
                return  # another process is at it: what is here is a little older, and still true
            self.rebuild(tip)
        except GitParamsError:
            self.rebuild(tip)  # the old tip is gone from git: the ledger was rewritten

    def add(self, appended: Appended) -> None:
        """Mirror an entry that this process just appended, when the index stands right before it."""
        draft, header = appended.draft, appended.header
        try:
            with self._writing():
                if self._tip() != appended.before:
                    return
                self._insert_entries([_entry(header, draft.run.id)])
                row = _row(draft.run, [header.tree], encode_document(run_document(draft.run, draft.event)), self._keys)
                if len(self._heads(draft.run.id)) > 1:
                    row = self._read_row(draft.run.id)
                self._insert_rows([row])
                self._set_tip(appended.commit)
            self._added = (header.tree, draft.run) if self._rules[1] is None else ("", None)
        except (sqlite3.Error, GitParamsError):
            pass  # the mirror; the next reader catches up

    def _mirror(self, tip: Oid | None) -> None:
        if tip is not None and self._tip() is None:
            self._load(tip)
        with self._writing():
            known = self._tip()
            if known == tip:
                return
            if tip is None:
                for table in ("runs", "entries", "keys", "aliases", "purged"):
                    self.connection.execute(f"DELETE FROM {table}")
                self._forget_keys()
            else:
                self._mirror_between(known, tip)
            self._set_tip(tip)

    def _load(self, tip: Oid) -> None:
        """Mirror a whole ledger, some thousand runs at a time: what was read stays when somebody interrupts.

        The indexes come after the rows, and few pages are written twice.
        """
        self.connection.execute(f"PRAGMA cache_size = {_LOADING_PAGES}")
        with no_collecting():
            begun = self._begin_loading(tip)
            if begun is not None:
                self._load_rows(begun)

    def _begin_loading(self, tip: Oid) -> Oid | None:
        """Mirror the entries, and return up to which one; None when another process has loaded all."""
        with self._writing():
            if self._tip() is not None:
                return None
            begun = self.remembered(_LOADING)
            if begun is None:
                for name in _INDEXES:
                    self.connection.execute(f"DROP INDEX IF EXISTS {name}")
                self._insert_entries(sorted(self._entries(self.ledger.between(None, tip)[0])))
                self.remember(_LOADING, tip)
        return Oid(begun or tip)

    def _load_rows(self, begun: Oid) -> None:
        everything = [_Entry(*row) for row in self.connection.execute("SELECT tree, run, event, author, prev FROM entries")]
        newest = _newest_of(everything)
        there = {RunId(row[0]) for row in self.connection.execute("SELECT id FROM runs")}
        authors, done = _authors(everything), len(there)
        for batch in _batches([(run, trees[0]) for run, trees in newest.items() if len(trees) == 1 and run not in there]):
            with self._writing():
                if self.remembered(_LOADING) != begun:
                    return  # another process was faster
                self._insert_rows(self._read_rows(batch, authors))
            done += len(batch)
            if self.progress is not None:
                self.progress(done, len(newest))
        with self._writing():
            if self.remembered(_LOADING) != begun:
                return
            self._insert_rows([self._read_row(run) for run, trees in newest.items() if len(trees) > 1])
            for name, columns in _INDEXES.items():
                self.connection.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {columns}")
            self.connection.execute("DELETE FROM meta WHERE key = ?", (_LOADING,))
            self._set_tip(begun)

    def _entries(self, commits: Sequence[Oid]) -> Iterator[_Entry]:
        for commit, header in self.ledger.headers(commits):
            if header.of_run:
                yield _entry(header, header.run or _stand_in(commit))
            else:
                self.connection.executemany("INSERT OR IGNORE INTO aliases (old, new) VALUES (?, ?)", header.aliases)
                self._note_purged(header)

    def _note_purged(self, header: Header) -> None:
        if header.event == EventKind.PURGE:
            from gitparams.rewriting import purged_by

            dead = purged_by(header)
            if self._tip() is not None and (new := dead - self.purged(dead)):
                self.remember(_LEARNED, " ".join(sorted({*new, *self.learned})))
            rows = ((run, header.author) for run in dead)
            self.connection.executemany("INSERT OR IGNORE INTO purged (run, author) VALUES (?, ?)", rows)

    def _mirror_between(self, known: Oid | None, tip: Oid) -> None:
        added, dropped = self.ledger.between(known, tip)
        gone = set[_Entry]()
        for commit, header in self.ledger.headers(dropped):
            if header.of_run:
                gone.add(_entry(header, header.run or _stand_in(commit)))
            else:
                self._delete_aside(header)
        new = dict.fromkeys(self._entries(added))
        # A purge makes the commits above it anew, and most of them are the entries that they were before.
        lost, fresh = [entry for entry in gone if entry not in new], [entry for entry in new if entry not in gone]
        where = "(tree, run, event, author, prev) = (?, ?, ?, ?, ?)"
        self.connection.executemany(f"DELETE FROM entries WHERE {where}", lost)
        self._insert_entries(fresh)
        self._refresh({entry.run for entry in (*lost, *fresh)})

    def _refresh(self, touched: set[RunId]) -> None:
        """Rewrite the rows of some runs."""
        newest = {run: self._heads(run) for run in touched}
        authors = {run: self._author(run) for run in newest}
        simple = [(run, trees[0]) for run, trees in newest.items() if len(trees) == 1]
        done, gone = 0, False
        for batch in _batches(simple):
            self._insert_rows(self._read_rows(batch, authors))
            done += len(batch)
            if self.progress is not None:
                self.progress(done, len(newest))
        for run, trees in newest.items():
            if len(trees) > 1:
                self._insert_rows([self._read_row(run)])
            elif not trees:
                self.connection.execute("DELETE FROM runs WHERE id = ?", (run,))
                gone = True
        if gone:
            self._recollect_keys()

    def rebuild(self, tip: Oid | None) -> None:
        """Make the index anew."""
        path = self.ledger.folder / "index.db"
        self.connection.close()
        self.connection = _replaced(path)
        self._forget_keys()
        if self._rules[0]:
            self.remember(_RULES, self._rules[0])
        if tip is not None:
            self._mirror(tip)

    # -- what was purged ----------------------------------------------------------------------------------------------

    def is_purged(self, run: RunId) -> bool:
        """Tell whether a purge on the ledger names a run."""
        return bool(self.connection.execute("SELECT 1 FROM purged WHERE run = ? LIMIT 1", (run,)).fetchone())

    def purged(self, among: Iterable[RunId] | None = None) -> frozenset[RunId]:
        """Return the runs that purges on the ledger name; of some runs, if they are given."""
        if among is None:
            return frozenset(RunId(row[0]) for row in self.connection.execute("SELECT run FROM purged"))
        return frozenset(run for run in among if self.is_purged(run))

    def forget(self, dead: Collection[RunId], author: str, before: Oid, after: Oid) -> bool:
        """Mirror a purge of this process without reading the ledger anew: all other runs are what they were.

        Args:
            dead: the runs that the purge names.
            author: the author line of its entry.
            before, after: the ledger's tip before and after it.

        Returns:
            False when the index stands elsewhere, or is busy; then it has to catch up.
        """
        try:
            with self._writing():
                nameless = self.connection.execute("SELECT 1 FROM entries WHERE run GLOB '[?]*' LIMIT 1").fetchone()
                if self._tip() != before or nameless:
                    return False
                for table, column in (("entries", "run"), ("runs", "id")):
                    self.connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", ((run,) for run in dead))
                self.connection.executemany("INSERT OR IGNORE INTO purged VALUES (?, ?)", ((run, author) for run in dead))
                self._recollect_keys()
                self._set_tip(after)
        except sqlite3.DatabaseError:
            return False
        self._added = ("", None)
        return True

    @property
    def learned(self) -> frozenset[RunId]:
        """The runs that turned out to be purged, until somebody has looked at what else holds them, and said so."""
        return frozenset(map(RunId, (self.remembered(_LEARNED) or "").split()))

    def forget_learned(self) -> None:
        """Say that what else held the purged runs was looked at."""
        with suppress(sqlite3.OperationalError):
            self.connection.execute("DELETE FROM meta WHERE key = ?", (_LEARNED,))

    def scrub(self) -> bool:
        """Leave no byte of what is not in the index any more: not in its free pages, its log, or the names of its indexes.

        Returns:
            False when the file could not be cleaned, since it cannot be written or another process is reading it.
        """
        try:
            for (name,) in self.connection.execute("SELECT name FROM sqlite_master WHERE name GLOB 'key_*'").fetchall():
                self.connection.execute(f'DROP INDEX "{name}"')
            self.connection.execute("PRAGMA secure_delete = ON")
            self.connection.execute("VACUUM")
            busy = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.DatabaseError:
            return False
        in_memory = not self.connection.execute("PRAGMA database_list").fetchone()[2]
        return not busy and not (in_memory and (self.ledger.folder / "index.db").exists())

    # -- rules for old runs -------------------------------------------------------------------------------------------

    def follow(self, rules: Rules | None, resolve: Callable[[str], datetime | None]) -> None:
        """Read all runs by these rules from now on; the rows are remade where other rules made them.

        It goes on where another process left off. Until it is through, rows not reached yet are as the earlier rules read them.

        Args:
            rules: the rules of gitparams.yaml; None where it has none.
            resolve: as in `Rules.bound`; asked only when the rules are new to this index.

        Raises:
            ParamsFileError: a bound of theirs is neither a date, a code revision nor a run.
        """
        kept, place = self.remembered(_RULES) or "", self.remembered(_REMAKING)
        wanted = rules.digest if rules else ""
        if (json.loads(kept)["digest"] if kept else "") != wanted:
            kept, place = rules.bound(resolve).to_keep() if rules else "", ""
            with suppress(sqlite3.OperationalError), self._writing():
                self._begin_remaking(kept)
        if place is not None:
            self._remake(kept)

    def ruled(self, run: str) -> Ruled:
        """Return what the rules did to the run of a whole id."""
        row = next(iter(self._ask("SELECT ruled FROM runs WHERE id = ?", (run,))), None)
        if row is None or row[0] is None:
            return Ruled()
        notes, moved = json.loads(row[0])
        return Ruled(tuple(notes), moved)

    def _begin_remaking(self, text: str) -> None:
        self.remember(_RULES, text)
        self.remember(_REMAKING, "")
        self.connection.execute("DELETE FROM keys")
        for (name,) in self.connection.execute("SELECT name FROM sqlite_master WHERE name GLOB 'key_*'").fetchall():
            self.connection.execute(f'DROP INDEX "{name}"')  # changing one would be slower than making it anew when asked for

    def _remake(self, text: str) -> None:
        """Read rows by the rules that are kept, some thousand at a time, until all are, or other rules are kept."""
        self._rules = (text, _kept_rules(text))
        self._forget_keys()
        every, done = int(self.connection.execute("SELECT count(*) FROM runs").fetchone()[0]), 0
        going = True
        while going:
            try:
                with self._writing():
                    place = self.remembered(_REMAKING)
                    going = place is not None and (self.remembered(_RULES) or "") == text
                    if going:
                        made = self._remake_from(str(place))
                        going = made == _BATCH
                        done += made
            except sqlite3.DatabaseError as error:
                if not _is_busy(error):
                    self.rebuild(self.ledger.tip())
                return  # another process is at it, or all is new
            if self.progress is not None:
                self.progress(min(done, every), every)
        self._added = ("", None)

    def _remake_from(self, place: str) -> int:
        rules, new = self._rules_now(), list[tuple[str, str]]()
        sql = f"SELECT {_EVERYTHING}, ruled, raw FROM runs WHERE id > ? ORDER BY id LIMIT {_BATCH}"
        rows = self.connection.execute(sql, (place,)).fetchall()
        remade = [self._with_keys(_ruled_row(_row_as_recorded(row), rules), new) for row in rows]
        self.connection.executemany(_REMADE, [(*now[11:], now[0]) for was, now in zip(rows, remade, strict=True) if now != was])
        self.connection.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?)", new)
        if len(rows) < _BATCH:
            self.connection.execute("DELETE FROM meta WHERE key = ?", (_REMAKING,))
        else:
            self.remember(_REMAKING, rows[-1][0])
        return len(rows)

    def _rules_now(self) -> Rules | None:
        """Return the rules that rows are made by; another process may have changed them since the last one."""
        text = self.remembered(_RULES) or ""
        if text != self._rules[0]:
            self._forget_keys()
            self._rules = (text, _kept_rules(text))
        return self._rules[1]

    # -- runs that go on ----------------------------------------------------------------------------------------------

    def going(self) -> list[tuple[Run, str]]:
        """Return the runs that are recorded as running, however they are shown, each with the time of its newest event."""
        rows = self._ask(f"SELECT {_COLUMNS} FROM runs AS r WHERE r.status = 'running'")
        for run, (status, trees) in self._shown().items():
            where = "r.id = ? AND r.status = ? AND r.trees = ?"
            rows += self._ask(f"SELECT {_COLUMNS} FROM runs AS r WHERE {where}", (run, status, trees))
        found = ((_run_of(row), row[4]) for row in rows)
        return [(run, _event_time(document)) for run, document in found if isinstance(run, Run)]

    def shown_as(self) -> dict[RunId, Status]:
        """Return the runs that are shown with another status than they are recorded with."""
        return {run: Status(status) for run, (status, _) in self._shown().items()}

    def show_as(self, status: Mapping[RunId, Status]) -> None:
        """Show runs that are recorded as running with another status from now on, and all others as they are recorded."""
        try:
            with self._writing():
                trees = {run.id: self._show(run, status.get(run.id, Status.RUNNING)) for run, _ in self.going()}
                shown = {run: (str(word), trees[run]) for run, word in status.items() if run in trees}
                self.remember(_SHOWN_AS, json.dumps(shown))
        except sqlite3.Error:
            pass  # the next command looks again

    def _show(self, run: Run, status: Status) -> str:
        """Give the row of a run a status, and return the ids of its newest entries."""
        sql = "SELECT document, trees FROM runs WHERE id = ?"
        text, trees = self.connection.execute(sql, (run.id,)).fetchone()
        document = encode_document({**decode_document(text), "status": str(status)})
        self.connection.execute("UPDATE runs SET status = ?, document = ? WHERE id = ?", (str(status), document, run.id))
        return str(trees)

    def _shown(self) -> dict[RunId, tuple[str, str]]:
        """Return which runs are shown with which status, as long as these are their newest entries."""
        return {RunId(run): (status, trees) for run, (status, trees) in json.loads(self.remembered(_SHOWN_AS) or "{}").items()}

    # -- entries ------------------------------------------------------------------------------------------------------

    def trees_of(self, run: RunId) -> list[Oid]:
        """Return the newest entries of a run by their trees; more than one when two clones changed it."""
        return self._heads(run)

    def entries_of(self, run: RunId) -> set[Oid]:
        """Return the trees of all entries of a run, and of those that they say to follow, which may not be here."""
        prev = self._prev(run)
        return {*prev, *(tree for trees in prev.values() for tree in trees)}

    def known_trees(self, trees: Sequence[Oid]) -> set[Oid]:
        """Return those of some trees that are entries here."""
        known: set[Oid] = set()
        for place in range(0, len(trees), 500):
            some = trees[place : place + 500]
            marks = ", ".join("?" * len(some))
            known.update(Oid(row[0]) for row in self._ask(f"SELECT tree FROM entries WHERE tree IN ({marks})", some))
        return known

    def version(self, run: RunId) -> Version:
        """Return a run's present state with the entries that the next event follows.

        Raises:
            FormatError: its newest entry cannot be read.
        """
        from gitparams.versions import Version, heads, merged

        prev = self._prev(run)
        newest = heads(prev)
        versions = [self._read_version(run, tree, prev) for tree in newest]
        if len(versions) == 1:
            return Version(versions[0].tree, versions[0].run, versions[0].event, (versions[0].tree,), versions[0].files)
        return merged(versions, prev, lambda tree: self._try_version(run, tree, prev))

    def _heads(self, run: RunId) -> list[Oid]:
        from gitparams.versions import heads

        return heads(self._prev(run))

    def _prev(self, run: RunId) -> dict[Oid, tuple[Oid, ...]]:
        rows = self.connection.execute("SELECT tree, prev FROM entries WHERE run = ?", (run,))
        found: dict[Oid, tuple[Oid, ...]] = {}
        for tree, prev in rows:  # one tree twice, by somebody who wrote ours again
            found[Oid(tree)] = (*found.get(Oid(tree), ()), *map(Oid, prev.split()))
        return found

    def _author(self, run: RunId) -> str:
        """Return the author line of the entry that began a run: whoever tags it later did not run it."""
        sql = "SELECT author FROM entries WHERE run = ? ORDER BY prev != '', tree, author LIMIT 1"
        row = self.connection.execute(sql, (run,)).fetchone()
        return str(row[0]) if row else ""

    def _insert_entries(self, entries: Iterable[_Entry]) -> None:
        self.connection.executemany(
            "INSERT OR REPLACE INTO entries (tree, run, event, author, prev) VALUES (?, ?, ?, ?, ?)", entries
        )

    def _delete_aside(self, header: Header) -> None:
        """Forget what an entry of no run said."""
        self.connection.executemany("DELETE FROM aliases WHERE old = ? AND new = ?", header.aliases)
        if header.event == EventKind.PURGE:
            from gitparams.rewriting import purged_by

            rows = ((run, header.author) for run in purged_by(header))
            self.connection.executemany("DELETE FROM purged WHERE run = ? AND author = ?", rows)

    def _try_version(self, run: RunId, tree: Oid, prev: Mapping[Oid, Sequence[Oid]]) -> Version | None:
        try:
            return self._read_version(run, tree, prev)
        except FormatError:
            return None

    def _read_version(self, owner: RunId, tree: Oid, prev: Mapping[Oid, Sequence[Oid]]) -> Version:
        from gitparams.versions import Version

        files = self.git.tree(tree)
        blobs = [self.git.read(files[name].oid, MOST_JSON) if name in files else None for name in (RUN, PARAMS, METRICS)]
        document, params, metrics = (_decoded(name, blob) for name, blob in zip((RUN, PARAMS, METRICS), blobs, strict=True))
        run = read_run(document, params, metrics, author_of(self._author(owner)))
        if run.id != owner:
            raise FormatError(f"run.json tells of {run.id}, and the message of {owner}.")
        return Version(tree, run, read_event(document), tuple(prev.get(tree, ())), files)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _read_row(self, run: RunId) -> tuple[Any, ...]:
        trees = self._heads(run)
        try:
            version = self.version(run)
        except FormatError as error:
            return _broken_row(run, trees, self._author(run), str(error))
        return _row(version.run, list(trees), encode_document(run_document(version.run, version.event)), self._keys)

    def _read_rows(self, batch: Sequence[tuple[RunId, Oid]], authors: Mapping[RunId, str]) -> Iterator[tuple[Any, ...]]:
        names = (f"{tree}:{name}" for _, tree in batch for name in (RUN, PARAMS, METRICS))
        blobs = self.git.read_many(names, MOST_JSON)
        for (run, tree), found in zip(batch, iter(lambda: list(islice(blobs, 3)), []), strict=True):
            yield _row_of_blobs(run, tree, authors.get(run, ""), found, self._keys)

    def _insert_rows(self, rows: Iterable[tuple[Any, ...]]) -> None:
        rules = self._rules_now()
        insert = f"INSERT OR REPLACE INTO runs VALUES ({', '.join('?' * 16)})"
        if rules is None:
            self.connection.executemany(insert, ((*row, None, None) for row in rows))
        else:
            ruled = [_ruled_row(row, rules) for row in rows]
            self.connection.executemany(insert, ruled)
            for keys, place in zip(self._keys, (12, 13), strict=True):  # of what the rules made of them, not of what they were
                keys.clear()
                keys.update(key for row in ruled for key in json.loads(row[place]))
        for document, keys in self._keys._asdict().items():
            noted = self._noted[document]
            self.connection.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?)", ((document, key) for key in keys - noted))
            noted |= keys
            keys.clear()

    def _with_keys(self, row: tuple[Any, ...], new: list[tuple[str, str]]) -> tuple[Any, ...]:
        """Return the row, and add the keys that were not seen yet."""
        for document, text in (("params", row[12]), ("metrics", row[13])):
            keys, noted = json.loads(text).keys(), self._noted[document]
            new.extend((document, key) for key in keys - noted)
            noted |= keys
        return row

    def _forget_keys(self) -> None:
        for noted in self._noted.values():
            noted.clear()

    def _recollect_keys(self) -> None:
        """Forget the keys that no run has any more: a purged one leaves not even its name."""
        self.connection.execute("DELETE FROM keys")
        for document in ("params", "metrics"):
            self.connection.execute(
                f"INSERT OR IGNORE INTO keys SELECT '{document}', e.key FROM runs, json_each(runs.{document}) AS e"
            )
        self._forget_keys()

    def _ask(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a question; an index that turns out to be damaged is made anew and asked again."""
        values = [bindable(value) for value in values]
        try:
            return self.connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            if _is_busy(error):
                raise
            self.rebuild(self.ledger.tip())
            return self.connection.execute(sql, values).fetchall()

    # -- questions ----------------------------------------------------------------------------------------------------

    def runs(
        self,
        which: Filter,
        *,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
        order: Sequence[Order] = (),
    ) -> list[Run | BrokenRun]:
        """Return the runs that a filter keeps.

        Args:
            which: the filter.
            limit, offset: how many, and how many are passed over.
            reverse: turn the list that `limit` cut, as `git log` does.
            order: what they are sorted by; where that is the same, and without it, the newest come first.
        """
        rows = self._select(_COLUMNS, which, limit, offset, order)
        return [_run_of(row) for row in (reversed(rows) if reverse else rows)]

    def ids(self, which: Filter, *, limit: int | None = None, offset: int = 0, order: Sequence[Order] = ()) -> list[RunId]:
        """Return the ids of the runs that a filter keeps, in the order of `runs`."""
        return [RunId(row[0]) for row in self._select("r.id", which, limit, offset, order)]

    def rows(
        self, which: Filter, *, limit: int | None = None, offset: int = 0, order: Sequence[Order] = ()
    ) -> Iterator[tuple[str, str, str, str, str]]:
        """Yield id, author, run.json and the flat documents of params and metrics, in the order of `runs`.

        They are read some hundred at a time; a run that cannot be read, or is gone meanwhile, is left out.
        """
        ids = self.ids(which, limit=limit, offset=offset, order=order)
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            sql = f"SELECT {_TEXTS} FROM runs AS r WHERE r.broken IS NULL AND r.id IN (SELECT value FROM json_each(?))"
            found = {row[0]: row for row in self._ask(sql, (json.dumps(batch),))}
            yield from (found[name] for name in batch if name in found)

    def replicate_rows(self, which: Filter) -> Iterator[tuple[Any, ...]]:
        """Yield id, experiment, status, start and the flat documents of params and metrics, in no order.

        Without one, a hundred thousand rows come in half the time.
        """
        where, values = self._where(which, sorted_by_key=True)
        columns = "r.id, r.experiment, r.status, r.started, r.params, r.metrics"
        yield from self.connection.execute(f"SELECT {columns} FROM runs AS r WHERE {where} AND r.broken IS NULL", values)

    def earlier(self, run: Run) -> Iterator[tuple[Any, ...]]:
        """Yield of each run of a run's experiment that began before it and is shown, the newest first, what follows.

        Its id, status and the flat documents of params and metrics; `told` has the rest, which is asked of few.
        """
        sql = (
            f"SELECT r.id, r.status, r.params, r.metrics FROM runs AS r WHERE r.hidden = {_SHOWN}"
            " AND +r.experiment = ? AND r.broken IS NULL AND r.started <= ? AND (r.started < ? OR r.id > ?)"
            f" ORDER BY {_NEWEST_FIRST}"
        )
        stamp = _stamp(run.started)
        with self._mapped():
            yield from self.connection.execute(sql, (bindable(run.experiment), stamp, stamp, run.id))

    def told(self, run: RunId) -> tuple[str, dict[str, Any]]:
        """Return the author and the run.json of a run that `earlier` gave.

        Raises:
            RunNotFound: it is gone meanwhile.
        """
        row = next(iter(self._ask("SELECT author, document FROM runs WHERE id = ? AND broken IS NULL", (run,))), None)
        if row is None:
            raise RunNotFound(f"Run {run[:8]} is gone meanwhile.", hint="try again")
        return row[0], decode_document(row[1])

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """Read the file through memory for as long as very many rows are read: a call of the system for each page costs more.

        Never for longer: an error of the disk would then be a signal, and a process that trains keeps its index open.
        """
        self.connection.execute(f"PRAGMA mmap_size = {_MOST_MAPPED}")
        try:
            yield
        finally:
            with suppress(sqlite3.ProgrammingError):  # closed meanwhile
                self.connection.execute("PRAGMA mmap_size = 0")

    def _select(self, columns: str, which: Filter, limit: int | None, offset: int, order: Sequence[Order]) -> list[Any]:
        for one in order:
            self._teach(one.functions)
        if not order:
            where, values = self._where(which)
            return self._rows(f"SELECT {columns} FROM runs AS r WHERE {where} ORDER BY {_NEWEST_FIRST}", values, limit, offset)
        where, values = self._where(which, sorted_by_key=True)
        first, *more = order
        direction = "DESC" if first.descending else "ASC"
        then = ", ".join([f"{first.sql} {direction}", *(_order_sql(one) for one in more), _NEWEST_FIRST])
        found: list[Any] = []
        # One question for each kind of value: an index of the key then gives its order, and the first is most often enough.
        for kind in (f"{first.sql} < ''", f"{first.sql} >= ''", f"{first.sql} IS NULL"):
            if limit is not None and len(found) >= limit:
                break
            condition = f"FROM runs AS r WHERE {kind} AND {where}"
            rest = None if limit is None else limit - len(found)
            rows = self._rows(f"SELECT {columns} {condition} ORDER BY {then}", values, rest, offset)
            if rows or not offset:
                offset = 0
            else:
                offset -= int(self._ask(f"SELECT count(*) {condition}", values)[0][0])
            found += rows
        return found

    def _rows(self, sql: str, values: Sequence[Any], limit: int | None, offset: int) -> list[Any]:
        return self._ask(f"{sql} LIMIT ? OFFSET ?", (*values, -1 if limit is None else limit, offset))

    def count(self, which: Filter, *, most: int | None = None) -> int:
        """Return how many runs a filter keeps, without counting beyond `most`."""
        where, values = self._where(which)
        sql = f"SELECT count(*) FROM (SELECT 1 FROM runs AS r WHERE {where} LIMIT ?)"
        return int(self._ask(sql, (*values, -1 if most is None else most))[0][0])

    def run(self, run: str) -> Run | BrokenRun | None:
        """Return the run of a whole id, deleted or not, or None."""
        row = next(iter(self._ask(f"SELECT {_COLUMNS} FROM runs AS r WHERE r.id = ?", (run,))), None)
        return _run_of(row) if row else None

    def before(self, run: Run, known: Mapping[RunId, Run] | None = None) -> Run | None:
        """Return the newest earlier completed run of the same experiment, whatever filters are on.

        Args:
            run: the run to compare.
            known: runs that are at hand already.
        """
        sql = f"SELECT r.id, r.trees FROM runs AS r WHERE {_BEFORE.format(run='r', experiment='?', started='?')} {_NEWEST}"
        row = next(iter(self._ask(sql, (run.experiment, _stamp(run.started)))), None)
        if row is None:
            return None
        name, trees = row
        if trees == self._added[0]:
            return self._added[1]
        found = known[name] if known and name in known else self.run(name)
        return found if isinstance(found, Run) else None

    def latest(self, back: int = 0) -> Run | None:
        """Return the newest run that is no group and not deleted, or the one `back` places before it."""
        found = [run for run in self.runs(Filter(), limit=back + 1) if isinstance(run, Run)]
        return found[back] if len(found) > back else None

    def ids_with_prefix(self, prefix: str) -> list[RunId]:
        """Return the ids of all runs, deleted ones too, that begin with a prefix."""
        rows = self._ask("SELECT id FROM runs WHERE id >= ? AND id < ?", (prefix, prefix + "{"))
        return [RunId(row[0]) for row in rows]

    def ids_with_name(self, name: str) -> list[RunId]:
        """Return the ids of the runs of a name that are not deleted."""
        rows = self._ask("SELECT id FROM runs WHERE name = ? AND hidden != ?", (name, _DELETED))
        return [RunId(row[0]) for row in rows]

    # -- code ---------------------------------------------------------------------------------------------------------

    def runs_at(self, commits: Sequence[Oid], *, every: bool = False) -> list[Located]:
        """Return the completed runs recorded at some code commits, newest first; with `every` those of any status."""
        return self._located("r.commit_id", commits, every)

    def runs_of_code(
        self, key: CodeKey, values: Sequence[str], *, every: bool = False, outside: Sequence[Oid] = ()
    ) -> list[Located]:
        """Return the completed runs whose code has one of some trees, patch ids or headlines, as `runs_at` does.

        Args:
            key: ``headline`` is the author date and the subject of the commit, with a space between them.
            values: what is looked for.
            every: runs of any status.
            outside: commits whose own runs are left out.
        """
        if not values:
            return []
        self._index_code(key, _CODE_KEYS[key])
        return self._located(_CODE_KEYS[key], values, every, outside)

    def rewritten_to(self, commits: Sequence[Oid]) -> list[Oid]:
        """Return the commits that were rewritten to one of these, in one step or in several."""
        sql = (
            "WITH RECURSIVE older (commit_id) AS"
            " (SELECT a.old FROM aliases AS a WHERE a.new IN (SELECT value FROM json_each(?))"
            " UNION SELECT a.old FROM aliases AS a JOIN older ON a.new = older.commit_id) SELECT commit_id FROM older"
        )
        return [Oid(row[0]) for row in self._ask(sql, (json.dumps(list(commits)),))]

    def commits_with_runs(self, commits: Sequence[Oid]) -> set[Oid]:
        """Return those of some commits at which runs of any kind were recorded, or to which such a commit was rewritten."""
        sql = (
            "SELECT DISTINCT commit_id FROM runs WHERE commit_id IN (SELECT value FROM json_each(?1))"
            " UNION SELECT new FROM aliases WHERE new IN (SELECT value FROM json_each(?1))"
        )
        return {Oid(row[0]) for row in self._ask(sql, (json.dumps(list(commits)),))}

    def aliases_of(self, commits: Sequence[Oid]) -> set[tuple[Oid, Oid]]:
        """Return the pairs of old and new commits, of which the old is one of these, that are on the ledger."""
        sql = "SELECT old, new FROM aliases WHERE old IN (SELECT value FROM json_each(?))"
        return {(Oid(old), Oid(new)) for old, new in self._ask(sql, (json.dumps(list(commits)),))}

    def newest_commits(self, limit: int) -> list[Located]:
        """Return the newest completed run of each of the commits at which runs were recorded last."""
        sql = "SELECT commit_id FROM runs WHERE commit_id IS NOT NULL GROUP BY commit_id ORDER BY max(started) DESC LIMIT ?"
        found = (self.runs_at([Oid(row[0])])[:1] for row in self._ask(sql, (limit,)))
        return [one for ones in found for one in ones]

    def commits_with_prefix(self, prefix: str, limit: int = 10) -> list[Oid]:
        """Return the code commits at which runs were recorded, here or elsewhere, whose ids begin with a prefix."""
        sql = "SELECT DISTINCT commit_id FROM runs WHERE commit_id >= ? AND commit_id < ? LIMIT ?"
        return [Oid(row[0]) for row in self._ask(sql, (prefix, prefix + "g", limit))]

    def newest_on(self, branch: str) -> RunId | None:
        """Return the newest completed run that was recorded on a branch."""
        self._index_code("branch", f"{_BRANCH}, started DESC, id")
        # Without statistics SQLite would rather walk all runs that are shown, which are in order; the plus forbids it.
        where = f"{_BRANCH} = ? AND +r.hidden = {_SHOWN} AND +r.status = 'completed'"
        row = next(iter(self._ask(f"SELECT r.id FROM runs AS r WHERE {where} {_NEWEST}", (branch,))), None)
        return RunId(row[0]) if row else None

    def _index_code(self, name: str, columns: str) -> None:
        """Make an index of something of the code the first time it is asked for."""
        try:
            self.connection.execute(f"CREATE INDEX IF NOT EXISTS code_{name} ON runs ({columns})")
        except sqlite3.OperationalError:
            pass  # read-only or busy: slower, and right all the same

    def _located(self, column: str, values: Sequence[str], every: bool, outside: Sequence[Oid] = ()) -> list[Located]:
        shown = f"+r.hidden = {_SHOWN}" + ("" if every else " AND +r.status = 'completed'")
        if outside:
            shown += " AND (r.commit_id IS NULL OR +r.commit_id NOT IN (SELECT value FROM json_each(?2)))"
        sql = (
            "SELECT r.id, r.commit_id, json_extract(r.document, '$.git.tree'), json_extract(r.document, '$.git.dirty')"
            f" FROM runs AS r WHERE {column} IN (SELECT value FROM json_each(?1)) AND {shown} AND r.broken IS NULL"
            f" ORDER BY {_NEWEST_FIRST}"
        )
        bound = [json.dumps(list(values)), *([json.dumps(list(outside))] if outside else [])]
        rows = self._ask(sql, bound)
        return [Located(RunId(run), commit, tree, bool(dirty)) for run, commit, tree, dirty in rows]

    # -- metrics and keys ---------------------------------------------------------------------------------------------

    def best(self, metric: str, *, lowest: bool) -> Run | None:
        """Return the completed run with the highest (or lowest) value of a metric; a value that is not a number never wins."""
        value = self.key_sql("metrics", (metric,))
        bounds = f"{value} > -9e999 AND {value} < ''" if not lowest else f"{value} < 9e999"
        order = "ASC" if lowest else "DESC"
        sql = (
            f"SELECT {_COLUMNS} FROM runs AS r WHERE {bounds} AND r.hidden = {_SHOWN} AND r.status = 'completed'"
            f" ORDER BY {value} {order}, r.started DESC LIMIT 1"
        )
        row = next(iter(self._ask(sql)), None)
        found = _run_of(row) if row else None
        return found if isinstance(found, Run) else None

    def metric_names(self, limit: int = 200) -> list[str]:
        """Return the names of the metrics of the newest runs, sorted."""
        rows = self._ask("SELECT metrics FROM runs ORDER BY started DESC LIMIT ?", (limit,))
        return sorted({name for (text,) in rows for name in decode_flat(text)})

    def key_sql(self, document: str, keys: tuple[str, ...]) -> str:
        """Return the SQL of one key of the params or metrics, with an expression index made the first time it is asked for.

        SQLite uses an expression index only where the path is a literal, so the keys are escaped to a safe alphabet.
        """
        expression = f"""json_extract({document}, '$."{flat_key(keys)}"')"""
        name = f"key_{document}_{flat_key(keys)}"
        made = "SELECT count(*), count(CASE WHEN name = ? COLLATE NOCASE THEN 1 END) FROM sqlite_master WHERE name GLOB 'key_*'"
        try:
            every, this = self.connection.execute(made, (name,)).fetchone()
            if not this and every < _MOST_KEY_INDEXES:
                self.connection.execute(f'CREATE INDEX IF NOT EXISTS "{name}" ON runs ({expression})')
        except sqlite3.OperationalError:
            pass  # read-only or busy: slower, and right all the same
        return expression

    def has_key(self, document: str, keys: tuple[str, ...]) -> bool:
        """Tell whether any run, deleted ones too, has a value at a path of its params or metrics."""
        return bool(self._ask("SELECT 1 FROM keys WHERE document = ? AND key = ?", (document, flat_key(keys))))

    def key_names(self, document: str) -> list[str]:
        """Return the written paths of the params or metrics of all runs, sorted."""
        rows = self._ask("SELECT key FROM keys WHERE document = ?", (document,))
        return sorted(path_text(keys_of(key)) for (key,) in rows)

    def count_up_to(self, condition: str, most: int) -> int:
        """Return how many runs that are shown meet a condition, without counting beyond `most`."""
        sql = f"SELECT 1 FROM runs AS r WHERE {condition} AND +r.hidden = {_SHOWN} LIMIT ?"
        return len(self._ask(sql, (most,)))

    def date(self, text: str) -> float:
        """Return the UTC seconds of a date in ISO 8601, or in words, which git reads.

        Raises:
            UsageError: it is no date.
        """
        try:
            return iso_date(text)
        except UsageError:
            if not re.fullmatch(_DATE_WORDS, text.strip(), re.I):
                raise  # git would read anything at all as the present time
        return float(self.git.text("rev-parse", f"--since={text.strip()}").strip().removeprefix("--max-age="))

    # -- a place for parsed settings ----------------------------------------------------------------------------------

    def remembered(self, key: str) -> str | None:
        """Return a text that was kept under a key, or None."""
        row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def remember(self, key: str, value: str) -> None:
        """Keep a text under a key; lost with the index."""
        try:
            self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        except sqlite3.OperationalError:
            pass

    # -- SQL ----------------------------------------------------------------------------------------------------------

    def _where(self, which: Filter, *, sorted_by_key: bool = False) -> tuple[str, list[Any]]:
        # Without statistics SQLite would rather walk all runs that are shown than use a key's index; the plus forbids it.
        free = "+" if sorted_by_key or which.ids is not None or (which.where and which.where.keyed) else ""
        if which.deleted:
            conditions = [f"{free}r.hidden = {_DELETED}"]
        elif which.groups:
            conditions = [f"{free}r.hidden IN ({_SHOWN}, {_GROUP})"]
        else:
            conditions = [f"{free}r.hidden = {_SHOWN}"]
        values: list[Any] = []
        for column, value in (
            ("experiment", which.experiment), ("status", which.status), ("commit_id", which.commit), ("parent", which.parent),
        ):  # fmt: skip
            if value is not None:
                conditions.append(f"{free}r.{column} = ?")
                values.append(value)
        for operator, time in ((">=", which.since), ("<=", which.until), (">", which.after)):
            if time is not None:
                conditions.append(f"{free}r.started {operator} ?")
                values.append(_stamp(time))
        if which.ids is not None:
            conditions.append("r.id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(which.ids))
        if which.code is not None:
            listed = "(SELECT value FROM json_each(?))"
            conditions.append(f"(r.commit_id IN {listed} OR r.id IN {listed})")
            values += [json.dumps(which.code.commits), json.dumps(which.code.runs)]
        if which.where is not None:
            self._teach(which.where.functions)
            conditions.append(f"({which.where.sql}) AND r.broken IS NULL")
            values.extend(which.where.values)
        self._add_searches(which, conditions, values)
        if which.changed:
            conditions.append(f"r.broken IS NULL AND {self._changed(which.changed)}")
        return " AND ".join(conditions), [bindable(value) for value in values]

    def _add_searches(self, which: Filter, conditions: list[str], values: list[Any]) -> None:
        if which.author is not None or which.grep is not None:
            self._teach(_SEARCHES)
        if which.author is not None:
            conditions.append("gitparams_holds(?, r.author)")
            values.append(which.author.casefold())
        if which.grep is not None:
            conditions.append("gitparams_told(?, r.name, r.document)")
            values.append(which.grep.casefold())

    def changed_sql(self, path: str) -> str:
        """Return SQL that holds where a param, one below it, or one that a glob means, differs from the run before."""
        return self._changed((path,))

    def _changed(self, paths: Sequence[str]) -> str:
        """Return SQL that holds for a run whose params differ from the run before; the first run of all is none."""
        names = self.key_names("params")
        meant = dict.fromkeys(name for path in paths for name in paths_meant(path, names))
        if not meant:
            return "0"
        differ = _joined_by_or([_differs(path_keys(name)) for name in meant])
        earlier = _BEFORE.format(run="p", experiment="r.experiment", started="r.started")
        return f"(SELECT {differ} FROM runs AS p WHERE {earlier} ORDER BY p.started DESC, p.id LIMIT 1)"

    def _teach(self, functions: Iterable[Function]) -> None:
        """Let SQL call functions of ours; each once, as a running question would forbid to change it."""
        connection, known = self._taught
        if connection is not self.connection:
            known = set()
            self._taught = (self.connection, known)
        for name, arguments, function in functions:
            if name not in known:
                self.connection.create_function(name, arguments, function, deterministic=True)
                known.add(name)

    def _tip(self) -> Oid | None:
        row = self.connection.execute("SELECT value FROM meta WHERE key = 'tip'").fetchone()
        return Oid(row[0]) if row and row[0] else None

    def _set_tip(self, tip: Oid | None) -> None:
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES ('tip', ?)", (tip or "",))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            self._forget_keys()
            raise
        self.connection.execute("COMMIT")


_SHOWN_AS = "shown"  # runs that are not shown as they are recorded
_LEARNED = "learned"
_LOADING = "loading"  # the entry up to which a whole ledger is being mirrored
_RULES, _REMAKING = "rules", "remaking"  # what rows are read by; the last one that was remade, while some are not
_EVERYTHING = (
    "id, started, experiment, status, name, commit_id, parent, hidden, author, trees, broken, document, params, metrics"
)
_REMADE = "UPDATE runs SET document = ?, params = ?, metrics = ?, ruled = ?, raw = ? WHERE id = ?"
_CODE_KEYS: dict[CodeKey, str] = {
    "tree": "json_extract(document, '$.git.tree')",
    "patch_id": "json_extract(document, '$.git.patch_id')",
    "headline": "json_extract(document, '$.git.authored') || ' ' || json_extract(document, '$.git.subject')",
}
_BRANCH = "json_extract(document, '$.git.branch')"
_TEXTS = "r.id, r.author, r.document, r.params, r.metrics"
_COLUMNS = "r.id, r.started, r.author, r.broken, r.document, r.params, r.metrics"
_NEWEST_FIRST = "r.started DESC, r.id"
_NEWEST = f"ORDER BY {_NEWEST_FIRST} LIMIT 1"
_BEFORE = (
    "{run}.experiment = {experiment} AND {run}.status = 'completed' AND {run}.hidden = 0"
    " AND {run}.started < {started} AND {run}.broken IS NULL"
)
_DATE_WORDS = (
    r"(?=.*[a-z])(?=.*(?:\d|day|ago|last|now|noon|midnight|tea|never|jan|feb|mar|apr|may|ju[nl]|aug|sep|oct|nov|dec))"
    r"(?:\b(?:ago|last|now|today|yesterday|noon|midnight|tea|never|am|pm|at|and|a|an|one|two|three|four|five|six|seven|eight|nine"
    r"|ten|(?:second|sec|minute|min|hour|day|week|month|year)s?|utc|gmt|z"
    r"|(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
    r"|jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b|\d+(?:st|nd|rd|th|am|pm)?|[-+:/.,\s])+"
)


def paths_meant(wanted: str, names: Iterable[str]) -> list[str]:
    """Return the written paths that a path, a beginning of one or a glob means.

    >>> paths_meant("optim", ["optim.lr", "optimizer"]), paths_meant("*.lr", ["optim.lr", "seed"])
    (['optim.lr'], ['optim.lr'])
    """
    from fnmatch import fnmatchcase

    below = (f"{wanted}.", f"{wanted}[")
    return [name for name in names if name == wanted or name.startswith(below) or fnmatchcase(name, wanted)]


def iso_date(text: str) -> float:
    """Return the UTC seconds of a date in ISO 8601, local when it has no offset, at midnight when it has no time.

    Raises:
        UsageError: it is none.

    >>> iso_date("2026-11-23T10:00:00+02:00")
    1795420800.0
    """
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{text!r} is no date.", hint='"2 days ago", "yesterday", "2026-11-23" or "2026-11-23T10:00"'
        ) from None


def _differs(keys: tuple[str, ...]) -> str:
    key = f"""'$."{flat_key(keys)}"'"""
    return (
        f"json_extract(p.params, {key}) IS NOT json_extract(r.params, {key})"
        f" OR json_type(p.params, {key}) IS NOT json_type(r.params, {key})"
    )


def _joined_by_or(parts: Sequence[str], width: int = 200) -> str:
    """Return SQL of alternatives in groups: a tree of SQLite's may have 1000 levels, and a chain is one of its length."""
    while len(parts) > 1:
        parts = [f"({' OR '.join(parts[start : start + width])})" for start in range(0, len(parts), width)]
    return f"({parts[0]})"


def _order_sql(order: Order) -> str:
    kind = f"CASE WHEN {order.sql} IS NULL THEN 2 WHEN {order.sql} >= '' THEN 1 ELSE 0 END"
    return f"{kind}, {order.sql} {'DESC' if order.descending else 'ASC'}"


def _holds(part: str, text: str | None) -> bool:
    return text is not None and part in text.casefold()


def _told(part: str, name: str | None, document: str | None) -> bool:
    if _holds(part, name):
        return True
    if document is None or ('"note"' not in document and '"tags"' not in document):
        return False
    told = decode_document(document)
    return any(_holds(part, str(text)) for text in (told.get("note") or "", *(told.get("tags") or ())))


_SEARCHES: tuple[Function, ...] = (("gitparams_holds", 2, _holds), ("gitparams_told", 3, _told))


# -- the file -------------------------------------------------------------------------------------------------------------


def _connect(path: Path) -> sqlite3.Connection:
    try:
        if not path.exists():
            make_folder(path.parent, path.parent.parent)
            path.touch()
            share(path, path.parent.parent)  # SQLite gives its other files the rights of this one
        connection: sqlite3.Connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, **_OPENED)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # a mirror: what a crash of the machine spoils is made anew
        _prepare(connection)
    except (sqlite3.OperationalError, OSError) as error:
        if isinstance(error, sqlite3.OperationalError) and _is_busy(error):
            raise
        return _in_memory(path)
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    if _is_current(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _is_current(connection):  # else another process made it just now
            if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                raise sqlite3.DatabaseError("an index of another version")
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            for name, columns in _INDEXES.items():
                connection.execute(f"CREATE INDEX {name} ON {columns}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _is_current(connection: sqlite3.Connection) -> bool:
    names = ("meta", "entries", "runs", "keys", "aliases", "purged")
    tables = connection.execute(f"SELECT count(*) FROM sqlite_master WHERE name IN {names}")
    return bool(tables.fetchone()[0] == len(names) and connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA)


def _replaced(path: Path) -> sqlite3.Connection:
    """Make the index anew, in a file of its own that takes the old one's place."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
        try:
            path.with_name(name).unlink(missing_ok=True)
        except OSError:
            return _in_memory(None)
    return _connect(path)


def _in_memory(path: Path | None) -> sqlite3.Connection:
    """Return an index that lives as long as the process, beginning with what a file that cannot be written holds."""
    connection: sqlite3.Connection = sqlite3.connect(":memory:", **_OPENED)
    if path is not None and path.exists():
        try:
            with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as source:
                source.backup(connection)
            _prepare(connection)
            return connection
        except sqlite3.Error:
            connection = sqlite3.connect(":memory:", **_OPENED)
    _prepare(connection)
    return connection


def _is_busy(error: sqlite3.DatabaseError) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


# -- rows -----------------------------------------------------------------------------------------------------------------


def _row(run: Run, trees: Sequence[Oid], document: str, keys: _Keys) -> tuple[Any, ...]:
    hidden = _DELETED if run.deleted else _GROUP if run.group else _SHOWN
    return (
        run.id, _stamp(run.started), bindable(run.experiment), str(run.status), bindable(run.name), run.code.commit,
        bindable(run.parent), hidden, bindable(run.author), " ".join(trees), None, document,
        flat_document(run.params, keys.params), flat_document(_top_level(run.metrics), keys.metrics),
    )  # fmt: skip


def _row_of_blobs(
    run: RunId, tree: Oid, author: str, found: Sequence[tuple[str, str, bytes] | None], keys: _Keys
) -> tuple[Any, ...]:
    """Return a row straight from an entry's blobs; what `_row` would make of the decoded run, in half the time."""
    try:
        document, params, metrics = (_decoded(name, blob) for name, blob in zip((RUN, PARAMS, METRICS), found, strict=True))
        check_document(document)
        if document["id"] != run:
            raise FormatError(f"run.json tells of {document['id']}, and the message of {run}.")
        text = found[0][2].decode("utf-8")  # type: ignore[index]
        flat = flat_document(params, keys.params), flat_document(_top_level(metrics), keys.metrics)
    except (FormatError, ValueError, TypeError, RecursionError) as error:
        return _broken_row(run, [tree], author, str(error))
    get = document.get
    hidden = _DELETED if get("deleted") else _GROUP if get("group") else _SHOWN
    return (
        run, _stamp(datetime.fromisoformat(document["started"])), bindable(get("experiment") or "default"), document["status"],
        bindable(get("name")), (get("git") or {}).get("commit"), bindable(get("parent")), hidden, author_of(author), tree, None,
        text, *flat,
    )  # fmt: skip


def _broken_row(run: RunId, trees: Sequence[Oid], author: str, reason: str) -> tuple[Any, ...]:
    started = re.search(r"> (-?\d+) ", author)
    stamp = float(started[1]) if started else 0.0
    return (run, stamp, None, "broken", None, None, None, _SHOWN, author_of(author), " ".join(trees), reason, None, "{}", "{}")


def _kept_rules(text: str) -> Rules | None:
    if not text:
        return None
    from gitparams.reading import Rules

    return Rules.kept(text)


def _ruled_row(row: tuple[Any, ...], rules: Rules | None) -> tuple[Any, ...]:
    """Return a row as the rules read it, with what they did, and with its texts as they were recorded where they differ."""
    if rules is None or row[10] is not None:
        return (*row, None, None)
    texts = row[11:14]
    numbers = {key_of(key): value for key, value in decode_flat(texts[2]).items()}
    found = rules.applied_to(nested_of(decode_flat(texts[1])), numbers, _moment(row[1]))
    if not found.notes:
        return (*row, None, None)
    ruled = (_moved_document(texts[0], found), flat_document(found.params), flat_document(found.metrics))
    return (*row[:11], *ruled, json.dumps([found.notes, dict(found.moved)]), json.dumps(texts) if ruled != texts else None)


def _row_as_recorded(row: tuple[Any, ...]) -> tuple[Any, ...]:
    *recorded, _, raw = row
    return (*recorded[:11], *json.loads(raw)) if raw is not None else tuple(recorded)


def _moved_document(text: str, applied: Applied) -> str:
    """Return a run.json that speaks of params by the names that they have now."""
    if not applied.moved:
        return text
    document = decode_document(text)
    for name in ("seeds", "drift"):
        if document.get(name):
            document[name] = {applied.path_now(path): value for path, value in document[name].items()}
    for name in ("redacted", "disputed", "unread"):
        if document.get(name):
            document[name] = [applied.path_now(str(path)) for path in document[name]]
    return encode_document(document)


def _run_of(row: Sequence[Any]) -> Run | BrokenRun:
    identity, started, author, broken, document, params, metrics = row
    if broken is not None:
        return BrokenRun(RunId(identity), _moment(started), author, broken)
    numbers = {key_of(key): value for key, value in decode_flat(metrics).items() if isinstance(value, int | float)}
    return read_run(decode_document(document), nested_of(decode_flat(params)), numbers, author)


def _event_time(document: str) -> str:
    event = decode_document(document).get("event")
    return str(event.get("time")) if isinstance(event, dict) else ""


def _moment(stamp: float) -> datetime:
    try:
        return datetime.fromtimestamp(stamp, UTC).astimezone()
    except (ValueError, OverflowError, OSError):  # a year that no clock of ours can show
        return datetime.fromtimestamp(0, UTC)


def _decoded(name: str, blob: tuple[str, str, bytes] | tuple[Oid, str, bytes] | None) -> dict[str, Any]:
    if blob is None:
        raise FormatError(f"{name} is missing.")
    if blob[1] != "blob":
        said = f"larger than {MOST_JSON >> 20} MB" if blob[1] == TOO_LARGE else f"a {blob[1]} and no file"
        raise FormatError(f"{name} is {said}.")
    try:
        value = decode_json(blob[2], strict=name == RUN)
    except ValueError as error:
        raise FormatError(f"{name} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise FormatError(f"{name} is not a mapping.")
    if name == RUN:
        check_format(value)
    return value


def _stand_in(commit: Oid) -> RunId:
    """Return a name for an entry that names no run; it has a letter that no run id has."""
    return RunId(f"?{commit[:15]}")


def _newest_of(entries: list[_Entry]) -> dict[RunId, list[Oid]]:
    followed = {(entry.run, tree) for entry in entries if entry.prev for tree in entry.prev.split()}
    newest: dict[RunId, list[Oid]] = {entry.run: [] for entry in entries}
    for entry in entries:
        if (entry.run, entry.tree) not in followed:
            newest[entry.run].append(entry.tree)
    for run in [run for run, trees in newest.items() if not trees]:
        newest[run] = _in_circles(entry for entry in entries if entry.run == run)
    return {run: sorted(set(trees)) for run, trees in newest.items()}


def _in_circles(entries: Iterable[_Entry]) -> list[Oid]:
    from gitparams.versions import heads

    prev: dict[Oid, tuple[Oid, ...]] = {}
    for entry in entries:
        prev[entry.tree] = (*prev.get(entry.tree, ()), *map(Oid, entry.prev.split()))
    return heads(prev)


def _authors(entries: Sequence[_Entry]) -> dict[RunId, str]:
    """Return the author line of the entry that began each run."""
    newest_last = sorted(entries, reverse=True)  # of several the one that `Index._author` gives
    return {one.run: one.author for one in newest_last} | {one.run: one.author for one in newest_last if not one.prev}


def _batches(items: Sequence[tuple[RunId, Oid]]) -> Iterator[Sequence[tuple[RunId, Oid]]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def bindable(value: Any) -> Any:
    """Return a value as SQLite can keep it: of text that is not UTF-8 the escapes.

    >>> bindable("r\\udce9sum\\udce9"), bindable(1)
    ('r\\\\udce9sum\\\\udce9', 1)
    """
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value


def _stamp(time: datetime) -> float:
    return time.timestamp()


def _top_level(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metrics.items() if isinstance(value, int | float)}


# -- run.json ------------------------------------------------------------------------------------------------------------


def encode_document(document: Mapping[str, Value]) -> str:
    """Return run.json as the index keeps it."""
    return encode_json(dict(document), indent=None).decode("utf-8")


def decode_document(text: str) -> dict[str, Any]:
    """Return the run.json that `encode_document` kept."""
    value = decode_json(text)
    assert isinstance(value, dict)
    return value
