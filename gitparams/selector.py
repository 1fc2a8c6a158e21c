"""Selector: the word by which a person names a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from gitparams.directions import Direction, direction
from gitparams.errors import AmbiguousRun, FormatError, GitParamsError, RunNotFound, UsageError
from gitparams.git import Git
from gitparams.index import BrokenRun, Filter, Index
from gitparams.links import Link, Links
from gitparams.model import Oid, Run, RunId, is_id_prefix, is_run_id
from gitparams.settings import Settings

WORKTREE = "worktree"
_LATEST = re.compile(r"latest(?:~(\d+)?)?")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_FILES = "its params files are used: no run was recorded there"


@dataclass(frozen=True, slots=True)
class Named:
    """The runs that a word names.

    Attributes:
        runs: one; of a code revision all that completed, newest first.
        how: in a few words why it is these; empty when the word is plain.
        revision: whether the word is a code revision.
    """

    runs: tuple[Run, ...]
    how: str = ""
    revision: bool = False


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
        return self.named(word).runs[0]

    def named(self, word: str, best: str | None = None) -> Named:
        """Return the runs that a word names, and why it is these.

        Args:
            word: the word.
            best: of the runs of a code revision the one with the best value of this metric, lowest after a ``-``.

        Raises: as `run`.
        """
        if match := _LATEST.fullmatch(word):
            return Named((self._latest(int(match[1] or (1 if "~" in word else 0))),))
        if word.startswith("best:"):
            return Named((self._best(word.removeprefix("best:")),))
        if word == WORKTREE:
            return Named((self._worktree(),))
        if word.startswith("run:"):
            return Named((self.readable(self._only(word, self._ids(word.removeprefix("run:")))),))
        return self._best_of(self._any(word), best)

    @property
    def links(self) -> Links:
        """What knows which runs belong to a commit."""
        return Links(self.git, self.index)

    def revision(self, word: str) -> Oid | None:
        """Return the commit of a word that is a code revision and no run; None for every other word."""
        bare = word.removeprefix("rev:")
        if bare == word and (word.startswith(("run:", "best:")) or word == WORKTREE or _LATEST.fullmatch(word)):
            return None
        return None if bare == word and self._ids(word) else self.git.commit_of(bare)

    def is_here(self, word: str) -> bool:
        """Tell whether a word is a run's id or name, or a code revision of this clone.

        Whether runs tell of a branch of that name, which is not here any more, takes a look at each of them.
        """
        return bool(self._ids(word)) or self.git.commit_of(word) is not None

    def id(self, word: str) -> RunId:
        """Return the id of a recorded run, deleted or broken ones too. Raises as `run` does."""
        if is_run_id(word) and self.index.run(word) is not None:
            return RunId(word)
        ids = self._ids(word.removeprefix("run:"))
        return self._only(word, ids) if ids else self.run(word).id

    def _any(self, word: str) -> Named:
        bare = word.removeprefix("rev:")
        if not bare:
            raise UsageError("An empty word names no run.")
        ids = self._ids(word) if bare == word else []
        commit = None if is_run_id(bare) else self.git.commit_of(bare)
        if ids and commit is not None:
            found = ", ".join([*(f"run:{run[:8]}" for run in ids), f"rev:{commit[:10]}"])
            raise AmbiguousRun(f"{word!r} is a run and a code revision: {found}.", hint=f"run:{word} or rev:{word}")
        if ids:
            return Named((self.readable(self._only(word, ids)),))
        if commit is not None:
            return self._at(commit, word)
        return self._not_here(word, bare)

    def _not_here(self, word: str, bare: str) -> Named:
        """Return the runs of a revision that is not in this clone, or not any more, as the ledger knows them."""
        commits = self.index.commits_with_prefix(bare) if _COMMIT.fullmatch(bare) else []
        if len(commits) > 1:
            listed = ", ".join(commit[:12] for commit in commits)
            raise AmbiguousRun(f"{word!r} may be {len(commits)} commits: {listed}.", hint="give more digits of the commit")
        if commits:
            here = self.index.runs_at([commits[0], *self.index.rewritten_to(commits)])
            if here:
                return self._of_link(Link(tuple(one.run for one in here), "recorded at a commit that is not in this clone"))
        remote, _, branch = bare.partition("/")
        is_remote = bool(branch) and remote in self.git.text("remote", check=False).split()
        if newest := self.index.newest_on(branch if is_remote else bare.removeprefix("refs/heads/")):
            return self._of_link(Link((newest,), f"the newest run of the branch: {bare} is not in this clone"))
        raise self._unknown(word, bare, remote if is_remote else None)

    def _unknown(self, word: str, bare: str, remote: str | None) -> GitParamsError:
        if remote is not None:
            return RunNotFound(f"{bare} is not fetched, and no run tells of that branch.", hint=f"git fetch {remote}")
        base = re.match(r"[^~^@:]+(?=[~^])", bare)
        shallow = self.git.text("rev-parse", "--is-shallow-repository", check=False) == "true"
        if shallow and base and self.git.commit_of(base[0]):
            return RunNotFound(f"{bare} is beyond the end of this shallow clone.", hint="git fetch --deepen=50")
        if bare != word:
            return RunNotFound(f"No code revision {bare!r} in this repository.", hint="git log")
        return RunNotFound(f"No run, name or code revision is called {word!r}.", hint="gitparams log")

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

    def _at(self, commit: Oid, word: str) -> Named:
        link = self.links.of(commit)
        if link.runs:
            return self._of_link(link)
        found = self.params_at(commit, word)
        if found is None:
            raise RunNotFound(
                f"No run was recorded at {commit[:10]}, and it has no params files.", hint="params: in gitparams.yaml"
            )
        return Named((found,), _FILES, True)

    def _of_link(self, link: Link) -> Named:
        runs = self.index.runs(Filter(ids=link.runs))
        return Named(tuple(run for run in runs if isinstance(run, Run)), link.how, True)

    def _best_of(self, named: Named, metric: str | None) -> Named:
        if metric is None or not named.revision or named.how == _FILES:
            return named
        name = metric.removeprefix("-")
        lowest = metric.startswith("-") or direction(name, self.settings.directions) is Direction.MIN
        numbers = [(value, run) for run in named.runs if (value := run.metrics.get(name)) is not None and value == value]
        if not numbers:
            raise RunNotFound(f"None of the runs at that commit has the metric {name!r}.", hint="gitparams log --columns all")
        chosen = (min if lowest else max)(numbers, key=lambda pair: pair[0])[1]
        said = f"the best of {len(named.runs)} runs by {name}" if len(named.runs) > 1 else ""
        return replace(named, runs=(chosen,), how=", ".join(filter(None, (said, named.how))))

    def _worktree(self) -> Run:
        found = self.params_at(None, WORKTREE)
        if found is None:
            raise RunNotFound("No params files are declared here.", hint="gitparams init")
        return found
