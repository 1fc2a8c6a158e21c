"""The space of runs: what their params span, and what they are judged by."""

import math

import pytest

import gitparams
from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.space import Dimension, space_of


def record(params, **metrics):
    return gitparams.record(params, metrics)


def dimension(path, runs):
    return space_of(runs).dimension(path)


@pytest.mark.parametrize(
    ("values", "kind", "low", "high", "log", "words"),
    [
        ([1, 8, 3], "int", 1.0, 8.0, False, ()),
        ([0.5, 2], "float", 0.5, 2.0, False, ()),
        ([1e-5, 1e-2, 1e-3], "float", 1e-5, 1e-2, True, ()),
        ([0.0, 1e-2], "float", 0.0, 1e-2, False, ()),
        ([True, False], "words", 0.0, 0.0, False, ("false", "true")),
        (["adam", "sgd"], "words", 0.0, 0.0, False, ("adam", "sgd")),
        ([1, "1", None, "auto", 10, 2], "words", 0.0, 0.0, False, ("1", "2", "10", '"1"', "auto", "null")),
        ([[1], [1, 2]], "words", 0.0, 0.0, False, ("[1,2]", "[1]")),
        ([math.nan, 1.0], "words", 0.0, 0.0, False, None),
        ([1, 10**400], "words", 0.0, 0.0, False, None),
    ],
)
def test_a_param_is_numbers_or_words_by_all_its_values(repo, values, kind, low, high, log, words):
    found = dimension("x", [record({"x": value}) for value in values])
    assert (found.kind, found.low, found.high, found.log, found.count) == (kind, low, high, log, len(values))
    assert words is None or found.words == words


def test_what_is_equal_in_all_runs_is_a_constant_and_what_some_lack_is_neither(repo):
    runs = [record({"lr": 0.1, "batch": 64}), record({"lr": 0.2, "batch": 64, "depth": 3})]
    space = space_of(runs)
    assert space.dimensions == (Dimension("lr", "float", 0.1, 0.2, False, (), 2),)
    assert space.constants == {"batch": 64}
    with pytest.raises(UsageError, match="The param 'batch' is 64 in all of these runs"):
        space.dimension("batch")
    with pytest.raises(UsageError, match="None of these runs has a param 'learning'"):
        space.dimension("learning")


def test_the_runs_are_judged_by_the_metric_that_most_have_and_whose_better_way_is_known(repo):
    runs = [record({"i": 0}, foo=1), record({"i": 1}, foo=1, acc=0.5), record({"i": 2}, foo=1, acc=0.7, loss=1)]
    space = space_of(runs)
    assert (space.metric, space.direction, space.guessed) == ("acc", Direction.MAX, True)
    assert [trial.score for trial in space.scored] == [0.5, 0.7]
    assert math.isnan(space.trials[0].score)


def test_a_metric_that_is_named_counts_and_its_declared_direction_too(repo):
    runs = [record({"i": 0}, foo=1.0), record({"i": 1}, foo=math.inf)]
    space = space_of(runs, "metrics.foo", {"foo": Direction.MAX})
    assert (space.metric, space.direction, space.guessed) == ("foo", Direction.MAX, False)
    assert [trial.run.id for trial in space.scored] == [runs[0].id]


def test_a_metric_that_no_run_has_is_refused_with_those_that_are_there(repo):
    with pytest.raises(UsageError, match="None of these runs has a metric 'accuracy'") as error:
        space_of([record({}, acc=1)], "accuracy")
    assert error.value.hint == "did you mean acc?"


def test_no_runs_and_no_metrics_are_an_empty_space(repo):
    assert space_of([]).metric is None
    assert space_of([record({"a": 1}), record({"a": 2})]).scored == ()


def test_the_oldest_run_comes_first(repo):
    runs = [record({"i": number}) for number in range(3)]
    assert [trial.run.id for trial in space_of(reversed(runs)).trials] == [run.id for run in runs]
