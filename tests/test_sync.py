"""Sharing: push, pull and sync through git remotes lose nothing, follow no rewind and touch nothing of the user's."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from world import git, gitparams, make_repository

from gitparams.errors import GitParamsError, LedgerError, UsageError
from gitparams.git import Git
from gitparams.ledger import REF, Ledger
from gitparams.params import layer
from gitparams.repository import Repository
from gitparams.sync import INBOX, Sync, tracking_ref
from gitparams.writing import Beginning

SEEN = "refs/gitparams/remotes/origin/runs"


def record(folder, **params):
    with Repository.find(Path(folder)) as repository:
        return repository.record(Beginning(layer(params, "code")), {"acc": 0.5})


def pull(folder, remote=None):
    with Repository.find(Path(folder)) as repository:
        return repository.pull(remote)


def push(folder, remote=None):
    with Repository.find(Path(folder)) as repository:
        return repository.push(remote)


def runs(folder):
    with Repository.find(Path(folder)) as repository:
        return {run.id for run in repository.runs()}


def tip(folder, ref=REF):
    return git("for-each-ref", "--format=%(objectname)", ref, cwd=folder)


def clone(source, folder, *options):
    git("clone", "--quiet", *options, source, folder)
    return folder


@pytest.fixture
def hub(tmp_path):
    """A bare repository with one commit of code."""
    code = make_repository(tmp_path / "code")
    git("clone", "--quiet", "--bare", code, tmp_path / "hub.git")
    git("config", "uploadpack.allowFilter", "true", cwd=tmp_path / "hub.git")
    git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=tmp_path / "hub.git")
    return tmp_path / "hub.git"


@pytest.fixture
def ada(hub, tmp_path):
    return clone(hub, tmp_path / "ada")


@pytest.fixture
def bob(hub, tmp_path):
    return clone(hub, tmp_path / "bob")


def put(ref, thing, folder):
    """Put an object under a ref of a repository, as a push of whoever may push does."""
    git("update-ref", ref, thing, cwd=folder)


# -- there and back -------------------------------------------------------------------------------------------------------


def test_what_one_pushes_another_pulls(ada, bob):
    first, second = record(ada, lr=0.1), record(ada, lr=0.2)
    assert (push(ada).runs, push(ada).runs) == (2, 0)
    pulled = pull(bob)
    assert (pulled.new, pulled.changed, pulled.before, pulled.notes) == ((first.id, second.id), 0, None, ())
    assert runs(bob) == {first.id, second.id}
    assert tip(ada) == tip(bob) == tip(bob, SEEN)


def test_a_second_pull_brings_nothing_and_moves_nothing(ada, bob):
    record(ada, lr=0.1)
    push(ada)
    pull(bob)
    before = git("for-each-ref", cwd=bob)
    assert pull(bob).new == ()
    assert git("for-each-ref", cwd=bob) == before


def test_push_keeps_runs_the_remote_already_has(ada, bob, hub):
    theirs, mine = record(ada, lr=0.1), record(bob, lr=0.2)
    push(ada)
    pushed = push(bob)
    assert (pushed.runs, pushed.pulled.new) == (1, (theirs.id,))
    assert runs(hub) == {theirs.id, mine.id}
    pull(ada)
    assert tip(ada) == tip(bob) == tip(hub)


def test_a_change_made_elsewhere_is_told_as_a_change(ada, bob):
    run = record(ada, lr=0.1)
    push(ada)
    pull(bob)
    with Repository.find(bob) as repository:
        repository.tag(run.id, add=["good"])
    push(bob)
    pulled = pull(ada)
    assert (pulled.new, pulled.changed) == ((), 1)
    with Repository.find(ada) as repository:
        assert repository.run(run.id).tags == ("good",)


def test_two_machines_that_change_one_run_agree_on_what_it_is(ada, bob):
    run = record(ada, lr=0.1)
    push(ada)
    pull(bob)
    with Repository.find(ada) as left, Repository.find(bob) as right:
        left.tag(run.id, add=["a"])
        right.tag(run.id, add=["b"])
        right.note(run.id, "from bob")
        left.sync()
        right.sync()
        left.sync()
        assert left.run(run.id) == right.run(run.id)
        assert (left.run(run.id).tags, left.run(run.id).note) == (("a", "b"), "from bob")


def test_sync_brings_both_sides_together(ada, bob):
    record(ada, lr=0.1)
    push(ada)
    mine = record(bob, lr=0.2)
    with Repository.find(bob) as repository:
        pulled, pushed = repository.sync()
    assert (len(pulled.new), pushed.runs) == (1, 1)
    assert mine.id in pull(ada).new


def test_sync_brings_the_runs_of_where_it_pulls_from_to_where_it_pushes_to(ada, bob, tmp_path):
    theirs = record(ada, lr=0.1)
    push(ada)
    mine = record(bob, lr=0.2)
    git("init", "--quiet", "--bare", tmp_path / "fork.git")
    git("remote", "set-url", "--push", "origin", tmp_path / "fork.git", cwd=bob)
    with Repository.find(bob) as repository:
        pulled, pushed = repository.sync()
    assert (pulled.new, pushed.runs) == ((theirs.id,), 2)
    assert pull(ada, str(tmp_path / "fork.git")).new == (mine.id,)


@pytest.mark.parametrize("command", ["pull", "push", "sync"])
def test_where_nothing_is_new_a_remote_is_asked_once_and_nothing_heavy_is_loaded(ada, tmp_path, command):
    record(ada, lr=0.1)
    push(ada)
    program = "import sys; from gitparams.cli import main; code = main(sys.argv[1:])\nprint(code, *sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program, command],
        cwd=ada,
        env={**os.environ, "GIT_TRACE2": str(tmp_path / "trace")},
        capture_output=True,
        text=True,
        check=True,
    )
    started = [line for line in (tmp_path / "trace").read_text().splitlines() if " start " in line]
    asked = [line for line in started if any(f" {word} " in line for word in ("ls-remote", "fetch", "push"))]
    code, *loaded = done.stdout.split()
    heavy = {"yaml", "rich", "deepdiff", "git", "importlib.metadata", "pydantic", "numpy"}
    assert (code, heavy & set(loaded), len(asked)) == ("0", set(), 1)


def test_a_run_that_comes_without_a_sign_of_life_is_called_lost_at_once(ada, bob):
    code = """
from datetime import timedelta
from gitparams.model import Details, EventKind, Status, new_event, now
from gitparams.params import Layer
from gitparams.repository import Repository
from gitparams.writing import Beginning
with Repository.find() as found:
    begun = now() - timedelta(days=3)
    beginning = Beginning(started=begun, environment={"process": {"boot": "of another machine"}})
    run = found.writer.new_run(beginning, Layer({"lr": 0.1}, {}), (), Status.RUNNING, found.writer.code().code)
    found.writer.append_new(run, EventKind.START, Details(), None, new_event(EventKind.START, begun))
"""
    subprocess.run([sys.executable, "-c", code], cwd=ada, check=True)
    push(ada)
    assert " lost · first run of default" in gitparams("pull", cwd=bob).out


def test_peers_pull_from_each_other_by_their_paths(ada, bob):
    first, second = record(ada, lr=0.1), record(bob, lr=0.2)
    pull(ada, str(bob))
    pull(bob, str(ada))
    assert runs(ada) == runs(bob) == {first.id, second.id}
    assert tip(ada) == tip(bob)
    assert git("for-each-ref", "refs/gitparams/remotes", cwd=ada) == ""


def test_the_commands_say_what_came_in_a_line(ada, bob):
    record(ada, lr=0.1)
    newest = record(ada, lr=0.2)
    assert gitparams("push", cwd=ada).err == "gitparams: 2 runs pushed to origin.\n"
    done = gitparams("pull", cwd=bob)
    assert (done.code, done.err) == (0, "gitparams: 2 new runs from origin.\n")
    assert done.out.splitlines()[0] == f"{newest.short_id} lr 0.1 → 0.2"
    assert gitparams("pull", cwd=bob).err == "gitparams: Nothing new from origin.\n"
    assert gitparams("push", "origin", cwd=bob).err == "gitparams: origin has every run.\n"
    record(bob, lr=0.3)
    assert gitparams("sync", cwd=bob).err == "gitparams: Nothing new from origin.\ngitparams: 1 run pushed to origin.\n"


def test_a_remote_without_runs_is_no_error(ada):
    assert gitparams("pull", cwd=ada).err == "gitparams: origin has no runs yet.\n"
    assert gitparams("push", cwd=ada).err == "gitparams: There is no run to push yet.\n"


def test_sha256_repositories_share_as_well(tmp_path):
    source = make_repository(tmp_path / "a", "--object-format=sha256")
    clone(source, tmp_path / "b")
    run = record(source, lr=0.1)
    assert pull(tmp_path / "b").new == (run.id,)


# -- what is the user's stays as it is ------------------------------------------------------------------------------------


def own(folder):
    names = ("HEAD", "FETCH_HEAD", "index", "config", "packed-refs", "shallow")
    files = {name: (folder / ".git" / name).read_bytes() for name in names if (folder / ".git" / name).exists()}
    return files, git("for-each-ref", "refs/heads", "refs/remotes", "refs/tags", "refs/stash", cwd=folder)


def test_nothing_of_the_user_is_touched_and_no_hook_of_theirs_runs(ada, bob, hub):
    record(bob, lr=0.1)
    git("commit", "--quiet", "--allow-empty", "-m", "more", cwd=bob)
    git("tag", "v1", cwd=bob)
    git("push", "--quiet", "--tags", "origin", "HEAD", cwd=bob)
    push(bob)
    hook = ada / ".git/hooks/pre-push"
    hook.write_text("#!/bin/sh\ntouch ran\nexit 1\n")
    hook.chmod(0o755)
    git("config", "push.gpgSign", "true", cwd=ada)
    git("config", "push.followTags", "true", cwd=ada)
    git("config", "fetch.prune", "true", cwd=ada)
    git("config", "remote.origin.tagOpt", "--tags", cwd=ada)
    git("tag", "-a", "-m", "mine", "mine", cwd=ada)
    (ada / ".git/FETCH_HEAD").write_text("theirs\n")
    record(ada, lr=0.2)
    before = own(ada)
    push(ada)
    assert own(ada) == before
    assert not (ada / "ran").exists()
    assert git("tag", "--list", cwd=hub) == "v1"
    assert len(runs(hub)) == 2


def test_a_mirror_pushes_only_runs(hub, tmp_path, ada):
    record(ada, lr=0.1)
    push(ada)
    mirror = clone(hub, tmp_path / "mirror.git", "--mirror")
    record(ada, lr=0.2)
    push(ada)
    git("config", "remote.origin.mirror", "true", cwd=mirror)
    git("branch", "only-here", "main", cwd=mirror)
    record(mirror, lr=0.3)
    assert push(mirror).runs == 1
    assert git("branch", "--list", "only-here", cwd=hub) == ""
    assert len(runs(hub)) == len(runs(mirror)) == 3


def test_a_fetch_in_a_mirror_loses_no_run(hub, tmp_path, ada):
    record(ada, lr=0.1)
    push(ada)
    mirror = clone(hub, tmp_path / "mirror.git", "--mirror")
    record(mirror, lr=0.2)
    record(ada, lr=0.3)
    push(ada)
    git("fetch", "--quiet", "--prune", cwd=mirror)
    assert len(runs(mirror)) == 3


def test_a_clone_of_a_single_branch_pulls_runs_and_nothing_else(hub, tmp_path, ada):
    record(ada, lr=0.1)
    push(ada)
    git("push", "--quiet", "origin", "HEAD:other", cwd=ada)
    single = clone(hub, tmp_path / "single", "--single-branch")
    assert len(pull(single).new) == 1
    assert git("for-each-ref", "--format=%(refname)", "refs/remotes", cwd=single).split() == [
        "refs/remotes/origin/HEAD",
        "refs/remotes/origin/main",
    ]


def test_recording_needs_no_network(ada):
    git("config", "remote.origin.url", "ssh://localhost:1/nowhere", cwd=ada)
    done = gitparams("run", "--", sys.executable, "-c", "print(1)", cwd=ada)
    assert (done.code, done.out) == (0, "1\n")
    assert len(runs(ada)) == 1


# -- a plain git fetch ----------------------------------------------------------------------------------------------------


def test_with_init_fetch_a_plain_git_fetch_brings_the_runs(ada, bob):
    gitparams("init", "--fetch", "--no-hooks", cwd=bob)
    run = record(ada, lr=0.1)
    push(ada)
    mine = record(bob, lr=0.2)
    git("fetch", "--quiet", cwd=bob)
    assert runs(bob) == {run.id, mine.id}


def test_with_init_fetch_a_remote_without_runs_does_not_fail_the_users_fetch(bob):
    gitparams("init", "--fetch", "--no-hooks", cwd=bob)
    assert git("fetch", "origin", cwd=bob) == ""


def test_remotes_of_which_one_is_named_within_the_other_do_not_collide(ada, hub, tmp_path):
    clone(hub, tmp_path / "second.git", "--bare")
    git("remote", "add", "a", hub, cwd=ada)
    git("remote", "add", "a/runs", tmp_path / "second.git", cwd=ada)
    record(ada, lr=0.1)
    push(ada, "a")
    push(ada, "a/runs")
    assert tip(ada, tracking_ref("a")) == tip(ada, tracking_ref("a/runs")) == tip(ada)


# -- which remote ---------------------------------------------------------------------------------------------------------


def chosen(folder, word=None):
    with Git.find(folder) as plain:
        return Sync(plain, Ledger(plain)).remote(word).word


def test_the_usual_remote_is_the_upstreams_then_the_only_one_then_origin(ada):
    git("remote", "rename", "origin", "hub", cwd=ada)
    assert chosen(ada) == "hub"
    git("remote", "add", "origin", "elsewhere", cwd=ada)
    assert chosen(ada) == "hub"
    git("branch", "--unset-upstream", cwd=ada)
    assert chosen(ada) == "origin"


def test_without_a_clear_remote_the_names_are_listed(ada):
    git("branch", "--unset-upstream", cwd=ada)
    git("remote", "rename", "origin", "hub", cwd=ada)
    git("remote", "add", "other", "elsewhere", cwd=ada)
    with pytest.raises(UsageError, match="Name a remote; there are hub, other"):
        chosen(ada)


def test_without_any_remote_the_next_step_is_said(repo):
    done = gitparams("push", cwd=repo)
    assert (done.code, done.err) == (
        2,
        "gitparams: There is no remote to share runs with.\nhint: git remote add origin URL\n",
    )


def test_a_remote_that_is_not_there_is_named(ada):
    done = gitparams("pull", "nosuch", cwd=ada)
    assert (done.code, done.err.splitlines()[0]) == (2, "gitparams: There is no remote 'nosuch'; there is origin.")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("../nowhere", "../nowhere is no git repository: "),
        ("ssh://localhost:1/x", "ssh://localhost:1/x cannot be reached: "),
        ("http://ada:secret@127.0.0.1:1/x.git", "http://127.0.0.1:1/x.git cannot be reached: "),
        ("ext::sh -c touch% /tmp/x", "git could not pull ext::sh -c touch% /tmp/x: transport 'ext' not allowed"),
    ],
)
def test_what_git_refuses_is_one_sentence_and_changes_nothing(ada, word, says):
    record(ada, lr=0.1)
    before = git("for-each-ref", cwd=ada)
    done = gitparams("pull", word, cwd=ada)
    assert done.code == 1
    assert done.err.startswith(f"gitparams: {says}")
    assert "secret" not in done.err
    assert git("for-each-ref", cwd=ada) == before


def test_what_a_hook_of_the_remote_says_is_told(ada, hub):
    record(ada, lr=0.1)
    hook = hub / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho no runs on Fridays\nexit 1\n")
    hook.chmod(0o755)
    done = gitparams("push", cwd=ada)
    assert (done.code, done.err) == (
        1,
        "gitparams: origin refuses the runs: pre-receive hook declined (no runs on Fridays).\n",
    )


def test_a_push_goes_where_the_remote_says_that_pushes_go(ada, hub, tmp_path):
    fork = clone(hub, tmp_path / "fork.git", "--bare")
    git("remote", "set-url", "--push", "origin", fork, cwd=ada)
    first, second = record(ada, lr=0.1), record(ada, lr=0.2)
    assert (push(ada).runs, push(ada).runs) == (2, 0)
    assert (runs(fork), runs(hub)) == ({first.id, second.id}, set())


def test_configuration_given_to_git_by_the_environment_reaches_the_remote(ada, hub, monkeypatch):
    git("config", "remote.origin.url", "short:hub", cwd=ada)
    record(ada, lr=0.1)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{hub}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "short:hub")
    assert push(ada).runs == 1


# -- races ----------------------------------------------------------------------------------------------------------------


class Hasty(Sync):
    """A sync beside which somebody else pushes, each time right before its own push."""

    def __init__(self, plain, ledger, others):
        super().__init__(plain, ledger)
        self.others = list(others)

    def _sent(self, remote, refspec, lease):
        if self.others and refspec.endswith(REF):
            self.others.pop()()
        return super()._sent(remote, refspec, lease)


def hasty(folder, others):
    with Git.find(folder) as plain:
        return Hasty(plain, Ledger(plain), others).push()


def another(folder):
    def go():
        record(folder, n=os.urandom(4).hex())
        push(folder)

    return go


def test_a_push_that_lost_the_race_joins_and_tries_again(ada, bob, hub):
    record(ada, lr=0.1)
    pushed = hasty(ada, [another(bob)] * 3)
    assert (pushed.inbox, len(pushed.pulled.new)) == (None, 3)
    assert len(runs(hub)) == 4
    assert tip(hub) == tip(ada)


def test_a_push_that_lost_too_often_waits_in_the_inbox_and_the_next_pull_folds_it_in(ada, bob, hub, monkeypatch):
    monkeypatch.setattr("gitparams.sync.ATTEMPTS", 2)
    mine = record(ada, lr=0.1)
    pushed = hasty(ada, [another(bob)] * 2)
    assert pushed.inbox.startswith(f"{INBOX}/")
    assert mine.id not in runs(hub)
    assert pull(bob).new == (mine.id,)
    assert git("for-each-ref", INBOX, cwd=bob) == ""
    push(bob)
    assert mine.id in runs(hub)
    assert git("for-each-ref", INBOX, cwd=hub) == ""
    pull(ada)
    assert tip(ada) == tip(bob) == tip(hub)


def test_processes_that_push_at_once_lose_nothing(hub, tmp_path):
    folders = [clone(hub, tmp_path / f"c{number}") for number in range(5)]
    ids = {record(folder, n=number).id for number, folder in enumerate(folders)}
    words = [sys.executable, "-m", "gitparams", "push"]
    pushes = [subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE) for folder in folders]
    assert [(process.communicate() and process.returncode) for process in pushes] == [0] * 5
    pull(folders[0])
    assert runs(folders[0]) == ids


def test_a_run_recorded_while_a_pull_joins_is_kept(ada, bob):
    theirs = record(ada, lr=0.1)
    push(ada)
    first = record(bob, lr=0.2)
    late = []
    with Repository.find(bob) as repository:
        real = repository.ledger.tip

        def tip_before_another_writer():
            seen = real()
            if len(late) < 1:
                late.append(record(bob, lr=0.3))
            return seen

        repository.ledger.tip = tip_before_another_writer
        repository.pull()
    assert runs(bob) == {theirs.id, first.id, late[0].id}


# -- rewinds --------------------------------------------------------------------------------------------------------------


def test_a_ledger_that_a_push_mirror_deleted_is_noticed_and_brought_back(ada, bob, hub, tmp_path):
    run = record(ada, lr=0.1)
    push(ada)
    pull(bob)
    git("push", "--quiet", "--mirror", hub, cwd=clone(hub, tmp_path / "without"))
    assert tip(hub) == ""
    says = "gitparams: origin has lost its ledger; all that it held is still here, and gitparams push origin brings it back.\n"
    done = gitparams("pull", cwd=bob)
    assert (done.code, done.err) == (0, says)
    assert gitparams("pull", cwd=bob).err == says
    assert runs(bob) == {run.id}
    assert gitparams("push", cwd=bob).err == f"{says}gitparams: 1 run pushed to origin.\n"
    assert gitparams("pull", cwd=bob).err == "gitparams: Nothing new from origin.\n"
    assert tip(hub) == tip(bob)


def test_a_ledger_that_was_rewound_is_noticed_and_not_followed(ada, bob, hub):
    first = record(ada, lr=0.1)
    push(ada)
    old = tip(ada)
    second = record(ada, lr=0.2)
    push(ada)
    pull(bob)
    git("update-ref", REF, old, cwd=hub)
    pulled = pull(bob)
    assert pulled.notes == (
        "The ledger of origin was rewound; what it lost is still here, and gitparams push origin brings it back.",
    )
    assert runs(bob) == {first.id, second.id}
    push(bob)
    assert tip(hub) == tip(bob)
    assert pull(bob).notes == ()


# -- shallow and partial clones -------------------------------------------------------------------------------------------


OTHERS = {
    "code": lambda hub: git("rev-parse", "main", cwd=hub),
    "a tree": lambda hub: git("rev-parse", "main^{tree}", cwd=hub),
    "a blob": lambda hub: git("rev-parse", "main:train.py", cwd=hub),
    "a tag of code": lambda hub: (git("tag", "-a", "-m", "v1", "v1", "main", cwd=hub), git("rev-parse", "v1", cwd=hub))[1],
}


@pytest.mark.parametrize("thing", OTHERS.values(), ids=OTHERS)
def test_what_a_remote_has_for_its_ledger_and_is_none_is_not_joined(ada, bob, hub, thing):
    mine = record(ada, lr=0.1)
    oid = thing(hub)
    put(REF, oid, hub)
    before = tip(ada)
    for way in (pull, push):
        with pytest.raises(GitParamsError, match=f"no ledger of runs, it leads to {oid[:10]}: nothing was brought in"):
            way(ada)
    assert (tip(ada), tip(ada, SEEN), runs(ada)) == (before, "", {mine.id})
    git("push", "--quiet", "origin", "--delete", REF, cwd=ada)
    push(ada)
    assert pull(bob).new == (mine.id,)


@pytest.mark.parametrize("thing", OTHERS.values(), ids=OTHERS)
def test_what_is_in_an_inbox_and_is_no_ledger_is_left_alone(ada, bob, hub, thing):
    mine = record(ada, lr=0.1)
    push(ada)
    put(f"{INBOX}/junk", thing(hub), hub)
    assert pull(bob).new == (mine.id,)
    other = record(bob, lr=0.2)
    assert push(bob).runs == 1
    assert runs(bob) == {mine.id, other.id}
    assert tip(hub, INBOX) != ""


def test_code_that_a_plain_fetch_brings_for_a_ledger_is_not_joined(ada, hub):
    gitparams("init", "--fetch", cwd=ada)
    mine = record(ada, lr=0.1)
    put(REF, git("rev-parse", "main", cwd=hub), hub)
    git("fetch", "--quiet", cwd=ada)
    assert runs(ada) == {mine.id}


LIAR = """
import os, subprocess, sys
subprocess_of = subprocess.Popen(["git", "upload-pack", sys.argv[-1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
out, tips = sys.stdout.buffer, {}
while True:
    head = subprocess_of.stdout.read(4)
    line = subprocess_of.stdout.read(int(head, 16) - 4) if head != b"0000" else None
    if line is None:
        lie = tips[b"refs/gitparams/runs"] + b" refs/gitparams/inbox/x:refs/heads/obeyed\\n"
        out.write(b"%04x" % (len(lie) + 4) + lie + head)
        out.flush()
        break
    oid, _, name = line.split(b"\\0")[0].strip().partition(b" ")
    tips[name] = oid
    out.write(head + line)
if os.fork() == 0:
    while data := os.read(0, 65536):
        subprocess_of.stdin.write(data)
        subprocess_of.stdin.flush()
    os._exit(0)
subprocess_of.stdin.close()
while data := subprocess_of.stdout.read1(65536):
    out.write(data)
    out.flush()
"""


def test_a_server_that_names_a_refspec_as_a_ref_moves_nothing(ada, bob, tmp_path):
    mine = record(ada, lr=0.1)
    push(ada)
    liar = tmp_path / "liar.py"
    liar.write_text(LIAR)
    git("config", "remote.origin.uploadpack", f"GIT_PROTOCOL= {sys.executable} {liar}", cwd=bob)
    assert "refs/gitparams/inbox/x:refs/heads/obeyed" in git("ls-remote", "origin", cwd=bob)
    assert pull(bob).new == (mine.id,)
    assert git("for-each-ref", "refs/heads/obeyed", cwd=bob) == ""


def test_a_shallow_clone_pulls_the_whole_ledger_and_pushes(hub, tmp_path, ada):
    git("commit", "--quiet", "--allow-empty", "-m", "second", cwd=ada)
    git("push", "--quiet", "origin", "HEAD", cwd=ada)
    first, second = record(ada, lr=0.1), record(ada, lr=0.2)
    push(ada)
    shallow = clone(f"file://{hub}", tmp_path / "shallow", "--depth", "1")
    boundary = (shallow / ".git/shallow").read_text()
    mine = record(shallow, lr=0.3)
    assert pull(shallow).new == (first.id, second.id)
    assert push(shallow).runs == 1
    assert runs(hub) == {first.id, second.id, mine.id}
    assert (shallow / ".git/shallow").read_text() == boundary


@pytest.fixture
def cut(hub, tmp_path, ada):
    """A clone whose ledger a shallow fetch cut, and the runs it lacks and has."""
    older, newer = record(ada, lr=0.1), record(ada, lr=0.2)
    push(ada)
    folder = clone(f"file://{hub}", tmp_path / "cut", "--depth", "1")
    git("fetch", "--quiet", "--depth", "1", "origin", f"{REF}:{REF}", cwd=folder)
    return folder, older, newer


def test_a_cut_ledger_goes_on_and_its_runs_reach_who_has_the_rest(cut, hub):
    folder, older, newer = cut
    with Git.find(folder) as plain:
        assert Ledger(plain).cut() == [tip(folder)]
    mine = record(folder, lr=0.3)
    assert push(folder).runs == 1
    assert runs(hub) == {older.id, newer.id, mine.id}
    assert runs(folder) == {newer.id, mine.id}


def test_rows_of_the_index_outlive_a_cut(hub, tmp_path, ada):
    ids = {record(ada, lr=0.1).id, record(ada, lr=0.2).id}
    push(ada)
    assert runs(ada) == ids
    git("config", "remote.origin.url", f"file://{hub}", cwd=ada)
    git("fetch", "--quiet", "--depth", "1", "--update-head-ok", "origin", f"+{REF}:{REF}", cwd=ada)
    assert runs(ada) == ids
    third = record(ada, lr=0.3)
    assert runs(ada) == {*ids, third.id}


def test_a_cut_ledger_is_not_pushed_where_the_rest_is_missing(cut, tmp_path):
    folder, _, _ = cut
    git("init", "--quiet", "--bare", tmp_path / "empty.git")
    done = gitparams("push", tmp_path / "empty.git", cwd=folder)
    assert (done.code, done.err) == (
        1,
        f"gitparams: The ledger here was cut by a shallow fetch, and {tmp_path}/empty.git lacks what is older than the cut.\n"
        f"hint: git fetch --unshallow origin {REF}\n",
    )


def test_a_cut_ledger_of_a_remote_is_not_taken_for_a_whole_one(cut, tmp_path):
    folder, _, _ = cut
    fresh = make_repository(tmp_path / "fresh")
    with pytest.raises(GitParamsError, match="was cut by a shallow fetch, and what is older than the cut is not here"):
        pull(fresh, str(folder))
    with pytest.raises(GitParamsError, match="was cut by a shallow fetch"):
        pull(fresh, str(folder))
    assert tip(fresh) == ""


def test_a_cut_ledger_is_not_merged_with_what_may_be_its_own_past(cut, tmp_path, ada):
    folder, _, _ = cut
    git("update-ref", REF, f"{REF}~1", cwd=ada)  # as if it had never been further
    (ada / ".git/gitparams/tip").unlink()
    before = tip(folder)
    with pytest.raises(LedgerError, match="lacks what it has in common with the other"):
        pull(folder, str(ada))
    assert tip(folder) == before


def lazy_fetches(folder, *words):
    trace = folder / ".git/trace"
    trace.write_text("")
    done = gitparams(*words, cwd=folder, env={"GIT_TRACE": str(trace)})
    assert done.code == 0, done.err
    return [
        line
        for line in trace.read_text().splitlines()
        if "built-in: git fetch" in line or "run_command: git -c fetch.neg" in line
    ]


@pytest.mark.parametrize("kind", ["blob:none", "tree:0"])
def test_a_partial_clone_gets_the_files_of_its_runs_in_one_request_and_no_code(hub, tmp_path, ada, kind):
    (ada / "train.py").write_text("print('not committed')\n")
    ids = {record(ada, lr=number).id for number in range(4)}
    push(ada)
    partial = clone(f"file://{hub}", tmp_path / "partial", f"--filter={kind}", "--no-checkout")
    config = (partial / ".git/config").read_bytes()
    assert len([line for line in lazy_fetches(partial, "pull") if "built-in: git fetch" in line]) == 2
    assert lazy_fetches(partial, "log", "--oneline") == []
    assert runs(partial) == ids
    assert (partial / ".git/config").read_bytes() == config
    code = git("rev-parse", f"{REF}:code/train.py", cwd=ada)
    assert f"?{code}" in git("rev-list", "--objects", "--missing=print", REF, cwd=partial).splitlines()


def test_a_plain_fetch_of_a_partial_clone_is_completed_in_one_request(hub, tmp_path, ada):
    ids = {record(ada, lr=number).id for number in range(4)}
    partial = clone(f"file://{hub}", tmp_path / "partial", "--filter=blob:none")
    gitparams("init", "--fetch", "--no-hooks", cwd=partial)
    push(ada)
    git("fetch", "--quiet", cwd=partial)
    assert len([line for line in lazy_fetches(partial, "log", "--oneline") if "built-in: git fetch" in line]) == 1
    assert runs(partial) == ids


# -- faults ---------------------------------------------------------------------------------------------------------------


def test_what_a_gc_took_between_fetch_and_join_is_fetched_again(ada, bob, hub):
    record(ada, lr=0.1)
    push(ada)
    with Git.find(bob) as plain:
        ledger = Ledger(plain)
        adopt, collected = ledger.adopt, []

        def adopt_after_a_gc(tips):
            done = adopt(tips)
            blob = git("rev-parse", f"{REF}:params.json", cwd=bob)
            (bob / ".git/objects" / blob[:2] / blob[2:]).unlink()
            (bob / ".git/gc.pid").write_text("1 localhost")
            collected.append(blob)
            return done

        ledger.adopt = adopt_after_a_gc
        Sync(plain, ledger).pull()
    (bob / ".git/gc.pid").unlink()
    assert git("fsck", "--strict", "--no-dangling", cwd=bob) == ""
    assert len(runs(bob)) == 1


def test_a_pull_that_is_killed_anywhere_is_made_good_by_the_next(ada, bob):
    ids = {record(ada, lr=number).id for number in range(3)}
    push(ada)
    words = [sys.executable, "-m", "gitparams", "pull"]
    killed = [subprocess.run(["timeout", "-s", "KILL", str(0.02 * n), *words], cwd=bob, check=False) for n in range(3, 14)]
    assert any(process.returncode != 0 for process in killed)
    for lock in (bob / ".git/refs").rglob("*.lock"):  # of the git that was killed too
        os.utime(lock, (time.time() - 120,) * 2)
    assert gitparams("pull", cwd=bob).code == 0
    assert runs(bob) == ids
    assert git("fsck", "--strict", "--no-dangling", cwd=bob) == ""


def test_a_read_only_repository_says_so_and_stays_as_it_is(ada, bob):
    from world import read_only, unprivileged

    record(ada, lr=0.1)
    push(ada)
    with read_only(bob):
        done = unprivileged(sys.executable, "-m", "gitparams", "pull", cwd=bob)
    assert done.returncode == 1
    assert done.stderr == f"gitparams: {bob}/.git cannot be written: {why_read_only(done.stderr)}.\n"
    assert tip(bob) == ""


def why_read_only(text):
    """Return git's word for it: a file system that is mounted so, or a folder without the right."""
    return "Read-only file system" if "Read-only" in text else "Permission denied"


def test_a_pull_for_which_there_is_no_room_says_where(ada, hub, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=False).returncode != 0:
        pytest.skip("only root may mount a small disk")
    try:
        bob = clone(hub, disk / "bob")
        record(ada, noise=os.urandom(500_000).hex())
        push(ada)
        (disk / "filling").write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize - 16384))
        with pytest.raises(LedgerError, match=f"^{bob}/.git cannot be written: No space left on device.$"):
            pull(bob)
        (disk / "filling").unlink()
        assert len(pull(bob).new) == 1
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_big_pull_leaves_a_commit_graph(ada, bob, monkeypatch):
    monkeypatch.setattr("gitparams.sync.BIG", 2)
    for number in range(4):
        record(ada, n=number)
    push(ada)
    pull(bob)
    assert git("commit-graph", "verify", cwd=bob) == ""
    assert (bob / ".git/objects/info/commit-graphs/commit-graph-chain").exists()


def test_a_first_push_does_not_send_the_code_that_the_remote_has(tmp_path, monkeypatch):
    code = make_repository(tmp_path / "many")
    for number in range(300):
        (code / f"file{number}.py").write_text(f"print({number})\n")
    git("add", ".", cwd=code)
    git("commit", "--quiet", "-m", "many", cwd=code)
    git("clone", "--quiet", "--bare", code, tmp_path / "hub.git")
    mine = clone(tmp_path / "hub.git", tmp_path / "mine")
    record(mine, lr=0.1)
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(tmp_path / "trace"))
    push(mine)
    monkeypatch.delenv("GIT_TRACE2_EVENT")
    import json

    events = map(json.loads, (tmp_path / "trace").read_text().splitlines())
    written = [int(event["value"]) for event in events if event.get("key") == "write_pack_file/wrote"]
    assert written == [6]


# -- other transports -----------------------------------------------------------------------------------------------------


def test_ssh_remotes_work(ada, bob, hub, tmp_path, monkeypatch):
    fake = tmp_path / "ssh"
    fake.write_text(
        '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do case $1 in -o|-p) shift;; esac; shift; done\nshift\nexec sh -c "$*"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(fake))
    monkeypatch.setenv("GIT_SSH_VARIANT", "ssh")
    git("config", "remote.origin.url", f"ssh://git@somewhere{hub}", cwd=ada)
    git("config", "remote.origin.url", f"git@somewhere:{hub}", cwd=bob)
    run = record(ada, lr=0.1)
    assert push(ada).runs == 1
    assert pull(bob).new == (run.id,)


@pytest.fixture
def http(tmp_path):
    """The address of a server of the repositories in tmp_path, by git http-backend."""
    backend = Path(git("--exec-path")) / "git-http-backend"
    if not backend.exists():
        pytest.skip("git http-backend is not installed")
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Backend(BaseHTTPRequestHandler):
        def do_GET(self):
            path, _, query = self.path.partition("?")
            size = int(self.headers.get("Content-Length") or 0)
            variables = {
                "GIT_PROJECT_ROOT": str(tmp_path),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(size),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_USER": "ada",
            }
            body = self.rfile.read(size)
            done = subprocess.run([backend], input=body, env={**os.environ, **variables}, capture_output=True, check=False)
            head, _, data = done.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
            self.send_response(int(fields.pop("Status", "200 OK").split()[0]))
            for field in fields.items():
                self.send_header(*field)
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_http_remotes_work(ada, bob, hub, http):
    git("config", "http.receivepack", "true", cwd=hub)
    git("remote", "set-url", "origin", f"{http}/hub.git", cwd=ada)
    git("remote", "set-url", "origin", f"{http}/hub.git", cwd=bob)
    run = record(ada, lr=0.1)
    assert push(ada).runs == 1
    assert pull(bob).new == (run.id,)


def test_an_http_remote_that_takes_no_pushes_says_so(ada, hub, http):
    git("config", "http.receivepack", "false", cwd=hub)
    git("remote", "set-url", "origin", f"{http}/hub.git", cwd=ada)
    record(ada, lr=0.1)
    done = gitparams("push", cwd=ada)
    assert done.code == 1
    assert done.err.startswith("gitparams: origin does not let us in: ")


# -- what was purged ------------------------------------------------------------------------------------------------------


def test_a_purge_reaches_the_remote_and_every_clone_and_is_taken_for_no_rewind(ada, bob, hub):
    dead, kept = record(ada, lr=0.1), record(ada, lr=0.2)
    push(ada)
    pull(bob)
    mine = record(bob, lr=0.3)
    with Repository.find(ada) as repository:
        repository.purge([dead.id])
    pushed = push(ada)
    assert pushed.pulled.notes == ()
    pulled = pull(bob)
    assert (pulled.notes, pulled.new) == ((), ())
    assert push(bob).runs == 1
    assert pull(ada).new == (mine.id,)
    assert runs(ada) == runs(bob) == runs(hub) == {kept.id, mine.id}
    assert tip(ada) == tip(bob) == tip(hub)
    assert "0.1" not in git("log", "--format=%s", REF, cwd=hub)


def test_a_plain_fetch_of_what_was_purged_here_brings_nothing_back(ada, hub):
    gitparams("init", "--fetch", "--no-hooks", cwd=ada)
    dead, kept = record(ada, lr=0.1), record(ada, lr=0.2)
    push(ada)
    with Repository.find(ada) as repository:
        repository.purge([dead.id])
    git("fetch", "--quiet", cwd=ada)
    assert runs(ada) == {kept.id}
    assert push(ada).entries > 0
    assert runs(hub) == {kept.id}
