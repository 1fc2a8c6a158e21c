"""History: `gitparams diff` of large configs, `diff` and `log` of commits, and `blame`, each as a whole process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.installed import program
from benchmarks.report import Row
from benchmarks.timing import interleaved, process
from benchmarks.workshop import Workshop, git

_KEYS = 5000
_MOST = 1.0


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    large = _large(shop)
    many = shop.indexed(shop.runs)
    things = {
        f"diff, {_KEYS:,} params, 50 of them differ": process([*program(), "diff", "base", "few"], large),
        f"diff, {_KEYS:,} params, all differ": process([*program(), "diff", "base", "all"], large),
        f"diff, two of {shop.runs:,} runs": process([*program(), "diff", "latest~1", "latest"], many),
        f"blame, {shop.runs:,} runs": process([*program(), "blame"], many),
        f"blame KEY --history, {shop.runs:,} runs": process([*program(), "blame", "optim.lr", "--history"], many),
        f"log HEAD, {shop.runs:,} runs": process([*program(), "log", "HEAD", "-n", "20"], many),
    }
    taken = interleaved({**things, "pass": process(shop.nothing, shop.folder)}, min(shop.rounds, 9), warm_up=1)
    for name in things:
        yield Row(name, taken[name], "python -c pass", taken["pass"], most=_MOST)


def _large(shop: Workshop) -> Path:
    """Return a repository with three runs of a nested config: ``base``, ``few`` and ``all``."""
    folder = shop.repository()
    base = _config(lambda number: number / 7)
    few = _config(lambda number: number / 7 + (number % 100 == 0))
    every = _config(lambda number: number / 7 + 1)
    for name, params in (("base", base), ("few", few), ("all", every)):
        (folder / "params.json").write_text(json.dumps(params))
        words = [*program(), "record", "--params", "params.json", "--name", name]
        subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    git(folder, "status", "--short")
    return folder


def _config(value: Any) -> Mapping[str, Any]:
    return {f"part{part}": {f"key{key}": value(part * 50 + key) for key in range(50)} for part in range(_KEYS // 50)}
