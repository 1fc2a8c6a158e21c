"""Query: the expressions by which people choose runs, compiled to SQL and, for comparison, evaluated in plain Python.

The syntax is that of Python's expressions, and nothing is ever executed. A key is ``params.optim.lr``, ``metrics.acc``,
``params["lr-decay"]``, or bare, ``optim.lr``, when only params or only metrics have it. A field always wins over a bare key:

===============================================================  ======  =================================================
field                                                            type    remarks
===============================================================  ======  =================================================
``id`` ``parent`` ``commit``                                     text    equal to any beginning of four letters or more
``name`` ``branch``                                              text    null where there is none, as ``parent``, ``commit``
``status`` ``experiment`` ``author`` ``host`` ``user`` ``note``  text    empty where nothing is known
``python`` ``cwd``                                               text
``started`` ``finished``                                         date    compared with ``"2 days ago"`` or ISO 8601; a number
                                                                         means UTC seconds; ``finished`` is null before
``duration``                                                     number  seconds, null before the end
``exit_code``                                                    number  null when unknown
``tags`` ``command``                                             list    ``"resnet" in tags``, or ``tag("resnet")``
``dirty`` ``group`` ``deleted``                                  bool
``disputed`` ``drift`` ``unread`` ``redacted``                   bool    whether any param is
===============================================================  ======  =================================================

Values keep their types: ``== True`` is met by booleans only, ``== 1`` by numbers only (1 and 1.0), ``== "1"`` by text only;
order compares numbers with numbers and text with text. Logic is two-valued: every comparison with a missing value is false,
``is not None`` and ``not in`` too, and ``not`` negates that. ``is None`` means null, ``exists(x)`` that it is there, and a
field exists where it is not null. NaN is that of IEEE 754: only ``!=`` and ``isnan(x)`` hold for it. ``+ - * /`` (true
division), ``abs`` and ``log10`` take numbers; of anything else, and where mathematics knows no result, the result is missing.
A value alone is a condition as in Python: false when missing, null, zero or empty. A list equals a list of the same values
and types. ``glob(x, "res*")`` knows ``*``, ``?`` and ``[a-z]``, and in a list looks for any. ``changed(x)`` asks whether a
param, or one below it, differs from the run before.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from keyword import kwlist
from typing import Any, NamedTuple, NoReturn, Protocol

from gitparams.errors import GitParamsError, ParamsError, UsageError
from gitparams.flat import flat_key
from gitparams.index import Function, Order, iso_date, paths_meant
from gitparams.model import Run, Status
from gitparams.params import MISSING, flatten, get, path_keys, path_text
from gitparams.values import decode_json, encode_json

LONGEST = 100_000
_DEEPEST = 100
# SQLite's parser has room for 100 open symbols, and its trees for 1000 levels
_DEEPEST_SQL = 20
_WIDEST_SQL = 400
_MOST_OPERANDS = 90
_NOTICED = 1000
_PASTED = 200


class QueryError(UsageError):
    """An expression, or a key to sort by, that cannot be understood; the message has a caret under the place.

    Attributes:
        problem: what is wrong.
        text: the expression.
        column: where, from 1.
    """

    def __init__(self, problem: str, text: str, column: int, hint: str | None = None) -> None:
        super().__init__(f"column {column}: {problem}\n{_pointed(text, column)}", hint)
        self.problem, self.text, self.column = problem, text, column


class Known(Protocol):
    """What a query asks about the runs before it is compiled; `Index` is one."""

    def key_sql(self, document: str, keys: tuple[str, ...]) -> str:
        """Return the SQL of one key of ``params`` or ``metrics``, fast to ask for."""

    def has_key(self, document: str, keys: tuple[str, ...]) -> bool:
        """Tell whether any run has a value there."""

    def key_names(self, document: str) -> list[str]:
        """Return the written paths of all runs."""

    def changed_sql(self, path: str) -> str:
        """Return SQL that holds where a param, those below it or those a glob means differ from the run before."""

    def count_up_to(self, condition: str, most: int) -> int:
        """Return how many runs meet a condition, without counting beyond `most`."""

    def date(self, text: str) -> float:
        """Return the UTC seconds of a date in ISO 8601 or in git's words. Raises `UsageError` when it is none."""


@dataclass(frozen=True, slots=True)
class Query:
    """A compiled expression.

    Attributes:
        sql: a condition over ``runs AS r``, to be used in parentheses; NULL means no.
        values: what is bound to its question marks.
        notes: what a person should know: values that were never compared.
        keyed: whether an index of a key narrows the runs down.
        functions: the functions that the connection must know.
    """

    sql: str
    values: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    keyed: bool = False
    functions: tuple[Function, ...] = ()


def compile_query(text: str, known: Known) -> Query:
    """Return the SQL of an expression.

    Args:
        text: the expression.
        known: the runs it will be asked about.

    Raises:
        QueryError: it is no expression, names a key that no run has, or wants what this language lacks.
    """
    reader = _Reader(text, _KnownKeys(known), known.date)
    tree = reader.read()
    compiler = _Compiler(text, known)
    sql = compiler.condition(tree)
    functions = FUNCTIONS if any(name in sql.text for name, _, _ in FUNCTIONS) else ()
    return Query(sql.text, sql.values, tuple({**reader.notes, **compiler.notes}), _narrows(tree), functions)


def all_of(queries: Sequence[Query]) -> Query:
    """Return what holds where all of some queries hold; none of them holds everywhere.

    >>> all_of([Query("r.name = ?", ("a",)), Query("r.hidden = ?", (0,))]).sql
    '(r.name = ?) AND (r.hidden = ?)'
    """
    return Query(
        " AND ".join(f"({query.sql})" for query in queries) or "1",
        tuple(value for query in queries for value in query.values),
        tuple(dict.fromkeys(note for query in queries for note in query.notes)),
        any(query.keyed for query in queries),
        tuple(dict.fromkeys(function for query in queries for function in query.functions)),
    )


def compile_order(words: Sequence[str], known: Known) -> tuple[Order, ...]:
    """Return by what runs are sorted: keys and fields, each descending after a ``-``.

    Numbers come first, then the rest, and runs without the value last, in both directions.

    Raises:
        QueryError: a word is no key that a run has, nor a field.
    """
    return tuple(_order(word, known) for word in words)


def evaluate(text: str, run: Run, *, before: Run | None = None, date: Callable[[str], float] | None = None) -> bool:
    """Tell whether one run meets an expression, without an index.

    Args:
        text: the expression; a key that the run does not have is missing, not an error.
        run: the run.
        before: the run that ``changed`` compares with.
        date: reads the dates; ISO 8601 alone when None.

    Raises:
        QueryError: it is no expression of this language.

    >>> from gitparams.model import new_run_id, now
    >>> from gitparams.params import nested
    >>> run = Run(new_run_id(), Status.COMPLETED, now(), params=nested({"optim": {"lr": 0.1}}), metrics={"acc": 0.9})
    >>> evaluate('optim.lr < 0.5 and acc >= 0.9 and status == "completed"', run)
    True
    """
    return read(text, OfRun(run, before), date).holds()


def read(text: str, subject: Subject, date: Callable[[str], float] | None = None) -> Expression:
    """Return an expression about a subject; a key that it does not have is missing, not an error.

    Args:
        text: the expression.
        subject: what it is asked of.
        date: reads the dates; ISO 8601 alone when None.

    Raises:
        QueryError: it is no expression of this language, or a bare key is both a param and a metric of the subject.
    """
    return Expression(text, subject, _Reader(text, _KeysOf(subject), date or iso_date).read())


# -- what an expression says ----------------------------------------------------------------------------------------------


class _Literal(NamedTuple):
    value: Any


class Leaf(NamedTuple):
    """A key of ``params`` or ``metrics``; the name of a metric is one key, dots and all."""

    document: str
    keys: tuple[str, ...]

    def __str__(self) -> str:
        return self.document + "".join(f".{key}" if key.isidentifier() else f"[{_quoted(key)}]" for key in self.keys)


def _quoted(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Field(NamedTuple):
    """A field of a run."""

    name: str

    def __str__(self) -> str:
        return self.name


class _Sum(NamedTuple):
    operator: str
    operands: tuple[_Operand, ...]


_Operand = _Literal | Leaf | Field | _Sum


class _Comparison(NamedTuple):
    operator: str
    left: _Operand
    right: _Operand


class _Among(NamedTuple):
    item: _Operand
    choices: tuple[Any, ...]
    negated: bool


class _Contains(NamedTuple):
    needle: _Operand
    container: _Operand
    negated: bool


class _Begins(NamedTuple):
    """An id or a commit, by its first letters."""

    item: Field
    start: str
    negated: bool


class _Exists(NamedTuple):
    item: Leaf | Field


class _IsNan(NamedTuple):
    item: _Operand


class _Changed(NamedTuple):
    path: str


class _Glob(NamedTuple):
    item: _Operand
    pattern: str


class _Truth(NamedTuple):
    item: _Operand


class _Not(NamedTuple):
    condition: _Condition


class _Junction(NamedTuple):
    operator: str
    parts: tuple[_Condition, ...]


_Condition = _Comparison | _Among | _Contains | _Begins | _Exists | _IsNan | _Changed | _Glob | _Truth | _Not | _Junction
Named = Leaf | Field
_FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPPOSITE = {"AND": "OR", "OR": "AND"}


class _FieldKind(NamedTuple):
    """A field: its type, its typed value in SQL, its value of a run."""

    kind: str
    sql: str
    value: Callable[[Run], Any]


def _told(path: str) -> str:
    return f"json_extract(r.document, '$.{path}')"


def _nullable(sql: str) -> str:
    return f"ifnull({sql}, 'n')"


def _any(path: str) -> str:
    return f"CASE WHEN ifnull({_told(path)}, '[]') IN ('[]', '{{}}') THEN 'b0' ELSE 'b1' END"


def _flag(path: str) -> str:
    return f"CASE WHEN {_told(path)} THEN 'b1' ELSE 'b0' END"


def _words(path: str) -> str:
    return f"'l' || ifnull({_told(path)}, '[]')"


def _known_text(path: str) -> str:
    return f"'s' || ifnull({_told(path)}, '')"


FIELDS: Mapping[str, _FieldKind] = {
    "id": _FieldKind("text", "'s' || r.id", lambda run: run.id),
    "name": _FieldKind("text", _nullable("'s' || r.name"), lambda run: run.name),
    "status": _FieldKind("text", "'s' || r.status", lambda run: str(run.status)),
    "experiment": _FieldKind("text", "'s' || r.experiment", lambda run: run.experiment),
    "started": _FieldKind("date", "r.started", lambda run: run.started.timestamp()),
    "finished": _FieldKind(
        "date",
        _nullable(f"gitparams_seconds({_told('finished')})"),
        lambda run: run.finished.timestamp() if run.finished else None,
    ),
    "duration": _FieldKind(
        "number", _nullable(f"gitparams_between({_told('started')}, {_told('finished')})"), lambda run: run.duration
    ),
    "commit": _FieldKind("text", _nullable("'s' || r.commit_id"), lambda run: run.code.commit),
    "branch": _FieldKind("text", _nullable(f"'s' || {_told('git.branch')}"), lambda run: run.code.branch),
    "author": _FieldKind("text", "'s' || r.author", lambda run: run.author),
    "host": _FieldKind("text", _known_text("host"), lambda run: run.host),
    "user": _FieldKind("text", _known_text("user"), lambda run: run.user),
    "python": _FieldKind("text", _known_text("python"), lambda run: run.python),
    "cwd": _FieldKind("text", f"'s' || ifnull({_told('cwd')}, '.')", lambda run: run.cwd),
    "command": _FieldKind("list", _words("command"), lambda run: list(run.command)),
    "tags": _FieldKind("list", _words("tags"), lambda run: list(run.tags)),
    "note": _FieldKind("text", _known_text("note"), lambda run: run.note),
    "parent": _FieldKind("text", _nullable("'s' || r.parent"), lambda run: run.parent),
    "exit_code": _FieldKind("number", _nullable(_told("exit_code")), lambda run: run.exit_code),
    "dirty": _FieldKind("bool", _flag("git.dirty"), lambda run: run.code.dirty),
    "group": _FieldKind("bool", _flag("group"), lambda run: run.group),
    "deleted": _FieldKind("bool", _flag("deleted"), lambda run: run.deleted),
    "disputed": _FieldKind("bool", _any("disputed"), lambda run: bool(run.disputed)),
    "drift": _FieldKind("bool", _any("drift"), lambda run: bool(run.drift)),
    "unread": _FieldKind("bool", _any("unread"), lambda run: bool(run.unread)),
    "redacted": _FieldKind("bool", _any("redacted"), lambda run: bool(run.redacted)),
}
_ABBREVIATED = frozenset({"id", "parent", "commit"})
_SHORTEST = 4


# -- from text to that ----------------------------------------------------------------------------------------------------


class _Keys(Protocol):
    """Whose keys an expression names."""

    def has(self, leaf: Leaf) -> bool:
        """Tell whether the key is there."""

    def names(self) -> dict[str, list[str]]:
        """Return the written paths by document; none when any key may be asked for."""


class _KnownKeys(NamedTuple):
    known: Known

    def has(self, leaf: Leaf) -> bool:
        return self.known.has_key(leaf.document, leaf.keys)

    def names(self) -> dict[str, list[str]]:
        return {document: self.known.key_names(document) for document in ("params", "metrics")}


class _KeysOf(NamedTuple):
    """The keys of one subject: where one is not, it is missing, and no error."""

    subject: Subject

    def has(self, leaf: Leaf) -> bool:
        return True

    def names(self) -> dict[str, list[str]]:
        return {}


_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_CALCULATED: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_LACKING: dict[type[ast.AST], tuple[str, str | None]] = {
    ast.Mod: ("there is no %: arithmetic is + - * /.", None),
    ast.Pow: ("there is no **: arithmetic is + - * /.", "params.x * params.x"),
    ast.FloorDiv: ("there is no //: arithmetic is + - * /.", None),
    ast.BitAnd: ("& is no operator here.", "a == 1 and b == 2"),
    ast.BitOr: ("| is no operator here.", "a == 1 or b == 2"),
    ast.Lambda: ("functions cannot be made here.", None),
    ast.ListComp: ("there are no loops here.", None),
    ast.SetComp: ("there are no loops here.", None),
    ast.DictComp: ("there are no loops here.", None),
    ast.GeneratorExp: ("there are no loops here.", None),
    ast.IfExp: ("there is no if here.", "(a and b) or (not a and c)"),
    ast.NamedExpr: ("nothing can be assigned here.", "params.lr == 0.1"),
    ast.Dict: ("mappings are not compared; their keys are.", "params.optim.lr == 0.1"),
    ast.JoinedStr: ("texts are plain here, without an f.", '"resnet"'),
    ast.Starred: ("there is no * here.", None),
    ast.Await: ("nothing is awaited here.", None),
    ast.Yield: ("nothing is yielded here.", None),
}
_CONDITIONS = ("exists", "isnan", "changed", "tag", "glob")
_FUNCTION_NAMES = (*_CONDITIONS, "abs", "log10")
_OTHER_WORDS = {"true": "True", "TRUE": "True", "false": "False", "FALSE": "False", "null": "None", "NULL": "None",
                "none": "None", "nil": "None"}  # fmt: skip


class _Reader:
    """An expression on its way from text to conditions; every error names its column."""

    def __init__(self, text: str, keys: _Keys, date: Callable[[str], float]) -> None:
        self.text, self.keys, self.date = text, keys, date
        self.source = b""  # ast counts in bytes
        self.notes: dict[str, None] = {}
        self.shift = 0

    def read(self) -> _Condition:
        """Return what the expression says."""
        return self._condition(self._parsed(), 0)

    def read_keys(self) -> tuple[str, ...]:
        """Return the keys that the expression is."""
        return self._written_keys(self._parsed())

    # -- text

    def _parsed(self) -> ast.expr:
        if len(self.text) > LONGEST:
            self._refuse_at(LONGEST, f"the expression has {len(self.text):,} characters, and {LONGEST:,} are read.")
        if not self.text.strip():
            self._refuse_at(0, "the expression is empty.", _HINT)
        masked = self._masked()
        line = masked.lstrip()
        self.shift = len(masked) - len(line)
        self.source = self.text[self.shift :].encode("utf-8")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(line.rstrip(), mode="eval").body
        except SyntaxError as error:
            self._explain(error)
        except (RecursionError, MemoryError):
            self._nested(0)
        except ValueError as error:
            self._refuse(0, f"this is not an expression: {error}.")

    def _masked(self) -> str:
        """Return the text in one line with keywords behind a dot replaced; refuse what looks like another language."""
        parts: list[str] = []
        behind_dot = False
        for token in _TOKEN.finditer(self.text):
            word, place = token[0], token.start()
            kind = token.lastgroup
            if kind == "string":
                self._check_string(word, place)
            elif kind == "space":
                parts.append(" " * len(word))
                continue
            elif kind == "word":
                if behind_dot and word in _KEYWORDS:
                    word = "_" * len(word)
                elif not behind_dot:
                    self._check_word(word, place, token.end())
            else:
                self._check_sign(word, place)
            parts.append(word)
            behind_dot = word == "."
        return "".join(parts)

    def _check_string(self, word: str, place: int) -> None:
        if broken := _UNSEEN.search(word):
            what = "a text goes on beyond its line." if broken[0] in "\r\n" else "this is no character of a text."
            self._refuse_at(place + broken.start(), what)
        try:
            word.encode("utf-8")
        except UnicodeEncodeError as error:
            self._refuse_at(place + error.start, "this is no character of a text.")

    def _check_word(self, word: str, place: int, end: int) -> None:
        if word in ("AND", "OR", "NOT", "IN", "IS") and not self.keys.has(Leaf("params", (word,))):
            self._refuse_at(place, f"{word} is written small.", self._corrected(place, word, word.lower()))
        if word.lower() == "like" and place and re.match(_STRING_NEXT, self.text[end : end + _PASTED]):
            self._refuse_at(place, f"{word} is no operator here.", 'glob(params.model, "res*")')

    def _check_sign(self, sign: str, place: int) -> None:
        if sign in _SIGNS:
            problem, right = _SIGNS[sign]
            self._refuse_at(place, problem, None if right is None else self._corrected(place, sign, right))
        if sign in "\"'":
            self._refuse_at(place, "a text begins here and does not end.", 'status == "completed"')
        if not sign.isprintable() or "\ud800" <= sign <= "\udfff":
            self._refuse_at(place, "this is no character of an expression.")

    def _explain(self, error: SyntaxError) -> NoReturn:
        """Say in our words what Python says in its own."""
        message = error.msg
        place = min(max((error.offset or 1) - 1 + self.shift, 0), len(self.text))
        if "too many nested" in message or "too deep" in message:
            self._nested(0)
        if digits := re.search(_NUMBER_KEY, self.text):
            key, root = digits[2], digits[1]
            self._refuse_at(digits.start(2), "a key that begins with a digit is written in brackets.", f'{root}["{key}"]')
        if "was never closed" in message or "unmatched" in message or "does not match" in message:
            self._refuse_at(place, f"{message}.")
        self._refuse_at(place, "this is not an expression.", _HINT)

    def _nested(self, place: int) -> NoReturn:
        self._refuse_at(place, f"the expression is nested deeper than {_DEEPEST} levels.")

    def _column(self, node: ast.AST) -> int:
        before = self.source[: getattr(node, "col_offset", 0)]
        return self.shift + len(before.decode("utf-8", "replace"))

    def _written(self, node: ast.expr) -> str:
        return self.source[node.col_offset : node.end_col_offset].decode("utf-8", "replace")

    def _corrected(self, place: int, wrong: str, right: str) -> str | None:
        """Return the expression with a word replaced, where it is short enough to be pasted."""
        line = self.text[:place] + right + self.text[place + len(wrong) :]
        return line.strip() if len(line) <= _PASTED else None

    def _refuse_at(self, place: int, problem: str, hint: str | None = None) -> NoReturn:
        raise QueryError(problem, self.text, place + 1, hint)

    def _refuse(self, node: ast.AST | int, problem: str, hint: str | None = None) -> NoReturn:
        self._refuse_at(node if isinstance(node, int) else self._column(node), problem, hint)

    # -- conditions

    def _condition(self, node: ast.expr, depth: int) -> _Condition:
        if depth > _DEEPEST:
            self._nested(self._column(node))
        match node:
            case ast.BoolOp(op=operator, values=values):
                parts = tuple(self._condition(value, depth + 1) for value in values)
                return _Junction("AND" if isinstance(operator, ast.And) else "OR", parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _Not(self._condition(operand, depth + 1))
            case ast.Compare():
                return self._comparisons(node, depth)
            case ast.Call(func=ast.Name(id=name)) if name in _CONDITIONS:
                return self._called(node, name, depth)
            case ast.Tuple() | ast.List() | ast.Set():
                self._refuse(node, "this is a list, where a condition is expected.", "lr in (0.1, 0.01)")
        return _Truth(self._operand(node, depth))

    def _comparisons(self, node: ast.Compare, depth: int) -> _Condition:
        sides = [node.left, *node.comparators]
        parts = tuple(
            self._compared(left, operator, right, depth)
            for left, operator, right in zip(sides, node.ops, sides[1:], strict=False)
        )
        return parts[0] if len(parts) == 1 else _Junction("AND", parts)

    def _compared(self, left: ast.expr, operator: ast.cmpop, right: ast.expr, depth: int) -> _Condition:
        if isinstance(operator, ast.Is | ast.IsNot):
            return self._is(left, right, isinstance(operator, ast.IsNot), depth)
        if isinstance(operator, ast.In | ast.NotIn):
            return self._in(left, right, isinstance(operator, ast.NotIn), depth)
        sides = self._side(left, right, depth), self._side(right, left, depth)
        return self._comparison(_COMPARED[type(operator)], *sides, (left, right))

    def _side(self, node: ast.expr, other: ast.expr, depth: int) -> _Operand:
        """Return one side of a comparison; a bare word beside a field of text most likely lacks its quotes."""
        if isinstance(node, ast.Name) and isinstance(other, ast.Name) and node.id not in FIELDS:
            kind = FIELDS.get(other.id)
            if kind and kind.kind in ("text", "list") and not self._bare((node.id,)) and self.keys.names():
                self._refuse(node, "text is written in quotes.", self._corrected(self._column(node), node.id, f'"{node.id}"'))
        if self._is_null(node) or self._is_null(other):
            return self._operand(node, depth + 1, lenient=True)
        return self._operand(node, depth + 1)

    def _is_null(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Constant) and node.value is None

    def _comparison(self, operator: str, left: _Operand, right: _Operand, nodes: tuple[ast.expr, ast.expr]) -> _Condition:
        if isinstance(left, _Literal) and not isinstance(right, _Literal):
            return self._comparison(_FLIPPED[operator], right, left, nodes[::-1])
        if isinstance(left, Field) and isinstance(right, _Literal) and isinstance(right.value, str):
            if FIELDS[left.name].kind == "date":
                right = _Literal(self._moment(right.value, nodes[1]))
            elif left.name in _ABBREVIATED and operator in ("==", "!=") and len(right.value) >= _SHORTEST:
                return _Begins(left, right.value, operator == "!=")
        return _Comparison(operator, left, right)

    def _moment(self, text: str, node: ast.expr) -> float:
        try:
            return self.date(text)
        except GitParamsError as error:
            self._refuse(node, error.message, error.hint)

    def _is(self, left: ast.expr, right: ast.expr, negated: bool, depth: int) -> _Condition:
        if not isinstance(right, ast.Constant) or not (right.value is None or isinstance(right.value, bool)):
            self._refuse(right, "is compares with None.", "params.x is None")
        item = self._operand(left, depth + 1, lenient=right.value is None)
        return _Comparison("!=" if negated else "==", item, _Literal(right.value))

    def _in(self, left: ast.expr, right: ast.expr, negated: bool, depth: int) -> _Condition:
        if not isinstance(right, ast.Tuple | ast.List | ast.Set):
            container = self._operand(right, depth + 1)
            return _Contains(self._side(left, right, depth), container, negated)
        item = self._operand(left, depth + 1)
        choices = [self._choice(element, left, depth) for element in right.elts]
        if isinstance(item, Field) and (item.name in _ABBREVIATED or FIELDS[item.name].kind == "date") and choices:
            operator = "!=" if negated else "=="
            pairs = zip(choices, right.elts, strict=True)
            parts = tuple(self._comparison(operator, item, choice, (left, node)) for choice, node in pairs)
            return _Junction("AND" if negated else "OR", parts)
        return _Among(item, tuple(choice.value for choice in choices), negated)

    def _choice(self, node: ast.expr, other: ast.expr, depth: int) -> _Literal:
        choice = self._side(node, other, depth)
        if not isinstance(choice, _Literal):
            self._refuse(node, "a list holds plain values.", "lr == params.a or lr == params.b")
        return choice

    def _called(self, node: ast.Call, name: str, depth: int) -> _Condition:
        wanted = 2 if name == "glob" else 1
        if len(node.args) != wanted or node.keywords:
            self._refuse(node, f"{name} takes {'a value and a pattern' if wanted == 2 else 'one value'}.", _CALLS[name])
        first = node.args[0]
        if name == "tag":
            return _Contains(_Literal(self._plain_text(first, name)), Field("tags"), False)
        if name == "glob":
            return _Glob(self._operand(first, depth + 1), self._plain_text(node.args[1], name))
        if name == "isnan":
            return _IsNan(self._operand(first, depth + 1))
        if name == "changed" and isinstance(first, ast.Constant) and isinstance(first.value, str):
            return _Changed(self._checked_glob(first, first.value))
        if not isinstance(first, ast.Name | ast.Attribute | ast.Subscript):
            self._refuse(first, f"{name} takes a key.", _CALLS[name])
        item = self._key(first, lenient=name == "exists", whole=True)
        if name == "exists":
            return _Exists(item)
        if not isinstance(item, Leaf) or item.document != "params":
            self._refuse(first, "changed is about params.", "changed(params.lr)")
        return _Changed(path_text(item.keys))

    def _checked_glob(self, node: ast.expr, path: str) -> str:
        if self.keys.names() and not paths_meant(path, self.keys.names()["params"]):
            self._refuse(node, f"no run has a param {path}.", self._near(path))
        return path

    def _plain_text(self, node: ast.expr, name: str) -> str:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            self._refuse(node, f"{name} takes a text in quotes.", _CALLS[name])
        return self._checked_text(node, node.value)

    def _checked_text(self, node: ast.expr, text: str) -> str:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            self._refuse(node, "a text holds half a character.")
        return text

    # -- operands

    def _operand(self, node: ast.expr, depth: int, *, lenient: bool = False) -> _Operand:
        if depth > _DEEPEST:
            self._nested(self._column(node))
        match node:
            case ast.Constant():
                return _Literal(self._constant(node))
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self._key(node, lenient=lenient)
            case ast.Tuple() | ast.List() | ast.Set():
                return _Literal([self._choice(element, node, depth + 1).value for element in node.elts])
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                return _calculated("-" if isinstance(sign, ast.USub) else "+", (self._operand(operand, depth + 1),))
            case ast.BinOp(op=operator) if type(operator) in _CALCULATED:
                return self._calculation(node, depth)
            case ast.BinOp(op=operator):
                place = self._column(node.right)
                problem, hint = _LACKING.get(type(operator), ("this operator is not known here.", None))
                self._refuse(place, problem, hint)
            case ast.Call(func=ast.Name(id="abs" | "log10" as name), args=[argument], keywords=[]):
                return _calculated(name, (self._operand(argument, depth + 1),))
            case ast.Call():
                self._refuse_call(node)
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                self._refuse(node, "a condition is here, where a value is expected.", "(a == 1) and (b == 2)")
        problem, hint = _LACKING.get(type(node), ("this is not known here.", None))
        return self._refuse(node, problem, hint)

    def _constant(self, node: ast.Constant) -> Any:
        value = node.value
        if isinstance(value, bytes | complex) or value is ...:
            self._refuse(node, "this is no value of a param.", '"resnet", 0.1, True or None')
        fitting = _fitting(value)
        if type(fitting) is not type(value):
            self.notes[f"{self._written(node)} is compared as a float"] = None
        return self._checked_text(node, value) if isinstance(value, str) else fitting

    def _calculation(self, node: ast.BinOp, depth: int) -> _Operand:
        try:
            operands = self._operand(node.left, depth + 1), self._operand(node.right, depth + 1)
        except QueryError:
            if isinstance(node.op, ast.Sub):
                self._offer_dashed(node)
            raise
        return _calculated(_CALCULATED[type(node.op)], operands)

    def _offer_dashed(self, node: ast.BinOp) -> None:
        """Refuse a subtraction that is the name of a key, and say how that is written."""
        written = self._written(node)
        root, _, rest = written.partition(".")
        leaves = [Leaf(root, tuple(rest.split(".")))] if root in ("params", "metrics") and rest else []
        leaves += [Leaf(document, tuple(written.split("."))) for document in ("params", "metrics")]
        for leaf in leaves if self.keys.names() else ():
            leaf = Leaf("metrics", (".".join(leaf.keys),)) if leaf.document == "metrics" else leaf
            if self.keys.has(leaf):
                self._refuse(node, f"- subtracts here; the key {leaf.keys[-1]} is written in brackets.", str(leaf))

    def _refuse_call(self, node: ast.Call) -> NoReturn:
        if isinstance(node.func, ast.Attribute):
            self._refuse(node.func, "values have no methods here.", f"the functions are {', '.join(_FUNCTION_NAMES)}")
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _CONDITIONS:
            self._refuse(node, "a condition is here, where a value is expected.", f"not {_CALLS[name]}")
        if name in _CALLS:
            self._refuse(node, f"{name} takes one value.", _CALLS[name])
        what = f"there is no function {name}." if name else "this is not known here."
        self._refuse(node, what, f"the functions are {', '.join(_FUNCTION_NAMES)}")

    # -- keys

    def _key(self, node: ast.expr, *, lenient: bool = False, whole: bool = False) -> Leaf | Field:
        """Return the key that is meant.

        Args:
            node: where it is written.
            lenient: a key that no run has is allowed.
            whole: a mapping is allowed as well.
        """
        keys = self._written_keys(node)
        if len(keys) == 1 and keys[0] in FIELDS:
            return Field(keys[0])
        if keys[0] in ("params", "metrics"):
            if len(keys) == 1:
                self._refuse(node, f"which of the {keys[0]}?", self._first_of(keys[0]))
            found = [_leaf(keys[0], keys[1:])]
        else:
            found = self._bare(keys)
        if len(found) > 1:
            hint = f"{found[0]}, or {found[1]}"
            self._refuse(node, f"{path_text(keys)} is a param and a metric.", hint)
        if found and (lenient or self.keys.has(found[0]) or (whole and self._below(found[0].keys))):
            return found[0]
        if lenient:
            return _leaf("params", keys)
        if whole and not found and self._below(keys):
            return _leaf("params", keys)
        return self._refuse_unknown(node, keys, found)

    def _bare(self, keys: tuple[str, ...]) -> list[Leaf]:
        candidates = [_leaf("params", keys), _leaf("metrics", keys)]
        if isinstance(self.keys, _KeysOf):
            subject = self.keys.subject
            return [leaf for leaf in candidates if subject.has(leaf)] or candidates[:1]
        return [leaf for leaf in candidates if self.keys.has(leaf)]

    def _written_keys(self, node: ast.expr) -> tuple[str, ...]:
        keys: list[str] = []
        inner = node
        while not isinstance(inner, ast.Name):
            if isinstance(inner, ast.Attribute):
                keys.append(self._attribute(inner))
                inner = inner.value
            elif isinstance(inner, ast.Subscript):
                keys.append(self._subscript(inner))
                inner = inner.value
            elif isinstance(inner, ast.Call):
                self._refuse_call(inner)
            else:
                self._refuse(inner, "this has no keys.", "params.optim.lr")
        keys.append(self._written(inner))
        return tuple(reversed(keys))

    def _attribute(self, node: ast.Attribute) -> str:
        """Return a key as it was written: ast has a placeholder, or another form of the same letters."""
        written = self.source[node.value.end_col_offset or 0 : node.end_col_offset].decode("utf-8", "replace")
        match = _LAST_WORD.search(written)
        return match[0] if match else node.attr

    def _subscript(self, node: ast.Subscript) -> str:
        if not isinstance(node.slice, ast.Constant) or not isinstance(node.slice.value, str):
            self._refuse(node.slice, "in brackets stands a key in quotes.", 'params["lr-decay"]')
        return self._checked_text(node.slice, node.slice.value)

    def _below(self, keys: tuple[str, ...]) -> list[str]:
        """Return the written paths below a mapping."""
        above = path_text(keys)
        return [name for name in self.keys.names().get("params", ()) if name.startswith((f"{above}.", f"{above}["))]

    def _first_of(self, document: str) -> str | None:
        names = self.keys.names().get(document)
        return str(_leaf(document, path_keys(names[0]))) if names else None

    def _refuse_unknown(self, node: ast.expr, keys: tuple[str, ...], found: Sequence[Leaf]) -> NoReturn:
        written = path_text(keys)
        own = keys[1:] if keys[0] == "params" else keys
        if below := self._below(own) if keys[0] != "metrics" else []:
            self._refuse(
                node,
                f"{written} is a mapping of params.",
                ", ".join(str(_leaf("params", path_keys(name))) for name in below[:3]),
            )
        if len(keys) == 1 and written in _OTHER_WORDS:
            right = _OTHER_WORDS[written]
            self._refuse(node, f"{written} is written {right}.", self._corrected(self._column(node), written, right))
        if len(keys) == 1 and written in frozenset(map(str, Status)):
            self._refuse(node, "text is written in quotes.", self._corrected(self._column(node), written, f'"{written}"'))
        what = f"a {keys[0][:-1]} {path_text(keys[1:])}" if found else f"a param or metric {written}, and no field is called so"
        near = self._near(written)
        self._refuse(
            node, f"no run has {what}.", near or (f'text is written in quotes: "{written}"' if len(keys) == 1 else None)
        )

    def _near(self, written: str) -> str | None:
        """Return the keys and fields that are written much like this."""
        return near_misses(written, self.keys.names())


def near_misses(written: str, names: Mapping[str, Sequence[str]], *, fields: bool = True) -> str | None:
    """Return the keys and, with `fields`, the fields much like a word, as a question, or None.

    >>> near_misses("params.optm.lr", {"params": ["optim.lr", "seed"], "metrics": ["acc"]})
    'did you mean params.optim.lr?'
    """
    from difflib import get_close_matches

    root, _, rest = written.partition(".")
    sought = rest if root in ("params", "metrics", "param", "metric") and rest else written
    leaves = {name: str(_leaf(document, path_keys(name))) for document in names for name in names[document]}
    same_end = [name for name in leaves if name.endswith(f".{sought}")]
    close = [*same_end[:3], *get_close_matches(sought, leaves, 3, 0.65)]
    found = [leaves[name] for name in close] + get_close_matches(sought, FIELDS if fields else (), 3, 0.75)
    found = list(dict.fromkeys(found))[:3]
    return f"did you mean {' or '.join(found)}?" if found else None


_HINT = 'params.optim.lr < 0.01 and status == "completed"'
_CALLS = {
    "exists": "exists(params.x)", "isnan": "isnan(metrics.loss)", "changed": "changed(params.lr)", "tag": 'tag("resnet")',
    "glob": 'glob(params.model, "res*")', "abs": "abs(params.x)", "log10": "log10(params.lr)",
}  # fmt: skip
_KEYWORDS = frozenset(kwlist)
_TOKEN = re.compile(
    r"""(?P<string>\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<space>[ \t\r\n\f]+)|(?P<number>\d[\w.]*)|(?P<word>\w+)|(?P<sign>===|==|!=|<=|>=|<>|:=|&&|\|\||.)""",
    re.S,
)
_UNSEEN = re.compile(r"[\r\n\x00]")
_STRING_NEXT = r"""\s*["']"""
_NUMBER_KEY = r"\b((?:params|metrics)(?:\.[^\W\d]\w*)*)\.(\d\w*)"
_LAST_WORD = re.compile(r"\w+\Z")
# what is wrong, and what stands there instead
_SIGNS: dict[str, tuple[str, str | None]] = {
    "=": ("equality is written ==.", "=="),
    "===": ("equality is written ==.", "=="),
    ":=": ("nothing can be assigned here.", "=="),
    "<>": ("inequality is written !=.", "!="),
    "&&": ("&& is written and.", "and"),
    "||": ("|| is written or.", "or"),
    "!": ("! is written not.", "not "),
    "#": ("there are no comments here.", None),
    ";": ("one expression is read, without ;.", " and"),
    "$": ("$ means nothing here.", ""),
    "`": ("text is written in quotes.", '"'),
}


def _leaf(document: str, keys: Sequence[str]) -> Leaf:
    """Return a key; a metric's name is one key, dots and all."""
    return Leaf(document, (".".join(keys),) if document == "metrics" else tuple(keys))


def _calculated(operator: str, operands: tuple[_Operand, ...]) -> _Operand:
    """Return a calculation, done at once where all is known."""
    if all(isinstance(operand, _Literal) for operand in operands):
        result = _calculate(operator, [operand.value for operand in operands if isinstance(operand, _Literal)])
        if result is not MISSING and result == result:
            return _Literal(result)
    return _Sum(operator, operands)


def _pointed(text: str, column: int, width: int = 100) -> str:
    """Return the line of an expression and a caret under the column, cut where it is long."""
    from unicodedata import combining, east_asian_width

    line = "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in text)
    start = max(0, column - 1 - width * 2 // 3) if len(line) > width else 0
    shown = ("…" if start else "") + line[start : start + width] + ("…" if start + width < len(line) else "")
    before = ("…" if start else "") + line[start : column - 1].ljust(column - 1 - start)
    indent = sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in before)
    return f"  {shown}\n  {' ' * indent}^"


# -- values: what comparing and calculating mean --------------------------------------------------------------------------


def _fitting(value: Any) -> Any:
    """Return a number as the index has it: an int that 64 bits cannot hold is a float."""
    if type(value) is int and not -(2**63) <= value < 2**63:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return encode_json(left) == encode_json(right)
    if _is_number(left) and _is_number(right):
        return bool(left == right)
    return type(left) is type(right) and bool(left == right)


def _compare(operator: str, left: Any, right: Any) -> bool:
    """Tell whether a comparison of two values holds."""
    if left is MISSING or right is MISSING:
        return False
    if operator in ("==", "!="):
        return _equal(left, right) == (operator == "==")
    if not ((_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str))):
        return False
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])


def _contains(needle: Any, container: Any) -> bool:
    if isinstance(container, str):
        return isinstance(needle, str) and needle in container
    return isinstance(container, list) and any(_equal(needle, item) for item in container)


def _matches(value: Any, pattern: str) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, str) and fnmatchcase(item, pattern) for item in value)
    return isinstance(value, str) and fnmatchcase(value, pattern)


def _calculate(operator: str, values: Sequence[Any]) -> Any:
    """Return the result of one step of arithmetic, or `MISSING` where there is none."""
    if not all(map(_is_number, values)):
        return MISSING
    try:
        match operator, values:
            case "+", [left, right]:
                return _fitting(left + right)
            case "-", [left, right]:
                return _fitting(left - right)
            case "*", [left, right]:
                return _fitting(left * right)
            case "/", [left, right]:
                return float(left) / float(right)
            case "-", [value]:
                return _fitting(-value)
            case "abs", [value]:
                return _fitting(abs(value))
            case "log10", [value]:
                return math.log10(value)
            case _:
                return values[0]
    except (ZeroDivisionError, ValueError, OverflowError):
        return MISSING


# -- in Python ------------------------------------------------------------------------------------------------------------


class Subject(Protocol):
    """What an expression is asked of in plain Python; `OfRun` is one."""

    def has(self, item: Leaf) -> bool:
        """Tell whether a bare key may mean it."""

    def value(self, item: Named) -> Any:
        """Return a value, `MISSING` where there is none."""

    def exists(self, item: Named) -> bool:
        """Tell what ``exists`` answers."""

    def changed(self, path: str) -> bool:
        """Tell whether a param, one below it, or one that a glob means is another than before."""

    def known(self, item: Named) -> bool:
        """Tell whether its value can be compared with anything."""


class OfRun(NamedTuple):
    """One run as the subject of an expression, and the run that ``changed`` compares with."""

    run: Run
    before: Run | None = None

    def has(self, item: Leaf) -> bool:
        """Tell whether the run has it."""
        return self.exists(item)

    def value(self, item: Named) -> Any:
        """Return the run's value."""
        if isinstance(item, Field):
            return FIELDS[item.name].value(self.run)
        value = self.run.metrics.get(item.keys[0], MISSING) if item.document == "metrics" else get(self.run.params, item.keys)
        return MISSING if isinstance(value, Mapping) and value else _fitting(value)

    def exists(self, item: Named) -> bool:
        """Tell whether the run has it, a mapping of params too, and a field that is not null."""
        if isinstance(item, Leaf) and item.document == "params":
            return get(self.run.params, item.keys) is not MISSING
        return self.value(item) not in (MISSING, None)

    def changed(self, path: str) -> bool:
        """Tell whether it differs from the run before; not when there is none."""
        return self.before is not None and has_changed(path, self.before, self.run)

    def known(self, item: Named) -> bool:
        """Tell whether the run has a value there that is not NaN."""
        return not _is_void(self.value(item))


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression about a subject.

    Attributes:
        text: as it was written.
        subject: what it is asked of.
    """

    text: str
    subject: Subject
    _condition: _Condition

    def holds(self) -> bool:
        """Tell whether the subject meets it, by the two-valued logic of the language."""
        return _holds(self._condition, self.subject)

    def surely(self) -> bool:
        """Tell whether it is met whatever the values may be that are missing, NaN or of a type that cannot be compared.

        >>> from gitparams.model import new_run_id, now
        >>> diverged = OfRun(Run(new_run_id(), Status.COMPLETED, now(), metrics={"loss": math.nan}))
        >>> [(asked.holds(), asked.surely()) for asked in [read("not loss > 0.5", diverged)]]
        [(True, False)]
        """
        return _surely(self._condition, self.subject, negated=False)

    def named(self) -> tuple[Named, ...]:
        """Return the keys and fields whose values it asks for, in their order, each once."""
        return tuple(dict.fromkeys(item for condition in _leaves(self._condition) for item in _compared_in(condition)))

    def existing(self) -> tuple[Named, ...]:
        """Return the keys and fields of which it asks whether they are there."""
        return tuple(dict.fromkeys(item.item for item in _leaves(self._condition) if isinstance(item, _Exists)))

    def changing(self) -> tuple[str, ...]:
        """Return the paths of which it asks whether they changed."""
        return tuple(dict.fromkeys(item.path for item in _leaves(self._condition) if isinstance(item, _Changed)))

    def unknown(self) -> tuple[Named, ...]:
        """Return what it compares and cannot be compared, but where ``exists`` or ``isnan`` beside it settles the answer."""
        return tuple(dict.fromkeys(_unknown(self._condition, self.subject)))


def has_changed(path: str, before: Run, after: Run) -> bool:
    """Tell whether a param, one below it, or one that a glob means differs between two runs."""
    new, old = flatten(after.params), flatten(before.params)
    return any(
        _differ(new.get(name, MISSING), old.get(name, MISSING)) for name in paths_meant(path, dict.fromkeys([*new, *old]))
    )


def _holds(node: _Condition, subject: Subject) -> bool:
    match node:
        case _Junction("AND", parts):
            return all(_holds(part, subject) for part in parts)
        case _Junction(_, parts):
            return any(_holds(part, subject) for part in parts)
        case _Not(condition):
            return not _holds(condition, subject)
        case _Comparison(operator, left, right):
            return _compare(operator, _value(left, subject), _value(right, subject))
        case _Among(item, choices, negated):
            value = _value(item, subject)
            return value is not MISSING and any(_equal(value, choice) for choice in choices) != negated
        case _Contains(needle, container, negated):
            sought, where = _value(needle, subject), _value(container, subject)
            return sought is not MISSING and where is not MISSING and _contains(sought, where) != negated
        case _Begins(item, start, negated):
            text = _value(item, subject)
            return (isinstance(text, str) and text.startswith(start)) != negated
        case _Exists(item):
            return subject.exists(item)
        case _IsNan(item):
            value = _value(item, subject)
            return isinstance(value, float) and math.isnan(value)
        case _Changed(path):
            return subject.changed(path)
        case _Glob(item, pattern):
            return _matches(_value(item, subject), pattern)
        case _Truth(item):
            return bool(_value(item, subject))


def _value(node: _Operand, subject: Subject) -> Any:
    match node:
        case _Literal(value):
            return value
        case _Sum(operator, operands):
            return _calculate(operator, [_value(operand, subject) for operand in operands])
        case Leaf() | Field():
            return subject.value(node)


def _surely(node: _Condition, subject: Subject, *, negated: bool) -> bool:
    match node:
        case _Not(inner):
            return _surely(inner, subject, negated=not negated)
        case _Junction(operator, parts):
            found = (_surely(part, subject, negated=negated) for part in parts)
            return all(found) if (operator == "AND") != negated else any(found)
        case _:
            return not _is_unknown(node, subject) and _holds(node, subject) != negated


def _unknown(node: _Condition, subject: Subject) -> list[Named]:
    match node:
        case _Not(inner):
            return _unknown(inner, subject)
        case _Junction(operator, parts):
            if any(_is_guard(part) and _holds(part, subject) == (operator == "OR") for part in parts):
                return []
            return [item for part in parts for item in _unknown(part, subject)]
    if not _is_unknown(node, subject):
        return []
    items = _compared_in(node)
    return [item for item in items if not subject.known(item)] or items


def _is_guard(node: _Condition) -> bool:
    return isinstance(node, _Exists | _IsNan) or (isinstance(node, _Not) and _is_guard(node.condition))


def _is_unknown(node: _Condition, subject: Subject) -> bool:
    """Tell whether a condition compares what cannot be compared."""
    if isinstance(node, _Exists | _IsNan | _Changed):
        return False
    if not all(map(subject.known, _compared_in(node))) or any(_is_void(_value(side, subject)) for side in _operands(node)):
        return True
    return isinstance(node, _Comparison) and not _comparable(
        node.operator, *(_value(side, subject) for side in _operands(node))
    )


def _comparable(operator: str, left: Any, right: Any) -> bool:
    if operator in ("==", "!="):
        return True
    return (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str))


def _is_void(value: Any) -> bool:
    return value is MISSING or (isinstance(value, float) and math.isnan(value))


def _leaves(node: _Condition) -> list[_Condition]:
    """Return the conditions that are joined or negated in one."""
    match node:
        case _Not(inner):
            return _leaves(inner)
        case _Junction(_, parts):
            return [leaf for part in parts for leaf in _leaves(part)]
        case _:
            return [node]


def _compared_in(node: _Condition) -> list[Named]:
    """Return the keys and fields whose values a condition without ``and``, ``or`` and ``not`` asks for."""
    return [item for operand in _operands(node) for item in _items(operand)]


def _operands(node: _Condition) -> list[_Operand]:
    match node:
        case _Comparison(_, left, right) | _Contains(left, right, _):
            return [left, right]
        case _Among(item, _, _) | _Begins(item, _, _) | _IsNan(item) | _Glob(item, _) | _Truth(item):
            return [item]
        case _:
            return []


def _items(operand: _Operand) -> list[Named]:
    match operand:
        case _Sum(_, operands):
            return [item for part in operands for item in _items(part)]
        case Leaf() | Field():
            return [operand]
        case _:
            return []


def _differ(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return not (isinstance(left, Mapping) and isinstance(right, Mapping))
    if left is MISSING or (isinstance(left, float) and math.isnan(left) and math.isnan(right)):
        return False
    return not _equal(_fitting(left), _fitting(right))


# -- in SQL ---------------------------------------------------------------------------------------------------------------


class _Sql(NamedTuple):
    """A piece of SQL, and what is bound to its question marks, in their order."""

    text: str
    values: tuple[Any, ...] = ()


_NO, _YES = _Sql("0"), _Sql("1")
_FALSY = "('n', 'b0', 0, 's', 'l[]', 'm')"


class _Compiler:
    """Conditions on their way to SQL."""

    def __init__(self, text: str, known: Known) -> None:
        self.text, self.known = text, known
        self.notes: dict[str, None] = {}

    def condition(self, node: _Condition, negated: bool = False, depth: int = 0) -> _Sql:
        """Return the SQL of a condition or of its opposite; ``not`` goes down to the leaves, which keeps the SQL flat."""
        match node:
            case _Not(inner):
                return self.condition(inner, not negated, depth)
            case _Junction(operator, parts):
                return self._junction(_OPPOSITE[operator] if negated else operator, parts, negated, depth)
            case _Contains(needle, container, opposite):
                sql = self._contains(needle, container, opposite)
            case _:
                sql = self._simple(node)
        return _Sql(f"NOT ifnull({sql.text}, 0)", sql.values) if negated else sql

    def _junction(self, operator: str, parts: Sequence[_Condition], negated: bool, depth: int) -> _Sql:
        if depth > _DEEPEST_SQL:
            raise QueryError("the expression is nested too deeply.", self.text, 1, "and, or and not side by side nest less")
        done = [self.condition(part, negated, depth + 1) for part in parts]
        return _joined(operator, done)

    def _simple(self, node: _Condition) -> _Sql:
        match node:
            case _Comparison(operator, left, _Literal(value)) if not isinstance(left, _Literal):
                return self._against(operator, left, value)
            case _Comparison(operator, left, right):
                return _call("gitparams_compare", _Sql("?", (operator,)), self._term(left), self._term(right))
            case _Among(item, choices, negated):
                return self._among(item, choices, negated)
            case _Begins(item, start, negated):
                sql = f"substr({FIELDS[item.name].sql}, 1, {len(start) + 1})"
                return _Sql(f"{sql} {'!=' if negated else '='} ?", (f"s{start}",))
            case _Exists(item):
                return self._exists(item)
            case _IsNan(item):
                term = self._term(item)
                return _Sql(f"{term.text} = 'x'", term.values)
            case _Changed(path):
                return _Sql(self.known.changed_sql(path))
            case _Glob(item, pattern):
                return _call("gitparams_glob", self._term(item), _Sql("?", (pattern,)))
            case _Truth(item):
                term = self._term(item)
                return _Sql(f"{term.text} NOT IN {_FALSY}", term.values)
        raise AssertionError(node)

    def _against(self, operator: str, item: _Operand, value: Any) -> _Sql:
        """Return the SQL of a comparison with a known value: one that an index of the key can answer."""
        term = self._term(item, indexed=operator != "!=")
        bound = _encoded(value)
        self._notice(item, value)
        if operator in ("==", "!="):
            return _Sql(f"{term.text} {'=' if operator == '==' else '!='} ?", (*term.values, bound))
        if not _is_number(value) and not isinstance(value, str):
            return _NO
        if operator in ("<", "<="):
            floor = " AND {} >= 's'" if isinstance(value, str) else ""
        else:
            floor = " AND {} < 't'" if isinstance(value, str) else " AND {} < ''"
        again = term.values if floor else ()
        return _Sql(f"({term.text} {operator} ?{floor.format(term.text)})", (*term.values, bound, *again))

    def _among(self, item: _Operand, choices: Sequence[Any], negated: bool) -> _Sql:
        term = self._term(item, indexed=not negated)
        if not choices:
            return _Sql(f"{term.text} IS NOT NULL", term.values) if negated else _NO
        for value in choices:
            self._notice(item, value)
        bound = tuple(map(_encoded, choices))
        # thousands of question marks are more than SQLite takes
        among = _Sql(f"({', '.join('?' * len(bound))})", bound)
        if len(bound) > _WIDEST_SQL:
            among = _Sql("(SELECT value FROM json_each(?))", (_json_list(bound),))
        return _Sql(f"{term.text} {'NOT IN' if negated else 'IN'} {among.text}", (*term.values, *among.values))

    def _contains(self, needle: _Operand, container: _Operand, negated: bool) -> _Sql:
        sql = _call("gitparams_contains", self._term(needle), self._term(container))
        return _Sql(f"NOT {sql.text}", sql.values) if negated else sql

    def _exists(self, item: Leaf | Field) -> _Sql:
        if isinstance(item, Field):
            return _Sql(f"{FIELDS[item.name].sql} != 'n'")
        there = [_Sql(f"{self._leaf(item, indexed=False)} IS NOT NULL")] if self.known.has_key(item.document, item.keys) else []
        above = path_text(item.keys)
        if item.document == "params" and any(
            name.startswith((f"{above}.", f"{above}[")) for name in self.known.key_names("params")
        ):
            flat = flat_key(item.keys)
            there.append(
                _Sql("EXISTS (SELECT 1 FROM json_each(r.params) AS e WHERE e.key >= ? AND e.key < ?)", (f"{flat}.", f"{flat}/"))
            )
        return _joined("OR", there) if there else _NO

    def _term(self, node: _Operand, *, indexed: bool = False) -> _Sql:
        """Return the SQL of a typed value, as the index's flat documents have it."""
        match node:
            case _Literal(value):
                return _Sql("?", (_encoded(value),))
            case Field(name):
                return _Sql(FIELDS[name].sql if " || " not in FIELDS[name].sql else f"({FIELDS[name].sql})")
            case Leaf():
                return _Sql(self._leaf(node, indexed=indexed))
            case _Sum():
                return self._calculation(node)

    def _leaf(self, leaf: Leaf, *, indexed: bool) -> str:
        if not self.known.has_key(leaf.document, leaf.keys):
            return "NULL"
        if indexed:
            return self.known.key_sql(leaf.document, leaf.keys)
        return f"""json_extract(r.{leaf.document}, '$."{flat_key(leaf.keys)}"')"""

    def _calculation(self, node: _Sum) -> _Sql:
        """Return the call of a calculation: its program in reverse Polish, and the values of the keys in it."""
        operands: dict[Leaf | Field, int] = {}
        program: list[str] = []

        def write(part: _Operand) -> None:
            match part:
                case _Literal(value):
                    program.append(repr(value) if _is_number(value) else "missing")
                case _Sum(operator, inner):
                    for each in inner:
                        write(each)
                    program.append(f"{operator}:{len(inner)}")
                case Leaf() | Field():
                    program.append(f"@{operands.setdefault(part, len(operands))}")

        write(node)
        if len(operands) > _MOST_OPERANDS:
            raise QueryError(f"a calculation has more than {_MOST_OPERANDS} keys.", self.text, 1)
        return _call("gitparams_calculate", _Sql("?", (" ".join(program),)), *map(self._term, operands))

    def _notice(self, item: _Operand, value: Any) -> None:
        """Note what a comparison can never say yes to, which is a surprise when a number was recorded as text."""
        if isinstance(item, Field):
            self._notice_field(item.name, value)
        elif isinstance(item, Leaf) and (_is_number(value) or isinstance(value, str)):
            self._notice_leaf(item, "text" if _is_number(value) else "a number")

    def _notice_leaf(self, leaf: Leaf, kind: str) -> None:
        if leaf.document == "metrics" and kind == "text":
            return
        sql = self._leaf(leaf, indexed=True)
        if sql == "NULL":
            return
        typed = f"{sql} >= 's' AND {sql} < 't'" if kind == "text" else f"{sql} < ''"
        count = self.known.count_up_to(typed, _NOTICED)
        if count:
            runs = "1 run" if count == 1 else f"{count} runs" if count < _NOTICED else f"{_NOTICED} runs or more"
            self.notes[f"{leaf} is {kind} in {runs}: never compared with {'a number' if kind == 'text' else 'text'}"] = None

    def _notice_field(self, name: str, value: Any) -> None:
        kind = FIELDS[name].kind
        if kind == "text" and _is_number(value):
            self.notes[f"{name} is text: never compared with a number"] = None
        elif kind == "number" and isinstance(value, str):
            self.notes[f"{name} is a number: never compared with text"] = None
        elif name == "status" and isinstance(value, str) and value not in frozenset(map(str, Status)):
            self.notes[f"no status is called {value!r}: {', '.join(Status)}"] = None


def _joined(operator: str, parts: Sequence[_Sql]) -> _Sql:
    """Return parts joined in groups, since a tree of SQLite's may not be too deep."""
    while len(parts) > 1:
        groups = [parts[start : start + _WIDEST_SQL] for start in range(0, len(parts), _WIDEST_SQL)]
        parts = [
            _Sql(f"({f' {operator} '.join(part.text for part in group)})", tuple(v for part in group for v in part.values))
            for group in groups
        ]
    return parts[0]


def _call(name: str, *arguments: _Sql) -> _Sql:
    return _Sql(f"{name}({', '.join(sql.text for sql in arguments)})", tuple(v for sql in arguments for v in sql.values))


def _encoded(value: Any) -> Any:
    """Return a value as the index's flat documents have it."""
    if value is MISSING:
        return None
    if _is_number(value):
        return "x" if value != value else value
    if isinstance(value, str):
        return f"s{value}"
    if isinstance(value, list):
        return "l" + encode_json(value, indent=None).decode("utf-8")
    return {None: "n", True: "b1", False: "b0"}[value]


def _json_list(values: Sequence[Any]) -> str:
    import json

    return json.dumps(values).replace("-Infinity", "-9e999").replace("Infinity", "9e999")


def _narrows(node: _Condition) -> bool:
    match node:
        case _Junction("AND", parts):
            return any(map(_narrows, parts))
        case _Junction(_, parts):
            return all(map(_narrows, parts))
        case _Comparison(operator, Leaf(), _Literal()):
            return operator != "!="
        case _Among(Leaf(), _, negated):
            return not negated
        case _:
            return False


# -- functions that SQLite calls ------------------------------------------------------------------------------------------


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return MISSING if value is None else value
    kind = value[:1]
    if kind == "s":
        return value[1:]
    if kind == "l":
        return decode_json(value[1:])
    return {"n": None, "b1": True, "b0": False, "x": math.nan, "m": {}}[value]


def _sql_compare(operator: str, left: Any, right: Any) -> int | None:
    values = _decoded(left), _decoded(right)
    return None if values[0] is MISSING or values[1] is MISSING else int(_compare(operator, *values))


def _sql_contains(needle: Any, container: Any) -> int | None:
    if needle is None or container is None:
        return None
    return int(_contains(_decoded(needle), _decoded(container)))


def _sql_glob(value: Any, pattern: str) -> int:
    return int(_matches(_decoded(value), pattern))


def _sql_calculate(program: str, *values: Any) -> Any:
    stack: list[Any] = []
    for operator, count, constant in _program(program):
        if operator == "@":
            stack.append(_decoded(values[count]))
        elif operator:
            stack[-count:] = [_calculate(operator, stack[-count:])]
        else:
            stack.append(constant)
    return _encoded(stack[0])


@lru_cache(maxsize=64)
def _program(text: str) -> tuple[tuple[str, int, Any], ...]:
    """Return the steps of a program: an operand's number, an operator and how many it takes, or a constant."""
    return tuple(map(_step, text.split()))


def _step(word: str) -> tuple[str, int, Any]:
    if word == "missing":
        return "", 0, MISSING
    if word[0] == "@":
        return "@", int(word[1:]), None
    if match := _OPERATOR.fullmatch(word):
        return match[1], int(match[2]), None
    return "", 0, int(word) if _INTEGER.fullmatch(word) else float(word)


_OPERATOR = re.compile(r"(abs|log10|[-+*/]):([12])")
_INTEGER = re.compile(r"-?\d+")


def _sql_seconds(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None


def _sql_between(started: str | None, finished: str | None) -> float | None:
    if not started or not finished:
        return None
    return (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()


FUNCTIONS: tuple[Function, ...] = (
    ("gitparams_compare", 3, _sql_compare),
    ("gitparams_contains", 2, _sql_contains),
    ("gitparams_glob", 2, _sql_glob),
    ("gitparams_calculate", -1, _sql_calculate),
    ("gitparams_seconds", 1, _sql_seconds),
    ("gitparams_between", 2, _sql_between),
)


# -- order ----------------------------------------------------------------------------------------------------------------


def _order(word: str, known: Known) -> Order:
    descending = word.startswith("-")
    text = word[1:] if descending else word
    keys = _keys_to_sort_by(text, known)
    if not keys:
        raise QueryError("this is not a key.", word, 1 + descending, "--sort -metrics.acc")
    if len(keys) == 1 and keys[0] in FIELDS:
        sql = FIELDS[keys[0]].sql
        return Order(f"({sql})", descending, FUNCTIONS if "gitparams_" in sql else ())
    return Order(_sorted_leaf(word, keys, known), descending)


def _keys_to_sort_by(text: str, known: Known) -> tuple[str, ...]:
    """Return the keys of a word as params are written, or as they are in expressions; none when it is neither."""
    try:
        return path_keys(text)
    except ParamsError:
        pass
    try:
        return _Reader(text, _KnownKeys(known), known.date).read_keys()
    except QueryError:
        return ()


def _sorted_leaf(word: str, keys: tuple[str, ...], known: Known) -> str:
    column = 1 + word.startswith("-")
    rooted = keys[0] in ("params", "metrics") and len(keys) > 1
    leaves = [_leaf(keys[0], keys[1:])] if rooted else [_leaf("params", keys), _leaf("metrics", keys)]
    found = [leaf for leaf in leaves if known.has_key(leaf.document, leaf.keys)]
    if len(found) > 1:
        raise QueryError(f"{path_text(keys)} is a param and a metric.", word, column, f"{found[0]}, or {found[1]}")
    if not found:
        names = {document: known.key_names(document) for document in ("params", "metrics")}
        what = (
            f"a {keys[0][:-1]} {path_text(keys[1:])}"
            if rooted
            else f"a param or metric {path_text(keys)}, and no field is called so"
        )
        raise QueryError(f"no run has {what}.", word, column, near_misses(path_text(keys), names))
    return known.key_sql(found[0].document, found[0].keys)
