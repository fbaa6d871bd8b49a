"""The store's contract: one intent over several indexes, and what its commit exchanges."""

import asyncio
import sqlite3
from dataclasses import replace

import pytest
from tests.support.store_contract import (
    ENGINE,
    MOVIES,
    A,
    B,
    commit_once,
    commit_record,
    committing,
    contract,
    converged,
    depose,
    lead,
    machine,
    new_intent,
    new_task,
    verified,
)

from miroir.adapters.store_seal import NoSeal
from miroir.adapters.store_sqlite import DATABASE_NAME, open_store
from miroir.core.broadcast_types import Decision, NodeState, Phase, Progress
from miroir.core.swaps import Swap, shown
from miroir.errors import LeaseLost
from miroir.ports.records import (
    NOT_MOVED,
    IndexRecord,
    IntentKind,
    IntentQuery,
    MovedIndex,
    SwapRecord,
    TaskQuery,
)

BOOKS = "books"
PAIR = (Swap(BOOKS, MOVIES),)


def wanted(swaps=PAIR, **changes):
    """Return a wanted swap."""
    return new_intent(BOOKS, IntentKind.SWAP, patch={}, swaps=swaps, **changes)


def swap_task(swaps=PAIR):
    """Return its task."""
    return new_task(None, type="indexSwap", details=shown(swaps))


async def two_indexes(store, lease):
    """Make movies at version 2 and books at version 1; say what is known of both."""
    await commit_once(store, lease)
    await commit_once(store, lease)
    opened, _ = await store.accept_intent(new_intent(BOOKS), new_task(BOOKS))
    started = await store.start_intent(opened, lease)
    started = await store.save_intent(started, committing(), lease)
    record = commit_record(settings={"synonyms": {"b": ["c"]}}, fingerprints={ENGINE: "f2"})
    await store.commit(started, record, lease)
    await store.save_intent(started, converged(1), lease)
    return await store.index(MOVIES), await store.index(BOOKS)


async def begun(store, lease, swaps=PAIR):
    """Open and start a swap."""
    opened, task = await store.accept_intent(wanted(swaps), swap_task(swaps))
    return await store.start_intent(replace(opened, base_version=1), lease), task


def exchanged(movies, books, marks=None):
    """Return what the swap makes true."""
    moved = (
        replace(movies, uid=BOOKS, version=books.version + 1),
        replace(books, uid=MOVIES, version=movies.version + 1),
    )
    indexes = tuple(
        MovedIndex(
            record, {A: f"seen {record.uid}"}, (marks or {}).get(record.uid, {}), {"x": [1, 2]}
        )
        for record in moved
    )
    return SwapRecord(indexes, shown(PAIR), at_ms=20)


@contract
async def test_a_swap_comes_back_as_it_was_written(store):
    """After a crash, what is to be exchanged must be what was promised."""
    opened, task = await store.accept_intent(wanted(), swap_task())

    assert opened.swaps == PAIR
    assert opened.index_uids == (BOOKS, MOVIES)
    assert await store.open_intents() == (opened,)
    assert (task.index_uid, task.type, task.details) == (None, "indexSwap", shown(PAIR))


@contract
async def test_a_swap_holds_the_place_in_every_queue(store):
    """Two started changes of one index would each believe to know what is on the nodes."""
    lease = await lead(store)
    await two_indexes(store, lease)
    other = await store.open_intent(new_intent(MOVIES))
    other = await store.start_intent(replace(other, base_version=2), lease)
    opened = await store.open_intent(wanted())
    with pytest.raises(AssertionError):
        await store.start_intent(replace(opened, base_version=1), lease)

    closed = machine(phase=Phase.REFUSED, error={"code": "x"})
    await store.save_intent(other, closed, lease)
    swap = await store.start_intent(replace(opened, base_version=1), lease)
    later = await store.open_intent(new_intent(MOVIES))
    with pytest.raises(AssertionError):
        await store.start_intent(later, lease)
    await store.save_intent(swap, closed, lease)
    await store.start_intent(later, lease)


@contract
async def test_nothing_is_proved_of_any_index_of_an_open_swap(store):
    """A read-back from before the exchange says nothing about what the uid holds after it."""
    lease = await lead(store)
    await two_indexes(store, lease)
    await begun(store, lease)

    assert not await store.prove(MOVIES, {A: "f1"}, version=2, at_ms=9)
    assert not await store.prove(BOOKS, {A: "f2"}, version=1, at_ms=9)


@contract
async def test_the_commit_exchanges_everything_in_one_step(store):
    """Settings of one uid beside the version of another would be nobody's state."""
    lease = await lead(store)
    movies, books = await two_indexes(store, lease)
    await store.set_out_of_sync(MOVIES, B, "missed a write")
    swap, _ = await begun(store, lease)
    record = exchanged(movies, books, {BOOKS: {B: "missed a write"}})

    assert await store.commit_swap(swap, record, lease) == 2

    now, other = await store.index(MOVIES), await store.index(BOOKS)
    assert (now.settings, now.fingerprints, now.version) == (books.settings, {ENGINE: "f2"}, 3)
    assert (other.settings, other.version) == (movies.settings, 2)
    assert {(v.index_uid, v.node_id, v.version, v.fingerprint)
            for v in await store.node_versions()} == {
        (BOOKS, A, 2, "seen books"), (MOVIES, A, 3, "seen movies")}  # fmt: skip
    assert await store.out_of_sync() == {(BOOKS, B): "missed a write"}
    for uid, version in ((MOVIES, 3), (BOOKS, 2)):
        newest = (await store.history(uid))[0]
        assert (newest.version, newest.kind, newest.intent_id) == (version, "swap", swap.intent_id)
        assert await store.settings_of(uid, version) == (await store.index(uid)).settings


@contract
async def test_a_repeated_commit_does_not_swap_back(store):
    """A leader that does not know whether its commit arrived asks again."""
    lease = await lead(store)
    movies, books = await two_indexes(store, lease)
    swap, _ = await begun(store, lease)
    record = exchanged(movies, books)
    first = await store.commit_swap(swap, record, lease)

    assert await store.commit_swap(swap, record, lease) == first
    assert len(await store.history(MOVIES)) == 3


@contract
async def test_a_deposed_leader_swaps_nothing(store):
    """Its successor may have aborted."""
    lease = await lead(store)
    movies, books = await two_indexes(store, lease)
    swap, task = await begun(store, lease)
    await depose(store)

    with pytest.raises(LeaseLost):
        await store.commit_swap(swap, exchanged(movies, books), lease)
    assert await store.index(MOVIES) == movies
    assert (await store.task(task.uid)).status == "processing"


@contract
async def test_versions_of_every_uid_form_one_chain(store):
    """A number that is given twice means two things."""
    lease = await lead(store)
    movies, books = await two_indexes(store, lease)
    swap, _ = await begun(store, lease)
    record = exchanged(movies, books)
    first, second = record.indexes
    wrong = replace(second, record=replace(second.record, version=7))

    with pytest.raises(AssertionError):
        await store.commit_swap(swap, replace(record, indexes=(first, wrong)), lease)
    with pytest.raises(AssertionError):
        await store.commit_swap(swap, replace(record, indexes=(first,)), lease)


@contract
async def test_a_rename_ends_one_uid_and_another_goes_on(store):
    """Who held the number 1 of a uid once must never meet it again with other settings."""
    lease = await lead(store)
    movies, books = await two_indexes(store, lease)
    pairs = (Swap(MOVIES, "films", rename=True),)
    opened, _ = await store.accept_intent(
        new_intent("films", IntentKind.RENAME, swaps=pairs), swap_task(pairs)
    )
    started = await store.start_intent(opened, lease)
    gone = IndexRecord(MOVIES, None, 2, None, {}, None, True, 1, 20)
    moved = (
        MovedIndex(replace(movies, uid="films", version=1), {A: "f1", B: "f1"}, {}, {}),
        MovedIndex(gone, {}, {}, {}),
    )

    assert await store.commit_swap(started, SwapRecord(moved, shown(pairs), 20), lease) == 1
    assert await store.index(MOVIES) == gone
    assert (await store.index("films")).settings == movies.settings
    assert len(await store.history(MOVIES)) == 2
    assert [e.kind for e in await store.history("films")] == ["rename"]
    assert {v.index_uid for v in await store.node_versions()} == {"films", BOOKS}
    assert (await store.index(BOOKS)) == books


@contract
async def test_earlier_tasks_go_with_their_index(store):
    """On a node, the history of an index is found under the name that it has now."""
    lease = await lead(store)
    movies, books = await two_indexes(store, lease)
    swap, task = await begun(store, lease)
    later = await store.open_task(new_task(MOVIES))
    await store.commit_swap(swap, exchanged(movies, books), lease)
    await store.save_intent(swap, converged(2), lease)

    found = {t.uid: t.index_uid for t in (await store.tasks(TaskQuery())).results}
    assert found == {0: BOOKS, 1: BOOKS, 2: MOVIES, task.uid: None, later.uid: MOVIES}

    pairs = (Swap(BOOKS, "films", rename=True),)
    opened, again = await store.accept_intent(wanted(pairs), swap_task(pairs))
    started = await store.start_intent(replace(opened, base_version=2), lease)
    now = await store.index(BOOKS)
    gone = IndexRecord(BOOKS, None, 2, None, {}, None, True, 1, 20)
    moved = (
        MovedIndex(gone, {}, {}, {}),
        MovedIndex(replace(now, uid="films", version=1), {}, {}, {}),
    )
    await store.commit_swap(started, SwapRecord(moved, shown(pairs), 21), lease)
    assert (await store.task(task.uid)).details == shown((Swap("films", MOVIES),))
    assert (await store.task(again.uid)).details == shown(pairs)


@contract
async def test_an_intent_is_found_under_each_of_its_uids_and_its_task_under_none(store):
    """On a node, too, a list by index leaves out the tasks that are about several."""
    pairs = (Swap("a_b", MOVIES),)
    opened, _ = await store.accept_intent(wanted(pairs), swap_task(pairs))
    plain = await store.open_task(new_task(BOOKS))

    async def uids(*names):
        return [t.uid for t in (await store.tasks(TaskQuery(index_uids=names))).results]

    assert await uids("a_b") == await uids(MOVIES) == []
    assert await uids(BOOKS, "a_b") == [plain.uid]
    for uid in ("a_b", MOVIES):
        assert await store.find_intents(IntentQuery(index_uids=(uid,))) == (opened,)
    assert await store.find_intents(IntentQuery(index_uids=(BOOKS,))) == ()


@contract
async def test_who_was_not_brought_back_misses_both_indexes(store):
    """What it holds under these uids may be another index's documents."""
    lease = await lead(store)
    await two_indexes(store, lease)
    swap, _ = await begun(store, lease)
    lost = Progress(NodeState.SILENT, proposals=2)
    state = machine(phase=Phase.PROPOSING, decision=Decision.ABORT, nodes={A: verified(), B: lost})
    swap = await store.save_intent(swap, state, lease)
    assert await store.out_of_sync() == {}
    await store.save_intent(swap, replace(state, phase=Phase.ABORTED), lease)

    assert await store.out_of_sync() == {(BOOKS, B): NOT_MOVED, (MOVIES, B): NOT_MOVED}


@contract
async def test_who_did_nothing_misses_nothing(store):
    """A node that was down from the start, or said no, holds what it held."""
    lease = await lead(store)
    await two_indexes(store, lease)
    swap, _ = await begun(store, lease)
    nodes = {A: Progress(NodeState.SILENT), B: Progress(NodeState.REJECTED, proposals=1)}
    state = machine(phase=Phase.ABORTED, decision=Decision.ABORT, nodes=nodes, error={"code": "x"})
    await store.save_intent(swap, state, lease)

    assert await store.out_of_sync() == {}


@contract
async def test_nodes_on_the_way_are_proved_at_neither(store):
    """Between its old and its new content a node may show either under a uid."""
    lease = await lead(store)
    await two_indexes(store, lease)
    swap, _ = await begun(store, lease)
    nodes = {A: Progress(NodeState.SENDING, proposals=1), B: Progress(NodeState.UNTOUCHED)}
    await store.save_intent(swap, machine(phase=Phase.PROPOSING, nodes=nodes), lease)

    shown_now = {(v.index_uid, v.node_id): v.version for v in await store.node_versions()}
    assert shown_now == {(MOVIES, A): None, (MOVIES, B): 2, (BOOKS, A): None, (BOOKS, B): 1}


def test_a_started_intent_of_an_older_release_holds_its_place(tmp_path):
    """The rule must hold for what was begun before it was written down."""

    async def scene():
        store = await open_store(tmp_path, seal=NoSeal())
        lease = await lead(store)
        opened, _ = await store.accept_intent(new_intent(), new_task())
        await store.start_intent(opened, lease)
        await store.open_intent(new_intent())
        await store.aclose()
        connection = sqlite3.connect(tmp_path / DATABASE_NAME)
        connection.executescript(
            "DROP INDEX one_holder; DROP INDEX intent_of_index; DROP TABLE intent_index;"
            "DROP INDEX swap_task; ALTER TABLE intent DROP COLUMN swaps;"
            "ALTER TABLE intent DROP COLUMN care;"
            "ALTER TABLE index_record DROP COLUMN unconfirmed;"
            "DROP TABLE webhook_notice; DROP TABLE webhook; DROP INDEX recalled_task;"
            "DROP INDEX task_by_batch; ALTER TABLE task DROP COLUMN recalled_by;"
            "ALTER TABLE node_task DROP COLUMN repeated;"
            "ALTER TABLE write_part DROP COLUMN kept_file;"
            "ALTER TABLE write_part DROP COLUMN kept_from;"
            "ALTER TABLE write_part DROP COLUMN kept_bytes;"
            "DELETE FROM counter WHERE name = 'notice';"
            "CREATE UNIQUE INDEX one_started_intent ON intent (index_uid)"
            " WHERE started = 1 AND closed = 0;"
            "CREATE INDEX intent_by_index ON intent (index_uid, intent_id);"
            "DELETE FROM schema_version WHERE version > 2;"
        )
        connection.close()
        store = await open_store(tmp_path, seal=NoSeal())
        connection = sqlite3.connect(tmp_path / DATABASE_NAME)
        held = connection.execute(
            "SELECT intent_id, index_uid, holds FROM intent_index"
        ).fetchall()
        connection.close()
        await store.aclose()
        return held

    assert asyncio.run(scene()) == [(1, MOVIES, 1), (2, MOVIES, 0)]
