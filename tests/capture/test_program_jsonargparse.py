"""What jsonargparse resolved in the user's own program: nested, typed, and told once."""

import json

import pytest
from untouched import both

TRAIN = """
import json, sys
from dataclasses import dataclass
from typing import List, Optional
from jsonargparse import ArgumentParser

class Optim:
    def __init__(self, lr: float = 0.1, betas: List[float] = [0.9, 0.99]):
        pass

class Adam(Optim):
    def __init__(self, eps: float = 1e-8, **kwargs):
        super().__init__(**kwargs)

@dataclass
class Data:
    path: str = "here"
    size: int = 3

parser = ArgumentParser(default_env=True, env_prefix="TRAIN", default_config_files=["defaults.yaml"])
parser.add_argument("--config", action="config")
parser.add_argument("--epochs", "-e", type=int, default=2)
parser.add_argument("--seed", type=Optional[int], default=None)
parser.add_argument("--verbose", action="store_true")
parser.add_class_arguments(Data, "data")
parser.add_subclass_arguments(Optim, "optim", default={"class_path": "Optim"})
cfg = parser.parse_args()
dump = json.loads(parser.dump(cfg, format="json", skip_none=False))
json.dump(dump, open("dump.json", "w"))
parser.instantiate_classes(cfg)
if cfg.seed == 1:
    raise RuntimeError("one")
if cfg.seed == 2:
    cfg.epochs = 99
"""
CLI = """
import json
from jsonargparse import CLI

def train(size: int, lr: float = 0.1, name: str = "a"):
    json.dump(dict(size=size, lr=lr, name=name), open("dump.json", "w"))
    if size == 13:
        raise RuntimeError("unlucky")

class Tool:
    def __init__(self, root: str = "."):
        self.root = root
    def fit(self, epochs: int = 1):
        print(self.root, epochs)
    def test(self, split: str = "val"):
        print(self.root, split)
"""


@pytest.fixture
def program(tmp_path):
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN)
    (folder / "cli.py").write_text(CLI + "\nCLI(train)\n")
    (folder / "tool.py").write_text(CLI + "\nCLI(Tool)\n")
    (folder / "both.py").write_text(CLI + "\nCLI([train, Tool])\n")
    (folder / "conf.yaml").write_text("epochs: 5\ndata:\n  path: there\n")
    return folder


def dumped(program):
    return json.loads((program / "dump.json").read_text())


def test_the_nested_config_is_told_once_with_what_set_each_value(program):
    words = ["--config", "conf.yaml", "--data.size=8", "--optim=Adam", "--optim.lr=0.5", "--verbose"]
    told = both("train.py", *words, cwd=program, env={"TRAIN_SEED": "4"})
    assert told.params == [dumped(program)]
    assert told.params == [
        {
            "epochs": 5,
            "seed": 4,
            "verbose": True,
            "data": {"path": "there", "size": 8},
            "optim": {"class_path": "__main__.Adam", "init_args": {"eps": 1e-8, "lr": 0.5, "betas": [0.9, 0.99]}},
        }
    ]
    message = told.told("params")[0]
    assert message["reporter"] == "jsonargparse"
    assert message["origins"] == {
        "epochs": ["file", "conf.yaml:1"],
        "seed": ["env", "TRAIN_SEED"],
        "verbose": ["cli", "--verbose"],
        "data.path": ["file", "conf.yaml:3"],
        "data.size": ["cli", "--data.size"],
        "optim.class_path": ["cli", "--optim"],
        "optim.init_args.eps": ["default", "train.py"],
        "optim.init_args.lr": ["cli", "--optim.lr"],
        "optim.init_args.betas": ["default", "train.py"],
    }


@pytest.mark.parametrize(
    "words, origin",
    [
        ([], ["file", "defaults.yaml:2"]),
        (["-e", "7"], ["cli", "--epochs"]),
        (["--config=conf.yaml", "--epochs=7"], ["cli", "--epochs"]),
        (["--epochs=7", "--config=conf.yaml"], ["file", "conf.yaml:1"]),
    ],
)
def test_the_last_that_set_a_value_is_its_origin(program, words, origin):
    (program / "defaults.yaml").write_text("# mine\nepochs: 4\n")
    told = both("train.py", *words, cwd=program)
    assert told.params == [dumped(program)]
    assert told.told("params")[0]["origins"]["epochs"] == origin


def test_a_mapping_given_in_one_word_sets_all_of_it(program):
    told = both("train.py", '--optim={"class_path": "Adam", "init_args": {"eps": 0.5}}', cwd=program)
    assert told.params == [dumped(program)]
    assert told.told("params")[0]["origins"]["optim.init_args.eps"] == ["cli", "--optim"]


def test_a_part_that_has_a_file_of_its_own_names_it(program):
    (program / "data.yaml").write_text("size: 4\n")
    told = both("train.py", "--data=data.yaml", cwd=program)
    assert told.params == [dumped(program)]
    assert told.told("params")[0]["origins"]["data.size"] == ["file", "data.yaml:1"]


def test_without_words_the_defaults_are_told(program):
    told = both("train.py", cwd=program)
    assert told.params == [dumped(program)]
    assert {source for source, _ in told.told("params")[0]["origins"].values()} == {"default"}


def test_the_call_of_a_function_is_told_before_it_runs(program):
    told = both("cli.py", "13", "--lr=0.2", cwd=program)
    assert (told.code, told.params) == (1, [dumped(program)])
    assert told.told("params")[0]["origins"] == {
        "size": ["cli", "size"],
        "lr": ["cli", "--lr"],
        "name": ["default", "cli.py"],
    }


def test_a_method_of_a_class_is_a_sub_command(program):
    told = both("tool.py", "--root=/data", "fit", "--epochs=3", cwd=program)
    assert told.params == [{"root": "/data", "subcommand": "fit", "fit": {"epochs": 3}}]
    assert told.told("params")[0]["origins"] == {
        "root": ["cli", "--root"],
        "subcommand": ["cli", "subcommand"],
        "fit.epochs": ["cli", "--epochs"],
    }


def test_sub_commands_nest(program):
    told = both("both.py", "Tool", "--root=/data", "test", cwd=program)
    assert told.params == [{"subcommand": "Tool", "Tool": {"root": "/data", "subcommand": "test", "test": {"split": "val"}}}]
    assert told.told("params")[0]["origins"]["Tool.test.split"] == ["default", "both.py"]


def test_a_config_that_changed_while_the_program_ran_has_drifted(program):
    told = both("train.py", "--seed=2", cwd=program)
    assert told.params[0]["epochs"] == 2
    assert [message["values"]["epochs"] for message in told.told("drift")] == [99]


@pytest.mark.parametrize("words", [["--help"], ["--epochs=x"], ["--nosuch=1"], ["--config=none.yaml"], ["--print_config"]])
def test_help_and_errors_of_the_parser_pass_through(program, words):
    assert both("train.py", *words, cwd=program).params == []


def test_an_error_after_parsing_is_untouched(program):
    told = both("train.py", "--seed=1", cwd=program)
    assert (told.code, told.params[0]["seed"]) == (1, 1)


def test_parsing_words_of_its_own_is_not_told(program):
    (program / "own.py").write_text(
        "from jsonargparse import ArgumentParser\nparser = ArgumentParser()\nparser.add_argument('--n', type=int)\n"
        "print(parser.parse_args(['--n=3']))\n"
    )
    assert both("own.py", cwd=program).params == []


def test_a_secret_is_replaced_before_it_is_written(program):
    (program / "own.py").write_text(
        "from jsonargparse import ArgumentParser\nparser = ArgumentParser()\nparser.add_argument('--db.password')\n"
        "print(parser.parse_args().db.password)\n"
    )
    assert both("own.py", "--db.password=hunter2", cwd=program).params == [{"db": {"password": "<redacted>"}}]
