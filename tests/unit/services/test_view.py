"""What searches may use of an index, step by step through a change."""

from dataclasses import replace

import pytest
from tests.support.memory_store import MemoryStore
from tests.support.store_contract import (
    MOVIES,
    A,
    B,
    commit_once,
    commit_record,
    lead,
    machine,
    started,
    verified,
)

from miroir.core.broadcast_types import Decision, NodeState, Phase, Progress
from miroir.core.topology import GroupId, Node, ShardId, Topology
from miroir.services.cluster import Cluster

pytestmark = pytest.mark.anyio
TOPOLOGY = Topology(
    1, 1, 2, tuple(Node(n, ShardId(0), GroupId(i), "http://x:1") for i, n in enumerate((A, B)))
)


class StillClock:
    """Time does not pass: nothing here waits for it."""

    def wall_ms(self):
        return 0


def proved(cluster):
    return dict(cluster.view.indexes[MOVIES].proved)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_node_found_changed_stays_out_while_a_change_goes_on_with_others(restarted):
    """
    It answered at the new version, then somebody else changed it, and the feed told of that.

    A second half that does not answer is waited for until it is given up: whatever the change
    saves meanwhile must not bring the node back into the answers, nor a restart in between.
    """
    store, cluster = MemoryStore(StillClock()), Cluster(TOPOLOGY)
    lease = await lead(store)
    await commit_once(store, lease)
    await cluster.load(store)
    intent = await started(store, lease)
    record = commit_record(proved={A: "f1"}, unproved=(B,))
    version = await store.commit(intent, record, lease)
    cluster.apply_progress(intent)
    cluster.apply_commit(intent, record, version)
    follows = machine(
        phase=Phase.PROPOSING,
        decision=Decision.COMMIT,
        version=version,
        waves=((A,), (B,)),
        wave=1,
        nodes={A: verified(), B: Progress(NodeState.SENDING, proposals=1)},
    )
    intent = await store.save_intent(intent, follows, lease)
    cluster.apply_progress(intent)
    assert proved(cluster) == {A: 2}

    cluster.apply_demotion(MOVIES, (A,))
    await store.unprove(MOVIES, (A,))
    if restarted:
        cluster = Cluster(TOPOLOGY)
        await cluster.load(store)
    later = replace(follows, phase=Phase.WAITING, round=follows.round + 1)
    intent = await store.save_intent(intent, later, lease)
    cluster.apply_progress(intent)

    assert proved(cluster) == {}
    done = replace(later, nodes={A: verified(), B: verified()})
    cluster.apply_progress(await store.save_intent(intent, done, lease))
    assert proved(cluster) == {B: 2}


async def test_a_node_of_another_version_is_looked_at_before_it_answers():
    """The same settings may mean something else there: defaults change with the engine."""
    store, cluster = MemoryStore(StillClock()), Cluster(TOPOLOGY)
    await commit_once(store, await lead(store))
    await cluster.load(store)
    for node_id in (A, B):
        cluster.apply_health(node_id, healthy=True, engine="1.50.0")
    assert set(proved(cluster)) == {A, B}

    assert cluster.apply_health(A, healthy=True, engine="1.51.0")
    cluster.apply_health(B, healthy=True, engine="1.50.0+chatCompletions")

    assert set(proved(cluster)) == {B}
