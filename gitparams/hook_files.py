"""Hook files: how hooks come into a repository, how they stand there, and how git is asked to run them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gitparams.errors import GitParamsError, UsageError

if TYPE_CHECKING:
    from gitparams.git import Git
    from gitparams.values import Value

STANDARD = ("pre-run", "post-run", "post-rewrite")
"""The hooks that are installed when none is named."""
OPTIONAL = ("prepare-commit-msg",)
"""Those that are installed only for who asks for them."""
EVENTS = STANDARD + OPTIONAL
# What git learned when: `git hook run` in 2.36; hooks in the config, and no to event names it does not know, in 2.54.
_HOOK_RUN = (2, 36)
_CONFIG_HOOKS = (2, 54)
_WIDEST = max(map(len, EVENTS))


def say(text: str) -> None:
    """Print a sentence to standard error, harmless for the terminal; git shows it while it runs a hook."""
    sys.stderr.write(f"gitparams: {''.join(c if c.isprintable() else repr(c)[1:-1] for c in text)}\n")
    sys.stderr.flush()


# -- calling them through git ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What the hooks of an event answered.

    Attributes:
        exit_code: not 0 is a no. A hook that is not there says yes.
        ran: whether there was one.
    """

    exit_code: int
    ran: bool


def call(git: Git, event: str, args: Sequence[str], variables: Mapping[str, str]) -> HookAnswer:
    """Run the hooks of an event as git does, whatever git's version: in the config from 2.54 on, and in the hooks folder.

    They get no stdin, and what they print goes to stderr.

    Args:
        event: the hook's name.
        args: its arguments.
        variables: set for the hooks, beside the present environment.
    """
    environment = {**os.environ, **variables}
    if git_version() >= _CONFIG_HOOKS and (listed := _listed_by_git(git, event)) is not None:
        if not listed:
            return HookAnswer(0, False)
        return HookAnswer(_run_by_git(git, event, args, environment, "--allow-unknown-hook-name"), True)
    path = hooks_folder(git) / event
    if not _executable(path):
        if path.is_file():
            say(f"{path} is not executable, so git does not run it (chmod +x mends it).")
        return HookAnswer(0, False)
    if git_version() >= _HOOK_RUN:
        return HookAnswer(_run_by_git(git, event, args, environment), True)
    return HookAnswer(_run_file(git, path, args, environment), True)


@lru_cache(maxsize=8)
def _version_of(path: str) -> tuple[int, int]:
    """Return the version of the git that a PATH finds; (0, 0) when it does not say, for a file can always be run."""
    try:
        answer = subprocess.run(
            ["git", "version"], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
        )
    except OSError:
        return 0, 0
    found = re.search(r"(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def git_version() -> tuple[int, int]:
    """Return major and minor version of the git on the PATH; asked once."""
    return _version_of(os.environ.get("PATH", os.defpath))


def hooks_folder(git: Git) -> Path:
    """Return the folder where git looks for hooks: the common one of all work trees, or what core.hooksPath says."""
    return (git.place.top or git.place.git_dir) / git.text("rev-parse", "--git-path", "hooks")


def _listed_by_git(git: Git, event: str) -> bool | None:
    """Return whether git has a hook for the event; None when this git cannot be asked in that way after all."""
    words = ["git", "hook", "list", "--allow-unknown-hook-name", event]
    variables = {**os.environ, "LC_ALL": "C"}
    asked = subprocess.run(words, cwd=_standing(git), env=variables, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if b"not set as executable" in asked.stderr:
        say(f"{hooks_folder(git) / event} is not executable, so git does not run it (chmod +x mends it).")
    return None if asked.returncode == 129 else asked.returncode == 0


def _run_by_git(git: Git, event: str, args: Sequence[str], environment: Mapping[str, str], *flags: str) -> int:
    return _run(["git", "hook", "run", "--ignore-missing", *flags, event, "--", *args], _standing(git), environment)


def _standing(git: Git) -> Path:
    """Return the folder where the caller stands, from which git works out GIT_PREFIX; the top when the program removed it."""
    top = git.place.top or git.place.git_dir
    folder = top / git.place.prefix
    return folder if folder.is_dir() else top


def _run(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    sys.stderr.flush()
    return subprocess.run(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode


def _run_file(git: Git, path: Path, args: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a hook's file as `git hook run` does, for git before 2.36."""
    place = git.place
    environment = {**environment, "GIT_PREFIX": place.prefix}
    if place.top is None or place.git_dir != place.top / ".git":
        environment["GIT_DIR"] = str(place.git_dir)
    try:
        return _run([str(path), *args], place.top or place.git_dir, environment)
    except OSError as error:
        import errno

        if error.errno == errno.ENOEXEC:  # no #! line: git gives it to sh
            return _run(["sh", str(path), *args], place.top or place.git_dir, environment)
        say(f"{path} could not be run: {error.strerror}.")
        return 1


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


# -- installing -----------------------------------------------------------------------------------------------------------


class HookState(StrEnum):
    """How the hook of an event stands in a repository."""

    ABSENT = "not installed"
    INSTALLED = "installed"
    FOREIGN = "foreign"
    NOT_EXECUTABLE = "not executable"
    NO_INTERPRETER = "no interpreter"
    TOO_NEW = "needs git 2.54"


@dataclass(frozen=True, slots=True)
class HookStatus:
    """How the hook of one event stands.

    Attributes:
        event: its name.
        state: whether it would run.
        kind: ``file`` or ``config``; ``line`` when a foreign hook calls ours; None when there is nothing of ours.
        path: the script that matters.
        legacy: the foreign hook that runs before ours.
    """

    event: str
    state: HookState
    kind: str | None
    path: Path
    legacy: Path | None = None


def hook_source(event: str) -> Path:
    """Return the shipped script of a hook: in the wheel beside the package's data, in a checkout in ``hooks/``.

    Raises:
        UsageError: there is no such hook.

    >>> hook_source("pre-run").name
    'pre-run'
    """
    package = Path(__file__).parent
    for path in (package / "data" / "hooks" / event, package.parent / "hooks" / event):
        if event in EVENTS and path.is_file():
            return path
    raise UsageError(f"gitparams has no hook {event!r}.", hint=f"one of {', '.join(EVENTS)}")


def install(git: Git, events: Sequence[str] = STANDARD, python: str = sys.executable) -> list[str]:
    """Install hooks, and return a sentence for each; a foreign hook is kept and runs first.

    From git 2.54 on they are local config, which touches no file of anybody's. Before, they are files in the hooks folder;
    when core.hooksPath leads out of the repository's own folder nothing is written, and the sentence has the line to add there.

    Raises:
        UsageError: there is no such hook, or a foreign one cannot be moved aside.
        GitParamsError: a file cannot be written.
    """
    scripts = {event: _script(event, python) for event in events}
    way = _install_config if git_version() >= _CONFIG_HOOKS else _install_file
    try:
        return [way(git, event, script) for event, script in scripts.items()]
    except OSError as error:
        raise GitParamsError(f"{error.filename} cannot be written: {error.strerror}.") from None


def uninstall(git: Git) -> list[str]:
    """Remove our hooks and nothing else, put the foreign ones back, and return a sentence for each hook that was removed."""
    return [sentence for event in EVENTS for sentence in (*_remove_file(git, event), *_remove_config(git, event))]


def status(git: Git) -> list[HookStatus]:
    """Return how the hook of each event stands."""
    folder = hooks_folder(git)
    return [_status_of(git, event, folder / event) for event in EVENTS]


def status_document(found: HookStatus) -> dict[str, Value]:
    """Return a status as JSON has it."""
    return {
        "event": found.event,
        "state": str(found.state),
        "kind": found.kind,
        "path": str(found.path),
        "legacy": str(found.legacy) if found.legacy else None,
    }


def status_line(found: HookStatus) -> str:
    """Return a status as a person reads it.

    >>> status_line(HookStatus("pre-run", HookState.INSTALLED, "file", Path(".git/hooks/pre-run")))
    'pre-run             installed (file .git/hooks/pre-run)'
    >>> status_line(HookStatus("post-run", HookState.FOREIGN, None, Path(".git/hooks/post-run")))
    "post-run            not installed: .git/hooks/post-run is somebody else's (gitparams hooks install keeps it)"
    """
    asked = f" {found.event}" if found.event in OPTIONAL else ""
    said = {
        HookState.ABSENT: f"not installed ({'optional: ' if asked else ''}gitparams hooks install{asked})",
        HookState.INSTALLED: f"installed ({found.kind} {found.path})",
        HookState.FOREIGN: f"not installed: {found.path} is somebody else's (gitparams hooks install{asked} keeps it)",
        HookState.NOT_EXECUTABLE: f"not executable, so git does not run it (chmod +x {shlex.quote(str(found.path))})",
        HookState.NO_INTERPRETER: f"installed, but its Python is gone: {found.path} (gitparams hooks install{asked})",
        HookState.TOO_NEW: f"installed in the config, which git reads from 2.54 on (gitparams hooks install{asked})",
    }
    first = f"; {found.legacy.name} runs first" if found.legacy else ""
    return f"{found.event:<{_WIDEST}}  {said[found.state]}{first}"


def why_silent(git: Git, event: str) -> str | None:
    """Return why the hooks of an event recorded nothing, as far as the installation tells; None when it is in order."""
    found = next((item for item in status(git) if item.event == event), None)
    if found is None or found.state is HookState.INSTALLED:
        return None
    return f"gitparams: nothing was recorded: {found.event} {status_line(found)[_WIDEST + 2 :]}"


def _script(event: str, python: str) -> bytes:
    text = hook_source(event).read_text("utf-8")
    return text.replace("\npython=\n", f"\npython={shlex.quote(python)}\n", 1).encode("utf-8", "surrogateescape")


def _install_config(git: Git, event: str, script: bytes) -> str:
    copy = _copy(git, event)
    copy.parent.mkdir(parents=True, exist_ok=True)
    _write_script(copy, script)
    git.run("config", "--local", "--replace-all", f"hook.gitparams-{event}.event", event)
    git.run("config", "--local", "--replace-all", f"hook.gitparams-{event}.command", _command(event))
    _remove_file(git, event)  # both would record twice
    return f"The {event} hook is installed in {git.place.common_dir / 'config'}."


def _command(event: str) -> str:
    """Return the config's command, to which git appends ``"$@"``.

    It looks for the script anew each time, and says yes when it is gone: a repository that was moved, or whose gitparams
    folder was removed, must not veto every run.
    """
    return f'hook="$(git rev-parse --git-common-dir)/gitparams/hooks/{event}"; test ! -x "$hook" || "$hook"'


def _install_file(git: Git, event: str, script: bytes) -> str:
    folder = hooks_folder(git)
    if not _is_within(folder, git.place.common_dir):
        return (
            f"The {event} hook is not installed: core.hooksPath is {folder}, which is not ours to write to. "
            f"Add this line to {folder / event}: {_line(event)}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    path, legacy = folder / event, _legacy(folder / event)
    if os.path.lexists(path) and not _is_ours(path, event):
        _move_aside(path, legacy, event)
    _write_script(path, script)
    _remove_config(git, event)  # both would record twice
    chained = f" The hook that was there runs before it, as {legacy.name}." if legacy.exists() else ""
    return f"The {event} hook is installed as {path}.{chained}"


def _move_aside(path: Path, legacy: Path, event: str) -> None:
    """Give a foreign hook its second name; it is never without one, and no other file loses its own."""
    try:
        os.link(path, legacy, follow_symlinks=False)
    except FileExistsError:
        if not _is_ours(path, event):  # else another install was faster
            raise UsageError(f"{legacy} is in the way of the hook {path.name}.", hint=f"mv {legacy} {legacy}.old") from None
    except (OSError, NotImplementedError):  # a file system without hard links
        path.rename(legacy)


def _write_script(path: Path, script: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    temporary.write_bytes(script)
    temporary.chmod(0o777 & ~_umask())
    temporary.replace(path)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _remove_file(git: Git, event: str) -> list[str]:
    said = []
    folders = {git.place.common_dir / "hooks", hooks_folder(git).resolve()}  # core.hooksPath may have come after us
    for folder in sorted(folder for folder in folders if _is_within(folder, git.place.common_dir)):
        path, legacy = folder / event, _legacy(folder / event)
        if not _is_ours(path, event):
            continue
        if os.path.lexists(legacy):
            legacy.replace(path)
            said.append(f"The {event} hook is removed, and the one that was there before is back: {path}.")
        else:
            path.unlink()
            said.append(f"The {event} hook is removed from {folder}.")
    return said


def _remove_config(git: Git, event: str) -> list[str]:
    _copy(git, event).unlink(missing_ok=True)
    section = f"hook.gitparams-{event}"
    if not _configured(git, event):
        return []
    git.run("config", "--local", "--remove-section", section)
    return [f"The {event} hook is removed from {git.place.common_dir / 'config'}."]


def _configured(git: Git, event: str) -> bool:
    return git.run("config", "--local", "--get", f"hook.gitparams-{event}.event", check=False).returncode == 0


def _status_of(git: Git, event: str, path: Path) -> HookStatus:
    if _configured(git, event):
        copy = _copy(git, event)
        state = HookState.TOO_NEW if git_version() < _CONFIG_HOOKS else _state_of_script(copy)
        return HookStatus(event, state, "config", copy)
    if not os.path.lexists(path):
        return HookStatus(event, HookState.ABSENT, None, path)
    if _is_ours(path, event):
        legacy = _legacy(path)
        return HookStatus(event, _state_of_script(path), "file", path, legacy if legacy.exists() else None)
    if f"gitparams hooks exec {event}" in _text(path):
        return HookStatus(event, HookState.INSTALLED if _executable(path) else HookState.NOT_EXECUTABLE, "line", path)
    return HookStatus(event, HookState.FOREIGN, None, path)


def _state_of_script(path: Path) -> HookState:
    if not path.exists():
        return HookState.ABSENT
    if not _executable(path):
        return HookState.NOT_EXECUTABLE
    found = re.search(r"^python=(.*)$", _text(path), re.MULTILINE)
    words = shlex.split(found[1]) if found else []
    return HookState.INSTALLED if words and os.access(words[0], os.X_OK) else HookState.NO_INTERPRETER


def _copy(git: Git, event: str) -> Path:
    return git.place.common_dir / "gitparams" / "hooks" / event


def _legacy(path: Path) -> Path:
    return path.with_name(f"{path.name}.legacy")


def _line(event: str) -> str:
    """Return the line for a hook that somebody else installs; the other lines there still see what git told on its input."""
    if event == "post-rewrite":
        return f'lines=$(cat); printf "%s\\n" "$lines" | gitparams hooks exec {event} -- "$@" # others read "$lines" in turn'
    return f'gitparams hooks exec {event} -- "$@" || exit'


def _is_ours(path: Path, event: str) -> bool:
    return f"# gitparams hook: {event}" in _text(path).splitlines()[:3]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError:
        return ""


def _is_within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
