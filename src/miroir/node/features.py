"""
Experimental features: switches that are stored and shown, and what needs one of them.

The node implements few of the features themselves; a switch makes it accept what Meilisearch would
then accept (settings), or answer an honest error of its own.
"""

from collections.abc import Mapping
from typing import Any, Final

from miroir.node.errors import ApiError
from miroir.node.validate import Member, Place, boolean, nullable, struct

FEATURES: Final = (
    "metrics", "logsRoute", "editDocumentsByFunction", "containsFilter", "dynamicSearchRules",
    "network", "getTaskDocumentsRoute", "taskQueueCompactionRoute", "compositeEmbedders",
    "chatCompletions", "multimodal", "foreignKeys", "disableDocumentsFetchQueue", "legacySearch",
    "renderRoute",
)  # fmt: skip
# The name in the sentence, and the number of the public discussion that it refers to.
_PUBLIC: Final = {
    "metrics": ("metrics", "product/discussions/625"),
    "logsRoute": ("logs route", "721"),
    "editDocumentsByFunction": ("edit documents by function", "762"),
    "containsFilter": ("contains filter", "763"),
    "dynamicSearchRules": ("dynamic search rules", "884"),
    "network": ("network", "805"),
    "getTaskDocumentsRoute": ("get task documents route", "808"),
    "taskQueueCompactionRoute": ("task queue compaction route", "883"),
    "compositeEmbedders": ("composite embedders", "816"),
    "chatCompletions": ("chat completions", "835"),
    "multimodal": ("multimodal", "846"),
    "foreignKeys": ("foreign_keys", "873"),
    "renderRoute": ("render_route", "888"),
    "personalization": ("personalization", "866"),
}
_patch: Final = struct(**{name: Member(nullable(boolean)) for name in FEATURES})


def parse_features(body: Any) -> dict[str, bool]:
    """Return the switches that a PATCH sets; null leaves one alone."""
    checked = _patch(body, Place())
    return {name: value for name, value in checked.items() if value is not None}


def require_feature(features: Mapping[str, bool], feature: str, action: str) -> None:
    """
    Refuse an action whose feature is off.

    Raises:
        ApiError: `feature_not_enabled`.
    """
    if features.get(feature):
        return
    name, discussion = _PUBLIC[feature]
    where = discussion if "/" in discussion else f"orgs/meilisearch/discussions/{discussion}"
    where = where.replace("product/", "meilisearch/product/")
    raise ApiError(
        "feature_not_enabled",
        f"{action} requires enabling the `{name}` experimental feature. "
        f"See https://github.com/{where}",
    )
