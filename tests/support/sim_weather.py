"""
What befalls whole nodes of a simulated cluster: crashes, partitions, snapshots, other people.

Once a second the fault plan is asked for each kind. Somebody else's changes go straight to a node,
as curl would send them.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from miroir.core.topology import IndexUid
from tests.support.sim_choices import KEY_UIDS, SWEEP_S
from tests.support.sim_disk import Disk
from tests.support.sim_engine import NEW, NEXT
from tests.support.sim_faults import FaultPoint as F
from tests.support.sim_node import PROBE, SimNode

if TYPE_CHECKING:
    from tests.support.sim_world import World

_TOOL_TIMES: Final = 7


class Weather:
    """
    The weather of one run.

    Attributes:
        tools: How many of somebody else's tools are at work.
    """

    def __init__(self, world: "World") -> None:
        self.tools = 0
        self._world = world
        self._snapshots: dict[str, Disk] = {}

    async def run(self) -> None:
        """Let what befalls whole nodes befall them, once a second."""
        while True:
            await asyncio.sleep(1.0)
            self._world.tick()
            for point, befalls in (
                (F.NODE_CRASHED, self._crash_one),
                (F.NODE_UNREACHABLE, self._cut_one_off),
                (F.NODE_STOPPED, self._stop_one),
                (F.NODE_RESTORED, self._restore_one),
                (F.FOREIGN_PATCH, self._patch_one),
                (F.FOREIGN_PATCH_EVERYWHERE, self._patch_all),
                (F.FOREIGN_TOOL, self._start_tool),
                (F.CLOCK_JUMPED, lambda: self._jump(60_000)),
                (F.CLOCK_WENT_BACK, lambda: self._jump(-20_000)),
                (F.LEASE_STOLEN, self._steal_a_lease),
                (F.NODE_REPLACED, self._replace_one),
                (F.NODE_UPGRADED, self._upgrade_one),
                (F.NODE_LOCKED, self._lock_one),
                (F.ANSWERS_CUT, self._mute_one),
                (F.SCHEDULER_STUCK, self._hold_one),
                (F.PROBE_INDEX_DELETED, self._delete_a_probe),
                (F.FOREIGN_KEY, self._meddle_with_keys),
                (F.FOREIGN_FEATURE, self._switch_on_one),
                (F.FOREIGN_SWAP, self._swap_on_one),
                (F.INDEX_DELETED_BEHIND, self._delete_on_one),
            ):
                if self._world.faults.strikes(point):
                    befalls()

    def _any_node(self) -> SimNode:
        return self._world.nodes[self._world.chance.choice(list(self._world.nodes))]

    def _crash_one(self) -> None:
        node = self._any_node()
        if node.up:
            node.crash()
            node.restart_after(self._world.chance.uniform(0.2, 15.0))

    def _cut_one_off(self) -> None:
        node = self._any_node()
        if node.reachable:
            node.reachable = False
            self._world.note(f"{node.node_id} is cut off")
            self._world.loop.call_later(
                min(90.0, 4 * self._world.chance.paretovariate(0.8)), self._join, node
            )

    def _stop_one(self) -> None:
        node = self._any_node()
        if node.up and not node.stopped:
            node.stop()
            self._world.loop.call_later(
                min(60.0, 4 * self._world.chance.paretovariate(0.7)), node.go_on
            )

    def _join(self, node: SimNode) -> None:
        node.reachable = True
        self._world.note(f"{node.node_id} is reachable")

    def _restore_one(self) -> None:
        """Take a snapshot of a node; or, of one that has the same indexes now, put it back."""
        node = self._any_node()
        old = self._snapshots.pop(node.node_id, None)
        same = old is not None and set(old.indexes) == set(node.disk.indexes)
        if old is not None and same and not node.pending_any():
            self._world.note(f"{node.node_id} is restored from a snapshot")
            if len(old.tasks) < len(node.disk.tasks):
                self._world.rewound.append((self._world.loop.time(), node.node_id))
            node.restore(old)
        else:
            self._snapshots[node.node_id] = node.disk.copy()

    def _foreign_patch(self, node: SimNode) -> dict[str, Any]:
        words = [w for i in node.disk.indexes.values() for w in i.stored.get("stopWords", ())]
        if words and self._world.chance.random() < 0.4:  # What a lenient comparison does not see.
            return {"stopWords": [word.swapcase() for word in words]}
        return self._world.chance.choice(
            (
                {"stopWords": [f"foreign{self._world.chance.randrange(3)}"]},
                {"synonyms": {"a": ["b"]}},
                {"pagination": {"maxTotalHits": 77}},
                {"rankingRules": ["typo", "words"]},
                {"stopWords": ["The"]},
                {"embedders": {"default": {"source": "userProvided", "dimensions": 9}}},
                {"embedders": {"default": {"source": "openAi", "apiKey": "sk-foreign"}}},
                {"embedders": {"other": {"source": "openAi", "url": "http://a/"}}},
                {"typoTolerance": {"minWordSizeForTypos": {"oneTypo": 9}}},
            )
        )

    def _patch_one(self) -> None:
        node = self._any_node()
        self._foreign(node, self._foreign_patch(node), self._world.chance.random())

    def _patch_all(self) -> None:
        patch, which = self._foreign_patch(self._any_node()), self._world.chance.random()
        for node in self._world.nodes.values():
            self._foreign(node, patch, which)

    def _start_tool(self) -> None:
        node = self._any_node()
        self.tools += 1
        self._use_tool(node, self._foreign_patch(node), self._world.chance.random(), _TOOL_TIMES)

    def _use_tool(self, node: SimNode, patch: Mapping[str, Any], which: float, times: int) -> None:
        """Go on for a while also after the faults: repairs have to stop by themselves."""
        if times == 0:
            self.tools -= 1
            return
        self._foreign(node, patch, which)
        again_s = SWEEP_S * 0.8
        self._world.loop.call_later(again_s, self._use_tool, node, patch, which, times - 1)

    def _foreign(self, node: SimNode, patch: Mapping[str, Any], which: float) -> None:
        live = _live(node)
        if live:
            uid = live[int(which * len(live))]
            self._world.note(f"somebody patches {uid} on {node.node_id}: {patch}")
            node.handle_settings_patch(IndexUid(uid), patch, "foreign")

    def _swap_on_one(self) -> None:
        node = self._any_node()
        live = _live(node)
        if len(live) > 1:
            self._world.note(f"somebody swaps {live[:2]} on {node.node_id}")
            node.handle_swap([{"indexes": live[:2]}], "foreign")

    def _delete_on_one(self) -> None:
        node = self._any_node()
        live = _live(node)
        if live:
            self._world.note(f"somebody deletes {live[0]} on {node.node_id}")
            node.handle_delete(live[0], "foreign")

    def _delete_a_probe(self) -> None:
        node = self._any_node()
        if node.up and not node.stopped and PROBE in node.disk.indexes:
            node.handle_delete(PROBE, "foreign")

    def _meddle_with_keys(self) -> None:
        node, chance = self._any_node(), self._world.chance
        if not node.up or node.stopped:
            return
        uid = chance.choice((*sorted(node.disk.keys), *KEY_UIDS))
        self._world.note(f"somebody meddles with key {uid} on {node.node_id}")
        key = node.disk.keys.get(uid)
        if key is None:
            body = {"uid": uid, "actions": ["documents.*"], "indexes": ["x"], "expiresAt": None}
            node.commons.make(body, "foreign")
        elif chance.random() < 0.5:
            node.commons.set(uid, None, "foreign")
        else:
            node.commons.set(uid, {**key, "name": "somebody's"}, "foreign")

    def _switch_on_one(self) -> None:
        node = self._any_node()
        if node.up and not node.stopped:
            name, on = self._world.chance.choice(sorted(node.commons.features().items()))
            self._world.note(f"somebody switches {name} on {node.node_id}")
            node.commons.switch({name: not on}, "foreign")

    # ---- machines

    def _replace_one(self) -> None:
        self._any_node().replace()

    def _upgrade_one(self) -> None:
        node = self._any_node()
        if node.up and not node.stopped and node.engine is NEW:
            node.upgrade(NEXT)

    def _lock_one(self) -> None:
        node = self._any_node()
        self._for_a_while(node, "locked", 15.0)

    def _mute_one(self) -> None:
        self._for_a_while(self._any_node(), "mute", 30.0)

    def _for_a_while(self, node: SimNode, what: str, up_to_s: float) -> None:
        if getattr(node, what):
            return
        setattr(node, what, True)
        self._world.note(f"{node.node_id} is {what}")
        self._world.loop.call_later(
            self._world.chance.uniform(0.5, up_to_s), setattr, node, what, False
        )

    def _hold_one(self) -> None:
        """Its scheduler stands still until somebody starts the node again."""
        node = self._any_node()
        if node.up and not node.stuck:
            node.hold()
            self._world.loop.call_later(self._world.chance.uniform(3.0, 40.0), self._again, node)

    def _again(self, node: SimNode) -> None:
        if node.up and node.stuck and not node.stopped:
            node.crash()
            node.restart_after(0.2)

    def _jump(self, by_ms: int) -> None:
        self._world.note("the wall clock jumps")
        self._world.clock.wall_offset_ms += by_ms

    def _steal_a_lease(self) -> None:
        """Another process has taken over, as it may after a pause; it ends without a trace."""
        leases = self._world.store._tables.leases
        held = sorted(scope for scope, row in leases.items() if row.holder)
        if held:
            scope = self._world.chance.choice(held)
            row, now_ms = leases[scope], self._world.clock.wall_ms()
            row.holder, row.epoch = "somebody else", row.epoch + 1
            row.expires_at_ms = now_ms + self._world.chance.randrange(500, 12_000)
            self._world.note(f"somebody else leads {scope}")


def _live(node: SimNode) -> list[str]:
    """Return the indexes on which somebody could do something now."""
    if not node.up or node.stopped:
        return []
    return sorted(uid for uid in node.disk.indexes if uid != PROBE)
