# Loaded by every Python below `gitparams run`: lets the capture in and hands over to the next sitecustomize.
# Pythons of all ages read this file, so it is written as all of them can: what is modern is behind the question of the version.
import os
import sys


def _let_in(folder):
    while folder in sys.path:
        sys.path.remove(folder)  # a file of ours must never be what `import` finds for the user's program
    try:
        if not os.path.isdir(os.environ.get("GITPARAMS_CAPTURE", "")):
            pass
        elif sys.version_info >= (3, 8):
            _start(folder)
        else:
            _greet(os.path.join(os.environ["GITPARAMS_CAPTURE"], "%d-0-hello.json" % os.getpid()))
    except Exception:
        pass  # whatever it is, the user's program goes on as if nothing were here


def _start(folder):
    # Ours is kept as bytecode whatever the program wants for its own: each start would compile it again.
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    sys.path.insert(0, folder)
    try:
        import _gitparams_capture
    finally:
        sys.path.remove(folder)
        sys.dont_write_bytecode = kept
    _gitparams_capture.begin()


def _numbers():
    return os.getpid(), sys.version_info[0], sys.version_info[1]


def _greet(place):
    with open(place + ".new", "w") as file:
        file.write('{"kind": "hello", "time": 0, "pid": %d, "python": "%d.%d"}' % _numbers())
    os.rename(place + ".new", place)


_itself = sys.modules.pop("sitecustomize", None)  # held, since Python 2 empties a module that nobody holds
_let_in(os.path.dirname(os.path.abspath(__file__)))
import sitecustomize  # noqa: E402, F401 - the next one; when there is none, the ImportError is what site expects
