"""Integrations: other systems as they report runs, and runs as those systems take them. One file a system.

A file imports its system only where it is used; one that is not installed is a sentence that names the extra to install.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from gitparams.errors import UsageError


def library(name: str, extra: str) -> Any:
    """Return a module that an extra installs.

    Args:
        name: the module, ``optuna`` or ``skopt.space``.
        extra: the extra of gitparams that installs it.

    Raises:
        UsageError: it is not installed. ImportError: it is, and cannot be loaded.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise UsageError(f"{package} is not installed: pip install 'gitparams[{extra}]'") from None
