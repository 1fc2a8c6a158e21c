"""Edits: a file of params with other values in it, and all else as it was."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from gitparams.capture.files import read_params_text
from gitparams.capture.overrides import scalar
from gitparams.errors import GitParamsError, ParamsError
from gitparams.params import MISSING, Layer, get, path_keys, path_text, put, to_dict
from gitparams.values import Value, same

_Keys = tuple[str, ...]
_Changes = Mapping[_Keys, Any]
_Edit = Callable[[str, str, _Changes, Layer], str]

_YAML = (".yaml", ".yml")
_PLAIN_TEXT = re.compile(r"[A-Za-z_][\w./+-]*", re.ASCII)
_TOML_LINE = re.compile(
    r"""(?P<head>[ \t]*[^=\#\[]+?[ \t]*=[ \t]*)
        (?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|\[[^\[\]\#]*\]|[^"'\[{\#]+?)
        (?P<tail>[ \t]*(?:\#.*)?)""",
    re.VERBOSE,
)
_INI_LINE = re.compile(r"(?P<head>[^=:]+?\s*[=:][ \t]*)(?P<value>.*?)(?P<tail>[ \t]*)")
_ENV_LINE = re.compile(
    r"""(?P<head>\s*(?:export\s+)?[^\s=\#'"]+\s*=[ \t]*)
        (?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|.*?)
        (?P<tail>(?:[ \t]+\#.*|[ \t]*))""",
    re.VERBOSE,
)
_LINES = {".toml": _TOML_LINE, ".ini": _INI_LINE, ".cfg": _INI_LINE, ".conf": _INI_LINE, ".env": _ENV_LINE}
_PLAIN_IN_ENV = re.compile(r"[^\s#'\"\\]+")
_SHORT_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class _NotInPlace(Exception):
    """A value cannot be replaced where it stands."""


def edit_file(text: str, ending: str, changes: Mapping[str, Any], lines: Mapping[str, int | None] | None = None) -> str:
    """Return the text of a file of params with other values in it; comments, order and style stay where they can.

    Only the value on its line is replaced. Where that is not safe (anchors, text of several lines, new keys in flow style),
    YAML and JSON are written anew as a whole. What is returned was read back: it holds these values, of these types, and
    all others as they were.

    Args:
        text: what the file holds.
        ending: ``.yaml``, ``.json``, ``.toml``, ``.ini`` or ``.env``, as `read_params` takes them.
        changes: path of a param → its value, or `MISSING` for a key that goes. The keys of the file may be the last ones of
            a path, as they are in a file that was read below a prefix.
        lines: path → the line of the params that are known to be in this file, the changed ones or any.

    Raises:
        ParamsError: the file cannot hold it, or it cannot be replaced in place.
        ParamsFileError: the file is malformed.

    >>> print(edit_file("optim:\\n  lr: 0.1  # small\\n", ".yaml", {"optim.lr": 1e-5}), end="")
    optim:
      lr: 1.0e-05  # small
    """
    mark, body = ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)
    before = _read(body, ending)
    wanted = _located(before, changes, lines or {})
    wanted = {keys: value for keys, value in wanted.items() if not _is_there(before, keys, value)}
    if not wanted:
        return text
    for edit in _ways(ending):
        try:
            after = edit(body, ending, wanted, before)
        except _NotInPlace:
            continue
        if _holds(body, after, ending, wanted):
            return mark + after
    raise ParamsError(f"{_several(wanted)} cannot be replaced in place in a {ending} file.")


def value_word(value: Value) -> str:
    """Return a value as one word of a command line, a variable or a line of a file; a text stays as it is.

    >>> [value_word(value) for value in (1e-05, True, None, "a b", [1, "x"])]
    ['1e-05', 'true', 'null', 'a b', '[1,"x"]']
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _read(text: str, ending: str, *, exact_floats: bool = False) -> Layer:
    name = ".env" if ending.startswith(".env") else f"params{ending}"
    return read_params_text(text.encode("utf-8", "surrogatepass"), name, name, exact_floats=exact_floats)


def _several(changes: Iterable[_Keys]) -> str:
    names = [path_text(keys) for keys in changes]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _is_there(layer: Layer, keys: _Keys, value: Any) -> bool:
    present = get(layer.values, keys)
    return present is value if MISSING in (present, value) else same(present, value)


# -- where a param stands in the file -------------------------------------------------------------------------------------


def _located(layer: Layer, changes: Mapping[str, Any], lines: Mapping[str, int | None]) -> dict[_Keys, Any]:
    """Return the keys in the file → the value of each change."""
    usual = _usual_depth(layer, lines)
    result = {}
    for path, value in changes.items():
        keys = path_keys(path)
        result[_keys_in_file(layer, keys, lines.get(path)) or keys[min(usual, len(keys) - 1) :]] = value
    return result


def _usual_depth(layer: Layer, lines: Mapping[str, int | None]) -> int:
    """Return how many keys of its params stand above those of the file."""
    depths = Counter[int]()
    for path, line in lines.items():
        keys = path_keys(path)
        found = _keys_in_file(layer, keys, line)
        if found and len(found) <= len(keys):
            depths[len(keys) - len(found)] += 1
    return depths.most_common(1)[0][0] if depths else 0


def _keys_in_file(layer: Layer, keys: _Keys, line: int | None) -> _Keys | None:
    ends = [keys[start:] for start in range(len(keys)) if path_text(keys[start:]) in layer.origins]
    if ends:
        return next((end for end in ends if _line(layer, end) == line), ends[0])
    longer = [path_keys(path) for path in layer.origins if path.endswith(path_text(keys))]
    longer = [found for found in longer if found[-len(keys) :] == keys]
    if len(longer) == 1:
        return longer[0]
    loosely = [path_keys(path) for path in layer.origins if path.lower() == path_text(keys).lower()]
    return loosely[0] if len(loosely) == 1 else None  # variables in .env are LR, and the setting is lr


def _line(layer: Layer, keys: _Keys) -> int | None:
    number = (layer.origins[path_text(keys)].at or "").rpartition(":")[2]
    return int(number) if number.isdigit() else None


# -- the ways to edit, and whether it went well ---------------------------------------------------------------------------


def _ways(ending: str) -> list[_Edit]:
    if ending in _YAML:
        return [_yaml_in_place, _yaml_anew]
    if ending == ".json":
        return [_json_in_place, _json_anew]
    if ending in _LINES or ending.startswith(".env"):
        return [_by_lines]
    raise ParamsError(f"A {ending} file is not written to.")


def _holds(before: str, after: str, ending: str, changes: _Changes) -> bool:
    """Tell whether exactly the changes make the difference, also for who reads YAML by the rules of 1.2."""
    try:
        return all(
            _holds_as(before, after, ending, changes, exact) for exact in ((False, True) if ending in _YAML else (False,))
        )
    except GitParamsError:
        return False


def _holds_as(before: str, after: str, ending: str, changes: _Changes, exact: bool) -> bool:
    expected = to_dict(_read(before, ending, exact_floats=exact).values)
    for keys, value in changes.items():
        _change(expected, keys, value)
    return same(dict(_read(after, ending, exact_floats=exact).values), expected)


def _change(values: dict[str, Any], keys: _Keys, value: Any) -> None:
    if value is MISSING:
        del get(values, keys[:-1])[keys[-1]]
    else:
        put(values, keys, value)


# -- YAML and JSON --------------------------------------------------------------------------------------------------------


def _yaml_in_place(text: str, _: str, changes: _Changes, __: Layer) -> str:
    root = _composed(text)
    return _spliced(text, [_splice(text, root, keys, value, _yaml_text) for keys, value in changes.items()])


def _json_in_place(text: str, _: str, changes: _Changes, __: Layer) -> str:
    root = _composed(text)  # JSON is YAML but for tabs
    return _spliced(text, [_splice(text, root, keys, value, _json_text) for keys, value in changes.items()])


def _composed(text: str) -> Any:
    import yaml

    try:
        return yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        raise _NotInPlace from None


def _spliced(text: str, splices: list[tuple[int, int, str]]) -> str:
    last = len(text) + 1
    for start, end, new in sorted(splices, key=lambda splice: splice[0], reverse=True):
        if end > last:
            raise _NotInPlace
        text, last = text[:start] + new + text[end:], start
    return text


def _splice(text: str, root: Any, keys: _Keys, value: Any, write: Any) -> tuple[int, int, str]:
    """Return from where to where the text is replaced, and by what."""
    above, rest = root, keys
    while rest:
        pair = next((pair for pair in getattr(above, "value", ()) if _is_pair(pair) and pair[0].value == rest[0]), None)
        if pair is None:
            return _insertion(text, above, rest, value, write)
        if len(rest) == 1:
            return _removal(text, above, *pair) if value is MISSING else _replacement(text, pair[1], value, write)
        above, rest = pair[1], rest[1:]
    raise _NotInPlace


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and isinstance(item[0].value, str)


def _replacement(text: str, node: Any, value: Any, write: Any) -> tuple[int, int, str]:
    start, end = node.start_mark.index, _end(text, node)
    if node.id == "mapping":
        raise _NotInPlace
    if node.id == "sequence" and not node.flow_style and isinstance(value, list) and value:
        new = f"{_newline(text)}{' ' * node.start_mark.column}".join(f"- {write(item)}" for item in value)
    else:
        new = write(value)
    return start, end, f" {new}" if start == end else new  # nothing stood after the colon


def _end(text: str, node: Any) -> int:
    """Return where a node ends; those of block style reach up to what follows, over comments."""
    if node.id == "sequence" and not node.flow_style and node.value:
        return _end(text, node.value[-1])
    start = int(node.start_mark.index)
    return start + len(text[start : node.end_mark.index].rstrip())


def _removal(text: str, above: Any, key: Any, node: Any) -> tuple[int, int, str]:
    start = _line_start(text, above, key)
    end = text.find("\n", max(_end(text, node), key.end_mark.index)) + 1
    if len(above.value) == 1 or end == 0 or node.id == "mapping":
        raise _NotInPlace
    return start, end, ""


def _insertion(text: str, above: Any, rest: _Keys, value: Any, write: Any) -> tuple[int, int, str]:
    if value is MISSING or above.id != "mapping" or not above.value:
        raise _NotInPlace
    first = above.value[0][0]
    start = _line_start(text, above, first)
    inner: Any = value
    for key in reversed(rest[1:]):
        inner = {key: inner}
    return start, start, f"{text[start : first.start_mark.index]}{write(rest[0])}: {write(inner)}{_newline(text)}"


def _line_start(text: str, above: Any, key: Any) -> int:
    """Return where the line of a key begins, if nothing else stands before it."""
    start = text.rfind("\n", 0, key.start_mark.index) + 1
    if above.flow_style or text[start : key.start_mark.index].strip():
        raise _NotInPlace
    return start


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _yaml_text(value: Any) -> str:
    """Return a value in flow style that every reader of YAML takes for the same, by the rules of 1.1 and of 1.2."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_yaml_text(key)}: {_yaml_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml_text, value)) + "]"
    if isinstance(value, float):
        return _yaml_float(value)
    return _yaml_string(value) if isinstance(value, str) else json.dumps(value)


def _yaml_float(number: float) -> str:
    if not math.isfinite(number):
        return ".nan" if math.isnan(number) else ".inf" if number > 0 else "-.inf"
    digits, exponent, power = repr(number).partition("e")
    if exponent:
        digits = digits if "." in digits else f"{digits}.0"
        power = power if power[0] in "+-" else f"+{power}"
    return digits + exponent + power


def _yaml_string(text: str) -> str:
    import yaml

    if _PLAIN_TEXT.fullmatch(text) and isinstance(scalar(text), str) and isinstance(yaml.safe_load(text), str):
        return text
    dumped: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf)
    return dumped.removesuffix("\n")


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _yaml_anew(text: str, _: str, changes: _Changes, __: Layer) -> str:
    import yaml

    values = _unshared(yaml.safe_load(text))
    for keys, value in changes.items():
        _change_anew(values, keys, value)
    dumped: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return dumped


def _json_anew(text: str, _: str, changes: _Changes, __: Layer) -> str:
    values = json.loads(text)
    for keys, value in changes.items():
        _change_anew(values, keys, value)
    indent = re.search(r"\n([ \t]+)", text)
    dumped = json.dumps(values, indent=indent[1] if indent else None, ensure_ascii=False)
    return dumped + "\n" if text.endswith("\n") else dumped


def _change_anew(values: dict[Any, Any], keys: _Keys, value: Any) -> None:
    """Change a value in what a parser made of the file, in which a key may be a number."""
    try:
        _change(values, tuple(_own_keys(values, keys)), value)
    except (ParamsError, KeyError, TypeError):
        raise _NotInPlace from None


def _unshared(value: Any) -> Any:
    """Return a value whose parts are its own: what aliases stand for is there once for each."""
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def _own_keys(values: Any, keys: _Keys) -> Iterator[Any]:
    for key in keys:
        own = next((own for own in values if own == key or str(own) == key), key) if isinstance(values, dict) else key
        values = values.get(own) if isinstance(values, dict) else None
        yield own


# -- formats of lines -----------------------------------------------------------------------------------------------------


def _by_lines(text: str, ending: str, changes: _Changes, layer: Layer) -> str:
    kind = ".env" if ending.startswith(".env") else ending
    rows: list[str | None] = list(text.split("\n"))
    for keys, value in changes.items():
        if path_text(keys) not in layer.origins:
            raise ParamsError(f"{path_text(keys)} is not in the file, and nothing is added to a {ending} file.")
        place = (_line(layer, keys) or 1) - 1
        row = rows[place] or ""
        found = _LINES[kind].fullmatch(row.removesuffix("\r"))
        if found is None:
            raise _NotInPlace
        end = "\r" if row.endswith("\r") else ""
        rows[place] = None if value is MISSING else found["head"] + _line_text(value, kind) + found["tail"] + end
    return "\n".join(row for row in rows if row is not None)


def _line_text(value: Any, kind: str) -> str:
    if kind == ".toml":
        return _toml_text(value)
    return _env_text(value) if kind == ".env" else value_word(value)


def _toml_text(value: Any) -> str:
    if value is None:
        raise ParamsError("TOML has no null.")
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_text, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def _env_text(value: Any) -> str:
    if not isinstance(value, str):
        return value_word(value)
    if _PLAIN_IN_ENV.fullmatch(value) and isinstance(scalar(value), str):
        return value
    return '"' + "".join(_SHORT_ESCAPES.get(letter, letter) for letter in value) + '"'
