"""``gitparams completion``: the script by which bash, zsh or fish completes our command lines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gitparams.cli.options import APP
from gitparams.cli.talk import talk
from gitparams.completion import SHELLS
from gitparams.errors import CommandLineError, GitParamsError

app = typer.Typer(**APP)
_SCRIPTS = Path(__file__).resolve().parent.parent / "data" / "completion"
_MARK = "# Made by `gitparams completion --install`"


@app.command()
def completion(
    shell: Annotated[
        str | None, typer.Argument(metavar="[SHELL]", help="bash, zsh or fish; with --install your own by default")
    ] = None,
    install: Annotated[bool, typer.Option("--install", help="Write the script to where the shell looks for it")] = False,
) -> None:
    """Print the script that completes our command lines, git params too, or install it for yourself."""
    name = _shell(shell, install)
    text = (_SCRIPTS / f"gitparams.{name}").read_text("utf-8")
    if not install:
        print(text, end="")
        return
    for file in _files(name):
        _write(file, text)
        talk(f"Written: {file}")
    talk(_NEXT[name].format(folder=_files(name)[0].parent))


def _shell(given: str | None, install: bool) -> str:
    name = given or (Path(os.environ.get("SHELL", "")).name if install else "")
    if name not in SHELLS:
        which = f"There is no completion for {name!r}." if name else "For which shell?"
        raise CommandLineError(which, hint=f"gitparams completion {'--install ' if install else ''}bash, zsh or fish")
    return name


def _files(shell: str) -> tuple[Path, Path]:
    """Return where a shell looks for the script: under our name, and under the one by which it completes ``git params``."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    folder, form = {
        "bash": (Path(os.environ.get("BASH_COMPLETION_USER_DIR") or data / "bash-completion") / "completions", "{}"),
        "zsh": (data / "zsh" / "site-functions", "_{}"),
        "fish": (config / "fish" / "completions", "{}.fish"),
    }[shell]
    return folder / form.format("gitparams"), folder / form.format("git-params")


_NEXT = {
    "bash": "New shells have it where bash-completion is installed; else, in ~/.bashrc: source {folder}/gitparams",
    "zsh": "Needs in ~/.zshrc, before compinit: fpath=({folder} $fpath)",
    "fish": "New shells have it.",
}


def _write(file: Path, text: str) -> None:
    """Write the script anew; a file of the same name that is not ours stays."""
    try:
        if file.exists() and _MARK not in file.read_text("utf-8", "replace"):
            raise GitParamsError(f"{file} is not ours, and stays as it is.", hint="move it away, and call this again")
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.new")
        beside.write_text(text, "utf-8")
        beside.replace(file)
    except OSError as error:
        raise GitParamsError(f"{file}: {error.strerror}.") from None
