from __future__ import annotations

import io
import os

import pytest

from gitparams.screens.terminal import Terminal, cell_width


class Stream(io.StringIO):
    def __init__(self, *, tty: bool, encoding: str) -> None:
        super().__init__()
        self.tty, self.letters = tty, encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.letters

    def isatty(self) -> bool:
        return self.tty


@pytest.mark.parametrize(
    ("tty", "environ", "colour"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": "0"}, False),
        (True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_terminals_unless_told_otherwise(tty: bool, environ: dict[str, str], colour: bool) -> None:
    assert Terminal.of(Stream(tty=tty, encoding="utf-8"), environ).colour is colour


@pytest.mark.parametrize(("columns", "width"), [("120", 120), ("0", 80), ("x", 80), ("", 80)])
def test_columns_is_the_width(columns: str, width: int) -> None:
    assert Terminal.of(Stream(tty=False, encoding="utf-8"), {"COLUMNS": columns}).width == width


def test_a_terminal_is_asked_for_its_width() -> None:
    leader, follower = os.openpty()
    try:
        with open(follower, "w", encoding="utf-8") as stream:
            assert Terminal.of(stream, {}) == Terminal(80, colour=True, utf8=True)
    finally:
        os.close(leader)


@pytest.mark.parametrize(
    ("encoding", "utf8"), [("UTF-8", True), ("utf8", True), ("ascii", False), ("latin-1", False), ("what", False)]
)
def test_only_unicode_encodings_get_more_than_ascii(encoding: str, utf8: bool) -> None:
    assert Terminal.of(Stream(tty=False, encoding=encoding), {}).utf8 is utf8


def test_styles_are_nothing_without_colour() -> None:
    plain = Terminal()
    assert [plain.dim("x"), plain.bold("x"), plain.red("x"), plain.yellow("x"), plain.green("x")] == ["x"] * 5
    assert Terminal(colour=True).red("x") == "\x1b[31mx\x1b[0m"


def test_without_utf_8_everything_is_ascii() -> None:
    terminal = Terminal(utf8=False)
    glyphs = [terminal.arrow, terminal.minus, terminal.missing, terminal.times, terminal.divide, terminal.dot, terminal.ditto]
    assert "".join([*glyphs, terminal.ellipsis, terminal.up, terminal.down, terminal.safe("é学😀")]).isascii()


def test_text_is_cut_by_cells() -> None:
    assert [Terminal().cut("学习率学习率", width) for width in (12, 11, 4, 1, 0)] == [
        "学习率学习率",
        "学习率学习…",
        "学…",
        "…",
        "",
    ]
    assert cell_width("学习") == 4


def test_wrapping_breaks_words_that_are_too_long() -> None:
    assert Terminal().wrapped("ab cdefgh i", 3) == ["ab", "cde", "fgh", "i"]
