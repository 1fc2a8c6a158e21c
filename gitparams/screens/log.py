"""Log: many runs on one screen, newest first, each with what changed from the run before it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gitparams.directions import Direction, direction
from gitparams.index import BrokenRun, Listed
from gitparams.model import SHOWN_ID_LETTERS, Run, Status
from gitparams.params import MISSING, flatten
from gitparams.screens.items import Item, changed_params, fitted, folded, metric_items, whole, with_more
from gitparams.screens.numbers import age_text, column_texts, value_text
from gitparams.screens.table import Column, Style, table_lines
from gitparams.screens.terminal import Terminal, cell_width, safe
from gitparams.values import same

NARROWEST = 20
_WITH_METRICS, _WITH_STATUS, _WITH_AGE = 60, 42, 32  # below these widths the columns go
_CHANGED, _CHANGED_BESIDE_NAME = 28, 40  # cells that `changed` keeps beside metrics, and beside a name
_LONGEST_NAME, _LONGEST_HEADER = 20, 20
_MARK = "!"
_BAD = frozenset((Status.FAILED, Status.CRASHED))
_UNSETTLED = frozenset((Status.RUNNING, Status.OPEN, Status.LOST, Status.INTERRUPTED))


def render(
    rows: Sequence[Listed],
    *,
    total: int,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    now: datetime,
    filtered: bool = False,
) -> str:
    """Return the table of runs with a line below that sums it up; `total` is how many runs there are to list."""
    if not rows:
        return no_runs(terminal, filtered=filtered)
    columns, has_best = _columns(rows, terminal, directions, now)
    header, *lines = table_lines(columns)
    return "\n".join([terminal.dim(header), *lines, "", _footer(rows, total, has_best, terminal)])


def render_oneline(
    rows: Sequence[Listed], *, terminal: Terminal, directions: Mapping[str, Direction], filtered: bool = False
) -> str:
    """Return a line a run: its id, how it ended if not well, and what changed."""
    if not rows:
        return no_runs(terminal, filtered=filtered)
    return "\n".join(_oneline(row, terminal, directions) for row in rows)


def render_patch(
    rows: Sequence[Listed], *, terminal: Terminal, directions: Mapping[str, Direction], now: datetime, filtered: bool = False
) -> str:
    """Return a block a run, as `git log -p` has it: the heading, then the old and the new value of each param that changed."""
    if not rows:
        return no_runs(terminal, filtered=filtered)
    return "\n\n".join("\n".join(_patch(row, terminal, directions, now)) for row in rows)


def no_runs(terminal: Terminal, *, filtered: bool) -> str:
    """Return what is said in place of a list without runs."""
    if filtered:
        return "No run matches.\n" + terminal.dim("hint: gitparams log shows them all")
    return "No runs yet.\n" + terminal.dim("hint: gitparams run -- python train.py")


def status_text(run: Run | BrokenRun) -> str:
    """Return how a run stands in a word, with the exit code of a failed one; empty for one that completed."""
    if isinstance(run, BrokenRun):
        return "broken"
    if run.status is Status.COMPLETED:
        return ""
    code = f" {run.exit_code}" if run.status is Status.FAILED and run.exit_code else ""
    return f"{run.status}{code}"


def status_style(run: Run | BrokenRun, terminal: Terminal) -> Style:
    """Return how the word for a run's status is dressed."""
    if isinstance(run, BrokenRun) or run.status in _BAD:
        return terminal.red
    return terminal.yellow if run.status in _UNSETTLED else str


def is_doubtful(run: Run | BrokenRun) -> bool:
    """Tell whether two sources disagree about a value of the run's params."""
    return isinstance(run, Run) and bool(run.disputed)


def best_style(terminal: Terminal) -> Style:
    """Return how the best value is dressed; with weight too, for those who see no colour."""
    return lambda text: terminal.bold(terminal.green(text))


def metric_header(name: str, directions: Mapping[str, Direction], terminal: Terminal, longest: int = _LONGEST_HEADER) -> str:
    """Return a metric's name with the mark of which way is better.

    >>> metric_header("acc", {}, Terminal()), metric_header("time", {}, Terminal())
    ('acc ↑', 'time')
    """
    way = direction(name, directions)
    mark = "" if way is None else f" {terminal.up if way is Direction.MAX else terminal.down}"
    return terminal.cut(terminal.safe(name), longest - len(mark)) + mark


def best_places(values: Sequence[Any], way: Direction | None) -> set[int]:
    """Return where the best of several values stands; nowhere when they are all alike or it is not known what is better.

    >>> best_places([0.9, float("nan"), 0.7], Direction.MIN), best_places([0.9], Direction.MAX)
    ({2}, set())
    """
    known = [value for value in values if value is not MISSING and value == value]
    if way is None or len(known) < 2 or min(known) == max(known):
        return set()
    best = max(known) if way is Direction.MAX else min(known)
    return {place for place, value in enumerate(values) if value is not MISSING and value == best}


# -- the table ------------------------------------------------------------------------------------------------------------


def _columns(
    rows: Sequence[Listed], terminal: Terminal, directions: Mapping[str, Direction], now: datetime
) -> tuple[list[Column], bool]:
    """Return the columns that fit, and whether a best value is marked in one."""
    runs = [row.run for row in rows]
    columns = [Column(["run", *(_id(run) for run in runs)], gap=0)]
    if any(map(is_doubtful, runs)):
        columns.append(
            Column(["", *(_MARK if is_doubtful(run) else "" for run in runs)], _styles([terminal.yellow] * len(runs)), gap=0)
        )
    width = max(terminal.width, NARROWEST)
    if width >= _WITH_AGE:
        columns.append(_age_column(runs, terminal, now))
    if width >= _WITH_STATUS and any(map(status_text, runs)):
        columns.append(_status_column(runs, terminal))
    changes = _changes(rows, terminal)
    wanted = max(len("changed"), *(cell_width(change.whole) for change in changes))
    room = width - sum(column.space for column in columns) - 2
    metrics = _metric_columns(runs, directions, terminal, room - min(wanted, _CHANGED)) if width >= _WITH_METRICS else []
    room -= sum(column.space for column, _ in metrics)
    names = _name_column(runs, terminal)
    if names is not None and room - names.space >= min(wanted, _CHANGED_BESIDE_NAME):
        columns.append(names)
        room -= names.space
    columns.append(_changed_column(changes, min(room, wanted), terminal))
    return [*columns, *(column for column, _ in metrics)], any(starred for _, starred in metrics)


def _age_column(runs: Sequence[Run | BrokenRun], terminal: Terminal, now: datetime) -> Column:
    texts = [age_text((now - run.started).total_seconds()) for run in runs]
    return Column(["age", *texts], _styles([terminal.dim] * len(runs)), right=True, least=4)


def _status_column(runs: Sequence[Run | BrokenRun], terminal: Terminal) -> Column:
    return Column(["status", *map(status_text, runs)], _styles([status_style(run, terminal) for run in runs]))


def _name_column(runs: Sequence[Run | BrokenRun], terminal: Terminal) -> Column | None:
    names = [terminal.cut(terminal.safe(run.name), _LONGEST_NAME) if isinstance(run, Run) and run.name else "" for run in runs]
    return Column(["name", *names]) if any(names) else None


def _metric_columns(
    runs: Sequence[Run | BrokenRun], directions: Mapping[str, Direction], terminal: Terminal, room: int
) -> list[tuple[Column, bool]]:
    most = 4 + max(0, terminal.width - 80) // 20
    chosen: dict[str, tuple[Column, bool]] = {}
    for name in _ranked_metrics(runs, directions):
        column, starred = _metric_column(name, runs, directions, terminal)
        if len(chosen) == most:
            break
        if column.space <= room:
            chosen[name] = column, starred
            room -= column.space
    return [chosen[name] for name in sorted(chosen, key=lambda name: (direction(name, directions) is None, name))]


def _ranked_metrics(runs: Sequence[Run | BrokenRun], directions: Mapping[str, Direction]) -> list[str]:
    """Return the names of metrics: those that are common and have a better way first."""
    counts: dict[str, int] = {}
    for run in runs:
        for name in run.metrics if isinstance(run, Run) else ():
            counts[name] = counts.get(name, 0) + 1
    common = max(counts.values(), default=0) / 2
    return sorted(counts, key=lambda name: (counts[name] < common, direction(name, directions) is None, -counts[name], name))


def _metric_column(
    name: str, runs: Sequence[Run | BrokenRun], directions: Mapping[str, Direction], terminal: Terminal
) -> tuple[Column, bool]:
    values = [run.metrics.get(name, MISSING) if isinstance(run, Run) else MISSING for run in runs]
    settled = [value if _completed(run) else MISSING for value, run in zip(values, runs, strict=True)]
    best = best_places(settled, direction(name, directions))
    texts = column_texts(values, terminal.missing)
    if best:
        texts = [_starred(text) if place in best else f"{text} " for place, text in enumerate(texts)]
    styles = [
        best_style(terminal) if place in best else terminal.dim if value is MISSING else str
        for place, value in enumerate(values)
    ]
    return Column([metric_header(name, directions, terminal), *texts], _styles(styles), right=True, gap=3), bool(best)


def _starred(text: str) -> str:
    number = text.rstrip()
    return f"{number}*{text[len(number) :]}"


def _changed_column(changes: Sequence[_Changed], width: int, terminal: Terminal) -> Column:
    texts = [change.text(width, terminal) for change in changes]
    return Column(
        [terminal.cut("changed", width), *texts], _styles([change.style(terminal) for change in changes]), least=width
    )


def _styles(styles: Sequence[Style]) -> dict[int, Style]:
    return dict(enumerate(styles, 1))


def _footer(rows: Sequence[Listed], total: int, has_best: bool, terminal: Terminal) -> str:
    shown = len(rows)
    count = f"{shown} of {total} runs" if total > shown else f"{shown} {'run' if shown == 1 else 'runs'}"
    equal = _equal_params([row.run for row in rows if isinstance(row.run, Run) and not row.run.group])
    doubtful = any(is_doubtful(row.run) for row in rows)
    said = [
        count,
        f"{equal} {'param' if equal == 1 else 'params'} equal in all" if equal else "",
        "* best" if has_best else "",
        f"{_MARK} sources disagree (gitparams check)" if doubtful else "",
    ]
    line = ""
    for text in filter(None, said):
        longer = f"{line}{terminal.dot}{text}" if line else text
        line = longer if cell_width(longer) <= max(terminal.width, NARROWEST) else line
    return terminal.dim(line)


def _equal_params(runs: Sequence[Run]) -> int:
    if len(runs) < 2:
        return 0
    equal = flatten(runs[0].params)
    for run in runs[1:]:
        params = flatten(run.params)
        equal = {path: value for path, value in equal.items() if path in params and same(value, params[path])}
    return len(equal)


# -- what changed ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Changed:
    """What is said of a row in the column `changed`: items that can be left out one by one, or a sentence."""

    items: tuple[Item, ...]
    sentence: str
    whole: str
    quiet: bool = False

    @classmethod
    def of(cls, row: Listed, terminal: Terminal) -> _Changed:
        run = row.run
        if isinstance(run, BrokenRun):
            return cls._said(terminal.safe(run.reason.strip() or "unreadable"))
        if run.group:
            return cls._said(terminal.safe(f"group: {shlex.join(run.command)}"))
        if row.before is None:
            return cls._said(terminal.safe(f"first run of {run.experiment}"))
        return cls._listed(folded(changed_params(row.before, run)), terminal)

    @classmethod
    def _listed(cls, items: Sequence[Item], terminal: Terminal) -> _Changed:
        if not items:
            return cls((), "same params", "same params", quiet=True)
        return cls(tuple(items), "", whole(items, terminal))

    @classmethod
    def _said(cls, sentence: str) -> _Changed:
        return cls((), sentence.rstrip(), sentence.rstrip())

    def ordered(self, counts: Mapping[str, int], terminal: Terminal) -> _Changed:
        return self._listed(sorted(self.items, key=lambda item: (item.rank, -counts[item.path])), terminal)

    def text(self, width: int, terminal: Terminal, *, most: int = 99) -> str:
        return fitted(self.items, width, terminal, most=most) if self.items else terminal.cut(self.sentence, width)

    def style(self, terminal: Terminal) -> Style:
        if self.quiet:
            return terminal.dim
        if not self.items:
            return str
        return lambda text: text.replace(f" {terminal.arrow} ", f" {terminal.dim(terminal.arrow)} ")


def _changes(rows: Sequence[Listed], terminal: Terminal) -> list[_Changed]:
    """Return what changed in each row; what changed in the most rows stands first, so that rows can be compared."""
    changes = [_Changed.of(row, terminal) for row in rows]
    counts = Counter(item.path for change in changes for item in change.items)
    return [change if len(change.items) < 2 else change.ordered(counts, terminal) for change in changes]


# -- other shapes ---------------------------------------------------------------------------------------------------------


def _oneline(row: Listed, terminal: Terminal, directions: Mapping[str, Direction]) -> str:
    run, width = row.run, max(terminal.width, NARROWEST) - SHOWN_ID_LETTERS - 1
    head = terminal.yellow(_id(run)) + " "
    if status := terminal.cut(status_text(run), width):
        head += status_style(run, terminal)(status)
        width -= len(status) + len(terminal.dot)
        head += terminal.dot if width >= NARROWEST // 2 else ""
    if width < NARROWEST // 2:
        return head.rstrip()
    change = _Changed.of(row, terminal)
    metrics = metric_items(row.before, run, directions, terminal)[:2] if isinstance(run, Run) else []
    while metrics and cell_width(terminal.dot.join(metrics)) > width - min(_CHANGED, cell_width(change.whole)) - len(
        terminal.dot
    ):
        metrics.pop()
    room = width - sum(cell_width(text) + len(terminal.dot) for text in metrics)
    text = change.style(terminal)(change.text(room, terminal, most=3))
    return head + with_more([text, *metrics], 0, terminal)


def _patch(row: Listed, terminal: Terminal, directions: Mapping[str, Direction], now: datetime) -> list[str]:
    run, width = row.run, max(terminal.width, NARROWEST)
    name = f" ({terminal.safe(run.name)})" if isinstance(run, Run) and run.name else ""
    lines = [terminal.yellow(terminal.cut(f"run {run.id}{name}", width))]
    for label, text in _heading(run, now):
        first, *others = (line.rstrip() for line in terminal.wrapped(terminal.safe(text.strip()), width - 9))
        shown = status_style(run, terminal)(first) if label == "Status:" else first
        lines += [f"{label:<9}{shown}", *(" " * 9 + other for other in others if other)]
    if isinstance(run, BrokenRun):
        return lines
    change = _Changed.of(row, terminal)
    body = [line for item in change.items for line in _patch_lines(item, terminal, width)] or [change.text(width, terminal)]
    metrics = metric_items(row.before, run, directions, terminal)
    return [*lines, "", *body, *([""] if metrics else []), *(terminal.cut(text, width) for text in metrics)]


def _heading(run: Run | BrokenRun, now: datetime) -> list[tuple[str, str]]:
    when = f"{time_text(run.started)} ({age_text((now - run.started).total_seconds())} ago)"
    lines = [("Author:", run.author), ("Date:", when), ("Status:", status_text(run))]
    if isinstance(run, BrokenRun):
        lines.append(("Reason:", run.reason))
    else:
        lines += [("Command:", shlex.join(run.command)), ("Commit:", code_text(run))]
    return [(label, text) for label, text in lines if text.strip()]


def _patch_lines(item: Item, terminal: Terminal, width: int) -> list[str]:
    name = terminal.safe(item.path)
    lines = []
    if item.old is not MISSING:
        lines.append(terminal.red(terminal.cut(f"- {name} {terminal.safe(value_text(item.old))}", width)))
    if item.new is not MISSING:
        lines.append(terminal.green(terminal.cut(f"+ {name} {terminal.safe(value_text(item.new))}", width)))
    return lines


def time_text(time: datetime) -> str:
    """Return a time as it is shown, to the second and with its offset.

    >>> from datetime import timezone
    >>> time_text(datetime(2026, 5, 4, 3, 2, 1, tzinfo=timezone.utc))
    '2026-05-04 03:02:01 +0000'
    """
    return f"{time:%Y-%m-%d %H:%M:%S %z}"


def code_text(run: Run) -> str:
    """Return the commit, the branch and whether there were changes of one's own, in words; empty when nothing is known."""
    code = run.code
    words = [code.commit[:10] if code.commit else "", f"on {code.branch}" if code.branch else ""]
    said = " ".join(filter(None, words))
    return f"{said}, with uncommitted changes" if code.dirty and said else said


def _id(run: Run | BrokenRun) -> str:
    return safe(run.id[:SHOWN_ID_LETTERS])


def _completed(run: Run | BrokenRun) -> bool:
    return isinstance(run, Run) and run.status is Status.COMPLETED


# -- files ----------------------------------------------------------------------------------------------------------------

_FIELDS = (
    "id", "name", "experiment", "status", "started", "finished", "duration",
    "commit", "branch", "author", "host", "command", "tags", "note",
)  # fmt: skip


def to_csv(rows: Sequence[Listed]) -> str:
    """Return a line a run and a column a field, param and metric.

    What a run does not have is empty, and what a terminal would obey is written as an escape.
    """
    import csv
    import io

    runs = [row.run for row in rows]
    records = [_record(run) for run in runs]
    columns = list(dict.fromkeys((*_FIELDS, *sorted({key for record in records for key in record if key not in _FIELDS}))))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([safe(column) for column in columns])
    writer.writerows([safe(record.get(column, "")) for column in columns] for record in records)
    return stream.getvalue()


def _record(run: Run | BrokenRun) -> dict[str, str]:
    if isinstance(run, BrokenRun):
        return {"id": run.id, "status": "broken", "started": run.started.isoformat(), "author": run.author, "note": run.reason}
    record = {
        "id": run.id,
        "name": run.name or "",
        "experiment": run.experiment,
        "status": str(run.status),
        "started": run.started.isoformat(),
        "finished": run.finished.isoformat() if run.finished else "",
        "duration": "" if run.duration is None else repr(run.duration),
        "commit": run.code.commit or "",
        "branch": run.code.branch or "",
        "author": run.author,
        "host": run.host,
        "command": shlex.join(run.command),
        "tags": " ".join(run.tags),
        "note": run.note,
    }
    params = {
        f"params.{path}": value if isinstance(value, str) else value_text(value) for path, value in flatten(run.params).items()
    }
    return {**record, **params, **{f"metrics.{name}": value_text(value) for name, value in run.metrics.items()}}


def to_markdown(rows: Sequence[Listed], *, directions: Mapping[str, Direction], now: datetime) -> str:
    """Return the table as Markdown, with every metric that a run has."""
    terminal = Terminal(width=200)
    runs = [row.run for row in rows]
    names = _ranked_metrics(runs, directions)
    columns = [_metric_column(name, runs, directions, terminal)[0].texts for name in names]
    head = ["run", "age", "status", "name", "changed", *(text for text, *_ in columns)]
    lines = [head, ["---"] * 5 + ["--:"] * len(names)]
    for place, row in enumerate(rows):
        run = row.run
        cells = [_id(run), age_text((now - run.started).total_seconds()), status_text(run)]
        cells += [run.name or "" if isinstance(run, Run) else "", _Changed.of(row, terminal).text(120, terminal)]
        lines.append([*cells, *(texts[place + 1].strip() for texts in columns)])
    return "".join(f"| {' | '.join(map(_markdown, line))} |\n" for line in lines)


def _markdown(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\|`*[]<>" else "&amp;" if letter == "&" else letter for letter in safe(text))
