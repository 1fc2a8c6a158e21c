"""TensorBoard: log folders become runs, and runs a log folder that its HPARAMS tab shows in a real browser."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import apart
import pytest
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import plugin_data_pb2, summary_v2
from tensorboard.summary.writer.record_writer import RecordWriter
from world import gitparams as command
from world import unprivileged

import gitparams
from gitparams.errors import UsageError
from gitparams.integrations.tensorboard import foreign_runs, write_runs
from gitparams.repository import Repository


def told(place, only=None):
    """Return the runs, and what was said."""
    said = []
    return list(foreign_runs(str(place), only, said.append)), said


def brought(place, only=None):
    with Repository.find() as repository:
        return repository.record_all(foreign_runs(str(place), only, lambda _: None))


def python(program, cwd, interpreter=sys.executable, *words):
    subprocess.run([interpreter, "-c", program, *words], cwd=cwd, check=True, capture_output=True, text=True)


def scalar(tag, value, when, step=0):
    return event_pb2.Event(
        wall_time=when, step=step, summary={"value": [summary_pb2.Summary.Value(tag=tag, simple_value=value)]}
    )


def session(hparams, when, group="", begun=0.0):
    summary = summary_v2.hparams_pb(hparams, trial_id=group, start_time_secs=begun)
    return event_pb2.Event(wall_time=when, summary=summary)


def ending(status, when, ended=0.0):
    data = plugin_data_pb2.HParamsPluginData(session_end_info={"status": status, "end_time_secs": ended})
    value = summary_pb2.Summary.Value(tag="_hparams_/session_end_info")
    value.metadata.plugin_data.plugin_name = "hparams"
    value.metadata.plugin_data.content = data.SerializeToString()
    return event_pb2.Event(wall_time=when, summary={"value": [value]})


def write(folder, *events, name="events.out.tfevents.1.host.7.0", fresh=False):
    """Write an event file of an hour ago by TensorBoard's own writer, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    with path.open("wb") as stream:
        [RecordWriter(stream).write(event.SerializeToString()) for event in events]
    if not fresh:
        os.utime(path, (time.time() - 3600,) * 2)
    return path


def facts(run):
    return run.name, dict(run.params), dict(run.metrics), run.status.value


# -- what other programs wrote --------------------------------------------------------------------------------------------

TORCH = """
from torch.utils.tensorboard import SummaryWriter
import tensorboardX
for number in range(2):
    with SummaryWriter(f"runs/r{number}") as writer:
        writer.add_scalar("loss", 0.5, 0)
        writer.add_scalar("loss", 0.25, 1)
        writer.add_scalars("score", {"a": 1, "b": 2}, 1)
        writer.add_hparams({"optim.lr": 0.5, "batch": 32, "amp": True, "name": "adam"}, {"hparam/acc": 0.5 + number})
with SummaryWriter("runs/sweep") as writer:
    for number in range(2):
        writer.add_hparams({"lr": 0.5 * number}, {"hparam/acc": number})
writer = tensorboardX.SummaryWriter("runs/x")
writer.add_scalar("loss", 1, 0)
writer.add_hparams({"lr": 0.25}, {"hparam/loss": 0.125})
writer.close()
"""


def test_runs_of_torch_and_tensorboardx_come_in_once(repo):
    python(TORCH, repo)
    names = brought("runs")
    runs = [gitparams.run(name) for name in names]
    params = {"optim": {"lr": 0.5}, "batch": 32.0, "amp": 1.0, "name": "adam"}
    scores = {"loss": 0.25, "score_a/score": 1.0, "score_b/score": 2.0}
    assert [facts(run) for run in runs] == [
        ("r0", params, {**scores, "hparam/acc": 0.5}, "completed"),
        ("r1", params, {**scores, "hparam/acc": 1.5}, "completed"),
        (None, {"lr": 0.0}, {"hparam/acc": 0.0}, "completed"),
        (None, {"lr": 0.5}, {"hparam/acc": 1.0}, "completed"),
        ("x", {"lr": 0.25}, {"loss": 1.0, "hparam/loss": 0.125}, "completed"),
    ]
    assert [(step.step, step.value) for step in runs[0].series["loss"]] == [(0, 0.5), (1, 0.25)]
    assert {run.experiment for run in runs} == {"runs"}
    assert [run.started for run in runs] == sorted(run.started for run in runs)
    (repo / "elsewhere").mkdir()
    assert brought("runs") == brought("runs/r0") == brought((repo / "runs").rename(repo / "elsewhere/runs")) == []


@apart.needed
def test_runs_of_tensorflow_and_keras_come_in(repo):
    apart.write("tensorflow_writer.py", "logs")
    runs = {run.environment["tensorboard"]["folder"]: run for run in map(gitparams.run, brought("logs", "."))}
    assert sorted(runs) == ["keras", "plain", "sweep/run-4", "sweep/run-8"]
    params = {"lr": 0.01, "units": 4.0, "amp": True, "optim": "adam"}
    assert facts(runs["sweep/run-4"]) == ("trial-4", params, {"accuracy": 0.5}, "completed")
    assert [step.value for step in runs["sweep/run-8"].series["accuracy"]] == [0.0, 0.125, 0.25]
    keras, plain = runs["keras"], runs["plain"]
    assert (keras.name, keras.params) == ("keras", {"lr": 0.02, "units": 1.0, "amp": False})
    losses = {"train/epoch_loss", "validation/epoch_loss", "evaluation_loss_vs_iterations"}
    assert losses <= keras.metrics.keys() == plain.metrics.keys()
    assert len(keras.series["validation/epoch_loss"]) == 2
    assert plain.params == {}


# -- which files are one run ----------------------------------------------------------------------------------------------


def test_folders_of_training_and_validation_are_one_run_with_the_folder_above(tmp_path):
    write(tmp_path / "fit/one/train", scalar("loss", 2, 10))
    write(tmp_path / "fit/one/validation", scalar("loss", 3, 11))
    write(tmp_path / "fit/two/train", scalar("loss", 4, 20))
    assert [facts(run) for run in told(tmp_path)[0]] == [
        ("fit/one", {}, {"train/loss": 2.0, "validation/loss": 3.0}, "completed"),
        ("fit/two", {}, {"loss": 4.0}, "completed"),
    ]


def test_what_is_below_a_folder_with_hparams_and_has_none_belongs_to_it(tmp_path):
    write(tmp_path / "a", session({"lr": 0.5}, 10))
    write(tmp_path / "a/deep/metrics", scalar("loss", 2, 11))
    write(tmp_path / "a/other", session({"lr": 0.25}, 12), scalar("loss", 3, 13))
    assert [facts(run) for run in told(tmp_path)[0]] == [
        ("a/other", {"lr": 0.25}, {"loss": 3.0}, "completed"),
        ("a", {"lr": 0.5}, {"loss": 2.0}, "completed"),
    ]


def test_a_writer_that_told_several_sets_of_hparams_has_a_run_for_each_and_one_for_the_rest(tmp_path):
    write(tmp_path / "w", scalar("loss", 2, 10))
    write(tmp_path / "w/1700000000.5", session({"lr": 0.5}, 11), scalar("acc", 0.5, 11))
    write(tmp_path / "w/1700000001.5", session({"lr": 0.25}, 12), scalar("acc", 0.75, 12))
    assert [facts(run) for run in told(tmp_path)[0]] == [
        (None, {"lr": 0.5}, {"acc": 0.5}, "completed"),
        (None, {"lr": 0.25}, {"acc": 0.75}, "completed"),
        ("w", {}, {"loss": 2.0}, "completed"),
    ]


@pytest.mark.parametrize(
    ("status", "expected"), [(1, "completed"), (2, "failed"), (0, "completed")], ids=["success", "failure", "unknown"]
)
def test_the_end_of_a_session_is_its_status_and_its_times_are_those_of_the_run(tmp_path, status, expected):
    write(
        tmp_path / "r", session({"lr": 0.5}, 100, "mine", 90.5), scalar("loss", 1, 101), ending(status, 102, 110.25), fresh=True
    )
    (run,), said = told(tmp_path)
    assert (run.name, run.status, run.started.timestamp(), run.finished.timestamp()) == ("mine", expected, 90.5, 110.25)
    assert said == []


def test_a_run_that_may_go_on_is_left_until_it_is_old_or_asked_for(tmp_path):
    write(tmp_path / "old", scalar("loss", 1, 10))
    write(tmp_path / "new", scalar("loss", 2, 20), fresh=True)
    write(tmp_path / "early", session({"lr": 0.5}, 30), ending(1, 30), fresh=True)
    write(tmp_path / "early/train", scalar("loss", 3, 31), fresh=True)  # torch's add_hparams, called before the training
    runs, said = told(tmp_path)
    assert [run.name for run in runs] == ["old"]
    assert said == ["2 runs may still go on (early, new): bring in later, or as it is now with --only early."]
    assert [run.name for run in told(tmp_path, "new")[0]] == ["new"]
    assert [run.name for run in told(tmp_path, ".")[0]] == ["early", "new", "old"]


# -- what is not whole ----------------------------------------------------------------------------------------------------


def test_each_file_that_is_damaged_is_a_sentence_and_the_rest_comes_in(tmp_path):
    good = write(tmp_path / "good", scalar("loss", 1, 10))
    cut = write(tmp_path / "cut", scalar("loss", 2, 10), scalar("loss", 1, 11, 1))
    cut.write_bytes(cut.read_bytes()[:-3])
    os.utime(cut, (1, 1))
    empty = write(tmp_path / "empty")
    other = write(tmp_path / "other")
    other.write_text("this is a letter, and no event file\n" * 9)
    runs, said = told(tmp_path)
    assert [facts(run) for run in runs] == [
        ("cut", {}, {"loss": 2.0}, "completed"),
        (good.parent.name, {}, {"loss": 1.0}, "completed"),
    ]
    assert said == [
        f"{cut} ends in the middle of a record: what is before it was read.",
        f"{empty} is empty: no metrics from it.",
        f"{other} is damaged at byte 0: what is before it was read.",
    ]


def test_a_folder_that_may_not_be_read_is_a_sentence(tmp_path):
    write(tmp_path / "good", scalar("loss", 1, 10))
    (tmp_path / "locked").mkdir(mode=0)
    program = "from gitparams.integrations.tensorboard import *; import sys; print([r.name for r in foreign_runs(sys.argv[1], None, print)])"
    done = unprivileged(sys.executable, "-c", program, tmp_path)
    assert done.stdout == f"{tmp_path}/locked cannot be read: Permission denied.\n['good']\n", done.stderr


def test_folders_without_end_are_a_sentence(tmp_path):
    write(tmp_path / "good", scalar("loss", 1, 10))
    deep = tmp_path.joinpath(*["d"] * 101)
    write(deep, scalar("loss", 1, 10))
    runs, said = told(tmp_path)
    assert ([run.name for run in runs], said) == (["good"], [f"{deep} lies too deep: what is in it is left out."])


def test_without_the_library_one_sentence_says_how_to_get_it(tmp_path):
    write(tmp_path / "a", scalar("loss", 1, 10))
    program = """
import sys
sys.modules[sys.argv[2]] = None
from gitparams.errors import UsageError
from gitparams.integrations.tensorboard import foreign_runs
try:
    list(foreign_runs(sys.argv[1], None, print))
except UsageError as error:
    print(error)
"""
    words = [sys.executable, "-c", program, tmp_path, "google.protobuf.message"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    sentence = "What reads event files cannot be loaded: import of google.protobuf.message halted; None in sys.modules\n"
    assert done.stdout == sentence
    done = subprocess.run([*words[:-1], "tensorboard"], capture_output=True, text=True, check=True)
    assert done.stdout == "tensorboard is not installed: pip install 'gitparams[tensorboard]'\n"


@pytest.mark.parametrize("moment", [float("nan"), float("inf"), -1e300, 1e300])
def test_times_that_are_none_do_no_harm(repo, moment):
    write(repo / "logs/a", scalar("loss", 1, moment), scalar("loss", 2, moment, 1))
    (name,) = brought("logs")
    assert gitparams.run(name).metrics == {"loss": 2.0}


def test_hparams_whose_names_are_no_paths_or_stand_in_each_others_way_are_kept(tmp_path):
    hparams = {"a": 1.0, "a.b": 2.0, "two words": 3.0, "x..y": 4.0, "": 5.0, "model/lr": 6.0}
    write(tmp_path / "r", session(hparams, 10))
    (run,) = told(tmp_path)[0]
    assert run.params == hparams


@pytest.mark.parametrize(
    ("make", "only", "sentence"),
    [
        (lambda top: top / "nowhere", None, "There is no folder {}."),
        (lambda top: write(top, scalar("a", 1, 1)), None, "{} is a file: name its folder."),
        (lambda top: top, None, "There is no event file (events.out.tfevents.…) in {} or below it."),
        (lambda top: write(top / "a", scalar("a", 1, 1)).parents[1], "b", "{} holds no run in 'b'; there is a."),
    ],
    ids=["nowhere", "a file", "nothing", "not that one"],
)
def test_a_place_without_runs_is_a_sentence(tmp_path, make, only, sentence):
    place = make(tmp_path)
    with pytest.raises(UsageError) as caught:
        told(place, only)
    assert str(caught.value) == sentence.format(place)


# -- the way back ---------------------------------------------------------------------------------------------------------


def recorded():
    """Record three runs, and return them."""
    for number in range(3):
        params = {"optim": {"lr": 10.0**-number, "name": ["adam", "sgd"][number % 2]}, "amp": number == 1}
        with gitparams.start(params, name=f"try-{number}" if number else None) as run:
            run.log({"loss": 1 / (number + 1)}, step=0)
            run.log({"loss": 1 / (number + 3), "val/acc": 0.25}, step=10)
            run.summary["acc"] = 0.5 + number / 8
            run.summary["loss"] = 1 / (number + 4)
    return gitparams.runs()


def series_of(run):
    return {
        name: [(step.step, step.value, step.time) for step in series] for name, series in run.series.items() if name != "acc"
    }


def comparable(run):
    return (*facts(run), run.started, run.finished, series_of(run))


def test_what_is_exported_and_imported_again_are_the_same_runs(repo, tmp_path, monkeypatch):
    from world import make_repository

    runs = recorded()
    said = {run.id: comparable(run) for run in runs}
    written = write_runs(tmp_path / "tb", runs, {})
    monkeypatch.chdir(make_repository(tmp_path / "second"))
    names = brought(tmp_path / "tb")
    assert sorted(map(str, (comparable(gitparams.run(name)) for name in names))) == sorted(str(said[name]) for name in written)
    assert brought(tmp_path / "tb") == []


def test_what_tensorboard_has_no_kind_for_is_text(repo, tmp_path):
    params = {
        "layers": [64, "x"],
        "nothing": None,
        "empty": {},
        "big": 2**70 + 1,
        "seed": 7,
        "nan": float("nan"),
        "odd": "\ud800",
    }
    with gitparams.start(params):
        pass
    write_runs(tmp_path, gitparams.runs(), {})
    (run,) = told(tmp_path)[0]
    assert repr(dict(sorted(run.params.items()))) == repr(
        {
            "big": str(2**70 + 1),
            "empty": "{}",
            "layers": '[64,"x"]',
            "nan": float("nan"),
            "nothing": "null",
            "odd": "\\ud800",
            "seed": 7.0,
        }
    )


def test_steps_that_are_no_whole_numbers_are_counted(repo, tmp_path):
    with gitparams.start({}) as run:
        run.log({"loss": 2.0}, step=0.5)
        run.log({"loss": 1.0}, step=1.25)
    write_runs(tmp_path, gitparams.runs(), {})
    (run,) = told(tmp_path)[0]
    assert [(step, dict(numbers)) for step, _, numbers in run.series] == [(0, {"loss": 2.0}), (1, {"loss": 1.0})]


def test_exporting_again_replaces_the_same_files_byte_for_byte_and_more_runs_add_up(repo, tmp_path):
    runs, folder = recorded(), tmp_path / "tb"
    write_runs(folder, runs[:1], {})
    (first,) = folder.rglob("events*")
    before = first.read_bytes()
    write_runs(folder, runs, {})
    write_runs(folder, runs, {})
    assert first.read_bytes() == before
    assert sorted(path.parent.name for path in folder.rglob("*") if path.is_file()) == sorted(run.short_id for run in runs)


def test_a_failed_and_a_pruned_run_and_one_that_goes_on_say_so(repo, tmp_path):
    for status in ("failed", "pruned"):
        run = gitparams.start({"status": status})
        run.finish(status)
    going = gitparams.start({"status": "running"})
    write_runs(tmp_path, gitparams.runs(), {})
    going.finish()
    found = {run.params["status"]: run.status for run in told(tmp_path)[0]}
    assert found == {"failed": "failed", "pruned": "completed"}
    assert len(told(tmp_path, ".")[0]) == 3


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda top, run: top.write_text("a file"), "{top} is a file: name a folder."),
        (
            lambda top, run: write(top / run.short_id, scalar("a", 1, 1)),
            "{folder} holds event files that gitparams did not write: choose another folder.",
        ),
        (
            lambda top, run: (top.mkdir(), (top.parent / "else").mkdir(), (top / run.short_id).symlink_to(top.parent / "else")),
            "{folder} leads elsewhere: choose another folder.",
        ),
        (
            lambda top, run: (top.mkdir(), (top / run.short_id).write_text("")),
            "{folder} cannot be written: File exists.",
        ),
    ],
    ids=["a file", "another's files", "a link to elsewhere", "a file in the way"],
)
def test_a_folder_that_cannot_take_the_runs_is_a_sentence(repo, tmp_path, prepare, sentence):
    with gitparams.start({}):
        pass
    (run,) = gitparams.runs()
    top = tmp_path / "tb"
    prepare(top, run)
    with pytest.raises(UsageError) as caught:
        write_runs(top, [run], {})
    assert str(caught.value) == sentence.format(top=top, folder=top / run.short_id)
    assert not (tmp_path / "else").exists() or list((tmp_path / "else").iterdir()) == []


# -- seen -----------------------------------------------------------------------------------------------------------------


@contextmanager
def tensorboard(folder):
    """Start TensorBoard on a folder, and give its address when it has found the hparams there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--logdir", folder, "--host", "127.0.0.1", "--port", str(port), "--load_fast=false"]
    with subprocess.Popen([sys.executable, "-m", "tensorboard.main", *words], stderr=subprocess.PIPE) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 60
            while not knows_hparams(address):
                assert server.poll() is None and time.monotonic() < deadline, server.stderr.read().decode()
                time.sleep(0.1)
            yield address
        finally:
            server.terminate()


def knows_hparams(address):
    try:
        with urllib.request.urlopen(f"{address}/data/plugins_listing", timeout=10) as answer:
            return json.load(answer)["hparams"]["enabled"]
    except OSError:
        return False


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium is installed")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # playwright's own pipes
def test_the_hparams_tab_shows_our_runs_in_a_browser(repo):
    from playwright.sync_api import sync_playwright

    runs = recorded()
    done = command("export", "tensorboard", "tb")
    assert (done.code, done.out) == (0, ""), done.err
    with tensorboard("tb") as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1500, "height": 700})
        page.goto(f"{address}/#hparams")
        table = page.locator("tf-hparams-table-view")
        table.get_by_text(f"try-2 {runs[0].short_id}").wait_for()
        words = [word.strip() for word in table.locator("vaadin-grid-cell-content").all_inner_texts()]
        browser.close()
    heading = [word for word in words if word in ("amp", "optim.lr", "optim.name", "acc")]
    assert heading == ["amp", "optim.lr", "optim.name", "acc"]
    assert {"adam", "sgd", "0.010000", "0.10000", "0.75000", "true", f"try-1 {runs[1].short_id}"} <= set(words)
