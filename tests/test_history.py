"""`gitparams blame`: the last change of each param and the values one had, asked of real repositories and of random histories."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from world import git, gitparams

import gitparams as library
from gitparams.errors import UsageError
from gitparams.history import last_changes, timelines
from gitparams.index import flat_document
from gitparams.model import Run, RunId, Status
from gitparams.params import MISSING, differing, flatten, nested, to_dict
from gitparams.replicates import spread
from gitparams.repository import Repository

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def sweep(repo):
    """Three runs with lr 0.1, two with 0.01 and momentum, a failed one with another batch, and one of another experiment."""
    lrs = [0.1, 0.1, 0.1, 0.01, 0.01]
    for place, lr in enumerate(lrs):
        params = {"optim": {"lr": lr, "name": "sgd"}, "batch": 64, "seed": place}
        if lr == 0.01:
            params["optim"]["momentum"] = 0.9
        library.record(params, {"acc": 0.5 + place / 100, "loss": 1.0 - place / 10}, name=f"run-{place}")
    words = ["-p", "optim.lr=0.01", "-p", "optim.name=sgd", "-p", 'batch="64"', "-p", "seed=4"]
    gitparams("run", *words, "--name", "last", "--", "false")
    gitparams("update", "last", "-m", "acc=0.1")
    library.record({"other": 1}, {"acc": 0.9}, experiment="elsewhere")
    return repo


def blamed(*words):
    outcome = gitparams("blame", "--json", *words)
    assert outcome.err == ""
    return json.loads(outcome.out)


def name_of(run):
    return json.loads(gitparams("show", f"run:{run}", "--json").out)["name"]


def short(change):
    """A change as its param, kind, old and new value, the number of runs on either side, and the mean accuracies there."""
    means = [round(change[side]["acc"]["mean"], 9) if change[side].get("acc") else None for side in ("before", "after")]
    sides = (change["runs"]["before"], change["runs"]["after"])
    return change["param"], change["kind"], change["old"], change["new"], sides, *means


def failed(*words):
    outcome = gitparams("blame", *words)
    assert outcome.out == ""
    return outcome.code, outcome.err


# -- the last change of each param ----------------------------------------------------------------------------------------


def test_each_param_is_told_with_its_last_change_and_the_metrics_on_both_sides(sweep):
    assert [short(change) for change in blamed("last")] == [
        ("batch", "type", 64, "64", (5, 1), 0.52, None),
        ("optim.lr", "changed", 0.1, 0.01, (3, 3), 0.51, 0.535),
        ("optim.name", "first", {"missing": True}, "sgd", (0, 6), None, None),
        ("seed", "changed", 3, 4, (1, 2), 0.53, 0.54),
    ]


def test_the_run_the_commit_the_person_and_the_time_are_those_of_the_run_that_brought_the_value(sweep):
    (change,) = blamed("last", "optim.lr")
    first = json.loads(gitparams("show", "run-3", "--json").out)
    assert {name: change[name] for name in ("run", "commit", "author", "time", "dirty")} == {
        "run": first["id"],
        "commit": git("rev-parse", "HEAD"),
        "author": "Ada <ada@example.com>",
        "time": first["started"],
        "dirty": False,
    }


def test_only_runs_up_to_the_run_count(sweep):
    assert [short(change) for change in blamed("run-1")] == [
        ("batch", "first", {"missing": True}, 64, (0, 2), None, None),
        ("optim.lr", "first", {"missing": True}, 0.1, (0, 2), None, None),
        ("optim.name", "first", {"missing": True}, "sgd", (0, 2), None, None),
        ("seed", "changed", 0, 1, (1, 1), 0.5, 0.51),
    ]


def test_a_param_that_is_gone_is_told_when_it_is_asked_for(sweep):
    (change,) = blamed("last", "--", "optim.momentum")
    assert short(change) == ("optim.momentum", "removed", 0.9, {"missing": True}, (2, 1), 0.535, None)
    assert name_of(change["run"]) == "last"


def test_a_param_that_came_is_added(sweep):
    assert [short(change) for change in blamed("run-4", "optim.momentum")] == [
        ("optim.momentum", "added", {"missing": True}, 0.9, (3, 2), 0.51, 0.535)
    ]


def test_deleted_runs_are_as_if_they_had_never_been(sweep):
    gitparams("rm", "run-3", "--yes")
    (change,) = blamed("last", "optim.lr")
    assert (name_of(change["run"]), change["runs"]) == ("run-4", {"before": 3, "after": 2})


def test_the_first_run_changed_nothing(sweep):
    assert {change["kind"] for change in blamed("run-0")} == {"first"}


def test_chosen_metrics_are_the_only_ones(sweep):
    (change,) = blamed("last", "optim.lr", "-m", "loss")
    assert list(change["before"]) == list(change["after"]) == ["loss"]


def test_values_that_are_not_finite_are_counted_apart(repo):
    library.record({"lr": 0.1}, {"acc": float("nan")})
    library.record({"lr": 0.1}, {"acc": 0.5})
    library.record({"lr": 0.2}, {"acc": float("inf")})
    (change,) = blamed()
    before, after = change["before"]["acc"], change["after"]["acc"]
    assert (before["n"], before["mean"], before["not_finite"]) == (1, 0.5, 1)
    assert (after["n"], after["mean"], after["not_finite"]) == (0, None, 1)


def test_what_files_declare_and_nobody_ran_is_not_yet_run_and_holds_no_secret(sweep):
    (sweep / "gitparams.yaml").write_text("params:\n  - train.yaml\n")
    (sweep / "train.yaml").write_text("optim: {lr: 0.5, name: sgd}\nbatch: '64'\nseed: 4\napi_token: hunter2\n")
    token, lr, batch, name, seed = blamed("worktree")
    assert (token["kind"], token["new"], token["run"]) == ("added", "<redacted>", None)
    assert (*short(lr), lr["run"], lr["time"]) == ("optim.lr", "changed", 0.01, 0.5, (3, 0), 0.535, None, None, None)
    assert (name_of(batch["run"]), name["kind"], name["runs"], name_of(seed["run"])) == (
        "last",
        "first",
        {"before": 0, "after": 6},
        "run-4",
    )


def test_old_runs_are_read_by_the_rules(repo):
    library.record({"learning_rate": 0.1}, {"acc": 0.5})
    library.record({"lr": 0.1}, {"acc": 0.6})
    (repo / "gitparams.yaml").write_text("rules:\n  - rename: {learning_rate: lr}\n")
    assert [(change["param"], change["kind"], change["runs"]) for change in blamed()] == [
        ("lr", "first", {"before": 0, "after": 2})
    ]


# -- the values of a param ------------------------------------------------------------------------------------------------


def stretches(*words):
    return [(one["value"], one["runs"], name_of(one["run"])) for one in blamed("--history", *words)]


def test_a_timeline_has_a_line_for_each_stretch_of_one_value(sweep):
    assert stretches("last", "optim.momentum") == [
        ({"missing": True}, 1, "last"),
        (0.9, 2, "run-3"),
        ({"missing": True}, 3, "run-0"),
    ]


def test_a_timeline_of_a_value_that_alternates_is_every_stretch_of_it(repo):
    for place, lr in enumerate([1, 2, 2, 1, 1.0, "1"]):
        library.record({"lr": lr}, {"acc": place}, name=f"run-{place}")
    assert stretches("lr") == [("1", 1, "run-5"), (1.0, 1, "run-4"), (1, 1, "run-3"), (2, 2, "run-1"), (1, 1, "run-0")]
    assert stretches("lr", "-n", "2") == [("1", 1, "run-5"), (1.0, 1, "run-4")]


def test_a_glob_is_several_timelines(sweep):
    found = blamed("last", "--history", "--", "optim.*")
    assert [one["param"] for one in found] == ["optim.lr", "optim.lr", "optim.name"]


# -- wrong questions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["optim.lrr"],
            1,
            "gitparams: No run, code revision or param is called 'optim.lrr'.\nhint: did you mean optim.lr, optim.name?\n",
        ),
        (["--", "optim.lrr"], 2, "gitparams: No run has a param 'optim.lrr'.\nhint: did you mean optim.lr, optim.name?\n"),
        (["zzz9"], 1, "gitparams: No run, name or code revision is called 'zzz9'.\nhint: gitparams log\n"),
        (
            ["--history"],
            2,
            "gitparams: --history tells the values of a param, and none is named.\nhint: gitparams blame KEY --history\n",
        ),
        (["--format", "xml"], 2, "gitparams: --format 'xml' is not one of text, json.\n"),
        (["-m", "accuracy"], 2, "gitparams: No run has a metric 'accuracy'.\nhint: there are acc, loss\n"),
        (["last", "--", "other"], 2, None),
        (["latest~99"], 1, None),
    ],
)
def test_a_wrong_question_is_answered_with_a_sentence(sweep, words, code, said):
    outcome = failed(*words)
    assert outcome[0] == code
    assert said is None or outcome[1] == said


def test_a_param_of_another_experiment_is_one_that_no_run_here_has(sweep):
    _, said = failed("last", "--", "other")
    assert said.startswith("gitparams: No run of default up to ")
    assert " has a param 'other'." in said


def test_a_word_that_is_a_run_and_a_param_is_asked_about(sweep):
    run = library.record({"seed": 1}, {}, name="seed")
    assert failed("seed") == (
        2,
        f"gitparams: 'seed' is a param, and run {run.id[:8]} is called so too.\n"
        f"hint: gitparams blame -- seed, or gitparams blame run:{run.id[:8]}\n",
    )
    assert [change["param"] for change in blamed("--", "seed")] == ["seed"]
    assert [change["param"] for change in blamed("run:seed")] == ["seed"]


def test_a_word_that_is_a_branch_and_a_param_is_asked_about(sweep):
    git("branch", "batch")
    assert failed("batch")[0] == 2


def test_a_branch_that_is_gone_does_not_hide_a_param(sweep):
    git("switch", "--quiet", "-c", "lr")
    library.record({"lr": 1}, {}, name="there")
    library.record({"lr": 2}, {}, name="again")
    git("switch", "--quiet", "-")
    git("branch", "-D", "lr")
    assert [change["param"] for change in blamed("lr")] == ["lr"]


def test_two_runs_are_one_too_many(sweep):
    code, said = failed("run-1", "run-2")
    assert (code, "are two runs, and one is asked." in said) == (2, True)


def test_without_a_run_there_is_nothing_to_blame(repo):
    assert failed() == (1, "gitparams: No runs yet.\nhint: gitparams run -- python train.py\n")


def test_a_run_without_params_says_so(repo):
    run = library.record({}, {"acc": 1})
    assert gitparams("blame").out == f"Run {run.id[:8]} has no params.\n"
    assert blamed() == []


# -- random histories -----------------------------------------------------------------------------------------------------

VALUES = [1, 1.0, "1", True, None, "a,b", ',"lr":1,', [1, 2], {}, -0.0, 0.0, float("inf"), float("nan"), "x", 1e-9]
KEYS = ["lr", "a b", "model.depth", "model.width", "seed", "data.root", 'q"uote', "é"]


def history(seed, runs=40):
    """Runs, newest first: now and then a param changes, comes or goes, and the order of the keys changes too."""
    some = random.Random(seed)
    params = {key: some.choice(VALUES) for key in some.sample(KEYS, 6)}
    found = []
    for place in range(runs):
        if some.random() < 0.5:
            key = some.choice(KEYS)
            params = {name: value for name, value in params.items() if name != key}
            if some.random() < 0.8:
                params[key] = some.choice(VALUES)
        if some.random() < 0.2:
            params = dict(some.sample(sorted(params.items(), key=lambda item: item[0]), len(params)))
        status = some.choice([Status.COMPLETED, Status.COMPLETED, Status.FAILED])
        metrics = {name: some.choice([0.5, 0.25, 3, True, float("nan")]) for name in some.sample(["acc", "val/loss"], 1)}
        identity, started = (
            RunId(f"{place:016d}".translate(str.maketrans("0123456789", "klmnopqrst"))),
            NOW + timedelta(seconds=place),
        )
        found.append(Run(identity, status, started, params=nested(params), metrics=metrics))
    return found[::-1]


def row(run):
    return run.id, str(run.status), flat_document(run.params), flat_document(dict(run.metrics))


def told_of(runs):
    return {run.id: ("", {"started": run.started.isoformat()}) for run in runs}.__getitem__


def value_at(run, path):
    return flatten(run.params).get(path, MISSING)


def is_same(old, new):
    return not differing(*({} if value is MISSING else {"": value} for value in (old, new)))


def slow_stretches(runs, path):
    """The values of a param with the runs that have them, worked out one by one."""
    found = []
    for run in runs:
        value = value_at(run, path)
        if not found or not is_same(found[-1][0], value):
            found.append((value, []))
        found[-1][1].append(run)
    return found


def slow_metrics(runs):
    counted = [run for run in runs if run.status is Status.COMPLETED]
    names = sorted({name for run in counted for name in run.metrics})
    return {name: rounded(spread(run.metrics[name] for run in counted if name in run.metrics)) for name in names}


def rounded(found):
    numbers = (found.mean, found.std, found.low, found.high)
    return found.n, found.not_finite, *(None if number is None else f"{number:.9g}" for number in numbers)


def shown(value):
    return repr(to_dict(value) if isinstance(value, dict) else value)


def told(value, turn, side):
    return shown(value), turn.id, side.runs, {name: rounded(found) for name, found in side.metrics.items()}


def slow_change(runs, path):
    newest, *older = slow_stretches(runs, path)
    if not older:
        return shown(newest[0]), newest[1][-1].id, None, len(newest[1])
    return (
        shown(newest[0]),
        newest[1][-1].id,
        shown(older[0][0]),
        *((len(some), slow_metrics(some)) for some in (older[0][1], newest[1])),
    )


def quick_change(change):
    if change.kind == "first":
        return shown(change.new), change.turn.id, None, change.after.runs
    sides = (
        (side.runs, {name: rounded(found) for name, found in side.metrics.items()}) for side in (change.before, change.after)
    )
    return shown(change.new), change.turn.id, shown(change.old), *sides


@pytest.mark.parametrize("seed", range(60))
def test_the_last_changes_are_those_that_are_found_run_by_run(seed):
    runs = history(seed)
    paths = sorted({path for run in runs for path in flatten(run.params)})
    found = last_changes(runs[0], map(row, runs[1:]), told_of(runs), paths)
    assert {change.path: quick_change(change) for change in found.changes} == {path: slow_change(runs, path) for path in paths}


@pytest.mark.parametrize("seed", range(60))
def test_the_timelines_are_those_that_are_found_run_by_run(seed):
    runs = history(seed)
    paths = sorted({path for run in runs for path in flatten(run.params)})
    found = timelines(runs[0], map(row, runs[1:]), told_of(runs), paths)
    assert {one.path: [told(part.value, part.turn, part.side) for part in one.stretches] for one in found} == {
        path: [(shown(value), some[-1].id, len(some), slow_metrics(some)) for value, some in slow_stretches(runs, path)]
        for path in paths
    }


def test_only_as_many_runs_are_read_as_are_needed():
    runs = [Run(RunId("k" * 16), Status.COMPLETED, NOW, params=nested({"lr": lr})) for lr in (3, 2, 1, 1, 1)]
    rows = map(row, runs[1:])
    last_changes(runs[0], rows, told_of(runs), ["lr"])
    assert len(list(rows)) == 2


def test_only_the_runs_that_brought_a_value_are_asked_for_their_run_json():
    lrs = {"k": 2, "l": 2, "m": 1, "n": 1, "o": 1}
    runs = [Run(RunId(name * 16), Status.COMPLETED, NOW, params=nested({"lr": lr})) for name, lr in lrs.items()]
    asked = []
    last_changes(runs[0], map(row, runs[1:]), lambda run: asked.append(run) or told_of(runs)(run), ["lr"])
    assert asked == ["l" * 16, "o" * 16]


def test_the_index_reads_through_memory_only_while_it_goes_through_the_runs(sweep):
    with Repository.find() as found:
        rows = found.index.earlier(found.run("run-3"))
        next(rows)
        during = found.index.connection.execute("PRAGMA mmap_size").fetchone()[0]
        rows.close()
        assert (during > 0, found.index.connection.execute("PRAGMA mmap_size").fetchone()) == (True, (0,))


def test_the_index_gives_the_runs_before_one_and_no_others(sweep):
    with Repository.find() as found:
        run = found.run("run-3")
        assert [found.run(f"run:{row[0]}").name for row in found.index.earlier(run)] == ["run-2", "run-1", "run-0"]


def test_a_group_has_nothing_to_blame(sweep):
    with Repository.find() as found, pytest.raises(UsageError, match=r"^Run \w{8} is a group and has no params\.$"):
        found.blame(replace(found.run("last"), group=True))
