"""
Documents under faults from a seed: real services, simulated nodes, a judge outside (docs_world).

Nodes crash, are cut off, fail tasks; requests and answers are lost; the disk is full for a while;
Miroir dies between any two awaits and is started again on the same store. Afterwards everything
accepted must have ended, every replica must be in sync again, and the replicas of a shard must
hold the same documents: those that the accepted writes lead to, in the order of acceptance.
"""

import pytest

from tests.support.docs_run import simulate
from tests.support.docs_world import plan_for

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


def test_the_seeds_meet_what_they_are_about():
    """A simulation in which nothing is written, lost or repaired proves nothing."""
    worlds = [simulate(seed) for seed in range(8, 24)]
    log = "\n".join(line for world in worlds for line in world.log)

    assert {plan_for(seed).style for seed in range(8)} == {world.faults.style for world in worlds}
    assert sum(len(world.writes) for world in worlds) > 150
    for sight in ("dies:", "crashes", "replica_out_of_sync", "resync_done", "store_unavailable",
                  "fails tasks", "answer lost", "indexDeletion"):  # fmt: skip
        assert sight in log, sight
