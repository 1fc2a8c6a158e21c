"""What tyro resolved in the user's own program, before its function was called."""

import json

import pytest
from untouched import both

HEAD = """
import dataclasses, enum, json, sys
from pathlib import Path
from typing import Dict, List, Optional, Tuple, TypedDict, Union
import tyro

def dump(**values):
    json.dump(values, open("dump.json", "w"))

@dataclasses.dataclass
class Adam:
    lr: float = 0.1
    betas: Tuple[float, float] = (0.9, 0.99)

@dataclasses.dataclass
class Sgd:
    lr: float = 0.2
    momentum: float = 0.0

class Kind(enum.Enum):
    SMALL = "small"
    BIG = "big"

@dataclasses.dataclass
class Config:
    data: Path
    batch_size: int = 8
    amp: bool = False
    shuffle: bool = True
    kind: Kind = Kind.SMALL
    seed: Optional[int] = None
    adam: Adam = dataclasses.field(default_factory=Adam)
    doubled: int = dataclasses.field(init=False)

    def __post_init__(self):
        self.doubled = 2 * self.batch_size
"""
PROGRAMS = {
    "config.py": """
config = tyro.cli(Config)
dump(**{**dataclasses.asdict(config), "data": str(config.data), "kind": config.kind.value})
config.seed = 7 if config.seed == 6 else config.seed
""",
    "function.py": """
def main(size: int, name: str = "a", *, adam: Adam = Adam()) -> None:
    dump(size=size, name=name, adam=dataclasses.asdict(adam))
    if size == 13:
        raise ValueError("unlucky")
    if size == 14:
        sys.exit(4)

tyro.cli(main)
""",
    "commands.py": """
def fit(lr: float = 0.1) -> None:
    dump(lr=lr, command="fit")
    if lr == 13:
        raise ValueError("unlucky")

def test(split: str = "val") -> None:
    dump(split=split, command="test")

tyro.extras.subcommand_cli_from_dict({"fit": fit, "test": test})
""",
    "union.py": """
made = tyro.cli(Union[Adam, Sgd])
dump(**dataclasses.asdict(made), command=type(made).__name__.lower())
""",
    "nested.py": """
@dataclasses.dataclass
class Train:
    steps: int = 1
    optim: Union[Adam, Sgd] = dataclasses.field(default_factory=Adam)

made = tyro.cli(Train)
dump(steps=made.steps, optim={**dataclasses.asdict(made.optim), "command": type(made.optim).__name__.lower()})
""",
    "mapping.py": """
class Options(TypedDict):
    lr: float
    layers: List[int]

dump(**tyro.cli(Options, default={"lr": 0.1, "layers": [1]}))
""",
    "prefixes.py": """
def main(adam: tyro.conf.OmitArgPrefixes[Adam], steps: tyro.conf.Positional[int] = 2) -> None:
    dump(adam=dataclasses.asdict(adam), steps=steps)

tyro.cli(main)
""",
    "own.py": "tyro.cli(Adam, args=['--lr', '3'])\n",
}


@pytest.fixture
def program(tmp_path):
    folder = tmp_path / "program"
    folder.mkdir()
    for name, text in PROGRAMS.items():
        (folder / name).write_text(HEAD + text)
    return folder


def dumped(program):
    return json.loads((program / "dump.json").read_text())


def test_the_object_is_told_as_it_was_made(program):
    words = ["--data", "here", "--batch_size=16", "--amp", "--no-shuffle", "--adam.betas", "0.5", "0.6"]
    told = both("config.py", *words, cwd=program)
    assert told.params == [dumped(program)]
    assert told.params == [
        {
            "data": "here",
            "batch_size": 16,
            "amp": True,
            "shuffle": False,
            "kind": "small",
            "seed": None,
            "adam": {"lr": 0.1, "betas": [0.5, 0.6]},
            "doubled": 32,
        }
    ]
    message = told.told("params")[0]
    assert message["reporter"] == "tyro"
    assert message["origins"] == {
        "data": ["cli", "--data"],
        "batch_size": ["cli", "--batch_size"],
        "amp": ["cli", "--amp"],
        "shuffle": ["cli", "--no-shuffle"],
        "kind": ["default", "config.py"],
        "seed": ["default", "config.py"],
        "adam.lr": ["default", "config.py"],
        "adam.betas": ["cli", "--adam.betas"],
        "doubled": ["default", "config.py"],
    }


def test_the_arguments_of_a_function_are_told_before_it_runs(program):
    told = both("function.py", "--size", "3", "--adam.lr", "0.5", cwd=program)
    assert told.params == [dumped(program)]
    assert told.told("params")[0]["origins"] == {
        "size": ["cli", "--size"],
        "name": ["default", "function.py"],
        "adam.lr": ["cli", "--adam.lr"],
        "adam.betas": ["default", "function.py"],
    }


@pytest.mark.parametrize(
    "words, code",
    [
        (["function.py", "--size", "13"], 1),
        (["function.py", "--size", "14"], 4),
        (["commands.py", "fit", "--lr", "13"], 1),
    ],
)
def test_how_a_function_ends_is_untouched(program, words, code):
    told = both(*words, cwd=program)
    assert (told.code, told.params) == (code, [dumped(program)])


@pytest.mark.parametrize(
    "words",
    [
        ["commands.py", "fit", "--lr", "0.5"],
        ["commands.py", "test"],
        ["union.py", "sgd", "--momentum", "0.5"],
        ["nested.py"],
        ["nested.py", "--steps", "4", "optim:sgd", "--optim.lr", "0.3"],
        ["mapping.py", "--lr", "0.5"],
        ["prefixes.py", "--lr", "0.5", "3"],
    ],
)
def test_sub_commands_unions_and_mappings_are_told_once(program, words):
    told = both(*words, cwd=program)
    assert told.params == [dumped(program)]


@pytest.mark.parametrize(
    "words, origins",
    [
        (["commands.py", "fit", "--lr", "1"], {"lr": ["cli", "--lr"], "command": ["cli", "fit"]}),
        (
            ["nested.py"],
            {
                "steps": ["default", "nested.py"],
                "optim.lr": ["default", "nested.py"],
                "optim.betas": ["default", "nested.py"],
                "optim.command": ["default", "nested.py"],
            },
        ),
        (
            ["nested.py", "optim:sgd", "--optim.lr", "3"],
            {
                "steps": ["default", "nested.py"],
                "optim.lr": ["cli", "--optim.lr"],
                "optim.momentum": ["default", "nested.py"],
                "optim.command": ["cli", "optim:sgd"],
            },
        ),
        (["mapping.py", "--lr", "0.5"], {"lr": ["cli", "--lr"], "layers": ["default", "mapping.py"]}),
        (
            ["prefixes.py", "--lr", "0.5", "3"],
            {"adam.lr": ["cli", "--lr"], "adam.betas": ["default", "prefixes.py"], "steps": ["cli", "steps"]},
        ),
    ],
)
def test_each_value_has_the_word_that_set_it(program, words, origins):
    assert both(*words, cwd=program).told("params")[0]["origins"] == origins


def test_an_object_that_changed_while_the_program_ran_has_drifted(program):
    told = both("config.py", "--data", "x", "--seed", "6", cwd=program)
    assert [message["values"]["seed"] for message in told.told("drift")] == [7]


@pytest.mark.parametrize("words", [["--help"], ["--size", "x"], ["--nosuch", "1"], []])
def test_help_and_errors_of_the_parser_pass_through(program, words):
    assert both("function.py", *words, cwd=program).params == []


def test_parsing_words_of_its_own_is_not_told(program):
    assert both("own.py", cwd=program).params == []
