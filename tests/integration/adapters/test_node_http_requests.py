"""Requests of `NodeHttp` on the wire: what is sent, what is never sent, over TLS and IPv6 too."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
import tracemalloc

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.fault_server import FaultServer, Peer, answering, reply, sending

from miroir.adapters.node_http import HttpLimits, NodeHttp
from miroir.core.topology import NodeId
from miroir.errors import NodeUnreachable
from miroir.ports.node import NodeRequest

pytestmark = pytest.mark.anyio

N1 = NodeId("n1")
KEY = "s3cret-master-key"


async def received(request: NodeRequest, master_key: str | None = KEY):
    """Return what the server got."""
    async with FaultServer(answering()) as server:
        client = NodeHttp({N1: server.url}, master_key=master_key)
        await client.send(N1, request, timeout_s=5)
        await client.aclose()
        return server.requests[0]


async def test_a_request_arrives_as_it_was_meant():
    """Path, query and body are the callers'; nothing may touch them."""
    body = bytes(range(256))
    got = await received(
        NodeRequest(
            "POST",
            "/indexes/a%2Fb/documents?primaryKey=id&x=%20",
            body,
            "application/x-ndjson",
            headers={"x-meili-include": "a, b"},
        )
    )
    assert got.line == "POST /indexes/a%2Fb/documents?primaryKey=id&x=%20 HTTP/1.1"
    assert got.body == body
    assert got.headers["content-type"] == "application/x-ndjson"
    assert got.headers["x-meili-include"] == "a, b"
    assert "accept-encoding" not in got.headers


async def test_the_client_s_own_key_goes_through_untouched():
    """Reads run with the rights of the client, not with ours."""
    got = await received(NodeRequest("GET", "/x", authorization="Bearer tenant.token"))
    assert got.headers["authorization"] == "Bearer tenant.token"


async def test_the_master_key_is_for_requests_without_their_own():
    """Miroir's own calls need no key from anybody."""
    assert (await received(NodeRequest("GET", "/x"))).headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in (await received(NodeRequest("GET", "/x"), None)).headers


@pytest.mark.parametrize(
    ("method", "announced"), [("GET", None), ("DELETE", None), ("POST", "0"), ("PATCH", "0")]
)
async def test_an_empty_body_is_announced_where_one_is_expected(method, announced):
    """Some servers answer 411 to a POST without a length."""
    got = await received(NodeRequest(method, "/x"))
    assert got.headers.get("content-length") == announced
    assert "content-type" not in got.headers


@pytest.mark.parametrize(
    "request_",
    [
        NodeRequest("GET", "/x\r\nevil: 1"),
        NodeRequest("GET", "/x HTTP/1.1\r\n\r\n"),
        NodeRequest("GET", "/with space"),
        NodeRequest("GET", "/ü"),
        NodeRequest("GET", "relative"),
        NodeRequest("GET", ""),
        NodeRequest("GET\r\n", "/x"),
        NodeRequest("get", "/x"),
        NodeRequest("GET", "/x", authorization=f"Bearer {KEY}\r\nevil: 1"),
        NodeRequest("GET", "/x", authorization=f"Bearer {KEY}\n"),
        NodeRequest("GET", "/x", authorization="Bearer €"),
        NodeRequest("GET", "/x", headers={"x": f"{KEY}\n"}),
        NodeRequest("GET", "/x", headers={"x": "a\0b"}),
        NodeRequest("GET", "/x", headers={"x: y\r\nevil": "1"}),
        NodeRequest("GET", "/x", headers={"X-Upper": "1"}),
        NodeRequest("GET", "/x", headers={"": "1"}),
        NodeRequest("POST", "/x", b"a", "text/plain\r\nevil: 1"),
        NodeRequest("POST", "/x", b"a", headers={"content-length": "0"}),
        NodeRequest("POST", "/x", b"a", headers={"transfer-encoding": "chunked"}),
        NodeRequest("GET", "/x", headers={"host": "other"}),
    ],
    ids=repr,
)
async def test_nothing_can_smuggle_a_header_or_a_second_request(request_):
    """A line end in an index name would otherwise be a request of an attacker's own."""
    async with FaultServer(answering()) as server:
        client = NodeHttp({N1: server.url}, master_key=KEY)
        with pytest.raises(ValueError, match=r"HTTP does not allow|the client's own") as caught:
            client.send(N1, request_, timeout_s=5)
        assert KEY not in str(caught.value)
        assert server.connections == 0
        assert client.in_flight(N1) == 0
        await client.aclose()


async def test_a_key_that_cannot_be_sent_is_refused_without_showing_it():
    """It comes from a file or the environment, where a line end slips in easily."""
    with pytest.raises(ValueError, match="the master key") as caught:
        NodeHttp({N1: "http://127.0.0.1:1"}, master_key=KEY + "\n")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:7700",
        "ftp://127.0.0.1",
        "http://",
        "http://:7700",
        "http://h:99999",
        "http://h:0",
        f"http://user:{KEY}@h:7700",
        "http://h:7700/prefix",
        "http://h:7700/?q",
        "http://h\n:7700/x",
        "http://ü.example:7700",
    ],
)
async def test_a_url_that_is_none_is_refused_without_showing_it(url):
    """Passwords in urls are common, and configuration errors end up in logs."""
    with pytest.raises(ValueError, match=r"url|[Pp]ort|host") as caught:
        NodeHttp({N1: url}, master_key=None)
    assert KEY not in str(caught.value)


async def test_no_fault_shows_a_key(caplog):
    """Errors and logs are read by more people than keys are meant for."""
    faults = [
        sending(b"garbage"),
        sending(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"),
        sending(),
    ]
    for script in faults:
        async with FaultServer(script) as server:
            client = NodeHttp({N1: server.url}, master_key=KEY)
            call = client.send(N1, NodeRequest("GET", "/x"), timeout_s=0.05)
            with pytest.raises(NodeUnreachable) as caught:
                await call
            shown = f"{caught.value!r} {call!r} {client!r} {client.__dict__!r} {caplog.text}"
            assert KEY not in shown
            await client.aclose()


# ------------------------------------------------------------ large bodies


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1, 512 * 1024, 20_000_001])
async def test_a_large_body_arrives_whole(size):
    """It goes out in slices; each border is a place to lose or repeat a byte."""
    body = (b"0123456789abcdef!" * (size // 17 + 1))[:size]
    got = await received(NodeRequest("POST", "/x", body, "application/json"))
    assert got.body == body


async def test_a_body_that_the_node_does_not_take_is_not_copied(anyio_backend):
    """A slow node must not make us hold a payload twice."""
    full = asyncio.Event()

    async def deaf(peer: Peer) -> None:
        await peer.head()
        await full.wait()

    body = b"a" * 50_000_000
    async with FaultServer(deaf) as server:
        client = NodeHttp({N1: server.url}, master_key=None)
        tracemalloc.start()
        try:
            call = client.send(N1, NodeRequest("POST", "/x", body), timeout_s=60)
            for _ in range(2000):
                await asyncio.sleep(0)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert not call.done()
        assert peak_bytes < 5_000_000
        call.cancel()
        full.set()
        await client.aclose()


async def test_others_are_served_while_a_large_body_goes_out():
    """One import must not hold up every search."""
    async with FaultServer(answering()) as server:
        client = NodeHttp({N1: server.url}, master_key=None)
        big = client.send(N1, NodeRequest("POST", "/big", b"a" * 50_000_000), timeout_s=60)
        await client.send(N1, NodeRequest("GET", "/small"), timeout_s=60)
        assert not big.done()
        await big
        await client.aclose()


# ------------------------------------------------------------ TLS, IPv6, many nodes, hooks


def certificate(directory) -> tuple[ssl.SSLContext, str]:
    """Return a server's context for 127.0.0.1 and the file that makes a client trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node")])
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = directory / "node.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, str(file)


async def test_https_is_spoken_to_a_node_with_a_trusted_certificate(tmp_path):
    """Nodes on other machines are reached through TLS."""
    context, file = certificate(tmp_path)
    async with FaultServer(answering(b"a" * 500_000), tls=context) as server:
        trusting = ssl.create_default_context(cafile=file)
        client = NodeHttp({N1: server.url}, master_key=None, tls=trusting)
        big = NodeRequest("POST", "/x", b"b" * 3_000_000)
        for _ in range(2):
            assert len((await client.send(N1, big, timeout_s=5)).body) == 500_000
        assert server.requests[1].body == big.body
        assert server.connections == 1
        await client.aclose()
        await server.emptied()


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    """The master key must not go to whoever answers at that address."""
    context, _ = certificate(tmp_path)
    async with FaultServer(answering(), tls=context) as server:
        client = NodeHttp({N1: server.url}, master_key=KEY)
        with pytest.raises(NodeUnreachable, match=r"(?i)certificate verify failed"):
            await client.send(N1, NodeRequest("GET", "/x"), timeout_s=5)
        assert server.requests == []
        await client.aclose()


async def test_a_connection_that_does_not_come_about_has_its_own_deadline(tmp_path):
    """A node behind a silent firewall must not hold calls as long as a slow search may take."""

    async def no_handshake(peer: Peer) -> None:
        await peer.gone()

    async with FaultServer(no_handshake) as server:
        limits = HttpLimits(connect_max_s=0.05)
        url = server.url.replace("http:", "https:")
        client = NodeHttp({N1: url}, master_key=None, limits=limits)
        with pytest.raises(NodeUnreachable, match=r"no connection within 0.05 s"):
            await client.send(N1, NodeRequest("GET", "/x"), timeout_s=60)
        await client.aclose()
        await server.emptied()


async def test_a_name_that_does_not_resolve_says_so():
    """A typing error in the configuration must be told from a node that is down."""
    client = NodeHttp({N1: "http://node.invalid:7700"}, master_key=None)
    with pytest.raises(NodeUnreachable, match=r"cannot connect to node\.invalid:7700"):
        await client.send(N1, NodeRequest("GET", "/x"), timeout_s=5)
    await client.aclose()


async def test_an_ipv6_node_is_reached():
    """Its address needs brackets in the url and in the host header, and none for the socket."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
    async with FaultServer(answering(), host="::1") as server:
        client = NodeHttp({N1: server.url}, master_key=None)
        await client.send(N1, NodeRequest("GET", "/x"), timeout_s=5)
        assert server.requests[0].headers["host"] == f"[::1]:{server.port}"
        await client.aclose()


async def test_nodes_do_not_share_connections():
    """An answer must come from the node that was asked."""
    async with FaultServer(answering(b"1")) as one, FaultServer(answering(b"2")) as two:
        n2 = NodeId("n2")
        client = NodeHttp({N1: one.url, n2: two.url}, master_key=None)
        for _ in range(2):
            calls = [client.send(n, NodeRequest("GET", "/x"), timeout_s=5) for n in (N1, n2)]
            assert [(await call).body for call in calls] == [b"1", b"2"]
        await client.aclose()


async def test_every_end_of_a_call_is_observed_once():
    """Metrics and health live on it; a call that ends unseen is a node that looks healthy."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply())
        await peer.request()
        await peer.send(b"garbage")

    async with FaultServer(script, sending()) as server:
        seen: list[tuple[str, str]] = []
        client = NodeHttp(
            {N1: server.url},
            master_key=None,
            observe=lambda node_id, outcome, seconds: seen.append((node_id, outcome)),
        )
        post = NodeRequest("POST", "/x")
        await client.send(N1, post, timeout_s=5)
        with pytest.raises(NodeUnreachable):
            await client.send(N1, post, timeout_s=5)
        with pytest.raises(NodeUnreachable):
            await client.send(N1, post, timeout_s=0.05)
        client.send(N1, post, timeout_s=5).cancel()
        assert [outcome for _, outcome in seen] == [
            "answered",
            "unreachable",
            "timeout",
            "cancelled",
        ]
        assert {node_id for node_id, _ in seen} == {N1}
        await client.aclose()
