"""Neptune: the runs in its client's offline folders, and in the parquet files of neptune-exporter."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from gitparams.directions import direction
from gitparams.errors import ParamsError, UsageError
from gitparams.foreign import ForeignRun
from gitparams.integrations import library
from gitparams.model import Metric, Status
from gitparams.params import put
from gitparams.values import Value

_Path = tuple[str, ...]

_OLD = 600.0  # seconds
_LOG = re.compile(r"data-(?P<number>[0-9]+)\.log")
_CONTAINER = re.compile(r"(?:(?P<kind>[a-z_]+)__)?(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:__.*)?")
_CHUNK = 1 << 20  # letters
_ROWS = 1 << 16
_DEEPEST = 50  # keys of a path; what a person writes has five
_KEY = ("project_id", "run_id")
_COLUMNS = ("attribute_path", "attribute_type", "step", "timestamp")
_VALUES = {
    "int": "int_value",
    "float": "float_value",
    "string": "string_value",
    "bool": "bool_value",
    "datetime": "datetime_value",
    "string_set": "string_set_value",
    "float_series": "float_value",
}
_SINGLES: Mapping[str, tuple[type, ...]] = {
    "AssignFloat": (float, int),
    "AssignInt": (int,),
    "AssignBool": (bool,),
    "AssignString": (str,),
    "AssignDatetime": (int, float),
}
_FORGETS = ("DeleteAttribute", "ClearFloatLog", "ClearStringLog", "ClearStringSet", "ClearImageLog", "ClearArtifact")
_FILES = ("UploadFile", "UploadFileContent", "UploadFileSet", "LogImages", "AssignArtifact", "TrackFilesToArtifact")
_PARAMS = frozenset({"parameters", "params", "hyperparameters", "hyperparams", "hparams", "config", "cfg", "settings", "args"})
_RESULTS = frozenset({"metrics", "metric", "results", "result", "scores"})
_TAGS = (("sys", "tags"), ("sys", "group_tags"))
_NO_PARAMS = frozenset({"sys", "monitoring", "source_code"})


# -- one run --------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Told:
    """A run, as far as it was told."""

    project: str
    id: str
    created: datetime | None = None
    singles: dict[_Path, Value] = field(default_factory=dict)
    sets: dict[_Path, set[str]] = field(default_factory=dict)
    series: dict[_Path, list[tuple[float, float, float]]] = field(default_factory=dict)
    texts: set[_Path] = field(default_factory=set)
    files: set[_Path] = field(default_factory=set)
    first: float = math.inf  # seconds since 1970
    last: float = -math.inf

    def at(self, moment: float) -> None:
        """Note that something happened."""
        if math.isfinite(moment):
            self.first, self.last = min(self.first, moment), max(self.last, moment)

    def log(self, path: _Path, step: float | None, moment: float, value: float) -> None:
        """Note a step of a series; without one it is the next."""
        steps = self.series.setdefault(path, [])
        if step is None:
            step = steps[-1][0] + 1 if steps else 0
        steps.append((int(step) if float(step).is_integer() else step, moment, value))
        self.at(moment)

    def forget(self, path: _Path) -> None:
        """Note that an attribute was deleted."""
        self.singles.pop(path, None)
        self.sets.pop(path, None)
        self.series.pop(path, None)
        self.texts.discard(path)
        self.files.discard(path)

    def left(self, paths: set[_Path]) -> list[_Path]:
        """Return the paths that a person chose; Neptune keeps what it looks at itself in namespaces of its own."""
        return [path for path in paths if path[0] not in _NO_PARAMS]

    def names(self) -> set[str]:
        """All that ``--only`` may call it by."""
        names = {self.project, self.id, self._text("sys", "id"), self._text("sys", "custom_run_id"), self._text("sys", "name")}
        return names - {""}

    def foreign(self) -> ForeignRun:
        """Return it as one of ours is told."""
        params, metrics = self._params_and_metrics()
        started, finished = self._times()
        hosts = [str(value) for path, value in self.singles.items() if path[0] == "monitoring" and path[-1] == "hostname"]
        return ForeignRun(
            key=("neptune", self.project, self.id),
            params=params,
            status=Status.FAILED if self.singles.get(("sys", "failed")) is True else Status.COMPLETED,
            started=started,
            finished=finished,
            metrics=metrics,
            series=self._lines(started.timestamp()),
            name=self._text("sys", "name") or None,
            experiment=self.project.rpartition("/")[2] or "neptune",
            tags=tuple(sorted(set().union(*(self.sets.get(path, set()) for path in _TAGS)))),
            note=self._text("sys", "description"),
            host=self._text("sys", "hostname") or (hosts[0] if hosts else ""),
            user=self._text("sys", "owner"),
            environment={"neptune": self._rest()},
        )

    def _text(self, *path: str) -> str:
        value = self.singles.get(path)
        return value if isinstance(value, str) else ""

    def _params_and_metrics(self) -> tuple[dict[str, Value], dict[str, Metric]]:
        params: dict[str, Value] = {}
        metrics: dict[str, Metric] = {
            "/".join(path): steps[-1][2] for path, steps in self.series.items() if steps and path[0] != "monitoring"
        }
        sets: dict[_Path, Value] = {path: list[Value](sorted(words)) for path, words in self.sets.items()}
        for path, value in (self.singles | sets).items():
            if path[0] in _NO_PARAMS:
                continue
            if isinstance(value, int | float) and not isinstance(value, bool) and _is_result(path):
                metrics["/".join(path)] = value
                continue
            try:
                put(params, path, value)
            except ParamsError:
                params["/".join(path)] = value
        return params, metrics

    def _times(self) -> tuple[datetime, datetime]:
        created = self.created or _parsed(self._text("sys", "creation_time")) or _moment(self.first) or _moment(self.last)
        started = created or datetime.fromtimestamp(0, UTC)
        running = self.singles.get(("sys", "running_time"))
        ended = _moment(started.timestamp() + running) if isinstance(running, int | float) else None
        return started, max(filter(None, (started, ended, _moment(self.last))))

    def _lines(self, begun: float) -> list[tuple[float, float, dict[str, Metric]]]:
        lines: dict[tuple[float, float], dict[str, Metric]] = {}
        for path, steps in self.series.items():
            for step, moment, value in steps:
                line = lines.setdefault((moment if math.isfinite(moment) else begun, step), {})
                line["/".join(path)] = value
        return [(step, moment, lines[moment, step]) for moment, step in sorted(lines)]

    def _rest(self) -> dict[str, Value]:
        """Return what Neptune itself noted of a run, and is no field of ours."""
        rest: dict[str, Value] = {"id": self.id, **({"project": self.project} if self.project else {})}
        ours = {("sys", name) for name in ("name", "description", "hostname", "owner", "creation_time")}
        for path, value in self.singles.items():
            if path[0] in ("sys", "source_code") and path not in ours:
                rest["/".join(path)] = value
        return rest


def _is_result(path: _Path) -> bool:
    """Tell whether a single number is a result, and not a param."""
    words = {key.lower() for key in path[:-1]}
    return words.isdisjoint(_PARAMS) and (not words.isdisjoint(_RESULTS) or direction("/".join(path), {}) is not None)


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _parsed(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)


# -- finding --------------------------------------------------------------------------------------------------------------


def foreign_runs(place: str, only: str | None, say: Callable[[str], None]) -> Iterator[ForeignRun]:
    """Yield the runs that Neptune's client kept, or neptune-exporter wrote.

    Single values are params, nested by their paths; numbers in a namespace named ``metrics`` or ``results``, and those whose
    name says which way is better (``test/acc``), are metrics, except below ``parameters``, ``config`` and the like. Series of
    numbers are series, their last values metrics. What is in ``sys`` becomes name, note, tags, times, user and host. Files and
    series of texts stay where they are, and are counted.

    Args:
        place: a ``.neptune`` folder, one that holds it, one run's folder in it, or a folder or file of parquet.
        only: a project, or a run by its id or name; then one that may still go on too is brought in as it is.
        say: told of what cannot be read whole, and of what is left.

    Raises:
        UsageError: there is nothing of Neptune, not that run, or parquet and no pyarrow.
    """
    top = Path(place)
    if not top.exists():
        raise UsageError(f"There is no {place}.", hint="gitparams import neptune .neptune")
    logs, tables = _found(top)
    if not logs and not tables:
        raise UsageError(f"{place} holds neither logs of Neptune's client (data-1.log) nor parquet of neptune-exporter.")
    texts = files = known = waiting = 0
    for told in _told(logs, tables, say):
        if only is not None and only not in told.names():
            continue
        if only is None and time.time() - told.last < _OLD:
            waiting += 1
            continue
        known += 1
        texts += len(told.left(told.texts))
        files += len(told.left(told.files))
        yield told.foreign()
    if only is not None and not known:
        raise UsageError(f"{place} holds no run or project {only!r}.")
    if waiting:
        say(f"{_many(waiting, 'run')} may still go on: bring in later, or as it is now with --only ID.")
    if texts or files:
        say(f"{_many(files, 'file')} and {_many(texts, 'series of texts', 'series of texts')} are left where they are.")


def _told(logs: Sequence[Path], tables: Sequence[Path], say: Callable[[str], None]) -> Iterator[_Told]:
    yield from _offline(logs, say)
    if tables:
        yield from _exported(tables, say)


def _many(number: int, one: str, several: str | None = None) -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"


def _found(top: Path) -> tuple[list[Path], list[Path]]:
    """Return the logs, in their order, and the parquet files in a folder; of a file itself."""
    if top.is_file():
        return ([top], []) if _LOG.fullmatch(top.name) else ([], [top])
    logs, tables = [], []
    for folder, _, names in os.walk(top):
        logs += [Path(folder, name) for name in names if _LOG.fullmatch(name)]
        tables += [Path(folder, name) for name in names if name.endswith(".parquet")]
    return sorted(logs, key=lambda path: (path.parent, int(path.stem.partition("-")[2]))), sorted(tables)


# -- the client's folders -------------------------------------------------------------------------------------------------


def _offline(logs: Sequence[Path], say: Callable[[str], None]) -> Iterator[_Told]:
    """Yield the runs of operation logs; several folders may hold one run, which was gone on with."""
    folders: dict[str, list[Path]] = {}
    others = 0
    for log in logs:
        kind, container = _container(log.parent)
        if kind == "run":
            folders.setdefault(container, []).append(log)
        else:
            others += 1
    for container, several in folders.items():
        told = _Told("", container)
        created = [_parsed(_metadata(folder).get("createdAt")) for folder in dict.fromkeys(log.parent for log in several)]
        told.created = min(filter(None, created), default=None)
        for log in several:
            _read_log(log, told, say)
        if math.isfinite(told.last):
            yield told
    if others:
        say(f"{_many(others, 'log')} of projects and models left out: only runs are brought in.")


def _container(folder: Path) -> tuple[str, str]:
    """Return the kind and the id of what a folder keeps the operations of."""
    metadata = _metadata(folder)
    kind, container = metadata.get("containerType"), metadata.get("containerId")
    if isinstance(kind, str) and isinstance(container, str):
        return kind, container
    for name in (folder.name, *(above.name for above in folder.parents)):
        match = _CONTAINER.fullmatch(name)
        if match:
            return match["kind"] or "run", match["id"]
    return "run", folder.name


def _metadata(folder: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((folder / "metadata.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _read_log(log: Path, told: _Told, say: Callable[[str], None]) -> None:
    strange = 0
    try:
        for record in _records(log):
            strange += not _take(record, told)
    except _Damage as damage:
        say(f"{log} {damage}")
    except OSError as error:
        say(f"{log} cannot be read: {error.strerror}.")
    if strange:
        say(f"{log}: {_many(strange, 'operation')} not understood and passed over.")


class _Damage(Exception):
    """The rest of a log cannot be read; says why."""


def _records(log: Path) -> Iterator[Any]:
    """Yield the JSON objects that stand one after another in a log, without reading it whole."""
    decoder, text, number = json.JSONDecoder(), "", 0
    with log.open(encoding="utf-8") as stream:
        while True:
            try:
                chunk = stream.read(max(_CHUNK, len(text)))  # a long object is not tried again for each small piece
            except UnicodeDecodeError:
                raise _Damage(f"is damaged after {_many(number, 'operation')}: what is before it was read.") from None
            text = (text + chunk).lstrip()
            place = 0
            while place < len(text):
                try:
                    record, place = decoder.raw_decode(text, place)
                except (ValueError, RecursionError):
                    break
                yield record
                number += 1
                place = _after_space(text, place)
            text = text[place:]
            if text and "\n" in text:
                raise _Damage(f"is damaged after {_many(number, 'operation')}: what is before it was read.")
            if not chunk:
                break
    if text:
        raise _Damage("ends in the middle of an operation: what is before it was read.")
    if not number:
        raise _Damage("is empty: nothing from it.")


def _after_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _take(record: Any, told: _Told) -> bool:
    """Apply one operation of the client to a run; tell whether it was understood."""
    operation = record.get("obj") if isinstance(record, dict) else None
    if not isinstance(operation, dict):
        return False
    path = _keys(operation.get("path"))
    if path is None:
        return False
    moment = record.get("at")
    if isinstance(moment, int | float):
        told.at(moment)
    kind, value = operation.get("type"), operation.get("value")
    if kind in _SINGLES:
        return _assign(str(kind), path, value, told)
    if kind in ("AddStrings", "RemoveStrings", "LogFloats"):
        return _take_several(str(kind), path, operation.get("values"), told)
    if kind == "LogStrings":
        told.texts.add(path)
    elif kind in _FORGETS:
        told.forget(path)
    elif kind in _FILES:
        told.files.add(path)
    return kind in ("LogStrings", "DeleteFiles", "ConfigFloatSeries", *_FORGETS, *_FILES)


def _keys(path: Any) -> _Path | None:
    if not isinstance(path, list) or not path or not all(isinstance(key, str) for key in path):
        return None
    return _shortened(path)


def _shortened(path: list[str]) -> _Path:
    return tuple(path) if len(path) <= _DEEPEST else ("/".join(path),)


def _assign(kind: str, path: _Path, value: Any, told: _Told) -> bool:
    if type(value) not in _SINGLES[kind]:
        return False
    if kind == "AssignDatetime":
        moment = _moment(float(value) / 1000)
        value = value if moment is None else moment.isoformat()
    told.singles[path] = float(value) if kind == "AssignFloat" else value
    return True


def _take_several(kind: str, path: _Path, values: Any, told: _Told) -> bool:
    if not isinstance(values, list):
        return False
    if kind == "LogFloats":
        points = [_point(value) for value in values]
        for point in filter(None, points):
            told.log(path, *point)
        return None not in points
    words = {value for value in values if isinstance(value, str)}
    kept = told.sets.setdefault(path, set())
    if kind == "AddStrings":
        kept |= words
    else:
        kept -= words
    return True


def _point(value: Any) -> tuple[float | None, float, float] | None:
    if not isinstance(value, dict):
        return None
    step, moment, number = value.get("step"), value.get("ts"), value.get("value")
    if not isinstance(number, int | float) or not isinstance(moment, int | float) or not isinstance(step, int | float | None):
        return None
    return _step(step), moment, number


# -- the exporter's tables ------------------------------------------------------------------------------------------------


def _exported(tables: Sequence[Path], say: Callable[[str], None]) -> Iterator[_Told]:
    """Yield the runs of parquet files, each as soon as its last row was read."""
    parquet, arrow = library("pyarrow.parquet", "neptune"), library("pyarrow", "neptune")
    faults = dict[str, None]()
    last: dict[tuple[str, str], tuple[int, int]] = {}
    for place, table in enumerate(tables):
        for row, key in enumerate(_rows(table, _KEY, parquet, arrow, faults.setdefault)):
            last[key[0], key[1]] = place, row
    going = dict[tuple[str, str], _Told]()
    columns = (*_KEY, *_COLUMNS, *dict.fromkeys(_VALUES.values()))
    for place, table in enumerate(tables):
        for row, (project, run, *values) in enumerate(_rows(table, columns, parquet, arrow, faults.setdefault)):
            told = going.setdefault((project, run), _Told(str(project), str(run)))
            _take_row(told, dict(zip(columns[2:], values, strict=True)))
            if last.get((project, run)) == (place, row):
                yield going.pop((project, run))
    yield from going.values()
    for fault in faults:
        say(fault)


def _rows(
    table: Path, columns: Sequence[str], parquet: Any, arrow: Any, say: Callable[[str], object]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table, without reading it whole; nothing of one that is something else."""
    try:
        with parquet.ParquetFile(table) as file:
            there = set(file.schema_arrow.names)
            missing = [name for name in ("project_id", "run_id", "attribute_path", "attribute_type") if name not in there]
            if missing:
                say(f"{table} is not of neptune-exporter: it has no column {missing[0]}.")
                return
            wanted = [name for name in columns if name in there]
            for batch in file.iter_batches(_ROWS, columns=wanted):
                lists = {name: batch.column(name).to_pylist() for name in wanted}
                yield from zip(*(lists.get(name) or [None] * batch.num_rows for name in columns), strict=True)
    except (arrow.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        say(f"{table} cannot be read whole: {reason}.")


def _take_row(told: _Told, row: Mapping[str, Any]) -> None:
    path, kind = _shortened(str(row["attribute_path"]).split("/")), row["attribute_type"]
    value = row.get(_VALUES.get(kind, ""))
    if kind == "float_series":
        if value is not None:
            told.log(path, _step(row["step"]), _seconds(row["timestamp"]), value)
    elif kind == "string_set":
        told.sets[path] = {str(word) for word in value or ()}
    elif kind in _VALUES:
        told.singles[path] = value.isoformat() if isinstance(value, datetime) else value
    elif kind == "string_series":
        told.texts.add(path)
    else:
        told.files.add(path)


def _step(step: object) -> float | None:
    return float(step) if isinstance(step, Decimal | int | float) and math.isfinite(step) else None


def _seconds(moment: object) -> float:
    if not isinstance(moment, datetime):
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
