"""Changes: what differs between runs, in params, metrics, code, packages, seeds and the places where they ran."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from gitparams.directions import Direction, direction
from gitparams.leniency import Leniency
from gitparams.model import Run
from gitparams.nested_diff import NAME_KEYS, kind_of, nested_changes
from gitparams.nested_diff import Kind as Kind
from gitparams.params import MISSING, Origin, flatten, unflatten
from gitparams.screens.items import changed_params, folded, item_text, metric_items, with_more
from gitparams.screens.numbers import difference
from gitparams.screens.terminal import Terminal
from gitparams.values import Value, encode_json, printable, same

Section = Literal["params", "metrics", "code", "packages", "environment", "seeds"]

_SUBJECT_PARAMS, _SUBJECT_METRICS = 3, 2
_STRICT = Leniency()
_MOST_LISTS = 50  # so many different lists of mappings are compared item by item
_MISSING_DOCUMENT: dict[str, Value] = {"missing": True}
# what differs from run to run though the place is the same: jobs and processes, and what Hydra tells of one job
_OF_ONE_RUN = (
    "job", "caller", "process", "hydra.job", "hydra.output_dir", "hydra.overrides", "variables.*_JOB*ID", "variables.*_TASK_ID",
)  # fmt: skip
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
        return bool(self.params or self.metrics or self.code or self.packages or self.environment or self.seeds)

    def only(self, sections: Collection[Section]) -> RunDiff:
        """Return the chosen sections of the difference; all of it when none is chosen.

        >>> RunDiff((), code=(CodeChange("train.py", 1, 0),), seeds={"PYTHONHASHSEED": ("0", "1")}).only(["seeds"]).code
        ()
        """
        if not sections:
            return self
        return replace(
            self,
            params=self.params if "params" in sections else {},
            metrics=self.metrics if "metrics" in sections else {},
            code=self.code if "code" in sections else (),
            packages=self.packages if "packages" in sections else {},
            environment=self.environment if "environment" in sections else {},
            seeds=self.seeds if "seeds" in sections else {},
        )

    def to_json(self) -> dict[str, Any]:
        """Return the document of ``diff --json``."""
        origins = {path: [_origin(origin_at(one, path)) for one in self.origins] for path in self.params if self.origins}
        return {
            **({"origins": origins} if origins else {}),
            **({"names": [{"word": name.word, "how": name.how} for name in self.names]} if self.names else {}),
            **({"ignored": self.ignored} if self.ignored else {}),
            "runs": [run.id for run in self.runs],
            "params": {
                path: {"kind": change.kind, "values": _documents(change.values)} for path, change in self.params.items()
            },
            "metrics": {
                name: {"values": _documents(change.values), "delta": printable(change.delta)}
                for name, change in self.metrics.items()
            },
            "code": [_code_document(change) for change in self.code],
            "packages": {
                name: _documents([MISSING if version is None else version for version in versions])
                for name, versions in self.packages.items()
            },
            "environment": {path: _documents(values) for path, values in self.environment.items()},
            "seeds": {path: _documents(values) for path, values in self.seeds.items()},
        }


def origin_at(origins: Mapping[str, Origin], path: str) -> Origin | None:
    """Return where the value at a path came from; for a place inside of a list, where the list did.

    >>> origin_at({"layers": Origin("file", "train.yaml:3")}, "layers[conv1].size")
    Origin(source='file', at='train.yaml:3', overrode=())
    """
    while path and path not in origins:
        path = path[: max(path.rfind("["), path.rfind("."), 0)]
    return origins.get(path)


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
    leniency: Leniency = _STRICT,
    names: Sequence[Naming] = (),
    origins: Sequence[Mapping[str, Origin]] = (),
) -> RunDiff:
    """Return what differs between two runs or more.

    Args:
        runs: the runs; lists of two are compared item by item. Of more than two, each is compared with the first: lists of
            mappings that have names item by item, other lists as a whole.
        keys: written paths, beginnings of them, or globs; only params that match one are compared.
        directions: which way of a metric is better, where its name does not tell.
        code: the files that differ.
        packages: the ``name==version`` lines of each run; none are compared when those of a run are not known.
        leniency: which differences of params do not count; a tolerance holds for metrics too.
        names: how each run was named.
        origins: where the values of the params came from, for each run.

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
    flat = [flatten(run.params) for run in runs]
    rows = _only(_rows(flat), keys)
    unlike = {path: values for path, values in rows.items() if not _all_alike(values, same)}
    changes, told = _two_changes(runs[0], runs[1], leniency) if len(runs) == 2 and unlike else _many_changes(unlike, leniency)
    return RunDiff(
        runs=tuple(runs),
        params=dict(sorted(_only(changes, keys).items())),
        metrics=_metric_changes(runs, directions, leniency),
        code=tuple(code),
        packages=_package_changes(packages or ()),
        environment=_environment_changes(runs),
        seeds=_seed_changes(runs, flat),
        equal_params=len(rows) - len(unlike),
        ignored=len(unlike.keys() - told),
        origins=tuple(origins),
        names=tuple(names),
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


def _rows(flat: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Return path → the value of each side, `MISSING` where it has none."""
    paths = dict.fromkeys(path for side in flat for path in side)
    return {path: tuple([side.get(path, MISSING) for side in flat]) for path in paths}


def _two_changes(before: Run, after: Run, leniency: Leniency) -> tuple[dict[str, ParamChange], set[str]]:
    """Return the changes between two runs, and which params they tell of."""
    found = nested_changes(before.params, after.params, leniency)
    changes = {change.path: ParamChange(change.path, change.kind, (change.old, change.new)) for change in found}
    return changes, {change.param for change in found}


def _many_changes(unlike: Mapping[str, tuple[Any, ...]], leniency: Leniency) -> tuple[dict[str, ParamChange], set[str]]:
    changes, told = dict[str, ParamChange](), set[str]()
    for path, values in unlike.items():
        if leniency.ignores(path) or _all_alike(values, leniency.same):
            continue
        named = _name_key(values)
        found = _by_item(path, values, named, leniency) if named else [ParamChange(path, kind_of(values), values)]
        changes |= {change.path: change for change in found}
        told |= {path} if found else set()
    return changes, told


def _name_key(lists: Sequence[Any]) -> str | None:
    """Return the key by which the items of several lists of mappings are found again in each; None when they are no such."""
    found = next((key for key in NAME_KEYS if all(_are_named(items, key) for items in lists)), None)
    many = found is not None and len({encode_json(items, indent=None) for items in lists}) > _MOST_LISTS
    return None if many else found


def _are_named(items: Any, key: str) -> bool:
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        return False
    names = [item.get(key, MISSING) for item in items]
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def _by_item(path: str, lists: Sequence[list[Any]], key: str, leniency: Leniency) -> list[ParamChange]:
    """Return what differs between the lists of several runs, each compared item by item with the first."""
    first = lists[0]
    pairs = [nested_changes(unflatten({path: first}), unflatten({path: items}), leniency) for items in lists[1:]]
    rows: dict[str, list[Any]] = {}
    moved: dict[str, str] = {}
    for place, found in enumerate(pairs, 1):
        for change in found:
            if change.kind == "moved":
                moved[change.path] = first[change.old][key]
            else:
                rows.setdefault(change.path, [change.old] * len(lists))[place] = change.new
    places = {row: tuple(_place_of(name, items, key) for items in lists) for row, name in moved.items()}
    changes = [ParamChange(row, kind_of(values), tuple(values)) for row, values in rows.items()]
    return [*changes, *(ParamChange(row, "moved", values) for row, values in places.items())]


def _place_of(name: str, items: Sequence[Any], key: str) -> Any:
    return next((place for place, item in enumerate(items) if item[key] == name), MISSING)


def _only(flat: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {path: value for path, value in flat.items() if not keys or any(_matches(path, key) for key in keys)}


def _matches(path: str, key: str) -> bool:
    return path == key or path.startswith((f"{key}.", f"{key}[")) or key.startswith(f"{path}[") or fnmatchcase(path, key)


def _all_alike(values: Sequence[Any], alike: Callable[[Any, Any], bool]) -> bool:
    first = values[0]
    return all(
        value is first or (MISSING is not value and first is not MISSING and alike(first, value)) for value in values[1:]
    )


# -- all the rest ---------------------------------------------------------------------------------------------------------


def _metric_changes(runs: Sequence[Run], directions: Mapping[str, Direction], leniency: Leniency) -> dict[str, MetricChange]:
    alike = replace(leniency, types=False).same if leniency.tolerant else leniency.same
    changes = {}
    for name, values in sorted(_rows([run.metrics for run in runs]).items()):
        if not _all_alike(values, alike):
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


def _environment_changes(runs: Sequence[Run]) -> dict[str, tuple[Any, ...]]:
    """Return what differs of the places where the runs ran; nothing when of one none is known."""
    places = [_place(run) for run in runs]
    if not all(places):
        return {}
    rows = sorted(_rows(places).items())
    return {path: values for path, values in rows if not _all_alike(values, same)}


def _place(run: Run) -> dict[str, Any]:
    told = {
        path: value for path, value in flatten(run.environment).items() if not any(_matches(path, part) for part in _OF_ONE_RUN)
    }
    said = {"host": run.host, "user": run.user, "python": run.python}
    return {**told, **{name: value for name, value in said.items() if value}}


def _seed_changes(runs: Sequence[Run], flat: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    rows = sorted(_rows([run.seeds for run in runs]).items())
    return {
        path: values for path, values in rows if not _all_alike(values, same) and not any(path in params for params in flat)
    }


def _code_document(change: CodeChange) -> dict[str, Any]:
    counts = {"path": change.path, "added": change.added, "removed": change.removed}
    return {**counts, "patch": change.patch} if change.patch else counts


def _documents(values: Sequence[Any]) -> list[Value]:
    return [dict(_MISSING_DOCUMENT) if value is MISSING else printable(value) for value in values]
