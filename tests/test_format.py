"""The format of the ledger, from outside: what `docs/format.md` says is what gitparams writes, reads and tolerates."""

import json
import re
import subprocess
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import git, gitparams, make_repository

from gitparams.capture import objects
from gitparams.entry import (
    FORMAT,
    details_files,
    message,
    origins_document,
    read_details,
    read_event,
    read_origins,
    read_run,
    run_files,
)
from gitparams.errors import LedgerError
from gitparams.git import Git
from gitparams.ledger import REF, Ledger
from gitparams.model import CodeState, Details, Event, EventKind, Oid, Run, RunId, Status
from gitparams.params import Origin, Overridden, layer, nested, path_keys, path_text
from gitparams.recorder import spool
from gitparams.repository import Repository
from gitparams.values import decode_json, encode_json, same
from gitparams.writing import Beginning

DOCUMENT = (Path(__file__).resolve().parent.parent / "docs" / "format.md").read_text("utf-8")
ONE, TWO, THREE = "kkkkmmmmppppssss", "llllnnnnqqqqtttt", "ooooppppvvvvzzzz"
NINE, TEN = "2026-11-23T09:00:00+00:00", "2026-11-23T11:00:00+01:00"


# -- a writer that knows git and the specification, and nothing of gitparams ------------------------------------------------


def run_json(run, kind="record", **changes):
    document = {
        "format": 1,
        "id": run,
        "event": {"kind": kind, "time": NINE, "nonce": "00"},
        "status": "completed",
        "started": NINE,
        "finished": NINE,
    }
    return {**document, **changes}


def write_tree(files, cwd=None):
    lines = [
        f"100644 blob {git('hash-object', '-w', '--stdin', stdin=text, cwd=cwd)}\t{name}\n" for name, text in files.items()
    ]
    return git("mktree", stdin="".join(lines), cwd=cwd)


def write_entry(run, *, document=None, files=None, prev=(), kind="record", cwd=None):
    """Append one entry by hash-object, mktree, commit-tree and update-ref, and return its tree."""
    texts = {
        "run.json": json.dumps(document or run_json(run, kind)),
        "params.json": "{}",
        "metrics.json": "{}",
        **(files or {}),
    }
    tree = write_tree({name: text for name, text in texts.items() if text is not None}, cwd)
    tip = git("for-each-ref", "--format=%(objectname)", REF, cwd=cwd)
    trailers = [
        f"Run-Id: {run}",
        "Run-Status: completed",
        f"Run-Event: {kind}",
        *([f"Run-Prev: {' '.join(prev)}"] if prev else []),
    ]
    text = f"{kind} {run[:8]}\n\n" + "\n".join(trailers) + "\n"
    commit = git("commit-tree", tree, *(["-p", tip] if tip else []), stdin=text, cwd=cwd)
    git("update-ref", "--create-reflog", "-m", "outside", REF, commit, tip, cwd=cwd)
    return tree


def shown(run):
    return json.loads(said("show", "--json", run))


def said(*words):
    outcome = gitparams(*words)
    assert outcome.code == 0, outcome
    return outcome.out


def listed():
    """Return what `log` lists: id → status."""
    return {run["id"]: run["status"] for run in json.loads(said("log", "--json"))}


def blob(path):
    return subprocess.run(["git", "cat-file", "blob", f"{REF}:{path}"], capture_output=True, check=True).stdout


def test_an_entry_written_by_plain_git_is_a_run(repo):
    document = run_json(
        ONE, name="by-hand", experiment="digits", command=["sh", "train.sh"], tags=["outside"], note="no Python here"
    )
    params = '{"optim": {"lr": 1E-2, "big": 123456789012345678901234567890}, "a.b": null}'
    write_entry(
        ONE, document=document, files={"params.json": params, "metrics.json": '{"acc": 0.9, "loss": {"$float": "NaN"}}'}
    )
    run = shown("by-hand")
    assert run["id"] == ONE
    assert run["params"] == {"a.b": None, "optim": {"big": 123456789012345678901234567890, "lr": 0.01}}
    assert run["metrics"] == {"acc": 0.9, "loss": "NaN"}
    assert (run["experiment"], run["command"], run["tags"], run["note"]) == (
        "digits",
        ["sh", "train.sh"],
        ["outside"],
        "no Python here",
    )
    assert run["author"] == "Ada <ada@example.com>"
    assert listed() == {ONE: "completed"}
    assert ONE[:8] in said("log")


def test_an_event_written_by_plain_git_changes_its_run(repo):
    first = write_entry(ONE)
    document = run_json(ONE, tags=["better"], event={"kind": "update", "time": TEN, "nonce": "01"})
    write_entry(ONE, document=document, prev=[first], kind="update")
    assert shown(ONE)["tags"] == ["better"]
    assert listed() == {ONE: "completed"}


def test_two_events_on_one_entry_are_merged_field_by_field(repo):
    first = write_entry(ONE, document=run_json(ONE, tags=["old", "gone"]), files={"params.json": '{"lr": 0.1, "seed": 1}'})
    left = run_json(ONE, tags=["gone", "old", "left"], note="left", event={"kind": "update", "time": NINE, "nonce": "01"})
    right = run_json(ONE, tags=["old"], name="right", event={"kind": "update", "time": TEN, "nonce": "02"})
    write_entry(ONE, document=left, prev=[first], files={"params.json": '{"lr": 0.2, "seed": 1}'})
    write_entry(ONE, document=right, prev=[first], files={"params.json": '{"lr": 0.1, "seed": 2}'})
    run = shown(ONE)
    assert (run["tags"], run["note"], run["name"]) == (["left", "old"], "left", "right")
    assert run["params"] == {"lr": 0.2, "seed": 2}


def test_the_event_after_two_names_both(repo):
    first = write_entry(ONE)
    trees = [
        write_entry(
            ONE, document=run_json(ONE, event={"kind": "update", "time": TEN, "nonce": nonce}), prev=[first], kind="update"
        )
        for nonce in ("01", "02")
    ]
    said("tag", ONE, "both")
    assert git("log", "-1", "--format=%(trailers:key=Run-Prev,valueonly)", REF).split() == sorted(trees)


def test_the_example_of_the_document_writes_a_run(repo):
    (example,) = re.findall(r"```sh\n(# One run.*?)```", DOCUMENT, re.S)
    subprocess.run(["sh", "-c", example], check=True)
    (run,) = json.loads(said("log", "--json"))
    assert run["params"] == {"data": {"path": "data/train"}, "optim": {"lr": 0.01}, "seed": 1}
    assert run["metrics"] == {"acc": 0.93, "loss": "NaN"}
    assert (run["status"], run["commit"], run["command"]) == ("completed", git("rev-parse", "HEAD"), ["python", "train.py"])
    assert git("rev-parse", f"{REF}:code") == git("rev-parse", "HEAD^{tree}")
    assert git("fsck", "--strict") == ""


def test_the_example_works_a_second_time(repo):
    (example,) = re.findall(r"```sh\n(# One run.*?)```", DOCUMENT, re.S)
    subprocess.run(["sh", "-c", example], check=True)
    subprocess.run(["sh", "-c", example.replace("kkmpptxzqlrsuvwy", TWO)], check=True)
    assert set(listed()) == {"kkmpptxzqlrsuvwy", TWO}


def test_the_example_writes_what_gitparams_would_write(repo):
    (example,) = re.findall(r"```sh\n(# One run.*?)```", DOCUMENT, re.S)
    subprocess.run(["sh", "-c", example], check=True)
    for name in ("run.json", "params.json", "metrics.json"):
        assert encode_json(decode_json(blob(name))) == blob(name)


def test_the_documents_conversions_are_those_of_the_code():
    rules = objects.__doc__.split("=\n")[2].rpartition("\n=")[0]
    words = re.findall(r"\w+", rules)
    section = DOCUMENT.partition("## 7. Python values")[2].partition("\n## ")[0]
    table = "".join(line for line in section.splitlines(True) if line.startswith("|")).partition("|---|---|\n")[2]
    assert sorted(re.findall(r"\w+", table)) == sorted(words)


# -- what later versions write ------------------------------------------------------------------------------------------------


def test_a_field_that_nobody_knows_survives_an_event(repo):
    write_entry(ONE, document=run_json(ONE, energy={"joule": 12.5, "odd": {"$float": "Infinity"}}, colour=""))
    said("tag", ONE, "kept")
    document = decode_json(blob("run.json"))
    assert document["tags"] == ["kept"]
    assert document["energy"] == {"joule": 12.5, "odd": float("inf")}
    assert document["colour"] == ""


def test_a_file_that_nobody_knows_survives_an_event(repo):
    write_entry(ONE, files={"model.card": "a file of another program\n"})
    said("tag", ONE, "kept")
    assert blob("model.card") == b"a file of another program\n"


def test_a_newer_format_is_listed_as_broken_and_the_others_as_they_are(repo):
    write_entry(ONE)
    write_entry(TWO, document=run_json(TWO, format=FORMAT + 1))
    assert listed() == {ONE: "completed", TWO: "broken"}
    refused = gitparams("show", TWO)
    assert refused.code == 1
    assert "format 2" in refused.err
    assert "upgrade" in gitparams("doctor").out


def test_an_event_on_a_newer_format_is_refused(repo):
    write_entry(TWO, document=run_json(TWO, format=FORMAT + 1))
    tip = git("rev-parse", REF)
    refused = gitparams("tag", TWO, "x")
    assert (refused.code, git("rev-parse", REF)) == (1, tip)


BROKEN = {
    "a file is missing": {"files": {"metrics.json": None}},
    "run.json is missing": {"files": {"run.json": None}},
    "not JSON": {"files": {"params.json": "{lr: 0.1}"}},
    "a NaN that is not JSON": {"files": {"params.json": '{"lr": NaN}'}},
    "not a mapping": {"files": {"params.json": "[1, 2]"}},
    "an unknown tag": {"files": {"params.json": '{"lr": {"$float": "0.1"}}'}},
    "the id of another run": {"document": run_json(THREE)},
    "no format": {"document": {"id": TWO}},
    "no event": {"document": {key: value for key, value in run_json(TWO).items() if key != "event"}},
    "an unknown status": {"document": run_json(TWO, status="paused")},
    "a time without an offset": {"document": run_json(TWO, started="2026-11-23T09:00:00")},
}


@pytest.mark.parametrize("flaw", BROKEN.values(), ids=BROKEN)
def test_an_entry_that_cannot_be_read_is_listed_as_broken_and_the_others_as_they_are(repo, flaw):
    write_entry(ONE)
    write_entry(TWO, **flaw)
    write_entry("rrrrsssstttttuuu")
    assert listed() == {"rrrrsssstttttuuu": "completed", TWO: "broken", ONE: "completed"}


def test_what_reads_an_object_git_lost_is_broken_and_the_others_are_listed(repo):
    write_entry(ONE)
    write_entry(TWO, files={"metrics.json": '{"acc": 0.123}'})
    lost = git("rev-parse", f"{REF}:metrics.json")
    (repo / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    assert listed() == {TWO: "broken", ONE: "completed"}


def test_a_commit_that_is_no_entry_hides_nothing(repo):
    write_entry(ONE)
    commit = git("commit-tree", "HEAD^{tree}", "-p", REF, "-m", "somebody committed here")
    git("update-ref", REF, commit)
    assert listed()[ONE] == "completed"


# -- exact bytes --------------------------------------------------------------------------------------------------------------

FIXED = Run(
    id=RunId("qpvuntsmwlqtrvkp"),
    status=Status.COMPLETED,
    started=datetime.fromisoformat("2026-11-23T09:00:00.250000+01:00"),
    finished=datetime.fromisoformat("2026-11-23T09:01:00+01:00"),
    name="baseline",
    params=nested(
        {"optim": {"lr": 1e-07, "betas": [0.9, 0.999]}, "größe": 10**20, "amp": True, "seed": None, "$float": 1, "a.b": {}}
    ),
    metrics={"loss": float("nan"), "acc": 0.93, "steps": 300},
    command=("python", "train.py", "--lr", "1e-7"),
    code=CodeState(commit=Oid("4f2c" * 10), branch="main", tree=Oid("ab" * 20), dirty=True),
    author="Ada <ada@example.com>",
    host="gpu-1",
    user="ada",
    python="3.12.1",
    exit_code=0,
    tags=("resnet",),
)
MOMENT = Event(EventKind.FINISH, datetime.fromisoformat("2026-11-23T09:01:00+01:00"), "0123456789abcdef")


def test_params_json_is_exact():
    assert run_files(FIXED, MOMENT)["params.json"].decode() == (
        '{\n  "$float": 1,\n  "a.b": {},\n  "amp": true,\n  "größe": 100000000000000000000,\n'
        '  "optim": {\n    "betas": [\n      0.9,\n      0.999\n    ],\n    "lr": 1e-07\n  },\n  "seed": null\n}\n'
    )


def test_metrics_json_is_exact():
    assert run_files(FIXED, MOMENT)["metrics.json"].decode() == (
        '{\n  "acc": 0.93,\n  "loss": {\n    "$float": "NaN"\n  },\n  "steps": 300\n}\n'
    )


def test_run_json_is_exact():
    assert (
        run_files(FIXED, MOMENT)["run.json"].decode()
        == """\
{
  "command": [
    "python",
    "train.py",
    "--lr",
    "1e-7"
  ],
  "cwd": ".",
  "event": {
    "kind": "finish",
    "nonce": "0123456789abcdef",
    "time": "2026-11-23T09:01:00+01:00"
  },
  "exit_code": 0,
  "experiment": "default",
  "finished": "2026-11-23T09:01:00+01:00",
  "format": 1,
  "git": {
    "branch": "main",
    "commit": "4f2c4f2c4f2c4f2c4f2c4f2c4f2c4f2c4f2c4f2c",
    "dirty": true,
    "tree": "abababababababababababababababababababab"
  },
  "host": "gpu-1",
  "id": "qpvuntsmwlqtrvkp",
  "name": "baseline",
  "python": "3.12.1",
  "started": "2026-11-23T09:00:00.250000+01:00",
  "status": "completed",
  "tags": [
    "resnet"
  ],
  "user": "ada"
}
"""
    )


def test_the_message_is_exact():
    prev = [Oid("bb" * 20), Oid("aa" * 20)]
    text = message("finish qpvuntsm: optim.lr 0.1 → 0.01\nof\x1bno", FIXED, MOMENT, prev, RunId(ONE))
    assert text == (
        "finish qpvuntsm: optim.lr 0.1 → 0.01 of�no\n\n"
        "Run-Id: qpvuntsmwlqtrvkp\n"
        "Run-Status: completed\n"
        "Run-Event: finish\n"
        f"Run-Prev: {'aa' * 20} {'bb' * 20}\n"
        f"Run-Compared: {ONE}\n"
        f"Run-Commit: {'4f2c' * 10}\n"
    )


def test_origins_json_is_exact():
    origins = {
        "optim.lr": Origin("cli", "-p optim.lr=0.01", (Overridden(0.1, "file", "conf/train.yaml:12"),)),
        "seed": Origin("code"),
    }
    assert (
        details_files(Details(origins=origins))["origins.json"].decode()
        == """\
{
  "optim.lr": {
    "at": "-p optim.lr=0.01",
    "overrode": [
      {
        "at": "conf/train.yaml:12",
        "source": "file",
        "value": 0.1
      }
    ],
    "source": "cli"
  },
  "seed": {
    "source": "code"
  }
}
"""
    )


def test_the_commit_object_is_exact(repo):
    with Repository.find(repo) as found:
        run = found.record(Beginning(layer({"lr": 0.1}, "code")), {"acc": 0.5})
    seconds = int(run.finished.timestamp())
    assert git("cat-file", "commit", REF).split("\n")[:4] == [
        f"tree {git('rev-parse', f'{REF}^{{tree}}')}",
        f"author Ada <ada@example.com> {seconds} +0000",
        f"committer Ada <ada@example.com> {seconds} +0000",
        "",
    ]
    assert git("ls-tree", REF).split("\n")[0].startswith("040000 tree")
    assert {line[:12] for line in git("ls-tree", REF).split("\n")[1:]} == {"100644 blob "}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.0, "-0.0"),
        (1e16, "1e+16"),
        (1e-5, "1e-05"),
        (5e-324, "5e-324"),
        (float("-inf"), '{"$float":"-Infinity"}'),
        ({"$float": "NaN"}, '{"$$float":"NaN"}'),
        ({"$$float": 1}, '{"$$$float":1}'),
        ({"$float": 1, "x": 2}, '{"$float":1,"x":2}'),
        ('\ud800 \x00\n"\\/é', '"\\ud800 \\u0000\\n\\"\\\\/é"'),
        ({"b": 1, "B": 2, "é": 3, "😀": 4, "\uffff": 5}, '{"B":2,"b":1,"é":3,"\uffff":5,"😀":4}'),
    ],
)
def test_the_json_of_a_value_is_exact(value, text):
    assert encode_json(value, indent=None).decode() == text
    assert same(decode_json(text), value)


# -- round trips --------------------------------------------------------------------------------------------------------------

texts = st.text(max_size=20)
words = st.text(min_size=1, max_size=12)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$float", "$$float", "a.b", "", "lr"]) | texts, inner, max_size=3)
    ),
    max_leaves=12,
)
mappings = st.dictionaries(texts, values, max_size=4)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1), timezones=offsets)
ids = st.text("klmnopqrstuvwxyz", min_size=16, max_size=16).map(RunId)
oids = st.text("0123456789abcdef", min_size=40, max_size=40).map(Oid)
maybe = st.none() | words
codes = st.builds(
    CodeState,
    commit=st.none() | oids,
    branch=maybe,
    tree=st.none() | oids,
    dirty=st.booleans(),
    patch_id=st.none() | oids,
    note=maybe,
    submodules=st.dictionaries(texts, texts, max_size=2),
)
known = {"format", "event", "git"} | {field.name for field in fields(Run)}
runs = st.builds(
    Run,
    id=ids,
    status=st.sampled_from(Status),
    started=times,
    finished=st.none() | times,
    name=maybe,
    experiment=words,
    params=mappings.map(nested),
    metrics=st.dictionaries(texts, st.integers() | st.floats() | st.booleans(), max_size=4),
    command=st.lists(texts, max_size=4).map(tuple),
    cwd=words,
    code=codes,
    author=st.just("Ada <ada@example.com>"),
    host=texts,
    user=texts,
    python=texts,
    exit_code=st.none() | st.integers(-255, 255),
    seeds=mappings,
    inputs=mappings,
    outputs=mappings,
    tags=st.lists(words, max_size=3, unique=True).map(lambda tags: tuple(sorted(tags))),
    note=texts,
    expect=st.lists(texts, max_size=3).map(tuple),
    deleted=st.booleans(),
    parent=st.none() | ids,
    group=st.booleans(),
    programs=st.lists(values, max_size=3).map(tuple),
    redacted=st.lists(texts, max_size=3).map(tuple),
    disputed=st.lists(texts, max_size=3).map(tuple),
    drift=st.dictionaries(texts, st.lists(values, min_size=2, max_size=2), max_size=2),
    unread=st.lists(texts, max_size=3).map(tuple),
    environment=mappings,
    extra=st.dictionaries(words.filter(lambda key: key not in known), values, max_size=3),
)
events = st.builds(Event, kind=st.sampled_from(EventKind), time=times, nonce=texts)
origins = st.builds(
    Origin,
    source=texts,
    at=st.none() | texts,
    overrode=st.lists(st.builds(Overridden, value=values, source=texts, at=st.none() | texts), max_size=2).map(tuple),
)
details = st.builds(
    Details,
    origins=st.dictionaries(texts, origins, max_size=3),
    packages=st.lists(st.from_regex(r"[A-Za-z0-9._-]+==[0-9A-Za-z.!+]+", fullmatch=True), max_size=3).map(tuple),
    series=st.binary(max_size=50),
    output=st.binary(max_size=50),
)


def portrait(thing):
    """Return a frozen value as plain JSON values, so that `same` compares it with NaN, -0.0, bools and offsets in it."""
    if isinstance(thing, datetime):
        return thing.isoformat()
    if isinstance(thing, dict):
        return {key: portrait(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [portrait(value) for value in thing]
    if hasattr(thing, "__dataclass_fields__"):
        return {field.name: portrait(getattr(thing, field.name)) for field in fields(thing)}
    return thing


@given(runs, events)
def test_a_run_reads_back_as_it_was_written(run, event):
    files = run_files(run, event)
    document = decode_json(files["run.json"])
    read = read_run(document, decode_json(files["params.json"]), decode_json(files["metrics.json"]), run.author)
    assert same(portrait(read), portrait(run))
    assert read_event(document) == event
    assert run_files(read, event) == files


@given(details)
def test_details_read_back_as_they_were_written(wanted):
    files = details_files(wanted)
    read = read_details(files.get)
    assert same(portrait(read), portrait(wanted))
    assert details_files(read) == files


@given(st.dictionaries(texts, origins, max_size=3))
def test_origins_read_back_through_json(wanted):
    assert same(portrait(read_origins(decode_json(encode_json(origins_document(wanted))))), portrait(wanted))


@given(runs, events)
def test_every_file_is_json_that_any_reader_takes(run, event):
    def refuse(name):
        raise AssertionError(name)

    for data in run_files(run, event).values():
        json.loads(data.decode("utf-8"), parse_constant=refuse)
        assert data.endswith(b"\n}\n") or data == b"{}\n"


@given(st.lists(texts, min_size=1, max_size=4).map(tuple))
def test_every_path_reads_back(keys):
    assert path_keys(path_text(keys)) == keys


# -- git's own check ----------------------------------------------------------------------------------------------------------


def test_git_fsck_is_content_after_every_kind_of_event(repo, tmp_path, monkeypatch):
    def sound():
        outcome = subprocess.run(["git", "fsck", "--strict", "--no-dangling"], capture_output=True, text=True, check=False)
        assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")

    run = said("start", "-p", "lr=0.1", "--", "python", "train.py").strip()
    sound()
    said("update", run, "-p", "seed=1", "--metric", "loss=nan")
    sound()
    said("finish", run, "--metric", "acc=0.9")
    sound()
    said("record", "-p", "lr=0.01")
    sound()
    said("tag", run, "é", "resnet")
    said("note", run, "two\nlines \x1b[31m")
    said("rename", run, "first")
    sound()
    said("rm", "--yes", run)
    sound()
    said("rm", "--undo", run)
    sound()
    (repo / "train.py").write_text("print('changed')\n")
    assert gitparams("run", "-p", 'odd["a.b"]=1', "--", "git", "no-such-command").code == 1
    sound()
    monkeypatch.setenv("GITPARAMS_SPOOL", str(tmp_path / "spool"))
    spool(Beginning(layer({"lr": 0.5}, "code")), LedgerError("the disk is full."))
    said("import", "spool")
    sound()
    assert said("log", "--deleted", "--json").strip() == "[]"


def test_git_fsck_is_content_with_a_merge_of_ledgers(tmp_path, monkeypatch):
    hub = make_repository(tmp_path / "hub")
    write_entry(ONE, cwd=hub)
    git("clone", "--quiet", str(hub), str(tmp_path / "clone"))
    git("fetch", "--quiet", "origin", f"{REF}:{REF}", cwd=tmp_path / "clone")
    write_entry(TWO, cwd=hub)
    write_entry(THREE, cwd=tmp_path / "clone")
    git("fetch", "--quiet", "origin", f"{REF}:refs/gitparams/remotes/origin/runs", cwd=tmp_path / "clone")
    monkeypatch.chdir(tmp_path / "clone")
    with Git.find() as found:
        mine, theirs = Oid(git("rev-parse", REF)), Oid(git("rev-parse", "refs/gitparams/remotes/origin/runs"))
        git("update-ref", REF, Ledger(found).join(mine, theirs), mine)
    assert git("fsck", "--strict", "--no-dangling") == ""
    parents = sorted([mine, theirs])
    assert git("log", "-1", "--format=%P|%T|%an <%ae>|%B", REF) == (
        f"{' '.join(parents)}|{git('rev-parse', f'{parents[0]}^{{tree}}')}|gitparams <gitparams@localhost>"
        "|merge 2 ledgers\n\nRun-Event: merge"
    )
    assert set(listed()) == {ONE, TWO, THREE}


# -- a ledger by git alone -----------------------------------------------------------------------------------------------------


def test_params_can_be_read_by_git_alone(repo):
    write_entry(ONE, files={"params.json": '{\n  "lr": 0.1\n}\n'})
    write_entry(TWO, files={"params.json": '{\n  "lr": 0.01\n}\n'})
    patch = git("log", "-p", "--format=%s", REF, "--", "params.json", "metrics.json")
    assert '-  "lr": 0.1\n+  "lr": 0.01' in patch


def test_the_run_of_an_entry_is_known_by_its_trailers(repo):
    with Repository.find(repo) as found:
        run = found.record(Beginning(layer({"lr": 0.1}, "code")), {})
    assert git("log", "-1", "--format=%(trailers:key=Run-Id,valueonly)", REF).strip() == run.id
