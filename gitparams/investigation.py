"""Investigation: a bisection carried out: what is recorded is asked first, and what is still to be known is run."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gitparams.bisection import (
    CODE,
    Case,
    CommitSearch,
    Factor,
    Found,
    Measured,
    Mixture,
    Question,
    Row,
    Search,
    Step,
    asked,
    case,
    wanted,
)
from gitparams.capture.files import tree_files
from gitparams.delivery import Delivery, Said, declared, deliver, fill
from gitparams.errors import UsageError
from gitparams.flat import decode_flat, written
from gitparams.index import Filter
from gitparams.model import CodeState, Oid, Run, RunId, Status
from gitparams.params import MISSING, flatten
from gitparams.repository import Repository
from gitparams.seeds import is_seed
from gitparams.settings import FILE
from gitparams.values import Value, same
from gitparams.workshop import Workshop, run_again, shortfall
from gitparams.writing import Beginning

_MOST_TREES = 500
"""Trees of code whose files are listed, at some milliseconds each; runs of others count for nothing."""
_SET_BY_CODE = ("code", "globals")
TAG = "bisect"
"""The tag of the runs that a bisection makes."""


class Stopped(Exception):
    """The person stopped a run, or no more runs were allowed; what was run stays, and the same command goes on from there."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a bisection is asked.

    Attributes:
        good, bad: the runs.
        metric: its name; one that got worse when None.
        share: how much of the way from good to bad makes a mixture bad.
        replicates: how many runs of each mixture are made, each with a seed of its own.
        command: the program and its arguments with placeholders, ``{optim.lr}``; that of the good run when empty.
        links: what git does not track and the program needs.
        files, metrics: files of params and of metrics, as `gitparams run` takes them.
        most: how many runs may be made; any number when None.
    """

    good: Run
    bad: Run
    metric: str | None = None
    share: float = 0.8
    replicates: int = 1
    command: tuple[str, ...] = ()
    links: Sequence[str] = ()
    files: Sequence[str] = ()
    metrics: Sequence[str] = ()
    most: int | None = None


@dataclass(slots=True)
class Told:
    """What an investigation has found so far.

    Attributes:
        case, search: what is asked, and how far it is.
        travelling: params that the code itself sets, and that change with it.
        commits: once the code is guilty, the commits one of which is the first bad one.
        made: the runs that were made.
    """

    case: Case
    search: Search
    travelling: tuple[str, ...] = ()
    commits: tuple[Oid, ...] = ()
    made: list[RunId] = field(default_factory=list)


class Investigation:
    """Finds out which changes between two runs explain a metric, in one repository.

    Args:
        repository: where the runs are.
        wish: what is asked.
        say: says one sentence to the person.
    """

    def __init__(self, repository: Repository, wish: Wish, say: Callable[[str], None]) -> None:
        self.repository, self.wish, self.say = repository, wish, say
        self._sides = {run.id: Said.of(run, repository.details(run).origins) for run in (wish.good, wish.bad)}
        self._codes: dict[str, str] = {}
        self._files: frozenset[str] | None = None
        self._mark = f"bisect {wish.good.short_id}..{wish.bad.short_id}: "  # how the notes of its runs begin

    def begin(self) -> Told:
        """Return what is asked and what the recorded runs say of it, before anything is run.

        Raises:
            UsageError: nothing differs, the metric does not tell good from bad, or a param cannot be set to another value.
        """
        good, bad = self._row(self.wish.good), self._row(self.wish.bad)
        travelling = self._travelling(good, bad)
        found = self._case(good, bad, travelling)
        self._check_deliverable(found)
        return Told(found, self._search(found), travelling)

    def carry_out(self, told: Told, seen: Callable[[Step, Case, Search], None]) -> Found:
        """Run what is still to be known, one mixture after another, and return what was found.

        Args:
            told: what `begin` returned; it is kept up to date.
            seen: called with each mixture that was run.

        Raises:
            Stopped: a run was interrupted, or no more are allowed.
            UsageError: the program did not take a value, or gives no such metric.
        """
        with Workshop(self.repository.git) as shop:
            for link in self.wish.links:
                shop.link(link)
            if self.wish.replicates > 1:
                self._replicate_ends(shop, told)
            while (mixture := told.search.next()) is not None:
                told.search.tell(mixture, self._measured(shop, told, mixture))
                seen(told.search.steps()[-1], told.case, told.search)
            found = told.search.result()
            told.commits = self._guilty_commits(shop, told, found)
            for note in shop.notes:
                self.say(note)
        return found

    # -- what is recorded ---------------------------------------------------------------------------------------------

    def _case(self, good: Row, bad: Row, travelling: Sequence[str]) -> Case:
        settings = self.repository.settings
        return case(
            good,
            bad,
            self._rows(good.code, bad.code),
            metric=self.wish.metric,
            share=self.wish.share,
            directions=settings.directions,
            seeds=settings.seeds,
            ignore=(*settings.ignore, *travelling),
        )

    def _search(self, found: Case) -> Search:
        """Return a search that was told of each mixture that has runs enough."""
        search = Search(found.factors, found.question, found.likely)
        for mixture, (_, measured) in found.recorded.items():
            if measured.runs >= self.wish.replicates:
                search.tell(mixture, measured)
        return search

    def _rows(self, *codes: str | None) -> Iterator[Row]:
        """Yield the recorded runs; the code of one is known as far as it can be that of the good or the bad run."""
        for identity, _, document, params, metrics in self.repository.index.rows(Filter()):
            told = _told_of(document)
            tree = told["git"].get("tree") or told["git"].get("commit")
            code = self._code(tree) if len(set(codes)) > 1 or tree else None
            numbers = {written(key): value for key, value in decode_flat(metrics).items() if isinstance(value, int | float)}
            values = {written(key): value for key, value in decode_flat(params).items()}
            yield Row(identity, values, numbers, code, Status(told["status"]), str(told["note"]).startswith(self._mark))

    def _row(self, run: Run) -> Row:
        tree = run.code.tree or run.code.commit
        return Row(run.id, flatten(run.params), run.metrics, self._code(tree), run.status)

    def _code(self, tree: str | None) -> str | None:
        """Return what tells the code of a tree from other code: its files without those of params, whose values are changes."""
        if tree is None:
            return None
        if tree not in self._codes:
            if len(self._codes) >= _MOST_TREES:
                return tree
            self._codes[tree] = self._digest(tree)
        return self._codes[tree]

    def _digest(self, tree: str) -> str:
        listed = self.repository.git.run("ls-tree", "-r", "-z", "--full-tree", tree, check=False)
        if listed.returncode:
            return tree
        lines = [line for line in listed.stdout.decode("utf-8", "surrogateescape").split("\0") if line]
        names = [line.partition("\t")[2] for line in lines]
        params = {FILE, *self._params_files(), *tree_files(self.repository.settings.params_files, names)}
        code = "\0".join(line for line, name in zip(lines, names, strict=True) if name not in params)
        return hashlib.sha256(code.encode("utf-8", "surrogateescape")).hexdigest()

    def _params_files(self) -> frozenset[str]:
        """Return the files, from the top, that origins of the good and the bad run name."""
        if self._files is None:
            places = [
                (run.cwd, origin.at)
                for run in (self.wish.good, self.wish.bad)
                for origin in self._sides[run.id].origins.values()
                if origin.source == "file" and origin.at
            ]
            names = {(cwd, at.rpartition(":")[0] or at) for cwd, at in places}
            self._files = frozenset(os.path.normpath(place) for cwd, name in names for place in (name, f"{cwd}/{name}"))
        return self._files

    # -- what can be said to the program --------------------------------------------------------------------------------

    def _travelling(self, good: Row, bad: Row) -> tuple[str, ...]:
        """Return the params that the code sets: where the code differs they change with it."""
        if good.code == bad.code or self.wish.command:
            return ()
        mine, other = (self._sides[run.id] for run in (self.wish.good, self.wish.bad))
        return tuple(
            sorted(
                path
                for path in {*mine.params, *other.params}
                if not _alike(mine.params.get(path, MISSING), other.params.get(path, MISSING))
                and self._undelivered(path, other.params.get(path, MISSING))
                and not any(_is_said(side, path) for side in (mine, other))
            )
        )

    def _undelivered(self, path: str, value: Any) -> str | None:
        mine, other = (self._sides[run.id] for run in (self.wish.good, self.wish.bad))
        return next((why for _, why in deliver(mine, {path: value}, [other]).undelivered), None)

    def _check_deliverable(self, found: Case) -> None:
        everything = frozenset(factor.path for factor in found.factors)
        for factor in found.factors:
            for mixture in (frozenset({factor.path}), everything - {factor.path}):
                for path, why in self._delivery(found, mixture, {}).undelivered:
                    if path == factor.path or path.startswith((f"{factor.path}.", f"{factor.path}[")):
                        raise UsageError(
                            f"{path} cannot be set to another value: {why}.",
                            hint=f"gitparams bisect … -- CMD with {{{path}}} where its value belongs",
                        )

    def _delivery(self, found: Case, mixture: Mixture, seeds: Mapping[str, Value]) -> Delivery:
        base, other = self._base(mixture)
        values = {**wanted(found.factors, mixture), **seeds}
        if not self.wish.command:
            return deliver(base, values, [other])
        known = {**base.params, **values}
        command, used = fill(self.wish.command, known)
        rest = {path: value for path, value in values.items() if path not in used or _is_declared(base, path)}
        said = deliver(Said(command, base.params, base.origins), rest, [other])
        # the program may have no parser that tells of them
        words = [declared(path, known[path]) for path in sorted(used - rest.keys()) if known[path] is not MISSING]
        return replace(said, overrides=(*said.overrides, *words))

    def _base(self, mixture: Mixture) -> tuple[Said, Said]:
        """Return how the run was told its params whose code a mixture has, and the other one."""
        good, bad = self._sides[self.wish.good.id], self._sides[self.wish.bad.id]
        return (bad, good) if CODE in mixture else (good, bad)

    # -- running ------------------------------------------------------------------------------------------------------

    def _replicate_ends(self, shop: Workshop, told: Told) -> None:
        """Run the good and the bad run with more seeds, so that it is known how large the noise is."""
        everything = frozenset(factor.path for factor in told.case.factors)
        good, bad = (self._measured(shop, told, mixture) for mixture in (frozenset[str](), everything))
        question = told.case.question
        from gitparams.bisection import Choice

        choice = Choice(question.metric, question.direction, told.case.why)
        told.case = replace(told.case, question=asked(choice, good, bad, question.share))
        told.search = self._search(told.case)

    def _measured(self, shop: Workshop, told: Told, mixture: Mixture) -> Measured:
        """Return what the runs of a mixture gave, after making those that are missing."""
        ids, known = told.case.recorded.get(mixture, ((), Measured()))
        values, failed = list(known.values), known.failed
        for seeds in self._seeds(told.case, ids, self.wish.replicates - known.runs):
            run = self._run(shop, told, mixture, seeds, self._code_of(mixture))
            value = _value(run, told.case.question)
            if value is None:
                failed += 1
            else:
                values.append(value)
        return Measured(tuple(values), failed)

    def _seeds(self, found: Case, ids: Sequence[str], missing: int) -> Iterator[dict[str, Value]]:
        """Yield as many sets of seeds as runs are missing: that of the good run first, then the numbers after it."""
        first = {
            path: value
            for path, value in self._sides[self.wish.good.id].params.items()
            if is_seed(path, self.repository.settings.seeds) and isinstance(value, int) and not isinstance(value, bool)
        }
        used = [self._seeds_of(run, first) for run in ids]
        step = 0
        while missing > 0:
            seeds: dict[str, Value] = {path: int(value) + step for path, value in first.items()}
            if not first or seeds not in used:
                missing -= 1
                yield seeds
            step += 1

    def _seeds_of(self, run: str, paths: Mapping[str, Value]) -> dict[str, Value]:
        params = flatten(self.repository.run(f"run:{run}").params)
        return {path: params[path] for path in paths if path in params}

    def _code_of(self, mixture: Mixture) -> CodeState:
        return (self.wish.bad if CODE in mixture else self.wish.good).code

    def _run(self, shop: Workshop, told: Told, mixture: Mixture, seeds: Mapping[str, Value], code: CodeState | str) -> Run:
        if self.wish.most is not None and len(told.made) >= self.wish.most:
            raise Stopped(f"{self.wish.most} runs were made, as many as were allowed")
        run, good = self.wish.bad if CODE in mixture else self.wish.good, self.wish.good
        said = ", ".join(sorted(mixture)) or "nothing"
        note = f"{self._mark}{said} as in {self.wish.bad.short_id}"
        problems: list[str] = []
        with _silent():
            again = run_again(
                shop,
                code,
                self._delivery(told.case, mixture, seeds),
                problems.append,
                cwd=run.cwd,
                beginning=Beginning(experiment=good.experiment, tags=(TAG,), note=note),
                files=self.wish.files,
                metrics=[Path(file) for file in self.wish.metrics],
            )
        if again.run is None:
            path, why = again.undelivered[0] if again.undelivered else ("", " ".join(problems) or "it was not started")
            raise UsageError(f"{path} cannot be set to another value: {why}." if path else f"No run could be made: {why}")
        told.made.append(again.run)
        made = self._made(again.run)
        if made.status is Status.INTERRUPTED:
            raise Stopped(f"run {made.short_id} was interrupted")
        varied = seeds if self.wish.replicates > 1 else {}  # else a seed is only a wish
        self._check_taken(made, {**wanted(told.case.factors, mixture), **varied}, told)
        return made

    def _made(self, run: RunId) -> Run:
        self.repository.refresh()
        return self.repository.run(f"run:{run}")

    def _check_taken(self, run: Run, values: Mapping[str, Any], told: Told) -> None:
        """Refuse to go on with a program that does not use what it is told, or does not tell what is asked about."""
        if run.status is not Status.COMPLETED:
            return
        metric = told.case.question.metric
        for path, value, got in shortfall(run, values):
            raise UsageError(
                f"The program did not take {path} = {_shown(value)}: run {run.short_id} had {_shown(got)}.",
                hint=f"gitparams bisect … -- CMD with {{{path}}} where its value belongs",
            )
        if metric not in run.metrics:
            raise UsageError(
                f"Run {run.short_id} has no metric {metric!r}, so nothing can be learnt from it.",
                hint="--metrics FILE, or metrics_files: in gitparams.yaml",
            )

    # -- the code -----------------------------------------------------------------------------------------------------

    def _guilty_commits(self, shop: Workshop, told: Told, found: Found) -> tuple[Oid, ...]:
        """Return the first bad commit, or those among which it is, when the code has a part in what was found."""
        mixture = next((frozenset(one.path for one in found.factors) for found in found.sets if _has_code(found.factors)), None)
        commits = self._commits_between() if mixture is not None else ()
        if mixture is None or len(commits) < 2:
            return commits
        search = CommitSearch(commits)
        while (commit := search.next()) is not None:
            value = self._value_at(shop, told, mixture, commit)
            bad = None if value is None else told.case.question.answer(Measured((value,))) == "bad"
            search.tell(commit, bad=bad)
            self.say(f"{commit[:10]} is {'bad' if bad else 'not bad' if bad is not None else 'not to be run'}")
        return search.result()

    def _commits_between(self) -> tuple[Oid, ...]:
        good, bad = self.wish.good.code, self.wish.bad.code
        if not good.commit or not bad.commit or good.commit == bad.commit or good.dirty or bad.dirty:
            return ()
        words = ("rev-list", "--first-parent", "--reverse", f"{good.commit}..{bad.commit}", "--")
        done = self.repository.git.run(*words, check=False)
        return tuple(Oid(line) for line in done.stdout.decode().split()) if done.returncode == 0 else ()

    def _value_at(self, shop: Workshop, told: Told, mixture: Mixture, commit: Oid) -> float | None:
        """Return the metric of a mixture with the code of a commit: of a run that is recorded, else of a new one."""
        values = wanted(told.case.factors, mixture)
        for found in self.repository.index.runs_at([commit]):
            run = self.repository.run(f"run:{found.run}")
            if not found.dirty and not shortfall(run, values) and (value := _value(run, told.case.question)) is not None:
                return float(value)
        value = _value(self._run(shop, told, mixture, {}, commit), told.case.question)
        return None if value is None else float(value)


# -- small things ---------------------------------------------------------------------------------------------------------


def _has_code(factors: Sequence[Factor]) -> bool:
    return any(factor.path == CODE for factor in factors)


def _value(run: Run, question: Question) -> int | float | None:
    return run.metrics.get(question.metric) if run.status is Status.COMPLETED else None


def _alike(one: Any, other: Any) -> bool:
    return one is other or (MISSING not in (one, other) and same(one, other))


def _is_said(side: Said, path: str) -> bool:
    """Tell whether a param was said from outside the code."""
    origin = side.origins.get(path)
    return origin is not None and origin.source not in (*_SET_BY_CODE, "default")


def _is_declared(side: Said, path: str) -> bool:
    origin = side.origins.get(path)
    return origin is not None and origin.source == "cli" and (origin.at or "").startswith("-p ")


def _shown(value: Any) -> str:
    from gitparams.screens.numbers import value_text

    return "nothing" if value is MISSING else value_text(value)


def _told_of(document: str) -> dict[str, Any]:
    import json

    told = json.loads(document)
    return {"git": told.get("git") or {}, "status": told["status"], "note": told.get("note") or ""}


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what programs print away from the screen; it is in the output of their runs."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(stream, os.dup(stream)) for stream in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for stream, _ in kept:
            os.dup2(nowhere, stream)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.close(nowhere)
        for stream, copy in kept:
            os.dup2(copy, stream)
            os.close(copy)
