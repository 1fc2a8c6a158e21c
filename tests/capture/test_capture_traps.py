from __future__ import annotations

import pathlib
import string
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gitparams.capture.traps import Trap, traps, traps_text
from gitparams.errors import ParamsFileError, UsageError

DOTS = "YAML 1.1 wants a dot in the number and a sign in the exponent"
TEXT = "YAML 1.1 takes it for text"
NOT_FINITE = "YAML writes this number with a dot before it"
OCTAL = "a 0 at the beginning makes the number octal"
OTHER_OCTAL = "YAML 1.1 writes octal numbers another way"
BASE_60 = "digits with colons are a number to the base 60"
WORD = "the bare word is a boolean"
LETTER = "a single letter is a boolean for some readers of YAML and text for others"
DATE = "the program gets an object of datetime, not text"
UNDERSCORE = "other readers take digits with '_' for text"
QUOTED = "text that looks like a number"


@pytest.mark.parametrize(
    ("text", "kind", "read_as", "problem", "fix"),
    [
        ("1e-3", "numeric-text", "the text '1e-3'", DOTS, "1.0e-3"),
        ("1e5", "numeric-text", "the text '1e5'", DOTS, "1.0e+5"),
        ("-1E-4", "numeric-text", "the text '-1E-4'", DOTS, "-1.0E-4"),
        ("1.5e3", "numeric-text", "the text '1.5e3'", DOTS, "1.5e+3"),
        (".5e3", "numeric-text", "the text '.5e3'", DOTS, "0.5e+3"),
        ("+3e2", "numeric-text", "the text '+3e2'", DOTS, "3.0e+2"),
        ("-.5", "numeric-text", "the text '-.5'", TEXT, "-0.5"),
        ("089", "numeric-text", "the text '089'", TEXT, "89"),
        ("nan", "numeric-text", "the text 'nan'", NOT_FINITE, ".nan"),
        ("-inf", "numeric-text", "the text '-inf'", NOT_FINITE, "-.inf"),
        ("Infinity", "numeric-text", "the text 'Infinity'", NOT_FINITE, ".inf"),
        ("017", "octal", "the number 15", OCTAL, "17, or 15 if octal is meant"),
        ("-0_17", "octal", "the number -15", OCTAL, "-17, or -15 if octal is meant"),
        ("0o17", "octal", "the text '0o17'", OTHER_OCTAL, "15"),
        ("12:30:00", "sexagesimal", "the number 45000", BASE_60, "'12:30:00'"),
        ("1:30", "sexagesimal", "the number 90", BASE_60, "'1:30'"),
        ("1:30.5", "sexagesimal", "the number 90.5", BASE_60, "'1:30.5'"),
        ("on", "boolean-word", "True", WORD, "true, or 'on' for the text"),
        ("Off", "boolean-word", "False", WORD, "false, or 'Off' for the text"),
        ("yes", "boolean-word", "True", WORD, "true, or 'yes' for the text"),
        ("NO", "boolean-word", "False", WORD, "false, or 'NO' for the text"),
        ("y", "boolean-word", "the text 'y'", LETTER, "true, or 'y' for the text"),
        ("N", "boolean-word", "the text 'N'", LETTER, "false, or 'N' for the text"),
        ("None", "null-word", "the text 'None'", "YAML's word for nothing is another one", "null"),
        ("2026-11-23", "date", "the date 2026-11-23", DATE, "'2026-11-23'"),
        ("2026-11-23 10:00:00", "date", "the date and time 2026-11-23 10:00:00", DATE, "'2026-11-23 10:00:00'"),
        ("1_000", "underscore", "the number 1000", UNDERSCORE, "1000"),
        ("1_000.5", "underscore", "the number 1000.5", UNDERSCORE, "1000.5"),
    ],
)
def test_a_trap_of_yaml_says_what_is_read_and_what_to_write(text: str, kind: Any, read_as: str, problem: str, fix: str) -> None:
    assert traps_text(f"optim:\n  x: {text}\n".encode(), "a.yaml", "v1:a.yaml") == (
        Trap("v1:a.yaml", 2, 6, "optim.x", kind, text, read_as, problem, fix),
    )


PLAIN = [
    "1.0e-3",
    "0.1",
    ".5",
    "1.",
    "15",
    "-3",
    "007",
    "0",
    "0x1f",
    "0b11",
    ".nan",
    "-.inf",
    "true",
    "FALSE",
    "null",
    "~",
    "''",
    "adam",
    "1.2.3",
    "e5",
    "'on'",
    "'12:30:00'",
    "'2026-11-23'",
    "'007'",
    "[]",
    "{}",
    "ones",
    "1.10",
    "infinite",
    "yes-or-no",
    "!!str 1e-3",
    "! 1e-3",
    "|\n    1e-3",
    ">\n    on",
    "Yes please",
    "{x: z}",
]


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_read_as_it_looks_is_no_trap(text: str) -> None:
    assert traps_text(f"a:\n  b: {text}\n".encode(), "a.yaml", "a.yaml") == ()


@pytest.mark.parametrize(
    ("key", "path", "read_as", "fix"),
    [
        ("on", "true", "True", "'on'"),
        ("No", "false", "False", "'No'"),
        ("true", "true", "True", "'true'"),
        ("~", "null", "None", "'~'"),
    ],
)
def test_a_key_that_is_no_text_is_a_trap(key: str, path: str, read_as: str, fix: str) -> None:
    problem = "the bare word is no text, so the program has no key of that name"

    assert traps_text(f"a:\n  {key}: x\n".encode(), "a.yaml", "a.yaml") == (
        Trap("a.yaml", 2, 3, f"a.{path}", "boolean-key", key, read_as, problem, fix),
    )


@pytest.mark.parametrize("key", ["y", "n", "x", "1", "'on'", "1e-3", "'3'"])
def test_a_key_that_is_text_or_a_number_is_no_trap(key: str) -> None:
    assert traps_text(f"{key}: 1\n".encode(), "a.yaml", "a.yaml") == ()


@pytest.mark.parametrize(("key", "found"), [("version", 1), ("api_version", 1), ("rate", 0)])
def test_a_version_that_loses_its_last_zero_is_a_trap(key: str, found: int) -> None:
    trap = Trap(
        "a.yaml",
        1,
        len(key) + 3,
        key,
        "version",
        "1.10",
        "the number 1.1",
        "the last 0 of a version is lost in a number",
        "'1.10'",
    )

    assert traps_text(f"{key}: 1.10\n".encode(), "a.yaml", "a.yaml") == (trap,) * found


def test_traps_stand_in_the_order_of_the_file_with_the_paths_of_their_values() -> None:
    text = """\
base: &base
  lr: 1e-3
"a.b":
  layers: [64, 1e2, {c: on}]
  <<: *base
  <<: {warm: 1e3}
copy: *base
set: !!set {on}
no: yes
"""

    found = traps_text(text.encode(), "a.yaml", "a.yaml")

    assert [(trap.line, trap.column, trap.path, trap.kind, trap.text) for trap in found] == [
        (2, 7, "base.lr", "numeric-text", "1e-3"),
        (4, 16, '["a.b"].layers', "numeric-text", "1e2"),
        (4, 25, '["a.b"].layers.c', "boolean-word", "on"),
        (6, 14, '["a.b"].warm', "numeric-text", "1e3"),
        (8, 13, "set.true", "boolean-key", "on"),
        (9, 1, "false", "boolean-key", "no"),
        (9, 5, "false", "boolean-word", "yes"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "line", "column"),
    [
        ("a.yaml", "x: 1\nlr: '1e-3'\n", 2, 5),
        ("a.yaml", 'x: 1\nlr: "1e-3"\n', 2, 5),
        ("a.json", '{"x": 1,\n"lr": "1e-3"}', 2, None),
        ("a.toml", "x = 1\nlr = '1e-3'\n", 2, None),
    ],
)
def test_a_number_in_quotes_is_perhaps_a_trap(name: str, text: str, line: int, column: int | None) -> None:
    assert traps_text(text.encode(), name, name) == (
        Trap(name, line, column, "lr", "quoted-number", '"1e-3"', "the text '1e-3'", QUOTED, "1.0e-3"),
    )


@pytest.mark.parametrize(
    ("name", "text", "paths"),
    [
        (
            "a.json",
            '{"a": {"l": ["1", {"x": ["2.5"]}, 3], "v": "x"}, "version": "1.0", "zip": "0123", "inf": "inf"}',
            ["a.l", "a.l"],
        ),
        ("a.toml", "version = '1.0'\n[[t]]\nx = '3'\n", ["t"]),
        ("a.yaml", "version: '1.0'\nzip: '0123'\n'3': x\nempty: ''\nl: ['1', {x: '2'}]\n", ["l", "l.x"]),
    ],
)
def test_numbers_in_quotes_are_found_in_lists_and_where_they_are_meant_left_alone(
    name: str, text: str, paths: list[str]
) -> None:
    assert [(trap.path, trap.kind) for trap in traps_text(text.encode(), name, name)] == [
        (path, "quoted-number") for path in paths
    ]


@pytest.mark.parametrize(
    ("name", "text"), [("a.ini", "[a]\nx = 1e-3\ny = on\n"), (".env", "A='1e-3'\nB=on\n"), ("a.py", "A = '1e-3'\n")]
)
def test_ini_env_and_python_have_no_traps(name: str, text: str) -> None:
    assert traps_text(text.encode(), name, name) == ()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "lr: 1e-3\nb: [\n", "a.yaml:3:1: it is not YAML: did not find expected node content."),
        ("a.yaml", "lr: 1e-3\nlr: 1\n", "a.yaml:2: key 'lr' is written twice, first on line 1."),
        ("a.yaml", "- 1e-3\n", "a.yaml: the file holds a list, not a mapping of params."),
        ("a.yaml", "", "a.yaml: the file holds no params."),
        ("a.json", "[", "a.json:1:2: it is not JSON: expecting value."),
        ("a.ini", "x", "a.ini:1: it is not INI: there is no [section] before this line."),
    ],
)
def test_a_file_that_cannot_be_read_has_no_traps_but_an_error(name: str, text: str, message: str) -> None:
    with pytest.raises(ParamsFileError) as caught:
        traps_text(text.encode(), name, name)

    assert str(caught.value) == message


def test_a_file_is_called_as_it_is_shown(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("lr: 1e-3\n")

    assert [trap.file for trap in (*traps(path), *traps(path, shown="conf/a.yml"))] == [str(path), "conf/a.yml"]


def test_a_file_that_is_not_there_or_of_no_known_kind_is_answered_as_when_it_is_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ParamsFileError) as missing:
        traps(tmp_path / "a.yaml", shown="a.yaml")
    with pytest.raises(UsageError) as unknown:
        traps(tmp_path / "a.txt", shown="a.txt")

    assert str(missing.value) == "a.yaml: there is no such file."
    assert str(unknown.value).startswith("a.txt: a file of params ends in")


scalars = st.text(string.digits + ".eE+-_:xo", min_size=1, max_size=8) | st.sampled_from(
    ["on", "No", "y", "inf", "-nan", "~", "none"]
)


@given(scalars)
def test_what_a_trap_says_to_write_is_no_trap(text: str) -> None:
    try:
        found = traps_text(f"a: {text}\n".encode(), "a.yaml", "a.yaml")
    except ParamsFileError:
        return

    fixes = [
        fix
        for trap in found
        for fix in trap.fix.removesuffix(" if octal is meant").removesuffix(" for the text").split(", or ")
    ]
    assert [traps_text(f"a: {fix}\n".encode(), "a.yaml", "a.yaml") for fix in fixes] == [()] * len(fixes)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_what_looks_like_a_number_and_is_text_is_a_trap(number: float) -> None:
    text = repr(number)

    assert bool(traps_text(f"a: {text}\n".encode(), "a.yaml", "a.yaml")) == isinstance(yaml.safe_load(text), str)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_fix_of_a_number_is_that_number(number: float) -> None:
    (trap,) = traps_text(f"a: {number:e}\nb: {number!r}e0\n".encode(), "a.yaml", "a.yaml")[-1:] or [None]

    assert trap is None or yaml.safe_load(trap.fix) == float(trap.text)
