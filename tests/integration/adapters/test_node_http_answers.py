"""What counts as an answer, and what as none: `NodeHttp` against scripted servers."""

import gzip
import zlib

import pytest
from tests.support.fault_server import FaultServer, Peer, answering, reply, sending

from miroir.adapters.node_http import HttpLimits, NodeHttp
from miroir.codings import brotli
from miroir.core.topology import NodeId
from miroir.errors import NodeUnreachable
from miroir.ports.node import NodeReply, NodeRequest

pytestmark = pytest.mark.anyio

N1 = NodeId("n1")
GET = NodeRequest("GET", "/x")
OK = b"HTTP/1.1 200 OK\r\n"


async def ask(*scripts, request=GET, limits=None, timeout_s=5.0) -> NodeReply:
    """Send one request to a scripted server."""
    async with FaultServer(*scripts) as server:
        client = NodeHttp({N1: server.url}, master_key=None, limits=limits)
        try:
            return await client.send(N1, request, timeout_s=timeout_s)
        finally:
            await client.aclose()


@pytest.mark.parametrize(
    "status", ["200 OK", "202 Accepted", "302 Found", "404 Not Found", "500 x", "503 "]
)
async def test_any_status_is_an_answer(status):
    """Callers tell a refusal from a failure; a transport that raised for them could not."""
    answer = await ask(answering(b"body", status=status))
    assert (answer.status, answer.body) == (int(status[:3]), b"body")


async def test_headers_come_by_lower_case_name_and_the_last_one_counts():
    """Callers look headers up without caring how a server spells them."""
    answer = await ask(answering(headers=b"X-A: 1\r\nx-a: 2\r\nX-A:  3 \r\nX-Empty:\r\n"))
    assert answer.headers["x-a"] == "3"
    assert answer.headers["x-empty"] == ""
    assert "X-A" not in answer.headers


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        pytest.param([OK + b"content-length: 5\r\n\r\nhello"], b"hello", id="length"),
        pytest.param([OK + b"Content-Length: 0\r\n\r\n"], b"", id="empty"),
        pytest.param(
            [OK + b"content-length: 5\r\n", b"\r\nhe", b"l", b"lo"], b"hello", id="slow body"
        ),
        pytest.param(
            [OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n"],
            b"hello",
            id="chunked with an extension",
        ),
        pytest.param(
            [
                OK + b"Transfer-Encoding: Chunked\r\n\r\n5",
                b"\r\nhello\r\n0\r\n",
                b"X-T: 1\r\n\r\n",
            ],
            b"hello",
            id="chunked with trailers",
        ),
        pytest.param(
            [b"HTTP/1.1 100 Continue\r\n\r\n", OK + b"content-length: 2\r\n\r\nhi"],
            b"hi",
            id="100 first",
        ),
        pytest.param(
            [
                b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
                b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 2\r\n\r\nhi"
            ],
            b"hi",
            id="two interim answers in one packet",
        ),
        pytest.param([b"HTTP/1.1 204 No Content\r\n\r\n"], b"", id="204"),
        pytest.param([b"HTTP/1.1 304 NM\r\ncontent-length: 9\r\n\r\n"], b"", id="304"),
        pytest.param([b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi"], b"hi", id="HTTP/1.0"),
    ],
)
async def test_every_framing_is_read(pieces, body):
    """Nodes send lengths, the proxies in front of them send everything else."""
    answer = await ask(sending(*pieces))
    assert answer.body == body
    assert answer.status < 400


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_an_answer_without_a_length_ends_with_the_connection(version):
    """HTTP/1.0 servers know no other end."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/%b 200 OK\r\n\r\nhel" % version, b"lo")
        peer.close()

    assert (await ask(script)).body == b"hello"


async def test_a_head_answer_has_no_body():
    """Its content-length announces what GET would bring; waiting for it would hang."""
    async with FaultServer(answering(b"12345")) as server:

        async def head_then_get(peer: Peer) -> None:
            await peer.request()
            await peer.send(OK + b"content-length: 5\r\n\r\n")
            await answering(b"12345")(peer)

        server._scripts[:] = [head_then_get]
        client = NodeHttp({N1: server.url}, master_key=None)
        head = await client.send(N1, NodeRequest("HEAD", "/x"), timeout_s=5)
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "5")
        assert (await client.send(N1, GET, timeout_s=5)).body == b"12345"
        assert server.connections == 1
        await client.aclose()


async def test_a_body_behind_a_head_answer_is_not_the_next_answer():
    """A server that sends one all the same must not answer the next request with it."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK + b"content-length: 5\r\n\r\n12345")
        await peer.gone()

    async with FaultServer(script, answering(b"fresh")) as server:
        client = NodeHttp({N1: server.url}, master_key=None)
        assert (await client.send(N1, NodeRequest("HEAD", "/x"), timeout_s=5)).body == b""
        assert (await client.send(N1, GET, timeout_s=5)).body == b"fresh"
        await client.aclose()


PLAIN = b'{"hits": []}' * 50


@pytest.mark.parametrize(
    ("coding", "coded"),
    [
        (b"gzip", gzip.compress(PLAIN, mtime=0)),
        (b"x-gzip", gzip.compress(PLAIN[:300], mtime=0) + gzip.compress(PLAIN[300:], mtime=0)),
        (b"deflate", zlib.compress(PLAIN)),
        (b"Deflate", zlib.compress(PLAIN, wbits=-15)),
        (b"identity", PLAIN),
        (b"deflate, gzip", gzip.compress(zlib.compress(PLAIN), mtime=0)),
        (b"br", brotli.compress(PLAIN)),
    ],
)
async def test_a_compressed_answer_is_decoded(coding, coded):
    """We ask for none, but a proxy before a node may compress, and callers read JSON."""
    answer = await ask(answering(coded, headers=b"content-encoding: " + coding + b"\r\n"))
    assert answer.body == PLAIN
    assert coding == b"identity" or "content-encoding" not in answer.headers


async def test_a_trailer_is_no_header():
    """It comes after the body: a coding named there would garble what is whole."""
    trailer = b"content-encoding: gzip\r\nx-late: 1\r\n"
    chunks = b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n" + trailer + b"\r\n"
    answer = await ask(sending(OK + chunks))
    assert answer.body == b"hi"
    assert list(answer.headers) == ["transfer-encoding"]
    assert "content-encoding" not in answer.headers


def length(body: bytes) -> bytes:
    return b"content-length: %d\r\n\r\n" % len(body) + body


GZIP = OK + b"content-encoding: gzip\r\n"


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        pytest.param([b"SSH-2.0-OpenSSH_9\r\n"], "is no HTTP", id="garbage"),
        pytest.param([b"HTTP/1.1 2000 OK\r\n\r\n"], "is no HTTP", id="bad status"),
        pytest.param([OK + b"content-length: x\r\n\r\n"], "is no HTTP", id="bad length"),
        pytest.param(
            [OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab"],
            "is no HTTP",
            id="two lengths",
        ),
        pytest.param(
            [OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"],
            "is no HTTP",
            id="length and chunked: an attack on framing",
        ),
        pytest.param(
            [OK + b"transfer-encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n"],
            "is no HTTP",
            id="chunked garbage",
        ),
        pytest.param(
            [b"HTTP/1.1 101 Sw\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"],
            "another protocol",
            id="101",
        ),
        pytest.param([OK + b"x: " + b"a" * 40_000], "headers are larger", id="huge header"),
        pytest.param(
            [OK + b"".join(b"x%d: y\r\n" % i for i in range(4000))],
            "headers are larger",
            id="many headers",
        ),
        pytest.param(
            [b"HTTP/1.1 100 C\r\n\r\n" * 3000], "headers are larger", id="interim without end"
        ),
        pytest.param(
            [
                OK + b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
                b"".join(b"t%d: y\r\n" % i for i in range(4000)),
            ],
            "headers are larger",
            id="trailers without end",
        ),
        pytest.param(
            [OK + b"content-length: 2000\r\n\r\n"], "larger than 1000 bytes", id="announced"
        ),
        pytest.param(
            [OK + b"transfer-encoding: chunked\r\n\r\n", *[b"1f4\r\n%b\r\n" % (b"a" * 500)] * 3],
            "larger than 1000 bytes",
            id="size of chunks",
        ),
        pytest.param(
            [GZIP + length(gzip.compress(b"a" * 2000, mtime=0))], "larger than 1000", id="bomb"
        ),
        pytest.param([GZIP + length(b"no gzip")], "damaged", id="no gzip"),
        pytest.param(
            [GZIP + length(gzip.compress(PLAIN, mtime=0)[:-9])], "cut off", id="gzip cut off"
        ),
        pytest.param(
            [OK + b"content-encoding: zstd\r\n" + length(b"x")],
            "coding 'zstd'",
            id="unknown coding",
        ),
    ],
)
async def test_what_is_no_answer_is_unreachable_and_says_why(pieces, message):
    """An operator who reads `unreachable` must learn whether to look at the node or before it."""
    limits = HttpLimits(answer_bytes_max=1000, header_bytes_max=16_000)
    with pytest.raises(NodeUnreachable, match=message) as caught:
        await ask(sending(*pieces), limits=limits)
    assert str(caught.value).startswith("node n1: ")


@pytest.mark.parametrize("end", ["close", "reset", "half_close"])
@pytest.mark.parametrize(
    "start",
    [
        OK + b"content-length: 10\r\n\r\nhalf",
        OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        OK + b"content-le",
    ],
)
async def test_a_truncated_answer_is_none(start, end):
    """Half a body that passed for a whole one would be data loss without a word."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(start)
        getattr(peer, end)()

    with pytest.raises(NodeUnreachable, match="in the middle of its answer"):
        await ask(script)


@pytest.mark.parametrize("end", ["close", "reset", "half_close"])
async def test_a_connection_that_ends_without_an_answer_says_so(end):
    """The node may have acted; the message tells it apart from a refused connection."""

    async def script(peer: Peer) -> None:
        await peer.request()
        getattr(peer, end)()

    with pytest.raises(NodeUnreachable, match="without an answer"):
        await ask(script)


async def test_an_answer_before_a_half_close_counts():
    """A server that is shutting down may end its direction right behind a good answer."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply(b"bye"))
        peer.half_close()

    assert (await ask(script)).body == b"bye"


async def test_an_answer_before_the_request_is_sent_counts():
    """A node that refuses a payload by its length answers without reading it."""

    async def refusing(peer: Peer) -> None:
        await peer.head()
        await peer.send(reply(b"too large", status="413 Payload Too Large"))
        await peer.gone()

    async with FaultServer(refusing, answering(b"next")) as server:
        client = NodeHttp({N1: server.url}, master_key=None)
        big = NodeRequest("POST", "/x", b"a" * 30_000_000, "application/json")
        assert (await client.send(N1, big, timeout_s=5)).status == 413
        small = NodeRequest("POST", "/x", b"a", "application/json")
        assert (await client.send(N1, small, timeout_s=5)).body == b"next"
        assert server.connections == 2, "the rest of the body must not precede the next request"
        await client.aclose()
