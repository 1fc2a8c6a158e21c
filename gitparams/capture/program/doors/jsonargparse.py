"""What jsonargparse resolved: the nested config of `parse_args`, before classes are made or functions called of it."""

import os
import sys

import _gitparams_capture as capture

_paths = capture.load("paths.py", "_gitparams_paths")
_lines = capture.load("../lines.py", "_gitparams_lines")
_views = capture.load("views.py", "_gitparams_views")


def hang(module):
    """Look at what `ArgumentParser.parse_args` returned; `auto_cli` and Lightning's command line call it, too."""
    capture.surround(module.ArgumentParser, "parse_args", _look)


def _look(config, parser, args, kwargs):
    words = args[0] if args else kwargs.get("args")
    who = capture.whose("jsonargparse", parser, ("jsonargparse", "argparse", "lightning", "pytorch_lightning"), words)
    if who is None:
        return
    values = _Values(config, parser)
    origins = _origins(capture.plain(values), parser, list(sys.argv[1:] if words is None else words))
    capture.tell_params(who, "jsonargparse", values, origins, watched=values)


class _Values(_views.View):
    """A config as it is at the moment, without the files that it was read from."""

    def __init__(self, config, parser):
        self.config, self.unseen = config, set(_config_options(parser))

    def seen(self):
        return _without(self.config.as_dict(), self.unseen)


def _without(values, unseen, above=""):
    """Return nested values without the config options of the parser and of its sub-commands, and without notes of its own."""
    seen = {}
    for key, value in values.items():
        if key not in _NOTES and above + key not in unseen:
            seen[key] = _without(value, unseen, above + key + ".") if isinstance(value, dict) else value
    return seen


_NOTES = ("__path__", "__default_config__", "__orig__", "__subclasses_disabled__")


def _config_options(parser, above=""):
    """Yield where config files are kept, those of sub-commands too."""
    for action in parser._actions:
        if type(action).__name__ == "ActionConfigFile":
            yield above + action.dest
    for name, inner in _commands(parser).items():
        yield from _config_options(inner, above + name + ".")


def _commands(parser):
    return dict(getattr(getattr(parser, "_subcommands_action", None), "_name_parser_map", None) or {})


# -- origins --------------------------------------------------------------------------------------------------------------


def _origins(values, parser, words):
    """Return the origin of each leaf: the last of what set it, in the order in which jsonargparse reads."""
    setters = [*_default_files(parser), *_environment(parser), *_words(parser, words)]
    positionals = dict(_positionals(parser))
    program = parser.prog or "-"
    origins = {}
    for keys, value in _paths.leaves(values):
        found = [origin for setter in setters for origin in [setter.origin(keys)] if origin is not None]
        if not found and keys in positionals and value != positionals[keys]:
            found = [("cli", keys[-1])]
        origins[_paths.path_text(keys)] = found[-1] if found else ("default", program)
    return origins


class _Setter:
    """A word of the command line or a variable, and what it sets."""

    def __init__(self, name, value, source):
        self.keys, self.value, self.source = tuple(name.split(".")), value, source

    def origin(self, keys):
        bare = tuple(key for key in keys if key != "init_args")
        below = bare[len(self.keys) :]
        # the bare name of a class says which class it is, and leaves its arguments as they were
        whole = below in ((), ("class_path",)) or self.value.lstrip().startswith("{")
        return self.source if whole and bare[: len(self.keys)] == self.keys else None


class _FileSetter:
    """A config file, and the lines of what it sets, below the command that it was given to."""

    def __init__(self, place, above=()):
        self.label = place
        with open(place, encoding="utf-8") as file:
            self.lines = _lines.lines_of(file.read(), above)
        self.least = len(above)

    def origin(self, keys):
        held = _lines.held(self.lines, keys, self.least)
        return None if held is None else ("file", "%s:%d" % (self.label, held[0]))


def _files(places, above=()):
    for place in places:
        try:
            yield _FileSetter(os.fspath(place), above)
        except Exception:
            pass  # no file, but a value; or one that PyYAML cannot read, such as jsonnet


def _default_files(parser):
    from glob import glob

    for pattern in getattr(parser, "default_config_files", None) or ():
        yield from _files(sorted(glob(os.path.expanduser(os.fspath(pattern)))))


def _environment(parser, above=""):
    """Yield what the environment sets, where the parser reads it: the config files first, as jsonargparse does."""
    if not (getattr(parser, "default_env", False) or os.environ.get("JSONARGPARSE_DEFAULT_ENV", "").lower() == "true"):
        return
    prefix = parser.env_prefix
    if prefix is True:
        prefix = os.path.splitext(parser.prog or "")[0]
    start = prefix.replace("-", "_") + "_" if isinstance(prefix, str) and prefix else ""
    files = set(_config_options(parser))
    given = [(action.dest, (start + action.dest).replace(".", "__").upper()) for action in parser._actions]
    given = [(dest, name) for dest, name in given if name in os.environ]
    for dest, name in given:
        if dest in files:
            yield from _files([os.environ[name]], tuple(filter(None, above.split("."))))
    for dest, name in given:
        if dest not in files:
            yield _Setter(above + dest, os.environ[name], ("env", name))
    for command, inner in _commands(parser).items():
        yield from _environment(inner, above + command + ".")


def _words(parser, words, above=""):
    """Yield what the words set, in their order; from the name of a sub-command on, they are that one's."""
    commands, files = _commands(parser), {dest.rpartition(".")[2] for dest in _config_options(parser)}
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if not word.startswith("-") and word in commands:
            yield from _words(commands[word], words[place:], above + word + ".")
            return
        option, equals, value = word.partition("=")
        if not option.startswith("-") or option == "--":
            continue
        action = parser._option_string_actions.get(option)
        if not equals and place < len(words) and getattr(action, "nargs", None) != 0:
            value = words[place]
            place += not value.startswith("--")
        dest = option.lstrip("-").rstrip("+")
        if action is not None:
            dest, option = action.dest, max(action.option_strings, key=len)
        if dest in files:
            yield from _files([value], tuple(filter(None, above.split("."))))
        else:
            yield _Setter(above + dest, value, ("cli", option))
            yield from _files([value], tuple((above + dest).split(".")))


def _positionals(parser, above=()):
    """Yield the keys and the default of every positional, those of sub-commands too: no option ever names them."""
    for action in parser._actions:
        if not action.option_strings:
            yield (*above, *action.dest.replace("-", "_").split(".")), action.default
    for command, inner in _commands(parser).items():
        yield from _positionals(inner, (*above, command))
