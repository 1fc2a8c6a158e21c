"""Any object of a program as a value that params can hold: one rule for each kind, and never an exception.

=============================================  =====================================================================
object                                         value
=============================================  =====================================================================
None, bool, int, float, str                    itself; a subclass as the plain type; an int of more than 4300 digits
                                               as hex text (Python's own limit for decimal text)
mapping                                        mapping; see the keys below
list, tuple, deque, view of a dict             list
namedtuple                                     mapping
set, frozenset                                 list, sorted by (name of the type, value)
range, slice                                   text: ``range(0, 10, 2)``
path                                           its text, as given
bytes, bytearray, memoryview                   text when it is UTF-8, else ``hex:…``
Enum                                           its value when that is a str, else its name (flags: ``R|W``)
date, datetime, time                           ISO 8601 text
timedelta                                      seconds, a float
Decimal                                        int or float when that is exact, else text
Fraction, complex, UUID                        text
re.Pattern                                     the pattern
dataclass, attrs, pydantic (v1 and v2) object  mapping of its fields, pydantic's extras too
argparse.Namespace, types.SimpleNamespace      mapping of its attributes
OmegaConf container                            what it holds, interpolations resolved; one that fails as it is written
ml_collections ConfigDict                      the same, references resolved; ``???`` where a required value is missing
pydantic SecretStr and the like                its mask
numpy scalar, 0-d tensor                       the Python number; numpy.datetime64 as ISO 8601 text
numpy array                                    nested list up to 1000 elements, else
                                               ``array(shape=(3, 224, 224), dtype=float32)``
torch tensor                                   the same, ``tensor(shape=(3, 224), dtype=torch.float32)``
numpy and torch dtype, torch.device            text: ``float32``, ``torch.float32``, ``cuda:0``
class, function, method                        ``module.qualname``
functools.partial                              mapping: ``_target_``, ``_partial_``, ``_args_`` when any, the keywords
module                                         its name
what holds itself                              ``<cycle>``
what is nested deeper than 100                 ``<too deep>``
anything else                                  its repr when its class has one without a memory address, cut after
                                               10,000 characters, else ``<module.Class>``; iterators are not consumed
what fails on the way                          ``<module.Class>``
=============================================  =====================================================================

Keys of mappings: text stays; any other key is the text of its value (``null``, ``true``, ``1``, ``0.5``, the name of an
Enum), or ``str(key)`` where that value is no text or number, as for a tuple. When two keys become the same text, those
that were no text get their type's name appended: ``1 (int)``.

Libraries are never imported here: an object of numpy exists only where numpy is in `sys.modules` already.

This file is also loaded by its path into the user's own program, where the Python may be 3.8 and gitparams is not
installed; so it is written for 3.8, and its top imports nothing but small modules of the standard library.
"""

from __future__ import annotations

import collections.abc
import json
import sys
import types
from functools import lru_cache

# typing itself would be a third of what loading this file costs a program
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from gitparams.values import Value

    _Above = set[int]
    _Rule = Callable[[Any, _Above], Value]

_AS_IS = frozenset({type(None), bool, float, str})
_DEEPEST = 100
_LONGEST_REPR = 10_000
_MOST_ELEMENTS = 1000
_TOO_LONG_FOR_DECIMAL = 10**4300


def plain(value: Any) -> Value:
    """Return any object as a value that params can hold, by the rules of this module.

    Args:
        value: anything; it is not changed, and iterators are not consumed.

    >>> import datetime, pathlib
    >>> plain({"path": pathlib.PurePosixPath("data/train"), "day": datetime.date(2026, 11, 23), "layers": (64, 64), 1: len})
    {'path': 'data/train', 'day': '2026-11-23', 'layers': [64, 64], '1': 'builtins.len'}
    """
    return _plain(value, set())


def plain_mapping(config: Any) -> dict[str, Value]:
    """Return a config as a mapping that params can hold.

    Args:
        config: a mapping, Namespace, dataclass, attrs or pydantic object, OmegaConf container …: what `plain` turns
            into a mapping.

    Raises:
        ParamsError: it is something else.

    >>> import types
    >>> plain_mapping(types.SimpleNamespace(lr=0.1, betas=(0.9, 0.999)))
    {'lr': 0.1, 'betas': [0.9, 0.999]}
    """
    values = plain(config)
    if isinstance(values, dict):
        return values
    from gitparams.errors import ParamsError

    raise ParamsError(
        f"A {_type_name(type(config))} cannot be the params of a run.",
        hint="a mapping, Namespace, dataclass, attrs or pydantic object, or an OmegaConf container",
    )


def key_texts(keys: Sequence[Any]) -> list[str]:
    """Return the text of each key of one mapping, all of them different.

    >>> key_texts(["lr", 1, "1", None])
    ['lr', '1 (int)', '1', 'null']
    """
    texts = [key if type(key) is str else _key_text(key) for key in keys]
    if len(set(texts)) == len(texts):
        return texts
    shared = {text for text, count in collections.Counter(texts).items() if count > 1}
    taken = {text for key, text in zip(keys, texts) if isinstance(key, str) or text not in shared}
    for place, (key, text) in enumerate(zip(keys, texts)):
        if text in shared and not isinstance(key, str):
            while text in taken:
                text = f"{text} ({type(key).__name__})"
            if text == texts[place]:
                text = f"{text} ({type(key).__name__})"
            taken.add(text)
            texts[place] = text
    return texts


def _plain(value: Any, above: _Above) -> Value:
    kind: Any = type(value)
    if kind in _AS_IS:
        known: Value = value
        return known
    try:
        if kind is dict:
            return _inside(_mapping, value, above)
        return _rule_of(kind)(value, above)
    except Exception:  # noqa: BLE001 - a config may hold anything, and whatever its code does must not stop a training
        return f"<{_type_name(kind)}>"


def _inside(rule: _Rule, value: Any, above: _Above) -> Value:
    if id(value) in above:
        return "<cycle>"
    if len(above) >= _DEEPEST:
        return "<too deep>"
    above.add(id(value))
    try:
        return rule(value, above)
    finally:
        above.discard(id(value))


def _holder(rule: _Rule) -> _Rule:
    return lambda value, above: _inside(rule, value, above)


def _text(convert: Callable[[Any], Value]) -> _Rule:
    return lambda value, above: convert(value)


def _mapping(value: Any, above: _Above) -> Value:
    pairs = list(_items_of(type(value))(value))
    if all(type(key) is str for key, _ in pairs):
        return {key: item if type(item) in _AS_IS else _plain(item, above) for key, item in pairs}
    texts = key_texts([key for key, _ in pairs])
    return {text: _plain(item, above) for text, (_, item) in zip(texts, pairs)}


def _items_of(kind: Any) -> Any:
    # A config of ours notes what the program reads; this reading is not the program's. Looked up on the class, since an
    # attribute dict may hold a key named items.
    untracked = issubclass(kind, dict) and getattr(kind, "__gitparams_untracked__", False)
    return dict.items if untracked else kind.items


def _list(value: Any, above: _Above) -> Value:
    return [item if type(item) in _AS_IS else _plain(item, above) for item in value]


def _tuple(value: Any, above: _Above) -> Value:
    names = getattr(type(value), "_fields", None)
    if isinstance(names, tuple):
        return {name: _plain(item, above) for name, item in zip(names, value)}
    return _list(value, above)


def _set(value: Any, above: _Above) -> Value:
    named = [(type(item).__name__, _plain(item, above)) for item in value]
    try:
        ordered = sorted(named)
    except TypeError:
        ordered = sorted(named, key=repr)
    return [item for _, item in ordered]


def _attributes(value: Any, above: _Above) -> Value:
    return _mapping(vars(value), above)


def _fields_of(names: Callable[[Any], Iterable[str]]) -> _Rule:
    def rule(value: Any, above: _Above) -> Value:
        present = [name for name in names(value) if hasattr(value, name)]
        return {name: _plain(getattr(value, name), above) for name in present}

    return _holder(rule)


def _dataclass_names(value: Any) -> list[str]:
    from dataclasses import fields

    return [field.name for field in fields(value)]


def _attrs_names(value: Any) -> list[str]:
    return [attribute.name for attribute in type(value).__attrs_attrs__]


def _pydantic_names(value: Any) -> list[str]:
    kind = type(value)
    if hasattr(kind, "model_fields"):
        return [*kind.model_fields, *(value.__pydantic_extra__ or ())]
    return [*kind.__fields__, *(name for name in vars(value) if name not in kind.__fields__)]


def _omegaconf(value: Any, above: _Above) -> Value:
    return _plain(_resolved(value, sys.modules["omegaconf"].OmegaConf), above)


def _resolved(config: Any, omegaconf: Any) -> Any:
    try:
        return omegaconf.to_container(config, resolve=True, throw_on_missing=False)
    except Exception:  # noqa: BLE001 - a resolver is the user's own code and raises what it likes
        written = omegaconf.to_container(config, resolve=False, throw_on_missing=False)
    if isinstance(written, dict):
        return {key: _resolved_item(config, key, item, omegaconf) for key, item in written.items()}
    if isinstance(written, list):
        return [_resolved_item(config, place, item, omegaconf) for place, item in enumerate(written)]
    return written


def _resolved_item(config: Any, key: Any, written: Any, omegaconf: Any) -> Any:
    """Return one item of a config in which something cannot be resolved: that alone stays as it is written."""
    if written == "???":
        return written
    try:
        item = config[key]
    except Exception:  # noqa: BLE001 - as above
        return written
    return _resolved(item, omegaconf) if omegaconf.is_config(item) else item


def _config_dict(value: Any, above: _Above) -> Value:
    return {str(key): _plain(item, above) for key, item in value.items(preserve_field_references=True)}


def _field_reference(value: Any, above: _Above) -> Value:
    try:
        return _plain(value.get(), above)
    except sys.modules["ml_collections.config_dict"].RequiredValueError:  # type: ignore[misc, unused-ignore]
        return "???"


def _partial(value: Any, above: _Above) -> Value:
    target: dict[str, Value] = {"_target_": _plain(value.func, above), "_partial_": True}
    if value.args:
        target["_args_"] = _list(value.args, above)
    return {**target, **{name: _plain(item, above) for name, item in value.keywords.items()}}


def _int(value: int) -> Value:
    number = int.__int__(value)
    return number if -_TOO_LONG_FOR_DECIMAL < number < _TOO_LONG_FOR_DECIMAL else hex(number)


def _enum(value: Any) -> Value:
    if isinstance(value.value, str):
        return str.__str__(value.value)
    return str(value.value if value.name is None else value.name)


def _bytes(value: Any) -> Value:
    data = bytes(value)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return f"hex:{data.hex()}"


def _path(value: Any) -> Value:
    import os

    return os.fsdecode(value)


def _decimal(value: Any) -> Value:
    if not value.is_finite():
        return str(value) if value.is_snan() else float(value)
    if value.as_tuple().exponent >= 0 and value.adjusted() < 4300:
        return int(value)
    number = float(value)
    return number if type(value)(repr(number)) == value else str(value)


def _pattern(value: Any, above: _Above) -> Value:
    return _plain(value.pattern, above)


def _numpy_scalar(value: Any, above: _Above) -> Value:
    number = value.item()
    # numpy.longdouble has no Python number of its own, and nanoseconds would become a bare int
    return str(value) if value.dtype.kind == "M" or isinstance(number, type(value)) else _plain(number, above)


def _numpy_array(value: Any, above: _Above) -> Value:
    if value.size > _MOST_ELEMENTS:
        return f"array(shape={tuple(value.shape)}, dtype={value.dtype})"
    return _plain((value.astype(str) if value.dtype.kind == "M" else value).tolist(), above)


def _torch_tensor(value: Any, above: _Above) -> Value:
    if value.numel() > _MOST_ELEMENTS or value.device.type == "meta":
        return f"tensor(shape={tuple(value.shape)}, dtype={value.dtype})"
    here = value.detach().cpu()
    return _plain((here.to_dense() if here.is_sparse else here).tolist(), above)


def _other(value: Any, above: _Above) -> Value:
    alias = isinstance(value, getattr(types, "GenericAlias", ()))  # list[int], from 3.9 on
    if callable(value) and isinstance(getattr(value, "__qualname__", None), str) and not alias:
        return _qualified_name(value)
    kind = type(value)
    bare: object = object.__repr__
    text = " at 0x" if kind.__repr__ is bare else str.__str__(repr(value))
    if " at 0x" in text:
        return f"<{_type_name(kind)}>"
    return text if len(text) <= _LONGEST_REPR else text[:_LONGEST_REPR] + "…"


def _qualified_name(value: Any) -> str:
    module = getattr(value, "__module__", None)
    return f"{module}.{value.__qualname__}" if isinstance(module, str) else str(value.__qualname__)


def _type_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _key_text(key: Any) -> str:
    if isinstance(key, bool) or key is None:
        return json.dumps(key)
    value = plain(key)
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return json.dumps(value)
    try:
        text = str.__str__(str(key))
    except Exception:  # noqa: BLE001 - a key's __str__ is the user's own code
        text = " at 0x"
    return f"<{_type_name(type(key))}>" if " at 0x" in text else text


# The first that fits is the rule. Classes are named, so that nothing is imported to recognise what cannot be there.
_RULES: tuple[tuple[str, str, _Rule], ...] = (
    ("builtins", "type", _text(_qualified_name)),
    ("enum", "Enum", _text(_enum)),
    ("builtins", "int", _text(_int)),
    ("builtins", "float", _text(float.__float__)),
    ("builtins", "str", _text(str.__str__)),
    ("omegaconf", "Container", _omegaconf),
    ("ml_collections", "ConfigDict", _holder(_config_dict)),
    ("ml_collections", "FieldReference", _holder(_field_reference)),
    ("collections.abc", "Mapping", _holder(_mapping)),
    ("builtins", "list", _holder(_list)),
    ("builtins", "tuple", _holder(_tuple)),
    ("builtins", "set", _holder(_set)),
    ("builtins", "frozenset", _holder(_set)),
    ("collections", "deque", _holder(_list)),
    ("collections.abc", "MappingView", _holder(_list)),
    ("builtins", "range", _text(repr)),
    ("builtins", "slice", _text(repr)),
    ("builtins", "complex", _text(str)),
    ("builtins", "bytes", _text(_bytes)),
    ("builtins", "bytearray", _text(_bytes)),
    ("builtins", "memoryview", _text(_bytes)),
    ("os", "PathLike", _text(_path)),
    ("datetime", "date", _text(lambda value: str(value.isoformat()))),
    ("datetime", "time", _text(lambda value: str(value.isoformat()))),
    ("datetime", "timedelta", _text(lambda value: float(value.total_seconds()))),
    ("decimal", "Decimal", _text(_decimal)),
    ("fractions", "Fraction", _text(str)),
    ("uuid", "UUID", _text(str)),
    ("re", "Pattern", _pattern),
    ("types", "ModuleType", _text(lambda value: str(value.__name__))),
    ("functools", "partial", _holder(_partial)),
    ("types", "SimpleNamespace", _holder(_attributes)),
    ("argparse", "Namespace", _holder(_attributes)),
    ("numpy", "generic", _numpy_scalar),
    ("numpy", "ndarray", _holder(_numpy_array)),
    ("numpy", "dtype", _text(str)),
    ("torch", "Tensor", _torch_tensor),
    ("torch", "dtype", _text(str)),
    ("torch", "device", _text(str)),
)

_MARKED: tuple[tuple[str, _Rule], ...] = (
    ("get_secret_value", _text(str)),
    ("__dataclass_fields__", _fields_of(_dataclass_names)),
    ("__attrs_attrs__", _fields_of(_attrs_names)),
    ("__pydantic_fields__", _fields_of(_pydantic_names)),
    ("model_fields", _fields_of(_pydantic_names)),
    ("__fields__", _fields_of(_pydantic_names)),
)


@lru_cache(maxsize=256)
def _rule_of(kind: type) -> _Rule:
    for module, name, rule in _RULES:
        known = getattr(sys.modules.get(module), name, None)
        if isinstance(known, type) and issubclass(kind, known):
            return rule
    return next((rule for mark, rule in _MARKED if hasattr(kind, mark)), _other)
