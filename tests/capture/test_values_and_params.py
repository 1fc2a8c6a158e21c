from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitparams.errors import ParamsError
from gitparams.params import (
    MISSING,
    Layer,
    Origin,
    Overridden,
    Params,
    differing,
    flatten,
    get,
    layer,
    leaves,
    merge,
    nested,
    path_keys,
    path_text,
    put,
    stack,
    to_dict,
    unflatten,
)
from gitparams.values import decode_json, encode_json, printable, same

keys = st.one_of(
    st.text(), st.sampled_from(["$float", "$$float", "a.b", "", " ", '"', "\\", "[0]", "items", "\n", "\x7f", "é"])
)
scalars = st.none() | st.booleans() | st.integers(-(10**4000), 10**4000) | st.integers() | st.floats() | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=20
)
configs = st.dictionaries(keys, values, max_size=5)


@given(values)
def test_json_reads_back_exactly(value: Any) -> None:
    assert same(decode_json(encode_json(value)), value)
    assert same(decode_json(encode_json(value, indent=None)), value)


@given(configs)
def test_the_json_is_valid_and_does_not_depend_on_the_order_of_keys(config: dict[str, Any]) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads(encode_json(config), parse_constant=refuse)
    assert encode_json(dict(reversed(config.items()))) == encode_json(config)


@pytest.mark.parametrize(
    "value", [{"$float": "NaN"}, {"$$float": 1}, {"$float": {"$float": 2}}, {"$float": 1, "a": 2}, "$float"]
)
def test_params_that_look_like_a_tag_are_not_taken_for_one(value: Any) -> None:
    assert decode_json(encode_json(value)) == value


@pytest.mark.parametrize("text", [b"NaN", b"[Infinity]", b'{"$float": "big"}', b'{"$float": 1}', b"{", b"\xff", b"[" * 100_000])
def test_what_encode_json_never_wrote_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"not JSON|unknown|Expecting|decode|deeply"):
        decode_json(text)


def test_a_lone_surrogate_is_written_as_its_escape() -> None:
    assert encode_json("\ud800", indent=None) == b'"\\ud800"'
    assert decode_json(b'"\\ud800"') == "\ud800"


def test_printable_names_what_is_not_finite() -> None:
    assert printable({"a": [math.nan, -math.inf, 1.0], "b": {"c": math.inf}}) == {
        "a": ["NaN", "-Infinity", 1.0],
        "b": {"c": "Infinity"},
    }


@pytest.mark.parametrize(("left", "right"), [(1, 1.0), (1, True), (1, "1"), (0.0, -0.0), ([1], [1.0]), ({"a": 1}, {"b": 1})])
def test_values_of_another_type_are_not_the_same(left: Any, right: Any) -> None:
    assert not same(left, right)


@given(values)
def test_a_value_is_the_same_as_its_copy(value: Any) -> None:
    assert same(value, copy.deepcopy(value))


@given(st.lists(keys, min_size=1).map(tuple))
def test_a_path_reads_back(path: tuple[str, ...]) -> None:
    assert path_keys(path_text(path)) == path


@pytest.mark.parametrize("text", ["", ".a", "a.", "a..b", "a b", "a[0]", 'a["b"', 'a["b"]c', '["a\\q"]', "a[]"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ParamsError):
        path_keys(text)


@given(configs)
def test_a_config_reads_back_from_its_flat_form(config: dict[str, Any]) -> None:
    assert same(unflatten(flatten(config)), config)


@given(configs)
def test_leaves_and_flatten_agree(config: dict[str, Any]) -> None:
    found = {path_text(path): value for path, value in leaves(config)}

    assert same(found, flatten(config))
    assert all(get(config, path) is value for path, value in leaves(config))


def test_a_path_through_a_value_cannot_be_set() -> None:
    with pytest.raises(ParamsError) as caught:
        put({"optim": "adam"}, ("optim", "lr"), 0.1)

    assert str(caught.value) == "optim.lr cannot be set: optim is a value, not a mapping."


def test_get_tells_none_from_missing() -> None:
    assert get({"a": None}, ("a",)) is None
    assert get({"a": None}, ("a", "b")) is MISSING


@given(configs, configs)
def test_merging_changes_neither_side_and_the_later_wins(lower: dict[str, Any], upper: dict[str, Any]) -> None:
    before = copy.deepcopy((lower, upper))

    both = merge(lower, upper)

    assert same(list(before), [lower, upper])
    assert all(same(get(both, path), value) for path, value in leaves(upper) if value != {})


def test_differing_tells_types_apart() -> None:
    assert differing({"a": 1, "b": math.nan, "c": 0}, {"a": 1.0, "b": math.nan, "d": None}) == {
        "a": (1, 1.0),
        "c": (0, MISSING),
        "d": (MISSING, None),
    }


def test_stacked_values_remember_all_they_overrode() -> None:
    layers = [layer({"lr": 0.1}, "default"), layer({"lr": 0.2}, "file", "a.yaml:1"), layer({"lr": 0.3}, "cli", "-p lr=0.3")]

    assert stack(layers) == Layer(
        {"lr": 0.3},
        {"lr": Origin("cli", "-p lr=0.3", (Overridden(0.1, "default"), Overridden(0.2, "file", "a.yaml:1")))},
    )


def test_a_value_said_twice_is_no_override_and_both_are_named() -> None:
    assert stack([layer({"lr": 0.1}, "file", "a.yaml:1"), layer({"lr": 0.1}, "cli")]) == Layer(
        {"lr": 0.1}, {"lr": Origin("cli", also=(("file", "a.yaml:1"),))}
    )


def test_a_default_that_agrees_with_what_was_given_does_not_take_its_place() -> None:
    stacked = stack([layer({"lr": 0.1}, "file", "a.yaml:1"), layer({"lr": 0.1}, "default", "train.py")])

    assert stacked.origins == {"lr": Origin("file", "a.yaml:1", also=(("default", "train.py"),))}


def test_a_value_that_differs_only_in_type_is_an_override() -> None:
    assert stack([layer({"n": 1}, "file"), layer({"n": 1.0}, "cli")]).origins == {
        "n": Origin("cli", None, (Overridden(1, "file"),))
    }


def test_a_leaf_replaces_a_mapping() -> None:
    stacked = stack([layer({"optim": {"lr": 0.1, "name": "sgd"}}, "file"), layer({"optim": "adam"}, "cli")])

    assert stacked == Layer(
        {"optim": "adam"}, {"optim": Origin("cli", None, (Overridden(0.1, "file"), Overridden("sgd", "file")))}
    )


def test_a_mapping_replaces_a_leaf() -> None:
    stacked = stack([layer({"optim": "adam"}, "file"), layer({"optim": {"lr": 0.1}}, "cli")])

    assert stacked == Layer({"optim": {"lr": 0.1}}, {"optim.lr": Origin("cli", None, (Overridden("adam", "file"),))})


def test_a_mapping_filled_in_by_a_later_layer_is_no_override() -> None:
    assert stack([layer({"a": {}}, "file"), layer({"a": {"b": 1}}, "cli")]) == Layer({"a": {"b": 1}}, {"a.b": Origin("cli")})


def test_an_empty_mapping_over_a_full_one_changes_nothing() -> None:
    assert stack([layer({"a": {"b": 1}}, "file"), layer({"a": {}}, "cli")]) == Layer({"a": {"b": 1}}, {"a.b": Origin("file")})


@given(st.lists(configs, max_size=3))
def test_a_stack_is_the_merge_with_an_origin_for_every_leaf(parts: list[dict[str, Any]]) -> None:
    stacked = stack([layer(part, f"source {place}") for place, part in enumerate(parts)])

    assert same(dict(stacked.values), merge(*parts))
    assert stacked.origins.keys() == flatten(stacked.values).keys()


def test_params_are_read_and_set_as_attributes() -> None:
    cfg = nested({"optim": {"lr": 0.1}, "items": 3, "list": [{"a": 1}]})

    cfg.optim.lr = 0.2
    del cfg["items"]

    assert (cfg.optim.lr, cfg["list"][0].a, callable(cfg.items)) == (0.2, 1, True)
    assert to_dict(cfg) == {"optim": {"lr": 0.2}, "list": [{"a": 1}]}


def test_a_missing_attribute_names_near_misses() -> None:
    with pytest.raises(AttributeError) as caught:
        _ = Params(warmup=1).warmpu

    assert str(caught.value) == "no param 'warmpu'; did you mean warmup?"


@pytest.mark.parametrize(
    "again",
    [lambda cfg: pickle.loads(pickle.dumps(cfg)), copy.deepcopy, copy.copy, Params.copy],
    ids=["pickle", "deep", "copy", "method"],
)
def test_params_copied_are_still_params(again: Any) -> None:
    cfg = nested({"a": {"b": [1, {"c": None}]}})

    copied = again(cfg)

    assert copied == cfg
    assert (type(copied), type(copied.a), type(copied.a.b[1])) == (Params, Params, Params)


def test_params_go_where_a_dict_goes() -> None:
    cfg = nested({"lr": 0.1, "optim": {"name": "adam"}})

    assert json.loads(json.dumps(cfg)) == {"lr": 0.1, "optim": {"name": "adam"}}
    assert dict(**cfg) == {"lr": 0.1, "optim": {"name": "adam"}}
    assert isinstance(cfg, dict)
    assert cfg == {"lr": 0.1, "optim": {"name": "adam"}}
    assert encode_json(cfg) == encode_json(to_dict(cfg))
