from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitparams.changes import CodeChange, MetricChange, Naming, ParamChange, RunDiff, compare, origin_at, summary
from gitparams.directions import Direction
from gitparams.leniency import Leniency
from gitparams.model import Run, RunId, Status, new_run_id, now
from gitparams.params import MISSING, Origin, differing, flatten, merge, nested
from gitparams.screens.diff import render
from gitparams.screens.terminal import Terminal
from gitparams.values import same

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def run(params: dict[str, Any] | None = None, identity: str = "qpvuntsmwlqtrvkp", **fields: Any) -> Run:
    return Run(RunId(identity), Status.COMPLETED, NOON, params=nested(params or {}), **fields)


def rows(*params: dict[str, Any], keys: tuple[str, ...] = ()) -> dict[str, tuple[Any, ...]]:
    diff = compare([run(each) for each in params], keys=keys)
    return {path: (change.kind, *change.values) for path, change in diff.params.items()}


# -- params ---------------------------------------------------------------------------------------------------------------


def test_a_change_an_addition_a_removal_and_a_change_of_type() -> None:
    assert rows({"lr": 0.1, "amp": 1, "old": None}, {"lr": 0.01, "amp": True, "new": "x"}) == {
        "amp": ("type", 1, True),
        "lr": ("changed", 0.1, 0.01),
        "new": ("added", MISSING, "x"),
        "old": ("removed", None, MISSING),
    }


def test_1_and_1_0_and_true_and_text_are_four_things() -> None:
    values: list[Any] = [1, 1.0, True, "1"]
    found = [rows({"x": a}, {"x": b}) for a in values for b in values if a is not b]
    assert [row["x"][0] for row in found] == ["type"] * 12


def test_they_are_four_things_in_a_list_too() -> None:
    assert rows({"x": [1, 1, 1]}, {"x": [1.0, True, 1]}) == {"x[0]": ("type", 1, 1.0), "x[1]": ("type", 1, True)}


def test_lists_are_compared_item_by_item() -> None:
    assert rows({"layers": [64, 64], "one": {"two": [{"a": 1}]}}, {"layers": [64, 32, 16], "one": {"two": [{"a": 2}]}}) == {
        "layers[1]": ("changed", 64, 32),
        "layers[2]": ("added", MISSING, 16),
        "one.two[0].a": ("changed", 1, 2),
    }


def test_disjoint_configs_are_compared_key_by_key() -> None:
    assert rows({"p": 1, "q": 2, "r": 3}, {"s": 1, "t": 2, "r": 4}) == {
        "p": ("removed", 1, MISSING),
        "q": ("removed", 2, MISSING),
        "r": ("changed", 3, 4),
        "s": ("added", MISSING, 1),
        "t": ("added", MISSING, 2),
    }


def test_a_mapping_that_comes_or_goes_is_told_leaf_by_leaf() -> None:
    assert rows({"optim": {"lr": 1, "a.b": {"c": 2}}}, {}) == {
        'optim["a.b"].c': ("removed", 2, MISSING),
        "optim.lr": ("removed", 1, MISSING),
    }


def test_a_value_against_a_mapping_is_gone_and_its_leaves_are_new() -> None:
    assert rows({"optim": "sgd"}, {"optim": {"name": "sgd", "lr": 1}}) == {
        "optim": ("removed", "sgd", MISSING),
        "optim.lr": ("added", MISSING, 1),
        "optim.name": ("added", MISSING, "sgd"),
    }


def test_nan_is_no_change_and_the_sign_of_zero_is_one() -> None:
    assert rows({"x": math.nan, "y": [math.nan, 0.0]}, {"x": math.nan, "y": [math.nan, -0.0]}).keys() == {"y[1]"}


def test_params_that_are_equal_are_counted() -> None:
    assert compare([run({"a": 1, "b": [1, 2], "c": {}}), run({"a": 1, "b": [1, 3], "c": {}})]).equal_params == 2


def test_more_than_two_runs_are_compared_by_whole_values() -> None:
    assert rows({"x": [1, 2], "y": 1}, {"x": [1, 2], "y": True}, {"x": [1, 3]}) == {
        "x": ("changed", [1, 2], [1, 2], [1, 3]),
        "y": ("removed", 1, True, MISSING),
    }


@pytest.mark.parametrize(
    ("key", "paths"),
    [
        ("optim.lr", {"optim.lr"}),
        ("optim", {"optim.lr", "optim.layers[0]"}),
        ("opt", set()),
        ("*lr", {"optim.lr", "lr"}),
        ("optim.layers[0]", {"optim.layers[0]"}),
    ],
)
def test_keys_are_paths_beginnings_or_globs(key: str, paths: set[str]) -> None:
    one, two = {"optim": {"lr": 1, "layers": [1]}, "lr": 1}, {"optim": {"lr": 2, "layers": [2]}, "lr": 2}
    assert rows(one, two, keys=(key,)).keys() == paths


def test_names_and_moves_of_items_are_told() -> None:
    one = {"layers": [{"name": "conv1", "size": 3}, {"name": "conv2"}, {"name": "head"}], "betas": [1, 2, 3]}
    two = {"layers": [{"name": "head"}, {"name": "conv1", "size": 5}, {"name": "conv2"}], "betas": [1, 2, 3]}
    assert rows(one, two) == {"layers[conv1].size": ("changed", 3, 5), "layers[head]": ("moved", 2, 0)}


def test_a_place_inside_of_a_list_can_be_asked_for_whatever_is_compared() -> None:
    runs = [run({"x": [1, 2]}), run({"x": [3, 4]}), run({"x": [1, 2]})]
    assert compare(runs[:2], keys=["x[1]"]).params.keys() == {"x[1]"}
    assert compare(runs, keys=["x[1]"]).params.keys() == {"x"}


# -- what is allowed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("leniency", "paths", "ignored"),
    [
        (Leniency(), {"lr", "seed", "sizes[0]", "sizes[1]"}, 0),
        (Leniency(rtol=0.1), {"seed", "sizes[1]"}, 1),
        (Leniency(rtol=0.1, types=False), {"sizes[1]"}, 2),
        (Leniency(ignore=("sizes", "l*")), {"seed"}, 2),
        (Leniency(ignore=("*",)), set(), 3),
    ],
)
def test_params_that_differ_and_are_not_looked_at_are_counted(leniency: Leniency, paths: set[str], ignored: int) -> None:
    one = run({"lr": 0.1, "seed": 1, "sizes": [1.0, 2.0], "same": 1})
    two = run({"lr": 0.101, "seed": "1", "sizes": [1.01, 3.0], "same": 1})
    diff = compare([one, two], leniency=leniency)
    assert (set(diff.params), diff.ignored, diff.equal_params) == (paths, ignored, 1)


@pytest.mark.parametrize(
    ("leniency", "paths", "ignored"),
    [
        (Leniency(), {"lr", "sizes"}, 0),
        (Leniency(rtol=0.1), {"sizes"}, 1),
        (Leniency(order=False), {"lr"}, 1),
        (Leniency(ignore=("lr",)), {"sizes"}, 1),
    ],
)
def test_of_many_runs_each_is_compared_with_the_first(leniency: Leniency, paths: set[str], ignored: int) -> None:
    runs = [run({"lr": 0.1, "sizes": [1, 2]}), run({"lr": 0.1, "sizes": [2, 1]}), run({"lr": 0.101, "sizes": [1, 2]})]
    diff = compare(runs, leniency=leniency)
    assert (set(diff.params), diff.ignored, diff.equal_params) == (paths, ignored, 0)


def test_only_what_was_asked_for_is_counted_as_ignored() -> None:
    one, two = run({"a": 1.0, "b": 1.0, "c": 1}), run({"a": 1.001, "b": 1.001, "c": 1})
    diff = compare([one, two], keys=["a", "c"], leniency=Leniency(rtol=0.1))
    assert (diff.params, diff.ignored, diff.equal_params, bool(diff)) == ({}, 1, 1, False)


def test_a_tolerance_holds_for_metrics_whatever_their_type() -> None:
    one, two = run(metrics={"acc": 1, "loss": 0.2, "x": math.nan}), run(metrics={"acc": 1.0, "loss": 0.2001, "x": 1.0})
    assert compare([one, two]).metrics.keys() == {"acc", "loss", "x"}
    assert compare([one, two], leniency=Leniency(rtol=0.01)).metrics.keys() == {"x"}
    assert compare([one, two], leniency=Leniency(ignore=("*",))).metrics.keys() == {"acc", "loss", "x"}


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.sampled_from([1.0, 0.0, -0.0, math.nan]), st.text(max_size=3)
)
KEYS = st.sampled_from(["a", "b", "a.b", "", 'q"', "x y", "['z']"])
FLAT_CONFIGS = st.recursive(VALUES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)
CONFIGS = st.dictionaries(KEYS, FLAT_CONFIGS, max_size=3)
LISTS = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)


@settings(max_examples=400, deadline=None)
@given(CONFIGS, CONFIGS)
def test_deepdiff_and_the_flat_compare_agree_where_there_are_no_lists(one: dict[str, Any], two: dict[str, Any]) -> None:
    found = {path: change.values for path, change in compare([run(one), run(two)]).params.items()}
    expected = differing(flatten(one), flatten(two))
    assert found.keys() == expected.keys()
    pairs = [pair for path in found for pair in zip(found[path], expected[path], strict=True)]
    assert all(one is two or same(one, two) for one, two in pairs)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, LISTS, max_size=3), st.dictionaries(KEYS, LISTS, max_size=3))
def test_there_is_a_difference_exactly_when_the_params_are_not_the_same(one: dict[str, Any], two: dict[str, Any]) -> None:
    diff = compare([run(one), run(two)])
    assert bool(diff) == (not same(one, two))
    json.dumps(diff.to_json(), allow_nan=False)


# -- the rest -------------------------------------------------------------------------------------------------------------


def test_metrics_have_a_delta_and_a_word_for_it() -> None:
    one, two = (
        run(metrics={"acc": 0.912, "loss": 0.2, "time": 10, "same": 1}),
        run(metrics={"acc": 0.934, "loss": 0.3, "time": 12, "same": 1}),
    )
    assert compare([one, two]).metrics == {
        "acc": MetricChange("acc", (0.912, 0.934), 0.022, True),
        "loss": MetricChange("loss", (0.2, 0.3), 0.1, False),
        "time": MetricChange("time", (10, 12), 2, None),
    }


def test_a_declared_direction_decides_what_is_better() -> None:
    diff = compare([run(metrics={"time": 1}), run(metrics={"time": 2})], directions={"time": Direction.MIN})
    assert diff.metrics["time"].better is False


def test_a_missing_metric_has_no_delta_and_one_that_is_not_finite_no_word() -> None:
    diff = compare([run(metrics={"loss": math.inf}), run(metrics={"loss": 1.0, "acc": 1})])
    assert diff.metrics == {
        "acc": MetricChange("acc", (MISSING, 1)),
        "loss": MetricChange("loss", (math.inf, 1.0), -math.inf, True),
    }


def test_packages_are_compared_by_name() -> None:
    diff = compare(
        [run(), run()], packages=[["numpy==1.2", "torch==2", "same==1"], ["numpy==1.3", "same==1", "local @ file:///x"]]
    )
    assert diff.packages == {"local": (None, "file:///x"), "numpy": ("1.2", "1.3"), "torch": ("2", None)}


def test_the_document_has_the_shape_of_the_design() -> None:
    one = run({"lr": math.nan, "layers": [1, math.inf]}, metrics={"acc": 0.5})
    two = run({"lr": 0.1, "layers": [1]}, "kkmpptxzkkmpptxz")
    diff = compare(
        [one, two], code=[CodeChange("a.py", 1, 2), CodeChange("b.png", None, None)], packages=[["x==1", "y==1"], ["y==1"]]
    )
    assert diff.to_json() == {
        "runs": ["qpvuntsmwlqtrvkp", "kkmpptxzkkmpptxz"],
        "params": {
            "layers[1]": {"kind": "removed", "values": ["Infinity", {"missing": True}]},
            "lr": {"kind": "changed", "values": ["NaN", 0.1]},
        },
        "metrics": {"acc": {"values": [0.5, {"missing": True}], "delta": None}},
        "code": [{"path": "a.py", "added": 1, "removed": 2}, {"path": "b.png", "added": None, "removed": None}],
        "packages": {"x": ["1", {"missing": True}]},
        "environment": {},
        "seeds": {},
    }


def test_the_document_tells_names_what_was_ignored_origins_and_patches_when_there_are_some() -> None:
    one = run({"layers": [{"name": "a", "x": 1}], "lr": 1.0}, seeds={"PYTHONHASHSEED": "0"}, host="one")
    two = run({"layers": [{"name": "a", "x": 2}], "lr": 1.01}, "kkmpptxzkkmpptxz", host="two")
    diff = compare(
        [one, two],
        code=[CodeChange("a.py", 1, 0, "@@ -0,0 +1 @@\n+x\n")],
        leniency=Leniency(rtol=0.1),
        names=[Naming("HEAD~1", "same tree"), Naming()],
        origins=[{"layers": Origin("file", "a.yaml:3")}, {}],
    )
    assert diff.to_json() == {
        "origins": {"layers[a].x": [{"source": "file", "at": "a.yaml:3", "overrode": []}, None]},
        "names": [{"word": "HEAD~1", "how": "same tree"}, {"word": "", "how": ""}],
        "ignored": 1,
        "runs": ["qpvuntsmwlqtrvkp", "kkmpptxzkkmpptxz"],
        "params": {"layers[a].x": {"kind": "changed", "values": [1, 2]}},
        "metrics": {},
        "code": [{"path": "a.py", "added": 1, "removed": 0, "patch": "@@ -0,0 +1 @@\n+x\n"}],
        "packages": {},
        "environment": {"host": ["one", "two"]},
        "seeds": {"PYTHONHASHSEED": ["0", {"missing": True}]},
    }


@pytest.mark.parametrize("path", ["net.layers", "net.layers[0]", "net.layers[a.b].x", 'net.layers["a]b"].c["x.y"][2]'])
def test_the_origin_of_an_item_is_that_of_its_list(path: str) -> None:
    origin = Origin("file", "train.yaml:3")
    assert origin_at({"net.layers": origin, "lr": Origin("code")}, path) == origin
    assert origin_at({}, path) is None


def test_where_runs_ran_is_compared_but_for_what_differs_by_nature() -> None:
    one = run(
        host="a",
        user="ada",
        python="3.11.7",
        environment={
            "cpus": 8,
            "gpus": ["A100"],
            "job": "SLURM_JOB_ID=1",
            "caller": "1 2",
            "variables": {"OMP_NUM_THREADS": "8", "SLURM_JOB_ID": "1", "SLURM_ARRAY_JOB_ID": "1", "LSB_JOBID": "1"},
            "hydra": {"choices": {"optim": "sgd"}, "job": {"num": 0}, "output_dir": "x", "overrides": ["a=1"]},
        },
    )
    two = replace(
        one,
        host="b",
        environment={
            "cpus": 8,
            "gpus": ["A100", "A100"],
            "job": "SLURM_JOB_ID=2",
            "caller": "3 4",
            "variables": {"SLURM_JOB_ID": "2", "SLURM_ARRAY_JOB_ID": "2", "SLURM_ARRAY_TASK_ID": "2"},
            "hydra": {"choices": {"optim": "adam"}, "job": {"num": 1}, "output_dir": "y", "overrides": ["a=2"]},
        },
    )
    assert compare([one, two]).environment == {
        "gpus": (["A100"], ["A100", "A100"]),
        "host": ("a", "b"),
        "hydra.choices.optim": ("sgd", "adam"),
        "variables.OMP_NUM_THREADS": ("8", MISSING),
    }


def test_nothing_is_said_of_the_place_when_none_is_known_of_one_run() -> None:
    assert compare([run(host="a"), run(environment={"job": "PBS_JOBID=1"})]).environment == {}


def test_seeds_that_are_no_params_are_compared() -> None:
    one = run({"seed": 1}, seeds={"seed": 1, "torch": 1, "numpy": 3})
    two = run({"seed": 2}, seeds={"seed": 2, "torch": 2, "numpy": 3})
    assert compare([one, two]).seeds == {"torch": (1, 2)}


def whole() -> RunDiff:
    return compare(
        [run({"a": 1}, metrics={"m": 1}, host="a", seeds={"s": 1}), run({"a": 2}, metrics={"m": 2}, host="b", seeds={"s": 2})],
        code=[CodeChange("a.py", 1, 0)],
        packages=[["a==1"], ["a==2"]],
    )


def sections(diff: RunDiff) -> list[str]:
    names = ("params", "metrics", "code", "packages", "environment", "seeds")
    return [name for name in names if getattr(diff, name)]


def test_sections_are_chosen_and_none_is_all() -> None:
    diff = whole()
    assert sections(diff.only(())) == ["params", "metrics", "code", "packages", "environment", "seeds"]
    assert sections(diff.only(["metrics", "seeds"])) == ["metrics", "seeds"]
    assert sections(diff.only({"code", "packages", "environment"})) == ["code", "packages", "environment"]
    assert sections(diff.only({"params"})) == ["params"]


def test_a_diff_is_true_when_anything_differs() -> None:
    assert compare([run(host="a"), run(host="b")])
    assert compare([run(seeds={"s": 1}), run()])
    assert not compare([run({"a": 1}), run({"a": 1})])
    assert compare([run({"a": 1}), run({"a": 2})])
    assert compare([run(metrics={"a": 1}), run()])
    assert compare([run(), run()], code=[CodeChange("a.py", 1, 0)])
    assert compare([run(), run()], packages=[["a==1"], ["a==2"]])
    assert not compare([run(), run()], packages=[["a==1"], []])


def test_a_diff_as_text_is_the_screen() -> None:
    difference = compare([run({"a": 1}), run({"a": 1})])
    assert render(difference, terminal=Terminal(80), directions={}, now=now()) == "No difference in 1 param."


def test_values_are_change_objects() -> None:
    assert compare([run({"a": 1}), run({"a": 2})]).params["a"] == ParamChange("a", "changed", (1, 2))


# -- summary --------------------------------------------------------------------------------------------------------------


def test_a_summary_names_three_params_and_two_metrics_and_counts_the_others() -> None:
    one = run({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, metrics={"acc": 0.91, "loss": 0.2, "x": 1})
    two = run({"a": 2, "b": 2, "c": 2, "d": 2, "e": 2}, metrics={"acc": 0.93, "loss": 0.1, "x": 2})
    assert summary(one, two, {}) == "a 1 → 2 · b 1 → 2 · c 1 → 2 · acc 0.91 → 0.93 · loss 0.2 → 0.1 · 3 more"


def test_a_summary_of_equal_params_and_of_a_first_run() -> None:
    assert summary(run({"a": 1}), run({"a": 1}), {}) == "same params"
    assert summary(None, run({"a": 1}, experiment="digits"), {}) == "first run of digits"


def test_a_summary_cuts_long_values_and_shows_no_control_character() -> None:
    two = run({"path": "x" * 100, "text": "a\n\x1b[31mb\u202e"})
    assert summary(run({"path": "y", "text": "z"}), two, {}) == "path y → " + "x" * 23 + '… · text z → "a\\n\\x1b[31mb\\u202e"'


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=8), LISTS, max_size=4), st.dictionaries(st.text(max_size=8), LISTS, max_size=4))
def test_a_summary_is_one_line_that_prints(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert summary(run(one), run(merge(one, two)), {}).isprintable()


def test_the_path_of_log_loads_nothing_heavy() -> None:
    program = (
        "import sys, gitparams.changes, gitparams.screens.log, gitparams.screens.documents;"
        "heavy = {'deepdiff', 'yaml', 'rich', 'typer', 'git', 'decimal', 'csv', 'importlib.metadata'};"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_named_items_of_lists_are_rows_between_many_runs_too() -> None:
    conv, head = {"name": "conv", "width": 8}, {"name": "head", "width": 10}
    extra = {"name": "extra", "width": 1}
    lists = ([conv, head], [{**conv, "width": 16}, head], [head, conv, extra], [conv, head])
    runs = [Run(new_run_id(), Status.COMPLETED, now(), params=nested({"layers": items, "sizes": [1, 2]})) for items in lists]
    found = compare(runs)
    assert {path: (change.kind, change.values) for path, change in found.params.items()} == {
        "layers[conv].width": ("changed", (8, 16, 8, 8)),
        "layers[extra].name": ("changed", (MISSING, MISSING, "extra", MISSING)),
        "layers[extra].width": ("changed", (MISSING, MISSING, 1, MISSING)),
        "layers[head]": ("moved", (1, 1, 0, 1)),
    }
    assert (found.equal_params, found.ignored) == (1, 0)


def test_items_without_names_stay_one_list_between_many_runs() -> None:
    lists = ([{"w": 1}], [{"w": 2}], [{"name": "a"}])
    runs = [Run(new_run_id(), Status.COMPLETED, now(), params=nested({"layers": items})) for items in lists]
    assert list(compare(runs).params) == ["layers"]
