"""The ledger and the feed against nodes that exist: is our own task known by what a node tells?"""

import asyncio
import uuid

import orjson
import pytest
from tests.support.node_process import KEY

from miroir.adapters.node_control import NodeControlHttp
from miroir.adapters.node_http import NodeHttp
from miroir.core.swaps import Swap
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeUnreachable
from miroir.ports.node import NodeRequest
from miroir.services.ledger import Ledger, Origin, concerned

pytestmark = pytest.mark.anyio

N1 = NodeId("n1")
PATCHES = [
    {"stopWords": ["the", "a", "The"]},
    {"synonyms": {"b": ["x", "a"], "a": []}, "rankingRules": None},
    {"filterableAttributes": ["a", {"attributePatterns": ["b*"]}]},
    {"typoTolerance": {"minWordSizeForTypos": {"oneTypo": 4}, "disableOnWords": ["B", "a"]}},
    {"embedders": {"e": {"source": "userProvided", "dimensions": 2}, "old": None}},
    {"embedders": {"e": {"source": "openAi", "apiKey": "sk-0123456789-0123456789"}}},
    {"pagination": {"maxTotalHits": 5}, "faceting": {"sortFacetValuesBy": {"a": "count"}}},
    {"localizedAttributes": [{"attributePatterns": ["*"], "locales": ["fr", "eng"]}]},
    {"distinctAttribute": "a", "searchCutoffMs": 50, "prefixSearch": "disabled"},
]


class Losing(NodeControlHttp):
    """Sends, and loses every answer to a write."""

    async def patch_settings(self, node_id, index_uid, patch):
        await super().patch_settings(node_id, index_uid, patch)
        raise NodeUnreachable("the answer was lost")

    async def create_index(self, node_id, index_uid, primary_key):
        await super().create_index(node_id, index_uid, primary_key)
        raise NodeUnreachable("the answer was lost")

    async def delete_index(self, node_id, index_uid):
        await super().delete_index(node_id, index_uid)
        raise NodeUnreachable("the answer was lost")

    async def swap_indexes(self, node_id, swaps):
        await super().swap_indexes(node_id, swaps)
        raise NodeUnreachable("the answer was lost")


@pytest.fixture
async def transport(node):
    """Return a transport to the node."""
    client = NodeHttp({N1: node}, master_key=KEY)
    yield client
    await client.aclose()


@pytest.fixture
def uid():
    """Return the uid of an index that no other test knows."""
    return IndexUid(f"movies-{uuid.uuid4().hex[:8]}")


async def sent(transport, send):
    """Send something whose answer is lost; return whose its task is held to be, and the task."""
    control = NodeControlHttp(transport)
    ledger = Ledger(Losing(transport))
    before = await control.newest_task_uid(N1)
    with pytest.raises(NodeUnreachable):
        await send(ledger)
    (task,) = await control.feed(N1, before)
    async with asyncio.timeout(30):
        while not (await control.tasks(N1, (task.uid,)))[0].ended:
            await asyncio.sleep(0.01)
    (ended,) = await control.feed(N1, before)
    assert Ledger(control).origin(N1, ended) is Origin.FOREIGN
    assert ended.enqueued_at == task.enqueued_at is not None
    return ledger.origin(N1, ended), ended


@pytest.mark.parametrize("patch", PATCHES, ids="+".join)
async def test_a_patch_whose_answer_was_lost_is_recognised(transport, uid, patch):
    """Else a node would be out of answers for every answer that gets lost."""
    origin, task = await sent(transport, lambda ledger: ledger.patch_settings(N1, uid, patch))
    assert origin is Origin.OURS, task.details


@pytest.mark.parametrize("key", [None, "id"])
async def test_a_creation_and_a_deletion_are_recognised(transport, uid, key):
    """A node that gets its index back from us has not been meddled with."""
    origin, task = await sent(transport, lambda ledger: ledger.create_index(N1, uid, key))
    assert (origin, concerned(task)) == (Origin.OURS, (uid,))
    origin, task = await sent(transport, lambda ledger: ledger.delete_index(N1, uid))
    assert (origin, concerned(task)) == (Origin.OURS, (uid,))


async def test_a_swap_names_its_indexes_in_its_details_only(transport, uid):
    """A feed that asked by index would never see one."""
    other = IndexUid(f"{uid}-other")
    swaps = (Swap(uid, other),)
    origin, task = await sent(transport, lambda ledger: ledger.swap_indexes(N1, swaps))
    assert (task.type, task.index_uid) == ("indexSwap", None)
    assert (origin, concerned(task)) == (Origin.OURS, (uid, other))


async def test_a_renamed_index_is_named_by_both_names(transport, uid):
    """What was committed under the old name is gone from this node."""
    control = NodeControlHttp(transport)
    await control.create_index(N1, uid, "id")
    new = f"{uid}-new"
    body = orjson.dumps({"uid": new})
    request = NodeRequest("PATCH", f"/indexes/{uid}", body, "application/json")
    reply = await control.forward(N1, request)
    assert reply.status == 202, reply.body
    (task,) = await control.feed(N1, orjson.loads(reply.body)["taskUid"] - 1)
    assert set(concerned(task)) == {uid, new}
