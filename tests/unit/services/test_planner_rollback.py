"""A rollback leads to its version, whatever has become of the changes before it in the queue."""

from tests.support.store_contract import FixedClock

from miroir.core import settings as rules
from miroir.core.broadcast_types import Broadcast
from miroir.core.topology import GroupId, IndexUid, Node, NodeId, ShardId, Topology
from miroir.ports.records import IndexRecord, Intent, IntentKind
from miroir.services.cluster import Cluster
from miroir.services.planner import Planner, Policy

MOVIES, A = IndexUid("movies"), NodeId("a")
FORMER = {**rules.defaults(), "stopWords": ["the"], "synonyms": {"a": ["b"]}}


def planned(kind, base, patch, target):
    """Return an intent as the planner resolves it when `base` is in force."""
    cluster = Cluster(Topology(1, 1, 1, (Node(A, ShardId(0), GroupId(0), "http://x:1"),)))
    cluster.apply_record(IndexRecord(MOVIES, "id", 3, base, {}, None, False, 0, 0))
    planner = Planner(
        control=None,
        prober=None,
        clock=FixedClock(),
        policy=Policy(strategy="two_phase", waves="off", retries_max=3, freeze=True),
        tickets=None,
    )
    intent = Intent(
        index_uid=MOVIES,
        kind=kind,
        patch=patch,
        target=target,
        undo={},
        primary_key=None,
        by="client",
        reason="",
        state=Broadcast(MOVIES, columns=((A,),), waves=((A,),)),
        at_ms=0,
        intent_id=1,
        base_version=0,
        task_uid=None,
        revision=0,
        committed_version=None,
    )
    return planner.plan(intent, cluster.view)


def test_the_target_of_a_rollback_does_not_depend_on_what_is_in_force():
    """The change before it was aborted: a patch would build on settings that never came."""
    base = {**rules.defaults(), "stopWords": ["other"], "displayedAttributes": ["id"]}
    few = {"synonyms": {"a": ["b"]}}  # What had to change when the rollback was accepted.

    intent = planned(IntentKind.ROLLBACK, base, few, FORMER)

    assert intent.target == FORMER
    assert intent.undo == base
    assert intent.base_version == 3


def test_the_target_of_a_change_does():
    """The counterpart: a patch means what it means on top of what is there."""
    base = {**rules.defaults(), "stopWords": ["other"]}
    few = {"synonyms": {"a": ["b"]}}

    intent = planned(IntentKind.CHANGE, base, few, FORMER)

    assert intent.target == {**base, **few}
