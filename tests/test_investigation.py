"""`gitparams bisect` as a person uses it: real runs of a real training, of programs with files of params, of many commits."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from world import git, gitparams

TRAINING = Path(__file__).with_name("training.py")
GOOD = "--lr 0.1 --momentum 0.0 --decay 0.0 --clip 5 --init 0.01 --warmup 0 --noise 0 --epochs 20 --batch 10 --points 200"
BAD = (
    "--lr 0.12 --momentum 0.1 --decay 0.5 --clip 4 --init 0.02 --warmup 2 --noise 0.2 --epochs 22 --batch 12 --points 190"
    " --shuffle --scale 1.5"
)


def program(repo: Path, text: str, **files: str) -> None:
    """Commit a program that leaves its metrics in metrics.json, and other files."""
    (repo / "train.py").write_text(text)
    (repo / "gitparams.yaml").write_text(files.pop("settings", "metrics_files: [metrics.json]\n"))
    (repo / ".gitignore").write_text("metrics.json\ndata/\n")
    for name, content in files.items():
        (repo / name.replace("_", ".")).write_text(content)
    git("add", "-A", cwd=repo)
    git("commit", "-qm", "program", cwd=repo)


def recorded(repo: Path, name: str, *words: str) -> None:
    outcome = gitparams("run", "--name", name, "--", sys.executable, "train.py", *words, cwd=repo)
    assert outcome.code == 0, outcome.err


def count(repo: Path) -> int:
    return len(json.loads(gitparams("log", "--json", cwd=repo).out))


def bisected(repo: Path, *words: str) -> dict[str, Any]:
    outcome = gitparams("bisect", "good", "bad", "--json", *words, cwd=repo)
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def culprits(document: dict[str, Any]) -> list[list[str]]:
    return [sorted(change["path"] for change in one["changes"]) for one in document["explanations"]]


def state_of_user(repo: Path) -> list[str]:
    refs = [ref for ref in git("for-each-ref", cwd=repo).split("\n") if "refs/gitparams/" not in ref]
    worktrees = git("worktree", "list", cwd=repo)
    return [
        *refs,
        worktrees,
        git("status", "--porcelain=v2", "--branch", "--ignored", cwd=repo),
        git("stash", "list", cwd=repo),
    ]


SMALL = """\
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int, default=0)
parser.add_argument("--b", type=int, default=0)
parser.add_argument("--c", type=int, default=0)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
json.dump({"acc": ACC}, open("metrics.json", "w"))
"""


def small(repo: Path, acc: str) -> None:
    program(repo, SMALL.replace("ACC", acc))


@pytest.fixture
def trained(repo: Path) -> Path:
    """Two runs of a training that differ in twelve params; label noise and decay make the loss worse, the others hardly."""
    program(repo, TRAINING.read_text())
    recorded(repo, "good", *GOOD.split())
    recorded(repo, "bad", *BAD.split())
    return repo


# -- a real training ------------------------------------------------------------------------------------------------------


def test_two_harmful_params_among_twelve_changes_are_found_with_few_runs(trained: Path) -> None:
    before = state_of_user(trained)
    document = bisected(trained, "--metric", "loss")
    assert len(document["changes"]) == 12
    assert culprits(document) == [["decay", "noise"]]
    assert len(document["made"]) <= 2 * 2 * math.log2(12) + 2
    assert document["finished"]
    assert document["rest_answer"] == "good"
    assert state_of_user(trained) == before


def test_every_run_that_was_made_is_an_ordinary_recorded_run(trained: Path) -> None:
    document = bisected(trained, "--metric", "loss")
    runs = {run["id"]: run for run in json.loads(gitparams("log", "--json", cwd=trained).out)}
    made = [runs[identity] for identity in document["made"]]
    assert len(runs) == 2 + len(made)
    assert {run["status"] for run in made} == {"completed"}
    assert all(run["tags"] == ["bisect"] and "bisect" in run["note"] for run in made)
    assert {run["commit"] for run in made} == {git("rev-parse", "HEAD", cwd=trained)}
    assert not any(run["dirty"] for run in made)


def test_a_second_bisect_of_the_same_knows_it_all(trained: Path) -> None:
    first = bisected(trained, "--metric", "loss")
    second = bisected(trained, "--metric", "loss")
    assert culprits(second) == culprits(first)
    assert second["made"] == []


def test_what_a_bisect_ran_does_not_change_the_order_in_which_it_looks(repo: Path) -> None:
    small(repo, "0.9 - 0.3 * args.b - 0.1 * args.c - 0.1 * args.a * args.b")  # a and b explain it, and so do b and c
    recorded(repo, "good")
    recorded(repo, "bad", "--a", "1", "--b", "1", "--c", "1")
    first, second = bisected(repo), bisected(repo)
    assert culprits(first) == culprits(second) == [["a", "b"]]
    assert (first["recorded"], len(first["made"])) == (second["recorded"], 4)
    assert second["made"] == []


def test_one_that_may_make_only_so_many_runs_goes_on_where_it_was(trained: Path) -> None:
    stopped = gitparams("bisect", "good", "bad", "--metric", "loss", "--max-runs", "4", cwd=trained)
    assert stopped.code == 1
    assert "4 runs were made, as many as were allowed. The same command goes on from here." in stopped.err
    assert count(trained) == 6
    rest = bisected(trained, "--metric", "loss")
    assert culprits(rest) == [["decay", "noise"]]
    assert len(rest["made"]) + 4 <= 2 * 2 * math.log2(12) + 2


def test_a_dry_run_makes_nothing_and_says_what_it_would_cost(trained: Path) -> None:
    outcome = gitparams("bisect", "good", "bad", "--metric", "loss", "--dry-run", cwd=trained)
    assert outcome.code == 0
    assert "at most 12 when two do" in outcome.out
    assert count(trained) == 2
    plan = bisected(trained, "--metric", "loss", "--dry-run")
    assert plan["cost"]["two"] == {"least": 4, "most": 12}
    assert plan["first"]


def test_the_answer_is_one_screen(repo: Path) -> None:
    small(repo, "0.9 - 0.4 * (args.b == 2)")
    recorded(repo, "good")
    recorded(repo, "bad", "--a", "1", "--b", "2", "--c", "3")
    outcome = gitparams("bisect", "good", "bad", cwd=repo)
    good, bad = (json.loads(gitparams("show", name, "--json", cwd=repo).out)["id"][:8] for name in ("good", "bad"))
    assert (
        outcome.out
        == f"""\
acc ↑ went from 0.9 in {good} to 0.5 in {bad}. One change explains it.

change
b       0 → 2

         acc ↑
good       0.9  {good}
with it    0.5  −0.4, 100% of the change
bad        0.5  {bad}

4 mixtures run, 0 recorded ones used.
"""
    )


# -- how values are said --------------------------------------------------------------------------------------------------


def test_values_of_a_tracked_file_are_no_change_of_the_code(repo: Path) -> None:
    text = "import json, yaml\np = yaml.safe_load(open('p.yaml'))\n"
    text += "json.dump({'acc': 0.9 - 0.4 * (p['b'] > 1)}, open('metrics.json', 'w'))\n"
    settings = "params: [p.yaml]\nmetrics_files: [metrics.json]\n"
    program(repo, text, p_yaml="a: 1  # first\nb: 1\nc: 1\n", settings=settings)
    recorded(repo, "good")
    (repo / "p.yaml").write_text("a: 2  # first\nb: 2\nc: 2\n")
    git("commit", "-qam", "all at once", cwd=repo)
    recorded(repo, "bad")
    document = bisected(repo)
    assert [change["path"] for change in document["changes"]] == ["a", "b", "c"]
    assert culprits(document) == [["b"]]
    assert (repo / "p.yaml").read_text() == "a: 2  # first\nb: 2\nc: 2\n"


def test_a_command_with_placeholders_says_them_itself(repo: Path) -> None:
    text = "import json, sys\na, b = sys.argv[1:3]\n"
    text += "json.dump({'acc': 0.9 - 0.4 * (b == '2')}, open('metrics.json', 'w'))\n"
    program(repo, text)
    for name, a, b in (("good", "1", "1"), ("bad", "2", "2")):
        words = ("run", "--name", name, "--no-strict", "-p", f"a={a}", "-p", f"b={b}", "--", sys.executable, "train.py", a, b)
        assert gitparams(*words, cwd=repo).code == 0
    assert culprits(bisected(repo, "--", sys.executable, "train.py", "{a}", "{b}")) == [["b"]]
    wrong = gitparams("bisect", "good", "bad", "--", sys.executable, "train.py", "{aa}", cwd=repo)
    assert (wrong.code, wrong.err.split("\n")[0]) == (
        2,
        "gitparams: The command has {aa}, and there is no such param; did you mean a?",
    )


def test_what_git_does_not_have_is_linked(repo: Path) -> None:
    small(repo, "0.9 - 0.4 * (args.b > int(open('data/limit').read()))")
    (repo / "data").mkdir()
    (repo / "data" / "limit").write_text("1")
    recorded(repo, "good")
    recorded(repo, "bad", "--a", "1", "--b", "2")
    assert culprits(bisected(repo, "--link", "data")) == [["b"]]
    assert (repo / "data" / "limit").read_text() == "1"


def test_a_program_that_does_not_take_a_value_is_told_of(repo: Path) -> None:
    text = SMALL.replace("args = parser", "import sys\nif '--b' in sys.argv: sys.argv += ['--a', '1']\nargs = parser")
    program(repo, text.replace("ACC", "0.9 - 0.4 * (args.a == 1)"))
    recorded(repo, "good", "--c", "1")
    recorded(repo, "bad", "--b", "1", "--c", "2")
    outcome = gitparams("bisect", "good", "bad", cwd=repo)
    assert outcome.code == 2
    assert "The program did not take a = 0: run " in outcome.err
    assert "where its value belongs" in outcome.err


# -- the code -------------------------------------------------------------------------------------------------------------


def test_the_first_bad_commit_is_found_when_the_code_is_guilty(repo: Path) -> None:
    small(repo, "0.9")
    recorded(repo, "good", "--a", "1")
    commits = []
    for number in range(6):
        (repo / f"file{number}").write_text(str(number))
        if number == 3:
            (repo / "train.py").write_text(SMALL.replace("ACC", "0.5"))
        git("add", "-A", cwd=repo)
        git("commit", "-qm", f"commit {number}", cwd=repo)
        commits.append(git("rev-parse", "HEAD", cwd=repo))
    recorded(repo, "bad", "--a", "2")
    document = bisected(repo)
    assert culprits(document) == [["(code)"]]
    assert document["commits"] == [commits[3]]
    told = gitparams("bisect", "good", "bad", cwd=repo)
    assert f"The first bad commit is {commits[3][:10]}." in told.out
    assert bisected(repo)["made"] == [], "the runs of commits are recorded too"


def test_uncommitted_code_can_be_guilty(repo: Path) -> None:
    small(repo, "0.9")
    recorded(repo, "good", "--a", "1")
    (repo / "train.py").write_text(SMALL.replace("ACC", "0.5"))
    recorded(repo, "bad", "--a", "2")
    git("checkout", "-q", "train.py", cwd=repo)
    assert culprits(bisected(repo)) == [["(code)"]]


def test_a_param_that_the_code_sets_goes_with_the_code(repo: Path) -> None:
    text = "import json\nLR = {lr}\njson.dump({{'acc': 0.9 - LR}}, open('metrics.json', 'w'))\n"
    settings = "metrics_files: [metrics.json]\ncapture: {globals: true}\n"
    program(repo, text.format(lr=0.1), settings=settings)
    recorded(repo, "good")
    (repo / "train.py").write_text(text.format(lr=0.5))
    git("commit", "-qam", "another rate", cwd=repo)
    recorded(repo, "bad")
    outcome = gitparams("bisect", "good", "bad", cwd=repo)
    assert outcome.code == 0, outcome.err
    assert "Set by the code, and changed with it: LR." in outcome.out


# -- noise, failures, stops -----------------------------------------------------------------------------------------------


def test_replicates_are_made_by_seed_and_used_again(repo: Path) -> None:
    small(repo, "0.9 - 0.2 * (args.b == 2) + 0.01 * (args.seed % 3)")
    recorded(repo, "good", "--seed", "5")
    recorded(repo, "bad", "--a", "1", "--b", "2", "--seed", "5")
    document = bisected(repo, "--replicates", "3")
    assert culprits(document) == [["b"]]
    runs = json.loads(gitparams("log", "--json", cwd=repo).out)
    seeds = sorted({run["params"]["seed"] for run in runs})
    assert seeds == [5, 6, 7]
    assert document["measured"]["good"]["n"] == 3
    assert bisected(repo, "--replicates", "3")["made"] == []


def test_what_makes_a_program_fail_can_be_asked_too(repo: Path) -> None:
    small(repo, "0.9 / (args.b != 2)")
    recorded(repo, "good")
    failed = gitparams("run", "--name", "bad", "--", sys.executable, "train.py", "--a", "1", "--b", "2", cwd=repo)
    assert failed.code == 1
    assert culprits(bisected(repo, "--metric", "acc")) == [["b"]]


def test_a_metric_that_became_nan_can_be_explained(repo: Path) -> None:
    small(repo, "0.9 if args.b != 2 else float('nan')")
    recorded(repo, "good")
    recorded(repo, "bad", "--a", "1", "--b", "2", "--c", "1")
    assert culprits(bisected(repo)) == [["b"]]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_control_c_leaves_a_bisect_that_goes_on_and_no_work_tree(repo: Path) -> None:
    small(repo, "0.9 - 0.4 * (args.b == 2)")
    text = (repo / "train.py").read_text()
    (repo / "train.py").write_text(
        "import os, time\n" + text + "if os.path.exists('/proc') and args.a + args.b == 1: time.sleep(60)\n"
    )
    git("commit", "-qam", "slow", cwd=repo)
    recorded(repo, "good", "--c", "5")
    recorded(repo, "bad", "--a", "1", "--b", "2", "--c", "6")
    before = state_of_user(repo)
    words = [sys.executable, "-m", "gitparams", "bisect", "good", "bad"]
    child = subprocess.Popen(words, cwd=repo, start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not any(run["status"] == "running" for run in json.loads(gitparams("log", "--json", cwd=repo).out)):
        assert time.monotonic() < deadline, "nothing was run"
        assert child.poll() is None, child.communicate()
    time.sleep(0.3)
    os.killpg(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 130, said
    assert state_of_user(repo) == before
    assert "interrupted" in gitparams("log", cwd=repo).out


# -- bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bad", "good"), "is not better than"),
        (("good", "good"), "The good and the bad run are both"),
        (("good", "bad", "--metric", "f1"), "has no metric 'f1'"),
        (("good",), "bisect takes a good and a bad run."),
        (("good", "nowhere"), "No run, name or code revision is called 'nowhere'."),
        (("good", "bad", "--link", "nothing"), "nothing cannot be linked: it is not there."),
        (("good", "seeded"), "differ only in seed"),
        (("good", "unmeasured"), "metric"),
    ],
)
def test_what_cannot_be_bisected_is_said_and_nothing_is_run(repo: Path, words: tuple[str, ...], said: str) -> None:
    small(repo, "0.9 - 0.4 * (args.b == 2)")
    recorded(repo, "good")
    recorded(repo, "bad", "--a", "1", "--b", "2")
    recorded(repo, "seeded", "--seed", "2")
    (repo / "gitparams.yaml").write_text("experiment: x\n")
    recorded(repo, "unmeasured", "--b", "3")
    before = count(repo)
    outcome = gitparams("bisect", *words, cwd=repo)
    assert outcome.code in (1, 2)
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert count(repo) == before


def test_what_others_recorded_is_run_only_when_somebody_says_so(repo: Path) -> None:
    small(repo, "0.9 - 0.4 * (args.b == 2)")
    recorded(repo, "good")
    recorded(repo, "bad", "--a", "1", "--b", "2")
    document = git("show", "refs/gitparams/runs:run.json", cwd=repo).replace(
        f'"host": "{os.uname().nodename}"', '"host": "elsewhere"'
    )
    blob = git("hash-object", "-w", "--stdin", stdin=document + "\n", cwd=repo)
    tip = git("rev-parse", "refs/gitparams/runs", cwd=repo)
    lines = git("ls-tree", tip, cwd=repo).split("\n")
    tree = git(
        "mktree", stdin="\n".join(f"100644 blob {blob}\trun.json" if "run.json" in line else line for line in lines), cwd=repo
    )
    text = git("log", "-1", "--format=%B", tip, cwd=repo)
    forged = git("commit-tree", tree, "-p", f"{tip}^", "-m", text, cwd=repo)
    git("update-ref", "refs/gitparams/runs", forged, cwd=repo)
    (repo / ".git" / "gitparams" / "tip").unlink()
    outcome = gitparams("bisect", "good", "bad", cwd=repo)
    assert outcome.code == 2
    assert "Runs are made with the params in this command: " in outcome.err
    assert "not known to be recorded here; it says that it is by Ada <ada@example.com> on elsewhere." in outcome.err
    assert count(repo) == 2
    assert culprits(bisected(repo, "--yes")) == [["b"]]


@pytest.fixture
def shared(repo: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A repository, and a clone of it that knows the same runs; both are on this machine, of this user."""
    small(repo, "0.9 - 0.4 * (args.b == 2)")
    recorded(repo, "good")
    recorded(repo, "bad", "--a", "1", "--b", "2")
    hub, other = tmp_path / "hub.git", tmp_path / "other"
    git("init", "--quiet", "--bare", hub)
    git("remote", "add", "origin", hub, cwd=repo)
    git("push", "--quiet", "origin", "main", cwd=repo)
    assert gitparams("push", cwd=repo).code == 0
    git("clone", "--quiet", hub, other)
    assert gitparams("pull", cwd=other).code == 0
    return repo, other


def asked_before_running(repo: Path) -> bool:
    before = count(repo)
    outcome = gitparams("bisect", "good", "bad", cwd=repo)
    assert outcome.code == 0 or (outcome.code == 2 and "Nobody is there to ask." in outcome.err and count(repo) == before)
    return outcome.code == 2


def test_a_pulled_command_is_not_run_unasked_whatever_it_says_of_host_and_user(shared: tuple[Path, Path]) -> None:
    here, other = shared
    assert asked_before_running(other)
    assert not asked_before_running(here)


def test_a_run_that_somebody_changed_elsewhere_is_not_run_unasked(shared: tuple[Path, Path]) -> None:
    here, other = shared
    assert gitparams("note", "good", "look at this", cwd=other).code == 0
    assert gitparams("push", cwd=other).code == 0
    assert gitparams("pull", cwd=here).code == 0
    assert gitparams("tag", "good", "mine", cwd=here).code == 0
    assert asked_before_running(here)


def test_a_run_is_known_as_recorded_here_after_a_purge_but_not_without_its_file(
    shared: tuple[Path, Path], tmp_path: Path
) -> None:
    here, _ = shared
    recorded(here, "other", "--c", "7")
    assert gitparams("tag", "bad", "mine", cwd=here).code == 0
    assert gitparams("purge", "other", "--yes", "--offline", cwd=here).code == 0
    known = (here / ".git" / "gitparams" / "recorded-here").rename(tmp_path / "known")
    assert asked_before_running(here)
    known.rename(here / ".git" / "gitparams" / "recorded-here")
    assert not asked_before_running(here)


def test_an_imported_command_is_not_run_unasked(shared: tuple[Path, Path], tmp_path: Path) -> None:
    here, _ = shared
    fresh = tmp_path / "fresh"
    git("clone", "--quiet", tmp_path / "hub.git", fresh)
    assert gitparams("export", "bundle", tmp_path / "runs.bundle", cwd=here).code == 0
    assert gitparams("import", "bundle", tmp_path / "runs.bundle", cwd=fresh).code == 0
    assert asked_before_running(fresh)


def test_the_command_of_a_run_that_was_kept_aside_is_not_run_unasked(repo: Path) -> None:
    small(repo, "0.9 - 0.4 * (args.b == 2)")
    recorded(repo, "good")
    (repo / ".git").rename(repo.parent / "away")
    bad = (sys.executable, "train.py", "--a", "1", "--b", "2")
    assert gitparams("run", "--name", "bad", "--metrics", "metrics.json", "--", *bad, cwd=repo).code == 0
    (repo.parent / "away").rename(repo / ".git")
    assert gitparams("import", "spool", "--all", cwd=repo).code == 0
    assert asked_before_running(repo)


def test_a_run_that_gives_no_metric_stops_it(repo: Path) -> None:
    small(repo, "0.9 - 0.4 * (args.b == 2)")
    recorded(repo, "good")
    recorded(repo, "bad", "--a", "1", "--b", "2")
    (repo / "gitparams.yaml").write_text("experiment: default\n")
    shutil.copy(repo / "gitparams.yaml", repo / "copy.yaml")
    git("commit", "-qam", "no metrics any more", cwd=repo)
    outcome = gitparams("bisect", "good", "bad", "--", sys.executable, "-c", "pass", "{a}", "{b}", cwd=repo)
    assert outcome.code == 2
    assert "has no metric 'acc', so nothing can be learnt from it." in outcome.err
