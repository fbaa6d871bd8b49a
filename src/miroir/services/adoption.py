"""
Takes over indexes that nodes hold and Miroir does not know; lists those that it must not.

    at start and with every sweep: one GET /indexes per node ─▶ indexes that are not known
      ─▶ what every node holds of it ─▶ nothing speaks against it: an intent (ADOPT), version 1
                                     └▶ listed as unmanaged, with the reason; never touched

What speaks against it is decided in `core/adoption.py`, and by the documents (`likeness.py`). What
was deleted through Miroir is no unmanaged index but a leftover (`leftovers.py`), and Miroir's own
indexes are neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from miroir.core import adoption as rules
from miroir.core.adoption import Held
from miroir.core.features import class_shown
from miroir.core.topology import RESERVED, IndexUid, NodeId
from miroir.errors import IndexNotFound, MiroirError, NotAdoptable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl
from miroir.ports.records import IntentKind, TaskRecord
from miroir.services.carriers import DOCUMENT_TYPES, unfinished
from miroir.services.cluster import Cluster
from miroir.services.intake import Intake, Wish, check_uid
from miroir.services.likeness import odd_document

_FIRST_S: Final = 1.0
_GROWTH: Final = 2.0
"""While a node does not answer it is tried again soon, then less and less."""
_ASKED_MAX: Final = 1_000
"""Unknown indexes looked at in one survey; the rest is looked at when these are settled."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Unmanaged:
    """
    An index that some nodes hold and Miroir leaves alone.

    Attributes:
        node_ids: Who holds it.
        why: What speaks against taking it over, and the remedy.
    """

    index_uid: IndexUid
    node_ids: tuple[NodeId, ...]
    why: str


@dataclass(frozen=True)
class AdoptionTools:
    """
    What adopting works with.

    Attributes:
        interval_s: Between two surveys.
    """

    control: NodeControl
    cluster: Cluster
    clock: Clock
    intake: Intake
    interval_s: float


class Adoption:
    """Surveys the nodes for indexes that nobody has told Miroir of."""

    def __init__(self, tools: AdoptionTools) -> None:
        self._tools = tools
        self._unmanaged: dict[IndexUid, Unmanaged] = {}

    @property
    def unmanaged(self) -> tuple[Unmanaged, ...]:
        """What the last survey has found and left alone, by uid."""
        return tuple(self._unmanaged[uid] for uid in sorted(self._unmanaged))

    async def begin(self) -> None:
        """There is nothing to begin with."""

    async def run(self) -> None:
        """Survey for ever; soon again while nodes are missing at the start."""
        pause_s = _FIRST_S
        while True:
            try:
                complete = await self.survey()
            except MiroirError as error:
                _log.info("survey_unanswered", why=str(error))
                complete = False
            soon_s = self._tools.interval_s if complete else min(self._tools.interval_s, pause_s)
            await self._tools.clock.sleep(soon_s)
            pause_s = _FIRST_S if complete else pause_s * _GROWTH

    async def survey(self) -> bool:
        """List every healthy node's indexes and judge the unknown; False if a node was missing."""
        view = self._tools.cluster.view
        healthy = [n for n in view.topology.node_ids if n in view.healthy]
        lists = {n: await self._tools.control.indexes(n) for n in healthy}
        complete = len(healthy) == len(view.topology.node_ids)
        unknown = sorted({i.uid for held in lists.values() for i in held if self._unknown(i.uid)})
        found: dict[IndexUid, Unmanaged] = {}
        for index_uid in unknown[:_ASKED_MAX]:
            holders = tuple(
                n for n, held in lists.items() if any(i.uid == index_uid for i in held)
            )
            why = "not every node answers; wait"
            if complete:
                why = await self._try(index_uid) or ""
            if why:
                found[index_uid] = Unmanaged(index_uid, holders, why)
        for index_uid in found.keys() - self._unmanaged.keys():
            _log.warning("index_unmanaged", index=index_uid, why=found[index_uid].why)
        self._unmanaged = found
        return complete

    def _unknown(self, index_uid: IndexUid) -> bool:
        """Whether an index is nobody's: neither wanted, nor on its way, nor a leftover."""
        view = self._tools.cluster.view
        tombstone = view.deleted.get(index_uid)
        ended = tombstone is not None and tombstone.version > 0
        return not (ended or index_uid in view.indexes or index_uid.startswith(RESERVED))

    async def _try(self, index_uid: IndexUid) -> str | None:
        """Take an index over if nothing speaks against it; else return what does."""
        if self._shard_count() > 1:
            return rules.objection({}, shard_count=self._shard_count())
        async with self._tools.intake.lock(index_uid):
            held = await self._held(index_uid)
            why = rules.objection(held, shard_count=self._shard_count())
            why = why or await self._odd(index_uid, held)
            if why is None and self._unknown(index_uid):
                wish = self._wish(held, by="reconciler")
                await self._tools.intake.open(index_uid, wish)
                _log.warning("index_adopted", index=index_uid, documents=_one(held).documents)
            return why

    async def adopt(self, index_uid: IndexUid) -> TaskRecord:
        """
        Take an index over because an operator wants it; also an empty one.

        Raises:
            InvalidIndexUid: No index can have this uid.
            IndexNotFound: No node holds it.
            NotAdoptable: Something speaks against it; the message has the remedy.
            NodeError: A node cannot be asked.
        """
        check_uid(index_uid)
        intake = self._tools.intake
        async with intake.lock(index_uid):
            if not self._unknown(index_uid):
                raise NotAdoptable(f"Index `{index_uid}` is known to Miroir: nothing to adopt.")
            held = await self._held(index_uid)
            if not any(held.values()):
                raise IndexNotFound(f"Index `{index_uid}` not found.")
            why = rules.objection(held, shard_count=self._shard_count(), by_hand=True)
            why = why or await self._odd(index_uid, held)
            if why is not None:
                raise NotAdoptable(f"Index `{index_uid}` cannot be adopted: {why}.")
            wish = self._wish(held, by="operator")
            task = intake.task(index_uid, "indexCreation", {"primaryKey": wish.primary_key})
            return await intake.accept(index_uid, wish, task)

    async def _odd(self, index_uid: IndexUid, held: Mapping[NodeId, Held | None]) -> str | None:
        """Say in which document nodes differ; None: in none that was looked at."""
        one = _one(held)
        if one.primary_key is None or not one.documents:
            return None
        odd = await odd_document(
            self._tools.control,
            index_uid,
            tuple(held),
            primary_key=one.primary_key,
            count=one.documents,
        )
        return f"{odd}; {rules.ALIKE}" if odd is not None else None

    def _wish(self, held: Mapping[NodeId, Held | None], *, by: str) -> Wish:
        one = _one(held)
        return Wish(
            IntentKind.ADOPT,
            by,
            target=one.settings,
            primary_key=one.primary_key,
            reason="found on every node",
        )

    def _shard_count(self) -> int:
        return self._tools.cluster.view.topology.shard_count

    async def _held(self, index_uid: IndexUid) -> dict[NodeId, Held | None]:
        """Ask every node for all that it holds of an index."""
        node_ids = self._tools.cluster.view.topology.node_ids
        return {n: await self._held_by(n, index_uid) for n in node_ids}

    async def _held_by(self, node_id: NodeId, index_uid: IndexUid) -> Held | None:
        control = self._tools.control
        row = await control.index(node_id, index_uid)
        if row is None:
            return None
        settings = await control.read_settings(node_id, index_uid)
        documents = await control.document_count(node_id, index_uid)
        queued = await unfinished(control, node_id, index_uid)
        writing = await unfinished(control, node_id, index_uid, types=DOCUMENT_TYPES)
        engine = class_shown(self._tools.cluster.view.engines.get(node_id, ""), settings)
        idle = queued is None and writing is None
        return Held(engine, row.get("primaryKey"), documents, settings, idle)


def _one(held: Mapping[NodeId, Held | None]) -> Held:
    return next(one for one in held.values() if one is not None)
