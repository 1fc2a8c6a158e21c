"""Directions: which way of a metric is better."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum


class Direction(StrEnum):
    """Whether the highest or the lowest value of a metric is its best."""

    MAX = "max"
    MIN = "min"


_HIGHER = frozenset(
    re.findall(
        r"\w+",
        """acc accuracy ap auc auroc auprc bleu cider dice elbo elo f1 fps fscore hit hits iou jaccard kappa likelihood map mcc
        meteor miou mrr ndcg precision psnr r2 recall return returns reward rewards roc rouge score scores sensitivity
        specificity ssim success throughput""",
    )
)
_LOWER = frozenset(
    re.findall(
        r"\w+",
        """bce bpb bpc brier cer cost costs crossentropy ece eer err error errors fid kl latency logloss loss losses lpips mae
        mape mse nll nmse perplexity ppl regret rmse rmsle smape ter wer xent""",
    )
)
# A spread, a setting or a clock that is named after a metric says nothing about better.
_NEITHER = frozenset(
    ("coef", "count", "num", "scale", "seconds", "std", "stddev", "stdev", "time", "var", "variance", "weight")
)
_NEGATED = frozenset(("neg", "negative"))
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def direction(name: str, declared: Mapping[str, Direction]) -> Direction | None:
    """Return which way of a metric is better: as declared, else guessed from the words of its name, else None.

    The last word that tells decides, and ``neg`` turns it round, as in scikit-learn's scorers.

    >>> direction("val/loss", {}), direction("test_acc@1", {}), direction("valF1Score", {})
    (<Direction.MIN: 'min'>, <Direction.MAX: 'max'>, <Direction.MAX: 'max'>)
    >>> direction("neg_mean_squared_error", {}), direction("time", {}), direction("time", {"time": Direction.MIN})
    (<Direction.MAX: 'max'>, None, <Direction.MIN: 'min'>)
    """
    if name in declared:
        return declared[name]
    words = list(_words(name))
    if not _NEITHER.isdisjoint(words):
        return None
    telling = [word for word in words if word in _HIGHER or word in _LOWER]
    if not telling:
        return None
    higher = (telling[-1] in _HIGHER) == _NEGATED.isdisjoint(words)
    return Direction.MAX if higher else Direction.MIN


def _words(name: str) -> Iterator[str]:
    """Yield each word of a name in its camel-case parts, as it is (``mAP``) and without a number at its end (``acc1``)."""
    for part in re.split(r"[^A-Za-z0-9]+", name):
        for piece in _CAMEL.findall(part):
            yield piece.lower()
        yield part.lower()
        yield part.lower().rstrip("0123456789")
        for match in re.finditer(r"(?:[Ff]1|[Rr]2)(?![0-9])", part):
            yield match[0].lower()
