"""Diff: what differs between two runs side by side, or between more as a table of only what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gitparams.directions import Direction, direction
from gitparams.model import SHOWN_ID_LETTERS, Run, Status
from gitparams.params import MISSING
from gitparams.screens.items import cut_apart, origin_text
from gitparams.screens.log import NARROWEST, best_places, best_style, metric_header, status_style, status_text
from gitparams.screens.numbers import age_text, delta_text, metric_texts, ratio_text
from gitparams.screens.table import Column, Style, table_lines
from gitparams.screens.terminal import Terminal, cell_width, safe
from gitparams.seeds import is_seed

if TYPE_CHECKING:  # a RunDiff knows its own text and so this module
    from gitparams.changes import CodeChange, MetricChange, ParamChange, RunDiff

_LEAST_LABEL = 12
_LEAST_NOTE = 60  # narrower screens have no room for notes
_LONGEST_VALUE = 40


@dataclass(frozen=True, slots=True)
class _Row:
    """One line: a label, a text a run, what is said of the change, and which runs are best."""

    label: str
    texts: tuple[str, ...] = ()
    note: str = ""
    label_style: Style = str
    styles: tuple[Style, ...] = ()
    note_style: Style = str
    best: frozenset[int] = frozenset()


def render(diff: RunDiff, *, terminal: Terminal, directions: Mapping[str, Direction], now: datetime) -> str:
    """Return what differs between the runs; numbers that are equal are only counted."""
    if not diff:
        return _no_difference(diff, terminal)
    if len(diff.runs) == 2:
        return "\n".join(_two(diff, terminal, directions, now))
    return "\n".join(_many(diff, terminal, directions))


def _no_difference(diff: RunDiff, terminal: Terminal) -> str:
    count = f"{diff.equal_params} {'param' if diff.equal_params == 1 else 'params'}"
    return terminal.cut(f"No difference in {count}.", max(terminal.width, NARROWEST))


# -- two runs -------------------------------------------------------------------------------------------------------------


def _two(diff: RunDiff, terminal: Terminal, directions: Mapping[str, Direction], now: datetime) -> Iterator[str]:
    width = max(terminal.width, NARROWEST)
    labels = _labels(diff, terminal, directions, indent=2)
    label = min(max(map(cell_width, labels)), max(_LEAST_LABEL, width * 2 // 5))
    value = min(_LONGEST_VALUE, max(SHOWN_ID_LETTERS, (width - label - 3 - 3 - _note_room(width)) // 2))
    rows = list(_two_rows(diff, terminal, directions, now, label, value))
    ids = _Row("", tuple(_id(run) for run in diff.runs), styles=(terminal.bold, terminal.bold))
    yield from _two_lines([ids, *rows], label, width)
    yield from _code_lines(diff.code, terminal, width, label + 3)
    yield from _origin_lines(diff, terminal, width)
    if footer := _equal_text(diff.equal_params):
        yield terminal.dim(terminal.cut(footer, width))


def _note_room(width: int) -> int:
    return 17 if width >= _LEAST_NOTE else 0


def _two_rows(
    diff: RunDiff, terminal: Terminal, directions: Mapping[str, Direction], now: datetime, label: int, value: int
) -> Iterator[_Row]:
    ages = tuple(age_text((now - run.started).total_seconds()) for run in diff.runs)
    heads = [
        head for head, changes in (("params", diff.params), ("metrics", diff.metrics), ("packages", diff.packages)) if changes
    ]
    dim = (terminal.dim, terminal.dim)
    if not heads:
        yield _Row("", ages, styles=dim)
    if any(map(_unusual_status, diff.runs)):
        styles = tuple(status_style(run, terminal) for run in diff.runs)
        yield _Row("status", tuple(terminal.cut(status_text(run) or "completed", value) for run in diff.runs), styles=styles)
    bodies = {
        "params": [_param_row(change, terminal, value) for change in diff.params.values()],
        "metrics": [_metric_row(change, terminal, directions, label - 2, value) for change in diff.metrics.values()],
        "packages": [_package_row(name, versions, terminal, value) for name, versions in diff.packages.items()],
    }
    for head in heads:
        yield _Row(head, ages if head == heads[0] else (), label_style=terminal.bold, styles=dim)
        for row in bodies[head]:
            yield _Row(
                "  " + terminal.cut_start(row.label, label - 2),
                row.texts,
                row.note,
                row.label_style,
                row.styles,
                row.note_style,
            )


def _unusual_status(run: Run) -> bool:
    return run.status is not Status.COMPLETED


def _param_row(change: ParamChange, terminal: Terminal, width: int) -> _Row:
    texts = tuple(cut_apart(change.values, width, terminal))
    return _Row(
        terminal.safe(change.path),
        texts,
        _note(change, terminal),
        styles=_value_styles(change.values, terminal),
        note_style=terminal.dim,
    )


def _note(change: ParamChange, terminal: Terminal) -> str:
    old, new = change.values
    if change.kind in ("added", "removed"):
        return change.kind
    if change.kind == "type":
        types = [_type_name(value) for value in change.values]
        return "" if "None" in types else f" {terminal.arrow} ".join(types)
    if is_seed(change.path):
        return ""
    return ratio_text(old, new, times=terminal.times, divide=terminal.divide, minus=terminal.minus)


def _type_name(value: Any) -> str:
    if value is None:
        return "None"
    return "mapping" if isinstance(value, dict) else type(value).__name__


def _metric_row(change: MetricChange, terminal: Terminal, directions: Mapping[str, Direction], label: int, width: int) -> _Row:
    texts = metric_texts(change.values, terminal.missing)
    places = max(len(text.partition(".")[2]) if "e" not in text else 0 for text in texts)
    delta = delta_text(change.values[0], change.values[1], minus=terminal.minus, places=places)
    word = "" if change.better is None or not delta else " better" if change.better else " worse"
    style = str if not word else terminal.green if change.better else terminal.red
    header = metric_header(change.name, directions, terminal, label)
    return _Row(
        header,
        tuple(terminal.cut(text, width) for text in texts),
        delta + word,
        styles=_value_styles(change.values, terminal),
        note_style=style,
    )


def _package_row(name: str, versions: Sequence[str | None], terminal: Terminal, width: int) -> _Row:
    texts = tuple(terminal.missing if version is None else terminal.cut(terminal.safe(version), width) for version in versions)
    note = "added" if versions[0] is None else "removed" if versions[-1] is None else ""
    return _Row(terminal.safe(name), texts, note, note_style=terminal.dim)


def _value_styles(values: Sequence[Any], terminal: Terminal) -> tuple[Style, ...]:
    return tuple(terminal.dim if value is MISSING else str for value in values)


def _two_lines(rows: Sequence[_Row], label: int, width: int) -> list[str]:
    labels = Column([row.label for row in rows], {place: row.label_style for place, row in enumerate(rows)}, gap=0, least=label)
    first, second = (_value_column(rows, place) for place in (0, 1))
    notes = _note_column(rows, second, width - labels.width - first.space - second.space)
    return table_lines([labels, first, second, *notes])


def _value_column(rows: Sequence[_Row], place: int) -> Column:
    texts = [row.texts[place] if place < len(row.texts) else "" for row in rows]
    styles = {line: row.styles[place] for line, row in enumerate(rows) if place < len(row.styles)}
    return Column(texts, styles, gap=3)


def _note_column(rows: Sequence[_Row], values: Column, room: int) -> list[Column]:
    """Return the column of notes: three spaces after the values, and one after the run's id above them, which is no value."""
    longest = max((cell_width(text) for text in values.texts[1:]), default=0)
    gap = max(1, longest + 3 - values.width)
    texts = [row.note if gap + cell_width(row.note) <= room else "" for row in rows]
    if not any(texts):
        return []
    return [Column(texts, {line: row.note_style for line, row in enumerate(rows)}, gap=gap)]


def _code_lines(code: Sequence[CodeChange], terminal: Terminal, width: int, indent: int) -> Iterator[str]:
    for place, change in enumerate(code):
        label = "code" if place == 0 else ""
        counts = _line_counts(change, terminal)
        path = terminal.cut_start(terminal.safe(change.path), width - indent - (len(counts) + 1 if counts else 0))
        shown = f"{path} {_coloured_counts(change, terminal)}" if counts else path
        yield (terminal.bold(label) + " " * (indent - len(label))) + shown


def _line_counts(change: CodeChange, terminal: Terminal) -> str:
    if change.added is None or change.removed is None:
        return "binary"
    counts = (f"+{change.added}" if change.added else "", f"{terminal.minus}{change.removed}" if change.removed else "")
    return " ".join(filter(None, counts))


def _coloured_counts(change: CodeChange, terminal: Terminal) -> str:
    words = _line_counts(change, terminal).split()
    return " ".join(
        terminal.green(word) if word.startswith("+") else terminal.dim(word) if word == "binary" else terminal.red(word)
        for word in words
    )


def _equal_text(count: int) -> str:
    return f"{count} {'param' if count == 1 else 'params'} equal" if count else ""


# -- more runs ------------------------------------------------------------------------------------------------------------


def _many(diff: RunDiff, terminal: Terminal, directions: Mapping[str, Direction]) -> Iterator[str]:
    width = max(terminal.width, NARROWEST)
    labels = _labels(diff, terminal, directions, indent=0)
    label = min(max(map(cell_width, labels)), max(_LEAST_LABEL, width * 2 // 5))
    rows = list(_many_rows(diff, terminal, directions, label))
    columns = [_starred_column(rows, place) for place in range(len(diff.runs))]
    shown = _how_many_fit(columns, width - label - 1)
    slack = width - label - 1 - sum(column.space for column in columns[:shown])
    heads = Column([row.label for row in rows], gap=0, least=label + 1 + min(3, max(0, slack)))
    yield from table_lines([heads, *columns[:shown]])
    yield from _origin_lines(diff, terminal, width)
    yield from _many_footer(diff, shown, terminal, width)


def _starred_column(rows: Sequence[_Row], place: int) -> Column:
    """Return a column of values at the right, each with a cell after it for the star of the best."""
    texts = [row.texts[place] + ("*" if place in row.best else " ") for row in rows]
    return replace(_value_column(rows, place), texts=texts, right=True, gap=1)


def _many_rows(diff: RunDiff, terminal: Terminal, directions: Mapping[str, Direction], label: int) -> Iterator[_Row]:
    count = len(diff.runs)
    yield _Row("", tuple(_id(run) for run in diff.runs), styles=(terminal.bold,) * count)
    if any(map(_unusual_status, diff.runs)):
        styles = tuple(status_style(run, terminal) for run in diff.runs)
        yield _Row("status", tuple(status_text(run) or "completed" for run in diff.runs), styles=styles)
    room = max(SHOWN_ID_LETTERS, min(_LONGEST_VALUE, (max(terminal.width, NARROWEST) - label - 1) // min(count, 4) - 2))
    for change in diff.params.values():
        texts = cut_apart(change.values, room, terminal)
        full = cut_apart(change.values, 10**9, terminal)
        yield _ditto_row(terminal.cut_start(terminal.safe(change.path), label), texts, full, terminal)
    for metric in diff.metrics.values():
        yield _starred_row(metric, diff.runs, terminal, directions, label, room)
    for name, versions in diff.packages.items():
        full = [terminal.missing if version is None else terminal.safe(version) for version in versions]
        texts = [terminal.cut(text, room) for text in full]
        yield _ditto_row(terminal.cut_start(terminal.safe(name), label), texts, full, terminal)


def _ditto_row(label: str, texts: Sequence[str], full: Sequence[str], terminal: Terminal) -> _Row:
    """Return a row in which what is the same as to the left is only marked."""
    again = [place > 0 and full[place] == full[place - 1] for place in range(len(full))]
    shown = tuple(terminal.ditto if same_again else text for text, same_again in zip(texts, again, strict=True))
    quiet = (terminal.ditto, terminal.missing)
    return _Row(label, shown, styles=tuple(terminal.dim if text in quiet else str for text in shown))


def _starred_row(
    change: MetricChange, runs: Sequence[Run], terminal: Terminal, directions: Mapping[str, Direction], label: int, room: int
) -> _Row:
    settled = [MISSING if _unusual_status(run) else value for value, run in zip(change.values, runs, strict=True)]
    best = best_places(settled, direction(change.name, directions))
    texts = [terminal.cut(text, room) for text in metric_texts(change.values, terminal.missing)]
    styles = [
        best_style(terminal) if place in best else style for place, style in enumerate(_value_styles(change.values, terminal))
    ]
    header = metric_header(change.name, directions, terminal, label)
    return _Row(header, tuple(texts), styles=tuple(styles), best=frozenset(best))


def _how_many_fit(columns: Sequence[Column], room: int) -> int:
    fitting = 0
    for column in columns:
        room -= column.space
        if room < 0:
            break
        fitting += 1
    return max(1, fitting)


def _many_footer(diff: RunDiff, shown: int, terminal: Terminal, width: int) -> Iterator[str]:
    hidden = len(diff.runs) - shown
    said = [
        f"and {hidden} more {'run' if hidden == 1 else 'runs'}" if hidden else "",
        _equal_text(diff.equal_params),
        f'"{terminal.ditto}" same as the run to the left' if diff.params or diff.packages else "",
    ]
    line = ""
    for text in filter(None, said):
        longer = f"{line}{terminal.dot}{text}" if line else text
        if cell_width(longer) > width and line:
            yield terminal.dim(line)
            longer = text
        line = longer
    if line:
        yield terminal.dim(terminal.cut(line, width))


# -- both -----------------------------------------------------------------------------------------------------------------


def _labels(diff: RunDiff, terminal: Terminal, directions: Mapping[str, Direction], *, indent: int) -> list[str]:
    names = [*map(terminal.safe, diff.params), *map(terminal.safe, diff.packages)]
    names += [metric_header(name, directions, terminal, longest=200) for name in diff.metrics]
    heads = ["status"] if any(map(_unusual_status, diff.runs)) else [""]
    if indent:
        found = {"params": diff.params, "metrics": diff.metrics, "packages": diff.packages, "code": diff.code}
        heads += [head for head, changes in found.items() if changes]
    return [*heads, *(" " * indent + name for name in names)]


def _origin_lines(diff: RunDiff, terminal: Terminal, width: int) -> Iterator[str]:
    """Yield for each param that differs where each run's value came from."""
    if not diff.origins or not diff.params:
        return
    yield terminal.bold("origins")
    for path in diff.params:
        yield "  " + terminal.cut(terminal.safe(path), width - 2)
        for run, origins in zip(diff.runs, diff.origins, strict=True):
            origin = origins.get(path) or origins.get(path.rpartition("[")[0])
            text = origin_text(origin) if origin is not None else terminal.missing
            first, *others = terminal.wrapped(terminal.safe(text), width - 6 - SHOWN_ID_LETTERS)
            yield f"    {terminal.dim(_id(run))}  {first}"
            yield from (" " * (6 + SHOWN_ID_LETTERS) + other for other in others)


def _id(run: Run) -> str:
    return safe(run.id[:SHOWN_ID_LETTERS])
