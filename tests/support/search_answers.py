"""
Search answers as nodes write them, for the tests of merging.

Also the reference: another way to the same order, which decodes everything, compares pair by pair,
and shares no code with the product.
"""

import functools
import json
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def hit(document: Json, *rules: tuple[str, Json], score: float = 0.5) -> Json:
    """Return a hit with score details of these rules, in this order."""
    details = {name: {"order": order, **fields} for order, (name, fields) in enumerate(rules)}
    return {**document, "_rankingScore": score, "_rankingScoreDetails": details}


def answer(hits: Sequence[Json], **more: Any) -> bytes:
    """Return a node's answer; offset/limit mode unless told otherwise."""
    body: Json = {"hits": list(hits), "query": "q", "processingTimeMs": 1}
    if "totalHits" not in more:
        body |= {"limit": 20, "offset": 0, "estimatedTotalHits": len(hits)}
    return json.dumps(body | more, separators=(",", ":"), ensure_ascii=False).encode()


def reference_order(hits: Sequence[Json]) -> list[Json]:
    """Sort hits as one node would; equals keep their order."""
    return sorted(hits, key=functools.cmp_to_key(compare_hits))


def compare_hits(left: Json, right: Json) -> int:
    """Return -1 if `left` is better by its score details, 1 if `right` is, 0 if none is."""
    mine, theirs = (
        sorted(side["_rankingScoreDetails"].items(), key=lambda item: item[1]["order"])
        for side in (left, right)
    )
    for (name, a), (other, b) in zip(mine, theirs, strict=False):
        if "skipped" in (name, other):
            return int(name == "skipped") - int(other == "skipped")
        assert name == other
        found = _compare_rule(name, a, b)
        if found:
            return found
    return 0


def _compare_rule(name: str, a: Json, b: Json) -> int:
    if name == "words":
        return _more(a["matchingWords"], b["matchingWords"])
    if name == "typo":
        return -_more(a["typoCount"], b["typoCount"])
    if name == "attribute":
        first = _more(a["attributeRankingOrderScore"], b["attributeRankingOrderScore"])
        return first or _more(a["queryWordDistanceScore"], b["queryWordDistanceScore"])
    if name == "exactness":
        kinds = ["noExactMatch", "matchesStart", "exactMatch"]
        first = _more(kinds.index(a["matchType"]), kinds.index(b["matchType"]))
        return first or _more(a.get("matchingWords", 0), b.get("matchingWords", 0))
    if name == "vectorSort":
        return _more(a["similarity"] or 0, b["similarity"] or 0)
    if name.endswith((":asc", ":desc")):
        member = "distance" if name.startswith("_geoPoint") else "value"
        return _compare_values(a[member], b[member], descending=name.endswith(":desc"))
    return _more(a["score"], b["score"])


def _compare_values(a: Any, b: Any, *, descending: bool) -> int:
    ranks = [2 if v is None else 1 if isinstance(v, str) else 0 for v in (a, b)]
    if ranks[0] != ranks[1]:
        return ranks[0] - ranks[1]
    if ranks[0] == 2:
        return 0
    return _more(a, b) if descending else -_more(a, b)


def _more(a: Any, b: Any) -> int:
    """The greater one first."""
    return int(a < b) - int(a > b)
