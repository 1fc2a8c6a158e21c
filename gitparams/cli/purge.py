"""``gitparams purge``: removes runs for good, and says what still leads to their bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from gitparams.cli.options import APP, Where, confirmed, repository
from gitparams.cli.talk import talk
from gitparams.errors import RunNotFound
from gitparams.model import RunId
from gitparams.purging import Holder, Purged, collect, remains
from gitparams.recorder import spool_folder
from gitparams.repository import Repository

app = typer.Typer(**APP)
_MOST = 20  # ids that are named in a line


@app.command()
def purge(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN…]", help="Ids, their first letters, names, latest …")
    ] = None,
    where: Where = None,
    gc: Annotated[bool, typer.Option("--gc", help="Let git collect its garbage at once: git gc --prune=now")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the remotes what they have")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask")] = False,
) -> None:
    """Remove runs for good: no entry, index, journal or ref of gitparams keeps a byte of them. rm only hides runs."""
    with repository() as found:
        runs = _chosen(found, words or (), where)
        many = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
        confirmed(f"Remove {many} for good ({_listed(runs)})?{_children(found, runs)} This cannot be undone.", yes)
        purged = found.purge(runs, offline=offline, spool=spool_folder())
        _say(purged)
        if gc:
            collect(found.git)
        gone = not remains(found.git, purged.trees)
        talk(_how_it_stands(gone, collected=gc, held=any(holder.remote is None for holder in purged.holders)))


def _chosen(found: Repository, words: Iterable[str], where: str | None) -> list[RunId]:
    """Return the runs that are meant; an expression chooses the hidden ones too."""
    words = list(words)
    if where is None or words:
        return found.chosen(words, where)
    shown: list[RunId] = []
    try:
        shown = found.chosen((), where)
        return [*shown, *found.chosen((), where, deleted=True)]
    except RunNotFound:
        return shown or found.chosen((), where, deleted=True)


def _children(found: Repository, runs: list[RunId]) -> str:
    """Return what is to be said of the runs of groups that stay."""
    from gitparams.index import Filter

    staying = [child for run in runs for child in found.index.ids(Filter(parent=run)) if child not in runs]
    if not staying:
        return ""
    what = "1 run that belongs to them stays" if len(staying) == 1 else f"{len(staying)} runs that belong to them stay"
    return f" {what} ({_listed(staying)})."


def _listed(runs: list[RunId]) -> str:
    return ", ".join(run[:8] for run in runs[:_MOST]) + (" …" if len(runs) > _MOST else "")


def _say(purged: Purged) -> None:
    """Say what was done, and what else leads to the bytes, each with the command that ends it."""
    after = {0: "", 1: "; 1 later entry was written anew"}.get(
        purged.rewritten, f"; {purged.rewritten} later entries were written anew"
    )
    talk(f"Purged: {_listed(list(purged.runs))}{after}.")
    for holder in purged.holders:
        talk(_sentence(holder))


def _sentence(holder: Holder) -> str:
    how = f": {holder.remedy}" if holder.remedy else ""
    if holder.remote is None:
        return f"Still held by {holder.what} {holder.name}{how}"
    if holder.what == "remote":
        return f"Remote {holder.remote} could not be asked, and may have them{how}"
    return f"Remote {holder.remote} {'still has' if holder.certain else 'may have'} them in {holder.name}{how}"


def _how_it_stands(gone: bool, *, collected: bool, held: bool) -> str:
    if gone:
        return "No object of this repository holds them any more."
    if held:
        return "Their objects stay until nothing above holds them; then git gc --prune=now takes them."
    if collected:
        return "Something that is not known here still holds their objects: git fsck --unreachable"
    return "Their objects stay until git collects its garbage: git gc --prune=now"
