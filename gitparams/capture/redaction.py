"""Secrets, and what is written in their place: by the name of a key, by shape, by the environment, by what a project says.

A key is secret when its words say so, split at case, underscore and dash: ``password``, ``passwd``, ``pwd``,
``passphrase``, ``secret``, ``api_key``, ``access_key``, ``private_key``, ``credentials``, ``bearer``, and ``token`` as the
last word where no word before it names a token of a text, so that ``hf_token`` is secret and ``pad_token``,
``max_new_tokens`` and ``tokenizer`` are not. Only text is replaced by the name of its key: numbers, true, false and null
never are, so a number under ``password`` stays. Under ``secrets`` and ``credentials`` all text is replaced.

Shapes known in any text: keys of AWS, Azure, GitHub, GitLab, Hugging Face, OpenAI, Anthropic, Slack, Google, Stripe, npm,
PyPI and a few more, JSON web tokens, private keys in PEM, webhooks of Slack and Discord, ``Bearer …``,
``https://user:password@host`` and secret names in the query of a URL.

``redact:`` in gitparams.yaml adds globs of keys and, after a ``!``, exempts. A glob is compared with the last key of a path
and with all of its keys joined by dots, whatever the case, and ``-`` counts as ``_``; it speaks for everything below what
it matches, and the deepest match counts. What a project calls secret is replaced even when it is a number; what it exempts
is left alone whatever its shape.

This file is also loaded by its path into the user's own program, where the Python may be 3.8 and gitparams is not
installed; so it is written for 3.8, its top imports only the standard library, and no shape is compiled before a text
holds its mark. There, all but `Redaction.layer` works.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Mapping
from functools import lru_cache

# typing itself would be longer than all that loading this file takes
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from gitparams.params import Layer, Origin
    from gitparams.values import Value

REDACTED = "<redacted>"
"""What is written in place of a secret."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# A name without one of these holds no secret word, and most names are told so in less than a microsecond.
_FRAGMENTS = ("key", "token", "pass", "secret", "pwd", "credential", "bearer")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SECRET_WORDS = _words(
    "password passwords passwd pwd passphrase apikey accesskey privatekey secretkey authtoken credential credentials bearer"
)
_BEFORE_KEY = _words("api access private secret auth signing encryption")
_AFTER_SECRET = _words("key keys access token value text")
_BEFORE_TOKENS = _words("api auth access refresh secret")
_BEFORE_TOKEN_OF_TEXT = _words(
    "additional audio begin blank bos boundary class classification cls decoder dist distillation end eos eot extra fim first "
    "image input last mask max memory middle min n new newline next num output pad padding per prefix prompt query register "
    "sep special start stop suffix text total unk unknown video vision word"
)
_HOLDERS = _words("secrets credential credentials passwords")

# A mark that any text of the shape holds, and the shape.
_SHAPES = (
    (
        "PRIVATE KEY",
        r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    ),
    ("eyJ", r"\beyJ[A-Za-z0-9_-]{5,2000}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}"),
    ("AKIA", r"\bAKIA[0-9A-Z]{16}\b"),
    ("ASIA", r"\bASIA[0-9A-Z]{16}\b"),
    ("AccountKey=", r"(?<=AccountKey=)[A-Za-z0-9+/=]{20,}"),
    ("SharedAccessKey=", r"(?<=SharedAccessKey=)[A-Za-z0-9+/=]{20,}"),
    ("gh", r"\bgh[oprsu]_[A-Za-z0-9]{20,}"),
    ("github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{20,}"),
    ("glpat-", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("hf_", r"\bhf_[A-Za-z0-9]{20,}"),
    ("sk-", r"\bsk-(?=[A-Za-z0-9_-]{0,99}[0-9])(?=[A-Za-z0-9_-]{0,99}[A-Za-z0-9]{12})[A-Za-z0-9_-]{20,}"),
    ("xox", r"\bxox[a-z]-[A-Za-z0-9-]{10,}"),
    ("AIza", r"\bAIza[0-9A-Za-z_-]{30,}"),
    ("ya29.", r"\bya29\.[0-9A-Za-z_-]{20,}"),
    ("k_live_", r"\b[rs]k_live_[0-9A-Za-z]{16,}"),
    ("k_test_", r"\b[rs]k_test_[0-9A-Za-z]{16,}"),
    ("npm_", r"\bnpm_[A-Za-z0-9]{36,}"),
    ("pypi-AgE", r"\bpypi-AgE[A-Za-z0-9_-]{16,}"),
    ("SG.", r"\bSG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{40,}"),
    ("gsk_", r"\bgsk_[A-Za-z0-9]{40,}"),
    ("r8_", r"\br8_[A-Za-z0-9]{36,}"),
    ("dapi", r"\bdapi[0-9a-f]{32,}"),
    ("nvapi-", r"\bnvapi-[A-Za-z0-9_-]{40,}"),
    ("hvs.", r"\bhvs\.[A-Za-z0-9_-]{24,}"),
    ("hooks.slack.com/", r"(?<=hooks\.slack\.com/services/)[A-Za-z0-9/_-]{20,}"),
    ("/api/webhooks/", r"(?<=/api/webhooks/)[0-9]{15,}/[A-Za-z0-9_-]{30,}"),
    ("earer ", r"(?<=\b[Bb]earer )(?:(?=\S*[0-9])[A-Za-z0-9._~+/=-]{8,}|[A-Za-z0-9._~+/=-]{20,})"),
)
_SHORTEST_SHAPE = 15
# Names are bounded or begin where a name can, so that a text of a megabyte without spaces is not read again and again.
_URL_USER = r"\b([A-Za-z][A-Za-z0-9+.-]{0,40})://([^\s/?#]+)@"
_URL_QUERY = r"([?&])([\w.-]+)=([^&#\s]+)"
_PAIR = r"""(?<![\w.-])(["']?)([\w.-]+)\1(\s*:\s*)("[^"]*"|'[^']*'|[^\s,}\]"']+)"""
_FLAG_IN_TEXT = r"(?<!\S)(--?[A-Za-z][\w.-]*)(\s+)([^\s-]\S*)"

SHORTEST_KNOWN = 8
_PUBLIC_VALUES = _words("anonymous changeme disabled localhost optional password placeholder required undefined")
_NAMES_A_PLACE = _words("dir directory file filename folder home path")

# What is said of a path by the keys above it, the strongest last.
_NOTHING, _TEXT_IS_SECRET, _ALL_IS_SECRET, _EXEMPT = range(4)
_NEVER_SECRET_BY_NAME = (int, float, bool, type(None))
_SECRET = (_TEXT_IS_SECRET, _ALL_IS_SECRET)


class Redaction(collections.namedtuple("_Redaction", ("secret", "plain", "known"), defaults=((), (), ()))):
    """What counts as a secret in one project, and how texts, params and commands are freed of it.

    Attributes:
        secret: globs of keys or paths that are secret too.
        plain: globs of keys or paths that are no secrets, whatever they are called and hold.
        known: secret values, the longest first; they are replaced wherever they stand in a text.

    >>> Redaction.of(["account*", "!demo.token"]).values({"account_id": 7, "demo": {"token": "abc"}})
    ({'account_id': '<redacted>', 'demo': {'token': 'abc'}}, (('account_id',),))
    """

    __slots__ = ()

    secret: tuple[str, ...]
    plain: tuple[str, ...]
    known: tuple[str, ...]

    @classmethod
    def of(cls, globs: Sequence[str]) -> Redaction:
        """Return what ``redact:`` of gitparams.yaml says: globs of secret keys, and after ``!`` of exempted ones.

        >>> Redaction.of(["account*", "!demo.token"])
        Redaction(secret=('account*',), plain=('demo.token',), known=())
        """
        secret = tuple(glob for glob in globs if not glob.startswith("!"))
        return cls(secret, tuple(glob[1:] for glob in globs if glob.startswith("!")))

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Redaction:
        """Return what `document` wrote.

        >>> Redaction.from_document(Redaction.of(["account*"]).document()) == Redaction.of(["account*"])
        True
        """
        return cls(tuple(map(str, document.get("secret", ()))), tuple(map(str, document.get("plain", ()))))

    def document(self) -> dict[str, Value]:
        """Return the globs as plain JSON; the known values stay here, since each process sees its own environment."""
        return {"secret": list(self.secret), "plain": list(self.plain)}

    def knowing(self, environ: Mapping[str, str]) -> Redaction:
        """Return the same that also knows the secret values of an environment.

        >>> Redaction().knowing({"HF_TOKEN": "correct-horse"}).text("logged in with correct-horse")
        'logged in with <redacted>'
        """
        return self._replace(known=tuple(sorted({*self.known, *secrets_of(environ)}, key=_longest_first)))

    def values(self, values: Mapping[str, Value]) -> tuple[dict[str, Value], tuple[tuple[str, ...], ...]]:
        """Return params without their secrets, and the keys that lead to each value that was replaced.

        Args:
            values: a nested mapping; it is not changed.

        >>> DEFAULT.values({"db": {"password": "hunter2", "pool": 5}, "model": {"pad_token": "<pad>"}})
        ({'db': {'password': '<redacted>', 'pool': 5}, 'model': {'pad_token': '<pad>'}}, (('db', 'password'),))
        """
        replaced: list[tuple[str, ...]] = []
        return self._mapping(values, (), _NOTHING, replaced), tuple(replaced)

    def layer(self, layer: Layer) -> tuple[Layer, tuple[str, ...]]:
        """Return a layer without its secrets, also in its origins and in what they overrode, and the written paths replaced.

        >>> from gitparams.params import layer
        >>> DEFAULT.layer(layer({"token": "hunter2"}, "cli", "-p token=hunter2"))[0].origins["token"].at
        '-p token=<redacted>'
        """
        from gitparams.params import Layer, path_text

        values, replaced = self.values(layer.values)
        places: dict[tuple[str | None, int], str | None] = {}  # a reporter gives thousands of values one place
        origins = {path: self._origin(path, origin, places) for path, origin in layer.origins.items()}
        return Layer(values, origins), tuple(map(path_text, replaced))

    def text(self, text: str) -> str:
        """Return a text without the secrets that are known by value or by shape.

        >>> DEFAULT.text("clone https://me:hunter2@example.com/data.git")
        'clone https://<redacted>@example.com/data.git'
        """
        for value in self.known:
            text = text.replace(value, REDACTED)
        if len(text) >= _SHORTEST_SHAPE:
            for mark, shape in _SHAPES:
                if mark in text:
                    text = _compiled(shape).sub(REDACTED, text)
        return _compiled(_URL_QUERY).sub(_query, _compiled(_URL_USER).sub(_user, text)) if "://" in text else text

    def output(self, output: bytes) -> bytes:
        """Return what a program wrote without the secrets that `text` knows; other bytes stay, UTF-8 or not.

        >>> DEFAULT.output(b"\\xff Bearer abc123def456")
        b'\\xff Bearer <redacted>'
        """
        return self.text(output.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def command(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the words of a command without secrets: as in `text`, and by name in flags and in ``NAME=value``.

        >>> DEFAULT.command(["python", "train.py", "--api-key", "hunter2", "--lr=0.1", "-p", "db.password=x"])
        ('python', 'train.py', '--api-key', '<redacted>', '--lr=0.1', '-p', 'db.password=<redacted>')
        """
        result: list[str] = []
        said = _NOTHING
        for word in words:
            if word.startswith("-"):
                result.append(self._word(word))
                said = _NOTHING if "=" in word else self._said_of_name(word)
                continue
            result.append(REDACTED if said in _SECRET else word if said == _EXEMPT else self._word(word))
            said = _NOTHING
        return tuple(result)

    def _mapping(
        self, values: Mapping[str, Value], above: tuple[str, ...], said: int, replaced: list[tuple[str, ...]]
    ) -> dict[str, Value]:
        result: dict[str, Value] = {}
        for key, value in values.items():
            if type(value) in _NEVER_SECRET_BY_NAME and not self.secret:
                result[key] = value
                continue
            keys = (*above, key)
            said_here = self._said(said, keys)
            if isinstance(value, Mapping):
                result[key] = self._mapping(value, keys, said_here, replaced)
                continue
            result[key] = self._leaf(value, keys, said_here)
            if result[key] is not value and result[key] != value:
                replaced.append(keys)
        return result

    def _leaf(self, value: Value, keys: tuple[str, ...], said: int) -> Value:
        if isinstance(value, str):
            if said == _EXEMPT or not value:
                return value
            return REDACTED if said in _SECRET or is_secret_name(keys[-1]) else self.text(value)
        if isinstance(value, list):
            return [self._leaf(item, keys, said) for item in value]
        if isinstance(value, Mapping):
            return {key: self._leaf(item, (*keys, key), self._said(said, (*keys, key))) for key, item in value.items()}
        return REDACTED if said == _ALL_IS_SECRET and value is not None else value

    def _said(self, above: int, keys: tuple[str, ...]) -> int:
        if self.secret or self.plain:
            names = (_normal(keys[-1]), _normal(".".join(keys)))
            if _any_matches(self.plain, names):
                return _EXEMPT
            if _any_matches(self.secret, names):
                return _ALL_IS_SECRET
        return above or (_TEXT_IS_SECRET if _holds_secrets(keys[-1]) else _NOTHING)

    def _said_above(self, keys: tuple[str, ...]) -> int:
        said = _NOTHING
        for depth in range(1, len(keys) + 1):
            said = self._said(said, keys[:depth])
        return said

    def _said_of_path(self, keys: tuple[str, ...]) -> int:
        return self._said_above(keys) or (_TEXT_IS_SECRET if is_secret_name(keys[-1]) else _NOTHING)

    def _said_of_name(self, name: str) -> int:
        last_word = re.split(r"[\s/]+", name.rstrip("\"']"))[-1]
        keys = tuple(key for key in re.split(r"[.\[\]\"']+", last_word.lstrip("-+~")) if key)
        if not keys:
            return _NOTHING
        said = self._said_of_path(keys)
        if said or not re.match(r"-[A-Za-z].", last_word):
            return said
        # -Dpassword=x and -ppassword=x: a short flag and its value in one word
        return self._said_of_path((keys[0][1:], *keys[1:])) if keys[0][1:] else _NOTHING

    def _origin(self, path: str, origin: Origin, places: dict[tuple[str | None, int], str | None]) -> Origin:
        from dataclasses import replace

        from gitparams.params import path_keys

        keys = path_keys(path)
        above = self._said_above(keys)
        said = above or (_TEXT_IS_SECRET if is_secret_name(keys[-1]) else _NOTHING)
        if (origin.at, said) not in places:
            places[origin.at, said] = self._place(origin.at, said)
        at = places[origin.at, said]
        if at == origin.at and not origin.overrode and not origin.also:
            return origin
        overrode = tuple(
            replace(old, value=self._leaf(old.value, keys, above), at=self._place(old.at, said)) for old in origin.overrode
        )
        also = tuple((source, self._place(place, said)) for source, place in origin.also)
        return replace(origin, at=at, overrode=overrode, also=also)

    def _place(self, at: str | None, said: int) -> str | None:
        if at is None or said == _EXEMPT:
            return at
        name, equals, _ = at.partition("=")
        return f"{name}={REDACTED}" if said in _SECRET and equals else self._word(at)

    def _word(self, word: str) -> str:
        name, equals, value = word.partition("=")
        if equals and not re.search(r"[\s=]", value) and self._said_of_name(name) == _EXEMPT:
            return word
        # the whole word first: there may be a = inside what it is to be freed of
        text = self._pairs(self.text(_compiled(_FLAG_IN_TEXT).sub(self._flag, word)))
        parts = text.split("=")
        place = 0
        while place < len(parts) - 1 and "://" not in parts[place]:
            name, value = parts[place], parts[place + 1]
            place += 1
            if self._said_of_name(name) in _SECRET and (value or place < len(parts) - 1):
                return "=".join([*parts[:place], REDACTED])
        return "=".join([*parts[:place], self._pairs("=".join(parts[place:]))])

    def _pairs(self, text: str) -> str:
        return _compiled(_PAIR).sub(self._pair, text) if text[:1] in ("{", "[") else text

    def _pair(self, match: re.Match[str]) -> str:
        quote, name, colon, _ = match.groups()
        return f"{quote}{name}{quote}{colon}{REDACTED}" if self._said_of_name(name) in _SECRET else match[0]

    def _flag(self, match: re.Match[str]) -> str:
        name, space, _ = match.groups()
        return f"{name}{space}{REDACTED}" if self._said_of_name(name) in _SECRET else match[0]


DEFAULT = Redaction()
"""What counts as a secret where a project says nothing."""


def redact(values: Mapping[str, Value]) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Return params without their secrets, and the written paths of what was replaced, by `DEFAULT`.

    >>> redact({"db": {"password": "hunter2", "pool": 5}, "model": {"pad_token": "<pad>"}})
    ({'db': {'password': '<redacted>', 'pool': 5}, 'model': {'pad_token': '<pad>'}}, ('db.password',))
    """
    from gitparams.params import path_text

    clean, replaced = DEFAULT.values(values)
    return clean, tuple(map(path_text, replaced))


def redact_layer(layer: Layer) -> tuple[Layer, tuple[str, ...]]:
    """Return `Redaction.layer` of `DEFAULT`."""
    return DEFAULT.layer(layer)


def redact_text(text: str) -> str:
    """Return `Redaction.text` of `DEFAULT`."""
    return DEFAULT.text(text)


def redact_command(words: Sequence[str]) -> tuple[str, ...]:
    """Return `Redaction.command` of `DEFAULT`."""
    return DEFAULT.command(words)


def secrets_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the secret values of an environment, the longest first: those of variables with a secret name.

    Left out is what would be found in any output: values of less than 8 characters, paths, URLs without a user, and a few
    words such as ``disabled``.

    >>> secrets_of({"HF_TOKEN": "correct-horse", "API_KEY": "none", "PWD": "/home/ada", "LANG": "en_US.UTF-8"})
    ('correct-horse',)
    """
    found = {value.strip() for name, value in environ.items() if is_secret_name(name) and _is_private(name, value.strip())}
    return tuple(sorted(found, key=_longest_first))


@lru_cache(maxsize=4096)
def is_secret_name(key: str) -> bool:
    """Tell whether a key names a secret, by the words it is made of.

    >>> [is_secret_name(key) for key in ("apiKey", "HF_TOKEN", "client-secret", "pad_token", "tokenizer", "seed")]
    [True, True, True, False, False, False]
    """
    lowered = key.lower()
    if not any(fragment in lowered for fragment in _FRAGMENTS):
        return False
    words = [word.lower() for word in _WORD.findall(key)]
    return any(_secret_at(place, words) for place in range(len(words)))


def _secret_at(place: int, words: list[str]) -> bool:
    word = words[place]
    before = words[place - 1] if place else ""
    after = words[place + 1] if place + 1 < len(words) else ""
    if word in ("secret", "secrets"):
        return not after or after in _AFTER_SECRET
    if word in ("key", "keys"):
        return before in _BEFORE_KEY
    if word == "token":
        return not after and before not in _BEFORE_TOKEN_OF_TEXT
    if word == "tokens":
        return not after and before in _BEFORE_TOKENS
    return word in _SECRET_WORDS


@lru_cache(maxsize=4096)
def _holds_secrets(key: str) -> bool:
    return is_secret_name(key) and any(word.lower() in _HOLDERS for word in _WORD.findall(key))


def _is_private(name: str, value: str) -> bool:
    import os

    if len(value) < SHORTEST_KNOWN or value.lower() in _PUBLIC_VALUES or value in REDACTED or name == "PWD":
        return False
    if not _NAMES_A_PLACE.isdisjoint(word.lower() for word in _WORD.findall(name)):
        return False
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^@]*\Z", value):
        return False
    # a key in base64 may begin with a slash too
    return not (os.sep in value and os.path.exists(os.path.expanduser(value)))  # noqa: PTH110, PTH111 - pathlib costs 3 ms


def _longest_first(value: str) -> tuple[int, str]:
    return -len(value), value


@lru_cache(maxsize=None)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@lru_cache(maxsize=64)
def _globs(globs: tuple[str, ...]) -> re.Pattern[str]:
    from fnmatch import translate

    return re.compile("|".join(translate(_normal(glob)) for glob in globs) or r"(?!)")


def _any_matches(globs: tuple[str, ...], names: tuple[str, ...]) -> bool:
    return bool(globs) and any(map(_globs(globs).match, names))


def _normal(name: str) -> str:
    name = name.lower()
    # not the dash of [a-z]
    return _compiled(r"(\[[^\]]*\])|-").sub(lambda match: match[1] or "_", name) if "-" in name else name


def _user(match: re.Match[str]) -> str:
    scheme, user = match.groups()
    # git@ in ssh://git@host is no secret, while https://ghp_…@host is one without any colon
    return f"{scheme}://{REDACTED}@" if ":" in user or scheme.lower().startswith("http") else match[0]


def _query(match: re.Match[str]) -> str:
    mark, name, value = match.groups()
    return f"{mark}{name}={REDACTED if is_secret_name(name) else value}"
