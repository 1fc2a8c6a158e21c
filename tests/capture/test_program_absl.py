"""What absl resolved in the user's own program, as its flags stood before main."""

import json

import pytest
from untouched import both

TRAIN = """
import json, sys
from absl import app, flags, logging
import model

FLAGS = flags.FLAGS
flags.DEFINE_float("lr", 0.1, "rate", short_name="r")
flags.DEFINE_integer("size", 3, "size", lower_bound=1)
flags.DEFINE_boolean("amp", True, "half")
flags.DEFINE_enum("optim", "sgd", ["sgd", "adam"], "optimiser")
flags.DEFINE_multi_integer("layers", [64], "layers")
flags.DEFINE_list("tags", ["a", "b"], "tags")
flags.DEFINE_string("data", None, "data")
flags.DEFINE_alias("learning_rate", "lr")

def main(argv):
    if FLAGS.data == "raise":
        raise RuntimeError("no data")
    if FLAGS.data == "exit":
        sys.exit(3)
    if FLAGS.data == "drift":
        FLAGS.lr = 0.5
    names = ["lr", "size", "amp", "optim", "layers", "tags", "data", "width"]
    json.dump({name: getattr(FLAGS, name) for name in names}, open("dump.json", "w"))
    print("left", argv[1:])

if __name__ == "__main__":
    app.run(main)
"""
MODEL = """
from absl import flags
flags.DEFINE_integer("width", 8, "width")
"""


@pytest.fixture
def program(tmp_path):
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN)
    (folder / "model.py").write_text(MODEL)
    return folder


def dumped(program):
    return json.loads((program / "dump.json").read_text())


def test_flags_of_the_users_modules_are_told_and_none_of_absl(program):
    told = both("train.py", "--lr=0.2", "--noamp", "--layers=1", "--layers=2", "--optim", "adam", "rest", cwd=program)
    assert told.params == [dumped(program)]
    assert told.params == [
        {
            "lr": 0.2,
            "size": 3,
            "amp": False,
            "optim": "adam",
            "layers": [1, 2],
            "tags": ["a", "b"],
            "data": None,
            "width": 8,
        }
    ]
    assert told.told("params")[0]["origins"] == {
        "lr": ["cli", "--lr"],
        "size": ["default", "train.py"],
        "amp": ["cli", "--amp"],
        "optim": ["cli", "--optim"],
        "layers": ["cli", "--layers"],
        "tags": ["default", "train.py"],
        "data": ["default", "train.py"],
        "width": ["default", "train.py"],
    }
    assert told.out == "left ['rest']\n"


def test_without_words_the_defaults_are_told(program):
    told = both("train.py", cwd=program)
    assert told.params == [dumped(program)]
    assert [message["weak"] for message in told.told("params")] == [False]


@pytest.mark.parametrize("word", ["-r=0.3", "--r=0.3", "--learning_rate=0.3"])
def test_short_names_and_aliases_are_names_of_one_param(program, word):
    told = both("train.py", word, cwd=program)
    assert told.params == [dumped(program)]
    assert told.params[0]["lr"] == 0.3
    assert told.told("params")[0]["origins"]["lr"] == ["cli", "--lr"]


def test_a_flag_of_a_flagfile_is_told_with_its_line(program):
    (program / "flags.cfg").write_text("# mine\n--lr=0.7\n--flagfile=more.cfg\n")
    (program / "more.cfg").write_text("--size=9\n")
    told = both("train.py", "--flagfile=flags.cfg", "--data=here", cwd=program)
    assert told.params == [dumped(program)]
    origins = told.told("params")[0]["origins"]
    assert {key: origins[key] for key in ("lr", "size", "data", "amp")} == {
        "lr": ["file", "flags.cfg:2"],
        "size": ["file", "more.cfg:1"],
        "data": ["cli", "--data"],
        "amp": ["default", "train.py"],
    }


def test_flags_that_are_called_without_app_are_told(program):
    (program / "bare.py").write_text(
        "import sys\nfrom absl import flags\nflags.DEFINE_integer('n', 1, 'n')\nflags.FLAGS(sys.argv)\nprint(flags.FLAGS.n)\n"
    )
    told = both("bare.py", "--n=4", cwd=program)
    assert told.params == [{"n": 4}]
    assert told.told("params")[0]["origins"] == {"n": ["cli", "--n"]}


def test_a_value_set_before_parsing_comes_from_the_code(program):
    (program / "bare.py").write_text(
        "import sys\nfrom absl import flags\nflags.DEFINE_integer('n', 1, 'n')\nflags.FLAGS.n = 7\nflags.FLAGS(sys.argv)\n"
    )
    told = both("bare.py", cwd=program)
    assert told.params == [{"n": 7}]
    assert told.told("params")[0]["origins"] == {"n": ["code", "bare.py"]}


def test_flags_changed_while_the_program_ran_have_drifted(program):
    told = both("train.py", "--data=drift", cwd=program)
    assert told.params[0]["lr"] == 0.1
    assert [message["values"]["lr"] for message in told.told("drift")] == [0.5]


@pytest.mark.parametrize("data, code", [("raise", 1), ("exit", 3)])
def test_how_the_program_ends_is_untouched(program, data, code):
    told = both("train.py", "--data=" + data, cwd=program)
    assert (told.code, told.params[0]["data"]) == (code, data)


@pytest.mark.parametrize("word", ["--help", "--helpfull", "--nosuch=1", "--size=0", "--size=text"])
def test_help_and_errors_of_the_parser_pass_through(program, word):
    told = both("train.py", word, cwd=program)
    assert (told.code, told.params) == (1, [])


def test_parsing_words_that_are_not_the_command_line_is_not_told(program):
    (program / "bare.py").write_text(
        "from absl import flags\nflags.DEFINE_integer('n', 1, 'n')\nflags.FLAGS(['prog', '--n=4'])\nprint(flags.FLAGS.n)\n"
    )
    assert both("bare.py", cwd=program).params == []


def test_a_secret_is_replaced_before_it_is_written(program):
    (program / "bare.py").write_text(
        "import sys\nfrom absl import flags\nflags.DEFINE_string('api_key', '', 'k')\nflags.FLAGS(sys.argv)\n"
    )
    told = both("bare.py", "--api_key=hunter2", cwd=program)
    assert told.params == [{"api_key": "<redacted>"}]


def test_a_config_file_of_ml_collections_is_nested_and_says_what_the_command_line_set(program):
    pytest.importorskip("ml_collections")
    (program / "config.py").write_text(
        "import ml_collections\n"
        "def get_config():\n"
        "    config = ml_collections.ConfigDict({'lr': 0.1, 'model': {'width': 8}})\n"
        "    config.warmup = config.get_ref('lr') * 0.5\n"
        "    return config\n"
    )
    (program / "configured.py").write_text(
        "from absl import app\n"
        "from ml_collections import config_flags\n"
        "config_flags.DEFINE_config_file('config', 'config.py')\n"
        "app.run(lambda argv: None)\n"
    )
    told = both("configured.py", "--config.lr=0.5", cwd=program)
    assert told.params == [{"config": {"lr": 0.5, "model": {"width": 8}, "warmup": 0.25}}]
    assert told.origins[0]["config.lr"] == ("cli", "--config.lr")
