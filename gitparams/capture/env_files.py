"""Files of environment variables, ``.env``: lines of ``KEY=value`` as python-dotenv and docker write them."""

from __future__ import annotations

import re
from typing import NoReturn

from gitparams.capture.document import Document, Lines
from gitparams.capture.overrides import scalar
from gitparams.params import path_text
from gitparams.values import Value

_BLANK = re.compile(r"\s*(?:#[^\n]*)?(?:\n|\Z)")
_KEY = re.compile(r"[^\S\n]*(?:export[^\S\n]+)?([^\s=#'\"]+)[^\S\n]*=[^\S\n]*")
_SINGLE = re.compile(r"'([^'\\]*+(?:\\.[^'\\]*+)*+)'", re.DOTALL)
_DOUBLE = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_REST = re.compile(r"[^\S\n]*(?:#[^\n]*)?(?:\n|\Z)")
_PLAIN = re.compile(r"([^\n]*?)(?:(?<=\s)#[^\n]*)?(?:\n|\Z)")
_ESCAPE = re.compile(r"\\([\\'\"abfnrtv])")
_ESCAPE_IN_SINGLE = re.compile(r"\\([\\'])")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def read_env(document: Document) -> tuple[dict[str, Value], Lines]:
    r"""Return the values of a ``.env`` file, and the line of each.

    A value without quotes has the type that an override would have, one in quotes is text and may go over several lines.
    In double quotes ``\n``, ``\t``, ``\"`` … are escapes, in single quotes only ``\\`` and ``\'``. ``$NAME`` stands for
    itself: variables are not expanded, so that the file alone says what its values are. Keys stay as they are written.

    Raises:
        ParamsFileError: a line has no ``=``, a quote is not closed, a key is written twice, or there is no key.

    >>> read_env(Document(".env", 'LR=1e-3 # small\nexport NAME="a b"\n', "params"))
    ({'LR': 0.001, 'NAME': 'a b'}, {'LR': 1, 'NAME': 2})
    """
    # lines are read as Python reads text files
    text = document.text.replace("\r\n", "\n").replace("\r", "\n")
    values: dict[str, Value] = {}
    lines: dict[str, int] = {}
    place, line = 0, 1
    while place < len(text):
        blank = _BLANK.match(text, place)
        if blank is None:
            key, value, end = _assignment(document, text, place, line)
            if key in values:
                raise document.twice(key, line, lines[key])
            values[key], lines[key] = value, line
        else:
            end = blank.end()
        line += text.count("\n", place, end)
        place = end
    if not values:
        raise document.nothing("lines of names and values, as in LR=0.1")
    return values, {path_text((key,)): number for key, number in lines.items()}


def _assignment(document: Document, text: str, place: int, line: int) -> tuple[str, Value, int]:
    key = _KEY.match(text, place)
    if key is None:
        raise document.error("it is not a .env file: the line has no KEY= at its beginning.", line, hint="LR=0.1")
    start = key.end()
    quote = text[start : start + 1]
    if quote not in ("'", '"'):
        plain = _PLAIN.match(text, start)
        assert plain is not None  # it matches anything
        return key[1], scalar(plain[1].rstrip()), plain.end()
    quoted = (_SINGLE if quote == "'" else _DOUBLE).match(text, start)
    if quoted is None:
        _fail(document, text, start, f"the quote {quote} is not closed.")
    rest = _REST.match(text, quoted.end())
    if rest is None:
        _fail(document, text, quoted.end(), "something follows the closing quote.")
    return key[1], _unescaped(quoted[1], quote), rest.end()


def _unescaped(text: str, quote: str) -> str:
    escape = _ESCAPE_IN_SINGLE if quote == "'" else _ESCAPE
    return escape.sub(lambda match: _ESCAPED.get(match[1], match[1]), text)


def _fail(document: Document, text: str, place: int, problem: str) -> NoReturn:
    before = text[:place]
    raise document.error(f"it is not a .env file: {problem}", before.count("\n") + 1, place - before.rfind("\n"))
