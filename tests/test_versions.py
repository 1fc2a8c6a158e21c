"""Two clones that changed one run: one state, whatever the order; and entries from programs that we did not write."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from world import git, gitparams, make_repository

from gitparams.ledger import REF
from gitparams.repository import Repository


def clones(tmp_path):
    """Two clones that share one recorded run; return their folders and the run's id."""
    left = make_repository(tmp_path / "left")
    run = gitparams("record", "-p", "lr=0.1", "-p", "seed=1", "-m", "acc=0.5", cwd=left).out.strip()
    right = tmp_path / "right"
    git("clone", "-q", left, right)
    git("fetch", "-q", left, f"{REF}:{REF}", cwd=right)
    return left, right, run


def exchange(left, right):
    """Bring each side's ledger to the other."""
    for mine, theirs in ((left, right), (right, left)):
        git("fetch", "-q", theirs, f"{REF}:refs/gitparams/remotes/x/runs", cwd=mine)
    for mine in (left, right):
        with Repository.find(Path(mine)) as repository:
            tip, other = repository.ledger.tip(), repository.git.ref("refs/gitparams/remotes/x/runs")
            repository.git.move_ref(REF, repository.ledger.join(tip, other), tip)


def joined(left, right):
    """Bring each side's ledger to the other, and return what each then shows of its only run."""
    exchange(left, right)
    return [json.loads(gitparams("show", "latest", "--json", cwd=mine).out) for mine in (left, right)]


def test_what_two_clones_said_of_one_run_is_kept_from_both(tmp_path):
    left, right, run = clones(tmp_path)
    gitparams("tag", run, "from-left", cwd=left)
    gitparams("rename", run, "winner", cwd=left)
    gitparams("tag", run, "from-right", cwd=right)
    gitparams("update", run, "-p", "batch=64", "-m", "acc=0.7", cwd=right)
    one, other = joined(left, right)
    assert one == other
    assert (one["tags"], one["name"], one["params"], one["metrics"]) == (
        ["from-left", "from-right"], "winner", {"batch": 64, "lr": 0.1, "seed": 1}, {"acc": 0.7},
    )  # fmt: skip


def test_the_later_word_wins_where_both_said_something(tmp_path):
    left, right, run = clones(tmp_path)
    gitparams("note", run, "earlier", cwd=right)
    gitparams("note", run, "later", cwd=left)
    assert [shown["note"] for shown in joined(left, right)] == ["later", "later"]


def test_a_tag_that_one_side_removed_does_not_come_back(tmp_path):
    left, right, run = clones(tmp_path)
    gitparams("tag", run, "old", cwd=left)
    git("fetch", "-q", left, f"+{REF}:{REF}", cwd=right)
    gitparams("tag", run, "-d", "old", cwd=left)
    gitparams("tag", run, "new", cwd=right)
    assert [shown["tags"] for shown in joined(left, right)] == [["new"], ["new"]]


def test_the_next_event_names_both_and_the_state_is_one_again(tmp_path):
    left, right, run = clones(tmp_path)
    gitparams("note", run, "l", cwd=left)
    gitparams("tag", run, "r", cwd=right)
    joined(left, right)
    gitparams("rename", run, "one", cwd=left)
    assert len(git("log", "-1", "--format=%(trailers:key=Run-Prev,valueonly)", REF, cwd=left).split()) == 2
    shown = json.loads(gitparams("show", "one", "--json", cwd=left).out)
    assert (shown["note"], shown["tags"]) == ("l", ["r"])


@pytest.mark.parametrize(("first", "second", "params"), [("a=1", "a.b=2", {"a": {"b": 2}}), ("a.b=2", "a=1", {"a": 1})])
def test_a_value_against_a_mapping_goes_to_the_later_side(tmp_path, first, second, params):
    left, right, run = clones(tmp_path)
    gitparams("update", run, "-p", first, cwd=left)
    gitparams("update", run, "-p", second, cwd=right)
    assert [shown["params"] for shown in joined(left, right)] == [{"lr": 0.1, "seed": 1, **params}] * 2


def test_a_hidden_run_stays_hidden_when_the_other_side_finishes_it(tmp_path):
    left = make_repository(tmp_path / "left")
    run = gitparams("start", "-p", "lr=1", cwd=left).out.strip()
    right = tmp_path / "right"
    git("clone", "-q", left, right)
    git("fetch", "-q", left, f"{REF}:{REF}", cwd=right)
    gitparams("rm", run, "--yes", cwd=right)
    gitparams("finish", run, "-m", "acc=1", cwd=left)
    exchange(left, right)
    hidden = [item for mine in (left, right) for item in json.loads(gitparams("log", "--deleted", "--json", cwd=mine).out)]
    assert [(item["id"], item["status"], item["metrics"]) for item in hidden] == [(run, "completed", {"acc": 1})] * 2


def test_who_tags_a_run_is_not_who_ran_it(repo, monkeypatch):
    run = gitparams("record", "-p", "lr=1").out.strip()
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Bob")
    gitparams("tag", run, "mine")
    assert git("log", "-1", "--format=%an", REF) == "Bob"
    assert json.loads(gitparams("log", "--json").out)[0]["author"] == "Ada <ada@example.com>"
    (repo / ".git/gitparams/index.db").unlink()
    assert json.loads(gitparams("log", "--json").out)[0]["author"] == "Ada <ada@example.com>"


# -- entries of programs that we did not write ----------------------------------------------------------------------------


def foreign(change, *, prev="", author=None, run="kkkkllllmmmmnnnn", params="{}"):
    """Append an entry like our newest one, with run.json changed by `change`."""
    document = json.loads(git("cat-file", "blob", f"{REF}:run.json"))
    document["id"] = run
    change(document)
    lines = git("ls-tree", REF).splitlines()
    for name, text in (("run.json", json.dumps(document)), ("params.json", params)):
        blob = git("hash-object", "-w", "--stdin", stdin=text)
        lines = [f"100644 blob {blob}\t{name}" if line.endswith(f"\t{name}") else line for line in lines]
    tree = git("mktree", stdin="\n".join(lines) + "\n")
    trailer = f"\nRun-Prev: {prev}" if prev else ""
    who = author or "Eve <eve@example.com> 1700000000 +0000"
    message = f"tree {tree}\nparent {git('rev-parse', REF)}\nauthor {who}\ncommitter {who}\n\nx\n\nRun-Id: {run}\nRun-Event: record{trailer}\n"
    done = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
        input=message,
        capture_output=True,
        text=True,
        check=True,
    )
    git("update-ref", REF, done.stdout.strip())
    return tree


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(parent={"a": 1}),
        lambda document: document.update(parent=7),
        lambda document: document["git"].update(commit=["x"]),
        lambda document: document["git"].update(branch={"x": 1}),
        lambda document: document["git"].update(tree="zz"),
        lambda document: document.update(name=[1]),
        lambda document: document.update(exit_code="zero"),
        lambda document: document.update(started="2026-11-23T10:00:00"),
        lambda document: document.update(started="9999-99-99"),
        lambda document: document["event"].update(time="2026-11-23T10:00:00"),
        lambda document: document.update(status="done"),
        lambda document: document.update(tags=7),
        lambda document: document.update(id="qqqqqqqqqqqqqqqq"),
    ],
)
def test_a_field_of_the_wrong_kind_makes_that_run_broken_and_no_other(repo, change):
    good = gitparams("record", "-p", "lr=1").out.strip()
    foreign(change)
    for words in (["log"], ["log", "--json"], ["log", "-p"], ["log", "--format", "csv"], ["doctor"]):
        done = gitparams(*words)
        assert done.code == (1 if words == ["doctor"] else 0) and "Traceback" not in done.err, done.err
    listed = json.loads(gitparams("log", "--json").out)
    assert {item["id"]: item["status"] for item in listed} == {good: "completed", "kkkkllllmmmmnnnn": "broken"}


def test_a_run_with_two_broken_heads_is_broken_and_the_rest_is_listed(repo):
    good = gitparams("record", "-p", "lr=1").out.strip()
    foreign(lambda document: document["event"].update(nonce="a"))
    foreign(lambda document: document["event"].update(nonce="b", time="2026-11-23T10:00:00"))
    listed = json.loads(gitparams("log", "--json").out)
    assert {item["id"]: item["status"] for item in listed} == {good: "completed", "kkkkllllmmmmnnnn": "broken"}


def test_an_author_date_that_no_clock_can_show_is_no_fault_of_the_list(repo):
    gitparams("record", "-p", "lr=1")
    foreign(lambda document: document.update(status="?"), author="Eve <e> 99999999999999 +0000")
    assert gitparams("log").code == 0


def test_params_nested_without_end_are_broken_and_the_rest_is_listed(repo):
    gitparams("record", "-p", "lr=1")
    for depth, run in ((900, "kkkkllllmmmmnnnn"), (100_000, "llllllllmmmmnnnn")):
        foreign(lambda document: None, run=run, params='{"a":' * depth + "1" + "}" * depth)
    done = gitparams("log", "--json")
    assert done.code == 0 and sorted(item["status"] for item in json.loads(done.out)) == ["broken", "broken", "completed"]


def test_an_entry_that_claims_to_follow_another_run_hides_nothing(repo):
    first = gitparams("record", "-p", "lr=1").out.strip()
    foreign(lambda document: None, prev=git("rev-parse", f"{REF}^{{tree}}"))
    before = sorted(item["id"] for item in json.loads(gitparams("log", "--json").out))
    (repo / ".git/gitparams/index.db").unlink()
    after = sorted(item["id"] for item in json.loads(gitparams("log", "--json").out))
    assert before == after == sorted([first, "kkkkllllmmmmnnnn"])


def test_a_field_of_run_json_that_we_do_not_know_survives_our_events(repo):
    gitparams("record", "-p", "lr=1")
    foreign(lambda document: document.update(colour="blue", author="me"))
    gitparams("tag", "kkkkllll", "x")
    document = json.loads(git("cat-file", "blob", f"{REF}:run.json"))
    assert (document["colour"], document["author"], document["tags"]) == ("blue", "me", ["x"])


def test_metrics_that_are_called_step_and_time_are_kept(repo):
    program = "import gitparams\nwith gitparams.start({}) as run:\n  run.log({'time': 3.5, 'step': 7, '$time': 1, 'loss': 1})"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert json.loads(gitparams("log", "--json").out)[0]["metrics"] == {"$time": 1, "loss": 1, "step": 7, "time": 3.5}
