"""
The setting `embedders`: its check, and which fields each source may, must and must not have.

The node keeps and shows embedders as Meilisearch does, but never calls one. Sources: milli 1.50,
vector/settings.rs (`field_status`) and update/settings.rs (`validate_embedding_settings`).
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from miroir.node.errors import ApiError
from miroir.node.features import require_feature
from miroir.node.settings.chat import DOCUMENT_TEMPLATE, TEMPLATE_BYTES_MAX
from miroir.node.validate import (
    Member,
    Place,
    anything,
    boolean,
    listed,
    mapping,
    nullable,
    number,
    one_of,
    string,
    struct,
    unsigned,
)

CODE: Final = "invalid_settings_embedders"
FIELDS: Final = (
    "source", "model", "revision", "pooling", "apiKey", "dimensions", "documentTemplate",
    "documentTemplateMaxBytes", "url", "indexingFragments", "searchFragments", "request",
    "response", "headers", "searchEmbedder", "indexingEmbedder", "distribution",
    "binaryQuantized",
)  # fmt: skip
# Errors list the fields in one order, answers show them in another.
FIELDS_SHOWN: Final = (*FIELDS[:6], "binaryQuantized", *FIELDS[6:-1])
SOURCES: Final = ("openAi", "huggingFace", "ollama", "userProvided", "rest", "composite")
_EVERYWHERE: Final = frozenset({"source", "distribution", "binaryQuantized"})
TEMPLATE: Final = frozenset({"documentTemplate", "documentTemplateMaxBytes"})
# What an embedder keeps when its source changes, next to a template where the new source has one;
# an `apiKey` that the new source does not have is then refused by the task.
KEPT: Final = frozenset({"apiKey", "distribution", "binaryQuantized"})
_MANDATORY: Final[dict[str, tuple[str, ...]]] = {
    "ollama": ("model",),
    "userProvided": ("dimensions",),
    "rest": ("url", "request", "response"),
    "composite": ("searchEmbedder", "indexingEmbedder"),
}
ALLOWED: Final[dict[str, frozenset[str]]] = {
    "openAi": _EVERYWHERE | TEMPLATE | {"model", "apiKey", "dimensions", "url"},
    "huggingFace": _EVERYWHERE | TEMPLATE | {"model", "revision", "pooling"},
    "ollama": _EVERYWHERE | TEMPLATE | {"model", "url", "apiKey", "dimensions"},
    "userProvided": _EVERYWHERE | {"dimensions"},
    "rest": _EVERYWHERE | TEMPLATE
    | {"apiKey", "dimensions", "url", "request", "response", "headers", "indexingFragments",
       "searchFragments"},
    "composite": _EVERYWHERE | {"searchEmbedder", "indexingEmbedder"},
}  # fmt: skip
_NEEDS_FEATURE: Final = {
    "searchEmbedder": ("compositeEmbedders", "setting `searchEmbedder`"),
    "indexingEmbedder": ("compositeEmbedders", "setting `indexingEmbedder`"),
    "indexingFragments": ("multimodal", "setting `indexingFragments`"),
    "searchFragments": ("multimodal", "setting `searchFragments`"),
}
_OLLAMA_ENDINGS: Final = ("/api/embed", "/api/embeddings")


def _distribution(value: Any, place: Place) -> dict[str, float]:
    checked: dict[str, float] = struct(
        mean=Member(number, required=True), sigma=Member(number, required=True)
    )(value, place)
    mean, sigma = checked["mean"], checked["sigma"]
    if not 0 <= mean <= 1:
        raise place.invalid(f"the distribution mean must be in the range [0, 1], got {mean:g}")
    if not 0 < sigma <= 1:
        raise place.invalid(f"the distribution sigma must be in the range ]0, 1], got {sigma:g}")
    return checked


_fragments: Final = mapping(nullable(struct(value=Member(anything, required=True))))
_shared: Final[dict[str, Member]] = {
    "source": Member(nullable(one_of(*SOURCES))),
    "model": Member(nullable(string)),
    "revision": Member(nullable(string)),
    "pooling": Member(nullable(one_of("useModel", "forceCls", "forceMean"))),
    "apiKey": Member(nullable(string)),
    "dimensions": Member(nullable(unsigned())),
    "binaryQuantized": Member(nullable(boolean)),
    "documentTemplate": Member(nullable(string)),
    "documentTemplateMaxBytes": Member(nullable(unsigned())),
    "url": Member(nullable(string)),
    "indexingFragments": Member(nullable(_fragments)),
    "searchFragments": Member(nullable(_fragments)),
    "request": Member(nullable(anything)),
    "response": Member(nullable(anything)),
    "headers": Member(nullable(mapping(string))),
}
_nested: Final = struct(
    **{name: member for name, member in _shared.items() if name != "binaryQuantized"},
    distribution=Member(nullable(_distribution)),
    binaryQuantized=_shared["binaryQuantized"],
    searchEmbedder=Member(nullable(anything)),
    indexingEmbedder=Member(nullable(anything)),
)
_embedder: Final = struct(
    **_shared,
    searchEmbedder=Member(nullable(_nested)),
    indexingEmbedder=Member(nullable(_nested)),
    distribution=Member(nullable(_distribution)),
)
embedders: Final = mapping(nullable(_embedder))


def require_valid(patch: Mapping[str, Any], features: Mapping[str, bool]) -> None:
    """
    Refuse what can be refused without knowing the stored embedders.

    Raises:
        ApiError: `feature_not_enabled` or `invalid_settings_embedders`.
    """
    for embedder in patch.values():
        if embedder is None:
            continue
        if embedder.get("source") == "composite":
            require_feature(features, "compositeEmbedders", 'using `"composite"` as source')
        for name, (feature, action) in _NEEDS_FEATURE.items():
            if embedder.get(name) is not None:
                require_feature(features, feature, action)
    for name, embedder in patch.items():
        if embedder is not None:
            _require_plausible(name, embedder)
            if embedder.get("source") is not None:
                require_fields(name, embedder, embedder["source"])
            for role in _ROLES:
                if embedder.get(role) is not None:
                    _require_nested(name, role, embedder[role])


def _require_plausible(name: str, embedder: Mapping[str, Any]) -> None:
    if embedder.get("documentTemplate") is not None:
        require_not_zero(name, "documentTemplateMaxBytes", embedder)
    require_not_zero(name, "dimensions", embedder)
    url = embedder.get("url")
    if url is not None and not urlsplit(url).scheme:
        reason = "relative URL without a base"
        raise ApiError(CODE, f"`.embedders.{name}.url`: could not parse `{url}`: {reason}")


def require_not_zero(name: str, key: str, embedder: Mapping[str, Any]) -> None:
    """Refuse an embedder with a zero where there may be none (`invalid_settings_embedders`)."""
    if embedder.get(key) == 0:
        raise ApiError(CODE, f"`.embedders.{name}.{key}`: `{key}` cannot be zero")


def require_fields(name: str, embedder: Mapping[str, Any], source: str) -> None:
    """
    Refuse fields that the source does not have, and missing ones that it needs.

    Raises:
        ApiError: `invalid_settings_embedders`.
    """
    for key in FIELDS:
        if key in embedder and key not in ALLOWED[source]:
            raise ApiError(CODE, _unavailable(name, key, source))
        if key in _MANDATORY.get(source, ()) and embedder.get(key) is None:
            message = f"`.embedders.{name}`: Missing field `{key}` "
            note = f"(note: this field is mandatory for source `{source}`)"
            raise ApiError(CODE, message + note)


def _unavailable(name: str, key: str, source: str) -> str:
    having = [other for other in SOURCES if key in ALLOWED[other]]
    fields = [field for field in FIELDS if field in ALLOWED[source]]
    sentence = f"`.embedders.{name}`: Field `{key}` unavailable for source `{source}`."
    if having:
        sentence += f"\n  - note: `{key}` is available for sources: {listed(having)}"
    return f"{sentence}\n  - note: available fields for source `{source}`: {listed(fields)}"


_ROLES: Final = {
    "searchEmbedder": ("search", TEMPLATE | {"indexingFragments"}),
    "indexingEmbedder": ("indexing", {"searchFragments"}),
}
"""The parts of a composite embedder: what each is called, and which fields it has no use for."""


def _require_nested(name: str, role: str, embedder: Mapping[str, Any]) -> None:
    """Refuse a part of a composite embedder that cannot be one."""
    source = embedder.get("source")
    if source is None:
        message = f"`.embedders.{name}.{role}`: Missing field `source`."
        raise ApiError(CODE, f"{message}\n  - note: this field is mandatory for nested embedders")
    if source in ("userProvided", "composite"):
        message = f"Source `{source}` is not available in a nested embedder"
        raise ApiError(CODE, f"`.embedders.{name}.{role}.source`: {message}")
    for key in FIELDS:
        if key in embedder and key not in _allowed_nested(source, role):
            raise ApiError(CODE, _unavailable_nested(name, role, key, source))
        if key in _MANDATORY.get(source, ()) and embedder.get(key) is None:
            message = f"`.embedders.{name}`: Missing field `{key}` "
            note = f"(note: this field is mandatory for source `{source}`)"
            raise ApiError(CODE, message + note)


def _allowed_nested(source: str, role: str) -> frozenset[str]:
    return ALLOWED[source] - {"distribution", "binaryQuantized"} - _ROLES[role][1]


def _unavailable_nested(name: str, role: str, key: str, source: str) -> str:
    place = f"for the {_ROLES[role][0]} embedder"
    having = [other for other in SOURCES if key in _allowed_nested(other, role)]
    fields = [field for field in FIELDS if field in _allowed_nested(source, role)]
    lines = [
        f"`.embedders.{name}.{role}`: Field `{key}` unavailable for source `{source}` {place}."
    ]
    if having:
        lines.append(f"`{key}` is available for sources: {listed(having)}")
    lines.append(f"available fields for source `{source}` {place}: {listed(fields)}")
    if key in ALLOWED[source]:
        lines.append(f"`{key}` is available when source `{source}` is not {place}")
    return "\n  - note: ".join(lines)


def require_usable(embedder: Mapping[str, Any]) -> None:
    """
    Refuse what only the task of a real node finds out, as far as that needs no network.

    Raises:
        ApiError: `vector_embedding_error`.
    """
    url = embedder.get("url")
    if embedder["source"] == "ollama" and url and not url.endswith(_OLLAMA_ENDINGS):
        raise ApiError(
            "vector_embedding_error",
            "Error while generating embeddings: user error: unsupported Ollama URL.\n"
            "  - For `ollama` sources, the URL must end with `/api/embed` or `/api/embeddings`\n"
            f"  - Got `{url}`",
        )


def shown_embedder(embedder: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored embedder with the defaults of its source filled in."""
    source = embedder["source"]
    defaults: dict[str, Any] = {}
    if source in {"openAi", "huggingFace", "ollama"} or (
        source == "rest" and not embedder.get("indexingFragments")
    ):
        defaults["documentTemplate"] = DOCUMENT_TEMPLATE
        defaults["documentTemplateMaxBytes"] = TEMPLATE_BYTES_MAX
    defaults |= _SOURCE_DEFAULTS.get(source, {})
    values = {**defaults, **embedder}
    return {key: values[key] for key in FIELDS_SHOWN if values.get(key) is not None}


_SOURCE_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "openAi": {"model": "text-embedding-3-small"},
    "huggingFace": {
        "model": "BAAI/bge-base-en-v1.5",
        "revision": "617ca489d9e86b49b8167676d8220688b99db36e",
        "pooling": "useModel",
    },
    "rest": {"headers": {}},
}


def masked(embedder: Mapping[str, Any]) -> dict[str, Any]:
    """Return an embedder with its `apiKey` made unreadable, as Meilisearch shows it."""
    secret = embedder.get("apiKey")
    if secret is None:
        return dict(embedder)
    return {**embedder, "apiKey": hidden(secret)}


def hidden(secret: str) -> str:
    """Return a secret with all but its first few characters replaced."""
    raw = secret.encode()
    kept, mark = next((kept, mark) for limit, kept, mark in _MASKS if len(raw) < limit)
    while kept < len(raw) and raw[kept] & 0xC0 == 0x80:
        kept += 1  # never in the middle of a character
    return raw[:kept].decode() + mark


_MASKS: Final = (
    (10, 0, "XXX..."),
    (20, 2, "XXXX..."),
    (30, 3, "XXXXX..."),
    (1 << 62, 5, "XXXXXX..."),
)
