"""
Guards of swaps, each with a way to take it out: does their simulation notice?

What `guards.py` is to settings. `python -m tests.simulation.swap_guards` tells for each how many
seeds it took.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from miroir.core.broadcast_types import Broadcast
from miroir.core.swaps import sources
from miroir.errors import NodeUnreachable
from miroir.services import cluster, planner, writer
from miroir.services.carriers.base import ReadBack
from miroir.services.carriers.swap import SwapCarrier
from miroir.services.carriers.tickets import Tickets
from miroir.services.census import Census
from miroir.services.planner import Planner
from miroir.services.resync import Resync
from miroir.services.swaps import Standstill
from miroir.services.tickets import TicketOffice
from tests.simulation.taking_out import Guards, Patch, seeds_to_miss
from tests.support import memory_swaps
from tests.support.swap_run import simulate


def _bare_swaps() -> list[Patch]:
    """Swap without a ticket, and take the task's success for the proof."""
    read = SwapCarrier.read

    async def bare(
        self: SwapCarrier, node_id: Any, wanted: Any, present: Any, _ticket: Any, _way: Any
    ) -> int:
        here = tuple(replace(s, rename=s.rename and s.right not in present) for s in wanted)
        return await self._control.swap_indexes(node_id, here)

    async def believed(self: SwapCarrier, node_id: Any, engine: str, state: Broadcast) -> Any:
        seen = await read(self, node_id, engine, state)
        failed = state.nodes[node_id].error is not None or state.nodes[node_id].task_uid is None
        if state.undoing or failed:
            return seen
        self._shown[node_id] = await self._settings(node_id)
        return ReadBack("believed", ())

    return [(SwapCarrier, "_swap", bare), (SwapCarrier, "read", believed)]


def _no_withdrawal() -> list[Patch]:
    """An abort believes that a node without a used ticket will stay as it is."""

    async def nothing(_self: SwapCarrier, _node_id: Any, _ticket: Any) -> None:
        return None

    never = property(lambda self: not self.gone)
    return [(SwapCarrier, "_withdraw", nothing), (Tickets, "never", never)]


def _no_standstill() -> list[Patch]:
    async def moving(_self: Standstill, _index_uids: Any) -> None:
        return None

    return [(Standstill, "wait", moving)]


def _writes_do_not_wait() -> list[Patch]:
    waits = writer._is_lifecycle
    return [(writer, "_is_lifecycle", lambda i: waits(i) and not i.kind.moves_indexes)]


def _marks_stay() -> list[Patch]:
    """Replicas miss under the uid what they missed under it before."""
    marks = SwapCarrier._marks

    def own(self: SwapCarrier, state: Broadcast, source: Any) -> Mapping[Any, str]:
        left = {n: why for n, why in marks(self, state, source).items() if n not in state.verified}
        (uid,) = [u for u, s in sources(self._intent.swaps).items() if s == source]
        index = self._cluster.view.live(uid)
        return {**(index.out_of_sync if index else {}), **left}

    return [(SwapCarrier, "_marks", own)]


def _left_behind_unmarked() -> list[Patch]:
    def only_old(self: SwapCarrier, _state: Broadcast, source: Any) -> Mapping[Any, str]:
        return dict(self._cluster.view.indexes[source].out_of_sync)

    return [(SwapCarrier, "_marks", only_old)]


def _any_cover() -> list[Patch]:
    """Covers are judged by nodes, whatever they miss."""
    planned = planner._planned_move

    def plain(intent: Any, now: Any) -> Any:
        after = planned(intent, now)
        return replace(after, state=replace(after.state, columns=now.topology.columns))

    return [(planner, "_planned_move", plain)]


def _impatient() -> list[Patch]:
    machine = Planner.machine

    def hurried(self: Planner, *args: Any) -> Broadcast:
        return replace(machine(self, *args), patient=False)

    return [(Planner, "machine", hurried)]


def _stranded_unmarked() -> list[Patch]:
    """Whoever an abort could not bring back is in sync when it answers again; no census."""
    record = memory_swaps.record_progress

    def forgets(tables: Any, intent: Any) -> None:
        before = dict(tables.lagging)
        record(tables, intent)
        tables.lagging.clear()
        tables.lagging.update(before)

    async def nobody(_self: Census) -> None:
        return None

    return [
        (Census, "take", nobody),
        (memory_swaps, "record_progress", forgets),
        (cluster, "missing_after", lambda index, _: index.out_of_sync),
    ]


def _tickets_stay() -> list[Patch]:
    """A replica is filled again while a swap that was given up may still come."""
    clear = TicketOffice.clear

    async def trusting(_self: Resync, _node_id: Any) -> None:
        return None

    async def late(self: TicketOffice, node_id: Any) -> bool:
        if any(node_id in index.out_of_sync for index in self.cluster.view.indexes.values()):
            raise NodeUnreachable("it is filled first")
        return await clear(self, node_id)

    return [(Resync, "_end_swaps", trusting), (TicketOffice, "clear", late)]


GUARDS: Final[Guards] = {
    "a swap carries a ticket": _bare_swaps,
    "an abort withdraws unused tickets": _no_withdrawal,
    "documents rest before anything moves": _no_standstill,
    "writes wait behind a swap": _writes_do_not_wait,
    "marks go with the content": _marks_stay,
    "who was left behind misses both": _left_behind_unmarked,
    "a cover has a replica in sync of each index": _any_cover,
    "a needed node is never given up": _impatient,
    "who cannot be brought back misses both": _stranded_unmarked,
    "tickets are withdrawn before a replica is filled": _tickets_stay,
}


if __name__ == "__main__":
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    for name, guard in GUARDS.items():
        sys.stdout.write(f"{name}: {seeds_to_miss(guard, simulate, most)}\n")
        sys.stdout.flush()
