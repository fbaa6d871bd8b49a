"""Posting to any URL: what a receiver says, and whatever it may do instead; over real sockets."""

import asyncio
import contextlib

import pytest

from miroir.adapters.receivers_http import ReceiversHttp

TOKEN = "Bearer pst"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def post(answer, path="/a?b=c", timeout_s=5.0, scheme="http", **headers):
    """Post to a server that answers so (None: nothing, b"": closes); return what came of it."""

    async def scene():
        seen, leave, served = [], asyncio.Event(), set()

        async def serve(reader, writer):
            served.add(asyncio.current_task())
            try:
                await answered(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass  # It began with TLS, or went away.
            finally:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

        async def answered(reader, writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
            seen.append((head, await reader.readexactly(length)))
            if answer is None:
                await leave.wait()
            else:
                writer.write(answer)
                await writer.drain()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        url = f"{scheme}://127.0.0.1:{port}{path}"
        fault = await ReceiversHttp(timeout_s).post(
            url, {"Authorization": TOKEN, **headers}, b"body"
        )
        leave.set()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)  # Who has just connected is served now.
        await asyncio.gather(*served)
        return fault, seen

    return asyncio.run(scene())


def test_a_receiver_gets_one_whole_request():
    """Path and query as they were registered, headers, and the body in full."""
    fault, ((head, body),) = post(OK)

    assert fault is None
    assert head.startswith("POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:")
    assert f"\r\nAuthorization: {TOKEN}\r\n" in head
    assert body == b"body"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, None),
        (b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n", "answered with status 302"),
        (b"HTTP/1.1 500 Oops\r\n\r\n", "answered with status 500"),
        (b"", "the connection was closed without an answer"),
        (b"HTTP/1.1 200 OK\r\n", "the connection was closed without an answer"),
        (b"220 mail.example ESMTP\r\n\r\n", "not reached (ValueError)"),
        (b"HTTP/1.1 many OK\r\n\r\n", "not reached (ValueError)"),
        (b"x" * 100_000, "not reached (LimitOverrunError)"),
    ],
)
def test_only_success_counts_as_taken(answer, fault):
    """What was not taken is told again: a redirect or half an answer is no success."""
    assert post(answer)[0] == fault


def test_a_silent_receiver_is_given_up():
    """Whoever waits for ever tells nobody else."""
    assert post(None, timeout_s=0.05)[0] == "no answer within 0.05 s"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://nowhere.invalid/",
        "ftp://127.0.0.1/",
        "mailto:somebody",
        "http://127.0.0.1:1/a b",
        "http://127.0.0.1:1/a\r\nX: y",
    ],
)
def test_what_cannot_be_reached_says_so_without_naming_it(url):
    """A URL may hold a token, and what is said goes to the log."""
    said = asyncio.run(ReceiversHttp(5.0).post(url, {}, b""))

    assert said is not None
    assert said.startswith("not reached (")
    assert "127" not in said


def test_a_receiver_without_a_certificate_is_not_told():
    """Else anybody between here and there could read the token."""
    assert post(OK, scheme="https")[0] is not None


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nX: y"])
def test_no_header_can_smuggle_another(value):
    """Registration refuses them; the configuration is read without that."""
    assert post(OK, A=value) == ("not reached (ValueError)", [])
