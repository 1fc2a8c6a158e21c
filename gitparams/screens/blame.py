"""Blame: which run changed each param last and what the metrics did, and what one param was from run to run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, cast

from gitparams.directions import Direction, direction
from gitparams.history import Blame, Change, Side, Stretch, Timeline, Turn
from gitparams.model import SHOWN_ID_LETTERS
from gitparams.params import MISSING
from gitparams.replicates import Difference, Group, Spread, compared
from gitparams.screens.items import cut_apart, short_value
from gitparams.screens.log import NARROWEST, metric_header
from gitparams.screens.numbers import age_text, delta_text
from gitparams.screens.replicates import decimal_places, p_text, ranked_names, said_lines, spread_document, spread_texts
from gitparams.screens.table import Column, Style, table_lines
from gitparams.screens.terminal import Terminal, cell_width
from gitparams.values import Value, printable

UNRUN = "not yet run"
_WITH_PEOPLE, _WITH_AGE = 60, 44  # below these widths the columns go
_LEAST_LABEL, _LEAST_VALUE, _LONGEST_VALUE = 12, 8, 40
_LONGEST_NAME, _COMMIT_LETTERS = 14, 7
_DIRTY = "+"
_OTHERS = "other params may differ between the sides too"
_CHANCE = "? may be chance"
_FEWER = "(n) values, where not every run has one"
_UNCOMMITTED = f"{_DIRTY} uncommitted changes"


class _Form(NamedTuple):
    """How much is said of a metric: its deviations, and how likely chance alone makes such a difference."""

    deviation: bool
    chance: bool


_FORMS = (_Form(True, True), _Form(True, False), _Form(False, False))


def render(
    blame: Blame,
    *,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    now: datetime,
    metrics: Sequence[str] | None = None,
) -> str:
    """Return a line a param that changed, below it what the metrics were before and since, and then what never changed.

    Args:
        blame: the last change of each param.
        terminal: where it goes.
        directions: which way of a metric is better, as declared.
        now: what ages count from.
        metrics: the names of the metrics to show; as many as fit of those that are common, unless given.
    """
    if not blame.changes:
        return f"Run {terminal.safe(blame.run.short_id)} has no params."
    width = max(terminal.width, NARROWEST)
    changed = [change for change in blame.changes if change.kind != "first"]
    kept = [change for change in blame.changes if change.kind == "first"]
    label = _label_width(blame.changes, width, terminal)
    details = _detail_lines(changed, metrics, width, terminal, directions)
    lines = list(_changed_lines(changed, details, label, width, terminal, now))
    if kept:
        lines += [*([""] if lines else []), *_kept_lines(kept, label, width, terminal, now)]
    footer = said_lines(_said(blame, details, metrics or (), terminal), terminal, width)
    return "\n".join([*lines, *([""] if footer else []), *footer])


def _label_width(changes: Sequence[Change], width: int, terminal: Terminal) -> int:
    longest = max(cell_width(terminal.safe(change.path)) for change in changes)
    return min(max(longest, len("param")), max(_LEAST_LABEL, width * 2 // 5))


def _changed_lines(
    changes: Sequence[Change],
    details: Sequence[str],
    label: int,
    width: int,
    terminal: Terminal,
    now: datetime,
) -> Iterator[str]:
    if not changes:
        return
    turns = _turn_columns("run", [change.turn for change in changes], width, terminal, now)
    label = min(label, width - _room(turns))
    names = Column(["param", *(terminal.cut_start(terminal.safe(change.path), label) for change in changes)], gap=0)
    room = width - _room([names, *turns]) - 2
    texts = Column(["change", *(_change_text(change, room, terminal) for change in changes)], _arrows(len(changes), terminal))
    header, *heads = _fitting([names, *([texts] if room >= _LEAST_VALUE else []), *turns], width, terminal)
    yield terminal.dim(header)
    for head, detail in zip(heads, details, strict=True):
        yield head
        if detail:
            yield detail


def _arrows(count: int, terminal: Terminal) -> dict[int, Style]:
    arrow, dimmed = f" {terminal.arrow} ", f" {terminal.dim(terminal.arrow)} "
    return dict.fromkeys(range(1, count + 1), lambda text: text.replace(arrow, dimmed))


def _change_text(change: Change, width: int, terminal: Terminal) -> str:
    if change.kind in ("added", "removed"):
        value = change.new if change.kind == "added" else change.old
        return terminal.cut(f"{change.kind} {short_value(value, terminal, _LONGEST_VALUE)}", width)
    arrow = f" {terminal.arrow} "
    types = _types(change, arrow)
    room, beside = (width - len(arrow)) // 2, (width - len(arrow) - len(types)) // 2
    for longest, note in ((_LONGEST_VALUE, types), (beside if beside >= _LEAST_VALUE else room, types), (room, "")):
        text = arrow.join(cut_apart([change.old, change.new], max(1, longest), terminal)) + note
        if cell_width(text) <= width:
            return text
    return terminal.cut(text, width)


def _types(change: Change, arrow: str) -> str:
    if change.kind != "type" or change.old is None or change.new is None:
        return ""
    names = ["mapping" if isinstance(value, dict) else type(value).__name__ for value in (change.old, change.new)]
    return f" ({arrow.join(names)})"


def _kept_lines(changes: Sequence[Change], label: int, width: int, terminal: Terminal, now: datetime) -> list[str]:
    """Return what never changed, below the run that it came with."""
    turn = changes[0].turn
    said = UNRUN
    if turn is not None:
        identity, age, person, commit = _turn_texts(turn, terminal, now)
        said = f"{identity}, {age} ago, {person}, {commit}"
    names = Column([terminal.cut_start(terminal.safe(change.path), label) for change in changes], gap=0, least=label)
    room = max(_LEAST_VALUE, width - label - 2)
    values = Column([short_value(change.new, terminal, room) for change in changes])
    return [terminal.dim(terminal.cut(f"since the first run: {said}", width)), *_fitting([names, values], width, terminal)]


def _said(blame: Blame, details: Sequence[str], metrics: Sequence[str], terminal: Terminal) -> list[str]:
    sides = [side for change in blame.changes for side in (change.before, change.after)]
    nowhere = [name for name in metrics if not any(name in side.metrics for side in sides)]
    dirty = any(change.turn is not None and change.turn.dirty for change in blame.changes)
    return [
        *(["(n) completed runs before and since", _OTHERS] if any(details) else []),
        _CHANCE if any("?" in detail for detail in details) else "",
        f"no completed run here has {terminal.safe(', '.join(nowhere))}" if nowhere else "",
        _UNCOMMITTED if dirty else "",
    ]


# -- the run of a change --------------------------------------------------------------------------------------------------


def _turn_columns(heading: str, turns: Sequence[Turn | None], width: int, terminal: Terminal, now: datetime) -> list[Column]:
    """Return the columns of the runs with which values began: id, age, person and commit, where there is room."""
    rows = [_turn_texts(turn, terminal, now) if turn else (UNRUN, "", "", "") for turn in turns]
    ids, ages, people, commits = zip((heading, "age", "by", "commit"), *rows, strict=True)
    quiet: dict[int, Style] = dict.fromkeys(range(1, len(rows) + 1), terminal.dim)
    unrun: dict[int, Style] = {place: terminal.yellow for place, turn in enumerate(turns, 1) if turn is None}
    columns = [Column(ids, unrun)]
    if width >= _WITH_AGE:
        columns.append(Column(ages, quiet, right=True, least=4))
    if width >= _WITH_PEOPLE:
        columns += [Column(people), Column(commits, quiet)]
    return columns


def _turn_texts(turn: Turn, terminal: Terminal, now: datetime) -> tuple[str, str, str, str]:
    name = re.sub(r"\s*<[^>]*>\s*$", "", turn.author) or turn.author
    commit = f"{turn.commit[:_COMMIT_LETTERS]}{_DIRTY if turn.dirty else ''}" if turn.commit else terminal.missing
    return (
        terminal.safe(turn.id[:SHOWN_ID_LETTERS]),
        age_text((now - turn.started).total_seconds()),
        terminal.cut(terminal.safe(name), _LONGEST_NAME),
        terminal.safe(commit),
    )


# -- metrics on both sides ------------------------------------------------------------------------------------------------


def _detail_lines(
    changes: Sequence[Change],
    metrics: Sequence[str] | None,
    width: int,
    terminal: Terminal,
    directions: Mapping[str, Direction],
) -> list[str]:
    """Return for each change the line of metrics below it; empty where neither side has any."""
    names = _names((side for change in changes for side in (change.before, change.after)), metrics, directions)
    columns: list[Column] = []
    for name in names:
        forms = (_detail_columns(name, changes, width, terminal, directions, form, bool(columns)) for form in _FORMS)
        more = next((some for some in forms if _room([*columns, *some]) <= width), None)
        if more is None:
            break
        columns += more
    return _fitting(columns, width, terminal) if columns else [""] * len(changes)


def _detail_columns(
    name: str,
    changes: Sequence[Change],
    width: int,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    form: _Form,
    again: bool,
) -> list[Column]:
    """Return the columns of one metric: its name, what it was before, an arrow, what it is since, and the verdict."""
    sides = [[change.before.metrics.get(name) for change in changes], [change.after.metrics.get(name) for change in changes]]
    texts = spread_texts([*sides[0], *sides[1]], terminal)
    there = [any(found) for found in zip(*sides, strict=True)]
    before, after = (
        _counted_texts(texts[start : start + len(changes)], found, there, form)
        for start, found in ((0, sides[0]), (len(changes), sides[1]))
    )
    header = metric_header(name, directions, terminal, max(_LEAST_LABEL, width // 4))
    verdicts = [_verdict(_difference(change, name), directions, terminal) for change in changes]
    said = [text if form.chance else text.partition(" p ")[0].rstrip(",") for text, _ in verdicts]
    lines = range(len(changes))
    return [
        Column([header if some else "" for some in there], gap=3 if again else 2),
        Column(before, gap=1),
        Column([terminal.arrow if some else "" for some in there], dict.fromkeys(lines, terminal.dim), gap=1),
        Column(after, gap=1),
        Column(said, {line: verdicts[line][1] for line in lines}, gap=2),
    ]


def _counted_texts(texts: Sequence[str], spreads: Sequence[Spread | None], there: Sequence[bool], form: _Form) -> list[str]:
    """Return the texts of means with how many values each is of, aligned on the decimal point."""
    said = [
        f"{_tight(text, form)} ({found.n})" if found is not None else text.rstrip() if some else ""
        for text, found, some in zip(texts, spreads, there, strict=True)
    ]
    lead = min((len(text) - len(text.lstrip()) for text in said if text), default=0)
    return [text[lead:] for text in said]


def _tight(text: str, form: _Form) -> str:
    """Return a mean without the spaces that keep a column of deviations aligned, or without its deviation."""
    return re.sub(r"(±|\+-) +", r"\1", text.rstrip()) if form.deviation else re.split(r" (?:±|\+-)", text)[0].rstrip()


def _difference(change: Change, name: str) -> Difference:
    return _between(change.before, change.after, name)


def _between(before: Side, after: Side, name: str) -> Difference:
    return compared(cast("Group[Any]", before), cast("Group[Any]", after), name)  # only their metrics are asked for


def _verdict(found: Difference, directions: Mapping[str, Direction], terminal: Terminal) -> tuple[str, Style]:
    """Return whether a metric became better, and whether that may be chance: with a question mark when it cannot be told."""
    if found.delta is None or found.before is None or found.after is None:  # a side has no value
        return "", str
    if found.exceeds is False and found.p is not None:
        return f"noise? {p_text(found.p)}", terminal.dim
    if not found.delta:
        return "same", terminal.dim
    way = direction(found.metric, directions)
    better = None if way is None else (found.delta > 0) == (way is Direction.MAX)
    word = "differs" if better is None else "better" if better else "worse"
    if found.p is not None:
        style: Style = str if better is None else terminal.green if better else terminal.red
        return f"{word}, {p_text(found.p)}", style
    settled = found.before.std == 0 and found.after.std == 0
    return word if settled else f"{word}?", str


def _names(sides: Iterable[Side], metrics: Sequence[str] | None, directions: Mapping[str, Direction]) -> Sequence[str]:
    ranked = ranked_names((side.metrics for side in sides), directions)
    return ranked if metrics is None else [name for name in metrics if name in ranked]


# -- the timeline of a value ----------------------------------------------------------------------------------------------


def render_timelines(
    timelines: Sequence[Timeline],
    *,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    now: datetime,
    metrics: Sequence[str] | None = None,
) -> str:
    """Return of each param a line a stretch of runs with one value, the newest first; arguments as those of `render`."""
    blocks = ["\n".join(_timeline_lines(one, terminal, directions, now, metrics)) for one in timelines]
    return "\n\n".join(blocks)


def _timeline_lines(
    timeline: Timeline,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    now: datetime,
    metrics: Sequence[str] | None,
) -> list[str]:
    width, stretches = max(terminal.width, NARROWEST), timeline.stretches
    turns = _turn_columns("since", [stretch.turn for stretch in stretches], width, terminal, now)
    counts = Column(["runs", *(str(stretch.side.runs) for stretch in stretches)], right=True)
    longest = max(_LEAST_VALUE, min(_LONGEST_VALUE, width - _room([*turns, counts]), width // 3))
    columns = [_value_column(timeline, longest, terminal), *turns, counts]
    fixed = len(columns)
    shown = _names((stretch.side for stretch in stretches), metrics, directions)
    for name in shown:
        means, deltas = _metric_columns(name, timeline, width, terminal, directions)
        forms = ([means, deltas], [means], [_without_deviations(means)])
        more = next((some for some in forms if _room([*columns, *some]) <= width), None)
        if more is None:
            break
        columns += more
    header, *lines = _fitting(columns, width, terminal)
    total = f"{len(stretches)} of {timeline.total}" if timeline.total > len(stretches) else str(timeline.total)
    said = [
        f"{total} {'stretch' if timeline.total == 1 else 'stretches'}",
        _count(timeline.values, "value"),
        _count(timeline.runs, "run"),
        _FEWER if any(text.endswith(")") for text in _cells(columns[fixed:])) else "",
        _CHANCE if any(text.endswith("?") for text in _cells(columns[fixed:])) else "",
        _UNCOMMITTED if any(stretch.turn is not None and stretch.turn.dirty for stretch in stretches) else "",
    ]
    return [terminal.dim(header), *lines, "", *said_lines(said, terminal, width)]


def _value_column(timeline: Timeline, longest: int, terminal: Terminal) -> Column:
    values = [stretch.value for stretch in timeline.stretches]
    texts = ["not there" if value is MISSING else short_value(value, terminal, longest) for value in values]
    quiet: dict[int, Style] = {place: terminal.dim for place, value in enumerate(values, 1) if value is MISSING}
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    head = terminal.cut_start(terminal.safe(timeline.path), max(longest, _LEAST_LABEL))
    return Column([head, *texts], quiet, right=numbers, gap=0)


def _metric_columns(
    name: str, timeline: Timeline, width: int, terminal: Terminal, directions: Mapping[str, Direction]
) -> list[Column]:
    """Return the column of a metric's means, and that of how each differs from the stretch before."""
    stretches = timeline.stretches
    spreads = [stretch.side.metrics.get(name) for stretch in stretches]
    texts = spread_texts(spreads, terminal)
    counted = [
        f" ({found.n})" if found is not None and found.n < stretch.side.runs else ""
        for found, stretch in zip(spreads, stretches, strict=True)
    ]
    least = max(map(len, counted), default=0)
    header = metric_header(name, directions, terminal, max(_LEAST_LABEL, width // 4))
    means = Column([header, *(f"{text}{n:<{least}}" for text, n in zip(texts, counted, strict=True))], right=True)
    notes = [_delta(older, newer, name, directions, terminal) for newer, older in _with_older(timeline)]
    styles = {place: style for place, (_, style) in enumerate(notes, 1)}
    return [means, Column(["", *(text for text, _ in notes)], styles, gap=1)]


def _without_deviations(means: Column) -> Column:
    return replace(means, texts=[re.split(r" (?:±|\+-)", text)[0] for text in means.texts])


def _cells(columns: Sequence[Column]) -> list[str]:
    return [text.rstrip() for column in columns for text in column.texts[1:]]


def _with_older(timeline: Timeline) -> list[tuple[Stretch, Stretch | None]]:
    return list(zip(timeline.stretches, [*timeline.stretches[1:], timeline.before], strict=True))


def _delta(
    older: Stretch | None, newer: Stretch, name: str, directions: Mapping[str, Direction], terminal: Terminal
) -> tuple[str, Style]:
    if older is None:
        return "", str
    found = _between(older.side, newer.side, name)
    word, style = _verdict(found, directions, terminal)
    if not word or found.before is None or found.after is None:
        return "", str
    places = decimal_places([found.before, found.after])
    delta = delta_text(found.before.mean, found.after.mean, minus=terminal.minus, places=places)
    return " ".join(filter(None, (delta, word.partition(" p ")[0].rstrip(",")))), style


# -- lines ----------------------------------------------------------------------------------------------------------------


def _room(columns: Sequence[Column]) -> int:
    return sum(column.space for column in columns)


def _fitting(columns: Sequence[Column], width: int, terminal: Terminal) -> list[str]:
    """Return the lines of columns; where they are too wide for the terminal, cut and without styles."""
    if _room(columns) <= width:
        return table_lines(columns)
    return [terminal.cut(line, width) for line in table_lines([replace(column, styles={}) for column in columns])]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun if number == 1 else noun + 's'}"


# -- documents ------------------------------------------------------------------------------------------------------------


def change_document(change: Change, metrics: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the document of the last change of a param: an item of ``blame --json``.

    ``kind`` is one of ``first``, ``added``, ``removed``, ``changed`` and ``type``; the run is null when it was not run yet.
    """
    return {
        "param": change.path,
        "value": _side_value(change.new),
        "kind": change.kind,
        "old": _side_value(change.old),
        "new": _side_value(change.new),
        **_turn_document(change.turn),
        "runs": {"before": change.before.runs, "after": change.after.runs},
        "before": _metrics_document(change.before, metrics),
        "after": _metrics_document(change.after, metrics),
    }


def timeline_documents(timeline: Timeline, metrics: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the documents of a param's stretches: items of ``blame KEY --history --json``, the newest first."""
    return [
        {
            "param": timeline.path,
            "value": _side_value(stretch.value),
            **_turn_document(stretch.turn),
            "runs": stretch.side.runs,
            "metrics": _metrics_document(stretch.side, metrics),
        }
        for stretch in timeline.stretches
    ]


def _turn_document(turn: Turn | None) -> dict[str, Any]:
    if turn is None:
        return {"run": None, "commit": None, "dirty": None, "author": None, "time": None}
    time = turn.started.isoformat()
    return {"run": turn.id, "commit": turn.commit, "dirty": turn.dirty, "author": turn.author, "time": time}


def _metrics_document(side: Side, metrics: Sequence[str] | None) -> dict[str, Any]:
    return {name: spread_document(found) for name, found in side.metrics.items() if metrics is None or name in metrics}


def _side_value(value: Any) -> Value:
    return {"missing": True} if value is MISSING else printable(value)
