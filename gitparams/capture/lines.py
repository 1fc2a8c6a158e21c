"""In which line of a YAML or JSON file each value stands, by the PyYAML that the program has.

This file, too, is loaded by its path into the user's own program; so it is written for 3.8, and its top imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Dict, Optional, Tuple

    Held = Tuple[Optional[int], Optional[str]]
    Lines = Dict[Tuple[str, ...], Held]


def lines_of(text: str, above: Sequence[str] = ()) -> Lines:
    """Return keys → (line, text of a scalar or None) for all that a file sets, below the keys of a package.

    Raises:
        Exception: whatever this PyYAML raises, or ImportError when the program has none.
    """
    import yaml

    root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    lines: Lines = {}
    if isinstance(root, yaml.MappingNode):
        _collect(root, tuple(above), lines, yaml.MappingNode)
    return lines


def held(lines: Lines, keys: tuple[str, ...], least: int = 0) -> Held | None:
    """Return the line and text of a value, or of the nearest that holds it below `least` keys; None when there is none."""
    for end in range(len(keys), least, -1):
        if keys[:end] in lines:
            return lines[keys[:end]]
    return None


def _collect(node: Any, above: tuple[str, ...], lines: Lines, mapping: type) -> None:
    for key, value in node.value:
        keys = (*above, str(key.value))
        lines[keys] = (value.start_mark.line + 1, value.value if isinstance(value.value, str) else None)
        if isinstance(value, mapping):
            _collect(value, keys, lines, mapping)
