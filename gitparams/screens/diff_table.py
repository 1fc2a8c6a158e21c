"""Diff table: what differs between many runs, a column a run, or a line a run where the columns are too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gitparams.directions import Direction
from gitparams.model import SHOWN_ID_LETTERS
from gitparams.params import MISSING
from gitparams.screens.diff_rows import (
    Grid,
    Line,
    Row,
    column_heads,
    count,
    counted,
    cut_list,
    grid,
    has_gaps,
    metric_cells,
    metrics_in_order,
    sections,
    status_row,
    status_word,
    word_of,
)
from gitparams.screens.log import NARROWEST, best_style, metric_header, status_style
from gitparams.screens.table import Column, Style, table_lines
from gitparams.screens.terminal import Terminal, cell_width
from gitparams.seeds import is_seed

if TYPE_CHECKING:  # a RunDiff knows its own text and so this module
    from gitparams.changes import RunDiff

_LEAST_LABEL = 12
_LONGEST_VALUE, _LONGEST_HEAD, _LONGEST_WORD = 40, 16, 16
_LEAST_COLUMN = 4
_WITH_WORDS, _WITH_STATUS = 60, 42  # below these widths the columns go
_TRIED = 40  # so many keys are tried for the room that is left on a line
_FIRST_METRICS = 2
_MANY_TEXTS = 3  # from more on, texts that all differ are names of files rather than choices
_ODD = "<"
_HEADED = ("seeds", "packages", "environment")
_BY_TELLING = ("params", "packages", "environment", "seeds")


@dataclass(frozen=True, slots=True)
class _Cells:
    """One line of a table with a column a run; or a sentence in its place."""

    label: str = ""
    texts: Sequence[str] = ()
    styles: Sequence[Style] = ()
    label_style: Style = str
    sentence: str = ""


def many_lines(
    diff: RunDiff, terminal: Terminal, directions: Mapping[str, Direction], *, full: bool
) -> tuple[list[str], list[str]]:
    """Return the lines of the table, and what is said below it."""
    found = grid(diff)
    beside = _side_by_side(diff, found, terminal, directions, full)
    return beside or _line_by_line(diff, found, terminal, directions)


# -- a column a run -------------------------------------------------------------------------------------------------------


def _side_by_side(
    diff: RunDiff, found: Grid, terminal: Terminal, directions: Mapping[str, Direction], full: bool
) -> tuple[list[str], list[str]] | None:
    """Return the table with a column a run; None when the columns do not fit."""
    width, number = max(terminal.width, NARROWEST), len(found.members)
    label = min(_label_width(diff, found, terminal, directions), max(_LEAST_LABEL, width * 2 // 5))
    room = width - label - 1
    if number * (SHOWN_ID_LETTERS + 2) > room:
        return None
    for share in sorted({room // min(number, 4) - 2, room // number - 2}, reverse=True):
        rows = list(_cells(diff, found, terminal, directions, label, min(_LONGEST_VALUE, share), full))
        columns = [_run_column(rows, place, 2 if found.collapsed else 1) for place in range(number)]
        slack = room - sum(column.space for column in columns)
        if slack >= 0:
            heads = Column([row.label for row in rows], _label_styles(rows), gap=0, least=label + 1 + min(3, slack))
            lines = [row.sentence or line for row, line in zip(rows, table_lines([heads, *columns]), strict=True)]
            return lines, _said(diff, found, terminal, found.lines, list(diff.metrics))
    return None


def _label_width(diff: RunDiff, found: Grid, terminal: Terminal, directions: Mapping[str, Direction]) -> int:
    heads = [section for section in _HEADED if getattr(diff, section)] + (["status"] if status_row(diff, found) else [])
    names = [metric_header(name, directions, terminal, longest=200) for name in diff.metrics]
    names += map(terminal.safe, diff.params)
    names += [f"  {terminal.safe(name)}" for section in _HEADED for name in getattr(diff, section)]
    return max(map(cell_width, [*heads, *names]), default=0)


def _cells(
    diff: RunDiff,
    found: Grid,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    label: int,
    value: int,
    full: bool,
) -> Iterator[_Cells]:
    yield from _head_cells(diff, found, terminal, value)
    rows = sections(diff, found, terminal, directions, label=label, value=value)
    for section in ("params", "metrics"):
        yield from (_row_cells(row, row.label, terminal) for row in rows.get(section, ()))
    for section in (section for section in _HEADED if section in rows):
        yield _Cells(section, label_style=terminal.bold)
        inside = rows[section]
        shown = cut_list(len(inside), full=full or section != "packages")
        yield from (_row_cells(row, "  " + terminal.cut_start(row.label, label - 2), terminal) for row in inside[:shown])
        if len(inside) > shown:
            yield _Cells(sentence=f"  and {len(inside) - shown} more (--{section})")


def _head_cells(diff: RunDiff, found: Grid, terminal: Terminal, value: int) -> Iterator[_Cells]:
    number = len(found.members)
    ids = [terminal.cut(terminal.safe(head), max(value, SHOWN_ID_LETTERS + 6)) for head in column_heads(diff, found)]
    yield _Cells(texts=ids, styles=[terminal.bold] * number)
    words = [terminal.cut(terminal.safe(word_of(diff, place)), value) for place in found.firsts]
    if any(words):
        yield _Cells(texts=words, styles=[terminal.dim] * number)
    if status := status_row(diff, found):
        yield _Cells("status", status.texts, [status_style(diff.runs[place], terminal) for place in found.firsts])


def _row_cells(row: Row, label: str, terminal: Terminal) -> _Cells:
    """Return a row in which what is the same as to the left is only marked, and what is best or like no other too."""
    texts = [
        (terminal.ditto if place in row.again else text) + _mark(place, row.best, row.odd)
        for place, text in enumerate(row.texts)
    ]
    styles = [
        _style(place, row.best, row.odd, quiet=place in row.again or place in row.absent, terminal=terminal)
        for place in range(len(texts))
    ]
    return _Cells(label, texts, styles)


def _mark(place: int, best: frozenset[int], odd: int | None) -> str:
    return "*" if place in best else _ODD if place == odd else " "


def _style(place: int, best: frozenset[int], odd: int | None, *, quiet: bool, terminal: Terminal) -> Style:
    if place in best:
        return best_style(terminal)
    return terminal.bold if place == odd else terminal.dim if quiet else str


def _run_column(rows: Sequence[_Cells], place: int, gap: int) -> Column:
    """Return a column of values at the right, each with a cell after it for its mark."""
    texts = [row.texts[place] if row.texts else "" for row in rows]
    marked = [text if text.endswith((" ", "*", _ODD)) or not text else f"{text} " for text in texts]
    styles = {line: row.styles[place] for line, row in enumerate(rows) if row.styles}
    return Column(marked, styles, right=True, gap=gap)


def _label_styles(rows: Sequence[_Cells]) -> dict[int, Style]:
    return {place: row.label_style for place, row in enumerate(rows)}


# -- a line a run ---------------------------------------------------------------------------------------------------------


def _line_by_line(
    diff: RunDiff, found: Grid, terminal: Terminal, directions: Mapping[str, Direction]
) -> tuple[list[str], list[str]]:
    """Return the table with a line a run and the most telling keys that fit; the others are counted below it."""
    heads = _run_heads(diff, found, terminal)
    room = max(terminal.width, NARROWEST) - sum(column.space for column in heads)
    ranked = sorted(found.lines, key=_rank)
    columns, shown, metrics = _chosen(diff, found, ranked, terminal, directions, room)
    header, *lines = table_lines([*heads, *columns])
    hidden = Counter(line.section for line in found.lines)
    hidden.subtract(line.section for line in shown)
    hidden["metrics"] = len(diff.metrics) - metrics
    names = metrics_in_order(diff, directions)[:metrics]
    return [terminal.dim(header), *lines], _said(diff, found, terminal, shown, names, hidden=hidden)


def _run_heads(diff: RunDiff, found: Grid, terminal: Terminal) -> list[Column]:
    runs = [terminal.cut(terminal.safe(head), _LONGEST_WORD) for head in column_heads(diff, found)]
    columns = [Column(["run", *runs], gap=0)]
    words = [terminal.cut(terminal.safe(word_of(diff, place)), _LONGEST_WORD) for place in found.firsts]
    if any(words) and terminal.width >= _WITH_WORDS:
        columns.append(Column(["", *words], dict.fromkeys(range(1, len(words) + 1), terminal.dim)))
    words = [status_word(diff.runs[place]) for place in found.firsts]
    if any(words) and terminal.width >= _WITH_STATUS:
        styles = {line: status_style(diff.runs[place], terminal) for line, place in enumerate(found.firsts, 1)}
        columns.append(Column(["status", *words], styles))
    return columns


def _rank(line: Line) -> tuple[int, bool, bool, int, int, str]:
    """Return where a key stands by how much it tells: many choices before few, seeds and names of files last."""
    several = line.distinct == len(line.values) > _MANY_TEXTS
    named = several and all(isinstance(value, str) for value in line.values)
    return _BY_TELLING.index(line.section), is_seed(line.name), named, -line.distinct, len(line.name), line.name


def _chosen(
    diff: RunDiff, found: Grid, ranked: Sequence[Line], terminal: Terminal, directions: Mapping[str, Direction], room: int
) -> tuple[list[Column], list[Line], int]:
    """Return the columns that fit, the keys they are about, and the number of metrics among them.

    The first two metrics have room before all keys, unless no key would have any.
    """
    names = metrics_in_order(diff, directions)
    metrics = [_metric_column(name, diff, found, terminal, directions) for name in names[: room // _LEAST_COLUMN]]
    for reserved in range(min(_FIRST_METRICS, len(metrics)), -1, -1):
        left = room - sum(column.space for column in metrics[:reserved])
        keys = _fitting(ranked, terminal, left)
        if left >= 0 and (keys or not ranked or not reserved):
            break
    left -= sum(column.space for _, column in keys)
    while reserved < len(metrics) and metrics[reserved].space <= left:
        left -= metrics[reserved].space
        reserved += 1
    return [*(column for _, column in keys), *metrics[:reserved]], [line for line, _ in keys], reserved


def _fitting(ranked: Sequence[Line], terminal: Terminal, room: int) -> list[tuple[Line, Column]]:
    chosen: list[tuple[Line, Column]] = []
    for line in ranked[:_TRIED]:
        if room < _LEAST_COLUMN:
            break
        column = _key_column(line, terminal)
        if column.space <= room:
            chosen.append((line, column))
            room -= column.space
    return chosen


def _key_column(line: Line, terminal: Terminal) -> Column:
    texts = line.texts(_LONGEST_HEAD, terminal)
    if line.odd is not None:
        texts = [text + _mark(place, frozenset(), line.odd) for place, text in enumerate(texts)]
    styles = [
        _style(place, frozenset(), line.odd, quiet=value is MISSING, terminal=terminal)
        for place, value in enumerate(line.values)
    ]
    head = terminal.cut_start(terminal.safe(line.name), _LONGEST_HEAD)
    return Column([head, *texts], dict(enumerate(styles, 1)), right=all(map(_is_number, line.values)))


def _is_number(value: Any) -> bool:
    return value is MISSING or (isinstance(value, int | float) and not isinstance(value, bool))


def _metric_column(name: str, diff: RunDiff, found: Grid, terminal: Terminal, directions: Mapping[str, Direction]) -> Column:
    texts, best = metric_cells(diff.metrics[name], diff, found, terminal, directions)
    if best:
        texts = [_starred(text, place in best) for place, text in enumerate(texts)]
    styles = [
        _style(place, best, None, quiet=text.strip() == terminal.missing, terminal=terminal) for place, text in enumerate(texts)
    ]
    head = metric_header(name, directions, terminal, _LONGEST_HEAD)
    return Column([head, *texts], dict(enumerate(styles, 1)), right=True, gap=3)


def _starred(text: str, best: bool) -> str:
    number = text.rstrip(" ")
    return f"{number}{'*' if best else ' '}{text[len(number) :]}"


# -- what is said below ---------------------------------------------------------------------------------------------------


def _said(
    diff: RunDiff,
    found: Grid,
    terminal: Terminal,
    lines: Sequence[Line],
    metrics: Sequence[str],
    *,
    hidden: Mapping[str, int] | None = None,
) -> list[str]:
    """Return what explains the table, and, where a line is a run, counts what is not in it."""
    dittos = hidden is None and any(one == other for line in lines for one, other in pairwise(line.marks))
    return [
        "" if hidden is None else count(len(diff.runs), "run"),
        _hidden_text(hidden or {}),
        *counted(diff),
        f'"{terminal.ditto}" same as the run to the left' if dittos else "",
        f'"{_ODD}" unlike all others' if any(line.odd is not None for line in lines) else "",
        _alike_text(diff, found, terminal),
        "(n) values, where not every run has one" if has_gaps(diff, found, metrics) else "",
    ]


def _hidden_text(hidden: Mapping[str, int]) -> str:
    nouns = {"params": "param", "metrics": "metric", "packages": "package", "environment": "fact", "seeds": "seed"}
    parts = [count(hidden[section], noun) for section, noun in nouns.items() if hidden.get(section)]
    return f"{', '.join(parts)} not shown" if parts else ""


def _alike_text(diff: RunDiff, found: Grid, terminal: Terminal) -> str:
    """Return what the heading of a column of several runs means, by the example of the first."""
    if not found.collapsed:
        return ""
    head, places = next(pair for pair in zip(column_heads(diff, found), found.members, strict=True) if len(pair[1]) > 1)
    means = f", mean {'±' if terminal.utf8 else '+-'} std" if diff.metrics else ""
    return f'"{terminal.safe(head)}" {len(places)} runs alike{means}'
