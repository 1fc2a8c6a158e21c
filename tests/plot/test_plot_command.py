"""`gitparams plot`: a picture into a file, in the browser, or of letters; and what it says where it cannot."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from world import gitparams

import gitparams as recorder
from gitparams.cli import main


@pytest.fixture
def runs(repo):
    """Record six runs, one of them of another experiment."""
    for lr, depth, acc in [(0.1, 2, 0.7), (0.01, 4, 0.9), (0.001, 8, 0.8), (0.0001, 16, 0.5), (0.02, 3, 0.85)]:
        main(["record", "-p", f"lr={lr}", "-p", f"depth={depth}", "-p", "same=1", "-m", f"acc={acc}"])
    main(["record", "-e", "other", "-p", "lr=1", "-p", "depth=2", "-m", "acc=0.1"])
    return repo


def title(path):
    return re.search("<title>(.*)</title>", path.read_text("utf-8"))[1]


def test_a_picture_goes_into_a_file_and_its_notes_to_standard_error(runs, capfd):
    capfd.readouterr()
    assert main(["plot", "parallel", "-e", "default", "-o", "runs.html"]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "gitparams: The picture is in runs.html\ngitparams: Equal in all runs: same.\n"
    assert title(runs / "runs.html") == "5 runs by acc (higher is better)"


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ([], 6),
        (["--where", "acc > 0.6"], 4),
        (["-e", "default", "-n", "3"], 3),
        (["-e", "default", "--where", "depth < 10"], 4),
        (["latest", "latest~1"], 2),
    ],
)
def test_the_runs_are_chosen_as_in_other_commands(runs, words, count):
    assert main(["plot", "parallel", *words, "-o", "runs.html"]) == 0
    assert title(runs / "runs.html") == f"{count} runs by acc (higher is better)"


def test_params_and_metric_are_chosen_and_the_ground_is_dark(runs):
    words = ["--metric", "acc", "--param", "lr", "--param", "depth", "--dark"]
    assert main(["plot", "rank", *words, "-o", "runs.html"]) == 0
    assert title(runs / "runs.html") == "Runs by the rank of their acc over lr and depth"
    assert "background: #14181d" in (runs / "runs.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["parallell"], 2, "There is no picture 'parallell'.\nhint: did you mean parallel?"),
        ([], 2, "Say what to draw: gitparams plot KIND\nhint: gitparams plot --list"),
        (["parallel", "--where", "acc > 2", "-o", "x.html"], 1, "No run meets 'acc > 2'.\nhint: gitparams log"),
        (["parallel", "latest", "-n", "2", "-o", "x.html"], 2, "Name runs, or choose them by --where, --experiment and -n."),
        (
            ["history", "-m", "acd", "-o", "x.html"],
            2,
            "None of these runs has a metric 'acd'.\nhint: did you mean acc?",
        ),
        (["slice", "-p", "lrr", "-o", "x.html"], 2, "None of these runs has a param 'lrr'.\nhint: did you mean lr?"),
        (
            ["parallel", "-o", "x.bmp"],
            2,
            "x.bmp: a picture cannot be written as .bmp.\nhint: name it x.html, or one of json, png, svg, pdf, jpg, jpeg, webp",
        ),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence_and_leaves_no_file(runs, capfd, words, code, said):
    capfd.readouterr()
    assert main(["plot", *words]) == code
    assert capfd.readouterr() == ("", f"gitparams: {said}\n")
    assert list(runs.glob("x.*")) == []


def test_series_are_smoothed_on_a_logarithm_and_as_means_where_that_is_asked_for(repo):
    for seed in (1, 2):
        with recorder.start({"lr": 0.1, "seed": seed}) as run:
            for step in range(4):
                run.log(loss=1 / (step + seed), step=step)
    assert main(["plot", "series", "--log", "--smooth", "0.5", "--replicates", "-o", "x.json"]) == 0
    drawn = json.loads((repo / "x.json").read_text())
    assert [line["name"].split()[1:] for line in drawn["data"] if "name" in line] == [["(n=2)"]]
    assert drawn["layout"]["yaxis"]["type"] == "log"
    assert main(["plot", "series", "--time", "-o", "x.json", "-p", "lr"]) == 0
    assert json.loads((repo / "x.json").read_text())["layout"]["xaxis"]["title"]["text"] == "seconds since the first value"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["parallel", "--smooth", "0.5"], "--smooth is for the picture series, and not for parallel."),
        (["series", "--model", "RF"], "--model is for the picture objective, and not for series."),
        (["objective", "--model", "SVM", "-o", "x.html"], "'SVM' is no model for this.\nhint: one of GP, RF, ET"),
        (["series", "--smooth", "1", "-o", "x.html"], "The smoothing is 1, and must be 0 or more and below 1."),
    ],
)
def test_a_flag_of_another_kind_or_beyond_its_span_is_a_sentence(runs, capfd, words, said):
    capfd.readouterr()
    assert main(["plot", *words]) == 2
    assert capfd.readouterr() == ("", f"gitparams: {said}\n")


def test_a_chart_of_letters_shows_the_params_that_are_asked_for_and_says_what_is_for_figures(runs, capfd):
    capfd.readouterr()
    assert main(["plot", "parallel", "-p", "depth"]) == 0
    assert [line.split()[0] for line in capfd.readouterr().out.splitlines() if line] == ["param", "depth", "best"]
    assert main(["plot", "objective", "--model", "RF"]) == 0
    assert capfd.readouterr().err == (
        "gitparams: In letters --model does not count: write a file with -o, such as -o objective.html.\n"
    )


def test_a_repository_without_runs_is_a_sentence(repo, capfd):
    assert main(["plot", "parallel", "-o", "x.html"]) == 1
    assert capfd.readouterr().err == "gitparams: No run is there to draw.\nhint: gitparams log\n"


def test_the_kinds_are_listed(repo, capfd):
    assert main(["plot", "--list"]) == 0
    listed = [line.split()[0] for line in capfd.readouterr().out.splitlines()]
    assert listed[:2] == ["parallel", "scatter"] and len(listed) == 14


def test_without_plotly_the_extra_is_named(runs):
    (runs / "plotly.py").write_text("raise ModuleNotFoundError('no', name='plotly')\n")
    path = os.pathsep.join([str(runs), os.environ.get("PYTHONPATH", "")])
    done = gitparams("plot", "parallel", "-o", "x.html", cwd=runs, env={"PYTHONPATH": path})
    assert (done.code, done.err) == (
        2,
        "gitparams: plotly is not installed: pip install 'gitparams[viz]'\n",
    )


def test_without_a_terminal_a_small_chart_of_letters_is_printed(runs):
    done = gitparams("plot", "importance", cwd=runs)
    assert (done.code, done.err) == (0, "")
    assert "lr" in done.out and "depth" in done.out


def test_on_a_terminal_with_a_display_the_picture_opens_in_the_browser(runs, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "gitparams", "plot", "parallel"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "BROWSER": f"{browser} %s"},
        cwd=runs,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(theirs)
    os.close(ours)
    place = re.match("gitparams: The picture is open in the browser, from (.*)\n", done.stderr)[1]
    assert (tmp_path / "opened").read_text() == f"file://{place}\n"
    assert "6 runs by acc" in Path(place).read_text("utf-8")
