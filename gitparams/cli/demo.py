"""``gitparams demo``: a small sweep in a throw-away repository, and what can be seen of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gitparams.cli.options import APP
from gitparams.cli.talk import talk
from gitparams.errors import GitParamsError, UsageError
from gitparams.git import clean_environment
from gitparams.params import path_keys, put
from gitparams.project import demo_folder

app = typer.Typer(**APP)
_SETTINGS = "experiment: iris\nparams: [train.json]\nmetrics_files: [metrics.json]\nmetrics: {acc: max, loss: min}\n"
_IDENTITY = {
    "GIT_AUTHOR_NAME": "demo",
    "GIT_AUTHOR_EMAIL": "demo@localhost",
    "GIT_COMMITTER_NAME": "demo",
    "GIT_COMMITTER_EMAIL": "demo@localhost",
}


@app.command()
def demo(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Where; a new temporary folder by default")] = None,
) -> None:
    """Make a throw-away repository with a small real training program, run a sweep in it, and look at it."""
    place = _new_folder(folder)
    _prepare(place)
    for edit in json.loads((demo_folder() / "sweep.json").read_text("utf-8")):
        _edit_config(place / "train.json", edit["set"])
        words = ["run", "--name", edit["name"], "--", sys.executable, "train.py", "train.json"]
        _say_command("run", *words[1:-3], "python", "train.py", "train.json")
        _gitparams(place, words, quiet=True)
    for words in (["log"], ["diff"], ["diff", "baseline", "best:acc"]):
        print()
        _say_command(*words)
        _gitparams(place, words)
    print(
        f"\nLook around: cd {place} && gitparams show best:acc, or git log -p refs/gitparams/runs -- params.json metrics.json"
    )


def _new_folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="gitparams-demo-"))
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty.", hint="gitparams demo NEW_FOLDER")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _prepare(place: Path) -> None:
    for name in ("train.py", "iris.csv", "train.json"):
        shutil.copyfile(demo_folder() / name, place / name)
    (place / "gitparams.yaml").write_text(_SETTINGS, "utf-8")
    (place / ".gitignore").write_text("metrics.json\n", "utf-8")
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "a small training program"]):
        done = subprocess.run(
            ["git", *words], cwd=place, env={**clean_environment(), **_IDENTITY}, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise GitParamsError(f"git {words[0]} failed in {place}: {done.stderr.strip()}")
    talk(f"a repository with a training program: {place}")


def _edit_config(path: Path, edits: dict[str, Any]) -> None:
    config = json.loads(path.read_text("utf-8"))
    for key, value in edits.items():
        put(config, path_keys(key), value)
    path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    if edits:
        print("\n# train.json: " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in edits.items()), flush=True)


def _say_command(*words: str) -> None:
    print(f"$ gitparams {' '.join(words)}", flush=True)


def _gitparams(place: Path, words: Sequence[str], *, quiet: bool = False) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gitparams", *words],
        cwd=place,
        env={**os.environ, **_IDENTITY},
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
    )
    if quiet:
        last = (done.stdout or "").strip().splitlines()[-1:]
        print("".join(f"  {line}\n" for line in last), end="", flush=True)
