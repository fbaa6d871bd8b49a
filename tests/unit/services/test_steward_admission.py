"""A node that returns is brought to the keys of the cluster before it serves."""

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from tests.support.sim_engine import NEW
from tests.support.sim_faults import FaultPlan
from tests.support.sim_node import SimNode
from tests.support.sim_routes import serve

from miroir.core.broadcast_types import Broadcast
from miroir.core.commons import KEYS
from miroir.core.topology import NodeId
from miroir.ports.node import NodeReply, NodeRequest
from miroir.ports.records import IndexRecord, Intent, IntentKind
from miroir.services.steward import Steward

A = NodeId("a")
ONE, TWO = "00000001-aaaa-4bbb-8ccc-0123456789ab", "00000002-aaaa-4bbb-8ccc-0123456789ab"
KEY = {"name": "x", "description": None, "actions": ["*"], "indexes": ["*"], "expiresAt": None}


class Outside:
    """A store with these keys and open changes, and one node; `after_write`: what happens then."""

    def __init__(self, committed: Mapping[str, Any], opened: tuple[Intent, ...] = ()) -> None:
        self.committed, self.opened = committed, opened
        self.node = SimNode("a", NEW, random.Random(0), FaultPlan("calm", random.Random(0), {}))
        self.after_write: Callable[[], None] = lambda: None

    async def index(self, _uid: str) -> IndexRecord:
        return IndexRecord(KEYS, None, 1, self.committed, {}, None, False, 0, 0)

    async def open_intents(self) -> tuple[Intent, ...]:
        return self.opened

    async def forward(self, _node_id: NodeId, request: NodeRequest) -> NodeReply:
        reply = serve(self.node, request, "own")
        if request.method != "GET":
            self.after_write()
        return reply


def change(kind: IntentKind, patch: Mapping[str, Any]) -> Intent:
    """Return an open change of keys."""
    return Intent(
        index_uid=KEYS, kind=kind, patch=patch, target={}, undo={}, primary_key=None, by="client",
        reason="", state=Broadcast(KEYS, columns=((A,),), waves=((A,),)), at_ms=0, intent_id=1,
        base_version=0, task_uid=None, revision=0, committed_version=None,
    )  # fmt: skip


def admitted(outside: Outside) -> list[str]:
    """Admit the node; return the uids of its keys."""
    ring = SimpleNamespace(now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    tools: Any = SimpleNamespace(store=outside, control=outside, ring=ring)
    asyncio.run(Steward(tools).admit(A))
    return sorted(outside.node.disk.keys)


def test_it_gets_what_it_missed() -> None:
    """A key that was made meanwhile opens it, one that was deleted does not."""
    outside = Outside({ONE: KEY, TWO: None})
    outside.node.disk.keys[TWO] = KEY
    assert admitted(outside) == [ONE]


def test_a_key_that_is_being_deleted_does_not_come_back_with_it() -> None:
    """The deletion has read it back without the key already, and will say that it is done."""
    deletion = change(IntentKind.DELETE, {ONE: None})
    assert admitted(Outside({ONE: KEY, TWO: KEY}, (deletion,))) == [TWO]


def test_a_key_that_is_being_changed_is_left_as_it_is() -> None:
    """The change may have been there before: the committed form would undo it."""
    outside = Outside({ONE: KEY}, (change(IntentKind.CHANGE, {ONE: {**KEY, "name": "new"}}),))
    outside.node.disk.keys[ONE] = {**KEY, "name": "new"}
    admitted(outside)
    assert outside.node.disk.keys[ONE]["name"] == "new"


def test_what_was_accepted_while_it_was_brought_there_counts() -> None:
    """Between a look into the store and the request there is time for a deletion."""
    outside = Outside({ONE: KEY})

    def accept() -> None:
        outside.opened = (change(IntentKind.DELETE, {ONE: None}),)

    outside.after_write = accept
    assert admitted(outside) == []
