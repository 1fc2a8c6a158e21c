"""The run of a program while it goes on: what becomes known later, what it wrote, and which run is meant."""

import argparse
import hashlib
import json
import sys
import threading
from pathlib import Path

import pytest
from world import gitparams as command

import gitparams
from gitparams.recorder import current


def origins(run):
    return {path: (origin.source, [(old.value, old.source) for old in origin.overrode]) for path, origin in run.origins.items()}


def test_params_that_become_known_later_win_and_say_who_said_so(repo):
    with gitparams.start({"lr": 0.1, "batch": 64}) as run:
        run.update({"lr": 0.01, "trainer": {"epochs": 3}}, "lightning")
        assert run.params == {"lr": 0.01, "batch": 64, "trainer": {"epochs": 3}}
    found = gitparams.run("latest")
    assert found.params == {"lr": 0.01, "batch": 64, "trainer": {"epochs": 3}}
    assert origins(found) == {
        "lr": ("lightning", [(0.1, "code")]),
        "batch": ("code", []),
        "trainer.epochs": ("lightning", []),
    }
    assert found.disputed == ("lr",)


def test_several_configs_are_merged_and_what_one_overwrote_is_recorded(repo):
    defaults, mine = {"optim": {"lr": 0.1, "name": "sgd"}, "seed": 1}, argparse.Namespace(seed=2)
    with gitparams.start(defaults, {"optim": {"lr": 0.01}}, mine) as run:
        assert run.params == {"optim": {"lr": 0.01, "name": "sgd"}, "seed": 2}
    assert defaults == {"optim": {"lr": 0.1, "name": "sgd"}, "seed": 1}
    assert command("show", "--origins").out.splitlines()[-3:] == [
        "optim.lr = 0.01  (code config 2; overrode 0.1 from code config 1)",
        "optim.name = sgd  (code config 1)",
        "seed = 2  (code config 3; overrode 1 from code config 1)",
    ]


def test_a_value_in_the_way_of_a_mapping_stands_under_who_said_it(repo):
    with gitparams.start({"optim": "adam"}) as run:
        run.update({"optim": {"lr": 0.1}}, "lightning")
    assert gitparams.run("latest").params == {"code": {"optim": "adam"}, "optim": {"lr": 0.1}}


def test_a_source_that_the_settings_switch_off_is_not_listened_to(repo):
    (repo / "gitparams.yaml").write_text("sources: {lightning: off}\n")
    with gitparams.start({"lr": 0.1}) as run:
        run.update({"lr": 0.01}, "lightning")
    assert gitparams.run("latest").params == {"lr": 0.1}


def test_secrets_that_become_known_later_are_replaced_too(repo):
    with gitparams.start({}) as run:
        run.update({"token": "hunter2hunter2"})
    assert (gitparams.run("latest").params, gitparams.run("latest").redacted) == ({"token": "<redacted>"}, ("token",))


def test_a_run_that_ended_takes_nothing_more(repo):
    run = gitparams.start({"lr": 0.1})
    run.finish()
    run.update({"lr": 1})
    run.output("train.py")
    assert (gitparams.run("latest").params, gitparams.run("latest").outputs) == ({"lr": 0.1}, {})


def test_what_a_run_wrote_is_recorded_by_digest_and_what_is_gone_as_missing(repo, monkeypatch):
    (repo / "out").mkdir()
    monkeypatch.chdir(repo / "out")
    with gitparams.start({}) as run:
        Path("model[1].pt").write_bytes(b"weights")
        Path("gone.pt").write_bytes(b"soon")
        run.output("model[1].pt", Path("gone.pt"))
        Path("gone.pt").unlink()
    digest = "sha256:" + hashlib.sha256(b"weights").hexdigest()
    assert gitparams.run("latest").outputs == {"out/model[1].pt": digest, "out/gone.pt": {"missing": True}}
    assert f"wrote       out/gone.pt (gone), out/model[1].pt {digest[:14]}…" in command("show").out.splitlines()


def test_the_current_run_is_the_innermost_one_that_goes_on(repo):
    assert current() is None
    with gitparams.start({"outer": 1}) as outer:
        assert current() is outer
        with gitparams.start({"inner": 1}) as inner:
            assert current() is inner
        assert current() is outer
    assert current() is None


def test_another_thread_is_in_the_only_run_there_is_and_in_its_own_when_it_began_one(repo):
    seen = {}

    def ask(name, params=None):
        if params is None:
            seen[name] = current()
        else:
            with gitparams.start(params) as run:
                seen[name] = (run, current())

    with gitparams.start({"main": 1}) as run:
        for words in (("plain",), ("own", {"thread": 1})):
            thread = threading.Thread(target=ask, args=words)
            thread.start()
            thread.join()
        assert current() is run
    assert seen["plain"] is run
    assert seen["own"][0] is seen["own"][1] and seen["own"][0] is not run


def test_a_run_may_be_ended_in_another_thread_than_it_was_begun_in(repo):
    run = gitparams.start({"lr": 0.1})
    thread = threading.Thread(target=run.finish)
    thread.start()
    thread.join()
    assert gitparams.run("latest").status == "completed"


PROGRAM = """
import argparse, gitparams
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--batch", type=int, default=64)
args = parser.parse_args()
with gitparams.start({"batch": args.batch}) as run:
    run.update({"lr": 0.5, "epochs": 3}, "lightning")
    open("model.pt", "w").write("weights")
    run.output("model.pt")
"""


def shown(word="latest"):
    return json.loads(command("show", word, "--json").out)


def test_under_gitparams_run_what_becomes_known_later_is_told_to_that_run(repo):
    (repo / "train.py").write_text(PROGRAM)
    done = command("run", "--", sys.executable, "train.py", "--lr", "0.2")
    run = shown()
    assert (done.code, run["params"]) == (0, {"lr": 0.5, "batch": 64, "epochs": 3})
    assert run["origins"]["lr"]["source"] == "lightning"
    assert [(old["value"], old["source"]) for old in run["origins"]["lr"]["overrode"]] == [(0.2, "cli")]
    assert list(run["outputs"]) == ["model.pt"]
    assert len(gitparams.runs()) == 1


@pytest.mark.parametrize("place", [0, 1])
def test_each_run_of_a_group_keeps_what_became_known_of_it(repo, place):
    (repo / "train.py").write_text(
        "import gitparams\n"
        "for seed in range(2):\n"
        "    with gitparams.start({'seed': seed}) as run:\n"
        "        run.update({'epochs': 3 + seed}, 'lightning')\n"
    )
    assert command("run", "--", sys.executable, "train.py").code == 0
    found = gitparams.runs(sort="params.seed")[place]
    assert (found.params, found.parent is None) == ({"seed": place, "epochs": 3 + place}, False)
