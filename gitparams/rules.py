"""Rules: what `gitparams check` looks for, how much each thing weighs, and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitparams.errors import ParamsFileError, UsageError
from gitparams.settings import FILE, Settings

OFF, WARN, ERROR = "off", "warn", "error"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is looked for.

    Attributes:
        looks_for: what, in one clause.
        level: ``off``, ``warn`` or ``error`` where gitparams.yaml says nothing.
    """

    looks_for: str
    level: str = WARN


RULES: Mapping[str, Rule] = {
    "unreadable-file": Rule("a file of params that is missing, malformed, too large or not UTF-8", ERROR),
    "secret": Rule("a secret in a file of params, or in a .env file that git tracks", ERROR),
    "numeric-text": Rule("YAML that looks like a number and is read as text, such as 1e-3"),
    "quoted-number": Rule("a number in quotes, which is text", OFF),
    "yaml-word": Rule("YAML that is read as what it does not look like: on, no, 017, 12:30, dates, 1_000"),
    "method-name": Rule("a key such as items or copy, which attribute access does not reach"),
    "missing-seed": Rule("neither the declared params nor the latest run has a seed"),
    "dirty-tree": Rule("tracked files or submodules with uncommitted changes"),
    "untracked-params": Rule("a declared file of params that git does not track"),
    "duplicate-run": Rule("a completed run had exactly the declared params and the same code"),
    "never-read": Rule("a declared param that the latest completed run never read"),
    "disputed": Rule("a param of the latest run about which two sources disagree"),
    "drift": Rule("a param that changed while the latest run ran"),
}
"""What is looked for, in the order in which it is listed."""

FILE_RULES = frozenset({"unreadable-file", "secret", "numeric-text", "quoted-number", "yaml-word", "method-name"})
"""The rules that a file alone can break."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule has found.

    Attributes:
        rule: one of `RULES`.
        level: ``warn`` or ``error``.
        message: one clause that names it, without a secret's value.
        file, line, column: where, as far as it is known; lines and columns count from 1.
        key: the written path of the param, where it is about one.
        hint: the next step, where there is one.
    """

    rule: str
    level: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    key: str | None = None
    hint: str | None = None

    @classmethod
    def by(
        cls,
        rule: str,
        message: str,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        key: str | None = None,
        hint: str | None = None,
    ) -> Finding:
        """Return what a rule has found, at the level that the rule has by itself."""
        return cls(rule, RULES[rule].level, message, file, line, column, key, hint)


@dataclass(frozen=True, slots=True)
class Report:
    """What a check has found.

    Attributes:
        findings: by file, line and rule; those without a file come last.
        files: how many files were looked at.
    """

    findings: tuple[Finding, ...] = ()
    files: int = 0

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.level == ERROR for finding in self.findings)

    @property
    def warnings(self) -> int:
        """How many findings are warnings."""
        return len(self.findings) - self.errors


def stops(findings: Iterable[Finding], settings: Settings) -> list[Finding]:
    """Return the findings that stop a run: those of a rule that gitparams.yaml itself makes an error.

    >>> finding = Finding("secret", "error", "password holds a secret, by its name")
    >>> stops([finding], Settings()), len(stops([finding], Settings(check={"secret": "error"})))
    ([], 1)
    """
    return [finding for finding in findings if settings.check.get(finding.rule) == ERROR]


def levels(settings: Settings, rules: Sequence[str] = ()) -> dict[str, str]:
    """Return rule → ``warn`` or ``error`` for the rules that are followed.

    Args:
        settings: what gitparams.yaml says of them.
        rules: the only ones to follow; one that is off warns then. All when empty.

    Raises:
        ParamsFileError: gitparams.yaml names a rule that there is none of. UsageError: `rules` does.

    >>> levels(Settings(check={"drift": "error"}), ["drift", "quoted-number"])
    {'quoted-number': 'warn', 'drift': 'error'}
    """
    for rule in settings.check:
        if rule not in RULES:
            raise ParamsFileError(FILE, f"check.{rule} is no rule{_meant(rule)}", hint="gitparams check --rules")
    for rule in rules:
        if rule not in RULES:
            raise UsageError(f"There is no rule {rule!r}{_meant(rule)}", hint="gitparams check --rules")
    said = {name: settings.check.get(name, rule.level) for name, rule in RULES.items()}
    if rules:
        return {name: WARN if level == OFF else level for name, level in said.items() if name in rules}
    return {name: level for name, level in said.items() if level != OFF}


def _meant(rule: str) -> str:
    import difflib

    near = difflib.get_close_matches(rule, RULES, n=1)
    return f"; did you mean {near[0]}?" if near else "."


def order(finding: Finding) -> tuple[Any, ...]:
    """Return what findings are sorted by: file, line and rule; those without a file come last."""
    place = (finding.file is None, finding.file or "", finding.line or 0)
    return (*place, finding.rule, finding.column or 0, finding.key or "", finding.message)
