"""
Many searches in one request: what goes to the nodes of each index, and one answer of all.

    read_multi_search -> (per index: its queries, in their order, as one multi-search per node)
                      -> results_of each node's answer -> merged per query -> join_results

One request per node carries all queries of an index, so that one covering set answers them. What
is no number of a window counts as not given: here, unlike in a single search, nodes take null.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Raw

from miroir.errors import NodeAnswerUnreadable

_MEMBERS: Final = frozenset({"queries", "federation"})
_WINDOW: Final = ("offset", "limit", "page", "hitsPerPage")
_PLACE: Final = re.compile(r"^Inside `\.queries\[(\d+)\]`")


class _Results(msgspec.Struct):
    results: list[Raw]


_decode: Final = msgspec.json.Decoder(_Results).decode


@dataclass(frozen=True)
class MultiSearch:
    """
    A request that could be read.

    Attributes:
        queries: Each with its `indexUid`.
        federation: None for one answer per query.
    """

    queries: tuple[Mapping[str, Any], ...]
    federation: Mapping[str, Any] | None

    @property
    def by_index(self) -> dict[str, list[int]]:
        """The places of each index's queries."""
        places: dict[str, list[int]] = {}
        for place, query in enumerate(self.queries):
            places.setdefault(query["indexUid"], []).append(place)
        return places

    @property
    def facets_elsewhere(self) -> bool:
        """Whether facets are asked for of an index that no query searches."""
        facets = (self.federation or {}).get("facetsByIndex")
        return isinstance(facets, dict) and not facets.keys() <= self.by_index.keys()


def read_multi_search(body: Any) -> MultiSearch | None:
    """Return the request; None if only a node can judge it."""
    if not isinstance(body, dict) or not body.keys() <= _MEMBERS:
        return None
    queries, federation = body.get("queries"), body.get("federation")
    if not isinstance(queries, list) or not isinstance(federation, dict | None):
        return None
    if not all(isinstance(q, dict) and isinstance(q.get("indexUid"), str) for q in queries):
        return None
    return MultiSearch(tuple(map(_without_nulls, queries)), federation)


def _without_nulls(query: Mapping[str, Any]) -> dict[str, Any]:
    return {n: value for n, value in query.items() if value is not None or n not in _WINDOW}


def results_of(answer: bytes, position: int, count: int) -> list[bytes]:
    """
    Return the result of each query in a node's answer.

    Raises:
        NodeAnswerUnreadable: It is no answer to so many queries.
    """
    try:
        results = _decode(answer).results
    except msgspec.DecodeError as error:
        raise NodeAnswerUnreadable(f"not a multi-search answer: {error}", position) from None
    if len(results) != count:
        raise NodeAnswerUnreadable(f"{len(results)} results for {count} queries", position)
    return [bytes(result) for result in results]


def with_index(index_uid: str, result: bytes) -> bytes:
    """Return the answer of a search as a multi-search shows it."""
    return b'{"indexUid":%b,%b' % (msgspec.json.encode(index_uid), result[1:])


def join_results(results: Sequence[bytes]) -> bytes:
    """Return the answer to all queries."""
    return b'{"results":[%b]}' % b",".join(results)


def with_place(message: str, places: Sequence[int]) -> str:
    """Return a node's message about a query with the place that the client gave the query."""
    return _PLACE.sub(lambda found: f"Inside `.queries[{places[int(found[1])]}]`", message)
