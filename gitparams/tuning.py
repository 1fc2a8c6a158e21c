"""Tuning: the trials of a search, recorded as they end, by whichever tuner made them."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gitparams.capture.redaction import Redaction
from gitparams.capture.reports import over, read_messages, tell, told_by
from gitparams.errors import GitParamsError
from gitparams.foreign import ForeignRun, recorded
from gitparams.journal import Ending, Journal
from gitparams.model import Metric, RunId, Status, is_run_id
from gitparams.params import Layer, layer, to_dict
from gitparams.recorder import current, is_beside, reports_folder, spool_open, warn, warn_once
from gitparams.repository import Repository


class TrialRecorder:
    """Records finished trials from the program that runs the search; any thread may, and a fault is one warning.

    Under ``gitparams run``, or within a run that goes on here, each trial is a run of its own with that one as its parent, and
    has its params below its own.

    Attributes:
        warned: whether it was said that trials are kept aside; that is said once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: tuple[Path, int] | None = None
        self._repository: Repository | None = None
        self._around: dict[Path, Layer] = {}
        self._told: set[Path] = set()
        self.warned = False

    def record(self, runs: Sequence[ForeignRun]) -> list[RunId]:
        """Record trials that are not on the ledger yet, and return their ids.

        Without a repository they are kept in the spool, until ``gitparams import spool``.
        """
        if is_beside():
            return []
        with self._lock:
            reports = reports_folder()
            whole = [self._within(run, reports) for run in runs]
            try:
                brought = self._opened().record_all(whole, here=True)
            except (GitParamsError, OSError) as error:
                return self._keep(whole, error)
            if reports is not None and brought:
                self._tell_first(reports, brought[0])
            return brought

    def add_metrics(self, run: RunId, metrics: Mapping[str, Metric]) -> None:
        """Add metrics to a run that was recorded here and has ended; one that the ledger does not take is one warning."""
        with self._lock:
            try:
                self._opened().update(run, Layer({}, {}), metrics)
            except (GitParamsError, OSError) as error:
                said = str(error) if isinstance(error, GitParamsError) else f"{type(error).__name__}: {error}."
                warn_once(f"{said} What became known of run {run[:8]} after its end is not recorded.")

    def close(self) -> None:
        """Close the repository."""
        with self._lock:
            if self._repository is not None and self._key is not None and self._key[1] == os.getpid():
                self._repository.close()
            self._repository = self._key = None

    def __getstate__(self) -> dict[str, object]:
        return {}  # a tuner may pickle its callback into a worker

    def __setstate__(self, state: dict[str, object]) -> None:
        TrialRecorder.__init__(self)

    def _opened(self) -> Repository:
        key = (Path.cwd(), os.getpid())
        if self._repository is None or key != self._key:
            if self._repository is not None and self._key is not None and self._key[1] == key[1]:
                self._repository.close()
            self._repository, self._key = Repository.find(), key
            atexit.register(self._repository.close)
        return self._repository

    def _within(self, run: ForeignRun, reports: Path | None) -> ForeignRun:
        """Return a trial as a part of the run around it."""
        if run.parent is not None:
            return run
        here = current()
        if reports is None:
            return run if here is None else replace(run, parent=here.id)
        outer = RunId(reports.parent.name)
        if not is_run_id(outer):
            return run
        if reports not in self._around:
            declared = Journal(reports.parent).read().layer
            self._around[reports] = over(declared, told_by(read_messages(reports), os.getpid()))
        values = over(self._around[reports], layer(dict(run.params), run.key[0])).values
        return replace(run, params=to_dict(values), parent=outer)

    def _tell_first(self, reports: Path, run: RunId) -> None:
        """Tell the run around that it holds runs: once, since ten thousand messages would be read again and again."""
        if reports not in self._told:
            self._told.add(reports)
            tell(reports, "child", event="begin", own=True, run=run)

    def _keep(self, runs: Sequence[ForeignRun], error: Exception) -> list[RunId]:
        """Keep trials in the spool, with one warning for all of them."""
        redaction = Redaction().knowing(os.environ)
        kept: list[RunId] = []
        for folder in spool_open():
            try:
                kept += [_spooled(folder, run, redaction) for run in runs[len(kept) :]]
            except OSError:
                continue
            break
        if not self.warned:
            self.warned = True
            said = str(error) if isinstance(error, GitParamsError) else f"{type(error).__name__}: {error}."
            warn(f"{said} The trials are kept aside; bring them in with: gitparams import spool")
        return kept


def _spooled(folder: Path, foreign: ForeignRun, redaction: Redaction) -> RunId:
    run, details = recorded(foreign, redaction)
    try:
        journal = Journal.create(folder, replace(run, status=Status.RUNNING, finished=None, metrics={}), details.origins)
    except FileExistsError:
        return run.id  # kept already
    journal.log(details.series)
    journal.change(summary=dict(run.metrics))
    journal.end(Ending(run.status, run.finished or run.started, None))
    journal.close()
    return run.id
