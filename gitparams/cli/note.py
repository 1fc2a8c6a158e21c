"""``gitparams note``: free text about a run."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gitparams.cli.options import APP, repository

app = typer.Typer(**APP)


@app.command()
def note(
    word: Annotated[str, typer.Argument(metavar="RUN", help="An id, its first letters, a name, latest …")],
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="The note; - reads it from standard input; none prints it")
    ] = None,
) -> None:
    """Set the note of a run, or print it; an empty text removes it."""
    with repository() as found:
        run = found.find_id(word)
        if text is None:
            from gitparams.screens.terminal import Terminal

            print(Terminal.of(sys.stdout).safe(found.run(f"run:{run}").note))
        else:
            found.note(run, sys.stdin.read().strip() if text == "-" else text)
