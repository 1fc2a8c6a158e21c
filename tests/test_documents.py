"""The documents, held to the program: settings, rules, commands, flags and links that they name are there."""

import functools
import os
import re
import shlex
from pathlib import Path

import pytest
from world import gitparams

from gitparams.cli import COMMANDS
from gitparams.directions import Direction
from gitparams.reading import Rules
from gitparams.rules import RULES
from gitparams.settings import _CAPTURE_KEYS, _KEYS, FILE, Capture, Settings, read_settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
SETTINGS = PAGES["docs/settings.md"]
GUIDE = "".join(PAGES[f"docs/{name}.md"] for name in ("guide", "history", "sharing"))
SPOKEN_OF = ("README.md", "docs/guide.md", "docs/history.md", "docs/sharing.md", "docs/settings.md", "CHANGELOG.md")

# Flags of other programs that the pages show: the user's own script, a parser's, git's.
FOREIGN = {"--lr", "--depth", "--user"}


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def rows(text, heading):
    """Return the cells of the rows of the first table below a heading."""
    table = re.search(r"^\|[-|]+\|\n((?:\|.*\n)+)", text[text.index(heading) :], re.M)[1]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()]


def settings_of(text, folder):
    (folder / FILE).write_text(text, "utf-8")
    return read_settings(folder)


# -- gitparams.yaml -------------------------------------------------------------------------------------------------------

ANNOTATED = blocks(SETTINGS, "yaml")[0]
EXAMPLES = [text for page in (SETTINGS, GUIDE) for text in blocks(page, "yaml") if not text.startswith("hooks:")]


def test_the_annotated_example_is_read_as_its_comments_say(tmp_path):
    assert settings_of(ANNOTATED, tmp_path) == Settings(
        experiment="digits",
        params_files=("conf/*.yaml", "data.aug=conf/more/augment.toml"),
        metrics_files=("metrics.json",),
        directions={"acc": Direction.MAX, "perplexity": Direction.MIN},
        env_prefix="TRAIN_",
        program="train",
        inputs=("data/train.csv", "data/val/*.csv"),
        capture=Capture(globals=True, output=("loss", "val_*"), variables=("MYLIB_*",), tensorboard=("logs",)),
        silent=("absl",),
        redact=("account_id", "!demo.token"),
        seeds=("salt",),
        ignore=("run_name",),
        rules=Rules.of([{"rename": {"lr": "optim.lr"}}]),
        check={"secret": "error", "missing-seed": "error", "dirty-tree": "off"},
    )


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_gitparams_yaml_of_the_pages_is_accepted(tmp_path, text):
    assert settings_of(text, tmp_path) != Settings()


def test_every_setting_is_in_the_annotated_example():
    assert set(re.findall(r"^([a-z_]+):", ANNOTATED, re.M)) == set(_KEYS)
    assert set(re.findall(r"^  ([a-z_]+): ", ANNOTATED.partition("capture:")[2].partition("sources:")[0], re.M)) == set(
        _CAPTURE_KEYS
    )


def test_every_setting_has_a_row_and_no_other_word_has():
    named = {row[0].strip("`") for row in rows(SETTINGS, "## What can be set?")}
    assert named == set(_KEYS) | {f"capture.{key}" for key in _CAPTURE_KEYS}


SETTING_ROWS = rows(SETTINGS, "## What can be set?")


@pytest.mark.parametrize("row", SETTING_ROWS, ids=[f"{row[0]} {row[4]}" for row in SETTING_ROWS])
def test_the_example_in_a_setting_s_row_is_accepted(tmp_path, row):
    key, example = row[0].strip("`"), row[4].strip("`")
    text = f"capture: {{{key.partition('.')[2]}: {example}}}" if "." in key else f"{key}: {example}"
    assert settings_of(text, tmp_path) != Settings()


# -- rules ----------------------------------------------------------------------------------------------------------------


def test_the_guide_lists_every_rule_of_check_with_its_level():
    assert rows(GUIDE, "## What is worth a stop?") == [
        [f"`{name}`", rule.looks_for, rule.level] for name, rule in RULES.items()
    ]


# -- commands and flags ---------------------------------------------------------------------------------------------------


@functools.cache
def flags_of(command):
    """Return the flags that the help of a command lists, ``--help`` among them."""
    shown = gitparams(*command.split(), "--help", env={"COLUMNS": "200"})
    assert shown.code == 0, shown.err
    return frozenset(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", shown.out))


def calls(text):
    """Return what a page shows of gitparams: command (``hooks run`` counts as one) and the flags of each call."""
    code = "\n".join([*blocks(text, "(?:sh|console)"), *re.findall(r"(?<!`)`([^`]+)`(?!`)", text)])
    found = re.findall(r"(?:^(?:\$ )?|\$\(|&& |\|\| )(?:gitparams|git params) (.+)", code, re.M)
    return [call for line in found if (call := read_call(line)) is not None]


def read_call(line):
    line = re.split(r" -- | --$| \|\| | && |\) *$|  #| \d?> [\w./-]+$", line)[0]
    words = shlex.split(line.replace("…", ""), comments=False)
    while words and words[0] == "-C":
        words = words[2:]
    if not words or not re.fullmatch(r"[a-z]+", words[0]):
        return None
    command = " ".join(words[:2]) if words[0] == "hooks" and len(words) > 1 else words[0]
    flags = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return command, tuple(flags)


CALLS = sorted({(page, *call) for page in SPOKEN_OF for call in calls(PAGES[page])})


def test_the_pages_show_most_of_the_commands():
    assert len({command.split()[0] for _, command, _ in CALLS} & COMMANDS.keys()) >= 15


@pytest.mark.parametrize(("page", "command", "flags"), CALLS, ids=[f"{page}: {' '.join([c, *f])}" for page, c, f in CALLS])
def test_every_command_and_flag_that_a_page_shows_exists(page, command, flags):
    assert command.split()[0] in COMMANDS
    assert set(flags) <= flags_of(command)


@pytest.mark.parametrize("page", ["docs/guide.md", "docs/settings.md", "README.md"])
def test_every_flag_that_a_page_speaks_of_is_one_of_ours(page):
    spans = re.findall(r"(?<!`)`(--?[a-z][^`]*)`(?!`)", PAGES[page])
    spoken = {flag for span in spans for flag in re.findall(r"(?:^|\s)(--[a-z][a-z-]*)", span)}
    ours = frozenset().union(*(flags_of(command) for command in COMMANDS), flags_of("hooks status"))
    assert spoken - FOREIGN <= ours


def test_every_command_is_in_the_guide():
    assert {command for command in COMMANDS if not re.search(rf"gitparams\s{command}\b|^{command} ", GUIDE, re.M)} <= {"demo"}


# -- links ----------------------------------------------------------------------------------------------------------------


def anchors(text):
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


LINKS = sorted(
    {(page, link) for page, text in PAGES.items() for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link}
)


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_every_link_between_the_pages_leads_somewhere(page, link):
    place, _, anchor = link.partition("#")
    target = os.path.normpath((ROOT / page).parent / place) if place else ROOT / page
    assert Path(target).exists()
    assert not anchor or anchor in anchors(Path(target).read_text("utf-8"))
