"""A world of its own for every test: home, identity, git configuration, and repositories in temporary folders."""

import os
import signal
import tomllib
from pathlib import Path

import pytest
from world import make_repository

# Whoever runs the tests in the background or below nohup has these ignored, and every child would inherit that.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def hermetic(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("GIT_", "GITPARAMS_", "SLURM_", "OMPI_", "PMI_")) or name in (
            "RANK",
            "NO_COLOR",
            "FORCE_COLOR",
            "COLUMNS",
            "PYTEST_ADDOPTS",  # a program that runs pytest is not these tests
        ):
            monkeypatch.delenv(name)
    (home / "tmp").mkdir()
    settings = {
        "TMPDIR": str(home / "tmp"),  # the spool of last resort is in there
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": "false",
        "GIT_PAGER": "cat",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "TZ": "UTC",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    (home / ".gitconfig").write_text("[init]\n\tdefaultBranch = main\n[core]\n\tautocrlf = false\n")


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """A fresh repository with one commit; the test stands in it."""
    path = make_repository(tmp_path / "repo")
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def installed(tmp_path_factory, monkeypatch):
    """The entry points of a wheel, for tests of a source tree that nobody installed; where it is, that one counts."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folder = tmp_path_factory.mktemp("site") / "gitparams-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: gitparams\nVersion: 0.1.0\n")
    lines = [
        line
        for group, names in settings["project"]["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in names.items()))
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setenv("PYTHONPATH", str(folder.parent), prepend=os.pathsep)
    return folder.parent
