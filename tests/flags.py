"""The table of flags in `gitparams/cli/flags.py`, made from what Typer knows of every command.

``python tests/flags.py`` writes it anew; `tests/test_completion.py` compares.
"""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import typer

FILE = Path(__file__).resolve().parent.parent / "gitparams" / "cli" / "flags.py"
HEAD = '''"""Flags: what every command takes, so that a line is completed without loading its command.

Made by ``python tests/flags.py`` from the commands themselves; do not edit.
"""

from __future__ import annotations

from gitparams.completion import Argument, Command, Flag

COMMANDS = {
'''
# "completed, failed, interrupted or pruned" at the end of a help, or before what else it says
CHOICES = re.compile(r"(?:^|: )([a-z-]+(?:, [a-z-]+)*(?:,| or) [a-z-]+)(?:$|;)|: ([a-z]+)$")


def table():
    """Return the module's text."""
    from gitparams.cli import COMMANDS

    lines = []
    for name, (module, text) in COMMANDS.items():
        command = typer.main.get_command(import_module(f"gitparams.cli.{module}").app)
        lines.append(f"    {name!r}: {shown(command, text)},\n")
    text = HEAD + "".join(lines) + "}\n"
    words = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(FILE), "-"]
    return subprocess.run(words, input=text, stdout=subprocess.PIPE, text=True, check=True, cwd=FILE.parent).stdout


def shown(command, text):
    parts = [repr(text)]
    places = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    if places:
        parts.append(f"arguments=({' '.join(argument(place) + ',' for place in places)})")
    flags = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    if flags:
        parts.append(f"flags=({' '.join(flag(parameter) + ',' for parameter in flags)})")
    if getattr(command, "commands", None):
        inner = (f"{name!r}: {shown(sub, first_sentence(sub.help))}," for name, sub in command.commands.items())
        parts.append(f"commands={{{' '.join(inner)}}}")
    return f"Command({', '.join(parts)})"


def argument(parameter):
    choices = listed(parameter.help)
    return f"Argument({parameter.metavar or parameter.name.upper()!r}{f', {choices!r}' if choices else ''})"


def flag(parameter):
    value = "" if parameter.is_flag else parameter.metavar or parameter.name.upper()
    parts = [(*parameter.opts, *parameter.secondary_opts), value, parameter.help or "", listed(parameter.help)]
    while not parts[-1]:
        parts.pop()
    return f"Flag({', '.join(map(repr, parts))})"


def listed(text):
    found = CHOICES.search(text or "")
    return tuple(re.split(r", | or ", found[1] or found[2])) if found else ()


def first_sentence(text):
    return re.split(r"[.;](?:\s|$)", text)[0]


if __name__ == "__main__":
    FILE.write_text(table(), "utf-8")
