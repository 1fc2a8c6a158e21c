from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitparams.changes import CodeChange, MetricChange, Naming, ParamChange, RunDiff
from gitparams.model import Run, RunId, Status
from gitparams.params import MISSING
from gitparams.screens.diff_markdown import render

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OLD = Run(RunId("kkmpptxz" * 2), Status.COMPLETED, NOW - timedelta(hours=3))
NEW = Run(RunId("wlqtrvkp" * 2), Status.COMPLETED, NOW - timedelta(minutes=40))
FAILED = Run(RunId("qpvuntsm" * 2), Status.FAILED, NOW - timedelta(minutes=2), exit_code=137)
MOST = 65_536


@dataclass(frozen=True)
class Verdict:
    failed: bool
    sentence: str


def markdown(diff: RunDiff, **words: Any) -> str:
    return "\n" + render(diff, directions={}, now=NOW, **words)


def of_param(value: Any, path: str = "x") -> RunDiff:
    return RunDiff((OLD, NEW), {path: ParamChange(path, "changed", (value, 1))})


TWO = RunDiff(
    (OLD, NEW),
    {
        "amp": ParamChange("amp", "type", (1, True)),
        "optim.lr": ParamChange("optim.lr", "changed", (0.1, 0.01)),
        "warmup": ParamChange("warmup", "added", (MISSING, 500)),
    },
    {
        "acc": MetricChange("acc", (0.912, 0.934), 0.022, True),
        "loss": MetricChange("loss", (0.268, 0.421), 0.153, False),
        "time": MetricChange("time", (MISSING, 20)),
    },
    (CodeChange("train.py", 12, 3), CodeChange("logo.png", None, None)),
    {"torch": ("2.3", "2.4")},
    {"gpu": ("A100", "H100")},
    {"numpy": (1, 2)},
    equal_params=39,
    ignored=3,
    names=(Naming("HEAD~3", "run at 4f2c1a9, same tree"), Naming("main")),
)


def test_a_comment_has_metrics_first_then_params_then_the_rest() -> None:
    assert (
        markdown(TWO)
        == """
### What changed: `HEAD~3` (`kkmpptxz`) → `main` (`wlqtrvkp`)

| metric | before | after | delta |  |
| --- | --: | --: | --: | --- |
| `acc` ↑ | `0.912` | `0.934` | +0.022 | ▲ better |
| `loss` ↓ | `0.268` | `0.421` | +0.153 | ▼ worse |
| `time` | – | `20` |  |  |

| param | before | after | change |
| --- | --- | --- | --- |
| `amp` | `1` | `True` | int → bool |
| `optim.lr` | `0.1` | `0.01` | ÷10 |
| `warmup` | – | `500` | added |

| seed | before | after | change |
| --- | --- | --- | --- |
| `numpy` | `1` | `2` |  |

| package | before | after | change |
| --- | --- | --- | --- |
| `torch` | `2.3` | `2.4` |  |

| environment | before | after | change |
| --- | --- | --- | --- |
| `gpu` | `A100` | `H100` |  |

| file | added | removed |
| --- | --: | --: |
| `train.py` | +12 | −3 |
| `logo.png` | binary |  |

<sub>39 params equal · 3 within the tolerance or ignored<br>HEAD&#126;3: run at 4f2c1a9, same tree<br>\
Written 2026-11-24 12:00:00 +0000, 3h and 40m after the runs began</sub>
"""
    )


def test_what_a_gate_found_stands_on_top_failures_first() -> None:
    gate = [Verdict(False, "metrics.loss.delta < 1: passed"), Verdict(True, "metrics.acc.delta < -0.01: failed, @ada")]
    diff = RunDiff((OLD, FAILED), {}, {"acc": MetricChange("acc", (0.9, 0.8), -0.1, False)})
    assert (
        markdown(diff, title="Params of #12", gate=gate)
        == """
### Params of &#35;<!-- -->12: `kkmpptxz` → `qpvuntsm`

**❌ failed: 1 of 2 failed**

- ❌ metrics.acc.delta &#60; -0.01: failed, &#64;<!-- -->ada
- ✅ metrics.loss.delta &#60; 1: passed

`qpvuntsm` failed 137

| metric | before | after | delta |  |
| --- | --: | --: | --: | --- |
| `acc` ↑ | `0.9` | `0.8` | −0.1 | ▼ worse |

<sub>Written 2026-11-24 12:00:00 +0000, 3h and 2m after the runs began</sub>
"""
    )


def test_a_gate_that_all_passed_says_so() -> None:
    assert "\n**✅ passed: 0 of 1 failed**\n" in markdown(TWO, gate=[Verdict(False, "fine")])


def test_no_difference_is_a_sentence() -> None:
    diff = RunDiff((OLD, NEW), equal_params=41, ignored=1, names=(Naming("v1.0"), Naming("v2.0")))
    assert (
        markdown(diff)
        == """
### What changed: `v1.0` (`kkmpptxz`) → `v2.0` (`wlqtrvkp`)

No difference in 41 params between v1.0 and v2.0.

<sub>1 within the tolerance or ignored<br>Written 2026-11-24 12:00:00 +0000, 3h and 40m after the runs began</sub>
"""
    )


def test_params_that_no_run_has_used_have_no_age() -> None:
    text = markdown(replace(of_param(2), runs=(OLD, Run(RunId("worktree"), Status.OPEN, NOW))))
    assert text.startswith("\n### What changed: `kkmpptxz` → `worktree`\n\n| param |")
    assert text.endswith("\n<sub>Written 2026-11-24 12:00:00 +0000</sub>\n")


def test_long_lists_and_the_text_of_code_are_folded_up() -> None:
    patch = "diff --git a/a.py b/a.py\n@@ -1 +1 @@\n-```\n+</details>\n"
    diff = RunDiff(
        (OLD, NEW), packages={f"p{place}": ("1", "2") for place in range(6)}, code=(CodeChange("a.py", 1, 1, patch),)
    )
    text = markdown(diff)
    assert "\n<details><summary>packages: 6 differ</summary>\n\n| package |" in text
    assert (
        "\n<details><summary><code>a.py</code></summary>\n\n"
        "````diff\n@@ -1 +1 @@\n-```\n+</details>\n````\n\n</details>\n" in text
    )


def test_more_runs_are_a_column_each_with_the_best_and_the_odd_one_out_in_weight() -> None:
    runs = (OLD, NEW, FAILED, replace(OLD, id=RunId("rstnvqoy" * 2)))
    diff = RunDiff(
        runs,
        {"batch": ParamChange("batch", "changed", (64, 128, 64, 64))},
        {"acc": MetricChange("acc", (0.91, 0.93, 0.99, 0.92))},
        equal_params=1,
    )
    assert (
        markdown(diff)
        == """
### What changed: 4 runs, `kkmpptxz`, `wlqtrvkp`, `qpvuntsm` …

`qpvuntsm` failed 137

| metric | `kkmpptxz +1` | `wlqtrvkp` | `qpvuntsm` |
| --- | --: | --: | --: |
| `acc` ↑ | `0.915 ± 0.007` | **`0.930`** *best* | `0.990` |

| param | `kkmpptxz +1` | `wlqtrvkp` | `qpvuntsm` |
| --- | --- | --- | --- |
| `batch` | `64` | **`128`** | `64` |

<sub>1 param equal · +1 is 2 runs alike, mean ± std<br>Written 2026-11-24 12:00:00 +0000</sub>
"""
    )


def test_columns_of_very_many_runs_are_counted() -> None:
    runs = tuple(replace(OLD, id=RunId("kkmpptx" + letter + "k" * 8)) for letter in "klmnopqrstuvwxyz")
    text = markdown(RunDiff(runs, {"lr": ParamChange("lr", "changed", tuple(range(16)))}))
    assert "| `lr` | `0` | `1` | `2` | `3` | `4` | `5` | `6` | `7` | `8` | `9` |\n" in text
    assert "6 more columns, for which there is no room" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a|b", "<code>a&#124;b</code>"),
        ("a`b", "<code>a&#96;b</code>"),
        ("a\\|b", "<code>a&#92;&#124;b</code>"),
        ("<img src=x>", "<code>&#60;img src=x&#62;</code>"),
        ("[x](javascript:y)", "`[x](javascript:y)`"),
        ("@octocat", "`@octocat`"),
        ("fixes #12", "`fixes #12`"),
        ("two\nlines", "<code>&#34;two&#92;nlines&#34;</code>"),
        ("\x1b[2J", "<code>&#34;&#92;x1b&#91;2J&#34;</code>"),
        ("&lt;", "<code>&#38;lt;</code>"),
    ],
)
def test_values_are_code_in_which_nothing_is_obeyed(value: str, shown: str) -> None:
    quoted = shown.replace("`[x]", '`"[x]').replace("y)`", 'y)"`')
    assert f"| `x` | {quoted} | `1` |  |\n" in markdown(of_param(value))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@ada", "&#64;<!-- -->ada"),
        ("see #12", "see &#35;<!-- -->12"),
        ("gh-12", "gh<!-- -->-12"),
        ("https://evil.example", "https&#58;<!-- -->//evil.example"),
        ("www.evil.example", "www&#46;evil.example"),
        ("[x](y)", "&#91;x&#93;&#40;y&#41;"),
        ("<script>", "&#60;script&#62;"),
        ("a\n# b", "a&#92;n&#35;<!-- --> b"),
    ],
)
def test_words_from_outside_are_plain_text_that_pings_nobody(text: str, shown: str) -> None:
    assert markdown(of_param(2), title=text).startswith(f"\n### {shown}: `kkmpptxz`")
    assert f"- ❌ {shown}\n" in markdown(of_param(2), gate=[Verdict(True, text)])


@pytest.mark.parametrize("value", ["x", "|" * 100, "学" * 100])
def test_a_comment_is_never_too_long_and_says_what_is_missing(value: str) -> None:
    params = {f"key{place}": ParamChange(f"key{place}", "changed", (value, place)) for place in range(5000)}
    packages = {f"package{place}": ("1.0", "2.0") for place in range(300)}
    code = tuple(CodeChange(f"{place}.py", 1, 1, "@@ -1 +1 @@\n" + "+line\n" * 2000) for place in range(12))
    text = markdown(RunDiff((OLD, NEW), params, packages=packages, code=code))
    assert 60_000 < len(text) < MOST
    assert re.search(r"\nand \d+ more params, for which this comment has no room\n", text)
    assert re.search(r"```\n\nand \d+ more lines, for which this comment has no room\n\n</details>\n", text)
    assert "\nand the text of 2 more files, for which this comment has no room\n" in text
    assert text.count("<details>") == text.count("</details>") == 12


HOSTILE = (
    st.sampled_from(["@" * 500, "|", "`", "#1", "<!--", "-->", "\n", "\x00", "\ud800", ":tada:", "</details>"]) | st.text()
)


@settings(deadline=None, max_examples=60)
@given(st.lists(HOSTILE, min_size=6, max_size=6), st.integers(2, 12))
def test_whatever_was_recorded_a_table_keeps_its_columns(texts: list[str], number: int) -> None:
    path, value, word, how, title, sentence = texts
    runs = tuple(Run(RunId(f"{word}{place}"), Status.OPEN, NOW) for place in range(number))
    change = ParamChange(path, "changed", tuple(f"{value}{place}" for place in range(number)))
    diff = RunDiff(
        runs,
        {path: change},
        packages={path: (value,) * number},
        code=(CodeChange(path, 1, 1, f"@@ -1 +1 @@\n+{value}\n"),),
        names=(Naming(word, how),) * number,
    )
    text = markdown(diff, title=title, gate=[Verdict(True, sentence)] * 20)
    assert len(text) < MOST
    assert all(line.isprintable() for line in text.split("\n"))
    cells = {line.count("|") for line in text.split("\n") if line.startswith(("| <", "| `"))}
    assert cells <= {4, 5, min(number, 10) + 2}
