"""Documents: the JSON of runs that other programs read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from gitparams.index import BrokenRun, Listed
from gitparams.model import Details, Run
from gitparams.params import MISSING, Origin, differing, flatten, to_dict
from gitparams.values import Value, printable


def run_document(run: Run, before: Run | None, details: Details | None = None) -> dict[str, Any]:
    """Return the document of one run: a line of ``log --json``, with `details` that of ``show --json``.

    >>> from gitparams.model import Status, new_run_id, now
    >>> document = run_document(Run(new_run_id(), Status.COMPLETED, now(), metrics={"loss": float("nan")}), None)
    >>> document["metrics"], document["changes"]
    ({'loss': 'NaN'}, {})
    """
    document: dict[str, Any] = {
        "id": run.id,
        "name": run.name,
        "experiment": run.experiment,
        "status": str(run.status),
        "started": run.started.isoformat(),
        "finished": run.finished.isoformat() if run.finished else None,
        "duration": run.duration,
        "exit_code": run.exit_code,
        "commit": run.code.commit,
        "branch": run.code.branch,
        "dirty": run.code.dirty,
        "author": run.author,
        "host": run.host,
        "user": run.user,
        "python": run.python,
        "command": list(run.command),
        "cwd": run.cwd,
        "params": printable(to_dict(run.params)),
        "metrics": printable(dict(run.metrics)),
        "tags": list(run.tags),
        "note": run.note,
        "parent": run.parent,
        "group": run.group,
        "changes": _changes(before, run),
    }
    if run.expect:
        document["expect"] = _expectations(run)
    return document if details is None else {**document, **_details_document(run, details)}


def listed_document(row: Listed) -> dict[str, Any]:
    """Return the document of a run in a list, readable or not."""
    return broken_document(row.run) if isinstance(row.run, BrokenRun) else run_document(row.run, row.before)


def broken_document(broken: BrokenRun) -> dict[str, Any]:
    """Return the document of a run that cannot be read."""
    return {
        "id": broken.id,
        "status": "broken",
        "started": broken.started.isoformat(),
        "author": broken.author,
        "reason": broken.reason,
    }


def dumps(document: Any) -> str:
    r"""Return a document as strict JSON for people and programs; what a terminal would obey is escaped.

    >>> print(dumps({"note": "\x9b31m é", "loss": float("inf")}))
    {
      "note": "\u009b31m é",
      "loss": "Infinity"
    }
    """
    return _harmless(json.dumps(printable(document), indent=2, ensure_ascii=False, allow_nan=False))


def json_lines(rows: Iterable[Listed]) -> Iterator[str]:
    """Yield the document of each run of a list as one line of strict JSON, without the end of the line."""
    for row in rows:
        yield _harmless(json.dumps(printable(listed_document(row)), ensure_ascii=False, allow_nan=False))


def _harmless(text: str) -> str:
    """Return JSON in which what a terminal would obey is escaped."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(letter if letter == "\n" or letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)


def _details_document(run: Run, details: Details) -> dict[str, Any]:
    return {
        "origins": {path: origin_document(origin) for path, origin in details.origins.items()},
        "packages": list(details.packages),
        "inputs": printable(dict(run.inputs)),
        "outputs": printable(dict(run.outputs)),
        "seeds": printable(dict(run.seeds)),
        "environment": printable(dict(run.environment)),
        "programs": printable(list(run.programs)),
        "drift": printable(dict(run.drift)),
        "disputed": list(run.disputed),
        "unread": list(run.unread),
        "redacted": list(run.redacted),
    }


def origin_document(origin: Origin) -> dict[str, Any]:
    """Return the document of where a value came from."""
    overrode = [{"value": printable(lost.value), "source": lost.source, "at": lost.at} for lost in origin.overrode]
    document = {"source": origin.source, "at": origin.at, "overrode": overrode}
    return {**document, "also": [{"source": source, "at": at} for source, at in origin.also]} if origin.also else document


def _expectations(run: Run) -> list[dict[str, str]]:
    from gitparams.expectations import answers

    return [{"expression": answer.expression, "verdict": str(answer.verdict)} for answer in answers(run)]


def _changes(before: Run | None, run: Run) -> dict[str, list[Value]]:
    if before is None:
        return {}
    pairs = differing(flatten(before.params), flatten(run.params))
    return {path: [_side(old), _side(new)] for path, (old, new) in pairs.items()}


def _side(value: Any) -> Value:
    return {"missing": True} if value is MISSING else printable(value)
