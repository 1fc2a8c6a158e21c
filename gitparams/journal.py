"""Journal: a run in progress on disk, from which its entry can be made by whoever comes next.

``<git common dir>/gitparams/live/<id>/`` holds

    run.json       the state at the start: the run, its params, metrics and origins
    series.jsonl   what was logged, a line a step
    heard.jsonl    steps that were heard on its output or read from its files
    joined.jsonl   what a `start` that joined the run changed; the same lines as in changes.jsonl
    changes.jsonl  summary values, tags, notes and the end, a line each; the later wins
    packages.txt   the packages of the program's Python
    capture/       what the program's parsers told, a file a message
    code.pack      the objects of changed code, when the start entry could not be written
    output.log     the tail of what the program printed (output.log.1 before it)
    lock           locked by the process that keeps the run; free means that it is dead
    pulse          touched once a minute by ``gitparams run``, for those on other machines who cannot ask the lock

Every line is written by one call to the system, so a killed process loses nothing that it had logged; how a run began and
how it ended is flushed to the disk as well. The same folder below a spool keeps a run that could not be brought to a ledger.
The folder may move while the run goes on: it is followed by the lock that is held in it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gitparams.capture.reports import FOLDER as REPORTS
from gitparams.capture.reports import HOW
from gitparams.entry import origins_document, read_event, read_origins, read_run, run_document
from gitparams.errors import FormatError, GitParamsError
from gitparams.lockfile import LockFile
from gitparams.model import Details, Event, EventKind, Metric, Run, RunId, Status, is_run_id, now
from gitparams.params import Layer, Origin, flatten, nested, stack, to_dict
from gitparams.presence import PULSE_SECONDS, lives
from gitparams.rights import make_folder, share
from gitparams.values import Value, decode_json, encode_json

HOME = "home"
"""The file of a journal that was saved to another folder which says where it was."""
OUTPUT_KEPT = 64 * 1024
"""Bytes of output that an entry keeps: the tail."""


_LOCK_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, as far as its process could say.

    Attributes:
        status: a finished status.
        time: when.
        exit_code: the program's, or None.
    """

    status: Status
    time: datetime
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class JournalState:
    """All that a journal tells of a run.

    Attributes:
        run: the run with everything logged so far, still in its first status.
        origins: where its params came from.
        details: series and output.
        ending: how it ended; None while it goes on, or when it died without a word.
        touched: the fields that were changed since the start, for the merge with what the ledger holds.
        code: a pack of the code's objects, where the start entry could not bring them.
    """

    run: Run
    details: Details
    ending: Ending | None
    touched: frozenset[str] = frozenset()
    code: bytes | None = None

    @property
    def layer(self) -> Layer:
        """The params, each with its origin."""
        return Layer(to_dict(self.run.params), self.details.origins)


@dataclass
class Journal:
    """The folder of one run in progress. Make one with `Journal.create`, or read one with `Journal(folder)`.

    Attributes:
        folder: the folder.
        joined: whether this object is that of a `start` within the run, whose changes are kept apart.
    """

    folder: Path
    joined: bool = False
    lock: LockFile = field(init=False)
    _files: dict[str, int] = field(default_factory=dict)
    _waiting: dict[str, list[bytes]] = field(default_factory=dict)
    _next_pulse: float = 0.0

    def __post_init__(self) -> None:
        self.lock = LockFile(self.folder / "lock", let_go_in_children=True)

    @property
    def id(self) -> RunId:
        """The run's id: the folder's name."""
        return RunId(self.folder.name)

    @classmethod
    def create(cls, live: Path, run: Run, origins: Mapping[str, Origin], *, lock: bool = True) -> Journal:
        """Begin the journal of a run; with `lock`, it is alive as long as this process.

        Raises:
            OSError: the folder cannot be written.
        """
        journal = cls(live / run.id)
        make_folder(live, live.parent.parent)
        try:
            journal.folder.mkdir()
        except FileNotFoundError:  # another who shares the repository made the same folders at this moment
            make_folder(live, live.parent.parent)
            journal.folder.mkdir()
        try:
            share(journal.folder, live.parent.parent)
            if lock:
                try:
                    journal.lock.take(_LOCK_PATIENCE)  # every command holds it for a moment, to see whether the run is dead
                except OSError:
                    pass  # no locks here: whether the run goes on is read from what it says of its process
            journal._replace("run.json", encode_json(_state_document(run, origins)), durable=True)
        except OSError:
            journal.remove()  # half of one is nobody's run, and would stay
            raise
        return journal

    def begin_again(self, run: Run, origins: Mapping[str, Origin]) -> None:
        """Write how the run began once more, as the ledger has it. Raises `OSError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._replace("run.json", encode_json(_state_document(run, origins)), durable=True)

    # -- writing ------------------------------------------------------------------------------------------------------

    def log(self, line: bytes) -> None:
        """Append one line to the series. What the disk refuses is kept in memory and tried again with the next line."""
        self._append("series.jsonl", line)

    def hear(self, lines: bytes) -> None:
        """Append steps that the program said without logging them."""
        self._append("heard.jsonl", lines)

    def change(self, **changes: Value) -> None:
        """Append a change: ``summary={…}``, ``tags=[…]``, ``note="…"``, ``fields={…}`` of the run …"""
        self._append("joined.jsonl" if self.joined else "changes.jsonl", encode_json(changes, indent=None) + b"\n")

    def listen(self, how: Mapping[str, Value]) -> None:
        """Make the folder in which the programs tell what they resolved, and say there what is asked of them.

        A disk that refuses it is no fault of the program: nothing is captured.
        """
        try:
            (self.folder / REPORTS).mkdir(exist_ok=True)
            self._replace(f"{REPORTS}/{HOW}", encode_json(dict(how)))
        except OSError:
            pass

    def keep_packages(self, packages: Iterable[str]) -> None:
        """Keep the packages of the program's Python."""
        try:
            self._replace("packages.txt", "".join(f"{package}\n" for package in packages).encode())
        except OSError:
            pass

    def hand_over(self, other: Journal, steps: bytes) -> None:
        """Hand what was logged and changed by the `start` that joined this run over to another journal.

        Args:
            other: gets it; it is not in use yet.
            steps: what was heard of it.
        """
        for name in ("series.jsonl", "joined.jsonl"):
            try:
                (self.folder / name).replace(other.folder / name)
            except FileNotFoundError:
                pass
        if steps:
            other.hear(steps)

    def heard(self) -> bytes:
        """Return the steps that were heard."""
        return _whole_lines(_bytes(self.folder / "heard.jsonl") + b"".join(self._waiting.get("heard.jsonl", ())))

    def keep_heard(self, lines: bytes) -> None:
        """Keep only these of the steps that were heard."""
        if "heard.jsonl" in self._files:
            os.close(self._files.pop("heard.jsonl"))
        self._replace("heard.jsonl", lines)

    def change_params(self, layer: Layer, redacted: Iterable[str] = ()) -> None:
        """Append params that the program declared itself; they win over those it was started with."""
        self.change(params=to_dict(layer.values), origins=origins_document(layer.origins), redacted=[*sorted(redacted)])

    def set_params(self, layer: Layer, redacted: Iterable[str] = ()) -> None:
        """Append all params as they turned out; what was said of them before is part of them."""
        self.change(
            resolved=True, params=to_dict(layer.values), origins=origins_document(layer.origins), redacted=[*sorted(redacted)]
        )

    def end(self, ending: Ending) -> None:
        """Say how the run ended, and have it on the disk: what comes next may fail."""
        self.change(ending={"status": str(ending.status), "time": ending.time.isoformat(), "exit_code": ending.exit_code})
        for name in self._files:
            if name.endswith(".jsonl"):
                _flush(self._files[name])

    def pulse(self) -> None:
        """Give a sign of life, once a minute however often this is called."""
        present = time.monotonic()
        if present < self._next_pulse:
            return
        self._next_pulse = present + PULSE_SECONDS
        try:
            os.utime(self._descriptor("pulse"))
        except OSError:
            pass

    def last_sign(self) -> tuple[float, float]:
        """Return when the run last wrote anything, and when it gave its last sign of life, in seconds since 1970 or 0."""
        times = {entry.name: entry.stat().st_mtime for entry in _entries(self.folder) if entry.name != "lock"}
        return max(times.values(), default=0.0), times.get("pulse", 0.0)

    def follow(self) -> bool:
        """Go where the folder of a run that is kept was moved to; return whether it was moved.

        What could not be written on the way is written now.
        """
        place = self.lock.place()
        if place is None or self._is_at(place.parent):
            return False
        self.lock.path, self.folder = place, place.parent
        for name in list(self._waiting):
            self._append(name, b"")
        return True

    def keep_code(self, pack: bytes) -> None:
        """Keep the objects of the code for the entry that ends the run; a disk that refuses them is no fault of the program."""
        try:
            self._replace("code.pack", pack)
        except OSError:
            pass

    def output(self, data: bytes) -> None:
        """Append to the output; the file is turned over so that the tail is kept and no more than twice as much.

        What the disk refuses is not kept: the program goes on.
        """
        try:
            descriptor = self._descriptor("output.log")
            os.write(descriptor, data[-OUTPUT_KEPT:])
            if os.fstat(descriptor).st_size > OUTPUT_KEPT:
                os.close(self._files.pop("output.log"))
                (self.folder / "output.log").replace(self.folder / "output.log.1")
        except OSError:
            pass

    @property
    def told(self) -> bool:
        """Whether it says what run it is of; one whose process died before that is no run."""
        return (self.folder / "run.json").exists()

    @property
    def refused(self) -> bool:
        """Whether the disk refused something that is in memory only."""
        return bool(self._waiting)

    def saved_to(self, spool: Path) -> Journal:
        """Copy the journal to another folder, with what its own disk refused, and return the copy.

        Raises:
            OSError: that folder refuses it too.
        """
        other = Journal(spool / self.id, joined=self.joined)
        shutil.copytree(self.folder, other.folder, ignore=shutil.ignore_patterns("lock", "*.new"))
        (other.folder / HOME).write_text(str(self.folder.parent), "utf-8", "surrogateescape")
        for name, lines in self._waiting.items():
            other._append(name, b"".join(lines))
        if other.refused:
            other.remove()
            raise OSError(f"{spool} cannot be written.")
        return other

    def remove(self) -> None:
        """Remove the journal: the ledger has it all."""
        with suppress(OSError):
            (self.folder / "run.json").unlink()  # first: what is left of a journal half removed must not look like a dead run's
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Close the files and let go of the lock."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()
        self.lock.release()

    def _is_at(self, folder: Path) -> bool:
        try:
            return self.folder.samefile(folder)
        except OSError:
            return False

    def _append(self, name: str, line: bytes) -> None:
        waiting = self._waiting.pop(name, None)
        data = b"".join(waiting) + line if waiting else line
        try:
            descriptor = self._files.get(name)
            if descriptor is None:
                descriptor = self._descriptor(name)
            written = os.write(descriptor, data) if data else 0
        except FileNotFoundError:
            self._waiting[name] = [data]
            self.follow()
            return
        except OSError:
            self._waiting[name] = [data]
            return
        if written < len(data):
            self._waiting[name] = [data[written:]]

    def _descriptor(self, name: str) -> int:
        if name not in self._files:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
            self._files[name] = os.open(self.folder / name, flags, 0o666)
        return self._files[name]

    def _replace(self, name: str, data: bytes, *, durable: bool = False) -> None:
        temporary = self.folder / f"{name}.new"
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            if durable:
                _flush(file.fileno())
        temporary.replace(self.folder / name)
        if durable:
            _flush_folder(self.folder)
            _flush_folder(self.folder.parent)

    # -- reading ------------------------------------------------------------------------------------------------------

    def alive(self) -> bool:
        """Tell whether a process keeps this run.

        The lock answers. Where the file system knows none, it is asked whether the process that the run tells of lives; where
        nobody can say, the run is left to who can.
        """
        if self.lock.held:
            return True
        try:
            return not LockFile(self.folder / "lock").is_free()
        except OSError:
            return self._is_said_to_live()

    def _is_said_to_live(self) -> bool:
        try:
            return lives(self.begun()) is not False
        except FormatError:
            return True

    def read(self) -> JournalState:
        """Return all that the journal tells.

        Raises:
            FormatError: the state at the start cannot be read.
        """
        run, origins = _read_state(_bytes(self.folder / "run.json"))
        series = _whole_lines(_bytes(self.folder / "series.jsonl") + b"".join(self._waiting.get("series.jsonl", ())))
        series += self.heard()
        output = (_bytes(self.folder / "output.log.1") + _bytes(self.folder / "output.log"))[-OUTPUT_KEPT:]
        code = _bytes(self.folder / "code.pack") or None
        packages = tuple(_bytes(self.folder / "packages.txt").decode("utf-8", "replace").splitlines())
        details = Details(origins=origins, packages=packages, series=series, output=output)
        state = JournalState(run, details, None, code=code)
        summary = last_values(series)
        for change in self._changes():
            summary.update(_numbers(change.get("summary")))
            state = _changed(state, change)
        touched = state.touched | ({"metrics"} if summary else set())
        return replace(state, run=replace(state.run, metrics={**state.run.metrics, **summary}), touched=frozenset(touched))

    def begun(self) -> Run:
        """Return the run as it was when it began. Raises `FormatError`."""
        return _read_state(_bytes(self.folder / "run.json"))[0]

    def _changes(self) -> Iterator[dict[str, Any]]:
        lines = [
            line
            for name in ("joined.jsonl", "changes.jsonl")
            for line in _whole_lines(_bytes(self.folder / name) + b"".join(self._waiting.get(name, ()))).splitlines()
        ]
        for line in lines:
            try:
                change = decode_json(line)
            except ValueError:
                continue  # a line that the disk cut: the next ones are whole
            if isinstance(change, dict):
                yield change


def journals(live: Path) -> list[Journal]:
    """Return the journals below a folder, the oldest first."""
    try:
        names = [entry.name for entry in os.scandir(live) if is_run_id(entry.name)]
    except OSError:
        return []
    return sorted((Journal(live / name) for name in names), key=lambda journal: _made(journal.folder))


def last_values(series: bytes) -> dict[str, Metric]:
    """Return the last value of each metric of a series.

    >>> last_values(b'{"step":0,"time":1.5,"loss":0.3}\\n{"step":1,"time":2.5,"loss":0.2}\\n')
    {'loss': 0.2}
    """
    values: dict[str, Metric] = {}
    for line in series.splitlines():
        try:
            step = decode_json(line)
        except ValueError:
            continue
        if isinstance(step, dict):
            metrics = {key: value for key, value in _numbers(step).items() if key not in ("step", "time")}
            values.update({key[1:] if _CLOCK.fullmatch(key) else key: value for key, value in metrics.items()})
    return values


def found_dead(folder: Path) -> Ending:
    """Return the ending of a run whose process is gone: crashed, at the last time it wrote anything."""
    last, _ = Journal(folder).last_sign()
    return Ending(Status.CRASHED, datetime.fromtimestamp(last).astimezone() if last else now())


def _state_document(run: Run, origins: Mapping[str, Origin]) -> Value:
    event = Event(EventKind.START, run.started, "")
    return {
        "run": run_document(run, event),
        "params": dict(run.params),
        "metrics": dict(run.metrics),
        "origins": origins_document(origins),
        "author": run.author,
    }


def _read_state(data: bytes) -> tuple[Run, Mapping[str, Origin]]:
    try:
        document = decode_json(data)
        assert isinstance(document, dict)
        run, params, metrics = document["run"], document["params"], document["metrics"]
        assert isinstance(run, dict) and isinstance(params, dict) and isinstance(metrics, dict)
        read_event(run)
        return read_run(run, params, _numbers(metrics), str(document["author"])), read_origins(document["origins"])
    except (ValueError, KeyError, AssertionError, GitParamsError) as error:
        raise FormatError(f"The journal's run.json cannot be read: {error}") from None


def _changed(state: JournalState, change: Mapping[str, Any]) -> JournalState:
    run, touched = state.run, set(state.touched)
    if isinstance(change.get("tags"), list):
        run = replace(run, tags=tuple(sorted({*run.tags, *map(str, change["tags"])})))
        touched.add("tags")
    for name in ("note", "name", "experiment"):
        if isinstance(change.get(name), str):
            run = replace(run, **{name: change[name]})
            touched.add(name)
    if isinstance(change.get("expect"), list):
        run = replace(run, expect=tuple(dict.fromkeys((*run.expect, *map(str, change["expect"])))))
        touched.add("expect")
    details = state.details
    if isinstance(change.get("params"), dict):
        layer = _layer(change["params"], read_origins(change.get("origins")))
        if not change.get("resolved"):
            layer = stack([_layer(run.params, details.origins), layer])
        hidden = tuple(sorted({*run.redacted, *map(str, change.get("redacted", ()))}))
        run, details = replace(run, params=nested(layer.values), redacted=hidden), replace(details, origins=layer.origins)
        touched |= {"params", "origins", "redacted"}
    fields = {name: _FIELDS[name](value) for name, value in _mapping(change.get("fields")).items() if name in _FIELDS}
    if fields:
        if "environment" in fields:
            fields["environment"] = {**run.environment, **fields["environment"]}
        run = replace(run, **fields)
        touched |= fields.keys()
    if run.group:
        run, details = replace(run, params=nested({}), redacted=()), replace(details, origins={})
        touched |= {"params", "origins", "redacted"}
    return replace(
        state,
        run=run,
        details=details,
        ending=_ending(change.get("ending")) or state.ending,
        touched=frozenset(touched),
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


# The fields of a run that become known while it goes on, and how each is read from its JSON.
_FIELDS: dict[str, Callable[[Any], Any]] = {
    "group": bool,
    "python": str,
    "programs": lambda value: tuple(value) if isinstance(value, list) else (),
    "environment": _mapping,
    "inputs": _mapping,
    "outputs": _mapping,
    "drift": _mapping,
    "disputed": _texts,
    "unread": _texts,
}


def _layer(params: Mapping[str, Any], origins: Mapping[str, Origin]) -> Layer:
    return Layer(to_dict(params), {path: origins.get(path, Origin("unknown")) for path in flatten(params)})


def _ending(document: Any) -> Ending | None:
    if not isinstance(document, dict):
        return None
    try:
        return Ending(Status(document["status"]), datetime.fromisoformat(document["time"]), document.get("exit_code"))
    except (KeyError, ValueError, TypeError):
        return None


def _numbers(value: Any) -> dict[str, Metric]:
    return {key: number for key, number in value.items() if isinstance(number, int | float)} if isinstance(value, dict) else {}


def _whole_lines(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []


def _flush(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # no disk of ours


def _flush_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # Windows opens no folders
    _flush(descriptor)
    os.close(descriptor)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _made(folder: Path) -> float:
    try:
        return (folder / "run.json").stat().st_mtime
    except OSError:
        return 0.0


# A metric that is named as one of the line's own keys gets a $ before its name, and so does one that already has some.
_CLOCK = re.compile(r"\$*(?:step|time)")
_ENDINGS = ("step", "time")
_dumps = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode


def series_line(step: int | float, time: float, metrics: Mapping[str, Metric]) -> bytes:
    """Return one line of a series.

    >>> series_line(3, 1730000000.1, {"loss": 0.21})
    b'{"step":3,"time":1730000000.1,"loss":0.21}\\n'
    """
    if any(name[-4:] in _ENDINGS and _CLOCK.fullmatch(name) for name in metrics):
        metrics = {f"${name}" if _CLOCK.fullmatch(name) else name: value for name, value in metrics.items()}
    document: dict[str, Any] = {"step": step, "time": time, **metrics}
    try:
        return (_dumps(document) + "\n").encode("utf-8", "backslashreplace")
    except ValueError:
        return encode_json(document, indent=None) + b"\n"  # NaN or infinity
