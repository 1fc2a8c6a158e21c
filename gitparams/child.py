"""Child: a program run with its streams, signals and exit code passed through untouched, and its output overheard."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)
_ENDING = frozenset(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name))
_GROUP_SECONDS = 0.02  # how long a signal sent to the whole group may take to reach each of its processes
_DRAIN_SECONDS = 0.1  # for output still on its way when the program has ended but something keeps its stream open
_POLL_SECONDS = 0.05
_WAIT_SECONDS = 30.0
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a program ended.

    Attributes:
        exit_code: its own, or 128+n when signal n killed it.
        interrupted: whether a signal that asks to end came while it ran.
    """

    exit_code: int
    interrupted: bool


def run_child(
    command: Sequence[str],
    environment: Mapping[str, str],
    overhear: Callable[[bytes], None],
    *,
    asked: Callable[[int], None] = lambda number: None,
    tick: Callable[[], None] = lambda: None,
) -> ChildEnd:
    """Run a program to its end.

    Its standard input is ours. Its output goes to ours byte by byte; where ours is a terminal, it sees a terminal of the
    same size. A signal sent to us alone is passed on; one sent to the whole process group has reached it already.

    Args:
        command: the program and its arguments.
        environment: all of its environment variables.
        overhear: called with every piece of output, in order.
        asked: called, at any moment, with the number of a signal that asks to end: a scheduler gives some time after it, and
            then kills us both. The signal is passed on afterwards.
        tick: called again and again while the program runs.

    Raises:
        OSError: the program could not be started.
    """
    if sys.platform == "win32":
        done = subprocess.run(list(command), env=dict(environment), check=False)
        return ChildEnd(done.returncode, False)
    with contextlib.ExitStack() as cleanup:
        streams = _Streams()
        cleanup.callback(streams.close)
        process = subprocess.Popen(list(command), env=dict(environment), stdout=streams.theirs[1], stderr=streams.theirs[2])
        streams.close_theirs()
        signals = cleanup.enter_context(_passing_on(process, streams, asked))
        _relay(process, streams, overhear, tick)
        _wait(process, tick)
    code = process.returncode
    return ChildEnd(code if code >= 0 else 128 - code, bool(signals & _ENDING) or -code in _ENDING)


class _Streams:
    """The pipes or terminals between a program's output and ours; one for both where ours are one."""

    def __init__(self) -> None:
        self.theirs: dict[int, int] = {}
        self.ours: dict[int, int] = {}  # what we read from → the descriptor of ours that it goes to
        self.terminals: list[tuple[int, int]] = []
        for target in (1, 2):
            if target == 2 and _one_and_the_same(1, 2):
                self.theirs[2] = self.theirs[1]
                continue
            reading, writing = self._open(target)
            self.theirs[target] = writing
            self.ours[reading] = target

    def _open(self, target: int) -> tuple[int, int]:
        if not os.isatty(target):
            return os.pipe()
        import pty
        import termios

        reading, writing = pty.openpty()
        attributes = termios.tcgetattr(writing)
        attributes[1] &= ~termios.OPOST  # bytes as they are: our own terminal does what is to be done to them
        termios.tcsetattr(writing, termios.TCSANOW, attributes)
        self.terminals.append((reading, target))
        self.resize()
        return reading, writing

    def resize(self) -> None:
        """Give the program's terminal the size of ours."""
        import fcntl
        import termios

        for terminal, target in self.terminals:
            with contextlib.suppress(OSError):
                size = fcntl.ioctl(target, termios.TIOCGWINSZ, b"\0" * 8)
                fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)

    def close_theirs(self) -> None:
        for descriptor in set(self.theirs.values()):
            os.close(descriptor)
        self.theirs.clear()

    def close(self) -> None:
        self.close_theirs()
        for descriptor in list(self.ours):
            self.drop(descriptor)

    def drop(self, descriptor: int) -> None:
        del self.ours[descriptor]
        os.close(descriptor)


def _relay(
    process: subprocess.Popen[bytes], streams: _Streams, overhear: Callable[[bytes], None], tick: Callable[[], None]
) -> None:
    """Copy output until both streams are closed, or the program has ended and nothing more comes."""
    ended_at: float | None = None
    while streams.ours:
        tick()
        ready, _, _ = select.select(list(streams.ours), [], [], _POLL_SECONDS)
        for descriptor in ready:
            _copy(descriptor, streams, overhear)
        if ready or process.poll() is None:
            ended_at = None
        elif ended_at is None:
            ended_at = time.monotonic()
        elif time.monotonic() - ended_at > _DRAIN_SECONDS:
            return


def _wait(process: subprocess.Popen[bytes], tick: Callable[[], None]) -> None:
    """Wait for a program that has closed its streams."""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_WAIT_SECONDS)
            return
        tick()


def _copy(descriptor: int, streams: _Streams, overhear: Callable[[bytes], None]) -> None:
    try:
        data = os.read(descriptor, _CHUNK)
    except OSError:  # Linux says EIO where the other end of a terminal is closed
        data = b""
    if not data:
        streams.drop(descriptor)
        return
    overhear(data)
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(streams.ours[descriptor], view) :]
    except OSError:
        streams.drop(descriptor)  # nobody reads us: the program shall see its own output closed


@contextlib.contextmanager
def _passing_on(process: subprocess.Popen[bytes], streams: _Streams, asked: Callable[[int], None]) -> Iterator[set[int]]:
    """Pass on the signals that come to us alone; yield the set of those that came."""
    came: set[int] = set()
    watcher = _Watcher()

    def pass_on(number: int, frame: FrameType | None) -> None:
        came.add(number)
        if number in _ENDING:
            asked(number)
        if not watcher.was_hit() and process.poll() is None:
            process.send_signal(number)

    def resize(number: int, frame: FrameType | None) -> None:
        streams.resize()

    chosen = dict.fromkeys(_SIGNALS, pass_on) | {signal.SIGWINCH: resize}
    # What was ignored when we were started (nohup, a shell's background job) stays ignored, for the program too.
    before = {
        number: signal.signal(number, handler)
        for number, handler in chosen.items()
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        watcher.close()


class _Watcher:
    """A process that does nothing but share our process group: a signal that hits it was sent to the whole group."""

    def __init__(self) -> None:
        self.pid, self.line = 0, -1
        self._start()

    def _start(self) -> None:
        waiting, self.line = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            os.closerange(0, waiting)
            os.closerange(waiting + 1, 1024)
            os.read(waiting, 1)  # returns when our end closes, however we end
            os._exit(0)
        os.close(waiting)

    def was_hit(self) -> bool:
        """Tell whether a signal hit it; a new one takes its place."""
        time.sleep(_GROUP_SECONDS)
        pid, _ = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return False
        os.close(self.line)
        self._start()
        return True

    def close(self) -> None:
        os.close(self.line)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _one_and_the_same(left: int, right: int) -> bool:
    try:
        one, other = os.fstat(left), os.fstat(right)
    except OSError:
        return False
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
