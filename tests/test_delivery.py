"""How a recorded command is told other params: in words of real parsers, in variables, in files, after -p."""

import json
import sys
import textwrap

import pytest
from world import git, gitparams

from gitparams.delivery import Delivery, Said, deliver, fill
from gitparams.edits import edit_file
from gitparams.errors import ParamsError, UsageError
from gitparams.params import MISSING, Origin, flatten
from gitparams.values import same

ARGPARSE = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("-l", "--lr", type=float, default=0.1)
parser.add_argument("--layers", type=int, nargs="*", default=[1])
parser.add_argument("--amp", action="store_true")
parser.add_argument("--ema", action=argparse.BooleanOptionalAction, default=True)
parser.add_argument("--tag", action="append")
parser.add_argument("-v", "--verbose", action="count", default=0)
parser.add_argument("--weight-decay", type=float)
parser.parse_args()
"""
SUB_COMMANDS = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
commands = parser.add_subparsers(dest="command")
fit = commands.add_parser("fit")
fit.add_argument("--lr", type=float, default=0.1)
parser.parse_args()
"""
CLICK = """
import click
@click.command()
@click.option("--lr", type=float, default=.1)
@click.option("-n", "--num-workers", type=int, default=2, envvar="WORKERS")
@click.option("--amp/--no-amp", default=False)
@click.option("--fast", is_flag=True)
@click.option("--layers", multiple=True, type=int)
@click.option("--size", nargs=2, type=int)
@click.argument("data")
def main(**params): pass
main()
"""
TYPER = """
import typer
def main(data: str, lr: float = 0.1, amp: bool = False, layers: list[int] = [1]): pass
typer.run(main)
"""
FIRE = """
import fire
def main(data, lr=0.1, amp=False, layers=(1, 2), name=None, num_workers=3): pass
fire.Fire(main)
"""
ABSL = """
from absl import app, flags
flags.DEFINE_float("lr", 0.1, "")
flags.DEFINE_bool("amp", True, "")
flags.DEFINE_list("names", [], "")
flags.DEFINE_multi_integer("layers", [1], "")
app.run(lambda words: None)
"""
TYRO = """
import dataclasses, tyro
@dataclasses.dataclass
class Optim:
    lr: float = 0.1
    weight_decay: float = 0.0
@dataclasses.dataclass
class Config:
    optim: Optim
    amp: bool = False
    layers: tuple[int, ...] = (1, 2)
    name: str | None = None
tyro.cli(Config)
"""
JSONARGPARSE = """
from jsonargparse import auto_cli
def main(lr: float = 0.1, amp: bool = False, layers: list[int] = [1], name: str | None = None): pass
auto_cli(main)
"""
HYDRA = """
import hydra
@hydra.main(version_base=None, config_path=".", config_name="config")
def main(config): pass
main()
"""
HYDRA_CONFIG = """
optim: {lr: 0.1, name: adam}
layers: [1, 2]
name: null
"""
NO_OUTPUT = ("hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=disabled", "hydra/hydra_logging=disabled")


def recorded(repo, *words, env=None):
    """Run words as a run, and return how it was told its params."""
    outcome = gitparams("run", *words, env=env)
    assert outcome.code == 0, outcome.err
    return latest()


def latest():
    document = json.loads(gitparams("show", "--json").out)
    origins = {path: Origin(origin["source"], origin["at"]) for path, origin in document["origins"].items()}
    return Said(tuple(document["command"]), flatten(document["params"]), origins)


def again(delivery):
    """Run what a delivery says, and return the params that the program had."""
    assert not delivery.undelivered
    overrides = [word for override in delivery.overrides for word in ("-p", override)]
    variables = {name: text for name, text in delivery.variables.items() if text is not None}
    outcome = gitparams("run", *overrides, "--", *delivery.command, env=variables)
    assert outcome.code == 0, outcome.err
    return dict(latest().params)


def write(repo, text, name="train.py"):
    (repo / name).write_text(textwrap.dedent(text).lstrip("\n"))


def arguments(delivery):
    return list(delivery.command[2:])


PAIRS = [
    pytest.param(
        ARGPARSE,
        [
            "a.csv",
            "-l0.3",
            "--layers",
            "3",
            "4",
            "--amp",
            "--no-ema",
            "--tag",
            "a",
            "--tag",
            "b",
            "-vv",
            "--weight-decay=-1e-4",
        ],
        ["b.csv", "--lr", "1e-2", "--layers", "9", "8", "7"],
        id="argparse",
    ),
    pytest.param(ARGPARSE, ["a.csv", "--layers", "--weight", "2"], ["--tag", "x", "--", "b.csv"], id="argparse-in-other-ways"),
    pytest.param(SUB_COMMANDS, ["--seed", "3", "fit", "--lr", "2"], ["fit"], id="sub-commands"),
    pytest.param(
        CLICK,
        ["--lr=0.2", "--amp", "--fast", "--layers", "3", "--layers", "4", "--size", "1", "2", "a.csv"],
        ["b.csv", "--no-amp", "--size", "5", "6"],
        id="click",
    ),
    pytest.param(TYPER, ["a", "--lr", "3", "--amp", "--layers", "3", "--layers", "4"], ["b", "--layers", "5"], id="typer"),
    pytest.param(
        FIRE,
        ["a.csv", "--lr=3", "--amp", "--layers=[3,4]", "--num-workers", "5"],
        ["b.csv", "--noamp", "--name", "x"],
        id="fire",
    ),
    pytest.param(ABSL, ["--lr=.3", "--noamp", "--names=a,b", "--layers=3", "--layers=4"], ["-lr", "2", "--amp"], id="absl"),
    pytest.param(
        TYRO,
        ["--optim.lr", "3", "--amp", "--layers", "3", "4", "--optim.weight-decay", "3"],
        ["--no-amp", "--name", "x", "--layers", "7"],
        id="tyro",
    ),
    pytest.param(
        JSONARGPARSE, ["--lr", "3", "--amp", "true", "--layers", "[3,4]", "--name=null"], ["--name", "x"], id="jsonargparse"
    ),
]


@pytest.mark.parametrize(("program", "first", "second"), PAIRS)
def test_a_command_is_told_all_values_of_another_and_back(repo, program, first, second):
    write(repo, program)
    one = recorded(repo, "--", sys.executable, "train.py", *first)
    two = recorded(repo, "--", sys.executable, "train.py", *second)

    assert again(deliver(one, two.params, [two])) == two.params
    assert again(deliver(two, one.params, [one])) == one.params


@pytest.mark.parametrize(("program", "first", "second"), PAIRS)
def test_what_does_not_change_leaves_the_command_as_it_is(repo, program, first, second):
    write(repo, program)
    one = recorded(repo, "--", sys.executable, "train.py", *first)
    two = recorded(repo, "--", sys.executable, "train.py", *second)

    assert deliver(one, one.params, [two]) == Delivery(one.command)


def test_new_values_are_said_in_the_manner_of_the_old_ones(repo):
    write(repo, ARGPARSE)
    words = ["a.csv", "-l0.3", "--layers", "3", "4", "--amp", "--no-ema", "--tag", "a", "--tag", "b", "-vv", "--weight-decay=2"]
    run = recorded(repo, "--", sys.executable, "train.py", *words)
    wanted = {
        "data": "b.csv",
        "lr": 1e-5,
        "layers": [5],
        "amp": False,
        "ema": True,
        "tag": ["c", "d", "e"],
        "verbose": 1,
        "weight_decay": -1.5,
    }

    delivery = deliver(run, wanted)

    assert arguments(delivery) == [
        "b.csv",
        "-l1e-05",
        "--layers",
        "5",
        "--ema",
        "--tag",
        "c",
        "--tag",
        "d",
        "--tag",
        "e",
        "-v",
        "--weight-decay=-1.5",
    ]
    assert again(delivery) == wanted


def test_hydra_is_told_by_overrides_whatever_file_a_value_was_in(repo):
    write(repo, HYDRA)
    write(repo, HYDRA_CONFIG, "config.yaml")
    one = recorded(
        repo, "--", sys.executable, "train.py", *NO_OUTPUT, "optim.lr=0.3", "+optim.wd=3", "layers=[3,4]", 'name="a b"'
    )
    two = recorded(repo, "--", sys.executable, "train.py", *NO_OUTPUT, "optim.name=sgd", "+seed=1")

    there = {path: two.params.get(path, MISSING) for path in one.params | two.params}
    back = {path: one.params.get(path, MISSING) for path in one.params | two.params}

    assert again(deliver(one, there, [two])) == two.params
    assert again(deliver(two, back, [one])) == one.params
    assert again(deliver(one, {"optim.name": "it's {x}", "layers": ["a b", 1.5, None, True], "new.k": {"a": 1}})) == {
        **one.params,
        "optim.name": "it's {x}",
        "layers": ["a b", 1.5, None, True],
        "new.k.a": 1,
    }


def test_hydra_gets_the_values_of_another_choice_of_a_group(repo):
    (repo / "optim").mkdir()
    write(repo, HYDRA)
    write(repo, "defaults: [_self_, {optim: adam}]\nseed: 1\n", "config.yaml")
    write(repo, "lr: 0.1\nbetas: [0.9, 0.99]\n", "optim/adam.yaml")
    write(repo, "lr: 0.3\nmomentum: 0.9\n", "optim/sgd.yaml")
    one = recorded(repo, "--", sys.executable, "train.py", *NO_OUTPUT)
    two = recorded(repo, "--", sys.executable, "train.py", *NO_OUTPUT, "optim=sgd")

    there = {path: two.params.get(path, MISSING) for path in one.params | two.params}

    assert again(deliver(one, there, [two])) == two.params


def test_a_job_of_a_sweep_is_run_alone():
    hydra = {"optim.lr": Origin("cli", "optim.lr=0.1"), "seed": Origin("hydra", "config.yaml:1")}
    job = Said(("python", "train.py", "-m", "optim.lr=0.1,0.2", "seed=1"), {"optim.lr": 0.1, "seed": 1}, hydra)

    assert arguments(deliver(job, {"optim.lr": 0.5})) == ["optim.lr=0.5", "seed=1"]
    assert arguments(deliver(job, {})) == ["optim.lr=0.1", "seed=1"]


def test_variables_are_said_again_and_may_change(repo):
    write(repo, CLICK)
    one = recorded(repo, "--", sys.executable, "train.py", "a", env={"WORKERS": "7"})
    two = recorded(repo, "--", sys.executable, "train.py", "a")

    assert deliver(one, {"lr": 0.1}).variables == {"WORKERS": "7"}
    assert again(deliver(one, {"num_workers": 3})) == {**one.params, "num_workers": 3}
    assert again(deliver(two, {"num_workers": 7}, [one])) == one.params


def test_declared_values_are_said_again_after_p_and_may_change(repo):
    (repo / "conf.yaml").write_text("optim: {lr: 0.1}\nname: a\n")
    one = recorded(
        repo, "--params", "conf.yaml", "-p", "optim.lr=0.5", "-p", "+note=a=b", "-p", "+x={a: 1, b: 2}", "--", "true"
    )

    delivery = deliver(one, {"optim.lr": 1e-5, "note": "1", "x.a": 3})

    assert delivery.overrides == ('note="1"', "optim.lr=1e-05", "+x={a: 1, b: 2}", "x.a=3")
    assert again(delivery) == {"optim.lr": 1e-5, "note": "1", "x.a": 3, "x.b": 2}
    assert deliver(one, {"note": MISSING}).overrides == ("optim.lr=0.5", "+x={a: 1, b: 2}")


def test_params_of_files_are_always_said_since_the_files_may_be_those_of_another_commit(repo):
    (repo / "conf.yaml").write_text("optim:\n  lr: 0.1\n  name: a\n")
    one = recorded(repo, "--params", "conf.yaml", "--", "true")

    delivery = deliver(one, {"optim.lr": 0.5, "optim.name": "a"})

    assert delivery.files == {"conf.yaml": {"optim.lr": 0.5, "optim.name": "a"}}
    assert delivery.lines == {"conf.yaml": {"optim.lr": 2, "optim.name": 3}}


# -- what cannot be said --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "had", "value", "why"),
    [
        (Origin("default", "train.py"), 1, 2, "nobody ever said it on the command line"),
        (Origin("code", "train.py:12"), 1, 2, "it is set in the code at train.py:12"),
        (Origin("code"), 1, 2, "it is set in the code"),
        (None, MISSING, 2, "neither run said it"),
        (Origin("default", "train.py"), 1, MISSING, "it is a default of the program, which cannot be taken away"),
        (Origin("cli", "--x"), 1, None, "no run shows how null is said by --x"),
        (Origin("cli", "--x"), [1], [1, 2], "no run shows how 2 values are said by --x"),
        (
            Origin("cli", "x"),
            "7",
            "8",
            "it is known by its place, and its old value stands not exactly once among the arguments",
        ),
        (Origin("cli", "x"), 1, None, "an argument that is known by its place cannot be left out"),
        (Origin("env", "X"), 1, [1], "how several values are written in $X is not known"),
        (Origin("file", "conf.py:3"), 1, 2, "it is set in the code at conf.py:3"),
        (Origin("file", None), 1, 2, "in which file it stands is not recorded"),
        (Origin("file", "a.env, b.env"), 1, 2, "in which file it stands is not recorded (a.env, b.env)"),
    ],
)
def test_what_cannot_be_said_is_said_to_be_so(origin, had, value, why):
    run = Said(
        ("python", "train.py", "--x", "1"), {} if had is MISSING else {"x": had}, {} if origin is None else {"x": origin}
    )

    assert deliver(run, {"x": value}).undelivered == (("x", why),)


def test_a_secret_that_was_not_recorded_cannot_be_said_again():
    run = Said(("train", "--api-key", "<redacted>"), {}, {})

    assert deliver(run, {}).undelivered == (("the command", "it held a secret, which is not recorded"),)


def test_a_flag_that_said_a_whole_mapping_stays_and_one_value_is_said_after_it():
    origins = {"optim.lr": Origin("cli", "--optim"), "optim.name": Origin("cli", "--optim")}
    run = Said(("train.py", "--optim", "{lr: 1, name: a}"), {"optim.lr": 1, "optim.name": "a"}, origins)

    assert deliver(run, {"optim.lr": 2}).command == ("train.py", "--optim", "{lr: 1, name: a}", "--optim.lr", "2")


@pytest.mark.parametrize(
    ("words", "params", "at", "wanted", "told"),
    [
        (["--x", "1", "--x=2"], 2, "--x", 3, ["--x", "3"]),
        (["--x", "1", "--x", "2"], 2, "--x", 3, ["--x", "3"]),
        (["-x", "-x", "data"], 2, "-x", 3, ["-x", "-x", "-x", "data"]),
        (["--x", "1", "--", "--x"], 1, "--x", -3, ["--x=-3", "--", "--x"]),
        (["--x-y", "1"], 1, "--x_y", 2, ["--x-y", "2"]),
        (["--x", "True"], True, "--x", False, ["--x", "False"]),
        (["--x=yes"], True, "--x", False, ["--x=no"]),
        (["--x", "data"], True, "--x", False, ["data"]),
        (["--x", ""], "", "--x", "a b", ["--x", "a b"]),
        (["--x", "a"], "a", "--x", "", ["--x="]),
        (["--x", "64", "64"], [64, 64], "--x", [1, 2, 3], ["--x", "1", "2", "3"]),
        (["--x", "64,64"], [64, 64], "--x", [1], ["--x", "1"]),
        (["--x=(1,2)"], [1, 2], "--x", [3], ["--x=(3)"]),
        (["--x", "2k"], 2048, "--x", 512, ["--x", "512"]),
        (["-x", "3", "-y", "3"], 3, "--xylo", 4, ["-x", "4", "-y", "3"]),
        (["-a", "3", "-b", "3"], 3, "--xylo", 4, ["-a", "3", "-b", "3", "--xylo", "4"]),
    ],
)
def test_words_are_replaced_where_they_stand(words, params, at, wanted, told):
    run = Said(("python", "train.py", *words), {"x": params}, {"x": Origin("cli", at)})

    assert arguments(deliver(run, {"x": wanted})) == told


def test_flags_of_a_launcher_are_not_those_of_the_program():
    command = ("torchrun", "--nproc", "2", "train.py", "--nproc", "3")
    run = Said(command, {"nproc": 3}, {"nproc": Origin("cli", "--nproc")})

    assert deliver(run, {"nproc": 4}).command == ("torchrun", "--nproc", "2", "train.py", "--nproc", "4")


# -- placeholders ---------------------------------------------------------------------------------------------------------


def test_placeholders_are_filled_in_whole_words_and_inside_of_words():
    command = ["./train", "{optim.lr}", "--amp={amp}", "{{not}}", "{layers}", "--gone", "{gone}", "--gone={gone}"]
    values = {"optim.lr": 1e-5, "amp": True, "layers": [1, 2], "gone": MISSING}

    assert fill(command, values) == (
        ("./train", "1e-05", "--amp=true", "{not}", "[1,2]"),
        frozenset({"optim.lr", "amp", "layers", "gone"}),
    )


def test_a_placeholder_without_a_param_is_refused_with_what_is_near():
    with pytest.raises(UsageError) as refused:
        fill(["{optim.lrr}"], {"optim.lr": 0.1})

    assert str(refused.value) == "The command has {optim.lrr}, and there is no such param; did you mean optim.lr?"


# -- files ----------------------------------------------------------------------------------------------------------------

YAML = """\
# how we train
optim:
  lr: 0.1   # the rate
  name: "adam"
  betas: [0.9, 0.99]
layers:
- 1
- 2  # two
# the rest
name:
"""


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("lr: 0.1   # the rate", "lr: 1.0e-05   # the rate", {"optim.lr": 1e-5}),
        ('name: "adam"', 'name: "1e-3"', {"optim.name": "1e-3"}),
        ('name: "adam"', "name: sgd", {"optim.name": "sgd"}),
        ('name: "adam"', 'name: "yes"', {"optim.name": "yes"}),
        ("[0.9, 0.99]", "[0.5]", {"optim.betas": [0.5]}),
        ("- 1\n- 2  # two", "- 3\n- 4\n- a  # two", {"layers": [3, 4, "a"]}),
        ("name:\n", 'name: "two\\nlines"\n', {"name": "two\nlines"}),
        ("name:\n", "name: {a: 1}\n", {"name": {"a": 1}}),
        ("  lr: 0.1   # the rate\n", "", {"optim.lr": MISSING}),
        ("  lr: 0.1", "  wd: 3\n  lr: 0.1", {"optim.wd": 3}),
        ("optim:\n", "new: {a: {b: .inf}}\noptim:\n", {"new.a.b": float("inf")}),
    ],
)
def test_yaml_keeps_its_comments_order_and_style(before, after, changes):
    assert edit_file(YAML, ".yaml", changes) == YAML.replace(before, after, 1)


@pytest.mark.parametrize(
    ("ending", "before", "changes", "after"),
    [
        (".json", '{\n  "a": 1, "b": {"c": [1, 2]}}\n', {"b.c": [3], "a": 1.0}, '{\n  "a": 1.0, "b": {"c": [3]}}\n'),
        (".json", '{\n\t"a": 1,\n\t"b": 2\n}', {"a": "µ"}, '{\n\t"a": "µ",\n\t"b": 2\n}'),
        (".json", '{"a": 1, "b": 2}', {"b": MISSING, "c.d": None}, '{"a": 1, "c": {"d": null}}'),
        (".yaml", "a: &x\n  b: 1 # one\nc: *x\n", {"a.b": 2}, "a:\n  b: 2\nc:\n  b: 1\n"),
        (".yaml", "a: |\n  one\n  two\nb: 1\n", {"a": "x"}, "a: x\nb: 1\n"),
        (".yaml", "a: 1\r\nb: 2 # two\r\n", {"b": 3, "c": 4}, "c: 4\r\na: 1\r\nb: 3 # two\r\n"),
        (".yaml", "\ufeffa: 1\n", {"a": 2}, "\ufeffa: 2\n"),
        (".toml", "[optim] # x\nlr = 0.1 # y\nn = 'a#b'\n", {"optim.lr": 1e-5, "optim.n": 'q"#'}, '[optim] # x\nlr = 1e-05 # y\nn = "q\\"#"\n'),
        (".toml", "a.b = [1, 2] # y\nc = 1\n", {"a.b": [3], "c": MISSING}, "a.b = [3] # y\n"),
        (".ini", "[optim]\nlr: 0.1\r\nname = x\n", {"optim.lr": 1, "optim.name": "a b"}, "[optim]\nlr: 1\r\nname = a b\n"),
        (".env", "export LR=0.1 # c\nNAME='a b'\n", {"LR": 1e-5, "NAME": "1"}, 'export LR=1e-05 # c\nNAME="1"\n'),
    ],
)  # fmt: skip
def test_a_file_is_edited_in_place_where_that_is_safe(ending, before, changes, after):
    assert edit_file(before, ending, changes) == after


def test_keys_below_a_prefix_are_found_by_their_line_and_new_ones_go_beside_them():
    text = "a:\n  b: 1\nb: 2\n"

    assert edit_file(text, ".yaml", {"x.b": 3}, {"x.b": 3}) == "a:\n  b: 1\nb: 3\n"
    assert edit_file(text, ".yaml", {"x.a.c": 3}, {"x.a.b": 2}) == "a:\n  c: 3\n  b: 1\nb: 2\n"
    assert edit_file("params:\n  lr: 1\n", ".yaml", {"lr": 2}) == "params:\n  lr: 2\n"


def test_a_file_that_holds_the_values_already_stays_as_it_is():
    assert edit_file("a:   {b: 1}", ".yaml", {"a.b": 1, "a.c": MISSING}) == "a:   {b: 1}"


@pytest.mark.parametrize(
    ("ending", "text", "changes", "why"),
    [
        (".toml", "optim = {lr = 0.1}", {"optim.lr": 1.0}, "optim.lr cannot be replaced in place in a .toml file."),
        (".toml", "a = '''\nx'''", {"a": "b"}, "a cannot be replaced in place in a .toml file."),
        (".toml", "a = 1", {"a": None}, "TOML has no null."),
        (".toml", "a = 1", {"b": 1}, "b is not in the file, and nothing is added to a .toml file."),
        (".ini", "[a]\nb=1", {"a.b": "2"}, "a.b cannot be replaced in place in a .ini file."),
        (".env", "A=1", {"A": [1]}, "A cannot be replaced in place in a .env file."),
        (".yaml", "a: 1", {"a.b": 2}, "a.b cannot be replaced in place in a .yaml file."),
        (".py", "A = 1", {"A": 2}, "A .py file is not written to."),
    ],
)
def test_what_a_file_cannot_hold_is_refused(ending, text, changes, why):
    with pytest.raises(ParamsError) as refused:
        edit_file(text, ending, changes)

    assert str(refused.value) == why


def test_five_thousand_values_are_edited_in_seconds():
    text = "".join(f"key{number}: {number}\n" for number in range(5000))

    edited = edit_file(text, ".yaml", {f"key{number}": float(number) for number in range(0, 5000, 2)})

    assert edited.splitlines()[:3] == ["key0: 0.0", "key1: 1", "key2: 2.0"]


def test_what_is_delivered_is_compared_with_types():
    assert deliver(Said(("t", "--x", "1"), {"x": 1}, {"x": Origin("cli", "--x")}), {"x": 1.0}).command == ("t", "--x", "1.0")
    assert not same(1, 1.0)


def test_the_words_of_the_user_are_never_a_shell_s(repo):
    write(repo, "import argparse; p = argparse.ArgumentParser(); p.add_argument('--x'); p.parse_args()")
    run = recorded(repo, "--", sys.executable, "train.py", "--x", "a")

    assert again(deliver(run, {"x": "$(touch pwned); `x` 'é\""})) == {"x": "$(touch pwned); `x` 'é\""}
    assert git("status", "--porcelain", cwd=repo).splitlines() == [" M train.py"]
