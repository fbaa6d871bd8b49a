"""
The answers of many shards -> the answer that one node holding everything would give.

    rewrite_search -> (one answer per shard) -> merge_search
    rewrite_fields -> (one answer per shard) -> merge_fields
    rewrite_page   -> (one answer per shard) -> merge_documents_page
    plan_similar   -> (one answer per shard) -> merge_similar
    plan_hybrid    -> (one to three answers per shard) -> merge_hybrid
    plan_federated -> (one answer per index and shard) -> merge_federated
    what hits are ordered by and do not show: hidden.py
    with_key, filled: hits with documents of other indexes (joins.py)
    check_facet_search -> (one answer per shard) -> merge_facet_search
    merge_index_stats, merge_stats

Exact where it can be, a `CannotMerge` where it cannot be known, never a guess. With one shard
nothing here is called: the node's bytes pass through untouched. Where shards are missing the
caller passes the answers that it has.
"""

from miroir.core.merge.facet_search import check_facet_search, merge_facet_search
from miroir.core.merge.federated import merge_federated
from miroir.core.merge.federated_hybrid import HybridPart, as_part
from miroir.core.merge.federated_plan import FederatedPlan, plan_federated
from miroir.core.merge.fields import merge_fields, rewrite_fields
from miroir.core.merge.hybrid import (
    HybridPlan,
    ToldOf,
    good_enough,
    merge_hybrid,
    plan_hybrid,
    ranked_body,
    told_of,
)
from miroir.core.merge.multi_search import MultiSearch
from miroir.core.merge.pages import (
    PROXY_HEADER,
    PageQuery,
    fetch_body,
    merge_documents_page,
    rewrite_page,
)
from miroir.core.merge.query import Asked, CannotMerge, NodeQuery, SearchSettings, rewrite_search
from miroir.core.merge.search import merge_search
from miroir.core.merge.similar import SimilarPlan, merge_similar, plan_similar, vector_of
from miroir.core.merge.stats import merge_index_stats, merge_stats

__all__ = [
    "PROXY_HEADER",
    "Asked",
    "CannotMerge",
    "FederatedPlan",
    "HybridPart",
    "HybridPlan",
    "MultiSearch",
    "NodeQuery",
    "PageQuery",
    "SearchSettings",
    "SimilarPlan",
    "ToldOf",
    "as_part",
    "check_facet_search",
    "fetch_body",
    "good_enough",
    "merge_documents_page",
    "merge_facet_search",
    "merge_federated",
    "merge_fields",
    "merge_hybrid",
    "merge_index_stats",
    "merge_search",
    "merge_similar",
    "merge_stats",
    "plan_federated",
    "plan_hybrid",
    "plan_similar",
    "ranked_body",
    "rewrite_fields",
    "rewrite_page",
    "rewrite_search",
    "told_of",
    "vector_of",
]
