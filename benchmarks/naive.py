"""
The same Miroir with a naive client: every request to a node goes over httpx.

    python -m benchmarks.naive serve --config ...

For comparison only: it shows what the project's own client is worth. Nothing else is replaced.
"""

from collections.abc import Awaitable, Mapping
from typing import Any

import httpx

from miroir.cli import main
from miroir.core.topology import NodeId
from miroir.errors import NodeUnreachable
from miroir.ports.node import NodeReply, NodeRequest
from miroir.runtime import nodes_side


class NaiveTransport:
    """`NodeTransport` over one httpx client."""

    def __init__(
        self, endpoints: Mapping[NodeId, str], *, master_key: str | None, **_limits: Any
    ) -> None:
        self._endpoints = endpoints
        self._authorization = f"Bearer {master_key}" if master_key else None
        self._in_flight = dict.fromkeys(endpoints, 0)
        self._client = httpx.AsyncClient(limits=httpx.Limits(max_connections=None))

    def send(
        self, node_id: NodeId, request: NodeRequest, *, timeout_s: float
    ) -> Awaitable[NodeReply]:
        """See `NodeTransport.send`."""
        return self._send(node_id, request, timeout_s)

    async def _send(self, node_id: NodeId, request: NodeRequest, timeout_s: float) -> NodeReply:
        headers = dict(request.headers)
        if authorization := request.authorization or self._authorization:
            headers["authorization"] = authorization
        if request.content_type is not None:
            headers["content-type"] = request.content_type
        self._in_flight[node_id] += 1
        try:
            answer = await self._client.request(
                request.method,
                self._endpoints[node_id] + request.path,
                content=request.body,
                headers=headers,
                timeout=timeout_s,
            )
        except httpx.HTTPError as error:
            raise NodeUnreachable(f"node {node_id}: {error}") from error
        finally:
            self._in_flight[node_id] -= 1
        return NodeReply(answer.status_code, dict(answer.headers), answer.content)

    def in_flight(self, node_id: NodeId) -> int:
        """See `NodeTransport.in_flight`."""
        return self._in_flight[node_id]

    def break_off(self, node_id: NodeId) -> None:
        """Leave calls to a node that is down to their timeouts."""

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()


if __name__ == "__main__":
    nodes_side.NodeHttp = NaiveTransport
    main()
