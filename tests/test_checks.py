"""What `gitparams check` finds and what it does not, rule by rule, in real repositories."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from world import git, gitparams, make_repository

from gitparams.checks import before_run, check, check_files
from gitparams.errors import ParamsFileError, UsageError
from gitparams.model import Details, Status
from gitparams.params import Origin, Overridden, layer
from gitparams.repository import Repository
from gitparams.rules import RULES, Finding, Report, stops
from gitparams.writing import Beginning

ROOT = Path(__file__).resolve().parent.parent
AWS_KEY = "AKIA" + "ABCDEFGHIJKLMNOP"
GITHUB_TOKEN = "ghp_" + "a1b2c3d4" * 5
SEED = "seed: 1\n"


def write(repo, name, text):
    path = repo / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def commit(repo):
    git("add", "-A", cwd=repo)
    git("commit", "--quiet", "--allow-empty", "-m", "change", cwd=repo)


def declare(repo, text, settings="params: [conf.yaml]\n"):
    """Write a params file and the settings that name it, and commit both."""
    write(repo, "conf.yaml", text)
    write(repo, "gitparams.yaml", settings)
    commit(repo)


def found(*rules, files=(), overrides=()):
    """Return the findings of a check of the present repository, by some rules only."""
    with Repository.find() as repository:
        return list(check(repository, files=files, rules=rules, overrides=overrides).findings)


def record(params, *, run=None, details=None, status=Status.COMPLETED):
    """Record a run of the present repository with some fields and details of its own; return it."""
    with Repository.find() as repository:
        recorded = repository.record(Beginning(params=layer(params, "code")), {}, status=status)
        if run or details:
            from gitparams.entry import details_files
            from gitparams.model import EventKind

            files = details_files(details) if details else {}
            recorded = repository.change(recorded.id, EventKind.UPDATE, lambda old: replace(old, **(run or {})), files=files)
    return recorded


# -- files that cannot be read --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("bad.yaml", b"a: [1\n", ("it is not YAML: did not find expected ',' or ']'", 2, 1)),
        ("bad.json", b'{"a": }', ("it is not JSON: expecting value", 1, 7)),
        ("latin.yaml", b"ok: 1\nname: M\xfcller\n", ("it is not UTF-8: byte 0xfc at offset 13", 2, None)),
        ("empty.toml", b"", ("the file holds no params", None, None)),
        ("list.yaml", b"- 1\n", ("the file holds a list, not a mapping of params", None, None)),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_at_its_place(repo, name, data, expected):
    (repo / name).write_bytes(data)
    write(repo, "gitparams.yaml", f"params: {name}\n")
    findings = found("unreadable-file")
    assert [(item.rule, item.level, item.file, item.message, item.line, item.column) for item in findings] == [
        ("unreadable-file", "error", name, *expected)
    ]


def test_a_file_that_is_not_there_or_has_an_unknown_ending_is_an_error_too(repo):
    write(repo, "notes.txt", "lr: 1\n")
    write(repo, "gitparams.yaml", "params: [gone.yaml, 'conf/*.yaml', notes.txt]\n")
    assert [(item.file, item.line) for item in found("unreadable-file")] == [
        ("conf/*.yaml", None), ("gone.yaml", None), ("notes.txt", None),
    ]  # fmt: skip


def test_a_file_that_is_too_large_is_an_error_that_names_the_limit(repo):
    with open(repo / "huge.yaml", "wb") as file:
        file.truncate(70_000_000)
    [finding] = check_files(["huge.yaml"]).findings
    assert finding.message == "it has 70,000,000 bytes; a file may have at most 67,108,864 (64 MiB)"


def test_what_cannot_be_read_hides_no_other_finding(repo):
    declare(repo, "lr: 1e-3\n", "params: [bad.yaml, conf.yaml]\n")
    write(repo, "bad.yaml", "a: [1\n")
    assert [(item.file, item.rule) for item in found()] == [
        ("bad.yaml", "untracked-params"), ("bad.yaml", "unreadable-file"), ("conf.yaml", "numeric-text"),
    ]  # fmt: skip


def test_a_sound_file_has_nothing_to_say(repo):
    write(repo, "conf.yaml", "lr: 1.0e-3\nshuffle: true\nname: 'off'\nat: '12:30:00'\npad_token: <pad>\n")
    assert check_files(["conf.yaml"]) == Report((), 1)


# -- what is read as something else ---------------------------------------------------------------------------------------


def test_text_that_looks_like_a_number_is_named_with_its_place_and_what_to_write(repo):
    write(repo, "conf/train.yaml", "optim:\n  lr: 1e-3\n")
    assert found(files=["conf/train.yaml"]) == [
        Finding(
            "numeric-text",
            "warn",
            "optim.lr is the text '1e-3': YAML 1.1 wants a dot in the number and a sign in the exponent; write 1.0e-3",
            "conf/train.yaml",
            2,
            7,
            "optim.lr",
        )
    ]


@pytest.mark.parametrize(
    ("text", "key", "read_as", "fix"),
    [
        ("mode: 0o17\n", "mode", "mode is the text '0o17'", "15"),
        ("at: 12:30\n", "at", "at is the number 750", "'12:30'"),
        ("shuffle: off\n", "shuffle", "shuffle is False", "false, or 'off' for the text"),
        ("day: 2026-11-23\n", "day", "day is the date 2026-11-23", "'2026-11-23'"),
        ("steps: 1_000\n", "steps", "steps is the number 1000", "1000"),
        ("on: 1\n", "true", "the key on is True", "'on'"),
    ],
)
def test_words_that_yaml_reads_otherwise_are_one_rule(repo, text, key, read_as, fix):
    write(repo, "conf.yaml", text)
    [finding] = found(files=["conf.yaml"])
    assert (finding.rule, finding.level, finding.line, finding.key) == ("yaml-word", "warn", 1, key)
    assert finding.message.startswith(f"{read_as}: ") and finding.message.endswith(f"; write {fix}")


def test_numbers_in_quotes_are_looked_for_only_when_that_is_asked_for(repo):
    write(repo, "conf.yaml", "lr: '0.1'\n")
    assert found(files=["conf.yaml"]) == []
    assert [(item.rule, item.level) for item in found("quoted-number", files=["conf.yaml"])] == [("quoted-number", "warn")]


def test_the_params_of_gitparams_yaml_are_looked_at_and_its_settings_are_not(repo):
    write(repo, "gitparams.yaml", "params: {optim: {lr: 1e-3}, items: 2}\ncheck: {drift: off}\n")
    expected = [("gitparams.yaml", 1, "method-name", "items"), ("gitparams.yaml", 1, "numeric-text", "optim.lr")]
    assert [
        (item.file, item.line, item.rule, item.key) for item in found("method-name", "numeric-text", "yaml-word")
    ] == expected
    assert [(item.file, item.line, item.rule, item.key) for item in found(files=["gitparams.yaml"])] == expected


def test_the_keys_of_a_file_with_a_prefix_are_called_as_in_a_run(repo):
    write(repo, "aug.yaml", "rate: 1e-3\npassword: hunter2\n")
    write(repo, "gitparams.yaml", "params: [data.aug=aug.yaml]\n")
    assert [(item.rule, item.key, item.line) for item in found("numeric-text", "secret")] == [
        ("numeric-text", "data.aug.rate", 1), ("secret", "data.aug.password", 2),
    ]  # fmt: skip


def test_keys_that_attribute_access_does_not_reach_are_named(repo):
    write(repo, "conf.yaml", "optim:\n  items: 3\nvalues:\n  a: 1\nitem: 1\n")
    assert found(files=["conf.yaml"]) == [
        Finding("method-name", "warn", "values is no attribute of the params: a method of dict is called values",
                "conf.yaml", None, None, "values", 'params["values"]'),
        Finding("method-name", "warn", "optim.items is no attribute of the params: a method of dict is called items",
                "conf.yaml", 2, None, "optim.items", 'params["optim"]["items"]'),
    ]  # fmt: skip


# -- secrets --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.yaml", "db:\n  password: hunter2\n", ("db.password holds a secret, by its name", 2)),
        ("a.json", '{\n "url": "https://me:hunter2@example.com"}', ("url holds a secret, by its shape", 2)),
        ("a.yaml", f"lr: 1\nkeys:\n- x\n- {AWS_KEY}\n", ("keys holds a secret, by its shape", 2)),
        ("a.yaml", f"# {GITHUB_TOKEN}\nlr: 1\n", ("a secret stands here, by its shape", 1)),
        ("a.yaml", f"- 1\n- {AWS_KEY}\n", ("a secret stands here, by its shape", 2)),
        ("a.toml", f"lr = 1\n[aws]\nid = '{AWS_KEY}'\n", ("aws.id holds a secret, by its shape", 3)),
        ("a.ini", "[db]\npassword = hunter2\n", ("db.password holds a secret, by its name", 2)),
        ("a.py", "API_KEY = 'hunter2'\n", ("API_KEY holds a secret, by its name", 1)),
    ],
)
def test_a_secret_in_a_file_is_an_error_that_never_shows_it(repo, name, text, expected):
    write(repo, name, text)
    findings = found("secret", files=[name])
    assert [(item.message, item.line) for item in findings] == [expected]
    shown = gitparams("check", name, "--json").out + gitparams("check", name, "--rule", "quoted-number").out
    assert not [secret for secret in ("hunter2", AWS_KEY, GITHUB_TOKEN) if secret in shown]


def test_a_secret_that_is_a_number_in_quotes_is_not_shown_by_another_rule(repo):
    write(repo, "conf.yaml", "password: '123456'\n")
    done = gitparams("check", "conf.yaml", "--rule", "quoted-number", "--rule", "secret")
    assert done.out == (
        "conf.yaml:1: error: password holds a secret, by its name (secret)\n"
        "    hint: read it from an environment variable; where it is no secret: redact:\n"
        "    ['!password'] in gitparams.yaml\n"
        "1 error in 1 file\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("password: !!int hunter2\n", "<redacted> cannot be read as int"),
        ("password: *hunter2\n", "the alias <redacted> stands for nothing: there is no <redacted> before it"),
        ("size: !!int hunter2\n", "'hunter2' cannot be read as int"),
    ],
)
def test_what_is_said_of_a_malformed_line_does_not_cite_a_secret(repo, text, message):
    write(repo, "conf.yaml", text)
    assert [item.message for item in found("unreadable-file", files=["conf.yaml"])] == [message]


@pytest.mark.parametrize(
    "text",
    [
        "max_new_tokens: 3\ntokenizer: bpe\npad_token: <pad>\n",
        "password: ${DB_PASSWORD}\ntoken: $HF_TOKEN\napi_key: <your key>\nsecret: '{{ vault.key }}'\n",
        "password: ''\ntoken: null\nsecret: <redacted>\n",
    ],
)
def test_what_only_looks_like_a_secret_or_says_where_it_is_passes(repo, text):
    write(repo, "conf.yaml", text)
    assert found("secret", files=["conf.yaml"]) == []


def test_the_project_says_what_is_a_secret_too_and_what_is_none(repo):
    write(repo, "gitparams.yaml", "redact: [account, '!demo.*']\n")
    write(repo, "conf.yaml", f"account: ada\ndemo:\n  password: public\n  id: {AWS_KEY}\n")
    assert [(item.key, item.line) for item in found("secret", files=["conf.yaml"])] == [("account", 1)]


def test_a_value_of_a_secret_environment_variable_is_a_secret(repo, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "correct-horse")
    write(repo, "conf.yaml", "note: my correct-horse\n")
    assert [item.message for item in found("secret", files=["conf.yaml"])] == ["note holds a secret, by its shape"]


def test_a_tracked_env_file_with_a_secret_is_an_error_wherever_it_is(repo):
    write(repo, "deploy/.env", "LR=0.1\nAPI_KEY=hunter2\n")
    write(repo, ".env.local", "API_KEY=hunter2\n")
    git("add", "deploy/.env")
    assert [(item.file, item.line, item.key) for item in found("secret")] == [("deploy/.env", 2, "API_KEY")]
    assert [(item.file, item.line) for item in found("secret", files=["deploy/.env", ".env.local"])] == [("deploy/.env", 2)]


def test_an_env_file_that_git_does_not_track_is_the_place_for_secrets(repo):
    write(repo, ".gitignore", ".env\n")
    write(repo, ".env", "API_KEY=hunter2\nseed=1\n")
    declare(repo, SEED, "params: [conf.yaml, .env]\n")
    assert found() == []


def test_an_example_of_an_env_file_may_name_secrets_and_not_hold_real_ones(repo):
    write(repo, ".env.example", "API_KEY=your-key-here\n")
    git("add", ".env.example")
    assert found("secret") == []
    write(repo, ".env.example", f"API_KEY={AWS_KEY}\n")
    assert [item.message for item in found("secret")] == ["API_KEY holds a secret, by its shape"]


@given(
    data=st.binary(max_size=100) | st.text("ab:-[]{}#'\"=\n \t.1eéo\x00", max_size=60).map(str.encode),
    ending=st.sampled_from([".yaml", ".json", ".toml", ".ini", ".env", ".py"]),
)
def test_whatever_a_file_holds_it_is_read_or_named(data, ending):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"x{ending}")
        file.write_bytes(data)
        report = check_files([str(file)])
    assert report.files == 1 and {item.file for item in report.findings} <= {str(file)}


# -- the declared params and the work tree --------------------------------------------------------------------------------


def test_params_without_a_seed_are_told(repo):
    declare(repo, "lr: 0.1\nnum_seeds: 3\n")
    hint = "seed: 1, or seeds: [its_name] in gitparams.yaml where it is called otherwise"
    assert found("missing-seed") == [Finding("missing-seed", "warn", "no declared param is a seed", hint=hint)]
    run = record({"lr": 0.1})
    assert [item.message for item in found("missing-seed")] == [f"no declared param is a seed, and run {run.short_id} has none"]


def test_a_seed_that_is_null_is_none(repo):
    declare(repo, "lr: 0.1\nseed: null\n")
    assert [(item.message, item.file, item.line, item.key) for item in found("missing-seed")] == [
        ("seed is null, so no seed is known", "conf.yaml", 2, "seed")
    ]


@pytest.mark.parametrize(
    ("text", "settings", "overrides"),
    [
        ("data: {random_state: 0}\n", "", ()),
        ("salt: 3\n", "seeds: [salt]\n", ()),
        ("lr: 0.1\n", "", ("+seed=1",)),
    ],
)
def test_a_seed_is_found_in_a_file_by_the_settings_or_in_an_override(repo, text, settings, overrides):
    declare(repo, text, "params: [conf.yaml]\n" + settings)
    assert found("missing-seed", overrides=overrides) == []


def test_a_seed_that_only_the_latest_run_knows_is_enough(repo):
    declare(repo, "lr: 0.1\n")
    record({"lr": 0.1, "seed": 3})
    assert found("missing-seed") == []


def test_a_repository_without_params_and_runs_lacks_no_seed(repo):
    assert found() == []


def test_uncommitted_changes_are_counted_and_named(repo):
    declare(repo, SEED)
    assert found("dirty-tree") == []
    write(repo, "new.py", "")
    assert found("dirty-tree") == []
    write(repo, "train.py", "print(1)\n")
    git("mv", "conf.yaml", "moved file.yaml")
    assert found("dirty-tree") == [
        Finding(
            "dirty-tree", "warn", "2 tracked files have uncommitted changes: moved file.yaml, train.py", hint="git commit -a"
        )
    ]


def test_more_than_three_changed_files_are_not_all_named(repo):
    paths = [write(repo, f"{name}.py", "") for name in "abcde"]
    commit(repo)
    assert [path.write_text("1\n") for path in paths] == [2] * 5
    assert [item.message for item in found("dirty-tree")] == [
        "5 tracked files have uncommitted changes: a.py, b.py, c.py and 2 more"
    ]


def test_a_changed_submodule_is_told_apart(repo, tmp_path):
    library = make_repository(tmp_path / "library")
    git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", library, "lib")
    commit(repo)
    assert found("dirty-tree") == []
    write(repo, "lib/new.py", "")
    assert found("dirty-tree") == []
    write(repo, "lib/train.py", "print(2)\n")
    assert found("dirty-tree") == [
        Finding("dirty-tree", "warn", "1 submodule has uncommitted changes: lib", hint="git -C lib status")
    ]


def test_declared_files_that_git_does_not_track_are_told_and_why(repo, tmp_path):
    write(tmp_path, "outside.yaml", SEED)
    write(repo, ".gitignore", "local.yaml\n")
    write(repo, "local.yaml", SEED)
    declare(repo, SEED, "params: [conf.yaml, new.yaml, local.yaml, ../outside.yaml]\n")
    write(repo, "new.yaml", SEED)
    assert [(item.file, item.message, item.hint) for item in found("untracked-params")] == [
        ("../outside.yaml", "it lies outside of the repository, so git does not track it", None),
        ("local.yaml", "git ignores it, so it is tracked nowhere",
         "check: {untracked-params: off} in gitparams.yaml, where that is on purpose"),
        ("new.yaml", "git does not track it", "git add new.yaml"),
    ]  # fmt: skip


def test_files_in_a_submodule_are_tracked_there(repo, tmp_path):
    library = make_repository(tmp_path / "library")
    write(library, "x.yaml", SEED)
    commit(library)
    git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", library, "lib")
    declare(repo, SEED, "params: [lib/x.yaml]\n")
    assert found("untracked-params") == []


def test_a_completed_run_with_the_same_params_and_code_is_named(repo):
    declare(repo, SEED)
    assert found("duplicate-run") == []
    run = record({"seed": 1})
    assert found("duplicate-run") == [
        Finding("duplicate-run", "warn", f"run {run.short_id} completed with exactly these params and this code",
                hint=f"gitparams show {run.short_id}")
    ]  # fmt: skip


@pytest.mark.parametrize("overrides", [("seed=2",), ("seed=1.0",), ("+lr=0.1",)])
def test_other_params_are_no_duplicate(repo, overrides):
    declare(repo, SEED)
    record({"seed": 1})
    assert found("duplicate-run", overrides=overrides) == []


def test_other_code_or_another_end_is_no_duplicate(repo):
    declare(repo, SEED)
    record({"seed": 1}, status=Status.FAILED)
    assert found("duplicate-run") == []
    record({"seed": 1})
    write(repo, "train.py", "print(1)\n")
    assert found("duplicate-run") == []
    commit(repo)
    assert found("duplicate-run") == []


def test_a_run_of_changed_files_is_no_duplicate_of_clean_ones(repo):
    declare(repo, SEED)
    write(repo, "train.py", "print(1)\n")
    record({"seed": 1})
    git("checkout", "--quiet", "train.py")
    assert found("duplicate-run") == []


def test_a_duplicate_is_found_although_its_secrets_were_replaced(repo):
    declare(repo, "password: hunter2\n")
    run = record({"password": "hunter2"})
    assert [item.hint for item in found("duplicate-run")] == [f"gitparams show {run.short_id}"]


# -- the latest run -------------------------------------------------------------------------------------------------------


def test_a_declared_param_that_the_latest_completed_run_never_read_is_named_at_its_place(repo):
    declare(repo, "lr: 0.1\nwarmup: 5\n")
    run = record({"lr": 0.1, "warmup": 5}, run={"unread": ("warmup", "gone")})
    record({"lr": 0.1}, status=Status.FAILED)
    assert found("never-read") == [
        Finding(
            "never-read", "warn", f"warmup is declared, and run {run.short_id} never read it", "conf.yaml", 2, None, "warmup"
        ),
        Finding("never-read", "warn", f"gone is declared, and run {run.short_id} never read it", key="gone"),
    ]
    record({"lr": 0.1})
    assert found("never-read") == []


def test_a_disputed_param_of_the_latest_run_is_told_with_both_values_and_where_they_came_from(repo):
    lost = (Overridden(0.5, "default"), Overridden(0.1, "file", "conf.yaml:1"))
    details = Details(origins={"optim.lr": Origin("argparse", "train.py:9", lost)})
    run = record({"optim": {"lr": 0.01}}, run={"disputed": ("optim.lr", "odd")}, details=details)
    hint = f"gitparams show {run.short_id} --origins"
    assert found("disputed") == [
        Finding("disputed", "warn", f"sources disagree about odd in run {run.short_id}", key="odd", hint=hint),
        Finding("disputed", "warn", f"optim.lr is 0.01 (argparse train.py:9) in run {run.short_id}, against 0.1 (conf.yaml:1)",
                key="optim.lr", hint=hint),
    ]  # fmt: skip
    record({"lr": 1})
    assert found("disputed") == []


def test_params_that_changed_while_the_latest_run_ran_are_told_old_and_new(repo):
    gone = {"missing": True}
    run = record({"lr": 0.01}, run={"drift": {"lr": [0.1, 0.01], "new": [gone, 3], "old": ["x" * 50, gone]}})
    assert [(item.key, item.message) for item in found("drift")] == [
        ("lr", f"lr changed from 0.1 to 0.01 while run {run.short_id} ran"),
        ("new", f"new was set to 3 while run {run.short_id} ran"),
        ("old", f"old was {'x' * 39}…, and was removed while run {run.short_id} ran"),
    ]
    record({"lr": 1})
    assert found("drift") == []


# -- levels, and what stops a run -----------------------------------------------------------------------------------------


def test_settings_turn_a_rule_off_and_make_another_an_error(repo):
    write(repo, "gitparams.yaml", "check: {numeric-text: off, method-name: error, quoted-number: warn}\n")
    write(repo, "conf.yaml", "lr: 1e-3\nitems: 1\nn: '1'\n")
    assert [(item.rule, item.level) for item in found(files=["conf.yaml"])] == [
        ("method-name", "error"),
        ("quoted-number", "warn"),
    ]
    assert [(item.rule, item.level) for item in found("numeric-text", files=["conf.yaml"])] == [("numeric-text", "warn")]


def test_an_unknown_rule_is_told_with_the_one_that_was_meant(repo):
    with pytest.raises(UsageError, match=r"^There is no rule 'drif'; did you mean drift\?$"):
        found("drif")
    write(repo, "gitparams.yaml", "check: {missing-sed: off}\n")
    with pytest.raises(ParamsFileError, match=r"^gitparams.yaml: check.missing-sed is no rule; did you mean missing-seed\?$"):
        found()


def test_without_a_check_section_nothing_is_looked_at_before_a_run(repo):
    declare(repo, "lr: 1e-3\n")
    with Repository.find() as repository:
        assert before_run(repository, repository.declared_layer((), ())) == []


def test_before_a_run_the_rules_that_the_settings_name_are_followed_and_errors_stop(repo):
    declare(
        repo,
        "lr: 1e-3\npassword: hunter2\n",
        "params: conf.yaml\ncheck: {secret: error, numeric-text: warn, drift: warn, disputed: error}\n",
    )
    record({"lr": 1}, run={"drift": {"lr": [1, 2]}, "disputed": ("lr",)})
    with Repository.find() as repository:
        findings = before_run(repository, repository.declared_layer((), ()))
        stopping = stops(findings, repository.settings)
    assert [(item.rule, item.level) for item in findings] == [
        ("numeric-text", "warn"),
        ("secret", "error"),
        ("disputed", "error"),
    ]
    assert [item.rule for item in stopping] == ["secret", "disputed"]


def test_before_a_run_the_params_it_will_have_count_and_given_files_take_the_place_of_declared_ones(repo):
    declare(repo, "lr: 1e-3\n", "params: conf.yaml\ncheck: {missing-seed: error, duplicate-run: error, numeric-text: error}\n")
    other = write(repo, "other.yaml", "n: 1e5\n")
    commit(repo)
    run = record({"n": 1, "seed": 2})
    with Repository.find() as repository:
        findings = before_run(repository, layer({"n": 1, "seed": 2}, "cli"), [other.name])
    assert [(item.file, item.message.partition(":")[0]) for item in findings] == [
        ("other.yaml", "n is the text '1e5'"),
        (None, f"run {run.short_id} completed with exactly these params and this code"),
    ]


# -- the command ----------------------------------------------------------------------------------------------------------


def test_the_command_exits_with_1_on_an_error_only(repo):
    declare(repo, "lr: 1e-3\n" + SEED)
    warned = gitparams("check", env={"COLUMNS": "200"})
    assert (warned.code, warned.out, warned.err) == (
        0,
        "conf.yaml:1:5: warn: lr is the text '1e-3': YAML 1.1 wants a dot in the number and a sign in the exponent; write 1.0e-3"
        " (numeric-text)\n1 warning in 1 file\n",
        "",
    )
    strict = gitparams("check", "--strict")
    assert (strict.code, strict.out.splitlines()[-1]) == (1, "1 error in 1 file")
    errors_only = gitparams("check", "--level", "error")
    assert (errors_only.code, errors_only.out) == (0, "1 file, nothing to say.\n")
    write(repo, "conf.yaml", "lr: [")
    assert gitparams("check").code == 1


def test_the_command_takes_overrides_and_says_when_one_is_wrong(repo):
    declare(repo, "lr: 0.1\n")
    assert gitparams("check", "--rule", "missing-seed", "-p", "+seed=1").out == "1 file, nothing to say.\n"
    done = gitparams("check", "--rule", "secret", "-p", "seed")
    assert (done.code, done.out) == (2, "") and "'seed' is not an override" in done.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--rule", "drif"], "There is no rule 'drif'; did you mean drift?"),
        (["--level", "info"], "--level 'info' is not one of warn, error."),
        (["conf.yaml", "-p", "lr=1"], "-p stands above the declared params, and with FILE only files are looked at."),
    ],
)
def test_wrong_words_are_a_usage_error(repo, words, sentence):
    done = gitparams("check", *words)
    assert (done.code, done.out, done.err.splitlines()[0]) == (2, "", f"gitparams: {sentence}")


def test_the_json_holds_all_of_each_finding(repo):
    write(repo, "conf.yaml", "items: 1\n")
    done = gitparams("check", "conf.yaml", "--json")
    assert json.loads(done.out) == {
        "findings": [
            {
                "rule": "method-name",
                "level": "warn",
                "message": "items is no attribute of the params: a method of dict is called items",
                "file": "conf.yaml",
                "line": 1,
                "column": None,
                "key": "items",
                "hint": 'params["items"]',
            }
        ],
        "errors": 0,
        "warnings": 1,
        "files": 1,
    }


def test_the_rules_are_listed_with_the_levels_that_the_settings_give_them(repo):
    write(repo, "gitparams.yaml", "check: {drift: error, secret: off}\n")
    document = json.loads(gitparams("check", "--rules", "--json").out)
    assert [item["rule"] for item in document["rules"]] == list(RULES)
    assert {item["rule"]: item["level"] for item in document["rules"] if item["rule"] in ("drift", "secret", "numeric-text")} == {
        "secret": "off", "numeric-text": "warn", "drift": "error",
    }  # fmt: skip


def test_files_can_be_looked_at_without_a_repository(tmp_path):
    write(tmp_path, "conf.yaml", "password: hunter2\n")
    write(tmp_path, ".env", "API_KEY=hunter2\n")
    done = gitparams("check", "conf.yaml", ".env", cwd=tmp_path)
    assert (done.code, done.err) == (1, "")
    assert [line for line in done.out.splitlines() if "(" in line] == [
        "conf.yaml:1: error: password holds a secret, by its name (secret)"
    ]
    assert done.out.splitlines()[-1] == "1 error in 2 files"
    assert gitparams("check", cwd=tmp_path).code == 2
    assert gitparams("check", "--rules", cwd=tmp_path).code == 0


def test_files_are_named_as_they_were_given_from_any_folder(repo):
    write(repo, "conf/train.yaml", "items: 1\n")
    write(repo, "--odd.yaml", "items: 1\n")
    assert gitparams("check", "train.yaml", "../conf/*.yaml", "--", "../--odd.yaml", cwd=repo / "conf").out == (
        "../--odd.yaml:1: warn: items is no attribute of the params: a method of dict is\n"
        "    called items (method-name)\n"
        '    hint: params["items"]\n'
        "train.yaml:1: warn: items is no attribute of the params: a method of dict is\n"
        "    called items (method-name)\n"
        '    hint: params["items"]\n'
        "2 warnings in 2 files\n"
    )


def test_a_bare_repository_is_looked_at_without_a_work_tree(tmp_path):
    git("init", "--quiet", "--bare", tmp_path / "bare.git")
    done = gitparams("check", cwd=tmp_path / "bare.git")
    assert (done.code, done.out, done.err) == (0, "Nothing to say.\n", "")


# -- the pre-commit framework ---------------------------------------------------------------------------------------------

HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}


def run_hook(name, *files, cwd):
    """Run a hook as pre-commit does: its entry, and the names of files."""
    program, *words = shlex.split(HOOKS[name]["entry"])
    assert program == "gitparams"
    return subprocess.run(
        [sys.executable, "-m", program, *words, *files], cwd=cwd, capture_output=True, text=True, check=False, env=os.environ
    )


def test_the_hooks_for_pre_commit_say_what_it_needs():
    assert {name: (hook["entry"], hook["language"], hook["pass_filenames"]) for name, hook in HOOKS.items()} == {
        "gitparams-check": ("gitparams check", "python", True),
        "gitparams-secrets": ("gitparams check --rule secret", "python", True),
    }
    assert HOOKS["gitparams-check"]["types_or"] == ["yaml", "json", "toml", "ini"]


@pytest.mark.parametrize("name", ["gitparams-check", "gitparams-secrets"])
def test_a_hook_fails_on_a_staged_secret_and_passes_without(repo, name):
    write(repo, "good.yaml", SEED)
    write(repo, ".env", "API_KEY=hunter2\n")
    write(repo, "bad.json", '{"password": "hunter2"}')
    git("add", "-A")
    assert run_hook(name, "good.yaml", cwd=repo).returncode == 0
    done = run_hook(name, "good.yaml", ".env", "bad.json", cwd=repo)
    assert (done.returncode, done.stderr) == (1, "")
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")] == [
        ".env:1: error: API_KEY holds a secret, by its name (secret)",
        "bad.json:1: error: password holds a secret, by its name (secret)",
        "2 errors in 3 files",
    ]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("conf/a.yaml", True),
        (".env", True),
        ("deploy/.env.local", True),
        ("prod.env", True),
        ("train.py", False),
        ("environment", False),
    ],
)
def test_the_secrets_hook_gets_files_of_params_and_env_files(name, answer):
    import re

    assert (re.search(HOOKS["gitparams-secrets"]["files"], name) is not None) is answer
