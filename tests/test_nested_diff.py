from __future__ import annotations

import json
import math
import random
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitparams.leniency import Leniency
from gitparams.nested_diff import Change, in_common, nested_changes
from gitparams.params import MISSING
from gitparams.values import same

STRICT = Leniency()


def rows(old: dict[str, Any], new: dict[str, Any], leniency: Leniency = STRICT) -> dict[str, tuple[Any, ...]]:
    found = nested_changes(old, new, leniency)
    assert len({change.path for change in found}) == len(found)
    return {change.path: (change.kind, change.old, change.new) for change in found}


def listed(old: list[Any], new: list[Any], leniency: Leniency = STRICT) -> dict[str, tuple[Any, ...]]:
    return {path[1:]: row for path, row in rows({"x": old}, {"x": new}, leniency).items()}


# -- mappings and values --------------------------------------------------------------------------------------------------


def test_a_change_knows_the_param_it_belongs_to() -> None:
    old, new = {"net": {"layers": [{"size": 1}], "lr": 1}}, {"net": {"layers": [{"size": 2}], "lr": 2}}
    assert nested_changes(old, new, STRICT) == [
        Change("net.layers[0].size", "changed", 1, 2, "net.layers"),
        Change("net.lr", "changed", 1, 2, "net.lr"),
    ]


@pytest.mark.parametrize("key", ["a.b", "", 'q"', "x y", "['z']", "[0]", "__private", "root", "\n", "ü", "\ud800"])
def test_odd_keys_are_told_by_their_written_path(key: str) -> None:
    found = nested_changes({key: {key: 1}, "same": 1}, {key: {key: 2}, "same": 1}, STRICT)
    assert [(change.old, change.new) for change in found] == [(1, 2)]
    assert applied({key: {key: 1}}, found) == {key: {key: 2}}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {"x": {}}, {"x": ("added", MISSING, {})}),
        ({"x": []}, {}, {"x": ("removed", [], MISSING)}),
        ({"x": {}}, {"x": []}, {"x": ("type", {}, [])}),
        ({"x": {}}, {"x": {"a": 1}}, {"x": ("removed", {}, MISSING), "x.a": ("added", MISSING, 1)}),
        ({"x": []}, {"x": [1, {}]}, {"x[0]": ("added", MISSING, 1), "x[1]": ("added", MISSING, {})}),
        ({"x": [1]}, {"x": {"a": 1}}, {"x": ("removed", [1], MISSING), "x.a": ("added", MISSING, 1)}),
        ({"x": [1]}, {"x": 1}, {"x": ("type", [1], 1)}),
        ({"x": None}, {}, {"x": ("removed", None, MISSING)}),
        ({"x": 0.0}, {"x": -0.0}, {"x": ("changed", 0.0, -0.0)}),
        ({"x": 0}, {"x": -0.0}, {"x": ("type", 0, -0.0)}),
        ({"x": "a\nb"}, {"x": "a\nc"}, {"x": ("changed", "a\nb", "a\nc")}),
        ({"x": math.nan}, {"x": math.nan}, {}),
        ({"x": math.nan}, {"x": "NaN"}, {"x": ("type", math.nan, "NaN")}),
    ],
)
def test_what_is_empty_missing_or_of_another_type(old: dict[str, Any], new: dict[str, Any], expected: Any) -> None:
    assert rows(old, new) == expected


def test_whole_numbers_may_be_of_any_size() -> None:
    large = 10**5000
    assert rows({"x": large, "y": [large]}, {"x": large + 1, "y": [large, large + 1]}) == {
        "x": ("changed", large, large + 1),
        "y[1]": ("added", MISSING, large + 1),
    }


@pytest.mark.parametrize("kind", ["mapping", "list", "both"])
def test_configs_may_be_nested_two_hundred_levels_deep(kind: str) -> None:
    def deep(leaf: Any, level: int = 200) -> Any:
        if level == 0:
            return leaf
        inner = deep(leaf, level - 1)
        return {"k": inner} if kind == "mapping" or (kind == "both" and level % 2) else [inner]

    assert list(rows({"x": deep(1)}, {"x": deep(2)}).values()) == [("changed", 1, 2)]
    assert len(rows({"x": deep([1, 2, 3])}, {"x": deep([3, 1, 2])}, Leniency(rtol=1e-6))) == 1


# -- lists ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([64, 32], [128, 64, 32], {"[0]": ("added", MISSING, 128)}),
        ([128, 64, 32], [64, 32], {"[0]": ("removed", 128, MISSING)}),
        ([1, 2, 3], [1, 9, 3], {"[1]": ("changed", 2, 9)}),
        ([1, 2, 3], [1, 9, 3, 4], {"[1]": ("changed", 2, 9), "[3]": ("added", MISSING, 4)}),
        ([5, 1, 2], [4, 6, 1, 3], {"[0]": ("changed", 5, 4), "[1]": ("added", MISSING, 6), "[3]": ("changed", 2, 3)}),
        ([1, 2, 3], [1, 3, 2], {"[2]": ("moved", 2, 1)}),
        ([1, 2, 3], [3, 2, 1], {"[0]": ("moved", 0, 2), "[2]": ("moved", 2, 0)}),
        ([1, 2, 3, 4], [2, 3, 4, 1], {"[0]": ("moved", 0, 3)}),
        (["a", "b", "c", "a", "d"], ["b", "c", "a", "d", "a"], {"[0]": ("moved", 0, 4)}),
        ([1, 2], [2, 1.0], {"[0]": ("changed", 1, 2), "[1]": ("type", 2, 1.0)}),
        ([1, 2], [2, True], {"[0]": ("changed", 1, 2), "[1]": ("type", 2, True)}),
        ([{"a": 1}, {"b": 2}], [{"b": 2}, {"a": 1}], {"[1]": ("moved", 1, 0)}),
        ([[1, 2], [3]], [[1, 2, 4], [3]], {"[0][2]": ("added", MISSING, 4)}),
        ([[1], [2, 3]], [[0], [1], [2, 3, 4]], {"[0]": ("added", MISSING, [0]), "[2][2]": ("added", MISSING, 4)}),
        ([{"a": 1}], [{"a": 1, "b": {"c": 2}}, {"d": 3}], {"[0].b.c": ("added", MISSING, 2), "[1].d": ("added", MISSING, 3)}),
        # aligned, place 1 would be the removed 2 and the added 9
        (
            [1, 2, 3, 4, 5],
            [3, 9, 4, 5],
            {"[0]": ("changed", 1, 3), "[1]": ("changed", 2, 9), "[2]": ("changed", 3, 4), "[3]": ("changed", 4, 5)}
            | {"[4]": ("removed", 5, MISSING)},
        ),
    ],
)
def test_lists_are_told_by_the_items_that_came_went_changed_or_moved(old: list[Any], new: list[Any], expected: Any) -> None:
    assert listed(old, new) == expected


def named(*names: Any, key: str = "name", **more: Any) -> list[dict[str, Any]]:
    return [{key: name, **more} for name in names]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (named("a", "b"), [*named("c"), *named("b", size=2), *named("a")], {
            "[b].size": ("added", MISSING, 2), "[a]": ("moved", 0, 2), "[c].name": ("added", MISSING, "c"),
        }),
        (named("a", "b", "c"), named("c", "a", "b"), {"[c]": ("moved", 2, 0)}),
        (named("a", "b", size={"x": 1}), named("b", size={"x": 2}), {
            "[a].name": ("removed", "a", MISSING), "[a].size.x": ("removed", 1, MISSING), "[b].size.x": ("changed", 1, 2),
        }),
        ([], named("a"), {"[a].name": ("added", MISSING, "a")}),
        (named(1, 2, key="id"), named(2, key="id", x=1), {"[id=1].id": ("removed", 1, MISSING), "[id=2].x": ("added", MISSING, 1)}),
        (named("1", key="key"), named("1", key="key", x=1), {'["1"].x': ("added", MISSING, 1)}),
        (named("a.b"), named("a.b", x=1), {'["a.b"].x': ("added", MISSING, 1)}),
        (named(1), named(True), {"[name=1].name": ("removed", 1, MISSING), "[name=true].name": ("added", MISSING, True)}),
        # no names: not all have one, two are the same, it is no scalar
        ([{"name": "a", "x": 1}, {"x": 2}], [{"name": "a", "x": 3}, {"x": 2}], {"[0].x": ("changed", 1, 3)}),
        (named("a", "a", x=1), named("a", "a", x=2), {"[0].x": ("changed", 1, 2), "[1].x": ("changed", 1, 2)}),
        (named(None, x=1), named(None, x=2), {"[0].x": ("changed", 1, 2)}),
        (named(math.nan, x=1), named(math.nan, x=2), {"[0].x": ("changed", 1, 2)}),
        # the names are not of their own, the ids are
        ([{"name": "a", "id": 1}, {"name": "a", "id": 2}], [{"name": "a", "id": 2}, {"name": "a", "id": 1}],
         {"[id=2]": ("moved", 1, 0)}),
    ],
)  # fmt: skip
def test_mappings_in_lists_are_found_again_by_their_names(old: list[Any], new: list[Any], expected: Any) -> None:
    assert listed(old, new) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([3, 1, 2], [1, 2, 3], {}),
        ([[1, 2], 3], [3, [2, 1]], {}),
        ([1, 2], [2, 1, 1], {"[2]": ("added", MISSING, 1)}),
        ([1, 2], [1, 3], {"[1]": ("changed", 2, 3)}),
        ([2, 1], [1, 3], {"[0]": ("removed", 2, MISSING), "[1]": ("added", MISSING, 3)}),
        ([1, True], [1, 1], {"[1]": ("type", True, 1)}),
        ([{"a": "x\ny", "b": 1}], [{"a": "x\ny", "b": 2}], {"[0].b": ("changed", 1, 2)}),
        ([[1, 2]], [[1, 3]], {"[0]": ("changed", [1, 2], [1, 3])}),
        (named("a", "b"), [*named("b", size=2), *named("a")], {"[b].size": ("added", MISSING, 2)}),
    ],
)
def test_without_their_order_lists_have_items_that_came_or_went(old: list[Any], new: list[Any], expected: Any) -> None:
    assert listed(old, new, Leniency(order=False)) == expected


@pytest.mark.parametrize(
    ("leniency", "old", "new", "expected"),
    [
        (Leniency(rtol=1e-3), [1.0, 2.0], [1.0001, 2.5], {"[1]": ("changed", 2.0, 2.5)}),
        (Leniency(rtol=1e-3), [1.0, 2.0], [3.0, 1.0001, 2.0001], {"[0]": ("added", MISSING, 3.0)}),
        (Leniency(rtol=1e-3), [1.0, 1.0001], [1.0001, 1.0], {}),
        (Leniency(rtol=1e-3), [1, 2], [1.0, 2], {"[0]": ("type", 1, 1.0)}),
        (Leniency(rtol=1e-3, order=False), [1.0, 2.0], [2.0001, 1.0001], {}),
        (Leniency(digits=3), [0.0, 1e-5], [-0.0, 2e-5], {"[1]": ("changed", 1e-5, 2e-5)}),
        (Leniency(types=False), [1, "2"], [True, 2.0], {}),
        (Leniency(types=False), [1, "2"], ["2.0", 1.0], {"[0]": ("changed", 1, "2.0"), "[1]": ("changed", "2", 1.0)}),
        (Leniency(ignore=("x[1]",)), [1, 2], [3, 4], {"[0]": ("changed", 1, 3)}),
        (Leniency(ignore=("x",)), [1, 2], [2, 1], {}),
    ],
)
def test_what_is_allowed_holds_inside_of_lists(leniency: Leniency, old: list[Any], new: list[Any], expected: Any) -> None:
    found = {
        path: (row[0] if row[0] != "type" or leniency.types else "changed", *row[1:])
        for path, row in listed(old, new, leniency).items()
    }
    assert found == expected


def test_the_longest_common_run_keeps_what_stands_where_it_stood() -> None:
    assert in_common([(0, [3]), (1, [1, 2]), (2, [0]), (3, [])]) == [(1, 1)]
    assert in_common([]) == []


# -- size -----------------------------------------------------------------------------------------------------------------


def config(count: int, changed: float, nested: bool) -> dict[str, Any]:
    chance = random.Random(1)
    flat = {f"key{place}": place if chance.random() >= changed else place + 0.5 for place in range(count)}
    return {f"part{start}": dict(list(flat.items())[start : start + 50]) for start in range(0, count, 50)} if nested else flat


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(("changed", "found"), [(0, 0), (0.5, 2490), (1, 5000)])
def test_five_thousand_keys_are_compared_while_a_person_waits(changed: float, found: int, nested: bool) -> None:
    began = time.process_time()
    assert len(nested_changes(config(5000, 0, nested), config(5000, changed, nested), STRICT)) == found
    assert time.process_time() - began < 10  # about 0.3 s; the bound is for a machine that does much else


def test_a_list_too_long_to_be_aligned_is_compared_by_place() -> None:
    chance = random.Random(1)
    old = [chance.randrange(3) for _ in range(5000)]
    new = [chance.randrange(3) for _ in range(5001)]
    found = listed(old, new)
    assert found["[5000]"] == ("added", MISSING, new[5000])
    assert len(found) == 1 + sum(one != other for one, other in zip(old, new, strict=False))


@pytest.mark.parametrize("leniency", [STRICT, Leniency(rtol=1e-9), Leniency(order=False), Leniency(order=False, rtol=1e-9)])
def test_a_hundred_thousand_numbers_take_no_minutes(leniency: Leniency) -> None:
    old = [float(place) for place in range(100_000)]
    assert listed(old, [*old, 0.5], leniency) == {"[100000]": ("added", MISSING, 0.5)}
    assert listed(old, [-1.0, *old[:50_000], 0.5, *old[50_000:]], STRICT).keys() == {"[0]", "[50001]"}


# -- what holds for all ---------------------------------------------------------------------------------------------------

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.floats(),
    st.sampled_from([1.0, 0.0, -0.0, math.nan, "1"]),
    st.text(max_size=3),
)
KEYS = st.sampled_from(["a", "b", "a.b", "", 'q"', "[0]", "__x", "name", "id"])
LISTS = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=5), max_leaves=12)
TREES = st.recursive(LISTS, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=10)
ALL = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12)
LENIENCIES = st.builds(
    Leniency, rtol=st.sampled_from([0.0, 0.5]), digits=st.sampled_from([None, 2]), order=st.booleans(), types=st.booleans()
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(KEYS, TREES, max_size=3), st.dictionaries(KEYS, TREES, max_size=3))
def test_the_changes_make_the_new_config_of_the_old(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert same(applied(old, nested_changes(old, new, STRICT)), new)


@settings(max_examples=400, deadline=None)
@given(st.data(), st.lists(st.integers(0, 4), max_size=9))
def test_the_moves_make_the_new_list_of_the_old(data: st.DataObject, old: list[int]) -> None:
    new = data.draw(st.permutations(old))
    assert applied({"x": old}, nested_changes({"x": old}, {"x": new}, STRICT)) == {"x": new}


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(KEYS, ALL, max_size=3), st.dictionaries(KEYS, ALL, max_size=3))
def test_nothing_changed_exactly_when_both_are_the_same(old: dict[str, Any], new: dict[str, Any]) -> None:
    forth, back = rows(old, new), rows(new, old)
    assert (bool(forth), bool(back)) == (not same(old, new),) * 2
    assert rows(old, old) == {}


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(KEYS, ALL, max_size=3), st.dictionaries(KEYS, ALL, max_size=3), LENIENCIES)
def test_nothing_changed_exactly_when_both_are_the_same_as_far_as_is_allowed(
    old: dict[str, Any], new: dict[str, Any], leniency: Leniency
) -> None:
    found = rows(old, new, leniency)
    assert bool(found) <= (not same(old, new))
    assert leniency.same(old, new) <= (not found)


def applied(old: dict[str, Any], changes: list[Change]) -> dict[str, Any]:
    """Return what the changes make of a config, where no list holds a mapping."""
    made = _rebuilt(old, [(_tokens(change.path), change) for change in changes])
    return {} if made is MISSING else made


def _tokens(path: str) -> list[str | int]:
    found = re.findall(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[\]"]+)', path)
    return [int(place) if place else bare or json.loads(f'"{quoted}"') for quoted, place, bare in found]


def _rebuilt(value: Any, changes: list[tuple[list[Any], Change]]) -> Any:
    if not changes:
        return value
    here = [change for tokens, change in changes if not tokens]
    below = [(tokens, change) for tokens, change in changes if tokens]
    if here and here[0].new is not MISSING:
        return here[0].new
    if isinstance(value, list) and not here:
        return _rebuilt_list(value, below)
    items = dict(value) if isinstance(value, dict) else {}
    for key in dict.fromkeys(tokens[0] for tokens, _ in below):
        inner = [(tokens[1:], change) for tokens, change in below if tokens[0] == key]
        items[key] = _rebuilt(items.get(key, MISSING), inner)
    left = {key: item for key, item in items.items() if item is not MISSING}
    return left or MISSING


def _rebuilt_list(value: list[Any], changes: list[tuple[list[Any], Change]]) -> list[Any]:
    items = list(value)
    direct = {
        kind: [one for tokens, one in changes if len(tokens) == 1 and one.kind == kind]
        for kind in ("added", "removed", "moved")
    }
    inside = [(tokens, one) for tokens, one in changes if len(tokens) > 1 or one.kind in ("changed", "type")]
    longer = len(direct["added"]) > len(direct["removed"])
    if not longer:
        _change_items(items, inside)
    gone = {int(_tokens(one.path)[-1]) for one in direct["removed"]} | {one.old for one in direct["moved"]}
    come = [(int(_tokens(one.path)[-1]), one.new) for one in direct["added"]]
    come += [(one.new, items[one.old]) for one in direct["moved"]]
    items = [item for place, item in enumerate(items) if place not in gone]
    for place, item in sorted(come, key=lambda pair: pair[0]):
        items.insert(place, item)
    if longer:
        _change_items(items, inside)
    return items


def _change_items(items: list[Any], changes: list[tuple[list[Any], Change]]) -> None:
    for place in {tokens[0] for tokens, _ in changes}:
        items[place] = _rebuilt(items[place], [(tokens[1:], one) for tokens, one in changes if tokens[0] == place])
