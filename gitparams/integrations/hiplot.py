"""HiPlot: runs as its experiment, and as one page that needs no server and asks nothing of a network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.integrations import library
from gitparams.model import Run, RunId
from gitparams.space import Space, as_number, space_of, word

if TYPE_CHECKING:
    import hiplot


def experiment_of(
    runs: Iterable[Run], metric: str | None = None, directions: Mapping[str, Direction] | None = None
) -> hiplot.Experiment:
    """Return runs, whoever produced them, as a HiPlot experiment: params that differ, then metrics, the one judged by last.

    A line is a run, called by its short id, and comes of its parent. Numbers that span decades are on logarithmic axes; what is
    equal in all runs is left out, what is another word in every run is in the table alone, and a line has no NaN or infinities.
    HiPlot writes texts into its page as they are, where a tag would be one: ``<`` and ``>`` stand there as ``‹`` and ``›``.

    Args:
        runs: in any order.
        metric: what lines are coloured by, as `gitparams.space.space_of` chooses it.
        directions: which way of a metric is better.

    Raises:
        UsageError: HiPlot is not installed, there are no runs, or none has the metric.
    """
    module = library("hiplot", "hiplot")
    space = space_of(runs, metric, directions)
    if not space.trials:
        raise UsageError("There are no runs to draw.", hint="gitparams log")
    names = sorted(
        {name for trial in space.trials for name in trial.run.metrics}, key=lambda name: (name == space.metric, name)
    )
    labels = _labels(space, names)
    known = {trial.run.id for trial in space.trials}
    experiment: hiplot.Experiment = module.Experiment()
    for trial in space.trials:
        values = {labels["params", one.path]: _shown(trial.values[one.path], one.kind) for one in _there(space, trial.values)}
        metrics = {labels["metrics", name]: _finite(value) for name, value in trial.run.metrics.items()}
        row = {name: value for name, value in {**values, **metrics}.items() if value is not None}
        parent = trial.run.parent[:8] if trial.run.parent in known and trial.run.parent else None
        experiment.datapoints.append(module.Datapoint(uid=trial.run.short_id, from_uid=parent, values=row))
    _describe(experiment, module, space, labels)
    return experiment


def write_runs(path: Path, runs: Sequence[Run], directions: Mapping[str, Direction]) -> list[RunId]:
    """Write runs into one HTML file, and return their ids; a file that is there is replaced when the new one is whole.

    Raises:
        UsageError: as `experiment_of`, or the file cannot be written.
    """
    chosen = list(runs)
    page = experiment_of(chosen, None, directions).to_html()
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(page, "utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    return [run.id for run in chosen if not run.group]


def _labels(space: Space, metrics: Sequence[str]) -> dict[tuple[str, str], str]:
    """Return what each column is called; a metric that is called as a param has ``metrics.`` before it."""
    paths = {one.path for one in space.dimensions}
    labels = {("params", path): path for path in paths}
    labels |= {("metrics", name): f"metrics.{name}" if name in paths else name for name in metrics}
    return {key: _harmless(label) for key, label in labels.items()}


def _there(space: Space, values: Mapping[str, Any]) -> list[Any]:
    return [one for one in space.dimensions if one.path in values]


def _shown(value: Any, kind: str) -> Any:
    return _harmless(word(value)) if kind == "words" else as_number(value) if kind == "float" else value


def _harmless(text: str) -> str:
    return text.replace("<", "‹").replace(">", "›")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _describe(experiment: Any, module: Any, space: Space, labels: Mapping[tuple[str, str], str]) -> None:
    """Say what each column is, which one colours the lines, and in which order they stand."""
    types = module.ValueType
    for one in space.dimensions:
        kind = types.CATEGORICAL if one.kind == "words" else types.NUMERIC_LOG if one.log else types.NUMERIC
        experiment.parameters_definition[labels["params", one.path]].type = kind
    if space.metric is not None:
        experiment.colorby = labels["metrics", space.metric]
    shown = [labels["params", one.path] for one in space.dimensions]
    shown += [label for (kind, _), label in labels.items() if kind == "metrics"]
    # HiPlot's axes stand from the last to the first
    names = [labels["params", one.path] for one in space.dimensions if one not in space.telling]
    experiment.display_data(module.Displays.PARALLEL_PLOT).update({"order": shown[::-1], "hide": ["uid", "from_uid", *names]})
    experiment.display_data(module.Displays.TABLE).update({"hide": ["from_uid"]})
