"""``gitparams init``: prepares a repository."""

from __future__ import annotations

from typing import Annotated

import typer

from gitparams.cli.options import APP, repository
from gitparams.cli.talk import talk
from gitparams.project import prepare

app = typer.Typer(**APP)


@app.command()
def init(
    fetch: Annotated[bool, typer.Option("--fetch", help="Let plain git fetch bring the runs of the remotes")] = False,
    hooks: Annotated[
        bool, typer.Option("--hooks/--no-hooks", help="Install the hooks pre-run, post-run and post-rewrite")
    ] = True,
    commit_messages: Annotated[
        bool, typer.Option("--commit-messages", help="Install the hook that tells in commit messages which params changed")
    ] = False,
    textconv: Annotated[
        bool | None, typer.Option("--textconv/--no-textconv", help="Let git diff show params instead of lines, or no longer")
    ] = None,
) -> None:
    """Prepare this repository: gitparams.yaml with the params and metrics files found here, and the hooks."""
    with repository() as found:
        for said in prepare(found, fetch=fetch, hooks=hooks, messages=commit_messages, textconv=textconv):
            talk(said)
