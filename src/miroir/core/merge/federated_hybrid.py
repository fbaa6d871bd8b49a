"""
A hybrid query of a federated search: merged as a search of its own, then one list among others.

    plan_part -> the search (hybrid.py): the whole window, with scores and details
              -> as_part: its answer, as a node that holds everything would give it, federated

A node decides between keywords and meaning by its own hits, and shows a document once, so neither
can be made of federated answers of shards. So a hybrid query has to be the only one of its index.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from msgspec import Raw

from miroir.core.merge.hits import Hit, cut
from miroir.core.merge.hybrid import HybridPlan, plan_hybrid
from miroir.core.merge.query import CannotMerge, SearchSettings

_OF_FEDERATION: Final = frozenset(
    {"limit", "offset", "page", "hitsPerPage", "facets", "federationOptions"}
)

_decode: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_hits: Final = msgspec.json.Decoder(list[Raw]).decode


@dataclass(frozen=True)
class HybridPart:
    """
    One hybrid query.

    Attributes:
        plan: Its search.
        index_uid: Of its index.
        weight: Of its hits.
        shows_vector: Whether the client wants to see the query's vector.
    """

    plan: HybridPlan
    index_uid: str
    weight: float
    shows_vector: bool


def plan_part(
    query: Mapping[str, Any], settings: SearchSettings, of_all: Mapping[str, Any]
) -> HybridPart | CannotMerge | None:
    """
    Plan a query; None: it is not hybrid.

    Args:
        query: The client's.
        settings: Of its index.
        of_all: What the federation asks of all queries: a window from the first hit on, facets, a
            distinct attribute.
    """
    own = {name: value for name, value in query.items() if name not in _OF_FEDERATION}
    plan = plan_hybrid({**own, **of_all}, 2, settings)
    if plan is None or isinstance(plan, CannotMerge):
        return plan
    # Everything is shown until all lists are one; federated.py knows what the client wants to see.
    shown = msgspec.structs.replace(
        plan.asked, show_score=True, show_details=True, added=(), hidden=None
    )
    options = query.get("federationOptions")
    weight = options.get("weight", 1.0) if isinstance(options, dict) else 1.0
    return HybridPart(
        plan=replace(plan, asked=shown),
        index_uid=query["indexUid"],
        weight=float(weight) if isinstance(weight, int | float) else 1.0,  # A node refuses others.
        shows_vector=query.get("retrieveVectors") is True,
    )


def as_part(answer: bytes, part: HybridPart) -> bytes:
    """Return the merged answer to the search as a federated answer."""
    members = _decode(answer)
    hits = b",".join(_federated(bytes(raw), part) for raw in _decode_hits(members.pop("hits")))
    shown: dict[str, Any] = {"hits": Raw(b"[%b]" % hits), **members}
    distribution = shown.pop("facetDistribution", None)
    stats = shown.pop("facetStats", {})
    if distribution is not None:
        shown["facetsByIndex"] = {part.index_uid: {"distribution": distribution, "stats": stats}}
    vector, metadata = shown.pop("queryVector", None), shown.pop("metadata", None)
    if part.shows_vector:
        shown["queryVectors"] = {} if vector is None else {"0": vector}
    if metadata is not None:
        shown["metadata"] = [metadata]
    return msgspec.json.encode(shown)


def _federated(raw: bytes, part: HybridPart) -> bytes:
    hit: Hit = cut(raw)[0]
    federation = {
        "indexUid": part.index_uid,
        "queriesPosition": 0,
        "weightedRankingScore": hit.score * part.weight,
    }
    member = b'"_federation":%b' % msgspec.json.encode(federation)
    return hit.with_document(b"%b,%b" % (hit.document, member)).raw
