"""Report: the rows of the table, each a figure, its yardstick, their ratio and the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.timing import Samples


class Unit(StrEnum):
    """What a figure counts."""

    SECONDS = "s"
    BYTES = "B"
    COUNT = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        measured: its samples.
        yardstick: what it is compared with, in words; empty when with nothing.
        compared: the yardstick's samples.
        most_ratio: the budget of the ratio of the medians.
        most: the budget of the median itself.
        unit: what the figures count.
    """

    what: str
    measured: Samples
    yardstick: str = ""
    compared: Samples | None = None
    most_ratio: float | None = None
    most: float | None = None
    unit: Unit = Unit.SECONDS

    @property
    def ratio(self) -> float | None:
        """The measured median over the yardstick's."""
        return self.measured.median / self.compared.median if self.compared else None

    @property
    def ok(self) -> bool | None:
        """Whether the budget is kept; None where there is none."""
        if self.most_ratio is not None and self.ratio is not None:
            return self.ratio <= self.most_ratio
        return self.measured.median <= self.most if self.most is not None else None

    def document(self) -> dict[str, object]:
        """Return the row as JSON has it."""
        return {
            "what": self.what,
            "unit": str(self.unit),
            "median": self.measured.median,
            "minimum": self.measured.minimum,
            "samples": list(self.measured.values),
            "yardstick": self.yardstick or None,
            "yardstick_median": self.compared.median if self.compared else None,
            "yardstick_minimum": self.compared.minimum if self.compared else None,
            "ratio": self.ratio,
            "most_ratio": self.most_ratio,
            "most": self.most,
            "ok": self.ok,
        }


_HEAD = ("row", "measured", "(min)", "compared with", "yardstick", "(min)", "ratio", "(min)", "budget", "")
_LEFT = {0, 3, 9}


def table(rows: Sequence[Row]) -> str:
    """Return rows as an aligned table: medians, with the minima beside them."""
    lines = [_HEAD, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    columns = enumerate(zip(cells, widths, strict=True))
    return "  ".join(f"{cell:{'<' if column in _LEFT else '>'}{width}}" for column, (cell, width) in columns).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    compared, ratio = row.compared, row.ratio
    return (
        row.what,
        _figure(row.measured.median, row.unit),
        f"({_figure(row.measured.minimum, row.unit)})",
        row.yardstick or "–",
        _figure(compared.median, row.unit) if compared else "–",
        f"({_figure(compared.minimum, row.unit)})" if compared else "",
        f"{ratio:.2f} ×" if ratio is not None else "–",
        f"({row.measured.minimum / compared.minimum:.2f})" if compared else "",
        _budget(row),
        {True: "ok", False: "OVER", None: ""}[row.ok],
    )


def _budget(row: Row) -> str:
    if row.most_ratio is not None:
        return f"≤ {row.most_ratio:g} ×"
    return f"≤ {_figure(row.most, row.unit)}" if row.most is not None else "–"


def _figure(value: float, unit: Unit) -> str:
    if unit is Unit.COUNT:
        return f"{value:g}"
    if unit is Unit.BYTES:
        return f"{value:,.0f} B"
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.2f} ms" if value >= 1e-3 else f"{value * 1e6:.2f} µs"
