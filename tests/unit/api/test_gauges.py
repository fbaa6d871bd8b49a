"""What operators are alerted on says what is so, in every phase of a change."""

from dataclasses import replace

import pytest
from tests.support.memory_store import MemoryStore
from tests.support.store_contract import FixedClock, new_task

from miroir.api.metrics import refresh
from miroir.core.broadcast_types import (
    CLOSED_PHASES,
    Broadcast,
    Decision,
    NodeState,
    Phase,
    Progress,
)
from miroir.core.topology import GroupId, IndexUid, Node, NodeId, ShardId, Topology
from miroir.errors import Unavailable
from miroir.ports.records import IndexRecord, Intent, IntentKind
from miroir.services.cluster import Cluster
from miroir.telemetry import Metrics

pytestmark = pytest.mark.anyio
MOVIES = IndexUid("movies")
A, B = NodeId("a"), NodeId("b")
OPEN = [phase for phase in Phase if phase not in CLOSED_PHASES]


@pytest.fixture
def cluster():
    """One shard on two nodes; movies is at version 3, and both nodes are proved at it."""
    nodes = (
        Node(A, ShardId(0), GroupId(0), "http://x:1"),
        Node(B, ShardId(0), GroupId(1), "http://x:2"),
    )
    cluster = Cluster(Topology(1, 1, 2, nodes))
    for node_id in (A, B):
        cluster.apply_health(node_id, healthy=True, engine="1.50.0")
    cluster.apply_record(IndexRecord(MOVIES, "id", 3, {}, {}, None, False, 0, 0))
    cluster.apply_proof(MOVIES, (A, B), 3)
    return cluster


def intent(kind=IntentKind.CHANGE, **state):
    machine = Broadcast(MOVIES, columns=((A, B),), waves=((A, B),))
    return Intent(
        index_uid=MOVIES,
        kind=kind,
        patch={},
        target={},
        undo={},
        primary_key=None,
        by="client",
        reason="",
        state=replace(machine, **state),
        at_ms=0,
        intent_id=1,
        base_version=3,
        task_uid=None,
        revision=0,
        committed_version=None,
    )


def open_with(cluster, wanted):
    cluster.apply_queued(wanted)
    cluster.apply_progress(wanted)


async def shown(cluster, store=None, commons=None):
    """Return sample -> value as a scraper reads them."""
    metrics = Metrics()
    commons = commons or Cluster(cluster.view.topology)
    store = store or MemoryStore(FixedClock())
    await refresh(metrics, cluster.view, commons.view, store=store, readers=0)
    lines = metrics.exposition().decode().splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in samples}


@pytest.mark.parametrize("phase", OPEN)
@pytest.mark.parametrize("decision", [None, *Decision])
async def test_every_open_phase_has_a_number_and_is_counted(cluster, phase, decision):
    """A phase that was forgotten would read as idle, in the middle of a change."""
    open_with(cluster, intent(phase=phase, decision=decision))

    samples = await shown(cluster)

    number = samples['miroir_settings_broadcast_phase{index="movies"}']
    if decision is Decision.ABORT:
        assert number == 4
    else:
        assert (number == 0) == (phase is Phase.QUEUED)
    states = {p: samples[f'miroir_intents{{state="{p.value}"}}'] for p in OPEN}
    assert states == {p: float(p is phase) for p in OPEN}


async def test_a_change_is_counted_once_and_those_of_keys_and_features_too(cluster):
    """One that moves two indexes waits in two queues; keys have a view of their own."""
    books, keys = IndexUid("books"), IndexUid("_miroir_keys")
    commons = Cluster(cluster.view.topology)
    swap = intent()
    cluster.apply_queued(swap)
    cluster.apply_queued(replace(swap, index_uid=books))
    commons.apply_queued(replace(intent(), index_uid=keys, intent_id=2))

    samples = await shown(cluster, commons=commons)

    assert samples['miroir_intents{state="queued"}'] == 2.0
    assert not [name for name in samples if "_miroir_keys" in name]


async def test_with_no_change_open_every_state_is_there_and_zero(cluster):
    """An absent series and a zero are different things to an alert."""
    samples = await shown(cluster)
    assert {samples[f'miroir_intents{{state="{p.value}"}}'] for p in OPEN} == {0.0}
    assert samples['miroir_settings_broadcast_phase{index="movies"}'] == 0.0
    assert samples["miroir_quarantined_nodes"] == 0.0
    assert samples["miroir_frozen_indexes"] == 0.0


async def test_an_index_is_frozen_until_it_is_thawed(cluster):
    """Document writes are being refused: somebody has to know."""
    record = cluster.view.indexes[MOVIES].record
    cluster.apply_record(replace(record, frozen_reason="both failed"))
    samples = await shown(cluster)
    assert samples["miroir_frozen_indexes"] == 1.0
    assert samples['miroir_settings_broadcast_phase{index="movies"}'] == 5.0

    cluster.apply_record(record)
    samples = await shown(cluster)
    assert samples["miroir_frozen_indexes"] == 0.0
    assert samples['miroir_settings_broadcast_phase{index="movies"}'] == 0.0


async def test_nodes_in_the_work_of_a_change_are_not_quarantined(cluster):
    """Every change would ring the bell."""
    sent = {A: Progress(NodeState.SENT, 1), B: Progress(NodeState.READING, 1)}
    open_with(cluster, intent(phase=Phase.PROPOSING, nodes=sent))

    samples = await shown(cluster)

    assert samples['miroir_unproved_nodes{index="movies"}'] == 2.0
    assert samples["miroir_quarantined_nodes"] == 0.0


@pytest.mark.parametrize("state", [NodeState.SILENT, NodeState.REJECTED])
async def test_a_node_that_a_change_has_given_up_is_quarantined_at_once(cluster, state):
    """It serves nothing from now on, however long the change still takes."""
    nodes = {A: Progress(NodeState.SENT, 1), B: Progress(state)}
    open_with(cluster, intent(phase=Phase.PROPOSING, nodes=nodes))

    assert (await shown(cluster))["miroir_quarantined_nodes"] == 1.0


async def test_a_drifted_node_is_quarantined_until_it_is_repaired(cluster):
    """Also while the repair runs, which may take as long as a reindex."""
    cluster.apply_demotion(MOVIES, [B])
    assert (await shown(cluster))["miroir_quarantined_nodes"] == 1.0

    repair = intent(IntentKind.REPAIR, waves=((B,),), nodes={B: Progress(NodeState.SENT, 1)})
    open_with(cluster, repair)
    assert (await shown(cluster))["miroir_quarantined_nodes"] == 1.0

    verified = {B: Progress(NodeState.VERIFIED, 1, "f", "1.50.0")}
    ended = replace(repair.state, phase=Phase.CONVERGED, nodes=verified,
                    decision=Decision.COMMIT, version=3)  # fmt: skip
    cluster.apply_progress(replace(repair, state=ended))
    cluster.apply_proof(MOVIES, [B], 3)
    assert (await shown(cluster))["miroir_quarantined_nodes"] == 0.0


async def test_one_node_out_of_many_indexes_counts_once(cluster):
    """The number is one of machines, not of their troubles."""
    books = IndexUid("books")
    cluster.apply_record(IndexRecord(books, "id", 1, {}, {}, None, False, 0, 0))
    cluster.apply_proof(books, (A,), 1)
    cluster.apply_demotion(MOVIES, [B])

    assert (await shown(cluster))["miroir_quarantined_nodes"] == 1.0


async def test_tasks_that_have_not_ended_are_counted(cluster):
    """A number that only grows says that nothing is being worked off."""
    store = MemoryStore(FixedClock())
    for _ in range(3):
        await store.open_task(new_task())
    await store.open_task(new_task(), status="succeeded")
    await store.start_task(0, at_ms=1)

    samples = await shown(cluster, store)

    assert samples['miroir_tasks{status="enqueued"}'] == 2.0
    assert samples['miroir_tasks{status="processing"}'] == 1.0


async def test_without_a_store_the_other_metrics_are_there(cluster):
    """A full disk is when they are needed."""

    class NoDisk(MemoryStore):
        async def unfinished_tasks(self):
            raise Unavailable("the disk is full")

    samples = await shown(cluster, NoDisk(FixedClock()))

    assert samples['miroir_node_up{node="a"}'] == 1.0
    assert not [name for name in samples if name.startswith("miroir_tasks")]
