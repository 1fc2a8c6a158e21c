"""Recorder: a run that a Python program keeps of itself while it goes on. Whatever git does, the program goes on too."""

from __future__ import annotations

import atexit
import os
import signal
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from gitparams.capture.composed import Composed
from gitparams.capture.redaction import Redaction, redact_command, redact_layer
from gitparams.capture.reports import CAPTURE_VARIABLE, disputed, over, read_messages, tell, told_by
from gitparams.entry import origins_document
from gitparams.errors import GitParamsError
from gitparams.journal import Ending, Journal, series_line
from gitparams.model import EventKind, Metric, Run, RunId, Status, is_run_id, new_run_id, now
from gitparams.params import (
    MISSING,
    Layer,
    Origin,
    Overridden,
    Params,
    differing,
    flatten,
    get,
    layer,
    nested,
    path_keys,
    reads_of,
    stack,
    to_dict,
)
from gitparams.repository import Repository
from gitparams.values import same
from gitparams.writing import Beginning, host

RUN_VARIABLE = "GITPARAMS_RUN"
_RANK_VARIABLES = (
    "RANK",
    "SLURM_PROCID",
    "OMPI_COMM_WORLD_RANK",
    "PMI_RANK",
    "PMIX_RANK",
    "MV2_COMM_WORLD_RANK",
    "HOROVOD_RANK",
    "FLUX_TASK_RANK",
)


class Summary(MutableMapping[str, Metric]):
    """The metrics that sum a run up. What is set here wins over the last value that was logged."""

    def __init__(self, run: ActiveRun) -> None:
        self._run = run
        self._values: dict[str, Metric] = {}

    def __setitem__(self, name: str, value: object) -> None:
        number = _number(value)
        if number is None:
            raise TypeError(f"metric {name!r} must be a number, not {type(value).__name__}")
        self._values[name] = number
        self._run._change(summary={name: number})

    def __getitem__(self, name: str) -> Metric:
        return self._values[name]

    def __delitem__(self, name: str) -> None:
        raise TypeError("a metric that was said is not unsaid; set another value")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class ActiveRun:
    """A run in progress: made by `gitparams.start`, ended by `finish` or by leaving its ``with`` block.

    An exception that leaves the block makes it ``failed``, ^C ``interrupted``. What goes wrong with git is one warning; the
    run is then kept in a folder of its own, and ``gitparams import spool`` or the next command brings it in.
    """

    def __init__(
        self, journal: Journal | None, repository: Repository | None, params: Params, *, given: Given | None = None
    ) -> None:
        self.params = params
        self.summary = Summary(self)
        self._journal, self._repository = journal, repository
        self._given = given or Given(None, {})
        self._step: int | float = 0
        self._lock = threading.Lock()
        self._warned: set[str] = set()
        self._owner = os.getpid()
        self._finished = journal is None
        self._result: Run | None = None
        self._outputs: dict[str, None] = {}

    @property
    def finished(self) -> bool:
        """Whether nothing more is recorded of it."""
        return self._finished

    @property
    def on_ledger(self) -> bool:
        """Whether it is a run of its own on a ledger, and neither the one of ``gitparams run`` nor kept aside."""
        return self._repository is not None

    @property
    def id(self) -> RunId | None:
        """The run's id; None on the ranks of a distributed job that record nothing."""
        return self._journal.id if self._journal else None

    def log(self, metrics: Mapping[str, Any] | None = None, /, *, step: int | float | None = None, **values: Any) -> None:
        """Log metrics of one step; on disk, as far as a killed process is concerned, when this returns.

        Args:
            metrics: numbers by name, for names that are no Python words.
            step: the step; one more than the last when it is not given.
            values: numbers by name. NumPy and torch scalars are numbers too; what is not a number is left out with one warning.
        """
        if metrics:
            values = {**metrics, **values}
        if step is None:
            step = self._step
        self._step = step + 1
        if self._finished or self._owner != os.getpid():
            return
        try:
            line = series_line(step, time.time(), values)
        except (TypeError, ValueError):
            line = series_line(step, time.time(), self._numbers(values))
        else:
            if not _NUMBERS.issuperset(map(type, values.values())):
                line = series_line(step, time.time(), self._numbers(values))
        with self._lock:
            assert self._journal is not None
            self._journal.log(line)

    def update(self, params: Any, source: str = "code") -> None:
        """Add params that became known while the run goes on; they win over those that were said before, path by path.

        Args:
            params: a config of any kind that `start` takes.
            source: who says so, as their origin tells: ``code``, or the name of a framework. What another source said
                otherwise is kept as overridden, and the path as disputed.

        Raises:
            ParamsError: the params are no config.
        """
        given = layer(_plain(params), source)
        if self._finished or self._owner != os.getpid() or not given.values:
            return
        if self._repository is not None and source in self._repository.writer.lenient_settings().silent:
            return
        with self._lock:
            assert self._journal is not None
            self._given.add(self._journal, given)
        self.params = nested(over(layer(to_dict(self.params), source), given).values)

    def describe(self, **facts: Any) -> None:
        """Add facts that are neither params nor metrics, such as the shape of its data; they are in its environment."""
        self._change(fields={"environment": _plain(facts)})

    def output(self, *paths: str | os.PathLike[str]) -> None:
        """Record files or folders that the run wrote, by path and SHA-256; they are hashed when the run ends.

        What is gone by then is recorded as missing.
        """
        if not self._finished and self._owner == os.getpid():
            self._outputs.update(dict.fromkeys(str(Path(path).absolute()) for path in paths))

    def tag(self, *tags: str) -> None:
        """Add tags."""
        self._change(tags=list(tags))

    def note(self, text: str) -> None:
        """Set the note."""
        self._change(note=text)

    def finish(self, status: str = "completed", exit_code: int | None = None) -> Run | None:
        """End the run and return it as it was recorded; None when it could not be, or belongs to ``gitparams run``.

        Args:
            status: a finished status: ``completed``, ``failed``, ``interrupted``, ``pruned``.
            exit_code: the program's exit code, if there is one.

        Raises:
            ValueError: the status is none, or not a finished one.
        """
        word = Status(status)
        if not word.finished:
            raise ValueError(f"a run cannot be finished as {status!r}")
        if not self._finished and self._owner == os.getpid():
            self._finished = True
            self._end(Ending(word, now(), exit_code))
        return self._result

    def __enter__(self) -> ActiveRun:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.finish(*_ending_of(error))

    def _end(self, ending: Ending) -> None:
        assert self._journal is not None
        _leave(self)
        self._keep_outputs()
        self._given.end(self._journal, ending)
        if self._journal.joined:
            self._journal.close()
            return
        try:
            if self._repository is None:
                self._journal.end(ending)
                self._journal.close()
            else:
                said = len(self._repository.notes)
                self._result = self._repository.finish(self._journal, ending)
                for note in self._repository.notes[said:]:
                    self._warn(note)
        except (GitParamsError, OSError) as error:
            self._warn(kept(self._journal, error))
        finally:
            if self._repository is not None:
                self._repository.close()

    def _keep_outputs(self) -> None:
        if not self._outputs:
            return
        from gitparams.capture.inputs import digest_files

        assert self._journal is not None
        top, outputs = _top_of(self._journal), dict[str, Any]()
        for path in self._outputs:
            try:
                outputs.update(digest_files([path], top, _nothing_known, _forget))
            except (GitParamsError, OSError):
                name = os.path.relpath(path, top)
                outputs[path if name.startswith("..") else Path(name).as_posix()] = _side(MISSING)
        self._journal.change(fields={"outputs": outputs})

    def _change(self, **changes: Any) -> None:
        if not self._finished and self._owner == os.getpid():
            with self._lock:
                assert self._journal is not None
                self._journal.change(**changes)

    def _numbers(self, values: Mapping[str, Any]) -> dict[str, Metric]:
        numbers = {name: number for name, value in values.items() if (number := _number(value)) is not None}
        if left_out := values.keys() - numbers.keys():
            self._warn(f"not a number, left out of the log: {', '.join(sorted(left_out))}")
        return numbers

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            warn(text)

    def _at_exit(self) -> None:
        # The interpreter leaves the last unhandled exception here; a plain end of the program leaves nothing.
        self.finish("failed" if getattr(sys, "last_value", None) is not None else "completed")

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        """Say in the journal that a signal ended the run, and let it end the program as it would have."""
        if not self._finished and self._owner == os.getpid() and self._journal is not None:
            self._finished = True
            self._journal.end(Ending(Status.INTERRUPTED, now(), 128 + number))
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


class Given:
    """The object that a program gave as its params, as it was then: at the end it is looked at again."""

    def __init__(self, params: Any, plain: Mapping[str, Any], reports: Path | None = None, run: RunId | None = None) -> None:
        self.plain = plain
        self._params, self._reports, self._run = params, reports, run
        self._before: dict[str, str | None] = {}

    def add(self, journal: Journal, given: Layer) -> None:
        """Tell of params that became known later."""
        if self._reports is not None:
            reporter = next(iter(given.origins.values())).source
            _tell_params(self._reports, self._run, reporter if reporter != "code" else "update", given, update=True)
            return
        clean, hidden = Redaction().knowing(os.environ).layer(given)
        if journal.joined:
            journal.change_params(clean, hidden)
            return
        state = journal.read()
        contested = [path for path in disputed(state.layer, clean) if state.layer.origins[path].source != "default"]
        journal.set_params(over(state.layer, clean), hidden)
        if contested:
            journal.change(fields={"disputed": [*sorted({*state.run.disputed, *contested})]})

    def enter(self, run: RunId) -> None:
        """While a run within the run goes on, what is started in it belongs to it."""
        self._before = {RUN_VARIABLE: os.environ.get(RUN_VARIABLE)}
        os.environ[RUN_VARIABLE] = run

    def end(self, journal: Journal, ending: Ending) -> None:
        """Tell how the run ended, what the params became meanwhile, and which of them were never read."""
        for name, value in self._before.items():
            if value is not None:
                os.environ[name] = value
        changed, reads = self._drift(), reads_of(self._params)
        unread = list(reads.unread) if reads is not None else []
        if self._reports is None:
            fields: dict[str, Any] = {name: value for name, value in (("drift", changed), ("unread", unread)) if value}
            if fields:
                journal.change(fields=fields)
            return
        if changed:
            tell(self._reports, "changed", run=self._run, drift=changed)
        if reads is not None:
            tell(self._reports, "reads", run=self._run, unread=unread)
        tell(self._reports, "ended", run=self._run, status=str(ending.status), code=ending.exit_code)

    def _drift(self) -> dict[str, Any]:
        if self._params is None:
            return {}
        before, after = flatten(self.plain), flatten(_plain(self._params))
        pairs = {path: [_side(old), _side(new)] for path, (old, new) in differing(before, after).items()}
        clean, _ = Redaction().knowing(os.environ).values(pairs)
        return clean


_entered: ContextVar[tuple[ActiveRun, ...]] = ContextVar("gitparams_runs", default=())
_open: list[ActiveRun] = []
_begun = False


def current() -> ActiveRun | None:
    """Return the innermost run that goes on here: one of this thread or task, else the only one of this process."""
    here = [run for run in _entered.get() if not run.finished and run._owner == os.getpid()]
    if here:
        return here[-1]
    rest = [run for run in _open if not run.finished and run._owner == os.getpid()]
    return rest[0] if len(rest) == 1 else None


def has_begun() -> bool:
    """Tell whether this process began a run."""
    return _begun


def _leave(run: ActiveRun) -> None:
    _entered.set(tuple(other for other in _entered.get() if other is not run))
    with suppress(ValueError):
        _open.remove(run)


def begin(params: Any, beginning: Beginning, folder: Path | None = None, *, more: Sequence[Any] = ()) -> ActiveRun:
    """Begin to record the run of this program; joins the one that ``gitparams run`` began for it.

    The second one within a ``gitparams run`` makes that a group, and is a child of it.

    Args:
        params: the config, of any kind that `gitparams.capture.objects` knows.
        beginning: what else is known; its params are the ones given here.
        folder: where the repository is; the present folder by default.
        more: configs that are merged over it by path; each value remembers what it overrode.
    """
    global _begun
    _begun = True
    plain = _plain(params)
    layer = _layer_of(params, plain)
    beginning = replace(beginning, environment={**beginning.environment, **told_of(params, *more)})
    if more:
        layer = stack([_numbered(one, place) for place, one in enumerate((layer, *map(layer_of, more)), 1)])
        plain = to_dict(layer.values)
        params = nested(plain)
    if is_other_rank():
        return ActiveRun(None, None, nested(plain))
    beginning = replace(beginning, params=layer, command=_command(beginning))
    try:
        run = _joined(params, layer, folder, beginning) or _recorded(params, layer, beginning, folder)
    except (GitParamsError, OSError) as error:
        if os.environ.get("GITPARAMS_STRICT", "0") not in ("0", ""):
            raise
        run = _joined_aside(params, layer, folder, beginning) or ActiveRun(
            spool(beginning, error), None, nested(plain), given=Given(params, plain)
        )
    if not run._finished:
        _entered.set((*_entered.get(), run))
        _open.append(run)
        atexit.register(run._at_exit)
        alone = run._journal is not None and not run._journal.joined
        if (
            alone
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        ):
            signal.signal(signal.SIGTERM, run._on_sigterm)
    return run


def tell_loaded(params: Params) -> None:
    """Tell the run of ``gitparams run`` of params that were loaded, and at the end which of them were never read."""
    reports, reads = reports_folder(), reads_of(params)
    if reports is None or reads is None or is_beside():
        return
    run = _run_of(reports)
    _tell_params(reports, run, "load", reads.layer)
    pid = os.getpid()

    def at_exit() -> None:
        if os.getpid() == pid:
            tell(reports, "reads", run=run, unread=list(reads.unread))

    atexit.register(at_exit)


def is_beside() -> bool:
    """Tell whether this process records nothing: a worker of another process, or a rank that is not the first."""
    told = sys.modules.get("_gitparams_capture")
    if told is not None and (told._process.worker or told._process.pid != os.getpid()):
        return True
    return is_other_rank()


def is_other_rank() -> bool:
    """Tell whether this is a process of a distributed job that is not its first."""
    return any(os.environ.get(name, "0") not in ("0", "") for name in _RANK_VARIABLES)


def layer_of(params: Any) -> Layer:
    """Return a config of any kind as params, each value with what is known of where it came from.

    Raises:
        ParamsError: it is no config.
    """
    return _layer_of(params, _values(params))


def told_of(*configs: Any) -> dict[str, Any]:
    """Return what configs tell beside params, as facts of the run: Hydra's overrides and choices."""
    told = [composed.facts() for composed in map(_composed, configs) if composed is not None]
    return {"hydra": told[-1]} if told else {}


def _numbered(given: Layer, place: int) -> Layer:
    """Return one of several configs, its place among them as where its values are from."""
    known = given.origins.items()
    at = f"config {place}"
    return Layer(given.values, {path: replace(origin, at=at) if origin.at is None else origin for path, origin in known})


def _layer_of(params: Any, plain: dict[str, Any]) -> Layer:
    """Return given params with their origins: of loaded ones those of the files, as far as the values are still the same."""
    reads, composed = reads_of(params), _composed(params)
    given = layer(plain, "code")
    if composed is not None:
        places = composed.origins(plain)
        said = {path: Origin("default" if source == "default" else "hydra", at) for path, (source, at) in places.items()}
        return Layer(plain, {**given.origins, **said})
    if reads is None:
        return given
    return Layer(plain, {path: _origin_of(path, value, given, reads.layer) for path, value in flatten(plain).items()})


def _origin_of(path: str, value: Any, given: Layer, loaded: Layer) -> Origin:
    known = loaded.origins.get(path)
    if known is None:
        return given.origins[path]
    old = get(loaded.values, path_keys(path))
    if same(old, value):
        return known
    return Origin("code", None, (*known.overrode, Overridden(old, known.source, known.at)))


def spool_folder() -> Path:
    """Return where runs wait that found no ledger: ``$GITPARAMS_SPOOL``, or ``gitparams/spool`` in the user's state folder."""
    if chosen := os.environ.get("GITPARAMS_SPOOL"):
        return Path(chosen)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "gitparams" / "spool"


def spool_folders() -> list[Path]:
    """Return the folders where runs may wait: the spool, and one below the system's for temporary files that takes its place.

    The second one has a name that anybody could know, so it counts only while it is a folder of this user's own.
    """
    second = Path(tempfile.gettempdir()) / f"gitparams-spool-{_user_id()}"
    try:
        about = second.lstat()
    except OSError:
        return [spool_folder()]
    own = stat.S_ISDIR(about.st_mode) and (not hasattr(os, "getuid") or about.st_uid == os.getuid())
    return [spool_folder(), second] if own else [spool_folder()]


def spool_open() -> Iterator[Path]:
    """Yield the folders that may take a run, the second one made when the first did not."""
    yield spool_folder()
    with suppress(OSError):
        (Path(tempfile.gettempdir()) / f"gitparams-spool-{_user_id()}").mkdir(mode=0o700)
    yield from spool_folders()[1:]


def kept(journal: Journal, error: Exception) -> str:
    """Close the journal of a run that the ledger does not take, and return the sentence that says where it is kept.

    What the journal's own disk refused is in memory only, so it goes to a spool with all the rest.
    """
    for folder in spool_open() if journal.refused else ():
        with suppress(OSError):
            journal.saved_to(folder).close()
            journal.remove()
            return f"{_said(error)} Run {journal.id[:8]} is kept in {folder}; bring it in with: gitparams import spool"
    journal.close()
    where = f"Run {journal.id[:8]} is kept in {journal.folder}, and the next gitparams command brings it in."
    return f"{_said(error)} {where}"


def warn(text: str) -> None:
    """Print one warning for the person who trains."""
    print(f"gitparams: {text}", file=sys.stderr)


@contextmanager
def harmless(system: str) -> Iterator[None]:
    """Turn a fault of ours while something is heard of a system into one warning: nothing stops a training.

    With ``GITPARAMS_STRICT=1`` it is raised.
    """
    try:
        yield
    except Exception as error:  # whatever a version of the system changed, the training goes on
        if os.environ.get("GITPARAMS_STRICT", "0") not in ("0", ""):
            raise
        warn_once(f"{system} could not be recorded: {type(error).__name__}: {error}")


def warn_once(text: str) -> None:
    """Print a warning, unless this process printed the same one before."""
    if text not in _warnings:
        _warnings.add(text)
        warn(text)


_warnings: set[str] = set()


def _recorded(params: Any, layer: Layer, beginning: Beginning, folder: Path | None) -> ActiveRun:
    reports = reports_folder()
    repository = Repository.find(folder)
    try:
        outer = RunId(reports.parent.name) if reports is not None else None
        if reports is not None and outer is not None:
            layer = _upon(reports, outer, layer, repository)
            expected = (*_expected_of(outer, repository), *beginning.expect)
            beginning = replace(beginning, params=layer, parent=beginning.parent or outer, expect=expected)
        journal = repository.begin(replace(beginning, parent=beginning.parent or _parent()))
    except BaseException:
        repository.close()
        raise
    for note in repository.notes:
        warn(note)
    _keep_packages(journal, repository)
    given = Given(params, _plain(params))
    if reports is not None:
        tell(reports, "child", event="begin", own=True, run=journal.id)
        given.enter(journal.id)
    return ActiveRun(journal, repository, nested(given.plain), given=given)


def _keep_packages(journal: Journal, repository: Repository) -> None:
    from gitparams.capture.environment import packages

    journal.keep_packages(packages([path for path in sys.path if path], repository.index.remembered, repository.index.remember))


def _upon(reports: Path, outer: RunId, layer: Layer, repository: Repository) -> Layer:
    """Return params upon those that the outer run declares and this program's parsers resolved."""
    journal = repository.journal_of(outer)
    if journal is None:
        return layer
    state = journal.read()
    return over(over(state.layer, told_by(read_messages(reports), os.getpid())), layer)


def _expected_of(outer: RunId, repository: Repository) -> tuple[str, ...]:
    """Return what is expected of a group, and so of each run in it."""
    journal = repository.journal_of(outer)
    return journal.begun().expect if journal is not None else ()


def _joined(params: Any, layer: Layer, folder: Path | None, beginning: Beginning) -> ActiveRun | None:
    """Join the run of ``gitparams run`` when it goes on in this repository and nothing has joined it yet."""
    run = _parent()
    if run is None:
        return None
    from gitparams.git import find_place

    live = find_place(folder).common_dir / "gitparams" / "live"
    return _joined_in(Journal(live / run, joined=True), params, layer, folder, beginning)


def _joined_aside(params: Any, layer: Layer, folder: Path | None, beginning: Beginning) -> ActiveRun | None:
    """Join the run of ``gitparams run`` that is kept in the spool, as nothing else takes this one."""
    run = _parent()
    for spool in spool_folders() if run is not None else ():
        joined = _joined_in(Journal(spool / str(run), joined=True), params, layer, folder, beginning)
        if joined is not None:
            return joined
    return None


def _joined_in(journal: Journal, params: Any, layer: Layer, folder: Path | None, beginning: Beginning) -> ActiveRun | None:
    """Join the run of a journal when it goes on and nothing has joined it yet."""
    if not (journal.folder / "run.json").exists() or not journal.alive():
        return None
    try:
        (journal.folder / "joined").touch(exist_ok=False)
    except FileExistsError:
        return None
    plain = to_dict(layer.values)
    reports = reports_folder()
    if reports is None:
        clean, hidden = redact_layer(layer)
        journal.change_params(clean, hidden)
        given = Given(params, plain)
    else:
        inner = _run_of(reports)
        tell(reports, "joined", run=inner)
        _tell_params(reports, inner, "start", layer, facts=beginning.environment)
        given = Given(params, plain, reports, inner)
    said: dict[str, Any] = {"tags": list(beginning.tags), "note": beginning.note, "name": beginning.name}
    if said := {name: value for name, value in {**said, "experiment": beginning.experiment}.items() if value}:
        journal.change(**said)
    if beginning.environment:
        journal.change(fields={"environment": dict(beginning.environment)})
    if beginning.expect:
        _expect(journal, beginning.expect, folder)
    return ActiveRun(journal, None, nested(plain), given=given)


def _expect(journal: Journal, expressions: Sequence[str], folder: Path | None) -> None:
    """Add what the program expects to the run it joined, on the ledger at once: before there is a result."""
    redaction = Redaction().knowing(os.environ)
    clean = [redaction.text(expression) for expression in expressions]
    journal.change(expect=[*clean])
    with suppress(GitParamsError, OSError), Repository.open(folder) as repository:
        repository.index.catch_up(repository.ledger.tip())
        repository.change(
            journal.id,
            EventKind.UPDATE,
            lambda run: replace(run, expect=tuple(dict.fromkeys((*run.expect, *clean)))),
            subject="expect",
        )


def _tell_params(
    reports: Path,
    run: RunId | None,
    reporter: str,
    layer: Layer,
    *,
    update: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> None:
    clean, hidden = Redaction().knowing(os.environ).layer(layer)
    tell(
        reports,
        "params",
        run=run,
        reporter=reporter,
        update=update,
        program=str(Path(sys.argv[0]).absolute()) if sys.argv and sys.argv[0] else "-",
        values=to_dict(clean.values),
        origins=origins_document(clean.origins),
        redacted=[list(path_keys(path)) for path in hidden],
        **(facts or {}),
    )


def reports_folder() -> Path | None:
    """Return the folder in which programs tell the run of ``gitparams run`` what they resolved, while it goes on."""
    folder = os.environ.get(CAPTURE_VARIABLE)
    return Path(folder) if folder and Path(folder).is_dir() else None


def _run_of(reports: Path) -> RunId | None:
    """Return the run within the run that this process is in; None for the run itself."""
    run = _parent()
    return None if run is None or run == reports.parent.name else run


def _top_of(journal: Journal) -> Path:
    """Return the folder that paths of a run are relative to: the top of its work tree, or where the program stands."""
    from gitparams.git import find_place

    with suppress(GitParamsError):
        return find_place().top or Path.cwd()
    return Path.cwd()


def _nothing_known(key: str) -> None:
    return None


def _forget(key: str, digest: str) -> None:
    pass


def _side(value: Any) -> Any:
    return {"missing": True} if value is MISSING else value


def spool(beginning: Beginning, error: Exception) -> Journal | None:
    """Keep a run that no ledger takes in a journal of the spool, with one warning; None when no folder takes it either.

    In a loop of runs the same warning is said once.
    """
    redaction = Redaction().knowing(os.environ)
    clean, hidden = redaction.layer(beginning.params)
    run = Run(
        id=new_run_id(),
        status=Status.RUNNING,
        started=beginning.started or now(),
        name=beginning.name,
        experiment=beginning.experiment or "default",
        params=nested(clean.values),
        command=redact_command(beginning.command),
        cwd=str(Path.cwd()),
        host=host(),
        tags=beginning.tags,
        note=beginning.note,
        expect=tuple(map(redaction.text, beginning.expect)),
        python=".".join(map(str, sys.version_info[:3])),
        redacted=tuple(sorted(hidden)),
        environment=dict(beginning.environment),
        parent=beginning.parent,
        group=beginning.group,
    )
    for folder in spool_open():
        try:
            journal = Journal.create(folder, run, clean.origins)
        except OSError:
            continue
        hint = getattr(error, "hint", None)
        mend = f" (mend it with: {hint})" if hint else ""
        warn_once(f"{_said(error)} The run is kept in {folder}{mend}; bring it in with: gitparams import spool")
        return journal
    warn_once(f"{_said(error)} The run could not be kept anywhere.")
    return None


def _parent() -> RunId | None:
    text = os.environ.get(RUN_VARIABLE, "")
    return RunId(text) if is_run_id(text) else None


def _plain(params: Any) -> dict[str, Any]:
    return _values(params) if params is not None else {}


def _values(params: Any) -> dict[str, Any]:
    from gitparams.capture.objects import plain_mapping

    values = plain_mapping(params)
    if _composed(params) is not None:
        del values["hydra"]
    return values


def _composed(params: Any) -> Composed | None:
    """Return what a config tells that Hydra composed with ``return_hydra_config=True``; None of any other object."""
    omegaconf = sys.modules.get("omegaconf")
    if omegaconf is None or not isinstance(params, omegaconf.DictConfig):
        return None
    from gitparams import params as paths
    from gitparams.capture import composed, lines

    if not composed.is_composed(params):
        return None
    redaction = Redaction().knowing(os.environ)
    return composed.Composed(params, paths, lines, lambda words: [redaction.command([word])[0] for word in words])


def _command(beginning: Beginning) -> tuple[str, ...]:
    return beginning.command or tuple(getattr(sys, "orig_argv", sys.argv))


def _number(value: object) -> Metric | None:
    if isinstance(value, int | float):
        return value
    from gitparams.capture.objects import plain

    number = plain(value)
    return number if isinstance(number, int | float) else None


def _ending_of(error: BaseException | None) -> tuple[str, int | None]:
    if error is None:
        return "completed", None
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 130
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        return ("failed" if code else "completed"), code
    return "failed", 1


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, GitParamsError) else f"{type(error).__name__}: {error}."


def _user_id() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "0"


_NUMBERS = frozenset({int, float, bool})
