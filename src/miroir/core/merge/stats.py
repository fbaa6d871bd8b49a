"""
Statistics of the shards -> those of the cluster.

The caller passes one replica's answer per shard, so that documents are counted once. Counts and
sizes add up; an average is weighted by documents; something indexes if anybody does.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from miroir.errors import NodeAnswerUnreadable


class _IndexStats(msgspec.Struct, rename="camel"):
    number_of_documents: int = 0
    raw_document_db_size: int = 0
    avg_document_size: int = 0
    is_indexing: bool = False
    number_of_embeddings: int = 0
    number_of_embedded_documents: int = 0
    field_distribution: dict[str, int] = {}


class _Stats(msgspec.Struct, rename="camel"):
    database_size: int = 0
    used_database_size: int = 0
    last_update: str | None = None
    indexes: dict[str, _IndexStats] = {}


_decode_index: Final = msgspec.json.Decoder(_IndexStats).decode
_decode_all: Final = msgspec.json.Decoder(_Stats).decode


def merge_index_stats(answers: Sequence[bytes]) -> bytes:
    """
    Merge `GET /indexes/{uid}/stats` of one replica per shard.

    Raises:
        NodeAnswerUnreadable: An answer is no statistics.
    """
    return msgspec.json.encode(
        _merged([_read(_decode_index, a, i) for i, a in enumerate(answers)])
    )


def merge_stats(answers: Sequence[bytes]) -> bytes:
    """
    Merge `GET /stats` (sizes in bytes, not in words) of one replica per shard.

    Raises:
        NodeAnswerUnreadable: An answer is no statistics.
    """
    parts: list[_Stats] = [_read(_decode_all, a, i) for i, a in enumerate(answers)]
    uids = sorted({uid for part in parts for uid in part.indexes})
    updates = [part.last_update for part in parts if part.last_update is not None]
    merged = _Stats(
        sum(part.database_size for part in parts),
        sum(part.used_database_size for part in parts),
        # Without the `Z` a shorter fraction of a second sorts before a longer one.
        max(updates, key=lambda time: time.removesuffix("Z"), default=None),
        {uid: _merged([p.indexes[uid] for p in parts if uid in p.indexes]) for uid in uids},
    )
    return msgspec.json.encode(merged)


def _merged(parts: Sequence[_IndexStats]) -> _IndexStats:
    documents = sum(part.number_of_documents for part in parts)
    weighted = sum(part.avg_document_size * part.number_of_documents for part in parts)
    fields: Counter[str] = Counter()
    for part in parts:
        fields.update(part.field_distribution)
    return _IndexStats(
        documents,
        sum(part.raw_document_db_size for part in parts),
        weighted // documents if documents else 0,
        any(part.is_indexing for part in parts),
        sum(part.number_of_embeddings for part in parts),
        sum(part.number_of_embedded_documents for part in parts),
        dict(sorted(fields.items())),
    )


def _read(decode: Any, answer: bytes, position: int) -> Any:
    try:
        return decode(answer)
    except msgspec.DecodeError as error:
        raise NodeAnswerUnreadable(f"not statistics: {error}", position) from None
