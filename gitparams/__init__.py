"""gitparams: the history of a program's parameters, kept in git."""

TYPE_CHECKING = False  # what typing says; its import would cost as much as the rest

__version__ = "0.1.0"
__all__ = [
    "MISSING",
    "ActiveRun",
    "GitParamsError",
    "Origin",
    "Params",
    "RecordedRun",
    "Run",
    "RunDiff",
    "Runs",
    "Series",
    "autolog",
    "diff",
    "flatten",
    "load",
    "merge",
    "plot",
    "record",
    "run",
    "runs",
    "start",
    "to_dict",
    "to_yaml",
]

if TYPE_CHECKING:
    from gitparams import plot
    from gitparams.changes import RunDiff
    from gitparams.errors import GitParamsError
    from gitparams.library import autolog, diff, load, record, run, runs, start, to_yaml
    from gitparams.model import Run
    from gitparams.params import MISSING, Origin, Params, flatten, merge, to_dict
    from gitparams.recorded import RecordedRun, Runs
    from gitparams.recorder import ActiveRun
    from gitparams.series import Series

# PEP 562: a program that imports gitparams pays for nothing until it uses a name.
_HOMES = {
    "MISSING": "params",
    "ActiveRun": "recorder",
    "GitParamsError": "errors",
    "Origin": "params",
    "Params": "params",
    "RecordedRun": "recorded",
    "Run": "model",
    "RunDiff": "changes",
    "Runs": "recorded",
    "Series": "series",
    "autolog": "library",
    "diff": "library",
    "flatten": "params",
    "load": "library",
    "merge": "params",
    "record": "library",
    "run": "library",
    "runs": "library",
    "start": "library",
    "to_dict": "params",
    "to_yaml": "library",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None and name != "plot":
        raise AttributeError(f"module 'gitparams' has no attribute {name!r}")
    from importlib import import_module

    if home is None:
        return import_module("gitparams.plot")
    value = globals()[name] = getattr(import_module(f"gitparams.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
