"""Show: all about one run on one screen."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gitparams.directions import Direction, direction
from gitparams.index import Listed
from gitparams.model import Details, Run
from gitparams.params import MISSING, flatten
from gitparams.screens.items import Item, item_text, origin_text, short_value
from gitparams.screens.log import (
    NARROWEST,
    code_text,
    expectation_texts,
    metric_header,
    status_style,
    status_text,
    time_text,
    verdict_style,
)
from gitparams.screens.log import render as render_list
from gitparams.screens.numbers import age_text, column_texts, delta_text, duration_text, value_text
from gitparams.screens.table import Column, Style, table_lines
from gitparams.screens.terminal import Terminal, cell_width
from gitparams.values import same

SECTIONS = ("params", "metrics", "origins", "code", "packages", "output")
_LAST_LINES = 10
_LABEL = 12


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a section is written from."""

    run: Run
    details: Details
    before: Run | None
    terminal: Terminal
    directions: Mapping[str, Direction]
    width: int


def render(
    run: Run,
    details: Details,
    *,
    before: Run | None,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    now: datetime,
    sections: Collection[str] = (),
    children: Sequence[Listed] = (),
    ruled: Sequence[str] = (),
) -> str:
    """Return all about a run in brief, or only some `SECTIONS` of it, each in full.

    Of a group its `children` are listed as well, and of an old run what the rules of the settings did to it.
    """
    shown = _Shown(run, details, before, terminal, directions, max(terminal.width, NARROWEST))
    if not sections:
        lines = list(_everything(shown, now))
        if ruled:
            notes = [line for note in ruled for line in terminal.wrapped(terminal.safe(note), shown.width - 2)]
            lines += ["", terminal.bold("read by the rules of gitparams.yaml"), *_indented(notes)]
        if children:
            total = len(children)
            listed = render_list(children, total=total, terminal=terminal, directions=directions, now=now)
            lines += ["", terminal.bold("runs"), listed]
        return "\n".join(lines)
    chosen = [name for name in SECTIONS if name in sections]
    if len(chosen) == 1:
        return "\n".join(_WRITERS[chosen[0]](shown))
    return "\n\n".join("\n".join([terminal.bold(name), *_indented(_WRITERS[name](_narrower(shown)))]) for name in chosen)


# -- in brief -------------------------------------------------------------------------------------------------------------


def _everything(shown: _Shown, now: datetime) -> Iterator[str]:
    run, terminal = shown.run, shown.terminal
    yield f"{'run':<{_LABEL}}{terminal.yellow(run.id)}"
    for label, text in _facts(run, now):
        style = status_style(run, terminal) if label == "status" else str
        yield from _fact(label, text, shown, style)
        if label == "status":
            yield from _expectations(shown)
    for name, present in (("params", run.params), ("metrics", run.metrics)):
        if present:
            yield from ["", terminal.bold(name), *_indented(_WRITERS[name](_narrower(shown)))]
        if name == "params":
            yield from _remarks(shown)
    if count := len(shown.details.packages):
        yield from ["", f"{count} {'package' if count == 1 else 'packages'}"]
    if shown.details.output:
        lines = list(_output(_narrower(shown)))
        yield from ["", terminal.bold("output"), *_indented(lines[-_LAST_LINES:])]


def _facts(run: Run, now: datetime) -> list[tuple[str, str]]:
    facts = [
        ("name", run.name or ""),
        ("status", status_text(run) or "completed"),
        ("experiment", run.experiment),
        ("started", _times(run, now)),
        ("command", shlex.join(run.command)),
        ("cwd", "" if run.cwd == "." else run.cwd),
        ("code", code_text(run)),
        ("author", run.author),
        ("host", ", ".join(filter(None, (run.host, f"Python {run.python}" if run.python else "")))),
        ("machine", _machine(run.environment)),
        ("hydra", _hydra(run.environment.get("hydra"))),
        ("parent", run.parent or ""),
        ("tags", ", ".join(run.tags)),
        ("recorded", f"by {run.environment['imported']}, and imported" if run.environment.get("imported") else ""),
        ("read", _digests(run.inputs)),
        ("wrote", _digests(run.outputs)),
        ("note", run.note),
    ]
    return [(label, text) for label, text in facts if text]


def _expectations(shown: _Shown) -> Iterator[str]:
    for place, (text, verdict) in enumerate(expectation_texts(shown.run)):
        yield from _fact("" if place else "expect", text, shown, verdict_style(verdict, shown.terminal))


def _digests(files: Mapping[str, Any]) -> str:
    known = {path: f"{path} {digest[:14]}…" if isinstance(digest, str) else f"{path} (gone)" for path, digest in files.items()}
    return ", ".join(known.values())


def _machine(environment: Mapping[str, Any]) -> str:
    cpu, cpus, gpus = environment.get("cpu"), environment.get("cpus"), environment.get("gpus")
    counted = Counter(map(str, gpus)) if isinstance(gpus, list) else Counter[str]()
    cards = [f"{count} × {name}" if count > 1 else name for name, count in counted.items()]
    return ", ".join([*([f"{cpus} × {cpu}" if cpus else str(cpu)] if cpu else []), *cards])


def _hydra(told: object) -> str:
    """Return the overrides that a job was given, and which config it chose of each group."""
    if not isinstance(told, Mapping):
        return ""
    overrides, choices = told.get("overrides"), told.get("choices")
    words = shlex.join(map(str, overrides)) if isinstance(overrides, list) else ""
    known = choices if isinstance(choices, Mapping) else {}
    chosen = [f"{group}: {choice}" for group, choice in known.items() if choice is not None]
    return " · ".join(filter(None, (words, ", ".join(chosen))))


def _remarks(shown: _Shown) -> Iterator[str]:
    """Yield what is worth a look at the params: what changed after it was captured, what is disputed, what nobody read."""
    run, terminal = shown.run, shown.terminal
    changed = [_changed_later(path, pair, terminal) for path, pair in sorted(run.drift.items())]
    for title, items in (
        ("changed after they were captured", changed),
        ("two sources disagree (gitparams show --origins)", [terminal.safe(path) for path in run.disputed]),
        ("never read by the program", [terminal.safe(path) for path in run.unread]),
    ):
        if items:
            text = terminal.dot.join(items)
            yield from ["", terminal.bold(title), *_indented(terminal.wrapped(text, shown.width - 2))]


def _changed_later(path: str, pair: Any, terminal: Terminal) -> str:
    old, new = [*pair, None, None][:2] if isinstance(pair, list) else (None, None)
    sides = [MISSING if side == {"missing": True} else side for side in (old, new)]
    return item_text(Item(path, *sides), terminal)


def _times(run: Run, now: datetime) -> str:
    ago = f"{time_text(run.started)}, {age_text((now - run.started).total_seconds())} ago"
    return ago if run.duration is None else f"{ago}, took {duration_text(run.duration)}"


def _fact(label: str, text: str, shown: _Shown, style: Style = str) -> Iterator[str]:
    lines = [
        part for line in text.split("\n") for part in shown.terminal.wrapped(shown.terminal.safe(line), shown.width - _LABEL)
    ]
    for place, line in enumerate(lines):
        yield f"{label if place == 0 else '':<{_LABEL}}{style(line)}".rstrip()


# -- sections -------------------------------------------------------------------------------------------------------------


def _params(shown: _Shown) -> Iterator[str]:
    terminal = shown.terminal
    now = flatten(shown.run.params)
    was = flatten(shown.before.params) if shown.before is not None else now
    paths = [*sorted(now), *sorted(was.keys() - now.keys())]
    label = min(max((cell_width(terminal.safe(path)) for path in paths), default=0), max(12, shown.width * 2 // 5))
    notes = [_was(path, now, was, terminal) for path in paths]
    room = max(8, shown.width - label - 2)
    values = [terminal.missing if path not in now else short_value(now[path], terminal, room) for path in paths]
    yield from _listing(
        [terminal.cut_start(terminal.safe(path), label) for path in paths], values, notes, [terminal.dim] * len(paths), shown
    )


def _was(path: str, now: Mapping[str, Any], was: Mapping[str, Any], terminal: Terminal) -> str:
    if path not in now:
        return f"removed, was {short_value(was[path], terminal)}"
    if path not in was:
        return "added"
    return "" if same(now[path], was[path]) else f"was {short_value(was[path], terminal)}"


def _metrics(shown: _Shown) -> Iterator[str]:
    terminal, metrics = shown.terminal, shown.run.metrics
    names = sorted(metrics, key=lambda name: (direction(name, shown.directions) is None, name))
    earlier: Mapping[str, Any] = shown.before.metrics if shown.before is not None else {}
    values = [column_texts([metrics[name]])[0] for name in names]
    notes, styles = [], []
    for name, text in zip(names, values, strict=True):
        places = len(text.partition(".")[2]) if "e" not in text else 0
        note, style = _effect(earlier.get(name, MISSING), metrics[name], direction(name, shown.directions), terminal, places)
        notes.append(note)
        styles.append(style)
    labels = [metric_header(name, shown.directions, terminal, max(12, shown.width * 2 // 5)) for name in names]
    yield from _listing(labels, values, notes, styles, shown)


def _effect(old: Any, new: Any, way: Direction | None, terminal: Terminal, places: int) -> tuple[str, Style]:
    delta = delta_text(old, new, minus=terminal.minus, places=places) if old is not MISSING else ""
    if not delta or way is None:
        return delta, terminal.dim
    better = delta.startswith("+") == (way is Direction.MAX)
    return f"{delta} {'better' if better else 'worse'}", terminal.green if better else terminal.red


def _listing(
    labels: Sequence[str], values: Sequence[str], notes: Sequence[str], styles: Sequence[Style], shown: _Shown
) -> Iterator[str]:
    """Yield names and values side by side, with notes after them in a column of their own where there is room for it."""
    if not labels:
        return
    noted = [value for value, note in zip(values, notes, strict=True) if note]
    names = Column(labels, gap=0)
    width = max(map(cell_width, noted), default=0)
    left = names.width
    room = shown.width - left - 4 - width
    for place, (note, style) in enumerate(zip(notes, styles, strict=True)):
        line = table_lines([Column([labels[place]], gap=0, least=left), Column([values[place]], least=width if note else 0)])[0]
        pad = " " * (left + 2 + width - cell_width(line))
        yield line + (f"{pad}  {style(note)}" if note and cell_width(note) <= room else "")


def _origins(shown: _Shown) -> Iterator[str]:
    flat = flatten(shown.run.params)
    for path in sorted(flat):
        text = f"{path} = {value_text(flat[path])}"
        origin = shown.details.origins.get(path)
        said = f"{text}  ({origin_text(origin)})" if origin is not None else text
        first, *others = shown.terminal.wrapped(shown.terminal.safe(said), shown.width - 4)
        yield from [first.rstrip(), *(f"    {other}".rstrip() for other in others)]


def _code(shown: _Shown) -> Iterator[str]:
    code = shown.run.code
    facts = [
        ("commit", code.commit or "none"),
        ("branch", code.branch or ""),
        ("dirty", "uncommitted changes" if code.dirty else ""),
        ("patch id", code.patch_id or ""),
        ("tree", code.tree or ""),
        ("note", code.note or ""),
        *((("submodule", f"{path} at {at}")) for path, at in code.submodules.items()),
    ]
    for label, text in facts:
        yield from _fact(label, text, shown) if text else ()


def _packages(shown: _Shown) -> Iterator[str]:
    for package in shown.details.packages:
        yield from shown.terminal.wrapped(shown.terminal.safe(package), shown.width)


def _output(shown: _Shown) -> Iterator[str]:
    text = shown.details.output.decode("utf-8", "replace").replace("\r\n", "\n").removesuffix("\n")
    for line in text.split("\n"):
        last = line.rstrip("\r").rpartition("\r")[2].expandtabs()  # of a progress bar, what stood there in the end
        yield from shown.terminal.wrapped(shown.terminal.safe(last), shown.width)


_WRITERS: Mapping[str, Callable[[_Shown], Iterator[str]]] = {
    "params": _params,
    "metrics": _metrics,
    "origins": _origins,
    "code": _code,
    "packages": _packages,
    "output": _output,
}


def _narrower(shown: _Shown) -> _Shown:
    return _Shown(shown.run, shown.details, shown.before, shown.terminal, shown.directions, shown.width - 2)


def _indented(lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield f"  {line}".rstrip()
