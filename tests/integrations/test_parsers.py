"""Each command-line parser that docs/integrations.md names, from the user's side: a script as it is, then `show`."""

import sys

import pytest
from world import gitparams

import gitparams as library

PROGRAMS = {
    "argparse": """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        parser.add_argument("--size", type=int, default=3)
        parser.parse_args()
    """,
    "click": """
        import click
        @click.command()
        @click.option("--lr", default=0.1)
        @click.option("--size", default=3)
        def main(lr, size): ...
        main()
    """,
    "typer": """
        import typer
        def main(lr: float = 0.1, size: int = 3): ...
        typer.run(main)
    """,
    "fire": """
        import fire
        def main(lr=0.1, size=3): ...
        fire.Fire(main)
    """,
    "absl": """
        from absl import app, flags
        flags.DEFINE_float("lr", 0.1, "")
        flags.DEFINE_integer("size", 3, "")
        app.run(lambda argv: None)
    """,
    "jsonargparse": """
        import jsonargparse
        def main(lr: float = 0.1, size: int = 3): ...
        jsonargparse.auto_cli(main)
    """,
    "tyro": """
        import dataclasses, tyro
        @dataclasses.dataclass
        class Config:
            lr: float = 0.1
            size: int = 3
        tyro.cli(Config)
    """,
}


@pytest.mark.parametrize("parser", PROGRAMS)
def test_a_script_with_this_parser_needs_no_change(repo, parser):
    pytest.importorskip(parser)
    lines = PROGRAMS[parser].strip("\n").splitlines()
    (repo / "train.py").write_text("\n".join(line[8:] for line in lines) + "\n")
    done = gitparams("run", "--", sys.executable, "train.py", "--lr", "0.25", timeout=120)
    assert (done.code, done.out, done.err) == (0, "", "")
    run = library.run("latest")
    assert (run.params, type(run.params.lr), type(run.params.size)) == ({"lr": 0.25, "size": 3}, float, int)
    assert gitparams("show", "--origins").out == "lr = 0.25  (command line --lr)\nsize = 3  (default train.py)\n"
