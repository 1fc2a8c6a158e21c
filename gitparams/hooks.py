"""Hooks: what each of them does when git, or a job script, calls it.

The scripts are a few lines of sh that call ``python -m gitparams.hooks EVENT ARGS…``. A fault of ours is one line on stderr and
exit code 0, for a job must not fail because it could not be recorded; ``GITPARAMS_STRICT=1`` makes it exit code 1, except
where that would stop a commit.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from gitparams.errors import GitParamsError, UsageError
from gitparams.hook_files import EVENTS, call, say

if TYPE_CHECKING:
    from gitparams.git import Git
    from gitparams.journal import Journal
    from gitparams.model import Metric, Run, RunId, Status
    from gitparams.params import Layer
    from gitparams.repository import Repository

CALLER_VARIABLE = "GITPARAMS_CALLER"
RUN_FILE_VARIABLE = "GITPARAMS_RUN_FILE"
_RUN_VARIABLE = "GITPARAMS_RUN"
_PATIENCE = 10.0
_REWRITE_SECONDS = 10


# -- what each hook does --------------------------------------------------------------------------------------------------


def main(argv: Sequence[str]) -> int:
    """Do what the hook of an event does, and return its exit code: ``main(["pre-run", "python", "train.py"])``."""
    deeds = {
        "pre-run": pre_run,
        "post-run": post_run,
        "post-rewrite": post_rewrite,
        "prepare-commit-msg": prepare_commit_msg,
    }
    try:
        if not argv or argv[0] not in deeds:
            raise UsageError(f"gitparams has no hook {argv[0] if argv else ''!r}.", hint=f"one of {', '.join(EVENTS)}")
        return deeds[argv[0]](argv[1:])
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the hook's entry: whatever it is, it must not fail the user's job
        say(str(error) if isinstance(error, GitParamsError) else f"{type(error).__name__}: {error}")
        strict = os.environ.get("GITPARAMS_STRICT", "0") not in ("0", "")
        return 1 if strict and argv[:1] != ["prepare-commit-msg"] else 0


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
        if stopped_by_check(repository, declared, say):
            refused = repository.record(beginning, {}, status=Status.REFUSED)
            say(f"run {refused.short_id} is refused")
            return 1
        journal = repository.begin(beginning, Status.OPEN)
        _say_notes(repository)
    _write_id(journal.folder / "id", journal.id)
    if (file := run_file()) is not None:
        _write_id(file, journal.id)
    say(f"run {journal.id[:8]} started")
    return 0


def stopped_by_check(
    repository: Repository, declared: Layer, say: Callable[[str], None], files: Sequence[str] = ()
) -> str | None:
    """Say what `check` finds before a run where the settings ask for it, and return the rule that stops the run, if one does.

    Args:
        repository: where the run will be recorded.
        declared: the params that it will have.
        say: says one sentence to the person.
        files: the files of params that were given for this run, if they take the place of the declared ones.
    """
    if not repository.settings.check:
        return None
    from gitparams.checks import before_run
    from gitparams.rules import stops

    findings = before_run(repository, declared, files)
    for finding in findings:
        say(f"{finding.level}: {finding.message}")
    return next((finding.rule for finding in stops(findings, repository.settings)), None)


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
            say(f"{len(candidates)} open runs may be the one that ended here, so none was closed.")
            _list_open(candidates)
            return 1
        if not candidates or not _taken(candidates[0]):
            return 0
        metrics = _new_metrics(repository, candidates[0])
        run = repository.finish(candidates[0], Ending(_status(exit_code), now(), exit_code), metrics)
        _say_notes(repository)
    say(f"run {run.short_id} {run.status}")
    return 0


def post_rewrite(args: Sequence[str]) -> int:
    """Let the runs of commits that were rewritten be found at what these became.

    Git calls it once at the end of a rebase with a line ``OLD NEW`` a commit on the standard input, and after each amend. What
    takes too long is given up: a link is found later by the commit's tree and patch, too.

    Args:
        args: what rewrote them, ``amend`` or ``rebase``.

    Raises:
        GitParamsError: it could not be written, or took too long.
    """
    lines = [line.split() for line in sys.stdin]
    if not lines:
        return 0
    from gitparams.model import Oid
    from gitparams.repository import Repository

    pairs = [(Oid(words[0]), Oid(words[1])) for words in lines if len(words) > 1]
    with _at_most(_REWRITE_SECONDS), Repository.open() as repository:
        if (tip := repository.ledger.tip()) is None:
            return 0
        repository.index.catch_up(tip)
        if not repository.relink(pairs, args[0] if args else "rewrite"):
            return 0
        known = repository.index.commits_with_runs([old for old, _ in pairs])
        moved = repository.index.runs_at([*known, *repository.index.rewritten_to(list(known))], every=True)
    followed = [f"commit {old[:7]} → {new[:7]}" for old, new in pairs if old in known and old != new]
    runs = "1 run follows" if len(moved) == 1 else f"{len(moved)} runs follow"
    say(f"{runs} {followed[0] if len(followed) == 1 else 'their commits'}")
    return 0


def prepare_commit_msg(args: Sequence[str]) -> int:
    """Add to a commit message what the commit changes of the params, and the run that had them; never stop a commit.

    Args:
        args: the file that holds the message, where the message comes from, and a commit: as git gives them.

    Raises:
        GitParamsError: a staged file of params cannot be read, or git failed. The message stays as it is.
    """
    from gitparams.messages import complete

    if args:
        complete(Path(args[0]), args[1] if len(args) > 1 else "", _words_of_git)
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
    if os.environ.get(_RUN_VARIABLE):
        return True
    from gitparams.recorder import is_other_rank

    return is_other_rank()


def _callers_folder() -> Path:
    """Return the folder where git was called: it starts a hook at the top, and says the rest in GIT_PREFIX."""
    return Path.cwd() / os.environ.get("GIT_PREFIX", "")


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Give the block up after some seconds, where the system can interrupt it."""
    import signal

    def give_up(*_: object) -> None:
        raise GitParamsError(f"The commits were not followed within {seconds} s; gitparams finds them by tree and patch.")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _write_id(file: Path, run: RunId) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{run}\n", "utf-8")
    except OSError as error:
        say(f"the id {run} could not be written to {file}: {error.strerror}.")


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
            say(f"{file} names the run {named[:8]}, which is not open." if named else f"{file} names no run: nothing to close.")
        return found
    found = _ours(opened)
    if not found:
        say("no open run was begun by this job: nothing to close.")
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
        say(f"  {run.short_id}  {run.started:%Y-%m-%d %H:%M:%S}  {shlex.join(run.command)}".rstrip())
    if opened:
        say(f"close one with: gitparams finish {opened[0].id[:8]}   ({RUN_FILE_VARIABLE} tells the runs of several jobs apart)")


def _new_metrics(repository: Repository, journal: Journal) -> dict[str, Metric]:
    """Return the metrics of the settings' files that were written since the run began; the later file wins."""
    from gitparams.metrics_files import read_metrics_files

    begun = (journal.folder / "run.json").stat().st_mtime_ns
    top = repository.git.place.top or Path.cwd()
    names = repository.settings.metrics_files
    written = [(top / name, name) for name in names if _written_since(top / name, begun)]
    for name in names:
        if (top / name, name) not in written:
            say(f"{name} was not written since the run began: no metrics from it.")
    found = read_metrics_files(written)
    for warning in found.warnings:
        say(warning)
    if found.series:
        journal.hear(found.series)
    return found.metrics


def _written_since(path: Path, moment: int) -> bool:
    try:
        return path.stat().st_mtime_ns >= moment
    except OSError:
        return False


def _say_notes(repository: Repository) -> None:
    for note in repository.notes:
        say(note)


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


def _words_of_git() -> tuple[str, ...]:
    """Return the words of the git that runs this hook; none where they cannot be known."""
    return next((process.words for _, process in _ancestors(os.getppid()) if process.is_git), ())


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


# -- for a job script -----------------------------------------------------------------------------------------------------


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
    say(f"another hook said no: run {run[:8]} is refused")


def run() -> NoReturn:
    """Do what the hook of an event does, and end the process: the scripts call this with the event and its arguments."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
