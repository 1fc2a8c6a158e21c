"""Groups: a run that turned out to be several, taken apart into the journals of its children."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gitparams.capture.reports import Part, disputed, over
from gitparams.journal import Ending, Journal, JournalState
from gitparams.model import Run, RunId, Status
from gitparams.params import Layer, nested
from gitparams.values import decode_json

if TYPE_CHECKING:
    from gitparams.metrics_files import MetricsFound


_LATE = 1.0
"""Seconds by which output may be heard after its program has ended."""


def take_apart(journal: Journal, parts: Sequence[Part], ending: Ending | None) -> Iterator[tuple[Journal, Ending]]:
    """Yield the journal of each child that ended, with how it did.

    The steps and changes of the `start` that had joined the run, and the steps that were heard while exactly one of the
    children was there, move from the run's journal to the child's.

    Args:
        journal: the group's own.
        parts: its children, as they were told.
        ending: how the group ended, which children that said nothing share; None while it goes on, and those that have not
            ended are left out.
    """
    state = journal.read()
    heard = _shares(journal.heard(), parts) if ending is not None else {}
    for place, part in enumerate(parts):
        how = _ending(part, ending)
        if how is None or (ending is None and (part.run is None or not part.layer.values)):
            continue
        child = journal_of(journal, part, state)
        if child is None:
            continue
        if part.joined:
            journal.hand_over(child, heard.get(place, b""))
        elif steps := heard.get(place):
            child.hear(steps)
        if summary := _copied_metrics(part).metrics:
            child.change(summary=dict(summary))
        yield child, how
    if ending is not None and heard:
        journal.keep_heard(heard.get(None, b""))


def journal_of(journal: Journal, part: Part, state: JournalState) -> Journal | None:
    """Return the journal of a child with all that was told of it; None when it was closed before.

    Args:
        journal: the group's own.
        part: the child.
        state: what the group's journal tells.
    """
    live = journal.folder.parent
    if part.run is not None:
        child = Journal(live / part.run)
        if not (child.folder / "run.json").exists():
            return None
    else:
        child = Journal(live / _id(state.run.id, part))
        if not (child.folder / "run.json").exists():
            run = replace(state.run, expect=journal.begun().expect)  # what joined the group's run expects of itself alone
            child = Journal.create(live, _child(run, part, child.id), {}, lock=False)
    _tell(child, part, state)
    return child


def _tell(child: Journal, part: Part, state: JournalState) -> None:
    """Write what was told of a child into its journal, once."""
    if "params" in child.read().touched:
        return
    child.change(
        fields={
            "drift": dict(part.drift),
            "environment": dict(part.facts),
            "disputed": list(disputed(state.layer, part.layer)),
        }
    )
    child.set_params(params_of(part, state), (*state.run.redacted, *part.redacted))


def params_of(part: Part, state: JournalState) -> Layer:
    """Return the params of a child: what it told, upon what was declared for the group."""
    return over(state.layer, part.layer)


def _child(run: Run, part: Part, name: RunId) -> Run:
    return replace(
        run,
        id=name,
        parent=run.id,
        name=None,
        note="",
        group=False,
        status=Status.RUNNING,
        started=datetime.fromtimestamp(part.started).astimezone() if part.started else run.started,
        finished=None,
        params=nested({}),
        metrics={},
        programs=(),
    )


def _id(group: RunId, part: Part) -> RunId:
    """Return the id of a child that has none yet: the same one however often the group is taken apart."""
    digest = hashlib.sha256(f"{group} {part.pid} {part.started}".encode()).digest()
    return RunId("".join("klmnopqrstuvwxyz"[byte & 15] for byte in digest[:16]))


def _ending(part: Part, ending: Ending | None) -> Ending | None:
    if part.status is not None and part.finished is not None:
        return Ending(Status(part.status), datetime.fromtimestamp(part.finished).astimezone(), part.exit_code)
    return ending and Ending(ending.status, ending.time, ending.exit_code)


def _shares(heard: bytes, parts: Sequence[Part]) -> dict[int | None, bytes]:
    """Return the steps by the child they belong to: the only one that was there at their time, or None for the group."""
    shares: dict[int | None, bytes] = {}
    for line in heard.splitlines(keepends=True):
        owner = _owner(line, parts)
        shares[owner] = shares.get(owner, b"") + line
    return shares


def _owner(line: bytes, parts: Sequence[Part]) -> int | None:
    try:
        step = decode_json(line)
    except ValueError:
        return None
    moment = step.get("time") if isinstance(step, dict) else None
    if not isinstance(moment, int | float):
        return None
    there = [n for n, part in enumerate(parts) if part.started <= moment <= (part.finished or moment)]
    if not there:  # what a program printed last is heard a moment after it said good-bye
        late = [n for n, part in enumerate(parts) if part.finished and part.finished < moment <= part.finished + _LATE]
        there = late[-1:]
    return there[0] if len(there) == 1 else None


def _copied_metrics(part: Part) -> MetricsFound:
    from gitparams.metrics_files import read_metrics_files

    return read_metrics_files([(Path(copy), name) for name, copy in part.metrics])
