"""Environment variables that are params: those that begin with a declared prefix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitparams.capture.overrides import scalar
from gitparams.errors import ParamsError, UsageError
from gitparams.params import Layer, Origin, path_keys, path_text, put


def environment_layer(prefix: str, environ: Mapping[str, str]) -> Layer:
    """Return the params of the variables that begin with a prefix; the rest of the name is the path, ``__`` for a dot.

    Args:
        prefix: ``TRAIN_``; upper and lower case are told apart, as the system does.
        environ: all variables.

    Raises:
        UsageError: a name is no path, or one path runs through another's value.

    >>> environment_layer("TRAIN_", {"TRAIN_OPTIM__LR": "1e-3", "HOME": "/"}).values
    {'optim': {'lr': 0.001}}
    """
    values: dict[str, Any] = {}
    origins = {}
    for variable in sorted(environ):
        if not variable.startswith(prefix) or len(variable) == len(prefix):
            continue
        try:
            keys = path_keys(variable.removeprefix(prefix).lower().replace("__", "."))
            put(values, keys, scalar(environ[variable]))
        except ParamsError as error:
            raise UsageError(f"The variable {variable} is no param: {error.message}", hint=f"unset {variable}") from None
        origins[path_text(keys)] = Origin("env", variable)
    return Layer(values, origins)
