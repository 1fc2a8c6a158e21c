"""``gitparams rm``: hides runs, and brings them back."""

from __future__ import annotations

from typing import Annotated

import typer

from gitparams.cli.options import APP, confirmed, repository
from gitparams.cli.talk import talk

app = typer.Typer(**APP)


@app.command()
def rm(
    words: Annotated[list[str], typer.Argument(metavar="RUN…", help="Ids, their first letters, names, latest …")],
    undo: Annotated[bool, typer.Option("--undo", help="Bring the runs back")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask")] = False,
) -> None:
    """Hide runs: they leave every list, and nothing is lost; --undo brings them back."""
    with repository() as found:
        runs = list(dict.fromkeys(found.find_id(word) for word in words))
        listed = ", ".join(run[:8] for run in runs)
        if undo:
            for run in runs:
                found.bring_back(run)
            talk(f"Brought back: {listed}")
            return
        confirmed(f"Hide {len(runs)} {'run' if len(runs) == 1 else 'runs'} ({listed})?", yes)
        for run in runs:
            found.remove(run)
        talk(f"Hidden: {listed}. Undo: gitparams rm --undo {' '.join(run[:8] for run in runs)}")
