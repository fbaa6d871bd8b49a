"""What a node shows is judged by what its own engine class has to show."""

from typing import Any

from tests.support.memory_store import MemoryStore
from tests.support.virtual_loop import VirtualClock, run_virtual

from miroir.core import settings as rules
from miroir.core.drift import State
from miroir.core.fingerprint import fingerprint
from miroir.core.topology import GroupId, IndexUid, Node, NodeId, ShardId, Topology
from miroir.ports.records import IndexRecord
from miroir.services.cluster import Cluster
from miroir.services.prober import Prober, hash_of
from miroir.services.readings import judge

OLD, NEW = "1.11.3", "1.50.0"
SETTINGS = {**rules.defaults(), "pagination": {"maxTotalHits": 2000}}
"""As a fresh index on the old engine shows them, which has made them the wanted ones."""
FRESH = {**rules.defaults(), "pagination": {"maxTotalHits": 1000}}
"""A fresh index on the new engine."""


def record(of_new: dict[str, Any]) -> IndexRecord:
    forms = {OLD: fingerprint(SETTINGS), NEW: fingerprint(of_new)}
    return IndexRecord(IndexUid("movies"), None, 1, SETTINGS, forms, None, False, 0, 0)


async def reading(loop: Any, index: IndexRecord, shown: dict[str, Any]) -> Any:
    """Judge a node of the new engine, whose fresh form was probed once."""
    store = MemoryStore(VirtualClock(loop))
    await store.keep_expected(hash_of(None), NEW, FRESH)
    topology = Topology(1, 1, 1, (Node(NodeId("a"), ShardId(0), GroupId(0), "http://x"),))
    nobody: Any = None  # No node is asked here.
    prober = Prober(
        control=nobody,
        store=store,
        cluster=Cluster(topology),
        watcher=nobody,
        clock=VirtualClock(loop),
        wait_s=1.0,
    )
    return await judge(prober, index, NEW, shown)


def test_a_fresh_index_shows_the_defaults_of_its_own_engine() -> None:
    """Nodes of two engines, and an index that was just made: nothing has drifted."""

    async def main(loop: Any) -> None:
        found = await reading(loop, record(of_new=FRESH), FRESH)
        assert (found.finding.state, found.adoption()) == (State.SYNCED, {})

    run_virtual(main)


def test_only_what_somebody_changed_is_named_and_adopted() -> None:
    """The other default is no part of the foreign change."""

    async def main(loop: Any) -> None:
        found = await reading(loop, record(of_new=FRESH), {**FRESH, "stopWords": ["the"]})
        assert found.finding.faults == ("stopWords",)
        assert set(found.adoption()) == {"stopWords", "synonyms"}

    run_virtual(main)


def test_what_a_change_made_explicit_counts_on_every_engine() -> None:
    """After the first change all nodes show one default; a node that begins anew does not."""

    async def main(loop: Any) -> None:
        found = await reading(loop, record(of_new=SETTINGS), FRESH)
        assert found.finding.faults == ("pagination",)

    run_virtual(main)
