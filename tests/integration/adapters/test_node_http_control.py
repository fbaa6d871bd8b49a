"""`NodeControlHttp` over servers that answer what no Meilisearch would."""

import pytest
from tests.support.fault_server import FaultServer, answering

from miroir.adapters.node_control import NodeControlHttp
from miroir.adapters.node_http import NodeHttp
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeRefused, NodeUnreachable
from miroir.ports.node import NodeRequest

pytestmark = pytest.mark.anyio

N1 = NodeId("n1")
MOVIES = IndexUid("movies")
NOT_FOUND = (
    b'{"message":"Index `movies` not found","code":"index_not_found","type":"x","link":"y"}'
)


async def outcome(call, body, status="200 OK"):
    """Return what a call of the control port makes of an answer."""
    async with FaultServer(answering(body, status=status)) as server:
        client = NodeHttp({N1: server.url}, master_key=None)
        try:
            return await call(NodeControlHttp(client))
        finally:
            await client.aclose()


def read(control):
    return control.read_settings(N1, MOVIES)


def patch(control):
    return control.patch_settings(N1, MOVIES, {})


async def test_a_refusal_is_a_4xx_with_an_error_object():
    """It proves that the node did nothing, and its words are for the client."""
    with pytest.raises(NodeRefused, match="Index `movies` not found") as caught:
        await outcome(read, NOT_FOUND, "404 Not Found")
    assert caught.value.status == 404
    assert caught.value.error["link"] == "y"


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"detail":"nope"}', b'{"code":1}'])
async def test_a_stranger_s_404_is_no_refusal(body):
    """A proxy's page read as `index_not_found` would make us create or delete indexes."""
    with pytest.raises(NodeUnreachable, match="status 404"):
        await outcome(read, body, "404 Not Found")


@pytest.mark.parametrize("status", ["500 Internal", "503 Unavailable"])
@pytest.mark.parametrize("body", [NOT_FOUND, b"<html>", b"", b"[]"])
@pytest.mark.parametrize("call", [read, patch], ids=["read", "patch"])
async def test_a_5xx_is_unreachable_whatever_it_says(status, body, call):
    """The node may have acted; nothing it says then is a decision."""
    with pytest.raises(NodeUnreachable, match=f"status {status[:3]}"):
        await outcome(call, body, status)


async def test_the_code_of_a_5xx_is_told():
    """`too_many_search_requests` and `internal` call for different remedies."""
    with pytest.raises(NodeUnreachable, match=r"node n1: status 503 \(too_many_search_requests\)"):
        await outcome(read, b'{"code":"too_many_search_requests"}', "503 x")


@pytest.mark.parametrize("status", ["302 Found", "304 Not Modified", "200 OK"])
async def test_what_is_neither_yes_nor_no_is_unreachable(status):
    """A login page in front of a node answers 200 and 302."""
    with pytest.raises(NodeUnreachable, match="not Meilisearch's"):
        await outcome(read, b"<html>", status)


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (read, b"[]"),
        (patch, b"{}"),
        (patch, b'{"taskUid":"1"}'),
        (patch, b'{"taskUid":true}'),
        (lambda control: control.engine(N1), b'{"pkgVersion":1}'),
        (lambda control: control.indexes(N1), b"{}"),
        (lambda control: control.indexes(N1), b'{"results":[1]}'),
        (lambda control: control.indexes(N1), b'{"results":[{"uid":1}]}'),
        (lambda control: control.indexes(N1), b'{"results":[{"uid":"a","primaryKey":1}]}'),
        (lambda control: control.tasks(N1, (1,)), b'{"results":[{"uid":1}]}'),
        (
            lambda control: control.tasks(N1, (1,)),
            b'{"results":[{"uid":1,"type":"a","status":"b","error":"c"}]}',
        ),
        (lambda control: control.newest_task_uid(N1), b'{"results":null}'),
        (lambda control: control.feed(N1, 5), b'{"results":[],"next":"7"}'),
        (lambda control: control.feed(N1, 5), b'{"results":[],"next":6}'),
        (lambda control: control.check_health(N1), b"{}"),
    ],
)
async def test_an_answer_of_another_shape_is_unreachable(call, body):
    """A node that talks nonsense is a fault of the world, not a `KeyError` in a broadcast."""
    with pytest.raises(NodeUnreachable, match="not Meilisearch's"):
        await outcome(call, body)


async def test_a_node_that_says_it_must_restart_is_not_healthy():
    """Meilisearch says so after a compaction of its queue, and serves nobody until then."""
    with pytest.raises(NodeUnreachable, match="mustRestart"):
        await outcome(lambda control: control.check_health(N1), b'{"status":"mustRestart"}')


@pytest.mark.parametrize(
    ("uid", "quoted"), [("a/b", "a%2Fb"), ("../..", "..%2F.."), ("é?#%", "%C3%A9%3F%23%25")]
)
async def test_a_strange_uid_is_quoted_into_one_path_segment(uid, quoted):
    """Unquoted it would be the path of another route."""
    async with FaultServer(answering(b'{"taskUid":1}')) as server:
        client = NodeHttp({N1: server.url}, master_key=None)
        control = NodeControlHttp(client)
        await control.patch_settings(N1, IndexUid(uid), {})
        await control.delete_index(N1, IndexUid(uid))
        assert [one.line for one in server.requests] == [
            f"PATCH /indexes/{quoted}/settings HTTP/1.1",
            f"DELETE /indexes/{quoted} HTTP/1.1",
        ]
        await client.aclose()


async def test_a_forwarded_5xx_is_unreachable():
    """A write that ended so has an unknown outcome, which no status may hide."""
    request = NodeRequest("POST", "/x", b"{}", "application/json")
    with pytest.raises(NodeUnreachable, match="status 500"):
        await outcome(lambda control: control.forward(N1, request), b"{}", "500 x")


async def test_tasks_are_asked_for_in_parts():
    """A url with ten thousand uids is longer than servers take."""
    async with FaultServer(answering(b'{"results":[],"next":null}')) as server:
        client = NodeHttp({N1: server.url}, master_key=None)
        await NodeControlHttp(client).tasks(N1, tuple(range(1000, 1450)))
        assert len(server.requests) == 3
        assert all(len(request.line) < 2000 for request in server.requests)
        asked = "".join(request.line for request in server.requests)
        assert all(str(uid) in asked for uid in range(1000, 1450))
        await client.aclose()
