"""Reports: what the programs of a run told of themselves, as one config, or as several runs.

The messages are those of ``program/path/_gitparams_capture.py``; `gitparams.start` and `gitparams.load` tell theirs the same
way. They are read from the journal's folder ``capture/``, one JSON file a message, in the order of their times.

Which of several programs is the run:

- One program that was captured *is* the run. What it starts itself only goes to ``programs``.
- Jobs of a sweep, a second `start`, or the same program captured again make the run a group, and each of these a child.
- Of different programs the one named by the settings is the run, else the one that the command names, else each has its
  params under its own name: ``prep.size``, ``train.lr``.
- What an installed program parsed does not count when one that is not installed was captured below it: a launcher.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from gitparams.params import Layer, Origin, differing, flatten, leaves, path_keys, path_text, put, stack
from gitparams.params import layer as layer_of
from gitparams.values import Value, same

CAPTURE_VARIABLE = "GITPARAMS_CAPTURE"
FOLDER = "capture"
"""The folder of the messages in a journal's folder."""
HOW = "how.json"
"""The file that says what the program is asked for."""
_MISSING: dict[str, Value] = {"missing": True}
NOTHING = Layer({}, {})


@dataclass(frozen=True, slots=True)
class Part:
    """One run of several that happened within a run.

    Attributes:
        run: the id it has already, or None.
        pid: the process it was.
        program: how that is called.
        layer: the params told for it.
        started, finished: seconds since 1970, as far as it told.
        status: the word for how it ended, None when it did not say.
        exit_code: its exit code, as far as it is known.
        drift, facts, redacted: as in `Told`.
        metrics: copies of the metrics files it wrote, each with the name it is called by.
        joined: whether it is the `start` that joined the outer run, whose steps are in that one's journal.
    """

    run: str | None
    pid: int
    program: str
    layer: Layer
    started: float
    finished: float | None = None
    status: str | None = None
    exit_code: int | None = None
    drift: Mapping[str, Value] = field(default_factory=dict)
    facts: Mapping[str, Value] = field(default_factory=dict)
    redacted: tuple[str, ...] = ()
    metrics: tuple[tuple[str, str], ...] = ()
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """All that the programs of a run told.

    Attributes:
        layer: the params of the run itself; empty when it is a group.
        group: whether it turned out to be several runs.
        parts: the runs within it that somebody must still close.
        disputed: paths of the layer about which two reporters disagree.
        gaps: params that only fill paths which nobody else has: hparams of event files.
        drift: path → ``[when captured, in the end]``.
        programs: what else was captured: name, and its params.
        redacted: paths of values that were replaced.
        facts: what a reporter says beside params, by its name: Hydra's overrides and choices.
        python: the version of the program's Python, "" when none greeted.
        path: its ``sys.path``.
        folders: where event files were written.
        unread: paths that were loaded and never read.
        greeted: the versions of all Pythons that started.
        faults: what went wrong in the program's process, for who looks for it.
    """

    layer: Layer = NOTHING
    group: bool = False
    disputed: tuple[str, ...] = ()
    gaps: Layer = NOTHING
    parts: tuple[Part, ...] = ()
    drift: Mapping[str, Value] = field(default_factory=dict)
    programs: tuple[Value, ...] = ()
    redacted: tuple[str, ...] = ()
    facts: Mapping[str, Value] = field(default_factory=dict)
    python: str = ""
    path: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    greeted: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


# -- messages -------------------------------------------------------------------------------------------------------------


def tell(folder: Path, kind: str, **facts: Any) -> None:
    """Write a message of this process, as long as the run goes on.

    Args:
        folder: the journal's folder of messages.
        kind: ``params``, ``child``, ``ended``, ``reads``.
        facts: what is told; JSON, or what `json` can make of it.
    """
    if not folder.is_dir():
        return
    message = {"kind": kind, "time": time.time(), "pid": os.getpid(), "run": None, **facts}
    name = f"{time.time_ns()}-{os.getpid()}-{os.urandom(4).hex()}.json"
    temporary = folder / f"{name}.new"
    try:
        temporary.write_text(json.dumps(message), "ascii")
        temporary.replace(folder / name)
    except OSError:
        pass  # a full disk: the program goes on


def read_messages(folder: Path) -> list[dict[str, Any]]:
    """Return the messages in a folder in the order they were told; one that cannot be read is left out."""
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(".json") and entry.name != HOW]
    except OSError:
        return []
    messages = []
    for name in sorted(names, key=_moment):
        try:
            message = json.loads((folder / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(message, dict) and isinstance(message.get("kind"), str) and isinstance(message.get("pid"), int):
            messages.append(message)
    return messages


def told_in(folder: Path, command: Sequence[str] = ()) -> Told:
    """Return what the messages in a folder amount to, by what was asked for there.

    Args:
        folder: the journal's folder of messages.
        command: as in `resolve`.
    """
    try:
        how = json.loads((folder / HOW).read_bytes())
    except (OSError, ValueError):
        how = {}
    silent, program = how.get("off") or (), how.get("program")
    messages = [message for message in read_messages(folder) if message.get("reporter") not in silent]
    return resolve(messages, command, program if isinstance(program, str) else None)


_NUMBERS, _TEXTS, _LISTS, _MAPPINGS = (int, float), (str,), (list,), (dict,)
_LATEST = 4e9
"""Seconds since 1970 of a time that no message comes from; numbers of messages stay far below it."""
_KINDS_OF_FACTS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("time", "pid", "n", "of", "code"), _NUMBERS),
    **dict.fromkeys(("run", "python", "program", "reporter", "folder", "status", "event"), _TEXTS),
    **dict.fromkeys(("chain", "path", "redacted", "unread", "metrics"), _LISTS),
    **dict.fromkeys(("values", "origins", "drift", "hydra"), _MAPPINGS),
}


def _is_sound(message: Mapping[str, Any]) -> bool:
    """Tell whether the facts of a message are of the kinds they should be: whatever a program wrote, its run is recorded."""
    return all(value is None or _is_of_kind(value, _KINDS_OF_FACTS.get(name)) for name, value in message.items())


def _is_of_kind(value: Any, kinds: tuple[type, ...] | None) -> bool:
    if kinds is _NUMBERS:
        return isinstance(value, _NUMBERS) and abs(value) < _LATEST  # NaN is none of them
    if kinds is _MAPPINGS:
        return isinstance(value, dict) and all(isinstance(key, str) for key in value)
    return kinds is None or isinstance(value, kinds)


def _moment(name: str) -> tuple[int, str]:
    first = name.partition("-")[0]
    return (int(first) if first.isdigit() else 0, name)


# -- processes ------------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Process:
    """One greeted Python, or one that only spoke, and what it said."""

    pid: int
    hello: Mapping[str, Any] = field(default_factory=dict)
    above: list[_Process] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    bye: Mapping[str, Any] | None = None

    @property
    def params(self) -> list[dict[str, Any]]:
        """What it told of the run itself; what was parsed by the way counts only when nothing else was."""
        mine = [message for message in self.said if message["kind"] == "params" and message.get("run") is None]
        return [message for message in mine if not message.get("weak")] or mine

    @property
    def program(self) -> str:
        return next((str(message["program"]) for message in self.params if message.get("program")), "")

    @property
    def started(self) -> float:
        times = [message.get("time") for message in (self.hello, *self.said)]
        return float(next((moment for moment in times if moment), 0.0))

    @property
    def installed(self) -> bool:
        return all(message.get("installed") for message in self.params)


def _processes(messages: Iterable[dict[str, Any]]) -> list[_Process]:
    """Return the processes of the messages; one that became another program by exec has said nothing before."""
    present: dict[int, _Process] = {}
    found: list[_Process] = []
    for message in messages:
        pid, known = message["pid"], present.get(message["pid"])
        if message["kind"] == "hello" or known is None:
            if known is not None and known.bye is None:
                found.remove(known)
            chain = [other for other in message.get("chain") or () if isinstance(other, int)]
            present[pid] = known = _Process(pid, above=[present[other] for other in chain if other != pid and other in present])
            found.append(known)
        if message["kind"] == "hello":
            known.hello = message
        elif message["kind"] == "bye":
            known.bye = message
        else:
            known.said.append(message)
    return found


# -- resolving ------------------------------------------------------------------------------------------------------------


def resolve(messages: Sequence[dict[str, Any]], command: Sequence[str] = (), program: str | None = None) -> Told:
    """Return what the messages of a run amount to.

    Args:
        messages: as `read_messages` gives them.
        command: the run's command; of several programs the one it names is the run.
        program: the name or path of the program whose params are the run's, as the settings say.
    """
    messages = [message for message in messages if _is_sound(message)]
    processes = _processes(messages)
    speakers = _speakers(processes)
    children = _children(messages)
    chosen, others, apart = _chosen(speakers, command, program)
    told = Told(
        redacted=_redacted(message for process in chosen for message in process.params),
        folders=tuple(dict.fromkeys(str(m["folder"]) for m in messages if m["kind"] == "writes" and m.get("folder"))),
        greeted=tuple(str(process.hello["python"]) for process in processes if process.hello.get("python")),
        faults=tuple(f"{m.get('text')} ({m.get('at') or 'in the program'})" for m in messages if m["kind"] == "fault"),
        programs=tuple(_program_document(process) for process in others),
    )
    told = replace(told, **_python_of(chosen or processes))
    if children or (len(chosen) > 1 and not apart):
        return replace(told, group=True, parts=_parts(messages, chosen, children), redacted=())
    layer, disputes = _stacked([_Report.of(m, _stem(p.program) if apart else None) for p in chosen for m in p.params])
    alone = chosen[0].said if len(chosen) == 1 else []
    return replace(
        told,
        layer=layer,
        gaps=_gaps(messages),
        disputed=disputes,
        drift=_drift(alone),
        facts=_facts(alone),
        unread=_unread(alone, messages),
    )


@dataclass(frozen=True, slots=True)
class _Report:
    """The params of one message."""

    reporter: str
    layer: Layer

    @classmethod
    def of(cls, message: Mapping[str, Any], below: str | None = None) -> _Report:
        return cls(str(message.get("reporter")), _message_layer(message, below))


def _stacked(reports: Sequence[_Report]) -> tuple[Layer, tuple[str, ...]]:
    """Return the layers of several reporters as one, the later wins, and the paths about which two of them disagree."""
    result, said_by = Layer({}, {}), dict[str, str]()
    disputes: set[str] = set()
    for report in reports:
        before = flatten(result.values)
        for path, value in flatten(report.layer.values).items():
            other = said_by.get(path, report.reporter)
            given = path in before and result.origins[path].source != "default"
            if given and other != report.reporter and not same(before[path], value):
                disputes.add(path)
            said_by[path] = report.reporter
        result = over(result, report.layer)
    return result, tuple(sorted(disputes))


def over(lower: Layer, upper: Layer) -> Layer:
    """Return two layers as one, the upper wins; a value in the way of a mapping, or below a value, moves below its source.

    >>> from gitparams.params import layer
    >>> over(layer({"optim": "adam"}, "file"), layer({"optim": {"lr": 0.1}}, "code")).values
    {'file': {'optim': 'adam'}, 'optim': {'lr': 0.1}}
    """
    return stack([_aside(lower, upper), upper])


def _aside(lower: Layer, upper: Layer) -> Layer:
    """Return the lower layer with each leaf that stands where the upper has a mapping, or inside its leaf, out of the way."""
    theirs = dict(leaves(upper.values))
    inner = {keys[:depth] for keys in theirs for depth in range(1, len(keys))}
    if not any(keys in inner or _is_below(keys, theirs) for keys, _ in leaves(lower.values)):
        return lower
    values: dict[str, Value] = {}
    origins: dict[str, Origin] = {}
    for keys, value in leaves(lower.values):
        origin = lower.origins[path_text(keys)]
        is_in_the_way = keys in inner or _is_below(keys, theirs)
        place = (_free_name(origin.source, lower, upper), *keys) if is_in_the_way else keys
        put(values, place, value)
        origins[path_text(place)] = origin
    return Layer(values, origins)


def _free_name(source: str, *layers: Layer) -> str:
    """Return a key for what a source said that is nobody's value: its own name, or that with a dash after it."""
    while not all(isinstance(layer.values.get(source, {}), Mapping) for layer in layers):
        source += "-"
    return source


def _is_below(keys: tuple[str, ...], leaves_above: Mapping[tuple[str, ...], Any]) -> bool:
    return any(keys[:depth] in leaves_above for depth in range(1, len(keys)))


def disputed(declared: Layer, told: Layer) -> tuple[str, ...]:
    """Return the paths of which a program told another value than was declared for it.

    >>> from gitparams.params import layer
    >>> disputed(layer({"lr": 0.1}, "file"), layer({"lr": 0.01, "seed": 1}, "cli"))
    ('lr',)
    """
    before, after = flatten(declared.values), flatten(told.values)
    return tuple(sorted(path for path in before.keys() & after.keys() if not same(before[path], after[path])))


def _speakers(processes: Sequence[_Process]) -> list[_Process]:
    """Return the processes whose params count, launchers and what was started by another one of them left out."""
    spoke = [process for process in processes if process.params]
    return [process for process in spoke if not process.installed or not _below(process, spoke)]


def _below(process: _Process, others: Sequence[_Process]) -> bool:
    return any(process in other.above and not other.installed for other in others)


def _chosen(
    speakers: Sequence[_Process], command: Sequence[str], program: str | None
) -> tuple[list[_Process], list[_Process], bool]:
    """Return the processes that make the run or its parts, the others, and whether each stands under its own name."""
    top = [process for process in speakers if not any(other in process.above for other in speakers)]
    named = [process for process in speakers if program is not None and _is_called(process.program, program)]
    top, program = (named, program) if named else (top, None)
    names = {process.program for process in top}
    if len(top) > 1 and len(names) == len(top) and program is None:
        named = [process for process in top if any(_is_called(process.program, word) for word in command)]
        if len(named) != 1:
            return top, [process for process in speakers if process not in top], True
        top = named
    return top, [process for process in speakers if process not in top], False


def _is_called(program: str, word: str) -> bool:
    """Tell whether a word names a program: its path, the end of it, its file name with or without ``.py``, or its module."""
    parts, wanted = PurePath(program).parts, PurePath(word).parts
    if wanted and parts[-len(wanted) :] == wanted:
        return True
    return _stem(program) == word or program == word


def _stem(program: str) -> str:
    return PurePath(program).stem if os.sep in program or program.endswith(".py") else program.rpartition(".")[2] or program


def _message_layer(message: Mapping[str, Any], below: str | None = None) -> Layer:
    values = message.get("values")
    if not isinstance(values, dict):
        return Layer({}, {})
    given = message.get("origins") or {}
    at = _stem(str(message.get("program") or "")) or None
    default = Origin(*_SOURCES.get(str(message.get("reporter")), ("default", at)))
    origins = {path: _origin(path, given, message, default) for path in flatten(values)}
    if below is None:
        return Layer(values, origins)
    return Layer({below: values}, {path_text((below, *path_keys(path))): origin for path, origin in origins.items()})


_SOURCES: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(("start", "update", "globals"), ("code", None)),
    "hydra": ("hydra", None),
}


def _origin(path: str, given: Mapping[str, Any], message: Mapping[str, Any], default: Origin) -> Origin:
    found = given.get(path)
    if found is None and "." in path:  # a leaf of a mapping that was given as one
        heads = path.split(".")
        found = next((given[".".join(heads[:n])] for n in range(len(heads) - 1, 0, -1) if ".".join(heads[:n]) in given), None)
    if isinstance(found, Mapping):
        from gitparams.entry import read_origins

        return read_origins({path: found}).get(path, default)
    if not isinstance(found, list) or len(found) != 2:
        return default
    source = "hydra" if message.get("reporter") == "hydra" and found[0] == "file" else str(found[0])
    return Origin(source, None if found[1] is None else str(found[1]))


# -- runs within the run --------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Child:
    """A run within the run that began with an id of its own, and what was told of it."""

    run: str
    pid: int
    started: float
    own: bool
    program: str = ""
    end: Mapping[str, Any] = field(default_factory=dict)


def _children(messages: Iterable[Mapping[str, Any]]) -> list[_Child]:
    found: dict[str, _Child] = {}
    for message in messages:
        run = message.get("run")
        if message["kind"] == "child" and isinstance(run, str):
            if message.get("event") == "begin":
                found[run] = _Child(run, message["pid"], float(message.get("time") or 0), bool(message.get("own")))
            elif run in found:
                found[run].end = message
        elif message["kind"] == "params" and run in found:
            found[run].program = found[run].program or str(message.get("program") or "")
    return list(found.values())


def _parts(messages: Sequence[dict[str, Any]], chosen: Sequence[_Process], children: Sequence[_Child]) -> tuple[Part, ...]:
    """Return the runs within a group that are still to be closed; a child that closes itself is none of them."""
    joined = next((message for message in messages if message["kind"] == "joined"), None)
    parts = [_part_of_child(child, messages, chosen) for child in children if not child.own]
    taken = {child.pid for child in children} | {joined["pid"] if joined else 0}
    programs = {child.program for child in children}
    parts += [_part_of_process(process) for process in chosen if process.pid not in taken and process.program not in programs]
    if joined is not None:
        parts.append(_part_of_joined(joined, messages, chosen))
    return tuple(sorted(parts, key=lambda part: part.started))


def _part_of_child(child: _Child, messages: Sequence[dict[str, Any]], chosen: Sequence[_Process]) -> Part:
    around = [m for process in chosen if child.pid == process.pid or process.program == child.program for m in process.params]
    mine = [message for message in messages if message.get("run") == child.run]
    params = [message for message in mine if message["kind"] == "params"]
    layer, _ = _stacked([_Report.of(message) for message in [*(m for m in around if m.get("reporter") != "start"), *params]])
    end = child.end
    return Part(
        child.run,
        child.pid,
        child.program,
        layer,
        child.started,
        finished=_seconds(end.get("time")),
        status=_text(end.get("status")),
        exit_code=_code(end.get("code")),
        drift=_drift(mine),
        facts=_facts(params),
        redacted=_redacted(params),
        metrics=_copies(end),
    )


def _part_of_process(process: _Process) -> Part:
    layer, _ = _stacked([_Report.of(message) for message in process.params])
    bye = process.bye or {}
    code = _code(bye.get("code"))
    ended = (
        None if not bye else "interrupted" if bye.get("interrupted") else "failed" if code or bye.get("error") else "completed"
    )
    return Part(
        None,
        process.pid,
        process.program,
        layer,
        process.started,
        finished=_seconds(bye.get("time")),
        status=ended,
        exit_code=1 if bye.get("error") and not code else code if code is not None else 0 if bye else None,
        drift=_drift(process.said),
        facts=_facts(process.params),
        redacted=_redacted(process.params),
        metrics=_copies(bye),
    )


def _part_of_joined(joined: Mapping[str, Any], messages: Sequence[dict[str, Any]], chosen: Sequence[_Process]) -> Part:
    pid = joined["pid"]
    mine = [message for message in messages if message["pid"] == pid and message.get("run") is None]
    params = [message for message in mine if message["kind"] == "params"]
    first = next((place for place, message in enumerate(params) if message.get("reporter") == "start"), len(params))
    later = [message for message in params[first + 1 :] if message.get("update")]
    layer, _ = _stacked([_Report.of(message) for message in [*params[: first + 1], *later]])
    end = next((message for message in mine if message["kind"] == "ended"), {})
    program = next((process.program for process in chosen if process.pid == pid), "")
    return Part(
        None,
        pid,
        program,
        layer,
        float(joined.get("time") or 0),
        finished=_seconds(end.get("time")),
        status=_text(end.get("status")),
        exit_code=_code(end.get("code")),
        redacted=_redacted(params),
        joined=True,
    )


def told_by(messages: Sequence[dict[str, Any]], pid: int) -> Layer:
    """Return what the parsers of one process told of the run: what a `start` in it stands upon."""
    process = next((process for process in reversed(_processes(messages)) if process.pid == pid), None)
    params = process.params if process else []
    own = [message for message in params if message.get("reporter") in ("start", "load") or message.get("update")]
    return _stacked([_Report.of(message) for message in params if message not in own])[0]


# -- single facts ---------------------------------------------------------------------------------------------------------


def _drift(said: Sequence[Mapping[str, Any]]) -> dict[str, Value]:
    """Return path → old and new of the objects that were not in the end what they were when they were captured."""
    told = [message for message in said if message["kind"] == "params" and isinstance(message.get("values"), dict)]
    changed: dict[str, Value] = {}
    for message in said:
        if message["kind"] == "changed" and isinstance(message.get("drift"), dict):
            changed.update(message["drift"])
        if message["kind"] != "drift" or not isinstance(message.get("values"), dict):
            continue
        first = next(
            (m for m in told if m.get("n") == message.get("of") and m.get("reporter") == message.get("reporter")), None
        )
        if first is not None:
            pairs = differing(flatten(first["values"]), flatten(message["values"]))
            changed.update({path: [_side(old), _side(new)] for path, (old, new) in pairs.items()})
    return changed


def _gaps(messages: Iterable[Mapping[str, Any]]) -> Layer:
    values: dict[str, Value] = {}
    for message in messages:
        if message["kind"] == "hparams" and isinstance(message.get("values"), dict):
            values.update(message["values"])
    return layer_of(values, "tensorboard")


def filled(layer: Layer, gaps: Layer) -> Layer:
    """Return a layer with what only `gaps` knows; a path that is there, above or below one that is, stays as it is.

    >>> from gitparams.params import layer
    >>> filled(layer({"lr": 0.1}, "cli"), layer({"lr": 0.10000000149, "batch": 32.0}, "tensorboard")).values
    {'batch': 32.0, 'lr': 0.1}
    """
    there = dict(leaves(layer.values))
    inner = {keys[:depth] for keys in there for depth in range(1, len(keys))}
    values: dict[str, Value] = {}
    for keys, value in leaves(gaps.values):
        if keys not in there and keys not in inner and not _is_below(keys, there):
            put(values, keys, value)
    return stack([Layer(values, {path: gaps.origins[path] for path in flatten(values)}), layer]) if values else layer


def _side(value: Any) -> Value:
    from gitparams.params import MISSING

    return dict(_MISSING) if value is MISSING else value


def _facts(messages: Iterable[Mapping[str, Any]]) -> dict[str, Value]:
    told = [message["hydra"] for message in messages if isinstance(message.get("hydra"), dict)]
    return {"hydra": told[-1]} if told else {}


def _redacted(messages: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    paths = {
        path_text(tuple(map(str, keys)))
        for message in messages
        for keys in message.get("redacted") or ()
        if isinstance(keys, list) and keys
    }
    return tuple(sorted(paths))


def _unread(said: Sequence[Mapping[str, Any]], messages: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    read = [message for message in (said or messages) if message["kind"] == "reads"]
    return tuple(sorted({str(path) for path in (read[-1].get("unread") or ())})) if read else ()


def _python_of(processes: Sequence[_Process]) -> dict[str, Any]:
    hello = next((process.hello for process in processes if process.hello.get("path")), {})
    return {"python": str(hello.get("python") or ""), "path": tuple(map(str, hello.get("path") or ()))}


def _program_document(process: _Process) -> Value:
    layer, _ = _stacked([_Report.of(message) for message in process.params])
    return {"program": _stem(process.program), "params": dict(layer.values)}


def _copies(message: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (str(pair[0]), str(pair[1])) for pair in message.get("metrics") or () if isinstance(pair, list) and len(pair) == 2
    )


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _code(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
