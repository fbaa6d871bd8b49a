"""
Documents under faults from a seed: real services, simulated nodes, a judge outside (docs_world).

Nodes crash, are cut off, fail tasks; requests and answers are lost; the disk is full for a while;
Miroir dies between any two awaits and is started again on the same store. Afterwards everything
accepted must have ended, every replica must be in sync again, and the replicas of a shard must
hold the same documents: those that the accepted writes lead to, in the order of acceptance.
"""

import asyncio
import random

import pytest

from miroir.core.topology import IndexUid
from miroir.errors import MiroirError
from miroir.services.write_plan import DocumentsWrite
from tests.support.docs_faults import plan_for
from tests.support.docs_run import simulate
from tests.support.sim_faults import FaultPlan, FaultPoint as F
from tests.support.sim_inside import Gone

_SEEDS = range(160)
_PER_TEST = 20


@pytest.mark.parametrize("first", _SEEDS[::_PER_TEST])
def test_accepted_writes_are_on_every_replica_in_the_order_of_their_acceptance(first):
    """The one thing that a database must not get wrong, whatever breaks meanwhile."""
    for seed in range(first, first + _PER_TEST):
        world = simulate(seed)
        tail = "\n".join(world.log[-120:])
        assert world.failure is None, (
            f"seed {seed} ({world.faults.style}): {world.failure}\n{tail}"
        )


async def _writes_beside_deletions(world):
    """Delete an index again and again, with writes to it under way at that very moment."""
    while not world.process.serves:
        await asyncio.sleep(0.01)
    writer = world.process.services.documents.writer
    for step in range(30):
        body = b'[{"id": %d, "v": %d}]' % (step % 5, step)
        rows = DocumentsWrite(IndexUid("movies"), "POST", body, "application/json")
        async with asyncio.TaskGroup() as at_once:
            for work in (writer.add(rows), writer.delete_index("movies"), writer.add(rows)):
                at_once.create_task(world.process.ask(lambda _, work=work: work))
                await asyncio.sleep(0.0003 * world.chance.randrange(3))


@pytest.mark.parametrize("seed", range(8))
def test_a_write_beside_the_deletion_of_its_index_is_before_or_behind_it(seed):
    """In the middle of it, it would bring the index back on some nodes and not on others."""
    calm = FaultPlan("calm", random.Random(seed), {})
    world = simulate(seed * 8, calm, workload=_writes_beside_deletions)

    assert world.failure is None, world.failure
    assert len(world.ends) > 20
    assert len(world.writes) > 40


@pytest.mark.parametrize("seed", [41, 187, 201, 363])
def test_a_seed_that_found_something_stays_green(seed):
    """
    They found what docs/track-record.md tells.

    A leftover that was verified unasked; a copy into an index that is no more, and whose replica
    left the new one without a trace; a late part counted twice; the last one not heard.
    """
    world = simulate(seed)
    assert world.failure is None, world.failure


async def _the_last_one_speaks(world):
    """Let one replica fail a write and leave, while the other, that took it, is silent."""
    while not world.process.serves:
        await asyncio.sleep(0.01)
    writer = world.process.services.documents.writer
    n0, n1 = world.nodes["n0"], world.nodes["n1"]

    async def add(number):
        body = b'[{"id": %d}]' % number
        rows = DocumentsWrite(IndexUid("movies"), "POST", body, "application/json")
        return await world.process.ask(lambda _: writer.add(rows))

    async def ended(task):
        while (now := await world.store.task(task.uid)).finished_at_ms is None:
            await asyncio.sleep(0.1)
        return now

    await ended(await add(0))
    n0._applied = lambda _batch: {"code": "internal", "message": "no space left"}
    n1._duration_s = lambda _task: 30.0
    first = await add(1)
    await asyncio.sleep(1.0)
    del n0._applied
    n0.reachable = False
    await add(2)  # The one that failed misses this one, and leaves.
    n1.reachable = False
    await asyncio.sleep(60.0)
    del n1._duration_s
    n0.reachable = n1.reachable = True
    assert (await ended(first)).status == "succeeded"


def test_what_the_last_replica_in_sync_did_is_what_the_write_did():
    """Its sibling failed and has left since: a client told of that failure would send it again."""
    calm = FaultPlan("calm", random.Random(8), {})
    world = simulate(8, calm, workload=_the_last_one_speaks)
    assert world.failure is None, world.failure


async def _edits(world):
    """Have every document counted up again and again."""
    while not world.process.serves:
        await asyncio.sleep(0.01)

    async def ask(work):
        while True:
            try:
                return await world.process.ask(work)
            except (Gone, MiroirError):
                await asyncio.sleep(0.5)

    body = b'[{"id": 1, "group": 0}, {"id": 2, "group": 1}, {"id": 3, "group": 0}]'
    rows = DocumentsWrite(IndexUid("movies"), "POST", body, "application/json")
    await ask(lambda s: s.documents.writer.add(rows))
    for step in range(25):
        wish = b'{"filter": "group = %d", "function": "count"}' % (step % 2)
        await ask(lambda s, wish=wish: s.documents.writer.edit(IndexUid("movies"), wish))


def test_an_edit_is_made_once_though_its_answer_is_lost_and_miroir_dies():
    """Sent again like any other part, it would count twice; the last replica has no sibling."""
    lost = 0
    for seed in range(16):
        crashes = {F.MIROIR_CRASHED_IN_CALL: 0.02, F.MIROIR_CRASHED_AFTER_CALL: 0.02}
        chance = random.Random(f"edits {seed}")
        faults = FaultPlan("edits", chance, {F.ANSWER_LOST: 0.15, **crashes}, budget=60)

        world = simulate(seed, faults, workload=_edits)

        assert world.failure is None, f"seed {seed}: {world.failure}"
        held = world.nodes["n0"].documents["movies"].values()
        assert max(d.get("edits", 0) for d in held) >= 12
        lost += sum("answer lost: send" in line for line in world.log)
    assert lost > 30


def test_the_seeds_meet_what_they_are_about():
    """A simulation in which nothing is written, lost or repaired proves nothing."""
    worlds = [simulate(seed) for seed in range(8, 40)]
    log = "\n".join(line for world in worlds for line in world.log)

    assert {plan_for(seed).style for seed in range(8)} == {world.faults.style for world in worlds}
    assert sum(len(world.writes) for world in worlds) > 150
    for sight in ("dies:", "crashes", "replica_out_of_sync", "resync_done", "store_unavailable",
                  "fails tasks", "answer lost", "indexDeletion", "late: send",
                  "documentEdition"):  # fmt: skip
        assert sight in log, sight
