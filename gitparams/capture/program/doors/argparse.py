"""argparse: what the outermost `parse_known_args` returned. ConfigArgParse is a subclass of it and comes through here too."""

import os
import sys

import _gitparams_capture as capture

_LIBRARIES = ("argparse", "configargparse")


def hang(module):
    """Look at what parsers return; `parse_args` and the intermixed ones all go through these two."""
    capture.surround(module.ArgumentParser, "parse_known_args", _look)
    capture.surround(module.ArgumentParser, "parse_known_intermixed_args", _look)


def _look(result, parser, args, kwargs):
    namespace, rest = result
    settings = getattr(parser, "_source_to_settings", None)
    is_configargparse = isinstance(settings, dict)
    words = _words_of(settings) if is_configargparse else args[0] if args else kwargs.get("args")
    reporter = "configargparse" if is_configargparse else "argparse"
    who = capture.whose(reporter, parser, _LIBRARIES if is_configargparse else ("argparse",), words)
    if who is None or (rest and _is_refused(sys._getframe(2))):
        return
    found = _Found()
    found.scan(parser, sys.argv[1:] if words is None else list(words))
    if is_configargparse:
        found.take_settings(settings)
    values = _values(namespace, found)
    capture.tell_params(who, reporter, values, found.origins(values), rest, values)


def _is_refused(frame):
    """Tell whether the library itself is about to end the program, since words were left over."""
    name = frame.f_globals.get("__name__")
    return name in _LIBRARIES and frame.f_code.co_name in ("parse_args", "parse_intermixed_args")


def _words_of(settings):
    """Return the words that ConfigArgParse was given, before it added those that stand for variables and config files."""
    for _, words in settings.get("command_line", {}).values():
        return words
    return None if len(sys.argv) < 2 else []


def _values(namespace, found):
    """Return the mapping that holds the result; it is the very one of a namespace, so that it can be looked at once more."""
    if isinstance(namespace, dict):
        return namespace
    if isinstance(namespace, sys.modules["argparse"].Namespace):
        return vars(namespace)
    return {name: getattr(namespace, name) for name in found.parsers if hasattr(namespace, name)}


class _Found:
    """What the words say of each value: given by which option, or a default of which parser.

    Attributes:
        given: dest → the option, ``--lr``; for a positional its dest.
        elsewhere: dest → (source, place), where ConfigArgParse took it from.
        parsers: dest → the name of the parser whose default it would be.
        actions: dest → the action.
        perhaps: dests of positionals that may have been left out; they were given if they are no default.
        has_files: whether words stand in a file; what is no default may be from there.
    """

    def __init__(self):
        self.given, self.elsewhere, self.parsers = {}, {}, {}
        self.actions, self.perhaps = {}, set()
        self.has_files = False

    def scan(self, parser, words):
        """Read the words as argparse does, but for the types: which options and which sub-parser they name."""
        self._declare(parser)
        prefixes = tuple(parser.fromfile_prefix_chars or ())
        free = []
        place = 0
        while place < len(words):
            word = words[place]
            place += 1
            options = None if word == "--" else _options(parser, word)
            if word == "--":
                free += words[place:]
                break
            if options is None:
                self.has_files = self.has_files or (bool(word) and word[0] in prefixes)
                if self._descend(parser, word, words[place:]):
                    break
                free.append(word)
                continue
            for action, option in options.actions:
                self.given[action.dest] = _long(action, option)
            if options.actions and not options.holds_value:
                place += _width(parser, options.actions[-1][0], words[place:])
        self._count_positionals(parser, free)

    def _declare(self, parser):
        name = _name(parser)
        for action in parser._actions:
            self.parsers[action.dest] = name
            self.actions[action.dest] = action
        for dest in parser._defaults:
            self.parsers[dest] = name

    def _descend(self, parser, word, words):
        for action in parser._actions:
            inner = (getattr(action, "_name_parser_map", None) or {}).get(word)
            if inner is not None:
                self.given[action.dest] = action.dest
                self.scan(inner, words)
                return True
        return False

    def _count_positionals(self, parser, free):
        for action in parser._actions:
            if not action.option_strings and action.nargs not in ("?", "*", "A..."):
                self.given[action.dest] = action.dest
            elif not action.option_strings and action.nargs in ("?", "*") and free:
                self.perhaps.add(action.dest)

    def take_settings(self, settings):
        """Add what ConfigArgParse knows: the variables and the config files that it took values from."""
        for kind, found in settings.items():
            source, _, place = kind.partition("|")
            for key, (action, _) in found.items():
                if action is None or source not in ("environment_variables", "config_file"):
                    continue
                self.elsewhere[action.dest] = ("env", key) if source == "environment_variables" else ("file", place)

    def origins(self, values):
        """Return written path → (source, place) of the values."""
        path_text = capture.load("paths.py", "_gitparams_paths").path_text
        earlier = next((origins for other, origins in _earlier if other is values), {})
        result = {}
        for name, value in values.items():
            path = name if isinstance(name, str) and name.isidentifier() else path_text((str(name),))
            result[path] = self._origin(name, value) or earlier.get(path) or ("code", None)
        _earlier[:] = [*[pair for pair in _earlier if pair[0] is not values][-9:], (values, result)]
        return result

    def _origin(self, name, value):
        if name in self.given:
            return ("cli", self.given[name])
        if name in self.elsewhere:
            return self.elsewhere[name]
        action = self.actions.get(name)
        if action is not None and (self.has_files or name in self.perhaps) and _differs(value, action.default):
            return ("cli", _long(action, None))
        return ("default", self.parsers[name]) if name in self.parsers else None


_earlier = []
"""The values of the last namespaces, and their origins: another parser may go on with one."""


class _Options:
    """The options that one word names: several flags may stand in one, and the last may have its value with it."""

    def __init__(self, actions, holds_value):
        self.actions, self.holds_value = actions, holds_value


def _options(parser, word):
    """Return the options that a word names, or None where argparse takes it for a value."""
    table = parser._option_string_actions
    if not word or word[0] not in parser.prefix_chars:
        return None
    if word in table:
        return _Options([(table[word], word)], False)
    if len(word) == 1:
        return None
    head, equals, _ = word.partition("=")
    if equals and head in table:
        return _Options([(table[head], head)], True)
    found = _abbreviated(parser, head)
    if found is not None:
        return _Options([found], bool(equals))
    if word[1] not in parser.prefix_chars and word[:2] in table:
        return _cluster(table, word)
    if " " in word or (parser._negative_number_matcher.match(word) and not parser._has_negative_number_optionals):
        return None
    return _Options([], True)


def _abbreviated(parser, head):
    if not getattr(parser, "allow_abbrev", True):
        return None
    matches = [(action, option) for option, action in parser._option_string_actions.items() if option.startswith(head)]
    return matches[0] if len({id(action) for action, _ in matches}) == 1 else None


def _cluster(table, word):
    actions = []
    for place, letter in enumerate(word[1:], 2):
        action = table.get(word[0] + letter)
        if action is None:
            break
        actions.append((action, word[0] + letter))
        if action.nargs != 0:
            return _Options(actions, place < len(word))
    return _Options(actions, True)


def _width(parser, action, words):
    """Return how many of the words are the values of an option."""
    most = {None: 1, "?": 1, "...": len(words)}.get(action.nargs, len(words))
    if isinstance(action.nargs, int):
        most = action.nargs
    width = 0
    while width < min(most, len(words)) and (action.nargs == "..." or _is_value(parser, words[width])):
        width += 1
    return width


def _is_value(parser, word):
    return word != "--" and _options(parser, word) is None


def _long(action, option):
    """Return the option as it is shown: as it was given if that is a long one, else the longest."""
    if not action.option_strings:
        return action.dest
    longest = max(action.option_strings, key=len)
    return option if option is not None and option[:2] == longest[:2] else longest


def _differs(value, default):
    return value is not default and repr(value) != repr(default)


def _name(parser):
    """Return how a parser is called: ``train.py``, ``train.py fit``; for a package that is run, the package."""
    name = str(parser.prog)
    if not name.startswith("__main__.py"):
        return name
    return os.path.basename(capture.program_name()) + name[len("__main__.py") :]
