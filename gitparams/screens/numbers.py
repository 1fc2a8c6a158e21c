"""Numbers: values, columns of metrics, ratios and spans of time in as few letters as tell them apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gitparams.params import MISSING
from gitparams.screens.terminal import safe

_WORDS = frozenset(("none", "null", "true", "false", "missing", "–", "−", "-", "·", "…"))
_DEEPEST = 40
_LEAST, _MOST = 3, 6  # significant digits of a column: to begin with, and to show small numbers beside large ones
_TINY, _HUGE, _HUGE_INT = 1e-4, 1e7, 10**15


def value_text(value: Any) -> str:
    r"""Return a value of the params as short as it can be told from every other value; always safe to print.

    A text is bare when it can be taken for nothing else, and quoted otherwise.

    >>> value_text(1e-05), value_text(True), value_text("adam"), value_text("1"), value_text([64, "a, b"])
    ('1e-5', 'True', 'adam', '"1"', '[64, "a, b"]')
    >>> print(value_text("two\nlines"))
    "two\nlines"
    """
    return _value_text(value, 0)


def float_text(number: float) -> str:
    """Return the shortest text that reads back as the number.

    >>> float_text(0.1), float_text(1e-05), float_text(1e22), float_text(float("nan"))
    ('0.1', '1e-5', '1e22', 'nan')
    """
    text = repr(number)
    if "e" not in text:
        return text
    digits, _, exponent = text.partition("e")
    return f"{digits}e{int(exponent)}"


def column_texts(values: Sequence[Any], missing: str = "–") -> list[str]:
    """Return the texts of a column of metrics, aligned on the decimal point and of one width.

    As few digits as keep the distinct values apart, three significant ones at least where the values have them. Numbers
    far off the others are written with an exponent. Thousands are parted by a space.

    >>> column_texts([0.871, 0.934, 0.91, MISSING])
    ['0.871', '0.934', '0.910', '    –']
    >>> column_texts([1204, 987.25, 0.5])
    ['1 204  ', '  987.2', '    0.5']
    """
    places = _places([value for value in values if _is_finite_float(value)])
    texts = [missing if value is MISSING else _metric_text(value, places) for value in values]
    parts = [text.partition(".") if _is_plain(text) else ("", "", "") for text in texts]
    before = max((len(head) for head, _, _ in parts), default=0)
    after = max((len(point + tail) for _, point, tail in parts), default=0)
    width = max([before + after, *map(len, texts)])
    aligned = []
    for text, (head, point, tail) in zip(texts, parts, strict=True):
        aligned.append((head + (point + tail).ljust(after)).rjust(width) if head else text.rjust(width))
    return aligned


def metric_texts(values: Sequence[Any], missing: str = "–") -> list[str]:
    """Return the same texts as `column_texts` without the spaces around them.

    >>> metric_texts([0.91, 0.9345])
    ['0.910', '0.934']
    """
    return [text.strip() for text in column_texts(values, missing)]


def ratio_text(old: Any, new: Any, *, times: str = "×", divide: str = "÷", minus: str = "−") -> str:
    """Return how a number changed: a factor of two or more, else what was added; empty when neither says anything.

    >>> ratio_text(64, 128), ratio_text(0.1, 0.01), ratio_text(0.9, 0.99), ratio_text(10, 8), ratio_text(1, True)
    ('×2', '÷10', '+0.09', '−2', '')
    """
    if not (_is_number(old) and _is_number(new)) or type(old) is not type(new) or old == new:
        return ""
    factor = _factor(old, new)
    if factor is None or factor < 2:
        return delta_text(old, new, minus=minus)
    whole = round(factor)
    shown = str(whole) if math.isclose(factor, whole, rel_tol=1e-9) and whole < _HUGE else _short(factor)
    return (times if abs(new) > abs(old) else divide) + shown


def delta_text(old: Any, new: Any, *, minus: str = "−", places: int | None = None) -> str:
    """Return what was added to a number, free of the noise of binary fractions; empty when there is no saying.

    With `places`, so many decimals, as long as they show a difference at all.

    >>> delta_text(0.912, 0.934), delta_text(0.268, 0.221), delta_text(float("nan"), 1.0)
    ('+0.022', '−0.047', '')
    >>> delta_text(0.91234, 0.93456, places=3), delta_text(0.9, 0.9001, places=3)
    ('+0.022', '+0.0001')
    """
    change = difference(old, new)
    if change is None or change == 0 or (isinstance(change, float) and not math.isfinite(change)):
        return ""
    size = abs(change)
    if isinstance(size, int):
        text = _grouped(size)
    elif places is None or size >= _HUGE:
        text = _short(size, _MOST)
    else:
        text = f"{size:,.{places}f}".replace(",", " ") if round(size, places) else _short(size, 2)
    return (minus if change < 0 else "+") + text


def difference(old: Any, new: Any) -> int | float | None:
    """Return new minus old as their decimal texts have it; None when one is no number.

    >>> difference(0.912, 0.934), difference(3, 5), difference(None, 5), difference(float("inf"), 1.0)
    (0.022, 2, None, -inf)
    """
    if not (_is_metric(old) and _is_metric(new)):
        return None
    if isinstance(old, int) and isinstance(new, int):
        return new - old
    try:
        if not (math.isfinite(old) and math.isfinite(new)):
            return float(new) - float(old)
    except OverflowError:
        return None
    from decimal import Decimal

    left, right = (Decimal(repr(number) if isinstance(number, float) else int(number)) for number in (old, new))
    return float(right - left)


def age_text(seconds: float) -> str:
    """Return how long ago something was, in its largest unit.

    >>> [age_text(seconds) for seconds in (3, 150, 2400, 10800, 86400, 40 * 86400, 800 * 86400)]
    ['3s', '2m', '40m', '3h', '1d', '5w', '2y']
    """
    seconds = int(max(0, seconds))
    days = seconds // 86400
    if days >= 365:
        return f"{days // 365}y"
    if days >= 14:
        return f"{days // 7}w"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def duration_text(seconds: float) -> str:
    """Return how long something took, in its two largest units.

    >>> duration_text(0.42), duration_text(7.25), duration_text(723), duration_text(90061)
    ('0.42s', '7.2s', '12m 3s', '1d 1h')
    """
    if seconds < 60:
        return f"{seconds:.2g}s" if 0 <= seconds < 10 else f"{seconds:.0f}s"
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    while not parts[0][0]:
        parts.pop(0)
    return " ".join(f"{number}{unit}" for number, unit in parts[:2] if number)


# -- values ---------------------------------------------------------------------------------------------------------------


def _value_text(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return value if _is_bare(value, inside=depth > 0) else _quoted(value)
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _int_text(value)
    if isinstance(value, Mapping | list | tuple) and depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        items = (f"{_value_text(key, 1)}: {_value_text(item, depth + 1)}" for key, item in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value_text(item, depth + 1) for item in value) + "]"
    return safe(str(value))


def _is_bare(text: str, *, inside: bool) -> bool:
    if not text or not text.isprintable() or text != text.strip() or text[0] in "\"'[{" or text.lower() in _WORDS:
        return False
    if any(mark in text for mark in ("→", " · ", "  ")) or (inside and any(mark in text for mark in ",:[]{}\"'")):
        return False
    return not ((text[0].isdecimal() or text[0] in "+-.iInN") and _reads_as_number(text))


def _reads_as_number(text: str) -> bool:
    for read in (float, lambda digits: int(digits, 0)):
        try:
            read(text)
        except ValueError:
            continue
        return True
    return False


def _quoted(text: str) -> str:
    return '"' + safe(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _int_text(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # Python refuses more than 4300 decimal digits
        return hex(number)


# -- metrics --------------------------------------------------------------------------------------------------------------


def _is_metric(value: Any) -> bool:
    return isinstance(value, int | float)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite_float(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _is_plain(text: str) -> bool:
    return text.lstrip("-")[:1].isdecimal() and "e" not in text and "x" not in text


def _metric_text(value: Any, places: int) -> str:
    if not _is_number(value):
        return value_text(value)
    if isinstance(value, int):
        return _grouped(value)
    if not math.isfinite(value) or _is_scientific(value, places):
        return float_text(value) if not math.isfinite(value) else _short(value)
    return f"{value:,.{places}f}".replace(",", " ")


def _is_scientific(value: float, places: int) -> bool:
    size = abs(value)
    return size >= _HUGE or 0 < size < _TINY or (size != 0 and round(size, places) == 0)


def _places(numbers: Sequence[float]) -> int:
    """Return how many decimals a column needs."""
    plain = {abs(number) for number in numbers if number == 0 or _TINY <= abs(number) < _HUGE}
    signed = {number for number in numbers if abs(number) in plain}
    if not plain:
        return 0
    whole_digits = math.floor(math.log10(max(plain) or 1)) + 1
    smallest = min((number for number in plain if number), default=1.0)
    longest = max(_decimals(number) for number in plain)
    places = min(longest, max(0, _LEAST - whole_digits))
    enough = max(places, min(longest, _MOST - whole_digits))
    while places < enough and smallest < 10.0 ** (1 - places) and smallest != round(smallest, places):
        places += 1
    while places < longest and len({f"{number:.{places}f}" for number in signed}) < len(signed):
        places += 1
    return places


def _decimals(number: float) -> int:
    digits, _, exponent = repr(number).partition("e")
    decimals = len(digits.partition(".")[2].rstrip("0"))
    return max(0, decimals - int(exponent or 0))


def _short(number: float, digits: int = _LEAST) -> str:
    text = float_text(float(f"{number:.{digits}g}"))
    return text.removesuffix(".0")


def _grouped(number: int) -> str:
    if abs(number) < _HUGE_INT:
        return f"{number:,}".replace(",", " ")
    digits = _int_text(abs(number))
    return f"{'-' if number < 0 else ''}{digits[0]}.{digits[1:_LEAST]}e{len(digits) - 1}"


def _factor(old: float, new: float) -> float | None:
    """Return the larger over the smaller of two numbers of one sign, or None."""
    try:
        if old == 0 or new == 0 or (old > 0) != (new > 0) or not (math.isfinite(old) and math.isfinite(new)):
            return None
        large, small = max(abs(old), abs(new)), min(abs(old), abs(new))
        factor = large / small
    except OverflowError:
        return None
    return factor if math.isfinite(factor) else None
