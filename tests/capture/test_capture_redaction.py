from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitparams.capture.overrides import overrides_layer
from gitparams.capture.redaction import is_secret_name, redact, redact_command, redact_layer, redact_text
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
        (["--pad-token", "<pad>", "--tokenizer=bpe"], ["--pad-token", "<pad>", "--tokenizer=bpe"]),
    ],
)
def test_a_command_loses_its_secrets(args: list[str], expected: list[str]) -> None:
    assert redact_command(args) == tuple(expected)


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
