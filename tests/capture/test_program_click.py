"""What is told of a program that reads its command line with click, or with Typer."""

import sys

import pytest
from launch import python, script, without

COMMANDS = """
    import click, json

    @click.group(chain=CHAIN, invoke_without_command=True)
    @click.option("--verbose/--quiet", default=False)
    @click.option("--seed", type=int, default=3, envvar=["TRAIN_SEED", "SEED"])
    @click.version_option("1.0")
    def cli(verbose, seed):
        print(json.dumps({"verbose": verbose, "seed": seed}))

    @cli.command()
    @click.option("--verbose", is_flag=True)
    @click.option("-l", "--lr", "rate", type=float, default=0.1)
    @click.argument("data", nargs=-1)
    def fit(**params):
        print(json.dumps(params))
        if params["rate"] == 13:
            raise RuntimeError("diverged")

    @cli.command()
    @click.option("--size", type=int, default=1)
    def prep(**params):
        print(json.dumps(params))

    @cli.group()
    @click.option("--dsn", default="sqlite")
    def db(dsn): ...

    @db.command()
    @click.option("--dsn", default="other")
    def migrate(dsn): ...

    cli(auto_envvar_prefix="APP")
"""


def commands(folder, chain=False):
    above = "click" if chain else "cli"  # a group that chains its commands may have no group among them
    return script(folder, "train.py", COMMANDS.replace("CHAIN", str(chain)).replace("@cli.group()", f"@{above}.group()"))


def test_a_groups_and_a_commands_values_stand_at_the_top_and_what_clashes_below_the_command(tmp_path):
    run = python(commands(tmp_path), "--verbose", "fit", "--lr", "2", "a", "b", cwd=tmp_path)
    assert run.dumped == [{"verbose": True, "seed": 3}, {"rate": 2.0, "data": ["a", "b"], "verbose": False}]
    assert run.params == [
        {"verbose": True, "seed": 3},
        {"rate": 2.0, "data": ["a", "b"], "fit": {"verbose": False}, "command": "fit"},
    ]
    assert run.origins == [
        {"verbose": ("cli", "--verbose"), "seed": ("default", "train.py")},
        {
            "rate": ("cli", "--lr"),
            "data": ("cli", "data"),
            "fit.verbose": ("default", "train.py fit"),
            "command": ("cli", "command"),
        },
    ]


def test_a_command_without_words_belongs_to_the_command_line_of_its_group(tmp_path):
    run = python(commands(tmp_path), "--seed", "4", "prep", cwd=tmp_path)
    assert [(message["values"], message["weak"]) for message in run.told("params")] == [
        ({"verbose": False, "seed": 4}, False),
        ({"size": 1, "command": "prep"}, False),
    ]


def test_no_words_at_all_are_the_programs_command_line(tmp_path):
    run = python(commands(tmp_path), cwd=tmp_path)
    assert [(message["values"], message["weak"]) for message in run.told("params")] == [({"verbose": False, "seed": 3}, False)]


def test_groups_in_groups_are_one_command(tmp_path):
    run = python(commands(tmp_path), "db", "--dsn", "pg", "migrate", cwd=tmp_path)
    assert run.params == [
        {"verbose": False, "seed": 3},
        {"dsn": "pg"},
        {"migrate": {"dsn": "other"}, "command": "db migrate"},
    ]


def test_commands_of_a_chain_are_all_named(tmp_path):
    run = python(commands(tmp_path, chain=True), "prep", "--size", "2", "fit", "--lr", "3", cwd=tmp_path)
    assert run.params == [
        {"verbose": False, "seed": 3},
        {"size": 2, "command": "prep"},
        {"rate": 3.0, "data": [], "fit": {"verbose": False}, "command": "prep fit"},
    ]


@pytest.mark.parametrize(
    ("variable", "path"), [("TRAIN_SEED", "seed"), ("SEED", "seed"), ("APP_VERBOSE", "verbose"), ("APP_PREP_SIZE", "size")]
)
def test_a_variable_is_named_by_its_own_name(tmp_path, variable, path):
    run = python(commands(tmp_path), "prep", cwd=tmp_path, env={variable: "1"})
    assert {**run.origins[0], **run.origins[1]}[path] == ("env", variable)


@pytest.mark.parametrize(
    "words",
    [["fit"], ["fit", "--lr", "13"], ["fit", "--lr", "x"], ["--help"], ["fit", "--help"], ["--version"], ["nothing"], ["--no"]],
    ids=" ".join,
)
def test_a_program_ends_as_it_would_without_us(tmp_path, words):
    commands(tmp_path)
    run = python("train.py", *words, cwd=tmp_path)
    assert run.seen == without(sys.executable, "train.py", *words, cwd=tmp_path)
    assert run.told("fault") == []


def test_without_standalone_mode_the_result_comes_back(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import click, json

        @click.command(context_settings={"default_map": {"seed": 9}})
        @click.option("--lr", type=float, prompt=True)
        @click.option("--seed", type=int)
        @click.option("--epochs", type=int, default=lambda: 3)
        @click.option("--where", type=click.Path(), callback=lambda context, param, value: value or "runs")
        @click.option("--debug", is_flag=True, expose_value=False)
        def fit(**params):
            return params

        print(json.dumps(fit(standalone_mode=False)))
        """,
    )
    run = python("train.py", cwd=tmp_path, stdin="0.5\n")
    assert run.params == [{"lr": 0.5, "seed": 9, "epochs": 3, "where": "runs"}]
    assert run.out.endswith('{"lr": 0.5, "seed": 9, "epochs": 3, "where": "runs"}\n')
    assert run.origins == [
        {
            "lr": ("prompt", "--lr"),
            "seed": ("default", "default_map"),
            "epochs": ("default", "train.py"),
            "where": ("default", "train.py"),
        }
    ]


def test_words_that_a_test_gives_are_not_the_command_line(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import click
        from click.testing import CliRunner

        @click.group()
        def cli(): ...

        @cli.command()
        @click.option("--lr", type=float)
        def fit(lr):
            print("fitted", lr)

        print(CliRunner().invoke(cli, ["fit", "--lr", "3"]).output)
        """,
    )
    run = python("train.py", "other", cwd=tmp_path)
    assert (run.out, run.params) == ("fitted 3.0\n\n", [])


TYPER = """
    import enum, json, pathlib, typing
    import typer

    app = typer.Typer()

    class Optimizer(str, enum.Enum):
        sgd = "sgd"
        adam = "adam"

    @app.command()
    def fit(
        data: pathlib.Path,
        lr: float = 0.1,
        optimizer: Optimizer = Optimizer.sgd,
        epochs: typing.Annotated[int, typer.Option("--epochs", "-e", envvar="EPOCHS")] = 3,
        tags: typing.List[str] = [],
        size: typing.Tuple[int, int] = (1, 2),
        amp: bool = False,
        name: typing.Optional[str] = None,
    ):
        print(json.dumps(locals(), default=str))
    MORE

    if __name__ == "__main__":
        app()
"""


def test_typer_is_told_with_the_click_it_brings_along(tmp_path):
    script(tmp_path, "train.py", TYPER.replace("MORE", ""))
    words = ["train.py", "d", "--optimizer", "adam", "--size", "3", "4", "--tags", "a", "--tags", "b", "--amp"]
    run = python(*words, cwd=tmp_path, env={"EPOCHS": "7"})
    assert run.params == run.dumped
    assert run.origins == [
        {
            "data": ("cli", "data"),
            "lr": ("default", "train.py"),
            "optimizer": ("cli", "--optimizer"),
            "epochs": ("env", "EPOCHS"),
            "tags": ("cli", "--tags"),
            "size": ("cli", "--size"),
            "amp": ("cli", "--amp"),
            "name": ("default", "train.py"),
        }
    ]


@pytest.mark.parametrize(
    "words", [["fit", "d", "-e", "5"], ["fit"], ["--help"], ["fit", "--help"], ["fit", "d", "--lr", "x"]], ids=" ".join
)
def test_a_typer_app_of_several_commands_ends_as_it_would_without_us(tmp_path, words):
    script(tmp_path, "train.py", TYPER.replace("MORE", "\n    @app.command()\n    def prep(): ..."))
    run = python("train.py", *words, cwd=tmp_path)
    assert run.seen == without(sys.executable, "train.py", *words, cwd=tmp_path)
    assert run.params == [{**values, "command": "fit"} for values in run.dumped]
