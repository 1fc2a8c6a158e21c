from __future__ import annotations

import math
from typing import Any

import pytest

from gitparams.params import MISSING
from gitparams.screens.numbers import age_text, column_texts, duration_text, ratio_text, value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"), (True, "True"), (1, "1"), (1.0, "1.0"), (1e-5, "1e-5"), (1e16, "1e16"), (-0.0, "-0.0"),
        (math.nan, "nan"),
        ("adam", "adam"), ("conf/a b.yaml", "conf/a b.yaml"), ("1", '"1"'), ("1e-3", '"1e-3"'), ("0x10", '"0x10"'),
        ("true", '"true"'),
        ("None", '"None"'), ("", '""'), (" a", '" a"'), ("nan", '"nan"'), ("[1]", '"[1]"'), ("a → b", '"a → b"'),
        ('say "x"', 'say "x"'),
        ("a\nb", '"a\\nb"'), ([64, 64.0, "a", "b,c"], '[64, 64.0, a, "b,c"]'), ({}, "{}"),
        ([{"a": [None]}], "[{a: [None]}]"), ("infra", "infra"),
    ],
)  # fmt: skip
def test_values_are_short_and_told_apart(value: Any, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.871, 0.934, 0.912, 0.91], ["0.871", "0.934", "0.912", "0.910"]),
        ([1.0, 2.0], ["1", "2"]),
        ([0.5, 0.25], ["0.50", "0.25"]),
        ([0.91234, 0.91235, 0.5], ["0.91234", "0.91235", "0.50000"]),
        ([12.345, 1.5], ["12.3", " 1.5"]),
        ([1204, 987], ["1 204", "  987"]),
        ([0.412, 3e-5], ["0.412", " 3e-5"]),
        ([0.5, math.nan, MISSING, math.inf], ["0.5", "nan", "  –", "inf"]),
        ([1e30, 2.5], ["1e30", " 2.5"]),
        ([1, 0.25], ["1   ", "0.25"]),
        ([-0.5, 0.25], ["-0.50", " 0.25"]),
        ([True, 0.5], ["True", " 0.5"]),
        ([10**400], ["1.00e400"]),
        ([], []),
    ],
)
def test_columns_are_aligned_on_the_point_and_no_longer_than_need_be(values: list[Any], texts: list[str]) -> None:
    assert column_texts(values) == texts


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (64, 128, "×2"), (128, 64, "÷2"), (0.1, 0.01, "÷10"), (1e-4, 3e-4, "×3"), (0.1, 0.03, "÷3.33"),
        (10, 12, "+2"), (0.9, 0.99, "+0.09"),
        (0, 5, "+5"), (-1, 1, "+2"), (1, 1.0, ""), (True, False, ""), ("a", "b", ""), (math.nan, 1.0, ""),
        (1.0, math.inf, ""), (1e-300, 1e300, "+1e300"),
    ],
)  # fmt: skip
def test_ratios(old: Any, new: Any, text: str) -> None:
    assert ratio_text(old, new) == text


def test_ages_and_durations() -> None:
    assert [age_text(seconds) for seconds in (-5, 59, 60, 3599, 86399, 13 * 86400, 14 * 86400, 364 * 86400, 365 * 86400)] == [
        "0s", "59s", "1m", "59m", "23h", "13d", "2w", "52w", "1y",
    ]  # fmt: skip
    assert [duration_text(seconds) for seconds in (0, 0.1234, 59.4, 60, 3600, 3661)] == [
        "0s",
        "0.12s",
        "59s",
        "1m",
        "1h",
        "1h 1m",
    ]
