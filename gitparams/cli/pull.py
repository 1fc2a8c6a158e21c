"""``gitparams pull``: brings the runs of a remote."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gitparams.cli.options import APP, repository
from gitparams.cli.talk import talk
from gitparams.repository import Repository
from gitparams.screens.sync import pulled_text
from gitparams.sync import Pulled

app = typer.Typer(**APP)
_NEWEST = 5


@app.command()
def pull(
    remote: Annotated[
        str | None, typer.Argument(metavar="[REMOTE]", help="A remote, a path or an address; the usual remote by default")
    ] = None,
) -> None:
    """Bring the runs of a git remote, and join them with those that are here."""
    with repository() as found:
        tell_pulled(found, found.pull(remote))


def tell_pulled(found: Repository, pulled: Pulled) -> None:
    """Say what came, and print a line for each of the newest of the new runs."""
    for note in pulled.notes:
        talk(note)
    if pulled.found or not pulled.notes:
        talk(pulled_text(pulled))
    if not pulled.new:
        return
    from gitparams.index import Filter
    from gitparams.screens.log import render_oneline
    from gitparams.screens.terminal import Terminal

    rows = found.listed(Filter(ids=pulled.new[-_NEWEST:]), limit=_NEWEST)
    if rows:
        print(render_oneline(rows, terminal=Terminal.of(sys.stdout), directions=found.settings.directions))
