from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gitparams.directions import Direction
from gitparams.index import BrokenRun, Listed
from gitparams.model import CodeState, Oid, Run, RunId, Status
from gitparams.params import merge, nested
from gitparams.screens.documents import json_lines, listed_document
from gitparams.screens.log import guess_text, render, render_oneline, render_patch, to_csv, to_markdown
from gitparams.screens.terminal import Terminal

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BASE: dict[str, Any] = {
    **{f"p{number}": number for number in range(38)},
    "optim": {"lr": 0.1},
    "batch": 64,
    "model": {"depth": 3},
    "seed": 1,
}


def run(identity: str, ago: int, params: dict[str, Any], status: Status = Status.COMPLETED, **fields: Any) -> Run:
    fields = {"experiment": "digits", "metrics": {}, **fields}
    return Run(RunId(identity * 2), status, NOW - timedelta(seconds=ago), params=nested(merge(BASE, params)), **fields)


FIRST = run("rstnvqoy", 86400, {}, metrics={"acc": 0.91, "loss": 0.27}, name="baseline")
SEED = run("kkmpptxz", 3 * 3600, {"seed": 2}, metrics={"acc": 0.912, "loss": 0.268})
DEEP = run(
    "zmxnyosr",
    3600,
    {"seed": 3, "model": {"depth": 12, "width": 64}},
    Status.FAILED,
    exit_code=1,
    metrics={"loss": float("nan")},
)
BEST = run(
    "wlqtrvkp", 2400, {"seed": 2, "batch": 128, "optim": {"lr": 0.01, "warmup": 500}}, metrics={"acc": 0.934, "loss": 0.221}
)
LIVE = run(
    "qpvuntsm",
    120,
    {"seed": 2, "batch": 128, "optim": {"lr": 0.003, "warmup": 500}},
    Status.RUNNING,
    metrics={"acc": 0.871, "loss": 0.412},
)
ROWS = [Listed(LIVE, BEST), Listed(BEST, SEED), Listed(DEEP, SEED), Listed(SEED, FIRST), Listed(FIRST)]


def screen(
    rows: list[Listed], width: int = 80, *, total: int | None = None, colour: bool = False, utf8: bool = True, **fields: Any
) -> str:
    text = render(
        rows,
        total=total or len(rows),
        terminal=Terminal(width, colour, utf8),
        directions=fields.pop("directions", {}),
        now=NOW,
        **fields,
    )
    return "\n" + text + "\n"


def changed(rows: list[Listed], width: int = 80) -> list[str]:
    return [line[16:].strip() for line in screen(rows, width).split("\n")[2 : 2 + len(rows)]]


# -- the table ------------------------------------------------------------------------------------------------------------


def test_the_screen_at_80_columns() -> None:
    assert (
        screen(ROWS, total=148)
        == """
run        age  status    changed                                 acc ↑   loss ↓
qpvuntsm    2m  running   optim.lr 0.01 → 0.003                  0.871    0.412
wlqtrvkp   40m            optim.lr 0.1 → 0.01 · 2 more           0.934*   0.221*
zmxnyosr    1h  failed 1  model.depth 3 → 12 · 2 more                –      nan
kkmpptxz    3h            seed 1 → 2                             0.912    0.268
rstnvqoy    1d            first run of digits                    0.910    0.270

5 of 148 runs · 38 params equal in all · * best
acc ↑, loss ↓ by their names; metrics: in gitparams.yaml decides
"""
    )


def test_the_screen_at_120_columns_has_names() -> None:
    assert (
        screen(ROWS, 120, total=148)
        == """
run        age  status    name      changed                                                     acc ↑   loss ↓
qpvuntsm    2m  running             optim.lr 0.01 → 0.003                                      0.871    0.412
wlqtrvkp   40m                      optim.lr 0.1 → 0.01 · batch 64 → 128 · +optim.warmup 500   0.934*   0.221*
zmxnyosr    1h  failed 1            model.depth 3 → 12 · +model.width 64 · seed 2 → 3              –      nan
kkmpptxz    3h                      seed 1 → 2                                                 0.912    0.268
rstnvqoy    1d            baseline  first run of digits                                        0.910    0.270

5 of 148 runs · 38 params equal in all · * best
acc ↑, loss ↓ by their names; metrics: in gitparams.yaml decides
"""
    )


def test_the_screen_at_40_columns() -> None:
    assert (
        screen(ROWS, 40, total=148)
        == """
run        age  changed
qpvuntsm    2m  optim.lr 0.01 → 0.003
wlqtrvkp   40m  …lr 0.1 → 0.01 · 2 more
zmxnyosr    1h  …depth 3 → 12 · 2 more
kkmpptxz    3h  seed 1 → 2
rstnvqoy    1d  first run of digits

5 of 148 runs · 38 params equal in all
"""
    )


def test_below_60_columns_the_metrics_go() -> None:
    assert (
        screen(ROWS, 50, total=148)
        == """
run        age  status    changed
qpvuntsm    2m  running   optim.lr 0.01 → 0.003
wlqtrvkp   40m            …lr 0.1 → 0.01 · 2 more
zmxnyosr    1h  failed 1  …depth 3 → 12 · 2 more
kkmpptxz    3h            seed 1 → 2
rstnvqoy    1d            first run of digits

5 of 148 runs · 38 params equal in all
"""
    )


def test_a_narrow_screen_keeps_ids_and_says_how_many_changed() -> None:
    assert (
        screen(ROWS[1:4], 24)
        == """
run       changed
wlqtrvkp  3 changed
zmxnyosr  3 changed
kkmpptxz  seed 1 → 2

3 runs
"""
    )


def test_without_utf_8_the_screen_is_ascii() -> None:
    assert (
        screen(ROWS, utf8=False)
        == """
run        age  status    changed                         acc (max)   loss (min)
qpvuntsm    2m  running   optim.lr 0.01 -> 0.003             0.871        0.412
wlqtrvkp   40m            optim.lr 0.1 -> 0.01, 2 more       0.934*       0.221*
zmxnyosr    1h  failed 1  model.depth 3 -> 12, 2 more            -          nan
kkmpptxz    3h            seed 1 -> 2                        0.912        0.268
rstnvqoy    1d            first run of digits                0.910        0.270

5 runs, 38 params equal in all, * best
acc (max), loss (min) by their names; metrics: in gitparams.yaml decides
"""
    )


def test_colour_says_nothing_that_words_do_not() -> None:
    assert screen([Listed(DEEP, SEED), Listed(SEED, SEED), Listed(BEST, SEED)], colour=True).split("\n")[1:5] == [
        "\x1b[2mrun        age  status    changed                                 acc ↑   loss ↓\x1b[0m",
        "zmxnyosr    \x1b[2m1h\x1b[0m  \x1b[31mfailed 1\x1b[0m  model.depth 3 \x1b[2m→\x1b[0m 12 · 2 more"
        "                \x1b[2m–\x1b[0m      nan",
        "kkmpptxz    \x1b[2m3h\x1b[0m            \x1b[2msame params\x1b[0m                            0.912    0.268",
        "wlqtrvkp   \x1b[2m40m\x1b[0m            batch 64 \x1b[2m→\x1b[0m 128 · 2 more"
        "                \x1b[1m\x1b[32m0.934*\x1b[0m\x1b[0m   \x1b[1m\x1b[32m0.221*\x1b[0m\x1b[0m",
    ]


def test_a_broken_run_shows_why_it_cannot_be_read() -> None:
    broken = BrokenRun(RunId("qqqqqqqqqqqqqqqq"), NOW - timedelta(days=20), "Ada <a@b>", "run.json is missing.\x1b[31m")
    assert (
        screen([Listed(SEED, FIRST), Listed(broken)])
        == """
run        age  status  changed                        acc ↑   loss ↓
kkmpptxz    3h          seed 1 → 2                     0.912    0.268
qqqqqqqq    2w  broken  run.json is missing.\\x1b[31m       –        –

2 runs
"""
    )


def test_completed_runs_need_no_status() -> None:
    assert (
        screen([Listed(SEED, FIRST)])
        == """
run        age  changed      acc ↑   loss ↓
kkmpptxz    3h  seed 1 → 2   0.912    0.268

1 run
"""
    )


def test_a_declared_direction_stars_a_metric() -> None:
    rows = [Listed(run("kkkkkkkk", 60, {}, metrics={"time": 1204})), Listed(run("llllllll", 60, {}, metrics={"time": 987}))]
    assert (
        screen(rows, directions={"time": Direction.MIN})
        == """
run        age  changed               time ↓
kkkkkkkk    1m  first run of digits   1 204
llllllll    1m  first run of digits     987*

2 runs · 42 params equal in all · * best
"""
    )


def test_only_the_ways_that_were_guessed_are_said_to_be() -> None:
    assert screen(ROWS, directions={"acc": Direction.MAX}).split("\n")[-3:] == [
        "5 runs · 38 params equal in all · * best",
        "loss ↓ by its name; metrics: in gitparams.yaml decides",
        "",
    ]
    assert screen(ROWS, directions={"acc": Direction.MAX, "loss": Direction.MIN}).split("\n")[-2:] == [
        "5 runs · 38 params equal in all · * best",
        "",
    ]


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (64, "acc ↑, loss ↓ by their names; metrics: in gitparams.yaml decides"),
        (63, "acc ↑, loss ↓ by their names"),
        (27, "best guessed by name"),
    ],
)
def test_a_guess_is_said_in_as_many_words_as_there_is_room_for(width: int, said: str) -> None:
    assert guess_text(["acc", "loss"], {}, Terminal(width)) == said


def test_against_one_run_each_row_is_compared_with_it() -> None:
    rows = [Listed(row.run, BEST) for row in ROWS[:2]]
    assert (
        screen(rows, against=BEST)
        == """
run        age  status   against wlqtrvkp        acc ↑   loss ↓
qpvuntsm    2m  running  optim.lr 0.01 → 0.003   0.871    0.412
wlqtrvkp   40m           same params             0.934    0.221

2 runs · 42 params equal in all
"""
    )


def test_common_metrics_with_a_direction_come_first_and_four_at_most() -> None:
    metrics = {"zeta": 1.5, "acc": 0.5, "loss": 0.25, "f1": 0.5, "auc": 0.5, "mse": 0.5}
    header = screen([Listed(run("kkkkkkkk", 60, {}, metrics=metrics))]).split("\n")[1]
    assert header.split()[3:] == ["acc", "↑", "auc", "↑", "f1", "↑", "loss", "↓"]


def test_twins_are_folded_into_one() -> None:
    one = run("kkkkkkkk", 60, {"trainer": {"optim": {"lr": 0.1}}})
    two = run("llllllll", 60, {"trainer": {"optim": {"lr": 0.2}}, "optim": {"lr": 0.2}})
    assert changed([Listed(two, one)]) == ["optim.lr 0.1 → 0.2"]


def test_what_changed_in_most_rows_stands_first() -> None:
    rows = [
        Listed(run("kkkkkkkk", 60, {"optim": {"lr": 1.0}, "batch": 2}), FIRST),
        Listed(run("llllllll", 60, {"optim": {"lr": 2.0}}), FIRST),
    ]
    assert changed(rows) == ["optim.lr 0.1 → 1.0 · batch 64 → 2", "optim.lr 0.1 → 2.0"]


def test_a_removed_param_has_a_minus() -> None:
    assert changed([Listed(run("kkkkkkkk", 60, {}), run("llllllll", 60, {"gone": 1}))]) == ["−gone"]


def test_long_values_are_cut_where_they_differ() -> None:
    one, two = (
        run("kkkkkkkk", 60, {"x": "/data/a/long/way/to/the/train"}),
        run("llllllll", 60, {"x": "/data/a/long/way/to/the/val"}),
    )
    assert changed([Listed(two, one)], 120) == ["x …a/long/way/to/the/train → …a/a/long/way/to/the/val"]


def test_hostile_names_and_values_are_shown_as_escapes() -> None:
    evil = run("kkkkkkkk", 60, {"x\x1b[2J": "a\nb\u202ec"}, name="\x9b31m", metrics={"acc\r": 1}, experiment="\x1b]0;x\x07")
    assert (
        screen([Listed(evil, FIRST)], 120)
        == """
run        age  name     changed                         acc\\r ↑
kkkkkkkk    1m  \\x9b31m  +["x\\u001b[2J"] "a\\nb\\u202ec"         1

1 run
"""
    )


def test_wide_letters_take_two_cells() -> None:
    rows = [Listed(run("kkkkkkkk", 60, {"x": "学习率"}, metrics={"acc": 1}), FIRST), Listed(FIRST)]
    assert (
        screen(rows)
        == """
run        age  name      changed               acc ↑   loss ↓
kkkkkkkk    1m            +x 学习率             1*           –
rstnvqoy    1d  baseline  first run of digits   0.91      0.27

2 runs · 42 params equal in all · * best
acc ↑ by its name; metrics: in gitparams.yaml decides
"""
    )


# -- nothing to list ------------------------------------------------------------------------------------------------------


def test_an_empty_ledger_says_how_to_begin() -> None:
    assert screen([]) == "\nNo runs yet.\nhint: gitparams run -- python train.py\n"


def test_a_filter_that_keeps_nothing_says_so() -> None:
    assert screen([], filtered=True) == "\nNo run matches.\nhint: gitparams log shows them all\n"


# -- other shapes ---------------------------------------------------------------------------------------------------------


def test_one_line_a_run() -> None:
    text = render_oneline(ROWS, terminal=Terminal(80), directions={})
    assert (
        "\n" + text + "\n"
        == """
qpvuntsm running · optim.lr 0.01 → 0.003 · acc 0.934 → 0.871
wlqtrvkp batch 64 → 128 · 2 more · acc 0.912 → 0.934 · loss 0.268 → 0.221
zmxnyosr failed 1 · model.depth 3 → 12 · +…width 64 · 1 more · loss 0.268 → nan
kkmpptxz seed 1 → 2 · acc 0.910 → 0.912 · loss 0.270 → 0.268
rstnvqoy first run of digits · acc 0.91 · loss 0.27
"""
    )


def test_a_patch_has_the_old_and_the_new_values() -> None:
    code = CodeState(Oid("4f2c1ab" * 5 + "abcde"), "main", dirty=True)
    shown = run(
        "wlqtrvkp",
        2400,
        {"optim": {"lr": 0.01, "warmup": 500}},
        metrics={"acc": 0.934},
        author="Ada <a@b>",
        code=code,
        name="warm",
        command=("python", "train.py", "a b"),
    )
    text = render_patch([Listed(shown, FIRST), Listed(FIRST)], terminal=Terminal(80), directions={}, now=NOW)
    assert (
        "\n" + text + "\n"
        == """
run wlqtrvkpwlqtrvkp (warm)
Author:  Ada <a@b>
Date:    2026-11-23 11:20:00 +0000 (40m ago)
Command: python train.py 'a b'
Commit:  4f2c1ab4f2 on main, with uncommitted changes

- optim.lr 0.1
+ optim.lr 0.01
+ optim.warmup 500

acc 0.910 → 0.934

run rstnvqoyrstnvqoy (baseline)
Date:    2026-11-22 12:00:00 +0000 (1d ago)

first run of digits

acc 0.91
loss 0.27
"""
    )


def test_csv_has_a_column_a_param_and_metric() -> None:
    one = run("kkkkkkkk", 60, {"text": "a,\nb"}, metrics={"acc": 0.5})
    records = list(csv.DictReader(io.StringIO(to_csv([Listed(one), Listed(SEED)]))))
    assert [
        (record["params.optim.lr"], record["params.text"], record["metrics.acc"], record["metrics.loss"]) for record in records
    ] == [
        ("0.1", "a,\\nb", "0.5", ""),
        ("0.1", "", "0.912", "0.268"),
    ]


def test_csv_with_chosen_columns_has_these_and_the_id() -> None:
    rows = [Listed(SEED), Listed(run("kkkkkkkk", 60, {"a.b": 1}))]
    assert to_csv(rows, ['params["a.b"]', "metrics.acc", "status", "dirty"]) == (
        'id,"params[""a.b""]",metrics.acc,status,dirty\n'
        "kkmpptxzkkmpptxz,,0.912,completed,False\n"
        "kkkkkkkkkkkkkkkk,1,,completed,False\n"
    )


def test_json_lines_have_a_document_a_line() -> None:
    broken = BrokenRun(RunId("qqqqqqqqqqqqqqqq"), NOW, "Ada <a@b>", "run.json\nis missing.\x9b31m")
    first, second = json_lines([Listed(DEEP, SEED), Listed(broken)])
    assert json.loads(first) == listed_document(Listed(DEEP, SEED))
    assert second == (
        '{"id": "qqqqqqqqqqqqqqqq", "status": "broken", "started": "2026-11-23T12:00:00+00:00", "author": "Ada <a@b>", '
        '"reason": "run.json\\nis missing.\\u009b31m"}'
    )


def test_markdown_escapes_what_it_would_obey() -> None:
    evil = run("kkkkkkkk", 60, {"x": "a|b <i>"}, metrics={"acc": 0.5})
    assert to_markdown([Listed(evil, FIRST)], directions={}, now=NOW) == (
        "| run | age | status | name | changed | acc ↑ |\n"
        "| --- | --- | --- | --- | --- | --: |\n"
        "| kkkkkkkk | 1m |  |  | +x a\\|b \\<i\\> | 0.5 |\n"
    )
