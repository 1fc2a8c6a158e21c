"""Replicates: groups of runs on one screen, their means with the noise around them, and two groups beside each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from gitparams.directions import Direction, direction
from gitparams.model import SHOWN_ID_LETTERS, Status
from gitparams.params import MISSING, differing, unflatten
from gitparams.replicates import Aggregate, Difference, Group, Spread, compared
from gitparams.screens.items import Item, fitted, folded, short_value, whole
from gitparams.screens.log import NARROWEST, best_places, best_style, metric_header, no_runs
from gitparams.screens.numbers import age_text, column_texts, delta_text, float_text, metric_texts
from gitparams.screens.table import Column, Style, table_lines
from gitparams.screens.terminal import Terminal, cell_width, safe
from gitparams.values import printable

_WITH_METRICS, _WITH_AGE = 60, 32  # below these widths the columns go, as in the log
_CHANGED = 24  # cells that `changed` keeps beside metrics
_LONGEST_KEY = 24
_DIGITS, _MOST_PLACES = 3, 6
_TINY, _HUGE = 1e-4, 1e7
_BAD = frozenset((Status.FAILED, Status.CRASHED))
_MANY_METRICS = 5  # from so many on, each at 5%, a false alarm among them is no surprise
_FEWER = "(n) values, where not every run has one"
_SAME_WAY = frozenset(("mean", "min", "max", "median", "best", "last"))


def render(
    groups: Sequence[Group[Any]],
    *,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    now: datetime,
    limit: int | None = None,
    filtered: bool = False,
) -> str:
    """Return the table of groups, newest first, with a line below that sums it up.

    Args:
        groups: all of them; each is compared with the one of its experiment that came before it.
        limit: how many are shown.
        filtered: whether there may be runs that are not among them.
    """
    if not groups:
        return no_runs(terminal, filtered=filtered)
    shown = groups[:limit]
    width = max(terminal.width, NARROWEST)
    columns = _heads(shown, terminal, now, width)
    changes = [_changes(group, before) for group, before in zip(shown, _befores(groups, len(shown)), strict=True)]
    wholes = [_sentence(group, items, terminal) for group, items in zip(shown, changes, strict=True)]
    wanted = max(len("changed"), *map(cell_width, wholes))
    room = width - sum(column.space for column in columns) - 2
    metrics = _metric_columns(shown, directions, terminal, room - min(wanted, _CHANGED)) if width >= _WITH_METRICS else []
    room -= sum(column.space for column, _ in metrics)
    columns.append(_changed_column(shown, changes, min(room, wanted), terminal))
    header, *lines = table_lines([*columns, *(column for column, _ in metrics)])
    has_best, has_gaps = any(starred for _, starred in metrics), any(map(_has_gaps, metrics))
    footer = _footer(groups, shown, has_best, has_gaps, terminal, width)
    return "\n".join([terminal.dim(header), *lines, "", *footer])


# -- the table ------------------------------------------------------------------------------------------------------------


def _heads(groups: Sequence[Group[Any]], terminal: Terminal, now: datetime, width: int) -> list[Column]:
    columns = [Column(["run", *(_id(group) for group in groups)], gap=0)]
    counts = [_counts(group) for group in groups]
    columns.append(Column(["n", *counts], _styles([_count_style(group, terminal) for group in groups]), right=True))
    if width >= _WITH_AGE:
        ages = [age_text((now - group.newest.started).total_seconds()) for group in groups]
        columns.append(Column(["age", *ages], _styles([terminal.dim] * len(groups)), right=True, least=4))
    return columns


def _counts(group: Group[Any]) -> str:
    """Return how many runs count, and of how many when some do not."""
    counted = len(group.counted)
    return str(counted) if counted == len(group.runs) else f"{counted}/{len(group.runs)}"


def _count_style(group: Group[Any], terminal: Terminal) -> Style:
    if any(run.status in _BAD for run in group.runs):
        return terminal.red
    if len(group.counted) < len(group.runs):
        return terminal.yellow
    return terminal.dim if len(group.runs) < 2 else str


def _befores(groups: Sequence[Group[Any]], shown: int) -> list[Group[Any] | None]:
    """Return for each group that is shown the next older one of its experiment."""
    older: dict[str, Group[Any]] = {}
    befores: list[Group[Any] | None] = []
    for place in range(len(groups) - 1, -1, -1):
        if place < shown:
            befores.append(older.get(groups[place].experiment))
        older[groups[place].experiment] = groups[place]
    return befores[::-1]


def _changes(group: Group[Any], before: Group[Any] | None) -> list[Item] | None:
    if before is None:
        return None
    items = [Item(path, old, new) for path, (old, new) in differing(before.params, group.params).items()]
    return folded(sorted(items, key=lambda item: item.rank))


def _sentence(group: Group[Any], items: Sequence[Item] | None, terminal: Terminal) -> str:
    return terminal.safe(f"first group of {group.experiment}") if items is None else whole(items, terminal)


def _changed_column(
    groups: Sequence[Group[Any]], changes: Sequence[Sequence[Item] | None], width: int, terminal: Terminal
) -> Column:
    texts = [
        terminal.cut(_sentence(group, None, terminal), width) if items is None else fitted(items, width, terminal)
        for group, items in zip(groups, changes, strict=True)
    ]
    arrow = f" {terminal.arrow} "
    dimmed = f" {terminal.dim(terminal.arrow)} "
    styles: list[Style] = [lambda text: text.replace(arrow, dimmed)] * len(groups)
    return Column([terminal.cut("changed", width), *texts], _styles(styles), least=width)


def _metric_columns(
    groups: Sequence[Group[Any]], directions: Mapping[str, Direction], terminal: Terminal, room: int
) -> list[tuple[Column, bool]]:
    most = 3 + max(0, terminal.width - 80) // 20
    chosen: dict[str, tuple[Column, bool]] = {}
    for name in ranked_names((group.metrics for group in groups), directions):
        column, starred = _metric_column(name, groups, directions, terminal)
        if len(chosen) == most:
            break
        if column.space <= room:
            chosen[name] = column, starred
            room -= column.space
    return [chosen[name] for name in sorted(chosen, key=lambda name: (direction(name, directions) is None, name))]


def ranked_names(metrics: Iterable[Mapping[str, Any]], directions: Mapping[str, Direction]) -> list[str]:
    """Return the names of metrics: those that are common and have a better way first."""
    counts = Counter(name for names in metrics for name in names)
    common = max(counts.values(), default=0) / 2
    return sorted(counts, key=lambda name: (counts[name] < common, direction(name, directions) is None, -counts[name], name))


def _metric_column(
    name: str, groups: Sequence[Group[Any]], directions: Mapping[str, Direction], terminal: Terminal
) -> tuple[Column, bool]:
    spreads = [group.metrics.get(name) for group in groups]
    means = [spread.mean if spread is not None and spread.n else MISSING for spread in spreads]
    best = best_places(means, direction(name, directions))
    texts = spread_texts(spreads, terminal)
    fewer = [
        f" ({spread.n})" if spread is not None and spread.n < len(group.counted) else ""
        for spread, group in zip(spreads, groups, strict=True)
    ]
    notes = max(map(len, fewer))
    marks = ["*" if place in best else " " for place in range(len(texts))] if best else [""] * len(texts)
    texts = [f"{text}{mark}{note:<{notes}}" for text, mark, note in zip(texts, marks, fewer, strict=True)]
    styles = [
        best_style(terminal) if place in best else terminal.dim if spread is None or spread.std is None else str
        for place, spread in enumerate(spreads)
    ]
    return Column([metric_header(name, directions, terminal), *texts], _styles(styles), right=True, gap=3), bool(best)


def _has_gaps(metric: tuple[Column, bool]) -> bool:
    return any(text.rstrip().endswith(")") for text in metric[0].texts[1:])


def _styles(styles: Sequence[Style]) -> dict[int, Style]:
    return dict(enumerate(styles, 1))


def _id(group: Group[Any]) -> str:
    return safe(group.newest.id[:SHOWN_ID_LETTERS])


def _footer(
    groups: Sequence[Group[Any]], shown: Sequence[Group[Any]], has_best: bool, has_gaps: bool, terminal: Terminal, width: int
) -> list[str]:
    runs = sum(len(group.runs) for group in groups)
    count = f"{len(shown)} of {_count(len(groups), 'group')}" if len(shown) < len(groups) else _count(len(groups), "group")
    statuses = Counter(str(run.status) for group in shown for run in group.runs if run.status is not Status.COMPLETED)
    uncounted = ", ".join(f"{number} {status}" for status, number in statuses.items())
    apart = sum(spread.not_finite for group in shown for spread in group.metrics.values())
    repeated = sum(group.repeated for group in shown)
    said = [
        f"{count} of {_count(runs, 'run')}",
        _left_out(shown, terminal),
        "* best mean" if has_best else "",
        _FEWER if has_gaps else "",
        f"{uncounted}, not counted" if uncounted else "",
        f"{_count(apart, 'value')} not finite, not counted" if apart else "",
        f"{_count(repeated, 'run')} with a seed that another has" if repeated else "",
    ]
    return said_lines(said, terminal, width)


def _left_out(groups: Sequence[Group[Any]], terminal: Terminal) -> str:
    paths = sorted({path for group in groups for path in group.left_out})
    names = [terminal.safe(path) for path in paths[:3]] + ([f"{len(paths) - 3} more"] if len(paths) > 3 else [])
    return f"{', '.join(names)} left out" if names else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun if number == 1 else noun + 's'}"


def said_lines(said: Iterable[str], terminal: Terminal, width: int) -> list[str]:
    """Return what is said, as many parts a line as fit."""
    lines: list[str] = []
    for text in filter(None, said):
        longer = f"{lines[-1]}{terminal.dot}{text}" if lines else ""
        if longer and cell_width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(terminal.cut(text, width))
    return [terminal.dim(line) for line in lines]


# -- a mean and its noise -------------------------------------------------------------------------------------------------


def spread_texts(spreads: Sequence[Spread | None], terminal: Terminal) -> list[str]:
    """Return the texts of a column of means with their standard deviations, aligned and of one width.

    As many decimals as the deviation has something to say about, three significant digits at least. A value of one run
    stands alone.

    >>> from gitparams.replicates import spread
    >>> spread_texts([spread([0.91, 0.914]), spread([0.5]), None], Terminal())
    ['0.912 ± 0.003', '0.500        ', '    –        ']
    """
    places = decimal_places(spreads)
    if places is None:
        means = [MISSING if spread is None else spread.mean for spread in spreads]
        return column_texts(means, terminal.missing)
    texts = [terminal.missing if spread is None else _number_text(spread.mean, places) for spread in spreads]
    stds = ["" if spread is None or spread.std is None else _number_text(spread.std, places) for spread in spreads]
    before, after = max(map(len, texts)), max(map(len, stds))
    sign = f" {_plus_minus(terminal)} "
    return [
        f"{mean:>{before}}" + (f"{sign}{std:>{after}}" if std else " " * (len(sign) + after))
        for mean, std in zip(texts, stds, strict=True)
    ]


def _plus_minus(terminal: Terminal) -> str:
    return "±" if terminal.utf8 else "+-"


def decimal_places(spreads: Sequence[Spread | None]) -> int | None:
    """Return how many decimals a column needs; None when no value of it has a deviation."""
    known = [spread for spread in spreads if spread is not None and spread.std is not None]
    if not known:
        return None
    stds = sorted(spread.std for spread in known if spread.std and math.isfinite(spread.std))
    sizes = [abs(spread.mean) for spread in known if _TINY <= abs(spread.mean) < _HUGE]
    digits = _DIGITS - 1 - _exponent(max(sizes)) if sizes else 0
    wholes = all(spread.mean == round(spread.mean) for spread in spreads if spread is not None and spread.n)
    if not stds:
        return 0 if wholes else min(_MOST_PLACES, max(0, digits))
    return min(_MOST_PLACES, max(0, digits, -_exponent(stds[len(stds) // 2])))


def _exponent(number: float) -> int:
    return math.floor(math.log10(number))


def _number_text(number: float, places: int) -> str:
    if number == 0:
        return "0" if places == 0 else f"{0:.{places}f}"
    if not math.isfinite(number):
        return float_text(number)
    if abs(number) >= _HUGE or not round(number, places):
        return float_text(float(f"{number:.{_DIGITS}g}")).removesuffix(".0")
    return f"{number:,.{places}f}".replace(",", " ")


# -- two groups -----------------------------------------------------------------------------------------------------------


def render_compared(
    a: Group[Any],
    b: Group[Any],
    *,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    metrics: Sequence[str] | None = None,
) -> str:
    """Return a line a metric: what it is in each group, by how much it differs, and whether that exceeds the noise.

    Where a line is too long for it, what is said of the difference stands below.

    Args:
        a, b: the group before and the group after.
        metrics: the names of the metrics to compare; all that one of the groups has, unless given.
    """
    names = ranked_names((a.metrics, b.metrics), directions) if metrics is None else metrics
    differences = [compared(a, b, name) for name in names]
    if not differences:
        return "No metrics to compare."
    width = max(terminal.width, NARROWEST)
    heads = [metric_header(found.metric, directions, terminal, width // 3) for found in differences]
    sides = [[_side(spread, terminal) for spread in (found.before, found.after)] for found in differences]
    common = _common_reason(differences)
    notes = [_note(found if not common else replace(found, why=""), directions, terminal) for found in differences]
    lines = _beside(heads, sides, notes, width) or _below(heads, sides, notes, width, terminal)
    return "\n".join([*lines, *_said_of_all(common, differences, terminal, width)])


def _common_reason(differences: Sequence[Difference]) -> str:
    """Return what all differences say of themselves, to be said once."""
    reasons = {found.why for found in differences}
    return reasons.pop() if len(differences) > 1 and len(reasons) == 1 else ""


def _side(spread: Spread | None, terminal: Terminal) -> str:
    (text,) = spread_texts([spread], terminal)
    return f"{text.strip()} (n {spread.n})" if spread is not None else text.strip()


def _note(found: Difference, directions: Mapping[str, Direction], terminal: Terminal) -> tuple[str, Style]:
    """Return what is said of a difference, and how it is dressed."""
    delta, word = _delta_text(found, terminal), ""
    style: Style = str
    way = direction(found.metric, directions)
    if found.exceeds and way is not None and found.delta:
        better = (found.delta > 0) == (way is Direction.MAX)
        word, style = (" better", terminal.green) if better else (" worse", terminal.red)
    if found.p is None:
        return "; ".join(filter(None, (delta, terminal.safe(found.why)))), str
    noise = f"{'beyond' if found.exceeds else 'within'} the noise ({p_text(found.p)})"
    return "; ".join(filter(None, (f"{delta}{word}, {noise}", found.why))), style


def _delta_text(found: Difference, terminal: Terminal) -> str:
    if found.delta is None or found.before is None or found.after is None:
        return ""
    places = decimal_places([found.before, found.after])
    if places is None:  # two single runs, which their difference is written like
        places = max(len(text.partition(".")[2]) for text in metric_texts([found.before.mean, found.after.mean]))
    return delta_text(found.before.mean, found.after.mean, minus=terminal.minus, places=places) or "no difference"


def p_text(p: float) -> str:
    """Return a probability in few digits, always on the right side of 5%.

    >>> p_text(0.000213), p_text(0.4132), p_text(0.0496), p_text(1e-9)
    ('p 0.0002', 'p 0.41', 'p 0.0496', 'p < 0.0001')
    """
    if p < 0.0001:
        return "p < 0.0001"
    digits = 1 if p < 0.001 else 2
    while (float(f"{p:.{digits}g}") < 0.05) != (p < 0.05):
        digits += 1
    return f"p {float(f'{p:.{digits}g}')}"


def _beside(heads: Sequence[str], sides: Sequence[Sequence[str]], notes: Sequence[tuple[str, Style]], width: int) -> list[str]:
    columns = [
        Column(heads, gap=0),
        *(Column([texts[place] for texts in sides]) for place in (0, 1)),
        Column([text for text, _ in notes], dict(enumerate(style for _, style in notes))),
    ]
    return table_lines(columns) if sum(column.space for column in columns) <= width else []


def _below(
    heads: Sequence[str],
    sides: Sequence[Sequence[str]],
    notes: Sequence[tuple[str, Style]],
    width: int,
    terminal: Terminal,
) -> list[str]:
    values = [Column(heads, gap=0), *(Column([texts[place] for texts in sides]) for place in (0, 1))]
    if sum(column.space for column in values) <= width:
        firsts = [[line] for line in table_lines(values)]
    else:
        firsts = [[head, *(f"  {text}" for text in texts)] for head, texts in zip(heads, sides, strict=True)]
    lines = []
    for first, (note, style) in zip(firsts, notes, strict=True):
        lines += [terminal.cut(line, width) for line in first]
        lines += [f"  {style(line)}" for line in terminal.wrapped(note, width - 2)]
    return lines


def _said_of_all(common: str, differences: Sequence[Difference], terminal: Terminal, width: int) -> list[str]:
    tested = sum(found.exceeds is not None for found in differences)
    alarmed = tested >= _MANY_METRICS and any(found.exceeds for found in differences)
    chance = f"{tested} metrics compared: by chance alone one in twenty is beyond the noise" if alarmed else ""
    said = [line for text in filter(None, (terminal.safe(common), chance)) for line in terminal.wrapped(text, width)]
    return ["", *map(terminal.dim, said)] if said else []


# -- by keys one names ----------------------------------------------------------------------------------------------------


def render_aggregated(
    rows: Sequence[Aggregate],
    by: Sequence[str],
    agg: Sequence[str],
    *,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    filtered: bool = False,
) -> str:
    """Return the table of runs summed up by keys: a line a combination of their values, ``n`` runs each."""
    if not rows:
        return no_runs(terminal, filtered=filtered)
    width = max(terminal.width, NARROWEST)
    columns = _key_columns(rows, by, terminal, width)
    room = width - sum(column.space for column in columns)
    wanted = [(name, word) for name in ranked_names((row.metrics for row in rows), directions) for word in agg]
    starred, hidden = False, 0
    for name, word in wanted:
        column, has_best = _aggregate_column(rows, name, word, len(agg) > 1, directions, terminal)
        if hidden or column.space > room:
            hidden += 1
            continue
        columns.append(column)
        room, starred = room - column.space, starred or has_best
    header, *lines = table_lines(columns)
    said = [
        f"{_count(len(rows), 'group')} of {_count(sum(row.count for row in rows), 'run')}",
        "* best" if starred else "",
        f"{_count(hidden, 'more column')}" if hidden else "",
    ]
    return "\n".join([terminal.dim(header), *lines, "", *said_lines(said, terminal, width)])


def _key_columns(rows: Sequence[Aggregate], by: Sequence[str], terminal: Terminal, width: int) -> list[Column]:
    longest = max(4, min(_LONGEST_KEY, (width - 6) // max(1, len(by)) - 2))
    columns: list[Column] = []
    for place, word in enumerate(by):
        values = [row.values[place] for row in rows]
        texts = [terminal.missing if value is MISSING else short_value(value, terminal, longest) for value in values]
        numbers = all(isinstance(value, int | float) or value is MISSING for value in values)
        head = terminal.cut_start(terminal.safe(word), longest)
        columns.append(Column([head, *texts], right=numbers, gap=2 if columns else 0))
    columns.append(Column(["n", *(str(row.count) for row in rows)], right=True, gap=2 if columns else 0))
    return columns


def _aggregate_column(
    rows: Sequence[Aggregate], name: str, word: str, several: bool, directions: Mapping[str, Direction], terminal: Terminal
) -> tuple[Column, bool]:
    found = [row.metrics.get(name, {}).get(word) for row in rows]
    values = [MISSING if value is None else value for value in found]
    best = best_places(values, direction(name, directions)) if word in _SAME_WAY else set()
    texts = column_texts(values, terminal.missing)
    texts = [f"{text}{'*' if place in best else ' '}" for place, text in enumerate(texts)] if best else texts
    styles = [
        best_style(terminal) if place in best else terminal.dim if value is MISSING else str
        for place, value in enumerate(values)
    ]
    plain = terminal.cut(terminal.safe(name), _LONGEST_KEY)
    head = metric_header(name, directions, terminal) if word in _SAME_WAY else plain
    return Column([f"{head} {word}" if several else head, *texts], _styles(styles), right=True, gap=3), bool(best)


# -- documents ------------------------------------------------------------------------------------------------------------


def group_document(group: Group[Any]) -> dict[str, Any]:
    """Return the document of one group: a line of ``log --replicates --json``."""
    return {
        "experiment": group.experiment,
        "n": len(group.counted),
        "runs": [
            {"id": run.id, "status": str(run.status), "started": run.started.isoformat(), "seeds": printable(dict(seeds))}
            for run, seeds in zip(group.runs, group.seeds, strict=True)
        ],
        "params": printable(unflatten(group.params)),
        "left_out": list(group.left_out),
        "repeated_seeds": group.repeated,
        "metrics": {name: spread_document(spread) for name, spread in group.metrics.items()},
    }


def spread_document(spread: Spread) -> dict[str, Any]:
    """Return the document of what a metric's values say; without a finite value all but the counts is null.

    >>> from gitparams.replicates import spread
    >>> spread_document(spread([0.5]))
    {'n': 1, 'mean': 0.5, 'std': None, 'min': 0.5, 'max': 0.5, 'interval': None, 'not_finite': 0}
    """
    mean, low, high = (spread.mean, spread.low, spread.high) if spread.n else (None, None, None)
    interval = list(spread.interval) if spread.interval else None
    found = {"n": spread.n, "mean": mean, "std": spread.std, "min": low, "max": high, "interval": interval}
    return {name: printable(value) for name, value in found.items()} | {"not_finite": spread.not_finite}  # type: ignore[arg-type]


def difference_document(found: Difference) -> dict[str, Any]:
    """Return the document of how a metric differs between two groups."""
    return {
        "metric": found.metric,
        "before": spread_document(found.before) if found.before else None,
        "after": spread_document(found.after) if found.after else None,
        "delta": printable(found.delta),
        "t": printable(found.t),
        "df": printable(found.df),
        "p": found.p,
        "exceeds": found.exceeds,
        "why": found.why,
    }


def aggregate_document(row: Aggregate, by: Sequence[str]) -> dict[str, Any]:
    """Return the document of runs summed up by keys; a key that they do not have is left out."""
    values = {word: printable(value) for word, value in zip(by, row.values, strict=True) if value is not MISSING}
    metrics = {name: {word: printable(value) for word, value in found.items()} for name, found in row.metrics.items()}
    return {"by": values, "n": row.count, "completed": row.counted, "newest": row.newest, "metrics": metrics}
