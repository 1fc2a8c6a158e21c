from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitparams.errors import UsageError
from gitparams.leniency import Leniency
from gitparams.values import same

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from([0, 1, True, 1.0, "1", "true", "1e-3", 0.0, -0.0, math.nan, 10**400, 2**53 + 1]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3), max_leaves=6
)
LENIENCIES = st.builds(
    Leniency,
    rtol=st.sampled_from([0.0, 1e-3, 2.0]),
    atol=st.sampled_from([0.0, 0.5]),
    digits=st.sampled_from([None, 1, 4, 100]),
    order=st.booleans(),
    types=st.booleans(),
)


@pytest.mark.parametrize(
    ("leniency", "one", "other", "alike"),
    [
        (Leniency(), 1, 1.0, False),
        (Leniency(), 1, True, False),
        (Leniency(), 1, "1", False),
        (Leniency(), math.nan, math.nan, True),
        (Leniency(), 0.0, -0.0, False),
        (Leniency(rtol=1e-3), 1000.0, 1000.9, True),
        (Leniency(rtol=1e-3), 1000.0, 1002.0, False),
        (Leniency(rtol=1e-3), 1000, 1000.5, False),
        (Leniency(rtol=1e-3), 1000, 1001, True),
        (Leniency(rtol=1e-3, types=False), 1000, 1000.5, True),
        (Leniency(rtol=1e-3, types=False), True, 1.0001, False),
        (Leniency(rtol=0.5), True, False, False),
        (Leniency(rtol=0.5), 0.0, -0.0, True),
        (Leniency(rtol=0.5), math.nan, 1.0, False),
        (Leniency(rtol=0.5), math.inf, -math.inf, False),
        (Leniency(rtol=0.5), math.inf, 1e308, False),
        (Leniency(rtol=0.5), 10**400, 10**400 + 1, True),
        (Leniency(rtol=0.5), 10**400, 10**401, False),
        (Leniency(rtol=0.5, types=False), 10**400, math.inf, False),
        (Leniency(atol=0.1), 1.0, 1.05, True),
        (Leniency(atol=0.1), 1.0, 1.2, False),
        (Leniency(atol=0.5), 2**53, 2**53 + 1, False),
        (Leniency(digits=4), 0.12345, 0.12349, True),
        (Leniency(digits=4), 0.12345, 0.1236, False),
        (Leniency(digits=3), 1e-5, 2e-5, False),
        (Leniency(digits=3), 1e-5, 1.0004e-5, True),
        (Leniency(digits=3), 123456, 123499, True),
        (Leniency(digits=3), "1.0001", "1.0002", False),
        (Leniency(types=False), "1", 1.0, True),
        (Leniency(types=False), True, 1, True),
        (Leniency(types=False), "true", True, False),
        (Leniency(types=False), "nan", math.nan, True),
        (Leniency(types=False), "1e-3", "0.001", True),
        (Leniency(types=False), "9" * 5000, 9, False),
        (Leniency(types=False), None, 0, False),
        (Leniency(types=False), None, "null", False),
        (Leniency(types=False), {"a": [1]}, {"a": ["1"]}, True),
        (Leniency(order=False), [1, [2, 3], 1], [[3, 2], 1, 1], True),
        (Leniency(order=False), [1, 1, 2], [1, 2, 2], False),
        (Leniency(order=False), [1, True], [1, 1], False),
        (Leniency(order=False, rtol=0.1), [1.0, 2.0], [2.1, 1.05], True),
        (Leniency(order=False, rtol=0.1), [1.0, 2.0], [2.1, 1.5], False),
        (Leniency(order=False), {"a": [{"x": 1}, {}]}, {"a": [{}, {"x": 1}]}, True),
        (Leniency(rtol=0.1), [1.0], [1.0, 1.0], False),
        (Leniency(rtol=0.1), {"a": 1.0}, {"b": 1.0}, False),
        (Leniency(rtol=0.1), [1.0], {"a": 1.0}, False),
    ],
)
def test_two_values_are_the_same_as_far_as_is_allowed(leniency: Leniency, one: Any, other: Any, alike: bool) -> None:
    assert (leniency.same(one, other), leniency.same(other, one)) == (alike, alike)


def test_numbers_that_python_does_not_write_are_compared_too() -> None:
    large = 10**5000
    assert Leniency(digits=3).same(large, large + 1)
    assert not Leniency(digits=3, rtol=1e-3).same(large, 2 * large)
    assert not Leniency(types=False).same(large, large + 1)


@given(VALUES, VALUES)
def test_when_nothing_is_allowed_the_same_is_the_same(one: Any, other: Any) -> None:
    assert Leniency().same(one, other) == same(one, other)


@settings(max_examples=300, deadline=None)
@given(LENIENCIES, VALUES, VALUES)
def test_being_the_same_is_symmetric_and_holds_for_a_value_and_itself(leniency: Leniency, one: Any, other: Any) -> None:
    assert leniency.same(one, one)
    assert leniency.same(one, other) == leniency.same(other, one)
    assert leniency.same(one, other) or not same(one, other)


@settings(max_examples=300, deadline=None)
@given(st.booleans(), st.booleans(), VALUES, VALUES)
def test_an_identity_is_what_the_same_values_share(order: bool, types: bool, one: Any, other: Any) -> None:
    leniency = Leniency(order=order, types=types)
    assert (leniency.identity(one) == leniency.identity(other)) == leniency.same(one, other)


def test_what_has_no_equal_is_told_by_its_place() -> None:
    assert Leniency().unpaired(["a", "b", "b"], ["b", "c", "a"]) == ([2], [1])
    assert Leniency(atol=0.2).unpaired([1.0, 2.0, 3.0], [3.1, 1.1]) == ([1], [])


@pytest.mark.parametrize("ones", [[0.4, 0.9], [0.9, 0.4]])
def test_as_many_are_paired_as_can_be_whatever_the_order(ones: list[float]) -> None:
    assert Leniency(atol=0.45, order=False).same(ones, [0.5, 0.1])


def test_very_long_lists_of_which_nothing_is_equal_are_no_long_work() -> None:
    ones, others = [float(number) for number in range(1000)], [number + 0.5 for number in range(1000)]
    assert Leniency(atol=1.0, order=False).unpaired(ones, others) == (list(range(1000)), list(range(1000)))


@pytest.mark.parametrize(
    ("path", "ignored"),
    [("data", True), ("data.path", True), ("data[0]", True), ("database", False), ("a.seed", True), ("seed", False)],
)
def test_paths_beginnings_and_globs_are_ignored(path: str, ignored: bool) -> None:
    assert Leniency(ignore=("data", "*.seed")).ignores(path) == ignored


def test_flags_become_a_leniency() -> None:
    made = Leniency.of(rtol=0.1, atol=1, digits=3, ignore=["a", "b*"], ignore_order=True, ignore_type=True)
    assert made == Leniency(0.1, 1, 3, ("a", "b*"), order=False, types=False)
    assert Leniency.of() == Leniency()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"rtol": -1.0}, "--rtol -1.0 is not a number from 0 on."),
        ({"atol": math.nan}, "--atol nan is not a number from 0 on."),
        ({"rtol": math.inf}, "--rtol inf is not a number from 0 on."),
        ({"digits": 0}, "--significant-digits 0 is not a whole number from 1 to 100."),
        ({"digits": 101}, "--significant-digits 101 is not a whole number from 1 to 100."),
        ({"ignore": ["a", ""]}, "--ignore was given no path."),
    ],
)
def test_a_flag_that_makes_no_sense_is_a_sentence(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Leniency.of(**flags)
    assert (caught.value.message, caught.value.exit_code) == (message, 2)
