"""What Hydra composed in the user's own program, and the jobs of a multirun as runs of their own."""

import json

import pytest
from launch import RUN
from untouched import both

from gitparams.journal import Journal
from gitparams.model import Status

TRAIN = """
import json, os, sys
from pathlib import Path
import hydra
from omegaconf import OmegaConf

HERE = Path(__file__).resolve().parent

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    seen = OmegaConf.to_container(cfg, resolve=True)
    dump = {"cfg": seen, "run": os.environ.get("GITPARAMS_RUN")}
    (HERE / "dump-{}.json".format(cfg.lr)).write_text(json.dumps(dump))
    if cfg.end == "raise":
        raise ValueError("no such luck")
    if cfg.end == "exit":
        sys.exit(3)
    if cfg.end == "kill":
        os.kill(os.getpid(), 9)
    if cfg.end == "drift":
        cfg.lr = 99

if __name__ == "__main__":
    main()
"""
CONFIG = """\
defaults:
  - optim: sgd
  - _self_
  - optional exp: null

lr: 0.1
end: well
sizes: [64, 64]
half: ${lr}
out: ${hydra:job.name}
"""


@pytest.fixture
def program(tmp_path):
    folder = tmp_path / "program"
    files = {
        "train.py": TRAIN,
        "conf/config.yaml": CONFIG,
        "conf/optim/sgd.yaml": "name: sgd\nmomentum: 0.9\n",
        "conf/optim/adam.yaml": "name: adam\nbetas: [0.9, 0.999]\n",
        "conf/exp/big.yaml": "# @package _global_\nsizes: [512]\noptim:\n  momentum: 0.5\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def dumped(program, lr="0.1"):
    return json.loads((program / f"dump-{lr}.json").read_text())["cfg"]


def test_the_composed_config_is_told_as_the_task_sees_it(program):
    told = both("train.py", cwd=program)
    assert told.params == [dumped(program)]
    assert told.params == [
        {
            "optim": {"name": "sgd", "momentum": 0.9},
            "lr": 0.1,
            "end": "well",
            "sizes": [64, 64],
            "half": 0.1,
            "out": "train",
        }
    ]
    message = told.told("params")[0]
    assert (message["reporter"], message["program"], message["run"]) == ("hydra", str(program / "train.py"), None)


def test_each_value_has_the_override_or_the_line_that_it_came_from(program):
    told = both("train.py", "optim=adam", "lr=0.2", "+new.key=1", cwd=program)
    assert told.params == [dumped(program, "0.2")]
    assert told.told("params")[0]["origins"] == {
        "optim.name": ["file", "conf/optim/adam.yaml:1"],
        "optim.betas": ["file", "conf/optim/adam.yaml:2"],
        "lr": ["cli", "lr=0.2"],
        "end": ["file", "conf/config.yaml:7"],
        "sizes": ["file", "conf/config.yaml:8"],
        "half": ["file", "conf/config.yaml:9"],
        "out": ["file", "conf/config.yaml:10"],
        "new.key": ["cli", "+new.key=1"],
    }


def test_a_file_with_a_package_of_its_own_is_named_for_what_it_sets(program):
    told = both("train.py", "exp=big", cwd=program)
    assert told.params == [dumped(program)]
    origins = told.told("params")[0]["origins"]
    assert {key: origins[key] for key in ("optim.name", "optim.momentum", "sizes", "lr")} == {
        "optim.name": ["file", "conf/optim/sgd.yaml:1"],
        "optim.momentum": ["file", "conf/exp/big.yaml:4"],
        "sizes": ["file", "conf/exp/big.yaml:2"],
        "lr": ["file", "conf/config.yaml:6"],
    }


def test_overrides_choices_and_the_folder_of_the_output_are_told(program):
    told = both("train.py", "optim=adam", "lr=0.2", "hydra.run.dir=out", cwd=program)
    assert told.told("params")[0]["hydra"] == {
        "overrides": ["optim=adam", "lr=0.2"],
        "choices": {"optim": "adam", "exp": None},
        "output_dir": str(program / "out"),
        "config_name": "config",
        "job": {"name": "train", "num": None},
    }


def test_a_job_that_stands_in_its_output_folder_is_still_the_same_program(program):
    told = both("train.py", "hydra.job.chdir=true", "hydra.run.dir=out", cwd=program)
    assert told.told("params")[0]["program"] == str(program / "train.py")
    assert told.told("params")[0]["origins"]["lr"] == ["file", "conf/config.yaml:6"]


def test_secrets_in_overrides_are_replaced_before_they_are_written(program):
    told = both("train.py", "+db.password=hunter2", "+db={user: ada}", cwd=program)
    assert told.params[0]["db"] == {"password": "<redacted>", "user": "ada"}
    assert "hunter2" not in json.dumps([message for message in told.messages if message["kind"] != "hello"])


def test_a_config_that_the_job_changed_has_drifted(program):
    told = both("train.py", "end=drift", cwd=program)
    assert told.params[0]["lr"] == 0.1
    assert [message["values"]["lr"] for message in told.told("drift")] == [99]


@pytest.mark.parametrize("end, code", [("raise", 1), ("exit", 3)])
def test_how_a_job_ends_is_untouched(program, end, code):
    told = both("train.py", "end=" + end, cwd=program)
    assert (told.code, told.params) == (code, [dumped(program)])


def test_a_full_traceback_is_the_same_too(program):
    told = both("train.py", "end=raise", cwd=program, env={"HYDRA_FULL_ERROR": "1"})
    assert (told.code, len(told.params)) == (1, 1)


@pytest.mark.parametrize(
    "words", [["nosuch=1"], ["optim=nosuch"], ["lr="], ["--help"], ["--cfg", "job"], ["--nosuch"], ["lr=[1"]]
)
def test_help_and_errors_of_hydra_pass_through(program, words):
    told = both("train.py", *words, cwd=program)
    assert told.params == ([{**dumped(program, "")}] if words == ["lr="] else [])


def test_a_program_without_a_config_has_what_its_overrides_add(program):
    (program / "bare.py").write_text(
        "import hydra\n@hydra.main(version_base=None, config_path=None)\ndef main(cfg):\n    print(cfg)\nmain()\n"
    )
    assert both("bare.py", "+a.b=1", "+c=[x,null]", cwd=program).params == [{"a": {"b": 1}, "c": ["x", None]}]


def test_a_config_in_the_code_is_told_with_its_enums_and_missing_values(program):
    (program / "bare.py").write_text(
        """
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

class Kind(Enum):
    SMALL = 1
    BIG = 2

@dataclass
class Net:
    width: int = 8
    kind: Kind = Kind.SMALL

@dataclass
class Config:
    defaults: list = field(default_factory=lambda: ["_self_", {"net": "plain"}])
    net: Net = MISSING
    where: Path = Path("data")
    steps: int = MISSING
    twice: int = "${double:${net.width}}"
    home: str = "${oc.env:NO_SUCH_VARIABLE}"

OmegaConf.register_new_resolver("double", lambda number: 2 * number)
store = ConfigStore.instance()
store.store(name="config", node=Config)
store.store(group="net", name="plain", node=Net)

@hydra.main(version_base=None, config_name="config")
def main(cfg):
    print(type(cfg.net.kind), cfg.twice, OmegaConf.is_missing(cfg, "steps"))

main()
"""
    )
    told = both("bare.py", "net.kind=BIG", cwd=program)
    assert told.params == [
        {
            "net": {"width": 8, "kind": "BIG"},
            "where": "data",
            "steps": "???",
            "twice": 16,
            "home": "${oc.env:NO_SUCH_VARIABLE}",
        }
    ]
    assert told.told("params")[0]["origins"] == {
        "net.width": ["default", "net=plain"],
        "net.kind": ["cli", "net.kind=BIG"],
        "where": ["default", "config"],
        "steps": ["default", "config"],
        "twice": ["default", "config"],
        "home": ["default", "config"],
    }


def test_callbacks_of_the_users_own_go_on_as_ever(program):
    (program / "mine.py").write_text(
        """
from hydra.experimental.callback import Callback

class Mine(Callback):
    def on_job_start(self, config, **kwargs):
        print("start", config.lr)
    def on_job_end(self, config, job_return, **kwargs):
        print("end", job_return.status.name)
        raise RuntimeError("a callback that fails")
"""
    )
    told = both("train.py", "+hydra.callbacks.mine._target_=mine.Mine", cwd=program)
    assert (told.out, told.params) == ("start 0.1\nend COMPLETED\n", [dumped(program)])
    assert "a callback that fails" in told.err


# -- multirun -------------------------------------------------------------------------------------------------------------


def children(told):
    """Return what the journals beside the outer run's tell, by the value of lr that their job was given."""
    values = {message["run"]: message["values"]["lr"] for message in told.told("params")}
    journals = [Journal(folder) for folder in told.live.iterdir() if folder.name != RUN]
    return {values[journal.id]: (journal, journal.read()) for journal in journals}


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_each_job_of_a_multirun_is_a_run_of_its_own(program, launcher):
    told = both("train.py", "-m", "lr=1,2,3", "hydra/launcher=" + launcher, cwd=program)
    jobs = children(told)
    assert {lr: (state.ending.status, state.ending.exit_code) for lr, (_, state) in jobs.items()} == {
        1: (Status.COMPLETED, 0),
        2: (Status.COMPLETED, 0),
        3: (Status.COMPLETED, 0),
    }
    assert {state.run.parent for _, state in jobs.values()} == {RUN}
    assert [message["program"] for message in told.told("params")] == [str(program / "train.py")] * 3
    assert sorted(told.params, key=lambda values: values["lr"]) == [dumped(program, lr) for lr in (1, 2, 3)]
    assert {lr: json.loads((program / f"dump-{lr}.json").read_text())["run"] for lr in jobs} == {
        lr: journal.id for lr, (journal, _) in jobs.items()
    }
    assert sorted(message["hydra"]["job"]["num"] for message in told.told("params")) == [0, 1, 2]
    assert not any(journal.alive() for journal, _ in jobs.values())
    assert told.told("child", event="begin", run=jobs[1][0].id) and told.told("child", event="end", run=jobs[1][0].id)


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_job_that_raises_fails_alone(program, launcher):
    told = both("train.py", "-m", "end=well,raise,drift", "hydra/launcher=" + launcher, cwd=program)
    ended = {message["values"]["end"]: Journal(told.live / message["run"]).read().ending for message in told.told("params")}
    assert told.code == 1
    assert {end: (ending.status, ending.exit_code) for end, ending in ended.items()} == {
        "well": (Status.COMPLETED, 0),
        "raise": (Status.FAILED, 1),
        "drift": (Status.COMPLETED, 0),
    }
    drifted = {message["run"] for message in told.told("drift")}
    assert [message["values"]["end"] for message in told.told("params") if message["run"] in drifted] == ["drift"]


@pytest.mark.parametrize("end, code", [("exit", 3), ("kill", -9)])
def test_a_job_that_never_came_back_is_left_to_the_outer_run(program, end, code):
    told = both("train.py", "-m", "end=well," + end, cwd=program)
    states = {message["values"]["end"]: Journal(told.live / message["run"]) for message in told.told("params")}
    assert told.code == code
    assert (states["well"].read().ending.status, states[end].read().ending) == (Status.COMPLETED, None)
    assert not states[end].alive()


def test_a_fork_of_a_job_neither_keeps_nor_ends_its_run(program):
    (program / "fork.py").write_text(
        """
import os, time
import hydra

@hydra.main(version_base=None, config_path=None)
def main(cfg):
    if os.fork() == 0:
        if cfg.stay:
            os.close(1); os.close(2)
            time.sleep(20)
            os._exit(0)
    else:
        if cfg.stay:
            os._exit(5)
        os.wait()

main()
"""
    )
    told = both("fork.py", "-m", "+stay=false", cwd=program)
    assert [message["event"] for message in told.told("child")] == ["begin", "end"]
    told = both("fork.py", "-m", "+stay=true", cwd=program)
    assert told.code == 5
    assert not Journal(told.live / told.told("params")[-1]["run"]).alive()
    assert Journal(told.live / told.told("params")[-1]["run"]).read().ending is None


def test_the_outer_run_is_the_run_again_after_its_jobs(program):
    (program / "after.py").write_text(
        TRAIN.replace(
            "    main()\n", f"    main()\n    print(os.environ.get('GITPARAMS_RUN', 'none').replace('{RUN}', 'none'))\n"
        )
    )
    assert both("after.py", "-m", "lr=1,2", cwd=program).out.endswith("none\n")
