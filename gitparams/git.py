"""Git: the only module that talks to git, by its plumbing commands."""

from __future__ import annotations

import os
import re
import subprocess
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gitparams.errors import GitParamsError, LedgerError, RepositoryError
from gitparams.model import Oid

# git rev-parse --local-env-vars: set inside hooks, they would make us act on another repository or index.
_LOCAL_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE",
)  # fmt: skip
_UNPACK, _KEEP = ("unpack-objects", "-q"), ("index-pack", "--stdin", "--keep=gitparams")
_PACK_TYPES = {"commit": 1, "tree": 2, "blob": 3}
_SIGNING_PATIENCE = 60.0  # seconds; a signer that waits for a passphrase that nobody types must not hold a run up for ever
_SIGNATURE = re.compile(rb"^gpgsig(?:-sha256)? [^\n]*\n(?: [^\n]*\n)*", re.M)
_AUTHORED = re.compile(rb"^author (.*) <(.*)> (\d+) ([+-]\d{4})$", re.M)
MOST_BYTES = 256 << 20
"""Bytes of one object that are ever read. A bomb compresses a thousand to one, so its header is looked at first."""
TOO_LARGE = "too large"
"""The type of an object of which more than that would have to be read; its content is left out."""
# Of what is larger git reads a piece at a time, and so little when we stop it after the header.
_AFTER_A_FAULT = 1000  # names for one process: where git gave up at one of them, it will at others
_READ = ("-c", "core.bigFileThreshold=16m", "cat-file")
# What unpack-objects, index-pack and update-ref say when a gc beside them took a file away, or another holds a lock.
_PASSING = rb"(?i)No such file or directory|unable to create|cannot lock ref|unable to lock|File exists"
_RACE = rb"with nonexistent object|but expected|reference already exists|unable to resolve reference|is at [0-9a-f]+ but"

_LEFT_BEHIND_SECONDS = 60.0
_ID = re.compile(rb"[0-9a-f]+\n")


class RefMoved(LedgerError):
    """The ref is no longer where the caller saw it; nothing was written to it."""


@dataclass(frozen=True, slots=True)
class GitObject:
    """An object that is about to be written: its type, content and id."""

    kind: str
    data: bytes
    oid: Oid


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One line of a tree: the mode as git writes it (``100644``, ``40000``) and the id."""

    mode: str
    oid: Oid


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repository is.

    Attributes:
        git_dir: this work tree's git directory.
        common_dir: the directory shared by all work trees.
        top: the top of the work tree; None in a bare repository.
        prefix: the folder the caller stands in, relative to top, ``""`` or ending in ``/``.
        hash_name: ``sha1`` or ``sha256``.
    """

    git_dir: Path
    common_dir: Path
    top: Path | None
    prefix: str
    hash_name: str


def clean_environment() -> dict[str, str]:
    """Return the environment without the variables by which git hands a hook its repository."""
    environment = {key: value for key, value in os.environ.items() if key not in _LOCAL_VARIABLES}
    environment["GIT_NO_REPLACE_OBJECTS"] = "1"
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    environment["LC_ALL"] = "C"
    return environment


def find_place(start: Path | None = None) -> Place:
    """Return where the repository around a folder is.

    Raises:
        RepositoryError: there is none, git refuses to work in it, or git is not installed.
    """
    where = start or Path.cwd()
    answer = _rev_parse_place(where)
    if answer.returncode != 0 and b"dubious ownership" in answer.stderr:
        raise RepositoryError(
            f"Git does not trust {where}: it belongs to another user.",
            hint=f"git config --global --add safe.directory {_dubious_folder(answer.stderr) or where}",
        )
    # The last question, --show-toplevel, fails in a bare repository and inside .git after the others were answered.
    lines = answer.stdout.decode("utf-8", "surrogateescape").split("\n")
    if len(lines) < 7:
        raise RepositoryError(f"{where} is not in a git repository.", hint="git init")
    git_dir = Path(lines[1])
    common_dir = (where / lines[2]).resolve()
    inside = lines[5] == "true"
    top = Path(lines[6]) if answer.returncode == 0 and inside and len(lines) > 6 and lines[6] else None
    return Place(git_dir, common_dir, top, lines[4] if top else "", lines[3])


def _rev_parse_place(where: Path) -> subprocess.CompletedProcess[bytes]:
    questions = (
        "--is-bare-repository", "--absolute-git-dir", "--git-common-dir", "--show-object-format",
        "--show-prefix", "--is-inside-work-tree", "--show-toplevel",
    )  # fmt: skip
    try:
        return subprocess.run(
            ["git", "rev-parse", *questions], cwd=where, capture_output=True, env={**os.environ, "LC_ALL": "C"}, check=False
        )
    except FileNotFoundError:
        if not where.exists():
            raise RepositoryError(f"{where} does not exist.") from None
        raise RepositoryError("Git is not installed, or not on the PATH.", hint="https://git-scm.com/downloads") from None
    except NotADirectoryError:
        raise RepositoryError(f"{where} is not a folder.") from None


def _dubious_folder(stderr: bytes) -> str | None:
    match = re.search(rb"safe\.directory (.+)", stderr)
    return match[1].decode("utf-8", "surrogateescape").strip() if match else None


class Git:
    """One repository, worked on by git's own plumbing processes.

    Used with ``with``: it keeps one ``cat-file --batch`` and one ``update-ref --stdin`` alive between calls.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.environment = clean_environment()
        self.zero = Oid("0" * (64 if place.hash_name == "sha256" else 40))
        self._reader: _Reader | None = None
        self._mover: _Mover | None = None
        self._writer: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    @classmethod
    def find(cls, start: Path | None = None) -> Git:
        """Return the repository around a folder. Raises `RepositoryError` when there is none."""
        return cls(find_place(start))

    def __enter__(self) -> Git:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes that were kept alive."""
        self._own()
        for process in (self._reader, self._mover):
            if process is not None:
                process.close()
        if self._writer is not None:
            _end(self._writer)
        self._reader = self._mover = self._writer = None

    def _own(self) -> None:
        """Forget the processes of a parent that forked us: its pipes are not ours to talk on."""
        if self._owner != os.getpid():
            self._owner = os.getpid()
            self._reader = self._mover = self._writer = None

    # -- processes ----------------------------------------------------------------------------------------------------

    def run(
        self, *args: str, stdin: bytes | None = None, variables: Mapping[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one git command on this repository and return what it printed.

        Raises:
            GitParamsError: it failed (when `check`); the message is git's own.
        """
        done = subprocess.run(
            self.command(*args),
            input=stdin if stdin is not None else b"",
            capture_output=True,
            cwd=self.place.top or self.place.git_dir,
            env={**self.environment, **variables} if variables else self.environment,
            check=False,
        )
        if check and done.returncode != 0:
            raise GitParamsError(f"git {args[0]} failed: {said(done.stderr)}")
        return done

    def text(self, *args: str, check: bool = True) -> str:
        """Run one git command and return its output as text, without the final newline."""
        return self.run(*args, check=check).stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def porcelain(self, *words: str) -> str | None:
        """Run a command of people's own git (remotes, configuration) through GitPython; None when git said no.

        These are rare and may take their time; what is on the way of a run or a list goes through `run`.
        """
        import git

        repository = git.Repo(self.place.git_dir)
        try:
            return str(repository.git.execute(["git", *words], env=self.environment))
        except git.GitCommandError:
            return None
        finally:
            repository.close()

    def lines(self, *args: str, stdin: Iterable[str] = ()) -> Iterator[str]:
        """Run one git command and yield its output line by line as it comes."""
        with self.open(*args) as process:
            feeder = _Feeder(process, "".join(f"{line}\n" for line in stdin).encode())
            assert process.stdout is not None
            for line in process.stdout:
                yield line.decode("utf-8", "surrogateescape").rstrip("\n")
            feeder.join()
        if process.returncode != 0:
            raise GitParamsError(f"git {args[0]} failed.")

    def open(self, *args: str, answers: int = subprocess.PIPE, errors: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start one git command with pipes for its input and output."""
        return subprocess.Popen(
            self.command(*args),
            stdin=subprocess.PIPE,
            stdout=answers,
            stderr=errors,
            cwd=self.place.top or self.place.git_dir,
            env=self.environment,
        )

    def command(self, *args: str) -> list[str]:
        """Return the words that run git on this repository whatever the present folder is."""
        place = ["git", f"--git-dir={self.place.git_dir}"]
        return [*place, f"--work-tree={self.place.top}", *args] if self.place.top else [*place, *args]

    def beside(self, folder: Path) -> Git:
        """Return a new bare repository in an empty folder that reads the objects of this one and keeps its own to itself.

        Raises:
            GitParamsError: git could not make it.
        """
        other = Git(Place(folder, folder, None, "", self.place.hash_name))
        other.run("init", "--quiet", "--bare", "--template=", f"--object-format={self.place.hash_name}")
        (folder / "objects" / "info").mkdir(exist_ok=True)
        (folder / "objects" / "info" / "alternates").write_bytes(os.fsencode(self.place.common_dir / "objects") + b"\n")
        return other

    # -- reading ------------------------------------------------------------------------------------------------------

    def read(self, name: str, most: int = MOST_BYTES) -> tuple[Oid, str, bytes] | None:
        """Return id, type and content of the object that a name (an id, a ref, ``REV:path``) stands for, or None.

        One of more than `most` bytes is `TOO_LARGE` and without content.
        """
        self._own()
        if self._reader is None:
            self._reader = _Reader(self.open(*_READ, "--batch"))
        found = self._reader.ask(name, most)
        if found is not None and found[1] == TOO_LARGE:
            self._reader.end()  # with all that it still has to say
            self._reader = None
        return found

    def ref(self, name: str) -> Oid | None:
        """Return what a ref points to, or None when it is not there.

        Most are a file that holds an id (gitrepository-layout, refs): it is read as git would read it first, and starts no git.
        """
        try:
            text = (self.place.common_dir / name).read_bytes() if name.startswith("refs/gitparams/") else b""
        except OSError:
            text = b""
        if len(text) == len(self.zero) + 1 and _ID.fullmatch(text):
            return Oid(text[:-1].decode())
        found = self.read(name)
        return found[0] if found else None

    def read_many(self, names: Iterable[str], most: int = MOST_BYTES) -> Iterator[tuple[str, str, bytes] | None]:
        """Yield (id, type, content) for each name in order, None for one that is missing; one process for all.

        Of more than `most` bytes as in `read`; after the first such object the sizes of the others are asked beforehand.
        A name at which git gives up, since a tree on the way is none, counts as missing.
        """
        waiting = list(names)
        at_once, read = len(waiting), self._read_until_large
        while waiting:
            asked, answered, large = waiting[:at_once], 0, False
            for found in read(asked, most):
                answered += 1
                large = found is not None and found[1] == TOO_LARGE
                yield found
            if answered < len(asked) and large and read == self._read_until_large:
                read = self._read_fitting
            elif answered < len(asked):
                yield None
                answered, at_once = answered + 1, _AFTER_A_FAULT
            waiting = waiting[answered:]

    def _read_until_large(self, names: Sequence[str], most: int) -> Iterator[tuple[str, str, bytes] | None]:
        with self.open(*_READ, "--batch", "--buffer") as process:
            feeder = _Feeder(process, _lines_of(names))
            assert process.stdout is not None
            while header := process.stdout.readline():
                found = _read_object(header, process.stdout, most)
                if found is not None and found[1] == TOO_LARGE:
                    process.kill()  # with all that it still has to say
                    feeder.join()
                    feeder.discard()
                    yield found
                    return
                yield found
            feeder.join()

    def _read_fitting(self, names: Sequence[str], most: int) -> Iterator[tuple[str, str, bytes] | None]:
        with self.open(*_READ, "--batch-check", "--buffer") as process:
            feeder = _Feeder(process, _lines_of(names))
            assert process.stdout is not None
            headers = [_header(line) for line in process.stdout]
            feeder.join()
        fitting = [head[0] for head in headers if head is not None and head[2] <= most]
        contents = self._read_until_large(fitting, most)
        for head in headers:
            if head is None:
                yield None
            else:
                yield (head[0], TOO_LARGE, b"") if head[2] > most else next(contents, None)

    def tree(self, oid: Oid) -> dict[str, TreeEntry]:
        """Return the entries of one tree object by name; empty when it is missing."""
        found = self.read(oid)
        return parse_tree(found[2], self.zero) if found and found[1] == "tree" else {}

    def commit_of(self, revision: str) -> Oid | None:
        """Return the commit a revision means, or None."""
        if revision.startswith("-"):
            return None
        done = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", check=False)
        oid = done.stdout.decode().strip()
        return Oid(oid) if done.returncode == 0 and oid else None

    def flag(self, name: str) -> bool:
        """Return whether a setting of git's is true."""
        return self.run("config", "--type=bool", "--get", name, check=False).stdout.strip() == b"true"

    def identity(self) -> str:
        """Return ``Name <email>`` of the person git takes for the author, or user@host where git knows nobody."""
        done = self.run("var", "GIT_AUTHOR_IDENT", check=False)
        found = re.match(r"(.*<[^<>]*>) \d+ [+-]\d{4}$", done.stdout.decode("utf-8", "replace").strip())
        if done.returncode == 0 and found:
            return found[1]
        import getpass
        import platform

        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # a container may run as a user id that has no name
            user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
        return f"{user} <{user}@{platform.node() or 'localhost'}>"

    # -- writing ------------------------------------------------------------------------------------------------------

    def object(self, kind: str, data: bytes) -> GitObject:
        """Return an object with its id, not yet written."""
        import hashlib  # a reader writes nothing, and this is a tenth of its start

        digest = hashlib.new(self.place.hash_name, b"%s %d\0" % (kind.encode(), len(data)))
        digest.update(data)
        return GitObject(kind, data, Oid(digest.hexdigest()))

    def tree_object(self, entries: Mapping[str, TreeEntry]) -> GitObject:
        """Return the tree object of some entries, sorted as git sorts them."""
        named = [(name.encode("utf-8", "surrogateescape"), entry) for name, entry in entries.items()]
        ordered = sorted(named, key=lambda item: item[0] + b"/" if item[1].mode == "40000" else item[0])
        data = b"".join(b"%s %s\0" % (entry.mode.encode(), name) + bytes.fromhex(entry.oid) for name, entry in ordered)
        return self.object("tree", data)

    def pack(self, objects: Sequence[GitObject]) -> bytes:
        """Return the objects as one pack stream (gitformat-pack: header, undeltified objects, checksum)."""
        parts = [b"PACK" + (2).to_bytes(4, "big") + len(objects).to_bytes(4, "big")]
        for item in objects:
            parts.append(_pack_header(_PACK_TYPES[item.kind], len(item.data)))
            parts.append(zlib.compress(item.data, 1))
        import hashlib

        body = b"".join(parts)
        return body + hashlib.new(self.place.hash_name, body).digest()

    def signed(self, commit: GitObject) -> GitObject:
        """Return a commit with the signature that git makes of it, by the key and the program that git's settings name.

        Nobody is asked for a passphrase on the terminal of a program that trains: the key has none, or an agent holds it.

        Args:
            commit: unsigned; its tree is in the repository.

        Raises:
            LedgerError: git could not sign it.
        """
        head, _, text = commit.data.partition(b"\n\n")
        who = _AUTHORED.search(head)
        assert who is not None
        name, email, seconds, offset = (part.decode("utf-8", "surrogateescape") for part in who.groups())
        variables = {f"GIT_{role}_NAME": name for role in ("AUTHOR", "COMMITTER")}
        variables |= {f"GIT_{role}_EMAIL": email for role in ("AUTHOR", "COMMITTER")}
        variables |= {f"GIT_{role}_DATE": f"@{seconds} {offset}" for role in ("AUTHOR", "COMMITTER")}
        tree, *parents = re.findall(r"^(?:tree|parent) ([0-9a-f]+)$", head.decode("utf-8", "replace"), re.M)
        words = ["commit-tree", "-S", *(word for parent in parents for word in ("-p", parent)), tree]
        try:
            done = subprocess.run(
                self.command(*_DURABLE, "-c", "i18n.commitEncoding=UTF-8", *words),
                input=text,
                capture_output=True,
                env={**self.environment, **variables},
                timeout=_SIGNING_PATIENCE,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LedgerError("The entry could not be signed: the signer did not answer.", hint=_SIGN_HINT) from None
        found = self.read(done.stdout.decode().strip() or "none") if done.returncode == 0 else None
        if found is None:
            raise LedgerError(f"The entry could not be signed: {said(done.stderr)}", hint=_SIGN_HINT)
        if without_signature(found[2]) != commit.data:
            raise LedgerError(f"The entry could not be signed: git writes {name} <{email}> in another way.", hint=_SIGN_HINT)
        return GitObject("commit", found[2], found[0])

    @property
    def collecting(self) -> bool:
        """Whether a ``git gc`` says that it is at work."""
        return (self.place.common_dir / "gc.pid").exists() or (self.place.git_dir / "gc.pid").exists()

    def write_pack(self, pack: bytes, *, whole: bool = False) -> Path | None:
        """Write a pack's objects and return the ``.keep`` file to remove once a ref holds them, if there is one.

        With `whole`, or while a gc is at work, the pack is kept as it is, for loose objects beside a ``gc --prune=now`` can
        be gone before the ref names them (receive-pack does the same); else its objects become loose ones.

        Raises:
            LedgerError: git could not write them (disk full, no permission).
        """
        # index-pack names a pack after its checksum, and may leave the .keep of an attempt that failed.
        checksum = pack[-len(self.zero) // 2 :].hex()
        keep = self.place.common_dir / "objects" / "pack" / f"pack-{checksum}.keep"
        for pause in (0.01, 0.03, 0.1, 0.3, None):
            refusal = self._feed(_KEEP if whole or self.collecting else _UNPACK, pack)
            if refusal is None:
                return keep if keep.exists() else None
            if pause is None or not re.search(_PASSING, refusal):
                keep.unlink(missing_ok=True)
                raise LedgerError(f"Git could not write to {self.place.common_dir}: {said(refusal)}", hint="gitparams doctor")
            time.sleep(pause)
        raise AssertionError("the loop above returns or raises")

    def expect_write(self) -> None:
        """Start the process that the next `write_pack` feeds: git is up by the time that its input is made."""
        self._own()
        if self._writer is None and not self.collecting:
            self._writer = self._start_writer(_UNPACK)

    def _start_writer(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        return self.open(*_DURABLE, *words, answers=subprocess.DEVNULL, errors=subprocess.PIPE)

    def _feed(self, words: Sequence[str], data: bytes) -> bytes | None:
        """Run a git command that reads data and prints nothing to read; return what it said when it failed."""
        self._own()
        ready, self._writer = self._writer, None
        if ready is not None and words is not _UNPACK:
            _end(ready)
            ready = None
        process = ready or self._start_writer(words)
        assert process.stdin is not None and process.stderr is not None
        with process:
            try:
                process.stdin.write(data)
                process.stdin.close()
            except BrokenPipeError:
                pass  # it ended early, and says why
            refusal = process.stderr.read()
        return None if process.returncode == 0 else refusal or b"it did not say why"

    def move_ref(self, ref: str, new: Oid, old: Oid | None, patience: float = 10.0) -> None:
        """Move a ref from `old` (None: it must not exist) to `new`, keeping a reflog.

        Raises:
            RefMoved: the ref is elsewhere, or a gc beside us took the commit away: make it again.
            LedgerError: git could not move it; a lock file in the way is waited for up to `patience` seconds.
        """
        until = time.monotonic() + patience
        while True:
            refused = self._mover_process().move(ref, new, old or self.zero)
            if refused is None:
                return
            self._mover = None  # git ends it after a refusal
            if refused == _STALE:
                continue
            if re.search(_RACE, refused):
                self._forget_reader()
                raise RefMoved(f"{ref} moved meanwhile.")
            if not re.search(_PASSING, refused) or time.monotonic() > until:
                raise LedgerError(f"Git could not move {ref}: {said(refused)}", hint=_lock_hint(refused))
            if (lock := _lock_in_the_way(refused)) is not None:
                _remove_left_behind(lock)
            time.sleep(0.05)

    def settle(self, ref: str) -> None:
        """Have the name of a ref that was just moved on the disk: git flushes what is in its files, and no folder.

        File systems that keep the order of what happens to names (ext4, XFS, btrfs) then have those of its objects there too;
        to flush each of their folders would take half as long again as to record a run.
        """
        _flush_folder((self.place.common_dir / ref).parent)

    def _mover_process(self) -> _Mover:
        self._own()
        if self._mover is None:
            words = (*_DURABLE, "update-ref", "--create-reflog", "-m", "gitparams", "--stdin")
            self._mover = _Mover(self.place.common_dir / "packed-refs", lambda: self.open(*words, errors=subprocess.PIPE))
        return self._mover

    def _forget_reader(self) -> None:
        """End the process that reads: it may hold the refs of before, as `_Mover` says."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


_SIGN_HINT = "git config user.signingKey KEY; git config gpg.format ssh   (or: git config gitparams.sign false)"
# What was acknowledged is on disk: by default git flushes packs and not loose objects or refs (git-config, core.fsync).
_DURABLE = ("-c", "core.fsync=committed,loose-object,reference", "-c", "core.fsyncMethod=fsync")


class _Reader:
    """A ``cat-file --batch`` that is asked one name at a time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def ask(self, name: str, most: int) -> tuple[Oid, str, bytes] | None:
        if "\n" in name:
            return None
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(name.encode("utf-8", "surrogateescape") + b"\n")
            stdin.flush()
            header = stdout.readline()
        except BrokenPipeError:
            header = b""
        if not header:
            raise GitParamsError("git cat-file ended unexpectedly.", hint="git fsck")
        found = _read_object(header, stdout, most)
        return (Oid(found[0]), found[1], found[2]) if found else None

    def end(self) -> None:
        """Stop it in the middle of an answer."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
        self.process.wait()


class _Mover:
    """An ``update-ref --stdin`` that moves one ref at a time (git-update-ref, the start/prepare/commit protocol).

    A git that lives on keeps what it read of ``packed-refs`` for as long as the file looks the same, and compares whole
    seconds only (stat-validity, without USE_NSEC): after two ``pack-refs`` within a second it may compare a ref with what
    that was before, and let a newer entry fall. So a second move is committed only if the file is the one of the start to
    the nanosecond, which is looked at while git holds the lock of the ref.
    """

    def __init__(self, packed: Path, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self.packed = packed
        self.stamp = _stamp(packed)
        self.process = start()
        self.used = False

    def move(self, ref: str, new: Oid, old: Oid) -> bytes | None:
        """Return None when the ref was moved, else what git said, or `_STALE`."""
        used, self.used = self.used, True
        try:
            if self._ask(f"start\nupdate {ref} {new} {old}\nprepare\n", 2) == b"prepare: ok\n":
                if used and _stamp(self.packed) != self.stamp:
                    self._ask("abort\n", 1)
                    self.close()
                    return _STALE
                if self._ask("commit\n", 1) == b"commit: ok\n":
                    return None
        except BrokenPipeError:
            pass
        _, refusal = self.process.communicate()
        return refusal or b"git update-ref ended unexpectedly"

    def _ask(self, text: str, lines: int) -> bytes:
        """Return the last of so many lines of an answer."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(text.encode())
        stdin.flush()
        return [stdout.readline() for _ in range(lines)][-1]

    def close(self) -> None:
        self.process.communicate()


_STALE = b"it may have read the refs of before"


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a file is replaced, also within a second, or None when there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started in vain."""
    process.kill()
    process.communicate()


class _Feeder:
    """Writes a process's input from a thread, so that its output can be read at the same time."""

    def __init__(self, process: subprocess.Popen[bytes], data: bytes) -> None:
        import threading

        self.process, self.data = process, data
        self.thread = threading.Thread(target=self._feed, daemon=True)
        self.thread.start()

    def _feed(self) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(self.data)
            self.process.stdin.close()
        except (BrokenPipeError, ValueError):
            pass  # the reader ended first, and says why

    def join(self) -> None:
        self.thread.join()

    def discard(self) -> None:
        """Let go of what a process that was stopped did not take."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass


def without_signature(commit: bytes) -> bytes:
    r"""Return what a commit holds but for its signature.

    >>> without_signature(b"tree 11\ngpgsig -----BEGIN\n abc\n -----END\n\ngpgsig is a word\n")
    b'tree 11\n\ngpgsig is a word\n'
    """
    head, empty, text = commit.partition(b"\n\n")
    return _SIGNATURE.sub(b"", head + b"\n")[:-1] + empty + text


def parse_tree(data: bytes, zero: Oid) -> dict[str, TreeEntry]:
    """Return the entries of a raw tree object; `zero` tells how long ids are.

    Of two of one name the first counts, as for git; nothing is read behind what is no entry.
    """
    entries: dict[str, TreeEntry] = {}
    place, size = 0, len(zero) // 2
    while found := _TREE_ENTRY.match(data, place):
        oid = data[found.end() : found.end() + size]
        if len(oid) < size:
            break
        entries.setdefault(found[2].decode("utf-8", "surrogateescape"), TreeEntry(found[1].decode(), Oid(oid.hex())))
        place = found.end() + size
    return entries


_TREE_ENTRY = re.compile(rb"([0-7]{5,6}) ([^\0]+)\0")


def said(stderr: bytes) -> str:
    """Return what git said as one line without its ``fatal:``."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip() and not line.startswith("hint:")]
    text = " ".join(re.sub(r"^(fatal|error): ", "", line.strip()) for line in lines[:3])
    return text or "it did not say why"


def _lock_hint(stderr: bytes) -> str | None:
    lock = _lock_in_the_way(stderr)
    return f"rm {lock}   (if no git process is running)" if lock else "gitparams doctor"


def _lock_in_the_way(stderr: bytes) -> Path | None:
    match = re.search(rb"'([^']+\.lock)'", stderr)
    return Path(match[1].decode("utf-8", "surrogateescape")) if match else None


def _remove_left_behind(lock: Path) -> None:
    """Remove the lock of a ref that no process can still hold: git keeps one for some milliseconds, and dies without a word.

    Were its holder asleep after all, the entry that one of us loses by it is joined again by `Ledger.guard`.
    """
    try:
        if time.time() - lock.stat().st_mtime > _LEFT_BEHIND_SECONDS:
            lock.unlink()
    except OSError:
        pass


def _flush_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # packed, in another ref format, or Windows, which opens no folders
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # a file system that has nothing to flush
    finally:
        os.close(descriptor)


def _pack_header(kind: int, size: int) -> bytes:
    header = bytearray()
    byte, size = (kind << 4) | (size & 15), size >> 4
    while size:
        header.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    header.append(byte)
    return bytes(header)


def _read_object(header: bytes, stream: IO[bytes], most: int) -> tuple[str, str, bytes] | None:
    """Return the object that follows its header; one of more than `most` bytes is not read, and its content stays there."""
    head = _header(header)
    if head is None:
        return None
    oid, kind, size = head
    if size > most:
        return oid, TOO_LARGE, b""
    data = stream.read(size)
    stream.read(1)
    return oid, kind, data


def _header(line: bytes) -> tuple[str, str, int] | None:
    """Return id, type and size in a line of ``cat-file --batch``; None where it says that the object is missing."""
    words = line.split()
    if len(words) != 3 or words[1] not in (b"commit", b"tree", b"blob", b"tag"):
        return None
    return words[0].decode(), words[1].decode(), int(words[2])


def _lines_of(names: Sequence[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
