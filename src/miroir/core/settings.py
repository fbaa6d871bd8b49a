"""
The settings of an index: which there are, what a patch makes of them, what to send, what differs.

Source: Meilisearch 1.50 (meilisearch-types/src/settings.rs, milli/src/update/settings.rs). A key
that is not in the table replaces whole and is judged by the nodes, never here. Values that cannot
be valid are carried along unchanged: the probe asks a real node, in the node's own words.

Words used: *patch* = what a client sends (absent: leave alone, null: reset); *target* = complete
settings that a patch leads to; *read-back* = what a node answered to GET.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from miroir.core.quantization import is_quantized
from miroir.core.secret_places import discreet
from miroir.core.settings_chat import CHAT, CHAT_FIELDS, chat_fits, whole_chat
from miroir.core.settings_normal import (
    EMBEDDER_FIELDS,
    EMBEDDER_KEPT,
    EMBEDDER_TEMPLATE,
    EMBEDDERS as EMBEDDERS,  # noqa: PLC0414 - part of this module's words
    Settings,
    canonical,
    embedders_fit,
    exact,
    has_secrets as has_secrets,  # noqa: PLC0414 - likewise
    masked_embedders,
    normal,
    plain_words,
)


class Cost(StrEnum):
    """What a change of a key costs on a node that holds documents (facts: milli 1.50)."""

    INSTANT = "instant"
    FACETS = "facets"
    RETOKENISE = "re-tokenise"
    REEMBED = "re-embed"


@dataclass(frozen=True)
class Setting:
    """
    One sub-setting.

    Attributes:
        key: In the settings object.
        segment: Of its own route, e.g. `stop-words`.
        verb: Method that writes it there; GET and DELETE are common to all.
        default: What null leads to, in engine 1.50.
        merges: Whether an object given in a patch is merged into the one in force.
        cost: See `Cost`.
        hidden: Whether nodes show it only while an experimental feature is on.
    """

    key: str
    segment: str
    default: Any
    cost: Cost
    verb: str = "PUT"
    merges: bool = False
    hidden: bool = False


_RULES: Final = (
    "words",
    "typo",
    "proximity",
    "attributeRank",
    "sort",
    "wordPosition",
    "exactness",
)
_TYPOS: Final = {
    "enabled": True,
    "minWordSizeForTypos": {"oneTypo": 5, "twoTypos": 9},
    "disableOnWords": [],
    "disableOnAttributes": [],
    "disableOnNumbers": False,
}
_FACETING: Final = {"maxValuesPerFacet": 100, "sortFacetValuesBy": {"*": "alpha"}}

TABLE: Final[tuple[Setting, ...]] = (
    Setting("displayedAttributes", "displayed-attributes", ["*"], Cost.INSTANT),
    Setting("searchableAttributes", "searchable-attributes", ["*"], Cost.RETOKENISE),
    Setting("filterableAttributes", "filterable-attributes", [], Cost.FACETS),
    Setting("sortableAttributes", "sortable-attributes", [], Cost.FACETS),
    Setting("foreignKeys", "foreign-keys", [], Cost.INSTANT, hidden=True),
    Setting("rankingRules", "ranking-rules", list(_RULES), Cost.FACETS),
    Setting("stopWords", "stop-words", [], Cost.RETOKENISE),
    Setting("nonSeparatorTokens", "non-separator-tokens", [], Cost.RETOKENISE),
    Setting("separatorTokens", "separator-tokens", [], Cost.RETOKENISE),
    Setting("dictionary", "dictionary", [], Cost.RETOKENISE),
    Setting("synonyms", "synonyms", {}, Cost.INSTANT),
    Setting("distinctAttribute", "distinct-attribute", None, Cost.FACETS),
    Setting("proximityPrecision", "proximity-precision", "byWord", Cost.RETOKENISE),
    Setting("typoTolerance", "typo-tolerance", _TYPOS, Cost.RETOKENISE, "PATCH", merges=True),
    Setting("faceting", "faceting", _FACETING, Cost.INSTANT, "PATCH", merges=True),
    Setting(
        "pagination", "pagination", {"maxTotalHits": 1000}, Cost.INSTANT, "PATCH", merges=True
    ),
    Setting(EMBEDDERS, "embedders", {}, Cost.REEMBED, "PATCH", merges=True),
    Setting("searchCutoffMs", "search-cutoff-ms", None, Cost.INSTANT),
    Setting("localizedAttributes", "localized-attributes", None, Cost.RETOKENISE),
    Setting("facetSearch", "facet-search", default=True, cost=Cost.FACETS),
    Setting("prefixSearch", "prefix-search", "indexingTime", Cost.RETOKENISE),
    Setting(CHAT, "chat", {}, Cost.INSTANT, "PATCH", merges=True, hidden=True),
)
FRAGMENTS: Final = ("indexingFragments", "searchFragments")
_EVERYWHERE: Final = frozenset(
    {
        "displayedAttributes", "searchableAttributes", "filterableAttributes",
        "sortableAttributes", "rankingRules", "stopWords", "synonyms", "distinctAttribute",
        "typoTolerance", "faceting", "pagination",
    }
)  # fmt: skip
"""Keys that every engine shows; one without them has not answered the question."""
BY_KEY: Final = {setting.key: setting for setting in TABLE}
BY_SEGMENT: Final = {setting.segment: setting for setting in TABLE}


def defaults() -> dict[str, Any]:
    """Return the settings of a fresh index, hidden ones left out."""
    return {setting.key: setting.default for setting in TABLE if not setting.hidden}


def reset_patch(base: Settings) -> dict[str, None]:
    """Return the patch that `DELETE /settings` means: null for every key in force."""
    return dict.fromkeys(base)


def resets_all(patch: Settings) -> bool:
    """Whether a patch is such a one: then it means every key, whatever will be in force."""
    return patch.keys() >= _EVERYWHERE and all(value is None for value in patch.values())


def resolve(base: Settings, patch: Settings, fresh: Settings | None = None) -> dict[str, Any]:
    """
    Return the complete target that `patch` leads to from `base`, by Meilisearch's rules.

    Args:
        base: Complete settings.
        patch: As a client sends it.
        fresh: What null leads to on the engines at hand, if known; else engine 1.50 is taken.
    """
    target = dict(base)
    asked = {**dict.fromkeys(base), **patch} if resets_all(patch) else patch
    for key, value in asked.items():
        setting = BY_KEY.get(key)
        default = (fresh or {}).get(key, setting.default if setting else None)
        if value is None:
            target[key] = default
        elif setting is not None and setting.merges and isinstance(value, Mapping):
            own = replace(setting, default=default)
            target[key] = _merged(own, target.get(key) or {}, value)
        else:
            target[key] = value
    return target


def _merged(setting: Setting, base: Mapping[str, Any], patch: Mapping[str, Any]) -> Any:
    """Merge an object setting: null resets a leaf, or removes a named embedder."""
    if setting.key == EMBEDDERS:
        return _merged_embedders(base, patch)
    default = setting.default
    merged = dict(base)
    for name, value in patch.items():
        inner = default.get(name)
        if value is None and inner is None and setting.key == CHAT and name in CHAT_FIELDS:
            merged.pop(name, None)  # The engine's own default, which is not known here.
        elif value is None:
            merged[name] = inner
        elif name == "minWordSizeForTypos" and isinstance(value, Mapping):
            leaves = {leaf: inner[leaf] if v is None else v for leaf, v in value.items()
                      if v is not None or leaf in inner}  # fmt: skip
            merged[name] = {**merged.get(name, inner), **leaves}
        elif name == "searchParameters" and isinstance(value, Mapping):
            joined = {**(merged.get(name) or {}), **value}
            merged[name] = {k: v for k, v in joined.items() if v is not None}
        else:
            merged[name] = value
    return merged


def _merged_embedders(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            before = merged.get(name)
            merged[name] = _merged_embedder(before if isinstance(before, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged


def _merged_embedder(before: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Merge field by field; another source keeps little of the old one."""
    source = patch.get("source", before.get("source"))
    if before and source != before.get("source"):
        kept = EMBEDDER_KEPT | (EMBEDDER_TEMPLATE & EMBEDDER_FIELDS.get(source or "", frozenset()))
        before = {key: value for key, value in before.items() if key in kept}
    for key in FRAGMENTS:
        if isinstance(patch.get(key), Mapping):
            both = {**(before.get(key) or {}), **patch[key]}
            patch = {**patch, key: {k: v for k, v in both.items() if v is not None}}
    return {k: v for k, v in {**before, **patch}.items() if v is not None}


def differences(wanted: Settings, seen: Settings) -> tuple[str, ...]:
    """
    Return the keys whose read-back is not what is wanted, in the order of the table.

    Compared under each setting's normal form, leniently where a node's own normalisation cannot
    be foretold: stop words after NFKD and case folding, embedders by the fields that were set and
    the shape of a masked key. A key that the node does not show cannot be judged, unless it is
    one that every node shows.
    """
    return tuple(key for key in _ordered(wanted) if not _fits(key, wanted[key], seen))


def contradictions(wanted: Settings, seen: Settings) -> tuple[str, ...]:
    """
    Return the keys that cannot be the form of what was asked for.

    As `differences`, but what the engine makes of words is its own business here: of a probe that
    was sent exactly this, the read-back is the form.
    """
    return tuple(
        key
        for key in differences(wanted, seen)
        if not (key in seen and plain_words(key, wanted[key]) == plain_words(key, seen[key]))
    )


def _fits(key: str, wanted: Any, seen: Settings) -> bool:
    if key not in seen:
        setting = BY_KEY.get(key)
        if setting is None or setting.hidden:
            return True
        return key not in _EVERYWHERE and bool(normal(key, wanted) == normal(key, setting.default))
    if key == EMBEDDERS:
        return embedders_fit(wanted, seen[key])
    if key == CHAT and isinstance(seen[key], Mapping):
        return chat_fits(wanted or {}, seen[key])
    return bool(normal(key, wanted) == normal(key, seen[key]))


def asked_of_nodes(patch: Settings) -> tuple[str, ...]:
    """Return the keys that a node must know; to reset what it does not show is nothing to it."""
    return tuple(k for k in patch if patch[k] is not None)


def wire_patch(
    seen: Settings, target: Settings, *, touched: Iterable[str] = (), forced: bool = False
) -> dict[str, Any]:
    """
    Return the PATCH body that brings a node from `seen` to `target`; empty: it is there.

    Whole values, never a client's delta: a delta replayed after another change means something
    else. Embedders always whole, removed ones and their fields as null; synonyms go along with
    stop words, since a node computes them with the stop words of the moment they are written
    (facts 1.4, H1).

    Args:
        seen: What the node shows.
        target: Complete settings.
        touched: Keys that are sent also where the node does not show them: it may not know them,
            and then has to say so.
        forced: Whether embedders are sent in any case: a mask hides another secret.
    """
    changed = set(differences(target, seen)) | {k for k in touched if k not in seen}
    if forced and EMBEDDERS in target:
        changed.add(EMBEDDERS)
    return _patch(seen, target, changed)


def exact_patch(seen: Settings, target: Settings) -> dict[str, Any]:
    """
    Return the PATCH body for all keys that are not the same to the letter.

    For a node whose fingerprint is not the expected one though no key is known to differ: what is
    compared leniently elsewhere is sent. The target has to be in a node's own form.
    """
    before, after = canonical(seen), canonical(target)
    changed = {key for key in target if key in seen and before[key] != after[key]}
    return _patch(seen, target, changed)


def whole_patch(seen: Settings, target: Settings, touched: Iterable[str]) -> dict[str, Any]:
    """
    Return the PATCH body that names every key which the node shows, or that says something.

    A key that nodes hide while its feature is off would be refused then: nobody has asked for it.
    """
    asked = set(touched)
    defaults_ = defaults()
    named = {
        key
        for key, value in target.items()
        if key in seen or key in asked or value != defaults_.get(key, value)
    }
    patch = _patch(seen, target, named)
    if isinstance(patch.get(EMBEDDERS), Mapping):  # It has no vectors that could be lost.
        now = seen.get(EMBEDDERS) or {}
        patch[EMBEDDERS] = {
            name: None if is_quantized(now.get(name)) and not is_quantized(value) else value
            for name, value in patch[EMBEDDERS].items()
        }
    return patch


def _patch(seen: Settings, target: Settings, keys: set[str]) -> dict[str, Any]:
    if "stopWords" in keys and "synonyms" in target:
        keys = keys | {"synonyms"}
    patch = {key: target[key] for key in _ordered(target) if key in keys}
    if isinstance(patch.get(EMBEDDERS), Mapping):
        patch[EMBEDDERS] = _whole_embedders(seen.get(EMBEDDERS) or {}, patch[EMBEDDERS])
    if CHAT in patch:
        patch[CHAT] = whole_chat(seen.get(CHAT) or {}, patch[CHAT] or {})
    return patch


def _whole_embedders(seen: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Embedders are merged by name and field: what shall go has to be named."""
    return {
        **dict.fromkeys(seen),
        **{name: _whole_embedder(seen.get(name), value) for name, value in wanted.items()},
    }


def _whole_embedder(seen: Any, wanted: Any) -> Any:
    if not isinstance(seen, Mapping) or not isinstance(wanted, Mapping):
        return wanted
    allowed = EMBEDDER_FIELDS.get(wanted.get("source") or "", frozenset())
    if "apiKey" in seen and "apiKey" not in wanted and "apiKey" not in allowed:
        return (
            None  # It would be kept, and refused. This round removes it, the next makes it anew.
        )
    gone = {field: None for field in seen if field not in wanted and field in allowed}
    whole = {**gone, **wanted}
    if is_quantized(seen) and not is_quantized(wanted):
        whole["binaryQuantized"] = False  # The engine says no; null would leave it broken.
    for key in FRAGMENTS:
        if isinstance(whole.get(key), Mapping):
            whole[key] = {**dict.fromkeys(seen.get(key) or {}), **whole[key]}
    return whole


def same(one: Settings, other: Settings) -> bool:
    """Whether both lead nodes to the same settings, true secrets included."""
    return _ordered(one) == _ordered(other) and all(
        exact(key, one[key]) == exact(key, other[key]) for key in one
    )


def adopted(read_back: Settings, target: Settings) -> dict[str, Any]:
    """Return what was observed as the new desired settings, with the true secrets of `target`."""
    desired = dict(read_back)
    for key, setting in BY_KEY.items():
        if setting.hidden and key in target and key not in desired:
            desired[key] = target[key]
    wanted = target.get(EMBEDDERS)
    shown = read_back.get(EMBEDDERS)
    if isinstance(wanted, Mapping) and isinstance(shown, Mapping):
        desired[EMBEDDERS] = {
            name: {**value, **({"apiKey": wanted[name]["apiKey"]}
                               if "apiKey" in value and (wanted.get(name) or {}).get("apiKey")
                               else {})}
            for name, value in shown.items()
        }  # fmt: skip
    return desired


def shown(settings: Settings) -> dict[str, Any]:
    """Return settings as a node would show them: embedder keys masked."""
    answer = dict(settings)
    if isinstance(answer.get(EMBEDDERS), Mapping):
        answer[EMBEDDERS] = masked_embedders(answer[EMBEDDERS])
    return answer


def diff(old: Settings, new: Settings) -> dict[str, list[Any]]:
    """Return key -> [old, new] for what changes, secrets masked, in the order of the table."""
    before, after = discreet(old), discreet(new)
    return {
        key: [before.get(key), after.get(key)]
        for key in _ordered({**before, **after})
        if normal(key, old.get(key)) != normal(key, new.get(key))
    }


def _ordered(settings: Iterable[str]) -> tuple[str, ...]:
    known = [key for key in BY_KEY if key in settings]
    return (*known, *sorted(set(settings) - set(known)))
