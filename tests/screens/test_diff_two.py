from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gitparams.changes import CodeChange, Kind, MetricChange, Naming, ParamChange, RunDiff
from gitparams.model import Run, RunId, Status
from gitparams.params import MISSING
from gitparams.screens.diff import render
from gitparams.screens.terminal import Terminal

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OLD = Run(RunId("kkmpptxz" * 2), Status.COMPLETED, NOW - timedelta(hours=3))
NEW = Run(RunId("wlqtrvkp" * 2), Status.COMPLETED, NOW - timedelta(minutes=40))
PATCH = """diff --git a/train.py b/train.py
index 4f2c1a9..90aa011 100644
--- a/train.py
+++ b/train.py
@@ -1,3 +1,3 @@ def train():
 import torch
-lr = 0.1
+lr = 0.01  # as in the paper
\\ No newline at end of file
"""


def changes(**params: tuple[Kind, tuple[Any, ...]]) -> Mapping[str, ParamChange]:
    return {path: ParamChange(path, kind, values) for path, (kind, values) in params.items()}


def screen(diff: RunDiff, width: int = 80, *, colour: bool = False, utf8: bool = True, full: bool = False) -> str:
    return "\n" + render(diff, terminal=Terminal(width, colour, utf8), directions={}, now=NOW, full=full) + "\n"


def named(*namings: Naming) -> RunDiff:
    return RunDiff((OLD, NEW), changes(lr=("changed", (0.1, 0.01))), equal_params=39, ignored=3, names=namings)


WHOLE = RunDiff(
    (OLD, NEW),
    changes(amp=("type", (1, True)), lr=("changed", (0.1, 0.01))),
    {"loss": MetricChange("loss", (0.268, 0.421), 0.153, False)},
    (CodeChange("train.py", 12, 3), CodeChange("conf/base.yaml", 0, 120), CodeChange("logo.png", None, None)),
    {"numpy": ("1.26", "2.1"), "torch": ("2.3", None)},
    {"gpu": ("A100", "H100")},
    {"numpy": (1, 2)},
    equal_params=39,
)


def test_every_section_has_its_heading() -> None:
    assert (
        screen(WHOLE)
        == """
              kkmpptxz   wlqtrvkp
params        3h         40m
  amp         1          True     int → bool
  lr          0.1        0.01     ÷10
seeds
  numpy       1          2
metrics
  loss ↓      0.268      0.421    +0.153 worse
packages
  numpy       1.26       2.1
  torch       2.3        –        removed
environment
  gpu         A100       H100
code          train.py       +12   −3
              conf/base.yaml     −120
              logo.png       binary
39 params equal
"""
    )


def test_without_utf_8_all_sections_are_ascii() -> None:
    assert (
        screen(WHOLE, 40, utf8=False)
        == """
               kkmpptxz   wlqtrvkp
params         3h         40m
  amp          1          True
  lr           0.1        0.01     /10
seeds
  numpy        1          2
metrics
  loss (min)   0.268      0.421
packages
  numpy        1.26       2.1
  torch        2.3        -
environment
  gpu          A100       H100
code           train.py       +12   -3
               conf/base.yaml     -120
               logo.png       binary
39 params equal
"""
    )


def test_what_is_worse_is_red_and_counts_of_lines_have_their_colours() -> None:
    lines = screen(WHOLE, colour=True).split("\n")
    assert lines[8] == "  loss ↓      0.268      0.421    \x1b[31m+0.153 worse\x1b[0m"
    assert lines[14] == "\x1b[1mcode\x1b[0m          train.py       \x1b[32m+12\x1b[0m   \x1b[31m−3\x1b[0m"
    assert lines[16] == "              logo.png       \x1b[2mbinary\x1b[0m"


def test_the_words_for_the_runs_stand_below_their_ids_and_how_they_were_found_at_the_end() -> None:
    how = "its params files: no run was recorded there"
    assert (
        screen(named(Naming("HEAD~3", how), Naming("main", "run at 4f2c1a9, same tree")))
        == """
         kkmpptxz   wlqtrvkp
         HEAD~3     main
params   3h         40m
  lr     0.1        0.01     ÷10
39 params equal · 3 within the tolerance or ignored
HEAD~3: its params files: no run was recorded there
main: run at 4f2c1a9, same tree
"""
    )


def test_at_40_columns_sentences_go_on_in_the_next_line() -> None:
    how = "its params files: no run was recorded there"
    assert (
        screen(named(Naming("HEAD~3", how), Naming("a-branch-with-a-long-name")), 40)
        == """
         kkmpptxz   wlqtrvkp
         HEAD~3     a-branch-with…
params   3h         40m
  lr     0.1        0.01           ÷10
39 params equal
3 within the tolerance or ignored
HEAD~3: its params files: no run was
recorded there
"""
    )


@pytest.mark.parametrize("word", ["kkmp", "kkmpptxz", "run:kkmppt", ""])
def test_a_word_that_is_the_id_itself_is_not_said_again(word: str) -> None:
    assert (
        screen(named(Naming(word), Naming()))
        == """
         kkmpptxz   wlqtrvkp
params   3h         40m
  lr     0.1        0.01     ÷10
39 params equal · 3 within the tolerance or ignored
"""
    )


def test_params_that_no_run_has_used_have_their_word_in_place_of_an_id_and_no_status() -> None:
    commit = Run(RunId("origin/main"), Status.OPEN, NOW - timedelta(days=2))
    disk = Run(RunId("worktree"), Status.OPEN, NOW)
    diff = RunDiff((commit, disk), changes(lr=("changed", (0.1, 0.01))), names=(Naming("origin/main"), Naming("worktree")))
    assert (
        screen(diff)
        == """
         origin/main   worktree
params   2d            now
  lr     0.1           0.01     ÷10
"""
    )


def test_values_of_four_types_are_four_texts() -> None:
    diff = RunDiff(
        (OLD, NEW),
        changes(
            a=("type", (1, 1.0)), b=("type", (1, "1")), c=("type", (1, True)), d=("type", ("True", True)), e=("type", ([1], {}))
        ),
    )
    assert (
        screen(diff)
        == """
         kkmpptxz   wlqtrvkp
params   3h         40m
  a      1          1.0      int → float
  b      1          "1"      int → str
  c      1          True     int → bool
  d      "True"     True     str → bool
  e      [1]        {}       list → mapping
"""
    )


def test_what_moved_in_a_list_has_places_counted_from_one() -> None:
    path = "layers[conv1]"
    diff = RunDiff((OLD, NEW), {path: ParamChange(path, "moved", (0, 2))})
    assert (
        screen(diff)
        == """
                  kkmpptxz   wlqtrvkp
params            3h         40m
  layers[conv1]   1st        3rd      moved
"""
    )


def packages(number: int) -> RunDiff:
    return RunDiff((OLD, NEW), packages={f"p{place:03}": ("1.0", "2.0") for place in range(number)})


def test_a_long_list_of_packages_is_cut_and_counted() -> None:
    lines = screen(packages(200)).strip("\n").split("\n")
    assert lines[:3] == ["           kkmpptxz   wlqtrvkp", "packages   3h         40m", "  p000     1.0        2.0"]
    assert lines[31:] == ["  p029     1.0        2.0", "  and 170 more (--packages)"]


@pytest.mark.parametrize(("number", "full"), [(200, True), (30, False)])
def test_all_packages_are_shown_when_asked_for_or_when_they_are_few(number: int, full: bool) -> None:
    lines = screen(packages(number), full=full).strip("\n").split("\n")
    assert len(lines) == number + 2
    assert lines[-1].split() == [f"p{number - 1:03}", "1.0", "2.0"]


def test_many_files_are_cut_and_their_lines_summed_up() -> None:
    diff = RunDiff((OLD, NEW), code=tuple(CodeChange(f"f{place:02}.py", 10, place % 2) for place in range(42)))
    lines = screen(diff).strip("\n").split("\n")
    assert lines[2:5] == ["code   f00.py +10", "       f01.py +10 −1", "       f02.py +10"]
    assert lines[32:] == ["       and 12 more (--code) · 42 files +420 −21"]
    assert len(screen(diff, full=True).strip("\n").split("\n")) == 45


def test_the_text_of_the_code_stands_below_without_what_its_path_says() -> None:
    picture = "diff --git a/logo.png b/logo.png\nnew file mode 100644\nGIT binary patch\nliteral 3\n"
    diff = RunDiff((OLD, NEW), code=(CodeChange("train.py", 1, 1, PATCH), CodeChange("logo.png", None, None, picture)))
    assert (
        screen(diff)
        == """
       kkmpptxz   wlqtrvkp
       3h         40m
code   train.py +1 −1
       logo.png binary

train.py
@@ -1,3 +1,3 @@ def train():
 import torch
-lr = 0.1
+lr = 0.01  # as in the paper
\\ No newline at end of file

logo.png
binary
new file mode 100644
"""
    )


def test_the_text_of_the_code_has_its_colours() -> None:
    lines = screen(RunDiff((OLD, NEW), code=(CodeChange("train.py", 1, 1, PATCH),)), colour=True).split("\n")
    assert lines[6:10] == [
        "\x1b[2m@@ -1,3 +1,3 @@ def train():\x1b[0m",
        " import torch",
        "\x1b[31m-lr = 0.1\x1b[0m",
        "\x1b[32m+lr = 0.01  # as in the paper\x1b[0m",
    ]


def test_long_lines_of_code_go_on_and_controls_are_escapes() -> None:
    patch = f"@@ -1 +1 @@\n+{'long ' * 13}end\n+\tred \x1b[31m\u202e{'学' * 16}\n"
    assert (
        screen(RunDiff((OLD, NEW), code=(CodeChange("a.py", 2, 0, patch),)), 40)
        == """
       kkmpptxz   wlqtrvkp
       3h         40m
code   a.py +2

a.py
@@ -1 +1 @@
+long long long long long long long long
… long long long long long end
+        red \\x1b[31m\\u202e学学学学学学
…学学学学学学学学学学
"""
    )


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ((), "No difference in 41 params."),
        ((Naming(), Naming()), "No difference in 41 params."),
        ((Naming("HEAD~3"), Naming("main")), "No difference in 41 params between HEAD~3 and main."),
        ((Naming("kkmp"), Naming("main")), "No difference in 41 params between kkmpptxz and main."),
    ],
)
def test_no_difference_says_between_what(names: tuple[Naming, ...], sentence: str) -> None:
    assert screen(RunDiff((OLD, NEW), equal_params=41, names=names)) == f"\n{sentence}\n"


def test_no_difference_says_what_was_not_looked_at_and_how_a_side_was_found() -> None:
    names = (Naming("v1.0", "its params files"), Naming("v2.0"))
    assert (
        screen(RunDiff((OLD, NEW), equal_params=1, ignored=2, names=names))
        == """
No difference in 1 param between v1.0 and v2.0.
2 within the tolerance or ignored
v1.0: its params files
"""
    )


def test_a_difference_of_the_environment_alone_is_shown() -> None:
    assert (
        screen(RunDiff((OLD, NEW), environment={"python": ("3.11.2", "3.12.1")}, equal_params=2))
        == """
              kkmpptxz   wlqtrvkp
environment   3h         40m
  python      3.11.2     3.12.1
2 params equal
"""
    )


def test_runs_without_a_common_key_are_readable() -> None:
    diff = RunDiff((OLD, NEW), changes(a=("removed", (1, MISSING)), b=("added", (MISSING, 2))))
    assert (
        screen(diff)
        == """
         kkmpptxz   wlqtrvkp
params   3h         40m
  a      1          –        removed
  b      –          2        added
no param in common
"""
    )


def test_words_and_sentences_from_outside_command_no_terminal() -> None:
    diff = replace(named(Naming("a\x1b[2Jb", "c\nd\u202e"), Naming("\x9b31m")), environment={"h\r": ("\x07", "x")})
    assert all(line.isprintable() for line in screen(diff).split("\n"))
    assert "a\\x1b[2Jb: c\\nd\\u202e" in screen(diff)


def test_five_thousand_params_are_five_thousand_lines() -> None:
    params = {
        f"s{place % 50}.k{place}": ParamChange(f"s{place % 50}.k{place}", "changed", (place, -1)) for place in range(5000)
    }
    assert len(screen(RunDiff((OLD, NEW), params)).strip("\n").split("\n")) == 5002
