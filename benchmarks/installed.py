"""Installed: which gitparams is measured. Only a wheel in a clean environment gives ratios that mean something."""

from __future__ import annotations

import os
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent


def choose(allow_source: bool) -> str | None:
    """Settle which gitparams this process and the ones it starts import; return the sentence that refuses it, or None.

    ``python -m benchmarks`` puts the source tree on the path, and with it a gitparams that nobody installs. It is taken off
    again, so that the wheel beside this Python is found.
    """
    if allow_source:
        os.environ["PYTHONPATH"] = str(SOURCE)
        return None
    os.environ.pop("PYTHONPATH", None)  # the processes started from here must find what this one finds
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != SOURCE]
    found = find_spec("gitparams")
    if found is None or found.origin is None:
        return "gitparams is not installed for this Python: install the wheel in a clean environment, or say --allow-source."
    if not _in_site_packages(Path(found.origin)):
        return (
            f"The gitparams of this Python is {Path(found.origin).parent}, a source tree or an editable install, which would "
            "flatter the ratios: install the wheel in a clean environment, or say --allow-source."
        )
    return None


def where() -> str:
    """Return the folder of the gitparams that is measured."""
    found = find_spec("gitparams")
    assert found is not None and found.origin is not None
    return str(Path(found.origin).parent)


def program() -> list[str]:
    """Return the words that start gitparams as a user does."""
    if os.environ.get("PYTHONPATH") == str(SOURCE):
        return [sys.executable, "-m", "gitparams"]
    return [str(Path(sysconfig.get_path("scripts"), "gitparams"))]


def _in_site_packages(file: Path) -> bool:
    homes = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    return any(file.resolve().is_relative_to(home) for home in homes)
