"""Lint: what is wrong with one file of params, whatever git or a run say of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitparams.errors import ParamsFileError, UsageError
from gitparams.params import flatten, get, path_text
from gitparams.rules import FILE_RULES, Finding

if TYPE_CHECKING:
    from gitparams.capture.redaction import Redaction
    from gitparams.params import Origin

_RULE_OF_TRAP = {"numeric-text": "numeric-text", "quoted-number": "quoted-number"}  # the others are yaml-word
_TRAP_RULES = frozenset({"numeric-text", "quoted-number", "yaml-word"})
_METHODS = frozenset(dir(dict))
# what only says where a secret is to be found: ${DB_PASSWORD}, $TOKEN, {{ vault.key }}, <your key>, %(key)s
_REFERENCE = re.compile(r"\s*(?:\$\{.*\}|\$\w+|\{\{.*\}\}|<[^<>]*>|%\(\w+\)s)\s*")
_NAME = re.compile(r"""([\w-]+)["']?\s*[:=]""")
_CITED = re.compile(r"""'[^']*'|"[^"]*"|[*&]\S+""")
_EXAMPLE = re.compile(r"[._-](?:example|sample|template|dist)(?:\.\w+)?$")


@dataclass(frozen=True, slots=True)
class LintedFile:
    """A file that is looked at.

    Attributes:
        path, shown, prefix: as in `ParamsFile`.
        within: the keys above its params, in gitparams.yaml.
        rules: what is looked for in it.
    """

    path: Path
    shown: str
    prefix: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    rules: frozenset[str] = FILE_RULES

    @property
    def is_env(self) -> bool:
        """Whether it holds environment variables: the place for secrets, as long as git does not track it."""
        return self.path.suffix == ".env" or self.path.name == ".env" or self.path.name.startswith(".env.")


@dataclass(frozen=True, slots=True)
class _Content:
    """The params of a file, and the lines of those of which they are known, by written path."""

    file: LintedFile
    values: Mapping[str, Any]
    lines: Mapping[str, int]


def linted_files(words: Sequence[str], folder: Path) -> tuple[list[LintedFile], list[Finding]]:
    """Return the files that words name, each once, and a finding for each word that names none.

    Args:
        words: files, globs, or ``PREFIX=FILE``, as in `params_words`.
        folder: what they are relative to.
    """
    from gitparams.capture.files import params_words

    files: dict[tuple[Path, tuple[str, ...]], LintedFile] = {}
    missing = []
    for word in words:
        try:
            for file in params_words([word], folder):
                files.setdefault((file.path.resolve(), file.prefix), LintedFile(file.path, file.shown, file.prefix))
        except UsageError as error:
            missing.append(_unreadable(error, word))
    return list(files.values()), missing


def lint(file: LintedFile, redaction: Redaction, rules: Collection[str]) -> Iterator[Finding]:
    """Yield what is wrong with a file.

    Args:
        file: what to look at.
        redaction: what counts as a secret.
        rules: the rules to follow; those of a file are `FILE_RULES`.
    """
    wanted = file.rules.intersection(rules)
    if not wanted:
        return
    try:
        content = _content(file)
    except UsageError as error:
        yield _without_secret(_unreadable(error, file.shown), file)
        if "secret" in wanted:
            yield from _secret_lines(file, redaction)
        return
    secrets = _secret_keys(content, redaction)
    if "secret" in wanted:
        yield from _secrets(content, redaction, secrets)
    if not wanted.isdisjoint(_TRAP_RULES):
        yield from _traps(file, {path_text(keys) for keys in secrets})
    if "method-name" in wanted:
        yield from _method_names(content)


def _content(file: LintedFile) -> _Content:
    """Return the params of a file. Raises `UsageError`."""
    from gitparams.capture.files import read_params

    layer = read_params(file.path, shown=file.shown)
    values: Any = layer.values
    if file.within:
        values = get(values, file.within)
        values = values if isinstance(values, Mapping) else {}
    lines = {}
    for path in flatten(values):
        line = _line(layer.origins[_joined(file.within, path)], file.shown)
        if line is not None:
            lines[_joined(file.prefix, path)] = line
    for key in reversed(file.prefix):
        values = {key: values}
    return _Content(file, values, lines)


def _joined(above: tuple[str, ...], path: str) -> str:
    if not above:
        return path
    return path_text(above) + (path if path.startswith("[") else f".{path}")


def _line(origin: Origin, shown: str) -> int | None:
    name, _, line = (origin.at or "").rpartition(":")
    return int(line) if name == shown and line.isdecimal() else None


def _unreadable(error: UsageError, shown: str) -> Finding:
    if isinstance(error, ParamsFileError):
        message, line, column = error.problem, error.line, error.column
    else:
        message, line, column = error.message.removeprefix(f"{shown}: "), None, None
    return Finding.by("unreadable-file", message.removesuffix("."), shown, line, column, hint=error.hint)


def _without_secret(finding: Finding, file: LintedFile) -> Finding:
    """Return the finding without what its message cites, where its line has the name of a secret."""
    from gitparams.capture.redaction import REDACTED, is_secret_name

    line = (_text(file).split("\n")[finding.line - 1 :] or [""])[0] if finding.line else ""
    if any(map(is_secret_name, _NAME.findall(line))):
        return replace(finding, message=_CITED.sub(REDACTED, finding.message))
    return finding


def _text(file: LintedFile) -> str:
    """Return what a file holds; nothing when it cannot be read or is too large, which is said already."""
    from gitparams.capture.document import LARGEST_FILE

    try:
        data = file.path.read_bytes() if file.path.stat().st_size <= LARGEST_FILE else b""
    except OSError:
        return ""
    return data.decode("utf-8", "replace")


def _traps(file: LintedFile, secrets: Collection[str]) -> Iterator[Finding]:
    from gitparams.capture.traps import traps

    above = path_text(file.within) if file.within else ""
    for trap in traps(file.path, shown=file.shown):
        path = trap.path
        if above:
            if not path.startswith((f"{above}.", f"{above}[")):
                continue
            path = path.removeprefix(above).removeprefix(".")
        path = _joined(file.prefix, path)
        if path in secrets:  # what was written must not be shown
            continue
        what = f"the key {trap.text}" if trap.kind == "boolean-key" else path
        message = f"{what} is {trap.read_as}: {trap.problem}; write {trap.fix}"
        yield Finding.by(_RULE_OF_TRAP.get(trap.kind, "yaml-word"), message, file.shown, trap.line, trap.column, path)


def _method_names(content: _Content) -> Iterator[Finding]:
    for keys in _all_keys(content.values):
        if keys[-1] in _METHODS:
            path = path_text(keys)
            message = f"{path} is no attribute of the params: a method of dict is called {keys[-1]}"
            hint = "params" + "".join(f"[{json.dumps(key, ensure_ascii=False)}]" for key in keys)
            yield Finding.by("method-name", message, content.file.shown, content.lines.get(path), key=path, hint=hint)


def _all_keys(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        yield (*above, key)
        if isinstance(value, Mapping):
            yield from _all_keys(value, (*above, key))


# -- secrets -----------------------------------------------------------------------------------------------------------


def _secret_keys(content: _Content, redaction: Redaction) -> list[tuple[str, ...]]:
    """Return the keys of the params that hold a secret; not of those that only say where to find one."""
    _, replaced = redaction.values(content.values)
    values = [get(content.values, keys) for keys in replaced]
    return [
        keys
        for keys, value in zip(replaced, values, strict=True)
        if not isinstance(value, str) or not _REFERENCE.fullmatch(value)
    ]


def _secrets(content: _Content, redaction: Redaction, secrets: Sequence[tuple[str, ...]]) -> Iterator[Finding]:
    example = _EXAMPLE.search(content.file.path.name) is not None
    for keys in secrets:
        by_shape = _has_shape(get(content.values, keys), redaction)
        if by_shape or not example:
            yield _secret(keys, content, "shape" if by_shape else "name")
    if all(path_text(keys) in content.lines for keys in secrets):
        yield from _secret_lines(content.file, redaction, _settled(content, redaction, secrets))


def _secret(keys: tuple[str, ...], content: _Content, by: str) -> Finding:
    path = path_text(keys)
    hint = f"read it from an environment variable; where it is no secret: redact: ['!{'.'.join(keys)}'] in gitparams.yaml"
    message = f"{path} holds a secret, by its {by}"
    return Finding.by("secret", message, content.file.shown, content.lines.get(path), key=path, hint=hint)


def _has_shape(value: Any, redaction: Redaction) -> bool:
    if isinstance(value, Mapping):
        return any(_has_shape(item, redaction) for item in value.values())
    if isinstance(value, list):
        return any(_has_shape(item, redaction) for item in value)
    return isinstance(value, str) and redaction.text(value) != value


def _settled(content: _Content, redaction: Redaction, secrets: Sequence[tuple[str, ...]]) -> Callable[[int], bool]:
    """Return what tells of a line whether it belongs to a param that was reported, or that the project exempts."""
    from bisect import bisect_right

    project = {path_text(keys) for keys in redaction.values(content.values)[1]}
    without = {path_text(keys) for keys in redaction._replace(plain=()).values(content.values)[1]}
    done = {path_text(keys) for keys in secrets} | (without - project)
    known = sorted((line, path) for path, line in content.lines.items())

    def settled(line: int) -> bool:
        place = bisect_right(known, line, key=lambda item: item[0])
        return place > 0 and known[place - 1][1] in done

    return settled


def _secret_lines(
    file: LintedFile, redaction: Redaction, settled: Callable[[int], bool] = lambda line: False
) -> Iterator[Finding]:
    """Yield the lines of a file that hold a secret of a known shape, in a comment or in a file that could not be read."""
    text = _text(file)
    if redaction.text(text) == text:
        return
    for number, line in enumerate(text.split("\n"), 1):
        if redaction.text(line) != line and not settled(number):
            yield Finding.by("secret", "a secret stands here, by its shape", file.shown, number, hint="take it out of the file")
