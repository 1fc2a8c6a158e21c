from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitparams.capture.files import read_params_text
from gitparams.capture.objects import plain
from gitparams.errors import ParamsFileError
from gitparams.params import Layer, Origin
from gitparams.values import same

inf = float("inf")
HINT = "constants at the top level of the module, as in LR = 0.1"


def read(text: str) -> dict[str, Any]:
    return dict(read_params_text(text.encode(), "train.py", "train.py").values)


def test_the_constants_of_a_program_are_read_with_their_lines() -> None:
    text = '''\
"""A program."""
import os
from torch import nn

LR = 1e-3
batch: int = 32
OPTIM = dict(
    name="adam",
    betas=(0.9, 0.999),
)
DATA = {
    "root": "x",
    "aug": {"flip": True,
            "p": 0.5},
    "workers": os.cpu_count(),
    "a.b": {},
    3: None,
}
_SCALE = 1024
BLOCK = 4 * _SCALE
__all__ = ["train"]
DEVICE = os.environ["DEVICE"]
MODEL = nn.Linear(BLOCK, 10)


def train():
    LOCAL = 1


class Config:
    inside = 2


if __name__ == "__main__":
    raise SystemExit(train())
'''
    layer = read_params_text(text.encode(), "train.py", "train.py")

    assert layer == Layer(
        {
            "LR": 0.001,
            "batch": 32,
            "OPTIM": {"name": "adam", "betas": [0.9, 0.999]},
            "DATA": {"root": "x", "aug": {"flip": True, "p": 0.5}, "a.b": {}, "3": None},
            "BLOCK": 4096,
        },
        {
            "LR": Origin("file", "train.py:5"),
            "batch": Origin("file", "train.py:6"),
            "OPTIM.name": Origin("file", "train.py:8"),
            "OPTIM.betas": Origin("file", "train.py:9"),
            "DATA.root": Origin("file", "train.py:12"),
            "DATA.aug.flip": Origin("file", "train.py:13"),
            "DATA.aug.p": Origin("file", "train.py:14"),
            'DATA["a.b"]': Origin("file", "train.py:16"),
            "DATA.3": Origin("file", "train.py:17"),
            "BLOCK": Origin("file", "train.py:20"),
        },
    )


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("-5", -5),
        ("+1.5", 1.5),
        ("~3", -4),
        ("not 3", False),
        ("1024 * 8", 8192),
        ("10 ** -3", 0.001),
        ("2 ** 10 - 1", 1023),
        ("7 // 2 + 7 % 4", 6),
        ("1 / 4", 0.25),
        ("1 << 20", 1048576),
        ("6 & 3 | 8 ^ 1", 11),
        ("1e308 * 10", inf),
        ("'a' + 'b' 'c'", "abc"),
        ("'-' * 3", "---"),
        ("[64] * 2 + [8]", [64, 64, 8]),
        ("(1,) + (2, 3)", [1, 2, 3]),
        ("{'b', 'a'}", ["a", "b"]),
        ("[*[1, 2], 3]", [1, 2, 3]),
        ("b'hi'", "hi"),
        ("1j", "1j"),
        ("None", None),
        ("float('inf')", inf),
        ("-float('inf')", -inf),
        ("float(3)", 3.0),
        ("dict()", {}),
        ("dict({'a': 1, 'b': 2}, b=3)", {"a": 1, "b": 3}),
        ("{**{'a': 1}, 'b': 2}", {"a": 1, "b": 2}),
        ("{'a': 1} | {'a': 2}", {"a": 2}),
        ("{'a': 1, 'a': 2}", {"a": 2}),
        ("{True: 1, None: 2, 1.5: 3, (1, 2): 4}", {"true": 1, "null": 2, "1.5": 3, "(1, 2)": 4}),
        ("{'a': {'b': [1, {'c': 2}]}}['a']", {"b": [1, {"c": 2}]}),
        ("[{'a': 1}] * 2", [{"a": 1}, {"a": 1}]),
    ],
)
def test_what_a_constant_expression_is(expression: str, value: Any) -> None:
    assert same(read(f"X = {expression}\n"), {"X": value})


@pytest.mark.parametrize(
    "expression",
    [
        "9 ** 9 ** 9",
        "1 << 100000",
        "'x' * 10 ** 9",
        "'x' * 99_999 + 'y' * 99_999",
        "[0] * 10 ** 9",
        "2 ** 4000 * 2 ** 4000",
        "0x" + "f" * 5000,
        "1 / 0",
        "10.0 ** 400",
        "(-8) ** 0.5",
        "1.5 << 2",
        "1 << -1",
        "1 @ 2",
        "~1.5",
        "-'a'",
        "'a' + 1",
        "'a' - 'b'",
        "'%d' % 3",
        "unknown",
        "os.environ",
        "f()",
        "f'{OTHER}'",
        "lambda: 1",
        "[x for x in (1, 2)]",
        "[f()]",
        "[{'a': f()}]",
        "[*3]",
        "{f(): 1}",
        "{[1]: 1}",
        "{[1]}",
        "{'a': f()}",
        "{**f()}",
        "{**3}",
        "dict([1])",
        "dict(1, 2)",
        "float('x')",
        "float([1])",
        "float(10 ** 400)",
        "[1][0]",
        "{'a': 1}['b']",
        "{'a': 1}[[]]",
        "...",
        "OTHER and 1",
        "1 if OTHER else 2",
    ],
)
def test_what_is_not_constant_is_left_out(expression: str) -> None:
    assert read(f"OTHER = 1\nX = {expression}\n") == {"OTHER": 1}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("X = 1\nX = 2\n", {"X": 2}),
        ("X = Y = 1\n", {"X": 1, "Y": 1}),
        ("X, (Y, Z) = 1, [2, 3]\n", {"X": 1, "Y": 2, "Z": 3}),
        ("X = 1\nX += 2\n", {"X": 3}),
        ("X = [1]\nX += [2]\n", {"X": [1, 2]}),
        ("X: float = 1\nX: int\n", {"X": 1}),
        ("X = {'a': {'b': 1}}\nX['a']['b'] = 2\nX['c'] = 3\n", {"X": {"a": {"b": 2}, "c": 3}}),
        ("X = {'a': 1, 'b': 2}\nX['a'] = f()\n", {"X": {"b": 2}}),
        ("X = {'a': 1, 'b': 1, **{'a': f()}}\n", {"X": {"b": 1}}),
        ("X = {'a': 1}\nY = X\nY['a'] = 2\n", {"X": {"a": 2}, "Y": {"a": 2}}),
        ("X = {'a': 1}\nY = {**X}\nY['a'] = 2\n", {"X": {"a": 1}, "Y": {"a": 2}}),
        ("X = {'a': 1}\nf()['a'] = 2\n", {"X": {"a": 1}}),
        ("X = {'a': 1}\nX['x'] = X\n", {"X": {"a": 1, "x": {"a": 1}}}),
        ("X = {'a': 1}\nY = X['a'] + 1\n", {"X": {"a": 1}, "Y": 2}),
        ("X = [1]\nprint(X)\n", {"X": [1]}),
        ("X = {'a': 1}\nX.get('a')\n", {"X": {"a": 1}}),
        ("def f():\n    X = 2\nX = 1\n", {"X": 1}),
    ],
)
def test_the_last_value_of_a_name_counts(text: str, values: dict[str, Any]) -> None:
    assert read(text) == values


@pytest.mark.parametrize(
    "change",
    [
        "X = f()",
        "X = Y = f()",
        "X, Z = f()",
        "X, *Z = 1, 2, 3",
        "(X, Z) = 1, 2, 3",
        "X -= f()",
        "del X",
        "if f():\n    X = 2",
        "for X in range(3):\n    pass",
        "while f():\n    X = 2",
        "with f() as X:\n    pass",
        "try:\n    X = 2\nexcept E:\n    pass",
        "try:\n    pass\nexcept E as X:\n    pass",
        "import a as X",
        "import X.y",
        "from a import X",
        "def X():\n    pass",
        "class X:\n    pass",
        "f(X := 2)",
        "match f():\n    case {'a': 1, **X}:\n        pass",
        "match f():\n    case [1, *X]:\n        pass",
        "match f():\n    case 1 as X:\n        pass",
        "X.append(1)",
        "if f():\n    X.update(a=1)",
        "Y = X.pop()",
        "X[0] = 1",
        "X[f()] = 1",
        "X['a'] += 1",
        "X[1:] = []",
        "del X[0]",
        "X.a = 1",
        "X['a'].b = 1",
        "Y = X\nY.clear()",
        "Y = X\nY += [1]\ndel Y",
        "X['a']['b']['c'] = 1",
    ],
)
def test_a_name_whose_value_is_not_certain_is_left_out(change: str) -> None:
    assert read(f"OTHER = 1\nX = [1]\n{change}\n") == {"OTHER": 1}


def test_a_module_with_its_own_dict_or_float_is_believed() -> None:
    assert read("OTHER = 1\nfrom a import dict, float\nX = dict(a=1)\nY = float(3)\n") == {"OTHER": 1}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("X = 1\nY = = 2\n", "train.py:2:5: it is not Python: invalid syntax.", None),
        ("X = 1\n  Y = 2\n", "train.py:2:2: it is not Python: unexpected indent.", None),
        ("X = " + "-" * 100_000 + "1", "train.py: it is not Python that can be parsed.", None),
        ("X = " + "1+" * 100_000 + "1", "train.py: it is not Python that can be parsed.", None),
        (
            "X = 1\n#" + "x" * 4 * 1024 * 1024,
            "train.py: it has 4,194,311 bytes; a Python module may have at most 4,194,304 (4 MiB).",
            "keep the params in a smaller file of their own",
        ),
        ("import os\n_X = 1\nY = os.name\n", "train.py: the file holds no params.", HINT),
        ("X = {'a': {'b': f()}}\n", "train.py: the file holds no params.", HINT),
    ],
)
def test_python_that_cannot_be_used_is_answered_with_its_place(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(ParamsFileError) as caught:
        read(text)

    assert (str(caught.value), caught.value.hint) == (message, hint)


def test_names_made_of_names_do_not_grow_without_end() -> None:
    lists = "\n".join(f"A{n + 1} = [A{n}, A{n}]" for n in range(100))
    texts = "\n".join(f"B{n + 1} = B{n} + B{n}" for n in range(100))

    assert sorted(read(f"A0 = [1]\n{lists}\n"), key=lambda name: int(name[1:])) == [f"A{n}" for n in range(15)]
    assert len(read(f"B0 = 'x'\n{texts}\n")) == 17


def test_nothing_of_a_module_is_executed(tmp_path: Any) -> None:
    mark = tmp_path / "mark"

    assert read(f"X = 1\nY = open({str(mark)!r}, 'w')\nZ = [open({str(mark)!r}, 'w')]\nassert False\n") == {"X": 1}
    assert not mark.exists()


def test_a_warning_of_the_parser_is_not_shown() -> None:
    assert read("X = '\\d'\nY = 1 is 1\n") == {"X": "\\d"}


numbers = st.integers(-(2**4000), 2**4000) | st.floats(allow_nan=False, allow_infinity=False)
atoms = st.none() | st.booleans() | numbers | st.text() | st.binary()
literals = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex(r"[a-zA-Z][a-zA-Z0-9]*_", fullmatch=True), literals, min_size=1, max_size=4))
def test_constants_written_by_repr_read_back(config: dict[str, Any]) -> None:
    text = "".join(f"{name} = {value!r}\n" for name, value in config.items())

    assert same(read(text), plain(config))


@given(
    st.recursive(
        st.integers(0, 99).map(str) | st.sampled_from(["1.5", "2.0", "1e3"]),
        lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), inner),
        max_leaves=4,
    )
)
def test_arithmetic_is_what_python_calculates_or_left_out(expression: str) -> None:
    found = read(f"OTHER = 1\nX = {expression}\n")

    assert "X" not in found or same(found["X"], eval(expression))
