"""What pydantic-settings resolved in the user's own program, and which source it took each value from."""

import json

import pytest
from untouched import both

HEAD = """
import json, sys
from enum import Enum
from typing import List, Optional
from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

class Kind(Enum):
    SMALL = "small"
    BIG = "big"

class Optim(BaseModel):
    lr: float = 0.1
    betas: List[float] = [0.9, 0.99]

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="TRAIN_", env_nested_delimiter="__", env_file=".env", extra="ignore")
    size: int = 3
    kind: Kind = Kind.SMALL
    seed: Optional[int] = None
    width: int = Field(default=8, validation_alias="NET_WIDTH")
    optim: Optim = Optim()

    @field_validator("size")
    @classmethod
    def is_lucky(cls, size):
        if size == 13:
            raise ValueError("unlucky")
        return size

def dump(settings):
    json.dump(settings.model_dump(mode="json"), open("dump.json", "w"))
"""
PROGRAMS = {
    "env.py": """
settings = Settings(seed=5)
dump(settings)
if settings.size == 6:
    settings.size = 66
if settings.size == 7:
    raise RuntimeError("seven")
""",
    "cli.py": """
class Cli(Settings, cli_parse_args=True, cli_prog_name="train"):
    pass

dump(Cli())
""",
    "app.py": """
class Train(BaseModel):
    lr: float = 0.1
    deep_net: bool = False

    def cli_cmd(self):
        dump(self)
        if self.lr == 13:
            raise RuntimeError("unlucky")

CliApp.run(Train)
""",
    "secret.py": """
class Login(BaseSettings):
    user: str = "ada"
    pin: SecretStr = SecretStr("1234")
    api_key: str = ""

print(Login().user)
""",
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


def test_settings_are_told_with_the_source_of_each_value(program):
    (program / ".env").write_text("TRAIN_KIND=big\nTRAIN_SIZE=9\n")
    told = both("env.py", cwd=program, env={"TRAIN_SIZE": "4", "TRAIN_OPTIM__LR": "0.5", "NET_WIDTH": "16"})
    assert told.params == [dumped(program)]
    assert told.params == [
        {"size": 4, "kind": "big", "seed": 5, "width": 16, "optim": {"lr": 0.5, "betas": [0.9, 0.99]}},
    ]
    message = told.told("params")[0]
    assert message["reporter"] == "pydantic_settings"
    assert message["origins"] == {
        "size": ["env", "TRAIN_SIZE"],
        "kind": ["file", ".env"],
        "seed": ["code", "Settings"],
        "width": ["env", "NET_WIDTH"],
        "optim.lr": ["env", "TRAIN_OPTIM__LR"],
        "optim.betas": ["default", "Settings"],
    }


def test_settings_of_the_command_line_are_told_once(program):
    words = ["--size", "4", "--optim.lr=0.5", "--kind", "big"]
    told = both("cli.py", *words, cwd=program, env={"TRAIN_SEED": "1"})
    assert told.params == [dumped(program)]
    assert told.told("params")[0]["origins"] == {
        "size": ["cli", "--size"],
        "kind": ["cli", "--kind"],
        "seed": ["env", "TRAIN_SEED"],
        "width": ["default", "Cli"],
        "optim.lr": ["cli", "--optim.lr"],
        "optim.betas": ["default", "Cli"],
    }


def test_a_model_that_is_run_as_an_application_is_told_before_its_command(program):
    told = both("app.py", "--lr=13", "--deep-net", cwd=program)
    assert (told.code, told.params) == (1, [dumped(program)])
    assert told.told("params")[0]["origins"] == {"lr": ["cli", "--lr"], "deep_net": ["cli", "--deep-net"]}


def test_secrets_are_masked_before_they_are_written(program):
    told = both("secret.py", cwd=program, env={"API_KEY": "hunter2", "PIN": "9876"})
    assert told.params == [{"user": "ada", "pin": "**********", "api_key": "<redacted>"}]


def test_settings_of_a_library_are_not_told(program):
    library = program / "site-packages" / "library"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text(
        "from pydantic_settings import BaseSettings\nclass Own(BaseSettings):\n    n: int = 1\nown = Own()\n"
    )
    (program / "uses.py").write_text("import sys\nsys.path.append('site-packages')\nimport library\nprint(library.Own().n)\n")
    assert both("uses.py", cwd=program).params == []


def test_settings_that_changed_while_the_program_ran_have_drifted(program):
    told = both("env.py", cwd=program, env={"TRAIN_SIZE": "6"})
    assert [message["values"]["size"] for message in told.told("drift")] == [66]


def test_an_error_after_the_settings_were_made_is_untouched(program):
    told = both("env.py", cwd=program, env={"TRAIN_SIZE": "7"})
    assert (told.code, told.params) == (1, [dumped(program)])


@pytest.mark.parametrize("words", [["--help"], ["--nosuch=1"]])
def test_help_and_errors_of_the_parser_pass_through(program, words):
    assert both("cli.py", *words, cwd=program).params == []


def test_settings_that_are_refused_fail_as_ever(program):
    (program / "caught.py").write_text(HEAD + "try:\n    Settings()\nexcept ValueError as error:\n    sys.exit(str(error))\n")
    told = both("caught.py", cwd=program, env={"TRAIN_SIZE": "13"})
    assert (told.code, told.params) == (1, [])
