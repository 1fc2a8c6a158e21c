"""Versions: several newest entries of one run become one state, field by field, the same on every machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from gitparams.errors import FormatError
from gitparams.git import TreeEntry
from gitparams.model import Event, Oid, Run, Status
from gitparams.params import MISSING, Params, flatten, leaves, nested, path_text, put
from gitparams.values import same

_ENDING = ("status", "finished", "exit_code")
_CONCLUDED = {Status.LOST: 1, Status.CRASHED: 2}


@dataclass(frozen=True, slots=True)
class Version:
    """One entry of a run: its tree's id, its files, the run and the event it tells, and the entries it followed."""

    tree: Oid
    run: Run
    event: Event
    prev: tuple[Oid, ...]
    files: Mapping[str, TreeEntry]


def heads(prev: Mapping[Oid, Sequence[Oid]]) -> list[Oid]:
    """Return the entries that no other entry follows, sorted; `prev` maps each entry of a run to those it followed.

    Where all are followed, somebody wrote a circle to hide the run: the entries of the last circle are the newest then.

    >>> heads({"a": [], "b": ["a"], "c": ["a"]}), heads({"a": ["b"], "b": ["a"], "c": ["c"]})
    (['b', 'c'], ['a', 'b', 'c'])
    """
    followed = {tree for trees in prev.values() for tree in trees}
    return sorted(tree for tree in prev if tree not in followed) or _last_circles(prev)


def _last_circles(prev: Mapping[Oid, Sequence[Oid]]) -> list[Oid]:
    """Return the entries that are only followed by entries which they follow themselves, in one step or in several."""
    older = {tree: _ancestors(tree, prev) for tree in prev}
    return sorted(tree for tree in prev if all(other in older[tree] for other in prev if tree in older[other]))


def merged(versions: Sequence[Version], prev: Mapping[Oid, Sequence[Oid]], read: Callable[[Oid], Version | None]) -> Version:
    """Return the state of a run that has several newest entries.

    The later event (by time, then tree id) wins a field that both sides changed since the entry they share; tags, params
    and metrics are merged one by one; a finished status is never undone by one that is not, and no expectation is.

    Args:
        versions: the newest entries.
        prev: for each entry of the run, those it followed.
        read: reads an older entry, or gives None when it is gone.

    Raises:
        FormatError: they are the newest entries of different runs to which one id was given.
    """
    _check_one_run(versions, prev)
    ordered = sorted(versions, key=lambda version: (version.event.time, version.tree))
    result, seen = ordered[0], _ancestors(ordered[0].tree, prev)
    for version in ordered[1:]:
        theirs = _ancestors(version.tree, prev)
        base = _newest([found for tree in _maximal(seen & theirs, prev) if (found := read(tree)) is not None])
        result = Version(
            version.tree,
            _merge_runs(base.run if base else None, result.run, version.run),
            version.event,
            (),
            _merge_mappings(base.files if base else {}, result.files, version.files),
        )
        seen |= theirs
    return replace(result, prev=tuple(sorted(version.tree for version in versions)))


def _check_one_run(versions: Sequence[Version], prev: Mapping[Oid, Sequence[Oid]]) -> None:
    """Refuse entries that share no older one and differ in how their runs began: a mixture would be a run that never was."""
    first, *others = versions
    known = _ancestors(first.tree, prev)
    for other in others:
        theirs = _ancestors(other.tree, prev)
        if known.isdisjoint(theirs) and _birth(first.run) != _birth(other.run):
            raise FormatError(
                f"Two different runs have the id {first.run.id}: one began at {first.run.started.isoformat()} on"
                f" {first.run.host or 'an unnamed host'}, another at {other.run.started.isoformat()} on"
                f" {other.run.host or 'an unnamed host'}."
            )
        known |= theirs


def _birth(run: Run) -> tuple[object, ...]:
    """Return what of a run never changes: two imports of one run agree in it."""
    return run.started, run.command, run.cwd, run.host, run.user, run.code.commit, run.parent


def _merge_runs(base: Run | None, mine: Run, theirs: Run) -> Run:
    empty = Run(mine.id, mine.status, mine.started)
    start = base or empty
    chosen = {field.name: _merge_field(field.name, start, mine, theirs) for field in fields(Run)}
    return Run(**chosen)


def _merge_field(name: str, base: Run, mine: Run, theirs: Run) -> Any:
    old, left, right = getattr(base, name), getattr(mine, name), getattr(theirs, name)
    if name == "params":
        return nested(_merge_params(old, left, right))
    if isinstance(old, Mapping):
        return _merge_mappings(old, left, right)
    if name == "tags":
        return tuple(sorted(set(left) & set(right) | (set(left) ^ set(right)) - set(old)))
    if name == "expect":
        return tuple(dict.fromkeys((*left, *right)))  # what was once expected is never taken back
    if right == old:
        return left
    if name in _ENDING and _certainty(mine.status) > _certainty(theirs.status):
        return left
    return right


def _certainty(status: Status) -> int:
    """Return how much a status is worth: what a run said of its own end is worth more than what others concluded."""
    return _CONCLUDED.get(status, len(_CONCLUDED) if status.finished else 0)


def _merge_params(old: Params, left: Params, right: Params) -> dict[str, Any]:
    """Merge params path by path; where one side has a value and the other a mapping, the later event's side wins."""
    theirs = {keys for keys, _ in leaves(right)}
    paths = {keys: path_text(keys) for keys in [*theirs, *(keys for keys, _ in leaves(left))]}
    flat = _merge_mappings(flatten(old), flatten(left), flatten(right))
    inner = {keys[:depth] for keys in theirs if paths[keys] in flat for depth in range(1, len(keys))}
    result: dict[str, Any] = {}
    for keys in sorted(paths):
        beside = keys in inner or any(keys[:depth] in theirs for depth in range(1, len(keys)))
        if paths[keys] in flat and (keys in theirs or not beside):
            put(result, keys, flat[paths[keys]])
    return result


def _merge_mappings(old: Mapping[str, Any], left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    result = {}
    for key in sorted(left.keys() | right.keys()):
        before, mine, theirs = old.get(key, MISSING), left.get(key, MISSING), right.get(key, MISSING)
        value = mine if _equal(before, theirs) else theirs
        if value is not MISSING:
            result[key] = value
    return result


def _equal(left: Any, right: Any) -> bool:
    if left is MISSING or right is MISSING:
        return left is right
    return left == right if isinstance(left, TreeEntry) else same(left, right)


def _ancestors(tree: Oid, prev: Mapping[Oid, Sequence[Oid]]) -> set[Oid]:
    found, waiting = set(), [tree]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting.extend(prev.get(one, ()))
    return found


def _maximal(trees: set[Oid], prev: Mapping[Oid, Sequence[Oid]]) -> set[Oid]:
    return trees - {older for tree in trees for older in prev.get(tree, ())}


def _newest(versions: list[Version]) -> Version | None:
    return max(versions, key=lambda version: (version.event.time, version.tree), default=None)
