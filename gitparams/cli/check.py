"""``gitparams check``: what is worth a stop before a commit or a run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from gitparams.checks import check as look
from gitparams.checks import check_files
from gitparams.cli.options import APP, Json, Overrides, page, repository
from gitparams.cli.words import after_dashes
from gitparams.errors import CommandLineError, RepositoryError
from gitparams.repository import Repository
from gitparams.rules import ERROR, WARN, Report, levels
from gitparams.screens.check import render, render_rules, report_document, rules_document
from gitparams.screens.terminal import Terminal
from gitparams.settings import Settings

app = typer.Typer(**APP)


@app.command()
def check(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE…", help="Only these files of params; else all that is declared")
    ] = None,
    rule: Annotated[list[str] | None, typer.Option("--rule", metavar="NAME", help="Only this rule (can be repeated)")] = None,
    level: Annotated[str, typer.Option("--level", metavar="LEVEL", help="The lowest level to show: warn or error")] = WARN,
    strict: Annotated[bool, typer.Option("--strict", help="Count warnings as errors")] = False,
    param: Overrides = None,
    ledger: Annotated[bool, typer.Option("--ledger", help="Search all recorded runs for secrets instead")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules and their levels")] = False,
    as_json: Json = False,
) -> None:
    """Look for what is worth a stop in files of params, the work tree and the latest run; exit with 1 on an error."""
    words = [*(files or ()), *(after_dashes() or ())]
    if level not in (WARN, ERROR):
        raise CommandLineError(f"--level {level!r} is not one of {WARN}, {ERROR}.")
    if words and param:
        raise CommandLineError("-p stands above the declared params, and with FILE only files are looked at.")
    if rules:
        _list_rules(rule or (), as_json)
        return
    if ledger and (words or rule or param):
        raise CommandLineError("--ledger looks at recorded runs alone, and for secrets alone.")
    report = _seen(_recorded() if ledger else _report(words, rule or (), param or ()), level, strict)
    if as_json:
        from gitparams.screens.documents import dumps

        page(dumps(report_document(report)))
    else:
        page(render(report, Terminal.of(sys.stdout)))
    raise typer.Exit(1 if report.errors else 0)


def _report(words: Sequence[str], rules: Sequence[str], overrides: Sequence[str]) -> Report:
    if not words:
        with repository() as found:
            return look(found, rules=rules, overrides=overrides)
    try:
        opened = Repository.open()
    except RepositoryError:  # files can be looked at anywhere
        return check_files(words, rules=rules)
    with opened:
        return look(opened, files=words, rules=rules)


def _recorded() -> Report:
    from gitparams.leaks import check_ledger

    with repository() as found:
        return check_ledger(found)


def _seen(report: Report, level: str, strict: bool) -> Report:
    """Return the report with warnings made errors, or with what is below the lowest level left out."""
    findings = [replace(finding, level=ERROR) if strict else finding for finding in report.findings]
    return replace(report, findings=tuple(finding for finding in findings if level == WARN or finding.level == ERROR))


def _list_rules(rules: Sequence[str], as_json: bool) -> None:
    try:
        with Repository.open() as found:
            settings = found.settings
    except RepositoryError:
        settings = Settings()
    followed = levels(settings, rules)
    if as_json:
        from gitparams.screens.documents import dumps

        page(dumps(rules_document(followed)))
    else:
        page(render_rules(followed, Terminal.of(sys.stdout)))
