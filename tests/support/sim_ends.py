"""
What must become of a simulated cluster when the faults have stopped: all of it, in bounded time.

    everything open ends, every healthy node is included ─▶ what was done behind Miroir's back last
      is found, too ─▶ equal settings send nothing, a floor is met ─▶ it stays quiet

What is left to the operator on purpose (a replica that nobody can fill, repairs that did not hold
often enough) is no failure, but has to be said by Miroir itself.
"""

import asyncio
from typing import Any, Final

from miroir.core.commons import COMMONS, KEYS
from tests.support import sim_events as e
from tests.support.sim_choices import SWEEP_S
from tests.support.sim_clients import Clients
from tests.support.sim_world import World

_END_MAX_S: Final = 240.0
_FOUND_S: Final = 1.4 * SWEEP_S
_QUIET_S: Final = 1.3 * SWEEP_S


class Ends:
    """Looks at one world after its faults."""

    def __init__(self, world: World, clients: Clients) -> None:
        self._world = world
        self._clients = clients

    async def come(self) -> None:
        """Wait for the end of everything, and look at it; an AssertionError says what is left."""
        await self.all_ends()
        await asyncio.sleep(_FOUND_S)
        await self.all_ends()
        self.nothing_stays_behind()
        self.what_went_back_is_filled()
        self.primary_keys_are_as_committed()
        self.commons_are_equal()
        await self.nothing_for_equal_settings()
        await self.stays_quiet()

    async def all_ends(self) -> None:
        """Every intent and task ends, every node is included again, within the bound."""
        world = self._world
        until_s = world.loop.time() + _END_MAX_S
        while (left := self._unfinished()) is not None:
            if world.loop.time() > until_s:
                raise AssertionError(f"{_END_MAX_S} s after the faults: {left}")
            await asyncio.sleep(0.5)
        world.note("everything has ended")
        for uid in self._clients.must_succeed:
            task = world.store._tables.tasks[uid]
            assert task.status == "succeeded", f"task {uid} failed in calm: {task.error}"
        for uid, accepted in world.checker.accepted.items():
            status = world.store._tables.tasks[uid].status
            world.see(e.Accepted(world.loop.time(), uid, accepted.index, status))

    def _unfinished(self) -> str | None:
        """Name one thing that has not come to its end; None if all have."""
        world = self._world
        if not world.process.serves:
            return "no process serves"
        if world.weather.tools:
            return "a tool is at work"
        if any(node.pending_any() for node in world.nodes.values()):
            return "a node still has tasks"
        intents = [i for i in world.store._tables.in_order() if not i.state.closed]
        if intents:
            return f"intent {intents[0].intent_id} is {intents[0].state.phase.value}"
        for uid in world.checker.accepted:
            if world.store._tables.tasks[uid].status in {"enqueued", "processing"}:
                return f"task {uid} has not ended"
        return self._unproved()

    def _unproved(self) -> str | None:
        view = self._world.process.services.common.cluster.view
        if view.healthy != frozenset(self._world.nodes):
            return "not every node is held for healthy"
        given_up = self._given_up()
        strays = self._world.process.services.settings.commons.steward.strays
        if any(s.action != "alert" or not self._disturbed(s.node_id) for s in strays):
            return "keys or features differ"
        for uid, index in view.indexes.items():
            if index.record.deleted:
                return f"{uid} is on its way"
            for node_id in view.topology.node_ids:
                proved = index.proved.get(node_id) == index.record.version
                if node_id in index.out_of_sync and (uid, node_id) not in given_up:
                    return f"{node_id} misses {uid}"
                if not proved and (uid, node_id) not in given_up:
                    return f"{uid} is not proved on {node_id}"
        return None

    def _given_up(self) -> set[tuple[str, str]]:
        """
        What was reported to the operator: repairs do not hold, or nobody has the index any more.

        Where every replica of a column that counts as in sync has lost it, the others cannot be
        filled either.
        """
        world = self._world
        indexes = world.process.services.common.cluster.view.indexes
        drifts: Any = world.process.services.settings.reconciler.drifts
        alerts = {d for d in drifts if d.action.value == "alert"}
        given_up = {
            (d.index_uid, d.node_id)
            for d in alerts
            if d.finding.state.value != "missing" and self._disturbed(d.node_id)
        }
        for uid in {d.index_uid for d in alerts if d.finding.state.value == "missing"}:
            lagging = indexes[uid].out_of_sync if uid in indexes else {}
            for column in world.topology.columns:
                sources = [n for n in column if n not in lagging]
                if not any(uid in world.nodes[n].disk.indexes for n in sources):
                    given_up |= {(uid, n) for n in column}
        return given_up

    def _disturbed(self, node_id: str) -> bool:
        """Whether a node was touched by others so often that repairs may have been given up."""
        allowed: int = self._world.config.settings_drift_check.repair_attempts_max
        return self._world.disturbances[node_id] >= allowed

    def nothing_stays_behind(self) -> None:
        """An index that was deleted through Miroir is on no node."""
        world = self._world
        for record in world.store._tables.indexes.values():
            if record.deleted:
                left = [n for n, node in world.nodes.items() if record.uid in node.disk.indexes]
                assert not left, f"{record.uid} was deleted, and is still on {left}"

    def commons_are_equal(self) -> None:
        """Every node has the keys and features that were committed, and the edge knows them."""
        world, commons = self._world, self._world.process.services.settings.commons
        given_up = {(s.uid, s.node_id) for s in commons.steward.strays if s.action == "alert"}
        for name in world.nodes:
            for uid in sorted(COMMONS):
                wrong = world.checker.commons.wrong(name, uid)
                told = (uid, name) in given_up and self._disturbed(name)
                assert not wrong or told, f"{uid}: on {name} {wrong[0]}"
        live = {uid for uid, key in world.checker.commons.latest(KEYS).items() if key is not None}
        assert live == set(commons.ring.live()), "the edge knows other keys than the nodes"

    def primary_keys_are_as_committed(self) -> None:
        """
        A node with another one would take documents under other ids than its siblings.

        Where none is committed, one that somebody has given an index of a node stays.
        """
        world = self._world
        for uid in world.process.services.common.cluster.view.indexes:
            wanted = world.checker.asked.keys.get(uid)
            for name, node in world.nodes.items():
                index = node.disk.indexes.get(uid)
                seen = index.primary_key if index else wanted
                assert wanted in {None, seen}, f"{uid}: {name} has key {seen}, not {wanted}"

    def what_went_back_is_filled(self) -> None:
        """
        A restored node lacks documents, whatever its settings are.

        Of the process that saw it go: what happened before its time is found by the census, which
        compares documents and has a simulation of its own.
        """
        world = self._world
        view = world.process.services.common.cluster.view
        for at_s, node in world.rewound:
            if at_s < world.process.since_s:
                continue
            column = view.topology.columns[view.topology.by_id[node].shard_id]  # type: ignore[index]
            for uid, index in view.indexes.items():
                told = any(
                    (since_s >= at_s and (uid, node) == (u, n))
                    for since_s, u, n in world.out_of_sync
                )
                newer = index.record.created_at_ms > world.clock.at_ms(at_s)
                assert told or newer or len(column) == 1 or self._given_up(), (
                    f"{node} was restored at {at_s:.1f} s and serves {uid} as if it had not been"
                )

    async def nothing_for_equal_settings(self) -> None:
        """What is in force already costs no node anything, and is answered at once."""
        world = self._world
        for uid, index in list(world.process.services.common.cluster.view.indexes.items()):
            if self._given_up() or index.record.settings is None:
                continue
            if index.record.frozen_reason is not None:
                continue  # A change that ends well is the way out, equal or not.
            sent, opened = world.departures, len(world.opened)
            settings = {k: v for k, v in index.record.settings.items() if k != "embedders"}
            task = await self._clients.change(uid, dict(settings))
            assert task is not None
            assert task.status == "succeeded", f"equal settings of {uid} open an intent"
            assert (sent, opened) == (world.departures, len(world.opened)), "a no-op was sent"
            answer = await self._clients.search(uid, index.record.version)
            assert not answer.flagged
            self._clients.counts["no-op"] += 1

    async def stays_quiet(self) -> None:
        """Repairs stop within their budget; what was proved stays proved."""
        sent, opened = self._world.departures, len(self._world.opened)
        await asyncio.sleep(_QUIET_S)
        self._world.tick()
        assert (sent, opened) == (self._world.departures, len(self._world.opened)), "no rest"
        left = self._unproved()
        assert left is None, left
