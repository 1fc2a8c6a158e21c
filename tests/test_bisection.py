"""Bisection: which changes explain a worse metric, in few enough mixtures, and what recorded runs say of it."""

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitparams.bisection import (
    CODE,
    Answer,
    Case,
    Choice,
    CommitSearch,
    Cost,
    Evidence,
    Factor,
    Measured,
    Question,
    Row,
    Search,
    asked,
    case,
    chosen_metric,
    evidence,
    factors_between,
    measured,
    ordered,
    recorded_mixtures,
    row_of,
    wanted,
)
from gitparams.directions import Direction
from gitparams.errors import UsageError
from gitparams.model import CodeState, Oid, Run, Status, new_run_id, now
from gitparams.params import MISSING, nested
from gitparams.replicates import spread

NAMES = "abcdefghijkl"
GOOD_ID, BAD_ID = "kkmpptxzkkmpptxz", "zmxnyosrzmxnyosr"
QUESTION = Question("acc", Direction.MAX, Measured((0.9,)), Measured((0.5,)))
IS_GOOD, IS_BAD, IS_BETWEEN, FAILED = Measured((0.9,)), Measured((0.5,)), Measured((0.7,)), Measured((), 1)


def row(id, params, metrics=None, *, code=None, status=Status.COMPLETED):
    return Row(id, params, {} if metrics is None else metrics, code, status)


def good(**metrics):
    return row(GOOD_ID, {}, metrics)


def bad(**metrics):
    return row(BAD_ID, {}, metrics)


def factors(names):
    return [Factor(name, 0, 1) for name in names]


def searched(names, outcome, *, question=QUESTION, likely=0, known=()):
    """Return a search that has ended, every mixture of it asked once."""
    search = Search(factors(names), question, likely)
    told = [search.tell(mixture, outcome(mixture)) for mixture in known]
    mixtures = []
    while (mixture := search.next()) is not None:
        mixtures.append(mixture)
        told.append(search.tell(mixture, outcome(mixture)))
    assert len(set(mixtures)) == len(mixtures) == search.result().tests
    assert not set(mixtures) & set(known)
    return search


def paths(found):
    return sorted("".join(factor.path for factor in explanation.factors) for explanation in found.sets)


def bound(culprits, names):
    return 2 * culprits * math.ceil(math.log2(len(names))) + 2


def all_of(culprits):
    return lambda mixture: IS_BAD if culprits <= mixture else IS_GOOD


def any_of(culprits):
    return lambda mixture: IS_BAD if culprits & mixture else IS_GOOD


def adding_up(culprits):
    return lambda mixture: Measured((0.9 - 0.4 * len(culprits & mixture) / len(culprits),))


def message(function, *args, **fields):
    with pytest.raises(UsageError) as caught:
        function(*args, **fields)
    return caught.value.message, caught.value.hint


# -- the search -----------------------------------------------------------------------------------------------------------

CULPRITS = [frozenset(some) for number in (1, 2, 3) for some in itertools.combinations(NAMES, number)]


@pytest.mark.parametrize("likely", [0, 2])
@pytest.mark.parametrize("culprits", CULPRITS, ids=lambda names: "".join(sorted(names)))
def test_changes_that_are_bad_only_together_are_one_set(culprits, likely):
    search = searched(NAMES, all_of(culprits), likely=likely)
    found = search.result()
    assert paths(found) == ["".join(sorted(culprits))]
    assert found.sets[0].minimal
    assert found.sets[0].needs_all == (len(culprits) > 1)
    assert found.explained == 1
    assert found.tests <= bound(len(culprits), NAMES)
    assert found.tests <= Search(factors(NAMES), QUESTION, likely).cost(len(culprits)).most


@pytest.mark.parametrize("culprits", CULPRITS, ids=lambda names: "".join(sorted(names)))
def test_changes_that_are_each_bad_are_a_set_each(culprits):
    found = searched(NAMES, any_of(culprits)).result()
    assert paths(found) == sorted(culprits)
    assert all(explanation.minimal for explanation in found.sets)
    assert found.explained == 1
    assert found.tests <= bound(len(culprits), NAMES)


@pytest.mark.parametrize("culprits", CULPRITS, ids=lambda names: "".join(sorted(names)))
def test_effects_that_add_up_come_out_as_one_set(culprits):
    found = searched(NAMES, adding_up(culprits)).result()
    assert paths(found) == ["".join(sorted(culprits))]
    assert found.sets[0].way == pytest.approx(1)
    assert found.tests <= bound(len(culprits), NAMES)


def test_twelve_changes_with_two_culprits_take_twelve_mixtures_at_most():
    search = Search(factors(NAMES), QUESTION)
    assert (search.cost(1), search.cost(2), search.cost()) == (Cost(4, 6), Cost(4, 12), Cost(4, 57))


def up_sets(names):
    """Return the monotone functions of few changes as the sets of their bad mixtures."""
    mixtures = [frozenset(some) for number in range(1, len(names) + 1) for some in itertools.combinations(names, number)]
    most = range(1, len(mixtures) + 1) if len(names) < 4 else range(1, 5)
    chosen = itertools.chain.from_iterable(itertools.combinations(mixtures, number) for number in most)
    return sorted({frozenset(one for one in mixtures if any(least <= one for least in some)) for some in chosen}, key=len)


@pytest.mark.parametrize("names", ["a", "ab", "abc", "abcd"])
def test_every_monotone_function_of_few_changes_is_explained_within_the_bound(names):
    searches = [searched(names, lambda mixture, bad=bad: IS_BAD if mixture in bad else IS_GOOD) for bad in up_sets(names)]
    results = [search.result() for search in searches]
    culprits = [sum(len(explanation.parts) for explanation in found.sets) for found in results]
    assert all(explanation.minimal for found in results for explanation in found.sets)
    assert all(found.explained == 1 for found in results)
    assert all(found.tests <= bound(number, names) for found, number in zip(results, culprits, strict=True))


OUTCOMES = st.sampled_from([IS_BAD, IS_GOOD, IS_BETWEEN, FAILED])


@settings(deadline=None, max_examples=200)
@given(number=st.integers(1, 8), likely=st.integers(0, 8), seed=st.integers(), fails=st.booleans())
def test_any_function_at_all_ends_with_sets_that_were_seen_to_be_bad(number, likely, seed, fails):
    chance, names = random.Random(seed), NAMES[:number]
    gave = {frozenset(): IS_GOOD, frozenset(names): IS_BAD}
    outcomes = [IS_BAD, IS_GOOD, IS_BETWEEN, *([FAILED] if fails else [])]
    search = searched(names, lambda mixture: gave.setdefault(mixture, chance.choice(outcomes)), likely=likely)
    found = search.result()
    answers = {mixture: QUESTION.answer(told) for mixture, told in gave.items()}
    sets = [frozenset(factor.path for factor in explanation.factors) for explanation in found.sets]
    without = [{answers.get(one - {path}) for path in one} for one in sets]
    assert found.finished
    assert [answers[one] for one in sets] == [Answer.BAD] * len(sets)
    assert [one.minimal for one in found.sets] == [some <= {Answer.GOOD, Answer.BETWEEN} for some in without]
    assert set(found.unresolved) <= {mixture for mixture, answer in answers.items() if answer is Answer.UNRESOLVED}


@settings(deadline=None, max_examples=100)
@given(culprits=st.sets(st.sampled_from(NAMES), min_size=1, max_size=4), kind=st.sampled_from([all_of, any_of, adding_up]))
def test_the_cost_holds_at_every_step(culprits, kind):
    outcome, search = kind(frozenset(culprits)), Search(factors(NAMES), QUESTION)
    costs = []
    while (mixture := search.next()) is not None:
        costs.append(search.cost())
        search.tell(mixture, outcome(mixture))
    left = range(len(costs), 0, -1)
    assert all(cost.least <= more <= cost.most for cost, more in zip(costs, left, strict=True))
    assert search.cost() == Cost(0, 0)


@settings(deadline=None, max_examples=50)
@given(culprits=st.sets(st.sampled_from(NAMES), min_size=1, max_size=3), stop=st.integers(0, 12))
def test_a_search_that_was_stopped_goes_on_from_what_is_known(culprits, stop):
    whole = searched(NAMES, all_of(frozenset(culprits)))
    known = [step.mixture for step in whole.steps()][:stop]
    resumed = searched(NAMES, all_of(frozenset(culprits)), known=known)
    assert [step.mixture for step in resumed.steps()] == [step.mixture for step in whole.steps()][stop:]
    assert resumed.result().sets == whole.result().sets
    assert bool(resumed.result().reused) == bool(known)
    assert resumed.result().reused <= len(known)


def test_one_change_needs_no_run_at_all():
    found = searched("a", all_of(frozenset("a"))).result()
    assert (paths(found), found.tests, found.explained) == (["a"], 0, 1)


def test_a_likely_beginning_is_tried_first_and_saves_runs():
    search = searched(NAMES, all_of(frozenset("a")), likely=1)
    assert [sorted(step.mixture) for step in search.steps()] == [["a"], list(NAMES[1:])]


def test_changes_that_fail_without_each_other_are_still_found():
    def outcome(mixture):
        if ("a" in mixture) != ("l" in mixture):
            return FAILED
        return IS_BAD if {"a", "l"} <= mixture else IS_GOOD

    found = searched(NAMES, outcome).result()
    assert paths(found) == ["al"]
    assert not found.sets[0].minimal
    assert frozenset("a") in found.unresolved


def test_a_rest_that_explains_a_part_is_told():
    found = searched("abcd", lambda mixture: IS_BAD if "b" in mixture else IS_BETWEEN if "c" in mixture else IS_GOOD).result()
    assert (paths(found), found.rest, found.rest_answer) == (["b"], IS_BETWEEN, Answer.BETWEEN)
    assert found.explained == pytest.approx(0.5)


def test_what_a_change_does_alone_and_what_is_left_without_it_is_told():
    (explanation,) = searched("ab", adding_up(frozenset("ab"))).result().sets
    assert [(part.factor.path, part.alone.value, part.without.value) for part in explanation.parts] == [
        ("a", 0.7, 0.7),
        ("b", 0.7, 0.7),
    ]
    assert explanation.effect == pytest.approx(-0.4)
    assert not explanation.needs_all


def test_a_bad_run_that_failed_is_explained_by_what_fails():
    question = Question("acc", Direction.MAX, IS_GOOD, FAILED)
    diverged = Measured((math.nan,))
    found = searched(NAMES, lambda mixture: diverged if {"c", "k"} <= mixture else IS_BETWEEN, question=question).result()
    assert paths(found) == ["ck"]
    assert (found.sets[0].way, found.explained, found.rest_answer) == (None, None, Answer.GOOD)


def test_before_its_end_a_search_tells_what_it_knows():
    search = Search(factors("abcdefgh"), QUESTION)
    outcome = all_of(frozenset("ag"))
    told = [search.tell(search.next(), outcome(search.next())) for _ in range(3)]
    found = search.result()
    assert told == [Answer.GOOD, Answer.GOOD, Answer.BAD]
    assert (found.finished, found.sets) == (False, ())
    assert [factor.path for factor in found.needed] == ["g"]
    assert [factor.path for factor in found.suspects] == list("abcdef")


def test_the_plan_tells_what_comes_after_each_answer():
    plan = Search(factors("abcd"), QUESTION).plan()
    assert (plan.first, plan.if_bad, plan.if_not) == (frozenset("ab"), frozenset("a"), frozenset("abc"))
    assert (plan.one, plan.two, plan.any, plan.reused) == (Cost(3, 4), Cost(3, 8), Cost(3, 13), 0)


def test_a_mixture_of_something_else_is_refused():
    with pytest.raises(ValueError, match=r"\['z'\] are no factors of this search"):
        Search(factors("ab"), QUESTION).tell(frozenset("az"), IS_GOOD)


# -- what a mixture is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "failed", "answer"),
    [
        ((0.58,), 0, Answer.BAD),
        ((0.59,), 0, Answer.BETWEEN),
        ((0.81,), 0, Answer.BETWEEN),
        ((0.82,), 0, Answer.GOOD),
        ((2.0,), 0, Answer.GOOD),
        ((0.1,), 0, Answer.BAD),
        ((0.5, 0.66), 0, Answer.BAD),
        ((math.nan,), 0, Answer.UNRESOLVED),
        ((math.inf, 0.5), 0, Answer.BAD),
        ((0.5,), 2, Answer.UNRESOLVED),
        ((), 1, Answer.UNRESOLVED),
    ],
)
def test_an_answer_is_how_far_the_metric_has_gone(values, failed, answer):
    assert QUESTION.answer(Measured(values, failed)) is answer


def test_a_metric_beyond_floats_has_an_answer_too():
    question = Question("loss", Direction.MIN, Measured((-1.7e308,)), Measured((1.7e308,)))
    assert [question.answer(Measured((value,))) for value in (1.6e308, 0.0, 10**400)] == [
        Answer.BAD,
        Answer.BETWEEN,
        Answer.UNRESOLVED,
    ]


@pytest.mark.parametrize(
    ("values", "failed", "uncertain"),
    [
        ((0.5, 0.51, 0.49), 0, False),
        ((0.2, 0.9, 0.4), 0, True),
        ((0.91, 0.9, 0.89), 0, False),
        ((0.4, 0.9, 1.3), 0, True),
        ((0.5,), 0, False),
        ((0.5, 0.5), 1, True),
        ((0.9, 0.9), 0, False),
    ],
)
def test_an_answer_within_the_noise_is_uncertain(values, failed, uncertain):
    question = Question("acc", Direction.MAX, Measured((0.9, 0.91, 0.89)), Measured((0.5, 0.51, 0.49)))
    assert question.uncertain(Measured(values, failed)) is uncertain


def test_without_any_noise_equal_means_alone_are_uncertain():
    question = Question("acc", Direction.MAX, Measured((0.9, 0.9)), Measured((0.5, 0.5)), 1.0)
    assert [question.uncertain(Measured((value, value))) for value in (0.9, 0.5)] == [False, False]


# -- what differs ---------------------------------------------------------------------------------------------------------


def test_factors_are_the_params_that_differ_and_the_code():
    one = row(GOOD_ID, {"lr": 1, "layers": [1, 2], "seed": 1, "log": "a", "gone": 1}, code="1a")
    two = row(BAD_ID, {"lr": 1.0, "layers": [1, 3], "seed": 2, "log": "b", "new": None}, code="2b")
    assert factors_between(one, two, ignore=["log"]) == (
        Factor("gone", 1, MISSING),
        Factor("layers", [1, 2], [1, 3]),
        Factor("lr", 1, 1.0),
        Factor("new", MISSING, None),
        Factor(CODE, "1a", "2b"),
    )


def test_a_value_and_the_params_below_it_are_one_factor():
    one = row(GOOD_ID, {"model": "mlp", "model2": 1, "code": 1})
    two = row(BAD_ID, {"model.name": "cnn", 'model["a.b"].x': [1], "model2": 2, "code": 2})
    found = factors_between(one, two)
    assert found == (
        Factor("code", 1, 2),
        Factor("model", "mlp", {"name": "cnn", "a.b": {"x": [1]}}),
        Factor("model2", 1, 2),
    )
    assert wanted(found, frozenset()) == {
        "code": 1,
        "model": "mlp",
        "model.name": MISSING,
        'model["a.b"].x': MISSING,
        "model2": 1,
    }
    assert wanted(found, frozenset({"model"})) == {
        "code": 1,
        "model": MISSING,
        "model.name": "cnn",
        'model["a.b"].x': [1],
        "model2": 1,
    }
    assert [sorted(mixture) for mixture in recorded_mixtures(one, two, found, [one, two])] == [[], ["code", "model", "model2"]]


def test_code_that_is_not_known_is_no_factor():
    one, two = row(GOOD_ID, {"lr": 1}, code="1a"), row(BAD_ID, {"lr": 2})
    assert factors_between(one, two) == (Factor("lr", 1, 2),)
    assert [sorted(mixture) for mixture in recorded_mixtures(one, two, factors_between(one, two), [one, two])] == [[], ["lr"]]


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        (
            row(GOOD_ID, {"lr": 1}),
            row(BAD_ID, {"lr": 1}),
            (
                "kkmpptxz and zmxnyosr have the same params and the same code: nothing can explain the metric.",
                "gitparams diff kkmpptxz zmxnyosr --all",
            ),
        ),
        (
            row(GOOD_ID, {"lr": 1, "seed": 1}),
            row(BAD_ID, {"lr": 1, "seed": 2}),
            (
                "kkmpptxz and zmxnyosr differ only in seed, seeds or ignored: nothing can explain the metric.",
                "gitparams log --replicates shows how large the noise is",
            ),
        ),
        (
            row(GOOD_ID, {"lr": 1}),
            row(GOOD_ID, {"lr": 1}),
            ("The good and the bad run are both kkmpptxz", "gitparams log shows the runs"),
        ),
    ],
)
def test_runs_without_a_difference_are_refused(one, two, said):
    assert message(factors_between, one, two) == said


def test_the_row_of_a_run_knows_its_code_by_the_tree():
    found = Run(new_run_id(), Status.COMPLETED, now(), params=nested({"a": {"b": 1}}), metrics={"acc": 1})
    assert row_of(found) == Row(found.id, {"a.b": 1}, {"acc": 1}, None, Status.COMPLETED)
    code = CodeState(commit=Oid("c1"), tree=Oid("t1"))
    assert row_of(Run(found.id, Status.COMPLETED, now(), code=code)).code == "t1"


# -- which metric ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "directions", "choice"),
    [
        ({"acc": 0.9}, {"acc": 0.8, "loss": 1}, {}, Choice("acc", Direction.MAX)),
        ({"acc": 0.9, "loss": 1}, {"acc": 0.8, "loss": 0.5}, {}, Choice("acc", Direction.MAX)),
        (
            {"acc": 0.9, "loss": 1.0},
            {"acc": 0.8, "loss": 3.0},
            {},
            Choice("loss", Direction.MIN, "loss got relatively worst of 2 metrics; --metric names another"),
        ),
        (
            {"acc": 0.9, "loss": 1.0},
            {"acc": 0.8, "loss": math.nan},
            {},
            Choice("loss", Direction.MIN, "loss got relatively worst of 2 metrics; --metric names another"),
        ),
        ({"acc": 0.9, "loss": 1.0}, {"acc": 0.8, "loss": 3.0}, {"acc": Direction.MAX}, Choice("acc", Direction.MAX)),
        (
            {"x": 1, "y": 2},
            {"x": 1, "y": 3},
            {},
            Choice("y", Direction.MIN, "which way y is better is not known: taken as the lowest, as in the good run"),
        ),
        ({"x": 1}, {"x": math.inf}, {}, Choice("x", None)),
    ],
)
def test_without_a_name_the_metric_is_one_that_got_worse(before, after, directions, choice):
    assert chosen_metric(good(**before), bad(**after), None, directions) == choice


def test_a_bad_run_that_failed_needs_no_metric():
    failed = bad()._replace(status=Status.CRASHED)
    why = "zmxnyosr crashed: the question is which change makes it fail"
    assert chosen_metric(good(epoch=3, loss=1), failed) == Choice("loss", Direction.MIN, why)
    assert chosen_metric(good(epoch=3, loss=1), failed, "epoch") == Choice("epoch", None, why)


@pytest.mark.parametrize(
    ("before", "after", "named", "said"),
    [
        (
            good(acc=0.8),
            bad(acc=0.9),
            None,
            (
                "kkmpptxz is not better than zmxnyosr: acc is 0.8 and 0.9, and the highest is best.",
                "gitparams bisect zmxnyosr kkmpptxz",
            ),
        ),
        (
            good(loss=0.9),
            bad(loss=0.8),
            "loss",
            (
                "kkmpptxz is not better than zmxnyosr: loss is 0.9 and 0.8, and the lowest is best.",
                "gitparams bisect zmxnyosr kkmpptxz",
            ),
        ),
        (good(acc=1), bad(acc=1), "acc", ("acc is 1 in both kkmpptxz and zmxnyosr: nothing is to be explained.", None)),
        (good(x=1), bad(x=1), "x", ("x is 1 in both kkmpptxz and zmxnyosr: nothing is to be explained.", None)),
        (
            good(acc=1, x=2),
            bad(acc=1, x=2),
            None,
            ("acc, x did not change from kkmpptxz to zmxnyosr: nothing is to be explained.", None),
        ),
        (good(acc=1, loss=2), bad(acc=1), "loss", ("zmxnyosr has no metric 'loss'.", "it has acc")),
        (good(acc=1), bad(acc=1, loss=2), "loss", ("kkmpptxz has no metric 'loss'.", "it has acc")),
        (good(), bad(acc=1), "acc", ("kkmpptxz has no metric 'acc'.", "it has no metrics")),
        (
            good(acc=math.nan),
            bad(acc=1),
            "acc",
            ("acc of kkmpptxz is nan, so it cannot be the good run.", "it has acc"),
        ),
        (
            good(acc=math.nan),
            bad(acc=1),
            None,
            ("acc of kkmpptxz is nan, so it cannot be the good run.", "it has acc"),
        ),
        (
            good(acc=1),
            bad(loss=1),
            None,
            ("kkmpptxz and zmxnyosr have no metric in common.", "kkmpptxz has acc; zmxnyosr has loss"),
        ),
        (
            good(x=1, y=2),
            bad(x=2, y=3),
            None,
            ("Of x, y it is not known which way is better, so the metric has to be named.", "--metric x"),
        ),
        (
            good(acc=1)._replace(status=Status.FAILED),
            bad(acc=0),
            None,
            ("kkmpptxz is failed, and only a completed run can be the good one.", None),
        ),
        (
            good(acc=1),
            bad(acc=0)._replace(status=Status.RUNNING),
            None,
            ("zmxnyosr is running, and only a completed or failed run can be the bad one.", None),
        ),
    ],
)
def test_a_metric_that_does_not_tell_good_from_bad_is_refused(before, after, named, said):
    assert message(chosen_metric, before, after, named) == said


@pytest.mark.parametrize("share", [0.5, 0, -1, 1.01, math.nan])
def test_a_share_that_cannot_tell_is_refused(share):
    said = f"A share of {share} cannot tell bad from good."
    assert message(asked, Choice("acc", Direction.MAX), IS_GOOD, IS_BAD, share)[0] == said


def test_replicates_that_take_the_difference_back_are_refused():
    found = message(asked, Choice("acc", Direction.MAX), Measured((0.9, 0.3)), Measured((0.8,)))
    assert found == (
        "Taken with the runs that differ in the seed alone, acc did not get worse: 0.6 in 2, 0.8 in 1.",
        "what is to be explained may be noise: gitparams log --replicates",
    )
    assert message(asked, Choice("acc", Direction.MAX), Measured((0.9,), 2), IS_BAD)[0] == (
        "Most runs with the good run's params failed or have no finite acc."
    )


# -- what is recorded -----------------------------------------------------------------------------------------------------

ONE = row(GOOD_ID, {"lr": 0.1, "batch": 64, "depth": 3, "seed": 1}, {"acc": 0.9}, code="1a")
TWO = row(BAD_ID, {"lr": 0.2, "batch": 128, "depth": 3, "seed": 2}, {"acc": 0.5}, code="2b")
DIFFERENT = factors_between(ONE, TWO)


@pytest.mark.parametrize(
    ("params", "code", "mixture"),
    [
        ({"lr": 0.1, "batch": 64, "depth": 3, "seed": 7}, "1a", []),
        ({"lr": 0.2, "batch": 64, "depth": 3}, "1a", ["lr"]),
        ({"depth": 3, "batch": 64, "lr": 0.2}, "2b", [CODE, "lr"]),
        ({"lr": 0.2, "batch": 64.0, "depth": 3}, "1a", None),
        ({"lr": 0.2, "batch": 64, "depth": 4}, "1a", None),
        ({"lr": 0.2, "batch": 64, "depth": 3.0}, "1a", None),
        ({"lr": 0.2, "batch": 64, "depth": 3, "amp": True}, "1a", None),
        ({"lr": 0.2, "batch": 64}, "1a", None),
        ({"lr": 0.2, "depth": 3}, "1a", None),
        ({"lr": 0.2, "batch": 64, "depth": 3}, "3c", None),
        ({"lr": 0.2, "batch": 64, "depth": 3}, None, None),
    ],
)
def test_a_recorded_run_is_a_mixture_when_all_else_is_the_good_runs(params, code, mixture):
    found = recorded_mixtures(ONE, TWO, DIFFERENT, [row("p" * 16, params, {"acc": 1}, code=code)])
    assert [sorted(one) for one in found] == ([] if mixture is None else [mixture])


@pytest.mark.parametrize("status", [Status.RUNNING, Status.INTERRUPTED, Status.PRUNED, Status.REFUSED, Status.LOST])
def test_a_run_that_did_not_come_to_its_end_is_no_mixture(status):
    assert recorded_mixtures(ONE, TWO, DIFFERENT, [ONE._replace(status=status)]) == {}
    assert evidence(DIFFERENT, [ONE, ONE._replace(params={**ONE.params, "lr": 0.2}, status=status)], "acc") == ()


def test_runs_of_a_mixture_are_measured_together():
    rows = [ONE, ONE._replace(metrics={"acc": math.nan}), ONE._replace(metrics={}), ONE._replace(status=Status.FAILED)]
    found = measured(rows, "acc")
    assert (found.values[0], found.spread.not_finite, found.failed, found.runs, found.broken) == (0.9, 1, 2, 4, True)


@pytest.mark.parametrize(
    "values",
    [(math.nan, float("nan")), ([{"a": 1, "b": 2}], [{"b": 2, "a": 1}]), (10**5000, 10**5000), ({}, nested({}))],
    ids=["nan", "order of keys", "huge", "empty"],
)
def test_equal_params_are_equal_however_they_are_written(values):
    one, two = (ONE._replace(params={**ONE.params, "x": value}) for value in values)
    found = recorded_mixtures(one, TWO._replace(params={**TWO.params, "x": values[0]}), DIFFERENT, [two])
    assert list(found) == [frozenset()]


def at(id, acc, code="1a", **params):
    return row(id * 16, {**ONE.params, **params}, {"acc": acc}, code=code)


def test_pairs_tell_what_a_change_did_on_any_base():
    rows = [
        at("k", 0.9),
        at("l", 0.8, lr=0.2),
        at("m", 0.6, depth=9),
        at("n", 0.4, depth=9, lr=0.2),
        at("o", 0.3, depth=9, lr=0.2, batch=128),
        at("p", 0.1, code="9f", lr=0.2),
        at("q", 0.1, lr=0.3),
    ]
    found = evidence(DIFFERENT, rows, "acc")
    assert [(item.paths, item.pairs, round(item.delta.mean, 9), item.example[0][0] + item.example[1][0]) for item in found] == [
        (("lr",), 2, -0.15, "kl"),
        (("batch",), 1, -0.1, "no"),
        (("batch", "lr"), 1, -0.3, "mo"),
    ]
    assert [item.paths for item in evidence(DIFFERENT, rows, "acc", few=1)] == [("lr",), ("batch",)]


def test_runs_of_one_seed_are_paired_and_none_is_in_two_pairs():
    rows = [
        at("k", 0.9, seed=1),
        at("l", 0.5, seed=2),
        at("m", 0.4, seed=2, lr=0.2),
        at("n", 0.8, seed=1, lr=0.2),
        at("o", 0.1, seed=3, lr=0.2),
    ]
    (found,) = evidence(DIFFERENT, rows, "acc")
    assert (found.pairs, round(found.delta.mean, 9), round(found.delta.std, 9)) == (2, -0.1, 0)


def test_a_pair_whose_second_run_failed_counts_as_not_finite():
    (found,) = evidence(DIFFERENT, [at("k", 0.9), at("l", 0.9, lr=0.2)._replace(status=Status.FAILED)], "acc")
    assert (found.paths, found.pairs, found.delta.n, found.delta.not_finite) == (("lr",), 1, 0, 1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.booleans()), max_size=30, unique=True))
def test_evidence_is_what_comparing_every_two_runs_would_find(places):
    changed = [Factor("a", 0, 1), Factor("b", 0, 1), Factor("c", 0, 1)]
    rows = [
        row(f"{place:016}", dict(zip("abcx", values, strict=True)), {"acc": place * place})
        for place, values in enumerate(places)
    ]
    pairs = {}
    for one, two in itertools.permutations(rows, 2):
        moved = [
            path
            for path in "abcx"
            if one.params[path] != two.params[path] or type(one.params[path]) is not type(two.params[path])
        ]
        if 0 < len(moved) < 3 and all(path != "x" and (one.params[path], two.params[path]) == (0, 1) for path in moved):
            pairs.setdefault(tuple(moved), []).append(two.metrics["acc"] - one.metrics["acc"])
    found = {item.paths: (item.pairs, item.delta.mean) for item in evidence(changed, rows, "acc")}
    assert found == {moved: (len(deltas), spread(deltas).mean) for moved, deltas in pairs.items()}


def test_changes_with_the_largest_recorded_effect_come_first_and_the_code_last():
    changed = [Factor("a", 0, 1), Factor("b", 0, 1), Factor("c", 0, 1), Factor(CODE, "1a", "2b"), Factor("d", 0, 1)]
    known = [
        Evidence(("b",), spread([0.4]), ("k", "l")),
        Evidence(("c",), spread([-0.1]), ("k", "l")),
        Evidence(("d", CODE), spread([-0.36]), ("k", "l")),
    ]
    found, likely = ordered(changed, known, QUESTION)
    assert ([factor.path for factor in found], likely) == (["d", CODE, "c", "a", "b"], 2)


def test_recorded_effects_that_do_not_add_up_make_nothing_likely():
    found, likely = ordered(factors("abc"), [Evidence(("c",), spread([-0.1]), ("k", "l"))], QUESTION)
    assert ([factor.path for factor in found], likely) == (["c", "a", "b"], 0)


def test_a_case_knows_the_question_the_order_and_what_is_recorded():
    rows = [ONE, TWO, at("l", 0.5, lr=0.2), at("m", 0.4, lr=0.2, seed=4), at("n", 0.9, batch=128)]
    found = case(ONE, TWO, iter(rows), metric="acc")
    assert isinstance(found, Case)
    assert [factor.path for factor in found.factors] == ["lr", "batch", CODE]
    assert (found.likely, found.why) == (1, "")
    assert {tuple(sorted(mixture)): runs for mixture, (runs, _) in found.recorded.items()} == {
        (): (GOOD_ID,),
        (CODE, "batch", "lr"): (BAD_ID,),
        ("lr",): ("l" * 16, "m" * 16),
        ("batch",): ("n" * 16,),
    }
    search = found.search()
    assert search.next() == frozenset({CODE, "batch"})
    search.tell(frozenset({CODE, "batch"}), IS_GOOD)
    result = search.result()
    assert (paths(result), result.tests, result.reused) == (["lr"], 1, 1)


def test_a_failed_bad_run_is_a_case_too():
    crashed = TWO._replace(status=Status.CRASHED, metrics={})
    found = case(ONE, crashed, [at("l", 0.9, lr=0.2)])
    assert (found.question.bad, found.why) == (Measured((), 1), "zmxnyosr crashed: the question is which change makes it fail")


def test_the_order_of_the_rows_changes_nothing():
    rows = [at(letter, place / 10, lr=lr, batch=batch) for place, (letter, lr, batch) in enumerate(
        zip("lmnopq", (0.1, 0.2) * 3, (64, 64, 128) * 2, strict=True)
    )]  # fmt: skip
    assert evidence(DIFFERENT, rows, "acc") == evidence(DIFFERENT, rows[::-1], "acc")


# -- the commits ----------------------------------------------------------------------------------------------------------


def first_bad(number, first, skipped=()):
    commits = [Oid(f"{place:03}") for place in range(number)]
    search = CommitSearch(commits)
    while (commit := search.next()) is not None:
        search.tell(commit, bad=None if int(commit) in skipped else int(commit) >= first)
    return search


@pytest.mark.parametrize(("number", "first"), [(number, first) for number in (1, 2, 3, 8, 13) for first in range(number)])
def test_the_first_bad_commit_is_found_by_halves(number, first):
    search = first_bad(number, first)
    assert search.result() == (f"{first:03}",)
    assert search.tests <= math.ceil(math.log2(number))
    assert search.cost() == Cost(0, 0)


def test_commits_that_cannot_be_tried_are_gone_around():
    assert first_bad(8, 2, skipped={3}).result() == ("002",)
    assert first_bad(8, 4, skipped={2, 3}).result() == ("002", "003", "004")
    assert first_bad(3, 0, skipped={0, 1, 2}).result() == ("000", "001", "002")


def test_the_cost_of_a_commit_search_is_known_before():
    assert CommitSearch([Oid(str(place)) for place in range(13)]).cost() == Cost(3, 4)
