"""The store's contract: tasks that are cancelled, deleted and listed by batch."""

import pytest
from tests.support.store_contract import (
    MOVIES,
    A,
    contract,
    lead,
    new_intent,
    new_task,
    part,
    share,
    started,
)

from miroir.core.broadcast_types import Phase
from miroir.errors import LeaseLost
from miroir.ports.records import TaskQuery

FILTER = {"originalFilter": "?uids=1"}


def cancelation(**changes):
    """Return a cancelation without a uid."""
    return new_task(None, type="taskCancelation", details=FILTER, **{"at_ms": 50, **changes})


def deletion():
    """Return a deletion without a uid."""
    return new_task(None, type="taskDeletion", details=FILTER, at_ms=60)


async def end(store, uid, status="succeeded", at_ms=70):
    """End a task."""
    error = {"code": "x"} if status == "failed" else None
    await store.finish_task(uid, status=status, details={}, error=error, at_ms=at_ms)


async def listed(store, **query):
    """Return uids and total of a list of tasks."""
    page = await store.tasks(TaskQuery(**query))
    return [task.uid for task in page.results], page.total


async def batches(store, **query):
    """Return batch -> uids of its tasks, in the order of the list."""
    page = await store.batches(TaskQuery(**query))
    return {uid: [task.uid for task in tasks] for uid, tasks in page.results}


# ---- cancelations


@contract
async def test_a_cancelation_ends_with_the_last_task_that_it_recalled(store):
    """Its client reads there how many were cancelled: not before that is known."""
    for _ in range(3):
        await store.open_task(new_task())
    await end(store, 0)

    opened = await store.open_cancelation(TaskQuery(), cancelation())

    assert (opened.uid, opened.status) == (3, "processing")
    assert opened.details == {**FILTER, "matchedTasks": 3, "canceledTasks": None}
    assert [task.uid for task in await store.recalled_tasks()] == [1, 2]
    await end(store, 1, "canceled")
    assert (await store.task(3)).status == "processing"
    await end(store, 2, "succeeded", at_ms=71)

    found = await store.task(3)
    assert (found.status, found.finished_at_ms) == ("succeeded", 71)
    assert found.details == {**FILTER, "matchedTasks": 3, "canceledTasks": 1}
    assert await store.recalled_tasks() == ()
    one, other = await store.task(1), await store.task(2)
    assert (one.canceled_by, one.recalled_by, one.started_at_ms) == (3, None, 70)
    assert (other.canceled_by, other.recalled_by) == (None, None)
    assert await listed(store, canceled_by=(3,)) == ([1], 1)


@contract
async def test_a_cancelation_that_finds_nothing_to_cancel_has_succeeded(store):
    """Whoever waits for it would wait for ever."""
    await store.open_task(new_task(), status="succeeded")

    opened = await store.open_cancelation(TaskQuery(uids=(0, 9)), cancelation())

    assert opened.status == "succeeded"
    assert opened.details == {**FILTER, "matchedTasks": 1, "canceledTasks": 0}


@contract
async def test_what_cannot_be_cancelled_is_let_go(store):
    """It goes on; the cancelation has done what it could."""
    await store.open_task(new_task())
    opened = await store.open_cancelation(TaskQuery(uids=(0,)), cancelation())

    await store.let_go(0, at_ms=55)
    await store.let_go(0, at_ms=99)

    assert (await store.task(0)).status == "enqueued"
    found = await store.task(opened.uid)
    assert (found.status, found.details["canceledTasks"]) == ("succeeded", 0)
    assert found.finished_at_ms == 55
    await end(store, 0, "canceled")
    assert (await store.task(0)).canceled_by is None


@contract
async def test_the_first_cancelation_keeps_what_it_recalled(store):
    """Two of them never both count the same task, and never wait for each other."""
    await store.open_task(new_task())
    first = await store.open_cancelation(TaskQuery(), cancelation())
    second = await store.open_cancelation(TaskQuery(), cancelation())

    assert (second.status, second.details["matchedTasks"]) == ("succeeded", 2)
    await end(store, 0, "canceled")

    assert (await store.task(0)).canceled_by == first.uid
    assert (await store.task(first.uid)).details["canceledTasks"] == 1


@contract
async def test_a_key_cancels_only_what_it_may_see(store):
    """The task of somebody else's index goes on."""
    for uid in ("movies", "movies_2", "films", None):
        await store.open_task(new_task(uid))

    opened = await store.open_cancelation(TaskQuery(open_to=("movies*",)), cancelation())

    assert opened.details["matchedTasks"] == 2
    assert [task.uid for task in await store.recalled_tasks()] == [0, 1]


# ---- changes that have not started


@contract
async def test_a_change_that_waits_is_cancelled_with_its_task(store):
    """In two steps, a crash between them would leave a promise that nobody keeps or breaks."""
    intent, task = await store.accept_intent(new_intent(), new_task())
    await store.open_cancelation(TaskQuery(), cancelation())

    closed = await store.cancel_intent(intent.intent_id, at_ms=52)

    assert closed.state.phase is Phase.CANCELED
    assert (closed.state.closed, closed.closed_at_ms) == (True, 52)
    assert await store.intent(intent.intent_id) == closed
    assert await store.open_intents() == ()
    found = await store.task(task.uid)
    assert (found.status, found.canceled_by, found.error) == ("canceled", task.uid + 1, None)
    assert (await store.task(task.uid + 1)).details["canceledTasks"] == 1
    assert await store.cancel_intent(intent.intent_id, at_ms=53) is None


@contract
async def test_a_change_that_has_started_is_not_cancelled(store):
    """Nodes may have it: only an abort brings them back."""
    intent = await started(store, await lead(store))

    assert await store.cancel_intent(intent.intent_id, at_ms=52) is None

    assert (await store.task(intent.task_uid)).status == "processing"
    assert await store.intent(intent.intent_id) == intent


@contract
async def test_who_is_about_to_start_a_cancelled_change_is_deposed(store):
    """It had read the change before it was cancelled, and no node has heard of it yet."""
    lease = await lead(store)
    intent, _ = await store.accept_intent(new_intent(), new_task())
    await store.cancel_intent(intent.intent_id, at_ms=52)

    with pytest.raises(LeaseLost):
        await store.start_intent(intent, lease)


# ---- deletions


@contract
async def test_only_ended_tasks_are_deleted_and_their_uids_never_come_back(store):
    """A client that still waits for one finds it; one that kept an old uid finds no other."""
    write = await store.open_write(
        new_task(type="documentAdditionOrUpdate"),
        (part(),),
        (share(await store.open_task(new_task()), A, "unsent"),),
    )
    await end(store, write.uid)

    deleted = await store.delete_tasks(TaskQuery(), deletion())

    assert (deleted.uid, deleted.status) == (2, "succeeded")
    assert deleted.details == {**FILTER, "matchedTasks": 2, "deletedTasks": 1}
    assert (deleted.started_at_ms, deleted.finished_at_ms) == (60, 60)
    assert await listed(store) == ([2, 0], 2)
    assert await store.task(write.uid) is None
    assert await store.shares(write.uid) == ()
    assert (await store.open_task(new_task())).uid == 3


@contract
async def test_intents_outlive_their_tasks(store):
    """The history of settings says who changed what, whatever is tidied away elsewhere."""
    lease = await lead(store)
    intent = await started(store, lease)
    closed = await store.save_intent(
        intent, intent.state.__class__(**{**vars(intent.state), "phase": Phase.REFUSED}), lease
    )

    await store.delete_tasks(TaskQuery(uids=(intent.task_uid,)), deletion())

    assert await store.task(intent.task_uid) is None
    assert await store.intent(intent.intent_id) == closed


# ---- who may see what


@contract
async def test_a_key_is_shown_the_tasks_of_its_indexes_alone(store):
    """Patterns may end in a star; case and underscores count; the total gives nothing away."""
    for uid in ("ab_1", "abX1", "AB_1", "other", None):
        await store.open_task(new_task(uid))
    await store.open_task(new_task("ab_1", type="indexSwap"))

    assert await listed(store, open_to=("ab_*",)) == ([0], 1)
    assert await listed(store, open_to=("ab_1", "other")) == ([3, 0], 2)
    assert await listed(store, open_to=("*",)) == ([3, 2, 1, 0], 4)
    assert await listed(store, open_to=()) == ([], 0)
    assert await listed(store, open_to=("ab*",), index_uids=("other", "abX1")) == ([1], 1)


@contract
async def test_a_key_of_thousands_of_indexes_sees_their_tasks(store):
    """One for each customer: SQLite refuses what is nested a thousand deep."""
    for uid in ("c1999", "other", "p7-x"):
        await store.open_task(new_task(uid))
    exact = tuple(f"c{n}" for n in range(2000))
    prefixes = tuple(f"p{n}-*" for n in range(2000))

    assert await listed(store, open_to=(*exact, *prefixes)) == ([2, 0], 2)


# ---- batches


async def three_batches(store):
    """Succeed 0, fail 1 (of books), cancel 2 and 3 by 4; 5 waits."""
    for uid in range(4):
        await store.open_task(new_task("books" if uid == 1 else MOVIES, at_ms=uid))
    await store.start_task(2, at_ms=20)
    await end(store, 0, at_ms=30)
    await end(store, 1, "failed", at_ms=31)
    await store.open_cancelation(TaskQuery(uids=(2, 3)), cancelation())
    await end(store, 2, "canceled")
    await end(store, 3, "canceled")
    await store.open_task(new_task())


@contract
async def test_a_batch_is_one_task_or_a_cancelation_with_what_it_cancelled(store):
    """As on one node; who only waits is in none."""
    await three_batches(store)

    assert await batches(store) == {4: [2, 3, 4], 1: [1], 0: [0]}
    assert [(await store.task(uid)).batch_uid for uid in range(6)] == [0, 1, 4, 4, 4, None]
    assert await listed(store, batches=(4, 1)) == ([4, 3, 2, 1], 4)
    assert await listed(store, batches=(2, 5)) == ([], 0)


@contract
async def test_batches_are_listed_page_by_page(store):
    """`next` is the `from` of the following page, in both directions."""
    await three_batches(store)

    page = await store.batches(TaskQuery(limit=2))
    assert ([uid for uid, _ in page.results], page.total, page.next_uid) == ([4, 1], 3, 0)
    page = await store.batches(TaskQuery(limit=2, from_uid=3, reverse=True))
    assert ([uid for uid, _ in page.results], page.total, page.next_uid) == ([4], 3, None)
    page = await store.batches(TaskQuery(limit=0))
    assert (page.results, page.total, page.next_uid) == ((), 3, 4)


@contract
async def test_a_batch_is_found_by_any_of_its_tasks(store):
    """Each filter looks for a task of its own; a batch of several indexes is found under none."""
    await three_batches(store)

    assert list(await batches(store, statuses=("canceled",), types=("taskCancelation",))) == [4]
    assert list(await batches(store, statuses=("enqueued",))) == []
    assert list(await batches(store, uids=(3, 0))) == [4, 0]
    assert list(await batches(store, canceled_by=(4,))) == [4]
    assert list(await batches(store, canceled_by=(0,))) == []
    assert list(await batches(store, batches=(1, 3))) == [1]
    assert list(await batches(store, index_uids=(MOVIES,))) == [0]
    assert list(await batches(store, open_to=("boo*",))) == [1]
    assert list(await batches(store, times=(("enqueued", "<", 1),))) == [0]
    assert list(await batches(store, times=(("started", "<", 25),))) == []
    assert list(await batches(store, times=(("finished", ">", 30),))) == [4, 1]
