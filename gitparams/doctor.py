"""Doctor: what may be wrong with a repository's runs, found one by one, and mended where that loses nothing."""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gitparams.entry import CODE, author_line, commit_object
from gitparams.errors import FormatError, GitParamsError, LedgerError, ParamsFileError
from gitparams.git import Git
from gitparams.index import BrokenRun, Filter
from gitparams.journal import journals
from gitparams.ledger import REF, TRACKING
from gitparams.model import Oid, RunId
from gitparams.recorder import spool_folders
from gitparams.repository import Repository
from gitparams.verifying import is_partial

_KEEP_MARK_BYTES = 64
OLDEST_GIT = (2, 30)
FIX = "gitparams doctor --fix"
_STALE_LOCK_SECONDS = 60.0
_STALE_FOLDER_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: its name.
        good: whether it is as it should be.
        says: a sentence about it.
        hint: the next step, where there is one.
    """

    what: str
    good: bool
    says: str
    hint: str | None = None


def examine(repository: Repository, *, fix: bool = False) -> Iterator[Finding]:
    """Yield what was found, one finding or more for each thing looked at; a wrong index is made anew on the way.

    Args:
        repository: the one to look at.
        fix: whether to mend what can be mended without losing anything: what a killed process left, refs of remotes that
            are gone, hooks that do not work.
    """
    for what, look in _LOOKS.items():
        try:
            yield from look(repository, fix)
        except (GitParamsError, OSError, sqlite3.Error) as error:
            yield Finding(what, False, str(error), getattr(error, "hint", None))


def _git(repository: Repository, _: bool) -> Iterator[Finding]:
    said = repository.git.text("version")
    match = re.search(r"(\d+)\.(\d+)", said)
    recent = match is not None and (int(match[1]), int(match[2])) >= OLDEST_GIT
    yield Finding("git", recent, f"{said}.", None if recent else "install git 2.30 or newer")


def _identity(repository: Repository, _: bool) -> Iterator[Finding]:
    known = repository.git.run("config", "user.email", check=False).returncode == 0
    hint = None if known else 'git config --global user.name "Your Name"; git config --global user.email you@example.com'
    yield Finding("identity", True, f"Entries are written as {repository.author}.", hint)


def _signing(repository: Repository, _: bool) -> Iterator[Finding]:
    if not repository.git.flag("gitparams.sign"):
        return
    empty = repository.git.tree_object({})
    repository.git.write_pack(repository.git.pack([empty]))
    # Of 1970, so that it is one object however often somebody asks; git takes it away like all that no ref names.
    author = author_line(repository.author, datetime.fromtimestamp(0, UTC))
    try:
        repository.git.signed(
            commit_object(repository.git, empty.oid, (), author, "gitparams doctor: can entries be signed?\n")
        )
    except LedgerError as error:
        yield Finding("signing", False, error.message, error.hint)
    else:
        yield Finding("signing", True, "Entries are signed.")


def _ledger(repository: Repository, _: bool) -> Iterator[Finding]:
    tip = repository.ledger.tip()
    if tip is None:
        yield Finding("ledger", True, "No runs yet.", "gitparams run -- python train.py")
        return
    try:
        entries = int(repository.git.text("rev-list", "--count", REF))
    except GitParamsError:
        said = f"Entries before {tip[:10]} are missing or damaged here."
        yield Finding("ledger", False, said, f"git fetch --refetch origin {REF}   (another clone may have them); git fsck")
        return
    yield Finding("ledger", True, f"{entries} {'entry' if entries == 1 else 'entries'} up to {tip[:10]}.")
    if repository.ledger.cut():
        said = "The ledger was cut by a shallow fetch: older runs are missing here."
        yield Finding("ledger", False, said, f"git fetch --unshallow origin {REF}")


def _code(repository: Repository, _: bool) -> Iterator[Finding]:
    if is_partial(repository.git):
        yield Finding("code", True, "This is a partial clone: the code of a run is fetched when somebody wants it.")
        return
    without = list(_without_code(repository))
    if without:
        many = f"of run {without[0][:8]} is" if len(without) == 1 else f"of {len(without)} runs is"
        first = "" if len(without) == 1 else f", the first is {without[0][:8]}"
        hint = f"git fetch --refetch origin {REF}   (another clone may have it)"
        yield Finding("code", False, f"The code {many} missing here{first}; all else of them is there.", hint)
    else:
        yield Finding("code", True, "The code of every run is there.")


def _without_code(repository: Repository) -> Iterator[RunId]:
    """Yield the runs whose entry names a tree of code that is not there."""
    index = repository.index
    runs = (run for hidden in (False, True) for run in index.ids(Filter(groups=True, deleted=hidden)))
    newest: dict[Oid, RunId] = {tree: run for run in runs for tree in index.trees_of(run)[:1]}
    asked = "".join(f"{tree}:{CODE}\n" for tree in newest).encode()
    answers = repository.git.run("cat-file", "--batch-check", "--buffer", stdin=asked).stdout.decode("utf-8", "replace")
    for tree, answer in zip(newest, answers.splitlines(), strict=False):
        if answer.endswith(" missing") and CODE in repository.git.tree(tree):
            yield newest[tree]


def _index(repository: Repository, _: bool) -> Iterator[Finding]:
    sound = repository.index.connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
    sound = sound and _mirrors(repository)
    if not sound:
        repository.index.rebuild(repository.ledger.tip())
    runs = repository.count(Filter(groups=True))
    yield Finding("index", True, f"{runs} {'run' if runs == 1 else 'runs'}{'' if sound else '; it was damaged and made anew'}.")
    for run in repository.runs(Filter(status="broken")):
        if isinstance(run, BrokenRun):
            yield Finding("run", False, f"Run {run.id[:8]} cannot be read: {run.reason}", _upgrade(run.reason))


def _mirrors(repository: Repository) -> bool:
    """Tell whether the index has the entries that the ledger has."""
    tip = repository.ledger.tip()
    if tip is None:
        return True
    headers = repository.ledger.headers(map(Oid, repository.git.lines("rev-list", tip)))
    trees = {header.tree for _, header in headers if header.of_run}
    count = repository.index.connection.execute("SELECT count(*) FROM entries").fetchone()[0]
    return bool(count == len(trees)) and repository.index.known_trees(sorted(trees)) == trees


def _journals(repository: Repository, _: bool) -> Iterator[Finding]:
    going_on, waiting = 0, []
    for journal in journals(repository.live):
        try:
            state = journal.read()
        except FormatError as error:
            yield Finding("journal", False, f"{journal.folder}: {error}", "what was logged is in its series.jsonl")
            continue
        if state.ending is not None and not journal.alive():
            waiting.append(journal.id)
        else:
            going_on += 1
    if waiting:
        many = f"Run {waiting[0][:8]} ended and is" if len(waiting) == 1 else f"{len(waiting)} runs ended and are"
        said = f"{many} not on the ledger yet; each command tries again."
        yield Finding("journal", False, said, "gitparams record -p try=1   (says what is in the way)")
    yield Finding("journals", True, f"{going_on} {'run goes' if going_on == 1 else 'runs go'} on.")


def _lost(repository: Repository, fix: bool) -> Iterator[Finding]:
    for run in repository.closing.lost():
        if fix:
            repository.closing.lose(run.id)
            yield Finding("run", True, f"Run {run.short_id} on {run.host or 'another machine'} is recorded as lost now.")
        else:
            said = f"Run {run.short_id} on {run.host or 'another machine'} is recorded as running, and gives no sign of life."
            yield Finding("run", False, said, FIX)


def _leftovers(repository: Repository, fix: bool) -> Iterator[Finding]:
    """Look for what a killed process left: locks of our refs, packs that no gc may touch, folders of things on their way."""
    common = repository.git.place.common_dir
    locks = [
        (path, _STALE_LOCK_SECONDS, "a lock that stops every append") for path in (common / "refs/gitparams").rglob("*.lock")
    ]
    keeps = [
        (path, _STALE_LOCK_SECONDS, "a mark that keeps git from tidying up a pack")
        for path in (common / "objects/pack").glob("*.keep")
        if path.stat().st_size < _KEEP_MARK_BYTES and path.read_bytes().strip() == b"gitparams"
    ]
    folders = [
        (path, _STALE_FOLDER_SECONDS, "a bundle that was never brought in")
        for path in repository.ledger.folder.glob("incoming-*")
    ]
    for path, seconds, what in [*locks, *keeps, *folders]:
        if time.time() - path.stat().st_mtime < seconds:
            continue
        if fix:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            yield Finding("leftover", True, f"{path}, {what}, is removed.")
        else:
            yield Finding("leftover", False, f"{path} was left by a process that died: {what}.", FIX)


def _remotes(repository: Repository, fix: bool) -> Iterator[Finding]:
    git = repository.git
    remotes = (git.porcelain("remote") or "").split()
    wrong = [finding for remote in remotes for finding in _refspecs(git, remote, fix)]
    gone = [finding for ref, oid in _stale_refs(git, remotes) for finding in _stale(repository, ref, oid, fix)]
    yield from (*wrong, *gone)
    if not wrong and not gone:
        yield Finding("remotes", True, f"{len(remotes)} {'remote' if len(remotes) == 1 else 'remotes'}.")


def _refspecs(git: Git, remote: str, fix: bool) -> Iterator[Finding]:
    """Yield refspecs by which a plain fetch would fail, or replace the ledger."""
    good = f"+refs/gitparams/runs*:refs/gitparams/remotes/{remote}/runs*"
    for refspec in (git.porcelain("config", "--get-all", f"remote.{remote}.fetch") or "").split("\n"):
        source, _, target = refspec.removeprefix("+").partition(":")
        if source == "refs/*" and target == "refs/*":
            yield Finding(
                "remote", True, f"{remote} is a mirror: a fetch replaces the ledger, and the next command joins the two."
            )
        elif source.startswith("refs/gitparams/") and refspec != good:
            if fix:
                git.porcelain("config", "--replace-all", f"remote.{remote}.fetch", good, f"^{re.escape(refspec)}$")
                yield Finding("remote", True, f"{remote} fetched by {refspec}, and does by {good} now.")
            else:
                why = "replaces the ledger here" if target.startswith(REF) else "fails while the remote has no ledger"
                yield Finding("remote", False, f"{remote} has the refspec {refspec}, by which a fetch {why}.", FIX)


def _stale_refs(git: Git, remotes: Collection[str]) -> Iterator[tuple[str, Oid]]:
    """Yield the tracking refs of remotes that are not there any more."""
    for line in git.text("for-each-ref", "--format=%(refname) %(objectname)", TRACKING).splitlines():
        ref, _, oid = line.partition(" ")
        if not any(ref.startswith(f"{TRACKING}/{remote}/") for remote in remotes):
            yield ref, Oid(oid)


def _stale(repository: Repository, ref: str, oid: Oid, fix: bool) -> Iterator[Finding]:
    if not fix:
        yield Finding("remote", False, f"{ref} is of a remote that is not there any more.", FIX)
        return
    before, after = repository.ledger.adopt([oid])  # nothing that only it held is lost
    repository.index.catch_up(after)
    repository.git.run("update-ref", "-d", ref, oid)
    joined = "" if before == after else " what only it held was joined to the ledger;"
    yield Finding("remote", True, f"{ref} was of a remote that is not there any more:{joined} it is removed.")


def _settings(repository: Repository, _: bool) -> Iterator[Finding]:
    from gitparams.capture.files import params_words

    settings, top = repository.settings, repository.git.place.top
    missing = []
    for word in settings.params_files if top is not None else ():
        try:
            params_words([word], top or Path.cwd())
        except ParamsFileError as error:
            missing.append(word)
            yield Finding("settings", False, f"gitparams.yaml names {word}: {error.problem}")
    if not missing:
        yield Finding(
            "settings", True, f"Experiment {settings.experiment or 'default'}, {len(settings.params_files)} params files."
        )


def _hooks(repository: Repository, fix: bool) -> Iterator[Finding]:
    from gitparams.hook_files import OPTIONAL, HookState, install, status, status_line

    for hook in status(repository.git):
        if hook.event in OPTIONAL and hook.kind is None:
            continue  # nobody asked for it
        good = hook.state in (HookState.INSTALLED, HookState.ABSENT, HookState.FOREIGN)
        if not good and fix:
            for sentence in install(repository.git, [hook.event]):
                yield Finding("hook", True, sentence)
            continue
        asked = f" {hook.event}" if hook.event in OPTIONAL else ""
        yield Finding("hook", good, f"{status_line(hook)}.", None if good else f"gitparams hooks install{asked}")


def _spool(repository: Repository, _: bool) -> Iterator[Finding]:
    found = False
    for folder in spool_folders():
        waiting = [journal for journal in journals(folder) if journal.told]
        ours = sum(repository.closing.belongs(journal) for journal in waiting)
        for count, where, good, hint in (
            (ours, "", False, "gitparams import spool"),
            (len(waiting) - ours, ", started elsewhere", True, "gitparams import spool --all   (brings them in here)"),
        ):
            if count:
                found = True
                yield Finding(
                    "spool", good, f"{'1 run waits' if count == 1 else f'{count} runs wait'} in {folder}{where}.", hint
                )
    if not found:
        yield Finding("spool", True, "No run waits.")


def _upgrade(reason: str) -> str | None:
    return "pip install --upgrade gitparams" if "format" in reason else None


_LOOKS: dict[str, Callable[[Repository, bool], Iterator[Finding]]] = {
    "git": _git,
    "identity": _identity,
    "signing": _signing,
    "leftovers": _leftovers,
    "ledger": _ledger,
    "index": _index,
    "code": _code,
    "remotes": _remotes,
    "journals": _journals,
    "lost": _lost,
    "settings": _settings,
    "hooks": _hooks,
    "spool": _spool,
}
