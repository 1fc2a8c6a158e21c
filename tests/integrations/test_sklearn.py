"""scikit-learn: after one line each estimator that a program fits is a run, each candidate of a search one, and scores are metrics."""

import copy
import json
import pickle
import subprocess
import sys
import textwrap
import threading
import traceback

import pytest
from world import git
from world import gitparams as command

import gitparams
from gitparams.errors import UsageError
from gitparams.integrations.estimators import params_of, space_of, with_params

sklearn = pytest.importorskip("sklearn")
numpy = pytest.importorskip("numpy")

from scipy.stats import loguniform  # noqa: E402 - comes with scikit-learn
from sklearn.base import BaseEstimator, ClassifierMixin, clone  # noqa: E402
from sklearn.cluster import KMeans  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.datasets import make_classification, make_regression  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.dummy import DummyClassifier  # noqa: E402
from sklearn.ensemble import BaggingClassifier, VotingClassifier  # noqa: E402
from sklearn.experimental import enable_halving_search_cv  # noqa: E402, F401
from sklearn.linear_model import LogisticRegression, Ridge  # noqa: E402
from sklearn.metrics import accuracy_score, f1_score, mean_squared_error, silhouette_score  # noqa: E402
from sklearn.model_selection import (  # noqa: E402
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import Pipeline, make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.svm import SVC  # noqa: E402
from sklearn.tree import DecisionTreeClassifier  # noqa: E402

X, Y = make_classification(60, 4, random_state=0)
TRAIN, TEST, Y_TRAIN, Y_TEST = X[:40], X[40:], Y[:40], Y[40:]

PROLOGUE = """
import gitparams
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

gitparams.autolog()
X, y = make_classification(60, 4, random_state=0)
"""


@pytest.fixture
def recording(repo):
    gitparams.autolog()
    yield repo
    gitparams.autolog(disable=True)


def program(repo, text, prologue=PROLOGUE):
    path = repo / "program.py"
    path.write_text(prologue + textwrap.dedent(text))
    return path


def run(path, *before):
    words = [*before, sys.executable, path.name]
    return subprocess.run(words, cwd=path.parent, capture_output=True, text=True, timeout=120, check=False)


def recorded(repo, text):
    done = run(program(repo, text))
    assert (done.returncode, done.stderr) == (0, "")
    return oldest_first()


def under_run(repo, text):
    done = run(program(repo, text), sys.executable, "-m", "gitparams", "run", "--")
    assert done.returncode == 0, done.stderr
    return oldest_first()


def oldest_first(where=None):
    return list(gitparams.runs(where, sort="started"))


def shown(run):
    return json.loads(command("show", run.id, "--json").out)


def groups():
    listed = json.loads(command("log", "--groups", "--json").out)
    return [shown(gitparams.run(one["id"])) for one in listed if one.get("group")]


# -- fits -----------------------------------------------------------------------------------------------------------------


def test_a_normal_script_with_one_line_records_typed_params_and_its_scores(repo):
    (run,) = recorded(
        repo,
        """
        model = LogisticRegression(C=0.5, max_iter=300).fit(X[:40], y[:40])
        train, test = X[:40], X[40:]
        print(model.score(test, y[40:]), accuracy_score(y[40:], model.predict(test)))
        """,
    )
    assert (run.status.value, run.params["class"], run.params.C, run.params.max_iter) == (
        "completed",
        "LogisticRegression",
        0.5,
        300,
    )
    assert [type(run.params[name]) for name in ("C", "max_iter", "fit_intercept", "class_weight")] == [
        float,
        int,
        bool,
        type(None),
    ]
    assert sorted(run.metrics) == ["accuracy", "fit_seconds", "score"]
    assert run.metrics["accuracy"] == run.metrics["score"]
    assert run.origins["C"].source == "sklearn"
    assert run.environment["sklearn"] == {
        "class": "sklearn.linear_model._logistic.LogisticRegression",
        "n_samples": 40,
        "n_features": 4,
    }


def test_the_params_of_a_pipeline_stand_below_the_names_of_its_steps(recording):
    Pipeline([("scale", StandardScaler(with_mean=False)), ("clf", SVC(C=2))]).fit(X, Y)
    (run,) = gitparams.runs()
    assert (run.params["class"], run.params.steps, run.params.clf.C) == ("Pipeline", ["scale", "clf"], 2)
    assert (run.params.clf["class"], run.params.scale.with_mean) == ("SVC", False)


def test_fits_within_a_fit_are_no_runs(recording):
    VotingClassifier([("a", DummyClassifier()), ("b", BaggingClassifier(DummyClassifier(), 3, n_jobs=2))]).fit(X, Y)
    (run,) = gitparams.runs()
    assert (run.params.estimators, run.params.b.estimator["class"]) == (["a", "b"], "DummyClassifier")


class Own(ClassifierMixin, BaseEstimator):
    """An estimator of the program, that fits others, in threads too."""

    def __init__(self, inner=None, fails=False):
        self.inner, self.fails = inner, fails

    def fit(self, X, y):
        if self.fails:
            raise ValueError("no convergence")
        self.inner_ = clone(self.inner or DummyClassifier()).fit(X, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict(self, X):
        return self.inner_.predict(X)


def test_an_estimator_of_the_program_counts_whether_it_was_made_before_or_later(recording):
    class Later(Own):
        def fit(self, X, y):
            return super().fit(X, y)

    Own(DummyClassifier(strategy="prior")).fit(X, Y)
    Later().fit(X, Y)
    assert [run.params["class"] for run in oldest_first()] == ["Own", "Later"]
    assert oldest_first()[0].params.inner.strategy == "prior"


def test_a_fit_that_raises_is_a_failed_run_with_the_traceback_it_had(repo):
    def lines():
        with pytest.raises(ValueError) as caught:
            make_pipeline(StandardScaler(), Own(fails=True)).fit(X, Y)
        return traceback.format_tb(caught.value.__traceback__)

    before = lines()
    gitparams.autolog()
    try:
        assert lines() == before
    finally:
        gitparams.autolog(disable=True)
    assert [run.status.value for run in gitparams.runs()] == ["failed"]


def test_a_fit_that_the_program_is_stopped_in_is_a_run_too(repo):
    done = run(
        program(
            repo,
            """
            import os, signal
            class Slow(LogisticRegression):
                def fit(self, X, y):
                    os.kill(os.getpid(), signal.SIGKILL)
            Slow(C=3).fit(X, y)
            """,
        )
    )
    assert done.returncode == -9
    assert command("log").code == 0
    (found,) = gitparams.runs()
    assert (found.status.value, found.params.C) == ("crashed", 3)


def test_transformers_are_told_with_the_model_they_prepared_for(recording):
    scaled = StandardScaler(with_std=False).fit_transform(X)
    PCA(2).fit(scaled)
    PCA(3).fit(scaled)
    DummyClassifier().fit(scaled, Y)
    (run,) = gitparams.runs()
    prepared = gitparams.to_dict(run.params.prepared)
    assert (sorted(prepared), prepared["PCA"]["n_components"], prepared["StandardScaler"]["with_std"]) == (
        ["PCA", "StandardScaler"],
        3,
        False,
    )


def test_a_program_that_only_transforms_has_its_last_transformer_as_its_run(repo):
    (run,) = recorded(repo, "from sklearn.decomposition import PCA\nPCA(3).fit(StandardScaler().fit_transform(X))\n")
    assert (run.params["class"], run.params.n_components, run.params.prepared.StandardScaler.with_std) == ("PCA", 3, True)


def test_fits_in_threads_of_the_program_are_runs_each(recording):
    models = [DummyClassifier(constant=number, strategy="constant") for number in (0, 1)]
    threads = [threading.Thread(target=model.fit, args=(X, Y)) for model in models]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(run.params.constant for run in gitparams.runs()) == [0, 1]


def test_what_installed_packages_fit_is_no_run(recording):
    learning_curve(DummyClassifier(), X, Y, cv=2)
    assert len(gitparams.runs()) == 0


# -- metrics --------------------------------------------------------------------------------------------------------------


def test_a_score_belongs_to_the_estimator_that_was_asked(recording):
    good, bad = DecisionTreeClassifier().fit(TRAIN, Y_TRAIN), DummyClassifier().fit(TRAIN, Y_TRAIN)
    scores = good.score(TEST, Y_TEST), bad.score(TEST, Y_TEST)
    good.score(TRAIN, Y_TRAIN)
    f1_score(Y_TEST, bad.predict(TEST), average="macro", zero_division=0)
    first, second = oldest_first()
    assert (first.metrics["score"], second.metrics["score"]) == scores
    assert (first.metrics["train_score"], "f1_macro" in first.metrics, "f1_macro" in second.metrics) == (1.0, False, True)


def test_held_out_data_of_two_kinds_do_not_overwrite_each_other(recording):
    model, other = Ridge().fit(*make_regression(20, 2, random_state=0)), make_regression(20, 2, random_state=1)
    another = make_regression(20, 2, random_state=2)
    errors = [mean_squared_error(y, model.predict(x)) for x, y in (other, another, other)]
    (run,) = gitparams.runs()
    assert (run.metrics["mean_squared_error"], run.metrics["mean_squared_error_2"]) == (errors[0], errors[1])


def test_a_metric_of_probabilities_or_of_clusters_finds_its_run(recording):
    from sklearn.metrics import roc_auc_score

    model = LogisticRegression().fit(TRAIN, Y_TRAIN)
    area = roc_auc_score(Y_TEST, model.predict_proba(TEST)[:, 1])
    clusters = KMeans(2, n_init=1)
    labels = clusters.fit_predict(X)
    silhouette = silhouette_score(X, labels)
    silhouette_score(X, clusters.labels_)
    first, second = oldest_first()
    assert (first.metrics["roc_auc"], second.metrics["train_silhouette"]) == (area, silhouette)


def test_a_metric_of_other_numbers_is_nobodys(recording):
    DummyClassifier().fit(X, Y)
    accuracy_score(Y, Y[::-1])
    (run,) = gitparams.runs()
    assert list(run.metrics) == ["fit_seconds"]


# -- searches -------------------------------------------------------------------------------------------------------------


def test_each_candidate_of_a_search_is_a_run_of_a_group(recording):
    pipeline = Pipeline([("scale", StandardScaler()), ("clf", SVC())])
    search = GridSearchCV(pipeline, {"clf__C": [0.1, 1], "clf__kernel": ["rbf", "linear"]}, cv=3).fit(X, Y)
    runs = oldest_first()
    results = search.cv_results_
    assert [(run.params.clf.C, run.params.clf.kernel) for run in runs] == [
        (one["clf__C"], one["clf__kernel"]) for one in results["params"]
    ]
    assert [run.metrics["score"] for run in runs] == list(results["mean_test_score"])
    assert [run.metrics["score_std"] for run in runs] == list(results["std_test_score"])
    assert [step.value for step in runs[0].series["score"]] == [results[f"split{fold}_test_score"][0] for fold in range(3)]
    assert [bool(run.tags) for run in runs] == [place == search.best_index_ for place in range(4)]
    assert {run.params.scale["class"] for run in runs} == {"StandardScaler"}
    (group,) = groups()
    assert ({run.parent for run in runs}, group["status"]) == ({group["id"]}, "completed")
    assert group["environment"]["sklearn"]["param_grid"] == {"clf__C": [0.1, 1], "clf__kernel": ["rbf", "linear"]}


def test_what_a_search_is_asked_afterwards_belongs_to_its_best_candidate(recording):
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3]}, cv=2).fit(TRAIN, Y_TRAIN)
    score = search.score(TEST, Y_TEST)
    accuracy = accuracy_score(Y_TEST, search.best_estimator_.predict(TEST))
    (best,) = gitparams.runs(tags="best")
    assert (best.metrics["score"], best.metrics["test_score"], best.metrics["test_accuracy"]) == (
        search.best_score_,
        score,
        accuracy,
    )


def test_each_of_several_scores_of_a_search_has_its_name(recording):
    scoring = ["accuracy", "neg_log_loss"]
    search = RandomizedSearchCV(
        LogisticRegression(), {"C": loguniform(1e-3, 10)}, n_iter=3, cv=2, scoring=scoring, refit=False, random_state=0
    )
    search.set_params(return_train_score=True).fit(X, Y)
    runs = oldest_first()
    assert [run.metrics["neg_log_loss"] for run in runs] == list(search.cv_results_["mean_test_neg_log_loss"])
    assert {"accuracy", "accuracy_std", "train_accuracy", "fit_seconds"} <= set(runs[0].metrics)
    assert [type(run.params.C) for run in runs] == [float] * 3
    assert groups()[0]["environment"]["sklearn"]["param_distributions"] == {"C": "loguniform(0.001, 10)"}


def test_a_candidate_that_cannot_be_fitted_is_a_failed_run(recording):
    with pytest.warns(sklearn.exceptions.FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
        GridSearchCV(Own(), {"fails": [True, False]}, cv=2).fit(X, Y)
    assert [(run.params.fails, run.status.value) for run in oldest_first()] == [(True, "failed"), (False, "completed")]


def test_a_search_that_raises_is_a_failed_group(recording):
    with pytest.raises(ValueError, match="no convergence"):
        GridSearchCV(Own(), {"fails": [True]}, cv=2, error_score="raise").fit(X, Y)
    assert (len(gitparams.runs()), [group["status"] for group in groups()]) == (0, ["failed"])


@pytest.mark.parametrize("resource", ["n_samples", "n_estimators"])
def test_a_candidate_that_halving_leaves_behind_is_pruned_and_its_rounds_are_steps(recording, resource):
    estimator = BaggingClassifier(DecisionTreeClassifier(random_state=0), random_state=0)
    options = {} if resource == "n_samples" else {"resource": resource, "max_resources": 9, "min_resources": 1}
    grid = {"max_features": [0.25, 0.5, 0.75, 1.0]}
    search = HalvingGridSearchCV(estimator, grid, cv=2, random_state=0, factor=2, **options).fit(X, Y)
    runs = oldest_first()
    tried = [params["max_features"] for params in search.cv_results_["params"]]
    assert [len(run.series["score"]) for run in runs] == [tried.count(run.params.max_features) for run in runs]
    assert sorted(run.params.max_features for run in runs) == grid["max_features"]
    last = search.n_iterations_
    assert [run.status.value for run in runs] == [
        "completed" if tried.count(run.params.max_features) == last else "pruned" for run in runs
    ]
    assert "pruned" in {run.status.value for run in runs}
    (best,) = gitparams.runs(tags="best")
    assert (best.status.value, best.params.max_features) == ("completed", search.best_params_["max_features"])
    assert [int(step.step) for step in best.series["score"]] == list(search.n_resources_)


def test_a_search_in_several_processes_records_each_candidate_once(repo):
    text = """
        from sklearn.base import BaseEstimator, ClassifierMixin
        class Mine(ClassifierMixin, BaseEstimator):
            def __init__(self, C=1): self.C = C
            def fit(self, X, y):
                LogisticRegression(C=self.C).fit(X, y)
                self.classes_ = [0, 1]
                return self
            def predict(self, X): return [0] * len(X)
        GridSearchCV(Mine(), {"C": [1, 2, 3, 4]}, cv=2, n_jobs=2).fit(X, y)
    """
    assert [run.params.C for run in recorded(repo, text)] == [1, 2, 3, 4]


def test_many_candidates_are_written_in_one_go(recording):
    GridSearchCV(DummyClassifier(strategy="constant"), {"constant": [0] * 200}, cv=2).fit(X[:8], [0, 1] * 4)
    assert len(gitparams.runs()) == 200
    assert len(git("reflog", "show", "refs/gitparams/runs").splitlines()) == 3  # the group begins, all of these, it ends


def test_cross_validation_is_a_run_with_mean_and_deviation(recording):
    scores = cross_val_score(DummyClassifier(strategy="uniform", random_state=0), X, Y, cv=3)
    cross_validate(LogisticRegression(), X, Y, cv=2, scoring=["f1", "accuracy"])
    first, second = oldest_first()
    assert (first.metrics["score"], first.metrics["score_std"]) == (pytest.approx(scores.mean()), pytest.approx(scores.std()))
    assert [step.value for step in first.series["score"]] == list(scores)
    assert sorted(second.metrics) == ["accuracy", "accuracy_std", "f1", "f1_std", "fit_seconds"]


def test_predictions_of_folds_are_scored_as_held_out(recording):
    accuracy = accuracy_score(Y, cross_val_predict(DecisionTreeClassifier(), X, Y, cv=2))
    (run,) = gitparams.runs()
    assert run.metrics == {"accuracy": accuracy}


# -- within a run that goes on --------------------------------------------------------------------------------------------


def test_under_gitparams_run_one_fit_is_that_run(repo):
    (run,) = under_run(
        repo,
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--C", type=float, default=0.5)
        args = parser.parse_args()
        X = StandardScaler().fit_transform(X)
        train, test = X[:40], X[40:]
        cross_val_score(LogisticRegression(C=args.C * 2), train, y[:40])
        model = LogisticRegression(C=args.C * 2).fit(train, y[:40])
        model.score(test, y[40:])
        """,
    )
    assert (run.params.C, run.params["class"], run.params.prepared.StandardScaler.with_std) == (1.0, "LogisticRegression", True)
    assert {"score", "score_std", "test_score", "fit_seconds"} <= set(run.metrics)
    assert (run.exit_code, run.origins["C"].source) == (0, "sklearn")
    assert [(one.value, one.source) for one in run.origins["C"].overrode] == [(0.5, "default")]
    assert run.environment["sklearn"]["n_samples"] == 40


def test_under_gitparams_run_several_fits_are_the_runs_of_a_group(repo):
    runs = under_run(repo, "for C in (1, 2, 3):\n    LogisticRegression(C=C).fit(X, y).score(X, y)\n")
    assert [run.params.C for run in runs] == [1, 2, 3]
    assert [sorted(run.metrics) for run in runs] == [["fit_seconds", "train_score"]] * 3
    (group,) = groups()
    assert {run.parent for run in runs} == {group["id"]}


def test_under_gitparams_run_the_candidates_of_a_search_are_the_runs_of_the_group(repo):
    runs = under_run(repo, 'GridSearchCV(SVC(), {"C": [1, 2]}, cv=2).fit(X[:40], y[:40]).score(X[40:], y[40:])\n')
    assert [run.params.C for run in runs] == [1, 2]
    assert [("test_score" in run.metrics) == ("best" in run.tags) for run in runs] == [True, True]
    (group,) = groups()
    assert ({run.parent for run in runs}, group["exit_code"]) == ({group["id"]}, 0)


def test_within_start_the_first_fit_is_that_run_and_others_are_below_it(recording):
    with gitparams.start({"data": "digits"}) as outer:
        first = LogisticRegression(C=1).fit(TRAIN, Y_TRAIN)
        LogisticRegression(C=2).fit(TRAIN, Y_TRAIN)
        first.score(TEST, Y_TEST)
    whole, other = oldest_first()
    assert (whole.id, whole.params.data, whole.params.C, "score" in whole.metrics) == (outer.id, "digits", 1, True)
    assert (other.params.C, other.parent, "data" in other.params) == (2, outer.id, False)


def test_within_start_equal_fits_are_one_run_and_none_overwrites_the_other(recording):
    with gitparams.start():
        for fold in (TRAIN, TEST):
            DummyClassifier().fit(fold, Y[:40] if fold is TRAIN else Y[40:]).score(X, Y)
    (run,) = gitparams.runs()
    assert sorted(run.metrics) == ["fit_seconds", "fit_seconds_2", "score", "score_2"]


def test_within_start_a_search_tells_the_run_what_it_chose(recording):
    with gitparams.start({"data": "digits"}) as outer:
        search = GridSearchCV(SVC(), {"C": [1, 2]}, cv=2).fit(TRAIN, Y_TRAIN)
        score = search.score(TEST, Y_TEST)
    whole = gitparams.run(outer.id)
    assert (whole.params.C, whole.metrics["score"], whole.metrics["test_score"]) == (
        search.best_params_["C"],
        search.best_score_,
        score,
    )
    assert {run.parent for run in gitparams.runs() if run.id != outer.id} == {outer.id}


# -- what must not happen -------------------------------------------------------------------------------------------------


def test_twice_is_once_and_off_is_as_before(repo):
    import sklearn.base

    before = {name: LogisticRegression.__dict__.get(name) for name in ("fit", "score", "predict")}
    gitparams.autolog()
    gitparams.autolog()
    LogisticRegression().fit(X, Y)
    gitparams.autolog(disable=True)
    gitparams.autolog(disable=True)
    LogisticRegression().fit(X, Y)
    assert len(gitparams.runs()) == 1
    assert {name: LogisticRegression.__dict__.get(name) for name in before} == before
    assert "__init_subclass__" not in sklearn.base.BaseEstimator.__dict__


def test_estimators_are_pickled_cloned_and_copied_as_ever(recording):
    model = make_pipeline(StandardScaler(), SVC(C=3)).fit(TRAIN, Y_TRAIN)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert (other.predict(TEST) == model.predict(TEST)).all()
    assert clone(model).get_params()["svc__C"] == 3
    assert not hasattr(SVC(probability=False), "predict_proba")
    assert vars(model).keys() == vars(make_pipeline(StandardScaler(), SVC())).keys()


def test_results_are_the_same_with_and_without(repo):
    def result():
        search = RandomizedSearchCV(
            DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 3, 4]}, n_iter=2, cv=2, random_state=1
        ).fit(X, Y)
        return search.best_params_, list(search.cv_results_["mean_test_score"]), list(search.predict(X))

    before = result()
    gitparams.autolog()
    try:
        assert result() == before
    finally:
        gitparams.autolog(disable=True)


def test_outside_of_a_repository_it_is_one_warning_and_the_runs_are_kept(tmp_path, repo):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    text = """
        for C in (1, 2):
            LogisticRegression(C=C).fit(X, y).score(X, y)
        GridSearchCV(SVC(), {"C": [3, 4]}, cv=2).fit(X, y)
    """
    done = run(program(elsewhere, text))
    assert (done.returncode, done.stderr.count("gitparams:"), done.stderr.count("import spool")) == (0, 1, 1)
    assert command("import", "spool", "--all").code == 0
    assert sorted(run.params.C for run in gitparams.runs()) == [1, 2, 3, 4]
    assert "train_score" in gitparams.runs("params.C == 1")[0].metrics


def test_a_fault_of_ours_is_one_warning_and_the_training_goes_on(recording, capfd):
    class Odd(Own):
        def get_params(self, deep=True):
            raise RuntimeError("no params today")

    for _ in range(2):
        assert Odd().fit(X, Y).predict(X[:1]) == DummyClassifier().fit(X, Y).predict(X[:1])
    assert capfd.readouterr().err == "gitparams: scikit-learn could not be recorded: RuntimeError: no params today\n"


def test_the_settings_switch_it_off(repo):
    (repo / "gitparams.yaml").write_text("sources: {sklearn: off}\n")
    assert recorded(repo, "LogisticRegression().fit(X, y)\n") == []


def test_without_scikit_learn_it_says_what_to_install(repo, monkeypatch):
    for name in ("sklearn", "sklearn.base", "lightning", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"sklearn is not installed: pip install 'gitparams\[sklearn\]'"):
        gitparams.autolog()


def test_gitparams_imports_scikit_learn_only_when_it_is_used():
    words = "import sys, gitparams.integrations.sklearn; print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout == "False\n"


# -- params ---------------------------------------------------------------------------------------------------------------


def test_what_an_estimator_holds_becomes_readable_values():
    table = ColumnTransformer([("numbers", StandardScaler(), [0, 1]), ("words", "passthrough", ["a"])])
    params = params_of(table)
    assert (params["transformers"], params["words"]) == ({"numbers": [0, 1], "words": ["a"]}, "passthrough")
    assert params_of(Own(numpy.random.RandomState(0)))["inner"] == "<numpy.random.mtrand.RandomState>"
    assert params_of(Own(len))["inner"] == "builtins.len"
    assert params_of(Own(numpy.float64(0.5)))["inner"] == 0.5


def test_a_candidate_may_replace_a_step_and_set_what_that_has():
    base = params_of(Pipeline([("clf", DummyClassifier())]))
    changed = with_params(base, {"clf__C": 7.0, "clf": SVC(kernel="linear")})
    assert (changed["clf"]["class"], changed["clf"]["C"], changed["clf"]["kernel"]) == ("SVC", 7.0, "linear")
    assert base["clf"]["class"] == "DummyClassifier"
    assert space_of([{"clf": [SVC()]}])[0]["clf"][0]["class"] == "SVC"
