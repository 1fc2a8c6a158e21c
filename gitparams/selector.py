"""Selector: the word by which a person names a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from gitparams.directions import Direction, direction
from gitparams.errors import AmbiguousRun, FormatError, RunNotFound, UsageError
from gitparams.git import Git
from gitparams.index import BrokenRun, Index
from gitparams.model import Oid, Run, RunId, is_id_prefix, is_run_id
from gitparams.settings import Settings

WORKTREE = "worktree"
_LATEST = re.compile(r"latest(?:~(\d+)?)?")


@dataclass(frozen=True, slots=True)
class Selector:
    """Finds runs by the words of the design: id prefix, name, ``latest~2``, ``best:-loss``, a code revision, ``worktree``.

    Attributes:
        git, index, settings: where it looks.
        params_at: the params files as a run: of the work tree (None) or of a code commit.
    """

    git: Git
    index: Index
    settings: Settings
    params_at: Callable[[Oid | None, str], Run | None]

    def run(self, word: str) -> Run:
        """Return the run that a word names.

        Raises:
            RunNotFound: nothing answers to it.
            AmbiguousRun: several things do; all are listed.
            FormatError: the run is there and cannot be read.
        """
        if match := _LATEST.fullmatch(word):
            return self._latest(int(match[1] or (1 if "~" in word else 0)))
        if word.startswith("best:"):
            return self._best(word.removeprefix("best:"))
        if word == WORKTREE:
            return self._worktree()
        if word.startswith("run:"):
            return self.readable(self._only(word, self._ids(word.removeprefix("run:"))))
        if word.startswith("rev:"):
            commit = self.git.commit_of(word.removeprefix("rev:"))
            if commit is None:
                raise RunNotFound(f"No code revision {word.removeprefix('rev:')!r} in this repository.", hint="git log")
            return self._at(commit, word)
        return self._any(word)

    def id(self, word: str) -> RunId:
        """Return the id of a recorded run, deleted or broken ones too. Raises as `run` does."""
        if is_run_id(word) and self.index.run(word) is not None:
            return RunId(word)
        ids = self._ids(word.removeprefix("run:"))
        return self._only(word, ids) if ids else self.run(word).id

    def _any(self, word: str) -> Run:
        if not word:
            raise UsageError("An empty word names no run.")
        ids = self._ids(word)
        commit = None if is_run_id(word) else self.git.commit_of(word)
        if ids and commit is not None:
            found = ", ".join([*(f"run:{run[:8]}" for run in ids), f"rev:{commit[:10]}"])
            raise AmbiguousRun(f"{word!r} is a run and a code revision: {found}.", hint=f"run:{word} or rev:{word}")
        if ids:
            return self.readable(self._only(word, ids))
        if commit is not None:
            return self._at(commit, word)
        raise RunNotFound(f"No run, name or code revision is called {word!r}.", hint="gitparams log")

    def _ids(self, word: str) -> list[RunId]:
        named = self.index.ids_with_name(word)
        begun = self.index.ids_with_prefix(word) if is_id_prefix(word) else []
        return list(dict.fromkeys([*named, *begun]))

    def _only(self, word: str, ids: list[RunId]) -> RunId:
        if not ids:
            raise RunNotFound(f"No run is called {word!r}.", hint="gitparams log")
        if len(ids) > 1:
            listed = ", ".join(self._described(run) for run in sorted(ids)[:10])
            raise AmbiguousRun(f"{word!r} may be {len(ids)} runs: {listed}.", hint="give more letters of the id")
        return ids[0]

    def _described(self, run: RunId) -> str:
        found = self.index.run(run)
        return f"{run[:8]} ({found.name})" if isinstance(found, Run) and found.name else run[:8]

    def readable(self, run: RunId) -> Run:
        """Return the run of a whole id. Raises `FormatError` when it is broken, `RunNotFound` when it is not there."""
        found = self.index.run(run)
        if isinstance(found, BrokenRun):
            raise FormatError(f"Run {run[:8]} cannot be read: {found.reason}", hint="gitparams doctor")
        if found is None:
            raise RunNotFound(f"No run is called {run!r}.", hint="gitparams log")
        return found

    def _latest(self, back: int) -> Run:
        found = self.index.latest(back)
        if found is None:
            known = "No runs yet." if back == 0 else f"There are not {back + 1} runs."
            raise RunNotFound(known, hint="gitparams run -- python train.py" if back == 0 else "gitparams log")
        return found

    def _best(self, metric: str) -> Run:
        lowest = metric.startswith("-")
        name = metric.removeprefix("-")
        declared = direction(name, self.settings.directions)
        found = self.index.best(name, lowest=lowest or (declared is Direction.MIN and not lowest))
        if found is None:
            known = ", ".join(self.index.metric_names()) or "none"
            raise RunNotFound(f"No completed run has the metric {name!r} (metrics here: {known}).")
        return found

    def _at(self, commit: Oid, word: str) -> Run:
        found = self.index.newest_at(commit) or self.params_at(commit, word)
        if found is None:
            raise RunNotFound(
                f"No run was recorded at {commit[:10]}, and it has no params files.", hint="params: in gitparams.yaml"
            )
        return found

    def _worktree(self) -> Run:
        found = self.params_at(None, WORKTREE)
        if found is None:
            raise RunNotFound("No params files are declared here.", hint="gitparams init")
        return found
