"""Studies: the pictures of a search as Optuna draws them, of any runs, in our look and with the names of the runs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.integrations import library
from gitparams.integrations.optuna import quiet, study_of
from gitparams.model import Run, Status
from gitparams.params import path_keys
from gitparams.plot import look
from gitparams.plot.judged import Judged, judged, silent_notes, told_directions, varying
from gitparams.space import Dimension, Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial
    from plotly.graph_objects import Figure

_MOST_SLICES, _MOST_PAIRS, _MOST_BARS = 6, 4, 30
_MOST_RANKED = 300
_MOST_STEPS = 25
_NUMBER = re.compile(r"Trial #(\d+)")
"""How the text begins that Optuna's picture of ranks has for a trial."""


# -- the kinds ------------------------------------------------------------------------------------------------------------


def history(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
) -> Figure:
    """Return the metric from run to run, oldest first, and the best so far. The arguments are those of every kind."""
    found, study = _study(runs, metric, directions, params)
    figure = _drawn(lambda draw: draw.plot_optimization_history(study), "history")
    trials, colours, name = study.get_trials(deepcopy=False), look.palette(dark), look.text(found.metric)
    dots, line, *_ = figure.data
    dots.update(name=name, marker={"color": colours.words[0], "size": 7, "opacity": 0.75})
    dots.update(hovertext=[_hover(trials[number], found) for number in dots.x], hoverinfo="text")
    line.update(name="best so far", line={"color": colours.words[1], "width": 2.5, "shape": "hv"})
    figure.data = (dots, line)
    _without_start(line)
    _named_axes(figure, found)
    figure.update_layout(
        xaxis={"dtick": _whole_step(len(trials))},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"},
    )
    title = f"{found.metric} from run to run"
    return look.finished(figure, title=title, notes=_notes(found, study), dark=dark)


def importance(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
) -> Figure:
    """Return which params the metric depends on: PED-ANOVA over the best tenth of the runs, as Optuna estimates it.

    Source: S. Watanabe, A. Bansal, F. Hutter, *PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
    Subspaces*, IJCAI 2023. Params that not all runs have are not estimated. The arguments are those of every kind.
    """
    found, study = _study(runs, metric, directions, params)
    everywhere = [one for one in varying(found.space, params) if _is_everywhere(one, study)]
    _several(study, "importance")
    if not everywhere:
        raise UsageError("No param that differs is in all of these runs: there is no saying how important one is.")
    shown = ranking(study, everywhere)[:_MOST_BARS]
    names = [_optunas_name(path) for path in shown]
    figure = _drawn(lambda draw: draw.plot_param_importances(study, params=names), "importance")
    left_out = [one.path for one in varying(found.space, params) if one not in everywhere]
    notes = [*_notes(found, study), *silent_notes(found.space, params)]
    notes += [f"Not in all runs, and not estimated: {_few(left_out)}."] if left_out else []
    (bars,) = figure.data
    if len(shown) < len(everywhere):
        notes.append(f"The {len(shown)} most important of {look.amount(len(everywhere), 'param')}.")
    values, words = list(bars.x), _Words(40)
    labels = words.all(bars.y)
    bars.update(x=values, y=labels, name="", text=[f"{value:.0%}" if value >= 0.005 else "<1%" for value in values])
    bars.update(
        hovertemplate="%{y}: %{x:.3f}<extra></extra>", marker={"color": look.palette(dark).words[0], "line": {"width": 0}}
    )
    figure.update_layout(
        xaxis={"title": {"text": "share of the importance"}, "tickformat": ".0%"}, yaxis={"title": {"text": ""}}
    )
    figure.update_layout(height=max(360, 150 + 26 * len(shown)), yaxis={"type": "category", "showgrid": False}, bargap=0.35)
    return look.finished(figure, title=f"Which params {found.metric} depends on", notes=notes, dark=dark)


def slice(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
) -> Figure:
    """Return the metric over each param, the later runs stronger. The arguments are those of every kind."""
    found, study = _study(runs, metric, directions, params)
    paths, notes = _chosen(found, study, params, _MOST_SLICES)
    names = [_optunas_name(path) for path in paths]
    figure = _drawn(lambda draw: draw.plot_slice(study, params=names), "slice")
    trials, colours = study.get_trials(deepcopy=False), look.palette(dark)
    scale = look.scale(Direction.MAX, dark)
    for trace in figure.data:
        numbers = trace.marker.color
        if numbers is None or isinstance(numbers, str):
            continue
        trace.update(hovertext=[_hover(trials[number], found) for number in numbers], hoverinfo="text")
        trace.marker.update(colorscale=scale, size=7, line={"color": colours.quiet, "width": 0.5})
        trace.marker.colorbar = {"title": {"text": "run"}, "x": 1.01, "xpad": 8, "dtick": _whole_step(len(trials))}
    _named_axes(figure, found, most=max(12, 130 // len(names)), word=max(7, 54 // len(names)))
    figure.update_layout(width=None, yaxis={"title": {"text": _metric(found)}})
    return look.finished(figure, title=f"{found.metric} over each param", notes=notes, dark=dark)


def contour(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
) -> Figure:
    """Return the metric over two params, or over each two of several. The arguments are those of every kind."""
    found, study = _study(runs, metric, directions, params)
    names, notes = _pairs(found, study, params)
    coarse, stepped = _coarse(study, names)
    if stepped:
        notes.append(f"In {_MOST_STEPS} steps: {_few(stepped)}.")
    figure = _drawn(lambda draw: draw.plot_contour(coarse, params=names), "contour")
    colours, scale = look.palette(dark), look.scale(found.space.direction, dark)
    for trace in figure.data:
        if trace.type == "contour":
            trace.update(colorscale=scale, reversescale=False, line={"width": 0.5, "color": colours.ground})
            trace.colorbar.title.text = look.text(found.metric, most=16)
        elif trace.type == "scatter" and trace.x is not None:
            trace.update(
                marker={"color": colours.ink, "size": 4, "opacity": 0.7, "line": {"width": 1, "color": colours.ground}}
            )
    _named_axes(figure, found, most=max(14, 60 // len(names)), word=max(7, 32 // len(names)))
    _square(figure, len(names))
    title = f"{found.metric} over {_pair_title(names)}"
    return look.finished(figure, title=title, notes=notes, dark=dark)


def rank(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
) -> Figure:
    """Return the runs over two params, or over each two of several, by rank. The arguments are those of every kind."""
    found, study = _study(runs, metric, directions, params)
    names, notes = _pairs(found, study, params)
    figure = _drawn(lambda draw: draw.plot_rank(study, params=names), "rank")
    trials, colours = study.get_trials(deepcopy=False), look.palette(dark)
    places = _places(study)
    scale = look.scale(Direction.MIN, dark)
    for trace in figure.data:
        if trace.hovertext is None:
            continue
        numbers = [int(match[1]) for match in map(_NUMBER.match, trace.hovertext) if match]
        trace.update(
            hovertext=[_hover(trials[number], found) for number in numbers], hovertemplate="%{hovertext}<extra></extra>"
        )
        trace.marker.update(
            color=[places[number] for number in numbers],
            colorscale=scale,
            cmin=0,
            cmax=1,
            size=7,
            line={"color": colours.quiet, "width": 0.5},
        )
    _rank_bar(figure, study, found, scale)
    _named_axes(figure, found, most=max(14, 60 // len(names)), word=max(7, 32 // len(names)))
    _square(figure, len(names))
    title = f"Runs by the rank of their {found.metric} over {_pair_title(names)}"
    return look.finished(figure, title=title, notes=notes, dark=dark)


def edf(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
) -> Figure:
    """Return the share of the runs that has at most a value: the empirical distribution. The arguments are as of every kind."""
    found, study = _study(runs, metric, directions, params)
    figure = _drawn(lambda draw: draw.plot_edf(study), "edf")
    figure.update_traces(name="", line={"color": look.palette(dark).words[0], "width": 2.5}, showlegend=False)
    _named_axes(figure, found)
    figure.update_layout(
        xaxis={"title": {"text": _metric(found)}},
        yaxis={"title": {"text": "share of the runs with at most that"}, "tickformat": ".0%", "range": [0, 1.02]},
    )
    title = f"How {found.metric} is distributed"
    return look.finished(figure, title=title, notes=_notes(found, study), dark=dark)


def timeline(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
) -> Figure:
    """Return when each run began and ended, coloured by how it ended. The arguments are those of every kind."""
    chosen = [run for run in runs if not run.group]
    ended = [run for run in chosen if run.status.finished]
    if not ended:
        raise UsageError(
            "No run that has ended is among these." if chosen else "There are no runs to draw.", hint="gitparams log"
        )
    study = study_of(ended, metric, told_directions(runs, directions), params=params)
    figure = _drawn(lambda draw: draw.plot_timeline(study), "timeline")
    _by_status(figure, study, {str(run.id): run for run in ended}, dark)
    figure.update_layout(
        xaxis={"title": {"text": ""}},
        yaxis={
            "title": {"text": "run, oldest first"},
            "autorange": "reversed",
            "showgrid": False,
            "dtick": _whole_step(len(ended)),
        },
        legend={"title": {"text": ""}, "orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"},
        bargap=0.25,
    )
    left_out = len(chosen) - len(ended)
    notes = [f"Left out: {look.amount(left_out)} still going on."] if left_out else []
    return look.finished(figure, title=f"When {look.amount(len(ended))} began and ended", notes=notes, dark=dark)


# -- which params ---------------------------------------------------------------------------------------------------------


def ranking(study: Study, dimensions: Sequence[Dimension]) -> list[str]:
    """Return the paths of params, the most important first, by Optuna's estimate.

    Those that not all runs have come after those that do, the ones that more runs have first; and where nothing can be
    estimated (two runs, equal scores) the order is that of the params.
    """
    names = {_optunas_name(one.path): one.path for one in dimensions if _is_everywhere(one, study)}
    estimated = _importances(study, list(names))
    others = [one for one in dimensions if _optunas_name(one.path) not in estimated]
    return [*(names[name] for name in estimated), *(one.path for one in sorted(others, key=lambda one: -one.count))]


def _importances(study: Study, names: Sequence[str]) -> dict[str, float]:
    if len(_complete(study)) < 2 or not names:
        return {}
    optuna = library("optuna", "optuna")
    importances = library("optuna.importance", "optuna")
    try:
        with quiet(optuna, Warning):
            found: dict[str, float] = importances.get_param_importances(
                study, evaluator=importances.PedAnovaImportanceEvaluator(), params=list(names)
            )
    except (ValueError, RuntimeError, ArithmeticError):
        return {}
    return found


def _is_everywhere(dimension: Dimension, study: Study) -> bool:
    name = _optunas_name(dimension.path)
    return all(name in trial.params for trial in _complete(study))


def _chosen(found: Judged, study: Study, params: Sequence[str], most: int) -> tuple[list[str], list[str]]:
    """Return the params to show, at most so many unless they are asked for, and what is to be said."""
    dimensions = varying(found.space, params)
    notes = [*_notes(found, study), *silent_notes(found.space, params)]
    if params or len(dimensions) <= most:
        return [one.path for one in dimensions], notes
    count = look.amount(len(dimensions), "param")
    return ranking(study, dimensions)[:most], [*notes, f"The {most} most important of {count} that differ."]


def _pairs(found: Judged, study: Study, params: Sequence[str]) -> tuple[list[str], list[str]]:
    paths, notes = _chosen(found, study, params, _MOST_PAIRS)
    if len(paths) < 2:
        raise UsageError(f"It takes two params that differ, and only {paths[0]} does.", hint="gitparams plot slice")
    return [_optunas_name(path) for path in paths], notes


def _optunas_name(path: str) -> str:
    """Return what `study_of` calls a param: a key that is one is not quoted there."""
    keys = path_keys(path)
    return keys[0] if len(keys) == 1 else path


# -- Optuna ---------------------------------------------------------------------------------------------------------------


def _study(
    runs: Iterable[Run], metric: str | None, directions: Mapping[str, Direction] | None, params: Sequence[str]
) -> tuple[Judged, Study]:
    chosen = list(runs)
    told = told_directions(runs, directions)
    found = judged(chosen, metric, told)
    for path in params:
        found.space.dimension(path)
    study = study_of([trial.run for trial in found.space.trials], found.metric, told)
    if not _complete(study):
        raise UsageError(f"None of the runs with {found.metric} is completed.", hint="gitparams log --columns status")
    return found, study


def _complete(study: Study) -> list[FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]


def _several(study: Study, kind: str) -> None:
    if len(_complete(study)) < 2:
        raise UsageError(f"A picture of {kind} takes two completed runs, and there is one.")


def _drawn(draw: Callable[[Any], Any], kind: str) -> Any:
    """Return what Optuna draws. Raises `UsageError`: what Optuna cannot draw, in its own words."""
    look.graph_objects()
    optuna, drawing = library("optuna", "viz"), library("optuna.visualization", "viz")
    try:
        with quiet(optuna, Warning):
            return draw(drawing)
    except (ValueError, RuntimeError, TypeError, ArithmeticError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"Optuna cannot draw a picture of {kind} from these runs: {reason}") from error


def _coarse(study: Study, names: Sequence[str]) -> tuple[Study, list[str]]:
    """Return a study for contours, whose numbers of many values are moved to a grid, and the names of these params.

    Optuna draws a row of cells a value: hundreds are stripes, where a surface is meant.
    """
    trials = _complete(study)
    grids = {name: grid for name in names if (grid := _grid(trials, name)) is not None}
    if not grids:
        return study, []
    optuna = library("optuna", "optuna")
    with quiet(optuna, Warning):
        coarse: Study = optuna.create_study(direction=study.direction.name.lower())
        for trial in trials:
            moved = {name: grids[name](trial.params[name]) for name in grids if name in trial.params}
            params = {**trial.params, **moved}
            coarse.add_trial(optuna.trial.create_trial(params=params, distributions=trial.distributions, value=trial.value))
    return coarse, list(grids)


def _grid(trials: Sequence[FrozenTrial], name: str) -> Callable[[float], float] | None:
    """Return what moves a number to the nearest of some steps; None where its values are few."""
    values = {trial.params[name] for trial in trials if name in trial.params}
    kind = next((trial.distributions[name] for trial in trials if name in trial.params), None)
    if len(values) <= _MOST_STEPS or type(kind).__name__ != "FloatDistribution":
        return None
    low, high, last = min(values), max(values), _MOST_STEPS - 1
    if getattr(kind, "log", False) and low > 0:
        return lambda value: min(high, max(low, low * (high / low) ** (round(last * _share_log(value, low, high)) / last)))
    return lambda value: min(high, max(low, low + (high - low) * (round(last * (value - low) / (high - low)) / last)))


def _share_log(value: float, low: float, high: float) -> float:
    return math.log(value / low) / math.log(high / low)


# -- our look -------------------------------------------------------------------------------------------------------------


def _notes(found: Judged, study: Study) -> list[str]:
    """Return what is to be said of the runs that Optuna gets."""
    unfinished = len(found.space.trials) - len(_complete(study))
    notes = [f"{look.amount(unfinished)} with a score did not complete: left out."] if unfinished else []
    return [*found.notes, *notes]


def _metric(found: Judged) -> str:
    return look.text(look.metric_title(found.metric, found.space.direction))


def _hover(trial: FrozenTrial, found: Judged) -> str:
    run = trial.user_attrs.get("name") or str(trial.user_attrs["run_id"])[:8]
    value = "–" if trial.value is None else look.number(trial.value)
    lines = [f"<b>{look.text(run)}</b>", f"{look.text(found.metric)} {value}"]
    params = [f"{look.text(name, most=40)} = {look.text(_shown(value), most=40)}" for name, value in trial.params.items()]
    return "<br>".join([*lines, *params[:15], *([f"… {len(params) - 15} more"] if len(params) > 15 else [])])


def _shown(value: object) -> str:
    return look.number(value) if isinstance(value, float) else str(value)


def _named_axes(figure: Figure, found: Judged, most: int = 60, word: int = 24) -> None:
    """Give the axes their names and their words as people write them, at most so many letters each."""
    titles = {"Objective Value": _metric(found), "Trial": "run, oldest first"}
    words = _Words(min(24, word))
    for axis in _axes(figure):
        name = axis.title.text
        if name:
            axis.title.text = titles.get(name) or look.end_of(name, most=most)
        if axis.type == "category":
            axis.categoryarray = [words.shown(value) for value in axis.categoryarray or ()] or None
    for trace in figure.data:
        if trace.name == "Feasible Trial":
            trace.name = ""
        if trace.type in ("scatter", "contour"):
            trace.update({side: words.all(trace[side]) for side in ("x", "y") if _has_words(trace[side])})


class _Words:
    """Categories as they are shown, no two of them alike: plotly would put them in one place."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._shown: dict[str, str] = {}
        self._taken: set[str] = set()

    def shown(self, value: object) -> str:
        """Return the text of a category; Optuna writes texts with their quotes."""
        written = str(value)
        if written not in self._shown:
            quoted = len(written) > 1 and written[0] == written[-1] == "'"
            free = look.end_of(written[1:-1] if quoted else written, most=self._most)
            while free in self._taken:
                free += " "
            self._shown[written] = free
            self._taken.add(free)
        return self._shown[written]

    def all(self, values: Iterable[Any]) -> list[Any]:
        """Return the values with the texts of those that are categories."""
        return [self.shown(value) if isinstance(value, str) else value for value in values]


def _axes(figure: Figure) -> list[Any]:
    return [*figure.select_xaxes(), *figure.select_yaxes()]


def _has_words(values: Any) -> bool:
    return values is not None and any(isinstance(value, str) for value in values)


def _without_start(line: Any) -> None:
    """Take the infinities from a line of best values, which stand before the first."""
    there = [place for place, value in enumerate(line.y) if math.isfinite(value)]
    line.update(x=[line.x[place] for place in there], y=[line.y[place] for place in there])


def _whole_step(count: int) -> int:
    """Return how far apart some eight ticks of an axis that counts are: 1, 2, 5, 10 …"""
    rough = max(1, count // 8)
    power: int = 10 ** (len(str(rough)) - 1)
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)


def _square(figure: Figure, count: int) -> None:
    """Make room for a matrix of pictures."""
    if count > 2:
        figure.update_layout(width=220 * count + 160, height=200 * count + 120)
        return
    figure.update_layout(width=None, height=None)


def _pair_title(names: Sequence[str]) -> str:
    return f"{names[0]} and {names[1]}" if len(names) == 2 else f"each two of {look.amount(len(names), 'param')}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _places(study: Study) -> dict[int, float]:
    """Return trial → its place among the scores, from 0 for the best to 1 for the worst."""
    best_first = sorted(_complete(study), key=lambda trial: trial.value or 0.0, reverse=study.direction.name == "MAXIMIZE")
    last = max(1, len(best_first) - 1)
    return {trial.number: place / last for place, trial in enumerate(best_first)}


def _rank_bar(figure: Figure, study: Study, found: Judged, scale: Sequence[tuple[float, str]]) -> None:
    """Write the scores at the places of the ranks beside the picture."""
    scores = sorted((trial.value or 0.0 for trial in _complete(study)), reverse=found.space.direction is Direction.MAX)
    places = [0, 0.25, 0.5, 0.75, 1]
    texts = look.numbers([scores[round(place * (len(scores) - 1))] for place in places])
    words = ("best", "25%", "50%", "75%", "worst")
    bar = {
        "title": {"text": look.text(found.metric, most=16)},
        "tickvals": places,
        "ticktext": [f"{word} {text}" for word, text in zip(words, texts, strict=True)],
    }
    for trace in figure.data:
        if trace.marker.showscale:
            trace.marker.update(colorscale=scale, colorbar={**bar, "x": 1.02})


def _by_status(figure: Figure, study: Study, runs: Mapping[str, Run], dark: bool) -> None:
    """Part the bars of a timeline by how their runs ended, which is more than Optuna tells apart."""
    bars: dict[Status, list[tuple[Any, Any, Any, str]]] = {}
    trials = study.get_trials(deepcopy=False)
    for trace in figure.data:
        for base, length, number in zip(trace.base or (), trace.x or (), trace.y or (), strict=True):
            run = runs[trials[number].user_attrs["run_id"]]
            bars.setdefault(run.status, []).append((base, length, number, _span(run)))
    drawn = look.graph_objects()
    colours = look.palette(dark).statuses
    least = 0 if len(trials) < 100 else 1.5  # pixels, or a bar of many cannot be seen
    figure.data = ()
    for status in sorted(bars, key=list(Status).index):
        bases, lengths, numbers, texts = zip(*bars[status], strict=True)
        bar = drawn.Bar(base=bases, x=lengths, y=numbers, orientation="h", name=status.value, hovertext=texts, hoverinfo="text")
        figure.add_trace(bar.update(marker={"color": colours[status], "line": {"width": least, "color": colours[status]}}))


def _span(run: Run) -> str:
    from gitparams.screens.numbers import duration_text

    name = look.text(run.name or run.short_id)
    return f"<b>{name}</b><br>{run.status}, {run.started:%Y-%m-%d %H:%M:%S}<br>{duration_text(run.duration or 0.0)}"


def study_ranking(space: Space) -> list[str]:
    """Return the paths of all params of a space that differ, the most important first; estimated from 300 runs at most."""
    name, count = str(space.metric), len(space.trials)
    room = min(count, _MOST_RANKED)
    sample = [space.trials[place * count // room].run for place in range(room)]
    return ranking(study_of(sample, name, {name: space.direction}), space.dimensions)
