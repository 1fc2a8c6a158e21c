"""Textconv: a file of params as one line a param, for ``git diff``, ``git log -p`` and ``git show``.

``gitparams init --textconv`` tells git to run ``python -m gitparams.textconv FILE``. So what shows is which params changed, and
neither comments nor the order of keys nor how a value is quoted.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gitparams.errors import ParamsFileError, UsageError

_TRIED = (".yaml", ".json")


def text_of(data: bytes, name: str) -> bytes:
    r"""Return the params of a file as lines, sorted; the file itself where it cannot be read as params.

    Args:
        data: what the file holds.
        name: its name, whose ending says how it is read; with an unknown one YAML is tried, then JSON.

    >>> print(text_of(b"optim: {name: adam, lr: 0.1}\nseed: '1'\n", "train.yaml").decode(), end="")
    optim.lr = 0.1
    optim.name = adam
    seed = "1"
    >>> text_of(b"<<<<<<< HEAD\nlr: 0.1\n", "train.yaml")
    b'<<<<<<< HEAD\nlr: 0.1\n'
    """
    values = _params(data, name)
    if values is None:
        return data
    from gitparams.params import flatten
    from gitparams.screens.numbers import value_text
    from gitparams.screens.terminal import safe

    lines = [f"{safe(path)} = {value_text(value)}\n" for path, value in sorted(flatten(values).items())]
    return "".join(lines).encode("utf-8", "surrogateescape")


def _params(data: bytes, name: str) -> Mapping[str, Any] | None:
    from gitparams.capture.files import read_params_text

    for ending in ("", *_TRIED):
        try:
            return read_params_text(data, name + ending, name).values
        except ParamsFileError:
            if not ending:
                return None
        except UsageError:
            pass  # the ending is none of ours
    return None


def main(words: Sequence[str]) -> int:
    """Print the file that the last of some words names, as git asks for it, and return the exit code."""
    path = Path(words[-1] if words else "")
    try:
        data = path.read_bytes()
    except OSError as error:
        sys.stderr.write(f"gitparams: {path} cannot be read: {error.strerror}.\n")
        return 1
    sys.stdout.buffer.write(text_of(data, path.name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
