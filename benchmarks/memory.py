"""Memory: the most that a process of ours holds at once on the large ledger, as Linux tells it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.ask import EXPRESSION
from benchmarks.report import Row, Unit
from benchmarks.timing import Samples
from benchmarks.workshop import Workshop, python

_MOST = 300 * 2**20
_STATUS = Path("/proc/self/status")
# Not the rusage of the child: what a process held before it became ours counts there.
_CALLED = """
import contextlib, os, re, sys
from gitparams.cli import main
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
    code = main(sys.argv[1:])
assert code == 0, code
print(int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) * 1024)
"""


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    if not _STATUS.exists():
        shop.say(f"{sys.platform} does not say what a process held at most: no figures of memory")
        return
    fresh, size = shop.clone(shop.runs), f"{shop.runs:,} runs"
    for what, words in (
        ("the first index", ("log", "-n", "1")),
        ("log -n 20", ("log", "-n", "20")),
        ("log --where … --sort … -n 20", ("log", "--where", EXPRESSION, "--sort", "-metrics.acc", "-n", "20")),
        ("log --replicates", ("log", "--replicates")),
    ):
        held = Samples((int(python(fresh, _CALLED, *words)),))
        yield Row(f"memory of {what}, {size}", held, most=_MOST, unit=Unit.BYTES)
