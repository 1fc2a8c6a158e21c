"""Printout: which numbers of a program's output are metrics, and which only look like it."""

import json
import os
import subprocess
import sys
import time

import pytest

from gitparams.printout import Printout


def heard(text, patterns=True):
    """Return what a whole output gives, without the time."""
    printout = Printout(patterns)
    return plain([*printout.feed(text if isinstance(text, bytes) else text.encode()), *printout.end()])


def plain(lines):
    steps = [json.loads(line) for line in lines]
    return [{key: value for key, value in step.items() if key != "time"} for step in steps]


def metrics(line):
    (found,) = heard(line)
    del found["step"]
    return found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("loss: 0.25", {"loss": 0.25}),
        ("loss=0.25 acc = 93.1%, Val/Loss : 1e-3", {"loss": 0.25, "acc": 93.1, "Val/Loss": 0.001}),
        ("n=3 m=-4 k=+.5 big=12345678901234567890", {"n": 3, "m": -4, "k": 0.5, "big": 12345678901234567890.0}),
        ("val_loss:0.5|top-1:0.9;f1.macro=0.7", {"val_loss": 0.5, "top-1": 0.9, "f1.macro": 0.7}),
        ("(loss: 0.5) [acc: 0.9], <lr=1>", {"loss": 0.5, "acc": 0.9, "lr": 1}),
        ("The loss: 0.5. And acc: 3.", {"loss": 0.5, "acc": 3}),
        ("loss: 0.9 loss: 0.5", {"loss": 0.5}),
        ("größe: 3", {"größe": 3}),
        ("\x1b[1mloss\x1b[0m: \x1b[32m0.5\x1b[0m \x1b]8;;http://x\x1b\\acc\x1b]8;;\x1b\\=1", {"loss": 0.5, "acc": 1}),
        ("loss: tensor(0.2134, device='cuda:0', grad_fn=<Nll>) acc: np.float64(0.5)", {"loss": 0.2134, "acc": 0.5}),
        ("INFO:root:loss=0.5", {"loss": 0.5}),
        ("2026-11-23 10:30:00,123 - train.py:12 - INFO - loss: 0.5", {"loss": 0.5}),
        ("I1123 22:30:00.123456 140 train.py:12] loss=0.5", {"loss": 0.5}),
        ("938/938 ---- 2s 2ms/step - accuracy: 0.91 - loss: 0.29", {"accuracy": 0.91, "loss": 0.29}),
        ('{"loss": 0.2, "acc": 0.9}', {"loss": 0.2, "acc": 0.9}),
        ('  {"val": {"loss": 0.2, "by": {"a b": 1}}, "ok": true, "s": "3", "l": [1]}  ', {"val.loss": 0.2, "val.by.a b": 1}),
        (
            "{'loss': 0.2, 'learning_rate': 5e-05, 'n': -3, 's': 'adam', 'on': True}",
            {"loss": 0.2, "learning_rate": 5e-05, "n": -3},
        ),
        (
            "{'loss': '0.2', 'eval': {'acc': np.float32(0.5), 'f1': tensor(1.5)}}",
            {"loss": 0.2, "eval.acc": 0.5, "eval.f1": 1.5},
        ),
        (" 33%|### | 1/3 [00:01<00:02, 1.2it/s]{'loss': 0.5, 'lr': 1e-05}", {"loss": 0.5, "lr": 1e-05}),
        (b"caf\xe9: loss: 0.5 \xff\xfe", {"loss": 0.5}),
    ],
)
def test_pairs_of_a_key_and_a_number_are_metrics(line, found):
    assert metrics(line) == found


@pytest.mark.parametrize(
    "line",
    [
        "no number here",
        "time: 12s speed=3.4it/s eta: 0:00:12 at: 10:30 size=3MB x=0x1f",
        "date: 2026-11-23 day=11/23/2026 when=2026-11-23T10:30:00Z",
        "version: v1.2 numpy=1.26.4 ip: 127.0.0.1 host: 10.0.0.1:8080",
        "n=1,234 lr=0.1,0.2 shape=(3,4) list: [1, 2]",
        "10:30 1=2 3: 4",
        "train loss 0.5",
        "python train.py --lr=0.01 -x=3 $HOME=1 a.b@c=3",
        'File "train.py", line 12: train.py:12 model.cpp:3',
        "device: cuda:0 on localhost:8080, http://host/path?a=1&b=2, tcp://node:29500",
        "level: info name: nano a==1 b!=2 c>=3 d:=4 e::5 f=g=6",
        "train: 100%|######| 3/3 [00:01<00:00, 2.50it/s]",
        "done: 3/10",
        "range=1-2 e=1e lr=1e-3->1e-4 id=5_000",
        '{"text": "loss: 3", "list": [0.5], "ok": true}',
        "{'text': 'adam', 'ok': True, 'none': None}",
        "epoch: 3",
    ],
)
def test_what_only_looks_like_a_metric_is_none(line):
    assert heard(line + "\n") == []


def test_numbers_that_are_not_finite_are_kept():
    lines = Printout(True).feed(b"loss: nan acc=-inf x=Infinity\n{'loss': nan, 'acc': -inf}\n{\"loss\": NaN}\n")
    nan, minus, plus = {"$float": "NaN"}, {"$float": "-Infinity"}, {"$float": "Infinity"}
    assert plain(lines) == [
        {"step": 0, "loss": nan, "acc": minus, "x": plus},
        {"step": 1, "loss": nan, "acc": minus},
        {"step": 2, "loss": nan},
    ]


def test_the_step_is_what_the_line_calls_so_and_otherwise_one_more_than_before():
    output = """loss=9
loss=8
epoch=2 step=100/500 loss=7
loss=6
Epoch: 3/10 loss=5
Iter: 7 epoch: 4 loss=4
{"loss": 3, "global_step": 40, "step": 2}
{'loss': 2.5, 'epoch': 1.5}
loss=2
step=nan loss=1
"""
    assert heard(output) == [
        {"step": 0, "loss": 9},
        {"step": 1, "loss": 8},
        {"step": 100, "epoch": 2, "loss": 7},
        {"step": 101, "loss": 6},
        {"step": 3, "loss": 5},
        {"step": 7, "epoch": 4, "loss": 4},
        {"step": 40, "loss": 3, "$step": 2},
        {"step": 1.5, "loss": 2.5},
        {"step": 2, "loss": 2},
        {"step": 3, "loss": 1, "$step": {"$float": "NaN"}},
    ]


def test_globs_choose_the_keys_and_leave_the_step_alone():
    output = 'epoch: 4 loss: 1 val_acc: 2 my_loss: 3\nlr: 1\n{"val_x": {"y": 1}, "Loss": 2}\n'
    assert heard(output, ["loss", "val_*"]) == [{"step": 4, "loss": 1, "val_acc": 2}, {"step": 5, "val_x.y": 1}]
    assert heard(output, []) == []


def test_of_a_progress_bar_what_stood_there_last_counts():
    bar = "\r  0%|   | 0/2 [00:00<?]\r 50%|#  | 1/2 [00:01, loss=0.9]\r100%|###| 2/2 [00:02<00:00, 1.2it/s, loss=0.2, acc=0.93]"
    assert heard(bar + "\n") == [{"step": 0, "loss": 0.2, "acc": 0.93}]
    assert heard(bar + "\r" + " " * 80 + "\r\nloss=0.1\r\n") == [
        {"step": 0, "loss": 0.2, "acc": 0.93},
        {"step": 1, "loss": 0.1},
    ]


def test_a_bar_of_many_hours_is_one_line_and_one_of_64_kib_without_an_end_too_long():
    bar = "".join(f"\r 50%|#  | {step}/99999 [00:01, loss={step}]" for step in range(9999))
    assert heard(bar + "\nloss=1\n") == [{"step": 0, "loss": 9998}, {"step": 1, "loss": 1}]
    assert heard("loss=3 " + "x" * 65536 + "\nloss=2\n") == [{"step": 0, "loss": 2}]
    assert heard("loss=3 " + "x" * 99999 + "\rloss=2") == [{"step": 0, "loss": 2}]
    assert heard("loss=3 " + "x" * (65536 - 7)) == [{"step": 0, "loss": 3}]


def test_output_may_come_in_any_pieces():
    output = "\rloss: 0.5\r\nacc=1\n\n{'größe': 3}\nrest: 4".encode()
    printout = Printout(True)
    pieces = [line for byte in output for line in printout.feed(bytes([byte]))]
    assert plain(pieces + printout.end()) == heard(output)
    assert heard(output) == [{"step": 0, "loss": 0.5}, {"step": 1, "acc": 1}, {"step": 2, "größe": 3}, {"step": 3, "rest": 4}]
    assert printout.end() == []


def test_a_line_of_a_series_has_the_time_it_was_heard():
    before = time.time()
    (line,) = Printout(True).feed(b"loss: 0.5\n")
    assert before <= json.loads(line)["time"] <= time.time()


@pytest.mark.parametrize(
    "line",
    [
        b"{" + b"'a':{" * 8000 + b"}",
        b'{"a":' * 10000 + b"}" * 10000,
        b"{" + b"-" * 60000 + b"1}",
        b"{'a': " + b"9" * 60000 + b"x}",
        b"{'\\d': x}",
        b"{**x, 1: [2], 'a': f(3)}",
        b"\x00\x1b[\x1b]\x1b=:",
        b"a" * 65000 + b":",
        b"a.b/c-" * 10000 + b"=",
        b"= " * 32000,
        b"a" + b" " * 65000 + b"=1",
    ],
)
def test_a_line_that_was_made_to_hurt_gives_nothing_and_costs_little(line):
    before = time.process_time()
    assert heard(line + b"\n") == []
    assert time.process_time() - before < 0.5


def test_what_a_real_program_prints_is_heard():
    program = """
import logging, sys
logging.basicConfig(level="INFO")
for epoch in range(2):
    print(f"Epoch: {epoch + 1}/2, Loss: {0.5 / (epoch + 1):.4f}, lr={1e-3}")
logging.info("accuracy: %.1f%%", 93.14)
sys.stdout.write('{"test": {"f1": 0.5}}')
"""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, check=True
    )
    assert heard(done.stdout) == [
        {"step": 1, "Loss": 0.5, "lr": 0.001},
        {"step": 2, "Loss": 0.25, "lr": 0.001},
        {"step": 3, "accuracy": 93.1},
        {"step": 4, "test.f1": 0.5},
    ]
