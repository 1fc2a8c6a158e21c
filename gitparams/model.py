"""What a run is: the frozen values that are read from and written to the ledger."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NewType

from gitparams.errors import UsageError
from gitparams.params import Origin, Params
from gitparams.values import Value

RunId = NewType("RunId", str)
"""Sixteen letters from k to z: never to be read as a commit id, which is made of 0-9 and a-f."""

Oid = NewType("Oid", str)
"""An object id of git as lower-case hex text, of the length the repository's hash has."""

Metric = int | float | bool
"""One number. A series is a list of them by step."""

SHOWN_ID_LETTERS = 8
SHORTEST_PREFIX = 4
_ID_LETTERS = "klmnopqrstuvwxyz"
_ID = re.compile("[k-z]+")
_RESERVED_NAMES = frozenset({"latest", "worktree", "best"})


class Status(StrEnum):
    """How a run stands.

    ``running`` its process lives · ``open`` begun by `start` or the pre-run hook, not finished yet · ``completed`` ·
    ``failed`` non-zero exit or exception · ``interrupted`` signal, ^C, scheduler · ``crashed`` found dead ·
    ``lost`` running elsewhere without a sign of life · ``refused`` vetoed before it began · ``pruned`` stopped by a tuner.
    """

    RUNNING = "running"
    OPEN = "open"
    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    CRASHED = "crashed"
    LOST = "lost"
    REFUSED = "refused"
    PRUNED = "pruned"

    @property
    def finished(self) -> bool:
        """Whether no more of the program is to come."""
        return self not in (Status.RUNNING, Status.OPEN)


class EventKind(StrEnum):
    """What an entry of the ledger says happened to its run."""

    START = "start"
    FINISH = "finish"
    RECORD = "record"
    UPDATE = "update"
    DELETE = "delete"
    RESTORE = "restore"
    MERGE = "merge"
    IMPORT = "import"
    PURGE = "purge"
    ALIAS = "alias"

    @property
    def of_run(self) -> bool:
        """Whether its entries hold the state of a run; the others say something of the ledger or of commits."""
        return self not in (EventKind.MERGE, EventKind.PURGE, EventKind.ALIAS)


@dataclass(frozen=True, slots=True)
class Event:
    """One event in a run's life.

    Attributes:
        kind: what happened.
        time: when, with its offset.
        nonce: random hex, so that no two events have one tree.
    """

    kind: EventKind
    time: datetime
    nonce: str


@dataclass(frozen=True, slots=True)
class CodeState:
    """The code a run was started from.

    Attributes:
        commit: id of HEAD's commit; None before the first commit.
        branch: the branch's short name; None when HEAD is detached.
        tree: the id of the tree in ``code/``; None when it was left out.
        dirty: whether tracked files differed from the commit.
        patch_id: ``git patch-id --stable`` of the commit, to find it again after a rebase.
        subject, authored: the commit's subject and its author date in ISO 8601, to find it again when a rebase met a conflict.
        note: why ``code/`` was left out.
        submodules: path → the commit that was checked out there, with `` dirty`` after it when tracked files differed.
    """

    commit: Oid | None = None
    branch: str | None = None
    tree: Oid | None = None
    dirty: bool = False
    patch_id: str | None = None
    subject: str | None = None
    authored: str | None = None
    note: str | None = None
    submodules: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a program with one resolved config, as its newest entry tells it.

    Attributes:
        id: the run's id.
        name: a name given by a person, or None.
        experiment: the name that groups runs.
        status: how it stands.
        started: when it began; finished: when it ended, None while it goes on. Both carry their offset from UTC.
        params: the resolved config.
        metrics: the summary, one number a name.
        command: the program and its arguments.
        cwd: where it ran, relative to the top of the work tree, with ``/``; ``.`` at the top.
        code: the code it ran.
        author: ``Name <email>``, as git has it.
        host, user, python: where, who, and the version of Python that recorded it.
        exit_code: the program's exit code, 128+n when signal n killed it; None when unknown.
        seeds: the params that are seeds. inputs, outputs: path → digest of files read and written.
        tags: sorted. note: free text.
        expect: what was expected of it before it began, an expression each; never changed later.
        deleted: hidden by `rm`, restorable.
        parent: the run it was started from or belongs to.
        group: whether it only holds child runs.
        programs: what else ran within it.
        redacted: the paths of params whose values were replaced before they were written.
        disputed: the paths of params of which the program used another value than was declared for it, or about which two
            of its parsers disagree.
        drift: path → what it was when it was captured and what it was in the end; ``{"missing": true}`` where it was not.
        unread: the paths of declared params that the program never read.
        environment: what else is known of where it ran: scheduler's job id, environment variables …
        extra: fields of run.json that this version does not know; kept as they are.
    """

    id: RunId
    status: Status
    started: datetime
    name: str | None = None
    experiment: str = "default"
    finished: datetime | None = None
    params: Params = field(default_factory=Params)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    cwd: str = "."
    code: CodeState = CodeState()
    author: str = ""
    host: str = ""
    user: str = ""
    python: str = ""
    exit_code: int | None = None
    seeds: Mapping[str, Value] = field(default_factory=dict)
    inputs: Mapping[str, Value] = field(default_factory=dict)
    outputs: Mapping[str, Value] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    note: str = ""
    expect: tuple[str, ...] = ()
    deleted: bool = False
    parent: RunId | None = None
    group: bool = False
    programs: tuple[Value, ...] = ()
    redacted: tuple[str, ...] = ()
    disputed: tuple[str, ...] = ()
    drift: Mapping[str, Value] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    environment: Mapping[str, Value] = field(default_factory=dict)
    extra: Mapping[str, Value] = field(default_factory=dict)

    @property
    def duration(self) -> float | None:
        """Seconds from start to finish, or None while it goes on."""
        return None if self.finished is None else (self.finished - self.started).total_seconds()

    @property
    def short_id(self) -> str:
        """The id as it is shown."""
        return self.id[:SHOWN_ID_LETTERS]


@dataclass(frozen=True, slots=True)
class Details:
    """What an entry holds beside the run itself; read only when it is asked for.

    Attributes:
        origins: written path of a param → where its value came from.
        packages: ``name==version``, sorted.
        series: the lines of ``series.jsonl``, as they were logged.
        output: the tail of what the program printed.
    """

    origins: Mapping[str, Origin] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    series: bytes = b""
    output: bytes = b""


def new_run_id() -> RunId:
    """Return a random run id.

    >>> is_run_id(new_run_id())
    True
    """
    return RunId("".join(_ID_LETTERS[byte & 15] for byte in os.urandom(16)))


def is_run_id(text: str) -> bool:
    """Tell whether the text is a whole run id."""
    return len(text) == 16 and _ID.fullmatch(text) is not None


def is_id_prefix(text: str) -> bool:
    """Tell whether the text may begin a run id: four letters or more, all from k to z."""
    return SHORTEST_PREFIX <= len(text) <= 16 and _ID.fullmatch(text) is not None


def new_event(kind: EventKind, time: datetime | None = None) -> Event:
    """Return an event that happened now, or at `time`."""
    return Event(kind, time or now(), os.urandom(8).hex())


def now() -> datetime:
    """Return the present time with this machine's offset."""
    return datetime.now(UTC).astimezone()


def checked_name(name: str) -> str:
    """Return the name if a run may have it.

    Raises:
        UsageError: it could be read as something else, or would break a line of the screen.

    >>> checked_name("resnet-50")
    'resnet-50'
    """
    if not name or name in _RESERVED_NAMES or name.startswith("-") or re.search(r"\.\.|[~:\s]", name) or not name.isprintable():
        raise UsageError(
            f"{name!r} cannot be a run's name.",
            hint="a name has no space, '..', '~' or ':', and is not latest, worktree or best",
        )
    return name
