"""
GET documents and documents/fetch over shards: one list, one window.

The cluster's order of documents is (shard, the node's own order): stable as long as the nodes are.
Every shard is asked for its first offset+limit documents, because nobody knows before how many the
shards in front have. With `sort` the documents carry no values to merge by, so it is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final

import msgspec
from msgspec import Raw

from miroir.core.merge.query import CannotMerge
from miroir.core.numbers import U64_MAX
from miroir.errors import NodeAnswerUnreadable

_LIMIT: Final = 20
_MANY: Final = 2**62
"""More than any node holds, and no more than `islice` takes."""


class _Page(msgspec.Struct):
    results: list[Raw]
    total: int


_decode: Final = msgspec.json.Decoder(_Page).decode


@dataclass(frozen=True)
class PageQuery:
    """
    One listing, rewritten.

    Attributes:
        body: The parameters for every shard.
        offset: Documents to leave out.
        limit: Documents to return.
    """

    body: dict[str, Any]
    offset: int
    limit: int


def rewrite_page(query: Mapping[str, Any], shards: int) -> PageQuery | CannotMerge:
    """
    Return what each shard is asked.

    Args:
        query: The client's parameters; numbers are integers.
        shards: How many shards answer.
    """
    assert shards > 1, "one shard's answer passes through untouched"
    if query.get("sort"):
        return CannotMerge("documents cannot be listed with `sort` over several shards yet")
    offset, limit = query.get("offset", 0), query.get("limit", _LIMIT)
    if not all(type(number) is int and number >= 0 for number in (offset, limit)):
        return PageQuery(dict(query), 0, 0)  # nodes refuse this, in their own words
    end = min(offset + limit, U64_MAX)  # Beyond that a node reads no number.
    return PageQuery({**query, "offset": 0, "limit": end}, offset, limit)


def merge_documents_page(answers: Sequence[bytes], asked: PageQuery) -> bytes:
    """
    Merge one answer per shard, in shard order.

    Raises:
        NodeAnswerUnreadable: An answer is no page of documents.
    """
    pages: list[_Page] = []
    for position, answer in enumerate(answers):
        try:
            pages.append(_decode(answer))
        except msgspec.DecodeError as error:
            raise NodeAnswerUnreadable(f"not a page of documents: {error}", position) from None
    everything = chain.from_iterable(page.results for page in pages)
    start, end = (min(n, _MANY) for n in (asked.offset, asked.offset + asked.limit))
    window = b",".join(islice(everything, start, end))
    total = sum(page.total for page in pages)
    return b'{"results":[%b],"offset":%d,"limit":%d,"total":%d}' % (
        window,
        asked.offset,
        asked.limit,
        total,
    )
