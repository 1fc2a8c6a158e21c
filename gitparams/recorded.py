"""Recorded: runs as a Python program holds them, one with its details, many as a lazy sequence.

Nothing is kept open: each question looks at the ledger of the folder where the program stood when it began to ask. So runs
can be asked by any thread, after a fork and after a change of folder, and a run that was just recorded is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from gitparams.directions import Direction
from gitparams.errors import GitParamsError
from gitparams.index import Filter, Listed
from gitparams.model import Details, Run, RunId, now
from gitparams.params import Origin, nested, to_dict
from gitparams.repository import Repository
from gitparams.series import Series, read_series
from gitparams.values import encode_json, same

# What turns runs into something else is imported when it is asked for.
if TYPE_CHECKING:
    import hiplot
    import optuna
    import pandas
    import polars
    import pyarrow

    from gitparams.frames import Column, Row
    from gitparams.index import Order
    from gitparams.replicates import Group, Replicate

_BATCH = 256
_SHOWN_ROWS = 10


# -- one run --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RecordedRun(Run):
    """A run that reads what its entry holds beside it when asked: `series`, `origins`, `packages`, `output`.

    It equals a `Run` that says the same, and pickles; a copy on another machine lacks only the details.

    Attributes:
        folder: where its repository is asked.
    """

    folder: Path = field(default_factory=Path.cwd)
    _kept: list[Details] = field(default_factory=list, init=False)

    @classmethod
    def of(cls, run: Run, folder: Path) -> RecordedRun:
        """Return a run of the repository around a folder."""
        return cls(**{name: getattr(run, name) for name in _NAMES}, folder=folder)

    @property
    def series(self) -> Mapping[str, Series]:
        """The metrics step by step, by name; of a run that goes on, as far as it is."""
        return read_series(self._details().series)

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Where the values of the params came from, by written path."""
        return self._details().origins

    @property
    def packages(self) -> tuple[str, ...]:
        """What was installed, ``name==version``, sorted."""
        return self._details().packages

    @property
    def output(self) -> str:
        """The end of what the program printed."""
        return self._details().output.decode("utf-8", "replace")

    def _details(self) -> Details:
        if not self._kept:
            with Repository.find(self.folder) as repository:
                journal = None if self.status.finished else repository.journal_of(self.id)
                if journal is not None:
                    return journal.read().details  # it goes on, and will have more to tell
                self._kept.append(repository.details(self))
        return self._kept[0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Run):
            return NotImplemented
        return all(same(getattr(self, name), getattr(other, name)) for name in _NAMES)

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> tuple[Any, ...]:
        return (RecordedRun, (*(getattr(self, name) for name in _NAMES), self.folder))

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"<run {self.short_id}{name} of {self.experiment}, {self.status}, {self.started:%Y-%m-%d %H:%M}>"

    def _repr_html_(self) -> str:
        from gitparams.screens.html import run_html

        with Repository.find(self.folder) as repository:
            return run_html(self, repository.before(self), directions=repository.settings.directions)


_NAMES = tuple(field.name for field in fields(Run))


# -- many runs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """Which runs are asked for, and in which order.

    Attributes:
        folder: where the repository is asked.
        which: the filter without expressions.
        conditions: expressions, all of which hold.
        keys: what is sorted by, ``-metrics.acc``; newest first when empty.
        start, stop: which of them, from 0; None is the end.
        ids: exactly these runs in this order; nothing else counts then.
    """

    folder: Path
    which: Filter = field(default_factory=Filter)
    conditions: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    start: int = 0
    stop: int | None = None
    ids: tuple[RunId, ...] | None = None

    @property
    def whole(self) -> bool:
        """Whether it is not only a part of a list."""
        return self.ids is None and self.start == 0 and self.stop is None

    @property
    def limit(self) -> int | None:
        """How many runs there are at most."""
        return None if self.stop is None else max(0, self.stop - self.start)

    def filter(self, repository: Repository) -> Filter:
        """Return the filter with the expressions compiled. Raises `QueryError`."""
        from gitparams.query import all_of

        return replace(self.which, where=all_of([repository.query(condition) for condition in self.conditions]))

    def order(self, repository: Repository) -> tuple[Order, ...]:
        """Return what is sorted by. Raises `QueryError`."""
        return tuple(repository.order(self.keys)) if self.keys else ()

    def found(self, repository: Repository) -> list[RunId]:
        """Return the ids of all runs."""
        if self.ids is not None:
            return list(self.ids)
        return repository.index.ids(self.filter(repository), limit=self.limit, offset=self.start, order=self.order(repository))


class Runs(Sequence[RecordedRun]):
    """Recorded runs, newest first or sorted: a sequence that reads nothing until it is asked.

    `len`, an index and a slice are one question each to the index. An iteration is of the runs that there were at its
    beginning, read a few hundred at a time. Each question sees the ledger as it is then; what cannot be read is left out.
    A slice with a step is read at once, and so is a slice that is filtered or sorted further.

    Raises (each question):
        RepositoryError: there is no git repository. QueryError: an expression or a key to sort by is wrong.
    """

    def __init__(self, question: Question) -> None:
        self._question = question

    # -- narrowing it -------------------------------------------------------------------------------------------------

    def where(self, expression: str) -> Runs:
        """Return those of the runs for which an expression holds too, as ``params.optim.lr < 0.01 and metrics.acc > 0.9``."""
        question = self._question
        if question.whole:
            return Runs(replace(question, conditions=(*question.conditions, expression)))
        with Repository.find(question.folder) as repository:
            ids = question.found(repository)
            fitting = set(repository.index.ids(Filter(ids=tuple(ids), where=repository.query(expression))))
        return self._exactly(run for run in ids if run in fitting)

    def sort(self, *keys: str) -> Runs:
        """Return the runs sorted by keys, ``-`` before one for descending; a run without the key comes last."""
        question = self._question
        if question.whole:
            return Runs(replace(question, keys=keys))
        return Runs(Question(question.folder, Filter(ids=tuple(self._ids())), keys=keys))

    def group_by(self, key: str) -> dict[Any, Runs]:
        """Return the runs by the value of a param, metric or field, the groups in the order of their first run.

        A list is a tuple there, and the runs that do not have the key are under `MISSING`. Values that are equal in
        Python, such as 1 and True, are one group. Reads all runs once.

        Raises:
            QueryError: no run has the key, or it is in params and metrics.
        """
        from gitparams.frames import values_by

        groups: dict[Any, list[RunId]] = {}
        with Repository.find(self._question.folder) as repository:
            repository.order((key,))  # is there such a key?
            for run, value in values_by(self._rows(repository), key):
                groups.setdefault(_hashable(value), []).append(run)
        return {value: self._exactly(ids) for value, ids in groups.items()}

    def replicates(self) -> list[Group[Replicate]]:
        """Return the groups of runs whose params are equal but for the seed, with the spread of each metric.

        ``group.metrics["acc"].mean`` is one; the runs of a group have their id, status, start and metrics, and `run` of an
        id is the whole of it. The keys that ``ignore:`` in gitparams.yaml names may differ as well.
        """
        question = self._question
        with Repository.find(question.folder) as repository:
            if question.start or question.limit is not None or question.ids is not None:
                return repository.replicates(Filter(ids=tuple(question.found(repository))))
            return repository.replicates(question.filter(repository))

    def _exactly(self, ids: Iterable[RunId]) -> Runs:
        return Runs(Question(self._question.folder, ids=tuple(ids)))

    # -- a sequence ---------------------------------------------------------------------------------------------------

    @overload
    def __getitem__(self, place: int) -> RecordedRun: ...
    @overload
    def __getitem__(self, place: slice) -> Runs: ...
    def __getitem__(self, place: int | slice) -> RecordedRun | Runs:
        if isinstance(place, slice):
            return self._slice(place)
        found = self._at(place if place >= 0 else place + len(self))
        if found is None:
            raise IndexError(f"there is no run at {place}")
        return found

    def _at(self, place: int) -> RecordedRun | None:
        question = self._question
        if place < 0 or (question.limit is not None and place >= question.limit):
            return None
        if question.ids is not None:
            return next(self._read(question.ids[place : place + 1]), None)
        with Repository.find(question.folder) as repository:
            order = question.order(repository)
            found = repository.runs(question.filter(repository), limit=1, offset=question.start + place, order=order)
        return next((RecordedRun.of(run, question.folder) for run in found if isinstance(run, Run)), None)

    def _slice(self, part: slice) -> Runs:
        question = self._question
        if question.ids is not None or part.step not in (None, 1):
            with Repository.find(question.folder) as repository:
                return self._exactly(question.found(repository)[part])
        if (part.start or 0) < 0 or (part.stop or 0) < 0:
            part = slice(*part.indices(len(self)))
        ends = [end for end in (question.stop, None if part.stop is None else question.start + part.stop) if end is not None]
        return Runs(replace(question, start=question.start + (part.start or 0), stop=min(ends, default=None)))

    def __len__(self) -> int:
        question = self._question
        if question.ids is not None:
            return len(question.ids)
        with Repository.find(question.folder) as repository:
            there = repository.count(question.filter(repository)) - question.start
        return max(0, there if question.limit is None else min(there, question.limit))

    def __bool__(self) -> bool:
        return self._at(0) is not None

    def __iter__(self) -> Iterator[RecordedRun]:
        return self._read(self._ids())

    def __reversed__(self) -> Iterator[RecordedRun]:
        return self._read(self._ids()[::-1])

    def __contains__(self, run: object) -> bool:
        return isinstance(run, Run) and run.id in self._ids()

    def _ids(self) -> list[RunId]:
        with Repository.find(self._question.folder) as repository:
            return self._question.found(repository)

    def _read(self, ids: Sequence[RunId]) -> Iterator[RecordedRun]:
        folder = self._question.folder
        for batch in _batches(ids):
            with Repository.find(folder) as repository:
                found = {run.id: run for run in repository.runs(Filter(ids=batch)) if isinstance(run, Run)}
            for name in batch:
                if name in found:  # or it was deleted meanwhile
                    yield RecordedRun.of(found.pop(name), folder)

    # -- as something else --------------------------------------------------------------------------------------------

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of the expressions: of a text that was compared with a number, for one."""
        with Repository.find(self._question.folder) as repository:
            where = self._question.filter(repository).where
        return where.notes if where else ()

    @property
    def directions(self) -> Mapping[str, Direction]:
        """Which way of a metric is better, as gitparams.yaml says."""
        with Repository.find(self._question.folder) as repository:
            return repository.settings.directions

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dict a run: the fields, ``params`` nested and ``metrics`` by name; times are datetimes with their offset."""
        return [_as_dict(run) for run in self]

    def to_pandas(self) -> pandas.DataFrame:
        """Return a pandas frame, one row a run: the fields, then ``params.optim.lr`` …, then ``metrics.acc`` ….

        A column has the type of its values (see `gitparams.frames`): with gaps Int64, Float64 or boolean, and NaN is no gap.

        Raises:
            UsageError: pandas is not installed.
        """
        from gitparams.frames import to_pandas

        return to_pandas(self._columns())

    def to_polars(self) -> polars.DataFrame:
        """Return a polars frame with the columns of `to_pandas`. Raises `UsageError` when polars is not installed."""
        from gitparams.frames import to_polars

        return to_polars(self._columns())

    def to_arrow(self) -> pyarrow.Table:
        """Return an Arrow table with the columns of `to_pandas`. Raises `UsageError` when pyarrow is not installed."""
        from gitparams.frames import to_arrow

        return to_arrow(self._columns())

    def to_optuna(self, metric: str | None = None, *, params: Sequence[str] = (), series: bool = False) -> optuna.Study:
        """Return the runs as an Optuna study, as `gitparams.integrations.optuna.study_of` makes it."""
        from gitparams.integrations.optuna import study_of

        return study_of(self, metric, self.directions, params=params, series=series)

    def to_skopt(
        self, metric: str | None = None, *, params: Sequence[str] = (), model: str | None = None, space: Any = None
    ) -> Any:
        """Return the runs as scikit-optimize's result, as `gitparams.integrations.skopt.result_of` makes it."""
        from gitparams.integrations.skopt import result_of

        return result_of(self, metric, self.directions, params=params, model=model, space=space)

    def to_hiplot(self, metric: str | None = None) -> hiplot.Experiment:
        """Return the runs as a HiPlot experiment, as `gitparams.integrations.hiplot.experiment_of` makes it."""
        from gitparams.integrations.hiplot import experiment_of

        return experiment_of(self, metric, self.directions)

    def _columns(self) -> dict[str, Column]:
        from gitparams.frames import columns_of

        with Repository.find(self._question.folder) as repository:
            return columns_of(self._rows(repository))

    def _rows(self, repository: Repository) -> Iterator[Row]:
        from gitparams.frames import Row

        question, index = self._question, repository.index
        if question.ids is None:
            which, order = question.filter(repository), question.order(repository)
            yield from map(Row._make, index.rows(which, limit=question.limit, offset=question.start, order=order))
            return
        for batch in _batches(question.ids):
            found = {row[0]: row for row in index.rows(Filter(ids=batch))}
            yield from (Row._make(found[name]) for name in batch if name in found)

    def __repr__(self) -> str:
        from gitparams.screens.log import render
        from gitparams.screens.terminal import Terminal

        try:
            rows, total, directions = self._first()
        except GitParamsError as error:
            return f"<runs of {self._question.folder}: {error}>"
        narrowed = self._question != Question(self._question.folder)
        return render(rows, total=total, terminal=Terminal(), directions=directions, now=now(), filtered=narrowed)

    def _repr_html_(self) -> str:
        from gitparams.screens.html import table_html

        rows, total, directions = self._first()
        return table_html(rows, total=total, directions=directions)

    def _first(self) -> tuple[list[Listed], int, Mapping[str, Direction]]:
        """Return the first rows of the list, each with the run before it, how many there are, and which way is better."""
        shown, total = list(self[:_SHOWN_ROWS]), len(self)
        with Repository.find(self._question.folder) as repository:
            return [Listed(run, repository.before(run)) for run in shown], total, repository.settings.directions


def _batches(ids: Sequence[RunId]) -> Iterator[tuple[RunId, ...]]:
    waiting = iter(ids)
    while batch := tuple(islice(waiting, _BATCH)):
        yield batch


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    return encode_json(value, indent=None).decode("utf-8") if isinstance(value, dict) else value


def _as_dict(run: Run) -> dict[str, Any]:
    """Return the JSON document of a run without what is only there, its times and values as Python has them."""
    from gitparams.screens.documents import run_document

    bare = replace(run, params=nested({}), metrics={}, expect=())  # to make text of them would take most of the time
    told = {name: value for name, value in run_document(bare, None).items() if name not in _ONLY_IN_JSON}
    times = {"started": run.started, "finished": run.finished}
    return {**told, **times, "params": to_dict(run.params), "metrics": dict(run.metrics)}


_ONLY_IN_JSON = ("group", "changes")
