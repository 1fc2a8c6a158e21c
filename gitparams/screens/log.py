"""Log: many runs on one screen, newest first, each with what changed from the run before it."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gitparams.directions import Direction, direction
from gitparams.index import BrokenRun, Listed
from gitparams.model import SHOWN_ID_LETTERS, Run, Status
from gitparams.params import MISSING, flatten
from gitparams.screens.items import Item, changed_params, fitted, folded, metric_items, whole, with_more
from gitparams.screens.numbers import age_text, column_texts, float_text, metric_texts, value_text
from gitparams.screens.table import Column, Style, table_lines
from gitparams.screens.terminal import Terminal, cell_width, safe
from gitparams.values import same

if TYPE_CHECKING:
    from gitparams.expectations import Answer

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
    total: int | None,
    terminal: Terminal,
    directions: Mapping[str, Direction],
    now: datetime,
    filtered: bool = False,
    against: Run | None = None,
) -> str:
    """Return the table of runs, and below it what sums it up.

    Args:
        rows: the runs that are shown.
        total: how many there are to list.
        terminal: where the table goes.
        directions: which way of a metric is better, as declared.
        now: what ages count from.
        filtered: whether there may be runs that the list leaves out.
        against: the run that all are compared with, instead of each with the one before it.
    """
    if not rows:
        return no_runs(terminal, filtered=filtered)
    columns, starred = _columns(rows, terminal, directions, now, against)
    header, *lines = table_lines(columns)
    return "\n".join([terminal.dim(header), *lines, "", *_footer(rows, total, starred, directions, terminal)])


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


def verdict_text(run: Run | BrokenRun) -> str:
    """Return in a word whether what was expected of a run came true; empty where nothing was."""
    if isinstance(run, BrokenRun) or not run.expect:
        return ""
    from gitparams.expectations import verdict_of

    return str(verdict_of(run) or "")


def verdict_style(verdict: str, terminal: Terminal) -> Style:
    """Return how the word for a verdict is dressed."""
    return {"confirmed": terminal.green, "refuted": terminal.red}.get(verdict, terminal.dim)


def expectation_texts(run: Run) -> list[tuple[str, str]]:
    """Return each expectation of a run in words, with what came of it and why, and its verdict."""
    if not run.expect:
        return []
    from gitparams.expectations import answers

    return [(_expectation_text(answer, run), str(answer.verdict)) for answer in answers(run)]


def _expectation_text(answer: Answer, run: Run) -> str:
    said = [
        f"it has no {name}" if value is MISSING else f"{name} is {_judged_text(answer, run, name, value)}"
        for name, value in answer.items
    ]
    because = ", ".join([*said, *filter(None, [answer.problem])])
    return f"{' '.join(answer.expression.split())}   {answer.verdict}{f', {because}' if because else ''}"


def _judged_text(answer: Answer, run: Run, name: str, value: Any) -> str:
    """Return a value that an expectation was judged by: a metric as lists show it, with more digits where these would belie."""
    if not (isinstance(value, float) and math.isfinite(value) and run.metrics.get(name) == value):
        return value_text(value)
    from gitparams.expectations import answers

    shorter = (metric_texts([value])[0], *(float_text(float(f"{value:.{digits}g}")) for digits in range(4, 17)))
    for text in shorter:
        seen = replace(run, metrics={**run.metrics, name: float(text.replace(" ", ""))}, expect=(answer.expression,))
        if answers(seen)[0].verdict is answer.verdict:
            return text
    return value_text(value)


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


def shown_id(run: Run | BrokenRun) -> str:
    """Return the letters of a run's id that a list shows."""
    return safe(run.id[:SHOWN_ID_LETTERS])


def count_text(shown: int, total: int | None) -> str:
    """Return how many runs a list shows; `total` is None where there are too many to count them all.

    >>> count_text(5, 148), count_text(1, 1), count_text(20, None)
    ('5 of 148 runs', '1 run', '20 runs of many')
    """
    if total is None:
        return f"{shown} runs of many"
    return f"{shown} of {total} runs" if total > shown else f"{shown} {'run' if shown == 1 else 'runs'}"


def best_text(starred: Sequence[str]) -> str:
    """Return what explains the star of a best value; empty when no metric has one."""
    return "* best" if starred else ""


def doubt_text(rows: Sequence[Listed]) -> str:
    """Return what explains the mark of a run about which two sources disagree; empty when there is none."""
    return f"{_MARK} sources disagree (gitparams check)" if any(is_doubtful(row.run) for row in rows) else ""


def guess_text(starred: Sequence[str], directions: Mapping[str, Direction], terminal: Terminal) -> str:
    """Return what says for which of the starred metrics the better way is a guess, and how to settle it; empty if for none.

    >>> guess_text(["acc", "loss"], {"loss": Direction.MIN}, Terminal())
    'acc ↑ by its name; metrics: in gitparams.yaml decides'
    """
    guessed = [metric_header(name, directions, terminal) for name in starred if name not in directions]
    if not guessed:
        return ""
    said = f"{', '.join(guessed)} by {'their names' if len(guessed) > 1 else 'its name'}"
    forms = (f"{said}; metrics: in gitparams.yaml decides", said, "best guessed by name")
    return next((form for form in forms if cell_width(form) <= max(terminal.width, NARROWEST)), "")


def fitting_line(texts: Iterable[str], terminal: Terminal) -> str:
    """Return a line of as many of the texts as it holds, without the empty ones."""
    line = ""
    for text in filter(None, texts):
        longer = f"{line}{terminal.dot}{text}" if line else text
        line = longer if cell_width(longer) <= max(terminal.width, NARROWEST) else line
    return line


# -- the table ------------------------------------------------------------------------------------------------------------


def first_columns(runs: Sequence[Run | BrokenRun], terminal: Terminal, now: datetime) -> list[Column]:
    """Return the columns that every table of runs begins with: ids, marks of doubt, and ages where there is room."""
    columns = [Column(["run", *map(shown_id, runs)], gap=0)]
    if any(map(is_doubtful, runs)):
        columns.append(
            Column(["", *(_MARK if is_doubtful(run) else "" for run in runs)], _styles([terminal.yellow] * len(runs)), gap=0)
        )
    if max(terminal.width, NARROWEST) >= _WITH_AGE:
        columns.append(_age_column(runs, terminal, now))
    return columns


def _columns(
    rows: Sequence[Listed], terminal: Terminal, directions: Mapping[str, Direction], now: datetime, against: Run | None
) -> tuple[list[Column], list[str]]:
    """Return the columns that fit, and the metrics whose best value is marked in one."""
    runs = [row.run for row in rows]
    columns = first_columns(runs, terminal, now)
    width = max(terminal.width, NARROWEST)
    if width >= _WITH_STATUS and any(map(status_text, runs)):
        columns.append(_status_column(runs, terminal))
    if width >= _WITH_STATUS and any(verdicts := [verdict_text(run) for run in runs]):
        columns.append(Column(["expected", *verdicts], _styles([verdict_style(verdict, terminal) for verdict in verdicts])))
    changes = changes_of(rows, terminal)
    heading = changed_heading(against)
    wanted = max(len(heading), *(cell_width(change.whole) for change in changes))
    room = width - sum(column.space for column in columns) - 2
    metrics = _metric_columns(runs, directions, terminal, room - min(wanted, _CHANGED)) if width >= _WITH_METRICS else {}
    room -= sum(column.space for column, _ in metrics.values())
    names = _name_column(runs, terminal)
    if names is not None and room - names.space >= min(wanted, _CHANGED_BESIDE_NAME):
        columns.append(names)
        room -= names.space
    columns.append(_changed_column(heading, changes, min(room, wanted), terminal))
    return [*columns, *(column for column, _ in metrics.values())], [name for name, (_, best) in metrics.items() if best]


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
) -> dict[str, tuple[Column, bool]]:
    most = 4 + max(0, terminal.width - 80) // 20
    chosen: dict[str, tuple[Column, bool]] = {}
    for name in ranked_metrics(runs, directions):
        if len(chosen) == most:
            break
        column, starred = metric_column(name, runs, directions, terminal)
        if column.space <= room:
            chosen[name] = column, starred
            room -= column.space
    return {name: chosen[name] for name in sorted(chosen, key=lambda name: (direction(name, directions) is None, name))}


def ranked_metrics(runs: Sequence[Run | BrokenRun], directions: Mapping[str, Direction]) -> list[str]:
    """Return the names of metrics: those that are common and have a better way first."""
    counts: dict[str, int] = {}
    for run in runs:
        for name in run.metrics if isinstance(run, Run) else ():
            counts[name] = counts.get(name, 0) + 1
    common = max(counts.values(), default=0) / 2
    return sorted(counts, key=lambda name: (counts[name] < common, direction(name, directions) is None, -counts[name], name))


def metric_column(
    name: str,
    runs: Sequence[Run | BrokenRun],
    directions: Mapping[str, Direction],
    terminal: Terminal,
    longest: int = _LONGEST_HEADER,
) -> tuple[Column, bool]:
    """Return the column of a metric, and whether the best of its values is marked."""
    values = metric_values(name, runs)
    best = best_of(name, runs, directions)
    texts = column_texts(values, terminal.missing)
    if best:
        texts = [_starred(text) if place in best else f"{text} " for place, text in enumerate(texts)]
    styles = [
        best_style(terminal) if place in best else terminal.dim if value is MISSING else str
        for place, value in enumerate(values)
    ]
    return Column([metric_header(name, directions, terminal, longest), *texts], _styles(styles), right=True, gap=3), bool(best)


def metric_values(name: str, runs: Sequence[Run | BrokenRun]) -> list[Any]:
    """Return the value of a metric in each run, `MISSING` where there is none."""
    return [run.metrics.get(name, MISSING) if isinstance(run, Run) else MISSING for run in runs]


def best_of(name: str, runs: Sequence[Run | BrokenRun], directions: Mapping[str, Direction]) -> set[int]:
    """Return where the best value of a metric stands among those of the completed runs."""
    values = zip(metric_values(name, runs), runs, strict=True)
    return best_places([value if _completed(run) else MISSING for value, run in values], direction(name, directions))


def _starred(text: str) -> str:
    number = text.rstrip()
    return f"{number}*{text[len(number) :]}"


def changed_heading(against: Run | None) -> str:
    """Return the heading of what changed: since the run before, or against one run."""
    return "changed" if against is None else f"against {shown_id(against)}"


def _changed_column(heading: str, changes: Sequence[Changed], width: int, terminal: Terminal) -> Column:
    texts = [change.text(width, terminal) for change in changes]
    return Column([terminal.cut(heading, width), *texts], _styles([change.style(terminal) for change in changes]), least=width)


def _styles(styles: Sequence[Style]) -> dict[int, Style]:
    return dict(enumerate(styles, 1))


def _footer(
    rows: Sequence[Listed], total: int | None, starred: Sequence[str], directions: Mapping[str, Direction], terminal: Terminal
) -> list[str]:
    equal = _equal_params([row.run for row in rows if isinstance(row.run, Run) and not row.run.group])
    said = [
        count_text(len(rows), total),
        f"{equal} {'param' if equal == 1 else 'params'} equal in all" if equal else "",
        best_text(starred),
        doubt_text(rows),
    ]
    lines = [fitting_line(said, terminal), guess_text(starred, directions, terminal)]
    return [terminal.dim(line) for line in lines if line]


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
class Changed:
    """What is said of a row in the column `changed`: items that can be left out one by one, or a sentence.

    Attributes:
        items: the params that changed.
        sentence: what is said when there are none to list.
        whole: all of it in one line.
        quiet: whether it says that nothing changed.
    """

    items: tuple[Item, ...]
    sentence: str
    whole: str
    quiet: bool = False

    @classmethod
    def of(cls, row: Listed, terminal: Terminal) -> Changed:
        """Return what changed from the run before a row's to the row's."""
        run = row.run
        if isinstance(run, BrokenRun):
            return cls._said(terminal.safe(run.reason.strip() or "unreadable"))
        if run.group:
            return cls._said(terminal.safe(f"group: {shlex.join(run.command)}"))
        if row.before is None:
            return cls._said(terminal.safe(f"first run of {run.experiment}"))
        return cls._listed(folded(changed_params(row.before, run)), terminal)

    @classmethod
    def _listed(cls, items: Sequence[Item], terminal: Terminal) -> Changed:
        if not items:
            return cls((), "same params", "same params", quiet=True)
        return cls(tuple(items), "", whole(items, terminal))

    @classmethod
    def _said(cls, sentence: str) -> Changed:
        return cls((), sentence.rstrip(), sentence.rstrip())

    def ordered(self, counts: Mapping[str, int], terminal: Terminal) -> Changed:
        """Return the same with the items first that are in the most rows."""
        return self._listed(sorted(self.items, key=lambda item: (item.rank, -counts[item.path])), terminal)

    def text(self, width: int, terminal: Terminal, *, most: int = 99) -> str:
        """Return it in `width` cells, with at most so many items."""
        return fitted(self.items, width, terminal, most=most) if self.items else terminal.cut(self.sentence, width)

    def style(self, terminal: Terminal) -> Style:
        """Return how its text is dressed."""
        if self.quiet:
            return terminal.dim
        if not self.items:
            return str
        return lambda text: text.replace(f" {terminal.arrow} ", f" {terminal.dim(terminal.arrow)} ")


def changes_of(rows: Sequence[Listed], terminal: Terminal) -> list[Changed]:
    """Return what changed in each row; what changed in the most rows stands first, so that rows can be compared."""
    changes = [Changed.of(row, terminal) for row in rows]
    counts = Counter(item.path for change in changes for item in change.items)
    return [change if len(change.items) < 2 else change.ordered(counts, terminal) for change in changes]


# -- other shapes ---------------------------------------------------------------------------------------------------------


def _oneline(row: Listed, terminal: Terminal, directions: Mapping[str, Direction]) -> str:
    run, width = row.run, max(terminal.width, NARROWEST) - SHOWN_ID_LETTERS - 1
    head = terminal.yellow(shown_id(run)) + " "
    verdict = verdict_text(run)
    if status := terminal.cut(status_text(run) or verdict, width):
        head += (status_style(run, terminal) if status_text(run) else verdict_style(verdict, terminal))(status)
        width -= len(status) + len(terminal.dot)
        head += terminal.dot if width >= NARROWEST // 2 else ""
    if width < NARROWEST // 2:
        return head.rstrip()
    change = Changed.of(row, terminal)
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
    change = Changed.of(row, terminal)
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
        lines += [("Expect:", text) for text, _ in expectation_texts(run)]
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


def _completed(run: Run | BrokenRun) -> bool:
    return isinstance(run, Run) and run.status is Status.COMPLETED


# -- files ----------------------------------------------------------------------------------------------------------------

_FIELDS = (
    "id", "name", "experiment", "status", "started", "finished", "duration",
    "commit", "branch", "author", "host", "command", "tags", "note",
)  # fmt: skip
_RECORDED = frozenset((
    *_FIELDS, "dirty", "user", "python", "cwd", "exit_code", "parent", "group",
    "deleted", "disputed", "drift", "unread", "redacted",
))  # fmt: skip


def to_csv(rows: Sequence[Listed], columns: Sequence[str] = ()) -> str:
    """Return a line a run and a column a field, param and metric, or only the id and the chosen columns.

    What a run does not have is empty, and what a terminal would obey is written as an escape.

    Args:
        rows: the runs.
        columns: names as in the first line of the file: ``status``, ``params.optim.lr``, ``metrics.acc``.
    """
    import csv
    import io

    runs = [row.run for row in rows]
    records = [_record(run) for run in runs]
    found = columns or (*_FIELDS, *sorted({key for record in records for key in record if key not in _RECORDED}))
    columns = list(dict.fromkeys(("id", *found)))
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
        "dirty": str(run.code.dirty),
        "user": run.user,
        "python": run.python,
        "cwd": run.cwd,
        "exit_code": "" if run.exit_code is None else str(run.exit_code),
        "parent": run.parent or "",
        "group": str(run.group),
        "deleted": str(run.deleted),
        "disputed": " ".join(run.disputed),
        "drift": " ".join(run.drift),
        "unread": " ".join(run.unread),
        "redacted": " ".join(run.redacted),
    }
    params = {
        param_name(path): value if isinstance(value, str) else value_text(value) for path, value in flatten(run.params).items()
    }
    return {**record, **params, **{f"metrics.{name}": value_text(value) for name, value in run.metrics.items()}}


def param_name(path: str) -> str:
    """Return what a param is called among metrics and fields.

    >>> param_name("optim.lr"), param_name('["a.b"].size')
    ('params.optim.lr', 'params["a.b"].size')
    """
    return f"params{path}" if path.startswith("[") else f"params.{path}"


def to_markdown(rows: Sequence[Listed], *, directions: Mapping[str, Direction], now: datetime) -> str:
    """Return the table as Markdown, with every metric that a run has."""
    terminal = Terminal(width=200)
    runs = [row.run for row in rows]
    names = ranked_metrics(runs, directions)
    columns = [metric_column(name, runs, directions, terminal)[0].texts for name in names]
    head = ["run", "age", "status", "name", "changed", *(text for text, *_ in columns)]
    lines = []
    for place, row in enumerate(rows):
        run = row.run
        cells = [shown_id(run), age_text((now - run.started).total_seconds()), status_text(run)]
        cells += [run.name or "" if isinstance(run, Run) else "", Changed.of(row, terminal).text(120, terminal)]
        lines.append([*cells, *(texts[place + 1].strip() for texts in columns)])
    return markdown_table(head, lines, right=range(5, len(head)))


def markdown_table(head: Sequence[str], lines: Iterable[Sequence[str]], right: Container[int]) -> str:
    """Return a table as Markdown; `right` are the places of the columns whose texts stand at the right end."""
    rule = ["--:" if place in right else "---" for place in range(len(head))]
    rows = [map(_markdown, head), rule, *(map(_markdown, line) for line in lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _markdown(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\|`*[]<>" else "&amp;" if letter == "&" else letter for letter in safe(text))
