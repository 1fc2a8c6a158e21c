"""The gits that hooks are tested with: the one on the PATH, and those in the folders that GITPARAMS_TEST_GITS names."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

_ASKED = [folder for folder in os.environ.get("GITPARAMS_TEST_GITS", "").split(os.pathsep) if folder]
GITS = list(dict.fromkeys([str(Path(shutil.which("git") or "git").parent), *_ASKED]))


def _version(folder):
    answer = subprocess.run([str(Path(folder, "git")), "version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)", answer)
    return int(found[1]), int(found[2])


VERSIONS = {folder: _version(folder) for folder in GITS}
CONFIG = [folder for folder in GITS if VERSIONS[folder] >= (2, 54)]
FILES = [folder for folder in GITS if VERSIONS[folder] < (2, 54)]


def use(folder, monkeypatch):
    monkeypatch.setenv("PATH", os.pathsep.join([folder, os.environ["PATH"]]))
    return VERSIONS[folder]


def each(folders, why):
    """Return a fixture: each of some gits in turn, first on the PATH; its value is the version."""
    params = folders or [pytest.param(None, marks=pytest.mark.skip(why))]

    def chosen(request, monkeypatch):
        return use(request.param, monkeypatch)

    return pytest.fixture(params=params, ids=_name if folders else None)(chosen)


def _name(folder):
    return "git-" + ".".join(map(str, VERSIONS[folder]))


def script(path, text, mode=0o755):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def process(*words, cwd, stdin=None, **variables):
    return subprocess.run(
        words, cwd=cwd, input=stdin, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60, check=False
    )
