"""Completion: what is offered for the words of a line, from which index, and that a shell inserts it as plain words."""

import os
import pty
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import flags
import pytest
from world import git, gitparams, make_repository

from gitparams.cli import main
from gitparams.cli.flags import COMMANDS
from gitparams.completion import _FIELDS, Answer, Argument, Candidate, Command, Flag, Kind, complete
from gitparams.glimpse import Glimpse, Seen, index_file
from gitparams.query import FIELDS

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "gitparams" / "data" / "completion"
EVIL = "$(touch pwned)"


def test_the_table_of_flags_is_what_typer_knows_of_the_commands():
    assert (ROOT / "gitparams/cli/flags.py").read_text("utf-8") == flags.table(), "python tests/flags.py writes it anew"


def test_every_field_that_is_offered_is_one_of_the_query_language():
    assert set(_FIELDS) <= set(FIELDS)


# -- words and candidates -------------------------------------------------------------------------------------------------


class Told:
    """A history that was never recorded."""

    def runs(self, prefix="", *, deleted=False):
        known = [Seen("zmkkpptxkkmpptxz", 0.0, "failed", "gone")] if deleted else RUNS
        return [run for run in known if run.id.startswith(prefix)]

    def named(self, prefix="", *, deleted=False):
        return [run for run in self.runs(deleted=deleted) if run.name and run.name.startswith(prefix)]

    def experiments(self):
        return ["default", "digits", "-e"]

    def tags(self):
        return ["paper", "two words", "-d", "new\nline", EVIL]

    def params(self):
        return [("data", "a.b"), ("data", "lr-decay"), ("optim", "lr"), ("optim", "name"), ("seed",)]

    def metrics(self):
        return ["acc", "val/loss"]


RUNS = [
    Seen("kkmpptxzkkmpptxz", 0.0, "completed", "baseline"),
    Seen("kkrstnvqkkrstnvq", 1e99, "failed", None),
    Seen("wlqtrvkpwlqtrvkp", 0.0, "completed", "-rf"),
]
# As the commands are once they are complete; the table of today is held to Typer above.
TAKES = {
    "log": Command(
        "List runs",
        (Argument("[RUN..RUN] [-- KEY…]"),),
        (
            Flag(("-n", "--max-count"), "N", "How many"),
            Flag(("-e", "--experiment"), "EXPERIMENT"),
            Flag(("--status",), "STATUS"),
            Flag(("--tag",), "TAG"),
            Flag(("--where",), "EXPR"),
            Flag(("--sort",), "KEY"),
            Flag(("--columns",), "KEY"),
            Flag(("--group-by",), "KEY"),
            Flag(("--agg",), "WORDS", "", ("mean", "std")),
            Flag(("--against",), "RUN"),
            Flag(("--format",), "FORMAT", "", ("table", "json")),
            Flag(("--json",), "", "Print JSON"),
        ),
    ),
    **{
        name: COMMANDS[name]
        for name in (
            "run",
            "check",
            "show",
            "diff",
            "blame",
            "bisect",
            "tag",
            "rename",
            "rm",
            "update",
            "hooks",
            "import",
            "export",
            "plot",
            "demo",
        )
    },
}


def offered(*words):
    return [item.value for item in complete(words, TAKES, Told()).candidates]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["sh"], ["show"]),
        (["--v"], ["--version"]),
        (["hooks", ""], ["install", "uninstall", "status", "run", "exec"]),
        (["hooks", "install", "po"], ["post-run", "post-rewrite"]),
        (["nothing", ""], []),
        (["log", "--s"], ["--status", "--sort"]),
        (["log", "-"], ["-n", "--max-count", "-e", "--experiment", "--status", "--tag", "--where", "--sort", "--columns",
                        "--group-by", "--agg", "--against", "--format", "--json", "--help"]),
        (["log", "--json", "--e"], ["--experiment"]),
        (["log", "--max-count", ""], []),
        (["log", "-e", "d"], ["default", "digits"]),
        (["log", "--experiment=di"], ["--experiment=digits"]),
        (["log", "--status", "in"], ["interrupted"]),
        (["log", "--format", ""], ["table", "json"]),
        (["log", "--sort", "-metrics."], ["-metrics.acc", "-metrics.val/loss"]),
        (["log", "--sort=params.o"], ["--sort=params.optim.lr", "--sort=params.optim.name"]),
        (["log", "--columns", "c"], ["changed", "commit"]),
        (["log", "--columns", "status,metrics.a"], ["status,metrics.acc"]),
        (["log", "--group-by", "params.s"], ["params.seed"]),
        (["log", "--where", "params.optim.lr > 0.1 and met"],
         ["params.optim.lr > 0.1 and metrics.acc", 'params.optim.lr > 0.1 and metrics["val/loss"]']),
        (["log", "--where", 'params.data["l'], ['params.data["lr-decay"]']),
        (["log", "--where", 'tag("pa'], []),
        (["log", "--agg", "mean,s"], ["mean,std"]),
        (["log", "--against", "base"], ["baseline"]),
        (["log", "latest..base"], ["latest..baseline"]),
        (["log", "--", "optim."], ["optim.lr", "optim.name"]),
        (["log", "--", "optim.lr", 'data["'], ['data["a.b"]']),
        (["show", ""], ["latest", "best:", "worktree", "baseline", "kkmpptxz", "kkrstnvq", "wlqtrvkp"]),
        (["show", "kk"], ["kkmpptxz", "kkrstnvq"]),
        (["show", "kkmpptxzk"], ["kkmpptxzkkmpptxz"]),
        (["show", "run:b"], ["run:baseline"]),
        (["show", "best:"], ["best:acc", "best:val/loss"]),
        (["show", "best:-v"], ["best:-val/loss"]),
        (["show", "latest", ""], []),
        (["diff", "latest", "wo"], ["worktree"]),
        (["bisect", "latest", "kkr"], ["kkrstnvq"]),
        (["blame", "wo"], ["worktree"]),
        (["diff", "latest", "baseline", "kkr"], ["kkrstnvq"]),
        (["diff", "latest..k"], ["latest..kkmpptxz", "latest..kkrstnvq"]),
        (["tag", "wo"], []),
        (["tag", "latest", ""], ["paper", "two words", EVIL]),
        (["rename", "latest", ""], []),
        (["rm", "--undo", ""], ["gone", "zmkkpptx"]),
        (["run", "-p", "optim."], ["optim.lr=", "optim.name="]),
        (["run", "--param", "+optim.l"], ["+optim.lr="]),
        (["run", "-p", "~optim.l"], ["~optim.lr"]),
        (["update", "latest", "--metric", "a"], ["acc="]),
        (["check", "--rule", "missing-s"], ["missing-seed"]),
        (["import", ""], ["spool", "bundle", "tensorboard", "neptune", "optuna"]),
        (["plot", "s"], ["scatter", "series", "slice"]),
        (["plot", "parallel", "--param", "optim.l"], ["optim.lr"]),
        (["plot", "parallel", "--metric", "a"], ["acc"]),
        (["blame", "--metric", "a"], ["acc"]),
        (["export", "tensorboard", "logs", "base"], ["baseline"]),
    ],
    ids=lambda part: " ".join(part),
)  # fmt: skip
def test_these_are_offered(words, values):
    assert offered(*words) == values


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["run", "--params", "conf/"], Answer(Kind.FILES)),
        (["run", "--params=conf/"], Answer(Kind.FILES, fixed=9)),
        (["run", "--params", "data.aug=conf/"], Answer(Kind.FILES, fixed=9)),
        (["run", "--metrics=m"], Answer(Kind.FILES, fixed=10)),
        (["run", "--input", ""], Answer(Kind.FILES)),
        (["check", "conf/"], Answer(Kind.FILES)),
        (["import", "spool", ""], Answer(Kind.FILES)),
        (["-C", ""], Answer(Kind.FOLDERS)),
        (["demo", ""], Answer(Kind.FOLDERS)),
        (["run", "--tag", "a", "--", "py"], Answer(Kind.COMMAND, back=0)),
        (["run", "--", "python", "train.py", "--l"], Answer(Kind.COMMAND, back=2)),
        (["run", "-p", "lr=1", "py"], Answer(Kind.COMMAND, back=0)),
        (["run", "python", "--", "x"], Answer(Kind.COMMAND, back=0)),
        (["run", "python", "--l"], Answer(Kind.COMMAND, back=1)),
        (["hooks", "run", "pre-run", "--", "python", ""], Answer(Kind.COMMAND, back=1)),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_files_and_the_user_s_own_command_are_left_to_the_shell(words, answer):
    assert complete(words, TAKES, Told()) == answer


def test_no_space_follows_what_is_only_the_beginning():
    assert [complete(words, TAKES, Told()).open for words in (["show", "be"], ["show", ""], ["run", "-p", "s"])] == [
        True,
        False,
        True,
    ]


def test_a_run_is_described_by_its_time_status_and_name(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert complete(["show", "kk"], TAKES, Told()).candidates == (
        Candidate("kkmpptxz", "1970-01-01 00:00 baseline"),
        Candidate("kkrstnvq", "failed"),
    )


# -- the index as it stands -----------------------------------------------------------------------------------------------


@pytest.fixture
def history(repo):
    """A repository with three runs, one of them deleted; its newest is called evil."""
    (repo / "code").mkdir()
    assert main(["record", "-p", "optim.lr=0.1", "-m", "acc=0.9", "--name", "first", "-e", "digits"]) == 0
    assert main(["record", "-p", "optim.lr=0.1", "--name", "gone"]) == 0
    assert main(["rm", "--yes", "gone"]) == 0
    (repo / "odd.json").write_text('{"data": {"a.b": 1, "ü [x]": 2}, "": 3}')
    words = ("--params", "odd.json", "-m", "val/loss=1", "--name", "evil", "--tag", EVIL, "--tag", "paper")
    assert main(["record", *words]) == 0
    return repo


def told(folder, environment=None):
    with Glimpse.of(index_file(folder, environment or {})) as glimpse:
        return [run.name for run in glimpse.runs()], glimpse.params(), glimpse.metrics(), glimpse.tags(), glimpse.experiments()


EVERYTHING = (
    ["evil", "first"],
    [("",), ("data", "a.b"), ("data", "ü [x]"), ("optim", "lr")],
    ["acc", "val/loss"],
    [EVIL, "paper"],
    ["default", "digits"],
)


def test_a_glimpse_sees_runs_names_keys_tags_and_experiments(history):
    with Glimpse.of(index_file(history, {})) as glimpse:
        assert [run.name for run in glimpse.named("fi")] == ["first"]
        assert [run.name for run in glimpse.runs(deleted=True)] == ["gone"]
        newest = glimpse.runs()[0]
        assert glimpse.runs(newest.id[:3]) == [newest]
    assert told(history) == EVERYTHING


def test_the_index_is_found_from_a_folder_below_a_work_tree_a_submodule_like_gitfile_and_a_bare_clone(history, tmp_path):
    git("worktree", "add", "--quiet", tmp_path / "tree")
    git("init", "--quiet", "--separate-git-dir", tmp_path / "elsewhere.git", tmp_path / "apart")
    shutil.copytree(history / ".git" / "gitparams", tmp_path / "elsewhere.git" / "gitparams")
    git("clone", "--quiet", "--bare", history, tmp_path / "bare.git")
    shutil.copytree(history / ".git" / "gitparams", tmp_path / "bare.git" / "gitparams")
    assert told(history / "code") == EVERYTHING
    assert told(tmp_path / "tree") == EVERYTHING
    assert told(tmp_path / "apart") == EVERYTHING
    assert told(tmp_path / "bare.git") == EVERYTHING
    assert told(tmp_path, {"GIT_DIR": "bare.git"}) == EVERYTHING
    assert told(tmp_path, {"GIT_DIR": str(history / ".git" / "worktrees" / "tree")}) == EVERYTHING


NOTHING = ([], [], [], [], [])


def test_where_there_is_no_index_there_is_nothing_to_see(tmp_path):
    assert told(tmp_path) == NOTHING
    assert told(make_repository(tmp_path / "repo")) == NOTHING
    assert told(tmp_path, {"GIT_DIR": "nowhere"}) == NOTHING


def test_a_damaged_index_or_one_of_another_version_is_nothing_to_see(history):
    file = index_file(history, {})
    with sqlite3.connect(file) as connection:
        connection.execute("ALTER TABLE runs RENAME TO races")
    connection.close()
    assert told(history) == NOTHING
    file.write_bytes(b"x" * 5000)
    assert told(history) == NOTHING


def test_an_index_of_another_user_is_left_alone(history, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(history).st_uid + 1)
    assert told(history) == NOTHING


def test_completion_starts_no_process_and_loads_neither_typer_nor_a_command(history):
    code = (
        "import sys\nfrom gitparams.cli import main\n"
        "sys.addaudithook(lambda event, _: event in ('subprocess.Popen', 'os.posix_spawn', 'os.fork') and sys.exit(event))\n"
        "assert main(['__complete', 'zsh', '3', 'gitparams', 'log', '-e', 'd']) == 0\nprint(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    *answer, loaded = done.stdout.splitlines()
    assert (done.stderr, answer) == ("", [":values", "default", "digits"])
    assert {"typer", "git", "yaml", "subprocess", "gitparams.index", "gitparams.cli.log"} & set(loaded.split()) == set()


def test_a_glimpse_does_not_catch_up(history):
    before = git("rev-parse", "refs/gitparams/runs~1")
    git("update-ref", "refs/gitparams/runs", before)
    assert told(history) == EVERYTHING


@pytest.mark.parametrize("words", [[], ["bash"], ["bash", "1"], ["tcsh", "1", "gitparams", ""], ["bash", "x", "gitparams", ""],
                                   ["bash", "0", "gitparams"], ["zsh", "7", "gitparams"]], ids=" ".join)  # fmt: skip
def test_words_that_no_script_would_send_are_refused_without_a_word(words):
    done = gitparams("__complete", *words)
    assert (done.code, done.out, done.err) == (2, "", "")


# -- shells ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder on the PATH with gitparams and git-params."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("gitparams", "git-params"):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gitparams "$@"\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def in_bash(code, *words):
    script = f'. <(gitparams completion bash)\n{code}\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "--norc", "-c", script, "bash", *words], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def replied(*words):
    """Return what bash inserts for words as they are typed."""
    return in_bash('COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gitparams', *words)


@pytest.mark.parametrize(
    ("words", "inserted"),
    [
        (["gitparams", "tag", "evil", "\\$"], [r"\$\(touch\ pwned\)"]),
        (["gitparams", "tag", "evil", '"\\$'], [r"\$(touch pwned)"]),
        (["gitparams", "tag", "evil", "'$"], ["$(touch pwned)"]),
        (["gitparams", "show", "best", ":", "a"], ["acc"]),
        (["gitparams", "show", "best:a"], ["acc"]),
        (["gitparams", "log", "--experiment", "=", "di"], ["digits"]),
        (["gitparams", "log", "--experiment", "="], ["default", "digits"]),
        (["gitparams", "log", "--experiment=", "'di"], []),
        (["gitparams", "log", "--", "data"], [r"data\[\"a.b\"\]", r"data\[\"ü\ \[x\]\"\]"]),
        (["gitparams", "log", "--", r"data\[\"a"], [r"data\[\"a.b\"\]"]),
        (["gitparams", "log", "--", "'data[\"a"], ['data["a.b"]']),
        (["gitparams", "-C", "..", "show", "fi"], []),
        (["gitparams", "-C", ".", "show", "fi"], ["first"]),
    ],
    ids=lambda part: " ".join(part),
)
def test_bash_is_given_words_that_it_reads_as_they_are(history, path, words, inserted):
    assert replied(*words) == (inserted or [""])


def test_git_s_completion_of_bash_completes_git_params(history, path):
    code = "words=(git -C . params show fi); cword=5; __git_cmd_idx=3; __git_C_args=(-C .); _git_params"
    assert in_bash(code) == ["first"]
    assert in_bash("words=(git params show best:a); cword=3; __git_cmd_idx=1; _git_params") == ["acc"]


def typed(words, *lines):
    """Type lines into a shell that has a terminal of its own, each when the shell has said what it was waited for."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(words[0], words)
    said = heard(terminal, "READY")
    for line, answer in lines:
        os.write(terminal, line.encode())
        said += heard(terminal, answer)
    os.close(terminal)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return said


def heard(terminal, until):
    """Read what comes until a text is in it."""
    said, end = b"", time.monotonic() + 20
    while time.monotonic() < end and until.encode() not in said:
        if select.select([terminal], [], [], 0.2)[0]:
            said += os.read(terminal, 65536)
    return said.decode("utf-8", "replace")


SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i", "-C", "function fish_prompt; echo READY; end"],
}
LOAD = {
    "bash": f". {SCRIPTS}/gitparams.bash\r",
    "zsh": f"autoload -U compinit && compinit -u -D; . {SCRIPTS}/gitparams.zsh\r",
    "fish": f"source {SCRIPTS}/gitparams.fish\r",
}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("begun", ["\\$\t", '"\\$\t', "'$\t"], ids=["plain", "double", "single"])
def test_a_tag_that_is_a_command_is_completed_into_a_word_and_never_run(history, path, monkeypatch, shell, begun):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    monkeypatch.setenv("PS1", "READY$ ")
    monkeypatch.setenv("TERM", "dumb" if shell != "fish" else "xterm")
    said = typed(SHELLS[shell], (LOAD[shell], "READY"), (f"gitparams tag -d evil {begun}", "pwned"), ("\r", "READY"))
    assert (gitparams("tag", "evil").out, (history / "pwned").exists()) == ("paper\n", False), said


def test_fish_completes_run_ids_files_and_git_params(history, path):
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    asked = "; ".join(
        f"complete -C '{line}'"
        for line in ("gitparams show fir", "git params show fir", "gitparams run --params=od", "gitparams run -- git-par")
    )
    script = f"source {SCRIPTS}/gitparams.fish; {asked}"
    done = subprocess.run(["fish", "-c", script], capture_output=True, text=True, check=False)
    words = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert (words, done.stderr) == (["first", "first", "--params=odd.json", "git-params"], "")


# -- the command ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script(shell):
    done = gitparams("completion", shell)
    assert (done.code, done.out, done.err) == (0, (SCRIPTS / f"gitparams.{shell}").read_text("utf-8"), "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_its_shell_can_read(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n", SCRIPTS / f"gitparams.{shell}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("shell", "files"),
    [
        ("bash", [".local/share/bash-completion/completions/git-params", ".local/share/bash-completion/completions/gitparams"]),
        ("zsh", [".local/share/zsh/site-functions/_git-params", ".local/share/zsh/site-functions/_gitparams"]),
        ("fish", [".config/fish/completions/git-params.fish", ".config/fish/completions/gitparams.fish"]),
    ],
)
def test_install_writes_both_files_says_where_and_writes_them_anew(shell, files, monkeypatch):
    home = Path.home()
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    first, second = gitparams("completion", "--install"), gitparams("completion", "--install", shell)
    written = sorted(str(path.relative_to(home)) for path in home.rglob("*git*params*") if path.is_file())
    assert (first.code, second.code, written) == (0, 0, files)
    assert first.err == second.err
    assert [line for line in first.err.splitlines() if "Written" in line] == [
        f"gitparams: Written: {home / file}" for file in reversed(files)
    ]
    assert {(home / file).read_text("utf-8") for file in files} == {(SCRIPTS / f"gitparams.{shell}").read_text("utf-8")}


def test_install_leaves_a_file_alone_that_is_not_ours():
    file = Path.home() / ".config" / "fish" / "completions" / "gitparams.fish"
    file.parent.mkdir(parents=True)
    file.write_text("# mine\n")
    done = gitparams("completion", "--install", "fish")
    assert (done.code, file.read_text()) == (1, "# mine\n")
    assert done.err == f"gitparams: {file} is not ours, and stays as it is.\nhint: move it away, and call this again\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["completion"], "For which shell?"), (["completion", "tcsh"], "There is no completion for 'tcsh'.")],
    ids=["none", "unknown"],
)
def test_completion_names_the_shells_it_knows(words, sentence):
    done = gitparams(*words)
    assert (done.code, done.out, done.err) == (2, "", f"gitparams: {sentence}\nhint: gitparams completion bash, zsh or fish\n")


def test_bash_loads_what_was_installed_when_git_params_is_completed(history, path):
    loader = Path("/usr/share/bash-completion/bash_completion")
    gits = Path("/usr/share/bash-completion/completions/git")
    if not (loader.exists() and gits.exists()):
        pytest.skip("bash-completion is not installed")
    assert gitparams("completion", "--install", "bash").code == 0
    script = f". {loader}; . {gits}; COMP_WORDS=(git params show fir); COMP_CWORD=3; COMP_LINE='git params show fir'; COMP_POINT=19\n"
    script += '__git_wrap__git_main 2>/dev/null; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "first\n"
