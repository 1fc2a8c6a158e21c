"""objects.py and redaction.py are loaded by their path into the user's program: any Python since 3.8, without gitparams."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CAPTURE = Path(__file__).resolve().parent.parent.parent / "gitparams" / "capture"

LOAD = """
import importlib.util, json, sys

def load(path):
    spec = importlib.util.spec_from_file_location("_gitparams_" + path.rsplit("/", 1)[1][:-3], path)
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    spec.loader.exec_module(module)
    loaded.update(set(sys.modules) - before)
    return module

loaded = set()
objects, redaction = load(sys.argv[1]), load(sys.argv[2])
assert importlib.util.find_spec("gitparams") is None
"""

OBJECTS = """
import argparse, collections, dataclasses, datetime, decimal, enum, functools, pathlib

@dataclasses.dataclass
class Optim:
    lr: float = 0.1
    betas: tuple = (0.9, 0.999)

class Color(enum.Enum):
    RED = 1

class Tracked(dict):
    __gitparams_untracked__ = True
    def items(self):
        raise AssertionError("this is a reading of the program")

class Broken:
    def __repr__(self):
        raise RuntimeError("no")

cyclic = {"name": "loop"}
cyclic["self"] = cyclic
print(json.dumps(objects.plain({
    "optim": Optim(),
    "args": argparse.Namespace(color=Color.RED, out=pathlib.PurePosixPath("runs/1")),
    "point": collections.namedtuple("Point", "x y")(1, 2.5),
    "tracked": Tracked(lr=Tracked(start=1)),
    "when": datetime.date(2026, 11, 23),
    "exact": decimal.Decimal("0.1"),
    "partial": functools.partial(int, base=2),
    "views": [{"a": 1}.keys(), {3, 1, 2}, range(3), b"abc"],
    "huge": 10 ** 4300 > 0 and len(objects.plain(10 ** 4300)),
    "cyclic": cyclic,
    "broken": Broken(),
    "function": len,
    1: "int", "1": "str",
})))
print(json.dumps(len(objects.plain({str(number): number for number in range(100000)}))))
print(json.dumps(objects.key_texts([1, "1", None, (1, 2)])))
"""

REDACTION = """
given = redaction.Redaction.from_document(json.loads(sys.argv[3])).knowing({"HF_TOKEN": "correct-horse", "PATH": "/bin:/usr/bin"})
values = {
    "db": {"password": "hunter2", "port": 5432}, "account_id": 7, "demo": {"token": "shown"},
    "hosts": [{"api_key": "abc"}], "url": "https://me:pw@host/x", "max_new_tokens": "64", "note": "is correct-horse",
}
print(json.dumps(given.values(values)))
print(json.dumps(given.command(["python", "--db-password", "x", "--account-id=7", "-p", "demo.token=shown", "correct-horse"])))
print(json.dumps(given.text("ghp_" + "a1" * 18 + " and correct-horse")))
print(json.dumps(sorted(loaded & {"typing", "dataclasses", "inspect", "pathlib", "fnmatch", "gitparams"})))
"""


def python_of(version):
    """Return the Python of a version: beside the one that runs the tests, or on the PATH."""
    beside = sorted(Path(sys.base_prefix).parent.glob(f"*/bin/python{version}"))
    found = [*map(str, beside), shutil.which(f"python{version}")]
    working = [
        name for name in found if name and subprocess.run([name, "-c", ""], capture_output=True, check=False).returncode == 0
    ]
    if not working:
        pytest.skip(f"there is no Python {version} here")
    return working[0]


@pytest.fixture(params=["this", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def python(request):
    return sys.executable if request.param == "this" else python_of(request.param)


def answers(python, program, folder, *words):
    command = [python, "-S", "-E", "-B", "-c", LOAD + program, CAPTURE / "objects.py", CAPTURE / "redaction.py", *words]
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_objects_become_values_in_every_python_without_gitparams(python, tmp_path):
    assert answers(python, OBJECTS, tmp_path) == [
        {
            "optim": {"lr": 0.1, "betas": [0.9, 0.999]},
            "args": {"color": "RED", "out": "runs/1"},
            "point": {"x": 1, "y": 2.5},
            "tracked": {"lr": {"start": 1}},
            "when": "2026-11-23",
            "exact": 0.1,
            "partial": {"_target_": "builtins.int", "_partial_": True, "base": 2},
            "views": [["a"], [1, 2, 3], "range(0, 3)", "abc"],
            "huge": len(hex(10**4300)),
            "cyclic": {"name": "loop", "self": "<cycle>"},
            "broken": "<__main__.Broken>",
            "function": "builtins.len",
            "1 (int)": "int",
            "1": "str",
        },
        100_000,
        ["1 (int)", "1", "null", "(1, 2)"],
    ]


LOADED = """
import importlib.util, sys

for path in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location("_gitparams_" + path.rsplit("/", 1)[1][:-3], path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
"""


def test_whatever_is_loaded_into_the_program_loads_in_every_python_without_gitparams(python):
    beside = [CAPTURE / name for name in ("objects.py", "redaction.py", "lines.py", "composed.py")]
    files = [CAPTURE / "program" / "path" / "_gitparams_capture.py", *beside, *sorted((CAPTURE / "program").glob("*.py"))]
    doors = sorted((CAPTURE / "program" / "doors").glob("*.py"))
    place = f"import sys; sys.path.insert(0, {str(CAPTURE / 'program' / 'path')!r})"
    command = [python, "-S", "-E", "-B", "-c", place + LOADED, *map(str, [*files, *doors])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_secrets_are_replaced_in_every_python_without_gitparams(python, tmp_path):
    document = json.dumps({"secret": ["account*"], "plain": ["demo.token"]})

    values, command, text, loaded = answers(python, REDACTION, tmp_path, document)

    assert values == [
        {
            "db": {"password": "<redacted>", "port": 5432},
            "account_id": "<redacted>",
            "demo": {"token": "shown"},
            "hosts": [{"api_key": "<redacted>"}],
            "url": "https://<redacted>@host/x",
            "max_new_tokens": "64",
            "note": "is <redacted>",
        },
        [["db", "password"], ["account_id"], ["hosts"], ["url"], ["note"]],
    ]
    assert command == [
        "python",
        "--db-password",
        "<redacted>",
        "--account-id=<redacted>",
        "-p",
        "demo.token=shown",
        "<redacted>",
    ]
    assert text == "<redacted> and <redacted>"
    assert loaded == []
