"""The journal: what was logged survives any death, and the next command closes the run."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from world import git, gitparams

from gitparams.journal import Journal, last_values
from gitparams.ledger import REF
from gitparams.model import Status
from gitparams.repository import Repository

TRAIN = """
import gitparams, os, sys, time
run = gitparams.start({"lr": 0.1}, name="victim")
for step in range(5):
    run.log(loss=1 / (step + 1), step=step)
run.summary["acc"] = 0.5
run.tag("kept")
print("ready", flush=True)
"""


def victim(ending):
    process = subprocess.Popen([sys.executable, "-c", TRAIN + ending], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return process


def ended(process, timeout=30):
    process.wait(timeout)
    errors = process.stderr.read().decode()
    process.stdout.close()
    process.stderr.close()
    return errors


def only_run():
    with Repository.find() as repository:
        (run,) = repository.runs()
        return run, repository.details(run), list(repository.notes)


def test_a_killed_run_is_closed_as_crashed_with_everything_it_logged(repo):
    process = victim("time.sleep(60)")
    assert json.loads(gitparams("log", "--json").out)[0]["status"] == "running"
    process.kill()
    ended(process)
    run, details, notes = only_run()
    assert (run.status, run.metrics, run.tags) == (Status.CRASHED, {"loss": 0.2, "acc": 0.5}, ("kept",))
    assert [json.loads(line)["step"] for line in details.series.splitlines()] == [0, 1, 2, 3, 4]
    assert notes == [f"Run {run.short_id} was found dead and closed as crashed."]
    assert not list((repo / ".git/gitparams/live").iterdir())


def test_a_run_that_a_signal_ended_is_interrupted(repo):
    process = victim("time.sleep(60)")
    process.terminate()
    ended(process)
    assert process.returncode == -signal.SIGTERM
    run, _, notes = only_run()
    assert (run.status, run.exit_code, notes) == (Status.INTERRUPTED, 143, [])


def test_a_program_that_handles_sigterm_itself_keeps_its_handler(repo):
    program = "import signal,gitparams\nsignal.signal(signal.SIGTERM, lambda *a: print('mine'))\ngitparams.start({'lr': 1})\nsignal.raise_signal(signal.SIGTERM)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "mine\n"


@pytest.mark.parametrize(
    ("ending", "status", "code"),
    [
        ("run.finish()", Status.COMPLETED, None),
        ("pass", Status.COMPLETED, None),
        ("raise ValueError('oh')", Status.FAILED, None),
        ("with run: raise ValueError('oh')", Status.FAILED, 1),
        ("with run: raise KeyboardInterrupt", Status.INTERRUPTED, 130),
        ("with run: sys.exit(3)", Status.FAILED, 3),
        ("with run: sys.exit(0)", Status.COMPLETED, 0),
        ("run.finish('pruned')", Status.PRUNED, None),
    ],
)
def test_how_a_program_ends_is_how_its_run_ends(repo, ending, status, code):
    ended(victim(ending))
    run, _, _ = only_run()
    assert (run.status, run.exit_code) == (status, code)


def test_a_live_run_is_told_from_a_dead_one_by_its_lock_alone(repo):
    process = victim("time.sleep(60)")
    folder = next((repo / ".git/gitparams/live").iterdir())
    assert Journal(folder).alive()
    process.kill()
    ended(process)
    assert not Journal(folder).alive()


def test_a_forked_worker_that_outlives_the_program_does_not_make_it_look_alive(repo):
    process = victim(
        "pid = os.fork()\nif pid == 0:\n  os.close(1); os.close(2); time.sleep(5); os._exit(0)\nos.kill(os.getpid(), 9)"
    )
    ended(process)
    run, _, _ = only_run()
    assert run.status is Status.CRASHED


def test_a_forked_worker_records_nothing_and_ends_nothing(repo):
    ended(
        victim(
            "pid = os.fork()\nif pid == 0:\n  run.log(loss=99); run.finish('failed'); os._exit(0)\nos.waitpid(pid, 0); run.finish()"
        )
    )
    run, _, _ = only_run()
    assert (run.status, run.metrics["loss"]) == (Status.COMPLETED, 0.2)


def test_two_commands_at_once_close_a_dead_run_once(repo):
    process = victim("time.sleep(60)")
    process.kill()
    ended(process)
    readers = [subprocess.Popen([sys.executable, "-m", "gitparams", "log"], stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [reader.wait() for reader in readers] == [0] * 4
    assert git("log", "--format=%(trailers:key=Run-Event,valueonly)", REF).split() == ["finish", "start"]


def test_a_line_that_was_cut_is_left_out_and_the_rest_kept(repo):
    process = victim("time.sleep(60)")
    process.kill()
    ended(process)
    series = next((repo / ".git/gitparams/live").iterdir()) / "series.jsonl"
    series.write_bytes(series.read_bytes() + b'{"step": 5, "lo')
    assert only_run()[0].metrics["loss"] == 0.2


def test_a_journal_that_cannot_be_read_is_shown_by_doctor_and_hides_nothing(repo):
    folder = repo / ".git/gitparams/live/kkkkllllmmmmnnnn"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{")
    assert gitparams("log").code == 0
    found = gitparams("doctor")
    assert found.code == 1 and "run.json cannot be read" in found.out


def test_what_a_person_said_during_the_run_is_kept_by_its_finish(repo):
    words = [sys.executable, "-c", TRAIN + "sys.stdin.read(); run.finish()"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    gitparams("note", "latest", "looks good")
    gitparams("tag", "latest", "mine")
    gitparams("rename", "latest", "renamed")
    process.stdin.close()
    ended(process)
    run, _, _ = only_run()
    assert (run.status, run.name, run.note, run.tags) == (Status.COMPLETED, "renamed", "looks good", ("kept", "mine"))


def test_without_a_repository_the_run_is_spooled_and_brought_in_later_with_its_own_times(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    process = victim("run.finish()")
    warning = ended(process)
    assert process.returncode == 0 and warning.count("\n") == 1 and "gitparams import spool" in warning
    time.sleep(0.1)
    git("init", "-q")
    done = gitparams("import", "spool")
    assert (done.code, len(done.out.split())) == (0, 1)
    run, details, _ = only_run()
    assert (run.status, run.metrics, run.name, run.cwd) == (Status.COMPLETED, {"loss": 0.2, "acc": 0.5}, "victim", ".")
    assert (run.finished - run.started).total_seconds() < 30 and details.series
    assert gitparams("import", "spool").out == ""


def test_a_run_whose_finish_could_not_be_written_is_brought_in_by_the_next_command(repo):
    block = repo / ".git/hooks/reference-transaction"
    program = (
        TRAIN
        + f"import pathlib\np = pathlib.Path({str(block)!r})\np.write_text('#!/bin/sh\\ntest $1 = committed\\n'); p.chmod(0o755)\nrun.finish()\nprint('after')"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert process.returncode == 0 and process.stdout.endswith("after\n")
    assert "the next gitparams command brings it in" in process.stderr
    block.unlink()
    run, _, _ = only_run()
    assert (run.status, run.metrics) == (Status.COMPLETED, {"loss": 0.2, "acc": 0.5})


def test_strict_turns_the_warning_into_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITPARAMS_STRICT", "1")
    done = subprocess.run(
        [sys.executable, "-c", "import gitparams; gitparams.start({})"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "RepositoryError" in done.stderr


def test_a_disk_that_refuses_lines_gets_them_with_the_next_one(tmp_path, monkeypatch, repo):
    from gitparams.model import Run, new_run_id, now

    run = Run(new_run_id(), Status.RUNNING, now())
    journal = Journal.create(tmp_path, run, {})
    journal.log(b'{"step":0,"time":1,"loss":1}\n')
    real = os.write

    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    journal.log(b'{"step":1,"time":2,"loss":2}\n')
    monkeypatch.setattr(os, "write", real)
    journal.log(b'{"step":2,"time":3,"loss":3}\n')
    journal.close()
    assert (tmp_path / run.id / "series.jsonl").read_text().count("\n") == 3


def test_a_full_disk_is_one_warning_and_the_training_goes_on(tmp_path):
    """A file system of 300 kB that the training fills up."""
    place = tmp_path / "small"
    place.mkdir()
    if (
        os.getuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", place], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a small file system can be mounted by root only")
    try:
        git("init", "-q", cwd=place)
        git("commit", "-q", "--allow-empty", "-m", "x", cwd=place)
        program = (
            "import gitparams, os\nrun = gitparams.start({'lr': 1})\nrun.log(loss=1.0)\n"
            "f = open('filler', 'wb')\n"
            "try:\n  while True: f.write(b'x' * 1000); f.flush()\nexcept OSError: pass\n"
            "for i in range(200): run.log(loss=float(i))\n"
            "run.finish(); print('trained')\n"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=place, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "trained\n")
        assert 1 <= done.stderr.count("gitparams:") <= 2 and "Traceback" not in done.stderr
        (place / "filler").unlink()
        with Repository.find(place) as repository:
            (run,) = repository.runs()
        assert run.status.finished
    finally:
        subprocess.run(["umount", place], check=True)


def test_only_rank_zero_records(repo, monkeypatch):
    program = "import gitparams\nwith gitparams.start({'lr': 1}) as run: run.log(loss=1); run.summary['a'] = 1; run.tag('x')\nprint(run.id)"
    monkeypatch.setenv("RANK", "1")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("None\n", "")
    assert git("for-each-ref", "refs/gitparams") == ""


def test_start_under_gitparams_run_joins_that_run(repo):
    (repo / "train.py").write_text(
        "import gitparams\nwith gitparams.start({'lr': 0.5, 'db': {'password': 'hunter2'}}, tags=['t']) as run:\n    run.log(loss=0.25)\n"
    )
    done = gitparams("run", "-p", "lr=0.1", "-p", "seed=3", "--", sys.executable, "train.py")
    assert (done.code, done.err) == (0, "")
    run, details, _ = only_run()
    assert run.params == {"lr": 0.5, "seed": 3, "db": {"password": "<redacted>"}}
    assert run.metrics == {"loss": 0.25}
    assert details.origins["lr"].overrode[0].value == 0.1


def test_the_last_values_of_a_series_are_its_summary():
    assert last_values(b'{"step":0,"time":1,"a":1}\nnot json\n{"step":1,"time":2,"b":2}\n') == {"a": 1, "b": 2}


def test_nan_and_infinity_are_logged_and_read_back(repo):
    program = "import gitparams\nwith gitparams.start({}) as run: run.log(loss=float('nan'), top=float('inf'))"
    subprocess.run([sys.executable, "-c", program], check=True)
    run, details, _ = only_run()
    assert str(run.metrics) == "{'loss': nan, 'top': inf}"
    json.loads(details.series, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_numpy_and_torch_scalars_are_numbers_and_what_is_none_is_left_out_with_one_warning(repo):
    program = (
        "import gitparams, numpy, torch\nwith gitparams.start({}) as run:\n"
        "  for i in range(3): run.log(a=numpy.float32(0.5), b=torch.tensor(2.0), c='text')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "gitparams: not a number, left out of the log: c\n"
    assert only_run()[0].metrics == {"a": 0.5, "b": 2.0}
