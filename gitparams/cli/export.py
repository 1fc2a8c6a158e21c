"""``gitparams export``: writes runs into a file."""

from __future__ import annotations

from collections.abc import Sequence
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
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What to write: bundle, tensorboard, hiplot")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="PATH [RUN…]", help="The file or folder; the runs, all by default")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="PATH", help="The file or folder")] = None,
    where: Where = None,
    since: Annotated[
        str | None, typer.Option("--since", "--after", metavar="DATE", help="Only runs begun since: 2026-11-23, '2 days ago' …")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a file is replaced")] = False,
) -> None:
    """Write runs into a file or folder: as a bundle for another machine, or as another system reads them.

    Where there is no repository, a bundle holds the runs that were kept aside.
    """
    runs = list(words or [])
    if kind != "bundle" and kind not in _SYSTEMS:
        raise UsageError(f"There is no export of {kind!r}.", hint=f"one of {', '.join(('bundle', *_SYSTEMS))}")
    if output is None and not runs:
        raise UsageError(f"Say where to write it: gitparams export {kind} {_SYSTEMS.get(kind, 'FILE')}")
    path = output if output is not None else Path(runs.pop(0))
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        confirmed(f"{path} is there already. {'Add to it' if path.is_dir() else 'Replace it'}?", yes)
    if kind == "bundle":
        _export_bundle(path, runs, where, since)
    else:
        _export_runs(kind, path, runs, where, since)


_SYSTEMS = {"tensorboard": "DIR", "hiplot": "FILE.html"}
"""The systems that runs are written for, and how a place of theirs looks."""


def _export_bundle(path: Path, runs: list[str], where: str | None, since: str | None) -> None:
    try:
        with repository() as found:
            written = found.export_bundle(path, _chosen(found, runs, where, since))
    except RepositoryError:
        if runs or where or since:
            raise
        from gitparams.bundles import write_journals

        written = write_journals(path, spool_folders())
    talk(f"{_many(written)} written to {path}; bring them in elsewhere with: gitparams import bundle {path.name}")


def _export_runs(kind: str, path: Path, words: list[str], where: str | None, since: str | None) -> None:
    from gitparams.recorded import Question, Runs

    if kind == "tensorboard":
        from gitparams.integrations.tensorboard import write_runs
    else:
        from gitparams.integrations.hiplot import write_runs
    with repository() as found:
        chosen = _chosen(found, words, where, since)
    runs = Runs(Question(Path.cwd()) if chosen is None else Question(Path.cwd(), ids=tuple(chosen)))
    written = write_runs(path, runs, runs.directions)
    talk(f"{_many(written)} written to {path}.")


def _many(runs: Sequence[RunId]) -> str:
    return f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}"


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
