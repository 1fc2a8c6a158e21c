"""Seeds: which params fix the randomness of a program, by what they are called.

A key is a seed when its words say so, split at case, underscore and dash: ``seed`` as its last word, as in ``torch_seed``
and ``randomSeed``, also with a number after it, ``seed_everything`` and ``random_state``; not ``num_seeds``, ``seed_size``,
``use_seed`` or ``seedling``. What stands right below ``seed`` or ``seeds`` is one too, as in ``seeds: {train: 1, data: 2}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from gitparams.params import flatten, path_keys
from gitparams.values import Value

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SEED_WORDS = frozenset({"seed", "seeds"})
_JOINED = _words(
    "baseseed cudaseed dataseed globalseed hashseed initseed manualseed npseed numpyseed pythonhashseed randomseed randomstate "
    "rngseed torchseed trainseed"
)
_AFTER_SEED = frozenset({"everything", "val", "value"})
# what is counted or switched on is no seed
_NO_SEED_AFTER = _words("count fix fixed has is max min n nb no num number per set total use with")


def is_seed(path: str, extra: Sequence[str] = ()) -> bool:
    """Tell whether a param is a seed by its name.

    Args:
        path: the written path of the param.
        extra: globs of keys or of written paths that are seeds too, whatever the case.

    Raises:
        ParamsError: the text is not a path.

    >>> [is_seed(path) for path in ("data.randomSeed", "random_state", "seeds.train", "num_seeds", "seed_size")]
    [True, True, True, False, False]
    >>> is_seed("trial.salt", ["salt"]), is_seed("trial.salt", ["data.*"])
    (True, False)
    """
    lowered = path.lower()
    # most names are told in less than a microsecond
    if not extra and "seed" not in lowered and "state" not in lowered:
        return False
    keys = path_keys(path)
    if _is_seed_name(keys[-1]) or (len(keys) > 1 and keys[-2].lower() in _SEED_WORDS and _may_be_seed(keys[-1])):
        return True
    return bool(extra) and any(map(_globs(tuple(extra)).match, (keys[-1].lower(), lowered)))


def seeds_of(params: Mapping[str, Value], extra: Sequence[str] = ()) -> dict[str, Value]:
    """Return the params that are seeds by their written paths, also those that are null.

    >>> seeds_of({"data": {"seed": 3, "size": 10}, "torch_seed": None})
    {'data.seed': 3, 'torch_seed': None}
    """
    return {path: value for path, value in flatten(params).items() if is_seed(path, extra)}


@lru_cache(maxsize=4096)
def _is_seed_name(key: str) -> bool:
    words = [word.lower() for word in _WORD.findall(key)]
    while len(words) > 1 and (words[-1].isdecimal() or words[-1] in _AFTER_SEED):
        words.pop()
    if not words or not _may_be_seed(key):
        return False
    return words[-1] in _SEED_WORDS or words[-1] in _JOINED or words[-2:] == ["random", "state"]


def _may_be_seed(key: str) -> bool:
    return all(word.lower() not in _NO_SEED_AFTER for word in _WORD.findall(key))


@lru_cache(maxsize=64)
def _globs(globs: tuple[str, ...]) -> re.Pattern[str]:
    from fnmatch import translate

    return re.compile("|".join(translate(glob.lower()) for glob in globs))
