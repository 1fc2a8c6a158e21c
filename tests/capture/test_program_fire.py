"""What is told of a program that Fire gives a command line to."""

import sys

import pytest
from launch import python, script, without

FUNCTION = """
    import fire, json

    def train(data, lr=0.1, *files, layers=(64, 64), amp=False, **more):
        print(json.dumps({"data": data, "lr": lr, "files": files, "layers": layers, "amp": amp, **more}))
        if lr == 13:
            raise RuntimeError("diverged")
        return "done"

    if __name__ == "__main__":
        fire.Fire(train)
"""


def test_all_arguments_of_a_function_are_told_as_it_gets_them(tmp_path):
    script(tmp_path, "train.py", FUNCTION)
    run = python("train.py", "d", "1e-3", "a", "2", "--layers=[3,4]", "--amp", "--name=x", cwd=tmp_path)
    assert run.params == run.dumped
    assert run.origins == [
        {
            "data": ("cli", "data"),
            "lr": ("cli", "lr"),
            "files": ("cli", "files"),
            "layers": ("cli", "--layers"),
            "amp": ("cli", "--amp"),
            "name": ("cli", "--name"),
        }
    ]


def test_defaults_are_told_apart(tmp_path):
    script(tmp_path, "train.py", FUNCTION)
    run = python("train.py", "--data", "d", "--noamp", cwd=tmp_path)
    assert run.params == run.dumped
    assert run.origins == [
        {
            "data": ("cli", "--data"),
            "lr": ("default", "train.py"),
            "files": ("default", "train.py"),
            "layers": ("default", "train.py"),
            "amp": ("cli", "--amp"),
        }
    ]


TOOL = """
    import fire, json

    class Tool:
        def __init__(self, seed=1, name="x"):
            self.seed = seed

        def fit(self, lr=0.1, seed=2):
            print(json.dumps({"lr": lr, "seed": seed}))
            return {"loss": [0.3, 0.1]}

    fire.Fire(COMPONENT)
"""


def test_a_class_and_its_method_are_told_one_after_the_other(tmp_path):
    script(tmp_path, "train.py", TOOL.replace("COMPONENT", "Tool"))
    run = python("train.py", "--name=y", "fit", "--lr=3", "-", "loss", "1", cwd=tmp_path)
    assert (run.code, run.out.splitlines()[-1]) == (0, "0.1")
    assert run.params == [{"seed": 1, "name": "y"}, {"lr": 3, "fit": {"seed": 2}, "command": "fit"}]
    assert run.origins == [
        {"seed": ("default", "train.py"), "name": ("cli", "--name")},
        {"lr": ("cli", "--lr"), "fit.seed": ("default", "train.py fit"), "command": ("cli", "command")},
    ]


@pytest.mark.parametrize("component", ['{"fit": Tool().fit}', "", "Tool()"])
def test_a_member_is_the_command(tmp_path, component):
    script(tmp_path, "train.py", TOOL.replace("COMPONENT", component))
    words = ["Tool", "fit", "3"] if component == "" else ["fit", "3"]
    run = python("train.py", *words, cwd=tmp_path)
    assert run.params[-1]["lr"] == run.dumped[0]["lr"] == 3
    assert run.params[-1]["command"].endswith("fit")


def test_a_command_in_code_is_not_the_programs_words(tmp_path):
    script(tmp_path, "train.py", TOOL.replace("COMPONENT", 'Tool, command="fit --lr=4"'))
    run = python("train.py", "--other", cwd=tmp_path)
    assert (run.dumped, run.params) == ([{"lr": 4, "seed": 2}], [])


@pytest.mark.parametrize(
    "words", [["d"], [], ["d", "13"], ["--help"], ["d", "--", "--help"], ["d", "--", "--trace"], ["--lr"]], ids=" ".join
)
def test_a_program_ends_as_it_would_without_us(tmp_path, words):
    script(tmp_path, "train.py", FUNCTION)
    run = python("train.py", *words, cwd=tmp_path, env={"PAGER": "cat"})
    assert run.seen == without(sys.executable, "train.py", *words, cwd=tmp_path, env={"PAGER": "cat"})
    assert run.told("fault") == []
