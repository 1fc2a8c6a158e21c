"""Completion: what may come next on a command line.

The words of the line, what each command takes (`Command`) and what the repository holds (`History`) go in, candidates come
out; nothing is read here. Text from a ledger is anybody's text, so what cannot be shown on one line is left out, and whoever
hands the candidates to a shell quotes them.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gitparams.glimpse import Keys, Seen

SHELLS = ("bash", "zsh", "fish")
_MOST = 500
_FIELDS = (
    "author",
    "branch",
    "commit",
    "duration",
    "experiment",
    "host",
    "id",
    "name",
    "note",
    "started",
    "status",
    "tags",
)
_WORD_OF_EXPRESSION = re.compile(r"""(?:[^\W\d]\w*)(?:\.\w*|\[(?:"[^"\]]*"?\]?)?)*$""")


class Kind(StrEnum):
    """What completes a word: our candidates, or what the shell itself knows."""

    VALUES = "values"
    FILES = "files"
    FOLDERS = "folders"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of a command.

    Attributes:
        names: all its spellings: ``-e``, ``--experiment``.
        value: the word that stands for its value in the help; empty when it takes none.
        help: what it does.
        choices: the values that its help lists.
    """

    names: tuple[str, ...]
    value: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Argument:
    """A place for a word that is no flag: how the help writes it, and the values that its help lists."""

    metavar: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What a command takes.

    Attributes:
        help: what it does.
        arguments: its places for words.
        flags: its flags.
        commands: its own commands, by name.
    """

    help: str = ""
    arguments: tuple[Argument, ...] = ()
    flags: tuple[Flag, ...] = ()
    commands: Mapping[str, Command] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word that may stand here, and what it is."""

    value: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What may stand at the place of the last word.

    Attributes:
        kind: who completes it.
        candidates: whole words, when we do.
        open: whether the word goes on after a candidate, so that no space follows.
        back: how many words before this one belong to the command line that begins within ours (`Kind.COMMAND`).
        fixed: how many letters of the word stand before the path that the shell completes (`Kind.FILES`).
    """

    kind: Kind = Kind.VALUES
    candidates: tuple[Candidate, ...] = ()
    open: bool = False
    back: int = 0
    fixed: int = 0


class History(Protocol):
    """What a repository holds; `gitparams.glimpse.Glimpse` is one."""

    def runs(self, prefix: str = "", *, deleted: bool = False) -> list[Seen]:
        """Return the newest runs whose id begins with a prefix."""

    def named(self, prefix: str = "", *, deleted: bool = False) -> list[Seen]:
        """Return the newest runs whose name begins with a prefix."""

    def experiments(self) -> list[str]:
        """Return the experiments."""

    def tags(self) -> list[str]:
        """Return the tags."""

    def params(self) -> list[Keys]:
        """Return the keys of params."""

    def metrics(self) -> list[str]:
        """Return the names of metrics."""


def complete(words: Sequence[str], commands: Mapping[str, Command], history: History) -> Answer:
    """Return what may stand at the place of the last word.

    Args:
        words: the words after ``gitparams``, unquoted; the last is the one that is being typed, perhaps empty.
        commands: what there is to call.
        history: what the repository holds.

    >>> from gitparams.glimpse import Glimpse
    >>> commands = {"log": Command("List runs", flags=(Flag(("--oneline",), help="One line a run"),)), "show": Command()}
    >>> complete(["l"], commands, Glimpse(None)).candidates
    (Candidate(value='log', description='List runs'),)
    >>> complete(["log", "--o"], commands, Glimpse(None)).candidates
    (Candidate(value='--oneline', description='One line a run'),)
    """
    line = _Line.of(words, commands)
    answer = line.command_answer() if line.command is None else _Completion(line, line.command, history).answer()
    whole = tuple(
        item for item in answer.candidates if item.value.startswith(words[-1]) and item.value.isprintable() and item.value
    )
    return Answer(answer.kind, whole[:_MOST], answer.open, answer.back, answer.fixed)


# -- the line -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    """The words of a line, sorted out.

    Attributes:
        names: the command's words: ``("hooks", "run")``.
        command: what it takes; None while the command itself is being typed.
        commands: the commands that may stand there.
        words: the words after the command's, with the one that is being typed.
    """

    names: tuple[str, ...]
    command: Command | None
    commands: Mapping[str, Command]
    words: tuple[str, ...]

    @classmethod
    def of(cls, words: Sequence[str], commands: Mapping[str, Command]) -> _Line:
        """Sort out the words of a line."""
        rest, names, level = list(words), [], commands
        while len(rest) > 1 and rest[0] in level:
            names.append(rest[0])
            command = level[rest.pop(0)]
            if not command.commands:
                return cls(tuple(names), command, level, tuple(rest))
            level = command.commands
        return cls(tuple(names), None, level, tuple(rest))

    def command_answer(self) -> Answer:
        """Return the commands, where one is being typed."""
        if len(self.words) > 1:
            return Answer(Kind.FOLDERS) if self.words[-2:-1] == ("-C",) and not self.names else Answer()
        top = () if self.names else (Candidate("-C", "Work in this folder"), Candidate("--version", "Print the version"))
        flags = (*top, _HELP) if self.words[-1].startswith("-") else ()
        return Answer(candidates=(*flags, *(Candidate(name, command.help) for name, command in self.commands.items())))


_HELP = Candidate("--help", "Show what the command takes")


class _Completion:
    """One line whose command is known."""

    def __init__(self, line: _Line, command: Command, history: History) -> None:
        self._line, self._command, self._history = line, command, history
        self._word = line.words[-1]
        self._flags = {name: flag for flag in command.flags for name in flag.names}

    def answer(self) -> Answer:
        """Return what may stand at the place of the last word."""
        before = list(self._line.words[:-1])
        if "--" in before:
            return self._after_dashes(before.index("--"))
        plain, waiting = self._read(before)
        if waiting is not None:
            return self._value(waiting, self._word, "")
        if (begun := self._program(plain)) is not None:
            return Answer(Kind.COMMAND, back=len(before) - begun)
        name, equals, value = self._word.partition("=")
        if equals and (flag := self._flags.get(name)) is not None and name.startswith("--"):
            return self._value(flag, value, f"{name}=")
        if self._word.startswith("-"):
            return Answer(candidates=(*self._flag_candidates(), _HELP))
        return self._argument(len(plain))

    def _read(self, words: Sequence[str]) -> tuple[list[int], Flag | None]:
        """Return the places of the plain words, and the flag whose value is being typed."""
        plain: list[int] = []
        waiting: Flag | None = None
        for place, word in enumerate(words):
            if waiting is not None:
                waiting = None
            elif word in self._flags and self._flags[word].value:
                waiting = self._flags[word]
            elif not word.startswith("-") or word == "-":
                plain.append(place)
        return plain, waiting

    def _program(self, plain: Sequence[int]) -> int | None:
        """Return the place of the first word of the user's own command, when it begins with the first plain word."""
        takes = any("CMD" in argument.metavar for argument in self._command.arguments)
        if not takes or not (plain or not self._word.startswith("-")):
            return None
        return plain[0] if plain else len(self._line.words) - 1

    def _after_dashes(self, place: int) -> Answer:
        metavars = " ".join(argument.metavar for argument in self._command.arguments)
        if "KEY" in metavars:
            return self._plain([Candidate(path) for path in self._param_paths()])
        if "FILE" in metavars:
            return Answer(Kind.FILES)
        return Answer(Kind.COMMAND, back=len(self._line.words) - 2 - place)

    def _flag_candidates(self) -> Iterator[Candidate]:
        """Yield the long spelling of every flag, or the short ones when nothing else can begin so."""
        for flag in self._command.flags:
            for name in flag.names:
                if name.startswith("--") or self._word == "-":
                    yield Candidate(name, flag.help)

    # -- values -----------------------------------------------------------------------------------------------------------

    def _argument(self, count: int) -> Answer:
        places = self._command.arguments
        if not places:
            return Answer()
        place = places[min(count, len(places) - 1)]
        if count >= len(places) and "…" not in place.metavar and "[B" not in place.metavar and "BAD" not in place.metavar:
            return Answer()
        if place.choices:
            return self._plain(map(Candidate, place.choices))
        metavar = place.metavar.partition(" [--")[0]
        if metavar.startswith("PATH ") and count < len(places):
            metavar = "PATH"  # the first of several words, and runs after it
        if "FILE" in metavar or metavar in ("PATH", "[PATH]"):
            return Answer(Kind.FILES)
        if "DIR" in metavar:
            return Answer(Kind.FOLDERS)
        if "TAG" in metavar:
            return self._tags("", "")
        if "RUN" in metavar or metavar.startswith(("[A", "GOOD")):
            return self._runs(self._word, "", ranges="RUN" not in metavar or ".." in metavar)
        return Answer()

    def _value(self, flag: Flag, text: str, before: str) -> Answer:
        """Return the values of a flag; `before` stands in front of the value within the word."""
        if flag.choices:
            several = flag.value == "WORDS"
            return self._plain(
                Candidate(before + word) for word in (self._listed(text, flag.choices) if several else flag.choices)
            )
        if "FILE" in flag.value:
            return Answer(Kind.FILES, fixed=len(before) + (text.rfind("=") + 1 if "=]" in flag.value else 0))
        if flag.value == "DIR":
            return Answer(Kind.FOLDERS, fixed=len(before))
        if flag.value == "RUN":
            return self._runs(text, before)
        values = _VALUES if "=" in flag.value else _VALUES | _NAMES
        for name in flag.names:
            if name in values:
                return values[name](self, text, before)
        return Answer()

    def _plain(self, candidates: Iterable[Candidate], *, open: bool = False) -> Answer:
        return Answer(candidates=tuple(candidates), open=open)

    def _runs(self, text: str, before: str, *, ranges: bool = False) -> Answer:
        if ranges and ".." in text:
            older, _, text = text.partition("..")
            before += f"{older}.."
        if text.startswith("best:"):
            minus = "-" if text.startswith("best:-") else ""
            return self._plain(Candidate(f"{before}best:{minus}{name}") for name in self._history.metrics())
        begin = "run:" if text.startswith("run:") else ""
        found = self._found(text.removeprefix("run:"))
        words = [] if begin or self._hidden else [Candidate(before + word) for word in self._selectors()]
        words.extend(Candidate(before + begin + value, description) for value, description in found)
        alone = [item.value for item in words if item.value.startswith(self._word)]
        return self._plain(words, open=alone == [f"{before}best:"])

    def _selectors(self) -> tuple[str, ...]:
        """Return the words that name a run without being its name; the work tree is no run that could be changed."""
        return (
            ("latest", "best:", "worktree") if self._line.names in (("show",), ("diff",), ("blame",)) else ("latest", "best:")
        )

    def _found(self, prefix: str) -> Iterator[tuple[str, str]]:
        deleted = self._hidden
        for run in self._history.named(prefix, deleted=deleted):
            if run.name and not run.name.startswith("-"):
                yield run.name, _described(run, run.id[:_SHOWN_LETTERS])
        for run in self._history.runs(prefix, deleted=deleted) if not prefix or re.fullmatch("[k-z]+", prefix) else ():
            shown = run.id if len(prefix) > _SHOWN_LETTERS else run.id[:_SHOWN_LETTERS]
            yield shown, _described(run, run.name or "")

    @property
    def _hidden(self) -> bool:
        return self._line.names == ("rm",) and "--undo" in self._line.words

    def _experiments(self, text: str, before: str) -> Answer:
        return self._named(self._history.experiments(), before)

    def _tags(self, text: str, before: str) -> Answer:
        return self._named(self._history.tags(), before)

    def _named(self, names: Iterable[str], before: str) -> Answer:
        """Return names that people gave; one that would be read as a flag is no help to anybody."""
        return self._plain(Candidate(before + name) for name in names if not name.startswith("-"))

    def _statuses(self, text: str, before: str) -> Answer:
        from gitparams.model import Status  # a third of a TAB's time

        return self._plain(Candidate(before + status) for status in (*Status, "broken"))

    def _rules(self, text: str, before: str) -> Answer:
        from gitparams.rules import RULES

        return self._plain(Candidate(before + name, rule.looks_for) for name, rule in RULES.items())

    def _assignments(self, text: str, before: str) -> Answer:
        """Return ``K=`` for ``-p``; ``+K`` adds one that no run may have, ``~K`` removes one."""
        sign = text[:1] if text[:1] in ("+", "~") else ""
        ending = "" if sign == "~" else "="
        return self._plain([Candidate(f"{before}{sign}{path}{ending}") for path in self._param_paths()], open=bool(ending))

    def _metric_assignments(self, text: str, before: str) -> Answer:
        return self._plain([Candidate(f"{before}{name}=") for name in self._history.metrics()], open=True)

    def _params(self, text: str, before: str) -> Answer:
        return self._named(self._param_paths(), before)

    def _metrics(self, text: str, before: str) -> Answer:
        return self._named(self._history.metrics(), before)

    def _sorted_by(self, text: str, before: str) -> Answer:
        sign = "-" if text.startswith("-") else ""
        return self._plain(Candidate(before + sign + key) for key in self._all_keys())

    def _keys(self, text: str, before: str) -> Answer:
        return self._plain(Candidate(before + key) for key in self._listed(text, self._all_keys()))

    def _columns(self, text: str, before: str) -> Answer:
        return self._plain(Candidate(before + key) for key in self._listed(text, ["all", "changed", *self._all_keys()]))

    def _listed(self, text: str, keys: Iterable[str]) -> Iterator[str]:
        """Yield keys for the last of several with commas between them."""
        earlier = text[: text.rfind(",") + 1]
        return (earlier + key for key in keys)

    def _expression(self, text: str, before: str) -> Answer:
        """Return the expression with its last name completed, every way it can be."""
        found = _WORD_OF_EXPRESSION.search(text)
        begun = text[: found.start()] if found else text
        if begun.count('"') % 2 or begun.count("'") % 2:
            return Answer()
        params = ["params" + _subscripts(keys) for keys in self._history.params()]
        metrics = ["metrics" + _subscripts((name,)) for name in self._history.metrics()]
        return self._plain([Candidate(before + begun + name) for name in (*params, *metrics, *_FIELDS)], open=True)

    def _all_keys(self) -> Iterator[str]:
        from gitparams.params import path_text

        yield from (f"metrics.{path_text((name,))}" for name in self._history.metrics())
        yield from (f"params.{path}" if path[:1] != "[" else f"params{path}" for path in self._param_paths())
        yield from _FIELDS

    def _param_paths(self) -> list[str]:
        from gitparams.params import path_text

        return [path_text(keys) for keys in self._history.params()]


_SHOWN_LETTERS = 8
_Values = Callable[[_Completion, str, str], Answer]
_VALUES: dict[str, _Values] = {
    "--experiment": _Completion._experiments,
    "--tag": _Completion._tags,
    "--status": _Completion._statuses,
    "--rule": _Completion._rules,
    "--param": _Completion._assignments,
    "--metric": _Completion._metric_assignments,
    "--sort": _Completion._sorted_by,
    "--columns": _Completion._columns,
    "--group-by": _Completion._keys,
    "--where": _Completion._expression,
}
# where the flag takes a name alone, and no value of it
_NAMES: dict[str, _Values] = {"--param": _Completion._params, "--metric": _Completion._metrics}


def _described(run: Seen, also: str) -> str:
    try:
        begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started))
    except (OverflowError, ValueError, OSError):  # a year that no clock of ours can show
        begun = ""
    return " ".join(filter(None, (begun, run.status if run.status != "completed" else "", also)))


def _subscripts(keys: Keys) -> str:
    """Return keys as a query writes them: ``.optim["lr-decay"]``."""
    return "".join(f".{key}" if key.isidentifier() else f"[{json.dumps(key, ensure_ascii=False)}]" for key in keys)
