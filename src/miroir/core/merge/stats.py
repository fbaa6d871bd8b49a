"""
Statistics of the shards -> those of the cluster.

The caller passes one replica's answer per shard, so that documents are counted once. Counts and
sizes add up; an average is weighted by documents; something indexes if anybody does. Nodes are
asked for sizes in bytes, since words do not add up; the client may have words: `4 KiB`.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from miroir.errors import NodeAnswerUnreadable

_UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024
_SIZES: Final = ("databaseSize", "usedDatabaseSize", "rawDocumentDbSize", "avgDocumentSize")
_SIZES_INSIDE: Final = "internalDatabaseSizes"


class _IndexStats(msgspec.Struct, rename="camel"):
    number_of_documents: int = 0
    raw_document_db_size: int = 0
    avg_document_size: int = 0
    is_indexing: bool = False
    internal_database_sizes: dict[str, int] | UnsetType = UNSET
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


def merge_index_stats(answers: Sequence[bytes], *, in_words: bool = False) -> bytes:
    """
    Merge `GET /indexes/{uid}/stats` (sizes in bytes) of one replica per shard.

    Args:
        answers: The nodes' bodies.
        in_words: Show sizes as text.

    Raises:
        NodeAnswerUnreadable: An answer is no statistics.
    """
    parts = [_read(_decode_index, a, i) for i, a in enumerate(answers)]
    return msgspec.json.encode(_shown(_merged(parts), in_words=in_words))


def merge_stats(answers: Sequence[bytes], *, in_words: bool = False) -> bytes:
    """
    Merge `GET /stats` (sizes in bytes) of one replica per shard.

    Args:
        answers: The nodes' bodies.
        in_words: Show sizes as text.

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
    shown = _shown(merged, in_words=in_words)
    shown["indexes"] = {
        uid: _shown(stats, in_words=in_words) for uid, stats in merged.indexes.items()
    }
    return msgspec.json.encode(shown)


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
        _added_up([part.internal_database_sizes for part in parts]),
        sum(part.number_of_embeddings for part in parts),
        sum(part.number_of_embedded_documents for part in parts),
        dict(sorted(fields.items())),
    )


def _added_up(parts: Sequence[dict[str, int] | UnsetType]) -> dict[str, int] | UnsetType:
    """Return the sizes of all; not shown where no node shows any."""
    shown = [part for part in parts if part is not UNSET]
    sizes: Counter[str] = Counter()
    for part in shown:
        sizes.update(part)
    return dict(sizes) if shown else UNSET


def _read(decode: Any, answer: bytes, position: int) -> Any:
    try:
        return decode(answer)
    except msgspec.DecodeError as error:
        raise NodeAnswerUnreadable(f"not statistics: {error}", position) from None


def _shown(stats: _IndexStats | _Stats, *, in_words: bool) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(stats)
    if in_words:
        for name in shown.keys() & set(_SIZES):
            shown[name] = human_size(shown[name])
        if _SIZES_INSIDE in shown:
            sizes = shown[_SIZES_INSIDE]
            shown[_SIZES_INSIDE] = {name: human_size(size) for name, size in sizes.items()}
    return shown


def human_size(size_bytes: int) -> str:
    """Return a size in the largest unit of which it has at least one."""
    value, unit = float(size_bytes), "B"
    for larger in _UNITS:
        if value < _STEP:
            break
        value, unit = value / _STEP, larger
    return f"{value:.2f}".rstrip("0").rstrip(".") + f" {unit}"
