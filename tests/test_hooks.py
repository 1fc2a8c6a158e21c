"""The hooks of runs, and how hooks come into a repository, with real gits."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from gits import CONFIG, FILES, GITS, VERSIONS, each, process, script, use

from gitparams import hook_files, hooks
from gitparams.errors import UsageError
from gitparams.git import Git
from gitparams.hook_files import HookAnswer, HookState, call
from gitparams.journal import journals
from gitparams.lockfile import LockFile
from gitparams.model import Status
from gitparams.repository import Repository

version = each(GITS, "there is no git")
file_git = each(FILES, "every git here has config hooks")
config_git = each(CONFIG, "GITPARAMS_TEST_GITS names no git 2.54")


def install(folder, **options):
    with Git.find(folder) as git:
        return hook_files.install(git, **options)


def uninstall(folder):
    with Git.find(folder) as git:
        return hook_files.uninstall(git)


def states(folder):
    with Git.find(folder) as git:
        return {found.event: (found.state, found.kind) for found in hook_files.status(git)}


def raw(event, version):
    """Return the words by which a job script runs a hook without gitparams."""
    if version >= (2, 54):
        return ["git", "hook", "run", "--ignore-missing", "--allow-unknown-hook-name", event, "--"]
    if version >= (2, 36):
        return ["git", "hook", "run", event, "--"]
    return ["sh", "-c", f'cd "$(git rev-parse --show-toplevel)" && exec "$(git rev-parse --git-path hooks)/{event}" "$@"', "sh"]


def gitparams(*words, cwd, **variables):
    return process(sys.executable, "-m", "gitparams", *words, cwd=cwd, **variables)


def open_runs(folder):
    with Repository.open(folder) as repository:
        return [journal.read().run for journal in journals(repository.live)]


def runs(folder):
    with Repository.find(folder) as repository:
        return repository.runs()


def settings(repo, text):
    (repo / "gitparams.yaml").write_text(text)


def ask(folder, event, *args, **variables):
    with Git.find(folder) as git:
        return call(git, event, args, variables)


# -- a job's own lines ----------------------------------------------------------------------------------------------------


def test_pre_run_records_an_open_run_with_its_params(repo, version):
    settings(repo, "params: {optim: {lr: 0.1}}\n")
    install(repo)

    done = process(*raw("pre-run", version), "python", "train.py", "--lr", "0.1", cwd=repo)

    [run] = open_runs(repo)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"gitparams: run {run.short_id} started\n")
    assert (run.status, run.command, dict(run.params)) == (
        Status.OPEN,
        ("python", "train.py", "--lr", "0.1"),
        {"optim": {"lr": 0.1}},
    )
    assert [recorded.id for recorded in runs(repo)] == [run.id]


def test_post_run_closes_the_run_with_the_metrics_that_were_written(repo, version):
    settings(repo, "metrics: [new.json, old.json]\n")
    (repo / "old.json").write_text('{"loss": 3}')
    os.utime(repo / "old.json", (1, 1))
    install(repo)
    process(*raw("pre-run", version), "python", "train.py", cwd=repo)
    (repo / "new.json").write_text('{"acc": 0.9}')

    done = process(*raw("post-run", version), "0", cwd=repo)

    [run] = runs(repo)
    assert (run.status, run.exit_code, run.metrics) == (Status.COMPLETED, 0, {"acc": 0.9})
    assert done.stderr.splitlines() == [
        "gitparams: old.json was not written since the run began: no metrics from it.",
        f"gitparams: run {run.short_id} completed",
    ]
    assert open_runs(repo) == []


@pytest.mark.parametrize(
    ("args", "status", "exit_code"),
    [
        ([], Status.COMPLETED, 0),
        (["3"], Status.FAILED, 3),
        (["130"], Status.INTERRUPTED, 130),
        (["143"], Status.INTERRUPTED, 143),
        (["python", "train.py"], Status.COMPLETED, None),
    ],
)
def test_post_run_tells_how_the_program_ended(repo, args, status, exit_code, monkeypatch):
    monkeypatch.setenv("GITPARAMS_CALLER", "job")
    hooks.main(["pre-run", "python", "train.py"])

    assert hooks.main(["post-run", *args]) == 0

    [run] = runs(repo)
    assert (run.status, run.exit_code) == (status, exit_code)


def test_the_run_id_is_left_where_the_job_says(repo, version):
    install(repo)
    (repo / "sub").mkdir()

    process(*raw("pre-run", version), "python", "train.py", cwd=repo, GITPARAMS_RUN_FILE="sub/run")

    [run] = open_runs(repo)
    assert (repo / "sub" / "run").read_text() == f"{run.id}\n"
    assert (repo / ".git" / "gitparams" / "live" / run.id / "id").read_text() == f"{run.id}\n"


def test_the_run_file_tells_which_run_to_close(repo, version):
    install(repo)
    for name in ("a", "b"):
        process(*raw("pre-run", version), "python", name, cwd=repo, GITPARAMS_RUN_FILE=name)

    process(*raw("post-run", version), "0", cwd=repo, GITPARAMS_RUN_FILE="a")

    assert [run.command for run in open_runs(repo)] == [("python", "b")]


def test_a_run_file_that_names_no_open_run_closes_nothing(repo, monkeypatch, capfd):
    monkeypatch.setenv("GITPARAMS_CALLER", "job")
    hooks.main(["pre-run", "python", "train.py"])
    monkeypatch.setenv("GITPARAMS_RUN_FILE", "nowhere")
    capfd.readouterr()

    assert hooks.main(["post-run"]) == 0

    assert capfd.readouterr().err == f"gitparams: {repo / 'nowhere'} names no run: nothing to close.\n"
    assert len(open_runs(repo)) == 1


def test_a_folder_below_the_top_is_where_the_run_and_its_run_file_are(repo, version):
    if version < (2, 36):
        pytest.skip("there is no `git hook run` that tells GIT_PREFIX")
    install(repo)
    (repo / "sub").mkdir()

    process(*raw("pre-run", version), "python", "train.py", cwd=repo / "sub", GITPARAMS_RUN_FILE="run")

    [run] = open_runs(repo)
    assert run.cwd == "sub"
    assert (repo / "sub" / "run").read_text() == f"{run.id}\n"


def test_a_linked_worktree_records_its_own_code_in_the_common_ledger(repo, version, tmp_path):
    install(repo)
    process("git", "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"), cwd=repo)

    done = process(*raw("pre-run", version), "python", "train.py", cwd=tmp_path / "side")

    [run] = open_runs(repo)
    assert (done.returncode, run.code.branch, run.cwd) == (0, "side", ".")
    assert not (tmp_path / "side" / "gitparams").exists()


def test_a_hook_installed_from_a_worktree_works_in_all(repo, version, tmp_path):
    process("git", "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"), cwd=repo)
    install(tmp_path / "side")

    process(*raw("pre-run", version), "python", "train.py", cwd=repo)

    assert [run.code.branch for run in open_runs(repo)] == ["main"]


def test_a_bare_repository_records(repo, version, tmp_path):
    bare = tmp_path / "bare.git"
    process("git", "clone", "-q", "--bare", str(repo), str(bare), cwd=tmp_path)
    install(bare)

    done = gitparams("hooks", "run", "pre-run", "--", "python", "train.py", cwd=bare)

    [run] = open_runs(bare)
    assert (done.returncode, done.stdout, run.code.branch) == (0, f"{run.id}\n", "main")


def test_nothing_is_recorded_under_gitparams_run_and_no_python_starts(repo, version):
    install(repo, python=str(script(repo / "python", "echo started >&2; exit 1")))

    done = process(*raw("pre-run", version), "python", "train.py", cwd=repo, GITPARAMS_RUN="pending")

    assert (done.returncode, done.stderr) == (0, "")
    assert open_runs(repo) == []


def test_only_the_first_rank_records(repo, monkeypatch):
    monkeypatch.setenv("RANK", "1")

    assert hooks.main(["pre-run", "python", "train.py"]) == 0
    assert open_runs(repo) == []


# -- whose run it is ------------------------------------------------------------------------------------------------------

_JOB = """\
{pre} python {name}
touch {name}.began
while [ ! -e go ]; do sleep 0.05; done
{post} 0
"""


def test_two_job_scripts_at_once_close_each_its_own_run(repo, version):
    install(repo)
    pre, post = (" ".join(f"'{word}'" for word in raw(event, version)) for event in ("pre-run", "post-run"))
    jobs = []
    for name in ("a", "b"):
        job = script(repo / f"{name}.sh", _JOB.format(pre=pre, post=post, name=name))
        jobs.append(subprocess.Popen([str(job)], cwd=repo, stderr=subprocess.PIPE, text=True))
    _wait_for(repo / "a.began", repo / "b.began")
    began = {run.command[1]: run.environment["caller"] for run in open_runs(repo)}
    (repo / "go").touch()

    said = [job.communicate(timeout=60)[1] for job in jobs]

    assert {name: int(caller.partition(":")[0]) for name, caller in began.items()} == {"a": jobs[0].pid, "b": jobs[1].pid}
    assert {run.command[1]: run.status for run in runs(repo)} == {"a": Status.COMPLETED, "b": Status.COMPLETED}, said
    for job, text in zip(jobs, said, strict=True):
        [run] = [run for run in runs(repo) if run.environment["caller"].startswith(f"{job.pid}:")]
        assert text == f"gitparams: run {run.short_id} started\ngitparams: run {run.short_id} completed\n"


def _wait_for(*files):
    until = time.monotonic() + 30
    while not all(file.exists() for file in files):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_job_script_may_call_the_hooks_from_a_subfolder_and_by_gitparams(repo, version):
    install(repo)
    (repo / "sub").mkdir()
    words = f"{sys.executable} -m gitparams hooks run"
    job = script(repo / "job.sh", f"cd sub\nRUN=$({words} pre-run -- python train.py)\necho $RUN\n{words} post-run -- 4\n")

    done = process(str(job), cwd=repo)

    [run] = runs(repo)
    assert (done.stdout, run.status, run.cwd) == (f"{run.id}\n", Status.FAILED, "sub")


def test_an_ambiguous_post_run_refuses_and_lists(repo, version):
    install(repo)
    for name in ("a", "b"):
        process(*raw("pre-run", version), "python", name, cwd=repo)

    done = process(*raw("post-run", version), "0", cwd=repo)

    first, second = open_runs(repo)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[0] == "gitparams: 2 open runs may be the one that ended here, so none was closed."
    assert [line.split()[1] for line in lines[1:3]] == [first.short_id, second.short_id]
    assert lines[3].startswith(f"gitparams: close one with: gitparams finish {first.short_id}")


def test_the_run_of_another_job_is_left_open(repo, version):
    install(repo)
    process(*raw("pre-run", version), "python", "train.py", cwd=repo, GITPARAMS_CALLER="somebody")

    done = process(*raw("post-run", version), "0", cwd=repo)

    [run] = open_runs(repo)
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == "gitparams: no open run was begun by this job: nothing to close."
    assert run.short_id in done.stderr


def test_the_schedulers_job_id_finds_the_run_when_the_caller_is_another(repo, version):
    install(repo)
    for job in ("7", "8"):
        process(*raw("pre-run", version), "python", job, cwd=repo, GITPARAMS_CALLER=f"prolog {job}", SLURM_JOB_ID=job)

    process(*raw("post-run", version), "0", cwd=repo, GITPARAMS_CALLER="epilog", SLURM_JOB_ID="8")

    assert [run.command for run in open_runs(repo)] == [("python", "7")]


def test_one_caller_with_two_job_ids_is_told_apart_by_them(repo, monkeypatch):
    monkeypatch.setenv("GITPARAMS_CALLER", "shell")
    for job in ("7", "8"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        hooks.main(["pre-run", "python", job])

    hooks.main(["post-run"])

    assert [run.command for run in open_runs(repo)] == [("python", "7")]


def test_a_run_of_another_host_is_not_closed(repo, monkeypatch):
    monkeypatch.setenv("GITPARAMS_CALLER", "1:1")
    hooks.main(["pre-run", "python", "train.py"])
    monkeypatch.setattr("gitparams.writing.host", lambda: "elsewhere")

    assert hooks.main(["post-run"]) == 0
    assert len(open_runs(repo)) == 1


def test_post_run_waits_for_a_command_that_looks_at_the_run(repo, monkeypatch):
    monkeypatch.setenv("GITPARAMS_CALLER", "job")
    hooks.main(["pre-run", "python", "train.py"])
    [run] = open_runs(repo)
    look = LockFile(repo / ".git" / "gitparams" / "live" / run.id / "lock")
    take = LockFile.take

    def busy(lock, patience=0.0):
        if patience and look.take():
            threading.Timer(0.3, look.release).start()
        return take(lock, patience)

    monkeypatch.setattr(LockFile, "take", busy)

    assert hooks.main(["post-run"]) == 0
    assert [run.status for run in runs(repo)] == [Status.COMPLETED]


def test_two_post_runs_at_once_close_the_run_once(repo):
    words = [sys.executable, "-m", "gitparams.hooks"]
    process(*words, "pre-run", "python", "train.py", cwd=repo, GITPARAMS_CALLER="job")
    variables = {**os.environ, "GITPARAMS_CALLER": "job"}
    both = [
        subprocess.Popen([*words, "post-run", "0"], cwd=repo, env=variables, stderr=subprocess.PIPE, text=True) for _ in "ab"
    ]

    said = "".join(one.communicate(timeout=60)[1] for one in both)

    assert [one.returncode for one in both] == [0, 0]
    assert said.count("completed") == 1, said
    [run] = runs(repo)
    events = process(
        "git", "log", "--format=%(trailers:key=Run-Event,valueonly)", "refs/gitparams/runs", cwd=repo
    ).stdout.split()
    assert (run.status, events) == (Status.COMPLETED, ["finish", "start"])


def test_the_caller_is_the_process_above_git(tmp_path):
    assert hooks.caller_of(os.getpid()).startswith(f"{os.getpid()}:")
    assert hooks.caller_of(0) == ""


def test_ps_knows_the_caller_where_there_is_no_proc(monkeypatch):
    if shutil.which("ps") is None:
        pytest.skip("there is no ps")
    monkeypatch.setattr(hooks, "_process", hooks._process_of_ps)

    assert re.fullmatch(rf"{os.getpid()}:\w+-\w+-\d+-[\d:]+-\d{{4}}", hooks.caller_of(os.getpid()))


# -- a fault of ours ------------------------------------------------------------------------------------------------------


def test_a_fault_is_one_line_and_the_job_goes_on(repo, version):
    settings(repo, "params: [missing.yaml]\n")
    install(repo)

    done = process(*raw("pre-run", version), "python", "train.py", cwd=repo)

    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "missing.yaml" in done.stderr


def test_a_strict_user_gets_an_error_instead(repo, version):
    settings(repo, "params: [missing.yaml]\n")
    install(repo)

    assert process(*raw("pre-run", version), "python", "train.py", cwd=repo, GITPARAMS_STRICT="1").returncode == 1


def test_a_bug_of_ours_is_one_line_too(repo, monkeypatch, capsys):
    monkeypatch.setattr(Repository, "find", lambda: 1 / 0)

    assert hooks.main(["pre-run", "python"]) == 0
    assert capsys.readouterr().err == "gitparams: ZeroDivisionError: division by zero\n"


def test_an_unknown_event_is_named(repo, capsys):
    assert hooks.main(["pre-commit"]) == 0
    assert capsys.readouterr().err == "gitparams: gitparams has no hook 'pre-commit'.\n"


def test_a_python_that_is_gone_is_looked_for_on_the_path(repo, version, tmp_path, monkeypatch):
    install(repo, python=str(tmp_path / "gone"))
    script(tmp_path / "bin" / "gitparams", f'exec "{sys.executable}" -m gitparams "$@"')
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]))

    done = process(*raw("pre-run", version), "python", "train.py", cwd=repo)

    assert (done.returncode, len(open_runs(repo))) == (0, 1), done.stderr


def test_without_any_gitparams_the_job_goes_on(repo, version, tmp_path, monkeypatch):
    install(repo, python=str(script(tmp_path / "python", "exit 1")))
    script(tmp_path / "bin" / "gitparams", "exit 1")
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]))

    done = process(*raw("pre-run", version), "python", "train.py", cwd=repo)

    assert done.returncode == 0
    assert done.stderr == (
        "gitparams: the pre-run hook finds no gitparams, and records nothing (gitparams hooks install mends it)\n"
    )


def test_the_projects_own_modules_are_not_imported(repo, version):
    install(repo)
    for name in ("json", "typing", "gitparams", "shlex"):
        (repo / f"{name}.py").write_text("raise SystemExit('mine')\n")

    done = process(*raw("pre-run", version), "python", "train.py", cwd=repo)

    assert (done.returncode, len(open_runs(repo))) == (0, 1), done.stderr


# -- asking git -----------------------------------------------------------------------------------------------------------


def test_a_missing_hook_is_a_yes(repo, version):
    assert ask(repo, "pre-run", "python", "train.py") == HookAnswer(0, False)


def test_a_hook_that_exits_1_is_a_no(repo, version):
    script(repo / ".git" / "hooks" / "pre-run", "exit 1")

    assert ask(repo, "pre-run", "python") == HookAnswer(1, True)


def test_a_hook_that_exits_129_is_not_run_twice(repo, version):
    script(repo / ".git" / "hooks" / "pre-run", "echo ran >> ran; exit 129")

    assert ask(repo, "pre-run", "python") == HookAnswer(129, True)
    assert (repo / "ran").read_text() == "ran\n"


def test_a_hook_gets_its_arguments_the_top_and_the_prefix_and_no_input(repo, version, monkeypatch, capfd):
    script(repo / ".git" / "hooks" / "pre-run", 'cat; for word; do echo "<$word>"; done; pwd; echo "$GIT_PREFIX $MINE"')
    (repo / "sub").mkdir()
    monkeypatch.chdir(repo / "sub")

    assert ask(None, "pre-run", "a b", "$HOME", "--", MINE="yes") == HookAnswer(0, True)
    assert capfd.readouterr() == ("", f"<a b>\n<$HOME>\n<-->\n{repo}\nsub/ yes\n")


def test_a_hook_in_a_linked_worktree_gets_its_git_dir(repo, version, tmp_path, capfd):
    process("git", "worktree", "add", "-q", str(tmp_path / "side"), cwd=repo)
    script(repo / ".git" / "hooks" / "pre-run", 'pwd; echo "$GIT_DIR"')

    ask(tmp_path / "side", "pre-run")

    assert capfd.readouterr().err == f"{tmp_path / 'side'}\n{repo / '.git' / 'worktrees' / 'side'}\n"


def test_a_hook_without_an_interpreter_line_is_run_by_sh(repo, version, capfd):
    script(repo / ".git" / "hooks" / "pre-run", "").write_text("echo plain $1\n")

    assert ask(repo, "pre-run", "x") == HookAnswer(0, True)
    assert capfd.readouterr().err == "plain x\n"


def test_a_hook_whose_interpreter_is_gone_is_a_no(repo, version, capfd):
    script(repo / ".git" / "hooks" / "pre-run", "").write_text("#!/nowhere/sh\n")

    assert ask(repo, "pre-run") == HookAnswer(1, True)
    assert capfd.readouterr().err


def test_a_hook_that_lost_its_x_bit_is_a_yes_and_named(repo, version, capfd):
    path = script(repo / ".git" / "hooks" / "pre-run", "exit 1", 0o644)

    assert ask(repo, "pre-run") == HookAnswer(0, False)
    assert capfd.readouterr().err == f"gitparams: {path} is not executable, so git does not run it (chmod +x mends it).\n"


def test_the_folder_may_be_gone_when_the_program_ends(repo, version, monkeypatch):
    script(repo / ".git" / "hooks" / "post-run", "touch ran")
    (repo / "sub").mkdir()
    monkeypatch.chdir(repo / "sub")
    with Git.find() as git:
        (repo / "sub").rmdir()
        assert call(git, "post-run", ["0"], {}) == HookAnswer(0, True)
    assert (repo / "ran").exists()


def test_a_hook_of_the_config_has_a_say(repo, config_git):
    process("git", "config", "hook.mine.event", "pre-run", cwd=repo)
    process("git", "config", "hook.mine.command", "exit 5; :", cwd=repo)

    assert ask(repo, "pre-run") == HookAnswer(5, True)


def test_an_older_git_does_not_know_hooks_of_the_config(repo, file_git):
    process("git", "config", "hook.mine.event", "pre-run", cwd=repo)
    process("git", "config", "hook.mine.command", "exit 5; :", cwd=repo)

    assert ask(repo, "pre-run") == HookAnswer(0, False)


def test_the_program_is_not_started_when_a_foreign_hook_says_no(repo, version):
    script(repo / ".git" / "hooks" / "pre-run", "echo 'no GPU left' >&2; exit 1")
    install(repo)

    done = gitparams("run", "--", "touch", "started", cwd=repo)

    [run] = runs(repo)
    assert (done.returncode, run.status) == (125, Status.REFUSED)
    assert "no GPU left" in done.stderr
    assert not (repo / "started").exists()


def test_gitparams_run_records_once_with_both_hooks_installed(repo, version):
    install(repo)

    done = gitparams("run", "--", "true", cwd=repo)

    assert done.returncode == 0
    assert [run.status for run in runs(repo)] == [Status.COMPLETED]


# -- gitparams hooks run --------------------------------------------------------------------------------------------------


def test_hooks_run_prints_the_id_and_post_run_closes_it(repo, version):
    install(repo)

    begun = gitparams("hooks", "run", "pre-run", "--", "python", "train.py", "--lr", "0.1", cwd=repo)
    ended = gitparams("hooks", "run", "post-run", "--", "0", cwd=repo)

    [run] = runs(repo)
    assert (begun.returncode, begun.stdout, ended.returncode, ended.stdout) == (0, f"{run.id}\n", 0, "")
    assert (run.status, run.command) == (Status.COMPLETED, ("python", "train.py", "--lr", "0.1"))


def test_hooks_run_leaves_the_id_in_the_run_file_too(repo, version):
    install(repo)

    begun = gitparams("hooks", "run", "pre-run", "--", "python", cwd=repo, GITPARAMS_RUN_FILE="run")

    assert (repo / "run").read_text() == begun.stdout


def test_hooks_run_hands_on_a_no_and_begins_nothing(repo, version):
    install(repo)
    if version >= (2, 54):
        script(repo / ".git" / "hooks" / "pre-run", "exit 7")
    else:
        script(repo / ".git" / "hooks" / "pre-run.legacy", "exit 7")

    done = gitparams("hooks", "run", "pre-run", "--", "python", "train.py", cwd=repo)

    assert (done.returncode, done.stdout, open_runs(repo)) == (7, "", [])
    assert [run.status for run in runs(repo)] == ([Status.REFUSED] if version >= (2, 54) else [])


def test_parallel_hooks_end_in_one_refused_run(repo, config_git):
    install(repo)
    process("git", "config", "hook.jobs", "4", cwd=repo)
    for word in ("hook.slow.event pre-run", "hook.slow.command sleep 0.5; exit 3; :", "hook.slow.parallel true"):
        process("git", "config", *word.split(" ", 1), cwd=repo)

    done = gitparams("hooks", "run", "pre-run", "--", "python", "train.py", cwd=repo)

    assert (done.returncode, done.stdout, open_runs(repo)) == (3, "", [])
    assert [run.status for run in runs(repo)] == [Status.REFUSED]


def test_hooks_run_says_when_our_hook_is_not_installed(repo, version):
    done = gitparams("hooks", "run", "pre-run", "--", "python", "train.py", cwd=repo)

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "gitparams: nothing was recorded: pre-run not installed (gitparams hooks install)\n"


def test_hooks_run_takes_no_path_for_an_event(repo):
    assert gitparams("hooks", "run", "../pre-run", cwd=repo).returncode == 2


def test_hooks_exec_is_the_line_for_a_foreign_hook(repo, version):
    line = f'{sys.executable} -m gitparams hooks exec pre-run -- "$@"'
    script(repo / ".git" / "hooks" / "pre-run", line)

    done = gitparams("hooks", "run", "pre-run", "--", "python", "train.py", cwd=repo)

    [run] = open_runs(repo)
    assert (done.returncode, done.stdout) == (0, f"{run.id}\n")


# -- installing -----------------------------------------------------------------------------------------------------------


def test_hooks_come_into_the_config_and_no_file_is_touched(repo, config_git):
    before = sorted((repo / ".git" / "hooks").iterdir())

    said = install(repo)

    assert said == [f"The {event} hook is installed in {repo / '.git' / 'config'}." for event in hook_files.STANDARD]
    assert sorted((repo / ".git" / "hooks").iterdir()) == before
    assert states(repo) == {
        **dict.fromkeys(hook_files.STANDARD, (HookState.INSTALLED, "config")),
        "prepare-commit-msg": (HookState.ABSENT, None),
    }
    assert process("git", "config", "core.hooksPath", cwd=repo).returncode == 1


def test_hooks_come_as_files(repo, file_git):
    said = install(repo)

    assert said == [f"The {event} hook is installed as {repo / '.git' / 'hooks' / event}." for event in hook_files.STANDARD]
    assert states(repo) == {
        **dict.fromkeys(hook_files.STANDARD, (HookState.INSTALLED, "file")),
        "prepare-commit-msg": (HookState.ABSENT, None),
    }
    assert "hook" not in (repo / ".git" / "config").read_text().lower()


def test_installing_twice_is_installing_once(repo, version):
    script(repo / ".git" / "hooks" / "pre-run", "echo foreign >&2")
    install(repo)
    before = _files(repo / ".git" / "hooks"), (repo / ".git" / "config").read_text()

    install(repo)

    assert (_files(repo / ".git" / "hooks"), (repo / ".git" / "config").read_text()) == before
    done = process(*raw("pre-run", version), "python", cwd=repo)
    assert len(open_runs(repo)) == 1
    assert done.stderr.count("foreign") == 1


def test_uninstalling_leaves_everything_as_it_was(repo, version):
    script(repo / ".git" / "hooks" / "pre-run", "exit 4")
    before = _files(repo / ".git" / "hooks"), (repo / ".git" / "config").read_text()
    install(repo)

    said = uninstall(repo)

    assert (_files(repo / ".git" / "hooks"), (repo / ".git" / "config").read_text()) == before
    assert len(said) == 3
    assert uninstall(repo) == []


def _files(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mode) for path in folder.iterdir()}


def test_a_foreign_hook_is_kept_and_runs_first(repo, file_git):
    script(repo / ".git" / "hooks" / "pre-run", 'echo "foreign $*" >&2')

    said = install(repo)

    done = process(*raw("pre-run", file_git), "python", "train.py", cwd=repo)
    [run] = open_runs(repo)
    assert said[0].endswith("pre-run. The hook that was there runs before it, as pre-run.legacy.")
    assert done.stderr == f"foreign python train.py\ngitparams: run {run.short_id} started\n"


def test_a_foreign_hook_still_has_its_no(repo, file_git):
    script(repo / ".git" / "hooks" / "pre-run", "exit 9")
    install(repo)

    assert ask(repo, "pre-run", "python") == HookAnswer(9, True)
    assert ask(repo, "pre-run", "python", GITPARAMS_RUN="pending") == HookAnswer(9, True)
    assert open_runs(repo) == []


def test_a_second_foreign_hook_is_not_lost(repo, file_git):
    script(repo / ".git" / "hooks" / "pre-run", "exit 1")
    script(repo / ".git" / "hooks" / "pre-run.legacy", "exit 2")
    before = _files(repo / ".git" / "hooks")

    with pytest.raises(UsageError, match=r"pre-run\.legacy is in the way of the hook pre-run\."):
        install(repo, events=["pre-run"])

    assert _files(repo / ".git" / "hooks") == before


def test_a_foreign_hook_that_is_a_link_stays_one(repo, file_git):
    target = script(repo / "tools" / "check.sh", "exit 6")
    (repo / ".git" / "hooks" / "pre-run").symlink_to("../../tools/check.sh")
    install(repo)

    assert ask(repo, "pre-run") == HookAnswer(6, True)
    uninstall(repo)
    assert (repo / ".git" / "hooks" / "pre-run").readlink() == Path("../../tools/check.sh")
    assert target.read_text() == "#!/bin/sh\nexit 6\n"


def test_uninstalling_leaves_a_hook_that_is_not_ours(repo, version):
    path = script(repo / ".git" / "hooks" / "pre-run", "exit 1")

    assert uninstall(repo) == []
    assert path.exists()


def test_nothing_is_written_where_hooks_belong_to_the_team(repo, file_git, tmp_path):
    for place in (".husky", str(tmp_path / "shared")):
        process("git", "config", "core.hooksPath", place, cwd=repo)
        said = install(repo)

        path = repo / place / "pre-run"
        assert said[0] == (
            f"The pre-run hook is not installed: core.hooksPath is {path.parent}, which is not ours to write to. "
            f'Add this line to {path}: gitparams hooks exec pre-run -- "$@" || exit'
        )
        assert not path.exists()
        assert states(repo)["pre-run"] == (HookState.ABSENT, None)


def test_the_line_added_to_the_teams_hook_counts_as_installed(repo, file_git):
    process("git", "config", "core.hooksPath", ".husky", cwd=repo)
    script(repo / ".husky" / "pre-run", 'gitparams hooks exec pre-run -- "$@" || exit')

    assert states(repo)["pre-run"] == (HookState.INSTALLED, "line")


def test_a_hooks_path_within_the_repositorys_own_folder_is_used(repo, file_git):
    process("git", "config", "core.hooksPath", ".git/own", cwd=repo)
    install(repo)

    assert (repo / ".git" / "own" / "pre-run").exists()
    process(*raw("pre-run", file_git), "python", cwd=repo)
    assert len(open_runs(repo)) == 1


def test_config_hooks_work_beside_a_hooks_path_of_the_team(repo, config_git):
    process("git", "config", "core.hooksPath", ".husky", cwd=repo)
    script(repo / ".husky" / "pre-run", "echo husky >&2")
    install(repo)

    done = process(*raw("pre-run", config_git), "python", cwd=repo)

    assert sorted(path.name for path in (repo / ".husky").iterdir()) == ["pre-run"]
    assert ("husky" in done.stderr, len(open_runs(repo))) == (True, 1)


def test_a_hook_that_came_before_the_hooks_path_is_removed_too(repo, file_git):
    install(repo)
    process("git", "config", "core.hooksPath", ".husky", cwd=repo)

    assert len(uninstall(repo)) == 3
    assert not (repo / ".git" / "hooks" / "pre-run").exists()


def test_a_repository_that_was_moved_still_records(repo, version, tmp_path):
    install(repo)
    moved = tmp_path / "moved it's here"
    repo.rename(moved)

    done = process(*raw("pre-run", version), "python", cwd=moved)

    assert (done.returncode, len(open_runs(moved))) == (0, 1), done.stderr


def test_a_script_that_is_gone_from_the_config_is_a_yes(repo, config_git):
    install(repo)
    shutil.rmtree(repo / ".git" / "gitparams")

    assert ask(repo, "pre-run", "python").exit_code == 0
    assert states(repo)["pre-run"] == (HookState.ABSENT, "config")


@pytest.mark.skipif(not (CONFIG and FILES), reason="needs a git before and one after 2.54")
def test_two_gits_on_one_repository_never_record_twice(repo, monkeypatch):
    script(repo / ".git" / "hooks" / "pre-run", "echo foreign >&2")
    old, new = FILES[0], CONFIG[0]
    use(new, monkeypatch)
    install(repo)
    use(old, monkeypatch)
    assert states(repo)["pre-run"] == (HookState.TOO_NEW, "config")
    install(repo)
    use(new, monkeypatch)
    assert states(repo)["pre-run"] == (HookState.INSTALLED, "file")
    process(*raw("pre-run", VERSIONS[new]), "python", cwd=repo)
    assert len(open_runs(repo)) == 1

    install(repo)

    done = process(*raw("pre-run", VERSIONS[new]), "python", cwd=repo)
    assert states(repo)["pre-run"] == (HookState.INSTALLED, "config")
    assert (len(open_runs(repo)), done.stderr.count("foreign")) == (2, 1)


def test_status_tells_what_is_wrong(repo, file_git, tmp_path):
    script(repo / ".git" / "hooks" / "post-run", "exit 0")
    assert states(repo) == {
        **dict.fromkeys(hook_files.EVENTS, (HookState.ABSENT, None)),
        "post-run": (HookState.FOREIGN, None),
    }
    install(repo, python=str(tmp_path / "gone"))
    assert states(repo)["pre-run"] == (HookState.NO_INTERPRETER, "file")
    (repo / ".git" / "hooks" / "pre-run").chmod(0o644)
    assert states(repo)["pre-run"] == (HookState.NOT_EXECUTABLE, "file")


def test_an_unknown_hook_is_not_installed(repo, version):
    with pytest.raises(UsageError, match="gitparams has no hook 'pre-commit'"):
        install(repo, events=["pre-commit"])
    with pytest.raises(UsageError, match="gitparams has no hook"):
        hook_files.hook_source("../README.md")


def test_a_path_with_quotes_and_spaces_is_baked_in(repo, version, tmp_path):
    python = tmp_path / "it's a venv" / "python"
    script(python, f'exec "{sys.executable}" "$@"')
    install(repo, python=str(python))

    process(*raw("pre-run", version), "python", cwd=repo)

    assert len(open_runs(repo)) == 1
    assert states(repo)["pre-run"][0] is HookState.INSTALLED


# -- the command line -----------------------------------------------------------------------------------------------------


def test_the_commands_install_tell_and_uninstall(repo, file_git):
    assert gitparams("hooks", "install", cwd=repo).returncode == 0

    told = gitparams("hooks", "status", cwd=repo)
    document = json.loads(gitparams("hooks", "status", "--json", cwd=repo).stdout)
    removed = gitparams("hooks", "uninstall", cwd=repo)

    path = repo / ".git" / "hooks" / "pre-run"
    assert told.stdout.splitlines()[0] == f"pre-run             installed (file {path})"
    assert document[0] == {"event": "pre-run", "state": "installed", "kind": "file", "path": str(path), "legacy": None}
    assert removed.stdout.splitlines()[0] == f"The pre-run hook is removed from {path.parent}."
    assert gitparams("hooks", "uninstall", cwd=repo).stdout == "No hook of gitparams is installed here.\n"


def test_install_exits_1_when_a_line_must_be_added_by_hand(repo, file_git):
    process("git", "config", "core.hooksPath", ".husky", cwd=repo)

    done = gitparams("hooks", "install", "pre-run", cwd=repo)

    assert done.returncode == 1
    assert 'gitparams hooks exec pre-run -- "$@" || exit' in done.stdout
