"""Minima: scikit-optimize's own diagnostics of any runs, its pictures as they are in a figure like the others.

It draws with matplotlib; what it drew is one sharp image (SVG) in a plotly Figure, so that HTML, PNG, SVG, PDF and the browser
take it as they take the rest. It minimizes: scores that are to be high are turned round, and the axis says so.
"""

from __future__ import annotations

import base64
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

from gitparams.association import column_of, dependence
from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.integrations import library
from gitparams.integrations.skopt import modelled, result_of
from gitparams.model import Run
from gitparams.plot import look
from gitparams.plot.judged import Judged, judged, silent_notes, varying
from gitparams.space import Space

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_MOST_PARAMS = 6
_MOST_MODELLED, _BEST_KEPT = 200, 50
"""A Gaussian process takes the cube of so many runs."""
_MOST_HAVE = 0.8
_APART = {"wspace": 0.55, "hspace": 0.5}
"""Of the size of a panel, between two: room for what is written at them."""
_DOTS_A_PIXEL = 1 / 100  # matplotlib counts in inches


def evaluations(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
) -> Figure:
    """Return where runs lie in the space of their params, the later ones lighter: skopt's ``plot_evaluations``.

    Args:
        runs: in any order.
        metric: what they are judged by, as `gitparams.space.space_of` chooses it.
        params: two or more; by default the six that the metric depends on most.
        dark: on a dark ground.
        directions: which way of a metric is better; by default what the runs know.

    Raises:
        UsageError: there is nothing to draw, fewer than two params differ, or scikit-optimize is not installed.
    """
    found = judged(runs, metric, directions)
    chosen, notes = _params(found.space, params)
    result = _result(found, chosen)

    def draw(plots: Any) -> Any:
        return _tidy(plots.plot_evaluations(result, dimensions=_labels(result), **_APART).figure)

    title = f"Where {look.amount(len(result.x_iters))} lie"
    return _picture(draw, title, [*found.notes, *notes, *result.notes], len(_labels(result)), dark)


def objective(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
    model: str = "GP",
) -> Figure:
    """Return what a model of the runs expects of each param and each two of them: skopt's ``plot_objective``.

    Args:
        runs, metric, params, dark, directions: as for `evaluations`.
        model: ``GP`` a Gaussian process, ``RF`` a random forest, ``ET`` extra trees; of more than 200 runs, of the best 50
            and an even sample of the others.

    Raises:
        UsageError: as for `evaluations`, or there are too few runs for a model.
    """
    found = judged(runs, metric, directions)
    chosen, notes = _params(found.space, params)
    found, sampled = _modelled(found)
    given = _result(found, chosen)
    with _quiet():
        result = modelled(*_by_exponents(given), given.func_vals, model)

    def draw(plots: Any) -> Any:
        colours = library("matplotlib.colors", "skopt").LinearSegmentedColormap.from_list
        scale = colours("gitparams", look.scale(Direction.MIN, dark))
        with _seeded():
            drawn = plots.plot_objective(result, dimensions=_labels(result), n_points=20, n_samples=60, cmap=scale, **_APART)
        return _tidy(drawn.figure)

    title = f"What a model of {look.amount(len(result.x_iters))} expects of {found.metric}"
    said = [*found.notes, *sampled, *notes, *given.notes, *_turned_note(found)]
    return _picture(draw, title, said, len(_labels(result)), dark)


def _by_exponents(result: Any) -> tuple[Any, list[list[Any]]]:
    """Return the space and the points of a result with powers of ten in place of what spans decades.

    skopt's picture looks at evenly spaced values of each param, whatever its prior: nearly all would be in the last decade.
    """
    space = library("skopt.space", "skopt")
    dimensions = list(result.space.dimensions)
    spans = [getattr(one, "prior", "") == "log-uniform" for one in dimensions]
    seen = [
        space.Real(math.log10(one.low), math.log10(one.high), name=f"log10 {one.name}") if log else one
        for one, log in zip(dimensions, spans, strict=True)
    ]
    points = [
        [_clipped(math.log10(value), one) if log else value for value, one, log in zip(point, seen, spans, strict=True)]
        for point in result.x_iters
    ]
    return space.Space(seen), points


def _clipped(value: float, dimension: Any) -> float:
    return float(min(max(value, dimension.low), dimension.high))


def convergence(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
) -> Figure:
    """Return the best score after so many runs: skopt's ``plot_convergence``.

    Arguments and what is raised are those of `evaluations`; the params do not matter.
    """
    found = judged(runs, metric, directions)
    plain = _scores([_minimized(found, trial.score) for trial in found.space.trials])

    def draw(plots: Any) -> Any:
        axes = plots.plot_convergence((_label(found.metric), plain))
        axes.set_title("")
        axes.set_xlabel("runs")
        axes.set_ylabel(f"best {_score_text(found)}")
        if axes.get_legend() is not None:
            axes.get_legend().remove()
        for line in axes.get_lines():
            line.set(color=look.palette(dark).words[0], markersize=5)
        return axes.figure

    title = f"The best {look.metric_title(found.metric, found.space.direction)} after so many runs"
    return _picture(draw, title, [*found.notes, *_turned_note(found)], 0, dark)


def _scores(values: Sequence[float]) -> Any:
    """Return what `plot_convergence` looks at of a result: its values, and their least."""
    places = [[place] for place in range(len(values))]
    result = library("scipy.optimize", "skopt").OptimizeResult
    return result(func_vals=library("numpy", "skopt").asarray(values), x_iters=places, fun=min(values))


def _params(space: Space, params: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the params that are drawn, the ones that matter most of many, and what is to be said of it."""
    dimensions = varying(space, params)
    rare = [] if params else [one.path for one in dimensions if one.count < _MOST_HAVE * len(space.trials)]
    dimensions = tuple(one for one in dimensions if one.path not in rare) or dimensions
    said = [f"Left out, since not all runs have it: {', '.join(rare[:4])}{' …' if len(rare) > 4 else ''}."] if rare else []
    if len(dimensions) < 2:
        raise UsageError(
            f"Only {dimensions[0].path} differs between these runs: this picture needs two params.",
            hint=f"gitparams plot scatter --param {dimensions[0].path}",
        )
    if params or len(dimensions) <= _MOST_PARAMS:
        return [one.path for one in dimensions], [*said, *silent_notes(space, params)]
    scores = [trial.score for trial in space.trials]

    def strength(path: str) -> float:
        found = dependence(column_of(space, space.dimension(path)), scores)
        return found if found == found else -1.0

    paths = sorted((one.path for one in dimensions), key=strength, reverse=True)
    note = f"The {_MOST_PARAMS} of {look.amount(len(paths), 'param')} that the metric depends on most."
    return paths[:_MOST_PARAMS], [note, *said, *silent_notes(space, params)]


def _modelled(found: Judged) -> tuple[Judged, list[str]]:
    trials = found.space.trials
    if len(trials) <= _MOST_MODELLED:
        return found, []
    order = sorted(trials, key=lambda trial: _minimized(found, trial.score))
    best, rest = order[:_BEST_KEPT], order[_BEST_KEPT:]
    room = _MOST_MODELLED - _BEST_KEPT
    kept = {trial.run.id for trial in (*best, *(rest[place * len(rest) // room] for place in range(room)))}
    space = replace(found.space, trials=tuple(trial for trial in trials if trial.run.id in kept))
    return replace(found, space=space), [f"Of {look.amount(len(trials))} the best {_BEST_KEPT} and a sample of the others."]


def _result(found: Judged, params: Sequence[str]) -> Any:
    runs = [trial.run for trial in found.space.trials]
    directions = {found.metric: found.space.direction}
    with _quiet():
        return result_of(runs, found.metric, directions, params=params)


def _labels(result: Any) -> list[str]:
    return [_label(name) for name in result.space.dimension_names]


def _label(name: str) -> str:
    r"""Return a user's text so that matplotlib takes no part of it for a formula.

    >>> _label("cost in $")
    'cost in \\$'
    """
    return look.plain(name, most=24).replace("$", r"\$")


def _score_text(found: Judged) -> str:
    turned = found.space.direction is Direction.MAX
    return f"−{_label(found.metric)}" if turned else _label(found.metric)


def _minimized(found: Judged, score: float) -> float:
    return -score if found.space.direction is Direction.MAX else score


def _turned_note(found: Judged) -> list[str]:
    if found.space.direction is not Direction.MAX:
        return []
    return [f"scikit-optimize minimizes: {found.metric} stands with its sign turned round."]


# -- a picture in a figure ------------------------------------------------------------------------------------------------


def _picture(draw: Callable[[Any], Any], title: str, notes: Sequence[str], params: int, dark: bool) -> Figure:
    """Return what matplotlib drew as a plotly Figure."""
    width, height = (look.WIDTH, look.HEIGHT - 80) if not params else (max(640, 190 * params),) * 2
    data = _drawn(draw, width, height, dark)
    figure = look.graph_objects().Figure()
    source = "data:image/svg+xml;base64," + base64.b64encode(data).decode("ascii")
    figure.add_layout_image(
        source=source, xref="paper", yref="paper", x=0, y=1, sizex=1, sizey=1, sizing="contain", xanchor="left", yanchor="top"
    )
    figure.update_xaxes(visible=False, range=[0, 1])
    figure.update_yaxes(visible=False, range=[0, 1])
    figure.update_layout(width=width)  # the notes are wrapped by it
    figure = look.finished(figure, title=title, notes=notes, dark=dark)
    top = figure.layout.margin.t
    return figure.update_layout(width=width, height=height + top, margin={"l": 0, "r": 0, "b": 0, "t": top})


def _drawn(draw: Callable[[Any], Any], width: int, height: int, dark: bool) -> bytes:
    """Return the SVG of what is drawn; pyplot's figures, backend and settings are afterwards what they were."""
    plots = library("skopt.plots", "skopt")
    pyplot = library("matplotlib.pyplot", "skopt")
    before, target = set(pyplot.get_fignums()), BytesIO()
    with _backend(pyplot), pyplot.rc_context(_style(dark)), _quiet():
        try:
            pyplot.figure()  # plot_convergence draws on the current one, which may be the user's
            picture = draw(plots)
            picture.set_size_inches(width * _DOTS_A_PIXEL, height * _DOTS_A_PIXEL)
            picture.savefig(
                target, format="svg", bbox_inches="tight", facecolor=look.palette(dark).ground, metadata={"Date": None}
            )
        finally:
            for number in set(pyplot.get_fignums()) - before:
                pyplot.close(number)
    return target.getvalue()


def _tidy(picture: Any) -> Any:
    """Cut the words at the axes and thin the ticks out, since the panels are small; return the matplotlib figure."""
    ticker = library("matplotlib.ticker", "skopt")
    for axis in (axis for axes in picture.axes for axis in (axes.xaxis, axes.yaxis)):
        shown = axis.get_major_formatter()
        if isinstance(shown, ticker.FuncFormatter):
            axis.set_major_formatter(ticker.FuncFormatter(lambda value, place, shown=shown: _word(shown(value, place))))
        elif isinstance(axis.get_major_locator(), ticker.MaxNLocator):
            axis.get_major_locator().set_params(nbins=3)
    return picture


def _word(text: str) -> str:
    return look.plain_end(text, most=12).replace("$", r"\$")


@contextmanager
def _seeded() -> Iterator[None]:
    """Draw the same samples each time, and leave the user's random numbers as they are."""
    random = library("numpy.random", "skopt")
    before = random.get_state()
    random.seed(0)
    try:
        yield
    finally:
        random.set_state(before)


@contextmanager
def _backend(pyplot: Any) -> Iterator[None]:
    """Draw without a window."""
    before = pyplot.get_backend()
    pyplot.switch_backend("agg")
    try:
        yield
    finally:
        pyplot.switch_backend(before)


def _style(dark: bool) -> dict[str, Any]:
    colours = look.palette(dark)
    from cycler import cycler

    return {
        "figure.facecolor": colours.ground,
        "axes.facecolor": colours.ground,
        "axes.edgecolor": colours.quiet,
        "axes.labelcolor": colours.ink,
        "text.color": colours.ink,
        "xtick.color": colours.quiet,
        "ytick.color": colours.quiet,
        "grid.color": colours.grid,
        "axes.prop_cycle": cycler(color=colours.words),
        "font.family": "sans-serif",
        "font.size": 10,
        "svg.fonttype": "path",
        "text.usetex": False,
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the libraries say of few points to themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
