"""Lightning: programs of its users, with both packages that bear the name, recorded without a line of ours or with two."""

import hashlib
import importlib
import sys

import pytest
from world import gitparams as command

import gitparams
from gitparams import recorder
from gitparams.errors import UsageError
from gitparams.integrations import lightning as integration

torch = pytest.importorskip("torch")
pytestmark = [
    # Lightning's advice on workers, loggers and checkpoints, and what its dependencies deprecate.
    pytest.mark.filterwarnings("ignore"),
]
PACKAGES = {"lightning": "lightning.pytorch", "pytorch_lightning": "pytorch_lightning"}


@pytest.fixture(params=PACKAGES)
def package(request):
    return request.param


@pytest.fixture
def pl(package, monkeypatch):
    """The package, with nothing left of the test before."""
    monkeypatch.setattr(integration, "_session", integration._Session())
    monkeypatch.setattr(recorder, "_warnings", set())
    return importlib.import_module(PACKAGES[package])


def module_of(pl, **hparams):
    class Net(pl.LightningModule):
        def __init__(self, hidden=4, lr=0.1):
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(2, 1)

        def loss(self, batch):
            return self.layer(batch[0]).pow(2).mean()

        def training_step(self, batch, index):
            loss = self.loss(batch)
            self.log("loss", loss)
            return loss

        def validation_step(self, batch, index):
            self.log("val_loss", self.loss(batch))

        def test_step(self, batch, index):
            self.log("test_loss", self.loss(batch))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=self.hparams.lr, momentum=0.9)

    return Net(**hparams)


def data_of(pl):
    class Data(pl.LightningDataModule):
        def __init__(self, batch=4):
            super().__init__()
            self.save_hyperparameters()

        def loader(self):
            return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 2)), batch_size=self.hparams.batch)

        train_dataloader = val_dataloader = test_dataloader = loader

    return Data()


def trainer_of(pl, folder, **options):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "accelerator": "cpu"}
    return pl.Trainer(**{**quiet, "max_epochs": 2, "log_every_n_steps": 1, "default_root_dir": folder, **options})


def test_a_trainer_needs_no_line_of_ours_where_a_run_goes_on(repo, pl, installed):
    with gitparams.start({"data": "ones"}) as run:
        trainer = trainer_of(pl, repo)
        trainer.fit(module_of(pl), data_of(pl))
    found = gitparams.run(run.id)
    optimizer, facts = found.params["optimizer"], found.params["trainer"]
    assert {name: found.params[name] for name in ("data", "hidden", "lr", "batch")} == {
        "data": "ones", "hidden": 4, "lr": 0.1, "batch": 4,
    }  # fmt: skip
    assert (optimizer["name"], optimizer["lr"], optimizer["momentum"]) == ("SGD", 0.1, 0.9)
    assert (facts["max_epochs"], facts["precision"], facts["devices"]) == (2, "32-true", 1)
    assert {found.origins[name].source for name in ("hidden", "lr", "batch", "optimizer.lr")} == {"lightning"}
    assert [step.step for step in found.series["loss"]] == [0, 1, 2, 3]
    assert [step.step for step in found.series["val_loss"]] == [1, 3]
    assert found.metrics["val_loss"] == found.series["val_loss"][1].value


def test_the_checkpoints_are_recorded_by_path_and_digest(repo, pl, installed):
    with gitparams.start({}) as run:
        saver = pl.callbacks.ModelCheckpoint(monitor="val_loss", dirpath=repo / "models", filename="best", save_last=True)
        trainer_of(pl, repo, callbacks=[saver]).fit(module_of(pl), data_of(pl))
    found = gitparams.run(run.id)
    digests = {name: "sha256:" + hashlib.sha256((repo / name).read_bytes()).hexdigest() for name in found.outputs}
    assert found.outputs == digests and sorted(digests) == ["models/best.ckpt", "models/last.ckpt"]
    assert found.metrics["best_val_loss"] == pytest.approx(float(saver.best_model_score))


def test_a_checkpoint_that_vanished_is_recorded_as_missing(repo, pl, installed):
    with gitparams.start({}) as run:
        saver = pl.callbacks.ModelCheckpoint(dirpath=repo / "models", filename="best")
        trainer_of(pl, repo, callbacks=[saver]).fit(module_of(pl), data_of(pl))
        (repo / "models/best.ckpt").unlink()
        (repo / "models").rmdir()
    assert gitparams.run(run.id).outputs == {"models/best.ckpt": {"missing": True}}


def test_what_was_trained_with_counts_and_not_what_was_saved_first(repo, pl, installed):
    with gitparams.start({}) as run:
        model = module_of(pl, lr=0.1)
        model.hparams.lr = 0.025  # as a search for the learning rate does
        trainer_of(pl, repo).fit(model, data_of(pl))
    assert gitparams.run(run.id).params["lr"] == 0.025


def test_a_value_that_changed_while_it_trained_says_what_it_was(repo, pl, installed):
    with gitparams.start({}) as run:
        model = module_of(pl)
        model.on_train_epoch_end = lambda: model.hparams.update(hidden=9)
        trainer_of(pl, repo).fit(model, data_of(pl))
    found = gitparams.run(run.id)
    assert (found.params["hidden"], [old.value for old in found.origins["hidden"].overrode]) == (9, [4])


def test_a_fit_and_the_test_after_it_are_one_run_also_with_another_trainer(repo, pl, installed):
    integration.enable()
    model, data = module_of(pl), data_of(pl)
    trainer_of(pl, repo).fit(model, data)
    trainer_of(pl, repo).test(model, data, verbose=False)
    integration._session.run.finish()
    (found,) = gitparams.runs()
    assert {"loss", "val_loss", "test_loss"} <= found.metrics.keys()


def test_a_second_fit_is_a_second_run_and_one_that_goes_on_is_not(repo, pl, installed):
    integration.enable()
    model, data = module_of(pl), data_of(pl)
    trainer = trainer_of(pl, repo)
    trainer.fit(model, data)
    trainer.fit_loop.max_epochs = 3
    trainer.fit(model, data)
    trainer_of(pl, repo).fit(module_of(pl, lr=0.5), data)
    integration._session.run.finish()
    assert [run.params["lr"] for run in gitparams.runs()] == [0.5, 0.1]


@pytest.mark.parametrize(("error", "status"), [(ArithmeticError("diverged"), "failed"), (KeyboardInterrupt(), "interrupted")])
def test_a_training_that_breaks_off_says_how(repo, pl, installed, error, status):
    integration.enable()
    model = module_of(pl)

    def break_off():
        raise error

    model.on_train_epoch_end = break_off
    with pytest.raises((ArithmeticError, SystemExit)):
        trainer_of(pl, repo).fit(model, data_of(pl))
    assert [run.status for run in gitparams.runs()] == [status]


def test_the_logger_alone_records_hparams_metrics_and_checkpoints(repo, pl, package):
    logger = integration._logger_class(package)(experiment="digits", tags=["small"])
    model, data = module_of(pl), data_of(pl)
    trainer = trainer_of(pl, repo, logger=logger)
    model.hparams.lr = 0.05
    trainer.fit(model, data)
    trainer.test(model, data, verbose=False)
    assert (logger.name, logger.version) == ("digits", logger.experiment.id[:8])
    found = logger.experiment.finish()
    assert (found.experiment, found.tags, found.status) == ("digits", ("small",), "completed")
    assert {name: found.params[name] for name in ("hidden", "lr", "batch")} == {"hidden": 4, "lr": 0.05, "batch": 4}
    assert {"loss", "val_loss", "test_loss"} <= found.metrics.keys()
    assert [name for name in found.outputs if name.endswith(".ckpt")] != []


def test_logger_and_callback_and_start_are_one_run_and_each_step_is_logged_once(repo, pl, package, installed):
    with gitparams.start({"data": "ones"}) as run:
        trainer_of(pl, repo, logger=integration._logger_class(package)()).fit(module_of(pl), data_of(pl))
    (found,) = gitparams.runs()
    assert found.id == run.id and found.params["data"] == "ones" and found.params["trainer"]["max_epochs"] == 2
    assert [step.step for step in found.series["loss"]] == [0, 1, 2, 3]


def test_the_callback_beside_the_entry_point_records_once(repo, pl, package, installed):
    with gitparams.start({}):
        trainer_of(pl, repo, callbacks=[integration._callback_class(package)()]).fit(module_of(pl), data_of(pl))
    assert len(gitparams.run("latest").series["loss"]) == 4


def test_a_logger_that_is_used_after_the_end_warns_once_and_the_training_goes_on(repo, pl, package, capsys):
    logger = integration._logger_class(package)()
    logger.experiment.finish()
    trainer_of(pl, repo, logger=logger).fit(module_of(pl), data_of(pl))
    assert capsys.readouterr().err.count("has ended, and takes no more metrics") == 1


def test_hyperparameters_may_be_a_namespace_and_the_command_line_s_own_words_are_left_out(repo, pl, package):
    import argparse

    logger = integration._logger_class(package)()
    logger.log_hyperparams(argparse.Namespace(lr=0.1, _instantiator="x", layers=[1, 2]))
    assert logger.experiment.finish().params == {"lr": 0.1, "layers": [1, 2]}


def test_without_a_run_the_entry_point_adds_nothing(repo, pl, installed):
    assert not any(type(callback).__name__ == "GitParamsCallback" for callback in trainer_of(pl, repo).callbacks)


@pytest.mark.parametrize("variable", ["RANK", "SLURM_PROCID"])
def test_other_ranks_record_nothing(repo, pl, installed, monkeypatch, variable):
    integration.enable()
    monkeypatch.setenv(variable, "1")
    assert integration.callbacks() == []


def test_outside_a_repository_there_is_one_warning_and_the_run_waits_in_the_spool(tmp_path, pl, installed, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    integration.enable()
    trainer_of(pl, tmp_path).fit(module_of(pl), data_of(pl))
    integration._session.run.finish()
    assert capsys.readouterr().err.count("gitparams:") == 1


@pytest.mark.parametrize("number", ["2.6.2", "2.6.3"])
def test_the_two_malicious_uploads_are_refused_by_name(repo, tmp_path, monkeypatch, capsys, package, number):
    folder = tmp_path / "evil" / f"{package}-{number}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: {number}\n")
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setattr(integration, "_loaded", lambda: package)
    integration.enable()
    assert integration._callbacks(package) == []
    integration.enable(False)
    assert f"{package} {number} is a malicious upload (GHSA-w37p-236h-pfx3)" in capsys.readouterr().err
    with pytest.raises(UsageError, match="malicious upload"):
        integration.GitParamsLogger  # noqa: B018


def test_a_fault_of_ours_is_one_warning_and_the_training_goes_on(repo, pl, installed, monkeypatch, capsys):
    monkeypatch.setattr(integration, "_optimizers", lambda trainer: 1 / 0)
    with gitparams.start({}):
        trainer_of(pl, repo).fit(module_of(pl), data_of(pl))
    assert capsys.readouterr().err.count("gitparams: Lightning could not be recorded: ZeroDivisionError") == 1
    assert "loss" in gitparams.run("latest").metrics


def test_metrics_are_logged_as_often_as_lightning_logs_them(repo, pl, installed):
    with gitparams.start({}):
        trainer_of(pl, repo, log_every_n_steps=3).fit(module_of(pl), data_of(pl))
    assert [step.step for step in gitparams.run("latest").series["loss"]] == [2]


PROGRAM = """
import argparse, torch
import {module} as pl

class Net(pl.LightningModule):
    def __init__(self, lr, hidden=4):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(2, 1)
    def training_step(self, batch, index):
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("loss", loss)
        return loss
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args()
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 2)), batch_size=4)
trainer = pl.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False, log_every_n_steps=1)
trainer.fit(Net(args.lr * 2), data)
"""


def test_a_script_under_gitparams_run_stays_as_it_is(repo, package, installed):
    (repo / "train.py").write_text(PROGRAM.format(module=PACKAGES[package]))
    done = command("run", "--", sys.executable, "-W", "ignore", "train.py", "--lr", "0.25", timeout=120)
    assert done.code == 0, done.err
    (found,) = gitparams.runs()
    assert (found.params["lr"], found.params["hidden"], found.params["optimizer"]["lr"]) == (0.5, 4, 0.5)
    origin = found.origins["lr"]
    assert (origin.source, [(old.value, old.source) for old in origin.overrode]) == ("lightning", [(0.25, "cli")])
    assert (found.status, found.disputed, len(found.series["loss"])) == ("completed", ("lr",), 2)


COMMAND_LINE = """
import torch
import {module} as pl
from {module}.cli import LightningCLI


class Net(pl.LightningModule):
    def __init__(self, hidden: int = 4, lr: float = 0.1):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, index):
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


class Data(pl.LightningDataModule):
    def __init__(self, batch: int = 4):
        super().__init__()
        self.save_hyperparameters()

    def train_dataloader(self):
        data = torch.utils.data.TensorDataset(torch.ones(16, 2))
        return torch.utils.data.DataLoader(data, batch_size=self.hparams.batch)


quiet = {{"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_checkpointing": False}}
LightningCLI(Net, Data, save_config_callback=None, trainer_defaults=quiet)
"""


def test_the_command_line_of_lightning_is_recorded_with_what_was_trained_with(repo, package, installed):
    (repo / "train.py").write_text(COMMAND_LINE.format(module=PACKAGES[package]))
    words = ["fit", "--model.lr", "0.05", "--data.batch", "8", "--trainer.max_epochs", "1", "--trainer.log_every_n_steps", "1"]
    done = command("run", "--", sys.executable, "-W", "ignore", "train.py", *words, timeout=180)
    assert done.code == 0, done.err
    (found,) = gitparams.runs()
    assert (found.params["lr"], found.params["hidden"], found.params["batch"], found.params["subcommand"]) == (
        0.05,
        4,
        8,
        "fit",
    )
    assert found.params["fit"]["model"] == {"hidden": 4, "lr": 0.05}
    assert (found.origins["fit.model.lr"].source, found.origins["fit.model.hidden"].source) == ("cli", "default")
    assert "_instantiator" not in found.params and len(found.series["loss"]) == 2
