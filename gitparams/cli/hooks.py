"""``gitparams hooks``: install the git hooks, see how they stand, and run them."""

from __future__ import annotations

from typing import Annotated

import typer

from gitparams import hook_files, hooks
from gitparams.cli.options import APP, Json
from gitparams.cli.words import after_dashes
from gitparams.errors import CommandLineError
from gitparams.git import Git

app = typer.Typer(
    **APP, no_args_is_help=True, help="Install and run the git hooks pre-run, post-run, post-rewrite and prepare-commit-msg."
)

Event = Annotated[
    str, typer.Argument(metavar="EVENT", help="pre-run, post-run, post-rewrite or prepare-commit-msg; its arguments follow --")
]
Events = Annotated[
    list[str] | None,
    typer.Argument(metavar="[EVENT…]", help="pre-run, post-run, post-rewrite, prepare-commit-msg; all but the last by default"),
]


@app.command()
def install(events: Events = None) -> None:
    """Install the hooks; a hook that is there is kept and runs first."""
    chosen = tuple(events or hook_files.STANDARD)
    with Git.find() as git:
        for sentence in hook_files.install(git, chosen):
            print(sentence)
        missing = [
            found
            for found in hook_files.status(git)
            if found.event in chosen and found.state is not hook_files.HookState.INSTALLED
        ]
    raise typer.Exit(1 if missing else 0)


@app.command()
def uninstall() -> None:
    """Remove our hooks and nothing else, and put back those that were there before."""
    with Git.find() as git:
        for sentence in hook_files.uninstall(git) or ["No hook of gitparams is installed here."]:
            print(sentence)


@app.command()
def status(as_json: Json = False) -> None:
    """Show how the hooks stand."""
    with Git.find() as git:
        found = hook_files.status(git)
    if as_json:
        from gitparams.values import encode_json

        print(encode_json([hook_files.status_document(item) for item in found]).decode(), end="")
        return
    for item in found:
        print(hook_files.status_line(item))


@app.command()
def run(event: Event) -> None:
    """Run the hooks of an event through git, whatever its version; after pre-run, print the id of the run that began."""
    with Git.find() as git:
        exit_code, begun = hooks.call_from_job(git, _checked(event), after_dashes() or [])
        if begun is not None:
            print(begun)
        elif (missing := hook_files.why_silent(git, event)) and exit_code == 0:
            typer.echo(missing, err=True)
    raise typer.Exit(exit_code)


@app.command("exec")
def exec_(event: Event) -> None:
    """Do what our own hook does: the line for a hook that somebody else installs."""
    raise typer.Exit(hooks.main([event, *(after_dashes() or [])]))


def _checked(event: str) -> str:
    if event.startswith("-") or "/" in event or not event.strip():
        raise CommandLineError(f"{event!r} is no name of a hook.", hint="gitparams hooks run pre-run -- python train.py")
    return event
