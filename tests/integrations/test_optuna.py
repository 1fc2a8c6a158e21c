"""Optuna: trials become runs, and runs a study, with the real library."""

import json
import math
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from world import git, make_repository
from world import gitparams as command

import gitparams
from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.integrations.optuna import GitParamsCallback, study_of

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.ERROR)
# Optuna's own marks of what may change, and SQLAlchemy's pool that closes late.
pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def objective(trial):
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    depth = trial.suggest_int("depth", 1, 9, step=2)
    model = trial.suggest_categorical("model", ["mlp", "forest", None, True])
    trial.report(lr, 0)
    trial.report(lr * 2, 1)
    if trial.number == 1:
        raise optuna.TrialPruned
    if trial.number == 2:
        return math.nan
    if trial.number == 3:
        raise ArithmeticError("diverged")
    if model == "mlp":
        trial.suggest_float("dropout", 0.0, 0.5)
    return depth - math.log10(lr)


def studied(trials=8, callback=None, storage=None, goal=objective, name="digits", jobs=1, **create):
    study = optuna.create_study(study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler(seed=7), **create)
    callbacks = [] if callback is None else [callback]
    study.optimize(goal, n_trials=trials, callbacks=callbacks, catch=(ArithmeticError,), n_jobs=jobs)
    return study


def facts(trials):
    return [(t.state.name, t.value, t.params, t.distributions, t.datetime_start, t.datetime_complete) for t in trials]


# -- trials as runs -------------------------------------------------------------------------------------------------------


def test_each_trial_is_a_run_with_its_typed_params_status_steps_and_times(repo):
    study = studied(callback=GitParamsCallback())
    runs = list(reversed(gitparams.runs()))
    assert [run.params for run in runs] == [trial.params for trial in study.trials]
    assert [run.status for run in runs[:5]] == ["completed", "pruned", "failed", "failed", "completed"]
    assert [run.started.replace(tzinfo=None) for run in runs] == [trial.datetime_start for trial in study.trials]
    assert [run.metrics.get("value") for run in (runs[0], runs[4])] == [study.trials[0].value, study.trials[4].value]
    assert [(step.step, step.value) for step in runs[1].series["value"]] == list(study.trials[1].intermediate_values.items())
    assert {run.experiment for run in runs} == {"digits"}
    assert runs[0].origins["lr"].source == "optuna"


def test_a_trial_that_is_recorded_here_has_the_code_and_the_machine_and_an_imported_one_says_so(repo, tmp_path):
    (repo / "train.py").write_text("print('changed')\n")
    studied(1, GitParamsCallback(), name="here")
    studied(1, storage=f"sqlite:///{tmp_path}/study.db", name="there")
    command("import", "optuna", f"sqlite:///{tmp_path}/study.db")
    here, there = gitparams.runs(sort="experiment")
    assert (here.code.commit, here.code.dirty, here.host != "") == (git("rev-parse", "HEAD"), True, True)
    assert git("show", f"{here.code.tree}:train.py") == "print('changed')"
    assert (there.code.commit, there.environment["imported"]) == (None, "optuna")


def test_the_way_back_gives_the_same_study(repo):
    study = studied(callback=GitParamsCallback())
    back = gitparams.runs().to_optuna(series=True)
    assert facts(back.trials) == facts(study.trials)
    assert back.best_params == study.best_params
    assert back.trials[0].intermediate_values == study.trials[0].intermediate_values


def test_four_threads_record_every_trial_once(repo):
    study = studied(trials=24, callback=GitParamsCallback(), jobs=4)
    found = sorted(run.environment["optuna"]["number"] for run in gitparams.runs())
    assert found == list(range(24)) and len(study.trials) == 24


def test_several_processes_on_one_storage_record_every_trial_once_and_importing_it_adds_nothing(repo, tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    studied(trials=0, storage=storage)
    program = textwrap.dedent(
        f"""
        import optuna
        from gitparams.integrations.optuna import GitParamsCallback
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.load_study(study_name="digits", storage={storage!r})
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=6, callbacks=[GitParamsCallback()])
        """
    )
    workers = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(2)]
    assert [(worker.communicate()[1], worker.returncode) for worker in workers] == [(b"", 0)] * 2
    assert sorted(run.environment["optuna"]["number"] for run in gitparams.runs()) == list(range(12))
    assert command("import", "optuna", storage).out == ""


def test_a_worker_that_dies_costs_its_own_trial_only(repo, tmp_path):
    program = textwrap.dedent(
        """
        import optuna, os, signal
        from gitparams.integrations.optuna import GitParamsCallback
        def objective(trial):
            x = trial.suggest_float("x", 0, 1)
            if trial.number == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return x
        optuna.create_study(study_name="s").optimize(objective, n_trials=9, callbacks=[GitParamsCallback()])
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(gitparams.runs()) == 3
    assert git("fsck", "--strict", "--no-dangling") == ""


def test_several_objectives_are_several_metrics(repo):
    study = optuna.create_study(study_name="two", directions=["minimize", "maximize"])
    study.set_metric_names(["loss", "acc"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 0.5), n_trials=2, callbacks=[GitParamsCallback()])
    assert [sorted(run.metrics) for run in gitparams.runs()] == [["acc", "loss"]] * 2


def test_under_gitparams_run_the_trials_are_the_runs_of_a_group(repo):
    (repo / "search.py").write_text(
        textwrap.dedent(
            """
            import argparse, optuna
            from gitparams.integrations.optuna import GitParamsCallback
            parser = argparse.ArgumentParser()
            parser.add_argument("--data", default="digits")
            parser.parse_args()
            study = optuna.create_study(study_name="s")
            study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3, callbacks=[GitParamsCallback()])
            """
        )
    )
    done = command("run", "--", sys.executable, "search.py")
    assert done.code == 0
    (group,) = [run for run in json.loads(command("log", "--groups", "--json").out) if run["group"]]
    assert [(run.params["data"], run.parent) for run in gitparams.runs()] == [("digits", group["id"])] * 3


def test_a_tracked_trial_is_a_run_while_it_goes_on_and_is_not_recorded_twice(repo, tmp_path):
    callback = GitParamsCallback("acc")

    def training(trial):
        lr = trial.suggest_float("lr", 0, 1)
        from gitparams.recorder import current

        current().log(loss=1 - lr)
        trial.report(lr, 0)
        if trial.number == 1:
            raise optuna.TrialPruned
        return lr

    storage = f"sqlite:///{tmp_path}/study.db"
    study = studied(3, callback, storage, callback.track(training))
    assert command("import", "optuna", storage).out == ""
    runs = list(reversed(gitparams.runs()))
    assert [(run.status, run.params) for run in runs] == [
        (state, trial.params) for state, trial in zip(["completed", "pruned", "completed"], study.trials, strict=True)
    ]
    assert runs[0].metrics == {"acc": study.trials[0].value, "loss": 1 - study.trials[0].value}
    assert [len(runs[1].series[name]) for name in ("loss", "acc")] == [1, 1]


def test_outside_a_repository_the_trials_wait_in_the_spool_with_one_warning(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    studied(4, GitParamsCallback())
    assert capsys.readouterr().err.count("gitparams:") == 1
    make_repository(tmp_path / "repo")
    monkeypatch.chdir(tmp_path / "repo")
    assert len(command("import", "spool", "--all").out.split()) == 4
    assert [run.status for run in reversed(gitparams.runs())] == ["completed", "pruned", "failed", "failed"]


# -- studies of a storage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["url", "file", "journal"])
def test_a_study_of_any_storage_is_imported_once(repo, tmp_path, form):
    database = tmp_path / "my study.db"
    storage = f"sqlite:///{database}"
    place = storage if form == "url" else str(database)
    if form == "journal":
        place = str(tmp_path / "journal.log")
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(place))
    study = studied(storage=storage)
    first = command("import", "optuna", place)
    assert (first.code, len(first.out.split())) == (0, 8)
    assert command("import", "optuna", place).err == f"gitparams: 0 runs brought in from {place}.\n"
    assert [run.params for run in reversed(gitparams.runs())] == [trial.params for trial in study.trials]


def test_only_the_study_that_is_named_is_imported(repo, tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    studied(2, storage=storage, name="one")
    studied(3, storage=storage, name="two")
    assert len(command("import", "optuna", storage, "--only", "two").out.split()) == 3
    refused = command("import", "optuna", storage, "--only", "three")
    assert (refused.code, refused.err) == (
        2,
        f"gitparams: {storage} holds no study 'three'; there is one, two.\n",
    )


def test_what_is_not_finished_is_said_and_brought_in_later(repo, tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    study = studied(1, storage=storage)
    trial = study.ask()
    done = command("import", "optuna", storage)
    assert "1 trial of digits not finished yet" in done.err and len(done.out.split()) == 1
    study.tell(trial, 0.5)
    assert len(command("import", "optuna", storage).out.split()) == 1


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("sqlite:///none.db", "There is no file none.db."),
        ("none.log", "There is no file none.log."),
        ("train.py", "train.py is neither a SQLite database nor a journal of Optuna."),
        ("postgresql://ada:hunter2@localhost:1/x", "postgresql://ada:…@localhost:1/x cannot be opened"),
        ("empty.db", "empty.db holds no study."),
    ],
)
def test_a_storage_that_is_none_is_refused_by_name(repo, place, sentence):
    optuna.storages.RDBStorage("sqlite:///empty.db")
    done = command("import", "optuna", place)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err and "hunter2" not in done.err
    assert not Path("none.db").exists()


def test_a_study_without_trials_brings_nothing(repo, tmp_path):
    studied(0, storage=f"sqlite:///{tmp_path}/study.db")
    assert command("import", "optuna", f"{tmp_path}/study.db").code == 0


# -- runs as a study ------------------------------------------------------------------------------------------------------

MIXED = [
    ({"lr": 1e-4, "depth": 3, "opt": "adam", "amp": True, "x": 1}, {"acc": 0.9}),
    ({"lr": 1e-2, "depth": 5, "opt": "sgd", "amp": False, "x": "auto"}, {"acc": 0.7}),
    ({"lr": 1e-3, "depth": 7, "opt": "sgd", "amp": False, "x": None, "momentum": 0.9}, {"acc": 0.8}),
    ({"lr": 1e-3, "depth": 9, "opt": "sgd", "amp": False, "x": 2.5, "momentum": 0.5}, {"acc": math.nan}),
    ({"lr": 5e-3, "depth": 4, "opt": "adam", "amp": True, "x": 1}, {}),
    ({"lr": 2e-3, "depth": 6, "opt": "adam", "amp": True, "x": 1}, {"acc": 0.85}),
]


@pytest.fixture
def mixed(repo):
    for params, metrics in MIXED:
        gitparams.record(params, metrics)
    return gitparams.runs()


def test_runs_of_any_origin_are_a_study(mixed):
    study = study_of(mixed)
    assert (study.direction.name, study.metric_names) == ("MAXIMIZE", ["acc"])
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3 + ["FAIL"] * 2 + ["COMPLETE"]
    assert study.best_trial.user_attrs["run_id"] == mixed[5].id
    first = study.trials[0]
    assert first.params == {"lr": 1e-4, "depth": 3, "opt": "adam", "amp": "true", "x": "1"}
    assert first.distributions["lr"] == optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)
    assert first.distributions["x"].choices == ("1", "2.5", "auto", "null")


def test_a_direction_that_is_declared_counts_and_params_can_be_chosen(mixed):
    study = study_of(mixed, "acc", {"acc": Direction.MIN}, params=["lr"])
    assert (study.direction.name, set(study.trials[0].params)) == ("MINIMIZE", {"lr"})
    with pytest.raises(UsageError, match="None of these runs has a param 'rl'"):
        study_of(mixed, params=["rl"])


PLOTS = [
    "plot_contour", "plot_edf", "plot_hypervolume_history", "plot_intermediate_values", "plot_optimization_history",
    "plot_parallel_coordinate", "plot_param_importances", "plot_rank", "plot_slice", "plot_timeline",
]  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(PLOTS) - {"plot_hypervolume_history"}))
@pytest.mark.filterwarnings("ignore")  # what Optuna, numpy and scikit-learn say of few trials
def test_every_picture_of_optuna_takes_the_study(mixed, name):
    figure = getattr(optuna.visualization, name)(study_of(mixed, series=True))
    assert len(figure.to_plotly_json()["data"]) > 0 or name == "plot_intermediate_values"


def test_a_study_can_be_kept_in_a_storage_that_the_dashboard_shows(mixed, tmp_path):
    from optuna_dashboard import wsgi

    storage = f"sqlite:///{tmp_path}/dashboard.db"
    study_of(mixed, storage=storage)
    answer = []
    app = wsgi(storage)
    environment = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/api/studies", "SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.url_scheme": "http",
        "wsgi.input": None, "wsgi.errors": sys.stderr,
    }  # fmt: skip
    body = b"".join(app(environment, lambda status, headers, error=None: answer.append(status)))
    assert answer == ["200 OK"] and json.loads(body)["study_summaries"][0]["study_name"] == "gitparams"


def test_no_runs_are_a_study_without_trials(repo):
    assert study_of([]).trials == []


def test_optuna_is_asked_for_only_when_it_is_used():
    words = "import gitparams.integrations.optuna as module, sys; module.GitParamsCallback(); print('optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_without_optuna_the_sentence_names_the_extra(repo, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"optuna is not installed: pip install 'gitparams\[optuna\]'"):
        study_of([])
