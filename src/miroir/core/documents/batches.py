"""
One raw batch per shard, out of a checked payload or a list of ids.

Documents keep their order within a shard, so the later of two with one id wins, as on one node. A
shard that gets nothing gets no batch (a node refuses an empty body). Bytes are copied, never
re-encoded: big integers, key order, duplicate keys and spellings survive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import orjson
from xxhash import xxh3_64_intdigest

from miroir.core.documents.json_faults import json_fault
from miroir.core.documents.payload import CsvPayload, Payload
from miroir.core.routing import SLOT_COUNT, SlotTable
from miroir.core.topology import ShardId
from miroir.errors import MalformedPayload, MissingPayload, RequestRefused


@dataclass(frozen=True)
class Batch:
    """
    What one shard gets of a payload.

    Attributes:
        body: In the content type of the payload.
        count: Documents, or ids, in it.
    """

    body: bytes
    count: int


def split(payload: Payload, ids: Sequence[str], table: SlotTable) -> Mapping[ShardId, Batch]:
    """
    Cut a payload into one batch per shard that gets any of it.

    Args:
        payload: The whole payload.
        ids: The canonical id of each document, in order, as `check_ids` returns them.
        table: The slots of the topology.
    """
    raw = payload.table.records if isinstance(payload, CsvPayload) else payload.documents
    parts: list[list[bytes | msgspec.Raw]] = [[] for _ in range(table.shard_count)]
    append = [part.append for part in parts]
    shards = table.shards
    for key, document in zip(map(xxh3_64_intdigest, map(str.encode, ids)), raw, strict=True):
        append[shards[key % SLOT_COUNT]](document)
    return {
        ShardId(shard): Batch(_joined(payload, part), len(part))
        for shard, part in enumerate(parts)
        if part
    }


def _joined(payload: Payload, part: Sequence[bytes | msgspec.Raw]) -> bytes:
    if isinstance(payload, CsvPayload):
        # No line end after the last record: an unclosed quote would swallow it.
        return payload.table.header + b"\n" + b"\n".join(part)
    if payload.kind == "ndjson":
        return b"\n".join(part)
    return b"[%b]" % b",".join(part)


def delete_ids(body: bytes) -> tuple[str, ...]:
    """
    Return the ids of a delete-batch body in canonical text; what can be no id matches nothing.

    Raises:
        MissingPayload: The body is empty.
        MalformedPayload: The body is no JSON.
        RequestRefused: The body is no array.
    """
    if not body:
        raise MissingPayload("A json payload is missing.")
    first = body.lstrip(b" \t\r\n")[:1]
    if first == b"{":
        raise _no_list("map", 0)
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        fault = json_fault(body, "object") or error.msg
        raise MalformedPayload(f"The json payload provided is malformed. `{fault}`.") from None
    if not isinstance(values, list):
        raise _no_list(_named(values), len(body.rstrip()))
    return tuple(v if isinstance(v, str) else orjson.dumps(v).decode() for v in values)


def _named(value: object) -> str:
    """Return a value as nodes name it where a list should be."""
    text = orjson.dumps(value).decode()
    if value is None or isinstance(value, str):
        return text if value is None else f"string {text}"
    kinds = {bool: "boolean", int: "integer", float: "floating point"}
    return f"{kinds[type(value)]} `{text}`"


def _no_list(what: str, column: int) -> RequestRefused:
    return RequestRefused(
        f"Json deserialize error: invalid type: {what}, expected a sequence "
        f"at line 1 column {column}"
    )


def split_ids(ids: Sequence[str], table: SlotTable) -> Mapping[ShardId, Batch]:
    """Cut ids into one delete-batch body per shard that owns any of them."""
    parts: dict[ShardId, list[str]] = {}
    for key in ids:
        slot = xxh3_64_intdigest(key.encode(errors="surrogatepass")) % SLOT_COUNT
        parts.setdefault(table.shards[slot], []).append(key)
    return {shard: Batch(orjson.dumps(part), len(part)) for shard, part in sorted(parts.items())}
