from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gitparams.index import BrokenRun, Listed
from gitparams.model import Run, RunId, Status
from gitparams.params import nested
from gitparams.screens.graph import render
from gitparams.screens.terminal import Terminal, cell_width

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def run(identity: str, minutes: int, parent: str | None = None, **fields: Any) -> Run:
    params = {"optim": {"lr": 0.1}, "batch": 64, **fields.pop("params", {})}
    fields = {"status": Status.COMPLETED, "experiment": "digits", **fields}
    return Run(
        RunId(identity * 2),
        started=NOW - timedelta(minutes=minutes),
        params=nested(params),
        parent=RunId(parent * 2) if parent else None,
        **fields,
    )


FIRST = run("rstnvqoy", 90, metrics={"acc": 0.91, "loss": 0.27, "time": 12}, name="baseline")
SLOW = run("kkmpptxz", 50, "rstnvqoy", params={"optim": {"lr": 0.01}}, metrics={"acc": 0.9345})
WIDE = run("zmxnyosr", 40, "rstnvqoy", params={"batch": 128, "width": 5}, status=Status.FAILED, exit_code=1)
SLOWER = run("wlqtrvkp", 30, "kkmpptxz", params={"optim": {"lr": 0.003}}, metrics={"acc": 0.871})
OTHER = run("llllkkkk", 20, params={"batch": 32})
SWEEP = run("ssssmmmm", 10, params={}, group=True, command=("sh", "sweep.sh"))
ONE = run("oooopppp", 9, "ssssmmmm", params={"seed": 1})
TWO = run("ttttpppp", 8, "ssssmmmm", params={"seed": 2})
ROWS = [
    Listed(TWO, ONE),
    Listed(ONE, OTHER),
    Listed(SWEEP, OTHER),
    Listed(OTHER, SLOWER),
    Listed(SLOWER, SLOW),
    Listed(WIDE, SLOW),
    Listed(SLOW, FIRST),
    Listed(FIRST),
]


def screen(rows: list[Listed], width: int = 80, *, total: int | None = None, utf8: bool = True, **fields: Any) -> str:
    terminal = Terminal(width, fields.pop("colour", False), utf8)
    text = render(rows, total=total or len(rows), terminal=terminal, directions={}, now=NOW, **fields)
    return "\n" + text + "\n"


# -- whole screens --------------------------------------------------------------------------------------------------------


def test_the_screen_at_80_columns() -> None:
    assert (
        screen(ROWS, total=148)
        == """
● ttttpppp   8m  seed 1 → 2
│ ● oooopppp   9m  batch 32 → 64 · +seed 1
├─╯
◆ ssssmmmm  10m  group: sh sweep.sh
● llllkkkk  20m  batch 64 → 32 · optim.lr 0.003 → 0.1
● wlqtrvkp  30m  optim.lr 0.01 → 0.003   acc 0.871
│ ● zmxnyosr  40m  failed 1  batch 64 → 128 · +width 5
● │ kkmpptxz  50m  optim.lr 0.1 → 0.01   acc 0.934
├─╯
● rstnvqoy   1h  (baseline)  first run of digits   acc 0.910 · loss 0.27

8 of 148 runs
"""
    )


def test_the_screen_at_120_columns_in_ascii() -> None:
    assert (
        screen(ROWS, 120, utf8=False)
        == """
* ttttpppp   8m  seed 1 -> 2
| * oooopppp   9m  batch 32 -> 64, +seed 1
|/
* ssssmmmm  10m  group: sh sweep.sh
* llllkkkk  20m  batch 64 -> 32, optim.lr 0.003 -> 0.1
* wlqtrvkp  30m  optim.lr 0.01 -> 0.003   acc 0.871
| * zmxnyosr  40m  failed 1  batch 64 -> 128, +width 5
* | kkmpptxz  50m  optim.lr 0.1 -> 0.01   acc 0.934
|/
* rstnvqoy   1h  (baseline)  first run of digits   acc 0.910, loss 0.27

8 runs
"""
    )


def test_the_screen_at_40_columns() -> None:
    assert (
        screen(ROWS, 40)
        == """
● ttttpppp   8m  seed 1 → 2
│ ● oooopppp   9m  2 changed
├─╯
◆ ssssmmmm  10m  group: sh sweep.sh
● llllkkkk  20m  batch 64 → 32 · 1 more
● wlqtrvkp  30m  optim.lr 0.01 → 0.003
│ ● zmxnyosr  40m  failed 1  2 changed
● │ kkmpptxz  50m  optim.lr 0.1 → 0.01
├─╯
● rstnvqoy   1h  first run of digits

8 runs
"""
    )


def test_colour_says_nothing_that_words_do_not() -> None:
    assert screen(ROWS[4:6], colour=True).split("\n")[1:4] == [
        "● \x1b[33mwlqtrvkp\x1b[0m  \x1b[2m30m\x1b[0m  optim.lr 0.01 \x1b[2m→\x1b[0m 0.003   acc 0.871",
        "│",
        "~ \x1b[2mkkmpptxz\x1b[0m",
    ]


def test_a_chain_is_joined_by_lines_and_strangers_are_not() -> None:
    assert (
        screen([Listed(OTHER, SLOWER), Listed(SLOWER, SLOW), Listed(SLOW, FIRST), Listed(FIRST)])
        == """
● llllkkkk  20m  optim.lr 0.003 → 0.1 · batch 64 → 32
● wlqtrvkp  30m  optim.lr 0.01 → 0.003   acc 0.871
│
● kkmpptxz  50m  optim.lr 0.1 → 0.01   acc 0.934
│
● rstnvqoy   1h  (baseline)  first run of digits   acc 0.910 · loss 0.27

4 runs
"""
    )


def test_children_of_one_that_is_not_listed_meet_in_it() -> None:
    assert (
        screen([Listed(TWO, ONE), Listed(ONE, OTHER), Listed(SLOWER, SLOW)])
        == """
● ttttpppp   8m  seed 1 → 2
│ ● oooopppp   9m  batch 32 → 64 · +seed 1
├─╯
~ ssssmmmm
● wlqtrvkp  30m  optim.lr 0.01 → 0.003   acc 0.871
│
~ kkmpptxz

3 runs · ~ not listed
"""
    )


def test_ancestors_that_are_known_join_what_is_listed() -> None:
    assert (
        screen([Listed(SLOWER, WIDE), Listed(FIRST)], parents={SLOW.id: SLOW})
        == """
● wlqtrvkp  30m  optim.lr 0.01 → 0.003   acc 0.871
│
~ kkmpptxz
│
● rstnvqoy   1h  (baseline)  first run of digits   acc 0.910 · loss 0.27

2 runs · ~ not listed
"""
    )


def test_a_broken_run_and_a_doubtful_one_are_marked() -> None:
    broken = BrokenRun(RunId("qqqqqqqqqqqqqqqq"), NOW - timedelta(minutes=3), "Ada <a@b>", "run.json is missing.\x1b[31m")
    doubtful = replace(OTHER, disputed=("batch",))
    assert (
        screen([Listed(broken), Listed(doubtful, SLOWER)])
        == """
● qqqqqqqq    3m  broken  run.json is missing.\\x1b[31m
● llllkkkk!  20m  batch 64 → 32 · optim.lr 0.003 → 0.1

2 runs · ! sources disagree (gitparams check)
"""
    )


def test_without_runs_the_screen_says_how_to_begin() -> None:
    assert screen([], total=0) == "\nNo runs yet.\nhint: gitparams run -- python train.py\n"


# -- lines ----------------------------------------------------------------------------------------------------------------


def family(*links: str) -> list[Listed]:
    """Return runs, newest first, from words such as ``ab``: run a with parent b."""
    return [
        Listed(run(word[0] * 8, place, word[1] * 8 if len(word) > 1 else None), FIRST) for place, word in enumerate(links, 1)
    ]


def shape(rows: list[Listed], width: int = 120, **fields: Any) -> str:
    """Return the graph with one letter of each id for its label."""
    graph = screen(rows, width, **fields).rpartition("\n\n")[0]
    return re.sub(r"([k-z])\1{7}.*", r"\1", graph) + "\n"


FAR = family("kz", "lw", "mx", "nz", "w", "x", "z")


def test_a_far_lane_comes_home_below_the_others() -> None:
    assert (
        shape(FAR, utf8=False)
        == """
* k
| * l
| | * m
| | | * n
| |_|/
|/| |
| * | w
|   * x
* z
"""
    )


def test_a_far_lane_comes_home_across_the_others() -> None:
    assert (
        shape(FAR)
        == """
● k
│ ● l
│ │ ● m
│ │ │ ● n
├─┼─┼─╯
│ ● │ w
│   ● x
● z
"""
    )


def test_a_lane_that_was_left_serves_again() -> None:
    assert (
        shape(family("kz", "lz", "my", "nz", "y", "z"))
        == """
● k
│ ● l
├─╯
│ ● m
│ │ ● n
├─┼─╯
│ ● y
● z
"""
    )


def test_a_parent_that_is_younger_by_its_clock_still_comes_after_its_child() -> None:
    assert (
        shape(family("k", "lk"))
        == """
● l
│
● k
"""
    )


def test_a_circle_of_parents_is_cut() -> None:
    assert (
        shape(family("kl", "lm", "mk", "nn"))
        == """
● k
│
● l
│
● m
● n
"""
    )


def identity(number: int) -> RunId:
    letters = "klmnopqrstuvwxyz"
    return RunId("".join(letters[number >> shift & 15] for shift in range(60, -4, -4)))


def test_a_chain_of_ten_thousand_runs_is_drawn() -> None:
    chain = [
        Listed(Run(identity(n), Status.COMPLETED, NOW - timedelta(seconds=n), parent=identity(n + 1) if n < 9999 else None))
        for n in range(10_000)
    ]
    lines = screen(chain).split("\n")[1:-3]
    assert (len(lines), lines[1], lines[-1]) == (19_999, "│", "● kkkkkkkk   2h  first run of default")


def test_lanes_that_the_screen_has_no_room_for_are_left_out() -> None:
    assert (
        shape(family("kw", "lx", "my", "nz", "ox", "w", "x", "y", "z"), 20)
        == """
● k
│ ● l
│ │ ● m
│ │ │…● n
│ │ │…● o
│ ├─┼─…
● │ │… w
  ● │… x
    ●… y
…● z
"""
    )


# -- any lineage ----------------------------------------------------------------------------------------------------------


@st.composite
def lineages(draw: st.DrawFn) -> list[Listed]:
    count = draw(st.integers(1, 25))
    parents = draw(st.lists(st.none() | st.integers(0, 30), min_size=count, max_size=count))
    ages = draw(st.lists(st.integers(0, 10**6), min_size=count, max_size=count))
    runs = [
        Run(
            identity(n << 32),
            draw(st.sampled_from(Status)),
            NOW - timedelta(seconds=age),
            parent=None if parent is None else identity(parent << 32),
            name=draw(st.none() | st.sampled_from(["学" * 30, "\x1b[2J", "warm"])),
            params=nested({"lr": draw(st.integers(0, 3))}),
            metrics=draw(st.dictionaries(st.sampled_from(["acc", "x" * 40]), st.floats(), max_size=2)),
        )
        for n, (parent, age) in enumerate(zip(parents, ages, strict=True))
    ]
    return [Listed(one, draw(st.none() | st.just(runs[0]))) for one in runs]


@settings(deadline=None, max_examples=100)
@given(lineages(), st.builds(Terminal, st.integers(40, 160), st.just(False), st.booleans()))
def test_a_graph_has_every_run_once_below_its_children_and_within_the_terminal(rows: list[Listed], terminal: Terminal) -> None:
    text = render(rows, total=99, terminal=terminal, directions={}, now=NOW)
    assert all(cell_width(line) <= terminal.width and line == line.rstrip() for line in text.split("\n"))
    assert all(line.isprintable() and (terminal.utf8 or line.isascii()) for line in text.split("\n"))
    assert [text.count(f" {row.run.id[:8]}") for row in rows] == [1] * len(rows)
