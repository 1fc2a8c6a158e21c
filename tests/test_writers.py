"""Many writers on one repository: threads, processes, work trees, users, and a file system without locks. None loses a run."""

import json
import os
import shutil
import subprocess
import sys
import threading

import pytest
from world import git, gitparams, make_repository, unmeasured

from gitparams.ledger import REF
from gitparams.params import layer
from gitparams.repository import Repository
from gitparams.writing import Beginning

PY = sys.executable
PROCESSES = int(os.environ.get("GITPARAMS_WRITERS", "16"))
RUNS = int(os.environ.get("GITPARAMS_WRITER_RUNS", "8"))
"""How many processes write how many runs each; 64 and 50 where there is time for it."""

WRITE = "import gitparams, sys\nfor i in range(int(sys.argv[2])): gitparams.record({'writer': int(sys.argv[1]), 'i': i}, {'acc': i})"
TRAIN = (
    "import gitparams, sys\nfor i in range(int(sys.argv[2])):\n"
    "  with gitparams.start({'writer': int(sys.argv[1]), 'i': i}) as run: run.log(loss=i)\n"
)
# What a file system without locks answers, for all who run in this process.
NO_LOCKS = (
    "import errno, fcntl\n"
    "def flock(*_): raise OSError(errno.ENOLCK, 'No locks available')\n"
    "fcntl.flock = flock\n"
)  # fmt: skip


def written_by(folders, program=WRITE, runs=RUNS, **how):
    """Let a process in each folder write; return what they said, and how they ended."""
    writers = [
        subprocess.Popen([PY, "-c", program, str(n), str(runs)], cwd=folder, stderr=subprocess.PIPE, text=True, **how)
        for n, folder in enumerate(folders)
    ]
    return [(writer.communicate()[1], writer.returncode) for writer in writers]


def seen(folder):
    """Return who wrote what, each time it is listed, and whether the index equals one made anew; the repository is sound."""
    with Repository.find(folder) as repository:
        kept = repository.runs()
        repository.index.rebuild(repository.ledger.tip())
        assert kept == repository.runs()
        assert {run.status for run in kept} == {"completed"}
    assert git("fsck", "--strict", "--no-dangling", cwd=folder) == ""
    return sorted((run.params["writer"], run.params["i"]) for run in kept)


def all_of(writers, runs=RUNS):
    return [(writer, i) for writer in range(writers) for i in range(runs)]


def entries(folder):
    return int(git("rev-list", "--count", REF, cwd=folder))


def test_many_processes_lose_nothing_and_write_nothing_twice(repo):
    assert written_by([repo] * PROCESSES) == [("", 0)] * PROCESSES
    assert seen(repo) == all_of(PROCESSES)
    assert entries(repo) == PROCESSES * RUNS


def test_many_runs_in_progress_lose_nothing(repo):
    assert written_by([repo] * 6, TRAIN, 4) == [("", 0)] * 6
    assert seen(repo) == all_of(6, 4)
    assert entries(repo) == 2 * 24 and not list((repo / ".git/gitparams/live").iterdir())


def test_work_trees_share_one_ledger_and_each_records_its_own_code(repo, tmp_path):
    trees = [tmp_path / f"tree-{n}" for n in range(3)]
    made = [git("worktree", "add", "-q", "-b", f"branch-{n}", tree) for n, tree in enumerate(trees)]
    [(tree / "train.py").write_text(f"print({n})\n") for n, tree in enumerate(trees)]
    assert made == [""] * 3 and written_by(trees, runs=4) == [("", 0)] * 3
    assert seen(repo) == all_of(3, 4)
    with Repository.find(repo) as repository:
        branches = {run.params["writer"]: run.code.branch for run in repository.runs()}
        code = {run.params["writer"]: repository.git.read(f"{run.code.tree}:train.py")[2] for run in repository.runs()}
    assert branches == {n: f"branch-{n}" for n in range(3)}
    assert code == {n: f"print({n})\n".encode() for n in range(3)}


def test_threads_of_one_process_write_beside_each_other(repo):
    def write(number):
        with Repository.find(repo) as repository:
            for i in range(4):
                repository.record(Beginning(layer({"writer": number, "i": i}, "code")), {})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert seen(repo) == all_of(6, 4)


@pytest.mark.parametrize("program", [WRITE, TRAIN], ids=["record", "start"])
def test_where_no_lock_works_the_compare_and_swap_alone_suffices(repo, program):
    assert written_by([repo] * 8, NO_LOCKS + program, 4) == [("", 0)] * 8
    assert seen(repo) == all_of(8, 4)


def test_where_no_lock_works_a_dead_run_is_closed_once_by_several_commands_at_once(repo):
    crash = (
        NO_LOCKS
        + "import gitparams, os\nrun = gitparams.start({'writer': 0, 'i': 0})\nrun.log(loss=1)\nos.kill(os.getpid(), 9)"
    )
    assert subprocess.run([PY, "-c", crash], check=False).returncode == -9
    look = (
        NO_LOCKS + "from gitparams.repository import Repository\nwith Repository.find() as found: print(found.runs()[0].status)"
    )
    readers = [subprocess.Popen([PY, "-c", look], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [reader.communicate()[0] for reader in readers] == ["crashed\n"] * 4
    assert git("log", "--format=%(trailers:key=Run-Event,valueonly)", REF).split() == ["finish", "start"]


# -- several users --------------------------------------------------------------------------------------------------------

USERS = (50001, 50002)
TEAM = 50000


def as_user(user, *words, cwd, **how):
    """Run a command as a user of the team, with the umask that most people have."""
    drop = ["setpriv", f"--reuid={user}", f"--regid={user}", f"--groups={TEAM}", "--"]
    home = cwd.parent / f"home-{user}"
    if not home.exists():
        home.mkdir()
        (home / ".gitconfig").write_text(f"[user]\nname = U{user}\nemail = u{user}@example.com\n[safe]\ndirectory = *\n")
        shutil.chown(home, user, user)
    environment = {**unmeasured(), "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_STATE_HOME": str(home)}
    return subprocess.Popen(
        ["sh", "-c", 'umask 022; exec "$@"', "sh", *drop, *map(str, words)],
        cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how,
    )  # fmt: skip


@pytest.fixture
def team(tmp_path):
    """A repository that a team shares (core.sharedRepository), as `git init --shared` and a chgrp make it."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can be several users")
    folder = make_repository(tmp_path / "repo", "--shared=group")
    for path in [folder, *folder.rglob("*")]:
        shutil.chown(path, USERS[0], TEAM)
        path.chmod(path.stat().st_mode | (0o2070 if path.is_dir() else 0o060 if "objects" not in path.parts else 0o040))
    for parent in list(folder.parents)[:-2]:
        parent.chmod(parent.stat().st_mode | 0o005)
    try:
        reader = as_user(USERS[1], PY, "-c", "import gitparams", cwd=folder)
        if "Permission" in reader.communicate()[1] or reader.returncode:
            pytest.skip("other users cannot read this Python or the package")
        yield folder
    finally:
        for path in [folder, *folder.rglob("*")]:
            shutil.chown(path, 0, 0)


def test_the_users_of_a_shared_repository_record_run_and_read_together(team):
    writers = [as_user(user, PY, "-c", WRITE, n, 4, cwd=team) for n, user in enumerate(USERS)]
    assert [(*writer.communicate(), writer.returncode) for writer in writers] == [("", "", 0)] * 2
    trainers = [
        as_user(user, PY, "-m", "gitparams", "run", "-p", "writer=9", "-p", f"i={user}", "--", "true", cwd=team)
        for user in USERS
    ]
    assert [(*trainer.communicate(), trainer.returncode) for trainer in trainers] == [("", "", 0)] * 2
    readers = [as_user(user, PY, "-m", "gitparams", "log", "--json", "-n", "99", cwd=team) for user in USERS]
    listed = [json.loads(reader.communicate()[0]) for reader in readers]
    assert [sorted((run["params"]["writer"], run["params"]["i"]) for run in runs) for runs in listed] == [
        [*all_of(2, 4), *((9, user) for user in USERS)]
    ] * 2
    folder = team / ".git/gitparams"
    ours = [folder, folder / "index.db", folder / "live", folder / "tip"]
    assert {path.name: oct(path.stat().st_mode & 0o060) for path in ours} == dict.fromkeys((path.name for path in ours), "0o60")


def test_a_repository_that_is_not_shared_gives_no_rights_away(repo):
    old = os.umask(0o077)
    try:
        assert gitparams("run", "-p", "lr=1", "--", "true").code == 0
    finally:
        os.umask(old)
    folder = repo / ".git/gitparams"
    assert {path.stat().st_mode & 0o077 for path in [folder, folder / "index.db", folder / "live", folder / "tip"]} == {0}
