"""Which names of a main program are its constants: plain values, and no modules, functions, models or data."""

import os
from fnmatch import fnmatchcase

_MOST_ITEMS = 1000
_LONGEST_TEXT = 10_000
_CONFIGS = ("PARAMS", "CONFIG")
_PLAIN = (type(None), bool, int, float, complex, str)
# true by no choice of the program's
_KNOWN = ("TYPE_CHECKING",)


def found(names, wanted, words, program):
    """Return the constants among the names of a module, and where their values came from.

    Args:
        names: the module's names.
        wanted: True for names in capitals and what is in a dict PARAMS or CONFIG; or the globs of names.
        words: the words of the command line; many such programs read ``--NAME=value`` by themselves.
        program: how the program is called.
    """
    chosen = {
        name: value
        for name, value in list(names.items())
        if _is_wanted(name, wanted) and name not in _KNOWN and _count(value, ()) <= _MOST_ITEMS
    }
    values = {}
    for name, value in chosen.items():
        if wanted is True and name.upper() in _CONFIGS:
            # the dict is the config, not a key of it
            values.update(value if isinstance(value, dict) else {name: value})
        else:
            values[name] = value
    return values, _origins(values, words, os.path.basename(program))


def _is_wanted(name, wanted):
    if name.startswith("_"):
        return False
    if wanted is True:
        return name.isupper() or name.upper() in _CONFIGS
    return any(fnmatchcase(name, glob) for glob in wanted)


def _count(value, above):
    """Return how many values there are in one; of what is no constant there are too many."""
    kind = type(value)
    if kind is str:
        return 1 if len(value) <= _LONGEST_TEXT else _MOST_ITEMS + 1
    if kind in _PLAIN or isinstance(value, os.PathLike):
        return 1
    if kind not in (list, tuple, dict, set, frozenset) or len(value) > _MOST_ITEMS or id(value) in above:
        return _MOST_ITEMS + 1
    total = 1
    for item in [*value, *(value.values() if kind is dict else ())]:
        total += _count(item, (*above, id(value)))
        if total > _MOST_ITEMS:
            break
    return total


def _origins(values, words, program):
    from _gitparams_capture import load

    path_text = load("paths.py", "_gitparams_paths").path_text
    typed = {word.partition("=")[0].lstrip("-"): word.partition("=")[0] for word in words if word.startswith("--")}
    origins = {}
    for name in values:
        if isinstance(name, str):
            origins[path_text((name,))] = ("cli", typed[name]) if name in typed else ("code", program)
    return origins
