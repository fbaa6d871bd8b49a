"""What the engine's tests share: complete settings, and requests turned into queries."""

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from miroir.node.engine import Features, SearchIndex, SearchQuery

DEFAULTS: dict[str, Any] = {
    "displayedAttributes": ["*"],
    "searchableAttributes": ["*"],
    "filterableAttributes": [],
    "sortableAttributes": [],
    "rankingRules": [
        "words", "typo", "proximity", "attributeRank", "sort", "wordPosition", "exactness",
    ],
    "stopWords": [],
    "nonSeparatorTokens": [],
    "separatorTokens": [],
    "dictionary": [],
    "synonyms": {},
    "distinctAttribute": None,
    "proximityPrecision": "byWord",
    "typoTolerance": {
        "enabled": True,
        "minWordSizeForTypos": {"oneTypo": 5, "twoTypos": 9},
        "disableOnWords": [],
        "disableOnAttributes": [],
        "disableOnNumbers": False,
    },
    "faceting": {"maxValuesPerFacet": 100, "sortFacetValuesBy": {"*": "alpha"}},
    "pagination": {"maxTotalHits": 1000},
    "embedders": {},
    "searchCutoffMs": None,
    "localizedAttributes": None,
    "facetSearch": True,
    "prefixSearch": "indexingTime",
}  # fmt: skip


def settings(**changes: Any) -> dict[str, Any]:
    """Return the default settings with changes; objects are merged one level deep."""
    complete = copy.deepcopy(DEFAULTS)
    for name, value in changes.items():
        if isinstance(complete[name], dict) and name != "synonyms":
            for key, inner in value.items():
                known = complete[name].get(key)
                complete[name][key] = {**known, **inner} if isinstance(known, dict) else inner
        else:
            complete[name] = value
    return complete


def index_of(documents: Iterable[dict[str, Any]], **changes: Any) -> SearchIndex:
    """Return an index with these documents, known by their `id`."""
    index = SearchIndex(settings(**changes), "id")
    index.put((str(document["id"]), document) for document in documents)
    return index


def query_of(body: Mapping[str, Any]) -> SearchQuery:
    """Return the query that the body of POST /search means."""
    known = {
        re.sub("([A-Z])", lambda found: "_" + found[1].lower(), key): value
        for key, value in body.items()
    }
    lists = {
        key: tuple(value)
        for key, value in known.items()
        if isinstance(value, list) and key != "filter"
    }
    return SearchQuery(**{**known, **lists, "features": Features()})


def found(index: SearchIndex, q: str | None = None, **parameters: Any) -> list[Any]:
    """Return the ids that a search finds, in order."""
    result = index.search(query_of({"q": q, **parameters}))
    return [hit["id"] for hit in result.hits]
