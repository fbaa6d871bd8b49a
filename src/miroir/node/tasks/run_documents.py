"""Execution of document tasks: add or update, delete by ids or filter, clear."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from miroir.node.catalog import Engine
from miroir.node.documents.geo import GeoCheck
from miroir.node.documents.identity import document_id, field_names, primary_key_of
from miroir.node.documents.table import (
    clear_documents,
    count_documents,
    delete_documents,
    find_documents,
    put_documents,
)
from miroir.node.documents.vectors import VectorWriter
from miroir.node.engine import Features
from miroir.node.engine.store import FIELDS_MAX
from miroir.node.engine.vectors import FIELD
from miroir.node.errors import ApiError
from miroir.node.indexes import IndexRow, set_primary_key, touch_index
from miroir.node.json_text import RawDocument, decode, encode, raw_fields, raw_items
from miroir.node.tasks.bench import Bench, Plan, ensure_index, index_of, named
from miroir.node.tasks.model import Task


def add_documents(bench: Bench, task: Task) -> Plan:
    """
    Plan an addition (replace) or update (merge top-level fields) of a whole payload.

    Raises:
        ApiError: A bad primary key or id anywhere: nothing of the payload is applied.
    """
    row = ensure_index(bench, task)
    payload = raw_items(bench.queue.payload(task.uid))
    asked = task.request.get("primaryKey")
    if not payload:
        return _nothing_but_key(bench, row, asked)
    first = field_names(payload[0])
    key = primary_key_of(row.primary_key, asked, first)
    fields = [raw_fields(raw) for raw in payload]
    _require_few_fields(bench, row, fields)
    with _naming_vectors(row.uid):
        indexed, documents = _resulting(bench, row, task, key, fields)
    parsed = [(name, decode(raw)) for name, raw in documents.items()]
    keyed = replace(row, primary_key=key)
    beside = _engine_beside(bench, keyed, parsed)

    def memory() -> None:
        if beside is not None:
            bench.catalog.put(row.iid, beside)
            return
        with _naming(row.uid):
            bench.catalog.engine(row.iid).put(parsed)

    def store(db: sqlite3.Connection) -> dict[str, Any]:
        if row.primary_key is None:
            set_primary_key(db, row.iid, key)
        put_documents(db, row.iid, documents)
        touch_index(db, row.iid)
        return {"indexedDocuments": indexed}

    return Plan(store, memory, reload=row.uid, indexed=row.iid)


def _nothing_but_key(bench: Bench, row: IndexRow, asked: str | None) -> Plan:
    """Plan an addition without documents: the primary key that it names is set all the same."""
    if row.primary_key is not None or asked is None:
        return Plan(store=lambda _: {"indexedDocuments": 0})
    key = asked

    def store(db: sqlite3.Connection) -> dict[str, Any]:
        set_primary_key(db, row.iid, key)
        return {"indexedDocuments": 0}

    return Plan(store, lambda: bench.catalog.put(row.iid, bench.catalog.empty(row, key)))


def _require_few_fields(bench: Bench, row: IndexRow, documents: list[RawDocument]) -> None:
    """Refuse a payload that has too many fields itself, or with what is in the index."""
    names = set[str]().union(*documents)
    text = "A document cannot contain more than 65,535 fields."  # as Meilisearch says, less one
    error = ApiError("max_fields_limit_exceeded", text)
    if len(names) > FIELDS_MAX:
        raise error
    if bench.catalog.engine(row.iid).fields_with(names) > FIELDS_MAX:
        raise named(error, row.uid)


@contextmanager
def _naming_vectors(uid: str) -> Iterator[None]:
    """Put the index in front of faults of vectors; those of ids are shown without."""
    try:
        yield
    except ApiError as error:
        if error.code.endswith("_document_id"):
            raise
        raise named(error, uid) from error


@contextmanager
def _naming(uid: str) -> Iterator[None]:
    """Put the index in front of the engine's errors, as tasks show them."""
    try:
        yield
    except ApiError as error:
        raise named(error, uid) from error


def _engine_beside(bench: Bench, row: IndexRow, parsed: list[tuple[str, Any]]) -> Engine | None:
    """
    Return a new engine with the stored and the given documents; None when that is too dear.

    An engine that changes in place holds up searches meanwhile, one that is built beside it does
    not. Building costs more, since it starts from nothing, so it is for payloads that are large
    in relation to the index.
    """
    held, _ = count_documents(bench.store, row.iid)
    if held > _BESIDE_RATIO * len(parsed):
        return None
    with _naming(row.uid):
        engine = bench.catalog.built(row)
        engine.put(parsed)
    return engine


_BESIDE_RATIO: Final = 4


def _resulting(
    bench: Bench, row: IndexRow, task: Task, key: str, fields: list[RawDocument]
) -> tuple[int, dict[str, bytes]]:
    """Return how many documents are meant, and those to store, by id."""
    ids = [document_id(document, key) for document in fields]
    update, skip = task.request["update"], task.request.get("skipCreation")
    vectors = VectorWriter(row.settings.get("embedders") or {})
    geo = GeoCheck(row.settings)
    needed = update or skip or vectors.is_needed
    before = find_documents(bench.store, row.iid, ids) if needed else {}
    after: dict[str, RawDocument] = {}
    for name, document in zip(ids, fields, strict=True):
        old = after.get(name)
        if old is None and name in before:
            old = raw_fields(before[name])
        if skip and old is None:
            continue
        merged = {**old, **document} if update and old is not None else document
        geo.check(decode(document[key]) if key in document else name, merged)
        after[name] = vectors.written(name, old, merged, given=FIELD in document)
    vectors.finish()
    return len(set(ids)), {name: encode(document) for name, document in after.items()}


def delete(bench: Bench, task: Task) -> Plan:
    """Plan a deletion by ids, by filter, or of every document."""
    row = index_of(bench, task)
    if task.request["by"] == "all":
        return _clearing(bench, row)
    if task.request["by"] == "ids":
        ids = list(dict.fromkeys(task.request["ids"]))
    else:
        ids = _matching(bench, row, task)

    def memory() -> None:
        bench.catalog.engine(row.iid).remove(ids)

    def store(db: sqlite3.Connection) -> dict[str, Any]:
        touch_index(db, row.iid)
        return {"deletedDocuments": delete_documents(db, row.iid, ids)}

    return Plan(store, memory, reload=row.uid, indexed=row.iid)


def _matching(bench: Bench, row: IndexRow, task: Task) -> list[str]:
    filter_, allowed = task.request["filter"], Features(contains_filter=task.request["contains"])
    with bench.catalog.lock:
        try:
            engine = bench.catalog.engine(row.iid)
            return list(engine.match(filter_, code="invalid_document_filter", features=allowed))
        except ApiError as error:
            raise named(error, row.uid) from error


def _clearing(bench: Bench, row: IndexRow) -> Plan:
    def memory() -> None:
        bench.catalog.engine(row.iid).clear()

    def store(db: sqlite3.Connection) -> dict[str, Any]:
        touch_index(db, row.iid)
        return {"deletedDocuments": clear_documents(db, row.iid)}

    return Plan(store, memory, reload=row.uid, indexed=row.iid)
