"""Closing: what journals hold becomes entries: of runs that go on, that ended, that turned out to be several, or that died."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gitparams.entry import ORIGINS, details_files
from gitparams.errors import FormatError, LedgerError
from gitparams.model import Details, EventKind, Run, RunId, Status, new_event
from gitparams.params import nested
from gitparams.values import Value
from gitparams.writing import Writer, host

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

    def bring_in(self, spool: Path) -> list[Run]:
        """Bring in the runs of a spool that were started below this work tree, with their own times; each one only once."""
        from gitparams.journal import journals

        brought = []
        for journal in journals(spool):
            if not journal.alive() and self._belongs(journal):
                run = self._recover(journal)
                if run is not None:
                    brought.append(run)
        return brought

    def _belongs(self, journal: Journal) -> bool:
        top = (self.git.place.top or self.git.place.git_dir).resolve()
        with suppress(FormatError, OSError):
            return Path(journal.read().run.cwd).resolve().is_relative_to(top)
        return False

    def recover(self) -> list[Run]:
        """Close the runs whose process died, and bring in those that ended while the ledger could not be written."""
        if not _has_entries(self.live):
            return []
        from gitparams.journal import journals

        recovered = []
        for journal in journals(self.live):
            with suppress(LedgerError, OSError):
                run = self._recover(journal)
                if run is not None:
                    recovered.append(run)
        return recovered

    def _recover(self, journal: Journal) -> Run | None:
        if journal.alive():
            return None
        try:
            if not journal.lock.take() or not (journal.folder / "run.json").exists():
                return None
            state = journal.read()
            ending = state.ending
            if ending is None and (state.run.status is Status.OPEN or state.run.host not in ("", host())):
                return None
            if state.run.parent and (group := self.journal_of(state.run.parent)) is not None and group.alive():
                return None  # it closes its children itself
            from gitparams.journal import found_dead

            closed = self.close(journal, ending or found_dead(journal.folder))
        except FormatError:
            return None  # doctor shows it
        finally:
            journal.lock.release()
        if ending is None:
            self.notes.append(f"Run {closed.short_id} was found dead and closed as {closed.status}.")
        return closed

    def _append_journal(self, state: JournalState, ending: Ending) -> Run:
        """Write the entry that ends a run, merged field by field with what the ledger holds of it."""
        mine = self._ended(state, ending)
        event = new_event(EventKind.FINISH, ending.time)
        if not self.index.trees_of(mine.id):
            self.index.catch_up(self.ledger.tip())
        if not self.index.trees_of(mine.id):
            return self.writer.append_new(self._with_code(mine, state), EventKind.FINISH, state.details, state.code, event)
        there = self.index.run(mine.id)
        if isinstance(there, Run) and (there.status, there.finished) == (ending.status, ending.time):
            return there  # whoever wrote this died before it could remove the journal

        def change(run: Run) -> Run:
            fields = {
                name: getattr(mine, name)
                for name in ("status", "finished", "exit_code", *(state.touched - {"tags", "origins"}))
            }
            tags = tuple(sorted({*run.tags, *mine.tags})) if "tags" in state.touched else run.tags
            return replace(run, **{**fields, "tags": tags, "metrics": {**run.metrics, **mine.metrics}})

        files = details_files(replace(state.details, origins={} if "origins" not in state.touched else state.details.origins))
        if mine.group:
            files = {**files, ORIGINS: b""}
        return self.writer.change(mine.id, EventKind.FINISH, change, files=files, event=event)

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


def _has_entries(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def _as_group(run: Run) -> Run:
    return replace(run, group=True, params=nested({}), redacted=())
