"""docs/integrations.md: every example is run in a fresh repository, and prints what the page says; the versions are those of now."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import versions
from world import git

PAGE = (Path(__file__).resolve().parent.parent / "docs/integrations.md").read_text("utf-8")
BLOCK = re.compile(r"^(?:<!-- (?P<name>\S+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```", re.M | re.S)


def sections():
    """Return the heading and the text of each section that has lines for a shell."""
    parts = re.split(r"^## (.+)$", PAGE, flags=re.M)[1:]
    return [(heading, text) for heading, text in zip(parts[::2], parts[1::2], strict=True) if "\n```console\n" in text]


SECTIONS = sections()


@pytest.mark.parametrize("heading,text", SECTIONS, ids=[heading for heading, _ in SECTIONS])
def test_an_example_of_the_page_prints_what_it_says(repo, installed, heading, text):
    blocks = [match.groupdict() for match in BLOCK.finditer(text)]
    for block in blocks:
        if block["name"]:
            path = repo / block["name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block["text"])
    git("add", ".")
    git("commit", "--quiet", "--allow-empty", "-m", "as the page says")
    for block in blocks:
        if block["language"] == "console":
            session(block["text"])


def session(text):
    """Run the lines after ``$``, and hold what they print to the lines below them; ``…`` stands for anything."""
    for call in re.split(r"^\$ ", text, flags=re.M)[1:]:
        line, _, expected = call.partition("\n")
        done = run(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        pattern = r"\s*".join(re.escape(squeezed(row)).replace("…", ".*?") for row in expected.splitlines() if row.strip())
        assert re.search(pattern, squeezed(done.stdout), re.S), f"{line}\n{done.stdout}{done.stderr}"


def squeezed(text):
    return re.sub(r"\s+", " ", text).strip()


def run(line):
    folder = Path(os.environ["HOME"]) / "bin"
    folder.mkdir(exist_ok=True)
    for name, words in (("python", ""), ("gitparams", " -m gitparams")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
        (folder / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100"}
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=environment, timeout=300, check=False)


def test_every_system_of_the_page_has_an_example():
    table = re.search(r"^\| system .*?\n\n", PAGE, re.M | re.S)[0]
    linked = set(re.findall(r"\(#([\w-]+)\)", table))
    assert linked == {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading, _ in SECTIONS}


def test_the_page_lists_the_versions_of_every_system_that_the_tests_run():
    listed = dict(re.findall(r"^\| `([\w.-]+)` \| ([\w.+-]+) \|", PAGE, re.M))
    assert listed.keys() == versions.found().keys()
    assert versions.unlisted(listed) == []
