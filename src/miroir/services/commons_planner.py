"""
Prepares intents of the commons to be carried: what `planner.py` is to indexes.

A common object has no documents and no readers that could mix versions, so its nodes are changed
all at once. Deletion of a key goes only forward: a key that died somewhere must not come back.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from miroir.core.broadcast_types import Broadcast
from miroir.core.commons import FEATURES, is_common
from miroir.core.topology import IndexUid, NodeId, Topology
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeReply
from miroir.ports.records import Intent, IntentKind
from miroir.services.carriers import Carrier
from miroir.services.carriers.features import FeaturesCarrier
from miroir.services.carriers.keys import KeysCarrier, ValueOf
from miroir.services.cluster import View
from miroir.services.prober import Verdict


class CommonsPlanner:
    """Knows what each kind of intent of a common object needs."""

    def __init__(
        self, *, control: NodeControl, clock: Clock, value_of: ValueOf, retries_max: int
    ) -> None:
        self._control = control
        self._clock = clock
        self._value_of = value_of
        self._retries_max = retries_max

    def machine(
        self, index_uid: IndexUid, kind: IntentKind, topology: Topology, nodes: tuple[NodeId, ...]
    ) -> Broadcast:
        """Return the machine of a fresh intent."""
        assert is_common(index_uid), index_uid
        return Broadcast(
            index_uid=index_uid,
            columns=topology.columns,
            waves=(nodes,),
            retries_max=self._retries_max,
            undoable=kind is IntentKind.CHANGE,
            forward=kind is IntentKind.DELETE,
            freeze=False,
        )

    async def prepare(self, intent: Intent) -> None:
        """There is nothing to be learnt."""

    def plan(self, intent: Intent, view: View) -> Intent:
        """
        Note what a fresh intent starts from.

        What it leads to is what is in force, patched: whole states are not kept in every intent,
        since there may be thousands of keys, and as many changes of them.
        """
        index = view.indexes.get(intent.index_uid)
        base = _in_force(view, intent)
        return replace(
            intent,
            target=intent.patch,
            undo={name: base[name] for name in intent.patch if name in base},
            base_version=index.record.version if index else 0,
        )

    def impossible(self, intent: Intent, view: View) -> Mapping[str, Any] | None:  # noqa: ARG002
        """A common object is always there."""
        return None

    def carrier(self, intent: Intent, view: View) -> Carrier:
        """Return what carries this object."""
        base = _in_force(view, intent)
        if intent.index_uid == FEATURES:
            return FeaturesCarrier(intent, base, control=self._control, clock=self._clock)
        return KeysCarrier(
            intent, base, control=self._control, clock=self._clock, value_of=self._value_of
        )

    async def expected(self, intent: Intent, view: View) -> Verdict:  # noqa: ARG002
        """Nothing is probed: what is wanted is compared itself."""
        return Verdict()

    @staticmethod
    def error_of(reply: NodeReply) -> Mapping[str, Any]:
        """Return the Meilisearch error object in a node's refusal."""
        error: Mapping[str, Any] = orjson.loads(reply.body)
        return error


def _in_force(view: View, intent: Intent) -> Mapping[str, Any]:
    index = view.indexes.get(intent.index_uid)
    return (index.record.settings if index is not None else None) or {}
