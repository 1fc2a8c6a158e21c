from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from gitparams.changes import CodeChange, MetricChange, Naming, ParamChange, RunDiff
from gitparams.model import Run, RunId, Status
from gitparams.params import MISSING
from gitparams.screens.diff_html import render

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OLD = Run(RunId("kkmpptxz" * 2), Status.COMPLETED, NOW - timedelta(hours=3))
NEW = Run(RunId("wlqtrvkp" * 2), Status.COMPLETED, NOW - timedelta(minutes=40))
FAILED = Run(RunId("qpvuntsm" * 2), Status.FAILED, NOW - timedelta(minutes=2), exit_code=137)
ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "strong", "ul", "li", "div", "table", "thead", "tbody",
    "tr", "th", "td", "code", "details", "summary", "pre", "span", "footer",
}  # fmt: skip
VOID = {"meta"}


@dataclass(frozen=True)
class Verdict:
    failed: bool
    sentence: str


class Page(HTMLParser):
    """The elements of a page, its tables by row, and its other text; a tag that is not closed is an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
        elif data.strip() and "style" not in self.open:
            self.texts.append(data)


def page(diff: RunDiff, **words: Any) -> Page:
    found = Page(render(diff, directions={}, now=NOW, **words))
    assert found.open == []
    return found


TWO = RunDiff(
    (OLD, FAILED),
    {
        "amp": ParamChange("amp", "type", (1, True)),
        "warmup": ParamChange("warmup", "added", (MISSING, 500)),
    },
    {"loss": MetricChange("loss", (0.268, 0.421), 0.153, False)},
    (CodeChange("train.py", 1, 1, "@@ -1 +1 @@\n-lr = 0.1\n+lr = 0.01\n"), CodeChange("logo.png", None, None)),
    {"torch": ("2.3", "2.4")},
    equal_params=39,
    names=(Naming("HEAD~3", "run at 4f2c1a9, same tree"), Naming("main")),
)


def test_two_runs_are_one_table() -> None:
    found = page(TWO)
    assert found.rows == [
        ["", "kkmpptxz", "qpvuntsm", ""],
        ["", "HEAD~3", "main"],
        ["", "3h", "2m"],
        ["", "", "failed 137"],
        ["params"],
        ["amp", "1", "True", "int → bool"],
        ["warmup", "–", "500", "added"],
        ["metrics"],
        ["loss ↓", "0.268", "0.421", "+0.153 ▼ worse"],
        ["packages"],
        ["torch", "2.3", "2.4", ""],
        ["train.py", "+1", "−1"],
        ["logo.png", "binary"],
    ]
    assert found.texts == [
        "What changed: HEAD~3 (kkmpptxz) → main (qpvuntsm)",
        "What changed: HEAD~3 (kkmpptxz) → main (qpvuntsm)",
        "code: 2 files +1 −1",
        "train.py",
        "@@ -1 +1 @@",
        "-lr = 0.1",
        "+lr = 0.01",
        "39 params equal",
        "HEAD~3: run at 4f2c1a9, same tree",
        "2026-11-24 12:00:00 +0000",
    ]


def test_a_page_fetches_nothing_and_has_no_script() -> None:
    text = render(TWO, directions={}, now=NOW)
    found = page(TWO)
    assert found.elements <= ELEMENTS
    assert found.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class", "scope", "colspan", "open"}
    assert "default-src &#x27;none&#x27;" in text
    assert "prefers-color-scheme: dark" in text
    assert "http:" not in text
    assert "https:" not in text


def test_more_runs_are_a_column_each_and_those_alike_have_one() -> None:
    runs = (OLD, NEW, FAILED, replace(OLD, id=RunId("rstnvqoy" * 2)))
    diff = RunDiff(
        runs,
        {"batch": ParamChange("batch", "changed", (64, 128, 64, 64))},
        {"acc": MetricChange("acc", (0.91, 0.93, 0.99, 0.92))},
    )
    found = page(diff)
    assert found.rows == [
        ["", "kkmpptxz +1", "wlqtrvkp", "qpvuntsm"],
        ["", "3h", "40m", "2m"],
        ["", "", "", "failed 137"],
        ["params"],
        ["batch", "64", "128", "64"],
        ["metrics"],
        ["acc ↑", "0.915 ± 0.007", "0.930*", "0.990"],
    ]
    assert found.texts[2] == "+1 is 2 runs alike, mean ± std · * best"


def test_a_long_list_of_packages_is_folded_up() -> None:
    found = page(RunDiff((OLD, NEW), packages={f"p{place:03}": ("1", "2") for place in range(200)}))
    assert found.texts[2] == "packages: 200 differ"
    assert len(found.rows) == 201


def test_what_a_gate_found_stands_on_top_failures_first() -> None:
    gate = [Verdict(False, "a < 1: passed"), Verdict(True, "b < 2: failed")]
    assert page(TWO, title="<b>", gate=gate).texts[:5] == [
        "<b>",
        "<b>",
        "failed: 1 of 2 failed",
        "b < 2: failed",
        "a < 1: passed",
    ]


def test_no_difference_is_a_sentence() -> None:
    found = page(RunDiff((OLD, NEW), equal_params=41, ignored=1, names=(Naming("v1.0"), Naming("v2.0"))))
    assert found.rows == []
    assert found.texts[2:] == [
        "No difference in 41 params between v1.0 and v2.0.",
        "1 within the tolerance or ignored",
        "2026-11-24 12:00:00 +0000",
    ]


@pytest.mark.parametrize(
    "evil",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</td></table></style><iframe src=//evil.example>",
        "</pre></details><!--",
        "\x1b[2J\u202e\0\ud800",
    ],
)
def test_nothing_that_was_recorded_is_obeyed(evil: str) -> None:
    diff = RunDiff(
        (replace(OLD, id=RunId(evil)), NEW),
        {evil: ParamChange(evil, "changed", (evil, 1))},
        {evil: MetricChange(evil, (1, 2))},
        (CodeChange(evil, 1, 1, f"@@ {evil}\n+{evil}\n"),),
        {evil: (evil, None)},
        {evil: (evil, {evil: evil})},
        {evil: (1, evil)},
        names=(Naming(evil, evil), Naming(evil)),
    )
    found = page(diff, title=evil, gate=[Verdict(True, evil)])
    assert found.elements <= ELEMENTS
    assert "onerror" not in found.attributes
    assert all(line.isprintable() for line in render(diff, directions={}, now=NOW).split("\n"))
