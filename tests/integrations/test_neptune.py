"""Neptune: what its client kept offline, and what neptune-exporter wrote, become runs."""

import json
import shutil
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import apart
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from world import unprivileged

import gitparams
from gitparams.errors import UsageError
from gitparams.integrations.neptune import foreign_runs
from gitparams.repository import Repository

SAMPLE = Path(__file__).parent / "neptune"
ID = "3fd2fd65-e6f3-4ca5-8fdc-0f5897a6b1c1"
LEFT = "2 files and 1 series of texts are left where they are."


def told(place, only=None):
    """Return the runs, and what was said."""
    said = []
    return list(foreign_runs(str(place), only, said.append)), said


def brought(place, only=None):
    """Bring the runs of a place into the repository, and return their ids and what was said."""
    said = []
    with Repository.find() as repository:
        return repository.record_all(foreign_runs(str(place), only, said.append)), said


@pytest.fixture
def old(monkeypatch):
    """The sample was written a day ago, whatever the clock says."""
    monkeypatch.setattr(time, "time", lambda: 1795500000.0 + 86400)


def copied(tmp_path):
    shutil.copytree(SAMPLE / ".neptune", tmp_path / ".neptune")
    (log,) = tmp_path.rglob("data-1.log")
    return log


# -- the client's folders -------------------------------------------------------------------------------------------------


def test_an_offline_run_comes_in_with_its_params_series_tags_and_times(repo, old):
    (name,), said = brought(SAMPLE)
    run = gitparams.run(name)
    assert run.params == {
        "parameters": {"lr": 0.001, "optim": {"name": "adam"}, "batch": 32, "amp": True},
        "when": "2026-03-01T12:30:00+00:00",
        "note": "zwei Wörter",
    }
    assert type(run.params.parameters.batch) is int and type(run.params.parameters.amp) is bool
    assert run.metrics == {"scores": 2.0, "test/acc": 0.75, "train/acc": 0.7, "train/loss": 1 / 3}
    assert [tuple(step) for step in run.series["train/acc"]] == [
        (0, 0.5, 1700000000.5),
        (10, 0.6, 1700000001.5),
        (20, 0.7, 1700000002.5),
    ]
    assert [(step.step, step.value) for step in run.series["train/loss"]] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert (run.tags, run.note, run.host, run.status) == (
        ("baseline", "g1", "later"),
        "first try\nthe sample",
        "laptop",
        "completed",
    )
    assert run.started == datetime(2026, 11, 24, 5, 58, 39, 994950, UTC)
    assert run.finished == datetime(2026, 11, 24, 5, 58, 40, 9508, UTC)
    assert run.environment == {
        "imported": "neptune",
        "neptune": {"id": ID, "sys/failed": False, "source_code/entrypoint": "train.py"},
    }
    assert said == [LEFT]


@apart.needed
def test_what_the_client_of_today_writes_comes_in_with_its_types(repo):
    apart.write("neptune_writer.py", cwd=repo)
    (log,) = (repo / ".neptune").rglob("data-1.log")
    (name,), said = brought(".neptune", "third try")
    run = gitparams.run(name)
    assert run.params == {"parameters": {"lr": 1e-3, "batch": 32, "amp": True, "optim": {"name": "adam"}}}
    assert [type(run.params.parameters[key]) for key in ("lr", "batch", "amp")] == [float, int, bool]
    assert (run.metrics, run.tags) == ({"train/loss": 1 / 3, "test/acc": 0.75}, ("cpu",))
    assert [(step.step, step.value) for step in run.series["train/loss"]] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert (said, brought(".neptune", "third try")[0]) == ([], [])
    assert brought(".neptune")[1] == ["1 run may still go on: bring in later, or as it is now with --only ID."], log


@pytest.mark.parametrize(
    "place",
    [".", ".neptune", ".neptune/offline", f".neptune/offline/run__{ID}__4711__9ep56oid"],
)
def test_each_place_around_a_run_gives_the_same_run_once(repo, old, place):
    first, _ = brought(SAMPLE)
    assert len(first) == 1
    assert brought(SAMPLE / place)[0] == []


def test_a_log_that_is_cut_off_is_a_sentence_and_what_is_before_is_read(tmp_path, old):
    log = copied(tmp_path)
    log.write_bytes(log.read_bytes()[:3000])
    (run,), said = told(tmp_path)
    assert said[0] == f"{log} ends in the middle of an operation: what is before it was read."
    assert run.params["parameters"]["batch"] == 32 and "test/acc" not in run.metrics


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            lambda text: text.replace('{"obj": {"type": "AssignInt"', "ÿÿ", 1),
            "is damaged after 12 operations: what is before it was read.",
        ),
        (lambda text: "", "is empty: nothing from it."),
        (lambda text: text.replace('"AssignBool"', '"AssignDragon"'), "2 operations not understood and passed over."),
        (lambda text: text.replace('"value": 32', '"value": "32"'), "1 operation not understood and passed over."),
        (lambda text: text + "[" * 100_000, "ends in the middle of an operation: what is before it was read."),
        (lambda text: text + '{"obj": 3}\n7\n{"obj": {"path": []}}\n', "3 operations not understood and passed over."),
    ],
    ids=["damaged", "empty", "unknown kind", "wrong type", "nested without end", "strange"],
)
def test_a_log_that_is_not_whole_is_a_sentence(tmp_path, old, damage, sentence):
    log = copied(tmp_path)
    log.write_text(damage(log.read_text()))
    said = told(tmp_path)[1]
    assert any(line.startswith(str(log)) and line.endswith(sentence) for line in said), said


def test_objects_need_no_line_of_their_own_and_may_be_longer_than_what_is_read_at_once(tmp_path, old):
    log = copied(tmp_path)
    long = json.dumps({"obj": {"type": "AssignString", "path": ["long"], "value": "x" * 3_000_000}, "version": 99})
    log.write_text(log.read_text().replace("\n", "") + long)
    (run,), _ = told(tmp_path)
    assert (len(run.params["long"]), run.params["parameters"]["batch"], len(run.series)) == (3_000_000, 32, 8)


def test_several_folders_of_one_run_are_one_run_and_those_of_projects_none(tmp_path, old):
    log = copied(tmp_path)
    more = tmp_path / f".neptune/async/run__{ID}__4712__other/data-1.log"
    more.parent.mkdir(parents=True)
    more.write_text(json.dumps({"obj": {"type": "AssignFloat", "path": ["metrics", "f"], "value": 0.5}, "at": 1795499999.0}))
    project = tmp_path / ".neptune/async/project__95f58174-26e5-4da2-9667-42fa115491f8__1__x/data-1.log"
    project.parent.mkdir()
    project.write_text(log.read_text())
    (run,), said = told(tmp_path)
    assert (run.metrics["metrics/f"], run.params["parameters"]["lr"]) == (0.5, 0.001)
    assert said == ["1 log of projects and models left out: only runs are brought in.", LEFT]


def operation(kind, *path, **values):
    return json.dumps({"obj": {"type": kind, "path": list(path), **values}, "at": 1795499999.0}) + "\n"


def test_paths_in_each_others_way_and_odd_operations_lose_nothing_else(tmp_path, old):
    log = tmp_path / "data-1.log"
    point = {"value": 1.0, "step": None, "ts": 1795499999.0}
    operations = [
        operation("AssignInt", "a", value=1),
        operation("AssignInt", "a", "b", value=2),
        operation("AssignInt", *["deep"] * 300, value=3),
        operation("AssignDatetime", "late", value=10**30),
        operation("AssignFloat", "whole", value=5),
        operation("LogFloats", "loss", values=[point, {"value": "no", "ts": 1}, 7]),
        operation("LogFloats", "acc", values=[point]),
        operation("ClearFloatLog", "acc"),
        operation("AddStrings", "sys/tags", values="word"),
        operation("AddStrings", "words", values=["one", 2, "two"]),
        operation("ConfigFloatSeries", "loss", min=0, max=1, unit="x"),
        operation("DeleteFiles", "model", file_paths=["x"]),
        operation("AssignString", "sys", "failed", value="yes"),
    ]
    log.write_text("".join(operations))
    (log.parent / "metadata.json").write_text("{")
    (run,), said = told(log)
    assert run.params == {
        "a": 1,
        "a/b": 2,
        "/".join(["deep"] * 300): 3,
        "late": 10**30,
        "whole": 5.0,
        "words": ["one", "two"],
    }
    assert (run.metrics, run.key[2], run.status) == ({"loss": 1.0}, tmp_path.name, "completed")
    assert said == [f"{log}: 2 operations not understood and passed over."]


@pytest.mark.parametrize("folder", [f"{ID}", f"run__{ID}/exec-1-2023-01-01_00.00.00", f"run__{ID}/exec-2/partition-0"])
def test_folders_of_older_clients_have_no_metadata_and_name_the_run(tmp_path, old, folder):
    log = copied(tmp_path)
    (tmp_path / "older" / folder).mkdir(parents=True)
    shutil.move(log, tmp_path / "older" / folder)
    (run,) = told(tmp_path / "older")[0]
    assert (run.key, run.started.timestamp()) == (("neptune", "", ID), 1700000000.5)


def test_bytes_that_are_no_text_are_a_sentence(tmp_path, old):
    log = copied(tmp_path)
    log.write_bytes(log.read_bytes() + b"\xff" * 9)
    assert told(tmp_path)[1][0].startswith(f"{log} is damaged after ")


def test_a_log_that_may_not_be_read_is_a_sentence(tmp_path):
    log = copied(tmp_path)
    log.chmod(0)
    program = "from gitparams.integrations.neptune import *; import sys; print(list(foreign_runs(sys.argv[1], None, print)))"
    done = unprivileged(sys.executable, "-c", program, tmp_path)
    assert done.stdout == f"{log} cannot be read: Permission denied.\n[]\n", done.stderr


def test_what_was_written_just_now_is_left_until_it_is_named(tmp_path):
    log = copied(tmp_path)
    log.write_text(log.read_text() + json.dumps({"obj": {"type": "AssignInt", "path": ["a"], "value": 1}, "at": time.time()}))
    assert told(tmp_path) == ([], ["1 run may still go on: bring in later, or as it is now with --only ID."])
    assert len(told(tmp_path, ID)[0]) == len(told(tmp_path, "first try")[0]) == 1


@pytest.mark.parametrize(
    ("make", "only", "sentence"),
    [
        (lambda folder: folder / "nowhere", None, "There is no {}."),
        (
            lambda folder: folder,
            None,
            "{} holds neither logs of Neptune's client (data-1.log) nor parquet of neptune-exporter.",
        ),
        (lambda folder: SAMPLE, "RUN-7", "{} holds no run or project 'RUN-7'."),
    ],
    ids=["nowhere", "nothing", "not that run"],
)
def test_a_place_without_runs_is_a_sentence(tmp_path, old, make, only, sentence):
    place = make(tmp_path)
    with pytest.raises(UsageError) as caught:
        told(place, only)
    assert str(caught.value) == sentence.format(place)


# -- the exporter's tables ------------------------------------------------------------------------------------------------

SCHEMA = pa.schema(
    [
        ("project_id", pa.string()),
        ("run_id", pa.string()),
        ("attribute_path", pa.string()),
        ("attribute_type", pa.string()),
        ("step", pa.decimal128(18, 6)),
        ("timestamp", pa.timestamp("ms", tz="UTC")),
        ("int_value", pa.int64()),
        ("float_value", pa.float64()),
        ("string_value", pa.string()),
        ("bool_value", pa.bool_()),
        ("datetime_value", pa.timestamp("ms", tz="UTC")),
        ("string_set_value", pa.list_(pa.string())),
        ("file_value", pa.struct([("path", pa.string())])),
        ("histogram_value", pa.struct([("type", pa.string()), ("edges", pa.list_(pa.float64()))])),
    ]
)
BEGUN = datetime(2025, 5, 1, 12, tzinfo=UTC)


def row(run, path, kind, project="ada/digits", **values):
    return {"project_id": project, "run_id": run, "attribute_path": path, "attribute_type": kind, **values}


def rows(run, **changes):
    return [
        row(run, "sys/name", "string", string_value="resnet", **changes),
        row(run, "sys/creation_time", "datetime", datetime_value=BEGUN, **changes),
        row(run, "sys/running_time", "float", float_value=90.0, **changes),
        row(run, "sys/owner", "string", string_value="ada", **changes),
        row(run, "sys/tags", "string_set", string_set_value=["b", "a"], **changes),
        row(run, "sys/failed", "bool", bool_value=run == "RUN-2", **changes),
        row(run, "params/lr", "float", float_value=0.1, **changes),
        row(run, "params/layers", "int", int_value=3, **changes),
        row(run, "params/amp", "bool", bool_value=True, **changes),
        row(run, "classes", "string_set", string_set_value=["cat", "dog"], **changes),
        row(run, "best/loss", "float", float_value=0.25, **changes),
        row(run, "train/loss", "float_series", step=Decimal("0"), timestamp=BEGUN, float_value=0.5, **changes),
        row(run, "train/loss", "float_series", step=Decimal("1.5"), timestamp=BEGUN, float_value=0.25, **changes),
        row(run, "monitoring/1/cpu", "float_series", step=Decimal("0"), timestamp=BEGUN, float_value=55.0, **changes),
        row(run, "log", "string_series", step=Decimal("0"), timestamp=BEGUN, string_value="hello", **changes),
        row(run, "model", "file", file_value={"path": "model.pt"}, **changes),
    ]


def write(path, *several, schema=SCHEMA):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([one for some in several for one in some], schema=schema), path)
    return path


def test_runs_of_the_exporter_come_in_once_with_all_that_is_theirs(repo, tmp_path):
    write(tmp_path / "data/ada_digits/RUN-1_part_0.parquet", rows("RUN-1"))
    write(tmp_path / "data/ada_digits/RUN-2_part_0.parquet", rows("RUN-2"))
    names, said = brought(tmp_path / "data")
    runs = [gitparams.run(name) for name in names]
    assert [run.environment["neptune"]["id"] for run in runs] == ["RUN-1", "RUN-2"]
    assert [run.status for run in runs] == ["completed", "failed"]
    run = runs[0]
    assert run.params == {"params": {"lr": 0.1, "layers": 3, "amp": True}, "classes": ["cat", "dog"]}
    assert run.metrics == {"best/loss": 0.25, "train/loss": 0.25}
    assert [tuple(step) for step in run.series["train/loss"]] == [(0, 0.5, BEGUN.timestamp()), (1.5, 0.25, BEGUN.timestamp())]
    assert [step.value for step in run.series["monitoring/1/cpu"]] == [55.0]
    assert (run.name, run.experiment, run.user, run.tags) == ("resnet", "digits", "ada", ("a", "b"))
    assert (run.started, run.duration) == (BEGUN, 90.0)
    assert said == ["2 files and 2 series of texts are left where they are."]
    assert brought(tmp_path)[0] == []


def test_a_run_whose_rows_lie_in_several_files_is_one(tmp_path):
    write(tmp_path / "part_0.parquet", rows("RUN-1")[:8], rows("RUN-2")[:3])
    write(tmp_path / "part_1.parquet", rows("RUN-2")[3:], rows("RUN-1")[8:])
    runs, _ = told(tmp_path)
    assert [run.key for run in runs] == [("neptune", "ada/digits", "RUN-2"), ("neptune", "ada/digits", "RUN-1")]
    assert [len(run.series) for run in runs] == [2, 2]


def test_steps_without_time_or_number_do_no_harm(tmp_path):
    steps = [
        row("RUN-1", "loss", "float_series", step=None, timestamp=None, float_value=0.5),
        row("RUN-1", "loss", "float_series", step=Decimal("1"), timestamp=BEGUN, float_value=None),
        row("RUN-1", "loss", "float_series", step=Decimal("2"), timestamp=BEGUN, float_value=0.25),
    ]
    (run,) = told(write(tmp_path / "a.parquet", steps))[0]
    assert run.series == [(0, BEGUN.timestamp(), {"loss": 0.5}), (2, BEGUN.timestamp(), {"loss": 0.25})]


def test_only_one_project_or_run_of_many_is_asked_for(tmp_path):
    file = write(tmp_path / "all.parquet", rows("RUN-1"), rows("RUN-2"), rows("RUN-1", project="ada/cats"))
    assert [run.key[1:] for run in told(file, "ada/cats")[0]] == [("ada/cats", "RUN-1")]
    assert [run.key[1:] for run in told(file, "RUN-2")[0]] == [("ada/digits", "RUN-2")]


def test_a_damaged_table_and_one_of_something_else_are_a_sentence_each_and_the_rest_is_read(tmp_path):
    write(tmp_path / "good.parquet", rows("RUN-1"))
    cut = write(tmp_path / "cut.parquet", rows("RUN-2"))
    cut.write_bytes(cut.read_bytes()[:-200])
    other = write(tmp_path / "other.parquet", [{"a": 1}], schema=pa.schema([("a", pa.int64())]))
    runs, said = told(tmp_path)
    assert [run.key[2] for run in runs] == ["RUN-1"]
    assert [line.partition(":")[0] for line in said] == [
        f"{cut} cannot be read whole",
        f"{other} is not of neptune-exporter",
        "1 file and 1 series of texts are left where they are.",
    ]
