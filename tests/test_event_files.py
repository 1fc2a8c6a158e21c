"""Event files of TensorBoard: what torch, tensorboardX and TensorFlow's summaries wrote is read as it was meant."""

import json
import math
import os
import subprocess
import sys

import pytest
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util import tensor_util
from world import unprivileged

from gitparams.event_files import EventFindings, EventWatch, read_event_files

NOTHING = EventFindings(b"", {}, [])


def python(program, cwd):
    subprocess.run([sys.executable, "-c", program], cwd=cwd, check=True, capture_output=True, text=True)


def event_files(folder):
    return sorted(folder.rglob("events.out.tfevents.*"))


def read(folder):
    return read_event_files(event_files(folder))


def series(findings):
    return [json.loads(line) for line in findings.series.splitlines()]


def scalar(tag, value):
    return summary_pb2.Summary.Value(tag=tag, simple_value=value)


def of_plugin(tag, tensor, plugin, **metadata):
    kind = summary_pb2.SummaryMetadata(plugin_data={"plugin_name": plugin}, **metadata) if plugin else None
    return summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=kind)


def write(folder, *events):
    """Write events of (time, step, values) by TensorBoard's own writer, and return the file."""
    before = set(event_files(folder)) if folder.exists() else set()
    writer = EventFileWriter(str(folder))
    [writer.add_event(event_pb2.Event(wall_time=when, step=step, summary={"value": values})) for when, step, values in events]
    writer.close()
    (file,) = set(event_files(folder)) - before
    return file


TORCH = """
from torch.utils.tensorboard import SummaryWriter
import torch
with SummaryWriter("runs/first") as writer:
    for step in range(3):
        writer.add_scalar("loss/train", 1 / (step + 1), step, walltime=100 + step)
        writer.add_scalar("acc", torch.tensor(0.93), step, walltime=100 + step)
        writer.add_histogram("weights", torch.arange(5.0), step, walltime=100 + step)
    writer.add_scalar("acc", 0.1, 3, walltime=103, new_style=True)
    writer.add_scalar("exact", 0.1234567890123, 3, walltime=103, new_style=True, double_precision=True)
    writer.add_text("note", "loss: 3", 3, walltime=104)
    writer.add_scalar("loss/nan", float("nan"), 4, walltime=104)
    writer.add_scalar("loss/inf", float("-inf"), 4, walltime=104)
    writer.add_scalars("score", {"a": 1, "b": 2}, 5, walltime=105)
"""


def test_what_torch_writes_becomes_a_line_a_step(tmp_path):
    python(TORCH, tmp_path)
    findings = read(tmp_path)
    assert findings.series.decode() == (
        '{"step":0,"time":100.0,"loss/train":1.0,"acc":0.93}\n'
        '{"step":1,"time":101.0,"loss/train":0.5,"acc":0.93}\n'
        '{"step":2,"time":102.0,"loss/train":0.33333334,"acc":0.93}\n'
        '{"step":3,"time":103.0,"acc":0.1,"exact":0.1234567890123}\n'
        '{"loss/inf":{"$float":"-Infinity"},"loss/nan":{"$float":"NaN"},"step":4,"time":104.0}\n'
        '{"step":5,"time":105.0,"score_a/score":1.0}\n'
        '{"step":5,"time":105.0,"score_b/score":2.0}\n'
    )
    assert (findings.hparams, findings.warnings) == ({}, [])


HPARAMS = """
from torch.utils.tensorboard import SummaryWriter
with SummaryWriter("runs/first") as writer:
    writer.add_scalar("loss", 0.5, 0, walltime=100)
    writer.add_hparams({"lr": 0.01, "batch": 32, "amp": True, "optim": "adam"}, {"hparam/acc": 0.9})
    writer.add_hparams({"lr": 0.02, "batch": 32, "amp": True, "optim": "adam"}, {"hparam/acc": 0.8}, global_step=1)
"""


def test_hparams_of_torch_and_their_metrics_belong_to_the_run_whose_folder_they_are_in(tmp_path):
    python(HPARAMS, tmp_path)
    findings = read(tmp_path)
    assert findings.hparams == {"lr": 0.02, "batch": 32.0, "amp": True, "optim": "adam"}
    assert [{**line, "time": 0} for line in series(findings)] == [
        {"step": 0, "time": 0, "loss": 0.5},
        {"step": 0, "time": 0, "hparam/acc": 0.9},
        {"step": 1, "time": 0, "hparam/acc": 0.8},
    ]
    assert findings.warnings == ["The TensorBoard sessions of this run disagree about lr: the last one counts."]


def test_hparams_keep_their_kinds(tmp_path):
    session = plugin_data_pb2.HParamsPluginData()
    hparams = session.session_start_info.hparams
    hparams["layers"].list_value.extend([64, "relu", True])
    hparams["nothing"].null_value = 0
    hparams["rate"].number_value = math.inf
    value = summary_pb2.Summary.Value(tag="_hparams_/session_start_info")
    value.metadata.plugin_data.plugin_name = "hparams"
    value.metadata.plugin_data.content = session.SerializeToString()
    write(tmp_path, (1, 0, [value]))
    assert read(tmp_path) == EventFindings(b"", {"layers": [64.0, "relu", True], "nothing": None, "rate": math.inf}, [])


TENSORBOARDX = """
from tensorboardX import SummaryWriter
writer = SummaryWriter("logs")
writer.add_scalar("loss", 0.25, 7, walltime=50.5)
writer.add_hparams({"lr": 0.001, "name": "tiny", "deep": False}, {"hparam/loss": 0.25}, name="trial", global_step=7)
writer.close()
"""


def test_what_tensorboardx_writes_is_read(tmp_path):
    python(TENSORBOARDX, tmp_path)
    findings = read(tmp_path)
    assert [{**line, "time": 0} for line in series(findings)] == [
        {"step": 7, "time": 0, "loss": 0.25},
        {"step": 7, "time": 0, "hparam/loss": 0.25},
    ]
    assert (findings.hparams, findings.warnings) == ({"lr": 0.001, "name": "tiny", "deep": False}, [])


def test_scalars_of_tensorflow_2_are_tensors_and_what_they_are_is_said_once(tmp_path):
    number = tensor_util.make_tensor_proto
    packed = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_content=b"\x00\x00\x80\x3f")  # as TensorFlow does it
    write(
        tmp_path,
        (10, 0, [of_plugin("epoch_loss", number(0.7), "scalars", data_class=summary_pb2.DATA_CLASS_SCALAR)]),
        (10, 0, [of_plugin("epoch_count", number(12), "scalars"), of_plugin("packed", packed, "scalars")]),
        (10, 0, [of_plugin("mine", number(3.5), "custom", data_class=summary_pb2.DATA_CLASS_SCALAR)]),
        (10, 0, [of_plugin("text", number("loss: 1"), "text"), of_plugin("row", number([1.0, 2.0]), "scalars")]),
        (10, 0, [of_plugin("unknown", number(9.0), None), of_plugin("broken", tensor_pb2.TensorProto(), "scalars")]),
        (11, 1, [of_plugin("epoch_loss", number(0.3), None)]),
    )
    assert read(tmp_path) == EventFindings(
        b'{"step":0,"time":10.0,"epoch_loss":0.7,"epoch_count":12,"packed":1.0,"mine":3.5}\n'
        b'{"step":1,"time":11.0,"epoch_loss":0.3}\n'
    )


def test_a_tag_of_two_writers_has_their_folders_before_it_and_others_have_not(tmp_path):
    write(tmp_path / "run/train", (2, 0, [scalar("loss", 1), scalar("lr", 0.5)]))
    write(tmp_path / "run/val", (1, 0, [scalar("loss", 2), scalar("/acc", 3)]))
    write(tmp_path / "run", (3, 0, [scalar("time", 4)]))
    assert read(tmp_path).series.decode() == (
        '{"step":0,"time":1.0,"val/loss":2.0,"/acc":3.0}\n'
        '{"step":0,"time":2.0,"train/loss":1.0,"lr":0.5}\n'
        '{"step":0,"time":3.0,"$time":4.0}\n'
    )


def test_the_writer_above_the_others_keeps_its_tag(tmp_path):
    write(tmp_path / "run", (1, 0, [scalar("loss", 1)]))
    write(tmp_path / "run/eval", (2, 0, [scalar("loss", 2)]))
    assert read(tmp_path).series == b'{"step":0,"time":1.0,"loss":1.0}\n{"step":0,"time":2.0,"eval/loss":2.0}\n'


def test_two_files_of_one_folder_are_one_writer(tmp_path):
    write(tmp_path, (1, 0, [scalar("loss", 2)])).rename(tmp_path / "events.out.tfevents.1.first")
    write(tmp_path, (2, 1, [scalar("loss", 1)]))
    assert read(tmp_path).series == b'{"step":0,"time":1.0,"loss":2.0}\n{"step":1,"time":2.0,"loss":1.0}\n'


def test_what_is_logged_without_a_step_or_at_one_step_again_loses_nothing(tmp_path):
    values = [(1, 0, [scalar("loss", 3)]), (2, 0, [scalar("loss", 2)]), (3, 5, [scalar("loss", 1)]), (4, 0, [scalar("acc", 1)])]
    write(tmp_path, *values)
    assert [tuple(line.values()) for line in series(read(tmp_path))] == [(0, 1, 3), (0, 2, 2), (5, 3, 1), (0, 4, 1)]


# -- files that are not whole ---------------------------------------------------------------------------------------------

FIRST, SECOND = (1, 0, [scalar("loss", 2)]), (2, 1, [scalar("loss", 1)])
READ = b'{"step":0,"time":1.0,"loss":2.0}\n'


@pytest.mark.parametrize(
    ("damage", "warning"),
    [
        (lambda before, last: before + last[:-3], "ends in the middle of a record: what is before it was read."),
        (lambda before, last: before + last[:7], "ends in the middle of a record: what is before it was read."),
        (lambda before, last: before + bytes(4096), "is damaged at byte {}: what is before it was read."),
        (lambda before, last: before + last[:-6] + b"?" + last[-5:], "is damaged at byte {}: what is before it was read."),
    ],
    ids=["cut in its bytes", "cut in its length", "zeros", "one byte is another"],
)
def test_of_a_file_that_is_not_whole_what_is_before_is_read(tmp_path, damage, warning):
    before = write(tmp_path / "first", FIRST).read_bytes()
    file = write(tmp_path / "both", FIRST, SECOND)
    file.write_bytes(damage(before, file.read_bytes()[len(before) :]))
    assert read_event_files([file]) == EventFindings(READ, {}, [f"{file} {warning.format(len(before))}"])


def test_an_empty_file_and_one_that_is_something_else_are_a_sentence_each(tmp_path):
    empty, other = tmp_path / "events.out.tfevents.1", tmp_path / "events.out.tfevents.2"
    empty.touch()
    other.write_bytes(b"this is a letter, and no event file\n" * 9)
    warnings = [f"{empty} is empty: no metrics from it.", f"{other} is damaged at byte 0: what is before it was read."]
    assert read(tmp_path) == EventFindings(b"", {}, warnings)


def test_a_picture_that_was_damaged_is_not_passed_over(tmp_path):
    picture = summary_pb2.Summary.Value(tag="cat", image={"encoded_image_string": bytes(5000)})
    before = write(tmp_path / "first", FIRST).read_bytes()
    file = write(tmp_path / "all", FIRST, (2, 1, [picture]), SECOND)
    content = bytearray(file.read_bytes())
    content[len(before) + 2500] = 1
    file.write_bytes(content)
    warning = f"{file} is damaged at byte {len(before)}: what is before it was read."
    assert read_event_files([file]) == EventFindings(READ, {}, [warning])


def test_a_path_that_tensorboard_cannot_name_is_a_sentence(tmp_path):
    file = write(tmp_path / "written", FIRST).rename(tmp_path / os.fsdecode(b"events.out.tfevents.\xe9"))
    warning = f"{file} cannot be read: TensorBoard reads only paths that are UTF-8."
    assert read_event_files([file]) == EventFindings(b"", {}, [warning])


def test_a_file_that_is_gone_is_a_sentence(tmp_path):
    gone = tmp_path / "events.out.tfevents.1"
    assert read_event_files([gone]) == EventFindings(b"", {}, [f"{gone} cannot be read: No such file or directory."])


def test_a_file_that_may_not_be_read_is_a_sentence(tmp_path):
    file = write(tmp_path, FIRST)
    file.chmod(0)
    program = "from gitparams.event_files import *; from pathlib import Path; import sys; print(read_event_files([Path(sys.argv[1])]).warnings)"
    done = unprivileged(sys.executable, "-c", program, file)
    assert done.stdout == f"['{file} cannot be read: Permission denied.']\n", done.stderr


def test_without_the_library_one_sentence_says_how_to_get_it(tmp_path):
    write(tmp_path / "runs/a", FIRST)
    write(tmp_path / "runs/b", FIRST)
    program = """
from gitparams.event_files import EventWatch
from pathlib import Path
import os
watch = EventWatch([(Path("runs"), "runs")])
os.rename("runs", "moved"); os.mkdir("runs"); os.rename("moved", "runs/new")
print(watch.read())
"""
    done = subprocess.run([sys.executable, "-S", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    sentence = "runs/new/a holds TensorBoard event files; to read them: pip install 'gitparams[tensorboard]'"
    assert done.stdout == f"{EventFindings(warnings=[sentence])}\n"


NEWER = """
from google.protobuf import runtime_version
runtime_version.ValidateProtobufRuntimeVersion(runtime_version.Domain.PUBLIC, 99, 0, 0, "", "event.proto")
"""


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (NEWER, "Detected incompatible Protobuf Gencode/Runtime versions when loading event.proto"),
        (
            "raise TypeError('Descriptors cannot be created directly.\\nMore follows.')",
            "Descriptors cannot be created directly.",
        ),
        ("from google.protobuf import nothing_such", "cannot import name 'nothing_such' from 'google.protobuf'"),
    ],
    ids=["made for a newer protobuf", "made by an older one", "made for what is gone"],
)
def test_a_library_that_does_not_fit_its_protobuf_is_a_sentence(tmp_path, program, reason):
    write(tmp_path / "runs", FIRST)
    proto = tmp_path / "site/tensorboard/compat/proto"
    proto.mkdir(parents=True)
    (proto / "event_pb2.py").write_text(program)
    (proto / "__init__.py").touch()
    (proto.parent / "__init__.py").touch()
    (proto.parent.parent / "__init__.py").touch()
    lines = "import sys; from pathlib import Path; from gitparams.event_files import read_event_files\n"
    lines += "sys.path.insert(0, 'site'); print(*read_event_files(list(Path('runs').iterdir())).warnings, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"runs holds TensorBoard event files; what reads them cannot be loaded: {reason}")
    assert done.stdout.count("\n") == 1


def test_tensorflow_is_not_started_where_it_is_installed(tmp_path):
    file = write(tmp_path / "runs", FIRST)
    installed = tmp_path / "site/tensorflow"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("raise SystemExit('TensorFlow was started')")
    program = """
import sys
sys.path.insert(0, "site")
from gitparams.event_files import read_event_files
from pathlib import Path
print(read_event_files([Path(sys.argv[1])]))
"""
    done = subprocess.run([sys.executable, "-c", program, file], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{EventFindings(READ)}\n", "")


def test_the_library_is_loaded_only_where_there_is_an_event_file(tmp_path):
    program = """
import sys
from gitparams.event_files import EventWatch, read_event_files
from pathlib import Path
watch = EventWatch([(Path("."), "."), (Path("nowhere"), "nowhere")])
Path("note.txt").write_text("loss: 1")
print(watch.read() == read_event_files([]), [name for name in ("tensorboard", "google.protobuf", "numpy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n"


# -- watching -------------------------------------------------------------------------------------------------------------


def test_only_what_is_written_while_the_program_runs_is_its_own(tmp_path):
    write(tmp_path / "runs/old", FIRST)
    watch = EventWatch([(tmp_path / "runs", "runs"), (tmp_path / "later", "later"), (tmp_path, ".")])
    assert watch.read() == NOTHING
    python(TENSORBOARDX.replace("logs", "later/one"), tmp_path)
    write(tmp_path / "runs/new", SECOND)
    write(tmp_path / "runs/.hidden", SECOND)
    findings = watch.read()
    assert sorted(set().union(*series(findings))) == ["hparam/loss", "later/one/loss", "runs/new/loss", "step", "time"]
    assert (findings.hparams, findings.warnings) == ({"lr": 0.001, "name": "tiny", "deep": False}, [])


def test_of_a_file_that_grew_only_the_new_events_count(tmp_path):
    file = write(tmp_path, FIRST)
    watch = EventWatch([(tmp_path, "runs")])
    new = write(tmp_path / "other", (4e9, 7, [scalar("loss", 0.5)]))
    file.write_bytes(file.read_bytes() + new.read_bytes())
    new.unlink()
    assert watch.read() == EventFindings(b'{"step":7,"time":4000000000.0,"loss":0.5}\n')


def test_warnings_call_a_file_by_the_name_of_the_folder(tmp_path):
    watch = EventWatch([(tmp_path / "runs", "my/runs")])
    (tmp_path / "runs/a").mkdir(parents=True)
    (tmp_path / "runs/a/events.out.tfevents.1").touch()
    assert watch.read().warnings == ["my/runs/a/events.out.tfevents.1 is empty: no metrics from it."]


def test_folders_told_afterwards_give_what_was_written_in_them_since(tmp_path):
    old = write(tmp_path / "a", (4e9, 0, [scalar("old", 1)]))
    os.utime(old, (1, 1))
    watch = EventWatch([])
    write(tmp_path / "a", FIRST, (4e9, 1, [scalar("loss", 1)]))
    write(tmp_path / "a/of another", (4e9, 1, [scalar("acc", 1)]))
    assert watch.read([(tmp_path / "a", "a")]) == EventFindings(b'{"step":1,"time":4000000000.0,"loss":1.0}\n')


def test_what_is_no_file_is_passed_over(tmp_path):
    watch = EventWatch([(tmp_path, "runs")])
    os.mkfifo(tmp_path / "events.out.tfevents.1")
    (tmp_path / "events.out.tfevents.2").mkdir()
    (tmp_path / "events.out.tfevents.3").symlink_to("nowhere")
    assert watch.read() == NOTHING


def test_numbers_of_32_bits_are_the_shortest_decimal_that_names_them(tmp_path):
    numbers = [0.93, 1e-30, 3.4028234663852886e38, 16777217, 123456.789, -0.0, 1 / 3, math.pi]
    write(tmp_path, (1, 0, [scalar(str(place), number) for place, number in enumerate(numbers)]))
    (line,) = series(read(tmp_path))
    assert list(line.values())[2:] == [0.93, 1e-30, 3.4028235e38, 16777216.0, 123456.79, -0.0, 0.33333334, 3.1415927]
