"""Routes of documents: add, update, delete, get, list, fetch."""

from collections.abc import Sequence
from typing import Any, Final

from miroir.node.documents.formats import format_of, read_documents
from miroir.node.documents.identity import id_text
from miroir.node.documents.selection import shown_document
from miroir.node.documents.table import count_documents, find_documents, page_of_documents
from miroir.node.engine.filter_eval import require_features
from miroir.node.engine.filter_parser import parse_filter
from miroir.node.engine.filter_tree import foreigns
from miroir.node.errors import ApiError
from miroir.node.features import require_feature
from miroir.node.foreign import resolved
from miroir.node.http import Response, answer
from miroir.node.indexes import IndexRow
from miroir.node.json_text import Raw, decode_loosely, encode, encode_text, raw_fields
from miroir.node.query import Parameter, comma_list, count, flag, star_or_list, text
from miroir.node.routes.base import Call, Route
from miroir.node.search_parameters import engine_features, require_filter, split_sort
from miroir.node.searching import PROXY_HEADER
from miroir.node.validate import (
    Member,
    Place,
    anything,
    array,
    boolean,
    kind_of,
    nullable,
    string,
    struct,
    unsigned,
)

_METADATA: Final = {"customMetadata": Parameter(text, "invalid_index_custom_metadata")}


def _delimiter(value: str) -> str:
    if len(value) == 1 and not value.isascii():
        raise ApiError(
            "invalid_document_csv_delimiter",
            f"csv delimiter must be an ascii character. Found: `{value}`",
        )
    if len(value) == 1:
        return value
    found = f"the following string of {len(value)} characters: `{value}`" if value else ""
    raise ValueError(f"expected a string of one character, but found {found or 'an empty string'}")


def _skip_creation(value: str) -> bool:
    if value.lower() not in {"true", "false"}:
        message = f"skipCreation must be either `true` or `false`. Found: `{value}`"
        raise ApiError("invalid_skip_creation", message)
    return value.lower() == "true"


_ADDITION: Final = {
    "primaryKey": Parameter(text, "invalid_index_primary_key"),
    "csvDelimiter": Parameter(_delimiter, "invalid_document_csv_delimiter"),
    **_METADATA,
    "skipCreation": Parameter(_skip_creation, "invalid_skip_creation"),
}
_ONE: Final = {
    "fields": Parameter(star_or_list(text), "invalid_document_fields"),
    "retrieveVectors": Parameter(flag, "invalid_document_retrieve_vectors"),
    "useNetwork": Parameter(flag, "invalid_document_use_network"),
}
_BROWSE: Final = {
    "offset": Parameter(count, "invalid_document_offset"),
    "limit": Parameter(count, "invalid_document_limit"),
    "fields": _ONE["fields"],
    "retrieveVectors": _ONE["retrieveVectors"],
    "ids": Parameter(comma_list, "invalid_document_ids"),
    "filter": Parameter(text, "invalid_document_filter"),
    "sort": Parameter(text, "invalid_document_sort"),
    "useNetwork": _ONE["useNetwork"],
}
_strings: Final = nullable(array(string))
_fetch: Final = struct(
    offset=Member(unsigned(), "invalid_document_offset"),
    limit=Member(unsigned(), "invalid_document_limit"),
    fields=Member(_strings, "invalid_document_fields"),
    retrieveVectors=Member(boolean, "invalid_document_retrieve_vectors"),
    ids=Member(nullable(array(anything)), "invalid_document_ids"),
    filter=Member(anything, "invalid_document_filter"),
    sort=Member(_strings, "invalid_document_sort"),
    useNetwork=Member(nullable(boolean), "invalid_document_use_network"),
)
_FILTER_CODE: Final = "invalid_document_filter"
_edition: Final = struct(
    filter=Member(anything, _FILTER_CODE),
    context=Member(anything, "invalid_document_edition_context"),
    function=Member(
        string,
        "invalid_document_edition_function_filter",
        required=True,
        missing_code="missing_document_edition_function",
    ),
)
_by_filter: Final = struct(
    filter=Member(
        anything, "invalid_document_filter", required=True, missing_code="missing_document_filter"
    )
)


def _add(call: Call) -> Response:
    return _addition(call, update=False)


def _update(call: Call) -> Response:
    return _addition(call, update=True)


def _addition(call: Call, *, update: bool) -> Response:
    uid = call.index_uid
    asked = call.request.parameters(_ADDITION)
    delimiter = asked.get("csvDelimiter")
    kind = format_of(call.request.headers.get("content-type"), delimiter)
    documents = read_documents(call.request.body, kind, delimiter)
    request = {
        "update": update,
        "primaryKey": asked.get("primaryKey"),
        "skipCreation": asked.get("skipCreation", False),
        "mayCreate": call.access.may_create_index(uid),
    }
    return call.enqueue(
        "documentAdditionOrUpdate",
        index_uid=uid,
        details={"receivedDocuments": len(documents), "indexedDocuments": None},
        request=request,
        payload=encode(documents),
        metadata=asked.get("customMetadata"),
    )


def _get_one(call: Call) -> Response:
    asked = call.request.parameters(_ONE)
    row, name = call.index(), call.request.arguments["document_id"]
    found = find_documents(call.node.store, row.iid, [name])
    if name not in found:
        raise ApiError("document_not_found", f"Document `{name}` not found.")
    vectors = asked.get("retrieveVectors", False)
    return answer(_shown(row, found[name], asked.get("fields"), vectors=vectors))


def _shown(row: IndexRow, raw: bytes, fields: list[str] | None, *, vectors: bool) -> Raw:
    embedders = row.settings.get("embedders", {})
    return shown_document(raw, fields, vectors=vectors, embedders=embedders)


def _list(call: Call) -> Response:
    asked = call.request.parameters(_BROWSE)
    if asked.get("filter") is not None:
        asked["filter"] = decode_loosely(asked["filter"])
    if asked.get("sort") is not None:
        asked["sort"] = split_sort(asked["sort"])
    return _browse(call, asked)


def _post_fetch(call: Call) -> Response:
    return _browse(call, _fetch(call.request.json(), Place()))


def _browse(call: Call, asked: dict[str, Any]) -> Response:
    row = call.index()
    if asked.get("useNetwork") is not None:
        action = "passing `useNetwork` in a search query"
        require_feature(call.node.features, "network", action)
    require_filter(asked.get("filter"), "invalid_document_filter")
    offset, limit = asked.get("offset", 0), asked.get("limit", 20)
    fields = asked.get("fields")
    if fields is not None and "*" in fields:
        fields = None
    total, documents = _chosen(call, row, asked, (offset, limit))
    vectors = asked.get("retrieveVectors", False)
    shown = [_shown(row, raw, fields, vectors=vectors) for raw in documents.values()]
    if call.request.headers.get(PROXY_HEADER) == "true" and call.request.method == "POST":
        shown = _with_values(call, row, asked.get("sort") or (), list(documents), shown)
    return answer({
        "results": shown,
        "offset": offset,
        "limit": limit,
        "total": total,
    })  # fmt: skip


def _chosen(
    call: Call, row: IndexRow, asked: dict[str, Any], page: tuple[int, int]
) -> tuple[int, dict[str, bytes]]:
    """Return how many documents are meant, and the raw ones of the page by id, in order."""
    store, (offset, limit) = call.node.store, page
    if all(asked.get(name) is None for name in ("ids", "filter", "sort")):
        documents = page_of_documents(store, row.iid, offset, limit)
        return count_documents(store, row.iid)[0], documents
    with call.node.catalog.lock:
        engine = call.node.catalog.engine(row.iid)
        ids = _ids(asked["ids"]) if asked.get("ids") is not None else engine.ids()
        if asked.get("filter") is not None:
            allowed, code = engine_features(call.node.features), "invalid_document_filter"
            filter_ = resolved(call.node, row, asked["filter"], code)
            matching = set(engine.match(filter_, code=code, features=allowed))
            ids = [name for name in ids if name in matching]
        known = find_documents(store, row.iid, ids)
        ordered = list(known)
        if asked.get("sort") is not None:
            ordered = engine.sorted_ids(tuple(asked["sort"]), ordered)
    return len(ordered), {name: known[name] for name in ordered[offset : offset + limit]}


def _with_values(
    call: Call, row: IndexRow, sort: Sequence[str], ids: list[str], shown: list[Raw]
) -> list[Raw]:
    """Add what each document is sorted by: asked for by whoever merges the pages of nodes."""
    with call.node.catalog.lock:
        told = call.node.catalog.engine(row.iid).sort_values(sort, ids)
    return [
        Raw(encode({**raw_fields(raw), "_federation": {"weightedScoreValues": values}}))
        for raw, values in zip(shown, told, strict=True)
    ]


def _ids(values: list[Any]) -> list[str]:
    ids = []
    for index, value in enumerate(values):
        try:
            ids.append(id_text(value))
        except ApiError as error:
            message = f"In `.ids[{index}]`: {error.message}"
            raise ApiError("invalid_document_ids", message) from error
    return ids


def _delete(call: Call, request: dict[str, Any], details: dict[str, Any]) -> Response:
    metadata = call.request.parameters(_METADATA).get("customMetadata")
    return call.enqueue(
        "documentDeletion",
        index_uid=call.index_uid,
        details=details,
        request=request,
        metadata=metadata,
    )


def _delete_one(call: Call) -> Response:
    return _delete_ids(call, [call.request.arguments["document_id"]])


def _delete_batch(call: Call) -> Response:
    values = call.request.json()
    if not isinstance(values, list):
        raise _no_sequence(values)
    return _delete_ids(
        call, [value if isinstance(value, str) else encode_text(value) for value in values]
    )


def _no_sequence(value: Any) -> ApiError:
    """Return the error of a body that is no list; this route words it in a way of its own."""
    kind = kind_of(value)
    words = {"object": "map", "null": "null", "string": f"string {encode_text(value)}"}
    found = words.get(kind) or f"{_SERDE_KINDS.get(kind, kind)} `{encode_text(value)}`"
    column = 0 if kind == "object" else len(encode(value))
    return ApiError(
        "bad_request",
        f"Json deserialize error: invalid type: {found}, expected a sequence at line 1 "
        f"column {column}",
    )


_SERDE_KINDS: Final = {"negative": "integer", "float": "floating point"}


def _delete_ids(call: Call, ids: list[str]) -> Response:
    details = {"providedIds": len(ids), "deletedDocuments": None, "originalFilter": None}
    return _delete(call, {"by": "ids", "ids": ids}, details)


def _delete_all(call: Call) -> Response:
    return _delete(call, {"by": "all"}, {"deletedDocuments": None})


def _delete_by_filter(call: Call) -> Response:
    filter_ = _by_filter(call.request.json(), Place())["filter"]
    require_filter(filter_, "invalid_document_filter", required=True)
    _require_local(call, filter_)
    details = {
        "providedIds": 0,
        "deletedDocuments": None,
        "originalFilter": encode_text(filter_),
    }
    contains = call.node.features["containsFilter"]
    return _delete(call, {"by": "filter", "filter": filter_, "contains": contains}, details)


def _require_local(call: Call, filter_: Any) -> None:
    """Refuse an empty filter, and one that looks into other indexes."""
    root = parse_filter(filter_, code=_FILTER_CODE)
    if root is None:
        raise ApiError(_FILTER_CODE, "Sending an empty filter is forbidden.")
    require_features(root, engine_features(call.node.features))
    if (found := next(foreigns(root), None)) is not None:
        message = "Filter condition `_foreign` is not supported for this endpoint."
        raise ApiError(_FILTER_CODE, found.field.error(message))


def _edit(call: Call) -> Response:
    uid = call.index_uid
    asked = _edition(call.request.json(), Place())
    action = "Using the documents edit route"
    require_feature(call.node.features, "editDocumentsByFunction", action)
    if not isinstance(asked.get("context") or {}, dict):
        message = "The context must be an object"
        raise ApiError("invalid_document_edition_context", message)
    if asked.get("filter") is not None:
        try:
            require_filter(asked["filter"], _FILTER_CODE)
            _require_local(call, asked["filter"])
        except ApiError as error:
            raise ApiError(error.code, f"Index `{uid}`: {error.message}") from error
    message = "Editing documents by function is not available in the embedded node."
    raise ApiError("edit_documents_by_function_error", message)


_DOCUMENTS: Final = "/indexes/{index_uid}/documents"
ROUTES: Final = (
    Route("GET", _DOCUMENTS, "documents.get", _list, "search"),
    Route("POST", _DOCUMENTS, "documents.add", _add, "write"),
    Route("PUT", _DOCUMENTS, "documents.add", _update, "write"),
    Route("DELETE", _DOCUMENTS, "documents.delete", _delete_all, "write"),
    Route("POST", f"{_DOCUMENTS}/fetch", "documents.get", _post_fetch, "search"),
    Route("POST", f"{_DOCUMENTS}/delete", "documents.delete", _delete_by_filter, "write"),
    Route("POST", f"{_DOCUMENTS}/delete-batch", "documents.delete", _delete_batch, "write"),
    Route("POST", f"{_DOCUMENTS}/edit", "documents.*", _edit),
    Route("GET", f"{_DOCUMENTS}/{{document_id}}", "documents.get", _get_one),
    Route("DELETE", f"{_DOCUMENTS}/{{document_id}}", "documents.delete", _delete_one, "write"),
)
