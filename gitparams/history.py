"""History: which run last changed each param, the stretches of runs in which one kept its value, and the metrics of each.

The runs of an experiment are gone through from the newest to the oldest, and of most of them nothing is read: where the texts
of all params that are looked for stand in a run's document, none of them differs. A value is what it is with its type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from gitparams.flat import TOKENS, flat_document, flat_key, key_of, value_of_text, value_of_token, written
from gitparams.model import Metric, Oid, Run, RunId, Status
from gitparams.params import MISSING, path_keys
from gitparams.replicates import SIGNIFICANCE, Spread, spread, t_bound
from gitparams.seeds import is_seed

Kind = Literal["first", "added", "removed", "changed", "type"]
"""How a param came to its value; ``first`` is that of one which was never another."""

_COMPLETED = str(Status.COMPLETED)


Row = tuple[RunId, str, str, str]
"""A run as the index gives it: id, status, and the flat documents of params and metrics."""

Told = Callable[[RunId], tuple[str, Mapping[str, Any]]]
"""Returns the author and the run.json of a run; it is asked of the few that brought a new value."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The run with which a param came to a value.

    Attributes:
        id: its id. started: when it began. author: ``Name <email>``.
        commit: the code commit, None before the first. dirty: whether files differed from it.
    """

    id: RunId
    started: datetime
    author: str
    commit: Oid | None = None
    dirty: bool = False

    @classmethod
    def of(cls, run: Run) -> Turn:
        """Return what is told of a run that is at hand."""
        return cls(run.id, run.started, run.author, run.code.commit, run.code.dirty)

    @classmethod
    def told(cls, run: RunId, told: Told) -> Turn:
        """Return what is told of a run of the index."""
        author, document = told(run)
        code = document.get("git") or {}
        return cls(run, datetime.fromisoformat(document["started"]), author, code.get("commit"), bool(code.get("dirty")))


@dataclass(frozen=True, slots=True)
class Side:
    """The runs on one side of a change.

    Attributes:
        runs: how many there are, completed or not.
        metrics: what each metric of the completed ones says, sorted by name.
    """

    runs: int = 0
    metrics: Mapping[str, Spread] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """The last change of a param.

    Attributes:
        path: its written path.
        kind: how it came to its value.
        old, new: the values, `MISSING` where it was not there.
        turn: the run that brought the new value, or the first run when it was never another; None when that was not run yet.
        before: the runs with the old value, back to the change before this one; without metrics where nothing changed.
        after: the runs since.
    """

    path: str
    kind: Kind
    old: Any
    new: Any
    turn: Turn | None
    before: Side = Side()
    after: Side = Side()


@dataclass(frozen=True, slots=True)
class Blame:
    """The last change of each param of a run.

    Attributes:
        run: the run.
        recorded: whether it is one; the params files of the work tree or of a commit are not.
        changes: one for each param, the newest change first; what was never another after these, and seeds last of all.
    """

    run: Run
    recorded: bool
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Runs one after another in which a param has one value.

    Attributes:
        value: the value, `MISSING` where it was not there.
        turn: the run it began with; None when that was not run yet.
        side: the runs.
    """

    value: Any
    turn: Turn | None
    side: Side


@dataclass(frozen=True, slots=True)
class Timeline:
    """What a param was, from the newest run to the oldest.

    Attributes:
        path: its written path.
        run: the newest run. recorded: whether it is one.
        stretches: the newest, as many as were asked for.
        before: the stretch before the last of these; None where they are all.
        total: how many stretches there are. values: how many different values. runs: how many runs.
    """

    path: str
    run: Run
    recorded: bool
    stretches: tuple[Stretch, ...]
    before: Stretch | None
    total: int
    values: int
    runs: int


# -- the last change of each param ----------------------------------------------------------------------------------------


def last_changes(
    run: Run, earlier: Iterable[Row], told: Told, paths: Iterable[str], *, recorded: bool = True, seeds: Sequence[str] = ()
) -> Blame:
    """Return the last change of some params of a run; of one that no run up to it ever had, nothing.

    Args:
        run: the run.
        earlier: the runs before it, the newest first; read only as far as is needed.
        told: what else is known of them.
        paths: written paths.
        recorded: whether the run is one.
        seeds: globs of params that are seeds although their names do not say so.

    >>> from gitparams.model import Status, new_run_id, now
    >>> from gitparams.params import nested
    >>> run = Run(new_run_id(), Status.COMPLETED, now(), params=nested({"lr": 0.01, "batch": 64}), metrics={"acc": 0.75})
    >>> row = (new_run_id(), "completed", '{"lr":0.1,"batch":64}', '{"acc":0.5}')
    >>> told = {row[0]: ("Ada", {"started": "2026-11-23T10:00:00+00:00"})}.__getitem__
    >>> lr, batch = last_changes(run, [row], told, ["lr", "batch"]).changes
    >>> lr.kind, lr.old, lr.new, lr.turn.id == run.id, lr.before.metrics["acc"].mean, lr.after.metrics["acc"].mean
    ('changed', 0.1, 0.01, True, 0.5, 0.75)
    >>> batch.kind, batch.turn.id == row[0], batch.after.runs
    ('first', True, 2)
    """
    text = flat_document(run.params)
    tokens, keys = _tokens(text), [flat_key(path_keys(path)) for path in paths]
    search = _Search({key: tokens.get(key) for key in keys}, text)
    turn = Turn.of(run) if recorded else None
    turns: dict[str, Turn | None] = {}
    metrics = [_counted(str(run.status), _metrics_of(run))]
    newer: RunId | None = None
    for older, status, params, numbers in earlier:
        if found := search.look(len(metrics), params):
            turns.update(dict.fromkeys(found, Turn.told(newer, told) if newer else turn))
        metrics.append(numbers if status == _COMPLETED else "")
        newer = older
        if not search.going:
            break
    first = Turn.told(newer, told) if newer else turn
    traces = [_Trace(key, tokens.get(key), *search.found.get(key, ())) for key in keys]
    traces = sorted((trace for trace in traces if trace.ever), key=lambda trace: trace.rank(seeds))
    sides = _sides([some for trace in traces for some in trace.ranges(len(metrics))], metrics, unrun=0 if recorded else 1)
    whole = Side(len(metrics) if recorded else len(metrics) - 1)
    return Blame(
        run, recorded, tuple(trace.change(turns.get(trace.key, first), sides, whole, len(metrics)) for trace in traces)
    )


class _Trace(NamedTuple):
    """What was found of one param: the text of its value, that of the one before, and where both begin to be others."""

    key: str
    new: str | None
    old: str | None = None
    end: int | None = None
    old_end: int | None = None

    @property
    def ever(self) -> bool:
        """Whether any run had it."""
        return self.new is not None or self.old is not None

    def rank(self, seeds: Sequence[str]) -> tuple[bool, float, str]:
        """Return where it stands among others."""
        path = written(self.key)
        return is_seed(path, seeds), math.inf if self.end is None else self.end, path

    def ranges(self, runs: int) -> list[tuple[int, int]]:
        """Return the runs before and after the change by their places."""
        return [] if self.end is None else [(self.end, runs if self.old_end is None else self.old_end), (0, self.end)]

    def change(self, turn: Turn | None, sides: Mapping[tuple[int, int], Side], whole: Side, runs: int) -> Change:
        """Return it as the last change."""
        path, new = written(self.key), _value_of(self.new)
        if self.end is None:
            return Change(path, "first", MISSING, new, turn, after=whole)
        before, after = (sides[place] for place in self.ranges(runs))
        old = _value_of(self.old)
        return Change(path, _kind(old, new), old, new, turn, before, after)


def _kind(old: Any, new: Any) -> Kind:
    if old is MISSING or new is MISSING:
        return "added" if old is MISSING else "removed"
    return "changed" if type(old) is type(new) else "type"


class _Search:
    """The params whose last change, and then the one before it, is looked for in older and older runs.

    Params that stand side by side in every document are looked for as one text. No value can be taken for a key: in the
    text of a value a quotation mark has a backslash before it.
    """

    def __init__(self, values: Mapping[str, str | None], text: str) -> None:
        self.found: dict[str, tuple[str | None, int, int | None]] = {}
        """Key → the text of the value before the last change, the place of the newest run with it, that of the next other."""
        self._values = dict(values)
        self._after: dict[str, str | None] = {}
        self._seen = text
        self._parts: tuple[str, ...] = ()
        self._places: list[int] = []  # where each part stood last: comparing it there costs a tenth of looking for it
        self._absent: tuple[str, ...] = ()
        self._prepare(_tokens(text))

    @property
    def going(self) -> bool:
        """Whether there is anything left to look for."""
        return bool(self._values)

    def look(self, place: int, text: str) -> list[str]:
        """Look at the next older run, and return the keys whose last change is after it."""
        if text == self._seen:
            return []
        self._seen = text
        padded = f",{text[1:-1]},"
        shift = 0
        for number, part in enumerate(self._parts):
            start = self._places[number] + shift
            if not padded.startswith(part, start):
                start = padded.find(part)
                if start < 0:
                    return self._read(place, text)
                shift = start - self._places[number]
            self._places[number] = start
        for mark in self._absent:
            if mark in padded:
                return self._read(place, text)
        return []

    def _read(self, place: int, text: str) -> list[str]:
        tokens, changed = _tokens(text), list[str]()
        for key, value in list(self._values.items()):
            now = tokens.get(key)
            if now == value:
                continue
            if key in self.found:
                old, end, _ = self.found[key]
                self.found[key] = (old, end, place)
                del self._values[key]
            else:
                self.found[key] = (now, place, None)
                self._values[key] = now
                changed.append(key)
        self._prepare(tokens)
        return changed

    def _prepare(self, tokens: Mapping[str, str]) -> None:
        """Put the texts together that are looked for; two keys that were not side by side once are never joined again."""
        parts: list[str] = [""]
        for key, following in pairwise([*tokens, ""]):
            if self._after.setdefault(key, following) != following:
                self._after[key] = None
            if key in self._values:
                parts[-1] += f"{_mark(key)}{_text(tokens[key])}"
            if parts[-1] and (key not in self._values or self._after[key] is None):
                parts.append("")
        self._parts = tuple(f"{part}," for part in parts if part)
        self._places = [0] * len(self._parts)
        self._absent = tuple(_mark(key) for key, value in self._values.items() if value is None)


def _tokens(text: str) -> dict[str, str]:
    """Return the values of a flat document: a number by its text, the rest as text that carries its type."""
    tokens: dict[str, str] = TOKENS.decode(text)
    return tokens


def _mark(key: str) -> str:
    return f',"{key}":'


def _text(token: str) -> str:
    """Return a token as it stands in the document."""
    return token if token[0] in "-0123456789" else json.dumps(token)


def _value_of(token: str | None) -> Any:
    return MISSING if token is None else value_of_token(token)


# -- the values of one param ----------------------------------------------------------------------------------------------


def timelines(
    run: Run, earlier: Iterable[Row], told: Told, paths: Sequence[str], *, limit: int | None = None, recorded: bool = True
) -> list[Timeline]:
    """Return what some params were, up to a run; of one that no run ever had, nothing.

    Args:
        run: the newest run.
        earlier: the runs before it, the newest first.
        told: what else is known of them.
        paths: written paths.
        limit: how many stretches of each are told.
        recorded: whether the run is one.
    """
    text = flat_document(run.params)
    turn = Turn.of(run) if recorded else None
    threads = [_Thread(path, limit, turn, told, unrun=0 if recorded else 1) for path in paths]
    newest = (f",{text[1:-1]},", _counted(str(run.status), _metrics_of(run)))
    for thread in threads:
        thread.add(*newest, None)
    for older, status, params, numbers in earlier:
        padded, metrics = f",{params[1:-1]},", numbers if status == _COMPLETED else ""
        for thread in threads:
            thread.add(padded, metrics, older)
    return [thread.told(run, recorded) for thread in threads if thread.ever]


class _Thread:
    """One param on the way from the newest run to the oldest."""

    def __init__(self, path: str, limit: int | None, newest: Turn | None, told: Told, *, unrun: int) -> None:
        self.path, self.limit, self._told, self._unrun = path, limit, told, unrun
        self._mark = _mark(flat_key(path_keys(path)))
        self._token: str | None = None
        self._text = ""  # as it stands in the documents; empty as long as it is not there
        self._newest = newest
        self._oldest: RunId | None = None
        self._values: set[str | None] = set()
        self._metrics: list[str] = []
        self._stretches: list[Stretch] = []
        self._runs = self._begun = self._total = 0

    @property
    def ever(self) -> bool:
        """Whether any run had it."""
        return self._values | {self._token} != {None}

    def add(self, padded: str, metrics: str, run: RunId | None) -> None:
        """Take the next older run; None is the newest of all."""
        if not self._goes_on(padded):
            if self._runs:
                self._close()
            self._token = self._read(padded)
            self._text = "" if self._token is None else f"{self._mark}{_text(self._token)},"
        self._runs += 1
        self._oldest = run
        if self._kept:
            self._metrics.append(metrics)

    @property
    def _kept(self) -> bool:
        return self.limit is None or len(self._stretches) <= self.limit

    def _goes_on(self, padded: str) -> bool:
        if self._text:
            return self._text in padded
        return self._runs > 0 and self._mark not in padded

    def _read(self, padded: str) -> str | None:
        place = padded.find(self._mark)
        if place < 0:
            return None
        token: str = TOKENS.raw_decode(padded, place + len(self._mark))[0]
        return token

    def _close(self) -> None:
        """End the stretch with the run that was taken last: there it began."""
        self._values.add(self._token)
        self._total += 1
        if self._kept:
            turn = Turn.told(self._oldest, self._told) if self._oldest else self._newest
            side = Side(self._runs - max(self._begun, self._unrun), _spreads(self._metrics))
            self._stretches.append(Stretch(_value_of(self._token), turn, side))
        self._metrics, self._begun = [], self._runs

    def told(self, run: Run, recorded: bool) -> Timeline:
        """Return all that was found."""
        self._close()
        shown = tuple(self._stretches[: self.limit])
        before = self._stretches[len(shown)] if len(self._stretches) > len(shown) else None
        values = len(self._values - {None})
        return Timeline(self.path, run, recorded, shown, before, self._total, values, self._runs - self._unrun)


# -- metrics --------------------------------------------------------------------------------------------------------------


def _counted(status: str, metrics: str) -> str:
    """Return the metrics of a run if they count."""
    return metrics if status == _COMPLETED else ""


def _metrics_of(run: Run) -> str:
    return flat_document({name: value for name, value in run.metrics.items() if isinstance(value, int | float)})


def _sides(ranges: Iterable[tuple[int, int]], metrics: Sequence[str], *, unrun: int) -> dict[tuple[int, int], Side]:
    """Return the sides that ranges of runs are; each run is read once, however many of the ranges it is in.

    Args:
        ranges: the places of the first run and after the last.
        metrics: flat documents, empty where they do not count.
        unrun: how many of the newest are none that was run.
    """
    wanted = dict.fromkeys(ranges)
    depth: dict[int, int] = {}
    for first, last in wanted:
        depth[first] = depth.get(first, 0) + 1
        depth[last] = depth.get(last, 0) - 1
    cuts, inside = sorted(depth), 0
    parts: list[Mapping[str, Spread]] = []
    for start, stop in pairwise(cuts):
        inside += depth[start]
        parts.append(_spreads(metrics[start:stop]) if inside else {})
    places = {cut: place for place, cut in enumerate(cuts)}
    return {
        (first, last): Side(last - max(first, unrun), _joined(parts[places[first] : places[last]])) for first, last in wanted
    }


def _spreads(texts: Iterable[str]) -> dict[str, Spread]:
    """Return what each metric of some flat documents says, sorted by name."""
    values: dict[str, list[Metric]] = {}
    for numbers in _numbers(texts):
        for key, value in numbers.items():
            if key in values:
                values[key].append(value)
            else:
                values[key] = [value]
    return {name: spread(some) for name, some in sorted((key_of(key), some) for key, some in values.items())}


def _numbers(texts: Iterable[str]) -> Iterator[Mapping[str, Metric]]:
    """Yield the numbers of each flat document; all are decoded at once, which takes a third of the time."""
    for numbers in json.loads(f"[{','.join(filter(None, texts))}]"):
        if str in map(type, numbers.values()):
            known = {key: value_of_text(value) if isinstance(value, str) else value for key, value in numbers.items()}
            yield {key: value for key, value in known.items() if isinstance(value, int | float)}
        else:
            yield numbers


def _joined(parts: Sequence[Mapping[str, Spread]]) -> dict[str, Spread]:
    names = sorted({name for part in parts for name in part})
    return {name: _joined_spread([part[name] for part in parts if name in part]) for name in names}


def _joined_spread(parts: Sequence[Spread]) -> Spread:
    """Return what the values of several parts say together.

    The squares about the common mean are those about the means of the parts, and those of the means (T. F. Chan, G. H. Golub,
    R. J. LeVeque, *The American Statistician* 37, 1983).
    """
    if len(parts) == 1:
        return parts[0]
    apart, known = sum(part.not_finite for part in parts), [part for part in parts if part.n]
    if sum(part.n for part in known) < 2:
        values = [part.mean for part in known] + [math.nan] * apart
        return spread(values)
    n, low, high = sum(part.n for part in known), min(part.low for part in known), max(part.high for part in known)
    mean = min(max(_mean_of(known, n), low), high)
    scale = max(max(part.std or 0.0, abs(part.mean - mean)) for part in known)
    std = scale
    if 0 < scale < math.inf:
        inner = ((part.n - 1) * ((part.std or 0.0) / scale) ** 2 for part in known)
        outer = (part.n * ((part.mean - mean) / scale) ** 2 for part in known)
        std = scale * math.sqrt((math.fsum(inner) + math.fsum(outer)) / (n - 1))
    margin = t_bound(SIGNIFICANCE, n - 1) * std / math.sqrt(n)
    return Spread(n, mean, std, low, high, (mean - margin, mean + margin), apart)


def _mean_of(parts: Sequence[Spread], n: int) -> float:
    try:
        total = math.fsum(part.mean * part.n for part in parts)
    except (OverflowError, ValueError):  # beyond all floats, in one direction or in both
        total = math.inf
    return total / n if math.isfinite(total) else math.fsum(part.mean * (part.n / n) for part in parts)
