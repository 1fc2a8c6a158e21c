"""What tyro resolved: the arguments of the function, or the object, that `tyro.cli` is about to call or to return."""

import functools
import inspect
import sys

import _gitparams_capture as capture

_paths = capture.load("paths.py", "_gitparams_paths")
_views = capture.load("views.py", "_gitparams_views")


def hang(module):
    """Stand where tyro puts the call together, so that nothing of ours is above the user's function when it runs.

    What it has put together is a `partial`; of a mapping it is a closure, seen when tyro clears its cache.
    """
    calling, cache = module._calling, module._unsafe_cache
    clear = cache.clear_cache

    def partial(function, *args, **kwargs):
        try:
            call = _call(sys._getframe(1), function, kwargs)
            if call is not None and isinstance(function, type):
                return _Made(call, function, args, kwargs)
            if call is not None:
                call.tell(_arguments(function, args, kwargs))
        except Exception as error:
            capture.fault(error)
        return functools.partial(function, *args, **kwargs)

    @functools.wraps(clear)
    def clear_cache():
        clear()
        try:
            frame = sys._getframe(1)
            mapping = _mapping_in(frame.f_locals.get("output"))
            if mapping is not None:
                _Call({}, frame.f_locals.get("args")).tell(mapping)
        except Exception as error:
            capture.fault(error)

    calling.partial, cache.clear_cache = partial, clear_cache


class _Made:
    """The call that makes the object which `tyro.cli` returns."""

    def __init__(self, call, kind, args, kwargs):
        self.call, self.kind, self.args, self.kwargs = call, kind, args, kwargs

    def __call__(self):
        made = self.kind(*self.args, **self.kwargs)
        try:
            values = made if capture.plain(made) else _arguments(self.kind, self.args, self.kwargs)
            self.call.tell(values, watched=True)
        except Exception as error:
            capture.fault(error)
        return made


def _call(frame, function, kwargs):
    """Return the call that tyro puts together; None when it is only a part of one, or tyro's own wrapping."""
    prefix = frame.f_locals.get("field_name_prefix")
    names = (*kwargs, *getattr(function, "__dataclass_fields__", ()))
    if prefix is None or _visible(prefix) or any(name.startswith(_WRAPPING) for name in names):
        return None
    given = frame.f_locals.get("value_from_prefixed_field_name") or {}
    while frame is not None and frame.f_code.co_name != "cli":
        frame = frame.f_back
    return _Call(given, frame.f_locals.get("args") if frame is not None else None)


_WRAPPING = "__tyro"


def _visible(name):
    """Return the keys of a name of tyro's without those of its wrappings."""
    return tuple(key for key in name.split(".") if key and not key.startswith(_WRAPPING))


def _arguments(function, args, kwargs):
    """Return arguments by their names."""
    try:
        signature = inspect.signature(function)
        bound = dict(signature.bind_partial(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        return dict(kwargs)
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            bound.update(bound.pop(name, {}))
    return bound


def _mapping_in(output):
    """Return the mapping that the result of a call is, when it is one: it is held by a closure of tyro's."""
    made = output[0] if isinstance(output, tuple) and output else output
    while inspect.isfunction(made) and made.__closure__:
        held = dict(zip(made.__code__.co_freevars, (cell.cell_contents for cell in made.__closure__)))
        if made.__name__ == "<lambda>" and isinstance(held.get("kwargs"), dict):
            return held["kwargs"]
        made = held.get("get_out_unwrapped", held.get("get_wrapped_out"))
    return None


class _Call:
    """One call of `tyro.cli`: the words it was given, what they set, and the sub-commands that were chosen."""

    def __init__(self, given, words):
        self.words = words
        self.typed = sys.argv[1:] if words is None else list(words)
        options = [word.partition("=")[0] for word in self.typed if word.startswith("-")]
        self.options = {option.replace("_", "-"): option for option in options}
        self.given, self.commands = {}, {}
        for name, value in given.items():
            field, mark, _ = str(name).partition(" (positional)")
            keys = tuple(key.replace("-", "_") for key in _visible(field))
            if mark and isinstance(value, str):
                self.commands[keys] = value
            elif not mark and not type(value).__name__.endswith("MissingType"):
                self.given[keys] = value

    def tell(self, values, watched=False):
        """Tell what the call resolved to."""
        seen = _Values(values, {keys: word.rpartition(":")[2] for keys, word in self.commands.items()})
        capture.report(
            "tyro",
            seen,
            self._origins(capture.plain(seen)),
            skipped=("tyro",),
            words=self.words,
            watched=seen if watched else None,
        )

    def _origins(self, values):
        return {_paths.path_text(keys): self._origin(keys) for keys, _ in _paths.leaves(values)}

    def _origin(self, keys):
        plain = tuple(key.replace("-", "_") for key in keys)
        default = ("default", capture.program_name().rpartition("/")[2])
        if plain[-1] == "command" and plain[:-1] in self.commands:
            word = self.commands[plain[:-1]]
            return ("cli", word) if word in self.typed else default
        option = self._option(plain)
        if option is not None:
            return ("cli", option)
        # flags hold a value whether they were given or not
        texts = [start for start, value in self.given.items() if not isinstance(value, (bool, int))]
        is_given = any(plain[: len(start)] == start for start in texts)
        return ("cli", keys[-1]) if is_given else default

    def _option(self, keys):
        """Return the option that set a value, as it was typed: its own, that of its whole part, or one without prefixes."""
        whole = [keys[:end] for end in range(len(keys), 0, -1)]
        for name in [*whole, *(keys[start:] for start in range(1, len(keys)))]:
            head, last = "".join(key + "." for key in name[:-1]), name[-1]
            for option in ("--" + head + last, "--" + head + "no-" + last):
                if option.replace("_", "-") in self.options:
                    return self.options[option.replace("_", "-")]
        return None


class _Values(_views.View):
    """Arguments, or an object, as they are at the moment, with the sub-command that was chosen for each part of them."""

    def __init__(self, values, commands):
        self.holder, self.commands = values, commands

    def seen(self):
        seen = dict(capture.plain(self.holder))
        for keys, command in self.commands.items():
            part = seen
            for key in keys:
                part = part.get(key) if isinstance(part, dict) else None
            if isinstance(part, dict):
                part.setdefault("command", command)
        return seen
