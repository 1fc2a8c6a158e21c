"""Systems: what recording costs a tuner's trial and a trainer's step, and how long a study takes to bring in."""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Iterator
from contextlib import chdir
from importlib.util import find_spec
from typing import Any

from benchmarks.report import Row
from benchmarks.timing import Samples, interleaved
from benchmarks.workshop import Workshop
from gitparams.integrations.lightning import GitParamsCallback as TrainerCallback
from gitparams.integrations.optuna import GitParamsCallback, foreign_runs
from gitparams.library import start
from gitparams.repository import Repository

_TRIALS, _STUDY, _STEPS, _STEP_SECONDS = 50, 10_000, 2000, 0.01


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    if find_spec("optuna") is None:
        shop.say("optuna is not installed: no figures of tuners (pip install 'gitparams[optuna]')")
    else:
        with chdir(shop.repository()):
            yield _trial()
        yield _study(shop)
    if find_spec("lightning") is None:
        shop.say("lightning is not installed: no figures of trainers (pip install 'gitparams[lightning]')")
    else:
        with chdir(shop.repository()):
            yield _step()


def _trial() -> Row:
    """Time a study's trials with the callback and without."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = itertools.count()

    def optimize(*callbacks: Any) -> None:
        study = optuna.create_study(study_name=f"s{next(names)}", sampler=optuna.samplers.RandomSampler(seed=1))
        study.optimize(_objective, n_trials=_TRIALS, callbacks=list(callbacks))

    callback = GitParamsCallback()
    taken = interleaved({"with": lambda: optimize(callback), "without": optimize}, 5)
    cost = taken["with"].each(_TRIALS).over(taken["without"].each(_TRIALS))
    return Row("Optuna's callback, a trial", cost, "the trial without it", taken["without"].each(_TRIALS), most=0.010)


def _objective(trial: Any) -> float:
    params = {f"p{number}": trial.suggest_float(f"p{number}", 0, 1) for number in range(10)}
    trial.report(0.5, 0)
    return float(sum(params.values()))


def _study(shop: Workshop) -> Row:
    """Time the import of a large study from SQLite."""
    import time

    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file = shop.cache / f"study-{_STUDY}.db"
    if not file.exists():
        shop.say(f"systems: a study of {_STUDY:,} trials")
        spaces = {f"p{number}": optuna.distributions.FloatDistribution(0, 1) for number in range(10)}
        study = optuna.create_study(study_name="large", storage=f"sqlite:///{file}")
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={name: (number * 7919 + place) % 1000 / 1000 for place, name in enumerate(spaces)},
                    distributions=dict(spaces),
                    value=number / _STUDY,
                )
                for number in range(_STUDY)
            ]
        )
    with chdir(shop.repository()), Repository.find() as repository:
        begun = time.perf_counter()
        repository.record_all(foreign_runs(str(file), None, shop.say))
        taken = Samples((time.perf_counter() - begun,))
    return Row(f"gitparams import optuna, {_STUDY:,} trials", taken, most=20)


def _step() -> Row:
    """Time a trainer's steps with the callback and without, beside a step of ten milliseconds."""
    import lightning.pytorch as pl
    import torch

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(_STEPS, 2)), batch_size=1)

    class Net(pl.LightningModule):
        def __init__(self, lr: float = 0.1) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            loss = self.layer(batch[0]).pow(2).mean()
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    def fit(*callbacks: Any) -> None:
        quiet: dict[str, Any] = dict.fromkeys(
            ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing"), False
        )
        pl.Trainer(max_epochs=1, accelerator="cpu", callbacks=list(callbacks), **quiet).fit(Net(), data)

    with start({}):
        taken = interleaved({"with": lambda: fit(TrainerCallback()), "without": fit}, 5)
    cost = taken["with"].each(_STEPS).over(taken["without"].each(_STEPS))
    return Row("Lightning's callback, a step", cost, "a step of 10 ms", Samples((_STEP_SECONDS,)), most_ratio=0.01)
