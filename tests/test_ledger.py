"""The ledger: entries are appended by compare-and-swap, joined without conflict, and never lost."""

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from world import git, make_repository

from gitparams.errors import LedgerError
from gitparams.git import Git, RefMoved, TreeEntry
from gitparams.ledger import REF, Ledger
from gitparams.lockfile import LockFile
from gitparams.model import Oid
from gitparams.params import layer
from gitparams.repository import Repository
from gitparams.writing import Beginning


def record(folder, **params):
    with Repository.find(Path(folder)) as repository:
        return repository.record(Beginning(layer(params, "code")), {"acc": 0.5})


def entries(folder):
    return int(git("rev-list", "--count", REF, cwd=folder))


def test_an_entry_is_an_ordinary_commit_with_our_trailers(repo):
    run = record(repo, lr=0.1)
    assert git("log", "-1", "--format=%s", REF) == f"record {run.short_id}: first run of default"
    trailers = git("log", "-1", "--format=%(trailers:only,unfold)", REF).strip().splitlines()
    assert trailers == [
        f"Run-Id: {run.id}",
        "Run-Status: completed",
        "Run-Event: record",
        f"Run-Commit: {git('rev-parse', 'HEAD')}",
    ]
    assert git("ls-tree", "--name-only", REF).split() == ["code", "metrics.json", "origins.json", "params.json", "run.json"]
    assert git("cat-file", "blob", f"{REF}:params.json") == '{\n  "lr": 0.1\n}'


def test_equal_params_share_one_blob(repo):
    record(repo, lr=0.1, name="sgd")
    record(repo, name="sgd", lr=0.1)
    assert git("rev-parse", f"{REF}:params.json") == git("rev-parse", f"{REF}~1:params.json")


def test_code_is_heads_tree_when_nothing_changed(repo):
    record(repo, lr=0.1)
    assert git("rev-parse", f"{REF}:code") == git("rev-parse", "HEAD^{tree}")


def test_code_holds_tracked_changes_and_touches_nothing_of_the_user(repo):
    (repo / "other.py").write_text("staged = 1\n")
    git("add", "other.py")
    (repo / "train.py").write_text("print('changed')\n")
    (repo / "scratch.txt").write_text("untracked\n")
    status, index = git("status", "--porcelain"), (repo / ".git/index").read_bytes()
    head, stash = git("rev-parse", "HEAD"), git("stash", "list")
    run = record(repo, lr=0.1)
    assert run.code.dirty
    assert git("cat-file", "blob", f"{REF}:code/train.py") == "print('changed')"
    assert git("ls-tree", "--name-only", f"{REF}:code").split() == ["other.py", "train.py"]
    assert (git("status", "--porcelain"), (repo / ".git/index").read_bytes()) == (status, index)
    assert (git("rev-parse", "HEAD"), git("stash", "list")) == (head, stash)
    assert git("fsck", "--strict", "--no-dangling") == ""


def test_a_merge_conflict_in_the_work_tree_is_recorded_as_it_stands(repo):
    git("checkout", "-q", "-b", "other")
    (repo / "train.py").write_text("theirs\n")
    git("commit", "-qam", "theirs")
    git("checkout", "-q", "main")
    (repo / "train.py").write_text("mine\n")
    git("commit", "-qam", "mine")
    git("merge", "other", check=False)
    before = git("status", "--porcelain")
    record(repo, lr=0.1)
    assert "<<<<<<<" in git("cat-file", "blob", f"{REF}:code/train.py")
    assert git("status", "--porcelain") == before


def test_a_tree_that_servers_would_refuse_is_left_out_with_a_note(repo):
    blob = git("rev-parse", "HEAD:train.py")
    raw = b"40000 .git\0" + bytes.fromhex(git("rev-parse", "HEAD^{tree}")) + b"100644 train.py\0" + bytes.fromhex(blob)
    done = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"], input=raw, capture_output=True, check=True
    )
    commit = git("commit-tree", done.stdout.decode().strip(), "-m", "odd", "-p", "HEAD")
    git("update-ref", "HEAD", commit)
    git("update-index", "--refresh", check=False)
    with Repository.find() as repository:
        from gitparams.snapshot import _flaw

        assert "fsck --strict" in _flaw(repository.git, Oid(done.stdout.decode().strip()), repository.index)


def test_every_append_keeps_a_reflog_entry(repo):
    record(repo, lr=0.1)
    record(repo, lr=0.2)
    assert len(git("reflog", "show", "--format=%H", REF).splitlines()) == 2


def test_a_ref_that_moved_meanwhile_is_not_overwritten(repo):
    record(repo, lr=0.1)
    with Git.find() as first:
        tip = first.ref(REF)
        record(repo, lr=0.2)
        with pytest.raises(RefMoved):
            first.move_ref(REF, tip, tip)
    assert entries(repo) == 2


def test_an_append_that_lost_the_race_is_made_again_on_the_new_tip(repo):
    record(repo, lr=0.1)
    with Repository.find() as repository:
        real, raced = repository.ledger.tip, []

        def tip_seen_before_another_writer():
            seen = real()
            if not raced:
                raced.append(True)
                with Git.find() as other:
                    child = other.read(seen)[2].replace(b"\nauthor", f"\nparent {seen}\nauthor".encode(), 1)
                    made = other.object("commit", child)
                    other.write_pack(other.pack([made]))
                    other.move_ref(REF, made.oid, seen)
            return seen

        repository.ledger.tip = tip_seen_before_another_writer
        repository.record(Beginning(layer({"lr": 0.2}, "code")), {})
    assert entries(repo) == 3


def test_refs_packed_twice_within_a_second_hide_no_entry(repo):
    """A git that lives on takes a ``packed-refs`` of the same second, size and inode for the one that it has read."""
    packed, loose = repo / ".git/packed-refs", repo / ".git" / REF
    record(repo, lr=0.1)
    with Repository.find() as repository:
        git("pack-refs", "--all", "--prune")
        while time.time() % 1 > 0.3:
            time.sleep(0.01)
        os.utime(packed)
        before = repository.ledger.tip()
        first = repository.record(Beginning(layer({"lr": 0.2}, "code")), {})  # both processes have read what was packed
        packed.write_text(packed.read_text().replace(before, loose.read_text().strip()))  # the file system gave the same inode
        loose.unlink()
        second = repository.record(Beginning(layer({"lr": 0.3}, "code")), {})
        assert {run.id for run in repository.runs()} >= {first.id, second.id}
    assert entries(repo) == 3


def test_eight_processes_lose_nothing(repo):
    program = "import gitparams,sys\nfor i in range(10): gitparams.record({'writer': int(sys.argv[1]), 'i': i}, {'acc': i})"
    writers = [subprocess.Popen([sys.executable, "-c", program, str(n)], stderr=subprocess.PIPE) for n in range(8)]
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [(b"", 0)] * 8
    with Repository.find() as repository:
        seen = sorted((run.params["writer"], run.params["i"]) for run in repository.runs())
    assert seen == [(writer, i) for writer in range(8) for i in range(10)]
    assert git("fsck", "--strict", "--no-dangling") == ""


def test_a_lock_is_waited_for_while_others_append_and_let_be_when_its_holder_stands_still(repo, monkeypatch):
    monkeypatch.setattr("gitparams.ledger.LOCK_PATIENCE", 0.3)
    record(repo, lr=0.1)
    with LockFile(repo / ".git/gitparams/ledger.lock") as lock:
        assert lock.take()
        written = threading.Thread(target=record, args=(repo,), kwargs={"lr": 0.2})
        written.start()
        for _ in range(20):
            time.sleep(0.1)
            os.utime(repo / ".git/gitparams/tip")  # as each append of others does
        assert entries(repo) == 1
        written.join(20)
        assert (lock.held, entries(repo)) == (True, 2)


def test_threads_of_one_process_lose_nothing(repo):
    def write(number):
        with Repository.find(repo) as repository:
            for i in range(5):
                repository.record(Beginning(layer({"n": number, "i": i}, "code")), {})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert entries(repo) == 20


def test_without_a_working_lock_the_compare_and_swap_alone_loses_nothing(repo, monkeypatch):
    program = (
        "import gitparams.lockfile as l, gitparams,sys\n"
        "def no_locks(descriptor): raise OSError(95, 'Operation not supported')\n"
        "l._take = no_locks\n"
        "for i in range(6): gitparams.record({'writer': int(sys.argv[1]), 'i': i}, {})"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(n)], stderr=subprocess.PIPE) for n in range(4)]
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [(b"", 0)] * 4
    assert entries(repo) == 24


def test_a_gc_that_prunes_everything_beside_us_takes_nothing_away(repo):
    stop = threading.Event()

    def collect():
        while not stop.is_set():
            subprocess.run(["git", "gc", "--prune=now", "--quiet"], cwd=repo, capture_output=True, check=False)

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for i in range(40):
            (repo / "train.py").write_text(f"print({i})\n")
            record(repo, i=i)
    finally:
        stop.set()
        collector.join()
    assert entries(repo) == 40
    assert git("fsck", "--strict", "--no-dangling") == ""
    assert not list((repo / ".git/objects/pack").glob("*.keep"))


def test_a_gc_that_begins_and_ends_within_an_append_takes_nothing_away(repo):
    (repo / "train.py").write_text("print('not committed')\n")
    with Repository.find() as repository:
        move, collected = repository.git.move_ref, []

        def move_after_a_gc(*words):
            if not collected:
                collected.append(git("gc", "--prune=now", "--quiet"))
            move(*words)

        repository.git.move_ref = move_after_a_gc
        repository.record(Beginning(layer({"lr": 0.1}, "code")), {})
    assert git("fsck", "--strict", "--no-dangling") == ""
    assert git("cat-file", "blob", f"{REF}:code/train.py") == "print('not committed')"


def test_while_a_gc_runs_objects_go_in_as_a_kept_pack_and_the_keep_goes_away(repo):
    (repo / ".git/gc.pid").write_text("1 localhost")
    record(repo, lr=0.1)
    assert len(list((repo / ".git/objects/pack").glob("*.pack"))) == 1
    assert not list((repo / ".git/objects/pack").glob("*.keep"))
    assert git("fsck", "--strict") == ""


def test_a_lock_file_that_git_left_behind_is_named_and_nothing_is_written(repo):
    record(repo, lr=0.1)
    lock = repo / ".git" / f"{REF}.lock"
    lock.touch()
    with Git.find() as plain, pytest.raises(LedgerError) as raised:
        tip = plain.ref(REF)
        plain.move_ref(REF, Oid(git("rev-parse", "HEAD")), tip, patience=0.3)
    assert str(lock) in raised.value.message and f"rm {lock}" in raised.value.hint
    assert entries(repo) == 1


def test_a_user_hook_that_refuses_our_ref_is_reported(repo):
    hook = repo / ".git/hooks/reference-transaction"
    hook.write_text('#!/bin/sh\n[ "$1" = prepared ] && grep -q refs/gitparams && { echo no runs here >&2; exit 1; }\nexit 0\n')
    hook.chmod(0o755)
    with pytest.raises(LedgerError, match="could not move"):
        record(repo, lr=0.1)
    assert git("for-each-ref", "refs/gitparams") == ""


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_repositories_of_both_hashes_work(tmp_path, object_format):
    folder = make_repository(tmp_path / "r", f"--object-format={object_format}")
    run = record(folder, lr=0.1)
    with Repository.find(folder) as repository:
        assert repository.run(run.id) == run
    assert git("fsck", "--strict", cwd=folder) == ""


def test_the_pack_we_build_is_one_that_git_accepts_for_any_content(repo):
    with Git.find() as plain:
        objects = [plain.object("blob", os.urandom(size)) for size in (0, 1, 15, 16, 4095, 70000)]
        tree = plain.tree_object({f"f{i}": TreeEntry("100644", item.oid) for i, item in enumerate(objects)})
        plain.write_pack(plain.pack([*objects, tree]))
        assert [plain.read(item.oid)[2] for item in objects] == [item.data for item in objects]
    assert git("fsck", "--strict", "--no-dangling") == ""


# -- never follow a rewind ------------------------------------------------------------------------------------------------


def test_a_ledger_that_was_rewound_is_joined_with_what_was_there(repo):
    record(repo, lr=0.1)
    first = git("rev-parse", REF)
    lost = record(repo, lr=0.2)
    git("update-ref", REF, first)
    with Repository.find() as repository:
        assert [run.id for run in repository.runs()][0] == lost.id
        assert "joined again" in repository.notes[0]


def test_a_ledger_that_was_deleted_is_brought_back(repo):
    run = record(repo, lr=0.1)
    git("update-ref", "-d", REF)
    with Repository.find() as repository:
        assert [found.id for found in repository.runs()] == [run.id]


def test_a_rewound_ledger_with_new_entries_keeps_both_sides(repo):
    record(repo, lr=0.1)
    first = git("rev-parse", REF)
    record(repo, lr=0.2)
    git("update-ref", REF, first)
    (repo / ".git/gitparams/tip").rename(repo / "tip")  # another machine's append knew nothing of it
    (repo / ".git/gitparams/index.db").unlink()
    record(repo, lr=0.3)
    (repo / "tip").rename(repo / ".git/gitparams/tip")
    with Repository.find() as repository:
        assert sorted(run.params["lr"] for run in repository.runs()) == [0.1, 0.2, 0.3]


# -- joining --------------------------------------------------------------------------------------------------------------


class Peer:
    """A clone, as far as joining is concerned: a tip in one shared object store."""

    def __init__(self, ledger):
        self.ledger, self.tip, self.own = ledger, None, []

    def append(self, number):
        git_ = self.ledger.git
        tree = git_.tree_object({"run.json": TreeEntry("100644", git_.object("blob", f"{number}".encode()).oid)})
        parent = f"parent {self.tip}\n" if self.tip else ""
        text = f"tree {tree.oid}\n{parent}author A <a@b> {number} +0000\ncommitter A <a@b> {number} +0000\n\nentry {number}\n\nRun-Event: record\n"
        commit = git_.object("commit", text.encode())
        blob = git_.object("blob", f"{number}".encode())
        git_.write_pack(git_.pack([blob, tree, commit]))
        self.tip = commit.oid
        self.own.append(commit.oid)

    def pull(self, theirs):
        if theirs is not None:
            self.tip = theirs if self.tip is None else self.ledger.join(self.tip, theirs)


def contained(ledger, tip):
    return set(ledger.git.text("rev-list", tip).split())


def merges(ledger, tip):
    return int(ledger.git.text("rev-list", "--count", "--min-parents=2", tip))


@pytest.mark.parametrize("seed", range(4))
def test_clones_around_a_hub_converge_and_nothing_is_lost(repo, seed):
    chance = random.Random(seed)
    with Git.find() as plain:
        ledger = Ledger(plain)
        peers, hub = [Peer(ledger) for _ in range(4)], None
        for step in range(60):
            peer = chance.choice(peers)
            action = chance.random()
            if action < 0.5:
                peer.append(1000 * seed + step)
            elif action < 0.75:
                peer.pull(hub)
            elif peer.tip is not None and (hub is None or ledger._contains(peer.tip, hub)):
                hub = peer.tip  # a push, fast-forward only
        for peer in [*peers, *peers]:
            peer.pull(hub)
            hub = peer.tip or hub
        for peer in peers:
            peer.pull(hub)
        assert {peer.tip for peer in peers} == {hub}
        assert {commit for peer in peers for commit in peer.own} <= contained(ledger, hub)


def test_joining_again_and_again_makes_no_merge_without_a_new_entry(repo):
    with Git.find() as plain:
        ledger = Ledger(plain)
        left, right = Peer(ledger), Peer(ledger)
        left.append(1)
        right.append(2)
        for _ in range(5):
            left.pull(right.tip)
            right.pull(left.tip)
        assert left.tip == right.tip
        assert merges(ledger, left.tip) == 1


@pytest.mark.parametrize("seed", range(3))
def test_peers_without_a_hub_that_pull_old_values_converge(repo, seed):
    chance = random.Random(seed)
    with Git.find() as plain:
        ledger = Ledger(plain)
        peers = [Peer(ledger) for _ in range(4)]
        for number, peer in enumerate(peers):
            peer.append(100 * seed + number + 1)
        seen = [[peer.tip] for peer in peers]
        pulls = 0
        while len({peer.tip for peer in peers}) > 1 and pulls < 1000:
            reader, writer = chance.sample(range(4), 2)
            peers[reader].pull(chance.choice(seen[writer][-4:]))
            seen[reader].append(peers[reader].tip)
            pulls += 1
        assert len({peer.tip for peer in peers}) == 1
        assert {commit for peer in peers for commit in peer.own} <= contained(ledger, peers[0].tip)
        assert merges(ledger, peers[0].tip) <= 8


def test_a_join_always_fast_forwards_the_remote(repo):
    with Git.find() as plain:
        ledger = Ledger(plain)
        mine, theirs = Peer(ledger), Peer(ledger)
        for number in range(3):
            mine.append(number + 1)
            theirs.append(number + 11)
        assert ledger._contains(ledger.join(mine.tip, theirs.tip), theirs.tip)


def test_two_clones_make_the_same_merge_whatever_the_order(repo):
    with Git.find() as plain:
        ledger = Ledger(plain)
        left, right = Peer(ledger), Peer(ledger)
        left.append(1)
        right.append(2)
        assert ledger.join(left.tip, right.tip) == ledger.join(right.tip, left.tip)


def test_an_entry_that_somebody_wrote_without_a_date_can_be_joined(repo):
    record(repo, lr=1)
    tip = git("rev-parse", REF)
    record(repo, lr=2)
    mine = git("rev-parse", REF)
    tree = git("rev-parse", f"{tip}^{{tree}}")
    text = f"tree {tree}\nparent {tip}\nauthor Mallory <m@x>\ncommitter Mallory <m@x>\n\nRun-Event: note\n"
    theirs = git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=text)
    with Repository.find(repo) as repository:
        joined = repository.ledger.join(Oid(mine), Oid(theirs))
    assert sorted(git("log", "-1", "--format=%P", joined).split()) == sorted([mine, theirs])
