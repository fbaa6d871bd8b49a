"""
Bytes to and from Meilisearch nodes: the `NodeTransport` of production.

A complete HTTP/1.1 client of our own, because it is the measured hot path: a warm request is one
`write` and one future, no task. It is made of

    http_request     a request as bytes            pure
    http_answer      answers from bytes            pure
    http_headers     headers, decoded lazily       pure
    http_coding      gzip and deflate undone       pure
    http_connection  one connection                transport events -> answered | broken
    http_call        one call                      the future, its end
    http_pool        the connections to one node   who is served, sent again, refused

Only this file is for others to import. It holds the master key and shows it to nobody.
"""

import asyncio
import ssl
from collections.abc import Mapping

from miroir.adapters.http_call import Observe
from miroir.adapters.http_pool import HttpLimits, NodePool, Target
from miroir.adapters.http_request import HeadEncoder, endpoint_of
from miroir.core.topology import NodeId
from miroir.ports.node import NodeReply, NodeRequest
from miroir.telemetry import KnownSecrets

__all__ = ["HttpLimits", "NodeHttp", "Observe"]


class NodeHttp:
    """
    Sends requests to nodes over kept-alive connections; see `ports.node.NodeTransport`.

    Made inside a running event loop, and used in that one only. A call that nobody awaits any
    more should be cancelled: its connection is then closed instead of waiting for the answer.
    """

    def __init__(
        self,
        endpoints: Mapping[NodeId, str],
        *,
        master_key: str | None,
        limits: HttpLimits | None = None,
        tls: ssl.SSLContext | None = None,
        observe: Observe | None = None,
        secrets: KnownSecrets | None = None,
    ) -> None:
        """
        Connect to nothing yet.

        Args:
            endpoints: Url of each node.
            master_key: Sent where a request brings no authorization of its own.
            limits: Maxima.
            tls: For https urls; by default the system's authorities are trusted.
            observe: Told of each ended call; must not raise.
            secrets: Never to be heard from a node that says no (4xx, 5xx).

        Raises:
            ValueError: A url, or the key, cannot be used; the message repeats neither.
        """
        limits = limits or HttpLimits()
        loop = asyncio.get_running_loop()
        self._pools: dict[NodeId, NodePool] = {}
        for node_id, url in endpoints.items():
            endpoint = endpoint_of(url)
            if endpoint.tls and tls is None:
                tls = ssl.create_default_context()
            target = Target(
                node_id,
                endpoint,
                HeadEncoder(endpoint, master_key),
                tls if endpoint.tls else None,
                secrets or KnownSecrets(),
            )
            self._pools[node_id] = NodePool(target, limits, observe, loop)

    def send(
        self, node_id: NodeId, request: NodeRequest, *, timeout_s: float
    ) -> asyncio.Future[NodeReply]:
        """
        See `NodeTransport.send`; the request is on the wire, or queued, when this returns.

        Raises:
            ValueError: At once, for a request that cannot be written as HTTP.
        """
        return self._pools[node_id].send(request, timeout_s)

    def in_flight(self, node_id: NodeId) -> int:
        """Return how many calls to a node have not ended; for least-loaded routing."""
        return self._pools[node_id].in_flight

    def break_off(self, node_id: NodeId) -> None:
        """See `NodeTransport.break_off`."""
        self._pools[node_id].break_off()

    async def aclose(self) -> None:
        """End every call with `NodeUnreachable` and close every connection; may be repeated."""
        for pool in self._pools.values():
            await pool.aclose()
