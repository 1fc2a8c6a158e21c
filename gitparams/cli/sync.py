"""``gitparams sync``: pull and push."""

from __future__ import annotations

from typing import Annotated

import typer

from gitparams.cli.options import APP, repository
from gitparams.cli.pull import tell_pulled
from gitparams.cli.talk import talk
from gitparams.screens.sync import pushed_text

app = typer.Typer(**APP)


@app.command()
def sync(
    remote: Annotated[
        str | None, typer.Argument(metavar="[REMOTE]", help="A remote, a path or an address; the usual remote by default")
    ] = None,
) -> None:
    """Bring the runs of a git remote here, and those that are here to it."""
    with repository() as found:
        pulled, pushed = found.sync(remote)
        tell_pulled(found, pulled)
        talk(pushed_text(pushed))
