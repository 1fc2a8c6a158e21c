"""Purging: a run that is removed for good leaves no byte behind, comes back from nowhere, and takes nothing else along."""

import json
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime

import pytest
from world import git, gitparams, make_repository

from gitparams.entry import parse_commit
from gitparams.errors import LedgerError, UsageError
from gitparams.git import Git, TreeEntry
from gitparams.journal import Ending
from gitparams.ledger import REF, Ledger, RunPurged
from gitparams.model import Details, Status, new_run_id, now
from gitparams.params import layer
from gitparams.purging import Holder, after_purge, at_remotes, remains
from gitparams.repository import Repository
from gitparams.rewriting import Rewriting, purge_message
from gitparams.writing import Beginning

SECRET = "correct-horse-battery"
WHEN = datetime(2026, 11, 24, tzinfo=UTC)


def record(folder, **params):
    with Repository.find(folder) as repository:
        return repository.record(Beginning(layer(params, "code")), {"acc": 0.5}).id


def purge(folder, *runs, **options):
    with Repository.find(folder) as repository:
        return repository.purge(runs, **options)


def three_runs(folder):
    """Record a run, one with a secret, and one that is compared with that."""
    return record(folder, lr=0.1), record(folder, lr=0.2, word=SECRET), record(folder, lr=0.3)


def tip(folder):
    return git("rev-parse", REF, cwd=folder)


def subjects(folder, ref=REF):
    return git("log", "--format=%s", ref, cwd=folder).splitlines()


def runs_of(folder):
    with Repository.find(folder) as repository:
        return {run.id for run in repository.runs()}


def objects_with(folder, text=SECRET):
    done = subprocess.run(["git", "cat-file", "--batch-all-objects", "--batch"], cwd=folder, capture_output=True, check=True)
    return done.stdout.count(text.encode())


def files_with(folder, text=SECRET):
    files = (path for path in (folder / ".git").rglob("*") if path.is_file())
    return sorted(path.name for path in files if text.encode() in path.read_bytes())


def fetch(folder, other):
    """Bring the ledger of another repository into this one, as `pull` does, and join it."""
    git("fetch", "--quiet", "--no-write-fetch-head", other, f"+{REF}:refs/gitparams/inbox/one", cwd=folder)
    with Repository.find(folder) as repository:
        repository.ledger.adopt([repository.git.ref("refs/gitparams/inbox/one")])
    git("update-ref", "-d", "refs/gitparams/inbox/one", cwd=folder)
    runs_of(folder)


def clone(folder, path):
    make_repository(path)
    git("remote", "add", "origin", folder, cwd=path)
    fetch(path, folder)
    return path


def files_of_objects(folder):
    return sorted(path.name for path in (folder / ".git/objects").rglob("*") if path.is_file())


def dump(folder):
    """Return what the index says, but for what was asked of it."""
    with closing(sqlite3.connect(folder / ".git/gitparams/index.db")) as index:
        tables = ("entries", "runs", "keys", "aliases", "purged")
        return {table: sorted(index.execute(f"SELECT * FROM {table}").fetchall(), key=str) for table in tables}


# -- no byte is left ------------------------------------------------------------------------------------------------------


def test_after_a_gc_no_object_and_no_file_holds_a_byte_of_a_purged_run(repo):
    _, dead, _ = three_runs(repo)
    with Repository.find() as repository:
        repository.tag(dead, ["odd"])
        repository.query(f"params.word == '{SECRET}'")
        git("update-ref", "refs/gitparams/remotes/origin/runs", REF)
        git("update-ref", "refs/prefetch/gitparams/remotes/origin/runs", REF)
        assert SECRET in git("log", "--format=%s", REF)
        assert objects_with(repo) > 0 and "index.db" in "".join(files_with(repo))
        purged = repository.purge([dead])
    git("gc", "--quiet", "--prune=now")
    assert (purged.runs, purged.rewritten, purged.holders) == ((dead,), 1, ())
    assert (objects_with(repo), files_with(repo)) == (0, [])
    assert objects_with(repo, dead) > 0  # the id alone is no secret: the purge names it
    assert git("fsck", "--strict", "--no-dangling") == ""
    assert git("reflog", "show", REF) == ""


def test_an_index_in_use_by_another_process_is_cleaned_too(repo):
    _, dead, _ = three_runs(repo)
    with Repository.find() as reader:
        assert len(reader.runs()) == 3
        purge(repo, dead)
        assert files_with(repo) == []
        assert len(reader.runs()) == 2


def test_the_command_purges_collects_and_says_that_nothing_is_left(repo):
    _, dead, _ = three_runs(repo)
    done = gitparams("purge", dead, "--yes", "--gc")
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines() == [
        f"gitparams: Purged: {dead[:8]}; 1 later entry was written anew.",
        "gitparams: No object of this repository holds them any more.",
    ]
    assert (objects_with(repo), files_with(repo)) == (0, [])


def test_without_a_gc_the_command_to_paste_is_named(repo):
    _, dead, _ = three_runs(repo)
    assert gitparams("purge", dead, "-y").err.splitlines()[-1] == (
        "gitparams: Their objects stay until git collects its garbage: git gc --prune=now"
    )


def test_without_a_terminal_and_without_yes_nothing_is_purged(repo):
    _, dead, _ = three_runs(repo)
    before = tip(repo)
    done = gitparams("purge", dead)
    assert (done.code, tip(repo)) == (2, before)
    assert done.err == (
        f"gitparams: Remove 1 run for good ({dead[:8]})? This cannot be undone. Nobody is there to ask.\nhint: add --yes\n"
    )


def test_an_expression_chooses_hidden_runs_too(repo):
    record(repo, lr=0.1)
    shown, hidden = record(repo, lr=5.0), record(repo, lr=6.0)
    with Repository.find() as repository:
        repository.remove(hidden)
    done = gitparams("purge", "--where", "params.lr > 1", "--yes", "--offline")
    assert (done.code, done.err.splitlines()[0]) == (0, f"gitparams: Purged: {shown[:8]}, {hidden[:8]}.")
    with Repository.find() as repository:
        assert [run.params["lr"] for run in repository.runs()] == [0.1]


def test_a_run_that_goes_on_is_not_purged(repo):
    with Repository.find() as repository:
        journal = repository.begin(Beginning(layer({"lr": 0.1}, "code")))
        before = tip(repo)
        with pytest.raises(UsageError, match="is going on"):
            purge(repo, journal.id)
        journal.close()
    assert tip(repo) == before


def test_the_journal_of_an_open_run_goes_with_it(repo):
    run = gitparams("start", "-p", f"+word={SECRET}", "--", "train").out.strip()
    assert gitparams("purge", run, "--yes", "--gc").code == 0
    assert (objects_with(repo), files_with(repo), list((repo / ".git/gitparams/live").iterdir())) == (0, [], [])


def test_runs_of_a_purged_group_stay_and_the_question_says_so(repo):
    with Repository.find() as repository:
        group = repository.record(Beginning(layer({}, "code")), {}).id
        children = [repository.record(Beginning(layer({"n": n}, "code"), parent=group), {}).id for n in range(2)]
    asked = gitparams("purge", group).err
    assert "2 runs that belong to them stay" in asked
    purge(repo, group)
    with Repository.find() as repository:
        assert [(run.id, run.parent) for run in repository.runs()] == [(child, group) for child in reversed(children)]


# -- what is left is what it was ------------------------------------------------------------------------------------------


def test_entries_above_keep_all_but_their_parents_and_a_subject_that_quotes(repo):
    _, dead, after = three_runs(repo)
    later = record(repo, lr=0.4)
    before = [parse_commit(git("cat-file", "commit", commit).encode()) for commit in git("rev-list", REF).split()]
    purge(repo, dead)
    now_there = [parse_commit(git("cat-file", "commit", commit).encode()) for commit in git("rev-list", REF).split()]
    identity = [(header.tree, header.author, header.trailers) for header in before]
    assert [(header.tree, header.author, header.trailers) for header in now_there[1:]] == [*identity[:2], identity[3]]
    assert subjects(repo)[:3] == ["purge 1 run", f"record {later[:8]}: lr 0.3 → 0.4", f"record {after[:8]}"]
    assert git("log", "-1", "--format=%B", REF).strip() == purge_message([dead]).strip()
    assert git("rev-parse", f"{REF}^{{tree}}") == git("rev-parse", f"{REF}~1^{{tree}}")


def test_entries_below_the_oldest_purged_one_keep_their_ids(repo):
    record(repo, lr=0.1)
    first = tip(repo)
    dead = record(repo, lr=0.2)
    purge(repo, dead)
    assert git("rev-parse", f"{REF}~1") == first


def test_aliases_stay_and_follow_the_tree_below_them(repo):
    first, dead = record(repo, lr=0.1), record(repo, lr=0.2)
    old = git("rev-parse", "HEAD")
    git("commit", "--quiet", "--amend", "-m", "other words")
    new = git("rev-parse", "HEAD")
    with Repository.find() as repository:
        repository.relink([(old, new)], "amend")
        repository.purge([dead])
        assert repository.index.aliases_of([old]) == {(old, new)}
    assert git("rev-parse", f"{REF}~1^{{tree}}") == git("rev-parse", f"{REF}~2^{{tree}}")
    assert runs_of(repo) == {first}


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_a_ledger_of_which_nothing_is_left_still_takes_runs(tmp_path, object_format):
    folder = make_repository(tmp_path / "r", f"--object-format={object_format}")
    dead = [record(folder, lr=0.1), record(folder, lr=0.2, word=SECRET)]
    purge(folder, *dead)
    git("gc", "--quiet", "--prune=now", cwd=folder)
    assert (subjects(folder), objects_with(folder), runs_of(folder)) == (["purge 2 runs"], 0, set())
    fresh = record(folder, lr=0.3)
    assert runs_of(folder) == {fresh}
    assert git("fsck", "--strict", "--no-dangling", cwd=folder) == ""


def test_the_index_after_a_purge_is_the_one_that_is_made_anew(repo):
    _, dead, _ = three_runs(repo)
    (repo / ".git/gitparams/index.db").unlink()  # what an append mirrors is spelled otherwise
    purge(repo, dead)
    mirrored = dump(repo)
    (repo / ".git/gitparams/index.db").unlink()
    runs_of(repo)
    assert mirrored == dump(repo)
    assert mirrored["purged"] == [(dead, mirrored["purged"][0][1])]


def test_what_waits_in_an_inbox_is_kept_without_the_purged_run(repo, tmp_path):
    _, dead, _ = three_runs(repo)
    there = clone(repo, tmp_path / "there")
    own = record(there, lr=0.9)
    git("fetch", "--quiet", "--no-write-fetch-head", there, f"{REF}:refs/gitparams/inbox/one")
    purge(repo, dead)
    told = git("log", "--format=%(trailers:key=Run-Id,valueonly,separator=)", "refs/gitparams/inbox/one").splitlines()
    assert (told[0], dead in told, len(told)) == (own, False, 3)
    git("gc", "--quiet", "--prune=now")
    assert objects_with(repo) == 0


def test_a_partial_clone_does_not_fetch_what_it_purged(repo, tmp_path):
    git("config", "uploadpack.allowFilter", "true")
    _, dead, _ = three_runs(repo)
    there = tmp_path / "there"
    git("clone", "--quiet", "--filter=tree:0", "--no-checkout", f"file://{repo}", there)
    git("fetch", "--quiet", "--no-write-fetch-head", "origin", f"{REF}:{REF}", cwd=there)
    with Git.find(there) as plain:
        rewriting = Ledger(plain).purge([dead], "A <a@b>", WHEN)
        before = files_of_objects(there)
        assert (len(rewriting.trees), remains(plain, rewriting.trees)) == (1, False)
        assert [(holder.remote, holder.name) for holder in at_remotes(plain, rewriting)] == [("origin", REF)]
    assert files_of_objects(there) == before


def test_a_signature_goes_with_what_it_signed(repo):
    dead = record(repo, lr=0.1)
    record(repo, lr=0.2)
    with Git.find() as plain:
        data = plain.read(REF)[2].replace(b"\n\n", b"\ngpgsig -----BEGIN\n  \n line\n -----END\n\n", 1)
        made = plain.object("commit", data)
        plain.write_pack(plain.pack([made]))
        git("update-ref", REF, made.oid)
    purge(repo, dead)
    assert "gpgsig" not in git("cat-file", "commit", f"{REF}~1")
    assert git("fsck", "--strict", "--no-dangling") == ""


def test_what_a_purge_names_beside_run_ids_says_nothing(repo):
    run = record(repo, lr=0.1)
    with Git.find() as plain:
        tree = plain.ref(f"{REF}^{{tree}}")
    text = "purge 1 run\n\nRun-Event: purge\nRun-Purged: latest ../x kkkk\n"
    git("update-ref", REF, git("commit-tree", tree, "-p", REF, "-m", text))
    with Repository.find() as repository:
        assert (repository.index.purged(), [one.id for one in repository.runs()]) == (frozenset(), [run])


# -- it comes back from nowhere -------------------------------------------------------------------------------------------


def test_a_clone_with_runs_of_its_own_on_top_brings_nothing_back_in_either_order(repo, tmp_path):
    kept, dead, after = three_runs(repo)
    here, there = clone(repo, tmp_path / "here"), clone(repo, tmp_path / "there")
    own = record(there, lr=0.9, from_clone=True)
    purge(here, dead)
    fetch(here, there)
    fetch(there, here)
    assert tip(here) == tip(there)
    assert runs_of(here) == runs_of(there) == {kept, after, own}
    git("gc", "--quiet", "--prune=now", cwd=there)
    git("gc", "--quiet", "--prune=now", cwd=here)
    assert (objects_with(here), objects_with(there), files_with(here), files_with(there)) == (0, 0, [], [])


def test_joining_is_the_same_from_both_sides(repo, tmp_path):
    _, dead, _ = three_runs(repo)
    here, there = clone(repo, tmp_path / "here"), clone(repo, tmp_path / "there")
    record(there, lr=0.9)
    git("config", "grep.patternType", "fixed", cwd=there)
    purge(here, dead)
    git("fetch", "--quiet", here, f"{REF}:refs/gitparams/inbox/one", cwd=there)
    with Git.find(there) as plain:
        ledger, mine, theirs = Ledger(plain), plain.ref(REF), plain.ref("refs/gitparams/inbox/one")
        assert ledger.join(mine, theirs) == ledger.join(theirs, mine)
        assert ledger.explains(theirs, mine) is False  # it has a run that no purge names
        assert plain.run("merge-base", "--is-ancestor", theirs, ledger.join(mine, theirs)).returncode == 0


def test_purges_at_the_same_time_in_two_clones_converge(repo, tmp_path):
    first, second, third = three_runs(repo)
    here, there = clone(repo, tmp_path / "here"), clone(repo, tmp_path / "there")
    purge(here, second)
    purge(there, first)
    fetch(here, there)
    fetch(there, here)
    fetch(here, there)
    assert tip(here) == tip(there)
    assert runs_of(here) == runs_of(there) == {third}
    assert objects_with(here, "nothing of the kind") == 0


def test_a_ref_that_is_put_back_to_before_the_purge_is_purged_again(repo):
    kept, dead, after = three_runs(repo)
    before = tip(repo)
    purge(repo, dead)
    purged = tip(repo)
    git("update-ref", REF, before)
    assert (runs_of(repo), tip(repo)) == ({kept, after}, purged)


def test_a_purged_ledger_that_replaces_ours_takes_no_run_of_our_own(repo, tmp_path):
    kept, dead, after = three_runs(repo)
    there = clone(repo, tmp_path / "there")
    own = record(there, lr=0.9)
    purge(repo, dead)
    git("fetch", "--quiet", repo, f"+{REF}:{REF}", cwd=there)
    assert runs_of(there) == {kept, after, own}
    git("gc", "--quiet", "--prune=now", cwd=there)
    assert (objects_with(there), files_with(there)) == (0, [])


def test_what_a_killed_purge_left_is_cleaned_by_the_next_command(repo):
    kept, dead, after = three_runs(repo)
    git("update-ref", "refs/gitparams/remotes/origin/runs", REF)
    with Git.find() as plain:
        Ledger(plain).purge([dead], "A <a@b>", WHEN)
    with Repository.find() as repository:
        assert {run.id for run in repository.runs()} == {kept, after}
        assert repository.notes == ["1 run was purged elsewhere, and here too."]
        assert repository.index.learned == frozenset()
    git("gc", "--quiet", "--prune=now")
    assert (objects_with(repo), files_with(repo)) == (0, [])


def test_a_shallow_ledger_is_not_purged_and_the_way_out_is_named(repo, tmp_path):
    three_runs(repo)
    there = make_repository(tmp_path / "there")
    git("fetch", "--quiet", "--depth", "1", f"file://{repo}", f"{REF}:{REF}", cwd=there)
    (run,) = runs_of(there)
    before = tip(there)
    with pytest.raises(LedgerError, match="cut by a shallow fetch") as raised:
        purge(there, run)
    assert (tip(there), "--unshallow" in raised.value.hint) == (before, True)


# -- appends beside and after it ------------------------------------------------------------------------------------------


def test_a_run_that_was_purged_elsewhere_writes_nothing_at_its_end(repo):
    with Repository.find() as repository:
        journal = repository.begin(Beginning(layer({"word": SECRET}, "code")))
        with Git.find() as other:
            Ledger(other).purge([journal.id], "A <a@b>", WHEN)
        run = repository.finish(journal, Ending(Status.COMPLETED, now(), 0), {"acc": 0.5})
        assert (run.id, run.status) == (journal.id, Status.COMPLETED)
        assert repository.notes == [f"Run {run.short_id} was purged: nothing is written of it."]
    assert (subjects(repo), journal.folder.exists()) == (["purge 1 run"], False)


def test_the_journal_of_a_purged_run_is_dropped_by_the_next_command(repo):
    run = gitparams("start", "-p", f"+word={SECRET}", "--", "train").out.strip()
    with Git.find() as other:
        Ledger(other).purge([run], "A <a@b>", WHEN)
    shutil.copytree(repo / ".git/gitparams/live" / run, repo / "kept")
    gitparams("log")
    shutil.copytree(repo / "kept", repo / ".git/gitparams/live" / run)
    done = gitparams("log")
    assert f"Run {run[:8]} was purged: nothing is written of it." in done.err
    assert (subjects(repo), list((repo / ".git/gitparams/live").iterdir())) == (["purge 1 run"], [])


def test_an_append_of_a_dead_id_is_refused(repo):
    dead = record(repo, lr=0.1)
    with Repository.find() as repository:
        run = repository.run(dead)
        repository.purge([dead])
        with pytest.raises(RunPurged, match="was purged"):
            repository.writer.append_new(run, "record", Details(), None)
    assert subjects(repo) == ["purge 1 run"]


def test_appends_while_a_purge_goes_on_are_all_there(repo):
    dead = [record(repo, lr=n, word=SECRET) for n in range(4)]
    program = "import gitparams,sys\nfor i in range(12): gitparams.record({'writer': int(sys.argv[1]), 'i': i}, {})"
    writers = [subprocess.Popen([sys.executable, "-c", program, str(n)], stderr=subprocess.PIPE) for n in range(2)]
    for run in dead:
        purge(repo, run)
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [(b"", 0)] * 2
    with Repository.find() as repository:
        seen = sorted((run.params["writer"], run.params["i"]) for run in repository.runs())
    assert seen == [(writer, i) for writer in range(2) for i in range(12)]
    git("gc", "--quiet", "--prune=now")
    assert (objects_with(repo), git("fsck", "--strict", "--no-dangling")) == (0, "")


def test_two_purges_at_once_both_happen(repo):
    kept, *dead = [record(repo, lr=n) for n in range(3)]
    threads = [threading.Thread(target=purge, args=(repo, run)) for run in dead]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert runs_of(repo) == {kept}
    with Repository.find() as repository:
        assert repository.index.purged() == frozenset(dead)


def test_a_purged_run_that_waits_in_a_spool_is_not_brought_in(repo, tmp_path, monkeypatch):
    monkeypatch.setenv("GITPARAMS_SPOOL", str(tmp_path / "spool"))
    run = gitparams("start", "-p", f"+word={SECRET}", "--", "train").out.strip()
    shutil.copytree(repo / ".git/gitparams/live" / run, tmp_path / "spool" / run)
    done = gitparams("purge", run, "--yes")
    assert f"gitparams: Still held by spool {tmp_path / 'spool' / run}: rm -r {tmp_path / 'spool' / run}" in done.err
    assert f"Run {run[:8]} was purged: nothing is written of it." in gitparams("import", "spool").err
    assert (subjects(repo), list((tmp_path / "spool").iterdir())) == (["purge 1 run"], [])


# -- what else holds the bytes --------------------------------------------------------------------------------------------


def test_what_else_leads_to_the_bytes_is_named_and_left_alone(repo, tmp_path):
    _, dead, _ = three_runs(repo)
    old, spool, bundle = tip(repo), tmp_path / "spool", repo / ".git/gitparams/runs.bundle"
    git("tag", "keep", old)
    git("branch", "copy", old)
    git("update-ref", "refs/odd/one", f"{old}~1^{{tree}}")
    git("merge", "--quiet", "--allow-unrelated-histories", "-s", "ours", "-m", "both", old)
    git("worktree", "add", "--quiet", "--detach", tmp_path / "tree", old)
    git("fetch", "--quiet", ".", REF)
    git("bundle", "create", "--quiet", bundle, REF)
    (spool / dead).mkdir(parents=True)
    lost = repo / ".git/worktrees/tree/ORIG_HEAD"
    purged = purge(repo, dead, spool=spool)
    assert set(purged.holders) == {
        Holder("tag", "keep", "git tag -d keep"),
        Holder("branch", "copy", "git branch -D copy"),
        Holder("branch", "main"),
        Holder("ref", "refs/odd/one", "git update-ref -d refs/odd/one"),
        Holder("work tree", str(tmp_path / "tree"), f"git -C {tmp_path / 'tree'} checkout -"),
        Holder("ORIG_HEAD", str(lost), f"rm {lost}"),
        Holder("FETCH_HEAD", str(repo / ".git/FETCH_HEAD"), f"rm {repo / '.git/FETCH_HEAD'}"),
        Holder("bundle", str(bundle), f"rm {bundle}"),
        Holder("spool", str(spool / dead), f"rm -r {spool / dead}"),
        Holder("reflog", "worktrees/tree/HEAD", "git reflog delete --rewrite 'worktrees/tree/HEAD@{0}'"),
    }
    assert git("rev-parse", "keep", "copy") == f"{old}\n{old}"


def test_a_reflog_of_the_users_is_named_with_the_command_that_ends_it(repo):
    _, dead, _ = three_runs(repo)
    git("checkout", "--quiet", "--detach", REF)
    git("checkout", "--quiet", "main")
    (holder,) = purge(repo, dead).holders
    assert (holder.what, holder.name) == ("reflog", "HEAD")
    subprocess.run(holder.remedy, shell=True, check=True)
    git("gc", "--quiet", "--prune=now")
    assert objects_with(repo) == 0


def test_a_repository_that_objects_are_borrowed_from_is_named(repo, tmp_path):
    _, dead, _ = three_runs(repo)
    there = tmp_path / "there"
    git("clone", "--quiet", "--shared", repo, there)
    git("fetch", "--quiet", "--no-write-fetch-head", "origin", f"{REF}:{REF}", cwd=there)
    assert purge(there, dead, offline=True).holders == (
        Holder("alternate", str(repo / ".git/objects"), f"git -C {repo / '.git'} gc --prune=now"),
    )


def test_remotes_that_have_them_are_named_with_the_command_to_paste(repo, tmp_path):
    hub = tmp_path / "hub.git"
    git("init", "--quiet", "--bare", hub)
    git("remote", "add", "hub", hub)
    git("remote", "add", "gone", tmp_path / "gone.git")
    _, dead, _ = three_runs(repo)
    git("push", "--quiet", "hub", f"{REF}:{REF}", f"{REF}:refs/tags/old")
    done = gitparams("purge", dead, "--yes")
    assert done.err.splitlines()[1:3] == [
        "gitparams: Remote gone could not be asked, and may have them: gitparams push gone",
        f"gitparams: Remote hub still has them in {REF}: gitparams push hub",
    ]
    assert "gitparams: Remote hub still has them in refs/tags/old: git push hub --delete refs/tags/old" in done.err
    assert done.err.splitlines()[-1] == "gitparams: Their objects stay until git collects its garbage: git gc --prune=now"


def test_a_push_replaces_what_a_remote_has_and_the_next_pull_cleans_the_clone(repo, tmp_path):
    hub = tmp_path / "hub.git"
    git("init", "--quiet", "--bare", hub)
    git("remote", "add", "origin", hub)
    kept, dead, after = three_runs(repo)
    there = make_repository(tmp_path / "there")
    git("remote", "add", "origin", hub, cwd=there)
    assert gitparams("push", "origin").code == 0
    assert gitparams("pull", "origin", cwd=there).code == 0
    own = record(there, lr=0.9)
    gitparams("purge", dead, "--yes")
    assert gitparams("push", "origin").code == 0
    assert gitparams("sync", "origin", cwd=there).code == 0
    git("gc", "--quiet", "--prune=now", cwd=hub)
    git("gc", "--quiet", "--prune=now", cwd=there)
    assert (objects_with(hub), objects_with(there), files_with(there)) == (0, 0, [])
    assert gitparams("pull", "origin").code == 0
    assert runs_of(repo) == runs_of(there) == {kept, after, own}
    assert tip(repo) == tip(there) == tip(hub)


def test_a_pull_before_the_push_says_nothing_of_a_rewind_and_brings_nothing_back(repo, tmp_path):
    hub = tmp_path / "hub.git"
    git("init", "--quiet", "--bare", hub)
    git("remote", "add", "origin", hub)
    kept, dead, after = three_runs(repo)
    assert gitparams("push").code == 0
    gitparams("purge", dead, "--yes")
    purged = tip(repo)
    done = gitparams("pull")
    assert (done.code, "rewound" in done.err + done.out) == (0, False)
    assert (runs_of(repo), tip(repo)) == ({kept, after}, purged)


def test_looking_again_after_a_purge_changes_nothing(repo):
    _, dead, _ = three_runs(repo)
    with Repository.find() as repository:
        repository.purge([dead])
        before = git("for-each-ref")
        assert after_purge(repository, [dead]) == ()
    assert git("for-each-ref") == before


# -- the pure function ----------------------------------------------------------------------------------------------------


class Peer:
    """A clone, as far as the chain is concerned: a tip in one shared object store."""

    def __init__(self, git_):
        self.git, self.ledger, self.tip, self.dead = git_, Ledger(git_), None, set()

    def append(self, run, number, compared=None):
        blob = self.git.object("blob", f"{number}".encode())
        tree = self.git.tree_object({"run.json": TreeEntry("100644", blob.oid)})
        parent = f"parent {self.tip}\n" if self.tip else ""
        who = f"A <a@b> {number} +0000"
        quoted = f"Run-Compared: {compared}\n" if compared else ""
        text = f"record {run[:8]}: value of {compared}\n\nRun-Id: {run}\nRun-Event: record\n{quoted}"
        self._write(f"tree {tree.oid}\n{parent}author {who}\ncommitter {who}\n\n{text}", blob, tree)

    def alias(self, number):
        header = parse_commit(self.git.read(self.tip)[2])
        who = f"A <a@b> {number} +0000"
        text = f"alias of 1 commit: amend\n\nRun-Event: alias\nRun-Alias: {'1' * 40} {number:040}\n"
        self._write(f"tree {header.tree}\nparent {self.tip}\nauthor {who}\ncommitter {who}\n\n{text}")

    def _write(self, text, *others):
        commit = self.git.object("commit", text.encode())
        self.git.write_pack(self.git.pack([*others, commit]))
        self.tip = commit.oid

    def pull(self, theirs):
        if theirs is not None:
            self.tip = theirs if self.tip is None else self.ledger.join(self.tip, theirs)

    def purge(self, dead, number):
        rewriting = Rewriting(self.git, dead)
        rewriting.follow([self.tip])
        made = rewriting.above(rewriting.became[self.tip], f"A <a@b> {number} +0000", purge_message(dead))
        rewriting.add(made)
        rewriting.write()
        self.tip = made.oid
        self.dead |= set(dead)


def ids(git_, tip_):
    lines = git_.text("log", "--format=%(trailers:key=Run-Id,valueonly,separator=)%x00%s", tip_).split("\n")
    return [tuple(line.split("\0")) for line in lines if line]


def play(git_, seed, steps):
    """Let three clones around a hub record, alias, purge and share at random; return them, the hub, and what was purged."""
    chance = random.Random(seed)
    peers, hub, runs, dead = [Peer(git_) for _ in range(3)], None, [], set()
    for number in range(steps):
        peer, act = chance.choice(peers), chance.random()
        if act < 0.45:
            known = sorted(set(runs) - dead)
            runs.append(new_run_id())
            peer.append(runs[-1], number, chance.choice(known) if known else None)
        elif act < 0.5 and peer.tip:
            peer.alias(number)
        elif act < 0.58 and peer.tip:
            mine = [run for run, _ in ids(git_, peer.tip) if run]
            if mine:
                chosen = set(chance.sample(mine, min(len(mine), 2)))
                peer.purge(chosen, number)
                dead |= chosen
        else:
            peer.pull(hub)
            hub = peer.tip if chance.random() < 0.7 else hub
    return peers, hub, set(runs) - dead, dead


@pytest.mark.parametrize("seed", range(6))
def test_clones_that_purge_at_random_converge_and_lose_nothing_else(repo, seed):
    with Git.find() as plain:
        peers, hub, alive, dead = play(plain, seed, 60)
        for _ in range(3):
            for peer in peers:
                peer.pull(hub)
                hub = peer.tip
        assert {peer.tip for peer in peers} == {hub}
        found = ids(plain, hub)
        assert sorted(run for run, _ in found if run) == sorted(alive)
        assert [subject for _, subject in found if any(f"value of {run}" in subject for run in dead)] == []
    assert git("fsck", "--strict", "--no-dangling") == ""


@pytest.mark.parametrize("seed", range(6))
def test_two_purges_one_after_the_other_are_one_purge_of_both(repo, seed):
    with Git.find() as plain:
        peers, _, alive, _ = play(plain, 100 + seed, 40)
        tips = [peer.tip for peer in peers if peer.tip]
        chosen = random.Random(seed).sample(sorted(alive), min(4, len(alive)))
        at_once = Rewriting(plain, chosen)
        at_once.follow(tips)
        first = Rewriting(plain, chosen[::2])
        first.follow(tips)
        first.write()
        second = Rewriting(plain, chosen)
        second.follow([first.became[one] for one in tips if first.became[one]])
        expected = {one: at_once.became[one] for one in tips if first.became[one]}
        assert {one: second.became[first.became[one]] for one in expected} == expected


# -- check --ledger -------------------------------------------------------------------------------------------------------


def test_check_ledger_names_run_file_and_path_of_each_secret(repo):
    record(repo, lr=0.1)
    (repo / "gitparams.yaml").write_text("redact: ['!*']\n")
    with Repository.find() as repository:
        params = layer({"db": {"password": "hunter2"}}, "cli", "--db.password=hunter2")
        run = repository.record(Beginning(params, command=("train", "--api-key", "k1")), {}).id
    (repo / "gitparams.yaml").unlink()
    done = gitparams("check", "--ledger")
    hint = f"    hint: gitparams purge {run[:8]}"
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines() == [
        f"{run[:8]}:origins.json: error: db.password holds a secret (secret)",
        hint,
        f"{run[:8]}:params.json: error: db.password holds a secret (secret)",
        hint,
        f"{run[:8]}:run.json: error: command holds a secret (secret)",
        hint,
        "3 errors in 8 files",
    ]
    purge(repo, run)
    done = gitparams("check", "--ledger")
    assert (done.code, done.out) == (0, "4 files, nothing to say.\n")


def test_check_ledger_takes_no_words_of_the_other_check(repo):
    done = gitparams("check", "--ledger", "params.yaml")
    assert (done.code, done.err) == (2, "gitparams: --ledger looks at recorded runs alone, and for secrets alone.\n")


def test_the_end_of_a_purged_run_is_said_and_writes_nothing(repo):
    program = (
        "import os, subprocess, sys\n"
        "from gitparams.repository import Repository\n"
        "run = os.environ['GITPARAMS_RUN']\n"
        "with Repository.find() as repository:\n"
        "    repository.ledger.purge([run], repository.author, __import__('gitparams.model').model.now())\n"
    )
    (repo / "purge.py").write_text(program)
    gitparams("record", "-p", "lr=1", "--no-strict")
    outcome = gitparams("run", "--", sys.executable, "purge.py")
    assert outcome.code == 0, outcome.err
    assert "purged" in outcome.err
    assert len(json.loads(gitparams("log", "--json").out)) == 1
