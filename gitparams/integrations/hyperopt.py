"""hyperopt: each trial is a run with its resolved values, and recorded runs are trials that `fmin` goes on from."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from typing import Any

from gitparams.capture.objects import plain, plain_mapping
from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.foreign import ForeignRun
from gitparams.integrations import library
from gitparams.model import Metric, Run, RunId, Status, now
from gitparams.params import flatten, to_dict
from gitparams.presence import host
from gitparams.recorder import warn
from gitparams.space import Trial, as_number, space_of
from gitparams.tuning import TrialRecorder
from gitparams.values import Value, same

METRIC = "loss"
_RUN = "gitparams_run"
"""The key in a trial's ``misc`` that names the run it was made of; it is recorded already."""
_NEW, _RUNNING, _DONE, _ERROR, _CANCEL = range(5)
_MOST_WAYS = 64

Values = dict[str, Any]
"""A trial's ``misc.vals`` without the lists: the number drawn for each label that is active, for a choice the index."""


# -- trials as runs -------------------------------------------------------------------------------------------------------


@dataclass
class _Search:
    """What a search is, beside its trials."""

    space: Any
    experiment: str
    tags: tuple[str, ...] = ()
    points: list[Mapping[str, Any]] = field(default_factory=list)
    recorder: TrialRecorder = field(default_factory=TrialRecorder)
    recorded: set[tuple[Any, Any]] = field(default_factory=set)


class _Recorded:
    """hyperopt's `Trials` that record each trial when it ends: ``fmin(f, space, trials=GitParamsTrials(), …)``.

    Params are the resolved values, not the indices of choices; the loss is the metric ``loss``, each other number of the
    result a metric too. A trial whose result says ``fail``, or that raised, is a failed run, one that ^C cut off an
    interrupted one. With ``max_queue_len`` above 1 the trials of a queue are recorded together, when hyperopt looks up.

    Args:
        space: the search space; what `fmin` is given by default.
        experiment, tags: as for `gitparams.start`.
        points_to_evaluate: assignments to evaluate first, label → number or index; they count in ``max_evals``. What `fmin`
            itself is given as such it only uses without trials.
        exp_key, refresh: as for `hyperopt.Trials`.
    """

    _search: _Search | None = None  # a view of the trials has none, and records nothing
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        space: Any = None,
        experiment: str | None = None,
        *,
        tags: Sequence[str] = (),
        points_to_evaluate: Sequence[Mapping[str, Any]] = (),
        exp_key: str | None = None,
        refresh: bool = True,
    ) -> None:
        self._search = _Search(space, experiment or exp_key or "default", tuple(tags), list(points_to_evaluate))
        super().__init__(exp_key=exp_key, refresh=refresh)  # type: ignore[call-arg]

    def refresh(self) -> None:
        """Record the trials that ended; hyperopt calls this after each queue of trials."""
        super().refresh()  # type: ignore[misc]
        self._record()

    def fmin(self, fn: Callable[..., Any], space: Any, *args: Any, **options: Any) -> Any:
        """Search as `hyperopt.fmin` does, which calls this."""
        if self._search is not None:
            self._search.space = space
            self._begin(self._search)
        try:
            return super().fmin(fn, space, *args, **options)  # type: ignore[misc]
        except BaseException:
            self._record(ended=True)
            raise
        finally:
            if self._search is not None:
                self._search.recorder.close()

    def _begin(self, search: _Search) -> None:
        """Put the points to evaluate first before all others."""
        if not search.points:
            return
        labels = list(_distributions(search.space))
        unknown = {label for point in search.points for label in point} - {*labels}
        if unknown:
            raise UsageError(
                f"The points to evaluate name {', '.join(sorted(unknown))}, and the space has only {', '.join(labels)}."
            )
        taken: Any = self
        for point, tid in zip(search.points, taken.new_trial_ids(len(search.points)), strict=True):
            document = _document(tid, labels, {label: point[label] for label in labels if label in point}, taken._exp_key)
            taken.insert_trial_doc(document)
        search.points = []
        self.refresh()

    def _record(self, *, ended: bool = False) -> None:
        """Record what ended since; with `ended`, a trial that still runs was cut off."""
        search = self._search
        if search is None or search.space is None:
            return
        fresh = [
            trial
            for trial in _documents(self)
            if (trial["tid"], trial["book_time"]) not in search.recorded and (_has_ended(trial) or (ended and _runs(trial)))
        ]
        search.recorded.update((trial["tid"], trial["book_time"]) for trial in fresh)
        runs = [_foreign(trial, search.space, search.experiment, search.tags) for trial in fresh]
        if runs:
            search.recorder.record(runs)


def __getattr__(name: str) -> Any:
    """Return `GitParamsTrials`: a subclass of hyperopt's own `Trials`, made when it is first asked for."""
    if name != "GitParamsTrials":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    trials = library("hyperopt", "hyperopt").Trials
    made = type(name, (_Recorded, trials), {"__module__": __name__, "__doc__": _Recorded.__doc__})
    globals()[name] = made  # one class, which trials that hyperopt pickles find again
    return made


def record_trials(trials: Any, space: Any, experiment: str | None = None, *, tags: Sequence[str] = ()) -> list[RunId]:
    """Record the finished trials of a search that is over, and return the ids of those that were not recorded yet.

    Args:
        trials: hyperopt's `Trials`, of any kind.
        space: the search space that they were drawn from.
        experiment, tags: as for `gitparams.start`.

    Raises:
        UsageError: hyperopt is not installed.
    """
    library("hyperopt", "hyperopt")
    chosen = experiment or trials._exp_key or "default"
    recorder = TrialRecorder()
    try:
        runs = [_foreign(trial, space, chosen, tuple(tags)) for trial in _documents(trials) if _has_ended(trial)]
        return recorder.record(runs) if runs else []
    finally:
        recorder.close()


def _documents(trials: Any) -> list[Any]:
    """Return the trials, also those that raised, without those that were made of runs."""
    every = getattr(trials, "_dynamic_trials", None) or trials.trials
    return [one for one in every if _RUN not in one["misc"] and trials._exp_key in (None, one["exp_key"])]


def _has_ended(trial: Mapping[str, Any]) -> bool:
    return trial["state"] in (_DONE, _ERROR, _CANCEL)


def _runs(trial: Mapping[str, Any]) -> bool:
    return bool(trial["state"] == _RUNNING)


def _foreign(trial: Mapping[str, Any], space: Any, experiment: str, tags: tuple[str, ...]) -> ForeignRun:
    misc, result = trial["misc"], trial["result"]
    values = {label: found[0] for label, found in misc["vals"].items() if len(found)}
    drawn = plain_mapping(values)
    told = {"tid": plain(trial["tid"]), "vals": drawn, "exp_key": plain(trial["exp_key"])}
    started, finished = _moment(trial["book_time"]) or now(), _moment(trial["refresh_time"])
    if started.microsecond % 1000 == 0 and isinstance(trial["tid"], int):
        started += timedelta(microseconds=trial["tid"] % 1000)  # hyperopt's clock has whole ms: the order stays
    return ForeignRun(
        key=("hyperopt", *map(str, (trial["exp_key"] or experiment, trial["tid"], trial["book_time"], sorted(drawn.items())))),
        params=_resolved(space, values),
        status=_status(trial),
        started=started,
        finished=max(started, finished or now()),
        metrics=_metrics(result),
        experiment=experiment,
        tags=tags,
        note=": ".join(map(str, misc.get("error", ()))),
        command=tuple(sys.orig_argv),
        host=host(),
        environment={"hyperopt": {name: value for name, value in told.items() if value is not None}},
    )


def _status(trial: Mapping[str, Any]) -> Status:
    if trial["state"] == _ERROR:
        return Status.FAILED
    if trial["state"] != _DONE:
        return Status.INTERRUPTED
    known = {"ok": Status.COMPLETED, "fail": Status.FAILED}
    return known.get(trial["result"].get("status"), Status.INTERRUPTED)


def _metrics(result: Mapping[str, Any]) -> dict[str, Metric]:
    """Return the numbers of a result; booleans are none."""
    numbers = {str(name): plain(value) for name, value in result.items() if not isinstance(value, str | bytes | Mapping)}
    return {name: value for name, value in numbers.items() if isinstance(value, int | float) and not isinstance(value, bool)}


def _moment(time: datetime | None) -> datetime | None:
    """Return a time of hyperopt's, which is of UTC and does not say so, with its offset."""
    return None if time is None else time.replace(tzinfo=UTC).astimezone()


def _resolved(space: Any, values: Values) -> dict[str, Value]:
    """Return what the objective was given, as params; the drawn values by label where the space does not say."""
    hyperopt = library("hyperopt", "hyperopt")
    try:
        return _named(plain(hyperopt.space_eval(space, values)), space)
    except Exception as error:  # noqa: BLE001 - nodes of the user's own are evaluated
        warn(f"The search space cannot be evaluated ({type(error).__name__}: {error}); the values are recorded by label.")
        return plain_mapping(values)


def _named(resolved: Value, space: Any) -> dict[str, Value]:
    """Return a resolved value as a mapping: a list by place, ``x0`` …, a single value by its label."""
    if isinstance(resolved, dict):
        return resolved
    if isinstance(resolved, list):
        return {f"x{place}": value for place, value in enumerate(resolved)}
    labels = list(_distributions(space))
    return {labels[0] if len(labels) == 1 else "x": resolved}


# -- runs as trials -------------------------------------------------------------------------------------------------------


def trials_of(
    runs: Iterable[Run],
    space: Any,
    metric: str | None = None,
    directions: Mapping[str, Direction] | None = None,
    *,
    experiment: str | None = None,
) -> Any:
    """Return runs, whoever produced them, as trials: ``fmin(f, space, trials=trials_of(runs, space), max_evals=…)`` goes on.

    The trials are `GitParamsTrials`: new ones are recorded, those made of runs are not again. Values are those that hyperopt
    drew, where the run tells them and the space still resolves them to the run's params; else the params are traced back
    through the space to labels and indices. A run for which that does not lead to exactly one assignment is left out, and a
    warning counts them; ``trials.notes`` has the sentences. One that failed or has no finite score is a trial that failed.
    No runs at all are no trials: the search begins.

    Args:
        runs: in any order; groups and runs that go on are left out.
        space: the search space.
        metric, directions: as `space_of` takes them; by default ``loss``, where a run has it. hyperopt minimizes: where the
            highest is best, losses are the scores with the other sign.
        experiment: of the new trials; by default that of the runs, when all have the same.

    Raises:
        UsageError: hyperopt is not installed, none of the runs fits the space, or none has the metric.
    """
    hyperopt = library("hyperopt", "hyperopt")
    ended = [run for run in runs if run.status.finished]
    if metric is None and any(METRIC in run.metrics for run in ended):
        metric = METRIC
    whole = space_of(ended, metric, directions)
    labels = list(_distributions(space))
    fitting = [(trial, found) for trial in whole.trials if (found := _assignment(trial.run, space, hyperopt)) is not None]
    if whole.trials and not fitting:
        raise UsageError(f"None of these runs ({len(whole.trials)}) fits the space of {', '.join(labels) or 'nothing'}.")
    homes = {trial.run.experiment for trial, _ in fitting}
    kind: Any = __getattr__("GitParamsTrials")
    trials = kind(space, experiment or (homes.pop() if len(homes) == 1 else None))
    trials.insert_trial_docs(
        [
            _of_run(tid, trial, labels, found, whole.metric, whole.direction is Direction.MAX)
            for tid, (trial, found) in enumerate(fitting)
        ]
    )
    trials.refresh()
    trials.notes = _notes(len(whole.trials), len(fitting), [trial for trial, _ in fitting])
    for note in trials.notes[:1] if len(fitting) < len(whole.trials) else ():
        warn(note)
    return trials


def _notes(total: int, fitting: int, trials: Sequence[Trial]) -> tuple[str, ...]:
    lost, failed = total - fitting, sum(not _succeeded(trial) for trial in trials)
    notes = []
    if lost:
        how = "is left out: it fits" if lost == 1 else "are left out: they fit"
        notes.append(f"{lost} of {total} runs {how} the search space in no way, or in several.")
    if failed:
        counts = "counts" if failed == 1 else "count"
        notes.append(f"{failed} of {fitting} runs failed or have no finite score, and {counts} as failed.")
    return tuple(notes)


def _succeeded(trial: Trial) -> bool:
    return trial.run.status is Status.COMPLETED and math.isfinite(trial.score)


def _of_run(tid: int, trial: Trial, labels: Sequence[str], values: Values, metric: str | None, highest: bool) -> dict[str, Any]:
    """Return a run as a trial that is done."""
    run = trial.run
    document = _document(tid, labels, values, None)
    document["state"], document["misc"][_RUN] = _DONE, run.id
    document["book_time"] = run.started.astimezone(UTC).replace(tzinfo=None)
    document["refresh_time"] = (run.finished or run.started).astimezone(UTC).replace(tzinfo=None)
    document["result"] = {"status": "fail"}
    if _succeeded(trial):
        others = {name: value for name, value in run.metrics.items() if name != metric}
        document["result"] = {**others, "loss": -trial.score if highest else trial.score, "status": "ok"}
    return document


def _document(tid: int, labels: Sequence[str], values: Values, exp_key: str | None) -> dict[str, Any]:
    """Return a trial that is still to be evaluated, as hyperopt writes it."""
    misc = {
        "tid": tid,
        "cmd": ("domain_attachment", "FMinIter_Domain"),
        "workdir": None,
        "idxs": {label: [tid] if label in values else [] for label in labels},
        "vals": {label: [values[label]] if label in values else [] for label in labels},
    }
    return {
        "state": _NEW,
        "tid": tid,
        "spec": None,
        "result": {"status": "new"},
        "misc": misc,
        "exp_key": exp_key,
        "owner": None,
        "version": 0,
        "book_time": None,
        "refresh_time": None,
    }


def _assignment(run: Run, space: Any, hyperopt: Any) -> Values | None:
    """Return what each active label of a space was in a run; None when that cannot be told."""
    params = to_dict(run.params)
    return _told_values(run, params, space, hyperopt) or _traced(params, space, hyperopt)


def _told_values(run: Run, params: Mapping[str, Any], space: Any, hyperopt: Any) -> Values | None:
    """Return the values that the run says hyperopt drew, if this space resolves them to the run's params."""
    told = run.environment.get("hyperopt")
    drawn = told.get("vals") if isinstance(told, Mapping) else None
    if not isinstance(drawn, Mapping) or not drawn:
        return None
    values = {label: _drawn(one, drawn[label]) for label, one in _distributions(space).items() if label in drawn}
    if None in values.values():
        return None  # nothing of the user's is computed with a number that the space never draws: a ledger is anybody's
    try:
        resolved = _named(plain(hyperopt.space_eval(space, values)), space)
    except Exception:  # noqa: BLE001 - nodes of the user's own are evaluated
        return None
    there = flatten(params)
    fits = all(path in there and same(there[path], value) for path, value in flatten(resolved).items())
    return values if fits else None


# -- a space, traced back -------------------------------------------------------------------------------------------------


def _distributions(space: Any) -> dict[str, Any]:
    """Return the labels of a space, in its order, each with what it is drawn from."""
    pyll = library("hyperopt.pyll", "hyperopt")
    nodes = pyll.dfs(pyll.as_apply(space))
    return {node.arg["label"].obj: node.arg["obj"] for node in nodes if node.name == "hyperopt_param"}


def _traced(params: dict[str, Any], space: Any, hyperopt: Any) -> Values | None:
    """Return the one assignment under which a space resolves to params, or to a part of them; None when there is no one."""
    node = hyperopt.pyll.as_apply(space)
    for value, exact in _shapes(params, space):
        ways = list(islice(_ways(node, value, exact=exact), 2))
        if ways:
            return ways[0] if len(ways) == 1 else None
    return None


def _shapes(params: dict[str, Any], space: Any) -> Iterator[tuple[Any, bool]]:
    """Yield what the space may have resolved to, and whether it must be all of it: the reverse of `_named`."""
    yield params, True
    yield params, False
    count = next((place for place in range(len(params)) if f"x{place}" not in params), len(params))
    if count:
        yield [params[f"x{place}"] for place in range(count)], True
    labels = list(_distributions(space))
    name = labels[0] if len(labels) == 1 else "x"
    if name in params:
        yield params[name], True


def _ways(node: Any, value: Any, *, exact: bool = True) -> Iterator[Values]:
    """Yield the assignments under which a node of a space resolves to a value.

    Args:
        node: of hyperopt's graph.
        value: plain.
        exact: whether a mapping may hold nothing else.
    """
    if node.name == "literal":
        if same(plain(node.obj), value):
            yield {}
    elif node.name == "switch":
        yield from _ways_of_switch(node, value, exact)
    elif node.name == "dict" and node.named_args:
        yield from _ways_of_mapping(dict(node.named_args), value, exact)
    elif node.name == "pos_args":
        if isinstance(value, list) and len(value) == len(node.pos_args):
            yield from _joined([list(_ways(one, part)) for one, part in zip(node.pos_args, value, strict=True)])
    elif node.name in ("float", "int"):
        is_typed = isinstance(value, int) if node.name == "int" else isinstance(value, int | float)
        if is_typed and not isinstance(value, bool):
            yield from _ways(node.pos_args[0], value)
    elif node.name == "hyperopt_param":
        number = _drawn(node.arg["obj"], value)
        if number is not None:
            yield {node.arg["label"].obj: number}


def _ways_of_switch(node: Any, value: Any, exact: bool) -> Iterator[Values]:
    index, *options = node.pos_args
    if index.name != "hyperopt_param":
        return
    label = index.arg["label"].obj
    for place, option in enumerate(options):
        for way in _ways(option, value, exact=exact):
            yield {**way, label: place}


def _ways_of_mapping(nodes: Mapping[str, Any], value: Any, exact: bool) -> Iterator[Values]:
    if not isinstance(value, dict) or not nodes.keys() <= value.keys() or (exact and nodes.keys() != value.keys()):
        return
    yield from _joined([list(_ways(node, value[key])) for key, node in nodes.items()])


def _joined(parts: Sequence[Sequence[Values]]) -> Iterator[Values]:
    """Yield each choice of one assignment a part in which no label is two things."""
    for chosen in islice(product(*parts), _MOST_WAYS):
        whole: Values = {}
        for way in chosen:
            if any(whole.get(label, number) != number for label, number in way.items()):
                break
            whole.update(way)
        else:
            yield whole


def _drawn(distribution: Any, value: Any) -> int | float | None:
    """Return a number as a distribution draws it; None when it never does."""
    number = as_number(value)
    if number is None:
        return None
    name, low, high, step = distribution.name, *(_argument(distribution, one) for one in ("low", "high", "q"))
    if name in ("randint", "categorical", "randint_via_categorical"):
        return _whole(number, low, high)
    if "log" in name:
        if number < 0 or (number == 0 and not step):
            return None
        low, high = (None if bound is None else math.exp(bound) for bound in (low, high))
    slack = (step or 0.0) / 2 + 1e-9 * max(abs(number), 1e-300)
    is_inside = (low is None or number >= low - slack) and (high is None or number <= high + slack)
    return number if is_inside else None


def _whole(number: float, low: float | None, high: float | None) -> int | None:
    least, beyond = (0.0, low) if high is None else (low or 0.0, high)
    is_inside = number == int(number) and number >= least and (beyond is None or number < beyond)
    return int(number) if is_inside else None


def _argument(distribution: Any, name: str) -> float | None:
    """Return a bound of a distribution; None when it has none, or one that is drawn itself."""
    return as_number(getattr(distribution.arg.get(name), "obj", None))
