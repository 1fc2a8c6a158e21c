"""Event files: the scalars and hparams that a program wrote for TensorBoard while it ran."""

from __future__ import annotations

import math
import os
import re
import stat
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitparams.journal import series_line
from gitparams.model import Metric
from gitparams.values import Value, same

BEGINNING = "events.out.tfevents."
"""How the name of an event file begins."""

_EXPERIMENT = "_hparams_/experiment"
_SESSION = "_hparams_/session_start_info"
_ENDING = "_hparams_/session_end_info"
_FLOAT32 = struct.Struct("<f")
_AROUND_A_RECORD = 16  # bytes; TensorBoard's reader does not say where it stands
_MOMENT = re.compile(r"[0-9]{9,}(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class EventFindings:
    """What event files say of one run.

    Attributes:
        series: the scalars as lines of a series, by wall time.
        hparams: the hparams by name; numbers are floats, as TensorBoard keeps them.
        warnings: a sentence for each file that could not be read whole.
    """

    series: bytes = b""
    hparams: dict[str, Value] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str
    mark: tuple[int, int]  # inode and size
    modified: float
    since: float = -math.inf  # what was written earlier is another run's


class EventWatch:
    """Folders of event files as they were before a program ran; what lies there unchanged afterwards is not the program's.

    Args:
        folders: each folder with the name it is called by. It need not exist yet; folders below it count too, except
            hidden ones.
        begun: seconds since 1970 at which the program began; now when None.
    """

    def __init__(self, folders: Sequence[tuple[Path, str]], *, begun: float | None = None) -> None:
        self._folders = list(folders)
        self._before = {file.path: file.mark for file in _files(self._folders)}
        self._begun = time.time() if begun is None else begun

    def read(self, told: Sequence[tuple[Path, str]] = ()) -> EventFindings:
        """Return what is new. Of a file that was there before and grew, only events since the watch began are.

        Args:
            told: further folders, known only now, each with the name it is called by; folders below them do not count.
        """
        new = {file.path: file for file in _files(self._folders) if self._before.get(file.path) != file.mark}
        chosen = [_since(file, self._begun) if self._grew(file) else file for file in new.values()]
        late = [file for file in _files(told, deep=False) if file.path not in new and file.path not in self._before]
        chosen += [_since(file, self._begun) for file in late if file.modified >= self._begun]
        return _read(chosen)

    def _grew(self, file: _File) -> bool:
        before = self._before.get(file.path)
        return before is not None and before[0] == file.mark[0] and before[1] < file.mark[1]


def read_event_files(files: Sequence[Path]) -> EventFindings:
    """Return what event files say, all of them as one run.

    A metric is called by its tag. Where files in different folders use the same tag, the folder goes before it, from the
    folder that all of them share: ``train/loss`` and ``val/loss``. Scalars that one file holds one after another for the
    same step are one line. What is no scalar is passed over.

    Args:
        files: event files, as TensorBoard, TensorFlow, PyTorch and tensorboardX write them.
    """
    return _read([_File(path, str(path), (0, 0), 0.0) for path in files])


# -- finding --------------------------------------------------------------------------------------------------------------


def _files(folders: Sequence[tuple[Path, str]], *, deep: bool = True) -> list[_File]:
    """Return the event files in folders, each once, by path."""
    found: dict[Path, _File] = {}
    for folder, name in folders:
        top = Path(os.path.realpath(folder))
        for where, below, names in os.walk(top):
            below[:] = sorted(inner for inner in below if not inner.startswith(".")) if deep else []
            for path in (Path(where, file) for file in sorted(names) if file.startswith(BEGINNING)):
                file = _file(path, Path(name, path.relative_to(top)).as_posix())
                if file is not None:
                    found.setdefault(path, file)
    return [found[path] for path in sorted(found)]


def _file(path: Path, name: str) -> _File | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return _File(path, name, (status.st_ino, status.st_size), status.st_mtime)


def _since(file: _File, moment: float) -> _File:
    return _File(file.path, file.name, file.mark, file.modified, moment)


# -- reading --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventLine:
    """Scalars that one file holds one after another for one step.

    Attributes:
        time: seconds since 1970.
        step: the step. scalars: the numbers by tag.
    """

    time: float
    step: int
    scalars: dict[str, Metric]


@dataclass(frozen=True, slots=True)
class Session:
    """What the HParams plugin is told when a run begins.

    Attributes:
        time: of the event, in seconds since 1970.
        hparams: by name; numbers are floats.
        group: the name of the trial, or a digest of the hparams, or nothing.
        started: seconds since 1970; 0 where it was not said.
    """

    time: float
    hparams: dict[str, Value]
    group: str = ""
    started: float = 0.0


@dataclass(frozen=True, slots=True)
class Ending:
    """What the HParams plugin is told when a run ends.

    Attributes:
        time: of the event, in seconds since 1970.
        status: 0 unknown, 1 success, 2 failure, 3 running.
        ended: seconds since 1970; 0 where it was not said.
    """

    time: float
    status: int
    ended: float = 0.0


@dataclass(slots=True)
class EventContent:
    """What one event file says.

    Attributes:
        path: the file.
        lines: the scalars, in the order in which they were written.
        sessions, endings: what the HParams plugin was told.
        experiment: the experiment's name, where the HParams plugin was told one.
        warning: a sentence when the file could not be read whole, else nothing.
    """

    path: Path
    lines: list[EventLine] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    experiment: str = ""
    warning: str = ""
    _scalar_tags: set[str] = field(default_factory=set)  # what a tag is, is said with its first value only

    @property
    def folder(self) -> Path:
        """The folder that the file is in."""
        return self.path.parent

    @property
    def of_moment(self) -> bool:
        """Whether it is in a folder named by the moment, which torch's ``add_hparams`` makes below that of the run."""
        return bool(self.sessions) and _MOMENT.fullmatch(self.folder.name) is not None

    @property
    def writer(self) -> Path:
        """The folder that the tags belong to."""
        return self.folder.parent if self.of_moment else self.folder


class _Damage(Exception):
    """The rest of a file cannot be read; says why."""


def _read(files: Sequence[_File]) -> EventFindings:
    if not files:
        return EventFindings()
    holds = f"{Path(files[0].name).parent.as_posix()} holds TensorBoard event files"
    try:
        reader = EventReader.load()
    except ModuleNotFoundError:
        return EventFindings(warnings=[f"{holds}; to read them: pip install 'gitparams[tensorboard]'"])
    except ImportError as error:
        return EventFindings(warnings=[f"{holds}; what reads them cannot be loaded: {str(error).splitlines()[0]}"])
    contents = [reader.read(file.path, file.name, since=file.since) for file in files]
    warnings = [content.warning for content in contents if content.warning]
    hparams, disputed = hparams_of(contents)
    if disputed:
        some = ", ".join(disputed[:5]) + (" …" if len(disputed) > 5 else "")
        warnings.append(f"The TensorBoard sessions of this run disagree about {some}: the last one counts.")
    series = b"".join(series_line(*line) for line in lines_of(contents))
    return EventFindings(series, hparams, warnings)


@dataclass(frozen=True, slots=True)
class EventReader:
    """What of TensorBoard reads a file of records, and the events in them; `load` makes one.

    It is the reader below TensorBoard's loaders of files: they would start TensorFlow where that is installed, and pass
    over in silence what is cut off or damaged.
    """

    reader: Any
    errors: Any
    event: Any
    session: Any
    undecodable: Any
    scalar_class: int
    array: Any

    @classmethod
    def load(cls) -> EventReader:
        """Import it. Raises ImportError, a ModuleNotFoundError where it is not installed."""
        try:
            from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
            from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
            from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR  # type: ignore[import-untyped]
            from tensorboard.compat.tensorflow_stub import errors  # type: ignore[import-untyped]
            from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New  # type: ignore[import-untyped]
            from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData  # type: ignore[import-untyped]
            from tensorboard.util.tensor_util import make_ndarray  # type: ignore[import-untyped]
        except _protobuf_refusals() as error:
            raise ImportError(str(error)) from None
        return cls(
            reader=PyRecordReader_New,
            errors=errors,
            event=Event.FromString,
            session=HParamsPluginData.FromString,
            undecodable=DecodeError,
            scalar_class=DATA_CLASS_SCALAR,
            array=make_ndarray,
        )

    def read(self, path: Path, name: str, *, since: float = -math.inf) -> EventContent:
        """Return what an event file says; its warning calls the file by `name`. Events before `since` do not count."""
        content = EventContent(path)
        try:
            self._read_into(content, since)
        except _Damage as damage:
            content.warning = f"{name} {damage}"
        except OSError as error:
            content.warning = f"{name} cannot be read: {error.strerror}."
        return content

    def _read_into(self, content: EventContent, since: float) -> None:
        for place, record in _records(content.path, self):
            try:
                event = self.event(record)
                if not event.wall_time < since:  # what has no time at all is kept
                    _take(event, self, content)
            except self.undecodable:
                raise _damaged(place) from None

    def number(self, tensor: Any) -> Metric | None:
        """Return the one number in a tensor, or None."""
        try:
            array = self.array(tensor)
        except (TypeError, ValueError):  # a type of which there are no arrays, or a shape that does not fit
            return None
        if array.size != 1 or array.dtype.kind not in "fiub":
            return None
        number: Metric = array.item()
        return _as_written(number) if array.dtype.name == "float32" else number


def _protobuf_refusals() -> tuple[type[Exception], ...]:
    """Return what a protobuf raises that TensorBoard was not made for."""
    try:
        from google.protobuf.runtime_version import VersionError  # type: ignore[import-untyped]
    except ImportError:  # before protobuf 5.26 there was none
        return (TypeError,)
    return TypeError, VersionError


def _records(path: Path, library: EventReader) -> Iterator[tuple[int, bytes]]:
    """Yield each record with the place it begins at."""
    place = 0
    try:
        reader = library.reader(str(path))
        while True:
            reader.GetNext()
            record: bytes = reader.record()
            yield place, record
            place += len(record) + _AROUND_A_RECORD
    except library.errors.OutOfRangeError:  # its word for the end
        if not place:
            raise _Damage("is empty: no metrics from it.") from None
    except library.errors.NotFoundError:
        raise _Damage("cannot be read: No such file or directory.") from None
    except library.errors.DataLossError as error:
        if "truncated record" in str(error):
            raise _Damage("ends in the middle of a record: what is before it was read.") from None
        raise _damaged(place) from None
    except UnicodeError:
        raise _Damage("cannot be read: TensorBoard reads only paths that are UTF-8.") from None


def _damaged(place: int) -> _Damage:
    return _Damage(f"is damaged at byte {place}: what is before it was read.")


def _take(event: Any, library: EventReader, content: EventContent) -> None:
    for value in event.summary.value:
        if value.tag in (_EXPERIMENT, _SESSION, _ENDING):
            _take_session(value, event.wall_time, library, content)
            continue
        number = _scalar(value, library, content)
        if number is None:
            continue
        last = content.lines[-1] if content.lines else None
        if last is None or last.step != event.step or value.tag in last.scalars:
            content.lines.append(last := EventLine(event.wall_time, event.step, {}))
        last.scalars[value.tag] = number


def _take_session(value: Any, time: float, library: EventReader, content: EventContent) -> None:
    data = library.session(value.metadata.plugin_data.content)
    if value.tag == _SESSION:
        start = data.session_start_info
        content.sessions.append(Session(time, _plain(start.hparams), start.group_name, start.start_time_secs))
    elif value.tag == _ENDING:
        content.endings.append(Ending(time, data.session_end_info.status, data.session_end_info.end_time_secs))
    else:
        content.experiment = data.experiment.name


def _scalar(value: Any, library: EventReader, content: EventContent) -> Metric | None:
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return _as_written(value.simple_value)
    if kind != "tensor":
        return None
    metadata = value.metadata
    if metadata.plugin_data.plugin_name == "scalars" or metadata.data_class == library.scalar_class:
        content._scalar_tags.add(value.tag)
    return library.number(value.tensor) if value.tag in content._scalar_tags else None


def _plain(hparams: Any) -> dict[str, Value]:
    return {name: _plain_value(value) for name, value in sorted(hparams.items())}


def _plain_value(value: Any) -> Value:
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        return [_plain_value(item) for item in value.list_value.values]
    plain: Value = getattr(value, kind) if kind in ("number_value", "string_value", "bool_value") else None
    return plain


def _as_written(number: float) -> float:
    """Return the shortest decimal that is this number in 32 bits: 0.93, where the bits say 0.9300000071525574."""
    for digits in (6, 7, 8):
        short = float(f"{number:.{digits}g}")
        if _FLOAT32.unpack(_FLOAT32.pack(short))[0] == number:
            return short
    return float(f"{number:.9g}")


# -- putting together -----------------------------------------------------------------------------------------------------


def hparams_of(contents: Sequence[EventContent]) -> tuple[dict[str, Value], list[str]]:
    """Return the hparams of all sessions, the later wins, and the names of those that sessions disagree about."""
    hparams: dict[str, Value] = {}
    disputed = []
    for session in sorted((session for content in contents for session in content.sessions), key=lambda one: one.time):
        disputed += [name for name, value in session.hparams.items() if name in hparams and not same(hparams[name], value)]
        hparams.update(session.hparams)
    return hparams, sorted(set(disputed))


def lines_of(contents: Sequence[EventContent]) -> list[tuple[int, float, dict[str, Metric]]]:
    """Return step, seconds since 1970 and numbers of every line of one run, by time; metrics are called as
    `read_event_files` says."""
    names = _names(contents)
    lines = [(line.time, line.step, content.writer, line.scalars) for content in contents for line in content.lines]
    lines.sort(key=lambda line: line[:2])
    return [
        (step, moment, {names.get((writer, tag), tag): value for tag, value in scalars.items()})
        for moment, step, writer, scalars in lines
    ]


def _names(contents: Sequence[EventContent]) -> Mapping[tuple[Path, str], str]:
    """Return what the tags that several writers use are called, by writer and tag."""
    writers: dict[str, set[Path]] = {}
    for content in contents:
        for tag in {tag for line in content.lines for tag in line.scalars}:
            writers.setdefault(tag, set()).add(content.writer)
    names = {}
    for tag, several in writers.items():
        shared = Path(os.path.commonpath(several))
        names.update({(writer, tag): f"{writer.relative_to(shared).as_posix()}/{tag}" for writer in several - {shared}})
    return names
