"""Routes of searches of one index: search and similar (POST, GET each), facet-search."""

import time
from typing import Any, Final

from miroir.node.documents.identity import id_text
from miroir.node.engine.filter_eval import require_features
from miroir.node.engine.filter_parser import parse_filter
from miroir.node.engine.filter_tree import Filter
from miroir.node.errors import ApiError
from miroir.node.foreign import resolved
from miroir.node.http import Response, answer
from miroir.node.indexes import IndexRow, require_index
from miroir.node.routes.base import Call, Route
from miroir.node.search_parameters import (
    FACET_BODY,
    SEARCH_BODY,
    SEARCH_PARAMETERS,
    engine_features,
    facet_query,
    from_query_string,
    require_filter,
)
from miroir.node.searching import Asker, performance, require_supported, run_search
from miroir.node.similar_parameters import (
    SIMILAR_BODY,
    from_similar_query_string,
    similar_query,
)
from miroir.node.validate import Place


def asker_of(call: Call) -> Asker:
    """Return who asks."""
    return Asker.of(call.node, call.access, call.request.headers)


def _post(call: Call) -> Response:
    uid = call.index_uid
    return answer(run_search(asker_of(call), uid, SEARCH_BODY(call.request.json(), Place())))


def _get(call: Call) -> Response:
    uid = call.index_uid
    body = from_query_string(call.request.parameters(SEARCH_PARAMETERS))
    return answer(run_search(asker_of(call), uid, body))


def _facet_search(call: Call) -> Response:
    started = time.monotonic()
    uid = call.index_uid
    body = FACET_BODY(call.request.json(), Place())
    features = call.node.features
    body["filter"] = asker_of(call).restricted(uid, body.get("filter"))
    with call.node.catalog.lock:
        row = require_index(call.node.store, uid)
        require_supported(body, features)
        require_filter(body["filter"], "invalid_search_filter")
        body["filter"] = _parsed(call, row, body["filter"])
        result = call.node.catalog.engine(row.iid).facet_search(facet_query(body, features))
    return answer({
        "facetHits": result.hits,
        "facetQuery": result.facet_query,
        "processingTimeMs": int((time.monotonic() - started) * 1000),
    })  # fmt: skip


def _parsed(call: Call, row: IndexRow, filter_: Any) -> Filter | None:
    """Return the filter of a facet search: unlike that of a search it is not written anew."""
    found = resolved(call.node, row, filter_, "invalid_search_filter")
    if found is None or isinstance(found, Filter):
        return found
    root = parse_filter(found, code="invalid_search_filter")
    if root is not None:
        require_features(root, engine_features(call.node.features))
    return root


def _post_similar(call: Call) -> Response:
    uid = call.index_uid
    return _similar(call, uid, SIMILAR_BODY(call.request.json(), Place()))


def _get_similar(call: Call) -> Response:
    uid = call.index_uid
    return _similar(call, uid, from_similar_query_string(call.request))


def _similar(call: Call, uid: str, body: dict[str, Any]) -> Response:
    started = time.monotonic()
    rule = call.access.filter_of(uid)
    body["filter"] = asker_of(call).restricted(uid, body.get("filter"))
    with call.node.catalog.lock:
        row = require_index(call.node.store, uid)
        if body["embedder"] not in row.settings.get("embedders", {}):
            message = f"Cannot find embedder with name `{body['embedder']}`."
            raise ApiError("invalid_similar_embedder", message)
        require_filter(body["filter"], "invalid_similar_filter")
        body["filter"] = resolved(call.node, row, body["filter"], "invalid_similar_filter")
        query = similar_query(body, _similar_id(body["id"]), rule, call.node.features)
        result = call.node.catalog.engine(row.iid).similar(query)
    details = {"performanceDetails": performance(started)}
    return answer({
        "hits": result.hits,
        "id": query.id,
        "processingTimeMs": int((time.monotonic() - started) * 1000),
        **result.pagination,
        **(details if body.get("showPerformanceDetails") else {}),
    })  # fmt: skip


def _similar_id(value: Any) -> str:
    try:
        return id_text(value)
    except ApiError as error:
        message = f"Invalid value at `.id`: {error.message}"
        raise ApiError("invalid_similar_id", message) from error


_SEARCH: Final = "/indexes/{index_uid}/search"
_SIMILAR: Final = "/indexes/{index_uid}/similar"
ROUTES: Final = (
    Route("POST", _SEARCH, "search", _post, "search"),
    Route("GET", _SEARCH, "search", _get, "search"),
    Route("POST", "/indexes/{index_uid}/facet-search", "search", _facet_search, "search"),
    Route("POST", _SIMILAR, "search", _post_similar, "search"),
    Route("GET", _SIMILAR, "search", _get_similar, "search"),
)
