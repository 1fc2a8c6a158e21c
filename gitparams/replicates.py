"""Replicates: runs taken together, equal but for the seed or alike in keys one names, and what their metrics say as a whole.

Only completed runs count for metrics. A value that is not finite is counted apart and never enters a mean.

The distribution of Student's t is the incomplete beta function, I_x(df/2, 1/2) (M. Abramowitz, I. A. Stegun, *Handbook of
Mathematical Functions*, 26.7.1 with 26.5.27), by its continued fraction (26.5.8) in Lentz's way (W. J. Lentz, *Applied
Optics* 15, 1976; I. J. Thompson, A. R. Barnett, *J. Comput. Phys.* 64, 1986). Two means are compared by B. L. Welch's test
(*Biometrika* 34, 1947), with the degrees of freedom of Welch and Satterthwaite.
"""

from __future__ import annotations

import math
from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from operator import attrgetter, itemgetter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from gitparams.directions import Direction, direction
from gitparams.errors import UsageError
from gitparams.flat import TOKENS, decode_flat, flat_document, key_of, no_collecting, value_of_token, written
from gitparams.model import Metric, Run, RunId, Status
from gitparams.params import MISSING, flatten, get, nested, path_keys, unflatten
from gitparams.seeds import is_seed
from gitparams.values import Value, same

SIGNIFICANCE = 0.05
"""A difference exceeds the noise when chance alone would give as large a one less often than this."""

FEW_RUNS = 3
"""With fewer runs on a side a comparison sees only very large differences."""


# -- what some numbers say ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spread:
    """What the values of one metric say.

    Attributes:
        n: how many values are finite; all the rest is about these.
        mean: their mean, NaN when there is none. low, high: the least and the greatest.
        std: the sample standard deviation (n - 1), None below two values.
        interval: the 95% interval of the mean by Student's t, None below two values.
        not_finite: how many values are NaN or infinite.
    """

    n: int
    mean: float
    std: float | None
    low: float
    high: float
    interval: tuple[float, float] | None
    not_finite: int = 0


def spread(values: Iterable[Metric]) -> Spread:
    """Return what some values say.

    >>> found = spread([0.90, 0.92, 0.94, float("nan")])
    >>> found.n, round(found.mean, 9), round(found.std, 9), [round(bound, 4) for bound in found.interval], found.not_finite
    (3, 0.92, 0.02, [0.8703, 0.9697], 1)
    >>> spread([0.9])
    Spread(n=1, mean=0.9, std=None, low=0.9, high=0.9, interval=None, not_finite=0)
    """
    numbers = [value if type(value) is float else _as_float(value) for value in values]
    finite = [number for number in numbers if math.isfinite(number)]
    n, apart = len(finite), len(numbers) - len(finite)
    if not finite:
        return Spread(0, math.nan, None, math.nan, math.nan, None, apart)
    if n < 2:
        return Spread(1, finite[0], None, finite[0], finite[0], None, apart)
    low, high, mean = min(finite), max(finite), _mean(finite)
    std = _deviation(finite, mean)
    margin = t_bound(SIGNIFICANCE, n - 1) * std / math.sqrt(n)
    return Spread(n, mean, std, low, high, (mean - margin, mean + margin), apart)


def _as_float(value: Metric) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond all floats
        return math.inf if value > 0 else -math.inf


def _mean(values: Sequence[float]) -> float:
    low, high, n = min(values), max(values), len(values)
    if low == high:
        return low  # the rounded sum of equal values need not be a multiple of one
    try:
        mean = math.fsum(values) / n
    except OverflowError:
        mean = math.fsum(value / n for value in values)
    return min(max(mean, low), high)


def _deviation(values: Sequence[float], mean: float) -> float:
    """Return the sample standard deviation; scaled, since the squares of what floats hold need not be floats."""
    scale = max(abs(value - mean) for value in values)
    if scale == 0 or math.isinf(scale):
        return scale
    return scale * math.sqrt(math.fsum(((value - mean) / scale) ** 2 for value in values) / (len(values) - 1))


# -- Student's t ----------------------------------------------------------------------------------------------------------

_MOST_TERMS = 100_000
_TINIEST = 1e-300
# ln(Γ(a + 1/2) / Γ(a)) - ln(a)/2 in odd powers of 1/a, out of Stirling's series (Abramowitz & Stegun 6.1.40)
_STIRLING = (-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432)
_STIRLING_FROM = 30.0


def t_tails(t: float, df: float) -> float:
    """Return how likely it is that Student's t is as far from 0 as `t`, on either side.

    Args:
        t: the statistic.
        df: degrees of freedom, above 0 and not necessarily whole.

    >>> round(t_tails(12.7062047, 1), 9), t_tails(0.0, 5)
    (0.05, 1.0)
    """
    square = t * t
    if math.isinf(square):
        return 0.0
    a, inside = df / 2, square / (df + square)
    weight = math.exp(-a * math.log1p(square / df) - _log_beta_half(a)) * math.sqrt(inside)
    # each of the two fractions converges fast on its side of the mean of the distribution
    if inside > 1.5 / (a + 2.5):
        return weight * _fraction(a, 0.5, df / (df + square)) / a
    return 1.0 - weight * _fraction(0.5, a, inside) * 2


@lru_cache(maxsize=4096)
def t_bound(tails: float, df: float) -> float:
    """Return the t above 0 that both tails leave so much probability to: the inverse of `t_tails`.

    >>> round(t_bound(0.05, 4), 6), round(t_bound(0.05, 1e6), 4)
    (2.776445, 1.96)
    """
    a, t, further = df / 2, -1.0, 0.0
    while further > t:  # the tails are convex, so that Newton's steps from 0 stay below the bound
        t = further
        density = math.exp(-(a + 0.5) * math.log1p(t * t / df) - _log_beta_half(a)) / math.sqrt(df)
        further = t + (t_tails(t, df) - tails) / (2 * density)
    return t


def _log_beta_half(a: float) -> float:
    """Return ln B(a, 1/2); the difference of two large logarithms would lose digits."""
    if a < _STIRLING_FROM:
        return math.lgamma(a) - math.lgamma(a + 0.5) + math.lgamma(0.5)
    series = math.fsum(term / a ** (2 * place + 1) for place, term in enumerate(_STIRLING))
    return 0.5 * math.log(math.pi / a) - series


def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function I_x(a, b)."""
    c, d = 1.0, 1.0 / _not_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _MOST_TERMS):
        before = value
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _not_zero(1.0 + term * d)
            c = _not_zero(1.0 + term / c)
            value *= c * d
        if abs(value - before) <= 1e-16 * abs(value):
            break
    return value


def _not_zero(number: float) -> float:
    return number if abs(number) > _TINIEST else _TINIEST


# -- groups of replicates -------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A run as the index gives it for grouping: ``started`` in UTC seconds, `params` and `metrics` as flat documents."""

    id: RunId
    experiment: str
    status: str
    started: float
    params: str
    metrics: str


class Replicate(NamedTuple):
    """One run of a group, as far as a group needs to know it; what it has is named as in `Run`."""

    id: RunId
    status: Status
    stamp: float
    document: str

    @property
    def started(self) -> datetime:
        """When it began."""
        return datetime.fromtimestamp(self.stamp, UTC).astimezone()

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The summary, one number a name."""
        numbers = decode_flat(self.document)
        return {key_of(key): value for key, value in numbers.items() if isinstance(value, int | float)}


class Member(Protocol):
    """What a group asks of its runs."""

    @property
    def id(self) -> RunId:
        """Its id."""

    @property
    def status(self) -> Status:
        """How it stands."""

    @property
    def started(self) -> datetime:
        """When it began."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The summary."""


M = TypeVar("M", bound=Member)


@dataclass(frozen=True)
class Group(Generic[M]):
    """Runs of one experiment whose params are equal but for the seed; what it says of them is worked out when asked for.

    Attributes:
        runs: newest first.
        experiment: theirs.
        left_out: the written paths of the seeds and of the ignored params, sorted.
    """

    runs: tuple[M, ...]
    experiment: str
    left_out: tuple[str, ...]
    _keys: tuple[str, ...] = field(repr=False)
    _values: str = field(repr=False)
    _seeds: tuple[Mapping[str, str], ...] = field(repr=False)

    @cached_property
    def params(self) -> Mapping[str, Value]:
        """The params that are equal in all of the runs, by written path."""
        tokens = zip(self._keys, _parted(self._values), strict=True) if self._keys else ()
        return {written(key): value_of_token(token) for key, token in tokens}

    @cached_property
    def seeds(self) -> tuple[Mapping[str, Value], ...]:
        """The seeds of each run, by written path."""
        return tuple({written(key): value_of_token(token) for key, token in seeds.items()} for seeds in self._seeds)

    @cached_property
    def metrics(self) -> Mapping[str, Spread]:
        """What each metric of the completed runs says, sorted by name."""
        values: dict[str, list[Metric]] = {}
        for run in self.counted:
            for name, value in run.metrics.items():
                values.setdefault(name, []).append(value)
        return {name: spread(values[name]) for name in sorted(values)}

    @property
    def counted(self) -> tuple[M, ...]:
        """The completed runs, whose metrics count."""
        return tuple(run for run in self.runs if run.status is Status.COMPLETED)

    @property
    def newest(self) -> M:
        """The run that began last."""
        return self.runs[0]

    @property
    def repeated(self) -> int:
        """How many completed runs have the same seeds as another one; a run without seeds repeats none."""
        seeds = [
            tuple(sorted(seeds.items()))
            for run, seeds in zip(self.runs, self._seeds, strict=True)
            if seeds and run.status is Status.COMPLETED
        ]
        return len(seeds) - len(set(seeds))


def grouped(runs: Iterable[Run], *, ignore: Sequence[str] = (), seeds: Sequence[str] = ()) -> list[Group[Run]]:
    """Return the runs in groups of replicates, the group with the newest run first.

    Args:
        runs: the runs; those that did not complete are in their group, and their metrics do not count.
        ignore: globs of names or of written paths of params that may differ as well; ``logging`` means all below it too.
        seeds: globs of params that are seeds although their names do not say so.

    >>> from gitparams.model import Status, new_run_id, now
    >>> from gitparams.params import nested
    >>> def run(seed, acc):
    ...     return Run(new_run_id(), Status.COMPLETED, now(), params=nested({"lr": 0.1, "seed": seed}), metrics={"acc": acc})
    >>> (group,) = grouped([run(1, 0.75), run(2, 0.5), run(3, 1.0)])
    >>> group.params, group.left_out, group.metrics["acc"].mean
    ({'lr': 0.1}, ('seed',), 0.75)
    """
    items = ((run, run.started.timestamp(), run.experiment, flat_document(run.params)) for run in runs)
    return _gathered(items, _Sorter(tuple(ignore), tuple(seeds)))


def grouped_rows(rows: Iterable[Row], *, ignore: Sequence[str] = (), seeds: Sequence[str] = ()) -> list[Group[Replicate]]:
    """Return rows of the index in groups of replicates, as `grouped` does, without reading the runs themselves.

    A row whose run cannot be read is in no group.
    """
    items = (
        (Replicate(run, _STATUS[status], started, metrics), started, experiment, params)
        for run, experiment, status, started, params, metrics in rows
        if status in _STATUS
    )
    return _gathered(items, _Sorter(tuple(ignore), tuple(seeds)))


def together(runs: Sequence[Run]) -> Group[Run]:
    """Return any runs, newest first, as one group: its params are those that are equal in all of them.

    >>> from gitparams.model import Status, new_run_id, now
    >>> from gitparams.params import nested
    >>> def run(lr):
    ...     return Run(new_run_id(), Status.COMPLETED, now(), params=nested({"lr": lr, "batch": 64}), metrics={"acc": lr})
    >>> group = together([run(0.75), run(0.25)])
    >>> group.params, group.left_out, group.metrics["acc"].mean
    ({'batch': 64}, ('lr',), 0.5)
    """
    flat = [flatten(run.params) for run in runs]
    every = dict.fromkeys(path for params in flat for path in params)
    common = {path: flat[0][path] for path in every if all(path in one and same(one[path], flat[0][path]) for one in flat)}
    alike = [replace(run, experiment=runs[0].experiment, params=nested(unflatten(common))) for run in runs]
    return replace(grouped(alike)[0], runs=tuple(runs), left_out=tuple(sorted(every.keys() - common.keys())))


_STATUS = {str(status): status for status in Status}
_PARTED = "\0"


class _Plan(NamedTuple):
    """How to take flat documents of one shape apart: what is kept, and where it is found."""

    kept: tuple[str, ...]
    values: Callable[[Mapping[str, str]], tuple[str, ...]]
    seeds: tuple[str, ...]
    left_out: frozenset[str]


class _Sorter:
    """Tells what of a flat document is the same in replicates."""

    def __init__(self, ignore: tuple[str, ...], seeds: tuple[str, ...]) -> None:
        self._ignore, self._seeds = ignore, seeds
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._kept: dict[tuple[str, ...], tuple[str, ...]] = {}

    def sort(self, document: str) -> tuple[_Plan, str, dict[str, str]]:
        """Return how a document was taken apart, the values that replicates share, and the seeds."""
        tokens, _ = TOKENS.raw_decode(document)
        shape = tuple(tokens)
        plan = self._plans.get(shape)
        if plan is None:
            plan = self._plans[shape] = self._plan(shape)
        return plan, _joined(plan.values(tokens)), {key: tokens[key] for key in plan.seeds}

    def _plan(self, shape: tuple[str, ...]) -> _Plan:
        paths = {key: written(key) for key in sorted(shape)}
        seeds = tuple(key for key, path in paths.items() if is_seed(path, self._seeds))
        left_out = frozenset(key for key, path in paths.items() if key in seeds or is_ignored(path, self._ignore))
        kept = tuple(key for key in paths if key not in left_out)
        return _Plan(self._kept.setdefault(kept, kept), _values_at(kept), seeds, left_out)


def _joined(values: tuple[str, ...]) -> str:
    """Return values as one text, which takes a tenth of the memory."""
    text = _PARTED.join(values)
    return repr(values) if text.count(_PARTED) >= len(values) > 0 else text


def _parted(text: str) -> tuple[str, ...]:
    """Return the values that were joined; no value begins with a bracket."""
    return literal_eval(text) if text.startswith("(") else tuple(text.split(_PARTED))


def _values_at(keys: Sequence[str]) -> Callable[[Mapping[str, str]], tuple[str, ...]]:
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda tokens: tuple(tokens[key] for key in keys)


def is_ignored(path: str, globs: Sequence[str]) -> bool:
    """Tell whether globs of names or of written paths mean a param; ``logging`` means all below it too.

    >>> is_ignored("logging.level", ["logging"]), is_ignored("optim.lr", ["l?"]), is_ignored("optim.lr", ["opt"])
    (True, True, False)
    """
    if not globs:
        return False
    name = path_keys(path)[-1]
    return any(
        fnmatchcase(path, glob) or fnmatchcase(name, glob) or path.startswith((f"{glob}.", f"{glob}[")) for glob in globs
    )


# a run on its way into a group: when it began, itself, its seeds, what is left out of its params
_Item = tuple[float, M, Mapping[str, str], frozenset[str]]


def _gathered(items: Iterable[tuple[M, float, str, str]], sorter: _Sorter) -> list[Group[M]]:
    piles: dict[tuple[str, int, str], list[_Item[M]]] = {}
    kept: dict[int, tuple[str, ...]] = {}
    with no_collecting():
        for run, stamp, experiment, document in items:
            plan, values, seeds = sorter.sort(document)
            kept[id(plan.kept)] = plan.kept  # one tuple for all documents that keep the same keys
            piles.setdefault((experiment, id(plan.kept), values), []).append((stamp, run, seeds, plan.left_out))
        for pile in piles.values():
            if len(pile) > 1:
                pile.sort(key=_newest_first)
        found = sorted(piles.items(), key=lambda item: _newest_first(item[1][0]))
        return [_group(pile, experiment, kept[keys], values) for (experiment, keys, values), pile in found]


def _newest_first(item: _Item[Any]) -> tuple[float, str]:
    return -item[0], item[1].id


def _group(pile: Sequence[_Item[M]], experiment: str, keys: tuple[str, ...], values: str) -> Group[M]:
    _, runs, seeds, left_out = zip(*pile, strict=True)
    return Group(runs, experiment, _paths_of(frozenset(left_out)), keys, values, seeds)


@lru_cache(maxsize=256)
def _paths_of(keys: frozenset[frozenset[str]]) -> tuple[str, ...]:
    return tuple(sorted({written(key) for some in keys for key in some}))


# -- two groups -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """How a metric differs between two groups, by Welch's t-test.

    Attributes:
        metric: its name.
        before, after: what it is in each, None where no completed run has it.
        delta: the difference of the means, None where a side has no finite value.
        t, df, p: the statistic, its degrees of freedom, and how likely chance alone gives as large a difference, on either
            side; None when that cannot be told.
        exceeds: whether the difference exceeds the noise at 5%, None when that cannot be told.
        why: why it cannot be told, or what weakens the answer; empty otherwise.
    """

    metric: str
    before: Spread | None
    after: Spread | None
    delta: float | None = None
    t: float | None = None
    df: float | None = None
    p: float | None = None
    exceeds: bool | None = None
    why: str = ""


def compared(a: Group[Any], b: Group[Any], metric: str) -> Difference:
    """Return whether a metric differs between two groups by more than its noise.

    >>> from gitparams.model import Status, new_run_id, now
    >>> from gitparams.params import nested
    >>> def run(lr, acc):
    ...     return Run(new_run_id(), Status.COMPLETED, now(), params=nested({"lr": lr}), metrics={"acc": acc})
    >>> runs = [*(run(0.1, acc) for acc in (0.90, 0.91, 0.92)), *(run(0.2, acc) for acc in (0.95, 0.96, 0.97))]
    >>> after, before = grouped(runs)
    >>> found = compared(before, after, "acc")
    >>> round(found.delta, 3), round(found.df, 3), round(found.p, 5), found.exceeds
    (0.05, 4.0, 0.0036, True)
    """
    before, after = a.metrics.get(metric), b.metrics.get(metric)
    if before is None or after is None or not (before.n and after.n):
        return Difference(metric, before, after, why=_no_value(metric, before, after))
    delta = after.mean - before.mean
    if before.std is None or after.std is None:
        lone = "1 run a side" if before.n == after.n else "1 run on a side"
        return Difference(metric, before, after, delta, why=f"{lone}: how large the noise is cannot be told")
    scale = max(before.std, after.std)
    if scale == 0:
        return Difference(metric, before, after, delta, why="no noise on either side: all runs of a side have one value")
    if not (math.isfinite(scale) and math.isfinite(delta)):
        return Difference(metric, before, after, delta, why="numbers too large to compare")
    t, df = welch(delta / scale, before.std / scale, before.n, after.std / scale, after.n)
    p = t_tails(t, df)
    return Difference(metric, before, after, delta, t, df, p, p < SIGNIFICANCE, _weakness(min(before.n, after.n)))


def welch(delta: float, std: float, n: int, other_std: float, other_n: int) -> tuple[float, float]:
    """Return the statistic of Welch's test and its degrees of freedom.

    Args:
        delta: the difference of the means.
        std, n: the sample standard deviation and the size of one side; other_std, other_n: of the other.

    >>> statistic, df = welch(0.05, 0.01, 3, 0.01, 3)
    >>> round(statistic, 3), round(df, 3)
    (6.124, 4.0)
    """
    one, other = std * std / n, other_std * other_std / other_n
    both = one + other
    return delta / math.sqrt(both), both * both / (one * one / (n - 1) + other * other / (other_n - 1))


def _no_value(metric: str, before: Spread | None, after: Spread | None) -> str:
    if before is None and after is None:
        return f"no completed run has {metric}"
    if before is None or after is None:
        return f"no completed run of the {'first' if before is None else 'second'} group has {metric}"
    return "no finite value on a side" if before.n or after.n else "no finite value on either side"


def _weakness(least: int) -> str:
    return f"{least} runs on a side: only a very large difference would show" if least < FEW_RUNS else ""


# -- by keys one names ----------------------------------------------------------------------------------------------------

AGGREGATES = ("mean", "std", "min", "max", "median", "count", "best", "last")
"""What can be asked of a metric of many runs."""

_Field = Callable[[Run], Any]
_FIELDS: dict[str, _Field] = {
    name: attrgetter(name)
    for name in ("experiment", "status", "name", "author", "host", "user", "python", "exit_code", "parent", "cwd", "duration")
} | {
    "commit": attrgetter("code.commit"),
    "branch": attrgetter("code.branch"),
    "dirty": attrgetter("code.dirty"),
    "tags": lambda run: list(run.tags),
    "command": lambda run: " ".join(run.command),
    "started": lambda run: f"{run.started:%Y-%m-%d}",
    "finished": lambda run: f"{run.finished:%Y-%m-%d}" if run.finished else None,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Runs that are alike in the keys one named.

    Attributes:
        values: the value of each key, `MISSING` where the runs have none.
        count: how many runs there are.
        counted: how many of them completed; the metrics are theirs.
        newest: the id of the run that began last.
        metrics: metric → word → value; None where there is none, as the best of a metric of which no way is known to be better.
    """

    values: tuple[Any, ...]
    count: int
    counted: int
    newest: RunId
    metrics: Mapping[str, Mapping[str, float | None]]


def aggregated(
    runs: Iterable[Run], by: Sequence[str], agg: Sequence[str] = ("mean",), *, directions: Mapping[str, Direction] = {}
) -> list[Aggregate]:
    """Return the runs summed up by the values of some keys, sorted by these values: numbers, text, the rest, missing last.

    Args:
        runs: read once, and not kept.
        by: fields (``status``), written paths of params (``params.model.name``, ``model.name``) or metrics (``metrics.epoch``);
            ``started`` and ``finished`` are days.
        agg: some of `AGGREGATES`; ``count`` is how many finite values there are, ``last`` the newest run's value.
        directions: which way of a metric is better, where its name does not tell.

    Raises:
        UsageError: a word is none of `AGGREGATES`, or no run has a key.

    >>> from gitparams.model import Status, new_run_id, now
    >>> from gitparams.params import nested
    >>> def run(model, acc):
    ...     return Run(new_run_id(), Status.COMPLETED, now(), params=nested({"model": model}), metrics={"acc": acc})
    >>> for row in aggregated([run("mlp", 0.5), run("cnn", 0.75), run("cnn", 1.0)], ["params.model"], ["mean", "best"]):
    ...     print(row.values, row.count, row.metrics)
    ('cnn',) 2 {'acc': {'mean': 0.875, 'best': 1.0}}
    ('mlp',) 1 {'acc': {'mean': 0.5, 'best': 0.5}}
    """
    _check_words(agg)
    keys = [_Key(word) for word in by]
    buckets: dict[tuple[str, ...], _Bucket] = {}
    near: dict[str, None] = {}
    for run in runs:
        values = tuple(key.of(run) for key in keys)
        identity = tuple(map(_identity, values))
        bucket = buckets.get(identity)
        if bucket is None:
            bucket = buckets[identity] = _Bucket(values)
        bucket.add(run)
        if not all(key.found for key in keys):
            near.update(dict.fromkeys([*flatten(run.params), *run.metrics]))
    if buckets:
        _check_keys(keys, [*near, *_FIELDS])
    found = sorted(buckets.values(), key=lambda bucket: tuple(map(_rank, bucket.values)))
    return [bucket.summed(agg, directions) for bucket in found]


class _Key:
    """A key that runs are told apart by; it knows whether a run had it."""

    def __init__(self, word: str) -> None:
        self.word, self.found = word, word in _FIELDS
        self.field = _FIELDS.get(word)
        self.document, _, rest = word.partition(".")
        self.metric = rest if self.document == "metrics" and rest else word
        self.path = path_keys(rest if self.document == "params" and rest else word)

    def of(self, run: Run) -> Any:
        if self.field is not None:
            value = self.field(run)
            return MISSING if value is None else value
        value = MISSING if self.document == "metrics" else get(run.params, self.path)
        if value is MISSING and self.document != "params":
            value = run.metrics.get(self.metric, MISSING)
        self.found = self.found or value is not MISSING
        return value


class _Bucket:
    """Runs that are alike, while they are read."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.values, self.count, self.counted = values, 0, 0
        self.newest: tuple[float, RunId] = (-math.inf, RunId(""))
        self.metrics: dict[str, list[float]] = {}
        self.last: dict[str, tuple[float, float]] = {}

    def add(self, run: Run) -> None:
        stamp = run.started.timestamp()
        self.count += 1
        self.newest = max(self.newest, (stamp, run.id))
        if run.status is not Status.COMPLETED:
            return
        self.counted += 1
        for name, value in run.metrics.items():
            number = _as_float(value)
            self.metrics.setdefault(name, []).append(number)
            if stamp >= self.last.get(name, (-math.inf, 0.0))[0]:
                self.last[name] = stamp, number

    def summed(self, agg: Sequence[str], directions: Mapping[str, Direction]) -> Aggregate:
        metrics = {
            name: dict(_aggregates(agg, values, self.last[name][1], direction(name, directions)))
            for name, values in sorted(self.metrics.items())
        }
        return Aggregate(self.values, self.count, self.counted, self.newest[1], metrics)


def _aggregates(
    agg: Sequence[str], values: Sequence[float], last: float, way: Direction | None
) -> Iterator[tuple[str, float | None]]:
    finite = sorted(value for value in values if math.isfinite(value))
    for word in agg:
        if word == "last":
            yield word, last
        elif word == "count":
            yield word, len(finite)
        else:
            yield word, _aggregate(word, finite, way) if finite else None


def _aggregate(word: str, ordered: Sequence[float], way: Direction | None) -> float | None:
    if word == "best":
        return None if way is None else ordered[-1] if way is Direction.MAX else ordered[0]
    if word == "std":
        return _deviation(ordered, _mean(ordered)) if len(ordered) > 1 else None
    if word == "median":
        return _mean(ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1])
    return _mean(ordered) if word == "mean" else ordered[0] if word == "min" else ordered[-1]


def _identity(value: Any) -> str:
    return "" if value is MISSING else flat_document({"": value})


def _rank(value: Any) -> tuple[int, float, str]:
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
        return 0, _as_float(value), ""
    return (1, 0.0, value) if isinstance(value, str) else (3, 0.0, "") if value is MISSING else (2, 0.0, str(value))


def _check_words(agg: Sequence[str]) -> None:
    for word in agg:
        if word not in AGGREGATES:
            near = _nearest(word, AGGREGATES) or f"use {', '.join(AGGREGATES)}"
            raise UsageError(f"{word!r} is nothing that runs can be summed up by.", hint=near)


def _check_keys(keys: Sequence[_Key], known: Sequence[str]) -> None:
    for key in keys:
        if not key.found:
            raise UsageError(f"No run has {key.word!r}, so runs cannot be grouped by it.", hint=_nearest(key.word, known))


def _nearest(word: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches

    bare = word.removeprefix("params.").removeprefix("metrics.")
    near = get_close_matches(bare, list(known), 3)
    return f"did you mean {' or '.join(near)}?" if near else None
