"""Writers: eight processes that record at once, beside one that records as many; nothing may be lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.configs import METRICS, Sweep
from benchmarks.report import Row, Unit
from benchmarks.timing import Samples, interleaved
from benchmarks.workshop import Workshop, entries, python

_PROCESSES, _RUNS, _ROUNDS = 8, 50, 3
# A program of its own: it must see nothing of these benchmarks' folder. It says when it is ready, and waits for the word.
_WRITER = """
import json, random, sys
import gitparams
gitparams.record
params, runs, names = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
print("ready", flush=True)
sys.stdin.readline()
errors = 0
for number in range(runs):
    params["optim"]["lr"] = random.random()
    try:
        gitparams.record(params, {name: random.random() for name in names})
    except Exception as error:
        errors += 1
        print(error, file=sys.stderr)
print(errors, flush=True)
"""


@dataclass
class _Tally:
    """What came of all rounds."""

    errors: int = 0
    folders: list[Path] = field(default_factory=list)


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    total = _PROCESSES * _RUNS
    tally = _Tally()
    many, one = f"{_PROCESSES} processes × {_RUNS} runs at once", f"one process, {total} runs"
    taken = _timed(shop, {many: (_PROCESSES, _RUNS), one: (1, total)}, tally)
    yield Row(many, taken[many], one, taken[one], most_ratio=2)
    yield Row("errors of all writers", Samples((tally.errors,)), most=0, unit=Unit.COUNT)
    lost = sum(total - min(entries(folder), _listed(folder)) for folder in tally.folders)
    yield Row("runs lost, by rev-list and gitparams.runs()", Samples((lost,)), most=0, unit=Unit.COUNT)


def _timed(shop: Workshop, teams: dict[str, tuple[int, int]], tally: _Tally) -> dict[str, Samples]:
    """Time teams of writers, each time in a new repository, from the word to the last one's end; starting them is not timed."""
    taken: dict[str, list[float]] = {name: [] for name in teams}
    for _ in range(_ROUNDS):
        for name, (processes, runs) in teams.items():
            folder = shop.repository()
            tally.folders.append(folder)
            team = [_writer(folder, runs) for _ in range(processes)]
            once = interleaved({name: _go(team, tally)}, 1, warm_up=0)
            taken[name].extend(once[name].values)
    return {name: Samples(tuple(values)) for name, values in taken.items()}


def _writer(folder: Path, runs: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", _WRITER, json.dumps(Sweep(runs).params()), str(runs), *METRICS]
    writer = subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    writer.stdout.readline()
    return writer


def _go(team: list[subprocess.Popen[str]], tally: _Tally) -> Callable[[], object]:
    def go() -> None:
        for writer in team:
            assert writer.stdin is not None
            writer.stdin.write("go\n")
            writer.stdin.flush()
        for writer in team:
            answer, _ = writer.communicate()
            tally.errors += int(answer) if writer.returncode == 0 else 1

    return go


def _listed(folder: Path) -> int:
    return int(python(folder, "import gitparams; print(len({run.id for run in gitparams.runs()}))"))
