from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time

import pytest
from world import unprivileged

from gitparams.capture.inputs import digest_files
from gitparams.errors import ParamsFileError, UsageError

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Memory(dict):
    """What is remembered, and how often it was written."""

    written = 0

    def remember(self, key, value):
        self.written += 1
        self[key] = value


def sha(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def sha_of_folder(*files):
    return sha(b"".join(name.encode() + b"\0" + sha(data).encode() + b"\n" for name, data in files))


def old_file(path, data):
    """Write a file that looks as if it had not changed for a minute."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (time.time() - 60, time.time() - 60))
    return path


def digest(words, top, memory=None, progress=None):
    memory = Memory() if memory is None else memory
    return digest_files(words, top, memory.get, memory.remember, progress)


def test_a_file_is_named_from_the_top_by_its_sha256(tmp_path):
    top = tmp_path / "repo"
    old_file(top / "data/train.csv", b"a,b\n")
    old_file(tmp_path / "outside.csv", b"c\n")

    result = digest(["data/train.csv", "./data/../data/train.csv", str(top / "data/train.csv"), "../outside.csv"], top)

    assert result == {"data/train.csv": sha(b"a,b\n"), (tmp_path / "outside.csv").as_posix(): sha(b"c\n")}


def test_a_home_is_meant_by_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    old_file(tmp_path / "home/x.csv", b"x")

    assert digest(["~/x.csv", "~/*.csv"], tmp_path / "repo") == {(tmp_path / "home/x.csv").as_posix(): sha(b"x")}


def test_a_folder_is_the_digest_of_the_names_and_digests_of_its_files(tmp_path):
    old_file(tmp_path / "data/b.csv", b"b")
    old_file(tmp_path / "data/a/z.csv", b"z")
    old_file(tmp_path / "data/a.csv", b"a")
    old_file(tmp_path / "data/.hidden", b"")
    old_file(tmp_path / "data/.git/HEAD", b"ref")
    (tmp_path / "data/empty").mkdir()

    assert digest(["data"], tmp_path) == {
        "data": sha_of_folder((".hidden", b""), ("a.csv", b"a"), ("a/z.csv", b"z"), ("b.csv", b"b"))
    }


def test_a_folder_without_files_has_a_digest(tmp_path):
    (tmp_path / "data").mkdir()

    assert digest(["data"], tmp_path) == {"data": EMPTY}


def test_the_digest_of_a_folder_is_what_the_command_line_computes(tmp_path):
    old_file(tmp_path / "data/a b.csv", b"a")
    old_file(tmp_path / "data/ä/c.csv", b"c")
    script = (
        "cd data && find . -type f | cut -c3- | LC_ALL=C sort | while IFS= read -r name; do "
        "printf '%s\\0sha256:%s\\n' \"$name\" \"$(sha256sum \"$name\" | cut -d' ' -f1)\"; done | sha256sum | cut -d' ' -f1"
    )

    computed = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    assert digest(["data"], tmp_path) == {"data": f"sha256:{computed}"}


def test_a_glob_stands_for_what_it_matches_in_order(tmp_path):
    old_file(tmp_path / "data/b.csv", b"b")
    old_file(tmp_path / "data/a.csv", b"a")
    old_file(tmp_path / "data/deep/c.csv", b"c")
    old_file(tmp_path / "data/note.txt", b"n")

    assert list(digest(["data/*.csv"], tmp_path).items()) == [("data/a.csv", sha(b"a")), ("data/b.csv", sha(b"b"))]
    assert digest(["data/d*"], tmp_path) == {"data/deep": sha_of_folder(("c.csv", b"c"))}
    assert digest(["data/**/*.csv"], tmp_path).keys() == {"data/a.csv", "data/b.csv", "data/deep/c.csv"}
    assert digest(["data/**"], tmp_path).keys() == {"data/a.csv", "data/b.csv", "data/deep/c.csv", "data/note.txt"}


def test_a_file_whose_name_looks_like_a_glob_is_itself(tmp_path):
    top = tmp_path / "repo [1]"
    old_file(top / "a[1].csv", b"odd")
    old_file(top / "a1.csv", b"plain")

    assert digest(["a[1].csv"], top) == {"a[1].csv": sha(b"odd")}
    assert digest(["a?.csv"], top) == {"a1.csv": sha(b"plain")}


def test_links_are_followed_and_loops_end(tmp_path):
    old_file(tmp_path / "blobs/1", b"one")
    old_file(tmp_path / "data/sub/two", b"two")
    (tmp_path / "data/link").symlink_to("../blobs/1")
    (tmp_path / "data/folder").symlink_to("../blobs")
    (tmp_path / "data/sub/loop").symlink_to("..")
    (tmp_path / "alias").symlink_to("data/link")

    assert digest(["data", "alias"], tmp_path) == {
        "data": sha_of_folder(("folder/1", b"one"), ("link", b"one"), ("sub/two", b"two")),
        "alias": sha(b"one"),
    }


def test_what_is_no_file_in_a_folder_is_passed_over(tmp_path):
    old_file(tmp_path / "data/a", b"a")
    os.mkfifo(tmp_path / "data/pipe")

    assert digest(["data"], tmp_path) == {"data": sha_of_folder(("a", b"a"))}


def test_a_name_that_is_not_utf8_is_a_name(tmp_path):
    folder = os.fsencode(tmp_path / "data")
    os.mkdir(folder)
    with open(folder + b"/\xff.csv", "wb") as file:
        file.write(b"x")
    memory = Memory()
    os.utime(folder + b"/\xff.csv", (1, 1))

    first, second = digest(["data"], tmp_path, memory), digest(["data"], tmp_path, memory)

    assert first == second == {"data": sha(b"\xff.csv\0" + sha(b"x").encode() + b"\n")}
    assert memory.written == 1


def test_what_did_not_change_is_not_read_again(tmp_path):
    path, memory = old_file(tmp_path / "train.csv", b"before"), Memory()
    status = path.stat()
    digest(["train.csv"], tmp_path, memory)
    path.write_bytes(b"behind")
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))

    assert digest(["train.csv"], tmp_path, memory) == {"train.csv": sha(b"before")}
    assert memory.written == 1


@pytest.mark.parametrize("change", ["time", "size", "inode"])
def test_what_changed_is_read_again(tmp_path, change):
    path, memory = old_file(tmp_path / "data/train.csv", b"before"), Memory()
    status = path.stat()
    digest(["data"], tmp_path, memory)
    if change == "inode":
        path.rename(tmp_path / "elsewhere")
    path.write_bytes(b"behind!" if change == "size" else b"behind")
    moment = status.st_mtime_ns + (1 if change == "time" else 0)
    os.utime(path, ns=(moment, moment))

    assert digest(["data"], tmp_path, memory) == {"data": sha_of_folder(("train.csv", path.read_bytes()))}


def test_only_the_new_file_of_a_folder_is_read(tmp_path):
    old_file(tmp_path / "data/a", b"aaaa")
    memory, told = Memory(), []
    digest(["data"], tmp_path, memory)
    old_file(tmp_path / "data/b", b"bb")

    result = digest(["data"], tmp_path, memory, lambda done, total: told.append((done, total)))

    assert (result, told) == ({"data": sha_of_folder(("a", b"aaaa"), ("b", b"bb"))}, [(2, 2)])


def test_a_file_that_changed_just_now_is_not_remembered(tmp_path):
    (tmp_path / "train.csv").write_bytes(b"x")
    memory = Memory()

    assert (digest(["train.csv"], tmp_path, memory), memory) == ({"train.csv": sha(b"x")}, {})


def test_a_file_that_grows_while_it_is_read_is_not_remembered(tmp_path):
    path, memory, told = old_file(tmp_path / "log", b"x" * (1 << 20)), Memory(), []

    def append_once(done, total):
        told.append((done, total))
        if len(told) == 1:
            with open(path, "ab") as file:
                file.write(b"y")

    assert digest(["log"], tmp_path, memory, append_once) == {"log": sha(b"x" * (1 << 20) + b"y")}
    assert (told, memory) == ([(1 << 20, 1 << 20), (1 << 20, 1 << 20)], {})


def test_progress_counts_the_bytes_of_all_inputs_that_must_be_read(tmp_path):
    old_file(tmp_path / "large", b"\0" * (2 * (1 << 20) + 5))
    old_file(tmp_path / "small", b"12345")
    memory, told = Memory(), []
    total = 2 * (1 << 20) + 10

    digest(["large", "small"], tmp_path, memory, lambda done, of: told.append((done, of)))
    digest(["large", "small"], tmp_path, memory, lambda done, of: told.append((done, of)))

    assert told == [(1 << 20, total), (2 * (1 << 20), total), (total - 5, total), (total, total)]


def test_an_interrupted_folder_keeps_what_was_done(tmp_path):
    old_file(tmp_path / "data/a", b"aaaa")
    old_file(tmp_path / "data/b", b"bbbb")
    memory, told = Memory(), []

    def interrupt(done, total):
        if done > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        digest(["data"], tmp_path, memory, interrupt)
    result = digest(["data"], tmp_path, memory, lambda done, total: told.append((done, total)))

    assert (result, told) == ({"data": sha_of_folder(("a", b"aaaa"), ("b", b"bbbb"))}, [(4, 4)])


@pytest.mark.parametrize("text", ["", "not json", "[1]", "{}"])
def test_a_memory_that_makes_no_sense_is_forgotten(tmp_path, text):
    old_file(tmp_path / "x", b"x")
    memory = Memory({f"digest {tmp_path / 'x'}": text})

    assert digest(["x"], tmp_path, memory) == {"x": sha(b"x")}
    assert json.loads(memory[f"digest {tmp_path / 'x'}"])[""][1] == sha(b"x")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("data/trian.csv", "The input 'data/trian.csv' does not exist."),
        ("", "The input '' does not exist."),
        ("nul\0", "The input 'nul\\x00' does not exist."),
        ("data/*.tsv", "The input 'data/*.tsv' matches no file."),
        ("**/*.tsv", "The input '**/*.tsv' matches no file."),
    ],
)
def test_a_word_that_stands_for_nothing_is_refused(tmp_path, word, message):
    old_file(tmp_path / "data/train.csv", b"x")

    with pytest.raises(UsageError) as caught:
        digest([word], tmp_path)

    assert (caught.value.message, caught.value.hint) == (message, "--input data/train.csv, a folder, or 'data/*.csv'")


def test_a_dead_link_is_named(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/dead").symlink_to("nowhere")

    with pytest.raises(ParamsFileError) as alone:
        digest(["data/dead"], tmp_path)
    with pytest.raises(ParamsFileError) as inside:
        digest(["data"], tmp_path)

    assert str(alone.value) == str(inside.value) == "data/dead: it cannot be read: No such file or directory."


def test_a_device_has_no_digest(tmp_path):
    with pytest.raises(ParamsFileError) as caught:
        digest(["/dev/null"], tmp_path)

    assert str(caught.value) == "/dev/null: it is neither a file nor a folder, and has no digest."


@pytest.mark.parametrize("word", ["data/locked.csv", "data"])
def test_a_file_that_may_not_be_read_is_named(tmp_path, python_of_tests, word):
    old_file(tmp_path / "data/locked.csv", b"x").chmod(0)

    assert (
        unprivileged(*python_of_tests, word, cwd=tmp_path).stdout == "data/locked.csv: it cannot be read: Permission denied.\n"
    )


def test_a_folder_that_may_not_be_read_is_named(tmp_path, python_of_tests):
    (tmp_path / "data/locked").mkdir(parents=True)
    (tmp_path / "data/locked").chmod(0)

    answer = unprivileged(*python_of_tests, "data", cwd=tmp_path).stdout

    assert answer == "data/locked: it cannot be read: Permission denied.\n"


@pytest.fixture
def python_of_tests():
    program = (
        "import sys; from pathlib import Path; from gitparams.capture.inputs import digest_files\n"
        "from gitparams.errors import GitParamsError\n"
        "try: print(digest_files(sys.argv[1:], Path.cwd(), {}.get, {}.__setitem__))\n"
        "except GitParamsError as error: print(error)"
    )
    return [sys.executable, "-c", program]
