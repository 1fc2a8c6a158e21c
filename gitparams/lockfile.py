"""Lock files: the kernel's lock on a file, which ends with the process that holds it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import TracebackType

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class LockFile:
    """One lock, held by at most one process on this machine; never stale, for it dies with its holder.

    Args:
        path: the file; it is made, and stays.
        let_go_in_children: forked children let go of the lock, so that a data loader that outlives its parent does not
            make the parent look alive.
    """

    def __init__(self, path: Path, *, let_go_in_children: bool = False) -> None:
        self.path = path
        self._let_go_in_children = let_go_in_children
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def take(self, patience: float = 0.0) -> bool:
        """Take the lock, waiting up to `patience` seconds; return whether it is held now.

        Raises:
            OSError: the file cannot be opened, or the file system knows no locks.
        """
        close = getattr(os, "O_CLOEXEC", 0)
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | close, 0o666)
        except PermissionError:
            if not os.access(self.path.parent, os.W_OK):
                raise
            descriptor = os.open(self.path, os.O_RDONLY | close)  # another user's file, in a folder that we share
        until = time.monotonic() + patience
        pause = 0.001
        while not _taken(descriptor):
            if time.monotonic() >= until:
                os.close(descriptor)
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)
        self._descriptor = descriptor
        if self._let_go_in_children and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.release)  # closing the child's copy leaves the parent's lock as it is
        return True

    def is_free(self) -> bool:
        """Tell whether no process holds the lock; who may not write here may still ask.

        Raises:
            OSError: the file system knows no locks.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except FileNotFoundError:
            return True
        if not _taken(descriptor):
            os.close(descriptor)
            return False
        os.close(descriptor)
        return True

    def place(self) -> Path | None:
        """Return where the file is that this object holds, also after its folder was moved; None when it is gone or unknown."""
        if self._descriptor is None:
            return None
        try:
            path = Path(f"/proc/self/fd/{self._descriptor}").readlink()
            one, other = os.fstat(self._descriptor), path.stat()
        except OSError:
            return None
        return path if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino) else None

    def release(self) -> None:
        """Let go of the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> LockFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def _taken(descriptor: int) -> bool:
    try:
        _take(descriptor)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        os.close(descriptor)
        raise
    return True
