"""Bisection: which of the changes between a good and a bad run explain its worse metric, from recorded runs and the fewest new.

A *mixture* is the set of the changed paths that have the bad run's value; all others have the good run's. The search asks for
one mixture after another and is told what its runs gave. It looks for the shortest beginning of the list of changes that is
bad, by halves: the last change in it is needed. That is done again above what was found, until what was found is bad by
itself. It is the way of U. Junker's QuickXplain (*AAAI* 2004) and of A. Zeller's delta debugging (A. Zeller, R. Hildebrandt,
*IEEE Trans. Softw. Eng.* 28, 2002), whose ddmin takes apart what fails in every mixture.

Where more changes never make it better again, k changes that explain it among n take at most k (log2 n + 2) + 1 mixtures,
log2 n rounded up. Where they do, the search still ends, and each set it gives was seen to be bad.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from gitparams.directions import Direction, direction
from gitparams.errors import UsageError
from gitparams.model import SHOWN_ID_LETTERS, Metric, Oid, Run, Status
from gitparams.params import MISSING, differing, flatten, get, leaves, path_keys, path_text, unflatten
from gitparams.replicates import SIGNIFICANCE, Spread, is_ignored, spread, t_tails, welch
from gitparams.seeds import is_seed
from gitparams.values import Value, same

CODE = "(code)"
"""The path of the code as a change; no param is written so."""

SHARE = 0.8
"""A mixture is bad when its metric has gone so much of the way from good to bad, and good when no more than the rest of it."""

Mixture = frozenset[str]

_T = TypeVar("_T")
_Asking = Generator[Mixture, None, _T]  # yields each mixture whose answer is not known

_SLACK = 1e-9  # of the way: (0.5 - 0.9) / (0.4 - 0.9) is no more than 0.8
_MOST_LOOKS = 5_000_000
_FAILED = frozenset((Status.FAILED, Status.CRASHED))
_TOLD = _FAILED | {Status.COMPLETED}


# -- what is compared -----------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A run as far as a bisection looks at it.

    `params` are flat, by written path. `code` stands for the code it ran: two runs have the same code when it is the same. It
    should leave out the files of params, whose values are changes of their own. `own` are the runs that a bisection of the
    same two runs made: they answer what it asks, and are no evidence, since the order in which it looks at the changes would
    not stay the same then, and with it neither the questions nor the answer.
    """

    id: str
    params: Mapping[str, Value]
    metrics: Mapping[str, Metric]
    code: str | None
    status: Status
    own: bool = False


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that differs between the good and the bad run.

    Attributes:
        path: of the param, as it is written; `CODE` for the code.
        good, bad: its values, `MISSING` where there is none; a mapping where one run has a value and the other more params
            below it; for the code what it is known by.
    """

    path: str
    good: Any
    bad: Any

    @property
    def whole(self) -> bool:
        """Whether all that stands below the path belongs to it."""
        return isinstance(self.good, Mapping) or isinstance(self.bad, Mapping)


@dataclass(frozen=True, slots=True)
class Measured:
    """What the runs of one mixture gave.

    Attributes:
        values: the metric of each run that completed; those that are not finite count as broken.
        failed: how many runs failed or had no such metric.
    """

    values: tuple[Metric, ...] = ()
    failed: int = 0

    @property
    def spread(self) -> Spread:
        """What the values say."""
        return spread(self.values)

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return len(self.values) + self.failed

    @property
    def value(self) -> float:
        """The mean of the finite values, NaN when there is none."""
        return self.spread.mean

    @property
    def broken(self) -> bool:
        """Whether more runs failed or gave no finite number than gave one, or no run did."""
        finite = self.spread.n
        return finite == 0 or self.runs - finite > finite


class Answer(StrEnum):
    """What a mixture is: ``between`` is neither good nor bad, ``unresolved`` failed where the bad run did not."""

    GOOD = "good"
    BETWEEN = "between"
    BAD = "bad"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of each mixture.

    Attributes:
        metric: its name.
        direction: which way of it is better; None when that is not known and the bad run failed.
        good, bad: what the two runs gave, and the runs that are equal to them but for the seed.
        share: how much of the way from good to bad makes a mixture bad.
    """

    metric: str
    direction: Direction | None
    good: Measured
    bad: Measured
    share: float = SHARE

    def way(self, measured: Measured) -> float | None:
        """Return how much of the way from good to bad a metric has gone; None when one of them is no number.

        >>> Question("acc", Direction.MAX, Measured((0.9,)), Measured((0.4,))).way(Measured((0.5,)))
        0.8
        """
        if measured.broken or self.bad.broken:
            return None
        value, good, bad = measured.value, self.good.value, self.bad.value
        if math.isinf(bad - good) or math.isinf(value - good):
            value, good, bad = value / 4, good / 4, bad / 4
        return (value - good) / (bad - good)

    def answer(self, measured: Measured) -> Answer:
        """Return what a mixture is. When the bad run is no number or failed, a mixture is bad that does so too."""
        if self.bad.broken:
            return Answer.BAD if measured.broken else Answer.GOOD
        way = self.way(measured)
        if way is None:
            return Answer.UNRESOLVED
        if way >= self.share - _SLACK:
            return Answer.BAD
        return Answer.GOOD if way < 1 - self.share + _SLACK else Answer.BETWEEN

    def uncertain(self, measured: Measured) -> bool:
        """Tell whether a mixture's answer may be noise: its runs disagree, or lie as near to the other end by Welch's test.

        >>> question = Question("acc", Direction.MAX, Measured((0.90, 0.94)), Measured((0.70, 0.74)))
        >>> question.uncertain(Measured((0.71, 0.75))), question.uncertain(Measured((0.60, 0.86)))
        (False, True)
        """
        finite = measured.spread.n
        if 0 < finite < measured.runs:
            return True
        if measured.broken or self.bad.broken:
            return False
        other = self.good if self.answer(measured) is Answer.BAD else self.bad
        return _within_noise(measured.spread, other.spread)


def _within_noise(one: Spread, other: Spread) -> bool:
    if one.std is None or other.std is None:
        return False
    scale = max(one.std, other.std)
    delta = one.mean - other.mean
    if scale == 0 or not (math.isfinite(scale) and math.isfinite(delta)):
        return delta == 0
    t, df = welch(delta / scale, one.std / scale, one.n, other.std / scale, other.n)
    return t_tails(t, df) >= SIGNIFICANCE


def row_of(run: Run) -> Row:
    """Return a run as far as a bisection looks at it, its code known by its tree, without one by its commit."""
    return Row(run.id, flatten(run.params), run.metrics, run.code.tree or run.code.commit, run.status)


def measured(rows: Iterable[Row], metric: str) -> Measured:
    """Return what runs gave: one that did not complete, or has no such metric, has failed."""
    return _measured(_value(row, metric) for row in rows)


def _value(row: Row, metric: str) -> Metric | None:
    return row.metrics.get(metric) if row.status is Status.COMPLETED else None


def _measured(values: Iterable[Metric | None]) -> Measured:
    found = list(values)
    numbers = tuple(value for value in found if value is not None)
    return Measured(numbers, len(found) - len(numbers))


def factors_between(good: Row, bad: Row, *, seeds: Sequence[str] = (), ignore: Sequence[str] = ()) -> tuple[Factor, ...]:
    """Return what differs between two runs, sorted by path, the code last; seeds and ignored params are no difference.

    Where one run has a value and the other params below it, that is one factor.

    Args:
        good, bad: the runs.
        seeds: globs of params that are seeds although their names do not say so.
        ignore: globs of names or written paths of params that are not looked at.

    Raises:
        UsageError: nothing differs.

    >>> def row(code, **params):
    ...     return Row("klmnopqrstuvwxyz", params, {}, code, Status.COMPLETED)
    >>> factors_between(row("1a", lr=0.1, amp=1, seed=1), row("1a", lr=0.1, amp=True, seed=2))
    (Factor(path='amp', good=1, bad=True),)
    """
    changed = differing(good.params, bad.params)
    looked_at = {path: values for path, values in changed.items() if not _left_out(path, seeds, ignore)}
    roots = sorted({_root(path, looked_at) for path in looked_at})
    factors = [Factor(path, _value_at(good.params, path), _value_at(bad.params, path)) for path in roots]
    if good.code != bad.code and good.code is not None and bad.code is not None:
        factors.append(Factor(CODE, good.code, bad.code))
    if not factors:
        raise _nothing_differs(good, bad, list(changed))
    return tuple(factors)


def wanted(factors: Sequence[Factor], mixture: Mixture) -> dict[str, Any]:
    """Return the values that a mixture asks for by written path, `MISSING` where a param is not to be there; without the code.

    >>> wanted([Factor("lr", 0.1, 0.2), Factor("model", "mlp", {"depth": 3})], frozenset({"model"}))
    {'lr': 0.1, 'model': MISSING, 'model.depth': 3}
    """
    values: dict[str, Any] = {}
    for factor in factors:
        if factor.path == CODE:
            continue
        chosen, other = (factor.bad, factor.good) if factor.path in mixture else (factor.good, factor.bad)
        values |= dict.fromkeys(_below(factor.path, other), MISSING) | _below(factor.path, chosen)
    return values


def _below(path: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        return {path: value}
    keys = path_keys(path)
    return {path_text((*keys, *below)): leaf for below, leaf in leaves(value)}


def _left_out(path: str, seeds: Sequence[str], ignore: Sequence[str]) -> bool:
    return is_seed(path, seeds) or is_ignored(path, ignore)


def _root(path: str, changed: Mapping[str, Any]) -> str:
    """Return the shortest beginning of a path that changed as well, since a value and params below it exclude each other."""
    keys = path_keys(path)
    beginnings = (path_text(keys[:depth]) for depth in range(1, len(keys)))
    return next((beginning for beginning in beginnings if beginning in changed), path)


def _value_at(params: Mapping[str, Value], path: str) -> Any:
    if path in params:
        return params[path]
    below = {name: value for name, value in params.items() if name.startswith((f"{path}.", f"{path}["))}
    return get(unflatten(below), path_keys(path)) if below else MISSING


def _nothing_differs(good: Row, bad: Row, left_out: Sequence[str]) -> UsageError:
    if good.id == bad.id:
        return UsageError(f"The good and the bad run are both {_short(good)}", hint="gitparams log shows the runs")
    if left_out:
        names = ", ".join(left_out[:3]) + (f" and {len(left_out) - 3} more" if len(left_out) > 3 else "")
        return UsageError(
            f"{_short(good)} and {_short(bad)} differ only in {names}, seeds or ignored: nothing can explain the metric.",
            hint="gitparams log --replicates shows how large the noise is",
        )
    return UsageError(
        f"{_short(good)} and {_short(bad)} have the same params and the same code: nothing can explain the metric.",
        hint=f"gitparams diff {_short(good)} {_short(bad)} --all",
    )


def _short(row: Row) -> str:
    return row.id[:SHOWN_ID_LETTERS]


# -- which metric ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """The metric that is asked about.

    Attributes:
        metric: its name.
        direction: which way of it is better; None when that is not known and the bad run failed.
        why: how it came to be this one and this way, in a sentence; empty when it was named and its way is known.
    """

    metric: str
    direction: Direction | None
    why: str = ""


def chosen_metric(good: Row, bad: Row, named: str | None = None, directions: Mapping[str, Direction] = {}) -> Choice:
    """Return the metric to explain: the one named, else one that got worse.

    Of several that got worse it is the first that `directions` declares, else the one that got relatively worst.

    Args:
        good, bad: the runs; the bad one may have failed, and then the question is what makes it fail.
        named: the metric a person named.
        directions: which way of a metric is better, where its name does not tell.

    Raises:
        UsageError: a run has no such metric, the good run is not better, or there is no saying which metric is meant.

    >>> good = Row("klmnopqrstuvwxyz", {}, {"acc": 0.9, "epoch": 3}, None, Status.COMPLETED)
    >>> chosen_metric(good, good._replace(id="zyxwvutsrqponmlk", metrics={"acc": 0.7, "epoch": 3}))
    Choice(metric='acc', direction=<Direction.MAX: 'max'>, why='')
    """
    _check_statuses(good, bad)
    if named is not None:
        _check_named(good, bad, named)
        return _checked(good, bad, Choice(named, direction(named, directions)))
    common = sorted(name for name in good.metrics if name in bad.metrics or bad.status in _FAILED)
    if not common:
        raise _no_common_metric(good, bad)
    finite = [name for name in common if _finite(good.metrics[name])]
    if not finite:
        raise _not_finite(good, common[0])
    return _chosen(good, bad, finite, directions)


def asked(choice: Choice, good: Measured, bad: Measured, share: float = SHARE) -> Question:
    """Return the question about a metric, given what the good and the bad run and their replicates gave.

    Raises:
        UsageError: the share is not above 0.5 and at most 1, or the good side is not the better one.

    >>> asked(Choice("acc", Direction.MAX), Measured((0.9,)), Measured((0.7, 0.8))).bad.value
    0.75
    """
    if not 0.5 < share <= 1:
        raise UsageError(f"A share of {share} cannot tell bad from good.", hint="one above 0.5 and at most 1, such as 0.8")
    if good.broken:
        raise UsageError(f"Most runs with the good run's params failed or have no finite {choice.metric}.")
    question = Question(choice.metric, choice.direction, good, bad, share)
    if not bad.broken and not _is_worse(good.value, bad.value, choice.direction):
        raise UsageError(
            f"Taken with the runs that differ in the seed alone, {choice.metric} did not get worse: "
            f"{good.value:.6g} in {good.runs}, {bad.value:.6g} in {bad.runs}.",
            hint="what is to be explained may be noise: gitparams log --replicates",
        )
    return question


def _check_statuses(good: Row, bad: Row) -> None:
    if good.status is not Status.COMPLETED:
        raise UsageError(f"{_short(good)} is {good.status}, and only a completed run can be the good one.")
    if bad.status not in _TOLD:
        raise UsageError(f"{_short(bad)} is {bad.status}, and only a completed or failed run can be the bad one.")


def _check_named(good: Row, bad: Row, named: str) -> None:
    for row in (good, bad):
        if named not in row.metrics and row.status is Status.COMPLETED:
            raise UsageError(f"{_short(row)} has no metric {named!r}.", hint=_metrics_hint(row))
    if not _finite(good.metrics[named]):
        raise _not_finite(good, named)


def _chosen(good: Row, bad: Row, names: Sequence[str], directions: Mapping[str, Direction]) -> Choice:
    ways = {name: direction(name, directions) for name in names}
    declared = [name for name in directions if name in ways]
    if bad.status in _FAILED:
        name = next(iter(declared), None) or min(names, key=lambda name: (ways[name] is None, name))
        return Choice(name, ways[name], f"{_short(bad)} {bad.status}: the question is which change makes it fail")
    worse = [name for name in names if ways[name] is not None and _got_worse(good, bad, name, ways[name])]
    first = next((name for name in declared if name in worse), None)
    if first is not None:
        return Choice(first, ways[first])
    if worse:
        worst = max(worse, key=lambda name: _relative(good, bad, name))  # the first of several
        why = f"{worst} got relatively worst of {len(worse)} metrics; --metric names another" if len(worse) > 1 else ""
        return Choice(worst, ways[worst], why)
    better = [name for name in names if ways[name] is not None and _finite(bad.metrics[name]) and _moved(good, bad, name)]
    if better:
        raise _not_better(good, bad, better[0], ways[better[0]])
    return _undirected(good, bad, names)


def _undirected(good: Row, bad: Row, names: Sequence[str]) -> Choice:
    moved = [name for name in names if _moved(good, bad, name)]
    if not moved:
        raise UsageError(f"{', '.join(names)} did not change from {_short(good)} to {_short(bad)}: nothing is to be explained.")
    if len(moved) > 1:
        raise UsageError(
            f"Of {', '.join(moved)} it is not known which way is better, so the metric has to be named.",
            hint=f"--metric {moved[0]}",
        )
    return _checked(good, bad, Choice(moved[0], None))


def _checked(good: Row, bad: Row, choice: Choice) -> Choice:
    """Return the choice with its way, when the good run is the better one."""
    name, way = choice.metric, choice.direction
    if bad.status in _FAILED:
        return replace(choice, why=f"{_short(bad)} {bad.status}: the question is which change makes it fail")
    before, after = good.metrics[name], bad.metrics[name]
    if not _finite(after):
        return choice
    if way is None and before != after:
        way = Direction.MAX if before > after else Direction.MIN
        word = "highest" if way is Direction.MAX else "lowest"
        return replace(
            choice, direction=way, why=f"which way {name} is better is not known: taken as the {word}, as in the good run"
        )
    if not _is_worse(before, after, way):
        raise _not_better(good, bad, name, way)
    return choice


def _got_worse(good: Row, bad: Row, name: str, way: Direction | None) -> bool:
    return not _finite(bad.metrics[name]) or _is_worse(good.metrics[name], bad.metrics[name], way)


def _is_worse(good: Metric, bad: Metric, way: Direction | None) -> bool:
    return bad > good if way is Direction.MIN else bad < good if way is Direction.MAX else bad != good


def _moved(good: Row, bad: Row, name: str) -> bool:
    return good.metrics[name] != bad.metrics[name]


def _relative(good: Row, bad: Row, name: str) -> float:
    before, after = good.metrics[name], bad.metrics[name]
    if not _finite(after):
        return math.inf
    return abs(after / max(abs(before), abs(after)) - before / max(abs(before), abs(after)))


def _finite(value: Metric) -> bool:
    return spread([value]).n == 1


def _not_better(good: Row, bad: Row, name: str, way: Direction | None) -> UsageError:
    before, after = good.metrics[name], bad.metrics[name]
    if before == after:
        return UsageError(f"{name} is {before} in both {_short(good)} and {_short(bad)}: nothing is to be explained.")
    word = "lowest" if way is Direction.MIN else "highest"
    return UsageError(
        f"{_short(good)} is not better than {_short(bad)}: {name} is {before} and {after}, and the {word} is best.",
        hint=f"gitparams bisect {_short(bad)} {_short(good)}",
    )


def _not_finite(row: Row, name: str) -> UsageError:
    return UsageError(f"{name} of {_short(row)} is {row.metrics[name]}, so it cannot be the good run.", hint=_metrics_hint(row))


def _no_common_metric(good: Row, bad: Row) -> UsageError:
    has = [f"{_short(row)} has {_listed(row.metrics)}" for row in (good, bad)]
    return UsageError(f"{_short(good)} and {_short(bad)} have no metric in common.", hint="; ".join(has))


def _metrics_hint(row: Row) -> str:
    return f"it has {_listed(row.metrics)}"


def _listed(metrics: Mapping[str, Metric]) -> str:
    names = sorted(metrics)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") if names else "no metrics"


# -- what is recorded -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Evidence:
    """What pairs of recorded runs say of a few changes: runs that differ in nothing else but seeds.

    Attributes:
        paths: the changes, in the order of the factors.
        delta: what the metric did from the good to the bad value; a pair whose second run failed is not finite in it.
        example: the ids of one such pair.
    """

    paths: tuple[str, ...]
    delta: Spread
    example: tuple[str, str]

    @property
    def pairs(self) -> int:
        """How many pairs there are; no run is in two of them."""
        return self.delta.n + self.delta.not_finite


def recorded_mixtures(
    good: Row,
    bad: Row,
    factors: Sequence[Factor],
    rows: Iterable[Row],
    *,
    seeds: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> dict[Mixture, list[Row]]:
    """Return the finished runs that are mixtures of the good and the bad run, the seeds and ignored params left aside.

    A run counts that has the good or the bad value of every factor and the good run's of everything else.

    >>> good, bad = (Row(name * 16, {"lr": lr, "seed": 1}, {}, None, Status.COMPLETED) for name, lr in (("k", 0.1), ("z", 0.2)))
    >>> found = recorded_mixtures(good, bad, factors_between(good, bad), [good, bad, bad._replace(params={"lr": 0.3})])
    >>> [(sorted(mixture), len(rows)) for mixture, rows in found.items()]
    [([], 1), (['lr'], 1)]
    """
    sorter = _Sorter(factors, seeds, ignore, (good.code, bad.code))
    home, _, _ = sorter.place(good)
    found: dict[Mixture, list[Row]] = {}
    for row in rows:
        if row.status in _TOLD:
            base, bits, _ = sorter.place(row)
            if base == home:
                found.setdefault(sorter.mixture(bits), []).append(row)
    return found


def evidence(
    factors: Sequence[Factor],
    rows: Iterable[Row],
    metric: str,
    *,
    few: int = 2,
    seeds: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> tuple[Evidence, ...]:
    """Return what recorded pairs say of each change, and of each two of them when `few` is 2; the largest effect first.

    The pairs may stand on any other params and code than the good run's. A run is in one pair of a set of changes at most;
    runs of the same seed are paired first. The work grows with the rows, and within one base with its mixtures.
    """
    sorter, table = _Sorter(factors, seeds, ignore), _Table()
    for row in rows:
        if row.status in _TOLD:
            table.add(sorter.place(row), row, metric)
    return table.evidence(sorter.paths, few)


_Place = tuple[tuple[Any, ...], int, str]
_Point = tuple[str, str, float]  # the text of the seeds, the id, the metric


class _Sorter:
    """Tells what of a run is its base, which factors have the bad value, and its seeds."""

    def __init__(
        self, factors: Sequence[Factor], seeds: Sequence[str], ignore: Sequence[str], codes: Sequence[str | None] = ()
    ) -> None:
        self.paths = tuple(factor.path for factor in factors)
        self._code = next((factor for factor in factors if factor.path == CODE), None)
        self._codes = frozenset(codes)
        self._own = frozenset(self.paths)
        self._roots = tuple(f"{factor.path}{mark}" for factor in factors if factor.whole for mark in ".[")
        self._seeds, self._ignore = tuple(seeds), tuple(ignore)
        self._shapes: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._bits = {path: 1 << place for place, path in enumerate(self.paths)}
        self._looks = [(one.path, one.good, one.bad, one.whole, self._bits[one.path]) for one in factors if one.path != CODE]

    def mixture(self, bits: int) -> Mixture:
        return frozenset(path for path, bit in self._bits.items() if bits & bit)

    def place(self, row: Row) -> _Place:
        shape = tuple(row.params)
        plan = self._shapes.get(shape)
        if plan is None:
            plan = self._shapes[shape] = self._plan(shape)
        rest, seeds = plan
        bits, others = 0, []
        for path, good, bad, whole, bit in self._looks:
            value = _value_at(row.params, path) if whole else row.params.get(path, MISSING)
            if _alike(value, bad):
                bits |= bit
            elif not _alike(value, good):
                others.append((path, _exact(value)))
        code = CODE if row.code in self._codes else row.code
        if self._code is not None and row.code in (self._code.good, self._code.bad):
            bits |= self._bits[CODE] if row.code == self._code.bad else 0
            code = CODE
        base = (rest, _text(rest, row.params), tuple(others), code)
        return base, bits, _text(seeds, row.params)

    def _plan(self, shape: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        seeds = tuple(sorted(path for path in shape if is_seed(path, self._seeds)))
        rest = tuple(sorted(path for path in shape if not self._is_apart(path)))
        return rest, seeds

    def _is_apart(self, path: str) -> bool:
        return path in self._own or path.startswith(self._roots) or _left_out(path, self._seeds, self._ignore)


class _Table:
    """Recorded runs by what they have beside the factors, and there by their mixture."""

    def __init__(self) -> None:
        self.bases: dict[tuple[Any, ...], dict[int, list[_Point]]] = {}

    def add(self, place: _Place, row: Row, metric: str) -> None:
        base, bits, seeds = place
        value = _value(row, metric)
        point = (seeds, row.id, math.nan if value is None else spread([value]).low)
        self.bases.setdefault(base, {}).setdefault(bits, []).append(point)

    def evidence(self, paths: Sequence[str], few: int) -> tuple[Evidence, ...]:
        pairs: dict[int, list[tuple[_Point, _Point]]] = {}
        for groups in self.bases.values():
            for before, after in _steps(groups, few):
                pairs.setdefault(before ^ after, []).extend(_paired(groups[before], groups[after]))
        found = [_evidence(_named(bits, paths), pairs[bits]) for bits in sorted(pairs) if pairs[bits]]
        return tuple(sorted(found, key=_strength))


def _steps(groups: Mapping[int, Any], few: int) -> Iterator[tuple[int, int]]:
    """Yield the pairs of mixtures of which the second has one to `few` bad values more, and none less."""
    if len(groups) < 2:
        return
    union = 0
    for bits in groups:
        union |= bits
    common = union
    for bits in groups:
        common &= bits
    active = union & ~common
    number = active.bit_count()
    neighbours = number + (number * (number - 1) // 2 if few > 1 else 0)
    # whichever is less: all pairs of mixtures, or the neighbours of each; of very many the nearest alone
    if len(groups) <= neighbours and len(groups) ** 2 <= _MOST_LOOKS:
        for before in groups:
            for after in groups:
                if not before & ~after and 0 < (before ^ after).bit_count() <= few:
                    yield before, after
        return
    places = [1 << place for place in range(active.bit_length()) if active >> place & 1]
    sets = list(places)
    if few > 1 and neighbours * len(groups) <= _MOST_LOOKS:
        sets += [one | other for place, one in enumerate(places) for other in places[:place]]
    for before in groups:
        for bits in sets:
            if not before & bits and before | bits in groups:
                yield before, before | bits


def _paired(before: Sequence[_Point], after: Sequence[_Point]) -> list[tuple[_Point, _Point]]:
    """Return pairs of runs, none in two of them: those of the same seeds, then the others by id; the first is a number."""
    if len(before) == len(after) == 1:
        return [(before[0], after[0])] if math.isfinite(before[0][2]) else []
    waiting: dict[str, list[_Point]] = {}
    for point in sorted(after, reverse=True):
        waiting.setdefault(point[0], []).append(point)
    pairs: list[tuple[_Point, _Point]] = []
    lone: list[_Point] = []
    for point in sorted(before):
        mates = waiting.get(point[0])
        if not math.isfinite(point[2]):
            continue
        if mates:
            pairs.append((point, mates.pop()))
        else:
            lone.append(point)
    if lone:
        pairs += zip(lone, sorted(point for mates in waiting.values() for point in mates), strict=False)
    return pairs


def _evidence(paths: tuple[str, ...], pairs: Sequence[tuple[_Point, _Point]]) -> Evidence:
    deltas = spread(after[2] - before[2] for before, after in pairs)
    before, after = min(pairs, key=lambda pair: (pair[0][1], pair[1][1]))
    return Evidence(paths, deltas, (before[1], after[1]))


def _strength(found: Evidence) -> tuple[Any, ...]:
    size = abs(found.delta.mean) if found.delta.n else math.inf
    return len(found.paths), -size, found.paths


def _named(bits: int, paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(path for place, path in enumerate(paths) if bits >> place & 1)


def _alike(value: Any, other: Any) -> bool:
    if value is other:
        return True
    if value is MISSING or other is MISSING:
        return False
    kind = type(value)
    if kind is str or kind is int or kind is bool:
        return kind is type(other) and bool(value == other)
    return same(value, other)


def _text(keys: tuple[str, ...], params: Mapping[str, Value]) -> str:
    """Return the values as a text that is the same for the same values alone."""
    if not keys:
        return ""
    values = itemgetter(*keys)(params)
    try:
        text = repr(values)
    except ValueError:  # an int of more digits than Python writes
        return _exact(values)
    return _exact(values) if "{" in text else text  # the order of a mapping's keys is no difference


def _exact(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_exact(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_exact, value)) + "]"
    return hex(value) if type(value) is int else repr(value)


# -- the search -----------------------------------------------------------------------------------------------------------


def ordered(factors: Sequence[Factor], known: Sequence[Evidence], question: Question) -> tuple[tuple[Factor, ...], int]:
    """Return the factors in the order in which to look at them, and how many of the first are likely to explain it all.

    Those with the largest recorded effect towards bad come first, the code without a recorded effect last. The number is 0
    when what is recorded does not add up to the share that is asked for.
    """
    weights = {factor.path: 0.0 for factor in factors}
    for item in sorted(known, key=lambda item: len(item.paths)):
        # what several changes do is shared out as far as it is more than what each is known to do
        unexplained = _weight(item, question) - sum(weights[path] for path in item.paths)
        for path in item.paths:
            weights[path] += max(0.0, unexplained) / len(item.paths)
    found = sorted(factors, key=lambda factor: (-weights[factor.path], factor.path == CODE, factor.path))
    total = 0.0
    for place, factor in enumerate(found, 1):
        total += weights[factor.path]
        if weights[factor.path] <= 0:
            break
        if total >= question.share - _SLACK:
            return tuple(found), place
    return tuple(found), 0


def _weight(item: Evidence, question: Question) -> float:
    """Return which share of the whole change a recorded effect is; none when it goes the other way."""
    if question.bad.broken:
        return item.delta.not_finite / item.pairs
    if not item.delta.n:
        return 0.0
    return max(0.0, min(1.0, item.delta.mean / (question.bad.value - question.good.value)))


@dataclass(frozen=True, slots=True)
class Cost:
    """How many mixtures are still to be run: at least and at most, when none of them fails."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a search is going to ask.

    Attributes:
        first: the mixture to run next, None when all is known.
        if_bad, if_not: the one after it when that is bad, and when it is not.
        one, two, any: what it costs when one change explains it, when two do, and whatever explains it.
        reused: how many recorded mixtures it knows, beside the good and the bad run's.
    """

    first: Mixture | None
    if_bad: Mixture | None
    if_not: Mixture | None
    one: Cost
    two: Cost
    any: Cost
    reused: int


@dataclass(frozen=True, slots=True)
class Step:
    """One mixture that was asked for and told: `number` counts them from 1."""

    number: int
    mixture: Mixture
    measured: Measured
    answer: Answer
    uncertain: bool


@dataclass(frozen=True, slots=True)
class Part:
    """What one change of an explanation does, as far as it is known.

    Attributes:
        factor: the change.
        alone: what it gave on top of the good run without the others.
        without: what the others gave without it; in an explanation of one change that is the good run.
    """

    factor: Factor
    alone: Measured | None
    without: Measured | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Changes that together make the metric bad, on top of the good run.

    Attributes:
        parts: the changes.
        measured: what they gave.
        way: how much of the way from good to bad that is; None when the bad run is no number.
        effect: their value minus the good run's; None when one is no number.
        needs_all: whether there are several, and without any one of them nothing is left of it.
        minimal: whether without any one of them it was seen not to be bad.
        uncertain: whether that they are bad may be noise.
    """

    parts: tuple[Part, ...]
    measured: Measured
    way: float | None
    effect: float | None
    needs_all: bool
    minimal: bool
    uncertain: bool

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The changes themselves."""
        return tuple(part.factor for part in self.parts)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        sets: the explanations, each enough by itself.
        explained: how much of the change goes away when all of them have the good run's values; None when that is not known.
        rest: what BAD gave without them.
        rest_answer: what that is.
        unresolved: the mixtures that failed, so that what they would have told is not known.
        uncertain: the mixtures whose answer may be noise.
        needed: when it was stopped, the changes that were found to have a part in what is looked for.
        suspects: when it was stopped, the changes among which it was looking for one more.
        tests: how many mixtures were asked for and told.
        reused: how many recorded ones it needed instead.
        finished: whether nothing more is to be asked.
    """

    sets: tuple[Explanation, ...]
    explained: float | None
    rest: Measured | None
    rest_answer: Answer | None
    unresolved: tuple[Mixture, ...]
    uncertain: tuple[Mixture, ...]
    needed: tuple[Factor, ...]
    suspects: tuple[Factor, ...]
    tests: int
    reused: int
    finished: bool


@dataclass(slots=True)
class _Progress:
    """How far the search got: the sets it ended with, and what it was doing when it asked."""

    sets: list[tuple[str, ...]] = field(default_factory=list)
    doing: str = "search"
    found: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    low: int = 0
    high: int = 0
    used: dict[Mixture, None] = field(default_factory=dict)


class Search:
    """Finds the changes that make a metric bad by asking for mixtures; it runs nothing itself.

    Args:
        factors: in the order in which to look at them; `ordered` gives a good one.
        question: what makes a mixture bad.
        likely: how many of the first factors are likely to explain it all, 0 when there is no saying.

    >>> def acc(mixture):
    ...     return Measured((0.5 if {"lr", "amp"} <= mixture else 0.9,))
    >>> factors = [Factor(path, 0, 1) for path in ("amp", "batch", "depth", "lr", "width")]
    >>> search = Search(factors, Question("acc", Direction.MAX, Measured((0.9,)), Measured((0.5,))))
    >>> while (mixture := search.next()) is not None:
    ...     told = search.tell(mixture, acc(mixture))
    >>> [[factor.path for factor in found.factors] for found in search.result().sets], search.result().tests
    ([['amp', 'lr']], 7)
    """

    def __init__(self, factors: Sequence[Factor], question: Question, likely: int = 0) -> None:
        self.factors, self.question = tuple(factors), question
        self._order = tuple(factor.path for factor in factors)
        self._likely = likely
        self._ends = {frozenset(): question.good, frozenset(self._order): question.bad}
        self._known: dict[Mixture, Measured] = dict(self._ends)
        self._answers: dict[Mixture, Answer] = dict(zip(self._ends, (Answer.GOOD, Answer.BAD), strict=False))
        self._asked: dict[Mixture, None] = {}
        self._tests: dict[Mixture, None] = {}
        self._used: dict[Mixture, None] = {}

    def next(self) -> Mixture | None:
        """Return the mixture to run next, None when the search has ended."""
        progress, mixture = self._run()
        self._used |= progress.used
        if mixture is not None:
            self._asked[mixture] = None
        return mixture

    def tell(self, mixture: Mixture, measured: Measured) -> Answer:
        """Say what a mixture's runs gave, asked for or not, and return what it is. What is told again replaces the first.

        Raises:
            ValueError: the mixture holds a path that is no factor.
        """
        if not mixture <= frozenset(self._order):
            raise ValueError(f"{sorted(mixture - frozenset(self._order))} are no factors of this search")
        if mixture in self._ends:
            return self._answers[mixture]
        self._known[mixture] = measured
        self._answers[mixture] = self.question.answer(measured)
        if mixture in self._asked:
            self._tests[mixture] = None
        return self._answers[mixture]

    def factors_of(self, mixture: Mixture) -> tuple[Factor, ...]:
        """Return the factors that have the bad value in a mixture."""
        return tuple(factor for factor in self.factors if factor.path in mixture)

    def steps(self) -> tuple[Step, ...]:
        """Return what was asked for and told, in that order."""
        return tuple(self._step(number, mixture) for number, mixture in enumerate(self._tests, 1))

    def cost(self, culprits: int | None = None) -> Cost:
        """Return how many mixtures are still to be run.

        Args:
            culprits: how many changes explain it at most, those found included and the one looked for; all, unless given.
        """
        progress, mixture = self._run()
        if mixture is None:
            return Cost(0, 0)
        done = sum(map(len, progress.sets)) + (len(progress.found) if progress.doing != "rest" else 0)
        left = len(self._order) - done
        more = left if culprits is None else min(left, max(0, culprits - done))
        unknown = 2 ** len(self._order) - len(self._known) if len(self._order) < 32 else math.inf
        least, most = self._least(progress), self._most(progress, left, more)
        return Cost(min(least, most), int(min(most, unknown)))

    def plan(self) -> Plan:
        """Return what is going to be asked, and what it costs."""
        _, first = self._run()
        return Plan(
            first,
            self._after(first, Answer.BAD),
            self._after(first, Answer.GOOD),
            self.cost(1),
            self.cost(2),
            self.cost(),
            len(self._known) - len(self._tests) - len(self._ends),
        )

    def result(self) -> Found:
        """Return what was found, as far as it is known by now."""
        progress, mixture = self._run()
        rest = frozenset(self._order).difference(*progress.sets)
        known = self._known.get(rest) if progress.sets else None
        used = [mixture for mixture in self._tests | self._used | progress.used if mixture not in self._ends]
        return Found(
            sets=tuple(self._explanation(paths) for paths in progress.sets),
            explained=self._explained(known),
            rest=known,
            rest_answer=self._answers.get(rest) if known else None,
            unresolved=tuple(mixture for mixture in used if self._answers[mixture] is Answer.UNRESOLVED),
            uncertain=tuple(mixture for mixture in used if self.question.uncertain(self._known[mixture])),
            needed=self._needed(progress),
            suspects=self._suspects(progress),
            tests=len(self._tests),
            reused=sum(mixture not in self._tests for mixture in used),
            finished=mixture is None,
        )

    # -- how it goes on ---------------------------------------------------------------------------------------------------

    def _run(self) -> tuple[_Progress, Mixture | None]:
        """Go through the whole search by what is known, up to the first mixture that is not."""
        progress = _Progress()
        return progress, next(self._solved(progress), None)

    def _solved(self, progress: _Progress) -> _Asking[None]:
        rest = self._order
        while True:
            found = yield from self._one_set(rest, progress)
            progress.sets.append(found)
            rest = tuple(path for path in rest if path not in found)
            progress.doing, progress.found, progress.candidates = "rest", (), rest
            if (yield from self._ask(rest, progress)) is not Answer.BAD:
                return

    def _one_set(self, rest: tuple[str, ...], progress: _Progress) -> _Asking[tuple[str, ...]]:
        """Return paths among the rest that are bad together, where all of the rest is."""
        found: tuple[str, ...] = ()
        candidates = rest
        while True:
            progress.doing, progress.found, progress.candidates = "search", found, candidates
            low, high = yield from self._shortest(found, candidates, progress)
            block = candidates[low:high]
            if len(block) > 1:
                block = yield from self._reduced((*found, *candidates[:low]), block, progress)
            found, candidates = (*found, *block), candidates[:low]
            progress.doing, progress.found, progress.candidates = "enough", found, candidates
            if not candidates or (yield from self._ask(found, progress)) is Answer.BAD:
                return (yield from self._minimal(found, progress))

    def _shortest(self, found: tuple[str, ...], candidates: tuple[str, ...], progress: _Progress) -> _Asking[tuple[int, int]]:
        """Return where the candidates become bad above what was found: not yet at the first place, and at the second."""
        low, high = self._bounds(frozenset(found), candidates)
        progress.used |= {frozenset((*found, *candidates[:place])): None for place in (low, high)}
        while high - low > 1:
            progress.low, progress.high = low, high
            for split in self._splits(low, high):
                answer = yield from self._ask((*found, *candidates[:split]), progress)
                if answer is not Answer.UNRESOLVED:
                    break
            else:
                break
            low, high = (low, split) if answer is Answer.BAD else (split, high)
        return low, high

    def _bounds(self, found: Mixture, candidates: tuple[str, ...]) -> tuple[int, int]:
        """Return how far what is known narrows the search."""
        answers = {0: Answer.GOOD, len(candidates): Answer.BAD}
        answers.update(self._told_places(found, candidates))
        high = min(place for place, answer in answers.items() if answer is Answer.BAD)
        low = max(place for place, answer in answers.items() if place < high and answer is not Answer.UNRESOLVED)
        return low, high

    def _told_places(self, found: Mixture, candidates: tuple[str, ...]) -> Iterator[tuple[int, Answer]]:
        """Yield how many of the first candidates were told above what was found, and what they are."""
        for mixture, answer in self._answers.items():
            place = len(mixture) - len(found)
            if 0 < place < len(candidates) and found <= mixture and mixture - found == frozenset(candidates[:place]):
                yield place, answer

    def _splits(self, low: int, high: int) -> Iterator[int]:
        """Yield the places between, the middle first and then around it, at first in growing steps."""
        middle = self._likely if self._is_fresh(low, high) else (low + high) // 2
        steps = [0]
        while steps[-1] < high - low:
            steps.append(max(1, 2 * steps[-1]))
        distances = dict.fromkeys([*steps, *range(high - low)])
        places = dict.fromkeys(place for step in distances for place in (middle - step, middle + step))
        return (place for place in places if low < place < high)

    def _is_fresh(self, low: int, high: int) -> bool:
        return low == 0 and high == len(self._order) and 0 < self._likely < high

    def _reduced(self, base: tuple[str, ...], block: tuple[str, ...], progress: _Progress) -> _Asking[tuple[str, ...]]:
        """Return less of a block that no beginning could take apart, as ddmin does: whatever can be left out is."""
        size = (len(block) + 1) // 2
        while size:
            place = 0
            while place < len(block):
                fewer = block[:place] + block[place + size :]
                if (yield from self._ask((*base, *fewer), progress)) is Answer.BAD:
                    block = fewer
                else:
                    place += size
            size //= 2
        return block

    def _minimal(self, found: tuple[str, ...], progress: _Progress) -> _Asking[tuple[str, ...]]:
        """Return the paths without any that is not needed after all."""
        progress.doing = "minimal"
        for path in found:
            fewer = tuple(other for other in found if other != path)
            progress.found = found
            if (yield from self._ask(fewer, progress)) is Answer.BAD:
                return (yield from self._minimal(fewer, progress))
        return tuple(path for path in self._order if path in found)

    def _ask(self, paths: Iterable[str], progress: _Progress) -> _Asking[Answer]:
        mixture = frozenset(paths)
        if mixture not in self._answers:
            yield mixture
        progress.used[mixture] = None
        return self._answers[mixture]

    # -- what is said of it -----------------------------------------------------------------------------------------------

    def _after(self, first: Mixture | None, answer: Answer) -> Mixture | None:
        if first is None:
            return None
        search = Search(self.factors, self.question, self._likely)
        search._known, search._answers = {**self._known, first: Measured()}, {**self._answers, first: answer}
        return search._run()[1]

    def _least(self, progress: _Progress) -> int:
        if progress.doing != "search":
            return 1
        low, high = progress.low, progress.high
        told = sum(low < place < high for place, _ in self._told_places(frozenset(progress.found), progress.candidates))
        splits = 1 if self._is_fresh(low, high) else (high - low - told).bit_length() - 1
        rest = frozenset(self._order).difference(*progress.sets, progress.found)
        ended = any(len(mixture) == len(rest) - 1 and mixture <= rest for mixture in self._answers)
        return max(1, splits) + (not ended)

    def _most(self, progress: _Progress, left: int, more: int) -> int:
        """Return a bound: of a set of k, each is searched, k times it is asked whether that is enough, and then all but one."""
        if progress.doing == "search":
            first = _halvings(progress.high - progress.low) + (1 if self._is_fresh(progress.low, progress.high) else 0)
            others = range(left - 1, left - max(1, more), -1)
            return first + sum(map(_halvings, others)) + 2 * max(1, more) + len(progress.found)
        pending = {"enough": len(progress.found) + 1, "minimal": len(progress.found) + 1, "rest": 1}[progress.doing]
        return pending + sum(_halvings(number) for number in range(left, left - more, -1)) + 2 * more

    def _needed(self, progress: _Progress) -> tuple[Factor, ...]:
        return self.factors_of(frozenset(progress.found if progress.doing in ("search", "enough") else ()))

    def _suspects(self, progress: _Progress) -> tuple[Factor, ...]:
        doing = progress.doing
        among = {"search": progress.candidates[: progress.high], "enough": progress.candidates, "minimal": progress.found}
        return self.factors_of(frozenset(among.get(doing, ())))

    def _step(self, number: int, mixture: Mixture) -> Step:
        told = self._known[mixture]
        return Step(number, mixture, told, self._answers[mixture], self.question.uncertain(told))

    def _explanation(self, paths: tuple[str, ...]) -> Explanation:
        mixture = frozenset(paths)
        told = self._known[mixture]
        without = [self._answers.get(mixture - {path}) for path in paths]
        effect = None if told.broken else told.value - self.question.good.value
        return Explanation(
            parts=tuple(self._part(factor, mixture) for factor in self.factors_of(mixture)),
            measured=told,
            way=self.question.way(told),
            effect=effect,
            needs_all=len(paths) > 1 and all(answer is Answer.GOOD for answer in without),
            minimal=all(answer in (Answer.GOOD, Answer.BETWEEN) for answer in without),
            uncertain=mixture not in self._ends and self.question.uncertain(told),
        )

    def _part(self, factor: Factor, mixture: Mixture) -> Part:
        return Part(factor, self._known.get(frozenset((factor.path,))), self._known.get(mixture - {factor.path}))

    def _explained(self, rest: Measured | None) -> float | None:
        way = self.question.way(rest) if rest is not None else None
        return None if way is None else 1 - way


def _halvings(number: int) -> int:
    return (number - 1).bit_length()


# -- the commits ----------------------------------------------------------------------------------------------------------


class CommitSearch:
    """Finds the first bad of some commits by halves; it runs nothing itself.

    Args:
        commits: from the one after the good to the bad one, oldest first; the last is known to be bad.

    >>> search = CommitSearch([Oid(letter) for letter in "abcdefgh"])
    >>> while (commit := search.next()) is not None:
    ...     search.tell(commit, bad=commit >= "c")
    >>> search.result(), search.tests
    (('c',), 3)
    """

    def __init__(self, commits: Sequence[Oid]) -> None:
        self.commits = tuple(commits)
        self._told: dict[Oid, bool | None] = {}

    @property
    def tests(self) -> int:
        """How many commits were told."""
        return len(self._told)

    def next(self) -> Oid | None:
        """Return the commit to try next, None when no other can tell more."""
        return next(iter(self._open()), None)

    def tell(self, commit: Oid, *, bad: bool | None) -> None:
        """Say whether a commit is bad, None when it cannot be tried."""
        self._told[commit] = bad

    def result(self) -> tuple[Oid, ...]:
        """Return the commits one of which is the first bad one: a single one, unless some could not be tried or are open."""
        low, high = self._bounds()
        return self.commits[low + 1 : high + 1]

    def cost(self) -> Cost:
        """Return how many commits are still to be tried, when each can be."""
        low, high = self._bounds()
        left = high - low if self._open() else 1
        return Cost(left.bit_length() - 1, _halvings(left))

    def _bounds(self) -> tuple[int, int]:
        """Return the places of the newest good commit, -1 for the one before all, and of the oldest bad one after it."""
        places = range(len(self.commits) - 1)
        high = next((place for place in places if self._told.get(self.commits[place])), len(self.commits) - 1)
        low = max((place for place in range(high) if self._told.get(self.commits[place]) is False), default=-1)
        return low, high

    def _open(self) -> list[Oid]:
        """Return the commits between that were not tried, the one nearest to the middle first."""
        low, high = self._bounds()
        middle = (low + high) // 2
        places = sorted(range(low + 1, high), key=lambda place: (abs(place - middle), place))
        return [self.commits[place] for place in places if self.commits[place] not in self._told]


# -- all of it ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """A good and a bad run, what differs, and what is recorded of it.

    Attributes:
        good, bad: the runs.
        question: what is asked of each mixture.
        why: how the metric was chosen, in a sentence; empty when it was named.
        factors: what differs, in the order in which to look at it.
        likely: how many of the first factors are likely to explain it all.
        evidence: what recorded pairs of runs say.
        recorded: mixture → the ids of the recorded runs and what they gave; the good and the bad run's own among them.
    """

    good: Row
    bad: Row
    question: Question
    why: str
    factors: tuple[Factor, ...]
    likely: int
    evidence: tuple[Evidence, ...]
    recorded: Mapping[Mixture, tuple[tuple[str, ...], Measured]]

    def search(self) -> Search:
        """Return a search that was told what is recorded."""
        search = Search(self.factors, self.question, self.likely)
        for mixture, (_, told) in self.recorded.items():
            search.tell(mixture, told)
        return search


def case(
    good: Row,
    bad: Row,
    rows: Iterable[Row] = (),
    *,
    metric: str | None = None,
    share: float = SHARE,
    few: int = 2,
    directions: Mapping[str, Direction] = {},
    seeds: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Case:
    """Return what is to be explained, with what recorded runs say of it.

    Args:
        good, bad: the runs.
        rows: recorded runs, read once and not kept; the good and the bad run may be among them.
        metric: its name; one that got worse, unless given.
        share: how much of the way from good to bad makes a mixture bad.
        few: in how many changes recorded pairs may differ, 1 or 2.
        directions, seeds, ignore: as the settings say.

    Raises:
        UsageError: nothing differs, or the metric does not tell good from bad.

    >>> good = Row("klmnopqrstuvwxyz", {"lr": 0.1, "amp": False}, {"acc": 0.9}, "1a", Status.COMPLETED)
    >>> bad = Row("zyxwvutsrqponmlk", {"lr": 0.5, "amp": True}, {"acc": 0.5}, "1a", Status.COMPLETED)
    >>> found = case(good, bad)
    >>> [factor.path for factor in found.factors], found.search().next()
    (['amp', 'lr'], frozenset({'amp'}))
    """
    factors = factors_between(good, bad, seeds=seeds, ignore=ignore)
    choice = chosen_metric(good, bad, metric, directions)
    sorter, table = _Sorter(factors, seeds, ignore, (good.code, bad.code)), _Table()
    home, _, _ = sorter.place(good)
    recorded: dict[Mixture, list[tuple[str, Metric | None]]] = {}
    for row in _with_ends(rows, good, bad):
        if row.status not in _TOLD:
            continue
        place = sorter.place(row)
        if not row.own:
            table.add(place, row, choice.metric)
        if place[0] == home:
            recorded.setdefault(sorter.mixture(place[1]), []).append((row.id, _value(row, choice.metric)))
    told = {
        mixture: (tuple(run for run, _ in runs), _measured(value for _, value in runs)) for mixture, runs in recorded.items()
    }
    (_, at_good), (_, at_bad) = told[frozenset()], told[frozenset(sorter.paths)]
    question = asked(choice, at_good, at_bad, share)
    known = table.evidence(sorter.paths, few)
    order, likely = ordered(factors, known, question)
    return Case(good, bad, question, choice.why, order, likely, known, told)


def _with_ends(rows: Iterable[Row], good: Row, bad: Row) -> Iterator[Row]:
    yield good
    yield bad
    yield from (row for row in rows if row.id not in (good.id, bad.id))
