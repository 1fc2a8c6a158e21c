"""``gitparams start``: the beginning of a run, for shell and job scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from gitparams.cli.options import (
    APP,
    Expected,
    Experiment,
    Inputs,
    Name,
    Note,
    Overrides,
    ParamsFiles,
    Strict,
    Tags,
    hashing_progress,
    repository,
)
from gitparams.cli.words import after_dashes
from gitparams.model import Status
from gitparams.writing import Beginning

app = typer.Typer(**APP)


@app.command(context_settings={"allow_interspersed_args": False})
def start(
    words: Annotated[list[str] | None, typer.Argument(metavar="[CMD…]", help="The command to be recorded, after --")] = None,
    param: Overrides = None,
    params: ParamsFiles = None,
    strict: Strict = True,
    inputs: Inputs = None,
    name: Name = None,
    experiment: Experiment = None,
    tag: Tags = None,
    note: Note = "",
    expect: Expected = None,
) -> None:
    """Begin a run and print its id; end it with gitparams finish ID."""
    command = tuple(after_dashes() or words or ())
    expected = _checked(expect or ())
    with repository() as found:
        if name:
            found.check_name(name)
        layer = found.declared_layer(params or (), param or (), strict=strict)
        digests = found.digests(inputs or (), hashing_progress())
        beginning = Beginning(
            layer,
            name=name,
            experiment=experiment,
            tags=tuple(tag or ()),
            note=note,
            expect=expected,
            command=command,
            inputs=digests,
        )
        journal = found.begin(beginning, Status.OPEN)
        journal.close()
    print(journal.id)


def _checked(expressions: Sequence[str]) -> tuple[str, ...]:
    if not expressions:
        return ()
    from gitparams.expectations import checked

    return checked(expressions)
