"""Diff as a page: what differs between runs in one file of HTML; nothing is fetched, nothing that was recorded is obeyed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from gitparams.directions import Direction
from gitparams.screens.diff_rows import (
    SECTIONS,
    Grid,
    Judged,
    Row,
    age_of,
    better_word,
    column_heads,
    count,
    counted,
    differs,
    grid,
    has_gaps,
    head_text,
    how_found,
    ignored_text,
    line_counts,
    no_difference,
    patch_lines,
    sections,
    status_word,
    total_counts,
    verdict,
    word_of,
)
from gitparams.screens.html import STYLE
from gitparams.screens.log import time_text
from gitparams.screens.terminal import Terminal, safe

if TYPE_CHECKING:  # a RunDiff knows its own text and so these modules
    from gitparams.changes import CodeChange, RunDiff

_TERMINAL = Terminal(width=10**6)
_LONGEST = 200
_SHORT = 30  # longer lists of packages, facts and files are folded up
_FOLDED = ("packages", "environment")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_OWN_STYLE = """
h2, summary { margin: 1.25rem 0 .4rem; font-size: 1rem; font-weight: 600; } summary { cursor: pointer; }
thead td { border: 0; } .good { color: var(--good); } .odd { font-weight: 700; } ul { padding-left: 1.2rem; }
pre { margin: 0; padding: .6rem .75rem; overflow-x: auto; background: var(--over); font: .92em/1.4 ui-monospace, monospace; }
"""


def render(
    diff: RunDiff,
    *,
    directions: Mapping[str, Direction],
    now: datetime,
    title: str | None = None,
    gate: Sequence[Judged] | None = None,
) -> str:
    """Return what differs between the runs as one HTML file, light or dark as the reader has it, without scripts.

    Args:
        diff: what differs.
        directions: which way of a metric is better, as declared.
        now: what ages count from.
        title: what stands above it.
        gate: what was judged of the difference.
    """
    found = grid(diff)
    shown = _safe(title or _title(diff))
    body = [f"<h1>{shown}</h1>", *_gate(gate or ())]
    if differs(diff):
        body += [*_tables(diff, found, directions, now), *_code(diff.code)]
    else:
        body += [f"<p>{_safe(no_difference(diff))}</p>"]
    footer = "".join(f"<p>{_safe(text)}</p>" for text in _said(diff, found, now))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{shown}</title>\n<style>{STYLE}{_OWN_STYLE}</style>\n</head>\n<body>\n"
        f"{chr(10).join(body)}\n<footer>{footer}</footer>\n</body>\n</html>\n"
    )


def _title(diff: RunDiff) -> str:
    if len(diff.runs) > 2:
        return f"What differs between {len(diff.runs)} runs"
    return "What changed: " + " → ".join(_side(diff, place) for place in range(len(diff.runs)))


def _side(diff: RunDiff, place: int) -> str:
    word, head = word_of(diff, place), head_text(diff.runs[place])
    return f"{word} ({head})" if word else head


def _gate(gate: Sequence[Judged]) -> Iterator[str]:
    if not gate:
        return
    _, said = verdict(gate)
    yield f'<p class="{_grade(not any(judged.failed for judged in gate))}"><strong>{said}</strong></p>'
    items = (
        f'<li class="{_grade(not judged.failed)}">{_safe(judged.sentence)}</li>'
        for judged in sorted(gate, key=lambda judged: not judged.failed)
    )
    yield f"<ul>{''.join(items)}</ul>"


def _grade(good: bool) -> str:
    return "good" if good else "bad"


# -- tables ---------------------------------------------------------------------------------------------------------------


def _tables(diff: RunDiff, found: Grid, directions: Mapping[str, Direction], now: datetime) -> Iterator[str]:
    """Yield one table of what is short, and a table each, folded up, of what is long."""
    rows = sections(diff, found, _TERMINAL, directions, label=_LONGEST, value=_LONGEST)
    long = [section for section in _FOLDED if len(rows.get(section, ())) > _SHORT]
    short = [section for section in SECTIONS if section in rows and section not in long]
    heads = [*column_heads(diff, found), *([""] if len(diff.runs) == 2 else [])]  # of two runs a note stands at the end
    ids, wide = "".join(f"<th>{_safe(head)}</th>" for head in heads), len(heads) + 1
    if short:
        yield _table(
            f"<tr><th></th>{ids}</tr>{_below_ids(diff, found, now)}", [_body(name, rows[name], wide) for name in short]
        )
    for name in long:
        table = _table(f"<tr><th></th>{ids}</tr>", [f"<tbody>{_rows(rows[name])}</tbody>"])
        yield _folded(name, f"{len(rows[name])} differ", table)


def _table(head: str, bodies: Sequence[str]) -> str:
    return f'<div class="wide"><table>\n<thead>{head}</thead>\n{chr(10).join(bodies)}\n</table></div>'


def _body(name: str, rows: Sequence[Row], wide: int) -> str:
    return f'<tbody>\n<tr><th scope="rowgroup" colspan="{wide}">{name}</th></tr>\n{_rows(rows)}\n</tbody>'


def _rows(rows: Sequence[Row]) -> str:
    return "\n".join(map(_row, rows))


def _folded(name: str, summary: str, content: str) -> str:
    return f"<details><summary>{name}: {summary}</summary>\n{content}\n</details>"


def _below_ids(diff: RunDiff, found: Grid, now: datetime) -> str:
    """Return the words for the runs, their ages, and how they stand."""
    runs = [diff.runs[place] for place in found.firsts]
    words = [word_of(diff, place) for place in found.firsts]
    ages = [age_of(run, (now - run.started).total_seconds()) for run in runs]
    lines = [words, ages, [status_word(run) for run in runs]]
    return "".join(_quiet_line(texts) for texts in lines if any(texts))


def _quiet_line(texts: Sequence[str]) -> str:
    cells = "".join(f'<td class="quiet">{_safe(text)}</td>' for text in texts)
    return f"<tr><td></td>{cells}</tr>"


def _row(row: Row) -> str:
    cells = [f'<td class="short">{_safe(row.label)}</td>']
    cells += [f'<td class="{_class(row, place)}">{_text(row, place)}</td>' for place in range(len(row.texts))]
    if len(row.texts) == 2:
        mark = "" if row.better is None else f"{'▲' if row.better else '▼'} {better_word(row.better)}"
        grade = "quiet" if row.better is None else _grade(row.better)
        cells.append(f'<td class="short {grade}">{_safe(" ".join(filter(None, (row.note, mark))))}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _class(row: Row, place: int) -> str:
    if place in row.best:
        return "text best"
    return "text odd" if place == row.odd else "text quiet" if place in row.absent or place in row.again else "text"


def _text(row: Row, place: int) -> str:
    return _safe(row.texts[place]) + ("*" if place in row.best else "")


# -- code -----------------------------------------------------------------------------------------------------------------


def _code(code: Sequence[CodeChange]) -> Iterator[str]:
    if not code:
        return
    rows = "\n".join(map(_file, code))
    table = f'<div class="wide"><table>\n<tbody>\n{rows}\n</tbody>\n</table></div>'
    total = total_counts(code, _TERMINAL)
    yield _folded("code", total, table) if len(code) > _SHORT else f"<h2>code: {total}</h2>\n{table}"
    yield from (_patch(change) for change in code if change.patch)


def _file(change: CodeChange) -> str:
    pair = line_counts(change, _TERMINAL)
    path = f'<td class="text"><code>{_safe(change.path)}</code></td>'
    if pair is None:
        return f'<tr>{path}<td class="quiet" colspan="2">binary</td></tr>'
    return f'<tr>{path}<td class="right good">{pair[0]}</td><td class="right bad">{pair[1]}</td></tr>'


def _patch(change: CodeChange) -> str:
    lines = "\n".join(map(_patch_line, patch_lines(change)))
    return f"<details open><summary><code>{_safe(change.path)}</code></summary>\n<pre>{lines}</pre>\n</details>"


def _patch_line(line: str) -> str:
    kind = {"+": "good", "-": "bad", " ": ""}.get(line[:1], "quiet")
    return f'<span class="{kind}">{_safe(line)}</span>' if kind else _safe(line)


# -- below ----------------------------------------------------------------------------------------------------------------


def _said(diff: RunDiff, found: Grid, now: datetime) -> list[str]:
    if not differs(diff):
        return [*filter(None, [ignored_text(diff)]), *how_found(diff), time_text(now)]
    alike = next((places for places in found.members if len(places) > 1), ())
    said = [
        *counted(diff),
        f"+{len(alike) - 1} is {count(len(alike), 'run')} alike{', mean ± std' if diff.metrics else ''}" if alike else "",
        "(n) values, where not every run has one" if has_gaps(diff, found, diff.metrics) else "",
        "* best" if len(diff.runs) > 2 and diff.metrics else "",
    ]
    return [*filter(None, [" · ".join(filter(None, said))]), *how_found(diff), time_text(now)]


def _safe(text: str) -> str:
    """Return a text that a browser shows and does not obey, marks of direction and lone surrogates included."""
    return escape(safe(text))
