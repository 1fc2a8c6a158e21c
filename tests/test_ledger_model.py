"""The ledger and its index against a model that is two dicts: whatever is done in whatever order, both tell the same runs.

A machine takes random steps in two clones: it records, starts, updates, tags, renames, hides, restores and ends runs, relinks
commits, fetches and joins, takes the index away, rewinds the ref, and lets git collect. With GITPARAMS_LONG_TESTS set it takes
many more of them, other ones every time.
"""

import copy
import json
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule
from world import git, make_repository

from gitparams.index import Filter
from gitparams.journal import Ending
from gitparams.ledger import REF
from gitparams.model import RunId, Status, now
from gitparams.params import layer, to_dict
from gitparams.repository import Repository
from gitparams.values import same
from gitparams.writing import Beginning

LONG = bool(os.environ.get("GITPARAMS_LONG_TESTS"))
HERE, THERE = 0, 1
sides = st.sampled_from([HERE, THERE])
keys = st.sampled_from(["lr", "optim", "a.b", "é"])
numbers = st.integers(-3, 3) | st.sampled_from([0.1, float("nan"), 10**30, True, None, "text", [1, "x"], {}])
params = st.dictionaries(keys, numbers | st.dictionaries(keys, numbers, max_size=2), max_size=3)
metrics = st.dictionaries(st.sampled_from(["acc", "loss"]), st.sampled_from([1, 0.5, float("inf"), True]), max_size=2)
tags = st.sampled_from(["a", "b", "c d"])
names = st.sampled_from(["one", "two", None])


def known(run):
    """Return what the model knows of a run, as the ledger tells it."""
    return {
        "params": to_dict(run.params),
        "metrics": dict(run.metrics),
        "status": str(run.status),
        "name": run.name,
        "tags": list(run.tags),
        "note": run.note,
        "deleted": run.deleted,
    }


def by_id(found):
    return {run.id: known(run) for run in found}


def all_runs(repository):
    return [*repository.index.runs(Filter(groups=True)), *repository.index.runs(Filter(deleted=True))]


def plain(cell):
    """Return a cell of the index; of JSON the values, for the order of keys and the spaces are nobody's."""
    return json.dumps(json.loads(cell), sort_keys=True) if isinstance(cell, str) and cell.startswith("{") else cell


def rows(index):
    """Return all that an index holds of runs, entries, aliases and keys."""
    tables = (index.connection.execute(f"SELECT * FROM {name}").fetchall() for name in ("runs", "entries", "aliases", "keys"))
    return [sorted(repr(tuple(map(plain, row))) for row in table) for table in tables]


class Clones(RuleBasedStateMachine):
    """Two clones, each with a dict of what its runs are; runs are changed by the clone that recorded them."""

    runs, open_runs = Bundle("runs"), Bundle("open_runs")

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="gitparams-model-"))
        first = make_repository(self.folder / "here")
        git("clone", "--quiet", str(first), str(self.folder / "there"))
        self.places = [first, self.folder / "there"]
        self.repositories = [Repository.find(place) for place in self.places]
        self.models = [{}, {}]
        self.owner, self.journals = {}, {}

    def on(self, side):
        repository = self.repositories[side]
        repository.refresh()
        return repository

    def expect(self, side, run, **changes):
        self.owner.setdefault(run, side)
        self.models[side][run] = {**copy.deepcopy(self.models[side].get(run, {})), **changes}

    # -- a life

    @rule(target=runs, side=sides, params=params, metrics=metrics)
    def record(self, side, params, metrics):
        run = self.on(side).record(Beginning(layer(params, "code"), cwd=self.places[side]), metrics)
        self.expect(
            side, run.id, params=params, metrics=metrics, status="completed", name=None, tags=[], note="", deleted=False
        )
        return side, run.id

    @rule(target=open_runs, side=sides, params=params)
    def start(self, side, params):
        journal = self.on(side).begin(Beginning(layer(params, "code"), cwd=self.places[side]), Status.OPEN)
        self.journals[journal.id] = journal
        self.expect(side, journal.id, params=params, metrics={}, status="open", name=None, tags=[], note="", deleted=False)
        return side, journal.id

    @rule(target=runs, which=consumes(open_runs), metrics=metrics, code=st.sampled_from([0, 1]))
    def finish(self, which, metrics, code):
        side, run = which
        status = Status.FAILED if code else Status.COMPLETED
        self.on(side).finish(self.journals.pop(run), Ending(status, now(), code), metrics)
        self.expect(side, run, metrics={**self.models[side][run]["metrics"], **metrics}, status=str(status))
        return which

    @rule(which=runs, metrics=metrics)
    def update(self, which, metrics):
        side, run = which
        self.on(side).update(run, layer({}, "code"), metrics)
        self.expect(side, run, metrics={**self.models[side][run]["metrics"], **metrics})

    @rule(which=st.one_of(runs, open_runs), tag=tags, gone=tags)
    def tag(self, which, tag, gone):
        side, run = which
        self.on(side).tag(run, [tag], [gone])
        self.expect(side, run, tags=sorted({*self.models[side][run]["tags"], tag} - {gone}))

    @rule(which=st.one_of(runs, open_runs), note=st.text(max_size=5))
    def note(self, which, note):
        side, run = which
        self.on(side).note(run, note)
        self.expect(side, run, note=note)

    @rule(which=runs, name=names)
    def rename(self, which, name):
        side, run = which
        repository = self.on(side)
        if any(other["name"] == name and not other["deleted"] for there, other in self.models[side].items() if there != run):
            name = None
        repository.rename(run, name)
        self.expect(side, run, name=name)

    @rule(which=runs)
    def hide(self, which):
        side, run = which
        self.on(side).remove(run)
        self.expect(side, run, deleted=True)

    @rule(which=runs)
    def bring_back(self, which):
        side, run = which
        self.on(side).bring_back(run)
        self.expect(side, run, deleted=False)

    @precondition(lambda self: any(self.models))
    @rule(side=sides, old=st.sampled_from(["a", "b", "HEAD"]), new=st.sampled_from(["c", "d"]))
    def relink(self, side, old, new):
        repository = self.on(side)
        pair = (git("rev-parse", "HEAD", cwd=self.places[side]) if old == "HEAD" else old * 40, new * 40)
        repository.relink([pair], "amend")

    # -- what happens to a ledger

    @rule(side=sides)
    def join(self, side):
        """Fetch the other's ledger and join it, as `pull` does."""
        other = 1 - side
        git(
            "fetch",
            "--quiet",
            str(self.places[other]),
            "+refs/gitparams/*:refs/gitparams/remotes/other/*",
            cwd=self.places[side],
        )
        repository = self.on(side)
        theirs, mine = repository.git.ref("refs/gitparams/remotes/other/runs"), repository.ledger.tip()
        if theirs is None:
            return
        repository.git.move_ref(REF, theirs if mine is None else repository.ledger.join(mine, theirs), mine)
        repository.refresh()
        news = {run: copy.deepcopy(state) for run, state in self.models[other].items() if self.owner[run] == other}
        self.models[side].update(news)

    @rule(side=sides)
    def lose_the_index(self, side):
        self.repositories[side].close()
        (self.places[side] / ".git/gitparams/index.db").unlink(missing_ok=True)
        self.repositories[side] = Repository.find(self.places[side])

    @rule(side=sides, back=st.integers(1, 3))
    def rewind(self, side, back):
        """Move the ref back behind our back: what is gone is joined again."""
        self.on(side)
        commits = git("rev-list", "--first-parent", REF, "--", cwd=self.places[side], check=False).split()
        if len(commits) > back:
            git("update-ref", REF, commits[back], cwd=self.places[side])
        elif commits:
            git("update-ref", "-d", REF, cwd=self.places[side])

    @rule(side=sides)
    def collect(self, side):
        self.on(side)
        git("gc", "--quiet", "--prune=now", cwd=self.places[side])

    # -- what is always so

    @invariant()
    def the_ledger_tells_what_the_model_knows(self):
        for side, repository in enumerate(getattr(self, "repositories", ())):
            repository.refresh()
            found = by_id(all_runs(repository))
            assert same(found, {RunId(run): state for run, state in self.models[side].items()}), (
                side,
                found,
                self.models[side],
            )

    def teardown(self):
        if not hasattr(self, "repositories"):
            return
        try:
            for repository, place in zip(self.repositories, self.places, strict=True):
                kept = rows(repository.index)
                repository.index.rebuild(repository.ledger.tip())
                assert rows(repository.index) == kept
                assert git("fsck", "--strict", "--no-dangling", cwd=place) == ""
                repository.close()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


TestClones = Clones.TestCase
TestClones.settings = settings(
    max_examples=200 if LONG else 8,
    stateful_step_count=40 if LONG else 18,
    derandomize=not LONG,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=tuple(Phase) if LONG else (Phase.generate,),  # making a failure small takes minutes
)
