"""
Whether a node was read back right since the committed version came: then what differs is foreign.

That a change is somebody else's is known from the proof that it cost, or from the node's task
list. A restarted Miroir has neither; but what each change saw on each node is in the store.
"""

from collections.abc import Iterable
from typing import Final

from miroir.core.broadcast_types import NodeState
from miroir.core.topology import IndexUid, NodeId
from miroir.ports.records import Intent, IntentQuery
from miroir.ports.store import Store

_LOOKED_AT_MAX: Final = 50


async def was_verified(store: Store, index_uid: IndexUid, node_id: NodeId, version: int) -> bool:
    """Return whether the newest change that concerned this node has left it right."""
    query = IntentQuery(limit=_LOOKED_AT_MAX, index_uids=(index_uid,))
    return left_right(await store.find_intents(query), node_id, version)


def left_right(intents: Iterable[Intent], node_id: NodeId, version: int) -> bool:
    """
    Judge by these intents, newest first.

    One that did not ask the node says nothing of it; one that led to an earlier version says
    nothing of this one.
    """
    for intent in intents:
        progress = intent.state.nodes.get(node_id)
        if progress is None:
            continue
        right = progress.state is NodeState.VERIFIED and intent.committed_version == version
        return right and not intent.state.undoing
    return False
