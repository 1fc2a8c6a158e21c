from __future__ import annotations

import json
import pathlib
import re
import sys
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from world import unprivileged

from gitparams.capture.document import LARGEST_FILE
from gitparams.capture.files import ParamsFile, params_words, read_metrics, read_params, read_params_files, read_params_text
from gitparams.capture.objects import plain
from gitparams.errors import ParamsFileError, UsageError
from gitparams.metrics_files import read_metrics_file
from gitparams.params import Layer, Origin, Overridden, flatten
from gitparams.values import same

inf, nan = float("inf"), float("nan")
PARAMS_HINT = "a mapping from names to values, as in 'lr: 0.1'; '{}' where there are none"
METRICS_HINT = "a mapping from names to numbers, as in 'acc: 0.93'; '{}' where there are none"


@pytest.fixture
def write(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def write(name: str, content: str | bytes) -> str:
        pathlib.Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    return write


def metrics_of(name: str) -> Any:
    return read_metrics_file(pathlib.Path(name), name)


def origins(*places: tuple[str, str]) -> dict[str, Origin]:
    return {path: Origin("file", at) for path, at in places}


def test_yaml_is_read_with_the_line_of_every_value(write: Any) -> None:
    text = """\
# a comment
lr: 0.1
optim:
  name: adam
  betas:
    - 0.9
    - 0.999
  "a.b": {}
note: |
  two
  lines
on: 12:30:00
"""

    assert read_params(write("a.yaml", text), shown="conf/a.yaml") == Layer(
        {
            "lr": 0.1,
            "optim": {"name": "adam", "betas": [0.9, 0.999], "a.b": {}},
            "note": "two\nlines\n",
            "true": 45000,
        },
        origins(
            ("lr", "conf/a.yaml:2"),
            ("optim.name", "conf/a.yaml:4"),
            ("optim.betas", "conf/a.yaml:5"),
            ('optim["a.b"]', "conf/a.yaml:8"),
            ("note", "conf/a.yaml:9"),
            ("true", "conf/a.yaml:12"),
        ),
    )


def test_yaml_is_read_as_the_program_gets_it(write: Any) -> None:
    text = "a: 1e-3\nb: 017\nc: yes\nd: 2026-11-23\ne: ~\nf: .inf\ng: '1'\nh: 1_000\n"
    text += "i: !!str 5\nj: !!binary aGk=\nk: =\nl:\n1: x\nm: ! 5\n"

    values = read_params(write("a.yml", text)).values

    assert same(
        dict(values),
        {
            "a": "1e-3",
            "b": 15,
            "c": True,
            "d": "2026-11-23",
            "e": None,
            "f": inf,
            "g": "1",
            "h": 1000,
            "i": "5",
            "j": "hi",
            "k": "=",
            "l": None,
            "1": "x",
            "m": 5,
        },
    )


def test_exact_floats_read_floats_as_yaml_1_2_and_nothing_else(write: Any) -> None:
    text = "a: 1e-3\nb: 017\nc: yes\nd: 1.5e3\ne: -2E+4\nf: 089\ng: 1e5x\nh: .5\ni: 12:30\n"

    values = read_params(write("a.yaml", text), exact_floats=True).values

    assert same(
        dict(values),
        {"a": 0.001, "b": 15, "c": True, "d": 1500.0, "e": -20000.0, "f": "089", "g": "1e5x", "h": 0.5, "i": 750},
    )


def test_yaml_anchors_and_merges_work(write: Any) -> None:
    text = """\
base: &base
  lr: 0.1
  deep: {x: 1}
more: &more {lr: 0.5, seed: 1}
copy: *base
one:
  <<: *base
  lr: 0.2
two:
  <<: [*base, *more]
list: [*base, &n 3, *n]
"""

    assert read_params(write("a.yaml", text)) == Layer(
        {
            "base": {"lr": 0.1, "deep": {"x": 1}},
            "more": {"lr": 0.5, "seed": 1},
            "copy": {"lr": 0.1, "deep": {"x": 1}},
            "one": {"lr": 0.2, "deep": {"x": 1}},
            "two": {"lr": 0.1, "seed": 1, "deep": {"x": 1}},
            "list": [{"lr": 0.1, "deep": {"x": 1}}, 3, 3],
        },
        origins(
            ("base.lr", "a.yaml:2"),
            ("base.deep.x", "a.yaml:3"),
            ("more.lr", "a.yaml:4"),
            ("more.seed", "a.yaml:4"),
            ("copy.lr", "a.yaml:2"),
            ("copy.deep.x", "a.yaml:3"),
            ("one.lr", "a.yaml:8"),
            ("one.deep.x", "a.yaml:3"),
            ("two.lr", "a.yaml:2"),
            ("two.seed", "a.yaml:4"),
            ("two.deep.x", "a.yaml:3"),
            ("list", "a.yaml:11"),
        ),
    )


def test_a_merged_key_of_another_type_is_overridden(write: Any) -> None:
    assert read_params(write("a.yaml", "a: &a {1: x}\nb:\n  <<: *a\n  1: y\n")).values == {"a": {"1": "x"}, "b": {"1": "y"}}


def test_aliases_do_not_share_what_they_stand_for(write: Any) -> None:
    values = read_params(write("a.yaml", "a: &a {x: [1]}\nb: *a\n")).values

    assert values["a"] is not values["b"]
    assert values["a"]["x"] is not values["b"]["x"]  # type: ignore[call-overload, index]


def test_the_collections_of_yaml_are_lists(write: Any) -> None:
    text = "s: !!set {b, a}\no: !!omap [a: 1, b: 2]\np: !!pairs [a: 1, a: 2]\n"

    assert read_params(write("a.yaml", text)).values == {"s": ["a", "b"], "o": [["a", 1], ["b", 2]], "p": [["a", 1], ["a", 2]]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1, 2\n", "a.yaml:3:1: it is not YAML: did not find expected ',' or ']'."),
        ("a: b: c\n", "a.yaml:1:5: it is not YAML: mapping values are not allowed in this context."),
        ("a:\n\tb: 1\n", "a.yaml:2:1: it is not YAML: found character that cannot start any token."),
        ("a: *x\n", "a.yaml:1:4: the alias *x stands for nothing: there is no &x before it."),
        ("a: &x [*x]\n", "a.yaml:1:8: the alias *x is inside of what it stands for."),
        ("a: &x\n  <<: *x\n", "a.yaml:2:7: the alias *x is inside of what it stands for."),
        ("seed: 1\noptim:\n  lr: 1\nlr: 1\nmore: 1\nlr: 2\n", "a.yaml:6: key 'lr' is written twice, first on line 4."),
        ("1: a\n1.0: b\n", "a.yaml:2: key '1.0' is written twice, first on line 1."),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "a.yaml:1:4: the tag !!python/object/apply:os.system cannot be read: params are plain YAML.",
        ),
        ("a: !!int ''\n", "a.yaml:1:4: '' cannot be read as int."),
        ("a: !!timestamp now\n", "a.yaml:1:4: 'now' cannot be read as timestamp."),
        ("a: !foo 3\n", "a.yaml:1:4: the tag !foo cannot be read: params are plain YAML."),
        ("a: !foo {b: 1}\n", "a.yaml:1:4: the tag !foo cannot be read: params are plain YAML."),
        ("a: 1\n---\nb: 2\n", "a.yaml:2:1: a second YAML document begins; only one can be read."),
        ("? [1, 2]\n: 3\n", "a.yaml:1:3: a list or mapping cannot be a key."),
        ("a: &a [1]\n? *a\n: 3\n", "a.yaml:2:3: a list or mapping cannot be a key."),
        ("a:\n  <<: 3\n", "a.yaml:2: '<<' merges a mapping or a list of mappings, nothing else."),
        ("a: 2026-13-45\n", "a.yaml:1:4: '2026-13-45' cannot be read as timestamp."),
        ("a: " + "9" * 5000 + "\n", "a.yaml:1:4: '" + "9" * 40 + "…' cannot be read as int."),
        ("a: 1\nb: \x07\n", "a.yaml:2:4: it is not YAML: character U+0007 is not allowed."),
        ("o: !!omap [1]\n", "a.yaml:1:4: !!omap is a list of mappings with one key each."),
    ],
)
def test_yaml_that_cannot_be_used_is_answered_with_its_place(write: Any, text: str, message: str) -> None:
    with pytest.raises(ParamsFileError) as caught:
        read_params(write("a.yaml", text))

    assert str(caught.value) == message


def test_yaml_that_is_nested_too_deeply_is_a_sentence_with_every_pyyaml(write: Any) -> None:
    with pytest.raises(ParamsFileError) as caught:
        read_params(write("a.yaml", "a: " + "[" * 100_000))

    assert re.fullmatch(r"a\.yaml:1:10{1,2}3: it is nested deeper than 100 levels\.", str(caught.value))


def test_a_tab_in_yaml_is_pointed_out(write: Any) -> None:
    with pytest.raises(ParamsFileError) as caught:
        read_params(write("a.yaml", "a:\n\tb: 1\n"))

    assert (caught.value.hint, caught.value.line, caught.value.column) == (
        "YAML indents with spaces, and this line has a tab",
        2,
        1,
    )


def test_a_bomb_of_aliases_is_refused(write: Any) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]

    with pytest.raises(ParamsFileError) as caught:
        read_params(write("a.yaml", "\n".join(lines)))

    assert str(caught.value) == "a.yaml:6: its aliases stand for more than 1,000,000 values."


def test_json_is_read_with_the_line_of_every_value(write: Any) -> None:
    text = """\
{
  "lr": 1e-3, "a.b": {},
  "optim": {
    "betas": [0.9, {"x": "}, {"}],
    "q\\"\\u00e9": "a\\\\"
  },
  "inf": Infinity, "nan": NaN
}
"""
    layer = read_params(write("a.json", text))

    assert same(
        dict(layer.values),
        {"lr": 0.001, "a.b": {}, "optim": {"betas": [0.9, {"x": "}, {"}], 'q"é': "a\\"}, "inf": inf, "nan": nan},
    )
    assert layer.origins == origins(
        ("lr", "a.json:2"),
        ('["a.b"]', "a.json:2"),
        ("optim.betas", "a.json:4"),
        ('optim["q\\"é"]', "a.json:5"),
        ("inf", "a.json:7"),
        ("nan", "a.json:7"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', "a.json:2:6: it is not JSON: expecting ':' delimiter."),
        ('{"a": 1', "a.json:1:8: it is not JSON: expecting ',' delimiter."),
        ('{"a": 1,\n "b": {"a": 1},\n "a": 2}', "a.json:3: key 'a' is written twice, first on line 1."),
        ('{"x": [1, {"a": 1,\n"\\u0061": 2}]}', "a.json:2: key 'a' is written twice, first on line 1."),
        ('{"a": ' + "9" * 5000 + "}", "a.json: it holds a number of more than 4300 digits."),
        ('{"a":\n' + "[" * 200 + "]" * 200 + "}", "a.json:2: it is nested deeper than 100 levels."),
        ("[" * 100_000, "a.json: it is nested deeper than 100 levels."),
    ],
)
def test_json_that_cannot_be_used_is_answered_with_its_place(write: Any, text: str, message: str) -> None:
    with pytest.raises(ParamsFileError) as caught:
        read_params(write("a.json", text))

    assert str(caught.value) == message


def test_toml_is_read(write: Any) -> None:
    text = "lr = 1e-3\nday = 2026-11-23\nat = 12:30:00\n[optim]\nbetas = [0.9, 0.999]\nsub = {x = inf}\n"

    assert read_params(write("a.toml", text)) == Layer(
        {
            "lr": 0.001,
            "day": "2026-11-23",
            "at": "12:30:00",
            "optim": {"betas": [0.9, 0.999], "sub": {"x": inf}},
        },
        origins(
            ("lr", "a.toml:1"),
            ("day", "a.toml:2"),
            ("at", "a.toml:3"),
            ("optim.betas", "a.toml:5"),
            ("optim.sub.x", "a.toml:6"),
        ),
    )


def test_toml_knows_the_line_of_a_value_wherever_it_stands(write: Any) -> None:
    text = """\
# lr = 5
s = \"\"\"
x = 1
[nope] \\\"\"\" x
\"\"\"
list = [  # ]
  "]", '''
y = 1''',
]
inline = {x = 1, y = [
  2]}
"q.\\u0041" = 1
empty = {}

[ a . 'b c' ]  # [c]
d.e = 1
[[tables]]
x = 1
[tables.sub]
x = 2
[[tables]]
[nothing]
"""

    assert read_params(write("a.toml", text)).origins == origins(
        ("s", "a.toml:2"),
        ("list", "a.toml:6"),
        ("inline.x", "a.toml:10"),
        ("inline.y", "a.toml:10"),
        ('["q.A"]', "a.toml:12"),
        ("empty", "a.toml:13"),
        ('a["b c"].d.e', "a.toml:16"),
        ("tables", "a.toml:17"),
        ("nothing", "a.toml:22"),
    )


def test_toml_needs_no_line_break_at_its_end(write: Any) -> None:
    assert read_params(write("a.toml", "a = 1\r\nb = [2]")).origins == origins(("a", "a.toml:1"), ("b", "a.toml:2"))


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6))
def test_toml_gives_each_key_its_line(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("toml") / "a.toml"
    path.write_text("".join(f"{_toml(key)} = {_toml(value)}\n" for key, value in config.items()), encoding="utf-8")

    layer = read_params(path, shown="a.toml")

    assert same(dict(layer.values), config)
    assert [layer.origins[leaf].at for leaf in flatten(config)] == [f"a.toml:{line}" for line in range(1, len(config) + 1)]


def _toml(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb 2\n", "a.toml:2:3: it is not TOML: expected '=' after a key in a key/value pair."),
        ("a = 1\na = 2\n", "a.toml:2:6: it is not TOML: cannot overwrite a value."),
        ("a = [1,", "a.toml:1: it is not TOML: invalid value."),
        ("a = " + "9" * 5000, "a.toml: it holds a number of more than 4300 digits."),
        ("# nothing\n", "a.toml: the file holds no params."),
    ],
)
def test_toml_that_cannot_be_used_is_answered_with_its_place(write: Any, text: str, message: str) -> None:
    with pytest.raises(ParamsFileError) as caught:
        read_params(write("a.toml", text))

    assert str(caught.value) == message


@pytest.mark.parametrize("suffix", ["ini", "cfg", "conf", "INI"])
def test_ini_is_read_with_typed_values_and_its_defaults_once(write: Any, suffix: str) -> None:
    text = "[DEFAULT]\nSeed = 017\n[Optim]\nLR: 1e-3\nname = adam %(x)s\nuse = yes\nempty =\n[a.b]\nx = true\n"

    assert read_params(write(f"a.{suffix}", text)) == Layer(
        {"Seed": 17, "Optim": {"LR": 0.001, "name": "adam %(x)s", "use": "yes", "empty": ""}, "a.b": {"x": True}},
        origins(
            ("Seed", f"a.{suffix}:2"),
            ("Optim.LR", f"a.{suffix}:4"),
            ("Optim.name", f"a.{suffix}:5"),
            ("Optim.use", f"a.{suffix}:6"),
            ("Optim.empty", f"a.{suffix}:7"),
            ('["a.b"].x', f"a.{suffix}:9"),
        ),
    )


def test_ini_knows_the_line_of_a_value_after_values_of_several_lines(write: Any) -> None:
    text = "[a]\nx = one\n  two\n\n  = three\n; c\ny: 1\n[DEFAULT]\nx = 2\n"

    assert read_params(write("a.ini", text)) == Layer(
        {"x": 2, "a": {"x": "one\ntwo\n\n= three", "y": 1}}, origins(("x", "a.ini:9"), ("a.x", "a.ini:2"), ("a.y", "a.ini:7"))
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# c\nlr = 1\n", "a.ini:2: it is not INI: there is no [section] before this line."),
        ("[a]\nx = 1\n[a]\n", "a.ini:3: section [a] is written twice."),
        ("[a]\nx = 1\nX = 1\nx = 2\n", "a.ini:4: key 'x' is written twice in [a]."),
        ("[a]\nx\n", "a.ini:2: it is not INI: the line has no '=' or ':'."),
        ("[DEFAULT]\na = 1\n[a]\nb = 1\n", "a.ini: 'a' is a key of [DEFAULT] and a section."),
        ("; nothing\n", "a.ini: the file holds no params."),
    ],
)
def test_ini_that_cannot_be_used_is_answered_with_its_place(write: Any, text: str, message: str) -> None:
    with pytest.raises(ParamsFileError) as caught:
        read_params(write("a.ini", text))

    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.toml", "a.ini", "a.csv"])
@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_holds_nothing(write: Any, name: str, content: bytes) -> None:
    with pytest.raises(ParamsFileError) as caught:
        metrics_of(write(name, content))

    assert (str(caught.value), caught.value.hint) == (f"{name}: the file holds no metrics.", METRICS_HINT)


@pytest.mark.parametrize("text", ["# only a comment\n", "---\n", "~\n"])
def test_yaml_without_a_value_holds_no_params(write: Any, text: str) -> None:
    with pytest.raises(ParamsFileError) as caught:
        read_params(write("a.yaml", text))

    assert (str(caught.value), caught.value.hint) == ("a.yaml: the file holds no params.", PARAMS_HINT)


@pytest.mark.parametrize(("name", "text"), [("a.yaml", "{}"), ("a.json", "{}")])
def test_an_empty_mapping_is_a_mapping(write: Any, name: str, text: str) -> None:
    assert read_params(write(name, text)) == Layer({}, {})


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.yaml", "- 1\n", "a list"),
        ("a.yaml", "just words\n", "a text"),
        ("a.yaml", "3\n", "a number"),
        ("a.json", "[1]", "a list"),
        ("a.json", "null", "null"),
        ("a.json", "true", "true or false"),
    ],
)
def test_the_top_level_must_be_a_mapping(write: Any, name: str, text: str, kind: str) -> None:
    with pytest.raises(ParamsFileError) as caught:
        read_params(write(name, text))

    assert (str(caught.value), caught.value.hint) == (f"{name}: the file holds {kind}, not a mapping of params.", PARAMS_HINT)


@pytest.mark.parametrize(
    ("name", "text"), [("a.yaml", "a: 1\n"), ("a.json", '{"a": 1}'), ("a.toml", "a = 1\n"), ("a.ini", "[DEFAULT]\na = 1\n")]
)
def test_a_byte_order_mark_is_ignored(write: Any, name: str, text: str) -> None:
    assert read_params(write(name, b"\xef\xbb\xbf" + text.encode())).values == {"a": 1}


@pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.toml", "a.ini", "a.csv"])
def test_a_file_that_is_not_utf_8_is_answered_with_the_byte(write: Any, name: str) -> None:
    with pytest.raises(ParamsFileError) as caught:
        metrics_of(write(name, b"a: 1\nb: caf\xe9\n"))

    assert (str(caught.value), caught.value.hint) == (
        f"{name}:2: it is not UTF-8: byte 0xe9 at offset 11.",
        "save it as UTF-8",
    )


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("none.yaml", "there is no such file."),
        ("folder.yaml", "it is a folder, not a file."),
        ("file.yaml/x.yaml", "it cannot be read: not a directory."),
        ("x" * 300 + ".yaml", "it cannot be read: file name too long."),
        ("a\0.yaml", "it cannot be read: embedded null byte."),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(write: Any, path: str, problem: str) -> None:
    write("file.yaml", "a: 1")
    pathlib.Path("folder.yaml").mkdir()

    with pytest.raises(ParamsFileError) as caught:
        read_params(path, shown="conf/x.yaml")

    assert str(caught.value) == f"conf/x.yaml: {problem}"


def test_a_file_without_permission_is_one_sentence(write: Any) -> None:
    path = pathlib.Path(write("a.yaml", "a: 1"))
    path.chmod(0)
    program = "import sys\nfrom gitparams.capture.files import read_params\ntry: read_params('a.yaml')\nexcept Exception as error: print(error)"

    done = unprivileged(sys.executable, "-c", program)

    assert done.stdout == "a.yaml: it cannot be read: permission denied.\n"


def test_an_unknown_ending_lists_the_known_ones(write: Any) -> None:
    with pytest.raises(UsageError) as params:
        read_params(write("a.txt", "a: 1"))
    with pytest.raises(UsageError) as metrics:
        metrics_of(write("metrics", "a: 1"))
    with pytest.raises(UsageError) as documents:
        read_metrics(write("metrics", "a: 1"))

    assert str(params.value) == (
        "a.txt: a file of params ends in .yaml, .yml, .json, .toml, .ini, .cfg, .conf, .env or .py; this one ends in .txt."
    )
    assert str(metrics.value) == (
        "metrics: a file of metrics ends in .yaml, .yml, .json, .toml, .ini, .cfg, .conf, .csv, .tsv, .jsonl or .ndjson; "
        "this one has no ending."
    )
    assert str(documents.value) == (
        "metrics: a file of metrics ends in .yaml, .yml, .json, .toml, .ini, .cfg or .conf; this one has no ending."
    )


def test_metrics_are_numbers_and_the_rest_is_named(write: Any) -> None:
    text = '{"val": {"acc": 0.9, "ok": true, "a.b": 3}, "loss": "nan", "lr": "1e-3",'
    text += '"best": "yes", "x": null, "l": [1], "t": "true"}'

    metrics, left_out = read_metrics(write("m.json", text))

    assert same(dict(metrics), {"val.acc": 0.9, "val.ok": True, 'val["a.b"]': 3, "loss": nan, "lr": 0.001})
    assert left_out == ("best", "x", "l", "t")


@pytest.mark.parametrize(
    ("name", "text"),
    [("m.yaml", "loss: 1e-3\nn: 3\n"), ("m.toml", "loss = 1e-3\nn = 3\n"), ("m.ini", "[DEFAULT]\nloss = 1e-3\nn = 3\n")],
)
def test_metrics_are_read_from_every_kind_of_file(write: Any, name: str, text: str) -> None:
    assert read_metrics(write(name, text)) == ({"loss": 0.001, "n": 3}, ())


@pytest.mark.parametrize(("name", "mark"), [("m.csv", ","), ("m.tsv", "\t"), ("m.CSV", ",")])
def test_of_a_table_the_last_value_of_each_column_counts(write: Any, name: str, mark: str) -> None:
    rows = [
        ["", "epoch", "val.loss", "best", "note", "gap"],
        ["0", "0", "0.9", "False", "x", "1"],
        ["1", " 1 ", "-inf", "True", '"a\nb"', ""],
    ]

    metrics, left_out = metrics_of(write(name, "\r\n".join(mark.join(row) for row in rows) + "\r\n\r\n"))

    assert same(dict(metrics), {"epoch": 1, "val.loss": -inf, "gap": 1})
    assert left_out == ("best", "note")


def test_a_short_last_row_leaves_the_other_columns_as_they_were(write: Any) -> None:
    assert metrics_of(write("m.csv", "a,b\n1,2\n3")) == ({"a": 3, "b": 2}, ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "m.csv: the table holds no row of metrics, only its header."),
        ("1,2\n3,4\n", "m.csv:1: the first row holds numbers, not the names of metrics."),
        ("a,a\n3,4\n", "m.csv:1: column 'a' is there twice."),
        ("a,b\n1,2,3\n", "m.csv:2: the row has 3 cells, the header 2."),
        ('a,b\n1,"2', "m.csv:2: it is not a table: unexpected end of data."),
    ],
)
def test_a_table_that_cannot_be_used_is_answered_with_its_place(write: Any, text: str, message: str) -> None:
    with pytest.raises(ParamsFileError) as caught:
        metrics_of(write("m.csv", text))

    assert str(caught.value) == message


flat = st.dictionaries(
    st.text(),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers() | st.text(), max_size=3),
    max_size=5,
)


@given(flat)
def test_yaml_reads_back_what_pyyaml_dumped(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("yaml") / "a.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")

    layer = read_params(path)

    assert same(dict(layer.values), config)
    assert layer.origins.keys() == flatten(config).keys()


# without "!": PyYAML's two parsers read it differently
@given(st.text("abe01.-: \n[]{},'\"#&*<?|>~", max_size=40))
def test_yaml_is_what_safe_load_reads_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("yaml") / "a.yaml"
    path.write_text(f"a: {text}\n")

    try:
        values = read_params(path).values
    except ParamsFileError:
        return

    try:
        loaded = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    except (yaml.composer.ComposerError, yaml.constructor.ConstructorError) as error:
        # read here although PyYAML refuses it: an anchor that is set again, and a value that is a lone "<<"
        assert "found duplicate anchor" in str(error) or "tag:yaml.org,2002:merge" in str(error)
    else:
        assert same(dict(values), plain(loaded))


@pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.toml", "a.ini", "a.csv"])
@given(st.binary() | st.text("a1.-:=\n[]{},'\"#", max_size=40).map(str.encode))
def test_any_bytes_are_metrics_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(content)

    try:
        metrics, _ = read_metrics_file(path, "shown")
    except ParamsFileError as error:
        assert str(error).startswith("shown:")
    else:
        assert all(isinstance(number, (int, float)) for number in metrics.values())


@given(st.recursive(flat, lambda inner: st.dictionaries(st.text(), inner, max_size=3), max_leaves=5))
def test_json_reads_back_what_python_dumped(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(json.dumps(config, indent=1))

    layer = read_params(path)

    assert same(dict(layer.values), config)
    assert all(origin.at != str(path) for origin in layer.origins.values())


def test_env_is_read_with_typed_values_and_their_lines(write: Any) -> None:
    text = """\
# a comment
LR=1e-3 # small
export NAME="a b\\n$HOME \\"x\\" \\d"

  SINGLE = 'it\\'s # no\\n' # yes
EMPTY=
HASH=#ff0000
URL=http://x?a=b#c
MULTI="one
two"
optim.lr=0x1f
QUOTED='1'
QUOTE=a"b
on=true
"""

    assert read_params(write(".env", text)) == Layer(
        {
            "LR": 0.001,
            "NAME": 'a b\n$HOME "x" \\d',
            "SINGLE": "it's # no\\n",
            "EMPTY": "",
            "HASH": "#ff0000",
            "URL": "http://x?a=b#c",
            "MULTI": "one\ntwo",
            "optim.lr": 31,
            "QUOTED": "1",
            "QUOTE": 'a"b',
            "on": True,
        },
        origins(
            ("LR", ".env:2"),
            ("NAME", ".env:3"),
            ("SINGLE", ".env:5"),
            ("EMPTY", ".env:6"),
            ("HASH", ".env:7"),
            ("URL", ".env:8"),
            ("MULTI", ".env:9"),
            ('["optim.lr"]', ".env:11"),
            ("QUOTED", ".env:12"),
            ("QUOTE", ".env:13"),
            ("on", ".env:14"),
        ),
    )


@pytest.mark.parametrize("name", [".env", "train.env", ".env.local", "conf/.env.production", "TRAIN.ENV"])
def test_a_file_of_environment_variables_is_known_by_its_name(name: str) -> None:
    assert read_params_text(b"\xef\xbb\xbfA=1\r\nB='x\r\ny'\r\nC=2", name, "x") == Layer(
        {"A": 1, "B": "x\ny", "C": 2}, origins(("A", "x:1"), ("B", "x:2"), ("C", "x:4"))
    )


def test_a_known_ending_says_more_than_the_name_env() -> None:
    assert read_params_text(b"a: 1", ".env.yaml", "x").values == {"a": 1}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("A=1\nB=2\nA=3\n", ".env:3: key 'A' is written twice, first on line 1.", None),
        ("A=1\nexport B\n", ".env:2: it is not a .env file: the line has no KEY= at its beginning.", "LR=0.1"),
        ("=1\n", ".env:1: it is not a .env file: the line has no KEY= at its beginning.", "LR=0.1"),
        ("A B=1\n", ".env:1: it is not a .env file: the line has no KEY= at its beginning.", "LR=0.1"),
        ("A=1\nB='x\n\n", ".env:2:3: it is not a .env file: the quote ' is not closed.", None),
        ('A="x" y\n', ".env:1:6: it is not a .env file: something follows the closing quote.", None),
        ("# nothing\n", ".env: the file holds no params.", "lines of names and values, as in LR=0.1"),
    ],
)
def test_env_that_cannot_be_used_is_answered_with_its_place(write: Any, text: str, message: str, hint: str | None) -> None:
    with pytest.raises(ParamsFileError) as caught:
        read_params(write(".env", text))

    assert (str(caught.value), caught.value.hint) == (message, hint)


@pytest.mark.parametrize("name", [".env", "a.py"])
def test_env_and_python_that_are_not_utf_8_are_answered_with_the_byte(write: Any, name: str) -> None:
    with pytest.raises(ParamsFileError) as caught:
        read_params(write(name, b"A=1\nB='caf\xe9'\n"))

    assert (str(caught.value), caught.value.hint) == (f"{name}:2: it is not UTF-8: byte 0xe9 at offset 10.", "save it as UTF-8")


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]*", fullmatch=True)
plain_text = st.text(st.characters(codec="utf-8", exclude_characters="\r"))


@given(st.dictionaries(names, plain_text | st.integers() | st.floats() | st.booleans() | st.none(), min_size=1))
def test_env_reads_back_what_was_written(config: dict[str, Any]) -> None:
    text = "".join(f"{key}={_env(value)}\n" for key, value in config.items())

    assert same(dict(read_params_text(text.encode(), ".env", ".env").values), config)


def _env(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "null" if value is None else repr(value)


@pytest.mark.parametrize("name", [".env", "a.py"])
@given(st.binary() | st.text("aB1=\n \t#'\"\\{}[](),:*.", max_size=40).map(str.encode))
def test_any_bytes_are_params_or_a_sentence(name: str, content: bytes) -> None:
    try:
        layer = read_params_text(content, name, "shown")
    except ParamsFileError as error:
        assert str(error).startswith("shown:")
    else:
        assert layer.origins.keys() == flatten(layer.values).keys()


def test_a_file_that_is_too_large_is_refused_with_the_limit(write: Any) -> None:
    path = write("big.json", b"")
    with open(path, "r+b") as file:
        file.truncate(LARGEST_FILE + 1)

    with pytest.raises(ParamsFileError) as read:
        read_params(path)
    with pytest.raises(ParamsFileError) as metrics:
        read_metrics(path)
    with pytest.raises(ParamsFileError) as given_bytes:
        read_params_text(bytes(LARGEST_FILE + 1), "a.yaml", "v1:a.yaml")

    sentence = "it has 67,108,865 bytes; a file may have at most 67,108,864 (64 MiB)."
    assert [str(read.value), str(metrics.value), str(given_bytes.value)] == [
        f"big.json: {sentence}",
        f"big.json: {sentence}",
        f"v1:a.yaml: {sentence}",
    ]
    assert read.value.hint == "keep the params in a smaller file of their own"


def test_a_table_may_be_larger_than_any_document(write: Any) -> None:
    assert metrics_of(write("m.jsonl", b'{"text": "%s", "n": 1}\n' % (b"x" * LARGEST_FILE))) == ({"n": 1}, ("text",))


def test_a_table_whose_name_is_none_is_one_sentence() -> None:
    with pytest.raises(ParamsFileError) as caught:
        metrics_of("a\0.csv")

    assert str(caught.value) == "a\0.csv: it cannot be read: embedded null byte."


def test_a_file_of_fifty_megabytes_is_read(write: Any) -> None:
    layer = read_params(write("a.json", json.dumps({"text": "x" * 50_000_000, "n": 1})))

    assert (len(layer.values["text"]), layer.origins["n"]) == (50_000_000, Origin("file", "a.json:1"))  # type: ignore[arg-type]


@pytest.fixture
def conf(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder of params files, in which the test does not stand."""
    top = tmp_path / "top"
    (top / "conf" / "deep").mkdir(parents=True)
    (top / "conf" / "b.yaml").write_text("lr: 0.1\nseed: 1\n")
    (top / "conf" / "a.yaml").write_text("lr: 0.5\naug:\n  p: 0.5\n")
    (top / "conf" / ".hidden.yaml").write_text("lr: 9\n")
    (top / "conf" / "deep" / "c.yaml").write_text("{}\n")
    (top / "conf" / "folder.yaml").mkdir()
    (top / "k=v.yaml").write_text("odd: true\n")
    (top / "x[1].yaml").write_text("odd: 1\n")
    return top


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["conf/b.yaml"], [("conf/b.yaml", ())]),
        (["./conf/b.yaml"], [("./conf/b.yaml", ())]),
        (["conf/*.yaml"], [("conf/a.yaml", ()), ("conf/b.yaml", ())]),
        (["./conf/?.yaml"], [("conf/a.yaml", ()), ("conf/b.yaml", ())]),
        (["**/*.yaml"], [(n, ()) for n in ("conf/a.yaml", "conf/b.yaml", "conf/deep/c.yaml", "k=v.yaml", "x[1].yaml")]),
        (["conf/b.yaml", "conf/*.yaml"], [("conf/b.yaml", ()), ("conf/a.yaml", ()), ("conf/b.yaml", ())]),
        (["data.aug=conf/b.yaml"], [("conf/b.yaml", ("data", "aug"))]),
        (['data["a.b"]=conf/?.yaml'], [("conf/a.yaml", ("data", "a.b")), ("conf/b.yaml", ("data", "a.b"))]),
        (["k=v.yaml"], [("k=v.yaml", ())]),
        (["k=*.yaml"], [("k=v.yaml", ())]),
        (["k=k=v.yaml"], [("k=v.yaml", ("k",))]),
        (["x[1].yaml"], [("x[1].yaml", ())]),
        ([], []),
    ],
)
def test_words_name_files_globs_and_prefixes(conf: pathlib.Path, words: list[str], found: list[Any]) -> None:
    assert params_words(words, conf) == tuple(ParamsFile(conf / name, name, prefix) for name, prefix in found)


def test_a_word_can_be_an_absolute_path(conf: pathlib.Path) -> None:
    file, pattern = str(conf / "conf" / "b.yaml"), str(conf / "*" / "b.yaml")

    assert params_words([file, f"x={file}", pattern], pathlib.Path("elsewhere")) == (
        ParamsFile(pathlib.Path(file), file),
        ParamsFile(pathlib.Path(file), file, ("x",)),
        ParamsFile(pathlib.Path(file), file),
    )


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("none.yaml", "none.yaml: there is no such file."),
        ("conf/*.toml", "conf/*.toml: no file matches."),
        ("conf/.*.toml", "conf/.*.toml: no file matches."),
        ("conf/fold*.yaml", "conf/fold*.yaml: no file matches."),
        ("data=none.yaml", "none.yaml: there is no such file."),
        ("data=conf/*.toml", "conf/*.toml: no file matches."),
        ("a b=conf/b.yaml", "a b=conf/b.yaml: there is no such file."),
    ],
)
def test_a_word_that_names_no_file_is_answered_with_it(conf: pathlib.Path, word: str, message: str) -> None:
    with pytest.raises(ParamsFileError) as caught:
        params_words(["conf/b.yaml", word], conf)

    assert str(caught.value) == message


def test_several_files_are_stacked_and_remember_what_they_overrode(conf: pathlib.Path) -> None:
    assert read_params_files(["conf/*.yaml", "aug=conf/b.yaml"], conf) == Layer(
        {"lr": 0.1, "aug": {"p": 0.5, "lr": 0.1, "seed": 1}, "seed": 1},
        {
            "lr": Origin("file", "conf/b.yaml:1", (Overridden(0.5, "file", "conf/a.yaml:1"),)),
            "aug.p": Origin("file", "conf/a.yaml:3"),
            "aug.lr": Origin("file", "conf/b.yaml:1"),
            "aug.seed": Origin("file", "conf/b.yaml:2"),
            "seed": Origin("file", "conf/b.yaml:2"),
        },
    )


def test_an_empty_file_below_a_prefix_is_an_empty_mapping(conf: pathlib.Path) -> None:
    assert read_params_files(["data.aug=conf/deep/c.yaml"], conf) == Layer(
        {"data": {"aug": {}}}, origins(("data.aug", "conf/deep/c.yaml"))
    )


def test_odd_keys_below_a_prefix_keep_their_origins(conf: pathlib.Path) -> None:
    (conf / "odd.json").write_text('{"a.b": {"c": 1}}')

    assert read_params_files(["x=odd.json"], conf) == Layer({"x": {"a.b": {"c": 1}}}, origins(('x["a.b"].c', "odd.json:1")))


def test_several_files_can_be_read_with_exact_floats(conf: pathlib.Path) -> None:
    (conf / "c.yaml").write_text("lr: 1e-3\n")

    assert read_params_files(["c.yaml"], conf, exact_floats=True).values == {"lr": 0.001}


def test_the_bytes_of_a_file_are_read_like_the_file(conf: pathlib.Path) -> None:
    assert read_params_text((conf / "conf" / "b.yaml").read_bytes(), "conf/b.yaml", "v1:conf/b.yaml") == Layer(
        {"lr": 0.1, "seed": 1}, origins(("lr", "v1:conf/b.yaml:1"), ("seed", "v1:conf/b.yaml:2"))
    )


_HALVES = ("<<<<<<< HEAD\n", "=======\n", ">>>>>>> theirs\n")


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.yaml", ("lr: 0.1\n", "lr: 0.2\n")),
        ("a.json", ('{"lr": 0.1}\n', '{"lr": 0.2}\n')),
        ("a.toml", ("lr = 0.1\n", "lr = 0.2\n")),
        ("a.ini", ("[a]\nlr = 0.1\n", "[a]\nlr = 0.2\n")),
        ("a.py", ("lr = 0.1\n", "lr = 0.2\n")),
    ],
)
def test_a_file_in_a_merge_conflict_is_called_that(write: Any, name: str, lines: tuple[str, str]) -> None:
    text = "\n" + "".join(part for pair in zip(_HALVES, (*lines, ""), strict=True) for part in pair)
    with pytest.raises(ParamsFileError) as caught:
        read_params(write(name, text))

    assert str(caught.value) == f"{name}:2: it is in a merge conflict."
    assert caught.value.hint == f"edit {name}, then git add it"
