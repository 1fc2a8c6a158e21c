"""Library: the functions of ``import gitparams``, each one call to the repository around the present folder."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, overload

from gitparams.capture.files import read_params_files
from gitparams.capture.objects import plain, plain_mapping
from gitparams.capture.overrides import apply_overrides
from gitparams.capture.variables import environment_layer
from gitparams.changes import RunDiff
from gitparams.errors import ParamsError
from gitparams.index import BrokenRun, Filter
from gitparams.model import Metric, Run
from gitparams.params import Params, layer, loaded, stack
from gitparams.recorder import ActiveRun, begin, tell_loaded
from gitparams.repository import Repository
from gitparams.writing import Beginning


def load(
    *files: str | os.PathLike[str], overrides: Sequence[str] = (), env_prefix: str | None = None, strict: bool = True
) -> Params:
    """Return the params of some files, merged in order, then environment variables, then overrides; the later wins.

    The params remember where each value came from and which were read: given to `start`, or under ``gitparams run``, that
    is recorded.

    Args:
        files: YAML, JSON, TOML, INI or ``.env`` files, Python modules with constants; globs too, and ``data=conf/data.yaml``
            for params below the key ``data``. ``1e-3`` is a float, also in YAML.
        overrides: ``optim.lr=0.01``, typed as YAML 1.2 types a plain value; ``+key=…`` adds a key, ``~key`` removes one.
        env_prefix: variables that begin with it are params: with ``TRAIN_``, ``TRAIN_OPTIM__LR=0.01`` is ``optim.lr``.
        strict: whether an override may only name a key that is there.

    Raises:
        ParamsFileError: a file is missing, malformed, or says a key twice.
        UsageError: an override is not ``K=V``, or names a key that is not there.
    """
    layers = [read_params_files([os.fspath(file) for file in files], Path.cwd(), exact_floats=True)] if files else []
    if env_prefix:
        layers.append(environment_layer(env_prefix, os.environ))
    whole = apply_overrides(stack(layers), overrides, strict=strict)
    params = loaded(whole)
    tell_loaded(params)
    return params


def start(
    params: Any = None,
    *,
    name: str | None = None,
    experiment: str | None = None,
    tags: Iterable[str] = (),
    note: str = "",
) -> ActiveRun:
    """Begin to record a run of this program; use it with ``with``, or call `ActiveRun.finish`.

    Args:
        params: the resolved config: a mapping, Namespace, dataclass, OmegaConf …; it is read once and never changed.
        name: a name to find it by; experiment: the group it belongs to; tags, note: what is to be said of it.

    A fault of git is one warning, and the run is kept aside; with ``GITPARAMS_STRICT=1`` it is raised.

    Raises:
        ParamsError: the params are no config.
    """
    return begin(params, Beginning(name=name, experiment=experiment, tags=tuple(tags), note=note))


class Recording:
    """The repository that `record` writes to, kept open from call to call; another folder or process opens its own."""

    def __init__(self) -> None:
        self._key: tuple[Path, int] | None = None
        self._repository: Repository | None = None

    def repository(self) -> Repository:
        """Return the repository around the present folder."""
        key = (Path.cwd(), os.getpid())
        if self._repository is None or key != self._key:
            if self._repository is not None and self._key is not None and self._key[1] == key[1]:
                self._repository.close()
            self._repository, self._key = Repository.find(), key
            atexit.register(self._repository.close)
        return self._repository


_recording = Recording()


def record(
    params: Any,
    metrics: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    experiment: str | None = None,
    tags: Iterable[str] = (),
    note: str = "",
    started: datetime | None = None,
    command: Sequence[str] = (),
) -> Run:
    """Record one finished run at once and return it.

    Args:
        params: the resolved config, of any kind that `start` takes.
        metrics: numbers by name; NumPy and torch scalars are numbers too.
        name, experiment, tags, note: as for `start`.
        started: when it began, with its offset from UTC; now by default.
        command: the program and its arguments.

    Raises:
        ParamsError: the params are no config, or a metric is no number.
        RepositoryError: there is no git repository here.
        LedgerError: the entry could not be written; nothing half written is left.
    """
    beginning = Beginning(
        params=layer(plain_mapping(params), "code"),
        name=name,
        experiment=experiment,
        tags=tuple(tags),
        note=note,
        command=tuple(command),
        started=started.astimezone() if started and started.tzinfo is None else started,
    )
    return _recording.repository().record(beginning, _metrics(metrics or {}))


class Runs(Sequence[Run]):
    """Recorded runs, newest first: a sequence of frozen `Run`."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = tuple(runs)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | slice) -> Run | Runs:
        return Runs(self._runs[index]) if isinstance(index, slice) else self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __repr__(self) -> str:
        return f"<{len(self)} runs>"


def runs(
    *,
    experiment: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
) -> Runs:
    """Return the recorded runs, newest first; what cannot be read is left out.

    Raises:
        RepositoryError: there is no git repository here.
    """
    which = Filter(experiment=experiment, status=status, since=since, until=until)
    with Repository.find() as repository:
        return Runs(run for run in repository.runs(which, limit=limit) if not isinstance(run, BrokenRun))


def run(selector: str) -> Run:
    """Return the run that a selector names: an id prefix, a name, ``latest~2``, ``best:acc``, a code revision.

    Raises:
        RunNotFound: nothing answers to it. AmbiguousRun: several runs do.
    """
    with Repository.find() as repository:
        return repository.run(selector)


class PrintedDiff(RunDiff):
    """A `RunDiff` that prints as the screen of ``gitparams diff``."""

    def __str__(self) -> str:
        from gitparams.model import now
        from gitparams.screens.diff import render
        from gitparams.screens.terminal import Terminal

        return render(self, terminal=Terminal(), directions={}, now=now())


def diff(*selectors: str | Run, keys: Sequence[str] = ()) -> PrintedDiff:
    """Return what differs between runs; none is ``latest~1 latest``, one is compared with the run before it.

    Args:
        selectors: as for `run`, or runs.
        keys: paths of params to look at, prefixes and globs too.

    Raises:
        RunNotFound: a selector names no run.
    """
    with Repository.find() as repository:
        found = repository.diff(selectors, keys)
        return PrintedDiff(**{field.name: getattr(found, field.name) for field in fields(found)})


def to_yaml(params: Mapping[str, Any]) -> str:
    """Return params as YAML that every reader, also of YAML 1.1, takes for the same values.

    >>> print(to_yaml({"optim": {"lr": 1e-3}, "on": "yes"}), end="")
    optim:
      lr: 0.001
    'on': 'yes'
    """
    import yaml

    return str(yaml.safe_dump(plain_mapping(params), sort_keys=False, allow_unicode=True))


def _metrics(metrics: Mapping[str, Any]) -> dict[str, Metric]:
    numbers: dict[str, Metric] = {}
    for name, value in metrics.items():
        number = value if isinstance(value, int | float) else plain(value)
        if not isinstance(number, int | float):
            raise ParamsError(f"The metric {name!r} must be a number, not {type(value).__name__}.")
        numbers[str(name)] = number
    return numbers
