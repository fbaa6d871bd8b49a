"""
The setting `chat`: when is it as wanted, and what brings a node there.

Merged deeply by nodes, and shown complete while its feature is on. What is wanted may lack fields:
those are at the engine's own default. Of the template that default is the engine's affair; what is
known of the others is the same for all (source: Meilisearch 1.50, milli/src/update/settings.rs).
"""

from collections.abc import Mapping
from typing import Any, Final

CHAT: Final = "chat"
_AT_REST: Final[Mapping[str, Any]] = {
    "description": "",
    "documentTemplateMaxBytes": 400,
    "searchParameters": {},
}
CHAT_FIELDS: Final = frozenset({*_AT_REST, "documentTemplate"})

Chat = Mapping[str, Any]


def chat_fits(wanted: Chat, seen: Chat) -> bool:
    """Whether what a node shows is what is wanted."""
    said = all(seen.get(field) == value for field, value in wanted.items())
    return said and all(
        seen.get(field, value) == value for field, value in _AT_REST.items() if field not in wanted
    )


def whole_chat(seen: Chat, wanted: Chat) -> dict[str, Any] | None:
    """Return what to send: whole, with null for what shall go; None resets everything."""
    if not wanted:
        return None
    whole = {**{field: None for field in seen if field not in wanted}, **wanted}
    parameters, before = whole.get("searchParameters"), seen.get("searchParameters")
    if isinstance(parameters, Mapping) and isinstance(before, Mapping):
        whole["searchParameters"] = {**dict.fromkeys(before), **parameters}
    return whole
