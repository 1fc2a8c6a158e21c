"""How the capture enters a Python: with what is told at the start, and with nothing else changed."""

import os
import platform
import subprocess
import sys

import pytest
from launch import PROGRAM, RUN, elsewhere, launch, python, python_of, script, without

SCRIPT = """
    import argparse, json
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    print(json.dumps(vars(parser.parse_args())))
"""
LOOK = """
    import os, sys, json
    names = ("GITPARAMS_CHAIN", "GITPARAMS_CAPTURE", "GITPARAMS_RUN", "PYTHONPATH")
    print(json.dumps({
        "path": sys.path, "argv": sys.argv, "flags": list(sys.flags), "bytecode": sys.dont_write_bytecode, "stdlib": "json" in LOADED, "re": "re" in LOADED,
        "environment": {name: value for name, value in os.environ.items() if name not in names},
        "kept": os.environ.get("PYTHONPATH", "").split(os.pathsep)[0],
    }))
"""


def test_the_folder_on_the_path_holds_two_files():
    assert sorted(file.name for file in (PROGRAM / "path").iterdir() if file.name != "__pycache__") == [
        "_gitparams_capture.py",
        "sitecustomize.py",
    ]


def test_a_python_greets_with_its_version_and_paths(tmp_path):
    run = python("-c", "pass", cwd=tmp_path)
    (hello,) = run.messages
    assert (run.seen, hello["kind"], hello["chain"], hello["run"]) == ((0, "", ""), "hello", [], None)
    assert (hello["python"], hello["executable"]) == (platform.python_version(), sys.executable)
    assert str(PROGRAM / "path") not in hello["path"]


@pytest.mark.parametrize(
    "flags", [[], ["-O"], ["-OO"], ["-s"], ["-P"], ["-B"], ["-X", "dev"], ["-W", "error"], ["-u"]], ids=" ".join
)
def test_paths_flags_environment_and_modules_are_as_without_us(tmp_path, flags):
    script(tmp_path, "look.py", LOOK.replace("import os, sys, json", "import sys; LOADED = set(sys.modules); import os, json"))
    run = python(*flags, "look.py", "--lr", "2", cwd=tmp_path)
    code, out, err = without(sys.executable, *flags, "look.py", "--lr", "2", cwd=tmp_path)
    kept = '"kept": "' + str(PROGRAM / "path") + '"}\n'
    assert (run.code, run.out.rpartition('"kept"')[0], run.err) == (code, out.rpartition('"kept"')[0], err)
    assert run.out.endswith(kept)


@pytest.mark.parametrize(
    "flags", [["-O"], ["-OO"], ["-s"], ["-P"], ["-B"], ["-X", "dev"], ["-W", "error"], ["-bb"], ["-u"]], ids=" ".join
)
def test_a_script_is_captured_whatever_the_flags(tmp_path, flags):
    script(tmp_path, "train.py", SCRIPT)
    run = python(*flags, "train.py", "--lr", "2", cwd=tmp_path)
    assert run.seen == (0, '{"lr": 2.0}\n', "")
    assert run.params == [{"lr": 2.0}]


@pytest.mark.parametrize("flags", [["-I"], ["-E"], ["-S"], ["-IS"]], ids=" ".join)
def test_an_isolated_python_runs_untouched_and_says_nothing(tmp_path, flags):
    script(tmp_path, "train.py", SCRIPT)
    run = python(*flags, "train.py", "--lr", "2", cwd=tmp_path)
    assert (run.seen, run.messages) == ((0, '{"lr": 2.0}\n', ""), [])


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_a_python_too_old_greets_and_runs_untouched(tmp_path, version):
    script(tmp_path, "train.py", SCRIPT)
    words = [python_of(version), "-B", "train.py", "--lr", "2"]
    run = launch(*words, cwd=tmp_path, env={"PYTHONPATH": ""}, program=elsewhere(tmp_path))
    assert run.seen == without(*words, cwd=tmp_path, env={"PYTHONPATH": ""})
    assert [(message["kind"], message["python"]) for message in run.messages] == [("hello", version)]


def test_a_module_of_the_users_is_never_shadowed(tmp_path):
    for name in ("program", "argparse_door", "doors", "paths"):
        script(tmp_path / "lib", f"{name}.py", "WHOSE = 'user'")
    script(tmp_path, "train.py", "import program, doors, paths\nprint(program.WHOSE, doors.WHOSE, paths.WHOSE)")
    assert python("train.py", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "lib")}).out == "user user user\n"


@pytest.mark.parametrize(
    "customize",
    ["print('customized', __name__, __file__)", "raise KeyError('mine')", "import nothing_there", "1 ="],
)
def test_a_sitecustomize_of_the_users_runs_as_without_us(tmp_path, customize):
    script(tmp_path / "lib", "sitecustomize.py", customize)
    script(tmp_path, "train.py", SCRIPT)
    environment = {"PYTHONPATH": str(tmp_path / "lib")}
    run = python("train.py", "--lr", "2", cwd=tmp_path, env=environment)
    assert run.seen == without(sys.executable, "train.py", "--lr", "2", cwd=tmp_path, env=environment)
    assert len(run.told("hello")) == 1


def test_two_copies_on_the_path_are_one(tmp_path):
    script(tmp_path, "train.py", SCRIPT)
    run = python("train.py", cwd=tmp_path, env={"PYTHONPATH": str(elsewhere(tmp_path) / "path")})
    assert (run.err, [message["kind"] for message in run.messages]) == ("", ["hello", "params", "bye"])


def test_python_path_is_kept_for_grandchildren(tmp_path):
    script(tmp_path, "train.py", SCRIPT)
    script(
        tmp_path, "outer.py", "import subprocess, sys\nsubprocess.run([sys.executable, 'train.py', '--lr', '3'], check=True)"
    )
    run = python("outer.py", cwd=tmp_path)
    outer, inner = run.told("hello")
    assert (outer["chain"], inner["chain"]) == ([], [outer["pid"]])
    assert [(message["pid"], message["values"]) for message in run.told("params")] == [(inner["pid"], {"lr": 3.0})]


def test_a_process_that_becomes_another_program_greets_again(tmp_path):
    script(tmp_path, "train.py", SCRIPT)
    script(
        tmp_path,
        "outer.py",
        SCRIPT
        + "    import os, sys\n    sys.stdout.flush()\n    os.execv(sys.executable, ['python', 'train.py', '--lr', '3'])\n",
    )
    run = python("outer.py", cwd=tmp_path)
    first, second = run.told("hello")
    assert (first["pid"], second["chain"]) == (second["pid"], [])
    assert run.params == [{"lr": 0.1}, {"lr": 3.0}]


@pytest.mark.parametrize(
    "variable", ["RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "MV2_COMM_WORLD_RANK"]
)
def test_only_the_first_rank_speaks(tmp_path, variable):
    script(tmp_path, "train.py", SCRIPT)
    first = python("train.py", cwd=tmp_path, env={variable: "0"})
    (tmp_path / "second").mkdir()
    second = python("../train.py", cwd=tmp_path / "second", env={variable: "1"})
    assert (first.params, second.messages, second.out) == ([{"lr": 0.1}], [], first.out)


def test_nothing_is_told_once_the_run_is_over(tmp_path):
    script(
        tmp_path,
        "train.py",
        "import os, shutil\nshutil.rmtree(os.environ['GITPARAMS_CAPTURE'])\n"
        + "import argparse\nargparse.ArgumentParser().parse_args()",
    )
    run = python("train.py", cwd=tmp_path)
    assert (run.seen, (run.live / RUN / "capture").exists()) == ((0, "", ""), False)


def test_a_daemon_that_outlives_the_run_starts_untouched(tmp_path):
    script(tmp_path, "train.py", SCRIPT)
    environment = {**os.environ, "GITPARAMS_CAPTURE": str(tmp_path / "gone"), "PYTHONPATH": str(PROGRAM / "path")}
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr, (tmp_path / "gone").exists()) == (0, '{"lr": 0.1}\n', "", False)


WORKERS = {
    "fork": "import multiprocessing as m\nm.get_context('fork').Pool(2).map(work, [1, 2])",
    "spawn": "import multiprocessing as m\nif __name__ == '__main__':\n    m.get_context('spawn').Pool(2).map(work, [1, 2])",
    "forkserver": "import multiprocessing as m\nif __name__ == '__main__':\n    m.get_context('forkserver').Pool(2).map(work, [1, 2])",
    "executor": "from concurrent.futures import ProcessPoolExecutor as P\nif __name__ == '__main__':\n    with P(2) as pool:\n        list(pool.map(work, [1, 2]))",
    "os.fork": "import os\npid = os.fork()\nif pid == 0:\n    work(1)\n    os._exit(0)\nos.waitpid(pid, 0)",
    "fork that ends": "import os, sys\npid = os.fork()\nif pid == 0:\n    args.lr = 9\n    sys.exit(3)\nos.waitpid(pid, 0)",
    "loky": "import joblib\nif __name__ == '__main__':\n    joblib.Parallel(2)(joblib.delayed(work)(n) for n in range(2))",
}


@pytest.mark.parametrize("kind", WORKERS)
def test_workers_say_nothing(tmp_path, kind):
    script(
        tmp_path,
        "train.py",
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        args = parser.parse_args()
        def work(number):
            return parser.parse_args(["--lr", "2"]).lr, parser.parse_args().lr
        """,
    )
    with open(tmp_path / "train.py", "a") as file:
        file.write(WORKERS[kind])
    run = python("train.py", "--lr", "2", cwd=tmp_path)
    assert (run.code, run.err) == (0, "")
    assert run.params == [{"lr": 2.0}]
    assert [message["kind"] for message in run.messages] == ["hello", "params", "bye"]


def test_threads_parse_side_by_side(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import argparse, threading
        def parse(number):
            parser = argparse.ArgumentParser()
            parser.add_argument(f"--key{number}", type=int, default=number)
            parser.parse_known_args()
        threads = [threading.Thread(target=parse, args=(number,)) for number in range(20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """,
    )
    run = python("train.py", "--other", cwd=tmp_path)
    assert run.told("fault") == []
    assert {key: value for values in run.params for key, value in values.items()} == {f"key{n}": n for n in range(20)}


def test_what_a_process_said_before_it_was_killed_is_there(tmp_path):
    script(
        tmp_path,
        "train.py",
        SCRIPT + "    import os, signal, sys\n    sys.stdout.flush()\n    os.kill(os.getpid(), signal.SIGKILL)\n",
    )
    run = python("train.py", "--lr", "2", cwd=tmp_path)
    assert (run.code, run.params, run.told("bye")) == (-9, [{"lr": 2.0}], [])


@pytest.mark.parametrize(
    ("ending", "bye"),
    [
        ("pass", (None, False, False)),
        ("sys.exit()", (0, False, False)),
        ("sys.exit(4)", (4, False, False)),
        ("sys.exit('no data')", (1, False, False)),
        ("1 / 0", (None, True, False)),
        ("raise KeyboardInterrupt", (None, False, True)),
    ],
)
def test_the_end_is_told_as_far_as_it_is_known(tmp_path, ending, bye):
    script(tmp_path, "train.py", SCRIPT + f"    import sys\n    {ending}\n")
    run = python("train.py", cwd=tmp_path)
    assert [(message["code"], message["error"], message["interrupted"]) for message in run.told("bye")] == [bye]


def test_a_reporter_that_is_turned_off_says_nothing(tmp_path):
    script(tmp_path, "train.py", SCRIPT)
    assert python("train.py", cwd=tmp_path, how={"off": ["argparse"]}).params == []


def test_a_fault_of_ours_is_told_and_the_program_goes_on(tmp_path):
    script(
        tmp_path,
        "train.py",
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        class Bad(dict):
            def items(self):
                raise LookupError("no items, hf_abcdefghijklmnopqrstuvwxyz123456")
        print(parser.parse_args(namespace=Bad.__new__(type("Odd", (Bad,), {"__setattr__": dict.__setitem__}))).__class__.__name__)
        """,
    )
    run = python("train.py", cwd=tmp_path)
    assert run.seen == (0, "Odd\n", "")
    assert [message["text"] for message in run.told("fault")] == ["LookupError: no items, <redacted>"]
