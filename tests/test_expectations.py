"""Expectations: what was expected of a run is on the ledger before its result exists, and is answered when the run is read."""

import json
import os
import pty
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from world import git, gitparams, make_repository

import gitparams as library
from gitparams.entry import read_run, run_document
from gitparams.expectations import Verdict, answers, checked, verdict_of
from gitparams.index import Listed
from gitparams.ledger import REF
from gitparams.model import Details, Event, EventKind, Oid, Run, RunId, Status
from gitparams.params import MISSING, nested
from gitparams.query import QueryError
from gitparams.repository import Repository
from gitparams.screens import log, show
from gitparams.screens.terminal import Terminal
from gitparams.versions import Version, merged
from gitparams.writing import Beginning

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
METRICS = 'import json, sys\njson.dump({"acc": float(sys.argv[1])}, open("metrics.json", "w"))\n'
IDS = [RunId(letter * 16) for letter in "klmnop"]


def train(*flags, acc=0.934):
    Path("train.py").write_text(METRICS)
    return gitparams("run", "--metrics", "metrics.json", *flags, "--", sys.executable, "train.py", acc)


def shown(word="latest"):
    return json.loads(gitparams("show", word, "--json").out)


def entries():
    """Return the event and what is expected in each entry of the ledger, the oldest first."""
    tips = git("rev-list", "--reverse", REF).splitlines() if git("for-each-ref", REF) else []
    documents = [json.loads(git("show", f"{tip}:run.json")) for tip in tips]
    return [(document["event"]["kind"], document.get("expect")) for document in documents]


def a_run(status=Status.COMPLETED, expect=("metrics.acc > 0.92",), **fields):
    times = {"started": NOW - timedelta(hours=1), "finished": NOW if status.finished else None}
    return Run(**{"id": IDS[0], "status": status, "expect": tuple(expect), **times, **fields})


# -- before there is a result ---------------------------------------------------------------------------------------------


def test_the_expectation_is_on_the_ledger_while_the_program_still_runs(repo):
    Path("train.py").write_text(
        "import json, os, time\nopen('begun', 'w')\nwhile not os.path.exists('go'): time.sleep(0.01)\n"
        "json.dump({'acc': 0.95}, open('metrics.json', 'w'))\n"
    )
    words = ["run", "--metrics", "metrics.json", "--expect", "metrics.acc > 0.92", "--", sys.executable, "train.py"]
    program = subprocess.Popen([sys.executable, "-m", "gitparams", *words])
    wait_for(repo / "begun")

    during = entries()
    metrics = git("show", f"{REF}:metrics.json")
    before = shown()["expect"]
    (repo / "go").touch()
    program.wait(30)

    assert during == [("start", ["metrics.acc > 0.92"])]
    assert metrics == "{}"
    assert before == [{"expression": "metrics.acc > 0.92", "verdict": "pending"}]
    assert shown()["expect"] == [{"expression": "metrics.acc > 0.92", "verdict": "confirmed"}]


def wait_for(path):
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("acc > ", "gitparams: column 1: this is not an expression.\n  acc > \n  ^\n"),
        ("acc = 0.9", "gitparams: column 5: equality is written ==.\n  acc = 0.9\n      ^\nhint: acc == 0.9\n"),
        ("", "gitparams: column 1: the expression is empty.\n  \n  ^\n"),
        (
            "changed(lr)",
            "gitparams: column 1: an expectation is about one run, and changed compares two.\n  changed(lr)\n  ^\n",
        ),
        ("1 < 2", "gitparams: column 1: an expectation is about something of the run.\n  1 < 2\n  ^\n"),
        ("open('x').read() > 1", "gitparams: column 1: values have no methods here.\n  open('x').read() > 1\n  ^\n"),
    ],
)
def test_what_is_no_expectation_is_refused_and_nothing_is_run(repo, expression, said):
    ran = gitparams("run", "--expect", expression, "--", "touch", "ran")
    started = gitparams("start", "--expect", expression, "--", "touch", "ran")

    assert (ran.code, ran.out, started.code, started.out) == (125, "", 2, "")
    assert ran.err.startswith(said) and started.err == ran.err
    assert (entries(), (repo / "ran").exists()) == ([], False)


def test_outside_a_repository_it_is_looked_at_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = gitparams("run", "--expect", "acc >", "--", "touch", "ran")
    assert (outcome.code, (tmp_path / "ran").exists()) == (125, False)


def test_the_spool_keeps_it_until_there_is_a_repository(tmp_path, monkeypatch):
    (tmp_path / "later").mkdir()
    monkeypatch.chdir(tmp_path / "later")
    gitparams("run", "--expect", "acc > 0.9", "--", "true")
    make_repository(tmp_path / "later")

    gitparams("import", "spool")

    assert shown()["expect"] == [{"expression": "acc > 0.9", "verdict": "refuted"}]


def test_start_and_finish_hold_it_too(repo):
    run = gitparams("start", "--expect", "loss < 0.1", "--expect", "loss < 0.1", "--expect", "acc > 0.5").out.strip()
    gitparams("finish", run, "-m", "loss=0.05", "-m", "acc=0.4")
    assert shown(run)["expect"] == [
        {"expression": "loss < 0.1", "verdict": "confirmed"},
        {"expression": "acc > 0.5", "verdict": "refuted"},
    ]


def test_no_command_changes_it(repo):
    train("--expect", "metrics.acc > 0.92")
    gitparams("note", "latest", "well")
    gitparams("tag", "latest", "good")
    gitparams("rename", "latest", "one")
    gitparams("update", "one", "-m", "acc=0.1")
    gitparams("rm", "one", "--yes")
    assert {tuple(expect) for _, expect in entries()} == {("metrics.acc > 0.92",)}


def test_two_clones_that_change_the_run_cannot_lose_it():
    start = Version(Oid("a"), a_run(Status.RUNNING), Event(EventKind.START, NOW, "0"), (), {})
    without = Version(Oid("b"), a_run(expect=()), Event(EventKind.UPDATE, NOW, "1"), (Oid("a"),), {})
    more = a_run(expect=("metrics.acc > 0.92", "loss < 1"))
    added = Version(Oid("c"), more, Event(EventKind.UPDATE, NOW, "2"), (Oid("a"),), {})

    state = merged([without, added], {Oid("a"): [], Oid("b"): [Oid("a")], Oid("c"): [Oid("a")]}, {Oid("a"): start}.get)

    assert state.run.expect == ("metrics.acc > 0.92", "loss < 1")


def test_a_secret_in_it_is_replaced(repo):
    train("--expect", 'params.data != "https://me:hunter2@example.com/x"')
    assert entries()[0] == ("start", ['params.data != "https://<redacted>@example.com/x"'])


def test_it_is_a_field_of_run_json_and_left_out_when_there_is_none():
    event = Event(EventKind.START, NOW, "00")
    document = run_document(a_run(), event)
    assert document["expect"] == ["metrics.acc > 0.92"]
    assert read_run(document, {}, {}, "").expect == ("metrics.acc > 0.92",)
    assert "expect" not in run_document(a_run(expect=()), event)


# -- the library, and runs within runs ------------------------------------------------------------------------------------


def test_a_program_says_what_it_expects(repo):
    with library.start({"lr": 0.1}, expect="acc > 0.92") as run:
        run.log(acc=0.95)
    assert entries() == [("start", ["acc > 0.92"]), ("finish", ["acc > 0.92"])]
    assert library.run("latest").expect == ("acc > 0.92",)


def test_a_program_that_expects_nonsense_hears_it_at_once(repo):
    with pytest.raises(QueryError, match=r"equality is written =="):
        library.start({"lr": 0.1}, expect=["acc > 0.92", "acc = 1"])
    assert entries() == []


def test_what_a_program_expects_of_the_run_it_joined_is_on_the_ledger_before_it_has_ended(repo):
    Path("train.py").write_text(
        "import gitparams, subprocess\n"
        "run = gitparams.start({'lr': 0.1}, expect='acc > 0.9')\n"
        f"print(subprocess.run(['git', 'show', '{REF}:run.json'], capture_output=True, text=True).stdout)\n"
        "run.log(acc=0.95)\n"
    )
    outcome = gitparams("run", "--expect", "params.lr == 0.1", "--", sys.executable, "train.py")

    assert json.loads(outcome.out)["expect"] == ["params.lr == 0.1", "acc > 0.9"]
    assert shown()["expect"] == [
        {"expression": "params.lr == 0.1", "verdict": "confirmed"},
        {"expression": "acc > 0.9", "verdict": "confirmed"},
    ]


def test_every_run_of_a_group_carries_the_word_of_the_group_and_its_own(repo):
    Path("train.py").write_text(
        "import gitparams\nfor acc in (0.91, 0.95):\n"
        "    with gitparams.start({'lr': acc / 10}, expect=f'acc == {acc}') as run:\n        run.log(acc=acc)\n"
    )
    gitparams("run", "--expect", "acc > 0.92", "--", sys.executable, "train.py")

    children = json.loads(gitparams("log", "--json", "--reverse", "--sort", "metrics.acc").out)
    verdicts = {run["metrics"]["acc"]: [(one["expression"], one["verdict"]) for one in run["expect"]] for run in children}
    assert verdicts == {
        0.91: [("acc > 0.92", "refuted"), ("acc == 0.91", "confirmed")],
        0.95: [("acc > 0.92", "confirmed"), ("acc == 0.95", "confirmed")],
    }


def test_the_programs_of_a_shell_loop_carry_it_too(repo):
    Path("train.py").write_text(
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', type=float)\np.parse_args()\n"
    )
    loop = f"for lr in 0.1 0.2; do {sys.executable} train.py --lr $lr; done"
    gitparams("run", "--expect", "lr < 0.15", "--", "sh", "-c", loop)

    children = json.loads(gitparams("log", "--json").out)
    assert {run["params"]["lr"]: run["expect"][0]["verdict"] for run in children} == {0.1: "confirmed", 0.2: "refuted"}


# -- verdicts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "metrics", "verdict", "items"),
    [
        ("metrics.acc > 0.92", {"acc": 0.934}, "confirmed", (("acc", 0.934),)),
        ("metrics.acc > 0.92", {"acc": 0.913}, "refuted", (("acc", 0.913),)),
        ("metrics.acc > 0.92", {"loss": 0.1}, "refuted", (("acc", MISSING),)),
        ("not metrics.acc < 0.92", {"loss": 0.1}, "refuted", (("acc", MISSING),)),
        ("acc > 0.92 and optim.lr < 0.1", {"acc": 0.934}, "confirmed", (("acc", 0.934), ("optim.lr", 0.01))),
        ("acc > 0.92 or f1 > 0.9", {"acc": 0.934}, "confirmed", (("acc", 0.934), ("f1", MISSING))),
        ("acc > 0.92 and f1 > 0.9", {"acc": 0.934}, "refuted", (("f1", MISSING),)),
        ("metrics.loss < 0.2 and status == 'completed'", {"loss": 0.1}, "confirmed", (("loss", 0.1), ("status", "completed"))),
        ("acc / loss > 3", {"acc": 0.9, "loss": 0}, "refuted", (("acc", 0.9), ("loss", 0))),
        ("not optim.name > 3", {}, "refuted", (("optim.name", "adam"),)),
        ("exists(metrics.acc)", {}, "refuted", (("acc", MISSING),)),
        ("exists(metrics.acc)", {"acc": 0.9}, "confirmed", ()),
        ("not exists(metrics.acc)", {}, "confirmed", (("acc", MISSING),)),
        ("isnan(metrics.loss)", {"loss": float("inf")}, "refuted", (("loss", float("inf")),)),
        ('metrics["val/acc"] > 0.9', {"val/acc": 0.95}, "confirmed", (("val/acc", 0.95),)),
    ],
)
def test_a_completed_run_confirms_or_refutes(expression, metrics, verdict, items):
    run = a_run(expect=[expression], metrics=metrics, params=nested({"optim": {"lr": 0.01, "name": "adam"}}))
    (answer,) = answers(run)
    assert (answer.verdict, answer.items, answer.problem) == (verdict, items, "")


@pytest.mark.parametrize("expression", ["loss < 0.5", "not loss > 0.5", "loss != 0", "loss - 1 < 5", "not loss in (1, 2)"])
def test_nan_confirms_nothing(expression):
    assert verdict_of(a_run(expect=[expression], metrics={"loss": float("nan")})) is Verdict.REFUTED


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (Status.RUNNING, "pending"),
        (Status.OPEN, "pending"),
        (Status.FAILED, "untested"),
        (Status.CRASHED, "untested"),
        (Status.INTERRUPTED, "untested"),
        (Status.REFUSED, "untested"),
        (Status.PRUNED, "untested"),
        (Status.LOST, "untested"),
    ],
)
def test_a_run_that_did_not_complete_answers_nothing(status, verdict):
    assert verdict_of(a_run(status, metrics={"acc": 0.99})) == verdict


@pytest.mark.parametrize(
    ("expressions", "verdict"),
    [
        (["metrics.acc > 0.9", "metrics.acc < 1"], "confirmed"),
        (["metrics.acc > 0.9", "metrics.acc > 1"], "refuted"),
        (["metrics.acc > 0.9", "metrics.acc ==="], "untested"),
    ],
)
def test_one_word_for_all_is_the_worst(expressions, verdict):
    assert verdict_of(a_run(expect=expressions, metrics={"acc": 0.93})) == verdict


def test_an_expectation_that_another_program_wrote_and_nobody_can_read_is_untested():
    (answer,) = answers(a_run(expect=["metrics.acc ≫ 0.9"], metrics={"acc": 0.93}))
    assert (answer.verdict, answer.items, answer.problem) == (Verdict.UNTESTED, (), "this is not an expression")


def test_a_word_that_is_a_param_and_a_metric_settles_nothing():
    (answer,) = answers(a_run(expect=["acc > 0.9"], metrics={"acc": 0.93}, params=nested({"acc": 1})))
    assert (answer.verdict, answer.problem) == (Verdict.UNTESTED, "acc is a param and a metric")


def test_a_group_leaves_the_answer_to_its_runs():
    group = a_run(group=True)
    assert verdict_of(group) is None
    assert [(answer.verdict, answer.problem) for answer in answers(group)] == [(Verdict.UNTESTED, "each of its runs answers")]


def test_checked_returns_what_it_checked():
    assert checked(["metrics.acc > 0.92", "exists(metrics.f1)", "duration < 3600"]) == (
        "metrics.acc > 0.92",
        "exists(metrics.f1)",
        "duration < 3600",
    )


# -- screens --------------------------------------------------------------------------------------------------------------


def rows():
    runs = [
        a_run(Status.RUNNING, id=IDS[3]),
        a_run(Status.FAILED, id=IDS[2], exit_code=1),
        a_run(id=IDS[1], metrics={"acc": 0.913}),
        a_run(id=IDS[0], metrics={"acc": 0.934}),
        a_run(id=IDS[4], expect=(), metrics={"acc": 0.9}),
    ]
    return [Listed(run, None) for run in runs]


def listed(width, found=None, **options):
    found = rows() if found is None else found
    return log.render(found, total=len(found), terminal=Terminal(width, **options), directions={}, now=NOW)


def test_the_list_says_what_came_true():
    assert listed(80) == (
        "run        age  status    expected   changed                 acc ↑\n"
        "nnnnnnnn    1h  running   pending    first run of default       –\n"
        "mmmmmmmm    1h  failed 1  untested   first run of default       –\n"
        "llllllll    1h            refuted    first run of default   0.913\n"
        "kkkkkkkk    1h            confirmed  first run of default   0.934*\n"
        "oooooooo    1h                       first run of default   0.900\n"
        "\n"
        "5 runs · * best\n"
        "acc ↑ by its name; metrics: in gitparams.yaml decides"
    )


def test_forty_columns_have_no_room_for_it():
    assert listed(40).splitlines()[:3] == [
        "run        age  changed",
        "nnnnnnnn    1h  first run of default",
        "mmmmmmmm    1h  first run of default",
    ]


def test_colour_only_repeats_the_words():
    lines = listed(80, colour=True).splitlines()
    assert "\x1b[31mrefuted\x1b[0m" in lines[3] and "\x1b[32mconfirmed\x1b[0m" in lines[4]
    assert "\x1b[2mpending\x1b[0m" in lines[1]


def test_a_list_without_expectations_has_no_column_for_them():
    assert listed(80, rows()[4:]).splitlines()[:2] == [
        "run        age  changed                acc ↑",
        "oooooooo    1h  first run of default     0.9",
    ]


def test_one_line_a_run_has_the_word():
    text = log.render_oneline(rows(), terminal=Terminal(), directions={})
    assert text == (
        "nnnnnnnn running · first run of default\n"
        "mmmmmmmm failed 1 · first run of default\n"
        "llllllll refuted · first run of default · acc 0.913\n"
        "kkkkkkkk confirmed · first run of default · acc 0.934\n"
        "oooooooo first run of default · acc 0.9"
    )


def test_the_patch_has_it_in_its_heading():
    run = a_run(metrics={"acc": 0.913}, author="Ada <ada@example.com>")
    text = log.render_patch([Listed(run, None)], terminal=Terminal(), directions={}, now=NOW)
    assert text == (
        "run kkkkkkkkkkkkkkkk\n"
        "Author:  Ada <ada@example.com>\n"
        "Date:    2026-11-24 11:00:00 +0000 (1h ago)\n"
        "Expect:  metrics.acc > 0.92   refuted, acc is 0.913\n"
        "\n"
        "first run of default\n"
        "\n"
        "acc 0.913"
    )


def show_text(run, width=80):
    return show.render(run, Details(), before=None, terminal=Terminal(width), directions={}, now=NOW)


def test_show_says_what_came_true_and_by_which_value():
    expect = ("metrics.acc > 0.92", "f1 > 0.5", "metrics.loss < 1")
    text = show_text(a_run(expect=expect, metrics={"acc": 0.913, "loss": float("nan")}))
    assert text == (
        "run         kkkkkkkkkkkkkkkk\n"
        "status      completed\n"
        "expect      metrics.acc > 0.92   refuted, acc is 0.913\n"
        "            f1 > 0.5   refuted, it has no f1\n"
        "            metrics.loss < 1   refuted, loss is nan\n"
        "experiment  default\n"
        "started     2026-11-24 11:00:00 +0000, 1h ago, took 1h\n"
        "\n"
        "metrics\n"
        "  acc ↑   0.913\n"
        "  loss ↓  nan"
    )


@pytest.mark.parametrize(
    ("expectation", "value", "said"),
    [
        ("metrics.acc > 0.75", 0.7000000000000001, "refuted, acc is 0.700"),
        ("metrics.acc > 0.75", 0.71234567, "refuted, acc is 0.712"),
        ("metrics.acc > 0.7", 0.7000000000000001, "confirmed, acc is 0.7000000000000001"),
        ("metrics.acc == 0.7", 0.7000000000000001, "refuted, acc is 0.7000000000000001"),
        ("metrics.acc > 0.7", 0.700043219, "confirmed, acc is 0.70004"),
        ("metrics.acc >= 0.7", 0.69996, "refuted, acc is 0.69996"),
    ],
)
def test_a_value_has_the_digits_of_the_lists_and_more_where_these_would_belie_the_verdict(expectation, value, said):
    assert log.expectation_texts(a_run(expect=[expectation], metrics={"acc": value}))[0][0] == f"{expectation}   {said}"


def test_show_obeys_nothing_that_an_expectation_says():
    lines = show_text(a_run(expect=['note == "\x1b[31m" and\nacc > 1'], metrics={"acc": 2}), 40).splitlines()
    assert lines[2:5] == [
        'expect      note == "\\x1b[31m" and acc >',
        '            1   refuted, note is "", acc',
        "            is 2",
    ]


def test_json_has_it_only_where_there_is_one(repo):
    train("--expect", "metrics.acc > 0.92", acc=0.913)
    train()
    newest, older = json.loads(gitparams("log", "--json").out)
    assert "expect" not in newest
    assert older["expect"] == [{"expression": "metrics.acc > 0.92", "verdict": "refuted"}]


def test_a_list_without_expectations_loads_nothing_for_them(repo):
    train()
    code = "import sys; from gitparams.cli import main; main(['log']); print('gitparams.expectations' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(("acc", "word"), [(0.934, "confirmed"), (0.913, "refuted")])
def test_the_last_line_on_a_terminal_says_it(repo, acc, word):
    Path("train.py").write_text(METRICS)
    ours, theirs = pty.openpty()
    words = ["run", "--metrics", "metrics.json", "--expect", "metrics.acc > 0.92", "--", sys.executable, "train.py", str(acc)]
    subprocess.run([sys.executable, "-m", "gitparams", *words], stderr=theirs, check=True, timeout=60)
    os.close(theirs)
    said = os.read(ours, 10_000).decode().splitlines()[-1]
    with Repository.find() as found:
        run = found.run("latest")
    assert said == f"gitparams: run {run.short_id} completed · acc {acc} · {word}"


def test_beginning_takes_each_expectation_once(repo):
    with Repository.find() as found:
        journal = found.begin(Beginning(expect=("acc > 1", "loss < 1", "acc > 1")), Status.OPEN)
        journal.close()
        assert found.run(journal.id).expect == ("acc > 1", "loss < 1")
