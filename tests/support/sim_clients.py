"""
The clients of a simulated cluster: some write settings, some search all the time.

A searching client reads often while a change is under way, since that is when answers could mix
versions. Some keep to the highest version that they have seen, as a pinned client does.
"""

import asyncio
import random
from collections import Counter
from typing import Any, Final

import orjson

from miroir.core.topology import IndexUid
from miroir.errors import MiroirError, Unavailable
from miroir.ports.node import NodeRequest
from miroir.services.registrar import RefusedByNode, SettingsWrite
from miroir.services.scatter import Wish
from tests.support import sim_events as e
from tests.support.sim_patches import invalid_patch, rotated_key, valid_patch
from tests.support.sim_process import Gone
from tests.support.sim_world import World

INDEXES: Final = ("movies", "books")
_SEARCH_MAX_S: Final = 6.0


class Clients:
    """
    The clients of one run.

    Attributes:
        counts: What happened to them, e.g. `answer, flagged`.
        must_succeed: Tasks of valid changes in a run in which nothing goes wrong.
    """

    def __init__(self, world: World) -> None:
        self.counts: Counter[str] = Counter()
        self.must_succeed: set[int] = set()
        self._world = world
        self._chance = random.Random(f"clients {world.seed}")
        self._deleting = world.seed % 3 == 0

    async def run(self) -> None:
        """Write a number of times, and search for as long as that takes."""
        async with asyncio.TaskGroup() as clients:
            readers = [clients.create_task(self._read_for_ever(clients, n)) for n in range(2)]
            writers = [clients.create_task(self._write(n)) for n in range(2)]
            await asyncio.wait(writers)
            for reader in readers:
                reader.cancel()

    # ---- writing

    async def _write(self, number: int) -> None:
        await asyncio.sleep(0.1 + number * 0.3)
        for _ in range(self._chance.randrange(3, 7)):
            index = INDEXES[self._chance.choice((0, 0, 0, 1))]
            try:
                await self._write_something(index, self._chance.random())
            except Gone:
                self.counts["gone"] += 1
                await asyncio.sleep(2.0)
            pause_s = self._chance.choice((0.0, 0.01, 0.3, 1.0, 5.0, 12.0))
            await asyncio.sleep(self._chance.random() * pause_s)

    async def _write_something(self, index: str, kind: float) -> None:
        if kind < 0.08 and self._deleting:
            await self._delete(index)
        elif kind < 0.14:
            await self._create(index)
        elif kind < 0.22:
            await self.change(index, invalid_patch(self._chance), valid=False)
        elif kind < 0.28:
            await self.change(index, {}, resets=True)
        elif kind < 0.38:
            await self.change(index, rotated_key(self._chance))
        else:
            await self.change(index, valid_patch(self._chance))

    async def change(
        self, index: str, patch: dict[str, Any], *, valid: bool = True, resets: bool = False
    ) -> Any:
        """Ask for a change of settings; return its task, or None if it was refused."""
        world = self._world
        method = "DELETE" if resets else "PATCH"
        body = b"" if resets else orjson.dumps(patch)
        request = NodeRequest(method, "/settings", body, "application/json")
        write = SettingsWrite(IndexUid(index), patch, request, resets=resets)
        world.note(f"a client: {method} {index} {sorted(patch)}{'' if valid else ' (invalid)'}")
        try:
            task = await world.process.ask(lambda s: s.settings.registrar.change_settings(write))
        except RefusedByNode as refused:
            self.counts["refused"] += 1
            world.note("a client is refused")
            world.written(refused.reply.body.decode())
            world.see(e.Refused(world.loop.time(), index, valid))
            return None
        except Unavailable as error:
            world.written(str(error))
            return None
        return self._accepted(index, task, valid=valid and not (resets and task.error))

    async def _create(self, index: str) -> None:
        await self._end_or_begin(
            "create", index, lambda s: s.settings.lifecycle.create_index(IndexUid(index), None)
        )

    async def _delete(self, index: str) -> None:
        await self._end_or_begin(
            "delete", index, lambda s: s.settings.lifecycle.delete_index(IndexUid(index))
        )

    async def _end_or_begin(self, what: str, index: str, work: Any) -> None:
        self._world.note(f"a client: {what} {index}")
        try:
            task = await self._world.process.ask(work)
        except Unavailable as error:
            self._world.written(str(error))
            return
        self._accepted(index, task, valid=task.status != "failed")

    def _accepted(self, index: str, task: Any, *, valid: bool) -> Any:
        world = self._world
        self.counts["accepted"] += 1
        world.note(f"a client has task {task.uid} ({task.status})")
        world.see(e.Accepted(world.loop.time(), task.uid, index, task.status))
        if valid and task.intent_id is not None and world.faults.style == "calm":
            self.must_succeed.add(task.uid)
        return task

    # ---- searching

    async def _read_for_ever(self, clients: asyncio.TaskGroup, number: int) -> None:
        seen = dict.fromkeys(INDEXES, 0)
        while True:
            await asyncio.sleep(self._pause_s())
            index = self._chance.choice(INDEXES)
            clients.create_task(self._try(index, self._floor(index, seen[index], number), seen))

    def _pause_s(self) -> float:
        process = self._world.process
        busy = process.serves and any(
            index.accepted for index in process.services.common.cluster.view.indexes.values()
        )
        return self._chance.uniform(0.0, 0.25) if busy else self._chance.uniform(0.2, 4.0)

    def _floor(self, index: str, seen: int, number: int) -> int | None:
        process = self._world.process
        if number == 0:  # Pinned to what it has seen, as a session is.
            return seen or None
        if not process.serves or self._chance.random() < 0.6:
            return None
        known = process.services.common.cluster.view.live(index)
        return known.record.version + self._chance.choice((0, 0, 1)) if known else None

    async def _try(self, index: str, floor: int | None, seen: dict[str, int]) -> None:
        began_s = self._world.loop.time()
        try:
            answer = await self.search(index, floor)
        except Gone:
            self.counts["no answer"] += 1
        except MiroirError as error:
            self.counts["no answer"] += 1
            now_s = self._world.loop.time()
            self._world.see(e.Denied(now_s, began_s, index, floor, error.code))
        else:
            seen[index] = max(seen[index], answer.version)

    async def search(self, index: str, floor: int | None) -> e.Answered:
        """Search; what comes back is shown to the checker."""
        world = self._world
        began_s = world.loop.time()
        request = NodeRequest("POST", f"/indexes/{index}/search", b"{}", "application/json")
        wish = Wish(IndexUid(index), request, timeout_s=_SEARCH_MAX_S, floor=floor)
        gathered = await world.process.ask(lambda s: s.reads.scatter.ask(wish))
        bodies = [orjson.loads(reply.body) for reply in gathered.replies]
        looks = tuple(
            e.Look(b["node"], b["truth"].encode(), b["asked"], b["engine"]) for b in bodies
        )
        now_s, flagged = world.loop.time(), gathered.inconsistent
        event = e.Answered(now_s, began_s, index, floor, gathered.version, flagged, looks)
        self.counts["answer, flagged" if flagged else "answer"] += 1
        world.see(event)
        return event
