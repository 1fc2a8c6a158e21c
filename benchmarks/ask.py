"""Ask: `gitparams log --where … --sort …`, the whole process, the first time that keys are asked for and later."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.installed import program
from benchmarks.report import Row
from benchmarks.timing import interleaved, process
from benchmarks.workshop import Workshop

_SIZES = (1000, 10_000)
EXPRESSION = "params.optim.lr > 0.01 and metrics.acc > 0.9"
_WORDS = ("log", "--where", EXPRESSION, "--sort", "-metrics.acc", "-n", "20")


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    asked = [*program(), *_WORDS]
    sizes = sorted({*(size for size in _SIZES if size < shop.runs), shop.runs})
    things = {f"log --where … --sort …, {size:,} runs": process(asked, shop.indexed(size)) for size in sizes}
    for name, thing in things.items():
        first = interleaved({name: thing}, 1, warm_up=0)  # makes the expression indexes, once in the life of an index
        yield Row(f"{name}, first time", first[name])
    taken = interleaved({**things, "pass": process(shop.nothing, shop.folder)}, shop.rounds, warm_up=2)
    for name in things:
        yield Row(name, taken[name], "python -c pass", taken["pass"], most_ratio=10)
