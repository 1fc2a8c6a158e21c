"""Verifying: whether a ledger is what its writers wrote, entry by entry, and nothing that was there is gone."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from gitparams.entry import CODE, METRICS, PARAMS, RUN, Header, check_document, parse_commit
from gitparams.errors import FormatError
from gitparams.git import TOO_LARGE, Git, TreeEntry, parse_tree
from gitparams.ledger import REF, Ledger
from gitparams.model import EventKind, Oid, RunId
from gitparams.values import Value, decode_json

SKEW = timedelta(days=1)
"""By how much a clock may be fast."""
_GIT_BEGAN = datetime(2005, 4, 7, tzinfo=UTC)
_BATCH = 2000
_SIGNED_BATCH = 64
_MOST_JSON = 32 << 20
_LOGS_LOOKED_AT = 20
_SIGNED = re.compile(rb"^gpgsig(?:-sha256)? -----BEGIN (SSH|[A-Z ]+)", re.M)
_TRAILER = re.compile(rb"^(Run-[A-Za-z]+): ", re.M)
_IDENTITY = ("Run-Id", "Run-Status", "Run-Event", "Run-Prev", "Run-Commit")
_GOOD = frozenset("GXY")  # what has expired since was good when it was made

Progress = Callable[[int, int], None]
"""Called with how many entries were looked at and how many there are."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as its writer left it.

    Attributes:
        what: ``ledger``, ``entry``, ``run``, ``time`` or ``signature``.
        says: a sentence about it.
        commit: the entry, where it is one.
        run: the run, where it is one.
        hint: the next step, where there is one.
    """

    what: str
    says: str
    commit: Oid | None = None
    run: RunId | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at and what was found.

    Attributes:
        tip: the newest entry; None where there is no ledger.
        since: the entry that was known beforehand, or None.
        entries: how many entries were looked at.
        runs: how many runs these are of.
        signers: who signed → how many entries.
        unsigned: how many entries of people nobody signed.
        faults: what is wrong.
    """

    tip: Oid | None
    since: Oid | None = None
    entries: int = 0
    runs: int = 0
    signers: Mapping[str, int] = field(default_factory=dict)
    unsigned: int = 0
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class _Seen:
    """An entry of a run, as far as its commit tells of it."""

    commit: Oid
    header: Header
    run: RunId


def verify(
    ledger: Ledger, since: Oid | None = None, *, signed: bool | None = None, progress: Progress | None = None
) -> Verified:
    """Check a ledger as it stands, and return what was found; nothing is changed.

    Args:
        ledger: it.
        since: an entry that was once its tip: nothing from before may be gone, and only what came since is looked at
            closely. By default the tip that was last seen here must be there, and all is looked at.
        signed: whether an entry that nobody signed is a fault; as ``gitparams.sign`` says by default.
        progress: told how far it is.
    """
    tip = ledger.tip()
    known = since or ledger.remembered()
    if tip is None:
        return Verified(None, since, faults=(_gone(known),) if known else ())
    must = ledger.git.flag("gitparams.sign") if signed is None else signed
    faults = [*_lost(ledger, tip, known, since is not None), *_rewinds(ledger, tip)]
    return _Verifying(ledger, must, progress or _quiet).all(Verified(tip, since, faults=tuple(faults)))


def _gone(known: Oid) -> Fault:
    return Fault("ledger", f"The ledger is gone; it was at {known[:10]}.", known, hint="gitparams doctor   (brings it back)")


def _quiet(done: int, total: int) -> None:
    pass


# -- nothing is gone ------------------------------------------------------------------------------------------------------


def _lost(ledger: Ledger, tip: Oid, known: Oid | None, asked: bool) -> Iterator[Fault]:
    """Yield the fault that an entry which was known is gone."""
    if known is None or known == tip:
        return
    if ledger.git.read(known) is None:
        if asked:
            yield Fault("ledger", f"{known[:10]} is not in this repository.", known)
        return
    if not _is_kept(ledger, tip, known):
        yield Fault(
            "ledger",
            f"The ledger was rewound or rewritten: {known[:10]} is not in it any more, and no purge explains that.",
            known,
            hint="gitparams doctor   (joins the two)",
        )


def _rewinds(ledger: Ledger, tip: Oid) -> Iterator[Fault]:
    """Yield a fault for each place where the ref once was and that the ledger has lost, as its reflog tells."""
    places = dict.fromkeys(ledger.git.text("log", "-g", "--format=%H", REF, "--", check=False).split())
    if not places:
        return
    asked = "".join(f"{place}\n" for place in [*places, f"^{tip}"]).encode()
    words = ("rev-list", "--ignore-missing", "--stdin", "--no-walk=unsorted")
    outside = ledger.git.run("rev-list", *words[1:2], "--stdin", stdin=asked, check=False).stdout.decode().split()
    lost = [Oid(place) for place in outside if place in places][:_LOGS_LOOKED_AT]
    for place in lost:
        if place != ledger.remembered() and not _is_kept(ledger, tip, place):
            yield Fault("ledger", f"The ledger was at {place[:10]}, which is not in it any more.", place)


def _is_kept(ledger: Ledger, tip: Oid, old: Oid) -> bool:
    return ledger.covers(tip, old) or ledger.explains(tip, old)


# -- every entry ----------------------------------------------------------------------------------------------------------


class _Verifying:
    """One walk over the entries of a ledger."""

    def __init__(self, ledger: Ledger, must_be_signed: bool, progress: Progress) -> None:
        self.ledger, self.git = ledger, ledger.git
        self._must, self._progress = must_be_signed, progress
        self._faults: list[Fault] = []
        self._owners: dict[Oid, RunId] = {}
        self._told: dict[Oid, tuple[str | None, ...]] = {}
        self._firsts: dict[RunId, dict[Oid, Oid]] = {}
        self._sound: set[str] = set()
        self._cut = bool(ledger.cut())
        self._promised = is_partial(self.git)
        self._latest = datetime.now(UTC) + SKEW

    def all(self, found: Verified) -> Verified:
        """Look at every entry, and return what was found beside what was known."""
        assert found.tip is not None
        commits = [Oid(line) for line in self.git.lines("rev-list", "--topo-order", "--reverse", found.tip)]
        old = set(self.git.lines("rev-list", found.since)) if found.since and self.git.read(found.since) else set()
        runs: set[RunId] = set()
        signed: dict[Oid, bool] = {}
        unsigned: list[Oid] = []
        done = 0
        for place in range(0, len(commits), _BATCH):
            batch = commits[place : place + _BATCH]
            new = [commit for commit in batch if commit not in old]
            closely = set(new)
            entries = []
            for commit, data in self._objects(batch, "commit"):
                entry = self._commit(commit, data, commit in closely)
                if commit in closely:
                    _sort_by_signature(commit, data, signed, unsigned)
                    entries += [entry] if entry else []
            self._entries(entries)
            runs.update(entry.run for entry in entries)
            done += len(batch)
            self._progress(done, len(commits))
        self._begun_once()
        signers = self._signatures(signed)
        if unsigned and self._must:
            self._faults.append(_unsigned(unsigned))
        faults = (*found.faults, *self._faults)
        entries_seen = sum(commit not in old for commit in commits) if old else len(commits)
        return replace(found, entries=entries_seen, runs=len(runs), signers=signers, unsigned=len(unsigned), faults=faults)

    def _objects(self, names: Sequence[str], kind: str, most: int = _MOST_JSON) -> Iterator[tuple[Oid, bytes]]:
        """Yield what objects hold; one that is missing, damaged, too large or of another type is a fault, and left out."""
        waiting = list(names)
        while waiting:
            count = 0
            for name, found in zip(waiting, self.git.read_many(waiting, most), strict=False):
                count += 1
                if found is None:
                    self._fault("entry", f"The {kind} {name[:10]} is missing or damaged.", hint="git fsck")
                elif found[1] == TOO_LARGE:
                    self._fault("entry", f"The {kind} {name[:10]} is larger than {most >> 20} MB.")
                elif found[1] != kind or self.git.object(kind, found[2]).oid != name:
                    self._fault("entry", f"{name[:10]} is not the {kind} that its id says.", hint="git fsck")
                else:
                    yield Oid(name), found[2]
            if count < len(waiting):  # git stops at an object that it cannot read
                self._fault("entry", f"The {kind} {waiting[count][:10]} is damaged.", hint="git fsck")
            waiting = waiting[count + 1 :]

    def _fault(
        self, what: str, says: str, commit: Oid | None = None, run: RunId | None = None, hint: str | None = None
    ) -> None:
        self._faults.append(Fault(what, says, commit, run, hint))

    # -- a commit -----------------------------------------------------------------------------------------------------

    def _commit(self, commit: Oid, data: bytes, closely: bool) -> _Seen | None:
        """Look at a commit, and return the entry of a run that it is."""
        header = parse_commit(data)
        if closely:
            for sentence in _faults_of_commit(header, data):
                self._fault("entry", f"{commit[:10]} {sentence}", commit, header.run)
        if not header.of_run or header.run is None:
            return None
        told = (header.author, *(header.trailers.get(trailer) for trailer in _IDENTITY))
        if self._told.setdefault(header.tree, told) != told:
            self._fault("entry", f"{commit[:10]} tells otherwise of a tree that another entry has.", commit, header.run)
        self._owners.setdefault(header.tree, header.run)
        if not header.prev:
            self._firsts.setdefault(header.run, {}).setdefault(header.tree, commit)
        for tree in header.prev if closely else ():
            self._follows(commit, header.run, tree)
        return _Seen(commit, header, header.run)

    def _follows(self, commit: Oid, run: RunId, tree: Oid) -> None:
        owner = self._owners.get(tree)
        if owner is None and not self._cut:
            self._fault("entry", f"{commit[:10]} follows an entry that is not before it, {tree[:10]}.", commit, run)
        elif owner is not None and owner != run:
            self._fault("entry", f"{commit[:10]} of run {run[:8]} follows an entry of run {owner[:8]}.", commit, run)

    # -- its tree -----------------------------------------------------------------------------------------------------

    def _entries(self, entries: Sequence[_Seen]) -> None:
        """Look into the trees of some entries."""
        by_tree = {entry.header.tree: entry for entry in entries}
        blobs: dict[str, tuple[str, _Seen]] = {}
        codes: dict[str, _Seen] = {}
        for tree, data in self._objects(list(by_tree), "tree"):
            entry = by_tree[tree]
            files = self._files(entry, data)
            for name in (RUN, PARAMS, METRICS):
                if name in files and (name == RUN or files[name].oid not in self._sound):
                    blobs.setdefault(files[name].oid, (name, entry))
            if CODE in files and files[CODE].oid not in self._sound:
                codes.setdefault(files[CODE].oid, entry)
        for oid, content in self._objects(list(blobs), "blob"):
            self._document(*blobs[oid], content)
            self._sound.add(oid)
        self._codes(codes)

    def _files(self, entry: _Seen, data: bytes) -> Mapping[str, TreeEntry]:
        try:
            files = parse_tree(data, self.git.zero)
        except ValueError:
            files = {}
        for name in (RUN, PARAMS, METRICS):
            if name not in files or files[name].mode != "100644":
                what = "is no file" if name in files else "is missing"
                self._fault("entry", f"{entry.commit[:10]} cannot be read: {name} {what}.", entry.commit, entry.run)
        return {name: file for name, file in files.items() if name == CODE or file.mode == "100644"}

    def _document(self, name: str, entry: _Seen, data: bytes) -> None:
        try:
            document = decode_json(data)
            if not isinstance(document, dict):
                raise FormatError("it is no mapping")
            if name == RUN:
                check_document(document)
        except (ValueError, FormatError, RecursionError) as error:
            hint = getattr(error, "hint", None)
            self._fault("entry", f"{entry.commit[:10]} cannot be read: {name}: {error}", entry.commit, entry.run, hint)
            return
        if name == RUN:
            for what, sentence in _faults_of_run(document, entry.header, self._latest):
                self._fault(what, f"{entry.commit[:10]} of run {entry.run[:8]} {sentence}", entry.commit, entry.run)

    def _codes(self, codes: Mapping[str, _Seen]) -> None:
        if self._promised or not codes:
            return  # a partial clone fetches the code when somebody wants it
        asked = "".join(f"{oid}\n" for oid in codes).encode()
        for line in self.git.run("cat-file", "--batch-check", "--buffer", stdin=asked).stdout.decode().splitlines():
            oid, kind = line.split(" ")[:2]
            if kind != "tree":
                entry = codes[oid]
                self._fault("entry", f"The code of run {entry.run[:8]} is missing: tree {oid[:10]}.", entry.commit, entry.run)
            self._sound.add(oid)

    # -- all of them --------------------------------------------------------------------------------------------------

    def _begun_once(self) -> None:
        """Look for runs that have one id: a run that was brought in twice has two first entries that tell of one beginning."""
        for run, firsts in self._firsts.items():
            if len(firsts) > 1 and len({self._beginning(tree) for tree in firsts}) > 1:
                two = " and ".join(commit[:10] for commit in list(firsts.values())[:2])
                self._fault("run", f"Two runs have the id {run}: they begin with {two}.", list(firsts.values())[1], run)
        without = {run: tree for tree, run in self._owners.items() if run not in self._firsts}
        for run, tree in without.items() if not self._cut else ():
            self._fault("run", f"Run {run[:8]} has no first entry; {tree[:10]} is one of the later ones.", None, run)

    def _beginning(self, tree: Oid) -> tuple[object, ...]:
        found = self.git.read(f"{tree}:{RUN}", _MOST_JSON)
        try:
            document = decode_json(found[2]) if found else None
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            return (tree,)
        return tuple(str(document.get(name)) for name in ("started", "host", "command"))

    def _signatures(self, signed: Mapping[Oid, bool]) -> dict[str, int]:
        """Check the signatures of commits (and whether each is of ssh), and return who made the good ones."""
        from concurrent.futures import ThreadPoolExecutor

        commits = list(signed)
        batches = [commits[place : place + _SIGNED_BATCH] for place in range(0, len(commits), _SIGNED_BATCH)]
        signers: Counter[str] = Counter()
        unchecked: list[Oid] = []
        strangers: dict[str, list[Oid]] = {}
        done = 0
        with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as threads:
            for answers in threads.map(self._ask_signatures, batches):
                for commit, verdict, signer, key in answers:
                    if verdict in _GOOD or (verdict == "U" and not signed[commit]):
                        signers[signer] += 1
                    elif verdict == "U":
                        strangers.setdefault(key, []).append(commit)
                    elif verdict in ("E", "N"):
                        unchecked.append(commit)
                    else:
                        self._fault("signature", f"{commit[:10]} {_SAID.get(verdict, _SAID['B'])}", commit)
                done += len(answers)
                self._progress(done, len(commits))
        self._faults += [_strange(key, made) for key, made in strangers.items()]
        if unchecked:
            self._faults.append(_unchecked(unchecked, any(signed[commit] for commit in unchecked), self.git))
        return dict(sorted(signers.items()))

    def _ask_signatures(self, commits: Sequence[Oid]) -> list[tuple[Oid, str, str, str]]:
        words = ("log", "--no-walk=unsorted", "--stdin", "-z", "--format=%H%n%G?%n%GS%n%GF")
        done = self.git.run(*words, stdin="".join(f"{commit}\n" for commit in commits).encode(), check=False)
        told = {}
        for item in done.stdout.decode("utf-8", "replace").split("\0"):
            commit, verdict, signer, key = (*item.split("\n", 3), "", "", "")[:4]
            told[commit] = (verdict, signer, key.strip())
        return [(commit, *told.get(commit, ("E", "", ""))) for commit in commits]


_SAID = {
    "B": "has a signature that is not of this entry: it was changed after it was signed.",
    "R": "is signed with a key that was revoked.",
}


def _sort_by_signature(commit: Oid, data: bytes, signed: dict[Oid, bool], unsigned: list[Oid]) -> None:
    head = data.partition(b"\n\n")[0]
    found = _SIGNED.search(head)
    if found is not None:
        signed[commit] = found[1] == b"SSH"
    elif parse_commit(data).event != EventKind.MERGE:  # every clone writes the same merge, so nobody can sign it
        unsigned.append(commit)


def _unsigned(commits: Sequence[Oid]) -> Fault:
    many = "1 entry is" if len(commits) == 1 else f"{len(commits)} entries are"
    return Fault(
        "signature",
        f"{many} not signed, the newest of them {commits[-1][:10]}.",
        commits[-1],
        hint=f"gitparams verify --since {commits[-1][:10]}   (once you trust what is there)",
    )


def _strange(key: str, commits: Sequence[Oid]) -> Fault:
    many = "1 entry is" if len(commits) == 1 else f"{len(commits)} entries are"
    sentence = f"{many} signed with key {key}, which gpg.ssh.allowedSignersFile does not name, the newest {commits[-1][:10]}."
    return Fault("signature", sentence, commits[-1])


def _unchecked(commits: Sequence[Oid], ssh: bool, git: Git) -> Fault:
    many = "1 signature" if len(commits) == 1 else f"{len(commits)} signatures"
    signers = git.run("config", "--get", "gpg.ssh.allowedSignersFile", check=False).stdout.strip()
    hint = "git config gpg.ssh.allowedSignersFile FILE   (a line each: EMAIL KEY)" if ssh and not signers else None
    said = "nothing says whose keys are trusted" if hint else "their keys are not here, or the program that checks them is not"
    sentence = f"{many} cannot be checked, the newest of them {commits[-1][:10]}: {said}."
    return Fault("signature", sentence, commits[-1], hint=hint)


# -- what one entry says --------------------------------------------------------------------------------------------------


def _faults_of_commit(header: Header, data: bytes) -> Iterator[str]:
    """Yield what is wrong with a commit of a ledger, as the end of a sentence."""
    if not header.tree:
        yield "is no commit that can be read."
        return
    if header.run is None and header.of_run:
        yield "is no entry of a run, and no merge, purge or alias."
    if len(header.parents) > 1 and header.event != EventKind.MERGE:
        yield f"has {len(header.parents)} parents and is no merge."
    body = data.rstrip(b"\n")
    counts = Counter(_TRAILER.findall(body, max(body.rfind(b"\n\n"), 0)))
    for trailer, count in counts.items():
        if count > 1:
            yield f"says {trailer.decode()} {count} times."


def _faults_of_run(document: Mapping[str, Value], header: Header, latest: datetime) -> Iterator[tuple[str, str]]:
    """Yield what the run.json of an entry and its commit tell differently, and which times cannot be."""
    event = document["event"]
    assert isinstance(event, dict)
    trailers = {"Run-Id": document["id"], "Run-Status": document["status"], "Run-Event": event["kind"]}
    for trailer, value in trailers.items():
        if header.trailers.get(trailer) != value:
            yield "entry", f"says {trailer}: {header.trailers.get(trailer)}, and its run.json {value}."
    happened = datetime.fromisoformat(str(event["time"]))
    written = re.search(r" (-?\d+) [+-]\d{4}$", header.author)
    if written is None or int(written[1]) != int(happened.timestamp()):
        yield "time", f"is dated otherwise than its event, {happened.isoformat()}."
    if happened > latest:
        yield "time", f"is of the future: {happened.isoformat()}."
    if happened < _GIT_BEGAN:
        yield "time", f"is older than git: {happened.isoformat()}."
    started, finished = str(document["started"]), document.get("finished")
    if finished and datetime.fromisoformat(str(finished)) < datetime.fromisoformat(started):
        yield "time", f"ended before it began: {finished}, {started}."


def is_partial(git: Git) -> bool:
    """Tell whether this is a partial clone, which fetches what it lacks when somebody wants it."""
    return git.run("config", "--get", "extensions.partialClone", check=False).returncode == 0 or bool(
        git.run("config", "--get-regexp", r"^remote\..*\.promisor$", check=False).stdout
    )


def document_of(found: Verified) -> dict[str, Value]:
    """Return what was found as JSON has it."""
    return {
        "tip": found.tip,
        "since": found.since,
        "entries": found.entries,
        "runs": found.runs,
        "signers": dict(found.signers),
        "unsigned": found.unsigned,
        "faults": [
            {"what": one.what, "says": one.says, "entry": one.commit, "run": one.run, "hint": one.hint} for one in found.faults
        ],
    }
