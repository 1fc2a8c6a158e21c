"""Execution: a command run and recorded: the hooks, the program with the capture let in, what it left, and how it ended."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gitparams.capture.redaction import DEFAULT, REDACTED, Redaction
from gitparams.capture.reports import CAPTURE_VARIABLE, FOLDER, Told, tell, told_in
from gitparams.child import ChildEnd, run_child
from gitparams.errors import GitParamsError, LedgerError, RepositoryError
from gitparams.hook_files import call
from gitparams.hooks import stopped_by_check
from gitparams.journal import Ending, Journal
from gitparams.model import Run, RunId, Status, is_run_id, now
from gitparams.params import Layer
from gitparams.recorder import RUN_VARIABLE, kept, spool
from gitparams.repository import Repository, given_layer
from gitparams.settings import Capture, Settings
from gitparams.values import Value
from gitparams.writing import Beginning, how_of

if TYPE_CHECKING:
    from gitparams.event_files import EventWatch
    from gitparams.metrics_files import MetricsWatch
    from gitparams.printout import Printout

NOT_FOUND, NOT_EXECUTABLE, STOPPED = 127, 126, 125
_INJECTED = Path(__file__).parent / "capture" / "program" / "path"
_FIRST_LOOK, _LAST_LOOK = 0.1, 2.0
"""Seconds between looks at what the program told: at first, and after a while."""
_PYTHON_ENDINGS = (".py", ".pyz")
_PYTHON_WORDS = ("python", "pypy", "torchrun", "accelerate", "deepspeed", "uv", "poetry", "pipenv", "hatch", "pdm")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be run and recorded.

    Attributes:
        command: the program and its arguments.
        beginning: what the person said of the run: name, tags …
        files, overrides: the declared params, as `Repository.declared_layer` takes them.
        strict: whether an override of a key that no file declares is an error.
        metrics: files of metrics the program writes; those of the settings when there are none.
        inputs: files to record by digest, beside those of the settings.
        listens: whether the program is asked for its params.
        program: of several programs, the one whose params are the run's; that of the settings when None.
        progress: told bytes done and bytes to do while inputs are hashed.
        begun: told the run's id as soon as it is on the ledger, before its program starts.
    """

    command: tuple[str, ...]
    beginning: Beginning
    files: Sequence[str] = ()
    overrides: Sequence[str] = ()
    strict: bool = True
    metrics: Sequence[Path] = ()
    inputs: Sequence[str] = ()
    listens: bool = True
    program: str | None = None
    progress: Callable[[int, int], None] | None = None
    begun: Callable[[RunId], None] = lambda run: None


def execute(request: Request, say: Say) -> int:
    """Run a command as a run and return its exit code: its own, or 125–127 when it was not started.

    Args:
        request: what to run.
        say: says one sentence to the person.

    Raises:
        GitParamsError: the declared params, the settings, the name or an expectation are wrong. Nothing was run.
    """
    if request.beginning.expect:
        from gitparams.expectations import checked

        checked(request.beginning.expect)
    parent = os.environ.get(RUN_VARIABLE, "")
    beginning = replace(request.beginning, command=request.command, parent=RunId(parent) if is_run_id(parent) else None)
    request = replace(request, beginning=beginning)
    try:
        repository = Repository.find()
    except RepositoryError as error:
        request = replace(request, beginning=replace(beginning, params=given_layer(request.files, request.overrides)))
        return _outside(request, Settings(), Path.cwd(), error, say)
    with repository:
        return _inside(repository, request, say)


def _inside(repository: Repository, request: Request, say: Say) -> int:
    settings, top = repository.settings, repository.git.place.top or Path.cwd()
    if request.beginning.name:
        repository.check_name(request.beginning.name)
    declared = repository.declared_layer(request.files, request.overrides, strict=request.strict)
    beginning = replace(request.beginning, params=declared, listens=_asked(request, settings, top))
    if (missing := _cannot_start(request.command, say)) is not None:
        return missing
    if (refused := _refusal(repository, declared, request, say)) is not None:
        run = repository.record(beginning, {}, status=Status.REFUSED)
        request.begun(run.id)
        say(f"{refused}: run {run.short_id} is refused; the program was not started.")
        return STOPPED
    beginning = replace(beginning, inputs=repository.digests(request.inputs, request.progress))
    request = replace(request, beginning=beginning)
    left = _Left.watched(request, settings, top)
    try:
        journal = repository.begin(beginning)
    except LedgerError as error:
        return _outside(request, settings, top, error, say)
    request.begun(journal.id)
    for note in repository.notes:
        say(note)
    repository.git.close()  # nothing of ours runs beside the program
    left.redaction = repository.redaction  # it knows by now what was secret in the command
    with _Listening(journal, top):
        end = _child(request.command, journal, left, say)
    _close(repository, journal, end, left, say)
    return end.exit_code


def _asked(request: Request, settings: Settings, top: Path) -> dict[str, Value] | None:
    """Return what the program is asked for beside its params; None when it is asked for nothing."""
    if not (request.listens and settings.capture.parsers):
        return None
    files: list[Value] = [[str(path), name] for path, name in _metrics_files(request, settings, top)]
    return {"metrics": files, **({"program": request.program} if request.program else {})}


def _metrics_files(request: Request, settings: Settings, top: Path) -> list[tuple[Path, str]]:
    """Return the metrics files with the names they are called by: the given ones, else those of the settings."""
    given = [(Path.cwd() / path, str(path)) for path in request.metrics]
    return given or [(top / name, name) for name in settings.metrics_files]


def _refusal(repository: Repository, declared: Layer, request: Request, say: Say) -> str | None:
    """Return why the run may not begin: a rule of `check` that the settings make an error, or a hook that says no."""
    if rule := stopped_by_check(repository, declared, say, request.files):
        return f"The check {rule} said no"
    veto = call(repository.git, "pre-run", request.command, {RUN_VARIABLE: "pending"})
    return f"The pre-run hook said no (exit {veto.exit_code})" if veto.exit_code else None


def _cannot_start(command: tuple[str, ...], say: Say) -> int | None:
    """Say why a program cannot be started, and return the shell's exit code for that; None when it can."""
    program = command[0]
    if shutil.which(program):
        return None
    path = Path(program)
    if os.sep in program and path.exists():
        say(f"{program} is {'a folder' if path.is_dir() else 'not executable'}. Nothing was run or recorded.")
        return NOT_EXECUTABLE
    say(f"There is no program {program!r}. Nothing was run or recorded.")
    return NOT_FOUND


# -- while it runs --------------------------------------------------------------------------------------------------------


def _child(command: tuple[str, ...], journal: Journal, left: _Left, say: Say) -> ChildEnd:
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        environment = environment_of(journal, left.capture)
        return run_child(command, environment, left.overhearing(journal), asked=_interrupts(journal), tick=journal.pulse)
    except OSError as error:
        say(f"{command[0]} could not be started: {error.strerror or error}.")
        return ChildEnd(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE, False)


def _interrupts(journal: Journal) -> Callable[[int], None]:
    """Return what notes that a signal asked the run to end: if we are killed before it does, that is how it ended.

    What its program does of the time that it has left is said later, and wins.
    """
    return lambda number: journal.end(Ending(Status.INTERRUPTED, now()))


def environment_of(journal: Journal, capture: Capture) -> dict[str, str]:
    """Return the environment of a run's program: ours, the run's id, and where its Pythons tell what they resolved."""
    variables = {**os.environ, RUN_VARIABLE: journal.id}
    for name in (CAPTURE_VARIABLE, "GITPARAMS_CHAIN", "GITPARAMS_GLOBALS"):
        variables.pop(name, None)
    others = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder != str(_INJECTED)]
    if (journal.folder / FOLDER).is_dir():
        variables[CAPTURE_VARIABLE] = str(journal.folder / FOLDER)
        others.insert(0, str(_INJECTED))
        if capture.globals:
            variables["GITPARAMS_GLOBALS"] = "1"
    if any(others) or "PYTHONPATH" in variables:
        variables["PYTHONPATH"] = os.pathsep.join(folder for place, folder in enumerate(others) if folder or place)
    return variables


class _Listening:
    """Brings to the ledger what the program tells while it runs: its config is in git even if the machine dies."""

    def __init__(self, journal: Journal, top: Path) -> None:
        self._journal, self._top = Journal(journal.folder), top
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        if (self._journal.folder / FOLDER).is_dir():
            self._thread = threading.Thread(target=self._listen, daemon=True)
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def _listen(self) -> None:
        pause, heard, settled = _FIRST_LOOK, 0, False
        while not self._end.wait(pause):
            pause = min(pause * 1.3, _LAST_LOOK)
            count = self._messages()
            if count == heard:
                continue
            heard = count
            try:
                told = told_in(self._journal.folder / FOLDER, self._journal.read().run.command)
                if told.group or (told.layer.values and not settled):
                    settled = self._keep_up()
                    heard = heard if settled else 0  # once more at the next look
            except (GitParamsError, OSError):
                heard = 0  # at the next look; else the finish entry says it all

    def _messages(self) -> int:
        with suppress(OSError), os.scandir(self._journal.folder / FOLDER) as found:
            return sum(entry.name.endswith(".json") for entry in found)  # what is still being written counts when it is whole
        return 0

    def _keep_up(self) -> bool:
        with Repository.open(self._top) as repository:
            repository.index.catch_up(repository.ledger.tip())
            return repository.keep_up(self._journal)


# -- when it has ended ----------------------------------------------------------------------------------------------------


@dataclass
class _Left:
    """What a program leaves behind beside its exit code: metrics files, event files, numbers on its output."""

    metrics: MetricsWatch
    events: EventWatch | None
    printout: Printout | None
    capture: Capture = field(default_factory=Capture)
    redaction: Redaction = DEFAULT
    begun: float = field(default_factory=time.time)

    @classmethod
    def watched(cls, request: Request, settings: Settings, top: Path) -> _Left:
        from gitparams.metrics_files import MetricsWatch

        files = _metrics_files(request, settings, top)
        printout = None
        if settings.capture.output:
            from gitparams.printout import Printout

            printout = Printout(settings.capture.output)
        events = None
        if settings.capture.tensorboard:
            from gitparams.event_files import EventWatch

            events = EventWatch([(top / name, name) for name in settings.capture.tensorboard])
        return cls(MetricsWatch(files), events, printout, settings.capture)

    def overhearing(self, journal: Journal) -> Callable[[bytes], None]:
        printout, known = self.printout, [secret.encode() for secret in self.redaction.known]
        if printout is None and not known:
            return journal.output

        def overhear(data: bytes) -> None:
            for secret in known:
                data = data.replace(secret, REDACTED.encode())
            journal.output(data)
            for line in printout.feed(data) if printout is not None else ():
                journal.hear(line)

        return overhear

    def read(self, journal: Journal, told: Told, silent: Sequence[str]) -> list[str]:
        """Write what was left into the journal, and return what is to be said about it."""
        for line in self.printout.end() if self.printout else ():
            journal.hear(line)
        taken = {name for part in told.parts for name, _ in part.metrics}
        found = self.metrics.read(_output_folder(told), self.begun, taken)
        if found.series:
            journal.hear(found.series)
        if found.metrics and not told.group:
            journal.change(summary=dict(found.metrics))
        if "tensorboard" in silent or not (self.events or told.folders):
            return found.warnings
        from gitparams.event_files import EventWatch

        watch = self.events or EventWatch([], begun=self.begun)
        events = watch.read([(Path(folder), _shown(folder)) for folder in told.folders])
        if events.series:
            journal.hear(events.series)
        if events.hparams:
            tell(journal.folder / FOLDER, "hparams", values=events.hparams)
        return found.warnings + events.warnings


def _output_folder(told: Told) -> str | None:
    """Return the folder that Hydra made for the one job of a run."""
    hydra = told.facts.get("hydra")
    folder = hydra.get("output_dir") if isinstance(hydra, dict) and not told.group else None
    return folder if isinstance(folder, str) else None


def _shown(folder: str) -> str:
    return os.path.relpath(folder) if Path(folder).is_relative_to(Path.cwd()) else folder


def _close(repository: Repository, journal: Journal, end: ChildEnd, left: _Left, say: Say) -> None:
    """Record how the program ended. Whatever goes wrong here is a warning: the exit code is the program's."""
    try:
        with repository.followed(journal) as here:
            command, listened = journal.read().run.command, (journal.folder / FOLDER).is_dir()
            told = here.told(journal)
            ending = _end_journal(journal, end, left, told, here.settings.silent, say)
            variables = {RUN_VARIABLE: journal.id, "GITPARAMS_EXIT_CODE": str(end.exit_code)}
            call(here.git, "post-run", (str(end.exit_code),), variables)
            said = len(here.notes)
            finished = here.finish(journal, ending)
            for note in here.notes[said:]:
                say(note)
    except (GitParamsError, OSError) as error:
        say(kept(journal, error))
    else:
        silence = why_nothing(told, command) if listened and _may_have_told(finished) else None
        if silence is not None:
            say(silence)
        _report(finished, told, say)


def _end_journal(journal: Journal, end: ChildEnd, left: _Left, told: Told, silent: Sequence[str], say: Say) -> Ending:
    """Write to the journal what the program left and how it ended: from here on the next command could finish the run."""
    status = Status.INTERRUPTED if end.interrupted else Status.FAILED if end.exit_code else Status.COMPLETED
    warnings = left.read(journal, told, silent)
    for warning in warnings if status is Status.COMPLETED else []:  # who failed had no time for metrics
        say(warning)
    for fault in told.faults if os.environ.get("GITPARAMS_DEBUG") else ():
        say(f"in the program: {fault}")
    ending = Ending(status, now(), end.exit_code)
    journal.end(ending)
    return ending


def _may_have_told(run: Run) -> bool:
    return not run.params and run.status is Status.COMPLETED


_ASKING = frozenset(
    ("--help", "-h", "--version", "--cfg", "--info", "--hydra-help", "--helpfull", "--helpshort", "--print_config")
)


def why_nothing(told: Told, command: Sequence[str]) -> str | None:
    """Return why no params were captured, when a Python program ran; None when some were, or none was to be expected."""
    if told.layer.values or told.group:
        return None
    old = [version for version in told.greeted if _is_old(version)]
    if old and len(old) == len(told.greeted):
        return f"No params were captured: Python {old[0]} is too old, 3.8 is the oldest that can tell."
    if told.greeted and not _ASKING.isdisjoint(command[1:]):
        return None  # its parser, or Hydra, answered instead of running
    if told.greeted:
        return "No params were captured: no parser that gitparams knows was used. (gitparams.start(params) records them.)"
    if not _looks_like_python(command):
        return None
    if flag := _isolating_flag(command):
        return f"No params were captured: Python's {flag} keeps gitparams out."
    return "No params were captured: no Python was seen; a PYTHONPATH that was overwritten keeps gitparams out."


def _is_old(version: str) -> bool:
    parts = version.split(".")
    return len(parts) > 1 and all(map(str.isdigit, parts[:2])) and (int(parts[0]), int(parts[1])) < (3, 8)


def _looks_like_python(command: Sequence[str]) -> bool:
    return any(Path(word).name.startswith(_PYTHON_WORDS) for word in command[:1]) or any(
        word.endswith(_PYTHON_ENDINGS) for word in command
    )


def _isolating_flag(command: Sequence[str]) -> str | None:
    """Return the flag by which a Python named in a command ignores PYTHONPATH or its site, if there is one."""
    words = iter(command)
    for word in words:
        if Path(word).name.startswith(("python", "pypy")):
            break
    for word in words:
        if not word.startswith("-") or word in ("-", "-c", "-m"):
            return None
        if not word.startswith("--") and (found := next((letter for letter in "IES" if letter in word[1:]), None)):
            return f"-{found}"
        if word in ("-W", "-X"):
            next(words, None)
    return None


def _report(run: Run, told: Told, say: Say) -> None:
    if sys.stderr.isatty():
        from gitparams.screens.numbers import value_text

        numbers = " · ".join(f"{name} {value_text(value)}" for name, value in list(run.metrics.items())[:4])
        many = f" · a group of {len(told.parts)} runs" if run.group and told.parts else ""
        say(f"run {run.short_id} {run.status}{many}{' · ' + numbers if numbers else ''}{_verdict(run)}")


def _verdict(run: Run) -> str:
    if not run.expect:
        return ""
    from gitparams.expectations import verdict_of

    verdict = verdict_of(run)
    return f" · {verdict}" if verdict else ""


def _outside(request: Request, settings: Settings, top: Path, error: GitParamsError, say: Say) -> int:
    """Run a program although nothing can be recorded in git: training comes first, and the run is kept aside."""
    if (missing := _cannot_start(request.command, say)) is not None:
        return missing
    left = _Left.watched(request, settings, top)
    journal = spool(request.beginning, error)
    if journal is None:
        return run_child(request.command, os.environ, lambda data: None).exit_code
    if (asked := _asked(request, settings, top)) is not None:
        journal.listen({**how_of(settings, Redaction.of(settings.redact)), **asked})
    end = _child(request.command, journal, left, say)
    told = told_in(journal.folder / FOLDER, request.command)
    _end_journal(journal, end, left, told, settings.silent, say)
    journal.close()
    return end.exit_code
