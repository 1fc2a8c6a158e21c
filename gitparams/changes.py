"""Changes: what differs between runs, in params, metrics, code and packages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from gitparams.directions import Direction, direction
from gitparams.model import Run
from gitparams.params import MISSING, Origin, flatten, leaves, path_text, to_dict
from gitparams.screens.items import changed_params, folded, item_text, metric_items, with_more
from gitparams.screens.numbers import difference
from gitparams.screens.terminal import Terminal
from gitparams.values import Value, printable, same

Kind = Literal["changed", "added", "removed", "type", "moved"]
Section = Literal["params", "metrics", "code", "packages", "environment", "seeds"]

_SUBJECT_PARAMS, _SUBJECT_METRICS = 3, 2
_MISSING_DOCUMENT: dict[str, Value] = {"missing": True}
_PACKAGE = re.compile(r"(.+?)(?:==| @ )(.*)")


@dataclass(frozen=True, slots=True)
class ParamChange:
    """One param that is not the same in all runs.

    Attributes:
        path: as it is written; an item of a list has its place in brackets, ``layers[1]``, or the name by which it was found
            again, ``layers[conv1]``.
        kind: ``type`` when the values are of several types; ``added`` and ``removed`` when only the last or the first has one;
            ``moved`` when an item of a list is the same and stands elsewhere: the values are then its places, from 0.
        values: one a run, `MISSING` where the run has none.
    """

    path: str
    kind: Kind
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class MetricChange:
    """One metric that is not the same in all runs.

    Attributes:
        name: its name.
        values: one a run, `MISSING` where the run has none.
        delta: the last minus the first, None when one is missing.
        better: whether the last is better than the first, None when there is no saying.
    """

    name: str
    values: tuple[Any, ...]
    delta: float | None = None
    better: bool | None = None


@dataclass(frozen=True, slots=True)
class CodeChange:
    """One file that differs between the code of two runs.

    Attributes:
        path: from the top of the work tree.
        added, removed: how many lines; None for a binary file.
        patch: the text of the change as ``git diff`` has it, where it was asked for.
    """

    path: str
    added: int | None
    removed: int | None
    patch: str = ""


@dataclass(frozen=True, slots=True)
class Naming:
    """How the word for one side of a difference came to mean its run.

    Attributes:
        word: as the person wrote it; empty for a side that was not named.
        how: in a few words for a person why it is this run, such as ``its params files: no run was recorded there`` or ``run at
            4f2c1a9, same tree``; empty where the word is the run's own id or name, or it was recorded at this commit.
    """

    word: str = ""
    how: str = ""


@dataclass(frozen=True, slots=True)
class RunDiff:
    """What differs between runs; true when anything does.

    Attributes:
        runs: the runs, in the order they were named.
        params: written path → change, sorted.
        metrics: name → change, sorted.
        code: the files that differ.
        packages: name → version in each run, None where it is not installed.
        environment: what differs of the places where they ran, by written path (``host``, ``python``, ``gpu``): a value a run.
        seeds: the seeds that differ and are no params: a value a run.
        equal_params: how many params are the same in all runs.
        ignored: how many params differ and were not looked at, or not by more than was allowed.
        origins: where the values of the params that differ came from, a mapping by path for each run; empty when not asked.
        names: how each run was named; empty where nobody named them.
    """

    runs: tuple[Run, ...]
    params: Mapping[str, ParamChange] = field(default_factory=dict)
    metrics: Mapping[str, MetricChange] = field(default_factory=dict)
    code: tuple[CodeChange, ...] = ()
    packages: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    environment: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    seeds: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    equal_params: int = 0
    ignored: int = 0
    origins: tuple[Mapping[str, Origin], ...] = ()
    names: tuple[Naming, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.params or self.metrics or self.code or self.packages)

    def only(self, *, params: bool = False, metrics: bool = False) -> RunDiff:
        """Return the chosen sections of the difference; all of it when none is chosen."""
        if not params and not metrics:
            return self
        return replace(
            self, params=self.params if params else {}, metrics=self.metrics if metrics else {}, code=(), packages={}
        )

    def to_json(self) -> dict[str, Any]:
        """Return the document of ``diff --json``."""
        origins = {path: [_origin(one.get(path)) for one in self.origins] for path in self.params if self.origins}
        return {
            **({"origins": origins} if origins else {}),
            "runs": [run.id for run in self.runs],
            "params": {
                path: {"kind": change.kind, "values": [_document(value) for value in change.values]}
                for path, change in self.params.items()
            },
            "metrics": {
                name: {"values": [_document(value) for value in change.values], "delta": printable(change.delta)}
                for name, change in self.metrics.items()
            },
            "code": [{"path": change.path, "added": change.added, "removed": change.removed} for change in self.code],
            "packages": {
                name: [_document(MISSING if version is None else version) for version in versions]
                for name, versions in self.packages.items()
            },
        }


def _origin(origin: Origin | None) -> dict[str, Any] | None:
    from gitparams.screens.documents import origin_document

    return origin_document(origin) if origin is not None else None


def compare(
    runs: Sequence[Run],
    *,
    keys: Sequence[str] = (),
    directions: Mapping[str, Direction] = {},
    code: Sequence[CodeChange] = (),
    packages: Sequence[Sequence[str]] | None = None,
) -> RunDiff:
    """Return what differs between two runs or more.

    Args:
        runs: the runs; lists of two are compared item by item, of more than two as a whole.
        keys: written paths, beginnings of them, or globs; only params that match one are compared.
        directions: which way of a metric is better, where its name does not tell.
        code: the files that differ.
        packages: the ``name==version`` lines of each run; none are compared when those of a run are not known.

    >>> from gitparams.model import Status, new_run_id, now
    >>> from gitparams.params import nested
    >>> one = Run(new_run_id(), Status.COMPLETED, now(), params=nested({"lr": 0.1, "layers": [64, 64], "seed": 1}))
    >>> two = Run(new_run_id(), Status.COMPLETED, now(), params=nested({"lr": 0.1, "layers": [64, 32], "amp": True}))
    >>> for change in compare([one, two]).params.values():
    ...     print(change.path, change.kind, change.values)
    amp added (MISSING, True)
    layers[1] changed (64, 32)
    seed removed (1, MISSING)
    """
    flat = [_only(flatten(run.params), keys) for run in runs]
    paths = dict.fromkeys(path for params in flat for path in params)
    rows = {path: tuple(params.get(path, MISSING) for params in flat) for path in paths}
    differing = {path: values for path, values in rows.items() if not _all_same(values)}
    equal = len(rows) - len(differing)
    if len(runs) == 2 and differing:
        differing = _only(_differing_deep(runs[0], runs[1]), keys)
    return RunDiff(
        runs=tuple(runs),
        params={path: ParamChange(path, _kind(values), values) for path, values in sorted(differing.items())},
        metrics=_metric_changes(runs, directions),
        code=tuple(code),
        packages=_package_changes(packages or ()),
        equal_params=equal,
    )


def summary(before: Run | None, after: Run, directions: Mapping[str, Direction]) -> str:
    """Return what changed in one line, for the subject of a commit.

    >>> from gitparams.model import Status, new_run_id, now
    >>> from gitparams.params import nested
    >>> one = Run(new_run_id(), Status.COMPLETED, now(), params=nested({"lr": 0.1}), metrics={"acc": 0.91})
    >>> two = Run(new_run_id(), Status.COMPLETED, now(), params=nested({"lr": 0.01}), metrics={"acc": 0.93})
    >>> summary(one, two, {}), summary(None, one, {})
    ('lr 0.1 → 0.01 · acc 0.91 → 0.93', 'first run of default · acc 0.91')
    """
    terminal = Terminal()
    metrics = metric_items(before, after, directions, terminal)
    if before is None:
        params = [f"first run of {terminal.cut(terminal.safe(after.experiment), 40)}"]
    else:
        params = [item_text(item, terminal) for item in folded(changed_params(before, after))] or ["same params"]
    shown = params[:_SUBJECT_PARAMS] + metrics[:_SUBJECT_METRICS]
    return with_more(shown, len(params) + len(metrics) - len(shown), terminal)


# -- params ---------------------------------------------------------------------------------------------------------------


def _differing_deep(before: Run, after: Run) -> dict[str, tuple[Any, ...]]:
    """Return path → both values, down to the items of lists."""
    from deepdiff import DeepDiff

    old, new = to_dict(before.params), to_dict(after.params)
    found = DeepDiff(
        _comparable(old) if old else {},
        _comparable(new) if new else {},
        view="tree",
        threshold_to_diff_deeper=0,  # else two mappings with little in common are one change
        ignore_nan_inequality=True,
        zip_ordered_iterables=True,  # else the items are matched by hash, where 1, 1.0 and True are one
    )
    changes: dict[str, tuple[Any, ...]] = {}
    for levels in found.values():
        for level in levels:
            keys = tuple(level.path(output_format="list"))
            sides = (dict(_leaves_at(old, keys)), dict(_leaves_at(new, keys)))
            for leaf in sides[0] | sides[1]:
                changes[_deep_path(leaf)] = (sides[0].get(leaf, MISSING), sides[1].get(leaf, MISSING))
    return changes


def _comparable(value: Any) -> Any:
    """Return the value with bytes, which no params hold, in place of what DeepDiff does not see as we do.

    To DeepDiff 0.0 is -0.0, and an empty mapping no value of its own.
    """
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()} or b"{}"
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, float) and value == 0 and str(value) == "-0.0":
        return b"-0.0"
    return value


def _leaves_at(value: Any, keys: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    for key in keys:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(value, dict) and value:
        for below, leaf in leaves(value):
            yield (*keys, *below), leaf
    else:
        yield keys, value


def _deep_path(keys: tuple[str | int, ...]) -> str:
    text = ""
    for key in keys:
        part = f"[{key}]" if isinstance(key, int) else path_text((key,))
        text += part if not text or part.startswith("[") else f".{part}"
    return text


def _kind(values: Sequence[Any]) -> Kind:
    if values[0] is MISSING and values[-1] is not MISSING:
        return "added"
    if values[-1] is MISSING and values[0] is not MISSING:
        return "removed"
    return "type" if len({type(value) for value in values if value is not MISSING}) > 1 else "changed"


def _only(flat: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {path: value for path, value in flat.items() if not keys or any(_matches(path, key) for key in keys)}


def _matches(path: str, key: str) -> bool:
    return path == key or path.startswith((f"{key}.", f"{key}[")) or key.startswith(f"{path}[") or fnmatchcase(path, key)


def _all_same(values: Sequence[Any]) -> bool:
    first = values[0]
    return all(value is first or (MISSING is not value and first is not MISSING and same(first, value)) for value in values[1:])


# -- metrics and packages -------------------------------------------------------------------------------------------------


def _metric_changes(runs: Sequence[Run], directions: Mapping[str, Direction]) -> dict[str, MetricChange]:
    changes = {}
    for name in sorted({name for run in runs for name in run.metrics}):
        values = tuple(run.metrics.get(name, MISSING) for run in runs)
        if not _all_same(values):
            delta = difference(values[0], values[-1])
            changes[name] = MetricChange(name, values, delta, _is_better(delta, direction(name, directions)))
    return changes


def _is_better(delta: float | None, way: Direction | None) -> bool | None:
    if delta is None or way is None or not (delta < 0 or delta > 0):
        return None
    return (delta > 0) == (way is Direction.MAX)


def _package_changes(packages: Sequence[Sequence[str]]) -> dict[str, tuple[str | None, ...]]:
    if not all(packages):
        return {}
    versions = [dict(_package(line) for line in lines) for lines in packages]
    names = sorted({name for installed in versions for name in installed})
    rows = {name: tuple(installed.get(name) for installed in versions) for name in names}
    return {name: row for name, row in rows.items() if len(set(row)) > 1}


def _package(line: str) -> tuple[str, str]:
    match = _PACKAGE.fullmatch(line)
    return (match[1], match[2]) if match else (line, "")


def _document(value: Any) -> Value:
    return dict(_MISSING_DOCUMENT) if value is MISSING else printable(value)
