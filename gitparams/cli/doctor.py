"""``gitparams doctor``: looks for faults, and mends what can be mended without losing anything."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gitparams.cli.options import APP, Json, repository
from gitparams.doctor import Finding, examine
from gitparams.screens.terminal import Terminal

app = typer.Typer(**APP)


@app.command()
def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended without losing anything: leftovers, old refs, hooks")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look for faults in git, the ledger, its code and remotes, journals, settings, hooks and signing; say what mends them.

    A wrong index is made anew in any case. The exit code is 1 while something is wrong.
    """
    with repository() as found:
        findings = list(examine(found, fix=fix))
    if as_json:
        from gitparams.screens.documents import dumps

        print(dumps([{"what": item.what, "good": item.good, "says": item.says, "hint": item.hint} for item in findings]))
    else:
        print(_screen(findings, Terminal.of(sys.stdout)), end="")
    raise typer.Exit(0 if all(item.good for item in findings) else 1)


def _screen(findings: list[Finding], terminal: Terminal) -> str:
    width = max(len(item.what) for item in findings)
    lines = []
    for item in findings:
        mark = terminal.green("ok  ") if item.good else terminal.red("look")
        lines.append(f"{mark}  {item.what:<{width}}  {terminal.safe(item.says)}\n")
        if item.hint:
            lines.append(f"      {'':<{width}}  {terminal.dim('hint: ' + terminal.safe(item.hint))}\n")
    return "".join(lines)
