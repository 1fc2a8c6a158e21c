"""Words: what stands after the first ``--`` of a command line, which Typer would mix with what stands before it."""

from __future__ import annotations

from collections.abc import Sequence

_after: list[str] | None = None


def cut(words: Sequence[str]) -> list[str]:
    """Return the words before the first ``--`` and keep those after it for `after_dashes`.

    >>> cut(["diff", "A", "--", "lr"]), after_dashes()
    (['diff', 'A'], ['lr'])
    >>> cut(["diff", "A"]), after_dashes()
    (['diff', 'A'], None)
    """
    global _after
    listed = list(words)
    if "--" not in listed:
        _after = None
        return listed
    place = listed.index("--")
    _after = listed[place + 1 :]
    return listed[:place]


def after_dashes() -> list[str] | None:
    """Return the words after the first ``--``, or None when there was none."""
    return None if _after is None else list(_after)
