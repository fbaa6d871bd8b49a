"""
Documents of other indexes in filters and hits (the experimental setting `foreignKeys`).

    filter   _foreign(author, name = Alice)  ->  author IN [ids that meet it in the other index]
    hits     "author": "a1"  ->  "author": {the document a1 of the other index, as displayed}

Only ids that hits really name are looked up, a list of ids only up to the first that can be none,
as in Meilisearch. An id without a document becomes an empty object. The caller holds the lock.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from miroir.node.documents.identity import id_text
from miroir.node.documents.table import find_documents
from miroir.node.engine import EvaluationError
from miroir.node.engine.filter_eval import require_features
from miroir.node.engine.filter_parser import parse_filter
from miroir.node.engine.filter_text import rendered
from miroir.node.engine.filter_tree import And, Filter, Foreign, In, Not, Or, Piece, foreigns
from miroir.node.engine.hits import select
from miroir.node.errors import ApiError
from miroir.node.indexes import IndexRow, require_index
from miroir.node.instance import Node
from miroir.node.json_text import decode
from miroir.node.search_parameters import engine_features

_IDS_MAX: Final = 100
_FEATURE: Final = "foreignKeys"
_CODE: Final = "invalid_search_filter"
"""Of what is wrong with foreign parts, whatever the request is."""


def resolved(node: Node, row: IndexRow, filter_: Any, code: str) -> Any:
    """Return a filter of which no part is about another index; ApiError for bad foreign parts."""
    if filter_ is None or not node.features[_FEATURE]:
        return filter_
    root = parse_filter(filter_, code=code)
    if root is None or not any(foreigns(root)):
        return filter_
    require_features(root, engine_features(node.features))
    return _replaced(node, row, root)


def resolved_text(node: Node, row: IndexRow, filter_: Any) -> Any:
    """Return the same for a search, which knows filters as text: errors point into that."""
    found = resolved(node, row, filter_, _CODE)
    return rendered(found) if isinstance(found, Filter) else found


def resolved_together(node: Node, filters: Iterable[tuple[str, Any]]) -> list[Any]:
    """
    Return the filters of a federated search, each given with the name of its index.

    With foreign keys Meilisearch looks at indexes and foreign parts before it takes query by
    query, so these errors name no query, and an index that does not exist is not found.
    """
    every = list(filters)
    if not node.features[_FEATURE]:
        return [filter_ for _, filter_ in every]
    rows = [require_index(node.store, uid) for uid, _ in every]
    return [resolved_text(node, row, f) for row, (_, f) in zip(rows, every, strict=True)]


def _replaced(node: Node, row: IndexRow, root: Filter) -> Filter:
    match root:
        case Not(inner):
            return Not(_replaced(node, row, inner))
        case And(parts) | Or(parts):
            return replace(root, parts=tuple(_replaced(node, row, part) for part in parts))
        case Foreign():
            return _as_ids(node, row, root)
        case _:
            return root


def _as_ids(node: Node, row: IndexRow, condition: Foreign) -> In:
    path, code = condition.field.text, _CODE
    uid = next((uid for uid, field in _keys_of(row) if field == path), None)
    if uid is None:
        raise ApiError(code, f"Index `{row.uid}`: Field `{path}` is not a foreign key")
    if any(foreigns(condition.inner)):
        raise ApiError(code, f"Index `{row.uid}`: Nested foreign filters are not supported")
    other = require_index(node.store, uid)
    try:
        engine = node.catalog.engine(other.iid)
        ids = list(engine.match(condition.inner, code="invalid_document_filter"))
    except EvaluationError as error:
        raise ApiError(error.code, f"Index `{uid}`: {error.message}") from error
    if len(ids) > _IDS_MAX:
        raise ApiError(
            code,
            f"Index `{uid}`: Foreign filter is retrieving too many documents, foreign filters "
            f"can't retrieve more than {_IDS_MAX} documents per index",
        )
    return In(condition.field, tuple(Piece(id_, id_, 1, id_) for id_ in ids))


def _keys_of(row: IndexRow) -> list[tuple[str, str]]:
    keys = row.settings.get(_FEATURE) or ()
    return [(key["foreignIndexUid"], key["fieldName"]) for key in keys]


def hydrate(node: Node, hits: Iterable[tuple[IndexRow, dict[str, Any]]]) -> None:
    """Put documents in the place of the foreign keys of hits, each with the index it is from."""
    if not node.features[_FEATURE]:
        return
    found = [(row, hit) for row, hit in hits if _keys_of(row)]
    wanted: dict[str, dict[str, None]] = {}
    for row, hit in found:
        for uid, path in _keys_of(row):
            for value in _at(hit, path):
                wanted.setdefault(uid, {}).update(dict.fromkeys(_ids_of(value)))
    documents = {uid: _documents(node, uid, list(ids)) for uid, ids in wanted.items()}
    for row, hit in found:
        for uid, path in _keys_of(row):
            known = documents.get(uid, {})
            hit.update(_hydrated(hit, path, known))
            if "_formatted" in hit:
                hit["_formatted"] = _hydrated(hit["_formatted"], path, known)


def _documents(node: Node, uid: str, ids: list[str]) -> dict[str, dict[str, Any]]:
    row = require_index(node.store, uid)
    displayed = row.settings.get("displayedAttributes")
    stored = find_documents(node.store, row.iid, ids)
    shown: dict[str, dict[str, Any]] = {}
    for id_ in ids:
        document = decode(stored[id_]) if id_ in stored else {}
        shown[id_] = document if displayed is None else select(document, displayed)
    return shown


def _ids_of(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        try:
            yield id_text(item)
        except ApiError:
            return  # no id: what stands after it in a list is not looked up either


def _at(value: Any, path: str) -> Iterator[Any]:
    """Yield what stands at a path, objects left out; lists of objects are walked through."""
    if isinstance(value, list):
        for item in value:
            yield from _at(item, path)
    elif isinstance(value, dict):
        for key, member in value.items():
            if key == path and not isinstance(member, dict):
                yield member
            elif path.startswith(f"{key}."):
                yield from _at(member, path[len(key) + 1 :])


def _hydrated(value: Any, path: str, documents: dict[str, dict[str, Any]]) -> Any:
    """Return a copy with documents in the place of the ids at a path."""
    if isinstance(value, list):
        return [_hydrated(item, path, documents) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, member in value.items():
        if key == path:
            result[key] = _mapped(member, documents)
        elif path.startswith(f"{key}."):
            result[key] = _hydrated(member, path[len(key) + 1 :], documents)
        else:
            result[key] = member
    return result


def _mapped(value: Any, documents: dict[str, dict[str, Any]]) -> Any:
    if isinstance(value, list):
        return [_mapped(item, documents) for item in value]
    if isinstance(value, dict):
        return value
    try:
        return documents.get(id_text(value), value)
    except ApiError:
        return value
