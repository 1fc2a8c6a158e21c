"""Leaks: secrets in runs that were recorded, by the rules by which secrets are replaced before a run is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from gitparams.entry import METRICS, ORIGINS, PARAMS, RUN, read_origins
from gitparams.errors import ParamsError
from gitparams.git import TOO_LARGE, parse_tree
from gitparams.index import MOST_JSON
from gitparams.model import SHOWN_ID_LETTERS, Oid, RunId
from gitparams.params import Layer, path_text
from gitparams.rules import WARN, Finding, Report
from gitparams.values import decode_json

if TYPE_CHECKING:
    from gitparams.capture.redaction import Redaction
    from gitparams.repository import Repository

_BATCH = 2000
_FOLDERS = ("40000", "160000")


class _File(NamedTuple):
    run: RunId
    name: str
    oid: Oid


class _Leak(NamedTuple):
    """Where in a file a secret stands: the written path of a value, or a line that counts from 1."""

    key: str | None = None
    line: int | None = None
    unread: bool = False


def check_ledger(repository: Repository) -> Report:
    """Return the secrets that recorded runs hold, hidden ones too, in every entry and file but those of the code.

    A finding names run, file and path, and never the secret itself.
    """
    git, ledger = repository.git, repository.ledger
    headers = ledger.headers(ledger.between(None, ledger.tip())[0])
    entries = [(header.run, header.tree) for _, header in headers if header.run and header.of_run]
    known: dict[Oid, tuple[_Leak, ...]] = {}
    found: dict[tuple[RunId, str, _Leak], None] = {}
    waiting = iter(dict.fromkeys(entries))
    while batch := list(islice(waiting, _BATCH)):
        files = list(_files(repository, batch))
        unknown = {file.oid: file.name for file in files if file.oid not in known}
        for (oid, name), blob in zip(unknown.items(), git.read_many(unknown), strict=True):
            known[oid] = tuple(_leaks(name, blob, repository.redaction)) if blob is not None else ()
        found.update(dict.fromkeys((file.run, file.name, leak) for file in files for leak in known[file.oid]))
    return Report(tuple(_finding(*one) for one in sorted(found, key=str)), len(known))


def _files(repository: Repository, entries: Sequence[tuple[RunId, Oid]]) -> Iterator[_File]:
    git = repository.git
    for (run, _), tree in zip(entries, git.read_many(tree for _, tree in entries), strict=True):
        for name, entry in parse_tree(tree[2], git.zero).items() if tree is not None and tree[1] == "tree" else ():
            if entry.mode not in _FOLDERS:
                yield _File(run, name, entry.oid)


def _leaks(name: str, blob: tuple[str, str, bytes], redaction: Redaction) -> Iterable[_Leak]:
    if blob[1] == TOO_LARGE or (name in (PARAMS, RUN, METRICS, ORIGINS) and len(blob[2]) > MOST_JSON):
        return [_Leak(unread=True)]  # a document of that size is no run's, and to search it takes a minute
    if name not in (PARAMS, RUN, METRICS, ORIGINS):
        return _in_lines(blob[2], redaction)
    try:
        document = decode_json(blob[2])
        if not isinstance(document, dict):
            raise ValueError("no mapping")
        return list(_in_origins(document, redaction) if name == ORIGINS else _in_values(document, redaction))
    except (ValueError, RecursionError, ParamsError):  # what is none of ours may hold a secret all the same
        return _in_lines(blob[2], redaction)


def _in_values(document: dict[str, Any], redaction: Redaction) -> Iterator[_Leak]:
    keys = dict.fromkeys(redaction.values(document)[1])
    words = document.get("command")
    command = tuple(map(str, words)) if isinstance(words, list) else ()
    if redaction.command(command) != command:
        keys[("command",)] = None
    yield from (_Leak(path_text(one)) for one in keys)


def _in_origins(document: dict[str, Any], redaction: Redaction) -> Iterator[_Leak]:
    origins = read_origins(document)
    clean = redaction.layer(Layer({}, origins))[0].origins
    yield from (_Leak(path) for path, origin in origins.items() if clean[path] != origin)


def _in_lines(data: bytes, redaction: Redaction) -> Iterator[_Leak]:
    if redaction.output(data) == data:
        return
    lines = [number for number, line in enumerate(data.split(b"\n"), 1) if redaction.output(line) != line]
    yield from (_Leak(line=number) for number in lines or [1])  # a key in PEM takes several


def _finding(run: RunId, name: str, leak: _Leak) -> Finding:
    short = run[:SHOWN_ID_LETTERS]
    if leak.unread:
        return Finding("secret", WARN, "it is too large to be searched", f"{short}:{name}")
    what = f"{leak.key} holds a secret" if leak.key else "the line holds a secret"
    return Finding.by("secret", what, f"{short}:{name}", leak.line, key=leak.key, hint=f"gitparams purge {short}")
