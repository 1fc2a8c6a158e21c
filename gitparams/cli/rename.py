"""``gitparams rename``: the name a person gives a run."""

from __future__ import annotations

from typing import Annotated

import typer

from gitparams.cli.options import APP, repository
from gitparams.errors import UsageError

app = typer.Typer(**APP)


@app.command()
def rename(
    word: Annotated[str, typer.Argument(metavar="RUN", help="An id, its first letters, a name, latest …")],
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The new name")] = None,
    delete: Annotated[bool, typer.Option("-d", "--delete", help="Take the name away")] = False,
) -> None:
    """Give a run a name, or take it away with -d."""
    if (name is None) != delete:
        raise UsageError("Give a name, or -d to take it away.", hint="gitparams rename RUN NAME")
    with repository() as found:
        found.rename(found.find_id(word), name)
