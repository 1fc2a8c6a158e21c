"""Presence: whether the process that keeps a run lives, seen from here and from another machine.

A process id says nothing by itself: it is used again, means another process in every container, and nothing at all on
another machine. So a run remembers beside it which boot of which machine it belongs to, in which process namespace, and when
its process began. Where these are ours, the kernel knows; everywhere else only signs of life tell, and their absence
proves nothing: such a run is called lost and is not closed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from gitparams.model import Run
from gitparams.values import Value

KEY = "process"
"""The key of a run's environment that holds what is known of its process."""
GRACE_SECONDS = 24 * 3600.0
"""How long a run of another machine is believed to go on after its newest entry, or after the last line of its journal."""
PULSE_SECONDS = 60.0
"""How often ``gitparams run`` gives a sign of life in its journal."""
PULSE_GRACE_SECONDS = 15 * 60.0
"""How long a run that gave such signs is believed to go on after the last one, by clocks that need not agree."""
_PROC = Path("/proc")


def host() -> str:
    """Return this machine's name."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import platform

    return platform.node()


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return what the kernel calls this boot of this machine, all of its containers included; empty where it says nothing."""
    return _text(_PROC / "sys/kernel/random/boot_id").strip()


def this_process() -> dict[str, Value]:
    """Return what a run remembers of the process that keeps it; what is not known here is left out."""
    known: dict[str, Value] = {"boot": boot_id(), "namespace": _namespace(), "pid": os.getpid(), "began": _began(os.getpid())}
    return {name: value for name, value in known.items() if value not in ("", None)} if known["boot"] else {}


def is_this_boot(run: Run) -> bool | None:
    """Tell whether a run was begun since this kernel came up: its locks are ours then. None when nobody can say."""
    boot = _told(run).get("boot")
    if not boot or not boot_id():
        return None
    return bool(boot == boot_id())


def lives(run: Run) -> bool | None:
    """Tell whether the process that began a run lives; None when it cannot be seen from here."""
    told = _told(run)
    pid, began = told.get("pid"), told.get("began")
    if not is_this_boot(run) or not told.get("namespace") or told["namespace"] != _namespace():
        return None
    if not isinstance(pid, int) or not isinstance(began, int) or not 0 < pid < 1 << 31:
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    present = _began(pid)
    return None if present is None else present == began


def may_be_closed(run: Run, last_word: float) -> bool:
    """Tell whether a run whose journal nobody locks may be called dead.

    The lock is the kernel's. One of another machine on a shared file system need not know it, so it must be this boot of
    this machine, or an earlier one of it.

    Args:
        run: as its journal tells it.
        last_word: when anything was written to the journal, in seconds since 1970.
    """
    ours = run.host in ("", host())
    here = is_this_boot(run)
    if here is None:
        return ours  # an older gitparams, or a system that numbers no boots
    # Another machine may have our name: what it writes since we came up was not written before we went down.
    return here or (ours and last_word < _up_since())


def goes_on(run: Run, signs: Iterable[tuple[float, float]], present: float | None = None) -> bool:
    """Tell whether a run that is called running is believed to, where no lock can be asked.

    Args:
        run: the run.
        signs: when it gave a sign of life, and for how many seconds that is good.
        present: the present time; now when None.
    """
    seen = lives(run)
    if seen is not None:
        return seen
    moment = time.time() if present is None else present
    # Clocks differ; but a time that is far ahead is as good as none, or the run would go on for ever.
    return any(abs(moment - sign) <= good for sign, good in signs)


def stamp(text: object) -> float:
    """Return a time of an entry in seconds since 1970; long ago when it is none."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _told(run: Run) -> dict[str, Any]:
    told = run.environment.get(KEY)
    return dict(told) if isinstance(told, Mapping) else {}


@lru_cache(maxsize=1)
def _namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink()).removeprefix("pid:[").removesuffix("]")
    except OSError:
        return ""


def _began(pid: int) -> int | None:
    """Return when a process began, in ticks since the boot; -1 for one that ended, None when it cannot be seen."""
    # The name of the program, in parentheses, may hold anything; proc(5): what began when is the 20th word after it.
    words = _text(_PROC / f"{pid}/stat").rpartition(")")[2].split()
    if len(words) < 20:
        return None
    return int(words[19]) if words[0] not in ("Z", "X") else -1


def _up_since() -> float:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() - time.clock_gettime(clock) if clock is not None else 0.0


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
