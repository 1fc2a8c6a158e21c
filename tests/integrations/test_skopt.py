"""scikit-optimize: each evaluation is a run, and any recorded runs are a result for its plots, or to go on from."""

import math
import sys

import pytest
from world import gitparams as command

import gitparams
from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.integrations.skopt import GitParamsCallback, result_of
from gitparams.space import word

skopt = pytest.importorskip("skopt")
matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from skopt import Optimizer, Space, forest_minimize, gp_minimize, plots  # noqa: E402 - the backend comes first
from skopt.space import Categorical, Integer, Real  # noqa: E402

# scikit-learn 1.9 says of itself what is to come; scikit-optimize 0.10.2 is older than that.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning:sklearn"),
    pytest.mark.filterwarnings("ignore:The objective has been evaluated at:UserWarning"),
]

SPACE = [
    Real(1e-4, 1e-1, prior="log-uniform", name="lr"),
    Integer(1, 8, name="depth"),
    Categorical(["adam", "sgd"], name="optimizer"),
    Categorical([True, False], name="nesterov"),
]


def loss(point):
    lr, depth, optimizer, nesterov = point
    return (math.log10(lr) + 2) ** 2 + depth / 10 + (optimizer == "sgd") + 0.1 * nesterov


def random_search(objective, space, n_calls, **options):
    """Evaluate random points; skopt's own `dummy_minimize` fails beside scikit-learn 1.9."""
    first = n_calls - len(options.get("x0", ()))
    return forest_minimize(
        objective, space, base_estimator="RF", n_calls=n_calls, n_initial_points=first, random_state=1, **options
    )


def oldest_first():
    return list(gitparams.runs())[::-1]


def params_of(runs):
    return [gitparams.to_dict(run.params) for run in runs]


def points(runs, *names):
    return [[run.params[name] for name in names] for run in runs]


def digits(count=24):
    """Record runs as a training of the digits example has them: nested, some constant, some not in every run, the best high."""
    for seed in range(count):
        momentum = {"momentum": 0.5 + seed / 100} if seed % 4 == 0 else {}
        params = {
            "model": {"dropout": seed % 5 / 10, "hidden": [32, 64, 128][seed % 3], "norm": (None, "batch")[seed % 2]},
            "optim": {"lr": 10 ** (-4 + seed % 7 / 2), "nesterov": seed % 4 < 2, **momentum},
            "data": "digits",
        }
        gitparams.record(params, {"acc": 0.9 + math.sin(seed) / 20, "loss": 1.0})
    return gitparams.runs()


# -- evaluations as runs --------------------------------------------------------------------------------------------------


def test_each_evaluation_is_a_run_with_plain_typed_params_in_the_order_of_the_search(repo):
    result = gp_minimize(loss, SPACE, n_calls=7, n_initial_points=5, random_state=1, callback=[GitParamsCallback()])
    runs = oldest_first()
    assert points(runs, "lr", "depth", "optimizer", "nesterov") == result.x_iters
    assert [run.metrics for run in runs] == [{"value": value} for value in result.func_vals]
    assert {tuple(type(run.params[dimension.name]) for dimension in SPACE) for run in runs} == {(float, int, str, bool)}
    assert {(run.status.value, run.experiment, run.command) for run in runs} == {("completed", "default", tuple(sys.orig_argv))}
    assert runs[0].origins["lr"].source == "skopt"


def test_a_run_is_there_before_the_next_evaluation_begins(repo):
    seen = []

    def counting(point):
        seen.append(len(gitparams.runs()))
        return loss(point)

    random_search(counting, SPACE, n_calls=4, callback=GitParamsCallback())
    assert seen == [0, 1, 2, 3]


def test_initial_points_come_first_and_in_their_order(repo):
    first = [[0.01, 2, "adam", True], [0.02, 3, "sgd", False], [0.03, 4, "adam", False]]
    random_search(loss, SPACE, x0=first, n_calls=5, callback=[GitParamsCallback()])
    runs = oldest_first()
    assert points(runs[:3], "lr", "depth", "optimizer", "nesterov") == first
    assert [run.environment["skopt"]["number"] for run in runs] == [0, 1, 2, 3, 4]
    assert [run.finished for run in runs[:2]] == [run.started for run in runs[1:3]]


def test_a_dimension_without_a_name_is_called_by_its_place(repo):
    space = [(0.0, 1.0), Real(0.0, 1.0, name="rate"), ["a", "b"]]
    random_search(lambda point: point[0], space, n_calls=2, callback=[GitParamsCallback()])
    assert [sorted(run.params) for run in gitparams.runs()] == [["rate", "x0", "x2"]] * 2


@pytest.mark.parametrize(
    "given,expected",
    [
        (["a", "b"], ["a", "b"]),
        ([Real(0, 1, name="a"), Real(0, 1)], ["a", "x1"]),
        (Space([Real(0, 1, name="a"), Real(0, 1, name="b")]), ["a", "b"]),
        (["a", "a"], ["x0", "x1"]),
        (["a"], ["x0", "x1"]),
    ],
    ids=["names", "dimensions", "space", "one name twice", "too few names"],
)
def test_names_may_be_given(repo, given, expected):
    callback = GitParamsCallback(given, "error", "search", tags=["fast"], note="by hand")
    random_search(sum, [(0.0, 1.0), (0.0, 1.0)], n_calls=1, callback=[callback])
    (run,) = gitparams.runs()
    assert (sorted(run.params), list(run.metrics), run.experiment) == (expected, ["error"], "search")
    assert (run.tags, run.note) == (("fast",), "by hand")


def test_one_callback_serves_one_search_after_the_other(repo):
    callback = GitParamsCallback()
    random_search(loss, SPACE, n_calls=3, callback=[callback])
    random_search(loss, SPACE, n_calls=3, callback=[callback])
    assert len(gitparams.runs()) == 6
    assert len({run.environment["skopt"]["search"] for run in gitparams.runs()}) == 2


def test_a_search_by_ask_and_tell_is_recorded_too_and_nothing_twice(repo):
    optimizer, callback = Optimizer(SPACE, "RF", n_initial_points=2, random_state=1), GitParamsCallback()
    asked = optimizer.ask()
    result = optimizer.tell(asked, loss(asked))
    callback(result)
    callback(result)
    several = optimizer.ask(n_points=2)
    callback(optimizer.tell(several, [loss(point) for point in several]))
    assert points(oldest_first(), "lr", "depth", "optimizer", "nesterov") == [asked, *several]


def test_a_stopped_search_goes_on_from_its_runs_and_records_only_what_is_new(repo):
    first = random_search(loss, SPACE, n_calls=4, callback=[GitParamsCallback()])
    so_far = result_of(gitparams.runs(), space=SPACE)
    assert so_far.x_iters == first.x_iters
    whole = gp_minimize(
        loss, SPACE, x0=so_far.x_iters, y0=so_far.func_vals, n_initial_points=0, n_calls=2, callback=[GitParamsCallback()]
    )
    assert points(oldest_first(), "lr", "depth", "optimizer", "nesterov") == whole.x_iters
    assert len(whole.x_iters) == 6


def test_a_result_goes_on_without_the_space_when_its_values_are_of_it(repo):
    space = [Real(0.0, 1.0, name="a"), Integer(1, 9, name="b")]
    random_search(sum, space, n_calls=4, callback=[GitParamsCallback()])
    so_far = result_of(gitparams.runs())
    whole = gp_minimize(sum, space, x0=so_far.x_iters, y0=so_far.func_vals, n_initial_points=1, n_calls=1, random_state=2)
    assert len(whole.x_iters) == 5


SEARCH = """
import argparse
from skopt import forest_minimize
from skopt.space import Real
from gitparams.integrations.skopt import GitParamsCallback

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="digits")
args = parser.parse_args()
forest_minimize(lambda x: x[0], [Real(0.0, 1.0, name="a")], "RF", n_calls=3, n_initial_points=3, callback=[GitParamsCallback()])
"""


def test_under_gitparams_run_the_search_is_a_group_and_each_evaluation_in_it_a_run(repo):
    (repo / "search.py").write_text(SEARCH)
    done = command("run", "--", sys.executable, "search.py", "--data", "letters", cwd=repo)
    assert (done.code, done.err) == (0, "")
    runs = list(gitparams.runs())
    (parent,) = {run.parent for run in runs}
    assert [(run.status.value, run.params.data, sorted(run.params)) for run in runs] == [
        ("completed", "letters", ["a", "data"])
    ] * 3
    assert gitparams.run(parent).group


def test_outside_of_a_repository_there_is_one_warning_and_the_search_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    result = random_search(loss, SPACE, n_calls=3, callback=[GitParamsCallback()])
    assert len(result.x_iters) == 3
    assert capsys.readouterr().err.count("gitparams:") == 1


# -- runs as a result -----------------------------------------------------------------------------------------------------


def test_any_runs_are_a_result_that_minimizes_and_says_what_it_left_out(repo):
    runs = digits()
    gitparams.record({"model": {"hidden": 1}, "optim": {"lr": 0.1}}, {"acc": 0.99})
    gitparams.record({"model": {"hidden": 1}, "optim": {"lr": 0.1}}, {"acc": math.nan})
    gitparams.record({"model": {"hidden": 1}, "optim": {"lr": 0.1}}, {})
    result = result_of(runs, "acc")
    assert result.space.dimension_names == ["model.dropout", "model.hidden", "model.norm", "optim.lr", "optim.nesterov"]
    assert result.x_iters[1] == [0.1, 64, "batch", 10**-3.5, "true"]
    assert result.fun == min(-(0.9 + math.sin(seed) / 20) for seed in range(24))
    assert result.notes == (
        "2 of 27 runs are left out: no finite acc.",
        "1 of 25 runs is left out: not all of model.dropout, model.hidden, model.norm, optim.lr, optim.nesterov.",
        "Left out, in too few runs or the same in those that are left: optim.momentum.",
    )


def test_the_dimensions_are_of_the_kinds_of_the_values(repo):
    space = result_of(digits(), "acc").space
    assert space.dimensions == [
        Real(0.0, 0.4),
        Integer(32, 128),
        Categorical(["batch", "null"]),
        Real(1e-4, 0.1, prior="log-uniform"),
        Categorical(["false", "true"]),
    ]


def test_the_params_may_be_chosen(repo):
    result = result_of(digits(), "acc", params=["optim.momentum", "optim.lr"])
    assert (result.space.dimension_names, len(result.x_iters)) == (["optim.lr", "optim.momentum"], 6)
    assert result.notes == ("18 of 24 runs are left out: not all of optim.momentum, optim.lr.",)


def test_a_chosen_param_that_is_the_same_where_the_others_are_is_said_to_be_left_out(repo):
    gitparams.record({"a": 1, "b": 1, "c": 1}, {"acc": 0.1})
    gitparams.record({"a": 2, "b": 1, "c": 1}, {"acc": 0.2})
    gitparams.record({"a": 3, "b": 2}, {"acc": 0.3})
    result = result_of(gitparams.runs(), params=["a", "b"])
    assert (result.x_iters, result.notes) == ([[1, 1], [2, 1], [3, 2]], ())
    gitparams.record({"b": 3, "c": 2}, {"acc": 0.3})
    result = result_of(gitparams.runs(), params=["a", "b", "c"])
    assert result.x_iters == [[1], [2]]
    assert result.notes == (
        "2 of 4 runs are left out: not all of a, b, c.",
        "Left out, in too few runs or the same in those that are left: b, c.",
    )


def test_of_the_branches_of_a_choice_the_choice_is_the_dimension(repo):
    gitparams.record({"kind": "sgd", "momentum": 0.1}, {"acc": 0.1})
    gitparams.record({"kind": "sgd", "momentum": 0.2}, {"acc": 0.2})
    gitparams.record({"kind": "adam"}, {"acc": 0.3})
    assert result_of(gitparams.runs()).x_iters == [["sgd"], ["sgd"], ["adam"]]


def test_which_way_is_better_may_be_declared(repo):
    runs = digits()
    assert result_of(runs, "loss", {"loss": Direction.MAX}).fun == -1.0
    assert result_of(runs, "loss").fun == 1.0


def test_whole_numbers_beyond_floats_are_real_and_a_mixture_is_words(repo):
    gitparams.record({"lr": 1, "n": math.inf, "seed": 2**70}, {"acc": 0.5})
    gitparams.record({"lr": "auto", "n": True, "seed": 2**80}, {"acc": 0.6})
    result = result_of(gitparams.runs(), "acc")
    assert result.x_iters == [["1", word(math.inf), 2.0**70], ["auto", "true", 2.0**80]]


@pytest.mark.parametrize("model", ["GP", "RF", "ET"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_all_plots_of_skopt_draw_runs_whoever_produced_them(repo, model):
    result = result_of(digits(), "acc", params=["optim.lr", "model.norm", "model.hidden"], model=model)
    assert result.space.dimension_names == ["model.hidden", "model.norm", "optim.lr"]
    assert plots.plot_convergence(result) is not None
    assert plots.plot_regret(result) is not None
    assert len(plots.plot_evaluations(result).figure.axes) >= 6
    assert len(plots.plot_objective(result, n_points=4, n_samples=4).figure.axes) >= 6
    matplotlib.pyplot.close("all")


def test_runs_that_are_no_points_of_a_given_space_are_left_out(repo):
    space = [Real(0.0, 1.0, name="a.b"), Integer(1, 3), Categorical([None, (1, 2), "x"], name="c")]
    gitparams.record({"a.b": 0.5, "x1": 2, "c": None}, {"value": 1.0})
    gitparams.record({"a": {"b": 1}, "x1": 3.0, "c": [1, 2]}, {"value": 2.0})
    gitparams.record({"a.b": 2.0, "x1": 2, "c": "x"}, {"value": 3.0})
    gitparams.record({"a.b": 0.5, "x1": 2.5, "c": "x"}, {"value": 4.0})
    gitparams.record({"a.b": 0.5, "x1": 2, "c": "y"}, {"value": 5.0})
    result = result_of(gitparams.runs(), space=Space(space))
    assert (result.x_iters, list(result.func_vals)) == ([[0.5, 2, None], [1.0, 3, (1, 2)]], [1.0, 2.0])
    assert result.notes == ("3 of 5 runs are left out: not a point of the space (a.b, x1, c).",)


@pytest.mark.parametrize(
    "recorded,options,message",
    [
        ([], {}, "There are no runs; scikit-optimize needs two or more."),
        ([({"a": 1}, {"acc": 1})], {}, "Only one of these runs (1) has a finite acc; scikit-optimize needs two."),
        ([({"a": 1}, {"acc": 1}), ({"a": 2}, {"acc": math.inf})], {}, "Only one of these runs (2) has a finite acc; scik"),
        ([({"a": 1}, {"acc": math.nan})] * 2, {}, "None of these runs (2) has a finite acc; scikit-optimize needs two."),
        ([({"a": 1}, {})] * 2, {}, "None of these runs has a metric; scikit-optimize needs one to judge them by."),
        ([({"a": 1}, {"acc": 1})] * 2, {}, "No param differs between those of these runs (2) that have a finite acc."),
        (
            [({"a": 1}, {"acc": 1}), ({"a": 2}, {"acc": 2}), ({"b": 1}, {"acc": 1}), ({"b": 2}, {"acc": 2})],
            {"params": ["a", "b"]},
            "No param differs between those of these runs (4) that have a finite acc and a and b.",
        ),
        ([({"a": 1}, {"acc": 1}), ({"a": 2}, {"acc": 2})], {"params": ["b"]}, "None of these runs has a param 'b'."),
        ([({"a": 1}, {"acc": 1}), ({"a": 2}, {"acc": 2})], {"metric": "x"}, "None of these runs has a metric 'x'."),
        ([({"a": 1}, {"acc": 1}), ({"a": 2}, {"acc": 2})], {"model": "GBRT"}, "'GBRT' is no model for this."),
        (
            [({"a": 1}, {"acc": 1}), ({"a": 2}, {"acc": 2})],
            {"space": [Real(0, 1, name="b")]},
            "None of these runs (2) is a point of this space, with values for b.",
        ),
    ],
    ids=["no run", "one run", "one finite", "all NaN", "no metric", "constant", "apart", "param", "metric", "model", "space"],
)
def test_what_makes_no_result_is_one_sentence(repo, recorded, options, message):
    for params, metrics in recorded:
        gitparams.record(params, metrics)
    with pytest.raises(UsageError) as caught:
        result_of(gitparams.runs(), **options)
    assert caught.value.message.startswith(message)


def test_without_skopt_a_sentence_says_what_to_install(repo, monkeypatch):
    monkeypatch.setitem(sys.modules, "skopt", None)
    with pytest.raises(UsageError, match=r"skopt is not installed: pip install 'gitparams\[skopt\]'"):
        result_of([])
