"""What a config that Hydra composed tells of itself: the overrides, the choices of groups, and where each value came from.

This file, too, is loaded by its path into the user's own program; so it is written for 3.8, and what it needs of ours is
handed to it.
"""

from __future__ import annotations

import os
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Dict, Optional, Tuple, Union

    from gitparams.capture.lines import Held, Lines

    Choice = Union[Optional[str], "list[str]"]
    Keys = Tuple[str, ...]
    Place = Tuple[str, str]
    Origins = Dict[str, Place]


def is_composed(config: Any) -> bool:
    """Tell whether an OmegaConf container still has the ``hydra`` node that says how it was composed."""
    return _select(config, "overrides.task") is not None and _select(config, "runtime.choices") is not None


class Composed:
    """A config with its ``hydra`` node, and what that tells.

    Args:
        config: what Hydra composed, the ``hydra`` node included.
        paths: a module with `path_text` and `leaves`.
        lines: the module that knows the lines of a file.
        hide: words of a command line → the same without secrets.
    """

    def __init__(self, config: Any, paths: Any, lines: Any, hide: Callable[[Sequence[str]], Sequence[str]]) -> None:
        self.config, self.paths, self.lines, self.hide = config, paths, lines, hide
        self.overrides = [str(word) for word in _select(config, "overrides.task") or []]
        self.choices = _choices(config)
        self.name = _text(_select(config, "job.config_name"))
        self.cwd: str = _select(config, "runtime.cwd") or str(Path.cwd())
        sources = _select(config, "runtime.config_sources") or []
        self.folders = [source["path"] for source in sources if source.get("schema") == "file"]

    def facts(self) -> dict[str, Any]:
        """Return the overrides, the choices of groups, and what is known of the job."""
        return {
            "overrides": list(self.hide(self.overrides)),
            "choices": self.choices,
            "output_dir": _text(_select(self.config, "runtime.output_dir")),
            "config_name": self.name,
            "job": {"name": _text(_select(self.config, "job.name")), "num": _select(self.config, "job.num")},
        }

    def origins(self, values: dict[str, Any]) -> Origins:
        """Return the origin of each leaf: the override that set it, else the file that holds it, else the chosen config."""
        given, files = self._given(), self._files()
        origins: Origins = {}
        for keys, value in self.paths.leaves(values):
            origin = _given_by(given, keys) or _held_by(files, keys, value)
            if origin is not None:
                origins[self.paths.path_text(keys)] = origin
        return origins

    def _given(self) -> list[tuple[Keys, Place]]:
        """Return what overrides set, the keys and the word, without the choices of groups."""
        given = []
        for word, shown in zip(self.overrides, self.hide(self.overrides)):
            key = word.lstrip("+~").partition("=")[0]
            if key not in self.choices:
                given.append((tuple(key.split(".")), ("cli", shown)))
        return given

    def _files(self) -> list[_File]:
        """Return the chosen configs and the primary one, the later in the defaults list first, as Hydra keeps them."""
        chosen = []
        for group, choice in self.choices.items():
            group, _, package = group.partition("@")
            for name in choice if isinstance(choice, list) else [choice]:
                if name is not None:
                    chosen.append((f"{group}/{name}", package or group.replace("/", "."), f"{group}={name}"))
        if self.name:
            chosen.append((self.name, "", self.name))
        return [self._file(*each) for each in chosen]

    def _file(self, name: str, package: str, label: str) -> _File:
        name = name if name.endswith((".yaml", ".yml")) else name + ".yaml"
        for folder in self.folders:
            place = Path(folder, name)
            if place.is_file():
                return _File(os.path.relpath(place, self.cwd), place, package, self.lines)
        return _File(label, None, package, self.lines)


class _File:
    """A config that was chosen: what it sets and in which line; of one that is in the code only its package is known."""

    def __init__(self, label: str, place: Path | None, package: str, reader: Any) -> None:
        self.label, self.package, self.reader = label, tuple(filter(None, package.split("."))), reader
        self.lines = None if place is None else self._read(place)

    def _read(self, place: Path) -> Lines:
        text = place.read_text(encoding="utf-8")
        self._take_header(text)
        lines: Lines = self.reader.lines_of(text, self.package)
        return lines

    def _take_header(self, text: str) -> None:
        """Follow ``# @package`` in the comments before the first key, as Hydra does."""
        for line in text.splitlines():
            if line.strip() and not line.startswith("#"):
                return
            words = line.lstrip("# ").split()
            if words[:1] == ["@package"] and len(words) > 1:
                named = words[1].replace("_group_", ".".join(self.package)).replace("_global_", "")
                self.package = tuple(filter(None, named.split(".")))

    def holds(self, keys: Keys) -> Held | None:
        """Return the line and the text of a value here, or of what holds it; None when it is not from here."""
        if self.lines is None:
            return (None, None) if keys[: len(self.package)] == self.package else None
        held: Held | None = self.reader.held(self.lines, keys, len(self.package))
        return held


def _given_by(given: list[tuple[Keys, Place]], keys: Keys) -> Place | None:
    found = [origin for start, origin in given if keys[: len(start)] == start]
    return found[-1] if found else None


def _held_by(files: list[_File], keys: Keys, value: Any) -> Place | None:
    """Return the file that a value is from: one that has this very text, else the last that sets it."""
    found = [(file, held) for file in files for held in [file.holds(keys)] if held is not None]
    if not found:
        return None
    same = [pair for pair in found if pair[1][1] == _written(value)]
    file, (line, _) = (same or found)[0]
    if line is None:
        return ("default", file.label)
    return ("file", f"{file.label}:{line}")


def _written(value: Any) -> str:
    if value is True or value is False:
        return str(value).lower()
    return "null" if value is None else str(value)


def _select(config: Any, key: str) -> Any:
    """Return a value below the ``hydra`` node as plain Python, None when it is missing or this Hydra does not know it."""
    from omegaconf import OmegaConf

    try:
        found = OmegaConf.select(config, "hydra." + key)
    except Exception:  # noqa: BLE001 - what stands there may be the user's own, and a resolver raises what it likes
        return None
    return OmegaConf.to_container(found) if OmegaConf.is_config(found) else found


def _choices(config: Any) -> dict[str, Choice]:
    choices = _select(config, "runtime.choices") or {}
    return {str(group): _choice(choice) for group, choice in choices.items() if not str(group).startswith("hydra/")}


def _choice(choice: Any) -> Choice:
    return [str(name) for name in choice] if isinstance(choice, list) else _text(choice)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
