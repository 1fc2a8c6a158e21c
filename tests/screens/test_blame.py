"""The screens of blame: the last change of each param with the metrics on both sides, and the values one param had."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gitparams.directions import Direction
from gitparams.history import Blame, Row, Timeline, Told, last_changes, timelines
from gitparams.index import flat_document
from gitparams.model import CodeState, Oid, Run, RunId, Status
from gitparams.params import flatten, nested
from gitparams.screens.blame import change_document, render, render_timelines, timeline_documents
from gitparams.screens.terminal import Terminal, cell_width

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ADA, GRACE = "Ada <ada@example.com>", "Grace Brewster Murray Hopper <grace@example.com>"


def run(
    name: str,
    ago: int,
    params: dict[str, Any],
    acc: float | None = None,
    *,
    status: Status = Status.COMPLETED,
    author: str = ADA,
    commit: str = "4f2c1a9",
    dirty: bool = False,
) -> Run:
    metrics = {} if acc is None else {"acc": acc, "loss": round(1 - acc, 4), "time": 10.0}
    code = CodeState(Oid(commit + "0" * 33), dirty=dirty)
    identity, started = RunId(name * 2), NOW - timedelta(seconds=ago)
    return Run(identity, status, started, params=nested(params), metrics=metrics, author=author, code=code)


def row(one: Run) -> Row:
    return one.id, str(one.status), flat_document(one.params), flat_document(dict(one.metrics))


def told_of(runs: list[Run]) -> Told:
    """Return what tells the author and the run.json of each of some runs."""
    documents = {
        one.id: {"started": one.started.isoformat(), "git": {"commit": one.code.commit, "dirty": one.code.dirty}}
        for one in runs
    }
    authors = {one.id: one.author for one in runs}
    return lambda run: (authors[run], documents[run])


BASE: dict[str, Any] = {"optim": {"lr": 0.1, "name": "sgd"}, "batch": 64, "depth": 50, "root": "/data/imagenet/2012/train"}
LATER = {**BASE, "depth": "50", "root": "/data/imagenet/2012/val"}
FASTER = {**LATER, "optim": {"lr": 0.01, "name": "sgd"}, "warmup": 500}
RUNS = [
    run("qpvuntsm", 120, {**FASTER, "batch": 128, "seed": 1}, 0.941, author=GRACE, dirty=True),
    run("wlqtrvkp", 2400, {**FASTER, "seed": 2}, 0.934),
    run("rstnvqoy", 2500, {**FASTER, "seed": 1}, 0.931),
    run("zmxnyosr", 2600, {**FASTER, "seed": 0}, status=Status.FAILED),
    run("kkpptxoz", 86400, {**LATER, "seed": 0}, 0.911),
    run("lmnopqrs", 90000, {**BASE, "seed": 1}, 0.914, commit="9b1d7e0"),
    run("mnopqrst", 172800, {**BASE, "seed": 0}, 0.910, commit="9b1d7e0"),
]


def blame(runs: list[Run] = RUNS, *, recorded: bool = True) -> Blame:
    return last_changes(runs[0], map(row, runs[1:]), told_of(runs), flatten(runs[0].params), recorded=recorded)


def values(*paths: str, limit: int | None = None) -> list[Timeline]:
    return timelines(RUNS[0], map(row, RUNS[1:]), told_of(RUNS), paths, limit=limit)


def screen(width: int = 80, found: Blame | None = None, *, colour: bool = False, utf8: bool = True, **fields: Any) -> str:
    terminal = Terminal(width, colour, utf8)
    return "\n" + render(found or blame(), terminal=terminal, directions=fields.pop("directions", {}), now=NOW, **fields) + "\n"


def lines_of(width: int, *paths: str, limit: int | None = None, utf8: bool = True, **fields: Any) -> str:
    found = values(*paths, limit=limit)
    return "\n" + render_timelines(found, terminal=Terminal(width, False, utf8), directions={}, now=NOW, **fields) + "\n"


# -- screens -------------------------------------------------------------------------------------------------------------

NOT_RUN = Run(RunId("worktree"), Status.OPEN, NOW, params=nested({**FASTER, "batch": 32, "seed": 1}))
EVIL = [
    run("qpvuntsm", 60, {"k": "\x1b[31m", "n": None, "gone → x": [1, {"a": 2}]}, math.nan, author="\x1b]0;x\x07 <e@x>"),
    run("wlqtrvkp", 120, {"k": "red", "n": 3, "gone → x": [1, {"a": 3}]}, math.inf),
    run("rstnvqoy", 180, {"k": "red", "n": 3, "gone → x": [1, {"a": 3}]}, 0.5),
]
SAME = [
    run(name, 60 * place, {"lr": lr}, 0.5)
    for place, (name, lr) in enumerate([("qpvuntsm", 2), ("wlqtrvkp", 2), ("rstnvqoy", 1)])
]


def test_a_line_a_param_and_its_metrics_below():
    assert (
        screen(80)
        == """
param     change                       run        age  by              commit
batch     64 → 128                     qpvuntsm    2m  Grace Brewste…  4f2c1a9+
  acc ↑ 0.920 ±0.012 (5) → 0.941 (1)         better?
optim.lr  0.1 → 0.01                   zmxnyosr   43m  Ada             4f2c1a9
  acc ↑ 0.912 ±0.002 (3) → 0.935 ±0.005 (3)  better, p 0.0078
warmup    added 500                    zmxnyosr   43m  Ada             4f2c1a9
  acc ↑ 0.912 ±0.002 (3) → 0.935 ±0.005 (3)  better, p 0.0078
depth     50 → "50" (int → str)        kkpptxoz    1d  Ada             4f2c1a9
  acc ↑ 0.912 ±0.003 (2) → 0.929 ±0.013 (4)  noise? p 0.071
root      …/2012/train → …et/2012/val  kkpptxoz    1d  Ada             4f2c1a9
  acc ↑ 0.912 ±0.003 (2) → 0.929 ±0.013 (4)  noise? p 0.071
seed      2 → 1                        qpvuntsm    2m  Grace Brewste…  4f2c1a9+
  acc ↑ 0.934 (1)        → 0.941 (1)         better?

since the first run: mnopqrst, 2d ago, Ada, 9b1d7e0
optim.name  sgd

(n) completed runs before and since
other params may differ between the sides too · ? may be chance
+ uncommitted changes
"""
    )


def test_a_wide_screen_has_more_metrics():
    assert (
        screen(120)
        == """
param     change                                               run        age  by              commit
batch     64 → 128                                             qpvuntsm    2m  Grace Brewste…  4f2c1a9+
  acc ↑ 0.920 ±0.012 (5) → 0.941 (1)         better?            loss ↓ 0.0800 ±0.0116 (5) → 0.0590 (1)          better?
optim.lr  0.1 → 0.01                                           zmxnyosr   43m  Ada             4f2c1a9
  acc ↑ 0.912 ±0.002 (3) → 0.935 ±0.005 (3)  better, p 0.0078   loss ↓ 0.0883 ±0.0021 (3) → 0.0647 ±0.0051 (3)  better
warmup    added 500                                            zmxnyosr   43m  Ada             4f2c1a9
  acc ↑ 0.912 ±0.002 (3) → 0.935 ±0.005 (3)  better, p 0.0078   loss ↓ 0.0883 ±0.0021 (3) → 0.0647 ±0.0051 (3)  better
depth     50 → "50" (int → str)                                kkpptxoz    1d  Ada             4f2c1a9
  acc ↑ 0.912 ±0.003 (2) → 0.929 ±0.013 (4)  noise? p 0.071     loss ↓ 0.0880 ±0.0028 (2) → 0.0708 ±0.0129 (4)  noise?
root      /data/imagenet/2012/train → /data/imagenet/2012/val  kkpptxoz    1d  Ada             4f2c1a9
  acc ↑ 0.912 ±0.003 (2) → 0.929 ±0.013 (4)  noise? p 0.071     loss ↓ 0.0880 ±0.0028 (2) → 0.0708 ±0.0129 (4)  noise?
seed      2 → 1                                                qpvuntsm    2m  Grace Brewste…  4f2c1a9+
  acc ↑ 0.934 (1)        → 0.941 (1)         better?            loss ↓ 0.0660 (1)         → 0.0590 (1)          better?

since the first run: mnopqrst, 2d ago, Ada, 9b1d7e0
optim.name  sgd

(n) completed runs before and since · other params may differ between the sides too · ? may be chance
+ uncommitted changes
"""
    )


def test_a_narrow_screen_leaves_out_who_when_and_how_much():
    assert (
        screen(40)
        == """
param     change               run
batch     64 → 128             qpvuntsm
  acc ↑ 0.920 (5) → 0.941 (1)  better?
optim.lr  0.1 → 0.01           zmxnyosr
  acc ↑ 0.912 (3) → 0.935 (3)  better
warmup    added 500            zmxnyosr
  acc ↑ 0.912 (3) → 0.935 (3)  better
depth     50 → "50"            kkpptxoz
  acc ↑ 0.912 (2) → 0.929 (4)  noise?
root      …2/train → …012/val  kkpptxoz
  acc ↑ 0.912 (2) → 0.929 (4)  noise?
seed      2 → 1                qpvuntsm
  acc ↑ 0.934 (1) → 0.941 (1)  better?

since the first run: mnopqrst, 2d ago, …
optim.name  sgd

(n) completed runs before and since
other params may differ between the sid…
? may be chance · + uncommitted changes
"""
    )


def test_a_screen_without_utf8_says_the_same():
    assert (
        screen(80, utf8=False, metrics=["loss", "nobody"])
        == """
param     change                        run        age  by              commit
batch     64 -> 128                     qpvuntsm    2m  Grace Brews...  4f2c1a9+
  loss (min) 0.0800 +-0.0116 (5) -> 0.0590 (1)           better?
optim.lr  0.1 -> 0.01                   zmxnyosr   43m  Ada             4f2c1a9
  loss (min) 0.0883 +-0.0021 (3) -> 0.0647 +-0.0051 (3)  better, p 0.0078
warmup    added 500                     zmxnyosr   43m  Ada             4f2c1a9
  loss (min) 0.0883 +-0.0021 (3) -> 0.0647 +-0.0051 (3)  better, p 0.0078
depth     50 -> "50" (int -> str)       kkpptxoz    1d  Ada             4f2c1a9
  loss (min) 0.0880 +-0.0028 (2) -> 0.0708 +-0.0129 (4)  noise? p 0.071
root      ...012/train -> .../2012/val  kkpptxoz    1d  Ada             4f2c1a9
  loss (min) 0.0880 +-0.0028 (2) -> 0.0708 +-0.0129 (4)  noise? p 0.071
seed      2 -> 1                        qpvuntsm    2m  Grace Brews...  4f2c1a9+
  loss (min) 0.0660 (1)          -> 0.0590 (1)           better?

since the first run: mnopqrst, 2d ago, Ada, 9b1d7e0
optim.name  sgd

(n) completed runs before and since
other params may differ between the sides too, ? may be chance
no completed run here has nobody, + uncommitted changes
"""
    )


def test_on_the_narrowest_screen_ids_are_whole():
    assert (
        screen(20)
        == """
param     run
batch     qpvuntsm
optim.lr  zmxnyosr
warmup    zmxnyosr
depth     kkpptxoz
root      kkpptxoz
seed      qpvuntsm

since the first run…
optim.name  sgd

+ uncommitted chang…
"""
    )


def test_what_was_not_run_yet_says_so():
    assert (
        screen(80, blame([NOT_RUN, *RUNS], recorded=False))
        == """
param     change                     run           age  by              commit
batch     128 → 32                   not yet run
  acc ↑ 0.941 (1)        →     –
optim.lr  0.1 → 0.01                 zmxnyosr      43m  Ada             4f2c1a9
  acc ↑ 0.912 ±0.002 (3) → 0.935 ±0.005 (3)  better, p 0.0078
warmup    added 500                  zmxnyosr      43m  Ada             4f2c1a9
  acc ↑ 0.912 ±0.002 (3) → 0.935 ±0.005 (3)  better, p 0.0078
depth     50 → "50" (int → str)      kkpptxoz       1d  Ada             4f2c1a9
  acc ↑ 0.912 ±0.003 (2) → 0.929 ±0.013 (4)  noise? p 0.071
root      …2012/train → …t/2012/val  kkpptxoz       1d  Ada             4f2c1a9
  acc ↑ 0.912 ±0.003 (2) → 0.929 ±0.013 (4)  noise? p 0.071
seed      2 → 1                      qpvuntsm       2m  Grace Brewste…  4f2c1a9+
  acc ↑ 0.934 (1)        → 0.941 (1)         better?

since the first run: mnopqrst, 2d ago, Ada, 9b1d7e0
optim.name  sgd

(n) completed runs before and since
other params may differ between the sides too · ? may be chance
+ uncommitted changes
"""
    )


def test_one_run_alone_changed_nothing():
    assert (
        screen(80, blame(RUNS[-1:]))
        == """
since the first run: mnopqrst, 2d ago, Ada, 9b1d7e0
batch       64
depth       50
optim.lr    0.1
optim.name  sgd
root        /data/imagenet/2012/train
seed        0
"""
    )


def test_a_timeline_is_a_line_a_stretch_with_what_the_metrics_did():
    assert (
        lines_of(80, "optim.lr", "warmup")
        == """
optim.lr  since      age  by   commit   runs              acc ↑
    0.01  zmxnyosr   43m  Ada  4f2c1a9     4  0.935 ± 0.005 (3) +0.024 better
     0.1  mnopqrst    2d  Ada  9b1d7e0     3  0.912 ± 0.002

2 stretches · 2 values · 7 runs · (n) values, where not every run has one

warmup     since      age  by   commit   runs              acc ↑
500        zmxnyosr   43m  Ada  4f2c1a9     4  0.935 ± 0.005 (3) +0.024 better
not there  mnopqrst    2d  Ada  9b1d7e0     3  0.912 ± 0.002

2 stretches · 1 value · 7 runs · (n) values, where not every run has one
"""
    )


def test_a_wide_timeline_has_more_metrics():
    assert (
        lines_of(120, "optim.lr")
        == """
optim.lr  since      age  by   commit   runs              acc ↑                             loss ↓                 time
    0.01  zmxnyosr   43m  Ada  4f2c1a9     4  0.935 ± 0.005 (3) +0.024 better  0.0647 ± 0.0051 (3) −0.0237 better    10
     0.1  mnopqrst    2d  Ada  9b1d7e0     3  0.912 ± 0.002                    0.0883 ± 0.0021                       10

2 stretches · 2 values · 7 runs · (n) values, where not every run has one
"""
    )


def test_a_narrow_timeline_keeps_the_means():
    assert (
        lines_of(40, "optim.lr")
        == """
optim.lr  since     runs  acc ↑  loss ↓
    0.01  zmxnyosr     4  0.935  0.0647
     0.1  mnopqrst     3  0.912  0.0883

2 stretches · 2 values · 7 runs
"""
    )


def test_a_long_timeline_is_cut_and_says_so():
    assert (
        lines_of(80, "seed", limit=2, utf8=False)
        == """
seed  since      age  by              commit    runs  acc (max)
   1  qpvuntsm    2m  Grace Brews...  4f2c1a9+     1      0.941 +0.007 better?
   2  wlqtrvkp   40m  Ada             4f2c1a9      1      0.934 +0.003 better?

2 of 6 stretches, 3 values, 7 runs, ? may be chance, + uncommitted changes
"""
    )


def test_what_a_terminal_would_obey_and_what_is_no_number_is_shown_as_it_is():
    assert (
        screen(80, blame(EVIL))
        == """
param         change                     run        age  by            commit
["gone → x"]  [1, {a: 3}] → [1, {a: 2}]  qpvuntsm    1m  \\x1b]0;x\\x07  4f2c1a9
  acc ↑ 0.5 (1) → nan (0)     loss ↓ 0.5 (1) → nan (0)
k             red → "\\x1b[31m"           qpvuntsm    1m  \\x1b]0;x\\x07  4f2c1a9
  acc ↑ 0.5 (1) → nan (0)     loss ↓ 0.5 (1) → nan (0)
n             3 → None                   qpvuntsm    1m  \\x1b]0;x\\x07  4f2c1a9
  acc ↑ 0.5 (1) → nan (0)     loss ↓ 0.5 (1) → nan (0)

(n) completed runs before and since
other params may differ between the sides too
"""
    )


def test_metrics_that_did_not_change_are_the_same():
    assert (
        screen(80, blame(SAME))
        == """
param  change  run        age  by   commit
lr     1 → 2   wlqtrvkp    1m  Ada  4f2c1a9
  acc ↑ 0.500 (1) → 0.500 ±0.000 (2)  same   loss ↓ 0.500 (1) → 0.500 (2)  same

(n) completed runs before and since
other params may differ between the sides too
"""
    )


def test_a_run_without_params_says_so():
    assert screen(80, blame([run("qpvuntsm", 60, {})])) == "\nRun qpvuntsm has no params.\n"


@pytest.mark.parametrize("width", [20, 24, 32, 40, 44, 60, 72, 80, 100, 120, 200])
@pytest.mark.parametrize("utf8", [True, False])
def test_no_line_is_longer_than_the_screen(width, utf8):
    lines = [*screen(width, utf8=utf8).splitlines(), *lines_of(width, "optim.lr", "seed", "root", utf8=utf8).splitlines()]
    assert max(map(cell_width, lines)) <= width


def test_colour_says_nothing_that_words_do_not_say():
    coloured = screen(80, colour=True)
    assert "\x1b[32mbetter, p 0.0078\x1b[0m" in coloured
    assert re.sub(r"\x1b\[\d*m", "", coloured) == screen(80)


def test_a_declared_direction_turns_better_into_worse():
    assert "worse, p 0.0078" in screen(80, directions={"acc": Direction.MIN})


def test_documents_hold_all_that_is_known():
    found = {change.path: change_document(change, ["acc"]) for change in blame().changes}
    assert {name: value for name, value in found["warmup"].items() if name not in ("before", "after")} == {
        "param": "warmup",
        "value": 500,
        "kind": "added",
        "old": {"missing": True},
        "new": 500,
        "run": "zmxnyosrzmxnyosr",
        "commit": "4f2c1a9" + "0" * 33,
        "dirty": False,
        "author": ADA,
        "time": "2026-11-23T11:16:40+00:00",
        "runs": {"before": 3, "after": 4},
    }
    assert [found["warmup"][side]["acc"]["n"] for side in ("before", "after")] == [3, 3]
    newest, oldest = timeline_documents(values("warmup")[0], ["nobody"])
    assert newest == {
        "param": "warmup",
        "value": 500,
        "run": "zmxnyosrzmxnyosr",
        "commit": "4f2c1a9" + "0" * 33,
        "dirty": False,
        "author": ADA,
        "time": "2026-11-23T11:16:40+00:00",
        "runs": 4,
        "metrics": {},
    }
    assert (oldest["value"], oldest["run"], oldest["runs"]) == ({"missing": True}, "mnopqrstmnopqrst", 3)
