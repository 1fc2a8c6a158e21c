"""The doctor finds what is wrong, says it in one line with the next step, and mends it without losing anything."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from world import git, gitparams, make_repository

LONG_AGO = 1_000_000_000


@pytest.fixture(autouse=True)
def no_foreign_spool(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def record(*words, cwd=None):
    done = gitparams("record", *words, cwd=cwd)
    assert done.code == 0, done.err
    return done.out.strip()


def faults(*words, cwd=None):
    """Ask the doctor, and return what is not good: pairs of a sentence and a hint."""
    done = gitparams("doctor", "--json", *words, cwd=cwd)
    found = [(item["says"], item["hint"]) for item in json.loads(done.out) if not item["good"]]
    assert done.code == (1 if found else 0) and "Traceback" not in done.err, done.err
    return found


def mended():
    """Let the doctor mend what it can, and return what it says of that."""
    before = {item["says"] for item in json.loads(gitparams("doctor", "--json").out)}
    done = gitparams("doctor", "--json", "--fix")
    assert done.code == 0, done.out
    said = [item["says"] for item in json.loads(done.out) if item["says"] not in before]
    assert faults() == []
    return said


def old(path):
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def refs():
    return git("for-each-ref", "--format=%(refname)", "refs/gitparams").split()


def runs():
    return [run["params"] for run in json.loads(gitparams("log", "--json").out)]


def test_a_sound_repository_has_no_fault_and_nothing_is_changed(repo):
    record("-p", "lr=1")
    before = (git("for-each-ref"), (repo / ".git/config").read_bytes())
    done = gitparams("doctor")
    assert (done.code, done.err, faults("--fix")) == (0, "", [])
    version, tip = git("version"), git("rev-parse", "--short=10", "refs/gitparams/runs")
    assert done.out == (
        f"ok    git       {version}.\n"
        "ok    identity  Entries are written as Ada <ada@example.com>.\n"
        '                hint: git config --global user.name "Your Name"; git config --global user.email you@example.com\n'
        f"ok    ledger    1 entry up to {tip}.\n"
        "ok    index     1 run.\n"
        "ok    code      The code of every run is there.\n"
        "ok    remotes   0 remotes.\n"
        "ok    journals  0 runs go on.\n"
        "ok    settings  Experiment default, 0 params files.\n"
        "ok    hook      pre-run             not installed (gitparams hooks install).\n"
        "ok    hook      post-run            not installed (gitparams hooks install).\n"
        "ok    hook      post-rewrite        not installed (gitparams hooks install).\n"
        "ok    spool     No run waits.\n"
    )
    assert (git("for-each-ref"), (repo / ".git/config").read_bytes()) == before


# -- what a killed process left -------------------------------------------------------------------------------------------


def test_a_lock_that_was_left_is_found_and_removed_and_a_fresh_one_is_not(repo):
    record("-p", "lr=1")
    lock = repo / ".git/refs/gitparams/runs.lock"
    lock.touch()
    assert faults("--fix") == [] and lock.exists()
    old(lock)
    assert faults() == [(f"{lock} was left by a process that died: a lock that stops every append.", "gitparams doctor --fix")]
    assert mended() == [f"{lock}, a lock that stops every append, is removed."]
    record("-p", "lr=2")


def test_a_keep_file_of_ours_is_removed_and_one_of_somebody_else_stays(repo):
    packs = repo / ".git/objects/pack"
    ours, theirs = packs / "pack-1.keep", packs / "pack-2.keep"
    ours.write_text("gitparams\n")
    theirs.write_text("fetch-pack 1 on host\n")
    old(ours)
    old(theirs)
    assert len(faults()) == 1
    assert mended() == [f"{ours}, a mark that keeps git from tidying up a pack, is removed."]
    assert (ours.exists(), theirs.exists()) == (False, True)


def test_a_folder_of_a_bundle_that_was_never_brought_in_is_removed(repo):
    record("-p", "lr=1")
    folder = repo / ".git/gitparams/incoming-abc"
    folder.mkdir()
    (folder / "HEAD").write_text("x")
    old(folder)
    assert mended() == [f"{folder}, a bundle that was never brought in, is removed."] and not folder.exists()


# -- remotes --------------------------------------------------------------------------------------------------------------


def test_the_ledger_of_a_remote_that_is_gone_is_removed_and_what_only_it_held_is_kept(repo, tmp_path):
    record("-p", "lr=1")
    away = make_repository(tmp_path / "away")
    record("-p", "lr=2", cwd=away)
    git("remote", "add", "hub", away)
    git("fetch", "-q", "hub", "refs/gitparams/runs:refs/gitparams/remotes/hub/runs")
    assert faults() == []
    git("remote", "rename", "hub", "origin")
    (sentence,) = faults()
    assert sentence == ("refs/gitparams/remotes/hub/runs is of a remote that is not there any more.", "gitparams doctor --fix")
    (said,) = mended()
    assert said.startswith("refs/gitparams/remotes/hub/runs was of a remote that is not there any more:")
    assert refs() == ["refs/gitparams/runs"] and sorted(run["lr"] for run in runs()) == [1, 2]


def test_a_refspec_by_which_a_fetch_would_replace_the_ledger_is_mended(repo, tmp_path):
    record("-p", "lr=1")
    git("remote", "add", "hub", tmp_path)
    git("config", "--add", "remote.hub.fetch", "+refs/gitparams/runs:refs/gitparams/runs")
    assert faults() == [
        (
            "hub has the refspec +refs/gitparams/runs:refs/gitparams/runs, by which a fetch replaces the ledger here.",
            "gitparams doctor --fix",
        )
    ]
    mended()
    assert git("config", "--get-all", "remote.hub.fetch").splitlines() == [
        "+refs/heads/*:refs/remotes/hub/*",
        "+refs/gitparams/runs*:refs/gitparams/remotes/hub/runs*",
    ]


# -- the ledger, its code, the index --------------------------------------------------------------------------------------


def test_code_that_is_missing_is_named_with_its_run(repo):
    run = record("-p", "lr=1")
    assert faults() == []
    (repo / "train.py").write_text("print('changed')\n")
    second = record("-p", "lr=2")
    tree = git("rev-parse", "refs/gitparams/runs:code")
    (repo / ".git/objects" / tree[:2] / tree[2:]).unlink()
    assert faults() == [
        (
            f"The code of run {second[:8]} is missing here; all else of them is there.",
            "git fetch --refetch origin refs/gitparams/runs   (another clone may have it)",
        )
    ]
    assert run and gitparams("log").code == 0


def test_entries_that_are_missing_are_found(repo):
    record("-p", "lr=1")
    record("-p", "lr=2")
    commit = git("rev-parse", "refs/gitparams/runs~1")
    tip = git("rev-parse", "--short=10", "refs/gitparams/runs")
    (repo / ".git/objects" / commit[:2] / commit[2:]).unlink()
    assert (
        f"Entries before {tip} are missing or damaged here.",
        "git fetch --refetch origin refs/gitparams/runs   (another clone may have them); git fsck",
    ) in faults()


@pytest.mark.parametrize("sql", ["DELETE FROM entries", "UPDATE entries SET tree = '0' || substr(tree, 2)"])
def test_an_index_that_lies_is_made_anew(repo, sql):
    record("-p", "lr=1")
    with sqlite3.connect(repo / ".git/gitparams/index.db") as connection:
        connection.execute(sql)
        connection.execute("UPDATE runs SET params = '{}'")
    done = gitparams("doctor")
    assert done.code == 0 and "1 run; it was damaged and made anew." in done.out
    assert runs() == [{"lr": 1}]


def test_a_ledger_that_was_cut_says_how_to_get_the_rest(repo, tmp_path):
    record("-p", "lr=1")
    record("-p", "lr=2")
    clone = tmp_path / "clone"
    git("clone", "-q", f"file://{repo}", clone)
    git("fetch", "-q", "--depth=1", "origin", "refs/gitparams/runs:refs/gitparams/runs", cwd=clone)
    assert faults(cwd=clone) == [
        (
            "The ledger was cut by a shallow fetch: older runs are missing here.",
            "git fetch --unshallow origin refs/gitparams/runs",
        )
    ]
    git("fetch", "-q", "--unshallow", "origin", "refs/gitparams/runs", cwd=clone)
    assert faults(cwd=clone) == []


def test_in_a_partial_clone_code_that_is_not_here_is_no_fault_and_nothing_is_fetched(repo, tmp_path):
    git("config", "uploadpack.allowFilter", "true")
    (repo / "data.txt").write_text("much\n")
    record("-p", "lr=1")
    clone = tmp_path / "clone"
    git("clone", "-q", "--filter=blob:none", f"file://{repo}", clone)
    gitparams("pull", cwd=clone)
    shutil.move(repo, tmp_path / "gone")
    done = gitparams("doctor", cwd=clone)
    assert done.code == 0 and "This is a partial clone" in done.out


# -- journals, spool, hooks, signing --------------------------------------------------------------------------------------


def test_a_journal_that_cannot_be_read_is_named_and_kept(repo):
    record("-p", "lr=1")
    folder = repo / ".git/gitparams/live/klmnopqrstuvwxyz"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("rubbish")
    (folder / "series.jsonl").write_text('{"step":0,"time":1,"loss":1}\n')
    ((says, hint),) = faults("--fix")
    assert says.startswith(f"{folder}: The journal's run.json cannot be read: ")
    assert (hint, folder.exists()) == ("what was logged is in its series.jsonl", True)


def test_a_run_that_ended_and_is_not_on_the_ledger_is_named(repo):
    hook = repo / ".git/hooks/reference-transaction"
    hook.write_text("#!/bin/sh\ncase $1 in prepared) exit 1;; esac\n")
    hook.chmod(0o755)
    program = "import gitparams\nwith gitparams.start({'lr': 1}):\n    pass\n"
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    ((says, _),) = faults()
    assert says.startswith("Run ") and says.endswith(" ended and is not on the ledger yet; each command tries again.")
    hook.unlink()
    assert faults() == [] and runs() == [{"lr": 1}]


def test_runs_that_wait_in_the_spool_are_counted(repo, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setenv("PATH", "/nowhere")
        gitparams("run", "-p", "lr=1", "--", sys.executable, "-c", "", cwd=repo)
    spool = Path(os.environ["XDG_STATE_HOME"]) / "gitparams" / "spool"
    assert faults() == [(f"1 run waits in {spool}.", "gitparams import spool")]
    (spool / "zyxwvutsrqponmlk").mkdir()  # a process that died before it said what its run is
    assert faults() == [(f"1 run waits in {spool}.", "gitparams import spool")]
    assert gitparams("import", "spool").code == 0
    assert faults() == []


def test_runs_of_another_place_in_the_spool_are_no_fault_of_this_one(repo, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    gitparams("run", "-p", "lr=1", "--", "true", cwd=outside)
    spool = Path(os.environ["XDG_STATE_HOME"]) / "gitparams" / "spool"
    assert faults() == []
    assert f"1 run waits in {spool}, started elsewhere." in gitparams("doctor").out


def test_a_hook_that_git_would_not_run_is_installed_again(repo):
    gitparams("hooks", "install")
    hook = next(iter([*repo.glob(".git/hooks/pre-run"), *repo.glob(".git/gitparams/hooks/pre-run")]))
    hook.chmod(0o644)
    assert len(faults()) == 1
    mended()
    assert hook.stat().st_mode & 0o111


def test_a_signer_that_does_not_work_is_found_before_a_run_needs_it(repo):
    git("config", "gitparams.sign", "true")
    git("config", "gpg.format", "ssh")
    git("config", "user.signingKey", "/nowhere")
    ((says, hint),) = faults()
    assert says.startswith("The entry could not be signed: ") and hint.startswith("git config user.signingKey KEY")


def test_a_run_of_another_machine_that_gives_no_sign_of_life_is_recorded_as_lost_only_when_asked(repo):
    program = "import gitparams, os\nrun = gitparams.start({'lr': 1})\nos._exit(0)\n"
    old_time = {"GIT_COMMITTER_DATE": "1700000000 +0000"}
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env={**os.environ, **old_time})
    shutil.rmtree(repo / ".git/gitparams")
    # As it looks on another machine: no journal, another boot, an entry of long ago.
    document = json.loads(git("cat-file", "blob", "refs/gitparams/runs:run.json"))
    document.update(host="elsewhere", started="2023-11-14T22:13:20+00:00")
    document["environment"] = {}
    document["event"]["time"] = "2023-11-14T22:13:20+00:00"
    blob = git("hash-object", "-w", "--stdin", stdin=json.dumps(document))
    lines = [line for line in git("ls-tree", "refs/gitparams/runs").splitlines() if not line.endswith("run.json")]
    tree = git("mktree", stdin="\n".join([*lines, f"100644 blob {blob}\trun.json"]) + "\n")
    message = git("log", "-1", "--format=%B", "refs/gitparams/runs")
    git("update-ref", "refs/gitparams/runs", git("commit-tree", tree, stdin=message))

    ((says, hint),) = faults()
    assert (says, hint) == (
        f"Run {document['id'][:8]} on elsewhere is recorded as running, and gives no sign of life.",
        "gitparams doctor --fix",
    )
    assert mended() == [f"Run {document['id'][:8]} on elsewhere is recorded as lost now."]
    assert json.loads(git("cat-file", "blob", "refs/gitparams/runs:run.json"))["status"] == "lost"
