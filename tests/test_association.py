"""How strongly two columns go together, held to SciPy where it knows the measure."""

import math
import random

import pytest

from gitparams.association import association, dependence, ranks

RANDOM = random.Random(5)
ONES = [RANDOM.gauss(0, 1) for _ in range(60)]
OTHERS = [round(one * 0.5 + RANDOM.gauss(0, 1), 1) for one in ONES]  # with ties


def test_numbers_and_numbers_are_spearman_s_rank_correlation():
    stats = pytest.importorskip("scipy.stats")
    found = association(ONES, OTHERS)
    assert found.strength == pytest.approx(stats.spearmanr(ONES, OTHERS).statistic, abs=1e-12)
    assert (found.signed, found.pairs) == (True, 60)


def test_words_and_numbers_are_the_correlation_ratio_of_the_ranks():
    stats = pytest.importorskip("scipy.stats")
    words = [("a", "b", "c")[int(abs(one) * 2) % 3] for one in ONES]
    groups = [[other for word, other in zip(words, OTHERS, strict=True) if word == text] for text in "abc"]
    kruskal = stats.kruskal(*groups).statistic  # H = (n - 1) eta² of the ranks
    fair = (kruskal - 3 + 1) / (len(words) - 3)  # Tomczak and Tomczak, 2014: eta² of H, without what chance gives
    assert association(words, OTHERS).strength == pytest.approx(math.sqrt(max(0, fair)), abs=1e-12)


def test_words_and_words_are_cramer_s_v():
    contingency = pytest.importorskip("scipy.stats.contingency")
    one = ["x" if value > 0 else "y" for value in ONES]
    other = ["l" if value < -0.5 else "m" if value < 0.5 else "h" for value in OTHERS]
    table = [[sum(pair == (a, b) for pair in zip(one, other, strict=True)) for b in "lmh"] for a in "xy"]
    assert association(one, other).strength == pytest.approx(contingency.association(table, method="cramer"), abs=1e-12)


@pytest.mark.parametrize(("words", "sign"), [(["a"] * 4 + ["b"] * 4, 1), (["b"] * 4 + ["a"] * 4, -1)])
def test_two_words_have_a_sign(words, sign):
    found = association(words, [float(place) for place in range(8)])
    assert found.signed and math.copysign(1, found.strength) == sign


def test_a_word_that_is_another_in_every_run_tells_nothing_and_noise_tells_little():
    folders = [f"runs/{place}" for place in range(60)]
    assert math.isnan(dependence(folders, OTHERS)) and math.isnan(association(folders, OTHERS).strength)
    noise = [dependence([str(RANDOM.randrange(20)) for _ in OTHERS], OTHERS) ** 2 for _ in range(100)]
    assert math.fsum(noise) / 100 < 0.1  # 19 of 59 without the correction


def test_few_runs_and_constant_columns_tell_nothing():
    assert math.isnan(association([1.0, 2.0, None, 4.0], [1.0, 2.0, 3.0, 4.0]).strength)
    assert math.isnan(association([1.0] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).strength)
    assert math.isnan(association(["a"] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).strength)


def test_only_runs_that_have_both_count():
    assert association([1.0, None, 2.0, 3.0, 4.0, 5.0], [1.0, 9.0, 2.0, 3.0, 4.0, 5.0]).pairs == 5


def test_up_and_down_again_is_a_dependence_and_no_correlation():
    places = [float(place) for place in range(-30, 31)]
    bowl = [place * place for place in places]
    assert abs(association(places, bowl).strength) < 0.01 and dependence(places, bowl) > 0.9


def test_equal_numbers_share_their_rank():
    assert ranks([3.0, 1.0, 3.0, 2.0]) == [3.5, 1.0, 3.5, 2.0]
