"""Checks: what is worth a stop before a commit or a run, in files of params, in the work tree and in the latest run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitparams.errors import UsageError
from gitparams.lint import LintedFile, lint, linted_files
from gitparams.params import MISSING, Layer, differing, flatten, get, path_keys
from gitparams.rules import ERROR, FILE_RULES, Finding, Report, levels, order
from gitparams.settings import FILE, Settings

if TYPE_CHECKING:
    from gitparams.capture.redaction import Redaction
    from gitparams.git import Git
    from gitparams.model import Run
    from gitparams.params import Origin, Overridden
    from gitparams.repository import Repository

_OF_EARLIER_RUNS = frozenset({"never-read", "disputed", "drift"})
_ENV_FILES = (":(glob)**/.env", ":(glob)**/*.env", ":(glob)**/.env.*")
_NAMES_SHOWN = 3
_LONGEST_VALUE = 40


def check(
    repository: Repository, *, files: Sequence[str] = (), rules: Sequence[str] = (), overrides: Sequence[str] = ()
) -> Report:
    """Return what the rules find: in the given files alone, or in all that the project declares, its work tree and latest run.

    Args:
        repository: where it is looked; its settings say the level of each rule.
        files: as in `check_files`.
        rules: the only rules to follow; one that is off warns then. All when empty.
        overrides: ``K=V`` that stand above the declared params.

    Raises:
        ParamsFileError: gitparams.yaml cannot be read, or names a rule that there is none of.
        UsageError: `rules` does, or an override is none.
    """
    if files:
        return check_files(files, settings=repository.settings, rules=rules, git=repository.git)
    project = _Project(repository, levels(repository.settings, rules), lambda: _declared(repository, overrides))
    if overrides:
        _ = project.declared  # a wrong one is told whatever the rules
    return project.report()


def check_files(
    words: Sequence[str], *, settings: Settings | None = None, rules: Sequence[str] = (), git: Git | None = None
) -> Report:
    """Return what can be said of files alone, in a repository or not.

    Args:
        words: files, globs, or ``PREFIX=FILE``, relative to the present folder.
        settings: what gitparams.yaml says, where there is one.
        rules: as in `check`.
        git: the repository; without one no ``.env`` file is tracked, and so none is searched for secrets.

    Raises:
        ParamsFileError, UsageError: a rule is named that there is none of.
    """
    settings = settings or Settings()
    chosen = levels(settings, rules)
    files, missing = linted_files(words, Path.cwd())
    env_files = [file for file in files if file.is_env]
    tracked = _tracked(git, [file.path for file in env_files]) if git is not None and env_files else frozenset()
    redaction = _redaction(settings)
    looked_at = [replace(file, within=("params",)) if file.path.name == FILE else _as_tracked(file, tracked) for file in files]
    found = [*missing, *(finding for file in looked_at for finding in lint(file, redaction, chosen.keys()))]
    return _report(found, chosen, redaction, len(files) + len(missing))


def before_run(repository: Repository, declared: Layer, files: Sequence[str] = ()) -> list[Finding]:
    """Return what the rules that gitparams.yaml itself switches on find before a run; without its ``check:`` this is free.

    What earlier runs did (never-read, disputed, drift) is looked at only where a rule about it is an error.

    Args:
        repository: where the run will be recorded.
        declared: the params that the run will have.
        files: the files of params that were given for this run, if they take the place of the declared ones.

    Raises:
        ParamsFileError: gitparams.yaml names a rule that there is none of.
    """
    settings = repository.settings
    if not settings.check:
        return []
    chosen = {
        rule: level
        for rule, level in levels(settings).items()
        if rule in settings.check and (level == ERROR or rule not in _OF_EARLIER_RUNS)
    }
    return list(_Project(repository, chosen, lambda: declared, files).report().findings) if chosen else []


def _declared(repository: Repository, overrides: Sequence[str]) -> Layer | None:
    """Return the declared params below the overrides; None when a file cannot be read, which is a finding of its own."""
    try:
        layer = repository.declared_layer((), ())
    except UsageError:
        return None
    return repository.declared_layer((), overrides) if overrides else layer


def _report(found: Iterable[Finding], chosen: Mapping[str, str], redaction: Redaction, files: int) -> Report:
    findings = [
        replace(finding, level=chosen[finding.rule], message=redaction.text(finding.message))
        for finding in found
        if finding.rule in chosen
    ]
    return Report(tuple(sorted(findings, key=order)), files)


def _redaction(settings: Settings) -> Redaction:
    from gitparams.capture.redaction import Redaction

    return Redaction.of(settings.redact).knowing(os.environ)


def _as_tracked(file: LintedFile, tracked: Collection[Path]) -> LintedFile:
    """Return the file as it is looked at: a ``.env`` that git does not track is where secrets belong."""
    if not file.is_env or _resolved(file.path) in tracked:
        return file
    return replace(file, rules=file.rules - {"secret"})


def _tracked(git: Git, files: Sequence[Path], more: Sequence[str] = ()) -> frozenset[Path]:
    """Return which of some files git tracks, and the tracked files that more pathspecs match."""
    top = git.place.top
    if top is None:
        return frozenset()
    inside = [path for file in files if (path := _inside(file, top)) is not None]
    words = [*(f":(literal){path}" for path in inside), *more]
    if not words:
        return frozenset()
    answer = git.run("ls-files", "-z", "--recurse-submodules", "--", *words).stdout.decode("utf-8", "surrogateescape")
    return frozenset(_resolved(top / name) for name in answer.split("\0") if name)


def _inside(file: Path, top: Path) -> str | None:
    path, root = _resolved(file), top.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else None


def _resolved(file: Path) -> Path:
    return file.parent.resolve() / file.name  # a link is tracked as itself


# -- the project ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tree:
    """The work tree against its commit: the tracked files and the submodules with changes."""

    commit: str | None
    files: tuple[str, ...] = ()
    submodules: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        return not self.files and not self.submodules


class _Project:
    """What the rules look at, each part found when the first of them asks for it.

    Args:
        repository: where it is.
        chosen: rule → level of the rules that are followed.
        declare: returns the declared params, or None when they cannot be read.
        words: the files of params, where they are not those that the settings name.
    """

    def __init__(
        self, repository: Repository, chosen: Mapping[str, str], declare: Callable[[], Layer | None], words: Sequence[str] = ()
    ) -> None:
        self.repository, self.chosen, self.declare, self.words = repository, chosen, declare, words
        self.settings = repository.settings
        self.redaction = _redaction(self.settings)

    def report(self) -> Report:
        """Return what the rules find."""
        found = [finding for file in self.looked_at for finding in lint(file, self.redaction, self.chosen.keys())]
        found.extend(self.named[1])
        for rule in self.chosen.keys() - FILE_RULES:
            found.extend(_LOOKS[rule](self))
        return _report(found, self.chosen, self.redaction, len(self.looked_at) + len(self.named[1]))

    @cached_property
    def named(self) -> tuple[list[LintedFile], list[Finding]]:
        """The files of params, and what is wrong with the words that name none."""
        top = self.repository.git.place.top
        if self.words:
            return linted_files(self.words, Path.cwd())
        if top is None:
            return [], []
        files, missing = linted_files(self.settings.params_files, top)
        inline = [LintedFile(top / FILE, FILE, within=("params",))] if self.settings.params else []
        return [*inline, *files], missing

    @cached_property
    def tracked(self) -> frozenset[Path]:
        """The files of params that git tracks, and all tracked ``.env`` files."""
        return _tracked(self.repository.git, [file.path for file in self.named[0]], _ENV_FILES)

    @cached_property
    def looked_at(self) -> list[LintedFile]:
        """The files of params, and the ``.env`` files that git tracks."""
        if "secret" not in self.chosen:
            return self.named[0]
        declared = [_as_tracked(file, self.tracked) for file in self.named[0]]
        known = {_resolved(file.path) for file in declared}
        secret = frozenset({"secret"})
        others = [path for path in sorted(self.tracked - known) if LintedFile(path, "").is_env and path.exists()]
        return [*declared, *(LintedFile(path, self.shown(path), rules=secret) for path in others)]

    @cached_property
    def declared(self) -> Layer | None:
        """The declared params; None when they cannot be read."""
        return self.declare()

    @cached_property
    def tree(self) -> _Tree:
        """The work tree against its commit."""
        return _tree(self.repository.git)

    @cached_property
    def latest(self) -> Run | None:
        """The latest run, whatever became of it."""
        return self.repository.index.latest()

    @cached_property
    def origins(self) -> Mapping[str, Origin]:
        """The origins of the latest run's params."""
        return self.repository.details(self.latest).origins if self.latest is not None else {}

    def shown(self, path: Path) -> str:
        """Return how a file of the work tree is called."""
        top = self.repository.git.place.top
        return (_inside(path, top) if top is not None else None) or str(path)

    def place(self, path: str) -> tuple[str | None, int | None]:
        """Return file and line where a param is declared, as far as they are known."""
        origin = self.declared.origins.get(path) if self.declared is not None else None
        if origin is None or origin.source != "file" or origin.at is None:
            return None, None
        name, _, line = origin.at.rpartition(":")
        return (name, int(line)) if line.isdecimal() else (origin.at, None)


def _tree(git: Git) -> _Tree:
    if git.place.top is None:
        return _Tree(None)
    answer = git.run("status", "--porcelain=v2", "--branch", "--untracked-files=no", "-z").stdout
    records = iter(answer.decode("utf-8", "surrogateescape").split("\0"))
    commit, files, submodules = None, [], []
    for record in records:
        kind = record[:2]
        if record.startswith("# branch.oid ") and not record.endswith("(initial)"):
            commit = record[13:]
        elif kind in _FIELDS_BEFORE_PATH:
            fields = record.split(" ", _FIELDS_BEFORE_PATH[kind])
            if kind == "2 ":
                next(records, None)  # the path it had before
            if fields[2].startswith("S"):
                submodules.extend([fields[-1]] if fields[2] not in ("S...", "S..U") or fields[1] != ".M" else [])
            else:
                files.append(fields[-1])
    return _Tree(commit, tuple(files), tuple(submodules))


_FIELDS_BEFORE_PATH = {"1 ": 8, "2 ": 9, "u ": 10}  # git-status, porcelain format version 2


def _dirty_tree(project: _Project) -> Iterator[Finding]:
    tree = project.tree
    if count := len(tree.files):
        have = "tracked file has" if count == 1 else "tracked files have"
        yield Finding.by("dirty-tree", f"{count} {have} uncommitted changes: {_listed(tree.files)}", hint="git commit -a")
    if count := len(tree.submodules):
        have = "submodule has" if count == 1 else "submodules have"
        hint = f"git -C {shlex.quote(tree.submodules[0])} status"
        yield Finding.by("dirty-tree", f"{count} {have} uncommitted changes: {_listed(tree.submodules)}", hint=hint)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _untracked_params(project: _Project) -> Iterator[Finding]:
    git, top = project.repository.git, project.repository.git.place.top
    if top is None:
        return
    unknown = [file for file in project.named[0] if _resolved(file.path) not in project.tracked]
    inside = [path for file in unknown if (path := _inside(file.path, top)) is not None]
    ignored = _ignored(git, inside) if inside else frozenset()
    for file in unknown:
        path = _inside(file.path, top)
        if path is None:
            yield Finding.by("untracked-params", "it lies outside of the repository, so git does not track it", file.shown)
        elif path not in ignored:
            yield Finding.by("untracked-params", "git does not track it", file.shown, hint=f"git add {shlex.quote(path)}")
        elif not file.is_env:
            hint = "check: {untracked-params: off} in gitparams.yaml, where that is on purpose"
            yield Finding.by("untracked-params", "git ignores it, so it is tracked nowhere", file.shown, hint=hint)


def _ignored(git: Git, names: Sequence[str]) -> frozenset[str]:
    words = "".join(f"{name}\0" for name in names).encode("utf-8", "surrogateescape")
    answer = git.run("check-ignore", "-z", "--stdin", stdin=words, check=False).stdout
    return frozenset(answer.decode("utf-8", "surrogateescape").split("\0"))


def _missing_seed(project: _Project) -> Iterator[Finding]:
    from gitparams.seeds import seeds_of

    declared, latest, extra = project.declared, project.latest, project.settings.seeds
    if declared is None or (not declared.values and latest is None):
        return
    seeds = seeds_of(declared.values, extra)
    recorded = {**latest.seeds, **seeds_of(latest.params, extra)} if latest is not None else {}
    if any(value is not None for value in (*seeds.values(), *recorded.values())):
        return
    hint = "seed: 1, or seeds: [its_name] in gitparams.yaml where it is called otherwise"
    if seeds:
        path = next(iter(seeds))
        file, line = project.place(path)
        yield Finding.by("missing-seed", f"{path} is null, so no seed is known", file, line, key=path, hint=hint)
        return
    which = "no declared param is a seed" if declared.values else "no params are declared"
    run = f", and run {latest.short_id} has none" if latest is not None else ""
    yield Finding.by("missing-seed", which + run, hint=hint)


def _duplicate_run(project: _Project) -> Iterator[Finding]:
    from gitparams.index import BrokenRun, Filter
    from gitparams.model import Status

    declared, tree = project.declared, project.tree
    if declared is None or not declared.values or tree.commit is None or not tree.clean:
        return
    params = flatten(project.redaction.values(declared.values)[0])
    for run in project.repository.runs(Filter(commit=tree.commit, status=Status.COMPLETED)):
        if isinstance(run, BrokenRun) or run.code.dirty or differing(params, flatten(run.params)):
            continue
        called = f"run {run.short_id} ({run.name})" if run.name else f"run {run.short_id}"
        message = f"{called} completed with exactly these params and this code"
        yield Finding.by("duplicate-run", message, hint=f"gitparams show {run.short_id}")
        return


# -- the latest run -------------------------------------------------------------------------------------------------------


def _never_read(project: _Project) -> Iterator[Finding]:
    from gitparams.index import BrokenRun, Filter
    from gitparams.model import Status

    for run in project.repository.runs(Filter(status=Status.COMPLETED), limit=1):
        if isinstance(run, BrokenRun):
            return
        for path in run.unread:
            file, line = project.place(path)
            yield Finding.by("never-read", f"{path} is declared, and run {run.short_id} never read it", file, line, key=path)


def _disputed(project: _Project) -> Iterator[Finding]:
    run = project.latest
    if run is None:
        return
    for path in run.disputed:
        value, origin = get(run.params, path_keys(path)), project.origins.get(path)
        if origin is None or value is MISSING:
            message = f"sources disagree about {path} in run {run.short_id}"
        else:
            lost = " and ".join(_said(old.value, old) for old in _losers(origin))
            message = f"{path} is {_said(value, origin)} in run {run.short_id}, against {lost or 'another source'}"
        yield Finding.by("disputed", message, key=path, hint=f"gitparams show {run.short_id} --origins")


def _losers(origin: Origin) -> Sequence[Overridden]:
    """Return what a value overrode, without defaults where there is anything else."""
    return [old for old in origin.overrode if old.source != "default"] or origin.overrode


def _said(value: Any, by: Origin | Overridden) -> str:
    if by.at is None:
        return f"{_short(value)} ({by.source})"
    return f"{_short(value)} ({by.at})" if by.source in ("cli", "file") else f"{_short(value)} ({by.source} {by.at})"


def _drift(project: _Project) -> Iterator[Finding]:
    run = project.latest
    if run is None:
        return
    for path, change in run.drift.items():
        old, new = change if isinstance(change, list) and len(change) == 2 else (_GONE, change)
        if old == _GONE:
            message = f"{path} was set to {_short(new)} while run {run.short_id} ran"
        elif new == _GONE:
            message = f"{path} was {_short(old)}, and was removed while run {run.short_id} ran"
        else:
            message = f"{path} changed from {_short(old)} to {_short(new)} while run {run.short_id} ran"
        yield Finding.by("drift", message, key=path)


_GONE: Any = {"missing": True}  # as `Run.drift` has it


def _short(value: Any) -> str:
    from gitparams.screens.numbers import value_text

    text = value_text(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


_LOOKS: Mapping[str, Callable[[_Project], Iterator[Finding]]] = {
    "missing-seed": _missing_seed,
    "dirty-tree": _dirty_tree,
    "untracked-params": _untracked_params,
    "duplicate-run": _duplicate_run,
    "never-read": _never_read,
    "disputed": _disputed,
    "drift": _drift,
}
