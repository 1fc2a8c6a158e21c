from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gitparams.capture.overrides import apply_overrides, overrides_layer, parse_override, scalar, split_override
from gitparams.errors import UsageError
from gitparams.params import Layer, Origin, Overridden, flatten, get, layer, path_text, stack
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
        (r'k={"\ud83d\ude00": ["\ud83d\ude00", "\ud83d"]}', ("k",), {"\U0001f600": ["\U0001f600", "\ud83d"]}),
        ("+optim.lr=1e-3", ("optim", "lr"), 0.001),
        ("++lr=1", ("lr",), 1),
        ('["+lr"]=1', ("+lr",), 1),
        ("lr+=1", ("lr+",), 1),
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
    assume(not keys[0].startswith(("+", "~")))  # these are written in brackets

    assert parse_override(f"{path_text(keys)}=1") == (keys, 1)


@given(st.text())
def test_any_text_is_an_override_or_a_usage_error(text: str) -> None:
    try:
        parse_override(text)
    except UsageError as error:
        assert error.hint


def test_an_override_is_cut_at_the_first_equals_sign_outside_of_its_path() -> None:
    assert split_override('["a=b"].c=d=e') == (("a=b", "c"), "d=e")


DECLARED = stack(
    [
        layer({"optim": {"lr": 0.1, "name": "sgd"}, "seed": 1, "sched": None, "extra": {}}, "file", "base.yaml"),
        layer({"data": {"root": "x", "aug": {"p": 0.5}}, "layers": [64]}, "file", "data.yaml"),
    ]
)


def test_overrides_go_on_top_and_remember_what_they_overrode() -> None:
    assert apply_overrides(
        DECLARED, ["optim.lr=0.01", "optim.lr=0.1", "+optim.beta=0.9", "~seed", "~extra=", "~data.root"]
    ) == Layer(
        {"optim": {"lr": 0.1, "name": "sgd", "beta": 0.9}, "sched": None, "data": {"aug": {"p": 0.5}}, "layers": [64]},
        {
            "optim.lr": Origin(
                "cli",
                "-p optim.lr=0.1",
                (Overridden(0.1, "file", "base.yaml"), Overridden(0.01, "cli", "-p optim.lr=0.01")),
            ),
            "optim.name": Origin("file", "base.yaml"),
            "optim.beta": Origin("cli", "-p +optim.beta=0.9"),
            "sched": Origin("file", "base.yaml"),
            "data.aug.p": Origin("file", "data.yaml"),
            "layers": Origin("file", "data.yaml"),
        },
    )


def test_the_base_is_left_as_it_was() -> None:
    before = layer({"optim": {"lr": 0.1}}, "file")

    apply_overrides(before, ["optim.lr=1", "~optim.lr", "+x=1"])

    assert before == layer({"optim": {"lr": 0.1}}, "file")


def test_a_whole_mapping_can_be_removed_with_all_its_origins() -> None:
    removed = apply_overrides(DECLARED, ["~optim", "~data.aug", "~sched", "~extra", "~seed"])

    assert removed == Layer(
        {"data": {"root": "x"}, "layers": [64]},
        {"data.root": Origin("file", "data.yaml"), "layers": Origin("file", "data.yaml")},
    )


def test_a_mapping_that_lost_its_last_key_stays_and_says_why() -> None:
    assert apply_overrides(layer({"a": {"b": 1}}, "file"), ["~a.b"]) == Layer({"a": {}}, {"a": Origin("cli", "-p ~a.b")})


def test_a_key_that_was_added_is_declared_from_then_on_and_one_that_was_removed_no_more() -> None:
    assert apply_overrides(DECLARED, ["+x.y=1", "x.y=2", "~x"]).values == DECLARED.values
    with pytest.raises(UsageError, match=r"no 'seed' is declared"):
        apply_overrides(DECLARED, ["~seed", "seed=3"])


def test_a_mapping_is_merged_into_the_one_that_is_there() -> None:
    assert apply_overrides(DECLARED, ["optim={lr: 1, name: adam}", "optim={}", "sched={name: cos}", "seed={a: 1}"]).values == {
        "optim": {"lr": 1, "name": "adam"},
        "seed": {"a": 1},
        "sched": {"name": "cos"},
        "extra": {},
        "data": {"root": "x", "aug": {"p": 0.5}},
        "layers": [64],
    }


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("optim.lrr=0.01", "no 'optim.lrr' is declared; did you mean optim.lr?", "+optim.lrr=0.01 adds it"),
        ("lr=0.01", "no 'lr' is declared; did you mean optim.lr?", "+lr=0.01 adds it"),
        ("optm.lr=1", "no 'optm.lr' is declared; did you mean optim.lr?", "+optm.lr=1 adds it"),
        ("sede=1", "no 'sede' is declared; did you mean seed?", "+sede=1 adds it"),
        ("Layers=[1, 2]", "no 'Layers' is declared; did you mean layers?", "'+Layers=[1, 2]' adds it"),
        ("batch=1", "no 'batch' is declared.", "+batch=1 adds it"),
        ("extra.x=1", "no 'extra.x' is declared.", "+extra.x=1 adds it"),
        ("new={a: 1}", "no 'new' is declared.", "'+new={a: 1}' adds it"),
        ("optim={lr: 1, nam: x}", "no 'optim.nam' is declared; did you mean optim.name?", "'+optim={lr: 1, nam: x}' adds it"),
        ("optim=adam", "'optim' is a mapping of lr, name, which this would replace.", "+optim=adam sets it anyway"),
        ("data={aug: 1}", "'data.aug' is a mapping of p, which this would replace.", "'+data={aug: 1}' sets it anyway"),
        ("extra=1", "'extra' is an empty mapping, which this would replace.", "+extra=1 sets it anyway"),
        ("optim.lr.x.y=1", "'optim.lr' is a value, so nothing is below it.", "+optim.lr.x.y=1 sets it anyway"),
        ("sched.name=cos", "'sched' is a value, so nothing is below it.", "+sched.name=cos sets it anyway"),
    ],
)
def test_what_the_files_do_not_declare_is_an_error_with_a_near_miss(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        apply_overrides(DECLARED, ["optim.lr=1", text])

    assert caught.value.message == f"-p {text}: {message}"
    assert caught.value.hint == f"-p {hint}; --no-strict lets new keys in"


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("+optim.lrr=0.01", ("optim", "lrr"), 0.01),
        ("+optim.lr=3", ("optim", "lr"), 3),
        ("+optim=adam", ("optim",), "adam"),
        ("+optim.lr.x=1", ("optim", "lr"), {"x": 1}),
        ("+optim={nam: x}", ("optim",), {"lr": 0.1, "name": "sgd", "nam": "x"}),
    ],
)
def test_a_plus_sets_a_key_whatever_is_declared(text: str, path: tuple[str, ...], value: Any) -> None:
    assert get(apply_overrides(DECLARED, [text]).values, path) == value
    assert get(apply_overrides(DECLARED, [text[1:]], strict=False).values, path) == value


def test_where_nothing_is_declared_every_key_is_let_in() -> None:
    assert apply_overrides(Layer({}, {}), ["a.b=1", "c=2", "a=3"]).values == {"a": 3, "c": 2}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("~optim.lrr", "there is no 'optim.lrr' to remove; did you mean optim.lr?", "-p '~optim.lr'"),
        ("~batch", "there is no 'batch' to remove.", "--no-strict lets a key be removed that is not there"),
        ("~optim.lr.x=", "there is no 'optim.lr.x' to remove.", "--no-strict lets a key be removed that is not there"),
        ("~seed=1", "a key is removed without a value.", "-p '~seed'"),
    ],
)
def test_what_is_not_there_cannot_be_removed(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        apply_overrides(DECLARED, [text])

    assert (caught.value.message, caught.value.hint) == (f"-p {text}: {message}", hint)


def test_without_strictness_what_is_not_there_need_not_be_removed() -> None:
    assert apply_overrides(DECLARED, ["~batch", "~optim.lr.x"], strict=False) == DECLARED


@pytest.mark.parametrize("text", ["~", "~a b", "~a..b=", "+", "+=1"])
def test_a_change_without_a_path_is_answered_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        apply_overrides(DECLARED, [text])

    assert caught.value.hint == "-p optim.lr=0.01"


def test_a_layer_of_overrides_adds_and_cannot_remove() -> None:
    assert overrides_layer(["+lr=1"]) == Layer({"lr": 1}, {"lr": Origin("cli", "-p +lr=1")})
    with pytest.raises(UsageError) as caught:
        overrides_layer(["lr=1", "~lr"])

    assert str(caught.value) == "-p ~lr: there is nothing to remove it from."


keys = st.text("ab.[\"'= é", min_size=1, max_size=3)
leaf = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.lists(st.integers())
)
config = st.recursive(
    st.dictionaries(keys, leaf, min_size=1, max_size=3),
    lambda inner: st.dictionaries(keys, leaf | inner, min_size=1, max_size=3),
)


@given(config, st.lists(keys, min_size=1, max_size=3), leaf)
def test_what_was_set_is_there_and_what_was_removed_is_gone(declared: dict[str, Any], path: list[str], value: Any) -> None:
    base = layer(declared, "file", "a.yaml")
    written = path_text(tuple(path))

    after = apply_overrides(base, [f"+{written}={json.dumps(value)}"])
    removed = apply_overrides(after, [f"~{written}"])

    assert same(get(after.values, tuple(path)), value)
    assert after.origins.keys() == flatten(after.values).keys()
    assert after.origins[written].at == f"-p +{written}={json.dumps(value)}"
    assert written not in removed.origins
    assert removed.origins.keys() == flatten(removed.values).keys()


@given(config)
def test_every_declared_value_can_be_overridden_and_removed(declared: dict[str, Any]) -> None:
    base = layer(declared, "file", "a.yaml")
    paths = list(flatten(declared))

    assert set(flatten(apply_overrides(base, [f"{path}=new" for path in paths]).values).values()) == {"new"}
    assert set(map(str, flatten(apply_overrides(base, [f"~{path}" for path in paths]).values).values())) <= {"{}"}


@given(config)
def test_a_whole_config_given_as_one_mapping_is_declared(declared: dict[str, Any]) -> None:
    base = layer({"top": declared}, "file", "a.yaml")

    assert same(dict(apply_overrides(base, [f"top={json.dumps(declared)}"]).values), {"top": declared})
