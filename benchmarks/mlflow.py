"""MLflow: the same runs in its SQLite store, and the same question by its `search_runs`; only where mlflow is installed."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import chdir
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.report import Row
from benchmarks.timing import interleaved
from benchmarks.workshop import Workshop
from gitparams.library import runs
from gitparams.params import flatten

# Thirty milliseconds a run: 100,000 would take it an hour.
_RUNS, _ROUNDS = 1000, 5
_FILTER = "metrics.acc > 0.9"


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it; its params are text, so that both are asked for a metric alone."""
    if find_spec("mlflow") is None:
        shop.say("mlflow is not installed: no figures beside its own (pip install mlflow)")
        return
    with chdir(shop.indexed(_RUNS)):
        shop.say(f"mlflow: record {_RUNS:,} runs")
        search = _search(shop.folder / "mlflow.db")
        taken = interleaved(
            {
                "our 20": lambda: list(runs(_FILTER, sort="-metrics.acc")[:20]),
                "their 20": lambda: search(filter_string=_FILTER, order_by=["metrics.acc DESC"], max_results=20),
                "our frame": lambda: runs().to_pandas(),
                "their frame": lambda: search(max_results=_RUNS),
            },
            _ROUNDS,
        )
    yield Row(f"runs({_FILTER!r}, sort=…)[:20], {_RUNS:,} runs", taken["our 20"], "mlflow.search_runs", taken["their 20"])
    yield Row(f"runs().to_pandas(), {_RUNS:,} runs", taken["our frame"], "mlflow.search_runs", taken["their frame"])


def _search(file: Path) -> Callable[..., Any]:
    """Return MLflow's `search_runs` on a store that holds the runs of the present folder's ledger."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{file}"
    import mlflow  # type: ignore[import-not-found, unused-ignore]
    from mlflow.entities import Metric, Param  # type: ignore[import-not-found, unused-ignore]

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    client = mlflow.MlflowClient()
    experiment = client.create_experiment("all", artifact_location=str(file.parent / "artifacts"))
    for run in runs():
        begun = round(run.started.timestamp() * 1000)
        there = client.create_run(experiment, start_time=begun, run_name=run.id)
        client.log_batch(
            there.info.run_id,
            [Metric(name, float(value), begun, 0) for name, value in run.metrics.items()],
            [Param(path, str(value)) for path, value in flatten(run.params).items()],
        )
        client.set_terminated(there.info.run_id, "FINISHED")
    return lambda **words: mlflow.search_runs(experiment_ids=[experiment], **words)
