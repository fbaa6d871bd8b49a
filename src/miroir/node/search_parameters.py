"""
The parameters of searches: from a checked body or query string to the engine's query.

POST bodies and GET query strings have tables of their own here, since Meilisearch words their
faults differently and lists their names in different orders. What needs an index is judged by the
engine.
"""

from collections.abc import Mapping
from typing import Any, Final

from miroir.node.engine import FacetQuery, Features, SearchQuery, Semantic
from miroir.node.engine.vectors import single
from miroir.node.errors import ApiError
from miroir.node.json_text import decode_loosely, encode_text
from miroir.node.query import Parameter, choice, comma_list, count, flag, text
from miroir.node.settings.locales import LOCALES
from miroir.node.validate import (
    Check,
    Member,
    Place,
    Struct,
    anything,
    array,
    boolean,
    nullable,
    number,
    one_of,
    string,
    struct,
    unsigned,
)

STRATEGIES: Final = ("last", "all", "frequency")
DEFAULTS: Final[dict[str, Any]] = {
    "offset": 0,
    "limit": 20,
    "cropLength": 10,
    "cropMarker": "…",
    "highlightPreTag": "<em>",
    "highlightPostTag": "</em>",
    "matchingStrategy": "last",
    "showMatchesPosition": False,
    "retrieveVectors": False,
    "showRankingScore": False,
    "showRankingScoreDetails": False,
    "exhaustiveFacetCount": False,
}


def _ratio(name: str) -> str:
    return f"the value of `{name}` is invalid, expected a float between `0.0` and `1.0`."


def share(name: str) -> Check:
    """Return a check of a number from 0 to 1."""

    def check(value: Any, place: Place) -> float:
        found = number(value, place)
        if not 0 <= found <= 1:
            raise place.invalid(_ratio(name))
        return found

    return check


_strings: Final = nullable(array(string))
_hybrid: Final = struct(
    semanticRatio=Member(share("semanticRatio"), "invalid_search_semantic_ratio"),
    embedder=Member(string, "invalid_search_embedder", required=True),
)
_personalize: Final = struct(
    userContext=Member(string, "invalid_search_personalize_user_context", required=True)
)


def _member(name: str, check: Check) -> Member:
    code = "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
    return Member(check, f"invalid_search_{code}")


SEARCH_CHECKS: Final[dict[str, Check]] = {
    "q": nullable(string),
    "offset": unsigned(),
    "limit": unsigned(),
    "page": nullable(unsigned()),
    "hitsPerPage": nullable(unsigned()),
    "attributesToRetrieve": _strings,
    "attributesToCrop": _strings,
    "cropLength": unsigned(),
    "cropMarker": string,
    "attributesToHighlight": _strings,
    "highlightPreTag": string,
    "highlightPostTag": string,
    "showMatchesPosition": boolean,
    "filter": anything,
    "sort": _strings,
    "distinct": nullable(string),
    "facets": _strings,
    "matchingStrategy": one_of(*STRATEGIES),
    "attributesToSearchOn": _strings,
    "rankingScoreThreshold": nullable(share("rankingScoreThreshold")),
    "locales": nullable(array(one_of(*LOCALES))),
    "hybrid": nullable(_hybrid),
    "vector": nullable(array(number)),
    "retrieveVectors": boolean,
    "media": anything,
    "personalize": nullable(_personalize),
    "useNetwork": nullable(boolean),
    "showRankingScore": boolean,
    "showRankingScoreDetails": boolean,
    "showPerformanceDetails": boolean,
}
_MEMBERS: Final = {name: _member(name, check) for name, check in SEARCH_CHECKS.items()} | {
    "hybrid": Member(nullable(_hybrid), "invalid_search_hybrid_query")
}
SEARCH_BODY: Final = Struct(_MEMBERS)
_FACET_ONLY: Final = {
    "facetQuery": Member(nullable(string), "invalid_facet_search_query"),
    "facetName": Member(
        string,
        "invalid_facet_search_facet_name",
        required=True,
        missing_code="missing_facet_search_facet_name",
    ),
}
_SHARED_WITH_FACETS: Final = (
    "q", "vector", "media", "hybrid", "filter", "matchingStrategy", "attributesToSearchOn",
    "rankingScoreThreshold", "locales",
)  # fmt: skip
FACET_BODY: Final = Struct(
    {
        **_FACET_ONLY,
        **{name: _MEMBERS[name] for name in _SHARED_WITH_FACETS},
        "exhaustiveFacetCount": Member(
            nullable(boolean), "invalid_facet_search_exhaustive_facet_count"
        ),
        "useNetwork": _MEMBERS["useNetwork"],
    },
    ignore_unknown=True,  # a client may send the parameters of its search along
)


def members_in_multi_search() -> dict[str, Member]:
    """Return the members of one query of a multi-search, without those of its own."""
    optional = {"offset", "limit", "showPerformanceDetails"}
    return {
        name: Member(nullable(member.check), member.code) if name in optional else member
        for name, member in _MEMBERS.items()
    }


def share_text(value: str) -> float:
    """Read a number from 0 to 1."""
    try:
        found = float(value)
    except ValueError as error:
        raise ValueError(_ratio("rankingScoreThreshold")) from error
    if not 0 <= found <= 1:
        raise ValueError(_ratio("rankingScoreThreshold"))
    return found


def _locales_text(value: str) -> list[str]:
    codes = comma_list(value)
    for code in codes:
        if code not in LOCALES:
            known = ", ".join(sorted(LOCALES, key=lambda name: (len(name), name)))
            raise ValueError(f"Unsupported locale `{code}`, expected one of {known}")
    return codes


def _ratio_text(value: str) -> float:
    try:
        return share_text(value)
    except ValueError as error:
        raise ValueError(_ratio("semanticRatio")) from error


def _numbers_text(value: str) -> list[float]:
    try:
        return [float(word) for word in comma_list(value)]
    except ValueError as error:
        raise ValueError("invalid float literal") from error


_GET: Final = {
    "q": text,
    "offset": count,
    "limit": count,
    "page": count,
    "hitsPerPage": count,
    "attributesToRetrieve": comma_list,
    "attributesToCrop": comma_list,
    "cropLength": count,
    "cropMarker": text,
    "attributesToHighlight": comma_list,
    "highlightPreTag": text,
    "highlightPostTag": text,
    "showMatchesPosition": flag,
    "filter": text,
    "sort": text,
    "distinct": text,
    "facets": comma_list,
    "matchingStrategy": choice(*STRATEGIES),
    "attributesToSearchOn": comma_list,
    "rankingScoreThreshold": share_text,
    "locales": _locales_text,
    "hybridEmbedder": text,
    "hybridSemanticRatio": _ratio_text,
    "vector": _numbers_text,
    "retrieveVectors": flag,
    "personalizeUserContext": text,
    "useNetwork": flag,
    "showRankingScore": flag,
    "showRankingScoreDetails": flag,
    "showPerformanceDetails": flag,
}
_GET_CODES: Final = {
    "hybridEmbedder": "invalid_search_embedder",
    "hybridSemanticRatio": "invalid_search_semantic_ratio",
}
SEARCH_PARAMETERS: Final = {
    name: Parameter(parse, _GET_CODES.get(name) or str(_member(name, anything).code))
    for name, parse in _GET.items()
}


def from_query_string(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a GET in the shape of a body."""
    _require_embedder(asked)
    body = {name: value for name, value in asked.items() if name in SEARCH_CHECKS}
    if body.get("filter") is not None:
        body["filter"] = decode_loosely(body["filter"])
    if body.get("sort") is not None:
        body["sort"] = split_sort(body["sort"])
    if "hybridEmbedder" in asked:
        ratio = asked.get("hybridSemanticRatio", 0.5)
        body["hybrid"] = {"embedder": asked["hybridEmbedder"], "semanticRatio": ratio}
    if "personalizeUserContext" in asked:
        body["personalize"] = {"userContext": asked["personalizeUserContext"]}
    return body


def _require_embedder(asked: dict[str, Any]) -> None:
    codes = {
        "hybridSemanticRatio": "invalid_search_hybrid_query",
        "vector": "missing_search_hybrid",
    }
    for name, code in codes.items():
        if name in asked and "hybridEmbedder" not in asked:
            raise ApiError(code, f"`hybridEmbedder` is mandatory when `{name}` is present")


def split_sort(value: str) -> list[str]:
    """Return sort expressions, with the comma inside `_geoPoint(1,2)` left alone."""
    parts: list[str] = []
    for word in value.split(","):
        if parts and parts[-1].count("(") > parts[-1].count(")"):
            parts[-1] += f",{word}"
        else:
            parts.append(word)
    return parts


def require_filter(filter_: Any, code: str, *, required: bool = False) -> None:
    """Refuse what is no filter by its JSON types; absent is fine unless it is required."""
    if (filter_ is not None or required) and not isinstance(filter_, str | list):
        raise _wrong_filter(code, "String, Array", filter_)
    for part in filter_ if isinstance(filter_, list) else ():
        if not isinstance(part, str | list):
            raise _wrong_filter(code, "String, [String]", part)
        for inner in part if isinstance(part, list) else ():
            if not isinstance(inner, str):
                raise _wrong_filter(code, "String", inner)


def _wrong_filter(code: str, expected: str, found: Any) -> ApiError:
    reason = f"`expected {expected}, found: {encode_text(found)}`"
    return ApiError(code, f"Invalid syntax for the filter parameter: {reason}.")


_TUPLES: Final = {
    "attributesToRetrieve": "attributes_to_retrieve",
    "attributesToCrop": "attributes_to_crop",
    "attributesToHighlight": "attributes_to_highlight",
    "sort": "sort",
    "facets": "facets",
    "attributesToSearchOn": "attributes_to_search_on",
    "locales": "locales",
}
_PLAIN: Final = {
    "q": "q",
    "offset": "offset",
    "limit": "limit",
    "page": "page",
    "hitsPerPage": "hits_per_page",
    "retrieveVectors": "retrieve_vectors",
    "cropLength": "crop_length",
    "cropMarker": "crop_marker",
    "highlightPreTag": "highlight_pre_tag",
    "highlightPostTag": "highlight_post_tag",
    "showMatchesPosition": "show_matches_position",
    "filter": "filter",
    "distinct": "distinct",
    "matchingStrategy": "matching_strategy",
    "rankingScoreThreshold": "ranking_score_threshold",
    "showRankingScore": "show_ranking_score",
    "showRankingScoreDetails": "show_ranking_score_details",
}
_FACET_PLAIN: Final = {
    "facetName": "facet_name",
    "facetQuery": "facet_query",
    "exhaustiveFacetCount": "exhaustive_facet_count",
    **{key: _PLAIN[key] for key in ("q", "filter", "matchingStrategy", "rankingScoreThreshold")},
}
_FACET_TUPLES: Final = {key: _TUPLES[key] for key in ("attributesToSearchOn", "locales")}


def _given(body: dict[str, Any], plain: dict[str, str], tuples: dict[str, str]) -> dict[str, Any]:
    values = {**DEFAULTS, **{key: value for key, value in body.items() if value is not None}}
    found = {field: values[key] for key, field in plain.items() if key in values}
    return found | {field: tuple(values[key]) for key, field in tuples.items() if key in values}


def engine_features(features: Mapping[str, bool]) -> Features:
    """Return those experimental features that the engine knows."""
    return Features(
        contains_filter=features["containsFilter"],
        foreign_keys=features["foreignKeys"],
        multimodal=features["multimodal"],
    )


def search_query(body: dict[str, Any], features: dict[str, bool]) -> SearchQuery:
    """Return the engine's query for checked search parameters."""
    allowed = engine_features(features)
    if not body.get("facets"):
        body = {**body, "facets": None}  # an empty list asks for none, not for an empty answer
    semantic = _semantic(body)
    return SearchQuery(**_given(body, _PLAIN, _TUPLES), semantic=semantic, features=allowed)


def _semantic(body: dict[str, Any]) -> Semantic | None:
    hybrid, vector = body.get("hybrid"), body.get("vector")
    if hybrid is None:
        return None
    ratio = single(hybrid.get("semanticRatio", 0.5))
    return Semantic(hybrid["embedder"], ratio, None if vector is None else tuple(vector))


def facet_query(body: dict[str, Any], features: dict[str, bool]) -> FacetQuery:
    """Return the engine's query for checked facet-search parameters."""
    allowed = engine_features(features)
    given = _given(body, _FACET_PLAIN, _FACET_TUPLES)
    return FacetQuery(**given, semantic=_semantic(body), features=allowed)
