"""
A patch applied to the stored settings, by Meilisearch's own rules.

Scalars, lists and sets are replaced; `typoTolerance`, `faceting`, `pagination`, `chat` merge leaf
by leaf, `embedders` by name and field; null resets at every level. The result holds only what was
set explicitly: an absent key has its default. Pure.
"""

from typing import Any

from miroir.node.errors import ApiError
from miroir.node.settings.embedders import (
    ALLOWED,
    CODE,
    KEPT,
    TEMPLATE,
    require_fields,
    require_not_zero,
    require_usable,
)
from miroir.node.settings.locales import iso_639_3
from miroir.node.settings.patch import Patch
from miroir.node.settings.table import SETTINGS, TYPO_DEFAULT, typo_sizes_reason
from miroir.node.settings.text import plain, stop_word


def merged(stored: dict[str, Any], patch: Patch) -> dict[str, Any]:
    """
    Return the stored settings with a patch applied.

    Raises:
        ApiError: The patch does not fit what is stored (the task fails with it).
    """
    result = dict(stored)
    for name, value in patch.items():
        kept = _RULES.get(name, _replaced)(name, stored.get(name), value)
        if kept is None:
            result.pop(name, None)
        else:
            result[name] = kept
    return {name: result[name] for name in SETTINGS if name in result}


def _replaced(name: str, _old: Any, new: Any) -> Any:
    if new is None or not SETTINGS[name].sort:
        return new
    return sorted({stop_word(word) for word in new} if name == "stopWords" else set(new))


def _attributes(_name: str, _old: Any, new: Any) -> Any:
    """Keep a list without repetitions; one with a `*` in it means the default."""
    if new is None or "*" in new:
        return None
    return list(dict.fromkeys(new))


def _synonyms(_name: str, _old: Any, new: Any) -> Any:
    return {key: new[key] for key in sorted(new)} if new else None


def _localized(_name: str, _old: Any, new: Any) -> Any:
    if new is None:
        return None
    return [
        {
            "attributePatterns": rule["attributePatterns"],
            "locales": [iso_639_3(code) for code in rule["locales"]],
        }
        for rule in new
    ]


def _leaves(_name: str, old: Any, new: Any) -> Any:
    """Merge one level: a null leaf is forgotten."""
    if new is None:
        return None
    both = {**(old or {}), **new}
    return {key: value for key, value in both.items() if value is not None} or None


def _typo_tolerance(name: str, old: Any, new: Any) -> Any:
    if new is None:
        return None
    patch = dict(new)
    if patch.get("minWordSizeForTypos") is not None:
        sizes = _leaves(name, (old or {}).get("minWordSizeForTypos"), patch["minWordSizeForTypos"])
        patch["minWordSizeForTypos"] = sizes
        full = {**TYPO_DEFAULT["minWordSizeForTypos"], **(sizes or {})}
        if full["oneTypo"] > full["twoTypos"]:
            reason = typo_sizes_reason(full["oneTypo"], full["twoTypos"])
            raise ApiError("invalid_settings_typo_tolerance", reason)
    if patch.get("disableOnWords") is not None:
        patch["disableOnWords"] = sorted({plain(word) for word in patch["disableOnWords"]})
    return _leaves(name, old, patch)


def _chat(name: str, old: Any, new: Any) -> Any:
    if new is None:
        return None
    patch = dict(new)
    if patch.get("searchParameters") is not None:
        before = (old or {}).get("searchParameters")
        patch["searchParameters"] = _leaves(name, before, patch["searchParameters"])
    if patch.get("documentTemplateMaxBytes") == 0:
        raise ApiError(
            CODE, "`.chat.documentTemplateMaxBytes`: `documentTemplateMaxBytes` cannot be zero"
        )
    return _leaves(name, old, patch)


def _embedders(_name: str, old: Any, new: Any) -> Any:
    if new is None:
        return None
    result = dict(old or {})
    for name, embedder in new.items():
        if embedder is None:
            result.pop(name, None)
        else:
            result[name] = _embedder(name, result.get(name), embedder)
    return {name: result[name] for name in sorted(result)} or None


def _embedder(name: str, old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    before = dict(old or {})
    source = new.get("source") or ("openAi" if "source" in new else before.get("source", "openAi"))
    if before and source != before["source"]:
        kept = KEPT | (TEMPLATE & ALLOWED[source])
        before = {key: value for key, value in before.items() if key in kept}
    if before.get("binaryQuantized") and new.get("binaryQuantized") is False:
        raise ApiError(
            CODE,
            f"`.embedders.{name}.binaryQuantized`: Cannot disable the binary quantization.\n"
            " - Note: Binary quantization is a lossy operation that cannot be reverted.\n"
            " - Hint: Add a new embedder that is non-quantized and regenerate the vectors.",
        )
    for key in ("indexingFragments", "searchFragments"):
        if new.get(key) is not None:
            new = {**new, key: _leaves(key, before.get(key), new[key])}
    both = {**before, **new, "source": source}
    fused = {key: value for key, value in both.items() if value is not None}
    require_fields(name, fused, source)
    if before:
        require_not_zero(name, "documentTemplateMaxBytes", fused)
    require_usable(fused)
    return fused


_RULES = {
    "displayedAttributes": _attributes,
    "searchableAttributes": _attributes,
    "synonyms": _synonyms,
    "localizedAttributes": _localized,
    "typoTolerance": _typo_tolerance,
    "faceting": _leaves,
    "pagination": _leaves,
    "chat": _chat,
    "embedders": _embedders,
}
