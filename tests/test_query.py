"""The query language: what an expression means, in SQL as in Python, and what is said of one that is wrong."""

import math
import operator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from world import git, make_repository

import gitparams
from gitparams.git import Git
from gitparams.index import Filter, Index
from gitparams.ledger import Ledger
from gitparams.query import FIELDS, LONGEST, QueryError, all_of, compile_order, compile_query, evaluate, near_misses

INF, NAN = math.inf, math.nan
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def mirror(repo):
    """Open the index of the repository that the test stands in."""
    with Git.find(repo) as asked:
        ledger = Ledger(asked)
        index = Index.open(asked, ledger)
        index.catch_up(ledger.tip())
        yield index
        index.close()


def caught_up(mirror):
    mirror.catch_up(mirror.ledger.tip())
    return mirror


def ask(mirror, text, **how):
    """Return the ids of the runs that meet an expression, newest first."""
    return caught_up(mirror).ids(Filter(where=compile_query(text, mirror)), **how)


def meets(mirror, text, params=None, metrics=None, **fields):
    """Record a run, and tell whether it meets an expression; SQL and Python agree."""
    run = gitparams.record(params or {}, metrics or {}, **fields)
    found = run.id in ask(mirror, text)
    assert evaluate(text, run, date=mirror.date) is found
    return found


def refused(mirror, text):
    """Return the problem, column and hint of an expression that is refused."""
    with pytest.raises(QueryError) as caught:
        compile_query(text, caught_up(mirror))
    return caught.value.problem, caught.value.column, caught.value.hint


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("params.x == 1", 1, True),
        ("params.x == 1", 1.0, True),
        ("params.x == 1", True, False),
        ("params.x == 1", "1", False),
        ("params.x == True", True, True),
        ("params.x == True", 1, False),
        ("params.x is True", True, True),
        ('params.x == "1"', "1", True),
        ('params.x == "1"', 1, False),
        ("params.x != 1", "1", True),
        ("params.x > 0.5", "a", False),
        ("params.x > 0.5", [1], False),
        ("params.x > 0.5", True, False),
        ("params.x > 0.5", INF, True),
        ("params.x < 0.5", -INF, True),
        ("params.x < 1e999", INF, False),
        ('params.x > "a"', "b", True),
        ('params.x > "a"', [1], False),
        ('params.x < "b"', "", True),
        ('params.x < "b"', 1, False),
        ('params.x < "b"', True, False),
        ("params.x == 9007199254740993", 2**53 + 1, True),
        ("params.x == 9007199254740992.0", 2**53 + 1, False),
        ("params.x == 18446744073709551616", 2**64, True),
        ("params.x == -9223372036854775808", -(2**63), True),
        ("params.x > 0", 10**400, True),
        ("params.x == [64, 64]", [64, 64], True),
        ("params.x == (64, 64)", [64, 64], True),
        ("params.x == [64.0, 64]", [64, 64], False),
        ("params.x is None", None, True),
        ("params.x == None", None, True),
        ("params.x is not None", 0, True),
        ("params.x is not None", None, False),
        ("params.x in (1, 2)", 2.0, True),
        ("params.x in (1, 2)", "2", False),
        ("params.x in (None, True)", True, True),
        ("params.x not in (1, 2)", 3, True),
        ("params.x not in ()", 3, True),
        ("params.x in ()", 3, False),
        ('"net" in params.x', "resnet50", True),
        ('"net" in params.x', ["net", 1], True),
        ('"net" in params.x', ["resnet"], False),
        ("1 in params.x", [1.0], True),
        ('"net" not in params.x', 5, True),
        ("isnan(params.x)", NAN, True),
        ("isnan(params.x)", "NaN", False),
        ("params.x == params.x", NAN, False),
        ("params.x != 1", NAN, True),
        ("params.x < 0.1", NAN, False),
        ("not params.x < 0.1", NAN, True),
        ("exists(params.x)", None, True),
        ("exists(params.x)", {}, True),
        ("exists(params.x)", {"y": 1}, True),
        ("params.x.y == 1", {"y": 1}, True),
        ("params.x", 0.0, False),
        ("params.x", "", False),
        ("params.x", [], False),
        ("params.x", NAN, True),
        ("params.x", "0", True),
        ("0.001 < params.x < 0.1", 0.01, True),
        ("0.001 < params.x < 0.1", 0.1, False),
        ("params.x / 2 == 2.5", 5, True),
        ("-params.x + 1 > 0", 0.5, True),
        ("params.x * 2 > 1", "12abc", False),
        ("params.x * 2 > 1", True, False),
        ("params.x / 0 == 0", 5, False),
        ("not params.x / 0 == 0", 5, True),
        ("abs(params.x) == 3", -3, True),
        ("log10(params.x) == -3", 0.001, True),
        ("log10(params.x) < 9", -1, False),
        ("params.x + 1 != 0", NAN, True),
        ("params.x - params.x == 0", INF, False),
        ("params.x * 2 == 18446744073709551614", 2**63 - 1, True),
        ('glob(params.x, "res*")', "resnet", True),
        ('glob(params.x, "res*")', "Resnet", False),
        ('glob(params.x, "r[!a]?")', "res", True),
        ('glob(params.x, "res*")', ["vit", "resnet"], True),
        ("True", 1, True),
        ("params.x == 1 and not params.x == 2 or False", 1, True),
    ],
)
def test_values_keep_their_types(mirror, text, value, holds):
    assert meets(mirror, text, {"x": value}) is holds


MISSING_AND = [
    ("params.x == 1", False),
    ("params.x != 1", False),
    ("params.x < 1", False),
    ("params.x is None", False),
    ("params.x is not None", False),
    ("params.x in (1, 2)", False),
    ("params.x not in (1, 2)", False),
    ("params.x not in ()", False),
    ('"a" in params.x', False),
    ('"a" not in params.x', False),
    ("params.x + 1 != 1", False),
    ("params.x != params.y", False),
    ("isnan(params.x)", False),
    ("exists(params.x)", False),
    ("params.x", False),
    ("not params.x == 1", True),
    ("not params.x not in (1, 2)", True),
    ("not (params.x == 1 or params.y == 2)", True),
    ("not (params.x == 1 and params.y == 1)", True),
    ("not exists(params.x)", True),
    ("not not params.x == 1", False),
]


@pytest.mark.parametrize(("text", "holds"), MISSING_AND)
def test_a_comparison_with_a_missing_value_is_false_and_not_negates_that(mirror, text, holds):
    gitparams.record({"x": 1, "y": 5})
    assert meets(mirror, text, {"y": 1}) is holds


@pytest.mark.parametrize("text", ["exists(params.nothing)", "nothing is None", "params.nothing is not None", "None == nothing"])
def test_a_key_that_no_run_has_may_be_asked_for(mirror, text):
    assert meets(mirror, text, {"x": 1}) is False


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("params.lambda == 1", {"lambda": 1}),
        ("params.class.from == 1 and params.None == 2", {"class": {"from": 1}, "None": 2}),
        ("params. is == 1", {"is": 1}),
        ('params["lr-decay"] == 1', {"lr-decay": 1}),
        ('params["a.b"] == 1 and params.a.b == 2', {"a.b": 1, "a": {"b": 2}}),
        ("params['\"\\\\'] == 1", {'"\\': 1}),
        ('params["é"] == 1 and params.é == 1 and é == 1', {"é": 1}),
        ('params[""] == 1', {"": 1}),
        ('params["a"]["b c"].d == 1', {"a": {"b c": {"d": 1}}}),
        ("params.ﬁ == 1", {"ﬁ": 1, "fi": 2}),
        ("params.params == 1", {"params": 1}),
        ('params["\'); DROP TABLE runs; --"] == 1', {"'); DROP TABLE runs; --": 1}),
        ('"params.lambda" == params.x', {"x": "params.lambda"}),
        ("params.optim.lr == 1 and optim.lr == 1", {"optim": {"lr": 1}}),
        ('params.x == "\\t\\n\\"\'%s?"', {"x": "\t\n\"'%s?"}),
    ],
)
def test_every_key_and_text_can_be_written(mirror, text, params):
    assert meets(mirror, text, params) is True


@pytest.mark.parametrize(
    "text",
    [
        "acc == 0.5",
        "metrics.acc == 0.5",
        'metrics["val/acc"] == 1',
        "metrics.test.acc == 2",
        "test.acc == 2",
        "metrics.ok == True",
    ],
)
def test_metrics_are_named_whole(mirror, text):
    assert meets(mirror, text, {"acc_goal": 1}, {"acc": 0.5, "val/acc": 1, "test.acc": 2, "ok": True}) is True


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('name == "base"', True),
        ('status == "completed"', True),
        ('experiment in ("digits", "other")', True),
        ('started == "2026-11-01T12:00:00+00:00"', True),
        ('started >= "2026-11-01" and started < "2026-11-02"', True),
        ('"2026-10-31" < started < "2026-11-01"', False),
        ('started > "2 days ago"', True),
        ('started in ("2026-11-01T12:00:00Z",)', True),
        ('started > "yesterday" and started <= "2100-01-01"', True),
        ("finished - started >= 0 and finished >= started", True),
        ("duration >= 0", True),
        ('"Ada" in author and glob(author, "*example.com>")', True),
        ('tag("b") and "a" in tags and not tag("c") and tags == ["a", "b"]', True),
        ('"train.py" in command', True),
        ('"fine" in note', True),
        ("parent is None and branch is not None", True),
        ("exists(parent)", False),
        ("exists(name)", True),
        ("exit_code is None", True),
        ("dirty or group or deleted or disputed or drift or unread or redacted", False),
        ("dirty == False", True),
        ('commit is not None and host != "" and user != "" and python != "" and cwd == "."', True),
        ('name != "base"', False),
        ("name is None", False),
        ('host == "nowhere"', False),
        ("status > 3", False),
        ("name", True),
    ],
)
def test_fields_are_what_the_run_says(mirror, text, holds):
    fields = {"name": "base", "experiment": "digits", "tags": ["b", "a"], "note": "it is fine", "started": NOON}
    started = {"started": datetime.now(UTC) - timedelta(hours=1)} if "ago" in text or "yesterday" in text else {}
    found = meets(mirror, text, {"x": 1}, **{**fields, **started}, command=["python", "train.py"])
    assert found is holds


def test_an_unnamed_run_has_a_null_name(mirror):
    assert meets(mirror, 'name is None and name != "a" and not exists(name) and not name == "a"', {"x": 1}) is True


def test_ids_and_commits_answer_to_their_beginnings(mirror):
    run = gitparams.record({"x": 1})
    other = gitparams.record({"x": 2})
    head = git("rev-parse", "HEAD")
    assert ask(mirror, f'id == "{run.id[:8]}"') == [run.id]
    assert ask(mirror, f'id in ("{run.id}", "zzzz")') == [run.id]
    assert ask(mirror, f'id != "{run.id[:8]}"') == [other.id]
    assert ask(mirror, f'id not in ("{run.id[:8]}", "{other.id}")') == []
    assert ask(mirror, f'commit == "{head[:7]}"') == [other.id, run.id]
    assert ask(mirror, f'commit == "{head[:3]}"') == []


def test_changed_compares_with_the_run_before(mirror):
    params = [
        {"optim": {"lr": 1}, "seed": 1},
        {"optim": {"lr": 1.0}, "seed": 1},
        {"optim": {"lr": 1.0, "b": NAN}, "seed": 1},
        {"optim": {"lr": 1.0, "b": NAN}, "seed": 2},
    ]
    first, second, third, fourth = (gitparams.record(each).id for each in params)
    assert ask(mirror, "changed(params.optim.lr)") == [second]
    assert ask(mirror, "changed(optim)") == [third, second]
    assert ask(mirror, 'changed("*ee?")') == [fourth]
    assert ask(mirror, "not changed(params.optim.lr)") == [fourth, third, first]
    runs = {run.id: run for run in mirror.runs(Filter())}
    assert [name for name in runs if evaluate("changed(optim)", runs[name], before=mirror.before(runs[name]))] == [
        third,
        second,
    ]


@pytest.mark.parametrize(
    ("text", "problem", "column", "hint"),
    [
        ("optim.lr = 1", "equality is written ==.", 10, "optim.lr == 1"),
        ("acc > 1 && acc < 2", "&& is written and.", 9, "acc > 1 and acc < 2"),
        ("acc > 1 || acc < 2", "|| is written or.", 9, "acc > 1 or acc < 2"),
        ("!params.amp", "! is written not.", 1, "not params.amp"),
        ("acc > 1 AND acc < 2", "AND is written small.", 9, "acc > 1 and acc < 2"),
        ('model like "res%"', "like is no operator here.", 7, 'glob(params.model, "res*")'),
        ("amp == true", "true is written True.", 8, "amp == True"),
        ("amp == null", "null is written None.", 8, "amp == None"),
        ("status == completed", "text is written in quotes.", 11, 'status == "completed"'),
        ("name == baseline", "text is written in quotes.", 9, 'name == "baseline"'),
        ("params.lr-decay > 1", "- subtracts here; the key lr-decay is written in brackets.", 1, 'params["lr-decay"]'),
        ("lr-decay > 1", "- subtracts here; the key lr-decay is written in brackets.", 1, 'params["lr-decay"]'),
        ("params.1st == 1", "a key that begins with a digit is written in brackets.", 8, 'params["1st"]'),
        ("params.optm.lr > 1", "no run has a param optm.lr.", 1, "did you mean params.optim.lr?"),
        ("metrics.ac > 1", "no run has a metric ac.", 1, "did you mean metrics.acc?"),
        ("modle == 1", "no run has a param or metric modle, and no field is called so.", 1, "did you mean params.model?"),
        ("optim > 1", "optim is a mapping of params.", 1, "params.optim.lr"),
        ("params > 1", "which of the params?", 1, 'params["1st"]'),
        ("acc > 1 and both > 1", "both is a param and a metric.", 13, "params.both, or metrics.both"),
        ("changed(params.nothing)", "no run has a param nothing.", 9, None),
        ("changed(metrics.acc)", "changed is about params.", 9, "changed(params.lr)"),
        ("model.upper() == 1", "values have no methods here.", 1, "the functions are exists, isnan, changed, tag, glob, abs, log10"),
        ("model.a().b().c == 1", "values have no methods here.", 1, "the functions are exists, isnan, changed, tag, glob, abs, log10"),
        ('__import__("os")', "there is no function __import__.", 1, "the functions are exists, isnan, changed, tag, glob, abs, log10"),
        ("(lambda: 1)()", "this is not known here.", 1, "the functions are exists, isnan, changed, tag, glob, abs, log10"),
        ("lambda: 1", "functions cannot be made here.", 1, None),
        ("[x for x in acc]", "there are no loops here.", 1, None),
        ("(acc := 1)", "nothing can be assigned here.", 6, "(acc == 1)"),
        ("import os", "this is not an expression.", 1, 'params.optim.lr < 0.01 and status == "completed"'),
        ("acc % 2 == 1", "there is no %: arithmetic is + - * /.", 7, None),
        ("acc ** 2 == 1", "there is no **: arithmetic is + - * /.", 8, "params.x * params.x"),
        ("acc | 2", "| is no operator here.", 7, "a == 1 or b == 2"),
        ("acc[0] == 1", "in brackets stands a key in quotes.", 5, 'params["lr-decay"]'),
        ('f"{acc}" == 1', "texts are plain here, without an f.", 1, '"resnet"'),
        ('b"a" == model', "this is no value of a param.", 1, '"resnet", 0.1, True or None'),
        ("acc == 1j", "this is no value of a param.", 8, '"resnet", 0.1, True or None'),
        ("(acc > 1) > 0", "a condition is here, where a value is expected.", 2, "(a == 1) and (b == 2)"),
        ("acc is 5", "is compares with None.", 8, "params.x is None"),
        ("acc in (acc, 1)", "a list holds plain values.", 9, "lr == params.a or lr == params.b"),
        ("tag(acc)", "tag takes a text in quotes.", 5, 'tag("resnet")'),
        ("glob(model)", "glob takes a value and a pattern.", 1, 'glob(params.model, "res*")'),
        ("acc > 1 # good", "there are no comments here.", 9, None),
        ("acc > 1; acc < 2", "one expression is read, without ;.", 8, "acc > 1 and acc < 2"),
        ('started > "garbage"', "'garbage' is no date.", 11, '"2 days ago", "yesterday", "2026-11-23" or "2026-11-23T10:00"'),
        ('started > "2026-13-45"', "'2026-13-45' is no date.", 11, '"2 days ago", "yesterday", "2026-11-23" or "2026-11-23T10:00"'),
        ("", "the expression is empty.", 1, 'params.optim.lr < 0.01 and status == "completed"'),
        ("'abc", "a text begins here and does not end.", 1, 'status == "completed"'),
        ("(acc > 1", "'(' was never closed.", 1, None),
        ("acc > 1)", "unmatched ')'.", 8, None),
        ("acc > 1\x00", "this is no character of an expression.", 8, None),
        ('model == "\x00"', "this is no character of a text.", 11, None),
        ("\udcff > 1", "this is no character of an expression.", 1, None),
        ('"\udcff" == model', "this is no character of a text.", 2, None),
        ('"\\ud800" == model', "a text holds half a character.", 1, None),
        ("é > 1 and modl == 1", "no run has a param or metric é, and no field is called so.", 1, 'text is written in quotes: "é"'),
        ("model == 'é' and acd > 1", "no run has a param or metric acd, and no field is called so.", 18, "did you mean metrics.acc?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place_and_what_to_write(mirror, text, problem, column, hint):
    params = {"optim": {"lr": 1}, "amp": True, "lr-decay": 1, "1st": 1, "model": "a", "both": 1}
    gitparams.record(params, {"acc": 1, "both": 2})
    assert refused(mirror, text) == (problem, column, hint)


def test_the_caret_stands_under_the_place(mirror):
    gitparams.record({"x": 1})
    with pytest.raises(QueryError) as caught:
        compile_query('params.x == "日本" and accc > 1', caught_up(mirror))
    assert str(caught.value) == (
        "column 22: no run has a param or metric accc, and no field is called so.\n"
        '  params.x == "日本" and accc > 1\n'
        "                         ^"
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    ["not " * 2000 + "x", "(" * 5000 + "x" + ")" * 5000, "-" * 9000 + "x", "x" + "+1" * 4000, "a." * 4000 + "b", "[" * 9000,
     "f(" * 3000, "x if x else " * 500 + "x", "(x == 1 and (x == 2 or " * 60 + "x" + "))" * 60, "x[" * 3000, "{" * 9000],
)  # fmt: skip
def test_deep_nesting_is_a_sentence(mirror, text):
    gitparams.record({"x": 1})
    problem, column, _ = refused(mirror, text)
    assert problem.endswith(".") and column >= 1


def test_some_nesting_works(mirror):
    nested = "(not changed(x) or (x == 1 and not (exists(x) and x in (2, 3) or " * 5 + "x == 1" + ")))" * 5
    assert meets(mirror, nested, {"x": 1}) is True


@pytest.mark.parametrize(
    "text",
    [
        "x == 1 or " * 1000 + "x == 2",
        "x == 2 and " * 9000 + "x == 2",
        f"x in ({'1,' * 40_000} 2)",
        f'x == 2 or x == "{"a" * 90_000}"',
        " or ".join(["changed(params.x)"] * 500) + " or x == 2",
        f"x == 2 and ({' + '.join(['x'] * 90)}) == 180",
    ],
)
def test_long_expressions_work(mirror, text):
    assert meets(mirror, text, {"x": 2}) is True


def test_an_endless_expression_is_refused(mirror):
    gitparams.record({"x": 1})
    assert refused(mirror, "x" * (LONGEST + 1))[0] == "the expression has 100,001 characters, and 100,000 are read."


@pytest.mark.parametrize(
    "text",
    [
        'name == "\'; DROP TABLE runs; --"',
        "params['x\\') OR 1=1 --'] is None",
        'exists(params["$.x"])',
        "glob(name, \"') OR ('1'='1\")",
        "tag('\" OR 1=1')",
        "'?' in name",
    ],
)
def test_injection_is_text_like_any_other(mirror, text):
    assert meets(mirror, text, {"x": 1}, name="base") is False
    assert mirror.count(Filter()) == 1


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("params.lr > 0.1", ("params.lr is text in 2 runs: never compared with a number",)),
        ('lr == "0.1"', ("params.lr is a number in 1 run: never compared with text",)),
        ("lr in (0.1, 0.2) or lr > 3", ("params.lr is text in 2 runs: never compared with a number",)),
        ("acc > 0.1", ()),
        ("acc == 18446744073709551616", ("18446744073709551616 is compared as a float",)),
        ("status == 3", ("status is text: never compared with a number",)),
        ('exit_code == "1"', ("exit_code is a number: never compared with text",)),
        ('status == "done"', ("no status is called 'done': running, open, completed, failed, interrupted, crashed, lost, refused, pruned",)),
    ],
)  # fmt: skip
def test_what_is_never_compared_is_noted_once(mirror, text, notes):
    gitparams.record({"lr": "0.1"})
    gitparams.record({"lr": "0.2"})
    gitparams.record({"lr": 0.1}, {"acc": 1})
    assert compile_query(text, caught_up(mirror)).notes == notes


def test_several_expressions_hold_together(mirror):
    for number in range(3):
        gitparams.record({"x": number, "y": str(number)}, name=f"r{number}")
    texts = ["x > 0 or x < -1", 'y in ("1", "2") and abs(x) < 2', "y != 5"]
    both = all_of([compile_query(text, caught_up(mirror)) for text in texts])
    assert [run.name for run in mirror.runs(Filter(where=both))] == ["r1"]
    assert both.keyed and both.notes == ("params.y is text in 3 runs: never compared with a number",)
    assert mirror.count(Filter(where=all_of([]))) == 3


def order(mirror, *words):
    caught_up(mirror)
    return [run.name for run in mirror.runs(Filter(), order=compile_order(words, mirror))]


def test_sorting_puts_numbers_first_and_missing_last_in_both_directions(mirror):
    values = {"two": 2, "ten": 10, "inf": INF, "nan": NAN, "text": "a", "gone": None, "yes": True}
    for name, value in values.items():
        gitparams.record({"x": value}, name=name)
    gitparams.record({"y": 1}, name="missing")
    assert order(mirror, "x") == ["two", "ten", "inf", "yes", "gone", "text", "nan", "missing"]
    assert order(mirror, "-params.x") == ["inf", "ten", "two", "nan", "text", "gone", "yes", "missing"]
    assert order(mirror, "y", "-x") == ["missing", "inf", "ten", "two", "nan", "text", "gone", "yes"]


def test_sorting_by_several_keys_and_fields_ends_with_the_newest_first(mirror):
    for number, (model, acc) in enumerate([("a", 1), ("b", 2), ("a", 2), ("b", 2)]):
        gitparams.record({"model": model}, {"acc": acc}, name=f"r{number}")
    assert order(mirror, "-acc", "model") == ["r2", "r3", "r1", "r0"]
    assert order(mirror, "model", "name") == ["r0", "r2", "r1", "r3"]
    assert order(mirror, "-name") == ["r3", "r2", "r1", "r0"]
    assert order(mirror, "duration", "started") == sorted(order(mirror, "started"), key=order(mirror, "duration").index)


@pytest.mark.parametrize("limit", [None, 0, 1, 3, 5, 9])
@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4, 6, 8, 20])
def test_a_page_of_a_sorted_list_is_that_part_of_the_list(mirror, limit, offset):
    values = [3, 1, "b", 2, None, "a"]
    for value in values:
        gitparams.record({"x": value})
    gitparams.record({"y": 1})
    by = compile_order(["-x"], caught_up(mirror))
    whole = mirror.ids(Filter(), order=by)
    assert mirror.ids(Filter(), order=by, limit=limit, offset=offset) == whole[offset:][:limit]


@pytest.mark.parametrize(
    ("word", "problem", "column", "hint"),
    [
        ("-metrics.ac", "no run has a metric ac.", 2, "did you mean metrics.acc?"),
        ("modle", "no run has a param or metric modle, and no field is called so.", 1, "did you mean params.model?"),
        ("both", "both is a param and a metric.", 1, "params.both, or metrics.both"),
        ("a b", "this is not a key.", 1, "--sort -metrics.acc"),
        ("-", "this is not a key.", 2, "--sort -metrics.acc"),
    ],
)
def test_a_word_to_sort_by_that_is_no_key_is_refused(mirror, word, problem, column, hint):
    gitparams.record({"model": "a", "both": 1}, {"acc": 1, "both": 2})
    with pytest.raises(QueryError) as caught:
        compile_order([word], caught_up(mirror))
    assert (caught.value.problem, caught.value.column, caught.value.hint) == (problem, column, hint)


def test_near_misses_know_the_end_of_a_path():
    names = {"params": ["optim.lr", "seed"], "metrics": []}
    assert near_misses("lr", names) == "did you mean params.optim.lr?"
    assert near_misses("params.lr", names) == "did you mean params.optim.lr?"
    assert near_misses("statsu", names) == "did you mean status?"
    assert near_misses("qqqq", names) is None


# -- SQL and Python agree -------------------------------------------------------------------------------------------------

NUMBERS = [0, 1, -1, 1.0, 0.1, -0.0, 2, 2.5, 64, 2**53, 2**53 + 1, float(2**53), 2**63 - 1, -(2**63), 2**63, 2**64, 10**400,
           INF, -INF, NAN, 1e300, 1e-5, 0.30000000000000004, 3]  # fmt: skip
TEXTS = [
    "",
    "1",
    "1.0",
    "True",
    "None",
    "NaN",
    "x",
    "n",
    "b1",
    "resnet",
    "resnet50",
    "Resnet",
    "é",
    "日本",
    "a'b",
    '"',
    "\\",
    "9e999",
    "s",
    "%",
]
OTHERS = [True, False, None, [], [1], [1.0, "a"], ["resnet"], [None, True], [[1]], {}]
KEYS = ["x", "y", "z", "lambda", "a.b", "é", 'q"', "lr-decay"]
WRITTEN = ["params.x", "x", "params.y", "y", "params.z", "params.lambda", 'params["a.b"]', "params.a.b", "a.b", "params.é", "params['q\"']",
           'params["lr-decay"]', "metrics.acc", "acc", "metrics.loss", 'metrics["val/acc"]', "metrics.test.f1"]  # fmt: skip
PLAIN_FIELDS = ["id", "name", "status", "experiment", "started", "finished", "duration", "commit", "branch", "author", "host", "tags",
                "note", "parent", "exit_code", "dirty", "disputed", "command", "cwd"]  # fmt: skip


def random_params(dice):
    params = {key: dice.choice(dice.choice([NUMBERS, NUMBERS, TEXTS, OTHERS])) for key in KEYS if dice.random() < 0.6}
    if dice.random() < 0.5:
        params["a"] = {"b": dice.choice(NUMBERS + TEXTS)}
    return params


def random_metrics(dice):
    return {name: dice.choice(NUMBERS) for name in ("acc", "loss", "val/acc", "test.f1") if dice.random() < 0.7}


def literal(value):
    return repr(value).replace("inf", "1e999")


literals = st.sampled_from([literal(value) for value in NUMBERS + TEXTS + OTHERS if value == value and value != {}])
keys = st.sampled_from(WRITTEN)
fields = st.sampled_from(PLAIN_FIELDS)
leaves = st.one_of(keys, keys, fields)
values = st.recursive(
    st.one_of(leaves, leaves, literals),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("{}({})".format, st.sampled_from(["abs", "log10", "-"]), inner),
    ),
    max_leaves=3,
)
relations = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
simple = st.one_of(
    st.builds("{} {} {}".format, leaves, relations, literals),
    st.builds("{} {} {}".format, literals, relations, leaves),
    st.builds("{} {} {}".format, values, relations, values),
    st.builds("{} {} {} {} {}".format, literals, relations, leaves, relations, values),
    st.builds(
        lambda item, sign, choices: f"{item} {sign} ({''.join(f'{choice}, ' for choice in choices)})",
        leaves,
        st.sampled_from(["in", "not in"]),
        st.lists(literals, max_size=4),
    ),
    st.builds("{} {} {}".format, st.one_of(literals, leaves), st.sampled_from(["in", "not in"]), leaves),
    st.builds("{} {} None".format, leaves, st.sampled_from(["is", "is not", "==", "!="])),
    st.builds("{} is {}".format, leaves, st.sampled_from(["True", "not False"])),
    st.builds("exists({})".format, leaves),
    st.builds("isnan({})".format, values),
    st.builds(
        "changed({})".format, st.sampled_from([key for key in WRITTEN if "metrics" not in key and key != "acc"] + ["params.a"])
    ),
    st.builds("tag({!r})".format, st.sampled_from(["a", "b", "é"])),
    st.builds("glob({}, {!r})".format, leaves, st.sampled_from(["*", "res*", "?", "[!a]*", "Res*", ""])),
    leaves,
)
conditions = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("not {}".format, inner),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def random_history(tmp_path_factory):
    """Runs with every kind of value, their index, and the runs before them."""
    dice = Random(20261)
    with pytest.MonkeyPatch.context() as world:
        world.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for part in ("AUTHOR", "COMMITTER"):
            world.setenv(f"GIT_{part}_NAME", "Ada")
            world.setenv(f"GIT_{part}_EMAIL", "ada@example.com")
        place = make_repository(tmp_path_factory.mktemp("random") / "repo")
        world.chdir(place)
        for number in range(150):
            gitparams.record(
                random_params(dice),
                random_metrics(dice),
                name=f"run{number}" if number % 3 else None,
                experiment=dice.choice(["one", "two"]),
                tags=dice.sample(["a", "b", "é"], dice.randrange(3)),
                note=dice.choice(["", "x", "resnet"]),
                command=dice.choice([(), ("python", "x")]),
            )
        with Git.find(place) as asked:
            ledger = Ledger(asked)
            index = Index.open(asked, ledger)
            index.catch_up(ledger.tip())
            runs = index.runs(Filter())
            yield index, runs, {run.id: index.before(run) for run in runs}
            index.close()


def read_moment(text):
    """Stand in for dates: any text is one, the same on both sides."""
    return float(len(text))


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@example("not (x + 1 > 2 or not y == 'é')")
@example("x < '日本' and not params.z not in (1, 'x', None)")
@given(conditions)
def test_sql_answers_what_python_does(random_history, text):
    index, runs, before = random_history
    index.date = read_moment
    there = compile_query(text, index)
    in_sql = index.ids(Filter(where=there))
    in_python = [run.id for run in runs if evaluate(text, run, before=before[run.id], date=read_moment)]
    assert in_sql == in_python
    assert index.count(Filter(where=there)) == len(in_python)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    st.lists(
        st.builds(operator.add, st.sampled_from(["", "-"]), st.sampled_from([*WRITTEN, *PLAIN_FIELDS])), min_size=1, max_size=3
    )
)
def test_any_order_holds_every_run_once(random_history, words):
    index, runs, _ = random_history
    by = compile_order(words, index)
    whole = index.ids(Filter(), order=by)
    assert sorted(whole) == sorted(run.id for run in runs)
    assert index.ids(Filter(), order=by, limit=20, offset=95) == whole[95:115]


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.one_of(st.text(max_size=40), st.text(alphabet="params.x '\"()[]=<>!&|+-*/notandori,1\\#;", max_size=40)))
def test_any_text_is_an_expression_or_refused_with_a_place(random_history, text):
    index, _, _ = random_history
    try:
        index.count(Filter(where=compile_query(text, index)))
    except QueryError as error:
        assert 1 <= error.column <= len(text) + 1 and "^" in str(error)


def test_every_field_is_in_the_table():
    import gitparams.query

    assert [name for name in FIELDS if f"``{name}``" not in gitparams.query.__doc__] == []
