"""``gitparams show``: all about one run."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gitparams.cli.options import APP, Json, page, repository
from gitparams.errors import UsageError
from gitparams.index import Filter
from gitparams.model import now
from gitparams.screens.terminal import Terminal

app = typer.Typer(**APP)


@app.command()
def show(
    word: Annotated[str, typer.Argument(metavar="RUN", help="An id, its first letters, a name, latest …")] = "latest",
    params: Annotated[bool, typer.Option("--params", help="Only the params")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="Only the metrics")] = False,
    origins: Annotated[bool, typer.Option("--origins", help="Only the params with where each value came from")] = False,
    code: Annotated[bool, typer.Option("--code", help="Only the code")] = False,
    packages: Annotated[bool, typer.Option("--packages", help="Only the packages")] = False,
    output: Annotated[bool, typer.Option("--output", help="Only the output's tail")] = False,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="text, json or yaml")] = "text",
    as_json: Json = False,
) -> None:
    """Show all about one run."""
    flags = {"params": params, "metrics": metrics, "origins": origins, "code": code, "packages": packages, "output": output}
    sections = [name for name, wanted in flags.items() if wanted]
    form = "json" if as_json else form
    if form not in ("text", "json", "yaml"):
        raise UsageError(f"--format {form!r} is not one of text, json, yaml.")
    with repository() as found:
        run = found.run(word)
        details, before = found.details(run), None if run.group else found.before(run)
        if form == "text":
            from gitparams.screens.show import render

            directions = found.settings.directions
            page(
                render(
                    run,
                    details,
                    before=before,
                    terminal=Terminal.of(sys.stdout),
                    directions=directions,
                    now=now(),
                    sections=sections,
                    ruled=found.ruled(run),
                    children=found.listed(Filter(parent=run.id), reverse=True) if run.group else (),
                )
            )
            return
    from gitparams.screens.documents import dumps, run_document

    document = run_document(run, before, details)
    chosen = document[sections[0]] if len(sections) == 1 and sections[0] in document else document
    if form == "json":
        page(dumps(chosen))
    else:
        from gitparams.library import to_yaml

        page(to_yaml(chosen if isinstance(chosen, dict) else {sections[0]: chosen}))
