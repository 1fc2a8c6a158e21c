"""Index: a SQLite mirror of the ledger, for questions that git answers slowly. Disposable: any doubt ends in rebuilding it.

Each run has one row: the fields that lists are sorted and filtered by, its run.json, and its params and metrics as flat
documents in which a value carries its type, so that SQL compares numbers with numbers and text with text.
"""

from __future__ import annotations

import gc
import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
from gitparams.errors import FormatError, GitParamsError
from gitparams.git import Git
from gitparams.ledger import Appended, Ledger
from gitparams.model import Oid, Run, RunId
from gitparams.params import path_keys
from gitparams.values import Value, decode_json, encode_json

if TYPE_CHECKING:
    from gitparams.versions import Version

SCHEMA = 1
_BATCH = 2000
_BUSY_SECONDS = 10.0

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
  tree TEXT PRIMARY KEY, run TEXT NOT NULL, event TEXT NOT NULL, author TEXT NOT NULL, prev TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
  id TEXT PRIMARY KEY, started REAL NOT NULL, experiment TEXT, status TEXT, name TEXT, commit_id TEXT, parent TEXT,
  hidden INTEGER NOT NULL, author TEXT NOT NULL, trees TEXT NOT NULL, broken TEXT,
  document TEXT, params TEXT NOT NULL, metrics TEXT NOT NULL
);
"""
_INDEXES = {
    "entries_of_run": "entries (run)",
    "runs_by_time": "runs (hidden, started DESC, id)",
    "runs_before": "runs (experiment, status, hidden, started)",
    "runs_by_name": "runs (name) WHERE name IS NOT NULL",
    "runs_by_commit": "runs (commit_id, started)",
    "runs_by_parent": "runs (parent) WHERE parent IS NOT NULL",
}
_LOADING_PAGES = -65536  # KiB
# Shown 0, deleted 1, group 2: one small number, so that counting and listing need one index.
_SHOWN, _DELETED, _GROUP = 0, 1, 2

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
        changed: paths of params; a run is kept when one of them differs from the run before it.
        deleted: the deleted runs instead of the others.
        groups: the groups as well.
        parent: the run they belong to.
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


class _Entry(NamedTuple):
    """A row of the entries."""

    tree: Oid
    run: RunId
    event: str
    author: str
    prev: str


def _entry(header: Header, run: RunId) -> _Entry:
    return _Entry(header.tree, run, sys.intern(header.event), header.author, header.trailers.get("Run-Prev", ""))


class Index:
    """The mirror of one repository's ledger. Open it with `Index.open`, and close it."""

    def __init__(self, git: Git, ledger: Ledger, connection: sqlite3.Connection, progress: Progress | None = None) -> None:
        self.git, self.ledger, self.connection, self.progress = git, ledger, connection, progress
        self._added: tuple[str, Run | None] = ("", None)  # the newest run of ours, by its tree: most often the one before

    @classmethod
    def open(cls, git: Git, ledger: Ledger, progress: Progress | None = None) -> Index:
        """Open the index; made anew when missing, damaged or of another version, in memory when nothing can be written."""
        path = ledger.folder / "index.db"
        try:
            connection = _connect(path)
        except (sqlite3.Error, OSError):
            connection = _replaced(path)
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
                row = _row(draft.run, [header.tree], encode_document(run_document(draft.run, draft.event)))
                if len(self._heads(draft.run.id)) > 1:
                    row = self._read_row(draft.run.id)
                self._insert_rows([row])
                self._set_tip(appended.commit)
            self._added = (header.tree, draft.run)
        except sqlite3.Error:
            pass  # the mirror; the next reader catches up

    def _mirror(self, tip: Oid | None) -> None:
        with self._writing():
            known = self._tip()
            if known == tip:
                return
            if tip is None:
                self.connection.execute("DELETE FROM runs")
                self.connection.execute("DELETE FROM entries")
            elif known is None:
                self._load(tip)
            else:
                self._mirror_between(known, tip)
            self._set_tip(tip)

    def _load(self, tip: Oid) -> None:
        """Mirror a whole ledger at once: the indexes come after the rows, and few pages are written twice."""
        self.connection.execute(f"PRAGMA cache_size = {_LOADING_PAGES}")
        for name in _INDEXES:
            self.connection.execute(f"DROP INDEX IF EXISTS {name}")
        collecting = gc.isenabled()
        gc.disable()  # millions of values are made and none of them in a circle
        try:
            self._mirror_between(None, tip)
        finally:
            if collecting:
                gc.enable()
        for name, columns in _INDEXES.items():
            self.connection.execute(f"CREATE INDEX {name} ON {columns}")

    def _mirror_between(self, known: Oid | None, tip: Oid) -> None:
        added, dropped = self.ledger.between(known, tip)
        touched: set[RunId] = set()
        for _, header in self.ledger.headers(dropped):
            touched.update(self._delete_entry(header))
        entries = []
        for commit, header in self.ledger.headers(added):
            if header.event not in ("merge", "purge"):
                run = header.run or _stand_in(commit)
                entries.append(_entry(header, run))
                touched.add(run)
        self._insert_entries(sorted(entries) if known is None else entries)
        self._refresh(touched, entries if known is None else None)

    def _refresh(self, touched: set[RunId], everything: list[_Entry] | None) -> None:
        """Rewrite the rows of some runs; `everything` spares asking for the entries when they are all at hand."""
        newest = _newest_of(everything) if everything is not None else {run: self._heads(run) for run in touched}
        authors = self._authors(newest, everything)
        simple = [(run, trees[0]) for run, trees in newest.items() if len(trees) == 1]
        done = 0
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

    def rebuild(self, tip: Oid | None) -> None:
        """Make the index anew."""
        path = self.ledger.folder / "index.db"
        self.connection.close()
        self.connection = _replaced(path)
        if tip is not None:
            self._mirror(tip)

    # -- entries ------------------------------------------------------------------------------------------------------

    def trees_of(self, run: RunId) -> list[Oid]:
        """Return the newest entries of a run by their trees; more than one when two clones changed it."""
        return self._heads(run)

    def version(self, run: RunId) -> Version:
        """Return a run's present state with the entries that the next event follows.

        Raises:
            FormatError: its newest entry cannot be read.
        """
        from gitparams.versions import Version, heads, merged

        prev = self._prev(run)
        newest = heads(prev)
        versions = [self._read_version(tree, prev) for tree in newest]
        if len(versions) == 1:
            return Version(versions[0].tree, versions[0].run, versions[0].event, (versions[0].tree,), versions[0].files)
        return merged(versions, prev, lambda tree: self._try_version(tree, prev))

    def _heads(self, run: RunId) -> list[Oid]:
        from gitparams.versions import heads

        return heads(self._prev(run))

    def _prev(self, run: RunId) -> dict[Oid, tuple[Oid, ...]]:
        rows = self.connection.execute("SELECT tree, prev FROM entries WHERE run = ?", (run,))
        return {Oid(tree): tuple(Oid(word) for word in prev.split()) for tree, prev in rows}

    def _author(self, run: RunId) -> str:
        """Return the author line of the entry that began a run: whoever tags it later did not run it."""
        rows = self.connection.execute("SELECT author FROM entries WHERE run = ? ORDER BY prev != '', tree LIMIT 1", (run,))
        row = rows.fetchone()
        return str(row[0]) if row else ""

    def _authors(self, newest: Mapping[RunId, list[Oid]], everything: list[_Entry] | None) -> dict[RunId, str]:
        if everything is None:
            return {run: self._author(run) for run in newest}
        followers = {entry.run: entry.author for entry in everything}
        return followers | {entry.run: entry.author for entry in everything if not entry.prev}

    def _insert_entries(self, entries: Iterable[_Entry]) -> None:
        self.connection.executemany(
            "INSERT OR REPLACE INTO entries (tree, run, event, author, prev) VALUES (?, ?, ?, ?, ?)", entries
        )

    def _delete_entry(self, header: Header) -> list[RunId]:
        rows = self.connection.execute("SELECT run FROM entries WHERE tree = ?", (header.tree,)).fetchall()
        self.connection.execute("DELETE FROM entries WHERE tree = ?", (header.tree,))
        return [RunId(row[0]) for row in rows]

    def _try_version(self, tree: Oid, prev: Mapping[Oid, Sequence[Oid]]) -> Version | None:
        try:
            return self._read_version(tree, prev)
        except FormatError:
            return None

    def _read_version(self, tree: Oid, prev: Mapping[Oid, Sequence[Oid]]) -> Version:
        from gitparams.versions import Version

        files = self.git.tree(tree)
        blobs = [self.git.read(files[name].oid) if name in files else None for name in (RUN, PARAMS, METRICS)]
        document, params, metrics = (_decoded(name, blob) for name, blob in zip((RUN, PARAMS, METRICS), blobs, strict=True))
        owner = self.connection.execute("SELECT run FROM entries WHERE tree = ?", (tree,)).fetchone()
        run = read_run(document, params, metrics, author_of(self._author(RunId(owner[0]))) if owner else "")
        if owner and run.id != owner[0]:
            raise FormatError(f"run.json tells of {run.id}, and the message of {owner[0]}.")
        return Version(tree, run, read_event(document), tuple(prev.get(tree, ())), files)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _read_row(self, run: RunId) -> tuple[Any, ...]:
        trees = self._heads(run)
        try:
            version = self.version(run)
        except FormatError as error:
            return _broken_row(run, trees, self._author(run), str(error))
        return _row(version.run, list(trees), encode_document(run_document(version.run, version.event)))

    def _read_rows(self, batch: Sequence[tuple[RunId, Oid]], authors: Mapping[RunId, str]) -> Iterator[tuple[Any, ...]]:
        names = (f"{tree}:{name}" for _, tree in batch for name in (RUN, PARAMS, METRICS))
        blobs = self.git.read_many(names)
        for (run, tree), found in zip(batch, iter(lambda: list(islice(blobs, 3)), []), strict=True):
            yield _row_of_blobs(run, tree, authors.get(run, ""), found)

    def _insert_rows(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self.connection.executemany(f"INSERT OR REPLACE INTO runs VALUES ({', '.join('?' * 14)})", rows)

    def _ask(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a question; an index that turns out to be damaged is made anew and asked again."""
        try:
            return self.connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            if _is_busy(error):
                raise
            self.rebuild(self.ledger.tip())
            return self.connection.execute(sql, values).fetchall()

    # -- questions ----------------------------------------------------------------------------------------------------

    def runs(self, which: Filter, *, limit: int | None = None, offset: int = 0, reverse: bool = False) -> list[Run | BrokenRun]:
        """Return the runs that a filter keeps, newest first; `reverse` turns the list that `limit` cut, as `git log` does."""
        where, values = self._where(which)
        sql = f"SELECT {_COLUMNS} FROM runs AS r WHERE {where} ORDER BY r.started DESC, r.id LIMIT ? OFFSET ?"
        rows = self._ask(sql, (*values, -1 if limit is None else limit, offset))
        return [_run_of(row) for row in (reversed(rows) if reverse else rows)]

    def count(self, which: Filter) -> int:
        """Return how many runs a filter keeps."""
        where, values = self._where(which)
        return int(self._ask(f"SELECT count(*) FROM runs AS r WHERE {where}", values)[0][0])

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

    def newest_at(self, commit: Oid) -> Run | None:
        """Return the newest completed run recorded at a code commit."""
        where = f"r.commit_id = ? AND r.hidden = {_SHOWN} AND r.status = 'completed'"
        row = next(iter(self._ask(f"SELECT {_COLUMNS} FROM runs AS r WHERE {where} {_NEWEST}", (commit,))), None)
        found = _run_of(row) if row else None
        return found if isinstance(found, Run) else None

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
        try:
            self.connection.execute(f'CREATE INDEX IF NOT EXISTS "{name}" ON runs ({expression})')
        except sqlite3.OperationalError:
            pass  # read-only or busy: slower, and right all the same
        return expression

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

    def _where(self, which: Filter) -> tuple[str, list[Any]]:
        if which.deleted:
            conditions = [f"r.hidden = {_DELETED}"]
        elif which.groups:
            conditions = [f"r.hidden IN ({_SHOWN}, {_GROUP})"]
        else:
            conditions = [f"r.hidden = {_SHOWN}"]
        values: list[Any] = []
        for column, value in (
            ("experiment", which.experiment), ("status", which.status), ("commit_id", which.commit), ("parent", which.parent),
        ):  # fmt: skip
            if value is not None:
                conditions.append(f"r.{column} = ?")
                values.append(value)
        for operator, time in ((">=", which.since), ("<=", which.until), (">", which.after)):
            if time is not None:
                conditions.append(f"r.started {operator} ?")
                values.append(_stamp(time))
        if which.changed:
            conditions.append(f"r.broken IS NULL AND ({' OR '.join(map(self._changed, which.changed))})")
        return " AND ".join(conditions), values

    def _changed(self, path: str) -> str:
        """Return SQL that holds for a run whose value of a param differs from the run before; the first run of all is none."""
        key = f"""'$."{flat_key(path_keys(path))}"'"""
        earlier = _BEFORE.format(run="p", experiment="r.experiment", started="r.started")
        newest = f"FROM runs AS p WHERE {earlier} ORDER BY p.started DESC, p.id LIMIT 1"
        return (
            f"(SELECT json_extract(p.params, {key}) IS NOT json_extract(r.params, {key})"
            f" OR json_type(p.params, {key}) IS NOT json_type(r.params, {key}) {newest})"
        )

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
            raise
        self.connection.execute("COMMIT")


_COLUMNS = "r.id, r.started, r.author, r.broken, r.document, r.params, r.metrics"
_NEWEST = "ORDER BY r.started DESC, r.id LIMIT 1"
_BEFORE = (
    "{run}.experiment = {experiment} AND {run}.status = 'completed' AND {run}.hidden = 0"
    " AND {run}.started < {started} AND {run}.broken IS NULL"
)


# -- the file -------------------------------------------------------------------------------------------------------------


def _connect(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # a mirror: what a crash of the machine spoils is made anew
        _prepare(connection)
    except (sqlite3.OperationalError, OSError) as error:
        if isinstance(error, sqlite3.OperationalError) and _is_busy(error):
            raise
        return _in_memory(path)
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('meta', 'entries', 'runs')").fetchone()[0]
    if version == SCHEMA and tables == 3:
        return
    if version == 0 and not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        indexes = "".join(f"CREATE INDEX IF NOT EXISTS {name} ON {columns};" for name, columns in _INDEXES.items())
        connection.executescript(f"BEGIN EXCLUSIVE; {_TABLES} {indexes} PRAGMA user_version = {SCHEMA}; COMMIT;")
        return
    raise sqlite3.DatabaseError(f"index of version {version}")


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
    connection = sqlite3.connect(":memory:", isolation_level=None)
    if path is not None and path.exists():
        try:
            with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as source:
                source.backup(connection)
            _prepare(connection)
            return connection
        except sqlite3.Error:
            connection = sqlite3.connect(":memory:", isolation_level=None)
    _prepare(connection)
    return connection


def _is_busy(error: sqlite3.DatabaseError) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


# -- rows -----------------------------------------------------------------------------------------------------------------


def _row(run: Run, trees: Sequence[Oid], document: str) -> tuple[Any, ...]:
    hidden = _DELETED if run.deleted else _GROUP if run.group else _SHOWN
    return (
        run.id, _stamp(run.started), run.experiment, str(run.status), run.name, run.code.commit, run.parent, hidden,
        run.author, " ".join(trees), None, document, flat_document(run.params), flat_document(_top_level(run.metrics)),
    )  # fmt: skip


def _row_of_blobs(run: RunId, tree: Oid, author: str, found: Sequence[tuple[str, str, bytes] | None]) -> tuple[Any, ...]:
    """Return a row straight from an entry's blobs; what `_row` would make of the decoded run, in half the time."""
    try:
        document, params, metrics = (_decoded(name, blob) for name, blob in zip((RUN, PARAMS, METRICS), found, strict=True))
        check_document(document)
        if document["id"] != run:
            raise FormatError(f"run.json tells of {document['id']}, and the message of {run}.")
        text, flat = found[0][2].decode("utf-8"), (flat_document(params), flat_document(_top_level(metrics)))  # type: ignore[index]
    except (FormatError, ValueError, TypeError, RecursionError) as error:
        return _broken_row(run, [tree], author, str(error))
    get = document.get
    hidden = _DELETED if get("deleted") else _GROUP if get("group") else _SHOWN
    return (
        run, _stamp(datetime.fromisoformat(document["started"])), get("experiment") or "default", document["status"],
        get("name"), (get("git") or {}).get("commit"), get("parent"), hidden, author_of(author), tree, None, text, *flat,
    )  # fmt: skip


def _broken_row(run: RunId, trees: Sequence[Oid], author: str, reason: str) -> tuple[Any, ...]:
    started = re.search(r"> (-?\d+) ", author)
    stamp = float(started[1]) if started else 0.0
    return (run, stamp, None, "broken", None, None, None, _SHOWN, author_of(author), " ".join(trees), reason, None, "{}", "{}")


def _run_of(row: Sequence[Any]) -> Run | BrokenRun:
    identity, started, author, broken, document, params, metrics = row
    if broken is not None:
        return BrokenRun(RunId(identity), _moment(started), author, broken)
    numbers = {_key_of(key): value for key, value in decode_flat(metrics).items() if isinstance(value, int | float)}
    return read_run(decode_document(document), _unflat(decode_flat(params)), numbers, author)


def _moment(stamp: float) -> datetime:
    try:
        return datetime.fromtimestamp(stamp, UTC).astimezone()
    except (ValueError, OverflowError, OSError):  # a year that no clock of ours can show
        return datetime.fromtimestamp(0, UTC)


def _decoded(name: str, blob: tuple[str, str, bytes] | tuple[Oid, str, bytes] | None) -> dict[str, Any]:
    if blob is None:
        raise FormatError(f"{name} is missing.")
    try:
        value = decode_json(blob[2])
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
    return {run: sorted(set(trees)) for run, trees in newest.items()}


def _batches(items: Sequence[tuple[RunId, Oid]]) -> Iterator[Sequence[tuple[RunId, Oid]]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def _stamp(time: datetime) -> float:
    return time.timestamp()


def _top_level(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metrics.items() if isinstance(value, int | float)}


# -- flat documents -------------------------------------------------------------------------------------------------------

_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_DEEPEST = 200
_SAFE = re.compile(r"[A-Za-z0-9_-]+")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_ESCAPED = re.compile(r"%([0-9a-f]+);")


def flat_key(keys: Sequence[str]) -> str:
    """Return a path in the index's own alphabet: letters, digits, ``_`` and ``-``, the rest escaped, joined by dots.

    >>> flat_key(("data", "a.b"))
    'data.a%2e;b'
    """
    return ".".join(key if _SAFE.fullmatch(key) else _escaped(key) for key in keys)


def flat_document(mapping: Mapping[str, Any]) -> str:
    """Return a nested mapping as one flat JSON mapping whose values carry their type.

    A finite number is itself and an infinity ``9e999``; text is prefixed with ``s``, a list is its JSON after ``l``; true,
    false, null, NaN and the empty mapping are ``b1``, ``b0``, ``n``, ``x`` and ``m``.

    >>> flat_document({"optim": {"lr": 0.1, "name": "sgd"}, "amp": True})
    '{"optim.lr":0.1,"optim.name":"ssgd","amp":"b1"}'
    """
    flat: dict[str, Any] = {}
    _fill(mapping, "", flat)
    try:
        return _ENCODER.encode(flat)
    except ValueError:
        return "{" + ",".join(f"{json.dumps(key)}:{_number_text(value)}" for key, value in flat.items()) + "}"


def decode_flat(text: str) -> dict[str, Value]:
    """Return the values of a flat document by their flat keys."""
    return {key: _from_flat(value) if isinstance(value, str) else value for key, value in json.loads(text).items()}


def encode_document(document: Mapping[str, Value]) -> str:
    """Return run.json as the index keeps it."""
    return encode_json(dict(document), indent=None).decode("utf-8")


def decode_document(text: str) -> dict[str, Any]:
    """Return the run.json that `encode_document` kept."""
    value = decode_json(text)
    assert isinstance(value, dict)
    return value


def _fill(mapping: Mapping[str, Any], prefix: str, flat: dict[str, Any], depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST} mappings")
    for key, value in mapping.items():
        path = prefix + _flat_part(key)
        kind = type(value)
        if kind is float or kind is int:
            flat[path] = value if value == value else "x"
        elif kind is str:
            flat[path] = "s" + value
        elif kind is dict or isinstance(value, Mapping):
            if value:
                _fill(value, path + ".", flat, depth + 1)
            else:
                flat[path] = "m"
        elif value is None:
            flat[path] = "n"
        elif kind is bool:
            flat[path] = "b1" if value else "b0"
        else:
            flat[path] = "l" + encode_json(value, indent=None).decode("utf-8")


@lru_cache(maxsize=100_000)
def _flat_part(key: str) -> str:
    return key if _SAFE.fullmatch(key) else _escaped(key)


def _from_flat(text: str) -> Value:
    kind = text[0]
    if kind == "s":
        return text[1:]
    if kind == "l":
        return decode_json(text[1:])
    return _CONSTANTS[text] if text != "m" else {}


_CONSTANTS: dict[str, Value] = {"b1": True, "b0": False, "n": None, "x": float("nan")}


def _unflat(flat: Mapping[str, Value]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for path, value in flat.items():
        *above, key = path.split(".")
        inner = result
        for part in above:
            inner = inner.setdefault(_key_of(part), {})
        inner[_key_of(key)] = value
    return result


def _number_text(value: Any) -> str:
    if value in (float("inf"), float("-inf")):
        return "9e999" if value > 0 else "-9e999"
    return json.dumps(value)


def _escaped(key: str) -> str:
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]):x};", key) if key else "%;"


def _key_of(part: str) -> str:
    if "%" not in part:
        return part
    return "" if part == "%;" else _ESCAPED.sub(lambda match: chr(int(match[1], 16)), part)
