"""Library: the functions of ``import gitparams``, each one call to the repository around the present folder."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from gitparams.capture.files import read_params_files
from gitparams.capture.objects import plain, plain_mapping
from gitparams.capture.overrides import apply_overrides
from gitparams.capture.variables import environment_layer
from gitparams.changes import RunDiff
from gitparams.errors import ParamsError, UsageError
from gitparams.index import Filter
from gitparams.model import Metric, Run
from gitparams.params import Params, loaded, stack
from gitparams.recorded import Question, RecordedRun, Runs
from gitparams.recorder import ActiveRun, begin, layer_of, tell_loaded, told_of
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
    *params: Any,
    name: str | None = None,
    experiment: str | None = None,
    tags: Iterable[str] = (),
    note: str = "",
    expect: str | Iterable[str] = (),
) -> ActiveRun:
    """Begin to record a run of this program; use it with ``with``, or call `ActiveRun.finish`.

    Args:
        params: the resolved config: a mapping, Namespace, dataclass, OmegaConf …; it is read once and never changed. Several
            are merged by path, the later wins, and what one of them overwrote is recorded; `ActiveRun.params` is the result.
        name: a name to find it by; experiment: the group it belongs to; tags, note: what is to be said of it.
        expect: what should come true, ``metrics.acc > 0.92``, or several of these; recorded before the result exists.

    A fault of git is one warning, and the run is kept aside; with ``GITPARAMS_STRICT=1`` it is raised.

    Raises:
        ParamsError: the params are no config. QueryError: what is expected is no expression.
    """
    expected = _expected(expect)
    beginning = Beginning(name=name, experiment=experiment, tags=tuple(tags), note=note, expect=expected)
    return begin(params[0] if params else None, beginning, more=params[1:])


def _expected(expect: str | Iterable[str]) -> tuple[str, ...]:
    expressions = (expect,) if isinstance(expect, str) else tuple(expect)
    if not expressions:
        return ()
    from gitparams.expectations import checked

    return checked(expressions)


def autolog(*, disable: bool = False) -> None:
    """Record what this program trains from now on, with no other line: scikit-learn's estimators, Lightning's Trainers.

    Each ``fit`` that the program calls itself is a run with the estimator's params; what is fitted within one (steps, folds,
    candidates) is a part of it. A search is a group of a run a candidate. What the program asks afterwards
    (``estimator.score``, ``sklearn.metrics``) becomes metrics. Within ``with gitparams.start()`` and under ``gitparams run``
    the first fit is part of that run. Called again it does nothing.

    Args:
        disable: record it no longer.

    Raises:
        UsageError: neither scikit-learn nor Lightning is installed.
    """
    from importlib.util import find_spec

    from gitparams.integrations import lightning, sklearn

    lightning.enable(not disable)
    try:
        sklearn.autolog(not disable)
    except UsageError:
        if not any(sys.modules.get(name) or find_spec(name) for name in ("lightning", "pytorch_lightning")):
            raise


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
) -> RecordedRun:
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
        params=layer_of(params),
        environment=told_of(params),
        name=name,
        experiment=experiment,
        tags=tuple(tags),
        note=note,
        command=tuple(command),
        started=started.astimezone() if started and started.tzinfo is None else started,
    )
    return RecordedRun.of(_recording.repository().record(beginning, _metrics(metrics or {})), Path.cwd())


def runs(
    where: str | None = None,
    *,
    sort: str | Sequence[str] = (),
    limit: int | None = None,
    experiment: str | None = None,
    status: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    author: str | None = None,
    grep: str | None = None,
    tags: str | Iterable[str] = (),
) -> Runs:
    """Return recorded runs, newest first, as a sequence that reads nothing until it is asked.

    Args:
        where: an expression, as ``params.optim.lr < 0.01 and metrics.acc > 0.9`` or ``status == "failed"``.
        sort: keys to sort by, ``-metrics.acc`` for the highest first; a run without the key comes last.
        limit: how many runs at most.
        experiment, status: of these runs only.
        since, until: bounds of the time when they began: a datetime, or a date in words, ``2 days ago``.
        author: a part of the author's name or address.
        grep: a text in the name, the note or a tag.
        tags: a tag, or several of which a run must have all.

    Raises (when it is asked, but for the limit):
        RepositoryError: there is no git repository here.
        QueryError: an expression, a key or a date cannot be understood.
        UsageError: the limit is below 0.

    >>> best = runs("params.optim.lr < 0.1 and metrics.acc > 0.9", sort="-metrics.acc", limit=3)
    """
    if limit is not None and limit < 0:
        raise UsageError(f"The limit of runs is {limit}, and must not be below 0.")
    which = Filter(
        experiment=experiment,
        status=status,
        since=since if isinstance(since, datetime) else None,
        until=until if isinstance(until, datetime) else None,
        author=author,
        grep=grep,
    )
    wanted = [tags] if isinstance(tags, str) else tags
    conditions = [
        *([where] if where is not None else []),
        *([f"started >= {since!r}"] if isinstance(since, str) else []),
        *([f"started <= {until!r}"] if isinstance(until, str) else []),
        *(f"tag({tag!r})" for tag in wanted),
    ]
    keys = (sort,) if isinstance(sort, str) else tuple(sort)
    return Runs(Question(Path.cwd(), which, tuple(conditions), keys, stop=limit))


def run(selector: str) -> RecordedRun:
    """Return the run that a selector names: an id prefix, a name, ``latest~2``, ``best:acc``, a code revision.

    Raises:
        RunNotFound: nothing answers to it. AmbiguousRun: several runs do.
    """
    folder = Path.cwd()
    with Repository.find(folder) as repository:
        return RecordedRun.of(repository.run(selector), folder)


class PrintedDiff(RunDiff):
    """A `RunDiff` that prints as the screen of ``gitparams diff``."""

    def __str__(self) -> str:
        from gitparams.model import now
        from gitparams.screens.diff import render
        from gitparams.screens.terminal import Terminal

        return render(self, terminal=Terminal(), directions={}, now=now())

    def _repr_html_(self) -> str:
        from gitparams.screens.html import diff_html

        return diff_html(self)


def diff(
    *selectors: str | Run,
    keys: Sequence[str] = (),
    origins: bool = False,
    patch: bool = False,
    best: str | None = None,
    rtol: float = 0.0,
    atol: float = 0.0,
    significant_digits: int | None = None,
    ignore: Sequence[str] = (),
    ignore_order: bool = False,
    ignore_type: bool = False,
) -> PrintedDiff:
    """Return what differs between runs; none is ``latest~1 latest``, one is compared with the run before it.

    Args:
        selectors: as for `run`, or runs; ``main..feature`` is a selector too.
        keys: paths of params to look at, prefixes and globs too.
        origins: whether to tell where the values that differ came from.
        patch: whether to read the text of what changed in the code.
        best: of several runs at a code revision the one with the best value of this metric, not the newest.
        rtol, atol, significant_digits: how far two numbers may lie apart and still be equal.
        ignore: params not to look at. ignore_order, ignore_type: whether the order of lists, and types, count.

    Raises:
        RunNotFound: a selector names no run. UsageError: a tolerance is none.
    """
    from gitparams.leniency import Leniency

    leniency = Leniency.of(
        rtol=rtol, atol=atol, digits=significant_digits, ignore=ignore, ignore_order=ignore_order, ignore_type=ignore_type
    )
    with Repository.find() as repository:
        found = repository.diff(selectors, keys, origins=origins, leniency=leniency, best=best, patch=patch)
        return PrintedDiff(**{field.name: getattr(found, field.name) for field in fields(found)})


def to_yaml(params: Mapping[str, Any]) -> str:
    """Return params as YAML that every reader, also of YAML 1.1, takes for the same values.

    >>> print(to_yaml({"optim": {"lr": 1e-3}, "on": "yes"}), end="")
    optim:
      lr: 0.001
    'on': 'yes'
    """
    import yaml

    text = str(yaml.safe_dump(plain_mapping(params), sort_keys=False, allow_unicode=True))
    if text.replace("\n", "").isprintable():
        return text
    return str(yaml.safe_dump(plain_mapping(params), sort_keys=False))  # what a terminal would obey becomes an escape


def _metrics(metrics: Mapping[str, Any]) -> dict[str, Metric]:
    numbers: dict[str, Metric] = {}
    for name, value in metrics.items():
        number = value if isinstance(value, int | float) else plain(value)
        if not isinstance(number, int | float):
            raise ParamsError(f"The metric {name!r} must be a number, not {type(value).__name__}.")
        numbers[str(name)] = number
    return numbers
