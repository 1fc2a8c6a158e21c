"""scikit-optimize: each evaluation is a run, and any recorded runs are a result for its own plots, or to go on from."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gitparams.capture.objects import plain
from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.foreign import ForeignRun
from gitparams.integrations import library
from gitparams.model import Run, Status, new_run_id, now
from gitparams.params import path_text
from gitparams.presence import host
from gitparams.space import Dimension, Space, Trial, as_number, space_of, word
from gitparams.tuning import TrialRecorder
from gitparams.values import Value

_MODELS = ("GP", "RF", "ET")
_FREQUENT = 0.8
"""A param that at least this share of the runs have is a dimension; of two branches of a choice neither is."""
_EXACT = 2**53
"""Whole numbers beyond this are no longer told apart as floats, which is what skopt computes with."""


# -- evaluations as runs --------------------------------------------------------------------------------------------------


class GitParamsCallback:
    """Records each evaluation right after it: ``gp_minimize(f, space, callback=[GitParamsCallback()])``.

    Initial points ``x0`` that skopt evaluates are recorded too, together and in their order; those that it was given with
    their ``y0`` are not, since they were evaluated elsewhere. An evaluation is taken to begin when the one before it was
    recorded, so its time contains the fit of the model. skopt tells nothing of one that raises.

    Args:
        space_or_names: the space, or a name for each dimension; by default the result's own space. A dimension without a name
            is ``x0``, ``x1`` …, by its place.
        metric: the name of what the objective returns.
        experiment, tags, note: as for `gitparams.start`.
    """

    def __init__(
        self,
        space_or_names: Any = None,
        metric: str = "value",
        experiment: str | None = None,
        *,
        tags: Sequence[str] = (),
        note: str = "",
    ) -> None:
        self.space_or_names, self.metric, self.experiment = space_or_names, metric, experiment
        self.tags, self.note = tuple(tags), note
        self._recorder = TrialRecorder()
        self._search = new_run_id()
        self._seen: list[tuple[list[Any], Any]] = []
        self._since = now()

    def __call__(self, result: Any) -> None:
        """Record what is new in a result; skopt calls this."""
        evaluated = list(zip(result.x_iters, result.func_vals, strict=True))
        if not self._goes_on(evaluated):
            self._search, self._seen = new_run_id(), evaluated[: _told(result)]
        begun, end, fresh = len(self._seen), now(), evaluated[len(self._seen) :]
        names = _names(self.space_or_names, result.space)
        self._recorder.record(
            [
                self._foreign(dict(zip(names, map(plain, point), strict=True)), value, begun + place, times)
                for place, ((point, value), times) in enumerate(zip(fresh, _shares(self._since, end, len(fresh)), strict=True))
            ]
        )
        self._seen, self._since = evaluated, now()

    def _goes_on(self, evaluated: Sequence[tuple[list[Any], Any]]) -> bool:
        """Tell whether a result begins with all that was seen: the callback may serve one search after the other."""
        return bool(self._seen) and list(evaluated[: len(self._seen)]) == self._seen

    def _foreign(self, params: dict[str, Value], value: Any, place: int, times: tuple[datetime, datetime]) -> ForeignRun:
        return ForeignRun(
            key=("skopt", self._search, str(place)),
            params=params,
            status=Status.COMPLETED,
            started=times[0],
            finished=times[1],
            metrics={self.metric: float(value)},
            experiment=self.experiment or "",
            tags=self.tags,
            note=self.note,
            command=tuple(sys.orig_argv),
            host=host(),
            environment={"skopt": {"search": self._search, "number": place}},
        )


def _told(result: Any) -> int:
    """Return how many points of a result were given with their values."""
    specs = getattr(result, "specs", None) or {}
    given = specs.get("args", {}).get("y0")
    if given is None:
        return 0
    return len(given) if hasattr(given, "__len__") else 1


def _shares(start: datetime, end: datetime, count: int) -> list[tuple[datetime, datetime]]:
    """Return the times of evaluations of which only the end of the last is known."""
    moments = [start + (end - start) * place / count for place in range(count)]
    return list(zip(moments, [*moments[1:], end], strict=True)) if count else []


def _names(given: Any, space: Any) -> list[str]:
    """Return the name of each dimension, each once; those that do not fit the space do not count."""
    dimensions = list(space.dimensions)
    chosen = dimensions if given is None else list(given)
    if len(chosen) != len(dimensions):
        chosen = dimensions
    names = [one if isinstance(one, str) else getattr(one, "name", None) for one in chosen]
    unique = {name for name in names if name is not None and names.count(name) == 1}
    return [name if name in unique else f"x{place}" for place, name in enumerate(names)]


# -- runs as a result -----------------------------------------------------------------------------------------------------


def result_of(
    runs: Iterable[Run],
    metric: str | None = None,
    directions: Mapping[str, Direction] | None = None,
    *,
    params: Sequence[str] = (),
    model: str | None = None,
    space: Any = None,
) -> Any:
    """Return runs, whoever produced them, as scikit-optimize's `OptimizeResult`, oldest first, for its plots or as a start.

    skopt minimizes: where the highest is best, ``func_vals`` are the scores with the other sign. It needs every dimension in
    every point. So params that are equal in all runs, or are in fewer than four of five, are left out; then runs that lack one
    of the others, or a finite score. ``result.notes`` says in sentences what was left out. Numbers above 0 that span
    decades are searched by their logarithm; booleans, None, texts and mixtures become their words.

    To go on with a search, give its space: ``result = result_of(runs, space=space)``, then
    ``gp_minimize(f, space, x0=result.x_iters, y0=result.func_vals)``.

    Args:
        runs: in any order; groups are left out.
        metric, directions: as `space_of` takes them.
        params: the dimensions, by path; all that there are by default.
        model: ``GP``, ``RF`` or ``ET``: fit this model to the runs, for ``plot_objective``; the result's space is then as the
            model sees it.
        space: a skopt space; the points are of it, its dimensions found by name, in its order and with its types. Runs that
            are not in it are left out.

    Raises:
        UsageError: skopt is not installed, fewer than two runs have a finite score, nothing or no such param differs between
            them, they do not fit the space, or the model is none of these.
    """
    skopt = library("skopt", "skopt")
    if model is not None:
        _check_model(model)
    whole = space_of(runs, metric, directions)
    scored = _scored(whole)
    sifted = _sifted(whole, scored, params, skopt) if space is None else _placed(scored, space, skopt)
    sign = -1.0 if whole.direction is Direction.MAX else 1.0
    values = [sign * trial.score for trial in sifted.trials]
    if model is None:
        result = skopt.utils.create_result(sifted.points, values, space=sifted.space)
    else:
        result = modelled(sifted.space, sifted.points, values, model)
    lost = len(whole.trials) - len(scored)
    result.notes = (*_left_out(lost, len(whole.trials), f"no finite {whole.metric}"), *sifted.notes)
    return result


def modelled(space: Any, points: Sequence[Sequence[Any]], values: Sequence[float], model: str) -> Any:
    """Return scikit-optimize's result of points with a model fitted to them.

    Args:
        space: a skopt space; the result's own is as the model sees it.
        points: a value for each dimension.
        values: to be low, one a point.
        model: ``GP`` a Gaussian process, ``RF`` a random forest, ``ET`` extra trees.

    Raises:
        UsageError: skopt is not installed, or the model is none of these.
    """
    _check_model(model)
    optimizer = library("skopt", "skopt").Optimizer(space, model, n_initial_points=1, acq_optimizer="sampling", random_state=0)
    return optimizer.tell(list(points), list(values))


def _check_model(model: str) -> None:
    if model not in _MODELS:
        raise UsageError(f"{model!r} is no model for this.", hint=f"one of {', '.join(_MODELS)}")


@dataclass(frozen=True, slots=True)
class _Sifted:
    """Trials as points of a skopt space, and what had to be left out for that."""

    space: Any
    trials: Sequence[Trial]
    points: list[list[Any]]
    notes: tuple[str, ...]


def _scored(space: Space) -> tuple[Trial, ...]:
    """Return the trials with a finite score. Raises `UsageError`: fewer than two."""
    if not space.trials:
        raise UsageError("There are no runs; scikit-optimize needs two or more.", hint="gitparams log")
    if space.metric is None:
        raise UsageError("None of these runs has a metric; scikit-optimize needs one to judge them by.", hint="gitparams log")
    scored = space.scored
    if len(scored) < 2:
        many = "Only one" if scored else "None"
        raise UsageError(f"{many} of these runs ({len(space.trials)}) has a finite {space.metric}; scikit-optimize needs two.")
    return scored


def _sifted(whole: Space, scored: Sequence[Trial], params: Sequence[str], skopt: Any) -> _Sifted:
    """Return the trials that have all of the wanted, or of the frequent, params."""
    wanted = [whole.dimension(path).path for path in params] or [
        one.path for one in _again(whole, scored).dimensions if one.count >= _FREQUENT * len(scored)
    ]
    trials = [trial for trial in scored if all(path in trial.values for path in wanted)]
    there = _again(whole, trials)
    dimensions = [one for one in there.dimensions if one.path in wanted and one.count == len(trials)]
    if not dimensions:
        needed = " and ".join([f"a finite {whole.metric}", *(wanted if params else ())])
        raise UsageError(f"No param differs between those of these runs ({len(whole.trials)}) that have {needed}.")
    notes = _left_out(len(scored) - len(trials), len(scored), f"not all of {', '.join(wanted)}")
    chosen = {one.path for one in dimensions}
    dropped = [path for path in (wanted if params else [one.path for one in whole.dimensions]) if path not in chosen]
    if dropped:
        notes = (*notes, f"Left out, in too few runs or the same in those that are left: {', '.join(dropped)}.")
    points = [[_value(one, trial.values[one.path]) for one in dimensions] for trial in trials]
    return _Sifted(skopt.Space([_dimension(one, skopt.space) for one in dimensions]), trials, points, notes)


def _again(whole: Space, trials: Sequence[Trial]) -> Space:
    """Return the space of some of its trials."""
    return space_of([trial.run for trial in trials], whole.metric if trials else None, {str(whole.metric): whole.direction})


def _left_out(lost: int, total: int, why: str) -> tuple[str, ...]:
    return (f"{lost} of {total} runs {'is' if lost == 1 else 'are'} left out: {why}.",) if lost else ()


def _dimension(dimension: Dimension, kinds: Any) -> Any:
    if dimension.kind == "words":
        return kinds.Categorical(list(dimension.words), name=dimension.path)
    prior = "log-uniform" if dimension.log else "uniform"
    if _is_whole(dimension):
        return kinds.Integer(int(dimension.low), int(dimension.high), prior=prior, name=dimension.path)
    return kinds.Real(dimension.low, dimension.high, prior=prior, name=dimension.path)


def _is_whole(dimension: Dimension) -> bool:
    return dimension.kind == "int" and max(abs(dimension.low), abs(dimension.high)) < _EXACT


def _value(dimension: Dimension, value: Any) -> Any:
    if dimension.kind == "words":
        return word(value)
    return int(value) if _is_whole(dimension) else float(value)


# -- runs as points of a given space --------------------------------------------------------------------------------------


def _placed(scored: Sequence[Trial], space: Any, skopt: Any) -> _Sifted:
    """Return the trials that are points of a space. Raises `UsageError`: none is."""
    space = space if isinstance(space, skopt.Space) else skopt.Space(list(space))
    names = _names(None, space)
    placed = [(trial, _point(trial, names, space)) for trial in scored]
    fitting = [(trial, point) for trial, point in placed if point is not None]
    if not fitting:
        raise UsageError(f"None of these runs ({len(scored)}) is a point of this space, with values for {', '.join(names)}.")
    notes = _left_out(len(scored) - len(fitting), len(scored), f"not a point of the space ({', '.join(names)})")
    return _Sifted(space, [trial for trial, _ in fitting], [point for _, point in fitting], notes)


def _point(trial: Trial, names: Sequence[str], space: Any) -> list[Any] | None:
    point = []
    for name, dimension in zip(names, space.dimensions, strict=True):
        path = path_text((name,))
        found = _of_dimension(dimension, trial.values.get(path, trial.values.get(name, math.nan)))  # NaN is in no dimension
        if found is None:
            return None
        point.append(found[0])
    return point


def _of_dimension(dimension: Any, value: Value) -> tuple[Any] | None:
    """Return a value as a dimension has it, in a tuple since None may be one; None when it is not in it."""
    if hasattr(dimension, "categories"):
        return next(((one,) for one in dimension.categories if word(plain(one)) == word(value)), None)
    number = as_number(value)
    if number is None or not dimension.low <= number <= dimension.high:
        return None
    if isinstance(dimension, library("skopt.space", "skopt").Real):
        return (number,)
    return (int(number),) if number == int(number) else None
