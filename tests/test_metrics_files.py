"""Metrics files: only what the program wrote counts, and what it wrote row by row becomes a series."""

import json
import os
import subprocess
import sys

import pytest
from world import unprivileged

from gitparams.capture.tables import Table, read_table
from gitparams.errors import ParamsFileError, UsageError
from gitparams.metrics_files import MetricsFound, MetricsWatch, read_metrics_file, read_metrics_files

MOMENT = 1_700_000_000


@pytest.fixture
def write(tmp_path):
    def write(name, text, mode="w"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, mode + "b") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.utime(path, (MOMENT, MOMENT))
        return path

    return write


def lines(series):
    return [tuple(json.loads(line).items()) for line in series.splitlines()]


def test_lightnings_table_with_holes_gives_the_last_value_of_each_column(write):
    file = write(
        "metrics.csv",
        "epoch,step,train_loss,val_loss,test_acc\n"
        "0,49,0.9,,\n"
        "0,49,,0.8,\n"
        "1,99,0.5,,\n"
        "1,99,,0.6,\n"
        "2,100,,,0.93\n",
    )  # fmt: skip
    assert read_table(file) == Table(
        {"epoch": 2, "step": 100, "train_loss": 0.5, "val_loss": 0.6, "test_acc": 0.93},
        (),
        b'{"step":49,"time":1700000000.0,"epoch":0,"train_loss":0.9}\n'
        b'{"step":49,"time":1700000000.0,"epoch":0,"val_loss":0.8}\n'
        b'{"step":99,"time":1700000000.0,"epoch":1,"train_loss":0.5}\n'
        b'{"step":99,"time":1700000000.0,"epoch":1,"val_loss":0.6}\n'
        b'{"step":100,"time":1700000000.0,"epoch":2,"test_acc":0.93}\n',
    )


def test_keras_table_has_the_epoch_for_a_step_and_na_for_a_hole(write):
    file = write("log.csv", "epoch,accuracy,loss,val_loss\r\n0,0.5,0.9,0.8\r\n1,0.75,nan,NA\r\n")
    table = read_table(file)
    assert table.series == (
        b'{"step":0,"time":1700000000.0,"accuracy":0.5,"loss":0.9,"val_loss":0.8}\n'
        b'{"accuracy":0.75,"loss":{"$float":"NaN"},"step":1,"time":1700000000.0}\n'
    )
    assert (str(table.metrics), table.left_out) == ("{'epoch': 1, 'accuracy': 0.75, 'loss': nan, 'val_loss': 0.8}", ())


def test_dvclives_table_has_the_time_of_each_step_in_milliseconds(write):
    file = write(
        "dvclive/plots/metrics/train/loss.tsv", "timestamp\tstep\tloss\n1700000001500\t0\t0.9\n1700000002500\t1\t0.5\n"
    )
    assert read_table(file) == Table(
        {"timestamp": 1700000002500, "step": 1, "loss": 0.5},
        (),
        b'{"step":0,"time":1700000001.5,"loss":0.9}\n{"step":1,"time":1700000002.5,"loss":0.5}\n',
    )


def test_a_table_that_tensorboard_exports_is_a_series(write):
    file = write("run.csv", "Wall time,Step,Value\n1700000001.25,10,0.5\n")
    assert read_table(file).series == b'{"step":10,"time":1700000001.25,"Value":0.5}\n'


def test_a_table_without_steps_has_last_values_and_no_series(write):
    file = write("metrics.csv", ",time,acc,note,empty\n0,3.5,0.5,best,\n1,4.5,,,\n\n")
    assert read_table(file) == Table({"time": 4.5, "acc": 0.5}, ("note", "empty"), b"")


def test_lines_of_json_are_a_line_a_step(write):
    file = write(
        "log.jsonl",
        '{"epoch": 1, "step": 10, "time": 1700000003, "loss": 0.5, "val": {"acc": 0.9, "a.b": 1}, "name": "tiny"}\n\n'
        '{"loss": 0.4, "lr": "1e-3", "ok": true, "list": [1], "none": null}\n'
        '{"name": "big", "loss": NaN, "step": "12"}',
    )
    table = read_table(file)
    assert table.series == (
        b'{"step":10,"time":1700000003,"epoch":1,"loss":0.5,"val.acc":0.9,"val[\\"a.b\\"]":1}\n'
        b'{"step":1,"time":1700000000.0,"loss":0.4,"lr":0.001,"ok":true}\n'
        b'{"loss":{"$float":"NaN"},"step":12,"time":1700000000.0}\n'
    )
    assert str(table.metrics) == (
        "{'epoch': 1, 'step': 12, 'time': 1700000003, 'loss': nan, 'val.acc': 0.9, 'val[\"a.b\"]': 1, 'lr': 0.001, 'ok': True}"
    )
    assert table.left_out == ("name", "list", "none")


def test_a_line_that_was_cut_costs_only_itself(write):
    file = write("log.jsonl", '{"loss": 0.5}\n{"loss": 0.{"loss": 0.4}\n[1]\n{"loss": 0.3}\n{"lo')
    assert read_table(file, shown="log.jsonl") == Table(
        {"loss": 0.3},
        (),
        b'{"step":0,"time":1700000000.0,"loss":0.5}\n{"step":1,"time":1700000000.0,"loss":0.3}\n',
        ("log.jsonl:2: the line is not JSON: expecting ',' delimiter at column 11: left out, as were 2 more.",),
    )


def test_a_row_that_is_too_long_costs_only_itself_and_a_header_again_nothing(write):
    file = write("m.csv", "step,a\n0,1\n1,2,3\nstep,a\n2,5\n")
    series = b'{"step":0,"time":1700000000.0,"a":1}\n{"step":2,"time":1700000000.0,"a":5}\n'
    warning = "m.csv:3: the row has 3 cells, the header 2: left out."
    assert read_table(file, shown="m.csv") == Table({"step": 2, "a": 5}, (), series, (warning,))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "", "m.csv: the file holds no metrics."),
        ("m.csv", "a,b\n", "m.csv: the table holds no row of metrics, only its header."),
        ("m.csv", "1,2\n3,4\n", "m.csv:1: the first row holds numbers, not the names of metrics."),
        ("m.csv", "\na,a\n3,4\n", "m.csv:2: column 'a' is there twice."),
        ("m.csv", "a\n1,2\n", "m.csv:2: the row has 2 cells, the header 1."),
        ("m.csv", 'a,b\n1,"2\n', "m.csv:2: it is not a table: unexpected end of data."),
        ("m.csv", b"a\n\xff\n", "m.csv:2: it is not UTF-8: byte 0xff at offset 2."),
        ("m.jsonl", " \n", "m.jsonl: the file holds no metrics."),
        ("m.jsonl", "3\n", "m.jsonl:1: the line is JSON, but no mapping."),
        ("m.jsonl", "\nloss: 3\n", "m.jsonl:2: the line is not JSON: expecting value at column 1."),
        ("m.jsonl", "[" * 99999, "m.jsonl:1: the line is nested too deeply, or a number in it is too long."),
        ("m.jsonl", '{"a": ' + "9" * 9999 + "}", "m.jsonl:1: the line is nested too deeply, or a number in it is too long."),
    ],
)
def test_a_table_that_is_none_is_refused_in_a_sentence(write, name, text, message):
    file = write(name, text)
    with pytest.raises(ParamsFileError) as caught:
        read_table(file, shown=name)
    assert str(caught.value) == message


def test_a_number_longer_than_a_float_is_a_number_and_no_step(write):
    file = write("m.jsonl", '{"step": 1%s, "a": 2}\n' % ("0" * 400))
    assert read_table(file).series == b'{"step":0,"time":1700000000.0,"$step":1%s,"a":2}\n' % (b"0" * 400)


def test_a_table_that_is_not_there_or_a_folder_is_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ParamsFileError, match=r"^gone\.csv: there is no such file\.$"):
        read_table(tmp_path / "gone.csv", shown="gone.csv")
    with pytest.raises(ParamsFileError, match=r"^folder\.csv: it is a folder, not a file\.$"):
        read_table(tmp_path / "folder.csv", shown="folder.csv")


def test_a_table_that_may_not_be_read_is_refused(write):
    file = write("m.csv", "a\n1\n")
    file.chmod(0)
    program = """
from gitparams.metrics_files import MetricsWatch
from pathlib import Path
watch = MetricsWatch([(Path("m.csv"), "m.csv")])
Path("m.csv").touch()
print(*watch.read().warnings)
"""
    done = unprivileged(sys.executable, "-c", program, cwd=file.parent)
    assert done.stdout == "m.csv: it cannot be read: permission denied.\n", done.stderr


# -- watching -------------------------------------------------------------------------------------------------------------


def test_of_the_files_that_a_program_wrote_the_later_wins_and_the_others_are_named(tmp_path, write):
    watch = MetricsWatch(
        [
            (write("kept.json", '{"old": 1}'), "kept.json"),
            (tmp_path / "gone.json", "gone.json"),
            (write("metrics.json", '{"old": 2}'), "metrics.json"),
            (tmp_path / "log.jsonl", "log.jsonl"),
            (tmp_path / "bad.csv", "bad.csv"),
            (tmp_path / "metrics.txt", "metrics.txt"),
        ]
    )
    program = """
from pathlib import Path
Path("metrics.json").write_text('{"acc": 0.9, "loss": 0.5, "note": "best", "a": [1]}')
Path("log.jsonl").write_text('{"step": 3, "time": 1700000000, "loss": 0.4}\\n')
Path("bad.csv").write_text("a,a")
Path("metrics.txt").write_text("acc 3")
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    found = watch.read()
    endings = "a file of metrics ends in "
    assert found.warnings[-1].startswith(f"metrics.txt: {endings}")
    assert MetricsFound(found.metrics, found.series, found.warnings[:-1]) == MetricsFound(
        {"acc": 0.9, "loss": 0.4, "step": 3, "time": 1700000000},
        b'{"step":3,"time":1700000000,"loss":0.4}\n',
        [
            "kept.json was not changed by the program: no metrics from it.",
            "gone.json was not written by the program: no metrics from it.",
            "metrics.json: not a number, left out: note, a.",
            "bad.csv:1: column 'a' is there twice.",
        ],
    )


FIRST_RUN = "step,loss,best\n0,9,3\n1,8,\n"


@pytest.mark.parametrize(
    ("mode", "text", "rows"),
    [
        ("a", "0,7,\n1,6,\n", [(0, 7), (1, 6)]),
        ("a", "step,loss,best\n0,7,\n1,6,\n", [(0, 7), (1, 6)]),
        ("a", "2,7,\n3,6,\n", [(0, 9), (1, 8), (2, 7), (3, 6)]),
        ("w", "step,loss,best\n0,9,3\n1,6,\n2,5,\n3,4,\n", [(0, 9), (1, 6), (2, 5), (3, 4)]),
        ("w", FIRST_RUN + "2,5,\n3,4,\n", [(0, 9), (1, 8), (2, 5), (3, 4)]),
        ("w", "step,loss,best\n0,4,\n", [(0, 4)]),
    ],
    ids=["another run", "another run with its header", "resumed", "written anew", "written anew, begun alike", "shorter"],
)
def test_what_an_earlier_run_left_in_a_table_is_not_this_runs(write, mode, text, rows):
    file = write("log.csv", FIRST_RUN)
    watch = MetricsWatch([(file, "log.csv")])
    write("log.csv", text, mode)
    assert [(line[0][1], dict(line)["loss"]) for line in lines(watch.read().series)] == rows


def test_values_of_an_earlier_run_are_not_the_last_values_of_this_one(write):
    file = write("log.csv", FIRST_RUN)
    watch = MetricsWatch([(file, "log.csv")])
    write("log.csv", "0,7,\n", "a")
    assert watch.read() == MetricsFound(
        {"step": 0, "loss": 7}, b'{"step":0,"time":1700000000.0,"loss":7}\n', ["log.csv: not a number, left out: best."]
    )


def test_lines_of_json_without_steps_are_counted_from_those_that_were_appended(write):
    file = write("results.jsonl", '{"acc": 0.5}\n{"acc": 0.6}\n' * 400)
    watch = MetricsWatch([(file, "results.jsonl")])
    write("results.jsonl", '{"acc": 0.7}\n{"acc": 0.8}\n', "a")
    assert watch.read() == MetricsFound(
        {"acc": 0.8}, b'{"step":0,"time":1700000000.0,"acc":0.7}\n{"step":1,"time":1700000000.0,"acc":0.8}\n'
    )


def test_a_pipe_in_the_place_of_a_file_stops_nobody(tmp_path):
    os.mkfifo(tmp_path / "metrics.json")
    watch = MetricsWatch([(tmp_path / "metrics.json", "metrics.json")])
    assert watch.read() == MetricsFound(warnings=["metrics.json was not changed by the program: no metrics from it."])


def test_files_can_be_read_without_having_been_watched(tmp_path, write):
    table, document = write("m.csv", "step,a\n0,1\n"), write("m.json", '{"b": 2, "c": "x"}')
    series = b'{"step":0,"time":1700000000.0,"a":1}\n'
    assert read_metrics_files([(table, "m.csv"), (document, "m.json")]) == MetricsFound(
        {"step": 0, "a": 1, "b": 2}, series, ["m.json: not a number, left out: c."]
    )
    assert read_metrics_file(table, "m.csv") == ({"step": 0, "a": 1}, ())
    assert read_metrics_file(document, "m.json") == ({"b": 2}, ("c",))
    with pytest.raises(UsageError):
        read_metrics_file(tmp_path / "m.txt", "m.txt")
