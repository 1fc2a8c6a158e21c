"""Talk: what a command says to the person, apart from the data it prints."""

from __future__ import annotations

import sys

from gitparams.errors import GitParamsError


def talk(text: str) -> None:
    """Say something on standard error."""
    print(f"gitparams: {harmless(text)}", file=sys.stderr)


def explain(error: GitParamsError) -> None:
    """Say an error's sentence, and its hint."""
    talk(error.message)
    if error.hint:
        print(f"hint: {harmless(error.hint)}", file=sys.stderr)


def harmless(text: str) -> str:
    r"""Return text that cannot command the terminal, and that its encoding can show.

    >>> harmless("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    clean = "".join(letter if letter.isprintable() or letter == "\n" else f"\\x{ord(letter):02x}" for letter in text)
    return clean.encode(encoding, "backslashreplace").decode(encoding)
