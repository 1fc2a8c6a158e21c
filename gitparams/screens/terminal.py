"""Terminal: what the place where text goes can show, and how any text is made harmless for it."""

from __future__ import annotations

import codecs
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TextIO

DEFAULT_WIDTH = 80
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Terminal:
    """What a stream can show.

    Attributes:
        width: cells a line; no line is longer.
        colour: whether escape codes for colour and weight are understood.
        utf8: whether letters beyond ASCII can be shown.
    """

    width: int = DEFAULT_WIDTH
    colour: bool = False
    utf8: bool = True

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str] = os.environ) -> Terminal:
        """Return what a stream can show; ``COLUMNS``, ``NO_COLOR``, ``FORCE_COLOR`` and ``TERM`` are obeyed.

        >>> import io
        >>> Terminal.of(io.StringIO(), {"COLUMNS": "120"})
        Terminal(width=120, colour=False, utf8=True)
        """
        return cls(_width(stream, environ), _colour(stream, environ), _utf8(stream))

    # -- letters ------------------------------------------------------------------------------------------------------

    @property
    def arrow(self) -> str:
        """Between an old and a new value."""
        return "→" if self.utf8 else "->"

    @property
    def minus(self) -> str:
        """Before what is gone or smaller."""
        return "−" if self.utf8 else "-"

    @property
    def missing(self) -> str:
        """In place of a value that a run does not have."""
        return "–" if self.utf8 else "-"

    @property
    def times(self) -> str:
        """Before a factor."""
        return "×" if self.utf8 else "x"

    @property
    def divide(self) -> str:
        """Before a divisor."""
        return "÷" if self.utf8 else "/"

    @property
    def dot(self) -> str:
        """Between two items of a line, spaces included."""
        return " · " if self.utf8 else ", "

    @property
    def ditto(self) -> str:
        """In place of a value that is the same as the one to the left."""
        return "·" if self.utf8 else "."

    @property
    def ellipsis(self) -> str:
        """Where text was cut."""
        return "…" if self.utf8 else "..."

    @property
    def up(self) -> str:
        """After the name of a metric whose highest value is best."""
        return "↑" if self.utf8 else "(max)"

    @property
    def down(self) -> str:
        """After the name of a metric whose lowest value is best."""
        return "↓" if self.utf8 else "(min)"

    # -- styles -------------------------------------------------------------------------------------------------------

    def dim(self, text: str) -> str:
        """Return the text made quieter."""
        return self._styled("2", text)

    def bold(self, text: str) -> str:
        """Return the text made heavier."""
        return self._styled("1", text)

    def red(self, text: str) -> str:
        """Return the text as something that went wrong."""
        return self._styled("31", text)

    def yellow(self, text: str) -> str:
        """Return the text as something that is not over."""
        return self._styled("33", text)

    def green(self, text: str) -> str:
        """Return the text as something good or new."""
        return self._styled("32", text)

    def _styled(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text

    # -- text ---------------------------------------------------------------------------------------------------------

    def safe(self, text: str) -> str:
        """Return a text from a ledger such that this terminal shows all of it and obeys none of it."""
        return safe(text) if self.utf8 else ascii_text(safe(text))

    def cut(self, text: str, width: int) -> str:
        """Return the text in at most `width` cells, its end cut if need be.

        >>> Terminal().cut("a long story", 7)
        'a long…'
        """
        if cell_width(text) <= width:
            return text
        mark = self.ellipsis if len(self.ellipsis) <= width else "." * max(0, width)
        return _head(text, width - len(mark)) + mark

    def cut_start(self, text: str, width: int) -> str:
        """Return the text in at most `width` cells, its beginning cut if need be.

        >>> Terminal().cut_start("optimizer.schedule.warmup", 12)
        '…dule.warmup'
        """
        if cell_width(text) <= width:
            return text
        mark = self.ellipsis if len(self.ellipsis) <= width else "." * max(0, width)
        return mark + _head(text[::-1], width - len(mark))[::-1]

    def wrapped(self, text: str, width: int) -> list[str]:
        """Return the text in lines of at most `width` cells, broken at spaces where there are any; nothing is lost.

        >>> Terminal().wrapped("python train.py --lr 0.1", 12)
        ['python', 'train.py', '--lr 0.1']
        """
        lines: list[str] = []
        line = ""
        for word in text.split(" "):
            longer = f"{line} {word}" if line else word
            if cell_width(longer) <= width:
                line = longer
                continue
            lines.extend([line] if line else [])
            while cell_width(word) > width:
                part = _head(word, width) or word[0]
                lines.append(part)
                word = word[len(part) :]
            line = word
        return [*lines, line] if line or not lines else lines


def safe(text: str) -> str:
    r"""Return the text with everything that does not print as itself written as an escape: controls, bidi marks, surrogates.

    >>> safe("red \x1b[31m, two\nlines, \u202eright to left")
    'red \\x1b[31m, two\\nlines, \\u202eright to left'
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _SHORT_ESCAPES.get(letter) or escape(letter) for letter in text)


def ascii_text(text: str) -> str:
    r"""Return the text with every letter beyond ASCII as its escape.

    >>> ascii_text("née")
    'n\\xe9e'
    """
    return text if text.isascii() else "".join(letter if letter.isascii() else escape(letter) for letter in text)


def escape(letter: str) -> str:
    r"""Return the escape of one letter.

    >>> escape("\x1b"), escape("\u202e"), escape("😀")
    ('\\x1b', '\\u202e', '\\U0001f600')
    """
    number = ord(letter)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def cell_width(text: str) -> int:
    """Return how many cells of a terminal a text takes that is already safe.

    >>> cell_width("lr"), cell_width("学习"), cell_width("e\u0301")
    (2, 4, 1)
    """
    return len(text) if text.isascii() else sum(map(_letter_width, text))


def left(text: str, width: int) -> str:
    """Return the text with spaces after it, `width` cells in all."""
    return text + " " * (width - cell_width(text))


def right(text: str, width: int) -> str:
    """Return the text with spaces before it, `width` cells in all."""
    return " " * (width - cell_width(text)) + text


@lru_cache(maxsize=4096)
def _letter_width(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _head(text: str, width: int) -> str:
    """Return as much of the beginning as goes into `width` cells."""
    if text.isascii():
        return text[: max(0, width)]
    room = width
    for place, letter in enumerate(text):
        room -= _letter_width(letter)
        if room < 0:
            return text[:place]
    return text


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _width(stream: TextIO, environ: Mapping[str, str]) -> int:
    columns = environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    if not _is_terminal(stream):
        return DEFAULT_WIDTH
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
    except (OSError, ValueError):
        return DEFAULT_WIDTH


def _colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return _is_terminal(stream) and environ.get("TERM") != "dumb"


def _utf8(stream: TextIO) -> bool:
    encoding = getattr(stream, "encoding", None)
    if encoding is None:  # text that stays in memory
        return True
    try:
        return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "cp65001", "utf-16", "utf-32")
    except LookupError:
        return False
