"""How the path of a param is written, as in ``gitparams/params.py``, for the doors whose libraries nest their values."""

import json
import re

_BARE_KEY = re.compile(r"""[^\s.=\[\]"'\\\x00-\x1f\x7f]+""")


def path_text(keys):
    """Return a path as it is written: ``optim.lr``, ``data["a.b"].size``."""
    text = ""
    for key in keys:
        if _BARE_KEY.fullmatch(key):
            text += "." + key if text else key
        else:
            text += "[%s]" % json.dumps(key, ensure_ascii=False)
    return text


def leaves(values, above=()):
    """Yield the keys and the value of every leaf of a nested mapping; an empty mapping is a leaf."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value
