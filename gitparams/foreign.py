"""Foreign runs: what another system recorded, on its way into the ledger with its own times."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from gitparams.capture.redaction import Redaction
from gitparams.errors import UsageError
from gitparams.journal import series_line
from gitparams.model import Details, Metric, Run, RunId, Status, checked_name
from gitparams.params import Layer, layer, nested
from gitparams.values import Value
from gitparams.writing import Beginning, Writer, checked_tag

_BATCH = 2_000
_ID_LETTERS = "klmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class ForeignRun:
    """A finished run as another system tells of it.

    Attributes:
        key: what tells it from every other run in the world, the system's name first: ``("optuna", study, trial)``. The id
            of the run is made of it, so that bringing it in twice does nothing.
        params: nested plain values.
        status: a finished one.
        started, finished: with their offset from UTC.
        metrics: the summary. series: (step, seconds since 1970, numbers by name), in the order in which they were logged.
        name, tags, note, command, host, user, parent: as in `Run`.
        experiment: as in `Run`; "" is that of the settings for what happens here, else ``default``.
        environment: what else the system knows.
    """

    key: tuple[str, ...]
    params: Mapping[str, Value]
    status: Status
    started: datetime
    finished: datetime | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    series: Sequence[tuple[float, float, Mapping[str, Metric]]] = ()
    name: str | None = None
    experiment: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    command: tuple[str, ...] = ()
    host: str = ""
    user: str = ""
    parent: RunId | None = None
    environment: Mapping[str, Value] = field(default_factory=dict)

    @property
    def id(self) -> RunId:
        """The id that it always gets.

        >>> from datetime import UTC
        >>> ForeignRun(("optuna", "digits", "0"), {}, Status.COMPLETED, datetime(2026, 11, 23, tzinfo=UTC)).id
        'otmxtvqrxrrtlqwl'
        """
        return run_id(self.key)


def run_id(key: Sequence[str]) -> RunId:
    """Return the id of the foreign run that a key names: the first 64 bits of its SHA-256, as run ids are spelt."""
    digest = hashlib.sha256(json.dumps(list(key)).encode()).digest()
    return RunId("".join(_ID_LETTERS[byte & 15] for byte in digest[:16]))


def bring_in(writer: Writer, runs: Iterable[ForeignRun], *, here: bool = False) -> list[RunId]:
    """Record foreign runs that the ledger does not have, and return their ids, oldest first.

    What was deleted or purged here stays so. Secrets are replaced before anything is written; a name that no run may have
    becomes the note's first line.

    Args:
        writer: of the repository that takes them.
        runs: in any order; the first of one key counts.
        here: whether they happen in this program now: they have its code, its command and its machine.

    Raises:
        LedgerError: they could not be written; those of earlier batches of 2,000 were.
    """
    known = dict[RunId, ForeignRun]()
    for run in runs:
        known.setdefault(run.id, run)
    waiting = iter(sorted(known.values(), key=lambda run: run.started))
    around, pack = _surroundings(writer) if here else (None, None)
    brought: list[RunId] = []
    while batch := list(islice(waiting, _BATCH)):
        made = [recorded(run, writer.redaction, writer.author, around) for run in batch]
        brought += [run.id for run in writer.append_records(made, pack)]
    writer.index.catch_up(writer.ledger.tip())
    return brought


def _surroundings(writer: Writer) -> tuple[Run, bytes | None]:
    """Return a run of this program as it stands, without params, and a pack of its code's objects."""
    snapshot = writer.code()
    beginning = Beginning(command=tuple(getattr(sys, "orig_argv", sys.argv)))
    return writer.new_run(beginning, Layer({}, {}), (), Status.COMPLETED, snapshot.code), snapshot.pack


def recorded(foreign: ForeignRun, redaction: Redaction, author: str = "", around: Run | None = None) -> tuple[Run, Details]:
    """Return a foreign run as one of ours, its secrets replaced, with what is kept beside it.

    Args:
        foreign: the run.
        redaction: what counts as a secret.
        author: ``Name <email>`` of who brings it in.
        around: a run of the program in which it happens, whose code, command and machine it has too.
    """
    system = foreign.key[0]
    clean, hidden = redaction.layer(layer(dict(foreign.params), system))
    environment, _ = redaction.values(dict(foreign.environment))
    name, note = foreign.name, foreign.note
    if name is not None:
        try:
            checked_name(name)
        except UsageError:
            name, note = None, f"{name}\n{note}".strip()
    told = around or Run(
        foreign.id, foreign.status, foreign.started, author=author, environment={"imported": system}, experiment=""
    )
    run = replace(
        told,
        id=foreign.id,
        status=foreign.status,
        started=foreign.started,
        finished=foreign.finished or foreign.started,
        name=name,
        experiment=foreign.experiment or told.experiment or "default",
        params=nested(clean.values),
        metrics=dict(foreign.metrics),
        command=redaction.command(foreign.command) or told.command,
        host=foreign.host or told.host,
        user=foreign.user or told.user,
        tags=tuple(sorted({tag for tag in foreign.tags if _is_tag(tag)})),
        note=redaction.text(note),
        parent=foreign.parent,
        redacted=tuple(sorted(hidden)),
        environment={**told.environment, **environment},
    )
    series = b"".join(series_line(step, moment, dict(numbers)) for step, moment, numbers in foreign.series)
    return run, Details(origins=clean.origins, series=series)


def _is_tag(tag: str) -> bool:
    try:
        checked_tag(tag)
    except UsageError:
        return False
    return True
