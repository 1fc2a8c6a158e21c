"""Table: columns of text side by side, without borders or rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gitparams.screens.terminal import cell_width

Style = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        texts: a cell a line, safe to print.
        styles: line → how its cell is dressed, once its width is known.
        right: whether the texts stand at the right end.
        gap: how many spaces stand before the column.
        least: the width it has at least.
    """

    texts: Sequence[str]
    styles: Mapping[int, Style] = field(default_factory=dict)
    right: bool = False
    gap: int = 2
    least: int = 0

    @property
    def width(self) -> int:
        """The cells of its longest text."""
        return max([self.least, *map(cell_width, self.texts)])

    @property
    def space(self) -> int:
        """The cells it takes with its gap."""
        return self.gap + self.width


def table_lines(columns: Sequence[Column]) -> list[str]:
    """Return the lines of columns of one length, without spaces at their ends.

    >>> table_lines([Column(["lr", "batch"], gap=0), Column(["0.1", "64"], right=True)])
    ['lr     0.1', 'batch   64']
    """
    widths = [column.width for column in columns]
    return [_line(columns, widths, place) for place in range(len(columns[0].texts))]


def _line(columns: Sequence[Column], widths: Sequence[int], place: int) -> str:
    line, waiting = "", 0
    for column, width in zip(columns, widths, strict=True):
        text = column.texts[place]
        body = text.strip(" ")
        before = len(text) - len(text.lstrip(" ")) if body else 0
        slack = width - cell_width(text)
        lead = before + (slack if column.right else 0)
        style = column.styles.get(place)
        if body:
            line += " " * (waiting + column.gap + lead) + (style(body) if style else body)
            waiting = width - lead - cell_width(body)
        else:
            waiting += column.gap + width
    return line
