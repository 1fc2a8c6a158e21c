"""Runs that git cannot take go to the spool and are brought in later; bundles carry runs where no network goes."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from world import git, gitparams, make_repository

from gitparams.bundles import unpack_journals
from gitparams.errors import UsageError

STRANGER = 12345
PROGRAM = """
import gitparams
with gitparams.start({"lr": 0.5}, name="kept", tags=["mine"]) as run:
    run.log(loss=0.25)
    run.summary["acc"] = 0.75
print("trained")
"""


def runs(cwd=None):
    return json.loads(gitparams("log", "--json", cwd=cwd).out)


def told(cwd=None):
    return [(run["id"], run["status"], run["params"], run["started"], run["finished"]) for run in runs(cwd)]


def ledger(cwd=None):
    return git("for-each-ref", "--format=%(objectname)", "refs/gitparams/runs", cwd=cwd)


def record(*words, cwd=None):
    done = gitparams("record", *words, cwd=cwd)
    assert done.code == 0, done.err
    return done.out.strip()


def other(tmp_path, name="other", *options):
    return make_repository(tmp_path / name, *options)


# -- the spool ------------------------------------------------------------------------------------------------------------


@dataclass
class Place:
    """A folder in which git can take no run, and how it is mended."""

    folder: Path
    variables: dict
    says: str
    mend: object


def without_git(tmp_path):
    folder, programs = make_repository(tmp_path / "work"), tmp_path / "bin"
    programs.mkdir()
    return Place(folder, {"PATH": str(programs)}, "Git is not installed", lambda: None)


def without_a_repository(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return Place(folder, {}, "is not in a git repository", lambda: git("init", "-q", cwd=folder))


def of_somebody_else(tmp_path):
    folder = make_repository(tmp_path / "work")
    if os.getuid() != 0:
        return Place(folder, {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}, "Git does not trust", lambda: None)
    for path in (folder, folder / ".git"):
        os.chown(path, STRANGER, STRANGER)
    return Place(folder, {}, "Git does not trust", lambda: git("config", "--global", "--add", "safe.directory", folder))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of eight megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    with (folder / "filling").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def spooled(place):
    """Train in a place where git takes nothing, and check what the person sees of it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=place.folder,
        env={**os.environ, **place.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr
    assert done.stderr.count("\n") == 1 and place.says in done.stderr and "gitparams import spool" in done.stderr, done.stderr
    kept = [json.loads(file.read_text())["run"] for file in Path(os.environ["XDG_STATE_HOME"]).rglob("run.json")]
    place.mend()
    return kept


def check_brought_in(kept, cwd):
    first, again = gitparams("import", "spool", cwd=cwd), None
    before = ledger(cwd)
    again = gitparams("import", "spool", cwd=cwd)
    assert (first.code, first.out.split()) == (0, [kept[0]["id"]]), first.err
    assert (again.code, again.out, ledger(cwd)) == (0, "", before)
    (run,) = runs(cwd)
    assert (run["status"], run["params"], run["metrics"], run["name"]) == (
        "completed",
        {"lr": 0.5},
        {"acc": 0.75, "loss": 0.25},
        "kept",
    )
    assert run["started"] == kept[0]["started"] and run["tags"] == ["mine"]


@pytest.mark.parametrize("make", [without_git, without_a_repository, of_somebody_else])
def test_what_git_cannot_take_is_spooled_and_brought_in_with_its_own_times_once(tmp_path, make):
    place = make(tmp_path)
    check_brought_in(spooled(place), place.folder)


@pytest.mark.parametrize("make", [without_a_repository, without_git])
def test_a_program_that_keeps_its_own_run_joins_the_one_that_is_spooled_for_it(tmp_path, make):
    place = make(tmp_path)
    place.folder.joinpath("train.py").write_text(PROGRAM)
    words = [sys.executable, "-m", "gitparams", "run", "-p", "size=3", "--", sys.executable, "train.py"]
    environment = {**os.environ, **place.variables}
    done = subprocess.run(words, cwd=place.folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "trained\n", 1), done.stderr
    place.mend()
    assert gitparams("import", "spool", cwd=place.folder).code == 0
    (run,) = runs(place.folder)
    assert (run["params"], run["metrics"], run["name"]) == ({"lr": 0.5, "size": 3}, {"acc": 0.75, "loss": 0.25}, "kept")


def test_what_a_full_disk_let_begin_of_a_journal_does_not_stay(small_disk):
    folder = make_repository(small_disk / "work")
    fill(small_disk)
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, capture_output=True, check=True)
    assert [*folder.glob(".git/gitparams/live/*")] == []


def test_on_a_full_disk_the_run_is_spooled_on_another_one(small_disk):
    folder = make_repository(small_disk / "work")
    fill(small_disk)
    place = Place(folder, {}, "", (small_disk / "filling").unlink)
    check_brought_in(spooled(place), folder)


def test_a_disk_that_fills_up_while_a_run_goes_on_loses_nothing_of_it(small_disk, tmp_path):
    folder = make_repository(small_disk / "work")
    program = f"""
import gitparams, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_bundles import fill, Path
with gitparams.start({{"lr": 0.5}}) as run:
    run.log(loss=0.5)
    fill(Path({str(small_disk)!r}))
    for step in range(1, 400):
        run.log(loss=0.25, step=step)
    run.note("the disk was full")
print("trained")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr
    assert "bring it in with: gitparams import spool" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    (small_disk / "filling").unlink()

    elsewhere = gitparams("import", "spool", cwd=other(tmp_path))
    assert elsewhere.out == "" and "1 more waits, started elsewhere" in elsewhere.err
    assert gitparams("import", "spool", cwd=folder).code == 0
    (run,) = runs(folder)
    series = git("cat-file", "blob", "refs/gitparams/runs:series.jsonl", cwd=folder)
    assert (run["status"], run["note"], run["metrics"]) == ("completed", "the disk was full", {"loss": 0.25})
    assert series.count("\n") == 399


def test_when_the_spool_cannot_be_written_the_folder_for_temporary_files_takes_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("GITPARAMS_SPOOL", "/dev/null/spool")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    place = without_a_repository(tmp_path)
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=place.folder, check=True, capture_output=True)
    (kept,) = tmp_path.glob("gitparams-spool-*")
    place.mend()

    assert kept.stat().st_mode & 0o777 == 0o700
    assert len(gitparams("import", "spool", cwd=place.folder).out.split()) == 1
    assert [run["params"] for run in runs(place.folder)] == [{"lr": 0.5}]


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")
def test_a_folder_that_somebody_else_put_where_the_spool_may_be_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("GITPARAMS_SPOOL", "/dev/null/spool")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    theirs = tmp_path / f"gitparams-spool-{os.getuid()}"
    theirs.mkdir()
    os.chown(theirs, STRANGER, STRANGER)
    place = without_a_repository(tmp_path)
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=place.folder, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "trained\n") and "could not be kept anywhere" in done.stderr
    assert list(theirs.iterdir()) == []


def test_all_brings_in_what_was_started_elsewhere(tmp_path):
    kept = spooled(without_a_repository(tmp_path))
    away = other(tmp_path)
    assert gitparams("import", "spool", cwd=away).out == ""
    assert gitparams("import", "spool", "--all", cwd=away).out.split() == [kept[0]["id"]]
    assert [run["params"] for run in runs(away)] == [{"lr": 0.5}]


# -- bundles of a repository ----------------------------------------------------------------------------------------------


def test_a_bundle_carries_the_whole_ledger_and_importing_it_again_does_nothing(repo, tmp_path):
    ids = [record("-p", f"lr={rate}") for rate in (1, 2, 3)]
    gitparams("tag", "latest", "best")
    written = gitparams("export", "bundle", "../all.bundle")
    away = other(tmp_path)
    first = gitparams("import", "bundle", "../all.bundle", cwd=away)
    again = gitparams("import", "bundle", "../all.bundle", cwd=away)

    assert (written.code, written.err.startswith("gitparams: 3 runs written to ../all.bundle")) == (0, True)
    assert (first.code, first.out.split(), again.code, again.out) == (0, ids, 0, "")
    assert (told(away), ledger(away)) == (told(), ledger())
    assert git("bundle", "verify", "-q", tmp_path / "all.bundle", cwd=away) == ""
    assert git("fsck", "--strict", "--no-dangling", cwd=away) == ""


def test_a_bundle_of_some_runs_holds_no_value_of_the_others_not_in_a_message_either(repo, tmp_path):
    first, _, last = (record("-p", f"lr={rate}") for rate in ("0.125", "77.625", "0.5"))
    assert gitparams("export", "bundle", "../some.bundle", first, last).code == 0
    away = other(tmp_path)
    done = gitparams("import", "bundle", "../some.bundle", cwd=away)
    held = subprocess.run(
        ["git", "cat-file", "--batch", "--batch-all-objects"], cwd=away, capture_output=True, check=True
    ).stdout

    assert done.out.split() == [first, last]
    assert b"77.625" not in held and b"0.125" in held
    assert gitparams("import", "bundle", "../some.bundle", cwd=away).out == ""
    assert gitparams("verify", cwd=away).code == 0


@pytest.mark.parametrize(("words", "params"), [(("--where", "lr > 1"), [3, 2]), (("--since", "2001-01-01"), [3, 2, 1])])
def test_runs_to_export_are_chosen_as_everywhere(repo, tmp_path, words, params):
    for rate in (1, 2, 3):
        record("-p", f"lr={rate}")
    gitparams("export", "bundle", "../some.bundle", *words)
    away = other(tmp_path)
    gitparams("import", "bundle", "../some.bundle", cwd=away)
    assert [run["params"]["lr"] for run in runs(away)] == params


def test_bundles_that_overlap_and_runs_of_ones_own_end_in_every_run_once(repo, tmp_path):
    ids = [record("-p", f"lr={rate}") for rate in (1, 2, 3)]
    away = other(tmp_path)
    own = record("-p", "lr=4", cwd=away)
    gitparams("export", "bundle", "../some.bundle", ids[0], ids[2])
    gitparams("export", "bundle", "../all.bundle")
    some = gitparams("import", "bundle", "../some.bundle", cwd=away)
    rest = gitparams("import", "bundle", "../all.bundle", cwd=away)
    tip = ledger(away)
    gitparams("import", "bundle", "../some.bundle", cwd=away)

    assert (some.out.split(), rest.out.split()) == ([ids[0], ids[2]], [ids[1]])
    assert sorted(run["id"] for run in runs(away)) == sorted([*ids, own])
    assert ledger(away) == tip
    assert gitparams("verify", cwd=away).code == 0


def test_a_bundle_of_some_runs_leaves_out_what_is_on_the_ledger_and_of_no_run(repo, tmp_path):
    wanted = record("-p", "lr=1")
    junk = git("commit-tree", "-p", "refs/gitparams/runs", "-m", "somebody's secret", "HEAD^{tree}")
    git("update-ref", "refs/gitparams/runs", junk)
    record("-p", "lr=2")
    assert gitparams("export", "bundle", "../some.bundle", wanted).code == 0
    away = other(tmp_path)
    assert gitparams("import", "bundle", "../some.bundle", cwd=away).code == 0
    assert [run["id"] for run in runs(away)] == [wanted]
    assert "somebody's secret" not in git("log", "--format=%B", "refs/gitparams/runs", cwd=away)


def test_a_group_takes_its_runs_along(repo, tmp_path):
    (repo / "sweep.py").write_text("import gitparams\nfor lr in (1, 2):\n    with gitparams.start({'lr': lr}):\n        pass\n")
    assert gitparams("run", "--", sys.executable, "sweep.py").code == 0
    record("-p", "lr=9")
    group = next(run["id"] for run in json.loads(gitparams("log", "--groups", "--json").out) if run.get("group"))
    gitparams("export", "bundle", "../group.bundle", group)
    away = other(tmp_path)
    gitparams("import", "bundle", "../group.bundle", cwd=away)
    assert sorted(run["params"]["lr"] for run in runs(away)) == [1, 2]


def test_a_file_is_replaced_only_when_somebody_says_so(repo, tmp_path):
    record("-p", "lr=1")
    (tmp_path / "there").write_text("mine")
    refused = gitparams("export", "bundle", "../there")
    assert refused.code == 2 and "Replace it?" in refused.err and (tmp_path / "there").read_text() == "mine"
    assert gitparams("export", "bundle", "../there", "--yes").code == 0


def test_without_runs_there_is_nothing_to_export(repo):
    done = gitparams("export", "bundle", "../none.bundle")
    assert (done.code, done.err.splitlines()[0]) == (1, "gitparams: There are no runs to export.")
    assert not Path("../none.bundle").exists()


def test_nothing_of_the_users_is_touched(repo, tmp_path):
    record("-p", "lr=1")
    gitparams("export", "bundle", "../all.bundle")
    away = other(tmp_path)
    before = [(path, path.read_bytes()) for path in sorted((away / ".git").glob("*")) if path.is_file()]
    gitparams("import", "bundle", "../all.bundle", cwd=away)
    assert [(path, path.read_bytes()) for path in sorted((away / ".git").glob("*")) if path.is_file()] == before
    assert git("for-each-ref", "--format=%(refname)", cwd=away) == "refs/gitparams/runs\nrefs/heads/main"
    assert sorted(path.name for path in (away / ".git/gitparams").iterdir() if path.name.startswith("incoming")) == []


# -- bundles from anybody -------------------------------------------------------------------------------------------------


def refused(path, cwd):
    """Import a bundle that cannot be, check that nothing of it came here, and return the sentence."""
    before = (ledger(cwd), sorted(map(str, (cwd / ".git/objects").rglob("*"))))
    done = gitparams("import", "bundle", path, "--yes", cwd=cwd)
    assert done.code in (1, 2) and done.out == "" and "Traceback" not in done.err, done.err
    assert (ledger(cwd), sorted(map(str, (cwd / ".git/objects").rglob("*")))) == before
    assert list((cwd / ".git/gitparams").glob("incoming*")) == []
    return done.err.splitlines()[0].removeprefix("gitparams: ")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.99])
def test_a_bundle_that_was_cut_is_one_sentence_and_nothing_came(repo, tmp_path, share):
    record("-p", "lr=1")
    gitparams("export", "bundle", "../all.bundle")
    whole = (tmp_path / "all.bundle").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: int(len(whole) * share)])
    sentence = refused("../cut", other(tmp_path))
    assert sentence.startswith("../cut ") and ("cut" in sentence or "is no bundle" in sentence)


@pytest.mark.parametrize("place", [0.4, 0.7, 0.95])
def test_a_bundle_with_a_damaged_byte_is_one_sentence_and_nothing_came(repo, tmp_path, place):
    record("-p", "lr=1")
    gitparams("export", "bundle", "../all.bundle")
    data = bytearray((tmp_path / "all.bundle").read_bytes())
    data[int(len(data) * place)] ^= 0xFF
    (tmp_path / "bad").write_bytes(data)
    assert refused("../bad", other(tmp_path)).startswith("../bad cannot be brought in, it was cut or is damaged: ")


def test_what_is_no_bundle_is_named(repo, tmp_path):
    record("-p", "lr=1")
    (tmp_path / "notes.txt").write_text("hello\n")
    git("bundle", "create", "-q", tmp_path / "code.bundle", "main")
    assert refused("../notes.txt", repo) == "../notes.txt is no bundle."
    assert refused("../code.bundle", repo) == "../code.bundle holds no runs: refs/gitparams/runs is not in it."
    assert refused("../none", repo) == "../none cannot be read: No such file or directory."


def test_a_bundle_whose_ledger_is_somebodys_code_is_refused(repo, tmp_path):
    git("update-ref", "refs/gitparams/runs", "HEAD")
    git("bundle", "create", "-q", tmp_path / "code.bundle", "refs/gitparams/runs")
    head = git("rev-parse", "--short=10", "HEAD")
    away = other(tmp_path)
    record("-p", "lr=1", cwd=away)
    assert refused("../code.bundle", away) == f"../code.bundle is no ledger: {head} is no entry of a run."


def test_a_bundle_that_builds_upon_what_is_not_here_says_so(repo, tmp_path):
    record("-p", "lr=1")
    record("-p", "lr=2")
    git("bundle", "create", "-q", tmp_path / "late.bundle", "refs/gitparams/runs", "^refs/gitparams/runs~1")
    missing = git("rev-parse", "--short=10", "refs/gitparams/runs~1")
    sentence = refused("../late.bundle", other(tmp_path))
    assert sentence == f"../late.bundle builds upon entries that are not here ({missing}): bring in the earlier ones first."


def test_a_bundle_of_another_hash_says_so(repo, tmp_path):
    away = other(tmp_path, "away", "--object-format=sha256")
    record("-p", "lr=1", cwd=away)
    gitparams("export", "bundle", "../all.bundle", cwd=away)
    record("-p", "lr=1")
    assert refused("../all.bundle", repo) == "../all.bundle is of a sha256 repository, and this one is sha1."


def rewritten(folder, change, message):
    """Put an entry on a ledger whose run.json was changed by hand."""
    document = json.loads(git("cat-file", "blob", "refs/gitparams/runs:run.json", cwd=folder))
    change(document)
    blob = git("hash-object", "-w", "--stdin", stdin=json.dumps(document), cwd=folder)
    lines = git("ls-tree", "refs/gitparams/runs", cwd=folder).splitlines()
    lines = [f"100644 blob {blob}\trun.json" if line.endswith("\trun.json") else line for line in lines]
    tree = git("mktree", stdin="\n".join(lines) + "\n", cwd=folder)
    commit = git("commit-tree", tree, stdin=message, cwd=folder)
    git("update-ref", "refs/gitparams/runs", commit, cwd=folder)


def test_a_bundle_with_another_run_under_an_id_of_ours_is_refused(repo, tmp_path):
    run = record("-p", "lr=1")
    away = other(tmp_path)
    record("-p", "lr=666", cwd=away)
    message = f"record\n\nRun-Id: {run}\nRun-Status: completed\nRun-Event: record\n"
    rewritten(away, lambda document: document.update(id=run, started="2020-01-01T00:00:00+00:00"), message)
    git("bundle", "create", "-q", tmp_path / "theirs.bundle", "refs/gitparams/runs", cwd=away)
    sentence = refused("../theirs.bundle", repo)
    assert sentence == f"../theirs.bundle has another run under the id of run {run[:8]}, begun at 2020-01-01T00:00:00+00:00."
    assert runs()[0]["params"] == {"lr": 1}


def with_junk(repo):
    """Record two runs, one of which cannot be read any more, with a commit of no run between; return both."""
    broken = record("-p", "lr=1")
    message = f"record\n\nRun-Id: {broken}\nRun-Status: completed\nRun-Event: record\n"
    rewritten(repo, lambda document: document.pop("started"), message)
    junk = git("commit-tree", "-p", "refs/gitparams/runs", "-m", "junk", "HEAD^{tree}")
    git("update-ref", "refs/gitparams/runs", junk)
    (repo / ".git" / "gitparams" / "tip").unlink()
    return broken, record("-p", "lr=2")


def test_what_cannot_be_read_of_a_bundle_is_said_and_keeps_nothing_else_out_as_with_a_pull(repo, tmp_path):
    broken, whole = with_junk(repo)
    git("bundle", "create", "-q", tmp_path / "all.bundle", "refs/gitparams/runs")
    away, puller = other(tmp_path), other(tmp_path, "puller")
    first = gitparams("import", "bundle", "../all.bundle", cwd=away)
    again = gitparams("import", "bundle", "../all.bundle", cwd=away)
    pulled = gitparams("pull", repo, cwd=puller)

    assert (first.code, first.out.split(), again.code, again.out) == (0, [whole], 0, "")
    assert first.err.splitlines()[0] == (
        f"gitparams: ../all.bundle also holds 1 run that cannot be read ({broken[:8]}) and 1 commit of no run;"
        " that came along as it is, as by a pull."
    )
    assert (pulled.code, ledger(away)) == (0, ledger(puller))
    assert gitparams("log", "--json", cwd=away).out == gitparams("log", "--json", cwd=puller).out
    assert f"{broken[:8]}" in gitparams("log", cwd=away).out


def test_a_bundle_with_a_run_of_a_later_format_brings_the_others(repo, tmp_path):
    later = record("-p", "lr=1")
    message = f"record\n\nRun-Id: {later}\nRun-Status: completed\nRun-Event: record\n"
    rewritten(repo, lambda document: document.update(format=99), message)
    (repo / ".git" / "gitparams" / "tip").unlink()
    whole = record("-p", "lr=2")
    git("bundle", "create", "-q", tmp_path / "all.bundle", "refs/gitparams/runs")
    done = gitparams("import", "bundle", "../all.bundle", cwd=other(tmp_path))
    assert (done.code, done.out.split()) == (0, [whole])
    assert f"also holds 1 run that cannot be read ({later[:8]});" in done.err


def test_runs_that_were_purged_where_a_bundle_was_made_go_only_when_somebody_says_so(repo, tmp_path):
    keep, gone = record("-p", "lr=1"), record("-p", "lr=2")
    gitparams("export", "bundle", "../all.bundle")
    away = other(tmp_path)
    gitparams("import", "bundle", "../all.bundle", cwd=away)
    assert gitparams("purge", gone, "--yes", "--offline").code == 0
    gitparams("export", "bundle", "../purged.bundle")
    asked = gitparams("import", "bundle", "../purged.bundle", cwd=away)
    still = sorted(run["id"] for run in runs(away))
    done = gitparams("import", "bundle", "../purged.bundle", "--yes", cwd=away)
    back = gitparams("import", "bundle", "../all.bundle", cwd=away)

    assert asked.code == 2 and "1 run of this repository would go for good" in asked.err and still == sorted([keep, gone])
    assert (done.code, back.code, back.out) == (0, 0, "")
    assert [run["id"] for run in runs(away)] == [keep]


# -- bundles where there is no repository ---------------------------------------------------------------------------------


def test_where_there_is_no_repository_the_spool_is_exported_and_brought_in_anywhere(tmp_path):
    place = without_a_repository(tmp_path)
    place.mend = lambda: None
    (kept,) = spooled(place)
    written = gitparams("export", "bundle", "../spool.bundle", cwd=place.folder)
    away = other(tmp_path)
    first = gitparams("import", "bundle", "../spool.bundle", cwd=away)
    tip = ledger(away)
    again = gitparams("import", "bundle", "../spool.bundle", cwd=away)

    assert (written.code, first.out.split(), again.out, ledger(away)) == (0, [kept["id"]], "", tip)
    (run,) = runs(away)
    assert (run["started"], run["params"], run["metrics"]) == (kept["started"], {"lr": 0.5}, {"acc": 0.75, "loss": 0.25})


def test_a_run_that_was_killed_in_the_spool_is_exported_as_crashed(tmp_path):
    place = without_a_repository(tmp_path)
    program = PROGRAM.replace('    run.summary["acc"] = 0.75\n', "    import os; os.kill(os.getpid(), 9)\n")
    subprocess.run([sys.executable, "-c", program], cwd=place.folder, capture_output=True, check=False)
    gitparams("export", "bundle", "../spool.bundle", cwd=place.folder)
    away = other(tmp_path)
    gitparams("import", "bundle", "../spool.bundle", cwd=away)
    assert [(run["status"], run["metrics"]) for run in runs(away)] == [("crashed", {"loss": 0.25})]


def packed(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


ID = "klmnopqrstuvwxyz"


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        f"{ID}/../../evil",
        f"/{ID}/run.json",
        f"{ID}/capture/../../x",
        f"{ID}/code.pack",
        f"{ID}/lock",
        "run.json",
    ],
)
def test_a_bundle_of_journals_leads_nowhere_else(tmp_path, name):
    path = packed(tmp_path / "evil.bundle", [(name, b"{}")])
    folder = tmp_path / "inside" / "folder"
    folder.mkdir(parents=True)
    with pytest.raises(UsageError, match="is no bundle of runs: "):
        unpack_journals(path, folder)
    assert [*folder.parent.iterdir(), *folder.iterdir()] == [folder]


def test_a_bundle_of_journals_that_is_compressed_is_no_bomb(repo, tmp_path):
    packed(tmp_path / "bomb", [(f"{ID}/series.jsonl", b"0" * 10_000_000)], zipfile.ZIP_DEFLATED)
    record("-p", "lr=1")
    assert refused("../bomb", repo) == f"../bomb is no bundle of runs: '{ID}/series.jsonl' is compressed."


def test_a_bundle_of_journals_that_was_cut_or_says_nothing_is_one_sentence(repo, tmp_path):
    packed(tmp_path / "bad", [(f"{ID}/run.json", b"{}")])
    (tmp_path / "cut").write_bytes((tmp_path / "bad").read_bytes()[:60])
    record("-p", "lr=1")
    assert refused("../bad", repo).startswith("../bad holds a run that cannot be read, klmnopqr: ")
    assert refused("../cut", repo).startswith("../cut cannot be brought in, it was cut or is damaged: ")
