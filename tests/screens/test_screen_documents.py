from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

from gitparams.index import BrokenRun
from gitparams.model import CodeState, Details, Oid, Run, RunId, Status
from gitparams.params import Origin, Overridden, nested
from gitparams.screens.documents import broken_document, dumps, run_document

STARTED = datetime(2026, 11, 23, 12, tzinfo=timezone(timedelta(hours=2)))
RUN = Run(
    RunId("wlqtrvkpwlqtrvkp"), Status.COMPLETED, STARTED, finished=STARTED + timedelta(seconds=1.5),
    params=nested({"optim": {"lr": float("nan")}, "a.b": 1}), metrics={"loss": float("inf")}, command=("python", "x.py"),
    code=CodeState(Oid("ab" * 20), "main"), exit_code=0, seeds={"seed": 1}, author="Ada <a@b>",
)  # fmt: skip


def test_the_document_of_a_run_has_the_keys_of_the_design() -> None:
    before = Run(
        RunId("kkmpptxzkkmpptxz"), Status.COMPLETED, STARTED, params=nested({"a.b": True, "gone": 1, "optim": {"lr": 1}})
    )
    assert run_document(RUN, before) == {
        "id": "wlqtrvkpwlqtrvkp",
        "name": None,
        "experiment": "default",
        "status": "completed",
        "started": "2026-11-23T12:00:00+02:00",
        "finished": "2026-11-23T12:00:01.500000+02:00",
        "duration": 1.5,
        "exit_code": 0,
        "commit": "ab" * 20,
        "branch": "main",
        "dirty": False,
        "author": "Ada <a@b>",
        "host": "",
        "user": "",
        "python": "",
        "command": ["python", "x.py"],
        "cwd": ".",
        "params": {"optim": {"lr": "NaN"}, "a.b": 1},
        "metrics": {"loss": "Infinity"},
        "tags": [],
        "note": "",
        "parent": None,
        "group": False,
        "changes": {'["a.b"]': [True, 1], "gone": [1, {"missing": True}], "optim.lr": [1, "NaN"]},
    }


def test_details_are_added_for_show() -> None:
    details = Details({"lr": Origin("cli", "-p lr=1", (Overridden(float("nan"), "file", "a.yaml:1"),))}, ("numpy==1",))
    document = run_document(RUN, None, details)
    assert {key: document[key] for key in ("origins", "packages", "inputs", "outputs", "seeds", "changes")} == {
        "origins": {
            "lr": {"source": "cli", "at": "-p lr=1", "overrode": [{"value": "NaN", "source": "file", "at": "a.yaml:1"}]}
        },
        "packages": ["numpy==1"],
        "inputs": {},
        "outputs": {},
        "seeds": {"seed": 1},
        "changes": {},
    }


def test_a_broken_run_says_why() -> None:
    assert broken_document(BrokenRun(RunId("?abc"), STARTED, "Ada", "run.json is missing.")) == {
        "id": "?abc", "status": "broken", "started": "2026-11-23T12:00:00+02:00", "author": "Ada",
        "reason": "run.json is missing.",
    }  # fmt: skip


def test_a_terminal_obeys_nothing_in_json_and_nothing_is_lost() -> None:
    document = {"note": "\x9b31m \u202e \x7f \ud800 😀", "loss": float("-inf")}
    text = dumps(document)
    assert text == '{\n  "note": "\\u009b31m \\u202e \\u007f \\ud800 😀",\n  "loss": "-Infinity"\n}'
    assert json.loads(text)["note"] == document["note"]
