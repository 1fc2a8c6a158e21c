"""``gitparams diff``: what differs between runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from gitparams.cli.options import APP, Json, Where, page, repository
from gitparams.cli.words import after_dashes
from gitparams.errors import UsageError
from gitparams.model import Run, now
from gitparams.repository import Repository
from gitparams.screens.terminal import Terminal

app = typer.Typer(**APP)


@app.command()
def diff(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[A [B…]] [-- KEY…]", help="Runs; none is latest~1 latest")
    ] = None,
    where: Where = None,
    only_params: Annotated[bool, typer.Option("--params", help="Only the params")] = False,
    only_metrics: Annotated[bool, typer.Option("--metrics", help="Only the metrics")] = False,
    origins: Annotated[bool, typer.Option("--origins", help="Tell where each value that differs came from")] = False,
    replicates: Annotated[
        bool, typer.Option("--replicates", help="Compare the runs that are equal but for the seed: is it more than noise?")
    ] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when something differs")] = False,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="text or json")] = "text",
    as_json: Json = False,
) -> None:
    """Show what differs between two runs, or more as a table; one is compared with the run before it."""
    if form not in ("text", "json"):
        raise UsageError(f"--format {form!r} is not one of text, json.")
    with repository() as found:
        if replicates:
            page(_compared_groups(found, _split(words or []), as_json or form == "json"))
            return
        named: Sequence[str | Run] = _split(words or [])
        if where is not None:
            named = [found.run(f"run:{run}") for run in found.chosen(words or (), where)]
        result = found.diff(named, after_dashes() or (), origins=origins)
        result = result.only(params=only_params, metrics=only_metrics)
        if as_json or form == "json":
            from gitparams.screens.documents import dumps

            page(dumps(result.to_json()))
        else:
            from gitparams.screens.diff import render

            page(render(result, terminal=Terminal.of(sys.stdout), directions=found.settings.directions, now=now()))
    raise typer.Exit(1 if exit_code and result else 0)


def _compared_groups(found: Repository, words: Sequence[str], as_json: bool) -> str:
    if len(words) not in (0, 2):
        raise UsageError("--replicates compares two runs, and all that are equal to them but for the seed.")
    before, after = (found.replicates_of(found.run(word)) for word in (words or ("latest~1", "latest")))
    from gitparams.screens import replicates as screen

    if as_json:
        from gitparams.replicates import compared
        from gitparams.screens.documents import dumps

        names = sorted({*before.metrics, *after.metrics})
        return dumps([screen.difference_document(compared(before, after, name)) for name in names])
    return screen.render_compared(before, after, terminal=Terminal.of(sys.stdout), directions=found.settings.directions)


def _split(words: list[str]) -> list[str]:
    """Return the runs of ``A B``, or of ``A..B``."""
    if len(words) == 1 and ".." in words[0]:
        older, _, newer = words[0].partition("..")
        return [older or "latest~1", newer or "latest"]
    return words
