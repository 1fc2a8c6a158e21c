"""Items: what changed from one run to the next in a few words each, as ``optim.lr 0.1 → 0.01``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitparams.directions import Direction, direction
from gitparams.model import Run
from gitparams.params import MISSING, Origin, differing, flatten, path_keys
from gitparams.screens.numbers import metric_texts, value_text
from gitparams.screens.terminal import Terminal, cell_width
from gitparams.seeds import is_seed
from gitparams.values import same

LONGEST_VALUE = 24
_SOURCES = {"cli": "command line", "env": "environment", "file": "", "code": "code", "default": "default", "prompt": "prompt"}
_SHORTER_VALUES = (LONGEST_VALUE, 12, 8)


@dataclass(frozen=True, slots=True)
class Item:
    """One param that differs.

    Attributes:
        path: as it is written.
        old, new: its values, `MISSING` where there is none.
    """

    path: str
    old: Any
    new: Any

    @property
    def key(self) -> str:
        """The last key of the path."""
        return path_keys(self.path)[-1]

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """Where it stands among others: seeds last, and before them what only one of the runs has."""
        return is_seed(self.path), self.old is MISSING, self.new is MISSING


def changed_params(before: Run, after: Run) -> list[Item]:
    """Return the params that differ: those in both runs first, then the others, seeds last of all."""
    items = [Item(path, old, new) for path, (old, new) in differing(flatten(before.params), flatten(after.params)).items()]
    return sorted(items, key=lambda item: item.rank)


def folded(items: Sequence[Item]) -> list[Item]:
    """Return the items without twins: of those whose last key, old and new value are the same, the one with the shortest path.

    >>> folded([Item("optim.lr", 1, 2), Item("trainer.optim.lr", 1, 2), Item("seed", 1, 2)])
    [Item(path='optim.lr', old=1, new=2), Item(path='seed', old=1, new=2)]
    """
    kept: dict[tuple[str, str, str], Item] = {}
    for item in items:
        twins = (item.key, _identity(item.old), _identity(item.new))
        known = kept.get(twins)
        if known is None or len(item.path) < len(known.path):
            kept[twins] = item
    return list(kept.values())


def item_text(item: Item, terminal: Terminal, *, longest: int = LONGEST_VALUE, path: str | None = None) -> str:
    """Return one change in words.

    >>> item_text(Item("lr", 0.1, 0.01), Terminal()), item_text(Item("warmup", MISSING, 500), Terminal())
    ('lr 0.1 → 0.01', '+warmup 500')
    """
    name = terminal.safe(item.path) if path is None else path
    if item.new is MISSING:
        return f"{terminal.minus}{name}"
    if item.old is MISSING:
        return f"+{name} {short_value(item.new, terminal, longest)}"
    old, new = cut_apart([item.old, item.new], longest, terminal)
    return f"{name} {old} {terminal.arrow} {new}"


def short_value(value: Any, terminal: Terminal, longest: int = LONGEST_VALUE) -> str:
    """Return a value's text in at most so many cells.

    >>> short_value("a" * 100, Terminal(), 8)
    'aaaaaaa…'
    """
    return _cut(value, terminal.safe(value_text(value)), longest, terminal)


def _cut(value: Any, text: str, longest: int, terminal: Terminal) -> str:
    """Return the text of a value in at most so many cells; that of a number keeps its exponent, which matters most."""
    mantissa, e, exponent = text.partition("e") if isinstance(value, float) else (text, "", "")
    room = longest - cell_width(e + exponent)
    if not exponent or cell_width(text) <= longest or room < len("-1…" if text.startswith("-") else "1…"):
        return terminal.cut(text, longest)
    return terminal.cut(mantissa, room) + e + exponent


def cut_apart(values: Sequence[Any], longest: int, terminal: Terminal) -> list[str]:
    """Return the values' texts in at most so many cells each, cut where the difference stays in sight.

    >>> cut_apart(["/data/imagenet/2012/train", "/data/imagenet/2012/val"], 12, Terminal())
    ['…/2012/train', '…et/2012/val']
    >>> cut_apart(["/data/one/" + "x" * 20, "/data/two/" + "x" * 20], 12, Terminal())
    ['/data/one/x…', '/data/two/x…']
    >>> cut_apart([0.06508812800199588, 6.650987539277171e-05], 10, Terminal())
    ['0.0650881…', '6.6509…e-5']
    """
    texts = [terminal.missing if value is MISSING else terminal.safe(value_text(value)) for value in values]
    cut = [_cut(value, text, longest, terminal) for value, text in zip(values, texts, strict=True)]
    if len(set(cut)) == len(set(texts)):
        return cut
    ends = [terminal.cut_start(text, longest) for text in texts]
    if len(set(ends)) == len(set(texts)):
        return ends
    start = _common_start(texts) - 2
    return [text if cell_width(text) <= longest else _from(text, start, longest, terminal) for text in texts]


def fitted(items: Sequence[Item], width: int, terminal: Terminal, *, most: int = 99) -> str:
    """Return as many whole items as `width` cells hold, and how many more there are.

    >>> items = [Item("optim.lr", 0.1, 0.01), Item("batch", 64, 128), Item("optim.warmup", MISSING, 500)]
    >>> fitted(items, 38, Terminal()), fitted(items, 14, Terminal()), fitted(items, 10, Terminal())
    ('optim.lr 0.1 → 0.01 · 2 more', '3 changed', '3 changed')
    """
    texts: list[str] = []
    for item in items[:most]:
        others = len(items) - len(texts) - 1
        text = next((form for form in _forms(item, terminal) if _fits([*texts, form], others, width, terminal)), None)
        if text is None:
            break
        texts.append(text)
    if not texts:
        return terminal.cut(f"{len(items)} changed", width)
    return with_more(texts, len(items) - len(texts), terminal)


def whole(items: Sequence[Item], terminal: Terminal) -> str:
    """Return all items in one line."""
    return terminal.dot.join(item_text(item, terminal) for item in items)


def with_more(texts: Sequence[str], more: int, terminal: Terminal) -> str:
    """Return the texts in one line, with the number of those left out."""
    return terminal.dot.join([*texts, f"{more} more"] if more else texts)


def changed_metrics(before: Run | None, after: Run) -> list[str]:
    """Return the names of the metrics that a run has and the run before has not, or not with this value; sorted."""
    earlier = before.metrics if before is not None else {}
    return sorted(name for name, value in after.metrics.items() if name not in earlier or not same(earlier[name], value))


def metric_items(before: Run | None, after: Run, directions: Mapping[str, Direction], terminal: Terminal) -> list[str]:
    """Return the metrics that changed in words, those first of which it is known what is better."""
    earlier: Mapping[str, Any] = before.metrics if before is not None else {}
    names = sorted(changed_metrics(before, after), key=lambda name: direction(name, directions) is None)
    return [_metric_item(name, earlier.get(name, MISSING), after.metrics[name], terminal) for name in names]


def _metric_item(name: str, old: Any, new: Any, terminal: Terminal) -> str:
    texts = metric_texts([new] if old is MISSING else [old, new])
    return f"{terminal.cut(terminal.safe(name), LONGEST_VALUE)} " + f" {terminal.arrow} ".join(texts)


def _forms(item: Item, terminal: Terminal) -> Iterator[str]:
    """Yield an item in words, then in fewer and fewer."""
    for longest in _SHORTER_VALUES:
        yield item_text(item, terminal, longest=longest)
    if item.path != item.key:
        for longest in _SHORTER_VALUES:
            yield item_text(item, terminal, longest=longest, path=terminal.ellipsis + terminal.safe(item.key))


def _fits(texts: Sequence[str], more: int, width: int, terminal: Terminal) -> bool:
    return cell_width(with_more(texts, more, terminal)) <= width


def _identity(value: Any) -> str:
    return "" if value is MISSING else value_text(value)


def _common_start(texts: Sequence[str]) -> int:
    first, last = min(texts), max(texts)
    pairs = enumerate(zip(first, last, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(last)))


def _from(text: str, start: int, longest: int, terminal: Terminal) -> str:
    if start <= 0:
        return terminal.cut(text, longest)
    return terminal.cut(terminal.ellipsis + text[start:], longest)


def origin_text(origin: Origin) -> str:
    """Return where a value came from in words, and what it overrode, the newest first.

    >>> from gitparams.params import Overridden
    >>> origin_text(Origin("cli", "-p optim.lr=0.01", (Overridden(0.1, "file", "conf/train.yaml:12"),)))
    'command line -p optim.lr=0.01; overrode 0.1 from conf/train.yaml:12'
    """
    lost = [f"{value_text(other.value)} from {_place(other.source, other.at)}" for other in reversed(origin.overrode)]
    agreed = [_place(source, at) for source, at in origin.also]
    return "; ".join(
        [
            _place(origin.source, origin.at),
            *([f"also {', '.join(agreed)}"] if agreed else []),
            *([f"overrode {', '.join(lost)}"] if lost else []),
        ]
    )


def _place(source: str, at: str | None) -> str:
    word = _SOURCES.get(source, source) if at else _SOURCES.get(source) or source
    return " ".join(filter(None, (word, at)))
