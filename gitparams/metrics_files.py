"""Metrics files: the numbers that a program wrote to files while it ran."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitparams.errors import UsageError
from gitparams.model import Metric

_TAIL = 4096  # bytes before its former end by which a file that was appended to is known


@dataclass(frozen=True, slots=True)
class MetricsFound:
    """What metrics files say.

    Attributes:
        metrics: the last value of each metric; the later file wins.
        series: the rows of tables as lines of a series.
        warnings: a sentence for each file that gave nothing, or not all.
    """

    metrics: dict[str, Metric] = field(default_factory=dict)
    series: bytes = b""
    warnings: list[str] = field(default_factory=list)


_CLOCK_TICK = 0.02  # seconds by which the clock of a file system may be behind


@dataclass(frozen=True, slots=True)
class _Mark:
    modified: int
    size: int
    inode: int
    tail: bytes


class MetricsWatch:
    """Some files as they were before a program ran; what is there unchanged afterwards is not the program's.

    Args:
        files: each file with the name it is called by.
    """

    def __init__(self, files: Sequence[tuple[Path, str]]) -> None:
        self._files = list(files)
        self._before = [_mark(path) for path, _ in files]

    def read(self, folder: str | None = None, begun: float = 0.0, taken: Collection[str] = ()) -> MetricsFound:
        """Return what the files that changed say. Of a table that was appended to, the new rows count.

        Args:
            folder: where the program writes what it is called by a relative name, if that is not where it was started.
            begun: when the program began, in seconds since 1970: what is older in that folder is not its own.
            taken: the names of those that a run within the run wrote, so that nothing is to be said of them.
        """
        changed, known, warnings = [], {}, []
        for (path, name), before in zip(self._files, self._before, strict=True):
            there = Path(folder, name) if folder is not None and not Path(name).is_absolute() else path
            if there != path and _written_since(there, begun):
                changed.append((there, name))
            elif _mark(path) == before:
                if name in taken:
                    continue
                how = "was not written" if before is None else "was not changed"
                warnings.append(f"{name} {how} by the program: no metrics from it.")
            else:
                changed.append((path, name))
                known[path] = before.size if before is not None and _appended(path, before) else 0
        found = read_metrics_files(changed, known)
        return MetricsFound(found.metrics, found.series, warnings + found.warnings)


def _written_since(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime >= moment - _CLOCK_TICK
    except OSError:
        return False


def read_metrics_files(files: Sequence[tuple[Path, str]], known: Mapping[Path, int] | None = None) -> MetricsFound:
    """Return what metrics files say; one that cannot be read is a warning.

    Args:
        files: each file with the name it is called by.
        known: how many bytes at the beginning of a file were written earlier; none when not given.
    """
    metrics: dict[str, Metric] = {}
    series, warnings = b"", []
    for path, name in files:
        try:
            found, left_out, lines, faults = _read(path, name, (known or {}).get(path, 0))
        except UsageError as error:
            warnings.append(str(error))
            continue
        metrics.update(found)
        series += lines
        warnings.extend(faults)
        if left_out:
            some = ", ".join(left_out[:5]) + (" …" if len(left_out) > 5 else "")
            warnings.append(f"{name}: not a number, left out: {some}.")
    return MetricsFound(metrics, series, warnings)


def read_metrics_file(path: Path, name: str) -> tuple[dict[str, Metric], tuple[str, ...]]:
    """Return the metrics in a file and the names of what was no number; of a table, the last value of each column.

    Raises:
        ParamsFileError: the file cannot be read, is malformed, or holds no metrics.
        UsageError: its ending is none of a file of metrics.
    """
    metrics, left_out, _, _ = _read(path, name, 0)
    return metrics, left_out


def _read(path: Path, name: str, known: int) -> tuple[dict[str, Metric], tuple[str, ...], bytes, tuple[str, ...]]:
    from gitparams.capture.tables import ENDINGS, is_table, read_table

    if is_table(path):
        table = read_table(path, shown=name, known=known)
        return table.metrics, table.left_out, table.series, table.warnings
    from gitparams.capture.files import read_metrics

    metrics, left_out = read_metrics(path, shown=name, others=ENDINGS)
    return metrics, left_out, b"", ()


def _mark(path: Path) -> _Mark | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _Mark(found.st_mtime_ns, found.st_size, found.st_ino, _tail(path, found.st_size))


def _appended(path: Path, before: _Mark) -> bool:
    """Tell whether a file still begins with what it was before."""
    after = _mark(path)
    grown = after is not None and after.inode == before.inode and after.size > before.size
    return grown and _tail(path, before.size) == before.tail


def _tail(path: Path, end: int) -> bytes:
    """Return the bytes before a place in a file; nothing of what is no file, a pipe for one."""
    if not path.is_file():
        return b""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, end - _TAIL))
            return file.read(min(end, _TAIL))
    except OSError:
        return b""
