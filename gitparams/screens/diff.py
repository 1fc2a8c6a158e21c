"""Diff: what differs between two runs side by side, or between more as a table of only what differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gitparams.directions import Direction
from gitparams.model import SHOWN_ID_LETTERS
from gitparams.screens.diff_rows import (
    SECTIONS,
    Row,
    age_of,
    counted,
    cut_list,
    differs,
    grid,
    head_text,
    how_found,
    ignored_text,
    line_counts,
    no_difference,
    noted,
    patch_lines,
    sections,
    status_row,
    total_counts,
    word_of,
)
from gitparams.screens.diff_table import many_lines
from gitparams.screens.items import origin_text
from gitparams.screens.log import NARROWEST, metric_header, status_style
from gitparams.screens.table import Column, Style, table_lines
from gitparams.screens.terminal import Terminal, cell_width, left

if TYPE_CHECKING:  # a RunDiff knows its own text and so this module
    from gitparams.changes import CodeChange, RunDiff

_LEAST_LABEL = 12
_LEAST_NOTE = 60  # narrower screens have no room for notes
_LONGEST_VALUE = 40
_TOTALLED = 4  # from so many files on, their lines are summed up
_MOST_HOW = 4
_CODE = 7  # cells before the files of more than two runs


@dataclass(frozen=True, slots=True)
class _Cells:
    """One line of two runs: a label, two texts and a note, each as it is dressed; or a sentence in their place."""

    label: str = ""
    texts: Sequence[str] = ()
    note: str = ""
    label_style: Style = str
    styles: Sequence[Style] = ()
    note_style: Style = str
    sentence: str = ""


def render(diff: RunDiff, *, terminal: Terminal, directions: Mapping[str, Direction], now: datetime, full: bool = False) -> str:
    """Return what differs between the runs; what is equal is only counted.

    Args:
        diff: what differs.
        terminal: where it is shown.
        directions: which way of a metric is better, as declared.
        now: what ages count from.
        full: whether long lists of packages and files are shown to their end.
    """
    width = max(terminal.width, NARROWEST)
    if not differs(diff):
        said = [*_wrapped([no_difference(diff)], terminal, width)]
        said += _quiet([ignored_text(diff)], terminal, width)
        return "\n".join([*said, *_how_lines(diff, terminal, width)])
    if len(diff.runs) == 2:
        lines, said, indent = _two(diff, terminal, directions, now, full)
    else:
        lines, said = many_lines(diff, terminal, directions, full=full)
        indent = _CODE
    lines += _code_lines(diff.code, terminal, width, indent, full)
    lines += _origin_lines(diff, terminal, width)
    lines += _quiet(said, terminal, width)
    lines += _how_lines(diff, terminal, width)
    return "\n".join([*lines, *_patch_lines(diff.code, terminal, width)])


# -- two runs -------------------------------------------------------------------------------------------------------------


def _two(
    diff: RunDiff, terminal: Terminal, directions: Mapping[str, Direction], now: datetime, full: bool
) -> tuple[list[str], list[str], int]:
    """Return the lines of the table, what is said below it, and where the files of the code stand."""
    width = max(terminal.width, NARROWEST)
    label = min(_label_width(diff, terminal, directions), max(_LEAST_LABEL, width * 2 // 5))
    value = min(_LONGEST_VALUE, max(SHOWN_ID_LETTERS, (width - label - 3 - 3 - _note_room(width)) // 2))
    heads = list(_two_heads(diff, terminal, value))
    rows = [*heads, *_two_rows(diff, terminal, directions, now, label, value, full)]
    return _two_lines(rows, len(heads), label, width), counted(diff), label + 3


def _label_width(diff: RunDiff, terminal: Terminal, directions: Mapping[str, Direction]) -> int:
    heads = [section for section in (*SECTIONS, "code") if getattr(diff, section)]
    heads += ["status"] if status_row(diff, grid(diff)) else []
    names = [terminal.safe(name) for section in SECTIONS if section != "metrics" for name in getattr(diff, section)]
    names += [metric_header(name, directions, terminal, longest=200) for name in diff.metrics]
    return max([*map(cell_width, heads), *(2 + cell_width(name) for name in names)])


def _note_room(width: int) -> int:
    return 17 if width >= _LEAST_NOTE else 0


def _two_heads(diff: RunDiff, terminal: Terminal, value: int) -> Iterator[_Cells]:
    ids = [terminal.cut(terminal.safe(head_text(run)), value) for run in diff.runs]
    yield _Cells(texts=ids, styles=(terminal.bold,) * 2)
    words = [terminal.cut(terminal.safe(word_of(diff, place)), value) for place in (0, 1)]
    if any(words):
        yield _Cells(texts=words, styles=(terminal.dim,) * 2)


def _two_rows(
    diff: RunDiff,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    now: datetime,
    label: int,
    value: int,
    full: bool,
) -> Iterator[_Cells]:
    found = grid(diff)
    ages = [age_of(run, (now - run.started).total_seconds()) for run in diff.runs]
    rows = sections(diff, found, terminal, directions, label=label - 2, value=value)
    dim = (terminal.dim, terminal.dim)
    if not rows:
        yield _Cells(texts=ages, styles=dim)
    if status := status_row(diff, found):
        styles = [status_style(run, terminal) for run in diff.runs]
        yield _Cells("status", [terminal.cut(text, value) for text in status.texts], styles=styles)
    for section, inside in rows.items():
        first = section == next(iter(rows))
        yield _Cells(section, ages if first else (), label_style=terminal.bold, styles=dim)
        shown = _how_many(section, len(inside), full)
        yield from (_two_cells(row, terminal, value) for row in inside[:shown])
        if len(inside) > shown:
            yield _Cells(sentence=f"  and {len(inside) - shown} more (--{section})")


def _how_many(section: str, number: int, full: bool) -> int:
    return cut_list(number, full=full or section != "packages")


def _two_cells(row: Row, terminal: Terminal, value: int) -> _Cells:
    styles = [terminal.dim if place in row.absent else str for place in (0, 1)]
    note_style = terminal.dim if row.better is None else terminal.green if row.better else terminal.red
    return _Cells(
        f"  {row.label}",
        [terminal.cut(text, value) for text in row.texts],
        noted(row),
        styles=styles,
        note_style=note_style,
    )


def _two_lines(rows: Sequence[_Cells], heads: int, label: int, width: int) -> list[str]:
    labels = Column([row.label for row in rows], {place: row.label_style for place, row in enumerate(rows)}, gap=0, least=label)
    first, second = (_value_column(rows, place) for place in (0, 1))
    notes = _note_column(rows, heads, second, width - labels.width - first.space - second.space)
    lines = table_lines([labels, first, second, *notes])
    return [row.sentence or line for row, line in zip(rows, lines, strict=True)]


def _value_column(rows: Sequence[_Cells], place: int) -> Column:
    texts = [row.texts[place] if row.texts else "" for row in rows]
    return Column(texts, {line: row.styles[place] for line, row in enumerate(rows) if row.texts}, gap=3)


def _note_column(rows: Sequence[_Cells], heads: int, values: Column, room: int) -> list[Column]:
    """Return the column of notes: three spaces after the values, and one after what stands above them and is no value."""
    longest = max(map(cell_width, values.texts[heads:]), default=0)
    gap = max(1, longest + 3 - values.width)
    texts = [row.note if gap + cell_width(row.note) <= room else "" for row in rows]
    if not any(texts):
        return []
    return [Column(texts, {line: row.note_style for line, row in enumerate(rows)}, gap=gap)]


# -- code -----------------------------------------------------------------------------------------------------------------


def _code_lines(code: Sequence[CodeChange], terminal: Terminal, width: int, indent: int, full: bool) -> Iterator[str]:
    """Yield a line a file, the counts of its lines below each other, and a line that sums them up."""
    shown = code[: cut_list(len(code), full=full)]
    counts = [line_counts(change, terminal) for change in shown]
    added = max((len(pair[0]) for pair in counts if pair), default=0)
    removed = max((len(pair[1]) for pair in counts if pair), default=0)
    room = width - indent - 1 - max(added + 1 + removed, len("binary") if None in counts else 0)
    paths = [terminal.cut_start(terminal.safe(change.path), room) for change in shown]
    longest = max(map(cell_width, paths), default=0)
    for place, (path, pair) in enumerate(zip(paths, counts, strict=True)):
        head = terminal.bold("code") + " " * (indent - 4) if place == 0 else " " * indent
        yield (head + _file_line(left(path, longest), pair, added, removed, terminal)).rstrip()
    yield from _code_total(code, len(shown), terminal, width, indent)


def _file_line(path: str, pair: tuple[str, str] | None, added: int, removed: int, terminal: Terminal) -> str:
    if pair is None:
        return f"{path} {terminal.dim('binary')}"
    more, fewer = pair
    if not more and not fewer:
        return path
    line = f"{path} {' ' * (added - len(more))}{terminal.green(more)}"
    return line + (" " * bool(added) + " " * (removed - len(fewer)) + terminal.red(fewer) if fewer else "")


def _code_total(code: Sequence[CodeChange], shown: int, terminal: Terminal, width: int, indent: int) -> Iterator[str]:
    more = f"and {len(code) - shown} more (--code)" if len(code) > shown else ""
    total = total_counts(code, terminal) if len(code) >= _TOTALLED else ""
    yield from (" " * indent + line for line in _quiet([more, total], terminal, width - indent))


def _patch_lines(code: Sequence[CodeChange], terminal: Terminal, width: int) -> Iterator[str]:
    """Yield the patch of each file that has one below its path; lines that are too long go on in the next."""
    for change in code:
        if not change.patch:
            continue
        yield ""
        yield terminal.bold(terminal.cut_start(terminal.safe(change.path), width))
        if line_counts(change, terminal) is None:
            yield terminal.dim("binary")
        for line in patch_lines(change):
            style = _patch_style(line, terminal)
            yield from map(style, _broken(terminal.safe(line), terminal, width))


def _patch_style(line: str, terminal: Terminal) -> Style:
    styles: dict[str, Style] = {"+": terminal.green, "-": terminal.red, " ": str}
    return styles.get(line[:1], terminal.dim)


def _broken(line: str, terminal: Terminal, width: int) -> Iterator[str]:
    """Yield the line in pieces that fit, all but the first after the mark of what is cut; nothing is lost."""
    mark = ""
    while cell_width(mark + line) > width:
        piece = _fitting(line, width - len(mark))
        yield mark + piece
        line, mark = line[len(piece) :], terminal.ellipsis
    yield mark + line


def _fitting(line: str, width: int) -> str:
    piece = line[:width]
    while cell_width(piece) > width:
        piece = piece[: len(piece) - max(1, (cell_width(piece) - width) // 2)]
    return piece


# -- what is said below ---------------------------------------------------------------------------------------------------


def _origin_lines(diff: RunDiff, terminal: Terminal, width: int) -> Iterator[str]:
    """Yield for each param that differs where each run's value came from."""
    if not diff.origins or not diff.params:
        return
    heads = [terminal.cut(terminal.safe(head_text(run)), SHOWN_ID_LETTERS) for run in diff.runs]
    yield terminal.bold("origins")
    for path in diff.params:
        yield ("  " + terminal.cut(terminal.safe(path), width - 2)).rstrip()
        for head, origins in zip(heads, diff.origins, strict=True):
            origin = origins.get(path) or origins.get(path.rpartition("[")[0])
            text = origin_text(origin) if origin is not None else terminal.missing
            first, *others = terminal.wrapped(terminal.safe(text), width - 6 - SHOWN_ID_LETTERS)
            yield f"    {terminal.dim(head)}{' ' * (SHOWN_ID_LETTERS - cell_width(head))}  {first}"
            yield from (" " * (6 + SHOWN_ID_LETTERS) + other for other in others)


def _how_lines(diff: RunDiff, terminal: Terminal, width: int) -> list[str]:
    found = how_found(diff)
    more = f"and {len(found) - _MOST_HOW} more found likewise"
    shown = [*found[:_MOST_HOW], *([more] if len(found) > _MOST_HOW else [])]
    return [terminal.dim(line) for line in _wrapped(shown, terminal, width)]


def _wrapped(texts: Iterable[str], terminal: Terminal, width: int) -> Iterator[str]:
    for text in texts:
        yield from (line.rstrip() for line in terminal.wrapped(terminal.safe(text), width))


def _quiet(said: Iterable[str], terminal: Terminal, width: int) -> Iterator[str]:
    """Yield what is said, as many parts a line as fit."""
    line = ""
    for text in filter(None, said):
        longer = f"{line}{terminal.dot}{text}" if line else text
        if line and cell_width(longer) > width:
            yield from map(terminal.dim, terminal.wrapped(line, width))
            longer = text
        line = longer
    if line:
        yield from map(terminal.dim, terminal.wrapped(line, width))
