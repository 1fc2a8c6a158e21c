"""A recorded run is run again in a work tree of its own, and the user's repository stays as it was."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from world import git, gitparams, make_repository

from gitparams.delivery import Delivery, Said, deliver
from gitparams.errors import GitParamsError, UsageError
from gitparams.git import Git
from gitparams.model import CodeState, Status
from gitparams.params import MISSING, flatten
from gitparams.repository import Repository
from gitparams.workshop import Again, Workshop, run_again, shortfall
from gitparams.writing import Beginning

ARGPARSE = """
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--amp", action="store_true")
parser.parse_args()
print(pathlib.Path("data.txt").read_text() if pathlib.Path("data.txt").exists() else "no data")
"""
READS_YAML = """
import json, yaml
with open("params.yaml") as file:
    params = yaml.safe_load(file)
with open("metrics.json", "w") as file:
    json.dump({"loss": params["optim"]["lr"] * 2}, file)
"""
PARAMS = "# how we train\noptim:\n  lr: 0.1  # the rate\nseed: 1\n"
SETTINGS = "params: [params.yaml]\nmetrics_files: [metrics.json]\n"


def state(repo):
    """All that a person may notice of a repository but the ledger: files, index, HEAD, refs, stash, work trees, hooks."""
    files = {path.name: path.read_bytes() for path in sorted(repo.rglob("*")) if path.is_file() and ".git" not in path.parts}
    refs = [line for line in git("for-each-ref", cwd=repo).splitlines() if "gitparams" not in line]
    index = (repo / ".git" / "index").read_bytes() if (repo / ".git" / "index").exists() else None
    head = (repo / ".git" / "HEAD").read_text()
    return files, index, head, refs, git("status", "--porcelain", "--ignored", cwd=repo), git("worktree", "list", cwd=repo)


def write(repo, **texts):
    for name, text in texts.items():
        (repo / name.replace("_", ".")).write_text(textwrap.dedent(text).lstrip("\n"))


def commit(repo, message="more"):
    git("add", ".", cwd=repo)
    git("commit", "--quiet", "--message", message, cwd=repo)
    return git("rev-parse", "HEAD", cwd=repo)


def recorded(*words, cwd=None):
    """Run words as a run; return it, and how it was told its params."""
    outcome = gitparams("run", "--", *words, cwd=cwd)
    assert outcome.code == 0, outcome.err
    return latest(cwd)


def latest(cwd=None):
    with Repository.find(cwd) as repository:
        run = repository.run("latest")
        return run, Said.of(run, repository.details(run).origins)


def add_hook(repo, name, marks):
    """Let a hook leave a mark."""
    place = repo / ".git" / "hooks" / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"#!/bin/sh\necho {name} >> '{marks}'\n")
    place.chmod(0o755)


def code_of(run):
    return run.code.commit, run.code.tree, run.code.dirty


# -- the work tree --------------------------------------------------------------------------------------------------------


def test_the_tree_of_a_run_is_there_as_it_was_recorded_on_its_commit(repo, tmp_path):
    write(repo, train_py=ARGPARSE)
    run, _ = recorded(sys.executable, "train.py")
    assert run.code.dirty
    write(repo, train_py="print('new')\n", other_py="")
    commit(repo)
    before = state(repo)

    with Git.find() as own, Workshop(own, tmp_path) as shop:
        top = shop.at(run.code)
        assert (top / "train.py").read_text() == ARGPARSE.lstrip("\n")
        assert sorted(path.name for path in top.iterdir()) == [".git", "train.py"]
        assert git("rev-parse", "HEAD", cwd=top) == run.code.commit
        assert git("write-tree", cwd=top) == run.code.tree
        (top / "train.py").write_text("changed")
        (top / "__pycache__").mkdir()
        assert shop.at("HEAD") == top
        assert sorted(path.name for path in top.iterdir()) == [".git", "other.py", "train.py"]
        assert git("status", "--porcelain", cwd=top) == ""

    assert state(repo) == before
    assert not list(tmp_path.glob("gitparams-workshop-*"))


def test_a_run_whose_commit_is_gone_stands_on_no_commit_and_has_the_same_tree(repo):
    write(repo, train_py=ARGPARSE)
    commit(repo)
    run, said = recorded(sys.executable, "train.py", "--lr", "0.1")
    git("reset", "--quiet", "--hard", "HEAD~1")
    git("reflog", "expire", "--expire=now", "--all")
    git("gc", "--quiet", "--prune=now")
    before = state(repo)

    with Git.find() as own, Workshop(own) as shop:
        again = run_again(shop, run.code, deliver(said, {"lr": 0.5}), print)
        notes = shop.notes

    new, _ = latest()
    assert (again, new.id) == (Again(new.id, 0), again.run)
    assert (new.code.commit, new.code.tree) == (None, run.code.tree)
    assert new.params == {"lr": 0.5, "amp": False}
    assert notes == [f"Commit {run.code.commit[:7]} is not here: the code of its run stands on no commit."]
    assert state(repo) == before


def test_a_repository_without_a_commit_has_a_workshop_too(tmp_path, monkeypatch):
    repo = tmp_path / "repo"
    repo.mkdir()
    git("init", "--quiet", cwd=repo)
    monkeypatch.chdir(repo)
    write(repo, train_py=ARGPARSE)
    git("add", ".", cwd=repo)
    run, said = recorded(sys.executable, "train.py")
    before = state(repo)

    with Git.find() as own, Workshop(own) as shop:
        run_again(shop, run.code, deliver(said, {"lr": 0.5}), print)

    assert code_of(latest()[0]) == code_of(run)
    assert state(repo) == before


@pytest.mark.parametrize("options", [(), ("--object-format=sha256",)])
def test_paths_with_spaces_and_accents_and_sha256_are_no_matter(tmp_path, monkeypatch, options):
    repo = make_repository(tmp_path / "mes études", *options)
    monkeypatch.chdir(repo)
    (repo / "dans un été").mkdir()
    (repo / "dans un été" / "train.py").write_text(ARGPARSE)
    commit(repo)
    run, said = recorded(sys.executable, "train.py", "--lr=0.1", cwd=repo / "dans un été")

    with Git.find() as own, Workshop(own) as shop:
        again = run_again(shop, run.code, deliver(said, {"lr": 0.5}), print, cwd=run.cwd)

    new, _ = latest()
    assert (new.id, new.cwd, new.params["lr"], code_of(new)) == (again.run, "dans un été", 0.5, code_of(run))


def test_no_hook_of_the_user_s_runs_and_a_locked_index_is_no_matter(repo):
    write(repo, train_py=ARGPARSE)
    commit(repo)
    marks = repo.parent / "marks"
    add_hook(repo, "post-checkout", marks)
    add_hook(repo, "reference-transaction", marks)
    add_hook(repo, "post-index-change", marks)
    git("config", "hook.my.own.event", "reference-transaction")
    git("config", "hook.my.own.command", f"echo configured >> '{marks}'; true")
    (repo / ".git" / "index.lock").touch()

    with Git.find() as own, Workshop(own) as shop:
        shop.at("HEAD")

    assert not marks.exists()


def test_a_bare_repository_has_a_workshop(repo, tmp_path):
    git("clone", "--quiet", "--bare", repo, tmp_path / "bare.git")

    with Git.find(tmp_path / "bare.git") as own, Workshop(own) as shop:
        assert (shop.at("HEAD") / "train.py").read_text() == "print('training')\n"
        with pytest.raises(UsageError) as refused:
            shop.link("data")

    assert str(refused.value) == "data cannot be linked: the repository is bare."


def test_submodules_are_left_empty_and_this_is_said(repo, tmp_path):
    other = make_repository(tmp_path / "other")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other, "lib", cwd=repo)
    commit(repo)
    before = state(repo)

    with Git.find() as own, Workshop(own) as shop:
        top = shop.at("HEAD")
        shop.at("HEAD")
        assert list((top / "lib").iterdir()) == []
        assert git("write-tree", cwd=top) == git("rev-parse", "HEAD^{tree}")

    assert shop.notes == ["The submodule lib is left empty: its code is no part of the run."]
    assert state(repo) == before


def test_all_files_are_there_although_the_user_s_checkout_is_sparse(repo):
    (repo / "a").mkdir()
    (repo / "b").mkdir()
    (repo / "a" / "x.py").touch()
    (repo / "b" / "y.py").touch()
    commit(repo)
    git("sparse-checkout", "set", "a")
    before = state(repo)

    with Git.find() as own, Workshop(own) as shop:
        top = shop.at("HEAD")
        assert (top / "b" / "y.py").exists()

    assert not (repo / "b").exists()
    assert state(repo) == before


def test_it_goes_with_the_block_whatever_ends_that_and_other_lost_trees_are_left_alone(repo, tmp_path):
    git("worktree", "add", "--quiet", "--detach", tmp_path / "lost")
    subprocess.run(["rm", "-r", str(tmp_path / "lost")], check=True)
    before = git("worktree", "list")

    with pytest.raises(KeyboardInterrupt), Git.find() as own, Workshop(own, tmp_path) as shop:
        shop.at("HEAD")
        (shop.top / "closed").mkdir(mode=0o000)
        raise KeyboardInterrupt

    assert git("worktree", "list") == before
    assert [path.name for path in tmp_path.iterdir()] == ["repo"]


def test_what_a_killed_process_left_behind_goes_when_the_next_begins(repo, tmp_path):
    code = f"""
import time
from pathlib import Path
from gitparams.git import Git
from gitparams.workshop import Workshop
with Git.find() as own, Workshop(own, Path({str(tmp_path)!r})) as shop:
    shop.at("HEAD")
    print("ready", flush=True)
    time.sleep(60)
"""
    killed = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert killed.stdout.readline() == "ready\n"

    with Git.find() as own, Workshop(own, tmp_path):
        assert len(list(tmp_path.glob("gitparams-workshop-*"))) == 2  # the other one lives
    killed.kill()
    killed.communicate()
    with Git.find() as own, Workshop(own, tmp_path):
        assert len(list(tmp_path.glob("gitparams-workshop-*"))) == 1

    assert len(git("worktree", "list").splitlines()) == 1


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("nowhere", "nowhere is no commit of this repository."),
        (CodeState(), "The code of the run was not kept."),
        (CodeState(dirty=True, note="too large"), "The code of the run was not kept: too large"),
    ],
)
def test_code_that_cannot_be_had_is_refused(repo, code, why):
    with Git.find() as own, Workshop(own) as shop, pytest.raises(UsageError) as refused:
        shop.at(code)

    assert str(refused.value) == why


def test_inside_of_a_hook_the_user_s_repository_is_left_alone_too(repo, monkeypatch):
    first = git("rev-parse", "HEAD")
    write(repo, other_py="")
    commit(repo)
    before = state(repo)
    monkeypatch.setenv("GIT_DIR", str(repo / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(repo / ".git" / "index"))

    with Git.find() as own, Workshop(own) as shop:
        assert sorted(path.name for path in shop.at(first).iterdir()) == [".git", "train.py"]

    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert state(repo) == before


def test_a_folder_that_is_not_there_is_said(repo):
    with pytest.raises(GitParamsError) as refused, Git.find() as own, Workshop(own, repo / "nowhere"):
        pass

    assert str(refused.value) == "No temporary folder can be made: No such file or directory."


# -- data, files, programs ------------------------------------------------------------------------------------------------


def test_untracked_data_is_seen_by_links_and_outlives_the_workshop(repo):
    write(repo, train_py=ARGPARSE, _gitignore="data.txt\nbig/\n")
    commit(repo)
    (repo / "data.txt").write_text("the data")
    (repo / "big").mkdir()
    (repo / "big" / "x").write_text("x")
    before = state(repo)

    with Git.find() as own, Workshop(own) as shop:
        shop.link("data.txt")
        shop.link(repo / "big")
        top = shop.at("HEAD")
        shop.at("HEAD")
        assert ((top / "data.txt").read_text(), (top / "big" / "x").read_text()) == ("the data", "x")
        assert git("status", "--porcelain", "--untracked-files=no", cwd=top) == ""

    assert state(repo) == before


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nowhere", "nowhere cannot be linked: it is not there."),
        ("../x", "../x cannot be linked: it is not in the work tree"),
        ("train.py", "train.py cannot be linked: it holds files that are part of the run's code."),
    ],
)
def test_what_cannot_be_linked_is_refused(repo, path, why):
    with Git.find() as own, Workshop(own) as shop, pytest.raises(UsageError) as refused:
        shop.link(path)
        shop.at("HEAD")

    assert str(refused.value).startswith(why)


def test_params_of_files_are_edited_in_the_workshop_alone(repo):
    write(repo, train_py=READS_YAML, params_yaml=PARAMS, gitparams_yaml=SETTINGS)
    commit(repo)
    run, said = recorded(sys.executable, "train.py")
    (repo / "metrics.json").unlink()
    before = state(repo)

    with Git.find() as own, Workshop(own) as shop:
        again = run_again(
            shop, run.code, deliver(said, {"optim.lr": 1e-5, "seed": 1}), print, beginning=Beginning(tags=("try",), note="n")
        )
        assert (shop.top / "params.yaml").read_text() == PARAMS.replace("0.1 ", "1.0e-05 ")

    new, _ = latest()
    assert (new.id, again.exit_code, new.status, new.tags, new.note) == (again.run, 0, Status.COMPLETED, ("try",), "n")
    assert flatten(new.params) == {"optim.lr": 1e-5, "seed": 1}
    assert new.metrics == {"loss": 2e-5}
    assert (new.code.commit, new.code.dirty) == (run.code.commit, True)
    assert shortfall(new, {"optim.lr": 1e-5, "seed": 1}) == []
    assert shortfall(new, {"optim.lr": 0.1, "seed": True, "x": 1, "y": MISSING}) == [
        ("optim.lr", 0.1, 1e-5),
        ("seed", True, 1),
        ("x", 1, MISSING),
    ]
    assert state(repo) == before


def test_what_a_file_cannot_hold_is_told_and_nothing_is_run(repo):
    write(repo, params_toml="lr = 0.1\nseed = 1\n", train_py="")
    commit(repo)
    (repo / "linked.yaml").write_text("a: 1\n")
    delivery = Delivery(
        (sys.executable, "train.py"),
        files={"params.toml": {"lr": None, "seed": 2}, "linked.yaml": {"a": 2}, "gone.yaml": {"b": 1}},
    )

    with Git.find() as own, Workshop(own) as shop:
        shop.link("linked.yaml")
        again = run_again(shop, "HEAD", delivery, print)

    assert again == Again(
        undelivered=(
            ("lr", "params.toml: TOML has no null."),
            ("a", "linked.yaml is not part of the run's code"),
            ("b", "gone.yaml is not part of the run's code"),
        )
    )
    assert (repo / "linked.yaml").read_text() == "a: 1\n"
    assert gitparams("log", "--json").out.strip() == "[]"


def test_the_folder_and_the_environment_are_those_of_the_run_for_its_time_only(repo, monkeypatch):
    (repo / "sub").mkdir()
    (repo / "sub" / "train.py").write_text(
        "import json, os, gitparams\n"
        "import mine\n"
        "gitparams.start({'lr': os.environ['LR'], 'cwd': os.path.basename(os.getcwd()), 'pwd': os.environ['PWD'] == os.getcwd(),"
        " 'gone': os.environ.get('GONE'), 'git': os.environ.get('GIT_DIR'), 'here': 'workshop' in mine.__file__}).finish()\n"
    )
    (repo / "sub" / "mine").mkdir()
    (repo / "sub" / "mine" / "__init__.py").touch()
    (repo / "src").mkdir()
    (repo / "src" / "mine.py").touch()
    commit(repo)
    own = Git.find()
    monkeypatch.setenv("GIT_DIR", str(repo / ".git"))
    monkeypatch.setenv("GONE", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(repo / "src"), os.environ["PYTHONPATH"]]))
    before = dict(os.environ)
    delivery = Delivery((sys.executable, str(repo / "sub" / "train.py")), variables={"LR": "0.5", "GONE": None})

    with own, Workshop(own) as shop:
        again = run_again(shop, "HEAD", delivery, print, cwd="sub")

    assert (dict(os.environ), Path.cwd()) == (before, repo)
    monkeypatch.delenv("GIT_DIR")
    new, _ = latest()
    assert (new.id, new.cwd, new.command) == (again.run, "sub", (sys.executable, f".{os.sep}train.py"))
    assert dict(new.params) == {"lr": "0.5", "cwd": "sub", "pwd": True, "gone": None, "git": None, "here": True}


def test_a_program_below_the_work_tree_that_git_does_not_track_is_the_user_s(repo):
    (repo / ".gitignore").write_text(".venv\n")
    commit(repo)
    (repo / ".venv").mkdir()
    (repo / ".venv" / "python").symlink_to(sys.executable)

    with Git.find() as own, Workshop(own) as shop:
        shop.at("HEAD")
        assert shop.words((".venv/python", "train.py"), ".") == (str(repo / ".venv" / "python"), "train.py")
        assert shop.words((str(repo / ".venv" / "python"), "x"), ".") == (str(repo / ".venv" / "python"), "x")
        assert shop.words((str(repo / "train.py"),), ".") == ("./train.py",)


def test_a_run_from_outside_of_the_work_tree_cannot_be_repeated(repo):
    with Git.find() as own, Workshop(own) as shop, pytest.raises(UsageError) as refused:
        shop.inside("/somewhere")

    assert str(refused.value) == (
        "The run was started in /somewhere, outside of the work tree, and cannot be repeated beside it."
    )


def test_a_parent_a_failure_and_a_program_that_is_not_there(repo):
    write(repo, train_py="import sys; sys.exit(3)")
    commit(repo)
    first, _ = recorded("true")
    said = []

    with Git.find() as own, Workshop(own) as shop:
        failed = run_again(shop, "HEAD", Delivery((sys.executable, "train.py")), said.append, parent=first.id)
        absent = run_again(shop, "HEAD", Delivery(("no-such-program",)), said.append)

    new, _ = latest()
    assert (failed, new.id, new.parent, new.status) == (Again(new.id, 3), failed.run, first.id, Status.FAILED)
    assert absent == Again(None, 127)
    assert said == ["There is no program 'no-such-program'. Nothing was run or recorded."]


def test_ctrl_c_ends_the_program_is_recorded_and_the_workshop_goes(repo, tmp_path):
    write(repo, train_py="import time; print('up', flush=True); time.sleep(60)")
    commit(repo)
    code = f"""
import sys
from pathlib import Path
from gitparams.delivery import Delivery
from gitparams.git import Git
from gitparams.workshop import Workshop, run_again
with Git.find() as own, Workshop(own, Path({str(tmp_path)!r})) as shop:
    print(run_again(shop, "HEAD", Delivery((sys.executable, "train.py")), print).exit_code, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "up\n"
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)

    assert latest()[0].status is Status.INTERRUPTED
    assert out.splitlines()[-1:] == ["130"]
    assert [path.name for path in tmp_path.iterdir()] == ["repo"]
    assert len(git("worktree", "list").splitlines()) == 1
