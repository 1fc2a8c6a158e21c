"""What the parsers of the user's program resolved, told to `gitparams run` by small files.

This runs inside of the user's process, in any Python from 3.8 on, with nothing but the standard library, and gitparams need
not be installed there. It changes nothing that the program can see: doors (``../doors/``) are hung into a parser's module
right after the program imported it; they look at what the parser returned, and return before the program's own code runs.
Nothing here raises: a fault is a message of its own.

Messages are JSON files in ``$GITPARAMS_CAPTURE``, each written beside and then renamed, so that a killed process leaves
whole ones. All have ``kind``, ``time`` (seconds), ``pid`` and ``run`` (a child run's id, or null):

    hello    a Python started: its version, executable and sys.path, and the greeted processes above it
    params   a parser resolved: reporter, values, origins, whose call it was, and a number of its own: n
    drift    the same object at the end, where it differs by then: of is the number
    child    a run of its own within the run began (a job of a sweep), or ended
    writes   the program writes event files into a folder
    bye      the process that said something ends: its exit code where that is known
    fault    something went wrong in here
"""

import _thread
import atexit
import os
import sys
import time
from itertools import count

FOLDER = os.environ.get("GITPARAMS_CAPTURE", "")
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""The folder of all that is injected."""
RANKS = (
    "RANK",
    "SLURM_PROCID",
    "OMPI_COMM_WORLD_RANK",
    "PMI_RANK",
    "PMIX_RANK",
    "MV2_COMM_WORLD_RANK",
    "HOROVOD_RANK",
    "FLUX_TASK_RANK",
)
LARGEST = 64 * 1024 * 1024
"""Bytes of one message; a larger config is refused and the limit named."""
_LARGEST_COPY = 1024 * 1024
_CLOCK_TICK = 0.02  # seconds by which the clock of a file system may be behind

# module of the parser → the door that is hung into it
DOORS = {
    "argparse": "argparse",
    "click.core": "click",
    "typer._click.core": "click",
    "fire.core": "fire",
    "absl.flags._flagvalues": "absl",
    "jsonargparse._core": "jsonargparse",
    "jsonargparse.core": "jsonargparse",
    "tyro._cli": "tyro",
    "simple_parsing.parsing": "simple_parsing",
    "pydantic_settings.main": "pydantic_settings",
    "hydra._internal.callbacks": "hydra",
    "tensorboard.summary.writer.event_file_writer": "event_files",
    "tensorboardX.event_file_writer": "event_files",
    "tensorflow.python.ops.summary_ops_v2": "event_files",
    "profile": "profile",
}

# Programs that run other programs, or parse for themselves; what they parse are no params.
_LAUNCHER_NAMES = (
    "torch accelerate deepspeed ray horovod pytest _pytest ipykernel ipykernel_launcher IPython jupyter "
    "jupyter_core jupyterlab notebook nbconvert papermill pip uv uvx poetry hatch pdm nox tox pre_commit "
    "tensorboard mlflow dvc guild wandb gitparams"
)
# Programs that run the user's program inside of their own process, as its main module; what they parse are none either.
_HOST_NAMES = (
    "bdb cProfile coverage debugpy kernprof line_profiler memory_profiler pdb profile py_spy runpy scalene trace viztracer"
)
_LAUNCHERS, _HOSTS = frozenset(_LAUNCHER_NAMES.split()), frozenset(_HOST_NAMES.split())
# How the processes begin that multiprocessing and loky start; the words are what Python runs by -c or -m.
_WORKERS = (
    "from multiprocessing.",
    "from multiprocess.",
    "from billiard.",
    "from joblib.externals.loky.",
    "joblib.externals.loky.",
    "loky.backend.",
)


class _Process:
    """What this process said and is about to say."""

    def __init__(self):
        self.pid = os.getpid()
        self.begun = time.time()
        self.thread = _thread.get_ident()
        self.counter = count(1)
        self.worker = False
        self.run = None
        self.watched = []
        self.exit_code = None
        self.rest = []
        self.spoke = False  # of more than a parser that was given no words at all
        self.said = {}  # reporter and run → number and values of the last params


_process = _Process()


# -- beginning and end ----------------------------------------------------------------------------------------------------


def begin():
    """Greet, and wait for the parsers. Called by sitecustomize, of which several copies may stand on the path."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    if any(os.environ.get(name, "0") not in ("0", "") for name in RANKS):
        return
    _process.worker = _program_word().startswith(_WORKERS)
    above = os.environ.get("GITPARAMS_CHAIN", "")
    os.environ["GITPARAMS_CHAIN"] = "%s:%d" % (above, _process.pid) if above else str(_process.pid)
    if not _process.worker:
        tell(
            "hello",
            python="%d.%d.%d" % sys.version_info[:3],
            executable=sys.executable or "",
            path=[folder for folder in sys.path if isinstance(folder, str)],
            chain=[int(pid) for pid in above.split(":") if pid.isdigit() and int(pid) != _process.pid],
        )
        atexit.register(_end)
    os.register_at_fork(after_in_child=_forked)
    for name in [name for name in DOORS if name in sys.modules]:
        _hang(sys.modules[name])
    sys.meta_path.insert(0, _Finder())


def _program_word():
    """Return what this Python was told to run: the code of ``-c``, the module of ``-m``, or the script."""
    words = iter(_words()[1:])
    for word in words:
        if word in ("-c", "-m"):
            return next(words, "")
        if word in ("-W", "-X"):
            next(words, "")
        elif not word.startswith("-"):
            return word
    return ""


def _words():
    """Return the words that this Python was started with; from 3.10 on it knows them itself."""
    known = getattr(sys, "orig_argv", None)
    if known is not None:
        return known
    try:
        with open("/proc/self/cmdline", "rb") as file:
            return [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
    except OSError:
        return []


def _forked():
    """A forked child is a worker, whoever it was forked from."""
    _process.worker = True
    _process.pid = os.getpid()


def _end():
    """Tell what changed since it was captured, and how the process ends, as far as it knows by itself."""
    if _process.worker:
        return
    try:
        _globals()
        for watch in _process.watched:
            watch.look()
    except Exception as error:
        fault(error)
    if _process.said:
        error = getattr(sys, "last_value", None)
        interrupted = isinstance(error, KeyboardInterrupt)
        tell(
            "bye",
            code=_process.exit_code,
            error=error is not None and not interrupted,
            interrupted=interrupted,
            metrics=_copied_metrics(_process.begun),
        )


def _copied_metrics(since, folder=None):
    """Return the name and a copy of each metrics file that was written since: the next program may write it again.

    One in the folder that was made for a job comes before the one where the program was started.
    """
    copies = []
    for path, name in _how().get("metrics", ()):
        try:
            if folder is not None and os.path.isfile(os.path.join(folder, name)):
                path = os.path.join(folder, name)
            found = os.stat(path)
            if found.st_mtime < since - _CLOCK_TICK or found.st_size > _LARGEST_COPY:
                continue
            folder = os.path.join(FOLDER, "copies-%d-%d" % (os.getpid(), next(_process.counter)))
            os.mkdir(folder)
            copy = os.path.join(folder, os.path.basename(path))
            with open(path, "rb") as file, open(copy, "wb") as other:
                other.write(file.read())
            copies.append([name, copy])
        except OSError:
            pass  # it was not written
    return copies


def _remember_exit_code():
    """From the first word on, an exit code is remembered: of several programs in one run each is told how it ended."""
    original = sys.exit

    def exit(status=None, /):
        if _thread.get_ident() == _process.thread:
            _process.exit_code = 0 if status is None else status if isinstance(status, int) else 1
        original(status)

    exit.__doc__ = original.__doc__
    exit.__module__ = "sys"
    exit.__qualname__ = "exit"
    sys.exit = exit


# -- doors ----------------------------------------------------------------------------------------------------------------


class _Finder:
    """Stands before the finders of modules and hangs a door into a parser's module as soon as it is there."""

    def __init__(self):
        self.busy = set()

    def find_spec(self, name, path=None, target=None):
        if name not in DOORS or name in self.busy:
            return None
        self.busy.add(name)
        try:
            for finder in list(sys.meta_path):
                spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
                if spec is not None:
                    self.prepare(spec.loader)
                    return spec
        finally:
            self.busy.discard(name)
        return None

    def prepare(self, loader):
        execute = getattr(loader, "exec_module", None)
        if execute is None:
            return

        def exec_module(module):
            try:
                del loader.exec_module
            except AttributeError:
                pass  # done already: the loader serves several modules
            execute(module)
            _hang(module)

        try:
            loader.exec_module = exec_module
        except (AttributeError, TypeError):
            pass  # a loader that takes no attributes: nothing is captured from this module


def _hang(module):
    """Hang the door into a parser's module. The door is a file of its own, read only now."""
    name = DOORS.get(module.__name__)
    try:
        if name is not None:
            load("doors/%s.py" % name, "_gitparams_door_" + name).hang(module)
    except Exception as error:
        fault(error)


def load(path, name):
    """Return the module in a file of what is injected, or beside it, under a name that no program has."""
    found = sys.modules.get(name)
    if found is None:
        from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location(name, os.path.join(HERE, *path.split("/")))
        found = module_from_spec(spec)
        # ours is kept as bytecode whatever the program wants for its own: each start would compile it again
        kept, sys.dont_write_bytecode = sys.dont_write_bytecode, False
        try:
            spec.loader.exec_module(found)
        finally:
            sys.dont_write_bytecode = kept
        sys.modules[name] = found  # only now, since another thread takes what it finds there
    return found


class _Depth(_thread._local):
    parses = 0


_depth = _Depth()


class parsing:
    """The time in which a parser works: those that it calls within are part of it, and say nothing."""

    def __enter__(self):
        _depth.parses += 1

    def __exit__(self, *_):
        _depth.parses -= 1


def is_parsing():
    """Tell whether a parser is at work in this thread."""
    return _depth.parses > 0


class Surrounded:
    """A method of a parser; what its outermost call returned is looked at.

    The calls within find the method itself, so that a traceback out of a parser holds one frame of ours at most.
    """

    def __init__(self, method, look):
        from functools import wraps

        @wraps(method)
        def surrounding(parser, *args, **kwargs):
            given = [list(arg) if type(arg) is list else arg for arg in args]  # a parser may use up its words
            _depth.parses += 1
            try:
                result = method(parser, *args, **kwargs)
            finally:
                _depth.parses -= 1
            try:
                look(result, parser, given, kwargs)
            except Exception as error:
                fault(error)
            return result

        self.method, self.surrounding = method, surrounding

    def __get__(self, parser, owner=None):
        return (self.method if _depth.parses else self.surrounding).__get__(parser, owner)


def surround(owner, name, look):
    """Put a look behind a method of a class: ``look(result, parser, args, kwargs)``, after the outermost call returned."""
    setattr(owner, name, Surrounded(getattr(owner, name), look))


# -- whose call was it ----------------------------------------------------------------------------------------------------


def reads_command_line(words):
    """Tell whether a parser that was given these words reads the command line: all of it, or some words of it in order."""
    if words is None:
        return True
    words = list(words)
    return bool(words) and (_are_among(words, sys.argv[1:]) or _are_among(words, _process.rest))


def _are_among(words, whole):
    others = iter(whole)
    return all(word in others for word in words)


def caller(parser, skipped, target=None):
    """Return who called a parser: its module, and whether that is an installed package; None when it is not the user's.

    Args:
        parser: the parser; frames of its own methods, in subclasses too, are not the caller.
        skipped: the top-level packages of the parser's library.
        target: the function that is called with what was parsed. When a console script calls the parser itself, that
            function says whose program it is.
    """
    frame = sys._getframe(1)
    while frame is not None and _is_parsers(frame, parser, skipped):
        frame = frame.f_back
    if frame is None:
        return None
    name = frame.f_globals.get("__name__") or ""
    place, main = frame.f_code.co_filename, _main_package(frame)
    if target is not None and name == "__main__" and _is_console_script():
        name = main = getattr(target, "__module__", None) or ""
        place = getattr(getattr(target, "__code__", None), "co_filename", "")
    top, main = name.partition(".")[0], main.partition(".")[0]
    if name == "__mp_main__" or top in _HOSTS or top in _LAUNCHERS or main in _LAUNCHERS:
        return None
    if _installed(place):
        return {"module": name, "installed": True} if top in (main, "__main__") else None
    if _standard(place):
        return None
    return {"module": name, "installed": False}


def _is_parsers(frame, parser, skipped):
    name = frame.f_globals.get("__name__") or ""
    if name.startswith("_gitparams_") or name.partition(".")[0] in skipped:
        return True
    first = frame.f_code.co_varnames[:1]
    return parser is not None and first == ("self",) and frame.f_locals.get("self") is parser


def _main_package(frame):
    """Return the module that is the main program: of ``-m``, or the one that a console script calls."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None and spec.name != "__main__":
        return spec.name
    if not _is_console_script():
        return ""
    called = None
    while frame is not None and frame.f_globals.get("__name__") != "__main__":
        called, frame = frame, frame.f_back
    return called.f_globals.get("__name__") or "" if called is not None else ""


def _is_console_script():
    script = getattr(sys.modules.get("__main__"), "__file__", None) or ""
    return os.path.basename(os.path.dirname(os.path.abspath(script))) in ("bin", "Scripts")


_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


def _installed(place):
    parts = place.split(os.sep)
    return "site-packages" in parts or "dist-packages" in parts


def _standard(place):
    return place.startswith(("<frozen ", _STANDARD)) and not _installed(place)


def program_name():
    """Return how the program is called: the path of its script, or the module of ``-m``."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name != "__main__":
        return spec.name[: -len(".__main__")] if spec.name.endswith(".__main__") else spec.name
    script = sys.argv[0] if getattr(sys, "argv", None) else ""
    if script and os.path.exists(script):
        return os.path.abspath(script)
    return script or "-"


# -- telling --------------------------------------------------------------------------------------------------------------


def tell(kind, **facts):
    """Write a message, as long as the run goes on."""
    message = {"kind": kind, "time": time.time(), "pid": os.getpid(), "run": _process.run}
    message.update(facts)
    _write(_hello_json(message) if kind == "hello" else _json(message))


def _write(text):
    if not os.path.isdir(FOLDER):
        return
    place = os.path.join(FOLDER, "%d-%d-%d.json" % (time.time_ns(), os.getpid(), next(_process.counter)))
    try:
        with open(place + ".new", "wb") as file:
            file.write(text.encode())
        os.replace(place + ".new", place)
    except OSError:
        pass  # a full disk, or the run is over: the program goes on


def fault(error):
    """Tell of a fault in here, and never of one in the program."""
    try:
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        line = "%s:%d" % (place.tb_frame.f_code.co_filename, place.tb_lineno) if place is not None else ""
        tell("fault", text=_redaction().text("%s: %s" % (type(error).__name__, error)), at=line)
    except Exception:
        pass  # there is nobody left to tell


def report(reporter, values, origins, parser=None, skipped=(), words=None, rest=None, watched=None, target=None):
    """Tell what a parser resolved, if the call was the user's own.

    Args:
        reporter: the parser's library, ``argparse``.
        values: a mapping, or any object that is one in the eyes of ``../objects.py``.
        origins: written path → (source, place): ``{"lr": ("cli", "--lr")}``; what has none is a default.
        parser, skipped, target: as in `caller`.
        words: the words it was given, None when it read ``sys.argv`` by itself.
        rest: the words it left over.
        watched: the object to look at again when the program ends; None for none.
    """
    try:
        who = whose(reporter, parser, skipped, words, target)
        if who is not None:
            tell_params(who, reporter, values, origins, rest, watched)
    except Exception as error:
        fault(error)


def whose(reporter, parser=None, skipped=(), words=None, target=None):
    """Return whose call it was, for `tell_params`; None when it is not to be told. The arguments are those of `report`."""
    if _process.worker or is_parsing() or reporter in _how().get("off", ()):
        return None
    mine = reads_command_line(words)
    if not mine and (_process.spoke or list(words)):
        return None
    who = caller(parser, skipped, target)
    return None if who is None else dict(who, weak=not mine)


def tell_params(who, reporter, values, origins, rest=None, watched=None):
    """Tell what a parser resolved, whose call is known. The other arguments are those of `report`."""
    if rest and not who["weak"]:
        _process.rest = list(rest)
    told = _say(reporter, values, origins, who)
    if watched is not None and told is not None:
        _watch(_Watch(reporter, watched, *told))


def _say(reporter, values, origins, who):
    """Tell params; return the number of the message and the JSON of its values, or None when they are too many."""
    if not _process.said:
        _remember_exit_code()
    _process.spoke = _process.spoke or not who.get("weak")
    clean, hidden = _clean(values)
    told = _json(clean)
    before = _process.said.get((reporter, _process.run))
    if before is not None and before[1] == told:
        return before  # some programs parse again whenever they want to know
    number = next(_process.counter)
    facts = {
        "kind": "params",
        "n": number,
        "time": time.time(),
        "pid": os.getpid(),
        "run": _process.run,
        "reporter": reporter,
        "program": program_name(),
        "origins": {path: (source, _without_secret(at)) for path, (source, at) in origins.items()},
        "redacted": hidden,
    }
    facts.update(who)
    text = '%s, "values": %s}' % (_json(facts)[:-1], told)
    if len(text) > LARGEST:
        sizes = (reporter, len(text) >> 20, LARGEST >> 20)
        tell("fault", text="%s resolved a config of %d MB, and at most %d MB are recorded" % sizes, at="")
        return None
    _write(text)
    _process.said[reporter, _process.run] = (number, told)
    return number, told


def plain(values):
    """Return an object as the mapping that params can hold; what is no mapping is none."""
    found = load("../objects.py", "_gitparams_objects").plain(values)
    return found if isinstance(found, dict) else {}


def _clean(values):
    """Return a config as plain values without secrets, and the keys of what was replaced."""
    clean, hidden = _redaction().values(plain(values))
    return clean, [list(keys) for keys in hidden]


def _without_secret(at):
    return _redaction().command((at,))[0] if at and ("=" in at or ":" in at) else at


def _redaction():
    """Return what is secret: by what gitparams.yaml says, and by what the environment of this process holds."""
    global _redacting
    if _redacting is None:
        known = load("../redaction.py", "_gitparams_redaction").Redaction.from_document(_how().get("redact") or {})
        _redacting = known.knowing(os.environ)
    return _redacting


_redacting = None


class _Watch:
    """An object that was captured, to be looked at once more."""

    def __init__(self, reporter, watched, number, told):
        self.reporter, self.watched, self.run = reporter, watched, _process.run
        self.number, self.told = number, told

    def look(self):
        """Tell the object as it is now, if it changed; keys that the program took out were used up, not changed."""
        clean, _ = _clean(self.watched)
        if _json(clean) == self.told:
            return
        before = _parse(self.told)
        now = dict(before, **clean)
        if _json(now) != _json(before):
            tell("drift", reporter=self.reporter, of=self.number, values=now, run=self.run)


def _watch(watch):
    """Look in the end at an object as it was told last, and of several that were told alike at the last."""
    others = [other for other in _process.watched if other.watched is not watch.watched and other.number != watch.number]
    _process.watched = [*others, watch]


def _parse(text):
    import json

    return json.loads(text)


def _globals():
    """Tell the constants of the main program, where gitparams.yaml asks for it (the variable spares all others the look)."""
    wanted = _how().get("globals") if os.environ.get("GITPARAMS_GLOBALS") else None
    names = _main_names()
    if not wanted or not names or "globals" in _how().get("off", ()):
        return
    place, module = names.get("__file__") or "", getattr(names.get("__spec__"), "name", None) or "__main__"
    if _standard(place) or module.partition(".")[0] in _LAUNCHERS or (_installed(place) and module == "__main__"):
        return
    constants = load("constants.py", "_gitparams_constants")
    values, origins = constants.found(names, wanted, sys.argv[1:], program_name())
    if values:
        _say("globals", values, origins, {"module": module, "installed": _installed(place), "weak": False})


_main = None


def remember_main(names):
    """Remember the names of the main program, for a host that runs it in a mapping of its own."""
    global _main
    _main = names


def _main_names():
    return _main or getattr(sys.modules.get("__main__"), "__dict__", None)


def _how():
    """Return what the parent wants: ``redact``, ``globals``, ``off``."""
    global _asked
    if _asked is None:
        import json

        try:
            with open(os.path.join(FOLDER, "how.json"), encoding="utf-8") as file:
                _asked = json.load(file)
        except (OSError, ValueError):
            _asked = {}
    return _asked


_asked = None


def _json(value):
    import json

    return json.dumps(value)


def _hello_json(value):
    """Return the JSON of a hello. Most programs say no more, and must not pay for the import of `json`."""
    from _json import encode_basestring_ascii

    if type(value) is dict:
        return "{%s}" % ", ".join('"%s": %s' % (key, _hello_json(item)) for key, item in value.items())
    if type(value) is list:
        return "[%s]" % ", ".join(map(_hello_json, value))
    return "null" if value is None else encode_basestring_ascii(value) if type(value) is str else repr(value)


# -- runs within the run --------------------------------------------------------------------------------------------------


class Child:
    """One run of several within this process: a job of a sweep. While it lasts, ``$GITPARAMS_RUN`` is its id.

    A child that never ends, since its job left by ``sys.exit`` or was killed, is closed with the outer run: nothing keeps
    its lock, and a fork of the job lets go of it at once.
    """

    def __init__(self, reporter, skipped):
        self.reporter, self.skipped = reporter, skipped
        self.id = "".join("klmnopqrstuvwxyz"[byte & 15] for byte in os.urandom(16))
        self.folder = os.path.join(os.path.dirname(os.path.dirname(FOLDER)), self.id)
        self.lock = None
        self.outer = None
        self.begun = time.time()

    def begin(self, values, origins, facts):
        """Begin the child, if the call was the user's own: a journal of its own beside the outer run's, and its params."""
        who = _owner(self.reporter, self.skipped)
        if who is None or not os.path.isdir(FOLDER):
            return
        self._make_journal()
        self.outer = (os.getpid(), _process.run, os.environ.get("GITPARAMS_RUN"))
        _process.run = os.environ["GITPARAMS_RUN"] = self.id
        tell("child", event="begin")
        _say(self.reporter, values, origins, dict(who, **facts))

    def end(self, status, code, folder=None):
        """End the child with a status of gitparams and an exit code; a fork of its process ends nothing.

        The folder is the one that was made for it, if any: metrics files are looked for in it first.
        """
        if self.outer is None or self.outer[0] != os.getpid():
            return
        try:
            line = _json({"ending": {"status": status, "time": _now(), "exit_code": code}}) + "\n"
            with open(os.path.join(self.folder, "changes.jsonl"), "a", encoding="ascii") as file:
                file.write(line)
            tell("child", event="end", status=status, code=code, metrics=_copied_metrics(self.begun, folder))
        except OSError:
            pass  # it is closed with the outer run
        finally:
            self._restore()

    def _restore(self):
        _, _process.run, before = self.outer
        self.outer = None
        self._let_go()
        if before is None:
            os.environ.pop("GITPARAMS_RUN", None)
        else:
            os.environ["GITPARAMS_RUN"] = before

    def _make_journal(self):
        """Write the child's ``run.json``: the outer run's, with an id, a parent and times of its own."""
        import json

        with open(os.path.join(os.path.dirname(FOLDER), "run.json"), encoding="utf-8") as file:
            document = json.load(file)
        run = document["run"]
        moment = _now()
        for key in ("name", "group", "finished", "exit_code"):
            run.pop(key, None)
        run.update(id=self.id, parent=run["id"], started=moment, status="running")
        run["event"] = {"kind": "start", "time": moment, "nonce": os.urandom(8).hex()}
        os.mkdir(self.folder)
        self._take_lock()
        temporary = os.path.join(self.folder, "run.json.new")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(document, file)
        os.replace(temporary, os.path.join(self.folder, "run.json"))

    def _take_lock(self):
        try:
            import fcntl

            self.lock = os.open(os.path.join(self.folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            os.register_at_fork(after_in_child=self._let_go)
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (ImportError, OSError):
            pass  # no locks here: the run's state is read from its words alone

    def _let_go(self):
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None


def say(reporter, values, origins, skipped, facts):
    """Tell a config that no command line's parser resolved, if the call was the user's own, with facts of its own."""
    who = None if _process.worker else _owner(reporter, skipped)
    if who is not None:
        _say(reporter, values, origins, dict(who, **facts))


def say_drift(reporter, values):
    """Tell what a config has become by now."""
    number, _ = _process.said.get((reporter, _process.run), (None, None))
    tell("drift", reporter=reporter, of=number, values=_clean(values)[0])


def without_secrets(words):
    """Return words of a command line, or overrides, as they may be written."""
    return [_redaction().command([word])[0] for word in words]


def _owner(reporter, skipped):
    """Return whose call it was; a job in a worker was sent there by the program, which is not above it any more."""
    if reporter in _how().get("off", ()):
        return None
    who = {"module": "__main__", "installed": False} if _process.worker else caller(None, skipped)
    return None if who is None else dict(who, weak=False)


def _now():
    from datetime import datetime

    return datetime.now().astimezone().isoformat()


def is_worker():
    """Tell whether this process was started or forked by a program's own pool."""
    return _process.worker
