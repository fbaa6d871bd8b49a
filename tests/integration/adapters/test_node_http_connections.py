"""Connections of `NodeHttp`: kept, limited, given up, found closed, sent over once more."""

import asyncio
import socket
import struct

import pytest
from tests.support.fault_server import FaultServer, Peer, answering, reply, turns

from miroir.adapters.node_http import HttpLimits, NodeHttp
from miroir.core.topology import NodeId
from miroir.errors import NodeUnreachable
from miroir.ports.node import NodeRequest

pytestmark = pytest.mark.anyio

N1 = NodeId("n1")
GET = NodeRequest("GET", "/x")
POST = NodeRequest("POST", "/x", b"{}", "application/json")
BIG = NodeRequest("POST", "/x", b"a" * 30_000_000, "application/json")


def client_of(server: FaultServer, **limits) -> NodeHttp:
    return NodeHttp({N1: server.url}, master_key=None, limits=HttpLimits(**limits))


async def silent(peer: Peer) -> None:
    """Read one request and never answer."""
    await peer.request()
    await peer.gone()


async def test_a_connection_is_used_again():
    """A connection for each request would cost a handshake for each search."""
    async with FaultServer(answering()) as server:
        client = client_of(server)
        for _ in range(3):
            await client.send(N1, POST, timeout_s=5)
        assert server.connections == 1
        await client.aclose()


async def test_a_warm_request_is_written_before_anybody_awaits_it_and_costs_no_task():
    """Writing to all nodes first and awaiting afterwards is what makes a scatter cheap."""
    async with FaultServer(answering()) as server:
        client = client_of(server)
        await client.send(N1, POST, timeout_s=5)
        tasks = asyncio.all_tasks()
        pending = client.send(N1, POST, timeout_s=5)
        assert asyncio.all_tasks() == tasks
        await turns(20)
        assert len(server.requests) == 2
        assert pending.done()
        await pending
        await client.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        reply(headers=b"connection: close\r\n"),
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        reply() + reply(b"for nobody"),
        reply() + b"HTTP/1.1 204 No Content\r\n\r\n",
        reply() + b"garbage",
    ],
    ids=[
        "close",
        "HTTP/1.0",
        "two answers at once",
        "an empty one more",
        "garbage behind the answer",
    ],
)
async def test_a_connection_that_cannot_be_used_again_is_not(answer):
    """The next request would be answered with what belongs to nobody, or not at all."""
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await peer.gone()
        ended.set()

    async with FaultServer(script, answering(b"fresh")) as server:
        client = client_of(server)
        assert (await client.send(N1, POST, timeout_s=5)).body == b"{}"
        assert (await client.send(N1, POST, timeout_s=5)).body == b"fresh"
        await ended.wait()
        await client.aclose()


async def test_bytes_on_an_idle_connection_close_it():
    """They would otherwise be taken for the answer to the next request."""
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply(), reply(b"unasked"))
        await peer.gone()
        ended.set()

    async with FaultServer(script, answering(b"fresh")) as server:
        client = client_of(server)
        await client.send(N1, POST, timeout_s=5)
        await ended.wait()
        assert (await client.send(N1, POST, timeout_s=5)).body == b"fresh"
        await client.aclose()


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_an_idle_connection_that_the_node_closed_is_not_used(end):
    """A node that restarts closes idle connections; the next write must not notice."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply())
        getattr(peer, end)()

    async with FaultServer(script, answering(b"fresh")) as server:
        client = client_of(server)
        await client.send(N1, POST, timeout_s=5)
        await turns(20)
        assert (await client.send(N1, POST, timeout_s=5)).body == b"fresh"
        assert len(server.requests) == 2
        await client.aclose()


async def test_a_connection_that_rested_too_long_is_closed_by_us():
    """A server's idle timeout then never meets a request of ours."""
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply())
        await peer.gone()
        ended.set()

    async with FaultServer(script) as server:
        client = client_of(server, idle_max_s=0.01)
        await client.send(N1, POST, timeout_s=5)
        await ended.wait()
        await client.aclose()


async def test_a_connection_that_rested_too_long_is_not_used_even_if_it_is_still_there():
    """Our timer may be late, and then the server's closing meets the request."""
    async with FaultServer(answering()) as server:
        client = client_of(server, idle_max_s=1000)
        await client.send(N1, POST, timeout_s=5)
        client._pools[N1]._idle[0].idle_since_s -= 1001
        await client.send(N1, POST, timeout_s=5)
        assert server.connections == 2
        await client.aclose()


async def test_a_connection_with_unsent_bytes_is_not_used_again():
    """A node that refused a payload early may never read the rest of it, nor what follows."""
    sent, ended = asyncio.Event(), asyncio.Event()

    async def refusing(peer: Peer) -> None:
        await peer.request()
        peer.deafen()
        await peer.send(reply())
        await sent.wait()
        await peer.send(reply(b"too large", status="413 Payload Too Large"))
        await ended.wait()

    async with FaultServer(refusing, answering(b"fresh")) as server:
        client = client_of(server)
        await client.send(N1, POST, timeout_s=5)
        (connection,) = client._pools[N1]._idle
        sock = connection._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        body = b"a" * 250_000  # more than both ends buffer, less than two slices
        call = client.send(N1, NodeRequest("POST", "/x", body), timeout_s=5)
        await turns()
        assert connection._rest is None
        assert connection._transport.get_write_buffer_size() > 0
        sent.set()
        assert (await call).status == 413
        assert (await client.send(N1, POST, timeout_s=5)).body == b"fresh"
        ended.set()
        await client.aclose()


# ------------------------------------------------------------ sent once more


def closing_on_second_request(end: str, read_body: bool = True):
    """Answer once, then close over the next request: the keep-alive race."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply())
        await (peer.request() if read_body else peer.head())
        getattr(peer, end)()

    return script


@pytest.mark.parametrize("end", ["close", "reset", "half_close"])
async def test_a_get_over_a_stale_connection_is_sent_once_more(end):
    """Servers close idle connections whenever they like; reads must not fail for it."""
    async with FaultServer(closing_on_second_request(end), answering(b"fresh")) as server:
        client = client_of(server)
        await client.send(N1, GET, timeout_s=5)
        assert (await client.send(N1, GET, timeout_s=5)).body == b"fresh"
        assert server.connections == 2
        assert len(server.requests) == 3
        assert client.in_flight(N1) == 0
        await client.aclose()


@pytest.mark.parametrize("end", ["close", "reset", "half_close"])
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_a_write_that_the_node_may_have_got_is_never_sent_twice(end, method):
    """A repeated write could enqueue its task twice."""
    async with FaultServer(closing_on_second_request(end), answering()) as server:
        client = client_of(server)
        write = NodeRequest(method, "/x", b"{}", "application/json")
        await client.send(N1, write, timeout_s=5)
        with pytest.raises(NodeUnreachable, match="without an answer"):
            await client.send(N1, write, timeout_s=5)
        assert len(server.requests) == 2
        assert server.connections == 1
        await client.aclose()


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_write_that_the_node_cannot_have_got_whole_is_sent_once_more(end):
    """Half a payload is never acted upon, so that a stale connection need not fail the write."""
    stale = closing_on_second_request(end, read_body=False)
    async with FaultServer(stale, answering(b"fresh")) as server:
        client = client_of(server)
        await client.send(N1, POST, timeout_s=5)
        assert (await client.send(N1, BIG, timeout_s=5)).body == b"fresh"
        assert server.requests[-1].body == BIG.body
        await client.aclose()


@pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"use_uvloop": False})]
)  # uvloop writes later, and cannot tell
async def test_a_write_of_which_nothing_could_be_sent_is_sent_once_more():
    """The reset was there before the request: nobody can have got it."""
    loop = asyncio.get_running_loop()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)

        async def serve_one(sock: socket.socket, body: bytes) -> None:
            got = b""
            while not got.endswith(POST.body):
                got += await loop.sock_recv(sock, 65536)
            await loop.sock_sendall(sock, reply(body))

        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = NodeHttp({N1: url}, master_key=None)
        first = client.send(N1, POST, timeout_s=5)
        sock, _ = await loop.sock_accept(listener)
        await serve_one(sock, b"first")
        await first
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        second = client.send(N1, POST, timeout_s=5)  # no turn of the loop in between
        async with asyncio.timeout(5):
            sock, _ = await loop.sock_accept(listener)
        await serve_one(sock, b"second")
        assert (await second).body == b"second"
        await client.aclose()
        sock.close()


async def test_nothing_is_sent_a_third_time():
    """A node that closes over every request is down; more tries only add to its trouble."""
    async with FaultServer(closing_on_second_request("close"), silent_close) as server:
        client = client_of(server)
        await client.send(N1, GET, timeout_s=5)
        with pytest.raises(NodeUnreachable, match="without an answer"):
            await client.send(N1, GET, timeout_s=5)
        assert len(server.requests) == 3
        await client.aclose()


async def silent_close(peer: Peer) -> None:
    await peer.request()
    peer.close()


async def test_a_fresh_connection_that_closes_is_a_fault_and_not_stale():
    """Only an idle connection can be closed by chance."""
    async with FaultServer(silent_close) as server:
        client = client_of(server)
        with pytest.raises(NodeUnreachable):
            await client.send(N1, GET, timeout_s=5)
        assert len(server.requests) == 1
        await client.aclose()


async def test_a_get_whose_answer_has_begun_is_not_sent_again():
    """Then the connection was not stale: the node died while it answered."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply())
        await peer.request()
        await peer.send(b"HTT")
        peer.close()

    async with FaultServer(script, answering()) as server:
        client = client_of(server)
        await client.send(N1, GET, timeout_s=5)
        with pytest.raises(NodeUnreachable, match="in the middle of its answer"):
            await client.send(N1, GET, timeout_s=5)
        assert server.connections == 1
        await client.aclose()


async def test_a_refused_resend_is_unreachable():
    """The node went away for good between two requests."""
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply())
        await peer.request()
        server._server.close()
        peer.close()
        gone.set()

    async with FaultServer(script) as server:
        client = client_of(server)
        await client.send(N1, GET, timeout_s=5)
        with pytest.raises(NodeUnreachable, match="refused"):
            await client.send(N1, GET, timeout_s=5)
        assert gone.is_set()
        await client.aclose()
        server._server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)


# ------------------------------------------------------------ deadlines and cancelling


async def test_a_node_that_never_answers_is_unreachable_at_the_deadline():
    """A hung node must cost its caller a bounded time."""
    async with FaultServer(silent, answering()) as server:
        client = client_of(server)
        with pytest.raises(NodeUnreachable, match=r"timeout after 0.05 s while waiting for the"):
            await client.send(N1, POST, timeout_s=0.05)
        await turns()
        assert server.ended == 1, "the connection is closed: a late answer must meet nobody"
        assert (await client.send(N1, POST, timeout_s=5)).status == 200
        await client.aclose()


async def test_the_deadline_is_for_the_whole_answer():
    """A node that sends a byte now and then must not hold a search for ever."""

    async def trickle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while True:
            await peer.send(b"a")
            await asyncio.sleep(0.01)

    async with FaultServer(trickle) as server:
        client = client_of(server)
        with pytest.raises(NodeUnreachable, match=r"timeout after 0.1 s in the middle of the"):
            await client.send(N1, POST, timeout_s=0.1)
        await client.aclose()


async def test_a_node_that_does_not_read_is_unreachable_at_the_deadline():
    """A full receive window must not hold a write for ever."""

    async def deaf(peer: Peer) -> None:
        await peer.head()
        await asyncio.Event().wait()

    async with FaultServer(deaf) as server:
        client = client_of(server)
        with pytest.raises(NodeUnreachable, match=r"timeout after 0.1 s while sending"):
            await client.send(N1, BIG, timeout_s=0.1)
        await client.aclose()


async def test_a_refused_connection_says_so():
    """The commonest fault of all: the node's process is not there."""
    async with FaultServer(answering()) as server:
        client = client_of(server)
    with pytest.raises(NodeUnreachable, match=r"node n1: connection refused by 127.0.0.1:\d+"):
        await client.send(N1, POST, timeout_s=5)
    await client.aclose()


async def test_a_cancelled_await_gives_its_connection_up_and_no_other():
    """A search whose client has gone must not go on holding a connection."""
    async with FaultServer(silent, answering(b"other")) as server:
        client = client_of(server)
        doomed = asyncio.ensure_future(_awaiting(client.send(N1, POST, timeout_s=5)))
        while not server.requests:
            await asyncio.sleep(0)
        assert (await client.send(N1, POST, timeout_s=5)).body == b"other"
        doomed.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doomed
        await turns()
        assert server.ended == 1
        assert client.in_flight(N1) == 0
        assert (await client.send(N1, POST, timeout_s=5)).body == b"other"
        await client.aclose()


async def _awaiting(call):
    return await call


async def test_a_cancelled_call_in_the_queue_is_never_sent():
    """Nobody waits for it any more, and it may be a write."""
    async with FaultServer(answering()) as server:
        client = client_of(server, connections_max=1)
        first = client.send(N1, POST, timeout_s=5)
        second = client.send(N1, NodeRequest("POST", "/never"), timeout_s=5)
        second.cancel()
        await first
        await client.send(N1, GET, timeout_s=5)
        assert [one.line for one in server.requests] == ["POST /x HTTP/1.1", "GET /x HTTP/1.1"]
        await client.aclose()


# ------------------------------------------------------------ limits


async def test_calls_beyond_the_limit_of_connections_wait_in_order():
    """A node gets no more connections than it is allowed, and nobody is overtaken."""
    async with FaultServer(answering()) as server:
        client = client_of(server, connections_max=2)
        calls = [client.send(N1, NodeRequest("GET", f"/{i}"), timeout_s=5) for i in range(10)]
        assert client.in_flight(N1) == 10
        for call in calls:
            await call
        assert server.connections == 2
        order = [int(one.line.split()[1][1:]) for one in server.requests]
        assert sorted(order) == list(range(10))
        assert all(place - 2 < number < place + 2 for place, number in enumerate(order))
        assert client.in_flight(N1) == 0
        await client.aclose()


async def test_a_call_that_waits_for_a_connection_keeps_its_deadline():
    """One slow request must not make others wait longer than they asked."""
    async with FaultServer(silent) as server:
        client = client_of(server, connections_max=1)
        slow = client.send(N1, POST, timeout_s=60)
        with pytest.raises(NodeUnreachable, match="while waiting for a connection"):
            await client.send(N1, POST, timeout_s=0.05)
        slow.cancel()
        await client.aclose()


async def test_a_full_queue_refuses_at_once():
    """A queue without an end turns a slow node into a slow cluster."""
    async with FaultServer(silent) as server:
        client = client_of(server, connections_max=1, waiting_max=2)
        waiting = [client.send(N1, POST, timeout_s=60) for _ in range(2)]
        refused = client.send(N1, POST, timeout_s=60)
        assert refused.done()
        with pytest.raises(NodeUnreachable, match="2 calls already wait"):
            await refused
        for call in waiting:
            call.cancel()
        await client.aclose()


async def test_a_connection_given_up_makes_room_for_the_next_in_the_queue():
    """Otherwise one timeout would leave the queue standing."""
    async with FaultServer(silent, answering(b"served")) as server:
        client = client_of(server, connections_max=1)
        first = client.send(N1, POST, timeout_s=0.05)
        second = client.send(N1, POST, timeout_s=5)
        with pytest.raises(NodeUnreachable):
            await first
        assert (await second).body == b"served"
        await client.aclose()


async def test_each_queued_call_hears_of_a_refused_connection():
    """Nobody is left behind in the queue of a node that is down."""
    async with FaultServer(answering()) as server:
        client = client_of(server, connections_max=1)
    calls = [client.send(N1, POST, timeout_s=60) for _ in range(5)]
    for call in calls:
        with pytest.raises(NodeUnreachable, match="refused"):
            await call
    await client.aclose()


# ------------------------------------------------------------ the end


async def test_closing_ends_everything():
    """A process that stops must not hang on a node, nor leave sockets behind."""
    async with FaultServer(answering(), silent) as server:
        client = client_of(server, connections_max=2)
        await client.send(N1, POST, timeout_s=5)
        calls = [client.send(N1, POST, timeout_s=60) for _ in range(3)]
        stuck = [client.send(N1, NodeRequest("GET", "/stuck"), timeout_s=60) for _ in range(3)]
        await calls[0]
        await client.aclose()
        for call in [*calls[1:], *stuck]:
            assert call.done()
            call.exception()
        assert isinstance(stuck[-1].exception(), NodeUnreachable)
        with pytest.raises(NodeUnreachable, match="the client is closed"):
            await client.send(N1, POST, timeout_s=5)
        assert client.in_flight(N1) == 0
        await client.aclose()
        await server.emptied()


async def test_closing_ends_a_call_that_is_being_sent_once_more():
    """It is in no queue and on no connection just then, and must not be forgotten."""
    async with FaultServer(closing_on_second_request("close"), silent) as server:
        client = client_of(server)
        await client.send(N1, GET, timeout_s=5)
        call = client.send(N1, GET, timeout_s=5)
        while not client._pools[N1]._opening:
            await asyncio.sleep(0)
        await client.aclose()
        await turns()
        with pytest.raises(NodeUnreachable, match="the client was closed"):
            await call


async def test_a_call_cancelled_while_it_is_sent_once_more_is_not_sent():
    """The fresh connection then serves the next one."""
    async with FaultServer(closing_on_second_request("close"), answering(b"fresh")) as server:
        client = client_of(server)
        await client.send(N1, GET, timeout_s=60)
        call = client.send(N1, GET, timeout_s=60)
        while not client._pools[N1]._opening:
            await asyncio.sleep(0)
        call.cancel()
        assert (await client.send(N1, POST, timeout_s=5)).body == b"fresh"
        assert [one.line for one in server.requests][2:] == ["POST /x HTTP/1.1"]
        assert client.in_flight(N1) == 0
        await client.aclose()


async def test_what_was_asked_of_a_node_that_is_found_down_ends_at_once_but_for_what_lasts():
    """A search can be asked of a sibling now; a write must not lose its place for a hiccup."""
    async with FaultServer(silent) as server:
        client = client_of(server, connections_max=2)
        lasting = NodeRequest("POST", "/x", b"{}", "application/json", lasting=True)
        search, write, queued, patient = (
            client.send(N1, request, timeout_s=30) for request in (POST, lasting, POST, lasting)
        )
        while len(server.requests) < 2:
            await turns(1)

        client.break_off(N1)

        for gone in (search, queued):
            with pytest.raises(NodeUnreachable, match="found down"):
                await gone
        assert not write.done()
        assert not patient.done()
        while len(server.requests) < 3:
            await turns(1)
        assert client.in_flight(N1) == 2
        await client.aclose()
        for left in (write, patient):
            with pytest.raises(NodeUnreachable, match="closed"):
                await left


async def test_connections_to_a_node_that_is_found_down_are_not_used_again():
    """They may be dead by now, and only the next request would find out."""
    async with FaultServer(answering()) as server:
        client = client_of(server)
        await client.send(N1, POST, timeout_s=5)
        client.break_off(N1)
        await client.send(N1, POST, timeout_s=5)
        assert server.connections == 2
        await client.aclose()
