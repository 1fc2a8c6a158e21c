"""Python modules as files of params: the constants that they assign at their top level, read and never executed."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gitparams.capture.document import Document, Lines, check_size
from gitparams.capture.objects import key_texts, plain_mapping
from gitparams.params import path_text
from gitparams.values import Value

if TYPE_CHECKING:
    import ast

_LARGEST_MODULE = 4 * 1024 * 1024  # the syntax tree takes a hundred times the memory of its text
_MOST_BITS = 4096
_LONGEST = 100_000
_MOST_VALUES = 100_000
_CHANGING_LISTS = frozenset({"append", "extend", "insert", "remove", "reverse", "sort"})
_CHANGING = _CHANGING_LISTS | {"add", "clear", "discard", "pop", "popitem", "setdefault", "update"}

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
    "Pow": operator.pow,
    "LShift": operator.lshift,
    "RShift": operator.rshift,
    "BitOr": operator.or_,
    "BitAnd": operator.and_,
    "BitXor": operator.xor,
}
_SIGNS: dict[str, Callable[[Any], Any]] = {
    "UAdd": operator.pos,
    "USub": operator.neg,
    "Invert": operator.invert,
    "Not": operator.not_,
}


def read_python(document: Document) -> tuple[dict[str, Value], Lines]:
    """Return the constants of a Python module, and the line of each.

    A constant is a name without a leading underscore that the module's top level assigns a literal, arithmetic on numbers,
    text put together, ``dict(a=1)``, ``float("inf")``, or what is made of these and of constants above it. What is not
    constant is left out: a name that an ``if`` or a loop assigns too, a key of a dict whose value is computed. Of a name
    that is assigned twice, the later counts.

    Raises:
        ParamsFileError: the module is no Python, is larger than 4 MiB, or has no constants.

    >>> text = "LR = 1e-3\\nBATCH = 8 * 32\\nMODEL = build()\\nDATA = {\\n  'root': 'x'}\\n"
    >>> read_python(Document("train.py", text, "params"))
    ({'LR': 0.001, 'BATCH': 256, 'DATA': {'root': 'x'}}, {'LR': 1, 'BATCH': 2, 'DATA.root': 5})
    """
    constants = _Constants()
    for statement in _parsed(document).body:
        constants.run(statement)
    known = _constant_part(constants.known)
    public = _Mapping({name: value for name, value in known.items() if not name.startswith("_")}, known.lines)
    if not public:
        raise document.nothing("constants at the top level of the module, as in LR = 0.1")
    lines: Lines = {}
    _collect_lines(public, (), lines)
    return plain_mapping(public), lines


def _parsed(document: Document) -> ast.Module:
    import ast
    import warnings

    check_size(len(document.text), document.name, _LARGEST_MODULE, "a Python module")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(document.text)
    except SyntaxError as error:
        problem = f"it is not Python: {error.msg}."
        raise document.error(problem, error.lineno, error.offset or None) from None
    except (MemoryError, RecursionError, ValueError):  # thousands of operators in a row; a NUL before Python 3.12
        raise document.error("it is not Python that can be parsed.") from None


class _NotConstant(Exception):
    """What an expression is can only be known by executing it."""


_COMPUTED = object()
"""Stands in a dict for a value that is not constant, so that the key hides an earlier one as it does in the program."""


class _Mapping(dict[Any, Any]):
    """A dict of the module that knows the line of each key."""

    def __init__(self, items: Mapping[Any, Any], lines: Mapping[Any, int]) -> None:
        super().__init__(items)
        self.lines = dict(lines)


class _Constants:
    """The names of a module and their values, statement by statement."""

    def __init__(self) -> None:
        self.known = _Mapping({}, {})
        self.left = _MOST_VALUES

    def run(self, statement: ast.stmt) -> None:
        import ast

        if isinstance(statement, ast.Assign):
            self.assign(statement.targets, statement.value)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            self.assign([statement.target], statement.value)
        elif isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            name = ast.Name(statement.target.id, ast.Load())
            self.assign([statement.target], ast.BinOp(name, statement.op, statement.value), changed=name.id)
        elif not isinstance(statement, ast.AnnAssign):
            self.forget(statement)

    def assign(self, targets: Sequence[ast.expr], expression: ast.expr, changed: str | None = None) -> None:
        import ast

        try:
            # two names for one list or dict, as in the program
            value = self.referenced(expression.id) if isinstance(expression, ast.Name) else self.value(expression)
        except (_NotConstant, RecursionError):
            value = _COMPUTED
        self.forget(expression)
        if changed is not None and _holds(self.known.get(changed)):
            self.forget_object(changed)
        for target in targets:
            self.bind(target, value)

    def bind(self, target: ast.expr, value: Any) -> None:
        import ast

        if isinstance(target, ast.Name):
            self.known[target.id], self.known.lines[target.id] = value, target.lineno
        elif isinstance(target, (ast.Tuple, ast.List)) and _fits(target, value):
            for inner, item in zip(target.elts, value, strict=True):
                self.bind(inner, item)
        elif isinstance(target, ast.Subscript) and self.set_item(target, value):
            return
        else:
            self.forget(target)

    def set_item(self, target: ast.Subscript, value: Any) -> bool:
        try:
            inside, key = self.place(target.value), self.value(target.slice)
        except _NotConstant:
            return False
        if not isinstance(inside, _Mapping) or not _hashable(key):
            return False
        inside[key], inside.lines[key] = _copied(value), target.lineno
        return True

    def place(self, node: ast.expr) -> Any:
        """Return the very object that ``CONFIG["optim"]`` names, to be changed."""
        import ast

        if isinstance(node, ast.Name):
            return self.known.get(node.id)
        if isinstance(node, ast.Subscript):
            return self.item(self.place(node.value), self.value(node.slice))
        raise _NotConstant

    def forget(self, tree: ast.AST) -> None:
        """Forget each name that a piece of the module binds, and each list or dict that it changes."""
        import ast

        for node in _executed(tree):
            for name in _bound(node):
                self.known[name] = _COMPUTED
            if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
                self.forget_object(_root(node))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
                self.forget_object(_root(node.func))

    def forget_object(self, name: str) -> None:
        value = self.known.get(name, _COMPUTED)
        self.known.update({other: _COMPUTED for other, known in self.known.items() if known is value and _holds(value)})

    def value(self, node: ast.expr) -> Any:
        """Return the value of an expression. Raises `_NotConstant`."""
        import ast

        if isinstance(node, ast.Constant):
            return _small(node.value)
        if isinstance(node, ast.Name):
            return _copied(self.referenced(node.id))
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return self.items(node)
        if isinstance(node, ast.Dict):
            return self.mapping(zip(node.keys, node.values, strict=True))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self.called(node.func.id, node)
        if isinstance(node, ast.BinOp):
            return _combined(type(node.op).__name__, self.value(node.left), self.value(node.right))
        if isinstance(node, ast.UnaryOp):
            return _signed(type(node.op).__name__, self.value(node.operand))
        if isinstance(node, ast.Subscript):
            return self.item(self.value(node.value), self.value(node.slice))
        raise _NotConstant

    def referenced(self, name: str) -> Any:
        value = self.known.get(name, _COMPUTED)
        if value is _COMPUTED:
            raise _NotConstant
        self.left -= _size(value)
        if self.left < 0:  # lists of lists of lists would double with each line
            raise _NotConstant
        return value

    def items(self, node: ast.List | ast.Tuple | ast.Set) -> Any:
        import ast

        items: list[Any] = []
        for element in node.elts:
            if isinstance(element, ast.Starred):
                several = self.value(element.value)
                items.extend(several if isinstance(several, (list, tuple)) else _refuse())
            else:
                items.append(self.value(element))
        if not all(map(_complete, items)):
            raise _NotConstant
        if isinstance(node, ast.Set):
            return set(items) if all(map(_hashable, items)) else _refuse()
        return items if isinstance(node, ast.List) else tuple(items)

    def mapping(self, pairs: Iterable[tuple[ast.expr | None, ast.expr]]) -> _Mapping:
        result = _Mapping({}, {})
        for key_node, node in pairs:
            if key_node is None:
                other = self.value(node)
                result = _merged(result, other) if isinstance(other, _Mapping) else _refuse()
                continue
            key = self.value(key_node)
            if not _hashable(key):
                raise _NotConstant
            result.lines[key] = key_node.lineno
            try:
                result[key] = self.value(node)
            except _NotConstant:
                result[key] = _COMPUTED
        return result

    def called(self, name: str, node: ast.Call) -> Any:
        import ast

        if name in self.known:  # the module has its own float or dict
            raise _NotConstant
        if name == "float" and len(node.args) == 1 and not node.keywords:
            return _float(self.value(node.args[0]))
        if name != "dict" or len(node.args) > 1:
            raise _NotConstant
        pairs: list[tuple[ast.expr | None, ast.expr]] = [(None, argument) for argument in node.args]
        for keyword in node.keywords:
            key = None if keyword.arg is None else ast.copy_location(ast.Constant(keyword.arg), keyword)
            pairs.append((key, keyword.value))
        return self.mapping(pairs)

    def item(self, inside: Any, key: Any) -> Any:
        found = inside.get(key, _COMPUTED) if isinstance(inside, _Mapping) and _hashable(key) else _COMPUTED
        return found if found is not _COMPUTED else _refuse()


def _refuse() -> Any:
    raise _NotConstant


def _small(value: Any) -> Any:
    if value is Ellipsis or (isinstance(value, int) and value.bit_length() > _MOST_BITS):
        raise _NotConstant
    return value


def _combined(name: str, left: Any, right: Any) -> Any:
    if _number(left) and _number(right):
        return _calculated(name, left, right)
    if name == "Add" and type(left) is type(right) and isinstance(left, (str, list, tuple)):
        if isinstance(left, str) and len(left) + len(right) > _LONGEST:
            raise _NotConstant
        return left + right
    if name == "Mult" and isinstance(left, (str, list, tuple)) and isinstance(right, int):
        if (len(left) if isinstance(left, str) else _size(left)) * right > _LONGEST:
            raise _NotConstant
        return _copied(left) * right
    if name == "BitOr" and isinstance(left, _Mapping) and isinstance(right, _Mapping):
        return _merged(left, right)
    raise _NotConstant


def _calculated(name: str, left: Any, right: Any) -> Any:
    if name not in _ARITHMETIC or (name in ("Pow", "LShift") and not _bounded(name, left, right)):
        raise _NotConstant
    try:
        result = _ARITHMETIC[name](left, right)
    except (ArithmeticError, TypeError, ValueError):  # 1 / 0, 1.5 << 2, 1 << -1
        raise _NotConstant from None
    return _small(result) if _number(result) else _refuse()


def _bounded(name: str, left: Any, right: Any) -> bool:
    if not isinstance(left, int) or not isinstance(right, int) or right < 0:
        return True
    return (left.bit_length() if name == "Pow" else 1) * right <= _MOST_BITS


def _signed(name: str, value: Any) -> Any:
    if not _number(value) or (name == "Invert" and not isinstance(value, int)):
        raise _NotConstant
    return _SIGNS[name](int(value) if name == "Invert" else value)


def _float(value: Any) -> float:
    if not isinstance(value, (str, int, float)):
        raise _NotConstant
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise _NotConstant from None


def _number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _holds(value: Any) -> bool:
    return isinstance(value, (list, dict, set, tuple))


def _hashable(key: Any) -> bool:
    if isinstance(key, tuple):
        return all(map(_hashable, key))
    return not isinstance(key, (list, dict, set))


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_size, value.values()))
    if isinstance(value, (list, tuple, set)):
        return 1 + sum(map(_size, value))
    return 1 + len(value) // 100 if isinstance(value, (str, bytes)) else 1


def _copied(value: Any) -> Any:
    if isinstance(value, _Mapping):
        return _Mapping({key: _copied(item) for key, item in value.items()}, value.lines)
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(item) for item in value)
    return value


def _complete(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_complete, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_complete, value))
    return value is not _COMPUTED


def _constant_part(values: _Mapping) -> _Mapping:
    """Return a mapping without what is computed, and without dicts of which nothing is left."""
    result = _Mapping({}, values.lines)
    for key, value in values.items():
        kept = _constant_part(value) if isinstance(value, _Mapping) else value
        if kept is not _COMPUTED and (kept or not isinstance(value, _Mapping) or not value):
            result[key] = kept
    return result


def _merged(lower: _Mapping, upper: _Mapping) -> _Mapping:
    return _Mapping({**lower, **upper}, {**lower.lines, **upper.lines})


def _fits(target: ast.Tuple | ast.List, value: Any) -> bool:
    import ast

    several = isinstance(value, (list, tuple)) and len(target.elts) == len(value)
    return several and not any(isinstance(inner, ast.Starred) for inner in target.elts)


def _root(node: ast.AST) -> str:
    """Return the name at the beginning of ``name.a[0].b``, or nothing."""
    import ast

    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when the module does: not the insides of functions and classes."""
    import ast

    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(node))


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node, without those inside of it, gives a value to or takes away."""
    import ast

    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).partition(".")[0]
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        yield from [node.name] if node.name else []


def _collect_lines(values: _Mapping, keys: tuple[str, ...], lines: Lines) -> None:
    for text, (key, item) in zip(key_texts(list(values)), values.items(), strict=True):
        if isinstance(item, _Mapping) and item:
            _collect_lines(item, (*keys, text), lines)
        else:
            lines[path_text((*keys, text))] = values.lines[key]
