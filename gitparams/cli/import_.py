"""``gitparams import``: brings in runs from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitparams.cli.options import APP, repository
from gitparams.cli.talk import talk
from gitparams.errors import UsageError
from gitparams.recorder import spool_folder

app = typer.Typer(**APP)


@app.command("import")
def import_(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What to bring in: spool")],
    path: Annotated[Path | None, typer.Argument(metavar="PATH", help="Where it is; the user's own spool by default")] = None,
) -> None:
    """Bring in the runs that were kept aside when git could not take them, with their own times; twice does nothing."""
    if kind != "spool":
        raise UsageError(f"There is no import of {kind!r}.", hint="gitparams import spool")
    folder = path or spool_folder()
    if path is not None and not path.is_dir():
        raise UsageError(f"{path} is not a folder.")
    with repository() as found:
        runs = found.bring_in(folder)
    for run in runs:
        print(run.id)
    talk(f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} brought in from {folder}.")
