"""Makes the application of the main process: every route over every service."""

from miroir.api.admission import Admission
from miroir.api.app import App
from miroir.api.auth import Guard
from miroir.api.edge import Edge
from miroir.api.routes import all_routes
from miroir.config import Config
from miroir.runtime.assembly import Services
from miroir.runtime.outside import Outside
from miroir.services.progress import ProgressReader


def make_app(config: Config, services: Services, outside: Outside) -> App:
    """Return the ASGI application over these services."""
    limits = config.limits
    edge = Edge(
        guard=Guard(config.master_key, config.admin_secret, services.settings.commons.ring),
        cluster=services.common.cluster,
        store=outside.store,
        registrar=services.settings.registrar,
        lifecycle=services.settings.lifecycle,
        confirmations=services.settings.confirmations,
        writer=services.documents.writer,
        swapper=services.documents.swapper,
        keeper=services.documents.queue.keeper,
        webhooks=services.documents.queue.webhooks,
        joiner=services.reads.joiner,
        facet_searcher=services.reads.facet_searcher,
        similar_finder=services.reads.similar_finder,
        catalog=services.reads.catalog,
        inspector=services.settings.drift.inspector,
        suspects=services.settings.drift.suspects,
        adoption=services.settings.drift.adoption,
        progress=ProgressReader(control=outside.control, clock=outside.clock),
        ring=services.settings.commons.ring,
        flags=services.settings.commons.flags,
        steward=services.settings.commons.steward,
        commons=services.settings.commons.cluster,
        fence=services.common.fence,
        metrics=outside.metrics,
        clock=outside.clock,
        payload_bytes_max=limits.payload_bytes_max,
        compress_from_bytes=limits.compress_from_bytes,
        write_consistency=config.writes.consistency,
    )
    admission = Admission(requests_max=limits.requests_max, bytes_max=limits.bodies_bytes_max)
    return App(edge, all_routes(edge), admission=admission, fence=services.common.fence)
