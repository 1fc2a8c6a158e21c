"""What simple-parsing resolved in the user's own program: its dataclasses, told once."""

import json

import pytest
from untouched import both

HEAD = """
import dataclasses, enum, json, sys
from dataclasses import dataclass, field
from typing import List, Optional
import simple_parsing
from simple_parsing import ArgumentParser, subgroups

class Kind(enum.Enum):
    SMALL = "small"
    BIG = "big"

@dataclass
class Optim:
    lr: float = 0.1
    betas: List[float] = field(default_factory=lambda: [0.9, 0.99])

@dataclass
class Config:
    size: int = 3
    amp: bool = False
    kind: Kind = Kind.SMALL
    seed: Optional[int] = None
    optim: Optim = field(default_factory=Optim)

def plain(config):
    return json.loads(json.dumps(dataclasses.asdict(config), default=lambda kind: kind.value))

def dump(values):
    json.dump(values, open("dump.json", "w"))
"""
PROGRAMS = {
    "one.py": """
config = simple_parsing.parse(Config, add_config_path_arg=True)
dump(plain(config))
if config.size == 13:
    raise ValueError("unlucky")
if config.size == 6:
    config.optim.lr = 9.0
""",
    "several.py": """
parser = ArgumentParser()
parser.add_arguments(Config, "config")
parser.add_argument("--name", default="a")
args = parser.parse_args()
dump({"config": plain(args.config), "name": args.name})
""",
    "known.py": """
parser = ArgumentParser()
parser.add_arguments(Optim, "optim")
args, rest = parser.parse_known_args()
dump({"optim": plain(args.optim)})
print(rest)
""",
    "groups.py": """
@dataclass
class Small:
    width: int = 8

@dataclass
class Big:
    depth: int = 50

@dataclass
class Choice:
    model: object = subgroups({"small": Small, "big": Big}, default="small")
    steps: int = 1

config = simple_parsing.parse(Choice)
dump({**plain(config), "subgroups": {"model": type(config.model).__name__.lower()}})
""",
    "function.py": """
@simple_parsing.main
def main(size: int, name: str = "a"):
    dump({"size": size, "name": name})
    if size == 13:
        raise ValueError("unlucky")

main()
""",
    "own.py": "print(simple_parsing.parse(Optim, args='--lr 3'))\n",
}


@pytest.fixture
def program(tmp_path):
    folder = tmp_path / "program"
    folder.mkdir()
    for name, text in PROGRAMS.items():
        (folder / name).write_text(HEAD + text)
    (folder / "conf.yaml").write_text("size: 5\noptim:\n  lr: 0.3\n")
    return folder


def dumped(program):
    return json.loads((program / "dump.json").read_text())


def test_the_dataclass_is_told_once_with_what_set_each_value(program):
    told = both("one.py", "--config_path", "conf.yaml", "--kind=BIG", "--betas", "0.5", "0.6", cwd=program)
    assert told.params == [dumped(program)]
    assert told.params == [
        {"size": 5, "amp": False, "kind": "big", "seed": None, "optim": {"lr": 0.3, "betas": [0.5, 0.6]}},
    ]
    message = told.told("params")[0]
    assert message["reporter"] == "simple_parsing"
    assert message["origins"] == {
        "size": ["file", "conf.yaml:1"],
        "amp": ["default", "one.py"],
        "kind": ["cli", "--kind"],
        "seed": ["default", "one.py"],
        "optim.lr": ["file", "conf.yaml:3"],
        "optim.betas": ["cli", "--betas"],
    }


def test_dataclasses_of_a_parser_stand_below_their_names(program):
    told = both("several.py", "--lr=0.5", "--name", "b", cwd=program)
    assert told.params == [dumped(program)]
    origins = told.told("params")[0]["origins"]
    assert {key: origins[key] for key in ("config.optim.lr", "config.size", "name")} == {
        "config.optim.lr": ["cli", "--lr"],
        "config.size": ["default", "several.py"],
        "name": ["cli", "--name"],
    }


@pytest.mark.parametrize(
    "words",
    [
        ["one.py"],
        ["one.py", "--size", "4", "--amp"],
        ["several.py"],
        ["known.py", "--lr=3", "--other", "x"],
        ["groups.py"],
        ["groups.py", "--model=big", "--depth", "3"],
        ["function.py", "--size", "3"],
    ],
)
def test_what_the_program_gets_is_told_once(program, words):
    told = both(*words, cwd=program)
    assert told.params == [dumped(program)]
    assert [message["reporter"] for message in told.told("params")] == ["simple_parsing"]


def test_the_choice_of_a_sub_group_has_the_option_that_made_it(program):
    told = both("groups.py", "--model=big", "--depth", "3", cwd=program)
    assert told.told("params")[0]["origins"] == {
        "model.depth": ["cli", "--depth"],
        "steps": ["default", "groups.py"],
        "subgroups.model": ["cli", "--model"],
    }


@pytest.mark.parametrize("words", [["one.py", "--size=13"], ["function.py", "--size=13"]])
def test_an_error_after_parsing_is_untouched(program, words):
    told = both(*words, cwd=program)
    assert (told.code, told.params) == (1, [dumped(program)])


def test_a_dataclass_that_changed_while_the_program_ran_has_drifted(program):
    told = both("one.py", "--size=6", cwd=program)
    assert [message["values"]["optim"]["lr"] for message in told.told("drift")] == [9.0]


@pytest.mark.parametrize("words", [["--help"], ["--size=x"], ["--nosuch=1"], ["left", "over"]])
def test_help_and_errors_of_the_parser_pass_through(program, words):
    assert both("one.py", *words, cwd=program).params == []


def test_parsing_words_of_its_own_is_not_told(program):
    assert both("own.py", cwd=program).params == []
