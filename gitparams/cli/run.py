"""``gitparams run``: a program, with its streams and exit code untouched, recorded as a run."""

from __future__ import annotations

from typing import Annotated

import typer

from gitparams.cli.options import (
    APP,
    Expected,
    Experiment,
    Inputs,
    MetricsFiles,
    Name,
    Note,
    Overrides,
    ParamsFiles,
    Strict,
    Tags,
    command_words,
    hashing_progress,
)
from gitparams.cli.talk import talk
from gitparams.execution import Request, execute
from gitparams.writing import Beginning

app = typer.Typer(**APP)


@app.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": False})
def run(
    words: Annotated[list[str] | None, typer.Argument(metavar="CMD…", help="The program and its arguments, after --")] = None,
    param: Overrides = None,
    params: ParamsFiles = None,
    strict: Strict = True,
    metrics: MetricsFiles = None,
    inputs: Inputs = None,
    capture: Annotated[bool, typer.Option("--capture/--no-capture", help="Ask the program for its params")] = True,
    program: Annotated[
        str | None, typer.Option("--program", metavar="NAME", help="Of several programs, the one whose params count")
    ] = None,
    name: Name = None,
    experiment: Experiment = None,
    tag: Tags = None,
    note: Note = "",
    expect: Expected = None,
) -> None:
    """Run a program and record it: its params, its metrics, its code, its output and how it ended."""
    request = Request(
        command=command_words(words),
        beginning=Beginning(name=name, experiment=experiment, tags=tuple(tag or ()), note=note, expect=tuple(expect or ())),
        files=params or (),
        overrides=param or (),
        strict=strict,
        metrics=metrics or (),
        inputs=inputs or (),
        listens=capture,
        program=program,
        progress=hashing_progress(),
    )
    raise typer.Exit(execute(request, talk))
