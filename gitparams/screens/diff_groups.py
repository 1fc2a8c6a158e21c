"""Diff of groups: what differs between all the runs of one commit and all those of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gitparams.directions import Direction
from gitparams.model import Run, is_run_id
from gitparams.params import MISSING, flatten
from gitparams.replicates import Group, compared
from gitparams.screens.items import short_value
from gitparams.screens.log import NARROWEST
from gitparams.screens.replicates import difference_document, render_compared
from gitparams.screens.table import Column, table_lines
from gitparams.screens.terminal import Terminal
from gitparams.values import Value, encode_json, printable

if TYPE_CHECKING:
    from gitparams.changes import Naming

_SHOWN_VALUES = 4
Side = tuple["Naming", Group[Run]]


def render(before: Side, after: Side, *, terminal: Terminal, directions: Mapping[str, Direction]) -> str:
    """Return the params whose values are not the same on both sides, and what each metric is on either side."""
    sides, width = (before, after), max(terminal.width, NARROWEST)
    lines = _params(sides, terminal, width)
    lines.append(terminal.bold("metrics"))
    metrics = render_compared(before[1], after[1], terminal=terminal, directions=directions)
    lines += [f"  {line}" if line else line for line in metrics.split("\n")]
    for naming, _ in sides:
        if naming.how:
            lines += [terminal.dim(line) for line in terminal.wrapped(terminal.safe(f"{naming.word}: {naming.how}"), width)]
    return "\n".join(lines)


def _params(sides: Sequence[Side], terminal: Terminal, width: int) -> list[str]:
    rows = differing([group for _, group in sides])
    room = max(12, (width - 2) // 3 - 3)
    heads = ["", "", *(["params"] if rows else [])]
    labels = [*heads, *("  " + terminal.cut_start(terminal.safe(path), room) for path in rows)]
    columns = [Column(labels, {2: terminal.bold}, gap=0, least=12)]
    for place, (naming, group) in enumerate(sides):
        recorded = sum(is_run_id(run.id) for run in group.runs)
        many = "1 run" if recorded == 1 else f"{recorded or 'no'} runs"
        values = [_listed(found[place], terminal, room) for found in rows.values()]
        texts = [terminal.cut(terminal.safe(naming.word), room), many, *([""] if rows else []), *values]
        columns.append(Column(texts, {0: terminal.bold, 1: terminal.dim}, gap=3))
    return table_lines(columns)


def differing(groups: Sequence[Group[Run]]) -> dict[str, list[list[Any]]]:
    """Return written path → the values that each group has, in the order in which they come, where these are not the same.

    A value that some of a group's runs lack is `MISSING` there.
    """
    flat = [[flatten(run.params) for run in reversed(group.runs)] for group in groups]
    paths = sorted({path for side in flat for params in side for path in params})
    found: dict[str, list[list[Any]]] = {}
    for path in paths:
        values = [{_identity(params.get(path, MISSING)): params.get(path, MISSING) for params in side} for side in flat]
        if any(set(side) != set(values[0]) for side in values):
            found[path] = [list(side.values()) for side in values]
    return found


def _identity(value: Any) -> bytes:
    return b"" if value is MISSING else encode_json(value, indent=None)


def _listed(values: Sequence[Any], terminal: Terminal, room: int) -> str:
    shown = [terminal.missing if value is MISSING else short_value(value, terminal) for value in values[:_SHOWN_VALUES]]
    more = len(values) - len(shown)
    return terminal.cut(", ".join([*shown, f"{more} more"] if more else shown), room)


def document(before: Side, after: Side) -> dict[str, Any]:
    """Return the groups, the params that differ and the metrics as ``diff --all --json`` has them."""
    sides = (before, after)
    rows = differing([group for _, group in sides])
    return {
        "groups": [{"word": naming.word, "how": naming.how, "runs": [run.id for run in group.runs]} for naming, group in sides],
        "params": {path: {"values": [[_document(value) for value in side] for side in found]} for path, found in rows.items()},
        "metrics": metrics_document(before[1], after[1]),
    }


def metrics_document(before: Group[Any], after: Group[Any]) -> list[dict[str, Any]]:
    """Return what each metric is in two groups, and whether it differs by more than noise."""
    names = sorted({*before.metrics, *after.metrics})
    return [difference_document(compared(before, after, name)) for name in names]


def _document(value: Any) -> Value:
    return {"missing": True} if value is MISSING else printable(value)
