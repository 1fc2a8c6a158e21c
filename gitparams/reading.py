"""Reading: the rules by which old runs are read under the names and in the units of today.

They stand in gitparams.yaml, versioned with the code, and are applied when a run is read. No run is ever rewritten::

    rules:
      - rename: {lr: optim.lr, model: net}              # a value, or a mapping with all that is in it
      - rename: {"opt_*": "optim.*"}                    # one `*` at the end of both: opt_beta is optim.beta
      - default: {optim.name: sgd}                      # for the runs that have no such key
        before: 2026-11-01                              # … and began earlier than this
      - scale: {time_s: {from: time_ms, by: 0.001}}     # another name and another unit
      - scale: {data.size: 1/1024}                      # another unit under the same name takes a bound
        before: v1.2
      - metrics: {rename: {acc: accuracy}, scale: {seconds: {from: ms, by: 0.001}}}
      - ignore: [host.*, run_name]                      # never a difference

``before`` bounds all that its rule says to runs that began earlier: than a date (midnight UTC, or ISO 8601 with a time), a
code revision, or a run. The name of a metric is one whole name, whatever dots are in it. ``by`` is a number or a fraction.

Rules apply as they are written: what an earlier one renames, a later one finds under its new name, and defaults come last.
No value is ever lost: where the new name is taken, what has it keeps it, the old value stays where it is, and a note says so.
Of several old names of one value the one that took fewer renames wins, then the one written first. A value is renamed below
its own name (``optimizer: optimizer.name``) where it is no mapping yet. Applied twice, rules do what they do when applied once.
Two things cannot be so, and take a bound: a unit that changes under one name, and a name that was given a second meaning. A
run without any params gets no defaults: nothing is known of it. An empty mapping is a value like any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn

from gitparams.errors import ParamsError, ParamsFileError
from gitparams.params import MISSING, get, leaves, path_keys, path_text, put
from gitparams.values import Value, encode_json

Keys = tuple[str, ...]
Number = int | float

_FILE = "gitparams.yaml"
_VERBS = ("rename", "default", "scale", "metrics", "ignore", "before")
_METRIC_VERBS = ("rename", "scale")
_SCALE_KEYS = ("from", "by")
_MEANING = 1  # raised when the same words come to mean something else: what was read by them is read anew
_QUOTED = re.compile(r'\["(?:[^"\\]|\\.)*"\]')
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_LONGEST_VALUE = 40


class _Pattern(NamedTuple):
    """A path in a rule: the keys it is about; `start` is how the next key begins where the path ends with ``*``."""

    text: str
    keys: Keys
    start: str | None = None

    def fits(self, keys: Keys) -> bool:
        """Tell whether a path is this one or below it."""
        depth = len(self.keys)
        if keys[:depth] != self.keys:
            return False
        return self.start is None or (len(keys) > depth and _begins(keys[depth], self.start))

    def covers(self, other: _Pattern) -> bool:
        """Tell whether every path that fits the other fits this one."""
        if len(other.keys) == len(self.keys) and self.start is not None and other.start is not None:
            return other.keys == self.keys and other.start.startswith(self.start)
        return self.fits(other.keys)

    def with_rest_of(self, other: _Pattern, keys: Keys) -> Keys:
        """Return a path that fits the other pattern as it is when this one stands in its place."""
        depth = len(other.keys)
        if self.start is None or other.start is None:
            return (*self.keys, *keys[depth:])
        return (*self.keys, self.start + keys[depth][len(other.start) :], *keys[depth + 1 :])


class _Factor(NamedTuple):
    """What a number is multiplied by: `over` / `under`, as it was written."""

    text: str
    over: Number
    under: Number


class _Move(NamedTuple):
    """A rename, a change of unit, or both. `order` is its place among all that is said, `rule` the rule that says it."""

    order: int
    rule: int
    old: _Pattern
    new: _Pattern
    by: _Factor | None
    before: str | None

    @property
    def in_place(self) -> bool:
        return self.old.keys == self.new.keys and self.old.start == self.new.start

    @property
    def deepens_a_value(self) -> bool:
        """Whether it gives a value a name below its present one, as in ``optimizer: optimizer.name``."""
        return self.old.start is None and not self.in_place and self.old.covers(self.new)

    def place_of(self, keys: Keys) -> Keys | None:
        """Return where the value of a path belongs; None when this is not about it."""
        if not self._is_about(keys):
            return None
        place = self.new.with_rest_of(self.old, keys)
        while not self.in_place and self._is_about(place):  # `config.*: "*"` takes config.config.lr to lr at once
            place = self.new.with_rest_of(self.old, place)
        return place

    def _is_about(self, keys: Keys) -> bool:
        if not self.old.fits(keys):
            return False
        if self.deepens_a_value:
            return keys == self.old.keys
        return self.in_place or not (self.old.covers(self.new) and self.new.fits(keys))


class _Default(NamedTuple):
    """The value of a key for runs that have none."""

    order: int
    keys: Keys
    value: Value
    before: str | None


class _Course(NamedTuple):
    """A leaf on its way: where it is, where it belongs, what it will be, and the moves that say so."""

    keys: Keys
    place: Keys
    value: Any
    moves: tuple[_Move, ...]

    def rank(self) -> tuple[int, int]:
        """Which goes first where several want one place."""
        return sum(not move.in_place for move in self.moves), self.moves[0].order

    @property
    def names(self) -> tuple[str, str]:
        """What a note calls it before and after: as the one rule has it, or by its paths."""
        first, *more = self.moves
        return (first.old.text, first.new.text) if not more else (path_text(self.keys), path_text(self.place))


@dataclass(frozen=True, slots=True)
class Applied:
    """A run's params and metrics as the rules read them.

    Attributes:
        params, metrics: the very objects that were given where no rule changed anything.
        notes: what was changed, and what could not be, one clause each.
        moved: the written path of a param as it was recorded → as it is read.
    """

    params: Mapping[str, Any]
    metrics: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)

    def path_now(self, path: str) -> str:
        """Return how a param that was recorded under a path is called now."""
        return self.moved.get(path, path)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one gitparams.yaml.

    Attributes:
        digest: a text that is equal when the rules say the same; empty when there are none. What is ignored does not count,
            for it changes no values.
        ignored: globs of keys that are never a difference.
        moves, metric_moves, defaults: what the rules say, in order.
        bounds: the moment that each ``before`` means.

    >>> rules = Rules.of([{"rename": {"lr": "optim.lr"}}, {"default": {"optim.name": "sgd"}}])
    >>> read = rules.applied_to({"lr": 0.1}, {"acc": 0.9}, datetime(2026, 11, 1, tzinfo=UTC))
    >>> read.params, read.notes
    ({'optim': {'lr': 0.1, 'name': 'sgd'}}, ('lr was renamed to optim.lr', 'optim.name is sgd by default'))
    """

    digest: str = ""
    ignored: tuple[str, ...] = ()
    moves: tuple[_Move, ...] = ()
    metric_moves: tuple[_Move, ...] = ()
    defaults: tuple[_Default, ...] = ()
    bounds: Mapping[str, datetime] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Any) -> Rules:
        """Return the rules that gitparams.yaml has under ``rules``; None there is no rule.

        Raises:
            ParamsFileError: a rule cannot be meant so; the message says which one, counted from 1.
        """
        if document is None:
            return cls()
        if not isinstance(document, list):
            raise ParamsFileError(_FILE, f"rules must be a list, not {document!r}.", hint="rules: [{rename: {lr: optim.lr}}]")
        reader = _Reader()
        for number, rule in enumerate(document, 1):
            reader.read(number, rule)
        return reader.rules(document)

    @classmethod
    def kept(cls, text: str) -> Rules:
        """Return the rules that `to_keep` wrote down, with their bounds."""
        if not text:
            return cls()
        kept = json.loads(text)
        bounds = {word: datetime.fromisoformat(moment) for word, moment in kept["bounds"].items()}
        return replace(cls.of(json.loads(kept["digest"])["rules"]), bounds=bounds)

    def to_keep(self) -> str:
        """Return a text from which `kept` makes rules that apply as these do; empty when they change nothing."""
        if self.is_empty:
            return ""
        return json.dumps({"digest": self.digest, "bounds": {word: time.isoformat() for word, time in self.bounds.items()}})

    @property
    def is_empty(self) -> bool:
        """Whether they change nothing in any run."""
        return not self.digest

    def bound(self, resolve: Callable[[str], datetime | None]) -> Rules:
        """Return the rules with every ``before`` known as a moment; dates are so already.

        Args:
            resolve: tells when the code of a revision was committed or a run began; None when a word names neither.

        Raises:
            ParamsFileError: a word names neither.
        """
        bounds = dict(self.bounds)
        for word in _bounds_of(self.moves, self.metric_moves, self.defaults):
            if word not in bounds:
                bounds[word] = _resolved(word, resolve)
        return replace(self, bounds=bounds)

    def applied_to(self, params: Mapping[str, Any], metrics: Mapping[str, Any], started: datetime) -> Applied:
        """Return how a run is read. Every bound must be known: see `bound`.

        Args:
            params: as they were recorded, nested.
            metrics: name → number, as they were recorded.
            started: when the run began, with its offset from UTC.
        """
        if self.is_empty:
            return Applied(params, metrics)
        notes: list[str] = []
        moves = [move for move in self.moves if self._concerns(move, started)]
        read, moved = _moved(params, moves, notes)
        defaults = [default for default in self.defaults if self._concerns(default, started)]
        if params:
            read = _filled(read, defaults, moves, notes)
        metric_moves = [move for move in self.metric_moves if self._concerns(move, started)]
        numbers, _ = _moved(metrics, metric_moves, notes, "metric ")
        return Applied(read, numbers, tuple(dict.fromkeys(notes)), moved)

    def _concerns(self, said: _Move | _Default, started: datetime) -> bool:
        return said.before is None or started.timestamp() < self.bounds[said.before].timestamp()


# -- what a rule says -----------------------------------------------------------------------------------------------------


class _Reader:
    """Reads the rules one by one."""

    def __init__(self) -> None:
        self.moves: list[_Move] = []
        self.metric_moves: list[_Move] = []
        self.defaults: list[_Default] = []
        self.ignored: list[str] = []
        self.order = 0
        self.number = 0
        self.before: str | None = None

    def rules(self, document: Sequence[Any]) -> Rules:
        """Return what was read."""
        changing = [said for rule in document if (said := {verb: rule[verb] for verb in rule if verb != "ignore"})]
        words = _bounds_of(self.moves, self.metric_moves, self.defaults)
        return Rules(
            digest=json.dumps({"meaning": _MEANING, "rules": changing}) if changing else "",
            ignored=tuple(dict.fromkeys(self.ignored)),
            moves=tuple(self.moves),
            metric_moves=tuple(self.metric_moves),
            defaults=tuple(self.defaults),
            bounds={word: moment for word in words if (moment := _date(word)) is not None},
        )

    def read(self, number: int, rule: Any) -> None:
        """Take in one rule."""
        self.number = number
        if not isinstance(rule, Mapping) or not rule:
            self._refuse(f"it must say one of {', '.join(_VERBS[:-1])}, not {rule!r}.", "- rename: {lr: optim.lr}")
        for verb in rule:
            self._check_word(verb, _VERBS, "no kind of rule")
        self.before = self._bound(rule)
        for verb, said in rule.items():
            match verb:
                case "rename":
                    self._renames(said, self.moves, self._path)
                case "scale":
                    self._scales(said, self.moves, self._path)
                case "default":
                    self._defaults(said)
                case "metrics":
                    self._metrics(said)
                case "ignore":
                    self._ignores(said)

    def _bound(self, rule: Mapping[str, Any]) -> str | None:
        if "before" not in rule:
            return None
        before = rule["before"]
        if not isinstance(before, str) or not before.strip():
            self._refuse(f"before must be a date, a code revision or a run, in quotes, not {before!r}.", "before: '2026-11-01'")
        if rule.keys() == {"before"}:
            self._refuse("it says when, and not what.", f"- rename: {{lr: optim.lr}}\n  before: {before}")
        if "ignore" in rule:
            self._refuse("what is ignored is ignored in every run: ignore takes no before.")
        return before

    def _renames(self, said: Any, moves: list[_Move], path: Callable[[Any, str], _Pattern]) -> None:
        for old, new in self._mapping(said, "rename", "{lr: optim.lr}"):
            self._move(moves, path(old, "rename"), path(new, f"rename.{old}"), None)

    def _scales(self, said: Any, moves: list[_Move], path: Callable[[Any, str], _Pattern]) -> None:
        for new, how in self._mapping(said, "scale", "{time_s: {from: time_ms, by: 0.001}}"):
            old, by = new, how
            if isinstance(how, Mapping):
                for word in how:
                    self._check_word(word, _SCALE_KEYS, f"no part of scale.{new}")
                if missing := [word for word in _SCALE_KEYS if word not in how]:
                    self._refuse(f"scale.{new} lacks {missing[0]}.", f"scale: {{{new}: {{from: time_ms, by: 0.001}}}}")
                old, by = how["from"], how["by"]
            self._move(moves, path(old, f"scale.{new}.from"), path(new, "scale"), self._factor(by, new))

    def _move(self, moves: list[_Move], old: _Pattern, new: _Pattern, by: _Factor | None) -> None:
        move = _Move(self.order, self.number, old, new, by, self.before)
        if (old.start is None) != (new.start is None):
            hint = f"{old.text.rstrip('*')}*: {new.text.rstrip('*')}*"
            self._refuse(f"{old.text!r} and {new.text!r} must both end with *, or neither.", hint)
        if move.in_place and by is None:
            self._refuse(f"{old.text} is renamed to itself.")
        if move.in_place and self.before is None:
            problem = f"scale.{new.text} changes a unit under one name, so it must say before when it changed."
            self._refuse(problem, f"- scale: {{{new.text}: {by.text if by else 1}}}\n  before: 2026-11-01")
        for earlier in moves:
            if earlier.before is None and _undoes_order(earlier, move):
                problem = f"it makes {new.text}, which rule {earlier.rule} renames already: write it before {earlier.old.text}"
                self._refuse(f"{problem}, or bound that by before.")
        moves.append(move)
        self.order += 1

    def _defaults(self, said: Any) -> None:
        for text, value in self._mapping(said, "default", "{optim.name: sgd}"):
            pattern = self._path(text, "default")
            if pattern.start is not None:
                self._refuse(f"default.{text} must name one key, without *.")
            below = list(leaves(value)) if isinstance(value, Mapping) and value else [((), value)]
            for keys, leaf in below:
                default = _Default(self.order, (*pattern.keys, *keys), leaf, self.before)
                self._check_name(default)
                self.defaults.append(default)
        self.order += 1

    def _check_name(self, default: _Default) -> None:
        for move in self.moves:
            place = move.place_of(default.keys)
            if place is not None and not move.in_place and move.before is None:
                name, now = path_text(default.keys), path_text(place)
                problem = f"default.{name} is a name that rule {move.rule} has renamed to {now}."
                self._refuse(problem, f"- default: {{{now}: {_shown(default.value)}}}")

    def _metrics(self, said: Any) -> None:
        for verb, what in self._mapping(said, "metrics", "{rename: {acc: accuracy}}"):
            if verb == "default":
                self._refuse("metrics have no default: what was not measured is not known.")
            self._check_word(verb, _METRIC_VERBS, "nothing that metrics can be told")
            (self._renames if verb == "rename" else self._scales)(what, self.metric_moves, self._metric)

    def _ignores(self, said: Any) -> None:
        globs = [said] if isinstance(said, str) else said
        if not isinstance(globs, list) or not globs or not all(isinstance(glob, str) and glob for glob in globs):
            self._refuse(f"ignore must be a list of keys or globs, not {said!r}.", "- ignore: [host.*, run_name]")
        self.ignored.extend(globs)

    def _path(self, text: Any, where: str) -> _Pattern:
        self._check_text(text, where)
        wild = text.endswith("*")
        try:
            keys = path_keys(text)
        except ParamsError as error:
            self._refuse(f"{where}: {error.message}", error.hint)
        if "*" in _QUOTED.sub("", text[:-1] if wild else text):
            self._refuse(f"{where}: a * can only stand at the end, not as in {text!r}.", '{"opt_*": "optim.*"}')
        return _Pattern(text, keys[:-1], keys[-1][:-1]) if wild else _Pattern(text, keys)

    def _metric(self, text: Any, where: str) -> _Pattern:
        self._check_text(text, f"metrics.{where}")
        return _Pattern(text, (), text[:-1]) if text.endswith("*") else _Pattern(text, (text,))

    def _factor(self, by: Any, new: str) -> _Factor:
        over, slash, under = by.partition("/") if isinstance(by, str) else (by, "", 1)
        factor = _Factor(str(by), _number(over), _number(under) if slash else 1)
        if not (_usable(factor.over) and _usable(factor.under)):
            self._refuse(f"scale.{new} must be multiplied by a number other than 0, not {by!r}.", f"scale: {{{new}: 1/1024}}")
        return factor

    def _mapping(self, said: Any, verb: str, example: str) -> Iterable[tuple[Any, Any]]:
        if not isinstance(said, Mapping) or not said:
            self._refuse(f"{verb} must be a mapping, not {said!r}.", f"- {verb}: {example}")
        return said.items()

    def _check_text(self, text: Any, where: str) -> None:
        if not isinstance(text, str) or not text:
            self._refuse(f"{where} must be a key, not {text!r}.", "- rename: {lr: optim.lr}")

    def _check_word(self, word: Any, known: Sequence[str], what: str) -> None:
        if word in known:
            return
        import difflib

        near = difflib.get_close_matches(str(word), known, n=1)
        self._refuse(f"{word!r} is {what}" + (f"; did you mean {near[0]}?" if near else "."), f"one of {', '.join(known)}")

    def _refuse(self, problem: str, hint: str | None = None) -> NoReturn:
        raise ParamsFileError(_FILE, f"rule {self.number}: {problem}", hint=hint)


def _bounds_of(*groups: Iterable[_Move | _Default]) -> Iterator[str]:
    return (said.before for group in groups for said in group if said.before is not None)


def _undoes_order(earlier: _Move, later: _Move) -> bool:
    """Tell whether the later move makes names that the earlier one renames: read once more, they would go on."""
    if earlier.in_place or later.in_place:
        return False
    if earlier.old.covers(earlier.new) and earlier.new.covers(later.new):
        return False
    if earlier.deepens_a_value:
        return later.new.covers(earlier.old)
    return earlier.old.covers(later.new) or later.new.covers(earlier.old)


def _begins(key: str, start: str) -> bool:
    return len(key) > len(start) and key.startswith(start)


def _number(word: Any) -> Number:
    if isinstance(word, bool):
        return 0
    if isinstance(word, int | float):
        return word
    try:
        return int(word)
    except (ValueError, TypeError):
        pass
    try:
        return float(word)
    except (ValueError, TypeError):
        return 0


def _usable(number: Number) -> bool:
    return number == number and number not in (0, float("inf"), float("-inf"))


def _date(word: str) -> datetime | None:
    if not _DATE.match(word):
        return None
    try:
        moment = datetime.fromisoformat(word)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _resolved(word: str, resolve: Callable[[str], datetime | None]) -> datetime:
    moment = resolve(word)
    if moment is None:
        problem = f"before: {word!r} in the rules is neither a date nor a code revision or run of this repository."
        raise ParamsFileError(_FILE, problem, hint="git fetch --tags, or write a date: before: 2026-11-01")
    return moment


# -- a run read by them ---------------------------------------------------------------------------------------------------


def _moved(
    tree: Mapping[str, Any], moves: Sequence[_Move], notes: list[str], kind: str = ""
) -> tuple[Mapping[str, Any], dict[str, str]]:
    """Return the tree with every leaf where it belongs and is let, and the written paths of those that moved.

    Leaves move one at a time, each only to a place that is free at that moment. So none can be lost, and where no more can
    move, reading once more moves none.
    """
    waiting = sorted(_courses(tree, moves, notes, kind), key=_Course.rank)
    if not waiting:
        return tree, {}
    result = _copied(tree)
    settled: list[_Course] = []
    going = True
    while going:
        tried = [(course, _settle(result, course)) for course in waiting]
        settled += [course for course, went in tried if went]
        waiting = [course for course, went in tried if not went]
        going = len(waiting) < len(tried)
    notes.extend(kind + _done(course) for course in sorted(settled, key=lambda course: course.moves[0].order))
    notes.extend(kind + _left(course, result) for course in waiting)
    moved = {path_text(course.keys): path_text(course.place) for course in settled if course.place != course.keys}
    return _sorted(result), moved


def _courses(tree: Mapping[str, Any], moves: Sequence[_Move], notes: list[str], kind: str) -> Iterator[_Course]:
    names = {move.old.keys[0] for move in moves if move.old.keys}
    starts = tuple(move.old.start or "" for move in moves if not move.old.keys)
    concerned = {key: value for key, value in tree.items() if key in names or key.startswith(starts)}
    for keys, leaf in leaves(concerned):
        place, used = _course(keys, moves)
        if not used:
            continue
        course = _Course(keys, place, _multiplied(leaf, used), used)
        if course.value is MISSING:
            notes.append(f"{kind}{_done(course, 'was not')}: its value cannot be multiplied")
        elif place != keys or course.value is not leaf:
            yield course


def _course(keys: Keys, moves: Iterable[_Move]) -> tuple[Keys, tuple[_Move, ...]]:
    """Return where the value of a path belongs, and the moves that say so."""
    used = []
    for move in moves:
        place = move.place_of(keys)
        if place is not None:
            keys = place
            used.append(move)
    return keys, tuple(used)


def _settle(tree: dict[str, Any], course: _Course) -> bool:
    """Put one leaf in its place; False, and nothing done, while that is taken."""
    if course.place != course.keys:
        if _blocker(tree, course) is not None:
            return False
        _take(tree, course.keys)
    put(tree, course.place, course.value)
    return True


def _done(course: _Course, was: str = "was") -> str:
    """Say what becomes of a leaf; leaves that one rule moves together share the words."""
    old, new = course.names
    changes = [f"renamed to {new}"] if course.place != course.keys else []
    changes += [f"multiplied by {move.by.text}" for move in course.moves if move.by]
    return f"{old} {was} {' and '.join(changes)}"


def _left(course: _Course, tree: Mapping[str, Any]) -> str:
    """Say why a leaf stays where it is."""
    taken = path_text(_blocker(tree, course) or course.place)
    return f"{path_text(course.keys)} was not renamed to {path_text(course.place)}: the run has {taken} already"


def _blocker(tree: Mapping[str, Any], course: _Course) -> Keys | None:
    """Return what keeps a leaf from its place: a value on the way, or whatever is there; None when the place is free."""
    place, mover = course.place, course.keys
    node: Any = tree
    for depth, key in enumerate(place, 1):
        if key not in node:
            return None
        node = node[key]
        if not isinstance(node, dict) or not node:
            return None if place[:depth] == mover else place[:depth]
    alone = mover[: len(place)] == place and all(len(get(tree, mover[:depth])) == 1 for depth in range(len(place), len(mover)))
    return None if alone else place


def _take(tree: dict[str, Any], keys: Keys) -> None:
    """Take a leaf out, and the mappings that are empty without it."""
    above = [tree]
    for key in keys[:-1]:
        above.append(above[-1][key])
    for mapping, key in zip(reversed(above), reversed(keys), strict=True):
        del mapping[key]
        if mapping:
            return


def _filled(
    tree: Mapping[str, Any], defaults: Sequence[_Default], moves: Sequence[_Move], notes: list[str]
) -> Mapping[str, Any]:
    result: dict[str, Any] | None = None
    for default in defaults:
        place, value = _default_now(default, moves)
        if get(result or tree, place) is not MISSING:
            continue
        if taken := _value_above(result or tree, place):
            notes.append(f"{path_text(place)} got no default: {path_text(taken)} is a value")
            continue
        result = result or _copied(tree)
        put(result, place, value)
        notes.append(f"{path_text(place)} is {_shown(value)} by default")
    return tree if result is None else _sorted(result)


def _default_now(default: _Default, moves: Sequence[_Move]) -> tuple[Keys, Value]:
    """Return a default as the moves that were written after it read it."""
    place, used = _course(default.keys, (move for move in moves if move.order >= default.order))
    value = _multiplied(default.value, used)
    return place, default.value if value is MISSING else value


def _value_above(tree: Mapping[str, Any], place: Keys) -> Keys | None:
    for depth in range(1, len(place)):
        found = get(tree, place[:depth])
        if found is MISSING:
            return None
        if not isinstance(found, dict) or not found:
            return place[:depth]
    return None


def _multiplied(value: Any, moves: Iterable[_Move]) -> Any:
    for move in moves:
        if move.by and value is not None and value is not MISSING:  # nothing is nothing in every unit
            value = _times(value, move.by)
    return value


def _times(value: Any, by: _Factor) -> Any:
    """Return a number times a factor, as exactly as decimals go, or `MISSING` for what cannot be multiplied.

    In binary 0.07 × 100 is 7.000000000000001, which would differ from the 7.0 of a run that was recorded in the new unit.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return MISSING
    if value != value or value in (float("inf"), float("-inf")):
        return value * by.over / by.under
    if isinstance(value, int) and isinstance(by.over, int) and by.under == 1:
        return value * by.over
    from decimal import Context, Decimal

    context = Context(prec=50, traps=[])
    product = context.multiply(_decimal(value, Decimal), _decimal(by.over, Decimal))
    number = float(context.divide(product, _decimal(by.under, Decimal)))
    return number if abs(number) != float("inf") else MISSING


def _decimal(number: Number, kind: Any) -> Any:
    return kind(number) if isinstance(number, int) else kind(repr(number))


def _copied(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, dict) else value for key, value in tree.items()}


def _sorted(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a tree in the order of params.json, so that equal params make equal texts."""
    return {key: _sorted(value) if isinstance(value, dict) else value for key, value in sorted(tree.items())}


def _shown(value: Value) -> str:
    text = value if isinstance(value, str) and value else encode_json(value, indent=None).decode("utf-8", "replace")
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
