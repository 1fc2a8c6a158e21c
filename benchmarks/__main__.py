"""``python -m benchmarks``: measure the budgets of gitparams and print them as a table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.installed import choose, where

if TYPE_CHECKING:
    from benchmarks.report import Row

# topic → (its module, what it measures); a module is loaded once it is settled which gitparams is measured.
TOPICS = {
    "start-up": ("start_up", "gitparams log -n 20, the whole process, on a small and a large ledger"),
    "index": ("index", "the first index of a fresh clone, and one new run"),
    "ask": ("ask", "gitparams log --where … --sort …, the whole process, by size of the ledger"),
    "library": ("library", "runs() as a pandas frame, and in groups of replicates"),
    "tab": ("tab", "the completion of a command line, the whole process"),
    "history": ("history", "diff of large configs, blame, and the runs of commits, the whole process"),
    "sync": ("sync", "pull and push beside git's own commands"),
    "memory": ("memory", "what a process holds at most, on the large ledger"),
    "systems": ("systems", "callbacks of Optuna and Lightning, and the import of a large study, where they are installed"),
    "plots": ("plots", "gitparams plot parallel of 2,000 runs into a page, where plotly is installed"),
    "mlflow": ("mlflow", "the same questions to MLflow's store, where mlflow is installed"),
    "record": ("record", "record() in a loop, beside git's plumbing by subprocess"),
    "step": ("step", "run.log() of five metrics"),
    "import": ("import_", "import gitparams"),
    "run": ("run", "gitparams run -- true, over true alone"),
    "capture": ("capture", "a program that is asked for its params, over the program alone"),
    "check": ("check", "gitparams check, the whole process, on 50 files of params"),
    "size": ("size", "bytes of a run in a packed ledger"),
    "writers": ("writers", "eight and 64 processes that record at once"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the chosen topics; 0 whatever the figures are (they are no tests), 2 when they would mean nothing."""
    parser = _parser()
    options = parser.parse_args(argv)
    if unknown := [topic for topic in options.topics if topic not in TOPICS]:
        parser.error(f"there is no topic {unknown[0]!r}; there are {', '.join(TOPICS)}")
    refusal = choose(options.allow_source)
    if refusal:
        print(f"benchmarks: {refusal}", file=sys.stderr)
        return 2
    found = _measured(options)
    if options.json:
        document = {"machine": _machine(), "rows": [row.document() for row in found]}
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    topics = "\n".join(f"  {name:<10}{text}" for name, (_, text) in TOPICS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the budgets of gitparams, as ratios to a yardstick that is timed in turn with it.",
        epilog=f"topics:\n{topics}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="what to measure (default: all)")
    parser.add_argument("--runs", type=int, default=100_000, metavar="N", help="runs of the large ledger (default: 100000)")
    parser.add_argument("--rounds", type=int, default=25, metavar="N", help="how often whole processes are timed (default: 25)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep generated ledgers here (default: a temporary folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")
    parser.add_argument("--allow-source", action="store_true", help="measure the source tree, although it flatters the ratios")
    return parser


def _measured(options: argparse.Namespace) -> list[Row]:
    from benchmarks.report import table
    from benchmarks.workshop import workshop

    found: list[Row] = []
    with workshop(options.cache, options.runs, options.rounds, _say) as shop:
        for topic in options.topics or TOPICS:
            _say(topic)
            found.extend(import_module(f"benchmarks.{TOPICS[topic][0]}").rows(shop))
    print(f"{', '.join(_machine().values())}\n")
    print(table(found))
    return found


def _machine() -> dict[str, str]:
    from gitparams import __version__

    git = subprocess.run(["git", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return {
        "gitparams": f"gitparams {__version__} in {where()}",
        "python": f"Python {platform.python_version()}",
        "git": git.replace(" version", ""),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": f"{os.cpu_count()} cores",
    }


def _say(text: str) -> None:
    print(f"benchmarks: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
