from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitparams import query
from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.index import BrokenRun, Listed
from gitparams.model import CodeState, Oid, Run, RunId, Status
from gitparams.params import nested
from gitparams.screens.columns import FIELDS, chosen, render, to_markdown
from gitparams.screens.log import to_csv
from gitparams.screens.terminal import Terminal, cell_width

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def run(identity: str, ago: int, params: dict[str, Any], status: Status = Status.COMPLETED, **fields: Any) -> Run:
    fields = {"experiment": "digits", "finished": NOW - timedelta(seconds=ago // 2), **fields}
    return Run(RunId(identity * 2), status, NOW - timedelta(seconds=ago), params=nested(params), **fields)


LIVE = run(
    "qpvuntsm",
    120,
    {"optim": {"lr": 0.003, "name": "adam"}, "batch": 128, "amp": True, "seed": 1},
    Status.RUNNING,
    metrics={"acc": 0.871, "val/loss": 0.412},
    finished=None,
    code=CodeState(Oid("4f2c1ab" * 5 + "abcde"), "main"),
)
BEST = run(
    "wlqtrvkp",
    2400,
    {"optim": {"lr": 1e-05, "name": "adam"}, "batch": 128, "amp": True, "seed": 1},
    metrics={"acc": 0.934, "val/loss": 0.221},
    name="warm",
    tags=("paper", "resnet"),
)
FIRST = run(
    "rstnvqoy",
    86400,
    {"optim": {"lr": 0.1, "name": "adam", "warmup": 500}, "batch": 64, "amp": True, "seed": 1},
    metrics={"acc": 0.91, "val/loss": 0.27},
)
ROWS = [Listed(LIVE, BEST), Listed(BEST, FIRST), Listed(FIRST)]


def names(words: list[str], rows: list[Listed] = ROWS) -> list[str]:
    return [column.name for column in chosen(rows, words)]


def screen(words: list[str], width: int = 80, rows: list[Listed] = ROWS, *, total: int = 3, **fields: Any) -> str:
    terminal = Terminal(width, fields.pop("colour", False), fields.pop("utf8", True))
    directions = fields.pop("directions", {"acc": Direction.MAX})
    text = render(rows, chosen(rows, words), total=total, terminal=terminal, directions=directions, now=NOW, **fields)
    return "\n" + text + "\n"


# -- words ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("status", ["status"]),
        ("params.batch", ["params.batch"]),
        ("batch", ["params.batch"]),
        ("acc", ["metrics.acc"]),
        ("metrics.acc", ["metrics.acc"]),
        ("params.optim", ["params.optim.lr", "params.optim.name", "params.optim.warmup"]),
        ("optim.*", ["params.optim.lr", "params.optim.name", "params.optim.warmup"]),
        ("params.*a*", ["params.amp", "params.batch", "params.optim.name", "params.optim.warmup"]),
        ("*a*c*", ["params.batch", "metrics.acc"]),
        ("val*", ["metrics.val/loss"]),
        ("metrics", ["metrics.acc", "metrics.val/loss"]),
        ("changed", ["params.batch", "params.optim.lr", "params.optim.warmup"]),
        ("acc,status, seed", ["metrics.acc", "status", "params.seed"]),
    ],
)
def test_a_word_names_columns(word: str, named: list[str]) -> None:
    assert names([word]) == named


def test_all_are_the_params_and_then_the_metrics() -> None:
    assert names(["all"]) == [
        "params.amp",
        "params.batch",
        "params.optim.lr",
        "params.optim.name",
        "params.optim.warmup",
        "params.seed",
        "metrics.acc",
        "metrics.val/loss",
    ]


def test_columns_stand_in_the_order_of_the_words_and_once() -> None:
    assert names(["acc", "optim.lr", "params.optim.*", "acc"]) == [
        "metrics.acc",
        "params.optim.lr",
        "params.optim.name",
        "params.optim.warmup",
    ]


def test_a_key_of_both_params_and_metrics_is_two_columns_with_whole_names() -> None:
    rows = [Listed(run("kkkkkkkk", 60, {"time": 5}, metrics={"time": 7}))]
    assert (
        screen(["time"], rows=rows, total=1)
        == """
run        age  params.time   time
kkkkkkkk    1m            5      7

1 run
"""
    )


def test_a_field_wins_over_a_param_of_its_name() -> None:
    rows = [Listed(run("kkkkkkkk", 60, {"name": "adam"}))]
    assert (names(["name"], rows), names(["params.name"], rows)) == (["name"], ["params.name"])


def test_every_field_of_a_query_can_be_a_column_and_the_other_way_round() -> None:
    assert FIELDS.keys() == query.FIELDS.keys()


def test_every_field_is_in_the_file_of_columns_too() -> None:
    (record,) = csv.DictReader(io.StringIO(to_csv([Listed(FIRST)], list(FIELDS))))
    assert [name for name in FIELDS if FIELDS[name](FIRST) and not record[name]] == []
    assert list(record) == list(FIELDS)


def test_odd_keys_are_named_as_they_are_written() -> None:
    rows = [Listed(run("kkkkkkkk", 60, {"a.b": {"c": 1}, "x,y": 2}))]
    assert names(['params["a.b"].c'], rows) == ['params["a.b"].c']
    assert names(["x,y"], rows) == ["params.x,y"]


def test_seeds_come_last_among_what_changed() -> None:
    rows = [Listed(run("kkkkkkkk", 60, {"seed": 1, "zeta": 1})), Listed(run("llllllll", 60, {"seed": 2, "zeta": 2}))]
    assert names(["changed"], rows) == ["params.zeta", "params.seed"]


def test_groups_and_broken_runs_have_no_part_in_what_changed() -> None:
    group = run("kkkkkkkk", 60, {}, group=True)
    rows = [Listed(group), Listed(BrokenRun(RunId("?abc"), NOW, "Ada", "gone")), Listed(FIRST), Listed(FIRST)]
    assert names(["changed"], rows) == []


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("lr", "No run that is shown has 'lr'; did you mean optim.lr?"),
        ("acuracy", "No run that is shown has 'acuracy'; did you mean acc?"),
        ("stats", "No run that is shown has 'stats'; did you mean status, tags, started?"),
        ("params.lr", "No run that is shown has 'params.lr'; did you mean params.optim.lr?"),
        (
            "params.opt",
            "No run that is shown has 'params.opt'; did you mean params.optim.lr, params.optim.name, params.optim.warmup?",
        ),
        ("metrics.batch", "No run that is shown has 'metrics.batch'; did you mean params.batch?"),
        ("zzz*", "No run that is shown has 'zzz*'."),
        ("", "No run that is shown has ''."),
    ],
)
def test_a_word_that_names_nothing_is_an_error_with_near_misses(word: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(ROWS, [word])
    assert caught.value.message == message


def test_what_only_other_runs_have_is_a_column_all_the_same() -> None:
    asked = []

    def everywhere(kind: str) -> Iterable[str]:
        asked.append(kind)
        return ["depth", "optim.lr"] if kind == "params" else ["f1"]

    found = [column.name for column in chosen(ROWS, ["optim.lr", "depth", "f1"], everywhere)]
    assert (found, asked) == (["params.optim.lr", "params.depth", "metrics.f1"], ["params", "metrics"] * 2)


def test_without_runs_no_word_is_wrong() -> None:
    assert chosen([], ["optim.lr", "changed"]) == ()


# -- the table ------------------------------------------------------------------------------------------------------------


def test_the_screen_at_80_columns() -> None:
    assert (
        screen(["optim", "batch", "metrics", "seed"], total=148)
        == """
run        age  optim.lr  optim.warmup  batch    acc ↑   val/loss ↓
qpvuntsm    2m     0.003             –    128   0.871        0.412
wlqtrvkp   40m      1e-5             –    128   0.934*       0.221*
rstnvqoy    1d     0.1             500     64   0.910        0.270

3 of 148 runs · * best
2 constant columns left out: optim.name adam · seed 1
val/loss ↓ by its name; metrics: in gitparams.yaml decides
"""
    )


def test_the_screen_at_120_columns() -> None:
    assert (
        screen(["all", "status", "name", "tags", "commit"], 120)
        == """
run        age  batch  optim.lr  optim.warmup    acc ↑   val/loss ↓  status     name  tags          commit
qpvuntsm    2m    128     0.003             –   0.871        0.412   running                        4f2c1ab4f2
wlqtrvkp   40m    128      1e-5             –   0.934*       0.221*  completed  warm  paper resnet
rstnvqoy    1d     64     0.1             500   0.910        0.270   completed

3 runs · * best
3 constant columns left out: amp True · optim.name adam · seed 1
val/loss ↓ by its name; metrics: in gitparams.yaml decides
"""
    )


def test_the_screen_at_40_columns() -> None:
    assert (
        screen(["all"], 40)
        == """
run        age  batch  optim.lr
qpvuntsm    2m    128     0.003
wlqtrvkp   40m    128      1e-5
rstnvqoy    1d     64     0.1

3 runs · and 3 more columns
3 constant columns left out
"""
    )


def test_constant_columns_stay_where_there_is_room() -> None:
    assert (
        screen(["seed", "amp"])
        == """
run        age  seed  amp
qpvuntsm    2m     1  True
wlqtrvkp   40m     1  True
rstnvqoy    1d     1  True

3 runs
"""
    )


def test_a_column_that_is_too_wide_alone_is_cut_and_ids_are_not() -> None:
    rows = [Listed(run("kkkkkkkk", 60, {"x": 10**40, "y": 1})), Listed(run("llllllll", 60, {"x": 2, "y": 1}))]
    assert (
        screen(["x", "y"], 24, rows=rows, total=2)
        == """
run       x
kkkkkkkk  1000000000000…
llllllll  2

2 runs
1 constant column left …
"""
    )


def test_without_utf_8_the_screen_is_ascii() -> None:
    assert (
        screen(["optim.warmup", "note", "acc"], utf8=False)
        == """
run        age  optim.warmup  note   acc (max)
qpvuntsm    2m             -            0.871
wlqtrvkp   40m             -            0.934*
rstnvqoy    1d           500            0.910

3 runs, * best
"""
    )


def test_colour_says_nothing_that_words_do_not() -> None:
    assert screen(["status", "optim.warmup", "acc"], colour=True).split("\n")[1:3] == [
        "\x1b[2mrun        age  status     optim.warmup    acc ↑\x1b[0m",
        "qpvuntsm    \x1b[2m2m\x1b[0m  \x1b[33mrunning\x1b[0m               \x1b[2m–\x1b[0m   0.871",
    ]


def test_a_broken_run_shows_what_is_known_of_it() -> None:
    broken = BrokenRun(RunId("qqqqqqqqqqqqqqqq"), NOW - timedelta(days=20), "Ada <a@b>", "run.json is missing.\x1b[31m")
    assert (
        screen(["status", "host", "acc", "note", "seed"], rows=[Listed(FIRST), Listed(broken)], total=2)
        == """
run        age  status     host   acc ↑  note                          seed
rstnvqoy    1d  completed          0.91                                   1
qqqqqqqq    2w  broken                –  run.json is missing.\\x1b[31m     –

2 runs
"""
    )


def test_long_values_are_cut_where_they_differ() -> None:
    rows = [
        Listed(run("kkkkkkkk", 60, {"data": "/data/a/long/way/to/the/train"})),
        Listed(run("llllllll", 60, {"data": "/data/a/long/way/to/the/val"})),
    ]
    assert (
        screen(["data"], rows=rows, total=2)
        == """
run        age  data
kkkkkkkk    1m  …a/long/way/to/the/train
llllllll    1m  …a/a/long/way/to/the/val

2 runs
"""
    )


def test_headings_are_whole_when_cutting_would_make_them_alike() -> None:
    params = {"critic": {"optimizer": {"learning_rate": 1}}, "main": {"optimizer": {"learning_rate": 2}}}
    assert (
        screen(["all"], rows=[Listed(run("kkkkkkkk", 60, params))], total=1)
        == """
run        age  critic.optimizer.learning_rate  main.optimizer.learning_rate
kkkkkkkk    1m                               1                             2

1 run
"""
    )


def test_nothing_changed_leaves_no_columns() -> None:
    assert (
        screen(["changed"], rows=[Listed(FIRST), Listed(FIRST)], total=2)
        == """
run        age
rstnvqoy    1d
rstnvqoy    1d

2 runs · no columns to show
"""
    )


def test_without_runs_the_screen_says_how_to_begin() -> None:
    assert screen(["changed"], rows=[], total=0) == "\nNo runs yet.\nhint: gitparams run -- python train.py\n"


def test_markdown_has_all_the_columns_and_no_spaces_for_show() -> None:
    columns = chosen(ROWS, ["all", "name"])
    assert to_markdown(ROWS, columns, directions={}, now=NOW) == (
        "| run | age | amp | batch | optim.lr | optim.name | optim.warmup | seed | acc ↑ | val/loss ↓ | name |\n"
        "| --- | --- | --- | --: | --: | --- | --: | --: | --: | --: | --- |\n"
        "| qpvuntsm | 2m | True | 128 | 0.003 | adam | – | 1 | 0.871 | 0.412 |  |\n"
        "| wlqtrvkp | 40m | True | 128 | 1e-5 | adam | – | 1 | 0.934\\* | 0.221\\* | warm |\n"
        "| rstnvqoy | 1d | True | 64 | 0.1 | adam | 500 | 1 | 0.910 | 0.270 |  |\n"
    )


# -- whatever is in a run -------------------------------------------------------------------------------------------------

TEXT = st.sampled_from(["\x1b[2J", "a\nb", "\u202eabc", "学" * 50, "x" * 300, "\ud800", "", "a.b", "*", "[", ","]) | st.text(
    max_size=9
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just(10**400) | st.lists(TEXT, max_size=2)
RUNS = st.builds(
    lambda params, metrics, note: run("kkkkkkkk", 60, params, metrics=metrics, note=note),
    st.dictionaries(TEXT, VALUES | st.dictionaries(TEXT, VALUES, max_size=2), max_size=4),
    st.dictionaries(TEXT, st.integers() | st.floats() | st.just(10**400), max_size=3),
    TEXT,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(RUNS, min_size=1, max_size=4), st.builds(Terminal, st.integers(20, 160), st.booleans(), st.booleans()))
def test_a_table_is_never_wider_than_the_terminal_and_its_ids_are_whole(some: list[Run], terminal: Terminal) -> None:
    rows = [Listed(one) for one in some]
    plain = Terminal(terminal.width, False, terminal.utf8)
    text = render(rows, chosen(rows, ["note", "all"]), total=9, terminal=plain, directions={}, now=NOW)
    assert all(cell_width(line) <= terminal.width and line == line.rstrip() for line in text.split("\n"))
    assert all(line.isprintable() and (terminal.utf8 or line.isascii()) for line in text.split("\n"))
    assert text.count("kkkkkkkk") == len(rows)


@settings(deadline=None, max_examples=60)
@given(st.lists(RUNS, min_size=1, max_size=3))
def test_every_column_can_be_asked_for_by_its_name(some: list[Run]) -> None:
    rows = [Listed(one) for one in some]
    columns = [column.name for column in chosen(rows, ["params", "metrics"])]
    assert chosen(rows, columns) == chosen(rows, ["params", "metrics"])
