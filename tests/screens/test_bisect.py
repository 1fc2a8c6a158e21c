"""The screens of bisect: the plan, a line for each mixture, and the answer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest

from gitparams.bisection import Case, Measured, Mixture, Row, Search, case
from gitparams.model import Status
from gitparams.params import path_text
from gitparams.screens.bisect import found_document, render_found, render_plan, render_step
from gitparams.screens.terminal import Terminal, cell_width

GOOD_PARAMS = {"optim.lr": 0.1, "batch": 64, "amp": False, "model.depth": 3, "optim.name": "sgd", "augment": True, "seed": 1}
BAD_PARAMS = {"optim.lr": 1.0, "batch": 128, "amp": True, "model.depth": 12, "optim.name": "adam", "warmup": 500, "seed": 2}


def row(id: str, acc: float | None, params: dict[str, Any], code: str = "1a2b3c4d5e", status: Status = Status.COMPLETED) -> Row:
    return Row(id * 2, params, {} if acc is None else {"acc": acc}, code, status)


GOOD = row("kkmpptxz", 0.934, GOOD_PARAMS)
BAD = row("zmxnyosr", 0.712, BAD_PARAMS, "9d8e7f6a5b")
RECORDED = [
    row("qpvuntsm", 0.86, {**GOOD_PARAMS, "optim.lr": 1.0}),
    row("wlqtrvkp", 0.84, {**GOOD_PARAMS, "optim.lr": 1.0, "augment": False}),
    row("rstnvqoy", 0.93, {**GOOD_PARAMS, "augment": False}),
]
CASE = case(GOOD, BAD, RECORDED)
Outcome = Callable[[Mixture], Measured]


def adding_up(mixture: Mixture) -> Measured:
    effects = {"batch": 0.14, "optim.lr": 0.074, "amp": 0.008}
    return Measured((round(0.934 - sum(effects.get(path, 0) for path in mixture), 4),))


def searched(asked: Case, outcome: Outcome, most: int = 99) -> Search:
    search = asked.search()
    while len(search.steps()) < most and (mixture := search.next()) is not None:
        search.tell(mixture, outcome(mixture))
    return search


def plan(asked: Case, width: int = 80, *, utf8: bool = True, replicates: int = 1) -> str:
    return f"\n{render_plan(asked, asked.search(), terminal=Terminal(width, utf8=utf8), replicates=replicates)}\n"


def steps(asked: Case, outcome: Outcome, width: int = 80, *, utf8: bool = True) -> str:
    found = searched(asked, outcome).steps()
    return "\n" + "".join(f"{render_step(step, asked, terminal=Terminal(width, utf8=utf8), most=9)}\n" for step in found)


def answer(asked: Case, outcome: Outcome, width: int = 80, *, most: int = 99, utf8: bool = True, replicates: int = 1) -> str:
    found = searched(asked, outcome, most).result()
    return f"\n{render_found(asked, found, terminal=Terminal(width, utf8=utf8), replicates=replicates)}\n"


def either(mixture: Mixture) -> Measured:
    return Measured((0.712,) if mixture & {"batch", "amp"} else (0.934,))


def together(mixture: Mixture) -> Measured:
    return Measured((0.712,) if {"batch", "amp"} <= mixture else (0.934,))


def noisy(mixture: Mixture) -> Measured:
    return Measured((0.4, 0.9, 0.9)) if "batch" in mixture else Measured((0.93, 0.935, 0.934))


def failing(mixture: Mixture) -> Measured:
    if ("batch" in mixture) != ("amp" in mixture):
        return Measured((), 1)
    return together(mixture)


def partly(mixture: Mixture) -> Measured:
    return Measured((0.712 if "batch" in mixture else 0.85 if "amp" in mixture else 0.934,))


REPLICATED = case(
    GOOD,
    BAD,
    [
        row("qpvuntsm", 0.93, {**GOOD_PARAMS, "seed": 5}),
        row("wlqtrvkp", 0.7, {**BAD_PARAMS, "seed": 5}, "9d8e7f6a5b"),
    ],
)
CRASHED = case(GOOD, BAD._replace(status=Status.CRASHED, metrics={}))
DIVERGED = case(GOOD, BAD._replace(metrics={"acc": math.nan}))


def breaking(mixture: Mixture) -> Measured:
    return Measured((), 1) if "batch" in mixture else Measured((0.9,))


HOSTILE = case(
    Row(
        "kkmpptxz" * 2,
        {path_text(("a\x1b[31m\u202e",)): "x\x1b[2J", "b": "ok"},
        {"acc\x1b[0m": 1.0, "x": 1},
        None,
        Status.COMPLETED,
    ),
    Row(
        "zmxnyosr" * 2,
        {path_text(("a\x1b[31m\u202e",)): "\u202ey", "b": "né"},
        {"acc\x1b[0m": 0.5, "x": 1},
        None,
        Status.COMPLETED,
    ),
)


def one_change(mixture: Mixture) -> Measured:
    return Measured((0.5,) if "b" in mixture else (1.0,))


# -- the plan ------------------------------------------------------------------------------------------------------------


def test_the_plan_at_80_columns() -> None:
    assert (
        plan(CASE, replicates=3)
        == """
acc ↑ went from 0.934 in kkmpptxz to 0.712 in zmxnyosr: 8 changes may explain
it.

change                           recorded
optim.lr     0.1 → 1.0           −0.0820 ± 0.0113 (2 pairs)
amp          False → True
augment      True → –
batch        64 → 128
model.depth  3 → 12
optim.name   sgd → adam
warmup       – → 500
the code     1a2b3c4 → 9d8e7f6

first   optim.lr 1.0, amp True, no augment, batch 128 · rest good
if bad  optim.lr 1.0, amp True · rest good
if not  no warmup, the code 1a2b3c4 · rest bad

1 recorded mixture is used and not run again.
To be run: 3 to 5 mixtures when one change explains it, at most 10 when two do,
33 in any case, 3 runs each.
"""
    )


def test_the_plan_at_120_columns() -> None:
    assert (
        plan(CASE, 120)
        == """
acc ↑ went from 0.934 in kkmpptxz to 0.712 in zmxnyosr: 8 changes may explain it.

change                           recorded
optim.lr     0.1 → 1.0           −0.0820 ± 0.0113 (2 pairs)
amp          False → True
augment      True → –
batch        64 → 128
model.depth  3 → 12
optim.name   sgd → adam
warmup       – → 500
the code     1a2b3c4 → 9d8e7f6

first   optim.lr 1.0, amp True, no augment, batch 128 · rest good
if bad  optim.lr 1.0, amp True · rest good
if not  no warmup, the code 1a2b3c4 · rest bad

1 recorded mixture is used and not run again.
To be run: 3 to 5 mixtures when one change explains it, at most 10 when two do, 33 in any case.
"""
    )


def test_the_plan_at_40_columns() -> None:
    assert (
        plan(CASE, 40)
        == """
acc ↑ went from 0.934 in kkmpptxz to
0.712 in zmxnyosr: 8 changes may explain
it.

optim.lr 0.1 → 1.0
  recorded −0.0820 ± 0.0113 (2 pairs)
amp False → True
augment True → –
batch 64 → 128
model.depth 3 → 12
optim.name sgd → adam
warmup – → 500
the code 1a2b3c4 → 9d8e7f6

first   optim.lr 1.0, 3 more · rest good
if bad  optim.lr 1.0, 1 more · rest good
if not  no warmup, 1 more · rest bad

1 recorded mixture is used and not run
again.
To be run: 3 to 5 mixtures when one
change explains it, at most 10 when two
do, 33 in any case.
"""
    )


def test_the_plan_without_utf8() -> None:
    assert (
        plan(CASE, utf8=False)
        == """
acc (max) went from 0.934 in kkmpptxz to 0.712 in zmxnyosr: 8 changes may
explain it.

change                            recorded
optim.lr     0.1 -> 1.0           -0.0820 +- 0.0113 (2 pairs)
amp          False -> True
augment      True -> -
batch        64 -> 128
model.depth  3 -> 12
optim.name   sgd -> adam
warmup       - -> 500
the code     1a2b3c4 -> 9d8e7f6

first   optim.lr 1.0, amp True, no augment, batch 128, rest good
if bad  optim.lr 1.0, amp True, rest good
if not  no warmup, the code 1a2b3c4, rest bad

1 recorded mixture is used and not run again.
To be run: 3 to 5 mixtures when one change explains it, at most 10 when two do,
33 in any case.
"""
    )


def test_a_plan_of_one_change_has_nothing_to_run() -> None:
    assert (
        plan(case(GOOD, GOOD._replace(id=BAD.id, params={**GOOD.params, "batch": 1}, metrics={"acc": 0.1})))
        == """
acc ↑ went from 0.934 in kkmpptxz to 0.100 in zmxnyosr: 1 change may explain it.

change           recorded
batch   64 → 1   −0.834 (1 pair)

Recorded runs tell it all: nothing is to be run.
"""
    )


# -- while it runs -------------------------------------------------------------------------------------------------------


def test_the_steps_at_80_columns() -> None:
    assert (
        steps(CASE, adding_up)
        == """
1/≤9  optim.lr 1.0, amp True, no augment, batch 128 · rest good   acc 0.712  bad
2/≤9  optim.lr 1.0, amp True · rest good   acc 0.852  between
3/≤9  optim.lr 1.0, amp True, no augment · rest good   acc 0.852  between
4/≤9  batch 128 · rest good   acc 0.794  between
5/≤9  optim.lr 1.0, batch 128 · rest good   acc 0.720  bad
6/≤9  optim.lr 0.1, batch 64 · rest bad   acc 0.926  good
"""
    )


def test_the_steps_at_120_columns() -> None:
    assert (
        steps(CASE, adding_up, 120)
        == """
1/≤9  optim.lr 1.0, amp True, no augment, batch 128 · rest good   acc 0.712  bad
2/≤9  optim.lr 1.0, amp True · rest good   acc 0.852  between
3/≤9  optim.lr 1.0, amp True, no augment · rest good   acc 0.852  between
4/≤9  batch 128 · rest good   acc 0.794  between
5/≤9  optim.lr 1.0, batch 128 · rest good   acc 0.720  bad
6/≤9  optim.lr 0.1, batch 64 · rest bad   acc 0.926  good
"""
    )


def test_the_steps_at_40_columns() -> None:
    assert (
        steps(CASE, adding_up, 40)
        == """
1/≤9  optim.lr 1.0, 3 more · rest good
  acc 0.712  bad
2/≤9  optim.lr 1.0, amp True · rest good
  acc 0.852  between
3/≤9  optim.lr 1.0, 2 more · rest good
  acc 0.852  between
4/≤9  batch 128 · rest good
  acc 0.794  between
5/≤9  optim.lr 1.0, 1 more · rest good
  acc 0.720  bad
6/≤9  optim.lr 0.1, batch 64 · rest bad
  acc 0.926  good
"""
    )


def test_a_step_that_failed_or_is_noise_says_so_in_words() -> None:
    assert (
        steps(CASE, failing) + steps(REPLICATED, noisy)
        == """
1/≤9  optim.lr 1.0, amp True, no augment, batch 128 · rest good   acc 0.712  bad
2/≤9  optim.lr 1.0, amp True · rest good   failed  tells nothing
3/≤9  optim.lr 1.0, amp True, no augment · rest good   failed  tells nothing
4/≤9  optim.lr 1.0, batch 128 · rest good   failed  tells nothing
5/≤9  optim.lr 1.0, no augment, batch 128 · rest good   failed  tells nothing
6/≤9  optim.lr 1.0, amp True, batch 128 · rest good   acc 0.712  bad
7/≤9  amp True, batch 128 · rest good   acc 0.712  bad
8/≤9  batch 128 · rest good   failed  tells nothing
9/≤9  amp True · rest good   failed  tells nothing
10  amp False, batch 64 · rest bad   acc 0.934  good

1/≤9  amp True, 3 more · rest good   acc 0.733 ± 0.289  bad, within the noise
2/≤9  amp True, no augment · rest good   acc 0.933 ± 0.003  good
3/≤9  amp True, 2 more · rest good   acc 0.733 ± 0.289  bad, within the noise
4/≤9  batch 128 · rest good   acc 0.733 ± 0.289  bad, within the noise
5/≤9  batch 64 · rest bad   acc 0.933 ± 0.003  good
"""
    )


def test_the_steps_without_utf8() -> None:
    assert (
        steps(CASE, adding_up, utf8=False)
        == """
1/<=9  optim.lr 1.0, amp True, no augment, batch 128, rest good   acc 0.712  bad
2/<=9  optim.lr 1.0, amp True, rest good   acc 0.852  between
3/<=9  optim.lr 1.0, amp True, no augment, rest good   acc 0.852  between
4/<=9  batch 128, rest good   acc 0.794  between
5/<=9  optim.lr 1.0, batch 128, rest good   acc 0.720  bad
6/<=9  optim.lr 0.1, batch 64, rest bad   acc 0.926  good
"""
    )


# -- the answer ----------------------------------------------------------------------------------------------------------


def test_effects_that_add_up_at_80_columns() -> None:
    assert (
        answer(CASE, adding_up)
        == """
acc ↑ went from 0.934 in kkmpptxz to 0.712 in zmxnyosr. 2 changes explain it
together.

change                alone   without it   recorded
optim.lr  0.1 → 1.0   0.860        0.794   −0.0820 ± 0.0113 (2 pairs)
batch     64 → 128    0.794        0.860

                  acc ↑
good              0.934  kkmpptxz
with them         0.720  −0.214, 96% of the change
bad               0.712  zmxnyosr
bad without them  0.926  good

Each carries a part of it.
6 mixtures run, 1 recorded one used.
"""
    )


def test_effects_that_add_up_at_120_columns() -> None:
    assert (
        answer(CASE, adding_up, 120)
        == """
acc ↑ went from 0.934 in kkmpptxz to 0.712 in zmxnyosr. 2 changes explain it together.

change                alone   without it   recorded
optim.lr  0.1 → 1.0   0.860        0.794   −0.0820 ± 0.0113 (2 pairs)
batch     64 → 128    0.794        0.860

                  acc ↑
good              0.934  kkmpptxz
with them         0.720  −0.214, 96% of the change
bad               0.712  zmxnyosr
bad without them  0.926  good

Each carries a part of it.
6 mixtures run, 1 recorded one used.
"""
    )


def test_effects_that_add_up_at_40_columns() -> None:
    assert (
        answer(CASE, adding_up, 40)
        == """
acc ↑ went from 0.934 in kkmpptxz to
0.712 in zmxnyosr. 2 changes explain it
together.

optim.lr 0.1 → 1.0
  alone 0.860 · without it 0.794 ·
  recorded −0.0820 ± 0.0113 (2 pairs)
batch 64 → 128
  alone 0.794 · without it 0.860

                  acc ↑
good              0.934  kkmpptxz
with them         0.720  −0.214, 96%
bad               0.712  zmxnyosr
bad without them  0.926  good

Each carries a part of it.
6 mixtures run, 1 recorded one used.
"""
    )


def test_changes_that_are_bad_only_together() -> None:
    assert (
        answer(CASE, together)
        == """
acc ↑ went from 0.934 in kkmpptxz to 0.712 in zmxnyosr. 2 changes explain it
together.

change                 alone   without it
amp     False → True   0.934        0.934
batch   64 → 128       0.934        0.934

           acc ↑
good       0.934  kkmpptxz
with them  0.712  −0.222, 100% of the change
bad        0.712  zmxnyosr

Only together: without any one of them nothing is left of it.
9 mixtures run, 1 recorded one used.
"""
    )


def test_changes_that_are_each_enough() -> None:
    assert (
        answer(CASE, either)
        == """
acc ↑ went from 0.934 in kkmpptxz to 0.712 in zmxnyosr. 2 explanations are each
enough by themselves.

1 of 2, enough by itself
change
amp     False → True

2 of 2, enough by itself
change
batch   64 → 128

        acc ↑
good    0.934  kkmpptxz
with 1  0.712  −0.222, 100% of the change
with 2  0.712  −0.222, 100% of the change
bad     0.712  zmxnyosr

9 mixtures run, 1 recorded one used.
"""
    )


def test_one_change_that_explains_a_part_and_what_is_left() -> None:
    assert (
        answer(CASE, partly)
        == """
acc ↑ went from 0.934 in kkmpptxz to 0.712 in zmxnyosr. One change explains it.

change
batch   64 → 128

                acc ↑
good            0.934  kkmpptxz
with it         0.712  −0.222, 100% of the change
bad             0.712  zmxnyosr
bad without it  0.850  between

Without it 38% of the change is left, which no other changes explain.
5 mixtures run, 1 recorded one used.
"""
    )


def test_answers_within_the_noise() -> None:
    assert (
        answer(REPLICATED, noisy, replicates=3)
        == """
acc ↑ went from 0.932 ± 0.003 in kkmpptxz to 0.706 ± 0.008 in zmxnyosr. One
change explains it.

change
batch   64 → 128

                        acc ↑
good            0.932 ± 0.003  kkmpptxz
with it         0.733 ± 0.289  −0.199, 88% of the change, within the noise
bad             0.706 ± 0.008  zmxnyosr
bad without it  0.933 ± 0.003  good

3 answers lie within the noise; --replicates 6 makes it surer.
5 mixtures run (15 runs), 0 recorded ones used.
"""
    )


def test_mixtures_that_failed() -> None:
    assert (
        answer(CASE, failing)
        == """
acc ↑ went from 0.934 in kkmpptxz to 0.712 in zmxnyosr. 2 changes explain it
together.

change                  alone   without it
amp     False → True   failed       failed
batch   64 → 128       failed       failed

           acc ↑
good       0.934  kkmpptxz
with them  0.712  −0.222, 100% of the change
bad        0.712  zmxnyosr

Not shown to be minimal: not all of them could be tried without one another.
6 mixtures failed and told nothing: optim.lr, amp; optim.lr, amp, augment;
optim.lr, batch; 3 more.
10 mixtures run, 1 recorded one used.
"""
    )


def test_a_search_that_was_stopped() -> None:
    assert (
        answer(CASE, adding_up, most=3)
        == """
acc ↑ went from 0.934 in kkmpptxz to 0.712 in zmxnyosr. Not found yet: batch has
a part in it; what else has is among optim.lr, amp, augment.

It was stopped; the same command goes on from here.
3 mixtures run, 1 recorded one used.
"""
    )


def test_a_search_that_was_stopped_before_its_first_step() -> None:
    assert (
        answer(CASE, adding_up, most=0)
        == """
acc ↑ went from 0.934 in kkmpptxz to 0.712 in zmxnyosr. Not found yet: it is
among optim.lr, amp, augment, batch, model.depth, optim.name, warmup, the code.

It was stopped; the same command goes on from here.
0 mixtures run, 1 recorded one used.
"""
    )


def test_a_search_that_was_stopped_after_its_first_set() -> None:
    assert (
        answer(CASE, either, most=5)
        == """
acc ↑ went from 0.934 in kkmpptxz to 0.712 in zmxnyosr. 1 change found to be
enough; the search has not ended.

change
amp     False → True

                acc ↑
good            0.934  kkmpptxz
with it         0.712  −0.222, 100% of the change
bad             0.712  zmxnyosr
bad without it  0.712  bad

It was stopped while it looked among optim.lr, augment, batch, model.depth; the
same command goes on from here.
5 mixtures run, 1 recorded one used.
"""
    )


def test_a_bad_run_that_crashed() -> None:
    assert (
        answer(CRASHED, breaking)
        == """
zmxnyosr crashed, and kkmpptxz did not. One change explains it.

change
batch   64 → 128

                 acc ↑
good             0.934  kkmpptxz
with it         failed
bad             failed  zmxnyosr
bad without it   0.900  good

zmxnyosr crashed: the question is which change makes it fail
5 mixtures run, 0 recorded ones used.
"""
    )


def test_a_bad_run_whose_metric_is_nan() -> None:
    assert (
        answer(DIVERGED, breaking)
        == """
acc ↑ went from 0.934 in kkmpptxz to nan in zmxnyosr. One change explains it.

change
batch   64 → 128

                 acc ↑
good             0.934  kkmpptxz
with it         failed
bad                nan  zmxnyosr
bad without it   0.900  good

5 mixtures run, 0 recorded ones used.
"""
    )


def test_the_answer_without_utf8() -> None:
    assert (
        answer(CASE, adding_up, utf8=False)
        == """
acc (max) went from 0.934 in kkmpptxz to 0.712 in zmxnyosr. 2 changes explain it
together.

change                 alone   without it   recorded
optim.lr  0.1 -> 1.0   0.860        0.794   -0.0820 +- 0.0113 (2 pairs)
batch     64 -> 128    0.794        0.860

                  acc (max)
good                  0.934  kkmpptxz
with them             0.720  -0.214, 96% of the change
bad                   0.712  zmxnyosr
bad without them      0.926  good

Each carries a part of it.
6 mixtures run, 1 recorded one used.
"""
    )


def test_text_from_outside_commands_no_terminal() -> None:
    assert (
        plan(HOSTILE) + steps(HOSTILE, one_change) + answer(HOSTILE, one_change)
        == """
acc\\x1b[0m ↑ went from 1.0 in kkmpptxz to 0.5 in zmxnyosr: 2 changes may explain
it.

change
["a\\u001b[31m\\u202e"]  "x\\x1b[2J" → "\\u202ey"
b                      ok → né

first   ["a\\u001b[31m\\u202e"] "\\u202ey" · rest good
if bad  b né · rest good
if not  b né · rest good

To be run: 2 mixtures when one change explains it, at most 2 when two do, 2 in
any case.

1/≤9  ["a\\u001b[31m\\u202e"] "\\u202ey" · rest good   acc\\x1b[0m 1.0  good
2/≤9  b né · rest good   acc\\x1b[0m 0.5  bad

acc\\x1b[0m ↑ went from 1.0 in kkmpptxz to 0.5 in zmxnyosr. One change explains
it.

change
b       ok → né

         acc\\x1b[0m ↑
good              1.0  kkmpptxz
with it           0.5  −0.5, 100% of the change
bad               0.5  zmxnyosr

2 mixtures run, 0 recorded ones used.
"""
    )


# -- what holds for all of them -------------------------------------------------------------------------------------------

SCREENS = [
    lambda terminal: render_plan(CASE, CASE.search(), terminal=terminal, replicates=3),
    lambda terminal: render_found(CASE, searched(CASE, adding_up).result(), terminal=terminal),
    lambda terminal: render_found(CASE, searched(CASE, either).result(), terminal=terminal),
    lambda terminal: render_found(REPLICATED, searched(REPLICATED, noisy).result(), terminal=terminal, replicates=3),
    lambda terminal: render_found(CASE, searched(CASE, failing).result(), terminal=terminal),
    lambda terminal: render_step(searched(REPLICATED, noisy).steps()[0], REPLICATED, terminal=terminal, most=9),
]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("utf8", [True, False])
@pytest.mark.parametrize("screen", SCREENS)
def test_no_line_is_longer_than_the_terminal(screen: Callable[[Terminal], str], utf8: bool, width: int) -> None:
    lines = screen(Terminal(width, utf8=utf8)).split("\n")
    assert [line for line in lines if cell_width(line) > width or line != line.rstrip()] == []
    assert utf8 or "".join(lines).isascii()


@pytest.mark.parametrize("screen", SCREENS)
def test_colour_changes_no_letter(screen: Callable[[Terminal], str]) -> None:
    assert re.sub(r"\x1b\[\d+m", "", screen(Terminal(80, colour=True))) == screen(Terminal(80))


def test_very_many_changes_are_cut() -> None:
    params = {f"k{place:04}": 0 for place in range(5000)}
    many = case(row("kkmpptxz", 0.9, params), row("zmxnyosr", 0.5, dict.fromkeys(params, 1)))
    lines = plan(many).split("\n")
    assert (len(lines), lines[34], lines[36]) == (
        43,
        "4970 more",
        "first   k0000 1, k0001 1, k0002 1, k0003 1, k0004 1, 2495 more · rest good",
    )


# -- documents ------------------------------------------------------------------------------------------------------------


def measured(value: float) -> dict[str, Any]:
    return {"n": 1, "mean": value, "std": None, "min": value, "max": value, "interval": None, "not_finite": 0, "failed": 0}


EXPECTED = {
    "good": "kkmpptxzkkmpptxz",
    "bad": "zmxnyosrzmxnyosr",
    "metric": "acc",
    "direction": "max",
    "why": "",
    "share": 0.8,
    "measured": {"good": measured(0.934), "bad": measured(0.712)},
    "changes": [
        {"path": "optim.lr", "good": 0.1, "bad": 1.0},
        {"path": "amp", "good": False, "bad": True},
        {"path": "augment", "good": True, "bad": {"missing": True}},
        {"path": "batch", "good": 64, "bad": 128},
        {"path": "model.depth", "good": 3, "bad": 12},
        {"path": "optim.name", "good": "sgd", "bad": "adam"},
        {"path": "warmup", "good": {"missing": True}, "bad": 500},
        {"path": "(code)", "good": "1a2b3c4d5e", "bad": "9d8e7f6a5b"},
    ],
    "recorded": [
        {
            "paths": ["optim.lr"],
            "pairs": 2,
            "delta": {
                "n": 2,
                "mean": -0.08200000000000007,
                "std": 0.01131370849898477,
                "min": -0.09000000000000008,
                "max": -0.07400000000000007,
                "interval": [-0.1836496378893977, 0.019649637889397567],
                "not_finite": 0,
            },
            "example": ["kkmpptxzkkmpptxz", "qpvuntsmqpvuntsm"],
        }
    ],
    "explanations": [
        {
            "changes": [
                {"path": "optim.lr", "good": 0.1, "bad": 1.0, "alone": measured(0.86), "without": measured(0.794)},
                {"path": "batch", "good": 64, "bad": 128, "alone": measured(0.794), "without": measured(0.86)},
            ],
            "measured": measured(0.72),
            "share": 0.963963963963964,
            "effect": -0.21400000000000008,
            "needs_all": False,
            "minimal": True,
            "uncertain": False,
        }
    ],
    "explained": 0.9639639639639639,
    "rest": measured(0.926),
    "rest_answer": "good",
    "unresolved": [],
    "uncertain": [],
    "suspects": [],
    "tests": 6,
    "reused": 1,
    "finished": True,
    "steps": [
        {"mixture": ["optim.lr", "amp", "augment", "batch"], "measured": measured(0.712), "answer": "bad", "uncertain": False},
        {"mixture": ["optim.lr", "amp"], "measured": measured(0.852), "answer": "between", "uncertain": False},
        {"mixture": ["optim.lr", "amp", "augment"], "measured": measured(0.852), "answer": "between", "uncertain": False},
        {"mixture": ["batch"], "measured": measured(0.794), "answer": "between", "uncertain": False},
        {"mixture": ["optim.lr", "batch"], "measured": measured(0.72), "answer": "bad", "uncertain": False},
        {
            "mixture": ["amp", "augment", "model.depth", "optim.name", "warmup", "(code)"],
            "measured": measured(0.926),
            "answer": "good",
            "uncertain": False,
        },
    ],
}


def test_the_document_says_all_of_it() -> None:
    search = searched(CASE, adding_up)
    document = found_document(CASE, search.result(), search.steps())
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document == EXPECTED


def test_the_document_of_a_bad_run_without_a_number_is_json() -> None:
    document = found_document(DIVERGED, searched(DIVERGED, breaking).result())
    assert json.loads(json.dumps(document, allow_nan=False))["measured"]["bad"] == {
        "n": 0,
        "mean": None,
        "std": None,
        "min": None,
        "max": None,
        "interval": None,
        "not_finite": 1,
        "failed": 0,
    }
