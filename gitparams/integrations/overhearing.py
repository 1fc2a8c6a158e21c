"""Overhearing: the calls of scikit-learn that a program makes itself, heard when they begin and when they end.

``fit`` and the like are replaced on every class below `BaseEstimator`, those that are made later included, by functions that
call them; of scikit-learn's own functions the one inside ``validate_params`` is, so that it does not matter who imported
them when. What scikit-learn calls itself (the steps of a pipeline, folds, candidates), and what an installed package calls,
passes through. An exception leaves with the traceback that it would have had.

Such a function may be pickled by value, as joblib does with the classes of a main program: it refers to nothing of ours but
to functions that a worker finds by name, and there nobody listens.
"""

from __future__ import annotations

import copy
import multiprocessing
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from functools import cache, wraps
from pathlib import Path
from types import FrameType, FunctionType, TracebackType
from typing import Any, Protocol

from gitparams.integrations import library
from gitparams.recorder import harmless

FITS = ("fit", "fit_predict", "fit_transform")
PREDICTIONS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples")
VALIDATIONS = ("cross_validate", "cross_val_score", "cross_val_predict")
_METHODS = (*FITS, *PREDICTIONS, "score")
_PLUMBING = ("sklearn.utils._param_validation", "sklearn.utils._set_output", "sklearn.utils._available_if")
"""Modules of scikit-learn that stand between a caller and what it calls."""


@dataclass(eq=False)
class Call:
    """A call that the program makes.

    Attributes:
        name: of the method or function.
        owner: the estimator; None of a function.
        arguments, keywords: what it is called with.
        notes: what the listener keeps about it.
    """

    name: str
    owner: Any
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    notes: dict[str, Any] = field(default_factory=dict)
    token: Token[bool] | None = None

    def argument(self, place: int, name: str) -> Any:
        """Return an argument by its place or its name; None when it was not given."""
        return self.arguments[place] if len(self.arguments) > place else self.keywords.get(name)


class Listener(Protocol):
    """Who is told of calls. What it raises is one warning."""

    def begins(self, call: Call) -> None:
        """A call begins."""

    def ended(self, call: Call, result: Any) -> None:
        """A call returned."""

    def failed(self, call: Call, error: BaseException) -> None:
        """A call raised."""


class Doors:
    """The replaced methods and functions, and what stood in their place."""

    def __init__(self) -> None:
        self._listener: Listener | None = None
        self._pid = 0
        self._methods: list[tuple[type, str, Any, Any]] = []
        self._cells: list[tuple[Any, Any]] = []
        self._seen: set[type] = set()
        self._base: Any = None

    @property
    def are_open(self) -> bool:
        """Whether somebody listens."""
        return self._listener is not None

    def listener(self) -> Listener | None:
        """Return who is to be told of a call that is made now: nobody within another call, or in another process."""
        return self._listener if self._pid == os.getpid() and not _within.get() else None

    def open(self, listener: Listener) -> None:
        """Tell a listener of each call from now on.

        Raises:
            UsageError: scikit-learn is not installed.
        """
        if self.are_open or multiprocessing.parent_process() is not None:
            return
        self._base = library("sklearn.base", "sklearn").BaseEstimator
        modules = {name: library(f"sklearn.{name}", "sklearn") for name in ("metrics", "model_selection")}
        self._listener, self._pid = listener, os.getpid()
        for kind in _below(self._base):
            self._replace_in(kind)
        self._hear_of_new_classes()
        for name in modules["metrics"].__all__:
            self._replace_inside(getattr(modules["metrics"], name), name)
        for name in VALIDATIONS:
            self._replace_inside(getattr(modules["model_selection"], name), name)

    def close(self) -> None:
        """Put everything back that is still as it was replaced."""
        for kind, name, original, replaced in reversed(self._methods):
            if kind.__dict__.get(name) is replaced:
                if original is None:
                    delattr(kind, name)
                else:
                    setattr(kind, name, original)
        for cell, original in self._cells:
            cell.cell_contents = original
        self.__init__()  # type: ignore[misc]

    def _replace_in(self, kind: type) -> None:
        for owner in kind.__mro__:  # mixins are below nothing of scikit-learn's
            if owner is object or owner in self._seen:
                continue
            self._seen.add(owner)
            for name in _METHODS:
                original = owner.__dict__.get(name)
                replaced = _replaced(name, original)
                if replaced is not None:
                    self._set(owner, name, original, replaced)

    def _set(self, owner: type, name: str, original: Any, replaced: Any) -> None:
        try:
            setattr(owner, name, replaced)
        except TypeError:
            return  # a class of C's
        self._methods.append((owner, name, original, replaced))

    def _hear_of_new_classes(self) -> None:
        base, doors = self._base, self
        original = base.__dict__.get("__init_subclass__")

        def __init_subclass__(cls: Any, /, **keywords: Any) -> None:
            if original is not None:
                original.__get__(None, cls)(**keywords)
            else:
                super(base, cls).__init_subclass__(**keywords)
            doors._replace_in(cls)

        self._set(base, "__init_subclass__", original, classmethod(__init_subclass__))

    def _replace_inside(self, function: Any, name: str) -> None:
        """Replace the function that ``validate_params`` calls in one of its own."""
        if not isinstance(function, FunctionType) or "func" not in function.__code__.co_freevars:
            return
        cell = (function.__closure__ or ())[function.__code__.co_freevars.index("func")]
        original = cell.cell_contents
        cell.cell_contents = _function(name, original)
        self._cells.append((cell, original))


DOORS = Doors()
_within: ContextVar[bool] = ContextVar("gitparams_within_sklearn", default=False)


def _below(base: type) -> Iterator[type]:
    """Yield a class and all below it, some of them more than once."""
    waiting: list[type] = [base]
    while waiting:
        kind = waiting.pop()
        yield kind
        waiting += type.__subclasses__(kind)


# -- what stands in the place of others -----------------------------------------------------------------------------------


def _replaced(name: str, original: Any) -> Any:
    """Return what stands in the place of a method; None when it is none of those that can be replaced."""
    if isinstance(original, FunctionType):
        return _method(name, original)
    inner = getattr(original, "fn", None)  # of scikit-learn's `available_if`
    if isinstance(inner, FunctionType) and hasattr(original, "check"):
        replaced = copy.copy(original)
        replaced.fn = _method(name, inner)
        return replaced
    return None


def _method(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def overheard(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = hear(name, self, args, kwargs)
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            failed(call, error)
            raise
        return result if call is None else ended(call, result)

    return overheard


def _function(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def overheard(*args: Any, **kwargs: Any) -> Any:
        call = hear(name, None, args, kwargs)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            failed(call, error)
            raise
        return result if call is None else ended(call, result)

    return overheard


_OURS = {
    code
    for function in (_method, _function)
    for code in function.__code__.co_consts
    if getattr(code, "co_name", "") == "overheard"
}


def hear(name: str, owner: Any, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Call | None:
    """Tell the listener of a call that begins; return None when it is not the program that makes it."""
    listener = DOORS.listener()
    if listener is None or not _is_made_by_program(sys._getframe(2)):
        return None
    call = Call(name, owner, arguments, keywords, token=_within.set(True))
    try:
        with harmless("scikit-learn"):
            listener.begins(call)
    except BaseException:
        _leave(call)
        raise
    return call


def ended(call: Call, result: Any) -> Any:
    """Tell the listener that a call returned, and return what it did."""
    try:
        listener = DOORS._listener
        if listener is not None:
            with harmless("scikit-learn"):
                listener.ended(call, result)
    finally:
        _leave(call)
    return result


def failed(call: Call | None, error: BaseException) -> None:
    """Tell the listener that a call raised, and take what is ours out of the traceback."""
    error.__traceback__ = _without_ours(error.__traceback__)
    if call is None:
        return
    try:
        listener = DOORS._listener
        if listener is not None:
            with harmless("scikit-learn"):
                listener.failed(call, error)
    finally:
        _leave(call)


def _leave(call: Call) -> None:
    if call.token is not None:
        _within.reset(call.token)


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of what we put in the place of methods."""
    entries = []
    while trace is not None:
        if trace.tb_frame.f_code not in _OURS:
            entries.append(trace)
        trace = trace.tb_next
    for entry, following in zip(entries, [*entries[1:], None], strict=True):
        entry.tb_next = following
    return entries[0] if entries else None


# -- whose call it is -----------------------------------------------------------------------------------------------------


def _is_made_by_program(frame: FrameType | None) -> bool:
    """Tell whether a call comes from the program, and from no installed package; the standard library calls for others."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module not in _PLUMBING:
            whose = _whose(frame.f_code.co_filename)
            if whose == "package":
                return bool(module) and module.partition(".")[0] == _main_package()
            if whose == "program":
                return module.partition(".")[0] != "gitparams"
        frame = frame.f_back
    return True  # of a thread that was given the method itself


@cache
def _whose(file: str) -> str:
    """Return whose code a file holds: ``program``, ``package`` for what is installed, ``library`` for Python's own."""
    if file.startswith("<frozen "):
        return "library"
    if {"site-packages", "dist-packages"} & set(Path(file).parts) or _is_in(file, _folders("purelib", "platlib")):
        return "package"
    return "library" if _is_in(file, _folders("stdlib", "platstdlib")) else "program"


@cache
def _folders(*names: str) -> tuple[str, ...]:
    return tuple({sysconfig.get_path(name) for name in names})


def _is_in(file: str, folders: Iterable[str]) -> bool:
    return any(file.startswith(folder + os.sep) for folder in folders)


@cache
def _main_package() -> str:
    """Return the package that the program is, when it is one: ``python -m trainer.train``."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return str(spec.name).partition(".")[0] if spec is not None else ""
