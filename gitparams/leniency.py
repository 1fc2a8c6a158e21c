"""Leniency: which differences between two values do not count."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitparams.errors import UsageError
from gitparams.values import same

_MOST_DIGITS = 100
_MOST_PAIRS = 100_000
_EXACT_INTEGERS = 2**53  # a float holds every whole number up to here


@dataclass(frozen=True, slots=True)
class Leniency:
    """How much two values may differ and still be taken for the same; as it is made, not at all.

    A value is allowed what any of `rtol`, `atol` and `digits` allows. They concern numbers that are no bools.

    Attributes:
        rtol, atol: numbers are the same when ``|a - b| <= max(rtol * max(|a|, |b|), atol)``, as in `math.isclose` (PEP 485).
        digits: numbers are the same when they are so in this many significant digits: with 4 of them 0.12345 and 0.12349 are,
            1e-5 and 2e-5 never.
        ignore: paths of params, beginnings of them, or globs; those params are not looked at.
        order: whether the order of a list counts.
        types: whether the type counts. Where it does not, numbers of any kind, bools too, are compared by value, and text that
            reads as a number, by the core rules of YAML 1.2, is that number: ``1``, ``1.0``, ``True`` and ``"1"`` are the same.

    >>> Leniency().same(1, 1.0), Leniency(types=False).same("1e-3", 0.001), Leniency(rtol=1e-3).same([0.1], [0.10001])
    (False, True, True)
    """

    rtol: float = 0.0
    atol: float = 0.0
    digits: int | None = None
    ignore: tuple[str, ...] = ()
    order: bool = True
    types: bool = True

    @classmethod
    def of(
        cls,
        *,
        rtol: float = 0.0,
        atol: float = 0.0,
        digits: int | None = None,
        ignore: Iterable[str] = (),
        ignore_order: bool = False,
        ignore_type: bool = False,
    ) -> Leniency:
        """Return the leniency that the flags of a command ask for.

        Raises:
            UsageError: a tolerance is below 0 or not finite, the digits are not 1 to 100, a path to ignore is empty.

        >>> Leniency.of(rtol=1e-6, ignore_order=True)
        Leniency(rtol=1e-06, atol=0.0, digits=None, ignore=(), order=False, types=True)
        """
        for name, tolerance in (("rtol", rtol), ("atol", atol)):
            if not 0 <= tolerance < math.inf:
                raise UsageError(f"--{name} {tolerance} is not a number from 0 on.", hint=f"--{name} 1e-6")
        if digits is not None and not 1 <= digits <= _MOST_DIGITS:
            raise UsageError(
                f"--significant-digits {digits} is not a whole number from 1 to {_MOST_DIGITS}.", hint="--significant-digits 4"
            )
        ignored = tuple(ignore)
        if not all(ignored):
            raise UsageError("--ignore was given no path.", hint="--ignore 'data.*'")
        return cls(rtol, atol, digits, ignored, not ignore_order, not ignore_type)

    @property
    def tolerant(self) -> bool:
        """Whether numbers may differ at all."""
        return self.rtol > 0 or self.atol > 0 or self.digits is not None

    def ignores(self, path: str) -> bool:
        """Tell whether the param of a written path is not looked at.

        >>> Leniency(ignore=("data", "*.seed")).ignores("data.path"), Leniency(ignore=("data",)).ignores("database")
        (True, False)
        """
        if not self.ignore:
            return False
        from gitparams.index import paths_meant

        return any(paths_meant(wanted, (path,)) for wanted in self.ignore)

    def same(self, one: Any, other: Any) -> bool:
        """Tell whether two values are the same; when nothing is allowed, as `values.same` does."""
        if self.order and self.types and not self.tolerant:
            return same(one, other)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            return one.keys() == other.keys() and all(self.same(value, other[key]) for key, value in one.items())
        if isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            if self.order:
                return all(map(self.same, one, other))
            return not self.unpaired(one, other)[0]
        return self._same_scalars(one, other)

    def identity(self, value: Any) -> Hashable:
        """Return what two values have in common exactly when they are the same, no tolerance allowed.

        >>> Leniency().identity([1]) == Leniency().identity([True]), Leniency(types=False).identity(1) == ("number", 1.0)
        (False, True)
        """
        if isinstance(value, Mapping):
            return ("mapping", frozenset([(key, self.identity(item)) for key, item in value.items()]))
        if isinstance(value, list):
            items = [self.identity(item) for item in value]
            return ("list", tuple(items) if self.order else frozenset(_counted(items).items()))
        if not self.types:
            value = _read(value)
            if isinstance(value, (bool, int, float)):
                return ("number", "nan" if value != value else value)
        return (type(value), repr(value) if isinstance(value, float) else value)

    def unpaired(self, ones: Sequence[Any], others: Sequence[Any]) -> tuple[list[int], list[int]]:
        """Return the places of the items that have no equal on the other side, the order set aside.

        Items that are the same without a tolerance are paired first, and as many of the others as can be. When that would take
        more than 100,000 comparisons, no tolerance is allowed.

        >>> Leniency().unpaired([1, 2, 2], [2, 3])
        ([0, 2], [1])
        """
        waiting: defaultdict[Hashable, list[int]] = defaultdict(list)
        for place in reversed(range(len(others))):
            waiting[self.identity(others[place])].append(place)
        left = [place for place, one in enumerate(ones) if not _taken(waiting, self.identity(one))]
        free = sorted(place for places in waiting.values() for place in places)
        if not self.tolerant or len(left) * len(free) > _MOST_PAIRS:
            return left, free
        alike = [[other for other in free if self.same(ones[place], others[other])] for place in left]
        pairs = _most_pairs(alike)
        taken = set(pairs.values())
        alone = [place for number, place in enumerate(left) if number not in pairs]
        return alone, [place for place in free if place not in taken]

    def _same_scalars(self, one: Any, other: Any) -> bool:
        if not self.types:
            one, other = _read(one), _read(other)
        if same(one, other):
            return True
        if not (isinstance(one, (bool, int, float)) and isinstance(other, (bool, int, float))):
            return False
        if self.types and type(one) is not type(other):
            return False
        if isinstance(one, bool) or isinstance(other, bool):
            return one == other
        if one == other:  # 0.0 and -0.0, or of two types
            return self.tolerant or not self.types
        return self._close(one, other)

    def _close(self, one: int | float, other: int | float) -> bool:
        if not (_is_finite(one) and _is_finite(other)):
            return False
        if (self.rtol or self.atol) and _is_close(one, other, self.rtol, self.atol):
            return True
        return self.digits is not None and _rounded(one, self.digits) == _rounded(other, self.digits)


def _read(value: Any) -> Any:
    """Return the number that a text reads as, any other value as it is."""
    if not isinstance(value, str):
        return value
    from gitparams.capture.overrides import scalar

    number = scalar(value)
    return number if isinstance(number, (int, float)) and not isinstance(number, bool) else value


def _taken(waiting: Mapping[Hashable, list[int]], identity: Hashable) -> bool:
    places = waiting.get(identity)
    if not places:
        return False
    places.pop()
    return True


def _most_pairs(alike: Sequence[Sequence[int]]) -> dict[int, int]:
    """Return the most pairs that can be made, each item with one that it is alike, by augmenting paths (Kuhn)."""
    pairs: dict[int, int] = {}
    owners: dict[int, int] = {}
    for start in range(len(alike)):
        reached: dict[int, int] = {}
        end = _free_end(start, alike, owners, reached)
        while end is not None:
            one = reached[end]
            before = pairs.get(one)
            pairs[one], owners[end] = end, one
            end = before
    return pairs


def _free_end(start: int, alike: Sequence[Sequence[int]], owners: Mapping[int, int], reached: dict[int, int]) -> int | None:
    """Return an item without a pair to which a path of pairs leads, None when none does; `reached` tells from where."""
    waiting = [start]
    for one in waiting:
        for other in alike[one]:
            if other in reached:
                continue
            reached[other] = one
            if other not in owners:
                return other
            waiting.append(owners[other])
    return None


def _counted(items: Iterable[Hashable]) -> dict[Hashable, int]:
    counts: dict[Hashable, int] = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return counts


def _is_finite(number: int | float) -> bool:
    return isinstance(number, int) or math.isfinite(number)


def _is_close(one: int | float, other: int | float, rtol: float, atol: float) -> bool:
    if max(abs(one), abs(other)) <= _EXACT_INTEGERS or (isinstance(one, float) and isinstance(other, float)):
        return math.isclose(one, other, rel_tol=rtol, abs_tol=atol)
    from fractions import Fraction  # a whole number may be larger than any float

    a, b = Fraction(one), Fraction(other)
    return abs(a - b) <= max(Fraction(rtol) * max(abs(a), abs(b)), Fraction(atol))


def _rounded(number: int | float, digits: int) -> str:
    if isinstance(number, float) or abs(number) <= _EXACT_INTEGERS:
        return f"{number:.{digits - 1}e}"
    from decimal import Decimal

    return f"{Decimal(number):.{digits - 1}e}"
