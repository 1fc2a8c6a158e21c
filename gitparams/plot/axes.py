"""Axes: every run as a line over its params, the metric rightmost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gitparams.directions import Direction
from gitparams.model import Run
from gitparams.plot import look
from gitparams.plot.judged import judged, silent_notes, told_directions, varying
from gitparams.plot.studies import study_ranking
from gitparams.space import Dimension, Space, Trial, as_number, word

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_RUNS, _BEST_KEPT = 2000, 500
_MOST_AXES, _MOST_WORDS, _MOST_INTS = 12, 24, 12
_AXIS_WIDTH = 832  # pixels for all axes, of a picture of the usual width
_LETTER = 7.5  # pixels a letter of what is written at an axis, about
_LONGEST_WORD, _SHORTEST_WORD = 18, 6
_LONGEST_LABEL = 20  # letters, half of which are beside the outermost axes
_MISSING = "missing"
_BELOW = 0.12  # of an axis, from its lowest value down to the place of missing values


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis: where each run is on it, and what is written there; without ticks the browser chooses them."""

    label: str
    places: list[float]
    low: float
    high: float
    ticks: Sequence[float] = ()
    texts: Sequence[str] = ()

    def drawn(self) -> dict[str, Any]:
        axis: dict[str, Any] = {"label": self.label, "values": self.places, "range": [self.low, self.high]}
        if self.ticks:
            return {**axis, "tickvals": list(self.ticks), "ticktext": _apart(self.texts)}
        return {**axis, "tickformat": f".{_digits(self.low, self.high)}~g"}


def parallel(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
) -> Figure:
    """Return every run as a line over its params, the metric rightmost, the better runs stronger.

    A drag along an axis chooses runs. Numbers that span decades are on a logarithmic axis, texts and booleans have a place
    each, and so have runs without a param. Of more than 2,000 runs the best 500 and an even sample of the others are drawn,
    of more than 12 params the most important ones.

    Args:
        runs: in any order.
        metric: what they are judged by, as `gitparams.space.space_of` chooses it.
        params: the params to show, by path, in this order; the last is beside the metric.
        dark: light lines on a dark ground.
        directions: which way of a metric is better; by default what the runs know of it.

    Raises:
        UsageError: there are no runs with a finite score, no param differs, or one is in none of them.
    """
    chosen = list(runs)
    told = told_directions(runs, directions)
    found = judged(chosen, metric, told)
    dimensions, notes = _shown(found.space, params)
    trials, sampled = _sampled(found.space)
    axes = [_axis(one, trials, len(dimensions)) for one in dimensions]
    scores = _score_axis(found.metric, trials)
    sign = 1 if found.space.direction is Direction.MAX else -1
    # WebGL draws the line of the greater number on top: the better run's.
    colours = [sign * place for place in scores.places]
    figure = look.graph_objects().Figure()
    low, high = _colour_span(colours)
    line = {"color": colours, "colorscale": look.scale(Direction.MAX, dark), "cmin": low, "cmax": high}
    faint = {"line": {"color": look.palette(dark).grid, "opacity": 0.35}}
    figure.add_parcoords(
        dimensions=[axis.drawn() for axis in (*axes, scores)],
        line={**line, "showscale": False},
        unselected=faint,
        labelside="top",
    )
    if any("<br>" in axis.label for axis in axes):  # the second line stands where the browser writes how far an axis goes
        figure.update_traces(rangefont={"color": "rgba(0,0,0,0)"})
    left = max((len(text) for text in axes[0].texts), default=0) * _LETTER + 16
    figure.update_layout(margin={"l": max(84, left), "r": 84, "b": 40})
    title = f"{look.amount(len(trials))} by {look.metric_title(found.metric, found.space.direction)}"
    said = [*sampled, *notes, *found.notes, *silent_notes(found.space, params)]
    look.finished(figure, title=title, notes=said, dark=dark)
    return figure.update_layout(margin_t=figure.layout.margin.t + 44)


# -- which runs and params ------------------------------------------------------------------------------------------------


def _shown(space: Space, params: Sequence[str]) -> tuple[list[Dimension], list[str]]:
    """Return the params in the order of their axes, the most important beside the metric, and what is to be said."""
    dimensions = varying(space, params)
    if params or len(dimensions) <= _MOST_AXES:
        return list(dimensions), []
    best = study_ranking(space)[:_MOST_AXES]
    count = look.amount(len(dimensions), "param")
    return [space.dimension(path) for path in reversed(best)], [f"The {_MOST_AXES} most important of {count} that differ."]


def _sampled(space: Space) -> tuple[list[Trial], list[str]]:
    """Return the runs to draw, the worst first, so that the best lie on top."""
    sign = 1 if space.direction is Direction.MAX else -1
    ordered = sorted(space.trials, key=lambda trial: sign * trial.score)
    if len(ordered) <= MOST_RUNS:
        return ordered, []
    others, best = ordered[:-_BEST_KEPT], ordered[-_BEST_KEPT:]
    room = MOST_RUNS - _BEST_KEPT
    spread = [others[place * len(others) // room] for place in range(room)]
    said = f"Of {look.amount(len(ordered))} the best {_BEST_KEPT} and an even sample of the others are drawn."
    return [*spread, *best], [said]


# -- axes -----------------------------------------------------------------------------------------------------------------


def _axis(dimension: Dimension, trials: Sequence[Trial], count: int) -> _Axis:
    values = [trial.values.get(dimension.path) for trial in trials]
    there = [dimension.path in trial.values for trial in trials]
    label = _label(dimension.path, min(_LONGEST_LABEL, _AXIS_WIDTH // (8 * count)))
    if dimension.kind == "words":
        words = [word(value) if has else None for value, has in zip(values, there, strict=True)]
        return _words_axis(label, dimension.words, words, max(_SHORTEST_WORD, int(_AXIS_WIDTH / (_LETTER * count)) - 2))
    numbers = [as_number(value) if has else None for value, has in zip(values, there, strict=True)]
    if dimension.log:
        return _log_axis(label, numbers, dimension.low, dimension.high)
    return _number_axis(label, numbers, dimension)


def _words_axis(label: str, words: Sequence[str], values: Sequence[str | None], most: int) -> _Axis:
    """Return an axis with a place a word, of which at most so many letters are shown: they stand left of their axis."""
    place = {text: float(number) for number, text in enumerate(words)}
    missing = None in values
    step = math.ceil(len(words) / _MOST_WORDS)
    ticks = [float(number) for number in range(0, len(words), step)]
    texts = [look.plain_end(words[int(tick)], most=min(_LONGEST_WORD, most)) for tick in ticks]
    if missing:
        ticks, texts = [-1.0, *ticks], [_MISSING, *texts]
    places = [-1.0 if value is None else place[value] for value in values]
    low = -1.3 if missing else -0.3
    return _Axis(label, places, low, len(words) - 0.7, ticks, texts)


def _log_axis(label: str, numbers: Sequence[float | None], low: float, high: float) -> _Axis:
    """Return an axis with a label at each power of ten, and a bare tick at its multiples: a drag ends at ticks."""
    powers, names = look.decades(low, high)
    bottom, top = math.log10(low), math.log10(high)
    labels = dict(zip(powers, names, strict=True))
    between = [
        math.log10(multiple) + power
        for power in range(math.floor(bottom), math.ceil(top) + 1)
        for multiple in range(1, 10)
        if bottom - 1e-9 <= math.log10(multiple) + power <= top + 1e-9
    ]
    for end, value in ((bottom, low), (top, high)):
        if all(abs(end - power) > (top - bottom) / 25 for power in powers):
            labels[end] = look.number(value, 2)
    ticks = sorted({*labels, *between})
    places = [None if number is None else math.log10(number) for number in numbers]
    return _with_missing(label, places, bottom, top, ticks, [labels.get(tick, "") for tick in ticks])


def _number_axis(label: str, numbers: Sequence[float | None], dimension: Dimension) -> _Axis:
    low, high = dimension.low, dimension.high
    distinct = sorted({number for number in numbers if number is not None})
    if dimension.kind == "int" and len(distinct) <= _MOST_INTS and _are_apart(distinct):
        return _with_missing(label, numbers, low, high, distinct, [look.number(value, 6) for value in distinct])
    if None not in numbers:
        return _Axis(label, [number for number in numbers if number is not None], low, high)
    ticks = _even_ticks(low, high)
    return _with_missing(label, numbers, low, high, ticks, [look.number(tick) for tick in ticks])


def _with_missing(
    label: str, places: Sequence[float | None], low: float, high: float, ticks: Sequence[float], texts: Sequence[str]
) -> _Axis:
    """Return an axis where runs without the param have a place below all values."""
    below = low - _BELOW * (high - low or 1.0)
    if None not in places:
        return _Axis(label, [place for place in places if place is not None], low, high, ticks, texts)
    known = [below if place is None else place for place in places]
    return _Axis(label, known, below, high, [below, *ticks], [_MISSING, *texts])


def _score_axis(metric: str, trials: Sequence[Trial]) -> _Axis:
    scores = [trial.score for trial in trials]
    low, high = min(scores), max(scores)
    label = f"<b>{look.end_of(metric, most=_LONGEST_LABEL - 2)}</b>"
    if low > 0 and math.log10(high) - math.log10(low) >= 2:
        return _log_axis(label, scores, low, high)
    if low == high:
        return _Axis(label, scores, low - abs(low or 1.0) / 10, high + abs(high or 1.0) / 10, [low], [look.number(low)])
    return _Axis(label, scores, low, high)


def _colour_span(goodness: Sequence[float]) -> tuple[float, float]:
    """Return where the colours end: at the best score, and where the worst tenth begins, that few do not take them all."""
    ordered = sorted(goodness)
    low, tenth, high = ordered[0], ordered[len(ordered) // 10], ordered[-1]
    if tenth < high:
        return tenth, high
    return (low, high) if low < high else (low - 1, high + 1)


def _are_apart(distinct: Sequence[float]) -> bool:
    span = distinct[-1] - distinct[0]
    return all(after - before > span / 25 for before, after in pairwise(distinct))


def _digits(low: float, high: float) -> int:
    """Return how many digits tell apart the numbers between two: three of what differs."""
    size, span = max(abs(low), abs(high)), high - low
    differing = 3 + max(0, math.ceil(math.log10(size / span))) if 0 < span < size else 4
    return min(15, max(differing, min(7, len(str(int(size))))))


def _apart(texts: Sequence[str]) -> list[str]:
    """Return texts of which no two are equal, by spaces at their ends: plotly would put equal ones in one place."""
    told: dict[str, None] = {}
    for text in texts:
        free = text
        while free in told:
            free += " "
        told[free] = None
    return list(told)


def _even_ticks(low: float, high: float) -> list[float]:
    """Return some five round numbers within a span."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _label(path: str, most: int) -> str:
    """Return a path as a label in lines of at most so many letters, broken at its dots."""
    lines: list[str] = []
    for part in path.replace(".", ".\0").split("\0"):
        if lines and len(lines[-1]) + len(part) <= most:
            lines[-1] += part
        else:
            lines.append(part)
    if len(lines) > 2:
        lines = ["…" + lines[-2], lines[-1]]
    return "<br>".join(look.end_of(line, most=max(8, most)) for line in lines)
