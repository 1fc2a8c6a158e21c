"""``gitparams bisect``: which of the changes between a good and a bad run explain its worse metric."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from gitparams.bisection import Case, Found, Search, Step
from gitparams.cli.options import APP, Json, confirmed, page, repository
from gitparams.cli.talk import talk
from gitparams.cli.words import after_dashes
from gitparams.errors import UsageError
from gitparams.investigation import Investigation, Stopped, Told, Wish
from gitparams.repository import Repository
from gitparams.screens import bisect as screen
from gitparams.screens.terminal import Terminal, safe

app = typer.Typer(**APP)


@app.command()
def bisect(
    words: Annotated[
        list[str],
        typer.Argument(metavar="GOOD BAD", help="Two runs; a command may follow --, with {optim.lr} where a value belongs"),
    ],
    metric: Annotated[str | None, typer.Option("--metric", help="The metric to explain; one that got worse")] = None,
    replicates: Annotated[int, typer.Option("--replicates", metavar="N", min=1, help="Runs of each mixture, by seed")] = 1,
    share: Annotated[
        float, typer.Option("--share", metavar="X", min=0.5, max=1.0, help="How much of the worsening is to be explained")
    ] = 0.8,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only what is recorded, the plan, and what it would cost")] = False,
    most: Annotated[int | None, typer.Option("--max-runs", metavar="N", min=0, help="Make no more runs than that")] = None,
    link: Annotated[
        list[str] | None,
        typer.Option("--link", metavar="PATH", help="What the program needs and git does not have: data (can be repeated)"),
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Option("--params", metavar="[PREFIX=]FILE", help="A file of params, as for run (can be repeated)"),
    ] = None,
    metrics: Annotated[
        list[str] | None, typer.Option("--metrics", metavar="FILE", help="A file of metrics, as for run (can be repeated)")
    ] = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask before a command that others recorded is run")] = False,
    as_json: Json = False,
) -> None:
    """Find the changes between two runs that explain a worse metric: from recorded runs first, then by new ones."""
    command = tuple(after_dashes() or ())
    if len(words) == 1 and ".." in words[0]:
        words = words[0].split("..", 1)
    if len(words) != 2:
        raise UsageError("bisect takes a good and a bad run.", hint="gitparams bisect best:acc latest")
    terminal = Terminal.of(sys.stderr)
    with repository() as found:
        good, bad = (found.run(word) for word in words)
        wish = Wish(
            good, bad, metric, share, replicates, command, tuple(link or ()), tuple(params or ()), tuple(metrics or ()), most
        )
        investigation = Investigation(found, wish, talk)
        told = investigation.begin()
        if dry_run:
            page(_plan(told, replicates, as_json))
            return
        if told.search.next() is not None:
            _ask(found, wish, yes)
        try:
            result, stopped = (
                investigation.carry_out(told, lambda step, case, search: _say_step(step, case, search, terminal)),
                "",
            )
        except Stopped as stop:
            result, stopped = told.search.result(), str(stop)
        page(_answer(told, result, replicates, as_json))
    if stopped:
        talk(f"{stopped}. The same command goes on from here.")
        raise typer.Exit(130 if "interrupted" in stopped else 1)


def _ask(repository: Repository, wish: Wish, yes: bool) -> None:
    """Show what will be run; a command, or code, that was not recorded here is run only when the person says so."""
    command = shlex.join(wish.command or wish.good.command)
    talk(f"Runs are made with the params in this command: {command}")
    foreign = next((run for run in (wish.good, wish.bad) if not repository.is_ours(run)), None)
    if foreign is not None:
        where = f"{foreign.author or 'somebody'} on {foreign.host or 'an unnamed host'}"
        told = f"Run {foreign.short_id} is not known to be recorded here; it says that it is by {where}."
        confirmed(safe(f"{told} Run this command with its code?"), yes)


def _plan(told: Told, replicates: int, as_json: bool) -> str:
    if as_json:
        from gitparams.screens.documents import dumps

        return dumps(screen.plan_document(told.case, told.search))
    text = screen.render_plan(told.case, told.search, terminal=Terminal.of(sys.stdout), replicates=replicates)
    return "\n".join([text, *_travelling(told)])


def _answer(told: Told, result: Found, replicates: int, as_json: bool) -> str:
    if as_json:
        from gitparams.screens.documents import dumps

        made = {"made": told.made, "commits": list(told.commits)}
        return dumps({**screen.found_document(told.case, result, told.search.steps()), **made})
    text = screen.render_found(told.case, result, terminal=Terminal.of(sys.stdout), replicates=replicates)
    return "\n".join([text, *_commits(told), *_travelling(told)])


def _commits(told: Told) -> list[str]:
    """Return what is known of the guilty commit."""
    if not told.commits:
        return []
    if len(told.commits) == 1:
        return [f"The first bad commit is {told.commits[0][:10]}."]
    return [f"The first bad commit is one of {', '.join(commit[:10] for commit in told.commits[:10])}."]


def _travelling(told: Told) -> list[str]:
    if not told.travelling:
        return []
    return [f"Set by the code, and changed with it: {', '.join(told.travelling[:10])}."]


def _say_step(step: Step, case: Case, search: Search, terminal: Terminal) -> None:
    most = step.number + search.cost(2).most
    sys.stderr.write(screen.render_step(step, case, terminal=terminal, most=most) + "\n")
    sys.stderr.flush()
