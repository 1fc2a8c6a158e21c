"""The files that a run read, by the digests of what they held.

The digest of a file is the SHA-256 of its bytes. That of a folder is the SHA-256 of a list: for every file below it, in the
order of their names relative to the folder (as bytes, ``/`` between folders), the name, a NUL, the digest of the file as it
is shown, and a newline. Links are followed, unless to a folder that they are in; ``.git`` and what is neither file nor
folder is left out; empty folders do not count.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitparams.errors import ParamsFileError, UsageError

_CHUNK = 1 << 20
_RACY_NS = 2_000_000_000

_Identity = list[int]
"""What changes when a file does: its size, its time in nanoseconds, its inode."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file to be hashed: its name below the input ("" when it is the input), its place, and how it looked."""

    name: str
    path: Path
    identity: _Identity

    @property
    def size(self) -> int:
        return self.identity[0]


@dataclass(frozen=True, slots=True)
class _Input:
    """One file or folder that was named, how it is shown, and the files it stands for with the digests known of them."""

    shown: str
    path: Path
    is_folder: bool
    files: tuple[_File, ...]
    known: dict[str, str]

    @property
    def unknown(self) -> list[_File]:
        return [file for file in self.files if file.name not in self.known]


def digest_files(
    words: Sequence[str],
    top: Path,
    remembered: Callable[[str], str | None],
    remember: Callable[[str, str], None],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, str]:
    """Return the digest of each input: ``{"data/train.csv": "sha256:…"}``.

    A digest is remembered as long as size, time and inode of the file stay; not when the file changed within the last two
    seconds, since it may change again without its time telling.

    Args:
        words: files, folders or globs, relative to `top` or absolute; a glob stands for each file and folder that it
            matches, and one with ``**`` for files only.
        top: the folder that names are relative to, here and in what is returned.
        remembered: gives the text kept under a key, or None.
        remember: keeps a text under a key.
        progress: told the bytes hashed and the bytes to hash, after each megabyte; not called when all is remembered.

    Returns:
        dict: in the order of the words; inside `top` a name is relative to it with ``/``, else absolute.

    Raises:
        UsageError: a word matches nothing.
        ParamsFileError: a file or folder cannot be read.
    """
    places = dict.fromkeys(place for word in words for place in _places(word, top))
    inputs = [_input(path, _shown(path, top), remembered) for path in places]
    count = _Count(sum(file.size for one in inputs for file in one.unknown), progress)
    return {one.shown: _digest(one, remember, count) for one in inputs}


class _Count:
    """How many bytes are hashed, and who wants to know."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def add(self, size: int) -> None:
        # a file that grows meanwhile does not make it more than all
        self.done = min(self.done + size, self.total)
        if self.progress:
            self.progress(self.done, self.total)


# -- what was named -----------------------------------------------------------------------------------------------------------


def _places(word: str, top: Path) -> list[Path]:
    path = _normal(top / os.path.expanduser(word))  # noqa: PTH111 - ~nobody stays as it is, and is not found
    if word and os.path.lexists(path):
        return [path]
    if not glob.has_magic(word):
        raise UsageError(f"The input {word!r} does not exist.", hint="--input data/train.csv, a folder, or 'data/*.csv'")
    found = [_normal(Path(name)) for name in sorted(glob.glob(_pattern(word, top), recursive=True))]  # noqa: PTH207
    if "**" in word:
        found = [path for path in found if path.is_file()]
    if not found:
        raise UsageError(f"The input {word!r} matches no file.", hint="--input data/train.csv, a folder, or 'data/*.csv'")
    return found


def _pattern(word: str, top: Path) -> str:
    word = os.path.expanduser(word)  # noqa: PTH111
    return word if os.path.isabs(word) else os.path.join(glob.escape(str(top)), word)  # noqa: PTH117, PTH118 - it is a pattern


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path.absolute()))


def _shown(path: Path, top: Path) -> str:
    for folder in (_normal(top), top.resolve()):
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return path.as_posix()


# -- what it holds ------------------------------------------------------------------------------------------------------------


def _input(path: Path, shown: str, remembered: Callable[[str], str | None]) -> _Input:
    try:
        status = path.stat()
        is_folder = stat.S_ISDIR(status.st_mode)
        if not is_folder and not stat.S_ISREG(status.st_mode):
            raise ParamsFileError(shown, "it is neither a file nor a folder, and has no digest.")
        files = tuple(_files_below(path, "", ()) if is_folder else [_File("", path, _identity(status))])
    except OSError as error:
        raise _unreadable(error, path, shown) from None
    kept = _kept(remembered(_key(path)))
    known = {file.name: kept[file.name][1] for file in files if file.name in kept and kept[file.name][0] == file.identity}
    return _Input(shown, path, is_folder, files, known)


def _files_below(folder: Path, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[_File]:
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != ".git":
                    yield from _files_below(Path(entry.path), f"{prefix}{entry.name}/", (*above, here))
                continue
            status = entry.stat()
            if stat.S_ISREG(status.st_mode):
                yield _File(prefix + entry.name, Path(entry.path), _identity(status))


def _identity(status: os.stat_result) -> _Identity:
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _key(path: Path) -> str:
    return f"digest {os.fsencode(path).decode('utf-8', 'backslashreplace')}"


def _kept(text: str | None) -> dict[str, Any]:
    try:
        kept = json.loads(text) if text else {}
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}


# -- digests ------------------------------------------------------------------------------------------------------------------


def _digest(one: _Input, remember: Callable[[str, str], None], count: _Count) -> str:
    digests = dict(one.known)
    settled = dict(one.known)
    try:
        for file in one.unknown:
            digests[file.name], is_settled = _hash(file, one, count)
            if is_settled:
                settled[file.name] = digests[file.name]
    finally:
        # also what was done of a large folder when it is interrupted
        if settled.keys() != one.known.keys():
            kept = {file.name: [file.identity, settled[file.name]] for file in one.files if file.name in settled}
            remember(_key(one.path), json.dumps(kept))
    return _digest_of_folder(digests) if one.is_folder else digests[""]


def _hash(file: _File, one: _Input, count: _Count) -> tuple[str, bool]:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(min(_CHUNK, max(file.size, 1))))
    try:
        with open(file.path, "rb", buffering=0) as source:
            while size := source.readinto(buffer):
                digest.update(buffer[:size])
                count.add(size)
            after = _identity(os.fstat(source.fileno()))
    except OSError as error:
        raise _unreadable(error, file.path, f"{one.shown}/{file.name}" if file.name else one.shown) from None
    is_settled = after == file.identity and time.time_ns() - file.identity[1] > _RACY_NS
    return f"sha256:{digest.hexdigest()}", is_settled


def _digest_of_folder(digests: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for name, of_file in sorted((os.fsencode(name), of_file) for name, of_file in digests.items()):
        digest.update(name + b"\0" + of_file.encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"


def _unreadable(error: OSError, path: Path, shown: str) -> ParamsFileError:
    inside = Path(str(error.filename or path))
    if inside != path and inside.is_relative_to(path):
        shown = f"{shown}/{inside.relative_to(path).as_posix()}"
    return ParamsFileError(shown, f"it cannot be read: {error.strerror}.", hint="an input is a file or folder that can be read")
