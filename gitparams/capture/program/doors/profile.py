"""The names of a program below `python -m cProfile`, which runs it in a mapping that is gone when the process ends."""

import sys

import _gitparams_capture as capture


def hang(module):
    """Look at the mapping when the profiler shows what it found; the program is done then, however it ended."""
    show = getattr(module._Utils, "_show", None)
    if show is None:
        return

    def _show(self, *args, **kwargs):
        names = sys._getframe(1).f_locals.get("globals")
        if isinstance(names, dict) and names.get("__name__") == "__main__":
            capture.remember_main(dict(names))
        return show(self, *args, **kwargs)

    module._Utils._show = _show
