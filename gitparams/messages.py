"""Messages: what is added to the message of a commit that changes params: which ones, and the run that had them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import has_magic
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitparams.flat import decode_flat, flat_document
from gitparams.git import Git
from gitparams.index import Filter, Index, paths_meant
from gitparams.ledger import Ledger
from gitparams.model import RunId, Status, now
from gitparams.params import Layer, differing, flatten, path_keys, stack, unflatten
from gitparams.screens.items import Item, item_text
from gitparams.screens.terminal import Terminal
from gitparams.settings import FILE, Settings, read_settings
from gitparams.values import same

if TYPE_CHECKING:
    from gitparams.query import Query

_TAKEN_OVER = ("merge", "squash", "commit")
"""Where git takes a message from that is no new one: a merge, a squash merge, another commit (``--amend``, ``-c``, ``-C``)."""
_IN_PROGRESS = ("rebase-merge", "rebase-apply", "sequencer", "CHERRY_PICK_HEAD", "REVERT_HEAD", "MERGE_HEAD")
_OF_OTHER_COMMIT = re.compile(r"\A(fixup|squash|amend)! |^This reverts commit [0-9a-f]{7,}", re.MULTILINE)
_CONFIG = r"^(core\.comment(char|string)|commit\.cleanup|i18n\.commitencoding|alias\..*)$"
_AUTOMATIC_COMMENTS = "#;@!$%^&|:"
_SCISSORS = "------------------------ >8 ------------------------"
_LINES_OF_SCISSORS = 3  # with the two that say what they are
_TRAILER = re.compile(r"[A-Za-z0-9-]+[ \t]*:")
_TRAILER_OF_GIT = re.compile(r"Signed-off-by: |\(cherry picked from commit ")
_MOST_LINES, _LONGEST_VALUE = 10, 36
_ASKED_KEYS, _LOOKED_AT, _CANDIDATES = 200, 1000, 5
_LARGEST = 10**308
_CHANGES = 3  # a value that changes is as rare as one with so many digits more
_ABORT = "gitparams added the lines above. To give the commit up, delete them too."


@dataclass(frozen=True, slots=True)
class Additions:
    """What a commit changes of the declared params.

    Attributes:
        changes: a line a change, of which the last may say how many there are beside.
        run: the run that had the params as they are committed.
    """

    changes: tuple[str, ...]
    run: RunId | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """How git will read the file of a commit message.

    Attributes:
        comment: what a comment begins with.
        edited: whether an editor comes after us, and comments are taken out.
    """

    comment: str = "#"
    edited: bool = True


def complete(file: Path, source: str, called: Callable[[], Sequence[str]]) -> None:
    """Add to the message of the commit that is being made what it changes of the params, and the run that had them.

    Nothing is added where the message is not a new one: in a merge, a rebase, a cherry-pick or a revert, of a message that is
    used again, and of a commit that will be melted into another.

    Args:
        file: the message.
        source: where git has it from: empty, ``message``, ``template`` … as it tells prepare-commit-msg.
        called: tells the words by which git was called.

    Raises:
        ParamsFileError: a declared file of params, as it is staged or was, cannot be read.
        GitParamsError: git failed.
    """
    if source in _TAKEN_OVER:
        return
    with Git.find() as git:
        text = file.read_bytes().decode("utf-8", "surrogateescape")
        if any((git.place.git_dir / name).exists() for name in _IN_PROGRESS) or _OF_OTHER_COMMIT.search(text):
            return
        config = _config(git)
        base = _base(git, amends=_amends(called(), config))
        index = Index.open(git, Ledger(git))
        try:
            found = _additions(index, base, _terminal(config)) if base else None
        finally:
            index.close()
    if found is None:
        return
    longer = with_additions(text, found, _draft(text, config))
    if longer != text:
        _replace(file, longer.encode("utf-8", "surrogateescape"))


# -- the text -------------------------------------------------------------------------------------------------------------


def with_additions(text: str, additions: Additions, draft: Draft) -> str:
    r"""Return a commit message with the paragraph ``Params:`` and the trailer ``Run:``; what is there already is not added.

    They come after what a person wrote, before the comments and the scissors, and trailers stay together at the end. The first
    line stays what it is: it is left empty for a person to fill, and where none will, an empty message stays empty.

    >>> with_additions("Slower\n\nSigned-off-by: Ada\n", Additions(("lr 0.1 → 0.01",), "kkmpptxz"), Draft()).split("\n")
    ['Slower', '', 'Params:', '  lr 0.1 → 0.01', '', 'Signed-off-by: Ada', 'Run: kkmpptxz', '']
    """
    ending = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
    lines = text.split("\n")
    head, comments = _split(lines, draft)
    written = [line for line in head if line.strip() and not line.startswith(draft.comment)]
    if not written and not draft.edited:
        return text
    wanted = ["Params:", *(f"  {change}" for change in additions.changes)] if not _has(written, "Params") else []
    run = [f"Run: {additions.run}"] if additions.run and not _has(written, "Run") else []
    if not wanted and not run:
        return text
    trailers_at = _trailers_at(head, draft.comment)
    body, trailers = _trimmed(head[:trailers_at]), head[trailers_at:]
    paragraphs = [body or [""], wanted, [*trailers, *run]]
    if comments and not written:
        place = _LINES_OF_SCISSORS if _is_scissors(comments[0], draft) else 0
        comments.insert(place, f"{draft.comment} {_ABORT}")
    paragraphs.append(comments)
    joined: list[str] = []
    for paragraph in paragraphs:
        if paragraph:
            joined += [*([""] if joined else []), *paragraph]
    if ending == "\r\n":
        joined = [line.removesuffix("\r") for line in joined]
    return ending.join(joined if comments else [*joined, ""])


def _split(lines: Sequence[str], draft: Draft) -> tuple[list[str], list[str]]:
    """Return what a person wrote, and the comments at the end, with all that stands below the scissors."""
    if not draft.edited:
        return _trimmed(lines), []
    cut = next((place for place, line in enumerate(lines) if _is_scissors(line, draft)), len(lines))
    head = list(lines[:cut])
    while head and (not head[-1].strip() or head[-1].startswith(draft.comment)):
        head.pop()
    rest = list(lines[len(head) :])
    while rest and not rest[0].strip():
        rest.pop(0)
    return head, rest


def _is_scissors(line: str, draft: Draft) -> bool:
    return line.rstrip() == f"{draft.comment} {_SCISSORS}"


def _trimmed(lines: Sequence[str]) -> list[str]:
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return list(lines[:end])


def _has(lines: Sequence[str], token: str) -> bool:
    return any(re.match(rf"{token}[ \t]*:", line, re.IGNORECASE) for line in lines)


def _trailers_at(lines: Sequence[str], comment: str) -> int:
    """Return where the trailers begin: in the last paragraph, if not the only one, by the rule of git interpret-trailers."""
    start = len(lines)
    while start and lines[start - 1].strip():
        start -= 1
    if not any(line.strip() and not line.startswith(comment) for line in lines[:start]):
        return len(lines)
    said = [line for line in lines[start:] if not line.startswith((comment, " ", "\t"))]
    trailers = [line for line in said if _TRAILER.match(line) or _TRAILER_OF_GIT.match(line)]
    of_git = any(_TRAILER_OF_GIT.match(line) for line in said)
    is_block = bool(trailers) and (len(trailers) == len(said) or (of_git and len(trailers) * 4 >= len(said)))
    return start if is_block else len(lines)


# -- how git was called ---------------------------------------------------------------------------------------------------


def _variables() -> dict[str, str]:
    """Return what git tells its hook and we need: the index of this commit, and the ``-c`` of its command line."""
    variables = {name: os.environ[name] for name in ("GIT_INDEX_FILE", "GIT_CONFIG_PARAMETERS") if os.environ.get(name)}
    if "GIT_INDEX_FILE" in variables:
        variables["GIT_INDEX_FILE"] = str(Path(variables["GIT_INDEX_FILE"]).absolute())
    return variables


def _config(git: Git) -> dict[str, str]:
    done = git.run("config", "-z", "--get-regexp", _CONFIG, variables=_variables(), check=False)
    pairs = (entry.partition("\n") for entry in done.stdout.decode("utf-8", "surrogateescape").split("\0") if entry)
    return {"core.commentchar" if key == "core.commentstring" else key: value for key, _, value in pairs}


def _terminal(config: Mapping[str, str]) -> Terminal:
    return Terminal(utf8=config.get("i18n.commitencoding", "utf-8").lower().replace("-", "") == "utf8")


def _draft(text: str, config: Mapping[str, str]) -> Draft:
    comment = config.get("core.commentchar", "#")
    edited = os.environ.get("GIT_EDITOR") != ":"  # git says so where no editor will come
    if comment == "auto":
        last = next((line for line in reversed(text.split("\n")) if line.strip()), "#")
        comment = last[0] if edited and last[0] in _AUTOMATIC_COMMENTS else "#"
    return Draft(comment, edited or config.get("commit.cleanup") == "strip")


def _amends(words: Sequence[str], config: Mapping[str, str]) -> bool:
    aliases = " ".join(config.get(f"alias.{word.lower()}", "") for word in words[1:])
    return any(word.startswith("--am") for word in [*words, *aliases.split()])


def _base(git: Git, *, amends: bool) -> str | None:
    """Return what the new commit will be compared with: the one before it, or the empty tree; None when it amends a merge."""
    if not amends:
        return "HEAD" if git.ref("HEAD") else git.object("tree", b"").oid
    _, *parents = git.text("rev-list", "--parents", "-n", "1", "HEAD", "--").split()
    if len(parents) > 1:
        return None
    return parents[0] if parents else git.object("tree", b"").oid


def _replace(file: Path, data: bytes) -> None:
    beside = file.with_name(f"{file.name}.{os.getpid()}.new")
    beside.write_bytes(data)
    beside.replace(file)


# -- what is committed ----------------------------------------------------------------------------------------------------


def _additions(index: Index, base: str, terminal: Terminal) -> Additions | None:
    settings = read_settings(index.git.place.top, index)
    sides = _sides(index.git, settings, base)
    if sides is None:
        return None
    from gitparams.capture.redaction import Redaction

    redaction = Redaction.of(settings.redact).knowing(os.environ)
    (old, _), (new, _) = (redaction.layer(side) for side in sides)
    items = _items(old, new, settings)
    if not items:
        return None
    texts = [item_text(item, terminal, longest=_LONGEST_VALUE) for item in items]
    more = len(texts) - _MOST_LINES
    lines = texts if more <= 1 else [*texts[:_MOST_LINES], f"and {more} more"]
    return Additions(tuple(lines), _run_with(index, settings, new.values, [item.path for item in items]))


def _sides(git: Git, settings: Settings, base: str) -> tuple[Layer, Layer] | None:
    """Return the declared params as they were and as they are staged; None when the commit touches no such file."""
    words = (FILE,) if settings.params else settings.params_files
    specs = list(_pathspecs(words))
    if not specs:
        return None
    raw = git.run("diff-index", "--cached", "--raw", "-z", "--no-renames", base, "--", *specs, variables=_variables())
    fields = raw.stdout.decode("utf-8", "surrogateescape").split("\0")
    before = {path: said.split() for said, path in zip(fields[::2], fields[1::2], strict=False)}
    if not before:
        return None
    listed = git.run("ls-files", "-s", "-z", "--", *specs, variables=_variables()).stdout
    entries = (entry.partition("\t") for entry in listed.decode("utf-8", "surrogateescape").split("\0") if entry)
    staged = {path: said.split()[1] for said, _, path in entries if said.startswith("100")}
    old = {path: oid for path, oid in staged.items() if path not in before}
    old |= {path: said[2] for path, said in before.items() if said[0].startswith(":100")}
    return _declared(git, words, old, "HEAD"), _declared(git, words, staged, "staged")


def _pathspecs(words: Sequence[str]) -> Iterator[str]:
    """Yield what finds at least the files that words name, with or without a prefix."""
    for word in words:
        for name in dict.fromkeys((word, word.partition("=")[2] or word)):
            yield f":(top,literal){name}"
            if has_magic(name):
                yield f":(top,glob){name}"


def _declared(git: Git, words: Sequence[str], files: Mapping[str, str], revision: str) -> Layer:
    from gitparams.capture.files import read_params_tree

    def content(name: str) -> bytes:
        found = git.read(files[name])
        return found[2] if found else b""

    whole = stack(read_params_tree(words, list(files), content, revision))
    if words != (FILE,):
        return whole
    inline = whole.values.get("params")
    return Layer(inline if isinstance(inline, dict) else {}, {})


def _items(old: Layer, new: Layer, settings: Settings) -> list[Item]:
    changed = differing(flatten(old.values), flatten(new.values))
    ignored = {path for glob in settings.ignore for path in paths_meant(glob, changed)}
    items = [Item(path, *values) for path, values in changed.items() if path not in ignored]
    return sorted(items, key=lambda item: item.rank)


# -- the run that had it --------------------------------------------------------------------------------------------------


def _run_with(index: Index, settings: Settings, declared: Mapping[str, Any], changed: Sequence[str]) -> RunId | None:
    """Return the newest completed run that had exactly the declared params, of several one whose code is what is committed.

    Exactly: each declared param has in the run the value that is declared, of the same type. The run may have others.
    """
    tip = index.ledger.tip()
    if tip is None:
        return None
    index.catch_up(tip)
    if (rules := settings.rules) is not None:
        moment = now()  # whatever a rule names as its end is past by now, so it need not be looked up
        declared = rules.bound(lambda _: moment).applied_to(declared, {}, moment).params
    found = list(islice(_runs_with(index, declared, changed), _CANDIDATES))
    for run, tree in found:
        if tree and _is_staged(index.git, tree):
            return run
    return found[0][0] if found else None


def _runs_with(index: Index, declared: Mapping[str, Any], changed: Sequence[str]) -> Iterator[tuple[RunId, str | None]]:
    """Yield the completed runs that had some params, newest first, and the tree of their code; of each tree the newest only."""
    leaves = flatten(declared)
    if not leaves:
        return
    asked = sorted(leaves, key=lambda path: path not in changed)[:_ASKED_KEYS]
    where = _condition(index, {path: leaves[path] for path in asked}, changed)
    wanted = decode_flat(flat_document(declared))
    seen = set()
    for name, _, text, params, _ in index.rows(Filter(status=Status.COMPLETED, where=where), limit=_LOOKED_AT):
        had = decode_flat(params)
        tree = json.loads(text).get("git", {}).get("tree")
        if tree not in seen and all(key in had and same(had[key], value) for key, value in wanted.items()):
            seen.add(tree)
            yield RunId(name), tree


def _condition(index: Index, leaves: Mapping[str, Any], changed: Sequence[str]) -> Query:
    """Return what chooses the runs with some params, and perhaps a few more: by the index of one key, then by their text."""
    from gitparams.query import Query

    texts = {path: flat_document(unflatten({path: value})) for path, value in leaves.items()}
    rarest = max(leaves, key=lambda path: _rarity(leaves[path]) + _CHANGES * (path in changed))
    by_key = f"{index.key_sql('params', path_keys(rarest))} = ?"
    [value] = json.loads(texts[rarest]).values()
    conditions = [by_key, *["instr(r.params, ?)"] * len(texts)]
    return Query(" AND ".join(conditions), (_bindable(value), *(text[1:-1] for text in texts.values())), keyed=True)


def _rarity(value: Any) -> int:
    """Return how rare a value may be among runs: a number the more digits it has, and none as common as true and false."""
    return len(repr(value)) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _bindable(value: Any) -> Any:
    """Return a value as SQLite can take it: an integer that it cannot hold is the nearest float, as in a document."""
    if isinstance(value, int) and abs(value) >= 2**63:
        return float(max(-_LARGEST, min(value, _LARGEST)))
    return value


def _is_staged(git: Git, tree: str) -> bool:
    """Tell whether the commit that is being made has a tree."""
    return git.run("diff-index", "--cached", "--quiet", tree, "--", variables=_variables(), check=False).returncode == 0
