"""Series: a metric of a run step by step, as it was logged."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gitparams.model import Metric
from gitparams.values import Value, decode_json

# A metric that is named as one of the line's own keys has a $ before its name, and so has one that begins with some.
_ESCAPED = re.compile(r"\$+(?:step|time)")


class Step(NamedTuple):
    """One value of a metric.

    Attributes:
        step: the step it was logged at.
        value: the number.
        time: when, in seconds since 1970 (UTC); NaN when it was not said.
    """

    step: int | float
    value: Metric
    time: float


@dataclass(frozen=True, slots=True)
class Series:
    """All values of one metric, in the order they were logged; a sequence of `Step`.

    Attributes:
        name: the metric.
        steps, values, times: one each a value, as in `Step`.
    """

    name: str
    steps: tuple[int | float, ...]
    values: tuple[Metric, ...]
    times: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, place: int) -> Step:
        return Step(self.steps[place], self.values[place], self.times[place])

    def __iter__(self) -> Iterator[Step]:
        return map(Step, self.steps, self.values, self.times)

    def __repr__(self) -> str:
        return f"<series {self.name} of {len(self)} steps>" if len(self) != 1 else f"<series {self.name} of 1 step>"


def read_series(data: bytes) -> dict[str, Series]:
    r"""Return the series in the lines of a ``series.jsonl``, by name; a line that cannot be read is passed over.

    >>> read_series(b'{"step":0,"time":1.5,"loss":0.3}\n{"step":1,"time":2.5,"loss":0.2,"acc":0.9}\n')["loss"].values
    (0.3, 0.2)
    """
    logged: dict[str, list[Step]] = {}
    for line in _lines(data):
        step, time = line.get("step"), line.get("time")
        if not isinstance(step, int | float):
            continue
        moment = _seconds(time)
        for key, value in line.items():
            if isinstance(value, int | float) and key not in ("step", "time"):
                logged.setdefault(key[1:] if _ESCAPED.fullmatch(key) else key, []).append(Step(step, value, moment))
    return {name: _series(name, steps) for name, steps in logged.items()}


def _seconds(time: Value) -> float:
    try:
        return float(time) if isinstance(time, int | float) else math.nan
    except OverflowError:  # an integer beyond all floats
        return math.nan


def _series(name: str, steps: Iterable[Step]) -> Series:
    numbers, values, times = zip(*steps, strict=True)
    return Series(name, numbers, values, times)


def _lines(data: bytes) -> Iterator[Mapping[str, Value]]:
    for line in data.split(b"\n"):
        try:
            found = decode_json(line) if line else None
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found
