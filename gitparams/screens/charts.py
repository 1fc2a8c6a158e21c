"""Charts: pictures of many runs in letters, for a terminal without a browser."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from gitparams.association import Association, association, column_of, dependence
from gitparams.directions import Direction, direction
from gitparams.errors import UsageError
from gitparams.model import Run
from gitparams.screens.numbers import column_texts, duration_text, metric_texts
from gitparams.screens.table import Column, table_lines
from gitparams.screens.terminal import Terminal
from gitparams.space import Dimension, Space, Trial, as_number, space_of, word

_STEPS = "▁▂▃▄▅▆▇█"
_PLAIN_STEPS = "_.-=+*#@"
_NARROW = 60  # cells; below, only the most telling columns stay
_MOST_ROWS, _SPARK, _BINS, _LONGEST_WORD = 20, 40, 8, 24


def chart(
    kind: str,
    runs: Sequence[Run],
    metric: str | None,
    directions: Mapping[str, Direction],
    terminal: Terminal,
    *,
    params: Sequence[str] = (),
) -> str:
    """Return a kind of picture in letters.

    Args:
        kind: a kind of `gitparams.plot`.
        runs: in any order; ``series`` needs them as `gitparams.runs` gives them.
        metric: what they are judged by; by default as `gitparams.space.space_of` chooses it.
        directions: which way of a metric is better, as declared.
        terminal: where it goes.
        params: the params to show, by path; all that differ by default.

    Raises:
        UsageError: there is nothing to draw, or one of the params is in no run or the same in all.
    """
    if kind == "series":
        return _series(runs, metric, directions, terminal)
    if kind == "timeline":
        return _timeline(runs, terminal)
    space = space_of(runs, metric, directions)
    scored, notes = _scored(space, directions)
    chosen = tuple(scored.dimension(path) for path in dict.fromkeys(params)) or scored.telling
    scored = replace(scored, dimensions=chosen)
    if kind in ("history", "convergence"):
        return _page(_history(scored, terminal), notes, terminal)
    if kind == "edf":
        return _page(_shares(scored, terminal), notes, terminal)
    if not scored.dimensions:
        raise UsageError(f"No param differs between {_runs_text(len(scored.trials))}.", hint="gitparams log --columns all")
    if kind == "importance":
        notes.insert(0, "0: tells nothing, 1: tells all (correlation ratio of ranks)")
        return _page(_bars(scored, _dependences(scored), terminal), notes, terminal)
    if kind == "correlation":
        notes.insert(0, "from -1 to 1, rank correlation; words of more than two kinds have no sign")
        return _page(_bars(scored, _associations(scored), terminal), notes, terminal)
    return _page(_effects(scored, terminal), notes, terminal)


def _scored(space: Space, directions: Mapping[str, Direction]) -> tuple[Space, list[str]]:
    """Return the space of the runs with a score, and what is to be said of the others."""
    if not space.trials:
        raise UsageError("There are no runs to draw.", hint="gitparams log")
    if space.metric is None:
        raise UsageError(f"No metric is known of {_runs_text(len(space.trials))}.", hint="gitparams log --columns all")
    if not space.scored:
        raise UsageError(f"No run has a finite value of {space.metric!r}.", hint="gitparams log --columns metrics.*")
    notes = []
    if left := len(space.trials) - len(space.scored):
        notes.append(f"{left} without a finite {space.metric} left out")
    if direction(space.metric, directions) is None:
        notes.append(f"nothing says which way {space.metric} is better: taken as the lower, the better")
    known = {space.metric: space.direction}
    return space_of([trial.run for trial in space.scored], space.metric, known), notes


def _runs_text(count: int) -> str:
    return "this run" if count == 1 else f"these {count} runs"


def _page(lines: Sequence[str], notes: Sequence[str], terminal: Terminal) -> str:
    foot = [terminal.dim(terminal.cut(terminal.safe(note), terminal.width)) for note in notes]
    return "\n".join([*lines, *(["", *foot] if foot else [])]) + "\n"


def _metric_name(space: Space, terminal: Terminal) -> str:
    way = terminal.up if space.direction is Direction.MAX else terminal.down
    return f"{terminal.safe(str(space.metric))} {way}"


# -- sparks ---------------------------------------------------------------------------------------------------------------


def spark(values: Sequence[float], terminal: Terminal, width: int = _SPARK) -> str:
    """Return numbers as a line of steps; of more than `width` the mean of each part, a space where there is none.

    >>> spark([1, 2, 3, 8], Terminal())
    '▁▂▃█'
    """
    cells = _binned(values, width)
    finite = [value for value in cells if math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    steps = _STEPS if terminal.utf8 else _PLAIN_STEPS
    height = (len(steps) - 1) / (high - low) if high > low else 0.0
    return "".join(steps[round((value - low) * height)] if math.isfinite(value) else " " for value in cells)


def _binned(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    edges = [place * len(values) // width for place in range(width + 1)]
    return [_mean(values[begin:end]) for begin, end in pairwise(edges)]


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else math.nan


def _bar(share: float, width: int, terminal: Terminal) -> str:
    """Return a bar that is a share of a width, in eighths of a cell where the letters are there."""
    if not terminal.utf8:
        return "#" * round(share * width)
    eighths = round(share * width * 8)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


# -- kinds ----------------------------------------------------------------------------------------------------------------


def _history(space: Space, terminal: Terminal) -> list[str]:
    better = max if space.direction is Direction.MAX else min
    best: list[float] = []
    for trial in space.trials:
        best.append(better(best[-1], trial.score) if best else trial.score)
    scores = [trial.score for trial in space.trials]
    winner = better(space.trials, key=lambda trial: trial.score)
    first, last, top = metric_texts([scores[0], scores[-1], winner.score])
    room = max(8, min(_SPARK * 2, terminal.width - 12))
    ends = f"first {first}{terminal.dot}last {last}{terminal.dot}best {top} in {_name(winner.run, terminal)}"
    return [
        f"{terminal.bold(_metric_name(space, terminal))}  {len(scores)} runs, oldest first",
        f"each        {spark(scores, terminal, room)}",
        f"best so far {spark(best, terminal, room)}",
        "",
        terminal.cut(ends, terminal.width),
    ]


def _shares(space: Space, terminal: Terminal) -> list[str]:
    shares = (0, 10, 25, 50, 75, 90, 100)
    ordered = sorted((trial.score for trial in space.trials), reverse=space.direction is Direction.MAX)
    places = [round(share / 100 * (len(ordered) - 1)) for share in shares]
    words = ["best", *(f"{share}% are at least as good" for share in shares[1:-1]), "worst"]
    texts = metric_texts([ordered[place] for place in places])
    columns = [
        Column(["", *words], gap=0),
        Column([_metric_name(space, terminal), *texts], right=True, styles={0: terminal.bold}),
    ]
    return table_lines(columns)


def _associations(space: Space) -> dict[str, Association]:
    scores = [trial.score for trial in space.trials]
    return {one.path: association(column_of(space, one), scores) for one in space.dimensions}


def _dependences(space: Space) -> dict[str, Association]:
    scores = [trial.score for trial in space.trials]
    return {one.path: Association(dependence(column_of(space, one), scores), False, one.count) for one in space.dimensions}


def _bars(space: Space, strengths: Mapping[str, Association], terminal: Terminal) -> list[str]:
    known = [(path, cell) for path, cell in strengths.items() if math.isfinite(cell.strength)]
    if not known:
        few = _runs_text(len(space.trials)).capitalize()
        raise UsageError(f"{few} are too few to tell what {space.metric} depends on.", hint="gitparams log --columns all")
    known.sort(key=lambda pair: -abs(pair[1].strength))
    shown = known[:_MOST_ROWS]
    names = [terminal.cut_start(terminal.safe(path), 30) for path, _ in shown]
    marks = ["" if not cell.signed else "+" if cell.strength > 0 else terminal.minus for _, cell in shown]
    texts = [f"{mark}{abs(cell.strength):.2f}" for mark, (_, cell) in zip(marks, shown, strict=True)]
    room = max(6, min(_SPARK, terminal.width - 6 - max(map(len, names)) - max(map(len, texts))))
    bars = [_bar(abs(cell.strength), room, terminal) for _, cell in shown]
    lines = table_lines([Column(names, gap=0), Column(texts, right=True), Column(bars)])
    return [terminal.bold(_metric_name(space, terminal)), *lines, *_rest(len(known), terminal)]


def _rest(count: int, terminal: Terminal) -> list[str]:
    return [terminal.dim(f"{count - _MOST_ROWS} more")] if count > _MOST_ROWS else []


def _effects(space: Space, terminal: Terminal) -> list[str]:
    """Return a line a param: what it spans, how the metric goes over it, and its value in the best run."""
    scores = [trial.score for trial in space.trials]
    better = max if space.direction is Direction.MAX else min
    best = better(space.trials, key=lambda trial: trial.score)
    strengths = {one.path: dependence(column_of(space, one), scores) for one in space.dimensions}
    ordered = sorted(space.dimensions, key=lambda one: -strengths[one.path] if math.isfinite(strengths[one.path]) else 1.0)
    shown = ordered[:_MOST_ROWS]
    names = [terminal.cut_start(terminal.safe(one.path), 30) for one in shown]
    spans = [terminal.cut(_span(one, terminal), _LONGEST_WORD) for one in shown]
    curves = [_effect(space, one, terminal) for one in shown]
    tops = [terminal.cut(_value(best, one, terminal), _LONGEST_WORD) for one in shown]
    head = Column(["param", *names], gap=0, styles={0: terminal.dim})
    columns = [
        head,
        Column(["from, to", *spans], styles={0: terminal.dim}),
        Column([f"mean {_metric_name(space, terminal)}", *curves], styles={0: terminal.dim}),
        Column(["in the best run", *tops], styles={0: terminal.dim}),
    ]
    while len(columns) > 2 and sum(column.space for column in columns) > terminal.width:
        del columns[1 if len(columns) == 4 else -1]
    top = f"best {metric_texts([best.score])[0]} in {_name(best.run, terminal)} of {len(scores)} runs"
    return [*table_lines(columns), *_rest(len(ordered), terminal), "", top]


def _span(dimension: Dimension, terminal: Terminal) -> str:
    if dimension.kind == "words":
        few = [terminal.safe(text) for text in dimension.words[:4]]
        return ", ".join(few) + (f" +{len(dimension.words) - 4}" if len(dimension.words) > 4 else "")
    low, high = (int(end) if dimension.kind == "int" else end for end in (dimension.low, dimension.high))
    texts = [column_texts([end])[0] for end in (low, high)]
    return f"{texts[0]} .. {texts[1]}{' log' if dimension.log else ''}"


def _effect(space: Space, dimension: Dimension, terminal: Terminal) -> str:
    """Return the mean score over parts of a param with as many runs each, or over its words."""
    there = [trial for trial in space.trials if dimension.path in trial.values]
    if dimension.kind == "words":
        groups = [[t.score for t in there if word(t.values[dimension.path]) == text] for text in dimension.words[:_SPARK]]
        return spark([_mean(group) for group in groups], terminal)
    ordered = sorted(there, key=lambda trial: as_number(trial.values[dimension.path]) or 0.0)
    distinct = len({as_number(trial.values[dimension.path]) for trial in there})
    return spark(_binned([trial.score for trial in ordered], min(_BINS, distinct)), terminal)


def _value(trial: Trial, dimension: Dimension, terminal: Terminal) -> str:
    value = trial.values.get(dimension.path, _LACKING)
    if value is _LACKING:
        return terminal.missing
    return terminal.safe(word(trial.values[dimension.path]))


_LACKING = object()


def _name(run: Run, terminal: Terminal) -> str:
    return f"{run.short_id} {terminal.safe(run.name)}" if run.name else run.short_id


def _series(runs: Sequence[Run], metric: str | None, directions: Mapping[str, Direction], terminal: Terminal) -> str:
    logged = [(run, getattr(run, "series", {})) for run in runs if not run.group]
    counts = Counter(name for _, found in logged for name in found)
    if not counts:
        raise UsageError("None of these runs logged a metric step by step.", hint="run.log(loss=loss, step=step)")
    name = metric.removeprefix("metrics.") if metric is not None and metric not in counts else metric
    if name is None:
        name = max(counts, key=lambda one: (counts[one], direction(one, directions) is not None, one))
    if name not in counts:
        raise UsageError(f"None of these runs logged {name!r} step by step.", hint=f"there is {', '.join(sorted(counts)[:5])}")
    way = direction(name, directions) or Direction.MIN
    better = max if way is Direction.MAX else min
    rows = sorted(((run, found[name]) for run, found in logged if name in found), key=lambda row: row[0].started, reverse=True)
    shown = rows[:_MOST_ROWS]
    values = [[float(value) for value in found.values] for _, found in shown]
    tops = [better((value for value in line if math.isfinite(value)), default=math.nan) for line in values]
    texts = metric_texts([*(line[-1] for line in values), *tops])
    room = max(8, min(_SPARK, terminal.width - 14 - 2 * max(8, *map(len, texts))))
    mark = terminal.up if way is Direction.MAX else terminal.down
    columns = [
        Column(["run", *(run.short_id for run, _ in shown)], gap=0, styles={0: terminal.dim}),
        Column([f"{terminal.safe(name)} {mark}", *(spark(line, terminal, room) for line in values)], styles={0: terminal.dim}),
        Column(["last", *texts[: len(shown)]], right=True, styles={0: terminal.dim}),
        Column(["best", *texts[len(shown) :]], right=True, styles={0: terminal.dim}),
    ]
    notes = [f"{len(rows)} of {len(logged)} runs logged {name}"] if len(rows) < len(logged) else []
    return _page([*table_lines(columns), *_rest(len(rows), terminal)], notes, terminal)


def _timeline(runs: Sequence[Run], terminal: Terminal) -> str:
    ordered = sorted((run for run in runs if not run.group), key=lambda run: run.started)
    if not ordered:
        raise UsageError("There are no runs to draw.", hint="gitparams log")
    shown = ordered[-_MOST_ROWS:]
    begun, ended = shown[0].started, max(run.finished or run.started for run in shown)
    whole = max((ended - begun).total_seconds(), 1e-9)
    statuses = ["" if run.status == "completed" else str(run.status) for run in shown]
    lasted = ["" if run.duration is None else duration_text(run.duration) for run in shown]
    beside = max(map(len, lasted)) if terminal.width >= _NARROW else 0
    room = max(10, min(60, terminal.width - 14 - max(map(len, statuses)) - beside))
    letter = "█" if terminal.utf8 else "#"
    bars = []
    for run in shown:
        first = min(room - 1, int((run.started - begun).total_seconds() / whole * room))
        last = min(room, max(first + 1, round(((run.finished or ended) - begun).total_seconds() / whole * room)))
        bars.append(" " * first + letter * (last - first))
    columns = [Column([run.short_id for run in shown], gap=0), Column(bars, least=room)]
    columns += [Column(lasted, right=True), Column(statuses)] if terminal.width >= _NARROW else [Column(statuses)]
    head = f"{len(shown)} of {len(ordered)} runs, {duration_text(whole)} from {shown[0].started:%Y-%m-%d %H:%M}"
    return _page([terminal.bold(terminal.cut(head, terminal.width)), *table_lines(columns)], [], terminal)
