"""Entries are signed by git's own ways when asked for, and `verify` tells whatever is not as its writer left it."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from world import git, gitparams, make_repository

PROGRAM = "import gitparams\nwith gitparams.start({'lr': 0.5}) as run:\n    run.log(loss=0.25)\nprint('trained')\n"


def record(*words, cwd=None):
    done = gitparams("record", *words, cwd=cwd)
    assert done.code == 0, done.err
    return done.out.strip()


def tip(cwd=None):
    return git("rev-parse", "refs/gitparams/runs", cwd=cwd)


def faults(*words, cwd=None):
    """Verify, and return what is wrong as pairs of a word and a sentence in which ids are letters."""
    done = gitparams("verify", "--json", *words, cwd=cwd)
    found = json.loads(done.out)["faults"]
    assert done.code == (1 if found else 0) and "Traceback" not in done.err
    return [(fault["what"], re.sub(r"\b[0-9a-f]{10}\b", "<id>", fault["says"])) for fault in found]


@pytest.fixture
def ssh(repo, tmp_path):
    """A repository whose entries are signed with ssh."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("there is no ssh-keygen")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (tmp_path / "allowed").write_text(f"ada@example.com {(tmp_path / 'key.pub').read_text()}")
    for name, value in {
        "gpg.format": "ssh",
        "user.signingKey": f"{key}.pub",
        "gpg.ssh.allowedSignersFile": str(tmp_path / "allowed"),
        "gitparams.sign": "true",
    }.items():
        git("config", name, value)
    return repo


# -- signing --------------------------------------------------------------------------------------------------------------


def test_entries_are_signed_with_ssh_as_git_does_and_git_verifies_them(ssh):
    record("-p", "lr=1")
    gitparams("tag", "latest", "best")
    assert gitparams("run", "-p", "lr=2", "--", "true").code == 0
    commits = git("rev-list", "refs/gitparams/runs").split()
    assert git("log", "--format=%G? %GS", "refs/gitparams/runs").splitlines() == ["G ada@example.com"] * 4
    assert subprocess.run(["git", "verify-commit", *commits], capture_output=True, check=False).returncode == 0
    verified = gitparams("verify")
    assert (verified.code, verified.out) == (0, "")
    assert (
        verified.err
        == f"gitparams: 4 entries of 2 runs up to {commits[0][:10]}, 4 signed by ada@example.com: nothing is wrong.\n"
    )


def test_a_signature_changes_nothing_that_an_entry_is_known_by(ssh):
    record("-p", "lr=1")
    signed = git("cat-file", "commit", "refs/gitparams/runs")
    header = git("log", "-1", "--format=%T|%an <%ae> %ad|%cn <%ce> %cd|%P", "--date=raw", "refs/gitparams/runs")
    unsigned = re.sub(r"gpgsig .*?-----END SSH SIGNATURE-----\n", "", signed, flags=re.S)
    oid = git("hash-object", "-t", "commit", "-w", "--stdin", stdin=unsigned + "\n")
    assert git("log", "-1", "--format=%T|%an <%ae> %ad|%cn <%ce> %cd|%P", "--date=raw", oid) == header
    assert "gpgsig" not in unsigned and [run["params"] for run in json.loads(gitparams("log", "--json").out)] == [{"lr": 1}]


def test_in_a_sha256_repository_the_signature_is_where_git_puts_it_there(ssh, tmp_path):
    away = make_repository(tmp_path / "away", "--object-format=sha256")
    shutil.copy(ssh / ".git/config", tmp_path / "config")
    for line in git("config", "--local", "--list").splitlines():
        name, _, value = line.partition("=")
        if name.startswith(("gpg.", "user.", "gitparams.")):
            git("config", name, value, cwd=away)
    record("-p", "lr=1", cwd=away)
    assert "\ngpgsig-sha256 -----BEGIN SSH" in git("cat-file", "commit", "refs/gitparams/runs", cwd=away)
    assert faults(cwd=away) == []


def test_entries_are_signed_with_gpg(repo, tmp_path, monkeypatch):
    if shutil.which("gpg") is None:
        pytest.skip("there is no gpg")
    home = tmp_path / "g"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    words = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "Ada <ada@example.com>", "ed25519"]
    made = subprocess.run(words, capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("this gpg makes no key")
    git("config", "gitparams.sign", "true")
    try:
        record("-p", "lr=1")
        found = json.loads(gitparams("verify", "--json").out)
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], capture_output=True, check=False)
    assert (found["signers"], found["faults"]) == ({"Ada <ada@example.com>": 1}, [])


def test_an_alias_is_signed_too_and_a_merge_is_nobodys(ssh, tmp_path):
    record("-p", "lr=1")
    clone = tmp_path / "clone"
    git("clone", "-q", ssh, clone)
    gitparams("pull", cwd=clone)
    record("-p", "lr=2", cwd=clone)
    record("-p", "lr=3")
    git("commit", "-q", "--allow-empty", "-m", "second")
    gitparams("pull", str(clone))
    assert faults() == [("signature", "1 entry is not signed, the newest of them <id>.")]
    assert faults("--no-signed") == []


@pytest.mark.parametrize("command", ["run", "start"])
def test_what_cannot_be_signed_is_never_written_unsigned_and_training_goes_on(ssh, command):
    record("-p", "lr=1")
    before = tip()
    git("config", "user.signingKey", "/nowhere")
    words = ["-m", "gitparams", "run", "-p", "lr=0.5", "--", "echo", "trained"] if command == "run" else ["-c", PROGRAM]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, tip()) == (0, "trained\n", before)
    assert "The entry could not be signed: " in done.stderr and "the next gitparams command brings it in" in done.stderr
    assert gitparams("doctor").out.count("The entry could not be signed") == 1

    git("config", "user.signingKey", f"{ssh.parent / 'key.pub'}")
    document = json.loads(gitparams("log", "--json").out)[0]
    assert (document["status"], document["params"]) == ("completed", {"lr": 0.5})
    assert faults() == []


def test_a_finished_run_that_cannot_be_signed_is_an_error_with_what_to_set(ssh):
    git("config", "user.signingKey", "/nowhere")
    done = gitparams("record", "-p", "lr=1")
    assert done.code == 1 and done.err.startswith("gitparams: The entry could not be signed: ")
    assert "hint: git config user.signingKey KEY" in done.err and git("for-each-ref", "refs/gitparams") == ""


def test_a_purge_drops_the_signatures_of_what_it_rewrites(ssh):
    gone = record("-p", "lr=1")
    record("-p", "lr=2")
    assert gitparams("purge", gone, "--yes", "--offline").code == 0
    assert {what for what, _ in faults()} <= {"signature"} and "B" not in git("log", "--format=%G?", "refs/gitparams/runs")
    assert faults("--no-signed") == []


# -- signatures that are not right ----------------------------------------------------------------------------------------


def test_an_entry_that_was_changed_after_it_was_signed_is_found(ssh):
    record("-p", "lr=1")
    forged = git("cat-file", "commit", "refs/gitparams/runs").replace("record ", "Record ", 1) + "\n"
    oid = git("hash-object", "-t", "commit", "-w", "--stdin", stdin=forged)
    git("update-ref", "refs/gitparams/runs", oid)
    (ssh / ".git/gitparams/tip").unlink()
    (ssh / ".git/logs/refs/gitparams/runs").unlink()
    assert faults() == [("signature", "<id> has a signature that is not of this entry: it was changed after it was signed.")]


def test_keys_that_nobody_trusts_are_named_once_each(ssh, tmp_path):
    record("-p", "lr=1")
    record("-p", "lr=2")
    (tmp_path / "allowed").write_text("")
    ((what, says),) = faults()
    assert what == "signature" and re.fullmatch(
        r"2 entries are signed with key SHA256:\S+, which gpg.ssh.allowedSignersFile does not name, the newest <id>.", says
    )
    git("config", "--unset", "gpg.ssh.allowedSignersFile")
    done = gitparams("verify")
    assert "2 signatures cannot be checked" in done.out and "hint: git config gpg.ssh.allowedSignersFile FILE" in done.out


def test_unsigned_entries_are_a_fault_where_entries_are_signed_or_it_is_asked_for(ssh):
    git("config", "gitparams.sign", "false")
    record("-p", "lr=1")
    assert (faults(), faults("--signed")) == ([], [("signature", "1 entry is not signed, the newest of them <id>.")])
    git("config", "gitparams.sign", "true")
    known = tip()
    record("-p", "lr=2")
    assert (len(faults()), faults("--since", known)) == (1, [])


# -- append-only ----------------------------------------------------------------------------------------------------------


def test_a_rewind_is_found_and_nothing_is_changed_by_looking(repo):
    record("-p", "lr=1")
    record("-p", "lr=2")
    lost = tip()
    git("update-ref", "refs/gitparams/runs", "refs/gitparams/runs~1")
    done = gitparams("verify")
    assert (done.code, done.out) == (
        1,
        f"ledger     The ledger was rewound or rewritten: {lost[:10]} is not in it any more, and no purge explains that.\n"
        "           hint: gitparams doctor   (joins the two)\n",
    )
    assert tip() != lost
    assert gitparams("doctor").code == 0 and tip() == lost and faults() == []


def test_a_rewind_before_the_last_one_is_told_by_the_reflog(repo):
    record("-p", "lr=1")
    record("-p", "lr=2")
    git("update-ref", "refs/gitparams/runs", "refs/gitparams/runs~1")
    (repo / ".git/gitparams/tip").unlink()
    assert faults() == [("ledger", "The ledger was at <id>, which is not in it any more.")]


def test_a_ledger_that_is_gone_is_found(repo):
    assert (gitparams("verify").code, gitparams("verify").err) == (0, "gitparams: No runs yet.\n")
    record("-p", "lr=1")
    git("update-ref", "-d", "refs/gitparams/runs")
    assert faults() == [("ledger", "The ledger is gone; it was at <id>.")]


def test_since_a_known_entry_only_what_came_after_it_is_looked_at(repo):
    record("-p", "lr=1")
    known = tip()
    record("-p", "lr=2")
    found = json.loads(gitparams("verify", "--json", "--since", known).out)
    assert (found["since"], found["entries"], found["runs"], found["faults"]) == (known, 1, 1, [])


def test_an_entry_that_was_known_and_is_gone_is_found_and_an_unknown_one_is_a_usage_error(repo, tmp_path):
    record("-p", "lr=1")
    away = make_repository(tmp_path / "away")
    record("-p", "lr=2", cwd=away)
    git("fetch", "-q", away, "refs/gitparams/runs")
    done = gitparams("verify", "--since", "FETCH_HEAD")
    assert done.code == 1 and "The ledger was rewound or rewritten" in done.out
    unknown = gitparams("verify", "--since", "0123456789")
    assert (unknown.code, unknown.err.splitlines()[0]) == (2, "gitparams: There is no entry '0123456789' in this repository.")


def test_a_purge_explains_what_is_gone(repo):
    record("-p", "lr=1")
    known = tip()
    gone = record("-p", "lr=2")
    known = tip()
    gitparams("purge", gone, "--yes", "--offline")
    assert (faults(), faults("--since", known)) == ([], [])


# -- entries --------------------------------------------------------------------------------------------------------------


def forge(
    change=lambda document: None, *, files=lambda lines: lines, message=None, parents=("refs/gitparams/runs",), date=None
):
    """Put an entry that no gitparams would write on the ledger, from the newest one."""
    document = json.loads(git("cat-file", "blob", "refs/gitparams/runs:run.json"))
    change(document)
    blob = git("hash-object", "-w", "--stdin", stdin=json.dumps(document))
    lines = [line for line in git("ls-tree", "refs/gitparams/runs").splitlines() if not line.endswith("\trun.json")]
    tree = git("mktree", "--missing", stdin="\n".join(files([*lines, f"100644 blob {blob}\trun.json"])) + "\n")
    text = message or git("log", "-1", "--format=%B", "refs/gitparams/runs")
    words = [word for parent in parents for word in ("-p", parent)]
    seconds = date or git("log", "-1", "--format=%ad", "--date=raw", "refs/gitparams/runs")
    commit = subprocess.run(
        ["git", "commit-tree", tree, *words],
        input=text,
        env={**os.environ, "GIT_AUTHOR_DATE": seconds, "GIT_COMMITTER_DATE": seconds},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    git("update-ref", "refs/gitparams/runs", commit)
    return commit


def nonce(document):
    document["event"]["nonce"] = "0123456789abcdef"


def of(**fields):
    def change(document):
        nonce(document)
        document.update(fields)

    return change


def at(time):
    def change(document):
        nonce(document)
        document["event"]["time"] = time

    return change


@pytest.mark.parametrize(
    ("forged", "found"),
    [
        ({"change": of(status="failed")}, "<id> of run {run} says Run-Status: completed, and its run.json failed."),
        ({"change": of(id="k" * 16)}, "<id> of run {run} says Run-Id: {id}, and its run.json kkkkkkkkkkkkkkkk."),
        ({"change": of(started=None)}, "<id> cannot be read: run.json: "),
        ({"change": of(format=99)}, "<id> cannot be read: run.json: It was written in format 99"),
        ({"change": nonce, "files": lambda lines: lines[1:]}, "<id> cannot be read: metrics.json is missing."),
        (
            {"change": nonce, "files": lambda lines: [line.replace("100644", "120000", 1) for line in lines]},
            "<id> cannot be read: run.json is no file.",
        ),
        ({"change": nonce, "files": lambda lines: [*lines, f"040000 tree {'1' * 40}\tcode"]}, "The code of run {run} is missing: tree <id>."),
        ({"change": at("2099-01-01T00:00:00+00:00"), "date": "4070908800 +0000"}, "<id> of run {run} is of the future: 2099-01-01T00:00:00+00:00."),
        ({"change": at("1999-01-01T00:00:00+00:00"), "date": "915148800 +0000"}, "<id> of run {run} is older than git: 1999-01-01T00:00:00+00:00."),
        ({"change": nonce, "date": "1795428000 +0000"}, "<id> of run {run} is dated otherwise than its event, "),
        ({"change": of(finished="2001-01-01T00:00:00+00:00")}, "<id> of run {run} ended before it began: 2001-01-01T00:00:00+00:00, "),
        ({"change": nonce, "message": "hello"}, "<id> is no entry of a run, and no merge, purge or alias."),
    ],
)  # fmt: skip
def test_an_entry_that_is_not_as_a_writer_leaves_it_is_found(repo, forged, found):
    run = record("-p", "lr=1")
    code = git("rev-parse", "refs/gitparams/runs:code")
    kept = forged.pop("files", lambda lines: lines)
    forge(**forged, files=lambda lines: kept([line for line in lines if not line.endswith("\tcode")]))
    wanted = found.format(run=run[:8], id=run)
    assert code and any(says.startswith(wanted) for _, says in faults()), faults()


def test_trailers_that_stand_twice_are_found(repo):
    run = record("-p", "lr=1")
    message = f"x\n\nRun-Id: {run}\nRun-Id: {'k' * 16}\nRun-Status: completed\nRun-Event: record\n"
    forge(nonce, message=message)
    assert ("entry", "<id> says Run-Id 2 times.") in faults()


def test_an_entry_that_follows_what_is_not_there_or_anothers_is_found(repo):
    first, second = record("-p", "lr=1"), record("-p", "lr=2")
    theirs = git("rev-parse", "refs/gitparams/runs~1^{tree}")
    message = f"x\n\nRun-Id: {second}\nRun-Status: completed\nRun-Event: record\nRun-Prev: {theirs} {'2' * 40}\n"
    forge(nonce, message=message)
    said = [says for _, says in faults()]
    assert f"<id> of run {second[:8]} follows an entry of run {first[:8]}." in said
    assert "<id> follows an entry that is not before it, <id>." in said


def test_two_runs_with_one_id_are_found_and_one_that_was_brought_in_twice_is_not(repo):
    run = record("-p", "lr=1")
    forge(nonce)
    assert faults() == []
    forge(of(started="2020-01-01T00:00:00+00:00"))
    assert faults() == [("run", f"Two runs have the id {run}: they begin with <id> and <id>.")]


def test_a_tree_of_which_two_entries_tell_otherwise_is_found(repo):
    run = record("-p", "lr=1")
    message = git("log", "-1", "--format=%B", "refs/gitparams/runs").replace("completed", "failed")
    git(
        "update-ref",
        "refs/gitparams/runs",
        git("commit-tree", "refs/gitparams/runs^{tree}", "-p", "refs/gitparams/runs", stdin=message),
    )
    assert ("entry", "<id> tells otherwise of a tree that another entry has.") in faults() and run


def test_a_merge_that_is_none_is_found(repo):
    record("-p", "lr=1")
    forge(nonce, parents=("refs/gitparams/runs", "HEAD"))
    assert ("entry", "<id> has 2 parents and is no merge.") in faults()


def test_an_object_that_is_gone_or_damaged_is_found_and_all_the_rest_is_looked_at(repo):
    record("-p", "lr=1")
    record("-p", "lr=2")
    gone = git("rev-parse", "refs/gitparams/runs:params.json")
    path = repo / ".git/objects" / gone[:2] / gone[2:]
    path.unlink()
    found = json.loads(gitparams("verify", "--json").out)
    assert [fault["says"] for fault in found["faults"]] == [f"The blob {gone[:10]} is missing or damaged."]
    assert (found["entries"], found["runs"]) == (2, 2)
    path.write_bytes(b"rubbish")
    assert [says for _, says in faults()] == ["The blob <id> is missing or damaged."]


def test_no_byte_of_a_ledger_commands_the_terminal(repo):
    record("-p", "lr=1")
    forge(nonce, message="x\n\nRun-Id: \x1b[31mred\nRun-Event: record\n")
    forge(of(started="\x1b[31m"))
    done = gitparams("verify")
    assert done.code == 1 and "\x1b" not in done.out + done.err
