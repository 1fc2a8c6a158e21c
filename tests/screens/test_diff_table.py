from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gitparams.changes import CodeChange, MetricChange, Naming, ParamChange, RunDiff
from gitparams.model import Run, RunId, Status
from gitparams.params import MISSING
from gitparams.screens.diff import render
from gitparams.screens.terminal import Terminal, cell_width

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
IDS = ("rstnvqoy", "kkmpptxz", "wlqtrvkp", "qpvuntsm", "zmxnyosr", "klmnopqr")


def run(identity: str, status: Status = Status.COMPLETED) -> Run:
    return Run(RunId(identity * 2), status, NOW - timedelta(hours=1))


def letters(number: int) -> str:
    return "".join("klmnopqrstuvwxyz"[number >> shift & 15] for shift in range(28, -4, -4))


def difference(
    runs: Sequence[Run],
    params: Mapping[str, tuple[Any, ...]],
    metrics: Mapping[str, tuple[Any, ...]] | None = None,
    **sections: Any,
) -> RunDiff:
    return RunDiff(
        tuple(runs),
        {path: ParamChange(path, "changed", values) for path, values in params.items()},
        {name: MetricChange(name, values) for name, values in (metrics or {}).items()},
        **{"equal_params": 38, **sections},
    )


def screen(diff: RunDiff, width: int = 80, *, colour: bool = False, utf8: bool = True, full: bool = False) -> str:
    return "\n" + render(diff, terminal=Terminal(width, colour, utf8), directions={}, now=NOW, full=full) + "\n"


FOUR = [run(identity) for identity in IDS[:4]]
ALL_SECTIONS = difference(
    FOUR,
    {"batch": (64, 64, 128, 64), "lr": (0.1, 0.1, 0.01, 0.003), "seed": (1, 2, 2, 2)},
    {"acc": (0.910, 0.912, 0.934, 0.871)},
    packages={"torch": ("2.3", "2.3", "2.4", "2.3"), "numpy": ("1.26", None, None, "1.26")},
    environment={"gpu": ("A100", "A100", "A100", "H100")},
    seeds={"numpy": (1, 2, 3, 4)},
    code=(CodeChange("train.py", 1, 2),),
    ignored=2,
    names=(Naming("HEAD~3", "its params files"), Naming("kkmpptxz"), Naming("best:acc"), Naming("latest")),
)


def test_sections_stand_below_params_and_metrics_and_the_odd_one_out_is_marked() -> None:
    assert (
        screen(ALL_SECTIONS)
        == """
                rstnvqoy  kkmpptxz  wlqtrvkp  qpvuntsm
                  HEAD~3            best:acc    latest
batch                 64         ·       128<       64
lr                   0.1         ·      0.01     0.003
seed                   1         2         ·         ·
acc ↑              0.910     0.912     0.934*    0.871
seeds
  numpy                1         2         3         4
packages
  torch              2.3         ·       2.4<      2.3
  numpy             1.26         –         ·      1.26
environment
  gpu               A100         ·         ·      H100<
code   train.py +1 −2
38 params equal · 2 within the tolerance or ignored
"·" same as the run to the left · "<" unlike all others
HEAD~3: its params files
"""
    )


def test_without_utf_8_the_table_is_ascii() -> None:
    assert (
        screen(
            difference(FOUR, {"batch": (64, 64, 128, MISSING), "seed": (1, 2, 2, 2)}, {"acc": (0.910, 0.912, 0.934, 0.871)}),
            utf8=False,
        )
        == """
              rstnvqoy  kkmpptxz  wlqtrvkp  qpvuntsm
batch               64         .       128         -
seed                 1         2         .         .
acc (max)        0.910     0.912     0.934*    0.871
38 params equal, "." same as the run to the left
"""
    )


def test_the_odd_one_out_is_heavy_and_what_repeats_is_dim() -> None:
    lines = screen(ALL_SECTIONS, colour=True).split("\n")
    assert lines[3] == "batch                 64         \x1b[2m·\x1b[0m       \x1b[1m128<\x1b[0m       64"


@pytest.mark.parametrize(
    ("values", "marked"),
    [
        ((2, 1, 1, 1), "2<"),
        ((1, 1, 1, 2), "2<"),
        ((1, 1, MISSING, 1), "–<"),
        ((1, 1, 1, True), "True<"),
        ((1, 1, 2, 2), ""),
        ((1, 1, 2, 3), ""),
        ((1, 2, 3, 4), ""),
    ],
)
def test_only_one_value_against_all_others_is_marked(values: tuple[Any, ...], marked: str) -> None:
    words = screen(difference(FOUR, {"batch": values, "lr": (0.1, 0.2, 0.3, 0.4)})).split("\n")[2].split()
    assert [word for word in words if word.endswith("<")] == ([marked] if marked else [])


def test_a_seed_is_unlike_all_others_by_nature() -> None:
    assert "<" not in screen(difference(FOUR, {"seed": (1, 1, 1, 2), "lr": (0.1, 0.2, 0.3, 0.4)}))


# -- runs that are alike --------------------------------------------------------------------------------------------------

FIVE = difference(
    [run(identity) for identity in IDS[:5]],
    {"batch": (64, 64, 64, 128, 128)},
    {"acc": (0.91, 0.93, 0.92, 0.87, 0.88), "time": (10, MISSING, 20, MISSING, 5)},
)


def test_runs_that_are_alike_have_one_column_with_means() -> None:
    assert (
        screen(FIVE)
        == """
              rstnvqoy +2     qpvuntsm +1
batch                  64             128
acc ↑       0.920 ± 0.010*  0.875 ± 0.007
time       15.0 ± 7.1 (2)         5.0 (1)
38 params equal · "rstnvqoy +2" 3 runs alike, mean ± std
(n) values, where not every run has one
"""
    )


def test_means_without_utf_8_are_ascii() -> None:
    lines = screen(FIVE, utf8=False).split("\n")
    assert lines[3].split() == ["acc", "(max)", "0.920", "+-", "0.010*", "0.875", "+-", "0.007"]
    assert '"rstnvqoy +2" 3 runs alike, mean +- std' in lines[5]


def test_a_run_that_failed_is_not_alike_and_never_the_best() -> None:
    runs = [*FOUR[:2], run("wlqtrvkp", Status.FAILED)]
    assert (
        screen(difference(runs, {}, {"acc": (0.91, 0.93, 0.99)}))
        == """
              rstnvqoy +1   wlqtrvkp
status          completed     failed
acc ↑       0.920 ± 0.014      0.990
38 params equal · "rstnvqoy +1" 2 runs alike, mean ± std
"""
    )


def test_runs_that_are_all_alike_have_a_column_each() -> None:
    assert (
        screen(difference(FOUR[:3], {}, {"acc": (0.91, 0.93, 0.92)}))
        == """
          rstnvqoy  kkmpptxz  wlqtrvkp
acc ↑         0.91      0.93*     0.92
38 params equal
"""
    )


def test_three_runs_without_a_common_key_are_readable() -> None:
    params = {"a": (1, MISSING, MISSING), "b": (MISSING, 2, MISSING), "c": (MISSING, MISSING, 3)}
    assert (
        screen(difference(FOUR[:3], params, equal_params=0))
        == """
      rstnvqoy  kkmpptxz  wlqtrvkp
a            1<        –         ·
b            –         2<        –
c            –         ·         3<
no param in common · "·" same as the run to the left · "<" unlike all others
"""
    )


def test_a_long_list_of_packages_is_cut_in_a_table_too() -> None:
    packages = {f"p{place:03}": ("1.0", "2.0", "3.0") for place in range(200)}
    lines = screen(difference(FOUR[:3], {}, packages=packages)).split("\n")
    assert lines[2:4] == ["packages", "  p000            1.0       2.0       3.0"]
    assert lines[32:34] == ["  p029            1.0       2.0       3.0", "  and 170 more (--packages)"]
    assert len(screen(difference(FOUR[:3], {}, packages=packages), full=True).split("\n")) == 205


# -- a line a run ---------------------------------------------------------------------------------------------------------

SWEEP = difference(
    [run(identity) for identity in IDS[:5]] + [run(IDS[5], Status.FAILED)],
    {
        "batch": (32, 64, 64, 128, 128, 32),
        "model.activation_function": ("relu", "gelu", "relu", "gelu", "relu", "relu"),
        "model.depth": (3, 3, 3, 9, 3, 3),
        "optim.lr": (0.1, 0.01, 0.001, 0.01, 0.1, 0.0001),
        "out": tuple(f"runs/{place}" for place in range(6)),
        "seed": (1, 2, 3, 4, 5, 6),
    },
    {
        "acc": (0.910, 0.912, 0.934, 0.871, 0.5, MISSING),
        "loss": (0.27, 0.268, 0.221, 0.412, 1.5, MISSING),
        "time": (1, 2, 3, 4, 5, MISSING),
    },
    packages={"torch": ("2.3", "2.3", "2.4", "2.3", "2.4", "2.3")},
)


def test_columns_that_do_not_fit_become_a_line_a_run_with_the_most_telling_keys() -> None:
    assert (
        screen(SWEEP)
        == """
run       status  optim.lr  batch  model.depth  out     seed    acc ↑   loss ↓
rstnvqoy               0.1     32           3   runs/0     1   0.910    0.270
kkmpptxz              0.01     64           3   runs/1     2   0.912    0.268
wlqtrvkp             0.001     64           3   runs/2     3   0.934*   0.221*
qpvuntsm              0.01    128           9<  runs/3     4   0.871    0.412
zmxnyosr               0.1    128           3   runs/4     5   0.500    1.500
klmnopqr  failed    0.0001     32           3   runs/5     6       –        –
6 runs · 1 param, 1 metric, 1 package not shown · 38 params equal
"<" unlike all others
"""
    )


def test_at_40_columns_a_line_has_one_key_and_two_metrics() -> None:
    assert (
        screen(SWEEP, 40)
        == """
run       optim.lr    acc ↑   loss ↓
rstnvqoy       0.1   0.910    0.270
kkmpptxz      0.01   0.912    0.268
wlqtrvkp     0.001   0.934*   0.221*
qpvuntsm      0.01   0.871    0.412
zmxnyosr       0.1   0.500    1.500
klmnopqr    0.0001       –        –
6 runs
5 params, 1 metric, 1 package not shown
38 params equal
"""
    )


def hundreds(number: int) -> RunDiff:
    return difference(
        [run(letters(place)) for place in range(number)],
        {"lr": tuple(place / 1000 for place in range(number)), "model": tuple("ab"[place % 2] for place in range(number))},
        {"acc": tuple(place / number for place in range(number))},
    )


def test_hundreds_of_runs_are_hundreds_of_lines() -> None:
    lines = screen(hundreds(300)).strip("\n").split("\n")
    assert lines[:2] == ["run          lr  model     acc ↑", "kkkkkkkk    0.0  a       0.0000"]
    assert lines[-2:] == ["kkkkklmv  0.299  b       0.9967*", "300 runs · 38 params equal"]
    assert len(lines) == 302


def test_hundreds_of_runs_that_are_alike_are_few_columns() -> None:
    number = 300
    diff = difference(
        [run(letters(place)) for place in range(number)],
        {"batch": tuple((32, 64)[place % 2] for place in range(number))},
        {"acc": tuple((place % 7) / 7 for place in range(number))},
    )
    assert (
        screen(diff)
        == """
           kkkkkkkk +149   kkkkkkkl +149
batch                 32              64
acc ↑      0.426 ± 0.286   0.429 ± 0.286*
38 params equal · "kkkkkkkk +149" 150 runs alike, mean ± std
"""
    )


@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize("utf8", [True, False])
def test_no_line_is_wider_than_the_terminal(width: int, utf8: bool) -> None:
    assert max(cell_width(line) for line in screen(SWEEP, width, utf8=utf8).split("\n")) <= width
