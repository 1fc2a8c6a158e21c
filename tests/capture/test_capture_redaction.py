from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitparams.capture.overrides import overrides_layer
from gitparams.capture.redaction import (
    DEFAULT,
    Redaction,
    is_secret_name,
    redact,
    redact_command,
    redact_layer,
    redact_text,
    secrets_of,
)
from gitparams.params import Layer, Origin, Overridden
from gitparams.values import same

SECRET_NAMES = [
    "password",
    "passwd",
    "PWD",
    "dbPassword",
    "db-password",
    "passphrase",
    "secret",
    "secrets",
    "client_secret",
    "secret_key",
    "aws_secret_access_key",
    "api_key",
    "apikey",
    "APIKey",
    "apiKey",
    "OPENAI_API_KEY",
    "access_key",
    "private_key",
    "credential",
    "credentials",
    "auth_token",
    "bearer",
    "bearer_token",
    "token",
    "hf_token",
    "HFToken",
    "wandb-token",
    "api_tokens",
]
HARMLESS_NAMES = [
    "num_tokens",
    "max_tokens",
    "max_new_tokens",
    "tokenizer",
    "tokenizer_name",
    "token_limit",
    "pad_token",
    "pad_token_id",
    "eos_token",
    "eos_token_id",
    "bos_token",
    "unk_token",
    "mask_token",
    "sep_token",
    "cls_token",
    "num_memory_tokens",
    "token_dropout",
    "tokens",
    "decoder_start_token_id",
    "secret_santa",
    "seed",
    "key",
    "keys",
    "monkey",
    "keyboard_layout",
    "primary_key",
    "authors",
    "passes",
    "compass",
]
SHAPES = {
    "aws": "AKIA" + "ABCDEFGH12345678",
    "github": "ghp_" + "a1" * 18,
    "github oauth": "gho_" + "a1" * 18,
    "github fine-grained": "github_pat_" + "a1_B" * 12,
    "hugging face": "hf_" + "aB" * 17,
    "openai": "sk-" + "aB3" * 16,
    "openai project": "sk-proj-" + "aB3dE6gH9kL2mN5" * 4 + "-_x",
    "anthropic": "sk-ant-api03-" + "aB3dE6gH9" * 8,
    "slack": "xoxb-" + "1234567890-abcdef",
    "google": "AIza" + "aB3_-" * 7,
    "jwt": "eyJhbGciOi.eyJzdWIiOiIx.c2lnbmF0dXJl",
    "aws session": "ASIA" + "ABCDEFGH12345678",
    "gitlab": "glpat-" + "aB3dE6gH9kL2mN5_-x9z",
    "google oauth": "ya29.a0" + "aB3_-" * 8,
    "stripe": "sk_live_" + "aB3dE6gH9kL2mN5x",
    "stripe restricted": "rk_test_" + "aB3dE6gH9kL2mN5x",
    "npm": "npm_" + "aB3dE6gH9" * 4,
    "pypi": "pypi-AgEIcHlwaS5vcmc" + "aB3dE6gH9" * 4,
    "sendgrid": "SG." + "aB3dE6gH9kL2mN5x_-1234" + "." + "aB3dE6gH9kL2mN5x_-1234aB3dE6gH9kL2mN5x_-123",
    "groq": "gsk_" + "aB3d" * 13,
    "replicate": "r8_" + "aB3d" * 9 + "x",
    "databricks": "dapi" + "0123456789abcdef" * 2,
    "nvidia": "nvapi-" + "aB3_" * 16,
    "vault": "hvs." + "CAESI" * 6,
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "cut private key": "-----BEGIN PRIVATE KEY-----\nMIIE",
}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(["token", "lr", "password", "secrets"]), inner, max_size=4)
    ),
    max_leaves=15,
)


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_secret_name_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_a_harmless_name_is_left_alone(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("secret", SHAPES.values(), ids=SHAPES.keys())
def test_a_secret_is_known_by_its_shape_anywhere_in_a_text(secret: str) -> None:
    assert redact_text(f"before {secret}") == "before <redacted>"


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn-gradient-boosting",
        "task-aware-distillation-of-0123456789abcdef",
        "hf_hub_download_something_long",
        "Bearer of good news",
        "npm_config_registry and sk_live_here",
        "SG.short and r8_small and gsk_model",
        "https://example.com/a@b?x=1",
        "ssh://git@github.com/org/repo.git",
        "git@github.com:org/repo.git",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ],
)
def test_an_ordinary_text_is_left_alone(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:pass@host/x?a=1", "https://<redacted>@host/x?a=1"),
        ("postgres://u:p@ss@db:5432/x", "postgres://<redacted>@db:5432/x"),
        ("https://onlytoken@host", "https://<redacted>@host"),
        ("https://host/x?size=3&api_key=abc#top", "https://host/x?size=3&api_key=<redacted>#top"),
        ("Authorization: Bearer abc123def456", "Authorization: Bearer <redacted>"),
        ("AccountName=me;AccountKey=" + "ab+/" * 21 + "==;X=1", "AccountName=me;AccountKey=<redacted>;X=1"),
        ("SharedAccessKey=" + "ab+/" * 10 + "=", "SharedAccessKey=<redacted>"),
        (
            "https://hooks.slack.com/services/T01234567/B01234567/aB3dE6gH9kL2mN5xaB3dE6gH",
            "https://hooks.slack.com/services/<redacted>",
        ),
        (
            "https://discord.com/api/webhooks/123456789012345678/" + "aB3_-" * 13,
            "https://discord.com/api/webhooks/<redacted>",
        ),
    ],
)
def test_only_the_secret_of_a_text_is_replaced(text: str, expected: str) -> None:
    assert redact_text(text) == expected


def test_params_lose_their_secrets_and_say_which() -> None:
    config: dict[str, Any] = {
        "db": {"password": "hunter2", "port": 5432, "url": "mysql://a:b@h/x"},
        "api.key": "abc",
        "hosts": [{"token": "t", "name": "n"}],
        "secrets": {"first": "a", "deep": {"second": "b", "n": 1}},
        "max_new_tokens": "64",
        "token": "",
    }

    assert redact(config) == (
        {
            "db": {"password": "<redacted>", "port": 5432, "url": "mysql://<redacted>@h/x"},
            "api.key": "<redacted>",
            "hosts": [{"token": "<redacted>", "name": "n"}],
            "secrets": {"first": "<redacted>", "deep": {"second": "<redacted>", "n": 1}},
            "max_new_tokens": "64",
            "token": "",
        },
        ("db.password", "db.url", '["api.key"]', "hosts", "secrets.first", "secrets.deep.second"),
    )


@pytest.mark.parametrize("value", [None, True, 7, 0.5, float("nan")])
def test_what_is_no_text_is_never_redacted_by_name(value: Any) -> None:
    result, replaced = redact({"password": value})

    assert same(result, {"password": value})
    assert replaced == ()


def test_the_mapping_given_is_not_changed() -> None:
    config = {"a": {"password": "x"}, "b": [{"password": "y"}]}

    redact(config)  # type: ignore[arg-type]

    assert config == {"a": {"password": "x"}, "b": [{"password": "y"}]}


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--api-key", "abc", "--lr", "1"], ["--api-key", "<redacted>", "--lr", "1"]),
        (["--api-key=abc"], ["--api-key=<redacted>"]),
        (["--use-token", "--lr", "1"], ["--use-token", "--lr", "1"]),
        (["-p", "db.password=x"], ["-p", "db.password=<redacted>"]),
        (["-pdb.password=x"], ["-pdb.password=<redacted>"]),
        (["-ppassword=x"], ["-ppassword=<redacted>"]),
        (["+db.password=x"], ["+db.password=<redacted>"]),
        (["--set=db.password=x"], ["--set=db.password=<redacted>"]),
        (["-p", "db={password: x, lr: 1}"], ["-p", "db={password: <redacted>, lr: 1}"]),
        (["env", "PASSWORD=x", "python"], ["env", "PASSWORD=<redacted>", "python"]),
        (["bash", "-c", "train --token abc --lr 1"], ["bash", "-c", "train --token <redacted> --lr 1"]),
        (["curl", "https://u:p@h/x"], ["curl", "https://<redacted>@h/x"]),
        (["-p", "secrets.first=x"], ["-p", "secrets.first=<redacted>"]),
        (["bash", "-c", "train --token abc --lr=1"], ["bash", "-c", "train --token <redacted> --lr=1"]),
        (['{"eq": "a=b", "password": "x"}'], ['{"eq": "a=b", "password": <redacted>}']),
        (["--url=https://h/x?token=abc&size=3"], ["--url=https://h/x?token=<redacted>&size=3"]),
        (["--connect=AccountKey=" + "ab+/" * 10 + "=="], ["--connect=AccountKey=<redacted>"]),
        (["--password=", "x"], ["--password=", "x"]),
        (["-", "--", "=x", "-D", ".=y"], ["-", "--", "=x", "-D", ".=y"]),
        (["a=" * 5000], ["a=" * 5000]),
        (["--pad-token", "<pad>", "--tokenizer=bpe"], ["--pad-token", "<pad>", "--tokenizer=bpe"]),
    ],
)
def test_a_command_loses_its_secrets(args: list[str], expected: list[str]) -> None:
    assert redact_command(args) == tuple(expected)


PROJECT = Redaction.of(["account*", "Db.HOST", "internal", "!demo.token", "!internal.name", "!fake_key"])


def test_a_project_adds_and_exempts_by_globs() -> None:
    config: dict[str, Any] = {
        "account-id": 7,
        "Accounts": [1.5, None, "", {"x": True}],
        "db": {"host": "db.example.com", "port": 1},
        "host": "example.com",
        "internal": {"a": {"b": "x", "n": 0.5, "none": None}, "name": "shown"},
        "demo": {"token": "shown"},
        "token": "hidden",
        "fake_key": "ghp_" + "a1" * 18,
        "runs": [{"account": "x", "lr": 0.1}],
    }

    assert PROJECT.values(config) == (
        {
            "account-id": "<redacted>",
            "Accounts": ["<redacted>", None, "", {"x": "<redacted>"}],
            "db": {"host": "<redacted>", "port": 1},
            "host": "example.com",
            "internal": {"a": {"b": "<redacted>", "n": "<redacted>", "none": None}, "name": "shown"},
            "demo": {"token": "shown"},
            "token": "<redacted>",
            "fake_key": "ghp_" + "a1" * 18,
            "runs": [{"account": "<redacted>", "lr": 0.1}],
        },
        (
            ("account-id",),
            ("Accounts",),
            ("db", "host"),
            ("internal", "a", "b"),
            ("internal", "a", "n"),
            ("token",),
            ("runs",),
        ),
    )


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--account-id", "7", "--lr", "1"], ["--account-id", "<redacted>", "--lr", "1"]),
        (["--account_id=7"], ["--account_id=<redacted>"]),
        (["-pdb.host=x", "+db.host=x", "~db.port"], ["-pdb.host=<redacted>", "+db.host=<redacted>", "~db.port"]),
        (["-p", "internal.a.b=x", "-p", "internal.name=x"], ["-p", "internal.a.b=<redacted>", "-p", "internal.name=x"]),
        (["--demo.token", "shown", "--demo.token=shown"], ["--demo.token", "shown", "--demo.token=shown"]),
        (["--fake-key", "ghp_" + "a1" * 18], ["--fake-key", "ghp_" + "a1" * 18]),
        (["bash", "-c", "demo.token=x; password=y"], ["bash", "-c", "demo.token=x; password=<redacted>"]),
        (["-p", 'x={"account": 7}'], ["-p", 'x={"account": <redacted>}']),
        (["train --account-id 7"], ["train --account-id <redacted>"]),
    ],
)
def test_a_command_is_freed_of_what_the_project_calls_secret(args: list[str], expected: list[str]) -> None:
    assert PROJECT.command(args) == tuple(expected)


def test_a_layer_is_freed_of_what_the_project_calls_secret() -> None:
    layer = overrides_layer(["account=1", "account=2", "demo.token=one", "demo.token=two"])

    assert PROJECT.layer(layer) == (
        Layer(
            {"account": "<redacted>", "demo": {"token": "two"}},
            {
                "account": Origin("cli", "-p account=<redacted>", (Overridden("<redacted>", "cli", "-p account=<redacted>"),)),
                "demo.token": Origin("cli", "-p demo.token=two", (Overridden("one", "cli", "-p demo.token=one"),)),
            },
        ),
        ("account",),
    )


def test_an_origin_loses_its_secrets_in_all_that_it_says() -> None:
    said = Origin(
        "argparse", "--url", (Overridden(["https://a:b@h"], "env", "A=https://a:b@h"),), (("cli", "-p url=https://a:b@h"),)
    )

    assert DEFAULT.layer(Layer({"url": "https://a:b@h"}, {"url": said})) == (
        Layer(
            {"url": "https://<redacted>@h"},
            {
                "url": Origin(
                    "argparse",
                    "--url",
                    (Overridden(["https://<redacted>@h"], "env", "A=https://<redacted>@h"),),
                    (("cli", "-p url=https://<redacted>@h"),),
                )
            },
        ),
        ("url",),
    )


def test_exempting_everything_leaves_params_as_they_are() -> None:
    config: dict[str, Any] = {"password": "x", "secrets": {"a": "b"}}

    assert Redaction.of(["!*"]).values(config) == (config, ())


def test_a_glob_with_a_range_of_letters_is_one() -> None:
    assert Redaction.of(["user-[a-c]"]).values({"user_b": 1, "user_z": 1}) == (
        {"user_b": "<redacted>", "user_z": 1},
        (("user_b",),),
    )


def test_secrets_of_the_environment_are_the_long_private_values_of_secret_names(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("x")
    environ = {
        "HF_TOKEN": "correct-horse-battery",
        "DB_PASSWORD": "s3cr3t/+=",
        "AWS_SECRET_ACCESS_KEY": "/base64/that/begins/with/a/slash",
        "PROXY_PASSWORD": "http://user:pass@proxy:3128",
        "API_KEY": "short",
        "MY_SECRET": "disabled",
        "OTHER_SECRET": "<redacted>",
        "VAULT_SECRET": "https://vault.example.com/v1",
        "PASSWORD_FILE": "/run/secrets/password",
        "SSH_PRIVATE_KEY": str(tmp_path / "key.pem"),
        "PWD": "/nowhere/at/all",
        "NUM_TOKENS": "1000000000",
        "HOME": "/home/ada/longer",
    }

    assert secrets_of(environ) == (
        "/base64/that/begins/with/a/slash",
        "http://user:pass@proxy:3128",
        "correct-horse-battery",
        "s3cr3t/+=",
    )


def test_a_secret_of_the_environment_is_replaced_wherever_it_stands() -> None:
    knowing = DEFAULT.knowing(
        {"HF_TOKEN": "correct-horse", "LONG_PASSWORD": "correct-horse-battery", "B64_SECRET": "c2VjcmV0cw=="}
    )

    assert knowing.text("correct-horse-battery, correct-horse") == "<redacted>, <redacted>"
    assert knowing.output(b"\xff correct-horse\n") == b"\xff <redacted>\n"
    assert knowing.command(["x", "--name=a correct-horse b", "c2VjcmV0cw==", "--b=c2VjcmV0cw=="]) == (
        "x",
        "--name=a <redacted> b",
        "<redacted>",
        "--b=<redacted>",
    )
    assert knowing.values({"note": ["by correct-horse"]}) == ({"note": ["by <redacted>"]}, (("note",),))


def test_a_redaction_goes_to_a_child_without_what_it_knows() -> None:
    document = PROJECT.knowing({"HF_TOKEN": "correct-horse"}).document()

    assert document == {"secret": ["account*", "Db.HOST", "internal"], "plain": ["demo.token", "internal.name", "fake_key"]}
    assert Redaction.from_document(json.loads(json.dumps(document))) == PROJECT


@pytest.mark.parametrize(
    "text",
    [
        "a.b" * 100_000 + "://",
        "sk-" * 100_000,
        "eyJ-" * 20_000,
        "http://" + "a" * 300_000,
        "ghp_" * 80_000,
        "{" + "b=" * 90_000,
    ],
)
def test_a_long_text_of_half_a_secret_is_left_alone_within_the_life_of_a_test(text: str) -> None:
    assert (DEFAULT.text(text), DEFAULT.command([text])) == (text, (text,))


def test_a_layer_loses_its_secrets_everywhere() -> None:
    layer = overrides_layer(["db.password=one", "db.password=two", "lr=0.1"])

    assert redact_layer(layer) == (
        Layer(
            {"db": {"password": "<redacted>"}, "lr": 0.1},
            {
                "db.password": Origin(
                    "cli", "-p db.password=<redacted>", (Overridden("<redacted>", "cli", "-p db.password=<redacted>"),)
                ),
                "lr": Origin("cli", "-p lr=0.1"),
            },
        ),
        ("db.password",),
    )


@given(st.dictionaries(st.text(), values, max_size=4))
def test_redacting_twice_changes_nothing_more(config: dict[str, Any]) -> None:
    once, _ = redact(config)

    assert same(redact(once)[0], once)
    assert redact(once)[1] == ()


@given(st.dictionaries(st.text(st.characters(categories=["L", "N"]), min_size=1), st.integers() | st.floats() | st.booleans()))
def test_everything_else_is_kept(config: dict[str, Any]) -> None:
    result, replaced = redact(config)

    assert same(result, config)
    assert replaced == ()


@given(st.text() | st.text("htps:/@x?&=token ", max_size=60))
def test_redacting_a_text_twice_changes_nothing_more(text: str) -> None:
    once = redact_text(text)

    assert redact_text(once) == once
