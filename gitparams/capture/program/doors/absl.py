"""What absl resolved: the flags that the user's own modules define, as `FlagValues.__call__` left them."""

import os
import sys
from collections.abc import Mapping

import _gitparams_capture as capture

_paths = capture.load("paths.py", "_gitparams_paths")


def hang(module):
    """Look at the flags after each call of a `FlagValues`; `absl.app.run` calls it before it calls the program's main."""
    capture.surround(module.FlagValues, "__call__", _look)


def _look(rest, flags, args, kwargs):
    argv = list(args[0] if args else kwargs["argv"])
    who = capture.caller(flags, _SKIPPED)
    if who is None:
        return
    values = _Values(flags, who)
    capture.report(
        "absl",
        values,
        _origins(values.flags(), argv[1:]),
        parser=flags,
        skipped=_SKIPPED,
        words=None if argv == sys.argv else argv[1:],
        rest=rest[1:],
        watched=values,
    )


# tf.compat.v1.app.run hands over to absl
_SKIPPED = ("absl", "tensorflow")


class _Values(Mapping):
    """The flags of the user's own modules as they are at the moment."""

    def __init__(self, flags, who):
        self.of, self.who = flags, who

    def __getitem__(self, name):
        return self.of[name].value

    def __iter__(self):
        return (flag.name for flag in self.flags())

    def __len__(self):
        return len(self.flags())

    def flags(self):
        """Return the flags, each once: an alias is another name of a param, not a param."""
        return [
            flag
            for module, flags in self.of.flags_by_module_dict().items()
            if _is_users(module, self.who)
            for flag in flags
            if type(flag).__name__ != "_FlagAlias" and flag.name in self.of and self.of[flag.name] is flag
        ]


def _is_users(name, who):
    """Tell whether a module's flags are the program's; those of the main script are kept under its path."""
    if name.partition(".")[0] in _SKIPPED:
        return False
    place = getattr(sys.modules.get(name), "__file__", None) or ""
    own = who["installed"] and name.partition(".")[0] == who["module"].partition(".")[0]
    return own or not {"site-packages", "dist-packages"}.intersection(place.replace("\\", "/").split("/"))


def _origins(flags, words):
    files = dict(_lines_of_files(words))
    written = {name for name, _ in _names(words)}
    program = os.path.basename(capture.program_name())
    origins = {}
    for flag in flags:
        names = [flag.name, "no" + flag.name, flag.short_name]
        place = next((files[name] for name in names if name in files), None)
        if not flag.present:
            # set by code before the flags were parsed; absl marks what was given in the same way
            source = ("default", program) if flag.using_default_value else ("code", program)
        elif place is not None and written.isdisjoint(names):
            source = ("file", place)
        else:
            source = ("cli", "--" + flag.name)
        origins[_paths.path_text([flag.name])] = source
    for name in written:  # --config.lr of ml_collections
        keys = name.split(".")
        if len(keys) > 1 and keys[0] in {flag.name for flag in flags}:
            origins[_paths.path_text(keys)] = ("cli", "--" + name)
    return origins


def _names(words):
    """Yield the name and the rest of every word that may be a flag."""
    for word, after in zip(words, [*words[1:], ""]):
        if word == "--":
            return
        if word.startswith("-"):
            name, equals, value = word.lstrip("-").partition("=")
            yield name, value if equals else after


def _lines_of_files(words, seen=()):
    """Yield the name of every flag in the files of ``--flagfile``, and where it stands; the later wins."""
    for name, value in _names(words):
        if name != "flagfile" or value in seen:
            continue
        try:
            with open(value, encoding="utf-8") as file:
                lines = [line.strip() for line in file]
        except (OSError, ValueError):
            continue
        for number, line in enumerate(lines, 1):
            yield from _lines_of_files([line], (*seen, value))
            for inner, _ in _names([line]):
                yield inner, "%s:%d" % (value, number)
