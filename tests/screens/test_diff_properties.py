from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gitparams.changes import CodeChange, MetricChange, Naming, ParamChange, RunDiff
from gitparams.model import Run, RunId, Status
from gitparams.params import MISSING, Origin
from gitparams.screens import diff, diff_html, diff_markdown
from gitparams.screens.terminal import Terminal, cell_width

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
STYLE = re.compile(r"\x1b\[[0-9;]*m")
TEXT = st.sampled_from(
    ["\x1b[2J", "a\nb", "\u202eabc", "学" * 50, "x" * 300, "e\u0301" * 30, "\ud800", "", " ", "<"]
) | st.text(max_size=12)
VALUES = st.one_of(
    st.just(MISSING), st.none(), st.booleans(), st.integers(-9, 9), st.floats(), TEXT, st.lists(TEXT, max_size=2)
)
NUMBERS = st.one_of(st.just(MISSING), st.integers(), st.floats(), st.booleans())
IDS = st.text("klmnopqrstuvwxyz", min_size=16, max_size=16) | TEXT
RUNS = st.builds(Run, st.builds(RunId, IDS), st.sampled_from(Status), st.just(NOW))
CODE = st.builds(CodeChange, TEXT, st.none() | st.integers(0, 999), st.none() | st.integers(0, 999))
TERMINALS = st.builds(Terminal, st.integers(40, 160), st.booleans(), st.booleans())


@st.composite
def differences(draw: st.DrawFn) -> RunDiff:
    runs = tuple(draw(st.lists(RUNS, min_size=2, max_size=9)))

    def rows(values: st.SearchStrategy[Any]) -> Any:
        return draw(st.dictionaries(TEXT, st.tuples(*[values] * len(runs)), max_size=4))

    kinds = ["type", "changed", "added", "removed"]
    return RunDiff(
        runs,
        {path: ParamChange(path, draw(st.sampled_from(kinds)), values) for path, values in rows(VALUES).items()},
        {name: MetricChange(name, values, None, draw(st.none() | st.booleans())) for name, values in rows(NUMBERS).items()},
        tuple(draw(st.lists(CODE, max_size=5))),
        rows(st.none() | TEXT),
        rows(VALUES),
        rows(VALUES),
        draw(st.integers(0, 3)),
        draw(st.integers(0, 3)),
        draw(st.sampled_from([(), tuple({"": Origin("file", "a" * 90)} for _ in runs)])),
        tuple(draw(st.lists(st.builds(Naming, TEXT, TEXT), min_size=len(runs), max_size=len(runs)) | st.just([]))),
    )


@settings(deadline=None, max_examples=200)
@given(differences(), TERMINALS, st.booleans())
def test_no_line_of_a_difference_is_wider_than_the_terminal(found: RunDiff, terminal: Terminal, full: bool) -> None:
    text = diff.render(found, terminal=terminal, directions={}, now=NOW, full=full)
    plain = STYLE.sub("", text) if terminal.colour else text
    assert all(cell_width(line) <= terminal.width and line == line.rstrip() for line in plain.split("\n"))
    assert all(line.isprintable() and (terminal.utf8 or line.isascii()) for line in plain.split("\n"))


@settings(deadline=None, max_examples=60)
@given(differences())
def test_pages_and_comments_of_a_difference_print(found: RunDiff) -> None:
    text = diff_html.render(found, directions={}, now=NOW)
    comment = diff_markdown.render(found, directions={}, now=NOW)
    assert all(line.isprintable() for line in (text + comment).split("\n"))
    assert len(comment) < 65_536


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=200), TERMINALS)
def test_no_line_of_a_patch_is_wider_than_the_terminal(patch: str, terminal: Terminal) -> None:
    runs = (Run(RunId("k" * 16), Status.COMPLETED, NOW), Run(RunId("l" * 16), Status.COMPLETED, NOW))
    found = RunDiff(runs, code=(CodeChange("a.py", 1, 1, f"@@\n{patch * 3}"),))
    text = STYLE.sub("", diff.render(found, terminal=terminal, directions={}, now=NOW))
    assert all(cell_width(line) <= terminal.width and line.isprintable() for line in text.split("\n"))
