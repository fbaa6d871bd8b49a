"""
What a key may be allowed to do: the list of actions, and what the collective ones stand for.

Source: Meilisearch 1.50, meilisearch-types/src/keys.rs and meilisearch-auth/src/store.rs.
"""

from collections.abc import Iterable
from typing import Final

ACTIONS: Final = (
    "*", "search", "documents.*", "documents.add", "documents.get", "documents.delete",
    "indexes.*", "indexes.create", "indexes.get", "indexes.update", "indexes.delete",
    "indexes.swap", "tasks.*", "tasks.cancel", "tasks.delete", "tasks.get", "settings.*",
    "settings.get", "settings.update", "stats.*", "stats.get", "metrics.*", "metrics.get",
    "dumps.*", "dumps.create", "snapshots.*", "snapshots.create", "version", "keys.create",
    "keys.get", "keys.update", "keys.delete", "experimental.get", "experimental.update", "export",
    "network.get", "network.update", "chatCompletions", "chats.*", "chats.get", "chats.delete",
    "chatsSettings.*", "chatsSettings.get", "chatsSettings.update", "*.get", "webhooks.get",
    "webhooks.update", "webhooks.delete", "webhooks.create", "webhooks.*", "indexes.compact",
    "fields.post", "tasks.compact", "dynamicSearchRules.get", "dynamicSearchRules.create",
    "dynamicSearchRules.update", "dynamicSearchRules.delete", "dynamicSearchRules.*",
)  # fmt: skip
_COLLECTIVE: Final = frozenset(name for name in ACTIONS if name.endswith("*"))
_SINGLE: Final = frozenset(ACTIONS) - _COLLECTIVE - {"*.get"}
# `*.get` reads everything except keys, which a read-only key lists separately.
_READS: Final = frozenset(
    name for name in _SINGLE if name.endswith(".get") and name != "keys.get"
) | {"search", "export", "version", "fields.post"}
# Routes without an index in their path that look at the key's indexes themselves.
CHECKED_BY_ROUTE: Final = frozenset({
    "documents.get", "search", "indexes.create", "indexes.get", "indexes.swap", "tasks.cancel",
    "tasks.delete", "tasks.get", "settings.get", "stats.get", "chatCompletions",
})  # fmt: skip
_OF_ONE_INDEX: Final = frozenset({
    "documents.add", "documents.delete", "indexes.update", "indexes.delete", "indexes.compact",
    "fields.post", "settings.update",
})  # fmt: skip
_WITH_INDEXES: Final = frozenset({
    "*", "*.get", "documents.*", "indexes.*", "tasks.*", "settings.*", "stats.*",
})  # fmt: skip


def is_global(action: str) -> bool:
    """Return whether a key for some indexes only cannot have this action."""
    return action not in CHECKED_BY_ROUTE | _OF_ONE_INDEX | _WITH_INDEXES


def expanded(actions: Iterable[str]) -> frozenset[str]:
    """Return the single actions that a list of actions allows."""
    allowed: set[str] = set()
    for action in actions:
        if action == "*":
            allowed |= _SINGLE | _COLLECTIVE
        elif action == "*.get":
            allowed |= _READS
        elif action.endswith(".*"):
            # The name itself too: editing documents by function asks for `documents.*`.
            allowed |= {name for name in _SINGLE if name.startswith(action[:-1])}
        else:
            allowed.add(action)
    return frozenset(allowed)
