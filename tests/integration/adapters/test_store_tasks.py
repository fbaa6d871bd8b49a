"""The store's contract: tasks, their lists, and document writes."""

from dataclasses import replace

import pytest
from tests.support.store_contract import MOVIES, A, B, contract, new_task, part, share

from miroir.ports.records import TaskQuery

# ---- tasks


@contract
async def test_uids_count_from_zero_and_no_gap_is_left(store):
    """SDKs take them for what a single node gives out."""
    assert [(await store.open_task(new_task())).uid for _ in range(3)] == [0, 1, 2]


@contract
async def test_a_task_comes_back_as_it_was_opened(store):
    """The client reads its own words in the details."""
    wanted = new_task(
        index_uid=None, details={"deep": {"list": [1, None, "é"]}}, custom_metadata="mine"
    )

    opened = await store.open_task(wanted)

    assert await store.task(opened.uid) == opened
    assert (opened.index_uid, opened.type, opened.details) == (None, wanted.type, wanted.details)
    assert (opened.at_ms, opened.custom_metadata, opened.status) == (2, "mine", "enqueued")
    assert (opened.error, opened.canceled_by, opened.intent_id) == (None, None, None)
    assert (opened.started_at_ms, opened.finished_at_ms) == (None, None)
    assert await store.task(99) is None
    assert await store.task(-1) is None


@contract
async def test_what_needs_no_work_has_succeeded_at_once(store):
    """Equal settings send nothing to any node, and still the client waits for its task."""
    opened = await store.open_task(new_task(at_ms=7), status="succeeded")

    assert (opened.status, opened.started_at_ms, opened.finished_at_ms) == ("succeeded", 7, 7)
    assert await store.task(opened.uid) == opened


@contract
async def test_what_cannot_be_done_has_failed_at_once(store):
    """In two steps, a crash between them would leave a task that nobody ever ends."""
    error = {"code": "index_not_found"}

    opened = await store.open_task(new_task(at_ms=7), status="failed", error=error)

    assert (opened.status, opened.started_at_ms, opened.finished_at_ms) == ("failed", 7, 7)
    assert opened.error == error
    assert await store.task(opened.uid) == opened


@contract
async def test_a_task_goes_forward_only(store):
    """Late answers of nodes arrive in any order; a client must not see a task come back."""
    task = await store.open_task(new_task())
    end = {"details": {"n": 1}, "error": None}

    await store.start_task(task.uid, at_ms=10)
    await store.start_task(task.uid, at_ms=11)
    await store.finish_task(task.uid, status="succeeded", **end, at_ms=12)
    await store.finish_task(task.uid, status="failed", details={}, error={"code": "x"}, at_ms=13)
    await store.start_task(task.uid, at_ms=14)

    found = await store.task(task.uid)
    assert (found.status, found.started_at_ms, found.finished_at_ms) == ("succeeded", 10, 12)
    assert (found.details, found.error) == ({"n": 1}, None)


@contract
async def test_a_task_that_ended_unstarted_shows_a_start(store):
    """As on one node, where what is cancelled in the queue begins and ends with that."""
    failed = await store.open_task(new_task())
    canceled = await store.open_task(new_task())
    error = {"code": "internal", "message": "no"}

    await store.finish_task(failed.uid, status="failed", details={}, error=error, at_ms=5)
    await store.finish_task(canceled.uid, status="canceled", details={}, error=None, at_ms=6)

    found = await store.task(failed.uid)
    assert (found.status, found.started_at_ms, found.error) == ("failed", 5, error)
    found = await store.task(canceled.uid)
    assert (found.status, found.started_at_ms, found.finished_at_ms) == ("canceled", 6, 6)


# ---- lists


async def ten_tasks(store):
    """Open uids 0 to 9: even ones movies, odd ones books; 3 has succeeded, 4 is processing."""
    for uid in range(10):
        index_uid = MOVIES if uid % 2 == 0 else "books"
        kind = "indexCreation" if uid < 5 else "settingsUpdate"
        await store.open_task(new_task(index_uid, at_ms=100 + uid, type=kind))
    await store.start_task(3, at_ms=203)
    await store.finish_task(3, status="succeeded", details={}, error=None, at_ms=303)
    await store.start_task(4, at_ms=204)


async def uids(store, **query):
    """List tasks; return uids, total and next."""
    page = await store.tasks(TaskQuery(**query))
    return [task.uid for task in page.results], page.total, page.next_uid


@contract
async def test_tasks_are_listed_newest_first_page_by_page(store):
    """`next` is the `from` of the following page; the last page has none."""
    await ten_tasks(store)

    assert await uids(store) == ([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 10, None)
    assert await uids(store, limit=4) == ([9, 8, 7, 6], 10, 5)
    assert await uids(store, limit=4, from_uid=5) == ([5, 4, 3, 2], 10, 1)
    assert await uids(store, limit=4, from_uid=1) == ([1, 0], 10, None)
    assert await uids(store, limit=2, from_uid=1) == ([1, 0], 10, None)
    assert await uids(store, from_uid=0) == ([0], 10, None)


@contract
async def test_reversed_lists_go_up_from_the_given_uid(store):
    """The task feed of a client reads on from the last one it knows."""
    await ten_tasks(store)

    assert await uids(store, limit=3, reverse=True) == ([0, 1, 2], 10, 3)
    assert await uids(store, limit=3, reverse=True, from_uid=8) == ([8, 9], 10, None)
    assert await uids(store, limit=3, reverse=True, from_uid=99) == ([], 10, None)


@contract
async def test_a_page_of_none_still_tells_where_it_would_begin(store):
    """As on one node, where `limit=0` is how dashboards ask for the total."""
    await ten_tasks(store)

    assert await uids(store, limit=0) == ([], 10, 9)
    assert await uids(store, limit=0, uids=(77,)) == ([], 0, None)


@contract
async def test_filters_narrow_the_list_and_its_total(store):
    """Every filter must hold; within one, any value does."""
    await ten_tasks(store)

    assert await uids(store, uids=(1, 3, 77)) == ([3, 1], 2, None)
    assert await uids(store, statuses=("succeeded", "processing")) == ([4, 3], 2, None)
    assert await uids(store, types=("settingsUpdate",)) == ([9, 8, 7, 6, 5], 5, None)
    assert await uids(store, index_uids=(MOVIES,)) == ([8, 6, 4, 2, 0], 5, None)
    assert await uids(store, index_uids=(MOVIES, "books"), limit=1) == ([9], 10, 8)
    assert await uids(store, index_uids=("books",), types=("indexCreation",), limit=1) == (
        [3],
        2,
        1,
    )
    assert await uids(store, canceled_by=(1,)) == ([], 0, None)


@contract
async def test_times_are_compared_strictly_and_missing_ones_never_match(store):
    """`after` and `before` exclude their own moment; who has not started is neither."""
    await ten_tasks(store)

    assert await uids(store, times=(("enqueued", ">", 107),)) == ([9, 8], 2, None)
    assert await uids(store, times=(("enqueued", "<", 102),)) == ([1, 0], 2, None)
    assert await uids(store, times=(("enqueued", ">", 101), ("enqueued", "<", 104))) == (
        [3, 2],
        2,
        None,
    )
    assert await uids(store, times=(("started", ">", 0),)) == ([4, 3], 2, None)
    assert await uids(store, times=(("finished", "<", 10_000),)) == ([3], 1, None)


@contract
async def test_tasks_without_an_index_are_in_no_list_by_index(store):
    """A global task is nobody's, not everybody's."""
    await store.open_task(new_task(None))
    await store.open_task(new_task(MOVIES))

    assert await uids(store, index_uids=(MOVIES,)) == ([1], 1, None)
    assert await uids(store) == ([1, 0], 2, None)


# ---- document writes


async def a_write(store):
    """Open a write to two nodes of shard 0 and one of shard 1."""
    draft = await store.open_task(new_task())  # Only to build shares with another uid.
    targets = (
        share(draft, B, "unsent"),
        share(draft, A, "unsent"),
        share(draft, "c", "unsent", shard_id=1),
    )
    parts = (part(b"zero"), replace(part(b"\x00\xff" * 1000), shard_id=1))
    return await store.open_write(new_task(type="documentAdditionOrUpdate"), parts, targets), parts


@contract
async def test_a_write_is_complete_in_the_store_before_anything_is_sent(store):
    """After a crash the documents are sent from here: the client was told they are taken."""
    task, parts = await a_write(store)

    ((found, found_parts, shares),) = await store.unfinished_writes()

    assert found == task == await store.task(task.uid)
    assert found_parts == parts
    assert shares == await store.shares(task.uid)
    assert [(s.node_id, s.shard_id, s.status, s.node_task_uid) for s in shares] == [
        (A, 0, "unsent", None),
        (B, 0, "unsent", None),
        ("c", 1, "unsent", None),
    ]
    assert {s.task_uid for s in shares} == {task.uid}


@contract
async def test_shares_and_lost_replicas_are_recorded_together(store):
    """A node that missed a write must be out of sync before the write is acknowledged."""
    task, parts = await a_write(store)
    sent = share(task, A, "sent", node_task_uid=41)
    missed = share(task, B, "missed")

    await store.save_shares((sent, missed), out_of_sync={B: "missed write 1"})

    assert (await store.shares(task.uid))[:2] == (sent, missed)
    assert await store.out_of_sync() == {(MOVIES, B): "missed write 1"}
    ((_, left, _),) = await store.unfinished_writes()
    assert left == parts[1:]


@contract
async def test_documents_leave_the_store_when_nobody_waits_for_them(store):
    """The nodes have them now; a second copy of everything would fill the disk."""
    task, _ = await a_write(store)

    await store.save_shares((share(task, "c", "sent", shard_id=1),), out_of_sync={})
    await store.save_shares(
        (share(task, A, "sent", node_task_uid=1), share(task, B, "sent", node_task_uid=2)),
        out_of_sync={},
    )

    ((_, parts, shares),) = await store.unfinished_writes()
    assert parts == ()
    assert [s.status for s in shares] == ["sent", "sent", "sent"]


@contract
async def test_the_end_of_a_share_keeps_what_the_node_said(store):
    """Replicas are compared by how their tasks ended, and the client is shown one of them."""
    task, _ = await a_write(store)
    ended = share(
        task,
        A,
        "failed",
        node_task_uid=5,
        error={"code": "missing_document_id"},
        details={"receivedDocuments": 1, "indexedDocuments": 0},
    )

    await store.save_shares((ended,), out_of_sync={})

    assert (await store.shares(task.uid))[0] == ended


@contract
async def test_finished_writes_are_no_longer_unfinished(store):
    """A restart takes up what is left, in the order in which it came, and nothing else."""
    first, _ = await a_write(store)
    second, _ = await a_write(store)
    assert [t.uid for t, _, _ in await store.unfinished_writes()] == [first.uid, second.uid]

    await store.finish_task(first.uid, status="succeeded", details={}, error=None, at_ms=9)

    assert [t.uid for t, _, _ in await store.unfinished_writes()] == [second.uid]
    assert len(await store.shares(first.uid)) == 3
    assert await store.shares(0) == ()


@contract
async def test_a_share_of_a_node_that_was_no_target_is_a_bug(store):
    """A silent no would leave the write waiting for ever."""
    task, _ = await a_write(store)

    with pytest.raises(AssertionError):
        await store.save_shares(
            (share(task, A, "sent"), share(task, "stranger", "sent")), out_of_sync={}
        )

    assert (await store.shares(task.uid))[0].status == "unsent"
