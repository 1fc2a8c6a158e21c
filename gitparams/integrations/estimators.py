"""Estimators: what scikit-learn's hold, as nested typed params, and what a search found out about each of its candidates."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitparams.capture.objects import key_texts, plain
from gitparams.model import Metric, Status
from gitparams.values import Value

CLASS = "class"
"""The key of an estimator's class beside its params: a word that no Python function can have as a parameter."""
_NO_ESTIMATOR = ("drop", "passthrough", None)
"""What may stand in the place of a step of a Pipeline or of a ColumnTransformer."""


# -- params ---------------------------------------------------------------------------------------------------------------


def params_of(estimator: Any) -> dict[str, Value]:
    """Return an estimator's class and its params as a nested mapping, steps and the like by their names.

    ``{"class": "Pipeline", "steps": ["scale", "clf"], "clf": {"class": "SVC", "C": 1.0, …}, …}``
    """
    own = dict(estimator.get_params(deep=False))
    parts = {name: part for value in own.values() if _is_composition(value) for name, part, *_ in value}
    values = {name: _composition(value) if _is_composition(value) else _value(value) for name, value in own.items()}
    return {CLASS: type(estimator).__name__, **values, **{name: _value(part) for name, part in parts.items()}}


def class_of(estimator: Any) -> str:
    """Return the whole name of an estimator's class."""
    kind = type(estimator)
    return f"{kind.__module__}.{kind.__qualname__}"


def with_params(params: Mapping[str, Value], changes: Mapping[str, Any]) -> dict[str, Value]:
    """Return an estimator's params after its ``set_params``.

    Args:
        params: as `params_of` gives them; they stay as they are.
        changes: ``clf__C`` → the value.

    >>> with_params({"clf": {"class": "SVC", "C": 1.0}, "verbose": False}, {"clf__C": 10})
    {'clf': {'class': 'SVC', 'C': 10}, 'verbose': False}
    """
    result = dict(params)
    for name in sorted(changes, key=lambda name: name.count("__")):  # an estimator comes before its own params
        result = _put(result, name.split("__"), _value(changes[name]))
    return result


def space_of(candidates: Any) -> Value:
    """Return what a search chooses from: a grid, distributions, or a list of these."""
    return _value(candidates)


def _put(params: Mapping[str, Value], keys: Sequence[str], value: Value) -> dict[str, Value]:
    if len(keys) == 1:
        return {**params, keys[0]: value}
    inner = params.get(keys[0])
    return {**params, keys[0]: _put(inner if isinstance(inner, Mapping) else {}, keys[1:], value)}


def _value(value: Any) -> Value:
    if _is_estimator(value):
        return params_of(value)
    if isinstance(value, dict):
        return dict(zip(key_texts(list(value)), map(_value, value.values()), strict=True))
    if type(value) in (list, tuple) and not all(type(item) in (int, float, str, bool) for item in value):
        return [_value(item) for item in value]
    frozen = getattr(value, "dist", None)  # a distribution of scipy with its params, whose repr is an address
    if frozen is not None and hasattr(value, "rvs"):
        words = [*map(_word, value.args), *(f"{name}={_word(one)}" for name, one in value.kwds.items())]
        return f"{frozen.name}({', '.join(words)})"
    return plain(value)


def _word(value: Any) -> str:
    return repr(plain(value))


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _is_composition(value: Any) -> bool:
    """Tell whether a param is the parts of an estimator: ``[("scale", StandardScaler()), ("clf", SVC())]``."""
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(
        isinstance(part, tuple) and len(part) > 1 and isinstance(part[0], str) and _may_be_part(part[1]) for part in value
    )


def _may_be_part(value: Any) -> bool:
    return _is_estimator(value) or value is None or (isinstance(value, str) and value in _NO_ESTIMATOR)


def _composition(parts: Sequence[tuple[Any, ...]]) -> Value:
    """Return the names of the parts in their order, or each name with the columns that it is for."""
    if all(len(part) == 2 for part in parts):
        return [part[0] for part in parts]
    return {part[0]: _value(part[2]) if len(part) == 3 else _value(list(part[2:])) for part in parts}


# -- data -----------------------------------------------------------------------------------------------------------------


def shape_of(data: Any) -> dict[str, Value]:
    """Return how many samples there are and of how many features, as far as the data say so."""
    shape = getattr(data, "shape", None)
    if shape is None:
        return {"n_samples": len(data)} if hasattr(data, "__len__") else {}
    sizes = dict(zip(("n_samples", "n_features"), shape, strict=False))
    return {name: int(size) for name, size in sizes.items() if isinstance(size, int)}


# -- results --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate of a search.

    Attributes:
        params: what the search set: ``clf__C`` → the value.
        status: ``failed`` when a score is none, ``pruned`` when halving left it behind.
        metrics: mean and ``_std`` of each score over the folds, ``fit_seconds``.
        series: (step, numbers by name): the folds; of halving the rounds, by what a candidate was given in them.
        seconds: how long all its folds took together.
        best: whether the search chose it.
    """

    params: Mapping[str, Any]
    status: Status
    metrics: Mapping[str, Metric]
    series: Sequence[tuple[float, Mapping[str, Metric]]]
    seconds: float
    best: bool


def candidates_of(search: Any) -> list[Candidate]:
    """Return what a search that was fitted found out, a candidate each in the order in which they were tried.

    Halving tries one candidate several times with growing resources: it is one, as it stood in the end.
    """
    results = search.cv_results_
    best = getattr(search, "best_index_", None)
    if "n_resources" not in results:
        return [_candidate(results, row, row == best) for row in range(len(results["params"]))]
    last = int(max(results["iter"]))
    return [_halved(results, rows, rows[-1] == best, last) for rows in _rounds(results, search.resource)]


def folds_of(scores: Mapping[str, Any]) -> tuple[dict[str, Metric], list[tuple[float, dict[str, Metric]]]]:
    """Return the metrics, and the folds as steps, of what `cross_validate` returned."""
    named = {_metric(name): list(map(float, values)) for name, values in scores.items() if name.startswith(("test_", "train_"))}
    metrics: dict[str, Metric] = {}
    for name, values in named.items():
        mean = math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan
        metrics[name] = mean
        metrics[f"{name}_std"] = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    if "fit_time" in scores:
        metrics["fit_seconds"] = float(sum(scores["fit_time"]) / len(scores["fit_time"]))
    count = max(map(len, named.values()), default=0)
    return metrics, [(fold, {name: values[fold] for name, values in named.items()}) for fold in range(count)]


def _metric(name: str) -> str:
    """Return what a score of scikit-learn's results is called: ``test_score`` is the score, ``train_score`` that."""
    return name.removeprefix("test_")


def _candidate(results: Mapping[str, Any], row: int, best: bool) -> Candidate:
    metrics = _metrics(results, row)
    folds: dict[int, dict[str, Metric]] = {}
    for name, values in results.items():
        fold, _, score = name.partition("_")
        if fold.startswith("split") and fold[5:].isdigit():
            folds.setdefault(int(fold[5:]), {})[_metric(score)] = float(values[row])
    return Candidate(
        params=results["params"][row],
        status=Status.FAILED if _failed(results, row) else Status.COMPLETED,
        metrics=metrics,
        series=sorted(folds.items(), key=lambda fold: fold[0]),
        seconds=_seconds(results, row) * max(len(folds), 1),
        best=best,
    )


def _halved(results: Mapping[str, Any], rows: Sequence[int], best: bool, last: int) -> Candidate:
    whole = [_candidate(results, row, best) for row in rows]
    final = whole[-1]
    left_behind = final.status is Status.COMPLETED and int(results["iter"][rows[-1]]) < last
    return Candidate(
        params=final.params,
        status=Status.PRUNED if left_behind else final.status,
        metrics=final.metrics,
        series=[(int(results["n_resources"][row]), one.metrics) for row, one in zip(rows, whole, strict=True)],
        seconds=sum(one.seconds for one in whole),
        best=best,
    )


def _rounds(results: Mapping[str, Any], resource: str) -> Iterator[list[int]]:
    """Yield the rows of each candidate. The resource may be a param of it; of two equal ones the first stays the first."""
    found: dict[tuple[str, int], list[int]] = {}
    seen: Counter[tuple[int, str]] = Counter()
    for row, params in enumerate(results["params"]):
        said = json.dumps({name: _value(value) for name, value in params.items() if name != resource}, sort_keys=True)
        place = (int(results["iter"][row]), said)
        found.setdefault((said, seen[place]), []).append(row)
        seen[place] += 1
    yield from found.values()


def _metrics(results: Mapping[str, Any], row: int) -> dict[str, Metric]:
    metrics: dict[str, Metric] = {}
    for name, values in results.items():
        for scores in ("test_", "train_"):
            if name.startswith(f"mean_{scores}"):
                score = name.removeprefix("mean_")
                metrics[_metric(score)] = float(values[row])
                metrics[f"{_metric(score)}_std"] = float(results[f"std_{score}"][row])
    if "mean_fit_time" in results:
        metrics["fit_seconds"] = float(results["mean_fit_time"][row])
    return metrics


def _failed(results: Mapping[str, Any], row: int) -> bool:
    return any(name.startswith("mean_test_") and math.isnan(values[row]) for name, values in results.items())


def _seconds(results: Mapping[str, Any], row: int) -> float:
    return float(sum(results[name][row] for name in ("mean_fit_time", "mean_score_time") if name in results))
