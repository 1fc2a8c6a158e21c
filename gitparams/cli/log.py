"""``gitparams log``: the runs, newest first, with what changed from run to run."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

import typer

from gitparams.cli.options import APP, Json, page, repository
from gitparams.cli.words import after_dashes
from gitparams.errors import UsageError
from gitparams.index import Filter, Listed
from gitparams.model import Status, now
from gitparams.repository import Repository
from gitparams.screens import log as screen
from gitparams.screens.terminal import Terminal

app = typer.Typer(**APP)
_FORMATS = ("table", "oneline", "json", "csv", "md")
_SHOWN = 20


@app.command()
def log(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN..RUN] [-- KEY…]", help="A range of runs; the params that must have changed"),
    ] = None,
    number: Annotated[
        int | None, typer.Option("-n", "--max-count", metavar="N", min=0, help="How many runs; -5 works as in git")
    ] = None,
    oneline: Annotated[bool, typer.Option("--oneline", help="One line a run")] = False,
    patch: Annotated[bool, typer.Option("-p", "--patch", help="Every change of every run")] = False,
    experiment: Annotated[str | None, typer.Option("-e", "--experiment", help="Only this experiment")] = None,
    status: Annotated[str | None, typer.Option("--status", help="Only runs of this status")] = None,
    since: Annotated[
        str | None, typer.Option("--since", "--after", metavar="DATE", help="Only runs begun since: 2026-11-23, '2 days ago' …")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", "--before", metavar="DATE", help="Only runs begun until")] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Oldest first")] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="The hidden runs instead")] = False,
    groups: Annotated[bool, typer.Option("--groups", help="The groups as well")] = False,
    parent: Annotated[str | None, typer.Option("--parent", metavar="RUN", help="Only the runs within this group")] = None,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, oneline, json, csv or md")] = "table",
    as_json: Json = False,
) -> None:
    """List runs, newest first, with what changed from the run before."""
    form = _format(form, as_json, oneline)
    with repository() as found:
        which = Filter(
            experiment=experiment,
            status=_status(status),
            since=_date(found, since),
            until=_date(found, until),
            changed=tuple(after_dashes() or ()),
            deleted=deleted,
            groups=groups,
            parent=found.find_id(parent) if parent else None,
        )
        which = _range(found, which, words or [])
        limit = number if number is not None else _SHOWN if form == "table" and not patch else None
        rows = found.listed(which, limit=limit, reverse=reverse)
        page(_rendered(found, which, rows, form, patch))


def _rendered(found: Repository, which: Filter, rows: list[Listed], form: str, patch: bool) -> str:
    terminal, directions = Terminal.of(sys.stdout), found.settings.directions
    if form == "json":
        from gitparams.screens.documents import dumps, listed_document

        return dumps([listed_document(row) for row in rows])
    if form == "csv":
        return screen.to_csv(rows)
    if form == "md":
        return screen.to_markdown(rows, directions=directions, now=now())
    if patch:
        return screen.render_patch(rows, terminal=terminal, directions=directions, now=now(), filtered=which != Filter())
    if form == "oneline":
        return screen.render_oneline(rows, terminal=terminal, directions=directions, filtered=which != Filter())
    total = found.count(which)
    return screen.render(rows, total=total, terminal=terminal, directions=directions, now=now(), filtered=which != Filter())


def _format(form: str, as_json: bool, oneline: bool) -> str:
    if form not in _FORMATS:
        raise UsageError(f"--format {form!r} is not one of {', '.join(_FORMATS)}.")
    return "json" if as_json else "oneline" if oneline else form


def _status(word: str | None) -> str | None:
    if word is not None and word not in [*Status, "broken"]:
        raise UsageError(f"{word!r} is no status.", hint=f"one of {', '.join(Status)}")
    return word


def _range(found: Repository, which: Filter, words: list[str]) -> Filter:
    from dataclasses import replace

    if not words:
        return which
    older, dots, newer = words[0].partition("..")
    if not dots or len(words) > 1:
        raise UsageError(f"{' '.join(words)!r} is not RUN..RUN.", hint="gitparams log latest~5..latest, or -- KEY for params")
    first, last = found.run(older), found.run(newer or "latest")
    return replace(which, after=first.started, until=last.started)


def _date(found: Repository, text: str | None) -> datetime | None:
    """Return the time of git's date words; git itself reads them, and takes for now what it does not understand."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        pass
    answer = found.git.text("rev-parse", f"--since={text}")
    seconds = int(answer.partition("=")[2] or 0)
    if abs(seconds - now().timestamp()) < 2 and text.strip().lower() not in ("now", "today"):
        raise UsageError(f"{text!r} is no date.", hint="2026-11-23, yesterday, '2 days ago'")
    return datetime.fromtimestamp(seconds).astimezone()
