"""What Hydra composed: the config that each job gets, and the jobs of a multirun as runs of their own."""

import functools
import os
import sys

import _gitparams_capture as capture

_paths = capture.load("paths.py", "_gitparams_paths")
_lines = capture.load("lines.py", "_gitparams_lines")


def hang(module):
    """Look at each job's config before its task is called and after it returned; callbacks of the user's go on as ever."""
    notify = module.Callbacks._notify

    @functools.wraps(notify)
    def _notify(self, function_name, *args, **kwargs):
        if function_name == "on_job_start":
            _guarded(_begin, kwargs.get("config"), _task_config())
        result = notify(self, function_name, *args, **kwargs)
        if function_name == "on_job_end":
            _guarded(_end, kwargs.get("job_return"))
        return result

    module.Callbacks._notify = _notify


def _guarded(step, *args):
    try:
        step(*args)
    except Exception as error:
        capture.fault(error)


def _task_config():
    """Return the very object that the task is about to get, so that what a resolver is asked once holds for both."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_name != "run_job":
        frame = frame.f_back
    return frame.f_locals.get("task_cfg") if frame is not None else None


class _Job:
    """A job between its start and its end."""

    def __init__(self, config, values, child):
        self.config, self.values, self.child, self.pid = config, values, child, os.getpid()


_jobs = []
"""Those that are going on, the innermost last."""


def _begin(config, task_config):
    if config is None or task_config is None:
        return
    values = capture.plain(_resolved(task_config))
    facts = {"program": _program(_select(config, "runtime.cwd")), "hydra": _facts(config)}
    origins = _Sources(config).origins(values)
    child = None
    if _select(config, "job.num") is not None:
        child = capture.Child("hydra", _SKIPPED)
        child.begin(values, origins, facts)
    else:
        capture.say("hydra", values, origins, _SKIPPED, facts)
    _jobs.append(_Job(task_config, values, child))


_SKIPPED = ("hydra", "hydra_zen", "hydra_plugins")


def _end(returned):
    if not _jobs or _jobs[-1].pid != os.getpid():
        return
    job = _jobs.pop()
    values = capture.plain(_resolved(job.config))
    if values != job.values:
        capture.say_drift("hydra", values)
    if job.child is not None:
        failed = returned is None or returned.status.name != "COMPLETED"
        job.child.end("failed" if failed else "completed", int(failed))


# -- values ---------------------------------------------------------------------------------------------------------------


def _resolved(config):
    """Return a config with its interpolations resolved; one that fails stays as it is written, alone."""
    from omegaconf import OmegaConf

    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    except Exception:
        pass  # a resolver is the user's own code and raises what it likes
    written = OmegaConf.to_container(config, resolve=False, throw_on_missing=False)
    if isinstance(written, dict):
        return {key: _resolved_item(config, key, item) for key, item in written.items()}
    if isinstance(written, list):
        return [_resolved_item(config, place, item) for place, item in enumerate(written)]
    return written


def _resolved_item(config, key, written):
    from omegaconf import OmegaConf

    if written == "???":
        return written
    try:
        item = config[key]
    except Exception:
        return written
    return _resolved(item) if OmegaConf.is_config(item) else item


# -- facts ----------------------------------------------------------------------------------------------------------------


def _select(config, key):
    """Return a value below the `hydra` node as plain Python, None when it is missing or this Hydra does not know it."""
    from omegaconf import OmegaConf

    try:
        found = OmegaConf.select(config, "hydra." + key)
    except Exception:
        return None
    return OmegaConf.to_container(found) if OmegaConf.is_config(found) else found


def _facts(config):
    return {
        "overrides": capture.without_secrets(_overrides(config)),
        "choices": _choices(config),
        "output_dir": _text(_select(config, "runtime.output_dir")),
        "config_name": _text(_select(config, "job.config_name")),
        "job": {"name": _text(_select(config, "job.name")), "num": _select(config, "job.num")},
    }


def _overrides(config):
    return [str(word) for word in _select(config, "overrides.task") or []]


def _choices(config):
    choices = _select(config, "runtime.choices") or {}
    return {str(group): _choice(choice) for group, choice in choices.items() if not str(group).startswith("hydra/")}


def _choice(choice):
    return [str(name) for name in choice] if isinstance(choice, list) else _text(choice)


def _text(value):
    return None if value is None else str(value)


def _program(folder):
    """Return how the program is called; a job may stand in another folder by now, or in a worker of joblib's."""
    name = sys.argv[0] if capture.is_worker() else capture.program_name()
    place = os.path.join(folder or "", name)
    return os.path.abspath(place) if os.path.isfile(place) else name


# -- origins --------------------------------------------------------------------------------------------------------------


class _Sources:
    """Which file or word each value of a composed config came from."""

    def __init__(self, config):
        self.overrides = _overrides(config)
        self.choices = _choices(config)
        self.name = _text(_select(config, "job.config_name"))
        self.cwd = _select(config, "runtime.cwd") or os.getcwd()
        self.folders = [
            source["path"] for source in _select(config, "runtime.config_sources") or [] if source.get("schema") == "file"
        ]

    def origins(self, values):
        """Return the origin of each leaf: the override that set it, else the file that holds it, else the chosen config."""
        given, files = self._given(), self._files()
        origins = {}
        for keys, value in _paths.leaves(values):
            origins[_paths.path_text(keys)] = _given_by(given, keys) or _held_by(files, keys, value)
        return {path: origin for path, origin in origins.items() if origin is not None}

    def _given(self):
        """Return what overrides set, the keys and the word, without the choices of groups."""
        given = []
        for word, shown in zip(self.overrides, capture.without_secrets(self.overrides)):
            key = word.lstrip("+~").partition("=")[0]
            if key not in self.choices:
                given.append((tuple(key.split(".")), ("cli", shown)))
        return given

    def _files(self):
        """Return the chosen configs and the primary one, the later in the defaults list first, as Hydra keeps them."""
        chosen = []
        for group, choice in self.choices.items():
            group, _, package = group.partition("@")
            for name in choice if isinstance(choice, list) else [choice]:
                if name is not None:
                    chosen.append(("%s/%s" % (group, name), package or group.replace("/", "."), "%s=%s" % (group, name)))
        if self.name:
            chosen.append((self.name, "", self.name))
        return [self._file(*each) for each in chosen]

    def _file(self, name, package, label):
        name = name if name.endswith((".yaml", ".yml")) else name + ".yaml"
        for folder in self.folders:
            place = os.path.join(folder, name)
            if os.path.isfile(place):
                return _File(os.path.relpath(place, self.cwd), place, package)
        return _File(label, None, package)


class _File:
    """A config that was chosen: what it sets and in which line; of one that is in the code only its package is known."""

    def __init__(self, label, place, package):
        self.label, self.package = label, tuple(filter(None, package.split(".")))
        self.lines = None if place is None else self._read(place)

    def _read(self, place):
        with open(place, encoding="utf-8") as file:
            text = file.read()
        self._take_header(text)
        return _lines.lines_of(text, self.package)

    def _take_header(self, text):
        """Follow ``# @package`` in the comments before the first key, as Hydra does."""
        for line in text.splitlines():
            if line.strip() and not line.startswith("#"):
                return
            words = line.lstrip("# ").split()
            if words[:1] == ["@package"] and len(words) > 1:
                named = words[1].replace("_group_", ".".join(self.package)).replace("_global_", "")
                self.package = tuple(filter(None, named.split(".")))

    def holds(self, keys):
        """Return the line and the text of a value here, or of what holds it; None when it is not from here."""
        if self.lines is None:
            return (None, None) if keys[: len(self.package)] == self.package else None
        return _lines.held(self.lines, keys, len(self.package))


def _given_by(given, keys):
    found = [origin for start, origin in given if keys[: len(start)] == start]
    return found[-1] if found else None


def _held_by(files, keys, value):
    """Return the file that a value is from: one that has this very text, else the last that sets it."""
    found = [(file, held) for file in files for held in [file.holds(keys)] if held is not None]
    if not found:
        return None
    same = [pair for pair in found if pair[1][1] == _written(value)]
    file, (line, _) = (same or found)[0]
    if line is None:
        return ("default", file.label)
    return ("file", "%s:%d" % (file.label, line))


def _written(value):
    if value is True or value is False:
        return str(value).lower()
    return "null" if value is None else str(value)
