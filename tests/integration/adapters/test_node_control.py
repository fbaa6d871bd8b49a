"""`NodeControlHttp` against nodes that exist: the contract, row by row, judged by Meilisearch."""

import asyncio
import uuid

import orjson
import pytest
from tests.support.node_process import KEY

from miroir.adapters.node_control import NodeControlHttp
from miroir.adapters.node_http import NodeHttp
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeRefused
from miroir.ports.node import NodeIndex, NodeRequest

pytestmark = pytest.mark.anyio

N1 = NodeId("n1")


@pytest.fixture
async def transport(node):
    """Return a transport to the node."""
    client = NodeHttp({N1: node}, master_key=KEY)
    yield client
    await client.aclose()


@pytest.fixture
def control(transport):
    """Return the client under test; its pages are small, so that it has to turn them."""
    return NodeControlHttp(transport, indexes_per_page=2, tasks_per_page=2)


@pytest.fixture
def uid():
    """Return the uid of an index that no other test knows."""
    return IndexUid(f"movies-{uuid.uuid4().hex[:8]}")


async def ended(control, task_uid):
    """Return a task once it has ended."""
    async with asyncio.timeout(30):
        while True:
            (task,) = await control.tasks(N1, (task_uid,))
            if task.ended:
                return task
            await asyncio.sleep(0.01)


async def created(control, uid, primary_key=None):
    task = await ended(control, await control.create_index(N1, uid, primary_key))
    assert task.status == "succeeded"
    return task


async def test_the_engine_is_a_version(control):
    """Settings shapes are comparable within one version only."""
    major, minor, patch = (await control.engine(N1)).split(".")
    assert (major, minor) == ("1", "50")
    assert patch.isdigit()


async def test_a_healthy_node_with_our_key_passes(control):
    """What fails here serves nobody."""
    await control.check_health(N1)


@pytest.mark.parametrize(("key", "status"), [("wrong", 403), (None, 401)])
async def test_a_node_that_does_not_take_our_key_is_not_healthy(node, key, status):
    """`/health` alone needs no key, so that a wrong one would show at the first write only."""
    client = NodeHttp({N1: node}, master_key=key)
    with pytest.raises(NodeRefused) as caught:
        await NodeControlHttp(client).check_health(N1)
    assert caught.value.status == status
    assert caught.value.error["type"] == "auth"
    await client.aclose()


async def test_an_index_is_created_listed_changed_and_deleted(control, uid):
    """The whole life of an index, each step a task of the node."""
    task = await created(control, uid)
    assert (task.type, task.index_uid, task.error) == ("indexCreation", uid, None)
    assert task.started_at is not None
    assert task.finished_at is not None
    assert NodeIndex(uid, None) in await control.indexes(N1)
    task = await ended(control, await control.update_index(N1, uid, "id"))
    assert (task.type, task.status) == ("indexUpdate", "succeeded")
    assert NodeIndex(uid, "id") in await control.indexes(N1)
    task = await ended(control, await control.delete_index(N1, uid))
    assert (task.type, task.status) == ("indexDeletion", "succeeded")
    assert uid not in {index.uid for index in await control.indexes(N1)}


async def test_one_index_is_shown_or_missing(control, uid):
    """Adoption and repair ask for one, and must not take a missing one for an error."""
    assert await control.index(N1, uid) is None
    await created(control, uid, "id")
    shown = await control.index(N1, uid)
    assert (shown["uid"], shown["primaryKey"]) == (uid, "id")
    assert "createdAt" in shown


async def test_documents_are_counted(control, uid):
    """A created index may be taken back only while it holds none."""
    with pytest.raises(NodeRefused) as caught:
        await control.document_count(N1, uid)
    assert caught.value.error["code"] == "index_not_found"
    await created(control, uid, "id")
    assert await control.document_count(N1, uid) == 0
    body = b'[{"id":1},{"id":2}]'
    add = NodeRequest("POST", f"/indexes/{uid}/documents", body, "application/json")
    await ended(control, orjson.loads((await control.forward(N1, add)).body)["taskUid"])
    assert await control.document_count(N1, uid) == 2


async def test_every_index_is_listed_over_all_pages(control):
    """An index that the list leaves out would count as deleted."""
    uids = [IndexUid(f"paged-{uuid.uuid4().hex[:8]}") for _ in range(5)]
    for uid in uids:
        last = await control.create_index(N1, uid, "id")
    await ended(control, last)
    listed = await control.indexes(N1)
    assert set(uids) <= {index.uid for index in listed}
    assert len(listed) == len({index.uid for index in listed})


async def test_deleting_an_unknown_index_fails_as_a_task_and_not_at_once(control, uid):
    """The node accepts it, so that only the task's end tells."""
    task = await ended(control, await control.delete_index(N1, uid))
    assert task.status == "failed"
    assert task.error["code"] == "index_not_found"


async def test_settings_are_patched_and_read_back(control, uid):
    """Propose and verify are made of these two."""
    await created(control, uid)
    patch = {"synonyms": {"wolverine": ["logan"]}, "stopWords": ["the"]}
    task = await ended(control, await control.patch_settings(N1, uid, patch))
    assert (task.type, task.status) == ("settingsUpdate", "succeeded")
    assert task.details == patch
    settings = await control.read_settings(N1, uid)
    assert settings["synonyms"] == patch["synonyms"]
    assert settings["stopWords"] == ["the"]
    assert settings["distinctAttribute"] is None


async def test_settings_larger_than_one_write_arrive(control, uid):
    """Synonyms of a real shop are megabytes."""
    await created(control, uid)
    patch = {"synonyms": {f"word{i}": [f"other{i}"] for i in range(5_000)}}
    await ended(control, await control.patch_settings(N1, uid, patch))
    assert (await control.read_settings(N1, uid))["synonyms"] == patch["synonyms"]


async def test_a_patch_that_the_node_refuses_is_refused_with_its_own_error(control, uid):
    """The client is shown the engine's words."""
    with pytest.raises(NodeRefused) as caught:
        await control.patch_settings(N1, uid, {"rankingRules": "words"})
    assert caught.value.status == 400
    assert caught.value.error["code"] == "invalid_settings_ranking_rules"
    assert "rankingRules" in str(caught.value)


async def test_reading_the_settings_of_an_unknown_index_is_refused(control, uid):
    """Missing must be told from unreachable: one is drift, the other is not."""
    with pytest.raises(NodeRefused) as caught:
        await control.read_settings(N1, uid)
    assert (caught.value.status, caught.value.error["code"]) == (404, "index_not_found")


@pytest.mark.parametrize("strange", ["é ü", "a?b#c", "%2e", "..", "."])
async def test_a_strange_uid_stays_one_path_segment(control, strange):
    """Unquoted it would read another route of the node."""
    with pytest.raises(NodeRefused) as caught:
        await control.read_settings(N1, IndexUid(strange))
    assert caught.value.error["code"] in {"invalid_index_uid", "index_not_found"}


async def test_a_failed_task_carries_the_node_s_error(control, uid):
    """A broadcast that is rejected shows it to its client."""
    await created(control, uid)
    task = await ended(control, await control.create_index(N1, uid, None))
    assert task.status == "failed"
    assert task.error["code"] == "index_already_exists"


async def test_tasks_that_the_node_does_not_know_are_left_out(control, uid):
    """A node that lost its data knows none; the rest of the answer still counts."""
    known = (await created(control, uid)).uid
    uids = (known, 4_000_000_000, 3_999_999_999, 3_999_999_998)
    assert [task.uid for task in await control.tasks(N1, uids)] == [known]
    assert await control.tasks(N1, ()) == ()


async def test_more_tasks_than_a_page_are_all_returned(control, uid):
    """A wave over many indexes waits for more tasks than one request asks for."""
    uids = tuple([await control.patch_settings(N1, uid, {}) for _ in range(5)])
    assert sorted(task.uid for task in await control.tasks(N1, uids)) == list(uids)


async def test_the_newest_task_uid_is_the_last_one_given_out(control, uid):
    """The floor below which nothing can be ours."""
    given = await control.create_index(N1, uid, None)
    assert await control.newest_task_uid(N1) == given


async def test_the_feed_has_what_changes_settings_and_indexes_oldest_first(
    control, transport, uid
):
    """Each foreign change must be seen, once, in order; documents are not its business."""
    start = await control.newest_task_uid(N1)
    wanted = [await control.create_index(N1, uid, None)]
    for _ in range(3):
        wanted.append(await control.patch_settings(N1, uid, {"stopWords": ["the"]}))
        documents = NodeRequest(
            "POST", f"/indexes/{uid}/documents", b'[{"id":1}]', "application/json"
        )
        assert (await control.forward(N1, documents)).status == 202
    wanted.append(await control.update_index(N1, uid, "id"))
    swap = NodeRequest("POST", "/swap-indexes", b"[]", "application/json")
    assert (await control.forward(N1, swap)).status == 202
    wanted.append(wanted[-1] + 1)
    wanted.append(await control.delete_index(N1, uid))
    feed = await control.feed(N1, start)
    assert [task.uid for task in feed] == wanted
    assert [task.type for task in feed] == [
        "indexCreation",
        *["settingsUpdate"] * 3,
        "indexUpdate",
        "indexSwap",
        "indexDeletion",
    ]
    assert [task.uid for task in await control.feed(N1, wanted[2])] == wanted[3:]
    assert await control.feed(N1, wanted[-1]) == ()
    assert await control.feed(N1, wanted[-1] + 100) == ()


async def test_the_feed_from_the_start_begins_with_the_first_task(control, uid):
    """A new Miroir reads everything, task 0 included."""
    newest = await control.create_index(N1, uid, None)
    uids = [task.uid for task in await control.feed(N1, -1)]
    assert uids == sorted(uids)
    assert (uids[0], uids[-1]) == (0, newest)


async def test_what_is_forwarded_comes_back_as_it_is(control):
    """Refusals too: the caller shows them to its client."""
    reply = await control.forward(N1, NodeRequest("GET", "/indexes/no-such-index"))
    assert reply.status == 404
