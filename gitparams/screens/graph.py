"""Graph: the lineage of runs, drawn as ``git log --graph`` draws commits: each run above the one it was started from."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gitparams.directions import Direction, direction
from gitparams.index import BrokenRun, Listed
from gitparams.model import SHOWN_ID_LETTERS, Run
from gitparams.screens.items import LONGEST_VALUE
from gitparams.screens.log import (
    NARROWEST,
    Changed,
    changes_of,
    count_text,
    doubt_text,
    fitting_line,
    is_doubtful,
    no_runs,
    shown_id,
    status_style,
    status_text,
)
from gitparams.screens.numbers import age_text, metric_texts
from gitparams.screens.table import Style
from gitparams.screens.terminal import Terminal, cell_width

_WITH_AGE, _WITH_NAME, _WITH_METRICS = 32, 60, 60  # below these widths they go
_LONGEST_NAME, _MOST_METRICS = 20, 2
_LEAST_CHANGE, _CHANGE_BESIDE = 8, 28  # cells below which nothing is said, and that it keeps beside metrics
_HIDDEN = "~"


def render(
    rows: Sequence[Listed],
    *,
    total: int | None,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    now: datetime,
    parents: Mapping[str, Run] | None = None,
    filtered: bool = False,
) -> str:
    """Return the runs as a graph, newest first, each with what changed from its parent.

    A run without a parent is compared with the run before it, and so is one whose parent is a group or not known. Runs of
    one descent are joined by a line; where there is none, one has nothing to do with the other.

    Args:
        rows: the runs that are shown.
        total: how many there are to list.
        terminal: where the graph goes.
        directions: which way of a metric is better, as declared.
        now: what ages count from.
        parents: id → run, for ancestors that are not among the rows.
        filtered: whether there may be runs that the list leaves out.
    """
    if not rows:
        return no_runs(terminal, filtered=filtered)
    known: dict[str, Run] = dict(parents or {})
    known.update((row.run.id, row.run) for row in rows if isinstance(row.run, Run))
    listed: dict[str, Listed] = {row.run.id: row for row in rows}
    order = list(_newest_first(rows, known))
    labels = _Labels.of(rows, terminal, directions, now, known)
    graph = _Graph(terminal)
    lines: list[str] = []
    for node, parent in order:
        row = listed.get(node)
        lines += graph.before(node)
        prefix = graph.node(node, _glyph(row, terminal))
        room = max(terminal.width, NARROWEST) - cell_width(prefix) - 1
        lines.append(f"{prefix} {labels.hidden(node) if row is None else labels.text(row, room)}")
        lines += graph.after(parent)
    said = [
        count_text(len(rows), total),
        f"{_HIDDEN} not listed" if any(node not in listed for node, _ in order) else "",
        doubt_text(rows),
    ]
    return "\n".join([*lines, "", terminal.dim(fitting_line(said, terminal))])


def _glyph(row: Listed | None, terminal: Terminal) -> str:
    if row is None:
        return _HIDDEN
    if not terminal.utf8:
        return "*"
    return "◆" if isinstance(row.run, Run) and row.run.group else "●"


# -- lineage --------------------------------------------------------------------------------------------------------------


def _parent(run: Run | BrokenRun | None) -> str | None:
    return run.parent if isinstance(run, Run) and run.parent != run.id else None


def _newest_first(rows: Sequence[Listed], known: Mapping[str, Run]) -> Iterator[tuple[str, str | None]]:
    """Yield each run and its parent: newest first, but never a parent before its children, whatever the clocks said.

    A parent that is not among the rows comes right after the last of its children.
    """
    parents = _parents(rows, known)
    place: dict[str, tuple[float, int]] = {
        row.run.id: (-row.run.started.timestamp(), number) for number, row in enumerate(rows)
    }
    waiting = dict.fromkeys(parents, 0)
    for parent in filter(None, parents.values()):
        waiting[parent] += 1
    at_once = (float("-inf"), 0)
    ready = [(place[node], node) for node, count in waiting.items() if not count]
    heapq.heapify(ready)
    while ready:
        _, node = heapq.heappop(ready)
        above = parents[node]
        yield node, above
        if above is not None:
            waiting[above] -= 1
            if not waiting[above]:
                heapq.heappush(ready, (place.get(above, at_once), above))


def _parents(rows: Sequence[Listed], known: Mapping[str, Run]) -> dict[str, str | None]:
    """Return run → parent of the rows and their ancestors, as far as they are known, without any that leads in a circle."""
    parents: dict[str, str | None] = {}
    for row in rows:
        node: str = row.run.id
        run: Run | BrokenRun | None = row.run
        trail: set[str] = set()
        while node not in parents:
            above = _parent(run)
            trail.add(node)
            parents[node] = None if above in trail else above
            if above is None or above in trail:
                break
            node, run = above, known.get(above)
    return parents


# -- lines ----------------------------------------------------------------------------------------------------------------


class _Graph:
    """The lanes of a graph while it is drawn from top to bottom: each waits for the parent of the run drawn in it last."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.bar = "│" if terminal.utf8 else "|"
        self.most = max(terminal.width, NARROWEST) // 6  # lanes that are drawn
        self.lanes: list[str | None] = []
        self.free: list[int] = []
        self.lane_of: dict[str, int] = {}
        self.last: int | None = None  # the lane of the run in the line above

    def before(self, node: str) -> list[str]:
        """Return the line that joins a run to a child of its that stands right above it."""
        lane = self.lane_of.get(node)
        return [self._line({})] if lane is not None and lane == self.last else []

    def node(self, node: str, glyph: str) -> str:
        """Return the beginning of the line of a run."""
        lane = self.lane_of.pop(node) if node in self.lane_of else self._free_lane()
        self.lanes[lane] = None
        self.last = lane
        return self._line({2 * lane: glyph}, beyond=glyph if lane >= self.most else "")

    def after(self, parent: str | None) -> list[str]:
        """Let the lane of the run above wait for its parent, and return the lines by which it joins one that does already."""
        assert self.last is not None
        lane, other = self.last, self.lane_of.get(parent or "")
        if parent is None:
            heapq.heappush(self.free, lane)
            return []
        if other is None:
            self.lanes[lane], self.lane_of[parent] = parent, lane
            return []
        target, source = sorted((lane, other))
        lines = self._joined(target, source)
        self.lanes[source], self.lanes[target], self.lane_of[parent] = None, parent, target
        heapq.heappush(self.free, source)
        self.last = None if lines else lane
        return lines

    def _free_lane(self) -> int:
        if self.free:
            return heapq.heappop(self.free)
        self.lanes.append(None)
        return len(self.lanes) - 1

    def _joined(self, target: int, source: int) -> list[str]:
        if target >= self.most:
            return []
        left, right = 2 * target, 2 * source
        between = range(left + 1, min(right, 2 * self.most))
        crossed = {cell for cell in between if cell % 2 == 0 and self.lanes[cell // 2] is not None}
        if self.terminal.utf8:
            return [self._line({left: "├", **{cell: "┼" if cell in crossed else "─" for cell in between}, right: "╯"})]
        if source == target + 1:
            return [self._line({left: self.bar, right - 1: "/", right: " "})]
        under = {cell: "_" for cell in between if left + 2 <= cell <= right - 2 and cell not in crossed}
        return [
            self._line({left: self.bar, **under, right - 1: "/", right: " "}),
            self._line({left: self.bar, left + 1: "/", right: " "}),
        ]

    def _line(self, drawn: Mapping[int, str], beyond: str = "") -> str:
        """Return one line: a bar in each lane that waits, and over them what else is drawn, by cell."""
        waiting = [lane for lane, parent in enumerate(self.lanes[: self.most]) if parent is not None]
        cells = {2 * lane: self.bar for lane in waiting} | {at: mark for at, mark in drawn.items() if at < 2 * self.most}
        text = "".join(cells.get(cell, " ") for cell in range(max(cells, default=-1) + 1)).rstrip()
        return f"{text}{self.terminal.ellipsis}{beyond}" if beyond or len(waiting) < len(self.lane_of) else text


# -- labels ---------------------------------------------------------------------------------------------------------------


def _base(row: Listed, known: Mapping[str, Run]) -> Run | None:
    """Return the run that a run is compared with."""
    parent = known.get(_parent(row.run) or "")
    return row.before if parent is None or parent.group else parent


def _metric_items(
    runs: Sequence[Run | BrokenRun], directions: Mapping[str, Direction], terminal: Terminal
) -> dict[str, list[str]]:
    """Return the first metrics of each run in words, with as many digits as keep the runs apart."""
    by_name: dict[str, list[Run]] = {}
    for run in runs:
        if isinstance(run, Run):
            for name in _first_metrics(run, directions):
                by_name.setdefault(name, []).append(run)
    items: dict[str, list[str]] = {}
    for name in sorted(by_name, key=lambda name: (direction(name, directions) is None, name)):
        label = terminal.cut(terminal.safe(name), LONGEST_VALUE)
        for run, text in zip(by_name[name], metric_texts([run.metrics[name] for run in by_name[name]]), strict=True):
            items.setdefault(run.id, []).append(f"{label} {text}")
    return items


def _first_metrics(run: Run, directions: Mapping[str, Direction]) -> list[str]:
    return sorted(run.metrics, key=lambda name: (direction(name, directions) is None, name))[:_MOST_METRICS]


@dataclass(frozen=True, slots=True)
class _Labels:
    """What the text beside each run is made of."""

    terminal: Terminal
    now: datetime
    changes: Mapping[str, Changed]
    metrics: Mapping[str, Sequence[str]]
    age_width: int
    doubts: bool

    @classmethod
    def of(
        cls,
        rows: Sequence[Listed],
        terminal: Terminal,
        directions: Mapping[str, Direction],
        now: datetime,
        known: Mapping[str, Run],
    ) -> _Labels:
        """Return the labels of a list of runs, whose ages stand below each other."""
        age_width = max(len(age_text((now - row.run.started).total_seconds())) for row in rows)
        changes = changes_of([Listed(row.run, _base(row, known)) for row in rows], terminal)
        by_run: dict[str, Changed] = {row.run.id: change for row, change in zip(rows, changes, strict=True)}
        metrics = _metric_items([row.run for row in rows], directions, terminal)
        return cls(terminal, now, by_run, metrics, age_width, any(is_doubtful(row.run) for row in rows))

    def hidden(self, node: str) -> str:
        """Return what is said of a parent that is not listed."""
        return self.terminal.dim(self.terminal.safe(node[:SHOWN_ID_LETTERS]))

    def text(self, row: Listed, room: int) -> str:
        """Return what is said of a run in `room` cells: its id whole, what changed, and as much else as there is room for."""
        text, room = self._head(row.run, room)
        change = self.changes[row.run.id]
        if room - 2 < _LEAST_CHANGE:
            return text
        metrics = list(self.metrics.get(row.run.id, ())) if self.terminal.width >= _WITH_METRICS else []
        beside = min(_CHANGE_BESIDE, cell_width(change.whole)) + 2
        while metrics and cell_width(self._joined(metrics)) > room - beside:
            metrics.pop()
        changed = change.text(room - 2 - cell_width(self._joined(metrics)), self.terminal)
        return f"{text}  {change.style(self.terminal)(changed)}{self._joined(metrics)}"

    def _head(self, run: Run | BrokenRun, room: int) -> tuple[str, int]:
        """Return the id with what stands before the changes, and the cells that are left."""
        terminal = self.terminal
        mark = ("!" if is_doubtful(run) else " ") if self.doubts else ""
        text, room = terminal.yellow(shown_id(run) + mark.strip()), room - SHOWN_ID_LETTERS - len(mark)
        blanks = " " * (len(mark) - len(mark.strip()))
        for part, style, wanted in self._parts(run):
            if part and cell_width(part) + 2 <= room and terminal.width >= wanted:
                text += f"{blanks}  {style(part)}"
                room -= cell_width(part) + 2
                blanks = ""
        return text, room

    def _parts(self, run: Run | BrokenRun) -> Iterator[tuple[str, Style, int]]:
        terminal = self.terminal
        age = age_text((self.now - run.started).total_seconds())
        yield f"{age:>{self.age_width}}", terminal.dim, _WITH_AGE
        yield status_text(run), status_style(run, terminal), 0
        if isinstance(run, Run) and run.name:
            yield f"({terminal.cut(terminal.safe(run.name), _LONGEST_NAME)})", str, _WITH_NAME

    def _joined(self, metrics: Sequence[str]) -> str:
        return f"   {self.terminal.dot.join(metrics)}" if metrics else ""
