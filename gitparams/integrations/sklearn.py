"""scikit-learn: an estimator that is fitted is a run, a search a group of a run a candidate, and scores are their metrics."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from numbers import Real
from typing import Any

from gitparams.errors import GitParamsError
from gitparams.foreign import ForeignRun
from gitparams.integrations.estimators import (
    CLASS,
    Candidate,
    candidates_of,
    class_of,
    folds_of,
    params_of,
    shape_of,
    space_of,
    with_params,
)
from gitparams.integrations.overhearing import DOORS, FITS, PREDICTIONS, VALIDATIONS, Call
from gitparams.model import Metric, RunId, new_run_id, now
from gitparams.presence import host
from gitparams.recorder import ActiveRun, begin, current, harmless, has_begun, is_beside, reports_folder
from gitparams.repository import Repository
from gitparams.tuning import TrialRecorder
from gitparams.values import Value, same
from gitparams.writing import Beginning

_SYSTEM = "sklearn"
_PREPARED = "prepared"
"""The key of the transformers that were fitted before, each by its class."""
_REMEMBERED = 64
"""Of so many estimators, and of so many predictions, it is known which run they are of."""
_FREE_SECONDS, _SHARE = 0.25, 0.05
"""What becomes known of a run after its end is written at once, as long as that takes no more time than this, and later no
more than this share of the time; the rest is written in the end."""


def autolog(on: bool = True) -> None:
    """Record what the program fits from now on, or stop it.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    global _autolog
    if on and not DOORS.are_open:
        _autolog = Autolog()
        DOORS.open(_autolog)
    elif not on and DOORS.are_open:
        DOORS.close()
        _autolog.close()


# -- what is known of what was fitted -------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Going:
    """A run that goes on, and what was fitted in it: what has other params is another run."""

    run: ActiveRun
    params: dict[str, Value]
    fitting: int = 0
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(eq=False)
class _Place:
    """Where a fit, or a cross-validation, is recorded.

    Attributes:
        run: its run.
        going: what is known of that, when it goes on afterwards; None for a run that ends with the fit.
        suffix: what tells its metrics from those of an equal one before it in the same run.
    """

    run: ActiveRun
    going: _Going | None = None
    suffix: str = ""

    @property
    def validated(self) -> bool:
        """Whether the run has scores of a cross-validation."""
        return self.going is not None and self.going.counts["validation"] > 0

    def say(self, metrics: Mapping[str, Metric]) -> None:
        """Add metrics to the run."""
        for name, value in metrics.items():
            self.run.summary[f"{name}{self.suffix}"] = value

    def end(self, error: BaseException | None = None) -> None:
        """End the run, when it does not go on."""
        if self.going is None:
            self.run.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        else:
            self.going.fitting -= 1


@dataclass(eq=False)
class _Fitted:
    """Where that goes which becomes known of an estimator after it was fitted.

    Attributes:
        run: the run it is in; None when that has ended. id: that run's id; None when nothing is recorded.
        validated: whether scores of that name are those of a cross-validation, so that others are called ``test_…``.
        suffix: as in `_Place`.
        data: what it was fitted to, then what else it was asked about, as long as that exists.
    """

    run: ActiveRun | None
    id: RunId | None
    validated: bool
    suffix: str
    data: list[Any]

    def name(self, metric: str, data: Any) -> str:
        """Return what a metric is called that was taken on some data: ``train_…`` on what the estimator was fitted to."""
        place = self._place_of(data)
        if place == 0:
            return f"train_{metric}{self.suffix}"
        prefix, number = "test_" if self.validated else "", f"_{place}" if place > 1 else ""
        return f"{prefix}{metric}{number}{self.suffix}"

    def _place_of(self, data: Any) -> int:
        for place, known in enumerate(self.data):
            if data is not None and known() is data:
                return place
        gone = next((place for place, known in enumerate(self.data) if place and known() is None), len(self.data))
        self.data[gone : gone + 1] = [_reference(data)]
        return gone


@dataclass(eq=False)
class _Known:
    """An estimator or a prediction, while it exists; of a prediction the data too that it was made of."""

    reference: Any
    fitted: _Fitted
    data: Any = None


def _reference(thing: Any) -> Any:
    try:
        return weakref.ref(thing)
    except TypeError:
        return _nothing  # a list: whether the same one comes again is not known


def _nothing() -> None:
    return None


# -- the listener ---------------------------------------------------------------------------------------------------------


class Autolog:
    """Hears what a program does with scikit-learn, and records it."""

    def __init__(self) -> None:
        self._trials = TrialRecorder()
        self._lock = threading.RLock()
        self._own = weakref.WeakSet[ActiveRun]()
        self._going: list[_Going] = []
        self._estimators: list[_Known] = []
        self._predictions: list[_Known] = []
        self._prepared: dict[str, dict[str, Value]] = {}
        self._waiting: dict[RunId, dict[str, Metric]] = {}
        self._pid = os.getpid()
        self._opened, self._spent = time.monotonic(), 0.0
        self._trained = False
        self._silent: bool | None = None
        atexit.register(self.close)

    def begins(self, call: Call) -> None:
        """Begin a run for what is fitted, or searched, or validated."""
        if call.name not in (*FITS, *VALIDATIONS) or is_beside() or self._is_silent():
            return
        call.notes["started"], call.notes["clock"] = now(), time.perf_counter()
        if call.name in VALIDATIONS:
            self._begin_fit(call, call.argument(0, "estimator"), call.argument(1, "X"), "validation")
        elif _is_search(call.owner):
            self._begin_search(call)
        elif not _is_preparation(call.owner):
            self._begin_fit(call, call.owner, call.argument(0, "X"), "fit")

    def ended(self, call: Call, result: Any) -> None:
        """Record what came of a call."""
        if "started" in call.notes:
            self._end_fit(call, result)
        elif call.name == "score":
            fitted = _find(self._estimators, call.owner)
            if fitted is not None:
                self._say(fitted.fitted, "score", call.argument(0, "X"), result)
        elif call.name in PREDICTIONS:
            fitted = _find(self._estimators, call.owner)
            if fitted is not None:
                _remember(self._predictions, result, fitted.fitted, call.argument(0, "X"))
        elif call.owner is None:
            self._hear_metric(call, result)

    def failed(self, call: Call, error: BaseException) -> None:
        """End the run of what failed."""
        place = call.notes.get("place")
        if place is not None:
            place.end(error)

    def close(self) -> None:
        """Write what waits; a program that fitted nothing but transformers has the last of them as its run."""
        atexit.unregister(self.close)
        if self._pid != os.getpid():
            return
        with self._lock, harmless("scikit-learn"):
            self._trials.close()  # at exit its repository is closed already
            self._write(everything=True)
            if self._prepared and not self._trained and not has_begun():
                self._record_preparation()
            self._prepared.clear()
            self._trials.close()

    def _is_silent(self) -> bool:
        """Tell whether the settings switch this off: ``sources: {sklearn: off}``."""
        if self._silent is None:
            try:
                with Repository.find() as repository:
                    self._silent = _SYSTEM in repository.writer.lenient_settings().silent
            except (GitParamsError, OSError):
                self._silent = False
        return self._silent

    # -- fits ---------------------------------------------------------------------------------------------------------

    def _begin_fit(self, call: Call, estimator: Any, data: Any, kind: str) -> None:
        params = self._with_prepared(params_of(estimator))
        with self._lock:
            self._trained = True
            call.notes["place"] = self._place_for(params, _facts(estimator, data), kind)

    def _with_prepared(self, params: dict[str, Value]) -> dict[str, Value]:
        return {**params, _PREPARED: dict(self._prepared)} if self._prepared and _PREPARED not in params else params

    def _place_for(self, params: dict[str, Value], facts: dict[str, Value], kind: str) -> _Place:
        """Return the place of a fit: the run that goes on, when this is the first there or has equal params, else a new one."""
        parent, going = None, self._around()
        if going is not None and (going.params is _NOTHING or same(going.params, params)):
            if going.params is _NOTHING:
                going.params = params
                going.run.update(params, _SYSTEM)
                going.run.describe(sklearn=facts)
            return _placed(going, kind)
        if going is not None and going.run not in self._own:
            parent = going.run.id
        elif going is not None and not going.fitting:
            going.run.finish()
        run = begin(None, Beginning(parent=parent, environment={_SYSTEM: facts}))
        self._own.add(run)
        run.update(params, _SYSTEM)
        if run.on_ledger:
            return _Place(run)
        self._going.append(_Going(run, params))
        return _placed(self._going[-1], kind)

    def _around(self) -> _Going | None:
        """Return the run that goes on here beside those of fits: one that the program began, else that of ``gitparams run``."""
        self._going = [going for going in self._going if not going.run.finished]
        here = current()
        if here is not None and here not in self._own:
            known = next((going for going in self._going if going.run is here), None)
            if known is None:
                known = _Going(here, _NOTHING)
                self._going.append(known)
            return known
        begun = [going for going in self._going if going.run not in self._own]  # in another thread
        return begun[0] if len(begun) == 1 else self._going[-1] if self._going else None

    def _end_fit(self, call: Call, result: Any) -> None:
        seconds = time.perf_counter() - call.notes["clock"]
        place, data = call.notes.get("place"), call.argument(0, "X")
        if "candidates" in call.notes:
            self._end_search(call)
        elif place is None:
            self._end_preparation(call.owner)
        elif call.name in VALIDATIONS:
            self._end_validation(call, place, result)
        else:
            place.say({"fit_seconds": seconds})
            fitted = _fitted(place, data)
            place.end()
            _remember(self._estimators, call.owner, fitted)
            if call.name == "fit_predict":
                _remember(self._predictions, result, fitted, data)

    def _end_validation(self, call: Call, place: _Place, result: Any) -> None:
        if call.name == "cross_val_predict":
            fitted = _fitted(place, None)
            fitted.validated = False  # these predictions are themselves those of the folds
            place.end()
            _remember(self._predictions, result, fitted, call.argument(1, "X"))
            return
        metrics, folds = folds_of(result if call.name == "cross_validate" else {"test_score": result})
        if place.going is None:
            for step, numbers in folds:
                place.run.log(numbers, step=step)
        place.say(metrics)
        place.end()

    # -- transformers -------------------------------------------------------------------------------------------------

    def _end_preparation(self, transformer: Any) -> None:
        params = params_of(transformer)
        name = str(params.pop(CLASS))
        self._prepared.pop(name, None)  # the last one stands last
        self._prepared[name] = params
        here = current()
        if here is not None and here not in self._own:
            here.update({_PREPARED: {name: params}}, _SYSTEM)
            self._trained = True

    def _record_preparation(self) -> None:
        name, params = self._prepared.popitem()
        run = begin(None, Beginning())
        run.update(self._with_prepared({CLASS: name, **params}), _SYSTEM)
        run.finish("failed" if getattr(sys, "last_value", None) is not None else "completed")

    # -- searches -----------------------------------------------------------------------------------------------------

    def _begin_search(self, call: Call) -> None:
        search = call.owner
        with self._lock:
            self._trained = True
            call.notes["candidates"] = self._with_prepared(params_of(search.estimator))
            call.notes["around"] = None
            around = self._around()
            if around is not None and around.run not in self._own:
                call.notes["around"] = around
                return
            if around is not None and not around.fitting:
                around.run.finish()
            if reports_folder() is not None:
                return  # the run of `gitparams run` is the group
            facts = {**_facts(search, call.argument(0, "X")), **_search_facts(search)}
            group = begin(None, Beginning(environment={_SYSTEM: facts}, group=True))
            self._own.add(group)
            self._trials.warned = self._trials.warned or not group.on_ledger
            call.notes["place"] = _Place(group)

    def _end_search(self, call: Call) -> None:
        search, notes = call.owner, call.notes
        place, around = notes.get("place"), notes["around"]
        try:
            found = candidates_of(search)
            runs = self._foreign(call, found)
            parent = place.run.id if place is not None else None
            brought = self._trials.record([replace(run, parent=parent) for run in runs])
        finally:
            if place is not None:
                place.end()
        best = next((run for run, candidate in zip(runs, found, strict=True) if candidate.best), None)
        if best is None:
            return
        recorded = best.id in brought and (place is None or place.run.on_ledger)
        fitted = _Fitted(None, best.id if recorded else None, True, "", [_reference(call.argument(0, "X"))])
        if around is not None and hasattr(search, "best_estimator_") and around.params is _NOTHING:
            around.params = dict(best.params)
            around.run.update(best.params, _SYSTEM)
            around.counts["validation"] += 1
            _Place(around.run, around).say(best.metrics)
            fitted.run = around.run
        for estimator in (search, getattr(search, "best_estimator_", None)):
            if estimator is not None:
                _remember(self._estimators, estimator, fitted)

    def _foreign(self, call: Call, found: Sequence[Candidate]) -> list[ForeignRun]:
        search, base, key = call.owner, call.notes["candidates"], new_run_id()
        facts = _facts(search.estimator, call.argument(0, "X"))
        started, refit = call.notes["started"], timedelta(seconds=getattr(search, "refit_time_", 0.0))
        times = _times(started, max(now() - refit, started), [candidate.seconds for candidate in found])
        return [
            ForeignRun(
                key=(_SYSTEM, key, str(number)),
                params=with_params(base, candidate.params),
                status=candidate.status,
                started=begun,
                finished=finished,
                metrics=candidate.metrics,
                series=[(step, finished.timestamp(), numbers) for step, numbers in candidate.series],
                tags=("best",) if candidate.best else (),
                command=tuple(sys.orig_argv),
                host=host(),
                environment={_SYSTEM: {**facts, "search": key, "candidate": number}},
            )
            for number, (candidate, (begun, finished)) in enumerate(zip(found, times, strict=True))
        ]

    # -- metrics ------------------------------------------------------------------------------------------------------

    def _hear_metric(self, call: Call, result: Any) -> None:
        """Record what a function of `sklearn.metrics` says of predictions of a fitted estimator."""
        for thing in (*call.arguments, *call.keywords.values()):
            known = _find(self._predictions, thing) or _find(self._predictions, getattr(thing, "base", None))
            known = known or next((one for one in self._estimators if _is_label(one.reference(), thing)), None)
            if known is not None:
                data = known.data() if known.data is not None else None
                self._say(known.fitted, _metric_name(call), data, result)
                return

    def _say(self, fitted: _Fitted, metric: str, data: Any, value: Any) -> None:
        if not isinstance(value, Real):
            return
        number: Metric = value if isinstance(value, int | float) else float(value)
        with self._lock:
            name = fitted.name(metric, data)
            if fitted.run is not None:
                fitted.run.summary[name] = number
            elif fitted.id is not None:
                self._waiting.setdefault(fitted.id, {})[name] = number
                self._write()

    def _write(self, *, everything: bool = False) -> None:
        begun = time.monotonic()
        if not everything and self._spent > _FREE_SECONDS + _SHARE * (begun - self._opened):
            return
        waiting, self._waiting = self._waiting, {}
        for run, metrics in waiting.items():
            self._trials.add_metrics(run, metrics)
        self._spent += time.monotonic() - begun


_autolog: Autolog
_NOTHING: dict[str, Value] = {}


def _placed(going: _Going, kind: str) -> _Place:
    going.fitting += 1
    going.counts[kind] += 1
    times = going.counts[kind]
    return _Place(going.run, going, f"_{times}" if times > 1 else "")


def _fitted(place: _Place, data: Any) -> _Fitted:
    run = None if place.going is None else place.run
    return _Fitted(run, place.run.id, place.validated, place.suffix, [_reference(data)])


def _remember(known: list[_Known], thing: Any, fitted: _Fitted, data: Any = None) -> None:
    """Remember of a thing which run it is of, instead of what was known of it before."""
    there = [one for one in known if one.reference() is not None and one.reference() is not thing]
    known[:] = [*there[1 - _REMEMBERED :], _Known(_reference(thing), fitted, None if data is None else _reference(data))]


def _find(known: Sequence[_Known], thing: Any) -> _Known | None:
    return next((one for one in reversed(known) if thing is not None and one.reference() is thing), None)


def _is_label(estimator: Any, thing: Any) -> bool:
    """Tell whether something is what an estimator found of the data that it was fitted to: its clusters."""
    return estimator is not None and thing is not None and vars(estimator).get("labels_") is thing


def _metric_name(call: Call) -> str:
    """Return what scikit-learn's own scorers call a metric: ``accuracy``, ``f1_macro``."""
    name = call.name.removesuffix("_score")
    average = call.keywords.get("average")
    return f"{name}_{average}" if isinstance(average, str) and average != "binary" else name


def _is_search(estimator: Any) -> bool:
    """Tell whether an estimator tries candidates: scikit-learn's searches, and those that others derived from them."""
    return hasattr(type(estimator), "_run_search") and hasattr(estimator, "estimator")


def _is_preparation(estimator: Any) -> bool:
    """Tell whether an estimator only transforms data for others."""
    can = {name for name in ("predict", "fit_predict", "transform", "fit_transform") if hasattr(estimator, name)}
    return bool(can) and can <= {"transform", "fit_transform"}


def _facts(estimator: Any, data: Any) -> dict[str, Value]:
    return {CLASS: class_of(estimator), **shape_of(data)}


def _search_facts(search: Any) -> dict[str, Value]:
    """Return how a search goes about it."""
    own = search.get_params(deep=False)
    return {name: space_of(value) for name, value in own.items() if name not in ("estimator", "verbose", "pre_dispatch")}


def _times(started: datetime, end: datetime, seconds: Sequence[float]) -> list[tuple[datetime, datetime]]:
    """Return when each candidate began and ended, of which only is known how long each took: they share the whole time."""
    whole = sum(seconds)
    moments, reached = [started], 0.0
    for taken in seconds:
        reached += taken
        moments.append(started + (end - started) * (reached / whole if whole > 0 else 1.0))
    return list(pairwise(moments))
