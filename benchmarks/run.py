"""Run: what `gitparams run -- true` costs over `true` alone, with and without the git hooks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from benchmarks.installed import program
from benchmarks.report import Row
from benchmarks.timing import interleaved, process
from benchmarks.workshop import Workshop

_PLAIN, _HOOKED = "run -- true, over true", "run -- true, hooks installed, over true"


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    plain, hooked = shop.repository(), shop.repository()
    subprocess.run([*program(), "hooks", "install"], cwd=hooked, check=True, stdout=subprocess.DEVNULL)
    words = [*program(), "run", "--", "true"]
    things = {
        _PLAIN: process(words, plain),
        _HOOKED: process(words, hooked),
        "true": process(["true"], plain),
        "pass": process(shop.nothing, plain),
    }
    taken = interleaved(things, shop.rounds, warm_up=2)
    for name in (_PLAIN, _HOOKED):
        yield Row(name, taken[name].over(taken["true"]), "python -c pass", taken["pass"], most_ratio=15)
