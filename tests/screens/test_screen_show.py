from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gitparams.model import CodeState, Details, Oid, Run, RunId, Status
from gitparams.params import Origin, Overridden, nested
from gitparams.screens.show import render
from gitparams.screens.terminal import Terminal

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
STARTED = NOW - timedelta(minutes=40)
RUN = Run(
    id=RunId("wlqtrvkpwlqtrvkp"),
    status=Status.FAILED,
    started=STARTED,
    finished=STARTED + timedelta(seconds=723),
    name="warm",
    experiment="digits",
    params=nested({"optim": {"lr": 0.01, "warmup": 500}, "batch": 128, "layers": [64, 64]}),
    metrics={"acc": 0.934, "loss": 0.221, "time": 723},
    command=("python", "train.py", "--data", "/mnt/my data/imagenet/2012/train", "--lr", "0.01"),
    cwd="src",
    code=CodeState(Oid("4f2c1ab" * 5 + "abcde"), "main", dirty=True),
    author="Ada <ada@example.org>",
    host="gpu1",
    python="3.11.4",
    exit_code=137,
    tags=("resnet", "sweep"),
    note="first try\nwith warmup",
)
BEFORE = Run(
    RunId("kkmpptxzkkmpptxz"),
    Status.COMPLETED,
    STARTED,
    params=nested({"optim": {"lr": 0.1}, "batch": 128, "layers": [64, 64], "gone": None}),
    metrics={"acc": 0.912, "loss": 0.268},
)
DETAILS = Details(
    origins={
        "optim.lr": Origin("cli", "-p optim.lr=0.01", (Overridden(0.1, "file", "conf/train.yaml:12"),)),
        "batch": Origin("default"),
        "layers": Origin("hydra", "conf/model.yaml"),
    },
    packages=("numpy==1.2", "torch==2.3"),
    output=b"epoch 1\n 10%\r100%\nloss \x1b[31m0.22\x1b[0m \xff\n",
)


def screen(width: int = 80, *sections: str, utf8: bool = True) -> str:
    text = render(RUN, DETAILS, before=BEFORE, terminal=Terminal(width, utf8=utf8), directions={}, now=NOW, sections=sections)
    return "\n" + text + "\n"


def test_all_about_a_run() -> None:
    assert (
        screen()
        == """
run         wlqtrvkpwlqtrvkp
name        warm
status      failed 137
experiment  digits
started     2026-11-23 11:20:00 +0000, 40m ago, took 12m 3s
command     python train.py --data '/mnt/my data/imagenet/2012/train' --lr 0.01
cwd         src
code        4f2c1ab4f2 on main, with uncommitted changes
author      Ada <ada@example.org>
host        gpu1, Python 3.11.4
tags        resnet, sweep
note        first try
            with warmup

params
  batch         128
  layers        [64, 64]
  optim.lr      0.01  was 0.1
  optim.warmup  500   added
  gone          –     removed, was None

metrics
  acc ↑   0.934  +0.022 better
  loss ↓  0.221  −0.047 better
  time    723

2 packages

output
  epoch 1
  100%
  loss \\x1b[31m0.22\\x1b[0m \ufffd
"""
    )


def test_a_narrow_screen_wraps_and_loses_nothing() -> None:
    assert screen(40).split("\n")[5:12] == [
        "started     2026-11-23 11:20:00 +0000,",
        "            40m ago, took 12m 3s",
        "command     python train.py --data",
        "            '/mnt/my",
        "            data/imagenet/2012/train'",
        "            --lr 0.01",
        "cwd         src",
    ]


def test_origins_say_what_was_overridden() -> None:
    assert (
        screen(80, "origins")
        == """
batch = 128  (default)
layers = [64, 64]  (hydra conf/model.yaml)
optim.lr = 0.01  (command line -p optim.lr=0.01; overrode 0.1 from
    conf/train.yaml:12)
optim.warmup = 500
"""
    )


def test_several_sections_have_headings() -> None:
    assert (
        screen(80, "code", "packages")
        == """
code
  commit      4f2c1ab4f2c1ab4f2c1ab4f2c1ab4f2c1ababcde
  branch      main
  dirty       uncommitted changes

packages
  numpy==1.2
  torch==2.3
"""
    )


def test_the_output_is_whole_when_it_is_asked_for() -> None:
    assert screen(80, "output", utf8=False) == "\nepoch 1\n100%\nloss \\x1b[31m0.22\\x1b[0m \\ufffd\n"


def test_a_run_of_which_little_is_known_has_few_lines() -> None:
    run = Run(RunId("kkkkkkkkkkkkkkkk"), Status.RUNNING, NOW)
    assert render(run, Details(), before=None, terminal=Terminal(), directions={}, now=NOW) == (
        "run         kkkkkkkkkkkkkkkk\nstatus      running\nexperiment  default\nstarted     2026-11-23 12:00:00 +0000, 0s ago"
    )
