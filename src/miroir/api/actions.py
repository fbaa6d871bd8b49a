"""
What a key must be allowed to do for each public route: Meilisearch's action, route by route.

A route of Miroir's that Meilisearch has too asks for what Meilisearch asks for, also one that is
not offered: who may not use it learns that first. A route that is not here opens with the master
key alone.
"""

from collections.abc import Mapping
from typing import Final

_INDEX: Final = "/indexes/{uid}"
_DOCUMENTS: Final = f"{_INDEX}/documents"
_CHAT: Final = "/chats/{workspace}"
_RULES: Final = "/dynamic-search-rules"

_ACTIONS: Final[Mapping[tuple[str, str], str]] = {
    ("GET", "/indexes"): "indexes.get",
    ("POST", "/indexes"): "indexes.create",
    ("GET", _INDEX): "indexes.get",
    ("PATCH", _INDEX): "indexes.update",
    ("DELETE", _INDEX): "indexes.delete",
    ("POST", "/swap-indexes"): "indexes.swap",
    ("GET", f"{_INDEX}/stats"): "stats.get",
    ("GET", "/stats"): "stats.get",
    ("GET", "/version"): "version",
    ("GET", f"{_INDEX}/search"): "search",
    ("POST", f"{_INDEX}/search"): "search",
    ("POST", "/multi-search"): "search",
    ("POST", f"{_INDEX}/facet-search"): "search",
    ("GET", f"{_INDEX}/similar"): "search",
    ("POST", f"{_INDEX}/similar"): "search",
    ("GET", _DOCUMENTS): "documents.get",
    ("POST", f"{_DOCUMENTS}/fetch"): "documents.get",
    ("GET", f"{_DOCUMENTS}/{{id}}"): "documents.get",
    ("POST", _DOCUMENTS): "documents.add",
    ("PUT", _DOCUMENTS): "documents.add",
    ("DELETE", _DOCUMENTS): "documents.delete",
    ("DELETE", f"{_DOCUMENTS}/{{id}}"): "documents.delete",
    ("POST", f"{_DOCUMENTS}/delete"): "documents.delete",
    ("POST", f"{_DOCUMENTS}/delete-batch"): "documents.delete",
    ("POST", f"{_DOCUMENTS}/edit"): "documents.*",
    ("POST", f"{_INDEX}/fields"): "fields.post",
    ("POST", f"{_INDEX}/compact"): "indexes.compact",
    ("GET", "/tasks"): "tasks.get",
    ("GET", "/tasks/{task}"): "tasks.get",
    ("POST", "/tasks/cancel"): "tasks.cancel",
    ("DELETE", "/tasks"): "tasks.delete",
    ("GET", "/batches"): "tasks.get",
    ("GET", "/batches/{batch}"): "tasks.get",
    ("GET", "/webhooks"): "webhooks.get",
    ("POST", "/webhooks"): "webhooks.create",
    ("GET", "/webhooks/{webhook}"): "webhooks.get",
    ("PATCH", "/webhooks/{webhook}"): "webhooks.update",
    ("DELETE", "/webhooks/{webhook}"): "webhooks.delete",
    ("POST", "/render-template"): "settings.get",
    ("GET", "/keys"): "keys.get",
    ("POST", "/keys"): "keys.create",
    ("GET", "/keys/{key}"): "keys.get",
    ("PATCH", "/keys/{key}"): "keys.update",
    ("DELETE", "/keys/{key}"): "keys.delete",
    ("GET", "/experimental-features"): "experimental.get",
    ("PATCH", "/experimental-features"): "experimental.update",
    # Not offered (public_system.py).
    ("GET", "/tasks/{task}/documents"): "tasks.get",
    ("POST", "/tasks/compact"): "tasks.compact",
    ("POST", "/dumps"): "dumps.create",
    ("POST", "/snapshots"): "snapshots.create",
    ("POST", "/export"): "export",
    ("GET", "/metrics"): "metrics.get",
    ("GET", "/network"): "network.get",
    ("PATCH", "/network"): "network.update",
    ("POST", "/network/control"): "network.update",
    ("POST", "/logs/stream"): "metrics.get",
    ("DELETE", "/logs/stream"): "metrics.get",
    ("POST", "/logs/stderr"): "metrics.get",
    ("GET", "/chats"): "chats.get",
    ("GET", _CHAT): "chats.get",
    ("DELETE", _CHAT): "chats.delete",
    ("GET", f"{_CHAT}/settings"): "chatsSettings.get",
    ("PATCH", f"{_CHAT}/settings"): "chatsSettings.update",
    ("DELETE", f"{_CHAT}/settings"): "chatsSettings.update",
    ("POST", f"{_CHAT}/chat/completions"): "chatCompletions",
    ("POST", _RULES): "dynamicSearchRules.get",
    ("DELETE", _RULES): "dynamicSearchRules.delete",
    ("GET", f"{_RULES}/{{rule}}"): "dynamicSearchRules.get",
    ("PATCH", f"{_RULES}/{{rule}}"): "dynamicSearchRules.update",
    ("DELETE", f"{_RULES}/{{rule}}"): "dynamicSearchRules.delete",
}
_SECOND: Final[Mapping[tuple[str, str], str]] = {("POST", "/render-template"): "documents.get"}
_CREATE: Final = frozenset({"documents.add", "settings.update"})


def action_of(method: str, pattern: str) -> str | None:
    """Return the action that a route asks for; None: it takes the master key alone."""
    if pattern.startswith(f"{_INDEX}/settings"):
        return "settings.get" if method == "GET" else "settings.update"
    return _ACTIONS.get((method, pattern))


def second_action_of(method: str, pattern: str) -> str | None:
    """Return the action that a route asks for besides its first; None, as nearly always."""
    return _SECOND.get((method, pattern))


def may_create(action: str) -> bool:
    """Whether a route of this action makes an index that is not there."""
    return action in _CREATE
