"""
Writes and changes that somebody cancels while nodes and Miroir fail: every end is told truly.

The judge is that of documents: replicas end equal, and hold what the tasks say that was done.
"""

import asyncio
import random

import pytest

from miroir.errors import MiroirError
from miroir.ports.records import TaskQuery
from tests.support.docs_run import simulate, three_clients
from tests.support.sim_inside import Gone

_SEEDS = range(48)
_PER_TEST = 16


async def with_cancelations(world):
    """Let three clients write, and a fourth take back what it finds unfinished."""
    writing = asyncio.ensure_future(three_clients(world))
    canceling = asyncio.ensure_future(_cancel(world))
    try:
        await writing
    finally:
        canceling.cancel()


async def _cancel(world):
    chance = random.Random(f"cancel {world.seed}")
    while True:
        await asyncio.sleep(chance.expovariate(3.0))
        if not world.process.serves:
            continue
        newest = max(world.writes, default=0)
        uids = tuple(range(max(0, newest - chance.randrange(6)), newest + 3))
        query = chance.choice((TaskQuery(uids=uids), TaskQuery(statuses=("enqueued",))))
        try:
            done = await world.process.ask(
                lambda s, query=query: s.documents.queue.keeper.cancel(query, "?")
            )
        except (Gone, MiroirError) as error:
            world.note(f"not cancelled: {error!r}")
        else:
            world.note(f"cancelation {done.uid} of {query.uids or query.statuses}")


async def canceled(world):
    """Return the tasks that were cancelled."""
    return (await world.store.tasks(TaskQuery(limit=10**6, statuses=("canceled",)))).results


@pytest.mark.parametrize("first", _SEEDS[::_PER_TEST])
def test_what_is_cancelled_is_cancelled_everywhere(first):
    """A replica that carries out what its siblings have cancelled answers otherwise for ever."""
    found = 0
    for seed in range(first, first + _PER_TEST):
        world = simulate(seed, workload=with_cancelations)
        tail = "\n".join(world.log[-120:])
        assert world.failure is None, (
            f"seed {seed} ({world.faults.style}): {world.failure}\n{tail}"
        )
        tasks = asyncio.run(canceled(world))
        assert all(task.recalled_by is None for task in tasks)
        found += sum(task.canceled_by is not None for task in tasks)
    assert found > _PER_TEST, "too few were cancelled to tell anything"
