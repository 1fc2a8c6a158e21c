"""Look: the one look of all figures, light and dark: letters, colours, numbers, and user text that stays text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gitparams.directions import Direction
from gitparams.integrations import library
from gitparams.model import Status
from gitparams.screens.numbers import float_text, metric_texts
from gitparams.screens.terminal import safe

if TYPE_CHECKING:
    from plotly.graph_objects import Figure
    from plotly.graph_objects.layout import Template

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
WIDTH, HEIGHT = 1000, 600
"""The size of a picture, in pixels, that does not say its own."""
_TITLE_LETTER, _NOTE_LETTER = 9.2, 7.3  # pixels a letter, about
_TITLE_HEIGHT, _NOTE_HEIGHT = 64, 18


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a ground, each text on it with a contrast of 4.5 or more.

    Attributes:
        ground: behind everything. ink: texts. quiet: notes and what matters less. grid: lines behind the data.
        words: colours for things without an order, told apart by colour-blind people (after Okabe and Ito, 2008).
        ramp: colours from the worst to the best score; the better, the further from the ground.
        missing: in place of a score that is not there.
        statuses: how runs ended.
    """

    ground: str
    ink: str
    quiet: str
    grid: str
    words: tuple[str, ...]
    ramp: tuple[str, ...]
    missing: str
    statuses: Mapping[Status, str]


LIGHT = Palette(
    ground="#ffffff",
    ink="#1f2933",
    quiet="#5b6673",
    grid="#e3e7ec",
    words=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5f4b8b", "#7f7f7f"),
    ramp=("#d7dbd9", "#a9cfc6", "#62b0bd", "#2f83b1", "#254f96", "#1b1f5e"),
    missing="#c3c9d0",
    statuses={
        Status.COMPLETED: "#0072b2",
        Status.PRUNED: "#56b4e9",
        Status.FAILED: "#d55e00",
        Status.CRASHED: "#a33b00",
        Status.INTERRUPTED: "#e69f00",
        Status.LOST: "#cc79a7",
        Status.REFUSED: "#7f7f7f",
        Status.RUNNING: "#009e73",
        Status.OPEN: "#7fd1b9",
    },
)
DARK = Palette(
    ground="#14181d",
    ink="#e6eaef",
    quiet="#9aa6b2",
    grid="#2d353e",
    words=("#56b4e9", "#f08a3c", "#2fc49a", "#e59ac6", "#f5c84b", "#9fb4ff", "#c9a0ff", "#aab2bb"),
    ramp=("#3b434d", "#3f5f7a", "#36879a", "#3fb08f", "#8fd45f", "#fbe93f"),
    missing="#59636e",
    statuses={
        Status.COMPLETED: "#56b4e9",
        Status.PRUNED: "#9fb4ff",
        Status.FAILED: "#f0703c",
        Status.CRASHED: "#ff9d80",
        Status.INTERRUPTED: "#f5c84b",
        Status.LOST: "#e59ac6",
        Status.REFUSED: "#aab2bb",
        Status.RUNNING: "#2fc49a",
        Status.OPEN: "#8fe0c8",
    },
)


def palette(dark: bool) -> Palette:
    """Return the colours of a ground."""
    return DARK if dark else LIGHT


def graph_objects() -> Any:
    """Return the module `plotly.graph_objects`. Raises `UsageError`: plotly is not installed."""
    return library("plotly.graph_objects", "viz")


def scale(direction: Direction, dark: bool = False) -> list[tuple[float, str]]:
    """Return a continuous colour scale from the lowest to the highest score, the better end the stronger one.

    >>> scale(Direction.MIN)[0][1] == LIGHT.ramp[-1], scale(Direction.MAX)[-1][1] == LIGHT.ramp[-1]
    (True, True)
    """
    ramp = palette(dark).ramp
    ordered = ramp if direction is Direction.MAX else ramp[::-1]
    return [(place / (len(ramp) - 1), colour) for place, colour in enumerate(ordered)]


def finished(figure: Figure, *, title: str, notes: Iterable[str] = (), dark: bool = False) -> Figure:
    """Give a figure its look, its title and what there is to say about it, and return it.

    Args:
        figure: it is changed.
        title: one line, as plain text.
        notes: sentences about what is left out or was chosen, as plain text; the subtitle, and ``layout.meta["notes"]``.
        dark: light lines on a dark ground.
    """
    said = list(notes)
    width = (figure.layout.width or WIDTH) - 48
    lines = [line for note in _paragraphs(said) for line in textwrap.wrap(note, int(width / _NOTE_LETTER))]
    figure.update_layout(
        template=template(dark),
        title={
            "text": text(title, most=int(width / _TITLE_LETTER)),
            "subtitle": {"text": "<br>".join(text(line, most=0) for line in lines)},
        },
        meta={"notes": said},
    )
    top = _TITLE_HEIGHT + _NOTE_HEIGHT * len(lines)
    figure.update_layout(margin_t=max(top, figure.layout.margin.t or 0))
    return figure


def template(dark: bool = False) -> Template:
    """Return the look as a plotly template."""
    colours = palette(dark)
    axis = {
        "gridcolor": colours.grid,
        "linecolor": colours.grid,
        "zeroline": False,
        "ticks": "outside",  # no line, but room between the labels and what is drawn
        "ticklen": 6,
        "tickcolor": colours.ground,
        "automargin": True,
        "exponentformat": "e",
        "minexponent": 6,  # 50000, and not 0.5e+5
        "title": {"font": {"size": 13, "color": colours.ink}, "standoff": 12},
        "tickfont": {"size": 12, "color": colours.quiet},
    }
    bar = {"outlinewidth": 0, "thickness": 14, "ticks": "", "tickfont": {"size": 12, "color": colours.quiet}}
    ramp = scale(Direction.MAX, dark)
    built: Template = graph_objects().layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": colours.ink},
            "paper_bgcolor": colours.ground,
            "plot_bgcolor": colours.ground,
            "colorway": list(colours.words),
            "colorscale": {"sequential": ramp, "sequentialminus": ramp},
            "coloraxis": {"colorbar": bar},
            "title": {
                "x": 0,
                "xref": "container",
                "xanchor": "left",
                "y": 1,
                "yref": "container",
                "yanchor": "top",
                "pad": {"l": 24, "t": 18},
                "font": {"size": 18, "color": colours.ink},
                "subtitle": {"font": {"size": 12.5, "color": colours.quiet}},
            },
            "margin": {"l": 64, "r": 32, "t": _TITLE_HEIGHT, "b": 56},
            "legend": {"font": {"size": 12, "color": colours.ink}, "bgcolor": "rgba(0,0,0,0)", "itemsizing": "constant"},
            "hoverlabel": {
                "bgcolor": colours.ground,
                "bordercolor": colours.quiet,
                "align": "left",
                "font": {"family": FONT, "size": 12.5, "color": colours.ink},
            },
            "xaxis": axis,
            "yaxis": axis,
        },
        data={
            "parcoords": [
                {
                    "labelfont": {"size": 13, "color": colours.ink},
                    "tickfont": {"size": 12, "color": colours.ink},
                    "rangefont": {"size": 11, "color": colours.quiet},
                    "line": {"colorbar": bar},
                }
            ],
            "contour": [{"colorbar": bar}],
            "heatmap": [{"colorbar": bar}],
            "scatter": [{"marker": {"colorbar": bar}}],
        },
    )
    return built


# -- texts ----------------------------------------------------------------------------------------------------------------


def text(value: object, *, most: int = 60) -> str:
    r"""Return any text so that plotly shows it as it is: no tag, no link, no entity, no formula, no placeholder.

    Plotly reads ``<b>``, ``<a href>``, ``&lt;``, ``$x$`` and, in hover templates, ``%{x}``. Control characters are escaped.

    Args:
        value: a text, or what is turned into one.
        most: letters, the end is cut beyond; 0 for all of it.

    >>> text("<b>lr</b> & 5 $"), text("%{x}"), text("a\nb")
    ('&lt;b&gt;lr&lt;/b&gt; &amp; 5 &#36;', '%&#123;x}', 'a\\nb')
    """
    shown = plain(value, most=most)
    for letter, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("$", "&#36;"), ("%{", "%&#123;")):
        shown = shown.replace(letter, entity)
    return shown


def plain(value: object, *, most: int = 60) -> str:
    """Return any text without control characters and at most so long, for the places where plotly reads no tags.

    >>> plain("optimizer.schedule.warmup", most=12)
    'optimizer.s…'
    """
    shown = safe(str(value))
    return shown if not most or len(shown) <= most else shown[: most - 1] + "…"


def end_of(value: object, *, most: int = 60) -> str:
    """Return any text as `text` does, its beginning cut: of a path the end says most.

    >>> end_of("optimizer.schedule.warmup", most=12)
    '…dule.warmup'
    """
    return text(plain_end(value, most=most), most=0)


def plain_end(value: object, *, most: int = 60) -> str:
    """Return any text as `plain` does, its beginning cut.

    >>> plain_end("data/checkpoint-12.pt", most=9)
    '…nt-12.pt'
    """
    shown = safe(str(value))
    return shown if len(shown) <= most else "…" + shown[1 - most :]


def metric_title(metric: str, direction: Direction) -> str:
    """Return the name of a metric and which way is better, as plain text.

    >>> metric_title("acc", Direction.MAX)
    'acc (higher is better)'
    """
    return f"{metric} ({'higher' if direction is Direction.MAX else 'lower'} is better)"


def amount(count: int, noun: str = "run") -> str:
    """Return a number of things in words: ``1 run``, ``2 000 runs``.

    >>> amount(1), amount(2000), amount(3, "param")
    ('1 run', '2 000 runs', '3 params')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", " ")


def numbers(values: Sequence[float]) -> list[str]:
    """Return numbers as short as tells them apart, for labels and hover texts.

    >>> numbers([0.91, 0.9345, 1e-9])
    ['0.910', '0.934', '1e-9']
    """
    return metric_texts([float(value) for value in values])


def number(value: float, digits: int = 4) -> str:
    """Return one number in a few digits, as people write it.

    >>> number(0.00012345678), number(1e-05), number(1000.0), number(0.5), number(123456789.0)
    ('1.235e-4', '1e-5', '1000', '0.5', '1.235e8')
    """
    if not math.isfinite(value):
        return float_text(value)
    rounded = float(f"{value:.{digits}g}")
    size = abs(rounded)
    if size and (size < 1e-3 or size >= 1e6):
        mantissa, _, exponent = f"{rounded:e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return float_text(rounded).removesuffix(".0")


def decades(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return the ticks of a logarithmic axis as powers of ten and their texts; every n-th of many.

    Args:
        low, high: the span, above 0.

    >>> decades(2e-5, 0.3)
    ([-4.0, -3.0, -2.0, -1.0], ['1e-4', '1e-3', '0.01', '0.1'])
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    powers = [float(power) for power in range(first, last + 1, max(1, math.ceil((last - first + 1) / 10)))]
    return powers, [_power_text(int(power)) for power in powers]


def _power_text(power: int) -> str:
    if -2 <= power <= 4:
        return float_text(10.0**power).removesuffix(".0")
    return f"1e{power}"


def _paragraphs(notes: Sequence[str]) -> list[str]:
    """Return notes as they share lines: one after the other, as a paragraph."""
    joined = " ".join(safe(note) for note in notes)
    return [joined] if joined else []
