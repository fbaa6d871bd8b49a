"""Every route of Miroir: the table of the main process, and the rows that a reader has as well."""

from miroir.api import (
    admin,
    admin_apply,
    admin_commons,
    admin_drift,
    admin_intents,
    admin_settings,
    public_batches,
    public_documents,
    public_features,
    public_fields,
    public_indexes,
    public_keys,
    public_multi_search,
    public_render,
    public_search,
    public_settings,
    public_system,
    public_tasks,
    public_webhooks,
)
from miroir.api.edge import Edge, ReadEdge
from miroir.api.router import Route


def read_routes(edge: ReadEdge) -> tuple[Route, ...]:
    """Return what any process answers by itself."""
    return (*public_search.routes(edge), *public_multi_search.routes(edge))


def all_routes(edge: Edge) -> tuple[Route, ...]:
    """Return what the main process answers: everything."""
    return (
        *read_routes(edge),
        *public_documents.routes(edge),
        *public_fields.routes(edge),
        *public_render.routes(edge),
        *public_settings.routes(edge),
        *public_indexes.routes(edge),
        *public_keys.routes(edge),
        *public_features.routes(edge),
        *public_tasks.routes(edge),
        *public_batches.routes(edge),
        *public_webhooks.routes(edge),
        *public_system.routes(edge),
        *admin.routes(edge),
        *admin_drift.routes(edge),
        *admin_commons.routes(edge),
        *admin_settings.routes(edge),
        *admin_apply.routes(edge),
        *admin_intents.routes(edge),
    )
