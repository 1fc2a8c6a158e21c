"""A program started as `gitparams run` starts it, with nothing but what is injected; and what it told."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import gitparams

PROGRAM = Path(gitparams.__file__).parent / "capture" / "program"
RUN = "kkkkllllmmmmnnnn"
STATE = {
    "run": {
        "format": 1,
        "id": RUN,
        "event": {"kind": "start", "time": "2026-11-23T10:00:00+00:00", "nonce": "00"},
        "experiment": "default",
        "status": "running",
        "started": "2026-11-23T10:00:00+00:00",
    },
    "params": {},
    "metrics": {},
    "origins": {},
    "author": "A <a@example.com>",
}


@dataclass
class Launched:
    code: int
    out: str
    err: str
    live: Path
    messages: list = field(default_factory=list)

    def told(self, kind, **facts):
        """Return the messages of a kind whose facts are these."""
        return [
            message
            for message in self.messages
            if message["kind"] == kind and all(message.get(key) == value for key, value in facts.items())
        ]

    @property
    def seen(self):
        """What a user sees of the program: exit code, output, errors."""
        return self.code, self.out, self.err

    @property
    def params(self):
        """The values that were told, a mapping a message, in order."""
        return [message["values"] for message in self.told("params")]

    @property
    def origins(self):
        """The origins that were told, a mapping a message, in order."""
        return [{path: tuple(origin) for path, origin in message["origins"].items()} for message in self.told("params")]

    @property
    def dumped(self):
        """What the program printed of its params by itself, a mapping a line."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]


def launch(*words, cwd, how=None, env=None, stdin=None, timeout=120, program=PROGRAM):
    """Run words with the capture injected; `how` is what gitparams.yaml wants of it."""
    live = Path(cwd) / ".live"
    folder = live / RUN / "capture"
    folder.mkdir(parents=True, exist_ok=True)
    (live / RUN / "run.json").write_text(json.dumps(STATE))
    (folder / "how.json").write_text(json.dumps(how or {}))
    environment = {**os.environ, "GITPARAMS_RUN": RUN, "GITPARAMS_CAPTURE": str(folder), **(env or {})}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(program / "path"), environment.get("PYTHONPATH")]))
    if (how or {}).get("globals"):
        environment["GITPARAMS_GLOBALS"] = "1"
    done = _run(words, cwd, environment, stdin, timeout)
    files = sorted(folder.glob("[0-9]*.json"), key=lambda file: [int(part) for part in file.stem.split("-")[:1]])
    return Launched(done.returncode, done.stdout, done.stderr, live, [json.loads(file.read_text()) for file in files])


def without(*words, cwd, env=None, stdin=None, timeout=120):
    """Run words with nothing injected; return exit code, output and errors, as `Launched.seen` has them."""
    done = _run(words, cwd, {**os.environ, **(env or {})}, stdin, timeout)
    return done.returncode, done.stdout, done.stderr


def _run(words, cwd, environment, stdin, timeout):
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def python(*words, cwd, **options):
    """Run the Python of the tests with the capture injected."""
    return launch(sys.executable, *words, cwd=cwd, **options)


def python_of(version):
    """Return the Python of a version: beside the one that runs the tests, or on the PATH; skip the test where there is none."""
    beside = sorted(Path(sys.base_prefix).parent.glob(f"*/bin/python{version}"))
    found = [*map(str, beside), shutil.which(f"python{version}")]
    working = [name for name in found if name and subprocess.run([name, "-c", ""], capture_output=True).returncode == 0]
    if not working:
        pytest.skip(f"there is no Python {version} here")
    return working[0]


def script(folder, name, text):
    """Write a program of the user's, and return its name."""
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip("\n"))
    return name


def elsewhere(folder):
    """Copy what is injected to a place where no gitparams can be imported, and return it."""
    copy = Path(folder) / "elsewhere" / "capture"
    shutil.copytree(PROGRAM.parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy / "program"
