"""What pull and push did, in a line."""

from __future__ import annotations

from gitparams.sync import Pulled, Pushed


def pulled_text(pulled: Pulled) -> str:
    """Return what a pull brought.

    >>> from gitparams.model import RunId
    >>> pulled_text(Pulled("origin", None, None, True, (RunId("k" * 16),), 2))
    '1 new run and 2 changed ones from origin.'
    """
    new, changed = len(pulled.new), pulled.changed
    if new and changed:
        return f"{_runs(new, 'new run')} and {changed:,} changed {'one' if changed == 1 else 'ones'} from {pulled.remote}."
    if new or changed:
        return f"{_runs(new, 'new run') if new else _runs(changed, 'changed run')} from {pulled.remote}."
    if pulled.before != pulled.after:
        return f"The ledger is joined with that of {pulled.remote}; no run is new."
    return f"Nothing new from {pulled.remote}." if pulled.found else f"{pulled.remote} has no runs yet."


def pushed_text(pushed: Pushed) -> str:
    """Return what a push did."""
    if pushed.inbox is not None:
        waits = f"{_runs(pushed.runs, 'run')} wait in its inbox" if pushed.runs != 1 else "1 run waits in its inbox"
        return f"Others pushed to {pushed.remote} each time first; {waits}, and the next pull of anybody brings them in."
    if pushed.runs:
        return f"{_runs(pushed.runs, 'run')} pushed to {pushed.remote}."
    if pushed.entries:
        return f"The ledger of {pushed.remote} is joined with this one; no run is new to it."
    return f"{pushed.remote} has every run." if pushed.pulled.after else "There is no run to push yet."


def _runs(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
