"""Tables: files to which a program writes a row a step, CSV and lines of JSON, as a series and its last values."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import PurePath
from typing import Any

from gitparams.capture.document import Document, decoded, opened
from gitparams.capture.overrides import scalar
from gitparams.errors import ParamsFileError
from gitparams.journal import series_line
from gitparams.model import Metric
from gitparams.params import flatten

STEPS = ("global_step", "step", "iter", "iteration", "epoch")
"""What programs call the step, the first choice first."""

_DELIMITERS = {".csv": ",", ".tsv": "\t"}

ENDINGS = (*_DELIMITERS, ".jsonl", ".ndjson")
"""How the name of a table ends."""

_TIMES = ("wall_time", "timestamp", "time")
_MISSING = ("", "NA", "N/A")
_SECONDS = range(10**9, 10**10)  # since 1970, from 2001 to 2286: what lies outside is a duration

_Cell = Metric | str | None


@dataclass(frozen=True, slots=True)
class Table:
    """What a table says.

    Attributes:
        metrics: the last value of each column that ends in a number.
        left_out: the other columns.
        series: the numbers as lines of a series; empty for CSV without a column of steps.
        warnings: a sentence about rows that could not be read.
    """

    metrics: dict[str, Metric]
    left_out: tuple[str, ...]
    series: bytes
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: dict[str, _Cell]  # None is a cell without a value


@dataclass(frozen=True, slots=True)
class _Rows:
    whole: list[_Row]
    faults: list[tuple[int, str]]  # line and problem of what is no row


def is_table(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is a table, by its ending.

    >>> is_table("logs/metrics.csv"), is_table("metrics.json")
    (True, False)
    """
    return PurePath(path).suffix.lower() in ENDINGS


def read_table(path: str | os.PathLike[str], *, shown: str | None = None, known: int = 0) -> Table:
    """Return what a table says.

    The step of a row is in its column ``global_step``, ``step``, ``iter``, ``iteration`` or ``epoch``, the first of these
    that has a number; lines of JSON without one are counted. The time is in a column ``wall_time``, ``timestamp`` or
    ``time`` that holds seconds or milliseconds since 1970, and otherwise that of the file. Cells that are empty or ``NA``
    have no value.

    Args:
        path: a file ending in .csv, .tsv, .jsonl or .ndjson, in UTF-8.
        shown: how the file is called in errors; the path itself when not given.
        known: bytes at its beginning that an earlier run wrote. Its rows count only where the steps of the later ones go
            on from theirs, as those of a resumed training do.

    Raises:
        ParamsFileError: the file cannot be read, or holds no row.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "metrics.csv")
    >>> _ = file.write_text("step,time,loss,acc\\n0,1730000000,0.9,\\n1,1730000001,0.5,0.8\\n2,1730000002,0.4,\\n")
    >>> table = read_table(file)
    >>> table.metrics
    {'step': 2, 'time': 1730000002, 'loss': 0.4, 'acc': 0.8}
    >>> print(table.series.decode(), end="")
    {"step":0,"time":1730000000,"loss":0.9}
    {"step":1,"time":1730000001,"loss":0.5,"acc":0.8}
    {"step":2,"time":1730000002,"loss":0.4}
    """
    name = shown if shown is not None else os.fspath(path)
    with opened(path, name) as file:
        data, moment = file.read(), os.fstat(file.fileno()).st_mtime
    delimiter = _DELIMITERS.get(PurePath(path).suffix.lower())
    text = decoded(data, name, most=None)
    if not text.strip():
        raise Document(name, text, "metrics").nothing()
    rows = _json_rows(text, name) if delimiter is None else _csv_rows(text, delimiter, name)
    own = _own(rows.whole, data.count(b"\n", 0, known))
    last: dict[str, _Cell] = {}
    for row in own:
        last.update({column: cell for column, cell in row.cells.items() if cell is not None or column not in last})
    metrics = _numbers(last)
    left_out = tuple(column for column in last if column not in metrics)
    series = b"".join(_series(own, moment, counted=delimiter is None))
    return Table(metrics, left_out, series, tuple(_warnings(rows.faults, name)))


def split_step(numbers: Mapping[str, Metric]) -> tuple[int | float | None, dict[str, Metric]]:
    """Return the step among some numbers, or None, and the others.

    >>> split_step({"epoch": 1, "Step": 100, "loss": 0.2}), split_step({"loss": 0.2})
    ((100, {'epoch': 1, 'loss': 0.2}), (None, {'loss': 0.2}))
    """
    rest = dict(numbers)
    named = {_word(name): name for name in numbers}
    for word in STEPS:
        step = numbers.get(named.get(word, ""))
        if step is not None and _finite(step):
            del rest[named[word]]
            return step, rest
    return None, rest


# -- reading --------------------------------------------------------------------------------------------------------------


def _csv_rows(text: str, delimiter: str, name: str) -> _Rows:
    import csv
    from io import StringIO

    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = _Rows([], [])
    try:
        filled = ((reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells))
        header = _header(*next(filled, (1, [])), name)
        for line, cells in filled:
            _add_csv_row(rows, header, line, [cell.strip() for cell in cells])
    except csv.Error as error:
        raise ParamsFileError(name, f"it is not a table: {error}.", reader.line_num) from None
    if not rows.whole and not rows.faults:
        raise ParamsFileError(name, "the table holds no row of metrics, only its header.")
    if not rows.whole:
        line, problem = rows.faults[0]
        raise ParamsFileError(name, f"{problem}.", line)
    return rows


def _header(line: int, cells: Sequence[str], name: str) -> list[str]:
    header = [cell.strip() for cell in cells]
    if all(isinstance(scalar(column), (int, float)) for column in header if column):
        raise ParamsFileError(name, "the first row holds numbers, not the names of metrics.", line)
    repeated = next((column for place, column in enumerate(header) if column and column in header[:place]), None)
    if repeated is not None:
        raise ParamsFileError(name, f"column {repeated!r} is there twice.", line)
    return header


def _add_csv_row(rows: _Rows, header: list[str], line: int, cells: list[str]) -> None:
    if cells == header:  # whoever appends may write it again
        return
    if len(cells) > len(header):
        rows.faults.append((line, f"the row has {len(cells)} cells, the header {len(header)}"))
        return
    cells += [""] * (len(header) - len(cells))
    rows.whole.append(_Row(line, {name: _of_text(cell) for name, cell in zip(header, cells, strict=True) if name}))


def _json_rows(text: str, name: str) -> _Rows:
    rows = _Rows([], [])
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
            if not isinstance(document, dict):
                rows.faults.append((number, "the line is JSON, but no mapping"))
                continue
            rows.whole.append(_Row(number, {column: _of_value(value) for column, value in flatten(document).items()}))
        except json.JSONDecodeError as error:
            problem = f"{error.msg[:1].lower()}{error.msg[1:]} at column {error.colno}"
            rows.faults.append((number, f"the line is not JSON: {problem}"))
        except (ValueError, RecursionError):  # more digits than Python reads
            rows.faults.append((number, "the line is nested too deeply, or a number in it is too long"))
    if not rows.whole:
        line_number, problem = rows.faults[0]
        raise ParamsFileError(name, f"{problem}.", line_number, hint='a line a step: {"step": 0, "loss": 0.9}')
    return rows


def _of_text(text: str) -> _Cell:
    if text in _MISSING:
        return None
    value = scalar(text)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None if value is None else text


def _of_value(value: Any) -> _Cell:
    if isinstance(value, (int, float)) or value is None:
        return value
    return _of_text(value.strip()) if isinstance(value, str) else ""


# -- putting together -----------------------------------------------------------------------------------------------------


def _own(rows: list[_Row], known_lines: int) -> list[_Row]:
    """Return the rows that are the run's own."""
    earlier = [row for row in rows if row.line <= known_lines]
    later = rows[len(earlier) :]
    if not earlier or not later:
        return rows
    before, after = _step(earlier[-1]), _step(later[0])
    goes_on = before is not None and after is not None and before < after
    return rows if goes_on else later


def _step(row: _Row) -> int | float | None:
    return split_step(_numbers(row.cells))[0]


def _numbers(cells: Mapping[str, _Cell]) -> dict[str, Metric]:
    return {name: cell for name, cell in cells.items() if isinstance(cell, (int, float))}


def _series(rows: Iterable[_Row], moment: float, *, counted: bool) -> Iterator[bytes]:
    for place, row in enumerate(rows):
        step, numbers = split_step(_numbers(row.cells))
        time = next((name for name in numbers if _word(name) in _TIMES and _moment(numbers[name]) is not None), None)
        when = _moment(numbers.pop(time)) if time is not None else None
        if numbers and (counted or step is not None):
            yield series_line(place if step is None else step, moment if when is None else when, numbers)


def _moment(number: Metric) -> int | float | None:
    """Return the seconds since 1970 that a number says; None when it is no moment."""
    if not _finite(number):
        return None
    if int(number) in _SECONDS:
        return number
    return number / 1000 if int(number) // 1000 in _SECONDS else None


def _finite(number: Metric) -> bool:
    try:
        return isfinite(number) and not isinstance(number, bool)
    except OverflowError:  # more than a float holds
        return False


def _word(name: str) -> str:
    return name.lower().replace(" ", "_")


def _warnings(faults: Sequence[tuple[int, str]], name: str) -> Iterator[str]:
    if faults:
        line, problem = faults[0]
        more = f", as were {len(faults) - 1} more" if len(faults) > 1 else ""
        yield f"{name}:{line}: {problem}: left out{more}."
