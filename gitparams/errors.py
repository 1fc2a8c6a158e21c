"""The exceptions of gitparams: one tree, each with a sentence for a person and, where there is one, the next step.

GitParamsError            exit code 1: it could not be done, and the message says why
├── UsageError            exit code 2: the words of the command, or where it was called
│   ├── CommandLineError  the command line itself, before anything was read
│   ├── ParamsFileError   a file of params, metrics or settings; names file, line and column
│   └── RepositoryError   no git repository here, or git will not work in it
├── RunNotFound           no run answers to that name
├── AmbiguousRun          several things answer to it; exit code 2
├── LedgerError           the ledger could not be written (disk, lock, a hook's veto)
├── FormatError           an entry that this version cannot read
└── ParamsError           a value or a key that params cannot hold
"""

from __future__ import annotations


class GitParamsError(Exception):
    """Base of everything gitparams raises on purpose.

    Args:
        message: one sentence that names the thing.
        hint: the next step, ready to paste, or nothing.

    >>> error = GitParamsError("No run starts with kkkk", hint="gitparams log")
    >>> str(error), error.hint, error.exit_code
    ('No run starts with kkkk', 'gitparams log', 1)
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GitParamsError):
    """The command line, a file given to it, or the place it was called from is wrong."""

    exit_code = 2


class CommandLineError(UsageError):
    """The words of the command line cannot be understood."""


class ParamsFileError(UsageError):
    """A file of params, metrics or settings cannot be used.

    The message begins with the place: ``conf/train.yaml:12:5: …`` (line and column count from 1).
    """

    def __init__(
        self, path: str, problem: str, line: int | None = None, column: int | None = None, hint: str | None = None
    ) -> None:
        place = ":".join(str(part) for part in (path, line, column) if part is not None)
        super().__init__(f"{place}: {problem}", hint)
        self.path, self.problem, self.line, self.column = path, problem, line, column


class RepositoryError(UsageError):
    """There is no git repository here, or git refuses to work in it."""


class RunNotFound(GitParamsError):
    """No run answers to what was asked for."""


class AmbiguousRun(GitParamsError):
    """More than one thing answers to what was asked for; the message lists them."""

    exit_code = 2


class LedgerError(GitParamsError):
    """The ledger could not be written; nothing half written is left."""


class FormatError(GitParamsError):
    """An entry of the ledger cannot be read by this version of gitparams."""


class ParamsError(GitParamsError):
    """A key or value that params cannot hold, or a key that is not there."""
