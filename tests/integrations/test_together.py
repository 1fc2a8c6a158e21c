"""Several systems that report the same run: it is one run, its params merged by path, and origins tell which said what."""

import sys

import pytest
from world import gitparams as command

import gitparams

pytest.importorskip("lightning")
pytest.importorskip("hydra")

TRAINING = """
import torch
import lightning.pytorch as pl
from torch.utils.tensorboard import SummaryWriter


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


def train(lr):
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 2)), batch_size=4)
    quiet = dict(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    pl.Trainer(max_epochs=1, log_every_n_steps=1, **quiet).fit(Net(lr), data)
    with SummaryWriter("logs") as writer:
        writer.add_scalar("val/acc", 0.5, 0)
        writer.add_hparams({"lr": lr, "hidden": 4, "dropout": 0.5}, {"hparam/acc": 0.5})
"""

HYDRA = """
import hydra
from training import train


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    train(cfg.lr)


main()
"""

ARGPARSE = """
import argparse
import gitparams
from training import train

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args()
with gitparams.start({"data": "ones"}):
    train(args.lr / 2)
"""


@pytest.fixture
def programs(repo, installed):
    (repo / "conf").mkdir()
    (repo / "conf/config.yaml").write_text("lr: 0.1\nmodel: {name: net}\nhydra: {run: {dir: .}, output_subdir: null}\n")
    (repo / "gitparams.yaml").write_text("capture: {tensorboard: [logs]}\n")
    for name, text in (("training", TRAINING), ("hydra_program", HYDRA), ("parser_program", ARGPARSE)):
        (repo / f"{name}.py").write_text(text)
    return repo


def train(*words):
    done = command("run", "--", sys.executable, "-W", "ignore", *words, timeout=180)
    assert done.code == 0, done.err
    (run,) = gitparams.runs()
    return run


def said(run, path):
    origin = run.origins[path]
    return origin.source, [(old.value, old.source) for old in origin.overrode]


def test_hydra_lightning_and_tensorboard_are_one_run(programs):
    run = train("hydra_program.py", "lr=0.25")
    assert (run.params["lr"], run.params["model"], run.params["hidden"], run.params["dropout"]) == (
        0.25,
        {"name": "net"},
        4,
        0.5,
    )
    assert (said(run, "model.name")[0], said(run, "hidden"), said(run, "dropout")) == (
        "hydra",
        ("lightning", []),
        ("tensorboard", []),
    )
    assert len(run.series["loss"]) == 2 and run.metrics["val/acc"] == 0.5
    assert run.disputed == ()


def test_argparse_start_lightning_and_tensorboard_are_one_run_and_the_last_that_says_a_value_wins(programs):
    run = train("parser_program.py", "--lr", "0.5")
    assert (run.params["lr"], said(run, "lr")) == (0.25, ("lightning", [(0.5, "cli")]))
    assert (run.params["data"], said(run, "data"), said(run, "dropout")[0]) == ("ones", ("code", []), "tensorboard")
    assert (run.disputed, len(run.series["loss"])) == (("lr",), 2)


def test_a_reporter_that_is_switched_off_says_nothing(programs):
    with (programs / "gitparams.yaml").open("a") as file:
        file.write("sources: {lightning: off, tensorboard: off}\n")
    run = train("hydra_program.py")
    assert run.params == {"lr": 0.1, "model": {"name": "net"}}
