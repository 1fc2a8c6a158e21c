"""Delivery: how a recorded command is told other params than it had: words, variables, files and overrides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitparams.arguments import OVERRIDE_WORD, Arguments, Span, Unsaid, in_the_manner, is_flag, with_value
from gitparams.capture.overrides import parse_override, scalar
from gitparams.capture.redaction import REDACTED
from gitparams.edits import value_word
from gitparams.errors import UsageError
from gitparams.model import Run
from gitparams.params import MISSING, Origin, flatten
from gitparams.values import Value, same

_DECLARED = "-p "
_HYDRA_KEY = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_HYDRA_PLAIN = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Said:
    """How one run was told its params.

    Attributes:
        command: its program and arguments.
        params: path → value, flat.
        origins: path → where the value came from.
    """

    command: tuple[str, ...]
    params: Mapping[str, Value]
    origins: Mapping[str, Origin]

    @classmethod
    def of(cls, run: Run, origins: Mapping[str, Origin]) -> Said:
        """Return how a recorded run was told its params; `Details.origins` are the origins."""
        return cls(run.command, flatten(run.params), origins)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A command with all that is to be said beside it.

    Attributes:
        command: the program and its arguments.
        variables: environment variable → its text; None for one that is taken away.
        files: file, as origins call it → path of a param → its value, or `MISSING` for a key that goes.
        lines: file → path → line, of all params that are known to be in it; None where no line is known.
        overrides: the words after each ``-p``.
        undelivered: path, and why its value cannot be said.
    """

    command: tuple[str, ...]
    variables: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lines: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    undelivered: tuple[tuple[str, str], ...] = ()


def deliver(said: Said, wanted: Mapping[str, Any], also: Sequence[Said] = ()) -> Delivery:
    """Return how the command of a run is told other values.

    What the run said by variables and by ``-p`` is said again. A value that another run had is said in that run's own
    words. Params of files are always part of it, for the files may be those of another commit.

    Args:
        said: the run whose command it is.
        wanted: path → the value it is to have, or `MISSING` when it is to have none. A path that is not in it stays.
        also: other runs of the program; they show how a param is said that this run left at its default.

    >>> run = Said(("python", "train.py", "--lr", "0.1"), {"lr": 0.1}, {"lr": Origin("cli", "--lr")})
    >>> deliver(run, {"lr": 0.01}).command
    ('python', 'train.py', '--lr', '0.01')
    >>> deliver(run, {"seed": 3}).undelivered
    (('seed', 'neither run said it'),)
    """
    plan = _Plan(said, also)
    for path, value in wanted.items():
        try:
            plan.say(path, value)
        except Unsaid as unsaid:
            plan.undelivered.append((path, str(unsaid)))
    return plan.delivery()


def fill(command: Sequence[str], values: Mapping[str, Any]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return a command with the placeholders ``{optim.lr}`` in its words filled, and the paths that were among them.

    ``{{`` and ``}}`` stand for braces. A word whose param is `MISSING` is left out, with the flag before it.

    Raises:
        UsageError: no param has the name of a placeholder; near misses are suggested.

    >>> fill(["./train", "--lr={lr}", "{{x}}"], {"lr": 0.1})
    (('./train', '--lr=0.1', '{x}'), frozenset({'lr'}))
    """
    words: list[str] = []
    used: set[str] = set()
    for word in command:
        names = [match[1] for match in _PLACEHOLDER.finditer(word) if match[1] is not None]
        _check_placeholders(names, values)
        used.update(names)
        if any(values[name] is MISSING for name in names):
            if word == f"{{{names[0]}}}" and words and is_flag(words[-1]) and "=" not in words[-1]:
                words.pop()
            continue
        words.append(_PLACEHOLDER.sub(lambda match: match[0][0] if match[1] is None else value_word(values[match[1]]), word))
    return tuple(words), frozenset(used)


def _check_placeholders(names: Iterable[str], values: Mapping[str, Any]) -> None:
    unknown = next((name for name in names if name not in values), None)
    if unknown is None:
        return
    from difflib import get_close_matches

    near = get_close_matches(unknown, values, n=3)
    guess = f"; did you mean {' or '.join(near)}?" if near else "."
    raise UsageError(f"The command has {{{unknown}}}, and there is no such param{guess}", hint="{{ and }} stand for braces")


def declared(path: str, value: Any) -> str:
    """Return the word after ``-p`` that declares a value.

    Raises:
        Unsaid: no word says it exactly.

    >>> declared("optim.lr", 0.1), declared("name", "1")
    ('optim.lr=0.1', 'name="1"')
    """
    text = f"{path}={_override_text(value)}"
    if not same(parse_override(text)[1], value):
        raise Unsaid(f"{value!r} cannot be written after -p")
    return text


# -- the plan -------------------------------------------------------------------------------------------------------------


class _Plan:
    """What is said so far."""

    def __init__(self, said: Said, also: Sequence[Said]) -> None:
        self.said, self.also = said, also
        self.words = Arguments(said.command)
        self.variables: dict[str, str | None] = dict(_variables(said))
        self.files: dict[str, dict[str, Any]] = {}
        self.overrides = _declared_words(said)
        self.undelivered: list[tuple[str, str]] = []
        self.is_hydra = any(_is_hydra(origin) for run in (said, *also) for origin in run.origins.values())
        if self.is_hydra:
            self.words.become_one_job(_override_words(said))

    def delivery(self) -> Delivery:
        command = self.words.command
        texts: list[tuple[str, str | None]] = [*self.variables.items(), *(("-p", word) for word in self.overrides)]
        for name, text in texts:
            if text is not None and REDACTED in text:
                self.undelivered.append((name, "it was a secret, which is not recorded"))
        if any(REDACTED in word for word in command):
            self.undelivered.append(("the command", "it held a secret, which is not recorded"))
        lines = {name: dict(_known_lines(name, (self.said, *self.also))) for name in self.files}
        return Delivery(command, self.variables, self.files, lines, tuple(self.overrides), tuple(self.undelivered))

    def say(self, path: str, value: Any) -> None:
        """Say one value. Raises `Unsaid`."""
        origin, had = self.said.origins.get(path), self.said.params.get(path, MISSING)
        is_same = _equal(had, value)
        if is_same and (origin is None or origin.source != "file"):
            return
        teacher = None if is_same else self._teacher(path, value)
        shown = self._shown(path, value, origin, teacher)
        at = shown.at or ""
        if shown.source == "file":
            self._say_by_file(path, value, at)
        elif shown.source == "env":
            self.variables[at] = None if value in (None, MISSING) else _variable_text(at, value)
        elif at.startswith(_DECLARED):
            self._declare(path, value, at.removeprefix(_DECLARED))
        elif self._takes_overrides(shown):
            self._override(path, value, teacher)
        elif at.startswith("-"):
            self._flag(path, value, at, teacher)
        elif shown.source == "cli":
            self.words.replace_free(had, value, _free_words(teacher, value))
        else:
            raise Unsaid(f"it was given in answer to a question{_at(shown)}")

    def _teacher(self, path: str, value: Any) -> Said | None:
        """Return another run that had this value, one that said it if there is one."""
        found = [run for run in self.also if _equal(run.params.get(path, MISSING), value)]
        return next((run for run in found if _is_said(run.origins.get(path))), found[0] if found else None)

    def _shown(self, path: str, value: Any, own: Origin | None, teacher: Said | None) -> Origin:
        """Return the origin that shows by what means a value is said."""
        taught = teacher.origins.get(path) if teacher is not None else None
        if own is not None and own.source == "file" and taught is not None and _is_word(taught):
            return taught  # words win over files
        if own is not None and _is_said(own):
            return own
        others = [taught, *(run.origins.get(path) for run in self.also)]
        found = next((origin for origin in others if origin is not None and _is_said(origin)), None)
        if found is not None and value is not MISSING:
            return found
        if own is not None and own.source == "code":
            raise Unsaid(f"it is set in the code{_at(own)}")
        if self.is_hydra:
            return Origin("hydra")
        if own is None:
            raise Unsaid("neither run said it")
        if value is MISSING:
            raise Unsaid("it is a default of the program, which cannot be taken away")
        raise Unsaid("nobody ever said it on the command line")

    def _takes_overrides(self, origin: Origin) -> bool:
        return origin.source == "hydra" or (self.is_hydra and _is_hydra(origin))

    def _say_by_file(self, path: str, value: Any, at: str) -> None:
        name, _ = _file_and_line(at)
        if not name or ", " in name:
            raise Unsaid(f"in which file it stands is not recorded{f' ({at})' if at else ''}")
        if name.endswith(".py"):
            raise Unsaid(f"it is set in the code at {at}")
        self.files.setdefault(name, {})[path] = value

    def _declare(self, path: str, value: Any, word: str) -> None:
        own = self.overrides.index(word) if word in self.overrides else len(self.overrides)
        if isinstance(parse_override(word)[1], dict):  # the word says more than this
            own = len(self.overrides)
        elif own < len(self.overrides):
            del self.overrides[own]
        if value is MISSING:
            return
        self.overrides.insert(own, declared(path, value))

    def _override(self, path: str, value: Any, teacher: Said | None) -> None:
        if not _HYDRA_KEY.fullmatch(path):
            raise Unsaid("Hydra cannot be told a key like this")
        taught = teacher.origins.get(path) if teacher is not None else None
        word = taught.at or "" if taught is not None and _is_hydra(taught) and taught.source == "cli" else ""
        said = OVERRIDE_WORD.fullmatch(word)
        if said is None or said[2] != path or said[3] is None:
            start = "" if path in self.said.params else "++"
            word = f"~{path}" if value is MISSING else f"{start}{path}={_hydra_text(value)}"
        self.words.put_override(path, word, is_removal=value is MISSING)

    def _flag(self, path: str, value: Any, option: str, teacher: Said | None) -> None:
        own, had = self.said.origins.get(path), self.said.params.get(path, MISSING)
        spans: list[Span] = []
        if _is_of_several(self.said, own):  # one word says more than this: say this one by its path, afterwards
            option = f"--{path}"
        else:
            spans = self.words.spans(_option(own) or option, had, value)
        taught = teacher.origins.get(path) if teacher is not None else None
        if value is MISSING or (spans and taught is not None and taught.source == "default"):
            self.words.put(spans, ())
        elif teacher is None or not self._flag_as(teacher, path, value, spans):
            self.words.put(spans, self._said_anew(path, value, option, spans, had))

    def _flag_as(self, teacher: Said, path: str, value: Any, spans: Sequence[Span]) -> bool:
        """Say a value in the words of a run that had it; return whether there are such words."""
        option, words = _option(teacher.origins.get(path)), Arguments(teacher.command)
        if option is None or _is_of_several(teacher, teacher.origins.get(path)):
            return False
        found = words.spans(option, value, value)
        if found:
            before = words.sub_command_after(found, teacher.params.get("command"))
            self.words.put(spans, [word for span in found for word in words.of(span)], before)
        return bool(found)

    def _said_anew(self, path: str, value: Any, option: str, spans: list[Span], had: Any) -> list[str]:
        """Return the words for a value that no run had, in the manner in which this run or another said one."""
        if spans:
            return in_the_manner(self.words, spans, had, value)
        for run in (self.said, *self.also):
            shown, words = _option(run.origins.get(path)), Arguments(run.command)
            if shown is None or _is_of_several(run, run.origins.get(path)):
                continue
            if found := words.spans(shown, run.params.get(path), value):
                return in_the_manner(words, found, run.params.get(path), value)
        if isinstance(value, bool) or value is None or isinstance(value, (list, dict)):
            raise Unsaid(f"no run shows how {value_word(value)} is said by {option}")
        return with_value(option, value_word(value), joined=False)


def _equal(left: Any, right: Any) -> bool:
    return left is right if MISSING in (left, right) else same(left, right)


def _at(origin: Origin) -> str:
    return f" at {origin.at}" if origin.at else ""


def _is_said(origin: Origin | None) -> bool:
    return origin is not None and origin.source in ("cli", "env", "file", "hydra", "prompt")


def _is_word(origin: Origin) -> bool:
    return origin.source == "cli" and not (origin.at or "").startswith(_DECLARED)


def _is_hydra(origin: Origin) -> bool:
    at = origin.at or ""
    is_override = (
        origin.source == "cli" and not at.startswith("-") and OVERRIDE_WORD.fullmatch(at) and ("=" in at or at[0] == "~")
    )
    return origin.source == "hydra" or bool(is_override)


def _option(origin: Origin | None) -> str | None:
    """Return the flag by which a value was said."""
    at = origin.at or "" if origin is not None and origin.source in ("cli", "prompt") else ""
    return at if at.startswith("-") and not at.startswith(_DECLARED) else None


def _free_words(said: Said | None, value: Any) -> list[str] | None:
    """Return the words by which a run said a value without a flag."""
    words = Arguments(said.command if said is not None else ())
    span = words.free(value)
    return None if span is None else words.of(span)


def _is_of_several(said: Said, origin: Origin | None) -> bool:
    """Tell whether the flag of a value is that of others, too: it was said as part of a whole."""
    if origin is None or origin.source != "cli" or not (origin.at or "").startswith("-"):
        return False
    return sum(other.source == "cli" and other.at == origin.at for other in said.origins.values()) > 1


def _everything_said(said: Said) -> Iterator[tuple[str, str]]:
    """Yield source and place of all that was said, what lost against something else too."""
    for origin in said.origins.values():
        yield from ((lost.source, lost.at or "") for lost in origin.overrode)
        yield from ((source, at or "") for source, at in origin.also)
        yield origin.source, origin.at or ""


def _declared_words(said: Said) -> list[str]:
    words = [
        at.removeprefix(_DECLARED) for source, at in _everything_said(said) if source == "cli" and at.startswith(_DECLARED)
    ]
    return list(dict.fromkeys(words))


def _override_words(said: Said) -> list[str]:
    return list(
        dict.fromkeys(origin.at or "" for origin in said.origins.values() if origin.source == "cli" and _is_hydra(origin))
    )


def _variables(said: Said) -> Iterator[tuple[str, str]]:
    for path, origin in said.origins.items():
        value = said.params.get(path)
        if origin.source == "env" and origin.at and not isinstance(value, (list, dict, type(None))):
            yield origin.at, value_word(value)


def _variable_text(name: str, value: Any) -> str:
    if isinstance(value, (list, dict)):
        raise Unsaid(f"how several values are written in ${name} is not known")
    return value_word(value)


def _file_and_line(at: str) -> tuple[str, int | None]:
    name, _, line = at.rpartition(":")
    return (name, int(line)) if name and line.isdigit() else (at, None)


def _known_lines(name: str, runs: Iterable[Said]) -> Iterator[tuple[str, int | None]]:
    for run in reversed([*runs]):
        for path, origin in run.origins.items():
            if origin.source == "file" and (found := _file_and_line(origin.at or ""))[0] == name:
                yield path, found[1]


def _override_text(value: Any) -> str:
    if not isinstance(value, str):
        return value_word(value)
    try:
        return value if same(parse_override(f"x={value}")[1], value) else json.dumps(value)
    except UsageError:
        return json.dumps(value)


def _hydra_text(value: Any) -> str:
    """Return a value in the grammar of Hydra's overrides."""
    if isinstance(value, list):
        return "[" + ",".join(map(_hydra_text, value)) + "]"
    if isinstance(value, Mapping):
        if not all(_HYDRA_PLAIN.fullmatch(key) for key in value):
            raise Unsaid("Hydra cannot be told a key like those in it")
        return "{" + ",".join(f"{key}:{_hydra_text(item)}" for key, item in value.items()) + "}"
    if not isinstance(value, str):
        return value_word(value)
    if (
        _HYDRA_PLAIN.fullmatch(value)
        and isinstance(scalar(value), str)
        and value.lower() not in ("true", "false", "null", "inf", "nan")
    ):
        return value
    escaped = re.sub(r"(\\*)'", lambda match: match[1] * 2 + r"\'", value)
    slashes = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{chr(92) * slashes}'"
