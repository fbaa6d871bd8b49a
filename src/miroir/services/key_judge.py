"""
Asks a node whether it would make or change an API key, in a way in which it cannot.

    create   it is asked to make the key under the uid of one that it has: whatever is wrong with
             the rest is said before that. A uid that no node takes is sent as it came
    change   a key that no node has is to be changed

Both questions of a creation go to the same node: another one may not have that key, and would make
it. Should the key go in between, what was made by asking is taken away again.
"""

from collections.abc import Mapping
from typing import Any

import orjson
import structlog

from miroir.core import keys as rules
from miroir.core.commons import KEYS
from miroir.core.keys import Step
from miroir.core.topology import NodeId
from miroir.errors import NodeError, RequestRefused
from miroir.ports.node import NodeControl, NodeRequest
from miroir.services.carriers.asking import take
from miroir.services.commons import Commons
from miroir.services.registrar import RefusedByNode

_JSON = "application/json"
_SOME = 20
_log = structlog.get_logger(__name__)


class KeyJudge:
    """Has keys judged by one node."""

    def __init__(self, commons: Commons, control: NodeControl) -> None:
        self._commons = commons
        self._control = control

    async def creation(self, body: Any) -> None:
        """
        Judge the body of a creation.

        Raises:
            RefusedByNode: It is not valid.
            RequestRefused: As well; no node has a key to judge it by.
            Unavailable: Nobody answers.
        """
        readable = isinstance(body, dict)
        if not readable or ("uid" in body and not _is_uid(body["uid"])):
            request = NodeRequest("POST", "/keys", orjson.dumps(body), _JSON)
            raise RefusedByNode(await self._commons.ask_one(request))
        await self._commons.on_one(lambda node_id: self._judged_by(node_id, body))

    async def change(self, unknown: str, body: Any) -> None:
        """
        Judge the body of a change; `unknown` is the uid of no key.

        Raises:
            RefusedByNode: It is not valid.
            Unavailable: Nobody answers.
        """
        path = f"/keys/{unknown}"
        reply = await self._commons.ask_one(NodeRequest("PATCH", path, orjson.dumps(body), _JSON))
        if reply.status != 404:
            raise RefusedByNode(reply)

    async def _judged_by(self, node_id: NodeId, body: Mapping[str, Any]) -> None:
        there = await self._some_uid(node_id)
        if there is None:
            _require_shape(body)
            return  # What is wrong is said by the nodes when it is made.
        taken = NodeRequest("POST", "/keys", orjson.dumps({**body, "uid": there}), _JSON)
        reply = await self._commons.ask(node_id, taken)
        if reply.status == 201:
            await self._take_away(node_id, there)
        elif reply.status != 409:
            raise RefusedByNode(reply)

    async def _some_uid(self, node_id: NodeId) -> str | None:
        """Return a key that the node has, one of ours if it can be: those are swept."""
        reply = await self._commons.ask(node_id, NodeRequest("GET", f"/keys?limit={_SOME}"))
        if reply.status != 200:
            raise RefusedByNode(reply)
        found = [str(key["uid"]) for key in orjson.loads(reply.body)["results"]]
        ours = [uid for uid in found if uid in self._commons.wanted(KEYS)]
        return next(iter((*ours, *found)), None)

    async def _take_away(self, node_id: NodeId, uid: str) -> None:
        """The key has just gone, and was made by asking."""
        _log.warning("key_made_by_asking", node=node_id, uid=uid)
        try:
            await take(self._control, node_id, (Step("DELETE", f"/keys/{uid}"),))
        except NodeError as error:
            _log.warning("key_left_by_asking", node=node_id, uid=uid, why=str(error))


def _is_uid(uid: Any) -> bool:
    return isinstance(uid, str) and rules.normal_uid(uid) is not None


def _require_shape(body: Mapping[str, Any]) -> None:
    for name in ("actions", "indexes", "expiresAt"):
        if name not in body:
            raise RequestRefused(f"Missing field `{name}`")
    if not isinstance(body["actions"], list) or not isinstance(body["indexes"], list):
        raise RequestRefused("`actions` and `indexes` must be arrays")
