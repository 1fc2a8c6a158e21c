"""HTML: runs as tables of a page or a notebook; nothing is fetched, and nothing that was recorded is obeyed."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

from gitparams.directions import Direction, direction
from gitparams.index import BrokenRun, Listed
from gitparams.model import Run, Status
from gitparams.model import now as present
from gitparams.params import MISSING, flatten
from gitparams.screens.columns import ColumnSpec
from gitparams.screens.diff_rows import ordinal
from gitparams.screens.items import item_text
from gitparams.screens.log import (
    Changed,
    best_of,
    changed_heading,
    changes_of,
    code_text,
    count_text,
    guess_text,
    metric_header,
    metric_values,
    no_runs,
    ranked_metrics,
    shown_id,
    status_text,
    time_text,
)
from gitparams.screens.numbers import age_text, column_texts, delta_text, duration_text, metric_texts, ratio_text, value_text
from gitparams.screens.terminal import Terminal, safe
from gitparams.seeds import is_seed
from gitparams.values import same

if TYPE_CHECKING:  # a RunDiff knows its own text and so these modules
    from gitparams.changes import CodeChange, MetricChange, ParamChange, RunDiff

_TERMINAL = Terminal(width=10**6)
_LONGEST_HEADING = 60
_LONGEST_VALUE = 200

STYLE = """
:root { color-scheme: light dark; --text: #1d2129; --quiet: #5c6470; --back: #fff; --line: #d9dde3; --over: #f3f5f8;
  --bad: #b42318; --busy: #8a5a00; --good: #11693a; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e7ec; --quiet: #9aa4b2; --back: #14171c; --line: #343b46;
  --over: #1d222a; --bad: #ff8a80; --busy: #f0b84d; --good: #6fd695; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1.5rem; background: var(--back); color: var(--text); font: 14px/1.45 system-ui, sans-serif; }
h1 { margin: 0 0 1rem; font-size: 1.15rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .75rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { white-space: nowrap; font-weight: 600; color: var(--quiet); }
th button { border: 0; padding: 0; background: none; font: inherit; color: inherit; cursor: pointer; white-space: pre; }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
tbody tr:hover { background: var(--over); }
td:first-child, th:first-child { position: sticky; left: 0; background: var(--back); }
tbody tr:hover td:first-child { background: var(--over); }
code { font: .92em ui-monospace, monospace; }
.right { text-align: right; white-space: pre; } .text { min-width: 5rem; max-width: 42rem; overflow-wrap: anywhere; }
.short { white-space: nowrap; } .quiet, footer { color: var(--quiet); } .best { font-weight: 700; color: var(--good); }
.head { font-weight: 600; }
.bad { color: var(--bad); } .busy { color: var(--busy); } footer p { margin: .5rem 0 0; }
footer { margin-top: 1rem; }
"""

# Sorts the rows by the column whose heading is clicked, numbers apart from text; what has no value stays last.
_SCRIPT = """
for (const [place, button] of document.querySelectorAll("th button").entries()) button.addEventListener("click", () => {
  const head = button.parentElement, body = head.closest("table").tBodies[0];
  const sign = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
  const value = row => row.cells[place].dataset.value ?? "";
  const order = (a, b) => isNaN(a) - isNaN(b) || (isNaN(a) ? a.localeCompare(b) : a - b);
  const rows = [...body.rows].sort((a, b) => (value(a) === "") - (value(b) === "") || sign * order(value(a), value(b)));
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  body.append(...rows);
});
"""

_INLINE = {
    "right": "text-align: right; white-space: pre",
    "text": "text-align: left; overflow-wrap: anywhere",
    "short": "text-align: left; white-space: nowrap",
    "quiet": "opacity: .65",
    "best": "font-weight: 700",
    "head": "text-align: left; font-weight: 600",
    "bad": "color: #d1453b",
    "busy": "color: #b07d1a",
}


@dataclass(frozen=True, slots=True)
class _Cell:
    """One cell.

    Attributes:
        text: what is shown.
        classes: how.
        value: what rows are sorted by; empty comes last.
    """

    text: str
    classes: tuple[str, ...] = ("text",)
    value: str = ""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table: headings, and rows of cells."""

    head: tuple[_Cell, ...]
    rows: tuple[tuple[_Cell, ...], ...]


def render_html(
    rows: Sequence[Listed],
    columns: Sequence[ColumnSpec] | None = None,
    *,
    total: int | None = None,
    directions: Mapping[str, Direction],
    now: datetime,
    title: str = "Runs",
    filtered: bool = False,
    against: Run | None = None,
) -> str:
    """Return one HTML file with the table of runs: light or dark as the reader has it, sorted by a click on a heading.

    It asks for nothing over the network, and its policy forbids every script but its own.

    Args:
        rows: the runs.
        columns: what is shown of them; what changed and every metric when None.
        total: how many runs there are to list; as many as rows when None.
        directions: which way of a metric is better, as declared.
        now: what ages count from.
        title: what stands above it.
        filtered: whether there may be runs that the list leaves out.
        against: the run that all are compared with.
    """
    if rows:
        table, starred = _runs_table(rows, columns, directions, now, against)
        said = [count_text(len(rows), total or len(rows)), "* best" if starred else ""]
        notes = [_TERMINAL.dot.join(filter(None, said)), guess_text(starred, directions, _TERMINAL)]
        body = f'<div class="wide">{_page_table(table)}</div>'
    else:
        notes, body = [], "".join(f"<p>{_safe(line)}</p>" for line in no_runs(_TERMINAL, filtered=filtered).split("\n"))
    footer = "".join(f"<p>{_safe(note)}</p>" for note in notes if note)
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_safe(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{_safe(title)}</h1>\n"
        f"{body}\n<footer>{footer}</footer>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def table_html(
    rows: Sequence[Listed],
    columns: Sequence[ColumnSpec] | None = None,
    *,
    total: int | None = None,
    directions: Mapping[str, Direction] | None = None,
    now: datetime | None = None,
) -> str:
    """Return the table of runs as a piece of HTML for a notebook, styled in place, without scripts.

    Arguments are those of `render_html`.
    """
    if not rows:
        return f"<p>{_safe(no_runs(_TERMINAL, filtered=False).partition(chr(10))[0])}</p>"
    table, starred = _runs_table(rows, columns, directions or {}, now or present(), None)
    said = [count_text(len(rows), total or len(rows)), "* best" if starred else ""]
    return _piece_table(table) + _note(_TERMINAL.dot.join(filter(None, said)))


def run_html(
    run: Run, before: Run | None = None, *, directions: Mapping[str, Direction] | None = None, now: datetime | None = None
) -> str:
    """Return all about a run as a piece of HTML for a notebook; values that `before` had otherwise are said."""
    facts = _Table((), tuple((_Cell(name, ("short", "quiet")), _Cell(text)) for name, text in _facts(run, now or present())))
    tables = [_piece_table(facts)]
    if run.params:
        tables.append(_piece_table(_params_table(run, before)))
    if run.metrics:
        tables.append(_piece_table(_metrics_table(run, before, directions or {})))
    return f"<p><strong><code>{_safe(run.id)}</code></strong></p>" + "".join(tables)


def diff_html(diff: RunDiff, *, directions: Mapping[str, Direction] | None = None, now: datetime | None = None) -> str:
    """Return what differs between runs as a piece of HTML for a notebook."""
    equal = f"{diff.equal_params} {'param' if diff.equal_params == 1 else 'params'}"
    if not diff:
        return f"<p>No difference in {equal}.</p>"
    return _piece_table(_diff_table(diff, directions or {}, now or present())) + _note(
        f"{equal} equal" if diff.equal_params else ""
    )


# -- lists ----------------------------------------------------------------------------------------------------------------


def _runs_table(
    rows: Sequence[Listed],
    columns: Sequence[ColumnSpec] | None,
    directions: Mapping[str, Direction],
    now: datetime,
    against: Run | None,
) -> tuple[_Table, list[str]]:
    """Return the table of runs, and the metrics in which a best value is marked."""
    runs = [row.run for row in rows]
    built = [_id_column(runs), _age_column(runs, now)]
    if columns is None:
        built += _usual_columns(rows, runs, against)
        metrics = sorted(ranked_metrics(runs, directions), key=lambda name: (direction(name, directions) is None, name))
        built += [_metric_cells(name, runs, directions) for name in metrics]
    else:
        metrics = [column.key for column in columns if column.kind == "metrics"]
        built += [_chosen_cells(column, runs, directions) for column in columns]
    starred = [name for name in metrics if best_of(name, runs, directions)]
    head, *lines = zip(*built, strict=True)
    return _Table(head, tuple(lines)), starred


def _id_column(runs: Sequence[Run | BrokenRun]) -> list[_Cell]:
    return [_Cell("run", ("short",)), *(_Cell(shown_id(run), ("short",), run.id) for run in runs)]


def _age_column(runs: Sequence[Run | BrokenRun], now: datetime) -> list[_Cell]:
    ages = [(now - run.started).total_seconds() for run in runs]
    return [_Cell("age", ("right",)), *(_Cell(age_text(age), ("right", "quiet"), repr(age)) for age in ages)]


def _usual_columns(rows: Sequence[Listed], runs: Sequence[Run | BrokenRun], against: Run | None) -> Iterator[list[_Cell]]:
    if any(map(status_text, runs)):
        yield [_Cell("status", ("short",)), *map(_status_cell, runs)]
    names = [run.name or "" if isinstance(run, Run) else "" for run in runs]
    if any(names):
        yield [_Cell("name"), *(_Cell(name, value=name) for name in names)]
    yield [_Cell(changed_heading(against)), *map(_changed_cell, changes_of(rows, _TERMINAL))]


def _status_cell(run: Run | BrokenRun) -> _Cell:
    text = status_text(run)
    if isinstance(run, BrokenRun) or run.status in (Status.FAILED, Status.CRASHED):
        return _Cell(text, ("short", "bad"), text)
    return _Cell(text, ("short", "busy"), text) if text else _Cell("", ("short",))


def _changed_cell(change: Changed) -> _Cell:
    text = _TERMINAL.dot.join(item_text(item, _TERMINAL, longest=_LONGEST_VALUE) for item in change.items) or change.sentence
    return _Cell(text or change.whole, ("text", "quiet") if change.quiet else ("text",), text)


def _metric_cells(name: str, runs: Sequence[Run | BrokenRun], directions: Mapping[str, Direction]) -> list[_Cell]:
    values = metric_values(name, runs)
    best = best_of(name, runs, directions)
    cells = [_Cell(metric_header(name, directions, _TERMINAL, _LONGEST_HEADING), ("right",))]
    for place, (value, text) in enumerate(zip(values, column_texts(values), strict=True)):
        number = text.rstrip()
        shown = f"{number}*{text[len(number) :]}" if place in best else f"{text} " if best else text
        classes = ("right", "best") if place in best else ("right", "quiet") if value is MISSING else ("right",)
        cells.append(_Cell(shown, classes, _sort_value(value)))
    return cells


def _chosen_cells(column: ColumnSpec, runs: Sequence[Run | BrokenRun], directions: Mapping[str, Direction]) -> list[_Cell]:
    if column.kind == "metrics":
        return _metric_cells(column.key, runs, directions)
    if column.name == "status":
        return [_Cell("status", ("short",)), *(_status_cell(run) for run in runs)]
    values = column.values(runs)
    if column.kind == "field":
        texts = ["" if value is MISSING else str(value) for value in values]
    else:
        texts = [_value(value) for value in values]
    right = all(_is_number(value) for value in values if value is not MISSING)
    kind = "right" if right else "text"
    cells = [
        _Cell(text, (kind, "quiet") if value is MISSING else (kind,), _sort_value(value))
        for text, value in zip(texts, values, strict=True)
    ]
    return [_Cell(column.heading, (kind,)), *cells]


def _sort_value(value: Any) -> str:
    if value is MISSING or value != value:
        return ""
    if isinstance(value, float) and abs(value) == float("inf"):
        return "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, str) else value_text(value)


# -- one run, and differences ---------------------------------------------------------------------------------------------


def _facts(run: Run, now: datetime) -> list[tuple[str, str]]:
    ago = f"{time_text(run.started)}, {age_text((now - run.started).total_seconds())} ago"
    facts = [
        ("name", run.name or ""),
        ("status", status_text(run) or "completed"),
        ("experiment", run.experiment),
        ("started", ago if run.duration is None else f"{ago}, took {duration_text(run.duration)}"),
        ("command", shlex.join(run.command)),
        ("code", code_text(run)),
        ("author", run.author),
        ("host", run.host),
        ("tags", ", ".join(run.tags)),
        ("note", run.note),
    ]
    return [(name, text) for name, text in facts if text]


def _params_table(run: Run, before: Run | None) -> _Table:
    now = flatten(run.params)
    was = flatten(before.params) if before is not None else now
    rows = [
        (_Cell(path, ("short",)), _Cell(_value(value)), _Cell(_was(value, was.get(path, MISSING)), ("text", "quiet")))
        for path, value in sorted(now.items())
    ]
    return _Table((_Cell("params"), _Cell(""), _Cell("")), tuple(rows))


def _was(value: Any, old: Any) -> str:
    return "added" if old is MISSING else "" if same(value, old) else f"was {_value(old)}"


def _metrics_table(run: Run, before: Run | None, directions: Mapping[str, Direction]) -> _Table:
    earlier: Mapping[str, Any] = before.metrics if before is not None else {}
    names = sorted(run.metrics, key=lambda name: (direction(name, directions) is None, name))
    rows = [
        (
            _Cell(metric_header(name, directions, _TERMINAL, _LONGEST_HEADING), ("short",)),
            _Cell(column_texts([run.metrics[name]])[0], ("right",)),
            _Cell(delta_text(earlier.get(name), run.metrics[name]), ("short", "quiet")),
        )
        for name in names
    ]
    return _Table((_Cell("metrics"), _Cell(""), _Cell("")), tuple(rows))


def _diff_table(diff: RunDiff, directions: Mapping[str, Direction], now: datetime) -> _Table:
    ages = [_Cell(age_text((now - run.started).total_seconds()), ("text", "quiet")) for run in diff.runs]
    rows = [
        [_Cell("age", ("quiet",)), *ages],
        *_section("params", [_param_row(change) for change in diff.params.values()]),
        *_section("metrics", [_metric_row(change, directions) for change in diff.metrics.values()]),
        *_section("seeds", [_value_row(path, values) for path, values in diff.seeds.items()]),
        *_section("environment", [_value_row(path, values) for path, values in diff.environment.items()]),
        *_section("packages", [_package_row(name, versions) for name, versions in diff.packages.items()]),
        *_section("code", [[_Cell(change.path), _Cell(_lines_text(change))] for change in diff.code]),
    ]
    head = [_Cell(""), *(_Cell(shown_id(run), ("short",)) for run in diff.runs), *([_Cell("")] if len(diff.runs) == 2 else [])]
    filled = [(*row, *[_Cell("")] * (len(head) - len(row)))[: len(head)] for row in rows]
    return _Table(tuple(head), tuple(filled))


def _section(name: str, rows: Sequence[Sequence[_Cell]]) -> list[Sequence[_Cell]]:
    return [[_Cell(name, ("head",))], *rows] if rows else []


def _param_row(change: ParamChange) -> list[_Cell]:
    if change.kind == "moved":
        places = [_Cell("" if place is MISSING else ordinal(place), ("text",)) for place in change.values]
        return [_Cell(change.path, ("short",)), *places, _Cell(change.kind, ("short", "quiet"))]
    return [*_value_row(change.path, change.values), _Cell(_change_text(change), ("short", "quiet"))]


def _value_row(path: str, values: Sequence[Any]) -> list[_Cell]:
    cells = [_Cell(_value(value), ("text", "quiet") if value is MISSING else ("text",)) for value in values]
    return [_Cell(path, ("short",)), *cells]


def _change_text(change: ParamChange) -> str:
    if change.kind in ("added", "removed"):
        return change.kind
    if change.kind == "type":
        return f" {_TERMINAL.arrow} ".join(type(value).__name__ for value in change.values)
    return "" if is_seed(change.path) else ratio_text(change.values[0], change.values[-1])


def _metric_row(change: MetricChange, directions: Mapping[str, Direction]) -> list[_Cell]:
    delta = delta_text(change.values[0], change.values[-1])
    word = "" if change.better is None or not delta else " better" if change.better else " worse"
    label = _Cell(metric_header(change.name, directions, _TERMINAL, _LONGEST_HEADING), ("short",))
    return [label, *(_Cell(text) for text in metric_texts(change.values)), _Cell(delta + word, ("short", "quiet"))]


def _package_row(name: str, versions: Sequence[str | None]) -> list[_Cell]:
    return [_Cell(name, ("short",)), *(_Cell(_TERMINAL.missing if one is None else one) for one in versions)]


def _lines_text(change: CodeChange) -> str:
    if change.added is None or change.removed is None:
        return "binary"
    return f"+{change.added} {_TERMINAL.minus}{change.removed}"


# -- text -----------------------------------------------------------------------------------------------------------------


def _value(value: Any) -> str:
    return _TERMINAL.missing if value is MISSING else _TERMINAL.cut(value_text(value), _LONGEST_VALUE)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _safe(text: str) -> str:
    """Return a text that a browser shows and does not obey, marks of direction and lone surrogates included."""
    return escape(safe(text))


def _page_table(table: _Table) -> str:
    head = "".join(f'<th{_class(cell)}><button type="button">{_safe(cell.text)}</button></th>' for cell in table.head)
    rows = "\n".join(
        f"<tr>{''.join(f'<td{_class(cell)}{_data(cell)}>{_safe(cell.text)}</td>' for cell in row)}</tr>" for row in table.rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"


def _class(cell: _Cell) -> str:
    return f' class="{" ".join(cell.classes)}"'


def _data(cell: _Cell) -> str:
    return f' data-value="{_safe(cell.value)}"' if cell.value else ""


def _piece_table(table: _Table) -> str:
    head = "".join(f"<th{_style(cell)}>{_safe(cell.text)}</th>" for cell in table.head)
    rows = "".join(f"<tr>{''.join(f'<td{_style(cell)}>{_safe(cell.text)}</td>' for cell in row)}</tr>" for row in table.rows)
    # The classes keep notebooks from reading what stands between two dollars as a formula.
    return (
        '<div style="overflow-x: auto"><table class="tex2jax_ignore mathjax_ignore">'
        f"{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{rows}</tbody></table></div>"
    )


def _style(cell: _Cell) -> str:
    return f' style="{"; ".join(_INLINE[name] for name in cell.classes)}"' if cell.text else ""


def _note(text: str) -> str:
    return f'<p style="opacity: .65">{_safe(text)}</p>' if text else ""
