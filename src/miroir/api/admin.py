"""
Admin routes under `/_miroir`: what the cluster is, and the metrics.

Behind the admin key, as all of `/_miroir`; read only. What belongs to the settings of one index is
in `admin_settings.py`, what belongs to wanted changes in `admin_intents.py`, drift in
`admin_drift.py`.
"""

from collections.abc import Mapping

from miroir.api.admin_views import index_view, topology_view
from miroir.api.edge import Edge
from miroir.api.http import Reply, Request, reply_json
from miroir.api.metrics import refresh
from miroir.api.router import Access, Route

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    admin = Admin(edge)
    return (
        Route("GET", "/_miroir/topology", admin.topology, Access.ADMIN),
        Route("GET", "/_miroir/metrics", admin.metrics, Access.ADMIN),
    )


class Admin:
    """Shows the view and the store."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def topology(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/topology`: nodes, and per index the version each is proved to serve."""
        view = self._edge.cluster.view
        live = [i for _, i in sorted(view.indexes.items()) if not i.record.deleted]
        return reply_json(
            {"topology": topology_view(view), "indexes": [index_view(view, i) for i in live]}
        )

    async def metrics(self, _request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/metrics`, in Prometheus's text form."""
        edge = self._edge
        await refresh(
            edge.metrics,
            edge.cluster.view,
            edge.commons.view,
            store=edge.store,
            readers=edge.fence.readers,
        )
        return Reply(200, edge.metrics.exposition(), content_type=_METRICS_TYPE)
