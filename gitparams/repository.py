"""Repository: all that can be asked of and done to the runs of one git repository; every shell talks to this."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gitparams.directions import Direction
from gitparams.entry import ORIGINS, OUTPUT, details_files, read_details
from gitparams.errors import FormatError, GitParamsError, LedgerError, RunNotFound, UsageError
from gitparams.git import Git, TreeEntry
from gitparams.index import BrokenRun, Filter, Index, Listed, Progress
from gitparams.ledger import Appended, Draft, Ledger
from gitparams.model import (
    CodeState,
    Details,
    Event,
    EventKind,
    Metric,
    Oid,
    Run,
    RunId,
    Status,
    checked_name,
    new_event,
    new_run_id,
    now,
)
from gitparams.params import Layer, Origin, nested, stack, to_dict
from gitparams.settings import FILE, Settings, read_settings
from gitparams.values import Value

# What only some commands need is imported where they need it: `log` starts faster than a person notices.
if TYPE_CHECKING:
    from gitparams.capture.redaction import Redaction
    from gitparams.capture.reports import Told
    from gitparams.changes import CodeChange, RunDiff
    from gitparams.journal import Ending, Journal, JournalState
    from gitparams.versions import Version
    from gitparams.selector import Selector
    from gitparams.snapshot import Snapshot

ALL = Filter()
"""Every run that is shown: no group, and not deleted."""
SNAPSHOT_SECONDS = 1.0
"""In a loop of `record` the work tree is looked at again after this long."""
JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "CONDOR_JOB_ID")


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is known of a run before its program starts.

    Attributes:
        params: the declared params with their origins.
        name, experiment, tags, note, command, parent, environment: as in `Run`; experiment None takes the settings' one.
        cwd: the folder the program starts in; None is the present one.
        started: when it began; None is now.
        inputs: path → digest of the files it reads.
        listens: what its programs are asked for beside their params: ``metrics``, paths of files with the names they are
            called by, and ``program``, the name of the one that matters; None when they are asked for nothing.
    """

    params: Layer = field(default_factory=lambda: Layer({}, {}))
    name: str | None = None
    experiment: str | None = None
    tags: tuple[str, ...] = ()
    note: str = ""
    command: tuple[str, ...] = ()
    cwd: Path | None = None
    parent: RunId | None = None
    environment: Mapping[str, Value] = field(default_factory=dict)
    started: datetime | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    listens: Mapping[str, Value] | None = None


class Repository:
    """The runs of one git repository. Use it with ``with``, or close it."""

    def __init__(self, git: Git, ledger: Ledger, index: Index) -> None:
        self.git, self.ledger, self.index = git, ledger, index
        self.notes: list[str] = []
        """What a shell should tell the person: a dead run that was closed, a rewind that was undone."""
        self._settings: Settings | None = None
        self._identity: str | None = None
        self._redaction: Redaction | None = None
        self._snapshot: tuple[float, Snapshot] | None = None
        self._machine: dict[str, Value] | None = None

    @classmethod
    def find(cls, start: Path | None = None, *, progress: Progress | None = None) -> Repository:
        """Return the repository around a folder, with its index up to date and its dead runs closed.

        Raises:
            RepositoryError: there is no git repository, or git refuses to work in it.
        """
        repository = cls.open(start, progress=progress)
        try:
            repository.refresh()
        except BaseException:
            repository.close()
            raise
        return repository

    @classmethod
    def open(cls, start: Path | None = None, *, progress: Progress | None = None) -> Repository:
        """Return the repository around a folder as it is, looking at nothing yet. Raises `RepositoryError`."""
        git = Git.find(start)
        ledger = Ledger(git)
        return cls(git, ledger, Index.open(git, ledger, progress))

    def refresh(self) -> None:
        """Bring the index up to the ledger, undo a rewind, and close the runs whose process died."""
        with suppress(LedgerError, OSError):
            if missing := self.ledger.guard():
                self.notes.append(f"The ledger had lost entries that were here ({missing[:10]}); they were joined again.")
        self.index.catch_up(self.ledger.tip())
        self.recover()

    def close(self) -> None:
        """End the processes and files it keeps open."""
        self.index.close()
        self.git.close()

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what it stands on --------------------------------------------------------------------------------------------

    @property
    def live(self) -> Path:
        """The folder of the journals."""
        return self.ledger.folder / "live"

    @property
    def settings(self) -> Settings:
        """What gitparams.yaml says. Raises `ParamsFileError`."""
        if self._settings is None:
            self._settings = read_settings(self.git.place.top, self.index)
        return self._settings

    @property
    def author(self) -> str:
        """``Name <email>`` of the person git takes for the author."""
        if self._identity is None:
            self._identity = self.git.identity()
        return self._identity

    @property
    def redaction(self) -> Redaction:
        """What counts as a secret here: by the settings, and by the variables of this process."""
        if self._redaction is None:
            from gitparams.capture.redaction import Redaction

            self._redaction = Redaction.of(self._lenient_settings().redact).knowing(os.environ)
        return self._redaction

    # -- asking -------------------------------------------------------------------------------------------------------

    def run(self, word: str) -> Run:
        """Return the run that a word names. Raises `RunNotFound`, `AmbiguousRun`, `FormatError`."""
        return self._selector().run(word)

    def runs(self, which: Filter = ALL, *, limit: int | None = None, reverse: bool = False) -> list[Run | BrokenRun]:
        """Return the runs that a filter keeps, newest first."""
        return self.index.runs(which, limit=limit, reverse=reverse)

    def listed(self, which: Filter = ALL, *, limit: int | None = None, reverse: bool = False) -> list[Listed]:
        """Return the runs that a filter keeps, each with the run before it."""
        found = self.index.runs(which, limit=limit, reverse=reverse)
        known = {run.id: run for run in found if isinstance(run, Run)}
        return [Listed(run, self.index.before(run, known) if isinstance(run, Run) else None) for run in found]

    def count(self, which: Filter = ALL) -> int:
        """Return how many runs a filter keeps."""
        return self.index.count(which)

    def before(self, run: Run) -> Run | None:
        """Return the newest earlier completed run of the same experiment."""
        return self.index.before(run)

    def details(self, run: Run) -> Details:
        """Return what the run's entry holds beside the run. A run that is no entry (``worktree``) has its origins only."""
        trees = self.index.trees_of(run.id)
        if not trees:
            layer = self._declared(None) if run.id == "worktree" else None
            return Details(origins=layer.origins) if layer else Details()
        files = self.index.version(run.id).files if len(trees) > 1 else self.git.tree(trees[0])
        return read_details(lambda name: self._blob(files.get(name)))

    def diff(self, words: Sequence[str | Run], keys: Sequence[str] = (), *, origins: bool = False) -> RunDiff:
        """Return what differs between runs: none is ``latest~1 latest``, one is compared with the run before it.

        Args:
            words: the runs.
            keys: paths of params to look at, prefixes and globs too.
            origins: whether to tell where the values came from.

        Raises:
            RunNotFound: a word names no run, or there is no run before the one.
        """
        from gitparams.changes import compare

        runs = self._compared(words)
        code = self.code_changes(runs[0], runs[-1]) if len(runs) == 2 else ()
        packages = [self.details(run).packages for run in runs] if len(runs) == 2 else None
        found = compare(runs, keys=keys, directions=self.settings.directions, code=code, packages=packages)
        return replace(found, origins=tuple(self.details(run).origins for run in runs)) if origins else found

    def code_changes(self, before: Run, after: Run) -> tuple[CodeChange, ...]:
        """Return the files in which the code of two runs differs."""
        from gitparams.changes import CodeChange

        old, new = before.code.tree, after.code.tree
        if not old or not new or old == new:
            return ()
        answer = self.git.run("diff-tree", "-r", "--numstat", "-z", "--no-renames", old, new, check=False)
        changes = []
        for line in answer.stdout.decode("utf-8", "replace").split("\0"):
            added, _, rest = line.partition("\t")
            removed, _, path = rest.partition("\t")
            if path:
                changes.append(CodeChange(path, _lines(added), _lines(removed)))
        return tuple(changes)

    def _compared(self, words: Sequence[str | Run]) -> list[Run]:
        runs = [word if isinstance(word, Run) else self.run(word) for word in (words or ("latest~1", "latest"))]
        if len(runs) > 1:
            return runs
        before = self.before(runs[0])
        if before is None:
            raise RunNotFound(
                f"Run {runs[0].short_id} is the first completed one of {runs[0].experiment}: there is none to compare it with.",
                hint="gitparams log",
            )
        return [before, runs[0]]

    def _selector(self) -> Selector:
        from gitparams.selector import Selector

        return Selector(self.git, self.index, self.settings, self._params_at)

    def _blob(self, entry: TreeEntry | None) -> bytes | None:
        found = self.git.read(entry.oid) if entry else None
        return found[2] if found else None

    def _content(self, name: str) -> bytes:
        found = self.git.read(name)
        return found[2] if found else b""

    # -- params files as they are -------------------------------------------------------------------------------------

    def _params_at(self, commit: Oid | None, word: str) -> Run | None:
        """Return the declared params of the work tree, or of a code commit, in the shape of a run."""
        layer = self._declared(commit, word)
        if layer is None:
            return None
        identity = RunId("worktree" if commit is None else word)
        return Run(identity, Status.OPEN, now(), params=nested(layer.values), experiment=self.settings.experiment or "default")

    def _declared(self, commit: Oid | None, word: str = "worktree") -> Layer | None:
        settings = self.settings
        if not settings.params_files and not settings.params:
            return None
        if commit is None:
            return self.declared_layer((), ())
        from gitparams.capture.files import read_params_tree

        names = self.git.text("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).split("\0")
        layers = read_params_tree(settings.params_files, names, lambda name: self._content(f"{commit}:{name}"), word)
        if not layers:
            return None
        self.notes.append(f"No run was recorded at {word}: its params files are used.")
        return stack(layers)

    def declared_layer(self, files: Sequence[Path | str], overrides: Sequence[str], *, strict: bool = True) -> Layer:
        """Return the declared params: gitparams.yaml, files, environment variables, ``K=V`` overrides; the later wins.

        Files that the settings name are read from the top of the work tree; when `files` are given they take their place.

        Args:
            files: words as `params_words` takes them, from the present folder.
            overrides: as `apply_overrides` takes them.
            strict: whether an override may only name a key that is declared.

        Raises:
            ParamsFileError, UsageError: one of them cannot be read.
        """
        from gitparams.params import flatten

        settings, top = self.settings, self.git.place.top
        layers = []
        if settings.params:
            inline = dict(settings.params)
            layers.append(Layer(inline, dict.fromkeys(flatten(inline), Origin("file", FILE))))
        if not files and top is not None and settings.params_files:
            from gitparams.capture.files import read_params_files

            layers.append(read_params_files(settings.params_files, top))
        return given_layer(files, overrides, below=layers, env_prefix=settings.env_prefix, strict=strict)

    def digests(self, words: Sequence[str] = (), progress: Progress | None = None) -> dict[str, str]:
        """Return the digests of the inputs: those of the settings, then words that are relative to the present folder.

        Args:
            words: files, folders and globs, as `digest_files` takes them.
            progress: told bytes done and bytes to do.

        Raises:
            UsageError, ParamsFileError: one is not there, or cannot be read.
        """
        wanted = [*self.settings.inputs, *(str(Path.cwd() / word) for word in words)]
        if not wanted:
            return {}
        from gitparams.capture.inputs import digest_files

        return digest_files(wanted, self.git.place.top or Path.cwd(), self.index.remembered, self.index.remember, progress)

    # -- a run in pieces ----------------------------------------------------------------------------------------------

    def begin(self, beginning: Beginning, status: Status = Status.RUNNING) -> Journal:
        """Begin a run: its journal, and a start entry. With status ``open`` no process keeps it alive.

        Raises:
            LedgerError: neither could be written. When only the entry could not, the journal stays for the next command.
        """
        from gitparams.journal import Journal

        layer, hidden = self.redaction.layer(beginning.params)
        snapshot = self._code()
        run = self._new_run(beginning, layer, hidden, status, snapshot.code)
        try:
            journal = Journal.create(self.live, run, layer.origins, lock=status is Status.RUNNING)
        except OSError as error:
            raise LedgerError(f"{self.live} cannot be written: {error.strerror or error}.") from None
        if beginning.listens is not None:
            journal.listen({**how_of(self._lenient_settings(), self.redaction), **beginning.listens})
        try:
            self._append_new(run, EventKind.START, Details(origins=layer.origins), snapshot.pack)
        except GitParamsError as error:
            self.notes.append(f"The start of run {run.short_id} is not on the ledger yet: {error.message}")
            if snapshot.pack:
                journal.keep_code(snapshot.pack)
        return journal

    def finish(self, journal: Journal, ending: Ending, metrics: Mapping[str, Metric] | None = None) -> Run:
        """End a run: the entry with all that its journal tells, then the journal goes.

        Raises:
            LedgerError: the entry could not be written; the journal stays, and the next command brings it in.
        """
        if metrics:
            journal.change(summary=dict(metrics.items()))
        journal.end(ending)
        return self._close(journal, ending)

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
        layer, hidden = self.redaction.layer(told.layer)
        both = over(Layer(to_dict(state.run.params), state.details.origins), layer)

        def how(old: Run) -> Run:
            redacted = tuple(sorted({*old.redacted, *hidden, *told.redacted}))
            return replace(old, params=nested(both.values), redacted=redacted, python=told.python or old.python)

        self.change(state.run.id, EventKind.UPDATE, how, files=details_files(Details(origins=both.origins)))

    def _keep_up_with_children(self, journal: Journal, told: Told) -> None:
        from gitparams.groups import params_of, take_apart

        state = journal.read()
        there = self.index.run(state.run.id)
        if isinstance(there, Run) and not there.group:
            fields = {"group": True, "params": nested({}), "redacted": ()}
            self.change(state.run.id, EventKind.UPDATE, _setter(lambda _: dict(fields)), files={ORIGINS: b""}, subject="group")
        for child, ending in take_apart(journal, told.parts, None):
            self._close_child(child, ending, told)
        for part in told.parts:
            begun = self.journal_of(RunId(part.run)) if part.run is not None and part.layer.values else None
            if begun is not None and not self.index.trees_of(begun.id):
                layer, hidden = self.redaction.layer(params_of(part, state))
                run = replace(begun.read().run, params=nested(layer.values), redacted=tuple(sorted({*hidden, *part.redacted})))
                self._append_new(run, EventKind.START, Details(origins=layer.origins), None)

    def _close(self, journal: Journal, ending: Ending) -> Run:
        """Write the entries that end a run, and those of the runs within it; then the journals go."""
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
        declared = Layer(to_dict(state.run.params), state.details.origins)
        layer, hidden = self.redaction.layer(told.layer)
        both = filled(over(declared, layer), self.redaction.layer(told.gaps)[0])
        if both.values and not told.group:
            journal.set_params(both, (*hidden, *told.redacted))
        fields: dict[str, Value] = {
            "disputed": [*sorted({*disputed(declared, layer), *told.disputed})],
            "drift": self.redaction.values(told.drift)[0],
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

    def journal_of(self, run: RunId) -> Journal | None:
        """Return the journal of a run in progress, or None."""
        from gitparams.journal import Journal

        folder = self.live / run
        return Journal(folder) if (folder / "run.json").exists() else None

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

            closed = self._close(journal, ending or found_dead(journal.folder))
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
            return self._append_new(self._with_code(mine, state), EventKind.FINISH, state.details, state.code, event)
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
        return self.change(mine.id, EventKind.FINISH, change, files=files, event=event)

    def _with_code(self, run: Run, state: JournalState) -> Run:
        """Return the run without its ``code/`` when nothing has its objects: an entry must never name what is not there."""
        if run.code.tree is None or state.code is not None or self.git.read(run.code.tree) is not None:
            return run
        return replace(run, code=replace(run.code, tree=None, note="the objects of the code were not kept"))

    def _ended(self, state: JournalState, ending: Ending) -> Run:
        cwd, author = state.run.cwd, state.run.author or self.author  # a spooled run knew no repository
        relative = self._relative(Path(cwd)) if Path(cwd).is_absolute() else cwd
        return replace(
            state.run, status=ending.status, finished=ending.time, exit_code=ending.exit_code, cwd=relative, author=author
        )

    # -- whole runs and changes ---------------------------------------------------------------------------------------

    def record(
        self,
        beginning: Beginning,
        metrics: Mapping[str, Metric],
        *,
        status: Status = Status.COMPLETED,
        details: Details | None = None,
    ) -> Run:
        """Record one finished run at once. Raises `LedgerError` when it could not be written; nothing half written is left."""
        layer, hidden = self.redaction.layer(beginning.params)
        snapshot = self._code()
        run = replace(self._new_run(beginning, layer, hidden, status, snapshot.code), metrics=dict(metrics))
        event = new_event(EventKind.RECORD)
        run = replace(run, finished=max(event.time, run.started))
        return self._append_new(
            run, EventKind.RECORD, replace(details or Details(), origins=layer.origins), snapshot.pack, event
        )

    def change(
        self,
        run: RunId,
        kind: EventKind,
        how: Callable[[Run], Run],
        *,
        subject: str | None = None,
        files: Mapping[str, bytes] | None = None,
        event: Event | None = None,
    ) -> Run:
        """Append an event that changes a run: `how` gets its present state, read anew under the lock, and returns the new one.

        Raises:
            RunNotFound: the run is not there. FormatError: it cannot be read. LedgerError: nothing could be written.
        """
        moment = event or new_event(kind)

        def prepare(tip: Oid | None) -> Draft:
            self.index.catch_up(tip)
            if not self.index.trees_of(run):
                raise RunNotFound(f"No run is called {run!r}.", hint="gitparams log")
            version = self.index.version(run)
            return self._draft(how(version.run), moment, version, subject, files or {})

        return self.ledger.append(prepare, self.index.add).draft.run

    def tag(self, run: RunId, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Run:
        """Add and remove tags."""
        added, removed = tuple(map(_checked_tag, add)), tuple(remove)
        said = ", ".join([*(f"+{tag}" for tag in added), *(f"-{tag}" for tag in removed)])
        how = _setter(lambda old: {"tags": tuple(sorted({*old.tags, *added} - set(removed)))})
        return self.change(run, EventKind.UPDATE, how, subject=f"tag {said}")

    def note(self, run: RunId, text: str) -> Run:
        """Set the note of a run; an empty text removes it."""
        return self.change(run, EventKind.UPDATE, _setter(lambda old: {"note": text}), subject="note")

    def rename(self, run: RunId, name: str | None) -> Run:
        """Give a run a name, or take it away. Raises `UsageError` when the name cannot be one or is taken."""
        if name is not None:
            self.check_name(name, run)
        return self.change(
            run, EventKind.UPDATE, _setter(lambda old: {"name": name}), subject=f"name {name}" if name else "no name"
        )

    def remove(self, run: RunId) -> Run:
        """Hide a run; `bring_back` undoes it, and no byte is lost."""
        if (journal := self.journal_of(run)) is not None and journal.alive():
            raise UsageError(f"Run {run[:8]} is going on.", hint=f"gitparams finish {run[:8]}")
        return self.change(run, EventKind.DELETE, _setter(lambda old: {"deleted": True}), subject="delete")

    def bring_back(self, run: RunId) -> Run:
        """Show a hidden run again."""
        return self.change(run, EventKind.RESTORE, _setter(lambda old: {"deleted": False}), subject="restore")

    def check_name(self, name: str, run: RunId | None = None) -> str:
        """Return the name if a run may have it and no other has. Raises `UsageError`."""
        taken = [other for other in self.index.ids_with_name(checked_name(name)) if other != run]
        if taken:
            raise UsageError(
                f"The name {name!r} is taken by run {taken[0][:8]}.", hint=f"gitparams rename {taken[0][:8]} OTHER"
            )
        return name

    def find_id(self, word: str) -> RunId:
        """Return the id of the recorded run that a word names, hidden ones too."""
        return self._selector().id(word)

    def update(self, run: RunId, layer: Layer, metrics: Mapping[str, Metric]) -> Run:
        """Add params and metrics to a run."""
        clean, hidden = self.redaction.layer(layer)
        files: dict[str, bytes] = {}

        def how(old: Run) -> Run:
            origins = self.details(old).origins
            both = stack([Layer(dict(old.params), _known_origins(old, origins)), clean])
            files.update(details_files(Details(origins=both.origins)))
            redacted = tuple(sorted({*old.redacted, *hidden}))
            return replace(old, params=nested(both.values), metrics={**old.metrics, **metrics}, redacted=redacted)

        return self.change(run, EventKind.UPDATE, how, files=files)

    # -- drafts -------------------------------------------------------------------------------------------------------

    def _append_new(self, run: Run, kind: EventKind, details: Details, pack: bytes | None, event: Event | None = None) -> Run:
        moment = event or new_event(kind, run.started if kind is EventKind.START else None)
        files = details_files(replace(details, output=self.redaction.output(details.output)))
        packs = (pack,) if pack else ()

        def prepare(tip: Oid | None) -> Draft:
            self.index.catch_up(tip)
            return replace(self._draft(run, moment, None, None, files), packs=packs)

        appended: Appended = self.ledger.append(prepare, self.index.add)
        return appended.draft.run

    def _draft(self, run: Run, event: Event, version: Version | None, subject: str | None, files: Mapping[str, bytes]) -> Draft:
        run = self._with_seeds(run)
        before = self.index.before(run) if subject is None and not run.group else None
        if subject is None:
            subject = self._subject(run, before)
        if OUTPUT in files:
            files = {**files, OUTPUT: self.redaction.output(files[OUTPUT])}
        carried = {name: entry for name, entry in version.files.items() if name not in files} if version else {}
        return Draft(
            run=run,
            event=event,
            subject=f"{event.kind} {run.short_id}: {subject}",
            author=self.author,
            prev=version.prev if version else (),
            compared=before.id if before else None,
            files={name: data for name, data in files.items() if data},
            carried=carried,
        )

    def _with_seeds(self, run: Run) -> Run:
        from gitparams.seeds import seeds_of

        seeds = seeds_of(run.params, self._lenient_settings().seeds)
        return replace(run, seeds={**run.seeds, **seeds}) if seeds else run

    def _subject(self, run: Run, before: Run | None) -> str:
        from gitparams.changes import summary

        if run.group:
            return f"group of {run.experiment}"
        if before is None:
            return f"first run of {run.experiment}"
        return summary(before, run, self._directions()) or "same params"

    def _directions(self) -> Mapping[str, Direction]:
        return self._lenient_settings().directions

    def _lenient_settings(self) -> Settings:
        try:
            return self.settings
        except GitParamsError:
            return Settings()  # a broken gitparams.yaml must not keep a run from being written

    def _new_run(self, beginning: Beginning, layer: Layer, hidden: Iterable[str], status: Status, code: CodeState) -> Run:
        settings = self.settings
        return Run(
            id=new_run_id(),
            status=status,
            started=beginning.started or now(),
            name=checked_name(beginning.name) if beginning.name else None,
            experiment=beginning.experiment or settings.experiment or "default",
            params=nested(layer.values),
            command=self._clean_command(beginning.command),
            cwd=self._relative(beginning.cwd or Path.cwd()),
            code=code,
            author=self.author,
            host=host(),
            user=_user(),
            python=".".join(map(str, sys.version_info[:3])),
            tags=tuple(sorted(set(map(_checked_tag, beginning.tags)))),
            note=self.redaction.text(beginning.note),
            parent=beginning.parent,
            redacted=tuple(sorted(hidden)),
            inputs=dict(beginning.inputs),
            environment={**job_of_scheduler(), **self._surroundings(), **beginning.environment},
        )

    def _clean_command(self, command: Sequence[str]) -> tuple[str, ...]:
        """Return the command without its secrets; they are known from now on, wherever else they appear."""
        from gitparams.capture.redaction import REDACTED, SHORTEST_KNOWN

        clean = self.redaction.command(command)
        pairs = [(word, shown) for word, shown in zip(command, clean, strict=True) if shown.endswith(REDACTED)]
        said = {word.removeprefix(shown.removesuffix(REDACTED)) for word, shown in pairs}
        if said:
            known = {*self.redaction.known, *(secret for secret in said if len(secret) >= SHORTEST_KNOWN)}
            self._redaction = self.redaction._replace(known=tuple(sorted(known, key=len, reverse=True)))
        return clean

    def _surroundings(self) -> dict[str, Value]:
        """Return what is known of this machine and of the variables that matter."""
        from gitparams.capture.environment import machine, variables

        if self._machine is None:
            self._machine = machine()
        chosen = variables(os.environ, self._lenient_settings().capture.variables, self.redaction)
        return {**self._machine, **({"variables": dict(chosen)} if chosen else {})}

    def _relative(self, folder: Path) -> str:
        top = self.git.place.top
        with suppress(ValueError, OSError):
            if top is not None:
                return folder.resolve().relative_to(top.resolve()).as_posix()
        return folder.as_posix()

    def _code(self) -> Snapshot:
        """Return the code as it is; in a loop of `record` the answer of the last second serves."""
        present = time.monotonic()
        if self._snapshot is None or present - self._snapshot[0] > SNAPSHOT_SECONDS:
            from gitparams.snapshot import take

            self._snapshot = (present, take(self.git, self.index))
        return self._snapshot[1]


def how_of(settings: Settings, redaction: Redaction) -> dict[str, Value]:
    """Return what the programs of a run are told of how to tell: what is secret, which constants, who is not listened to."""
    chosen = settings.capture.globals
    return {
        "redact": redaction.document(),
        "globals": chosen if chosen is True else list(chosen),
        "off": list(settings.silent),
        "program": settings.program,
    }


def given_layer(
    files: Sequence[Path | str],
    overrides: Sequence[str],
    *,
    below: Sequence[Layer] = (),
    env_prefix: str | None = None,
    strict: bool = True,
) -> Layer:
    """Return the params of layers, then files, variables, ``K=V`` overrides; the later wins. Raises as `declared_layer`."""
    layers = list(below)
    if files:
        from gitparams.capture.files import read_params_files

        layers.append(read_params_files([str(file) for file in files], Path.cwd()))
    if env_prefix:
        from gitparams.capture.variables import environment_layer

        layers.append(environment_layer(env_prefix, os.environ))
    declared = stack(layers)
    if not overrides:
        return declared
    from gitparams.capture.overrides import apply_overrides

    return apply_overrides(declared, overrides, strict=strict)


# -- small things ---------------------------------------------------------------------------------------------------------


def _has_entries(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def _setter(fields: Callable[[Run], dict[str, object]]) -> Callable[[Run], Run]:
    return lambda run: replace(run, **fields(run))  # type: ignore[arg-type]


def _known_origins(run: Run, origins: Mapping[str, Origin]) -> dict[str, Origin]:
    from gitparams.params import flatten

    unknown = Origin("unknown")
    return {path: origins.get(path, unknown) for path in flatten(run.params)}


def _checked_tag(tag: str) -> str:
    if not tag or tag != tag.strip() or not tag.isprintable() or "," in tag or tag.startswith("-"):
        raise UsageError(f"{tag!r} cannot be a tag.", hint="a tag is a printable word without a comma")
    return tag


def _lines(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def job_of_scheduler() -> dict[str, str]:
    """Return the scheduler's name for this job, if one started it."""
    job = next((f"{name}={os.environ[name]}" for name in JOB_VARIABLES if os.environ.get(name)), None)
    return {"job": job} if job else {}


def host() -> str:
    """Return this machine's name."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import platform

    return platform.node()


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user id that has no name
        return ""
