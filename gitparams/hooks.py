"""Hooks: what pre-run and post-run do, how git is asked to run them, and how they come into a repository.

The scripts are a few lines of sh that call ``python -m gitparams.hooks EVENT ARGS…``. A fault of ours is one line on stderr and
exit code 0, for a job must not fail because it could not be recorded; ``GITPARAMS_STRICT=1`` makes it exit code 1.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gitparams.errors import GitParamsError, UsageError

if TYPE_CHECKING:
    from gitparams.git import Git
    from gitparams.journal import Journal
    from gitparams.model import Metric, Run, RunId, Status
    from gitparams.params import Layer
    from gitparams.repository import Repository
    from gitparams.values import Value

EVENTS = ("pre-run", "post-run")
CALLER_VARIABLE = "GITPARAMS_CALLER"
RUN_FILE_VARIABLE = "GITPARAMS_RUN_FILE"
_RUN_VARIABLE = "GITPARAMS_RUN"
# What git learned when: `git hook run` in 2.36; hooks in the config, and no to event names it does not know, in 2.54.
_HOOK_RUN = (2, 36)
_CONFIG_HOOKS = (2, 54)
_PATIENCE = 10.0


# -- what each hook does --------------------------------------------------------------------------------------------------


def main(argv: Sequence[str]) -> int:
    """Do what the hook of an event does, and return its exit code: ``main(["pre-run", "python", "train.py"])``."""
    deeds = {"pre-run": pre_run, "post-run": post_run}
    try:
        if not argv or argv[0] not in deeds:
            raise UsageError(f"gitparams has no hook {argv[0] if argv else ''!r}.", hint=f"one of {', '.join(EVENTS)}")
        return deeds[argv[0]](argv[1:])
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the hook's entry: whatever it is, it must not fail the user's job
        _say(str(error) if isinstance(error, GitParamsError) else f"{type(error).__name__}: {error}")
        return 1 if os.environ.get("GITPARAMS_STRICT", "0") not in ("0", "") else 0


def pre_run(args: Sequence[str]) -> int:
    """Record a command that is about to be run as an open run, and leave its id in ``$GITPARAMS_RUN_FILE``.

    The id is also in ``<git common dir>/gitparams/live/<id>/id`` as long as the run is open.

    Args:
        args: the program and its arguments. Its params are those that gitparams.yaml declares.

    Raises:
        GitParamsError: it could not be recorded.
    """
    if _stands_aside():
        return 0
    from gitparams.model import Status
    from gitparams.repository import Repository
    from gitparams.writing import Beginning

    caller = _caller()
    with Repository.find() as repository:
        declared = repository.declared_layer((), ())
        beginning = Beginning(
            params=declared,
            command=tuple(args),
            cwd=_callers_folder(),
            environment={"caller": caller} if caller else {},
            inputs=repository.digests(),
        )
        if _stopped_by_check(repository, declared):
            refused = repository.record(beginning, {}, status=Status.REFUSED)
            _say(f"run {refused.short_id} is refused")
            return 1
        journal = repository.begin(beginning, Status.OPEN)
        _say_notes(repository)
    _write_id(journal.folder / "id", journal.id)
    if (file := run_file()) is not None:
        _write_id(file, journal.id)
    _say(f"run {journal.id[:8]} started")
    return 0


def _stopped_by_check(repository: Repository, declared: Layer) -> bool:
    """Say what `check` finds where the settings ask for it, and tell whether that stops the run."""
    if not repository.settings.check:
        return False
    from gitparams.checks import before_run
    from gitparams.rules import stops

    findings = before_run(repository, declared)
    for finding in findings:
        _say(f"{finding.level}: {finding.message}")
    return bool(stops(findings, repository.settings))


def post_run(args: Sequence[str]) -> int:
    """Finish the open run that the pre-run hook began for this job, with the metrics files that changed since.

    It is the one in ``$GITPARAMS_RUN_FILE``, else the single open run of this host with the same caller or scheduler's job id.

    Args:
        args: the program's exit code; 0 when there is none.

    Raises:
        GitParamsError: it could not be recorded.
    """
    if _stands_aside():
        return 0
    from gitparams.journal import Ending
    from gitparams.model import now
    from gitparams.repository import Repository

    exit_code = _exit_code(args)
    with Repository.find() as repository:
        candidates = _candidates(repository)
        if len(candidates) > 1:
            _say(f"{len(candidates)} open runs may be the one that ended here, so none was closed.")
            _list_open(candidates)
            return 1
        if not candidates or not _taken(candidates[0]):
            return 0
        metrics = _new_metrics(repository, candidates[0])
        run = repository.finish(candidates[0], Ending(_status(exit_code), now(), exit_code), metrics)
        _say_notes(repository)
    _say(f"run {run.short_id} {run.status}")
    return 0


def run_file() -> Path | None:
    """Return the file that ``$GITPARAMS_RUN_FILE`` names, seen from the folder where git was called; None without it."""
    name = os.environ.get(RUN_FILE_VARIABLE)
    return _callers_folder() / name if name else None


def read_id(file: Path) -> RunId | None:
    """Return the run id in a file, or None when there is none."""
    from gitparams.model import RunId, is_run_id

    try:
        text = file.read_text("utf-8", "replace").strip()
    except OSError:
        return None
    return RunId(text) if is_run_id(text) else None


def _stands_aside() -> bool:
    """Tell whether somebody else records: `gitparams run`, or the first rank of a distributed job."""
    from gitparams.recorder import RANK_VARIABLES

    return bool(os.environ.get(_RUN_VARIABLE)) or any(os.environ.get(name, "0") not in ("0", "") for name in RANK_VARIABLES)


def _callers_folder() -> Path:
    """Return the folder where git was called: it starts a hook at the top, and says the rest in GIT_PREFIX."""
    return Path.cwd() / os.environ.get("GIT_PREFIX", "")


def _write_id(file: Path, run: RunId) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{run}\n", "utf-8")
    except OSError as error:
        _say(f"the id {run} could not be written to {file}: {error.strerror}.")


def _exit_code(args: Sequence[str]) -> int | None:
    """Return the program's exit code; None for words that are none (a job script may give the command to both hooks)."""
    if not args:
        return 0
    return int(args[0]) if re.fullmatch(r"-?\d{1,9}", args[0]) else None


def _status(exit_code: int | None) -> Status:
    from gitparams.model import Status

    if not exit_code:
        return Status.COMPLETED
    return Status.INTERRUPTED if exit_code in (130, 143) else Status.FAILED  # 128 + SIGINT, 128 + SIGTERM


def _candidates(repository: Repository) -> list[Journal]:
    """Return the open runs that may be the one of this job; when there is none, say why."""
    opened = _open_runs(repository)
    if (file := run_file()) is not None:
        named = read_id(file)
        found = [journal for journal, _ in opened if journal.id == named]
        if not found:
            _say(
                f"{file} names the run {named[:8]}, which is not open." if named else f"{file} names no run: nothing to close."
            )
        return found
    found = _ours(opened)
    if not found:
        _say("no open run was begun by this job: nothing to close.")
        _list_open([journal for journal, _ in opened])
    return found


def _open_runs(repository: Repository) -> list[tuple[Journal, Run]]:
    from gitparams.errors import FormatError
    from gitparams.journal import journals
    from gitparams.model import Status

    found = []
    for journal in journals(repository.live):
        try:
            state = journal.read()
        except FormatError:
            continue  # doctor shows it
        if state.run.status is Status.OPEN and state.ending is None:
            found.append((journal, state.run))
    return found


def _caller() -> str:
    return os.environ.get(CALLER_VARIABLE) or caller_of(os.getppid())


def _ours(opened: Sequence[tuple[Journal, Run]]) -> list[Journal]:
    """Return the runs of this host with the same caller and job id; failing that with the same caller, then the same job id."""
    from gitparams.writing import host, job_of_scheduler

    caller, job = _caller(), job_of_scheduler().get("job")
    here = [(journal, run.environment) for journal, run in opened if run.host == host()]
    by_caller = [journal for journal, known in here if caller and known.get("caller") == caller]
    by_job = [journal for journal, known in here if job and known.get("job") == job]
    return [journal for journal in by_caller if journal in by_job] or by_caller or by_job


def _taken(journal: Journal) -> bool:
    """Take the journal's lock; False when another post-run closes, or has closed, the run."""
    try:
        alone = journal.lock.take(_PATIENCE)  # every command holds it for a moment, to see whether the run is dead
    except OSError:
        alone = True  # no locks here
    return alone and (journal.folder / "run.json").exists()


def _list_open(opened: Sequence[Journal]) -> None:
    for journal in opened:
        run = journal.read().run
        _say(f"  {run.short_id}  {run.started:%Y-%m-%d %H:%M:%S}  {shlex.join(run.command)}".rstrip())
    if opened:
        _say(
            f"close one with: gitparams finish {opened[0].id[:8]}   ({RUN_FILE_VARIABLE} tells the runs of several jobs apart)"
        )


def _new_metrics(repository: Repository, journal: Journal) -> dict[str, Metric]:
    """Return the metrics of the settings' files that were written since the run began; the later file wins."""
    from gitparams.metrics_files import read_metrics_files

    begun = (journal.folder / "run.json").stat().st_mtime_ns
    top = repository.git.place.top or Path.cwd()
    names = repository.settings.metrics_files
    written = [(top / name, name) for name in names if _written_since(top / name, begun)]
    for name in names:
        if (top / name, name) not in written:
            _say(f"{name} was not written since the run began: no metrics from it.")
    found = read_metrics_files(written)
    for warning in found.warnings:
        _say(warning)
    if found.series:
        journal.hear(found.series)
    return found.metrics


def _written_since(path: Path, moment: int) -> bool:
    try:
        return path.stat().st_mtime_ns >= moment
    except OSError:
        return False


def _say(text: str) -> None:
    print(f"gitparams: {''.join(c if c.isprintable() else repr(c)[1:-1] for c in text)}", file=sys.stderr)


def _say_notes(repository: Repository) -> None:
    for note in repository.notes:
        _say(note)


# -- who calls ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    start: str
    words: tuple[str, ...]

    @property
    def is_git(self) -> bool:
        return bool(self.words) and Path(self.words[0]).stem == "git"

    @property
    def runs_hooks(self) -> bool:
        return self.is_git and "hook" in self.words and "run" in self.words[self.words.index("hook") :]

    @property
    def is_hook_shell(self) -> bool:
        """Whether it is the sh by which git runs a hook of the config: ``sh -c 'COMMAND "$@"' …``."""
        return (
            len(self.words) > 2
            and self.words[1] == "-c"
            and self.words[2].endswith('"$@"')
            and "gitparams/hooks/" in self.words[2]
        )


def caller_of(pid: int) -> str:
    """Return ``<process id>:<start time>`` of the process on whose behalf a process (or its ancestors) runs hooks.

    It is the one above the nearest ``git hook run``, or the process itself when there is none. Empty where it cannot be known.
    """
    chain = list(_ancestors(pid))
    place = next((number for number, (_, process) in enumerate(chain) if process.runs_hooks), 0)
    for number, process in chain[place:]:
        if not process.is_git and not process.is_hook_shell:
            return f"{number}:{process.start}"
    return ""


def _ancestors(pid: int) -> Iterator[tuple[int, _Process]]:
    for _ in range(64):
        process = _process(pid)
        if process is None:
            return
        yield pid, process
        pid = process.parent


def _process(pid: int) -> _Process | None:
    if pid <= 0:
        return None
    return _process_of_linux(pid) if sys.platform == "linux" else _process_of_ps(pid)


def _process_of_linux(pid: int) -> _Process | None:
    try:
        status = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
    except OSError:
        return None
    fields = status.rpartition(")")[2].split()  # the name before it may hold anything; proc(5): 4 is ppid, 22 is starttime
    return _Process(int(fields[1]), fields[19], tuple(words))


def _process_of_ps(pid: int) -> _Process | None:
    try:
        asked = subprocess.run(
            ["ps", "-o", "ppid=,lstart=,command=", "-p", str(pid)],
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    words = asked.stdout.split()
    if len(words) < 7:
        return None
    start, command = "-".join(words[1:6]), words[6:]
    if command[1:2] == ["-c"]:  # ps does not tell where a word ends; for is_hook_shell it is one
        command = [*command[:2], " ".join(command[2:])]
    return _Process(int(words[0]), start, tuple(command))


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
            _say(f"{path} is not executable, so git does not run it (chmod +x mends it).")
        return HookAnswer(0, False)
    if git_version() >= _HOOK_RUN:
        return HookAnswer(_run_by_git(git, event, args, environment), True)
    return HookAnswer(_run_file(git, path, args, environment), True)


def call_from_job(git: Git, event: str, args: Sequence[str]) -> tuple[int, RunId | None]:
    """Run the hooks of an event for a job script, and return their exit code and the run that pre-run began.

    When another hook said no after ours began the run (from git 2.54 on a no does not stop the other hooks), it is `refused`.
    """
    import tempfile

    caller = _caller()
    variables = {CALLER_VARIABLE: caller} if caller else {}
    if event != "pre-run":
        return call(git, event, args, variables).exit_code, None
    with tempfile.TemporaryDirectory(prefix="gitparams-") as folder:
        file = Path(folder, "run")
        exit_code = call(git, event, args, {**variables, RUN_FILE_VARIABLE: str(file)}).exit_code
        run = read_id(file)
    if run is not None and exit_code:
        _refuse(git, run)
        return exit_code, None
    if run is not None and (named := run_file()) is not None:
        _write_id(named, run)
    return exit_code, run


def _refuse(git: Git, run: RunId) -> None:
    from gitparams.journal import Ending
    from gitparams.model import Status, now
    from gitparams.repository import Repository

    with Repository.find(git.place.top or git.place.git_dir) as repository:
        journal = repository.journal_of(run)
        if journal is not None:
            repository.finish(journal, Ending(Status.REFUSED, now()))
    _say(f"another hook said no: run {run[:8]} is refused")


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
        _say(f"{hooks_folder(git) / event} is not executable, so git does not run it (chmod +x mends it).")
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
        _say(f"{path} could not be run: {error.strerror}.")
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


def install(git: Git, events: Sequence[str] = EVENTS, python: str = sys.executable) -> list[str]:
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
    'pre-run   installed (file .git/hooks/pre-run)'
    >>> status_line(HookStatus("post-run", HookState.FOREIGN, None, Path(".git/hooks/post-run")))
    "post-run  not installed: .git/hooks/post-run is somebody else's (gitparams hooks install keeps it)"
    """
    said = {
        HookState.ABSENT: "not installed (gitparams hooks install)",
        HookState.INSTALLED: f"installed ({found.kind} {found.path})",
        HookState.FOREIGN: f"not installed: {found.path} is somebody else's (gitparams hooks install keeps it)",
        HookState.NOT_EXECUTABLE: f"not executable, so git does not run it (chmod +x {shlex.quote(str(found.path))})",
        HookState.NO_INTERPRETER: f"installed, but its Python is gone: {found.path} (gitparams hooks install)",
        HookState.TOO_NEW: "installed in the config, which git reads from 2.54 on (gitparams hooks install)",
    }
    first = f"; {found.legacy.name} runs first" if found.legacy else ""
    return f"{found.event:<8}  {said[found.state]}{first}"


def why_silent(git: Git, event: str) -> str | None:
    """Return why the hooks of an event recorded nothing, as far as the installation tells; None when it is in order."""
    found = next((item for item in status(git) if item.event == event), None)
    if found is None or found.state is HookState.INSTALLED:
        return None
    return f"gitparams: nothing was recorded: {status_line(found)}"


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
