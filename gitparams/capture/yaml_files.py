"""YAML files: the values as PyYAML gives them to the program, each with its line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from gitparams.capture.document import DEEPEST, Document, Lines
from gitparams.capture.objects import key_texts, plain
from gitparams.errors import ParamsFileError
from gitparams.params import path_text, to_dict

_MOST_VALUES_BY_ALIAS = 1_000_000
_YAML = "tag:yaml.org,2002:"
# YAML 1.1 wants a dot and a signed exponent; what has neither dot nor exponent stays with the other resolvers
_FLOAT_OF_YAML_1_2 = re.compile(r"[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)\Z")

_Entries = dict[Any, tuple[Any, int]]


@dataclass(frozen=True, slots=True)
class Scalar:
    """One scalar of a YAML file as it is written, and what it is read as.

    Attributes:
        keys: the path of the leaf it belongs to; for a key, its own path.
        is_key: whether it is a key.
        quoted: whether it is in quotes.
        tag: what it is resolved to, without the prefix of YAML's own tags: ``str``, ``int``, ``timestamp`` …
        text: as written, without quotes.
        value: what PyYAML makes of it.
        line: counted from 1.
        column: counted from 1.
    """

    keys: tuple[str, ...]
    is_key: bool
    quoted: bool
    tag: str
    text: str
    value: Any
    line: int
    column: int


def read_yaml(document: Document, watch: Callable[[Scalar], None] | None = None) -> tuple[Any, Lines]:
    """Return what a YAML file holds, and the line of each leaf.

    Args:
        document: the file.
        watch: is called with each scalar that stands in one line, plain or in quotes, and has no tag of its own.

    Raises:
        ParamsFileError: it is malformed, writes a key twice, or holds what is no plain YAML.

    >>> read_yaml(Document("train.yaml", "optim:\\n  lr: 0.1\\n", "params"))
    ({'optim': {'lr': 0.1}}, {'optim.lr': 2})
    """
    import yaml

    try:
        return _YamlReader(document, watch).read()
    except yaml.MarkedYAMLError as error:
        raise _yaml_error(document, error) from None
    except yaml.YAMLError:
        raise _yaml_character_error(document) from None


def _yaml_error(document: Document, error: Any) -> ParamsFileError:
    mark = error.problem_mark or error.context_mark
    if "nesting depth" in str(error.problem):  # PyYAML 6.0.4 reads ahead, and gives up before a thousandth level
        return document.too_deep(mark.line + 1, mark.column + 1)
    line = document.text.split("\n")[mark.line : mark.line + 1]
    hint = "YAML indents with spaces, and this line has a tab" if "\t" in "".join(line) else None
    return document.error(f"it is not YAML: {error.problem or error.context}.", mark.line + 1, mark.column + 1, hint)


def _yaml_character_error(document: Document) -> ParamsFileError:
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

    def __init__(self, document: Document, watch: Callable[[Scalar], None] | None) -> None:
        import yaml

        self.yaml: Any = yaml
        self.document, self.watch = document, watch
        self.loader = _yaml_loader(document.exact_floats)(document.text)
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Anchored] = {}
        self.entries: dict[int, _Entries] = {}  # by id of the mapping made of them
        self.most = max(_MOST_VALUES_BY_ALIAS, len(document.text))
        self.root: Any = None
        self.documents = 0

    def read(self) -> tuple[Any, Lines]:
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
        lines: Lines = {}
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
        if len(self.stack) >= DEEPEST:
            raise self.document.too_deep(mark.line + 1, mark.column + 1)
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
        if self.watch is not None and event.tag is None and event.style not in ("|", ">"):
            self.watch(self.seen(wants_key, tag, value, event))
        self.add(value if wants_key else plain(value), 1, event.anchor, line)

    def seen(self, is_key: bool, tag: str, value: Any, event: Any) -> Scalar:
        above = [around for around in self.stack if len(around.items) % 2 and around.kind in ("map", "set")]
        keys = [around.items[-1] for around in above] + ([value] if is_key else [])
        written = tuple(key_texts([key])[0] for key in keys if key is not _Merge)
        mark = event.start_mark
        text = event.value
        return Scalar(written, is_key, bool(event.style), tag.removeprefix(_YAML), text, value, mark.line + 1, mark.column + 1)

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

    def collect_lines(self, value: Any, keys: tuple[str, ...], lines: Lines) -> None:
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
