"""
What this process has sent to the nodes: tells its own tasks from somebody else's.

A `NodeControl` around the real one: every call passes through unchanged, and those that make tasks
of the kinds in the feed are noted, from before they leave until their task uid is known.

Rules, all on the side of taking a task for somebody else's, since that costs one look:
1. A task is ours if an answer gave us its uid.
2. While a request of ours about an index is unanswered, its node's unknown tasks cannot be judged.
3. A request without an answer may have made one task. That is ours if it equals what was sent and
   comes before the next answered request about that index: later it would undo our own.
4. Nothing here survives the process; `know` brings the uids of open intents back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import orjson
import structlog

from miroir.core import settings as rules
from miroir.core.swaps import Swaps, uids_of
from miroir.core.topology import RESERVED, IndexUid, NodeId
from miroir.errors import NodeError, NodeRefused
from miroir.ports.node import NodeControl, NodeIndex, NodeReply, NodeRequest, NodeTask, Settings

_UIDS_MAX: Final = 10_000
_LOST_MAX: Final = 100
_log = structlog.get_logger(__name__)


class Origin(StrEnum):
    """Whose a task is."""

    OURS = "ours"
    FOREIGN = "foreign"
    UNDECIDED = "undecided"
    """A request of ours is unanswered: ask again later."""


@dataclass(eq=False)
class _Sent:
    """
    One changing request.

    Attributes:
        index_uids: Its indexes; empty: any.
        type: Of the task that it makes; None: not foreseen.
        details: Of that task, secrets masked.
        before_uid: Only a task older than this one can be its; None: any.
    """

    index_uids: frozenset[IndexUid]
    type: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    before_uid: int | None = None

    def made(self, task: NodeTask) -> bool:
        """Whether this request can have made the task."""
        if self.type != task.type or self.index_uids != set(concerned(task)):
            return False
        in_time = self.before_uid is None or task.uid < self.before_uid
        return in_time and self._says(task.details or {})

    def _says(self, details: Mapping[str, Any]) -> bool:
        if self.type == "settingsUpdate":
            return rules.same(self.details, details)
        if self.type == "indexSwap":
            return _swaps(self.details) == _swaps(details)
        return all(details.get(key) == value for key, value in self.details.items())


@dataclass
class _Page:
    """What is noted of one node; `ours`: task uid -> its indexes."""

    ours: dict[int, frozenset[IndexUid]] = field(default_factory=dict)
    unanswered: list[_Sent] = field(default_factory=list)
    lost: list[_Sent] = field(default_factory=list)

    def answered(self, sent: _Sent, uid: int) -> None:
        self.ours[uid] = sent.index_uids
        if len(self.ours) > _UIDS_MAX:
            del self.ours[next(iter(self.ours))]
        for lost in self.lost:
            equal = (lost.type, lost.details) == (sent.type, sent.details)
            if lost.index_uids & sent.index_uids and lost.before_uid is None and not equal:
                lost.before_uid = uid

    def missed(self, sent: _Sent) -> None:
        self.lost.append(sent)
        del self.lost[:-_LOST_MAX]


class Ledger:
    """`NodeControl` that remembers; see the module."""

    def __init__(
        self, control: NodeControl, before: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """
        Note nothing yet.

        Args:
            control: The nodes.
            before: Awaited before anything is changed on a node.
        """
        self._control = control
        self._before = before or _at_once
        self._pages: dict[NodeId, _Page] = {}

    def _page(self, node_id: NodeId) -> _Page:
        return self._pages.setdefault(node_id, _Page())

    # ---- what is known

    def origin(self, node_id: NodeId, task: NodeTask) -> Origin:
        """Return whose a task is; a lost request is spent on the task that it made."""
        page, about = self._page(node_id), frozenset(concerned(task))
        if task.uid in page.ours or _has_a_ticket(task):
            return Origin.OURS
        if any(not sent.index_uids or sent.index_uids & about for sent in page.unanswered):
            return Origin.UNDECIDED
        for sent in page.lost:
            if sent.made(task):
                page.lost.remove(sent)
                page.ours[task.uid] = about
                return Origin.OURS
        return Origin.FOREIGN

    def know(self, node_id: NodeId, index_uid: IndexUid, task_uid: int) -> None:
        """A task is ours, from before this process."""
        self._page(node_id).ours[task_uid] = frozenset({index_uid})

    def last(self, node_id: NodeId, index_uid: IndexUid) -> int:
        """Return the newest task uid of ours about an index; -1 for none."""
        ours = self._page(node_id).ours
        return max((uid for uid, about in ours.items() if index_uid in about), default=-1)

    def newest(self, node_id: NodeId) -> int:
        """Return the newest task uid of ours on a node; -1 for none."""
        return max(self._page(node_id).ours, default=-1)

    def forget(self, node_id: NodeId) -> None:
        """The node's task list has begun anew: its uids name other tasks now."""
        self._page(node_id).ours.clear()

    async def foreign_since(
        self, index_uid: IndexUid, after: Mapping[NodeId, int]
    ) -> Mapping[NodeId, int]:
        """
        Read nodes now; return node -> uid of its newest foreign task of an index, if it has one.

        Before a commit: what was read back may not be what is there any more.

        Args:
            index_uid: The index.
            after: Node -> uid above which to look: that of our own last task there, or of the last
                foreign one that was awaited before the node was read back. A node that cannot be
                asked is left out of the answer: its feed is read on when it is back.
        """
        found: dict[NodeId, int] = {}
        async with asyncio.TaskGroup() as group:
            for node_id, uid in after.items():
                group.create_task(self._foreign_since(index_uid, node_id, uid, found))
        return found

    async def _foreign_since(
        self, index_uid: IndexUid, node_id: NodeId, after: int, found: dict[NodeId, int]
    ) -> None:
        try:
            tasks = await self._control.feed(node_id, after)
        except NodeError as error:
            _log.info("feed_unanswered", node=node_id, why=str(error))
            return
        for task in tasks:
            ours = self.origin(node_id, task) is Origin.OURS
            if index_uid in concerned(task) and not ours:
                found[node_id] = task.uid

    # ---- calls that make tasks

    async def create_index(
        self, node_id: NodeId, index_uid: IndexUid, primary_key: str | None
    ) -> int:
        """See `NodeControl.create_index`."""
        await self._before()
        sent = _Sent(frozenset({index_uid}), "indexCreation", {"primaryKey": primary_key})
        return await self._noted(
            node_id, sent, self._control.create_index(node_id, index_uid, primary_key)
        )

    async def update_index(
        self, node_id: NodeId, index_uid: IndexUid, primary_key: str | None
    ) -> int:
        """See `NodeControl.update_index`."""
        await self._before()
        sent = _Sent(frozenset({index_uid}), "indexUpdate", {"primaryKey": primary_key})
        return await self._noted(
            node_id, sent, self._control.update_index(node_id, index_uid, primary_key)
        )

    async def delete_index(self, node_id: NodeId, index_uid: IndexUid) -> int:
        """See `NodeControl.delete_index`."""
        await self._before()
        sent = _Sent(frozenset({index_uid}), "indexDeletion")
        return await self._noted(node_id, sent, self._control.delete_index(node_id, index_uid))

    async def swap_indexes(self, node_id: NodeId, swaps: Swaps) -> int:
        """See `NodeControl.swap_indexes`."""
        await self._before()
        sent = _Sent(
            frozenset(uids_of(swaps)),
            "indexSwap",
            {"swaps": [swap.shown() for swap in swaps]},
        )
        return await self._noted(node_id, sent, self._control.swap_indexes(node_id, swaps))

    async def patch_settings(self, node_id: NodeId, index_uid: IndexUid, patch: Settings) -> int:
        """See `NodeControl.patch_settings`."""
        await self._before()
        sent = _Sent(frozenset({index_uid}), "settingsUpdate", rules.shown(patch))
        call = self._control.patch_settings(node_id, index_uid, patch)
        return await self._noted(node_id, sent, call)

    async def forward(self, node_id: NodeId, request: NodeRequest) -> NodeReply:
        """See `NodeControl.forward`; what a request makes is known by its answer alone."""
        if request.method != "GET":
            await self._before()
        call = self._control.forward(node_id, request)
        about = _about(request)
        if about is None:
            return await call
        page = self._page(node_id)
        page.unanswered.append(about)
        try:
            reply = await call
            if (uid := accepted_task(reply)) is not None:
                page.answered(about, uid)
        finally:
            page.unanswered.remove(about)
        return reply

    async def _noted(self, node_id: NodeId, sent: _Sent, call: Awaitable[int]) -> int:
        page = self._page(node_id)
        page.unanswered.append(sent)
        try:
            uid = await call
        except NodeRefused:
            raise  # It did nothing.
        except BaseException:  # No answer, or nobody waits for it any more: it may have acted.
            page.missed(sent)
            raise
        else:
            page.answered(sent, uid)
        finally:
            page.unanswered.remove(sent)
        return uid

    # ---- calls that only ask

    async def engine(self, node_id: NodeId) -> str:
        """See `NodeControl.engine`."""
        return await self._control.engine(node_id)

    async def check_health(self, node_id: NodeId) -> None:
        """See `NodeControl.check_health`."""
        await self._control.check_health(node_id)

    async def indexes(self, node_id: NodeId) -> tuple[NodeIndex, ...]:
        """See `NodeControl.indexes`."""
        return await self._control.indexes(node_id)

    async def index(self, node_id: NodeId, index_uid: IndexUid) -> Mapping[str, Any] | None:
        """See `NodeControl.index`."""
        return await self._control.index(node_id, index_uid)

    async def document_count(self, node_id: NodeId, index_uid: IndexUid) -> int:
        """See `NodeControl.document_count`."""
        return await self._control.document_count(node_id, index_uid)

    async def read_settings(self, node_id: NodeId, index_uid: IndexUid) -> Settings:
        """See `NodeControl.read_settings`."""
        return await self._control.read_settings(node_id, index_uid)

    async def tasks(self, node_id: NodeId, uids: tuple[int, ...]) -> tuple[NodeTask, ...]:
        """See `NodeControl.tasks`."""
        return await self._control.tasks(node_id, uids)

    async def newest_task_uid(self, node_id: NodeId) -> int:
        """See `NodeControl.newest_task_uid`."""
        return await self._control.newest_task_uid(node_id)

    async def feed(self, node_id: NodeId, after_uid: int) -> tuple[NodeTask, ...]:
        """See `NodeControl.feed`."""
        return await self._control.feed(node_id, after_uid)


async def _at_once() -> None:
    """Wait for nothing."""


def concerned(task: NodeTask) -> tuple[IndexUid, ...]:
    """Return the indexes that a task of the feed changes: all, of a swap or a renaming."""
    details = task.details or {}
    named: list[Any] = [task.index_uid, details.get("oldIndexUid"), details.get("newIndexUid")]
    for swap in details.get("swaps") or ():
        named += swap.get("indexes") or ()
    return tuple(IndexUid(uid) for uid in dict.fromkeys(named) if isinstance(uid, str))


def _swaps(details: Mapping[str, Any]) -> list[tuple[list[str], bool]]:
    return [
        (list(swap.get("indexes") or ()), bool(swap.get("rename")))
        for swap in details.get("swaps") or ()
    ]


def _has_a_ticket(task: NodeTask) -> bool:
    """Whether this swap was sent by a Miroir, perhaps by one that is no more; its intent knows."""
    named = (uid for pair, _ in _swaps(task.details or {}) for uid in pair)
    return any(uid.startswith(RESERVED) for uid in named)


def _about(request: NodeRequest) -> _Sent | None:
    """Return what a raw request may change; None if it makes no task of the feed's kinds."""
    if request.method == "GET":
        return None
    match [unquote(part) for part in urlsplit(request.path).path.strip("/").split("/")]:
        case ["indexes", uid] | ["indexes", uid, "settings", *_]:
            return _Sent(frozenset({IndexUid(uid)}))
        case ["indexes"] | ["swap-indexes"]:
            return _Sent(frozenset())
        case _:
            return None


def accepted_task(reply: NodeReply) -> int | None:
    """Return the uid of the task that an answer tells of, if it does."""
    if reply.status != 202:
        return None
    try:
        uid = orjson.loads(reply.body)["taskUid"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None  # Not an answer of Meilisearch's: the task, if there is one, stays unknown.
    return uid if type(uid) is int else None
