"""What in a file of params looks like one thing and is read as another."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import PurePath
from typing import Literal

from gitparams.capture.document import Document, decoded
from gitparams.capture.files import content, read_params_text, whole
from gitparams.capture.overrides import scalar
from gitparams.capture.yaml_files import Scalar, read_yaml
from gitparams.params import flatten, path_text
from gitparams.values import Value

Kind = Literal[
    "numeric-text",
    "quoted-number",
    "octal",
    "sexagesimal",
    "boolean-word",
    "date",
    "underscore",
    "boolean-key",
    "null-word",
    "version",
]

_YAML_ENDINGS = (".yaml", ".yml")
_QUOTED_ENDINGS = (".json", ".toml")
_NUMBER = re.compile(r"([-+]?)([0-9]+\.?[0-9]*|\.[0-9]+)(?:([eE])([-+]?)([0-9]+))?")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_ROUNDED_VERSION = re.compile(r"[0-9]+\.[0-9]*0")
_YES_OR_NO = {"y": "true", "Y": "true", "n": "false", "N": "false"}


@dataclass(frozen=True, slots=True)
class Trap:
    """One place of a file where what is written is not what is read.

    Attributes:
        file: how the file is called.
        line: counted from 1; None when it is not known.
        column: counted from 1; None when it is not known.
        path: the written path of the value; of a list, the path of the whole list.
        kind: the sort of trap. A ``quoted-number`` may well be meant; the others are hardly ever.
        text: what is written.
        read_as: what the program gets: ``the text '1e-3'``, ``True``, ``the number 45296``.
        problem: why, in one clause.
        fix: what to write instead.
    """

    file: str
    line: int | None
    column: int | None
    path: str
    kind: Kind
    text: str
    read_as: str
    problem: str
    fix: str


def traps(path: str | os.PathLike[str], *, shown: str | None = None) -> tuple[Trap, ...]:
    """Return the traps of a file, in the order of the file.

    YAML is looked at as PyYAML reads it, by the rules of YAML 1.1. In JSON and TOML there is only text that looks like a
    number. INI and ``.env`` files and Python modules have none: no program types their values as anything else.

    Args:
        path: a file of params, as in `read_params`.
        shown: how the file is called; the path itself when not given.

    Raises:
        ParamsFileError, UsageError: as in `read_params`.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "train.yaml")
    >>> _ = file.write_text("lr: 1e-3\\nshuffle: off\\n")
    >>> [(trap.line, trap.path, trap.text, trap.read_as, trap.fix) for trap in traps(file)]
    [(1, 'lr', '1e-3', "the text '1e-3'", '1.0e-3'), (2, 'shuffle', 'off', 'False', "false, or 'off' for the text")]
    """
    name = shown if shown is not None else os.fspath(path)
    return traps_text(content(path, name), os.fspath(path), name)


def traps_text(data: bytes, name: str, shown: str) -> tuple[Trap, ...]:
    """Return the traps of a file whose bytes are at hand; arguments and errors as in `read_params_text`.

    >>> [trap.kind for trap in traps_text(b"at: 12:30:00\\n", "train.yaml", "v1:train.yaml")]
    ['sexagesimal']
    """
    ending = PurePath(name).suffix.lower()
    if ending in _YAML_ENDINGS:
        return _yaml_traps(decoded(data, shown), shown)
    found = read_params_text(data, name, shown)
    if ending not in _QUOTED_ENDINGS:
        return ()
    return tuple(
        _quoted(shown, _line(found.origins[leaf].at, shown), None, leaf, text)
        for leaf, value in flatten(found.values).items()
        for text in _texts(value)
        if _looks_like_number(leaf, text)
    )


def _line(at: str | None, shown: str) -> int | None:
    line = (at or "").removeprefix(f"{shown}:")
    return int(line) if line.isdecimal() else None


def _texts(value: Value) -> list[str]:
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _yaml_traps(text: str, shown: str) -> tuple[Trap, ...]:
    found: list[Trap] = []

    def watch(seen: Scalar) -> None:
        trap = _trap(shown, seen)
        if trap is not None:
            found.append(trap)

    whole(Document(shown, text, "params"), partial(read_yaml, watch=watch))
    return tuple(found)


def _trap(shown: str, seen: Scalar) -> Trap | None:
    path = path_text(seen.keys)
    if seen.quoted:
        number = not seen.is_key and _looks_like_number(path, seen.text)
        return _quoted(shown, seen.line, seen.column, path, seen.text) if number else None
    judge = _BY_TAG.get(seen.tag) if not seen.is_key else _KEYS.get(seen.tag)
    judged = judge(seen, path) if judge is not None else None
    return Trap(shown, seen.line, seen.column, path, judged[0], seen.text, *judged[1:]) if judged is not None else None


_Judged = tuple[Kind, str, str, str]


def _text(seen: Scalar, path: str) -> _Judged | None:
    text = seen.text
    read_as = f"the text {text!r}"
    if text in _YES_OR_NO:
        fix = f"{_YES_OR_NO[text]}, or {text!r} for the text"
        return "boolean-word", read_as, "a single letter is a boolean for some readers of YAML and text for others", fix
    if text in ("None", "none"):
        return "null-word", read_as, "YAML's word for nothing is another one", "null"
    number = scalar(text) if text[:1] in "+-.0123456789niNI" else None
    if not isinstance(number, (int, float)):
        return None
    if text.startswith("0o"):
        return "octal", read_as, "YAML 1.1 writes octal numbers another way", str(number)
    if match := _NUMBER.fullmatch(text):
        return "numeric-text", read_as, _numeric_problem(match), _numeric_fix(match)
    return "numeric-text", read_as, "YAML writes this number with a dot before it", _not_finite(number)


def _numeric_problem(match: re.Match[str]) -> str:
    if match[3] is None:
        return "YAML 1.1 takes it for text"
    return "YAML 1.1 wants a dot in the number and a sign in the exponent"


def _numeric_fix(match: re.Match[str]) -> str:
    plus_or_minus, digits, letter, exponent_sign, exponent = match.groups(default="")
    sign = plus_or_minus.strip("+")
    whole, _, fraction = digits.partition(".")
    whole = whole.lstrip("0") or "0"
    if not letter and "." not in digits:
        return sign + whole
    power = f"{letter}{exponent_sign or '+'}{exponent}" if letter else ""
    return f"{sign}{whole}.{fraction or '0'}{power}"


def _not_finite(number: float) -> str:
    if number != number:
        return ".nan"
    return ".inf" if number > 0 else "-.inf"


def _number(seen: Scalar, path: str) -> _Judged | None:
    text = seen.text
    read_as = f"the number {seen.value}"
    if ":" in text:
        return "sexagesimal", read_as, "digits with colons are a number to the base 60", f"'{text}'"
    if _OCTAL.fullmatch(text) and seen.value != int(text):
        return (
            "octal",
            read_as,
            "a 0 at the beginning makes the number octal",
            f"{int(text)}, or {seen.value} if octal is meant",
        )
    if "_" in text:
        return "underscore", read_as, "other readers take digits with '_' for text", str(seen.value)
    if _ROUNDED_VERSION.fullmatch(text) and "version" in path.lower():
        return "version", read_as, "the last 0 of a version is lost in a number", f"'{text}'"
    return None


def _boolean(seen: Scalar, path: str) -> _Judged | None:
    if seen.text.lower() in ("true", "false"):
        return None
    fix = f"{str(seen.value).lower()}, or '{seen.text}' for the text"
    return "boolean-word", str(seen.value), "the bare word is a boolean", fix


def _date(seen: Scalar, path: str) -> _Judged:
    kind = "date and time" if hasattr(seen.value, "hour") else "date"
    assert isinstance(seen.value, date)
    return "date", f"the {kind} {seen.value}", "the program gets an object of datetime, not text", f"'{seen.text}'"


def _constant_key(seen: Scalar, path: str) -> _Judged:
    return (
        "boolean-key",
        str(seen.value),
        "the bare word is no text, so the program has no key of that name",
        f"'{seen.text}'",
    )


_BY_TAG: dict[str, Callable[[Scalar, str], _Judged | None]] = {
    "str": _text,
    "int": _number,
    "float": _number,
    "bool": _boolean,
    "timestamp": _date,
}
_KEYS: dict[str, Callable[[Scalar, str], _Judged | None]] = {"bool": _constant_key, "null": _constant_key}


def _looks_like_number(path: str, text: str) -> bool:
    """Tell whether a quoted text was perhaps meant as a number; a version, or an id with zeros before it, was not."""
    match = _NUMBER.fullmatch(text)
    padded = match is not None and match[2][:1] == "0" and match[2][1:2].isdecimal()
    return match is not None and not padded and "version" not in path.lower()


def _quoted(file: str, line: int | None, column: int | None, path: str, text: str) -> Trap:
    match = _NUMBER.fullmatch(text)
    fix = _numeric_fix(match) if match is not None else text
    problem = "text that looks like a number"
    written = json.dumps(text, ensure_ascii=False)
    return Trap(file, line, column, path, "quoted-number", written, f"the text {text!r}", problem, fix)
