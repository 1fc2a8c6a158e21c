"""Which runs belong to a commit, after real rebases, amends, squashes and in shallow clones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from world import git, gitparams, make_repository

from gitparams.errors import AmbiguousRun, RunNotFound, UsageError
from gitparams.model import Run, Status, now
from gitparams.params import Layer
from gitparams.repository import Repository
from gitparams.writing import Beginning


def record(folder: Path, *, status: Status = Status.COMPLETED, **metrics: float) -> Run:
    """Record a run of the code as it is in a folder; its params tell which one it is."""
    with Repository.find(folder) as repository:
        params = Layer({"of": git("log", "-1", "--format=%s", cwd=folder)}, {})
        return repository.record(Beginning(params=params, started=now()), metrics, status=status)


def commit(folder: Path, name: str, text: str | None = None, subject: str | None = None) -> str:
    (folder / name).write_text(f"{name}\n" if text is None else text)
    git("add", "-A", cwd=folder)
    git("commit", "-qm", subject or f"add {name}", cwd=folder)
    return git("rev-parse", "HEAD", cwd=folder)


def relinked(folder: Path, how: str, *pairs: tuple[str, str]) -> int:
    with Repository.find(folder) as repository:
        return repository.relink(pairs, how)


def found(folder: Path, word: str) -> tuple[str, str]:
    """Return the id of the run that a word names, and why it is this one."""
    with Repository.find(folder) as repository:
        run = repository.run(word)
        return run.id, " ".join(repository.notes)


def state_of_user(folder: Path) -> list[str]:
    """Return all that is the user's: refs, HEAD, index, stash, files, FETCH_HEAD, hooks, settings."""
    refs = git("for-each-ref", "--format=%(refname) %(objectname)", cwd=folder).split("\n")
    files = [path for path in sorted((folder / ".git").iterdir()) if path.is_file() and path.name != "index"]
    return [
        *(ref for ref in refs if not ref.startswith("refs/gitparams/")),
        git("status", "--porcelain=v2", "--branch", cwd=folder),
        git("ls-files", "--stage", cwd=folder),
        git("stash", "list", cwd=folder),
        *(f"{path.name} {path.read_bytes()!r}" for path in files),
        *sorted(path.name for path in (folder / ".git" / "hooks").iterdir()),
    ]


def listed(folder: Path, span: str) -> set[str]:
    with Repository.find(folder) as repository:
        return set(repository.index.ids(repository.span(span)))


@pytest.fixture
def forked(repo: Path) -> Iterator[Path]:
    """main has gone on since ``feature`` left it; feature has two commits."""
    commit(repo, "base.py")
    git("checkout", "-qb", "feature", cwd=repo)
    commit(repo, "one.py")
    commit(repo, "two.py")
    git("checkout", "-q", "main", cwd=repo)
    commit(repo, "main.py")
    git("checkout", "-q", "feature", cwd=repo)
    return repo


# -- the lazy way: no hook, no alias --------------------------------------------------------------------------------------


def test_a_run_is_found_at_the_commit_it_was_recorded_at(repo):
    run = record(repo)
    assert found(repo, "HEAD") == (run.id, "")


def test_a_run_made_before_the_commit_belongs_to_it_when_the_code_is_the_same(repo):
    (repo / "train.py").write_text("print('tried before it was committed')\n")
    run = record(repo)
    git("commit", "-qam", "as tried", cwd=repo)
    assert found(repo, "HEAD") == (run.id, f"HEAD: recorded at {run.code.commit[:10]}, the same tree.")


def test_a_run_of_changed_files_is_the_next_commits_once_they_are_committed(repo):
    clean = record(repo)
    (repo / "train.py").write_text("print('tried before it was committed')\n")
    tried = record(repo)
    assert found(repo, "HEAD")[0] == tried.id, "nothing was committed yet"
    git("commit", "-qam", "as tried", cwd=repo)
    assert found(repo, "HEAD")[0] == tried.id
    assert found(repo, "HEAD~1") == (clean.id, "")


def test_an_amended_message_keeps_the_run_by_its_tree(repo):
    run = record(repo)
    git("commit", "-q", "--amend", "-m", "better words", cwd=repo)
    assert found(repo, "HEAD") == (run.id, f"HEAD: recorded at {run.code.commit[:10]}, the same tree.")


def test_a_rebase_keeps_the_runs_by_their_patches(forked):
    second = record(forked)
    git("checkout", "-q", "HEAD~1", cwd=forked)
    first = record(forked)
    git("checkout", "-q", "feature", cwd=forked)
    git("rebase", "-q", "main", cwd=forked)
    assert found(forked, "HEAD") == (second.id, f"HEAD: recorded at {second.code.commit[:10]}, the same patch.")
    assert found(forked, "HEAD~1") == (first.id, f"HEAD~1: recorded at {first.code.commit[:10]}, the same patch.")


def test_a_rebase_that_met_a_conflict_keeps_the_run_by_subject_and_author_date(repo, monkeypatch):
    monkeypatch.setenv("GIT_EDITOR", "true")
    commit(repo, "conf.txt", "1\n")
    git("checkout", "-qb", "feature", cwd=repo)
    commit(repo, "conf.txt", "2\n", "raise it")
    run = record(repo)
    git("checkout", "-q", "main", cwd=repo)
    commit(repo, "conf.txt", "5\n", "another value")
    git("checkout", "-q", "feature", cwd=repo)
    git("rebase", "-q", "main", cwd=repo, check=False)
    (repo / "conf.txt").write_text("7\n")
    git("add", "conf.txt", cwd=repo)
    git("rebase", "--continue", cwd=repo)
    expected = f"HEAD: recorded at {run.code.commit[:10]}, the same subject and author date."
    assert found(repo, "HEAD") == (run.id, expected)


def test_the_commit_of_a_run_need_not_exist_any_more(repo):
    commit(repo, "conf.txt", "1\n")
    run = record(repo)
    git("commit", "-q", "--amend", "-m", "better words", cwd=repo)
    git("reflog", "expire", "--expire=all", "--all", cwd=repo)
    git("gc", "-q", "--prune=now", cwd=repo)
    assert git("cat-file", "-t", run.code.commit, cwd=repo, check=False) == ""
    assert found(repo, "HEAD")[0] == run.id


def test_a_squash_merge_on_a_main_that_went_on_is_found_by_the_files_it_changed(forked):
    run = record(forked)
    git("checkout", "-q", "main", cwd=forked)
    git("merge", "-q", "--squash", "feature", cwd=forked)
    git("commit", "-qm", "feature (#12)", cwd=forked)
    assert found(forked, "HEAD") == (run.id, f"HEAD: recorded at {run.code.commit[:10]}, squashed into it.")


def test_a_squash_merge_made_on_a_server_is_found_in_a_clone_that_never_saw_the_branch(forked, tmp_path):
    run = record(forked)
    server = tmp_path / "server.git"
    git("clone", "-q", "--bare", forked, server)
    git("symbolic-ref", "HEAD", "refs/heads/main", cwd=server)
    git("push", "-q", server, "refs/gitparams/runs", cwd=forked)
    work = tmp_path / "work"
    git("clone", "-q", server, work)
    git("checkout", "-q", "main", cwd=work)
    git("merge", "-q", "--squash", "origin/feature", cwd=work)
    git("commit", "-qm", "feature (#12)", cwd=work)
    git("push", "-q", "origin", "main", ":feature", cwd=work)
    clone = tmp_path / "clone"
    git("clone", "-q", f"file://{server}", clone)
    git("fetch", "-q", "origin", "refs/gitparams/runs:refs/gitparams/runs", cwd=clone)
    git("checkout", "-q", "main", cwd=clone)
    assert git("cat-file", "-t", run.code.commit, cwd=clone, check=False) == ""
    assert found(clone, "HEAD")[0] == run.id


def test_a_later_commit_of_other_files_is_not_taken_for_a_squash(forked):
    record(forked)
    git("checkout", "-q", "main", cwd=forked)
    commit(forked, "other.py")
    with pytest.raises(RunNotFound, match="No run was recorded at"):
        found(forked, "HEAD")


def test_a_merge_has_the_runs_of_the_branch_it_brought(forked):
    run = record(forked)
    git("checkout", "-q", "main", cwd=forked)
    git("merge", "-q", "--no-ff", "-m", "merge feature", "feature", cwd=forked)
    assert found(forked, "HEAD") == (run.id, f"HEAD: recorded at {run.code.commit[:10]}, merged by it.")


def test_of_several_runs_the_newest_completed_one_counts_and_the_best_when_asked(repo):
    best = record(repo, acc=0.9)
    newest = record(repo, acc=0.5)
    record(repo, status=Status.FAILED)
    git("commit", "-q", "--allow-empty", "-m", "next", cwd=repo)
    next_one = record(repo, acc=0.7)
    assert found(repo, "HEAD~1")[0] == newest.id
    with Repository.find(repo) as repository:
        diff = repository.diff(["HEAD~1", "HEAD"], best="acc")
        assert [run.id for run in diff.runs] == [best.id, next_one.id]
        assert diff.names[0].how == "the best of 2 runs by acc"
        with pytest.raises(RunNotFound, match="None of the runs at that commit has the metric 'f1'"):
            repository.diff(["HEAD~1", "HEAD"], best="f1")


# -- aliases --------------------------------------------------------------------------------------------------------------


def test_an_alias_is_an_entry_and_leads_from_the_new_commit_to_the_old_one(repo):
    run = record(repo)
    old = run.code.commit
    new = commit(repo, "train.py", "print('amended beyond recognition')\n", "entirely new")
    assert relinked(repo, "amend", (old, new)) == 1
    assert found(repo, "HEAD") == (run.id, f"HEAD: recorded at {old[:10]}, rewritten since.")
    message = git("log", "-1", "--format=%B", "refs/gitparams/runs", cwd=repo)
    assert message == f"alias of 1 commit: amend\n\nRun-Event: alias\nRun-Alias: {old} {new}"
    trees = git("log", "-2", "--format=%T", "refs/gitparams/runs", cwd=repo).split()
    assert trees[0] == trees[1], "an alias keeps the tree of the entry before it"


def test_aliases_are_followed_step_by_step_in_whatever_order_they_come(repo):
    run = record(repo)
    old = run.code.commit
    a, b = commit(repo, "a", subject="a"), commit(repo, "b", subject="b")
    assert relinked(repo, "rebase", (a, b), (old, a)) == 2
    assert found(repo, "HEAD")[0] == run.id


def test_an_alias_is_written_once_and_only_where_there_are_runs(repo):
    run = record(repo)
    new = commit(repo, "a")
    assert relinked(repo, "amend", (run.code.commit, new), ("1" * 40, "2" * 40)) == 1
    tip = git("rev-parse", "refs/gitparams/runs", cwd=repo)
    assert relinked(repo, "amend", (run.code.commit, new), (new, new)) == 0
    assert git("rev-parse", "refs/gitparams/runs", cwd=repo) == tip


def test_a_repository_without_runs_gets_no_ledger_by_a_rebase(repo):
    assert relinked(repo, "rebase", ("1" * 40, "2" * 40)) == 0
    assert git("for-each-ref", "refs/gitparams", cwd=repo) == ""


def test_aliases_are_there_again_when_the_index_is_made_anew(repo):
    run = record(repo)
    new = commit(repo, "a", subject="entirely new")
    relinked(repo, "amend", (run.code.commit, new))
    (repo / ".git" / "gitparams" / "index.db").unlink()
    assert found(repo, "HEAD")[0] == run.id
    assert gitparams("log", "--json", cwd=repo).out.count('"id"') == 1, "an alias is no run"


def test_an_alias_that_a_rewind_took_away_is_joined_again(repo):
    run = record(repo)
    new = commit(repo, "a", subject="entirely new")
    relinked(repo, "amend", (run.code.commit, new))
    git("update-ref", "refs/gitparams/runs", "refs/gitparams/runs~1", cwd=repo)
    assert found(repo, "HEAD")[0] == run.id


def test_an_alias_of_somebody_who_writes_nonsense_is_passed_over(repo):
    run = record(repo)
    tip = git("rev-parse", "refs/gitparams/runs", cwd=repo)
    text = f"alias\n\nRun-Event: alias\nRun-Alias: {run.code.commit} $(touch pwned)\n"
    new = git("commit-tree", f"{tip}^{{tree}}", "-p", tip, "-m", text, cwd=repo)
    git("update-ref", "refs/gitparams/runs", new, tip, cwd=repo)
    assert found(repo, "HEAD") == (run.id, "")


# -- clones that have not all -----------------------------------------------------------------------------------------------


@pytest.fixture
def shallow(forked, tmp_path):
    """A clone of depth 1 as continuous integration makes it, with the ledger, of a branch whose base has a run."""
    git("checkout", "-q", "main", cwd=forked)
    base = record(forked, acc=0.8)
    git("checkout", "-q", "feature", cwd=forked)
    git("rebase", "-q", "main", cwd=forked)
    tip = record(forked, acc=0.9)
    clone = tmp_path / "clone"
    git("clone", "-q", "--depth", "1", "--branch", "feature", f"file://{forked}", clone)
    git("fetch", "-q", "origin", "refs/gitparams/runs:refs/gitparams/runs", cwd=clone)
    return clone, base, tip


def test_a_shallow_clone_knows_commits_that_it_does_not_have_by_their_runs(shallow):
    clone, base, tip = shallow
    assert found(clone, base.code.commit[:12])[0] == base.id
    assert found(clone, "HEAD")[0] == tip.id


def test_a_branch_that_was_not_fetched_is_its_newest_run(shallow):
    clone, base, _ = shallow
    expected = "origin/main: the newest run of the branch: origin/main is not in this clone."
    assert found(clone, "origin/main") == (base.id, expected)
    assert found(clone, "main")[0] == base.id


def test_what_is_neither_fetched_nor_recorded_is_said_with_the_next_step(shallow):
    clone, _, _ = shallow
    with pytest.raises(RunNotFound, match="origin/other is not fetched") as error:
        found(clone, "origin/other")
    assert error.value.hint == "git fetch origin"
    with pytest.raises(RunNotFound, match="HEAD~3 is beyond the end of this shallow clone") as error:
        found(clone, "HEAD~3")
    assert error.value.hint == "git fetch --deepen=50"


def test_a_run_in_a_shallow_clone_keeps_no_patch_id_of_the_whole_tree(shallow):
    clone, _, _ = shallow
    assert record(clone).code.patch_id is None


def test_a_merge_that_a_server_made_for_a_check_has_the_runs_of_its_branch(forked, tmp_path):
    run = record(forked)
    git("checkout", "-q", "--detach", "main", cwd=forked)
    git("merge", "-q", "--no-ff", "-m", "merge for the check", "feature", cwd=forked)
    git("update-ref", "refs/pull/1/merge", "HEAD", cwd=forked)
    clone = make_repository(tmp_path / "clone")
    git("remote", "add", "origin", f"file://{forked}", cwd=clone)
    git("fetch", "-q", "--depth", "1", "origin", "refs/pull/1/merge", cwd=clone)
    git("checkout", "-q", "--detach", "FETCH_HEAD", cwd=clone)
    git("fetch", "-q", "origin", "refs/gitparams/runs:refs/gitparams/runs", cwd=clone)
    assert found(clone, "HEAD") == (run.id, f"HEAD: recorded at {run.code.commit[:10]}, merged by it.")


def test_a_branch_that_is_gone_is_named_by_its_runs(forked):
    run = record(forked)
    git("checkout", "-q", "main", cwd=forked)
    git("branch", "-q", "-D", "feature", cwd=forked)
    main = record(forked)
    with Repository.find(forked) as repository:
        diff = repository.diff(["main..feature"])
        assert [one.id for one in diff.runs] == [main.id, run.id]
        assert [naming.word for naming in diff.names] == ["main", "feature"]
        assert diff.names[1].how == "the newest run of the branch: feature is not in this clone"


def test_in_the_middle_of_a_rebase_everything_can_be_asked(repo):
    commit(repo, "conf.txt", "1\n")
    git("checkout", "-qb", "feature", cwd=repo)
    commit(repo, "conf.txt", "2\n", "raise it")
    run = record(repo)
    git("checkout", "-q", "main", cwd=repo)
    commit(repo, "conf.txt", "5\n", "another value")
    main = record(repo)
    git("checkout", "-q", "feature", cwd=repo)
    git("rebase", "-q", "main", cwd=repo, check=False)
    before = state_of_user(repo)
    shown = gitparams("diff", "main", "feature", "--json", cwd=repo)
    assert shown.code == 0
    assert main.id in shown.out
    assert run.id in shown.out
    assert state_of_user(repo) == before


# -- ranges ---------------------------------------------------------------------------------------------------------------


def test_a_range_of_commits_lists_their_runs_as_git_log_lists_the_commits(forked):
    two = record(forked)
    git("checkout", "-q", "HEAD~1", cwd=forked)
    one = record(forked)
    failed = record(forked, status=Status.FAILED)
    git("checkout", "-q", "main", cwd=forked)
    main = record(forked)
    assert listed(forked, "main..feature") == {one.id, two.id, failed.id}
    assert listed(forked, "feature..main") == {main.id}
    assert listed(forked, "main...feature") == {one.id, two.id, failed.id, main.id}
    assert listed(forked, "feature~1") == {one.id, failed.id}
    assert listed(forked, "feature..") == {main.id}
    assert listed(forked, "..feature") == {one.id, two.id, failed.id}


def test_a_range_of_rewritten_commits_has_the_runs_of_what_they_were(forked):
    run = record(forked)
    git("rebase", "-q", "main", cwd=forked)
    assert listed(forked, "main..feature") == {run.id}
    git("checkout", "-q", "main", cwd=forked)
    assert listed(forked, "feature..main") == set()


def test_a_revert_does_not_bring_back_the_runs_of_the_commit_before(repo):
    run = record(repo)
    commit(repo, "train.py", "print('no')\n")
    git("revert", "--no-edit", "HEAD", cwd=repo)
    assert listed(repo, "HEAD~1..HEAD") == set()
    with pytest.raises(RunNotFound, match="No run was recorded at"):
        found(repo, "HEAD")
    assert found(repo, "HEAD~2")[0] == run.id


def test_a_range_of_runs_is_still_one_of_runs(repo):
    runs = [record(repo) for _ in range(4)]
    assert listed(repo, f"{runs[0].id}..{runs[2].id}") == {runs[1].id, runs[2].id}


def test_what_is_no_range_is_said(repo):
    run = record(repo)
    with pytest.raises(UsageError, match="is no range of runs or commits"):
        listed(repo, "nowhere")
    with pytest.raises(UsageError, match="three dots stand between code revisions"):
        listed(repo, f"{run.id}...latest")


def test_a_beginning_of_two_commits_is_ambiguous(shallow):
    clone, base, _ = shallow
    with Repository.find(clone) as repository:
        twin = base.code.commit[:8] + "0" * 32
        repository.index.connection.execute(
            "INSERT INTO runs SELECT 'kkkkkkkkkkkkkkkk', started, experiment, status, name, ?, parent, hidden, author, trees, broken,"
            " document, params, metrics, ruled, raw FROM runs WHERE id = ?",
            (twin, base.id),
        )
        with pytest.raises(AmbiguousRun, match="may be 2 commits"):
            repository.run(base.code.commit[:8])


def test_a_commit_with_neither_run_nor_params_files_is_said(repo):
    with pytest.raises(RunNotFound, match=r"No run was recorded at .*, and it has no params files") as error:
        found(repo, "HEAD")
    assert error.value.hint == "params: in gitparams.yaml"


def test_the_users_repository_is_not_touched_by_an_alias(forked):
    run = record(forked)
    before = state_of_user(forked)
    relinked(forked, "rebase", (run.code.commit, git("rev-parse", "main", cwd=forked)))
    assert state_of_user(forked) == before


def test_a_second_clone_gets_the_aliases_with_the_ledger(forked, tmp_path):
    run = record(forked)
    new = commit(forked, "another.py", subject="entirely new")
    relinked(forked, "amend", (run.code.commit, new))
    clone = tmp_path / "clone"
    git("clone", "-q", forked, clone)
    git("fetch", "-q", "origin", "refs/gitparams/runs:refs/gitparams/runs", cwd=clone)
    assert found(clone, "HEAD")[0] == run.id


def test_two_processes_that_link_at_once_lose_nothing(repo):
    run = record(repo)
    news = [commit(repo, f"file{number}", subject=f"new {number}") for number in range(4)]
    program = (
        "import sys; from gitparams.repository import Repository\n"
        "with Repository.find() as repository: repository.relink([(sys.argv[1], sys.argv[2])], 'amend')"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, run.code.commit, new], cwd=repo, env=dict(os.environ)) for new in news
    ]
    assert [child.wait(60) for child in children] == [0, 0, 0, 0]
    assert {found(repo, new)[0] for new in news} == {run.id}
