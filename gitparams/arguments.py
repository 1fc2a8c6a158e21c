"""Arguments: where the words of a recorded command say a value, and in which manner."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from gitparams.capture.overrides import scalar
from gitparams.edits import value_word
from gitparams.params import MISSING

OVERRIDE_WORD = re.compile(r"(\+{0,2}|~)([A-Za-z_][\w.]*)(?:=(.*))?", re.DOTALL)
"""A word of Hydra's: what is before the key, the key, and its value."""
_PYTHON = ("python", "pypy", "torchrun", "accelerate", "deepspeed", "uv", "poetry", "pipenv", "hatch", "pdm")
_TRUE = {"true": "false", "yes": "no", "on": "off", "1": "0", "t": "f", "y": "n"}
_FALSE = {no: yes for yes, no in _TRUE.items()}
_SIMPLE_TEXT = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)

_Names = Callable[[str], bool]


class Unsaid(Exception):
    """Why a value cannot be said to a program."""


@dataclass(frozen=True, slots=True)
class Span:
    """The words of one flag, from the first to before the last: ``--lr 0.1``, ``--lr=0.1``, ``--no-amp``."""

    start: int
    stop: int


class Arguments:
    """The words of a command, in which what is said of a param can be found and replaced.

    >>> words = Arguments(("python", "train.py", "--lr", "0.1", "--lr=0.2", "data.csv"))
    >>> words.put(words.spans("--lr", 0.2, 0.3), ["--lr=0.3"])
    >>> words.command
    ('python', 'train.py', '--lr=0.3', 'data.csv')
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._words = list(command)
        self.start = _first_argument(command)

    @property
    def command(self) -> tuple[str, ...]:
        """All words as they are now."""
        return tuple(self._words)

    @property
    def stop(self) -> int:
        """Where flags end: at ``--``, or after the last word."""
        return self._words.index("--", self.start) if "--" in self._words[self.start :] else len(self._words)

    def of(self, span: Span) -> list[str]:
        """Return the words of a flag."""
        return self._words[span.start : span.stop]

    def put(self, spans: Sequence[Span], new: Sequence[str], before: str | None = None) -> None:
        """Put words where some others were, or at the end of the flags; or before a sub-command, when that is there once."""
        place = spans[0].start if spans else self.stop
        if not spans and before is not None and self._words.count(before) == 1:
            place = self._words.index(before)
        for span in reversed(spans):
            del self._words[span.start : span.stop]
        self._words[place:place] = new

    def sub_command_after(self, spans: Sequence[Span], command: Any) -> str | None:
        """Return the sub-command before which a flag stands; `command` is the one that was chosen."""
        word = command.split(" ")[0] if isinstance(command, str) and command else None
        if word is None or self._words.count(word) != 1:
            return None
        return word if spans[0].start < self._words.index(word) else None

    # -- flags

    def spans(self, option: str, value: Any, wanted: Any) -> list[Span]:
        """Return where a flag stands.

        Args:
            option: how it is called, as origins have it.
            value: what it said in all, which tells how many words are its own.
            wanted: what is to be said, or the same once more; a flag of a bool may begin with ``no``, too.
        """
        is_bool = isinstance(value, bool) or isinstance(wanted, bool)
        names = _names(option, is_bool, value is False)
        found = self._spans(lambda name: name in names, value)
        if not found:
            found = self._spans(_abbreviates(option), value) or self._short_spans(option, value)
        return found

    def _spans(self, is_name: _Names, value: Any) -> list[Span]:
        found: list[Span] = []
        items = _flat(value) if isinstance(value, list) else []
        place, stop = self.start, self.stop
        heads = [word.partition("=") for word in self._words]
        own = [at for at in range(place, stop) if is_flag(heads[at][0]) and is_name(_bare(heads[at][0]))]
        texts = [heads[at][2] if heads[at][1] else "".join(self._rest(at + 1, stop)[:1]) for at in own]
        is_counted = type(value) is int and value == len(own) and not any(isinstance(scalar(text), int) for text in texts)
        while place < stop:
            _, equals, text = heads[place]
            if place not in own:
                place += 1
                continue
            rest = [] if equals else self._rest(place + 1, stop)
            width = 0 if equals or is_counted else _width(rest, value, items, len(own), place + 1 + len(rest) < stop)
            said = [text] if equals else rest[:width]
            items = items[len(said) :] if items and all(map(_says, said, items)) else items
            found.append(Span(place, place + 1 + width))
            place += 1 + width
        return found

    def _rest(self, start: int, stop: int) -> list[str]:
        """Return the words up to the next flag."""
        end = next((place for place in range(start, stop) if is_flag(self._words[place])), stop)
        return self._words[start:end]

    def _short_spans(self, option: str, value: Any) -> list[Span]:
        """Return where the value stands after one letter: ``-l 0.1``, ``-l0.1``, ``-vv``; which letter is not recorded."""
        found = []
        for place in range(self.start, self.stop):
            word = self._words[place]
            if not re.match(r"-[A-Za-z]", word):
                continue
            width = _short_width(word, self._rest(place + 1, self.stop), value)
            if width is not None:
                found.append(Span(place, place + 1 + width))
        likely = [span for span in found if self._words[span.start][1].lower() == _bare(option)[:1].lower()]
        return likely if len(likely) == 1 else found if len(found) == 1 and not isinstance(value, bool) else []

    # -- arguments without a flag

    def replace_free(self, had: Any, value: Any, taught: Sequence[str] | None) -> None:
        """Replace an argument that is known by its place.

        Args:
            had: its old value; value: the new one.
            taught: the words by which another run said the new one.

        Raises:
            Unsaid: the old value is not there exactly once.
        """
        if value is None or value is MISSING or isinstance(value, Mapping):
            raise Unsaid("an argument that is known by its place cannot be left out")
        span = self.free(had)
        if span is None:
            raise Unsaid("it is known by its place, and its old value stands not exactly once among the arguments")
        items = value if isinstance(value, list) else [value]
        self._words[span.start : span.stop] = taught or [value_word(item) for item in items]

    def free(self, value: Any) -> Span | None:
        """Return where a value stands without a flag, if it does so once."""
        texts = value if isinstance(value, list) else value.split(" ") if isinstance(value, str) and " " in value else [value]
        found = []
        for items in (texts, [value]):
            places = range(self.start, len(self._words) - len(items) + 1)
            found = [place for place in places if items and all(map(_says, self._words[place : place + len(items)], items))]
            if found:
                return Span(found[0], found[0] + len(items)) if len(found) == 1 else None
        return None

    # -- Hydra

    def become_one_job(self, words: Iterable[str]) -> None:
        """Take the sweep out of a command: each override that has many values has that of the job."""
        multirun = [place for place in range(self.start, len(self._words)) if self._words[place] in ("-m", "--multirun")]
        if not multirun:
            return
        for place in reversed(multirun):
            del self._words[place]
        for word in words:
            if (said := OVERRIDE_WORD.fullmatch(word)) is not None:
                self.put_override(said[2], word, is_removal=said[1] == "~")

    def put_override(self, key: str, word: str, *, is_removal: bool) -> None:
        """Put an override where one of the same key is, or at the end."""
        own = [place for place in range(self.start, len(self._words)) if self._is_override_of(place, key)]
        is_added = bool(own) and all(self._words[place].startswith("+") for place in own)
        place = own[0] if own else len(self._words)
        for each in reversed(own):
            del self._words[each]
        if is_added and not word.startswith(("+", "~")):
            word = f"++{word}"
        # what was never added need not be removed
        self._words[place:place] = [] if is_removal and is_added else [word]

    def _is_override_of(self, place: int, key: str) -> bool:
        said = OVERRIDE_WORD.fullmatch(self._words[place])
        return said is not None and said[2] == key and (said[3] is not None or said[1] == "~")


def _first_argument(command: Sequence[str]) -> int:
    """Return the place of the program's first argument: after the script, the module, or the program itself."""
    is_python = bool(command) and PurePath(command[0]).name.startswith(_PYTHON)
    for place, word in enumerate(command):
        if word.endswith((".py", ".pyz")):
            return place + 1
        if is_python and place and word in ("-m", "-c"):
            return place + 2
    return 1


def is_flag(word: str) -> bool:
    """Tell whether a word is a flag; a negative number is none."""
    return len(word) > 1 and word[0] == "-" and isinstance(scalar(word), str)


def _bare(name: str) -> str:
    """Return a flag without its dashes, with ``_`` as every parser has it in the end.

    jsonargparse writes ``--layers+`` for what is appended to.
    """
    return name.lstrip("-").rstrip("+").replace("-", "_")


def _names(option: str, is_bool: bool, is_false: bool) -> frozenset[str]:
    name = _bare(option)
    if not is_bool:
        return frozenset({name})
    head, dot, last = name.rpartition(".")
    if is_false and last.startswith("no_"):
        last = last.removeprefix("no_")
    return frozenset(head + dot + start + last for start in ("", "no_", "no"))


def _abbreviates(option: str) -> _Names:
    name = _bare(option)
    return lambda head: len(head) > 2 and name.startswith(head)


def _flat(items: Sequence[Any]) -> list[Any]:
    return [inner for item in items for inner in (_flat(item) if isinstance(item, list) else [item])]


def _width(rest: Sequence[str], value: Any, items: Sequence[Any], count: int, ends_in_flag: bool) -> int:
    """Return how many of the words after a flag are its value.

    Args:
        rest: the words up to the next flag, or to the end; `ends_in_flag` tells which.
        value: what the flag was given in all.
        items: of a list, those that were not said before.
        count: how often the flag is there.
    """
    if not rest:
        return 0
    if isinstance(value, bool):
        return int(_says(rest[0], value))
    if isinstance(value, list):
        return _list_width(rest, value, items, count, ends_in_flag)
    return 1


def _list_width(rest: Sequence[str], value: Sequence[Any], items: Sequence[Any], count: int, ends_in_flag: bool) -> int:
    said = 0
    while said < min(len(rest), len(items)) and _says(rest[said], items[said]):
        said += 1
    if said or not value:
        return said
    if rest[0][:1] in ("[", "(", "{") or "," in rest[0]:
        return 1
    if count == 1 and len(rest) >= len(value):
        return len(value)
    return len(rest) if ends_in_flag else 1


def _short_width(word: str, rest: Sequence[str], value: Any) -> int | None:
    """Return how many words after one of a letter belong to it, if it may say the value."""
    if isinstance(value, bool):
        return 0 if len(word) == 2 and value else None
    if isinstance(value, int) and value > 0 and word == "-" + word[1] * value:
        return None if rest and _says(rest[0], value) and value == 1 else 0
    if len(word) > 2:
        return 0 if not isinstance(value, list) and _says(word[2:], value) else None
    items = _flat(value) if isinstance(value, list) else [value]
    return len(items) if items and len(rest) >= len(items) and all(map(_says, rest, items)) else None


def _says(text: str, value: Any) -> bool:
    """Tell whether a word of a command line may stand for a value."""
    if isinstance(value, bool):
        return text.lower() in (_TRUE if value else _FALSE)
    if isinstance(value, str):
        return text == value
    if value is None:
        return text.lower() in ("none", "null")
    read = scalar(text)
    return (
        isinstance(read, (int, float)) and not isinstance(read, bool) and (read == value or (read != read and value != value))
    )


# -- in which manner ------------------------------------------------------------------------------------------------------


def in_the_manner(words: Arguments, spans: Sequence[Span], had: Any, value: Any) -> list[str]:
    """Return the words that say a value as others said another one.

    Args:
        words: the command of the others, and spans: where they are in it.
        had: what they say.
        value: what is to be said.

    Raises:
        Unsaid: it cannot be told from them.

    >>> words = Arguments(("train.py", "--layers", "64", "64"))
    >>> in_the_manner(words, words.spans("--layers", [64, 64], [32]), [64, 64], [32])
    ['--layers', '32']
    """
    first = words.of(spans[0])
    option, joined, text = _parted(first)
    if value is None or isinstance(value, Mapping):
        raise Unsaid(f"no run shows how {json.dumps(value)} is said by {option}")
    if isinstance(value, bool) and isinstance(had, bool):
        return _bool_words(option, joined, text, had, value)
    if isinstance(value, list):
        return _list_words(words, spans, had, value)
    if isinstance(value, int) and isinstance(had, int) and text == "" and not joined:
        return [option[:2] if re.fullmatch(r"-([A-Za-z])\1*", option) else option] * value
    return with_value(option, value_word(value), joined=joined)


def _parted(words: Sequence[str]) -> tuple[str, bool, str]:
    """Return the flag, whether its value is in the same word, and the first word of the value."""
    head, equals, text = words[0].partition("=")
    if equals:
        return head, True, text
    if len(words) == 1 and re.match(r"-[A-Za-z].", head) and not re.fullmatch(r"-([A-Za-z])\1*", head):
        return head[:2], True, head[2:]
    return head, False, words[1] if len(words) > 1 else ""


def with_value(option: str, text: str, *, joined: bool) -> list[str]:
    """Return the words that say the text of a value by a flag, in one word where that is asked for or needed.

    >>> with_value("--lr", "-1", joined=False), with_value("-l", "0.1", joined=True)
    (['--lr=-1'], ['-l0.1'])
    """
    if option.startswith("--"):
        return [f"{option}={text}"] if joined or text.startswith("-") or not text else [option, text]
    return [f"{option}{text}"] if (joined and len(option) == 2) or text.startswith("-") else [option, text]


def _bool_words(option: str, joined: bool, text: str, had: bool, value: bool) -> list[str]:
    if joined or text:
        if had == value:
            return with_value(option, text, joined=joined)
        other = {**_TRUE, **_FALSE}.get(text.lower())
        if other is None:
            raise Unsaid(f"how {value_word(value)} is said by {option} is not known")
        return with_value(option, other.capitalize() if text[:1].isupper() else other, joined=joined)
    if value and not had:
        dashes, name = option[: len(option) - len(option.lstrip("-"))], option.lstrip("-")
        head, dot, last = name.rpartition(".")
        return [dashes + head + dot + re.sub(r"^no[-_]?", "", last)]
    return []  # a flag that is there makes it True, and is left out


def _list_words(words: Arguments, spans: Sequence[Span], had: Any, value: list[Any]) -> list[str]:
    option, joined, text = _parted(words.of(spans[0]))
    texts = [value_word(item) for item in value]
    if text[:1] in ("[", "("):
        return with_value(
            option, f"{text[0]}{','.join(map(_listed_text, value))}{')' if text[0] == '(' else ']'}", joined=joined
        )
    if isinstance(had, list) and len(had) > 1 and text.count(",") == len(had) - 1:
        return with_value(option, ",".join(texts), joined=joined)
    width = spans[0].stop - spans[0].start
    if len(spans) > 1 and len(spans) == len(had or ()):
        return [word for item in texts for word in with_value(option, item, joined=joined)]
    if len(spans) == 1 and not joined and (width > 2 or len(value) == len(had or ()) == width - 1):
        return [option, *texts]
    raise Unsaid(f"no run shows how {len(value)} values are said by {option}")


def _listed_text(item: Any) -> str:
    if isinstance(item, str):
        return item if _SIMPLE_TEXT.fullmatch(item) else json.dumps(item, ensure_ascii=False)
    return value_word(item)
