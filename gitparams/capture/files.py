"""Files of params and of metrics, read with the line of every value: YAML, JSON, TOML, INI, and CSV for metrics."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, NoReturn

from gitparams.capture.objects import key_texts, plain, plain_mapping
from gitparams.capture.overrides import scalar
from gitparams.errors import ParamsFileError, UsageError
from gitparams.params import Layer, Origin, flatten, path_text, to_dict
from gitparams.values import Value

_DEEPEST = 100
_MOST_VALUES_BY_ALIAS = 1_000_000
_YAML = "tag:yaml.org,2002:"
# YAML 1.1 wants a dot and a signed exponent; what has neither dot nor exponent stays with the other resolvers
_FLOAT_OF_YAML_1_2 = re.compile(r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)\Z")
_JSON_PART = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]')
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")

_Lines = dict[str, int]
_Entries = dict[Any, tuple[Any, int]]


def read_params(path: str | os.PathLike[str], *, shown: str | None = None, exact_floats: bool = False) -> Layer:
    """Return the params of a file, each with the place it is written at.

    Args:
        path: a file ending in .yaml, .yml, .json, .toml, .ini, .cfg or .conf, in UTF-8.
        shown: how the file is called in origins and errors; the path itself when not given.
        exact_floats: read ``1e-3`` in YAML as a float, as YAML 1.2 does. Without it YAML is read as PyYAML's
            ``safe_load`` does, since that is what the program gets.

    Raises:
        ParamsFileError: the file cannot be read, is malformed, writes a key twice, or holds no mapping.
        UsageError: its ending is none of those.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "train.yaml")
    >>> _ = file.write_text("optim:\\n  lr: 0.1\\n")
    >>> read_params(file, shown="train.yaml")
    Layer(values={'optim': {'lr': 0.1}}, origins={'optim.lr': Origin(source='file', at='train.yaml:2', overrode=())})
    """
    name = shown if shown is not None else os.fspath(path)
    read = _reader(name, os.fspath(path), _PARAMS_READERS, "params")
    document = _Document(name, _text(path, name), "params", exact_floats)
    values, lines = _whole(document, read)
    somewhere = Origin("file", name)
    origins = {leaf: Origin("file", f"{name}:{lines[leaf]}") if leaf in lines else somewhere for leaf in flatten(values)}
    return Layer(values, origins)


def read_metrics(
    path: str | os.PathLike[str], *, shown: str | None = None
) -> tuple[dict[str, float | int | bool], tuple[str, ...]]:
    """Return the metrics of a file by name, and the names of what is no number and was left out.

    Args:
        path: a file ending as for `read_params`, or in .csv or .tsv, of which the last row counts. Text that looks like
            a number is one.
        shown: how the file is called in errors; the path itself when not given.

    Raises:
        ParamsFileError: the file cannot be read, is malformed, or holds no metrics.
        UsageError: its ending is none of those.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "metrics.csv")
    >>> _ = file.write_text("epoch,val.loss,note\\n0,0.9,\\n1,0.5,best\\n")
    >>> read_metrics(file)
    ({'epoch': 1, 'val.loss': 0.5}, ('note',))
    """
    name = shown if shown is not None else os.fspath(path)
    read = _reader(name, os.fspath(path), _METRICS_READERS, "metrics")
    document = _Document(name, _text(path, name), "metrics")
    values, _ = _whole(document, read)
    numbers: dict[str, float | int | bool] = {}
    left_out = []
    for metric, value in (values if read in (_read_csv, _read_tsv) else flatten(values)).items():
        number = scalar(value.strip()) if isinstance(value, str) else value
        if isinstance(number, (int, float)) and not (isinstance(number, bool) and isinstance(value, str)):
            numbers[metric] = number
        else:
            left_out.append(metric)
    return numbers, tuple(left_out)


@dataclass(frozen=True)
class _Document:
    name: str
    text: str
    what: str
    exact_floats: bool = False

    def error(
        self, problem: str, line: int | None = None, column: int | None = None, hint: str | None = None
    ) -> ParamsFileError:
        return ParamsFileError(self.name, problem, line, column, hint)

    def twice(self, key: str, line: int, first: int) -> ParamsFileError:
        return self.error(f"key {key!r} is written twice, first on line {first}.", line)

    def nothing(self) -> ParamsFileError:
        return self.error(f"the file holds no {self.what}.", hint=_EXAMPLES[self.what])


_EXAMPLES = {
    "params": "a mapping from names to values, as in 'lr: 0.1'; '{}' where there are none",
    "metrics": "a mapping from names to numbers, as in 'acc: 0.93'; '{}' where there are none",
}
_Reader = Callable[[_Document], tuple[Any, _Lines]]


def _reader(name: str, path: str, readers: Mapping[str, _Reader], what: str) -> _Reader:
    suffix = PurePath(path).suffix
    read = readers.get(suffix.lower())
    if read is None:
        *most, last = readers
        ending = f"ends in {suffix}" if suffix else "has no ending"
        raise UsageError(f"{name}: a file of {what} ends in {', '.join(most)} or {last}; this one {ending}.")
    return read


def _text(path: str | os.PathLike[str], name: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise ParamsFileError(name, "there is no such file.") from None
    except IsADirectoryError:
        raise ParamsFileError(name, "it is a folder, not a file.") from None
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise ParamsFileError(name, f"it cannot be read: {reason}.") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"it is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}."
        raise ParamsFileError(name, problem, line, hint="save it as UTF-8") from None


def _whole(document: _Document, read: _Reader) -> tuple[dict[str, Value], _Lines]:
    if not document.text.strip():
        raise document.nothing()
    try:
        values, lines = read(document)
    except RecursionError:
        raise document.error(f"it is nested deeper than {_DEEPEST} levels.") from None
    if not isinstance(values, dict):
        kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
        kind = kinds.get(type(values), "a number")
        raise document.error(f"the file holds {kind}, not a mapping of {document.what}.", hint=_EXAMPLES[document.what])
    return values, lines


# YAML


def _read_yaml(document: _Document) -> tuple[Any, _Lines]:
    import yaml

    try:
        return _YamlReader(document).read()
    except yaml.MarkedYAMLError as error:
        raise _yaml_error(document, error) from None
    except yaml.YAMLError:
        raise _yaml_character_error(document) from None


def _yaml_error(document: _Document, error: Any) -> ParamsFileError:
    mark = error.problem_mark or error.context_mark
    line = document.text.split("\n")[mark.line : mark.line + 1]
    hint = "YAML indents with spaces, and this line has a tab" if "\t" in "".join(line) else None
    return document.error(f"it is not YAML: {error.problem or error.context}.", mark.line + 1, mark.column + 1, hint)


def _yaml_character_error(document: _Document) -> ParamsFileError:
    from yaml.reader import Reader

    match = Reader.NON_PRINTABLE.search(document.text)
    place = match.start() if match else 0
    character = f"character U+{ord(document.text[place]):04X}"
    before = document.text[:place]
    return document.error(f"it is not YAML: {character} is not allowed.", before.count("\n") + 1, place - before.rfind("\n"))


def _yaml_loader(exact_floats: bool) -> Any:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if not exact_floats:
        return loader
    exact = type("ExactFloatLoader", (loader,), {})
    exact.add_implicit_resolver(_YAML + "float", _FLOAT_OF_YAML_1_2, list("-+0123456789."))  # type: ignore[attr-defined]
    return exact


@dataclass
class _Open:
    """A collection whose end was not read yet."""

    kind: str
    anchor: str | None
    line: int
    column: int
    items: list[Any] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    merged: list[tuple[int, Any]] = field(default_factory=list)
    size: int = 1

    @property
    def wants_key(self) -> bool:
        return self.kind in ("map", "set") and len(self.items) % 2 == 0


class _Merge:
    """The key ``<<``."""


@dataclass(frozen=True)
class _Anchored:
    value: Any
    size: int


class _YamlReader:
    """Builds the values straight from the events of the parser.

    PyYAML's own composer recurses in C, and dies with the process on a file that is nested deeply enough; it also forgets
    keys that are written twice. Here depth is a list, and an alias shares the value it names, so that nothing expands
    before its size is known.
    """

    def __init__(self, document: _Document) -> None:
        import yaml

        self.yaml: Any = yaml
        self.document = document
        self.loader = _yaml_loader(document.exact_floats)(document.text)
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Anchored] = {}
        self.entries: dict[int, _Entries] = {}  # by id of the mapping made of them
        self.most = max(_MOST_VALUES_BY_ALIAS, len(document.text))
        self.root: Any = None
        self.documents = 0

    def read(self) -> tuple[Any, _Lines]:
        yaml = self.yaml
        handlers = {
            yaml.ScalarEvent: self.scalar,
            yaml.AliasEvent: self.alias,
            yaml.MappingStartEvent: self.start,
            yaml.SequenceStartEvent: self.start,
            yaml.MappingEndEvent: self.end,
            yaml.SequenceEndEvent: self.end,
            yaml.DocumentStartEvent: self.document_start,
        }
        try:
            while self.loader.check_event():
                event = self.loader.get_event()
                handler = handlers.get(type(event))
                if handler is not None:
                    handler(event)
        finally:
            self.loader.dispose()
        if self.root is None:
            raise self.document.nothing()
        lines: _Lines = {}
        self.collect_lines(self.root, (), lines)
        return (to_dict(self.root) if isinstance(self.root, dict) else self.root), lines

    def document_start(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            self.fail("a second YAML document begins; only one can be read.", event)

    def start(self, event: Any) -> None:
        mark = event.start_mark
        default = "map" if isinstance(event, self.yaml.MappingStartEvent) else "seq"
        tag = _YAML + default if event.tag in (None, "!") else event.tag
        allowed = ("map", "set") if default == "map" else ("seq", "omap", "pairs")
        if tag.removeprefix(_YAML) not in allowed or not tag.startswith(_YAML):
            self.fail_tag(tag, event)
        if self.stack and self.stack[-1].wants_key:
            self.fail("a list or mapping cannot be a key.", event)
        if len(self.stack) >= _DEEPEST:
            self.fail(f"it is nested deeper than {_DEEPEST} levels.", event)
        self.stack.append(_Open(tag.removeprefix(_YAML), event.anchor, mark.line + 1, mark.column + 1))
        if event.anchor is not None:
            self.anchors.pop(event.anchor, None)

    def end(self, event: Any) -> None:
        done = self.stack.pop()
        value: Any
        if done.kind == "map":
            value = self.mapping(done)
        elif done.kind == "set":
            value = plain(set(done.items[::2]))
        elif done.kind == "seq":
            value = done.items
        else:
            value = self.pairs(done)
        self.add(value, done.size, done.anchor, done.line)

    def scalar(self, event: Any) -> None:
        tag = event.tag
        if tag is None or tag == "!":
            implicit = (True, False) if tag == "!" else event.implicit
            tag = self.loader.resolve(self.yaml.ScalarNode, event.value, implicit)
        line = event.start_mark.line + 1
        wants_key = bool(self.stack) and self.stack[-1].wants_key
        if wants_key and tag == _YAML + "merge":
            self.add(_Merge, 1, event.anchor, line)
            return
        value = self.constructed(tag, event)
        self.add(value if wants_key else plain(value), 1, event.anchor, line)

    def constructed(self, tag: str, event: Any) -> Any:
        if tag == _YAML + "str":
            return event.value
        if tag in (_YAML + "value", _YAML + "merge"):  # a lone "=" or "<<", which PyYAML cannot construct
            return event.value
        if tag.removeprefix(_YAML) not in ("null", "bool", "int", "float", "binary", "timestamp"):
            self.fail_tag(tag, event)
        node = self.yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        try:
            return self.loader.yaml_constructors[tag](self.loader, node)
        except (ValueError, LookupError, ArithmeticError, AttributeError):  # what PyYAML's constructors trip over
            shown = event.value if len(event.value) <= 40 else event.value[:40] + "…"
            self.fail(f"{shown!r} cannot be read as {tag.removeprefix(_YAML)}.", event)

    def alias(self, event: Any) -> None:
        anchored = self.anchors.get(event.anchor)
        if anchored is None:
            if any(around.anchor == event.anchor for around in self.stack):
                self.fail(f"the alias *{event.anchor} is inside of what it stands for.", event)
            self.fail(f"the alias *{event.anchor} stands for nothing: there is no &{event.anchor} before it.", event)
        if self.stack and self.stack[-1].wants_key and isinstance(anchored.value, (list, dict)):
            self.fail("a list or mapping cannot be a key.", event)
        self.add(anchored.value, anchored.size, None, event.start_mark.line + 1)

    def add(self, value: Any, size: int, anchor: str | None, line: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = _Anchored(value, size)
        if not self.stack:
            self.root = value
            return
        into = self.stack[-1]
        into.size += size
        if into.size > self.most:
            raise self.document.error(f"its aliases stand for more than {self.most:,} values.", line)
        if into.wants_key:
            into.lines.append(line)
        into.items.append(value)

    def mapping(self, done: _Open) -> dict[str, Any]:
        own: _Entries = {}
        merged: _Entries = {}
        for key, value, line in zip(done.items[::2], done.items[1::2], done.lines, strict=True):
            if key is _Merge:
                merged = {**merged, **self.merged(value, line)}
                continue
            if key in own:
                raise self.document.twice(key_texts([key])[0], line, own[key][1])
            own[key] = value, line
        return self.named({**merged, **own})

    def named(self, entries: _Entries) -> dict[str, Any]:
        values = [value for value, _ in entries.values()]
        result = dict(zip(key_texts(list(entries)), values, strict=True))
        self.entries[id(result)] = entries
        return result

    def merged(self, value: Any, line: int) -> _Entries:
        result: _Entries = {}
        for source in reversed(value if isinstance(value, list) else [value]):  # of several, the first wins
            if not isinstance(source, dict):
                raise self.document.error("'<<' merges a mapping or a list of mappings, nothing else.", line)
            result.update(self.entries[id(source)])
        return result

    def pairs(self, done: _Open) -> list[Any]:
        for item in done.items:
            if not isinstance(item, dict) or len(item) != 1:
                raise self.document.error(f"!!{done.kind} is a list of mappings with one key each.", done.line, done.column)
        return [[key, value] for item in done.items for key, value in item.items()]

    def collect_lines(self, value: Any, keys: tuple[str, ...], lines: _Lines) -> None:
        if not isinstance(value, dict):
            return
        for key, (item, line) in zip(value, self.entries[id(value)].values(), strict=True):
            if isinstance(item, dict) and item:
                self.collect_lines(item, (*keys, key), lines)
            else:
                lines[path_text((*keys, key))] = line

    def fail_tag(self, tag: str, event: Any) -> NoReturn:
        written = "!!" + tag.removeprefix(_YAML) if tag.startswith(_YAML) else tag
        self.fail(f"the tag {written} cannot be read: params are plain YAML.", event)

    def fail(self, problem: str, event: Any) -> NoReturn:
        raise self.document.error(problem, event.start_mark.line + 1, event.start_mark.column + 1)


# JSON


def _read_json(document: _Document) -> tuple[Any, _Lines]:
    import json

    try:
        values = json.loads(document.text)
    except json.JSONDecodeError as error:
        problem = error.msg[:1].lower() + error.msg[1:]
        raise document.error(f"it is not JSON: {problem}.", error.lineno, error.colno) from None
    except ValueError:  # int() refuses more digits than sys.get_int_max_str_digits()
        raise document.error("it holds a number of more than 4300 digits.") from None
    return values, _json_lines(document)


def _json_lines(document: _Document) -> _Lines:
    """Return the line of every key that no list holds; the text is known to be JSON."""
    text, lines = document.text, {}
    line, counted = 1, 0
    inside: list[_Lines | None] = []  # the keys of each object that is open, None for a list
    keys: list[str] = []
    wants_key = False
    for match in _JSON_PART.finditer(text):
        part = match[0]
        if part == ",":
            wants_key = inside[-1] is not None
        elif part in "{[":
            inside.append({} if part == "{" else None)
            keys.append("")
            wants_key = part == "{"
            if len(inside) > _DEEPEST:
                raise document.error(f"it is nested deeper than {_DEEPEST} levels.", text.count("\n", 0, match.start()) + 1)
        elif part in "}]":
            inside.pop()
            keys.pop()
            wants_key = False
        elif wants_key:
            wants_key = False
            line, counted = line + text.count("\n", counted, match.start()), match.start()
            keys[-1] = _json_key(document, part, line, inside[-1] or {})
            seen = inside[-1]
            if seen is not None:
                seen[keys[-1]] = line
            if None not in inside:
                lines[path_text(tuple(keys))] = line
    return lines


def _json_key(document: _Document, part: str, line: int, seen: _Lines) -> str:
    import json

    key: str = json.loads(part) if "\\" in part else part[1:-1]
    if key in seen:
        raise document.twice(key, line, seen[key])
    return key


# TOML, INI


def _read_toml(document: _Document) -> tuple[Any, _Lines]:
    import tomllib

    try:
        values = plain_mapping(tomllib.loads(document.text))
    except tomllib.TOMLDecodeError as error:
        match = _TOML_PLACE.search(str(error))
        problem = str(error)[: match.start()] if match else str(error)
        line, column = (int(match[1]), int(match[2])) if match and match[1] else (document.text.rstrip().count("\n") + 1, None)
        raise document.error(f"it is not TOML: {problem[:1].lower()}{problem[1:]}.", line, column) from None
    except ValueError:  # int() refuses more digits than sys.get_int_max_str_digits()
        raise document.error("it holds a number of more than 4300 digits.") from None
    if not values:
        raise document.nothing()
    return values, {}


def _read_ini(document: _Document) -> tuple[Any, _Lines]:
    parsed = _parsed_ini(document)
    values: dict[str, Value] = {}
    if parsed.has_section("DEFAULT"):
        values.update({key: scalar(text) for key, text in parsed.items("DEFAULT")})
    for section in parsed.sections():
        if section in values:
            raise document.error(f"{section!r} is a key of [DEFAULT] and a section.")
        if section != "DEFAULT":
            values[section] = {key: scalar(text) for key, text in parsed.items(section)}
    if not values:
        raise document.nothing()
    return values, {}


def _parsed_ini(document: _Document) -> Any:
    import configparser

    # [DEFAULT] is read as a section like any other: its keys belong to the top, not into each section
    parser = configparser.ConfigParser(interpolation=None, strict=True, default_section="\0")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(document.text)
    except configparser.MissingSectionHeaderError as error:
        raise document.error("it is not INI: there is no [section] before this line.", error.lineno) from None
    except configparser.DuplicateSectionError as error:
        raise document.error(f"section [{error.section}] is written twice.", error.lineno) from None
    except configparser.DuplicateOptionError as error:
        raise document.error(f"key {error.option!r} is written twice in [{error.section}].", error.lineno) from None
    except configparser.ParsingError as error:
        raise document.error("it is not INI: the line has no '=' or ':'.", error.errors[0][0]) from None
    return parser


# CSV


def _read_csv(document: _Document) -> tuple[Any, _Lines]:
    return _table(document, ","), {}


def _read_tsv(document: _Document) -> tuple[Any, _Lines]:
    return _table(document, "\t"), {}


def _table(document: _Document, delimiter: str) -> dict[str, Value]:
    import csv
    from io import StringIO

    rows = csv.reader(StringIO(document.text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    last: list[str] = []
    try:
        for row in rows:
            if any(cell.strip() for cell in row):
                header, last = (header, row) if header else (row, [])
    except csv.Error as error:
        raise document.error(f"it is not a table: {error}.", rows.line_num) from None
    return _last_row(document, [name.strip() for name in header], last)


def _last_row(document: _Document, header: list[str], row: list[str]) -> dict[str, Value]:
    if all(isinstance(scalar(name), (int, float)) for name in header if name):
        raise document.error("the first row holds numbers, not the names of metrics.", 1)
    if not row:
        raise document.error("the table holds no row of metrics, only its header.")
    repeated = next((name for place, name in enumerate(header) if name and name in header[:place]), None)
    if repeated is not None:
        raise document.error(f"column {repeated!r} is there twice.", 1)
    if len(row) > len(header):
        raise document.error(f"the last row has {len(row)} cells, the header {len(header)}.")
    cells = [cell.strip() for cell in row] + [""] * (len(header) - len(row))
    return {name: _cell(text) for name, text in zip(header, cells, strict=True) if name}


def _cell(text: str) -> Value:
    value = scalar(text)
    return value if text else None


_PARAMS_READERS: dict[str, _Reader] = {
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
    ".toml": _read_toml,
    ".ini": _read_ini,
    ".cfg": _read_ini,
    ".conf": _read_ini,
}
_METRICS_READERS: dict[str, _Reader] = {**_PARAMS_READERS, ".csv": _read_csv, ".tsv": _read_tsv}
