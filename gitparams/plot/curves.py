"""Curves: a metric step by step, many runs in one picture."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from gitparams.directions import Direction, direction
from gitparams.errors import UsageError
from gitparams.model import Run
from gitparams.params import flatten
from gitparams.plot import look
from gitparams.plot.judged import told_directions
from gitparams.replicates import grouped
from gitparams.series import Series
from gitparams.space import word

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_RUNS = 200
_MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: its places, steps or seconds since its first, and its values; NaN is a gap."""

    run: Run
    places: tuple[float, ...]
    values: tuple[float, ...]


def series(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
    log: bool = False,
    smooth: float = 0.0,
    replicates: bool = False,
    x: Literal["step", "time"] = "step",
) -> Figure:
    """Return the learning curves of runs, a line each, the better ones stronger.

    Args:
        runs: in any order, as `gitparams.runs` gives them. Above 200, the newest 200.
        metric: by default the one that most runs logged.
        params: what the lines are called by; with one of them the colour is its value.
        dark: light lines on a dark ground.
        directions: which way of a metric is better; by default what the runs know.
        log: a logarithmic axis of the metric.
        smooth: 0 to below 1, TensorBoard's smoothing: an exponential moving average whose start is set right by dividing by
            ``1 - smooth**n`` (Kingma and Ba, "Adam", 2015, §3); the raw values stay as a faint line.
        replicates: one line for runs that are equal but for the seed: the mean at the steps that all of them have, in a band of
            one sample standard deviation to either side.
        x: steps, or the time in seconds since a run's first value.

    Raises:
        UsageError: there is nothing to draw, or plotly is not installed.
    """
    if not 0 <= smooth < 1:
        raise UsageError(f"The smoothing is {smooth:g}, and must be 0 or more and below 1.")
    chosen = sorted((run for run in runs if not run.group), key=lambda run: run.started)
    told = told_directions(runs, directions)
    notes: list[str] = []
    if len(chosen) > MOST_RUNS:
        notes.append(f"The newest {MOST_RUNS} of {look.amount(len(chosen))}.")
        chosen = chosen[-MOST_RUNS:]
    name, curves = _curves(chosen, metric, x)
    if without := len(chosen) - len(curves):
        notes.append(f"{look.amount(without)} logged no {name}.")
    figure = look.graph_objects().Figure()
    if replicates:
        _draw_groups(figure, curves, params, smooth, dark, notes)
    else:
        _draw_runs(figure, curves, name, params, told, smooth, dark)
    _axes(figure, name, curves, x, log, notes)
    return look.finished(figure, title=f"{name} step by step" if x == "step" else f"{name} over time", notes=notes, dark=dark)


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """Return the moving average of values, NaN where they are not finite, which does not enter it.

    >>> smoothed([1.0, 1.0, 4.0], 0.5)
    [1.0, 1.0, 2.7142857142857144]
    """
    last, count, result = 0.0, 0, []
    for value in values:
        if not math.isfinite(value):
            result.append(math.nan)
            continue
        last, count = last * weight + (1 - weight) * value, count + 1
        result.append(last / (1 - weight**count))
    return result


def _curves(runs: Sequence[Run], metric: str | None, x: str) -> tuple[str, list[Curve]]:
    if not runs:
        raise UsageError("There are no runs to draw.", hint="gitparams log")
    if not any(hasattr(run, "series") for run in runs):
        raise UsageError("These runs know no steps: take them from gitparams.runs().")
    logged: list[tuple[Run, Mapping[str, Series]]] = [(run, getattr(run, "series", {})) for run in runs]
    counts = Counter(name for _, found in logged for name in found)
    if not counts:
        raise UsageError("None of these runs logged a metric step by step.", hint="run.log(loss=loss, step=step)")
    name = metric.removeprefix("metrics.") if metric is not None and metric not in counts else metric
    if name is None:
        name = max(counts, key=lambda one: (counts[one], direction(one, {}) is not None, one))
    if name not in counts:
        there = ", ".join(sorted(counts)[:5])
        raise UsageError(f"None of these runs logged {name!r} step by step.", hint=f"there is {there}")
    return name, [_curve(run, found[name], x) for run, found in logged if name in found]


def _curve(run: Run, found: Series, x: str) -> Curve:
    places = found.steps if x == "step" else [moment - found.times[0] for moment in found.times]
    pairs = sorted(zip(map(float, places), map(float, found.values), strict=True), key=lambda pair: pair[0])
    return Curve(run, tuple(place for place, _ in pairs), tuple(value for _, value in pairs))


def _draw_runs(
    figure: Figure,
    curves: Sequence[Curve],
    metric: str,
    params: Sequence[str],
    told: Mapping[str, Direction],
    smooth: float,
    dark: bool,
) -> None:
    colours = _colours(curves, metric, params, told, dark)
    labels = [_label(curve.run, params) for curve in curves]
    few, said = len(set(labels)) <= _MOST_NAMED, set[str]()
    for curve, colour, label in zip(curves, colours, labels, strict=True):
        if smooth:
            figure.add_trace(_line(curve, curve.values, colour, label, named=False, faint=True))
        values = smoothed(curve.values, smooth) if smooth else curve.values
        figure.add_trace(_line(curve, values, colour, label, named=few and label not in said))
        said.add(label)


def _line(curve: Curve, values: Sequence[float], colour: str, label: str, *, named: bool, faint: bool = False) -> Any:
    shown = [value if math.isfinite(value) else None for value in values]
    single = sum(value is not None for value in shown) == 1
    return look.graph_objects().Scatter(
        x=curve.places,
        y=shown,
        mode="markers" if single else "lines",
        line={"color": colour, "width": 1.6},
        marker={"color": colour, "size": 7},
        opacity=0.25 if faint else 0.9,
        name=label,
        legendgroup=label,
        showlegend=named,
        connectgaps=False,
        hoverinfo="skip" if faint else None,
        hovertemplate=None if faint else f"{label}<br>%{{x}}: %{{y:.4g}}<extra></extra>",
    )


def _label(run: Run, params: Sequence[str]) -> str:
    values = flatten(run.params)
    told = [f"{path} {word(values[path])}" for path in params if path in values]
    return look.text(" · ".join(told) if told else run.name or run.short_id)


def _colours(
    curves: Sequence[Curve], metric: str, params: Sequence[str], told: Mapping[str, Direction], dark: bool
) -> list[str]:
    """Return a colour a run: of a few its own, by the one param that is asked for, else by the last value's rank."""
    shown = look.palette(dark)
    if len(params) == 1:
        words = [word(flatten(curve.run.params).get(params[0])) for curve in curves]
        places = {text: place for place, text in enumerate(dict.fromkeys(words))}
        return [shown.words[places[text] % len(shown.words)] for text in words]
    if len(curves) <= len(shown.words):
        return list(shown.words[: len(curves)])
    way = direction(metric, told) or Direction.MIN
    last = [next((value for value in reversed(curve.values) if math.isfinite(value)), math.inf) for curve in curves]
    order = sorted(range(len(curves)), key=last.__getitem__, reverse=way is Direction.MIN)
    rank = {place: number for number, place in enumerate(order)}
    ramp = shown.ramp[1:]
    return [ramp[rank[place] * len(ramp) // len(curves)] for place in range(len(curves))]


# -- replicates -----------------------------------------------------------------------------------------------------------


def _draw_groups(
    figure: Figure, curves: Sequence[Curve], params: Sequence[str], smooth: float, dark: bool, notes: list[str]
) -> None:
    by_run = {curve.run.id: curve for curve in curves}
    groups = [[by_run[run.id] for run in group.runs] for group in grouped([curve.run for curve in curves])]
    shown = look.palette(dark)
    differing = _differing([group[0].run for group in groups])
    alone = 0
    for place, group in enumerate(groups):
        steps = sorted(set.intersection(*(set(curve.places) for curve in group)))
        if not steps:
            notes.append(f"{look.amount(len(group))} that are equal but for the seed have no step in common.")
            continue
        alone += len(group) == 1
        colour = shown.words[place % len(shown.words)]
        label = f"{_label(group[0].run, params or differing)} (n={len(group)})"
        _draw_group(figure, group, steps, colour, label, smooth, named=len(groups) <= _MOST_NAMED)
    if alone:
        notes.append(f"{look.amount(alone)} without a replicate: no band.")


def _differing(runs: Sequence[Run]) -> list[str]:
    """Return the first few params in which runs differ, to call them by."""
    flat = [flatten(run.params) for run in runs]
    paths = dict.fromkeys(path for values in flat for path in values)
    return [path for path in paths if len({word(values.get(path)) for values in flat}) > 1 and "seed" not in path][:3]


def _draw_group(
    figure: Figure, group: Sequence[Curve], steps: Sequence[float], colour: str, label: str, smooth: float, *, named: bool
) -> None:
    rows = [dict(zip(curve.places, curve.values, strict=True)) for curve in group]
    columns = [[row[step] for row in rows] for step in steps]
    means = [math.fsum(column) / len(column) for column in columns]
    spreads = [_deviation(column, mean) for column, mean in zip(columns, means, strict=True)]
    means = smoothed(means, smooth) if smooth else means
    go = look.graph_objects()
    band = list(zip(steps, means, spreads, strict=True)) if len(group) > 1 else []
    for finite, stretch in groupby(band, lambda point: math.isfinite(point[1] + point[2])):
        if not finite:
            continue
        points = list(stretch)
        places, above = [step for step, _, _ in points], [mean + spread for _, mean, spread in points]
        below = [mean - spread for _, mean, spread in points]
        outline = {"x": [*places, *reversed(places)], "y": [*above, *reversed(below)]}
        figure.add_trace(
            go.Scatter(
                **outline, fill="toself", fillcolor=colour, opacity=0.18, line={"width": 0}, hoverinfo="skip", showlegend=False
            )
        )
    line = {"color": colour, "width": 2}
    hover = f"{label}<br>%{{x}}: %{{y:.4g}}<extra></extra>"
    mode = "lines" if len(steps) > 1 else "markers"
    figure.add_trace(go.Scatter(x=steps, y=means, mode=mode, line=line, name=label, showlegend=named, hovertemplate=hover))


def _deviation(values: Sequence[float], mean: float) -> float:
    if len(values) < 2:
        return 0.0
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


# -- axes -----------------------------------------------------------------------------------------------------------------


def _axes(figure: Figure, name: str, curves: Sequence[Curve], x: str, log: bool, notes: list[str]) -> None:
    figure.update_xaxes(title_text="step" if x == "step" else "seconds since the first value")
    figure.update_yaxes(title_text=look.text(name))
    if not log:
        return
    values = [value for curve in curves for value in curve.values if math.isfinite(value)]
    above = [value for value in values if value > 0]
    if len(above) < len(values):
        notes.append(f"{look.amount(len(values) - len(above), 'value')} at or below 0 cannot stand on a logarithmic axis.")
    if above:
        powers, texts = look.decades(min(above), max(above))
        ticks = {"tickvals": [10**power for power in powers], "ticktext": texts} if len(powers) > 1 else {}
        figure.update_yaxes(type="log", **ticks)
