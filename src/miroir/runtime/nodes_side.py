"""The connections to the nodes, as a process of this server has them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from miroir.adapters.http_pool import HttpLimits
from miroir.adapters.node_control import NodeControlHttp
from miroir.adapters.node_http import NodeHttp
from miroir.config import Config
from miroir.core.topology import Topology
from miroir.ports.node import NodeControl, NodeTransport
from miroir.telemetry import KnownSecrets, Metrics


@asynccontextmanager
async def connections(
    config: Config, topology: Topology, metrics: Metrics, secrets: KnownSecrets
) -> AsyncIterator[tuple[NodeTransport, NodeControl]]:
    """Make them, opening none yet; close them at the end."""
    to_nodes = partial(
        NodeHttp,
        {node.node_id: node.url for node in topology.nodes},
        master_key=config.master_key.reveal() if config.master_key else None,
        limits=HttpLimits(
            connections_max=config.limits.connections_per_node_max,
            connect_max_s=config.limits.connect_timeout_s,
        ),
        observe=metrics.node_call,
        secrets=secrets,
    )
    transport = to_nodes()
    typed = to_nodes()  # On connections of its own: no health check may wait behind searches.
    try:
        yield (
            transport,
            NodeControlHttp(
                typed,
                timeout_s=config.limits.control_timeout_s,
                health_timeout_s=config.health.timeout_s,
                secrets=secrets,
            ),
        )
    finally:
        await transport.aclose()
        await typed.aclose()
