"""A child program: its streams, signals and exit code pass through untouched."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

RUNNER = (
    "import os,sys\nfrom gitparams.child import run_child\nheard=[]\nend=run_child(sys.argv[1:], os.environ, heard.append)\n"
)
SAY = (
    RUNNER
    + "open('heard','wb').write(b''.join(heard))\nopen('end','w').write(f'{end.exit_code} {end.interrupted}')\nsys.exit(end.exit_code)"
)


def run(*command, **how):
    return subprocess.run([sys.executable, "-c", SAY, *command], capture_output=True, check=False, **how)


def started(*command, **how):
    return subprocess.Popen([sys.executable, "-c", SAY, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wait_for(stream, word):
    seen = b""
    while word not in seen:
        seen += os.read(stream.fileno(), 1000)
    return seen


def test_every_byte_of_both_streams_arrives_on_its_own_stream(folder):
    program = "import sys; d=bytes(range(256))*300; sys.stdout.buffer.write(d); sys.stderr.buffer.write(d[::-1])"
    done = run(sys.executable, "-c", program)
    data = bytes(range(256)) * 300
    assert (done.stdout, done.stderr) == (data, data[::-1])
    assert len((folder / "heard").read_bytes()) == 2 * len(data)


def test_standard_input_is_ours():
    assert run("cat", input=b"three\nlines\nof it").stdout == b"three\nlines\nof it"


def test_output_in_one_file_keeps_its_order():
    done = subprocess.run(
        [sys.executable, "-c", SAY, "sh", "-c", "for i in 1 2 3 4 5; do echo out$i; echo err$i >&2; done"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [f"{stream}{i}".encode() for i in range(1, 6) for stream in ("out", "err")]


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_is_the_programs(code):
    assert run("sh", "-c", f"exit {code}").returncode == code


def test_killed_by_signal_n_is_128_and_n(folder):
    assert run("sh", "-c", "kill -9 $$").returncode == 137
    assert (folder / "end").read_text() == "137 False"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_sent_to_us_alone_reaches_the_program_once(folder, number):
    program = f"import signal,time,sys\nc=[]\nsignal.signal({int(number)}, lambda *a: c.append(1))\nprint('ready',flush=True)\ntime.sleep(.7)\nprint(len(c))\nsys.exit(7)"
    process = started(sys.executable, "-c", program)
    wait_for(process.stdout, b"ready")
    process.send_signal(number)
    out, _ = process.communicate(timeout=10)
    assert (out.split()[-1], process.returncode) == (b"1", 7)
    assert (folder / "end").read_text() == f"7 {number != signal.SIGUSR1}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sent_to_the_whole_group_reaches_the_program_once(number):
    program = f"import signal,time,sys\nc=[]\nsignal.signal({int(number)}, lambda *a: c.append(1))\nprint('ready',flush=True)\ntime.sleep(.7)\nprint(len(c))"
    process = started(sys.executable, "-c", program, start_new_session=True)
    wait_for(process.stdout, b"ready")
    os.killpg(process.pid, number)
    out, _ = process.communicate(timeout=10)
    assert out.split()[-1] == b"1"


def test_what_was_ignored_when_we_were_started_stays_ignored():
    done = subprocess.run(
        ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", sys.executable, "-c", SAY, "sh", "-c", "kill -HUP $$; echo alive"],
        capture_output=True,
        check=False,
    )
    assert done.stdout == b"alive\n"


def test_a_reader_that_goes_away_ends_the_program_as_it_would_without_us():
    process = started("sh", "-c", "yes; echo $? >&2")
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(timeout=10) is not None
    process.stderr.close()


def test_a_background_process_that_keeps_the_stream_open_does_not_hold_us_up():
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SAY, "sh", "-c", "sleep 30 & echo done"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert done.stdout == b"done\n" and time.monotonic() - began < 10


def test_on_a_terminal_the_program_sees_a_terminal_of_the_same_size():
    script = "import os,sys; print(os.isatty(1), os.isatty(2), os.get_terminal_size(1).columns, 'a\\nb', sep='|')"
    pid, ours = pty.fork()
    if pid == 0:
        os.execv(
            sys.executable,
            [
                sys.executable,
                "-c",
                f"import fcntl,termios,struct; fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 30, 97, 0, 0))\nimport sys; sys.argv=['x', sys.executable, '-c', {script!r}]\n"
                + SAY,
            ],
        )
    seen = b""
    while True:
        ready, _, _ = select.select([ours], [], [], 10)
        try:
            data = os.read(ours, 1000) if ready else b""
        except OSError:
            data = b""
        if not data:
            break
        seen += data
    os.waitpid(pid, 0)
    os.close(ours)
    assert seen == b"True|True|97|a\r\nb\r\n"


def test_a_program_that_cannot_be_started_raises():
    from gitparams.child import run_child

    with pytest.raises(FileNotFoundError):
        run_child(["./no-such-program"], dict(os.environ), lambda data: None)
