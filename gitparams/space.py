"""Space: what the params of many runs span, and the metric they are judged by; for pictures and for tuners.

A param is a dimension here when it has at least two values. Its kind is what all its values are: whole numbers, numbers,
or words. Booleans, None, texts, lists and a mixture of several types are words: they are told apart and not ordered.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gitparams.directions import Direction, direction
from gitparams.errors import UsageError
from gitparams.model import Run
from gitparams.params import flatten
from gitparams.values import Value, encode_json

Kind = Literal["int", "float", "words"]
_DECADES = 2.0
"""Numbers above 0 that span this many powers of ten are shown and searched by their logarithm."""
_MANY = 10
"""Among fewer runs a word may be another in each by chance."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """A param that differs between runs.

    Attributes:
        path: as it is written, ``optim.lr``.
        kind: what its values are; ``words`` for all that is not only numbers.
        low, high: the least and the greatest number; 0 for words.
        log: whether the numbers are all above 0 and span decades.
        words: the texts of the values, sorted, numbers among them by size; () for numbers.
        count: how many runs have it.
    """

    path: str
    kind: Kind
    low: float
    high: float
    log: bool
    words: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Trial:
    """One run as a point: what it was judged by, and its values by written path.

    Attributes:
        run: the run.
        values: every param that is a value of its own; NaN and infinities included.
        score: the metric; NaN when the run does not have it.
    """

    run: Run
    values: Mapping[str, Value]
    score: float


@dataclass(frozen=True, slots=True)
class Space:
    """Runs as points.

    Attributes:
        metric: the name of what they are judged by; None when no run has a metric.
        direction: which way it is better.
        trials: the runs, oldest first.
        dimensions: what differs between them, in the order of the params.
        constants: path → value of what is equal in all runs.
        guessed: whether nobody said which metric, or which way is better.
    """

    metric: str | None
    direction: Direction
    trials: tuple[Trial, ...]
    dimensions: tuple[Dimension, ...]
    constants: Mapping[str, Value]
    guessed: bool

    @property
    def scored(self) -> tuple[Trial, ...]:
        """The trials with a score that is a finite number."""
        return tuple(trial for trial in self.trials if math.isfinite(trial.score))

    @property
    def names(self) -> tuple[Dimension, ...]:
        """The dimensions that only tell one run from another: words, another one in each of ten runs or more."""
        return tuple(one for one in self.dimensions if len(one.words) == one.count >= _MANY)

    @property
    def telling(self) -> tuple[Dimension, ...]:
        """The dimensions that a score may depend on: all but the names, or all when there are no others."""
        names = set(self.names)
        return tuple(one for one in self.dimensions if one not in names) or self.dimensions

    def dimension(self, path: str) -> Dimension:
        """Return a dimension by its path. Raises `UsageError`: the param is in no run, or the same in all."""
        found = next((one for one in self.dimensions if one.path == path), None)
        if found is not None:
            return found
        if path in self.constants:
            raise UsageError(f"The param {path!r} is {word(self.constants[path])} in all of these runs.")
        import difflib

        near = difflib.get_close_matches(path, [one.path for one in self.dimensions], n=3)
        raise UsageError(
            f"None of these runs has a param {path!r}.",
            hint=f"did you mean {', '.join(near)}?" if near else "gitparams log --columns all",
        )


def space_of(runs: Iterable[Run], metric: str | None = None, directions: Mapping[str, Direction] | None = None) -> Space:
    """Return runs as points of a space.

    Args:
        runs: in any order; groups are left out.
        metric: what they are judged by; by default the one that most runs have, of several the one whose better way is
            known.
        directions: which way of a metric is better, as declared; else it is guessed from its name, the lowest when that
            tells nothing.

    Raises:
        UsageError: no run has the metric.
    """
    chosen = sorted((run for run in runs if not run.group), key=lambda run: (run.started, run.id))
    declared = directions or {}
    name = _metric_of(chosen, metric, declared)
    known = direction(name, declared) if name is not None else None
    trials = tuple(Trial(run, flatten(run.params), _score(run, name)) for run in chosen)
    dimensions, constants = _dimensions(trials)
    guessed = metric is None or (known is None)
    return Space(name, known or Direction.MIN, trials, dimensions, constants, guessed)


def word(value: Value) -> str:
    """Return a value as the word that stands for it among others: texts as they are unless they look like something else.

    >>> word("adam"), word("1"), word(1), word(True), word(None), word([1, 2])
    ('adam', '"1"', '1', 'true', 'null', '[1,2]')
    """
    text = encode_json(value, indent=None).decode("utf-8")
    if isinstance(value, str) and value and text == f'"{value}"' and _is_plain(value):
        return value
    return text


def as_number(value: Value) -> float | None:
    """Return a number that is finite and no boolean, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # an int beyond all floats
        return None
    return number if math.isfinite(number) else None


def _is_plain(text: str) -> bool:
    return text not in ("true", "false", "null") and not text[0].isdigit() and text[0] not in '[{+-." '


def _score(run: Run, name: str | None) -> float:
    value = run.metrics.get(name) if name is not None else None
    return math.nan if value is None else float(value)


def _metric_of(runs: Sequence[Run], wanted: str | None, declared: Mapping[str, Direction]) -> str | None:
    counts = Counter(name for run in runs for name in run.metrics)
    if wanted is None:
        best = max(counts.items(), key=lambda item: (direction(item[0], declared) is not None, item[1]), default=None)
        return best[0] if best else None
    wanted = wanted.removeprefix("metrics.") if wanted not in counts else wanted
    if runs and wanted not in counts:
        import difflib

        near = difflib.get_close_matches(wanted, list(counts), n=3) or sorted(counts)[:3]
        raise UsageError(
            f"None of these runs has a metric {wanted!r}.", hint=f"did you mean {', '.join(near)}?" if near else None
        )
    return wanted


def _dimensions(trials: Sequence[Trial]) -> tuple[tuple[Dimension, ...], dict[str, Value]]:
    found: dict[str, dict[str, Any]] = {}
    counts: Counter[str] = Counter()
    for trial in trials:
        for path, value in trial.values.items():
            found.setdefault(path, {}).setdefault(word(value), value)
            counts[path] += 1
    dimensions: list[Dimension] = []
    constants: dict[str, Value] = {}
    for path, values in found.items():
        if len(values) == 1 and counts[path] == len(trials):
            constants[path] = next(iter(values.values()))
        elif len(values) > 1:
            dimensions.append(_dimension(path, values, counts[path]))
    return tuple(dimensions), constants


def _dimension(path: str, values: Mapping[str, Any], count: int) -> Dimension:
    numbers = [as_number(value) for value in values.values()]
    if None in numbers:
        return Dimension(
            path, "words", 0.0, 0.0, False, tuple(sorted(values, key=lambda text: _size(values[text], text))), count
        )
    known = [number for number in numbers if number is not None]
    low, high = min(known), max(known)
    is_int = all(isinstance(value, int) for value in values.values())
    log = low > 0 and math.log10(high) - math.log10(low) >= _DECADES
    return Dimension(path, "int" if is_int else "float", low, high, log, (), count)


def _size(value: Value, text: str) -> tuple[int, float, str]:
    number = as_number(value)
    return (1, 0.0, text) if number is None else (0, number, text)
