"""What tests do to the world: git, the command line in a process of its own, repositories."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


def git(*words, cwd=None, stdin=None, check=True):
    done = subprocess.run(["git", *map(str, words)], cwd=cwd, input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"git {words}: {done.stderr}")
    return done.stdout.rstrip("\n")


@dataclass
class Outcome:
    code: int
    out: str
    err: str


def gitparams(*words, cwd=None, stdin=None, env=None, timeout=60):
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "gitparams", *map(str, words)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        timeout=timeout,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def unmeasured():
    """Return the environment of a process that saves no coverage at its end: it could not, or its end is what is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "COV_CORE"))}


def make_repository(path, *options):
    path.mkdir(parents=True, exist_ok=True)
    git("init", "--quiet", *options, cwd=path)
    (path / "train.py").write_text("print('training')\n")
    git("add", ".", cwd=path)
    git("commit", "--quiet", "-m", "first", cwd=path)
    return path


class read_only:
    """A folder that nobody may write to, as long as the block lasts."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def __enter__(self):
        self.modes = {path: path.stat().st_mode for path in [self.folder, *self.folder.rglob("*")] if not path.is_symlink()}
        for path in reversed(self.modes):
            path.chmod(0o555 if path.is_dir() else 0o444)

    def __exit__(self, *_):
        for path, mode in self.modes.items():
            path.chmod(mode)


def unprivileged(*words, cwd=None):
    """Run a command to which file modes mean something, also when the tests run as root."""
    drop = [
        "setpriv",
        "--bounding-set=-dac_override,-dac_read_search,-fowner",
        "--inh-caps=-dac_override,-dac_read_search,-fowner",
    ]
    prefix = drop if os.getuid() == 0 else []
    return subprocess.run([*prefix, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False)
