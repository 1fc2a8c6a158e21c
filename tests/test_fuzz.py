"""Fuzzing: what reads other people's bytes returns a value of its kind or an error that is meant for a person.

`corpus/` holds small files of each kind, real ones and nasty ones; what once broke a reader is added there. The inputs are
random bytes, random text, and the files of the corpus with pieces taken out, doubled and replaced. With GITPARAMS_LONG_TESTS
set each test takes fifty times as many of them, other ones every time.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitparams.arguments import Arguments, Unsaid
from gitparams.capture.files import read_params_text
from gitparams.capture.overrides import apply_overrides, overrides_layer, parse_override
from gitparams.changes import RunDiff, compare
from gitparams.delivery import fill
from gitparams.edits import edit_file
from gitparams.entry import (
    Header,
    alias_message,
    check_document,
    details_files,
    message,
    parse_commit,
    read_details,
    read_event,
    read_origins,
    read_run,
    run_files,
)
from gitparams.errors import FormatError, GitParamsError, ParamsError, ParamsFileError, UsageError
from gitparams.gate import judge
from gitparams.git import parse_tree
from gitparams.leniency import Leniency
from gitparams.model import Event, EventKind, Run, RunId, Status
from gitparams.nested_diff import nested_changes
from gitparams.params import Layer, flatten, layer, nested, path_keys
from gitparams.query import QueryError, evaluate
from gitparams.series import read_series
from gitparams.values import decode_json, encode_json, same

CORPUS = Path(__file__).resolve().parent / "corpus"
LONG = bool(os.environ.get("GITPARAMS_LONG_TESTS"))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def fuzzed(examples):
    """Return the settings of a test that takes so many inputs; always the same ones unless there is time for more."""
    return settings(
        max_examples=examples * 50 if LONG else examples,
        derandomize=not LONG,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


def corpus(kind):
    return [path.read_bytes() for path in sorted((CORPUS / kind).iterdir())]


@st.composite
def mutated(draw, seeds):
    """Draw one of some bytes with a few pieces removed, doubled, swapped or replaced."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        stop = min(len(data), start + draw(st.integers(0, 12)))
        piece = draw(st.one_of(st.just(b""), st.binary(max_size=4), st.just(data[start:stop] * 3), st.sampled_from(PIECES)))
        data = data[:start] + piece + data[stop:]
    return data


PIECES = [piece.encode() for piece in (*"{}[]:,\"'#&*!|>%@=~+-.\n\t ", "\u2028", "\ufeff", "\x00", "999" * 9, "1e999", "- - ", "? ", "<<: ", ": {", "${x}", "\\ud800", "é")] + [b"\xff"]  # fmt: skip
texts = st.text(max_size=12)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$float", "a.b", "", "lr", "step"]) | texts, inner, max_size=3)
    ),
    max_leaves=8,
)
mappings = st.dictionaries(texts, values, max_size=3)


def anything(kind):
    return st.one_of(mutated(corpus(kind)), st.binary(max_size=60))


def words(kind):
    return st.one_of(mutated(corpus(kind)).map(lambda data: data.decode("utf-8", "surrogateescape")), st.text(max_size=30))


# -- entries ----------------------------------------------------------------------------------------------------------------


@fuzzed(300)
@given(anything("commit"))
def test_any_commit_has_a_header(data):
    header = parse_commit(data)
    assert isinstance(header, Header)
    assert (header.run is None or len(header.run) == 16, isinstance(header.of_run, bool)) == (True, True)
    assert {len(oid) for oid in header.prev} <= {40, 64}
    assert {len(oid) for pair in header.aliases for oid in pair} <= {40, 64}


@fuzzed(100)
@given(st.lists(st.tuples(*[st.text("0123456789abcdef", min_size=40, max_size=40)] * 2), max_size=4), st.text(max_size=20))
def test_an_alias_reads_back_whatever_rewrote_it(pairs, how):
    head = b"tree %s\nauthor A <a> 0 +0000\n\n" % (b"1" * 40)
    assert parse_commit(head + alias_message(pairs, how).encode("utf-8", "replace")).aliases == tuple(pairs)


@fuzzed(150)
@given(st.text(max_size=60))
def test_no_subject_can_add_a_trailer(subject):
    run = Run(RunId("k" * 16), Status.COMPLETED, NOW)
    text = message(subject, run, Event(EventKind.RECORD, NOW, "00"), (), None)
    head = b"tree %s\nauthor A <a> 0 +0000\n\n" % (b"1" * 40)
    found = parse_commit(head + text.encode("utf-8", "replace")).trailers
    assert found == {"Run-Id": "k" * 16, "Run-Status": "completed", "Run-Event": "record"}


@fuzzed(200)
@given(st.binary(max_size=80) | st.lists(st.tuples(st.sampled_from([b"100644", b"40000", b"7", b"99999"]), st.binary(max_size=5))).map(
    lambda items: b"".join(mode + b" " + name + b"\0" + b"x" * 20 for mode, name in items)
))  # fmt: skip
def test_any_tree_has_entries(data):
    assert all(len(entry.oid) == 40 for entry in parse_tree(data, "0" * 40).values())


GOOD = {
    "format": 1,
    "id": "k" * 16,
    "event": {"kind": "record", "time": NOW.isoformat(), "nonce": "00"},
    "status": "completed",
    "started": NOW.isoformat(),
}
FIELDS = [*GOOD, "name", "experiment", "finished", "command", "cwd", "git", "host", "exit_code", "seeds", "inputs", "tags", "note", "expect", "deleted",
    "parent", "group", "programs", "redacted", "drift", "unread", "environment", "later"]  # fmt: skip


@fuzzed(400)
@given(
    st.dictionaries(st.sampled_from(FIELDS), values | st.just({"commit": "a" * 40, "tree": "b" * 40}), max_size=3),
    mappings,
    mappings,
)
def test_any_document_is_a_run_or_refused_and_a_run_is_written_as_it_was_read(changes, params, metrics):
    document = {**GOOD, **changes}
    try:
        check_document(document)
        run, event = read_run(document, params, metrics, "A <a@b>"), read_event(document)
    except FormatError:
        return
    files = run_files(run, event)
    again = decode_json(files["run.json"])
    check_document(again)
    assert (
        run_files(read_run(again, decode_json(files["params.json"]), decode_json(files["metrics.json"]), "A <a@b>"), event)
        == files
    )


@fuzzed(200)
@given(
    values
    | st.dictionaries(
        texts, st.dictionaries(st.sampled_from(["source", "at", "overrode", "also", "value"]), values), max_size=3
    )
)
def test_any_origins_are_read(document):
    assert isinstance(read_origins(document), dict)


@fuzzed(200)
@given(
    st.dictionaries(
        st.sampled_from(["origins.json", "packages.txt", "series.jsonl", "output.log"]),
        st.binary(max_size=60) | values.map(encode_json),
    )
)
def test_any_details_are_read_and_written(files):
    details = read_details(files.get)
    assert read_details(details_files(details).get).packages == details.packages


@fuzzed(200)
@given(anything("series"))
def test_any_lines_are_a_series(data):
    assert all(len(one.steps) == len(one.values) == len(one.times) > 0 for one in read_series(data).values())


@fuzzed(300)
@given(anything("json"))
def test_any_bytes_are_json_or_a_value_error_and_json_reads_back(data):
    try:
        value = decode_json(data)
    except ValueError:
        return
    assert same(decode_json(encode_json(value)), value)


# -- what people write ------------------------------------------------------------------------------------------------------

KINDS = {"yaml": "a.yaml", "toml": "a.toml", "json": "a.json", "ini": "a.ini", "env": ".env"}


@pytest.mark.parametrize(("kind", "name"), KINDS.items(), ids=KINDS)
@fuzzed(250)
@given(data=st.data())
def test_any_file_of_params_is_read_or_refused_with_its_place(kind, name, data):
    text = data.draw(anything(kind))
    try:
        found = read_params_text(text, name, name)
    except UsageError as error:
        assert str(error) and (isinstance(error, ParamsFileError) or error.hint)
        return
    assert found.origins.keys() == flatten(found.values).keys()
    assert same(decode_json(encode_json(dict(found.values))), dict(found.values))


printable_keys = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
plain = st.dictionaries(printable_keys, st.recursive(scalars.filter(lambda value: not isinstance(value, float) or value == value), lambda inner: st.lists(inner, max_size=3), max_leaves=4), min_size=1, max_size=4)  # fmt: skip


@fuzzed(200)
@given(plain)
def test_params_that_are_written_as_json_are_read_as_they_were(params):
    text = json.dumps(params).encode()
    if b"Infinity" not in text:
        assert same(dict(read_params_text(text, "a.json", "a.json").values), params)


@fuzzed(200)
@given(plain)
def test_params_that_are_written_as_yaml_are_read_as_they_were(params):
    from gitparams.library import to_yaml

    assert same(dict(read_params_text(to_yaml(params).encode("utf-8", "surrogatepass"), "a.yaml", "a.yaml").values), params)


@pytest.mark.parametrize("kind", ["yaml", "toml", "json", "ini", "env"])
@fuzzed(80)
@given(data=st.data())
def test_an_edited_file_reads_back_as_asked_or_is_refused(kind, data):
    text = data.draw(anything(kind)).decode("utf-8", "replace")
    ending = f".{kind}"
    try:
        before = dict(flatten(read_params_text(text.encode(), f"a{ending}" if kind != "env" else ".env", "a").values))
    except UsageError:
        return
    path = data.draw(st.sampled_from([*sorted(before), "new"]))
    value = data.draw(scalars)
    try:
        edited = edit_file(text, ending, {path: value})
    except (ParamsError, ParamsFileError):
        return
    after = dict(
        flatten(
            read_params_text(edited.encode("utf-8", "surrogatepass"), f"a{ending}" if kind != "env" else ".env", "a").values
        )
    )
    assert same(after[path], value)
    kept = {name: old for name, old in before.items() if name != path}
    assert same({name: after[name] for name in kept}, kept)


@fuzzed(400)
@given(words("override"))
def test_any_override_is_a_path_and_a_value_or_refused(text):
    try:
        keys, value = parse_override(text)
    except UsageError:
        return
    assert keys and all(isinstance(key, str) for key in keys)
    assert same(decode_json(encode_json(value)), value)


@fuzzed(150)
@given(st.lists(words("override"), max_size=3), st.booleans())
def test_any_overrides_are_applied_or_refused(texts, strict):
    base = layer({"optim": {"lr": 0.1, "name": "adam"}, "a": [1]}, "file")
    for apply in (overrides_layer, lambda given: apply_overrides(base, given, strict=strict)):
        try:
            found = apply(texts)
        except GitParamsError:
            continue
        assert isinstance(found, Layer) and found.origins.keys() == flatten(found.values).keys()


@fuzzed(200)
@given(st.text(max_size=20) | words("override"))
def test_any_text_is_a_path_or_refused(text):
    try:
        assert path_keys(text)
    except ParamsError as error:
        assert repr(text) in error.message


# -- expressions ------------------------------------------------------------------------------------------------------------

SUBJECT = Run(
    RunId("k" * 16),
    Status.COMPLETED,
    NOW,
    name="a",
    params=nested({"optim": {"lr": 0.1}, "x": None, "l": [1]}),
    metrics={"acc": 0.9, "n": float("nan")},
)
OTHER = Run(
    RunId("l" * 16),
    Status.COMPLETED,
    NOW,
    params=nested({"optim": {"lr": 10**400}, "x": "1"}),
    metrics={"acc": 10**400, "n": 1},
)


@fuzzed(500)
@given(words("query"))
def test_any_expression_is_answered_or_refused_with_a_place(text):
    try:
        assert evaluate(text, SUBJECT, before=OTHER) in (True, False)
    except QueryError as error:
        assert 1 <= error.column <= len(text) + 1


@fuzzed(300)
@given(
    words("query")
    | st.sampled_from(
        [
            "metrics.acc.delta < 0",
            "acc.ratio > 1",
            "params.optim.lr.kind == 'changed'",
            "changed(params.x)",
            "exists(params.l.after)",
        ]
    )
)
def test_any_gate_is_judged_or_refused(text):
    try:
        assert judge(text, compare([SUBJECT, OTHER])).sentence
    except UsageError as error:
        assert error.message


@fuzzed(120)
@given(mappings, mappings, st.booleans(), st.booleans(), st.sampled_from([0.0, 1e-6, 0.5]))
def test_any_two_configs_are_compared_and_one_is_like_itself(old, new, order, types, rtol):
    leniency = Leniency.of(rtol=rtol, ignore_order=order, ignore_type=types)
    assert isinstance(nested_changes(old, new, leniency), list)
    assert nested_changes(old, old, leniency) == []


# -- command lines ----------------------------------------------------------------------------------------------------------

shell_words = st.lists(st.sampled_from(["python", "-m", "train.py", "--lr", "--lr=0.1", "0.1", "--", "-l", "--no-amp", "a=b", "+x=1", "~y", "{lr}", "{{x}}"]) | st.text(max_size=6), max_size=6)  # fmt: skip


@fuzzed(200)
@given(
    shell_words,
    st.sampled_from(["--lr", "-l", "lr", ""]) | st.text(max_size=4),
    scalars | st.lists(scalars, max_size=3),
    scalars,
)
def test_flags_are_found_in_any_command_and_what_is_put_stands_there(command, option, value, wanted):
    line = Arguments(tuple(command))
    spans = line.spans(option, value, wanted)
    assert all(0 <= span.start < span.stop <= len(command) for span in spans)
    try:
        line.put(spans, ["--new=1"])
    except Unsaid:
        return
    assert "--new=1" in line.command


@fuzzed(150)
@given(shell_words)
def test_any_placeholders_are_filled_or_refused(command):
    try:
        filled, used = fill(command, {"lr": 0.1})
    except UsageError as error:
        assert "no such param" in error.message
        return
    assert len(filled) <= len(command) and used <= {"lr"}


def test_two_runs_without_anything_are_compared():
    assert not compare([SUBJECT, SUBJECT]) and isinstance(compare([SUBJECT, OTHER]), RunDiff)
