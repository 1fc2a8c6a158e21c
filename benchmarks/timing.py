"""Timing: the same moment of a noisy machine for the thing and for what it is compared with."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Samples:
    """What was measured, in seconds or another unit, in the order of the rounds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure that counts."""
        return statistics.median(self.values)

    @property
    def minimum(self) -> float:
        """The figure of the quietest moment."""
        return min(self.values)

    def each(self, parts: int) -> Samples:
        """Return the samples of one of `parts` equal parts."""
        return Samples(tuple(value / parts for value in self.values))

    def over(self, other: Samples) -> Difference:
        """Return what these took longer than others of the same rounds."""
        values = tuple(mine - theirs for mine, theirs in zip(self.values, other.values, strict=True))
        return Difference(values, self, other)


@dataclass(frozen=True, slots=True)
class Difference(Samples):
    """What one thing took longer than another: median less median, minimum less minimum.

    The least of the rounds' own differences would be the figure of a round that slowed the other down.
    """

    longer: Samples
    shorter: Samples

    @property
    def median(self) -> float:
        """The difference that counts."""
        return self.longer.median - self.shorter.median

    @property
    def minimum(self) -> float:
        """The difference of the quietest moments."""
        return self.longer.minimum - self.shorter.minimum


def interleaved(things: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1) -> dict[str, Samples]:
    """Time things in turn, A B C, C B A …, so that what slows the machine for a while slows each of them.

    Args:
        things: what to time by its name.
        rounds: how often; warm_up: rounds before that do not count.
    """
    taken: dict[str, list[float]] = {name: [] for name in things}
    for turn in range(-warm_up, rounds):
        for name in list(things) if turn % 2 else reversed(list(things)):
            begun = time.perf_counter()
            things[name]()
            spent = time.perf_counter() - begun
            if turn >= 0:
                taken[name].append(spent)
    return {name: Samples(tuple(values)) for name, values in taken.items()}


def process(words: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Callable[[], object]:
    """Return what runs a program from its start to its end, output thrown away; it must exit with 0.

    Args:
        words: the program and its arguments.
        folder: where it starts.
        environment: all of its variables; those of this process when None.
    """
    nowhere = subprocess.DEVNULL

    def run() -> None:
        subprocess.run(words, cwd=folder, env=environment, check=True, stdin=nowhere, stdout=nowhere, stderr=nowhere)

    return run
