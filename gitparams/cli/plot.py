"""``gitparams plot``: a picture of many runs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gitparams import plot as kinds
from gitparams.cli.options import APP, Where, page, repository
from gitparams.cli.talk import talk
from gitparams.errors import RunNotFound, UsageError
from gitparams.index import Filter
from gitparams.plot.files import can_show, show, write
from gitparams.recorded import Question, Runs
from gitparams.repository import Repository
from gitparams.screens.terminal import Terminal

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

app = typer.Typer(**APP)
_KINDS = f"What to draw: {', '.join(list(kinds.KINDS)[:-1])} or {list(kinds.KINDS)[-1]}"


@app.command()
def plot(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=_KINDS)] = "",
    words: Annotated[list[str] | None, typer.Argument(metavar="[RUN…]", help="The runs, all by default")] = None,
    metric: Annotated[str | None, typer.Option("-m", "--metric", metavar="NAME", help="What the runs are judged by")] = None,
    params: Annotated[
        list[str] | None, typer.Option("-p", "--param", metavar="KEY", help="A param to show (can be repeated)")
    ] = None,
    where: Where = None,
    experiment: Annotated[str | None, typer.Option("-e", "--experiment", help="Only this experiment")] = None,
    number: Annotated[int | None, typer.Option("-n", "--max-count", metavar="N", min=1, help="Only the newest N runs")] = None,
    log: Annotated[bool, typer.Option("--log", help="Of series: a logarithmic axis")] = False,
    smooth: Annotated[
        float, typer.Option("--smooth", metavar="W", help="Of series: a moving average, from 0 to below 1, as in TensorBoard")
    ] = 0.0,
    replicates: Annotated[
        bool, typer.Option("--replicates", help="Of series: mean ± std of runs that are equal but for the seed")
    ] = False,
    time: Annotated[bool, typer.Option("--time", help="Of series: over seconds instead of steps")] = False,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Of objective: what is fitted to the runs: GP, RF or ET")
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="Light lines on a dark ground")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it: .html, .png, .svg, .pdf or .json")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the kinds")] = False,
) -> None:
    """Draw a picture of runs: into a file, in the browser, or small and of letters where there is none."""
    if listing:
        page(_listing())
        return
    _check_kind(kind)
    own: dict[str, Any] = {
        "log": log,
        "smooth": smooth,
        "replicates": replicates,
        "x": "time" if time else None,
        "model": model,
    }
    own = {name: value for name, value in own.items() if value}
    _check_own(kind, own)
    with repository() as found:
        runs = _runs(found, words or [], where, experiment, number)
    if output is None and not (sys.stdout.isatty() and can_show()):
        from gitparams.screens.charts import chart

        if own:
            talk(f"In letters {_flags(own)} does not count: write a file with -o, such as -o {kind}.html.")
        page(chart(kind, list(runs), metric, runs.directions, Terminal.of(sys.stdout), params=tuple(params or ())))
        return
    figure: Figure = getattr(kinds, kind)(runs, metric, params=tuple(params or ()), dark=dark, **own)
    _deliver(figure, output)


def _deliver(figure: Figure, output: Path | None) -> None:
    meta: Any = figure.layout.meta or {}
    if output is None:
        talk(f"The picture is open in the browser, from {show(figure)}")
    else:
        write(figure, output)
        talk(f"The picture is in {output}")
    for note in meta.get("notes", ()):
        talk(note)


def _check_kind(kind: str) -> None:
    if kind in kinds.KINDS:
        return
    if not kind:
        raise UsageError("Say what to draw: gitparams plot KIND", hint="gitparams plot --list")
    near = get_close_matches(kind, kinds.KINDS, n=3, cutoff=0.5)
    raise UsageError(
        f"There is no picture {kind!r}.", hint=f"did you mean {', '.join(near)}?" if near else "gitparams plot --list"
    )


_OWN = {"log": "series", "smooth": "series", "replicates": "series", "x": "series", "model": "objective"}
"""What only one kind takes."""


def _check_own(kind: str, own: Mapping[str, Any]) -> None:
    strange = [name for name in own if _OWN[name] != kind]
    if strange:
        raise UsageError(f"{_flags(strange[:1])} is for the picture {_OWN[strange[0]]}, and not for {kind}.")


def _flags(names: Iterable[str]) -> str:
    return ", ".join("--time" if name == "x" else f"--{name}" for name in names)


def _runs(found: Repository, words: Sequence[str], where: str | None, experiment: str | None, number: int | None) -> Runs:
    """Return the runs that are asked for, newest first. Raises `RunNotFound`: there are none."""
    if words and (where or experiment or number):
        raise UsageError("Name runs, or choose them by --where, --experiment and -n.")
    if words:
        return Runs(Question(Path.cwd(), ids=tuple(found.chosen(words))))
    which = Filter(experiment=experiment)
    runs = Runs(Question(Path.cwd(), which, conditions=(where,) if where else (), stop=number))
    for note in runs.notes:
        talk(note)
    if not runs:
        raise RunNotFound("No run is there to draw." if where is None else f"No run meets {where!r}.", hint="gitparams log")
    return runs


def _listing() -> str:
    width = max(map(len, kinds.KINDS))
    return "\n".join(f"{kind:{width}}  {what}" for kind, (_, what) in kinds.KINDS.items())
