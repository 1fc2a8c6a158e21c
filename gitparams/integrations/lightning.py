"""Lightning: what a Trainer trained with, its metrics as series and its checkpoints, for both packages that bear the name.

Lightning asks entry points of ours for callbacks whenever a Trainer is made. They answer while a run goes on, or under
``gitparams run``, so that no line of a program changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from gitparams.errors import GitParamsError, UsageError
from gitparams.integrations import library
from gitparams.recorder import RUN_VARIABLE, ActiveRun, begin, current, harmless, is_beside, reports_folder, warn
from gitparams.values import Value
from gitparams.writing import Beginning

if TYPE_CHECKING:
    GitParamsCallback: Any
    GitParamsLogger: Any

_PACKAGES = {"lightning": "lightning.pytorch", "pytorch_lightning": "pytorch_lightning"}
_MALICIOUS = ("2.6.2", "2.6.3")
_INTERNAL = ("_class_path", "_instantiator")
"""What LightningCLI adds to hparams for itself."""
_HOW_IT_IS_COMPUTED = ("maximize", "foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay")
"""Settings of torch's optimizers that choose an implementation, or that say nothing when they are off."""


# -- doors ----------------------------------------------------------------------------------------------------------------


def callbacks() -> list[Any]:
    """Return the callbacks for a Trainer of ``lightning``: ours while something is recorded, else none."""
    return _callbacks("lightning")


def pytorch_lightning_callbacks() -> list[Any]:
    """Return the callbacks for a Trainer of ``pytorch_lightning``."""
    return _callbacks("pytorch_lightning")


def enable(on: bool = True) -> None:
    """Record every Trainer of this process from now on, also where nobody began a run."""
    _session.enabled = on


def _callbacks(package: str) -> list[Any]:
    if not (_session.enabled or reports_folder() is not None or RUN_VARIABLE in os.environ or current() is not None):
        return []
    if is_beside():
        return []
    try:
        _refuse_malicious(package)
        return [_callback_class(package)()]
    except GitParamsError as error:
        warn(f"{error} Nothing is recorded of this Trainer.")
        return []


def _refuse_malicious(package: str) -> None:
    """Raise `UsageError` for the two uploads that were no releases; asks the metadata, and runs none of it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version(package.replace("_", "-"))
    except PackageNotFoundError:
        return
    if found in _MALICIOUS:
        raise UsageError(
            f"{package} {found} is a malicious upload (GHSA-w37p-236h-pfx3): remove it, and change what secrets it could see.",
            hint=f"pip install '{package}!=2.6.2,!=2.6.3'",
        )


def __getattr__(name: str) -> Any:
    if name not in ("GitParamsCallback", "GitParamsLogger"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    package = _loaded()
    _refuse_malicious(package)
    return _callback_class(package) if name == "GitParamsCallback" else _logger_class(package)


def _loaded() -> str:
    """Return the package that the program uses: ``pytorch_lightning`` when only that one was imported."""
    import sys

    return next((package for package in _PACKAGES if package in sys.modules), "lightning")


# -- the run of a training ------------------------------------------------------------------------------------------------


class _Session:
    """The run that Lightning began in this process, and what was fitted in it."""

    def __init__(self) -> None:
        self.enabled = False
        self.run: ActiveRun | None = None
        self.fitted: tuple[int, int] | None = None

    def enter(self, trainer: Any, module: Any, experiment: str | None = None, tags: Sequence[str] = ()) -> ActiveRun | None:
        """Return the run for what a Trainer is about to do: one that goes on here, else that of the last fit, else a new one.

        A second fit is a second run, unless it goes on with the same Trainer and module; what follows a fit belongs to it.
        """
        if is_beside() or not trainer.is_global_zero:
            return None
        here = current()
        if here is not None and here is not self.run:
            return here
        fit, what = trainer.state.fn == "fit", (id(trainer), id(module))
        if self.run is not None and not self.run.finished and not (fit and self.fitted not in (None, what)):
            self.fitted = what if fit else self.fitted
            return self.run
        if self.run is not None:
            self.run.finish()
        self.run = begin(None, Beginning(experiment=experiment, tags=tuple(tags)))
        self.fitted = what if fit else None
        return self.run

    def fail(self, run: ActiveRun, error: BaseException | None) -> None:
        """End the run, if it is Lightning's own."""
        if run is self.run:
            run.finish("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")


_session = _Session()


class _Reporter:
    """Tells one run of one Trainer."""

    def __init__(self, run: ActiveRun) -> None:
        self.run = run
        self._told: dict[str, Value] = {}

    def tell_params(self, trainer: Any, module: Any) -> None:
        """Tell the hparams of module and datamodule as they are now, the optimizers, and how the Trainer trains."""
        hparams = {**_hparams(module), **_hparams(trainer.datamodule)}
        facts = {**_optimizers(trainer), **_trainer_facts(trainer)}
        self._tell({**{name: value for name, value in facts.items() if name not in hparams}, **hparams})

    def tell_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Tell hparams."""
        self._tell(hparams)

    def _tell(self, params: Mapping[str, Any]) -> None:
        from gitparams.capture.objects import plain_mapping
        from gitparams.values import same

        plain = plain_mapping({str(name): value for name, value in params.items() if name not in _INTERNAL})
        told = self._told
        news = {name: value for name, value in plain.items() if name not in told or not same(told[name], value)}
        self._told.update(news)
        self.run.update(news, "lightning")

    def log(self, metrics: Mapping[str, Any], step: int | None) -> None:
        """Log metrics as Lightning gives them to its loggers; the epoch is no metric."""
        numbers = {
            name: value.item() if hasattr(value, "item") else value for name, value in metrics.items() if name != "epoch"
        }
        if numbers:
            self.run.log(numbers, step=step)

    def keep_checkpoints(self, trainer: Any) -> None:
        """Record the best and the last checkpoint by path and digest, and the best score."""
        for callback in getattr(trainer, "checkpoint_callbacks", ()):
            self.keep_checkpoint(callback)

    def keep_checkpoint(self, callback: Any) -> None:
        """Record what one ModelCheckpoint keeps."""
        paths = [getattr(callback, name, "") for name in ("best_model_path", "last_model_path")]
        self.run.output(*(path for path in dict.fromkeys(paths) if path and "://" not in path))
        score, monitor = getattr(callback, "best_model_score", None), getattr(callback, "monitor", None)
        if score is not None and monitor:
            self.run.summary[f"best_{monitor}"] = float(score)


def _hparams(owner: Any) -> dict[str, Any]:
    """Return the hparams of a module or datamodule as they are, not as they once were saved (PL#11654)."""
    found = getattr(owner, "hparams", None)
    if found is None:
        return {}
    return {name: value for name, value in dict(found).items() if name not in _INTERNAL}


def _optimizers(trainer: Any) -> dict[str, Any]:
    """Return name and settings of each optimizer and of each scheduler's class, as Lightning built them."""
    facts: dict[str, Any] = {}
    for place, optimizer in enumerate(getattr(trainer, "optimizers", ())):
        settings = {name: value for name, value in optimizer.defaults.items() if name not in _HOW_IT_IS_COMPUTED}
        first = optimizer.param_groups[0] if optimizer.param_groups else {}
        settings["lr"] = first.get("initial_lr", first.get("lr", settings.get("lr")))
        facts["optimizer" if not place else f"optimizer_{place}"] = {"name": type(optimizer).__name__, **settings}
    for place, config in enumerate(getattr(trainer, "lr_scheduler_configs", ())):
        facts["scheduler" if not place else f"scheduler_{place}"] = {"name": type(config.scheduler).__name__}
    return facts


def _trainer_facts(trainer: Any) -> dict[str, Any]:
    """Return what of a Trainer decides how a training goes; under LightningCLI its config says it all."""
    if any(type(callback).__name__ == "SaveConfigCallback" for callback in trainer.callbacks):
        return {}
    facts = {
        "max_epochs": trainer.max_epochs,
        "max_steps": trainer.max_steps if trainer.max_steps != -1 else None,
        "precision": trainer.precision,
        "accumulate_grad_batches": trainer.accumulate_grad_batches,
        "gradient_clip_val": trainer.gradient_clip_val,
        "limit_train_batches": trainer.limit_train_batches if trainer.limit_train_batches != 1.0 else None,
        "devices": trainer.num_devices,
        "nodes": trainer.num_nodes if trainer.num_nodes != 1 else None,
        "strategy": type(trainer.strategy).__name__,
    }
    return {"trainer": {name: value for name, value in facts.items() if value is not None}}


# -- the callback ---------------------------------------------------------------------------------------------------------


@cache
def _callback_class(package: str) -> Any:
    callbacks = library(f"{_PACKAGES[package]}.callbacks", "lightning")

    class GitParamsCallback(callbacks.Callback):  # type: ignore[misc, name-defined]
        """Records what a Trainer does: ``Trainer(callbacks=[GitParamsCallback()])``, where no entry point does it."""

        def __init__(self) -> None:
            self._reporter: _Reporter | None = None

        def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
            """Find the run, and listen to what is logged."""
            with harmless("Lightning"):
                if self is not next(one for one in trainer.callbacks if isinstance(one, GitParamsCallback)):
                    return  # two of us, from an entry point and from the program: the first records
                run = _session.enter(trainer, pl_module)
                self._reporter = None if run is None else _Reporter(run)
                if self._reporter is not None and not any(isinstance(one, _logger_class(package)) for one in trainer.loggers):
                    _listen(trainer, self._reporter)

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            """Tell what is trained with."""
            self._tell(trainer, pl_module)

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            """Tell what it has become meanwhile, and what was saved."""
            self._tell(trainer, pl_module)

        def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
            """Record the checkpoints."""
            with harmless("Lightning"):
                if self._reporter is not None:
                    self._reporter.keep_checkpoints(trainer)

        def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
            """Tell the params of a validation without a fit."""
            if trainer.state.fn == "validate":
                self._tell(trainer, pl_module)

        def on_test_start(self, trainer: Any, pl_module: Any) -> None:
            """Tell the params of a test without a fit."""
            if _session.fitted is None:
                self._tell(trainer, pl_module)

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            """End the run as failed, or as interrupted."""
            with harmless("Lightning"):
                if self._reporter is not None:
                    self._reporter.keep_checkpoints(trainer)
                    _session.fail(self._reporter.run, exception)

        def _tell(self, trainer: Any, module: Any) -> None:
            with harmless("Lightning"):
                if self._reporter is not None:
                    self._reporter.tell_params(trainer, module)

    return GitParamsCallback


def _listen(trainer: Any, reporter: _Reporter) -> None:
    """Hear all that the Trainer gives to its loggers, also where it has none.

    A logger of ours among them would become the Trainer's first one, and decide where checkpoints go.
    """
    connector = trainer._logger_connector
    given: Callable[..., None] = getattr(connector.log_metrics, "__wrapped__", connector.log_metrics)

    @wraps(given)
    def log_metrics(metrics: Mapping[str, Any], step: int | None = None) -> None:
        with harmless("Lightning"):
            at = metrics.get("step") if step is None else step
            reached = trainer.fit_loop.epoch_loop._batches_that_stepped if at is None else int(at)
            reporter.log({name: value for name, value in metrics.items() if name != "step"}, reached)
        given(metrics, step)

    log_metrics.__wrapped__ = given
    connector.log_metrics = log_metrics


# -- the logger -----------------------------------------------------------------------------------------------------------


@cache
def _logger_class(package: str) -> Any:
    loggers = library(f"{_PACKAGES[package]}.loggers.logger", "lightning")

    class GitParamsLogger(loggers.Logger):  # type: ignore[misc, name-defined]
        """Logs a Trainer to a run: ``Trainer(logger=GitParamsLogger())``.

        Args:
            experiment: the experiment of the run that it begins, where none goes on.
            tags: tags of that run.
        """

        def __init__(self, experiment: str | None = None, *, tags: Sequence[str] = ()) -> None:
            super().__init__()
            self._experiment, self._tags = experiment, tuple(tags)
            self._reporter: _Reporter | None = None
            self._module: Any = None
            self._silent = is_beside()

        @property
        def name(self) -> str:
            """The experiment."""
            return self._experiment or "gitparams"

        @property
        def version(self) -> str:
            """The run's id as it is shown, "" on the ranks that record nothing."""
            run = self.experiment
            return run.id[:8] if run is not None and run.id is not None else ""

        @property
        def experiment(self) -> ActiveRun | None:
            """The run; None on the ranks that record nothing."""
            found = self._reported()
            return found.run if found is not None else None

        def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
            """Record hparams: a dict or a Namespace."""
            with harmless("Lightning"):
                found = self._reported()
                if found is not None:
                    found.tell_hparams(params if isinstance(params, Mapping) else vars(params))

        def log_graph(self, model: Any, input_array: Any = None) -> None:
            """Record the hparams as they are now; Lightning gave the initial ones."""
            with harmless("Lightning"):
                self._module = model
                found = self._reported()
                if found is not None:
                    found.tell_hparams(_hparams(model))

        def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
            """Log metrics of a step."""
            with harmless("Lightning"):
                found = self._reported()
                if found is not None:
                    if found.run.finished:
                        raise UsageError(f"Run {self.version} has ended, and takes no more metrics.")
                    found.log(metrics, step)

        def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
            """Record the checkpoints by path and digest."""
            with harmless("Lightning"):
                found = self._reported()
                if found is not None:
                    found.keep_checkpoint(checkpoint_callback)

        def finalize(self, status: str) -> None:
            """Note how a stage ended: a failure ends the run, a success may be followed by a test."""
            with harmless("Lightning"):
                if self._reporter is None:
                    return
                if self._module is not None:
                    self._reporter.tell_hparams(_hparams(self._module))
                if status not in ("success", "finished"):
                    _session.fail(self._reporter.run, None)

        def _reported(self) -> _Reporter | None:
            if self._reporter is None and not self._silent:
                here = current()
                if here is None:
                    here = _session.run = begin(None, Beginning(experiment=self._experiment, tags=self._tags))
                self._reporter = _Reporter(here)
            return self._reporter

        def __getstate__(self) -> dict[str, Any]:
            return {**self.__dict__, "_reporter": None, "_module": None, "_silent": True}  # a copy in a worker records nothing

    return GitParamsLogger
