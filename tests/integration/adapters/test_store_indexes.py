"""The store's contract: leases, facts, proofs, read-backs, replicas."""

import asyncio

import pytest
from tests.support.store_contract import (
    ENGINE,
    MOVIES,
    A,
    B,
    commit_once,
    commit_record,
    contract,
    depose,
    lead,
    machine,
    new_intent,
    proved,
    started,
)

from miroir.core.broadcast_types import Phase
from miroir.ports.records import Lease, NodeVersion

# ---- leases


@contract
async def test_a_lease_belongs_to_one_holder_at_a_time(store):
    """Two leaders of one index would each undo what the other verifies."""
    lease = await store.take_lease("index:movies", "first", ttl_ms=100, now_ms=1_000)

    assert lease == Lease("index:movies", "first", 1)
    assert await store.take_lease("index:movies", "second", ttl_ms=100, now_ms=1_099) is None
    assert await store.take_lease("index:books", "second", ttl_ms=100, now_ms=1_099) == Lease(
        "index:books", "second", 1
    )


@contract
async def test_a_holder_renews_under_the_same_epoch(store):
    """A renewal must not depose the very leader that asks for it."""
    await store.take_lease("s", "first", ttl_ms=100, now_ms=1_000)

    renewed = await store.take_lease("s", "first", ttl_ms=100, now_ms=1_050)

    assert renewed == Lease("s", "first", 1)
    assert await store.take_lease("s", "second", ttl_ms=100, now_ms=1_149) is None


@contract
async def test_an_expired_lease_changes_hands_under_the_next_epoch(store):
    """The epoch is how the store tells the old leader from the new one."""
    await store.take_lease("s", "first", ttl_ms=100, now_ms=1_000)

    assert await store.take_lease("s", "second", ttl_ms=100, now_ms=1_100) == Lease(
        "s", "second", 2
    )
    assert await store.take_lease("s", "first", ttl_ms=100, now_ms=1_100) is None
    assert await store.take_lease("s", "second", ttl_ms=1, now_ms=1_300) == Lease("s", "second", 3)


@contract
async def test_a_released_lease_is_free_and_its_epoch_is_not_forgotten(store):
    """A clean hand-over takes no waiting, and still no epoch is given out twice."""
    lease = await lead(store)
    await store.release_lease(lease)

    assert await store.take_lease(lease.scope, "second", ttl_ms=10, now_ms=0) == Lease(
        lease.scope, "second", 2
    )


@contract
async def test_a_deposed_holder_releases_nothing(store):
    """A late release by the old leader would open the door to a third one."""
    old = await lead(store)
    new = await depose(store)

    await store.release_lease(old)
    await store.release_lease(Lease("never taken", "first", 1))

    assert await store.take_lease(new.scope, "third", ttl_ms=10, now_ms=1_500) is None


@contract
async def test_of_many_who_ask_at_once_one_gets_the_lease(store):
    """Coroutines of one process race as processes do."""
    taken = await asyncio.gather(
        *(store.take_lease("s", f"holder {n}", ttl_ms=100, now_ms=0) for n in range(20))
    )

    assert len([lease for lease in taken if lease is not None]) == 1


@contract
async def test_a_lease_that_the_store_never_gave_is_a_bug(store):
    """An epoch from nowhere would pass every later comparison."""
    intent = await store.open_intent(new_intent())
    with pytest.raises((AssertionError, KeyError)):
        await store.start_intent(intent, Lease("index:movies", "first", 1))

    lease = await lead(store)
    with pytest.raises(AssertionError):
        await store.start_intent(intent, Lease(lease.scope, lease.holder, lease.epoch + 1))


# ---- facts


@contract
async def test_a_fact_is_kept_until_it_is_told_anew(store):
    """The topology of the last run is what a changed configuration is compared with."""
    assert await store.fact("topology") is None

    await store.set_fact("topology", "3x2")
    await store.set_fact("topology", "4x2")

    assert await store.fact("topology") == "4x2"


# ---- what nodes are proved to serve


@contract
async def test_a_demoted_node_is_proved_at_nothing(store):
    """A node that has drifted must leave the covering sets at once, also after a restart."""
    await commit_once(store, await lead(store))

    await store.unprove(MOVIES, (B, "stranger"))
    await store.unprove("books", (A,))

    assert await store.node_versions() == (
        NodeVersion(MOVIES, A, 1, "f1", 9),
        NodeVersion(MOVIES, B, None, None, 9),
    )


@contract
async def test_a_node_read_back_at_the_committed_version_is_proved_again(store):
    """The sweep finds a returned node in order and lets it serve without any change."""
    await commit_once(store, await lead(store))
    await store.unprove(MOVIES, (A, B))

    assert await store.prove(MOVIES, {B: "f1", "c": "f1"}, version=1, at_ms=70)

    assert await proved(store) == {A: None, B: 1, "c": 1}


@contract
async def test_nothing_is_proved_at_another_version_than_the_committed_one(store):
    """The read-back may be older than the commit that has come meanwhile."""
    lease = await lead(store)
    await commit_once(store, lease)
    await commit_once(store, lease)
    await store.unprove(MOVIES, (A, B))

    assert not await store.prove(MOVIES, {A: "f1"}, version=1, at_ms=70)
    assert not await store.prove(MOVIES, {A: "f1"}, version=3, at_ms=70)
    assert not await store.prove("books", {A: "f1"}, version=0, at_ms=70)

    assert await proved(store) == {A: None, B: None}


@contract
async def test_nothing_is_proved_while_an_intent_is_open(store):
    """What the sweep has read may have been changed by the broadcast a moment later."""
    lease = await lead(store)
    await commit_once(store, lease)
    await store.unprove(MOVIES, (A,))
    queued = await store.open_intent(new_intent())
    assert not await store.prove(MOVIES, {A: "f1"}, version=1, at_ms=70)

    begun = await store.start_intent(queued, lease)
    assert not await store.prove(MOVIES, {A: "f1"}, version=1, at_ms=70)
    await store.save_intent(begun, machine(phase=Phase.REFUSED), lease)

    assert await store.prove(MOVIES, {A: "f1"}, version=1, at_ms=70)


@contract
async def test_an_open_intent_of_another_index_is_no_hindrance(store):
    """One long reindex must not blind the sweep for every other index."""
    lease = await lead(store)
    await commit_once(store, lease)
    await started(store, lease, new_intent(index_uid="books"))

    assert await store.prove(MOVIES, {A: "f1"}, version=1, at_ms=70)


@contract
async def test_what_a_further_engine_class_shows_is_added_to_the_version(store):
    """A feature gives all nodes another class; the version and what is wanted stay."""
    await commit_once(store, await lead(store))
    news = {"stopWords": ["other"], "chat": {"description": ""}}

    learnt = await store.learn(
        MOVIES, version=1, engine="x+chatCompletions", fingerprint="f2", settings=news
    )

    assert learnt == await store.index(MOVIES)
    assert learnt.version == 1
    assert learnt.fingerprints == {ENGINE: "f1", "x+chatCompletions": "f2"}
    assert learnt.settings == {"stopWords": ["the"], "synonyms": {}, "chat": {"description": ""}}


@contract
async def test_a_fingerprint_is_learnt_once_and_only_of_the_committed_version(store):
    """A version has one fingerprint of each class for ever (BR-6)."""
    lease = await lead(store)
    await commit_once(store, lease)
    more = {"fingerprint": "f2", "settings": {}}

    assert await store.learn(MOVIES, version=1, engine=ENGINE, **more) is None
    assert await store.learn(MOVIES, version=2, engine="x", **more) is None
    assert await store.learn("books", version=1, engine="x", **more) is None
    await store.open_intent(new_intent())
    assert await store.learn(MOVIES, version=1, engine="x", **more) is None

    assert (await store.index(MOVIES)).fingerprints == {ENGINE: "f1"}


@contract
async def test_indexes_are_listed_by_name(store):
    """Listings and sweeps go the same way each time."""
    lease = await lead(store)
    for uid in ("c", "a", "B"):
        intent = await started(store, lease, new_intent(index_uid=uid))
        await store.commit(intent, commit_record(), lease)

    assert [index.uid for index in await store.indexes()] == ["B", "a", "c"]
    assert await store.index("nobody") is None


# ---- read-backs of probes


@contract
async def test_the_first_read_back_of_a_target_is_kept_for_ever(store):
    """It is what all nodes of that engine are compared with; it must not move under a change."""
    assert await store.expected("hash", "1.50.0") is None

    await store.keep_expected("hash", "1.50.0", {"stopWords": ["the"]})
    await store.keep_expected("hash", "1.50.0", {"stopWords": ["other"]})
    await store.keep_expected("hash", "1.51.0", {"stopWords": None})

    assert await store.expected("hash", "1.50.0") == {"stopWords": ["the"]}
    assert await store.expected("hash", "1.51.0") == {"stopWords": None}
    assert await store.expected("other", "1.50.0") is None


# ---- replicas


@contract
async def test_a_replica_out_of_sync_is_so_until_it_has_been_brought_up(store):
    """A node that misses a write would answer without it, however healthy it looks."""
    await store.set_out_of_sync(MOVIES, B, "missed write 7")
    await store.set_out_of_sync(MOVIES, A, "missed write 8")
    await store.set_out_of_sync(MOVIES, B, "missed write 9")

    found = await store.out_of_sync()
    assert list(found.items()) == [
        ((MOVIES, A), "missed write 8"),
        ((MOVIES, B), "missed write 7"),
    ]

    await store.set_in_sync(MOVIES, B)
    await store.set_in_sync("books", A)
    assert await store.out_of_sync() == {(MOVIES, A): "missed write 8"}
