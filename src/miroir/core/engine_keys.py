"""
Which engine knows which setting, and what null leads to there.

Since when: facts of Meilisearch's own history (field present in meilisearch-types/src/settings.rs
at tag v1.N). Defaults are not stored by nodes: those of the ranking rules changed with 1.36. An
engine whose version cannot be read is taken to know everything. Pure.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from miroir.core.settings import BY_KEY, differences

SINCE: Final[Mapping[str, tuple[int, int]]] = {
    "nonSeparatorTokens": (1, 4),
    "separatorTokens": (1, 4),
    "dictionary": (1, 4),
    "proximityPrecision": (1, 6),
    "embedders": (1, 6),
    "searchCutoffMs": (1, 8),
    "localizedAttributes": (1, 10),
    "facetSearch": (1, 12),
    "prefixSearch": (1, 12),
    "chat": (1, 16),
    "foreignKeys": (1, 39),
}
FEATURE_OF: Final = {"chat": "chatCompletions", "foreignKeys": "foreignKeys"}
"""Keys that a node shows only while this experimental feature is on."""
CHAT: Final = {"description": "", "documentTemplateMaxBytes": 400, "searchParameters": {}}
"""What a node shows of `chat` after null; its default template is the engine's own affair."""
_FORMER_RULES: Final = ["words", "typo", "proximity", "attribute", "sort", "exactness"]


def unsupported(keys: Iterable[str], engine: str | None) -> tuple[str, ...]:
    """Return the keys that this engine does not know."""
    version = _version(engine)
    return tuple(k for k in keys if version is not None and SINCE.get(k, (0, 0)) > version)


def default_of(key: str, engine: str | None) -> Any:
    """Return what null leads to on this engine; None for a key that nobody knows."""
    version = _version(engine)
    if key == "rankingRules" and version is not None and version < (1, 36):
        return list(_FORMER_RULES)
    setting = BY_KEY.get(key)
    return setting.default if setting else None


def shared_defaults(forms: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """
    Return what null leads to on all of these engines alike.

    Args:
        forms: What each shows of a fresh index. Where two differ there is no such value.
    """
    shared: dict[str, Any] = {}
    differ: set[str] = set()
    for form in forms:
        differ |= set(differences({k: shared[k] for k in form if k in shared}, form))
        shared = {**form, **shared}
    return {key: value for key, value in shared.items() if key not in differ}


def at_default(key: str, value: Any, engine: str | None) -> bool:
    """
    Whether null would change nothing.

    Of `chat` the default template is the engine's own affair: one that says nothing else is taken
    to be at its default.
    """
    if key == "chat" and isinstance(value, Mapping):
        said = (value.get("description"), value.get("searchParameters"))
        most = CHAT["documentTemplateMaxBytes"]
        return not any(said) and value.get("documentTemplateMaxBytes", most) == most
    return key in BY_KEY and not differences({key: default_of(key, engine)}, {key: value})


def _version(engine: str | None) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", engine or "")
    return (int(found[1]), int(found[2])) if found else None
