"""Bisect: which changes explain a worse metric, what is going to be run to find out, and a line for each mixture that was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gitparams.bisection import (
    CODE,
    Answer,
    Case,
    Cost,
    Evidence,
    Explanation,
    Factor,
    Found,
    Measured,
    Mixture,
    Part,
    Search,
    Step,
)
from gitparams.model import SHOWN_ID_LETTERS
from gitparams.params import MISSING
from gitparams.replicates import Spread
from gitparams.screens.items import cut_apart, short_value
from gitparams.screens.log import NARROWEST, metric_header
from gitparams.screens.numbers import delta_text
from gitparams.screens.replicates import spread_document, spread_texts
from gitparams.screens.table import Column, Style, table_lines
from gitparams.screens.terminal import Terminal, cell_width
from gitparams.values import printable

_MOST_ROWS = 30
_MOST_MIXTURES = 3
_LEAST_ROOM = 24  # cells for what a mixture sets; with less, what it gave goes below
_COMMIT_LETTERS = 7
_ADVISED_REPLICATES = 3
_WORDS = {Answer.GOOD: "good", Answer.BETWEEN: "between", Answer.BAD: "bad", Answer.UNRESOLVED: "tells nothing"}


# -- before it runs -------------------------------------------------------------------------------------------------------


def render_plan(case: Case, search: Search, *, terminal: Terminal, replicates: int = 1) -> str:
    """Return what differs, what is recorded of it, what would be run first, and how many runs it may take.

    Args:
        case: what is to be explained.
        search: the search as it stands.
        replicates: how many runs of each mixture are made.
    """
    width, plan = max(terminal.width, NARROWEST), search.plan()
    number = _count(len(case.factors), "change")
    lines = [*_wrapped(f"{_went(case, terminal)}: {number} may explain it.", terminal, width)]
    lines += _said([case.why], terminal, width)
    lines += ["", *_factor_lines(case, terminal, width)]
    if plan.first is None:
        return "\n".join([*lines, "", *_wrapped("Recorded runs tell it all: nothing is to be run.", terminal, width)])
    asked = [("first", plan.first), ("if bad", plan.if_bad), ("if not", plan.if_not)]
    lines += ["", *(_asked_line(word, mixture, case, terminal, width) for word, mixture in asked)]
    if plan.reused:
        use = "is used and not run again" if plan.reused == 1 else "are used and not run again"
        lines += ["", *_wrapped(f"{_count(plan.reused, 'recorded mixture')} {use}.", terminal, width)]
    else:
        lines += [""]
    costs = [f"{_range(plan.one)} when one change explains it", f"at most {plan.two.most} when two do"]
    said = f"To be run: {', '.join(costs)}, {plan.any.most} in any case{_each(replicates)}."
    return "\n".join([*lines, *_wrapped(said, terminal, width)])


def _range(cost: Cost) -> str:
    return f"{cost.least} to {_count(cost.most, 'mixture')}" if cost.least < cost.most else _count(cost.most, "mixture")


def _each(replicates: int) -> str:
    return f", {_count(replicates, 'run')} each" if replicates > 1 else ""


def _asked_line(word: str, mixture: Mixture | None, case: Case, terminal: Terminal, width: int) -> str:
    text = "the search has ended" if mixture is None else _mixture_text(mixture, case.factors, terminal, width - 8)
    return f"{terminal.dim(word)}{' ' * (8 - len(word))}{text}"


def _factor_lines(case: Case, terminal: Terminal, width: int) -> list[str]:
    """Return a line a change, with its old and new value and what pairs of recorded runs say of it."""
    shown = case.factors[:_MOST_ROWS]
    recorded = [_recorded_text((factor.path,), case.evidence, terminal) for factor in shown]
    lines = _change_table(shown, {"recorded": recorded} if any(recorded) else {}, terminal, width)
    more = len(case.factors) - len(shown)
    return [*lines, terminal.dim(f"{more} more")] if more else lines


# -- while it runs --------------------------------------------------------------------------------------------------------


def render_step(step: Step, case: Case, *, terminal: Terminal, most: int | None = None) -> str:
    """Return the line of one mixture: what it sets, what its runs gave, and what that means.

    Args:
        step: what was asked for and told.
        case: what is to be explained.
        most: how many mixtures there may be in all.
    """
    width = max(terminal.width, NARROWEST)
    limit = "" if most is None or most < step.number else f"/{'≤' if terminal.utf8 else '<='}{most}"
    head = f"{step.number}{limit}"
    (*_, value) = _values([case.question.good, case.question.bad, step.measured], terminal)
    word = _WORDS[step.answer] + (", within the noise" if step.uncertain else "")
    result = value if step.measured.broken else f"{terminal.cut(terminal.safe(case.question.metric), 24)} {value}"
    tail = f"   {result}  {_style(step.answer, terminal)(word)}"
    room = width - cell_width(f"{head}     {result}  {word}")
    if room < _LEAST_ROOM:
        text = _mixture_text(step.mixture, case.factors, terminal, width - len(head) - 2)
        return f"{terminal.dim(head)}  {text}\n{terminal.cut(f'  {result}  {word}', width)}"
    return f"{terminal.dim(head)}  {_mixture_text(step.mixture, case.factors, terminal, room)}{tail}"


def _style(answer: Answer, terminal: Terminal) -> Style:
    return {Answer.BAD: terminal.red, Answer.GOOD: terminal.green}.get(answer, terminal.yellow)


# -- what was found -------------------------------------------------------------------------------------------------------


def render_found(case: Case, found: Found, *, terminal: Terminal, replicates: int = 1) -> str:
    """Return the answer: the changes that explain it, what each does, and how sure that is.

    Args:
        case: what was to be explained.
        found: what the search found, whether it has ended or not.
        replicates: how many runs of each mixture were made.
    """
    width = max(terminal.width, NARROWEST)
    lines = [*map(terminal.bold, _wrapped(_headline(case, found, terminal), terminal, width))]
    for place, explanation in enumerate(found.sets, 1):
        title = [terminal.dim(f"{place} of {len(found.sets)}, enough by itself")] if len(found.sets) > 1 else []
        lines += ["", *title, *_explanation_lines(explanation, case, terminal, width)]
    if found.sets:
        lines += ["", *_value_lines(case, found, terminal, width)]
    sentences = [case.why, *_sentences(case, found, terminal, replicates)]
    return "\n".join([*lines, "", *_said(sentences, terminal, width), *_said([_runs_text(found, replicates)], terminal, width)])


def _headline(case: Case, found: Found, terminal: Terminal) -> str:
    went = _went(case, terminal)
    if not found.sets:
        return f"{went}. {_sought_text(found, terminal)}"
    if len(found.sets) > 1:
        return f"{went}. {len(found.sets)} explanations are each enough by themselves."
    if not found.finished:
        return f"{went}. {_count(len(found.sets[0].parts), 'change')} found to be enough; the search has not ended."
    number = len(found.sets[0].parts)
    return f"{went}. One change explains it." if number == 1 else f"{went}. {number} changes explain it together."


def _sought_text(found: Found, terminal: Terminal) -> str:
    if found.needed:
        others = f"; what else has is among {_paths_text(found.suspects, terminal)}" if found.suspects else ""
        return f"Not found yet: {_paths_text(found.needed, terminal)} {_has(found.needed)} a part in it{others}."
    return f"Not found yet: it is among {_paths_text(found.suspects, terminal)}."


def _has(factors: Sequence[Factor]) -> str:
    return "has" if len(factors) == 1 else "have"


def _went(case: Case, terminal: Terminal) -> str:
    question = case.question
    way = {question.metric: question.direction} if question.direction is not None else {}
    name = metric_header(question.metric, way, terminal, 40)
    if question.bad.broken and not question.bad.values:
        return f"{_id(case.bad.id, terminal)} {case.bad.status}, and {_id(case.good.id, terminal)} did not"
    good, bad = _values([question.good, question.bad], terminal)
    return f"{name} went from {good} in {_id(case.good.id, terminal)} to {bad} in {_id(case.bad.id, terminal)}"


def _explanation_lines(explanation: Explanation, case: Case, terminal: Terminal, width: int) -> list[str]:
    parts = explanation.parts
    recorded = [_recorded_text((part.factor.path,), case.evidence, terminal) for part in parts]
    columns: dict[str, list[str]] = {}
    if len(parts) > 1:
        columns |= _part_columns(parts, case, terminal)
    if any(recorded):
        columns["recorded"] = recorded
    return _change_table([part.factor for part in parts], columns, terminal, width)


def _part_columns(parts: Sequence[Part], case: Case, terminal: Terminal) -> dict[str, list[str]]:
    known = {"alone": [part.alone for part in parts], "without it": [part.without for part in parts]}
    ends = [case.question.good, case.question.bad]
    texts = _values([*ends, *known["alone"], *known["without it"]], terminal)[2:]
    columns = {"alone": texts[: len(parts)], "without it": texts[len(parts) :]}
    return {head: columns[head] for head, told in known.items() if any(one is not None for one in told)}


def _value_lines(case: Case, found: Found, terminal: Terminal, width: int) -> list[str]:
    """Return a line for the good run, for each explanation, for the bad run, and for that one without them."""
    question = case.question
    several = len(found.sets) > 1
    labels = ["good", *(_with(found, place) for place in range(1, len(found.sets) + 1)), "bad"]
    told: list[Measured] = [question.good, *(one.measured for one in found.sets), question.bad]
    notes = [_id(case.good.id, terminal), *(_share_text(one, case, terminal) for one in found.sets), _id(case.bad.id, terminal)]
    if found.rest is not None and found.rest != question.good:
        labels.append("bad without them" if several or len(found.sets[0].parts) > 1 else "bad without it")
        told.append(found.rest)
        notes.append(_WORDS[found.rest_answer] if found.rest_answer is not None else "")
    texts = _aligned(told, terminal)
    name = metric_header(question.metric, {question.metric: question.direction} if question.direction else {}, terminal)
    columns = [Column(["", *labels], gap=0), Column([name, *texts], right=True), Column(["", *notes])]
    if sum(column.space for column in columns) > width:
        columns[-1] = Column(["", *(note.partition(" of the change")[0] for note in notes)])
    header, *lines = table_lines(columns)
    return [terminal.dim(header), *(terminal.cut(line, width) for line in lines)]


def _with(found: Found, place: int) -> str:
    if len(found.sets) > 1:
        return f"with {place}"
    return "with it" if len(found.sets[0].parts) == 1 else "with them"


def _share_text(explanation: Explanation, case: Case, terminal: Terminal) -> str:
    if explanation.way is None or explanation.effect is None:
        return ""
    good, value = case.question.good, explanation.measured
    mean, *_ = _values([value, good, case.question.bad], terminal)[0].split(" ± " if terminal.utf8 else " +- ")
    delta = delta_text(good.value, value.value, minus=terminal.minus, places=len(mean.partition(".")[2]))
    noise = ", within the noise" if explanation.uncertain else ""
    return f"{delta}, {explanation.way:.0%} of the change{noise}"


def _sentences(case: Case, found: Found, terminal: Terminal, replicates: int) -> list[str]:
    """Return what else there is to say of the answer, a sentence each."""
    return [
        *(text for one in found.sets for text in _explained_sentences(one, case, terminal)),
        _rest_sentence(case, found, terminal),
        _unresolved_sentence(case, found, terminal),
        _uncertain_sentence(found, replicates),
        _stopped_sentence(found, terminal),
    ]


def _explained_sentences(explanation: Explanation, case: Case, terminal: Terminal) -> list[str]:
    said = []
    paths = tuple(part.factor.path for part in explanation.parts)
    if explanation.needs_all:
        said.append("Only together: without any one of them nothing is left of it.")
    elif explanation.minimal and len(paths) > 1:
        said.append("Each carries a part of it.")
    if not explanation.minimal:
        said.append("Not shown to be minimal: not all of them could be tried without one another.")
    together = _recorded_text(tuple(factor.path for factor in case.factors if factor.path in paths), case.evidence, terminal)
    if len(paths) == 2 and together:
        said.append(f"Recorded runs that differ in both: {together}.")
    return said


def _rest_sentence(case: Case, found: Found, terminal: Terminal) -> str:
    them = "them" if sum(len(one.parts) for one in found.sets) > 1 else "it"
    bad = _id(case.bad.id, terminal)
    if found.rest_answer is Answer.UNRESOLVED:
        return f"Whether anything else has a part in it is not known: {bad} without {them} failed."
    if found.rest_answer is Answer.BETWEEN and found.explained is not None:
        return f"Without {them} {1 - found.explained:.0%} of the change is left, which no other changes explain."
    if found.finished or not found.sets or found.rest is not None:
        return ""
    return f"Whether anything else has a part in it was not tried: {bad} without {them}."


def _stopped_sentence(found: Found, terminal: Terminal) -> str:
    if found.finished:
        return ""
    among = f" while it looked among {_paths_text(found.suspects, terminal)}" if found.sets and found.suspects else ""
    return f"It was stopped{among}; the same command goes on from here."


def _unresolved_sentence(case: Case, found: Found, terminal: Terminal) -> str:
    if not found.unresolved:
        return ""
    shown = [_paths_text(_chosen(mixture, case.factors), terminal) for mixture in found.unresolved[:_MOST_MIXTURES]]
    more = len(found.unresolved) - len(shown)
    others = f"; {more} more" if more else ""
    return f"{_count(len(found.unresolved), 'mixture')} failed and told nothing: {'; '.join(shown)}{others}."


def _uncertain_sentence(found: Found, replicates: int) -> str:
    if not found.uncertain:
        return ""
    number = max(_ADVISED_REPLICATES, 2 * replicates)
    are = "lies" if len(found.uncertain) == 1 else "lie"
    return f"{_count(len(found.uncertain), 'answer')} {are} within the noise; --replicates {number} makes it surer."


def _runs_text(found: Found, replicates: int) -> str:
    runs = f" ({found.tests * replicates} runs)" if replicates > 1 and found.tests else ""
    return f"{_count(found.tests, 'mixture')} run{runs}, {_count(found.reused, 'recorded one')} used."


# -- words ----------------------------------------------------------------------------------------------------------------


def _change_table(factors: Sequence[Factor], more: Mapping[str, Sequence[str]], terminal: Terminal, width: int) -> list[str]:
    """Return a line a change with what else there is to say of it, which goes below where it does not fit beside."""
    paths = [_path_text(factor, terminal) for factor in factors]
    changes = [_change_text(factor, terminal) for factor in factors]
    dimmed: Style = lambda text: text.replace(f" {terminal.arrow} ", f" {terminal.dim(terminal.arrow)} ")  # noqa: E731
    columns = [Column(["change", *paths], gap=0), Column(["", *changes], dict.fromkeys(range(1, len(changes) + 1), dimmed))]
    columns += [Column([head, *texts], right=head != "recorded", gap=3) for head, texts in more.items()]
    if sum(column.space for column in columns) <= width:
        header, *lines = table_lines(columns)
        return [terminal.dim(header), *lines]
    lines = []
    for place, (path, change) in enumerate(zip(paths, changes, strict=True)):
        said = terminal.dot.join(f"{head} {texts[place].strip()}" for head, texts in more.items() if texts[place].strip())
        lines += terminal.wrapped(f"{path} {change}", width)
        lines += [f"  {line}" for line in terminal.wrapped(said, width - 2) if line]
    return lines


def _path_text(factor: Factor, terminal: Terminal) -> str:
    return "the code" if factor.path == CODE else terminal.safe(factor.path)


def _change_text(factor: Factor, terminal: Terminal) -> str:
    old, new = _shown_values(factor, terminal)
    return f"{old} {terminal.arrow} {new}"


def _shown_values(factor: Factor, terminal: Terminal) -> Sequence[str]:
    if factor.path == CODE:
        return [terminal.safe(str(value))[:_COMMIT_LETTERS] for value in (factor.good, factor.bad)]
    return cut_apart([factor.good, factor.bad], 24, terminal)


def _mixture_text(mixture: Mixture, factors: Sequence[Factor], terminal: Terminal, width: int) -> str:
    """Return what a mixture sets: the fewer of its bad and its good values, as many whole ones as fit."""
    bad = _chosen(mixture, factors)
    good = [factor for factor in factors if factor.path not in mixture]
    chosen, rest = (bad, "good") if len(bad) <= len(good) else (good, "bad")
    texts = [_set_text(factor, rest == "bad", terminal) for factor in chosen[:_MOST_ROWS]]
    end = f"{terminal.dot}rest {rest}"
    for number in range(len(texts), 0, -1):
        more = f", {len(chosen) - number} more" if number < len(chosen) else ""
        line = f"{', '.join(texts[:number])}{more}{end}"
        if cell_width(line) <= width:
            return line
    line = f"{_count(len(chosen), 'change')} {'good' if rest == 'bad' else 'bad'}"
    return line + end if cell_width(line + end) <= width else terminal.cut(line, width)


def _set_text(factor: Factor, good: bool, terminal: Terminal) -> str:
    value = factor.good if good else factor.bad
    if value is MISSING:
        return f"no {terminal.safe(factor.path)}"
    text = _shown_values(factor, terminal)[0 if good else 1] if factor.path == CODE else short_value(value, terminal)
    return f"{_path_text(factor, terminal)} {text}"


def _chosen(mixture: Mixture, factors: Sequence[Factor]) -> list[Factor]:
    return [factor for factor in factors if factor.path in mixture]


def _paths_text(factors: Sequence[Factor], terminal: Terminal) -> str:
    names = [_path_text(factor, terminal) for factor in factors[:8]]
    more = len(factors) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _recorded_text(paths: tuple[str, ...], evidence: Iterable[Evidence], terminal: Terminal) -> str:
    """Return what pairs of recorded runs say of a change: the mean of what the metric did, with its spread."""
    found = next((item for item in evidence if set(item.paths) == set(paths)), None)
    if found is None:
        return ""
    delta, pairs = found.delta, _count(found.pairs, "pair")
    if not delta.n:
        return f"failed ({pairs})"
    failed = f", {delta.not_finite} failed" if delta.not_finite else ""
    return f"{_signed(delta, terminal)} ({pairs}{failed})"


def _signed(delta: Spread, terminal: Terminal) -> str:
    (text,) = spread_texts([delta], terminal)
    text = text.strip()
    return f"{terminal.minus}{text[1:]}" if text.startswith("-") else f"+{text}" if delta.mean > 0 else text


def _values(told: Sequence[Measured | None], terminal: Terminal) -> list[str]:
    """Return what runs gave, with as many digits as tell all of them apart."""
    return [text.strip() for text in _aligned(told, terminal)]


def _aligned(told: Sequence[Measured | None], terminal: Terminal) -> list[str]:
    numbers = [None if one is None or one.broken else one.spread for one in told]
    texts = spread_texts(numbers, terminal)
    words = [_broken_word(one) if one is not None and one.broken else text for one, text in zip(told, texts, strict=True)]
    return [word.rjust(len(text.rstrip())).ljust(len(text)) for word, text in zip(words, texts, strict=True)]


def _broken_word(told: Measured) -> str:
    return "failed" if told.failed or not told.values else "nan"


def _id(run: str, terminal: Terminal) -> str:
    return terminal.safe(run[:SHOWN_ID_LETTERS])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun if number == 1 else noun + 's'}"


def _wrapped(text: str, terminal: Terminal, width: int) -> list[str]:
    return terminal.wrapped(terminal.safe(text), width)


def _said(sentences: Sequence[str], terminal: Terminal, width: int) -> list[str]:
    """Return sentences, each on lines of its own; the empty ones are left out."""
    return [terminal.dim(line) for text in sentences if text for line in _wrapped(text, terminal, width)]


# -- documents ------------------------------------------------------------------------------------------------------------


def found_document(case: Case, found: Found, steps: Sequence[Step] = ()) -> dict[str, Any]:
    """Return the document of ``bisect --json``. Changes are named by their written paths, the code is ``(code)``."""
    return {
        **_case_document(case),
        "explanations": [_explanation_document(one) for one in found.sets],
        "explained": printable(found.explained),
        "rest": _measured_document(found.rest),
        "rest_answer": str(found.rest_answer) if found.rest_answer is not None else None,
        "unresolved": [_mixture_document(mixture, case) for mixture in found.unresolved],
        "uncertain": [_mixture_document(mixture, case) for mixture in found.uncertain],
        "suspects": [factor.path for factor in found.suspects],
        "tests": found.tests,
        "reused": found.reused,
        "finished": found.finished,
        "steps": [
            {
                "mixture": _mixture_document(step.mixture, case),
                "measured": _measured_document(step.measured),
                "answer": str(step.answer),
                "uncertain": step.uncertain,
            }
            for step in steps
        ],
    }


def plan_document(case: Case, search: Search) -> dict[str, Any]:
    """Return the document of ``bisect --dry-run --json``: what is recorded, what would be run first, and the costs."""
    plan = search.plan()
    first = None if plan.first is None else _mixture_document(plan.first, case)
    costs = {"one": plan.one, "two": plan.two, "any": plan.any}
    return {
        **_case_document(case),
        "first": first,
        "cost": {name: {"least": cost.least, "most": cost.most} for name, cost in costs.items()},
        "reused": plan.reused,
    }


def _case_document(case: Case) -> dict[str, Any]:
    question = case.question
    return {
        "good": case.good.id,
        "bad": case.bad.id,
        "metric": question.metric,
        "direction": str(question.direction) if question.direction is not None else None,
        "why": case.why,
        "share": question.share,
        "measured": {"good": _measured_document(question.good), "bad": _measured_document(question.bad)},
        "changes": [_factor_document(factor) for factor in case.factors],
        "recorded": [
            {
                "paths": list(item.paths),
                "pairs": item.pairs,
                "delta": spread_document(item.delta),
                "example": list(item.example),
            }
            for item in case.evidence
        ],
    }


def _factor_document(factor: Factor) -> dict[str, Any]:
    return {"path": factor.path, "good": _value_document(factor.good), "bad": _value_document(factor.bad)}


def _value_document(value: Any) -> Any:
    return {"missing": True} if value is MISSING else printable(value)


def _measured_document(told: Measured | None) -> dict[str, Any] | None:
    return None if told is None else {**spread_document(told.spread), "failed": told.failed}


def _explanation_document(explanation: Explanation) -> dict[str, Any]:
    return {
        "changes": [
            {
                **_factor_document(part.factor),
                "alone": _measured_document(part.alone),
                "without": _measured_document(part.without),
            }
            for part in explanation.parts
        ],
        "measured": _measured_document(explanation.measured),
        "share": printable(explanation.way),
        "effect": printable(explanation.effect),
        "needs_all": explanation.needs_all,
        "minimal": explanation.minimal,
        "uncertain": explanation.uncertain,
    }


def _mixture_document(mixture: Mixture, case: Case) -> list[str]:
    return [factor.path for factor in _chosen(mixture, case.factors)]
