"""Runs as many programs would have left them: for the tests of pictures."""

import math
from datetime import UTC, datetime, timedelta
from random import Random

from gitparams.model import Run, RunId, Status
from gitparams.params import nested, unflatten

BEGAN = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
_OPTIMIZERS = ("adam", "sgd", "lion")


def make_runs(count, *, seed=7, params=0, broken=True):
    """Return runs of a search over ``lr`` (by its logarithm), ``depth``, ``optimizer``, ``augment`` and, for sgd, ``momentum``.

    ``data`` is equal in all. They have the metrics ``acc`` and ``loss``; with `broken`, some lack ``acc``, some have NaN, and
    some failed, were pruned or go on. `params` adds as many params ``extra.p000`` … that nothing depends on.
    """
    random = Random(seed)
    return [_run(number, random, params, broken) for number in range(count)]


def run(number, params, metrics, *, status=Status.COMPLETED, seconds=300.0):
    """Return one run, its params by path: the `number`-th, begun so many times ten minutes after the first."""
    letters = "klmnopqrstuvwxyz"
    name = "".join(letters[number >> 4 * place & 15] for place in range(16))
    started = BEGAN + timedelta(minutes=10 * number)
    finished = started + timedelta(seconds=seconds) if status.finished else None
    return Run(RunId(name), status, started, finished=finished, params=nested(unflatten(params)), metrics=metrics)


def _run(number, random, extra, broken):
    params = {
        "optim.lr": float(f"{10 ** random.uniform(-5, -0.5):.3g}"),
        "model.depth": random.randint(2, 12),
        "optim.name": random.choice(_OPTIMIZERS),
        "augment": random.random() < 0.5,
        "batch": random.choice((16, 32, 64, 128, 256)),
        "data": "digits",
    }
    if params["optim.name"] == "sgd":
        params["optim.momentum"] = round(random.uniform(0.5, 0.99), 3)
    params |= {f"extra.p{place:03}": round(random.random(), 4) for place in range(extra)}
    acc = _accuracy(params, random)
    metrics = {"acc": acc, "loss": round(-math.log(acc) * 1.3 + random.random() * 0.05, 4)}
    status, luck = Status.COMPLETED, random.random()
    if broken:
        metrics = metrics if luck > 0.04 else {"loss": metrics["loss"]} if luck > 0.02 else {**metrics, "acc": math.nan}
        status = _ended(random.random())
        metrics = {} if status is Status.FAILED else metrics
    return run(number, params, metrics, status=status, seconds=60 + 40 * params["model.depth"] + random.random() * 200)


def _accuracy(params, random):
    distance = math.log10(params["optim.lr"]) + (2.0 if params["optim.name"] == "sgd" else 3.0)
    acc = 0.97 - 0.035 * distance**2 - 0.002 * (params["model.depth"] - 8) ** 2 + (0.01 if params["augment"] else 0.0)
    return round(max(0.1, min(0.995, acc + random.gauss(0, 0.01))), 4)


def _ended(luck):
    if luck < 0.05:
        return Status.FAILED
    if luck < 0.1:
        return Status.PRUNED
    return Status.INTERRUPTED if luck < 0.12 else Status.RUNNING if luck < 0.125 else Status.COMPLETED
