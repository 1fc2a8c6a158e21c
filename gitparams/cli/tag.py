"""``gitparams tag``: words by which runs are found again."""

from __future__ import annotations

from typing import Annotated

import typer

from gitparams.cli.options import APP, repository

app = typer.Typer(**APP)


@app.command()
def tag(
    word: Annotated[str, typer.Argument(metavar="RUN", help="An id, its first letters, a name, latest …")],
    tags: Annotated[list[str] | None, typer.Argument(metavar="[TAG…]", help="The tags; none lists those it has")] = None,
    delete: Annotated[bool, typer.Option("-d", "--delete", help="Remove the tags")] = False,
) -> None:
    """Add tags to a run, remove them with -d, or list them."""
    with repository() as found:
        run = found.find_id(word)
        if tags:
            found.tag(run, add=() if delete else tags, remove=tags if delete else ())
        else:
            print("".join(f"{item}\n" for item in found.run(f"run:{run}").tags), end="")
