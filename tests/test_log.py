"""`gitparams log` asked: expressions, orders, columns, groups, graphs, and what it says of wrong questions."""

import json

import pytest
from world import git, gitparams

import gitparams as library


@pytest.fixture
def sweep(repo):
    """Six runs over lr and seed, and a failed one; the newest is the last."""
    for lr, acc in ((0.1, 0.5), (0.01, 0.75), (0.001, 0.625)):
        for seed in (1, 2):
            library.record(
                {"optim": {"lr": lr, "name": "sgd"}, "seed": seed, "depth": 3},
                {"acc": acc + seed / 100, "loss": 1 - acc},
                tags=[f"seed{seed}"],
                name=f"run-{lr}-{seed}",
                note="the good one" if (lr, seed) == (0.01, 2) else "",
            )
    gitparams("record", "-p", "optim.lr=9", "-p", "amp=true", "--name", "odd")
    return repo


def names(*words):
    return [document["name"] for document in json.loads(gitparams("log", "--json", *words).out)]


def failed(*words):
    outcome = gitparams("log", *words)
    assert outcome.out == ""
    return outcome.code, outcome.err


# -- which runs, and in which order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--where", "optim.lr == 0.01"], ["run-0.01-2", "run-0.01-1"]),
        (["--where", "params.optim.lr <= 0.01 and metrics.acc > 0.7"], ["run-0.01-2", "run-0.01-1"]),
        (["-w", "optim.lr < 1", "-w", "seed == 2", "--sort", "-acc"], ["run-0.01-2", "run-0.001-2", "run-0.1-2"]),
        (["--where", "not exists(params.seed)"], ["odd"]),
        (["--where", 'tag("seed1") and acc > 0.7'], ["run-0.01-1"]),
        (["--where", "amp == True"], ["odd"]),
        (["--where", "amp == 1"], []),
        (["--sort", "optim.lr", "--sort", "-seed", "-n", "3"], ["run-0.001-2", "run-0.001-1", "run-0.01-2"]),
        (["--sort", "-acc,seed", "-n", "2"], ["run-0.01-2", "run-0.01-1"]),
        (["--sort", "acc", "-n", "1", "--where", "optim.lr > 1"], ["odd"]),
        (["--grep", "GOOD"], ["run-0.01-2"]),
        (["--grep", "seed2", "--where", "optim.lr == 0.1"], ["run-0.1-2"]),
        (["--author", "nobody"], []),
        (["-n", "1", "--", "optim.*"], ["odd"]),
        (["--where", 'started > "2 days ago" and name == "odd"'], ["odd"]),
        (["--where", 'started < "2 days ago"'], []),
    ],
)
def test_runs_are_chosen_and_ordered_by_what_they_are(sweep, words, expected):
    assert names(*words) == expected


def test_a_value_that_some_runs_lack_comes_last_in_both_directions(sweep):
    assert names("--sort", "acc")[-1] == names("--sort", "-acc")[-1] == "odd"


# -- screens --------------------------------------------------------------------------------------------------------------


def test_columns_are_those_that_were_asked_for(sweep):
    header, *lines = gitparams("log", "--columns", "optim.lr,acc,name", "--sort", "-acc", "-n", "3").out.splitlines()
    assert header.split() == ["run", "age", "optim.lr", "acc", "↑", "name"]
    assert [line.split()[2:] for line in lines[:3]] == [
        ["0.01", "0.770*", "run-0.01-2"],
        ["0.01", "0.760", "run-0.01-1"],
        ["0.001", "0.645", "run-0.001-2"],
    ]


def test_changed_columns_are_those_that_differ(sweep):
    header = gitparams("log", "--columns", "changed", "--where", "optim.lr == 0.1").out.splitlines()[0]
    assert header.split() == ["run", "age", "seed"]


def test_a_graph_joins_what_came_of_what(sweep):
    outcome = gitparams("log", "--graph", "-n", "2")
    assert (outcome.code, len(outcome.out.splitlines())) == (0, 4)


def test_replicates_are_groups_of_runs_equal_but_for_the_seed(sweep):
    groups = json.loads(gitparams("log", "--replicates", "--json").out)
    assert [(len(group["runs"]), group["params"].get("optim", {}).get("lr")) for group in groups] == [
        (1, 9),
        (2, 0.001),
        (2, 0.01),
        (2, 0.1),
    ]
    table = gitparams("log", "--replicates").out
    assert "seed left out" in table
    assert "±" in table


def test_runs_are_summed_up_by_a_key(sweep):
    rows = json.loads(gitparams("log", "--group-by", "optim.lr", "--agg", "mean,max", "--json").out)
    assert [(row["by"], row["n"]) for row in rows] == [
        ({"optim.lr": lr}, n) for lr, n in ((0.001, 2), (0.01, 2), (0.1, 2), (9, 1))
    ]


def test_every_run_can_be_compared_with_one(sweep):
    header, first, *_ = gitparams("log", "--against", "run-0.1-1", "-n", "2", "--sort", "-acc").out.splitlines()
    assert "against" in header
    assert "optim.lr 0.1 → 0.01" in first


@pytest.mark.parametrize("form", ["csv", "md", "html", "jsonl", "json", "oneline"])
def test_every_format_holds_every_run(sweep, form):
    outcome = gitparams("log", "--format", form, "--where", "optim.lr == 0.1")
    assert (outcome.code, len(outcome.out) > 60, outcome.err) == (0, True, "")


def test_json_lines_are_documents_a_line(sweep):
    lines = gitparams("log", "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["name"] for line in lines] == names()


# -- wrong questions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--where", "optm.lr > 1"], "hint: did you mean params.optim.lr?"),
        (["--where", "optim.lr ="], "^"),
        (["--where", "__import__('os')"], "^"),
        (["--where", 'started > "soonish"'], "no date"),
        (["--since", "soonish"], "'soonish' is no date."),
        (["--sort", "-accc"], "metrics.acc"),
        (["--columns", "optm.*"], "optim"),
        (["--group-by", "modle"], "modle"),
        (["--", "optim.lrr"], "hint: did you mean optim.lr"),
        (["--agg", "average", "--group-by", "seed"], "average"),
        (["--format", "xml"], "--format 'xml' is not one of"),
        (["--against", "nobody"], "nobody"),
    ],
)
def test_a_wrong_question_gets_one_clear_answer(sweep, words, said):
    code, error = failed(*words)
    assert code in (1, 2)
    assert said in error
    assert "Traceback" not in error


def test_no_runs_at_all_says_how_to_make_the_first(repo):
    assert gitparams("log", "--replicates").out == gitparams("log").out
    assert "gitparams run" in gitparams("log").out


def test_the_users_repository_is_not_touched_by_asking(sweep):
    before = git("status", "--porcelain"), git("for-each-ref")
    gitparams("log", "--where", "acc > 0.5", "--sort", "-acc", "--columns", "all")
    assert (git("status", "--porcelain"), git("for-each-ref")) == before


def test_diff_of_replicates_says_whether_it_is_more_than_noise(sweep):
    outcome = gitparams("diff", "--replicates", "run-0.1-1", "run-0.01-1")
    assert outcome.code == 0
    assert "beyond the noise" in outcome.out
    (acc, _) = json.loads(gitparams("diff", "--replicates", "run-0.1-1", "run-0.01-1", "--json").out)
    assert (acc["metric"], acc["exceeds"]) == ("acc", True)


def test_diff_and_rm_take_the_runs_for_which_an_expression_holds(sweep):
    document = json.loads(gitparams("diff", "--where", "optim.lr == 0.1", "--json").out)
    assert document["params"] == {"seed": {"kind": "changed", "values": [1, 2]}}
    assert gitparams("rm", "--where", "optim.lr < 1 and seed == 1").code == 2  # nobody is there to ask
    assert gitparams("rm", "--yes", "--where", "optim.lr < 1 and seed == 1").code == 0
    assert names() == ["odd", "run-0.001-2", "run-0.01-2", "run-0.1-2"]
    assert gitparams("rm", "--undo", "--where", "optim.lr == 0.1").code == 0
    assert names("--where", "optim.lr == 0.1") == ["run-0.1-2", "run-0.1-1"]
    assert "No run meets" in gitparams("rm", "--yes", "--where", "optim.lr > 100").err
    assert gitparams("rm", "--yes").code == 2
