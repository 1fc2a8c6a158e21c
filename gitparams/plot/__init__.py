"""Plot: pictures of many runs, ``gitparams.plot.parallel(gitparams.runs())``, each a plotly Figure.

Every kind takes runs of any origin, whoever produced them, and the keywords

- ``metric``: what the runs are judged by; by default the one that most of them have,
- ``params``: the params to show, as paths; by default those that differ, the most important first where room is short,
- ``dark``: whether light lines stand on a dark ground.

What a picture leaves out it says in its subtitle, and in ``figure.layout.meta["notes"]``, a list of sentences.

Raises (each kind):
    UsageError: there is nothing to draw (the sentence says why), or what draws it is not installed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

# kind → (its module, what it shows)
KINDS = {
    "parallel": ("axes", "Every run as a line over its params, the metric rightmost"),
    "scatter": ("points", "A param against the metric, run by run"),
    "correlation": ("points", "How params and metrics go together"),
    "series": ("curves", "A metric step by step, many runs in one picture"),
    "history": ("studies", "The metric from run to run, and the best so far"),
    "importance": ("studies", "Which params the metric depends on"),
    "slice": ("studies", "The metric over each param"),
    "contour": ("studies", "The metric over two params"),
    "rank": ("studies", "The runs over two params, coloured by rank"),
    "edf": ("studies", "Which share of the runs is better than a value"),
    "timeline": ("studies", "When each run began and ended"),
    "evaluations": ("minima", "Where a search has looked, by params"),
    "objective": ("minima", "What a model of the runs expects, by params"),
    "convergence": ("minima", "The best value after so many runs"),
}


def __getattr__(name: str) -> Callable[..., Any]:
    if name not in KINDS:
        raise AttributeError(f"module 'gitparams.plot' has no attribute {name!r}")
    function: Callable[..., Any] = getattr(import_module(f"gitparams.plot.{KINDS[name][0]}"), name)
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return sorted((*KINDS, "KINDS"))
