"""Routes of searches: search (POST, GET), facet-search, multi-search without federation."""

import os
import time
import uuid
from typing import Any, Final

from miroir.node.errors import ApiError
from miroir.node.features import require_feature
from miroir.node.http import Response, answer
from miroir.node.indexes import IndexRow, require_index
from miroir.node.routes.base import Call, Route
from miroir.node.routes.indexes import index_uid
from miroir.node.search_parameters import (
    FACET_BODY,
    SEARCH_BODY,
    SEARCH_PARAMETERS,
    facet_query,
    from_query_string,
    members_in_multi_search,
    require_filter,
    search_query,
)
from miroir.node.validate import Member, Place, Struct, anything, array, nullable, struct

_ONE_OF_MANY: Final = Struct({
    "indexUid": Member(
        index_uid, "invalid_index_uid", required=True, missing_code="missing_index_uid"
    ),
    **members_in_multi_search(),
    "federationOptions": Member(anything),
})  # fmt: skip
_MANY: Final = struct(
    queries=Member(array(_ONE_OF_MANY), required=True),
    federation=Member(nullable(anything)),
)
# Errors that the evaluation of a query raises name the index; those of its syntax do not.
_OF_EVALUATION: Final = ("Attribute `", "Filter operator `", "You must specify where `sort`")
_NO_FEDERATION: Final = (
    "Federated multi-search is not available in the embedded node yet.\n"
    " - Hint: remove `federation` from the request."
)
_OPTIONS_ALONE: Final = (
    "Using `federationOptions` is not allowed in a non-federated search.\n"
    " - Hint: remove `federationOptions` from the query or add `federation` to the request."
)


def _post(call: Call) -> Response:
    uid = call.index_uid
    return answer(_search(call, uid, SEARCH_BODY(call.request.json(), Place())))


def _get(call: Call) -> Response:
    uid = call.index_uid
    return answer(
        _search(call, uid, from_query_string(call.request.parameters(SEARCH_PARAMETERS)))
    )


def _search(call: Call, uid: str, body: dict[str, Any]) -> dict[str, Any]:
    started = time.monotonic()
    features = call.node.features
    body = {**body, "filter": _with_rule(call, uid, body.get("filter"))}
    with call.node.catalog.lock:
        row = require_index(call.node.store, uid)
        _require_supported(row, body, features)
        require_filter(body["filter"], "invalid_search_filter")
        try:
            result = call.node.catalog.engine(row.iid).search(search_query(body, features))
        except ApiError as error:
            raise _named(error, uid) from error
    found: dict[str, Any] = {
        "hits": _with_vectors(result.hits) if body.get("retrieveVectors") else result.hits,
        "query": body.get("q") or "",
        "processingTimeMs": int((time.monotonic() - started) * 1000),
        **result.pagination,
    }
    if result.facet_distribution is not None:
        found["facetDistribution"] = result.facet_distribution
        found["facetStats"] = result.facet_stats or {}
    found["requestUid"] = str(_uuid7())
    if body.get("showPerformanceDetails"):
        found["performanceDetails"] = {"search": f"{(time.monotonic() - started) * 1e6:.2f}µs"}
    if call.request.headers.get("meili-include-metadata") in {"true", "1"}:
        found["metadata"] = {
            "queryUid": str(_uuid7()),
            "indexUid": uid,
            "primaryKey": row.primary_key,
        }
    return found


def _with_vectors(hits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return hits of which each shows `_vectors`, if only to say that it has none."""
    shown = []
    for hit in hits:
        own = {key: value for key, value in hit.items() if not key.startswith("_")}
        rest = {key: value for key, value in hit.items() if key.startswith("_")}
        shown.append({**own, "_vectors": {}, **rest})
    return shown


def _with_rule(call: Call, uid: str, filter_: Any) -> Any:
    """Return the filter that also meets the rule of a tenant token."""
    rule = call.access.filter_of(uid)
    if rule is None or filter_ is None:
        return rule if filter_ is None else filter_
    return [
        *(filter_ if isinstance(filter_, list) else [filter_]),
        *(rule if isinstance(rule, list) else [rule]),
    ]


def _named(error: ApiError, uid: str) -> ApiError:
    if error.message.startswith(_OF_EVALUATION):
        return ApiError(error.code, f"Index `{uid}`: {error.message}")
    return error


def _require_supported(row: IndexRow, body: dict[str, Any], features: dict[str, bool]) -> None:
    """Refuse, as Meilisearch does or plainly, what the embedded node does not do."""
    if body.get("personalize") is not None:
        require_feature(features, "personalization", "reranking search results")
    if body.get("useNetwork") is not None:
        require_feature(features, "network", "passing `useNetwork` in a search query")
    hybrid = body.get("hybrid")
    given = body.get("vector") is not None or body.get("media") is not None
    if hybrid is None and given:
        message = "missing `hybrid` parameter when `vector` or `media` are present."
        raise ApiError("missing_search_hybrid", f"Invalid request: {message}")
    if body.get("media") is not None:
        require_feature(features, "multimodal", "passing `media` in a search query")
    if hybrid is not None and (given or body.get("q")):
        _refuse_semantic(row, hybrid, given=given)


def _refuse_semantic(row: IndexRow, hybrid: dict[str, Any], *, given: bool) -> None:
    """Refuse what is left to be searched by meaning; a ratio of 0 is a search by words."""
    if hybrid["embedder"] not in row.settings.get("embedders", {}):
        message = f"Cannot find embedder with name `{hybrid['embedder']}`."
        raise ApiError("invalid_search_embedder", message)
    if given or hybrid.get("semanticRatio", 0.5) > 0:
        message = "Semantic search is not available in the embedded node."
        raise ApiError("vector_embedding_error", message)


def _facet_search(call: Call) -> Response:
    started = time.monotonic()
    uid = call.index_uid
    body = FACET_BODY(call.request.json(), Place())
    features = call.node.features
    body["filter"] = _with_rule(call, uid, body.get("filter"))
    with call.node.catalog.lock:
        row = require_index(call.node.store, uid)
        _require_supported(row, body, features)
        require_filter(body["filter"], "invalid_search_filter")
        result = call.node.catalog.engine(row.iid).facet_search(facet_query(body, features))
    return answer({
        "facetHits": result.hits,
        "facetQuery": result.facet_query,
        "processingTimeMs": int((time.monotonic() - started) * 1000),
    })  # fmt: skip


def _multi(call: Call) -> Response:
    body = _MANY(call.request.json(), Place())
    if body.get("federation") is not None:
        raise ApiError("bad_request", _NO_FEDERATION)
    results = []
    for position, query in enumerate(body["queries"]):
        try:
            results.append(_one_of_many(call, query))
        except ApiError as error:
            status = 400 if error.code == "index_not_found" else None
            message = f"Inside `.queries[{position}]`: {error.message}"
            raise ApiError(error.code, message, status=status) from error
    return answer({"results": results})


def _one_of_many(call: Call, query: dict[str, Any]) -> dict[str, Any]:
    uid = query.pop("indexUid")
    call.access.require(uid)
    if query.pop("federationOptions", None) is not None:
        raise ApiError("invalid_multi_search_federation_options", _OPTIONS_ALONE)
    return {"indexUid": uid, **_search(call, uid, query)}


def _uuid7() -> uuid.UUID:
    """Return a version 7 UUID: milliseconds since 1970, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | random
    value = value & ~(0xF << 76) | 7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 2 << 62)


_SEARCH: Final = "/indexes/{index_uid}/search"
ROUTES: Final = (
    Route("POST", _SEARCH, "search", _post, "search"),
    Route("GET", _SEARCH, "search", _get, "search"),
    Route("POST", "/indexes/{index_uid}/facet-search", "search", _facet_search, "search"),
    Route("POST", "/multi-search", "search", _multi, "search"),
)
