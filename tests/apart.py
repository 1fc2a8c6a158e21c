"""The systems that live in a venv of their own (`apart.txt`), whose Python `GITPARAMS_TEST_APART` names."""

import os
import subprocess
from pathlib import Path

import pytest

_NAMED = os.environ.get("GITPARAMS_TEST_APART")  # read before the tests' world is cleaned of it
PYTHON = str(Path(_NAMED).absolute()) if _NAMED else None
needed = pytest.mark.skipif(not PYTHON, reason="GITPARAMS_TEST_APART names no Python that has TensorFlow and Neptune")


def write(program, *words, cwd=None):
    """Run one of the programs beside the tests of integrations in that Python."""
    path = Path(__file__).with_name("integrations") / program
    done = subprocess.run([PYTHON, path, *words], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr


def versions(names):
    """Return the version of each distribution there; None of what is not there."""
    if PYTHON is None:
        return dict.fromkeys(names)
    program = "import sys\nfrom importlib.metadata import version\nfor name in sys.argv[1:]: print(version(name))"
    done = subprocess.run([PYTHON, "-c", program, *names], capture_output=True, text=True, check=True)
    return dict(zip(names, done.stdout.split(), strict=True))
