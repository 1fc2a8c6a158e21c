"""Optuna: each trial is a run, live or from any storage, and any recorded runs are a study for Optuna's own tools."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitparams.capture.objects import plain_mapping
from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.foreign import ForeignRun
from gitparams.integrations import library
from gitparams.model import Metric, Run, Status, now
from gitparams.params import path_keys, path_text
from gitparams.recorder import ActiveRun, begin
from gitparams.space import Dimension, Space, Trial, as_number, space_of, word
from gitparams.tuning import TrialRecorder
from gitparams.values import Value
from gitparams.writing import Beginning

if TYPE_CHECKING:
    import optuna

_SQLITE = re.compile(r"sqlite(?:\+\w+)?:///(?P<path>[^?]+)")
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@/\s]*@")
_RUN = "gitparams_run"
"""The user attribute of a trial that was recorded while it ran: its run's id."""


# -- runs as a study ------------------------------------------------------------------------------------------------------


def study_of(
    runs: Iterable[Run],
    metric: str | None = None,
    directions: Mapping[str, Direction] | None = None,
    *,
    params: Sequence[str] = (),
    series: bool = False,
    storage: str | None = None,
    study_name: str = "gitparams",
) -> optuna.Study:
    """Return runs, whoever produced them, as an Optuna study: all of ``optuna.visualization`` works on it.

    A completed run with a finite score is a COMPLETE trial, a pruned one PRUNED, and what failed, or has no score, FAIL; runs
    that go on are left out. Distributions are those that Optuna recorded, where the runs are its own, else what values span.
    A param of numbers and words together is categorical, its values as words: Optuna cannot draw a mixture.

    Args:
        runs: in any order.
        metric, directions: as `space_of` takes them.
        params: the params that the trials have, by path; all that differ by default.
        series: whether the steps of the metric become intermediate values; each run is then read whole.
        storage: where the study is kept, an Optuna URL; in memory by default.
        study_name: its name there.

    Raises:
        UsageError: Optuna is not installed, no run has the metric, or a param is in none of the runs.
    """
    optuna = library("optuna", "optuna")
    space = space_of(runs, metric, directions)
    for path in params:
        space.dimension(path)
    distributions = _distributions(space, tuple(params), optuna)
    name = space.metric
    trials = [
        _frozen(trial, distributions, optuna, _steps(trial.run, name) if series and name else {})
        for trial in space.trials
        if trial.run.status.finished
    ]
    with quiet(optuna, optuna.exceptions.ExperimentalWarning):
        study = optuna.create_study(
            storage=storage, study_name=study_name, direction="maximize" if space.direction is Direction.MAX else "minimize"
        )
        if name is not None:
            study.set_metric_names([name])
        study.add_trials(trials)
    return study  # type: ignore[no-any-return]


def _distributions(space: Space, wanted: Sequence[str], optuna: Any) -> dict[str, Any]:
    """Return the distribution of each param that trials have: as Optuna recorded it, else as the values span it."""
    known = _recorded_distributions(space, optuna)
    chosen = {one.path: known.get(one.path) or _distribution(one, optuna) for one in space.dimensions}
    chosen |= known
    return {path: chosen[path] for path in wanted} if wanted else chosen


def _recorded_distributions(space: Space, optuna: Any) -> dict[str, Any]:
    """Return the distributions that all trials of Optuna agree about, and that every value of these runs is within."""
    told: dict[str, set[str]] = {}
    for trial in space.trials:
        for path, text in _told_by_optuna(trial.run).items():
            told.setdefault(path, set()).add(text)
    found = {}
    for path, texts in told.items():
        if len(texts) != 1:
            continue
        try:
            distribution = optuna.distributions.json_to_distribution(texts.pop())
        except (ValueError, TypeError, KeyError):
            continue  # a ledger is anybody's
        values = [trial.values[path] for trial in space.trials if path in trial.values]
        if all(_fits(distribution, value) for value in values):
            found[path] = distribution
    return found


def _told_by_optuna(run: Run) -> dict[str, str]:
    told = run.environment.get("optuna")
    distributions = told.get("distributions") if isinstance(told, Mapping) else None
    if not isinstance(distributions, Mapping):
        return {}
    return {path_text((str(name),)): str(text) for name, text in distributions.items()}


def _fits(distribution: Any, value: Value) -> bool:
    try:
        inner = distribution.to_internal_repr(value)
        return bool(distribution._contains(inner)) and type(distribution.to_external_repr(inner)) is type(value)
    except (ValueError, TypeError, OverflowError):
        return False


def _distribution(dimension: Dimension, optuna: Any) -> Any:
    if dimension.kind == "words":
        return optuna.distributions.CategoricalDistribution(dimension.words)
    if dimension.kind == "int" and abs(dimension.low) < 2**53 and abs(dimension.high) < 2**53:
        return optuna.distributions.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return optuna.distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _frozen(trial: Trial, distributions: Mapping[str, Any], optuna: Any, steps: Mapping[int, float]) -> Any:
    run = trial.run
    there = [path for path in distributions if path in trial.values]
    values = {_name(path): _external(distributions[path], trial.values[path], optuna) for path in there}
    states = optuna.trial.TrialState
    pruned = run.status is Status.PRUNED
    complete = run.status is Status.COMPLETED and math.isfinite(trial.score)
    return optuna.trial.FrozenTrial(
        number=-1,  # given by the study
        trial_id=-1,
        state=states.COMPLETE if complete else states.PRUNED if pruned else states.FAIL,
        value=trial.score if complete or (pruned and math.isfinite(trial.score)) else None,
        datetime_start=_local(run.started),
        datetime_complete=_local(run.finished or run.started),
        params=values,
        distributions={_name(path): distributions[path] for path in there},
        user_attrs={"run_id": run.id, **({"name": run.name} if run.name else {})},
        system_attrs={},
        intermediate_values=dict(steps),
    )


def _name(path: str) -> str:
    """Return what a param is called in Optuna: a key that is one is not quoted there."""
    keys = path_keys(path)
    return keys[0] if len(keys) == 1 else path


def _external(distribution: Any, value: Value, optuna: Any) -> Any:
    """Return a value as the distribution has it."""
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return value if _fits(distribution, value) else word(value)
    number = as_number(value)
    return value if number is None or isinstance(distribution, optuna.distributions.IntDistribution) else number


def _steps(run: Run, metric: str) -> dict[int, float]:
    """Return the series of a metric, the last value of each whole step."""
    series = getattr(run, "series", {}).get(metric)
    return {int(step.step): float(step.value) for step in series or () if step.step >= 0 and float(step.step).is_integer()}


def _local(moment: datetime) -> datetime:
    """Return a moment as Optuna keeps times: the local clock, without its offset."""
    return moment.astimezone().replace(tzinfo=None)


@contextmanager
def quiet(optuna: Any, kind: type[Warning]) -> Iterator[None]:
    """Keep Optuna from telling about the study that is made, and Python from warnings of a kind."""
    import warnings

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", kind)
            yield
    finally:
        optuna.logging.set_verbosity(level)


# -- trials as runs -------------------------------------------------------------------------------------------------------


class GitParamsCallback:
    """Records each trial of a study when it ends: ``study.optimize(objective, callbacks=[GitParamsCallback()])``.

    Params keep their types, reported values are steps, pruned and failed are statuses, the study's name is the experiment.
    A study that is optimized by several threads or processes, and one that is imported later, gives each trial one run.

    Args:
        metric: the name of the value; of several objectives each has the study's metric name, else ``value_0`` ….
        experiment: the experiment, when it is not the study's name.
        tags: tags of every run.
    """

    def __init__(self, metric: str = "value", *, experiment: str | None = None, tags: Sequence[str] = ()) -> None:
        self.metric, self.experiment, self.tags = metric, experiment, tuple(tags)
        self._recorder = TrialRecorder()

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """Record a trial that ended; Optuna calls this."""
        if _RUN not in trial.user_attrs:
            self._recorder.record([self._foreign(study, trial)])

    def _foreign(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> ForeignRun:
        names = _metric_names(study, self.metric)
        return _foreign(study.study_name, trial, names, self.experiment or study.study_name, self.tags)

    def track(self, objective: Callable[[optuna.Trial], Any]) -> Callable[[optuna.Trial], Any]:
        """Return an objective whose trials are runs while they go on: what is logged inside one is logged to its run.

        ``gitparams.start`` is not needed within; Lightning's callback and others find the run that goes on.
        """

        def tracked(trial: optuna.Trial) -> Any:
            optuna = library("optuna", "optuna")
            beginning = Beginning(experiment=self.experiment or trial.study.study_name, tags=self.tags)
            run = begin(None, beginning)
            if run.id is not None and not run.finished:
                trial.set_user_attr(_RUN, run.id)
            try:
                returned = objective(trial)
            except optuna.TrialPruned:
                self._ended(run, trial, None)
                run.finish("pruned")
                raise
            except BaseException as error:
                self._ended(run, trial, None)
                run.finish("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
                raise
            self._ended(run, trial, returned)
            run.finish("completed" if _is_score(returned) else "failed")
            return returned

        return tracked

    def _ended(self, run: ActiveRun, trial: optuna.Trial, returned: Any) -> None:
        run.update(dict(trial.params), "optuna")
        frozen = trial.study._storage.get_trial(trial._trial_id)
        for step, value in sorted(frozen.intermediate_values.items()):
            run.log({self.metric: value}, step=step)
        values = returned if isinstance(returned, Sequence) else [returned]
        for name, value in zip(_metric_names(trial.study, self.metric), values, strict=False):
            number = _number(value)
            if number is not None:
                run.summary[name] = number


def _is_score(returned: Any) -> bool:
    values = returned if isinstance(returned, Sequence) else [returned]
    return all((number := _number(value)) is not None and not math.isnan(number) for value in values)


def _number(value: Any) -> Metric | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _metric_names(study: Any, single: str) -> list[str]:
    """Return what the values of a study are called."""
    named: list[str] | None = study.metric_names
    if named:
        return list(named)
    return [single] if len(study.directions) == 1 else [f"{single}_{place}" for place in range(len(study.directions))]


def _foreign(study: str, trial: Any, names: Sequence[str], experiment: str, tags: Sequence[str] = ()) -> ForeignRun:
    """Return a finished trial as a run."""
    optuna = library("optuna", "optuna")
    states = {"COMPLETE": Status.COMPLETED, "PRUNED": Status.PRUNED}
    started = _moment(trial.datetime_start) or _moment(trial.datetime_complete) or now()
    steps = [(step, started.timestamp(), {names[0]: value}) for step, value in sorted(trial.intermediate_values.items())]
    distributions = {
        name: optuna.distributions.distribution_to_json(distribution) for name, distribution in trial.distributions.items()
    }
    attributes = plain_mapping({name: value for name, value in trial.user_attrs.items() if name != _RUN})
    told: dict[str, Value] = {"study": study, "number": trial.number, "distributions": distributions}
    return ForeignRun(
        key=("optuna", study, str(trial.number), str(trial.datetime_start)),
        params=plain_mapping(trial.params),
        status=states.get(trial.state.name, Status.FAILED),
        started=started,
        finished=_moment(trial.datetime_complete),
        metrics=_metrics(trial, names),
        series=steps,
        experiment=experiment,
        tags=tuple(tags),
        environment={"optuna": told if not attributes else {**told, "user_attrs": attributes}},
    )


def _metrics(trial: Any, names: Sequence[str]) -> dict[str, Metric]:
    if trial.values is not None:
        return dict(zip(names, trial.values, strict=False))
    last = trial.last_step
    return {} if last is None else {names[0]: trial.intermediate_values[last]}


def _moment(time: datetime | None) -> datetime | None:
    """Return a time of Optuna's, which is local and without offset, with it."""
    return None if time is None else time.astimezone()


# -- studies of a storage -------------------------------------------------------------------------------------------------


def foreign_runs(place: str, only: str | None, say: Callable[[str], None]) -> Iterator[ForeignRun]:
    """Yield the finished trials of the studies in a storage.

    Args:
        place: an Optuna URL (``sqlite:///study.db``), the file of a SQLite database, or that of a journal.
        only: the one study to read.
        say: told how many trials are not finished yet.

    Raises:
        UsageError: the storage cannot be opened, holds no study, or not that one.
    """
    optuna = library("optuna", "optuna")
    with quiet(optuna, optuna.exceptions.ExperimentalWarning):
        storage = _storage(place, optuna)
        try:
            names = optuna.get_all_study_names(storage)
        except Exception as error:  # noqa: BLE001  a database's driver raises what it likes
            raise UsageError(f"{_shown(place)} cannot be read as a storage of Optuna: {_first_line(error)}") from None
        if only is not None and only not in names:
            there = ", ".join(names[:5]) or "none"
            raise UsageError(f"{_shown(place)} holds no study {only!r}; there is {there}.")
        if not names:
            raise UsageError(f"{_shown(place)} holds no study.")
        for name in names if only is None else [only]:
            study = optuna.load_study(study_name=name, storage=storage)
            yield from _finished(study, say)


def _finished(study: Any, say: Callable[[str], None]) -> Iterator[ForeignRun]:
    names, waiting = _metric_names(study, "value"), 0
    for trial in study.get_trials(deepcopy=False):
        if not trial.state.is_finished():
            waiting += 1
        elif _RUN not in trial.user_attrs:
            yield _foreign(study.study_name, trial, names, study.study_name)
    if waiting:
        say(f"{waiting} {'trial' if waiting == 1 else 'trials'} of {study.study_name} not finished yet: bring them in later.")


def _storage(place: str, optuna: Any) -> Any:
    """Return a storage that is there; looking makes none. Raises `UsageError`."""
    match = _SQLITE.fullmatch(place.partition("?")[0])
    if match is None and "://" in place:
        return _opened(place, place, optuna)
    path = Path(match["path"] if match else place)
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", hint="gitparams import optuna sqlite:///study.db")
    with path.open("rb") as file:
        head = file.read(16)
    if head == b"SQLite format 3\0":
        return _opened(f"sqlite:///{path}", place, optuna)
    if not head.startswith(b"{"):
        raise UsageError(f"{path} is neither a SQLite database nor a journal of Optuna.")
    # The journal is read; a lock beside it would be a file that nobody asked for.
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    try:
        return optuna.storages.JournalStorage(backend)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged: {_first_line(error)}") from None


def _opened(url: str, place: str, optuna: Any) -> Any:
    try:
        return optuna.storages.RDBStorage(url)
    except Exception as error:  # noqa: BLE001  a database's driver raises what it likes
        raise UsageError(f"{_shown(place)} cannot be opened: {_first_line(error)}") from None


def _shown(place: str) -> str:
    return _PASSWORD.sub(r"\1…@", place)


def _first_line(error: Exception) -> str:
    text = _PASSWORD.sub(r"\1…@", str(error)).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
