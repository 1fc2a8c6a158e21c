"""``gitparams update``: params and metrics that became known later."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gitparams.cli.options import APP, MetricsFiles, MetricValues, Overrides, ParamsFiles, metric_values, repository
from gitparams.cli.talk import talk
from gitparams.errors import UsageError
from gitparams.metrics_files import read_metrics_file
from gitparams.model import Metric
from gitparams.repository import given_layer

app = typer.Typer(**APP)


@app.command()
def update(
    word: Annotated[str, typer.Argument(metavar="RUN", help="An id, its first letters, a name, latest …")],
    param: Overrides = None,
    params: ParamsFiles = None,
    metric: MetricValues = None,
    metrics: MetricsFiles = None,
) -> None:
    """Add params or metrics to a run."""
    if not (param or params or metric or metrics):
        raise UsageError("Nothing to add.", hint="gitparams update RUN --metric acc=0.93")
    numbers = read_all_metrics(metrics or [], metric or [])
    with repository() as found:
        layer = given_layer(params or (), param or ())
        found.update(found.find_id(word), layer, numbers)


def read_all_metrics(files: list[Path], texts: list[str]) -> dict[str, Metric]:
    """Return the metrics of some files, then those of ``K=V`` words; the later wins. Raises `UsageError`."""
    numbers: dict[str, Metric] = {}
    for file in files:
        read, left_out = read_metrics_file(file, str(file))
        numbers.update(read)
        if left_out:
            talk(f"{file}: not a number, left out: {', '.join(left_out)}.")
    return {**numbers, **metric_values(texts)}
