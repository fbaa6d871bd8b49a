"""Routes of the node itself: health, version, experimental features; and what is left out."""

from collections.abc import Callable
from typing import Final

from miroir.node.errors import ApiError
from miroir.node.features import parse_features, require_feature
from miroir.node.http import Response, answer
from miroir.node.routes.base import Call, Route

PKG_VERSION: Final = "1.50.0"


def _health(_call: Call) -> Response:
    return answer({"status": "available"})


def _root(_call: Call) -> Response:
    return answer({"status": "Meilisearch is running"})


def _version(_call: Call) -> Response:
    # Clients parse the version; that this is the embedded node is said in a header instead.
    return answer({"commitSha": "unknown", "commitDate": "unknown", "pkgVersion": PKG_VERSION})


def _features(call: Call) -> Response:
    return answer(call.node.features)


def _set_features(call: Call) -> Response:
    return answer(call.node.set_features(parse_features(call.request.json())))


def _absent(what: str, feature: str | None = None, action: str = "") -> Callable[[Call], Response]:
    """Return a handler that says that something is not in this node."""

    def refuse(call: Call) -> Response:
        if feature is not None:
            require_feature(call.node.features, feature, action)
        message = f"{what} not available in the embedded node. Use a Meilisearch binary instead."
        raise ApiError("feature_not_enabled", message)

    return refuse


_dumps = _absent("Dumps are")
_snapshots = _absent("Snapshots are")
_network = _absent("The network is", "network", "Using the /network route")
_metrics = _absent("Metrics are", "metrics", "Getting metrics")
_logs = _absent("Logs are", "logsRoute", "Modifying logs through the `/logs/*` routes")
_chats = _absent("Chats are", "chatCompletions", "listing the chats")
_chat = _absent("Chats are", "chatCompletions", "using the /chats/completions route")
_chat_settings = _absent("Chats are", "chatCompletions", "using the /chats/settings route")
_export = _absent("Exports are")
_list_rules = _absent(
    "Dynamic search rules are",
    "dynamicSearchRules",
    "Calling the `POST /dynamic-search-rules` route",
)
_rules = _absent(
    "Dynamic search rules are", "dynamicSearchRules", "Using the `/dynamic-search-rules` routes"
)
_queue = _absent(
    "Compaction of the task queue is", "taskQueueCompactionRoute", "Using the /tasks/compact route"
)
_WORKSPACE: Final = "/chats/{workspace}"
_RULE: Final = "/dynamic-search-rules/{rule}"

ROUTES: Final = (
    Route("GET", "/", None, _root),
    Route("GET", "/health", None, _health),
    Route("GET", "/version", "version", _version),
    Route("GET", "/experimental-features", "experimental.get", _features),
    Route("PATCH", "/experimental-features", "experimental.update", _set_features, "write"),
    Route("POST", "/dumps", "dumps.create", _dumps),
    Route("POST", "/snapshots", "snapshots.create", _snapshots),
    Route("GET", "/network", "network.get", _network),
    Route("PATCH", "/network", "network.update", _network),
    Route("POST", "/network/control", "network.update", _network),
    Route("GET", "/metrics", "metrics.get", _metrics),
    Route("POST", "/logs/stream", "metrics.get", _logs),
    Route("DELETE", "/logs/stream", "metrics.get", _logs),
    Route("POST", "/logs/stderr", "metrics.get", _logs),
    Route("GET", "/chats", "chats.get", _chats),
    Route("GET", _WORKSPACE, "chats.get", _chats),
    Route("DELETE", _WORKSPACE, "chats.delete", _chats),
    Route("POST", f"{_WORKSPACE}/chat/completions", "chatCompletions", _chat),
    Route("GET", f"{_WORKSPACE}/settings", "chatsSettings.get", _chat_settings),
    Route("PATCH", f"{_WORKSPACE}/settings", "chatsSettings.update", _chat_settings),
    Route("DELETE", f"{_WORKSPACE}/settings", "chatsSettings.update", _chat_settings),
    Route("POST", "/export", "export", _export),
    Route("POST", "/tasks/compact", "tasks.compact", _queue),
    Route("POST", "/dynamic-search-rules", "dynamicSearchRules.get", _list_rules),
    Route("DELETE", "/dynamic-search-rules", "dynamicSearchRules.delete", _rules),
    Route("GET", _RULE, "dynamicSearchRules.get", _rules),
    Route("PATCH", _RULE, "dynamicSearchRules.update", _rules),
    Route("DELETE", _RULE, "dynamicSearchRules.delete", _rules),
)
