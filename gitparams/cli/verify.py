"""``gitparams verify``: checks that the ledger is whole, and who signed it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gitparams.cli.options import APP, Json, progress_of
from gitparams.cli.talk import talk
from gitparams.errors import UsageError
from gitparams.repository import Repository
from gitparams.screens.terminal import Terminal
from gitparams.verifying import Fault, Verified, document_of

app = typer.Typer(**APP)


@app.command()
def verify(
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="ENTRY", help="An entry that was once the newest: look at what came after it"),
    ] = None,
    signed: Annotated[
        bool | None, typer.Option("--signed/--no-signed", help="Whether all must be signed; as gitparams.sign says by default")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every entry: signatures, that nothing that was there is gone, that ids are unique, that all can be read.

    Nothing is changed. The exit code is 1 when something is wrong, with a line for each.
    """
    with Repository.open() as repository:
        known = repository.git.commit_of(since) if since is not None else None
        if since is not None and known is None:
            raise UsageError(f"There is no entry {since!r} in this repository.", hint="git log --oneline refs/gitparams/runs")
        found = repository.verify(known, signed=signed, progress=progress_of("verifying"))
    if as_json:
        from gitparams.screens.documents import dumps

        print(dumps(document_of(found)))
    else:
        terminal = Terminal.of(sys.stdout)
        print("".join(_line(fault, terminal) for fault in found.faults), end="")
        talk(_summary(found))
    raise typer.Exit(1 if found.faults else 0)


def _line(fault: Fault, terminal: Terminal) -> str:
    hint = f"           {terminal.dim('hint: ' + terminal.safe(fault.hint))}\n" if fault.hint else ""
    return f"{terminal.red(f'{fault.what:<9}')}  {terminal.safe(fault.says)}\n{hint}"


def _summary(found: Verified) -> str:
    if found.tip is None:
        return "There is no ledger." if found.faults else "No runs yet."
    looked = f"{_many(found.entries, 'entry', 'entries')} of {_many(found.runs, 'run', 'runs')} up to {found.tip[:10]}"
    signers = ", ".join(f"{count} signed by {signer or 'a good key'}" for signer, count in found.signers.items())
    wrong = _many(len(found.faults), "fault", "faults") if found.faults else "nothing is wrong"
    return f"{looked}{f', {signers}' if signers else ''}: {wrong}."


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"
