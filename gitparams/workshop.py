"""Workshop: a throw-away work tree in which a recorded run is run again, and the user's own stays as it is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gitparams.delivery import Delivery
from gitparams.edits import edit_file
from gitparams.errors import GitParamsError, UsageError
from gitparams.execution import Request, Say, execute
from gitparams.git import Git, Place, clean_environment, said
from gitparams.lockfile import LockFile
from gitparams.model import CodeState, Oid, Run, RunId
from gitparams.params import MISSING, flatten
from gitparams.recorder import RUN_VARIABLE
from gitparams.values import same
from gitparams.writing import Beginning

_PREFIX = "gitparams-workshop-"
_LOCK = "lock"
_NO_BRANCH = "refs/heads/gitparams-workshop"
"""What HEAD names when the commit is not here: a branch that is never made."""
_OWN = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.sparseCheckout=false", "-c", "advice.detachedHead=false")
"""No hook file of the user's runs, and all files are there."""


class Workshop:
    """A linked work tree of a repository, in a temporary folder and with a HEAD and an index of its own.

    It is taken away at the end of its ``with``; one that was left behind by a killed process, when the next is made. The
    ledger is the repository's own. Filters of the user's, such as Git LFS, run as in every checkout; submodules stay empty.

    Args:
        git: the repository.
        folder: where the temporary folder is made; the system's own place when None.
    """

    def __init__(self, git: Git, folder: Path | None = None) -> None:
        self.notes: list[str] = []
        """What a shell should tell the person, once each: a commit that is gone, submodules that are empty."""
        self._git, self._folder = git, folder
        self._links: dict[str, Path] = {}
        self._home: Path | None = None
        self._lock: LockFile | None = None
        self._inside: Git | None = None
        self._options: tuple[str, ...] = _OWN

    def __enter__(self) -> Workshop:
        _sweep(self._git)
        self._options = (*_OWN, *_silencing(self._git))
        try:
            self._home = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._folder)).resolve()
        except OSError as error:
            raise GitParamsError(f"No temporary folder can be made: {error.strerror or error}.") from None
        try:
            self._lock = LockFile(self._home / _LOCK)
            with suppress(OSError):  # a file system without locks: what is left behind stays
                self._lock.take()
            top = self._home / (self._git.place.top.name if self._git.place.top else "code")
            start = self._git.commit_of("HEAD") or _empty_commit(self._git)
            self._run(self._git, "worktree", "add", "--detach", "--no-checkout", str(top), start)
            self._inside = Git(_place_of(self._git, top))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._inside is not None:
            self._inside.close()
        if self._home is not None:
            _remove(self._git, self._home)
        if self._lock is not None:
            self._lock.release()
        self._home = self._lock = self._inside = None

    def rest(self) -> None:
        """End the git processes that were kept alive: nothing of ours runs beside a program, and ^C would end them too."""
        self._git.close()
        self._tree.close()

    @property
    def top(self) -> Path:
        """The top of the work tree."""
        return self._tree.place.top or self._tree.place.git_dir

    @property
    def _tree(self) -> Git:
        assert self._inside is not None, "a workshop is used with `with`"
        return self._inside

    def link(self, path: str | Path) -> None:
        """Let what git does not track, such as a folder of data, be seen at its place in the workshop.

        Args:
            path: a file or folder of the user's work tree, absolute or from its top.

        Raises:
            UsageError: it is not there, or not in the work tree.
        """
        top = self._git.place.top
        if top is None:
            raise UsageError(f"{path} cannot be linked: the repository is bare.")
        target = Path(os.path.normpath(top / path))
        if not target.is_relative_to(top) or target == top:
            raise UsageError(f"{path} cannot be linked: it is not in the work tree {top}.")
        if not target.exists():
            raise UsageError(f"{path} cannot be linked: it is not there.")
        self._links[target.relative_to(top).as_posix()] = target

    def at(self, code: CodeState | str) -> Path:
        """Put the code of a run, or of a commit, into the work tree as if it were fresh, and return its top.

        A run's code is the tree that was recorded, with what was not committed, on top of the run's commit. When that
        commit is not here any more the tree stands on no commit.

        Args:
            code: what a run recorded, or a revision.

        Raises:
            UsageError: there is no such commit, or the code was not kept.
            GitParamsError: git cannot check it out.
        """
        commit, tree = self._meant(code)
        self._run(self._tree, "clean", "-ffdxq")
        self._run(self._tree, "read-tree", "--reset", "-u", tree)
        if commit is None:
            self._run(self._tree, "symbolic-ref", "HEAD", _NO_BRANCH)
        else:
            self._run(self._tree, "update-ref", "--no-deref", "HEAD", commit)
        self._tell_of_submodules()
        for name, target in self._links.items():
            self._link(name, target)
        return self.top

    def _meant(self, code: CodeState | str) -> tuple[Oid | None, str]:
        """Return the commit on which the code stands, and its tree."""
        if isinstance(code, str):
            commit = self._git.commit_of(code)
            if commit is None:
                raise UsageError(f"{code} is no commit of this repository.", hint="git fetch")
            return commit, f"{commit}^{{tree}}"
        commit = self._git.commit_of(code.commit) if code.commit else None
        if code.commit and commit is None:
            self._tell(f"Commit {code.commit[:7]} is not here: the code of its run stands on no commit.")
        if code.tree and self._has(code.tree):
            return commit, code.tree
        if commit is None or code.dirty:
            raise UsageError(f"The code of the run was not kept{': ' + code.note if code.note else '.'}", hint="git fetch")
        return commit, f"{commit}^{{tree}}"

    def _has(self, tree: str) -> bool:
        return self._git.run("cat-file", "-e", f"{tree}^{{tree}}", check=False).returncode == 0

    def _run(self, git: Git, *words: str) -> None:
        done = git.run(*self._options, *words, check=False)
        if done.returncode != 0:
            raise GitParamsError(f"git {words[0]} failed: {said(done.stderr)}")

    def _tell(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _tell_of_submodules(self) -> None:
        if not (self.top / ".gitmodules").is_file():
            return
        for line in self._tree.run("ls-files", "--stage", "-z").stdout.split(b"\0"):
            if line.startswith(b"160000 "):
                path = line.partition(b"\t")[2].decode("utf-8", "replace")
                self._tell(f"The submodule {path} is left empty: its code is no part of the run.")

    def _link(self, name: str, target: Path) -> None:
        place = self.top / name
        if os.path.lexists(place):
            raise UsageError(f"{name} cannot be linked: it holds files that are part of the run's code.")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target, target.is_dir())

    def inside(self, cwd: str) -> Path:
        """Return the folder in which a run was started, there in the workshop.

        Args:
            cwd: as in `Run`: from the top of the work tree.

        Raises:
            UsageError: it was outside of the work tree.
        """
        place = PurePosixPath(cwd)
        if place.is_absolute() or ".." in place.parts:
            raise UsageError(f"The run was started in {cwd}, outside of the work tree, and cannot be repeated beside it.")
        folder = self.top / place
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def edit(self, delivery: Delivery, cwd: str = ".") -> list[tuple[str, str]]:
        """Write the values that are said by files, and return path and reason of what could not be.

        Args:
            delivery: its files are called as origins call them: from the folder of the run, or from the top.
            cwd: the folder of the run.
        """
        unsaid = []
        for name, changes in delivery.files.items():
            lines = delivery.lines.get(name, {})
            if why := self._edit(name, changes, lines, cwd):
                # together they fail: say of each whether it is the one
                alone = [(path, self._edit(name, {path: value}, lines, cwd)) for path, value in changes.items()]
                failed = [(path, reason) for path, reason in alone if reason]
                unsaid += failed or [(path, why) for path in changes]
        return unsaid

    def _edit(self, name: str, changes: Mapping[str, Any], lines: Mapping[str, int | None], cwd: str) -> str | None:
        """Write values to a file, and return why not."""
        own, relative = self._git.place.top, Path(name)
        if own is not None and relative.is_relative_to(own):
            relative = relative.relative_to(own)
        place = next((place for place in (self.inside(cwd) / relative, self.top / relative) if place.is_file()), None)
        if place is None or not place.resolve().is_relative_to(self.top):  # one that is linked is the user's
            return f"{name} is not part of the run's code"
        try:
            text = place.read_bytes().decode("utf-8")
            ending = ".env" if place.name.startswith(".env") else place.suffix.lower()
            place.resolve().write_bytes(edit_file(text, ending, changes, lines).encode("utf-8"))
        except GitParamsError as error:
            return f"{name}: {error.message}"
        except (OSError, UnicodeDecodeError) as error:
            return f"{name} cannot be written: {error}"
        return None

    def words(self, command: Sequence[str], cwd: str) -> tuple[str, ...]:
        """Return a command for the workshop: files of the user's work tree that are here too are meant here.

        A program below the work tree that git does not track, such as ``.venv/bin/python``, stays the user's.
        """
        top, folder = self._git.place.top, self.inside(cwd)
        if top is None:
            return tuple(command)
        words = [self._word(word, top, folder) for word in command]
        if words and os.sep in words[0] and not (folder / words[0]).exists() and (top / cwd / words[0]).exists():
            words[0] = str(top / cwd / words[0])
        return tuple(words)

    def _word(self, word: str, top: Path, folder: Path) -> str:
        if not Path(word).is_absolute() or not Path(word).is_relative_to(top):
            return word
        here = self.top / Path(word).relative_to(top)
        return f".{os.sep}{os.path.relpath(here, folder)}" if here.exists() else word

    @contextmanager
    def standing_in(self, cwd: str, variables: Mapping[str, str | None]) -> Iterator[Path]:
        """Make the folder of a run the present one and set variables, for the time of the block."""
        folder, top = self.inside(cwd), self._git.place.top
        changes: dict[str, str | None] = dict.fromkeys(set(os.environ) - set(clean_environment()))
        changes["PWD"] = str(folder)
        if paths := os.environ.get("PYTHONPATH"):
            changes["PYTHONPATH"] = os.pathsep.join(self._folder_of(path, top) for path in paths.split(os.pathsep))
        changes.update(variables)
        before = {name: os.environ.get(name) for name in changes}
        try:
            _set(changes)
            with chdir(folder):
                yield folder
        finally:
            _set(before)

    def _folder_of(self, path: str, top: Path | None) -> str:
        """Return a folder of modules here when it is one of the user's work tree."""
        if top is None or not Path(path).is_absolute() or not Path(path).is_relative_to(top):
            return path
        here = self.top / Path(path).relative_to(top)
        return str(here) if here.is_dir() else path


@dataclass(frozen=True, slots=True)
class Again:
    """What came of running a recorded run once more.

    Attributes:
        run: the new run; None when none was begun.
        exit_code: the program's, or 125–127 when it was not started; None when something could not be said to it.
        undelivered: path, and why its value could not be said; then nothing was run.
    """

    run: RunId | None = None
    exit_code: int | None = None
    undelivered: tuple[tuple[str, str], ...] = ()


def run_again(
    shop: Workshop,
    code: CodeState | str,
    delivery: Delivery,
    say: Say,
    *,
    cwd: str = ".",
    beginning: Beginning | None = None,
    files: Sequence[str] = (),
    metrics: Sequence[Path] = (),
    parent: RunId | None = None,
    program: str | None = None,
) -> Again:
    """Run a command with the params of a delivery on some code, as an ordinary recorded run of the same ledger.

    The present folder and the environment are those of the run meanwhile, for this whole process; what the program prints
    goes where ours does. Modules of an editable installation are still those of the user's work tree. A delivery that left
    something undelivered is run all the same: whether that matters is for the caller to say.

    Args:
        shop: where.
        code: what a run recorded, or a revision.
        delivery: the command, and what is said beside it.
        say: says one sentence to the person.
        cwd: the folder of the run, as `Run.cwd` has it.
        beginning: name, experiment, tags and note of the new run.
        files: files of params, as after ``--params``; metrics: files of metrics, as after ``--metrics``.
        parent: the run that the new one belongs to.
        program: of several programs, the one whose params are the run's.

    Raises:
        GitParamsError: the code cannot be had, or the declared params or the settings are wrong. Nothing was run.
    """
    shop.at(code)
    if unsaid := shop.edit(delivery, cwd):
        return Again(undelivered=tuple(unsaid))
    begun: list[RunId] = []
    command = shop.words(delivery.command, cwd)
    request = Request(
        command=command,
        beginning=beginning or Beginning(),
        files=files,
        metrics=metrics,
        overrides=delivery.overrides,
        strict=False,
        program=program,
        begun=begun.append,
    )
    variables = {**delivery.variables, **({RUN_VARIABLE: str(parent)} if parent else {})}
    shop.rest()
    with shop.standing_in(cwd, variables):
        exit_code = execute(request, say)
    return Again(begun[0] if begun else None, exit_code)


def shortfall(run: Run, wanted: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return path, wanted value and what the run had instead, where these are not the same in type and value.

    >>> from gitparams.model import Status, new_run_id, now
    >>> from gitparams.params import Params
    >>> run = Run(new_run_id(), Status.COMPLETED, now(), params=Params(lr=1))
    >>> shortfall(run, {"lr": 1.0, "seed": MISSING})
    [('lr', 1.0, 1)]
    """
    flat = flatten(run.params)
    pairs = [(path, value, flat.get(path, MISSING)) for path, value in wanted.items()]
    return [pair for pair in pairs if not (pair[1] is pair[2] or (MISSING not in pair[1:] and same(pair[1], pair[2])))]


# -- small things ---------------------------------------------------------------------------------------------------------


def _set(variables: Mapping[str, str | None]) -> None:
    for name, text in variables.items():
        if text is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = text


def _place_of(git: Git, top: Path) -> Place:
    """Return where a new work tree of a repository is; asked of git, a GIT_DIR that a hook has set would be the answer."""
    admin = (top / ".git").read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    return Place(Path(top, admin), git.place.common_dir, top, "", git.place.hash_name)


def _silencing(git: Git) -> tuple[str, ...]:
    """Return the words that switch off the hooks which stand in the configuration, as git knows them from 2.54 on."""
    keys = git.run("config", "--name-only", "-z", "--get-regexp", r"^hook\..*\.event$", check=False).stdout.split(b"\0")
    names = dict.fromkeys(os.fsdecode(key).removesuffix(".event") for key in keys if key and b"=" not in key)
    return tuple(word for name in names for word in ("-c", f"{name}.enabled=false"))


def _empty_commit(git: Git) -> Oid:
    """Write a commit without files, for a work tree of a repository that has no commit yet; no ref names it."""
    tree = git.tree_object({})
    nobody = "gitparams <> 0 +0000"
    commit = git.object("commit", f"tree {tree.oid}\nauthor {nobody}\ncommitter {nobody}\n\nnothing yet\n".encode())
    if keep := git.write_pack(git.pack([tree, commit])):
        keep.unlink()
    return commit.oid


def _sweep(git: Git) -> None:
    """Take away what killed processes left behind of this repository."""
    for admin in sorted((git.place.common_dir / "worktrees").glob("*")):
        try:
            home = Path((admin / "gitdir").read_text(encoding="utf-8").strip()).parent.parent
        except (OSError, UnicodeDecodeError):
            continue
        if not home.name.startswith(_PREFIX):
            continue
        if not home.is_dir():
            shutil.rmtree(admin, ignore_errors=True)
            continue
        with suppress(OSError), LockFile(home / _LOCK) as lock:
            if lock.take():
                _remove(git, home)


def _remove(git: Git, home: Path) -> None:
    """Remove a workshop and git's record of it, not by ``worktree prune``: that forgets other lost trees of the user's too."""
    for place in sorted((git.place.common_dir / "worktrees").glob("*/gitdir")):
        with suppress(OSError, UnicodeDecodeError):
            if Path(place.read_text(encoding="utf-8").strip()).parent.parent == home:
                shutil.rmtree(place.parent, ignore_errors=True)
    for folder, names, _ in os.walk(home):
        for name in names:
            if not (path := Path(folder, name)).is_symlink():
                with suppress(OSError):
                    path.chmod(0o700)
    shutil.rmtree(home, ignore_errors=True)
    with suppress(OSError):
        (git.place.common_dir / "worktrees").rmdir()  # as git does when the last one goes
