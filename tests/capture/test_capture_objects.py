from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import os
import pathlib
import re
import sys
import types
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import attrs
import numpy as np
import omegaconf
import pydantic
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import v1 as pydantic_v1

from gitparams.capture.objects import key_texts, plain, plain_mapping
from gitparams.errors import ParamsError
from gitparams.values import decode_json, encode_json, same

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("$float"), inner, max_size=4),
    max_leaves=20,
)
objects = st.recursive(
    st.one_of(
        json_like,
        st.binary(),
        st.complex_numbers(),
        st.decimals(),
        st.fractions(),
        st.datetimes(),
        st.dates(),
        st.times(),
        st.timedeltas(),
        st.uuids(),
        st.functions(),
        st.just(object()),
        st.sampled_from([int, len, re.compile("a"), iter("abc"), Ellipsis, NotImplemented, range(3), slice(1), sys]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.dates()), inner, max_size=3
        ),
        st.builds(lambda value: types.SimpleNamespace(value=value), inner),
        st.builds(lambda value: functools.partial(print, value, sep=value), inner),
    ),
    max_leaves=10,
)


class Color(enum.Enum):
    RED = 1
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 3


class Access(enum.Flag):
    R = 1
    W = 2


class Point(NamedTuple):
    x: int
    y: float


@dataclasses.dataclass
class Optim:
    lr: float = 0.1
    name: str = "adam"
    state: dict[str, Any] = dataclasses.field(default_factory=dict)
    later: int = dataclasses.field(init=False)


@attrs.define
class Data:
    root: pathlib.PurePath
    size: int = 3
    cache: str = attrs.field(init=False)


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", protected_namespaces=())
    depth: int = 2
    inner: list[Model] = []
    key: pydantic.SecretStr = pydantic.SecretStr("hunter2")


class OldModel(pydantic_v1.BaseModel):
    depth: int = 2

    class Config:
        extra = "allow"


class Fails:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Bare:
    pass


class Described:
    def __repr__(self) -> str:
        return "Described()"


class Addressed:
    def __repr__(self) -> str:
        return f"<Addressed at {hex(id(self))}>"


class FailingMapping(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise OSError("gone")

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


class Tracked(dict[str, Any]):
    __gitparams_untracked__ = True

    def items(self) -> Any:
        raise AssertionError("this counts as read by the program")


class AttributeDict(dict[str, Any]):
    def items(self) -> Any:
        return [(key.lower(), value) for key, value in dict.items(self)]


def test_a_float_keeps_its_last_bit() -> None:
    assert plain(0.1 + 0.2) == 0.30000000000000004


@pytest.mark.parametrize("value", [None, True, False, 0, -7, 2**70, 1.5, "text", "", [], {}])
def test_a_value_stays_as_it_is(value: Any) -> None:
    assert same(plain(value), value)


def test_subclasses_become_the_plain_type() -> None:
    text, number, ratio = type("T", (str,), {})("a"), type("I", (int,), {})(3), type("F", (float,), {})(0.5)

    result = plain([text, number, ratio, np.float64(0.1), np.str_("b")])

    assert result == ["a", 3, 0.5, 0.1, "b"]
    assert isinstance(result, list)
    assert [type(item) for item in result] == [str, int, float, float, str]


def test_an_int_too_long_for_decimal_text_becomes_hex() -> None:
    assert plain(10**4300) == hex(10**4300)
    assert plain(-(10**4300)) == hex(-(10**4300))
    assert plain(10**4300 - 1) == 10**4300 - 1


def test_keys_that_are_no_text_become_their_json_text() -> None:
    config = {None: 0, True: 1, 2: 2, 0.5: 3, Color.RED: 4, Color.BLUE: 5, (1, 2): 6, "a.b": 7, pathlib.PurePosixPath("p/q"): 8}

    assert plain(config) == {"null": 0, "true": 1, "2": 2, "0.5": 3, "RED": 4, "blue": 5, "(1, 2)": 6, "a.b": 7, "p/q": 8}


def test_keys_that_become_the_same_text_are_told_apart_by_type() -> None:
    assert plain({1: "int", "1": "str"}) == {"1 (int)": "int", "1": "str"}
    assert plain({None: 0, "null": 1, "null (NoneType)": 2}) == {
        "null (NoneType) (NoneType)": 0,
        "null": 1,
        "null (NoneType)": 2,
    }
    assert key_texts([1, pathlib.PurePosixPath("1")]) == ["1 (int)", "1 (PurePosixPath)"]


def test_a_key_without_text_of_its_own_is_named_by_its_class() -> None:
    assert plain({Bare(): 1}) == {f"<{__name__}.Bare>": 1}


def test_sequences_become_lists_and_a_namedtuple_a_mapping() -> None:
    views = {"a": 1}

    result = plain(
        [(1, 2), collections.deque([3]), Point(1, 2.0), views.keys(), views.values(), views.items(), range(0, 10, 2)]
    )

    assert result == [[1, 2], [3], {"x": 1, "y": 2.0}, ["a"], [1], [["a", 1]], "range(0, 10, 2)"]


def test_a_set_is_sorted_by_type_and_value() -> None:
    assert plain({10, 9, "b", "a", 2.5}) == [2.5, 9, 10, "a", "b"]
    assert plain(frozenset({(2, "x"), (1, "y")})) == [[1, "y"], [2, "x"]]
    assert plain({(1, None), (1, "y")}) == [[1, "y"], [1, None]]


def test_iterators_are_not_consumed() -> None:
    numbers = (number for number in range(3))

    assert plain(numbers) == "<builtins.generator>"
    assert list(numbers) == [0, 1, 2]


def test_paths_and_bytes_become_text() -> None:
    assert plain([pathlib.PurePosixPath("data/train"), b"abc", bytearray(b"\xff\x00"), memoryview(b"x")]) == [
        "data/train",
        "abc",
        "hex:ff00",
        "x",
    ]


def test_an_enum_is_its_text_or_its_name() -> None:
    assert plain([Color.RED, Color.BLUE, Level.LOW, Access.R | Access.W, Access(0)]) == ["RED", "blue", "LOW", "R|W", "0"]


def test_times_are_iso_text_and_durations_seconds() -> None:
    moment = datetime.datetime(2026, 11, 23, 19, 30, 1, tzinfo=datetime.UTC)

    assert plain([moment, moment.date(), moment.time(), datetime.timedelta(minutes=1.5)]) == [
        "2026-11-23T19:30:01+00:00",
        "2026-11-23",
        "19:30:01",
        90.0,
    ]


def test_a_decimal_is_a_number_only_when_that_is_exact() -> None:
    values = [decimal.Decimal(text) for text in ("3", "1E+3", "0.1", "0.10000000000000000001", "Infinity", "sNaN", "1E+5000")]

    assert same(plain(values), [3, 1000, 0.1, "0.10000000000000000001", float("inf"), "sNaN", "1E+5000"])


def test_numbers_json_does_not_know_become_text() -> None:
    identity = uuid.UUID(int=5)

    result = plain([fractions.Fraction(1, 3), 1 + 2j, identity, re.compile("a+"), re.compile(b"b"), slice(0, 4, None)])

    assert result == ["1/3", "(1+2j)", "00000000-0000-0000-0000-000000000005", "a+", "b", "slice(0, 4, None)"]


def test_a_numpy_scalar_is_the_python_number() -> None:
    values = [np.float32(0.1), np.int64(3), np.bool_(True), np.complex64(1j), np.datetime64("2026-11-23", "ns")]

    assert same(plain(values), [0.10000000149011612, 3, True, "1j", "2026-11-23T00:00:00.000000000"])
    assert plain(np.longdouble(0.5)) == "0.5"


def test_a_small_numpy_array_is_a_list_and_a_large_one_its_shape() -> None:
    result = plain([np.arange(4).reshape(2, 2), np.array(7), np.zeros(1000), np.zeros((3, 224, 224), np.float32)])

    assert result == [[[0, 1], [2, 3]], 7, [0.0] * 1000, "array(shape=(3, 224, 224), dtype=float32)"]
    assert plain(np.array(["2026-11-23"], "M8[ns]")) == ["2026-11-23T00:00:00.000000000"]
    assert plain(np.array([Color.RED, None], dtype=object)) == ["RED", None]


def test_dtypes_and_devices_are_text() -> None:
    values = [np.dtype("float32"), np.float32, torch.float32, torch.device("cuda:0"), torch.device("cpu")]

    assert plain(values) == ["float32", "numpy.float32", "torch.float32", "cuda:0", "cpu"]


def test_a_tensor_is_a_number_a_list_or_its_shape() -> None:
    tensors = [
        torch.tensor(3),
        torch.ones(2, requires_grad=True),
        torch.nn.Parameter(torch.zeros(1)),
        torch.tensor([0.5], dtype=torch.bfloat16),
        torch.eye(2).to_sparse(),
        torch.zeros(3, 400),
        torch.zeros(2, device="meta"),
        torch.Size([3, 4]),
    ]

    assert plain(tensors) == [
        3,
        [1.0, 1.0],
        [0.0],
        [0.5],
        [[1.0, 0.0], [0.0, 1.0]],
        "tensor(shape=(3, 400), dtype=torch.float32)",
        "tensor(shape=(2,), dtype=torch.float32)",
        [3, 4],
    ]


def test_a_dataclass_is_a_mapping_of_the_fields_it_has() -> None:
    assert plain(Optim(state={"step": (1,)})) == {"lr": 0.1, "name": "adam", "state": {"step": [1]}}


def test_an_attrs_object_is_a_mapping_of_the_fields_it_has() -> None:
    assert plain(Data(pathlib.PurePosixPath("d"))) == {"root": "d", "size": 3}


def test_a_pydantic_model_is_a_mapping_with_its_extras_and_masked_secrets() -> None:
    assert plain(Model(inner=[Model(depth=1)], extra=3)) == {  # type: ignore[call-arg]
        "depth": 2,
        "inner": [{"depth": 1, "inner": [], "key": "**********"}],
        "key": "**********",
        "extra": 3,
    }


def test_a_pydantic_v1_model_is_a_mapping_with_its_extras() -> None:
    assert plain(OldModel.parse_obj({"depth": 4, "extra": 3})) == {"depth": 4, "extra": 3}


def test_a_config_of_ours_does_not_count_as_read() -> None:
    assert plain({"a": Tracked(b=[Tracked(c=1)])}) == {"a": {"b": [{"c": 1}]}}


def test_a_dict_of_somebody_else_gives_its_own_items() -> None:
    assert plain(AttributeDict(LR=0.1, items=1)) == {"lr": 0.1, "items": 1}


def test_a_hundred_thousand_keys_are_kept() -> None:
    config = {f"key{number}": {"value": number} for number in range(100_000)}

    assert plain(config) == config


def test_namespaces_are_mappings() -> None:
    assert plain([argparse.Namespace(lr=0.1), types.SimpleNamespace(items=1)]) == [{"lr": 0.1}, {"items": 1}]


def test_omegaconf_is_resolved_where_it_can_be() -> None:
    good = omegaconf.OmegaConf.create({"lr": 0.1, "twice": "${lr}", "layers": [1, 2], "needed": "???"})
    bad = omegaconf.OmegaConf.create(
        {"lr": "${nowhere}", 1: 2, "n": 2, "two": "${n}", "in": [{"a": "${oc.env:NONE}", "b": "${n}"}]}
    )

    assert plain(good) == {"lr": 0.1, "twice": 0.1, "layers": [1, 2], "needed": "???"}
    assert plain(bad) == {"lr": "${nowhere}", "1": 2, "n": 2, "two": 2, "in": [{"a": "${oc.env:NONE}", "b": 2}]}
    assert plain(good.layers) == [1, 2]


def test_functions_classes_and_modules_are_their_names() -> None:
    values = [len, int, Optim, plain, Described().__repr__, functools.lru_cache(plain), os.path, list[int]]

    assert plain(values) == [
        "builtins.len",
        "builtins.int",
        f"{__name__}.Optim",
        "gitparams.capture.objects.plain",
        f"{__name__}.Described.__repr__",
        "gitparams.capture.objects.plain",
        "posixpath",
        "list[int]",
    ]


def test_a_partial_names_its_target() -> None:
    assert plain(functools.partial(int, base=2)) == {"_target_": "builtins.int", "_partial_": True, "base": 2}
    assert plain(functools.partial(pow, 2)) == {"_target_": "builtins.pow", "_partial_": True, "_args_": [2]}


def test_what_holds_itself_is_marked() -> None:
    config: dict[str, Any] = {"shared": (shared := [1]), "again": shared}
    config["self"] = config

    assert plain(config) == {"shared": [1], "again": [1], "self": "<cycle>"}


def test_what_is_nested_too_deeply_is_cut() -> None:
    nested: Any = "bottom"
    for _ in range(100):
        nested = [nested]

    held = plain(nested)
    cut = plain([nested])

    for _ in range(100):
        held, cut = held[0], cut[0]  # type: ignore[index]
    assert (held, cut) == ("bottom", "<too deep>")


def test_anything_else_is_its_repr_unless_that_holds_an_address() -> None:
    long = type("Long", (), {"__repr__": lambda self: "x" * 20_000})()

    result = plain([Described(), Bare(), Addressed(), Fails(), Ellipsis, long])

    assert result == [
        "Described()",
        f"<{__name__}.Bare>",
        f"<{__name__}.Addressed>",
        f"<{__name__}.Fails>",
        "Ellipsis",
        "x" * 10_000 + "…",
    ]


def test_what_fails_does_not_take_its_neighbours_along() -> None:
    assert plain({"bad": FailingMapping(), "good": 1}) == {"bad": f"<{__name__}.FailingMapping>", "good": 1}


def test_plain_does_not_import_what_it_recognises() -> None:
    import subprocess

    program = (
        "import sys; from gitparams.capture.objects import plain; plain([1, object(), {2}, print]);"
        "print(sorted({'numpy', 'torch', 'pydantic', 'omegaconf', 'attrs', 'attr', 'yaml', 'argparse'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_plain_mapping_takes_whatever_is_a_mapping() -> None:
    assert plain_mapping(Optim()) == {"lr": 0.1, "name": "adam", "state": {}}
    assert plain_mapping(types.MappingProxyType({"a": 1})) == {"a": 1}


@pytest.mark.parametrize(("config", "name"), [([1], "builtins.list"), (None, "builtins.NoneType"), ("a", "builtins.str")])
def test_plain_mapping_names_what_it_cannot_take(config: Any, name: str) -> None:
    with pytest.raises(ParamsError) as caught:
        plain_mapping(config)

    assert str(caught.value) == f"A {name} cannot be the params of a run."


@given(json_like)
def test_plain_values_go_through_json_unchanged(value: Any) -> None:
    assert same(decode_json(encode_json(plain(value))), value)


@given(objects)
def test_plain_never_raises_and_its_result_is_plain(value: Any) -> None:
    once = plain(value)

    assert same(plain(once), once)
    assert same(decode_json(encode_json(once)), once)
