"""hyperopt: each trial is a run with its resolved values, and recorded runs are trials that `fmin` goes on from."""

import math
import pickle
import sys
from contextlib import nullcontext
from datetime import UTC

import pytest
from world import gitparams as command

import gitparams
from gitparams.errors import UsageError
from gitparams.foreign import ForeignRun
from gitparams.integrations.hyperopt import record_trials, trials_of
from gitparams.model import Status, now
from gitparams.repository import Repository

hyperopt = pytest.importorskip("hyperopt")
matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import numpy as np  # noqa: E402 - it comes with hyperopt
from hyperopt import STATUS_FAIL, STATUS_OK, Trials, hp, plotting, rand, space_eval, tpe  # noqa: E402
from hyperopt.pyll import scope  # noqa: E402

from gitparams.integrations.hyperopt import GitParamsTrials  # noqa: E402 - it is made of hyperopt's Trials

SPACE = {
    "optim": {
        "lr": hp.loguniform("lr", math.log(1e-4), math.log(1e-1)),
        "kind": hp.choice("kind", [{"name": "sgd", "momentum": hp.uniform("momentum", 0, 1)}, {"name": "adam"}]),
    },
    "depth": hp.uniformint("depth", 1, 8),
    "width": hp.quniform("width", 16, 64, 16),
    "seed": hp.randint("seed", 5, 9),
    "norm": hp.pchoice("norm", [(0.5, None), (0.5, "batch")]),
    "layers": (64, hp.choice("last", [32, 16])),
    "data": "digits",
}


def loss(config):
    return (math.log10(config["optim"]["lr"]) + 2) ** 2 + config["depth"] / 10


def fmin(objective, space, max_evals, trials, algo=rand.suggest, **options):
    options = {"show_progressbar": False, "verbose": False, "rstate": np.random.default_rng(1), **options}
    return hyperopt.fmin(objective, space, algo=algo, max_evals=max_evals, trials=trials, **options)


def oldest_first():
    return list(gitparams.runs())[::-1]


def params_of(runs):
    return [gitparams.to_dict(run.params) for run in runs]


def assignments(trials):
    return [{label: drawn[0] for label, drawn in misc["vals"].items() if drawn} for misc in trials.miscs]


# -- trials as runs -------------------------------------------------------------------------------------------------------


def test_each_trial_is_a_run_with_the_resolved_values_the_objective_was_given(repo):
    given = []

    def keeping(config):
        given.append({**config, "layers": list(config["layers"])})
        return loss(config)

    trials = GitParamsTrials(experiment="digits", tags=["tpe"])
    fmin(keeping, SPACE, 6, trials)
    runs = oldest_first()
    assert params_of(runs) == given
    assert [dict(run.metrics) for run in runs] == [{"loss": value} for value in trials.losses()]
    assert {(run.status.value, run.experiment, run.tags) for run in runs} == {("completed", "digits", ("tpe",))}
    assert {type(run.params.seed) for run in runs} == {int}
    assert [run.environment["hyperopt"]["vals"] for run in runs] == assignments(trials)
    assert runs[0].origins["optim.lr"].source == "hyperopt"


def test_a_run_is_there_before_the_next_trial_begins(repo):
    seen = []

    def counting(config):
        seen.append(len(gitparams.runs()))
        return loss(config)

    fmin(counting, SPACE, 3, GitParamsTrials())
    assert seen == [0, 1, 2]


def test_times_are_those_of_the_trial(repo):
    trials = GitParamsTrials()
    fmin(loss, SPACE, 1, trials)
    (run,) = gitparams.runs()
    (trial,) = trials.trials
    assert run.started.astimezone(UTC).replace(tzinfo=None) == trial["book_time"]
    assert run.finished.astimezone(UTC).replace(tzinfo=None) == trial["refresh_time"]


def test_numbers_of_the_result_are_metrics_and_the_rest_of_it_is_none(repo):
    def telling(config):
        return {
            "loss": np.float32(0.5),
            "status": STATUS_OK,
            "acc": np.float64(0.75),
            "epochs": 3,
            "good": True,
            "text": "x",
            "more": {"f1": 0.5},
            "attachments": {"log": b"lines"},
        }

    fmin(telling, SPACE, 1, GitParamsTrials())
    (run,) = gitparams.runs()
    assert dict(run.metrics) == {"loss": 0.5, "acc": 0.75, "epochs": 3}


def failing(config):
    failing.calls += 1
    if failing.calls == 2:
        return {"status": STATUS_FAIL, "why": "diverged"}
    if failing.calls == 3:
        raise ArithmeticError("no gradient")
    return math.nan if failing.calls == 4 else loss(config)


def test_trials_that_fail_raise_or_lose_their_number_are_recorded_as_that(repo):
    failing.calls = 0
    fmin(failing, SPACE, 4, GitParamsTrials(), catch_eval_exceptions=True)
    runs = oldest_first()
    assert [run.status.value for run in runs] == ["completed", "failed", "failed", "completed"]
    assert [list(run.metrics) for run in runs] == [["loss"], [], [], ["loss"]]
    assert runs[2].note == "<class 'ArithmeticError'>: no gradient"
    assert math.isnan(runs[3].metrics["loss"])


def test_an_exception_that_ends_the_search_leaves_a_failed_run(repo):
    failing.calls = 1
    with pytest.raises(ArithmeticError):
        fmin(failing, SPACE, 4, GitParamsTrials())
    assert [run.status.value for run in oldest_first()] == ["failed", "failed"]


@pytest.mark.parametrize("queue", [1, 4])
def test_what_ctrl_c_cuts_off_is_interrupted_and_what_ended_before_is_not_lost(repo, queue):
    calls = []

    def interrupted(config):
        calls.append(config)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return loss(config)

    with pytest.raises(KeyboardInterrupt):
        fmin(interrupted, SPACE, 4, GitParamsTrials(), max_queue_len=queue)
    assert [run.status.value for run in oldest_first()] == ["completed", "completed", "interrupted"]


def test_a_queue_of_trials_is_recorded_in_its_order(repo):
    trials = GitParamsTrials()
    fmin(loss, SPACE, 5, trials, max_queue_len=5)
    assert [run.metrics["loss"] for run in oldest_first()] == trials.losses()


def test_points_to_evaluate_come_first(repo):
    point = {"lr": 0.01, "kind": 1, "depth": 2, "width": 32, "seed": 5, "norm": 0, "last": 1}
    trials = GitParamsTrials(points_to_evaluate=[point])
    fmin(loss, SPACE, 4, trials, algo=lambda *args: tpe.suggest(*args, n_startup_jobs=1))
    assert params_of(oldest_first()[:1]) == [
        {
            "optim": {"lr": 0.01, "kind": {"name": "adam"}},
            "depth": 2,
            "width": 32.0,
            "seed": 5,
            "norm": None,
            "layers": [64, 16],
            "data": "digits",
        }
    ]
    assert len(gitparams.runs()) == 4


@pytest.mark.parametrize(
    "space,names",
    [
        (hp.uniform("rate", 0, 1), ["rate"]),
        ([hp.uniform("a", 0, 1), hp.randint("b", 3)], ["x0", "x1"]),
        (hp.choice("c", [hp.uniform("a", 0, 1), hp.uniform("b", 2, 3)]), ["x"]),
        (hp.choice("c", [{"a": hp.uniform("a", 0, 1)}]), ["a"]),
    ],
    ids=["one number", "a list", "one of several", "a choice of mappings"],
)
def test_a_space_that_is_no_mapping_has_names_too_and_leads_back(repo, space, names):
    trials = GitParamsTrials()
    fmin(lambda config: 1.0, space, 2, trials)
    assert [sorted(run.params) for run in gitparams.runs()] == [names] * 2
    gitparams.record(gitparams.runs()[0].params, {"loss": 2.0})  # told by nobody: it is traced back
    expected = assignments(trials)
    assert assignments(trials_of(gitparams.runs(), space)) == [*expected, expected[-1]]


def test_an_annotated_objective_needs_no_space(repo):
    def objective(rate: hp.uniform("rate", 0, 1)):
        return rate

    fmin(objective, "annotated", 1, GitParamsTrials())
    assert [list(run.params) for run in gitparams.runs()] == [["rate"]]


def test_trials_are_recorded_once_however_often_and_by_whom(repo):
    trials, live = Trials(), GitParamsTrials(experiment="e")
    fmin(loss, SPACE, 3, trials)
    fmin(loss, SPACE, 3, live)
    first = record_trials(trials, SPACE, "e", tags=["late"])
    assert (len(first), record_trials(trials, SPACE, "e"), record_trials(live, SPACE, "e")) == (3, [], [])
    assert len(gitparams.runs()) == 6
    assert sorted(run.metrics["loss"] for run in gitparams.runs(tags="late")) == sorted(trials.losses())


def test_trials_without_an_end_are_none(repo):
    assert record_trials(Trials(), SPACE) == []
    assert len(gitparams.runs()) == 0


def test_trials_of_one_experiment_key_are_recorded_under_it(repo):
    trials = Trials(exp_key="sweep")
    fmin(loss, SPACE, 2, trials)
    record_trials(trials, SPACE)
    assert {run.experiment for run in gitparams.runs()} == {"sweep"}


@pytest.mark.filterwarnings("ignore:Exception ignored in")  # hyperopt leaves the file that it saves to open
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_search_that_hyperopt_saves_goes_on_and_records_nothing_twice(repo):
    file = repo / "trials.pickle"
    fmin(loss, SPACE, 2, GitParamsTrials(), trials_save_file=str(file))
    fmin(loss, SPACE, 4, pickle.loads(file.read_bytes()))
    assert len(gitparams.runs()) == 4


def test_a_space_that_cannot_be_evaluated_again_is_recorded_by_label(repo, capsys):
    space = {"a": scope.only_once(hp.uniform("a", 0, 1))}
    only_once.calls = 0
    fmin(lambda config: 1.0, space, 1, GitParamsTrials())
    assert [list(run.params) for run in gitparams.runs()] == [["a"]]
    assert "The search space cannot be evaluated (ArithmeticError: again)" in capsys.readouterr().err


@scope.define
def only_once(value):
    only_once.calls += 1
    if only_once.calls > 1:
        raise ArithmeticError("again")
    return value


SEARCH = """
import argparse
from hyperopt import fmin, hp, rand
from gitparams.integrations.hyperopt import GitParamsTrials

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="digits")
args = parser.parse_args()
fmin(lambda a: a, hp.uniform("a", 0, 1), rand.suggest, 3, trials=GitParamsTrials(), verbose=False)
"""


def test_under_gitparams_run_the_search_is_a_group_and_each_trial_in_it_a_run(repo):
    (repo / "search.py").write_text(SEARCH)
    done = command("run", "--", sys.executable, "search.py", "--data", "letters", cwd=repo)
    assert (done.code, done.err) == (0, "")
    runs = list(gitparams.runs())
    (parent,) = {run.parent for run in runs}
    assert [(run.params.data, sorted(run.params)) for run in runs] == [("letters", ["a", "data"])] * 3
    assert gitparams.run(parent).group


def test_outside_of_a_repository_there_is_one_warning_and_the_search_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trials = GitParamsTrials()
    fmin(loss, SPACE, 3, trials)
    assert len(trials) == 3
    assert capsys.readouterr().err.count("gitparams:") == 1


# -- runs as trials -------------------------------------------------------------------------------------------------------


def test_a_search_goes_on_from_its_runs_and_records_only_what_is_new(repo):
    first = GitParamsTrials(experiment="digits")
    fmin(loss, SPACE, 20, first)
    trials = trials_of(gitparams.runs(), SPACE)
    assert (assignments(trials), trials.losses(), trials.notes) == (assignments(first), first.losses(), ())
    fmin(loss, SPACE, 25, trials, algo=tpe.suggest)
    assert len(trials) == 25
    assert [run.metrics["loss"] for run in oldest_first()] == trials.losses()
    assert {run.experiment for run in gitparams.runs()} == {"digits"}


def test_runs_of_anybody_are_traced_back_to_labels_and_indices(repo):
    drawn = Trials()
    fmin(loss, SPACE, 12, drawn)
    for vals in assignments(drawn):
        config = space_eval(SPACE, vals)
        gitparams.record({**config, "host": "elsewhere"}, {"loss": loss(config), "acc": 0.5})
    trials = trials_of(gitparams.runs(), SPACE)
    assert (assignments(trials), trials.losses()) == (assignments(drawn), drawn.losses())
    assert trials.results[0] == {"status": "ok", "loss": drawn.losses()[0], "acc": 0.5}
    assert len(fmin(loss, SPACE, 14, trials, algo=lambda *args: tpe.suggest(*args, n_startup_jobs=1))) >= 6


NUMBERS = {
    "uniform": hp.uniform("n", 1, 2),
    "loguniform": hp.loguniform("n", 0, 1),
    "quniform": hp.quniform("n", 0, 10, 2),
    "normal": hp.normal("n", 0, 1),
    "lognormal": hp.lognormal("n", 0, 1),
    "qlognormal": hp.qlognormal("n", 0, 1, 1),
    "uniformint": hp.uniformint("n", 1, 4),
    "randint": hp.randint("n", 4),
    "randint from": hp.randint("n", 2, 4),
    "literal": 3,
    "computed": 2 * hp.uniform("n", 0, 9),
    "switch of one's own": scope.switch(scope.int(hp.uniform("n", 0, 1)), 1, 2),
    "drawn bound": hp.uniform("n", 0, scope.float(3)),
}


@pytest.mark.parametrize(
    "kind,value,expected",
    [
        ("uniform", 1.5, {"n": 1.5}),
        ("uniform", 1, {"n": 1.0}),
        ("uniform", 2.5, None),
        ("uniform", "1.5", None),
        ("uniform", True, None),
        ("uniform", math.nan, None),
        ("loguniform", 2.0, {"n": 2.0}),
        ("loguniform", 3.0, None),
        ("loguniform", -1.0, None),
        ("quniform", 10.0, {"n": 10.0}),
        ("quniform", 12.0, None),
        ("normal", -99.5, {"n": -99.5}),
        ("lognormal", 0.0, None),
        ("qlognormal", 0.0, {"n": 0.0}),
        ("uniformint", 4, {"n": 4.0}),
        ("uniformint", 4.0, None),
        ("uniformint", 9, None),
        ("randint", 3, {"n": 3}),
        ("randint", 4, None),
        ("randint from", 1, None),
        ("randint from", 3, {"n": 3}),
        ("literal", 3, {}),
        ("literal", 3.0, None),
        ("computed", 4.0, None),
        ("switch of one's own", 1, None),
        ("drawn bound", 2.0, {"n": 2.0}),
    ],
)
def test_a_number_is_traced_back_when_the_space_can_draw_it(repo, kind, value, expected):
    gitparams.record({"p": value}, {"loss": 1.0})
    gitparams.record({"p": "fits"}, {"loss": 1.0})  # so that there is always one
    space = hp.choice("which", [{"p": "fits"}, {"p": NUMBERS[kind]}])
    found = assignments(trials_of(gitparams.runs(), space))
    assert found == [*([{"which": 1, **expected}] if expected is not None else []), {"which": 0}]


def test_what_fits_in_several_ways_or_none_is_left_out_and_counted(repo, capsys):
    space = {"a": hp.choice("a", [1, 2, 2]), "b": hp.choice("b", [{"c": hp.uniform("c", 0, 1)}, {}])}
    gitparams.record({"a": 1, "b": {"c": 0.5}}, {"loss": 1.0})
    gitparams.record({"a": 2, "b": {"c": 0.5}}, {"loss": 1.0})
    gitparams.record({"a": 1}, {"loss": 1.0})
    trials = trials_of(gitparams.runs(), space)
    assert assignments(trials) == [{"a": 0, "b": 0, "c": 0.5}]
    assert trials.notes == ("2 of 3 runs are left out: they fit the search space in no way, or in several.",)
    assert capsys.readouterr().err == f"gitparams: {trials.notes[0]}\n"


def test_one_label_in_two_places_is_one_thing(repo):
    shared = hp.choice("shared", [1, 2])
    space = {"a": shared, "b": shared}
    gitparams.record({"a": 2, "b": 2}, {"loss": 1.0})
    gitparams.record({"a": 1, "b": 2}, {"loss": 1.0})
    assert assignments(trials_of(gitparams.runs(), space)) == [{"shared": 1}]


def test_indices_of_a_space_that_was_changed_since_are_not_believed(repo):
    fmin(lambda config: 1.0, {"a": hp.choice("a", ["x", "y"])}, 4, GitParamsTrials())
    trials = trials_of(gitparams.runs(), {"a": hp.choice("a", ["z", "y", "x"])})
    names = {"x": 2, "y": 1}
    assert assignments(trials) == [{"a": names[run.params.a]} for run in oldest_first()]


def test_values_that_only_hyperopt_can_tell_are_believed_when_the_space_resolves_them(repo):
    space = {"width": 2 ** hp.randint("power", 1, 5)}
    first = GitParamsTrials()
    fmin(lambda config: 1.0, space, 3, first)
    assert assignments(trials_of(gitparams.runs(), space)) == assignments(first)


@pytest.mark.parametrize(
    "vals,fits",
    [
        ({"power": 2}, True),
        ({"power": 10**12}, False),
        ({"power": 3}, False),
        ({"power": "2"}, False),
        ({}, False),
        ([2], False),
    ],
    ids=["right", "never drawn", "another", "no number", "empty", "no mapping"],
)
def test_what_a_ledger_says_was_drawn_is_checked(repo, vals, fits):
    told = {"hyperopt": {"vals": vals}}
    run = ForeignRun(("test",), {"width": 4}, Status.COMPLETED, now(), metrics={"loss": 1.0}, environment=told)
    with Repository.find() as repository:
        repository.record_all([run])
    with nullcontext() if fits else pytest.raises(UsageError, match="fits the space of power"):
        assert assignments(trials_of(gitparams.runs(), {"width": 2 ** hp.randint("power", 1, 5)})) == [{"power": 2}]


def test_an_index_that_a_choice_does_not_have_is_not_believed(repo):
    told = {"hyperopt": {"vals": {"norm": 7}}}
    run = ForeignRun(("test",), {"norm": "batch"}, Status.COMPLETED, now(), metrics={"loss": 1.0}, environment=told)
    with Repository.find() as repository:
        repository.record_all([run])
    space = {"norm": hp.pchoice("norm", [(0.5, None), (0.5, "batch")])}
    assert assignments(trials_of(gitparams.runs(), space)) == [{"norm": 1}]


def test_a_view_of_the_trials_records_nothing_itself(repo):
    trials = GitParamsTrials()
    fmin(loss, SPACE, 1, trials)
    view = trials.view()
    view.refresh()
    assert (len(view), len(gitparams.runs())) == (1, 1)


def test_a_point_to_evaluate_that_the_space_does_not_know_is_one_sentence(repo):
    trials = GitParamsTrials(points_to_evaluate=[{"rate": 0.5, "depth": 1}])
    with pytest.raises(UsageError) as caught:
        fmin(loss, {"depth": hp.randint("depth", 4)}, 2, trials)
    assert caught.value.message == "The points to evaluate name rate, and the space has only depth."


def test_the_highest_is_the_lowest_loss_and_what_failed_is_a_failed_trial(repo):
    space = {"a": hp.uniform("a", 0, 9)}
    gitparams.record({"a": 1.0}, {"acc": 0.5})
    gitparams.record({"a": 2.0}, {"acc": math.nan})
    with pytest.raises(ArithmeticError), gitparams.start({"a": 3.0}) as run:
        run.summary["acc"] = 0.9
        raise ArithmeticError
    trials = trials_of(gitparams.runs(), space, "acc")
    assert trials.results == [{"status": "ok", "loss": -0.5}, {"status": "fail"}, {"status": "fail"}]
    assert trials.notes == ("2 of 3 runs failed or have no finite score, and count as failed.",)
    assert trials.argmin == {"a": 1.0}


def test_no_runs_are_no_trials_and_the_search_begins(repo):
    trials = trials_of(gitparams.runs(), SPACE, experiment="new")
    fmin(loss, SPACE, 2, trials)
    assert (len(trials), {run.experiment for run in gitparams.runs()}) == (2, {"new"})


@pytest.mark.filterwarnings("ignore:.*:matplotlib.MatplotlibDeprecationWarning")
def test_the_plots_of_hyperopt_draw_runs(repo):
    failing.calls = 0
    fmin(failing, SPACE, 8, GitParamsTrials(), catch_eval_exceptions=True)
    trials = trials_of(gitparams.runs(), SPACE)
    plotting.main_plot_history(trials, do_show=False)
    plotting.main_plot_histogram(trials, do_show=False)
    plotting.main_plot_vars(trials, do_show=False)
    assert len(matplotlib.pyplot.gcf().axes) >= 8
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    "params,options,message",
    [
        ({"b": 1.0}, {}, "None of these runs (1) fits the space of a."),
        ({"a": 99.0}, {}, "None of these runs (1) fits the space of a."),
        ({"a": 1.0}, {"metric": "acc"}, "None of these runs has a metric 'acc'."),
    ],
    ids=["another param", "out of bounds", "no such metric"],
)
def test_what_makes_no_trials_is_one_sentence(repo, params, options, message):
    gitparams.record(params, {"loss": 1.0})
    with pytest.raises(UsageError) as caught:
        trials_of(gitparams.runs(), {"a": hp.uniform("a", 0, 9)}, **options)
    assert caught.value.message == message


def test_without_hyperopt_a_sentence_says_what_to_install(repo, monkeypatch):
    monkeypatch.setitem(sys.modules, "hyperopt", None)
    with pytest.raises(UsageError, match=r"hyperopt is not installed: pip install 'gitparams\[hyperopt\]'"):
        trials_of([], SPACE)
