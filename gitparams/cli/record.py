"""``gitparams record``: one finished run at once."""

from __future__ import annotations

import typer

from gitparams.cli.options import (
    APP,
    Experiment,
    Inputs,
    MetricsFiles,
    MetricValues,
    Name,
    Note,
    Overrides,
    ParamsFiles,
    Strict,
    Tags,
    hashing_progress,
    repository,
)
from gitparams.cli.update import read_all_metrics
from gitparams.cli.words import after_dashes
from gitparams.writing import Beginning

app = typer.Typer(**APP)


@app.command()
def record(
    param: Overrides = None,
    params: ParamsFiles = None,
    strict: Strict = True,
    inputs: Inputs = None,
    metric: MetricValues = None,
    metrics: MetricsFiles = None,
    name: Name = None,
    experiment: Experiment = None,
    tag: Tags = None,
    note: Note = "",
) -> None:
    """Record one finished run at once and print its id; a command after -- is recorded, not run."""
    numbers = read_all_metrics(metrics or [], metric or [])
    with repository() as found:
        if name:
            found.check_name(name)
        layer = found.declared_layer(params or (), param or (), strict=strict)
        command = tuple(after_dashes() or ())
        digests = found.digests(inputs or (), hashing_progress())
        beginning = Beginning(
            layer, name=name, experiment=experiment, tags=tuple(tag or ()), note=note, command=command, inputs=digests
        )
        run = found.record(beginning, numbers)
    print(run.id)
