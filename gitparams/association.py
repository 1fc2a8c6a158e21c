"""Association: how strongly two columns of runs go together, numbers or words.

Numbers by Spearman's rank correlation, from -1 to 1 (Spearman, "The proof and measurement of association between two
things", 1904). Words and numbers by the correlation ratio of the ranks, from 0 to 1: the root of the share of their variance
that lies between the words (Fisher, "Statistical Methods for Research Workers", 1925, §45), less what chance alone would give
so many words (Kelley, "An unbiased correlation ratio measure", 1935); of exactly two words as it is and with a sign, as
Spearman's of 0 and 1: plus when the second has the higher numbers. Words and words by Cramér's V, from 0 to 1 ("Mathematical
Methods of Statistics", 1946, §21.9).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from gitparams.space import Dimension, Space, as_number, word

_PARTS, _LEAST_IN_A_PART = 8, 10
LEAST_PAIRS = 5
"""Fewer runs that have both tell nothing."""
Column = Sequence[float | None] | Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Association:
    """How strongly two columns go together.

    Attributes:
        strength: from -1 to 1, or from 0 to 1 without a sign; NaN when it cannot be told.
        signed: whether the sign means anything.
        pairs: the runs that have both.
    """

    strength: float
    signed: bool
    pairs: int


def column_of(space: Space, dimension: Dimension) -> Column:
    """Return the values of a param, run by run: numbers or words, None where a run lacks it."""
    path = dimension.path
    if dimension.kind == "words":
        return [word(trial.values[path]) if path in trial.values else None for trial in space.trials]
    return [as_number(trial.values[path]) if path in trial.values else None for trial in space.trials]


def association(one: Column, other: Column) -> Association:
    """Return how strongly two columns of one length go together.

    >>> association([1.0, 2.0, 3.0, 4.0, 9.0], [1.0, 4.0, 9.0, 16.0, 25.0])
    Association(strength=1.0, signed=True, pairs=5)
    >>> association(["a", "a", "b", "b", "b"], [1.0, 2.0, 5.0, 6.0, 7.0]).strength > 0.85
    True
    """
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    if len(pairs) < LEAST_PAIRS:
        return Association(math.nan, False, len(pairs))
    left, right = [a for a, _ in pairs], [b for _, b in pairs]
    if _is_numbers(left) and _is_numbers(right):
        return Association(_pearson(ranks(left), ranks(right)), True, len(pairs))
    if _is_numbers(left):
        return _ratio([str(b) for b in right], left)
    if _is_numbers(right):
        return _ratio([str(a) for a in left], right)
    return Association(_cramer([str(a) for a in left], [str(b) for b in right]), False, len(pairs))


def dependence(column: Column, numbers: Sequence[float | None]) -> float:
    """Return how much numbers depend on a column, in whatever way: from 0 to 1, NaN when it cannot be told.

    It is the correlation ratio over the column's words; over its numbers when they are eight or fewer, each of two runs or more
    on average; else over parts of them with as many runs each, at most eight, and ten runs or more in each. What chance alone
    would give so many is taken off. A word that is another in every run tells nothing.

    >>> dependence([float(x) for x in range(-20, 21)], [float(x * x) for x in range(-20, 21)]) > 0.8
    True
    """
    pairs = [(value, number) for value, number in zip(column, numbers, strict=True) if value is not None and number is not None]
    if len(pairs) < LEAST_PAIRS:
        return math.nan
    there, ranked = [value for value, _ in pairs], ranks([number for _, number in pairs])
    if _is_numbers(there) and len(set(there)) > min(_PARTS, len(there) // 2):
        parts, places = max(2, min(_PARTS, len(there) // _LEAST_IN_A_PART)), ranks(there)
        return _beyond_chance(*_share([str(int((place - 0.5) * parts / len(there))) for place in places], ranked), len(there))
    return _beyond_chance(*_share([str(value) for value in there], ranked), len(there))


def ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each number from 1, those that are equal sharing the mean of theirs.

    >>> ranks([10.0, 5.0, 10.0])
    [2.5, 1.0, 2.5]
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    result = [0.0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end + 1 < len(order) and values[order[end + 1]] == values[order[begin]]:
            end += 1
        for place in order[begin : end + 1]:
            result[place] = (begin + end) / 2 + 1
        begin = end + 1
    return result


def _is_numbers(values: Sequence[float | str]) -> TypeGuard[list[float]]:
    return all(not isinstance(value, str) for value in values)


def _pearson(one: Sequence[float], other: Sequence[float]) -> float:
    count = len(one)
    mean_one, mean_other = math.fsum(one) / count, math.fsum(other) / count
    ones, others = [value - mean_one for value in one], [value - mean_other for value in other]
    spread = math.sqrt(math.fsum(value * value for value in ones) * math.fsum(value * value for value in others))
    return math.fsum(a * b for a, b in zip(ones, others, strict=True)) / spread if spread else math.nan


def _ratio(words: Sequence[str], numbers: Sequence[float]) -> Association:
    ranked = ranks(numbers)
    share, means = _share(words, ranked)
    if len(means) > 2:
        return Association(_beyond_chance(share, means, len(ranked)), False, len(ranked))
    if math.isnan(share):
        return Association(math.nan, False, len(ranked))
    first, second = sorted(means)
    strength = math.sqrt(share)
    return Association(strength if means[second] >= means[first] else -strength, True, len(ranked))


def _share(words: Sequence[str], ranked: Sequence[float]) -> tuple[float, Mapping[str, float]]:
    """Return the share of the variance of ranks that lies between words, NaN when there is none, and each word's mean."""
    groups: dict[str, list[float]] = {}
    for text, rank in zip(words, ranked, strict=True):
        groups.setdefault(text, []).append(rank)
    centre = math.fsum(ranked) / len(ranked)
    whole = math.fsum((rank - centre) ** 2 for rank in ranked)
    means = {text: math.fsum(group) / len(group) for text, group in groups.items()}
    if not whole or len(groups) < 2:
        return math.nan, means
    return math.fsum(len(group) * (means[text] - centre) ** 2 for text, group in groups.items()) / whole, means


def _beyond_chance(share: float, means: Mapping[str, float], count: int) -> float:
    """Return the correlation ratio of so many runs without what chance gives (Kelley's epsilon); NaN of a word a run."""
    if len(means) == count:
        return math.nan
    return math.sqrt(max(0.0, 1 - (1 - share) * (count - 1) / (count - len(means)))) if not math.isnan(share) else math.nan


def _cramer(one: Sequence[str], other: Sequence[str]) -> float:
    both, ones, others = Counter(zip(one, other, strict=True)), Counter(one), Counter(other)
    least = min(len(ones), len(others)) - 1
    if least < 1:
        return math.nan
    count = len(one)
    chi = math.fsum(
        (both[a, b] - expected) ** 2 / expected for a in ones for b in others for expected in [ones[a] * others[b] / count]
    )
    return math.sqrt(chi / (count * least))
