"""Hydra from the user's side: a script as it is, its multiruns, and a config that a notebook composes."""

import subprocess
import sys

import pytest
from world import git, gitparams

import gitparams as library

pytest.importorskip("hydra")

TRAIN = """
import json
import hydra
from omegaconf import OmegaConf

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg):
    if cfg.get("loose"):
        OmegaConf.set_struct(cfg, False)
        cfg.later = 1
    if cfg.get("bad"):
        raise ValueError("no such luck")
    json.dump({"loss": 2 * cfg.lr}, open("metrics.json", "w"))

main()
"""
COMPOSE = """
import gitparams
from hydra import compose, initialize

with initialize(version_base=None, config_path="conf"):
    cfg = compose("config", overrides=["optim=adam", "lr=0.5", "+new.key=1", "+db.password=hunter2"], MORE)
with gitparams.start(cfg) as run:
    assert (cfg.lr, run.params.half, "hydra" in run.params) == (0.5, 0.5, False)
"""
COMPOSED = {
    "lr": 0.5,
    "half": 0.5,
    "root": "${oc.env:NO_SUCH_VARIABLE}",
    "needed": "???",
    "optim": {"name": "adam"},
    "new": {"key": 1},
    "db": {"password": "<redacted>"},
}


@pytest.fixture
def project(repo):
    config = "defaults:\n  - optim: sgd\n  - _self_\nlr: 0.1\nhalf: ${lr}\nroot: ${oc.env:NO_SUCH_VARIABLE}\nneeded: ???\n"
    files = {
        "train.py": TRAIN,
        "conf/config.yaml": config,
        "conf/optim/sgd.yaml": "name: sgd\n",
        "conf/optim/adam.yaml": "name: adam\n",
        "gitparams.yaml": "metrics_files: [metrics.json]\n",
    }
    for name, text in files.items():
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text(text)
    git("add", ".")
    git("commit", "--quiet", "-m", "as it is")
    return repo


def train(*words, code=0):
    done = gitparams("run", "--", sys.executable, "train.py", *words, timeout=180)
    assert done.code == code, done.err
    return done


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_multirun_is_a_group_of_runs_each_with_its_params_metrics_and_choices(project, launcher):
    train("-m", "lr=1,2", "optim=sgd,adam", "hydra/launcher=" + launcher)
    runs = sorted(library.runs(), key=lambda run: run.environment["hydra"]["job"]["num"])
    assert [(run.params.lr, run.params.half, run.params.optim.name) for run in runs] == [
        (1, 1, "sgd"), (1, 1, "adam"), (2, 2, "sgd"), (2, 2, "adam"),
    ]  # fmt: skip
    assert [run.environment["hydra"]["choices"] for run in runs] == [{"optim": name} for name in ("sgd", "adam") * 2]
    assert runs[3].environment["hydra"]["overrides"] == ["lr=2", "optim=adam"]
    assert len({run.parent for run in runs}) == 1
    if launcher == "basic":  # the jobs of joblib write the one file at the same time
        assert [run.metrics["loss"] for run in runs] == [2, 2, 4, 4]


def test_jobs_that_stand_in_folders_of_their_own_have_the_metrics_that_they_wrote_there(project):
    done = train("-m", "lr=1,2", "hydra.job.chdir=true", "hydra.sweep.dir=out/deep")
    assert {run.params.lr: run.metrics for run in library.runs()} == {1: {"loss": 2}, 2: {"loss": 4}}
    assert "no metrics" not in done.err


def test_a_file_of_an_earlier_job_in_the_same_folder_gives_no_metrics(project):
    train("hydra.job.chdir=true", "hydra.run.dir=out")
    train("hydra.job.chdir=true", "hydra.run.dir=out", "+bad=true", code=1)
    assert [run.metrics for run in library.runs()] == [{}, {"loss": 0.2}]


def test_a_job_that_fails_is_a_failed_run_beside_the_others_and_the_exit_code_is_the_programs(project):
    done = train("-m", "+bad=false,true", code=1)
    assert "no such luck" in done.err
    assert {run.params.bad: str(run.status) for run in library.runs()} == {False: "completed", True: "failed"}


def test_a_new_key_is_taken_by_a_plus_and_by_a_config_that_is_not_strict(project):
    assert "Key 'new' is not in struct" in train("new=1", code=1).err
    assert library.run("latest").params == {}
    train("+new=1", "+loose=true")
    run = library.run("latest")
    assert (run.params["new"], run.origins["new"].at, run.drift) == (1, "+new=1", {"later": [{"missing": True}, 1]})


@pytest.mark.parametrize("words", [["--cfg", "job"], ["--help"], ["--info", "config"], ["--hydra-help"]], ids=" ".join)
def test_what_only_tells_of_the_config_records_no_params(project, words):
    assert train(*words).out
    assert (library.run("latest").params, library.run("latest").status) == ({}, "completed")


def test_show_says_what_hydra_was_told(project):
    train("optim=adam", "lr=0.3", "hydra.job.chdir=true", "hydra.run.dir=out/deep/${lr}")
    shown = [line.split(maxsplit=1) for line in gitparams("show").out.splitlines()]
    assert ["hydra", "optim=adam lr=0.3 · optim: adam"] in shown
    run = library.run("latest")
    assert run.environment["hydra"]["output_dir"] == str(project / "out/deep/0.3")
    assert run.metrics == {"loss": 0.6}
    assert run.params == {
        "lr": 0.3, "half": 0.3, "root": "${oc.env:NO_SUCH_VARIABLE}", "needed": "???", "optim": {"name": "adam"},
    }  # fmt: skip


# -- compose --------------------------------------------------------------------------------------------------------------


def places(run):
    return {path: (origin.source, origin.at) for path, origin in run.origins.items()}


def interpreted(project, text):
    """Run a text in an interpreter of its own that nothing of ours started."""
    return subprocess.run(
        [sys.executable, "-"], input=text, cwd=project, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_composed_config_is_one_call_and_tells_its_values(project):
    done = interpreted(project, COMPOSE.replace("MORE", ""))
    run = library.run("latest")
    assert (done.returncode, done.stderr, run.params, run.drift) == (0, "", COMPOSED, {})
    assert set(places(run).values()) == {("code", None)}


def test_with_its_hydra_node_it_tells_overrides_choices_and_lines_too(project):
    (project / "nb.py").write_text(COMPOSE.replace("MORE", "return_hydra_config=True"))
    assert interpreted(project, (project / "nb.py").read_text()).stderr == ""
    alone = library.run("latest")
    assert gitparams("run", "--", sys.executable, "nb.py").code == 0
    joined = library.run("latest")
    assert alone.id != joined.id
    assert alone.params == joined.params == COMPOSED
    assert (alone.drift, joined.drift, alone.disputed, joined.disputed) == ({}, {}, (), ())
    assert places(alone) == places(joined) == {
        "lr": ("hydra", "lr=0.5"),
        "half": ("hydra", "conf/config.yaml:5"),
        "root": ("hydra", "conf/config.yaml:6"),
        "needed": ("hydra", "conf/config.yaml:7"),
        "optim.name": ("hydra", "conf/optim/adam.yaml:1"),
        "new.key": ("hydra", "+new.key=1"),
        "db.password": ("hydra", "+db.password=<redacted>"),
    }  # fmt: skip
    for run in (alone, joined):
        told = run.environment["hydra"]
        assert (told["overrides"], told["choices"]) == (
            ["optim=adam", "lr=0.5", "+new.key=1", "+db.password=<redacted>"],
            {"optim": "adam"},
        )


def test_a_notebook_composes_as_a_program_does(project):
    pytest.importorskip("IPython")
    text = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        f"done = InteractiveShell.instance().run_cell('''\n{COMPOSE.replace('MORE', 'return_hydra_config=True')}''')\n"
        "done.raise_error()\n"
    )
    done = interpreted(project, text)
    assert done.returncode == 0, done.stderr
    run = library.run("latest")
    assert (run.params, run.environment["hydra"]["choices"]) == (COMPOSED, {"optim": "adam"})


def test_record_takes_a_composed_config_as_start_does(project):
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(project / "conf"), version_base=None):
        run = library.record(compose("config", overrides=["lr=0.7"], return_hydra_config=True), {"loss": 1})
    assert (run.params.lr, "hydra" in run.params, run.origins["lr"].at) == (0.7, False, "lr=0.7")
    assert run.environment["hydra"]["overrides"] == ["lr=0.7"]
