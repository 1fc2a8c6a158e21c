"""What the messages of a run's programs amount to: whose params count, and when one run is several."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitparams.capture.reports import Told, disputed, over, read_messages, resolve, tell, told_in
from gitparams.params import Layer, Origin, Overridden, layer


def hello(pid, *chain, at=0.0):
    return {
        "kind": "hello",
        "time": at,
        "pid": pid,
        "run": None,
        "python": "3.11.7",
        "path": [f"/lib/{pid}"],
        "chain": list(chain),
    }


def params(pid, values, reporter="argparse", program="/work/train.py", **facts):
    told = {"kind": "params", "time": 1.0, "pid": pid, "run": None, "n": 1}
    return {**told, "reporter": reporter, "program": program, "values": values, "origins": {}, "redacted": [], **facts}


def bye(pid, code=None, **facts):
    return {"kind": "bye", "time": 2.0, "pid": pid, "run": None, "code": code, **facts}


def values(*messages, **options):
    return resolve(messages, **options).layer.values


# -- whose params count ---------------------------------------------------------------------------------------------------


def test_one_program_that_spoke_is_the_run():
    told = resolve([hello(1), params(1, {"lr": 0.1}, origins={"lr": ["cli", "--lr"]})])
    assert told.layer == Layer({"lr": 0.1}, {"lr": Origin("cli", "--lr")})
    assert (told.python, told.path, told.group) == ("3.11.7", ("/lib/1",), False)


def test_a_process_that_became_another_program_said_nothing_before():
    assert values(hello(1), params(1, {"old": 1}), hello(1), params(1, {"new": 2})) == {"new": 2}


def test_a_process_id_that_was_given_away_again_is_another_process():
    told = resolve([hello(1), params(1, {"lr": 1}), bye(1, 0), hello(1), params(1, {"lr": 2}), bye(1, 0)])
    assert [part.layer.values for part in told.parts] == [{"lr": 1}, {"lr": 2}]


def test_what_was_parsed_by_the_way_counts_only_when_nothing_else_was():
    by_the_way = params(1, {"cv": 2}, weak=True)
    assert values(hello(1), params(1, {"lr": 1}), by_the_way) == {"lr": 1}
    assert values(hello(1), by_the_way) == {"cv": 2}


def test_an_installed_program_counts_until_one_that_is_not_speaks_below_it():
    launcher = params(1, {"nproc": 2}, program="/env/bin/launch", installed=True)
    assert values(hello(1), launcher) == {"nproc": 2}
    assert values(hello(1), launcher, hello(2, 1), params(2, {"lr": 1})) == {"lr": 1}


def test_what_a_captured_program_starts_only_goes_to_the_programs():
    told = resolve([hello(1), params(1, {"lr": 1}), hello(2, 1), params(2, {"size": 3}, program="/work/prep.py")])
    assert (told.layer.values, told.programs) == ({"lr": 1}, ({"program": "prep", "params": {"size": 3}},))


DIFFERENT = [hello(1), params(1, {"size": 3}, program="/work/prep.py"), hello(2), params(2, {"lr": 1})]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"prep": {"size": 3}, "train": {"lr": 1}}),
        ({"command": ["bash", "job.sh"]}, {"prep": {"size": 3}, "train": {"lr": 1}}),
        ({"command": ["sh", "-c", "x", "train.py"]}, {"lr": 1}),
        ({"program": "train.py"}, {"lr": 1}),
        ({"program": "prep"}, {"size": 3}),
        ({"program": "nobody"}, {"prep": {"size": 3}, "train": {"lr": 1}}),
    ],
)
def test_of_different_programs_the_named_one_is_the_run_else_each_has_its_own_name(options, expected):
    assert values(*DIFFERENT, **options) == expected


# -- several reporters ----------------------------------------------------------------------------------------------------


def test_the_later_reporter_wins_and_a_disagreement_is_known():
    first = params(1, {"lr": 0.1, "seed": 1}, origins={"lr": ["cli", "--lr"]})
    told = resolve([hello(1), first, params(1, {"lr": 0.2}, "start")])
    assert told.layer.values == {"lr": 0.2, "seed": 1}
    assert told.layer.origins["lr"] == Origin("code", None, (Overridden(0.1, "cli", "--lr"),))
    assert told.disputed == ("lr",)


def test_a_default_that_somebody_overrode_is_no_disagreement():
    told = resolve([hello(1), params(1, {"lr": 0.1}), params(1, {"lr": 0.2}, "start")])
    assert (told.layer.values, told.disputed) == ({"lr": 0.2}, ())


def test_a_value_in_the_way_of_a_mapping_moves_below_its_reporter():
    told = resolve(
        [
            hello(1),
            params(1, {"optim": "adam"}, origins={"optim": ["cli", "--optim"]}),
            params(1, {"optim": {"lr": 1}}, "start"),
        ]
    )
    assert told.layer.values == {"cli": {"optim": "adam"}, "optim": {"lr": 1}}


def test_a_name_that_is_taken_is_not_taken_twice():
    both = over(layer({"file": "x", "optim": "adam"}, "file"), layer({"optim": {"lr": 1}}, "code"))
    assert both.values == {"file": "x", "file-": {"optim": "adam"}, "optim": {"lr": 1}}


def test_a_declared_value_that_the_program_did_not_use_is_disputed():
    assert disputed(layer({"lr": 1, "seed": 2}, "cli"), layer({"lr": 1.0, "seed": 2}, "default")) == ("lr",)


# -- groups ---------------------------------------------------------------------------------------------------------------


def test_the_same_program_twice_is_a_group_and_each_part_knows_how_it_ended():
    told = resolve(
        [hello(1, at=1.0), params(1, {"lr": 1}), bye(1, 0), hello(2, at=3.0), params(2, {"lr": 2}), bye(2, error=True)]
    )
    assert (told.group, told.layer.values) == (True, {})
    assert [(part.layer.values, part.status, part.exit_code, part.started) for part in told.parts] == [
        ({"lr": 1}, "completed", 0, 1.0),
        ({"lr": 2}, "failed", 1, 3.0),
    ]


def test_a_part_that_said_no_good_bye_leaves_its_end_to_the_group():
    (first, _) = resolve([hello(1), params(1, {"lr": 1}), hello(2), params(2, {"lr": 2})]).parts
    assert (first.status, first.finished, first.exit_code) == (None, None, None)


# -- on disk --------------------------------------------------------------------------------------------------------------


def test_a_message_that_cannot_be_read_is_left_out(tmp_path):
    tell(tmp_path, "params", reporter="start", values={"lr": 1}, origins={})
    (tmp_path / "1-1-1.json").write_text("{torn")
    (tmp_path / "2-1-1.json").write_text('["no message"]')
    (tmp_path / "3-1-1.json.new").write_text("{}")
    assert [message["values"] for message in read_messages(tmp_path)] == [{"lr": 1}]
    assert told_in(tmp_path / "gone") == Told()


def test_who_is_not_listened_to_is_not_heard(tmp_path):
    (tmp_path / "how.json").write_text(json.dumps({"off": ["start"]}))
    tell(tmp_path, "params", reporter="start", values={"lr": 1}, origins={})
    assert told_in(tmp_path) == Told()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from(
    ["hello", "params", "drift", "child", "writes", "bye", "fault", "joined", "ended", "reads", "changed", "hparams"]
)
facts = st.sampled_from(
    [
        "time",
        "run",
        "n",
        "of",
        "python",
        "path",
        "chain",
        "reporter",
        "program",
        "values",
        "origins",
        "redacted",
        "weak",
        "installed",
        "event",
        "own",
        "status",
        "code",
        "metrics",
        "folder",
        "text",
        "at",
        "unread",
        "drift",
        "error",
        "interrupted",
        "hydra",
    ]
)
messages = st.builds(
    lambda kind, pid, more: {**more, "kind": kind, "pid": pid},
    kinds,
    st.integers(1, 3),
    st.dictionaries(facts, anything, max_size=8),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(messages, max_size=8))
def test_no_messages_whatever_they_say_stop_a_run_from_being_recorded(told):
    assert isinstance(resolve(told), Told)
