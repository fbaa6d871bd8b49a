"""The body of a multi-search: queries, `federation`, `federationOptions`, each with its codes."""

from typing import Any, Final

from miroir.node.errors import ApiError
from miroir.node.index_uids import require_index_uid
from miroir.node.routes.indexes import index_uid
from miroir.node.search_parameters import SEARCH_CHECKS, members_in_multi_search
from miroir.node.validate import (
    Member,
    Place,
    Struct,
    array,
    boolean,
    mapping,
    nullable,
    number,
    string,
    struct,
    unsigned,
)

_FACETS_CODE: Final = "invalid_multi_search_facets_by_index"
_MERGE_CODE: Final = "invalid_multi_search_merge_facets"


def _weight(value: Any, place: Place) -> float:
    weight = number(value, place)
    if weight < 0:
        raise place.invalid(
            "the value of `weight` is invalid, expected a positive float (>= 0.0)."
        )
    return weight


_options: Final = struct(
    weight=Member(_weight, "invalid_multi_search_weight"),
    remote=Member(nullable(string), "invalid_multi_search_remote"),
    queryPosition=Member(nullable(unsigned()), "invalid_multi_search_query_position"),
)


def _facets_by_index(value: Any, place: Place) -> dict[str, list[str] | None]:
    checked: dict[str, list[str] | None] = mapping(nullable(array(string)))(value, place)
    for uid in checked:
        try:
            require_index_uid(uid)
        except ApiError as error:
            raise place.invalid(
                f'the key "{uid}" could not be deserialized into the key type '
                "`meilisearch_types::index_uid::IndexUid`"
            ) from error
    return checked


_merge_facets: Final = struct(
    maxValuesPerFacet=Member(nullable(unsigned()), "invalid_multi_search_max_values_per_facet"),
)
_federation: Final = struct(
    limit=Member(unsigned(), "invalid_search_limit"),
    offset=Member(unsigned(), "invalid_search_offset"),
    page=Member(nullable(unsigned()), "invalid_search_page"),
    hitsPerPage=Member(nullable(unsigned()), "invalid_search_hits_per_page"),
    facetsByIndex=Member(_facets_by_index, _FACETS_CODE),
    mergeFacets=Member(nullable(_merge_facets), _MERGE_CODE),
    distinct=Member(nullable(string), "invalid_search_distinct"),
    showPerformanceDetails=Member(boolean, "invalid_search_show_performance_details"),
    personalize=Member(SEARCH_CHECKS["personalize"], "invalid_search_personalize"),
)
_query: Final = Struct({
    "indexUid": Member(
        index_uid, "invalid_index_uid", required=True, missing_code="missing_index_uid"
    ),
    **members_in_multi_search(),
    "federationOptions": Member(nullable(_options), "bad_request"),
})  # fmt: skip
MULTI_SEARCH: Final = struct(
    queries=Member(array(_query), required=True),
    federation=Member(nullable(_federation)),
)
