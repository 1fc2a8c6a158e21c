"""The map of the code in `docs/architecture.md` is held here: its modules, its order, and who may start git."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from world import git, gitparams

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "gitparams"
DOCUMENT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
MAP = re.findall(r"^([a-z_/]+\.py)  ", DOCUMENT.partition("```text\n")[2].partition("```")[0], re.M)
MODULES = sorted(
    path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if not {"data", "program"} & set(path.parts)
)

# Modules that start git themselves, and why; everything else asks gitparams/git.py.
STARTS_GIT = {
    "git.py",
    "hook_files.py",  # `git hook run`, in the caller's folder and environment and not in ours
    "cli/demo.py",  # makes a repository where there is none yet
    "cli/options.py",  # asks git for the pager, perhaps outside of any repository
}
# Modules that start processes at all: also the user's program, a pipe of git commands whose words git.py gives, and `ps`.
STARTS_PROCESSES = STARTS_GIT | {"child.py", "snapshot.py", "hooks.py"}
# The two doors that find a module by its name in a table; they look down the map, and nothing else does.
DOORS = {"__init__.py", "cli/__init__.py", "integrations/__init__.py", "plot/__init__.py"}


def tree_of(module):
    return ast.parse((PACKAGE / module).read_text("utf-8"))


def executed(tree):
    """Yield the nodes of a module that are ever executed: all but what is only there for the type checker."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            children = node.orelse
        waiting.extend(children)


def file_of(name):
    """Return the file of a dotted name of the package, or None when it is none of its modules."""
    path = "/".join(name.split(".")[1:])
    return next((file for file in (f"{path}.py", f"{path}/__init__.py".lstrip("/")) if file in MODULES), None)


def imported(module):
    """Return the modules of the package that a module imports, at its top or later."""
    names = set()
    for node in executed(tree_of(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            names.update(inside if all(map(file_of, inside)) else {node.module})
    return {file for name in names if name.split(".")[0] == "gitparams" and (file := file_of(name))}


def child(code, *words, cwd=None):
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_is_on_the_map_once():
    assert sorted(MAP) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_every_import_points_upwards_on_the_map(module):
    above = MAP[: MAP.index(module)]
    assert imported(module) - set(above) == set()


def test_modules_are_found_by_a_table_of_names_in_four_places_only():
    calls = {
        module
        for module in MODULES
        for node in executed(tree_of(module))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) in ("import_module", "__import__")
    }
    assert calls == DOORS


def test_the_package_itself_imports_nothing_of_ours():
    assert imported("__init__.py") == set()


def test_no_module_has_the_name_of_a_public_function():
    # importing a module sets its name on the package, in the place of the function
    import gitparams

    assert {module.removesuffix(".py") for module in MODULES} & set(gitparams.__all__) == set()


def test_no_module_uses_gitpython_but_git_itself():
    users = {
        module
        for module in MODULES
        for node in ast.walk(tree_of(module))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "git" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "git")
    }
    assert users <= {"git.py"}


def test_only_these_modules_start_processes():
    starters = {
        module
        for module in MODULES
        for node in executed(tree_of(module))
        if isinstance(node, ast.Import) and any(alias.name == "subprocess" for alias in node.names)
    }
    assert starters - STARTS_PROCESSES == set()


def test_only_these_modules_start_git():
    starters = {
        module
        for module in MODULES
        for node in executed(tree_of(module))
        if isinstance(node, ast.List | ast.Tuple) and node.elts and getattr(node.elts[0], "value", None) == "git"
    }
    assert starters - STARTS_GIT == set()


def test_importing_gitparams_loads_nothing_else():
    loaded = json.loads(
        child(
            "import sys, json; before = set(sys.modules); import gitparams\n"
            "new = {name: getattr(sys.modules[name], '__file__', None) or '' for name in set(sys.modules) - before}\n"
            "print(json.dumps(new))"
        )
    )
    assert [name for name in loaded if name.startswith("gitparams")] == ["gitparams"]
    assert [name for name, file in loaded.items() if "-packages" in file] == []


@pytest.mark.parametrize("words", [["log"], ["log", "--json"], ["log", "--oneline"], ["log", "-5"], ["show"]], ids=" ".join)
def test_reading_loads_no_yaml_rich_deepdiff_gitpython_or_metadata(repo, words):
    (repo / "gitparams.yaml").write_text("experiment: digits\nmetrics: {acc: max}\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "settings")
    for rate in ("0.1", "0.01"):
        assert gitparams("record", "-p", f"lr={rate}", "-m", "acc=0.9").code == 0
    assert gitparams("log").code == 0  # the settings are parsed once, and kept in the index
    answer = child(
        "import sys; from gitparams.cli import main; code = main(sys.argv[1:])\nprint('loaded', code, *sorted(sys.modules))",
        *words,
    )
    code, *loaded = answer.splitlines()[-1].removeprefix("loaded ").split()
    heavy = {"yaml", "rich", "deepdiff", "git", "importlib.metadata", "pydantic", "numpy"}
    assert (code, heavy & set(loaded)) == ("0", set())


def test_diff_loads_none_of_the_libraries_that_deepdiff_takes_when_they_are_installed(repo, tmp_path):
    for name in ("numpy", "pandas", "polars"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('loaded after all')\n")
    for rate in ("0.1", "0.01"):
        assert gitparams("record", "-p", f"lr={rate}").code == 0
    code = "import sys; sys.path.insert(0, sys.argv[1]); from gitparams.cli import main; code = main(['diff'])\nprint('code', code)"
    assert child(code, str(tmp_path)).splitlines()[-1] == "code 0"


def test_only_the_called_commands_module_is_loaded(repo):
    answer = child("import sys; from gitparams.cli import main; main(['log'])\nprint('loaded', *sorted(sys.modules))")
    commands = {name for name in answer.splitlines()[-1].split() if re.fullmatch(r"gitparams\.cli\.\w+", name)}
    assert commands == {"gitparams.cli.log", "gitparams.cli.options", "gitparams.cli.talk", "gitparams.cli.words"}
