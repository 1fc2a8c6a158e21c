"""Overrides as people type them, ``-p optim.lr=0.01``: their paths, the types of their values, and what they may change.

Values follow the core rules of YAML 1.2, so ``1e-3`` is a float, ``017`` is 17, and ``yes``, ``on`` and ``2026-11-23``
are text. Beyond YAML, ``nan``, ``inf`` and ``Infinity`` need no leading dot, as Python writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gitparams.errors import ParamsError, UsageError
from gitparams.params import MISSING, Layer, Origin, flatten, get, layer, path_keys, path_text, put, stack, to_dict
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


def split_override(text: str) -> tuple[tuple[str, ...], str]:
    """Return the path before the first ``=`` that is no part of it, and the text after that.

    Raises:
        UsageError: there is no ``=``, or what is before it is no path.

    >>> split_override("note=a=b"), split_override('["a=b"].c=1')
    ((('note',), 'a=b'), (('a=b', 'c'), '1'))
    """
    match = _OVERRIDE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not an override: it has no '='.", hint=_EXAMPLE)
    return _keys(match[1]), match[2]


def parse_override(text: str) -> tuple[tuple[str, ...], Value]:
    """Return the path and the value of one override, ``K=V`` or ``+K=V``.

    Args:
        text: K is a path; V is a plain scalar, a quoted text, or a list or mapping as in ``[1, 2]`` and ``{a: 1}``. A ``+``
            before K, or two as Hydra writes it, is no part of the path; the path ``["+a"]`` begins with one.

    Raises:
        UsageError: there is no ``=``, K is no path, or the list or mapping is malformed.

    >>> parse_override("optim.lr=1e-3"), parse_override("layers=[64, 64]"), parse_override("note=a=b")
    ((('optim', 'lr'), 0.001), (('layers',), [64, 64]), (('note',), 'a=b'))
    """
    keys, value = split_override(text.lstrip("+"))
    return keys, _value(value, text)


def overrides_layer(texts: Sequence[str]) -> Layer:
    """Return the layer of the overrides of a command line; of the same path twice, the later wins.

    Args:
        texts: each ``K=V`` or ``+K=V``. ``~K`` takes away what is below this layer, and so has no place in it.

    Raises:
        UsageError: one of them is not an override, or is ``~K``.

    >>> overrides_layer(["optim.lr=0.1", "optim.lr=0.01"]).origins["optim.lr"].overrode
    (Overridden(value=0.1, source='cli', at='-p optim.lr=0.1'),)
    """
    removal = next((text for text in texts if text.startswith("~")), None)
    if removal is not None:
        raise UsageError(f"-p {removal}: there is nothing to remove it from.", hint="name the file that declares it")
    return stack([_one_layer(text) for text in texts])


def apply_overrides(base: Layer, texts: Sequence[str], *, strict: bool = True) -> Layer:
    """Return a layer with overrides on top, in their order.

    Args:
        base: what the files declare.
        texts: each ``K=V``, ``+K=V`` (the key may be new) or ``~K`` (the key, or the whole mapping, goes). A mapping
            as V is merged into the one that is there.
        strict: when the base declares keys, ``K=V`` must name one of them, with a value where it has a value; and what
            ``~K`` removes must be there. Otherwise new keys are let in, and what is not there need not be removed.

    Raises:
        UsageError: one of them is not an override, or names a key that is not declared; near misses are suggested.

    >>> declared = layer({"optim": {"lr": 0.1, "name": "sgd"}}, "file", "train.yaml")
    >>> apply_overrides(declared, ["optim.lr=0.01", "+seed=3", "~optim.name"]).values
    {'optim': {'lr': 0.01}, 'seed': 3}
    >>> apply_overrides(declared, ["optim.lrr=0.01"])
    Traceback (most recent call last):
    gitparams.errors.UsageError: -p optim.lrr=0.01: no 'optim.lrr' is declared; did you mean optim.lr?
    """
    result = base
    for text in texts:
        if text.startswith("~"):
            result = _without(result, text, strict)
            continue
        if strict and base.values and not text.startswith("+"):
            _check(result.values, *parse_override(text), text)
        result = stack([result, _one_layer(text)])
    return result


def _one_layer(text: str) -> Layer:
    keys, value = parse_override(text)
    values: dict[str, Value] = {}
    put(values, keys, value)
    return layer(values, "cli", f"-p {text}")


def _keys(path: str) -> tuple[str, ...]:
    try:
        return path_keys(path)
    except ParamsError as error:
        raise UsageError(error.message, hint=_EXAMPLE) from None


def _check(declared: Mapping[str, Value], keys: tuple[str, ...], value: Value, text: str) -> None:
    found = get(declared, keys)
    if isinstance(found, dict) and isinstance(value, dict):
        for key, item in value.items():
            _check(declared, (*keys, key), item, text)
        return
    path = path_text(keys)
    if isinstance(found, dict):
        holds = f"a mapping of {_several(list(found))}" if found else "an empty mapping"
        raise _not_declared(text, f"{path!r} is {holds}, which this would replace.", "sets it anyway")
    if found is MISSING:
        above = _value_above(declared, keys)
        if above is not None:
            raise _not_declared(text, f"{path_text(above)!r} is a value, so nothing is below it.", "sets it anyway")
        raise _not_declared(text, f"no {path!r} is declared{_suggestion(_near(declared, keys))}", "adds it")


def _several(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _not_declared(text: str, problem: str, effect: str) -> UsageError:
    from shlex import quote

    return UsageError(f"-p {text}: {problem}", hint=f"-p {quote('+' + text)} {effect}; --no-strict lets new keys in")


def _value_above(declared: Mapping[str, Value], keys: tuple[str, ...]) -> tuple[str, ...] | None:
    above = (keys[:length] for length in range(1, len(keys)))
    return next((path for path in above if not isinstance(get(declared, path), (dict, type(MISSING)))), None)


def _suggestion(near: list[str]) -> str:
    return f"; did you mean {' or '.join(near)}?" if near else "."


def _near(declared: Mapping[str, Value], keys: tuple[str, ...]) -> list[str]:
    """Return declared paths that look like the given one, as a whole or in their last key; the best first."""
    from difflib import get_close_matches

    by_path = {path_text(path): path[-1] for path in _paths(declared, ()) if path != keys[: len(path)]}
    last_keys = get_close_matches(keys[-1], set(by_path.values()), n=3, cutoff=0.75)
    whole = get_close_matches(path_text(keys), by_path, n=3, cutoff=0.75)
    same_key = [path for path, last in by_path.items() if last in last_keys]
    same_key.sort(key=lambda path: last_keys.index(by_path[path]))
    return list(dict.fromkeys([*whole, *same_key]))[:3]


def _paths(mapping: Mapping[str, Value], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for key, value in mapping.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from _paths(value, (*above, key))


def _without(base: Layer, text: str, strict: bool) -> Layer:
    keys = _removed_keys(text)
    if get(base.values, keys) is MISSING:
        if not strict:
            return base
        near = _near(base.values, keys)
        raise UsageError(f"-p {text}: there is no {path_text(keys)!r} to remove{_suggestion(near)}", hint=_removal(near))
    values = to_dict(base.values)
    inside = get(values, keys[:-1])
    del inside[keys[-1]]
    emptied = Origin("cli", f"-p {text}")  # of a mapping that lost its last key: it is a leaf now
    return Layer(values, {path: base.origins.get(path, emptied) for path in flatten(values)})


def _removed_keys(text: str) -> tuple[str, ...]:
    written = text.removeprefix("~")
    if _OVERRIDE.fullmatch(written) is None:
        return _keys(written)
    keys, value = split_override(written)
    if value:
        raise UsageError(f"-p {text}: a key is removed without a value.", hint=_removal([path_text(keys)]))
    return keys


def _removal(near: list[str]) -> str:
    from shlex import quote

    return f"-p {quote('~' + near[0])}" if near else "--no-strict lets a key be removed that is not there"


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


def _joined(text: str) -> str:
    """Return the text with the two halves of a character, which JSON escapes one by one, as that character."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


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
        text = _joined(event.value)
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
            key = _joined(event.value)
            if key in items:
                raise self.error(event, f"key {key!r} is written twice")
            items[key] = self.value(next(self.events))
        return items

    def error(self, event: Any, problem: str) -> UsageError:
        return _malformed(self.override, self.first_column + event.start_mark.index, problem)
