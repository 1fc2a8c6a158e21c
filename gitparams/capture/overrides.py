"""Overrides as people type them, ``-p optim.lr=0.01``: their paths, and the types of their values.

Values follow the core rules of YAML 1.2, so ``1e-3`` is a float, ``017`` is 17, and ``yes``, ``on`` and ``2026-11-23``
are text. Beyond YAML, ``nan``, ``inf`` and ``Infinity`` need no leading dot, as Python writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from gitparams.errors import ParamsError, UsageError
from gitparams.params import Layer, layer, path_keys, put, stack
from gitparams.values import Value

_EXAMPLE = "-p optim.lr=0.01"
# possessive: a key in brackets may hold "=", and must not be tried a second way
_OVERRIDE = re.compile(r'((?:\["(?:[^"\\]|\\.)*"\]|[^=])*+)=(.*)', re.DOTALL)
_CONSTANTS: dict[str, bool | None] = {"~": None}
_CONSTANTS.update(dict.fromkeys(("null", "Null", "NULL")))
_CONSTANTS.update(dict.fromkeys(("true", "True", "TRUE"), True))
_CONSTANTS.update(dict.fromkeys(("false", "False", "FALSE"), False))
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?(?:\.?(?:inf|Inf|INF)|Infinity)|\.?(?:nan|NaN|NAN)")


def scalar(text: str) -> Value:
    """Return the value of a plain scalar: null, bool, int and float by the rules above, any other text as it is.

    >>> [scalar(text) for text in ("1e-3", "017", "0x1f", "true", "yes", "~", "-.inf", "")]
    [0.001, 17, 31, True, 'yes', None, -inf, '']
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def parse_override(text: str) -> tuple[tuple[str, ...], Value]:
    """Return the path and the value of one override, ``K=V``.

    Args:
        text: K is a path; V is a plain scalar, a quoted text, or a list or mapping as in ``[1, 2]`` and ``{a: 1}``.

    Raises:
        UsageError: there is no ``=``, K is no path, or the list or mapping is malformed.

    >>> parse_override("optim.lr=1e-3"), parse_override("layers=[64, 64]"), parse_override("note=a=b")
    ((('optim', 'lr'), 0.001), (('layers',), [64, 64]), (('note',), 'a=b'))
    """
    match = _OVERRIDE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not an override: it has no '='.", hint=_EXAMPLE)
    try:
        keys = path_keys(match[1])
    except ParamsError as error:
        raise UsageError(error.message, hint=_EXAMPLE) from None
    return keys, _value(match[2], text)


def overrides_layer(texts: Sequence[str]) -> Layer:
    """Return the layer of the overrides of a command line; of the same path twice, the later wins.

    Raises:
        UsageError: one of them is not an override, or one path runs through another's value.

    >>> overrides_layer(["optim.lr=0.1", "optim.lr=0.01"]).origins["optim.lr"].overrode
    (Overridden(value=0.1, source='cli', at='-p optim.lr=0.1'),)
    """
    return stack([_one_layer(text) for text in texts])


def _one_layer(text: str) -> Layer:
    keys, value = parse_override(text)
    values: dict[str, Value] = {}
    put(values, keys, value)
    return layer(values, "cli", f"-p {text}")


def _integer(text: str) -> Value:
    try:
        return int(text)
    except ValueError:  # more digits than Python reads
        return text


def _value(value: str, override: str) -> Value:
    if value[:1] in ("[", "{"):
        return _flow(value, override)
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return _quoted(value)
    return scalar(value)


def _quoted(value: str) -> Value:
    import json

    import yaml

    try:
        if value[0] == '"':
            text: str = json.loads(value)
            return text
    except ValueError:
        pass
    try:
        node = yaml.compose(value, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return value
    return str(node.value) if isinstance(node, yaml.ScalarNode) and node.style in ("'", '"') else value


def _flow(value: str, override: str) -> Value:
    import yaml

    first_column = len(override) - len(value) + 1
    try:
        return _Flow(value, override, first_column).read()
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark.index if error.problem_mark else 0
        raise _malformed(override, first_column + place, _problem(error.problem or "not YAML")) from None
    except yaml.YAMLError:
        raise _malformed(override, first_column, "it holds a character that YAML does not allow") from None
    except RecursionError:
        raise _malformed(override, first_column, "it is nested too deeply") from None


def _problem(problem: str) -> str:
    if problem.startswith("expected '<document start>'"):
        return "something follows its end"
    return problem.replace("'<stream end>'", "the end")


def _malformed(override: str, column: int, problem: str) -> UsageError:
    return UsageError(f"-p {override}: column {column}: {problem}.", hint="""-p 'layers=[64, 64]', or -p 'note="[text]"'""")


class _Flow:
    """Reads one list or mapping from the events of its YAML."""

    def __init__(self, value: str, override: str, first_column: int) -> None:
        import yaml

        self.yaml: Any = yaml
        self.events: Iterator[Any] = yaml.parse(value, Loader=yaml.SafeLoader)
        self.override, self.first_column = override, first_column

    def read(self) -> Value:
        _stream_start, _document_start = next(self.events), next(self.events)
        value = self.value(next(self.events))
        end = next(self.events)
        following = next(self.events)
        if not isinstance(following, self.yaml.StreamEndEvent):
            raise self.error(end, "something follows its end")
        return value

    def value(self, event: Any) -> Value:
        if getattr(event, "anchor", None) is not None:
            raise self.error(event, "anchors and aliases have no place in an override")
        if event.tag not in (None, "tag:yaml.org,2002:str"):
            raise self.error(event, f"the tag {event.tag} has no place in an override")
        if isinstance(event, self.yaml.SequenceStartEvent):
            return self.sequence()
        if isinstance(event, self.yaml.MappingStartEvent):
            return self.mapping()
        text = str(event.value)
        return text if event.style or event.tag else scalar(text) if text else None

    def sequence(self) -> Value:
        items: list[Value] = []
        while not isinstance(event := next(self.events), self.yaml.SequenceEndEvent):
            items.append(self.value(event))
        return items

    def mapping(self) -> Value:
        items: dict[str, Value] = {}
        while not isinstance(event := next(self.events), self.yaml.MappingEndEvent):
            if not isinstance(event, self.yaml.ScalarEvent):
                raise self.error(event, "a key is a word, not a list or mapping")
            if event.value in items:
                raise self.error(event, f"key {event.value!r} is written twice")
            items[event.value] = self.value(next(self.events))
        return items

    def error(self, event: Any, problem: str) -> UsageError:
        return _malformed(self.override, self.first_column + event.start_mark.index, problem)
