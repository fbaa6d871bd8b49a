"""
GET documents and documents/fetch over shards: one list, one window.

Each shard keeps the node's own order, and among the heads of the shards the lower id goes first
(ties.py): documents that came in the order of their ids are listed as one node lists them. Every
shard is asked for its first offset+limit documents, because nobody knows before where the window
lies. A primary key that the client has not asked for is asked for and taken out again.

With `sort` nodes are asked as one asks another in a network (`PROXY_HEADER`): each document then
carries the values that it was sorted by, in `_federation`, also where its fields are not shown.
They are compared as a node compares, and taken out again. Numbers come before text in both
directions, documents without a value last in both; equals by their ids.

Source: `build_weighted_score_value` in documents.rs; weighted_scores.rs.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import Raw

from miroir.core.merge.additions import without
from miroir.core.merge.distinct import cut_text
from miroir.core.merge.query import CannotMerge, is_covered
from miroir.core.merge.sort_rules import split_sort
from miroir.core.merge.ties import TieOf, tie_reader
from miroir.core.merge.weighted import Told
from miroir.core.numbers import U64_MAX
from miroir.errors import NodeAnswerUnreadable

PROXY_HEADER: Final = "meili-proxy-search"
"""With `true`, asks a node for `_federation` in each document."""
_LIMIT: Final = 20
_FEDERATION: Final = "_federation"
_NOTHING_FORMATTED: Final = ("*",)
"""A document's own `_formatted` is left as it is."""
_MANY: Final = 2**62
"""More than any node holds, and no more than `islice` takes."""


class _Page(msgspec.Struct):
    results: list[Raw]
    total: int


class _Federation(msgspec.Struct):
    values: list[Told] = msgspec.field(name="weightedScoreValues")


_decode: Final = msgspec.json.Decoder(_Page).decode
_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_federation: Final = msgspec.json.Decoder(_Federation).decode


Key = tuple[Any, ...]


@dataclass(frozen=True)
class PageQuery:
    """
    One listing, rewritten.

    Attributes:
        body: The parameters for every shard.
        offset: Documents to leave out.
        limit: Documents to return.
        is_sorted: Whether nodes must tell what each document is sorted by.
        primary_key: Of the index; None: it has none yet.
        strip: The key was added to the documents and is to be taken out.
    """

    body: dict[str, Any]
    offset: int
    limit: int
    is_sorted: bool = False
    primary_key: str | None = None
    strip: bool = False


def rewrite_page(
    query: Mapping[str, Any], shards: int, primary_key: str | None = None
) -> PageQuery | CannotMerge:
    """
    Return what each shard is asked.

    Args:
        query: The client's parameters; numbers are integers.
        shards: How many shards answer.
        primary_key: Of the index; None: it has none yet.
    """
    assert shards > 1, "one shard's answer passes through untouched"
    if query.get("useNetwork") not in (None, False, "false"):
        return CannotMerge("`useNetwork` is not supported: the shards are Miroir's own network")
    offset, limit = query.get("offset", 0), query.get("limit", _LIMIT)
    if not all(type(number) is int and number >= 0 for number in (offset, limit)):
        return PageQuery(dict(query), 0, 0)  # nodes refuse this, in their own words
    end = min(offset + limit, U64_MAX)  # Beyond that a node reads no number.
    body = {**query, "offset": 0, "limit": end}
    fields = _with(primary_key, query.get("fields"))
    if fields is not None:
        body["fields"] = fields
    is_sorted, strip = bool(query.get("sort")), fields is not None
    return PageQuery(body, offset, limit, is_sorted, primary_key, strip)


def _with(primary_key: str | None, fields: Any) -> list[str] | str | None:
    """Return the fields with the primary key; None if it is there, or if a node is to judge."""
    names = fields.split(",") if isinstance(fields, str) else fields
    if primary_key is None or not isinstance(names, list) or "*" in names:
        return None
    if not all(isinstance(name, str) for name in names) or is_covered(primary_key, names):
        return None
    return [*names, primary_key] if names is fields else f"{fields},{primary_key}"


def fetch_body(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a fetch that asks what the parameters of a GET ask."""
    body = dict(parameters)
    for name in ("fields", "ids"):
        if name in body:
            body[name] = body[name].split(",")
    if "*" in body.get("fields", ()):
        del body["fields"]
    if "sort" in body:
        body["sort"] = split_sort(body["sort"])
    if "filter" in body:
        with suppress(msgspec.DecodeError):  # Else it is text, without quotes.
            body["filter"] = msgspec.json.decode(body["filter"])
    for name in ("retrieveVectors", "useNetwork"):
        if body.get(name) in {"true", "false"}:
            body[name] = body[name] == "true"
    return body


def merge_documents_page(answers: Sequence[bytes], asked: PageQuery) -> bytes:
    """
    Merge one answer per shard, in shard order.

    Raises:
        NodeAnswerUnreadable: An answer is no page of documents, or does not tell what its
            documents are sorted by.
    """
    pages: list[_Page] = []
    for position, answer in enumerate(answers):
        try:
            pages.append(_decode(answer))
        except msgspec.DecodeError as error:
            raise NodeAnswerUnreadable(f"not a page of documents: {error}", position) from None
    read = _sorted if asked.is_sorted else _plain
    tie_of = tie_reader(asked.primary_key)
    lists = [read(page, position, tie_of) for position, page in enumerate(pages)]
    everything = (raw for _, raw in heapq.merge(*lists, key=lambda item: item[0]))
    start, end = (min(n, _MANY) for n in (asked.offset, asked.offset + asked.limit))
    shown = (_stripped(raw, asked) for raw in islice(everything, start, end))
    window = b",".join(shown)
    total = sum(page.total for page in pages)
    return b'{"results":[%b],"offset":%d,"limit":%d,"total":%d}' % (
        window,
        asked.offset,
        asked.limit,
        total,
    )


def _stripped(raw: bytes, asked: PageQuery) -> bytes:
    if not asked.strip:
        return raw
    assert asked.primary_key is not None, "it was added"
    return b"{%b}" % without(raw[1:-1], [asked.primary_key], _NOTHING_FORMATTED)


def _plain(page: _Page, _position: int, tie_of: TieOf) -> Iterator[tuple[Key, bytes]]:
    """Yield the documents of a shard, each with its place in the order."""
    for each in page.results:
        raw = bytes(each)
        yield tie_of(raw), raw


def _sorted(page: _Page, position: int, tie_of: TieOf) -> Iterator[tuple[Key, bytes]]:
    """Yield the documents of a shard as the client sees them, each with its place in the order."""
    for each in page.results:
        try:
            document = _members(each)
            values = _federation(document.pop(_FEDERATION)).values
        except (msgspec.DecodeError, KeyError) as error:
            said = f"a document without what it is sorted by: {error}"
            raise NodeAnswerUnreadable(said, position) from None
        raw = msgspec.json.encode(document)
        yield (*map(_key, values), tie_of(raw)), raw


def _key(value: Told) -> Key:
    if value.geo_sort is not None:
        return _place(value.geo_sort.distance, ascending=value.geo_sort.asc)
    if value.sort is None:
        return (3, 0)  # Of no kind that sorts documents: like any other of its kind.
    return _place(value.sort.value, ascending=value.sort.asc)


def _place(value: Any, *, ascending: bool) -> Key:
    if isinstance(value, str):
        text = cut_text(value)
        return (1, text if ascending else _Backwards(text))
    if value is None:
        return (2, 0)
    number = float(value)  # As nodes compare numbers.
    return (0, number if ascending else -number)


class _Backwards(str):
    """Text that sorts backwards."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)
