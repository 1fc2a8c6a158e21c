"""Capture: what it costs a program to be asked for its params, at its start and for a thousand of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import Row
from benchmarks.timing import Samples, interleaved, process
from benchmarks.workshop import Workshop
from gitparams.capture.redaction import Redaction
from gitparams.capture.reports import FOLDER, read_messages
from gitparams.execution import environment_of
from gitparams.journal import Journal
from gitparams.settings import Capture, Settings
from gitparams.writing import how_of

_FEW, _MANY, _GIVEN_EVERY = 10, 1000, 10
_MOST_AT_START, _MOST_OF_MANY = 15e-3, 5e-3
# Times those of other topics: a difference of differences is the noisiest figure of all.
_ROUNDS, _WARM_UP = 2, 2
# It says how long its parser took: the process around it has noise of its own.
_TRAINING = """
import argparse
import time

parser = argparse.ArgumentParser()
for number in range({count}):
    kind, default = ((int, number), (float, number / 7), (str, f"name-{{number}}"), (str, None))[number % 4]
    parser.add_argument(f"--param-{{number}}", type=kind, default=default)
begun = time.perf_counter()
parser.parse_args()
print(time.perf_counter() - begun)
"""


@dataclass(frozen=True, slots=True)
class _Training:
    """A program with so many params of argparse, every tenth of them given; it runs once a call.

    Attributes:
        count: how many params.
        folder: where the program is.
        environment: what it is started in.
        parsing: the seconds that its parser took, one for each call.
    """

    count: int
    folder: Path
    environment: Mapping[str, str]
    parsing: list[float] = field(default_factory=list)

    def __call__(self) -> None:
        """Run it from its start to its end."""
        given = (f"--param-{number}={number}" for number in range(0, self.count, _GIVEN_EVERY))
        words = [sys.executable, _name(self.count), *given]
        done = subprocess.run(words, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, check=True)
        self.parsing.append(float(done.stdout))


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a program takes alone, and what it takes when it is asked."""

    alone: Samples
    asked: Samples

    @property
    def extra(self) -> Samples:
        """What asking adds."""
        return self.asked.over(self.alone)


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    cost = _costs(shop)
    start, few, many = cost["start"], cost["few"], cost["many"]
    yield Row("asking python -c pass, over pass", start.extra, "python -c pass", start.alone, most=_MOST_AT_START)
    what = f"asking argparse, {_FEW} params, over train.py"
    yield Row(what, few.extra, "train.py alone", few.alone, most=_MOST_AT_START)
    what = f"asking argparse, {_MANY:,} params, over {_FEW}"
    yield Row(f"{what}: parse_args()", cost["many, parsed"].extra.over(cost["few, parsed"].extra), most=_MOST_OF_MANY)
    yield Row(f"{what}: process", many.extra.over(few.extra), f"train.py alone, {_MANY:,}", many.alone, most=_MOST_OF_MANY)


def _costs(shop: Workshop) -> dict[str, _Cost]:
    """Time each program in turn, alone and asked; the parsers' times are those of the same processes."""
    folder, rounds = shop.repository(), shop.rounds * _ROUNDS
    for count in (_FEW, _MANY):
        (folder / _name(count)).write_text(_TRAINING.format(count=count))
    journal = _journal(folder)
    environments = {"alone": dict(os.environ), "asked": environment_of(journal, Capture())}
    few = {how: _Training(_FEW, folder, variables) for how, variables in environments.items()}
    many = {how: _Training(_MANY, folder, variables) for how, variables in environments.items()}
    things: dict[str, Callable[[], object]] = {}
    for how, variables in environments.items():
        start = process(shop.nothing, folder, variables)
        things |= {f"start, {how}": start, f"few, {how}": few[how], f"many, {how}": many[how]}
    taken = interleaved(things, rounds, _WARM_UP)
    _assert_told(journal, rounds + _WARM_UP)
    whole = {name: _Cost(taken[f"{name}, alone"], taken[f"{name}, asked"]) for name in ("start", "few", "many")}
    return {**whole, "few, parsed": _parsed(few, rounds), "many, parsed": _parsed(many, rounds)}


def _parsed(training: Mapping[str, _Training], rounds: int) -> _Cost:
    last = {how: Samples(tuple(program.parsing[-rounds:])) for how, program in training.items()}
    return _Cost(last["alone"], last["asked"])


def _name(count: int) -> str:
    return f"train{count}.py"


def _journal(folder: Path) -> Journal:
    """Return the journal of a run that is asked for all, as `gitparams run` makes it."""
    journal = Journal(folder / ".git" / "gitparams" / "live" / "kkkkllllmmmmnnnn")
    journal.folder.mkdir(parents=True)
    journal.listen(how_of(Settings(), Redaction()))
    return journal


def _assert_told(journal: Journal, rounds: int) -> None:
    """Hold that every program told all of its params: nothing is cheaper than a capture that does not happen."""
    messages = read_messages(journal.folder / FOLDER)
    told = [len(message["values"]) for message in messages if message["kind"] == "params"]
    assert sorted(told) == [_FEW] * rounds + [_MANY] * rounds
    assert sum(message["kind"] == "hello" for message in messages) == 3 * rounds
    assert not any(message["kind"] == "fault" for message in messages)
