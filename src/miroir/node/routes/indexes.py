"""Routes of indexes: list, create, get, update, delete, stats, swap."""

from typing import Any, Final

from miroir.node.documents.table import count_documents
from miroir.node.errors import ApiError
from miroir.node.http import Response, answer
from miroir.node.index_uids import require_index_uid
from miroir.node.indexes import IndexRow, all_indexes, index_view
from miroir.node.instance import Node
from miroir.node.keys import immutable_or_unknown
from miroir.node.query import Parameter, choice, count, flag
from miroir.node.routes.base import Call, Route
from miroir.node.sizes import human_size
from miroir.node.tasks.filters import EVERYTHING
from miroir.node.times import rfc3339
from miroir.node.validate import Member, Place, Struct, array, boolean, nullable, string, struct

_PAGE: Final = {
    "offset": Parameter(count, "invalid_index_offset"),
    "limit": Parameter(count, "invalid_index_limit"),
}
STATS_PARAMETERS: Final = {
    "showInternalDatabaseSizes": Parameter(flag, "invalid_stats_show_internal_database_sizes"),
    "sizeFormat": Parameter(choice("human", "raw"), "invalid_stats_size_format"),
}


def index_uid(value: Any, place: Place) -> str:
    """Accept the uid of an index."""
    text = string(value, place)
    try:
        return require_index_uid(text)
    except ApiError as error:
        raise place.invalid(error.message) from error


_creation: Final = struct(
    uid=Member(index_uid, "invalid_index_uid", required=True, missing_code="missing_index_uid"),
    primaryKey=Member(nullable(string), "invalid_index_primary_key"),
)
_change: Final = Struct(
    {
        "primaryKey": Member(nullable(string), "invalid_index_primary_key"),
        "uid": Member(nullable(string), "invalid_index_uid"),
    },
    unknown=immutable_or_unknown(
        {
            "createdAt": "immutable_index_created_at",
            "updatedAt": "immutable_index_updated_at",
        }
    ),
)
_swaps: Final = array(
    struct(
        indexes=Member(
            array(index_uid),
            "invalid_swap_indexes",
            required=True,
            missing_code="missing_swap_indexes",
        ),
        rename=Member(boolean, "invalid_swap_rename"),
    )
)


def _list(call: Call) -> Response:
    page = call.request.parameters(_PAGE)
    offset, limit = page.get("offset", 0), page.get("limit", 20)
    rows = [row for row in all_indexes(call.node.store) if call.access.covers(row.uid)]
    return answer({
        "results": [index_view(row) for row in rows[offset : offset + limit]],
        "offset": offset,
        "limit": limit,
        "total": len(rows),
    })  # fmt: skip


def _create(call: Call) -> Response:
    asked = _creation(call.request.json(), Place())
    uid, primary_key = asked["uid"], asked.get("primaryKey")
    call.access.require(uid)
    details = {"primaryKey": primary_key}
    return call.enqueue("indexCreation", index_uid=uid, details=details, request=details)


def _get(call: Call) -> Response:
    return answer(index_view(call.index()))


def _update(call: Call) -> Response:
    uid = call.index_uid
    asked = _change(call.request.json(), Place())
    primary_key, new_uid = asked.get("primaryKey"), asked.get("uid")
    details = {"primaryKey": primary_key}
    if new_uid is not None:
        require_index_uid(new_uid)
        details |= {"oldIndexUid": uid, "newIndexUid": new_uid}
    request = {"primaryKey": primary_key, "uid": new_uid, "foundAs": new_uid}
    return call.enqueue("indexUpdate", index_uid=uid, details=details, request=request)


def _delete(call: Call) -> Response:
    details = {"deletedDocuments": None}
    return call.enqueue("indexDeletion", index_uid=call.index_uid, details=details, request={})


def _compact(call: Call) -> Response:
    return call.enqueue("indexCompaction", index_uid=call.index_uid, details={}, request={})


def _swap(call: Call) -> Response:
    asked = _swaps(call.request.json(), Place())
    swaps = [{"indexes": pair["indexes"], "rename": pair.get("rename", False)} for pair in asked]
    for pair in swaps:
        _require_pair(pair["indexes"])
        for uid in pair["indexes"]:
            call.access.require(uid)
    _require_distinct(swaps)
    details = {"swaps": swaps}
    return call.enqueue("indexSwap", index_uid=None, details=details, request=details)


def _require_pair(uids: list[str]) -> None:
    if len(uids) == 2:
        return
    names = ", ".join(f'"{uid}"' for uid in uids)
    raise ApiError(
        "invalid_swap_indexes",
        f"Two indexes must be given for each swap. The list `[{names}]` contains {len(uids)} "
        "indexes.",
    )


def _require_distinct(swaps: list[dict[str, Any]]) -> None:
    uids = [uid for pair in swaps for uid in pair["indexes"]]
    twice = sorted({uid for uid in uids if uids.count(uid) > 1})
    if not twice:
        return
    names = ", ".join(f"`{uid}`" for uid in twice)
    was = "was" if len(twice) == 1 else "were"
    raise ApiError(
        "invalid_swap_duplicate_index_found",
        f"Indexes must be declared only once during a swap. {names} {was} specified several "
        "times.",
    )


def _index_stats(call: Call) -> Response:
    asked = call.request.parameters(STATS_PARAMETERS)
    return answer(_stats_of(call.node, call.index(), asked))


def _stats_of(node: Node, row: IndexRow, asked: dict[str, Any]) -> dict[str, Any]:
    number, size = count_documents(node.store, row.iid)
    with node.catalog.lock:
        distribution = node.catalog.engine(row.iid).field_distribution()
        embeddings, embedded = node.catalog.engine(row.iid).embeddings()
    where = EVERYTHING.also("status = 'processing'").also("index_uid = ?", row.uid)
    stats: dict[str, Any] = {
        "numberOfDocuments": number,
        "rawDocumentDbSize": _size(size, asked),
        "avgDocumentSize": _size(size // number if number else 0, asked),
        "isIndexing": bool(node.queue.matching(where)),
        "numberOfEmbeddings": embeddings,
        "numberOfEmbeddedDocuments": embedded,
        "fieldDistribution": distribution,
    }
    if asked.get("showInternalDatabaseSizes"):
        # This node keeps nothing else of an index on disk.
        stats["internalDatabaseSizes"] = {"documents": _size(size, asked)} if size else {}
    return stats


def _size(size: int, asked: dict[str, Any]) -> int | str:
    return human_size(size) if asked.get("sizeFormat") == "human" else size


def _stats(call: Call) -> Response:
    asked = call.request.parameters(STATS_PARAMETERS)
    node = call.node
    rows = [row for row in all_indexes(node.store) if call.access.covers(row.uid)]
    size = _size(node.store.size_bytes(), asked)
    return answer({
        "databaseSize": size,
        "usedDatabaseSize": size,
        "lastUpdate": rfc3339(max(row.updated_at for row in rows)) if rows else None,
        "indexes": {row.uid: _stats_of(node, row, asked) for row in rows},
    })  # fmt: skip


ROUTES: Final = (
    Route("GET", "/indexes", "indexes.get", _list),
    Route("POST", "/indexes", "indexes.create", _create, "write"),
    Route("GET", "/indexes/{index_uid}", "indexes.get", _get),
    Route("PATCH", "/indexes/{index_uid}", "indexes.update", _update, "write"),
    Route("DELETE", "/indexes/{index_uid}", "indexes.delete", _delete, "write"),
    Route("POST", "/indexes/{index_uid}/compact", "indexes.compact", _compact, "write"),
    Route("GET", "/indexes/{index_uid}/stats", "stats.get", _index_stats, "search"),
    Route("GET", "/stats", "stats.get", _stats, "search"),
    Route("POST", "/swap-indexes", "indexes.swap", _swap, "write"),
)
