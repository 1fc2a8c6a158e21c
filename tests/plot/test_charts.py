"""Charts: pictures in letters, whole screens."""

import re

import pytest
from plot.generated import make_runs, run

import gitparams
from gitparams.errors import UsageError
from gitparams.params import path_text
from gitparams.plot import KINDS
from gitparams.screens.charts import chart, spark
from gitparams.screens.terminal import Terminal, cell_width

RUNS = make_runs(200)
SMALL = [
    run(
        n,
        {"lr": 10.0 ** -(n % 4 + 1), "opt": ("adam", "adam", "sgd", "sgd")[n % 4], "data": "digits"},
        {"acc": score + n / 1000},
    )
    for n, score in enumerate([0.5, 0.7, 0.9, 0.6] * 3)
]


def drawn(kind, runs=SMALL, width=80, utf8=True, metric=None):
    return chart(kind, runs, metric, {}, Terminal(width, False, utf8))


def test_importance_is_bars():
    assert drawn("importance") == (
        "acc ↑\nlr   0.96  ██████████████████████████████████████▍\nopt  0.33  █████████████▏\n\n0: tells nothing, 1: tells all (correlation ratio of ranks)\n"
    )


def test_correlation_has_signs():
    assert drawn("correlation", utf8=False) == (
        "acc (max)\n"
        "opt  +0.43  #################\n"
        "lr   -0.39  ################\n"
        "\n"
        "from -1 to 1, rank correlation; words of more than two kinds have no sign\n"
    )


def test_history_is_each_run_and_the_best_so_far():
    assert drawn("history") == (
        "acc ↑  12 runs, oldest first\n"
        "each        ▁▄█▃▁▄█▃▁▅█▃\n"
        "best so far ▁▄██████████\n"
        "\n"
        f"first 0.500 · last 0.611 · best 0.910 in {SMALL[10].short_id}\n"
    )


def test_params_are_a_line_each_with_what_they_span_and_what_they_do():
    lines = drawn("parallel").splitlines()
    assert re.split(r"\s{2,}", lines[0]) == ["param", "from, to", "mean acc ↑", "in the best run"]
    assert re.split(r"\s{2,}", lines[1])[:2] == ["lr", "0.0001 .. 0.1 log"]
    assert re.split(r"\s{2,}", lines[2])[:2] == ["opt", "adam, sgd"]
    assert lines[-1] == f"best 0.91 in {SMALL[10].short_id} of 12 runs"


def test_the_share_of_runs_that_are_as_good_is_a_table():
    lines = drawn("edf").splitlines()
    assert [lines[1].split(), lines[-1].split()] == [["best", "0.910"], ["worst", "0.500"]]


def test_a_timeline_shows_when_runs_began_how_long_they_took_and_how_they_ended():
    lines = drawn("timeline", RUNS).splitlines()
    assert lines[0].startswith("20 of 200 runs, ") and len(lines) == 21
    ended = {line.split()[-1] for line in drawn("timeline", make_runs(20)).splitlines()}
    assert ended & {"failed", "pruned", "interrupted", "running"} and "completed" not in ended
    assert lines[1].split()[0] == RUNS[-20].short_id


def test_series_are_a_spark_a_run(repo):
    for lr in (0.1, 0.01):
        with gitparams.start({"lr": lr}) as active:
            for step in range(8):
                active.log(loss=8 - step * lr * 10, step=step)
    lines = drawn("series", list(gitparams.runs())).splitlines()
    assert re.split(r"\s{2,}", lines[0]) == ["run", "loss ↓", "last", "best"]
    assert lines[2].split()[1:] == ["█▇▆▅▄▃▂▁", "1.00", "1.00"]


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"series"}))
@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("utf8", [True, False])
def test_every_kind_fits_the_terminal_in_its_letters(kind, width, utf8):
    text = drawn(kind, RUNS, width, utf8)
    assert max(cell_width(line) for line in text.splitlines()) <= width
    assert utf8 or text.isascii()


def test_text_of_users_reaches_no_terminal_raw():
    evil = [run(n, {path_text(("a\x1b[31mb",)): n, "opt": f"\x1b]0;{n}\x07"}, {"m\x1b[2J": float(n)}) for n in range(8)]
    assert "\x1b" not in "".join(drawn(kind, evil) for kind in ("parallel", "importance", "history"))


@pytest.mark.parametrize(
    ("kind", "runs", "sentence"),
    [
        ("parallel", [], "There are no runs to draw"),
        ("timeline", [], "There are no runs to draw"),
        ("history", [run(0, {"lr": 1}, {})], "No metric is known of this run"),
        ("importance", [run(n, {"lr": 1}, {"acc": 1.0}) for n in range(3)], "No param differs between these 3 runs"),
        (
            "importance",
            [run(n, {"lr": n}, {"acc": 1.0}) for n in range(3)],
            "These 3 runs are too few to tell what acc depends on",
        ),
        ("series", [run(0, {"lr": 1}, {"acc": 1.0})], "None of these runs logged a metric step by step"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(kind, runs, sentence):
    with pytest.raises(UsageError, match=sentence):
        drawn(kind, runs)


def test_more_numbers_than_cells_are_means():
    assert spark([float(place) for place in range(100)], Terminal(), 8) == "▁▂▃▄▅▆▇█"
    assert spark([1.0, float("nan"), 2.0], Terminal()) == "▁ █"
