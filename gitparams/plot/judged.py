"""Judged: the runs of a picture as a space, with what is left out of it and why; or why there is nothing to draw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gitparams.directions import Direction, direction
from gitparams.errors import UsageError
from gitparams.model import Run
from gitparams.plot.look import amount
from gitparams.space import Dimension, Space, space_of


@dataclass(frozen=True, slots=True)
class Judged:
    """Runs that can be drawn.

    Attributes:
        space: the runs with a finite score, oldest first.
        metric: what they are judged by.
        notes: what was left out and what was guessed, a sentence each.
    """

    space: Space
    metric: str
    notes: tuple[str, ...]


def judged(runs: Iterable[Run], metric: str | None = None, directions: Mapping[str, Direction] | None = None) -> Judged:
    """Return the runs that have a score.

    Args:
        runs: in any order.
        metric: what they are judged by, as `space_of` chooses it.
        directions: which way of a metric is better; by default what the runs know of it themselves, as `Runs` does.

    Raises:
        UsageError: there are no runs, none has the metric, or none has a finite value of it.
    """
    chosen = list(runs)
    told = told_directions(runs, directions)
    # What they are judged by is settled without their params, which take the time.
    whole = space_of(
        [Run(run.id, run.status, run.started, metrics=run.metrics, group=run.group) for run in chosen], metric, told
    )
    if not whole.trials:
        raise UsageError("There are no runs to draw.", hint="gitparams log")
    if whole.metric is None:
        raise UsageError(f"No metric is known of {_these(len(whole.trials))}.", hint="gitparams log --columns all")
    scored = whole.scored
    if not scored:
        raise UsageError(f"No run has a finite value of {whole.metric!r}.", hint="gitparams log --columns metrics.*")
    ids = {trial.run.id for trial in scored}
    space = space_of([run for run in chosen if run.id in ids], whole.metric, told)
    return Judged(space, whole.metric, (*_left_out(whole), *_guessed(whole.metric, told)))


def told_directions(runs: Iterable[Run], directions: Mapping[str, Direction] | None) -> Mapping[str, Direction]:
    """Return which way of a metric is better, as it was passed or as the runs know it."""
    if directions is not None:
        return directions
    known: Mapping[str, Direction] = getattr(runs, "directions", {})
    return known


def silent_notes(space: Space, shown: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what is to be said of the params that tell nothing: equal in all runs, or another word in each.

    Args:
        space: the runs.
        shown: the paths that were asked for.
    """
    names = [one.path for one in space.names if one not in space.telling and one.path not in shown]
    return (*_told("Equal in all runs", list(space.constants)), *_told("Another in every run", names))


def _told(what: str, names: Sequence[str]) -> tuple[str, ...]:
    return (f"{what}: {', '.join(names[:4])}{' …' if len(names) > 4 else ''}.",) if names else ()


def varying(space: Space, params: Sequence[str] = ()) -> tuple[Dimension, ...]:
    """Return the params that are asked for, or all that differ and tell something.

    Raises:
        UsageError: one that is asked for is in no run or equal in all, or none differs.
    """
    if params:
        return tuple(space.dimension(path) for path in dict.fromkeys(params))
    if space.telling:
        return space.telling
    if len(space.trials) == 1:
        raise UsageError("There is only one run with a score: nothing to compare its params with.", hint="gitparams show")
    raise UsageError(f"No param differs between these {amount(len(space.trials))}.", hint="gitparams log --columns all")


def _these(count: int) -> str:
    return "this run" if count == 1 else f"these {amount(count)}"


def _left_out(whole: Space) -> tuple[str, ...]:
    missing = sum(whole.metric not in trial.run.metrics for trial in whole.trials)
    endless = sum(whole.metric in trial.run.metrics and not math.isfinite(trial.score) for trial in whole.trials)
    parts = [f"{amount(missing)} without {whole.metric}"] if missing else []
    parts += [f"{amount(endless)} with NaN or infinity as {whole.metric}"] if endless else []
    return (f"Left out: {' and '.join(parts)}.",) if parts else ()


def _guessed(metric: str, told: Mapping[str, Direction]) -> tuple[str, ...]:
    if direction(metric, told) is not None:
        return ()
    return (f"Nothing says which way {metric} is better: taken as the lower, the better.",)
