"""Rights: what several users of one repository may do to each other's files, as git's own files there have it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_READ, _WRITE = 0o044, 0o022
_TRIES = 5


def make_folder(path: Path, common_dir: Path) -> None:
    """Make a folder; where a repository is shared it has its rights from the first moment that it is there.

    Raises:
        OSError: it cannot be made.
    """
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _is_shared(common_dir):
        path.mkdir(exist_ok=True)
        return
    for _ in range(_TRIES - 1):
        try:
            _make_shared(path, common_dir)
            return
        except FileNotFoundError:
            pass  # another took the place of the folder above at this moment
    _make_shared(path, common_dir)


def _is_shared(common_dir: Path) -> bool:
    try:
        return bool((common_dir / "objects").stat().st_mode & _WRITE)
    except OSError:
        return False


def _make_shared(path: Path, common_dir: Path) -> None:
    ready = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    ready.mkdir()
    share(ready, common_dir)
    try:
        ready.rename(path)  # takes the place of an empty one
    except OSError:
        ready.rmdir()
        if not path.is_dir():
            raise


def share(path: Path, common_dir: Path) -> None:
    """Give a file or folder that we made the rights of group and others that git's objects have (``core.sharedRepository``).

    What the umask took away is given back where git gives it back; nothing is taken away. A file of somebody else stays as
    it is.
    """
    try:
        pattern, own = (common_dir / "objects").stat().st_mode, path.stat().st_mode
        if not pattern & _WRITE:
            return
        wanted = own | (pattern & (_READ | _WRITE))
        if stat.S_ISDIR(own):
            wanted |= pattern & (stat.S_ISGID | 0o011)
        if wanted != own:
            path.chmod(stat.S_IMODE(wanted))
    except OSError:
        pass
