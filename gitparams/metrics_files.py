"""Metrics files: the numbers that a program wrote to files while it ran."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gitparams.errors import ParamsFileError
from gitparams.model import Metric

_Mark = tuple[int, int, int] | None


class MetricsWatch:
    """Some files as they were before a program ran; what is there unchanged afterwards is not the program's.

    Args:
        files: each file with the name it is called by.
    """

    def __init__(self, files: Sequence[tuple[Path, str]]) -> None:
        self._files = list(files)
        self._before = [_mark(path) for path, _ in files]

    def read(self) -> tuple[dict[str, Metric], list[str]]:
        """Return the metrics of the files that changed, the later file wins, and a sentence for each one that gave none."""
        metrics: dict[str, Metric] = {}
        warnings = []
        for (path, name), before in zip(self._files, self._before, strict=True):
            if _mark(path) == before:
                known = "was not written" if before is None else "was not changed"
                warnings.append(f"{name} {known} by the program: no metrics from it.")
                continue
            try:
                found, left_out = read_metrics_file(path, name)
            except ParamsFileError as error:
                warnings.append(str(error))
                continue
            metrics.update(found)
            if left_out:
                warnings.append(
                    f"{name}: not a number, left out: {', '.join(left_out[:5])}{' …' if len(left_out) > 5 else ''}."
                )
        return metrics, warnings


def read_metrics_file(path: Path, name: str) -> tuple[dict[str, Metric], tuple[str, ...]]:
    """Return the metrics in a file and the names of what was no number. Raises `ParamsFileError`."""
    from gitparams.capture.files import read_metrics

    return read_metrics(path, shown=name)


def _mark(path: Path) -> _Mark:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
