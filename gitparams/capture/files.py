"""Files of params and of metrics, read with the line of every value.

YAML, JSON, TOML, INI, ``.env`` and Python modules with constants hold params; the first four hold metrics too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import glob, has_magic
from io import StringIO
from pathlib import Path, PurePath
from typing import Any

from gitparams.capture.document import DEEPEST, Document, Lines, check_size, decoded, opened
from gitparams.capture.env_files import read_env
from gitparams.capture.objects import plain_mapping
from gitparams.capture.overrides import scalar, split_override
from gitparams.capture.python_files import read_python
from gitparams.capture.yaml_files import read_yaml
from gitparams.errors import ParamsFileError, UsageError
from gitparams.params import Layer, Origin, flatten, leaves, path_text, put, stack
from gitparams.values import Value

# possessive: a long text is gone through once, and costs no memory
_JSON_PART = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]:,]')
_TOML_KEY = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|[A-Za-z0-9_-]+')
_TOML_KEYS = rf"(?:{_TOML_KEY.pattern})(?:[ \t]*\.[ \t]*(?:{_TOML_KEY.pattern}))*"
# at the beginning of a line; what stands between two statements are blanks and comments
_TOML_STATEMENT = re.compile(
    rf"^[ \t]*(?:\[\[?[ \t]*(?P<table>{_TOML_KEYS})[ \t]*\]|(?P<key>{_TOML_KEYS})[ \t]*=)", re.MULTILINE
)
_TOML_PART = re.compile(
    r'"""[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+"{3,5}|'
    r"'''.*?'{3,5}"
    r'|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|'
    r"'[^'\n]*+'|\#[^\n]*|[\[\]{}\n]",
    re.DOTALL,
)
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")


def read_params(path: str | os.PathLike[str], *, shown: str | None = None, exact_floats: bool = False) -> Layer:
    """Return the params of a file, each with the place it is written at.

    Args:
        path: a file ending in .yaml, .yml, .json, .toml, .ini, .cfg, .conf, .env or .py, or named .env.something, in
            UTF-8. Of a Python module the constants are read; it is not executed.
        shown: how the file is called in origins and errors; the path itself when not given.
        exact_floats: read ``1e-3`` in YAML as a float, as YAML 1.2 does. Without it YAML is read as PyYAML's
            ``safe_load`` does, since that is what the program gets.

    Raises:
        ParamsFileError: the file cannot be read, is too large or malformed, writes a key twice, or holds no mapping.
        UsageError: its ending is none of those.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "train.yaml")
    >>> _ = file.write_text("optim:\\n  lr: 0.1\\n")
    >>> read_params(file, shown="train.yaml")
    Layer(values={'optim': {'lr': 0.1}}, origins={'optim.lr': Origin(source='file', at='train.yaml:2', overrode=())})
    """
    name = shown if shown is not None else os.fspath(path)
    _reader(name, os.fspath(path), _PARAMS_READERS, "params")
    return read_params_text(content(path, name), os.fspath(path), name, exact_floats=exact_floats)


def read_params_text(data: bytes, name: str, shown: str, *, exact_floats: bool = False) -> Layer:
    """Return the params of a file whose bytes are at hand, as those of a file at a git revision are.

    Args:
        data: what the file holds.
        name: its name or path, whose ending says how it is read, as in `read_params`.
        shown: how it is called in origins and errors.
        exact_floats: as in `read_params`.

    Raises:
        ParamsFileError, UsageError: as in `read_params`.

    >>> read_params_text(b"LR=0.1", ".env", "v1:.env")
    Layer(values={'LR': 0.1}, origins={'LR': Origin(source='file', at='v1:.env:1', overrode=())})
    """
    read = _reader(shown, name, _PARAMS_READERS, "params")
    values, lines = whole(Document(shown, decoded(data, shown), "params", exact_floats), read)
    somewhere = Origin("file", shown)
    origins = {leaf: Origin("file", f"{shown}:{lines[leaf]}") if leaf in lines else somewhere for leaf in flatten(values)}
    return Layer(values, origins)


@dataclass(frozen=True, slots=True)
class ParamsFile:
    """One file of params that a word named.

    Attributes:
        path: where it is.
        shown: how it is called: as the word had it, or relative to the top where a glob found it.
        prefix: the keys that its values go below.
    """

    path: Path
    shown: str
    prefix: tuple[str, ...] = ()


def params_words(words: Sequence[str], top: Path) -> tuple[ParamsFile, ...]:
    """Return the files that words name, in the order of the words; those of one glob are sorted.

    Args:
        words: each a file, a glob such as ``conf/*.yaml`` or ``conf/**/*.yaml`` (no wildcard matches a hidden file), or
            one of these with a prefix, ``data.aug=conf/aug.yaml``, below which its values go. A file whose name has an
            ``=`` in it wins over a prefix.
        top: the folder that they are relative to.

    Raises:
        ParamsFileError: there is no such file, or no file matches.

    >>> import pathlib, tempfile
    >>> top = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (top / "b.yaml").write_text("x: 1"), (top / "a.yaml").write_text("x: 2")
    >>> [(file.shown, file.prefix) for file in params_words(["*.yaml", "data.aug=b.yaml"], top)]
    [('a.yaml', ()), ('b.yaml', ()), ('b.yaml', ('data', 'aug'))]
    """
    return tuple(file for word in words for file in _named(word, top))


def read_params_files(words: Sequence[str], top: Path, *, exact_floats: bool = False) -> Layer:
    """Return the params of all files that words name, stacked: the later wins, and what it overrode is remembered.

    Args:
        words: as in `params_words`.
        top: the folder that they are relative to.
        exact_floats: as in `read_params`.

    Raises:
        ParamsFileError, UsageError: as in `params_words` and `read_params`.
    """
    files = params_words(words, top)
    return stack([_below(file, read_params(file.path, shown=file.shown, exact_floats=exact_floats)) for file in files])


def read_params_tree(
    words: Sequence[str], names: Sequence[str], read: Callable[[str], bytes], revision: str, *, exact_floats: bool = False
) -> list[Layer]:
    """Return the params of the files that words name in a tree of git, a layer a file; a word that names none is passed over.

    Args:
        words: as in `params_words`.
        names: the files of the tree, from its top.
        read: returns the bytes of one of them.
        revision: how the tree is called in origins and errors.
        exact_floats: as in `read_params`.

    Raises:
        ParamsFileError, UsageError: as in `read_params`.

    >>> [layer.values for layer in read_params_tree(["data=*.yaml"], ["a.yaml", "c/b.yaml"], lambda name: b"x: 1", "v1")]
    [{'data': {'x': 1}}]
    """
    layers = []
    for word in words:
        prefix: tuple[str, ...] = ()
        found = _in_tree(word, names)
        if not found and "=" in word:
            prefix, rest = _prefix(word)
            found = _in_tree(rest, names)
        for name in found:
            shown = f"{revision}:{name}"
            layer = read_params_text(read(name), name, shown, exact_floats=exact_floats)
            layers.append(_below(ParamsFile(Path(name), shown, prefix), layer))
    return layers


def tree_files(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return those of some files of a tree that words name, as `read_params_tree` finds them.

    >>> tree_files(["data=*.yaml", "conf/**/*.json"], ["a.yaml", "conf/x/b.json", "train.py"])
    ['a.yaml', 'conf/x/b.json']
    """
    return [name for word in words for name in _in_tree(word, names) or _in_tree(word.partition("=")[2], names)]


def _in_tree(word: str, names: Sequence[str]) -> list[str]:
    pattern = PurePath(word).parts
    return sorted(name for name in names if name == word or _fits(PurePath(name).parts, pattern))


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Tell whether the parts of a path fit those of a glob, in which ``**`` stands for any number of them."""
    if not parts or not pattern:
        return not parts and set(pattern) <= {"**"}
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or _fits(parts[1:], pattern)
    hidden = parts[0].startswith(".") and not pattern[0].startswith(".")
    return not hidden and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _named(word: str, top: Path) -> list[ParamsFile]:
    prefix: tuple[str, ...] = ()
    rest, found = word, _matching(word, top)
    if not found and "=" in word:
        prefix, rest = _prefix(word)
        found = _matching(rest, top)
    if not found:
        problem = "no file matches." if has_magic(rest) else "there is no such file."
        raise ParamsFileError(rest, problem)
    return [ParamsFile(top / name, name, prefix) for name in found]


def _prefix(word: str) -> tuple[tuple[str, ...], str]:
    try:
        return split_override(word)
    except UsageError:
        raise ParamsFileError(word, "there is no such file.") from None


def _matching(word: str, top: Path) -> list[str]:
    if os.path.lexists(top / word):
        return [word]
    if not has_magic(word):
        return []
    names = {PurePath(name).as_posix() for name in glob(word, root_dir=top, recursive=True)}  # noqa: PTH207 - may be absolute
    return sorted(name for name in names if (top / name).is_file())


def _below(file: ParamsFile, found: Layer) -> Layer:
    if not file.prefix:
        return found
    values: dict[str, Value] = {}
    put(values, file.prefix, dict(found.values))
    above = path_text(file.prefix)
    if not found.values:
        return Layer(values, {above: Origin("file", file.shown)})
    origins = {above + (path if path.startswith("[") else f".{path}"): origin for path, origin in found.origins.items()}
    return Layer(values, origins)


def read_metrics(
    path: str | os.PathLike[str], *, shown: str | None = None, others: Sequence[str] = ()
) -> tuple[dict[str, float | int | bool], tuple[str, ...]]:
    """Return the metrics of a file by name, and the names of what is no number and was left out.

    Args:
        path: a file ending in .yaml, .yml, .json, .toml, .ini, .cfg or .conf. Text that looks like a number is one.
        shown: how the file is called in errors; the path itself when not given.
        others: endings that are read elsewhere; the error about an ending lists them too.

    Raises:
        ParamsFileError: the file cannot be read, is malformed, or holds no metrics.
        UsageError: its ending is none of those.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "metrics.yaml")
    >>> _ = file.write_text("epoch: 1\\nval:\\n  loss: 0.5\\nnote: best\\n")
    >>> read_metrics(file)
    ({'epoch': 1, 'val.loss': 0.5}, ('note',))
    """
    name = shown if shown is not None else os.fspath(path)
    read = _reader(name, os.fspath(path), _METRICS_READERS, "metrics", others)
    values, _ = whole(Document(name, decoded(content(path, name), name), "metrics"), read)
    numbers: dict[str, float | int | bool] = {}
    left_out = []
    for metric, value in flatten(values).items():
        number = scalar(value.strip()) if isinstance(value, str) else value
        if isinstance(number, (int, float)) and not (isinstance(number, bool) and isinstance(value, str)):
            numbers[metric] = number
        else:
            left_out.append(metric)
    return numbers, tuple(left_out)


_Reader = Callable[[Document], tuple[Any, Lines]]


def _reader(name: str, path: str, readers: Mapping[str, _Reader], what: str, others: Sequence[str] = ()) -> _Reader:
    suffix = PurePath(path).suffix
    file = PurePath(path).name
    read = readers.get(suffix.lower()) or (readers.get(".env") if file == ".env" or file.startswith(".env.") else None)
    if read is None:
        *most, last = *readers, *others
        ending = f"ends in {suffix}" if suffix else "has no ending"
        raise UsageError(f"{name}: a file of {what} ends in {', '.join(most)} or {last}; this one {ending}.")
    return read


def content(path: str | os.PathLike[str], name: str) -> bytes:
    """Return what a file of params or metrics holds.

    Raises:
        ParamsFileError: it cannot be read, or has more than `LARGEST_FILE` bytes.
    """
    with opened(path, name) as file:
        check_size(os.fstat(file.fileno()).st_size, name)
        return file.read()


def whole(document: Document, read: _Reader) -> tuple[dict[str, Value], Lines]:
    """Return the mapping that a file holds, and the line of each leaf where it is known.

    Raises:
        ParamsFileError: the file is malformed, or what it holds is no mapping.
    """
    if not document.text.strip():
        raise document.nothing()
    try:
        values, lines = read(document)
    except RecursionError:
        raise document.too_deep() from None
    if not isinstance(values, dict):
        kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
        kind = kinds.get(type(values), "a number")
        raise document.error(f"the file holds {kind}, not a mapping of {document.what}.", hint=document.example)
    return values, lines


# JSON


def _read_json(document: Document) -> tuple[Any, Lines]:
    import json

    try:
        values = json.loads(document.text)
    except json.JSONDecodeError as error:
        problem = error.msg[:1].lower() + error.msg[1:]
        raise document.error(f"it is not JSON: {problem}.", error.lineno, error.colno) from None
    except ValueError:  # int() refuses more digits than sys.get_int_max_str_digits()
        raise document.error("it holds a number of more than 4300 digits.") from None
    return values, _json_lines(document)


def _json_lines(document: Document) -> Lines:
    """Return the line of every key that no list holds; the text is known to be JSON."""
    text, lines = document.text, {}
    line, counted = 1, 0
    inside: list[Lines | None] = []  # the keys of each object that is open, None for a list
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
            if len(inside) > DEEPEST:
                raise document.too_deep(text.count("\n", 0, match.start()) + 1)
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


def _json_key(document: Document, part: str, line: int, seen: Lines) -> str:
    import json

    key: str = json.loads(part) if "\\" in part else part[1:-1]
    if key in seen:
        raise document.twice(key, line, seen[key])
    return key


# TOML, INI


def _read_toml(document: Document) -> tuple[Any, Lines]:
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
    return values, _toml_lines(document.text, values)


def _toml_lines(text: str, values: Mapping[str, Value]) -> Lines:
    """Return the line of every leaf; the text is known to be TOML, the values are what it holds."""
    written: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    place, line, counted = 0, 1, 0
    while match := _TOML_STATEMENT.search(text, place):
        line, counted = line + text.count("\n", counted, match.start()), match.start()
        keys = tuple(_toml_key(key[0]) for key in _TOML_KEY.finditer(match["table"] or match["key"]))
        if match["table"]:
            table, place = keys, match.end()
            written.setdefault(keys, line)
        else:
            written[(*table, *keys)] = line
            place = _toml_value_end(text, match.end())
    # a leaf inside an inline table or an array of tables is on the line of that
    starts = {keys: next(filter(written.__contains__, _starts(keys)), ()) for keys, _ in leaves(values)}
    return {path_text(keys): written[start] for keys, start in starts.items() if start}


def _starts(keys: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (keys[:length] for length in range(len(keys), 0, -1))


def _toml_key(key: str) -> str:
    import tomllib

    if "\\" in key:
        return str(tomllib.loads(f"key = {key}")["key"])
    return key[1:-1] if key[0] in "'\"" else key


def _toml_value_end(text: str, place: int) -> int:
    depth = 0
    for match in _TOML_PART.finditer(text, place):
        part = match[0]
        if part == "\n" and depth == 0:
            return match.start()
        depth += (part in "[{") - (part in "]}")
    return len(text)


def _read_ini(document: Document) -> tuple[Any, Lines]:
    values: dict[str, Value] = {}
    lines: Lines = {}
    parsed = _parsed_ini(document)
    # the keys of [DEFAULT] belong to the top, and come first
    for section in sorted(parsed.sections(), key="DEFAULT".__ne__):
        if section in values:
            raise document.error(f"{section!r} is a key of [DEFAULT] and a section.")
        items = parsed.items(section)
        found = {str(key): scalar(text) for key, text in items}
        values.update(found if section == "DEFAULT" else {section: found})
        above = () if section == "DEFAULT" else (section,)
        lines.update({path_text((*above, str(key))): key.line for key, _ in items})
    if not values:
        raise document.nothing()
    return values, lines


class _Option(str):
    """A key of an INI file that knows its line."""

    line: int


def _parsed_ini(document: Document) -> Any:
    import configparser

    line = 0

    def numbered() -> Iterator[str]:
        nonlocal line
        for line, text in enumerate(StringIO(document.text), 1):  # noqa: B007 - the line is read while the parser waits
            yield text

    def option(name: str) -> _Option:
        found = _Option(name)
        found.line = line
        return found

    # [DEFAULT] is read as a section like any other: its keys belong to the top, not into each section
    parser = configparser.ConfigParser(interpolation=None, strict=True, default_section="\0")
    parser.optionxform = option  # type: ignore[assignment, method-assign]
    try:
        parser.read_file(numbered())
    except configparser.MissingSectionHeaderError as error:
        raise document.error("it is not INI: there is no [section] before this line.", error.lineno) from None
    except configparser.DuplicateSectionError as error:
        raise document.error(f"section [{error.section}] is written twice.", error.lineno) from None
    except configparser.DuplicateOptionError as error:
        raise document.error(f"key {str(error.option)!r} is written twice in [{error.section}].", error.lineno) from None
    except configparser.ParsingError as error:
        raise document.error("it is not INI: the line has no '=' or ':'.", error.errors[0][0]) from None
    return parser


_METRICS_READERS: dict[str, _Reader] = {
    ".yaml": read_yaml,
    ".yml": read_yaml,
    ".json": _read_json,
    ".toml": _read_toml,
    ".ini": _read_ini,
    ".cfg": _read_ini,
    ".conf": _read_ini,
}
_PARAMS_READERS = {**_METRICS_READERS, ".env": read_env, ".py": read_python}
