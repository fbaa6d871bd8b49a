"""The parameters of similar-document searches: bodies and query strings to the engine's query."""

from collections.abc import Mapping
from typing import Any, Final

from miroir.node.engine import SimilarQuery
from miroir.node.errors import ApiError
from miroir.node.http import Request
from miroir.node.json_text import decode_loosely
from miroir.node.query import Parameter, comma_list, count, flag, text
from miroir.node.search_parameters import engine_features, share, share_text
from miroir.node.validate import (
    Check,
    Member,
    anything,
    array,
    boolean,
    nullable,
    string,
    struct,
    unsigned,
)


def _code(name: str) -> str:
    words = "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
    return f"invalid_similar_{words}"


_CHECKS: Final[dict[str, Check]] = {
    "id": anything,
    "offset": unsigned(),
    "limit": unsigned(),
    "filter": anything,
    "embedder": string,
    "attributesToRetrieve": nullable(array(string)),
    "retrieveVectors": boolean,
    "showRankingScore": boolean,
    "showRankingScoreDetails": boolean,
    "showPerformanceDetails": boolean,
    "rankingScoreThreshold": nullable(share("rankingScoreThreshold")),
}
SIMILAR_BODY: Final = struct(**{
    name: Member(check, _code(name), required=name in {"id", "embedder"}, missing_code=missing)
    for name, check in _CHECKS.items()
    for missing in ["bad_request"]
})  # fmt: skip
_GET: Final = {
    "id": text,
    "embedder": text,
    "offset": count,
    "limit": count,
    "attributesToRetrieve": comma_list,
    "retrieveVectors": flag,
    "filter": text,
    "showRankingScore": flag,
    "showRankingScoreDetails": flag,
    "showPerformanceDetails": flag,
    "rankingScoreThreshold": share_text,
}
_PARAMETERS: Final = {name: Parameter(parse, _code(name)) for name, parse in _GET.items()}


def from_similar_query_string(request: Request) -> dict[str, Any]:
    """Return the parameters of a GET in the shape of a body."""
    asked = request.parameters(_PARAMETERS)
    for name in ("id", "embedder"):
        if name not in asked:
            raise ApiError("bad_request", f"Missing parameter `{name}`")
    if asked.get("filter") is not None:
        asked["filter"] = decode_loosely(asked["filter"])
    return asked


def similar_query(
    body: Mapping[str, Any], id_: str, rule: Any, features: Mapping[str, bool]
) -> SimilarQuery:
    """Return the engine's query; `rule` narrows which document may be asked about."""
    wanted = body.get("attributesToRetrieve")
    return SimilarQuery(
        id=id_,
        embedder=body["embedder"],
        offset=body.get("offset", 0),
        limit=body.get("limit", 20),
        filter=body.get("filter"),
        allowed=rule,
        attributes_to_retrieve=None if wanted is None else tuple(wanted),
        retrieve_vectors=body.get("retrieveVectors", False),
        show_ranking_score=body.get("showRankingScore", False),
        show_ranking_score_details=body.get("showRankingScoreDetails", False),
        ranking_score_threshold=body.get("rankingScoreThreshold"),
        features=engine_features(features),
    )
