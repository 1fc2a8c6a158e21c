"""Configs: the 50 params and 5 metrics of a training run, a few of them other than in the run before."""

from __future__ import annotations

import random
from typing import Any

_START: dict[str, dict[str, Any]] = {
    "model": {
        "name": "resnet50", "depth": 50, "width": 64, "dropout": 0.1, "activation": "relu", "norm": "batch", "pretrained": True,
        "heads": 8, "embedding": 512, "classes": 1000,
    },
    "optim": {
        "name": "adamw", "lr": 0.001, "weight_decay": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "momentum": 0.9,
        "nesterov": False, "clip": 1.0, "amsgrad": False,
    },
    "schedule": {
        "name": "cosine", "warmup": 500, "epochs": 90, "floor": 1e-6, "restarts": None, "gamma": 0.1,
        "milestones": [30, 60, 80], "patience": 5, "cooldown": 0, "cycle": 10,
    },
    "data": {
        "root": "/data/imagenet/2012", "batch": 256, "workers": 8, "shuffle": True, "crop": 224, "resize": 256, "mixup": 0.2,
        "cutmix": 0.0, "augment": "randaugment-m9-n2", "mean": [0.485, 0.456, 0.406],
    },
    "train": {
        "seed": 0, "amp": True, "compile": False, "device": "cuda:0", "log_every": 50, "save_every": 1000, "eval_every": 500,
        "accumulate": 1, "ema": 0.9999, "label_smoothing": 0.1,
    },
}  # fmt: skip
METRICS = ("acc", "loss", "f1", "val/acc", "val/loss")


class Sweep:
    """A search that goes on: one to three params differ from config to config; the same seed, the same configs."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self._params = {group: dict(values) for group, values in _START.items()}

    def params(self) -> dict[str, dict[str, Any]]:
        """Return the next config, 50 params in five groups."""
        for _ in range(self.random.randint(1, 3)):
            self._change()
        return {group: dict(values) for group, values in self._params.items()}

    def metrics(self) -> dict[str, float]:
        """Return five metrics with all their digits."""
        return {name: self.random.random() for name in METRICS}

    def _change(self) -> None:
        some, params = self.random, self._params
        which = some.randrange(6)
        if which == 0:
            params["optim"]["lr"] = 10 ** some.uniform(-5, -1)
        elif which == 1:
            params["optim"]["weight_decay"] = some.choice((0.0, 1e-4, 1e-3, 0.01, 0.05))
        elif which == 2:
            params["model"]["dropout"] = round(some.uniform(0, 0.5), 2)
        elif which == 3:
            params["data"]["batch"] = some.choice((64, 128, 256, 512))
        elif which == 4:
            params["train"]["seed"] = some.randrange(1000)
        else:
            params["schedule"]["warmup"] = some.randrange(0, 2000, 100)
