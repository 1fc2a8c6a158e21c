"""The values that a ledger holds, and their exact JSON.

A value is None, a bool, an int of any size, a float, a str, a list of values or a mapping from str to values.
The JSON is always valid RFC 8259. What that cannot say is tagged: a float that is not finite is the mapping
``{"$float": "NaN"}`` (or ``"Infinity"``, ``"-Infinity"``); a mapping whose only key is ``$float``, ``$$float`` …
gets one more ``$``, so that no params of a user can be taken for a tag.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Union

Value = Union[None, bool, int, float, str, "list[Value]", "dict[str, Value]"]

DEEPEST = 250
"""Mappings and lists within each other that are read; what works on values calls itself, and a stack has an end."""
MOST_INSIDE = 200_000
"""Mappings and lists that one JSON may hold: three bytes of it become a hundred of memory."""
_FLOAT_TAG = "$float"
_TAG_LIKE = re.compile(r"\$+float\Z")
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def float_name(number: float) -> str:
    """Return the JSON name of a float that is not finite.

    >>> float_name(float("-inf"))
    '-Infinity'
    """
    if number != number:
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def encode_json(value: Value, *, indent: int | None = 2) -> bytes:
    """Return the exact JSON of a value: UTF-8, keys sorted, final newline when indented.

    Equal values give equal bytes, so equal params share one git blob. A lone surrogate is written as its
    ``\\ud800`` escape, since UTF-8 cannot hold it.

    >>> encode_json({"lr": 1e-3, "loss": float("nan")}, indent=None)
    b'{"loss":{"$float":"NaN"},"lr":0.001}'
    """
    separators = (",", ":") if indent is None else (",", ": ")
    try:
        if indent is None:
            text = _COMPACT.encode(value)
        else:
            text = json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=separators)
        if _FLOAT_TAG[1:] + '"' in text:
            raise ValueError("may hold a mapping that looks like a tag")
    except ValueError:
        text = json.dumps(_tagged(value), indent=indent, sort_keys=True, ensure_ascii=False, separators=separators)
    return (text + "\n" if indent is not None else text).encode("utf-8", "backslashreplace")


def decode_json(data: bytes | str, *, strict: bool = False) -> Value:
    """Return the value that `encode_json` wrote.

    Args:
        data: the JSON.
        strict: refuse a mapping that holds a key twice; else the last counts, and other readers may take the first.

    Raises:
        ValueError: the bytes are not JSON (a `json.JSONDecodeError`), not UTF-8, or nested too deeply.

    >>> decode_json(b'{"loss":{"$float":"-Infinity"}}')
    {'loss': -inf}
    """
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    inside = text.count("[") + text.count("{")
    if inside > MOST_INSIDE:
        raise ValueError(f"more than {MOST_INSIDE} lists and mappings")
    try:
        result: Value = (_STRICT if strict else _TAGGED if _FLOAT_TAG in text else _PLAIN).decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if inside > DEEPEST and _deeper(result):
        raise ValueError("nested too deeply")
    return result


def printable(value: Value) -> Value:
    """Return the value for JSON that people and other programs read: non-finite floats become their names.

    >>> printable({"loss": [float("inf"), 1.5]})
    {'loss': ['Infinity', 1.5]}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return float_name(value)
    if isinstance(value, Mapping):
        return {key: printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [printable(item) for item in value]
    return value


def same(left: Value, right: Value) -> bool:
    """Tell whether two values are the same in type and value: ``1``, ``1.0``, ``True`` and ``"1"`` all differ, NaN equals NaN.

    >>> same([1, {"a": float("nan")}], [1, {"a": float("nan")}]), same(1, 1.0), same(0.0, -0.0)
    (True, False, False)
    """
    if type(left) is not type(right):
        return isinstance(left, dict) and isinstance(right, dict) and _same_mappings(left, right)
    if isinstance(left, float) and isinstance(right, float):
        return repr(left) == repr(right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return _same_mappings(left, right)
    return left == right


def _same_mappings(left: Mapping[str, Value], right: Mapping[str, Value]) -> bool:
    return left.keys() == right.keys() and all(same(item, right[key]) for key, item in left.items())


def _tagged(value: Value) -> Value:
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT_TAG: float_name(value)}
    if isinstance(value, Mapping):
        if len(value) == 1:
            (key,) = value
            if _TAG_LIKE.match(key):
                return {"$" + key: _tagged(value[key])}
        return {key: _tagged(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_tagged(item) for item in value]
    return value


def _untagged(mapping: dict[str, Value]) -> Value:
    if len(mapping) != 1:
        return mapping
    (key,) = mapping
    if key == _FLOAT_TAG:
        name = mapping[key]
        if not isinstance(name, str) or name not in _NON_FINITE:
            raise ValueError(f"unknown {_FLOAT_TAG} {name!r}")
        return _NON_FINITE[name]
    return {key[1:]: mapping[key]} if _TAG_LIKE.match(key) else mapping


def _deeper(value: Value) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        insides = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list))
        level = [item for inside in insides for item in inside if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _without_twins(pairs: list[tuple[str, Value]]) -> Value:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a key stands there twice")
    return _untagged(mapping)


def _refuse_constant(name: str) -> Value:
    raise ValueError(f"{name} is not JSON")


# Made once: json.loads with these arguments makes a decoder for each text, which is most of the time a small one takes.
_PLAIN = json.JSONDecoder(parse_constant=_refuse_constant)
_TAGGED = json.JSONDecoder(parse_constant=_refuse_constant, object_hook=_untagged)
_STRICT = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_without_twins)
_COMPACT = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
