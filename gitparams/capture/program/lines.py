"""In which line of a YAML or JSON file each value stands; PyYAML is the program's own, and is there or is not."""


def lines_of(text, above=()):
    """Return keys → (line, text of a scalar or None) for all that a file sets, below the keys of a package.

    Raises:
        Exception: whatever this PyYAML raises, or ImportError when the program has none.
    """
    import yaml

    root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    lines = {}
    if isinstance(root, yaml.MappingNode):
        _collect(root, tuple(above), lines, yaml.MappingNode)
    return lines


def held(lines, keys, least=0):
    """Return the line and text of a value, or of the nearest that holds it below `least` keys; None when there is none."""
    for end in range(len(keys), least, -1):
        if keys[:end] in lines:
            return lines[keys[:end]]
    return None


def _collect(node, above, lines, mapping):
    for key, value in node.value:
        keys = (*above, str(key.value))
        lines[keys] = (value.start_mark.line + 1, value.value if isinstance(value.value, str) else None)
        if isinstance(value, mapping):
            _collect(value, keys, lines, mapping)
