"""Rules for old runs in the index: rows are read by them, remade when they change, and runs stay as they were recorded."""

import json
from datetime import UTC, datetime

import pytest
from test_index import index_file, record
from world import git, gitparams

from gitparams.index import Filter, Ruled
from gitparams.reading import Rules
from gitparams.repository import Repository

SAID = [{"rename": {"lr": "optim.lr", "seed": "train.seed"}}, {"metrics": {"rename": {"acc": "accuracy"}}}]
RULES = Rules.of(SAID)


def nothing(word):
    return None


def told(repository, run):
    found = repository.index.run(run.id)
    return dict(found.params), dict(found.metrics), dict(found.seeds)


def test_runs_are_read_by_the_rules_and_as_recorded_without_them(repo):
    run = record({"lr": 0.1, "seed": 1}, {"acc": 0.9})
    with Repository.find() as repository:
        repository.index.follow(RULES, nothing)
        assert told(repository, run) == ({"optim": {"lr": 0.1}, "train": {"seed": 1}}, {"accuracy": 0.9}, {"train.seed": 1})
        assert repository.index.ruled(run.id) == Ruled(
            notes=("lr was renamed to optim.lr", "seed was renamed to train.seed", "metric acc was renamed to accuracy"),
            moved={"lr": "optim.lr", "seed": "train.seed"},
        )
        assert repository.index.key_names("params") == ["optim.lr", "train.seed"]
        assert repository.index.best("accuracy", lowest=False).id == run.id
        assert repository.index.version(run.id).run.params == {"lr": 0.1, "seed": 1}
        repository.index.follow(None, nothing)
        assert told(repository, run) == ({"lr": 0.1, "seed": 1}, {"acc": 0.9}, {"seed": 1})
        assert repository.index.ruled(run.id) == Ruled()
        assert repository.index.key_names("params") == ["lr", "seed"]
        repository.index.follow(RULES, nothing)
        assert repository.index.key_names("params") == ["optim.lr", "train.seed"]


def test_other_rules_are_applied_to_what_was_recorded(repo):
    run = record({"lr": 0.1})
    with Repository.find() as repository:
        repository.index.follow(RULES, nothing)
        repository.index.follow(Rules.of([{"scale": {"rate": {"from": "lr", "by": 10}}}]), nothing)
        assert told(repository, run) == ({"rate": 1.0}, {}, {})


def test_every_command_reads_by_the_rules_of_the_settings_and_says_so(repo):
    run = record({"lr": 1, "seed": 3})
    (repo / "gitparams.yaml").write_text("rules:\n  - rename: {lr: optim.lr}\n")
    later = record({"optim": {"lr": 2}, "seed": 3})

    (chosen,) = json.loads(gitparams("log", "--json", "--where", "optim.lr == 1").out)
    assert (chosen["id"], chosen["params"]) == (run.id, {"optim": {"lr": 1}, "seed": 3})
    assert json.loads(gitparams("diff", run.id, later.id, "--json").out)["params"] == {
        "optim.lr": {"kind": "changed", "values": [1, 2]}
    }
    assert "read by the rules of gitparams.yaml\n  lr was renamed to optim.lr" in gitparams("show", run.id).out
    assert "optim.lr = 1  (code)" in gitparams("show", run.id, "--origins").out
    gitparams("tag", run.id, "good")
    assert json.loads(git("show", "refs/gitparams/runs:params.json")) == {"lr": 1, "seed": 3}
    (repo / "gitparams.yaml").unlink()
    assert json.loads(gitparams("show", run.id, "--params", "--json").out) == {"lr": 1, "seed": 3}


def test_a_broken_gitparams_yaml_leaves_runs_as_they_were_read(repo):
    run = record({"lr": 1})
    (repo / "gitparams.yaml").write_text("rules: [{rename: {lr: optim.lr}}]\n")
    gitparams("log")
    (repo / "gitparams.yaml").write_text("rules: [{renam: {lr: x}}]\n")
    with Repository.find() as repository:
        assert told(repository, run)[0] == {"optim": {"lr": 1}}
    assert "did you mean rename?" in gitparams("log").err


def test_a_run_that_changes_is_read_by_the_rules_anew(repo):
    run = record({"lr": 1})
    with Repository.find() as repository:
        repository.index.follow(RULES, nothing)
        repository.tag(run.id, ["good"])
        assert (told(repository, run)[0], repository.index.run(run.id).tags) == ({"optim": {"lr": 1}}, ("good",))
        assert repository.index.version(run.id).run.params == {"lr": 1}


def test_an_index_made_anew_within_a_process_keeps_the_rules(repo):
    run = record({"lr": 1})
    with Repository.find() as repository:
        repository.index.follow(RULES, nothing)
        repository.index.rebuild(repository.ledger.tip())
        assert told(repository, run)[0] == {"optim": {"lr": 1}}


def test_an_index_that_was_lost_is_ruled_again(repo):
    run = record({"lr": 1})
    with Repository.find() as repository:
        repository.index.follow(RULES, nothing)
    index_file(repo).unlink()
    with Repository.find() as repository:
        repository.index.follow(RULES, nothing)
        assert told(repository, run)[0] == {"optim": {"lr": 1}}


def test_bounds_are_looked_up_once(repo):
    old, new = record({"lr": 1}, started=datetime(2026, 1, 1, tzinfo=UTC)), record({"lr": 2})
    bounded = Rules.of([{"rename": {"lr": "rate"}, "before": "v1"}])
    with Repository.find() as repository:
        repository.index.follow(bounded, lambda word: datetime(2026, 2, 1, tzinfo=UTC))
        repository.index.follow(bounded, nothing)
        assert [told(repository, run)[0] for run in (old, new)] == [{"rate": 1}, {"lr": 2}]


def test_remaking_that_was_interrupted_goes_on_where_it_was(repo, monkeypatch):
    monkeypatch.setattr("gitparams.index._BATCH", 2)
    for rate in range(5):
        record({"lr": rate})
    seen = []

    def interrupt(done, every):
        seen.append((done, every))
        if done == 2:
            raise KeyboardInterrupt

    with Repository.find() as repository:
        repository.index.progress = interrupt
        with pytest.raises(KeyboardInterrupt):
            repository.index.follow(RULES, nothing)
    with Repository.open() as repository:
        assert sorted("optim" in run.params for run in repository.index.runs(Filter())) == [False] * 3 + [True] * 2
        repository.index.progress = lambda done, every: seen.append((done, every))
        repository.index.follow(RULES, nothing)
        assert [dict(run.params) for run in repository.index.runs(Filter())] == [
            {"optim": {"lr": rate}} for rate in (4, 3, 2, 1, 0)
        ]
    assert seen == [(2, 5), (2, 5), (3, 5)]
