"""Frames: columns with the types that their values have, in pandas, polars and Arrow."""

import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pandas
import polars
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gitparams
from gitparams.flat import decode_flat, flat_document, flat_key, keys_of
from gitparams.frames import FIELDS, Column, Row, columns_of, value_of
from gitparams.params import flatten
from gitparams.values import same

DOCUMENT = '{"id":"k","status":"completed","started":"2026-11-23T10:00:00+01:00"}'


def row(params, metrics=None):
    return Row("k" * 16, "Ada <ada@example.com>", DOCUMENT, flat_document(params), flat_document(metrics or {}))


def column(*values):
    """The column of a param that has these values; `...` where a run has none."""
    return columns_of([row({} if value is ... else {"x": value}) for value in values])["params.x"]


KINDS = [
    pytest.param((1, 2), Column("int", [1, 2]), id="int"),
    pytest.param((1, ..., None), Column("int", [1, None, None]), id="int with gaps"),
    pytest.param((1, 0.5), Column("float", [1.0, 0.5]), id="int and float"),
    pytest.param((1.5, math.inf), Column("float", [1.5, math.inf]), id="infinity"),
    pytest.param((True, False, None), Column("bool", [True, False, None]), id="bool"),
    pytest.param(("", "sgd", ...), Column("text", ["", "sgd", None]), id="text"),
    pytest.param(("n", "x", "b1", "m"), Column("text", ["n", "x", "b1", "m"]), id="text like a mark"),
    pytest.param((None, ...), Column("null", [None, None]), id="null"),
    pytest.param(([1, 2], [], None), Column("list", [[1, 2], [], None], "int"), id="list of ints"),
    pytest.param(([1, 0.5],), Column("list", [[1, 0.5]], "float"), id="list of numbers"),
    pytest.param((["a"], ["b"]), Column("list", [["a"], ["b"]], "text"), id="list of texts"),
    pytest.param(([[1], [2]],), Column("mixed", [[[1], [2]]]), id="list of lists"),
    pytest.param(([1, None],), Column("mixed", [[1, None]]), id="list with null"),
    pytest.param(([2**70],), Column("mixed", [[2**70]]), id="list of big ints"),
    pytest.param((1, True), Column("mixed", [1, True]), id="int and bool"),
    pytest.param((1, "1"), Column("mixed", [1, "1"]), id="int and text"),
    pytest.param((1, [1]), Column("mixed", [1, [1]]), id="int and list"),
    pytest.param(("a", True, None), Column("mixed", ["a", True, None]), id="text and bool"),
    pytest.param(({}, ...), Column("mixed", [{}, None]), id="empty mapping"),
    pytest.param((2**63, 1), Column("mixed", [2**63, 1]), id="beyond 64 bits"),
    pytest.param((-(2**63), 2**63 - 1), Column("int", [-(2**63), 2**63 - 1]), id="just within 64 bits"),
    pytest.param((10**400, 0.5), Column("mixed", [10**400, 0.5]), id="beyond every float"),
]


@pytest.mark.parametrize(("values", "expected"), KINDS)
def test_a_column_is_what_its_values_are(values, expected):
    assert column(*values) == expected


def test_nan_is_a_number_and_no_gap():
    assert str(column(1, math.nan, ...)) == str(Column("float", [1.0, math.nan, None]))
    assert str(column(math.nan, None)) == str(Column("float", [math.nan, None]))


def test_a_column_is_named_as_its_key_is_written():
    columns = columns_of([row({"optim": {"lr": 1}, "a.b": {"c d": 2}, "": 3}, {"val/acc": 1, "top.1": 2})])
    assert [name for name in columns if name not in FIELDS] == [
        "params.optim.lr",
        'params[""]',
        'params["a.b"]["c d"]',
        "metrics.val/acc",
        'metrics["top.1"]',
    ]


def test_the_fields_come_first_and_are_there_without_a_run():
    assert list(columns_of([])) == list(FIELDS)
    assert list(columns_of([row({"lr": 1}, {"acc": 1})])) == [*FIELDS, "params.lr", "metrics.acc"]


def test_runs_of_any_shape_keep_their_values_in_their_rows():
    rows = [row({"a": 0}), row({"b": 1}), row({"a": 2, "b": 2})] * 1000
    columns = columns_of(rows)
    assert columns["params.a"] == Column("int", [0, None, 2] * 1000)
    assert columns["params.b"] == Column("int", [None, 1, 2] * 1000)


def test_a_key_that_only_the_last_run_has_has_gaps_before_and_one_that_only_the_first_has_after():
    columns = columns_of([row({"first": 1}), *[row({})] * 3000, row({"last": "x"})])
    assert columns["params.first"] == Column("int", [1, *[None] * 3001])
    assert columns["params.last"] == Column("text", [*[None] * 3001, "x"])


KEYS = st.text(max_size=5)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=3)


@given(st.dictionaries(KEYS, LEAVES | st.dictionaries(KEYS, LEAVES, max_size=3), max_size=5))
def test_every_value_is_read_back_from_a_flat_document(params):
    flat = decode_flat(flat_document(params))
    read = {keys_of(key): value_of(value) for key, value in _raw(flat_document(params)).items()}
    assert same({flat_key(keys): value for keys, value in read.items()}, flat)


def _raw(text):
    import json

    return json.loads(text)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), LEAVES, max_size=3), min_size=1, max_size=6))
def test_any_runs_make_a_frame_of_each_library(params):
    names = sorted({f"params.{name}" for one in params for name in flatten(one)})
    size = (len(params), len(FIELDS) + len(names))
    assert from_pandas(params).shape == from_polars(params).shape == from_arrow(params).shape == size


def from_pandas(params):
    from gitparams.frames import to_pandas

    return to_pandas(columns_of(map(row, params)))


def from_polars(params):
    from gitparams.frames import to_polars

    return to_polars(columns_of(map(row, params)))


def from_arrow(params):
    from gitparams.frames import to_arrow

    return to_arrow(columns_of(map(row, params)))


# -- in each library ------------------------------------------------------------------------------------------------------

SEVERAL = [
    {"depth": 3, "lr": 0.1, "amp": True, "name": "sgd", "sizes": [64, 64], "any": 1, "warmup": 500, "drop": 0.5, "none": None},
    {"depth": 4, "lr": 1, "amp": False, "name": "née", "sizes": [32], "any": "auto", "drop": math.nan, "none": None},
    {"depth": 5, "lr": 0.3, "amp": True, "name": "adam", "sizes": [], "any": [1], "none": None},
]
NAMES = ["depth", "lr", "amp", "name", "sizes", "any", "warmup", "drop", "none"]


def test_pandas_has_the_types_of_the_values_and_nan_apart_from_gaps():
    frame = from_pandas(SEVERAL)[[f"params.{name}" for name in NAMES]]
    assert list(map(str, frame.dtypes)) == [
        "int64", "float64", "bool", "string", "object", "object", "Int64", "Float64", "object",
    ]  # fmt: skip
    assert frame["params.any"].tolist() == [1, "auto", [1]]
    assert frame["params.warmup"].tolist() == [500, pandas.NA, pandas.NA]
    assert frame["params.drop"].isna().tolist() == [False, False, True]
    assert math.isnan(frame["params.drop"].to_numpy(dtype=object)[1])


def test_polars_has_the_types_of_the_values_and_nan_apart_from_nulls():
    frame = from_polars(SEVERAL).select([f"params.{name}" for name in NAMES])
    assert frame.dtypes == [
        polars.Int64, polars.Float64, polars.Boolean, polars.String, polars.List(polars.Int64), polars.String,
        polars.Int64, polars.Float64, polars.Null,
    ]  # fmt: skip
    assert frame["params.any"].to_list() == ["1", '"auto"', "[1]"]
    assert str(frame["params.drop"].to_list()) == "[0.5, nan, None]"


def test_arrow_has_the_types_of_the_values_and_nan_apart_from_nulls():
    table = from_arrow(SEVERAL).select([f"params.{name}" for name in NAMES])
    assert list(map(str, table.schema.types)) == [
        "int64", "double", "bool", "string", "list<item: int64>", "string", "int64", "double", "null",
    ]  # fmt: skip
    assert table["params.sizes"].to_pylist() == [[64, 64], [32], []]
    assert str(table["params.drop"].to_pylist()) == "[0.5, nan, None]"


@pytest.mark.parametrize("frame", [from_pandas, from_polars, from_arrow])
def test_a_text_that_is_not_unicode_is_shown_by_its_escape(frame):
    found = frame([{"x": "a\ud800", "y": ["\ud800"]}, {"x": "é", "y": ["b"]}])
    assert list(map(str, found["params.x"])) == ["a\\ud800", "é"]


def test_times_are_those_of_the_runs_in_utc(repo):
    begun = datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    gitparams.record({"lr": 1}, started=begun)
    utc = begun.astimezone(UTC)
    frame = gitparams.runs().to_pandas()
    assert str(frame["started"].dtype) == "datetime64[us, UTC]" and frame["started"][0] == utc
    assert gitparams.runs().to_polars()["started"].to_list() == [utc]
    assert gitparams.runs().to_arrow()["started"].to_pylist() == [utc]
    assert gitparams.runs().to_arrow()["started"].type == pyarrow.timestamp("us", "UTC")


def test_the_fields_of_a_frame_are_those_of_the_runs(repo):
    run = gitparams.record({"lr": 1}, {"acc": 0.5}, name="base", tags=["b", "a"], note="why", command=["python", "a b.py"])
    (fields,) = gitparams.runs().to_polars().drop("params.lr", "metrics.acc").to_dicts()
    assert fields == {
        "id": run.id,
        "name": "base",
        "experiment": "default",
        "status": "completed",
        "started": run.started,
        "finished": run.finished,
        "duration": run.duration,
        "exit_code": None,
        "commit": run.code.commit,
        "branch": "main",
        "dirty": False,
        "author": "Ada <ada@example.com>",
        "host": run.host,
        "user": run.user,
        "python": run.python,
        "command": "python 'a b.py'",
        "cwd": ".",
        "tags": ["a", "b"],
        "note": "why",
        "parent": None,
    }


def test_no_runs_make_an_empty_frame_with_the_fields(repo):
    assert gitparams.runs().to_pandas().shape == (0, len(FIELDS))
    assert gitparams.runs().to_polars().shape == (0, len(FIELDS))
    assert gitparams.runs().to_arrow().shape == (0, len(FIELDS))


@pytest.mark.parametrize(
    ("library", "extra", "method"),
    [("pandas", "pandas", "to_pandas"), ("polars", "polars", "to_polars"), ("pyarrow", "arrow", "to_arrow")],
)
def test_without_the_library_one_sentence_says_how_to_get_it(repo, tmp_path, library, extra, method):
    gitparams.record({"lr": 1})
    program = (
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {library!r}: raise ModuleNotFoundError(f'No module named {{name}}', name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
        "import gitparams\n"
        f"try: gitparams.runs().{method}()\n"
        "except gitparams.GitParamsError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{library} is not installed: pip install 'gitparams[{extra}]'\n"
