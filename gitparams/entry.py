"""Entry: how a run is written as one git commit, and read back. `docs/format.md` is the specification."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gitparams.errors import FormatError
from gitparams.git import Git, GitObject, TreeEntry
from gitparams.model import CodeState, Details, Event, EventKind, Metric, Oid, Run, RunId, Status, is_run_id
from gitparams.params import Origin, Overridden, Params, nested
from gitparams.values import Value, decode_json, encode_json

FORMAT = 1
_NO_RUNS = frozenset(str(kind) for kind in EventKind if not kind.of_run)
RUN, PARAMS, METRICS = "run.json", "params.json", "metrics.json"
ORIGINS, PACKAGES, SERIES, OUTPUT, CODE = "origins.json", "packages.txt", "series.jsonl", "output.log", "code"
_FILE, _FOLDER = "100644", "40000"
_MODES = frozenset((_FILE, _FOLDER, "100755", "120000", "160000"))
_TRICK = re.compile(r"\.|git~|.*[/\\]", re.I)


@dataclass(frozen=True, slots=True)
class Header:
    """What the commit object of an entry says.

    Attributes:
        tree: the entry's tree, which names the entry wherever the chain is rebuilt.
        parents: the commits before it.
        author: ``Name <email> seconds offset``, a part of the entry's identity.
        trailers: the trailers of its message; of one that stands twice, the first.
    """

    tree: Oid
    parents: tuple[Oid, ...]
    author: str
    trailers: Mapping[str, str]

    @property
    def run(self) -> RunId | None:
        """The run it is an entry of; None for a merge or purge of the ledger."""
        text = self.trailers.get("Run-Id", "")
        return RunId(text) if is_run_id(text) else None

    @property
    def event(self) -> str:
        """The event it was written for."""
        return self.trailers.get("Run-Event", "")

    @property
    def of_run(self) -> bool:
        """Whether it tells of a run; entries of kinds that this version does not know are taken for some run's."""
        return self.event not in _NO_RUNS

    @property
    def aliases(self) -> tuple[tuple[Oid, Oid], ...]:
        """The pairs of commits of an alias: what was rewritten, and what it became."""
        words = self.trailers.get("Run-Alias", "").split() if self.event == EventKind.ALIAS else []
        if not all(_OID.fullmatch(word) for word in words):
            return ()
        return tuple((Oid(old), Oid(new)) for old, new in zip(words[::2], words[1::2], strict=False))

    @property
    def prev(self) -> tuple[Oid, ...]:
        """The trees of the entries of this run that it followed."""
        return tuple(Oid(word) for word in self.trailers.get("Run-Prev", "").split() if _OID.fullmatch(word))


# -- tree -----------------------------------------------------------------------------------------------------------------


def run_files(run: Run, event: Event) -> dict[str, bytes]:
    """Return the files that hold a run and the event that made them so.

    >>> from gitparams.model import new_event, new_run_id, now
    >>> run = Run(new_run_id(), Status.COMPLETED, now(), params=nested({"lr": 0.1}))
    >>> run_files(run, new_event(EventKind.RECORD))["params.json"]
    b'{\\n  "lr": 0.1\\n}\\n'
    """
    return {
        RUN: encode_json(run_document(run, event)),
        PARAMS: encode_json(dict(run.params)),
        METRICS: encode_json(dict(run.metrics)),
    }


def details_files(details: Details) -> dict[str, bytes]:
    """Return the files of what an entry holds beside the run; a detail that is empty has none."""
    files = {
        ORIGINS: encode_json(origins_document(details.origins)) if details.origins else b"",
        PACKAGES: "".join(f"{package}\n" for package in details.packages).encode(),
        SERIES: details.series,
        OUTPUT: details.output,
    }
    return {name: data for name, data in files.items() if data}


def tree_objects(
    git: Git, files: Mapping[str, bytes], carried: Mapping[str, TreeEntry], code: Oid | None
) -> tuple[GitObject, list[GitObject]]:
    """Return the entry's tree and the blobs it needs written.

    Args:
        git: knows the hash.
        files: the files to write, by name.
        carried: the files kept from the entry before, its ``code/`` among them.
        code: the tree of the code, for a run's first entry.
    """
    blobs = {name: git.object("blob", data) for name, data in files.items()}
    kept = {name: entry for name, entry in carried.items() if entry.mode in _MODES and _is_plain(name)}
    entries = {**kept, **{name: TreeEntry(_FILE, blob.oid) for name, blob in blobs.items()}}
    if code is not None:
        entries[CODE] = TreeEntry(_FOLDER, code)
    return git.tree_object(entries), list(blobs.values())


def _is_plain(name: str) -> bool:
    """Tell whether a file's name leads nowhere else, and is none that git obeys, as HFS+ and NTFS spell it either.

    What `git fsck` refuses in one entry would forbid to push all that follow it.
    """
    return name.isprintable() and not _TRICK.match(name)


# -- run.json -------------------------------------------------------------------------------------------------------------


def run_document(run: Run, event: Event) -> dict[str, Value]:
    """Return run.json as a mapping: what is None, empty or false is left out."""
    code = run.code
    document: dict[str, Value] = {
        "format": FORMAT,
        "id": run.id,
        "event": {"kind": str(event.kind), "time": event.time.isoformat(), "nonce": event.nonce},
        "name": run.name,
        "experiment": run.experiment,
        "status": str(run.status),
        "started": run.started.isoformat(),
        "finished": run.finished.isoformat() if run.finished else None,
        "command": list(run.command),
        "cwd": run.cwd,
        "git": _without_empty(
            {
                "commit": code.commit,
                "branch": code.branch,
                "tree": code.tree,
                "dirty": code.dirty,
                "patch_id": code.patch_id,
                "subject": code.subject,
                "authored": code.authored,
                "note": code.note,
                "submodules": dict(code.submodules),
            }
        ),
        "host": run.host,
        "user": run.user,
        "python": run.python,
        "exit_code": run.exit_code,
        "seeds": dict(run.seeds),
        "inputs": dict(run.inputs),
        "outputs": dict(run.outputs),
        "tags": list(run.tags),
        "note": run.note,
        "expect": list(run.expect),
        "deleted": run.deleted,
        "parent": run.parent,
        "group": run.group,
        "programs": list(run.programs),
        "redacted": list(run.redacted),
        "disputed": list(run.disputed),
        "drift": dict(run.drift),
        "unread": list(run.unread),
        "environment": dict(run.environment),
    }
    return {**run.extra, **_without_empty(document)}


def read_run(document: Mapping[str, Any], params: Mapping[str, Any], metrics: Mapping[str, Metric], author: str) -> Run:
    """Return the run that run.json, params.json and metrics.json tell.

    Raises:
        FormatError: a newer format, or a document that is not one of ours.
    """
    check_document(document)
    try:
        return _read_run(document, nested(params), metrics, author)
    except RecursionError:
        raise FormatError("params.json is nested too deeply.") from None


def check_document(document: Mapping[str, Any]) -> None:
    """Refuse a run.json of a newer format, or with a field that is missing or of the wrong type. Raises `FormatError`."""
    check_format(document)
    try:
        wrong = [key for key, value in document.items() if value is not None and not isinstance(value, _TYPES.get(key, object))]
        wrong += [
            key
            for key, value in document.get("git", {}).items()
            if value is not None and type(value) is not _CODE.get(key, str)
        ]
        if wrong:
            raise ValueError(f"{wrong[0]} is of the wrong type")
        if not is_run_id(document["id"]) or document["status"] not in _STATUSES:
            raise ValueError("no such id or status")
        if not _OIDS.fullmatch(
            f"{document['git'].get('commit') or ''} {document['git'].get('tree') or ''}" if "git" in document else " "
        ):
            raise ValueError("git names no object id")
        if document["format"] < 1:
            raise ValueError("no such format")
        _time(document["started"])
        _time(document.get("finished") or document["started"])
        event = document["event"]
        _time(event["time"])
        if event["kind"] not in _KINDS or not isinstance(event["nonce"], str):
            raise ValueError("no such event")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FormatError(f"run.json is not one of gitparams: {error!r}.") from None


def check_format(document: Any) -> None:
    """Refuse a run.json of a newer format. Raises `FormatError`."""
    if not isinstance(document, Mapping) or not isinstance(document.get("format"), int):
        raise FormatError("run.json names no format.")
    if document["format"] > FORMAT:
        raise FormatError(
            f"It was written in format {document['format']}, and this gitparams reads up to {FORMAT}.",
            hint="pip install --upgrade gitparams",
        )


def read_event(document: Mapping[str, Any]) -> Event:
    """Return the event in a run.json that `check_document` let pass."""
    event = document["event"]
    return Event(EventKind(event["kind"]), _time(event["time"]), event["nonce"])


def _read_run(document: Mapping[str, Any], params: Params, metrics: Mapping[str, Metric], author: str) -> Run:
    get = document.get
    code = get("git") or {}
    return Run(
        id=RunId(document["id"]),
        status=Status(document["status"]),
        started=_time(document["started"]),
        finished=_time(document["finished"]) if get("finished") else None,
        name=get("name"),
        experiment=get("experiment") or "default",
        params=params,
        metrics={key: value for key, value in metrics.items() if isinstance(value, int | float)},
        command=tuple(map(str, get("command") or ())),
        cwd=get("cwd") or ".",
        code=CodeState(**{key: value for key, value in code.items() if key in _CODE and value is not None}),
        author=author,
        host=get("host") or "",
        user=get("user") or "",
        python=get("python") or "",
        exit_code=get("exit_code"),
        seeds=get("seeds") or {},
        inputs=get("inputs") or {},
        outputs=get("outputs") or {},
        tags=tuple(sorted(map(str, get("tags") or ()))),
        note=get("note") or "",
        expect=tuple(map(str, get("expect") or ())),
        deleted=get("deleted") or False,
        parent=get("parent"),
        group=get("group") or False,
        programs=tuple(get("programs") or ()),
        redacted=tuple(map(str, get("redacted") or ())),
        disputed=tuple(map(str, get("disputed") or ())),
        drift=get("drift") or {},
        unread=tuple(map(str, get("unread") or ())),
        environment=get("environment") or {},
        extra={key: value for key, value in document.items() if key not in _TYPES},
    )


_TEXTS = ("id", "name", "experiment", "status", "started", "finished", "cwd", "host", "user", "python", "note", "parent")
_TYPES: dict[str, type] = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(("event", "git", "seeds", "inputs", "outputs", "drift", "environment"), dict),
    **dict.fromkeys(("command", "tags", "expect", "programs", "redacted", "disputed", "unread"), list),
    **dict.fromkeys(("deleted", "group"), bool),
    **dict.fromkeys(("format", "exit_code"), int),
}
_CODE: dict[str, type] = {
    "commit": str,
    "branch": str,
    "tree": str,
    "dirty": bool,
    "patch_id": str,
    "subject": str,
    "authored": str,
    "note": str,
    "submodules": dict,
}
_STATUSES, _KINDS = frozenset(map(str, Status)), frozenset(map(str, EventKind))
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_OIDS = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})? (?:[0-9a-f]{40}|[0-9a-f]{64})?")


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} has no offset")
    if not 1 < time.year < 9999:
        raise ValueError(f"{text} is a year that not every clock can show")
    return time


def _without_empty(document: Mapping[str, Value]) -> dict[str, Value]:
    return {
        key: value for key, value in document.items() if value is not None and value is not False and value not in ("", [], {})
    }


# -- origins.json ---------------------------------------------------------------------------------------------------------


def origins_document(origins: Mapping[str, Origin]) -> dict[str, Value]:
    """Return origins as JSON has them: path → source, at, and the values it overrode.

    >>> origins_document({"lr": Origin("cli", "-p lr=0.1")})
    {'lr': {'source': 'cli', 'at': '-p lr=0.1'}}
    """
    return {path: _origin_document(origin) for path, origin in origins.items()}


def _origin_document(origin: Origin) -> Value:
    document: dict[str, Value] = {"source": origin.source}
    if origin.at is not None:
        document["at"] = origin.at
    if origin.overrode:
        document["overrode"] = [
            {"value": lost.value, "source": lost.source, **({"at": lost.at} if lost.at is not None else {})}
            for lost in origin.overrode
        ]
    if origin.also:
        document["also"] = [{"source": source, **({"at": at} if at is not None else {})} for source, at in origin.also]
    return document


def read_origins(document: Any) -> dict[str, Origin]:
    """Return the origins that origins.json tells; one that cannot be read is left out."""
    if not isinstance(document, Mapping):
        return {}
    return {path: _read_origin(item) for path, item in document.items() if isinstance(item, Mapping) and "source" in item}


def _read_origin(item: Mapping[str, Any]) -> Origin:
    overrode = tuple(
        Overridden(lost["value"], str(lost["source"]), _place(lost.get("at")))
        for lost in _mappings(item.get("overrode"))
        if "value" in lost and "source" in lost
    )
    also = tuple((str(other["source"]), _place(other.get("at"))) for other in _mappings(item.get("also")) if "source" in other)
    return Origin(str(item["source"]), _place(item.get("at")), overrode, also)


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _place(value: Any) -> str | None:
    return None if value is None else str(value)


def read_details(read: Callable[[str], bytes | None]) -> Details:
    """Return an entry's details; `read` gives a file's content, or None."""
    origins = read(ORIGINS)
    packages = read(PACKAGES) or b""
    return Details(
        origins=read_origins(_lenient(origins)) if origins else {},
        packages=tuple(packages.decode("utf-8", "replace").splitlines()),
        series=read(SERIES) or b"",
        output=read(OUTPUT) or b"",
    )


def _lenient(data: bytes) -> Value:
    try:
        return decode_json(data)
    except ValueError:
        return None


# -- commit ---------------------------------------------------------------------------------------------------------------


def author_line(author: str, time: datetime) -> str:
    """Return a person and a time as a commit has them.

    >>> author_line("A <a@b>", datetime.fromisoformat("2026-11-23T10:00:00+02:00"))
    'A <a@b> 1795420800 +0200'
    """
    offset = time.utcoffset() or timedelta()
    minutes = int(offset.total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    return f"{author} {int(time.timestamp())} {sign}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


def message(subject: str, run: Run, event: Event, prev: Sequence[Oid], compared: RunId | None) -> str:
    """Return an entry's message: a line for people, and the trailers."""
    trailers = [f"Run-Id: {run.id}", f"Run-Status: {run.status}", f"Run-Event: {event.kind}"]
    if prev:
        trailers.append(f"Run-Prev: {' '.join(sorted(prev))}")
    if compared:
        trailers.append(f"Run-Compared: {compared}")
    if run.code.commit:
        trailers.append(f"Run-Commit: {run.code.commit}")
    return f"{_one_line(subject)}\n\n" + "\n".join(trailers) + "\n"


def alias_message(pairs: Sequence[tuple[Oid, Oid]], how: str) -> str:
    """Return the message of an alias: which commits became which when they were rewritten.

    Args:
        pairs: old and new commits.
        how: what rewrote them: ``rebase``, ``amend``.

    >>> alias_message([(Oid("4f2c" * 10), Oid("1a2b" * 10))], "amend").partition(":")[0]
    'alias of 1 commit'
    """
    words = " ".join(f"{old} {new}" for old, new in pairs)
    many = "commit" if len(pairs) == 1 else "commits"
    return f"{_one_line(f'alias of {len(pairs)} {many}: {how}')}\n\nRun-Event: {EventKind.ALIAS}\nRun-Alias: {words}\n"


def commit_object(git: Git, tree: Oid, parents: Sequence[Oid], author: str, text: str) -> GitObject:
    """Return the commit object of an entry; author and committer are one person at one time."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {author}", f"committer {author}", "", text]
    return git.object("commit", "\n".join(lines).encode("utf-8", "replace"))


def parse_commit(data: bytes) -> Header:
    """Return what a commit says of an entry; one without our trailers has none.

    >>> parse_commit(b"tree 11\\nparent 22\\nauthor A <a> 0 +0000\\n\\nstart x\\n\\nRun-Event: start\\n").event
    'start'
    """
    head = _HEAD.match(data)
    if head is None:
        return Header(Oid(""), (), "", {})
    trailers: dict[str, str] = {}
    body = data.rstrip(b"\n")
    for key, value in _TRAILER.findall(body, max(body.rfind(b"\n\n"), 0)):
        trailers.setdefault(key.decode(), value.decode("utf-8", "replace"))
    parents = tuple(Oid(word) for word in head[2].decode().split()[1::2])
    return Header(Oid(head[1].decode()), parents, head[3].decode("utf-8", "replace"), trailers)


_HEAD = re.compile(rb"tree ([0-9a-f]+)\n((?:parent [0-9a-f]+\n)*)author ([^\n]*)\n")
_TRAILER = re.compile(rb"^(Run-[A-Za-z]+): (.*)$", re.M)


def author_of(line: str) -> str:
    """Return ``Name <email>`` of an author line.

    >>> author_of("A <a@b> 1795428000 +0200")
    'A <a@b>'
    """
    return line[: line.rfind(">") + 1]


def _one_line(text: str) -> str:
    """Return the text as one line that a terminal may show: no control characters."""
    return "".join(letter if letter.isprintable() else "�" for letter in " ".join(text.split()))
