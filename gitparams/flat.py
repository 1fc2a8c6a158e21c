"""Flat: params and metrics as one flat JSON document, whose keys are of a safe alphabet and whose values carry their type.

It is how the index keeps them: SQL then compares numbers with numbers and text with text, and a path is a plain literal.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from gitparams.params import path_text
from gitparams.values import Value, decode_json, encode_json

_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_DEEPEST = 200
_SAFE = re.compile(r"[A-Za-z0-9_-]+")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_ESCAPED = re.compile(r"%([0-9a-f]+);")


@lru_cache(maxsize=100_000)
def written(flat: str) -> str:
    """Return the written path of a flat one.

    >>> written("data.a%2e;b")
    'data["a.b"]'
    """
    return path_text(keys_of(flat))


@contextmanager
def no_collecting() -> Iterator[None]:
    """Keep the collector away while many values are made and none of them in a circle: it takes as long as all the rest."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def flat_key(keys: Sequence[str]) -> str:
    """Return a path in the index's own alphabet: letters, digits, ``_`` and ``-``, the rest escaped, joined by dots.

    >>> flat_key(("data", "a.b"))
    'data.a%2e;b'
    """
    return ".".join(key if _SAFE.fullmatch(key) else _escaped(key) for key in keys)


def keys_of(flat: str) -> tuple[str, ...]:
    """Return the keys of a flat path, the inverse of `flat_key`.

    >>> keys_of("data.a%2e;b")
    ('data', 'a.b')
    """
    return tuple(map(key_of, flat.split(".")))


def flat_document(mapping: Mapping[str, Any], keys: set[str] | None = None) -> str:
    """Return a nested mapping as one flat JSON mapping whose values carry their type.

    A finite number is itself and an infinity ``9e999``; text is prefixed with ``s``, a list is its JSON after ``l``; true,
    false, null, NaN and the empty mapping are ``b1``, ``b0``, ``n``, ``x`` and ``m``. The flat keys are added to `keys`.

    >>> flat_document({"optim": {"lr": 0.1, "name": "sgd"}, "amp": True})
    '{"optim.lr":0.1,"optim.name":"ssgd","amp":"b1"}'
    """
    flat: dict[str, Any] = {}
    _fill(mapping, "", flat)
    if keys is not None and not keys.issuperset(flat):
        keys.update(flat)
    try:
        return _ENCODER.encode(flat)
    except ValueError:
        return "{" + ",".join(f"{json.dumps(key)}:{_number_text(value)}" for key, value in flat.items()) + "}"


def decode_flat(text: str) -> dict[str, Value]:
    """Return the values of a flat document by their flat keys."""
    return {key: value_of_text(value) if isinstance(value, str) else value for key, value in json.loads(text).items()}


def _fill(mapping: Mapping[str, Any], prefix: str, flat: dict[str, Any], depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST} mappings")
    for key, value in mapping.items():
        path = prefix + _flat_part(key)
        kind = type(value)
        if kind is float or kind is int:
            flat[path] = value if value == value else "x"
        elif kind is str:
            flat[path] = "s" + value
        elif kind is dict or isinstance(value, Mapping):
            if value:
                _fill(value, path + ".", flat, depth + 1)
            else:
                flat[path] = "m"
        elif value is None:
            flat[path] = "n"
        elif kind is bool:
            flat[path] = "b1" if value else "b0"
        else:
            flat[path] = "l" + encode_json(value, indent=None).decode("utf-8")


@lru_cache(maxsize=100_000)
def _flat_part(key: str) -> str:
    return key if _SAFE.fullmatch(key) else _escaped(key)


def value_of_text(text: str) -> Value:
    """Return the value of a text of a flat document, which carries its type.

    >>> value_of_text("s1"), value_of_text("b1"), value_of_text("l[1]")
    ('1', True, [1])
    """
    kind = text[0]
    if kind == "s":
        return text[1:]
    if kind == "l":
        return decode_json(text[1:])
    return _CONSTANTS[text] if text != "m" else {}


TOKENS = json.JSONDecoder(parse_float=str, parse_int=str)
"""Reads a flat document and leaves numbers as their text: 1 and 1.0 are two values, and most of them are only compared."""


def value_of_token(token: str) -> Value:
    """Return the value of what `TOKENS` read: a number's text, or text that carries its type.

    >>> value_of_token("1.0"), value_of_token("s1"), value_of_token("b1")
    (1.0, '1', True)
    """
    text = token if token[0] in "-0123456789" else json.dumps(token)
    return decode_flat(f'{{"value":{text}}}')["value"]


_CONSTANTS: dict[str, Value] = {"b1": True, "b0": False, "n": None, "x": float("nan")}


def nested_of(flat: Mapping[str, Value]) -> dict[str, Any]:
    """Return the nested mapping of flat keys.

    >>> nested_of({"optim.lr": 0.1, "data.a%2e;b": 1})
    {'optim': {'lr': 0.1}, 'data': {'a.b': 1}}
    """
    result: dict[str, Any] = {}
    for path, value in flat.items():
        *above, key = path.split(".")
        inner = result
        for part in above:
            inner = inner.setdefault(key_of(part), {})
        inner[key_of(key)] = value
    return result


def _number_text(value: Any) -> str:
    if value in (float("inf"), float("-inf")):
        return "9e999" if value > 0 else "-9e999"
    return json.dumps(value)


def _escaped(key: str) -> str:
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]):x};", key) if key else "%;"


@lru_cache(maxsize=100_000)
def key_of(part: str) -> str:
    """Return a key by its flat spelling.

    >>> key_of("a%2e;b")
    'a.b'
    """
    if "%" not in part:
        return part
    return "" if part == "%;" else _ESCAPED.sub(lambda match: chr(int(match[1], 16)), part)
