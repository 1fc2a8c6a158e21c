"""Sharing, simulated from a seed: many clones, random events, cut connections and kills end converged with nothing lost."""

import os
import random
import subprocess
import sys
import zlib
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

import pytest
from world import git, make_repository

from gitparams.entry import parse_commit
from gitparams.git import Git, TreeEntry
from gitparams.ledger import REF, Ledger
from gitparams.model import EventKind, new_event, new_run_id
from gitparams.params import layer
from gitparams.repository import Repository
from gitparams.writing import Beginning

SEEDS = [int(word) for word in os.environ.get("GITPARAMS_TEST_SEEDS", "1").split()]
STEPS = int(os.environ.get("GITPARAMS_TEST_STEPS", "2000"))


# -- thousands of steps: tips in one object store -------------------------------------------------------------------------


class Store(Git):
    """A repository whose objects are written without a process each: that is what most of the steps would wait for."""

    def pack(self, objects):
        return list(objects)

    def write_pack(self, pack, *, whole=False):
        for item in pack:
            path = self.place.common_dir / "objects" / item.oid[:2] / item.oid[2:]
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(zlib.compress(f"{item.kind} {len(item.data)}\0".encode() + item.data, 1))


@dataclass
class Clone:
    """A clone, as far as its ledger is concerned: a tip, and what it saw of others."""

    tip: str | None = None
    held: list = field(default_factory=list)  # what was fetched, and not joined before the connection was cut


class World:
    """Clones in one object store, each with a tip of its own, and a hub with an inbox."""

    def __init__(self, plain, clones, seed):
        self.git, self.ledger, self.chance = plain, Ledger(plain), random.Random(seed)
        self.clones = [Clone() for _ in range(clones)]
        self.hub, self.inbox, self.written = None, [], {}
        self.sets = {}  # of each commit what it contains, as bits: asking git a thousand times would take minutes

    def append(self, clone, runs=1):
        """Record runs, or change one: entries of a chain, written in one pack."""
        objects, tip = [], clone.tip
        for _ in range(runs):
            event, changes = new_event(EventKind.RECORD), self.written and self.chance.random() < 0.3
            run, prev = self.chance.choice(list(self.written.values())) if changes else (new_run_id(), None)
            blob = self.git.object("blob", f"{run} {event.nonce} {len(self.written)}".encode())
            tree = self.git.tree_object({"run.json": TreeEntry("100644", blob.oid)})
            person = f"A <a@b> {self.chance.randrange(10**6)} +0000"  # clocks that nobody has set
            parent = f"parent {tip}\n" if tip else ""
            changed = f"Run-Prev: {prev}\n" if prev else ""
            text = f"tree {tree.oid}\n{parent}author {person}\ncommitter {person}\n\nx\n\nRun-Id: {run}\nRun-Event: record\n{changed}"
            commit = self.git.object("commit", text.encode())
            objects += [blob, tree, commit]
            self.written[commit.oid] = (run, tree.oid)
            tip = commit.oid
        self.git.write_pack(self.git.pack(objects))
        clone.tip = tip

    def holds(self, tip, commit):
        return tip is not None and self.content(tip) & self.content(commit) == self.content(commit)

    def content(self, tip):
        waiting = [tip]
        while waiting:
            commit = waiting.pop()
            parents = parse_commit(self.git.read(commit)[2]).parents if commit not in self.sets else ()
            if lacking := [parent for parent in parents if parent not in self.sets]:
                waiting += [commit, *lacking]
            elif commit not in self.sets:
                self.sets[commit] = reduce(or_, (self.sets[parent] for parent in parents), 1 << len(self.sets))
        return self.sets[tip]

    def join(self, clone, *tips):
        """Join as a pull does: not at all while nothing is lacking, and what the hub has comes last."""
        if all(self.holds(clone.tip, theirs) for theirs in tips):
            return
        for theirs in tips:
            clone.tip = theirs if clone.tip is None else self.ledger.join(clone.tip, theirs)

    def pull(self, clone):
        """Pull from the hub; one in five is cut after the fetch, and the next begins anew."""
        if self.hub is not None and self.chance.random() > 0.2:
            self.join(clone, *self.inbox, self.hub)

    def push(self, clone):
        """Push as the command does: join first; one in ten loses each race, and half of these reach the inbox; one in five is cut."""
        if self.hub is not None and self.chance.random() > 0.1:
            self.join(clone, *self.inbox, self.hub)
        if clone.tip is None or self.chance.random() < 0.2:
            return
        if self.hub is None or self.holds(clone.tip, self.hub):
            self.hub = clone.tip
            self.inbox = [tip for tip in self.inbox if not self.holds(self.hub, tip)]
        elif self.chance.random() < 0.5:
            self.inbox.append(clone.tip)

    def step(self):
        clone = self.chance.choice(self.clones)
        action = self.chance.choices(["append", "pull", "push"], [4, 3, 3])[0]
        if action == "append":
            self.append(clone, self.chance.randint(1, 3))
        else:
            getattr(self, action)(clone)

    def settle(self):
        """Let each clone pull and push twice without a fault."""
        for clone in [*self.clones, *self.clones]:
            self.join(clone, *self.inbox, *([self.hub] if self.hub else []))
            self.hub, self.inbox = clone.tip or self.hub, []
        for clone in self.clones:
            self.join(clone, self.hub)

    def entries(self, tip):
        return set(self.git.text("rev-list", "--max-parents=1", tip).split())

    def merges(self, tip):
        return int(self.git.text("rev-list", "--count", "--min-parents=2", tip))


@pytest.mark.parametrize("seed", SEEDS)
def test_twenty_clones_around_a_hub_converge_and_lose_nothing(repo, seed):
    with Store.find() as plain:
        world = World(plain, 20, seed)
        for _ in range(STEPS):
            world.step()
        world.settle()
        assert {clone.tip for clone in world.clones} == {world.hub}
        assert world.entries(world.hub) == set(world.written)
        merges = world.merges(world.hub)
        assert merges < len(world.written)
        for _ in range(40):  # without new entries nothing moves any more, whoever pulls and pushes
            clone = world.chance.choice(world.clones)
            world.chance.choice([world.pull, world.push])(clone)
        assert {clone.tip for clone in world.clones} == {world.hub}


@pytest.mark.parametrize("seed", SEEDS)
def test_peers_in_a_ring_without_a_hub_converge_and_lose_nothing(repo, seed):
    with Store.find() as plain:
        world = World(plain, 8, seed)
        for _ in range(STEPS // 4):
            place = world.chance.randrange(8)
            if world.chance.random() < 0.4:
                world.append(world.clones[place])
            elif (theirs := world.clones[place - 1].tip) is not None:
                held = world.clones[place].held
                held.append(theirs)
                world.join(world.clones[place], world.chance.choice(held[-4:]))  # what was seen may be old
        before = sum(world.merges(clone.tip) for clone in world.clones)
        pulls = 0
        while len({clone.tip for clone in world.clones}) > 1 and pulls < 1000:
            place = world.chance.randrange(8)
            world.join(world.clones[place], world.clones[place - 1].tip)
            pulls += 1
        assert len({clone.tip for clone in world.clones}) == 1
        assert world.entries(world.clones[0].tip) == set(world.written)
        assert world.merges(world.clones[0].tip) <= before + 8


def test_peers_that_pull_at_the_same_moment_make_no_merges_without_new_entries(repo):
    with Store.find() as plain:
        world = World(plain, 3, 1)
        for clone in world.clones:
            world.append(clone)
        for _ in range(30):
            tips = [clone.tip for clone in world.clones]
            for place, clone in enumerate(world.clones):
                world.join(clone, tips[place - 1])
        every = set().union(*(set(plain.text("rev-list", "--min-parents=2", clone.tip).split()) for clone in world.clones))
        assert len(every) <= 6
        world.join(world.clones[0], world.clones[1].tip)  # one delayed pull ends it
        world.join(world.clones[1], world.clones[0].tip)
        world.join(world.clones[2], world.clones[0].tip)
        assert len({clone.tip for clone in world.clones}) == 1


# -- fewer steps: real clones, real processes, kills ----------------------------------------------------------------------


class Field:
    """Real clones of a bare repository; what was acknowledged is written down."""

    def __init__(self, folder, clones, seed):
        self.chance = random.Random(seed)
        make_repository(folder / "code")
        self.hub = folder / "hub.git"
        git("clone", "--quiet", "--bare", folder / "code", self.hub)
        self.clones = [folder / f"clone{number}" for number in range(clones)]
        for clone in self.clones:
            git("clone", "--quiet", self.hub, clone)
        self.runs, self.tags, self.removed, self.killed = {}, {}, set(), 0

    def record(self, clone):
        with Repository.find(clone) as repository:
            value = self.chance.random()
            run = repository.record(Beginning(layer({"lr": value}, "code")), {"acc": value})
        self.runs[run.id] = value

    def change(self, clone):
        with Repository.find(clone) as repository:
            known = [run.id for run in repository.runs()]
            if not known:
                return
            run, tag = self.chance.choice(known), f"t{len(self.tags)}-{self.chance.randrange(1000)}"
            if self.chance.random() < 0.2:
                repository.remove(run)
                self.removed.add(run)
            else:
                repository.tag(run, add=[tag])
                self.tags.setdefault(run, set()).add(tag)

    def share(self, clone):
        """Push, pull or sync in a process of its own, with its children; one in three is killed on its way."""
        word = self.chance.choice(["push", "pull", "sync"])
        process = subprocess.Popen(
            [sys.executable, "-m", "gitparams", word], cwd=clone, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            start_new_session=True, text=True,
        )  # fmt: skip
        kill = self.chance.random() < 0.33
        try:
            _, said = process.communicate(timeout=self.chance.uniform(0.06, 0.35) if kill else 60)
        except subprocess.TimeoutExpired:
            # The process alone: a git that is killed leaves its own lock files, which `doctor` names.
            process.kill()
            process.communicate()
            self.killed += 1
            return
        assert process.returncode == 0, said

    def step(self):
        action = self.chance.choices([self.record, self.change, self.share], [3, 2, 5])[0]
        action(self.chance.choice(self.clones))

    def settle(self):
        for clone in [*self.clones, *self.clones]:
            with Repository.find(clone) as repository:
                repository.sync()


@pytest.mark.parametrize("seed", SEEDS)
def test_real_clones_with_kills_converge_and_lose_nothing(tmp_path, seed):
    world = Field(tmp_path, 4, seed)
    for _ in range(60):
        world.step()
    world.settle()
    tips = {git("rev-parse", REF, cwd=folder) for folder in [*world.clones, world.hub]}
    assert len(tips) == 1
    assert git("fsck", "--strict", "--no-dangling", cwd=world.hub) == ""
    with Repository.find(world.clones[0]) as one, Repository.find(world.clones[1]) as other:
        assert all(one.run(f"run:{run}") == other.run(f"run:{run}") for run in world.runs)
        assert {run: one.run(f"run:{run}").params["lr"] for run in world.runs} == world.runs
        assert {run: set(one.run(f"run:{run}").tags) for run in world.tags} == world.tags
        assert {run for run in world.runs if one.run(f"run:{run}").deleted} == world.removed
        assert len(one.runs()) == len(world.runs) - len(world.removed)
    assert world.killed > 0
