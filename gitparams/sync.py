"""Sync: the ledger of this repository and those of its git remotes, brought together by pull and push."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from subprocess import CompletedProcess

from gitparams.entry import METRICS, ORIGINS, PACKAGES, PARAMS, RUN
from gitparams.errors import GitParamsError, LedgerError, UsageError
from gitparams.git import Git, said
from gitparams.ledger import REF, TRACKING, Ledger
from gitparams.model import Oid, RunId

INBOX = "refs/gitparams/inbox"
ATTEMPTS = 8
BIG = 2000  # entries after which a commit-graph pays: it makes unrelated histories comparable in 5 ms instead of 1.3 s

# Nothing of the user's is touched: no FETCH_HEAD, no tags, no other refs, no submodules, nothing pruned, no gc in our name.
_FETCH = (
    "fetch", "--quiet", "--refmap=", "--no-write-fetch-head", "--no-tags", "--no-recurse-submodules", "--no-prune",
    "--no-auto-maintenance",
)  # fmt: skip
_PUSH = ("push", "--porcelain", "--no-verify", "--no-recurse-submodules", "--no-follow-tags", "--no-signed")
# The way in which a remote says that somebody was faster; whatever else it says is a refusal.
_RACE = re.compile(
    r"fetch first|non-fast-forward|stale info|failed to update ref|cannot lock ref|incorrect old value|reference already exists"
    r"|failed to lock|unable to create '[^']*\.lock'|remote ref updated since checkout|is at [0-9a-f]+ but expected"
)
# The names of the inbox as a push makes them: a server may say anything, and `name:refs/heads/main` would be a refspec.
_INBOX_NAME = re.compile(rf"{INBOX}/[0-9A-Za-z][0-9A-Za-z_-]*")
_GONE = re.compile(r"couldn't find remote ref|not our ref|no such remote ref")
_CUT = re.compile(r"shallow roots are not allowed|shallow update not allowed")
# Git drops these for the sake of hooks; to reach a remote they may hold a header with a token (git -c http.extraHeader=…).
_GIVEN = re.compile(r"GIT_CONFIG_(PARAMETERS|COUNT|KEY_\d+|VALUE_\d+)$")
_NO_WAY = re.compile(
    r"Could not resolve host|Connection refused|Failed to connect|Could(n't| not) connect|timed out|Network is unreachable"
    r"|No route to|Connection reset|Name or service not known|hung up unexpectedly|early EOF|RPC failed"
)
_NOT_ALLOWED = re.compile(
    r"Permission denied|Authentication failed|could not read (Username|Password)|error: 40[13]|[Aa]ccess denied|not authorized"
    r"|insufficient permission|unable to write|Read-only file system|Host key verification failed|dubious ownership"
)
# What a fetch says of the repository that it brings objects to, and why.
_NO_ROOM = re.compile(
    r"(?:unable to (?:create temporary|write)|could not write|insufficient (permission) for adding)(?:[^\n]*: "
    r"(Read-only file system|No space left on device|Permission denied|Disk quota exceeded)$)?",
    re.M,
)
_NOTHING_THERE = re.compile(r"does not appear to be a git repository|[Rr]epository .*not found|error: 404|No such file")
_EXPLAINED = ((_NO_WAY, "cannot be reached"), (_NOT_ALLOWED, "does not let us in"), (_NOTHING_THERE, "is no git repository"))


@dataclass(frozen=True, slots=True)
class Remote:
    """A git remote, as the configuration has it or as it was given.

    Attributes:
        word: what git is told: its name, a path or an address.
        name: its name; None for a path or an address.
        pushed_to: where pushes go, when that is elsewhere.
    """

    word: str
    name: str | None = None
    pushed_to: str | None = None

    @property
    def shown(self) -> str:
        """What a person is told: an address without its user and password."""
        return without_password(self.word)

    @property
    def tracking(self) -> str | None:
        """The ref that remembers its ledger, or None."""
        return tracking_ref(self.name) if self.name is not None else None


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did.

    Attributes:
        remote: from where, as a person is told.
        before: the tip of our ledger before; None when there was none.
        after: the tip now; None when there is none on either side.
        found: whether the remote has a ledger.
        new: the runs that came, oldest first.
        changed: how many runs that were here were changed elsewhere.
        notes: what the person should know: a ledger that was deleted or rewound over there, one that was cut.
    """

    remote: str
    before: Oid | None
    after: Oid | None
    found: bool
    new: tuple[RunId, ...] = ()
    changed: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did.

    Attributes:
        remote: where to, as a person is told.
        entries: how many entries the remote lacked.
        runs: how many runs these are of.
        pulled: what was pulled on the way, because the remote had what was not here.
        inbox: the ref that took the entries because others were faster each time; the next pull of anybody folds it in.
    """

    remote: str
    entries: int
    runs: int
    pulled: Pulled
    inbox: str | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a remote told of its ledger."""

    tip: Oid | None = None
    inbox: Mapping[str, Oid] = field(default_factory=dict)

    @property
    def refs(self) -> dict[str, Oid]:
        """All of them by their names."""
        return {**self.inbox, **({REF: self.tip} if self.tip else {})}


@dataclass(frozen=True, slots=True)
class _Configured:
    """What the configuration says of remotes."""

    remotes: Mapping[str, Remote]
    upstreams: Mapping[str, str]
    partial: frozenset[str]


class Sync:
    """The way between the ledger of a repository and those of its remotes."""

    def __init__(self, git: Git, ledger: Ledger) -> None:
        self.git, self.ledger = git, ledger
        self._known: _Configured | None = None

    # -- pull ---------------------------------------------------------------------------------------------------------

    def pull(self, word: str | None = None) -> Pulled:
        """Bring the entries of a remote into the ledger, and return what came.

        Args:
            word: the remote: a name, a path or an address; by default the upstream's, the only one, or ``origin``.

        Raises:
            UsageError: there is no such remote. GitParamsError: it cannot be read; the ledger is as it was.
        """
        remote = self.remote(word)
        pulled, _ = self._pull(remote, remote.word)
        return pulled

    def _pull(self, remote: Remote, place: str) -> tuple[Pulled, _Seen]:
        collecting = self.git.collecting
        seen, lacking = self._bring(remote, place)
        notes = self._noticed(remote, seen)
        before = after = self.ledger.tip()
        if lacking:
            before, after = self.ledger.adopt(lacking)
            if collecting or self.git.collecting:
                self._mend(remote, place, seen, before, after)
        if seen.tip is not None and not notes and self._holds(after, seen.tip):  # not what was purged here
            self._track(remote, seen.tip)
        new, changed = self._came(remote, before, after)
        return Pulled(remote.shown, before, after, seen.tip is not None, new, changed, notes), seen

    def _bring(self, remote: Remote, place: str) -> tuple[_Seen, list[Oid]]:
        """Fetch what the ledger lacks; return what the remote has, and the tips that are to be joined."""
        for _ in range(ATTEMPTS):
            seen = self._look(remote, place)
            lacking = {ref: oid for ref, oid in seen.refs.items() if not self._holds(self.ledger.tip(), oid)}
            if not lacking or (self._fetch(remote, place, list(lacking)) and all(map(self._is_here, lacking.values()))):
                seen = self._without_others(remote, seen)
                return seen, _in_order({ref: oid for ref, oid in lacking.items() if ref in seen.refs}, seen.tip)
        raise GitParamsError(f"The ledger of {remote.shown} was rewritten each time it was asked for.")

    def _without_others(self, remote: Remote, seen: _Seen) -> _Seen:
        """Return what a remote has without what is no ledger in its inbox, where anybody may put something.

        Raises:
            GitParamsError: its ledger is none; joined to ours it would stay there for ever.
        """
        mine = self.ledger.tip()
        if seen.tip is not None and seen.tip != mine and not self.ledger.is_one(seen.tip):
            raise GitParamsError(
                f"{REF} of {remote.shown} is no ledger of runs, it leads to {seen.tip[:10]}: nothing was brought in.",
                hint=f"git push {remote.shown} --delete {REF}   (if nobody needs it; then gitparams push {remote.shown})",
            )
        return _Seen(seen.tip, {ref: oid for ref, oid in seen.inbox.items() if oid == mine or self.ledger.is_one(oid)})

    def _look(self, remote: Remote, place: str) -> _Seen:
        done = self._ask("ls-remote", "--quiet", place, REF, f"{INBOX}/*")
        if done.returncode != 0:
            raise _refusal(remote, "pull", done.stderr)
        refs = [line.split("\t") for line in done.stdout.decode("utf-8", "replace").splitlines() if "\t" in line]
        # A pattern of ls-remote is the end of a name, too.
        found = {ref: Oid(oid) for oid, ref in refs if ref == REF or _INBOX_NAME.fullmatch(ref)}
        return _Seen(found.pop(REF, None), found)

    def _fetch(self, remote: Remote, place: str, refs: Sequence[str], *more: str) -> bool:
        """Fetch refs without naming them here; return whether they were all there."""
        partial = ("--filter=blob:none",) if remote.name in self._configured().partial else ()
        done = self._ask(*_FETCH, *more, *partial, place, *refs)
        if _CUT.search(done.stderr.decode("utf-8", "replace")):
            said_so = f"The ledger of {remote.shown} was cut by a shallow fetch, and what is older than the cut is not here."
            raise GitParamsError(said_so, hint=f"git fetch --unshallow origin {REF}   (in {remote.shown})")
        if done.returncode == 0:
            return True
        if _GONE.search(done.stderr.decode("utf-8", "replace")):
            return False  # somebody deleted it after our look
        if (full := _NO_ROOM.search(done.stderr.decode("utf-8", "replace"))) is not None:
            why = full[2] or ("Permission denied" if full[1] else said(done.stderr))
            raise LedgerError(f"{self.git.place.common_dir} cannot be written: {why}.")
        raise _refusal(remote, "pull", done.stderr)

    def _holds(self, tip: Oid | None, commit: Oid) -> bool:
        """Tell whether a tip contains a commit that may not be here, without the network (`--missing` asks no promisor)."""
        if tip is None or tip == commit:
            return tip == commit
        done = self.git.run("rev-list", "--missing=print", "--max-count=1", commit, f"^{tip}", check=False)
        return done.returncode == 0 and not done.stdout.strip()

    def _is_here(self, commit: Oid) -> bool:
        done = self.git.run("rev-list", "--missing=print", "--no-walk", commit, check=False)
        return done.returncode == 0 and not done.stdout.startswith(b"?")

    def _noticed(self, remote: Remote, seen: _Seen) -> tuple[str, ...]:
        """Return what is to be said when the remote's ledger lacks what it had."""
        last = self.git.ref(remote.tracking) if remote.tracking else None
        if last is None or last == seen.tip:
            return ()
        back = f"gitparams push {remote.shown} brings it back."
        if seen.tip is None:
            return (f"{remote.shown} has lost its ledger; all that it held is still here, and {back}",)
        if not self._lacks(seen.tip, last):
            return ()
        return (f"The ledger of {remote.shown} was rewound; what it lost is still here, and {back}",)

    def _lacks(self, tip: Oid, last: Oid) -> bool:
        """Tell whether a tip lacks entries that another had, and no purge explains it.

        An entry is told by its tree: a purge makes the commits above it anew, and joining makes merges anew.
        """
        added, dropped = self.ledger.between(last, tip)
        if not dropped:
            return False
        came = [header for _, header in self.ledger.headers(added)]
        there = {header.tree for header in came}
        missed = {header.run for _, header in self.ledger.headers(dropped) if header.run and header.tree not in there}
        if not missed:
            return False
        from gitparams.rewriting import purged_by

        dead = frozenset[RunId]().union(*map(purged_by, came))
        return any(run not in dead and not self.ledger.is_purged(run) for run in missed)

    def _track(self, remote: Remote, tip: Oid) -> None:
        """Remember a remote's ledger; whoever moves the ref at the same moment knows as much."""
        old = self.git.ref(remote.tracking) if remote.tracking else None
        if remote.tracking and old != tip:
            self.git.run("update-ref", "-m", "gitparams", remote.tracking, tip, old or self.git.zero, check=False)

    def _came(self, remote: Remote, before: Oid | None, after: Oid | None) -> tuple[tuple[RunId, ...], int]:
        """Return the runs that came and how many were changed; what reads them finds all it needs here."""
        if before == after or after is None:
            return (), 0
        added, dropped = self.ledger.between(before, after)
        if remote.name in self._configured().partial:
            self._bring_files(remote.word, before, after)
        if len(added) > BIG:
            self.git.run("commit-graph", "write", "--split", "--no-progress", "--stdin-commits", stdin=f"{after}\n".encode())
        known = {header.tree for _, header in self.ledger.headers(dropped)}
        headers = [header for _, header in self.ledger.headers(added) if header.run and header.tree not in known]
        new = dict.fromkeys(header.run for header in headers if header.run and not header.prev)
        self.git.run("maintenance", "run", "--auto", "--quiet", check=False)
        return tuple(new), len({header.run for header in headers} - set(new))

    def complete(self, before: Oid | None, after: Oid) -> None:
        """Bring the files of entries that a partial clone's own fetch left out: one by one each would be a request of its own.

        Args:
            before, after: the tips of the ledger between which the entries are. Without the network it does nothing.
        """
        with suppress(GitParamsError):
            for name in sorted(self._configured().partial):
                self._bring_files(name, before, after)

    def _bring_files(self, place: str, before: Oid | None, after: Oid) -> None:
        """Bring the files of entries that a partial fetch left out, in one request; the code stays where it is."""
        names = (RUN, PARAMS, METRICS, ORIGINS, PACKAGES)
        since = [f"^{before}"] if before else []
        words = ("--objects", "--missing=print", "--full-history", after, *since, "--", *names)
        missing = [line[1:] for line in self.git.lines("rev-list", *words) if line.startswith("?")]
        if missing:
            noop = ("-c", "fetch.negotiationAlgorithm=noop")
            text = "".join(f"{oid}\n" for oid in missing).encode()
            self._ask(*noop, *_FETCH, "--filter=blob:none", "--stdin", place, stdin=text)

    def _mend(self, remote: Remote, place: str, seen: _Seen, before: Oid | None, after: Oid | None) -> None:
        """Fetch again what a gc took between the fetch and the move of the ref, now that the ref holds it."""
        if after is None or remote.name in self._configured().partial:
            return
        words = ("rev-list", "--objects", "--quiet", after, *([f"^{before}"] if before else []))
        if self.git.run(*words, check=False).returncode != 0:
            self._fetch(remote, place, list(seen.refs), "--refetch")  # git 2.36; to any other it seems to be here already

    # -- push ---------------------------------------------------------------------------------------------------------

    def push(self, word: str | None = None) -> Pushed:
        """Bring the entries of the ledger to a remote, pulling first when it has what is not here.

        Args:
            word: as in `pull`.

        Raises:
            UsageError: there is no such remote. GitParamsError: it cannot be reached or does not take them.
        """
        remote = self.remote(word)
        place = remote.pushed_to or remote.word
        first: Pulled | None = None
        for attempt in range(ATTEMPTS):
            last, seen = self._pull(remote, place)
            first = _together(first, last)
            if last.after is None or last.after == seen.tip:
                self._empty_inbox(remote, seen)
                return Pushed(remote.shown, 0, 0, first)
            if self._sent(remote, f"{last.after}:{REF}", self._lease(last.after, seen.tip)):
                self._track(remote, last.after)
                self._empty_inbox(remote, seen)
                return self._pushed(remote, seen.tip, last.after, first)
            time.sleep(os.urandom(1)[0] / 255 * min(2.0, 0.05 * 2**attempt))
        assert first is not None and first.after is not None
        inbox = f"{INBOX}/{uuid.uuid4()}"
        self._sent(remote, f"{first.after}:{inbox}", ())
        return self._pushed(remote, seen.tip, first.after, first, inbox)

    def sync(self, word: str | None = None) -> tuple[Pulled, Pushed]:
        """Pull and push. Raises as `pull` and `push`."""
        if self.remote(word).pushed_to is not None:
            return self.pull(word), self.push(word)
        pushed = self.push(word)  # it pulls first, and the remote is asked once
        return pushed.pulled, pushed

    def _lease(self, tip: Oid, theirs: Oid | None) -> tuple[str, ...]:
        """Return the flag by which a purge, and nothing else, replaces what the remote has."""
        if theirs is None or self._holds(tip, theirs):
            return ()
        if not self.ledger.explains(tip, theirs):
            raise LedgerError("The ledger here lacks entries of the remote after they were joined.", hint="gitparams doctor")
        return (f"--force-with-lease={REF}:{theirs}",)

    def _sent(self, remote: Remote, refspec: str, lease: Sequence[str]) -> bool:
        """Push one ref; return False when somebody was faster."""
        done = self._ask(*self._push_words(remote), *lease, remote.word, refspec, variables=self._edges())
        if done.returncode == 0:
            return True
        told = done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
        if _CUT.search(told):
            raise GitParamsError(
                f"The ledger here was cut by a shallow fetch, and {remote.shown} lacks what is older than the cut.",
                hint=f"git fetch --unshallow origin {REF}",
            )
        if _RACE.search(told):
            return False
        rejected = re.search(r"^!.*\[(?:remote )?rejected\] \((.*)\)$", told, re.M)
        if rejected:
            raise GitParamsError(f"{remote.shown} refuses the runs: {rejected[1]}{_remote_says(done.stderr)}.")
        raise _refusal(remote, "push", done.stderr)

    def _push_words(self, remote: Remote) -> tuple[str, ...]:
        mirror = ("-c", f"remote.{remote.name}.mirror=false") if remote.name and "=" not in remote.name else ()
        return ("-c", "push.gpgSign=false", *mirror, *_PUSH)

    def _edges(self) -> dict[str, str]:
        """Return what lets git leave out the code that the remote has from its own branches.

        A shallow repository is packed with more care for what the other side knows, and with an empty list of its borders
        git takes any for one; so a first push sends 10 objects instead of a whole snapshot (benchmarks/sync.py).
        """
        if (self.git.place.common_dir / "shallow").exists():
            return {}
        try:
            self.ledger.folder.mkdir(parents=True, exist_ok=True)
            empty = self.ledger.folder / "shallow-nowhere"
            empty.touch()
        except OSError:
            return {}
        return {"GIT_SHALLOW_FILE": str(empty)}

    def _empty_inbox(self, remote: Remote, seen: _Seen) -> None:
        """Take away what was folded in, after the ledger with it has arrived; what somebody else took is gone already."""
        for ref, oid in seen.inbox.items():
            lease = f"--force-with-lease={ref}:{oid}"
            self._ask(*self._push_words(remote), lease, remote.word, f":{ref}")

    def _pushed(self, remote: Remote, theirs: Oid | None, tip: Oid, pulled: Pulled, inbox: str | None = None) -> Pushed:
        headers = [header for _, header in self.ledger.headers(self.ledger.between(theirs, tip)[0])]
        return Pushed(remote.shown, len(headers), len({header.run for header in headers if header.run}), pulled, inbox)

    # -- remotes ------------------------------------------------------------------------------------------------------

    def remote(self, word: str | None = None) -> Remote:
        """Return the remote that a word means; without one the upstream's, the only one, or ``origin``.

        Raises:
            UsageError: there is none, or it cannot be told which is meant.
        """
        known = self._configured()
        if word is None:
            return self._usual(known)
        if word in known.remotes:
            return known.remotes[word]
        if word.startswith("-") or not (re.search(r"[/\\:]", word) or word in (".", "..")):
            raise UsageError(f"There is no remote {word!r}; there {_listed(known.remotes)}.", hint=f"git remote add {word} URL")
        return Remote(word)

    def _usual(self, known: _Configured) -> Remote:
        if len(known.remotes) == 1:
            return next(iter(known.remotes.values()))
        branch = self.git.text("symbolic-ref", "--quiet", "--short", "HEAD", check=False)
        found = known.remotes.get(known.upstreams.get(branch, "")) or known.remotes.get("origin")
        if found is not None:
            return found
        if not known.remotes:
            raise UsageError("There is no remote to share runs with.", hint="git remote add origin URL")
        raise UsageError(f"Name a remote; there {_listed(known.remotes)}.", hint=f"gitparams push {min(known.remotes)}")

    def _configured(self) -> _Configured:
        if self._known is None:
            self._known = read_remotes(self.git)
        return self._known

    def _ask(
        self, *words: str, stdin: bytes | None = None, variables: Mapping[str, str] | None = None
    ) -> CompletedProcess[bytes]:
        given = {key: value for key, value in os.environ.items() if _GIVEN.match(key)}
        return self.git.run(*words, stdin=stdin, variables={**given, **(variables or {})}, check=False)


def read_remotes(git: Git) -> _Configured:
    """Return what the configuration says of remotes, by one process."""
    done = git.run("config", "--null", "--get-regexp", r"^(remote|branch)\.|^extensions\.partialclone$", check=False)
    names: dict[str, dict[str, str]] = {}
    upstreams: dict[str, str] = {}
    partial: set[str] = set()
    for item in done.stdout.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = item.partition("\n")
        section, _, rest = key.partition(".")
        name, _, field_ = rest.rpartition(".")
        if section == "remote" and name:
            names.setdefault(name, {}).setdefault(field_, value)
            if field_ == "promisor" and value.lower() in ("true", "yes", "on", "1", ""):
                partial.add(name)
        elif section == "branch" and field_ == "remote":
            upstreams[name] = value
        elif section == "extensions":
            partial.add(value)
    # A remote without an address is one that only has settings (remote.origin.prune in ~/.gitconfig).
    remotes = {name: Remote(name, name, own.get("pushurl")) for name, own in names.items() if "url" in own or "pushurl" in own}
    return _Configured(remotes, upstreams, frozenset(partial))


def tracking_ref(remote: str) -> str:
    """Return the ref that remembers the ledger of a remote.

    Remotes named ``a`` and ``a/runs`` would need a file and a folder of one name; so a later part ``runs`` gets a ``%``.

    >>> tracking_ref("origin"), tracking_ref("a/runs")
    ('refs/gitparams/remotes/origin/runs', 'refs/gitparams/remotes/a/runs%/runs')
    """
    first, *others = remote.split("/")
    parts = [f"{part}%" if re.fullmatch("runs%*", part) else part for part in others]
    return "/".join([TRACKING, first, *parts, "runs"])


def without_password(text: str) -> str:
    """Return a text without the user and password of the addresses in it.

    >>> without_password("https://ada:secret@host/x.git and ssh://git@host/x")
    'https://host/x.git and ssh://host/x'
    """
    return re.sub(r"(?<=://)[^/@\s]*@", "", text)


def _in_order(lacking: Mapping[str, Oid], tip: Oid | None) -> list[Oid]:
    """Return the tips to join: what is joined last is fast-forwarded, so the remote's own comes then, also when it is held."""
    inbox = [oid for ref, oid in lacking.items() if ref != REF]
    return [*inbox, *([tip] if tip and lacking else [])]


def _together(first: Pulled | None, last: Pulled) -> Pulled:
    """Return two pulls of one push as one."""
    if first is None:
        return last
    new = tuple(dict.fromkeys((*first.new, *last.new)))
    notes = tuple(dict.fromkeys((*first.notes, *last.notes)))
    return Pulled(first.remote, first.before, last.after, last.found, new, max(first.changed, last.changed), notes)


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return f"{'is' if len(ordered) == 1 else 'are'} {', '.join(ordered)}" if ordered else "is none at all"


def _refusal(remote: Remote, what: str, stderr: bytes) -> GitParamsError:
    """Return git's refusal as one sentence."""
    told = stderr.decode("utf-8", "replace")
    why = without_password(said(stderr)).rstrip(".")
    short = next((meaning for pattern, meaning in _EXPLAINED if pattern.search(told)), None)
    if short is None:
        return GitParamsError(f"git could not {what} {remote.shown}: {why}.")
    return GitParamsError(f"{remote.shown} {short}: {why}.", hint=f"git ls-remote {remote.shown}")


def _remote_says(stderr: bytes) -> str:
    lines = [line[7:].strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.startswith("remote:")]
    told = " ".join(line for line in lines if line)
    return f" ({told})" if told else ""
