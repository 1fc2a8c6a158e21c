"""The hooks of commits, post-rewrite and prepare-commit-msg, with real gits."""

import os
import sys
import time

import pytest
from gits import CONFIG, FILES, GITS, each, process, script

from gitparams import hook_files, hooks
from gitparams.git import Git
from gitparams.hook_files import HookState
from gitparams.repository import Repository

version = each(GITS, "there is no git")
file_git = each(FILES, "every git here has config hooks")
config_git = each(CONFIG, "GITPARAMS_TEST_GITS names no git 2.54")


@pytest.fixture
def project(repo):
    """A repository with a file of params that gitparams.yaml declares."""
    (repo / "train.yaml").write_text("optim: {lr: 0.1, name: adam}\nseed: 1\n")
    (repo / "gitparams.yaml").write_text("params: [train.yaml]\n")
    git("add", ".", cwd=repo)
    git("commit", "-q", "-m", "params", cwd=repo)
    return repo


def git(*words, cwd, **variables):
    done = process("git", *words, cwd=cwd, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")


def gitparams(*words, cwd, **variables):
    return process(sys.executable, "-m", "gitparams", *words, cwd=cwd, **variables)


def install(folder, *events, **options):
    with Git.find(folder) as found:
        return hook_files.install(found, events or hook_files.STANDARD, **options)


def record(folder, *words):
    done = gitparams("record", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def change(repo, old, new, name="train.yaml"):
    (repo / name).write_text((repo / name).read_text().replace(old, new))


def message(repo, revision="HEAD"):
    return git("log", "-1", "--format=%B", revision, cwd=repo)


def commit_file(repo, name, text=""):
    (repo / name).write_text(text)
    git("add", ".", cwd=repo)
    git("commit", "-q", "-m", f"add {name}", cwd=repo)


def run_at(folder, revision):
    with Repository.find(folder) as repository:
        return repository.run(revision).id


# -- post-rewrite ---------------------------------------------------------------------------------------------------------


def test_a_run_follows_the_commit_that_is_amended(repo, version):
    install(repo)
    recorded = record(repo, "-p", "lr=0.1", "-m", "acc=0.9")
    old = git("rev-parse", "HEAD", cwd=repo)

    done = process("git", "commit", "-q", "--amend", "-m", "other words", cwd=repo)

    new = git("rev-parse", "HEAD", cwd=repo)
    assert done.stderr == f"gitparams: 1 run follows commit {old[:7]} → {new[:7]}\n"
    assert run_at(repo, "HEAD") == recorded


def test_nothing_is_said_of_commits_without_runs(repo, version):
    install(repo)
    assert process("git", "commit", "-q", "--amend", "-m", "other words", cwd=repo).stderr == ""
    record(repo, "-p", "lr=0.1")
    commit_file(repo, "later")

    assert process("git", "commit", "-q", "--amend", "-m", "other words", cwd=repo).stderr == ""


def test_the_runs_of_a_branch_follow_its_rebase(repo, version):
    install(repo)
    git("switch", "-q", "-c", "feature", cwd=repo)
    commit_file(repo, "one")
    first = record(repo, "-p", "lr=0.1", "-m", "acc=0.9")
    commit_file(repo, "two")
    second = record(repo, "-p", "lr=0.2", "-m", "acc=0.8")
    git("switch", "-q", "main", cwd=repo)
    commit_file(repo, "base")

    done = process("git", "rebase", "-q", "main", "feature", cwd=repo)

    assert [line for line in done.stderr.splitlines() if "gitparams" in line] == ["gitparams: 2 runs follow their commits"]
    assert (run_at(repo, "feature~1"), run_at(repo, "feature")) == (first, second)


def test_a_long_rebase_starts_one_python(repo, version, tmp_path):
    python = script(tmp_path / "python", f'echo started >> "{tmp_path}/starts"\nexec "{sys.executable}" "$@"')
    git("switch", "-q", "-c", "feature", cwd=repo)
    begun = "from refs/heads/main^0\n"
    commits = (
        f"commit refs/heads/feature\ncommitter A <a@b> {n} +0000\ndata 1\nx\n{begun if n == 1 else ''}M 644 inline f{n}\ndata 1\nx\n"
        for n in range(1, 41)
    )
    git("fast-import", "--quiet", "--force", cwd=repo, stdin="\n".join(commits))
    git("reset", "-q", "--hard", "feature", cwd=repo)
    record(repo, "-p", "lr=0.1")
    git("switch", "-q", "main", cwd=repo)
    commit_file(repo, "base")
    install(repo, "post-rewrite", "prepare-commit-msg", python=str(python))

    done = process("git", "rebase", "-q", "main", "feature", cwd=repo)

    assert (done.returncode, (tmp_path / "starts").read_text()) == (0, "started\n")
    assert "gitparams: 1 run follows commit" in done.stderr


def test_a_foreign_hook_gets_the_same_lines_first(repo, version):
    script(repo / ".git" / "hooks" / "post-rewrite", 'echo "foreign $1 $(cat)" >&2')
    install(repo)
    record(repo, "-p", "lr=0.1")
    old = git("rev-parse", "HEAD", cwd=repo)

    done = process("git", "commit", "-q", "--amend", "-m", "other words", cwd=repo)

    new = git("rev-parse", "HEAD", cwd=repo)
    assert sorted(done.stderr.splitlines()) == [
        f"foreign amend {old} {new}",
        f"gitparams: 1 run follows commit {old[:7]} → {new[:7]}",
    ]


def test_a_foreign_hook_that_fails_or_reads_nothing_does_not_keep_the_runs_back(repo, version):
    script(repo / ".git" / "hooks" / "post-rewrite", "exit 3")
    install(repo)
    recorded = record(repo, "-p", "lr=0.1")

    git("commit", "-q", "--amend", "-m", "other words", cwd=repo)

    assert run_at(repo, "HEAD") == recorded


def test_the_line_for_the_teams_hook_passes_the_lines_on(repo, file_git, tmp_path, monkeypatch):
    git("config", "core.hooksPath", ".husky", cwd=repo)
    [said] = install(repo, "post-rewrite")
    line = said.partition(": gitparams hooks")[0].partition("post-rewrite: ")[2] or said.partition("post-rewrite: ")[2]
    script(repo / ".husky" / "post-rewrite", f'{line}\necho "team: $lines" >&2')
    script(tmp_path / "bin" / "gitparams", f'exec "{sys.executable}" -m gitparams "$@"')
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]))
    record(repo, "-p", "lr=0.1")
    old = git("rev-parse", "HEAD", cwd=repo)

    done = process("git", "commit", "-q", "--amend", "-m", "other words", cwd=repo)

    new = git("rev-parse", "HEAD", cwd=repo)
    assert done.stderr.splitlines() == [f"gitparams: 1 run follows commit {old[:7]} → {new[:7]}", f"team: {old} {new}"]
    with Git.find(repo) as found:
        assert {one.event: one.state for one in hook_files.status(found)}["post-rewrite"] is HookState.INSTALLED


def test_without_any_gitparams_the_rewrite_goes_on(repo, version, tmp_path, monkeypatch):
    install(repo, "post-rewrite", python=str(script(tmp_path / "python", "exit 97")))
    script(tmp_path / "bin" / "gitparams", "exit 1")
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]))

    done = process("git", "commit", "-q", "--amend", "-m", "other words", cwd=repo)

    assert (done.returncode, done.stderr) == (
        0,
        "gitparams: the post-rewrite hook finds no gitparams, and links nothing (gitparams hooks install mends it)\n",
    )


def test_a_fault_is_one_line_and_the_rewrite_stands(repo, version):
    install(repo)
    record(repo, "-p", "lr=0.1")
    block = 'test "$1" = prepared && grep -q refs/gitparams/runs && exit 1; exit 0'
    script(repo / ".git" / "hooks" / "reference-transaction", block)

    done = process("git", "commit", "-q", "--amend", "-m", "other words", cwd=repo)

    assert (done.returncode, message(repo)) == (0, "other words\n")
    assert done.stderr.startswith("gitparams: Git could not move refs/gitparams/runs")
    assert done.stderr.count("\n") == 1


def test_what_takes_too_long_is_given_up(repo, monkeypatch, capsys):
    record(repo, "-p", "lr=0.1")
    monkeypatch.setattr(hooks, "_REWRITE_SECONDS", 1)
    monkeypatch.setattr(Repository, "relink", lambda *_: time.sleep(30))
    monkeypatch.setattr("sys.stdin", ["a" * 40 + " " + "b" * 40 + "\n"])

    assert hooks.main(["post-rewrite", "rebase"]) == 0
    assert capsys.readouterr().err == (
        "gitparams: The commits were not followed within 1 s; gitparams finds them by tree and patch.\n"
    )


def test_an_empty_repository_of_runs_is_left_alone(repo, version):
    install(repo)

    assert process("git", "commit", "-q", "--amend", "-m", "other words", cwd=repo).stderr == ""
    assert not (repo / ".git" / "refs" / "gitparams").exists()


# -- prepare-commit-msg ---------------------------------------------------------------------------------------------------


@pytest.fixture
def hooked(project, version):
    """The project with prepare-commit-msg installed, by each git."""
    install(project, "prepare-commit-msg")
    return project


def test_a_commit_of_params_says_what_changed_and_which_run_had_them(hooked):
    record(hooked, "-m", "acc=0.8")
    change(hooked, "0.1", "0.01")
    run = record(hooked, "-m", "acc=0.9")

    git("commit", "-q", "-a", "-m", "Slower", cwd=hooked)

    assert message(hooked) == f"Slower\n\nParams:\n  optim.lr 0.1 → 0.01\n\nRun: {run}\n"
    assert git("log", "-1", "--format=%(trailers:key=Run,valueonly)", cwd=hooked) == f"{run}\n"


def test_an_editor_finds_it_below_an_empty_first_line_and_above_the_comments(hooked, tmp_path):
    change(hooked, "0.1", "0.01")
    editor = script(tmp_path / "editor", f'cp "$1" {tmp_path}/seen\n{{ echo Slower; cat "$1"; }} > "$1.x"; mv "$1.x" "$1"')

    git("commit", "-q", "-a", cwd=hooked, GIT_EDITOR=str(editor))

    seen = (tmp_path / "seen").read_text().split("\n")
    assert seen[:6] == [
        "",
        "",
        "Params:",
        "  optim.lr 0.1 → 0.01",
        "",
        "# gitparams added the lines above. To give the commit up, delete them too.",
    ]
    assert seen[6].startswith("# Please enter the commit message")
    assert message(hooked) == "Slower\n\nParams:\n  optim.lr 0.1 → 0.01\n"


def test_a_diff_below_the_scissors_stays_below(hooked, tmp_path):
    change(hooked, "0.1", "0.01")
    editor = script(tmp_path / "editor", f'cp "$1" {tmp_path}/seen; sed -i "1s/^/Slower/" "$1"')

    git("commit", "-q", "-a", "-v", "--cleanup=scissors", cwd=hooked, GIT_EDITOR=str(editor))

    before, _, after = (tmp_path / "seen").read_text().partition(">8")
    assert ("Params:" in before, "Params:" in after, "+optim: {lr: 0.01" in after) == (True, False, True)
    assert message(hooked) == "Slower\n\nParams:\n  optim.lr 0.1 → 0.01\n"


@pytest.mark.parametrize("character", [";", "auto"])
def test_comments_may_begin_with_another_character(hooked, tmp_path, character):
    git("config", "core.commentChar", character, cwd=hooked)
    change(hooked, "0.1", "0.01")
    editor = script(tmp_path / "editor", 'sed -i "1s/^/Slower/" "$1"')

    git("commit", "-q", "-a", cwd=hooked, GIT_EDITOR=str(editor))

    assert message(hooked) == "Slower\n\nParams:\n  optim.lr 0.1 → 0.01\n"


def test_trailers_stay_together(hooked):
    change(hooked, "0.1", "0.01")
    run = record(hooked, "-m", "acc=0.9")

    git("commit", "-q", "-a", "-s", "-m", "Slower", "-m", "Since it diverged.", cwd=hooked)

    assert message(hooked) == (
        f"Slower\n\nSince it diverged.\n\nParams:\n  optim.lr 0.1 → 0.01\n\nSigned-off-by: Ada <ada@example.com>\nRun: {run}\n"
    )


def test_what_the_person_wrote_is_not_added(hooked):
    change(hooked, "0.1", "0.01")
    record(hooked, "-m", "acc=0.9")

    git("commit", "-q", "-a", "-m", "Slower", "-m", "Params: the learning rate", "-m", "Run: mine", cwd=hooked)

    assert message(hooked) == "Slower\n\nParams: the learning rate\n\nRun: mine\n"


def test_a_commit_without_params_stays_as_it_is(hooked):
    commit_file(hooked, "other.txt")

    assert message(hooked) == "add other.txt\n"


def test_only_what_is_committed_counts(hooked):
    change(hooked, "0.1", "0.01")
    git("add", ".", cwd=hooked)
    change(hooked, "0.01", "0.5")
    (hooked / "other.txt").write_text("x")
    git("add", "other.txt", cwd=hooked)

    git("commit", "-q", "-m", "other", "other.txt", cwd=hooked)
    git("commit", "-q", "-m", "slower", cwd=hooked)

    assert message(hooked, "HEAD~1") == "other\n"
    assert message(hooked) == "slower\n\nParams:\n  optim.lr 0.1 → 0.01\n"


def test_an_amended_message_is_compared_with_the_commit_before(hooked):
    change(hooked, "0.1", "0.01")
    git("commit", "-q", "-a", "-m", "slower", cwd=hooked)
    change(hooked, "0.01", "0.001")
    git("config", "alias.again", "commit --amend", cwd=hooked)

    git("again", "-q", "-a", "-m", "still slower", cwd=hooked)

    assert message(hooked) == "still slower\n\nParams:\n  optim.lr 0.1 → 0.001\n"


@pytest.mark.parametrize(
    "words", [["--amend", "--no-edit"], ["--amend", "-C", "HEAD"], ["--fixup", "HEAD"], ["-C", "HEAD~1"]], ids=" ".join
)
def test_a_message_that_is_taken_over_stays_as_it_is(hooked, words):
    change(hooked, "0.1", "0.01")
    git("commit", "-q", "-a", "-m", "slower", cwd=hooked)
    change(hooked, "adam", "sgd")

    git("commit", "-q", "-a", *words, cwd=hooked)

    assert "optim.name" not in message(hooked)


def test_merges_squash_merges_cherry_picks_reverts_and_rebases_stay_as_they_are(hooked):
    git("switch", "-q", "-c", "feature", cwd=hooked)
    change(hooked, "0.1", "0.01")
    git("commit", "-q", "--no-verify", "-a", "-m", "slower", "-m", "Params: -", cwd=hooked)
    git("switch", "-q", "main", cwd=hooked)
    commit_file(hooked, "base")
    for words in (["merge", "--no-edit", "--no-ff", "feature"], ["revert", "--no-edit", "-m", "1", "HEAD"]):
        git(*words, cwd=hooked)
    git("reset", "-q", "--hard", "HEAD~2", cwd=hooked)
    git("cherry-pick", "feature", cwd=hooked)
    picked = message(hooked)
    git("revert", "--no-edit", "HEAD", cwd=hooked)
    reverted = message(hooked)
    git("merge", "-q", "--squash", "feature", cwd=hooked)
    change(hooked, "adam", "sgd")
    git("commit", "-q", "-a", "--no-edit", cwd=hooked)
    squashed = message(hooked)
    git("rebase", "-q", "main", "feature", cwd=hooked)

    assert (picked, "optim.lr" in reverted, "optim.name" in squashed) == ("slower\n\nParams: -\n", False, False)
    assert message(hooked, "feature~0") in (picked, squashed)


def test_a_conflict_that_was_staged_adds_nothing_and_is_one_line(hooked):
    (hooked / "train.yaml").write_text("<<<<<<< HEAD\nlr: 0.1\n=======\nlr: 0.2\n>>>>>>> feature\n")

    done = process("git", "commit", "-q", "-a", "-m", "oops", cwd=hooked, GITPARAMS_STRICT="1")

    assert (done.returncode, message(hooked)) == (0, "oops\n")
    assert done.stderr.startswith("gitparams: staged:train.yaml:")
    assert done.stderr.count("\n") == 1


def test_a_secret_is_not_told(hooked):
    (hooked / "train.yaml").write_text("optim: {lr: 0.1, name: adam}\nseed: 1\napi_token: verysecret123\n")

    git("commit", "-q", "-a", "-m", "token", cwd=hooked)

    assert message(hooked) == "token\n\nParams:\n  +api_token <redacted>\n"


def test_the_first_commit_and_inline_params_are_told_too(tmp_path, version):
    folder = tmp_path / "new"
    folder.mkdir()
    git("init", "-q", cwd=folder)
    (folder / "gitparams.yaml").write_text("experiment: x\nparams: {lr: 0.1}\n")
    install(folder, "prepare-commit-msg")
    git("add", ".", cwd=folder)
    git("commit", "-q", "-m", "first", cwd=folder)
    change(folder, "0.1", "0.2", "gitparams.yaml")
    change(folder, "experiment: x", "experiment: y", "gitparams.yaml")
    git("commit", "-q", "-a", "-m", "second", cwd=folder)

    assert message(folder, "HEAD~1") == "first\n\nParams:\n  +lr 0.1\n"
    assert message(folder) == "second\n\nParams:\n  lr 0.1 → 0.2\n"


def test_a_commit_in_a_linked_worktree_or_a_subfolder_is_told_too(hooked, tmp_path):
    git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"), cwd=hooked)
    change(tmp_path / "side", "0.1", "0.01")
    (tmp_path / "side" / "sub").mkdir()

    git("commit", "-q", "-a", "-m", "slower", cwd=tmp_path / "side" / "sub")

    assert message(hooked, "side") == "slower\n\nParams:\n  optim.lr 0.1 → 0.01\n"


def test_another_encoding_of_commits_gets_plain_letters(hooked):
    git("config", "i18n.commitEncoding", "ISO-8859-1", cwd=hooked)
    change(hooked, "0.1", "0.01")

    git("commit", "-q", "-a", "-m", "slower", cwd=hooked)

    assert message(hooked) == "slower\n\nParams:\n  optim.lr 0.1 -> 0.01\n"


def test_of_equal_runs_the_one_whose_code_is_committed_is_named(hooked):
    change(hooked, "0.1", "0.01")
    (hooked / "train.py").write_text("print('better')\n")
    better = record(hooked, "-m", "acc=0.9")
    (hooked / "train.py").write_text("print('other')\n")
    newest = record(hooked, "-m", "acc=0.9")
    assert better != newest
    (hooked / "train.py").write_text("print('better')\n")

    git("commit", "-q", "-a", "-m", "slower", cwd=hooked)

    assert git("log", "-1", "--format=%(trailers:key=Run,valueonly)", cwd=hooked) == f"{better}\n"


@pytest.mark.parametrize("words", [["-p", "seed=1.0"], ["-p", "optim.lr=0.2"]], ids=" ".join)
def test_a_run_with_another_value_or_type_is_not_named(hooked, words):
    change(hooked, "adam", "sgd")
    record(hooked, *words, "-m", "acc=0.9")

    git("commit", "-q", "-a", "-m", "sgd", cwd=hooked)

    assert message(hooked) == "sgd\n\nParams:\n  optim.name adam → sgd\n"


@pytest.mark.parametrize("value", ["1e400", f"{10**20}", "[64, 32]", "{}", "null", "true", ".nan", "'it''s'"])
def test_a_run_is_found_by_values_of_every_kind(hooked, value):
    (hooked / "train.yaml").write_text(f"value: {value}\n")
    run = record(hooked, "-m", "acc=0.9")

    git("commit", "-q", "-a", "-m", "other", cwd=hooked)

    assert git("log", "-1", "--format=%(trailers:key=Run,valueonly)", cwd=hooked) == f"{run}\n"


def test_many_changes_are_counted(hooked):
    (hooked / "train.yaml").write_text("".join(f"p{number}: {number}\n" for number in range(20)))

    git("commit", "-q", "-a", "-m", "other", cwd=hooked)

    lines = message(hooked).splitlines()
    assert (lines[:4], lines[-1], len(lines)) == (["other", "", "Params:", "  −optim.lr"], "  and 13 more", 14)


def test_a_run_may_have_more_params_than_are_declared(hooked):
    change(hooked, "adam", "sgd")
    run = record(hooked, "-p", "+workers=4", "-m", "acc=0.9")

    git("commit", "-q", "-a", "-m", "sgd", cwd=hooked)

    assert message(hooked) == f"sgd\n\nParams:\n  optim.name adam → sgd\n\nRun: {run}\n"


def test_a_foreign_hook_is_chained_with_its_arguments_and_has_its_no(project, file_git):
    script(project / ".git" / "hooks" / "prepare-commit-msg", 'echo "foreign ${1##*/} $2 $3" >&2; test ! -e no')
    install(project, "prepare-commit-msg")
    change(project, "0.1", "0.01")

    done = process("git", "commit", "-q", "-a", "-m", "slower", cwd=project)
    (project / "no").touch()
    refused = process("git", "commit", "-q", "--allow-empty", "-m", "refused", cwd=project)

    assert done.stderr == "foreign COMMIT_EDITMSG message \n"
    assert message(project) == "slower\n\nParams:\n  optim.lr 0.1 → 0.01\n"
    assert refused.returncode == 1


def test_without_any_gitparams_a_commit_goes_on(project, version, tmp_path, monkeypatch):
    install(project, "prepare-commit-msg", python=str(tmp_path / "gone"))
    script(tmp_path / "bin" / "gitparams", "exit 1")
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]))
    change(project, "0.1", "0.01")

    done = process("git", "commit", "-q", "-a", "-m", "slower", cwd=project)

    assert (done.returncode, message(project)) == (0, "slower\n")
    assert done.stderr == (
        "gitparams: the prepare-commit-msg hook finds no gitparams, and adds nothing (gitparams hooks install mends it)\n"
    )


# -- optional hooks -------------------------------------------------------------------------------------------------------


def test_an_optional_hook_is_installed_only_when_it_is_named_and_removed_with_the_others(project, version):
    assert gitparams("hooks", "install", cwd=project).returncode == 0
    told = gitparams("hooks", "status", cwd=project).stdout.splitlines()[-1]
    doctor = gitparams("doctor", cwd=project).stdout
    gitparams("hooks", "install", "prepare-commit-msg", cwd=project)
    with Git.find(project) as found:
        states = {one.event: one.state for one in hook_files.status(found)}
    removed = gitparams("hooks", "uninstall", cwd=project).stdout.splitlines()

    assert told == "prepare-commit-msg  not installed (optional: gitparams hooks install prepare-commit-msg)"
    assert "prepare-commit-msg" not in doctor
    assert states == dict.fromkeys(hook_files.EVENTS, HookState.INSTALLED)
    assert len(removed) == len(hook_files.EVENTS)


def test_init_installs_it_when_asked(project, version):
    assert gitparams("init", "--commit-messages", cwd=project).returncode == 0

    with Git.find(project) as found:
        assert {one.event: one.state for one in hook_files.status(found)} == dict.fromkeys(
            hook_files.EVENTS, HookState.INSTALLED
        )
