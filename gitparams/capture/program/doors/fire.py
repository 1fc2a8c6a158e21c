"""Fire: what the function that it made to parse for a function or class returned, before that is called."""

import functools
import os
import sys

import _gitparams_capture as capture


def hang(module):
    """Look at the arguments that each function made by `_MakeParseFn` returns."""
    make = module._MakeParseFn

    @functools.wraps(make)
    def _MakeParseFn(function, metadata):
        parse = make(function, metadata)

        @functools.wraps(parse)
        def _ParseFn(args):
            given = list(args)
            result = parse(args)
            try:
                _look(module, function, metadata, given, result)
            except Exception as error:
                capture.fault(error)
            return result

        return _ParseFn

    module._MakeParseFn = _MakeParseFn


def _look(module, function, metadata, args, result):
    if not hasattr(function, "__code__") and not isinstance(function, type):
        return  # a method of what the user's function returned, such as str.upper
    line = _Line.find()
    if line is None:
        return
    who = capture.whose("fire", None, ("fire",), line.words, function)
    if who is None:
        return
    spec = module.inspectutils.GetFullArgSpec(function)
    (positional, named), _, rest, _ = result
    values, given = _values(spec, positional, named), _given(module, spec, metadata, args)
    line.tell(who, values, given, rest)


def _values(spec, positional, named):
    """Return name → value of all arguments of a call."""
    values = dict(zip(spec.args, positional))
    if spec.varargs is not None:
        values[spec.varargs] = list(positional[len(spec.args) :])
    values.update(spec.kwonlydefaults or {})
    values.update(named)
    return values


def _given(module, spec, metadata, args):
    """Return name → the flag, or the name itself where it was given by its place."""
    flags, _, places = module._ParseKeywordArgs(list(args), spec)
    given = {name: "--" + name for name in flags}
    free = [name for name in spec.args if flags.get(name) is None]
    if metadata.get(module.decorators.ACCEPTS_POSITIONAL_ARGS):
        given.update((name, name) for name, _ in zip(free, places))
        if spec.varargs is not None and len(places) > len(free):
            given[spec.varargs] = spec.varargs
    return given


class _Line:
    """The command line that Fire works through: a class or function after the other.

    Attributes:
        words: the words of it; None for those of the program.
        command: the names of the members that led here, ``model fit``.
    """

    def __init__(self, words, trace):
        self.words, self.trace = words, trace
        elements = trace.elements[1:]
        self.command = " ".join(str(element._target) for element in elements if element._action == "Accessed property")

    @classmethod
    def find(cls):
        """Return the command line that is worked through further up in this thread."""
        words = trace = None
        frame = sys._getframe(1)
        while frame is not None:
            name = frame.f_code.co_name
            if name == "_Fire" and trace is None:
                words, trace = frame.f_locals["args"], frame.f_locals["component_trace"]
            elif name == "Fire" and trace is not None:
                return cls(None if frame.f_locals["command"] is None else words, trace)
            frame = frame.f_back
        return None

    def tell(self, who, values, given, rest):
        """Tell the arguments of one call. A name that an earlier call has taken stands below the command."""
        if _last[:1] != [self.trace]:
            _last[:] = [self.trace, set()]
        taken = _last[1]
        path_text = capture.load("paths.py", "_gitparams_paths").path_text
        default = ("default", " ".join(filter(None, [os.path.basename(capture.program_name()), self.command])))
        told, origins = {}, {}
        for name, value in values.items():
            clash = name in taken
            (told.setdefault(self.command, {}) if clash else told)[name] = value
            path = path_text((self.command, name) if clash else (name,))
            origins[path] = ("cli", given[name]) if name in given else default
        taken.update(values)
        if self.command and "command" not in taken:
            told["command"] = self.command
            origins["command"] = ("cli", "command")
        capture.tell_params(who, "fire", told, origins, rest)


_last = []
"""The trace of the command line that is worked through, and the names that its calls have taken."""
