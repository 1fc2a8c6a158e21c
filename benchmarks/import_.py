"""Import: what `import gitparams` costs a program, and whose modules it loads."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.report import Row, Unit
from benchmarks.timing import Samples, interleaved, process
from benchmarks.workshop import Workshop, python

_IMPORT, _START = "import gitparams", "from gitparams import start"
# What the environment's own .pth files load at start-up is not ours to answer for.
_OTHERS = """
import sys
before = set(sys.modules)
exec(sys.argv[1])
files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items()) if name not in before}
print(*sorted({name.partition(".")[0] for name, file in files.items() if "site-packages" in file} - {"gitparams"}))
"""


def rows(shop: Workshop) -> Iterator[Row]:
    """Measure it."""
    things = {"pass": process(shop.nothing, shop.folder)}
    for code in (_IMPORT, _START):
        things[code] = process([sys.executable, "-c", code], shop.folder)
    taken = interleaved(things, shop.rounds, warm_up=2)
    yield Row(_IMPORT, taken[_IMPORT], "python -c pass", taken["pass"], most_ratio=2)
    yield Row(_START, taken[_START], "python -c pass", taken["pass"])
    for code in (_IMPORT, _START):
        found = python(shop.folder, _OTHERS, code).split()
        what = f"third-party packages of {code}{': ' + ' '.join(found) if found else ''}"
        yield Row(what, Samples((len(found),)), most=0 if code == _IMPORT else None, unit=Unit.COUNT)
