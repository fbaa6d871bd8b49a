"""
What the machine's driver asks of whoever prepares intents.

That is `planner.py` for the indexes, and `commons_planner.py` for the commons.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from miroir.core.broadcast_types import Broadcast
from miroir.core.topology import IndexUid, NodeId, Topology
from miroir.ports.node import NodeReply
from miroir.ports.records import Intent, IntentKind
from miroir.services.carriers import Carrier
from miroir.services.cluster import View
from miroir.services.prober import Verdict


class Plans(Protocol):
    """Knows what each kind of intent needs."""

    def machine(
        self, index_uid: IndexUid, kind: IntentKind, topology: Topology, nodes: tuple[NodeId, ...]
    ) -> Broadcast:
        """Return the machine of a fresh intent."""
        ...

    async def prepare(self, intent: Intent) -> None:
        """Learn what resolving it may have to know of the nodes."""
        ...

    def plan(self, intent: Intent, view: View) -> Intent:
        """Resolve a fresh intent against what is in force now."""
        ...

    def impossible(self, intent: Intent, view: View) -> Mapping[str, Any] | None:
        """Return why an intent cannot even begin; else None."""
        ...

    def carrier(self, intent: Intent, view: View) -> Carrier:
        """Return what carries this kind of intent."""
        ...

    async def expected(self, intent: Intent, view: View) -> Verdict:
        """Return the fingerprints that nodes must show, as far as they are known."""
        ...

    def error_of(self, reply: NodeReply) -> Mapping[str, Any]:
        """Return the Meilisearch error object in a node's refusal."""
        ...
