"""Step: `run.log()` of five metrics, on disk for a killed process, beside a plain file that is written and flushed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import chdir

from benchmarks.configs import METRICS, Sweep
from benchmarks.report import Row
from benchmarks.timing import interleaved
from benchmarks.workshop import Workshop
from gitparams.journal import series_line
from gitparams.library import start

_STEPS, _ROUNDS = 1000, 25


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    sweep = Sweep()
    logged = [sweep.metrics() for _ in range(_STEPS)]
    lines = [series_line(step, time.time(), metrics) for step, metrics in enumerate(logged)]
    folder = shop.repository()
    with chdir(folder), start(sweep.params()) as run, (folder / "plain.jsonl").open("ab") as file:

        def log() -> None:
            for metrics in logged:
                run.log(metrics)

        def write() -> None:
            for line in lines:
                file.write(line)
                file.flush()

        taken = interleaved({"log": log, "write": write}, _ROUNDS, warm_up=2)
    what = f"run.log() of {len(METRICS)} metrics, a step"
    yield Row(what, taken["log"].each(_STEPS), "write + flush of the same line", taken["write"].each(_STEPS), most=25e-6)
