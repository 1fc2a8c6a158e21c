"""The gate: what an expression says of two runs, and that nothing passes it by accident."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from world import git, gitparams

from gitparams.changes import CodeChange, Naming, RunDiff, compare
from gitparams.errors import UsageError
from gitparams.gate import Outcome, judge, judge_all
from gitparams.model import CodeState, Oid, Run, RunId, Status
from gitparams.params import nested
from gitparams.query import QueryError
from gitparams.repository import Repository
from gitparams.screens.terminal import Terminal

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MAIN, HEAD = RunId("k" * 16), RunId("l" * 16)
BEFORE = {"acc": 0.934, "loss": 0.25, "steps": 10, "val.acc": 0.5, "gone": 1.0, "nan": math.nan, "inf": 1.0, "zero": 0}
AFTER = {"acc": 0.913, "loss": 0.25, "steps": 12, "val.acc": 0.75, "new": 2.0, "nan": 1.0, "inf": math.inf, "zero": 1}
PARAMS_BEFORE = {"optim": {"lr": 0.1, "name": "adam"}, "size": 64, "old": 1, "layers": [1, 2], "typed": 1}
PARAMS_AFTER = {"optim": {"lr": 0.01, "name": "adam"}, "size": 64, "fresh": 2, "layers": [1, 3], "typed": "1"}

NEAR = "did you mean params.optim.lr or params.optim.name?"


def a_diff(*, names=("origin/main", "HEAD"), code=(), packages=None, trees=("a", "b")):
    sides = ((MAIN, PARAMS_BEFORE, BEFORE, trees[0]), (HEAD, PARAMS_AFTER, AFTER, trees[1]))
    runs = [
        Run(
            identity,
            Status.COMPLETED,
            NOW,
            params=nested(params),
            metrics=metrics,
            code=CodeState(tree=Oid(tree) if tree else None),
        )
        for identity, params, metrics, tree in sides
    ]
    return RunDiff(tuple(runs), code=code, packages=packages or {}, names=tuple(map(Naming, names)))


# -- what it says ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sentence",
    [
        "metrics.acc.delta < -0.01: failed, delta is −0.021 (0.934 → 0.913)",
        "metrics.acc.delta < -0.03: passed, delta is −0.021 (0.934 → 0.913)",
        "metrics.loss.delta > 0: passed, delta is 0 (0.25 → 0.25)",
        "metrics.steps.delta > 1: failed, delta is +2 (10 → 12)",
        "metrics.val.acc.delta < 0: passed, delta is +0.25 (0.50 → 0.75)",
        'metrics["val.acc"].delta < 0: passed, delta is +0.25 (0.50 → 0.75)',
        "acc.delta < -0.01: failed, delta is −0.021 (0.934 → 0.913)",
        "metrics.acc.after < 0.92: failed, after is 0.913",
        "metrics.acc.before < 0.92: passed, before is 0.934",
        "metrics.acc.ratio < 0.9: passed, ratio is 0.977516 (0.934 → 0.913)",
        "metrics.loss.delta > 0.1 or metrics.acc.delta < -0.01: failed, "
        "metrics.loss.delta is 0 (0.25 → 0.25), metrics.acc.delta is −0.021 (0.934 → 0.913)",
        "params.optim.lr.after > 0.05: passed, after is 0.01",
        'params.optim.name.after != "adam": passed, after is adam',
        'params.optim.lr.kind == "changed": failed, kind is changed (0.1 → 0.01)',
        'params.optim.name.kind == "changed": passed, kind is same (adam → adam)',
        'params.typed.kind == "type": failed, kind is type (1 → "1")',
        'params.fresh.kind == "added": failed, kind is added (– → 2)',
        'params.old.kind in ("removed", "type"): failed, kind is removed (1 → –)',
        "changed(params.optim.lr): failed, optim.lr changed (0.1 → 0.01)",
        "changed(params.optim): failed, optim.lr changed (0.1 → 0.01)",
        "changed(size): passed, size is the same",
        'changed("o*"): failed, optim.lr changed (0.1 → 0.01) and 1 more',
        "not changed(params.size): failed, size is the same",
        "exists(params.old.after): passed, params.old.after is not there",
        "exists(params.nothing.after): passed, params.nothing.after is not there",
        "not exists(metrics.gone.after): failed, metrics.gone.after is not there",
        "isnan(metrics.nan.after): passed, after is 1.0",
        "code.files > 1: failed, code.files is 2",
        "code.changed: failed, code.changed is 2",
        "packages.changed: failed, packages.changed is 1",
    ],
)
def test_the_sentence_says_the_verdict_and_the_values(sentence):
    expression, _, said = sentence.rpartition(": ")
    code = (CodeChange("train.py", 3, 1), CodeChange("data.bin", None, None))
    outcome = judge(expression, a_diff(code=code, packages={"numpy": ("1.0", "2.0")}))
    assert outcome == Outcome(expression, said.startswith("failed"), sentence)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("metrics.gone.delta < -0.01", "metrics.gone: the run at HEAD has none"),
        ("metrics.new.delta < -0.01", "metrics.new: the run at origin/main has none"),
        ("metrics.new.after < 1", "metrics.new: the run at origin/main has none"),
        ("not metrics.gone.delta < -0.01", "metrics.gone: the run at HEAD has none"),
        ("metrics.nan.delta < -0.01", "metrics.nan.before is nan"),
        ("metrics.inf.delta < -0.01", "metrics.inf.after is inf"),
        ("metrics.inf.after < 0", "metrics.inf.after is inf"),
        ("metrics.zero.ratio < 0.5", "metrics.zero.before is 0"),
        ("params.old.after > 3", "params.old: the run at HEAD has none"),
        ("params.optim.name.after > 3", "params.optim.name.after is adam, which cannot be compared so"),
        ('metrics.acc.delta < "0"', "metrics.acc.delta is -0.021, which cannot be compared so"),
        ("metrics.acc.delta < -0.5 and metrics.nan.delta < 0", "metrics.nan.before is nan"),
        ("metrics.acc.delta < -0.5 or metrics.gone.delta < 0", "metrics.gone: the run at HEAD has none"),
        ("metrics.acc.delta - metrics.gone.delta < 0", "metrics.gone: the run at HEAD has none"),
        ("metrics.nan.delta == 0", "metrics.nan.before is nan"),
        ("code.files > 100", "the code was not compared"),
        ("metrics.gone.delta", "metrics.gone: the run at HEAD has none"),
    ],
)
def test_nothing_passes_because_it_could_not_be_compared(expression, why):
    assert judge(expression, a_diff()) == Outcome(expression, True, f"{expression}: failed, {why}")


@pytest.mark.parametrize(
    "expression",
    [
        "exists(metrics.gone.after) and metrics.gone.delta < -0.01",
        "not exists(metrics.new.before) or metrics.new.delta < 0",
        "not isnan(metrics.nan.before) and metrics.nan.delta < 0",
    ],
)
def test_whoever_asks_first_whether_it_is_there_decides(expression):
    assert judge(expression, a_diff()).failed is ("not exists" in expression)


@pytest.mark.parametrize(
    ("trees", "code", "why"),
    [
        (("a", None), (), "the code of the run at HEAD was not recorded"),
        ((None, None), (), "the code of the run at origin/main was not recorded"),
    ],
)
def test_code_that_was_not_recorded_fails(trees, code, why):
    assert judge("code.files > 5", a_diff(trees=trees, code=code)).sentence == f"code.files > 5: failed, {why}"


def test_the_same_code_passes():
    assert judge("code.files > 0", a_diff(trees=("a", "a"))).sentence == "code.files > 0: passed, code.files is 0"


def test_packages_that_are_not_known_fail():
    said = judge("packages.changed > 5", a_diff(), packages_known=False).sentence
    assert said == "packages.changed > 5: failed, the packages of both runs are not known"


@pytest.mark.parametrize("names", [("kkkk", ""), ("latest~1", "latest"), ("best:acc", "run:llll")])
def test_a_run_is_called_by_its_id_where_no_revision_named_it(names):
    diff = a_diff(names=names)
    assert judge("metrics.gone.delta < 0", diff).sentence.endswith("metrics.gone: run llllllll has none")
    assert judge("metrics.new.delta < 0", diff).sentence.endswith("metrics.new: run kkkkkkkk has none")


def test_a_run_that_is_compared_with_itself_is_said_to_be():
    run = a_diff().runs[0]
    said = judge("metrics.acc.delta < 0", RunDiff((run, run))).sentence
    assert said == "metrics.acc.delta < 0: passed, delta is 0 (0.934 → 0.934), both are run kkkkkkkk"


def test_what_is_not_shown_is_judged_all_the_same():
    only = a_diff().only(["metrics"])
    assert judge("changed(params.optim.lr)", only).failed


def test_without_utf8_the_sentence_is_ascii():
    said = judge("metrics.acc.delta < -0.01", a_diff(), terminal=Terminal(utf8=False)).sentence
    assert said == "metrics.acc.delta < -0.01: failed, delta is -0.021 (0.934 -> 0.913)"


def test_a_value_of_a_run_commands_no_terminal():
    runs = [
        Run(identity, Status.COMPLETED, NOW, params=nested({"name": text}))
        for identity, text in ((MAIN, "a"), (HEAD, "b\x1b[31m"))
    ]
    said = judge("changed(params.name)", RunDiff(tuple(runs))).sentence
    assert said == r'changed(params.name): failed, name changed (a → "b\x1b[31m")'


def test_several_are_judged_in_their_order():
    outcomes = judge_all(["metrics.acc.delta < -0.01", "changed(params.size)"], a_diff())
    assert [(outcome.expression, outcome.failed) for outcome in outcomes] == [
        ("metrics.acc.delta < -0.01", True),
        ("changed(params.size)", False),
    ]


# -- what is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        ("metrics.acu.delta < 0", "neither run has a metric acu.", "did you mean metrics.acc?"),
        ("metrics.none.delta < 0", "neither run has a metric none.", "did you mean metrics.gone?"),
        ("params.optim.rl.after > 0", "neither run has a param optim.rl.", NEAR),
        ("lr.after > 0", "neither run has a param lr.", "did you mean params.optim.lr?"),
        ("changed(params.optim.rl)", "neither run has a param optim.rl.", NEAR),
        ("exists(metrics.zz.after) and metrics.zz.delta < 0", "neither run has a metric zz.", None),
        ("metrics.acc < 0.9", "which of metrics.acc: delta, before, after or ratio?", "metrics.acc.delta"),
        ("acc < 0.9", "which of metrics.acc: delta, before, after or ratio?", "metrics.acc.delta"),
        (
            "params.optim.lr > 0.9",
            "which of params.optim.lr: before, after or kind?",
            "changed(params.optim.lr), or params.optim.lr.after",
        ),
        ("exists(params.old)", "which of params.old: before, after or kind?", "changed(params.old), or params.old.after"),
        ("params.optim.after == 1", "params.optim is a mapping of params.", "changed(params.optim)"),
        ('status == "failed"', "status is of one run, and two are judged.", "--fail-if 'metrics.acc.delta < -0.01'"),
        ("1 > 2", "it asks for nothing of the runs.", "--fail-if 'metrics.acc.delta < -0.01'"),
    ],
)
def test_what_no_run_can_answer_is_refused(expression, message, hint):
    with pytest.raises(UsageError) as refused:
        judge(expression, a_diff())
    assert (refused.value.message, refused.value.hint, refused.value.exit_code) == (f"{expression}: {message}", hint, 2)


def test_bad_syntax_has_a_caret():
    with pytest.raises(QueryError) as refused:
        judge_all(["metrics.acc.delta < 0", "metrics.acc.delta = 0"], a_diff())
    assert refused.value.message == "column 19: equality is written ==.\n  metrics.acc.delta = 0\n                    ^"


@pytest.mark.parametrize("count", [1, 3])
def test_only_two_runs_are_judged(count):
    runs = (a_diff().runs * 2)[:count]
    with pytest.raises(UsageError, match=f"two runs are judged, and here are {count}"):
        judge("metrics.acc.delta < 0", RunDiff(runs))


# -- on real runs ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_commits(repo):
    """A repository with a run at main, and a worse one with another learning rate at a feature's commit."""
    gitparams("record", "-p", "lr=0.1", "-m", "acc=0.934")
    git("switch", "--quiet", "-c", "feature")
    Path("train.py").write_text("print('better')\n")
    git("commit", "--quiet", "-am", "feature")
    gitparams("record", "-p", "lr=0.01", "-m", "acc=0.913", "-m", "f1=0.5")
    return repo


def test_runs_at_two_commits_are_judged(two_commits):
    with Repository.find() as found:
        diff = found.diff(["main", "feature"])
    expressions = ["metrics.acc.delta < -0.01", "metrics.acc.delta < -0.5", "changed(lr)", "code.files > 1", "f1.delta < 0"]
    assert [outcome.sentence for outcome in judge_all(expressions, diff)] == [
        "metrics.acc.delta < -0.01: failed, delta is −0.021 (0.934 → 0.913)",
        "metrics.acc.delta < -0.5: passed, delta is −0.021 (0.934 → 0.913)",
        "changed(lr): failed, lr changed (0.1 → 0.01)",
        "code.files > 1: passed, code.files is 1",
        "f1.delta < 0: failed, metrics.f1: the run at main has none",
    ]


def test_runs_that_were_compared_without_words_are_judged(two_commits):
    with Repository.find() as found:
        runs = found.runs()
    diff = compare([runs[1], runs[0]])
    assert judge("f1.delta < 0", diff).sentence == f"f1.delta < 0: failed, metrics.f1: run {runs[1].short_id} has none"


@pytest.fixture
def two_configs(repo):
    """A repository whose main and feature have a params file each, and no run."""
    Path("gitparams.yaml").write_text("params: [params.yaml]\n")
    Path("params.yaml").write_text("lr: 0.1\n")
    git("add", "-A")
    git("commit", "--quiet", "-m", "main")
    git("switch", "--quiet", "-c", "feature")
    Path("params.yaml").write_text("lr: 0.01\n")
    git("commit", "--quiet", "-am", "feature")
    return repo


def test_a_commit_without_a_run_fails_the_gate_and_the_comment_is_there_all_the_same(two_configs):
    done = gitparams("diff", "main", "HEAD", "--format", "md", "--fail-if", "metrics.acc.delta < -0.01")
    assert done.code == 1
    assert "failed, metrics.acc: main has no recorded run" in done.out
    assert "| `lr` | `0.1` | `0.01` | ÷10 |" in done.out


def test_a_commit_without_a_run_is_called_by_its_word(two_configs):
    done = gitparams("diff", "main..feature", "--json")
    assert [name["word"] for name in json.loads(done.out)["names"]] == ["main", "feature"]
    assert "main: its params files are used: no run was recorded there." in done.err


def test_the_base_of_two_commits_is_said_to_be_it(two_configs):
    base = git("rev-parse", "--short=10", "main")
    done = gitparams("diff", "main...feature")
    assert [line.split() for line in done.out.splitlines()[:2]] == [[base, "feature"], ["base", "of", "main...feature"]]


@pytest.mark.parametrize("groups", [("main", "feature", "--all"), ("--replicates", "main", "feature")])
@pytest.mark.parametrize("gate", [("--fail-if", "metrics.acc.delta < 0"), ("--exit-code",)])
def test_a_gate_is_never_passed_over_by_groups_of_runs(two_commits, groups, gate):
    gitparams("record", "-p", "lr=0.01", "-m", "acc=0.9")
    done = gitparams("diff", *groups, *gate)
    word = "--all" if "--all" in groups else "--replicates"
    assert (done.code, done.out) == (2, "")
    assert f"{gate[0]} is for single runs, and {word} compares groups of them." in done.err


def test_a_commit_without_a_run_has_none_among_groups(two_configs):
    gitparams("record", "-m", "acc=0.9")
    gitparams("record", "-m", "acc=0.8")
    assert gitparams("diff", "main", "feature", "--all").out.splitlines()[1].split() == ["no", "runs", "2", "runs"]
