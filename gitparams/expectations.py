"""Expectations: what was expected of a run before it began, and whether it came true."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gitparams.model import Run, RunId, Status, now
from gitparams.params import MISSING, path_text
from gitparams.query import Expression, Field, Named, OfRun, QueryError, read


class Verdict(StrEnum):
    """Whether an expectation came true.

    ``confirmed`` the run completed and it holds · ``refuted`` the run completed and it does not, or cannot be told ·
    ``untested`` the run ended without completing, or the expectation cannot be read · ``pending`` the run goes on.
    """

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNTESTED = "untested"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one expectation.

    Attributes:
        expression: the expectation, as it was written.
        verdict: whether it came true.
        items: what it is about, by name, as far as the verdict rests on it; `MISSING` where the run has none.
        problem: why it cannot be read, or empty.
    """

    expression: str
    verdict: Verdict
    items: tuple[tuple[str, Any], ...] = ()
    problem: str = ""


def checked(expressions: Iterable[str]) -> tuple[str, ...]:
    """Return the expectations if each can be asked of a run that completed.

    Raises:
        QueryError: one is no expression, is about several runs, or about nothing.

    >>> checked(["metrics.acc > 0.92"])
    ('metrics.acc > 0.92',)
    """
    unborn = OfRun(Run(RunId(""), Status.OPEN, now()))
    return tuple(_checked(read(text, unborn)) for text in expressions)


def _checked(expression: Expression) -> str:
    if expression.changing():
        raise QueryError("an expectation is about one run, and changed compares two.", expression.text, 1, _HINT)
    if not expression.named() and not expression.existing():
        raise QueryError("an expectation is about something of the run.", expression.text, 1, _HINT)
    return expression.text


def answers(run: Run) -> tuple[Answer, ...]:
    """Return what became of each expectation of a run; those of a group are untested, for its runs answer for themselves.

    What a completed run lacks, and NaN, refutes: nothing is confirmed because it could not be compared.

    >>> from gitparams.model import new_run_id
    >>> run = Run(new_run_id(), Status.COMPLETED, now(), metrics={"acc": 0.913}, expect=("metrics.acc > 0.92",))
    >>> [(str(answer.verdict), answer.items) for answer in answers(run)]
    [('refuted', (('acc', 0.913),))]
    """
    return tuple(_answer(text, run) for text in run.expect)


def verdict_of(run: Run) -> Verdict | None:
    """Return one verdict for all expectations of a run: the worst; None when there is none, or the run is a group.

    >>> from gitparams.model import new_run_id
    >>> both = ("metrics.acc > 0.9", "metrics.loss < 0.2")
    >>> print(verdict_of(Run(new_run_id(), Status.COMPLETED, now(), metrics={"acc": 0.93, "loss": 0.1}, expect=both)))
    confirmed
    """
    if not run.expect or run.group:
        return None
    return min((answer.verdict for answer in answers(run)), key=_WORST_FIRST.index)


def _answer(text: str, run: Run) -> Answer:
    if not run.status.finished:
        return Answer(text, Verdict.PENDING)
    if run.status is not Status.COMPLETED:
        return Answer(text, Verdict.UNTESTED)
    if run.group:
        return Answer(text, Verdict.UNTESTED, problem="each of its runs answers")
    try:
        expression = read(text, OfRun(run))
    except QueryError as error:  # of a newer version, or of another program
        return Answer(text, Verdict.UNTESTED, problem=error.problem.rstrip("."))
    surely = expression.surely()
    told = expression.named() if surely else expression.unknown() or expression.named()
    items = tuple((_name(item), expression.subject.value(item)) for item in told)
    there = tuple((_name(item), expression.subject.exists(item)) for item in expression.existing() if item not in told)
    lacking = tuple((name, MISSING) for name, exists in there if not exists)
    return Answer(text, Verdict.CONFIRMED if surely else Verdict.REFUTED, items + lacking)


def _name(item: Named) -> str:
    if isinstance(item, Field):
        return item.name
    return item.keys[0] if item.document == "metrics" else path_text(item.keys)


_HINT = "metrics.acc > 0.92"
_WORST_FIRST = (Verdict.REFUTED, Verdict.UNTESTED, Verdict.PENDING, Verdict.CONFIRMED)
