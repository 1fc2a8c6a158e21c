"""Points: the metric over single params, and how params and metrics go together."""

import math

import pytest
from plot.generated import make_runs, run

from gitparams import plot
from gitparams.directions import Direction
from gitparams.errors import UsageError

RUNS = make_runs(200)


def notes(figure):
    return list(figure.layout.meta["notes"])


def test_scatter_shows_every_scored_run_over_the_param_that_matters_most():
    figure = plot.scatter(RUNS, "acc")
    scored = [one for one in RUNS if math.isfinite(one.metrics.get("acc", math.nan))]
    assert sorted(figure.data[0].y) == sorted(one.metrics["acc"] for one in scored)
    assert "Of 6 params the one that the metric depends on most." in notes(figure)


def test_scatter_marks_the_best_run():
    figure = plot.scatter(RUNS, "acc", params=["optim.lr"])
    best = max((one for one in RUNS if one.metrics.get("acc", math.nan) > 0), key=lambda one: one.metrics["acc"])
    assert (figure.data[1].x, figure.data[1].y) == ((best.params["optim"]["lr"],), (best.metrics["acc"],))


def test_scatter_of_several_params_has_a_panel_each_with_the_axis_that_suits():
    figure = plot.scatter(RUNS, "acc", params=["optim.lr", "optim.name", "model.depth"])
    assert (figure.layout.xaxis.type, figure.layout.xaxis2.ticktext, figure.layout.xaxis3.type) == (
        "log",
        ("adam", "lion", "sgd"),
        None,
    )
    assert [axis.title.text for axis in (figure.layout.xaxis, figure.layout.xaxis2, figure.layout.xaxis3)] == [
        "optim.lr",
        "optim.name",
        "model.depth",
    ]


def test_runs_of_one_word_stand_beside_each_other_and_always_at_the_same_places():
    first, second = (plot.scatter(RUNS, "acc", params=["optim.name"]) for _ in range(2))
    assert first.data[0].x == second.data[0].x
    assert {round(place) for place in first.data[0].x} == {0, 1, 2} and len(set(first.data[0].x)) > 100


def test_runs_without_the_param_are_counted():
    assert any(note.endswith("without optim.momentum.") for note in notes(plot.scatter(RUNS, "acc", params=["optim.momentum"])))


def test_text_of_users_is_shown_and_not_obeyed():
    evil = [run(n, {"<b>lr</b>": n, "opt": f"<a href='x'>{n}</a>"}, {"<i>acc</i>": n / 10}) for n in range(6)]
    text = plot.scatter(evil, params=["<b>lr</b>", "opt"]).to_json()
    assert "<b>lr" not in text and "<a href" not in text and "<i>acc" not in text


@pytest.mark.parametrize("kind", ["scatter", "correlation"])
@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        ([], "There are no runs to draw."),
        ([run(0, {"lr": 0.1}, {"acc": 1.0})], "There is only one run"),
        ([run(n, {"lr": 0.1}, {"acc": 1.0}) for n in range(6)], "No param differs between these 6 runs."),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(kind, runs, sentence):
    with pytest.raises(UsageError, match=sentence):
        getattr(plot, kind)(runs)


def test_correlation_sorts_params_by_their_strength_and_leaves_the_diagonal_empty():
    figure = plot.correlation(RUNS, "acc", directions={"acc": Direction.MAX})
    heat = figure.data[0]
    assert heat.x == heat.y and heat.x[:2] == ("acc", "loss") and set(heat.x) == {
        "acc", "loss", "optim.lr", "model.depth", "optim.name", "augment", "batch", "optim.momentum",
    }  # fmt: skip
    assert all(heat.z[place][place] is None for place in range(len(heat.x)))
    assert heat.z[0][1] == heat.z[1][0] < -0.9
    strengths = [abs(heat.z[0][place]) for place in range(2, 7)]
    assert strengths == sorted(strengths, reverse=True)


def test_correlation_of_many_params_shows_the_strongest_and_says_so():
    figure = plot.correlation(make_runs(60, params=100), "acc")
    assert len(figure.data[0].x) == 24
    assert "The 22 strongest of 106 params." in notes(figure)


def test_a_cell_that_cannot_be_told_is_empty_and_that_is_said():
    runs = [run(n, {"lr": n, **({"rare": n} if n < 3 else {})}, {"acc": n * 1.0}) for n in range(10)]
    figure = plot.correlation(runs)
    place = figure.data[0].x.index("rare")
    assert figure.data[0].z[0][place] is None
    assert "An empty cell has fewer than five runs, or values that are all equal." in notes(figure)
