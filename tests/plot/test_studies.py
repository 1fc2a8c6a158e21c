"""Optuna's pictures of any runs: in our look, with the names of the runs, and a sentence where there is nothing to draw."""

import math

import pytest
from plot.generated import BEGAN, make_runs, run

from gitparams import plot
from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.model import Status
from gitparams.plot import look

KINDS = ["history", "importance", "slice", "contour", "rank", "edf", "timeline"]
OPTUNAS_WORDS = ["Objective Value", "Trial", "Hyperparameter", "Plot"]


@pytest.fixture(scope="module")
def runs():
    return make_runs(80)


def texts(figure):
    """Return all titles of a figure, of axes, colour bars and legend."""
    axes = [axis.title.text for axis in (*figure.select_xaxes(), *figure.select_yaxes())]
    bars = [trace.colorbar.title.text for trace in figure.data if trace.type == "contour"]
    return [text for text in (figure.layout.title.text, *axes, *bars, *(trace.name for trace in figure.data)) if text]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dark", [False, True])
def test_every_kind_has_our_look_and_none_of_optunas_words(runs, kind, dark):
    figure = getattr(plot, kind)(runs, "acc", dark=dark)
    assert figure.layout.template.layout.paper_bgcolor == (look.DARK if dark else look.LIGHT).ground
    assert isinstance(figure.layout.meta["notes"], list)
    assert [text for text in texts(figure) for word in OPTUNAS_WORDS if word in text] == []


def test_history_has_a_dot_a_run_and_the_best_so_far():
    found = plot.history([run(number, {"lr": number}, {"loss": loss}) for number, loss in enumerate([0.5, 0.7, 0.3])])
    dots, best = found.data[:2]
    assert (list(dots.y), list(best.y)) == ([0.5, 0.7, 0.3], [0.5, 0.5, 0.3])
    assert found.layout.yaxis.title.text == "loss (lower is better)"
    assert dots.hovertext[0] == "<b>kkkkkkkk</b><br>loss 0.5<br>lr = 0"


def test_history_goes_by_the_direction_that_is_declared():
    runs = [run(number, {"lr": number}, {"thing": thing}) for number, thing in enumerate([0.5, 0.7, 0.3])]
    assert list(plot.history(runs, directions={"thing": Direction.MAX}).data[1].y) == [0.5, 0.7, 0.7]


def test_importance_says_which_param_the_metric_depends_on_and_which_it_does_not_estimate():
    found = plot.importance(make_runs(300), "acc")
    assert list(found.data[0].y)[-1] == "optim.lr"
    assert sum(found.data[0].x) == pytest.approx(1)
    assert "Not in all runs, and not estimated: optim.momentum." in found.layout.meta["notes"]


def test_slice_writes_words_without_quotes_and_decades_on_a_logarithmic_axis(runs):
    found = plot.slice(runs, "acc", params=["augment", "optim.lr"])
    assert found.layout.xaxis.categoryarray == ("false", "true")
    assert set(found.data[0].x) == {"false", "true"}
    assert (found.layout.xaxis2.type, found.layout.xaxis2.title.text) == ("log", "optim.lr")


@pytest.mark.parametrize("kind", ["contour", "rank"])
def test_pairs_are_of_the_four_most_important_params_unless_others_are_asked_for(kind):
    runs = make_runs(120, params=20)
    assert "The 4 most important of 26 params that differ." in getattr(plot, kind)(runs, "acc").layout.meta["notes"]
    two = getattr(plot, kind)(runs, "acc", params=["optim.lr", "model.depth"])
    assert {two.layout.xaxis.title.text, two.layout.yaxis.title.text} == {"optim.lr", "model.depth"}


def test_contour_colours_the_better_end_the_stronger(runs):
    found = plot.contour(runs, "loss", params=["optim.lr", "model.depth"])
    assert found.data[0].colorscale[0] == (0.0, look.LIGHT.ramp[-1])
    assert found.data[0].colorbar.title.text == "loss"


def test_rank_colours_the_best_run_by_the_strongest_colour():
    runs = [run(number, {"a": number, "b": number % 3}, {"acc": number}) for number in range(5)]
    found = plot.rank(runs)
    assert list(found.data[0].marker.color) == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert found.data[0].marker.colorscale[0] == (0.0, look.LIGHT.ramp[-1])
    assert found.data[0].hovertext[0].startswith("<b>kkkkkkkk</b><br>acc 0")


def test_edf_goes_from_nothing_to_all_runs(runs):
    shares = list(plot.edf(runs, "acc").data[0].y)
    assert shares == sorted(shares) and shares[-1] == 1


def test_timeline_tells_apart_how_runs_ended_and_leaves_out_those_that_go_on():
    statuses = [Status.COMPLETED, Status.FAILED, Status.INTERRUPTED, Status.PRUNED, Status.RUNNING]
    found = plot.timeline([run(number, {}, {}, status=status, seconds=90) for number, status in enumerate(statuses)])
    assert [trace.name for trace in found.data] == ["completed", "failed", "interrupted", "pruned"]
    assert [trace.marker.color for trace in found.data] == [look.LIGHT.statuses[status] for status in statuses[:4]]
    assert found.data[0].hovertext[0] == f"<b>kkkkkkkk</b><br>completed, {BEGAN:%Y-%m-%d %H:%M:%S}<br>1m 30s"
    assert found.layout.meta["notes"] == ["Left out: 1 run still going on."]


def test_runs_that_did_not_complete_are_said_to_be_left_out():
    runs = [run(number, {"lr": number}, {"acc": number}) for number in range(4)]
    runs.append(run(4, {"lr": 9}, {"acc": 5}, status=Status.FAILED))
    assert plot.history(runs).layout.meta["notes"] == ["1 run with a score did not complete: left out."]


def test_names_of_users_are_no_html():
    evil = "<b>x</b>"
    runs = [run(number, {"lr": evil + str(number % 2), "d": number}, {evil: number}) for number in range(6)]
    found = plot.slice(runs)
    assert found.layout.yaxis.title.text.startswith("&lt;b&gt;x&lt;/b&gt;")
    assert set(found.data[1].x) == {"&lt;b&gt;x&lt;/b&gt;0", "&lt;b&gt;x&lt;/b&gt;1"}
    assert "<b>x</b>" not in found.data[0].hovertext[0]


def test_words_that_are_cut_to_the_same_text_keep_their_places():
    runs = [
        run(number, {"path": f"{number % 3}/a-very-long-name-of-a-folder", "d": number}, {"acc": number}) for number in range(6)
    ]
    assert len(set(plot.slice(runs, params=["path"]).data[0].x)) == 3


@pytest.mark.parametrize("kind", ["history", "importance", "slice", "contour", "rank", "edf"])
@pytest.mark.parametrize(
    "runs",
    [
        [],
        [run(0, {"lr": 1}, {})],
        [run(0, {"lr": 1}, {"acc": math.nan})],
        [
            run(0, {"lr": 1, "d": 2}, {"acc": 1}, status=Status.FAILED),
            run(1, {"lr": 2, "d": 1}, {"acc": 1}, status=Status.LOST),
        ],
    ],
    ids=["no runs", "no metric", "NaN only", "none completed"],
)
def test_runs_without_a_score_are_one_sentence(kind, runs):
    with pytest.raises(UsageError) as raised:
        getattr(plot, kind)(runs)
    assert raised.value.message.endswith(".") and raised.value.hint


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "runs",
    [
        [run(0, {"lr": 1, "d": "a"}, {"acc": 1})],
        [run(number, {"lr": 1}, {"acc": number}) for number in range(3)],
        [run(number, {"lr": number}, {"acc": 0.5}) for number in range(3)],
        [run(number, {"lr": number, "d": number}, {"acc": 0.5}) for number in range(2)],
        [run(number, {f"only{number}": number}, {"acc": number}) for number in range(4)],
        [run(number, {"lr": (0.1, "auto", None, [1])[number], "d": number}, {"acc": number}) for number in range(4)],
        [run(number, {"lr": (0.1, math.nan, math.inf, 1.0)[number], "d": number}, {"acc": number}) for number in range(4)],
        [run(number, {"lr": 10**400 + number, "d": number}, {"acc": 1e308 * number / 4}) for number in range(4)],
        make_runs(30, params=200),
    ],
    ids=[
        "one run",
        "constant",
        "one param",
        "equal scores",
        "nothing shared",
        "mixed types",
        "NaN param",
        "huge",
        "200 params",
    ],
)
def test_hard_runs_are_a_picture_or_one_sentence(kind, runs):
    try:
        figure = getattr(plot, kind)(runs, "acc")
    except UsageError as error:
        assert "\n" not in error.message and "Optuna cannot" not in error.message
    else:
        assert len(figure.data) > 0
