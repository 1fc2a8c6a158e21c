"""Diff in Markdown: what differs between runs as a comment on GitHub, in which nothing that was recorded is obeyed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gitparams.directions import Direction
from gitparams.model import is_run_id
from gitparams.screens.diff_rows import (
    Grid,
    Judged,
    Row,
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
from gitparams.screens.log import time_text
from gitparams.screens.numbers import age_text
from gitparams.screens.terminal import Terminal, safe

if TYPE_CHECKING:  # a RunDiff knows its own text and so these modules
    from gitparams.changes import RunDiff

_TERMINAL = Terminal(width=10**6)
_LONGEST_COMMENT = 65_000  # GitHub takes 65,536 characters
_LONGEST_TEXT, _LONGEST_NAME, _LONGEST_SENTENCE = 120, 60, 160
_MOST_COLUMNS, _MOST_PATCHES, _MOST_JUDGED, _MOST_HOW = 10, 10, 12, 4
# So that what is above cannot fill the comment, each letter being as long as it can get.
_SHORT = 5  # longer lists of code, packages and facts are folded up
_ORDER = ("metrics", "params", "seeds", "packages", "environment")
_FOLDED = ("packages", "environment")
_TITLE = "What changed"
_LIVE = re.compile(r"""[\\`*_{}\[\]<>()#|~^$"'&@]|:(?=\S)|(?<=[wW])\.""")
_APART = re.compile(r"\b(gh)(?=-\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Block:
    """A part of the comment of which rows may be left out.

    Attributes:
        head, tail: what stands above and below the rows.
        rows: lines, each with its end.
        noun: what a row is.
    """

    head: str
    rows: Sequence[str]
    tail: str
    noun: str

    def text(self, shown: int) -> str:
        """Return it with so many rows, and how many more there are."""
        hidden = len(self.rows) - shown
        more = f"\nand {count(hidden, f'more {self.noun}')}, for which this comment has no room\n" if hidden else ""
        return f"{self.head}{''.join(self.rows[:shown])}{self.tail.replace(_MORE, more)}"


_MORE = "\0"  # where a block says how many rows were left out; no text from outside has it


def render(
    diff: RunDiff,
    *,
    directions: Mapping[str, Direction],
    now: datetime,
    title: str | None = None,
    gate: Sequence[Judged] | None = None,
) -> str:
    """Return what differs as the text of a comment: short enough for GitHub, and nobody is mentioned by it.

    Args:
        diff: what differs.
        directions: which way of a metric is better, as declared.
        now: when it is written.
        title: what stands before the names of the runs.
        gate: what was judged of the difference.
    """
    found = grid(diff)
    heading = _plain(_TERMINAL.cut(safe(title or _TITLE), _LONGEST_TEXT))
    above = f"### {heading}: {_sides(diff, found)}\n{_gate_text(gate or ())}{_status_text(diff)}"
    footer = _footer(diff, found, now)
    if not differs(diff):
        return f"{above}\n{_sentence(no_difference(diff))}\n{footer}"
    blocks = [*_value_blocks(diff, found, directions), *_code_blocks(diff)]
    return f"{above}{_fitting(blocks, _LONGEST_COMMENT - len(above) - len(footer))}{footer}"


# -- above ----------------------------------------------------------------------------------------------------------------


def _sides(diff: RunDiff, found: Grid) -> str:
    shown = range(len(diff.runs)) if len(diff.runs) == 2 else found.firsts[:_MOST_COLUMNS]
    sides = [_side(diff, place) for place in shown]
    if len(diff.runs) == 2:
        return " → ".join(sides)
    return f"{count(len(diff.runs), 'run')}, {', '.join(sides)}" + (" …" if len(diff.runs) > len(sides) else "")


def _side(diff: RunDiff, place: int) -> str:
    word, head = _name(word_of(diff, place)), _name(head_text(diff.runs[place]))
    return f"{_code(word)} ({_code(head)})" if word else _code(head)


def _name(text: str) -> str:
    return _TERMINAL.cut(text, _LONGEST_NAME)


def _gate_text(gate: Sequence[Judged]) -> str:
    """Return the verdict, and the sentence of each thing that was judged, failures first."""
    if not gate:
        return ""
    mark, said = verdict(gate)
    in_order = sorted(gate, key=lambda judged: not judged.failed)
    lines = [f"- {'❌' if judged.failed else '✅'} {_sentence(judged.sentence)}\n" for judged in in_order[:_MOST_JUDGED]]
    more = len(gate) - _MOST_JUDGED
    return f"\n**{mark} {said}**\n\n{''.join(lines)}" + (f"- and {more} more\n" if more > 0 else "")


def _status_text(diff: RunDiff) -> str:
    said = [f"{_code(_name(head_text(run)))} {_plain(status_word(run))}" for run in diff.runs if status_word(run)]
    shown, more = said[:_MOST_COLUMNS], len(said) - _MOST_COLUMNS
    return f"\n{', '.join(shown)}{f' and {more} more' if more > 0 else ''}\n" if said else ""


# -- tables ---------------------------------------------------------------------------------------------------------------


def _value_blocks(diff: RunDiff, found: Grid, directions: Mapping[str, Direction]) -> list[_Block]:
    rows = sections(diff, found, _TERMINAL, directions, label=_LONGEST_TEXT, value=_LONGEST_TEXT)
    blocks = []
    for section in (section for section in _ORDER if section in rows):
        if len(diff.runs) == 2:
            head, lines = _two(section, rows[section])
        else:
            head, lines = _many(section, rows[section], diff, found)
        folded = section in _FOLDED and len(lines) > _SHORT
        blocks.append(_block(head, lines, section, f"{section}: {len(lines)} differ" if folded else ""))
    return blocks


def _two(section: str, rows: Sequence[Row]) -> tuple[str, list[str]]:
    if section == "metrics":
        head = _line(["metric", "before", "after", "delta", ""]) + _line(["---", "--:", "--:", "--:", "---"])
        return head, [_line([_label(row, section), *_texts(row), row.note, _better(row)]) for row in rows]
    head = _line([_NOUNS[section], "before", "after", "change"]) + _line(["---"] * 4)
    return head, [_line([_label(row, section), *_texts(row), _plain(row.note)]) for row in rows]


def _many(section: str, rows: Sequence[Row], diff: RunDiff, found: Grid) -> tuple[str, list[str]]:
    heads = [_code(_name(head)) for head in column_heads(diff, found)[:_MOST_COLUMNS]]
    side = "--:" if section == "metrics" else "---"
    head = _line([_NOUNS[section], *heads]) + _line(["---", *[side] * len(heads)])
    return head, [_line([_label(row, section), *_texts(row)[:_MOST_COLUMNS]]) for row in rows]


_NOUNS = {
    "metrics": "metric",
    "params": "param",
    "seeds": "seed",
    "packages": "package",
    "environment": "environment",
    "code": "file",
}


def _label(row: Row, section: str) -> str:
    name, arrow = row.label, ""
    if section == "metrics" and name.endswith((" ↑", " ↓")):
        name, arrow = name[:-2], name[-2:]
    return _code(name) + arrow


def _texts(row: Row) -> list[str]:
    """Return the values; weight for the best and the one that is unlike all others, and a star for the best."""
    texts = [text if place in row.absent else _code(text) for place, text in enumerate(row.texts)]
    loud = row.best | ({row.odd} if row.odd is not None else set())
    return [
        f"**{text}**{' *best*' if place in row.best else ''}" if place in loud else text for place, text in enumerate(texts)
    ]


def _better(row: Row) -> str:
    return "" if row.better is None else f"{'▲' if row.better else '▼'} {better_word(row.better)}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _block(head: str, lines: Sequence[str], section: str, summary: str) -> _Block:
    if not summary:
        return _Block(f"\n{head}", lines, _MORE, _NOUNS[section])
    return _Block(f"\n<details><summary>{summary}</summary>\n\n{head}", lines, f"{_MORE}\n</details>\n", _NOUNS[section])


def _code_blocks(diff: RunDiff) -> list[_Block]:
    if not diff.code:
        return []
    lines = []
    for change in diff.code:
        pair = line_counts(change, _TERMINAL)
        path = _code(_TERMINAL.cut_start(safe(change.path), _LONGEST_TEXT))
        lines.append(_line([path, *(pair if pair is not None else ("binary", ""))]))
    total = total_counts(diff.code, _TERMINAL)
    head = _line(["file", "added", "removed"]) + _line(["---", "--:", "--:"])
    files = _block(head, lines, "code", f"code: {total}" if len(lines) > _SHORT else "")
    return [files, *_patch_blocks(diff)]


def _patch_blocks(diff: RunDiff) -> list[_Block]:
    patched = [change for change in diff.code if change.patch]
    blocks = []
    for change in patched[:_MOST_PATCHES]:
        lines = patch_lines(change)
        fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall("`+", line)), default=0))
        path = _code_tag(_TERMINAL.cut_start(safe(change.path), _LONGEST_NAME))
        head = f"\n<details><summary>{path}</summary>\n\n{fence}diff\n"
        blocks.append(_Block(head, [f"{line}\n" for line in lines], f"{fence}\n{_MORE}\n</details>\n", "line"))
    if more := len(patched) - len(blocks):
        blocks.append(_Block(f"\nand the text of {count(more, 'more file')}, for which this comment has no room\n", (), "", ""))
    return blocks


def _fitting(blocks: Sequence[_Block], room: int) -> str:
    """Return the blocks with as many rows as there is room for; each has a share before the first take what is left."""
    room -= sum(len(block.text(0)) for block in blocks)
    shown = [0] * len(blocks)
    for share in (room // len(blocks), room):
        for place, block in enumerate(blocks):
            left = min(share, room)
            while shown[place] < len(block.rows) and len(block.rows[shown[place]]) <= left:
                size = len(block.rows[shown[place]])
                shown[place], left, room = shown[place] + 1, left - size, room - size
    return "".join(block.text(rows) for block, rows in zip(blocks, shown, strict=True))


# -- below ----------------------------------------------------------------------------------------------------------------


def _footer(diff: RunDiff, found: Grid, now: datetime) -> str:
    said = [*counted(diff), *_many_notes(diff, found)] if differs(diff) else [ignored_text(diff)]
    sentences = how_found(diff)
    more = len(sentences) - _MOST_HOW
    lines = [
        " · ".join(filter(None, said)),
        *map(_sentence, sentences[:_MOST_HOW]),
        f"and {more} more found likewise" if more > 0 else "",
        f"Written {time_text(now)}{_ages(diff, now)}",
    ]
    return f"\n<sub>{'<br>'.join(filter(None, lines))}</sub>\n"


def _ages(diff: RunDiff, now: datetime) -> str:
    if len(diff.runs) != 2 or not all(is_run_id(run.id) for run in diff.runs):
        return ""
    before, after = (age_text((now - run.started).total_seconds()) for run in diff.runs)
    return f", {before} and {after} after the runs began"


def _many_notes(diff: RunDiff, found: Grid) -> list[str]:
    hidden = len(found.members) - _MOST_COLUMNS if len(diff.runs) > 2 else 0
    alike = next((places for places in found.members if len(places) > 1), ())
    means = ", mean ± std" if diff.metrics else ""
    return [
        *([f"{count(hidden, 'more column')}, for which there is no room"] if hidden > 0 else []),
        *([f"+{len(alike) - 1} is {len(alike)} runs alike{means}"] if alike else []),
        *(["(n) values, where not every run has one"] if has_gaps(diff, found, diff.metrics) else []),
    ]


# -- text from outside ----------------------------------------------------------------------------------------------------


def _code(text: str) -> str:
    """Return a text from outside as code, in which GitHub looks for no names, numbers of issues, links and emoji."""
    text = safe(text)
    if not text or text != text.strip() or re.search(r"[`|\\<>&]", text):
        return _code_tag(text)
    return f"`{text}`"


def _code_tag(text: str) -> str:
    return f"<code>{_LIVE.sub(lambda found: f'&#{ord(found[0])};', safe(text))}</code>"


def _sentence(text: str) -> str:
    return _plain(_TERMINAL.cut(safe(text), _LONGEST_SENTENCE))


def _plain(text: str) -> str:
    """Return a text from outside as plain words: no marks, no links, and nobody is mentioned.

    >>> _plain("@ada, see #12")
    '&#64;<!-- -->ada, see &#35;<!-- -->12'
    """
    return _APART.sub(r"\1<!-- -->", _LIVE.sub(_inert, safe(text)))


def _inert(found: re.Match[str]) -> str:
    """Return a letter as a number, and such that GitHub, which looks for names once more in the finished page, finds none."""
    return f"&#{ord(found[0])};{'<!-- -->' if found[0] in '@#:' else ''}"
