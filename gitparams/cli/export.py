"""``gitparams export``: writes runs into a file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from gitparams.cli.options import APP, Where, confirmed, repository
from gitparams.cli.talk import talk
from gitparams.errors import RepositoryError, RunNotFound, UsageError
from gitparams.index import Filter
from gitparams.model import RunId
from gitparams.recorder import spool_folders
from gitparams.repository import Repository

app = typer.Typer(**APP)


@app.command()
def export(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What to write: bundle")],
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file")],
    words: Annotated[list[str] | None, typer.Argument(metavar="[RUN…]", help="The runs; all by default")] = None,
    where: Where = None,
    since: Annotated[
        str | None, typer.Option("--since", "--after", metavar="DATE", help="Only runs begun since: 2026-11-23, '2 days ago' …")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a file is replaced")] = False,
) -> None:
    """Write runs into one file, which import bundle brings in on a machine that shares no network with this one.

    Where there is no repository, the runs that were kept aside are written.
    """
    if kind != "bundle":
        raise UsageError(f"There is no export of {kind!r}.", hint="gitparams export bundle FILE")
    if path.exists():
        confirmed(f"{path} is there already. Replace it?", yes)
    try:
        with repository() as found:
            written = found.export_bundle(path, _chosen(found, words or [], where, since))
    except RepositoryError:
        if words or where or since:
            raise
        from gitparams.bundles import write_journals

        written = write_journals(path, spool_folders())
    many = f"{len(written)} {'run' if len(written) == 1 else 'runs'}"
    talk(f"{many} written to {path}; bring them in elsewhere with: gitparams import bundle {path.name}")


def _chosen(found: Repository, words: list[str], where: str | None, since: str | None) -> list[RunId] | None:
    """Return the runs that were asked for; None for all."""
    if since is None:
        return found.chosen(words, where) if words or where else None
    if words:
        raise UsageError("Name runs, or choose them by --since and --where.")
    begun = datetime.fromtimestamp(found.index.date(since)).astimezone()
    ids = found.index.ids(Filter(since=begun, where=found.query(where) if where else None))
    if not ids:
        raise RunNotFound(f"No run begun since {since} is there.", hint="gitparams log")
    return ids
