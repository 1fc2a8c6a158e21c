"""Frames: many runs as the columns of a table, each of one type, for pandas, polars and Arrow.

The columns are the fields of the runs (``id``, ``started`` …), then ``params.`` and ``metrics.`` with the written path.
What a column is made of decides its type:

| values | kind | pandas | polars | Arrow |
|---|---|---|---|---|
| whole numbers within 64 bits | ``int`` | int64, with gaps Int64 | Int64 | int64 |
| numbers | ``float`` | float64, with gaps Float64 | Float64 | double |
| True and False | ``bool`` | bool, with gaps boolean | Boolean | bool |
| text | ``text`` | string | String | string |
| moments | ``time`` | datetime64[us, UTC] | Datetime[us, UTC] | timestamp[us, UTC] |
| lists of one of these | ``list`` | object | List | list |
| nothing but None | ``null`` | object | Null | null |
| anything else, several types | ``mixed`` | object | String, as JSON | string, as JSON |

A key that a run does not have and one that is None are gaps (NA, null); NaN is a number and no gap.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from gitparams.errors import UsageError
from gitparams.flat import flat_key, keys_of, no_collecting
from gitparams.model import RunId
from gitparams.params import MISSING, path_keys, path_text
from gitparams.values import decode_json, encode_json

# What turns columns into a frame is an extra, and imported when one is asked for.
if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Kind = Literal["int", "float", "bool", "text", "time", "list", "null", "mixed"]

_BATCH = 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT64 = 2**63


class Row(NamedTuple):
    """A run as the index keeps it.

    Attributes:
        id: the run.
        author: ``Name <email>``.
        document: the text of its run.json.
        params, metrics: their flat documents.
    """

    id: RunId
    author: str
    document: str
    params: str
    metrics: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a value a run, None for a gap.

    Attributes:
        kind: what the values are.
        values: Python values; of the kind ``time`` microseconds since 1970, and NaN only where a number is NaN.
        items: of lists, what their items are; None of anything else.
    """

    kind: Kind
    values: list[Any]
    items: Kind | None = None


# -- columns --------------------------------------------------------------------------------------------------------------


def columns_of(rows: Iterable[Row]) -> dict[str, Column]:
    """Return the columns of some runs: the fields, then the params and the metrics, each sorted by its path.

    >>> rows = [Row(RunId("k" * 16), "Ada", '{"started": "2026-11-23T10:00:00+01:00"}', '{"optim.lr":0.1,"amp":"b1"}', "{}")]
    >>> columns = columns_of(rows)
    >>> columns["params.optim.lr"], columns["params.amp"]
    (Column(kind='float', values=[0.1], items=None), Column(kind='bool', values=[True], items=None))
    """
    fields, params, metrics = _Cells(), _Cells(), _Cells()
    with no_collecting():
        for batch in _batches(rows):
            fields.add(_fields(batch), len(batch))
            params.add(_transposed(_decoded(row.params for row in batch)), len(batch))
            metrics.add(_transposed(_decoded(row.metrics for row in batch)), len(batch))
    columns = {name: Column(kind, fields.taken(name), _FIELD_ITEMS.get(name)) for name, kind in FIELDS.items()}
    for document, cells in (("params", params), ("metrics", metrics)):
        for name, key in sorted((path_text((document, *keys_of(key))), key) for key in cells.keys):
            columns[name] = _typed(cells.taken(key))
    return columns


def values_by(rows: Iterable[Row], key: str) -> Iterator[tuple[RunId, Any]]:
    """Yield the id of each run with its value of a param, metric or field, `MISSING` where it has none."""
    for batch in _batches(rows):
        yield from zip((row.id for row in batch), _values(batch, key), strict=True)


def _values(batch: Sequence[Row], key: str) -> Iterable[Any]:
    if key in FIELDS:
        values = _fields(batch)[key]
        return values if FIELDS[key] != "time" else [None if value is None else _moment(value) for value in values]
    if key in _FLAGS:
        return [bool(document.get(key)) for document in _decoded(row.document for row in batch)]
    first, *rest = path_keys(key)
    if rest and first in ("params", "metrics"):
        documents, flat = _decoded(getattr(row, first) for row in batch), flat_key(rest)
    else:
        both = zip(_decoded(row.params for row in batch), _decoded(row.metrics for row in batch), strict=True)
        documents, flat = [{**metrics, **params} for params, metrics in both], flat_key((first, *rest))
    return (value_of(document.get(flat, MISSING)) for document in documents)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    waiting = iter(rows)
    while batch := list(islice(waiting, _BATCH)):
        yield batch


def _decoded(texts: Iterable[str]) -> list[dict[str, Any]]:
    """Return what several texts of JSON hold; all at once, so that equal keys are one object."""
    documents: list[dict[str, Any]] = json.loads(f"[{','.join(texts)}]")
    return documents


def _transposed(documents: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[Any]]:
    """Return the values of mappings by key, None where a mapping has none.

    Most runs have the same keys; those are turned over without a look at a single value.

    >>> _transposed([{"lr": 0.1, "depth": 3}, {"lr": 0.2}])
    {'lr': [0.1, 0.2], 'depth': [3, None]}
    """
    alike: dict[tuple[str, ...], list[int]] = {}
    for place, document in enumerate(documents):
        alike.setdefault(tuple(document), []).append(place)
    if len(alike) == 1:
        keys = next(iter(alike))
        return dict(zip(keys, zip(*(document.values() for document in documents), strict=True), strict=True))
    columns: dict[str, Sequence[Any]] = {}
    for keys, places in alike.items():
        values = zip(*(documents[place].values() for place in places), strict=True)
        for key, column in zip(keys, values, strict=True):
            whole = columns.setdefault(key, [None] * len(documents))
            assert isinstance(whole, list)
            for place, value in zip(places, column, strict=True):
                whole[place] = value
    return columns


class _Cells:
    """Columns that grow by batches of rows; a column that a batch lacks has gaps there."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {}
        self._size = 0
        self._known: dict[str, str] = {}

    @property
    def keys(self) -> list[str]:
        """The names of the columns."""
        return list(self._columns)

    def add(self, columns: Mapping[str, Sequence[Any]], size: int) -> None:
        """Take a batch of so many rows. Of texts that are equal one is kept: many runs are mostly the same few texts."""
        for key, values in columns.items():
            shared = map(self._known.setdefault, values, values) if set(map(type, values)) == {str} else values
            self._padded(key).extend(shared)
        self._size += size

    def taken(self, key: str) -> list[Any]:
        """Return a column and forget it."""
        self._padded(key)
        return self._columns.pop(key)

    def _padded(self, key: str) -> list[Any]:
        column = self._columns.setdefault(key, [])
        column.extend([None] * (self._size - len(column)))
        return column


# -- types of columns -----------------------------------------------------------------------------------------------------


def value_of(flat: Any) -> Any:
    """Return the value of a flat document's value, None for a gap.

    >>> value_of("sadam"), value_of("b1"), value_of(3), value_of("l[1,2]")
    ('adam', True, 3, [1, 2])
    """
    if type(flat) is not str:
        return flat
    if flat[0] == "s":
        return flat[1:]
    return decode_json(flat[1:]) if flat[0] == "l" else {} if flat == "m" else _CONSTANTS[flat]


_CONSTANTS = {"b1": True, "b0": False, "n": None, "x": math.nan}


def _typed(values: list[Any]) -> Column:
    """Return the column that flat values make."""
    kinds = set(map(type, values)) - {type(None)}
    texts = {value for value in values if type(value) is str} if str in kinds else set()
    numbers, marks = kinds - {str}, {text[0] for text in texts} - {"n"}
    if marks <= {"x"} and (numbers or marks):
        return _numbers(values, kinds)
    known = {text: value_of(text) for text in texts}
    decoded = [known[value] if type(value) is str else value for value in values] if numbers else list(map(known.get, values))
    if numbers or len(marks) > 1 or "m" in marks:
        return Column("mixed", decoded)
    if marks == {"l"}:
        items = _items(known.values())
        return Column("list" if items else "mixed", decoded, items)
    return Column("bool" if marks == {"b"} else "text" if marks else "null", decoded)


def _numbers(values: list[Any], kinds: set[type]) -> Column:
    plain = [_CONSTANTS[value] if type(value) is str else value for value in values] if str in kinds else values
    there = [value for value in plain if value is not None] if None in plain else plain
    if float not in set(map(type, there)):
        return Column("int" if min(there) >= -_INT64 and max(there) < _INT64 else "mixed", plain)
    try:
        return Column("float", [None if value is None else float(value) for value in plain] if int in kinds else plain)
    except OverflowError:
        return Column("mixed", plain)


def _items(lists: Iterable[Any]) -> Kind | None:
    """Return what the items of all lists are, None when a column of lists cannot have them."""
    items = list(chain.from_iterable(one for one in lists if one))
    kinds = set(map(type, items))
    if kinds <= {int, float} and any(type(item) is int and abs(item) >= _INT64 for item in items):
        return None
    return next((kind for kind, types in _ITEMS.items() if kinds <= types), None)


_ITEMS: dict[Kind, set[type]] = {"int": {int}, "float": {int, float}, "bool": {bool}, "text": {str}}


# -- fields ---------------------------------------------------------------------------------------------------------------

FIELDS: Mapping[str, Kind] = {
    **dict.fromkeys(("id", "name", "experiment", "status"), "text"),
    **dict.fromkeys(("started", "finished"), "time"),
    "duration": "float",
    "exit_code": "int",
    **dict.fromkeys(("commit", "branch"), "text"),
    "dirty": "bool",
    **dict.fromkeys(("author", "host", "user", "python", "command", "cwd"), "text"),
    "tags": "list",
    **dict.fromkeys(("note", "parent"), "text"),
}
"""The columns that every run has, and what they are; ``duration`` is in seconds."""
_FIELD_ITEMS: Mapping[str, Kind] = {"tags": "text"}


def _fields(batch: Sequence[Row]) -> dict[str, Sequence[Any]]:
    documents = _decoded(row.document for row in batch)
    said, code = _transposed(documents), _transposed([document.get("git") or {} for document in documents])
    absent = [None] * len(batch)
    begun = [_microseconds(text) for text in said["started"]]
    ended = [None if text is None else _microseconds(text) for text in said.get("finished", absent)]
    return {
        **{name: said.get(name, absent) for name in ("name", "status", "exit_code", "parent")},
        **{name: _or(said.get(name, absent), missing) for name, missing in _DEFAULTS.items()},
        **{name: code.get(name, absent) for name in ("commit", "branch")},
        "id": [row.id for row in batch],
        "author": [row.author for row in batch],
        "started": begun,
        "finished": ended,
        "duration": [None if end is None else (end - start) / 10**6 for start, end in zip(begun, ended, strict=True)],
        "dirty": _or(code.get("dirty", absent), False),
        "command": [_command(tuple(words or ())) for words in said.get("command", absent)],
        "tags": [sorted(map(str, tags or ())) for tags in said.get("tags", absent)],
    }


_FLAGS = ("group", "deleted", "disputed", "drift", "unread", "redacted")
_DEFAULTS = {"experiment": "default", "host": "", "user": "", "python": "", "cwd": ".", "note": ""}


@lru_cache(maxsize=1024)
def _command(words: tuple[Any, ...]) -> str:
    return shlex.join(map(str, words))


def _or(values: Sequence[Any], missing: Any) -> list[Any]:
    return [value or missing for value in values]


def _microseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


# -- frames ---------------------------------------------------------------------------------------------------------------


def to_pandas(columns: dict[str, Column]) -> pandas.DataFrame:
    """Return a pandas frame; the columns are used up. Raises `UsageError` when pandas is not installed."""
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise _missing("pandas", "pandas", error) from None

    return pandas.DataFrame({_utf8(name): _pandas_array(columns.pop(name)) for name in list(columns)})


def _pandas_array(column: Column) -> Any:
    import numpy
    import pandas

    kind, values = column.kind, column.values
    if kind == "text":
        return pandas.array(_texts(values), dtype="string")
    if kind == "time":
        moments = numpy.array([None if value is None else value for value in values], dtype="datetime64[us]")
        return pandas.DatetimeIndex(moments, tz="UTC")
    if kind not in _MASKED:
        return pandas.Series(values, dtype=object)
    dtype, array = _MASKED[kind]
    if None not in values:
        return numpy.array(values, dtype=dtype)
    # Made from its two halves: any other way takes NaN for a gap.
    gaps = numpy.fromiter((value is None for value in values), dtype=bool, count=len(values))
    return getattr(pandas.arrays, array)(numpy.array([value or 0 for value in values], dtype=dtype), gaps)


_MASKED = {"int": ("int64", "IntegerArray"), "float": ("float64", "FloatingArray"), "bool": ("bool", "BooleanArray")}


def to_polars(columns: dict[str, Column]) -> polars.DataFrame:
    """Return a polars frame; the columns are used up. Raises `UsageError` when polars is not installed."""
    try:
        import polars
    except ModuleNotFoundError as error:
        raise _missing("polars", "polars", error) from None

    return polars.DataFrame([_polars_series(_utf8(name), columns.pop(name)) for name in list(columns)])


def _polars_series(name: str, column: Column) -> polars.Series:
    import polars

    types = {"int": polars.Int64, "float": polars.Float64, "bool": polars.Boolean, "null": polars.Null}
    if column.kind == "time":
        return polars.Series(name, column.values, dtype=polars.Int64).cast(polars.Datetime("us", "UTC"))
    if column.items:
        return polars.Series(name, _exact(column), dtype=polars.List(types.get(column.items, polars.String)))
    return polars.Series(name, _exact(column), dtype=types.get(column.kind, polars.String))


def to_arrow(columns: dict[str, Column]) -> pyarrow.Table:
    """Return an Arrow table; the columns are used up. Raises `UsageError` when pyarrow is not installed."""
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise _missing("pyarrow", "arrow", error) from None

    return pyarrow.table({_utf8(name): _arrow_array(columns.pop(name)) for name in list(columns)})


def _arrow_array(column: Column) -> pyarrow.Array:
    import pyarrow

    types = {"int": pyarrow.int64(), "float": pyarrow.float64(), "bool": pyarrow.bool_(), "null": pyarrow.null()}
    if column.kind == "time":
        return pyarrow.array(column.values, pyarrow.timestamp("us", "UTC"))
    if column.items:
        return pyarrow.array(_exact(column), pyarrow.list_(types.get(column.items, pyarrow.string())))
    return pyarrow.array(_exact(column), types.get(column.kind, pyarrow.string()))


def _missing(library: str, extra: str, error: ModuleNotFoundError) -> Exception:
    if error.name != library:
        return error
    return UsageError(f"{library} is not installed: pip install 'gitparams[{extra}]'")


def _exact(column: Column) -> list[Any]:
    """Return the values of a column such that all are of the one type that it has."""
    if column.kind == "text":
        return _texts(column.values)
    if column.kind == "mixed":
        return _texts([None if value is None else encode_json(value, indent=None).decode("utf-8") for value in column.values])
    if column.items == "float":
        return [None if items is None else list(map(float, items)) for items in column.values]
    if column.items == "text":
        return [None if items is None else _texts(items) for items in column.values]
    return column.values


def _texts(texts: list[Any]) -> list[str | None]:
    """Return texts with each lone surrogate as its escape: no frame takes one."""
    odd = {text: _utf8(text) for text in set(texts) if text is not None and not text.isascii()}
    return [odd.get(text, text) for text in texts] if any(text != said for text, said in odd.items()) else texts


def _utf8(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
