"""
The answers of `facet-search` -> that of one node: counts summed by value, sorted as nodes sort.

Order of a node, which is kept: `count`: most frequent first, the greater spelling first among
equals. `alpha`: by value; where the client searches by `facetQuery`, by the value without its
accents first, since that is what nodes look it up by.

A node answers with `maxValuesPerFacet` values. In alphabetical order each of the first values of
all is among the first of its shards, so the answer is exact; by count a value that is beyond the
maximum on a shard is not counted there.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from miroir.core.merge.distinct import normal_text
from miroir.core.merge.query import CannotMerge, FacetOrder, refused_parameter
from miroir.errors import NodeAnswerUnreadable

_LETTERS: Final = str.maketrans({"æ": "ae", "œ": "oe", "’": "'", "‘": "'"})


class _Hit(msgspec.Struct):
    value: str
    count: int


class _Answer(msgspec.Struct, rename="camel"):
    facet_hits: list[_Hit]
    facet_query: str | None = None
    processing_time_ms: int = 0


_decode: Final = msgspec.json.Decoder(_Answer).decode


def check_facet_search(query: Mapping[str, Any]) -> CannotMerge | None:
    """Return why the answers to this could not be merged; every shard is asked the same."""
    reason = refused_parameter(query)
    return None if reason is None else CannotMerge(reason)


def merge_facet_search(answers: Sequence[bytes], *, order: FacetOrder, values_max: int) -> bytes:
    """
    Merge one answer per shard.

    Raises:
        NodeAnswerUnreadable: An answer is not one of facet-search.
    """
    parts = [_read(answer, position) for position, answer in enumerate(answers)]
    found: dict[str, _Hit] = {}
    for part in parts:
        for hit in part.facet_hits:
            known = found.setdefault(normal_text(hit.value), hit)
            if known is not hit:
                known.count += hit.count
    if order == "count":
        hits = sorted(found.values(), key=lambda hit: (hit.count, hit.value), reverse=True)
    elif parts[0].facet_query is None:
        hits = [found[normal] for normal in sorted(found)]
    else:
        hits = [found[normal] for normal in sorted(found, key=lambda n: (_plain(n), n))]
    time_ms = max(part.processing_time_ms for part in parts)
    return msgspec.json.encode(_Answer(hits[:values_max], parts[0].facet_query, time_ms))


def _plain(normal: str) -> str:
    """Return a value in normal form without accents and ligatures."""
    letters = (each for each in normal if not unicodedata.combining(each))
    return "".join(letters).translate(_LETTERS)


def _read(answer: bytes, position: int) -> _Answer:
    try:
        return _decode(answer)
    except msgspec.DecodeError as error:
        raise NodeAnswerUnreadable(f"not an answer of facet-search: {error}", position) from None
