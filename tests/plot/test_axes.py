"""The picture of parallel axes: where each run is, what is written there, and what is left out and said."""

import math
from random import Random

import pytest
from plot.generated import make_runs, run

from gitparams import plot
from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.params import path_text
from gitparams.plot import look

RUNS = [
    run(0, {"lr": 1e-4, "depth": 2, "opt": "adam", "aug": True, "same": 1, "mom": 0.5}, {"acc": 0.5}),
    run(1, {"lr": 1e-2, "depth": 4, "opt": "sgd", "aug": False, "same": 1, "mom": 0.9}, {"acc": 0.9}),
    run(2, {"lr": 1e-1, "depth": 3, "opt": "adam", "aug": False, "same": 1}, {"acc": 0.7}),
]


def axes(figure):
    return {dimension.label: dimension for dimension in figure.data[0].dimensions}


def labelled(axis):
    return {text: tick for tick, text in zip(axis.tickvals, axis.ticktext, strict=True) if text.strip()}


def notes(figure):
    return figure.layout.meta["notes"]


def test_params_stand_in_their_order_and_the_metric_is_rightmost():
    assert list(axes(plot.parallel(RUNS))) == ["lr", "depth", "opt", "aug", "mom", "<b>acc</b>"]
    assert list(axes(plot.parallel(RUNS, params=["aug", "lr"]))) == ["aug", "lr", "<b>acc</b>"]


def test_runs_are_lines_with_the_best_drawn_last_and_the_strongest():
    figure = plot.parallel(RUNS)
    assert list(axes(figure)["<b>acc</b>"]["values"]) == [0.5, 0.7, 0.9]
    assert list(figure.data[0].line.color) == [0.5, 0.7, 0.9]
    assert figure.data[0].line.colorscale[-1] == (1.0, look.LIGHT.ramp[-1])


def test_the_lowest_score_is_the_strongest_where_lower_is_better():
    figure = plot.parallel(RUNS, directions={"acc": Direction.MIN})
    assert list(axes(figure)["<b>acc</b>"]["values"]) == [0.9, 0.7, 0.5]
    assert list(figure.data[0].line.color) == [-0.9, -0.7, -0.5]  # plotly draws the greater on top
    assert figure.data[0].line.colorscale[-1] == (1.0, look.LIGHT.ramp[-1])
    assert figure.layout.title.text == "3 runs by acc (lower is better)"


def test_values_that_span_decades_are_on_a_logarithmic_axis_with_labels_as_people_write_them():
    axis = axes(plot.parallel(RUNS))["lr"]
    assert axis["values"] == pytest.approx((-4, -1, -2))
    assert labelled(axis) == {"1e-4": -4, "1e-3": -3, "0.01": -2, "0.1": -1}
    assert len(set(axis.ticktext)) == len(axis.ticktext) == 28  # a bare tick at each multiple, and none has another's text


def test_texts_and_booleans_have_a_place_each_with_their_words():
    shown = axes(plot.parallel(RUNS))
    assert labelled(shown["opt"]) == {"adam": 0, "sgd": 1} and list(shown["opt"]["values"]) == [0, 0, 1]
    assert labelled(shown["aug"]) == {"false": 0, "true": 1} and list(shown["aug"]["values"]) == [1, 0, 0]


def test_a_run_without_a_param_has_a_place_below_all_values():
    axis = axes(plot.parallel(RUNS))["mom"]
    assert list(axis["values"]) == pytest.approx([0.5, 0.452, 0.9])
    assert labelled(axis)["missing"] == pytest.approx(0.452) == axis.range[0]


def test_params_that_are_equal_in_all_runs_are_left_out_and_said():
    assert notes(plot.parallel(RUNS)) == ["Equal in all runs: same."]


def test_runs_without_a_score_are_left_out_and_counted():
    runs = [*RUNS, run(3, {"lr": 1.0}, {"acc": math.nan}), run(4, {"lr": 1.0}, {"acc": math.inf}), run(5, {"lr": 1.0}, {})]
    figure = plot.parallel(runs)
    assert notes(figure)[0] == "Left out: 1 run without acc and 2 runs with NaN or infinity as acc."
    assert len(figure.data[0].line.color) == 3


def test_a_metric_of_which_nothing_says_which_way_is_better_is_said_to_be_guessed():
    runs = [run(number, {"lr": number}, {"thing": number}) for number in range(3)]
    assert notes(plot.parallel(runs)) == ["Nothing says which way thing is better: taken as the lower, the better."]


def test_above_2000_runs_the_best_and_an_even_sample_are_drawn_the_same_each_time():
    runs = make_runs(2600, broken=False)
    figure = plot.parallel(runs, "acc")
    drawn = list(figure.data[0].line.color)
    assert len(drawn) == 2000
    assert drawn[-500:] == sorted(one.metrics["acc"] for one in runs)[-500:]
    assert notes(figure)[0] == "Of 2 600 runs the best 500 and an even sample of the others are drawn."
    assert plot.parallel(Random(3).sample(runs, 2600), "acc").to_dict()["data"] == figure.to_dict()["data"]


def test_of_200_params_the_most_important_12_are_shown_and_it_is_said():
    figure = plot.parallel(make_runs(300, params=200), "acc")
    assert len(axes(figure)) == 13
    assert "optim.lr" in axes(figure)
    assert "The 12 most important of 206 params that differ." in notes(figure)


def test_names_and_words_of_users_are_no_html():
    evil = "<a href='x'>$x$"
    figure = plot.parallel([run(number, {path_text((evil,)): evil + str(number)}, {evil: number}) for number in range(3)])
    label, score = axes(figure)
    assert label == "[&quot;".replace("&quot;", '"') + "&lt;a href='x'&gt;&#36;x&#36;" + '"]'
    assert score == "<b>&lt;a href='x'&gt;&#36;x&#36;</b>"
    assert list(axes(figure)[label].ticktext)[0].endswith("$x$0")  # ticks are plain text for plotly


def test_words_that_are_cut_to_the_same_text_keep_their_places():
    runs = [run(number, {"path": "a-very-long-name-of-a-folder/" + str(number)}, {"acc": number}) for number in range(3)]
    axis = axes(plot.parallel(runs))["path"]
    assert len(set(axis.ticktext)) == 3 and list(axis["values"]) == [0, 1, 2]


def test_equal_scores_are_a_picture():
    figure = plot.parallel([run(number, {"lr": number}, {"acc": 0.5}) for number in range(3)])
    assert labelled(axes(figure)["<b>acc</b>"]) == {"0.5": 0.5}


def test_a_huge_whole_number_is_a_word():
    figure = plot.parallel([run(number, {"seed": 10 ** (400 + number)}, {"acc": number}) for number in range(3)])
    assert list(axes(figure)["seed"]["values"]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("runs", "metric", "sentence"),
    [
        ([], None, "There are no runs to draw."),
        (RUNS[:1], None, "There is only one run with a score: nothing to compare its params with."),
        ([run(0, {"lr": 1}, {}), run(1, {"lr": 2}, {})], None, "No metric is known of these 2 runs."),
        (RUNS, "acd", "None of these runs has a metric 'acd'."),
        ([run(0, {"lr": 1}, {"acc": math.nan})], None, "No run has a finite value of 'acc'."),
        ([run(0, {"lr": 1}, {"acc": 1}), run(1, {"lr": 1}, {"acc": 2})], None, "No param differs between these 2 runs."),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(runs, metric, sentence):
    with pytest.raises(UsageError) as raised:
        plot.parallel(runs, metric)
    assert raised.value.message == sentence and raised.value.hint


def test_a_param_that_is_asked_for_and_equal_in_all_runs_is_one_sentence():
    with pytest.raises(UsageError, match="The param 'same' is 1 in all of these runs"):
        plot.parallel(RUNS, params=["same"])
