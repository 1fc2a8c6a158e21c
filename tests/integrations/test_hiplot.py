"""HiPlot: runs of any origin as its experiment, and as a page that a real browser shows."""

import json
import math
import shutil

import pytest
from playwright.sync_api import sync_playwright
from plot.generated import make_runs, run
from world import gitparams as command

import gitparams
from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.integrations.hiplot import experiment_of
from gitparams.params import path_text

hiplot = pytest.importorskip("hiplot")
# to_html leaves the file of its icon to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
RUNS = [
    run(0, {"lr": 1e-4, "opt": "adam", "amp": True, "depth": 3, "data": "digits"}, {"acc": 0.9, "loss": 0.1}),
    run(1, {"lr": 1e-1, "opt": "sgd", "amp": False, "depth": 5, "data": "digits", "momentum": 0.9}, {"acc": math.nan}),
    run(
        2,
        {"lr": 1e-2, "opt": None, "amp": False, "depth": 5, "data": "digits", "momentum": 0.5},
        {"acc": 0.7, "loss": math.inf},
    ),
]


def test_a_run_is_a_line_and_a_column_knows_what_it_is():
    experiment = experiment_of(RUNS)
    experiment.validate()
    assert [point.uid for point in experiment.datapoints] == [one.short_id for one in RUNS]
    assert experiment.datapoints[0].values == {"lr": 1e-4, "opt": "adam", "amp": "true", "depth": 3, "acc": 0.9, "loss": 0.1}
    assert experiment.datapoints[1].values == {"lr": 0.1, "opt": "sgd", "amp": "false", "depth": 5, "momentum": 0.9}
    types = {name: definition.type.name for name, definition in experiment.parameters_definition.items()}
    assert types == {"lr": "NUMERIC_LOG", "opt": "CATEGORICAL", "amp": "CATEGORICAL", "depth": "NUMERIC", "momentum": "NUMERIC"}
    assert experiment.colorby == "acc"


def test_the_metric_that_is_asked_for_colours_the_lines():
    assert experiment_of(RUNS, "loss", {"loss": Direction.MIN}).colorby == "loss"
    with pytest.raises(UsageError, match="None of these runs has a metric 'f1'"):
        experiment_of(RUNS, "f1")


def test_a_metric_called_as_a_param_is_told_apart():
    experiment = experiment_of([run(n, {"lr": n / 10}, {"lr": n * 1.0}) for n in range(3)])
    assert experiment.datapoints[1].values == {"lr": 0.1, "metrics.lr": 1.0}


def test_a_word_that_is_another_in_every_run_is_in_the_table_and_no_axis():
    experiment = experiment_of([run(n, {"lr": n / 10, "folder": f"out/{n}"}, {"acc": n * 1.0}) for n in range(12)])
    assert experiment.datapoints[1].values == {"lr": 0.1, "folder": "out/1", "acc": 1.0}
    assert experiment.display_data(hiplot.Displays.PARALLEL_PLOT)["hide"] == ["uid", "from_uid", "folder"]


def test_no_runs_are_refused():
    with pytest.raises(UsageError, match="There are no runs to draw"):
        experiment_of([])


def test_runs_of_a_repository_are_exported_as_one_page_that_asks_nothing_of_a_network(repo):
    for number in range(5):
        gitparams.record({"lr": 10.0**-number, "opt": "adam"}, {"acc": number / 10})
    done = command("export", "hiplot", "-o", "x.html")
    assert (done.code, done.err) == (0, "gitparams: 5 runs written to x.html.\n")
    page = (repo / "x.html").read_text()
    assert page.count("<script src=") == 0 and page.count('<link rel="stylesheet" href="http') == 0
    assert len(gitparams.runs().to_hiplot().datapoints) == 5


def test_a_page_that_is_there_is_replaced_only_when_one_says_so(repo):
    gitparams.record({"lr": 1}, {"acc": 1})
    (repo / "x.html").write_text("mine")
    assert command("export", "hiplot", "x.html").code == 2
    assert (repo / "x.html").read_text() == "mine"
    assert command("export", "hiplot", "x.html", "--yes").code == 0


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")
def test_a_browser_shows_the_runs_and_obeys_none_of_their_text(tmp_path):
    evil = "</script><script>document.title='owned'</script>"
    rows = [
        run(n, {path_text((evil,)): n, "opt": f"{evil}{n}", path_text(("<img src=x onerror=alert(1)>",)): n}, {"acc": n / 10})
        for n in range(4)
    ]
    page = tmp_path / "x.html"
    page.write_text(experiment_of(rows).to_html())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_page()
        shown.goto(page.as_uri())
        shown.wait_for_selector(f"text={rows[0].short_id}")
        assert shown.title() != "owned" and shown.locator("img[src=x]").count() == 0
        browser.close()


def test_ten_thousand_runs_are_a_page_within_seconds():
    page = experiment_of(make_runs(10_000)).to_html()
    assert len(json.dumps(page)) > 1_000_000
