"""Programs killed at the n-th call by which they, or what they started, change anything: files, names, pipes, programs.

The kernel stops the whole family of processes at each such call (seccomp tells ptrace), before it is carried out. There, a
power cut kills all of them, or a person only the first one. Linux on x86-64 and ARM; elsewhere `supported` says no.
"""

import ctypes
import os
import platform
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from world import git

# The calls that change something; `open` is one when it may create or truncate.
_CALLS = {
    "x86_64": {
        1: "write", 18: "write", 20: "write", 296: "write", 82: "rename", 264: "rename", 316: "rename", 86: "link", 265: "link",
        87: "unlink", 263: "unlink", 84: "rmdir", 83: "mkdir", 258: "mkdir", 74: "fsync", 75: "fsync", 77: "truncate", 59: "exec",
        88: "symlink", 266: "symlink", 2: "open", 257: "open",
    },
    "aarch64": {
        64: "write", 68: "write", 66: "write", 70: "write", 38: "rename", 276: "rename", 37: "link", 35: "unlink", 34: "mkdir",
        82: "fsync", 83: "fsync", 46: "truncate", 221: "exec", 36: "symlink", 56: "open",
    },
}.get(platform.machine(), {})  # fmt: skip
_FLAGS_AT = {2: 1}  # the argument of `open` that holds the flags; the third elsewhere
_CREATES = os.O_CREAT | os.O_TRUNC
_TRACEME, _CONT, _SETOPTIONS, _GETEVENTMSG, _SYSCALL_INFO = 0, 7, 0x4200, 0x4201, 0x420E
_FORK, _VFORK, _CLONE, _EXEC, _SECCOMP = 1, 2, 3, 4, 7
_OPTIONS = 1 << _FORK | 1 << _VFORK | 1 << _CLONE | 1 << _EXEC | 1 << _SECCOMP | 0x100000  # none outlives the tracer
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _SUBREAPER, _WALL = 38, 22, 36, 0x40000000

if sys.platform == "linux":
    _libc = ctypes.CDLL(None, use_errno=True)
    _libc.ptrace.restype = ctypes.c_long
    _libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class _Rule(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("value", ctypes.c_uint)]


class _Rules(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("rules", ctypes.POINTER(_Rule))]


class _Call(ctypes.Structure):
    _fields_ = [
        ("op", ctypes.c_ubyte), ("arch", ctypes.c_uint), ("ip", ctypes.c_ulong), ("sp", ctypes.c_ulong),
        ("number", ctypes.c_ulong), ("words", ctypes.c_ulong * 6), ("data", ctypes.c_uint),
    ]  # fmt: skip


@dataclass
class Traced:
    """What a program did before it ended or was killed: its exit code (-9: killed), output, and the calls in order."""

    code: int
    out: str
    err: str
    calls: list


def supported():
    """Tell whether programs can be stopped here."""
    if sys.platform != "linux" or not _CALLS:
        return False
    with tempfile.TemporaryDirectory() as scratch:
        try:
            return bool(trace(["true"], "/", Path(scratch)).calls)
        except OSError:
            return False


def trace(words, cwd, scratch, *, kill_at=None, only_first=False):
    """Run a program to its end, or until the call of the number `kill_at`, which is not carried out.

    Args:
        words: the program and its arguments.
        cwd: where it starts.
        scratch: a folder for its output.
        only_first: kill the program and not what it started.
    """
    _libc.prctl(_SUBREAPER, 1)
    outputs = [scratch / "out", scratch / "err"]
    pid = os.fork()
    if pid == 0:
        _become(words, cwd, outputs)
    try:
        code, calls = _follow(pid, kill_at, only_first)
    finally:
        _libc.prctl(_SUBREAPER, 0)
    return Traced(code, *(path.read_text() for path in outputs), calls)


def _become(words, cwd, outputs):
    try:
        for number, path in enumerate(outputs, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(cwd)
        program = shutil.which(words[0])
        path = os.pathsep.join([str(Path(shutil.which("git")).parent), os.environ["PATH"]])  # few vain calls of exec
        environment = {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        if _libc.ptrace(_TRACEME, 0, None, None):
            os._exit(125)
        os.kill(os.getpid(), signal.SIGSTOP)
        _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        rules = _filter()
        _libc.prctl(_SET_SECCOMP, 2, ctypes.byref(_Rules(len(rules), rules)))
        os.execve(program, [str(word) for word in words], environment)
    finally:
        os._exit(126)


def _filter():
    """Return the kernel's rules: stop at each of the calls, go on at all others."""
    load, equal, has, answer = 0x20, 0x15, 0x45, 0x06
    rules = [(load, 0, 0, 0)]
    for number, name in _CALLS.items():
        if name == "open":
            flags = 16 + 8 * _FLAGS_AT.get(number, 2)
            rules += [(equal, 0, 4, number), (load, 0, 0, flags), (has, 1, 0, _CREATES), (answer, 0, 0, 0x7FFF0000)]
            rules += [(answer, 0, 0, 0x7FF00000)]
        else:
            rules += [(equal, 0, 1, number), (answer, 0, 0, 0x7FF00000)]
    rules.append((answer, 0, 0, 0x7FFF0000))
    return (_Rule * len(rules))(*(_Rule(*rule) for rule in rules))


def _follow(first, kill_at, only_first):
    _, status = os.waitpid(first, 0)
    if not os.WIFSTOPPED(status):
        raise OSError("ptrace is not allowed here")
    _libc.ptrace(_SETOPTIONS, first, None, _OPTIONS)
    _libc.ptrace(_CONT, first, None, None)
    family, calls, code, killed = {first}, [], None, False
    while family:
        pid, status = os.waitpid(-1, _WALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            family.discard(pid)
            code = os.waitstatus_to_exitcode(status) if pid == first else code
            continue
        family.add(pid)
        event, number = status >> 16, os.WSTOPSIG(status)
        if event in (_FORK, _VFORK, _CLONE):
            family.add(_message(pid))
        if event == _SECCOMP and not killed:
            calls.append(_name(pid))
            killed = len(calls) - 1 == kill_at
            if killed:
                for victim in [first] if only_first else sorted(family):
                    _kill(victim)
        if killed and not only_first:
            _kill(pid)  # one that was born meanwhile
        passed_on = 0 if event or number in (signal.SIGTRAP, signal.SIGSTOP) else number
        _libc.ptrace(_CONT, pid, None, passed_on)
    _bury()
    return code, calls


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _bury():
    """Wait for those whose parent died before them: they are ours now."""
    try:
        while os.waitpid(-1, os.WNOHANG | _WALL)[0]:
            pass
    except ChildProcessError:
        pass


def _message(pid):
    found = ctypes.c_ulong()
    _libc.ptrace(_GETEVENTMSG, pid, None, ctypes.byref(found))
    return found.value


def _name(pid):
    call = _Call()
    _libc.ptrace(_SYSCALL_INFO, pid, ctypes.sizeof(call), ctypes.byref(call))
    name = _CALLS.get(call.number, "?")
    if name in ("write", "fsync", "truncate"):
        try:
            return f"{name} {os.readlink(f'/proc/{pid}/fd/{call.words[0]}')}"
        except OSError:
            return name
    return name


class Sweep:
    """One command killed at every one of its calls, each time in a fresh copy of a repository.

    Args:
        seed: the repository to copy; what a copy is checked with comes after each kill.
        words: the command.
        scratch: a folder for copies.
    """

    def __init__(self, seed, words, scratch):
        self.seed, self.words, self.scratch = Path(seed), words, Path(scratch)

    def faults(self, check, *, every=1, only_first=False):
        """Kill the command at every call, or every so many, and return what is wrong afterwards, a line each.

        Args:
            check: gets the repository and what was `Traced`; returns sentences about what is wrong.
            every: how many calls apart; the first ones of all commands differ, so that several commands try several places.
            only_first: kill the program and not what it started.
        """
        calls = len(self._run(None, only_first)[1].calls)
        first = len(self.words[3]) % every
        return [fault for number in range(first, calls, every) for fault in self._killed(number, check, only_first)]

    def _killed(self, number, check, only_first):
        folder, traced = self._run(number, only_first)
        try:
            return [f"{number} {traced.calls[-1]}: {fault}" for fault in [*_unsound(folder), *check(folder, traced)]]
        finally:
            shutil.rmtree(folder.parent)

    def _run(self, number, only_first):
        place = self.scratch / f"kill-{number}-{only_first}"
        shutil.copytree(self.seed, place / "repo", symlinks=True)
        traced = trace(self.words, place / "repo", place, kill_at=number, only_first=only_first)
        if number is None:
            shutil.rmtree(place)
        return place / "repo", traced


def _unsound(folder):
    """Return what git finds wrong with a repository."""
    said = git("fsck", "--strict", "--no-dangling", "--no-progress", cwd=folder, check=False)
    return said.splitlines()
