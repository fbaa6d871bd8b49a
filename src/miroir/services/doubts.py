"""
Whether somebody else has touched nodes since they were read back: asked right before a commit.

What was read is evidence only as long as no foreign task came after it. Each read-back notes from
which task on that node tasks would be later than what it saw.
"""

from collections.abc import Iterable
from typing import Final

import structlog

from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeError
from miroir.services.ledger import Ledger
from miroir.services.watcher import TaskWatcher

_FROM_THE_START: Final = -1
_log = structlog.get_logger(__name__)


class Doubts:
    """Those about one change of one index."""

    def __init__(self, ledger: Ledger, watcher: TaskWatcher, index_uid: IndexUid) -> None:
        self._ledger = ledger
        self._watcher = watcher
        self._index_uid = index_uid
        self._floors: dict[NodeId, int] = {}

    async def about_to_read(self, node_id: NodeId, task_uid: int | None) -> None:
        """
        Note what a read-back that begins now can have seen.

        Args:
            node_id: Who is read.
            task_uid: Our task there that has ended, or None if the node needed none.

        Raises:
            NodeError: The node had to be asked, and gave no answer.
        """
        if task_uid is None:
            task_uid = await self._ledger.newest_task_uid(node_id)
        self._floors[node_id] = max(task_uid, self._floors.get(node_id, _FROM_THE_START))

    async def arisen(self, node_ids: Iterable[NodeId]) -> frozenset[NodeId]:
        """
        Return the nodes with a later foreign task, once that task has ended.

        A node that cannot be asked raises no doubt: its task list is read on when it is back, and
        what is foreign there demotes it then.
        """
        after = {n: self._floors.get(n, _FROM_THE_START) for n in node_ids}
        found = await self._ledger.foreign_since(self._index_uid, after)
        for node_id, uid in found.items():
            _log.warning("commit_doubted", index=self._index_uid, node=node_id, task=uid)
            self._floors[node_id] = uid
            try:
                await self._watcher.ended(node_id, uid)
            except NodeError as error:
                _log.info("node_unanswered", node=node_id, why=str(error))  # The read-back tells.
        return frozenset(found)
