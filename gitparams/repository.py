"""Repository: all that can be asked of and done to the runs of one git repository; every shell talks to this."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gitparams.closing import Closing
from gitparams.entry import details_files, read_details
from gitparams.errors import GitParamsError, LedgerError, RunNotFound, UsageError
from gitparams.git import Git, TreeEntry
from gitparams.index import BrokenRun, Filter, Index, Listed, Order, Progress, paths_meant
from gitparams.ledger import Ledger, RunPurged
from gitparams.model import (
    CodeState,
    Details,
    EventKind,
    Metric,
    Oid,
    Run,
    RunId,
    Status,
    checked_name,
    new_event,
    now,
)
from gitparams.params import Layer, Origin, nested, path_keys, stack
from gitparams.settings import FILE, Settings, read_settings
from gitparams.writing import Beginning, Writer, checked_tag, how_of, this_user

# What only some commands need is imported where they need it: `log` starts faster than a person notices.
if TYPE_CHECKING:
    from gitparams.bundles import Brought, Bundles
    from gitparams.capture.redaction import Redaction
    from gitparams.capture.reports import Told
    from gitparams.changes import CodeChange, Naming, RunDiff
    from gitparams.comparing import Comparing
    from gitparams.foreign import ForeignRun
    from gitparams.history import Blame, Timeline
    from gitparams.journal import Ending, Journal
    from gitparams.leniency import Leniency
    from gitparams.purging import Purged
    from gitparams.query import Query
    from gitparams.replicates import Aggregate, Group, Replicate
    from gitparams.selector import Selector
    from gitparams.sync import Pulled, Pushed
    from gitparams.verifying import Verified

_COUNTED = 250
"""Runs that are counted while somebody waits for a list: of each the params are read, and a thousand take 20 ms."""
ALL = Filter()
"""Every run that is shown: no group, and not deleted."""


class Repository:
    """The runs of one git repository. Use it with ``with``, or close it."""

    def __init__(self, git: Git, ledger: Ledger, index: Index) -> None:
        self.git, self.ledger, self.index = git, ledger, index
        self.notes: list[str] = []
        """What a shell should tell the person: a dead run that was closed, a rewind that was undone."""
        ledger.is_purged = index.is_purged
        self.writer = Writer(git, ledger, index, lambda: self.settings)
        self.closing = Closing(self.writer, self.notes)
        self._settings: Settings | None = None

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
            before, after = self.ledger.adopt_fetched()
            if after is not None and before != after:
                from gitparams.sync import Sync

                Sync(self.git, self.ledger).complete(before, after)
        self.index.catch_up(self.ledger.tip())
        self._clean_after_purges()
        self._follow_rules()
        self._drop_purged(self.live)
        self.closing.recover()

    def _follow_rules(self) -> None:
        """Read old runs by the rules of gitparams.yaml; when that file cannot be read, as before."""
        try:
            rules = self.settings.rules
        except GitParamsError:
            return
        self.index.follow(rules, self._time_of)

    def _time_of(self, word: str) -> datetime | None:
        """Return when a code revision was committed, or a run began."""
        seconds = self.git.text("log", "-1", "--format=%ct", "--end-of-options", word, "--", check=False)
        if seconds.isdigit():
            return datetime.fromtimestamp(int(seconds), UTC)
        try:
            return self.run(word).started
        except GitParamsError:
            return None

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
        return self.closing.live

    @property
    def author(self) -> str:
        """``Name <email>`` of the person git takes for the author."""
        return self.writer.author

    @property
    def redaction(self) -> Redaction:
        """What counts as a secret here: by the settings, and by the variables of this process."""
        return self.writer.redaction

    @property
    def settings(self) -> Settings:
        """What gitparams.yaml says. Raises `ParamsFileError`."""
        if self._settings is None:
            self._settings = read_settings(self.git.place.top, self.index)
        return self._settings

    # -- asking -------------------------------------------------------------------------------------------------------

    def run(self, word: str) -> Run:
        """Return the run that a word names. Raises `RunNotFound`, `AmbiguousRun`, `FormatError`."""
        named = self._selector().named(word)
        if named.how:
            self.notes.append(f"{word}: {named.how}.")
        return named.runs[0]

    def is_here(self, word: str) -> bool:
        """Tell whether a word is a run's id or name, or a code revision of this clone."""
        return self._selector().is_here(word)

    def query(self, text: str) -> Query:
        """Return an expression that chooses runs, compiled. Raises `QueryError`."""
        from gitparams.query import compile_query

        return compile_query(text, self.index)

    def order(self, words: Sequence[str]) -> tuple[Order, ...]:
        """Return what ``--sort`` words mean: keys and fields, the greatest first after a ``-``. Raises `QueryError`."""
        if not words:
            return ()
        from gitparams.query import compile_order

        return compile_order(words, self.index)

    def runs(
        self,
        which: Filter = ALL,
        *,
        limit: int | None = None,
        offset: int = 0,
        reverse: bool = False,
        order: Sequence[Order] = (),
    ) -> list[Run | BrokenRun]:
        """Return the runs that a filter keeps, newest first or in an order. Arguments are those of `Index.runs`."""
        return self.index.runs(which, limit=limit, offset=offset, reverse=reverse, order=order)

    def keys_meant(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the words if each names a param of some run: its path, the beginning of one, or a glob.

        Raises:
            ParamsError: one is no path. UsageError: no run has such a param; near misses are suggested.
        """
        names = self.index.key_names("params") if words else []
        for word in words:
            if not set("*?[") & set(word):
                path_keys(word)
            if names and not paths_meant(word, names):
                import difflib

                near = difflib.get_close_matches(word, names, n=3)
                hint = f"did you mean {', '.join(near)}?" if near else "gitparams log --columns all"
                raise UsageError(f"No run has a param {word!r}.", hint=hint)
        return tuple(words)

    def chosen(self, words: Sequence[str], where: str | None = None, *, deleted: bool = False) -> list[RunId]:
        """Return the ids of the runs that words name, or for which an expression holds, oldest first.

        Raises:
            UsageError: neither is given, or both are. RunNotFound: there is no such run. QueryError: it is no expression.
        """
        if bool(words) == (where is not None):
            raise UsageError("Name runs, or choose them by --where.", hint="--where 'acc < 0.5'")
        if where is None:
            return list(dict.fromkeys(self.find_id(word) for word in words))
        ids = self.index.ids(Filter(where=self.query(where), deleted=deleted))
        if not ids:
            raise RunNotFound(f"No run meets {where!r}.", hint="gitparams log --where …")
        return ids[::-1]

    def listed(
        self,
        which: Filter = ALL,
        *,
        limit: int | None = None,
        reverse: bool = False,
        order: Sequence[Order] = (),
        against: Run | None = None,
    ) -> list[Listed]:
        """Return the runs that a filter keeps, each with the run before it, or with the one they are all compared with."""
        found = self.index.runs(which, limit=limit, reverse=reverse, order=order)
        if against is not None:
            return [Listed(run, against if run.id != against.id else None) for run in found]
        known = {run.id: run for run in found if isinstance(run, Run)}
        return [Listed(run, self.index.before(run, known) if isinstance(run, Run) else None) for run in found]

    def replicates(self, which: Filter = ALL) -> list[Group[Replicate]]:
        """Return the runs that a filter keeps in groups whose params are equal but for seeds and what the settings ignore."""
        from gitparams.replicates import Row, grouped_rows

        rows = self.index.replicate_rows(which)
        return grouped_rows((Row(*row) for row in rows), ignore=self.settings.ignore, seeds=self.settings.seeds)

    def ancestors(self, runs: Iterable[Run | BrokenRun]) -> list[Run]:
        """Return the runs that some runs came of, and what those came of, as far as they are known."""
        found: dict[str, Run] = {}
        waiting = [run.parent for run in runs if isinstance(run, Run) and run.parent]
        while waiting:
            parent = waiting.pop()
            run = None if parent in found else self.index.run(parent)
            if isinstance(run, Run):
                found[parent] = run
                waiting += [run.parent] if run.parent else []
        return list(found.values())

    def replicates_of(self, run: Run) -> Group[Replicate]:
        """Return the group that a run belongs to: the runs of its experiment with the same params but for the seed.

        Raises:
            RunNotFound: it is in none, since it is hidden or a group itself.
        """
        groups = self.replicates(Filter(experiment=run.experiment))
        found = next((group for group in groups if any(one.id == run.id for one in group.runs)), None)
        if found is None:
            raise RunNotFound(
                f"Run {run.short_id} has no replicates: it is hidden, or no run of its own.", hint="gitparams log"
            )
        return found

    def aggregated(self, by: Sequence[str], agg: Sequence[str], which: Filter = ALL) -> list[Aggregate]:
        """Return the runs that a filter keeps summed up by keys. Raises `UsageError`."""
        from gitparams.replicates import aggregated

        runs = (run for run in self.index.runs(which) if isinstance(run, Run))
        return aggregated(runs, by, agg, directions=self.settings.directions)

    def blame(self, word: str | Run = "latest", keys: Sequence[str] = ()) -> Blame:
        """Return for each param of a run which run of its experiment changed it last, with the metrics on either side.

        Args:
            word: the run, or params files that were not run yet: ``worktree``, a code revision.
            keys: params to look at: paths, beginnings of them or globs; also such as the run does not have any more.

        Raises:
            RunNotFound: there is no such run. UsageError: no run has such a param, or the run is a group.
        """
        from gitparams.history import last_changes

        run, recorded, meant = self._blamed(word, keys)
        paths = dict.fromkeys(path for some in meant.values() for path in some)
        earlier, told = self.index.earlier(run), self.index.told
        found = last_changes(run, earlier, told, paths, recorded=recorded, seeds=self.settings.seeds)
        _check_found(run, meant, [change.path for change in found.changes])
        return found

    def timeline(self, keys: Sequence[str], word: str | Run = "latest", *, limit: int | None = None) -> list[Timeline]:
        """Return what params were up to a run: the stretches of runs with one value, the newest first.

        Arguments and what is raised are those of `blame`; `limit` is how many stretches of each are told.
        """
        from gitparams.history import timelines

        run, recorded, meant = self._blamed(word, keys)
        paths = list(dict.fromkeys(path for some in meant.values() for path in some))
        found = timelines(run, self.index.earlier(run), self.index.told, paths, limit=limit, recorded=recorded)
        _check_found(run, meant, [one.path for one in found])
        return found

    def _blamed(self, word: str | Run, keys: Sequence[str]) -> tuple[Run, bool, dict[str, list[str]]]:
        """Return a run, whether it is a recorded one, and the paths that each key means; without keys all under ``*``."""
        from gitparams.params import flatten

        run = word if isinstance(word, Run) else self.run(word)
        if run.group:
            raise UsageError(f"Run {run.short_id} is a group and has no params.", hint="gitparams log --groups")
        recorded = self.index.run(run.id) is not None
        if not recorded:  # what is declared in files may hold secrets, and no recorded value does
            params, _ = self.redaction.layer(Layer(run.params, {}))
            run = replace(run, params=nested(params.values))
        paths = list(flatten(run.params))
        if not keys:
            return run, recorded, {"*": paths}
        names = self.index.key_names("params")
        meant = {key: paths_meant(key, paths) for key in keys}
        self.keys_meant([key for key, some in meant.items() if not some])
        return run, recorded, {key: some or paths_meant(key, names) for key, some in meant.items()}

    def total(self, which: Filter = ALL) -> int | None:
        """Return how many runs a filter keeps; None where an expression keeps more than are counted while somebody waits."""
        if which.where is None:
            return self.index.count(which)
        found = self.index.count(which, most=_COUNTED + 1)
        return found if found <= _COUNTED else None

    def count(self, which: Filter = ALL) -> int:
        """Return how many runs a filter keeps."""
        return self.index.count(which)

    def span(self, text: str) -> Filter:
        """Return the filter of a range of runs or of code commits, as `Comparing.span` does."""
        return self._comparing().span(text)

    def relink(self, pairs: Iterable[tuple[str, str]], how: str) -> int:
        """Let the runs of commits that were rewritten be found at what these became, and return how many commits that are.

        Args:
            pairs: old and new commits.
            how: what rewrote them: ``rebase``, ``amend``.

        Raises:
            LedgerError: it could not be written.
        """
        asked = [(Oid(old), Oid(new)) for old, new in pairs if old != new]
        known = self.index.commits_with_runs([old for old, _ in asked])
        told = self.index.aliases_of([old for old, _ in asked])
        wanted: dict[tuple[Oid, Oid], None] = {}
        for _ in asked:  # a squash comes step by step, in any order
            more = [pair for pair in asked if pair[0] in known and pair not in wanted]
            if not more:
                break
            wanted.update(dict.fromkeys(more))
            known.update(new for _, new in more)
        new = [pair for pair in wanted if pair not in told]
        if new:
            self.index.catch_up(self.ledger.alias(new, how, self.author, now()))
        return len(new)

    def before(self, run: Run) -> Run | None:
        """Return the newest earlier completed run of the same experiment."""
        return self.index.before(run)

    def ruled(self, run: Run) -> tuple[str, ...]:
        """Return what the rules for old runs did to a run, a sentence each."""
        return self.index.ruled(run.id).notes

    def details(self, run: Run) -> Details:
        """Return what the run's entry holds beside the run, its origins under the names that the rules give them.

        A run that is no entry (``worktree``) has its origins only.
        """
        details, moved = self._details(run), self.index.ruled(run.id).moved
        if not moved:
            return details
        return replace(details, origins={moved.get(path, path): origin for path, origin in details.origins.items()})

    def _details(self, run: Run) -> Details:
        trees = self.index.trees_of(run.id)
        if not trees:
            layer = self._declared(None) if run.id == "worktree" else None
            return Details(origins=layer.origins) if layer else Details()
        files = self.index.version(run.id).files if len(trees) > 1 else self.git.tree(trees[0])
        return read_details(lambda name: self._blob(files.get(name)))

    def diff(
        self,
        words: Sequence[str | Run],
        keys: Sequence[str] = (),
        *,
        origins: bool = False,
        leniency: Leniency | None = None,
        best: str | None = None,
        patch: bool = False,
    ) -> RunDiff:
        """Return what differs between runs, as `Comparing.diff` does."""
        return self._comparing().diff(words, keys, origins=origins, leniency=leniency, best=best, patch=patch)

    def are_commits(self, words: Sequence[str | Run]) -> bool:
        """Tell whether words are two code revisions of which one has several runs."""
        return self._comparing().are_commits(words)

    def groups_at(self, words: Sequence[str]) -> list[tuple[Naming, Group[Run]]]:
        """Return all the completed runs at each of two code revisions as one group a side, with how each was named."""
        return self._comparing().groups_at(words)

    def replicates_at(self, words: Sequence[str]) -> list[tuple[Naming, Group[Replicate]]]:
        """Return the groups that two runs belong to, as `replicates_of` does, with how each was named."""
        from gitparams.changes import Naming

        return [(Naming(word), self.replicates_of(self.run(word))) for word in self._comparing().replicates_of(words)]

    def code_changes(self, before: Run, after: Run) -> tuple[CodeChange, ...]:
        """Return the files in which the code of two runs differs."""
        return self._comparing().code_changes(before, after)

    def _comparing(self) -> Comparing:
        from gitparams.comparing import Comparing

        return Comparing(self.git, self.index, self._selector(), self.details)

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
        code = CodeState() if commit is None else CodeState(commit, tree=self.git.ref(f"{commit}^{{tree}}"))
        started = now() if commit is None else self._time_of(commit) or now()
        params = dict(layer.values)
        if self.settings.rules is not None:
            params = dict(self.settings.rules.bound(self._time_of).applied_to(params, {}, started).params)
        experiment = self.settings.experiment or "default"
        return Run(identity, Status.OPEN, started, params=nested(params), experiment=experiment, code=code)

    def _declared(self, commit: Oid | None, word: str = "worktree") -> Layer | None:
        settings = self.settings
        if not settings.params_files and not settings.params:
            return None
        if commit is None:
            return self.declared_layer((), ())
        from gitparams.capture.files import read_params_tree

        names = self.git.text("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).split("\0")
        layers = read_params_tree(settings.params_files, names, lambda name: self._content(f"{commit}:{name}"), word)
        return stack(layers) if layers else None

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
        snapshot = self.writer.code()
        run = self.writer.new_run(beginning, layer, hidden, status, snapshot.code)
        try:
            journal = Journal.create(self.live, run, layer.origins, lock=status is Status.RUNNING)
        except OSError as error:
            raise LedgerError(f"{self.live} cannot be written: {error.strerror or error}.") from None
        if beginning.listens is not None:
            journal.listen({**how_of(self.writer.lenient_settings(), self.redaction), **beginning.listens})
        try:
            self.writer.append_new(run, EventKind.START, Details(origins=layer.origins), snapshot.pack)
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
        here = self.followed(journal)
        if here is not self:
            with here:
                return here.finish(journal, ending, metrics)
        if metrics:
            journal.change(summary=dict(metrics.items()))
        journal.end(ending)
        try:
            return self.closing.close(journal, ending)
        except (RunPurged, RunNotFound):
            if not self.index.is_purged(journal.id):
                raise
            run = replace(journal.read().run, status=ending.status, finished=ending.time, exit_code=ending.exit_code)
            journal.remove()
            self.notes.append(f"Run {run.short_id} was purged: nothing is written of it.")
            return run

    def followed(self, journal: Journal) -> Repository:
        """Return the repository that a journal is in: this one, or another object for where it was moved to meanwhile."""
        journal.follow()
        if journal.folder.parent == self.live:
            self.closing.mend(journal)
            return self
        common = journal.folder.parents[2]
        moved = Repository.open(common.parent if common.name == ".git" else common)
        moved.index.catch_up(moved.ledger.tip())
        return moved

    def told(self, journal: Journal) -> Told:
        """Return what the programs of a run told of themselves so far."""
        return self.closing.told(journal)

    def keep_up(self, journal: Journal) -> bool:
        """Bring what a run's programs told so far to the ledger while it goes on; return whether there was anything."""
        return self.closing.keep_up(journal)

    def journal_of(self, run: RunId) -> Journal | None:
        """Return the journal of a run in progress, or None."""
        return self.closing.journal_of(run)

    def recover(self) -> list[Run]:
        """Close the runs whose process died, and bring in those that ended while the ledger could not be written."""
        return self.closing.recover()

    def bring_in(self, spool: Path, *, anywhere: bool = False) -> list[Run]:
        """Bring in the runs of a spool, as `Closing.bring_in` does."""
        self._drop_purged(spool)
        return self.closing.bring_in(spool, anywhere=anywhere)

    def is_ours(self, run: Run) -> bool:
        """Tell whether all that is known of a run was recorded in this repository, by this user; in doubt it was not.

        What a run says of itself can be forged; so this repository keeps for itself which entries it wrote.
        """
        return run.user == this_user() and self.ledger.recorded_here(self.index.entries_of(run.id))

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
        snapshot = self.writer.code()
        run = replace(self.writer.new_run(beginning, layer, hidden, status, snapshot.code), metrics=dict(metrics))
        event = new_event(EventKind.RECORD)
        run = replace(run, finished=max(event.time, run.started))
        return self.writer.append_new(
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
    ) -> Run:
        """Append an event that changes a run, as `Writer.change` does."""
        return self.writer.change(run, kind, how, subject=subject, files=files)

    def tag(self, run: RunId, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Run:
        """Add and remove tags."""
        added, removed = tuple(map(checked_tag, add)), tuple(remove)
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

    def purge(self, runs: Sequence[RunId], *, offline: bool = False, spool: Path | None = None) -> Purged:
        """Remove runs for good, with every byte that is gitparams' own, and return what else leads to them.

        Other clones follow with their next pull. Arguments and what is raised are those of `purging.purge`.
        """
        from gitparams.purging import purge

        return purge(self, runs, self.author, now(), offline=offline, spool=spool)

    def _clean_after_purges(self) -> None:
        """Take out of all that is ours what a purge on the ledger names and was not known here."""
        if dead := self.index.learned:
            from gitparams.purging import after_purge

            with suppress(LedgerError, OSError):
                holders = after_purge(self, dead)
                many = "1 run was" if len(dead) == 1 else f"{len(dead)} runs were"
                said = ", ".join(f"{holder.what} {holder.name}" for holder in holders)
                self.notes.append(f"{many} purged elsewhere, and here too." + (f" Still held by {said}." if said else ""))

    def _drop_purged(self, folder: Path) -> None:
        """Remove the journals of purged runs: nothing more of them is written."""
        with suppress(OSError), os.scandir(folder) as found:
            if next(found, None) is None:
                return
            from gitparams.purging import forget_journals

            for run in forget_journals(folder, self.index):
                self.notes.append(f"Run {run[:8]} was purged: nothing is written of it.")

    def find_id(self, word: str) -> RunId:
        """Return the id of the recorded run that a word names, hidden ones too."""
        return self._selector().id(word)

    def update(self, run: RunId, layer: Layer, metrics: Mapping[str, Metric]) -> Run:
        """Add params and metrics to a run."""
        clean, hidden = self.redaction.layer(layer)
        files: dict[str, bytes] = {}

        def how(old: Run) -> Run:
            origins = self._details(old).origins  # as they were recorded: what is written is never ruled
            both = stack([Layer(dict(old.params), _known_origins(old, origins)), clean])
            files.update(details_files(Details(origins=both.origins)))
            redacted = tuple(sorted({*old.redacted, *hidden}))
            return replace(old, params=nested(both.values), metrics={**old.metrics, **metrics}, redacted=redacted)

        return self.change(run, EventKind.UPDATE, how, files=files)

    # -- sharing ------------------------------------------------------------------------------------------------------

    def pull(self, remote: str | None = None) -> Pulled:
        """Bring the runs of a git remote into the ledger and the index, as `Sync.pull` does."""
        from gitparams.sync import Sync

        pulled = Sync(self.git, self.ledger).pull(remote)
        self._take_in()
        return pulled

    def push(self, remote: str | None = None) -> Pushed:
        """Bring the runs to a git remote, pulling first what is not here, as `Sync.push` does."""
        from gitparams.sync import Sync

        try:
            return Sync(self.git, self.ledger).push(remote)
        finally:
            self._take_in()

    def sync(self, remote: str | None = None) -> tuple[Pulled, Pushed]:
        """Pull and push, as `Sync.sync` does."""
        from gitparams.sync import Sync

        try:
            return Sync(self.git, self.ledger).sync(remote)
        finally:
            self._take_in()

    def _take_in(self) -> None:
        """Show what came to the ledger as it stands: without the purged, and as lost what gives no sign of life."""
        self.index.catch_up(self.ledger.tip())
        self._clean_after_purges()
        self.closing.show_lost()

    # -- bundles ------------------------------------------------------------------------------------------------------

    def export_bundle(self, path: Path, runs: Collection[RunId] | None = None) -> list[RunId]:
        """Write runs, or the whole ledger, into one file, and return their ids, as `Bundles.write` does."""
        return self._bundles().write(path, runs)

    def record_all(self, runs: Iterable[ForeignRun], *, here: bool = False) -> list[RunId]:
        """Record runs of another system that are not here yet, with their own times, and return their ids, oldest first.

        With `here` they happen in this program, and have its code and its machine.

        Raises:
            LedgerError: they could not be written.
        """
        from gitparams.foreign import bring_in

        return bring_in(self.writer, runs, here=here)

    def import_bundle(self, path: Path, *, purge: bool = False) -> Brought:
        """Bring in the runs of a bundle, as `Bundles.read` does."""
        brought = self._bundles().read(path, purge=purge)
        self._take_in()
        return brought

    def verify(self, since: Oid | None = None, *, signed: bool | None = None, progress: Progress | None = None) -> Verified:
        """Check the ledger as it stands, and return what was found, as `verifying.verify` does."""
        from gitparams.verifying import verify

        return verify(self.ledger, since, signed=signed, progress=progress)

    def _bundles(self) -> Bundles:
        from gitparams.bundles import Bundles

        return Bundles(self.git, self.ledger, self.index, self.closing)

    # -- drafts -------------------------------------------------------------------------------------------------------


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


def _check_found(run: Run, meant: Mapping[str, Sequence[str]], found: Sequence[str]) -> None:
    for key, paths in meant.items():
        if paths and not any(path in found for path in paths):
            said = f"No run of {run.experiment} up to {run.short_id} has a param {key!r}."
            raise UsageError(said, hint=f"gitparams log --where 'exists({key})'")


def _setter(fields: Callable[[Run], dict[str, object]]) -> Callable[[Run], Run]:
    return lambda run: replace(run, **fields(run))  # type: ignore[arg-type]


def _known_origins(run: Run, origins: Mapping[str, Origin]) -> dict[str, Origin]:
    from gitparams.params import flatten

    unknown = Origin("unknown")
    return {path: origins.get(path, unknown) for path in flatten(run.params)}
