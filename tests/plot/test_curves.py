"""Curves: learning curves of real runs, smoothed, on a logarithm, and as means of replicates."""

import math

import pytest
from plot.generated import make_runs

import gitparams
from gitparams import plot
from gitparams.errors import UsageError
from gitparams.plot.curves import smoothed


def logged(params, values, name="loss"):
    with gitparams.start(params) as run:
        for step, value in enumerate(values):
            run.log({name: value}, step=step)


@pytest.fixture
def curves(repo):
    for lr in (0.1, 0.01):
        for seed in (1, 2, 3):
            logged({"lr": lr, "seed": seed}, [1.0, 0.5 * lr * seed, 0.1 * seed])
    return gitparams.runs()


def notes(figure):
    return list(figure.layout.meta["notes"])


def test_every_run_is_a_line_through_its_steps(curves):
    figure = plot.series(curves)
    assert [(line.x, line.y) for line in figure.data][0] == ((0.0, 1.0, 2.0), (1.0, 0.05, 0.1))
    assert len(figure.data) == 6 and figure.layout.yaxis.title.text == "loss"


def test_lines_are_called_and_coloured_by_a_param(curves):
    figure = plot.series(curves, params=["lr"])
    assert [line.name for line in figure.data] == ["lr 0.1"] * 3 + ["lr 0.01"] * 3
    assert len({line.line.color for line in figure.data}) == 2
    assert [line.showlegend for line in figure.data] == [True, False, False] * 2


def test_smoothing_leaves_the_raw_line_faint(curves):
    figure = plot.series(curves, smooth=0.5)
    assert len(figure.data) == 12 and figure.data[0].opacity < 0.5
    assert list(figure.data[1].y) == smoothed(figure.data[0].y, 0.5)


def test_the_moving_average_is_that_of_tensorboard():
    # sum of weight**age * value over the sum of the weights
    values, weight = [3.0, 1.0, 2.0, 5.0], 0.6
    expected = [
        sum(weight ** (n - k) * values[k] for k in range(n + 1)) / sum(weight ** (n - k) for k in range(n + 1))
        for n in range(4)
    ]
    assert smoothed(values, weight) == pytest.approx(expected)
    assert [math.isnan(value) for value in smoothed([1.0, math.nan, 1.0], 0.5)] == [False, True, False]


def test_replicates_are_a_mean_in_a_band(curves):
    figure = plot.series(curves, replicates=True)
    lines = [line for line in figure.data if line.fill is None]
    assert [line.name for line in lines] == ["lr 0.01 (n=3)", "lr 0.1 (n=3)"]
    assert lines[1].y == pytest.approx((1.0, 0.1, 0.2))
    band = next(line for line in figure.data if line.fill == "toself")
    assert max(band.y[:3]) == pytest.approx(1.0) and band.y[2] == pytest.approx(0.3) and band.y[3] == pytest.approx(0.1)


def test_a_band_is_cut_where_one_of_the_replicates_diverged(repo):
    for seed in (1, 2):
        logged({"lr": 1, "seed": seed}, [1.0, 0.5, math.nan if seed == 1 else 0.4, 0.25, 0.25])
    bands = [line for line in plot.series(gitparams.runs(), replicates=True).data if line.fill == "toself"]
    assert [band.x for band in bands] == [(0.0, 1.0, 1.0, 0.0), (3.0, 4.0, 4.0, 3.0)]
    assert all(math.isfinite(value) for band in bands for value in band.y)


def test_replicates_without_a_common_step_are_said(repo):
    for seed, shift in ((1, 0), (2, 10)):
        with gitparams.start({"lr": 0.1, "seed": seed}) as run:
            run.log(loss=1.0, step=shift)
    assert "no step in common" in notes(plot.series(gitparams.runs(), replicates=True))[0]


def test_on_a_logarithm_what_is_not_above_zero_is_counted(repo):
    logged({"lr": 1}, [1.0, 0.0, 1e-3])
    figure = plot.series(gitparams.runs(), log=True)
    assert figure.layout.yaxis.type == "log"
    assert notes(figure) == ["1 value at or below 0 cannot stand on a logarithmic axis."]


def test_gaps_stay_gaps_and_a_single_value_is_a_point(repo):
    logged({"lr": 1}, [1.0, math.nan, 0.5])
    logged({"lr": 2}, [0.7])
    figure = plot.series(gitparams.runs())
    assert figure.data[0].y == (1.0, None, 0.5) and figure.data[0].connectgaps is False
    assert (figure.data[1].mode, figure.data[1].y) == ("markers", (0.7,))


def test_over_time_a_line_begins_at_zero(curves):
    figure = plot.series(curves, x="time")
    assert figure.data[0].x[0] == 0.0 and figure.layout.xaxis.title.text == "seconds since the first value"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"metric": "acc"}, "None of these runs logged 'acc' step by step"),
        ({"smooth": 1.0}, "The smoothing is 1, and must be 0 or more and below 1"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(curves, options, sentence):
    with pytest.raises(UsageError, match=sentence):
        plot.series(curves, **options)


def test_runs_that_know_no_steps_are_refused(repo):
    with pytest.raises(UsageError, match=r"take them from gitparams\.runs"):
        plot.series(make_runs(3))
    gitparams.record({"lr": 1}, {"acc": 1})
    with pytest.raises(UsageError, match="None of these runs logged a metric"):
        plot.series(gitparams.runs())
    with pytest.raises(UsageError, match="There are no runs to draw"):
        plot.series([])
