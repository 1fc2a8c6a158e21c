"""Settings: what gitparams.yaml at the top of the work tree says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitparams.directions import Direction
from gitparams.errors import ParamsFileError
from gitparams.index import Index
from gitparams.values import Value

FILE = "gitparams.yaml"
_KEYS = (
    "experiment",
    "params",
    "metrics",
    "metrics_files",
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


@dataclass(frozen=True, slots=True)
class Settings:
    """What a project says of its runs.

    Attributes:
        experiment: the experiment of runs that name none.
        params_files: files of params read at every run, in order, relative to the top.
        params: values declared right in gitparams.yaml.
        metrics_files: files of metrics that programs write, relative to the top.
        directions: which way of a metric is better.
    """

    experiment: str | None = None
    params_files: tuple[str, ...] = ()
    params: Mapping[str, Value] = field(default_factory=dict)
    metrics_files: tuple[str, ...] = ()
    directions: Mapping[str, Direction] = field(default_factory=dict)


def read_settings(top: Path | None, memory: Index | None = None) -> Settings:
    """Return the settings of a work tree; without a gitparams.yaml, the defaults.

    Parsed settings are kept in the index by the file's digest, so that a reader need not load a YAML parser.

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
    import hashlib

    digest = hashlib.sha256(data).hexdigest()
    kept = _kept(memory.remembered("settings"), digest) if memory else None
    if kept is not None:
        return _settings(kept)
    document = _read(path)
    settings = _settings(document)
    if memory is not None:
        memory.remember("settings", json.dumps({"digest": digest, "document": document}))
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


def _kept(text: str | None, digest: str) -> dict[str, Any] | None:
    try:
        kept = json.loads(text) if text else {}
    except ValueError:
        return None
    return kept["document"] if kept.get("digest") == digest else None


def _settings(document: Mapping[str, Any]) -> Settings:
    params, metrics = document.get("params"), document.get("metrics")
    return Settings(
        experiment=_word(document.get("experiment"), "experiment"),
        params_files=() if isinstance(params, Mapping) else _files(params, "params"),
        params=dict(params) if isinstance(params, Mapping) else {},
        metrics_files=(
            *(() if isinstance(metrics, Mapping) else _files(metrics, "metrics")),
            *_files(document.get("metrics_files"), "metrics_files"),
        ),
        directions=_directions(metrics) if isinstance(metrics, Mapping) else {},
    )


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
