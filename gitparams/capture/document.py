"""The text of one file on its way to values, and the errors that name a place in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from gitparams.errors import ParamsFileError

DEEPEST = 100
"""How many levels of mappings and lists a file may have."""
LARGEST_FILE = 64 * 1024 * 1024
"""How many bytes a file of params or metrics may have; tables, to which a program adds a row a step, may have more."""

_CONFLICT = re.compile(r"^<{7} .*\n(?:.*\n)*?={7}\n(?:.*\n)*?>{7} ", re.MULTILINE)

Lines = dict[str, int]
"""The line of each leaf, by its written path."""

_EXAMPLES = {
    "params": "a mapping from names to values, as in 'lr: 0.1'; '{}' where there are none",
    "metrics": "a mapping from names to numbers, as in 'acc: 0.93'; '{}' where there are none",
}


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was read and not understood yet.

    Attributes:
        name: how it is called in errors.
        text: what it holds.
        what: what is looked for in it, ``params`` or ``metrics``.
        exact_floats: read ``1e-3`` in YAML as a float, as YAML 1.2 does.
    """

    name: str
    text: str
    what: str
    exact_floats: bool = False

    def error(
        self, problem: str, line: int | None = None, column: int | None = None, hint: str | None = None
    ) -> ParamsFileError:
        """Return the error that says what is wrong at a place of the file; in a merge conflict that is what is wrong."""
        if conflict := _CONFLICT.search(self.text):
            place = self.text.count("\n", 0, conflict.start()) + 1
            return ParamsFileError(self.name, "it is in a merge conflict.", place, hint=f"edit {self.name}, then git add it")
        return ParamsFileError(self.name, problem, line, column, hint)

    def twice(self, key: str, line: int, first: int) -> ParamsFileError:
        """Return the error for a key that is written twice."""
        return self.error(f"key {key!r} is written twice, first on line {first}.", line)

    def too_deep(self, line: int | None = None, column: int | None = None) -> ParamsFileError:
        """Return the error for a file that is nested too deeply."""
        return self.error(f"it is nested deeper than {DEEPEST} levels.", line, column)

    def nothing(self, hint: str | None = None) -> ParamsFileError:
        """Return the error for a file without a value; the hint is an example of YAML when none is given."""
        return self.error(f"the file holds no {self.what}.", hint=hint or self.example)

    @property
    def example(self) -> str:
        """What a file of this sort looks like."""
        return _EXAMPLES[self.what]


@contextmanager
def opened(path: str | os.PathLike[str], name: str) -> Iterator[BinaryIO]:
    """Open a file to be read under the name that errors call it by.

    Raises:
        ParamsFileError: it cannot be opened, or not be read within the ``with``.

    >>> with opened("gone.yaml", "conf/gone.yaml") as file:
    ...     data = file.read()
    Traceback (most recent call last):
    gitparams.errors.ParamsFileError: conf/gone.yaml: there is no such file.
    """
    try:
        with open(path, "rb") as file:
            yield file
    except FileNotFoundError:
        raise ParamsFileError(name, "there is no such file.") from None
    except IsADirectoryError:
        raise ParamsFileError(name, "it is a folder, not a file.") from None
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise ParamsFileError(name, f"it cannot be read: {reason}.") from None


def decoded(data: bytes, name: str, *, most: int | None = LARGEST_FILE) -> str:
    """Return the text of a file's bytes, without a byte order mark.

    Args:
        data: what the file holds.
        name: how it is called in errors.
        most: how many bytes it may have; None is any number.

    Raises:
        ParamsFileError: they are too many, or not UTF-8.

    >>> decoded("\\ufeffµ".encode(), "train.yaml")
    'µ'
    """
    if most is not None:
        check_size(len(data), name, most)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"it is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}."
        raise ParamsFileError(name, problem, line, hint="save it as UTF-8") from None


def check_size(size: int, name: str, most: int = LARGEST_FILE, kind: str = "a file") -> None:
    """Refuse a file that is larger than can be read.

    Raises:
        ParamsFileError: it has more than `most` bytes.

    >>> check_size(70_000_000, "train.yaml")
    Traceback (most recent call last):
    gitparams.errors.ParamsFileError: train.yaml: it has 70,000,000 bytes; a file may have at most 67,108,864 (64 MiB).
    """
    if size > most:
        limit = f"{kind} may have at most {most:,} ({most // (1024 * 1024)} MiB)"
        raise ParamsFileError(name, f"it has {size:,} bytes; {limit}.", hint="keep the params in a smaller file of their own")
