"""Diff rows: what the lines of a difference say, whatever they are written on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gitparams.directions import Direction, direction
from gitparams.model import SHOWN_ID_LETTERS, Run, Status, is_run_id
from gitparams.params import MISSING
from gitparams.replicates import Spread, spread
from gitparams.screens.items import cut_apart
from gitparams.screens.log import best_places, metric_header, status_text
from gitparams.screens.numbers import age_text, delta_text, metric_texts, ratio_text, value_text
from gitparams.screens.replicates import spread_texts
from gitparams.screens.terminal import Terminal, safe
from gitparams.seeds import is_seed

if TYPE_CHECKING:  # a RunDiff knows its own text and so these modules
    from gitparams.changes import CodeChange, MetricChange, ParamChange, RunDiff

LONGEST_LIST = 30
"""How many packages and files are shown unless more are asked for."""

SECTIONS = ("params", "seeds", "metrics", "packages", "environment")
"""What is shown as a value a run, in the order it is shown."""

_MOST_NAMED = 4
_COMMIT_ID = re.compile(r"(?:rev:)?\b([0-9a-f]{10})[0-9a-f]{30,54}\b")
_FEW_COLUMNS = 3


class Judged(Protocol):
    """What a gate says of a difference in one sentence."""

    @property
    def failed(self) -> bool:
        """Whether it does not let it through."""

    @property
    def sentence(self) -> str:
        """What it looked at, and what it found."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a label, a text a column, and what is said of them.

    Attributes:
        label: safe to print, as are all texts.
        texts: one a column.
        note: what is said of the change.
        better: whether the last value is better than the first, None when there is no saying.
        absent: the columns that have no value.
        best: the columns whose value is best.
        odd: the one column that is unlike all others, None when there is no such.
        again: the columns that are the same as the one before them.
    """

    label: str
    texts: tuple[str, ...]
    note: str = ""
    better: bool | None = None
    absent: frozenset[int] = frozenset()
    best: frozenset[int] = frozenset()
    odd: int | None = None
    again: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Line:
    """One key that is not the same in all runs.

    Attributes:
        section: where it belongs, one of `SECTIONS`.
        name: the key.
        values: one a column, `MISSING` where there is none.
        marks: a number a column; two are equal where the values are the same. They are counted from 0.
        places: whether the values are places in a list.
    """

    section: str
    name: str
    values: tuple[Any, ...]
    marks: tuple[int, ...]
    places: bool = False

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return max(self.marks) + 1

    @property
    def odd(self) -> int | None:
        """The one column that is unlike all others, where these are alike; None when there is no such, and for seeds."""
        if len(self.marks) < _FEW_COLUMNS or self.distinct != 2 or self.section == "seeds" or is_seed(self.name):
            return None
        ones = sum(self.marks)
        if ones == 1:
            return self.marks.index(1)
        return self.marks.index(0) if ones == len(self.marks) - 1 else None

    def texts(self, width: int, terminal: Terminal) -> list[str]:
        """Return the values in at most so many cells each."""
        if self.section == "packages":
            return [terminal.missing if one is MISSING else terminal.cut(terminal.safe(one), width) for one in self.values]
        if self.places:
            return [terminal.missing if value is MISSING else ordinal(value) for value in self.values]
        return cut_apart(self.values, width, terminal)


@dataclass(frozen=True, slots=True)
class Grid:
    """What differs between runs: a column for the runs that are alike, and a line a key.

    Attributes:
        members: the places of the runs of each column.
        lines: what differs but for the metrics.
    """

    members: tuple[tuple[int, ...], ...]
    lines: tuple[Line, ...]

    @property
    def firsts(self) -> list[int]:
        """The first run of each column."""
        return [places[0] for places in self.members]

    @property
    def collapsed(self) -> bool:
        """Whether a column stands for several runs."""
        return any(len(places) > 1 for places in self.members)


def grid(diff: RunDiff) -> Grid:
    """Return the columns and lines of a difference; runs that are alike in all that is shown but metrics have one column.

    Where all runs are alike, each has its own: there is nothing else to tell.
    """
    found = _lines(diff)
    status = _marks([status_word(run) if is_run_id(run.id) else run.id for run in diff.runs])
    alike: dict[tuple[int, ...], list[int]] = {}
    for place, marks in enumerate(zip(status, *(line.marks for line in found), strict=True)):
        alike.setdefault(marks, []).append(place)
    members = tuple(map(tuple, alike.values())) if 1 < len(alike) < len(diff.runs) else ()
    if not members:
        return Grid(tuple((place,) for place in range(len(diff.runs))), tuple(found))
    firsts = [places[0] for places in members]
    return Grid(members, tuple(_picked(line, firsts) for line in found))


def _lines(diff: RunDiff) -> list[Line]:
    rows = [("params", change.path, change.values, change.kind == "moved") for change in diff.params.values()]
    rows += [("seeds", name, values, False) for name, values in diff.seeds.items()]
    rows += [("packages", name, tuple(map(_version, versions)), False) for name, versions in diff.packages.items()]
    rows += [("environment", name, values, False) for name, values in diff.environment.items()]
    return [Line(section, name, values, _marks(values), places) for section, name, values, places in rows]


def _version(version: str | None) -> Any:
    return MISSING if version is None else version


def _marks(values: Sequence[Any]) -> tuple[int, ...]:
    known: dict[Any, int] = {}
    return tuple(known.setdefault(_identity(value), len(known)) for value in values)


def _identity(value: Any) -> Any:
    kind = type(value)
    return (kind, value) if kind in (str, int, bool) else MISSING if value is MISSING else value_text(value)


def _picked(line: Line, places: Sequence[int]) -> Line:
    values = tuple(line.values[place] for place in places)
    return Line(line.section, line.name, values, tuple(line.marks[place] for place in places), line.places)


# -- rows -----------------------------------------------------------------------------------------------------------------


def sections(
    diff: RunDiff, found: Grid, terminal: Terminal, directions: Mapping[str, Direction], *, label: int, value: int
) -> dict[str, list[Row]]:
    """Return the rows of each section that has any, in the order they are shown.

    Args:
        diff: what differs.
        found: its `grid`.
        terminal: what the rows are written on.
        directions: which way of a metric is better, as declared.
        label, value: how many cells a label and a value have at most; labels that are too long keep their end.
    """
    rows: dict[str, list[Row]] = {section: [] for section in SECTIONS}
    for line in found.lines:
        rows[line.section].append(_row(line, diff, terminal, label, value))
    rows["metrics"] = [metric_row(change, diff, found, terminal, directions, label) for change in diff.metrics.values()]
    return {section: rows[section] for section in SECTIONS if rows[section]}


def _row(line: Line, diff: RunDiff, terminal: Terminal, label: int, value: int) -> Row:
    return Row(
        terminal.cut_start(terminal.safe(line.name), label),
        tuple(line.texts(value, terminal)),
        _line_note(line, diff, terminal) if len(diff.runs) == 2 else "",
        absent=_absent(line.values),
        odd=line.odd,
        again=frozenset(place for place in range(1, len(line.marks)) if line.marks[place] == line.marks[place - 1]),
    )


def _line_note(line: Line, diff: RunDiff, terminal: Terminal) -> str:
    if line.section == "params":
        return _param_note(diff.params[line.name], terminal)
    return "added" if line.values[0] is MISSING else "removed" if line.values[1] is MISSING else ""


def _param_note(change: ParamChange, terminal: Terminal) -> str:
    if change.kind in ("added", "removed", "moved"):
        return change.kind
    if change.kind == "type":
        types = [_type_name(value) for value in change.values]
        return "" if "None" in types else f" {terminal.arrow} ".join(types)
    if is_seed(change.path):
        return ""
    return ratio_text(*change.values, times=terminal.times, divide=terminal.divide, minus=terminal.minus)


def _type_name(value: Any) -> str:
    if value is None:
        return "None"
    return "mapping" if isinstance(value, dict) else type(value).__name__


def _absent(values: Sequence[Any]) -> frozenset[int]:
    return frozenset(place for place, value in enumerate(values) if value is MISSING)


def ordinal(place: int) -> str:
    """Return a place, counted from 0, as people count it.

    >>> [ordinal(place) for place in (0, 1, 2, 3, 10, 20, 111)]
    ['1st', '2nd', '3rd', '4th', '11th', '21st', '112th']
    """
    number = place + 1
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


# -- metrics --------------------------------------------------------------------------------------------------------------


def metric_row(
    change: MetricChange, diff: RunDiff, found: Grid, terminal: Terminal, directions: Mapping[str, Direction], label: int
) -> Row:
    """Return the row of a metric: of two runs with what was added, of more with the best, of columns of several with means."""
    header = metric_header(change.name, directions, terminal, label)
    if len(change.values) == 2:
        texts = metric_texts(change.values, terminal.missing)
        delta = _delta(change, texts, terminal)
        return Row(header, tuple(texts), delta, change.better if delta else None, _absent(change.values))
    texts, best = metric_cells(change, diff, found, terminal, directions)
    absent = _absent([_of(change, places) or MISSING for places in found.members])
    return Row(header, tuple(" ".join(text.split()) for text in texts), absent=absent, best=best)


def metric_cells(
    change: MetricChange, diff: RunDiff, found: Grid, terminal: Terminal, directions: Mapping[str, Direction]
) -> tuple[list[str], frozenset[int]]:
    """Return a text a column, of one width where they are means, and the columns that are best among completed runs."""
    spreads = [_spread(change, places) for places in found.members]
    if not found.collapsed:
        texts = metric_texts([change.values[place] for place in found.firsts], terminal.missing)
    else:
        means = spread_texts(spreads, terminal)
        sizes = [_fewer(one, places) for one, places in zip(spreads, found.members, strict=True)]
        longest = max(map(len, sizes))
        texts = [mean + size.ljust(longest) for mean, size in zip(means, sizes, strict=True)]
    known = [
        _middle(change, one, places) if diff.runs[places[0]].status is Status.COMPLETED else MISSING
        for one, places in zip(spreads, found.members, strict=True)
    ]
    return texts, frozenset(best_places(known, direction(change.name, directions)))


def metrics_in_order(diff: RunDiff, directions: Mapping[str, Direction]) -> list[str]:
    """Return the metrics that differ, those first of which it is known what is better."""
    return sorted(diff.metrics, key=lambda name: (direction(name, directions) is None, name))


def has_gaps(diff: RunDiff, found: Grid, names: Iterable[str]) -> bool:
    """Tell whether a mean of these metrics is of fewer values than its column has runs."""
    rows = ([_spread(diff.metrics[name], places) for places in found.members] for name in names)
    return found.collapsed and any(_fewer(one, places) for row in rows for one, places in zip(row, found.members, strict=True))


def _of(change: MetricChange, places: Sequence[int]) -> list[Any]:
    return [change.values[place] for place in places if change.values[place] is not MISSING]


def _spread(change: MetricChange, places: Sequence[int]) -> Spread | None:
    values = _of(change, places)
    return spread(values) if values else None


def _fewer(found: Spread | None, places: Sequence[int]) -> str:
    return f" ({found.n})" if found is not None and found.n not in (0, len(places)) else ""


def _middle(change: MetricChange, found: Spread | None, places: Sequence[int]) -> Any:
    if found is None:
        return MISSING
    return change.values[places[0]] if len(places) == 1 else found.mean


def _delta(change: MetricChange, texts: Sequence[str], terminal: Terminal) -> str:
    places = max(len(text.partition(".")[2]) if "e" not in text else 0 for text in texts)
    return delta_text(*change.values, minus=terminal.minus, places=places)


def better_word(better: bool | None) -> str:
    """Return whether a metric is better, in a word.

    >>> better_word(True), better_word(False), better_word(None)
    ('better', 'worse', '')
    """
    return "" if better is None else "better" if better else "worse"


def noted(row: Row) -> str:
    """Return what is said of a row's change, and whether it is better."""
    return " ".join(filter(None, (row.note, better_word(row.better))))


# -- runs -----------------------------------------------------------------------------------------------------------------


def head_text(run: Run) -> str:
    """Return what a run is called at the top of its column: its id, or the word for params that no run has used."""
    return safe(run.id[:SHOWN_ID_LETTERS] if is_run_id(run.id) else _shortened(run.id))


def _shortened(word: str) -> str:
    """Return a word in which a whole commit id is cut to as many digits as git shows of one."""
    return _COMMIT_ID.sub(r"\1", word)


def column_heads(diff: RunDiff, found: Grid) -> list[str]:
    """Return the heading of each column, such as ``kkmpptxz +2`` for three runs that are alike."""
    return [head_text(diff.runs[places[0]]) + (f" +{len(places) - 1}" if len(places) > 1 else "") for places in found.members]


def word_of(diff: RunDiff, place: int) -> str:
    """Return the word by which a run was named, safe to print; empty where it says no more than the id."""
    if place >= len(diff.names):
        return ""
    run, word = diff.runs[place], diff.names[place].word
    return "" if run.id.startswith(word.removeprefix("run:")) else safe(_shortened(word))


def side_text(diff: RunDiff, place: int) -> str:
    """Return the word by which a run was named, else what stands above its column."""
    return word_of(diff, place) or head_text(diff.runs[place])


def age_of(run: Run, seconds: float) -> str:
    """Return how long ago a run began; the work tree is as it is now."""
    return "now" if run.id == "worktree" else age_text(seconds)


def status_word(run: Run) -> str:
    """Return how a run stands; empty when it completed, and for params that no run has used."""
    return status_text(run) if is_run_id(run.id) else ""


def status_row(diff: RunDiff, found: Grid) -> Row | None:
    """Return the row of how the runs stand; None when all completed."""
    words = [status_word(diff.runs[place]) for place in found.firsts]
    recorded = [is_run_id(diff.runs[place].id) for place in found.firsts]
    if not any(words):
        return None
    return Row("status", tuple(word or ("completed" if real else "") for word, real in zip(words, recorded, strict=True)))


# -- sentences ------------------------------------------------------------------------------------------------------------


def differs(diff: RunDiff) -> bool:
    """Tell whether there is anything to show."""
    return bool(diff.params or diff.metrics or diff.code or diff.packages or diff.environment or diff.seeds)


def no_difference(diff: RunDiff) -> str:
    """Return the sentence for runs between which nothing differs."""
    return f"No difference in {count(diff.equal_params, 'param')}{_between(diff)}."


def _between(diff: RunDiff) -> str:
    if not any(naming.word for naming in diff.names):
        return ""
    if len(diff.runs) > _MOST_NAMED:
        return f" between {len(diff.runs)} runs"
    *others, last = (side_text(diff, place) for place in range(len(diff.runs)))
    return f" between {', '.join(others)} and {last}" if others else ""


def counted(diff: RunDiff) -> list[str]:
    """Return what is only counted: params that are equal, and those that were not looked at."""
    return [
        f"{count(diff.equal_params, 'param')} equal" if diff.equal_params else "",
        "no param in common" if _is_disjoint(diff) else "",
        ignored_text(diff),
    ]


def ignored_text(diff: RunDiff) -> str:
    """Return how many params differ and are not shown; empty when there are none."""
    return f"{diff.ignored} within the tolerance or ignored" if diff.ignored else ""


def _is_disjoint(diff: RunDiff) -> bool:
    if diff.equal_params or diff.ignored or not diff.params:
        return False
    return all(sum(value is not MISSING for value in change.values) < 2 for change in diff.params.values())


def verdict(gate: Sequence[Judged]) -> tuple[str, str]:
    """Return the mark and the words that sum up what was judged.

    >>> verdict([])
    ('✅', 'passed: 0 of 0 failed')
    """
    failed = sum(judged.failed for judged in gate)
    return "❌" if failed else "✅", f"{'failed' if failed else 'passed'}: {failed} of {len(gate)} failed"


def how_found(diff: RunDiff) -> list[str]:
    """Return a sentence for each side that is not simply the run it was called, safe to print."""
    pairs = ((side_text(diff, place), safe(naming.how)) for place, naming in enumerate(diff.names) if naming.how)
    return list(dict.fromkeys(f"{side}: {how}" for side, how in pairs))


def count(number: int, noun: str) -> str:
    """Return a number of things.

    >>> count(1, "param"), count(2, "param")
    ('1 param', '2 params')
    """
    return f"{number} {noun if number == 1 else noun + 's'}"


def cut_list(number: int, *, full: bool) -> int:
    """Return how many of a long list are shown."""
    return number if full or number <= LONGEST_LIST else LONGEST_LIST


# -- code -----------------------------------------------------------------------------------------------------------------


def line_counts(change: CodeChange, terminal: Terminal) -> tuple[str, str] | None:
    """Return how many lines were added and removed, each empty for none; None for a binary file."""
    if change.added is None or change.removed is None:
        return None
    return _counts(change.added, change.removed, terminal)


def total_counts(code: Sequence[CodeChange], terminal: Terminal) -> str:
    """Return how many files differ, and by how many lines in all.

    >>> from gitparams.changes import CodeChange
    >>> total_counts([CodeChange("a.py", 12, 3), CodeChange("b.png", None, None)], Terminal())
    '2 files +12 −3'
    """
    added, removed = sum(change.added or 0 for change in code), sum(change.removed or 0 for change in code)
    return " ".join(filter(None, (count(len(code), "file"), *_counts(added, removed, terminal))))


def _counts(added: int, removed: int, terminal: Terminal) -> tuple[str, str]:
    return f"+{added}" if added else "", f"{terminal.minus}{removed}" if removed else ""


def patch_lines(change: CodeChange) -> list[str]:
    """Return the lines of a file's patch, safe to print, without what its path and the ids of its contents say.

    Tabs are spaces. Of a binary file there is only what is said of its name and mode.
    """
    lines = change.patch.split("\n")
    start = next((place for place, line in enumerate(lines) if line.startswith("@@")), len(lines))
    facts = [safe(line) for line in lines[:start] if line.startswith(_FACTS)]
    body = lines[start:-1] if lines[-1] == "" else lines[start:]
    return [*facts, *(safe(line[:1] + line[1:].expandtabs(8)) for line in body)]


_FACTS = ("old mode", "new mode", "new file", "deleted file", "rename", "copy", "similarity")
