"""
The clients of a simulated cluster: some write settings, some search all the time.

A searching client reads often while a change is under way, since that is when answers could mix
versions. Some keep to the highest version that they have seen, as a pinned client does.
"""

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import Any, Final

import orjson

from miroir.core.topology import IndexUid
from miroir.errors import (
    IndexNotFound,
    MiroirError,
    SettingsVersionMismatch,
    SettingsVersionNotFound,
    Unavailable,
)
from miroir.node.settings import SETTINGS
from miroir.ports.node import NodeRequest
from miroir.services.registrar import Base, RefusedByNode, Rollback, SettingsWrite
from miroir.services.scatter import Wish
from tests.support import sim_events as e
from tests.support.sim_asked import reason_of
from tests.support.sim_inside import Gone
from tests.support.sim_keeper import Keeper
from tests.support.sim_patches import invalid_patch, rotated_key, valid_patch
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
            writers.append(clients.create_task(self._keep()))
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

    async def _keep(self) -> None:
        """Keep keys and features, in every other run, so that the others stay as quick."""
        keeper = Keeper(self._world, self.counts)
        await asyncio.sleep(0.5)
        for _ in range(self._chance.randrange(1, 5) if self._world.seed % 2 else 0):
            try:
                await keeper.do_something()
            except Gone:
                self.counts["gone"] += 1
                await asyncio.sleep(2.0)
            await asyncio.sleep(self._chance.random() * self._chance.choice((0.01, 1.0, 8.0)))

    async def _write_something(self, index: str, kind: float) -> None:
        if kind < 0.08 and self._deleting:
            await self._delete(index)
        elif kind < 0.14:
            await self._create(index)
        elif kind < 0.22:
            await self.change(index, invalid_patch(self._chance), valid=False)
        elif kind < 0.28:
            await self.change(index, {}, resets=True)
        elif kind < 0.40:
            await self._roll_back(index)
        elif kind < 0.43:
            await self._set_primary_key(index)
        elif kind < 0.50:
            await self.change(index, rotated_key(self._chance), seen=self._seen(index))
        else:
            await self.change(index, valid_patch(self._chance), seen=self._seen(index))

    def _seen(self, index: str) -> frozenset[int]:
        """Return the versions that a client makes its write for; mostly none."""
        known = self._version(index)
        if known is None or self._chance.random() < 0.7:
            return frozenset()
        seen = self._chance.choice((known, known, known, known - 1, known + 1))
        return frozenset({max(0, seen)})

    def _version(self, index: str) -> int | None:
        process = self._world.process
        if not process.serves:
            return None
        known = process.services.common.cluster.view.live(index)
        return known.record.version if known else None

    async def change(
        self,
        index: str,
        patch: dict[str, Any],
        *,
        valid: bool = True,
        resets: bool = False,
        seen: frozenset[int] = frozenset(),
    ) -> Any:
        """Ask for a change of settings; return its task, or None if it was refused."""
        world = self._world
        method = "DELETE" if resets else "PATCH"
        body = b"" if resets else orjson.dumps(patch)
        request = NodeRequest(method, "/settings", body, "application/json")
        asked = e.Asked(seen)
        write = SettingsWrite(
            IndexUid(index),
            patch,
            request,
            resets=resets,
            base=_base(seen),
            reason=reason_of(asked),
        )
        world.note(
            f"a client: {method} {index} {sorted(patch)} {write.reason}"
            f"{'' if valid else ' (invalid)'}"
        )
        meant = dict.fromkeys(SETTINGS) if resets else patch
        return await self._written(
            index, e.Unmoved(0, world.loop.time(), index, meant, asked), valid,
            lambda s: s.settings.registrar.change_settings(write),
        )  # fmt: skip

    async def _roll_back(self, index: str) -> None:
        """Ask for a version that was, now and then for one that never was."""
        world, known = self._world, self._version(index)
        former = self._chance.randint(1, (known or 0) + 1)
        asked = e.Asked(self._seen(index), former)
        wanted = Rollback(IndexUid(index), former, base=_base(asked.seen), reason=reason_of(asked))
        world.note(f"a client: roll back {index} {wanted.reason}")
        try:
            await self._written(
                index, e.Unmoved(0, world.loop.time(), index, {}, asked), True,
                lambda s: s.settings.registrar.roll_back(wanted),
            )  # fmt: skip
        except (IndexNotFound, SettingsVersionNotFound) as error:
            world.written(str(error))

    async def _written(
        self,
        index: str,
        unmoved: e.Unmoved,
        valid: bool,
        work: Any,
    ) -> Any:
        """Have settings written; what comes of it is shown to the checker."""
        world = self._world
        try:
            task = await world.process.ask(work)
        except SettingsVersionMismatch as error:
            self.counts["stale"] += 1
            world.written(str(error))
            seen = unmoved.asked.seen
            world.see(e.Mismatched(world.loop.time(), unmoved.began_s, index, seen))
            return None
        except RefusedByNode as refused:
            self.counts["refused"] += 1
            world.note("a client is refused")
            world.written(refused.reply.body.decode())
            world.see(e.Refused(world.loop.time(), index, valid))
            return None
        except Unavailable as error:
            world.written(str(error))
            return None
        if task.status == "succeeded" and task.intent_id is None:
            world.see(replace(unmoved, at_s=world.loop.time()))
        elif unmoved.asked.former is not None:
            self.counts["roll back"] += 1
        return self._accepted(index, task, valid=valid and task.error is None)

    async def _set_primary_key(self, index: str) -> None:
        key = self._chance.choice(("id", "sku", "key"))
        await self._end_or_begin(
            "primary key", index, lambda s: s.settings.lifecycle.update_index(IndexUid(index), key)
        )

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


def _base(seen: frozenset[int]) -> Base | None:
    """Return what `If-Match` makes of versions."""
    said = ", ".join(f'"{version}"' for version in sorted(seen))
    return Base(said, frozenset(map(str, seen))) if seen else None
