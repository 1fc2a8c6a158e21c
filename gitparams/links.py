"""Links: which runs belong to a code commit, also after a rebase, an amend or a squash gave it another id.

A run keeps the commit it was recorded at, and never another: a commit's runs are looked for by what outlives a rewrite.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gitparams.entry import parse_commit
from gitparams.git import Git
from gitparams.index import CodeKey, Index, Located, OfCommits
from gitparams.model import Oid, RunId
from gitparams.snapshot import headline, patch_id_of

_MOST_PATCHES = 200
"""Commits of a range whose patches are read, at some milliseconds each."""
_MOST_STRAYS = 50
"""Commits with runs that no history here holds, of which the files are compared with a squash."""


@dataclass(frozen=True, slots=True)
class Link:
    """The runs that belong to a code commit, newest first, and how they are known to.

    Attributes:
        runs: their ids.
        how: in a few words, why; empty when they were recorded at the commit itself.
    """

    runs: tuple[RunId, ...] = ()
    how: str = ""


class Links:
    """Finds the runs of commits.

    Args:
        git, index: where it looks.
    """

    def __init__(self, git: Git, index: Index) -> None:
        self.git, self.index = git, index

    def of(self, commit: Oid) -> Link:
        """Return the completed runs of a commit by the first of these that finds any.

        Recorded at it, but for runs of changed files that a later commit has; recorded at a commit that was rewritten to it;
        its tree is that of the run's code; its patch is that of the run's commit; so are subject and author date; what it
        changed is so in the run's code (a squash); it is a merge of a branch that has runs.
        """
        return next((link for link in self._ways(commit) if link.runs), Link())

    def _ways(self, commit: Oid) -> Iterator[Link]:
        yield self._linked(self._still_of(self.index.runs_at([commit]), commit), "")
        yield self._linked(self.index.runs_at(self.index.rewritten_to([commit])), "rewritten since")
        for key, value, how in self._lasting(commit):
            yield self._linked(self._moved(self.index.runs_of_code(key, [value]), commit), how)
        yield self._squashed(commit)
        for parent in self._parents(commit)[1:]:
            merged = self._linked(self.index.runs_at([parent, *self.index.rewritten_to([parent])]), "merged by it")
            yield merged

    def _still_of(self, found: Sequence[Located], commit: Oid) -> list[Located]:
        """Return the runs of a commit without those of changed files that were committed later: they are that commit's."""
        if not any(one.dirty for one in found):
            return list(found)
        words = ("log", "--format=%T", "--ancestry-path", f"{commit}..HEAD", "--")
        later = set(self.git.text(*words, check=False).split())
        return [one for one in found if not (one.dirty and one.tree in later)]

    def _linked(self, found: Sequence[Located], how: str) -> Link:
        if not found:
            return Link()
        commit = found[0].commit
        said = f"recorded at {commit[:10]}, {how}" if how and commit else how
        return Link(tuple(one.run for one in found), said)

    def _moved(self, found: Sequence[Located], commit: Oid) -> list[Located]:
        """Return the runs whose commit may have become this one: it is no other one of the same history.

        A run of changed files may have been made before they were committed.
        """
        related = {one.commit: self._is_related(one.commit, commit) for one in found}
        return [one for one in found if one.dirty or not related[one.commit]]

    def _lasting(self, commit: Oid) -> Iterator[tuple[CodeKey, str, str]]:
        """Yield what of a commit outlives a rewrite: the column to look in, the value, and how that is called."""
        if tree := self._tree(commit):
            yield "tree", tree, "the same tree"
        if patch := patch_id_of(self.git, commit, self.index):
            yield "patch_id", patch, "the same patch"
        subject, authored = headline(self.git, commit)
        if subject and authored:
            yield "headline", f"{authored} {subject}", "the same subject and author date"

    def _squashed(self, commit: Oid) -> Link:
        """Return a run of a branch that a commit squashed: its code has all files that changed as the commit left them."""
        parents = self._parents(commit)
        if len(parents) != 1:
            return Link()
        changed = [line for line in self._raw("diff-tree", "-r", "-z", "--name-only", "--no-commit-id", commit) if line]
        if not changed:
            return Link()
        for one in self._strays(commit):
            known = one.commit or one.tree or ""
            if not self._differs(one.tree, commit, changed) and self._differs(one.tree, parents[0], changed):
                return Link((one.run,), f"recorded at {known[:10]}, squashed into it")
        return Link()

    def _strays(self, commit: Oid) -> list[Located]:
        """Return one run for each of the newest commits that are in no history with a commit."""
        newest = self.index.newest_commits(_MOST_STRAYS)
        return [one for one in newest if one.tree and not self._is_related(one.commit, commit)]

    def among(self, words: Sequence[str]) -> OfCommits:
        """Return the commits that ``git log`` lists for some words, and the runs that belong to them.

        A commit has the runs recorded at it, and those that a rewrite took away from all other history that is meant here.

        Args:
            words: ids of commits: ``A..B``, ``A...B``, ``A``.
        """
        commits = [Oid(line) for line in self.git.lines("rev-list", *words, "--")]
        tips = [Oid(line) for line in self.git.text("rev-parse", "--revs-only", *words, "--").split() if line[0] != "^"]
        known = (*commits, *self.index.rewritten_to(commits))
        trees, headlines = self._trees_and_headlines(words)
        strays = [*self.index.runs_of_code("tree", trees, every=True, outside=known), *self._by_patch(commits, known)]
        strays += self.index.runs_of_code("headline", headlines, every=True, outside=known)
        found: dict[RunId, None] = {}
        reachable: dict[Oid | None, bool] = {}
        for one in strays:
            if one.commit not in reachable:
                reachable[one.commit] = any(self._is_ancestor(one.commit, tip) for tip in tips)
            if one.dirty or not reachable[one.commit]:
                found[one.run] = None
        return OfCommits(known, tuple(found))

    def _trees_and_headlines(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        lines = [line.split("\0") for line in self.git.lines("log", "--format=%T%x00%aI%x00%s", *words, "--")]
        return [line[0] for line in lines], [f"{line[1]} {line[2]}" for line in lines if len(line) == 3]

    def _by_patch(self, commits: Sequence[Oid], known: Sequence[Oid]) -> list[Located]:
        if len(commits) > _MOST_PATCHES:
            return []
        patches = [patch for commit in commits if (patch := patch_id_of(self.git, commit, self.index))]
        return self.index.runs_of_code("patch_id", patches, every=True, outside=known)

    # -- git ----------------------------------------------------------------------------------------------------------

    def _tree(self, commit: Oid) -> Oid | None:
        found = self.git.read(f"{commit}^{{tree}}")
        return found[0] if found else None

    def _parents(self, commit: Oid) -> tuple[Oid, ...]:
        found = self.git.read(commit)
        return parse_commit(found[2]).parents if found else ()

    def _is_related(self, one: Oid | None, other: Oid) -> bool:
        return self._is_ancestor(one, other) or self._is_ancestor(other, one)

    def _is_ancestor(self, commit: Oid | None, of: Oid | None) -> bool:
        if commit is None or of is None:
            return False
        return self.git.run("merge-base", "--is-ancestor", commit, of, check=False).returncode == 0

    def _differs(self, one: Oid | None, other: Oid, paths: Sequence[str]) -> bool:
        """Tell whether two trees differ in some paths; one that is not here does."""
        places = (f":(literal,top){path}" for path in paths)
        words = ("diff-tree", "-r", "--quiet", f"{one}", f"{other}^{{tree}}", "--", *places)
        return self.git.run(*words, check=False).returncode != 0

    def _raw(self, *words: str) -> list[str]:
        done = self.git.run(*words, check=False)
        return done.stdout.decode("utf-8", "surrogateescape").split("\0") if done.returncode == 0 else []
