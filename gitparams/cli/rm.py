"""``gitparams rm``: hides runs, and brings them back."""

from __future__ import annotations

from typing import Annotated

import typer

from gitparams.cli.options import APP, Where, confirmed, repository
from gitparams.cli.talk import talk

app = typer.Typer(**APP)
_MOST = 20  # ids that are named in a question


@app.command()
def rm(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN…]", help="Ids, their first letters, names, latest …")
    ] = None,
    where: Where = None,
    undo: Annotated[bool, typer.Option("--undo", help="Bring the runs back")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask")] = False,
) -> None:
    """Hide runs: they leave every list, and nothing is lost; --undo brings them back."""
    with repository() as found:
        runs = found.chosen(words or (), where, deleted=undo)
        listed = ", ".join(run[:8] for run in runs[:_MOST]) + (" …" if len(runs) > _MOST else "")
        if undo:
            for run in runs:
                found.bring_back(run)
            talk(f"Brought back: {listed}")
            return
        confirmed(f"Hide {len(runs)} {'run' if len(runs) == 1 else 'runs'} ({listed})?", yes)
        for run in runs:
            found.remove(run)
        talk(f"Hidden: {listed}. Undo: gitparams rm --undo {' '.join(run[:8] for run in runs[:_MOST])}")
