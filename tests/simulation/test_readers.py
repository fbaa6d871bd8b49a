"""
Readers beside a main process, by seed: delays, hangs and deaths, changes under constant searches.

Watched, whatever happens: no answer goes back behind one that was given before it was asked for,
of whichever process; no answer stands on a node that was changed while it was made; and nothing
waits for ever.
"""

import asyncio
import random

import pytest

from tests.support.reader_world import MOVIES, NODES, FakeReader, ReaderWorld, record
from tests.support.virtual_loop import run_virtual

SEEDS = 300
_CHANGES = 12


class History:
    """One seed: who searches, who changes, and what was answered."""

    def __init__(self, loop, seed):
        self.chance = random.Random(seed)
        self.world = ReaderWorld(loop, seed)
        self.loop = loop
        self.readers, self.searching = [], []
        self.newest = 0
        """The newest version that anybody was answered with."""
        self.shown = dict.fromkeys(NODES, 1)
        """What the nodes really show."""
        self.answers = self.switched = self.ended = 0
        self.over = False

    def begin(self, group):
        slowest_s = self.chance.choice([0.0, 0.002, 0.05, 0.5])
        reader = self.world.reader(lambda: self.chance.uniform(0, slowest_s))
        self.readers.append(reader)
        self.searching.append(group.create_task(self.searches_of(reader)))

    async def search(self, gate, cluster, running, alive):
        """One search, as `Scatter.ask` makes it, of any process."""
        asked_after = self.newest
        for _ in range(3):
            if gate is not None and gate.closed:
                await gate.passed(MOVIES)
            index = cluster.view.live(MOVIES)
            if index is None:
                return
            usable = [n for n, v in index.proved.items() if v == index.record.version]
            usable = [n for n in usable if n not in index.spared]
            if not usable:
                return
            node = self.chance.choice(sorted(usable))
            entered = running.enter(MOVIES, (node,))
            await asyncio.sleep(self.chance.uniform(0, 0.03))
            found = self.shown[node]
            await asyncio.sleep(self.chance.uniform(0, 0.03))
            running.leave(entered)
            if gate is not None and gate.closed:
                await gate.passed(MOVIES)
            now = cluster.view.live(MOVIES)
            version = index.record.version
            true = now is not None and now.proved.get(node) == version
            if true and now.stirred.get(node) == index.stirred.get(node):
                break
        else:
            return
        if not alive():
            return  # Nobody hears it.
        self.answers += 1
        assert found == version, f"{node} showed {found}, the answer says {version}"
        assert version >= asked_after, f"back to {version}, {asked_after} was known"
        self.newest = max(self.newest, version)

    async def searches_of(self, reader):
        def alive():
            return not (reader.gone or reader.hangs)

        while not self.over and not reader.gone:
            await asyncio.sleep(self.chance.uniform(0, 0.02))
            if not reader.hangs:
                await self.search(reader.gate, reader.cluster, reader.running, alive)

    async def searches_here(self):
        world = self.world
        while not self.over:
            await asyncio.sleep(self.chance.uniform(0, 0.02))
            await self.search(None, world.cluster, world.running, lambda: True)

    async def change(self, version):
        """One half is changed, committed, and the other follows: as the machine does."""
        world, halves = self.world, [NODES[:2], NODES[2:]]
        self.chance.shuffle(halves)
        first, second = halves
        await self.patch(first, version)
        async with world.fence.switching([MOVIES]):
            await asyncio.sleep(self.chance.uniform(0, 0.01))
            world.cluster.apply_record(record(version))
            world.cluster.apply_demotion(MOVIES, second)
            world.cluster.apply_proof(MOVIES, first, version)
        self.switched += 1
        await self.patch(second, version)
        world.cluster.apply_proof(MOVIES, second, version)

    async def patch(self, nodes, version):
        world = self.world
        world.cluster.apply_demotion(MOVIES, nodes)
        await world.fence.drained(MOVIES, nodes, within_s=1)
        for node in nodes:
            await world.fence.synced()
            self.shown[node] = version
            await asyncio.sleep(self.chance.uniform(0, 0.02))

    async def trouble(self, group):
        """Readers hang, die and come."""
        while not self.over:
            await asyncio.sleep(self.chance.uniform(0.05, 1.5))
            living = [r for r in self.readers if not r.gone]
            match self.chance.choice(["come", "hang", "die", "wait"]):
                case "come" if len(living) < 4:
                    self.begin(group)
                case "hang" if living:
                    self.chance.choice(living).hangs = True
                case "die" if living:
                    dead = self.chance.choice(living)
                    dead.gone = True
                    self.world.fence.leave(dead)
                    self.ended += 1
                case _:
                    pass

    async def play(self):
        world = self.world
        world.cluster.apply_record(record(1))
        world.cluster.apply_proof(MOVIES, NODES, 1)
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(world.fence.run())
            self.searching.append(group.create_task(self.searches_here()))
            for _ in range(2):
                self.begin(group)
            troubling = group.create_task(self.trouble(group))
            for version in range(2, 2 + _CHANGES):
                await self.change(version)
                await asyncio.sleep(self.chance.uniform(0, 0.3))
            troubling.cancel()
            await asyncio.sleep(5)  # Who hangs is found, and every gate is open.
            assert not any(r.gate.closed for r in self.readers if not r.gone)
            assert not [r for r in self.readers if r.hangs and not r.gone]
            self.over = True
            looking.cancel()
            await asyncio.sleep(1)
            for searching in self.searching:
                searching.cancel()  # In the dead, who wait for what nobody tells them.


def played(seed):
    found = []

    async def main(loop):
        history = History(loop, seed)
        found.append(history)
        await history.play()

    run_virtual(main, seed=seed)
    return found[0]


def play_all():
    return [played(seed) for seed in range(SEEDS)]


def test_no_answer_goes_back_or_mixes_whatever_happens_to_readers():
    """What several processes must not cost: every promise that one of them keeps."""
    histories = play_all()
    assert all(h.over for h in histories)
    assert all(h.switched == _CHANGES for h in histories)
    assert sum(h.answers for h in histories) > SEEDS * 50
    assert sum(h.ended for h in histories) > SEEDS
    assert any(r.gone and r.hangs for h in histories for r in h.readers)


@pytest.mark.parametrize("guard", ["synced", "switching", "ended"])
def test_each_guard_is_needed(guard, monkeypatch):
    """A test that finds nothing without the guard proves nothing with it."""
    if guard == "synced":

        async def at_once(self):
            self._flush()

        monkeypatch.setattr("miroir.services.fence.Fence.synced", at_once)
    elif guard == "switching":
        monkeypatch.setattr("miroir.services.gate.Gate.close", lambda *_: None)
    else:  # It is counted out, and goes on all the same, as one that was only slow would.

        async def end(self):
            self.hangs = False

        monkeypatch.setattr(FakeReader, "end", end)
    with pytest.raises((AssertionError, ExceptionGroup)):
        play_all()
