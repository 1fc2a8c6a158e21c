"""``gitparams run``: a program, with its streams and exit code untouched, recorded as a run."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gitparams.child import ChildEnd, run_child
from gitparams.cli.options import APP, Experiment, MetricsFiles, Name, Note, Overrides, ParamsFiles, Tags, command_words
from gitparams.cli.talk import talk
from gitparams.errors import GitParamsError, LedgerError, RepositoryError
from gitparams.hooks import call
from gitparams.journal import Ending, Journal
from gitparams.metrics_files import MetricsWatch
from gitparams.model import Run, RunId, Status, is_run_id, now
from gitparams.recorder import RUN_VARIABLE, spool
from gitparams.repository import Beginning, Repository, given_layer

app = typer.Typer(**APP)
_NOT_FOUND, _NOT_EXECUTABLE, _STOPPED = 127, 126, 125


@app.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": False})
def run(
    words: Annotated[list[str] | None, typer.Argument(metavar="CMD…", help="The program and its arguments, after --")] = None,
    param: Overrides = None,
    params: ParamsFiles = None,
    metrics: MetricsFiles = None,
    name: Name = None,
    experiment: Experiment = None,
    tag: Tags = None,
    note: Note = "",
) -> None:
    """Run a program and record it: its params, its metrics files, its code, its output and how it ended."""
    command = command_words(words)
    parent = os.environ.get(RUN_VARIABLE, "")
    beginning = Beginning(
        name=name,
        experiment=experiment,
        tags=tuple(tag or ()),
        note=note,
        command=command,
        parent=RunId(parent) if is_run_id(parent) else None,
    )
    try:
        repository = Repository.find()
    except RepositoryError as error:
        beginning = replace(beginning, params=given_layer(params or (), param or ()))
        watch = MetricsWatch([(Path.cwd() / path, str(path)) for path in metrics or ()])
        raise typer.Exit(_run_without_ledger(command, beginning, error, watch)) from None
    with repository:
        raise typer.Exit(_run(repository, command, beginning, params or (), param or (), metrics or ()))


def _run(
    repository: Repository,
    command: tuple[str, ...],
    beginning: Beginning,
    files: Sequence[Path],
    overrides: Sequence[str],
    metrics: Sequence[Path],
) -> int:
    if beginning.name:
        repository.check_name(beginning.name)
    beginning = replace(beginning, params=repository.declared_layer(files, overrides))
    if (missing := _cannot_start(command)) is not None:
        return missing
    if (veto := call(repository.git, "pre-run", command, {RUN_VARIABLE: "pending"})).exit_code:
        refused = repository.record(beginning, {}, status=Status.REFUSED)
        talk(
            f"The pre-run hook said no (exit {veto.exit_code}): run {refused.short_id} is refused; the program was not started."
        )
        return _STOPPED
    watch = MetricsWatch(_metrics_files(repository, metrics))
    try:
        journal = repository.begin(beginning)
    except LedgerError as error:
        return _run_without_ledger(command, beginning, error, watch)
    for note in repository.notes:
        talk(note)
    repository.git.close()  # nothing of ours runs beside the program
    end = _child(command, journal)
    _close(repository, journal, end, watch)
    return end.exit_code


def _cannot_start(command: tuple[str, ...]) -> int | None:
    """Say why a program cannot be started, and return the shell's exit code for that; None when it can."""
    program = command[0]
    if shutil.which(program):
        return None
    path = Path(program)
    if os.sep in program and path.exists():
        talk(f"{program} is {'a folder' if path.is_dir() else 'not executable'}. Nothing was run or recorded.")
        return _NOT_EXECUTABLE
    talk(f"There is no program {program!r}. Nothing was run or recorded.")
    return _NOT_FOUND


def _metrics_files(repository: Repository, given: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return the metrics files with the names they are called by: the given ones, else those of the settings."""
    if given:
        return [(Path.cwd() / path, str(path)) for path in given]
    top = repository.git.place.top or Path.cwd()
    return [(top / name, name) for name in repository.settings.metrics_files]


def _child(command: tuple[str, ...], journal: Journal) -> ChildEnd:
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        return run_child(command, {**os.environ, RUN_VARIABLE: journal.id}, journal.output)
    except OSError as error:
        talk(f"{command[0]} could not be started: {error.strerror or error}.")
        return ChildEnd(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE, False)


def _close(repository: Repository, journal: Journal, end: ChildEnd, watch: MetricsWatch) -> None:
    """Record how the program ended. Whatever goes wrong here is a warning: the exit code is the program's."""
    try:
        ending = _end_journal(journal, end, watch)
        variables = {RUN_VARIABLE: journal.id, "GITPARAMS_EXIT_CODE": str(end.exit_code)}
        call(repository.git, "post-run", (str(end.exit_code),), variables)
        finished = repository.finish(journal, ending)
    except (GitParamsError, OSError) as error:
        journal.close()
        talk(f"{error} Run {journal.id[:8]} is kept in {journal.folder}, and the next gitparams command brings it in.")
    else:
        _report(finished)


def _end_journal(journal: Journal, end: ChildEnd, watch: MetricsWatch) -> Ending:
    """Write to the journal what the program left and how it ended: from here on the next command could finish the run."""
    status = Status.INTERRUPTED if end.interrupted else Status.FAILED if end.exit_code else Status.COMPLETED
    metrics, warnings = watch.read()
    for warning in warnings if status is Status.COMPLETED else []:  # who failed had no time for metrics
        talk(warning)
    if metrics:
        journal.change(summary=dict(metrics))
    ending = Ending(status, now(), end.exit_code)
    journal.end(ending)
    return ending


def _report(run: Run) -> None:
    if sys.stderr.isatty():
        from gitparams.screens.numbers import value_text

        numbers = " · ".join(f"{name} {value_text(value)}" for name, value in list(run.metrics.items())[:4])
        talk(f"run {run.short_id} {run.status}{' · ' + numbers if numbers else ''}")


def _run_without_ledger(command: tuple[str, ...], beginning: Beginning, error: GitParamsError, watch: MetricsWatch) -> int:
    """Run a program although nothing can be recorded in git: training comes first, and the run is kept aside."""
    if (missing := _cannot_start(command)) is not None:
        return missing
    journal = spool(beginning, error)
    if journal is None:
        return run_child(command, os.environ, lambda data: None).exit_code
    end = _child(command, journal)
    _end_journal(journal, end, watch)
    journal.close()
    return end.exit_code
