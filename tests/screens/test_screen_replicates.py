"""The screens of groups: means with the noise around them, two groups beside each other, runs summed up by keys."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gitparams.directions import Direction
from gitparams.model import Run, RunId, Status
from gitparams.params import merge, nested
from gitparams.replicates import Group, aggregated, compared, grouped, spread, together
from gitparams.screens.replicates import (
    aggregate_document,
    difference_document,
    group_document,
    p_text,
    render,
    render_aggregated,
    render_compared,
    spread_texts,
)
from gitparams.screens.terminal import Terminal, cell_width

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BASE: dict[str, Any] = {"optim": {"lr": 0.1}, "batch": 64}


def runs(
    name: str, ago: int, params: dict[str, Any], *results: tuple[float, float], status: Status = Status.COMPLETED
) -> list[Run]:
    return [
        Run(
            RunId(f"{name}{'klmnopqr'[place] * 8}"),
            status,
            NOW - timedelta(seconds=ago + place),
            experiment="digits",
            params=nested(merge(BASE, params, {"seed": place})),
            metrics={"acc": acc, "loss": loss},
        )
        for place, (acc, loss) in enumerate(results)
    ]


FIRST = runs("rstnvqoy", 86400, {}, (0.910, 0.27), (0.914, 0.28), (0.906, 0.29), (0.911, 0.275))
BETTER = runs(
    "wlqtrvkp", 2400, {"batch": 128, "optim": {"lr": 0.01}}, (0.934, 0.221), (0.931, 0.229), (0.938, 0.215), (0.93, math.nan)
)
FAILED = runs("zmxnyosr", 2500, {"batch": 128, "optim": {"lr": 0.01}}, (0.1, 2.0), status=Status.FAILED)
ONE = runs("qpvuntsm", 120, {"optim": {"lr": 0.003}}, (0.871, 0.412))
ALL = [*FIRST, *BETTER, *FAILED, *ONE]
LONE, AFTER, BEFORE = grouped(ALL)


def screen(groups: list[Group[Run]], width: int = 80, *, colour: bool = False, utf8: bool = True, **fields: Any) -> str:
    terminal = Terminal(width, colour, utf8)
    return "\n" + render(groups, terminal=terminal, directions=fields.pop("directions", {}), now=NOW, **fields) + "\n"


# -- the table ------------------------------------------------------------------------------------------------------------


def test_the_screen_at_80_columns() -> None:
    assert (
        screen(grouped(ALL))
        == """
run         n   age  changed                                           acc ↑
qpvuntsm    1    2m  batch 128 → 64 · optim.lr 0.01 → 0.003   0.871
wlqtrvkp  4/5   40m  batch 64 → 128 · optim.lr 0.1 → 0.01     0.933 ± 0.004*
rstnvqoy    4    1d  first group of digits                    0.910 ± 0.003

3 groups of 10 runs · seed left out · * best mean · 1 failed, not counted
1 value not finite, not counted
"""
    )


def test_the_screen_at_120_columns() -> None:
    assert (
        screen(grouped(ALL), 120)
        == """
run         n   age  changed                                           acc ↑               loss ↓
qpvuntsm    1    2m  batch 128 → 64 · optim.lr 0.01 → 0.003   0.871            0.412
wlqtrvkp  4/5   40m  batch 64 → 128 · optim.lr 0.1 → 0.01     0.933 ± 0.004*   0.222 ± 0.007* (3)
rstnvqoy    4    1d  first group of digits                    0.910 ± 0.003    0.279 ± 0.009

3 groups of 10 runs · seed left out · * best mean · (n) values, where not every run has one · 1 failed, not counted
1 value not finite, not counted
"""
    )


def test_below_60_columns_the_metrics_go() -> None:
    assert (
        screen(grouped(ALL), 40)
        == """
run         n   age  changed
qpvuntsm    1    2m  2 changed
wlqtrvkp  4/5   40m  2 changed
rstnvqoy    4    1d  first group of dig…

3 groups of 10 runs · seed left out
1 failed, not counted
1 value not finite, not counted
"""
    )


def test_the_narrowest_screen() -> None:
    assert (
        screen(grouped(ALL), 20)
        == """
run         n  chan…
qpvuntsm    1  2 ch…
wlqtrvkp  4/5  2 ch…
rstnvqoy    4  firs…

3 groups of 10 runs
seed left out
1 failed, not count…
1 value not finite,…
"""
    )


def test_without_letters_beyond_ascii() -> None:
    assert screen(grouped(ALL), utf8=False).isascii()
    assert "0.910 +- 0.003" in screen(grouped(ALL), utf8=False)


def test_colour_marks_the_best_mean_a_group_of_one_and_a_failure() -> None:
    text = screen(grouped(ALL), colour=True)
    assert "\x1b[1m\x1b[32m0.933 ± 0.004*\x1b[0m\x1b[0m" in text
    assert "\x1b[31m4/5\x1b[0m" in text
    assert "\x1b[2m1\x1b[0m" in text and "\x1b[2m0.871\x1b[0m" in text


@pytest.mark.parametrize("width", [20, 30, 40, 59, 60, 80, 100, 120, 200])
def test_no_line_is_longer_than_the_screen(width: int) -> None:
    assert max(map(cell_width, screen(grouped(ALL), width).split("\n"))) <= width


def test_a_limit_cuts_the_list_and_still_compares_with_the_group_before() -> None:
    assert (
        screen(grouped(ALL), limit=1)
        == """
run       n   age  changed                                  acc ↑   loss ↓
qpvuntsm  1    2m  batch 128 → 64 · optim.lr 0.01 → 0.003   0.871    0.412

1 of 3 groups of 10 runs · seed left out
"""
    )


def test_the_first_group_of_each_experiment_is_said_so() -> None:
    other = Run(RunId("k" * 16), Status.COMPLETED, NOW, experiment="letters", params=nested(BASE), metrics={})
    assert (
        screen(grouped([other, *FIRST]), 60)
        == """
run       n   age  changed                          acc ↑
kkkkkkkk  1    0s  first group of letters       –
rstnvqoy  4    1d  first group of digits    0.910 ± 0.003

2 groups of 5 runs · seed left out
"""
    )


def test_a_seed_that_two_runs_share_is_said() -> None:
    twice = [*runs("rstnvqoy", 60, {}, (0.5, 1.0)), *runs("wlqtrvkp", 30, {}, (0.6, 1.0))]
    assert screen(grouped(twice)).split("\n")[-2] == "1 group of 2 runs · seed left out · 1 run with a seed that another has"


def test_many_seeds_are_named_in_part() -> None:
    names = {f"{name}_seed": 1 for name in ("a", "b", "c", "d", "e")}
    (found,) = grouped([Run(RunId("k" * 16), Status.COMPLETED, NOW, params=nested(names))])
    assert screen([found]).split("\n")[-2] == "1 group of 1 run · a_seed, b_seed, c_seed, 2 more left out"


def test_what_a_ledger_holds_commands_no_terminal() -> None:
    params, metrics = {"a\x1b[31m": "\x1b]0;x\x07"}, {"acc\x1b[2J": 0.5}
    bad = Run(RunId("k" * 16), Status.COMPLETED, NOW, experiment="\x1b[H", params=nested(params), metrics=metrics)
    good = Run(RunId("l" * 16), Status.COMPLETED, NOW - timedelta(1), experiment="\x1b[H", params=nested({}), metrics=metrics)
    found = grouped([bad, good])
    text = screen(found, 120) + render_compared(*found, terminal=Terminal(120), directions={})
    assert text.replace("\n", "").isprintable()


def test_no_groups_say_how_to_make_a_run() -> None:
    assert screen([]) == "\nNo runs yet.\nhint: gitparams run -- python train.py\n"
    assert screen([], filtered=True) == "\nNo run matches.\nhint: gitparams log shows them all\n"


# -- a mean and its noise -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([[0.91, 0.93], [0.9, 0.9], [0.5]], ["0.920 ± 0.014", "0.900 ± 0.000", "0.500        "]),
        ([[1204, 1300], [987, 999]], ["1 252 ± 68", "  993 ±  8"]),
        ([[100, 100], [50, 50]], ["100 ± 0", " 50 ± 0"]),
        ([[0.9341, 0.9342], [0.9, 0.9]], ["0.93415 ± 0.00007", "0.90000 ± 0.00000"]),
        ([[1e-8, 2e-8], [1.0, 2.0]], ["1.5e-8 ± 7.07e-9", "  1.50 ±    0.71"]),
        ([[math.nan, 0.5, 0.6], [math.nan]], ["0.550 ± 0.071", "  nan        "]),
        ([[0.5], [0.25]], ["0.50", "0.25"]),
        ([[3e9, 4e9]], ["3500000000 ± 707000000"]),
    ],
)
def test_means_are_aligned_with_the_decimals_their_noise_leaves(values: list[list[float]], texts: list[str]) -> None:
    assert spread_texts([spread(some) for some in values], Terminal()) == texts


@pytest.mark.parametrize(
    ("p", "text"),
    [(1.0, "p 1.0"), (0.0512, "p 0.051"), (0.04999, "p 0.04999"), (0.05, "p 0.05"), (0.00012, "p 0.0001"), (0.0, "p < 0.0001")],
)
def test_a_probability_stays_on_its_side_of_five_percent(p: float, text: str) -> None:
    assert p_text(p) == text


# -- two groups -----------------------------------------------------------------------------------------------------------


def beside(a: Group[Run], b: Group[Run], width: int = 100, **fields: Any) -> str:
    return "\n" + render_compared(a, b, terminal=Terminal(width), directions={}, **fields) + "\n"


def test_two_groups_beside_each_other() -> None:
    assert (
        beside(BEFORE, AFTER)
        == """
acc ↑   0.910 ± 0.003 (n 4)  0.933 ± 0.004 (n 4)  +0.023 better, beyond the noise (p < 0.0001)
loss ↓  0.279 ± 0.009 (n 4)  0.222 ± 0.007 (n 3)  −0.057 better, beyond the noise (p 0.0002)
"""
    )


def test_at_80_columns_what_is_said_stands_below() -> None:
    assert (
        beside(BEFORE, AFTER, 80)
        == """
acc ↑   0.910 ± 0.003 (n 4)  0.933 ± 0.004 (n 4)
  +0.023 better, beyond the noise (p < 0.0001)
loss ↓  0.279 ± 0.009 (n 4)  0.222 ± 0.007 (n 3)
  −0.057 better, beyond the noise (p 0.0002)
"""
    )


def test_at_40_columns_the_groups_stand_below_each_other() -> None:
    assert (
        beside(BEFORE, AFTER, 40)
        == """
acc ↑
  0.910 ± 0.003 (n 4)
  0.933 ± 0.004 (n 4)
  +0.023 better, beyond the noise (p <
  0.0001)
loss ↓
  0.279 ± 0.009 (n 4)
  0.222 ± 0.007 (n 3)
  −0.057 better, beyond the noise (p
  0.0002)
"""
    )


def test_what_all_metrics_lack_is_said_once() -> None:
    assert (
        beside(BEFORE, LONE)
        == """
acc ↑   0.910 ± 0.003 (n 4)  0.871 (n 1)  −0.039
loss ↓  0.279 ± 0.009 (n 4)  0.412 (n 1)  +0.133

1 run on a side: how large the noise is cannot be told
"""
    )


def test_the_difference_of_two_single_runs_has_no_more_digits_than_they_have() -> None:
    runs = [
        Run(RunId(name * 16), Status.COMPLETED, NOW, metrics={"loss": loss}) for name, loss in (("k", 0.095981), ("z", 0.516))
    ]
    said = beside(*(together([run]) for run in runs))
    assert (
        said
        == """
loss ↓  0.0960 (n 1)  0.516 (n 1)  +0.420; 1 run a side: how large the noise is cannot be told
"""
    )


def test_a_metric_of_one_side_and_one_without_a_direction() -> None:
    assert (
        beside(BEFORE, AFTER, metrics=["acc", "zeal"])
        == """
acc ↑  0.910 ± 0.003 (n 4)  0.933 ± 0.004 (n 4)  +0.023 better, beyond the noise (p < 0.0001)
zeal   –                    –                    no completed run has zeal
"""
    )


def test_many_metrics_are_said_to_raise_false_alarms() -> None:
    def side(mean: float) -> list[Run]:
        return [
            Run(
                RunId(letter * 16),
                Status.COMPLETED,
                NOW,
                params=nested({"x": mean}),
                metrics={f"m{n}": mean + off for n in range(5)},
            )
            for letter, off in (("k", 0.1), ("l", 0.2), ("m", 0.3))
        ]

    (a,), (b,) = grouped(side(1)), grouped(side(2))
    assert beside(a, b).split("\n")[-2] == "5 metrics compared: by chance alone one in twenty is beyond the noise"


def test_groups_without_metrics_have_nothing_to_compare() -> None:
    (empty,) = grouped([Run(RunId("k" * 16), Status.COMPLETED, NOW)])
    assert beside(empty, empty) == "\nNo metrics to compare.\n"


# -- by keys one names ----------------------------------------------------------------------------------------------------


def summed(by: list[str], agg: list[str], width: int = 80) -> str:
    rows = aggregated(ALL, by, agg)
    return "\n" + render_aggregated(rows, by, agg, terminal=Terminal(width), directions={}) + "\n"


def test_runs_summed_up_by_a_param() -> None:
    assert (
        summed(["optim.lr"], ["mean"])
        == """
optim.lr  n    acc ↑   loss ↓
   0.003  1   0.871    0.412
    0.01  5   0.933*   0.222*
     0.1  4   0.910    0.279

3 groups of 10 runs · * best
"""
    )


def test_runs_summed_up_by_two_keys_in_two_ways() -> None:
    assert (
        summed(["batch", "status"], ["best", "count"])
        == """
batch  status     n   acc ↑ best   acc count   loss ↓ best   loss count
   64  completed  5       0.914            5        0.270             5
  128  completed  4       0.938*           4        0.215*            3
  128  failed     1           –            –            –             –

3 groups of 10 runs · * best
"""
    )


def test_columns_that_do_not_fit_are_counted() -> None:
    assert (
        summed(["params.optim.lr"], ["mean", "std"], 40)
        == """
params.optim.lr  n   acc ↑ mean
          0.003  1       0.871
           0.01  5       0.933*
            0.1  4       0.910

3 groups of 10 runs · * best
3 more columns
"""
    )


def test_no_runs_to_sum_up_say_how_to_make_one() -> None:
    text = render_aggregated([], ["lr"], ["mean"], terminal=Terminal(), directions={})
    assert text == "No runs yet.\nhint: gitparams run -- python train.py"


# -- documents ------------------------------------------------------------------------------------------------------------


def test_the_document_of_a_group() -> None:
    assert group_document(AFTER) == {
        "experiment": "digits",
        "n": 4,
        "runs": [
            *(
                {"id": run.id, "status": "completed", "started": run.started.isoformat(), "seeds": {"seed": place}}
                for place, run in enumerate(BETTER)
            ),
            {"id": FAILED[0].id, "status": "failed", "started": FAILED[0].started.isoformat(), "seeds": {"seed": 0}},
        ],
        "params": {"batch": 128, "optim": {"lr": 0.01}},
        "left_out": ["seed"],
        "repeated_seeds": 0,
        "metrics": {
            "acc": {
                "n": 4,
                "mean": pytest.approx(0.93325),
                "std": pytest.approx(0.0035940, rel=1e-4),
                "min": 0.93,
                "max": 0.938,
                "interval": pytest.approx([0.927531, 0.938969], rel=1e-5),
                "not_finite": 0,
            },
            "loss": {
                "n": 3,
                "mean": pytest.approx(0.2216667),
                "std": pytest.approx(0.0070238, rel=1e-4),
                "min": 0.215,
                "max": 0.229,
                "interval": pytest.approx([0.204219, 0.239115], rel=1e-5),
                "not_finite": 1,
            },
        },
    }


def test_the_document_of_a_difference() -> None:
    found = difference_document(compared(BEFORE, LONE, "acc"))
    assert found["delta"] == pytest.approx(-0.03925)
    assert (found["p"], found["exceeds"], found["after"]["n"]) == (None, None, 1)
    assert found["why"] == "1 run on a side: how large the noise is cannot be told"


def test_the_document_of_a_sum() -> None:
    (found,) = aggregated(ONE, ["optim.lr", "branch"], ["mean"], directions={"acc": Direction.MAX})
    assert aggregate_document(found, ["optim.lr", "branch"]) == {
        "by": {"optim.lr": 0.003},
        "n": 1,
        "completed": 1,
        "newest": ONE[0].id,
        "metrics": {"acc": {"mean": 0.871}, "loss": {"mean": 0.412}},
    }
