"""Whose command line counts, in all the ways that people start their programs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from launch import launch, python, script

TRAIN = """
    import argparse, json

    def main():
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        print(json.dumps(vars(parser.parse_args())), flush=True)

    if __name__ == "__main__":
        main()
"""
LR = [{"lr": 2.0}]


@pytest.mark.parametrize(
    "words",
    [
        ["train.py"],
        ["-m", "train"],
        ["-m", "pkg"],
        ["-m", "pkg.train"],
        ["-c", "import train; train.main()"],
        ["-m", "cProfile", "-o", "profile.out", "train.py"],
        ["-m", "trace", "--count", "--missing", "--coverdir", "counts", "train.py"],
        ["-m", "pdb", "-c", "continue", "train.py"],
        ["-m", "runpy", "train"],
        ["app.pyz"],
        ["folder.app"],
    ],
    ids=" ".join,
)
def test_a_program_is_captured_however_python_starts_it(tmp_path, words):
    script(tmp_path, "train.py", TRAIN)
    script(tmp_path, "pkg/__init__.py", "")
    script(tmp_path, "pkg/__main__.py", TRAIN)
    script(tmp_path, "pkg/train.py", TRAIN)
    script(tmp_path, "folder.app/__main__.py", TRAIN)
    subprocess.run([sys.executable, "-m", "zipapp", "folder.app", "-o", "app.pyz"], cwd=tmp_path, check=True)
    run = python(*words, "--lr", "2", cwd=tmp_path)
    assert run.told("fault") == []
    assert (run.params, run.dumped) == (LR, LR)


def test_a_script_on_standard_input_is_captured(tmp_path):
    script(tmp_path, "train.py", TRAIN)
    run = python("-", "--lr", "2", cwd=tmp_path, stdin=(tmp_path / "train.py").read_text())
    assert (run.params, run.dumped, run.told("params")[0]["program"]) == (LR, LR, "-")


@pytest.mark.parametrize(
    "words", [["python", "train.py"], ["uv", "run", "--no-project", "--offline", "python", "train.py"]], ids=" ".join
)
def test_a_program_that_another_one_starts_is_captured(tmp_path, words):
    script(tmp_path, "train.py", TRAIN)
    run = launch(*words, "--lr", "2", cwd=tmp_path, env={"PATH": SEARCH, "UV_CACHE_DIR": str(tmp_path / "cache")})
    assert (run.code, run.params, run.dumped) == (0, LR, LR)


SEARCH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def test_a_job_script_that_calls_python_twice_tells_of_both(tmp_path):
    script(tmp_path, "train.py", TRAIN)
    script(tmp_path, "job.sh", "set -e\npython train.py --lr 1\npython train.py --lr 2\n")
    run = launch("sh", "job.sh", cwd=tmp_path, env={"PATH": SEARCH})
    assert run.params == run.dumped == [{"lr": 1.0}, {"lr": 2.0}]
    assert len({message["pid"] for message in run.told("params")}) == 2


def test_a_job_script_that_sets_its_own_path_runs_untouched(tmp_path):
    script(tmp_path, "train.py", TRAIN)
    script(tmp_path, "job.sh", "export PYTHONPATH=$PWD/src\npython train.py --lr 2\n")
    run = launch("sh", "job.sh", cwd=tmp_path, env={"PATH": SEARCH})
    assert (run.dumped, run.messages) == (LR, [])


# -- launchers ------------------------------------------------------------------------------------------------------------

DISTRIBUTED = """
    import argparse, json, os
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    line = json.dumps(dict(vars(parser.parse_args()), rank=os.environ.get("RANK"))) + "\\n"
    os.write(1, line.encode())  # whole, beside the other rank's
"""


def test_torchrun_is_no_program_and_only_rank_0_is_told(tmp_path):
    pytest.importorskip("torch")
    script(tmp_path, "train.py", DISTRIBUTED)
    words = [shutil.which("torchrun", path=SEARCH), "--standalone", "--nproc_per_node", "2", "train.py", "--lr", "2"]
    run = launch(*words, cwd=tmp_path)
    assert sorted(found["rank"] for found in run.dumped) == ["0", "1"]
    assert run.params == LR
    assert [message["program"] for message in run.told("params")] == [str(tmp_path / "train.py")]


def test_accelerate_launch_is_no_program(tmp_path):
    pytest.importorskip("accelerate")
    script(tmp_path, "train.py", DISTRIBUTED)
    run = launch(shutil.which("accelerate", path=SEARCH), "launch", "--cpu", "train.py", "--lr", "2", cwd=tmp_path)
    assert (run.code, run.params) == (0, LR)


def test_an_unknown_launcher_is_told_as_installed(tmp_path):
    site = tmp_path / "lib" / "site-packages"
    script(
        site,
        "spread.py",
        """
        import argparse, subprocess, sys
        parser = argparse.ArgumentParser()
        parser.add_argument("--copies", type=int)
        parser.add_argument("rest", nargs=argparse.REMAINDER)
        subprocess.run([sys.executable, *parser.parse_args().rest], check=True)
        """,
    )
    script(tmp_path, "train.py", TRAIN)
    run = python("-m", "spread", "--copies", "3", "train.py", "--lr", "2", cwd=tmp_path, env={"PYTHONPATH": str(site)})
    assert [(message["values"], message["installed"]) for message in run.told("params")] == [
        ({"copies": 3, "rest": ["train.py", "--lr", "2"]}, True),
        ({"lr": 2.0}, False),
    ]
    assert run.told("hello")[1]["chain"] == [run.told("hello")[0]["pid"]]


def test_a_grid_search_in_worker_processes_tells_only_what_the_script_parsed(tmp_path):
    pytest.importorskip("sklearn")
    script(
        tmp_path,
        "train.py",
        """
        import argparse
        from sklearn.base import BaseEstimator, ClassifierMixin
        from sklearn.model_selection import GridSearchCV

        def quiet():
            inner = argparse.ArgumentParser()
            inner.add_argument("--libC", type=float, default=1.0)
            return inner.parse_args([])

        class Model(ClassifierMixin, BaseEstimator):
            def __init__(self, c=1.0):
                self.c = c
            def fit(self, X, y):
                self.classes_ = [0, 1]
                quiet()
                return self
            def predict(self, X):
                return [0] * len(X)

        if __name__ == "__main__":
            parser = argparse.ArgumentParser()
            parser.add_argument("--cv", type=int, default=3)
            args = parser.parse_args()
            search = GridSearchCV(Model(), {"c": [1, 2]}, cv=args.cv, n_jobs=2)
            search.fit([[n] for n in range(12)], [0, 1] * 6)
        """,
    )
    run = python("train.py", "--cv", "2", cwd=tmp_path)
    assert (run.code, run.params) == (0, [{"cv": 2}])


TEST = """
    import sys
    import train

    def test_training(capsys):
        train.main()

    def test_with_words(monkeypatch):
        monkeypatch.setattr(sys, "argv", ["train.py", "--lr", "2"])
        train.main()
"""


@pytest.mark.parametrize(
    "words", [["-m", "pytest"], [shutil.which("pytest", path=SEARCH) or "pytest"]], ids=["module", "script"]
)
def test_what_tests_parse_are_no_params(tmp_path, words):
    script(tmp_path, "train.py", TRAIN)
    script(tmp_path, "test_train.py", TEST)
    run = python(
        *words, "-q", "-p", "no:cacheprovider", "-k", "words", "test_train.py", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}
    )
    assert (run.code, run.params) == (0, [])
    assert "1 passed" in run.out


# -- libraries and layouts ------------------------------------------------------------------------------------------------


def test_a_module_of_options_that_parses_when_it_is_imported_is_the_users(tmp_path):
    script(
        tmp_path,
        "options.py",
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        opt = parser.parse_args()
        """,
    )
    script(tmp_path, "train.py", "from options import opt\nprint(opt.lr)")
    run = python("train.py", "--lr", "2", cwd=tmp_path)
    assert (run.out, run.params) == ("2.0\n", LR)


def test_what_an_installed_library_parses_is_not_the_users(tmp_path):
    site = tmp_path / "lib" / "site-packages"
    script(
        site,
        "tool.py",
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--tool", default="x")
        parser.parse_known_args()
        """,
    )
    script(tmp_path, "train.py", "import tool\n" + "import train_main")
    script(tmp_path, "train_main.py", TRAIN.replace('__name__ == "__main__"', "True"))
    run = python("train.py", "--lr", "2", cwd=tmp_path, env={"PYTHONPATH": str(site)})
    assert run.params == LR


def test_what_the_standard_library_parses_is_not_the_users(tmp_path):
    script(tmp_path, "train.py", "print(1)")
    run = python("-m", "trace", "--count", "--coverdir", "counts", "train.py", cwd=tmp_path)
    assert (run.code, run.params) == (0, [])


PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "mytrainer"
version = "1.0"
[project.scripts]
mytrain = "mytrainer.cli:main"
myclick = "mytrainer.cli:command"
[tool.hatch.build]
dev-mode-dirs = ["."]
"""
CLI = """
    import argparse, json
    import click

    def main():
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        print(json.dumps(vars(parser.parse_args())))

    @click.command()
    @click.option("--lr", type=float)
    def command(lr):
        print(json.dumps({"lr": lr}))

    if __name__ == "__main__":
        main()
"""


@pytest.fixture(scope="module", params=["installed", "editable"])
def installed(request, tmp_path_factory):
    """An environment that has the user's own package, and a folder to stand in."""
    folder = tmp_path_factory.mktemp(request.param)
    script(folder, "src/pyproject.toml", PROJECT)
    script(folder, "src/mytrainer/__init__.py", "")
    script(folder, "src/mytrainer/cli.py", CLI)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    inner = folder / "venv" / "bin" / "python"
    place = subprocess.run(
        [inner, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True
    )
    ours = Path(pytest.__file__).parent.parent
    (Path(place.stdout.strip()) / "ours.pth").write_text(f"{ours}\n")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(inner),
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    how = ["--editable"] if request.param == "editable" else []
    subprocess.run([*pip, *how, str(folder / "src")], check=True, env={**os.environ, "PYTHONPATH": ""})
    return folder, request.param == "installed"


@pytest.mark.parametrize("words", [["mytrain"], ["myclick"], ["python", "-m", "mytrainer.cli"]], ids=" ".join)
def test_the_users_own_package_is_captured_installed_or_not(tmp_path, installed, words):
    folder, is_installed = installed
    run = launch(folder / "venv" / "bin" / words[0], *words[1:], "--lr", "2", cwd=tmp_path, env={"PYTHONPATH": ""})
    assert (run.code, run.err) == (0, "")
    assert [(message["values"], message["installed"]) for message in run.told("params")] == [({"lr": 2.0}, is_installed)]


def test_an_installed_tool_beside_it_is_told_as_installed(tmp_path, installed):
    folder, _ = installed
    run = launch(folder / "venv" / "bin" / "python", "-m", "ruff", "--version", cwd=tmp_path, env={"PYTHONPATH": ""})
    assert [message for message in run.told("params") if not message["installed"]] == []
