"""click: what `Command.parse_args` put into the context, of click itself and of the one that Typer brings along."""

import os
import sys
from weakref import WeakKeyDictionary

import _gitparams_capture as capture

_LIBRARIES = ("click", "typer", "rich_click", "cloup", "asyncclick")


def hang(module):
    """Look at contexts; groups and commands all go through this method, one after the other."""
    capture.surround(module.Command, "parse_args", _look)


def _look(result, command, args, kwargs):
    context = args[0] if args else kwargs["ctx"]
    if context.resilient_parsing:
        return  # the shell asks how a word may go on
    root = context.find_root()
    if root not in _calls:
        words = args[1] if len(args) > 1 else None
        _calls[root] = _Call(words if words or len(sys.argv) > 1 else None)
    call = _calls[root]
    who = capture.whose("click", None, _LIBRARIES, call.words, getattr(command, "callback", None))
    if who is None:
        return
    values, origins = call.take(context, command)
    if values or not _is_group(command):
        capture.tell_params(who, "click", values, origins, context.args)


_calls = WeakKeyDictionary()
"""The outermost context of each command line → what is known of that."""


class _Call:
    """One command line: a command, or groups and the commands below them.

    Attributes:
        words: the words of it; None for those of the program.
        taken: names that have a value at the top level.
        commands: the commands so far; several where a group chains them.
    """

    def __init__(self, words):
        self.words, self.taken, self.commands = words, set(), []

    def take(self, context, command):
        """Return the values of a command and their origins. A name that a group has taken stands below the command."""
        declared = {param.name: param for param in command.params}
        values, origins = {}, {}
        for name, value in context.params.items():
            clash = name in self.taken
            (values.setdefault(context.info_name, {}) if clash else values)[name] = value
            path = _path_text((context.info_name, name) if clash else (name,))
            origins[path] = _origin(context, declared.get(name), name, value)
        self.taken.update(context.params)
        if context.parent is not None and not _is_group(command):
            self.commands.append(context.command_path.partition(" ")[2])
            if "command" not in self.taken:
                values["command"] = " ".join(self.commands)
                origins["command"] = ("cli", "command")
        return values, origins


def _is_group(command):
    return hasattr(command, "list_commands")


def _path_text(keys):
    return capture.load("paths.py", "_gitparams_paths").path_text(keys)


def _origin(context, param, name, value):
    """Return where a value is from, as click knows it from version 8 on; before, what is no default was given."""
    if param is None:
        return ("code", None)
    ask = getattr(context, "get_parameter_source", None)
    source = ask(name) if ask is not None else None
    word = source.name if source is not None else "DEFAULT" if value == param.default else "COMMANDLINE"
    if word == "ENVIRONMENT":
        return ("env", _variable(context, param))
    if word in ("COMMANDLINE", "PROMPT"):
        return ("cli" if word == "COMMANDLINE" else "prompt", _option(param))
    return ("default", context.command_path if word == "DEFAULT" else "default_map")


def _option(param):
    """Return the longest option of a param, or the name of an argument."""
    options = [option for option in param.opts if not option.isidentifier()]
    return max(options, key=len) if options else param.name


def _variable(context, param):
    names = param.envvar or ()
    for name in (names,) if isinstance(names, str) else names:
        if os.environ.get(name):
            return name
    return "%s_%s" % (context.auto_envvar_prefix, param.name.upper())
