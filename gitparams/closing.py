"""Closing: what journals hold becomes entries: of runs that go on, that ended, that turned out to be several, or that died."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gitparams.entry import ORIGINS, details_files, read_details
from gitparams.errors import FormatError, LedgerError
from gitparams.model import Details, EventKind, Oid, Run, RunId, Status, is_run_id, new_event
from gitparams.params import nested
from gitparams.presence import GRACE_SECONDS, PULSE_GRACE_SECONDS, goes_on, is_this_boot, may_be_closed, stamp
from gitparams.values import Value
from gitparams.writing import Writer

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_QUIET_SECONDS = 60.0
"""A journal that another machine ended is left to it for so long, and so is one that nobody has written anything to yet."""

# A command that finds no journal pays for none of what reads them.
if TYPE_CHECKING:
    from gitparams.capture.reports import Told
    from gitparams.journal import Ending, Journal, JournalState


class Closing:
    """Brings the journals of one repository to its ledger.

    Args:
        writer: writes the entries.
        notes: takes a sentence for each dead run that was closed.
    """

    def __init__(self, writer: Writer, notes: list[str]) -> None:
        self.writer, self.notes = writer, notes
        self.git, self.ledger, self.index = writer.git, writer.ledger, writer.index

    @property
    def live(self) -> Path:
        """The folder of the journals."""
        return self.ledger.folder / "live"

    def journal_of(self, run: RunId) -> Journal | None:
        """Return the journal of a run in progress, or None."""
        from gitparams.journal import Journal

        folder = self.live / run
        return Journal(folder) if (folder / "run.json").exists() else None

    def told(self, journal: Journal) -> Told:
        """Return what the programs of a run told of themselves so far."""
        from gitparams.capture.reports import FOLDER, told_in

        return told_in(journal.folder / FOLDER, journal.read().run.command)

    def keep_up(self, journal: Journal) -> bool:
        """Bring what a run's programs told so far to the ledger while it goes on; return whether there was anything.

        A run's own params become an ``update`` entry; of a group, children that began get a ``start`` entry, and those that
        ended are closed.
        """
        told = self.told(journal)
        if told.group:
            self._keep_up_with_children(journal, told)
        elif told.layer.values:
            self._update_told(journal, told)
        return told.group or bool(told.layer.values)

    def _update_told(self, journal: Journal, told: Told) -> None:
        from gitparams.capture.reports import over

        state = journal.read()
        layer, hidden = self.writer.redaction.layer(told.layer)
        both = over(state.layer, layer)

        def how(old: Run) -> Run:
            redacted = tuple(sorted({*old.redacted, *hidden, *told.redacted}))
            return replace(old, params=nested(both.values), redacted=redacted, python=told.python or old.python)

        self.writer.change(state.run.id, EventKind.UPDATE, how, files=details_files(Details(origins=both.origins)))

    def _keep_up_with_children(self, journal: Journal, told: Told) -> None:
        from gitparams.groups import params_of, take_apart

        state = journal.read()
        there = self.index.run(state.run.id)
        if isinstance(there, Run) and not there.group:
            self.writer.change(state.run.id, EventKind.UPDATE, _as_group, files={ORIGINS: b""}, subject="group")
        for child, ending in take_apart(journal, told.parts, None):
            self._close_child(child, ending, told)
        for part in told.parts:
            begun = self.journal_of(RunId(part.run)) if part.run is not None and part.layer.values else None
            if begun is not None and not self.index.trees_of(begun.id):
                layer, hidden = self.writer.redaction.layer(params_of(part, state))
                run = replace(begun.read().run, params=nested(layer.values), redacted=tuple(sorted({*hidden, *part.redacted})))
                self.writer.append_new(run, EventKind.START, Details(origins=layer.origins), None)

    def close(self, journal: Journal, ending: Ending) -> Run:
        """Write the entries that end a run, and those of the runs within it; then the journals go.

        Raises:
            LedgerError: an entry could not be written; the journals stay.
        """
        self._hear(journal, ending)
        run = self._append_journal(journal.read(), ending)
        journal.remove()
        return run

    def _hear(self, journal: Journal, ending: Ending) -> None:
        """Write what the programs told into the journal; a run that turned out to be several is taken apart."""
        from gitparams.capture.reports import FOLDER, disputed, filled, over

        if not (journal.folder / FOLDER).is_dir():
            return
        told = self.told(journal)
        if told.group:
            self._close_children(journal, told, ending)
        state = journal.read()
        declared = state.layer
        layer, hidden = self.writer.redaction.layer(told.layer)
        both = filled(over(declared, layer), self.writer.redaction.layer(told.gaps)[0])
        if both.values and not told.group:
            journal.set_params(both, (*hidden, *told.redacted))
        fields: dict[str, Value] = {
            "disputed": [*sorted({*disputed(declared, layer), *told.disputed})],
            "drift": self.writer.redaction.values(told.drift)[0],
            "unread": list(told.unread),
            "programs": list(told.programs),
            "environment": dict(told.facts),
            "python": told.python,
            "group": told.group,
        }
        journal.change(fields={name: value for name, value in fields.items() if value})
        self._keep_packages(journal, told)

    def _close_children(self, journal: Journal, told: Told, ending: Ending) -> None:
        from gitparams.groups import take_apart

        for child, how in take_apart(journal, told.parts, ending):
            self._close_child(child, how, told)

    def _close_child(self, child: Journal, ending: Ending, told: Told) -> None:
        if told.python:
            child.change(fields={"python": told.python})
        self._keep_packages(child, told)
        child.end(ending)
        self._append_journal(child.read(), ending)
        child.remove()

    def _keep_packages(self, journal: Journal, told: Told) -> None:
        if told.path:
            from gitparams.capture.environment import packages

            journal.keep_packages(packages(told.path, self.index.remembered, self.index.remember))

    def bring_in(self, spool: Path, *, anywhere: bool = False) -> list[Run]:
        """Bring in the runs of a spool with their own times; each one only once.

        Args:
            spool: the folder of their journals; what they hold is not taken for recorded here.
            anywhere: those that were started elsewhere too, and not only below this work tree.
        """
        from gitparams.journal import journals

        stranger = Closing(self.writer.of_others(), self.notes)
        brought = []
        for journal in journals(spool):
            if not journal.alive() and (anywhere or self.belongs(journal)):
                run = stranger._recover(journal)
                if run is not None:
                    brought.append(run)
        return brought

    def belongs(self, journal: Journal) -> bool:
        """Tell whether a run of a spool was started in this work tree."""
        from gitparams.journal import HOME

        if (journal.folder / HOME).exists():
            home = Path((journal.folder / HOME).read_text("utf-8", "surrogateescape"))
            return home.parent.resolve() == self.ledger.folder.resolve()
        top = (self.git.place.top or self.git.place.git_dir).resolve()
        with suppress(FormatError, OSError):
            return Path(journal.read().run.cwd).resolve().is_relative_to(top)
        return False

    def recover(self) -> list[Run]:
        """Close the runs whose process died, and bring in those that ended while the ledger could not be written.

        What is then still called running without a sign of life is shown as lost. That is said of it and not written: the
        machine that it runs on may know better.
        """
        recovered = []
        if _has_entries(self.live):
            from gitparams.journal import journals

            for journal in journals(self.live):
                with suppress(LedgerError, OSError):
                    run = self._recover(journal)
                    if run is not None:
                        recovered.append(run)
        self.show_lost()
        return recovered

    def _recover(self, journal: Journal) -> Run | None:
        if journal.alive():
            return None
        try:
            if not _take(journal):
                return None
            if not self.mend(journal):
                self._sweep(journal)
                return None
            state = journal.read()
            if self._is_left_to_others(journal, state):
                return None
            from gitparams.journal import found_dead

            closed = self.close(journal, state.ending or found_dead(journal.folder))
        except FormatError:
            return None  # doctor shows it
        finally:
            journal.lock.release()
        if state.ending is None:
            self.notes.append(f"Run {closed.short_id} was found dead and closed as {closed.status}.")
        return closed

    def mend(self, journal: Journal) -> bool:
        """Make a journal whole that lost how its run began, by a power cut or a program that cleans up; tell whether it is.

        The ledger has it; what was logged since and is lost stays lost.

        Raises:
            OSError: the journal cannot be written.
        """
        with suppress(FormatError):
            journal.begun()
            return True
        try:
            version = self.index.version(journal.id) if self.index.trees_of(journal.id) else None
        except FormatError:
            return False
        if version is None or version.run.status.finished:
            return False
        files = version.files
        details = read_details(lambda name: self._content(files[name].oid) if name in files else None)
        journal.begin_again(version.run, details.origins)
        return True

    def _sweep(self, journal: Journal) -> None:
        """Remove what nobody can use: the rest of a journal whose run is on the ledger as it ended, or of one never begun."""
        run = self.index.run(journal.id)
        known = isinstance(run, Run) and run.status.finished
        if known or (run is None and not (journal.folder / "run.json").exists() and _age(journal) > _QUIET_SECONDS):
            journal.remove()

    def _content(self, oid: Oid) -> bytes | None:
        found = self.git.read(oid)
        return found[2] if found else None

    def _is_left_to_others(self, journal: Journal, state: JournalState) -> bool:
        """Tell whether a run that nobody locks is not ours to close."""
        if state.run.parent and (group := self.journal_of(state.run.parent)) is not None and group.alive():
            return True  # it closes its children itself
        if state.run.status is Status.OPEN and state.ending is None:
            self._tell_of_open(journal, state)
            return True
        if state.ending is not None:  # whoever ended it may be about to write that
            return is_this_boot(state.run) is False and _age(journal) < _QUIET_SECONDS
        return not may_be_closed(state.run, journal.last_sign()[0])

    def _tell_of_open(self, journal: Journal, state: JournalState) -> None:
        """Write the start of an open run that is not on the ledger: it was begun by one who could not, or was killed."""
        if self.index.trees_of(journal.id) or _age(journal) < _QUIET_SECONDS:
            return
        self.writer.append_new(self._with_code(state.run, state), EventKind.START, state.details, state.code)

    # -- runs of which nothing is known -------------------------------------------------------------------------------

    def lost(self) -> list[Run]:
        """Return the runs that are recorded as running and give no sign of life, as they are recorded."""
        return [self.index.version(run).run for run in self._lost()]

    def lose(self, run: RunId) -> Run:
        """Write that a run is lost; whatever its own machine says of its end, before or later, wins over that.

        Raises:
            RunNotFound: it is not there. LedgerError: it could not be written.
        """

        def how(old: Run) -> Run:
            return replace(old, status=Status.LOST) if old.status is Status.RUNNING else old

        return self.writer.change(run, EventKind.UPDATE, how, subject="lost")

    def show_lost(self) -> None:
        """Have the index show as lost what is called running and gives no sign of life; nothing is written."""
        lost = self._lost()
        if lost != self.index.shown_as():
            self.index.show_as(lost)

    def _lost(self) -> dict[RunId, Status]:
        return {run.id: Status.LOST for run, time in self.index.going() if not self._goes_on(run, stamp(time))}

    def _goes_on(self, run: Run, newest: float) -> bool:
        from gitparams.journal import Journal

        names = [name for name in (run.id, run.parent) if name and is_run_id(name)]
        keepers = [Journal(self.live / name) for name in names if (self.live / name).is_dir()]
        if any(journal.alive() for journal in keepers):
            return True
        if keepers and is_this_boot(run):
            return False  # its lock would be ours
        signs = [(newest, GRACE_SECONDS)]
        for written, pulse in (journal.last_sign() for journal in keepers):
            signs = [(pulse, PULSE_GRACE_SECONDS)] if pulse else [*signs, (written, GRACE_SECONDS)]
        return goes_on(run, signs)

    def _append_journal(self, state: JournalState, ending: Ending) -> Run:
        """Write the entry that ends a run, merged field by field with what the ledger holds of it."""
        mine = self._ended(state, ending)
        event = new_event(EventKind.FINISH, ending.time)
        if not self.index.trees_of(mine.id):
            self.index.catch_up(self.ledger.tip())
        if not self.index.trees_of(mine.id):
            return self.writer.append_new(self._with_code(mine, state), EventKind.FINISH, state.details, state.code, event)

        def change(run: Run) -> Run:
            if _is_told(run, ending):
                raise _ToldMeanwhile(run)
            fields = {
                name: getattr(mine, name)
                for name in ("status", "finished", "exit_code", *(state.touched - {"tags", "origins"}))
            }
            tags = tuple(sorted({*run.tags, *mine.tags})) if "tags" in state.touched else run.tags
            return replace(run, **{**fields, "tags": tags, "metrics": {**run.metrics, **mine.metrics}})

        files = details_files(replace(state.details, origins={} if "origins" not in state.touched else state.details.origins))
        if mine.group:
            files = {**files, ORIGINS: b""}
        try:
            return self.writer.change(mine.id, EventKind.FINISH, change, files=files, event=event)
        except _ToldMeanwhile as told:
            return told.run  # by another command, or by one that died before it could remove the journal

    def _with_code(self, run: Run, state: JournalState) -> Run:
        """Return the run without its ``code/`` when nothing has its objects: an entry must never name what is not there."""
        if run.code.tree is None or state.code is not None or self.git.read(run.code.tree) is not None:
            return run
        return replace(run, code=replace(run.code, tree=None, note="the objects of the code were not kept"))

    def _ended(self, state: JournalState, ending: Ending) -> Run:
        cwd, author = state.run.cwd, state.run.author or self.writer.author  # a spooled run knew no repository
        relative = self.writer.relative(Path(cwd)) if Path(cwd).is_absolute() else cwd
        return replace(
            state.run, status=ending.status, finished=ending.time, exit_code=ending.exit_code, cwd=relative, author=author
        )


class _ToldMeanwhile(Exception):
    """The ledger tells already how a run ended."""

    def __init__(self, run: Run) -> None:
        self.run = run


def _is_told(run: Run, ending: Ending) -> bool:
    """Tell whether a run on the ledger has this ending, or one that is worth more than that it was found dead."""
    if (run.status, run.finished) == (ending.status, ending.time):
        return True
    return ending.status is Status.CRASHED and run.status.finished and run.status is not Status.LOST


def _take(journal: Journal) -> bool:
    try:
        return journal.lock.take()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return True  # no locks here: two who close it at once write one entry, for the later finds the earlier one's


def _age(journal: Journal) -> float:
    return abs(time.time() - journal.last_sign()[0])


def _has_entries(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def _as_group(run: Run) -> Run:
    return replace(run, group=True, params=nested({}), redacted=())
