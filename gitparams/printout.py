"""Printout: the metrics that a program prints while it runs, by opt-in."""

from __future__ import annotations

import ast
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import translate
from math import floor
from typing import Any, Literal

from gitparams.capture.tables import STEPS, split_step
from gitparams.journal import series_line
from gitparams.model import Metric

_LONGEST = 64 * 1024  # bytes of a line
_BLANK = b" \t\r"
_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z^-~])")
_CONTROLS = bytes({*range(32), 127} - {*b"\t\r"})
_LOGGER = re.compile(r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):[\w.]+:")  # the prefix of Python's logging.basicConfig
_NUMBER = r"[-+]?(?:(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|(?i:nan|inf(?:inity)?))"
_NUMBER_ALONE = re.compile(_NUMBER)
_WRAPPER = re.compile(r"tensor|array|float[0-9]+|u?int[0-9]+")  # how torch and numpy write one number
# What has the form of a metric and is a place: train.py:12, cuda:0, localhost:8080.
_PLACE = r"(?:[\w./-]*\.(?:py|pyx|ipynb|c|cc|cpp|cu|h)|cuda|cpu|gpu|mps|xpu|hpu|localhost):[0-9]"
_PAIR = re.compile(
    rf"""(?<![\w./\-:=@%$&?#+*\\~])(?!{_PLACE})
    ([^\W\d][\w./-]*+)['"]?  # the key
    [ \t]{{0,8}}[:=][ \t]{{0,8}}
    ['"]?(?:(?:np\.)?(?:{_WRAPPER.pattern})\()?
    ({_NUMBER})
    (%(?!\|))?                # not of a progress bar
    (/[0-9]+)?                # of how many
    (?=['"]?(?:$|[\s;|)\]}}<>]|,(?![0-9])|\.(?:$|\s)))""",
    re.VERBOSE,
)


class Printout:
    """Finds metrics in what a program prints: ``loss: 0.2``, ``acc=93.1%``, a mapping as JSON or Python writes it.

    A line of output gives at most one line of a series. Of a progress bar, which goes back to the beginning of its line
    again and again, what stood there last counts. The step is what the line calls ``global_step``, ``step``, ``iter``,
    ``iteration`` or ``epoch``, and otherwise one more than before.

    Args:
        patterns: which keys are metrics, as globs; True for all of them.

    >>> printout = Printout(["loss", "val_*"])
    >>> [json.loads(line)["loss"] for line in printout.feed(b"epoch: 1 loss: 0.5 lr: 0.1\\nloss: 0.4")]
    [0.5]
    >>> [json.loads(line)["loss"] for line in printout.end()]
    [0.4]
    """

    def __init__(self, patterns: Literal[True] | Sequence[str]) -> None:
        globs = "|".join(map(translate, patterns)) or "(?!)" if patterns is not True else ""
        self._wanted = re.compile(globs).match
        self._pieces: list[bytes] = []
        self._size = 0
        self._next_step = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take a piece of output, and return the lines of the series that it completes."""
        first, *others = data.split(b"\n")
        self._keep(first)
        if not others:
            return []
        lines = [self._kept(), *others[:-1]]
        self._keep(others[-1])
        return [found for line in lines if (found := self._found(line))]

    def end(self) -> list[bytes]:
        """Return what the last line gives, which nothing ended."""
        found = self._found(self._kept())
        return [found] if found else []

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > _LONGEST:  # one byte more than a line may have tells that it is too long
            self._pieces = [_last_state(b"".join(self._pieces))[: _LONGEST + 1]]
            self._size = len(self._pieces[0])

    def _kept(self) -> bytes:
        line = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        return line

    def _found(self, line: bytes) -> bytes | None:
        if b"=" not in line and b":" not in line:
            return None
        line = _last_state(_ESCAPE.sub(b"", line) if b"\x1b" in line else line)
        if len(line) > _LONGEST:
            return None
        step, rest = split_step(_numbers(line.translate(None, _CONTROLS).decode("utf-8", "replace")))
        metrics = {name: number for name, number in rest.items() if self._wanted(name)}
        if not metrics:
            return None
        if step is None:
            step = self._next_step
        self._next_step = floor(step) + 1
        return series_line(step, time.time(), metrics)


def _last_state(line: bytes) -> bytes:
    """Return what stood on a line last, blanks aside: a progress bar may end by wiping itself out."""
    return line[line.rstrip(_BLANK).rfind(b"\r") + 1 :]


def _numbers(line: str) -> dict[str, Metric]:
    text = line.strip()
    if text[:1] == "{" and text[-1:] == "}":
        mapping = _mapping(text)
        if mapping is not None:
            return mapping
    logger = _LOGGER.match(text)
    pairs = _PAIR.finditer(text[logger.end() :] if logger else text)
    return {pair[1]: _number(pair[2]) for pair in pairs if not pair[4] or pair[1].lower() in STEPS}


def _number(text: str) -> Metric:
    """Return the number in a text that has the form of one.

    >>> _number("12"), _number("-1e-3"), _number("Inf")
    (12, -0.001, inf)
    """
    whole = len(text) < 20 and text.lstrip("+-").isdecimal()
    return int(text) if whole else float(text)


def _mapping(text: str) -> dict[str, Metric] | None:
    """Return the numbers of the mapping that a text is, as JSON or as Python writes it; None when it is none."""
    if text[1:2] == "'":
        return _python_mapping(text)
    try:
        return dict(_leaves(json.loads(text)))
    except (ValueError, RecursionError):
        return _python_mapping(text)


def _python_mapping(text: str) -> dict[str, Metric] | None:
    if "\\" in text:  # the parser would warn of escapes that Python does not know
        return None
    try:
        value = _python_value(ast.parse(text, mode="eval").body)
        return dict(_leaves(value)) if isinstance(value, dict) else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the parser says MemoryError to deep nesting
        return None


def _python_value(node: Any) -> Any:
    """Return a mapping or a number; None for all else. A text that is a number counts, for Transformers prints such."""
    match node:
        case ast.Dict():
            keys = ((key, value) for key, value in zip(node.keys, node.values, strict=True) if isinstance(key, ast.Constant))
            return {str(key.value): _python_value(value) for key, value in keys}
        case ast.Constant(value=str(text)):
            return _number(text) if _NUMBER_ALONE.fullmatch(text) else None
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = _python_value(operand)
            return -number if isinstance(number, (int, float)) else None
        case ast.Name(id="nan" | "inf" as name):
            return float(name)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[argument, *_]) if _WRAPPER.fullmatch(name):
            return _python_value(argument)
    return None


def _leaves(mapping: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Metric]]:
    for key, value in mapping.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{key}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{before}{key}", value
