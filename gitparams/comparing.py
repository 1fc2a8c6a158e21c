"""Comparing: what is compared when a person names runs or code revisions, and what differs then."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gitparams.changes import CodeChange, Naming, RunDiff, compare
from gitparams.errors import RunNotFound, UsageError
from gitparams.git import Git
from gitparams.index import Filter, Index
from gitparams.leniency import Leniency
from gitparams.model import Details, Oid, Run, is_id_prefix, is_run_id
from gitparams.replicates import Group, together
from gitparams.selector import WORKTREE, Selector


class Comparing:
    """Compares the runs of one repository.

    Args:
        git, index, selector: where it looks.
        details: reads what the entry of a run holds beside it.
    """

    def __init__(self, git: Git, index: Index, selector: Selector, details: Callable[[Run], Details]) -> None:
        self.git, self.index, self.selector, self.details = git, index, selector, details

    def span(self, text: str) -> Filter:
        """Return the filter of a range: the runs begun between two runs, or those of the code commits that git means by it.

        Args:
            text: ``A..B``, where A and B are runs or both code revisions; an end left out is ``HEAD`` or ``latest``. Code
                revisions may be ``A...B`` too, or one alone: all of its history.

        Raises:
            RunNotFound, AmbiguousRun: an end is not there. UsageError: it is no range.
        """
        older, dots, newer = _parted(text)
        if not dots:
            commit = self.selector.revision(text)
            if commit is None:
                raise UsageError(
                    f"{text!r} is no range of runs or commits.", hint="gitparams log latest~5..latest, or -- KEY for params"
                )
            return Filter(code=self.selector.links.among([commit]))
        ends = [self.selector.revision(word or "HEAD") for word in (older, newer)]
        if all(ends) and (older or newer):
            return Filter(code=self.selector.links.among([f"{ends[0]}{dots}{ends[1]}"]))
        if dots == "...":
            raise UsageError(f"{text!r} is no range: three dots stand between code revisions.", hint=text.replace("...", ".."))
        return Filter(after=self.selector.run(older or "latest~1").started, until=self.selector.run(newer or "latest").started)

    def diff(
        self,
        words: Sequence[str | Run],
        keys: Sequence[str] = (),
        *,
        origins: bool = False,
        leniency: Leniency | None = None,
        best: str | None = None,
        patch: bool = False,
    ) -> RunDiff:
        """Return what differs between runs: none is ``latest~1 latest``, one is compared with the run before it.

        Args:
            words: the runs, as one range too: ``A..B``, or ``A...B`` from where two code revisions parted. ``worktree`` alone
                is compared with the latest run.
            keys: paths of params to look at, prefixes and globs too.
            origins: whether to tell where the values came from.
            leniency: which differences count; all when None.
            best: of several runs at a code revision the one with the best value of this metric, not the newest.
            patch: whether to read the text of what changed in the code.

        Raises:
            RunNotFound: a word names no run, or there is no run before the one.
        """
        sides = self._sides(words, best)
        runs = [run for run, _ in sides]
        recorded = all(is_run_id(run.id) for run in runs)
        found = compare(
            runs,
            keys=keys,
            directions=self.selector.settings.directions,
            code=self.code_changes(runs[0], runs[-1], patch=patch) if len(runs) == 2 else (),
            packages=[self.details(run).packages for run in runs] if len(runs) == 2 and recorded else None,
            leniency=leniency or Leniency(),
            names=tuple(naming for _, naming in sides),
            origins=tuple(self.details(run).origins for run in runs) if origins else (),
        )
        # of params files it is not known what they lead to, nor where
        return found if recorded else replace(found, metrics={}, environment={}, seeds={})

    def are_commits(self, words: Sequence[str | Run]) -> bool:
        """Tell whether words are two code revisions of which one has several runs."""
        ends = self._ends(words)
        named = [self.selector.named(word) for word, _ in ends if isinstance(word, str)] if len(ends) == 2 else []
        return len(named) == 2 and all(one.revision for one in named) and any(len(one.runs) > 1 for one in named)

    def groups_at(self, words: Sequence[str]) -> list[tuple[Naming, Group[Run]]]:
        """Return all the completed runs at each of two code revisions as one group a side."""
        sides = [(said or word, self.selector.named(word)) for word, said in self._ends(words)]
        return [(Naming(word, named.how), together(named.runs)) for word, named in sides]

    def replicates_of(self, words: Sequence[str]) -> list[str]:
        """Return the words for the two runs whose replicates are compared. Raises `UsageError` when they are not two."""
        ends = self._ends(words or ("latest~1", "latest"))
        if len(ends) != 2:
            raise UsageError("--replicates compares two runs, and all that are equal to them but for the seed.")
        return [word for word, _ in ends]

    def _sides(self, words: Sequence[str | Run], best: str | None) -> list[tuple[Run, Naming]]:
        """Return the runs that are compared, each with how it was named."""
        sides: list[tuple[Run, Naming]] = []
        for word, said in self._ends(words or ("latest~1", "latest")):
            if isinstance(word, Run):
                sides.append((word, Naming()))
            else:
                named = self.selector.named(word, best)
                plain = is_id_prefix(word) or (is_run_id(named.runs[0].id) and word.removeprefix("run:") == named.runs[0].id)
                sides.append((named.runs[0], Naming("" if plain else said or word, named.how)))
        if len(sides) > 1:
            return sides
        (run, naming), before = sides[0], self.index.before(sides[0][0])
        if run.id == WORKTREE:
            before = self.index.latest()
        if before is None:
            raise RunNotFound(
                f"Run {run.short_id} is the first completed one of {run.experiment}: there is none to compare it with.",
                hint="gitparams log",
            )
        return [(before, Naming()), (run, naming)]

    def _ends(self, words: Sequence[Any]) -> list[tuple[Any, str]]:
        """Return the words for the runs, a range taken apart, each with what it is called when that is something else."""
        if len(words) != 1 or isinstance(words[0], Run):
            return [(word, "") for word in words]
        older, dots, newer = _parted(words[0])
        if not dots:
            return [(words[0], "")]
        if dots == "..":
            return [(older or "latest~1", ""), (newer or "latest", "")]
        older, newer = older or "HEAD", newer or "HEAD"
        base = self.git.text("merge-base", "--end-of-options", older, newer, check=False).split()
        if not base:
            raise RunNotFound(f"{older} and {newer} have no commit in common here.", hint=f"gitparams diff {older} {newer}")
        return [(f"rev:{base[0]}", f"base of {words[0]}"), (newer, "")]

    def code_changes(self, before: Run, after: Run, *, patch: bool = False) -> tuple[CodeChange, ...]:
        """Return the files in which the code of two runs differs, with `patch` the text of each change too."""
        old, new = before.code.tree, after.code.tree
        if not old or not new or old == new:
            return ()
        answer = self.git.run("diff-tree", "-r", "--numstat", "-z", "--no-renames", old, new, check=False)
        texts = self._patches(old, new) if patch else {}
        changes: list[CodeChange] = []
        for line in answer.stdout.decode("utf-8", "replace").split("\0"):
            added, _, rest = line.partition("\t")
            removed, _, path = rest.partition("\t")
            if path:
                changes.append(CodeChange(path, _lines(added), _lines(removed), texts.get(len(changes), "")))
        return tuple(changes)

    def _patches(self, old: Oid, new: Oid) -> dict[int, str]:
        """Return the text of each file's change, by its place among those that differ."""
        words = ("diff-tree", "-r", "-p", "--no-renames", "--no-ext-diff", "--no-textconv", old, new)
        text = self.git.run(*words, check=False).stdout.decode("utf-8", "replace")
        return dict(enumerate(re.split(r"^(?=diff --git )", text, flags=re.MULTILINE)[1:]))


def _parted(text: str) -> tuple[str, str, str]:
    """Return both ends of a range and the dots between them; no dots where it is none.

    >>> _parted("main..feature"), _parted("main...feature"), _parted("main")
    (('main', '..', 'feature'), ('main', '...', 'feature'), ('main', '', ''))
    """
    for dots in ("...", ".."):
        older, found, newer = text.partition(dots)
        if found:
            return older, dots, newer
    return text, "", ""


def _lines(text: str) -> int | None:
    return int(text) if text.isdigit() else None
