"""The folders into which the user's own program writes event files."""

import pytest
from untouched import both

PROGRAMS = {
    "tensorboard": """
from pathlib import Path
from tensorboard.summary.writer.event_file_writer import EventFileWriter
EventFileWriter("logs/one").close()
EventFileWriter(logdir="logs/two").close()
""",
    "tensorboardX": """
from tensorboardX import SummaryWriter
SummaryWriter("logs/one").close()
SummaryWriter(logdir="logs/two").close()
""",
    "torch": """
from torch.utils.tensorboard import SummaryWriter
SummaryWriter("logs/one").close()
SummaryWriter(log_dir="logs/two").close()
""",
    # TensorFlow is not installed here: its function has this signature
    "tensorflow": """
import sys
sys.path.insert(0, "library")
from tensorflow.python.ops.summary_ops_v2 import create_file_writer_v2
print(create_file_writer_v2("logs/one"), create_file_writer_v2(logdir="logs/two", max_queue=10, name="w"))
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_folder_of_a_writer_is_told(tmp_path, name):
    program = tmp_path / "program"
    ops = program / "library" / "tensorflow" / "python" / "ops"
    ops.mkdir(parents=True)
    (ops / "summary_ops_v2.py").write_text(
        "def create_file_writer_v2(logdir, max_queue=None, flush_millis=None, filename_suffix=None, name=None, "
        "experimental_trackable=False, experimental_mesh=None):\n    return str(logdir)\n"
    )
    (program / "train.py").write_text(PROGRAMS[name])
    told = both("train.py", cwd=program)
    assert [(message["folder"], message["what"]) for message in told.told("writes")] == [
        (str(program / "logs" / "one"), "tensorboard"),
        (str(program / "logs" / "two"), "tensorboard"),
    ]


def test_a_folder_in_a_store_elsewhere_is_not_told(tmp_path):
    program = tmp_path / "program"
    ops = program / "tensorflow" / "python" / "ops"
    ops.mkdir(parents=True)
    (ops / "summary_ops_v2.py").write_text("def create_file_writer_v2(logdir):\n    return logdir\n")
    (program / "train.py").write_text(
        "from tensorflow.python.ops.summary_ops_v2 import create_file_writer_v2\ncreate_file_writer_v2('gs://bucket/logs')\n"
    )
    assert both("train.py", cwd=program).told("writes") == []
