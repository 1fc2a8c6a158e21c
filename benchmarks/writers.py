"""Writers: eight and 64 processes that record at once, beside one that records as many; nothing may be lost."""

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

_FEW, _MANY, _RUNS = 8, 64, 50
_ALONE = _FEW * _RUNS
_ROUNDS, _ROUNDS_OF_MANY = 3, 1  # thousands of runs take half a minute, and are a mean already
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
    """What came of all rounds: the errors, and each repository with the runs that it should have."""

    errors: int = 0
    folders: dict[Path, int] = field(default_factory=dict)


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    tally = _Tally()
    yield _together(shop, _FEW, _ROUNDS, tally)
    yield _together(shop, _MANY, _ROUNDS_OF_MANY, tally)
    yield Row("errors of all writers", Samples((tally.errors,)), most=0, unit=Unit.COUNT)
    lost = sum(total - min(entries(folder), _listed(folder)) for folder, total in tally.folders.items())
    yield Row("runs lost, by rev-list and gitparams.runs()", Samples((lost,)), most=0, unit=Unit.COUNT)


def _together(shop: Workshop, processes: int, rounds: int, tally: _Tally) -> Row:
    """Time a team beside one process that writes `_ALONE` runs; of more runs that one would take the more, and tell no more."""
    times = processes * _RUNS // _ALONE
    many, one = f"{processes} processes × {_RUNS} runs at once", f"one process, {_ALONE} runs{f', × {times}' * (times > 1)}"
    shop.say(f"writers: {many}")
    taken = _timed(shop, {many: (processes, _RUNS), one: (1, _ALONE)}, rounds, tally)
    alone = Samples(tuple(value * times for value in taken[one].values))
    return Row(many, taken[many], one, alone, most_ratio=2)


def _timed(shop: Workshop, teams: dict[str, tuple[int, int]], rounds: int, tally: _Tally) -> dict[str, Samples]:
    """Time teams of writers, each time in a new repository, from the word to the last one's end; starting them is not timed."""
    taken: dict[str, list[float]] = {name: [] for name in teams}
    for _ in range(rounds):
        for name, (processes, runs) in teams.items():
            folder = shop.repository()
            tally.folders[folder] = processes * runs
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
