"""Hostile data: whatever the ledger of a remote holds, every command survives it, shows no lie and obeys nothing in it.

The ledgers are made by plain git plumbing, which writes what `git fsck` would refuse.
"""

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import zlib
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from world import git

from gitparams.ledger import REF

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "gitparams"
ONE, TWO, THREE, FOUR = "kkkkmmmmppppssss", "llllnnnnqqqqtttt", "ooooppppvvvvzzzz", "rrrrsssstttttuuu"
NINE, TEN, ELEVEN = "2026-11-23T09:00:00+00:00", "2026-11-23T10:00:00+00:00", "2026-11-23T11:00:00+00:00"
MEGABYTE = 1 << 20

# Starts, one after the other in one process with bounded memory, the commands that it reads; a command is a list of words.
DRIVER = """
import contextlib, io, json, resource, sys, time
from gitparams.cli import main
limit = int(sys.argv[1]) << 20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
outcomes = []
for words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    begun = time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    outcomes.append([words, code, out.getvalue(), err.getvalue(), time.monotonic() - begun])
json.dump(outcomes, sys.stdout)
"""

FORMATS = ("table", "oneline", "json", "jsonl", "csv", "md", "html")
_SOME = (
    *("log --format table", "log --patch", "log --columns all", "log --format html", "log --format csv", "log --graph"),
    *("log --replicates", "log --where exists(params.lr) or tag('a') or changed(params.lr) --sort -lr", "log -- *"),
    *(f"show {TWO}", f"show {TWO} --json", f"show {TWO} --origins", f"show {TWO} --format yaml"),
    *(f"diff {ONE} {TWO} --all --origins", f"diff {ONE} {TWO} --format md", f"diff {ONE} {TWO} latest --all"),
    *(f"blame {TWO}", f"blame {TWO} --json", f"blame {TWO} lr --history", "__complete zsh 3 gitparams log --where "),
)
READERS = [
    *(["log", "--format", form] for form in FORMATS),
    ["log", "--graph"],
    ["log", "--patch"],
    ["log", "--columns", "all"],
    ["log", "--columns", "all", "--format", "csv"],
    ["log", "--columns", "all", "--format", "md"],
    ["log", "--columns", "all", "--format", "html"],
    ["log", "--replicates"],
    ["log", "--replicates", "--json"],
    ["log", "--group-by", "lr", "--agg", "mean,best"],
    ["log", "--where", "params.lr < 1 and status == 'completed'"],
    ["log", "--where", "exists(params.lr) or tag('a') or changed(params.lr)", "--sort", "-lr"],
    ["log", "--grep", "a", "--author", "a", "--since", "2020-01-01"],
    ["log", "latest~1..latest"],
    ["log", "--", "*"],
    *(["show", run, *flags] for run in (ONE, TWO) for flags in ([], ["--json"], ["--format", "yaml"])),
    *(["show", TWO, f"--{flag}"] for flag in ("params", "metrics", "origins", "code", "packages", "output")),
    *(["diff", ONE, TWO, "--format", form] for form in ("text", "json", "md", "html")),
    ["diff", ONE, TWO, "--all", "--origins"],
    ["diff", ONE, TWO, "--patch"],
    ["diff", ONE, TWO, "--patch", "--format", "html"],
    ["diff", ONE, TWO, "--patch", "--format", "md"],
    ["diff", ONE, TWO, "latest", "--all"],
    ["diff", ONE, TWO, "latest", "--format", "md"],
    ["diff", ONE, TWO, "latest", "--format", "html"],
    ["diff", ONE, TWO, "--fail-if", "metrics.acc.delta < 0"],
    ["diff", "--replicates"],
    ["diff", "latest~1", "latest", "--ignore-order", "--rtol", "0.1"],
    ["blame", TWO],
    ["blame", TWO, "--json"],
    ["blame", TWO, "lr", "--history"],
    ["bisect", ONE, TWO, "--dry-run"],
    ["bisect", TWO, ONE, "--dry-run", "--metric", "acc", "--json"],
    ["check"],
    ["check", "--json"],
    ["check", "--ledger"],
    ["verify"],
    ["doctor"],
    ["__complete", "zsh", "2", "gitparams", "show", ""],
    ["__complete", "bash", "2", "gitparams", "show", ""],
    ["__complete", "zsh", "3", "gitparams", "log", "--where", ""],
    ["__complete", "zsh", "3", "gitparams", "log", "--columns", ""],
    ["__complete", "zsh", "3", "gitparams", "log", "--sort", ""],
    ["__complete", "zsh", "3", "gitparams", "log", "--experiment", ""],
    ["__complete", "fish", "3", "gitparams", "tag", "--remove", ""],
]
"""Every command that reads, in every format; where a word is not there, the answer is a sentence."""
SOME = [words for words in READERS if words[0] in ("check", "doctor", "bisect", "verify") or " ".join(words) in _SOME]
"""A command of each kind; every one where there is time for it."""
SOME = READERS if os.environ.get("GITPARAMS_LONG_TESTS") else SOME


# -- a writer that refuses nothing ------------------------------------------------------------------------------------------


def write(kind, data, cwd=None):
    """Write any bytes as an object of a kind, and return its id."""
    words = ["git", "hash-object", "-w", "-t", kind, "--stdin", "--literally"]
    return subprocess.run(words, cwd=cwd, input=data, capture_output=True, check=True).stdout.decode().strip()


def blob(text, cwd=None):
    return write("blob", text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"), cwd)


def raw_tree(entries, cwd=None):
    """Write a tree of (mode, name, id) as they come: no order, no check."""
    lines = (
        f"{mode} ".encode() + (name if isinstance(name, bytes) else name.encode()) + b"\0" + bytes.fromhex(oid)
        for mode, name, oid in entries
    )
    return write("tree", b"".join(lines), cwd)


def run_json(run, **changes):
    document = {
        "format": 1,
        "id": run,
        "event": {"kind": "record", "time": NINE, "nonce": "00"},
        "status": "completed",
        "started": NINE,
        "finished": TEN,
    }
    return {**document, **changes}


def dumped(value):
    return value if isinstance(value, str | bytes) else json.dumps(value)


def entry_tree(run, *, document=None, params='{"lr": 0.1}', metrics='{"acc": 0.9}', files=(), entries=None, cwd=None):
    texts = {
        "metrics.json": metrics,
        "params.json": params,
        "run.json": run_json(run) if document is None else document,
        **dict(files),
    }
    listed = [("100644", name, blob(dumped(text), cwd)) for name, text in sorted(texts.items()) if text is not None]
    return raw_tree(listed if entries is None else entries(listed), cwd)


def append(tree, message, *, author="Eve <eve@example.com> 1795424400 +0000", parents=None, cwd=None):
    """Append a commit of any tree, message and author to the ledger, and return it."""
    tip = git("for-each-ref", "--format=%(objectname)", REF, cwd=cwd)
    above = [tip] if parents is None and tip else parents or []
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in above), f"author {author}", f"committer {author}", "", ""]
    text = message if isinstance(message, bytes) else message.encode()
    commit = write("commit", "\n".join(lines).encode() + text, cwd)
    git("update-ref", REF, commit, cwd=cwd)
    return commit


def trailers(run, kind="record", prev=(), more=()):
    lines = [
        f"Run-Id: {run}",
        "Run-Status: completed",
        f"Run-Event: {kind}",
        *([f"Run-Prev: {' '.join(prev)}"] if prev else []),
        *more,
    ]
    return f"{kind} {run[:8]}\n\n" + "\n".join(lines) + "\n"


def entry(run, *, prev=(), cwd=None, **what):
    """Append an entry of a run and return its tree."""
    tree = entry_tree(run, cwd=cwd, **what)
    append(tree, trailers(run, prev=prev), cwd=cwd)
    return tree


def nested_json(depth, kind="mapping"):
    return '{"a": ' * depth + "1" + "}" * depth if kind == "mapping" else '{"a": ' + "[" * depth + "]" * depth + "}"


# -- what every command does with it ----------------------------------------------------------------------------------------


def outcomes(commands=READERS, *, megabytes=1500, env=None):
    """Run commands one after the other in one process that may use so much memory."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(megabytes)],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def faults(found, seconds=20):
    """Return what no command may do: crash, take for ever, write what a terminal would obey."""
    return [
        (" ".join(words), code, (err or out)[-400:])
        for words, code, out, err, taken in found
        if code not in (0, 1, 2) or "Traceback" in err or taken > seconds or raw(out) or raw(err)
    ]


def raw(text):
    """Return the letters of an output that do something else than being seen."""
    return sorted({letter for letter in text if not letter.isprintable() and letter not in "\n\t"})


def listed():
    """Return what `log` lists: id → status."""
    ((_, code, out, err, _),) = outcomes([["log", "--json"]])
    assert code == 0, err
    return {run["id"]: run["status"] for run in json.loads(out)}


def later(**changes):
    """Return the run.json of the second run, which began after the first had ended."""
    return run_json(TWO, **{"started": TEN, "finished": ELEVEN, **changes})


# -- texts that would be obeyed ---------------------------------------------------------------------------------------------

NASTY = "\x1b[31m\x07\x9b2J\u202eevil\u2066\x7f\r\n\t\ud800\x00\u2028<script>alert(1)</script><img src=x onerror=alert(1)>'\"|`*_[x](javascript:alert(1))&lt;"


def write_nasty_run():
    """Write a run of which every text that a screen shows tries to do something."""
    n = NASTY
    code = raw_tree(
        [
            ("100644", b"\x1b[31mfile\xff", blob(n)),
            ("100644", "<img onerror=alert(1)>", blob(n)),
            ("100644", "train.py", blob(n)),
        ]
    )
    document = later(
        name=n, command=[n], cwd=n, host=n, user=n, python=n, note=n, tags=[n], expect=[n, "acc > 1"], parent=n, programs=[n, {n: n}],
        redacted=[n], disputed=[n, "lr"], unread=[n], drift={n: [n, n], "lr": [1, n]}, seeds={n: n}, inputs={n: n}, outputs={n: n},
        environment={n: n, "cpu": n, "cpus": n, "gpus": [n], "job": n, "variables": {n: n}}, unknown={n: n},
        git={"commit": git("rev-parse", "HEAD"), "branch": n, "patch_id": n, "subject": n, "authored": n, "note": n, "dirty": True, "submodules": {n: n}, "tree": code},
    )  # fmt: skip
    files = {
        "origins.json": {
            "lr": {"source": n, "at": n, "overrode": [{"value": n, "source": n, "at": n}], "also": [{"source": n, "at": n}]},
            n: {"source": n},
        },
        "packages.txt": n,
        "output.log": n,
        "series.jsonl": {"step": 0, "time": 1, n: 1},
    }
    entry(
        TWO,
        document=document,
        params=dumped({n: n, "lr": n, "list": [n, {n: n}], "nest": {n: {n: n}}}),
        metrics=dumped({n: 1, "acc": 0.1}),
        files={name: dumped(text) for name, text in files.items()},
    )


class Page(HTMLParser):
    """What a browser would make of a page: its elements and the names of their attributes."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.handlers, self.links = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.links += [value for name, value in attrs if name in ("href", "src") and value]


def test_nothing_of_a_run_reaches_the_terminal_raw(repo):
    entry(ONE)
    write_nasty_run()
    found = outcomes()
    assert faults(found) == []
    assert {" ".join(words): code for words, code, *_ in found if words[0] == "show" and words[1] == TWO and code} == {}


def test_no_run_hides_the_secrets_of_others(repo):
    entry(ONE)
    write_nasty_run()
    entry(THREE, document=run_json(THREE), params='{"password": "hunter2hunter2"}', files={"origins.json": '{"a b]": 1}'})
    entry(FOUR, params='{"token": "' + "k" * 40 + '"}', files={"origins.json": nested_json(900)})
    ((_, code, out, err, _),) = outcomes([["check", "--ledger"]])
    assert (code, f"{THREE[:8]}:params.json" in out, f"{FOUR[:8]}:params.json" in out) == (1, True, True), (out, err)


def test_an_authors_name_does_not_reach_the_terminal_raw(repo):
    entry(ONE)
    append(entry_tree(TWO, document=later()), trailers(TWO), author="\x1b[31mEve\u202e <b>x</b> <eve@\x9b> 1795424400 +0000")
    assert faults(outcomes()) == []


def test_why_a_run_cannot_be_read_does_not_reach_the_terminal_raw(repo):
    entry(ONE)
    entry(TWO, document=run_json(TWO, status=NASTY))
    append(entry_tree(THREE), "\x1b[31mx\n\nRun-Id: \x1b[31m\u202e\x9b\nRun-Event: \x1b[31m\n")
    assert faults(outcomes()) == []


def test_an_experiment_of_any_letters_is_one_like_others(repo):
    entry(ONE, document=run_json(ONE, experiment=NASTY))
    entry(TWO, document=later(experiment=NASTY))
    assert faults(outcomes()) == []
    ((_, code, _, err, _),) = outcomes([["diff", TWO]])
    assert (code, err) == (0, "")  # the other is found before it


@pytest.mark.parametrize(
    "words",
    [
        ["log", "--format", "html"],
        ["log", "--columns", "all", "--format", "html"],
        ["diff", ONE, TWO, "--patch", "--format", "html"],
        ["diff", ONE, TWO, TWO, "--format", "html"],
    ],
    ids=" ".join,
)
def test_a_page_holds_no_element_or_handler_of_a_run(repo, words):
    entry(ONE)
    write_nasty_run()
    ((_, code, out, err, _),) = outcomes([words])
    assert code == 0, err
    page = Page(out)
    own = out.count("<script")
    assert (page.handlers, [link for link in page.links if "alert" in link or "javascript" in link]) == ([], [])
    assert "img" not in page.elements
    assert own == len(re.findall(r"</script>", out)) <= 1
    assert "alert(1)</script>" not in out


@pytest.mark.parametrize(
    "words",
    [["log", "--format", "md"], ["log", "--columns", "all", "--format", "md"], ["diff", ONE, TWO, "--format", "md"]],
    ids=" ".join,
)
def test_markdown_holds_no_html_or_link_of_a_run(repo, words):
    entry(ONE)
    write_nasty_run()
    ((_, code, out, err, _),) = outcomes([words])
    assert code == 0, err
    outside_code = re.sub(r"(`+).*?\1", "", out)
    assert re.findall(r"(?<!\\)<(?:script|img)|(?<!\\)\]\(javascript", outside_code) == []


# -- documents that are none ------------------------------------------------------------------------------------------------

BIG = "9" * 4000
ODD = {
    "integers of 4,000 digits": {"document": later(exit_code=int(BIG)), "params": f'{{"lr": {BIG}, "l": [-{BIG}]}}', "metrics": f'{{"acc": -{BIG}}}'},
    "integers of 5,000 digits": {"params": f'{{"lr": {"9" * 5000}}}'},
    "floats at their ends": {"params": '{"lr": 5e-324, "x": 1e999}', "metrics": '{"acc": {"$float": "NaN"}, "b": {"$float": "Infinity"}, "c": 1e999}'},
    "tags of floats": {"params": '{"lr": {"$float": "NaN"}, "$float": 1, "x": {"$$float": 2}}'},
    "format 99": {"document": later(format=99)},
    "format 0": {"document": later(format=0)},
    "a format of 4,000 digits": {"document": json.dumps(later()).replace('"format": 1', f'"format": {BIG}')},
    "the year 1": {"document": later(started="0001-01-01T00:00:00+14:00")},
    "the year 2": {"document": later(started="0002-01-01T00:00:00+14:00")},
    "the year 9998": {"document": later(started="9998-12-31T23:59:59-14:00", finished="0002-12-31T23:59:59-14:00")},
    "the year 9999": {"document": later(started="9999-12-31T23:59:59-14:00", finished="9999-12-31T23:59:59-14:00")},
    "an odd offset": {"document": later(started="2026-11-23T10:00:00+23:59:59.999999")},
    "an end before its start": {"document": later(started=ELEVEN, finished=NINE)},
    "mappings within each other, 100,000": {"params": nested_json(100_000)},
    "mappings within each other, 240": {"params": nested_json(240)},
    "mappings within each other, 199": {"params": nested_json(199)},
    "lists within each other, 900": {"params": nested_json(900, "list")},
    "lists within each other, 240": {"params": nested_json(240, "list")},
    "an environment within itself, 240": {"document": json.dumps(later()).replace('"format"', f'"environment": {nested_json(240)}, "format"')},
    "an unknown field within itself, 900": {"document": json.dumps(later()).replace('"format"', f'"later": {nested_json(900)}, "format"')},
    "a list of 100 MB": {"params": '{"a": [' + "1," * (50 * MEGABYTE) + "1]}"},
    "a million lists": {"params": '{"a": [' + "[]," * 1_000_000 + "[]]}"},
    "10,000 lists": {"params": '{"a": [' + "[]," * 10_000 + "[]]}"},
    "a field twice": {"document": json.dumps(later()).replace('"format"', f'"id": "{ONE}", "format"')},
    "no code state": {"document": later(git=None)},
    "a code state of odd types": {"document": later(git={"commit": "a" * 40, "tree": "b" * 40, "submodules": {"a": 1, "b": [1]}, "authored": "x"})},
    "lists and mappings of odd types": {
        "document": later(
            drift={"a": 1, "b": [1], "c": {}, "d": [1, 2, 3], "e": None},
            seeds={"a": [1]},
            inputs={"a": None, "b": {}},
            outputs={"": {}},
            environment={"cpu": [], "cpus": {}, "gpus": {}, "variables": 3, "job": []},
            programs=[1, None, {}],
            tags=[1, None, {}],
            expect=[1, None, "(((", "acc >", "__import__('os').system('touch obeyed')"],
            redacted=[None],
            unread=[1],
            disputed=[{}],
            command=[1, None, {"a": 1}],
        )
    },
    "a group within itself": {"document": later(group=True, parent=TWO)},
    "a run within itself": {"document": later(parent=TWO)},
    "metrics that are none": {"metrics": '{"acc": "0.1", "b": null, "c": [1], "d": true, "": 1, "a.b": 2, "a[": 3}'},
    "keys of odd letters": {"params": '{"": 1, "a.b": {"": {"": {}}}, "lr": {}, "x": [], "y": null, "%s": 1}' % ("k" * 5000)},
    "keys that are half letters": {"params": '{"\\ud800": {"\\udfff": "\\ud800"}}', "metrics": '{"\\ud800": 1}'},
    "zero bytes": {"document": later(name="a\x00b", experiment="x\x00y"), "params": '{"a\\u0000b": "c\\u0000d"}', "metrics": '{"a\\u0000b": 1}'},
    "origins of odd types": {"files": {"origins.json": '{"lr": {"source": 1, "at": [], "overrode": 3, "also": {"a": 1}}, "x": {"source": null, "overrode": null, "also": [1, {"source": {}}]}, "y": 3}'}},
    "origins that are a list": {"files": {"origins.json": "[1, 2]"}},
    "origins within each other": {"files": {"origins.json": nested_json(900)}},
    "a series of odd lines": {"files": {"series.jsonl": f'{{"step":{BIG},"time":{BIG},"loss":{BIG}}}\n[1]\n{{"step":null}}\n{{"step":{{"$float":"NaN"}},"loss":1}}\n' + "{" * 5000}},
    "the name of a revision": {"document": later(name="HEAD", experiment="")},
    "texts of 100,000 letters": {"document": later(name="n" * 100_000, note="w" * 1_000_000, tags=["t" * 100_000], host="h" * 100_000)},
    "1,000 params and 300 metrics": {"params": json.dumps({f"k{i}": i for i in range(1000)}), "metrics": json.dumps({f"m{i}": i for i in range(300)})},
}  # fmt: skip


@pytest.mark.parametrize("flaw", ODD.values(), ids=ODD)
def test_every_command_survives_a_document(repo, flaw):
    entry(ONE)
    entry(TWO, **{"document": later(), **flaw})
    assert faults(outcomes(SOME)) == []
    assert listed()[ONE] == "completed"
    assert not (repo / "obeyed").exists()


def test_a_run_of_a_field_that_stands_twice_is_not_shown_as_either(repo):
    entry(ONE)
    entry(TWO, **ODD["a field twice"])
    assert listed() == {TWO: "broken", ONE: "completed"}


# -- bombs ------------------------------------------------------------------------------------------------------------------


@cache
def packed_spaces(megabytes):
    """Return the id and the bytes of a loose object that is a blob of spaces, in a thousandth of its size."""
    head, spaces = b"blob %d\0" % (megabytes * MEGABYTE), b" " * MEGABYTE
    digest, packer = hashlib.sha1(head), zlib.compressobj(9)
    parts = [packer.compress(head)]
    for _ in range(megabytes):
        digest.update(spaces)
        parts.append(packer.compress(spaces))
    return digest.hexdigest(), b"".join([*parts, packer.flush()])


def bomb():
    """Write a blob of one gigabyte in one megabyte, and return its id."""
    oid, data = packed_spaces(1024)
    folder = Path(".git/objects", oid[:2])
    folder.mkdir(exist_ok=True)
    (folder / oid[2:]).write_bytes(data)
    return oid


def instead_of(name, oid):
    return lambda listed: sorted([*(one for one in listed if one[1] != name), ("100644", name, oid)], key=lambda one: one[1])


@pytest.mark.parametrize(
    "name", ["run.json", "params.json", "metrics.json", "origins.json", "packages.txt", "series.jsonl", "output.log"]
)
def test_of_a_bomb_no_more_than_its_header_is_read(repo, name):
    oid = bomb()
    entry(ONE)
    entry(TWO, document=later(), entries=instead_of(name, oid))
    entry(THREE)
    found = outcomes(SOME, megabytes=700)
    assert faults(found, seconds=5) == []
    assert listed() == {
        ONE: "completed",
        THREE: "completed",
        TWO: "broken" if name in ("run.json", "params.json", "metrics.json") else "completed",
    }


def test_many_bombs_take_no_longer_than_one(repo):
    oid = bomb()
    runs = ["klmnopqrstuvwxyz"[number] * 16 for number in range(16)]
    [entry(run, document=run_json(run), entries=instead_of("params.json", oid)) for run in runs]
    entry(ONE)
    ((_, code, out, _, taken),) = outcomes([["log", "--json"]], megabytes=700)
    assert (code, {run["id"]: run["status"] for run in json.loads(out)}) == (
        0,
        {**dict.fromkeys(runs, "broken"), ONE: "completed"},
    )
    assert taken < 5


def test_code_that_is_a_bomb_is_compared_without_being_read(repo):
    trees = [raw_tree([("100644", "train.py", oid)]) for oid in (bomb(), blob("x"))]
    [entry(run, document=run_json(run, git={"tree": tree})) for run, tree in zip((ONE, TWO), trees, strict=True)]
    assert faults(outcomes([["diff", ONE, TWO, "--patch"], ["show", ONE, "--code"]], megabytes=700), seconds=10) == []


# -- trees ------------------------------------------------------------------------------------------------------------------


def tricky(listed):
    code, evil = git("rev-parse", "HEAD^{tree}"), blob("evil")
    names = ["../x", "/etc/x", "..", ".", ".GIT", "git~1", "\x1b[31m", ".g\u200cit", b"\xff", "a\\b", "run.json"]
    links = [
        ("120000", "link", blob("/etc/passwd")),
        ("160000", "sub", "1" * 40),
        ("40000", ".git", code),
        ("040000", "zero", code),
    ]
    return [*listed, *(("100644", name, evil) for name in names), *links]


def test_a_tree_of_tricks_is_a_run_and_an_event_on_it_carries_none_of_them(repo):
    entry(ONE)
    entry(TWO, document=later(), entries=tricky)
    assert faults([*outcomes(SOME), *outcomes([["tag", TWO, "x"], ["note", TWO, "y"]])]) == []
    assert git("ls-tree", "--name-only", REF).splitlines() == ["link", "metrics.json", "params.json", "run.json", "sub"]
    assert git("status", "--porcelain") == ""


@pytest.mark.parametrize("mode", ["120000", "160000", "40000", "100755", "777", "0", "9"])
def test_a_file_of_a_wrong_mode_is_read_or_said_to_be_none(repo, mode):
    entry(ONE)
    entry(
        TWO,
        document=later(),
        entries=lambda files: [(mode if name == "params.json" else old, name, oid) for old, name, oid in files],
    )
    assert faults([*outcomes(SOME), *outcomes([["tag", TWO, "x"], ["show", TWO]])]) == []
    assert listed()[ONE] == "completed"


def test_a_gitlink_called_params_json_is_no_file(repo):
    entry(ONE)
    entry(
        TWO,
        document=later(),
        entries=lambda files: [
            *(one for one in files if one[1] == "metrics.json"),
            ("160000", "params.json", git("rev-parse", "HEAD")),
            files[-1],
        ],
    )
    ((_, code, _, err, _),) = outcomes([["show", TWO]])
    assert (code, "params.json is a commit and no file" in err) == (1, True)


TREES = {
    "garbage": lambda: write("tree", b"garbage"),
    "cut": lambda: write("tree", b"100644 run.json\0short"),
    "empty": lambda: write("tree", b""),
    "a blob": lambda: blob("x"),
    "missing": lambda: "1" * 40,
}


@pytest.mark.parametrize("made", TREES.values(), ids=TREES)
def test_a_tree_that_is_none_hides_no_other_run(repo, made):
    entry(ONE)
    append(made(), trailers(TWO))
    entry(THREE)
    assert faults(outcomes(SOME)) == []
    assert listed() == {ONE: "completed", TWO: "broken", THREE: "completed"}


# -- commits ----------------------------------------------------------------------------------------------------------------

MESSAGES = {
    "two ids": trailers(TWO, more=[f"Run-Id: {ONE}"]),
    "two events": trailers(TWO, more=["Run-Event: purge"]),
    "predecessors that are revisions": trailers(TWO, prev=["HEAD^{tree}", ":/first", "-x", "@{upstream}"]),
    "trailers in the middle": trailers(TWO) + "\n\nmore\n",
    "no trailers": "",
    "an empty id": "x\n\nRun-Id: \nRun-Event: nope\n",
    "an id of bytes": b"x\n\nRun-Id: \xff\xfe\nRun-Event: record\n",
    "a purge of a run": f"x\n\nRun-Event: purge\nRun-Id: {ONE}\n",
    "an alias of words": "x\n\nRun-Event: alias\nRun-Alias: a b c\n",
    "a circle of aliases": f"x\n\nRun-Event: alias\nRun-Alias: {'a' * 40} {'b' * 40} {'b' * 40} {'a' * 40}\n",
    "carriage returns": f"x\r\n\r\nRun-Id: {TWO}\r\nRun-Event: record\r\n",
    "a subject of a megabyte": trailers(TWO).replace("record", "r" * MEGABYTE, 1),
}
AUTHORS = ["Eve", "Eve <e> x y", "Eve <e> 99999999999999999999 +9999", "", "Eve <e> -1 +0000", "<> 1"]


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_wrong_trailers_hide_no_other_run(repo, message):
    entry(ONE)
    append(entry_tree(TWO, document=later()), message)
    assert faults(outcomes(SOME)) == []
    assert listed()[ONE] == "completed"


@pytest.mark.parametrize("author", AUTHORS)
def test_an_author_line_that_is_none_hides_no_run(repo, author):
    entry(ONE)
    append(entry_tree(TWO, document=later()), trailers(TWO), author=author)
    append(entry_tree(THREE, document="{"), trailers(THREE), author=author)
    assert faults(outcomes(SOME)) == []
    assert listed() == {ONE: "completed", TWO: "completed", THREE: "broken"}


def test_objects_that_pretend_to_be_others_are_not_believed(repo):
    entry(ONE)
    entry(TWO, document=later())
    tip, params = git("rev-parse", REF), git("rev-parse", f"{REF}:params.json")
    git("replace", tip, git("rev-parse", "HEAD"))
    git("replace", params, blob('{"lr": "a lie"}'))
    git("tag", "circle", tip)
    assert faults(outcomes(SOME)) == []
    ((_, _, out, _, _),) = outcomes([["log", "--json"]])
    assert [(run["id"], run["params"]) for run in json.loads(out)] == [(TWO, {"lr": 0.1}), (ONE, {"lr": 0.1})]


# -- ids and circles --------------------------------------------------------------------------------------------------------


def rebuilt():
    """Return what `log` lists once the index was made anew."""
    Path(".git/gitparams/index.db").unlink()
    return listed()


def test_two_different_runs_of_one_id_are_not_shown_as_one(repo):
    entry(ONE, document=run_json(ONE, host="mine"))
    entry(TWO, document=later())
    listed()
    entry(ONE, document=run_json(ONE, started=TEN, host="theirs"), params='{"lr": 9}')
    ((_, code, _, err, _),) = outcomes([["show", ONE]])
    assert (code, f"Two different runs have the id {ONE}: one began at" in err) == (1, True)
    assert listed() == rebuilt() == {ONE: "broken", TWO: "completed"}
    assert faults(outcomes(SOME)) == []


def test_one_run_that_two_clones_imported_is_one(repo):
    tags = [run_json(ONE, host="mine", tags=[tag], event={"kind": "import", "time": NINE, "nonce": tag}) for tag in "ab"]
    [entry(ONE, document=document) for document in tags]
    ((_, _, out, _, _),) = outcomes([["show", ONE, "--json"]])
    assert json.loads(out)["tags"] == ["a", "b"]


def test_an_entry_written_again_for_another_run_hides_neither(repo):
    tree = entry(ONE)
    listed()
    append(tree, trailers(TWO))
    assert listed() == rebuilt() == {ONE: "completed", TWO: "broken"}


def test_an_entry_that_follows_itself_does_not_hide_its_run(repo):
    tree = entry(ONE)
    listed()
    append(tree, trailers(ONE, prev=[tree]))
    assert listed() == rebuilt() == {ONE: "completed"}


def test_entries_that_follow_each_other_do_not_hide_their_run(repo):
    one, two = entry_tree(ONE), entry_tree(ONE, document=run_json(ONE, note="two"))
    append(one, trailers(ONE, prev=[two]))
    append(two, trailers(ONE, prev=[one]))
    entry(TWO, document=later())
    assert listed() == rebuilt() == {ONE: "completed", TWO: "completed"}
    assert faults(outcomes(SOME)) == []


# -- the code itself --------------------------------------------------------------------------------------------------------

FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle", "cPickle", "dill", "shelve", "marshal", "yaml.load",
    "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "tempfile.mktemp", "os.execvp", "os.spawnvp", "shell=True", "sh -c",
}  # fmt: skip
ALLOWED = {
    ("cli/options.py", "sh -c"): "the user's own pager, as git starts it; the page goes in by a pipe",
}
"""Who may do what is forbidden, and why."""


def dotted(node):
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def deeds(tree):
    """Yield what a module calls or imports that data could make it run."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func)
            yield from (
                "shell=True"
                for word in node.keywords
                if word.arg == "shell" and not (isinstance(word.value, ast.Constant) and word.value.value is False)
            )
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.List | ast.Tuple):
            words = [item.value for item in node.elts if isinstance(item, ast.Constant)]
            yield from ("sh -c" for word, after in pairwise(words) if (word, after) in (("sh", "-c"), ("bash", "-c")))


FILES = sorted(
    path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if "data" not in path.relative_to(PACKAGE).parts
)


@pytest.mark.parametrize("file", FILES)
def test_no_module_runs_data_as_code(file):
    found = set(deeds(ast.parse((PACKAGE / file).read_text("utf-8")))) & FORBIDDEN
    assert found == {deed for place, deed in ALLOWED if place == file}
