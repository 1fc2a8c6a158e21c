"""``gitparams finish``: the end of a run that ``gitparams start`` began."""

from __future__ import annotations

from typing import Annotated

import typer

from gitparams.cli.options import APP, MetricsFiles, MetricValues, repository
from gitparams.cli.update import read_all_metrics
from gitparams.errors import UsageError
from gitparams.journal import Ending
from gitparams.model import Status, now

app = typer.Typer(**APP)


@app.command()
def finish(
    word: Annotated[str, typer.Argument(metavar="RUN", help="The id that gitparams start printed")],
    metric: MetricValues = None,
    metrics: MetricsFiles = None,
    exit_code: Annotated[int | None, typer.Option("--exit-code", help="The program's exit code; not 0 makes it failed")] = None,
    status: Annotated[str | None, typer.Option("--status", help="completed, failed, interrupted or pruned")] = None,
) -> None:
    """End a run: with its metrics, and how it went."""
    numbers = read_all_metrics(metrics or [], metric or [])
    ending = Ending(_status(status, exit_code), now(), exit_code)
    with repository() as found:
        run = found.find_id(word)
        journal = found.journal_of(run)
        if journal is None:
            raise UsageError(f"Run {run[:8]} is finished.", hint=f"gitparams update {run[:8]} --metric acc=0.93")
        found.finish(journal, ending, numbers)


def _status(word: str | None, exit_code: int | None) -> Status:
    if word is None:
        return Status.COMPLETED if not exit_code else Status.INTERRUPTED if exit_code in (130, 143) else Status.FAILED
    finished = [status for status in Status if status.finished]
    if word not in finished:
        raise UsageError(f"{word!r} is no status of a finished run.", hint=f"one of {', '.join(finished)}")
    return Status(word)
