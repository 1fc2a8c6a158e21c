"""What simple-parsing resolved: the dataclasses that its parser, which is one of argparse, put into the namespace."""

import os
import sys

import _gitparams_capture as capture

_paths = capture.load("paths.py", "_gitparams_paths")
_lines = capture.load("../lines.py", "_gitparams_lines")
_views = capture.load("views.py", "_gitparams_views")


def hang(module):
    """Look at what the parser returned; `parse` and `main` go through it, and argparse's own door is silent within."""
    capture.surround(module.ArgumentParser, "parse_known_args", _look)


def _look(result, parser, args, kwargs):
    argparse = capture.load("doors/argparse.py", "_gitparams_door_argparse")
    namespace, rest = result
    frame = sys._getframe(2)
    words = args[0] if args else kwargs.get("args")
    who = capture.whose("simple_parsing", parser, ("simple_parsing", "argparse"), words)
    if who is None or (rest and argparse._is_refused(frame)):
        return
    found = argparse._Found()
    found.scan(parser, sys.argv[1:] if words is None else list(words))
    values = _Values(namespace, _only_dest(frame))
    origins = _Origins(parser, found.given, values.dest).of(capture.plain(values))
    capture.tell_params(who, "simple_parsing", values, origins, rest, values)


def _only_dest(frame):
    """Return where the single dataclass is that `parse` and its kin take out of the namespace; None for a parser's own."""
    while frame is not None and frame.f_globals.get("__name__") == "argparse":
        frame = frame.f_back
    inside = frame is not None and frame.f_globals.get("__name__") == "simple_parsing.parsing"
    return frame.f_locals.get("dest") if inside and "config_class" in frame.f_locals else None


class _Values(_views.View):
    """The namespace at the moment, or the one dataclass in it that the program gets."""

    def __init__(self, namespace, dest):
        self.namespace, self.dest = namespace, dest

    def seen(self):
        seen = capture.plain(self.namespace)
        if self.dest is None:
            return seen
        one = seen.get(self.dest)
        chosen = {name[len(self.dest) + 1 :]: key for name, key in (seen.get("subgroups") or {}).items()}
        return dict(one if isinstance(one, dict) else {}, **({"subgroups": chosen} if chosen else {}))


class _Origins:
    """What set each value: an option, a config file, or nothing but the dataclass."""

    def __init__(self, parser, given, dest):
        self.given, self.above = given, () if dest is None else (dest,)
        self.default = ("default", str(parser.prog))
        self.files = list(_files(parser))

    def of(self, values):
        """Return written path → (source, place)."""
        return {_paths.path_text(keys): self._origin(keys) for keys, _ in _paths.leaves(values)}

    def _origin(self, keys):
        whole = (*self.above, *keys)
        dest = ".".join(whole[1:] if keys[0] == "subgroups" and self.above else whole)
        option = self.given.get(dest) or (self._chosen(keys) if keys[0] == "subgroups" else None)
        if option is not None:
            return ("cli", option)
        for label, lines in self.files:
            # a file may hold the fields themselves, or below the name of their dataclass
            held = lines.get(whole) or lines.get(whole[1:])
            if held is not None:
                return ("file", "%s:%d" % (label, held[0]))
        return self.default

    def _chosen(self, keys):
        return self.given.get(".".join((*self.above, *keys[1:])))


def _files(parser):
    """Yield the config files that stand for defaults, the one that counts most first."""
    option = parser.add_config_path_arg if isinstance(parser.add_config_path_arg, str) else "config_path"
    named = next((action.default for action in parser._actions if "--" + option in action.option_strings), None)
    of_parser = parser.config_path
    for place in reversed([*_listed(of_parser), *(place for place in _listed(named) if place not in _listed(of_parser))]):
        try:
            with open(place, encoding="utf-8") as file:
                yield os.fspath(place), _lines.lines_of(file.read())
        except Exception:
            pass  # a format that PyYAML does not read


def _listed(places):
    return [] if places is None else list(places) if isinstance(places, (list, tuple)) else [places]
