"""``gitparams diff``: what differs between runs, or between the runs of code commits."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from gitparams.cli.options import APP, Json, Where, page, repository
from gitparams.cli.talk import talk
from gitparams.cli.words import after_dashes
from gitparams.errors import UsageError
from gitparams.leniency import Leniency
from gitparams.model import Run, now
from gitparams.repository import Repository
from gitparams.screens.terminal import Terminal

if TYPE_CHECKING:
    from gitparams.changes import RunDiff, Section
    from gitparams.gate import Outcome

app = typer.Typer(**APP)
_FORMATS = ("text", "json", "md", "html")


@app.command()
def diff(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[A [B…]] [-- KEY…]",
            help="Runs or commits, also A..B; none is latest~1 latest; worktree is the params files on disk",
        ),
    ] = None,
    where: Where = None,
    only_params: Annotated[bool, typer.Option("--params", help="Only the params")] = False,
    only_metrics: Annotated[bool, typer.Option("--metrics", help="Only the metrics")] = False,
    only_code: Annotated[bool, typer.Option("--code", help="Only the code")] = False,
    only_packages: Annotated[bool, typer.Option("--packages", help="Only the packages, all of them")] = False,
    only_environment: Annotated[bool, typer.Option("--environment", help="Only the machines and variables")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every line of every list; of two commits all their runs, as groups")
    ] = False,
    patch: Annotated[bool, typer.Option("-p", "--patch", help="The text of what changed in the code")] = False,
    origins: Annotated[bool, typer.Option("--origins", help="Tell where each value that differs came from")] = False,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="GLOB", help="Params not to look at (can be repeated)")
    ] = None,
    rtol: Annotated[float, typer.Option("--rtol", metavar="X", help="Numbers are equal up to this part of them: 1e-6")] = 0.0,
    atol: Annotated[float, typer.Option("--atol", metavar="X", help="Numbers are equal up to this difference")] = 0.0,
    digits: Annotated[
        int | None, typer.Option("--significant-digits", metavar="N", help="Numbers are equal when they are in N digits")
    ] = None,
    ignore_order: Annotated[bool, typer.Option("--ignore-order", help="The order of lists does not count")] = False,
    ignore_type: Annotated[bool, typer.Option("--ignore-type", help="1, 1.0, True and '1' are the same")] = False,
    best: Annotated[
        str | None, typer.Option("--best", metavar="METRIC", help="Of a commit's runs the best by this, not the newest")
    ] = None,
    replicates: Annotated[
        bool, typer.Option("--replicates", help="Compare the runs that are equal but for the seed: is it more than noise?")
    ] = False,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if", metavar="EXPR", help="Exit with 1 when it holds: 'metrics.acc.delta < -0.01' (can be repeated)"
        ),
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when something differs")] = False,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="text, json, md or html")] = "text",
    as_json: Json = False,
) -> None:
    """Show what differs between two runs, or more as a table; one is compared with the run before it."""
    form = _format("json" if as_json else form)
    leniency = Leniency.of(
        rtol=rtol, atol=atol, digits=digits, ignore=ignore or (), ignore_order=ignore_order, ignore_type=ignore_type
    )
    with repository() as found:
        if replicates or (everything and found.are_commits(words or [])):
            of_two_runs = {
                "--fail-if": fail_if, "--exit-code": exit_code, "--where": where is not None, "--best": best, "--patch": patch,
                "--origins": origins, "--ignore": ignore, "--ignore-order": ignore_order, "--ignore-type": ignore_type,
                "--rtol": rtol, "--atol": atol, "--significant-digits": digits, "-- KEY": after_dashes(),
            }  # fmt: skip
            _refuse(of_two_runs, "--replicates" if replicates else "--all")
            page(_compared_groups(found, words or [], form, replicates))
            return
        named: Sequence[str | Run] = words or []
        if where is not None:
            named = [found.run(f"run:{run}") for run in found.chosen(words or (), where)]
        keys = after_dashes() or ()
        with _without("numpy", "pandas", "polars"):
            result = found.diff(named, keys, origins=origins, leniency=leniency, best=best, patch=patch)
        outcomes = _judged(found, fail_if or (), result)
        chosen = _sections(only_params, only_metrics, only_code, only_packages, only_environment)
        result = result.only(chosen)
        page(_rendered(found, result, form, outcomes, full=everything or only_packages))
        for naming in result.names if form == "json" else ():
            if naming.how:
                talk(f"{naming.word}: {naming.how}.")
    for outcome in outcomes if form == "text" else ():
        talk(outcome.sentence)
    raise typer.Exit(1 if (exit_code and result) or any(outcome.failed for outcome in outcomes) else 0)


def _format(form: str) -> str:
    if form not in _FORMATS:
        raise UsageError(f"--format {form!r} is not one of {', '.join(_FORMATS)}.")
    return form


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Keep DeepDiff from loading what it has no use for here: where they are installed it takes most of a second."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules |= dict.fromkeys(hidden)  # type: ignore[arg-type]  # None: not to be imported
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


def _refuse(given: Mapping[str, object], groups: str) -> None:
    """Refuse what groups of runs would pass over; a gate that is passed over would let everything through."""
    name = next((name for name, value in given.items() if value), None)
    if name is not None:
        raise UsageError(f"{name} is for single runs, and {groups} compares groups of them.", hint=f"the same without {groups}")


def _sections(params: bool, metrics: bool, code: bool, packages: bool, environment: bool) -> list[Section]:
    asked: list[tuple[bool, list[Section]]] = [
        (params, ["params"]), (metrics, ["metrics"]), (code, ["code"]), (packages, ["packages"]),
        (environment, ["environment", "seeds"]),
    ]  # fmt: skip
    return [section for wanted, sections in asked if wanted for section in sections]


def _judged(found: Repository, expressions: Sequence[str], result: RunDiff) -> list[Outcome]:
    if not expressions:
        return []
    from gitparams.gate import judge_all

    packages_known = all(found.details(run).packages for run in result.runs)
    return judge_all(expressions, result, terminal=Terminal.of(sys.stderr), packages_known=packages_known)


def _rendered(found: Repository, result: RunDiff, form: str, outcomes: Sequence[Outcome], *, full: bool) -> str:
    directions = found.settings.directions
    if form == "json":
        from gitparams.screens.documents import dumps

        gate = [{"expression": one.expression, "failed": one.failed, "sentence": one.sentence} for one in outcomes]
        return dumps({**result.to_json(), **({"gate": gate} if gate else {})})
    if form == "md":
        from gitparams.screens import diff_markdown

        return diff_markdown.render(result, directions=directions, now=now(), gate=outcomes)
    if form == "html":
        from gitparams.screens import diff_html

        return diff_html.render(result, directions=directions, now=now(), gate=outcomes)
    from gitparams.screens.diff import render

    return render(result, terminal=Terminal.of(sys.stdout), directions=directions, now=now(), full=full)


def _compared_groups(found: Repository, words: Sequence[str], form: str, replicates: bool) -> str:
    from gitparams.screens import diff_groups
    from gitparams.screens.documents import dumps
    from gitparams.screens.replicates import render_compared

    if form not in ("text", "json"):
        raise UsageError(f"--format {form} is not for groups of runs.", hint="--format json")
    directions = found.settings.directions
    if replicates:
        (_, before), (_, after) = found.replicates_at(words)
        if form == "json":
            return dumps(diff_groups.metrics_document(before, after))
        return render_compared(before, after, terminal=Terminal.of(sys.stdout), directions=directions)
    older, newer = found.groups_at(words)
    if form == "json":
        return dumps(diff_groups.document(older, newer))
    return diff_groups.render(older, newer, terminal=Terminal.of(sys.stdout), directions=directions)
