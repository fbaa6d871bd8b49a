"""
One run: a seed makes a cluster, a fault plan and clients; the checker watches; then all must end.

    clients and faults ─▶ faults stop, nodes heal ─▶ everything open ends within a bound
      ─▶ every node is proved ─▶ equal settings send nothing ─▶ a floor is met ─▶ it stays quiet

`simulate(seed)` returns an `Outcome`; a failed one carries the log and the command to repeat it.
"""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog

from miroir.core.topology import IndexUid
from miroir.errors import MiroirError, Unavailable
from miroir.ports.node import NodeRequest
from miroir.services.registrar import RefusedByNode, SettingsWrite
from miroir.services.scatter import Wish
from tests.support import sim_events as e
from tests.support.sim_faults import FaultPlan, FaultPoint, plan_for
from tests.support.sim_patches import invalid_patch, rotated_key, valid_patch
from tests.support.sim_process import Gone
from tests.support.sim_weather import SWEEP_S
from tests.support.sim_world import World
from tests.support.virtual_loop import VirtualLoop, run_virtual

_INDEXES: Final = ("movies", "books")
_END_MAX_S: Final = 240.0
_FOUND_S: Final = 2.2 * SWEEP_S
_QUIET_S: Final = 2.2 * SWEEP_S


@dataclass(frozen=True)
class Outcome:
    """
    What became of a run.

    Attributes:
        failure: The broken invariant, or None.
        simulated_s: Virtual seconds.
        notes: Counts of what happened, e.g. `commit`.
    """

    seed: int
    style: str
    failure: str | None
    log: tuple[str, ...]
    hits: Mapping[FaultPoint, int]
    simulated_s: float
    notes: Mapping[str, int]

    @property
    def digest(self) -> str:
        """SHA-256 of the log: the same for the same seed."""
        return hashlib.sha256("\n".join(self.log).encode()).hexdigest()

    def report(self, lines: int = 150) -> str:
        """Return what a reader needs: the failure, the command, the end of the log."""
        command = f"python -m tests.simulation --seeds 1 --start {self.seed} --log"
        tail = "\n".join(self.log[-lines:])
        return f"seed {self.seed} ({self.style}): {self.failure}\nrepeat: {command}\n{tail}"


def simulate(seed: int, *, plan: FaultPlan | None = None) -> Outcome:
    """Run one seed to its end, or to the first broken invariant."""
    faults = plan or plan_for(seed)
    runs: list[_Run] = []

    async def main(loop: VirtualLoop) -> None:
        runs.append(_Run(World(loop, seed, faults)))
        await runs[0].to_the_end()

    failure: str | None = None
    with _LogsInto(runs):
        try:
            run_virtual(main, seed=seed)
        except Exception as error:  # noqa: BLE001 - reported with the seed
            failure = f"{type(error).__name__}: {error}"
    assert runs, failure
    world = runs[0].world
    return Outcome(
        seed=seed,
        style=faults.style,
        failure=world.failure or failure,
        log=tuple(world.log),
        hits=dict(faults.hits),
        simulated_s=world.loop.time(),
        notes=dict(runs[0].counts),
    )


class _LogsInto:
    """Sends the services' log lines to the run: into its log, and past the checker."""

    def __init__(self, runs: list["_Run"]) -> None:
        self._runs = runs

    def __enter__(self) -> None:
        structlog.configure(processors=[self._take], cache_logger_on_first_use=False)

    def __exit__(self, *_: object) -> None:
        structlog.reset_defaults()

    def _take(self, _logger: Any, _method: str, event: Any) -> Any:
        if self._runs:
            self._runs[0].written(orjson.dumps(event, default=repr).decode())
        raise structlog.DropEvent


class _Run:
    """The clients of one run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.counts: Counter[str] = Counter()
        self._chance = random.Random(f"clients {world.seed}")
        self._deleting = world.seed % 3 == 0

    def written(self, text: str) -> None:
        self.world.note(f"  log {text}")
        self.world.see(e.Written(self.world.loop.time(), text))

    async def to_the_end(self) -> None:
        """Run everything; end early when an invariant breaks."""
        world = self.world
        work = asyncio.ensure_future(self._everything())
        failed = asyncio.ensure_future(world.failed.wait())
        try:
            await asyncio.wait({work, failed}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            work.cancel()
            failed.cancel()
            world.loop.after_round = lambda: None
            for process in world.processes:
                process.alive = False

    async def _everything(self) -> None:
        world = self.world
        weather = asyncio.ensure_future(world.weather.run())
        async with asyncio.TaskGroup() as clients:
            reader = clients.create_task(self._read_for_ever())
            writers = [clients.create_task(self._write(n)) for n in range(2)]
            await asyncio.wait(writers)
            reader.cancel()
        world.note("the faults stop")
        world.heal()
        await self._all_ends()
        await asyncio.sleep(_FOUND_S)  # What was done behind Miroir's back last is found, too.
        await self._all_ends()
        await self._nothing_for_equal_settings()
        await self._stays_quiet()
        weather.cancel()

    # ---- clients

    async def _write(self, number: int) -> None:
        await asyncio.sleep(0.1 + number * 0.3)
        for _ in range(self._chance.randrange(3, 7)):
            index = _INDEXES[self._chance.choice((0, 0, 0, 1))]
            kind = self._chance.random()
            try:
                if kind < 0.08 and self._deleting:
                    await self._ask_delete(index)
                elif kind < 0.14:
                    await self._ask_create(index)
                elif kind < 0.22:
                    await self._ask_change(index, invalid_patch(self._chance), valid=False)
                elif kind < 0.28:
                    await self._ask_change(index, {}, resets=True)
                elif kind < 0.38:
                    await self._ask_change(index, rotated_key(self._chance))
                else:
                    await self._ask_change(index, valid_patch(self._chance))
            except Gone:
                self.counts["gone"] += 1
                await asyncio.sleep(2.0)
            pause_s = self._chance.choice((0.0, 0.01, 0.3, 1.0, 5.0, 12.0))
            await asyncio.sleep(self._chance.random() * pause_s)

    async def _ask_change(
        self, index: str, patch: dict[str, Any], *, valid: bool = True, resets: bool = False
    ) -> Any:
        world = self.world
        method = "DELETE" if resets else "PATCH"
        request = NodeRequest(
            method, "/settings", b"" if resets else orjson.dumps(patch), "application/json"
        )
        write = SettingsWrite(IndexUid(index), patch, request, resets=resets)
        world.note(f"a client: {method} {index} {sorted(patch)}{'' if valid else ' (invalid)'}")
        try:
            task = await world.process.ask(lambda s: s.settings.registrar.change_settings(write))
        except RefusedByNode as refused:
            self.counts["refused"] += 1
            world.note("a client is refused")
            self.written(refused.reply.body.decode())
            world.see(e.Refused(world.loop.time(), index, valid))
            return None
        except Unavailable as error:
            self.written(str(error))
            return None
        return self._accepted(index, task, valid=valid and not (resets and task.error))

    async def _ask_create(self, index: str) -> None:
        world = self.world
        world.note(f"a client: create {index}")
        task = await world.process.ask(
            lambda s: s.settings.lifecycle.create_index(IndexUid(index), None)
        )
        self._accepted(index, task, valid=task.status != "failed")

    async def _ask_delete(self, index: str) -> None:
        world = self.world
        world.note(f"a client: delete {index}")
        task = await world.process.ask(
            lambda s: s.settings.lifecycle.delete_index(IndexUid(index))
        )
        self._accepted(index, task, valid=task.status != "failed")

    def _accepted(self, index: str, task: Any, *, valid: bool) -> Any:
        world = self.world
        self.counts["accepted"] += 1
        world.note(f"a client has task {task.uid} ({task.status})")
        world.see(e.Accepted(world.loop.time(), task.uid, index, task.status))
        if valid and task.intent_id is not None and world.faults.style == "calm":
            self._must_succeed.add(task.uid)
        return task

    @property
    def _must_succeed(self) -> set[int]:
        return self.__dict__.setdefault("_valid_tasks", set())  # type: ignore[no-any-return]

    async def _read_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(0.05, 1.5))
            index = self._chance.choice(_INDEXES)
            process = self.world.process
            floor = None
            if process.serves and self._chance.random() < 0.4:
                known = process.services.common.cluster.view.live(index)
                floor = known.record.version + self._chance.choice((0, 0, 1)) if known else None
            try:
                await self._search(index, floor)
            except (Gone, MiroirError):
                self.counts["no answer"] += 1

    async def _search(self, index: str, floor: int | None) -> e.Answered:
        world = self.world
        began_s = world.loop.time()
        request = NodeRequest("POST", f"/indexes/{index}/search", b"{}", "application/json")
        wish = Wish(IndexUid(index), request, timeout_s=10.0, floor=floor)
        gathered = await world.process.ask(lambda s: s.reads.scatter.ask(wish))
        bodies = [orjson.loads(reply.body) for reply in gathered.replies]
        truths = {body["node"]: body["truth"].encode() for body in bodies}
        now_s, flagged = world.loop.time(), gathered.inconsistent
        event = e.Answered(now_s, began_s, index, floor, gathered.version, flagged, truths)
        self.counts["answer, flagged" if flagged else "answer"] += 1
        world.see(event)
        return event

    # ---- liveness: the faults have stopped

    async def _all_ends(self) -> None:
        world = self.world
        until_s = world.loop.time() + _END_MAX_S
        while (left := self._unfinished()) is not None:
            if world.loop.time() > until_s:
                raise AssertionError(f"{_END_MAX_S} s after the faults: {left}")
            await asyncio.sleep(0.5)
        world.note("everything has ended")
        for uid in self._must_succeed:
            task = world.store._tables.tasks[uid]
            assert task.status == "succeeded", f"task {uid} failed in calm: {task.error}"
        for uid, accepted in world.checker.accepted.items():
            status = world.store._tables.tasks[uid].status
            world.see(e.Accepted(world.loop.time(), uid, accepted.index, status))

    def _unfinished(self) -> str | None:
        """Name one thing that has not come to its end; None if all have."""
        world = self.world
        process = world.process
        if not process.serves:
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
        view = self.world.process.services.common.cluster.view
        if view.healthy != frozenset(self.world.nodes):
            return "not every node is held for healthy"
        given_up = self._given_up()
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
        """What was reported to the operator: nobody can fill it, or the repairs do not hold."""
        world = self.world
        lonely = world.topology.group_count == 1
        return {
            (d.index_uid, d.node_id)
            for d in world.process.services.settings.reconciler.drifts
            if d.action.value == "alert"
            and (lonely if d.finding.state.value == "missing" else self._disturbed(d.node_id))
        }

    def _disturbed(self, node_id: str) -> bool:
        """Whether a node was touched by others so often that repairs may have been given up."""
        allowed: int = self.world.config.settings_drift_check.repair_attempts_max
        return self.world.disturbances[node_id] >= allowed

    async def _nothing_for_equal_settings(self) -> None:
        world = self.world
        for uid, index in list(world.process.services.common.cluster.view.indexes.items()):
            if self._given_up() or index.record.settings is None:
                continue
            sent, opened = world.departures, len(world.opened)
            settings = {k: v for k, v in index.record.settings.items() if k != "embedders"}
            task = await self._ask_change(uid, dict(settings))
            assert task is not None
            assert task.status == "succeeded", f"equal settings of {uid} open an intent"
            assert (sent, opened) == (world.departures, len(world.opened)), "a no-op was sent"
            answer = await self._search(uid, index.record.version)
            assert not answer.flagged
            self.counts["no-op"] += 1

    async def _stays_quiet(self) -> None:
        """Repairs stop within their budget; what was proved stays proved."""
        sent, opened = self.world.departures, len(self.world.opened)
        await asyncio.sleep(_QUIET_S)
        self.world.tick()
        assert (sent, opened) == (self.world.departures, len(self.world.opened)), "no rest"
        left = self._unproved()
        assert left is None, left
