"""A program with and without what is injected: whatever it shows must be the same."""

import os
import re
import shutil
import subprocess
import sys

from launch import python

_CLOCK = re.compile(r"\d{4}-\d\d-\d\d[ T/_]\d\d[:-]\d\d[:-]\d\d([.,]\d+)?")


def both(*words, cwd, env=None, stdin=None, how=None):
    """Run the Python of the tests in a folder, first as it is and then told of; return what was told.

    The folder is as before for the second run, so that its path, too, is the same in both.
    """
    before = cwd.with_name(cwd.name + "-before")
    shutil.copytree(cwd, before)
    bare = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    shutil.rmtree(cwd)
    before.rename(cwd)
    told = python(*words, cwd=cwd, env=env, stdin=stdin, how=how)
    assert (told.code, _timeless(told.out), _timeless(told.err)) == (
        bare.returncode,
        _timeless(bare.stdout),
        _timeless(bare.stderr),
    )
    assert told.told("fault") == []
    return told


def _timeless(text):
    return _CLOCK.sub("<time>", text)
