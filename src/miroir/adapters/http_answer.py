"""
Answers from bytes: one HTTP/1.1 response after the other on one connection.

Pure: fed with whatever arrives, in any pieces; knows neither sockets nor time. httptools reads the
syntax, this file adds what a client has to decide: interim answers are skipped, an answer without
a length ends with the connection, `HEAD` answers have no body, nothing grows beyond its limit, and
bytes after the end of the answer make the connection unusable. Source: RFC 9112 section 6.

    expect() -> feed(data) ... -> NodeReply      `reusable` says whether another request may follow
                              |-> AnswerBroken   close the connection
             -> end()         (the node closed)  either of the two
"""

from typing import Final

import httptools

from miroir.adapters.http_coding import AnswerBroken, decoded
from miroir.adapters.http_headers import Headers
from miroir.ports.node import NodeReply

_FRAMING_BYTES_MAX: Final = 16
"""Chunk headers may take this many bytes for each byte of the body before we call it abuse."""


class AnswerReader:
    """
    Reads the answers of one connection.

    Attributes:
        started: Whether a byte of the expected answer has come.
        reusable: After a reply: whether the connection can carry another request.
    """

    __slots__ = (
        "_answer_bytes_max",
        "_body_bytes",
        "_complete",
        "_fault",
        "_fed_bytes",
        "_fields",
        "_head_only",
        "_header_bytes_max",
        "_headers",
        "_headers_complete",
        "_parser",
        "_parts",
        "_reply",
        "_until_end",
        "reusable",
        "started",
    )

    _fault: str | None
    _fields: list[tuple[bytes, bytes]]
    _headers: dict[bytes, bytes]
    _parts: list[bytes]
    _reply: NodeReply | None

    def __init__(self, *, answer_bytes_max: int, header_bytes_max: int) -> None:
        self._answer_bytes_max = answer_bytes_max
        self._header_bytes_max = header_bytes_max
        self._parser = httptools.HttpResponseParser(self)
        self.reusable = False
        self.expect(head_only=False)

    def expect(self, *, head_only: bool) -> None:
        """Make ready for the answer to the next request; `head_only` for a HEAD request."""
        self._head_only = head_only
        self._fed_bytes = 0
        self._complete = False
        self._reply = None
        self._fault = None
        self.started = False
        self._begin()

    def feed(self, data: bytes) -> NodeReply | None:
        """
        Take what has arrived; return the reply once it is complete.

        Raises:
            AnswerBroken: It is no HTTP answer, or larger than allowed.
        """
        self.started = True
        self._fed_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise AnswerBroken("the node switched to another protocol") from None
        except httptools.HttpParserError as error:
            if not self._complete:
                raise AnswerBroken(self._fault or f"the answer is no HTTP: {error}") from None
            # A good answer with something behind it: the answer counts, the connection ends.
            self.reusable = False
        if self._complete:
            return self._reply
        spare = self._fed_bytes - self._body_bytes * _FRAMING_BYTES_MAX
        if spare > self._header_bytes_max:
            raise AnswerBroken(f"the headers are larger than {self._header_bytes_max} bytes")
        return None

    def end(self) -> NodeReply:
        """
        Say that the node has closed its side; return the reply that ends thereby.

        Raises:
            AnswerBroken: The answer was not complete.
        """
        if not self.started:
            raise AnswerBroken("the node closed the connection without an answer")
        if not self._until_end:
            raise AnswerBroken("the node closed the connection in the middle of its answer")
        self._finish()
        self.reusable = False
        assert self._reply is not None
        return self._reply

    # ------------------------------------------------------------ called by httptools

    def on_message_begin(self) -> None:
        """See httptools."""
        if self._complete:
            raise AnswerBroken("a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers come by here too, and must not pass for headers."""
        if not self._headers_complete:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Decide how the body is framed."""
        self._headers_complete = True
        status = self._parser.get_status_code()
        if status < 200:
            return
        headers = {name.lower(): value for name, value in self._fields}
        self._headers = headers
        if self._head_only:
            self._finish()
            # The parser waits for the body that a HEAD answer announces and does not have.
            self._parser = httptools.HttpResponseParser(self)
            return
        length = headers.get(b"content-length")
        if length is not None:
            if int(length) > self._answer_bytes_max:
                self._refuse_size()
        elif status not in {204, 304}:
            coding = headers.get(b"transfer-encoding", b"").rpartition(b",")[2]
            self._until_end = coding.strip().lower() != b"chunked"

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        if self._complete:
            raise AnswerBroken("a body after the end")
        self._parts.append(data)
        self._body_bytes += len(data)
        if self._body_bytes > self._answer_bytes_max:
            self._refuse_size()

    def on_message_complete(self) -> None:
        """End the answer, or an interim one."""
        if self._complete:
            return
        if self._parser.get_status_code() < 200:
            self._begin()
        else:
            self._finish()

    # ------------------------------------------------------------ steps

    def _begin(self) -> None:
        self._fields = []
        self._headers = {}
        self._parts = []
        self._body_bytes = 0
        self._headers_complete = False
        self._until_end = False

    def _finish(self) -> None:
        parser, parts = self._parser, self._parts
        self._complete = True
        self.reusable = parser.should_keep_alive()
        headers = self._headers
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        if b"content-encoding" in headers or b"transfer-encoding" in headers:
            try:
                headers, body = decoded(self._fields, headers, body, self._answer_bytes_max)
            except AnswerBroken as error:
                self._complete, self._fault = False, str(error)
                raise
        self._reply = NodeReply(parser.get_status_code(), Headers(headers), body)

    def _refuse_size(self) -> None:
        self._fault = f"the answer is larger than {self._answer_bytes_max} bytes"
        raise AnswerBroken(self._fault)
