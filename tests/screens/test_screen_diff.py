from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gitparams.changes import CodeChange, RunDiff, compare
from gitparams.model import Run, RunId, Status
from gitparams.params import merge, nested
from gitparams.screens.diff import render
from gitparams.screens.terminal import Terminal

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BASE: dict[str, Any] = {
    **{f"p{number}": number for number in range(37)},
    "optim": {"lr": 0.1},
    "batch": 64,
    "seed": 1,
    "model": {"depth": 3},
}


def run(identity: str, ago: int, params: dict[str, Any], status: Status = Status.COMPLETED, **fields: Any) -> Run:
    return Run(RunId(identity * 2), status, NOW - timedelta(seconds=ago), params=nested(merge(BASE, params)), **fields)


FIRST = run("rstnvqoy", 86400, {}, metrics={"acc": 0.91, "loss": 0.27})
SEED = run("kkmpptxz", 3 * 3600, {"seed": 2}, metrics={"acc": 0.912, "loss": 0.268})
BEST = run(
    "wlqtrvkp", 2400, {"seed": 2, "batch": 128, "optim": {"lr": 0.01, "warmup": 500}}, metrics={"acc": 0.934, "loss": 0.221}
)
LAST = run(
    "qpvuntsm", 120, {"seed": 2, "batch": 128, "optim": {"lr": 0.003, "warmup": 500}}, metrics={"acc": 0.871, "loss": 0.412}
)


def screen(diff: RunDiff, width: int = 80, *, colour: bool = False, utf8: bool = True) -> str:
    return "\n" + render(diff, terminal=Terminal(width, colour, utf8), directions={}, now=NOW) + "\n"


def two() -> RunDiff:
    one = run("kkmpptxz", 3 * 3600, {"seed": 2, "amp": 1}, metrics=SEED.metrics)
    other = run(
        "wlqtrvkp", 2400, {"seed": 2, "amp": True, "batch": 128, "optim": {"lr": 0.01, "warmup": 500}}, metrics=BEST.metrics
    )
    return compare([one, other], code=[CodeChange("train.py", 12, 3)])


# -- two runs -------------------------------------------------------------------------------------------------------------


def test_two_runs_stand_side_by_side() -> None:
    expected = """
                 kkmpptxz   wlqtrvkp
params           3h         40m
  amp            1          True     int → bool
  batch          64         128      ×2
  optim.lr       0.1        0.01     ÷10
  optim.warmup   –          500      added
metrics
  acc ↑          0.912      0.934    +0.022 better
  loss ↓         0.268      0.221    −0.047 better
code             train.py +12 −3
39 params equal
"""
    assert screen(two()) == expected
    assert screen(two(), 120) == expected


def test_narrow_screens_leave_out_the_notes_that_do_not_fit() -> None:
    assert (
        screen(two(), 44)
        == """
                 kkmpptxz   wlqtrvkp
params           3h         40m
  amp            1          True
  batch          64         128      ×2
  optim.lr       0.1        0.01     ÷10
  optim.warmup   –          500      added
metrics
  acc ↑          0.912      0.934
  loss ↓         0.268      0.221
code             train.py +12 −3
39 params equal
"""
    )


def test_without_utf_8_it_is_ascii() -> None:
    assert (
        screen(two(), utf8=False)
        == """
                 kkmpptxz   wlqtrvkp
params           3h         40m
  amp            1          True     int -> bool
  batch          64         128      x2
  optim.lr       0.1        0.01     /10
  optim.warmup   -          500      added
metrics
  acc (max)      0.912      0.934    +0.022 better
  loss (min)     0.268      0.221    -0.047 better
code             train.py +12 -3
39 params equal
"""
    )


def test_colour_dims_notes_and_missing_values() -> None:
    lines = screen(two(), colour=True).split("\n")
    assert lines[1] == "                 \x1b[1mkkmpptxz\x1b[0m   \x1b[1mwlqtrvkp\x1b[0m"
    assert lines[6] == "  optim.warmup   \x1b[2m–\x1b[0m          500      \x1b[2madded\x1b[0m"
    assert lines[8] == "  acc ↑          0.912      0.934    \x1b[32m+0.022 better\x1b[0m"


def test_everything_at_once() -> None:
    one = run("kkmpptxz", 7200, {"layers": [64, 64], "root": "/data/of/a/very/long/path/to/imagenet/2012/train", "tag": None})
    other = run(
        "wlqtrvkp", 60, {"layers": [64, 32, 16], "root": "/data/of/a/very/long/path/to/imagenet/2012/val", "tag": "x",
        "seed": 7},
        Status.FAILED, exit_code=137, metrics={"time": 1187.25},
    )  # fmt: skip
    code = [CodeChange("train.py", 12, 0), CodeChange("logo.png", None, None)]
    assert (
        screen(compare([one, other], code=code, packages=[["numpy==1.2", "torch==2.3.0"], ["numpy==1.3"]]))
        == """
              kkmpptxz                  wlqtrvkp
status        completed                 failed 137
params        2h                        1m
  layers[1]   64                        32                        ÷2
  layers[2]   –                         16                        added
  root        …to/imagenet/2012/train   …h/to/imagenet/2012/val
  seed        1                         7
  tag         None                      x
metrics
  time        –                         1 187
packages
  numpy       1.2                       1.3
  torch       2.3.0                     –                         removed
code          train.py +12
              logo.png binary
40 params equal
"""
    )


def test_only_code_differs() -> None:
    assert (
        screen(compare([FIRST, FIRST], code=[CodeChange("a.py", 1, 1)]))
        == """
       rstnvqoy   rstnvqoy
       1d         1d
code   a.py +1 −1
41 params equal
"""
    )


def test_nothing_differs() -> None:
    assert screen(compare([FIRST, FIRST])) == "\nNo difference in 41 params.\n"


def test_hostile_text_is_shown_as_escapes() -> None:
    evil = run("wlqtrvkp", 60, {"x\x1b[2J": "a\nb\u202e"}, metrics={"acc\r": 1})
    text = screen(compare([FIRST, evil], code=[CodeChange("a\x9bb", 1, 0)], packages=[["\x07==1"], ["\x07==2"]]))
    assert all(line.isprintable() for line in text.split("\n"))


# -- more runs ------------------------------------------------------------------------------------------------------------


def test_more_runs_are_a_table_of_what_differs() -> None:
    assert (
        screen(compare([FIRST, SEED, BEST, LAST]))
        == """
                 rstnvqoy  kkmpptxz  wlqtrvkp  qpvuntsm
batch                  64         ·       128         ·
optim.lr              0.1         ·      0.01     0.003
optim.warmup            –         ·       500         ·
seed                    1         2         ·         ·
acc ↑               0.910     0.912     0.934*    0.871
loss ↓              0.270     0.268     0.221*    0.412
38 params equal · "·" same as the run to the left
"""
    )


def test_runs_that_do_not_fit_beside_each_other_have_a_line_each() -> None:
    assert (
        screen(compare([FIRST, SEED, BEST, LAST]), 50)
        == """
run       optim.lr  batch  seed    acc ↑   loss ↓
rstnvqoy       0.1     64     1   0.910    0.270
kkmpptxz       0.1     64     2   0.912    0.268
wlqtrvkp      0.01    128     2   0.934*   0.221*
qpvuntsm     0.003    128     2   0.871    0.412
4 runs · 1 param not shown · 38 params equal
"""
    )
