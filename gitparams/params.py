"""Params: the resolved config of a run, its origins, and the paths that name a value inside it.

A path is written as people write it, ``optim.lr``; a key that would not read back (it holds a dot, a bracket, a quote, ``=``,
white space, or is empty) is written as a JSON string in brackets: ``data["a.b"].size``. Lists are leaves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitparams.errors import ParamsError
from gitparams.values import Value, same

_BARE_KEY = re.compile(r"""[^\s.=\[\]"'\\\x00-\x1f\x7f]+""")
_STRING_KEY = re.compile(r'\[("(?:[^"\\]|\\.)*")\]')

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING", "__bool__": lambda self: False})()
"""Stands for the value of a path that a run does not have; None is a value like any other."""


class Params(dict[str, Any]):
    """A resolved config: a dict whose keys can also be read and set as attributes.

    Methods of dict win over keys of the same name, and ``cfg["items"]`` always works. A plain dict that is set or read as
    an attribute becomes `Params`, also within lists, so that ``cfg.optim = {"lr": 0.1}; cfg.optim.lr`` works. It pickles,
    copies and goes through `json.dumps` as the dict it is.

    Raises:
        AttributeError: the key is not there; near misses are suggested.

    >>> cfg = Params(optim=Params(lr=0.1))
    >>> cfg.optim.lr, cfg["optim"]["lr"], "optim" in cfg
    (0.1, 0.1, True)
    >>> cfg.optim.warmup = 500
    >>> cfg
    Params({'optim': Params({'lr': 0.1, 'warmup': 500})})
    """

    __slots__ = ()

    def __getattr__(self, key: str) -> Any:
        try:
            value = self[key]
        except KeyError:
            raise AttributeError(_no_such_key(key, self)) from None
        if _holds_plain(value):
            value = self[key] = _nested_value(value)
        return value

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = _nested_value(value) if _holds_plain(value) else value

    def __delattr__(self, key: str) -> None:
        try:
            del self[key]
        except KeyError:
            raise AttributeError(_no_such_key(key, self)) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(key for key in self if key.isidentifier())]

    def __repr__(self) -> str:
        return f"Params({super().__repr__()})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Params, (dict(self),))

    def __copy__(self) -> Params:
        return Params(self)

    def copy(self) -> Params:
        """Return a shallow copy, as `dict.copy` does, that is `Params` too."""
        return Params(self)


class Reads:
    """Which leaves of a loaded config its program has read, and where their values came from."""

    __slots__ = ("layer", "seen")

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.seen: set[tuple[str, ...]] = set()

    @property
    def unread(self) -> tuple[str, ...]:
        """The written paths of the leaves that nobody read, sorted."""
        return tuple(sorted(path_text(keys) for keys, _ in leaves(self.layer.values) if keys not in self.seen))


class LoadedParams(Params):
    """`Params` that know which of their values were read; made by `gitparams.load`.

    A copy shares what is known; what goes through `pickle` has been read.

    >>> cfg = loaded(layer({"optim": {"lr": 0.1, "warmup": 500}, "seed": 1}, "file"))
    >>> cfg.optim.lr, dict(cfg)["seed"], reads_of(cfg).unread
    (0.1, 1, ('optim.warmup',))
    """

    __slots__ = ("_gitparams_above", "_gitparams_reads")
    __gitparams_untracked__ = True

    def __init__(self, mapping: Mapping[str, Any], reads: Reads, above: tuple[str, ...] = ()) -> None:
        object.__setattr__(self, "_gitparams_reads", reads)
        object.__setattr__(self, "_gitparams_above", above)
        super().__init__({key: _tracked(value, reads, (*above, key)) for key, value in mapping.items()})

    def __getitem__(self, key: str) -> Any:
        return self._read(key, super().__getitem__(key))

    def __iter__(self) -> Iterator[str]:  # its being here makes dict(cfg) and **cfg ask for each value
        return super().__iter__()

    def __copy__(self) -> Params:
        return self._copied(dict.items(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Params:
        import copy

        return self._copied((key, copy.deepcopy(value, memo)) for key, value in dict.items(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return (nested, (to_dict(self),))

    def copy(self) -> Params:
        """Return a shallow copy that shares what is known of the reads."""
        return self.__copy__()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, or the default."""
        return self[key] if key in self else default  # noqa: SIM401 - this is what get is made of

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a key and return its value, or the default."""
        return self._read(key, super().pop(key, *default))

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value of a key; one that is not there is set first."""
        return self._read(key, super().setdefault(key, default))

    def items(self) -> Any:
        """Return the pairs of key and value; they count as read."""
        self._read_all()
        return super().items()

    def values(self) -> Any:
        """Return the values; they count as read."""
        self._read_all()
        return super().values()

    def _read(self, key: str, value: Any) -> Any:
        if not isinstance(value, LoadedParams):
            self._gitparams_reads.seen.add((*self._gitparams_above, key))
        return value

    def _read_all(self) -> None:
        for key, value in dict.items(self):
            self._read(key, value)

    def _copied(self, pairs: Any) -> LoadedParams:
        twin = LoadedParams({}, self._gitparams_reads, self._gitparams_above)
        for key, value in pairs:
            twin[key] = value
        return twin


def loaded(whole: Layer) -> LoadedParams:
    """Return the params of a layer, which remember where they came from and what was read of them."""
    return LoadedParams(whole.values, Reads(whole))


def reads_of(params: Any) -> Reads | None:
    """Return what is known of the reads of loaded params; None for any other object."""
    return params._gitparams_reads if isinstance(params, LoadedParams) and not params._gitparams_above else None


def nested(mapping: Mapping[str, Any]) -> Params:
    """Return the mapping as `Params` all the way down, also inside lists.

    >>> nested({"a": {"b": [{"c": 1}]}}).a.b[0].c
    1
    """
    return Params({key: _nested_value(value) for key, value in mapping.items()})


def to_dict(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping as plain dicts all the way down.

    >>> to_dict(nested({"a": {"b": 1}}))
    {'a': {'b': 1}}
    """
    return {key: _plain_value(value) for key, value in mapping.items()}


def path_text(keys: tuple[str, ...]) -> str:
    """Return how a path is written.

    >>> path_text(("optim", "lr")), path_text(("data", "a.b", "size"))
    ('optim.lr', 'data["a.b"].size')
    """
    text = ""
    for key in keys:
        if _BARE_KEY.fullmatch(key):
            text += f".{key}" if text else key
        else:
            text += f"[{json.dumps(key, ensure_ascii=False)}]"
    return text


def path_keys(text: str) -> tuple[str, ...]:
    """Return the keys of a written path, the inverse of `path_text`.

    Raises:
        ParamsError: the text is not a path.

    >>> path_keys('data["a.b"].size')
    ('data', 'a.b', 'size')
    """
    keys: list[str] = []
    place = 0
    while place < len(text) or not keys:
        if match := _STRING_KEY.match(text, place):
            keys.append(_string_key(match[1], text))
        elif match := _BARE_KEY.match(text, place + 1 if keys and text[place : place + 1] == "." else place):
            if keys and text[place] != ".":
                raise ParamsError(f"{text!r} is not a path of a param: a dot is missing before {match[0]!r}.")
            keys.append(match[0])
        else:
            raise ParamsError(f"{text!r} is not a path of a param.", hint='optim.lr, or data["a.b"].size for odd keys')
        place = match.end()
    return tuple(keys)


def leaves(mapping: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the keys and value of every leaf; an empty mapping is a leaf.

    >>> list(leaves({"a": {"b": 1, "c": {}}}))
    [(('a', 'b'), 1), (('a', 'c'), {})]
    """
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            for keys, leaf in leaves(value):
                yield (key, *keys), leaf
        else:
            yield (key,), value


def flatten(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return every leaf under its written path; lists are leaves, an empty mapping too.

    >>> flatten({"optim": {"lr": 0.1}, "layers": [64, 64], "a.b": {}})
    {'optim.lr': 0.1, 'layers': [64, 64], '["a.b"]': {}}
    """
    flat: dict[str, Any] = {}
    _flatten(mapping, "", flat)
    return flat


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested mapping of written paths, the inverse of `flatten`.

    Raises:
        ParamsError: a path is not one, or one path runs through another's value.

    >>> unflatten({"optim.lr": 0.1, "optim.name": "adam"})
    {'optim': {'lr': 0.1, 'name': 'adam'}}
    """
    result: dict[str, Any] = {}
    for text, value in flat.items():
        put(result, path_keys(text) if not _BARE_KEY.fullmatch(text) else (text,), value)
    return result


def put(mapping: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    """Set the value at a path of a nested dict, making the mappings on the way.

    Raises:
        ParamsError: something on the way is a value, not a mapping.
    """
    for depth, key in enumerate(keys[:-1], 1):
        inner = mapping.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ParamsError(f"{path_text(keys)} cannot be set: {path_text(keys[:depth])} is a value, not a mapping.")
        mapping = inner
    mapping[keys[-1]] = value


def get(mapping: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """Return the value at a path, or `MISSING`.

    >>> get({"optim": {"lr": 0.1}}, ("optim", "lr")), get({}, ("lr",))
    (0.1, MISSING)
    """
    value: Any = mapping
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            return MISSING
        value = value[key]
    return value


def merge(*mappings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mappings merged by path, the later wins; a mapping against a value replaces it, and the other way round.

    >>> merge({"optim": {"lr": 0.1, "name": "sgd"}}, {"optim": {"lr": 0.01}})
    {'optim': {'lr': 0.01, 'name': 'sgd'}}
    """
    result: dict[str, Any] = {}
    for mapping in mappings:
        for key, value in mapping.items():
            mine = result.get(key)
            if isinstance(value, Mapping) and isinstance(mine, dict):
                result[key] = merge(mine, value)
            else:
                result[key] = to_dict(value) if isinstance(value, Mapping) else value
    return result


def differing(before: Mapping[str, Value], after: Mapping[str, Value]) -> dict[str, tuple[Any, Any]]:
    """Return path → (old, new) for two flattened configs, old or new `MISSING` where it has none; sorted by path.

    Values differ when their type does: ``1``, ``1.0``, ``True`` and ``"1"`` are four things.

    >>> differing({"lr": 0.1, "amp": 1}, {"lr": 0.01, "amp": True, "seed": 3})
    {'amp': (1, True), 'lr': (0.1, 0.01), 'seed': (MISSING, 3)}
    """
    changed = {}
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path, MISSING), after.get(path, MISSING)
        if not (old is new or (old is not MISSING and new is not MISSING and same(old, new))):
            changed[path] = (old, new)
    return changed


@dataclass(frozen=True)
class Overridden:
    """A value that lost against a later source.

    Attributes:
        value: what it was.
        source: as in `Origin`.
        at: as in `Origin`.
    """

    value: Value
    source: str
    at: str | None = None


@dataclass(frozen=True)
class Origin:
    """Where one value of the params came from, and what it overrode.

    Attributes:
        source: ``cli``, ``file``, ``env``, ``default``, ``code`` or the name of a reporter such as ``hydra``.
        at: the place inside the source: ``conf/train.yaml:12``, ``-p optim.lr=0.01``; None when there is none.
        overrode: the earlier values of the same path, the oldest first.
        also: source and place of those who said the very same value.
    """

    source: str
    at: str | None = None
    overrode: tuple[Overridden, ...] = ()
    also: tuple[tuple[str, str | None], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Layer:
    """One source of params: a nested mapping, and the origin of each of its leaves by written path."""

    values: Mapping[str, Value]
    origins: Mapping[str, Origin]


def layer(values: Mapping[str, Value], source: str, at: str | None = None) -> Layer:
    """Return a layer whose values all have one origin.

    >>> layer({"lr": 0.1}, "code").origins
    {'lr': Origin(source='code', at=None, overrode=())}
    """
    origin = Origin(source, at)
    return Layer(values, dict.fromkeys(flatten(values), origin))


def stack(layers: list[Layer]) -> Layer:
    """Merge layers by path, the later wins, and remember what each value overrode.

    A value that was said twice is no override; a mapping that replaces a value (or the other way round) overrides
    every leaf that goes with it.

    >>> both = stack([layer({"lr": 0.1, "seed": 1}, "file", "train.yaml"), layer({"lr": 0.01}, "cli")])
    >>> both.values, both.origins["lr"]
    ({'lr': 0.01, 'seed': 1}, Origin(source='cli', at=None, overrode=(Overridden(value=0.1, source='file', at='train.yaml'),)))
    """
    values: dict[str, Value] = {}
    origins: dict[str, Origin] = {}
    for upper in layers:
        lower_flat = flatten(values)
        values = merge(values, upper.values)
        merged_flat = flatten(values)
        upper_flat = flatten(upper.values)
        lost = {path: value for path, value in lower_flat.items() if path not in merged_flat}
        merged: dict[str, Origin] = {}
        for path in merged_flat:
            if path in upper_flat:
                merged[path] = _over(upper.origins[path], path, upper_flat[path], lower_flat, origins, lost)
            else:
                merged[path] = origins[path]
        origins = merged
    return Layer(values, origins)


def _over(
    origin: Origin,
    path: str,
    value: Value,
    lower: Mapping[str, Value],
    origins: Mapping[str, Origin],
    lost: Mapping[str, Value],
) -> Origin:
    if path in lower:
        below = origins[path]
        if same(lower[path], value):
            return _agreed(below, origin)
        overrode = (*below.overrode, Overridden(lower[path], below.source, below.at))
        return Origin(origin.source, origin.at, (*overrode, *origin.overrode), origin.also)
    swept: list[Overridden] = []
    for gone, old in lost.items():
        if gone.startswith((path + ".", path + "[")) or path.startswith((gone + ".", gone + "[")):
            below = origins[gone]
            swept.extend(below.overrode)
            if old != {}:
                swept.append(Overridden(old, below.source, below.at))
    return Origin(origin.source, origin.at, (*swept, *origin.overrode), origin.also)


def _agreed(below: Origin, origin: Origin) -> Origin:
    """Return the origin of a value that two sources said: the later one, unless it is only a default."""
    first, second = (below, origin) if origin.source == "default" else (origin, below)
    others = dict.fromkeys([(second.source, second.at), *below.also, *origin.also])
    others.pop((first.source, first.at), None)
    return Origin(first.source, first.at, (*below.overrode, *origin.overrode), tuple(others))


def _flatten(mapping: Mapping[str, Any], prefix: str, flat: dict[str, Any]) -> None:
    for key, value in mapping.items():
        if _BARE_KEY.fullmatch(key):
            path = f"{prefix}.{key}" if prefix else key
        else:
            path = f"{prefix}[{json.dumps(key, ensure_ascii=False)}]"
        kind = type(value)
        if value and (kind is dict or kind is Params or isinstance(value, Mapping)):
            _flatten(value, path, flat)
        else:
            flat[path] = value


def _holds_plain(value: Any) -> bool:
    """Tell whether a value is a dict that is not `Params`, or a list with one in it."""
    return type(value) is dict or (type(value) is list and any(map(_holds_plain, value)))


def _nested_value(value: Any) -> Any:
    kind = type(value)
    if kind is float or kind is int or kind is str:
        return value
    if isinstance(value, Mapping):
        return nested(value)
    if isinstance(value, list):
        return [_nested_value(item) for item in value]
    return value


def _tracked(value: Any, reads: Reads, above: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping) and value:
        return LoadedParams(value, reads, above)
    return _nested_value(value)


def _plain_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return to_dict(value)
    if isinstance(value, list):
        return [_plain_value(item) for item in value]
    return value


def _string_key(quoted: str, text: str) -> str:
    try:
        key: str = json.loads(quoted)
    except ValueError:
        raise ParamsError(f"{text!r} is not a path of a param: {quoted} is not a JSON string.") from None
    return key


def _no_such_key(key: str, mapping: Mapping[str, Any]) -> str:
    import difflib

    near = difflib.get_close_matches(key, [name for name in mapping if isinstance(name, str)], n=3)
    return f"no param {key!r}" + (f"; did you mean {', '.join(near)}?" if near else "")
