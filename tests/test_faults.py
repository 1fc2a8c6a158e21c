"""Faults, each made to happen: whatever is killed, full, stale or moved, what was acknowledged is there, once, and the next
command goes on."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta

import killing
import pytest
from world import git, gitparams, make_repository, unmeasured

from gitparams import presence
from gitparams.index import Filter, Index
from gitparams.journal import Ending, Journal
from gitparams.ledger import REF
from gitparams.model import EventKind, RunId, Status, is_run_id
from gitparams.params import layer
from gitparams.repository import Repository
from gitparams.writing import Beginning

PY = sys.executable
STRIDE = int(os.environ.get("GITPARAMS_KILL_STRIDE", "29"))
"""Of the calls at which a command can be killed, every so many are tried; 1 tries all, and takes minutes."""


def runs(*words, **how):
    return json.loads(gitparams("log", "--json", *words, **how).out)


def statuses(folder=None):
    with Repository.find(folder) as repository:
        return {run.id: run.status for run in repository.runs()}


def begun(**params):
    """Begin a run in this process, and return its journal."""
    with Repository.find() as repository:
        return repository.begin(Beginning(layer(params, "code")))


def background(*words, **how):
    """Start a `gitparams run` whose program says `begun` as soon as it is there."""
    process = subprocess.Popen([PY, "-m", "gitparams", "run", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)
    assert process.stdout.readline() == b"begun\n"
    return process


# -- killed at every call -------------------------------------------------------------------------------------------------

needs_ptrace = pytest.mark.skipif(not killing.supported(), reason="programs can be stopped at their calls on Linux only")


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    """A repository with a finished run, an open one, changed code, params, and a remote that has one run more."""
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Ada")
            patch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")
        patch.setenv("PYTHONPATH", os.path.dirname(os.path.dirname(os.path.abspath(presence.__file__))))
        folder = make_repository(tmp_path_factory.mktemp("seed") / "repo")
        (folder / "params.json").write_text('{"lr": 1}')
        assert gitparams("record", "-p", "lr=0", cwd=folder).code == 0
        opened = gitparams("start", "-p", "lr=0.5", "--name", "opened", "--", "train", cwd=folder)
        assert opened.code == 0, opened.err
        hub, other = folder.parent / "hub", folder.parent / "other"
        git("clone", "-q", "--bare", folder, hub)
        git("clone", "-q", hub, other)
        assert gitparams("record", "-p", "lr=2", cwd=other).code == 0
        git("push", "-q", hub, REF, cwd=other)
        git("remote", "add", "origin", hub, cwd=folder)
        (folder / "train.py").write_text("print('not committed')\n")
    return folder


def soundness(folder, before, acknowledged, ends):
    """Return what is wrong with the runs after a kill: lost, doubled, half written, or still called running."""
    with Repository.find(folder) as repository:
        found = {run.id: run.status for run in repository.runs(Filter(groups=True))}
        kept = repository.index.runs(Filter(groups=True))
        repository.index.rebuild(repository.ledger.tip())
        anew = repository.index.runs(Filter(groups=True))
        left = {path.parent.name for path in repository.live.glob("*/run.json")}
    faults = [f"lost {run}" for run in before if run not in found]
    faults += [f"acknowledged and lost: {run}" for run in acknowledged if run not in found]
    faults += [f"{run} is {status}" for run, status in found.items() if run not in before and status not in ends]
    faults += ["the index differs from one made anew"] if kept != anew else []
    faults += [f"{len(found) - len(before)} new runs"] if len(found) - len(before) > 1 else []
    first = git("log", "--format=%(trailers:key=Run-Id,valueonly)%x09%(trailers:key=Run-Prev,valueonly)", REF, cwd=folder)
    ids = [line.split("\t")[0].strip() for line in first.splitlines() if line.strip() and not line.rpartition("\t")[2].strip()]
    faults += [f"begun twice: {run}" for run in ids if ids.count(run) > 1]
    return faults + [f"a journal was left: {name}" for name in left if name in found and found[name] is not Status.OPEN]


WHOLE = {
    "pull": {"completed"},
    "record": {"completed"},
    "start": {"open"},
    "finish": {"completed", "open"},
    "run": {"completed", "crashed"},
}
COMMANDS = {
    "record": ["record", "--params", "params.json", "--metric", "acc=1"],
    "start": ["start", "--params", "params.json", "--", "train"],
    "finish": ["finish", "opened", "--metric", "acc=1"],
    "run": ["run", "--params", "params.json", "--", "true"],
    "pull": ["pull"],
}


@needs_ptrace
@pytest.mark.parametrize("only_first", [False, True], ids=["with all it started", "alone"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_killed_at_any_call_loses_nothing_and_leaves_a_sound_repository(seed, tmp_path, command, only_first):
    before = statuses(seed)
    sweep = killing.Sweep(seed, [PY, "-m", "gitparams", *COMMANDS[command]], tmp_path)

    def check(folder, traced):
        lock = folder / f".git/{REF}.lock"
        if lock.exists():  # git's own, which nobody holds any more: a minute later it is out of the way
            os.utime(lock, (time.time() - 61,) * 2)
        said = [word for word in traced.out.split() if is_run_id(word)]
        faults = soundness(folder, before, said, WHOLE[command])
        with Repository.find(folder) as repository:  # the next command finds nothing in its way
            repository.record(Beginning(layer({"lr": 9}, "code")), {})
        return faults

    assert sweep.faults(check, every=STRIDE, only_first=only_first) == []


@needs_ptrace
def test_the_start_of_an_open_run_that_was_killed_on_its_way_to_the_ledger_is_written_by_a_later_command(seed, tmp_path):
    place = shutil.copytree(seed, tmp_path / "repo", symlinks=True)
    words = [PY, "-m", "gitparams", *COMMANDS["start"]]
    whole = killing.trace(words, shutil.copytree(seed, tmp_path / "whole", symlinks=True), tmp_path).calls
    at = next(number for number, call in enumerate(whole) if call.startswith("write") and "/objects/" in call)
    killing.trace(words, place, tmp_path, kill_at=at)
    (journal,) = [path for path in (place / ".git/gitparams/live").iterdir() if path.name not in statuses(place)]
    os.utime(journal / "run.json", (time.time() - 61,) * 2)
    assert statuses(place)[journal.name] == "open"


# -- what is acknowledged is on the disk ----------------------------------------------------------------------------------


@needs_ptrace
@pytest.mark.parametrize("command", ["record", "start"])
def test_objects_the_ref_and_its_folder_are_flushed_before_a_run_is_acknowledged(seed, tmp_path, command):
    place = shutil.copytree(seed, tmp_path / "repo", symlinks=True)
    calls = killing.trace([PY, "-m", "gitparams", *COMMANDS[command]], place, tmp_path).calls
    said = next(number for number, call in enumerate(calls) if call == f"write {tmp_path / 'out'}")
    flushed = [call.removeprefix("fsync ").replace(f"{place}/", "") for call in calls[:said] if call.startswith("fsync ")]
    written = {
        call.partition(" ")[2].replace(f"{place}/", "")
        for call in calls
        if call.startswith("write ") and "repo/.git/objects/" in call
    }
    assert written and written <= set(flushed)
    assert flushed[-1] == ".git/refs/gitparams"
    assert ("run.json.new" in {os.path.basename(path) for path in flushed}) == (command == "start")


# -- stale locks ----------------------------------------------------------------------------------------------------------


def test_a_ref_lock_that_a_killed_git_left_is_out_of_the_way_a_minute_later(repo):
    gitparams("record", "-p", "lr=1")
    lock = repo / f".git/{REF}.lock"
    lock.touch()
    os.utime(lock, (time.time() - 61,) * 2)
    done = gitparams("record", "-p", "lr=2")
    assert (done.code, done.err, lock.exists()) == (0, "", False)
    assert [run["params"]["lr"] for run in runs()] == [2, 1]


@pytest.mark.parametrize("lock", ["gitparams/ledger.lock", "index.lock", "HEAD.lock", "gc.pid"])
def test_other_locks_that_were_left_are_no_matter(repo, lock):
    (repo / ".git/gitparams").mkdir()
    (repo / ".git" / lock).write_text("4711 elsewhere")
    (repo / "train.py").write_text("print('changed')\n")
    begun_at = time.monotonic()
    done = gitparams("run", "-p", "lr=1", "--", "true")
    assert (done.code, done.err) == (0, "") and time.monotonic() - begun_at < 10
    assert runs()[0]["status"] == "completed" and git("fsck", "--strict") == ""


# -- the disk -------------------------------------------------------------------------------------------------------------


def small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))


def test_a_record_for_which_there_is_no_room_is_one_sentence_and_nothing_half_written(repo):
    gitparams("record", "-p", "lr=1")
    (repo / "train.py").write_bytes(os.urandom(20_000))  # more than a file may hold
    words = [PY, "-m", "gitparams", "record", "-p", "lr=2"]
    done = subprocess.run(words, preexec_fn=small_files, env=unmeasured(), capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("gitparams: Git could not write") and "Traceback" not in done.stderr
    assert [run["params"] for run in runs()] == [{"lr": 1}]
    assert git("fsck", "--strict", "--no-dangling") == ""


def test_a_program_runs_to_its_end_where_there_is_no_room_for_its_run(repo):
    words = [PY, "-m", "gitparams", "run", "-p", "lr=2", "--", "echo", "trained"]
    done = subprocess.run(words, preexec_fn=small_files, env=unmeasured(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "trained\n") and "Traceback" not in done.stderr
    assert 1 <= done.stderr.count("gitparams:") <= 3
    assert git("fsck", "--strict", "--no-dangling") == ""


def test_a_corrupt_object_hides_one_run_and_stops_nothing(repo):
    good = gitparams("record", "-p", "lr=1").out.strip()
    bad = gitparams("record", "-p", "lr=2").out.strip()
    oid = git("rev-parse", f"{REF}:params.json")
    path = repo / ".git/objects" / oid[:2] / oid[2:]
    path.chmod(0o644)
    path.write_bytes(b"\x78\x01garbage")
    (repo / ".git/gitparams/index.db").unlink()
    listed = {run["id"]: run["status"] for run in runs()}
    assert listed == {good: "completed", bad: "broken"}
    assert gitparams("record", "-p", "lr=3").code == 0 and len(runs()) == 3


# -- beside git's housekeeping --------------------------------------------------------------------------------------------

HOUSEKEEPING = [
    ["gc", "--prune=now", "--quiet"],
    ["pack-refs", "--all", "--prune"],
    ["repack", "-a", "-d", "-q"],
    ["maintenance", "run", "--quiet"],
    ["reflog", "expire", "--expire=now", "--all"],
]


@pytest.mark.parametrize("words", HOUSEKEEPING, ids=" ".join)
def test_git_may_tidy_up_at_the_same_time(repo, words):
    stop, many = threading.Event(), 12

    def tidy():
        while not stop.is_set():
            subprocess.run(["git", *words], cwd=repo, capture_output=True, check=False)

    tidier = threading.Thread(target=tidy)
    tidier.start()
    try:
        program = f"import gitparams\nfor i in range({many}): gitparams.record({{'i': i}}, {{'acc': i}})"
        done = subprocess.run([PY, "-c", program], capture_output=True, text=True, check=False)
    finally:
        stop.set()
        tidier.join()
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(run["params"]["i"] for run in runs()) == list(range(many))
    assert git("fsck", "--strict", "--no-dangling") == ""


def test_two_who_build_the_index_at_once_build_the_same(repo):
    program = "import gitparams\nfor i in range(30): gitparams.record({'i': i}, {})"
    subprocess.run([PY, "-c", program], check=True)
    (repo / ".git/gitparams/index.db").unlink()
    words = [PY, "-m", "gitparams", "log", "--json", "-n", "100"]
    builders = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    outcomes = [(*builder.communicate(), builder.returncode) for builder in builders]
    assert {len(json.loads(out)) for out, _, _ in outcomes} == {30}
    assert {(err, code) for _, err, code in outcomes} == {(b"", 0)}


# -- clocks ---------------------------------------------------------------------------------------------------------------


def test_a_clock_that_goes_backwards_costs_no_run_and_no_order_of_events(repo):
    with Repository.find() as repository:
        journal = repository.begin(Beginning(layer({"lr": 1}, "code")))
        begun_at = journal.read().run.started
        run = repository.finish(journal, Ending(Status.COMPLETED, begun_at - timedelta(hours=2)))
        repository.tag(run.id, ["after"])
    (shown,) = runs()
    assert (shown["status"], shown["tags"]) == ("completed", ["after"])
    assert gitparams("log").code == gitparams("show", run.id).code == gitparams("show", "--format", "yaml").code == 0


# -- journals -------------------------------------------------------------------------------------------------------------


def dead(journal):
    """Let go of a journal as a killed process does, and return its folder."""
    journal.close()
    return journal.folder


def test_a_journal_that_lost_its_beginning_in_a_power_cut_is_closed_with_what_the_ledger_has(repo):
    journal = begun(lr=0.5)
    journal.log(b'{"step":0,"time":1.5,"loss":0.25}\n')
    (dead(journal) / "run.json").write_bytes(b"")
    (run,) = runs()
    assert (run["status"], run["params"], run["metrics"]) == ("crashed", {"lr": 0.5}, {"loss": 0.25})
    assert not list((repo / ".git/gitparams/live").iterdir())


def test_what_is_left_of_a_journal_that_was_being_removed_changes_nothing(repo):
    journal = begun(lr=0.5)
    with Repository.find() as repository:
        kept = shutil.copytree(journal.folder, repo / "kept")
        repository.finish(journal, Ending(Status.COMPLETED, datetime.now().astimezone()))
    tip = git("rev-parse", REF)
    (kept / "changes.jsonl").unlink(missing_ok=True)
    kept.rename(repo / ".git/gitparams/live" / journal.id)
    assert (runs()[0]["status"], git("rev-parse", REF)) == ("completed", tip)
    assert not list((repo / ".git/gitparams/live").iterdir())


def test_a_program_that_removes_its_journal_is_still_recorded_as_it_ended(repo):
    done = gitparams("run", "-p", "lr=1", "--", "sh", "-c", "rm -r .git/gitparams/live; exit 3")
    assert (done.code, "Traceback" in done.err) == (3, False)
    assert [(run["status"], run["exit_code"]) for run in runs()] == [("failed", 3)]


# -- how programs end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "status", "code"),
    [
        ("import os; os.kill(os.getpid(), 9)", "failed", 137),
        ("import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 29,) * 2); b'x' * (1 << 30)", "failed", 1),
    ],
)
def test_a_program_that_ran_out_of_memory_failed(repo, program, status, code):
    done = gitparams("run", "-p", "lr=1", "--", PY, "-c", program)
    assert done.code == code
    assert [(run["status"], run["exit_code"]) for run in runs()] == [(status, code)]


SAVES = (
    "import signal, sys, time, gitparams\nrun = gitparams.start({'lr': 1})\nrun.log(loss=0.5)\n"
    "def save(*_):\n  run.log(loss=0.25)\n  print('saving', flush=True)\n  %s\n"
    "signal.signal(signal.SIGTERM, save)\nprint('begun', flush=True)\ntime.sleep(60)\n"
)


@pytest.mark.parametrize("killed", [["gitparams"], ["gitparams", "program"]], ids=" and ".join)
def test_a_run_that_is_killed_in_its_grace_after_sigterm_was_interrupted_and_keeps_its_metrics(repo, killed):
    process = background("-p", "lr=1", "--", PY, "-c", SAVES % "time.sleep(60)", start_new_session=True)
    process.terminate()
    assert process.stdout.readline() == b"saving\n"
    if "program" in killed:
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.communicate()
    (run,) = runs()
    assert (run["status"], run["metrics"]) == ("interrupted", {"loss": 0.25})


def test_what_a_program_makes_of_its_grace_is_recorded(repo):
    process = background("--", PY, "-c", SAVES % "sys.exit(3)", start_new_session=True)
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate()
    (run,) = runs()
    assert (run["status"], run["exit_code"], run["metrics"]) == ("interrupted", 3, {"loss": 0.25})


# -- the repository is moved ----------------------------------------------------------------------------------------------


def test_a_repository_that_is_moved_while_a_run_goes_on_gets_its_end(repo, tmp_path):
    program = "import sys; print('begun', flush=True); sys.stdin.readline(); print('still here')"
    process = background("-p", "lr=1", "--", PY, "-c", program, stdin=subprocess.PIPE)
    moved = repo.rename(tmp_path / "moved")
    out, err = process.communicate(b"\n")
    assert (process.returncode, out, err) == (0, b"still here\n", b"")
    assert [run["status"] for run in runs(cwd=moved)] == ["completed"]
    assert not list((moved / ".git/gitparams/live").iterdir()) and not repo.exists()


def test_a_program_that_records_itself_follows_its_repository(repo, tmp_path):
    program = (
        "import gitparams, sys\nrun = gitparams.start({'lr': 1})\nprint('begun', flush=True)\nsys.stdin.readline()\n"
        "run.log(loss=0.5)\nrun.tag('moved')\nrun.finish()\n"
    )
    process = subprocess.Popen([PY, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    moved = repo.rename(tmp_path / "moved")
    _, err = process.communicate(b"\n")
    (run,) = runs(cwd=moved)
    assert (run["status"], run["metrics"], run["tags"], err) == ("completed", {"loss": 0.5}, ["moved"], b"")


def test_a_repository_that_is_removed_while_a_run_goes_on_is_one_warning(repo):
    program = "import sys; print('begun', flush=True); sys.stdin.readline(); print('trained')"
    process = background("-p", "lr=1", "--", PY, "-c", program, stdin=subprocess.PIPE)
    shutil.rmtree(repo)
    out, err = process.communicate(b"\n")
    assert (process.returncode, out) == (0, b"trained\n")
    assert err.count(b"gitparams:") == 1 and b"Traceback" not in err


# -- statuses tell the truth ----------------------------------------------------------------------------------------------

ELSEWHERE = {"boot": "11111111-2222-3333-4444-555555555555", "namespace": "4026531836", "pid": 4711, "began": 5316}


def disguised(journal, host="gpu-9", **process):
    """Let the run of a journal, and its entry, be that of a process on another machine."""
    with Repository.find() as repository:

        def how(run):
            return replace(run, host=host, environment={"process": {**ELSEWHERE, **process}})

        version = repository.index.version(journal.id)
        journal.begin_again(how(version.run), {})
        repository.writer.change(journal.id, EventKind.UPDATE, how)
    return journal


def age(folder, seconds):
    for path in [*folder.iterdir(), folder]:
        os.utime(path, (time.time() - seconds,) * 2)


def shown(monkeypatch=None, later=0.0):
    """Return the status that is shown of the only run, some time from now."""
    real = time.time
    if monkeypatch is not None:
        monkeypatch.setattr(presence.time, "time", lambda: real() + later)
    try:
        with Repository.find() as repository:
            (run,) = repository.runs()
            chosen = repository.runs(Filter(status=str(run.status)))
            assert [one.id for one in chosen] == [run.id]
            return run.status
    finally:
        if monkeypatch is not None:
            monkeypatch.setattr(presence.time, "time", real)


def test_a_run_remembers_boot_namespace_and_process_and_a_finished_record_does_not(repo):
    journal = begun(lr=1)
    process = journal.read().run.environment["process"]
    assert process == presence.this_process() and set(process) == {"boot", "namespace", "pid", "began"}
    assert presence.lives(journal.read().run) is True
    journal.remove()
    git("update-ref", "-d", REF)
    shutil.rmtree(repo / ".git/gitparams")
    gitparams("record", "-p", "lr=2")
    assert "process" not in journal_run().environment


def test_a_free_lock_says_nothing_of_a_run_on_another_machine(repo):
    journal = disguised(begun(lr=1))
    dead(journal)
    assert shown() == "running" and journal.folder.exists()


def test_a_run_of_another_machine_is_lost_after_a_day_without_a_word_and_nothing_is_written(repo, monkeypatch):
    dead(disguised(begun(lr=1)))
    tip = git("rev-parse", REF)
    assert shown(monkeypatch, later=23 * 3600) == "running"
    assert shown(monkeypatch, later=25 * 3600) == "lost"
    assert shown() == "running"  # clocks were set, or it spoke again
    assert git("rev-parse", REF) == tip


def test_a_run_that_gave_signs_of_life_is_lost_a_quarter_of_an_hour_after_the_last_one(repo, monkeypatch):
    journal = disguised(begun(lr=1))
    journal.pulse()
    dead(journal)
    assert shown(monkeypatch, later=10 * 60) == "running"
    assert shown(monkeypatch, later=16 * 60) == "lost"


def test_a_run_elsewhere_that_is_far_in_the_future_does_not_go_on_for_ever(repo):
    journal = disguised(begun(lr=1))
    age(dead(journal), -10 * 365 * 86400)
    shutil.rmtree(journal.folder)
    assert presence.goes_on(journal_run(), [(time.time() + 400 * 86400, presence.GRACE_SECONDS)]) is False


def journal_run():
    with Repository.find() as repository:
        (run,) = repository.runs()
        return run


def test_in_another_clone_of_this_machine_the_process_itself_is_looked_at(repo, tmp_path):
    program = "import sys; print('begun', flush=True); sys.stdin.readline()"
    process = background("-p", "lr=1", "--", PY, "-c", program, stdin=subprocess.PIPE)
    git("clone", "-q", ".", tmp_path / "clone")
    git("fetch", "-q", "origin", f"{REF}:{REF}", cwd=tmp_path / "clone")
    assert [run["status"] for run in runs(cwd=tmp_path / "clone")] == ["running"]
    process.kill()
    process.communicate(b"\n")
    assert [run["status"] for run in runs(cwd=tmp_path / "clone")] == ["lost"]
    assert [run["status"] for run in runs()] == ["crashed"]


def test_a_run_from_before_this_machine_went_down_is_closed_and_one_that_only_shares_its_name_is_not(repo):
    journal = disguised(begun(lr=1), host=presence.host())
    age(dead(journal), 3650 * 86400)
    twin = disguised(begun(lr=2), host=presence.host())
    dead(twin)
    assert statuses() == {journal.id: "crashed", twin.id: "running"}


def test_another_container_of_this_machine_shares_its_locks(repo):
    held = disguised(begun(lr=1), host="c0ffee", boot=presence.boot_id())
    free = disguised(begun(lr=2), host="decaf0", boot=presence.boot_id())
    dead(free)
    assert statuses() == {held.id: "running", free.id: "crashed"}
    held.close()


def test_an_end_that_another_machine_is_about_to_write_is_left_to_it_for_a_minute(repo):
    journal = disguised(begun(lr=1))
    journal.end(Ending(Status.COMPLETED, datetime.now().astimezone()))
    folder = dead(journal)
    assert shown() == "running"
    age(folder, 61)
    assert shown() == "completed"


def test_what_was_written_as_lost_yields_to_the_end_that_the_run_itself_told(repo, tmp_path):
    journal = begun(lr=1)
    shutil.copytree(repo, tmp_path / "other")
    with Repository.find() as here:
        here.finish(journal, Ending(Status.COMPLETED, datetime.now().astimezone()))
    shutil.rmtree(tmp_path / "other/.git/gitparams")
    with Repository.find(tmp_path / "other") as there:
        assert there.closing.lose(journal.id).status is Status.LOST
    git("fetch", "-q", str(tmp_path / "other"), f"{REF}:refs/other")
    with Repository.find() as here:
        here.git.move_ref(REF, here.ledger.join(here.ledger.tip(), here.git.ref("refs/other")), here.ledger.tip())
    (run,) = runs()
    assert run["status"] == "completed" and run["finished"] is not None


def test_a_lost_run_is_found_by_its_status_and_is_what_doctor_is_told(repo, monkeypatch):
    journal = disguised(begun(lr=1))
    dead(journal)
    shutil.rmtree(journal.folder)
    monkeypatch.setattr(presence, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr("gitparams.closing.GRACE_SECONDS", 0.0)
    with Repository.find() as repository:
        assert [run.id for run in repository.runs(Filter(where=repository.query("status == 'lost'")))] == [journal.id]
        assert [run.status for run in repository.closing.lost()] == ["running"]
        assert repository.tag(RunId(journal.id), ["x"]).status == "running"
        assert [run.status for run in repository.runs()] == ["running"]


def test_where_the_file_system_has_no_locks_the_process_tells_whether_a_run_lives(repo, monkeypatch):
    from gitparams import lockfile

    def no_locks(descriptor):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(lockfile, "_take", no_locks)
    journal = begun(lr=1)
    assert Journal(journal.folder).alive() and statuses() == {journal.id: "running"}
    gone = subprocess.run([PY, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    there = presence.this_process()
    disguised(journal, host=presence.host(), **{**there, "pid": int(gone.stdout)})
    assert not Journal(journal.folder).alive() and statuses() == {journal.id: "crashed"}


def test_asking_who_goes_on_costs_nothing_when_nobody_does(repo):
    gitparams("record", "-p", "lr=1")
    with Repository.find() as repository:
        plan = repository.index.connection.execute("EXPLAIN QUERY PLAN SELECT id FROM runs AS r WHERE r.status = 'running'")
        assert "runs_running" in plan.fetchone()[3]
        assert isinstance(repository.index, Index) and repository.index.going() == []
