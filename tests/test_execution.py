"""`gitparams run` on scripts as people have them: what the program resolved is on the ledger, with its types and its origins."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from shutil import which

import pytest
from world import git, gitparams, make_repository

ARGPARSE = """
import argparse, json, sys
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--layers", type=int, nargs="*", default=[64, 64])
parser.add_argument("--amp", action="store_true")
parser.add_argument("--name")
args = parser.parse_args()
"""
DUMPED = "print(json.dumps(vars(args)))\n"


def script(repo, text, name="train.py"):
    (repo / name).write_text(text)
    return name


def run(*words, **options):
    return gitparams("run", *words, **options)


def python(*words, **options):
    return run("--", sys.executable, *words, **options)


def shown(word="latest"):
    return json.loads(gitparams("show", word, "--json").out)


def listed(*flags):
    return json.loads(gitparams("log", "--json", *flags).out)


def origins(document):
    return {path: (origin["source"], origin["at"]) for path, origin in document["origins"].items()}


# -- one program ----------------------------------------------------------------------------------------------------------


def test_an_unmodified_script_is_recorded_with_every_value_its_type_and_its_origin(repo):
    outcome = python(script(repo, ARGPARSE + DUMPED), "--lr", "1e-3", "--amp")

    document = shown()
    assert document["params"] == json.loads(outcome.out) == {"lr": 0.001, "layers": [64, 64], "amp": True, "name": None}
    assert origins(document) == {
        "lr": ("cli", "--lr"),
        "amp": ("cli", "--amp"),
        "layers": ("default", "train.py"),
        "name": ("default", "train.py"),
    }
    assert (outcome.code, outcome.err) == (0, "")


def test_what_was_declared_and_what_the_program_used_stand_side_by_side(repo):
    (repo / "conf.yaml").write_text("lr: 0.5\nseed: 3\n")
    (repo / "gitparams.yaml").write_text("params: [conf.yaml]\n")

    python(script(repo, ARGPARSE), "--lr", "0.01")

    document = shown()
    assert document["params"] == {"lr": 0.01, "layers": [64, 64], "amp": False, "name": None, "seed": 3}
    assert document["origins"]["lr"] == {
        "source": "cli",
        "at": "--lr",
        "overrode": [{"value": 0.5, "source": "file", "at": "conf.yaml:1"}],
    }
    assert document["disputed"] == ["lr"]
    assert document["seeds"] == {"seed": 3}
    run_line, *_, footer = gitparams("log").out.splitlines()[1:]
    assert run_line[8] == "!"
    assert footer == "1 run · ! sources disagree (gitparams check)"


def test_a_value_that_two_sources_say_alike_is_no_dispute_and_names_both(repo):
    (repo / "conf.yaml").write_text("lr: 0.01\n")

    run("--params", "conf.yaml", "--", sys.executable, script(repo, ARGPARSE), "--lr", "0.01")

    document = shown()
    assert document["disputed"] == []
    assert document["origins"]["lr"] == {
        "source": "cli",
        "at": "--lr",
        "overrode": [],
        "also": [{"source": "file", "at": "conf.yaml:1"}],
    }


def test_a_default_that_equals_the_file_stays_the_files(repo):
    (repo / "conf.yaml").write_text("lr: 0.1\n")

    run("--params", "conf.yaml", "--", sys.executable, script(repo, ARGPARSE))

    assert origins(shown())["lr"] == ("file", "conf.yaml:1")


def test_what_the_program_changed_after_it_had_parsed_is_drift(repo):
    python(script(repo, ARGPARSE + "args.lr = args.lr / 2\nargs.steps = 5\n"), "--lr", "0.5")

    document = shown()
    assert document["params"]["lr"] == 0.5
    assert document["drift"] == {"lr": [0.5, 0.25], "steps": [{"missing": True}, 5]}
    assert "changed after they were captured\n  lr 0.5 → 0.25 · +steps 5\n" in gitparams("show").out


def test_the_config_is_on_the_ledger_while_the_program_still_runs(repo):
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gitparams",
            "run",
            "--",
            sys.executable,
            "-u",
            script(repo, ARGPARSE + "import time; time.sleep(30)"),
        ]
    )
    try:
        until = time.monotonic() + 20
        while "update" not in git("log", "--format=%s", "refs/gitparams/runs", "--", check=False) and time.monotonic() < until:
            time.sleep(0.1)
        subjects = git("log", "--format=%s", "refs/gitparams/runs").splitlines()
        params = json.loads(git("show", "refs/gitparams/runs:params.json"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    assert [subject.split()[0] for subject in subjects] == ["update", "start"]
    assert params == {"lr": 0.1, "layers": [64, 64], "amp": False, "name": None}
    assert shown()["status"] == "interrupted"


def test_a_start_that_knows_no_params_yet_claims_of_none_that_it_was_removed(repo):
    python(script(repo, ARGPARSE), "--lr", "0.01")
    python(script(repo, ARGPARSE), "--lr", "0.02")
    run = shown()["id"]
    *_, start = git("log", "--format=%s", f"--grep=^Run-Id: {run}$", "refs/gitparams/runs").splitlines()
    message = git("log", "-1", "--format=%B", f"--grep=^start {run[:8]}", "refs/gitparams/runs")
    assert start == f"start {run[:8]}: no params yet"
    assert "Run-Compared" not in message


def test_a_run_that_was_killed_with_its_watcher_keeps_what_was_captured(repo):
    program = script(repo, ARGPARSE + "import os, time; open('parsed', 'w').close(); time.sleep(30)")
    process = subprocess.Popen(
        [sys.executable, "-m", "gitparams", "run", "--", sys.executable, program, "--lr", "7"], start_new_session=True
    )
    until = time.monotonic() + 20
    while not (repo / "parsed").exists() and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    document = shown()
    assert (document["status"], document["params"]["lr"]) == ("crashed", 7.0)


def test_outside_of_a_repository_the_captured_config_is_kept_aside_until_it_can_be_brought_in(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GITPARAMS_SPOOL", str(tmp_path / "spool"))
    outcome = python(script(folder, ARGPARSE + DUMPED), "--lr", "3")
    make_repository(folder)
    gitparams("import", "spool")

    assert outcome.code == 0
    assert shown()["params"] == json.loads(outcome.out)


# -- what is not recorded, and why ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["-I"], "No params were captured: Python's -I keeps gitparams out."),
        (["-S"], "No params were captured: Python's -S keeps gitparams out."),
        (["-u", "-E"], "No params were captured: Python's -E keeps gitparams out."),
        (["-W", "ignore", "-sI"], "No params were captured: Python's -I keeps gitparams out."),
    ],
)
def test_a_python_that_keeps_us_out_is_said_in_one_line(repo, flags, sentence):
    outcome = python(*flags, script(repo, ARGPARSE))
    assert (outcome.code, outcome.err) == (0, f"gitparams: {sentence}\n")


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_a_parser_that_was_asked_for_help_is_not_said_to_be_missing(repo, word):
    outcome = python(script(repo, ARGPARSE), word)
    assert (outcome.code, outcome.err, "--lr" in outcome.out) == (0, "", True)


def test_a_program_without_a_parser_is_told_what_would_help(repo):
    outcome = python("-c", "print(1)")
    assert (outcome.out, outcome.err) == (
        "1\n",
        "gitparams: No params were captured: no parser that gitparams knows was used. (gitparams.start(params) records them.)\n",
    )


def test_a_job_script_that_overwrites_pythonpath_is_said(repo):
    (repo / "job.sh").write_text(f"export PYTHONPATH=$PWD\n{sys.executable} train.py\n")
    script(repo, ARGPARSE)
    outcome = run("--", "bash", "job.sh")
    assert (outcome.code, outcome.err) == (0, "")  # whether there was a Python at all cannot be seen
    outcome = run("--", "env", "PYTHONPATH=.", sys.executable, "train.py")
    assert outcome.err == (
        "gitparams: No params were captured: no Python was seen; a PYTHONPATH that was overwritten keeps gitparams out.\n"
    )


def test_a_program_that_is_no_python_gets_no_remark(repo):
    outcome = run("--", "true")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["--lr", "much"], 2), (["--nope"], 2)])
def test_a_program_that_ends_in_its_parser_ends_as_it_would_alone(repo, words, code):
    name = script(repo, ARGPARSE)
    alone = subprocess.run([sys.executable, name, *words], capture_output=True, text=True, check=False)

    outcome = python(name, *words)

    assert (outcome.code, outcome.out) == (alone.returncode, alone.stdout) == (code, alone.stdout)
    assert outcome.err.startswith(alone.stderr)
    assert shown()["status"] == ("failed" if code else "completed")


def test_the_capture_can_be_switched_off_by_the_settings_and_for_one_run(repo):
    name = script(repo, ARGPARSE)
    run("--no-capture", "--", sys.executable, name)
    first = shown()["params"]
    (repo / "gitparams.yaml").write_text("capture: false\n")
    python(name)
    assert (first, shown()["params"]) == ({}, {})


def test_a_reporter_can_be_switched_off(repo):
    (repo / "gitparams.yaml").write_text("sources: {argparse: off}\n")
    python(script(repo, ARGPARSE + "import gitparams; gitparams.start({'seed': 1}).finish()\n"))
    assert shown()["params"] == {"seed": 1}


def test_only_rank_zero_records(repo):
    name = script(repo, ARGPARSE)
    job = f"RANK=0 {sys.executable} {name} --lr 1 & RANK=1 {sys.executable} {name} --lr 2 & wait"
    run("--", "bash", "-c", job)
    assert [document["params"]["lr"] for document in listed("--groups")] == [1.0]


def test_no_secret_reaches_the_repository_by_any_way(repo):
    text = ARGPARSE.replace("args =", 'parser.add_argument("--api-key"); parser.add_argument("--url"); args =')
    text += 'import os; print("using", args.api_key, os.environ["HF_TOKEN"]); args.password = "drifted-secret"; args.lr = 9\n'
    secrets = ["hunter2-by-flag", "hunter3-in-url", "correct-horse-battery", "drifted-secret"]

    python(
        script(repo, text),
        "--api-key",
        secrets[0],
        "--url",
        f"https://me:{secrets[1]}@example.com/x",
        "--name",
        secrets[2],
        env={"HF_TOKEN": secrets[2]},
    )

    git("add", ".")
    document = shown()
    assert document["params"]["api_key"] == document["params"]["name"] == "<redacted>"
    assert document["params"]["url"] == "https://<redacted>@example.com/x"
    assert document["redacted"] == ["api_key", "name", "url"]
    objects = git("rev-list", "--objects", "refs/gitparams/runs").splitlines()
    blobs = "".join(
        git("cat-file", "-p", line.split()[0]) for line in objects if "/code" not in line and "train.py" not in line
    )
    files = "".join(path.read_bytes().decode("latin-1") for path in (repo / ".git" / "gitparams").rglob("*") if path.is_file())
    assert [secret for secret in secrets if secret in blobs.replace(text, "") + files] == []


# -- several runs in one --------------------------------------------------------------------------------------------------


def test_the_same_program_twice_is_a_group_of_two_runs_each_with_its_own_end(repo):
    script(repo, ARGPARSE + "sys.exit(3 if args.lr > 1 else 0)\n")
    (repo / "job.sh").write_text(f"for lr in 0.1 2; do {sys.executable} train.py --lr $lr; done; exit 0\n")

    outcome = run("--", "bash", "job.sh")

    group = next(document for document in listed("--groups") if document["group"])
    runs = listed("--parent", group["id"], "--reverse")
    assert outcome.code == 0
    assert (group["params"], group["status"]) == ({}, "completed")
    assert [(one["params"]["lr"], one["status"], one["exit_code"]) for one in runs] == [
        (0.1, "completed", 0),
        (2.0, "failed", 3),
    ]
    assert listed() == list(reversed(runs))
    first = shown(runs[0]["id"])
    assert origins(first)["lr"] == ("cli", "--lr")
    assert (first["python"], first["packages"]) == (sys.version.split()[0], shown(group["id"])["packages"])


def test_the_metrics_file_that_each_run_of_a_group_wrote_is_its_own(repo):
    script(repo, ARGPARSE + "json.dump({'acc': args.lr * 2}, open('metrics.json', 'w'))\n")
    (repo / "gitparams.yaml").write_text("metrics_files: [metrics.json]\n")
    job = f"for lr in 0.1 0.2; do {sys.executable} train.py --lr $lr; done"

    run("--", "bash", "-c", job)

    assert [(one["params"]["lr"], one["metrics"]) for one in listed("--reverse")] == [(0.1, {"acc": 0.2}), (0.2, {"acc": 0.4})]


def test_what_each_run_of_a_group_printed_is_its_own(repo):
    script(repo, ARGPARSE + "print('loss:', args.lr); sys.stdout.flush(); import time; time.sleep(0.3)\n")
    (repo / "gitparams.yaml").write_text("capture: {output: true}\n")

    run("--", "bash", "-c", f"for lr in 0.1 0.2; do {sys.executable} train.py --lr $lr; done")

    assert [(one["params"]["lr"], one["metrics"]) for one in listed("--reverse")] == [
        (0.1, {"loss": 0.1}),
        (0.2, {"loss": 0.2}),
    ]


def test_a_loop_of_starts_is_a_group_and_the_first_one_keeps_all_it_had(repo):
    text = """
import argparse, gitparams
parser = argparse.ArgumentParser(); parser.add_argument("--epochs", type=int, default=2); args = parser.parse_args()
for lr in (0.1, 0.01):
    with gitparams.start({"lr": lr}, tags=["sweep"]) as run:
        for step in range(args.epochs):
            run.log(loss=lr * step)
        run.summary["acc"] = 1 - lr
"""
    python(script(repo, text))

    group = next(document for document in listed("--groups") if document["group"])
    runs = listed("--parent", group["id"], "--reverse")
    assert [(one["params"], one["metrics"], one["tags"], one["status"]) for one in runs] == [
        ({"epochs": 2, "lr": 0.1}, {"loss": 0.1, "acc": 0.9}, ["sweep"], "completed"),
        ({"epochs": 2, "lr": 0.01}, {"loss": 0.01, "acc": 0.99}, ["sweep"], "completed"),
    ]
    assert (group["params"], group["metrics"], listed()) == ({}, {}, list(reversed(runs)))


def test_one_start_within_a_run_is_that_run(repo):
    text = (
        ARGPARSE
        + "import gitparams\nwith gitparams.start({'lr': args.lr, 'depth': 3}, name='base') as run: run.log(loss=1.5)\n"
    )
    python(script(repo, text))

    (document,) = listed("--groups")
    assert (document["name"], document["params"]["depth"], document["metrics"]) == ("base", 3, {"loss": 1.5})
    assert document["params"]["layers"] == [64, 64]


def test_a_group_that_was_killed_is_taken_apart_by_the_next_command_and_only_once(repo):
    text = ARGPARSE + "import os, time\nif args.lr > 1: open('second', 'w').close(); time.sleep(30)\n"
    script(repo, text)
    job = f"{sys.executable} train.py --lr 0.5; {sys.executable} train.py --lr 2"
    process = subprocess.Popen([sys.executable, "-m", "gitparams", "run", "--", "bash", "-c", job], start_new_session=True)
    until = time.monotonic() + 20
    while not (repo / "second").exists() and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    runs = listed("--reverse")
    assert [(one["params"]["lr"], one["status"]) for one in runs] == [(0.5, "completed"), (2.0, "crashed")]
    assert listed("--reverse") == runs


def test_different_programs_stand_under_their_own_names(repo):
    script(repo, ARGPARSE, "prep.py")
    script(repo, ARGPARSE, "fit.py")
    run("--", "bash", "-c", f"{sys.executable} prep.py --lr 1; {sys.executable} fit.py --lr 2")
    (document,) = listed("--groups")
    assert {name: params["lr"] for name, params in document["params"].items()} == {"prep": 1.0, "fit": 2.0}


def test_of_different_programs_the_named_one_is_the_run(repo):
    script(repo, ARGPARSE, "prep.py")
    script(repo, ARGPARSE, "fit.py")
    job = f"{sys.executable} prep.py --lr 1; {sys.executable} fit.py --lr 2"
    run("--program", "fit.py", "--", "bash", "-c", job)

    document = shown()
    assert document["params"]["lr"] == 2.0
    assert [(program["program"], program["params"]["lr"]) for program in document["programs"]] == [("prep", 1.0)]


def test_a_program_that_the_captured_one_starts_adds_no_params_of_the_run(repo):
    script(repo, ARGPARSE, "inner.py")
    text = ARGPARSE + f"import subprocess; subprocess.run([{sys.executable!r}, 'inner.py', '--lr', '5'])\n"
    python(script(repo, text), "--lr", "1")

    document = shown()
    assert document["params"]["lr"] == 1.0
    assert [(program["program"], program["params"]["lr"]) for program in document["programs"]] == [("inner", 5.0)]


HYDRA = """
import hydra, json, os
from omegaconf import DictConfig

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    if cfg.optim.lr > 1: raise ValueError("too much")
    json.dump({"acc": 1 - cfg.optim.lr}, open("metrics.json", "w"))

main()
"""


def hydra_project(repo):
    (repo / "conf" / "optim").mkdir(parents=True)
    (repo / "conf" / "config.yaml").write_text("defaults: [{optim: sgd}, _self_]\nseed: 3\n")
    (repo / "conf" / "optim" / "sgd.yaml").write_text("name: sgd\nlr: 0.1\n")
    (repo / "conf" / "optim" / "adam.yaml").write_text("name: adam\nlr: 1e-3\n")
    (repo / "gitparams.yaml").write_text("metrics_files: [metrics.json]\n")
    return script(repo, HYDRA)


def test_a_hydra_program_is_one_run_with_its_resolved_config_choices_and_overrides(repo):
    outcome = python(hydra_project(repo), "optim=adam", "seed=4")

    document = shown()
    assert outcome.code == 0
    assert document["params"] == {"optim": {"name": "adam", "lr": 0.001}, "seed": 4}
    assert document["environment"]["hydra"]["choices"]["optim"] == "adam"
    assert document["environment"]["hydra"]["overrides"] == ["optim=adam", "seed=4"]
    assert document["origins"]["seed"]["source"] == "cli"
    assert document["metrics"] == {"acc": 0.999}


def test_a_multirun_of_hydra_is_a_group_with_a_run_for_each_job_the_failed_one_too(repo):
    outcome = python(hydra_project(repo), "-m", "optim.lr=0.1,2,0.3")

    group = next(document for document in listed("--groups") if document["group"])
    runs = listed("--parent", group["id"], "--reverse")
    assert (outcome.code, group["status"]) == (1, "failed")
    assert [(one["params"]["optim"]["lr"], one["status"], one["metrics"]) for one in runs] == [
        (0.1, "completed", {"acc": 0.9}),
        (2, "failed", {}),
        (0.3, "completed", {"acc": 0.7}),
    ]


def test_jobs_of_a_multirun_in_worker_processes_are_runs_of_the_group(repo):
    outcome = python(hydra_project(repo), "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "optim.lr=0.1,0.2,0.3")

    runs = listed()
    assert outcome.code == 0, outcome.err
    assert sorted((one["params"]["optim"]["lr"], one["status"]) for one in runs) == [
        (0.1, "completed"),
        (0.2, "completed"),
        (0.3, "completed"),
    ]
    assert len({one["parent"] for one in runs}) == 1


# -- files, seeds, environment --------------------------------------------------------------------------------------------


def test_a_misspelt_override_stops_before_the_program_and_suggests_the_key(repo):
    (repo / "conf.yaml").write_text("optim: {lr: 0.1}\n")
    outcome = run("--params", "conf.yaml", "-p", "optim.lrr=1", "--", "touch", "ran")
    assert (outcome.code, (repo / "ran").exists(), listed()) == (125, False, [])
    assert "optim.lr" in outcome.err


def test_no_strict_lets_a_new_key_in(repo):
    (repo / "conf.yaml").write_text("optim: {lr: 0.1}\n")
    assert run("--params", "conf.yaml", "--no-strict", "-p", "optim.momentum=0.9", "--", "true").code == 0
    assert shown()["params"] == {"optim": {"lr": 0.1, "momentum": 0.9}}


def test_files_globs_prefixes_variables_and_overrides_stack_in_that_order(repo):
    (repo / "conf").mkdir()
    (repo / "conf" / "a.yaml").write_text("lr: 1\ndepth: 1\n")
    (repo / "conf" / "b.toml").write_text("lr = 2\n")
    (repo / "data.env").write_text("SIZE=3\n")
    (repo / "gitparams.yaml").write_text("params: ['conf/*', data=data.env]\nenv_prefix: TRAIN_\n")

    run("-p", "epochs=5", "--no-strict", "--", "true", env={"TRAIN_DEPTH": "4"})

    document = shown()
    assert document["params"] == {"lr": 2, "depth": 4, "data": {"SIZE": 3}, "epochs": 5}
    assert origins(document) == {
        "lr": ("file", "conf/b.toml:1"),
        "depth": ("env", "TRAIN_DEPTH"),
        "data.SIZE": ("file", "data.env:1"),
        "epochs": ("cli", "-p epochs=5"),
    }


def test_the_files_as_they_were_at_a_commit_stand_in_for_a_run(repo):
    (repo / "conf").mkdir()
    (repo / "conf" / "a.yaml").write_text("lr: 1\n")
    (repo / "gitparams.yaml").write_text("params: ['data=conf/*.yaml']\n")
    git("add", ".")
    git("commit", "-qm", "conf")
    (repo / "conf" / "a.yaml").write_text("lr: 2\n")
    document = json.loads(gitparams("diff", "rev:HEAD", "worktree", "--json").out)
    assert document["params"] == {"data.lr": {"kind": "changed", "values": [1, 2]}}


def test_inputs_are_recorded_by_their_digests(repo):
    (repo / "train.csv").write_text("1,2\n")
    (repo / "gitparams.yaml").write_text("inputs: ['*.csv']\n")
    (repo / "more.bin").write_bytes(b"x")
    run("--input", "more.bin", "--", "true")
    assert shown()["inputs"] == {
        "train.csv": f"sha256:{hashlib.sha256(b'1,2' + os.linesep.encode()).hexdigest()}",
        "more.bin": f"sha256:{hashlib.sha256(b'x').hexdigest()}",
    }


def test_an_input_that_is_not_there_stops_before_the_program(repo):
    outcome = run("--input", "gone.csv", "--", "touch", "ran")
    assert (outcome.code, (repo / "ran").exists()) == (125, False)
    assert "gone.csv" in outcome.err


def test_the_commits_of_submodules_are_part_of_the_run(repo, tmp_path):
    library = make_repository(tmp_path / "library")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library, "libs/data")
    git("commit", "-qm", "library")
    (repo / "libs" / "data" / "train.py").write_text("changed")
    (repo / "libs" / "data" / "new.py").write_text("untracked")

    run("--", "true")

    head = git("rev-parse", "HEAD", cwd=library)
    document = json.loads(git("show", "refs/gitparams/runs:run.json"))
    assert document["git"]["submodules"] == {"libs/data": f"{head} dirty"}
    assert f"submodule   libs/data at {head} dirty" in gitparams("show", "--code").out


def test_machine_packages_and_variables_are_part_of_the_run(repo):
    python(script(repo, ARGPARSE), env={"OMP_NUM_THREADS": "4"})
    document = shown()
    assert document["environment"]["cpus"] == len(os.sched_getaffinity(0))
    assert document["environment"]["variables"]["OMP_NUM_THREADS"] == "4"
    assert any(package.startswith("pytest==") for package in document["packages"])


def test_a_rule_that_the_settings_call_an_error_stops_the_run(repo):
    (repo / "conf.yaml").write_text("lr: 1e-3\n")
    (repo / "gitparams.yaml").write_text("params: [conf.yaml]\ncheck: {numeric-text: error}\n")
    outcome = run("--", "touch", "ran")
    assert (outcome.code, (repo / "ran").exists(), shown()["status"]) == (125, False, "refused")
    assert "The check numeric-text said no" in outcome.err


# -- metrics without code -------------------------------------------------------------------------------------------------


def test_numbers_that_a_program_prints_are_steps_when_asked_for(repo):
    (repo / "gitparams.yaml").write_text("capture: {output: [loss]}\n")
    python("-c", "for step in range(3): print(f'step {step}: loss={1 / (step + 1)} lr=0.1')")
    assert shown()["metrics"] == {"loss": pytest.approx(1 / 3)}
    assert len(git("show", "refs/gitparams/runs:series.jsonl").splitlines()) == 3


def test_event_files_that_the_program_wrote_are_its_steps_and_fill_gaps_of_its_params(repo):
    text = (
        ARGPARSE
        + """
from torch.utils.tensorboard import SummaryWriter
writer = SummaryWriter("logs")
for step in range(3): writer.add_scalar("loss", 0.5 ** step, step)
writer.add_hparams({"lr": args.lr, "batch": 32, "opt": "sgd"}, {"hparam/acc": 0.9}, run_name=".")
writer.close()
"""
    )
    outcome = python(script(repo, text), "--lr", "0.01", timeout=180)

    document = shown()
    assert outcome.code == 0, outcome.err
    assert document["params"] == {
        "lr": 0.01, "layers": [64, 64], "amp": False, "name": None, "batch": 32.0, "opt": "sgd",
    }  # fmt: skip
    assert document["disputed"] == []
    assert document["metrics"] == {"loss": 0.25, "hparam/acc": 0.9}
    assert document["origins"]["batch"]["source"] == "tensorboard"


# -- what a config may hold -----------------------------------------------------------------------------------------------


def test_objects_that_no_file_can_hold_are_recorded_by_rule(repo):
    text = ARGPARSE.replace("args =", "parser.set_defaults(func=print, handle=sys.stdout); args =") + "args.me = args\n"
    outcome = python(script(repo, text))
    document = shown()
    assert (outcome.code, outcome.err) == (0, "")
    assert document["params"]["func"] == "builtins.print"
    assert document["drift"]["me.me"] == [{"missing": True}, "<cycle>"]


def test_a_hundred_thousand_keys_are_recorded(repo):
    text = "import gitparams\ngitparams.start({f'k{n}': n for n in range(100_000)}).finish()\n"
    outcome = python(script(repo, text), timeout=300)
    params = shown()["params"]
    assert (outcome.code, len(params), params["k99999"]) == (0, 100_000, 99999)


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10"])
def test_a_gitparams_of_another_environment_records_a_python_that_has_none(repo, version):
    old = f"python{version}"
    if subprocess.run([old, "-c", "1"], capture_output=True, check=False).returncode if which(old) else True:
        pytest.skip(f"no {old} here")
    outcome = run("--", old, script(repo, ARGPARSE + DUMPED), "--lr", "2")
    assert shown()["params"] == json.loads(outcome.out)
    assert shown()["python"].startswith(version)
