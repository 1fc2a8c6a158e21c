"""The constants of the user's main program, where gitparams.yaml asks for them."""

import json

import pytest
from launch import python
from untouched import both

TRAIN = """
import json, math, os, sys
from pathlib import Path
from typing import TYPE_CHECKING

LR = 0.1
BATCH_SIZE = 32
LAYERS = [64, 64]
DATA = Path("data")
CLASSES = {"cat", "dog"}
NAME = None
_HIDDEN = 1
SQUARE = lambda x: x * x
FILE = open(os.devnull)
MATH = math
TEXT = "x" * 20_000
MANY = list(range(5_000))
LOOP = []
LOOP.append(LOOP)
CONFIG = {"depth": 3, "optim": {"name": "sgd"}}
lower = 7

for word in sys.argv[1:]:
    name, _, value = word.lstrip("-").partition("=")
    if name in globals():
        globals()[name] = type(globals()[name])(value)

if lower == 8:
    raise RuntimeError("eight")
if lower == 9:
    sys.exit(3)
"""
VALUES = {
    "LR": 0.1,
    "BATCH_SIZE": 32,
    "LAYERS": [64, 64],
    "DATA": "data",
    "CLASSES": ["cat", "dog"],
    "NAME": None,
    "depth": 3,
    "optim": {"name": "sgd"},
}
NANO = """
learning_rate = 6e-4
eval_only = False
wandb_project = 'owt'
betas = (0.9, 0.95)
config_keys = [k for k, v in globals().items() if not k.startswith('_') and isinstance(v, (int, float, bool, str))]
exec(open('configurator.py').read())
config = {k: globals()[k] for k in config_keys}
import json
json.dump(config, open("dump.json", "w"))
"""
CONFIGURATOR = """
import sys
from ast import literal_eval
for arg in sys.argv[1:]:
    if '=' not in arg:
        exec(open(arg).read())
    else:
        key, val = arg.split('=')
        globals()[key[2:]] = literal_eval(val)
"""


@pytest.fixture
def program(tmp_path):
    folder = tmp_path / "program"
    (folder / "package").mkdir(parents=True)
    (folder / "train.py").write_text(TRAIN)
    (folder / "package" / "__init__.py").write_text("")
    (folder / "package" / "train.py").write_text(TRAIN)
    (folder / "nano.py").write_text(NANO)
    (folder / "configurator.py").write_text(CONFIGURATOR)
    (folder / "small.py").write_text("learning_rate = 1e-3\n")
    return folder


def test_constants_in_capitals_and_the_config_are_told_as_they_are_in_the_end(program):
    told = both("train.py", "--LR=0.5", cwd=program, how={"globals": True})
    assert told.params == [{**VALUES, "LR": 0.5}]
    message = told.told("params")[0]
    assert (message["reporter"], message["program"]) == ("globals", str(program / "train.py"))
    assert {key: message["origins"][key] for key in ("LR", "BATCH_SIZE", "depth")} == {
        "LR": ["cli", "--LR"],
        "BATCH_SIZE": ["code", "train.py"],
        "depth": ["code", "train.py"],
    }


@pytest.mark.parametrize(
    "words",
    [
        ["train.py"],
        ["-m", "package.train"],
        ["-O", "train.py"],
    ],
)
def test_constants_are_told_however_the_program_is_started(program, words):
    told = both(*words, cwd=program, how={"globals": True})
    assert told.params == [VALUES]


@pytest.mark.parametrize("word, code", [("--lower=7", 0), ("--lower=8", 1), ("--lower=9", 3)])
def test_below_a_profiler_the_constants_are_the_programs(program, word, code):
    told = python("-m", "cProfile", "-o", "profile.out", "train.py", word, cwd=program, how={"globals": True})
    assert told.params == [VALUES]
    assert told.code == (0 if code == 3 else code)


@pytest.mark.parametrize("lower, code", [(8, 1), (9, 3)])
def test_a_program_that_ends_early_still_tells_its_constants(program, lower, code):
    told = both("train.py", f"--lower={lower}", cwd=program, how={"globals": ["lower", "BATCH*"]})
    assert (told.code, told.params) == (code, [{"lower": lower, "BATCH_SIZE": 32}])


def test_globs_name_constants_that_a_script_reads_by_itself(program):
    told = both(
        "nano.py", "small.py", "--eval_only=True", cwd=program, how={"globals": ["*_rate", "eval*", "betas", "wandb_*"]}
    )
    dumped = json.loads((program / "dump.json").read_text())
    assert told.params == [{**dumped, "betas": [0.9, 0.95]}]
    assert told.params == [{"learning_rate": 1e-3, "eval_only": True, "wandb_project": "owt", "betas": [0.9, 0.95]}]
    assert told.told("params")[0]["origins"]["eval_only"] == ["cli", "--eval_only"]


def test_all_plain_names_can_be_asked_for(program):
    told = both("nano.py", cwd=program, how={"globals": ["*"]})
    assert told.params[0].keys() == {"learning_rate", "eval_only", "wandb_project", "betas", "config_keys", "config"}


def test_models_and_data_are_no_constants(program):
    (program / "big.py").write_text(
        "import numpy as np, torch\nMODEL = torch.nn.Linear(2, 2)\nX = np.zeros((3, 3))\nNET = {'model': MODEL}\nLR = 0.5\n"
    )
    assert both("big.py", cwd=program, how={"globals": True}).params == [{"LR": 0.5}]


def test_secrets_among_constants_are_replaced(program):
    (program / "login.py").write_text("API_KEY = 'hunter2'\nUSER = 'ada'\n")
    assert both("login.py", cwd=program, how={"globals": True}).params == [{"API_KEY": "<redacted>", "USER": "ada"}]


@pytest.mark.parametrize("how", [{}, {"globals": False}, {"globals": True, "off": ["globals"]}])
def test_constants_nobody_asked_for_are_not_told(program, how):
    assert both("train.py", cwd=program, how=how).params == []


def test_tools_have_no_constants_of_the_programs(program):
    assert both("-m", "json.tool", "--help", cwd=program, how={"globals": True}).params == []


def test_constants_come_after_what_a_parser_told(program):
    (program / "parses.py").write_text(
        "import argparse\nLR = 0.1\nparser = argparse.ArgumentParser()\nparser.add_argument('--n', type=int, default=1)\n"
        "parser.parse_args()\n"
    )
    told = both("parses.py", "--n=2", cwd=program, how={"globals": True})
    assert [message["reporter"] for message in told.told("params")] == ["argparse", "globals"]
