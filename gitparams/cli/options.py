"""Options: flags that several commands share, and how a command speaks to the person."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from gitparams.cli.talk import talk
from gitparams.errors import CommandLineError, UsageError
from gitparams.model import Metric
from gitparams.repository import Repository

APP: dict[str, Any] = {"add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False}

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "-p", "--param", metavar="K=V", help="A param, typed as YAML types it; +K=V adds, ~K removes (can be repeated)"
    ),
]
ParamsFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--params", metavar="[PREFIX=]FILE", help="A file of params: YAML, JSON, TOML, INI, .env, .py (can be repeated)"
    ),
]
Strict = Annotated[bool, typer.Option("--strict/--no-strict", help="Refuse -p of a key that no file declares")]
Inputs = Annotated[
    list[str] | None, typer.Option("--input", metavar="FILE", help="A file the run reads, recorded by digest (can be repeated)")
]
MetricsFiles = Annotated[
    list[Path] | None, typer.Option("--metrics", metavar="FILE", help="A file of metrics the program writes (can be repeated)")
]
MetricValues = Annotated[list[str] | None, typer.Option("-m", "--metric", metavar="K=V", help="A metric (can be repeated)")]
Name = Annotated[str | None, typer.Option("--name", help="A name to find the run by")]
Experiment = Annotated[str | None, typer.Option("-e", "--experiment", help="The experiment it belongs to")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag (can be repeated)")]
Note = Annotated[str, typer.Option("--note", help="A note")]
Expected = Annotated[
    list[str] | None,
    typer.Option("--expect", metavar="EXPR", help="What should come true, recorded before: 'acc > 0.92' (can be repeated)"),
]
Where = Annotated[str | None, typer.Option("-w", "--where", metavar="EXPR", help="The runs for which it holds: 'acc < 0.5'")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON")]


@contextmanager
def repository() -> Iterator[Repository]:
    """Open the repository around the present folder, and say what it did on its own (closed a dead run, undid a rewind)."""
    progress = _Progress()
    with Repository.find(progress=progress if sys.stderr.isatty() else None) as found:
        progress.clear()
        yield found
        for note in found.notes:
            talk(note)


def page(text: str) -> None:
    """Print a screen, through git's pager on a terminal when it is longer than the terminal."""
    if not text.endswith("\n"):
        text += "\n"
    if not sys.stdout.isatty() or text.count("\n") < os.get_terminal_size(1).lines:
        sys.stdout.write(text)
        return
    import subprocess

    asked = subprocess.run(["git", "var", "GIT_PAGER"], capture_output=True, text=True, check=False)
    pager = asked.stdout.strip() or "less"
    if pager == "cat":
        sys.stdout.write(text)
        return
    # Git's own defaults; the pager is the user's own configured command line, which git gives to a shell too.
    variables = {"LESS": "FRX", "LV": "-c", **os.environ}
    subprocess.run(
        ["sh", "-c", pager], input=text.encode(sys.stdout.encoding or "utf-8", "replace"), env=variables, check=False
    )


def metric_values(texts: Sequence[str]) -> dict[str, Metric]:
    """Return the metrics of ``K=V`` words. Raises `UsageError` for one that is no number."""
    from gitparams.capture.overrides import scalar

    metrics: dict[str, Metric] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        number = scalar(value)
        if not name or not equals or not isinstance(number, int | float):
            raise UsageError(f"--metric {text!r} is not NAME=NUMBER.", hint="--metric acc=0.93")
        metrics[name] = number
    return metrics


def confirmed(question: str, yes: bool) -> None:
    """Ask before something is destroyed or overwritten. Raises `UsageError` without a terminal and without ``--yes``."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is there to ask.", hint="add --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise typer.Exit(1)


def command_words(words: list[str] | None, what: str = "run") -> tuple[str, ...]:
    """Return the words of CMD: after ``--``, or from the first plain word on.

    Raises:
        CommandLineError: there is none, or a plain word stands before ``--``.
    """
    from gitparams.cli.words import after_dashes

    after = after_dashes()
    if after is not None and words:
        raise CommandLineError(
            f"{words[0]!r} stands before --: flags with several values are repeated, and the command follows --."
        )
    command = tuple(after if after is not None else words or ())
    if not command:
        raise CommandLineError("There is no command to run.", hint=f"gitparams {what} -- python train.py")
    return command


def hashing_progress() -> Callable[[int, int], None] | None:
    """Return what shows how far the hashing of inputs is; None where nobody watches."""
    if not sys.stderr.isatty():
        return None
    bar = _Progress("hashing inputs", least=64 << 20, unit=1 << 20)

    def show(done: int, total: int) -> None:
        bar(done, total)
        if done >= total:
            bar.clear()

    return show


def progress_of(what: str) -> Callable[[int, int], None] | None:
    """Return what shows how far something is that takes long; None where nobody watches."""
    if not sys.stderr.isatty():
        return None
    bar = _Progress(what)

    def show(done: int, total: int) -> None:
        bar(done, total)
        if done >= total:
            bar.clear()

    return show


class _Progress:
    """A line on a terminal that says how far something is: at first the first reading of a ledger."""

    def __init__(self, what: str = "reading runs", *, least: int = 5000, unit: int = 1) -> None:
        self._what, self._least, self._unit = what, least, unit
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        if total < self._least:
            return
        self._shown = True
        filled, mega = 30 * done // total, " MB" if self._unit > 1 else ""
        numbers = f"{done // self._unit:,} of {total // self._unit:,}{mega}"
        sys.stderr.write(f"\r{self._what}  {'#' * filled}{'.' * (30 - filled)}  {numbers}")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
