"""Nested diff: what differs between two configs, down to the items of their lists."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from gitparams.leniency import Leniency
from gitparams.params import MISSING, path_text
from gitparams.values import same

Kind = Literal["changed", "added", "removed", "type", "moved"]

NAME_KEYS = ("name", "id", "key")
"""The keys by which an item of a list of mappings is found again, the first that serves."""

_MOST_PAIRS = 100_000
_LARGEST_NUMBER = 2**63
_STRICT = Leniency()

_Name = tuple[str, type, Any]
_Names = dict[_Name, int]
_Equals = tuple[int, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two configs.

    Attributes:
        path: as it is written; an item of a list has its place in brackets, ``layers[1]``, or its name, ``layers[conv1]``.
        kind: ``type`` when the values are of two types; ``added`` and ``removed`` when only the new or the old config has one;
            ``moved`` when an item of a list stands elsewhere: old and new are then its places, from 0.
        old, new: the values, `MISSING` where there is none.
        param: the written path of the param it belongs to: for what is inside of a list the list's own.
    """

    path: str
    kind: Kind
    old: Any
    new: Any
    param: str


def nested_changes(old: Mapping[str, Any], new: Mapping[str, Any], leniency: Leniency) -> list[Change]:
    """Return what differs between two configs, sorted by path; each path is there once.

    Mappings are compared by key. A mapping that comes or goes is told leaf by leaf, a list that does as a whole. Two lists are
    compared item by item:

    - Mappings that all have a ``name``, else an ``id``, else a ``key``, no two of a list the same, are found again by it. Of
      those that are in both lists, in another order, the fewest are said to have moved.
    - Of a list with the very same items in another order, the fewest are said to have moved, each by its old place.
    - Of lists of different lengths what they have in common, in order, is set aside. What remains between is paired by place,
      counted in the longer list, and the rest is added or removed. Where so one place would be named twice, all is by place.
    - All others are compared by place.

    When the order does not count, an item without its equal on the other side is removed or added; where both happen at one
    place, it changed. To set equal items aside or find what moved takes a comparison for each pair of equal items (with a
    tolerance, for each pair of items); when these would be more than 100,000 in a config, the list is compared by place.

    Args:
        old, new: the configs, nested.
        leniency: which differences do not count.

    >>> for change in nested_changes({"sizes": [64, 32], "amp": 1}, {"sizes": [128, 64, 32], "amp": True}, Leniency()):
    ...     print(change.path, change.kind, change.old, change.new)
    amp type 1 True
    sizes[0] added MISSING 128
    """
    walk = _Walk(leniency)
    walk.mappings(old, new, "", None)
    found = [*walk.moves, *map(walk.change, _unlike(walk.old, walk.new, leniency))]
    return sorted((change for change in found if not leniency.ignores(change.path)), key=lambda change: change.path)


def kind_of(values: Sequence[Any]) -> Kind:
    """Return how the first and the last of some values differ.

    >>> kind_of((1, True)), kind_of((MISSING, 1))
    ('type', 'added')
    """
    if values[0] is MISSING and values[-1] is not MISSING:
        return "added"
    if values[-1] is MISSING and values[0] is not MISSING:
        return "removed"
    return "type" if len({_type(value) for value in values if value is not MISSING}) > 1 else "changed"


def _type(value: Any) -> type:
    return dict if isinstance(value, Mapping) else type(value)


def _unlike(old: Mapping[str, Any], new: Mapping[str, Any], leniency: Leniency) -> list[str]:
    """Return the paths at which two flat configs differ."""
    alike = {path for path, value in old.items() if path in new and same(value, new[path])}
    if len(alike) == len(old) == len(new):
        return []
    from deepdiff import DeepDiff

    class Lenient:
        """Tells DeepDiff which of the leaves do not differ; its own tolerance is absolute, and its digits are decimals."""

        def match(self, level: Any) -> bool:
            return level.up is not None

        def give_up_diffing(self, level: Any, diff_instance: Any) -> bool:
            (path,) = level.path(output_format="list")
            return leniency.same(old[path], new[path])

    strict = leniency == Leniency(ignore=leniency.ignore)
    found = DeepDiff(
        {path: _opaque(value, b"old") for path, value in old.items() if path not in alike},
        {path: _opaque(value, b"new") for path, value in new.items() if path not in alike},
        view="tree",
        threshold_to_diff_deeper=0,  # else two configs with little in common are one change
        ignore_nan_inequality=True,
        ignore_private_variables=False,  # else a key that begins with __ is not seen
        custom_operators=[] if strict else [Lenient()],
    )
    return [level.path(output_format="list")[0] for levels in found.values() for level in levels]


def _opaque(value: Any, side: bytes) -> Any:
    """Return a value; bytes, which no params hold, for one that differs and that DeepDiff would not compare as we do.

    To DeepDiff 0.0 is -0.0; it would go on into lists, and work out how two texts differ line by line.
    """
    if isinstance(value, list) or (isinstance(value, float) and value == 0) or (isinstance(value, str) and "\n" in value):
        return side
    return value


class _Steps(NamedTuple):
    """How one list becomes another: the places of items that are paired, that go, and that come."""

    pairs: list[tuple[int, int]]
    gone: list[int]
    come: list[int]

    def name_a_place_twice(self, *, longer: bool) -> bool:
        """Tell whether a place in the old list is also one in the new; pairs are counted in the longer of the two."""
        old, new = set(self.gone), set(self.come)
        (new if longer else old).update(pair[longer] for pair in self.pairs)
        return not old.isdisjoint(new)


class _Walk:
    """Goes through two configs side by side, and keeps the leaves that are not the same.

    Attributes:
        old, new: written path → leaf, for each side.
        params: written path → that of the param it belongs to.
        moves: the items of lists that stand elsewhere.
    """

    def __init__(self, leniency: Leniency) -> None:
        self.old: dict[str, Any] = {}
        self.new: dict[str, Any] = {}
        self.params: dict[str, str] = {}
        self.moves: list[Change] = []
        self._leniency = leniency
        self._pairs_left = _MOST_PAIRS

    def change(self, path: str) -> Change:
        """Return what differs at the path of a leaf."""
        old, new = self.old.get(path, MISSING), self.new.get(path, MISSING)
        return Change(path, kind_of((old, new)), old, new, self.params[path])

    def mappings(self, old: Mapping[str, Any], new: Mapping[str, Any], path: str, param: str | None) -> None:
        """Go through two mappings by key; `param` is the list they are inside of."""
        for key, value in old.items():
            if key not in new:
                self._put(self.old, value, _below(path, key), param)
            elif value is not new[key]:
                self._pair(value, new[key], _below(path, key), param)
        for key, value in new.items():
            if key not in old:
                self._put(self.new, value, _below(path, key), param)

    def _pair(self, old: Any, new: Any, path: str, param: str | None) -> None:
        if isinstance(old, Mapping) and isinstance(new, Mapping) and old and new:
            self.mappings(old, new, path, param)
        elif isinstance(old, list) and isinstance(new, list):
            self._lists(old, new, path, param or path)
        elif not same(old, new):
            self._put(self.old, old, path, param)
            self._put(self.new, new, path, param)

    def _put(self, side: dict[str, Any], value: Any, path: str, param: str | None) -> None:
        if isinstance(value, Mapping) and value:
            for key, item in value.items():
                self._put(side, item, _below(path, key), param)
        else:
            side[path] = value
            self.params[path] = param or path

    # -- lists ------------------------------------------------------------------------------------------------------------

    def _lists(self, old: list[Any], new: list[Any], path: str, param: str) -> None:
        names = _names(old, new)
        if names:
            self._named(old, new, names, path, param)
        elif not self._leniency.order:
            self._unordered(old, new, path, param)
        elif len(old) == len(new):
            self._same_length(old, new, path, param)
        else:
            self._aligned(old, new, path, param)

    def _named(self, old: list[Any], new: list[Any], names: tuple[_Names, _Names], path: str, param: str) -> None:
        old_places, new_places = names
        order = [name for name in old_places if name in new_places]
        stays = {place for place, _ in in_common([(old_places[name], (new_places[name],)) for name in order])}
        for name, place in old_places.items():
            label = f"{path}[{_label(name)}]"
            if name not in new_places:
                self._put(self.old, old[place], label, param)
                continue
            if self._leniency.order and place not in stays:
                self.moves.append(Change(label, "moved", place, new_places[name], param))
            self._pair(old[place], new[new_places[name]], label, param)
        for name, place in new_places.items():
            if name not in old_places:
                self._put(self.new, new[place], f"{path}[{_label(name)}]", param)

    def _unordered(self, old: list[Any], new: list[Any], path: str, param: str) -> None:
        gone, come = self._leniency.unpaired(old, new)
        for place in gone:
            self._put(self.old, old[place], f"{path}[{place}]", param)
        for place in come:
            self._put(self.new, new[place], f"{path}[{place}]", param)

    def _same_length(self, old: list[Any], new: list[Any], path: str, param: str) -> None:
        front, back = _alike_ends(old, new, same)
        span = slice(front, len(old) - back)
        moved = self._moved(old[span], new[span])
        if moved is None:
            self._by_place(old[span], new[span], front, path, param)
            return
        for one, other in moved:
            self.moves.append(Change(f"{path}[{front + one}]", "moved", front + one, front + other, param))

    def _moved(self, old: list[Any], new: list[Any]) -> list[tuple[int, int]] | None:
        """Return the old and new places of what moved; None when the items are not the very same or need not move."""
        olds, news = ([_STRICT.identity(item) for item in items] for items in (old, new))
        if Counter(olds) != Counter(news) or self._leniency.same(old, new):
            return None
        equals = self._equal_places(olds, news)
        if equals is None:
            return None
        stays = in_common(equals)
        stay, taken = {one for one, _ in stays}, {other for _, other in stays}
        free = _places([item if place not in taken else None for place, item in enumerate(news)])
        waiting = {item: iter(places) for item, places in free.items()}
        return [(place, next(waiting[item])) for place, item in enumerate(olds) if place not in stay]

    def _aligned(self, old: list[Any], new: list[Any], path: str, param: str) -> None:
        front, back = _alike_ends(old, new, self._leniency.same)
        olds, news = old[front : len(old) - back], new[front : len(new) - back]
        steps = self._steps(olds, news)
        longer = len(new) > len(old)
        if steps is None or steps.name_a_place_twice(longer=longer):
            self._by_place(old[front:], new[front:], front, path, param)
            return
        for one, other in steps.pairs:
            self._pair(olds[one], news[other], f"{path}[{front + (other if longer else one)}]", param)
        for one in steps.gone:
            self._put(self.old, olds[one], f"{path}[{front + one}]", param)
        for other in steps.come:
            self._put(self.new, news[other], f"{path}[{front + other}]", param)

    def _steps(self, old: list[Any], new: list[Any]) -> _Steps | None:
        """Return how the old list becomes the new one, without what is set aside; None when finding that takes too long."""
        equals = self._alike_places(old, new)
        if equals is None:
            return None
        steps = _Steps([], [], [])
        one = other = 0
        for old_end, new_end in [*in_common(equals), (len(old), len(new))]:
            both = min(old_end - one, new_end - other)
            steps.pairs.extend((one + place, other + place) for place in range(both))
            steps.gone.extend(range(one + both, old_end))
            steps.come.extend(range(other + both, new_end))
            one, other = old_end + 1, new_end + 1
        return steps

    def _by_place(self, old: list[Any], new: list[Any], front: int, path: str, param: str) -> None:
        both = min(len(old), len(new))
        for place in range(both):
            self._pair(old[place], new[place], f"{path}[{front + place}]", param)
        for side, items in ((self.old, old), (self.new, new)):
            for place in range(both, len(items)):
                self._put(side, items[place], f"{path}[{front + place}]", param)

    def _alike_places(self, old: list[Any], new: list[Any]) -> list[_Equals] | None:
        alike = self._leniency
        if not alike.tolerant:
            return self._equal_places([alike.identity(item) for item in old], [alike.identity(item) for item in new])
        if not self._may_pair(len(old) * len(new)):
            return None
        return [
            (place, [other for other, theirs in enumerate(new) if alike.same(item, theirs)]) for place, item in enumerate(old)
        ]

    def _equal_places(self, olds: Sequence[Hashable], news: Sequence[Hashable]) -> list[_Equals] | None:
        where = _places(news)
        equals: list[_Equals] = [(place, where.get(item, ())) for place, item in enumerate(olds)]
        return equals if self._may_pair(sum(len(places) for _, places in equals)) else None

    def _may_pair(self, count: int) -> bool:
        if count > self._pairs_left:
            return False
        self._pairs_left -= count
        return True


def in_common(equals: Sequence[_Equals]) -> list[tuple[int, int]]:
    """Return the longest run of items that two lists have in common, in order, as pairs of places.

    This is the longest increasing subsequence of the places of equal items, found in ``n log n`` for ``n`` pairs. Of several
    that are as long, one in which most items have the same place on both sides.

    Args:
        equals: a place in the one list, rising, and the places in the other, rising, where an equal item is.

    >>> in_common([(0, [2]), (1, [1]), (2, [0])])
    [(1, 1)]
    """
    if all(len(places) == 1 for _, places in equals):
        straight = [(place, places[0]) for place, places in equals]
        if all(one[1] < other[1] for one, other in pairwise(straight)):
            return straight
    size = 1 + max((places[-1] for _, places in equals if places), default=-1)
    unit = len(equals) + 1
    # a Fenwick tree: the best chain that ends before a place
    scores, ends = [0] * (size + 1), [-1] * (size + 1)
    chains: list[tuple[int, int, int]] = []
    for place, places in equals:
        for other in reversed(places):
            score, end = _best_before(other, scores, ends)
            score += unit + (place == other)
            chains.append((place, other, end))
            step = other + 1
            while step <= size:
                if scores[step] < score:
                    scores[step], ends[step] = score, len(chains) - 1
                step += step & -step
    pairs = []
    _, end = _best_before(size, scores, ends)
    while end >= 0:
        place, other, end = chains[end]
        pairs.append((place, other))
    return pairs[::-1]


def _best_before(place: int, scores: Sequence[int], ends: Sequence[int]) -> tuple[int, int]:
    score, end = 0, -1
    while place:
        if scores[place] > score:
            score, end = scores[place], ends[place]
        place &= place - 1
    return score, end


def _alike_ends(old: list[Any], new: list[Any], alike: Callable[[Any, Any], bool]) -> tuple[int, int]:
    """Return how many items at the front, and how many of the others at the back, are alike."""
    most = min(len(old), len(new))
    front = next((place for place in range(most) if not alike(old[place], new[place])), most)
    back = next((place for place in range(most - front) if not alike(old[-1 - place], new[-1 - place])), most - front)
    return front, back


def _places(items: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    where: defaultdict[Hashable, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        where[item].append(place)
    return where


# -- paths ----------------------------------------------------------------------------------------------------------------


def _below(path: str, key: str) -> str:
    part = path_text((key,))
    return part if not path else path + part if part.startswith("[") else f"{path}.{part}"


def _names(old: list[Any], new: list[Any]) -> tuple[_Names, _Names] | None:
    """Return name → place for both lists, when their items are mappings that all have one."""
    if not all(isinstance(item, Mapping) for items in (old, new) for item in items):
        return None
    for key in NAME_KEYS:
        names = tuple(
            {(key, type(item[key]), item[key]): place for place, item in enumerate(items) if _is_named(item, key)}
            for items in (old, new)
        )
        if len(names[0]) == len(old) and len(names[1]) == len(new):
            return names[0], names[1]
    return None


def _is_named(item: Mapping[str, Any], key: str) -> bool:
    """Tell whether a mapping has a name under a key: text, or a number that can be written in a path."""
    name = item.get(key)
    if isinstance(name, (int, float)):
        return abs(name) < _LARGEST_NUMBER
    return isinstance(name, str)


def _label(name: _Name) -> str:
    """Return how the name of an item is written in a path: what could be taken for a place or would not read back, otherwise.

    >>> [_label(name) for name in (("name", str, "conv1"), ("name", str, "1"), ("id", int, 1), ("id", bool, True))]
    ['conv1', '"1"', 'id=1', 'id=true']
    """
    key, _, value = name
    text = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        return f"{key}={text}"
    return value if path_text((value,)) == value and not value.isdigit() else text
