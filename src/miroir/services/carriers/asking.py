"""
Requests to a node that answer at once, without a task: experimental features and API keys.

An answer is read strictly, as in every typed call to a node: 4xx with an error object is
`NodeRefused`, anything else that is not what Meilisearch answers is `NodeUnreachable`. No value of
a key comes into an error.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from miroir.core.features import Features
from miroir.core.keys import Definition, Step
from miroir.core.topology import NodeId
from miroir.errors import NodeRefused, NodeUnreachable
from miroir.ports.node import NodeControl, NodeRequest

_FEATURES: Final = "/experimental-features"
_PAGE: Final = 1000
_PAGES_MAX: Final = 100


async def read_features(control: NodeControl, node_id: NodeId) -> Features:
    """Return the experimental features that a node knows; a node without the route knows none."""
    reply = await control.forward(node_id, NodeRequest("GET", _FEATURES))
    if reply.status in {404, 405}:
        return {}
    flags = _judged(node_id, reply.status, reply.body)
    if not isinstance(flags, dict) or not all(isinstance(on, bool) for on in flags.values()):
        raise _unexpected(node_id, "no object of flags")
    return flags


async def set_features(control: NodeControl, node_id: NodeId, patch: Features) -> None:
    """Switch features on a node."""
    await _ask(control, node_id, Step("PATCH", _FEATURES, patch))


async def read_keys(control: NodeControl, node_id: NodeId) -> dict[str, dict[str, Any]]:
    """Return every key of a node by its uid; among what it shows is the value, a secret."""
    found: dict[str, dict[str, Any]] = {}
    for page in range(_PAGES_MAX):
        path = f"/keys?limit={_PAGE}&offset={page * _PAGE}"
        answer = await _ask(control, node_id, Step("GET", path))
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list) or not all(map(_is_key, results)):
            raise _unexpected(node_id, "no list of keys")
        found |= {key["uid"]: key for key in results}
        if len(results) < _PAGE:
            return found
    raise _unexpected(node_id, "a list of keys without an end")


async def take(control: NodeControl, node_id: NodeId, steps: tuple[Step, ...]) -> None:
    """Change keys of a node; one that is gone already need not be deleted."""
    for step in steps:
        try:
            await _ask(control, node_id, step)
        except NodeRefused as refused:
            if step.method != "DELETE" or refused.error.get("code") != "api_key_not_found":
                raise


def _is_key(key: Any) -> bool:
    texts = ("uid", "key")
    lists = ("actions", "indexes")
    return (
        isinstance(key, dict)
        and all(isinstance(key.get(name), str) for name in texts)
        and all(isinstance(key.get(name), list) for name in lists)
    )


async def _ask(control: NodeControl, node_id: NodeId, step: Step) -> Any:
    body = b"" if step.body is None else orjson.dumps(dict(step.body))
    content_type = None if step.body is None else "application/json"
    request = NodeRequest(step.method, step.path, body, content_type)
    reply = await control.forward(node_id, request)
    return _judged(node_id, reply.status, reply.body)


def _judged(node_id: NodeId, status: int, body: bytes) -> Any:
    if status == 204:
        return None
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _unexpected(node_id, f"status {status} and no JSON") from None
    if 200 <= status < 300:
        return answer
    if isinstance(answer, Mapping) and isinstance(answer.get("code"), str):
        raise NodeRefused(status, answer)
    raise _unexpected(node_id, f"status {status} and no error object")


def _unexpected(node_id: NodeId, what: str) -> NodeUnreachable:
    return NodeUnreachable(f"node {node_id}: the answer is not Meilisearch's: {what}")


def by_uid(keys: Mapping[str, Any]) -> dict[str, Definition]:
    """Return keys without their values."""
    return {
        uid: {n: v for n, v in key.items() if n not in {"key", "uid"}} for uid, key in keys.items()
    }
