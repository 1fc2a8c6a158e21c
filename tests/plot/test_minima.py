"""Minima: scikit-optimize's own pictures, in a figure like the others."""

import base64
import re

import pytest
from plot.generated import make_runs, run

from gitparams import plot
from gitparams.errors import UsageError
from gitparams.params import path_text

pytest.importorskip("skopt")
RUNS = make_runs(60)


def picture(figure):
    (image,) = figure.layout.images
    kind, _, data = image.source.partition(",")
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(data).decode()


@pytest.mark.parametrize("kind", ["evaluations", "objective", "convergence"])
@pytest.mark.parametrize("dark", [False, True])
def test_what_scikit_optimize_draws_is_one_image_of_the_figure(kind, dark):
    runs = (
        RUNS
        if kind != "objective"
        else [run(n, {"lr": 10.0 ** -(n % 5), "depth": n % 7}, {"loss": n % 5 + n % 7}) for n in range(20)]
    )
    figure = getattr(plot, kind)(runs, dark=dark)
    svg = picture(figure)
    assert svg.count("<path") > 20 and ("#14181d" in svg) == dark
    assert figure.layout.title.text and figure.layout.width >= 640


def test_drawing_leaves_pyplot_as_it_was():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    mine = pyplot.figure()
    before = dict(pyplot.rcParams)
    plot.convergence(RUNS)
    assert (pyplot.get_fignums(), mine.axes, dict(pyplot.rcParams)) == ([mine.number], [], before)
    pyplot.close(mine)


def test_many_params_are_the_six_that_matter_most_and_that_is_said():
    figure = plot.evaluations(make_runs(40, params=100, broken=False))
    assert any(note.startswith("The 6 of 10") for note in figure.layout.meta["notes"])


def test_a_param_that_few_runs_have_is_left_out_rather_than_their_others():
    notes = plot.evaluations(RUNS).layout.meta["notes"]
    assert "Left out, since not all runs have it: optim.momentum." in notes
    assert not any(re.search("of .* runs are left out", note) for note in notes)


def test_a_metric_that_is_to_be_high_stands_with_its_sign_turned_and_that_is_said():
    assert (
        "scikit-optimize minimizes: acc stands with its sign turned round."
        in plot.convergence(RUNS, "acc").layout.meta["notes"]
    )


def test_objective_leaves_the_random_numbers_of_the_program_as_they_are_and_draws_the_same_again():
    numpy = pytest.importorskip("numpy")
    runs = [run(n, {"lr": 10.0 ** -(n % 5), "depth": n % 7}, {"loss": n % 5 + n % 7}) for n in range(20)]
    numpy.random.seed(5)
    first = picture(plot.objective(runs))
    mine = numpy.random.random()
    numpy.random.seed(5)
    assert mine == numpy.random.random()
    assert re.sub(r"[#\"](\w+)", "", first) == re.sub(r"[#\"](\w+)", "", picture(plot.objective(runs)))


def test_a_word_that_is_another_in_every_run_is_left_out_and_said():
    runs = [run(n, {"lr": n, "depth": n % 7, "folder": f"out/{n}"}, {"loss": float(n)}) for n in range(12)]
    for figure in (plot.evaluations(runs), plot.parallel(runs), plot.slice(runs)):
        assert "Another in every run: folder." in figure.layout.meta["notes"]
    assert len(plot.parallel(runs).data[0].dimensions) == 3
    assert len(plot.parallel(runs, params=["folder", "lr"]).data[0].dimensions) == 3


def test_a_dollar_in_a_name_is_no_formula():
    runs = [run(n, {path_text(("cost in $",)): n, path_text(("gain in $x_1",)): n % 3}, {"loss": float(n)}) for n in range(8)]
    assert picture(plot.evaluations(runs)).count("<path") > 20


@pytest.mark.parametrize("kind", ["evaluations", "objective"])
@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        ([], "There are no runs to draw"),
        (
            [run(n, {"lr": n}, {"loss": n * 1.0}) for n in range(6)],
            "Only lr differs between these runs: this picture needs two",
        ),
        ([run(0, {"lr": 1}, {"loss": 1.0})], "There is only one run with a score"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(kind, runs, sentence):
    with pytest.raises(UsageError, match=sentence):
        getattr(plot, kind)(runs)
