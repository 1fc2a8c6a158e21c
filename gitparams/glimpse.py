"""Glimpse: what the index holds as it stands, found without a git process and read without catching up with the ledger."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gitparams.flat import keys_of

# Whoever presses TAB waits: what is not known by then is left out.
_SECONDS = 0.12
_STEPS_BETWEEN_LOOKS = 2000
# Reading the tags of 100,000 documents would take seconds.
_TAGGED = 2000
_MOST, _MOST_KEYS = 50, 5000
_GITFILE = "gitdir: "

Keys = tuple[str, ...]
"""The keys that lead to a param or metric."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as far as a list of names needs it.

    Attributes:
        id: its whole id.
        started: when it began, in seconds since 1970.
        status: how it stands, or ``broken``.
        name: the name a person gave it, or None.
    """

    id: str
    started: float
    status: str
    name: str | None


def index_file(start: Path, environment: Mapping[str, str]) -> Path | None:
    """Return the index of the repository around a folder, or None when there is none that is ours to read.

    An index of another user is left alone, as git leaves alone a repository of another user.

    Args:
        start: the folder, absolute.
        environment: variables; ``GIT_DIR`` and ``GIT_COMMON_DIR`` mean what they mean to git.
    """
    given = environment.get("GIT_DIR")
    git_dir = start / given if given else _git_dir(start)
    if git_dir is None:
        return None
    common = environment.get("GIT_COMMON_DIR")
    file = (start / common if common else _common_dir(git_dir)) / "gitparams" / "index.db"
    try:
        return file if file.stat().st_uid == os.geteuid() else None
    except OSError:
        return None


def _git_dir(start: Path) -> Path | None:
    for folder in (start, *start.parents):
        found = folder / ".git"
        if found.is_dir():
            return found
        if found.is_file():
            return _led_to(found, _GITFILE)
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir():
            return folder
    return None


def _common_dir(git_dir: Path) -> Path:
    """Return the folder that all work trees share: their own git directories name it in a file."""
    return _led_to(git_dir / "commondir", "") or git_dir


def _led_to(file: Path, before: str) -> Path | None:
    """Return the path that a file holds after a word, relative to the file's own folder; None when it holds none."""
    try:
        text = file.read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    return file.parent / text.removeprefix(before).rstrip("\r\n") if text.startswith(before) else None


class Glimpse:
    """The runs, names and keys that an index knows. Nothing is newer than the last command, and a fault is an empty answer."""

    def __init__(self, connection: sqlite3.Connection | None) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def of(cls, file: Path | None) -> Iterator[Glimpse]:
        """Open an index for reading; with None, or one that cannot be opened, there is nothing to see."""
        connection = _opened(file) if file is not None else None
        try:
            yield cls(connection)
        finally:
            if connection is not None:
                connection.close()

    def runs(self, prefix: str = "", *, deleted: bool = False) -> list[Seen]:
        """Return the newest runs whose id begins with a prefix; the deleted ones instead of the others when asked."""
        hidden = "= 1" if deleted else "!= 1"
        where, values = (
            (f"hidden {hidden} AND id >= ? AND id < ?", (prefix, prefix + "{")) if prefix else (_LISTED[deleted], ())
        )
        sql = f"SELECT id, started, status, name FROM runs WHERE {where} ORDER BY started DESC LIMIT {_MOST}"
        return [Seen(*row) for row in self._ask(sql, values)]

    def named(self, prefix: str = "", *, deleted: bool = False) -> list[Seen]:
        """Return the newest runs whose name begins with a prefix."""
        hidden = "= 1" if deleted else "!= 1"
        sql = (
            f"SELECT id, started, status, name FROM runs WHERE name >= ? AND name < ? AND hidden {hidden}"
            f" ORDER BY started DESC LIMIT {_MOST}"
        )
        return [Seen(*row) for row in self._ask(sql, (prefix, prefix + "\U0010ffff"))]

    def experiments(self) -> list[str]:
        """Return the names of the experiments, sorted."""
        return self._texts("SELECT DISTINCT experiment FROM runs WHERE experiment IS NOT NULL ORDER BY experiment")

    def tags(self) -> list[str]:
        """Return the tags of the newest runs, sorted."""
        newest = f"SELECT document FROM runs WHERE hidden = 0 ORDER BY started DESC LIMIT {_TAGGED}"
        return self._texts(f"SELECT DISTINCT value FROM ({newest}), json_each(document, '$.tags') ORDER BY value")

    def params(self) -> list[Keys]:
        """Return the keys of the params of all runs, sorted."""
        return self._keys("params")

    def metrics(self) -> list[str]:
        """Return the names of the metrics of all runs, sorted."""
        return [".".join(keys) for keys in self._keys("metrics")]

    def _keys(self, document: str) -> list[Keys]:
        paths = self._texts("SELECT key FROM keys WHERE document = ? LIMIT ?", (document, _MOST_KEYS))
        return sorted(map(keys_of, paths))

    def _texts(self, sql: str, values: tuple[str | int, ...] = ()) -> list[str]:
        return [row[0] for row in self._ask(sql, values) if isinstance(row[0], str)]

    def _ask(self, sql: str, values: tuple[str | int, ...] = ()) -> list[Any]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error:  # damaged, of another version, or too slow: the next command mends it
            return []


# The newest of all are found by the index over (hidden, started), which wants one number.
_LISTED = {False: "hidden = 0", True: "hidden = 1"}


def _opened(file: Path) -> sqlite3.Connection | None:
    try:
        connection = _connected(file, "mode=ro")
    except sqlite3.Error:  # a folder that cannot be written has no room for SQLite's own notes
        try:
            connection = _connected(file, "mode=ro&immutable=1")
        except sqlite3.Error:
            return None
    end = time.monotonic() + _SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_LOOKS)
    return connection


def _connected(file: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(os.fsencode(file))}?{how}", uri=True, timeout=0)
    try:
        connection.execute("SELECT 1 FROM runs LIMIT 1")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
