"""`NodeHttp` against servers that exist: uvicorn, the embedded node, Meilisearch itself."""

import asyncio

import orjson
import pytest
from tests.integration.adapters.servers import REAL
from tests.support.node_process import KEY

from miroir.adapters.node_http import HttpLimits, NodeHttp
from miroir.core.topology import NodeId
from miroir.ports.node import NodeRequest

pytestmark = pytest.mark.anyio

N1 = NodeId("n1")
HEALTH = NodeRequest("GET", "/health")


async def test_a_healthy_server_answers(server):
    """The smallest conversation there is."""
    client = NodeHttp({N1: server}, master_key=KEY)
    reply = await client.send(N1, HEALTH, timeout_s=10)
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert orjson.loads(reply.body) == {"status": "available"}
    await client.aclose()


async def test_a_refusal_is_an_answer_with_its_body(server):
    """The error object inside is what clients are shown."""
    client = NodeHttp({N1: server}, master_key=KEY)
    reply = await client.send(N1, NodeRequest("GET", "/indexes/no-such-index"), timeout_s=10)
    assert reply.status == 404
    assert orjson.loads(reply.body)["code"] == "index_not_found"
    await client.aclose()


async def test_a_request_s_own_key_stands_in_for_ours(server):
    """A client must not borrow the rights of the master key."""
    client = NodeHttp({N1: server}, master_key=KEY)
    request = NodeRequest("GET", "/indexes/no-such-index", authorization="Bearer wrong")
    assert (await client.send(N1, request, timeout_s=10)).status == 403
    await client.aclose()


async def test_many_requests_share_few_connections(server):
    """Each answer must find its own request, in whatever order they come."""
    client = NodeHttp({N1: server}, master_key=KEY, limits=HttpLimits(connections_max=4))
    calls = [
        client.send(N1, HEALTH if i % 3 else NodeRequest("GET", f"/indexes/no{i}"), timeout_s=30)
        for i in range(60)
    ]
    for i, call in enumerate(calls):
        reply = await call
        assert reply.status == (200 if i % 3 else 404)
        assert i % 3 or b"index_not_found" in reply.body
    assert client.in_flight(N1) == 0
    await client.aclose()


async def test_a_large_payload_is_taken(server):
    """Five megabytes go out in slices and must arrive as one body."""
    documents = b"\n".join(b'{"id":%d,"text":"%b"}' % (i, b"x" * 1000) for i in range(5000))
    client = NodeHttp({N1: server}, master_key=KEY)
    path = "/indexes/large/documents"
    request = NodeRequest("POST", path, documents, "application/x-ndjson")
    reply = await client.send(N1, request, timeout_s=60)
    assert reply.status == 202, reply
    assert "taskUid" in orjson.loads(reply.body)
    await client.aclose()


@pytest.mark.parametrize("server", ["uvicorn", REAL], indirect=True)  # those with a limit
async def test_a_payload_over_the_limit_is_refused_and_the_next_request_served(server):
    """The refusal comes before the body is sent; what is left of it must not be read as HTTP."""
    client = NodeHttp({N1: server}, master_key=KEY)
    request = NodeRequest(
        "POST", "/indexes/over/documents", b'{"id":1}\n' * 3_000_000, "application/x-ndjson"
    )
    reply = await client.send(N1, request, timeout_s=60)
    assert reply.status == 413
    assert orjson.loads(reply.body)["code"] == "payload_too_large"
    assert (await client.send(N1, HEALTH, timeout_s=10)).status == 200
    await client.aclose()


async def test_cancelled_requests_leave_a_server_that_answers(server):
    """Clients go away all the time."""
    client = NodeHttp({N1: server}, master_key=KEY)
    calls = [client.send(N1, HEALTH, timeout_s=10) for _ in range(20)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    for call in calls[1::2]:
        assert (await call).status == 200
    assert (await client.send(N1, HEALTH, timeout_s=10)).status == 200
    await client.aclose()
