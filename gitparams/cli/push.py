"""``gitparams push``: brings the runs to a remote."""

from __future__ import annotations

from typing import Annotated

import typer

from gitparams.cli.options import APP, repository
from gitparams.cli.pull import tell_pulled
from gitparams.cli.talk import talk
from gitparams.screens.sync import pushed_text

app = typer.Typer(**APP)


@app.command()
def push(
    remote: Annotated[
        str | None, typer.Argument(metavar="[REMOTE]", help="A remote, a path or an address; the usual remote by default")
    ] = None,
) -> None:
    """Bring the runs to a git remote; what it has and is not here is pulled first."""
    with repository() as found:
        pushed = found.push(remote)
        if pushed.pulled.before != pushed.pulled.after or pushed.pulled.notes:
            tell_pulled(found, pushed.pulled)
        talk(pushed_text(pushed))
