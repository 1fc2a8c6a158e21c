"""Replicates: which runs are equal but for the seed, what their metrics say, and whether two groups differ."""

import math
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.flat import flat_document
from gitparams.model import Run, Status, new_run_id
from gitparams.params import MISSING, flatten, layer, nested
from gitparams.replicates import (
    Difference,
    Row,
    Spread,
    aggregated,
    compared,
    grouped,
    grouped_rows,
    spread,
    t_bound,
    t_tails,
)
from gitparams.repository import Repository
from gitparams.seeds import is_seed
from gitparams.values import same
from gitparams.writing import Beginning

START = datetime(2026, 11, 23, 12, tzinfo=UTC)


def run(params, acc=None, *, at=0, status=Status.COMPLETED, **fields):
    metrics = fields.pop("metrics", {} if acc is None else {"acc": acc})
    return Run(new_run_id(), status, START + timedelta(seconds=at), params=nested(params), metrics=metrics, **fields)


def group(*values, params=None):
    (found,) = grouped([run(params or {"lr": 0.1}, value, at=place) for place, value in enumerate(values)])
    return found


def ids(groups):
    return [[member.id for member in found.runs] for found in groups]


def row(found):
    params, metrics = flat_document(found.params), flat_document(dict(found.metrics))
    return Row(found.id, found.experiment, str(found.status), found.started.timestamp(), params, metrics)


# -- which runs are replicates --------------------------------------------------------------------------------------------


def test_runs_that_differ_in_the_seed_alone_are_one_group_newest_first():
    one, two = run({"lr": 0.1, "data": {"seed": 1}}, at=1), run({"lr": 0.1, "data": {"seed": 2}}, at=2)
    (found,) = grouped([one, two])
    assert found.runs == (two, one)
    assert found.newest is two
    assert found.params == {"lr": 0.1}
    assert found.left_out == ("data.seed",)
    assert found.seeds == ({"data.seed": 2}, {"data.seed": 1})


def test_the_group_with_the_newest_run_comes_first():
    old, new, again = run({"lr": 1, "seed": 1}, at=1), run({"lr": 2, "seed": 1}, at=2), run({"lr": 1, "seed": 2}, at=3)
    assert ids(grouped([old, new, again])) == [[again.id, old.id], [new.id]]


def test_a_run_without_a_seed_is_with_those_that_have_one():
    one, two = run({"lr": 0.1}, at=1), run({"seed": 2, "lr": 0.1}, at=2)
    (found,) = grouped([one, two])
    assert found.seeds == ({"seed": 2}, {})


def test_the_order_in_which_params_were_written_does_not_matter():
    assert len(grouped([run({"a": 1, "b": {"d": 2, "c": 3}}), run({"b": {"c": 3, "d": 2}, "a": 1})])) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 1.0),
        (1, True),
        (1, "1"),
        (None, "None"),
        (math.inf, 1e308),
        (0.0, -0.0),
        ([1, 2], [2, 1]),
        ("a\0b", "a\0c"),
        ({}, None),
        (2**63, 2**63 + 1),
    ],
)
def test_values_that_differ_in_type_or_value_part_groups(left, right):
    assert len(grouped([run({"x": left, "y": 1}), run({"x": right, "y": 1})])) == 2


@pytest.mark.parametrize("value", [math.nan, -math.inf, [math.nan], "a\0b", "", {}, None, 10**30, "\ud800"])
def test_odd_values_that_are_the_same_are_one_group_and_read_back(value):
    (found,) = grouped([run({"x": value, "y.z": 1}), run({"x": value, "y.z": 1})])
    assert same(found.params["x"], value)
    assert list(found.params) == ["x", '["y.z"]']


def test_texts_that_run_into_each_other_are_not_taken_for_one_another():
    assert len(grouped([run({"a": "x\0sy", "b": "z"}), run({"a": "x", "b": "y\0sz"})])) == 2


def test_the_key_decides_as_well_as_the_value():
    assert len(grouped([run({"a": 1, "b": 2}), run({"a": 1, "c": 2})])) == 2


def test_runs_of_two_experiments_are_two_groups():
    found = grouped([run({}, experiment="digits", at=2), run({}, experiment="letters", at=1)])
    assert [one.experiment for one in found] == ["digits", "letters"]


@pytest.mark.parametrize("ignore", ["host", "log*", "logging", "logging.host"])
def test_ignored_params_may_differ_by_name_by_path_or_below_a_path(ignore):
    params = [{"lr": 1, "logging": {"host": name}} for name in ("one", "two")]
    (found,) = grouped(map(run, params), ignore=[ignore])
    assert (found.params, found.left_out, found.seeds) == ({"lr": 1}, ("logging.host",), ({}, {}))


def test_ignore_leaves_other_params_alone():
    assert len(grouped([run({"loggings": 1, "host2": 1}), run({"loggings": 2, "host2": 1})], ignore=["logging", "host"])) == 2


def test_seeds_by_another_name_are_told():
    (found,) = grouped([run({"salt": 1}), run({"salt": 2})], seeds=["salt"])
    assert sorted(seeds["salt"] for seeds in found.seeds) == [1, 2]


def test_no_runs_are_no_groups():
    assert grouped([]) == []


def test_runs_that_did_not_complete_are_listed_and_not_counted():
    done, failed = run({"lr": 1}, 0.5, at=1), run({"lr": 1}, 0.1, at=2, status=Status.FAILED)
    (found,) = grouped([done, failed])
    assert found.runs == (failed, done)
    assert found.counted == (done,)
    assert found.metrics == {"acc": spread([0.5])}


def test_a_seed_that_two_completed_runs_share_is_counted():
    seeds = [run({"seed": seed}, at=place) for place, seed in enumerate([1, 1, 1, 2])]
    failed = run({"seed": 2}, status=Status.FAILED)
    assert [found.repeated for found in grouped([*seeds, failed])] == [2]
    assert [found.repeated for found in grouped([run({"lr": 1}), run({"lr": 1})])] == [0]


_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.5, 1.0, math.nan, "1", "a,b", ',"', "\0"]))
_PARAMS = st.dictionaries(
    st.sampled_from(["lr", "seed", "a.b", "é", "n"]),
    _LEAVES | st.dictionaries(st.sampled_from(["seed", "x"]), _LEAVES),
    max_size=4,
)


@settings(deadline=None)
@given(st.lists(_PARAMS, max_size=12))
def test_groups_are_what_comparing_all_with_all_gives(configs):
    runs = [run(params, at=-place) for place, params in enumerate(configs)]
    expected = []
    for one in runs:
        kept = {path: value for path, value in flatten(one.params).items() if not is_seed(path)}
        mine = next((known for params, known in expected if same(params, kept)), None)
        if mine is None:
            expected.append((kept, mine := []))
        mine.append(one.id)
    assert ids(grouped(runs)) == [known for _, known in expected]


def test_rows_of_the_index_give_the_same_groups_as_runs():
    some = random.Random(1)
    runs = [
        run(
            {"lr": some.choice([1, 2]), "seed": place},
            at=place,
            metrics={"acc": some.random(), "val/loss": math.nan, "ok": True},
        )
        for place in range(20)
    ]
    by_runs, by_rows = grouped(runs), grouped_rows(map(row, runs))
    assert ids(by_rows) == ids(by_runs)
    assert [found.params for found in by_rows] == [found.params for found in by_runs]
    assert [found.seeds for found in by_rows] == [found.seeds for found in by_runs]
    assert [repr(found.metrics) for found in by_rows] == [repr(found.metrics) for found in by_runs]
    assert [member.started for member in by_rows[0].runs] == [member.started for member in by_runs[0].runs]


def test_a_row_that_cannot_be_read_is_in_no_group():
    readable = row(run({"lr": 1}))
    (found,) = grouped_rows([Row(new_run_id(), None, "broken", 0.0, "{}", "{}"), readable])
    assert [member.id for member in found.runs] == [readable.id]


def test_runs_of_a_repository_are_grouped_from_its_index(repo):
    with Repository.find() as repository:
        for lr, seed, acc in ((0.1, 1, 0.5), (0.1, 2, 0.75), (0.2, 1, 1.0)):
            repository.record(Beginning(layer({"optim": {"lr": lr}, "seed": seed}, "code")), {"acc": acc})
        columns = "id, experiment, status, started, params, metrics"
        rows = [Row(*found) for found in repository.index.connection.execute(f"SELECT {columns} FROM runs")]
    newer, older = grouped_rows(rows)
    assert (newer.params, newer.metrics["acc"].n) == ({"optim.lr": 0.2}, 1)
    assert (older.params, older.metrics["acc"].mean, older.left_out) == ({"optim.lr": 0.1}, 0.625, ("seed",))


# -- what some numbers say ------------------------------------------------------------------------------------------------


def test_the_spread_of_five_values():
    found = spread([1, 2, 3, 4, 5])
    margin = 2.7764451051977987 * math.sqrt(2.5 / 5)
    assert found == Spread(5, 3.0, math.sqrt(2.5), 1.0, 5.0, pytest.approx((3 - margin, 3 + margin), rel=1e-12), 0)


def test_values_that_are_not_finite_are_counted_apart():
    assert spread([math.nan, 0.5, math.inf, -math.inf, 10**400]) == Spread(1, 0.5, None, 0.5, 0.5, None, 4)


def test_nothing_but_nan_has_no_mean():
    found = spread([math.nan])
    assert (found.n, found.std, found.interval, found.not_finite) == (0, None, None, 1)
    assert math.isnan(found.mean)


@pytest.mark.parametrize("value", [0.1, 1e308, 5e-324, -3, 0, True, 2**60])
def test_equal_values_have_no_deviation_however_large(value):
    found = spread([value] * 3)
    assert (found.mean, found.std, found.interval) == (value, 0.0, (value, value))


@pytest.mark.parametrize("scale", [1.0, 1e300, 1e-300])
def test_a_deviation_neither_overflows_nor_vanishes(scale):
    found = spread([1 * scale, 2 * scale, 3 * scale])
    assert (found.mean, found.std) == pytest.approx((2 * scale, scale), rel=1e-12)


def test_a_sum_beyond_all_floats_has_a_mean():
    assert spread([1.5e308, 1.7e308]).mean == pytest.approx(1.6e308)


@pytest.mark.parametrize(
    ("df", "bound"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (10, 2.228), (30, 2.042), (120, 1.980)]
)
def test_bounds_are_those_of_the_printed_table(df, bound):
    """Abramowitz & Stegun, table 26.10."""
    assert round(t_bound(0.05, df), 3) == bound


_DEGREES = (1, 1.3, 2, 2.5, 3, 4, 5, 7.7, 10, 29.9, 59, 60, 61, 100, 333.3, 1000, 1e4, 1e5, 1e6)


@pytest.mark.parametrize("df", _DEGREES)
@pytest.mark.parametrize("t", [0, 0.001, 0.1, 0.5, 0.9, 1, 1.3, 1.7, 2, 2.5, 3, 5, 8, 12, 20])
def test_tails_are_those_of_scipy(t, df):
    stats = pytest.importorskip("scipy.stats")
    assert t_tails(t, df) == pytest.approx(2 * stats.t.sf(t, df), rel=1e-10, abs=1e-300)
    assert t_tails(-t, df) == t_tails(t, df)


@pytest.mark.parametrize("df", _DEGREES)
@pytest.mark.parametrize("tails", [0.5, 0.3, 0.1, 0.05, 0.01, 1e-3, 1e-6, 1e-9])
def test_bounds_are_those_of_scipy(tails, df):
    stats = pytest.importorskip("scipy.stats")
    assert t_bound(tails, df) == pytest.approx(stats.t.isf(tails / 2, df), rel=1e-10)


# -- two groups -----------------------------------------------------------------------------------------------------------


def test_a_difference_beyond_the_noise():
    found = compared(group(0.910, 0.912, 0.914), group(0.930, 0.934, 0.938), "acc")
    assert (found.exceeds, found.why) == (True, "")
    assert (found.delta, found.t, found.df, found.p) == pytest.approx((0.022, 8.52056, 2.94118, 0.0036600), rel=1e-4)


def test_a_difference_within_the_noise():
    found = compared(group(0.90, 0.92, 0.94), group(0.91, 0.93, 0.95), "acc")
    assert (found.exceeds, round(found.p, 3)) == (False, 0.573)


@settings(deadline=None)
@given(
    st.lists(st.floats(-1, 1), min_size=2, max_size=8, unique=True),
    st.lists(st.floats(-1, 1), min_size=2, max_size=8, unique=True),
)
def test_welchs_test_is_that_of_scipy(left, right):
    stats = pytest.importorskip("scipy.stats")
    one, other = spread(left), spread(right)
    if one.std < 1e-9 or other.std < 1e-9:
        return
    found = compared(group(*left), group(*right), "acc")
    expected = stats.ttest_ind(right, left, equal_var=False)
    assert (found.t, found.df, found.p) == pytest.approx(
        (expected.statistic, expected.df, expected.pvalue), rel=1e-6, abs=1e-12
    )


@pytest.mark.parametrize(
    ("left", "right", "why"),
    [
        ([0.5], [0.6, 0.7], "1 run on a side: how large the noise is cannot be told"),
        ([0.5], [0.6], "1 run a side: how large the noise is cannot be told"),
        ([0.5, 0.5], [0.7, 0.7, 0.7], "no noise on either side: all runs of a side have one value"),
        ([-1.7e308, 1.7e308, 1.7e308], [1.0, 2.0], "numbers too large to compare"),
    ],
)
def test_what_cannot_be_told_is_said_with_the_reason(left, right, why):
    found = compared(group(*left), group(*right), "acc")
    assert (found.exceeds, found.p, found.why) == (None, None, why)
    assert found.delta == pytest.approx(spread(right).mean - spread(left).mean)


@pytest.mark.parametrize(
    ("left", "right", "why"),
    [
        ([None], [0.5], "no completed run of the first group has acc"),
        ([0.5], [None], "no completed run of the second group has acc"),
        ([None], [None], "no completed run has acc"),
        ([math.nan], [0.5], "no finite value on a side"),
        ([math.nan], [math.inf], "no finite value on either side"),
    ],
)
def test_a_metric_that_a_side_has_not_has_no_difference(left, right, why):
    found = compared(group(*left), group(*right), "acc")
    assert (found.delta, found.exceeds, found.why) == (None, None, why)


def test_one_side_without_deviation_is_compared_all_the_same():
    found = compared(group(0.5, 0.5, 0.5), group(0.6, 0.61, 0.62), "acc")
    assert (found.exceeds, found.df) == (True, 2.0)


def test_two_runs_on_a_side_are_said_to_be_few():
    found = compared(group(0.5, 0.51), group(0.52, 0.54, 0.56), "acc")
    assert found.why == "2 runs on a side: only a very large difference would show"


def test_a_group_does_not_differ_from_itself():
    found = group(0.5, 0.6, 0.7)
    assert compared(found, found, "acc") == Difference(
        "acc", found.metrics["acc"], found.metrics["acc"], 0.0, 0.0, pytest.approx(4.0), 1.0, False, ""
    )


# -- by keys one names ----------------------------------------------------------------------------------------------------

MODELS = [
    run({"model": {"name": "mlp"}}, metrics={"acc": 0.5, "loss": 2.0, "steps": 10}, at=1, tags=("a",)),
    run({"model": {"name": "cnn"}}, metrics={"acc": 0.7, "loss": 1.0, "steps": 30}, at=2),
    run({"model": {"name": "cnn"}}, metrics={"acc": 0.6, "loss": math.nan, "steps": 20}, at=3),
    run({"model": {"name": "cnn"}}, metrics={"acc": 0.1}, at=4, status=Status.FAILED),
]


def test_every_aggregate_of_every_metric():
    cnn, mlp = aggregated(MODELS, ["params.model.name"], ["mean", "std", "min", "max", "median", "count", "best", "last"])
    assert (cnn.values, cnn.count, cnn.counted, cnn.newest) == (("cnn",), 3, 2, MODELS[3].id)
    assert cnn.metrics["acc"] == {
        "mean": pytest.approx(0.65), "std": pytest.approx(0.1 / math.sqrt(2)), "min": 0.6, "max": 0.7,
        "median": pytest.approx(0.65), "count": 2, "best": 0.7, "last": 0.6,
    }  # fmt: skip
    assert cnn.metrics["loss"] == {
        "mean": 1.0, "std": None, "min": 1.0, "max": 1.0, "median": 1.0, "count": 1, "best": 1.0, "last": pytest.approx(math.nan, nan_ok=True),
    }  # fmt: skip
    assert (mlp.count, mlp.metrics["steps"]["best"]) == (1, None)


def test_a_declared_direction_decides_the_best():
    (found,) = aggregated(MODELS, [], ["best"], directions={"steps": Direction.MIN, "acc": Direction.MIN})
    assert (found.metrics["steps"], found.metrics["acc"]) == ({"best": 10}, {"best": 0.5})


@pytest.mark.parametrize(
    ("by", "values"),
    [
        ("status", [("completed",), ("failed",)]),
        ("model.name", [("cnn",), ("mlp",)]),
        ("acc", [(0.1,), (0.5,), (0.6,), (0.7,)]),
        ("metrics.steps", [(10,), (20,), (30,), (MISSING,)]),
        ("tags", [(["a"],), ([],)]),
        ("started", [("2026-11-23",)]),
        ("branch", [(MISSING,)]),
    ],
)
def test_runs_are_grouped_by_fields_params_and_metrics(by, values):
    assert [found.values for found in aggregated(MODELS, [by])] == values


def test_numbers_stand_before_text_and_missing_last():
    runs = [run({"x": value}) for value in ("b", 10, True, 9, "a", 1.5, None, [1])] + [run({})]
    assert [found.values[0] for found in aggregated(runs, ["x"])] == [1.5, 9, 10, "a", "b", None, True, [1], MISSING]


def test_values_of_two_types_are_two_lines():
    assert [found.values for found in aggregated([run({"x": 1}), run({"x": 1.0}), run({"x": "1"})], ["x"])] == [
        (1,),
        (1.0,),
        ("1",),
    ]


@pytest.mark.parametrize(
    ("by", "agg", "message", "hint"),
    [
        (
            ["params.model.nam"],
            ["mean"],
            "No run has 'params.model.nam', so runs cannot be grouped by it.",
            "did you mean model.name?",
        ),
        (["zzz"], ["mean"], "No run has 'zzz', so runs cannot be grouped by it.", None),
        (["status"], ["lasst"], "'lasst' is nothing that runs can be summed up by.", "did you mean last?"),
        (
            ["status"],
            ["q"],
            "'q' is nothing that runs can be summed up by.",
            "use mean, std, min, max, median, count, best, last",
        ),
    ],
)
def test_a_word_that_names_nothing_is_refused(by, agg, message, hint):
    with pytest.raises(UsageError) as caught:
        aggregated(MODELS, by, agg)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_ten_thousand_groups():
    found = aggregated((run({"x": place}, place / 2) for place in range(10_000)), ["x"], ["mean", "best"])
    assert [one.values[0] for one in found] == list(range(10_000))
    assert found[9_999].metrics == {"acc": {"mean": 4999.5, "best": 4999.5}}


def test_no_runs_have_no_sums():
    assert aggregated([], ["anything"]) == []
