from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitparams.capture.overrides import overrides_layer, parse_override, scalar
from gitparams.errors import UsageError
from gitparams.params import Layer, Origin, Overridden, path_text
from gitparams.values import same

inf, nan = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("", ""),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("off", "off"),
        ("3", 3),
        ("-3", -3),
        ("017", 17),
        ("0x1F", 31),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("5.", 5.0),
        (".inf", inf),
        ("-.INF", -inf),
        ("-inf", -inf),
        ("Infinity", inf),
        ("nan", nan),
        (".NaN", nan),
        ("1.2.3", "1.2.3"),
        ("2026-11-23", "2026-11-23"),
        ("12:30:00", "12:30:00"),
        ("e5", "e5"),
        ("٣", "٣"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_plain_scalar_has_the_type_yaml_1_2_gives_it(text: str, value: Any) -> None:
    assert same(scalar(text), value)


@pytest.mark.parametrize(
    ("text", "keys", "value"),
    [
        ("optim.lr=0.01", ("optim", "lr"), 0.01),
        ('["a=b"].c=1', ("a=b", "c"), 1),
        ("k=", ("k",), ""),
        ("k=a=b", ("k",), "a=b"),
        ("k=http://x:1/?a=b", ("k",), "http://x:1/?a=b"),
        ("k= 3", ("k",), " 3"),
        ("k='3'", ("k",), "3"),
        ('k="3"', ("k",), "3"),
        ("k='it''s'", ("k",), "it's"),
        (r'k="\ud83d\ude00"', ("k",), "\U0001f600"),
        (r'k="\x41"', ("k",), "A"),
        ("""k="a" and "b" """.strip(), ("k",), '"a" and "b"'),
        ("k='", ("k",), "'"),
        ("k=[]", ("k",), []),
        ("k=[1, 1e-3, yes, '2', null]", ("k",), [1, 0.001, "yes", "2", None]),
        ("k={a: 1, b: {c: [x]}, d: , e}", ("k",), {"a": 1, "b": {"c": ["x"]}, "d": None, "e": None}),
        ("k=[!!str 1]", ("k",), ["1"]),
    ],
)
def test_an_override_is_a_path_and_a_typed_value(text: str, keys: tuple[str, ...], value: Any) -> None:
    found_keys, found = parse_override(text)

    assert found_keys == keys
    assert same(found, value)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("lr", "'lr' is not an override: it has no '='.", "-p optim.lr=0.01"),
        ("=3", "'' is not a path of a param.", "-p optim.lr=0.01"),
        ("a b=3", "'a b' is not a path of a param.", "-p optim.lr=0.01"),
    ],
)
def test_what_is_no_override_is_answered_with_an_example(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_override(text)

    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == (message, hint, 2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("k=[1, 2", "column 8: expected ',' or ']', but got the end"),
        ("k=[1] x", "column 7: something follows its end"),
        ("k=[1]\n---\n2", "column 7: something follows its end"),
        ("k={a: 1, a: 2}", "column 10: key 'a' is written twice"),
        ("k={[1]: 2}", "column 4: a key is a word, not a list or mapping"),
        ("k=[*a]", "column 4: anchors and aliases have no place in an override"),
        ("k=[&a 1]", "column 4: anchors and aliases have no place in an override"),
        ("k=[!foo 1]", "column 4: the tag !foo has no place in an override"),
        ("k=[\x00]", "column 3: it holds a character that YAML does not allow"),
        ("k=" + "[" * 3000 + "]" * 3000, "column 3: it is nested too deeply"),
    ],
)
def test_a_malformed_list_is_answered_with_its_column(text: str, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_override(text)

    assert caught.value.message == f"-p {text}: {problem}."
    assert caught.value.hint == """-p 'layers=[64, 64]', or -p 'note="[text]"'"""


def test_the_layer_remembers_each_override() -> None:
    assert overrides_layer(["optim.lr=0.1", "seed=1", "optim={name: adam}"]) == Layer(
        {"optim": {"lr": 0.1, "name": "adam"}, "seed": 1},
        {
            "optim.lr": Origin("cli", "-p optim.lr=0.1"),
            "optim.name": Origin("cli", "-p optim={name: adam}"),
            "seed": Origin("cli", "-p seed=1"),
        },
    )


def test_of_the_same_path_twice_the_later_wins() -> None:
    assert overrides_layer(["lr=0.1", "lr=0.01"]) == Layer(
        {"lr": 0.01}, {"lr": Origin("cli", "-p lr=0.01", (Overridden(0.1, "cli", "-p lr=0.1"),))}
    )


def test_no_overrides_are_an_empty_layer() -> None:
    assert overrides_layer([]) == Layer({}, {})


@given(st.integers() | st.floats() | st.booleans())
def test_a_number_reads_back_from_its_repr(value: Any) -> None:
    assert same(parse_override(f"k={value!r}")[1], value)


@given(st.text())
def test_a_quoted_text_reads_back(text: str) -> None:
    assert parse_override(f"k={json.dumps(text)}") == (("k",), text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_text_in_single_quotes_reads_back(text: str) -> None:
    assert parse_override("k='" + text.replace("'", "''") + "'") == (("k",), text)


@given(st.lists(st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none()))
def test_a_list_reads_back_from_its_json(values: list[Any]) -> None:
    assert same(parse_override(f"k={json.dumps(values)}")[1], values)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="=")), min_size=1).map(tuple))
def test_any_path_can_be_overridden(keys: tuple[str, ...]) -> None:
    assert parse_override(f"{path_text(keys)}=1") == (keys, 1)


@given(st.text())
def test_any_text_is_an_override_or_a_usage_error(text: str) -> None:
    try:
        parse_override(text)
    except UsageError as error:
        assert error.hint
