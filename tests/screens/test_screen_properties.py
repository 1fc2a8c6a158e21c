from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gitparams.changes import CodeChange, compare
from gitparams.index import BrokenRun, Listed
from gitparams.model import CodeState, Details, Oid, Run, RunId, Status
from gitparams.params import Origin, Overridden, flatten, nested
from gitparams.screens import diff, log, show
from gitparams.screens.documents import broken_document, dumps, run_document
from gitparams.screens.numbers import column_texts, value_text
from gitparams.screens.terminal import Terminal, cell_width, safe
from gitparams.values import same

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOSTILE = [
    "\x1b[2J",
    "a\nb",
    "\u202eabc",
    "学" * 50,
    "x" * 300,
    "e\u0301" * 30,
    "\ud800",
    "\x9b31m",
    "",
    " ",
    "–",
    "👩‍👩‍👧",
    "0.91*",
    "\r",
    "\t",
]
TEXT = st.sampled_from(HOSTILE) | st.text(max_size=30)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.just(10**400))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
METRICS = st.dictionaries(
    st.sampled_from(["acc", "loss", "time"]) | TEXT, st.integers() | st.floats() | st.booleans() | st.just(10**400), max_size=6
)
TERMINALS = st.builds(Terminal, st.integers(40, 160), st.booleans(), st.booleans())
STYLE = re.compile(r"\x1b\[[0-9;]*m")


@st.composite
def runs(draw: st.DrawFn) -> Run:
    started = NOW - timedelta(seconds=draw(st.floats(-1e3, 1e9)))
    return Run(
        id=RunId(draw(st.text("klmnopqrstuvwxyz", min_size=16, max_size=16))),
        status=draw(st.sampled_from(Status)),
        started=started,
        finished=draw(st.none() | st.just(started + timedelta(seconds=draw(st.floats(0, 1e7))))),
        name=draw(st.none() | TEXT),
        experiment=draw(TEXT),
        params=nested(draw(st.dictionaries(TEXT, VALUES, max_size=5))),
        metrics=draw(METRICS),
        command=tuple(draw(st.lists(TEXT, max_size=3))),
        cwd=draw(TEXT),
        code=CodeState(
            draw(st.none() | st.just(Oid("4f" * 20))), draw(st.none() | TEXT), dirty=draw(st.booleans()), note=draw(TEXT)
        ),
        author=draw(TEXT),
        host=draw(TEXT),
        exit_code=draw(st.none() | st.integers(0, 255)),
        tags=tuple(draw(st.lists(TEXT, max_size=2))),
        note=draw(TEXT),
        group=draw(st.sampled_from([False, False, True])),
    )


@st.composite
def listed(draw: st.DrawFn) -> Listed:
    if draw(st.integers(0, 9)) == 0:
        return Listed(BrokenRun(RunId("?4f2c1ab4f2c1ab4"), NOW, draw(TEXT), draw(TEXT)))
    run = draw(runs())
    return Listed(run, draw(st.none() | st.just(run) | runs()))


def assert_shown(text: str, terminal: Terminal) -> None:
    plain = STYLE.sub("", text) if terminal.colour else text
    assert all(cell_width(line) <= terminal.width and line == line.rstrip() for line in plain.split("\n"))
    assert all(line.isprintable() and (terminal.utf8 or line.isascii()) for line in plain.split("\n"))


@settings(deadline=None, max_examples=60)
@given(st.lists(listed(), max_size=5), TERMINALS)
def test_a_list_is_never_wider_than_the_terminal_and_its_ids_are_whole(rows: list[Listed], terminal: Terminal) -> None:
    table = log.render(rows, total=9, terminal=terminal, directions={}, now=NOW)
    lines = log.render_oneline(rows, terminal=terminal, directions={})
    assert_shown(table, terminal)
    assert_shown(lines, terminal)
    assert_shown(log.render_patch(rows, terminal=terminal, directions={}, now=NOW), terminal)
    assert all(row.run.id[:8] in table and row.run.id[:8] in lines for row in rows)


@settings(deadline=None, max_examples=60)
@given(st.lists(runs(), min_size=2, max_size=7), TERMINALS, st.lists(st.lists(TEXT, max_size=3), min_size=7, max_size=7), TEXT)
def test_a_diff_is_never_wider_than_the_terminal(
    some: list[Run], terminal: Terminal, packages: list[list[str]], path: str
) -> None:
    found = compare(some, code=[CodeChange(path, 1, 0), CodeChange(path, None, None)], packages=packages[: len(some)])
    text = diff.render(found, terminal=terminal, directions={}, now=NOW)
    assert_shown(text, terminal)
    assert some[0].id[:8] in text
    json.dumps(found.to_json(), allow_nan=False)


@settings(deadline=None, max_examples=60)
@given(runs(), st.none() | runs(), TERMINALS, st.sets(st.sampled_from(show.SECTIONS)), TEXT, st.binary(max_size=100))
def test_a_run_is_never_wider_than_the_terminal(
    run: Run, before: Run | None, terminal: Terminal, sections: set[str], text: str, output: bytes
) -> None:
    origins = {path: Origin(text, text, (Overridden(text, "file", text),)) for path in flatten(run.params)}
    details = Details(origins=origins, packages=(text,), output=output)
    shown = show.render(run, details, before=before, terminal=terminal, directions={}, now=NOW, sections=sections)
    assert_shown(shown, terminal)
    assert sections or run.id in shown


@settings(deadline=None)
@given(listed())
def test_json_is_strict_and_prints(row: Listed) -> None:
    run = row.run
    document = broken_document(run) if isinstance(run, BrokenRun) else run_document(run, None, Details())
    text = dumps(document)
    assert json.loads(text, parse_constant=str) == json.loads(json.dumps(document))
    assert text.replace("\n", "").isprintable()


@settings(deadline=None)
@given(st.lists(listed(), max_size=3))
def test_csv_and_markdown_have_a_line_a_run(rows: list[Listed]) -> None:
    assert len(log.to_csv(rows).split("\n")) == len(rows) + 2
    assert len(log.to_markdown(rows, directions={}, now=NOW).split("\n")) == len(rows) + 3


@settings(max_examples=500)
@given(VALUES, VALUES)
def test_two_values_have_one_text_only_when_they_are_the_same(one: Any, two: Any) -> None:
    assert value_text(one) != value_text(two) or same(one, two)


@given(st.lists(st.floats() | st.integers(), max_size=8))
def test_a_column_has_one_width_and_keeps_values_apart(values: list[Any]) -> None:
    texts = column_texts(values)
    assert len({len(text) for text in texts}) <= 1
    ordinary = {
        value: text.strip()
        for value, text in zip(values, texts, strict=True)
        if isinstance(value, float) and 1e-3 < value < 1e6
    }
    assert len(set(ordinary.values())) == len(ordinary)


@given(TEXT)
def test_safe_text_prints(text: str) -> None:
    assert safe(text).isprintable()
    assert not any(unicodedata.category(letter).startswith("C") for letter in safe(text))
