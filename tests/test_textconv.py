"""The diff driver: what `git diff` shows of params files, in real repositories."""

import subprocess
import sys

import pytest
from world import git, gitparams

from gitparams.textconv import main, text_of


@pytest.fixture
def project(repo):
    """A repository with declared params and the driver."""
    (repo / "conf").mkdir()
    (repo / "conf" / "train.yaml").write_text("# first\noptim:\n  lr: 0.1\n  name: adam\nseed: 1\n")
    (repo / "gitparams.yaml").write_text("params: [conf/train.yaml]\n")
    git("add", ".")
    git("commit", "-q", "-m", "params")
    assert gitparams("init", "--no-hooks", "--textconv").code == 0
    return repo


def hunk(text):
    return [line for line in text.split("\n") if line[:1] in ("+", "-") and line[:3] not in ("+++", "---")]


def attributes(repo):
    return (repo / ".git" / "info" / "attributes").read_text()


def test_git_diff_shows_params_and_not_lines(project):
    (project / "conf" / "train.yaml").write_text("seed: 1   # the same\noptim: {name: 'adam', lr: 0.01}\n")

    assert hunk(git("diff")) == ["-optim.lr = 0.1", "+optim.lr = 0.01"]


def test_git_log_and_show_do_so_too(project):
    (project / "conf" / "train.yaml").write_text("optim: {lr: 0.1, name: sgd}\nseed: 1\n")
    git("commit", "-q", "-a", "-m", "sgd")

    expected = ["-optim.name = adam", "+optim.name = sgd"]
    assert (hunk(git("show")), hunk(git("log", "-p", "-1"))) == (expected, expected)


def test_order_comments_and_quotes_are_no_difference(project):
    (project / "conf" / "train.yaml").write_text('seed: 1\n# other words\noptim: {name: "adam", lr: 0.10}\n')

    assert hunk(git("diff")) == []


def test_types_are_told_apart(project):
    (project / "conf" / "train.yaml").write_text("optim: {lr: 0.1, name: adam}\nseed: '1'\n")

    assert hunk(git("diff")) == ["-seed = 1", '+seed = "1"']


def test_a_conflict_is_shown_as_it_is(project):
    (project / "conf" / "train.yaml").write_text("<<<<<<< HEAD\nseed: 1\n=======\nseed: 2\n>>>>>>> x\n")

    assert "+<<<<<<< HEAD" in hunk(git("diff"))


def test_nothing_is_written_in_the_work_tree(project):
    assert git("status", "--short") == ""
    assert attributes(project) == "/conf/train.yaml diff=gitparams\n"


def test_doing_it_twice_is_doing_it_once_and_what_is_there_stays(project):
    (project / ".git" / "info" / "attributes").write_text("*.png -diff\n/old.yaml diff=gitparams\n")

    gitparams("init", "--no-hooks", "--textconv")
    once = attributes(project), git("config", "--local", "--list")
    gitparams("init", "--no-hooks", "--textconv")

    assert (attributes(project), git("config", "--local", "--list")) == once
    assert attributes(project) == "*.png -diff\n/conf/train.yaml diff=gitparams\n"


def test_it_is_undone_without_a_trace(project):
    (project / ".git" / "info" / "attributes").write_text("*.png -diff\n/conf/train.yaml diff=gitparams\n")

    done = gitparams("init", "--no-hooks", "--no-textconv")

    assert done.err.endswith("gitparams: git diff shows the lines of params files again.\n")
    assert attributes(project) == "*.png -diff\n"
    assert "diff.gitparams" not in git("config", "--local", "--list")
    assert gitparams("init", "--no-hooks", "--no-textconv").code == 0


@pytest.mark.parametrize(
    ("word", "file", "pattern"),
    [
        ("data.aug=conf/aug.yaml", "conf/aug.yaml", "/conf/aug.yaml"),
        ("conf/**/*.yaml", "conf/deep/er.yaml", "/conf/**/*.yaml"),
        ("my params/a b.json", "my params/a b.json", '"/my params/a b.json"'),
    ],
)
def test_prefixes_globs_and_blanks_are_understood(repo, word, file, pattern):
    (repo / "gitparams.yaml").write_text(f'params: ["{word}"]\n')
    (repo / file).parent.mkdir(parents=True)
    (repo / file).write_text('{"lr": 0.1}\n')
    git("add", ".")
    assert gitparams("init", "--no-hooks", "--textconv").code == 0
    (repo / file).write_text('{"lr": 0.2}\n')

    assert attributes(repo) == f"{pattern} diff=gitparams\n"
    assert hunk(git("diff")) == ["-lr = 0.1", "+lr = 0.2"]


def test_without_params_files_nothing_is_registered(repo):
    done = gitparams("init", "--no-hooks", "--textconv")

    assert done.err.endswith("gitparams: git diff stays as it is: gitparams.yaml declares no params files.\n")
    assert "diff.gitparams" not in git("config", "--local", "--list")


def test_a_python_with_blanks_and_quotes_in_its_path_is_found(project, tmp_path):
    python = tmp_path / "it's a venv" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    register = (
        "import sys; sys.executable = sys.argv[1]; from gitparams.cli import main; main(['init', '--no-hooks', '--textconv'])"
    )
    subprocess.run([sys.executable, "-c", register, str(python)], check=True, capture_output=True)
    (project / "conf" / "train.yaml").write_text("optim: {lr: 0.01, name: adam}\nseed: 1\n")

    assert "it's a venv" in git("config", "diff.gitparams.textconv").replace("'\"'\"'", "'")
    assert hunk(git("diff")) == ["-optim.lr = 0.1", "+optim.lr = 0.01"]


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (b"b: [1, 2]\na: {}\n", "x.yaml", b"a = {}\nb = [1, 2]\n"),
        (b'{"b": 1e-5, "a": null}', "x.json", b"a = None\nb = 1e-5\n"),
        (b"[optim]\nlr = 0.1\n", "x.toml", b"optim.lr = 0.1\n"),
        (b"lr: 0.1\n", "git-blob-x", b"lr = 0.1\n"),
        (b'{"lr":\t0.1}', "git-blob-x", b"lr = 0.1\n"),
        (b"- 1\n", "x.yaml", b"- 1\n"),
        (b"a: 1\na: 2\n", "x.yaml", b"a: 1\na: 2\n"),
        (b"\xff\xfe", "x.yaml", b"\xff\xfe"),
        (b"", "x.yaml", b""),
        (b"just words", "unknown.txt", b"just words"),
    ],
)
def test_what_a_file_becomes(data, name, expected):
    assert text_of(data, name) == expected


def test_a_file_that_is_not_there_is_named(capsys):
    assert main(["nowhere.yaml"]) == 1
    assert capsys.readouterr().err == "gitparams: nowhere.yaml cannot be read: No such file or directory.\n"


def test_it_starts_without_typer_and_the_index(tmp_path):
    (tmp_path / "x.yaml").write_text("lr: 0.1\n")
    code = (
        "import sys; before = set(sys.modules)  # whoever measures coverage is here already\n"
        "from gitparams.textconv import main; main(['x.yaml'])\n"
        "print({'typer', 'click', 'rich', 'sqlite3', 'git', 'deepdiff', 'subprocess'} & (set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.splitlines()) == ["lr = 0.1", "set()"]
