"""Foreign runs: what another system recorded comes into the ledger with its own times, once."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from world import git
from world import gitparams as gitparams_command

import gitparams
from gitparams.foreign import ForeignRun
from gitparams.model import Status
from gitparams.repository import Repository

BEGUN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def foreign(number, **changes):
    run = ForeignRun(
        key=("optuna", "digits", str(number)),
        params={"optim": {"lr": 0.1 * number, "name": "adam"}, "seed": number},
        status=Status.COMPLETED,
        started=BEGUN + timedelta(minutes=number),
        finished=BEGUN + timedelta(minutes=number, seconds=30),
        metrics={"acc": number / 10},
        experiment="digits",
    )
    return replace(run, **changes)


def brought(*runs):
    with Repository.find() as repository:
        return repository.record_all(runs)


def test_a_foreign_run_keeps_its_times_its_status_and_its_types(repo):
    (name,) = brought(foreign(1, status=Status.PRUNED, series=[(0, 1.5e9, {"loss": 2}), (1, 1.5e9 + 1, {"loss": 0.5})]))
    run = gitparams.run(name)
    assert (run.started, run.finished, run.status) == (foreign(1).started, foreign(1).finished, Status.PRUNED)
    assert run.params == {"optim": {"lr": 0.1, "name": "adam"}, "seed": 1} and type(run.params["seed"]) is int
    assert (run.metrics, run.seeds, run.code.commit, run.experiment) == ({"acc": 0.1}, {"seed": 1}, None, "digits")
    assert {origin.source for origin in run.origins.values()} == {"optuna"}
    assert [tuple(step) for step in run.series["loss"]] == [(0, 2, 1.5e9), (1, 0.5, 1.5e9 + 1)]


def test_show_says_which_system_recorded_a_run(repo):
    brought(foreign(1))
    assert "recorded    by optuna, and imported" in gitparams_command("show").out.splitlines()


def test_bringing_runs_in_twice_adds_only_what_is_new(repo):
    first = brought(foreign(1), foreign(2))
    assert brought(foreign(2), foreign(1), foreign(3)) == [foreign(3).id]
    assert [run.id for run in reversed(gitparams.runs())] == [*first, foreign(3).id]


def test_what_was_deleted_here_stays_deleted(repo):
    brought(foreign(1))
    with Repository.find() as repository:
        repository.remove(foreign(1).id)
    assert brought(foreign(1)) == []
    assert len(gitparams.runs()) == 0


def test_what_was_purged_here_does_not_come_back(repo):
    brought(foreign(1), foreign(2))
    with Repository.find() as repository:
        repository.purge([foreign(1).id])
    assert brought(foreign(1), foreign(2)) == []


def test_many_runs_are_one_pack_and_every_one_is_an_entry(repo):
    assert len(brought(*map(foreign, range(60)))) == 60
    assert int(git("rev-list", "--count", "refs/gitparams/runs")) == 60
    assert git("count-objects", "-v").splitlines()[3] == "packs: 1"
    assert git("fsck", "--strict", "--no-dangling") == ""
    assert [run.metrics["acc"] for run in gitparams.runs(sort="metrics.acc", limit=3)] == [0.0, 0.1, 0.2]


def test_each_entry_says_what_changed_since_the_one_before(repo):
    brought(foreign(1), foreign(2))
    first, second = git("log", "--reverse", "--format=%s", "refs/gitparams/runs").splitlines()
    assert first == f"record {foreign(1).id[:8]}: first run of digits"
    assert second == f"record {foreign(2).id[:8]}: optim.lr 0.1 → 0.2 · seed 1 → 2 · acc 0.1 → 0.2"


def test_a_secret_of_another_system_reaches_no_object(repo):
    brought(
        foreign(
            1,
            params={"api_key": "hunter2hunter2"},
            note="https://me:hunter2hunter2@host/x",
            command=("t", "--token=hunter2hunter2"),
        )
    )
    objects = subprocess.run(["git", "cat-file", "--batch", "--batch-all-objects"], capture_output=True, check=True).stdout
    assert b"hunter2" not in objects and b"<redacted>" in objects
    assert gitparams.run("latest").redacted == ("api_key",)


@pytest.mark.parametrize("name", ["two words", "latest", "-x", "a..b"])
def test_a_name_that_no_run_may_have_becomes_the_beginning_of_its_note(repo, name):
    brought(foreign(1, name=name, note="as it was", tags=("good", "a,b", "")))
    run = gitparams.run("latest")
    assert (run.name, run.note, run.tags) == (None, f"{name}\nas it was", ("good",))


def test_a_batch_that_lost_the_race_is_made_again_on_the_new_tip(repo):
    with Repository.find() as repository:
        real, raced = repository.ledger.tip, []

        def tip_seen_before_another_writer():
            seen = real()
            if not raced:
                raced.append(gitparams.record({"lr": 9}))
            return seen

        repository.ledger.tip = tip_seen_before_another_writer
        assert len(repository.record_all([foreign(1), foreign(2)])) == 2
    assert len(gitparams.runs()) == 3
