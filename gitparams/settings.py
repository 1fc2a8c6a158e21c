"""Settings: what gitparams.yaml at the top of the work tree says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gitparams.directions import Direction
from gitparams.errors import ParamsFileError
from gitparams.index import Index
from gitparams.values import Value

if TYPE_CHECKING:
    from gitparams.reading import Rules

FILE = "gitparams.yaml"
_KEYS = (
    "experiment",
    "params",
    "metrics",
    "metrics_files",
    "env_prefix",
    "program",
    "inputs",
    "rules",
    "capture",
    "sources",
    "redact",
    "ignore",
    "seeds",
    "check",
)


_CAPTURE_KEYS = ("globals", "output", "variables", "tensorboard")


@dataclass(frozen=True, slots=True)
class Capture:
    """What a program is asked for while it runs.

    Attributes:
        parsers: what its parsers resolved.
        globals: constants of its main module: none, those written in capitals, or those that a glob names.
        output: ``key: value`` and ``key=value`` on its output: none, all numbers, or those that a glob names.
        variables: environment variables to record beside the usual ones, globs too.
        tensorboard: folders of event files to look into beside those that the program is seen to write.
    """

    parsers: bool = True
    globals: Literal[True] | tuple[str, ...] = ()
    output: Literal[True] | tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    tensorboard: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What a project says of its runs.

    Attributes:
        experiment: the experiment of runs that name none.
        params_files: files of params read at every run, in order, relative to the top.
        params: values declared right in gitparams.yaml.
        metrics_files: files of metrics that programs write, relative to the top.
        directions: which way of a metric is better.
        env_prefix: environment variables that begin with it are params; None for none.
        program: of several programs in one run, the one whose params are the run's.
        inputs: files that are recorded by their digest, relative to the top, globs too.
        capture: whether a program is asked for its params without a change of its code, and what else it is asked for.
        silent: the reporters that are not listened to: ``argparse``, ``tensorboard`` …
        redact: names of keys that are secret too; with a ``!`` before it, one that is not.
        seeds: names of keys that are seeds too.
        check: rule of `gitparams check` → ``off``, ``warn`` or ``error``.
        rules: how old runs are read under the names and in the units of today; None where no rule is written.
        ignore: globs of keys that are never a difference, those of the rules too.
    """

    experiment: str | None = None
    params_files: tuple[str, ...] = ()
    params: Mapping[str, Value] = field(default_factory=dict)
    metrics_files: tuple[str, ...] = ()
    directions: Mapping[str, Direction] = field(default_factory=dict)
    env_prefix: str | None = None
    program: str | None = None
    inputs: tuple[str, ...] = ()
    capture: Capture = Capture()
    silent: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    check: Mapping[str, str] = field(default_factory=dict)
    rules: Rules | None = None
    ignore: tuple[str, ...] = ()


def read_settings(top: Path | None, memory: Index | None = None) -> Settings:
    """Return the settings of a work tree; without a gitparams.yaml, the defaults.

    Parsed settings are kept in the index beside the file's text, so that a reader need not load a YAML parser.

    Raises:
        ParamsFileError: the file cannot be read, or says something that is no setting.
    """
    path = top / FILE if top else None
    try:
        data = path.read_bytes() if path else None
    except FileNotFoundError:
        data = None
    except OSError as error:
        raise ParamsFileError(FILE, f"it cannot be read: {error.strerror}.") from None
    if path is None or data is None or not data.strip():
        return Settings()
    text = data.decode("utf-8", "backslashreplace")  # a digest would be shorter, and its library a thirtieth of `log`
    kept = _kept(memory.remembered("settings"), text) if memory else None
    if kept is not None:
        return _settings(kept)
    document = _read(path)
    settings = _settings(document)
    if memory is not None:
        memory.remember("settings", json.dumps({"text": text, "document": document}))
    return settings


def _read(path: Path) -> dict[str, Any]:
    from gitparams.capture.files import read_params

    document = dict(read_params(path, shown=FILE).values)
    return {key: document[key] for key in document if _known(key, document)}


def _known(key: str, document: Mapping[str, Any]) -> bool:
    import difflib

    if key in _KEYS:
        return True
    near = difflib.get_close_matches(key, _KEYS, n=1)
    meant = f"; did you mean {near[0]}?" if near else "."
    raise ParamsFileError(FILE, f"{key!r} is no setting{meant}", hint=f"settings: {', '.join(_KEYS[:4])} …")


def _kept(remembered: str | None, text: str) -> dict[str, Any] | None:
    try:
        kept = json.loads(remembered) if remembered else {}
    except ValueError:
        return None
    return kept["document"] if kept.get("text") == text else None


def _settings(document: Mapping[str, Any]) -> Settings:
    params, metrics = document.get("params"), document.get("metrics")
    rules = _rules(document.get("rules"))
    return Settings(
        experiment=_word(document.get("experiment"), "experiment"),
        params_files=() if isinstance(params, Mapping) else _files(params, "params"),
        params=dict(params) if isinstance(params, Mapping) else {},
        metrics_files=(
            *(() if isinstance(metrics, Mapping) else _files(metrics, "metrics")),
            *_files(document.get("metrics_files"), "metrics_files"),
        ),
        directions=_directions(metrics) if isinstance(metrics, Mapping) else {},
        env_prefix=_word(document.get("env_prefix"), "env_prefix"),
        program=_word(document.get("program"), "program"),
        inputs=_files(document.get("inputs"), "inputs"),
        capture=_capture(document.get("capture")),
        silent=_silent(document.get("sources")),
        redact=_names(document.get("redact"), "redact"),
        seeds=_names(document.get("seeds"), "seeds"),
        check=_levels(document.get("check")),
        rules=rules,
        ignore=tuple(dict.fromkeys((*_names(document.get("ignore"), "ignore"), *(rules.ignored if rules else ())))),
    )


def _rules(value: Any) -> Rules | None:
    if value is None:
        return None
    from gitparams.reading import Rules

    return Rules.of(value)


def _capture(value: Any) -> Capture:
    if value is None or isinstance(value, bool):
        return Capture(parsers=value is not False)
    if not isinstance(value, Mapping):
        problem = f"capture must be true, false or a mapping, not {value!r}."
        raise ParamsFileError(FILE, problem, hint="capture: {globals: true}")
    if unknown := [key for key in value if key not in _CAPTURE_KEYS]:
        raise ParamsFileError(FILE, f"capture.{unknown[0]} is no setting.", hint=f"capture: {', '.join(_CAPTURE_KEYS)}")
    return Capture(
        globals=_all_or_names(value.get("globals"), "capture.globals"),
        output=_all_or_names(value.get("output"), "capture.output"),
        variables=_names(value.get("variables"), "capture.variables"),
        tensorboard=_names(value.get("tensorboard"), "capture.tensorboard"),
    )


def _all_or_names(value: Any, key: str) -> Literal[True] | tuple[str, ...]:
    return True if value is True else _names(value or None, key)


def _names(value: Any, key: str) -> tuple[str, ...]:
    names = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ParamsFileError(FILE, f"{key} must be a list of names.", hint=f"{key.rpartition('.')[2]}: [one, 'an*other']")
    return tuple(names)


def _silent(value: Any) -> tuple[str, ...]:
    sources = {} if value is None else value
    if not isinstance(sources, Mapping) or not all(isinstance(on, bool) for on in sources.values()):
        raise ParamsFileError(FILE, "sources must say on or off for each reporter.", hint="sources: {tensorboard: off}")
    return tuple(sorted(name for name, on in sources.items() if not on))


def _levels(value: Any) -> dict[str, str]:
    levels = {} if value is None else value
    if not isinstance(levels, Mapping):
        raise ParamsFileError(FILE, "check must say off, warn or error for each rule.", hint="check: {missing-seed: error}")
    # PyYAML reads the word off as false
    words = {rule: "off" if level is False else level for rule, level in levels.items()}
    if wrong := [rule for rule, level in words.items() if level not in ("off", "warn", "error")]:
        raise ParamsFileError(FILE, f"check.{wrong[0]} must be off, warn or error, not {words[wrong[0]]!r}.")
    return words


def _word(value: Any, key: str) -> str | None:
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise ParamsFileError(FILE, f"{key} must be a text, not {value!r}.")
    return value


def _files(value: Any, key: str) -> tuple[str, ...]:
    if value is None:
        return ()
    files = [value] if isinstance(value, str) else value
    if not isinstance(files, list) or not all(isinstance(file, str) and file for file in files):
        raise ParamsFileError(FILE, f"{key} must be a list of files.", hint=f"{key}: [conf/train.yaml]")
    return tuple(files)


def _directions(metrics: Mapping[str, Any]) -> dict[str, Direction]:
    directions = {}
    for name, word in metrics.items():
        try:
            directions[name] = Direction(word)
        except ValueError:
            raise ParamsFileError(FILE, f"metrics.{name} must be max or min, not {word!r}.") from None
    return directions
