"""``gitparams import``: brings in runs from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from gitparams.bundles import Brought
from gitparams.cli.options import APP, confirmed, repository
from gitparams.cli.talk import talk
from gitparams.errors import UsageError
from gitparams.foreign import ForeignRun
from gitparams.journal import journals
from gitparams.model import SHOWN_ID_LETTERS, RunId
from gitparams.recorder import spool_folders

app = typer.Typer(**APP)
_NAMED = 3


@app.command("import")
def import_(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What to bring in: spool, bundle, tensorboard, neptune, optuna")],
    path: Annotated[
        str | None, typer.Argument(metavar="PATH", help="Where it is: a file, a folder, Optuna's storage; the user's own spool")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="NAME", help="Of another system's runs only this study, project or folder")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Of a spool, the runs too that were started outside of this work tree")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before runs go for good that a bundle says are purged")
    ] = False,
) -> None:
    """Bring in runs that were kept aside, that a bundle carries or another system recorded, with their own times.

    Twice does nothing.
    """
    if kind == "spool":
        _say(_import_spool(Path(path) if path else None, everything), path or "the spool")
        return
    if kind != "bundle" and kind not in _SYSTEMS:
        raise UsageError(f"There is no import of {kind!r}.", hint=f"one of {', '.join(('spool', 'bundle', *_SYSTEMS))}")
    if path is None:
        raise UsageError("Say where the runs are.", hint=f"gitparams import {kind} {_SYSTEMS.get(kind, 'FILE')}")
    if kind == "bundle":
        _say(_import_bundle(Path(path), yes), path)
    else:
        _say(_import_runs(kind, path, only), path)


_SYSTEMS = {"tensorboard": "logs", "neptune": ".neptune", "optuna": "sqlite:///study.db"}
"""The systems whose runs are read, and how a place of such runs looks."""


def _import_runs(kind: str, place: str, only: str | None) -> list[RunId]:
    with repository() as found:
        return found.record_all(_foreign_runs(kind, place, only))


def _foreign_runs(kind: str, place: str, only: str | None) -> Iterable[ForeignRun]:
    if kind == "tensorboard":
        from gitparams.integrations.tensorboard import foreign_runs
    elif kind == "neptune":
        from gitparams.integrations.neptune import foreign_runs
    else:
        from gitparams.integrations.optuna import foreign_runs
    return foreign_runs(place, only, talk)


def _import_spool(path: Path | None, everything: bool) -> list[RunId]:
    if path is not None and not path.is_dir():
        raise UsageError(f"{path} is not a folder.")
    folders = [path] if path is not None else spool_folders()
    with repository() as found:
        runs = [run.id for folder in folders for run in found.bring_in(folder, anywhere=everything)]
    left = sum(journal.told and not journal.alive() for folder in folders for journal in journals(folder))
    if left:
        more = f"{left} more {'waits' if left == 1 else 'wait'}"
        talk(f"{more}, started elsewhere: go there, or add --all to bring them in here.")
    return runs


def _import_bundle(path: Path, yes: bool) -> Sequence[RunId]:
    with repository() as found:
        brought = found.import_bundle(path, purge=yes)
        if brought.purged:
            many = "1 run" if len(brought.purged) == 1 else f"{len(brought.purged)} runs"
            confirmed(f"{many} of this repository would go for good: purged where {path} was made. Bring it in?", yes)
            brought = found.import_bundle(path, purge=True)
    if rest := _rest(brought):
        talk(f"{path} also holds {rest}; that came along as it is, as by a pull.")
    return brought.runs


def _rest(brought: Brought) -> str:
    """Return what came with a bundle and is no run that can be shown; nothing as a rule."""
    strays = f"{brought.strays:,} {'commit' if brought.strays == 1 else 'commits'} of no run" if brought.strays else ""
    names = ", ".join(run[:SHOWN_ID_LETTERS] for run in brought.unread[:_NAMED])
    more = ", …" if len(brought.unread) > _NAMED else ""
    many = f"{len(brought.unread):,} {'run' if len(brought.unread) == 1 else 'runs'} that cannot be read ({names}{more})"
    return " and ".join(filter(None, (many if brought.unread else "", strays)))


def _say(runs: Sequence[RunId], origin: str) -> None:
    for run in runs:
        print(run)
    talk(f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} brought in from {origin}.")
