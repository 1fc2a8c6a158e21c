"""Check: what `gitparams check` has found, in lines as compilers write them, and the rules that it follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitparams.rules import ERROR, OFF, RULES, Finding, Report
from gitparams.screens.terminal import Terminal, cell_width

_INDENT = 4
_LEAST_ROOM = 24


def render(report: Report, terminal: Terminal) -> str:
    """Return what was found: a line for each finding, longer ones wrapped, and how many there are.

    >>> print(render(Report((Finding("drift", "warn", "lr changed from 1 to 2 while run kkmpptxz ran"),), 3), Terminal()))
    warn: lr changed from 1 to 2 while run kkmpptxz ran (drift)
    1 warning in 3 files
    """
    lines = [line for finding in report.findings for line in _finding_lines(finding, terminal)]
    return "\n".join([*lines, _summary(report)])


def render_rules(levels: Mapping[str, str], terminal: Terminal) -> str:
    """Return the rules with their levels; those that `levels` leaves out are off.

    >>> print(render_rules({"drift": "error"}, Terminal()).splitlines()[-1])
    drift             error  a param that changed while the latest run ran
    """
    width = max(map(len, RULES)) + 2
    return "\n".join(line for name in RULES for line in _rule_lines(name, levels.get(name, OFF), width, terminal))


def report_document(report: Report) -> dict[str, Any]:
    """Return the document of a report, for ``check --json``."""
    fields = ("rule", "level", "message", "file", "line", "column", "key", "hint")
    findings = [{name: getattr(finding, name) for name in fields} for finding in report.findings]
    return {"findings": findings, "errors": report.errors, "warnings": report.warnings, "files": report.files}


def rules_document(levels: Mapping[str, str]) -> dict[str, Any]:
    """Return the document of the rules, for ``check --rules --json``."""
    return {
        "rules": [{"rule": name, "level": levels.get(name, OFF), "looks_for": rule.looks_for} for name, rule in RULES.items()]
    }


def _finding_lines(finding: Finding, terminal: Terminal) -> Iterator[str]:
    place = terminal.safe(_place(finding))
    lead = f"{place}: " if place else ""
    if cell_width(lead) + len(finding.level) + _LEAST_ROOM > terminal.width and place:
        yield from terminal.wrapped(f"{place}:", terminal.width)
        lead = " " * _INDENT
    head = cell_width(lead) + len(f"{finding.level}: ")
    level = terminal.red(finding.level) if finding.level == ERROR else terminal.yellow(finding.level)
    rule = f"({finding.rule})"
    # the first line is as wide as the others with their indent, and begins with the head
    text = f"{'x' * (head - _INDENT - 1)} {terminal.safe(finding.message)} {rule}"
    first, *others = terminal.wrapped(text, max(terminal.width - _INDENT, _LEAST_ROOM))
    lines = [f"{lead}{level}: {first[head - _INDENT :]}", *(" " * _INDENT + line for line in others)]
    lines[-1] = lines[-1].removesuffix(rule) + terminal.dim(rule) if lines[-1].endswith(rule) else lines[-1]
    yield from lines
    if finding.hint:
        for line in terminal.wrapped(f"hint: {terminal.safe(finding.hint)}", max(terminal.width - _INDENT, _LEAST_ROOM)):
            yield " " * _INDENT + terminal.dim(line)


def _place(finding: Finding) -> str:
    return ":".join(str(part) for part in (finding.file, finding.line, finding.column) if part is not None)


def _summary(report: Report) -> str:
    files = _count(report.files, "file")
    if not report.findings:
        return f"{files}, nothing to say." if report.files else "Nothing to say."
    counts = [_count(report.errors, "error"), _count(report.warnings, "warning")]
    said = ", ".join(count for count in counts if not count.startswith("0 "))
    return f"{said} in {files}" if report.files else said


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _rule_lines(name: str, level: str, width: int, terminal: Terminal) -> Iterator[str]:
    styles = {ERROR: terminal.red, OFF: terminal.dim}
    before = f"{name:<{width}}{styles.get(level, terminal.yellow)(level)}{' ' * (7 - len(level))}"
    room = max(terminal.width - width - 7, _LEAST_ROOM)
    for place, line in enumerate(terminal.wrapped(RULES[name].looks_for, room)):
        yield f"{before if place == 0 else ' ' * (width + 7)}{line}"
