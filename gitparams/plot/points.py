"""Points: the metric over single params, run by run, and how params and metrics go together."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gitparams.association import Association, Column, association, column_of, dependence
from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.integrations import library
from gitparams.model import Run
from gitparams.plot import look
from gitparams.plot.judged import judged, silent_notes, told_directions, varying
from gitparams.space import Dimension, Space, Trial, as_number, space_of, word

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_MOST_PANELS, _MOST_CELLS = 9, 24
_ITSELF = Association(math.nan, False, 0)  # of a column with itself there is nothing to tell
_JITTER = 0.28  # of the room of a word, to either side


def scatter(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
) -> Figure:
    """Return the metric over params, one panel each, run by run; the best run is marked.

    Numbers that span decades are on a logarithmic axis; words stand side by side, their runs spread so that all are seen.

    Args:
        runs: in any order.
        metric: what they are judged by, as `gitparams.space.space_of` chooses it.
        params: at most nine paths; by default the param that the metric depends on most.
        dark: light points on a dark ground.
        directions: which way of a metric is better; by default what the runs know.

    Raises:
        UsageError: there is nothing to draw, or plotly is not installed.
    """
    found = judged(runs, metric, directions)
    space = found.space
    strongest = _by_strength(space, varying(space))
    dimensions = varying(space, params)[:_MOST_PANELS] if params else strongest[:1]
    notes = [*found.notes, *_chosen_note(dimensions, params, len(space.dimensions)), *_lacking(space, dimensions)]
    figure, columns = _panels(len(dimensions))
    for place, dimension in enumerate(dimensions):
        _draw(figure, space, found.metric, dimension, place // columns + 1, place % columns + 1, dark)
    title = f"{look.metric_title(found.metric, space.direction)} over {_listed([one.path for one in dimensions])}"
    figure.update_layout(
        showlegend=False, height=look.HEIGHT if len(dimensions) < 4 else 320 * math.ceil(len(dimensions) / columns)
    )
    return look.finished(figure, title=title, notes=notes, dark=dark)


def _by_strength(space: Space, dimensions: Sequence[Dimension]) -> list[Dimension]:
    """Return params, the one that the score depends on most first."""
    scores = [trial.score for trial in space.trials]
    strengths = {one.path: dependence(column_of(space, one), scores) for one in dimensions}
    return sorted(dimensions, key=lambda one: -strengths[one.path] if math.isfinite(strengths[one.path]) else 1.0)


def _chosen_note(dimensions: Sequence[Dimension], params: Sequence[str], there: int) -> list[str]:
    if params or there < 2:
        return []
    return [f"Of {look.amount(there, 'param')} the one that the metric depends on most."]


def _lacking(space: Space, dimensions: Sequence[Dimension]) -> list[str]:
    counts = {one.path: len(space.trials) - one.count for one in dimensions}
    return [f"{look.amount(count)} without {path}." for path, count in counts.items() if count]


def _panels(count: int) -> tuple[Figure, int]:
    columns = 1 if count == 1 else 2 if count in (2, 4) else 3
    make = library("plotly.subplots", "viz").make_subplots
    return make(rows=math.ceil(count / columns), cols=columns, horizontal_spacing=0.09, vertical_spacing=0.16), columns


def _draw(figure: Figure, space: Space, metric: str, dimension: Dimension, row: int, column: int, dark: bool) -> None:
    colours, shown = look.palette(dark), [trial for trial in space.trials if dimension.path in trial.values]
    best = (max if space.direction is Direction.MAX else min)(shown, key=lambda trial: trial.score)
    places = [_place(trial, dimension) for trial in shown]
    marker: dict[str, Any] = {"size": 7, "opacity": 0.75, "color": colours.words[0], "line": {"width": 0}}
    hover = [_hover(trial, metric) for trial in shown]
    go = look.graph_objects()
    figure.add_trace(
        go.Scatter(x=places, y=[t.score for t in shown], mode="markers", marker=marker, hovertext=hover, hoverinfo="text"),
        row,
        column,
    )
    ring = {"size": 14, "color": "rgba(0,0,0,0)", "line": {"width": 2, "color": colours.words[1]}}
    figure.add_trace(
        go.Scatter(x=[_place(best, dimension)], y=[best.score], mode="markers", marker=ring, hoverinfo="skip"), row, column
    )
    _axes(figure, dimension, metric, row, column)


def _place(trial: Trial, dimension: Dimension) -> float:
    """Return where a run stands: its number, or beside the place of its word, always as far."""
    value = trial.values[dimension.path]
    if dimension.kind != "words":
        return as_number(value) or 0.0
    spread = zlib.crc32(trial.run.id.encode()) / 2**32 * 2 - 1
    return dimension.words.index(word(value)) + spread * _JITTER


def _axes(figure: Figure, dimension: Dimension, metric: str, row: int, column: int) -> None:
    axis: dict[str, Any] = {"title_text": look.text(dimension.path)}
    if dimension.kind == "words":
        axis |= {
            "tickvals": list(range(len(dimension.words))),
            "ticktext": [look.text(one, most=18) for one in dimension.words],
        }
        axis |= {"showgrid": False}
    elif dimension.log:
        powers, texts = look.decades(dimension.low, dimension.high)
        axis |= {"type": "log", "tickvals": [10**power for power in powers], "ticktext": texts}
    figure.update_xaxes(**axis, row=row, col=column)
    if column == 1:
        figure.update_yaxes(title_text=look.text(metric), row=row, col=column)


def _hover(trial: Trial, metric: str) -> str:
    run = trial.run
    name = f" {look.text(run.name)}" if run.name else ""
    values = [f"{look.text(path)} {look.text(word(value), most=40)}" for path, value in list(trial.values.items())[:12]]
    more = [f"{len(trial.values) - 12} more"] if len(trial.values) > 12 else []
    return "<br>".join([f"{run.short_id}{name}", f"{look.text(metric)} {look.number(trial.score)}", *values, *more])


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# -- correlation ----------------------------------------------------------------------------------------------------------


def correlation(
    runs: Iterable[Run],
    metric: str | None = None,
    *,
    params: Sequence[str] = (),
    dark: bool = False,
    directions: Mapping[str, Direction] | None = None,
) -> Figure:
    """Return how strongly params and metrics go together, by `gitparams.association`: a cell each pair.

    The params are sorted by their strength against the metric; a cell of fewer than five runs stays empty.

    Args:
        runs: in any order.
        metric: what the params are sorted by, as `gitparams.space.space_of` chooses it.
        params: by default those that differ, the 24 strongest of more.
        dark: light cells on a dark ground.
        directions: which way of a metric is better; by default what the runs know.

    Raises:
        UsageError: there is nothing to draw, or plotly is not installed.
    """
    chosen = list(runs)
    told = told_directions(runs, directions)
    space = space_of(chosen, metric, told)
    if not space.trials:
        raise UsageError("There are no runs to draw.", hint="gitparams log")
    columns, notes = _columns(space, varying(space, params))
    names = list(columns)
    cells = [[association(columns[a], columns[b]) if a != b else _ITSELF for b in names] for a in names]
    notes += (
        [*silent_notes(space, params), "Words have no sign: what they say is how much, not which way."]
        if _has_words(columns)
        else [*silent_notes(space, params)]
    )
    if any(math.isnan(cell.strength) and cell is not _ITSELF for row in cells for cell in row):
        notes.append("An empty cell has fewer than five runs, or values that are all equal.")
    figure = look.graph_objects().Figure(_heat(names, cells, dark))
    size = max(420, 44 * len(names) + 180)
    figure.update_xaxes(side="bottom", tickangle=-40 if len(names) > 5 else 0, showgrid=False, type="category")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    figure.update_layout(height=size, width=max(look.WIDTH, size + 260))
    return look.finished(figure, title="How params and metrics go together", notes=notes, dark=dark)


def _columns(space: Space, dimensions: Sequence[Dimension]) -> tuple[dict[str, Column], list[str]]:
    """Return the columns by label, metrics first, then params by their strength; and what is to be said of them."""
    metrics: dict[str, Column] = {}
    names = sorted(
        {name for trial in space.trials for name in trial.run.metrics}, key=lambda name: (name != space.metric, name)
    )
    for name in names:
        numbers = [_finite(trial.run.metrics.get(name)) for trial in space.trials]
        if len({number for number in numbers if number is not None}) > 1:
            metrics[name] = numbers
    by = next(iter(metrics.values()), None)
    columns = {one.path: column_of(space, one) for one in dimensions}

    def strength(path: str) -> float:
        found = association(columns[path], by).strength if by is not None else math.nan
        return abs(found) if math.isfinite(found) else -1.0

    ordered = sorted(columns, key=strength, reverse=True)
    room = max(2, _MOST_CELLS - len(metrics))
    notes = [f"The {room} strongest of {look.amount(len(ordered), 'param')}."] if len(ordered) > room else []
    if len(metrics) + len(ordered) < 2:
        raise UsageError("There are no two columns that differ between these runs.", hint="gitparams log --columns all")
    shown = {f"{path} " if path in metrics else path: columns[path] for path in ordered[:room]}
    return {**metrics, **shown}, notes


def _finite(value: float | None) -> float | None:
    return None if value is None else as_number(value)


def _has_words(columns: Mapping[str, Column]) -> bool:
    return any(isinstance(value, str) for column in columns.values() for value in column)


def _heat(names: Sequence[str], cells: Sequence[Sequence[Association]], dark: bool) -> Any:
    colours = look.palette(dark)
    shown = [[None if math.isnan(cell.strength) else cell.strength for cell in row] for row in cells]
    texts = [["" if math.isnan(cell.strength) else _strength_text(cell) for cell in row] for row in cells]
    hover = [
        [
            f"{look.text(a)} and {look.text(b)}<br>{_strength_text(cell)} of {look.amount(cell.pairs)}"
            for b, cell in zip(names, row, strict=True)
        ]
        for a, row in zip(names, cells, strict=True)
    ]
    labels = [look.text(name, most=28) for name in names]
    scale = [(0.0, colours.words[1]), (0.5, colours.ground), (1.0, colours.words[0])]
    font = {"size": 11}
    return look.graph_objects().Heatmap(
        z=shown, x=labels, y=labels, zmin=-1, zmax=1, colorscale=scale, text=texts, texttemplate="%{text}", textfont=font,
        hovertext=hover, hoverinfo="text", xgap=2, ygap=2, hoverongaps=False,
    )  # fmt: skip


def _strength_text(cell: Association) -> str:
    if math.isnan(cell.strength):
        return "?"
    return f"{cell.strength:+.2f}".replace("-", "−") if cell.signed else f"{abs(cell.strength):.2f}"
