"""Columns: the params, metrics and fields that a list of runs was asked for, chosen by words and fitted to the screen."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Literal

from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.index import BrokenRun, Listed
from gitparams.model import Run
from gitparams.params import MISSING, flatten, get, path_keys
from gitparams.screens.items import LONGEST_VALUE, cut_apart, short_value
from gitparams.screens.log import (
    NARROWEST,
    best_text,
    count_text,
    doubt_text,
    first_columns,
    guess_text,
    markdown_table,
    metric_column,
    metric_values,
    no_runs,
    param_name,
    shown_id,
    status_style,
    status_text,
    time_text,
)
from gitparams.screens.numbers import age_text, duration_text, value_text
from gitparams.screens.table import Column, Style, table_lines
from gitparams.screens.terminal import Terminal, cell_width
from gitparams.seeds import is_seed
from gitparams.values import same

Kind = Literal["field", "params", "metrics"]
Names = Callable[[str], Iterable[str]]
"""Gives the names of all ``params`` or ``metrics`` that any run has."""

_LONGEST_FIELD, _LONGEST_HEADING, _WHOLE_HEADING = 40, 24, 10**6
_LONGEST_MARKDOWN = 120
_GLOB = frozenset("*?[")

FIELDS: Mapping[str, Callable[[Run], str]] = {
    "id": lambda run: run.id,
    "name": lambda run: run.name or "",
    "status": lambda run: status_text(run) or "completed",
    "experiment": lambda run: run.experiment,
    "started": lambda run: time_text(run.started),
    "finished": lambda run: time_text(run.finished) if run.finished else "",
    "duration": lambda run: "" if run.duration is None else duration_text(run.duration),
    "commit": lambda run: (run.code.commit or "")[:10],
    "branch": lambda run: run.code.branch or "",
    "dirty": lambda run: str(run.code.dirty),
    "author": lambda run: run.author,
    "host": lambda run: run.host,
    "user": lambda run: run.user,
    "python": lambda run: run.python,
    "command": lambda run: shlex.join(run.command),
    "cwd": lambda run: run.cwd,
    "exit_code": lambda run: "" if run.exit_code is None else str(run.exit_code),
    "tags": lambda run: " ".join(run.tags),
    "note": lambda run: run.note,
    "parent": lambda run: run.parent or "",
    "group": lambda run: str(run.group),
    "deleted": lambda run: str(run.deleted),
    "disputed": lambda run: " ".join(run.disputed),
    "drift": lambda run: " ".join(run.drift),
    "unread": lambda run: " ".join(run.unread),
    "redacted": lambda run: " ".join(run.redacted),
}
"""Field → what is shown of it. These words always mean the field."""
_BROKEN_FIELDS: Mapping[str, Callable[[BrokenRun], str]] = {
    "id": lambda run: run.id,
    "status": status_text,
    "started": lambda run: time_text(run.started),
    "author": lambda run: run.author,
    "note": lambda run: run.reason,
}
_RIGHT_FIELDS = frozenset(("duration", "exit_code"))


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One column that was asked for.

    Attributes:
        kind: what its values are.
        key: the field, the written path of the param, or the metric's name.
        heading: what stands above it.
    """

    kind: Kind
    key: str
    heading: str

    @property
    def name(self) -> str:
        """What it is called among all columns: ``status``, ``params.optim.lr``, ``metrics.acc``."""
        return _name(self.kind, self.key)

    def values(self, runs: Sequence[Run | BrokenRun]) -> list[Any]:
        """Return its value in each run, of a field the text; `MISSING` where a run has none."""
        if self.kind == "metrics":
            return metric_values(self.key, runs)
        if self.kind == "field":
            return [_field(self.key, run) or MISSING for run in runs]
        keys = path_keys(self.key)
        found = [get(run.params, keys) if isinstance(run, Run) else MISSING for run in runs]
        return [MISSING if isinstance(value, Mapping) and value else value for value in found]


def chosen(rows: Sequence[Listed], words: Sequence[str], names: Names | None = None) -> tuple[ColumnSpec, ...]:
    """Return the columns that words ask for, each once, in the order of the words.

    A word is a field; ``params.optim.lr``, ``params.optim`` with all below it, or ``metrics.acc``; the same without its
    first part, which is looked up in both; any of these as a glob; ``changed``, the params that differ between the runs;
    ``all`` params and metrics. Several can stand in one, with commas between.

    Args:
        rows: the runs that are shown; what any of them has is known.
        words: as typed.
        names: asked for what other runs have, when a word names nothing in these.

    Raises:
        UsageError: a word names nothing; near misses are suggested.

    >>> from gitparams.model import Status, new_run_id, now
    >>> from gitparams.params import nested
    >>> run = Run(new_run_id(), Status.COMPLETED, now(), params=nested({"optim": {"lr": 0.1}}), metrics={"acc": 0.9})
    >>> [column.name for column in chosen([Listed(run)], ["optim.*", "acc,status"])]
    ['params.optim.lr', 'metrics.acc', 'status']
    """
    known = _Known([row.run for row in rows])
    found: dict[tuple[Kind, str], None] = {}
    for word in (part for whole in words for part in _parts(whole, known)):
        named = list(known.named(word)) or (list(_matches(word, names)) if names else [])
        if not named and rows and word not in _GROUPS:
            raise UsageError(f"No run that is shown has {word!r}{_suggestion(word, known, names)}")
        found.update(dict.fromkeys(named))
    keys = [key for _, key in found]
    return tuple(ColumnSpec(kind, key, key if keys.count(key) == 1 else _name(kind, key)) for kind, key in found)


def render(
    rows: Sequence[Listed],
    columns: Sequence[ColumnSpec],
    *,
    total: int | None,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    now: datetime,
    filtered: bool = False,
) -> str:
    """Return the table of runs with the chosen columns, as many as the screen holds, and below it what was left out.

    When they are too many, those whose value is the same in all runs go first, then the last ones.
    """
    if not rows:
        return no_runs(terminal, filtered=filtered)
    runs = [row.run for row in rows]
    first = first_columns(runs, terminal, now)
    room = max(terminal.width, NARROWEST) - sum(column.space for column in first)
    longest = max(1, min(LONGEST_VALUE, room - 2))
    built = _all_built(columns, runs, directions, terminal, longest)
    constants = [one for one in built if one.constant] if _space(built) > room else []
    varied = [one for one in built if one not in constants]
    shown = varied[: _how_many_fit(varied, room)]
    header, *lines = table_lines([*first, *(_narrowed(one.column, room, terminal) for one in shown)])
    starred = [one.spec.key for one in shown if one.starred]
    said = [
        count_text(len(rows), total),
        best_text(starred),
        doubt_text(rows),
        _more_text(len(varied) - len(shown)) if columns else "no columns to show",
    ]
    footer = [
        *_wrapped(said, terminal),
        *_constants_text(constants, runs, terminal),
        guess_text(starred, directions, terminal),
    ]
    return "\n".join([terminal.dim(header), *lines, "", *(terminal.dim(line) for line in footer if line)])


def to_markdown(
    rows: Sequence[Listed], columns: Sequence[ColumnSpec], *, directions: Mapping[str, Direction], now: datetime
) -> str:
    """Return the table with the chosen columns as Markdown, all of them."""
    runs = [row.run for row in rows]
    built = [one.column for one in _all_built(columns, runs, directions, Terminal(), _LONGEST_MARKDOWN)]
    head = ["run", "age", *(column.texts[0] for column in built)]
    right = {place for place, column in enumerate(built, 2) if column.right}
    ages = [age_text((now - run.started).total_seconds()) for run in runs]
    lines = [
        [shown_id(run), age, *(column.texts[place].strip() for column in built)]
        for place, (run, age) in enumerate(zip(runs, ages, strict=True), 1)
    ]
    return markdown_table(head, lines, right)


# -- words ----------------------------------------------------------------------------------------------------------------


class _Known:
    """The names that the shown runs have, each kind looked for when it is first asked for."""

    def __init__(self, runs: Sequence[Run | BrokenRun]) -> None:
        self.runs = [run for run in runs if isinstance(run, Run)]
        self._found: dict[str, list[str]] = {}

    def names(self, kind: str) -> list[str]:
        """Return the names of all params or metrics, sorted."""
        if kind not in self._found:
            held = (flatten(run.params) if kind == "params" else run.metrics for run in self.runs)
            self._found[kind] = sorted({name for one in held for name in one})
        return self._found[kind]

    def named(self, word: str) -> Iterator[tuple[Kind, str]]:
        """Yield what a word names."""
        if word in FIELDS:
            yield "field", word
        elif word == "changed":
            yield from (("params", path) for path in _changed([run for run in self.runs if not run.group]))
        else:
            yield from _matches(word, self.names)


_GROUPS = frozenset(("all", "changed", "params", "metrics"))
_BOTH: tuple[Kind, Kind] = ("params", "metrics")


def _matches(word: str, names: Names) -> Iterator[tuple[Kind, str]]:
    for kind in _BOTH:
        if word in ("all", kind):
            yield from ((kind, name) for name in names(kind))
        elif (pattern := _within(word, kind)) is not None:
            yield from ((kind, name) for name in _matching(pattern, kind, names(kind)))


def _within(word: str, kind: Kind) -> str | None:
    """Return what a word asks for in params or in metrics; None when it speaks of the other."""
    for one in _BOTH:
        if word.startswith((f"{one}.", f"{one}[")):
            return word[len(one) :].removeprefix(".") if one == kind else None
    return word


def _matching(pattern: str, kind: Kind, names: Iterable[str]) -> list[str]:
    """Return the name that the pattern is; else, of params, those below it; else those that match it as a glob."""
    names = list(names)
    if pattern in names:
        return [pattern]
    below = [name for name in names if kind == "params" and name.startswith((f"{pattern}.", f"{pattern}["))]
    if below or _GLOB.isdisjoint(pattern):
        return below
    return [name for name in names if fnmatchcase(name, pattern)]


def _parts(word: str, known: _Known) -> list[str]:
    """Return the words of one with commas, unless a name has them."""
    if "," not in word or next(known.named(word), None):
        return [word]
    return [part.strip() for part in word.split(",") if part.strip()]


def _changed(runs: Sequence[Run]) -> list[str]:
    """Return the paths of the params that are not the same in all runs, seeds last."""
    first = flatten(runs[0].params) if runs else {}
    differing: set[str] = set()
    for run in runs[1:]:
        params = flatten(run.params)
        differing.update(params.keys() ^ first.keys())
        differing.update(path for path, value in params.items() if path in first and not same(value, first[path]))
    return sorted(differing, key=lambda path: (is_seed(path), path))


def _suggestion(word: str, known: _Known, names: Names | None) -> str:
    from difflib import get_close_matches

    found = [(kind, name) for kind in _BOTH for name in (*known.names(kind), *(names(kind) if names else ()))]
    bare = next((word[len(kind) + 1 :] for kind in _BOTH if word.startswith(f"{kind}.")), word)
    shown = {_name(kind, name): name if word == bare else _name(kind, name) for kind, name in found}
    by_text = {text: text for text in FIELDS if word == bare} | {text: full for full, text in shown.items()}
    near = [_name(kind, name) for kind, name in found if bare in (name, path_keys(name)[-1] if kind == "params" else name)]
    near = near or [full for full in shown if bare and full.startswith(word)]
    near = [shown[full] for full in near] or get_close_matches(word, by_text)
    return f"; did you mean {', '.join(list(dict.fromkeys(near))[:3])}?" if near else "."


def _name(kind: Kind, key: str) -> str:
    return param_name(key) if kind == "params" else f"metrics.{key}" if kind == "metrics" else key


def _field(name: str, run: Run | BrokenRun) -> str:
    if isinstance(run, Run):
        return FIELDS[name](run)
    return _BROKEN_FIELDS[name](run) if name in _BROKEN_FIELDS else ""


# -- the table ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Built:
    """A column as it would be shown.

    Attributes:
        spec: what was asked for.
        column: its texts.
        starred: whether a best value is marked.
        constant: whether all runs, of several, have the same value.
    """

    spec: ColumnSpec
    column: Column
    starred: bool
    constant: bool


def _all_built(
    columns: Sequence[ColumnSpec],
    runs: Sequence[Run | BrokenRun],
    directions: Mapping[str, Direction],
    terminal: Terminal,
    longest: int,
) -> list[_Built]:
    """Return the columns as they would be shown; headings are cut unless two would then be one."""
    built = [_built(column, runs, directions, terminal, longest, _LONGEST_HEADING) for column in columns]
    if len({one.column.texts[0] for one in built}) == len(built):
        return built
    return [_built(column, runs, directions, terminal, longest, _WHOLE_HEADING) for column in columns]


def _built(
    spec: ColumnSpec,
    runs: Sequence[Run | BrokenRun],
    directions: Mapping[str, Direction],
    terminal: Terminal,
    longest: int,
    longest_heading: int,
) -> _Built:
    values = spec.values(runs)
    constant = len(runs) > 1 and all(value is values[0] or same(value, values[0]) for value in values)
    if spec.kind == "metrics":
        column, starred = metric_column(spec.key, runs, directions, terminal, longest_heading)
        return _Built(spec, column, starred, constant)
    texts, right = _texts(spec, values, terminal, longest)
    styles: dict[int, Style] = {place: terminal.dim for place, value in enumerate(values, 1) if value is MISSING}
    if spec.key == "status" and spec.kind == "field":
        styles = {place: status_style(run, terminal) for place, run in enumerate(runs, 1)}
    heading = terminal.cut_start(terminal.safe(spec.heading), longest_heading)
    return _Built(spec, Column([heading, *texts], styles, right=right), False, constant)


def _texts(spec: ColumnSpec, values: Sequence[Any], terminal: Terminal, longest: int) -> tuple[list[str], bool]:
    """Return the texts of a column, and whether they stand at its right end."""
    if spec.kind == "field":
        most = max(longest, min(_LONGEST_FIELD, longest * 2))
        texts = ["" if value is MISSING else terminal.cut(terminal.safe(value), most) for value in values]
        return texts, spec.key in _RIGHT_FIELDS
    present = [value for value in values if value is not MISSING]
    if present and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        texts = [terminal.missing if value is MISSING else value_text(value) for value in values]
        if max(map(len, texts)) <= longest:
            return _on_point(texts), True
    return cut_apart(values, longest, terminal), False


def _on_point(texts: Sequence[str]) -> list[str]:
    """Return texts of numbers, every digit kept, such that the points of those without exponent stand below each other."""
    plain = [text.partition(".") if text.replace(".", "").lstrip("-").isdecimal() else None for text in texts]
    after = max((len(point + tail) for _, point, tail in filter(None, plain)), default=0)
    padded = [
        text if parts is None else parts[0] + (parts[1] + parts[2]).ljust(after)
        for text, parts in zip(texts, plain, strict=True)
    ]
    width = max(map(len, padded))
    return [text.rjust(width) for text in padded]


def _space(built: Iterable[_Built]) -> int:
    return sum(one.column.space for one in built)


def _how_many_fit(built: Sequence[_Built], room: int) -> int:
    """Return how many columns fit, one at least: that one is cut."""
    for place in range(len(built)):
        if _space(built[: place + 1]) > room:
            return max(1, place)
    return len(built)


def _narrowed(column: Column, room: int, terminal: Terminal) -> Column:
    if column.space <= room:
        return column
    return replace(column, texts=[terminal.cut(text.strip(), room - column.gap) for text in column.texts])


def _more_text(count: int) -> str:
    return f"and {count} more {'column' if count == 1 else 'columns'}" if count else ""


def _constants_text(constants: Sequence[_Built], runs: Sequence[Run | BrokenRun], terminal: Terminal) -> Iterator[str]:
    """Yield the line that names the constant columns that were left out, with as many of their values as it holds."""
    if not constants:
        return
    width, count = max(terminal.width, NARROWEST), len(constants)
    head = f"{count} constant {'column' if count == 1 else 'columns'} left out"
    values = [_constant_text(one, runs[:1], terminal) for one in constants]
    texts = (
        f"{head}: {terminal.dot.join([*values[:kept], *([terminal.ellipsis] if kept < count else [])])}"
        for kept in range(count, 0, -1)
    )
    yield terminal.cut(next((text for text in texts if cell_width(text) <= width), head), width)


def _constant_text(built: _Built, runs: Sequence[Run | BrokenRun], terminal: Terminal) -> str:
    value = built.spec.values(runs)[0]
    label = terminal.cut_start(terminal.safe(built.spec.heading), _LONGEST_HEADING)
    if value is MISSING:
        return f"{label} {terminal.missing}"
    if built.spec.kind == "field":
        return f"{label} {terminal.cut(terminal.safe(value), LONGEST_VALUE)}"
    return f"{label} {short_value(value, terminal)}"


def _wrapped(texts: Collection[str], terminal: Terminal) -> Iterator[str]:
    """Yield the texts in lines that fit, none left out."""
    width = max(terminal.width, NARROWEST)
    line = ""
    for text in filter(None, texts):
        longer = f"{line}{terminal.dot}{text}" if line else text
        if cell_width(longer) > width and line:
            yield line
            longer = text
        line = longer
    yield terminal.cut(line, width)
