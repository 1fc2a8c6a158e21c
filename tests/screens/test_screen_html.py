from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitparams.changes import CodeChange, compare
from gitparams.directions import Direction
from gitparams.index import BrokenRun, Listed
from gitparams.model import CodeState, Oid, Run, RunId, Status
from gitparams.params import nested
from gitparams.screens.columns import chosen
from gitparams.screens.html import diff_html, render_html, run_html, table_html

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</td></table><iframe src=//evil.example>",
    "</style></title></script><script>alert(1)</script>",
    "<!--",
    "&lt;b&gt;",
    "javascript:alert(1)",
    "\x1b[2J\u202egnp.exe",
    "\ud800",
    "$\\alert$",
    "\0",
]


def run(identity: str, minutes: int, params: dict[str, Any], status: Status = Status.COMPLETED, **fields: Any) -> Run:
    fields = {"experiment": "digits", **fields}
    return Run(RunId(identity * 2), status, NOW - timedelta(minutes=minutes), params=nested(params), **fields)


FIRST = run("rstnvqoy", 1440, {"optim": {"lr": 0.1}, "seed": 1}, metrics={"acc": 0.91, "loss": 0.27}, name="baseline")
BEST = run("wlqtrvkp", 40, {"optim": {"lr": 0.01}, "seed": 1}, metrics={"acc": 0.934, "loss": float("nan")})
LIVE = run("qpvuntsm", 2, {"optim": {"lr": 0.01}, "amp": True, "seed": 1}, Status.RUNNING, metrics={"acc": 0.871})
DEAD = BrokenRun(RunId("kkmpptxzkkmpptxz"), NOW - timedelta(days=2), "Ada <a@b>", "run.json is missing.")
ROWS = [Listed(LIVE, BEST), Listed(BEST, FIRST), Listed(FIRST), Listed(DEAD)]


class Page(HTMLParser):
    """The elements of a page, and the text of its table by row."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.scripts: list[str] = []
        self.rows: list[list[str]] = []
        self.values: list[list[str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.open += [tag] if tag != "meta" else []
        if tag == "tr":
            self.rows.append([])
            self.values.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.values[-1].append(dict(attrs).get("data-value") or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data
        if "script" in self.open:
            self.scripts.append(data)


def page(rows: list[Listed] = ROWS, words: list[str] | None = None, **fields: Any) -> str:
    columns = None if words is None else chosen(rows, words)
    return render_html(rows, columns, **{"directions": {}, "now": NOW, **fields})


# -- the page -------------------------------------------------------------------------------------------------------------


def test_the_table_has_what_changed_and_every_metric() -> None:
    assert Page(page()).rows == [
        ["run", "age", "status", "name", "changed", "acc ↑", "loss ↓"],
        ["qpvuntsm", "2m", "running", "", "+amp True", "0.871 ", "   –"],
        ["wlqtrvkp", "40m", "", "", "optim.lr 0.1 → 0.01", "0.934*", " nan"],
        ["rstnvqoy", "1d", "", "baseline", "first run of digits", "0.910 ", "0.27"],
        ["kkmpptxz", "2d", "broken", "", "run.json is missing.", "    – ", "   –"],
    ]


def test_the_chosen_columns_stand_beside_id_and_age() -> None:
    assert Page(page(words=["optim.lr", "amp", "acc", "status", "host"])).rows == [
        ["run", "age", "optim.lr", "amp", "acc ↑", "status", "host"],
        ["qpvuntsm", "2m", "0.01", "True", "0.871 ", "running", ""],
        ["wlqtrvkp", "40m", "0.01", "–", "0.934*", "", ""],
        ["rstnvqoy", "1d", "0.1", "–", "0.910 ", "", ""],
        ["kkmpptxz", "2d", "–", "–", "    – ", "broken", ""],
    ]


def test_rows_are_sorted_by_values_and_not_by_what_is_shown() -> None:
    rows = [Listed(replace(BEST, metrics={"acc": value}), FIRST) for value in (12345, float("-inf"), float("nan"))]
    assert [row[-1] for row in Page(page(rows)).values] == ["", "12345", "-Infinity", ""]


def test_below_the_table_is_what_sums_it_up() -> None:
    assert re.findall("<p>(.*?)</p>", page(total=148)) == [
        "4 of 148 runs · * best",
        "acc ↑ by its name; metrics: in gitparams.yaml decides",
    ]
    assert re.findall("<p>(.*?)</p>", page(directions={"acc": Direction.MIN})) == ["4 runs · * best"]


def test_against_one_run_the_heading_says_so() -> None:
    assert Page(page([Listed(LIVE, FIRST)], against=FIRST)).rows[0] == [
        "run",
        "age",
        "status",
        "against rstnvqoy",
        "acc ↑",
    ]


def test_without_runs_the_page_says_how_to_begin() -> None:
    assert re.findall("<p>(.*?)</p>", page([])) == ["No runs yet.", "hint: gitparams run -- python train.py"]


def test_the_page_asks_for_nothing_and_its_policy_allows_only_its_own_script() -> None:
    text = page()
    (script,) = Page(text).scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src &#x27;none&#x27;; style-src &#x27;unsafe-inline&#x27;; script-src &#x27;sha256-{digest}&#x27;;" in text
    assert re.findall(r"https?:|//\w|\bsrc=|\bhref=|@import|url\(", text) == []


def test_the_page_is_light_or_dark_as_its_reader_has_it() -> None:
    assert "color-scheme: light dark" in page()
    assert "@media (prefers-color-scheme: dark)" in page()


def test_everything_that_is_opened_is_closed() -> None:
    texts = [page(), page([]), table_html(ROWS), run_html(BEST, FIRST), diff_html(compare([FIRST, BEST]))]
    assert [Page(text).open for text in texts] == [[]] * 5


# -- pieces for notebooks -------------------------------------------------------------------------------------------------


def test_a_piece_of_a_notebook_has_its_style_in_place_and_no_script() -> None:
    found = Page(table_html(ROWS, now=NOW))
    assert (found.elements, found.attributes) == (
        {"div", "table", "thead", "tbody", "tr", "th", "td", "p"},
        {"style", "class"},
    )
    assert found.rows == Page(page()).rows


def test_a_notebook_without_runs_says_so() -> None:
    assert table_html([]) == "<p>No runs yet.</p>"


def test_a_run_has_its_facts_params_and_metrics() -> None:
    shown = replace(
        BEST,
        command=("python", "train.py", "a b"),
        code=CodeState(Oid("4f2c1ab" * 5 + "abcde"), "main", dirty=True),
        finished=NOW,
        tags=("x", "y"),
    )
    text = run_html(shown, FIRST, now=NOW)
    assert text.startswith("<p><strong><code>wlqtrvkpwlqtrvkp</code></strong></p>")
    assert Page(text).rows == [
        ["status", "completed"],
        ["experiment", "digits"],
        ["started", "2026-11-23 11:20:00 +0000, 40m ago, took 40m"],
        ["command", "python train.py 'a b'"],
        ["code", "4f2c1ab4f2 on main, with uncommitted changes"],
        ["tags", "x, y"],
        ["params", "", ""],
        ["optim.lr", "0.01", "was 0.1"],
        ["seed", "1", ""],
        ["metrics", "", ""],
        ["acc ↑", "0.934", "+0.024"],
        ["loss ↓", "nan", ""],
    ]


def test_a_difference_of_two_runs_says_how_much() -> None:
    found = compare(
        [FIRST, LIVE], code=[CodeChange("train.py", 12, 3), CodeChange("x.bin", None, None)], packages=[["a==1"], ["a==2"]]
    )
    assert Page(diff_html(found, now=NOW)).rows == [
        ["", "rstnvqoy", "qpvuntsm", ""],
        ["age", "1d", "2m", ""],
        ["params", "", "", ""],
        ["amp", "–", "True", "added"],
        ["optim.lr", "0.1", "0.01", "÷10"],
        ["metrics", "", "", ""],
        ["acc ↑", "0.910", "0.871", "−0.039 worse"],
        ["loss ↓", "0.27", "–", ""],
        ["packages", "", "", ""],
        ["a", "1", "2", ""],
        ["code", "", "", ""],
        ["train.py", "+12 −3", "", ""],
        ["x.bin", "binary", "", ""],
    ]
    assert diff_html(found, now=NOW).endswith('<p style="opacity: .65">1 param equal</p>')


def test_a_difference_of_three_runs_has_a_column_each() -> None:
    other = run("llllkkkk", 5, {"optim": {"lr": 0.01}, "seed": True})
    assert Page(diff_html(compare([FIRST, BEST, other]), now=NOW)).rows[:5] == [
        ["", "rstnvqoy", "wlqtrvkp", "llllkkkk"],
        ["age", "1d", "40m", "5m"],
        ["params", "", "", ""],
        ["optim.lr", "0.1", "0.01", "0.01"],
        ["seed", "1", "1", "True"],
    ]


def test_a_changed_type_is_named() -> None:
    found = compare([FIRST, run("llllkkkk", 5, {"optim": {"lr": 0.1}, "seed": True}, metrics=FIRST.metrics)])
    assert Page(diff_html(found, now=NOW)).rows[-1] == ["seed", "1", "True", "int → bool"]


def test_no_difference_is_one_sentence() -> None:
    assert diff_html(compare([FIRST, FIRST])) == "<p>No difference in 2 params.</p>"


# -- attacks --------------------------------------------------------------------------------------------------------------


def evil(text: str) -> Run:
    return run(
        "kkkkkkkk",
        1,
        {text: text, "list": [text, {text: text}]},
        metrics={text: 0.5},
        name=text,
        note=text,
        tags=(text,),
        command=(text,),
        author=text,
        host=text,
        experiment=text,
        code=CodeState(Oid(text), text),
    )


HARMLESS = {"html", "head", "meta", "title", "style", "body", "h1", "div", "table", "thead", "tbody", "tr", "th", "td"} | {
    "button", "footer", "p", "script", "strong", "code",
}  # fmt: skip
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "style", "type", "data-value"}


@pytest.mark.parametrize("text", EVIL)
@pytest.mark.parametrize("words", [None, ["all", "name", "note", "tags", "command", "author", "host", "experiment", "branch"]])
def test_nothing_that_was_recorded_is_obeyed_by_a_page(text: str, words: list[str] | None) -> None:
    rows = [Listed(evil(text), FIRST), Listed(BrokenRun(RunId(text), NOW, text, text))]
    found = Page(page(rows, words, title=text))
    assert found.elements <= HARMLESS
    assert found.attributes <= ATTRIBUTES
    assert found.scripts == Page(page()).scripts


@pytest.mark.parametrize("text", EVIL)
def test_nothing_that_was_recorded_is_obeyed_by_a_notebook(text: str) -> None:
    one, two = evil(text), evil(text + "x")
    found = compare([one, two], code=[CodeChange(text, 1, 1)], packages=[[f"{text}==1"], [f"{text}==2"]])
    pieces = [
        Page(table_html([Listed(one, two)], now=NOW)),
        Page(run_html(one, two, now=NOW)),
        Page(diff_html(found, now=NOW)),
    ]
    assert [piece.elements <= HARMLESS - {"script", "style"} for piece in pieces] == [True, True, True]
    assert [piece.attributes for piece in pieces] == [{"style", "class"}] * 3


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(EVIL) | st.text(max_size=20), st.sampled_from(EVIL) | st.text(max_size=20))
def test_whatever_is_recorded_stays_text_that_can_be_written(one: str, two: str) -> None:
    text = page([Listed(evil(one), evil(two)), Listed(evil(two))])
    found = Page(text)
    assert found.elements <= HARMLESS
    assert [len(row) for row in found.rows] == [len(found.rows[0])] * 3
    assert text.encode("utf-8").decode() == text
    assert all(letter.isprintable() or letter == "\n" for letter in text)
