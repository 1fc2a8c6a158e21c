"""Gate: whether what differs between two runs is worse than is allowed, by an expression."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gitparams.changes import RunDiff
from gitparams.errors import UsageError
from gitparams.index import paths_meant
from gitparams.model import Run, is_run_id
from gitparams.params import MISSING, flatten, get, path_text
from gitparams.query import Field, Leaf, Named, Subject, has_changed, near_misses, read
from gitparams.screens.items import cut_apart, short_value
from gitparams.screens.numbers import delta_text, difference, metric_texts
from gitparams.screens.terminal import Terminal
from gitparams.values import same

_OF_METRICS = ("delta", "before", "after", "ratio")
_OF_PARAMS = ("before", "after", "kind")
_FACTS = {("code", "files"), ("code", "changed"), ("packages", "changed")}
_SIDES = ("before", "after")
_OF_RUNS = re.compile(r"latest(~\d+)?$|best:|run:")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one expression.

    Attributes:
        expression: as it was written.
        failed: whether it holds, or cannot be told.
        sentence: what is said of it: the expression, whether it failed, and the values it is about.
    """

    expression: str
    failed: bool
    sentence: str


def judge_all(
    expressions: Sequence[str], diff: RunDiff, *, terminal: Terminal | None = None, packages_known: bool = True
) -> list[Outcome]:
    """Return what became of each of several expressions, as `judge` does; one that is wrong is said before any is judged."""
    return [judge(expression, diff, terminal=terminal, packages_known=packages_known) for expression in expressions]


def judge(expression: str, diff: RunDiff, *, terminal: Terminal | None = None, packages_known: bool = True) -> Outcome:
    """Tell whether an expression fails two runs: when it holds, and when what it compares is not there or no number.

    The keys are ``metrics.NAME.delta``, ``.before``, ``.after`` and ``.ratio`` (after by before), ``params.PATH.before``,
    ``.after`` and ``.kind`` (``same``, ``changed``, ``added``, ``removed`` or ``type``), ``changed(params.PATH)``,
    ``exists(params.PATH.after)``, and the counts ``code.files`` and ``packages.changed``. What one of the runs lacks, and what
    is NaN or infinite on either side, fails whatever compares it, unless ``exists(…)`` or ``isnan(…)`` beside it settles the
    answer. So does any metric where one side is only params files, since no run was recorded there.

    Args:
        expression: in the language of queries.
        diff: two runs with all their differences, whichever of these are shown.
        terminal: where the sentence goes; by default it may show every letter.
        packages_known: whether the packages of both runs are known.

    Raises:
        QueryError: it is no expression.
        UsageError: there are not two runs, it asks for what neither of them has, or for nothing of them.

    >>> from gitparams.model import Status, new_run_id, now
    >>> runs = [Run(new_run_id(), Status.COMPLETED, now(), metrics={"acc": acc}) for acc in (0.934, 0.913)]
    >>> print(judge("metrics.acc.delta < -0.01", RunDiff(tuple(runs))).sentence)
    metrics.acc.delta < -0.01: failed, delta is −0.021 (0.934 → 0.913)
    """
    if len(diff.runs) != 2:
        raise UsageError(f"{expression}: two runs are judged, and here are {len(diff.runs)}.", hint="gitparams diff A B")
    subject = _OfDiff(diff, packages_known)
    asked = read(expression, subject)
    named, existing, changing = asked.named(), asked.existing(), asked.changing()
    for item in (*named, *existing):
        _check_key(item, diff, expression)
    for leaf in named:
        _check_known(leaf, diff, expression)
    for path in changing:
        _check_path(path, diff, expression)
    if not (named or existing or changing):
        raise UsageError(f"{expression}: it asks for nothing of the runs.", hint=_HINT)
    words = _Words(diff, terminal or Terminal())
    leaves = [item for item in named if isinstance(item, Leaf)]
    unknown = [item for item in asked.unknown() if isinstance(item, Leaf)]
    failed = bool(unknown) or asked.holds()
    if unknown:
        said = [words.why_unknown(leaf, subject) for leaf in unknown]
    else:
        alone = len(named) + len(existing) + len(changing) == 1
        said = [words.value(leaf, subject, alone=alone) for leaf in leaves]
        said += [words.existence(item, subject) for item in existing if isinstance(item, Leaf) and item not in leaves]
        said += [words.change(path) for path in changing]
    said += [f"both are {words.side(1)}"] if diff.runs[0].id == diff.runs[1].id else []
    text = f"{' '.join(expression.split())}: {'failed' if failed else 'passed'}, {', '.join(dict.fromkeys(said))}"
    return Outcome(expression, failed, words.terminal.safe(text))


# -- two runs as the subject of an expression -----------------------------------------------------------------------------


class _Key(NamedTuple):
    """A key of a gate: a metric or param, and what of it is asked for; empty where that is not said."""

    leaf: Leaf
    attribute: str

    def __str__(self) -> str:
        return f"{self.leaf}.{self.attribute}" if self.attribute else str(self.leaf)


def _key(leaf: Leaf) -> _Key:
    """Return a key in its two parts: the last word is what is asked for, whatever dots a metric's name has."""
    if leaf.document == "metrics":
        name, dot, attribute = leaf.keys[0].rpartition(".")
        return _Key(Leaf("metrics", (name,)), attribute) if dot and attribute in _OF_METRICS else _Key(leaf, "")
    *keys, attribute = leaf.keys
    return _Key(Leaf("params", tuple(keys)), attribute) if keys and attribute in _OF_PARAMS else _Key(leaf, "")


def _is_fact(item: Leaf) -> bool:
    return item.document == "params" and item.keys in _FACTS


def _sides(leaf: Leaf, diff: RunDiff) -> tuple[Any, Any]:
    """Return the values of a metric or param in both runs, `MISSING` where there is none."""
    first, last = (_in_run(leaf, run) for run in diff.runs)
    return first, last


def _in_run(leaf: Leaf, run: Run) -> Any:
    return run.metrics.get(leaf.keys[0], MISSING) if leaf.document == "metrics" else get(run.params, leaf.keys)


class _OfDiff(NamedTuple):
    """Two runs as the subject of an expression."""

    diff: RunDiff
    packages_known: bool

    def has(self, item: Leaf) -> bool:
        return _is_fact(item) or any(side is not MISSING for side in _sides(_key(item).leaf, self.diff))

    def value(self, item: Named) -> Any:
        if isinstance(item, Field):
            return MISSING
        if _is_fact(item):
            return self._fact(item.keys[0])
        key = _key(item)
        old, new = _sides(key.leaf, self.diff)
        match key.attribute:
            case "before":
                return old
            case "after":
                return new
            case "delta":
                delta = difference(old, new)
                return MISSING if delta is None else delta
            case "ratio":
                return _ratio(old, new)
            case _:
                return _kind(old, new)

    def _fact(self, what: str) -> Any:
        if what == "packages":
            return len(self.diff.packages) if self.packages_known else MISSING
        trees = [run.code.tree for run in self.diff.runs]
        if not all(trees) or (trees[0] != trees[1] and not self.diff.code):
            return MISSING
        return len(self.diff.code)

    def exists(self, item: Named) -> bool:
        if isinstance(item, Field):
            return False
        key = _key(item)
        sides = dict(zip(_SIDES, _sides(key.leaf, self.diff), strict=True))
        asked = [sides[key.attribute]] if key.attribute in sides else sides.values()
        return all(side is not MISSING for side in asked)

    def changed(self, path: str) -> bool:
        return has_changed(path, *self.diff.runs)

    def known(self, item: Named) -> bool:
        if isinstance(item, Field):
            return False
        key = _key(item)
        if _is_fact(item) or key.attribute == "kind":
            return self.value(item) is not MISSING
        return all(map(_is_finite, _sides(key.leaf, self.diff))) and self.value(item) is not MISSING


def _is_finite(value: Any) -> bool:
    return value is not MISSING and not (isinstance(value, float) and not math.isfinite(value))


def _ratio(old: Any, new: Any) -> Any:
    try:
        return float(new) / float(old)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return MISSING


def _kind(old: Any, new: Any) -> str:
    if old is MISSING or new is MISSING:
        return "added" if old is MISSING else "removed"
    return "same" if same(old, new) else "changed" if type(old) is type(new) else "type"


# -- what no run can answer -----------------------------------------------------------------------------------------------

_HINT = "--fail-if 'metrics.acc.delta < -0.01'"


def _check_key(item: Named, diff: RunDiff, expression: str) -> None:
    """Refuse what is no key of a gate."""
    if isinstance(item, Field):
        raise UsageError(f"{expression}: {item} is of one run, and two are judged.", hint=_HINT)
    if _is_fact(item) or _key(item).attribute:
        return
    metric = item.document == "metrics" or (len(item.keys) == 1 and any(item.keys[0] in run.metrics for run in diff.runs))
    leaf = Leaf("metrics", item.keys) if metric else item
    attributes = _OF_METRICS if metric else _OF_PARAMS
    raise UsageError(
        f"{expression}: which of {leaf}: {', '.join(attributes[:-1])} or {attributes[-1]}?",
        hint=f"{leaf}.{attributes[0]}" if metric else f"changed({leaf}), or {leaf}.after",
    )


def _check_known(item: Named, diff: RunDiff, expression: str) -> None:
    """Refuse what neither of two runs has: most likely it is misspelt, and would never fail."""
    assert isinstance(item, Leaf)
    leaf = _key(item).leaf
    sides = () if _is_fact(item) else _sides(leaf, diff)
    no_run = leaf.document == "metrics" and not all(is_run_id(run.id) for run in diff.runs)  # which is not the writer's mistake
    if sides and all(side is MISSING for side in sides) and not no_run:
        what = "metric" if leaf.document == "metrics" else "param"
        raise UsageError(f"{expression}: neither run has a {what} {path_text(leaf.keys)}.", hint=_near(str(leaf), diff))
    if any(isinstance(side, Mapping) and side for side in sides):
        raise UsageError(f"{expression}: {leaf} is a mapping of params.", hint=f"changed({leaf})")


def _check_path(path: str, diff: RunDiff, expression: str) -> None:
    if not paths_meant(path, _paths(diff)):
        raise UsageError(f"{expression}: neither run has a param {path}.", hint=_near(f"params.{path}", diff))


def _paths(diff: RunDiff) -> list[str]:
    return list(dict.fromkeys(path for run in diff.runs for path in flatten(run.params)))


def _near(written: str, diff: RunDiff) -> str | None:
    metrics = dict.fromkeys(path_text((name,)) for run in diff.runs for name in run.metrics)
    return near_misses(written, {"params": _paths(diff), "metrics": list(metrics)}, fields=False)


# -- what is said ---------------------------------------------------------------------------------------------------------


class _Words(NamedTuple):
    """What the sentences about two runs are made of."""

    diff: RunDiff
    terminal: Terminal

    def side(self, place: int) -> str:
        """Return what a run is called: by the word for a code revision, else by its id."""
        run = self.diff.runs[place]
        word = self.diff.names[place].word if len(self.diff.names) > place else ""
        if not word or run.id.startswith(word) or run.name == word or _OF_RUNS.match(word):
            return f"run {run.short_id}"
        return f"the run at {word.removeprefix('rev:')}"

    def none_at(self, place: int) -> str:
        """Return that a run has no such value; of params files, that they are no run."""
        run = self.diff.runs[place]
        return f"{self.side(place)} has none" if is_run_id(run.id) else f"{run.id} has no recorded run"

    def value(self, item: Leaf, subject: Subject, *, alone: bool) -> str:
        """Return a value, and for one that is worked out what it comes from."""
        key, value = _key(item), subject.value(item)
        if _is_fact(item):
            return f"{'.'.join(item.keys)} is {value}"
        old, new = _sides(key.leaf, self.diff)
        name = key.attribute if alone else str(key)
        if key.attribute == "delta":
            return f"{name} is {delta_text(old, new, minus=self.terminal.minus) or '0'} ({self._numbers(old, new)})"
        if key.attribute == "ratio":
            return f"{name} is {value:.6g} ({self._numbers(old, new)})"
        if key.attribute == "kind":
            return f"{name} is {value} ({self._pair(old, new)})"
        return f"{name} is {short_value(value, self.terminal)}"

    def _pair(self, old: Any, new: Any) -> str:
        return f" {self.terminal.arrow} ".join(cut_apart([old, new], 30, self.terminal))

    def _numbers(self, old: Any, new: Any) -> str:
        return f" {self.terminal.arrow} ".join(metric_texts([old, new]))

    def existence(self, item: Leaf, subject: Subject) -> str:
        return f"{_key(item)} is {'' if subject.exists(item) else 'not '}there"

    def change(self, path: str) -> str:
        """Return what became of the params that a path means: the first that changed, and how many more."""
        runs = [flatten(run.params) for run in self.diff.runs]
        moved = [name for name in paths_meant(path, _paths(self.diff)) if has_changed(name, *self.diff.runs)]
        if not moved:
            return f"{path} is the same"
        more = f" and {len(moved) - 1} more" if len(moved) > 1 else ""
        return f"{moved[0]} changed ({self._pair(*(params.get(moved[0], MISSING) for params in runs))}){more}"

    def why_unknown(self, item: Leaf, subject: Subject) -> str:
        """Return why something cannot be compared."""
        key = _key(item)
        if _is_fact(item):
            return self._why_no_fact(item.keys[0])
        sides = _sides(key.leaf, self.diff)
        places = sorted((0, 1), key=lambda place: is_run_id(self.diff.runs[place].id))
        for place in places:
            if sides[place] is MISSING:
                return f"{key.leaf}: {self.none_at(place)}"
        for place, side in enumerate(sides):
            if not _is_finite(side):
                return f"{key.leaf}.{_SIDES[place]} is {short_value(side, self.terminal)}"
        if key.attribute == "ratio" and not sides[0]:
            return f"{key.leaf}.before is 0"
        return f"{key} is {short_value(subject.value(item), self.terminal)}, which cannot be compared so"

    def _why_no_fact(self, what: str) -> str:
        if what == "packages":
            return "the packages of both runs are not known"
        place = next((place for place, run in enumerate(self.diff.runs) if not run.code.tree), None)
        return "the code was not compared" if place is None else f"the code of {self.side(place)} was not recorded"
