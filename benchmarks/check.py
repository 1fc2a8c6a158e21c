"""Check: `gitparams check` as a whole process, on many files of params."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml

from benchmarks.configs import Sweep
from benchmarks.installed import program
from benchmarks.report import Row
from benchmarks.timing import interleaved, process
from benchmarks.workshop import Workshop, git

_FILES, _MOST = 50, 1.0


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    folder = _project(shop)
    words = [*program(), "check"]
    files = sorted(file.relative_to(folder).as_posix() for file in folder.glob("conf/*.yaml"))
    declared, given = f"check, {_FILES} declared files of 50 keys", f"check FILE…, the same {_FILES} files"
    things = {declared: process(words, folder), given: process([*words, *files], folder)}
    assert [_looked_at(folder, *more) for more in ((), files)] == [_FILES, _FILES]
    taken = interleaved({**things, "pass": process(shop.nothing, folder)}, shop.rounds, warm_up=2)
    for name in things:
        yield Row(name, taken[name], "python -c pass", taken["pass"], most=_MOST)


def _project(shop: Workshop) -> Path:
    """Return a repository whose params stand in many files, each below a key of its own, with a run of just these."""
    folder, sweep = shop.repository(), Sweep(4)
    (folder / "conf").mkdir()
    for number in range(_FILES):
        text = yaml.safe_dump({f"part{number:02}": sweep.params()}, sort_keys=False)
        (folder / "conf" / f"part{number:02}.yaml").write_text(text)
    (folder / "gitparams.yaml").write_text("params: [conf/*.yaml]\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "params")
    subprocess.run([*program(), "run", "--", "true"], cwd=folder, check=True)
    return folder


def _looked_at(folder: Path, *files: str) -> int:
    """Return how many files a check looks at."""
    done = subprocess.run([*program(), "check", "--json", *files], cwd=folder, stdout=subprocess.PIPE, check=True)
    return int(json.loads(done.stdout)["files"])
