"""Rules for old runs: what they say, what they do to a run, and that they lose and repeat nothing."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gitparams.errors import ParamsFileError
from gitparams.params import flatten, leaves, path_text, unflatten
from gitparams.reading import Applied, Rules
from gitparams.settings import Settings, read_settings
from gitparams.values import encode_json, same

OLD = datetime(2026, 10, 31, 23, 59, tzinfo=UTC)
NEW = datetime(2026, 11, 1, tzinfo=UTC)


def read(rules, params, metrics=None, started=NEW):
    return Rules.of(rules).applied_to(params, metrics or {}, started)


def read_params(rules, params, started=NEW):
    found = read(rules, params, started=started)
    return found.params, list(found.notes)


# -- rename ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("renames", "params", "expected", "notes"),
    [
        ({"lr": "optim.lr"}, {"lr": 0.1, "seed": 1}, {"optim": {"lr": 0.1}, "seed": 1}, ["lr was renamed to optim.lr"]),
        ({"optim.lr": "lr"}, {"optim": {"lr": 0.1}}, {"lr": 0.1}, ["optim.lr was renamed to lr"]),
        ({"optim.lr": "optim"}, {"optim": {"lr": 0.1}}, {"optim": 0.1}, ["optim.lr was renamed to optim"]),
        ({"optim": "optim.name"}, {"optim": "sgd"}, {"optim": {"name": "sgd"}}, ["optim was renamed to optim.name"]),
        ({"optim": "optim.name"}, {"optim": {"name": "sgd", "lr": 1}}, {"optim": {"name": "sgd", "lr": 1}}, []),
        ({"model": "net"}, {"model": {"a": 1, "b": {"c": 2}}}, {"net": {"a": 1, "b": {"c": 2}}}, ["model was renamed to net"]),
        ({"model": "net"}, {"model": {"a": 1}, "net": {"b": 2}}, {"net": {"a": 1, "b": 2}}, ["model was renamed to net"]),
        ({"model": "net"}, {"model": {}}, {"net": {}}, ["model was renamed to net"]),
        ({"model.*": "net.*"}, {"model": {"a": 1, "b": 2}}, {"net": {"a": 1, "b": 2}}, ["model.* was renamed to net.*"]),
        ({"model.*": "net.*"}, {"model": "resnet"}, {"model": "resnet"}, []),
        ({"opt_*": "optim.*"}, {"opt_lr": 1, "opt_": 2, "opt": 3}, {"optim": {"lr": 1}, "opt_": 2, "opt": 3},
            ["opt_* was renamed to optim.*"]),
        ({"optim.*": "opt_*"}, {"optim": {"lr": 1, "m": {"b": 2}}}, {"opt_lr": 1, "opt_m": {"b": 2}},
            ["optim.* was renamed to opt_*"]),
        ({"config.*": "*"}, {"config": {"lr": 1, "config": {"seed": 2}}}, {"lr": 1, "seed": 2},
            ["config.* was renamed to *"]),
        ({"*": "train.*"}, {"lr": 1, "train": {"seed": 2}}, {"train": {"lr": 1, "seed": 2}}, ["* was renamed to train.*"]),
        ({"data": "data.*", } | {"data": "set"}, {"data": [1, {"a": 2}]}, {"set": [1, {"a": 2}]}, ["data was renamed to set"]),
        ({'["a.b"]': 'a["b c"]'}, {"a.b": 1, "a": {"b": 2}}, {"a": {"b": 2, "b c": 1}}, ['["a.b"] was renamed to a["b c"]']),
        ({'["a*"]': "all"}, {"a*": 1, "ab": 2}, {"all": 1, "ab": 2}, ['["a*"] was renamed to all']),
        ({"a": "b", "b": "c"}, {"a": 1}, {"c": 1}, ["a was renamed to c"]),
        ({"model": "net", "net.depth": "net.layers"}, {"model": {"depth": 1, "width": 2}}, {"net": {"layers": 1, "width": 2}},
            ["model was renamed to net", "model.depth was renamed to net.layers"]),
        ({"lr": "optim.lr"}, {"seed": None}, {"seed": None}, []),
    ],
)  # fmt: skip
def test_a_rename_takes_a_value_or_a_mapping_to_its_new_name(renames, params, expected, notes):
    assert read_params([{"rename": renames}], params) == (expected, notes)


@pytest.mark.parametrize(
    ("renames", "params", "expected", "notes"),
    [
        ({"lr": "optim.lr"}, {"lr": 1, "optim": {"lr": 2}}, {"lr": 1, "optim": {"lr": 2}},
            ["lr was not renamed to optim.lr: the run has optim.lr already"]),
        ({"lr": "optim.lr"}, {"lr": 1, "optim": "sgd"}, {"lr": 1, "optim": "sgd"},
            ["lr was not renamed to optim.lr: the run has optim already"]),
        ({"lr": "optim"}, {"lr": 1, "optim": {"name": "sgd"}}, {"lr": 1, "optim": {"name": "sgd"}},
            ["lr was not renamed to optim: the run has optim already"]),
        ({"optim.lr": "optim"}, {"optim": {"lr": 1, "name": "sgd"}}, {"optim": {"lr": 1, "name": "sgd"}},
            ["optim.lr was not renamed to optim: the run has optim already"]),
        ({"model": "net"}, {"model": {"a": 1, "b": 2}, "net": {"a": 3}}, {"model": {"a": 1}, "net": {"a": 3, "b": 2}},
            ["model was renamed to net", "model.a was not renamed to net.a: the run has net.a already"]),
        ({"lr": "optim.lr", "rate": "optim.lr"}, {"rate": 1, "lr": 2}, {"rate": 1, "optim": {"lr": 2}},
            ["lr was renamed to optim.lr", "rate was not renamed to optim.lr: the run has optim.lr already"]),
        ({"a": "b", "b": "c"}, {"a": 1, "b": 2}, {"a": 1, "c": 2},
            ["b was renamed to c", "a was not renamed to c: the run has c already"]),
    ],
)  # fmt: skip
def test_what_has_the_new_name_keeps_it_and_the_old_value_stays(renames, params, expected, notes):
    assert read_params([{"rename": renames}], params) == (expected, notes)


def test_a_name_that_another_rename_frees_is_free():
    rules = [{"rename": {"base_lr": "lr"}}, {"rename": {"lr": "old_lr"}, "before": "2026-11-01"}]
    reused = [{"rename": {"lr": "old_lr"}, "before": "2026-11-01"}, {"rename": {"base_lr": "lr"}}]
    params = {"lr": 1, "base_lr": 2}
    assert read(reused, params, started=OLD).params == {"old_lr": 1, "lr": 2}
    assert read(reused, {"lr": 3}, started=NEW).params == {"lr": 3}
    assert read(rules, {"base_lr": 2}, started=OLD).params == {"old_lr": 2}


# -- default --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("defaults", "params", "expected", "notes"),
    [
        ({"optim.name": "sgd"}, {"lr": 1}, {"lr": 1, "optim": {"name": "sgd"}}, ["optim.name is sgd by default"]),
        ({"optim.name": "sgd"}, {"optim": {"name": None}}, {"optim": {"name": None}}, []),
        ({"optim.name": "sgd"}, {"optim": {"name": {"a": 1}}}, {"optim": {"name": {"a": 1}}}, []),
        ({"optim.name": "sgd"}, {"optim": {}}, {"optim": {}}, ["optim.name got no default: optim is a value"]),
        ({"optim.name": "sgd"}, {"optim": "adam"}, {"optim": "adam"}, ["optim.name got no default: optim is a value"]),
        ({"optim": {"name": "sgd", "a.b": [1]}}, {"optim": {"name": "adam"}}, {"optim": {"name": "adam", "a.b": [1]}},
            ['optim["a.b"] is [1] by default']),
        ({"a": {}, "a.b": ""}, {"lr": 1}, {"a": {}, "lr": 1}, ["a is {} by default", "a.b got no default: a is a value"]),
        ({"a": ""}, {"lr": 1}, {"a": "", "lr": 1}, ['a is "" by default']),
        ({"note": "x" * 50}, {"lr": 1}, {"lr": 1, "note": "x" * 50}, [f"note is {'x' * 39}… by default"]),
        ({"amp": False}, {}, {}, []),
    ],
)  # fmt: skip
def test_a_default_is_for_runs_that_do_not_have_the_key(defaults, params, expected, notes):
    rules = [{"default": defaults}]
    assert read_params(rules, params) == (expected, notes)
    assert read_params(rules, params) == (expected, notes), "a default must not be filled by what was read"


def test_a_default_follows_the_renames_that_were_written_after_it():
    rules = [{"default": {"optim.name": "sgd", "ms": 500}}, {"rename": {"optim.name": "optimizer"}},
             {"scale": {"s": {"from": "ms", "by": 0.001}}}]  # fmt: skip
    assert read(rules, {"lr": 1}).params == {"lr": 1, "optimizer": "sgd", "s": 0.5}
    assert read(rules, {"optim": {"name": "adam"}, "s": 3}).params == {"optimizer": "adam", "s": 3}


def test_of_several_defaults_the_first_that_is_for_the_run_counts():
    rules = [{"default": {"name": "sgd"}, "before": "2026-11-01"}, {"default": {"name": "adam"}}]
    assert read(rules, {"lr": 1}, started=OLD).params == {"lr": 1, "name": "sgd"}
    assert read(rules, {"lr": 1}, started=NEW).params == {"lr": 1, "name": "adam"}


# -- scale ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "value", "expected"),
    [
        (0.001, 1500, 1.5),
        (0.001, 1100.0, 1.1),
        (100, 0.07, 7.0),
        (1000, 3, 3000),
        (1000, 2**70, 2**70 * 1000),
        ("1/60", 90, 1.5),
        ("1/3", 1, 1 / 3),
        ("1e-3", 2300, 2.3),
        (-1, 0.5, -0.5),
        (0.5, math.inf, math.inf),
        (0.5, math.nan, math.nan),
        (0.001, None, None),
    ],
)
def test_a_unit_changes_as_exactly_as_decimals_go(by, value, expected):
    found = read([{"scale": {"new": {"from": "old", "by": by}}}], {"old": value})
    assert same(found.params, {"new": expected})
    assert found.notes == (f"old was renamed to new and multiplied by {by}",)


@pytest.mark.parametrize("value", ["fast", True, [1, 2], {}, 10**400])
def test_what_cannot_be_multiplied_stays_as_it_is(value):
    found = read([{"scale": {"new": {"from": "old", "by": 0.1}}}], {"old": value})
    assert found.params == {"old": value}
    assert found.notes == ("old was not renamed to new and multiplied by 0.1: its value cannot be multiplied",)


def test_a_unit_that_changed_under_one_name_changes_for_the_runs_before_it():
    rules = [{"scale": {"size": "1/1024"}, "before": "2026-11-01"}]
    assert read_params(rules, {"size": 2048}, OLD) == ({"size": 2.0}, ["size was multiplied by 1/1024"])
    assert read_params(rules, {"size": 2}, NEW) == ({"size": 2}, [])
    assert read_params(rules, {"size": "big"}, OLD) == (
        {"size": "big"}, ["size was not multiplied by 1/1024: its value cannot be multiplied"],
    )  # fmt: skip


def test_units_of_a_whole_mapping_and_along_several_renames():
    rules = [{"scale": {"seconds.*": {"from": "ms.*", "by": 0.001}}}, {"rename": {"seconds": "time"}},
             {"scale": {"minutes": {"from": "time.total", "by": "1/60"}}}]  # fmt: skip
    assert read_params(rules, {"ms": {"total": 90000, "step": 5}}) == (
        {"minutes": 1.5, "time": {"step": 0.005}},
        ["ms.step was renamed to time.step and multiplied by 0.001",
         "ms.total was renamed to minutes and multiplied by 0.001 and multiplied by 1/60"],
    )  # fmt: skip


# -- metrics, ignore, bounds ----------------------------------------------------------------------------------------------


def test_a_metric_has_one_whole_name():
    rules = [{"metrics": {"rename": {"acc": "accuracy", "val_*": "val/*", "a.b": "c.d"},
                          "scale": {"seconds": {"from": "ms", "by": 0.001}}}}]  # fmt: skip
    found = read(rules, {"acc": 1, "ms": 2}, {"acc": 0.9, "val_loss": 0.1, "a.b": 1, "ms": 5, "a": 2})
    assert found == Applied(
        params={"acc": 1, "ms": 2},
        metrics={"accuracy": 0.9, "val/loss": 0.1, "c.d": 1, "seconds": 0.005, "a": 2},
        notes=(
            "metric acc was renamed to accuracy",
            "metric val_* was renamed to val/*",
            "metric a.b was renamed to c.d",
            "metric ms was renamed to seconds and multiplied by 0.001",
        ),
    )


def test_what_is_ignored_changes_no_run():
    rules = Rules.of([{"ignore": ["host.*", "run_name"]}, {"ignore": "host.*"}])
    assert (rules.ignored, rules.is_empty, rules.digest, rules.to_keep()) == (("host.*", "run_name"), True, "", "")


@pytest.mark.parametrize("document", [None, [], [{"ignore": "x"}], [{"rename": {"lr": "optim.lr"}}]])
def test_where_no_rule_is_about_a_run_it_is_the_very_object(document):
    params, metrics = {"seed": 1, "optim": {"lr": 0.1}}, {"acc": 0.9}
    found = read(document, params, metrics)
    assert (found.params is params, found.metrics is metrics, found.notes, found.moved) == (True, True, (), {})


@pytest.mark.parametrize(
    ("before", "moment"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T02:00:00+02:00", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01 00:00", datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
def test_a_bound_is_a_date(before, moment):
    rules = Rules.of([{"rename": {"lr": "rate"}, "before": before}])
    assert rules.bounds == {before: moment}
    assert rules.applied_to({"lr": 1}, {}, moment - timedelta(seconds=1)).params == {"rate": 1}
    assert rules.applied_to({"lr": 1}, {}, moment).params == {"lr": 1}


def test_a_bound_is_a_revision_or_a_run_that_is_looked_up_once():
    asked = []

    def resolve(word):
        asked.append(word)
        return NEW

    said = [{"rename": {"lr": "rate"}, "before": "v1.2"}, {"metrics": {"rename": {"a": "b"}}, "before": "v1.2"},
            {"default": {"x": 1}, "before": "2026-01-01"}]  # fmt: skip
    rules = Rules.of(said).bound(resolve)
    assert asked == ["v1.2"]
    assert rules.applied_to({"lr": 1}, {"a": 1}, OLD).params == {"rate": 1}
    assert rules.applied_to({"lr": 1}, {"a": 1}, NEW).metrics == {"a": 1}
    assert (rules.digest, rules.bound(resolve), asked) == (Rules.of(said).digest, rules, ["v1.2"])


def test_a_bound_that_names_nothing_is_an_error():
    with pytest.raises(
        ParamsFileError, match=r"before: '2026-13-01' in the rules is neither a date nor a code revision or run"
    ):
        Rules.of([{"rename": {"lr": "rate"}, "before": "2026-13-01"}]).bound(lambda word: None)


def test_rules_that_are_kept_apply_as_they_did():
    said = [{"default": {"x": math.nan, "y": 2**70}, "before": "v1"}, {"ignore": ["h"], "rename": {"b": "a", "d": "c"}}]
    rules = Rules.of(said).bound(lambda word: NEW)
    kept = Rules.kept(rules.to_keep())
    assert (kept.digest, kept.bounds, kept.moves) == (rules.digest, rules.bounds, rules.moves)
    assert same(kept.applied_to({"b": 1}, {}, OLD).params, rules.applied_to({"b": 1}, {}, OLD).params)
    assert Rules.kept("") == Rules()


def test_the_digest_tells_what_the_rules_do_and_in_which_order():
    first, second = {"rename": {"a": "b"}}, {"rename": {"c": "d"}}
    assert Rules.of([first, second]).digest == Rules.of([first, {"ignore": "x"}, {**second, "ignore": "y"}]).digest
    assert Rules.of([first, second]).digest != Rules.of([second, first]).digest
    assert Rules.of([{"rename": {"a": "b", "c": "d"}}]).digest != Rules.of([{"rename": {"c": "d", "a": "b"}}]).digest


def test_the_paths_of_what_was_recorded_are_found_under_their_new_names():
    found = read([{"rename": {"model": "net", "lr": "optim.lr"}}], {"model": {"a.b": 1}, "lr": 1, "optim": {"lr": 2}})
    assert [found.path_now(path) for path in ('model["a.b"]', "lr", "seed")] == ['net["a.b"]', "lr", "seed"]


def test_what_is_read_stands_in_the_order_of_params_json():
    found = read([{"rename": {"z": "b.z"}}, {"default": {"a": 1}}], {"z": 1, "b": {"c": 2}})
    assert list(found.params) == ["a", "b"] and list(found.params["b"]) == ["c", "z"]


def test_what_was_recorded_is_not_touched():
    params = {"model": {"a": 1, "b": [1]}, "lr": 1}
    read([{"rename": {"model": "net"}}, {"default": {"model.c": 1}, "before": "2026-12-01"}][:1], params)
    read([{"rename": {"lr": "model.lr"}}, {"default": {"model.c": 1}}], params)
    assert params == {"model": {"a": 1, "b": [1]}, "lr": 1}


# -- rules that cannot be meant so ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({"rename": {"a": "b"}}, "rules must be a list, not {'rename': {'a': 'b'}}."),
        ("lr", "rules must be a list, not 'lr'."),
        (["lr"], "rule 1: it must say one of rename, default, scale, metrics, ignore, not 'lr'."),
        ([{}], "rule 1: it must say one of rename, default, scale, metrics, ignore, not {}."),
        ([{"ignore": "x"}, {"renam": {}}], "rule 2: 'renam' is no kind of rule; did you mean rename?"),
        ([{"xyz": {}}], "rule 1: 'xyz' is no kind of rule."),
        ([{"rename": {}}], "rule 1: rename must be a mapping, not {}."),
        ([{"rename": ["a", "b"]}], "rule 1: rename must be a mapping, not ['a', 'b']."),
        ([{"rename": {"a": 1}}], "rule 1: rename.a must be a key, not 1."),
        ([{"rename": {"a": None}}], "rule 1: rename.a must be a key, not None."),
        ([{"rename": {"a": "a"}}], "rule 1: a is renamed to itself."),
        ([{"rename": {"a*": "a*"}}], "rule 1: a* is renamed to itself."),
        ([{"rename": {"a..b": "c"}}], "rule 1: rename: 'a..b' is not a path of a param."),
        ([{"rename": {"a": "b c"}}], "rule 1: rename.a: 'b c' is not a path of a param."),
        ([{"rename": {"a.*": "b"}}], "rule 1: 'a.*' and 'b' must both end with *, or neither."),
        ([{"rename": {"a": "b.*"}}], "rule 1: 'a' and 'b.*' must both end with *, or neither."),
        ([{"rename": {"*.lr": "lr"}}], "rule 1: rename: a * can only stand at the end, not as in '*.lr'."),
        ([{"rename": {"a**": "b*"}}], "rule 1: rename: a * can only stand at the end, not as in 'a**'."),
        ([{"rename": {"a": "b", "b": "a"}}],
            "rule 1: it makes a, which rule 1 renames already: write it before a, or bound that by before."),
        ([{"rename": {"b": "c"}}, {"rename": {"a": "b"}}],
            "rule 2: it makes b, which rule 1 renames already: write it before b, or bound that by before."),
        ([{"rename": {"optim.lr": "rate"}}, {"rename": {"opt": "optim"}}],
            "rule 2: it makes optim, which rule 1 renames already: write it before optim.lr, or bound that by before."),
        ([{"rename": {"o": "o.name"}}, {"rename": {"opt": "o"}}],
            "rule 2: it makes o, which rule 1 renames already: write it before o, or bound that by before."),
        ([{"default": {}}], "rule 1: default must be a mapping, not {}."),
        ([{"default": {"a.*": 1}}], "rule 1: default.a.* must name one key, without *."),
        ([{"default": {"": 1}}], "rule 1: default must be a key, not ''."),
        ([{"rename": {"a": "b"}}, {"default": {"a": 1}}], "rule 2: default.a is a name that rule 1 has renamed to b."),
        ([{"scale": {"a": 0.1}}], "rule 1: scale.a changes a unit under one name, so it must say before when it changed."),
        ([{"scale": {"a": {"from": "a", "by": 2}}}],
            "rule 1: scale.a changes a unit under one name, so it must say before when it changed."),
        ([{"scale": {"a": {"by": 2}}}], "rule 1: scale.a lacks from."),
        ([{"scale": {"a": {"from": "b"}}}], "rule 1: scale.a lacks by."),
        ([{"scale": {"a": {"form": "b", "by": 2}}}], "rule 1: 'form' is no part of scale.a; did you mean from?"),
        ([{"scale": {"a": {"from": "b", "by": 0}}}], "rule 1: scale.a must be multiplied by a number other than 0, not 0."),
        ([{"scale": {"a": {"from": "b", "by": True}}}],
            "rule 1: scale.a must be multiplied by a number other than 0, not True."),
        ([{"scale": {"a": {"from": "b", "by": "1/0"}}}],
            "rule 1: scale.a must be multiplied by a number other than 0, not '1/0'."),
        ([{"scale": {"a": {"from": "b", "by": "1/2/3"}}}],
            "rule 1: scale.a must be multiplied by a number other than 0, not '1/2/3'."),
        ([{"scale": {"a": {"from": "b", "by": math.inf}}}],
            "rule 1: scale.a must be multiplied by a number other than 0, not inf."),
        ([{"scale": {"a": [1]}}], "rule 1: scale.a must be multiplied by a number other than 0, not [1]."),
        ([{"scale": {"a": {"from": 3, "by": 2}}}], "rule 1: scale.a.from must be a key, not 3."),
        ([{"metrics": {"acc": "accuracy"}}], "rule 1: 'acc' is nothing that metrics can be told."),
        ([{"metrics": {"renames": {}}}], "rule 1: 'renames' is nothing that metrics can be told; did you mean rename?"),
        ([{"metrics": {"default": {"a": 1}}}], "rule 1: metrics have no default: what was not measured is not known."),
        ([{"metrics": {"rename": {"a": 3}}}], "rule 1: metrics.rename.a must be a key, not 3."),
        ([{"ignore": []}], "rule 1: ignore must be a list of keys or globs, not []."),
        ([{"ignore": [1]}], "rule 1: ignore must be a list of keys or globs, not [1]."),
        ([{"before": "2026-11-01"}], "rule 1: it says when, and not what."),
        ([{"ignore": "a", "before": "2026-11-01"}],
            "rule 1: what is ignored is ignored in every run: ignore takes no before."),
        ([{"rename": {"a": "b"}, "before": 4012345}],
            "rule 1: before must be a date, a code revision or a run, in quotes, not 4012345."),
        ([{"rename": {"a": "b"}, "before": " "}],
            "rule 1: before must be a date, a code revision or a run, in quotes, not ' '."),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_meant_so_is_one_sentence(rules, problem):
    with pytest.raises(ParamsFileError) as caught:
        Rules.of(rules)
    assert str(caught.value) == f"gitparams.yaml: {problem}"


@pytest.mark.parametrize(
    "rules",
    [
        [{"rename": {"*": "train.*"}}, {"rename": {"train.learning_rate": "train.lr"}}],
        [{"rename": {"lr": "rate"}}, {"rename": {"learning_rate": "rate"}}],
        [{"rename": {"b": "c"}, "before": "v1"}, {"rename": {"a": "b"}}],
        [{"rename": {"o": "o.name"}}, {"rename": {"opt.lr": "o.lr"}}],
        [{"scale": {"a": 2}, "before": "v1"}, {"rename": {"b": "a"}}],
    ],
)
def test_rules_that_only_look_contradictory_are_accepted(rules):
    assert not Rules.of(rules).is_empty


# -- gitparams.yaml -------------------------------------------------------------------------------------------------------

YAML = """
rules:
  - rename: {lr: optim.lr, "model.*": "net.*"}
  - default: {optim.name: sgd}
    before: 2026-11-01
  - scale: {train.time_s: {from: train.time_ms, by: 1e-3}, data.size: 1/1024}
    before: 2026-11-01T00:00:00
  - metrics: {rename: {acc: accuracy}}
  - ignore: [host.*, run_name]
ignore: [pid, host.*]
"""


def test_gitparams_yaml_says_the_rules(tmp_path):
    (tmp_path / "gitparams.yaml").write_text(YAML)
    settings = read_settings(tmp_path)
    old = {"lr": 0.1, "model": {"depth": 3}, "train": {"time_ms": 1500}, "data": {"size": 2048}}
    assert settings.ignore == ("pid", "host.*", "run_name")
    assert settings.rules.applied_to(old, {"acc": 0.9}, OLD) == Applied(
        params={
            "data": {"size": 2.0}, "net": {"depth": 3}, "optim": {"lr": 0.1, "name": "sgd"}, "train": {"time_s": 1.5},
        },
        metrics={"accuracy": 0.9},
        notes=(
            "lr was renamed to optim.lr",
            "model.* was renamed to net.*",
            "train.time_ms was renamed to train.time_s and multiplied by 1e-3",
            "data.size was multiplied by 1/1024",
            "optim.name is sgd by default",
            "metric acc was renamed to accuracy",
        ),
        moved={"lr": "optim.lr", "model.depth": "net.depth", "train.time_ms": "train.time_s"},
    )  # fmt: skip


def test_without_rules_there_are_none(tmp_path):
    (tmp_path / "gitparams.yaml").write_text("experiment: digits\n")
    assert read_settings(tmp_path) == Settings(experiment="digits", rules=None, ignore=())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules: [{renmae: {a: b}}]", "rule 1: 'renmae' is no kind of rule; did you mean rename?"),
        ("ignore: {a: b}", "ignore must be a list of names."),
    ],
)
def test_a_wrong_rule_in_gitparams_yaml_is_one_sentence(tmp_path, text, problem):
    (tmp_path / "gitparams.yaml").write_text(text)
    with pytest.raises(ParamsFileError) as caught:
        read_settings(tmp_path)
    assert caught.value.message == f"gitparams.yaml: {problem}"


# -- whatever the rules and the run ---------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "c", "aa", "ab", "aab", "a.b", "*", ""])
values = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "x"]) | st.lists(st.integers(), max_size=2)
)
trees = st.recursive(
    st.dictionaries(names, values, max_size=4),
    lambda inner: st.dictionaries(names, inner | values, max_size=4),
    max_leaves=12,
)
bare = st.lists(st.sampled_from(["a", "b", "c", "aa", "ab"]), min_size=1, max_size=3).map(tuple).map(path_text)
wild = st.tuples(bare.map(lambda path: path + ".") | st.just(""), st.sampled_from(["", "a", "aa", "b"])).map(
    lambda parts: "".join(parts) + "*"
)
bounds = st.just({}) | st.just({"before": "2026-11-01"})
renames = st.tuples(st.tuples(bare, bare) | st.tuples(wild, wild), bounds).map(
    lambda said: {"rename": {said[0][0]: said[0][1]}} | said[1]
)
unbounded = st.tuples(bare, bare).map(lambda said: {"rename": {said[0]: said[1]}}) | st.tuples(wild, wild).map(
    lambda said: {"rename": {said[0]: said[1]}}
)
defaults = st.tuples(bare, values | trees, bounds).map(lambda said: {"default": {said[0]: said[1]}} | said[2])
scales = st.tuples(bare, bare, st.sampled_from([2, 0.001, "1/3"])).map(
    lambda said: {"scale": {said[0]: {"from": said[1], "by": said[2]}}}
)


def rules_of(said):
    try:
        return Rules.of(said)
    except ParamsFileError:
        assume(False)


def texts_of(tree):
    return sorted(encode_json(value, indent=None) for _, value in leaves(tree))


@given(trees)
def test_without_rules_a_run_is_read_as_it_is(tree):
    assert Rules().applied_to(tree, tree, OLD) == Applied(tree, tree)


@given(st.lists(unbounded | defaults | scales, min_size=1, max_size=5), trees)
@example([{"rename": {"a": "b"}}, {"rename": {"b": "c"}}], {"a": 1, "b": 2})
@example([{"rename": {"a*": "a.*"}}, {"default": {"a.a": None}}], {"a": {}, "ab": None})
@example([{"rename": {"*": "a*"}}], {"a": {"": 1}, "b": 2})
@example([{"rename": {"a*": "*"}}], {"aab": 1, "ab": 2})
@example([{"rename": {"a.b": "a"}}], {"a": {"b": {"b": {"b": 1}}}})
@example([{"rename": {"a": "a.b"}}, {"rename": {"c": "a.b"}}], {"a": 1, "c": 2})
def test_rules_applied_twice_do_what_they_do_applied_once(said, tree):
    rules = rules_of(said)
    once = rules.applied_to(tree, {}, OLD)
    twice = rules.applied_to(once.params, {}, OLD)
    assert same(twice.params, once.params)
    assert twice.moved == {}


@given(st.lists(renames, min_size=1, max_size=5), trees)
def test_no_rename_loses_or_changes_a_value(said, tree):
    found = rules_of(said).applied_to(tree, tree, OLD)
    assert texts_of(found.params) == texts_of(tree)
    flat, old = flatten(found.params), flatten(tree)
    assert same(unflatten({found.path_now(path): value for path, value in old.items()}), unflatten(flat))


@given(st.lists(renames | defaults, min_size=1, max_size=5), trees)
def test_a_default_takes_no_value_away(said, tree):
    found = rules_of(said).applied_to(tree, {}, OLD)
    flat = flatten(found.params)
    lost = [path for path, value in flatten(tree).items() if value != {} and found.path_now(path) not in flat]
    assert lost == []


@given(st.lists(renames | defaults | scales, min_size=1, max_size=5), trees)
def test_a_note_is_there_exactly_when_something_was_changed_or_refused(said, tree):
    found = rules_of(said).applied_to(tree, {}, OLD)
    assert bool(found.notes) or same(found.params, tree)
    assert same(Rules.kept(rules_of(said).to_keep()).applied_to(tree, {}, OLD).params, found.params)
