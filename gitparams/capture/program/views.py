"""A config as a mapping that is worked out anew at each look, for the doors whose programs may still change it."""

from collections.abc import Mapping


class View(Mapping):
    """What `seen`, which each door writes itself, returns at the moment."""

    def items(self):
        return self.seen().items()

    def __getitem__(self, key):
        return self.seen()[key]

    def __iter__(self):
        return iter(self.seen())

    def __len__(self):
        return len(self.seen())
