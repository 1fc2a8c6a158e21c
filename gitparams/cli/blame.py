"""``gitparams blame``: which run changed each param last."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from gitparams.cli.options import APP, Json, page, repository
from gitparams.cli.words import after_dashes
from gitparams.errors import AmbiguousRun, GitParamsError, RunNotFound, UsageError
from gitparams.index import paths_meant
from gitparams.model import Run, now
from gitparams.repository import Repository
from gitparams.screens.terminal import Terminal

app = typer.Typer(**APP)

_SHOWN = 20
_MOST_NUMBERS = 200_000  # each is told with its spread, and a document has an end
_ALWAYS_A_RUN = re.compile(r"latest(~\d*)?|worktree|(run|rev|best):.*")


@app.command()
def blame(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN] [KEY…] [-- KEY…]", help="A run (default: latest), and params")
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="Tell all the values that a param ever had")] = False,
    metrics: Annotated[
        list[str] | None, typer.Option("-m", "--metric", metavar="NAME", help="A metric to show (can be repeated)")
    ] = None,
    number: Annotated[
        int | None, typer.Option("-n", "--number", metavar="N", min=1, help="With --history: how many stretches of runs")
    ] = None,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="text or json")] = "text",
    as_json: Json = False,
) -> None:
    """Show for each param which run changed it last, and what the metrics were before and since."""
    if form not in ("text", "json"):
        raise UsageError(f"--format {form!r} is not one of text, json.")
    wants_json = as_json or form == "json"
    with repository() as found:
        run, keys = _told_apart(found, words or (), after_dashes() or ())
        _check_metrics(found, metrics or ())
        if history:
            page(_timelines(found, run, keys, metrics or None, number, wants_json))
        else:
            page(_blame(found, run, keys, metrics or None, wants_json))


def _blame(found: Repository, run: Run | str, keys: Sequence[str], metrics: Sequence[str] | None, as_json: bool) -> str:
    from gitparams.screens import blame as screen

    result = found.blame(run, keys)
    if as_json:
        from gitparams.screens.documents import dumps

        numbers = sum(len(side.metrics) for change in result.changes for side in (change.before, change.after))
        if not metrics and numbers > _MOST_NUMBERS:
            raise UsageError(f"All metrics of all params are {numbers} numbers.", hint="gitparams blame --json -m METRIC")
        return dumps([screen.change_document(change, metrics) for change in result.changes])
    terminal, directions = Terminal.of(sys.stdout), found.settings.directions
    return screen.render(result, terminal=terminal, directions=directions, now=now(), metrics=metrics)


def _timelines(
    found: Repository, run: Run | str, keys: Sequence[str], metrics: Sequence[str] | None, number: int | None, as_json: bool
) -> str:
    if not keys:
        raise UsageError("--history tells the values of a param, and none is named.", hint="gitparams blame KEY --history")
    from gitparams.screens import blame as screen

    limit = number if number is not None or as_json else _SHOWN
    result = found.timeline(keys, run, limit=limit)
    if as_json:
        from gitparams.screens.documents import dumps

        return dumps([document for one in result for document in screen.timeline_documents(one, metrics)])
    terminal, directions = Terminal.of(sys.stdout), found.settings.directions
    return screen.render_timelines(result, terminal=terminal, directions=directions, now=now(), metrics=metrics)


def _told_apart(found: Repository, words: Sequence[str], keys: Sequence[str]) -> tuple[Run | str, list[str]]:
    """Return the run and the params that plain words name, and the params that stand after ``--``."""
    names = found.index.key_names("params")
    named = [_named(found, word, names) for word in words]
    runs = [word for word in named if isinstance(word, Run)]
    if len(runs) > 1:
        said = f"{runs[0].short_id} and {runs[1].short_id} are two runs, and one is asked."
        raise UsageError(said, hint=f"gitparams blame {runs[0].short_id}")
    return (runs[0] if runs else "latest"), [*(word for word in named if isinstance(word, str)), *keys]


def _named(found: Repository, word: str, names: Sequence[str]) -> Run | str:
    """Return the run that a word names, or the word when it names a param.

    Raises:
        AmbiguousRun: it may be both. RunNotFound: it is neither. Others as `Repository.run`.
    """
    is_param = bool(paths_meant(word, names)) and not _ALWAYS_A_RUN.fullmatch(word)
    if is_param and not found.is_here(word):
        return word
    try:
        run = found.run(word)
    except AmbiguousRun:
        raise
    except GitParamsError as error:
        if is_param:
            return word
        raise _nothing(word, names, error) from None
    if is_param:
        said = f"{word!r} is a param, and run {run.short_id} is called so too."
        raise AmbiguousRun(said, hint=f"gitparams blame -- {word}, or gitparams blame run:{run.short_id}")
    return run


def _nothing(word: str, names: Sequence[str], error: GitParamsError) -> GitParamsError:
    """Return what is said of a word that names neither a run nor a param; near misses among the params are suggested."""
    from difflib import get_close_matches

    near = get_close_matches(word, names, n=3)
    if not near or not isinstance(error, RunNotFound):
        return error
    return RunNotFound(f"No run, code revision or param is called {word!r}.", hint=f"did you mean {', '.join(near)}?")


def _check_metrics(found: Repository, metrics: Sequence[str]) -> None:
    names = found.index.key_names("metrics") if metrics else []
    for name in metrics:
        if name not in map(_bare, names):
            raise UsageError(f"No run has a metric {name!r}.", hint=f"there are {', '.join(names[:8])}" if names else None)


def _bare(path: str) -> str:
    from gitparams.params import path_keys

    return path_keys(path)[-1]
