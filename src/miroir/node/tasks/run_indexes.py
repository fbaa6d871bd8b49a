"""Execution of index tasks: create, update (primary key, rename), delete, swap, settings."""

import sqlite3
from collections.abc import Iterator
from typing import Any

from miroir.node.documents.geo import GeoCheck
from miroir.node.documents.identity import primary_key_exists
from miroir.node.documents.table import count_documents, put_documents, stored_documents
from miroir.node.documents.vectors import rewritten
from miroir.node.errors import ApiError
from miroir.node.indexes import (
    IndexRow,
    delete_index,
    find_index,
    insert_index,
    rename_indexes,
    set_primary_key,
    set_settings,
    touch_index,
)
from miroir.node.json_text import RawDocument, decode, encode, raw_fields
from miroir.node.settings import merged
from miroir.node.sizes import human_size
from miroir.node.tasks.bench import Bench, Plan, ensure_index, index_of, named
from miroir.node.tasks.model import Task
from miroir.node.tasks.queue import rename_index_of_tasks


def create(bench: Bench, task: Task) -> Plan:
    """Plan a creation; fails with `index_already_exists`."""
    uid, primary_key = task.index_uid, task.request.get("primaryKey")
    assert uid is not None
    if find_index(bench.store, uid) is not None:
        raise _exists(uid)

    def store(db: sqlite3.Connection) -> dict[str, Any]:
        iid = insert_index(db, uid, primary_key)
        row = IndexRow(iid, uid, primary_key, 0, 0, {})
        # Nobody sees the engine before the commit: its number is not in the store yet.
        bench.catalog.put(iid, bench.catalog.empty(row, primary_key))
        return {}

    return Plan(store)


def _exists(uid: str) -> ApiError:
    return ApiError("index_already_exists", f"Index `{uid}` already exists.")


def delete(bench: Bench, task: Task) -> Plan:
    """Plan the deletion of an index with its documents."""
    row = index_of(bench, task)

    def store(db: sqlite3.Connection) -> dict[str, Any]:
        return {"deletedDocuments": delete_index(db, row.iid)}

    return Plan(store, memory=lambda: bench.catalog.drop(row.iid), reload=row.uid)


def compact(bench: Bench, task: Task) -> Plan:
    """Plan a compaction: this database keeps no holes for long, so nothing is left to do."""
    row = index_of(bench, task)
    size = human_size(count_documents(bench.store, row.iid)[1])
    return Plan(lambda _: {"preCompactionSize": size, "postCompactionSize": size})


def update(bench: Bench, task: Task) -> Plan:
    """Plan a change of the primary key, a new uid, or both."""
    row = index_of(bench, task)
    primary_key, new_uid = task.request.get("primaryKey"), task.request.get("uid") or row.uid
    moved = new_uid != row.uid
    if moved and find_index(bench.store, new_uid) is not None:
        raise _exists(new_uid)
    if primary_key == row.primary_key:
        primary_key = None
    if primary_key is not None and count_documents(bench.store, row.iid)[0]:
        assert row.primary_key is not None, "documents without a primary key"
        raise named(primary_key_exists(row.primary_key), new_uid)

    def memory() -> None:
        if primary_key is not None:
            bench.catalog.put(row.iid, bench.catalog.empty(row, primary_key))

    def store(db: sqlite3.Connection) -> dict[str, Any]:
        if moved:
            rename_indexes(db, {row.uid: new_uid})
            rename_index_of_tasks(db, (row.uid, new_uid), before=task.uid)
        if primary_key is not None:
            set_primary_key(db, row.iid, primary_key)
        if moved or primary_key is not None:
            touch_index(db, row.iid)
        return {}

    return Plan(store, memory, reload=row.uid)


def _taken(pairs: list[tuple[str, str]]) -> ApiError:
    if len(pairs) > 1:
        names = ", ".join(f"`{new}`" for _, new in pairs)
        message = "The following indexes are being renamed but cannot because their new name "
        message += f"conflicts with an already existing index: {names}. "
        hint = "Renaming doesn't overwrite the other index name."
        return ApiError("index_already_exists", message + hint)
    ((old, new),) = pairs
    message = f"Cannot rename `{old}` to `{new}` as the index already exists. "
    hint = f"Hint: You can remove `{new}` first and then do your remove."
    return ApiError("index_already_exists", message + hint)


def swap(bench: Bench, task: Task) -> Plan:
    """Plan swaps (both must exist) and renames (the second may not) of pairs of indexes."""
    swaps = task.request["swaps"]
    missing, taken = set(), set()
    for pair in swaps:
        left, right = pair["indexes"]
        if find_index(bench.store, left) is None:
            missing.add(left)
        if (find_index(bench.store, right) is not None) == pair["rename"]:
            (taken.add((left, right)) if pair["rename"] else missing.add(right))
    if missing:
        raise _missing(sorted(missing))
    if taken:
        raise _taken(sorted(taken))

    def store(db: sqlite3.Connection) -> dict[str, Any]:
        for pair in swaps:
            left, right = pair["indexes"]
            names = {left: right} if pair["rename"] else {left: right, right: left}
            rename_indexes(db, names)
            rename_index_of_tasks(db, (left, right), before=task.uid)
        return {}

    return Plan(store)


def _missing(uids: list[str]) -> ApiError:
    if len(uids) == 1:
        return ApiError("index_not_found", f"Index `{uids[0]}` not found.")
    names = ", ".join(f"`{uid}`" for uid in uids)
    return ApiError("index_not_found", f"Indexes {names} not found.")


def _with_other_vectors(bench: Bench, row: IndexRow, stored: dict[str, Any]) -> dict[str, bytes]:
    """Return the documents that a change of the embedders rewrites."""
    before, after = row.settings.get("embedders"), stored.get("embedders")
    if before == after:
        return {}
    fields = _fields_of(bench, row)
    return {id_: encode(document) for id_, document in rewritten(after or {}, fields).items()}


def _fields_of(bench: Bench, row: IndexRow) -> Iterator[tuple[str, RawDocument]]:
    for id_, raw in stored_documents(bench.store, row.iid):
        yield id_, raw_fields(raw)


def _uses_of_places(settings: dict[str, Any]) -> tuple[Any, Any]:
    return settings.get("filterableAttributes"), settings.get("sortableAttributes")


def settings(bench: Bench, task: Task) -> Plan:
    """Plan a settings patch: the engine is rebuilt beside the old one, which goes on serving."""
    row = index_of(bench, task) if task.request["deletion"] else ensure_index(bench, task)
    patch = task.request["patch"]
    ignored = bench.faults.ignored_settings(task)
    patch = {name: value for name, value in patch.items() if name not in ignored}
    try:
        stored = merged(row.settings, patch)
        if _uses_of_places(stored) != _uses_of_places(row.settings):
            GeoCheck(stored).check_all(_fields_of(bench, row))
        documents = _with_other_vectors(bench, row, stored)
    except ApiError as error:
        raise named(error, row.uid) from error
    engine = bench.catalog.reconfigured(row, stored) if stored != row.settings else None
    parsed = [(name, decode(raw)) for name, raw in documents.items()]

    def memory() -> None:
        if engine is not None:
            engine.put(parsed)
            bench.catalog.put(row.iid, engine)

    def store(db: sqlite3.Connection) -> dict[str, Any]:
        put_documents(db, row.iid, documents)
        set_settings(db, row.iid, stored)
        touch_index(db, row.iid)
        return {}

    return Plan(store, memory, reload=row.uid, indexed=row.iid)
