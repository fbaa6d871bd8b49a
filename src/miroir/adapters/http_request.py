"""
Requests as bytes: where a node listens, and the head of a request to it.

Pure. Nothing that a caller passes in can end a line or add a header: whatever is not plainly a
token, a path or a header value is a `ValueError`, whose message never repeats the value (it may be
a key). Sources: RFC 9110 sections 5.1, 5.5; RFC 9112 section 3.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from miroir.ports.node import NodeRequest

_METHOD: Final = re.compile(r"[A-Z]+")
_PATH: Final = re.compile(r"/[!-~]*")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")

_OURS: Final = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that frame the message or that `NodeRequest` has a field for."""

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods that announce even an empty body (RFC 9110 section 8.6)."""


@dataclass(frozen=True)
class Endpoint:
    """
    Where a node listens.

    Attributes:
        host: Name or address, an IPv6 one without brackets.
        port: TCP port.
        tls: Whether the node speaks https.
    """

    host: str
    port: int
    tls: bool

    @property
    def authority(self) -> str:
        """Value of the `Host` header; with the port even where it is the default one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def endpoint_of(url: str) -> Endpoint:
    """
    Read a node's url.

    Raises:
        ValueError: It is not `http[s]://host[:port]`; the message does not repeat it.
    """
    parts = urlsplit(url.strip())
    tls = parts.scheme == "https"
    port = (443 if tls else 80) if parts.port is None else parts.port  # ValueError for no port
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port:
        raise ValueError("a node's url must be http://host:port or https://host:port")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a node's url cannot hold a user or a password")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("a node's url cannot have a path, query or fragment")
    if not parts.hostname.isascii() or not _VALUE.fullmatch(parts.hostname):
        raise ValueError("a node's host name must be ASCII")
    return Endpoint(parts.hostname, port, tls)


def authorization_of(master_key: str) -> str:
    """Return the `Authorization` value of a key."""
    return _checked(_VALUE, f"Bearer {master_key}", "the master key")


class HeadEncoder:
    """Writes request heads for one endpoint."""

    __slots__ = ("_authorization", "_host")

    def __init__(self, endpoint: Endpoint, master_key: str | None) -> None:
        self._host = f" HTTP/1.1\r\nhost: {endpoint.authority}\r\n"
        self._authorization = None if master_key is None else authorization_of(master_key)

    def encode(self, request: NodeRequest) -> bytes:
        """
        Return everything before the body.

        Raises:
            ValueError: A part of the request cannot be written as HTTP.
        """
        method = request.method
        head = _start(method, request.path, request.content_type, self._host)
        if request.authorization is not None:
            value = _checked(_VALUE, request.authorization, "the authorization")
            head += f"authorization: {value}\r\n"
        elif self._authorization is not None:
            head += f"authorization: {self._authorization}\r\n"
        if request.body or method in _WITH_BODY:
            head += f"content-length: {len(request.body)}\r\n"
        for name, value in request.headers.items():
            if name in _OURS:
                raise ValueError(f"the header {name} is the client's own")
            checked = _checked(_VALUE, value, f"the header {_checked(_NAME, name, 'a name')}")
            head += f"{name}: {checked}\r\n"
        return (head + "\r\n").encode("latin-1")


@lru_cache(maxsize=1024)
def _start(method: str, path: str, content_type: str | None, host: str) -> str:
    """Return the lines that many requests have in common; kept, as checking them takes longer."""
    checked = _checked(_METHOD, method, "the method")
    head = checked + " " + _checked(_PATH, path, "the path") + host
    if content_type is None:
        return head
    return head + f"content-type: {_checked(_VALUE, content_type, 'content-type')}\r\n"


def _checked(pattern: re.Pattern[str], value: str, what: str) -> str:
    if pattern.fullmatch(value) is None:
        raise ValueError(f"{what} has a character that HTTP does not allow there")
    return value
