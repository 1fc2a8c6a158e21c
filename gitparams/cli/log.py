"""``gitparams log``: runs, newest first, with what changed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gitparams.cli.options import APP, Json, page, repository
from gitparams.cli.talk import talk
from gitparams.cli.words import after_dashes
from gitparams.errors import UsageError
from gitparams.index import Filter, Listed
from gitparams.model import Run, Status, now
from gitparams.repository import Repository
from gitparams.screens import log as screen
from gitparams.screens.terminal import Terminal

if TYPE_CHECKING:
    from gitparams.query import Query

app = typer.Typer(**APP)
_FORMATS = ("table", "oneline", "json", "jsonl", "csv", "md", "html")
_SHOWN = 20


@app.command()
def log(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[A..B] [-- KEY…]", help="A range of runs or of commits; the params that must have changed, globs too"
        ),
    ] = None,
    number: Annotated[
        int | None, typer.Option("-n", "--max-count", metavar="N", min=0, help="How many runs; -5 works as in git")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("-w", "--where", metavar="EXPR", help="Only runs for which it holds: 'params.lr < 0.1 and acc > 0.9'"),
    ] = None,
    sort: Annotated[
        list[str] | None,
        typer.Option("--sort", metavar="KEY", help="Sort by a key, -KEY the greatest first (can be repeated)"),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--columns", metavar="KEYS", help="What to show: keys, globs, fields, changed, all (can be repeated)"),
    ] = None,
    group_by: Annotated[
        list[str] | None, typer.Option("--group-by", metavar="KEY", help="Sum up the runs by a key (can be repeated)")
    ] = None,
    agg: Annotated[
        str, typer.Option("--agg", metavar="WORDS", help="mean, std, min, max, median, count, best, last; commas between")
    ] = "mean",
    replicates: Annotated[bool, typer.Option("--replicates", help="Groups of runs that are equal but for the seed")] = False,
    oneline: Annotated[bool, typer.Option("--oneline", help="One line a run")] = False,
    patch: Annotated[bool, typer.Option("-p", "--patch", help="Every change of every run")] = False,
    graph: Annotated[bool, typer.Option("--graph", help="Which run came of which")] = False,
    against: Annotated[str | None, typer.Option("--against", metavar="RUN", help="Compare with this run")] = None,
    experiment: Annotated[str | None, typer.Option("-e", "--experiment", help="Only this experiment")] = None,
    status: Annotated[str | None, typer.Option("--status", help="Only runs of this status")] = None,
    since: Annotated[
        str | None, typer.Option("--since", "--after", metavar="DATE", help="Only runs begun since: 2026-11-23, '2 days ago' …")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", "--before", metavar="DATE", help="Only runs begun until")] = None,
    author: Annotated[str | None, typer.Option("--author", help="Only runs of a person, by a part of the name")] = None,
    grep: Annotated[str | None, typer.Option("--grep", metavar="TEXT", help="Only with this in name, note or tags")] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Oldest first")] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="The hidden runs instead")] = False,
    groups: Annotated[bool, typer.Option("--groups", help="The groups as well")] = False,
    parent: Annotated[str | None, typer.Option("--parent", metavar="RUN", help="Only the runs within this group")] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="table, oneline, json, jsonl, csv, md or html")
    ] = "table",
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
            changed=found.keys_meant(after_dashes() or ()),
            deleted=deleted,
            groups=groups or graph,
            parent=found.find_id(parent) if parent else None,
            where=_all_of(found, where) if where else None,
            author=author,
            grep=grep,
        )
        for note in which.where.notes if which.where else ():
            talk(note)
        which = _range(found, which, words or [])
        if replicates or group_by:
            page(_summed_up(found, which, form, _parts(group_by), _parts([agg]), number))
            return
        limit = number if number is not None else _SHOWN if form == "table" and not patch else None
        compared = found.run(against) if against else None
        rows = found.listed(which, limit=limit, reverse=reverse, order=found.order(_parts(sort)), against=compared)
        if graph:
            page(_graph(found, which, rows))
        else:
            page(_rendered(found, which, rows, form, patch, _parts(columns), compared))


def _rendered(
    found: Repository, which: Filter, rows: list[Listed], form: str, patch: bool, words: Sequence[str], against: Run | None
) -> str:
    terminal, directions = Terminal.of(sys.stdout), found.settings.directions
    if form in ("json", "jsonl"):
        from gitparams.screens.documents import dumps, json_lines, listed_document

        return "\n".join(json_lines(rows)) if form == "jsonl" else dumps([listed_document(row) for row in rows])
    if words or form == "html":
        return _with_columns(found, which, rows, form, words, against)
    if form == "csv":
        return screen.to_csv(rows)
    if form == "md":
        return screen.to_markdown(rows, directions=directions, now=now())
    if patch:
        return screen.render_patch(rows, terminal=terminal, directions=directions, now=now(), filtered=which != Filter())
    if form == "oneline":
        return screen.render_oneline(rows, terminal=terminal, directions=directions, filtered=which != Filter())
    return screen.render(
        rows,
        total=found.total(which),
        terminal=terminal,
        directions=directions,
        now=now(),
        filtered=which != Filter(),
        against=against,
    )


def _with_columns(
    found: Repository, which: Filter, rows: list[Listed], form: str, words: Sequence[str], against: Run | None
) -> str:
    from gitparams.screens import columns as screen_of_columns

    directions, filtered = found.settings.directions, which != Filter()
    chosen = screen_of_columns.chosen(rows, words, found.index.key_names)
    if form == "html":
        from gitparams.screens.html import render_html

        shown, total = chosen if words else None, found.total(which)
        return render_html(rows, shown, total=total, directions=directions, now=now(), filtered=filtered, against=against)
    if form == "csv":
        return screen.to_csv(rows, [column.name for column in chosen])
    if form == "md":
        return screen_of_columns.to_markdown(rows, chosen, directions=directions, now=now())
    return screen_of_columns.render(
        rows,
        chosen,
        total=found.total(which),
        terminal=Terminal.of(sys.stdout),
        directions=directions,
        now=now(),
        filtered=filtered,
    )


def _graph(found: Repository, which: Filter, rows: list[Listed]) -> str:
    from gitparams.screens.graph import render

    parents: dict[str, Run] = {run.id: run for run in found.ancestors([row.run for row in rows])}
    return render(
        rows,
        total=found.total(which),
        terminal=Terminal.of(sys.stdout),
        directions=found.settings.directions,
        now=now(),
        parents=parents,
        filtered=which != Filter(groups=True),
    )


def _summed_up(found: Repository, which: Filter, form: str, by: Sequence[str], agg: Sequence[str], number: int | None) -> str:
    from gitparams.screens import replicates as screen_of_groups
    from gitparams.screens.documents import dumps

    if form not in ("table", "json"):
        raise UsageError(f"--format {form} is not for groups of runs.", hint="--format json")
    terminal, directions, filtered = Terminal.of(sys.stdout), found.settings.directions, which != Filter()
    if by:
        rows = found.aggregated(by, agg, which)
        if form == "json":
            return dumps([screen_of_groups.aggregate_document(row, by) for row in rows[:number]])
        return screen_of_groups.render_aggregated(
            rows[:number], by, agg, terminal=terminal, directions=directions, filtered=filtered
        )
    groups = found.replicates(which)
    if form == "json":
        return dumps([screen_of_groups.group_document(group) for group in groups[:number]])
    limit = _SHOWN if number is None else number
    return screen_of_groups.render(groups, terminal=terminal, directions=directions, now=now(), limit=limit, filtered=filtered)


def _all_of(found: Repository, expressions: Sequence[str]) -> Query:
    from gitparams.query import all_of

    return all_of([found.query(expression) for expression in expressions])


def _parts(words: Sequence[str] | None) -> list[str]:
    return [part for word in words or () for part in word.split(",") if part]


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
    if len(words) > 1:
        raise UsageError(f"{' '.join(words)!r} is not one range.", hint="gitparams log latest~5..latest, or -- KEY for params")
    span = found.span(words[0])
    until = min(filter(None, (which.until, span.until)), default=None)
    return replace(which, code=span.code, after=span.after, until=until)


def _date(found: Repository, text: str | None) -> datetime | None:
    return datetime.fromtimestamp(found.index.date(text)).astimezone() if text is not None else None
