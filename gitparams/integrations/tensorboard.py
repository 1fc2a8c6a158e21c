"""TensorBoard: the runs of a log folder, and any runs as a log folder whose HPARAMS tab shows them."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitparams.directions import Direction
from gitparams.errors import ParamsError, UsageError
from gitparams.event_files import BEGINNING, EventContent, EventReader, Session, hparams_of, lines_of
from gitparams.foreign import ForeignRun
from gitparams.integrations import library
from gitparams.model import SHOWN_ID_LETTERS, Metric, RunId, Status
from gitparams.params import flatten, path_keys, put
from gitparams.values import Value, encode_json

if TYPE_CHECKING:
    from gitparams.recorded import RecordedRun

_OLD = 600.0  # seconds; writers keep what they have for two minutes, and an epoch takes its time
_DEEPEST = 100  # folders within each other; what walks them calls itself
_PARTS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "eval", "evaluation"})
_DIGEST = re.compile(r"[0-9a-f]{64}")  # TensorFlow's name for a trial that has none
_OURS = re.compile(r"\.gitparams\.(?P<id>[k-z]{16})$")
_SUMMARY = "summary/"
_SUCCESS, _FAILURE, _RUNNING = 1, 2, 3


# -- a log folder's runs --------------------------------------------------------------------------------------------------


def foreign_runs(place: str, only: str | None, say: Callable[[str], None]) -> Iterator[ForeignRun]:
    """Yield the runs below a log folder.

    A run is a folder, with what belongs to it: the ``train`` and ``validation`` below it, the folders of the moment that
    torch's ``add_hparams`` makes, those of ``add_scalars``, and below a folder that has hparams each one that has none.
    Folders of the moment that differ in their hparams are runs of their own. TensorBoard keeps every number as a float, and
    so it stays: ``32.0``.

    What is written to these minutes, and does not say that it ended, is left for later. A run is known again by the name of
    its folder, its first event file and the time of its first event; what was brought in once does not grow.

    Args:
        place: the folder.
        only: a folder below it; its runs are brought in as they are, also those that may go on.
        say: told of each file that cannot be read whole, and of runs that are left.

    Raises:
        UsageError: TensorBoard is not installed, the folder is not there or holds no event file, or not that folder.
    """
    top = Path(place)
    if not top.is_dir():
        raise UsageError(f"{place} is a file: name its folder." if top.exists() else f"There is no folder {place}.")
    library("tensorboard", "tensorboard")
    try:
        reader = EventReader.load()
    except ImportError as error:
        raise UsageError(f"What reads event files cannot be loaded: {str(error).splitlines()[0]}") from None
    walk = _Walk(top, reader, say)
    wanted = None if only is None else Path(only).parts
    seen: list[str] = []
    left: list[str] = []
    for found in walk.runs(top):
        folder = found.folder.relative_to(top)
        seen.append(folder.as_posix())
        if wanted is not None and folder.parts[: len(wanted)] != wanted:
            continue
        if wanted is None and found.may_go_on(time.time()):
            left.append(folder.as_posix())
            continue
        yield _foreign(found, folder, walk.experiment or top.resolve().name)
    if not walk.files:
        raise UsageError(f"There is no event file ({BEGINNING}…) in {place} or below it.")
    if wanted is not None and not any(Path(folder).parts[: len(wanted)] == wanted for folder in seen):
        raise UsageError(f"{place} holds no run in {only!r}; there is {', '.join(seen[:5]) or 'none'}.")
    if left:
        many = "1 run" if len(left) == 1 else f"{len(left)} runs"
        say(f"{many} may still go on ({_some(left)}): bring in later, or as it is now with --only {left[0]}.")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


@dataclass(slots=True)
class _Found:
    """The event files of one run."""

    folder: Path
    contents: list[EventContent]

    @property
    def sessions(self) -> list[Session]:
        return sorted((session for content in self.contents for session in content.sessions), key=lambda one: one.time)

    @property
    def says_something(self) -> bool:
        return any(content.lines or content.sessions for content in self.contents)

    @property
    def of_moment(self) -> bool:
        """Whether its folder is named by the moment, and not by a person."""
        return any(content.of_moment and content.folder == self.folder for content in self.contents)

    @property
    def status(self) -> int | None:
        """How the HParams plugin says that it ended; None when it does not, or when other files went on after that."""
        endings = [(ending.time, ending.status, content) for content in self.contents for ending in content.endings]
        if not endings:
            return None
        moment, status, last = max(endings, key=lambda ending: ending[0])
        later = (line.time > moment for content in self.contents if content is not last for line in content.lines)
        return None if status == _RUNNING or any(later) else status

    def may_go_on(self, now: float) -> bool:
        return self.status is None and any(now - _modified(content.path) < _OLD for content in self.contents)

    def times(self) -> Iterator[float]:
        """Yield all times at which something is said to have happened, in seconds since 1970."""
        for content in self.contents:
            yield from _times(content)
            yield from (session.started for session in content.sessions if session.started > 0)
            yield from (ending.ended for ending in content.endings if ending.ended > 0)

    @property
    def first(self) -> tuple[float, str]:
        """The time of the first event, and the name of the file that holds it."""
        first = [(min(_times(content), default=math.inf), content.path.name) for content in self.contents]
        return min(first)


def _times(content: EventContent) -> Iterator[float]:
    for times in ((event.time for event in told) for told in (content.lines, content.sessions, content.endings)):
        yield from filter(math.isfinite, times)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


@dataclass(slots=True)
class _Walk:
    """A way through a log folder, on which the runs are found."""

    top: Path
    reader: EventReader
    say: Callable[[str], None]
    files: int = 0
    experiment: str = ""

    def runs(self, folder: Path) -> Iterator[_Found]:
        """Yield the runs in a folder and below it; one without hparams belongs to the next folder above that has some."""
        files, below = self._listed(folder)
        own = _Found(folder, [self._content(path) for path in files])
        has_session, moments = bool(own.sessions), list[_Found]()
        for inner in below:
            for found in self.runs(inner):
                if not found.sessions and (has_session or _is_part(found, own)):
                    own.contents += found.contents
                elif found.folder.parent == folder and found.of_moment:
                    moments.append(found)
                else:
                    yield found
        if not has_session and _agree(moments, own):
            own.contents += [content for found in moments for content in found.contents]
            moments = []
        yield from moments
        if own.says_something:
            yield own

    def _content(self, path: Path) -> EventContent:
        content = self.reader.read(path, str(path))
        self.files += 1
        self.experiment = self.experiment or content.experiment
        if content.warning:
            self.say(content.warning)
        return content

    def _listed(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """Return the event files in a folder and the folders in it, sorted."""
        if len(folder.parts) - len(self.top.parts) > _DEEPEST:
            self.say(f"{folder} lies too deep: what is in it is left out.")
            return [], []
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self.say(f"{folder} cannot be read: {error.strerror}.")
            return [], []
        files = [Path(entry.path) for entry in entries if entry.name.startswith(BEGINNING) and entry.is_file()]
        below = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name[0] != "."]
        return files, below


def _is_part(found: _Found, above: _Found) -> bool:
    """Tell whether a folder without hparams is a part of the run in the folder right above it."""
    if found.folder.parent != above.folder:
        return False
    if found.folder.name.lower() in _PARTS:
        return True
    tags = {tag for content in found.contents for line in content.lines for tag in line.scalars}
    prefix = next(iter(tags)).replace("/", "_") + "_" if len(tags) == 1 else None
    return bool(above.contents) and prefix is not None and found.folder.name.startswith(prefix)  # add_scalars makes them


def _agree(moments: Sequence[_Found], own: _Found) -> bool:
    """Tell whether folders of the moment speak of the one run above them, and not of one each."""
    if len(moments) < 2:
        return True
    told = [session.hparams for found in moments for session in found.sessions]
    return own.says_something and all(hparams == told[0] for hparams in told)


def _foreign(found: _Found, folder: Path, experiment: str) -> ForeignRun:
    sessions, lines, status = found.sessions, lines_of(found.contents), found.status
    ours = next((match["id"] for content in found.contents if (match := _OURS.search(content.path.name))), None)
    moment, file = found.first
    times = [time for seconds in found.times() if (time := _moment(seconds)) is not None]
    written = _moment(max(_modified(content.path) for content in found.contents)) or datetime.now(UTC)
    group = _group(sessions)
    where = folder.as_posix() if folder.parts else found.folder.resolve().name
    metrics = {name: number for _, _, numbers in lines for name, number in numbers.items()}
    series = lines
    if ours:
        series = [(step, when, kept) for step, when, numbers in lines if (kept := _without_summary(numbers))]
        metrics = _without_summary(metrics) | {
            name.removeprefix(_SUMMARY): number for name, number in metrics.items() if name.startswith(_SUMMARY)
        }
        group = group.removesuffix(ours[:SHOWN_ID_LETTERS]).rstrip()
    return ForeignRun(
        key=("tensorboard", found.folder.resolve().name, file, repr(moment)),
        params=_params(hparams_of(found.contents)[0]),
        status=Status.FAILED if status == _FAILURE else Status.COMPLETED,
        started=min(times, default=written),
        finished=max(times, default=written),
        metrics=metrics,
        series=series,
        name=group or (None if ours or found.of_moment else where),
        experiment=experiment,
        environment={"tensorboard": {"folder": where}},
    )


def _group(sessions: Sequence[Session]) -> str:
    """Return what the trial is called, when somebody gave it a name."""
    named = [session.group for session in sessions if session.group and not _DIGEST.fullmatch(session.group)]
    return named[-1] if named else ""


def _without_summary(numbers: Mapping[str, Metric]) -> dict[str, Metric]:
    return {name: number for name, number in numbers.items() if not name.startswith(_SUMMARY)}


def _params(hparams: Mapping[str, Value]) -> dict[str, Value]:
    """Return hparams nested: a name that is a path is one."""
    params: dict[str, Value] = {}
    for name, value in hparams.items():
        try:
            put(params, path_keys(name), value)
        except ParamsError:
            params[name] = value
    return params


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return None


# -- runs as a log folder -------------------------------------------------------------------------------------------------


def write_runs(path: Path, runs: Sequence[RecordedRun], directions: Mapping[str, Direction]) -> list[RunId]:
    """Write runs into a log folder, a folder each, for ``tensorboard --logdir``, and return their ids.

    A run's folder is its short id. Params are hparams by their paths: numbers, booleans and texts as such; None, lists and
    numbers that a float cannot hold as JSON text. Steps of series keep step and time (a series with steps that are no whole
    numbers is counted: 0, 1, 2 …), and a summary that is not the last step of its series is ``summary/NAME``. Which hparams
    and metrics there are is found out by TensorBoard from the runs, so that several exports into one folder add up.

    A run that is there already is replaced.

    Args:
        path: the folder; it is made.
        runs: any; of one that goes on what is known now.
        directions: not used: TensorBoard knows none.

    Raises:
        UsageError: TensorBoard is not installed, the folder cannot be written, or a run's folder there holds somebody
            else's event files.
    """
    library("tensorboard", "tensorboard")
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file: name a folder.")
    short: dict[str, RunId] = {}
    written = []
    for run in runs:
        unshared = short.setdefault(run.short_id, run.id) == run.id
        folder = path / (run.short_id if unshared else run.id)
        file = f"{BEGINNING}{max(int(run.started.timestamp()), 0):010d}.gitparams.{run.id}"
        try:
            _write(folder, file, run)
        except OSError as error:
            raise UsageError(f"{folder} cannot be written: {error.strerror}.") from None
        written.append(run.id)
    return written


def _write(folder: Path, file: str, run: RecordedRun) -> None:
    """Write the event file of a run, whole or not at all."""
    from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

    folder.mkdir(parents=True, exist_ok=True)
    others = [found.name for found in folder.iterdir() if found.name.startswith(BEGINNING) and found.name != file]
    if folder.is_symlink() or others:
        reason = "leads elsewhere" if folder.is_symlink() else "holds event files that gitparams did not write"
        raise UsageError(f"{folder} {reason}: choose another folder.")
    temporary = folder / f".{os.getpid()}.new"
    try:
        with temporary.open("xb") as stream:
            writer = RecordWriter(stream)
            for event in _events(run):
                writer.write(event.SerializeToString())
        temporary.replace(folder / file)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _events(run: RecordedRun) -> Iterator[Any]:
    """Yield what a run is, as TensorBoard's events."""
    from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb  # type: ignore[import-untyped]

    begun = run.started.timestamp()
    yield Event(wall_time=begun, file_version="brain.Event:2")
    # TensorBoard makes one row of all trials of one name.
    hparams = {_utf8(path): _hparam(value) for path, value in flatten(run.params).items()}
    start = hparams_pb(hparams, trial_id=_utf8(f"{run.name or ''} {run.short_id}".lstrip()), start_time_secs=begun)
    yield Event(wall_time=begun, summary=start)
    ended = begun if run.finished is None else run.finished.timestamp()
    for moment, step, value in _scalars(_points(run, begun, ended)):
        yield Event(wall_time=moment, step=step, summary={"value": [value]})
    if run.finished is not None:
        yield Event(wall_time=ended, summary=_ending(run.status, ended))


def _points(run: RecordedRun, begun: float, ended: float) -> Iterator[tuple[float, int, str, Metric]]:
    """Yield time, step, tag and number of each step of a run's series, then of its summary."""
    last: dict[str, tuple[int, float]] = {}
    for name, series in run.series.items():
        whole = all(float(step).is_integer() and abs(step) < 2**63 for step in series.steps)
        for place, (step, value, moment) in enumerate(series):
            number = int(step) if whole else place
            yield moment if math.isfinite(moment) else begun, number, name, value
            last[name] = number, float(value)
    for name, value in run.metrics.items():
        if name not in last:
            yield ended, 0, name, value
        elif repr(float(value)) != repr(last[name][1]):
            yield ended, last[name][0], f"{_SUMMARY}{name}", value


def _scalars(points: Iterable[tuple[float, int, str, Metric]]) -> Iterator[tuple[float, int, Any]]:
    """Yield time, step and value of each point; what a tag is, is said with its first value."""
    import numpy as np
    from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR, Summary  # type: ignore[import-untyped]
    from tensorboard.plugins.scalar.metadata import create_summary_metadata  # type: ignore[import-untyped]
    from tensorboard.util.tensor_util import make_tensor_proto  # type: ignore[import-untyped]

    told = set[str]()
    for moment, step, name, number in points:
        value = Summary.Value(tag=_utf8(name), tensor=make_tensor_proto(float(number), dtype=np.float64))
        if name not in told:
            value.metadata.CopyFrom(create_summary_metadata(display_name="", description=""))
            value.metadata.data_class = DATA_CLASS_SCALAR
            told.add(name)
        yield moment, step, value


def _ending(status: Status, ended: float) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata  # type: ignore[import-untyped]
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData  # type: ignore[import-untyped]

    told = {Status.COMPLETED: _SUCCESS, Status.PRUNED: 0}.get(status, _FAILURE)
    data = HParamsPluginData(session_end_info={"status": told, "end_time_secs": ended})
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR
    )
    return Summary(value=[value])


def _hparam(value: Value) -> bool | float | str:
    """Return a value as an hparam can be."""
    if isinstance(value, bool | float):
        return value
    if isinstance(value, str):
        return _utf8(value)
    if isinstance(value, int) and abs(value) < 2**1000 and int(float(value)) == value:
        return value
    return encode_json(value, indent=None).decode()


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
