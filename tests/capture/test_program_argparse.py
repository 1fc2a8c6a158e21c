"""What is told of a program that reads its command line with argparse, or with ConfigArgParse."""

import sys

import pytest
from launch import elsewhere, launch, python, python_of, script, without

TRAIN = """
    import argparse, json, pathlib

    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("out", nargs="?", default="runs")
    parser.add_argument("-l", "--lr", type=float, default=0.1)
    parser.add_argument("-b", "--batch-size", type=int, default="32")
    parser.add_argument("-v", action="count", default=0)
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("--layers", type=int, nargs="+", default=[64])
    parser.add_argument("--optim.name", default="sgd")
    parser.add_argument("--momentum", type=float)
    parser.add_argument("--seed", type=int, default=argparse.SUPPRESS)
    args = parser.parse_args()
    print(json.dumps(vars(args), default=str))
"""


def test_every_value_is_told_as_the_script_itself_sees_it(tmp_path):
    script(tmp_path, "train.py", TRAIN)
    run = python("train.py", "data/train", "--lr", "1e-3", "--layers", "1", "2", cwd=tmp_path)
    assert (
        run.params
        == run.dumped
        == [
            {
                "data": "data/train",
                "out": "runs",
                "lr": 0.001,
                "batch_size": 32,
                "v": 0,
                "quiet": False,
                "layers": [1, 2],
                "optim.name": "sgd",
                "momentum": None,
            }
        ]
    )


DEFAULT = ("default", "train.py")
DEFAULTS = {
    "data": ("cli", "data"),
    "out": DEFAULT,
    "lr": DEFAULT,
    "batch_size": DEFAULT,
    "v": DEFAULT,
    "quiet": DEFAULT,
    "layers": DEFAULT,
    '["optim.name"]': DEFAULT,
    "momentum": DEFAULT,
}


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["d"], {}),
        (["d", "o"], {"out": ("cli", "out")}),
        (["--lr", "0.1", "d"], {"lr": ("cli", "--lr")}),
        (["--lr=0.5", "d"], {"lr": ("cli", "--lr")}),
        (["d", "--batch", "7"], {"batch_size": ("cli", "--batch-size")}),
        (["d", "--batch=7"], {"batch_size": ("cli", "--batch-size")}),
        (["d", "-vvql0.5"], {"v": ("cli", "-v"), "quiet": ("cli", "--quiet"), "lr": ("cli", "--lr")}),
        (["d", "-vb", "7"], {"v": ("cli", "-v"), "batch_size": ("cli", "--batch-size")}),
        (["d", "--momentum", "-1"], {"momentum": ("cli", "--momentum")}),
        (["--layers", "1", "2", "-v", "d"], {"layers": ("cli", "--layers"), "v": ("cli", "-v")}),
        (["-v", "--", "-q"], {"v": ("cli", "-v")}),
        (["d", "--optim.name", "adam"], {'["optim.name"]': ("cli", "--optim.name")}),
        (["d", "--seed", "3"], {"seed": ("cli", "--seed")}),
    ],
    ids=" ".join,
)
def test_what_was_given_is_told_apart_from_defaults(tmp_path, words, given):
    script(tmp_path, "train.py", TRAIN)
    run = python("train.py", *words, cwd=tmp_path)
    assert run.params == run.dumped
    assert run.origins == [{**DEFAULTS, **given}]


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_a_python_without_gitparams_is_captured_alike(tmp_path, version):
    script(tmp_path, "train.py", TRAIN)
    words = [python_of(version), "-B", "train.py", "d", "-vql", "0.5", "--layers", "3"]
    run = launch(*words, cwd=tmp_path, program=elsewhere(tmp_path), env={"PYTHONPATH": ""})
    assert run.told("fault") == []
    assert run.params == run.dumped
    assert run.origins[0]["lr"] == ("cli", "--lr")
    assert run.seen == without(*words, cwd=tmp_path, env={"PYTHONPATH": ""})


COMMANDS = """
    import argparse, json

    def fit(args): ...

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--seed", type=int, default=1)
    parser = argparse.ArgumentParser()
    parser.add_argument("--verbose", action="store_true")
    commands = parser.add_subparsers(DEST)
    train = commands.add_parser("fit", aliases=["train"], parents=[common])
    train.add_argument("--lr", type=float, default=0.1)
    train.set_defaults(func=fit)
    db = commands.add_parser("db").add_subparsers(dest="action")
    db.add_parser("migrate").add_argument("--to", type=int, default=3)
    args = parser.parse_args()
    print(json.dumps(vars(args), default=lambda function: "__main__.fit"))
"""


def test_sub_parsers_tell_what_was_given_to_each(tmp_path):
    script(tmp_path, "train.py", COMMANDS.replace("DEST", 'dest="command"'))
    run = python("train.py", "--verbose", "fit", "--lr", "0.5", cwd=tmp_path)
    assert run.params == run.dumped == [{"verbose": True, "command": "fit", "seed": 1, "lr": 0.5, "func": "__main__.fit"}]
    assert run.origins == [
        {
            "verbose": ("cli", "--verbose"),
            "command": ("cli", "command"),
            "seed": ("default", "train.py fit"),
            "lr": ("cli", "--lr"),
            "func": ("default", "train.py fit"),
        }
    ]


@pytest.mark.parametrize(
    ("words", "last"), [(["db", "migrate", "--to", "4"], ("cli", "--to")), (["train"], ("default", "train.py fit"))]
)
def test_sub_parsers_without_a_name_for_them_are_followed_too(tmp_path, words, last):
    script(tmp_path, "train.py", COMMANDS.replace("DEST", ""))
    run = python("train.py", *words, cwd=tmp_path)
    assert run.params == run.dumped
    assert last in run.origins[0].values()


def test_words_left_over_go_to_the_next_parser_and_what_was_given_is_not_forgotten(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import argparse, json
        first = argparse.ArgumentParser()
        first.add_argument("--lr", type=float, default=0.1)
        second = argparse.ArgumentParser()
        second.add_argument("--model", default="mlp")
        args, rest = first.parse_known_args()
        args = second.parse_args(rest, args)
        print(json.dumps(vars(args)))
        """,
    )
    run = python("train.py", "--model", "cnn", "--lr", "3", cwd=tmp_path)
    assert run.params == [{"lr": 3.0}, *run.dumped]
    assert run.origins[1] == {"lr": ("cli", "--lr"), "model": ("cli", "--model")}


def test_intermixed_words_are_told_once(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import argparse, json
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        parser.add_argument("files", nargs="*")
        print(json.dumps(vars(parser.parse_intermixed_args())))
        """,
    )
    run = python("train.py", "a", "--lr", "3", "b", cwd=tmp_path)
    assert run.params == run.dumped == [{"lr": 3.0, "files": ["a", "b"]}]
    assert run.origins == [{"lr": ("cli", "--lr"), "files": ("cli", "files")}]


def test_words_from_a_file_count_as_given(tmp_path):
    (tmp_path / "args.txt").write_text("--lr\n3\n")
    script(
        tmp_path,
        "train.py",
        """
        import argparse, json
        parser = argparse.ArgumentParser(fromfile_prefix_chars="@")
        parser.add_argument("--lr", type=float, default=0.1)
        parser.add_argument("--seed", type=int, default=1)
        print(json.dumps(vars(parser.parse_args())))
        """,
    )
    run = python("train.py", "@args.txt", cwd=tmp_path)
    assert run.params == run.dumped == [{"lr": 3.0, "seed": 1}]
    assert run.origins == [{"lr": ("cli", "--lr"), "seed": ("default", "train.py")}]


def test_a_subclass_that_makes_dataclasses_is_the_users_own_call(tmp_path):
    """transformers.HfArgumentParser takes what it turned into dataclasses out of the namespace."""
    site = tmp_path / "lib" / "site-packages"
    script(
        site,
        "hf.py",
        """
        import argparse, dataclasses

        class HfArgumentParser(argparse.ArgumentParser):
            def __init__(self, kind):
                super().__init__()
                self.kind = kind
                for field in dataclasses.fields(kind):
                    self.add_argument("--" + field.name, type=field.type, default=field.default)

            def parse_args_into_dataclasses(self):
                namespace, rest = self.parse_known_args()
                values = dict(vars(namespace))
                for name in values:
                    delattr(namespace, name)
                return self.kind(**values)
        """,
    )
    script(
        tmp_path,
        "train.py",
        """
        import dataclasses, json
        from hf import HfArgumentParser

        @dataclasses.dataclass
        class Training:
            lr: float = 0.1
            epochs: int = 3

        print(json.dumps(dataclasses.asdict(HfArgumentParser(Training).parse_args_into_dataclasses())))
        """,
    )
    run = python("train.py", "--lr", "5", cwd=tmp_path, env={"PYTHONPATH": str(site)})
    assert run.params == run.dumped == [{"lr": 5.0, "epochs": 3}]
    assert run.told("drift") == []


def test_subclasses_that_override_parsing_are_told_once_and_as_changed_in_the_end(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import argparse, json

        class Parser(argparse.ArgumentParser):
            def parse_args(self, args=None, namespace=None):
                args = super().parse_args(args, namespace)
                args.lr *= 2
                return args

            def parse_known_args(self, args=None, namespace=None):
                return super().parse_known_args(args, namespace)

        parser = Parser()
        parser.add_argument("--lr", type=float, default=0.1)
        print(json.dumps(vars(parser.parse_args())))
        """,
    )
    run = python("train.py", "--lr", "5", cwd=tmp_path)
    assert run.params == [{"lr": 5.0}]
    assert [message["values"] for message in run.told("drift")] == run.dumped == [{"lr": 10.0}]


@pytest.mark.parametrize("base", ["object", "dict", "argparse.Namespace"])
def test_a_namespace_of_the_users_own_is_read(tmp_path, base):
    script(
        tmp_path,
        "train.py",
        f"""
        import argparse, json

        class Options({base}):
            if {base} is dict:
                __setattr__ = dict.__setitem__

        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        options = parser.parse_args(namespace=Options())
        print(json.dumps(options if {base} is dict else vars(options)))
        """,
    )
    run = python("train.py", "--lr", "5", cwd=tmp_path)
    assert run.params == run.dumped == [{"lr": 5.0}]
    assert run.origins == [{"lr": ("cli", "--lr")}]


def test_what_the_namespace_became_is_told_at_the_end(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import argparse, sys
        parser = argparse.ArgumentParser()
        parser.add_argument("--gpus", default="0,1")
        parser.add_argument("--lr", type=float, default=0.1)
        args = parser.parse_args()
        args.gpus = args.gpus.split(",")
        args.device = "cuda"
        sys.exit(3)
        """,
    )
    run = python("train.py", cwd=tmp_path)
    assert run.params == [{"gpus": "0,1", "lr": 0.1}]
    assert [message["values"] for message in run.told("drift")] == [{"gpus": ["0", "1"], "lr": 0.1, "device": "cuda"}]
    assert [message["code"] for message in run.told("bye")] == [3]


def test_secrets_never_reach_a_file(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--password")
        parser.add_argument("--note")
        parser.add_argument("--account")
        args = parser.parse_args()
        args.note = "changed to hunter2-hunter2 later"
        """,
    )
    words = ["train.py", "--password", "swordfish", "--note", "hunter2-hunter2", "--account", "swordfish"]
    run = python(
        *words, cwd=tmp_path, env={"HF_TOKEN": "hunter2-hunter2"}, how={"redact": {"secret": ["account"], "plain": []}}
    )
    assert run.params == [{"password": "<redacted>", "note": "<redacted>", "account": "<redacted>"}]
    assert run.told("params")[0]["redacted"] == [["password"], ["note"], ["account"]]
    assert len(run.told("drift")) == 1
    written = b"".join(file.read_bytes() for file in run.live.rglob("*.json"))
    assert [word for word in (b"swordfish", b"hunter2") if word in written] == []


def test_a_hundred_thousand_keys_cycles_and_odd_objects_are_told(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import argparse, threading
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        args = parser.parse_known_args(namespace=argparse.Namespace(**{f"key{n}": n for n in range(100_000)}))[0]
        args.loop = {"self": None}
        args.loop["self"] = args.loop
        args.lock = threading.Lock()
        """,
    )
    run = python("train.py", "--lr", "5", cwd=tmp_path)
    assert run.seen == (0, "", "")
    assert run.params == [{**{f"key{n}": n for n in range(100_000)}, "lr": 5.0}]
    assert run.told("drift")[0]["values"]["loop"] == {"self": "<cycle>"}


def test_a_config_too_large_is_refused_and_the_limit_named(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--text", default="x" * 70_000_000)
        parser.parse_args()
        """,
    )
    run = python("train.py", cwd=tmp_path)
    assert run.seen == (0, "", "")
    assert run.params == []
    assert [message["text"] for message in run.told("fault")] == [
        "argparse resolved a config of 66 MB, and at most 64 MB are recorded"
    ]


@pytest.mark.parametrize("call", ['parse_args(["--lr", "7"])', 'parse_known_args(["--lr", "7"])'])
def test_words_that_are_not_the_programs_are_not_told(tmp_path, call):
    script(
        tmp_path,
        "train.py",
        f"""
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float)
        parser.{call}
        """,
    )
    assert python("train.py", "--other", cwd=tmp_path).params == []


def test_no_words_at_all_count_only_when_nothing_else_does(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        parser.parse_args([])
        parser.parse_args()
        parser.parse_args([])
        """,
    )
    run = python("train.py", "--lr", "7", cwd=tmp_path)
    assert [(message["values"], message["weak"]) for message in run.told("params")] == [
        ({"lr": 0.1}, True),
        ({"lr": 7.0}, False),
    ]


def test_words_that_the_program_picked_out_of_its_own_are_told(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import argparse, sys
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float)
        parser.add_argument("--seed", type=int)
        parser.parse_args([word for word in sys.argv[1:] if word != "train"])
        """,
    )
    run = python("train.py", "--lr", "7", "train", "--seed", "1", cwd=tmp_path)
    assert run.params == [{"lr": 7.0, "seed": 1}]
    assert run.told("params")[0]["weak"] is False


def test_a_program_that_parses_all_the_time_tells_it_once_and_what_the_last_became(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float)
        for _ in range(50):
            args = parser.parse_args()
        args.lr = 8
        """,
    )
    run = python("train.py", "--lr", "7", cwd=tmp_path)
    assert run.params == [{"lr": 7.0}]
    assert [(message["of"], message["values"]) for message in run.told("drift")] == [(run.told("params")[0]["n"], {"lr": 8})]


PROGRAMS = {
    "end": "print(args.lr)",
    "exception": "def step(): raise ValueError(args.lr)\nstep()",
    "chained": "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('x') from error",
    "exit": "import sys; sys.exit(4)",
    "exit with text": "import sys; sys.exit('no data')",
    "exit with none": "import sys; sys.exit()",
    "systemexit": "raise SystemExit(5)",
    "interrupt": "raise KeyboardInterrupt",
    "os._exit": "import os; os._exit(6)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "warning": "import warnings; warnings.warn('slow')",
}
FEW = """
import argparse, os
def ratio(text):
    if text == "broken": raise RuntimeError("in a type")
    return float(text)
parser = argparse.ArgumentParser(description="Train.")
parser.add_argument("--lr", type=ratio, default=0.1)
parser.add_subparsers().add_parser("fit").add_argument("--decay", type=ratio)
args = parser.parse_args()
"""


@pytest.mark.parametrize("ending", PROGRAMS)
def test_a_program_ends_as_it_would_without_us(tmp_path, ending):
    (tmp_path / "train.py").write_text(FEW + PROGRAMS[ending])
    run = python("train.py", "--lr", "7", cwd=tmp_path)
    assert run.seen == without(sys.executable, "train.py", "--lr", "7", cwd=tmp_path)
    assert run.params == [{"lr": 7.0}]


@pytest.mark.parametrize("words", [["--lr", "x"], ["--help"], ["--nothing"], ["--lr"], ["more"]], ids=" ".join)
def test_an_error_of_the_parser_and_its_help_pass_through(tmp_path, words):
    (tmp_path / "train.py").write_text(FEW)
    run = python("train.py", *words, cwd=tmp_path)
    assert run.seen == without(sys.executable, "train.py", *words, cwd=tmp_path)
    assert run.params == []


@pytest.mark.parametrize("words", [["--lr", "broken"], ["fit", "--decay", "broken"]], ids=" ".join)
def test_an_exception_inside_of_parsing_shows_one_frame_more(tmp_path, words):
    (tmp_path / "train.py").write_text(FEW)
    code, out, err = python("train.py", *words, cwd=tmp_path).seen
    lines = err.splitlines()
    ours = next(place for place, line in enumerate(lines) if "_gitparams_capture.py" in line)
    without_ours = lines[:ours] + lines[ours + 2 :]
    expected = without(sys.executable, "train.py", *words, cwd=tmp_path)
    assert (code, out) == expected[:2]
    assert [line for line in without_ours if "^" not in line] == [line for line in expected[2].splitlines() if "^" not in line]


CONFIGARGPARSE = """
    import configargparse, json
    parser = configargparse.ArgParser(default_config_files=["defaults.conf"])
    parser.add_argument("-c", "--config", is_config_file=True)
    parser.add_argument("--lr", type=float, default=0.1, env_var="TRAIN_LR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--amp", action="store_true")
    parser.add_argument("--layers", type=int, action="append", default=None)
    parser.add_argument("name", nargs="?", default="x")
    print(json.dumps(vars(parser.parse_args())))
"""


def test_configargparse_tells_variables_and_config_files_apart(tmp_path):
    script(tmp_path, "train.py", CONFIGARGPARSE)
    (tmp_path / "conf.yaml").write_text("epochs: 7\namp: true\nlayers: [1, 2]\nseed: 9\n")
    run = python("train.py", "-c", "conf.yaml", "--seed", "3", cwd=tmp_path, env={"TRAIN_LR": "5"})
    assert run.told("params", reporter="configargparse") == run.told("params")
    assert run.params == run.dumped
    assert run.origins == [
        {
            "config": ("cli", "--config"),
            "lr": ("env", "TRAIN_LR"),
            "seed": ("cli", "--seed"),
            "epochs": ("file", "conf.yaml"),
            "amp": ("file", "conf.yaml"),
            "layers": ("file", "conf.yaml"),
            "name": ("default", "train.py"),
        }
    ]


def test_configargparse_without_words_reads_the_command_line_too(tmp_path):
    script(tmp_path, "train.py", CONFIGARGPARSE)
    (tmp_path / "defaults.conf").write_text("lr = 4\n")
    run = python("train.py", cwd=tmp_path)
    assert run.params == run.dumped
    assert (run.origins[0]["lr"], run.told("params")[0]["weak"]) == (("file", "defaults.conf"), False)
