from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitparams.directions import Direction, direction


@pytest.mark.parametrize(
    "name",
    [
        "acc",
        "accuracy",
        "val_acc",
        "test/accuracy",
        "eval.f1-macro",
        "valF1Score",
        "top5_acc",
        "acc@1",
        "hits@10",
        "AUROC",
        "roc_auc",
        "mAP",
        "mAP50",
        "R2",
        "r2_score",
        "bleu4",
        "rougeL",
        "IoU",
        "dice_epoch",
        "episode_reward_mean",
        "return",
        "psnr",
        "SSIM",
        "ndcg@10",
        "neg_mean_squared_error",
        "precision",
        "recall",
        "balancedAccuracy",
    ],
)
def test_more_is_better_by_the_words_of_the_name(name: str) -> None:
    assert direction(name, {}) is Direction.MAX


@pytest.mark.parametrize(
    "name",
    [
        "loss",
        "val_loss",
        "train/loss_epoch",
        "trainLoss",
        "cross_entropy_loss",
        "error",
        "top1-err",
        "MSE",
        "rmse",
        "MAE",
        "mape",
        "nll",
        "negative_log_likelihood",
        "ppl",
        "perplexity",
        "WER",
        "cer",
        "fid",
        "bpb",
        "cost",
        "regret",
        "inference_latency",
    ],
)
def test_less_is_better_by_the_words_of_the_name(name: str) -> None:
    assert direction(name, {}) is Direction.MIN


@pytest.mark.parametrize(
    "name", ["time", "seconds", "epochs", "lr", "step", "loss_scale", "loss_std", "", "…", "glossary", "placement"]
)
def test_nothing_is_guessed_of_other_names(name: str) -> None:
    assert direction(name, {}) is None


def test_what_was_declared_wins() -> None:
    assert direction("loss", {"loss": Direction.MAX}) is Direction.MAX
    assert direction("time", {"time": Direction.MIN}) is Direction.MIN


@given(st.text())
def test_every_name_has_an_answer(name: str) -> None:
    assert direction(name, {}) in (None, Direction.MAX, Direction.MIN)
