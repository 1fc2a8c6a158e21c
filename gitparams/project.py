"""Project: what `init` puts into a repository, and the demo that shows what it is good for."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from gitparams.errors import GitParamsError
from gitparams.git import Git
from gitparams.hook_files import STANDARD, install
from gitparams.ledger import REF
from gitparams.repository import Repository
from gitparams.settings import FILE, read_settings
from gitparams.sync import tracking_ref

_PARAMS_ENDINGS = ("yaml", "yml", "json", "toml", "ini", "cfg")
_PARAMS_PLACES = tuple(f"{stem}.{ending}" for stem in ("params", "config", "hparams", "train") for ending in _PARAMS_ENDINGS)
_PARAMS_FOLDERS = ("conf", "config", "configs")
_METRICS_PLACES = ("metrics.json", "metrics.yaml", "metrics.toml", "metrics.csv", "results.json", "dvclive/metrics.json")
_DRIVER = "gitparams"
_PLAIN_PATTERN = re.compile(r"[^\s\"\\]+")
_PLAIN_FILE = re.compile(r"[A-Za-z0-9_./-]+")
_TEMPLATE = """\
# What gitparams should know of this project. Every line is optional.
experiment: {experiment}          # the experiment of runs that name none
{params}
{metrics}
# metrics: {{acc: max, loss: min}}   # which way is better, where the name does not tell
"""


def prepare(
    repository: Repository, *, fetch: bool = False, hooks: bool = True, messages: bool = False, textconv: bool | None = None
) -> Iterator[str]:
    """Prepare a repository and yield a sentence for each thing done.

    Args:
        repository: where; its gitparams.yaml is written when there is none.
        fetch: add the fetch refspecs.
        hooks: install the hooks that belong to every repository.
        messages: install the hook that adds to commit messages what changed.
        textconv: let ``git diff`` show params instead of lines, or no longer; None leaves that as it is.
    """
    top = repository.git.place.top
    if top is not None:
        yield _write_settings(top, composed=_is_composed(repository.git))
    if hooks:
        yield from install(repository.git, STANDARD)
    if messages:
        yield from install(repository.git, ("prepare-commit-msg",))
    if textconv is not None:
        yield _add_textconv(repository) if textconv else _remove_textconv(repository)
    if fetch:
        yield from _add_refspecs(repository)


def _is_composed(git: Git) -> bool:
    """Tell whether Hydra reads the YAML files of this project: it tells of them what the program got, overrides included."""
    return git.run("grep", "--untracked", "-qF", "@hydra.main", "--", "*.py", check=False).returncode == 0


def _write_settings(top: Path, *, composed: bool) -> str:
    path = top / FILE
    params = [name for name in _params_files(top) if not (composed and name.endswith((".yaml", ".yml")))]
    metrics = [name for name in _METRICS_PLACES if (top / name).is_file()]
    text = _TEMPLATE.format(
        experiment=_plain_word(top.name),
        params=_line("params", params, "conf/train.yaml", "read at every run, in this order"),
        metrics=_line("metrics_files", metrics, "metrics.json", "written by the program"),
    )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return f"{FILE} is there already and stays as it is."
    found = ", ".join([*params, *metrics])
    return f"{FILE} written{f' (found: {found})' if found else ''}; commit it with your code."


def _params_files(top: Path) -> list[str]:
    found = [name for name in _PARAMS_PLACES if (top / name).is_file()]
    for folder in _PARAMS_FOLDERS:
        inside = sorted(path for path in (top / folder).glob("*") if path.suffix[1:] in _PARAMS_ENDINGS)
        if len(inside) == 1:  # several are alternatives as often as parts: the person knows
            found.append(inside[0].relative_to(top).as_posix())
    return found


def _line(key: str, files: list[str], example: str, why: str) -> str:
    listed = ", ".join(file if _PLAIN_FILE.fullmatch(file) else json.dumps(file) for file in files or [example])
    return f"{'' if files else '# '}{key}: [{listed}]   # {why}"


def _plain_word(name: str) -> str:
    word = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip("-.")
    return word if word and not word[0].isdigit() else f"project-{word}".rstrip("-")


def _add_refspecs(repository: Repository) -> Iterator[str]:
    git = repository.git
    remotes = (git.porcelain("remote") or "").split()
    if not remotes:
        yield "There is no remote yet: run gitparams init --fetch again when there is one."
    for remote in remotes:
        # With the asterisk: an exact refspec fails the user's own fetch while the remote has no ledger.
        refspec = f"+{REF}*:{tracking_ref(remote)}*"
        if git.porcelain("config", "--get", f"remote.{remote}.mirror") == "true":
            yield f"{remote} is a mirror: a plain git fetch replaces the ledger by the remote's; the next command joins both."
        elif refspec in (git.porcelain("config", "--get-all", f"remote.{remote}.fetch") or "").split("\n"):
            yield f"{remote} has the fetch refspec already."
        else:
            git.porcelain("config", "--add", f"remote.{remote}.fetch", refspec)
            yield f"git fetch {remote} now brings its runs."


def _add_textconv(repository: Repository) -> str:
    git = repository.git
    settings = read_settings(git.place.top, repository.index)  # which may just have been written
    words = (FILE,) if settings.params else settings.params_files
    patterns = list(dict.fromkeys(pattern for word in words for pattern in _attribute_patterns(word, git.place.top)))
    if not patterns:
        return "git diff stays as it is: gitparams.yaml declares no params files."
    git.run("config", "--local", f"diff.{_DRIVER}.textconv", f"{shlex.quote(sys.executable)} -P -m gitparams.textconv")
    _write_attributes(git, [f"{pattern} diff={_DRIVER}" for pattern in patterns])
    return f"git diff now shows params of {', '.join(words)}; gitparams init --no-textconv undoes it."


def _remove_textconv(repository: Repository) -> str:
    git = repository.git
    known = git.run("config", "--local", "--get", f"diff.{_DRIVER}.textconv", check=False).returncode == 0
    if known:
        git.run("config", "--local", "--remove-section", f"diff.{_DRIVER}")
    _write_attributes(git, [])
    return "git diff shows the lines of params files again." if known else "git diff shows the lines of params files."


def _attribute_patterns(word: str, top: Path | None) -> Iterator[str]:
    """Yield what gitattributes calls the files that a word of the settings names, with or without a prefix."""
    _, sign, rest = word.partition("=")
    name = rest if sign and not (top is not None and (top / word).exists()) else word
    if not Path(name).is_absolute():
        pattern = f"/{PurePosixPath(name)}"
        yield pattern if _PLAIN_PATTERN.fullmatch(pattern) else json.dumps(pattern, ensure_ascii=False)


def _write_attributes(git: Git, lines: list[str]) -> None:
    """Put our lines at the end of the repository's own attributes, in the place of those that are there."""
    path = git.place.common_dir / "info" / "attributes"
    try:
        old = path.read_text("utf-8", "surrogateescape") if path.exists() else ""
        kept = [line for line in old.splitlines() if not line.endswith(f" diff={_DRIVER}")]
        text = "".join(f"{line}\n" for line in (*kept, *lines))
        if text != old:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8", "surrogateescape")
    except OSError as error:
        raise GitParamsError(f"{path} cannot be written: {error.strerror}.") from None


def demo_folder() -> Path:
    """Return the folder of the demo's program in the package."""
    return Path(__file__).parent / "data" / "demo"
