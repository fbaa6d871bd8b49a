"""
Normal forms: when are two values of a setting the same? And what must not be shown?

Nodes store some values in another form than they were sent: sets are sorted, `*` swallows a list,
stop words are decomposed (but stop only what is spelt like them), two-letter locales become
three-letter ones (source: Meilisearch 1.50, milli/src/update/settings.rs). `normal` brings both
sides to one form; `canonical` is the form that is hashed. Malformed values are returned as they
are: judging them is the node's business.
"""

import struct
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from miroir.core.settings_locales import ISO_639_3

Settings = Mapping[str, Any]
"""A settings object."""

EMBEDDERS: Final = "embedders"
_ANY_SOURCE: Final = frozenset({"source", "distribution", "binaryQuantized"})
EMBEDDER_TEMPLATE: Final = frozenset({"documentTemplate", "documentTemplateMaxBytes"})
EMBEDDER_KEPT: Final = frozenset({"apiKey", "distribution", "binaryQuantized"})
"""What an embedder keeps when its source changes; its template only where the new one has it."""
_TEMPLATE: Final = _ANY_SOURCE | EMBEDDER_TEMPLATE
EMBEDDER_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "openAi": _TEMPLATE | {"model", "apiKey", "dimensions", "url"},
    "huggingFace": _TEMPLATE | {"model", "revision", "pooling"},
    "ollama": _TEMPLATE | {"model", "url", "apiKey", "dimensions"},
    "userProvided": _ANY_SOURCE | {"dimensions"},
    "rest": _TEMPLATE
    | {
        "apiKey",
        "dimensions",
        "url",
        "request",
        "response",
        "headers",
        "indexingFragments",
        "searchFragments",
    },
    "composite": _ANY_SOURCE | {"searchEmbedder", "indexingEmbedder"},
}
"""Source -> fields that it has; naming another one is refused (milli/src/vector/settings.rs)."""
_SETS: Final = frozenset(
    {"sortableAttributes", "nonSeparatorTokens", "separatorTokens", "dictionary"}
)
_STARRED: Final = frozenset({"displayedAttributes", "searchableAttributes"})


def canonical(read_back: Settings) -> dict[str, Any]:
    """Return a read-back with sets sorted and masked secrets taken out, ready to be hashed."""
    form = {key: _sorted_sets(key, value) for key, value in read_back.items()}
    if isinstance(form.get(EMBEDDERS), Mapping):
        form[EMBEDDERS] = {
            name: {k: v for k, v in value.items() if k != "apiKey"}
            if isinstance(value, Mapping)
            else value
            for name, value in form[EMBEDDERS].items()
        }
    return form


def _sorted_sets(key: str, value: Any) -> Any:
    if (key in _SETS or key == "stopWords") and _is_texts(value):
        return sorted(value)
    if key == "typoTolerance" and isinstance(value, Mapping):
        return {
            k: sorted(v) if k.startswith("disableOn") and _is_texts(v) else v
            for k, v in value.items()
        }
    return value


def normal(key: str, value: Any) -> Any:
    """Return a value in the form in which equal settings are equal."""
    if key in _STARRED and _is_texts(value):
        return ["*"] if "*" in value else list(dict.fromkeys(value))
    if key in _SETS and _is_texts(value):
        return sorted(set(value))
    if key == "stopWords" and _is_texts(value):
        return sorted({unicodedata.normalize("NFKD", word) for word in value})
    if key == "filterableAttributes" and isinstance(value, list):
        return [granular(rule) for rule in value]
    if key == "localizedAttributes" and isinstance(value, list):
        return [_localized(rule) for rule in value]
    if key == "typoTolerance" and isinstance(value, Mapping):
        return _typos(value)
    if key == "faceting" and isinstance(value, Mapping):
        order = value.get("sortFacetValuesBy")
        if isinstance(order, Mapping):
            return {**value, "sortFacetValuesBy": {"*": "alpha", **order}}
    return value


def exact(key: str, value: Any) -> bytes:
    """Return the normal form as text: `1` is not `true`, and `1000.0` no number of hits."""
    return msgspec.json.encode(normal(key, value), order="sorted")


def plain_words(key: str, value: Any) -> Any:
    """Return a value with nothing left of lists of words but whether there are any."""
    if key == "stopWords" and _is_texts(value):
        return bool(value)
    if key == "typoTolerance" and isinstance(value, Mapping):
        form = _typos(value)
        return {**form, "disableOnWords": bool(form.get("disableOnWords"))}
    return normal(key, value)


def _without_accents(words: list[str]) -> list[str]:
    """A node keeps these words as it compares them: in lower case, without accents."""
    folded = (unicodedata.normalize("NFKD", word).casefold() for word in words)
    return sorted({"".join(c for c in w if unicodedata.category(c) != "Mn") for w in folded})


def _typos(value: Mapping[str, Any]) -> dict[str, Any]:
    form = dict(value)
    if _is_texts(form.get("disableOnWords")):
        form["disableOnWords"] = _without_accents(form["disableOnWords"])
    if _is_texts(form.get("disableOnAttributes")):
        form["disableOnAttributes"] = sorted(set(form["disableOnAttributes"]))
    return form


def granular(rule: Any) -> Any:
    """Fill in the default features of an object rule; a string rule stays a string."""
    if not isinstance(rule, Mapping):
        return rule
    features = rule.get("features") or {}
    if not isinstance(features, Mapping):
        return rule
    given = features.get("filter") or {}
    filled = {
        "equality": True,
        "comparison": False,
        **(given if isinstance(given, Mapping) else {}),
    }
    return {
        **rule,
        "features": {"facetSearch": False, **features, "filter": filled},
    }


def _localized(rule: Any) -> Any:
    if not isinstance(rule, Mapping) or not _is_texts(rule.get("locales")):
        return rule
    return {**rule, "locales": [ISO_639_3.get(code, code) for code in rule["locales"]]}


def embedders_fit(wanted: Any, seen: Any) -> bool:
    """Whether the node shows every embedder wanted, and no other, with all fields as set."""
    if not isinstance(wanted, Mapping) or not isinstance(seen, Mapping):
        return bool(wanted == seen)
    names = {name for name, value in wanted.items() if value is not None}
    return names == set(seen) and all(_embedder_fits(wanted[n], seen[n]) for n in names)


def _embedder_fits(wanted: Any, seen: Any) -> bool:
    if not isinstance(wanted, Mapping) or not isinstance(seen, Mapping):
        return bool(wanted == seen)
    for field, value in wanted.items():
        if value is None:
            continue  # Reset: the node shows nothing or its default.
        if field == "apiKey":
            if seen.get(field) not in {value, masked(str(value))}:
                return False
        elif _rounded(value) != _rounded(seen.get(field)):
            return False
    return True


def _rounded(value: Any) -> Any:
    """Floats as a node keeps them, in 32 bits."""
    if isinstance(value, float):
        return struct.unpack("f", struct.pack("f", value))[0]
    if isinstance(value, Mapping):
        return {k: _rounded(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return value


def masked_embedders(embedders: Settings) -> dict[str, Any]:
    """Return embedders with their keys masked as a node masks them."""
    return {
        name: {**value, "apiKey": masked(str(value["apiKey"]))}
        if isinstance(value, Mapping) and value.get("apiKey") is not None
        else value
        for name, value in embedders.items()
    }


def masked(secret: str) -> str:
    """Return what a node shows of a key (source: meilisearch-types/src/settings.rs, 1.50)."""
    if len(secret) < 10:
        return "XXX..."
    if len(secret) < 20:
        return secret[:2] + "XXXX..."
    if len(secret) < 30:
        return secret[:3] + "XXXXX..."
    return secret[:5] + "XXXXXX..."


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def has_secrets(settings: Settings) -> bool:
    """Whether nodes hide a part of these settings."""
    embedders = settings.get(EMBEDDERS)
    return isinstance(embedders, Mapping) and any(
        isinstance(value, Mapping) and value.get("apiKey") is not None
        for value in embedders.values()
    )


def says_null(value: object) -> bool:
    """Whether anything in a patch is reset: then it matters what engines have by default."""
    inner = value.values() if isinstance(value, Mapping) else ()
    return value is None or any(says_null(each) for each in inner)
