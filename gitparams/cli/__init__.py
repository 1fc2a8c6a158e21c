"""The command line: finds the command's module, loads only that, and turns errors into sentences and exit codes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

# command → (its module, what it does). Only the called one is loaded.
COMMANDS = {
    "init": ("init", "Prepare this repository: gitparams.yaml and hooks"),
    "run": ("run", "Run a program and record it"),
    "start": ("start", "Begin a run from a shell or job script; prints its id"),
    "update": ("update", "Add params or metrics to a run"),
    "finish": ("finish", "End a run that start began"),
    "record": ("record", "Record one finished run at once"),
    "log": ("log", "List runs, newest first, with what changed"),
    "show": ("show", "Show all about one run"),
    "diff": ("diff", "Show what differs between runs"),
    "blame": ("blame", "Show which run changed each param last, and what it did"),
    "bisect": ("bisect", "Find the changes that explain a worse metric, with the fewest new runs"),
    "tag": ("tag", "Add or remove tags of a run"),
    "note": ("note", "Set the note of a run"),
    "rename": ("rename", "Give a run a name"),
    "rm": ("rm", "Hide runs, or bring them back with --undo"),
    "purge": ("purge", "Remove runs for good, with all their bytes"),
    "push": ("push", "Bring the runs to a git remote"),
    "pull": ("pull", "Bring the runs of a git remote"),
    "sync": ("sync", "Pull and push"),
    "plot": ("plot", "Draw pictures of runs: plot parallel -o x.html"),
    "export": ("export", "Write runs into a file: bundle, tensorboard, hiplot"),
    "import": ("import_", "Bring in runs from elsewhere: spool, bundle, tensorboard, neptune, optuna"),
    "check": ("check", "Find what is worth a stop: secrets, misread values, no seed …"),
    "hooks": ("hooks", "Install and run the hooks of runs and of commits"),
    "verify": ("verify", "Check that the ledger is whole, and who signed it"),
    "doctor": ("doctor", "Find faults, and mend what can be mended"),
    "completion": ("completion", "Complete command lines in bash, zsh and fish"),
    "demo": ("demo", "Make a repository with a small sweep, and look at it"),
}


def program() -> NoReturn:
    """Run the command of this process, and end it.

    What an interpreter frees piece by piece at its end the kernel frees at once, which is a tenth of a command's time; and a
    command is over before a collection of garbage would pay.
    """
    import atexit
    import gc

    gc.disable()
    _speak_utf8()
    code = main()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads us any more
    os._exit(code)


def _speak_utf8() -> None:
    """Begin anew where this Python takes names of files for ASCII: git's are UTF-8, and no folder with an accent is found.

    The environment stays, and with it what a program that is run sees.
    """
    if sys.getfilesystemencoding() == "ascii" and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606  the very command


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 fine, 1 an expected no, 2 usage, 3 our bug, 130 ^C."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _command(words)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Nobody reads us any more (`| head`); keep Python from complaining while it closes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:  # noqa: BLE001  the boundary: every error ends here as a sentence
        return _explain(error, words)


def _command(words: list[str]) -> int:
    while words and words[0] == "-C" and len(words) > 1:
        _change_folder(words[1])
        words = words[2:]
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if words else 2
    if words[0] in ("--version", "version"):
        from gitparams import __version__

        print(f"gitparams {__version__}")
        return 0
    if words[0] == "__complete":  # a shell asks, at every TAB
        from gitparams.cli.tab import answer

        return answer(words[1:])
    if words[0] not in COMMANDS:
        return _unknown(words[0])
    return _typer(words[0], words[1:])


def _typer(name: str, words: list[str]) -> int:
    from gitparams.cli.words import cut

    before = cut(words)
    if name == "log":
        before = [part for word in before for part in (("-n", word[1:]) if re.fullmatch(r"-\d+", word) else (word,))]
    app = import_module(f"gitparams.cli.{COMMANDS[name][0]}").app
    try:
        result = app(before, prog_name=f"gitparams {name}", standalone_mode=True)
    except SystemExit as end:
        result = end.code
    sys.stdout.flush()
    return result if isinstance(result, int) else 0


def _change_folder(folder: str) -> None:
    from gitparams.errors import UsageError

    try:
        os.chdir(folder)
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}.") from None


def _explain(error: Exception, words: list[str]) -> int:
    from gitparams.cli.talk import explain
    from gitparams.errors import CommandLineError, GitParamsError

    if isinstance(error, GitParamsError):
        explain(error)
        return 125 if words[:1] == ["run"] and not isinstance(error, CommandLineError) else error.exit_code
    import traceback

    if os.environ.get("GITPARAMS_DEBUG"):
        traceback.print_exc()
    last = traceback.extract_tb(error.__traceback__)[-1]
    print(
        f"gitparams: this is a bug: {type(error).__name__}: {error} ({last.filename.rpartition(os.sep)[2]}:{last.lineno}).",
        file=sys.stderr,
    )
    print("hint: GITPARAMS_DEBUG=1 shows where it comes from; please report it", file=sys.stderr)
    return 3


def _unknown(name: str) -> int:
    import difflib

    from gitparams.cli.talk import explain
    from gitparams.errors import UsageError

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    explain(UsageError(f"There is no command {name!r}.", hint=f"gitparams {near[0]}" if near else "gitparams --help"))
    return 2


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{text}" for name, (_, text) in COMMANDS.items()]
    head = (
        "gitparams: the history of a program's parameters, kept in git\n\n"
        "Usage: gitparams [-C DIR] COMMAND …  (or git params COMMAND …)\n"
    )
    foot = "\nFirst steps: gitparams demo · gitparams run -- python train.py · gitparams log"
    return "\n".join([head, *lines, foot])
