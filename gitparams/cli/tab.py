"""Tab: the answer to a shell that asks what may come next; it loads neither the command nor Typer, for somebody waits.

A script asks ``gitparams __complete SHELL PLACE WORD…``: the words of the line from the program's own on, as they are typed,
and the place of the one under the cursor. The first line of the answer says who completes it, the others are candidates: for
bash as they are to be inserted, for zsh and fish plain, with a description after a tab.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gitparams.completion import SHELLS, Answer, Candidate, Kind, complete

_SAFE = re.compile(r"[\w@%+:=,./-]", re.ASCII)
_BREAKS = "=:"


def answer(words: Sequence[str]) -> int:
    """Print what may stand at the place of one word; 2 for words that no script of ours would send."""
    shell, place = words[0] if words else "", words[1] if len(words) > 1 and words[1].isdecimal() else "0"
    line = words[2 : int(place) + 3]
    if shell not in SHELLS or len(line) < 2:
        return 2
    print(*(_in_bash(line) if shell == "bash" else _plainly(line)), sep="\n")
    return 0


def _plainly(line: Sequence[str]) -> list[str]:
    """Return the answer for a shell that has unquoted the words and quotes the candidates itself."""
    found = _completed([*line[:-1], _typed(line[-1]).text])
    return [_first(found), *(f"{item.value}\t{item.description}".rstrip("\t") for item in found.candidates)]


def _in_bash(line: Sequence[str]) -> list[str]:
    """Return the answer for bash, which gives the words as they are typed and inserts the candidates as they come."""
    breaks = os.environ.get("GITPARAMS_WORDBREAKS", _BREAKS)
    typed = [_typed(word, breaks) for word in _joined(line, breaks)]
    found = _completed([word.text for word in typed])
    inserted = (typed[-1].inserted(item.value) for item in found.candidates)
    return [_first(found), *(text for text in inserted if text is not None)]


def _first(found: Answer) -> str:
    detail = {Kind.COMMAND: str(found.back), Kind.VALUES: "open" if found.open else ""}.get(found.kind, str(found.fixed))
    return f":{found.kind} {detail}".rstrip()


def _completed(line: list[str]) -> Answer:
    """Return the answer for plain words; those of ``-C`` are followed first, as the command would."""
    from gitparams.cli.flags import COMMANDS
    from gitparams.glimpse import Glimpse, index_file

    words, folder = line[1:], Path.cwd()
    while len(words) > 2 and words[0] == "-C":
        folder, words = folder / Path(words[1]).expanduser(), words[2:]
    with Glimpse.of(index_file(folder.resolve(), os.environ)) as glimpse:
        found = complete(words, COMMANDS, glimpse)
    described = (Candidate(item.value, _on_one_line(item.description)) for item in found.candidates)
    return Answer(found.kind, tuple(described), found.open, found.back, found.fixed)


def _on_one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


# -- words as bash has them -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Typed:
    """A word as it is typed.

    Attributes:
        text: what it means.
        quote: the quotation mark that is open at its end, or nothing.
        kept: how many letters of the text stay where they are when a candidate is inserted.
    """

    text: str
    quote: str
    kept: int

    def inserted(self, value: str) -> str | None:
        """Return what puts a value in the word's place, so that the shell reads it as this value and nothing else."""
        if not value.startswith(self.text[: self.kept]):
            return None
        rest = value[self.kept :]
        if self.quote == "'":
            return rest.replace("'", "'\\''")
        if self.quote == '"':
            return re.sub(r'[\\"$`]', r"\\\g<0>", rest).replace("!", "\"'!'\"")
        return "".join(letter if _SAFE.fullmatch(letter) or ord(letter) > 127 else f"\\{letter}" for letter in rest)


def _typed(word: str, breaks: str = "") -> _Typed:
    """Return what a word means that is typed so far; bash inserts behind an open quotation mark, else behind a break."""
    text, quote, kept, letters = "", "", 0, iter(word)
    for letter in letters:
        if letter == "\\" and quote != "'":
            following = next(letters, "")
            text += following if not quote or following in '\\"$`' else letter + following
        elif letter == quote:
            quote = ""
        elif not quote and letter in "'\"":
            quote, kept = letter, len(text)
        else:
            text += letter
            if not quote and letter in breaks and letter in _BREAKS:
                kept = len(text)
    return _Typed(text, quote, kept)


def _joined(words: Sequence[str], breaks: str) -> list[str]:
    """Return the words as a person sees them: bash cuts ``best:acc`` and ``--sort=lr`` at the marks.

    >>> _joined(["gitparams", "show", "best", ":", "acc"], "=:"), _joined(["gitparams", "log", "--sort", "=", ""], "=:")
    (['gitparams', 'show', 'best:acc'], ['gitparams', 'log', '--sort='])
    """
    marks = "".join(mark for mark in _BREAKS if mark in breaks)
    whole: list[str] = []
    glued = False
    for word in words:
        broken = bool(marks) and bool(word) and not word.strip(marks)
        if (glued or broken) and len(whole) > 1:
            whole[-1] += word
        else:
            whole.append(word)
        glued = broken
    return whole
