"""Secrets, and what is written in their place: by the name of a key, by the user-info of a URL, and by their shape.

A key is secret when its words say so, split at case, underscore and dash: ``password``, ``passwd``, ``pwd``,
``passphrase``, ``secret``, ``api_key``, ``access_key``, ``private_key``, ``credentials``, ``bearer``, and ``token`` as the
last word where no word before it names a token of a text, so that ``hf_token`` is secret and ``pad_token``,
``max_new_tokens`` and ``tokenizer`` are not. Only text is replaced by the name of its key: numbers, true, false and null
never are. Under ``secrets`` and ``credentials`` all text is.

Shapes known in any text: keys of AWS, GitHub, Hugging Face, OpenAI, Anthropic, Slack and Google, JSON web tokens, private
keys in PEM, ``Bearer …``, ``https://user:password@host`` and secret names in the query of a URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from gitparams.params import Layer, Origin, path_keys, path_text
from gitparams.values import Value

REDACTED = "<redacted>"
"""What is written in place of a secret."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORD = re.compile(
    "passwords?|passwd|pwd|passphrase|apikey|accesskey|privatekey|secretkey|authtoken|credentials?|bearer"
)
_BEFORE_KEY = re.compile("api|access|private|secret|auth|signing|encryption")
_AFTER_SECRET = re.compile("keys?|access|token|value|text")
_BEFORE_TOKENS = re.compile("api|auth|access|refresh|secret")
_BEFORE_TOKEN_OF_TEXT = re.compile(
    "additional|audio|begin|blank|bos|boundary|class|classification|cls|decoder|dist|distillation|end|eos|eot|extra|fim|first"
    "|image|input|last|mask|max|memory|middle|min|n|new|newline|next|num|output|pad|padding|per|prefix|prompt|query|register"
    "|sep|special|start|stop|suffix|text|total|unk|unknown|video|vision|word"
)
_HOLDER = re.compile("secrets|credentials?|passwords")

_SHAPE = re.compile(
    r"""-----BEGIN\ [A-Z0-9 ]*PRIVATE\ KEY(?:\ BLOCK)?-----.*?(?:-----END\ [A-Z0-9 ]*PRIVATE\ KEY(?:\ BLOCK)?-----|\Z)
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b
    | \bgh[oprsu]_[A-Za-z0-9]{20,}
    | \bgithub_pat_[A-Za-z0-9_]{20,}
    | \bhf_[A-Za-z0-9]{20,}
    | \bsk-(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[A-Za-z0-9]{12})[A-Za-z0-9_-]{20,}
    | \bxox[a-z]-[A-Za-z0-9-]{10,}
    | \bAIza[0-9A-Za-z_-]{30,}
    | \beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}
    | (?<=\b[Bb]earer\ )(?:(?=\S*[0-9])[A-Za-z0-9._~+/=-]{8,}|[A-Za-z0-9._~+/=-]{20,})""",
    re.DOTALL | re.VERBOSE,
)
_URL_USER = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*)://([^\s/?#]+)@")
_URL_QUERY = re.compile(r"([?&])([\w.-]+)=([^&#\s]+)")
_PAIR = re.compile(r"""(["']?)([\w.-]+)\1(\s*:\s*)("[^"]*"|'[^']*'|[^\s,}\]"']+)""")
_FLAG_IN_TEXT = re.compile(r"(?<!\S)(--?[A-Za-z][\w.-]*)(\s+)([^\s-]\S*)")


def redact(values: Mapping[str, Value]) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Return params without their secrets, and the written paths of what was replaced.

    Args:
        values: a nested mapping; it is not changed.

    >>> redact({"db": {"password": "hunter2", "pool": 5}, "model": {"pad_token": "<pad>"}})
    ({'db': {'password': '<redacted>', 'pool': 5}, 'model': {'pad_token': '<pad>'}}, ('db.password',))
    """
    replaced: list[str] = []
    return _mapping(values, (), False, replaced), tuple(replaced)


def redact_layer(layer: Layer) -> tuple[Layer, tuple[str, ...]]:
    """Return a layer without its secrets, also in its origins and in the values they overrode, and the paths replaced.

    >>> from gitparams.params import layer
    >>> redact_layer(layer({"token": "hunter2"}, "cli", "-p token=hunter2"))[0].origins["token"].at
    '-p token=<redacted>'
    """
    values, replaced = redact(layer.values)
    return Layer(values, {path: _origin(path, origin) for path, origin in layer.origins.items()}), replaced


def redact_text(text: str) -> str:
    """Return a text without the secrets that can be known by their shape.

    >>> redact_text("clone https://me:hunter2@example.com/data.git")
    'clone https://<redacted>@example.com/data.git'
    """
    text = _SHAPE.sub(REDACTED, text)
    if "://" in text:
        text = _URL_QUERY.sub(_query, _URL_USER.sub(_user, text))
    return text


def redact_command(args: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command without secrets: by shape, and by name in flags and in ``NAME=value``.

    >>> redact_command(["python", "train.py", "--api-key", "hunter2", "--lr=0.1", "-p", "db.password=x"])
    ('python', 'train.py', '--api-key', '<redacted>', '--lr=0.1', '-p', 'db.password=<redacted>')
    """
    result: list[str] = []
    awaited = False
    for arg in args:
        result.append(REDACTED if awaited and not arg.startswith("-") else _word(arg))
        awaited = arg.startswith("-") and "=" not in arg and is_secret_name(arg)
    return tuple(result)


@lru_cache(maxsize=4096)
def is_secret_name(key: str) -> bool:
    """Tell whether a key names a secret, by the words it is made of.

    >>> [is_secret_name(key) for key in ("apiKey", "HF_TOKEN", "client-secret", "pad_token", "tokenizer", "seed")]
    [True, True, True, False, False, False]
    """
    words = [word.lower() for word in _WORD.findall(key)]
    return any(_secret_at(place, words) for place in range(len(words)))


def _secret_at(place: int, words: list[str]) -> bool:
    word = words[place]
    before = words[place - 1] if place else ""
    after = words[place + 1] if place + 1 < len(words) else ""
    if word in ("secret", "secrets"):
        return not after or _AFTER_SECRET.fullmatch(after) is not None
    if word in ("key", "keys"):
        return _BEFORE_KEY.fullmatch(before) is not None
    if word == "token":
        return not after and not _BEFORE_TOKEN_OF_TEXT.fullmatch(before)
    if word == "tokens":
        return not after and _BEFORE_TOKENS.fullmatch(before) is not None
    return _SECRET_WORD.fullmatch(word) is not None


def _mapping(values: Mapping[str, Value], above: tuple[str, ...], hidden: bool, replaced: list[str]) -> dict[str, Value]:
    result: dict[str, Value] = {}
    for key, value in values.items():
        keys = (*above, key)
        if isinstance(value, Mapping):
            result[key] = _mapping(value, keys, hidden or _hides_all(key), replaced)
            continue
        result[key] = _leaf(key, value, hidden)
        if result[key] is not value and result[key] != value:
            replaced.append(path_text(keys))
    return result


def _leaf(key: str, value: Value, hidden: bool) -> Value:
    if isinstance(value, str):
        return REDACTED if value and (hidden or is_secret_name(key)) else redact_text(value)
    if isinstance(value, list):
        return [_leaf(key, item, hidden) for item in value]
    if isinstance(value, Mapping):
        return {name: _leaf(name, item, hidden or _hides_all(key)) for name, item in value.items()}
    return value


def _hides_all(key: str) -> bool:
    return any(_HOLDER.fullmatch(word.lower()) for word in _WORD.findall(key))


def _origin(path: str, origin: Origin) -> Origin:
    *above, key = path_keys(path)
    hidden = any(_hides_all(name) for name in above)
    secret = hidden or is_secret_name(key)
    overrode = tuple(replace(old, value=_leaf(key, old.value, hidden), at=_place(old.at, secret)) for old in origin.overrode)
    return replace(origin, at=_place(origin.at, secret), overrode=overrode)


def _place(at: str | None, secret: bool) -> str | None:
    if at is None:
        return None
    name, equals, _ = at.partition("=")
    return f"{name}={REDACTED}" if secret and equals else _word(at)


def _word(arg: str) -> str:
    name, equals, value = arg.partition("=")
    if equals and value and _names_secret(name):
        return f"{name}={REDACTED}"
    if equals and "://" not in name:
        return f"{name}={_word(value)}"
    text = _PAIR.sub(_pair, arg) if arg[:1] in ("{", "[") else arg
    return redact_text(_FLAG_IN_TEXT.sub(_flag, text))


def _names_secret(name: str) -> bool:
    last = re.split(r"[\s./\[\]\"']+", name.rstrip("\"']"))[-1]
    # -Dpassword=x and -ppassword=x: a short flag and its value in one word
    return is_secret_name(last) or (re.match(r"-[A-Za-z]", last) is not None and is_secret_name(last[2:]))


def _pair(match: re.Match[str]) -> str:
    quote, name, colon, value = match.groups()
    return f"{quote}{name}{quote}{colon}{REDACTED if is_secret_name(name.split('.')[-1]) else value}"


def _flag(match: re.Match[str]) -> str:
    name, space, value = match.groups()
    return f"{name}{space}{REDACTED if is_secret_name(name) else value}"


def _user(match: re.Match[str]) -> str:
    scheme, user = match.groups()
    # git@ in ssh://git@host is no secret, while https://ghp_…@host is one without any colon
    return f"{scheme}://{REDACTED}@" if ":" in user or scheme.lower().startswith("http") else match[0]


def _query(match: re.Match[str]) -> str:
    mark, name, value = match.groups()
    return f"{mark}{name}={REDACTED if is_secret_name(name) else value}"
