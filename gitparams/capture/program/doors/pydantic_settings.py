"""What pydantic-settings resolved: the settings of the user's own classes, and the source of each of them."""

import os
import sys
import threading

import _gitparams_capture as capture

_paths = capture.load("paths.py", "_gitparams_paths")


def hang(module):
    """Look at settings once they are made; the command line is read by argparse within, whose own door is silent then."""
    capture.surround(module.BaseSettings, "__init__", _look)
    base = module.PydanticBaseSettingsSource
    if hasattr(base, "_set_settings_sources_data"):
        # asked before each source with the states of all so far, which it then adds its own to
        share = base._set_settings_sources_data

        def _set_settings_sources_data(self, states):
            _read.add(self, states)
            share(self, states)

        base._set_settings_sources_data = _set_settings_sources_data


class _Read(threading.local):
    """The sources that were read in this thread: of the settings that are made now, and of those before them."""

    def __init__(self):
        self.now = self.before = ((), {})

    def add(self, source, states):
        """Take a source, the one that counts most first; its state will be in the mapping by its name."""
        if not states:
            self.before, self.now = self.now, ([], states)
        self.now[0].append(source)

    def take(self, is_application):
        """Return each source with its state. `CliApp.run` reads the sources first, and makes settings of what they said."""
        sources, states = self.before if is_application and self.before[0] else self.now
        self.__init__()
        return [(source, states.get(_name(source))) for source in sources]


_read = _Read()


def _look(_, settings, args, kwargs):
    kind = type(settings)
    is_application = kind.__module__.partition(".")[0] == "pydantic_settings"
    if is_application:
        kind = kind.__bases__[-1]
    states = _read.take(is_application)
    who = capture.whose("pydantic_settings", settings, ("pydantic_settings", "pydantic", "argparse"))
    if who is None or not _is_users(kind, who):
        return
    origins = _Origins(kind, states).of(capture.plain(settings))
    capture.tell_params(who, "pydantic_settings", settings, origins, watched=settings)


def _name(source):
    return getattr(source, "__name__", type(source).__name__)


def _is_users(kind, who):
    """Tell whether a class of settings is the program's own, not that of a library which reads its own settings."""
    place = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
    own = who["installed"] and kind.__module__.partition(".")[0] == who["module"].partition(".")[0]
    return own or not {"site-packages", "dist-packages"}.intersection(place.replace("\\", "/").split("/"))


class _Origins:
    """Which source each value is from: the first that has it, since sources are asked in the order in which they count."""

    def __init__(self, kind, states):
        self.kind = kind
        self.states = [(source, state) for source, state in states if isinstance(state, dict)]
        self.default = ("default", kind.__name__)
        self.words = [word.partition("=")[0] for word in sys.argv[1:] if word.startswith("-")]

    def of(self, values):
        """Return written path → (source, place)."""
        return {_paths.path_text(keys): self._origin(keys) for keys, _ in _paths.leaves(values)}

    def _origin(self, keys):
        names = self._names(keys[0])
        for source, state in self.states:
            for name in names:
                if name in state and _holds(state[name], keys[1:]):
                    return self._place(source, (name, *keys[1:]), names)
        return self.default

    def _names(self, field):
        """Return the names under which a source may know a field: its own and its aliases."""
        names = [field]
        info = getattr(self.kind, "model_fields", {}).get(field)
        for alias in (getattr(info, "validation_alias", None), getattr(info, "alias", None)):
            names += [name for name in getattr(alias, "choices", [alias]) if isinstance(name, str)]
        return names + [name.lower() for name in names if name.lower() not in names]

    def _place(self, source, keys, names):
        kinds = [kind.__name__ for kind in type(source).__mro__]
        if "CliSettingsSource" in kinds:
            return ("cli", self._option(keys, names))
        if "DotEnvSettingsSource" in kinds:
            return ("file", _file_text(source.env_file))
        if "SecretsSettingsSource" in kinds or "NestedSecretsSettingsSource" in kinds:
            return ("file", _file_text(getattr(source, "secrets_dir", None)))
        if "EnvSettingsSource" in kinds:
            return ("env", _variable(source, keys, names))
        for kind in ("yaml", "toml", "json"):
            place = getattr(source, kind + "_file_path", None)
            if place is not None:
                return ("file", _file_text(place))
        return ("code", self.kind.__name__)

    def _option(self, keys, names):
        """Return the option as it was typed: that of the value, or that of what it is a part of."""
        typed = {word.lstrip("-").replace("-", "_").lower(): word for word in self.words}
        for end in range(len(keys), 0, -1):
            for name in names:
                path = ".".join((name, *keys[1:end])).replace("-", "_").lower()
                if path in typed or "no_" + path in typed:
                    return typed.get(path) or typed["no_" + path]
        return keys[-1]


def _holds(state, keys):
    """Tell whether what a source said of a field holds a value in it; what is no mapping is all of the field."""
    for key in keys:
        if not isinstance(state, dict):
            return True
        found = [name for name in state if str(name).lower() == key.lower()]
        if not found:
            return False
        state = state[found[0]]
    return True


def _variable(source, keys, names):
    """Return the environment variable that set a value, or that set what it is a part of."""
    known = {name.lower(): name for name in os.environ}
    between = getattr(source, "env_nested_delimiter", None) or "__"
    for end in range(len(keys), 0, -1):
        for name in names:
            for prefix in (getattr(source, "env_prefix", None) or "", ""):
                found = known.get((prefix + between.join((name, *keys[1:end]))).lower())
                if found is not None:
                    return found
    return keys[0]


def _file_text(places):
    if places is None:
        return None
    places = list(places) if isinstance(places, (list, tuple)) else [places]
    return ", ".join(os.fspath(place) for place in places if os.path.exists(place)) or None
