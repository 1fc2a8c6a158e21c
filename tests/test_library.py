"""The library: `import gitparams` in programs and notebooks, asking real repositories."""

import copy
import dataclasses
import math
import os
import pickle
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from world import git, make_repository

import gitparams
from gitparams.errors import RepositoryError, UsageError
from gitparams.query import QueryError
from gitparams.series import Series, read_series

START = datetime(2026, 11, 1, 12, tzinfo=UTC)


def record(number, metrics=None, **params):
    """Record a run that began `number` minutes after the first."""
    return gitparams.record({"n": number, **params}, metrics, started=START + timedelta(minutes=number))


def numbers(runs):
    return [run.params.n for run in runs]


@pytest.fixture
def ten(repo):
    """Ten runs, n from 0 to 9, of two models, with a metric that goes up and down."""
    for number in range(10):
        record(number, {"acc": abs(number - 4) / 10}, model="ab"[number % 2])
    return repo


# -- runs as a sequence ---------------------------------------------------------------------------------------------------


def test_runs_are_a_sequence_newest_first(ten):
    runs = gitparams.runs()
    assert len(runs) == 10 and numbers(runs) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert (runs[0].params.n, runs[-1].params.n, runs[3].params.n, runs[-10].params.n) == (9, 0, 6, 9)
    assert numbers(reversed(runs)) == list(range(10))


PARTS = [
    slice(None), slice(2), slice(2, 5), slice(8, 100), slice(5, 2), slice(0), slice(-3, None), slice(None, -3), slice(-5, -2),
    slice(2, -2), slice(None, None, 3), slice(None, None, -1), slice(7, 2, -2), slice(-100, 3), slice(100, None),
]  # fmt: skip


@pytest.mark.parametrize("inner", PARTS, ids=str)
@pytest.mark.parametrize("outer", [slice(None), slice(2, 8), slice(None, None, -1)], ids=str)
def test_a_slice_is_that_of_a_list(ten, outer, inner):
    expected = list(range(9, -1, -1))[outer][inner]
    found = gitparams.runs()[outer][inner]
    assert (len(found), numbers(found), bool(found)) == (len(expected), expected, bool(expected))


@pytest.mark.parametrize("place", [10, -11, 10**6])
def test_a_place_beyond_the_runs_is_an_index_error(ten, place):
    with pytest.raises(IndexError, match=f"there is no run at {place}"):
        gitparams.runs()[place]


def test_a_place_beyond_a_slice_is_an_index_error(ten):
    part = gitparams.runs()[2:4]
    assert part[1].params.n == 6 and part[-2].params.n == 7
    with pytest.raises(IndexError):
        part[2]
    with pytest.raises(IndexError):
        part[-3]


def test_a_run_is_in_the_runs_that_hold_it(ten):
    newest = gitparams.run("latest")
    assert newest in gitparams.runs() and newest not in gitparams.runs()[1:] and "latest" not in gitparams.runs()
    assert gitparams.runs().index(newest) == 0


def test_where_may_be_said_at_once_or_bit_by_bit(ten):
    assert numbers(gitparams.runs("params.n > 2 and params.model == 'a'")) == [8, 6, 4]
    assert numbers(gitparams.runs("params.n > 2").where("params.model == 'a'")) == [8, 6, 4]
    assert numbers(gitparams.runs("params.n < 2 or params.n > 7").where("params.model == 'a' or params.n == 1")) == [8, 1, 0]


def test_where_and_sort_of_a_part_stay_within_it(ten):
    assert numbers(gitparams.runs(limit=4).where("params.model == 'a'")) == [8, 6]
    assert numbers(gitparams.runs()[4:8].sort("params.n")) == [2, 3, 4, 5]
    assert numbers(gitparams.runs()[::-2].where("params.n > 3")) == [4, 6, 8]
    assert numbers(gitparams.runs(sort="params.n", limit=6).where("params.model == 'a'")) == [0, 2, 4]
    assert numbers(gitparams.runs()[::-2].where("params.n > 3").sort("-params.n")) == [8, 6, 4]


def test_sort_takes_several_keys_and_the_newest_come_first_where_they_are_equal(ten):
    assert numbers(gitparams.runs(sort="params.n", limit=3)) == [0, 1, 2]
    assert numbers(gitparams.runs(sort=["params.model", "-params.n"])) == [8, 6, 4, 2, 0, 9, 7, 5, 3, 1]
    assert numbers(gitparams.runs().sort("-metrics.acc")[:4]) == [9, 8, 0, 7]


def test_a_run_without_the_key_comes_last_in_both_directions(repo):
    record(0, {"acc": 0.5})
    record(1)
    record(2, {"acc": 0.7})
    assert numbers(gitparams.runs(sort="metrics.acc")) == [0, 2, 1]
    assert numbers(gitparams.runs(sort="-metrics.acc")) == [2, 0, 1]


def test_filters_go_together(repo):
    gitparams.record({"n": 1}, name="base", experiment="digits", tags=["x", "y"], note="first try", started=START)
    gitparams.record({"n": 2}, experiment="digits", tags=["x"], started=START + timedelta(days=1))
    gitparams.record({"n": 3}, experiment="other", tags=["y"], started=START + timedelta(days=2))
    assert numbers(gitparams.runs(experiment="digits")) == [2, 1]
    assert numbers(gitparams.runs(experiment="digits", tags="x", since=START + timedelta(hours=1))) == [2]
    assert numbers(gitparams.runs(tags=["x", "y"])) == [1]
    assert numbers(gitparams.runs(since="2026-11-02", until="2026-11-02T23:00:00")) == [2]
    assert numbers(gitparams.runs(grep="FIRST")) == [1] and numbers(gitparams.runs(author="grace")) == []
    assert numbers(gitparams.runs("params.n > 1", status="completed", author="ada")) == [3, 2]


def test_each_question_sees_the_ledger_as_it_is_then(ten):
    runs = gitparams.runs("params.n >= 8")
    assert len(runs) == 2
    record(10)
    assert len(runs) == 3 and runs[0].params.n == 10


def test_an_iteration_is_of_the_runs_that_there_were_at_its_beginning(ten):
    walk = iter(gitparams.runs())
    first = next(walk).params.n
    record(10)
    assert [first, *numbers(walk)] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_a_run_that_is_deleted_meanwhile_is_passed_over(ten):
    runs = gitparams.runs()[::1][::-1]
    subprocess.run([sys.executable, "-m", "gitparams", "rm", runs[0].id, "--yes"], check=True, capture_output=True)
    assert numbers(runs) == list(range(1, 10))


def test_what_cannot_be_read_is_left_out_everywhere(ten):
    damage(ten, gitparams.run("latest").id)
    runs = gitparams.runs()
    assert (len(runs), runs[0].params.n, len(list(runs)), len(runs.to_dicts()), len(runs.to_pandas())) == (9, 8, 9, 9, 9)


def damage(repo, run):
    """Append an entry of a newer format to a run."""
    tip = git("rev-parse", "refs/gitparams/runs", cwd=repo)
    tree = git("rev-parse", f"{tip}^{{tree}}", cwd=repo)
    blob = git("hash-object", "-w", "--stdin", cwd=repo, stdin='{"format": 99}\n')
    new = git("mktree", cwd=repo, stdin=f"100644 blob {blob}\trun.json\n")
    message = f"update {run}\n\nRun-Id: {run}\nRun-Event: update\nRun-Prev: {tree}\n"
    commit = git("commit-tree", new, "-p", tip, cwd=repo, stdin=message)
    git("update-ref", "refs/gitparams/runs", commit, cwd=repo)


# -- where it is asked ----------------------------------------------------------------------------------------------------


def test_nothing_is_read_until_it_is_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = gitparams.runs("this is no expression", sort="nor a key").where("neither")[2:5]
    with pytest.raises(RepositoryError, match="is not in a git repository"):
        len(runs)


def test_runs_stay_with_the_folder_where_they_were_asked_for(ten, tmp_path, monkeypatch):
    runs, newest = gitparams.runs(), gitparams.run("latest")
    monkeypatch.chdir(make_repository(tmp_path / "other"))
    assert len(gitparams.runs()) == 0 and numbers(runs[:2]) == [9, 8]
    assert newest.origins["n"].source == "code"


def test_many_threads_may_ask_the_same_runs(ten):
    runs, found = gitparams.runs("params.n > 2"), []
    threads = [
        threading.Thread(target=lambda: found.append((len(runs), numbers(runs), runs[0].origins != {}))) for _ in range(8)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert found == [(7, [9, 8, 7, 6, 5, 4, 3], True)] * 8


def test_a_forked_process_may_ask_on_and_so_may_its_parent(ten):
    program = (
        "import os, gitparams\n"
        "runs = gitparams.runs()\n"
        "walk = iter(runs); next(walk)\n"
        "if (child := os.fork()) == 0:\n"
        "    os._exit(0 if len(runs) == 10 and len(list(walk)) == 9 and runs[1].packages == () else 1)\n"
        "print(os.waitpid(child, 0)[1], len(list(walk)), len(runs))\n"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "0 9 10\n"


def test_nothing_stays_open(ten):
    program = (
        "import os, gitparams\n"
        "runs = gitparams.runs('params.n > 2')\n"
        "walk = iter(runs)\n"
        "next(walk), len(runs), runs[0].series, runs.group_by('params.model'), runs.to_arrow()\n"
        "links = [os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}')]\n"
        "print([link for link in links if '.git' in link], len(list(walk)))\n"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[] 6\n"


def test_asking_beside_a_recording_opens_no_more_and_more_files(ten):
    newest = gitparams.runs()[0]
    before = len(os.listdir("/proc/self/fd"))
    assert {gitparams.runs()[0].id for _ in range(20)} == {newest.id}
    assert len(os.listdir("/proc/self/fd")) <= before


# -- bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda: len(gitparams.runs("params.modl == 'a'")), "model"),
        (lambda: gitparams.runs(sort="-metrics.ac")[0], "acc"),
        (lambda: gitparams.runs("__import__('os').system('true')").to_dicts(), "__import__"),
        (lambda: gitparams.runs("params.n = 1").to_pandas(), "=="),
        (lambda: gitparams.runs().group_by("params.modl"), "model"),
        (lambda: len(gitparams.runs("params.n > 1) or (params.n < 9")), r"\)"),
        (lambda: len(gitparams.runs(since="not a date at all")), "date"),
    ],
)
def test_a_wrong_expression_is_a_sentence_with_the_next_step(ten, ask, text):
    with pytest.raises(QueryError) as caught:
        ask()
    assert text.replace("\\", "") in f"{caught.value} {caught.value.hint}"


def test_a_limit_below_zero_is_refused_at_once():
    with pytest.raises(UsageError, match="The limit of runs is -1"):
        gitparams.runs(limit=-1)


def test_what_was_compared_in_vain_is_noted(ten):
    assert gitparams.runs("params.n > 2").notes == ()
    assert ["params.model" in note for note in gitparams.runs("params.model > 2").notes] == [True]


# -- groups ---------------------------------------------------------------------------------------------------------------


def test_group_by_gives_the_runs_of_each_value(ten):
    groups = gitparams.runs("params.n > 2").group_by("params.model")
    assert {value: numbers(runs) for value, runs in groups.items()} == {"b": [9, 7, 5, 3], "a": [8, 6, 4]}
    assert numbers(groups["a"].where("params.n > 4")) == [8, 6] and len(groups["b"].to_pandas()) == 4
    assert numbers(gitparams.runs(sort="params.n").group_by("params.model")["a"]) == [0, 2, 4, 6, 8]


def test_group_by_tells_values_of_all_kinds_and_a_missing_one_apart(repo):
    record(0, x=1)
    record(1, x="1")
    record(2, x=None)
    record(3)
    record(4, x=[1, [2]])
    record(5, x=math.nan)
    record(6, x={})
    record(7, x=1.0)
    groups = {repr(value): numbers(runs) for value, runs in gitparams.runs(sort="params.n").group_by("params.x").items()}
    assert groups == {
        "1": [0, 7], "'1'": [1], "None": [2], "MISSING": [3], "(1, (2,))": [4], "nan": [5], "'{}'": [6],
    }  # fmt: skip
    assert numbers(gitparams.runs().group_by("x")[gitparams.MISSING]) == [3]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("metrics.acc", {0.5: [1], 0.4: [0]}),
        ("acc", {0.5: [1], 0.4: [0]}),
        ('params["a.b"]["c d"]', {2: [1, 0]}),
        ("experiment", {"default": [1, 0]}),
        ("status", {"completed": [1, 0]}),
        ("name", {None: [1, 0]}),
        ("tags", {(): [1, 0]}),
        ("dirty", {False: [1, 0]}),
        ("disputed", {False: [1, 0]}),
        ("started", {START + timedelta(minutes=1): [1], START: [0]}),
    ],
)
def test_group_by_takes_params_metrics_and_fields(repo, key, expected):
    record(0, {"acc": 0.4}, **{"a.b": {"c d": 2}})
    record(1, {"acc": 0.5}, **{"a.b": {"c d": 2}})
    assert {value: numbers(runs) for value, runs in gitparams.runs().group_by(key).items()} == expected


def test_a_group_for_each_of_many_values(repo):
    for number in range(60):
        record(number)
    assert [len(runs) for runs in gitparams.runs().group_by("params.n").values()] == [1] * 60


def test_replicates_are_the_runs_equal_but_for_the_seed(repo):
    record(1, {"acc": 0.5}, seed=1)
    record(1, {"acc": 0.7}, seed=2)
    record(2, {"acc": 0.9}, seed=1)
    groups = gitparams.runs().replicates()
    assert [(dict(group.params), len(group.runs), group.metrics["acc"].mean) for group in groups] == [
        ({"n": 2}, 1, 0.9),
        ({"n": 1}, 2, 0.6),
    ]
    assert [len(group.runs) for group in gitparams.runs("params.seed == 1").replicates()] == [1, 1]


def test_keys_that_the_settings_ignore_may_differ_between_replicates(repo):
    (repo / "gitparams.yaml").write_text("ignore: [out_dir]\n")
    record(1, seed=1, out_dir="a")
    record(1, seed=2, out_dir="b")
    assert [len(group.runs) for group in gitparams.runs().replicates()] == [2]


# -- one run --------------------------------------------------------------------------------------------------------------


def test_the_series_of_a_run_are_its_metrics_step_by_step(repo):
    with gitparams.start({"lr": 0.1}) as run:
        run.log(loss=0.5, step=0)
        run.log(loss=math.nan, acc=0.1, step=1)
        run.log(loss=0.25, step=2.5)
    series = gitparams.run("latest").series
    assert list(series) == ["loss", "acc"]
    assert series["loss"].steps == (0, 1, 2.5) and str(series["loss"].values) == "(0.5, nan, 0.25)"
    assert (len(series["loss"]), series["acc"][0].step, [step.value for step in series["acc"]]) == (3, 1, [0.1])
    assert abs(series["loss"].times[0] - datetime.now().timestamp()) < 60
    assert str(series["loss"]) == "<series loss of 3 steps>"


def test_the_series_of_a_run_that_goes_on_are_there_as_far_as_they_are(repo):
    with gitparams.start({"lr": 0.1}) as run:
        run.log(loss=0.5, step=0)
        seen = gitparams.run("latest")
        first = seen.series["loss"].values
        run.log(loss=0.25, step=1)
        assert (seen.status, first, seen.series["loss"].values) == ("running", (0.5,), (0.5, 0.25))
    assert seen.series["loss"].values == (0.5, 0.25)


def test_a_line_of_a_series_that_cannot_be_read_is_passed_over_and_names_like_its_own_keys_come_back():
    data = b'{"step":0,"time":1.5,"$step":7,"loss":1}\n{"step":1,"ti\n[1]\n{"loss":2}\n{"step":2,"loss":3,"note":"x"}\n'
    assert read_series(b"") == {}
    found = read_series(data)
    assert found["step"] == Series("step", (0,), (7,), (1.5,))
    assert (found["loss"].steps, found["loss"].values, str(found["loss"].times)) == ((0, 2), (1, 3), "(1.5, nan)")


def test_a_run_reads_what_stands_beside_it(repo):
    (repo / "train.py").write_text("print('hello')\n")
    subprocess.run(
        [sys.executable, "-m", "gitparams", "run", "-p", "lr=0.1", "--", sys.executable, "train.py"],
        check=True,
        capture_output=True,
    )
    run = gitparams.run("latest")
    assert (run.output, run.origins["lr"].source, run.series) == ("hello\n", "cli", {})


@pytest.mark.parametrize(
    "of",
    [
        lambda recorded: gitparams.run("latest"),
        lambda recorded: gitparams.runs()[0],
        lambda recorded: next(iter(gitparams.runs())),
        lambda recorded: pickle.loads(pickle.dumps(recorded)),
        lambda recorded: copy.copy(recorded),
        lambda recorded: copy.deepcopy(recorded),
        lambda recorded: dataclasses.replace(recorded),
        lambda recorded: plain(recorded),
    ],
    ids=["selected", "by place", "walked to", "pickled", "copied", "copied deeply", "replaced", "plain"],
)
def test_a_run_equals_itself_however_it_was_come_by(repo, of):
    recorded = gitparams.record({"lr": 0.1, "drop": math.nan}, {"acc": 0.5, "loss": math.nan}, name="base", tags=["x"])
    other = of(recorded)
    assert isinstance(other, gitparams.Run) and other == recorded and recorded == other


def plain(recorded):
    return gitparams.Run(**{field.name: getattr(recorded, field.name) for field in dataclasses.fields(gitparams.Run)})


def test_runs_that_differ_are_not_equal(ten):
    first, second = gitparams.runs()[:2]
    assert first != second and first != dataclasses.replace(first, note="x") and first != "a run"
    assert len({first, second, gitparams.runs()[0]}) == 2


def test_a_run_is_printed_in_one_line(repo):
    run = gitparams.record({"lr": 0.1}, name="base", experiment="digits", started=START)
    assert repr(run) == f"<run {run.short_id} base of digits, completed, 2026-11-01 12:00>"


def test_a_pickled_run_without_its_repository_says_so_when_asked_for_more(repo, tmp_path):
    gitparams.record({"lr": 0.1})
    data = pickle.dumps(gitparams.run("latest"))
    repo.rename(tmp_path / "gone")
    run = pickle.loads(data)
    assert run.params.lr == 0.1
    with pytest.raises(RepositoryError, match="does not exist"):
        run.packages  # noqa: B018


# -- as something else ----------------------------------------------------------------------------------------------------


def test_to_dicts_gives_plain_values(repo):
    run = gitparams.record(
        {"optim": {"lr": 0.1}, "n": None}, {"acc": 0.5}, tags=["x"], command=["python", "t.py"], started=START
    )
    (found,) = gitparams.runs().to_dicts()
    assert found == {
        "id": run.id,
        "name": None,
        "experiment": "default",
        "status": "completed",
        "started": START,
        "finished": run.finished,
        "duration": run.duration,
        "exit_code": None,
        "commit": run.code.commit,
        "branch": "main",
        "dirty": False,
        "author": "Ada <ada@example.com>",
        "host": run.host,
        "user": run.user,
        "python": run.python,
        "command": ["python", "t.py"],
        "cwd": ".",
        "params": {"optim": {"lr": 0.1}, "n": None},
        "metrics": {"acc": 0.5},
        "tags": ["x"],
        "note": "",
        "parent": None,
    }
    assert type(found["params"]["optim"]) is dict


def test_a_frame_has_the_rows_of_the_list_in_its_order(ten):
    assert gitparams.runs("params.n > 5", sort="params.n").to_pandas()["params.n"].tolist() == [6, 7, 8, 9]
    assert gitparams.runs()[2:4].to_polars()["params.n"].to_list() == [7, 6]
    assert gitparams.runs()[::-3].to_arrow()["params.n"].to_pylist() == [0, 3, 6, 9]
    assert gitparams.runs(sort="-metrics.acc", limit=3).to_pandas()["metrics.acc"].tolist() == [0.5, 0.4, 0.4]


def test_runs_print_as_the_screen_of_log(ten):
    lines = repr(gitparams.runs(limit=2)).splitlines()
    newest, before = gitparams.runs()[:2]
    assert lines[0].split() == ["run", "age", "changed", "acc", "↑"]
    assert [line.split()[0] for line in lines[1:3]] == [newest.short_id, before.short_id]
    assert lines[4].startswith("2 ")


def test_without_runs_it_is_said_how_to_make_the_first_one(repo):
    assert repr(gitparams.runs()).splitlines()[0] == "No runs yet."
    record(1)
    assert repr(gitparams.runs("params.n > 1")).splitlines()[0] == "No run matches."


def test_runs_that_cannot_be_asked_print_why(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert repr(gitparams.runs()) == f"<runs of {tmp_path}: {tmp_path} is not in a git repository.>"


def test_a_notebook_shows_tables_in_which_nothing_is_obeyed(repo):
    gitparams.record({"lr": 0.1, "x": "<script>alert(1)</script>"}, {"acc": 0.5}, name="<b>")
    gitparams.record({"lr": 0.2, "x": "<script>alert(2)</script>"}, {"acc": 0.6})
    pages = [gitparams.runs()._repr_html_(), gitparams.run("latest")._repr_html_(), gitparams.diff()._repr_html_()]
    assert [("<table" in page, "<script" in page, "<b>" in page) for page in pages] == [(True, False, False)] * 3


def test_diff_takes_selectors_runs_and_slices(ten):
    assert gitparams.diff().params["n"].values == (8, 9)
    assert gitparams.diff("latest~2", gitparams.runs()[0]).params["n"].values == (7, 9)
    assert gitparams.diff(*gitparams.runs()[:3], keys=["n"]).params["n"].values == (9, 8, 7)
    assert gitparams.diff(origins=True).origins[0]["n"].source == "code"
    assert "n" in str(gitparams.diff())


def test_asking_loads_no_frame_library_and_no_screen(ten):
    program = (
        "import sys, gitparams\n"
        "runs = gitparams.runs('params.n > 2', sort='-metrics.acc'); len(runs), runs[0].series, list(runs[:2])\n"
        "heavy = {'pandas', 'polars', 'pyarrow', 'numpy', 'rich', 'yaml', 'deepdiff', 'git', 'gitparams.screens.log'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


def test_a_diff_can_be_lenient(repo):
    gitparams.record({"lr": 0.1, "layers": [1, 2], "log": "a"}, {"acc": 0.9})
    gitparams.record({"lr": 0.1000001, "layers": [2, 1], "log": "b"}, {"acc": 0.9})
    found = gitparams.diff(rtol=1e-3, ignore=["log"], ignore_order=True)
    assert not found
    assert found.ignored == 3
    with pytest.raises(gitparams.GitParamsError, match="rtol"):
        gitparams.diff(rtol=-1)
