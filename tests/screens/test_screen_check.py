from __future__ import annotations

import pytest

from gitparams.rules import RULES, Finding, Report, levels
from gitparams.screens.check import render, render_rules, report_document, rules_document
from gitparams.screens.terminal import Terminal, cell_width
from gitparams.settings import Settings

TRAP = "optim.lr is the text '1e-3': YAML 1.1 wants a dot in the number and a sign in the exponent; write 1.0e-3"
FINDINGS = (
    Finding("unreadable-file", "error", "it is not YAML: did not find expected ',' or ']'", "conf/bad.yaml", 2, 1),
    Finding("numeric-text", "warn", TRAP, "conf/train.yaml", 3, 7, "optim.lr"),
    Finding("method-name", "warn", "items is no attribute", "conf/train.yaml", 4, key="items", hint='params["items"]'),
    Finding("untracked-params", "warn", "git does not track it", "local.yaml", hint="git add local.yaml"),
    Finding("dirty-tree", "warn", "2 tracked files have uncommitted changes: a.py, b.py", hint="git commit -a"),
    Finding("drift", "warn", "lr changed from 0.1 to 0.01 while run kkmpptxz ran", key="lr"),
)
REPORT = Report(FINDINGS, 3)


def screen(width: int, report: Report = REPORT, *, colour: bool = False, utf8: bool = True) -> str:
    return "\n" + render(report, Terminal(width, colour, utf8)) + "\n"


def test_findings_are_lines_as_compilers_write_them_and_long_ones_wrap() -> None:
    assert (
        screen(80)
        == """
conf/bad.yaml:2:1: error: it is not YAML: did not find expected ',' or ']'
    (unreadable-file)
conf/train.yaml:3:7: warn: optim.lr is the text '1e-3': YAML 1.1 wants a dot in
    the number and a sign in the exponent; write 1.0e-3 (numeric-text)
conf/train.yaml:4: warn: items is no attribute (method-name)
    hint: params["items"]
local.yaml: warn: git does not track it (untracked-params)
    hint: git add local.yaml
warn: 2 tracked files have uncommitted changes: a.py, b.py (dirty-tree)
    hint: git commit -a
warn: lr changed from 0.1 to 0.01 while run kkmpptxz ran (drift)
1 error, 5 warnings in 3 files
"""
    )


def test_a_wide_screen_wraps_less() -> None:
    assert (
        screen(120)
        == """
conf/bad.yaml:2:1: error: it is not YAML: did not find expected ',' or ']' (unreadable-file)
conf/train.yaml:3:7: warn: optim.lr is the text '1e-3': YAML 1.1 wants a dot in the number and a sign in the exponent;
    write 1.0e-3 (numeric-text)
conf/train.yaml:4: warn: items is no attribute (method-name)
    hint: params["items"]
local.yaml: warn: git does not track it (untracked-params)
    hint: git add local.yaml
warn: 2 tracked files have uncommitted changes: a.py, b.py (dirty-tree)
    hint: git commit -a
warn: lr changed from 0.1 to 0.01 while run kkmpptxz ran (drift)
1 error, 5 warnings in 3 files
"""
    )


def test_a_narrow_screen_gives_a_long_place_a_line_of_its_own() -> None:
    assert (
        screen(40, Report(FINDINGS[:1], 1))
        == """
conf/bad.yaml:2:1:
    error: it is not YAML: did not find
    expected ',' or ']'
    (unreadable-file)
1 error in 1 file
"""
    )


@pytest.mark.parametrize("width", [30, 40, 80, 120])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    assert max(map(cell_width, screen(width).splitlines())) <= width


def test_levels_have_colours_and_rules_and_hints_are_quiet() -> None:
    two = Report((FINDINGS[0], FINDINGS[4]), 1)
    assert (
        screen(120, two, colour=True)
        == """
conf/bad.yaml:2:1: \x1b[31merror\x1b[0m: it is not YAML: did not find expected ',' or ']' \x1b[2m(unreadable-file)\x1b[0m
\x1b[33mwarn\x1b[0m: 2 tracked files have uncommitted changes: a.py, b.py \x1b[2m(dirty-tree)\x1b[0m
    \x1b[2mhint: git commit -a\x1b[0m
1 error, 1 warning in 1 file
"""
    )


def test_text_from_outside_cannot_command_the_terminal() -> None:
    odd = Finding("drift", "warn", "l\x1b[31mr changed", "a\nb.yaml", hint="rm \x07é")
    assert (
        screen(80, Report((odd,), 1), utf8=False)
        == """
a\\nb.yaml: warn: l\\x1b[31mr changed (drift)
    hint: rm \\x07\\xe9
1 warning in 1 file
"""
    )


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (Report((), 0), "Nothing to say."),
        (Report((), 1), "1 file, nothing to say."),
        (Report((), 5), "5 files, nothing to say."),
        (Report(FINDINGS[:1] * 2, 4), "2 errors in 4 files"),
        (Report(FINDINGS[4:5], 0), "1 warning"),
    ],
)
def test_the_last_line_counts(report: Report, line: str) -> None:
    assert screen(80, report).splitlines()[-1] == line


def test_the_rules_are_listed_with_their_levels() -> None:
    chosen = levels(Settings(check={"drift": "error", "dirty-tree": "off"}))
    assert (
        "\n" + render_rules(chosen, Terminal(80)) + "\n"
        == """
unreadable-file   error  a file of params that is missing, malformed, too large
                         or not UTF-8
secret            error  a secret in a file of params, or in a .env file that
                         git tracks
numeric-text      warn   YAML that looks like a number and is read as text, such
                         as 1e-3
quoted-number     off    a number in quotes, which is text
yaml-word         warn   YAML that is read as what it does not look like: on,
                         no, 017, 12:30, dates, 1_000
method-name       warn   a key such as items or copy, which attribute access
                         does not reach
missing-seed      warn   neither the declared params nor the latest run has a
                         seed
dirty-tree        off    tracked files or submodules with uncommitted changes
untracked-params  warn   a declared file of params that git does not track
duplicate-run     warn   a completed run had exactly the declared params and the
                         same code
never-read        warn   a declared param that the latest completed run never
                         read
disputed          warn   a param of the latest run about which two sources
                         disagree
drift             error  a param that changed while the latest run ran
"""
    )


def test_on_a_wide_screen_each_rule_is_one_line() -> None:
    lines = render_rules({"secret": "error"}, Terminal(120, colour=True)).splitlines()
    assert len(lines) == len(RULES)
    assert lines[:2] == [
        "unreadable-file   \x1b[2moff\x1b[0m    a file of params that is missing, malformed, too large or not UTF-8",
        "secret            \x1b[31merror\x1b[0m  a secret in a file of params, or in a .env file that git tracks",
    ]


def test_the_documents_hold_what_the_screens_show() -> None:
    assert report_document(Report(FINDINGS[2:3], 1)) == {
        "findings": [
            {
                "rule": "method-name",
                "level": "warn",
                "message": "items is no attribute",
                "file": "conf/train.yaml",
                "line": 4,
                "column": None,
                "key": "items",
                "hint": 'params["items"]',
            }
        ],
        "errors": 0,
        "warnings": 1,
        "files": 1,
    }
    assert rules_document({"drift": "error"})["rules"][-2:] == [
        {"rule": "disputed", "level": "off", "looks_for": "a param of the latest run about which two sources disagree"},
        {"rule": "drift", "level": "error", "looks_for": "a param that changed while the latest run ran"},
    ]
