"""
`POST /indexes/{uid}/fields` over shards: every field that some shard has, once, by its name.

What a row says of a field follows from its name and the settings, which all shards share; which
fields there are follows from the documents. So the union of the shards' rows, in the nodes' order
(by the bytes of the name), is what one node would list.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from miroir.core.numbers import U64_MAX
from miroir.errors import NodeAnswerUnreadable

_LIMIT: Final = 20


class _Fields(msgspec.Struct):
    results: list[Raw]


class _Named(msgspec.Struct):
    name: str


_decode: Final = msgspec.json.Decoder(_Fields).decode
_named: Final = msgspec.json.Decoder(_Named).decode


def rewrite_fields(query: Mapping[str, Any]) -> tuple[dict[str, Any], int, int]:
    """Return what each shard is asked, and the offset and limit of the whole."""
    offset, limit = query.get("offset", 0), query.get("limit", _LIMIT)
    if not all(type(n) is int and 0 <= n <= U64_MAX for n in (offset, limit)):
        return dict(query), 0, 0  # Nodes refuse this, in their own words.
    return {**query, "offset": 0, "limit": U64_MAX}, offset, limit


def merge_fields(answers: Sequence[bytes], offset: int, limit: int) -> bytes:
    """
    Merge one answer per shard.

    Raises:
        NodeAnswerUnreadable: An answer is no list of fields.
    """
    rows: dict[str, Raw] = {}
    for position, answer in enumerate(answers):
        try:
            for row in _decode(answer).results:
                rows.setdefault(_named(row).name, row)
        except msgspec.DecodeError as error:
            raise NodeAnswerUnreadable(f"not a list of fields: {error}", position) from None
    window = sorted(rows)[offset : offset + limit]
    shown = b",".join(bytes(rows[name]) for name in window)
    return b'{"results":[%b],"offset":%d,"limit":%d,"total":%d}' % (
        shown,
        offset,
        limit,
        len(rows),
    )
