"""Writing: how a run, and each change of one, becomes an entry of the ledger."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gitparams.directions import Direction
from gitparams.entry import OUTPUT, details_files
from gitparams.errors import GitParamsError, LedgerError, RunNotFound, UsageError
from gitparams.git import Git
from gitparams.index import Index
from gitparams.ledger import Appended, Draft, Ledger
from gitparams.model import (
    CodeState,
    Details,
    Event,
    EventKind,
    Oid,
    Run,
    RunId,
    Status,
    checked_name,
    new_event,
    new_run_id,
    now,
)
from gitparams.params import Layer, nested
from gitparams.presence import KEY, this_process
from gitparams.presence import host as host
from gitparams.settings import Settings
from gitparams.values import Value

# What only some commands need is imported where they need it: `log` starts faster than a person notices.
if TYPE_CHECKING:
    from gitparams.capture.redaction import Redaction
    from gitparams.snapshot import Snapshot
    from gitparams.versions import Version

SNAPSHOT_SECONDS = 1.0
"""In a loop of `record` the work tree is looked at again after this long."""
_ADDED_ONE_BY_ONE = 50
"""More new runs than this the index reads from the ledger in one go."""
JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "CONDOR_JOB_ID")


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is known of a run before its program starts.

    Attributes:
        params: the declared params with their origins.
        name, experiment, tags, note, command, parent, environment: as in `Run`; experiment None takes the settings' one.
        expect: what is expected of it, as `gitparams.expectations.checked` let it pass.
        cwd: the folder the program starts in; None is the present one.
        started: when it began; None is now.
        inputs: path → digest of the files it reads.
        listens: what its programs are asked for beside their params: ``metrics``, paths of files with the names they are
            called by, and ``program``, the name of the one that matters; None when they are asked for nothing.
        group: whether it is known from the start that it only holds other runs.
    """

    params: Layer = field(default_factory=lambda: Layer({}, {}))
    name: str | None = None
    experiment: str | None = None
    tags: tuple[str, ...] = ()
    note: str = ""
    expect: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    cwd: Path | None = None
    parent: RunId | None = None
    environment: Mapping[str, Value] = field(default_factory=dict)
    started: datetime | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    listens: Mapping[str, Value] | None = None
    group: bool = False


class Writer:
    """Writes the entries of one repository.

    Args:
        git, ledger, index: what it writes with.
        read_settings: returns what gitparams.yaml says. Raises `ParamsFileError`.
    """

    def __init__(self, git: Git, ledger: Ledger, index: Index, read_settings: Callable[[], Settings]) -> None:
        self.git, self.ledger, self.index = git, ledger, index
        self._read_settings = read_settings
        self._identity: str | None = None
        self._redaction: Redaction | None = None
        self._snapshot: tuple[float, Snapshot] | None = None
        self._machine: dict[str, Value] | None = None
        self._here = True

    def of_others(self) -> Writer:
        """Return one for runs that are brought in: what it writes is not taken for recorded here."""
        other = copy(self)
        other._here = False
        return other

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

            self._redaction = Redaction.of(self.lenient_settings().redact).knowing(os.environ)
        return self._redaction

    def lenient_settings(self) -> Settings:
        """Return the settings; those without a file when gitparams.yaml cannot be read, since a run is to be written."""
        try:
            return self._read_settings()
        except GitParamsError:
            return Settings()

    def code(self) -> Snapshot:
        """Return the code as it is; in a loop of `record` the answer of the last second serves."""
        present = time.monotonic()
        if self._snapshot is None or present - self._snapshot[0] > SNAPSHOT_SECONDS:
            from gitparams.snapshot import take

            self._snapshot = (present, take(self.git, self.index))
        return self._snapshot[1]

    def new_run(self, beginning: Beginning, layer: Layer, hidden: Iterable[str], status: Status, code: CodeState) -> Run:
        """Return a run as it begins, with all that is known of the place where it does.

        Args:
            beginning: what is said of it.
            layer: its params without secrets; hidden: the paths of those that were replaced.
            status: how it stands.
            code: the code it starts from.
        """
        settings = self._read_settings()
        return Run(
            id=new_run_id(),
            status=status,
            started=beginning.started or now(),
            name=checked_name(beginning.name) if beginning.name else None,
            experiment=beginning.experiment or settings.experiment or "default",
            params=nested(layer.values),
            command=self._clean_command(beginning.command),
            cwd=self.relative(beginning.cwd or Path.cwd()),
            code=code,
            author=self.author,
            host=host(),
            user=this_user(),
            python=".".join(map(str, sys.version_info[:3])),
            tags=tuple(sorted(set(map(checked_tag, beginning.tags)))),
            note=self.redaction.text(beginning.note),
            expect=tuple(dict.fromkeys(map(self.redaction.text, beginning.expect))),
            parent=beginning.parent,
            group=beginning.group,
            redacted=tuple(sorted(hidden)),
            inputs=dict(beginning.inputs),
            environment={**job_of_scheduler(), **self._surroundings(), **_process(status), **beginning.environment},
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
        chosen = variables(os.environ, self.lenient_settings().capture.variables, self.redaction)
        return {**self._machine, **({"variables": dict(chosen)} if chosen else {})}

    def relative(self, folder: Path) -> str:
        """Return a folder from the top of the work tree, with ``/``; one outside of it as it is."""
        top = self.git.place.top
        with suppress(ValueError, OSError):
            if top is not None:
                return folder.resolve().relative_to(top.resolve()).as_posix()
        return folder.as_posix()

    def append_new(self, run: Run, kind: EventKind, details: Details, pack: bytes | None, event: Event | None = None) -> Run:
        """Append the first entry of a run.

        Args:
            run: the run, with the kind of the event.
            kind: ``start``, ``record``, or ``finish`` for one whose start is not on the ledger.
            details: what is kept beside it.
            pack: the objects of its code that the repository may not have.
            event: the event; made now when None.

        Raises:
            LedgerError: it could not be written; nothing half written is left.
        """
        moment = event or new_event(kind, run.started if kind is EventKind.START else None)
        files = details_files(replace(details, output=self.redaction.output(details.output)))
        packs = (pack,) if pack else ()

        def prepare(tip: Oid | None) -> Draft:
            self.index.catch_up(tip)
            if self.index.trees_of(run.id):
                raise LedgerError(f"Run {run.short_id} is on the ledger already.")  # two commands brought in one journal
            return replace(self._draft(run, moment, None, None, files), packs=packs)

        appended: Appended = self.ledger.append(prepare, self.index.add)
        return appended.draft.run

    def append_records(self, runs: Sequence[tuple[Run, Details]], pack: bytes | None = None) -> list[Run]:
        """Append a ``record`` entry for each run that is not on the ledger, deleted ones included, and return those.

        Args:
            runs: finished runs without secrets, each with what is kept beside it, oldest first; no two of one id.
            pack: the objects of their code that the repository may not have.

        Raises:
            LedgerError: they could not be written; none was.
        """

        def prepare(tip: Oid | None) -> list[Draft]:
            self.index.catch_up(tip)
            drafts: list[Draft] = []
            before: dict[str, Run] = {}
            for run, details in runs:
                if self.index.trees_of(run.id) or self.index.is_purged(run.id):
                    continue
                run = self._with_seeds(run)
                earlier = before.get(run.experiment) or self.index.before(run)
                files = details_files(replace(details, output=self.redaction.output(details.output)))
                draft = Draft(
                    run=run,
                    event=new_event(EventKind.RECORD),
                    subject=f"{EventKind.RECORD} {run.short_id}: {self._subject(run, earlier)}",
                    author=self.author,
                    compared=earlier.id if earlier else None,
                    files={name: data for name, data in files.items() if data},
                    packs=(pack,) if pack and not drafts else (),
                )
                drafts.append(draft)
                before[run.experiment] = run
            return drafts

        mirrored = self.index.add if len(runs) <= _ADDED_ONE_BY_ONE else None
        return [appended.draft.run for appended in self.ledger.append_all(prepare, mirrored)]

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

    def _draft(self, run: Run, event: Event, version: Version | None, subject: str | None, files: Mapping[str, bytes]) -> Draft:
        run = self._with_seeds(run)
        before = self.index.before(run) if subject is None and not run.group else None
        if before is not None and event.kind is EventKind.START and not run.params:
            subject, before = "no params yet", None  # none of the run before was removed: its program tells of them later
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
            here=self._here,
        )

    def _with_seeds(self, run: Run) -> Run:
        from gitparams.seeds import seeds_of

        seeds = seeds_of(run.params, self.lenient_settings().seeds)
        return replace(run, seeds={**run.seeds, **seeds}) if seeds else run

    def _subject(self, run: Run, before: Run | None) -> str:
        from gitparams.changes import summary

        if run.group:
            return f"group of {run.experiment}"
        if before is None:
            return f"first run of {run.experiment}"
        return summary(before, run, self._directions()) or "same params"

    def _directions(self) -> Mapping[str, Direction]:
        return self.lenient_settings().directions


def how_of(settings: Settings, redaction: Redaction) -> dict[str, Value]:
    """Return what the programs of a run are told of how to tell: what is secret, which constants, who is not listened to."""
    chosen = settings.capture.globals
    return {
        "redact": redaction.document(),
        "globals": chosen if chosen is True else list(chosen),
        "off": list(settings.silent),
        "program": settings.program,
    }


def checked_tag(tag: str) -> str:
    """Return the tag if a run may have it. Raises `UsageError`.

    >>> checked_tag("resnet 50")
    'resnet 50'
    """
    if not tag or tag != tag.strip() or not tag.isprintable() or "," in tag or tag.startswith("-"):
        raise UsageError(f"{tag!r} cannot be a tag.", hint="a tag is a printable word without a comma")
    return tag


def job_of_scheduler() -> dict[str, str]:
    """Return the scheduler's name for this job, if one started it."""
    job = next((f"{name}={os.environ[name]}" for name in JOB_VARIABLES if os.environ.get(name)), None)
    return {"job": job} if job else {}


def _process(status: Status) -> dict[str, Value]:
    """Return what tells a running run's process from all others; of a run that no process keeps there is nothing to tell."""
    process = this_process() if status is Status.RUNNING else {}
    return {KEY: process} if process else {}


def this_user() -> str:
    """Return the name of the user, as runs have it."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user id that has no name
        return ""
