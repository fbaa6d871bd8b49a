"""
One run of a simulated cluster with documents: a seed makes faults and clients, a judge ends it.

Clients send one write after the other and do not know of each other; what Miroir dies over is
reported with its traceback. `simulate(seed)` returns the world: its `failure`, and its log.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import orjson
import structlog

from miroir.core.consistency import LEVELS, Consistency
from miroir.core.topology import IndexUid
from miroir.errors import MiroirError
from miroir.ports.node import NodeRequest
from miroir.runtime import Services
from miroir.services.registrar import SettingsWrite
from miroir.services.write_plan import DocumentsWrite, Terms
from tests.support.docs_faults import plan_for
from tests.support.docs_world import DocsWorld
from tests.support.sim_faults import FaultPlan
from tests.support.sim_inside import Gone
from tests.support.virtual_loop import VirtualLoop, run_virtual

_INDEXES: Final = (IndexUid("movies"), IndexUid("books"))
_END_MAX_S: Final = 900.0
_ENDS: Final = {"calm": 4.0}
"""How often indexes are deleted, by style; 1.0 is the rest."""


class Client:
    """Sends writes one after the other to one index, and does not know what others send."""

    def __init__(self, world: DocsWorld, number: int) -> None:
        self._world = world
        self._chance = random.Random(f"client {world.seed} {number}")
        self._number = number
        self._index = _INDEXES[number % len(_INDEXES)]
        # Long and dense runs are for what comes between two steps of a copy.
        self._pace, self._length = ((2.0, 1), (25.0, 1), (12.0, 4))[world.seed // 3 % 3]
        self._level: Consistency = "one"
        self._ends = _ENDS.get(world.faults.style, 1.0)

    async def run(self) -> None:
        for step in range(self._chance.randrange(8, 20) * self._length):
            await asyncio.sleep(self._chance.expovariate(self._pace))
            while not self._world.process.serves:
                await asyncio.sleep(0.1)
            work, what = self._any_work(step)
            try:
                answer = await self._world.process.ask(work)
            except (Gone, MiroirError) as error:
                self._world.note(f"client {self._number}: {what}: {error!r}")
                await asyncio.sleep(self._chance.uniform(0.0, 3.0))
                continue
            self._world.note(f"client {self._number}: {what}: task {answer.uid}")
            if self._level != "one":
                self._world.check_reached(answer.uid, self._level)

    def _any_work(self, step: int) -> tuple[Callable[[Services], Coroutine[Any, Any, Any]], str]:
        chance, uid = self._chance, self._index
        kind = chance.choices(
            ("add", "update", "delete", "filter", "edit", "all", "end", "create", "settings"),
            (8, 5, 4, 2, 2, 0.5, self._ends, 0.4, 1.2),
        )[0]
        self._level = chance.choices(LEVELS, (6, 1, 1))[0]
        terms = Terms(level=self._level)
        ids = [str(chance.randrange(9)) for _ in range(chance.randrange(1, 4))]
        rows = [{"id": int(i), "group": int(i) % 3, "v": f"{self._number}.{step}"} for i in ids]
        if kind in {"add", "update"}:
            method = "POST" if kind == "add" else "PUT"
            if method == "PUT":
                rows = [{"id": r["id"], f"u{self._number}.{step}": 1} for r in rows]
            body = orjson.dumps(list({r["id"]: r for r in rows}.values()))
            write = DocumentsWrite(uid, method, body, "application/json", level=self._level)
            return lambda s: s.documents.writer.add(write), f"{kind} {uid} {body!r}"
        if kind == "delete":
            return lambda s: s.documents.writer.delete_ids(uid, ids, terms), f"delete {uid} {ids}"
        if kind == "filter":
            wish = orjson.dumps({"filter": f"group = {chance.randrange(3)}"})
            return lambda s: s.documents.writer.delete_matching(
                uid, wish, terms
            ), f"{uid} {wish!r}"
        if kind == "edit":
            wish = orjson.dumps({"filter": f"group = {chance.randrange(3)}", "function": "count"})
            return lambda s: s.documents.writer.edit(uid, wish, terms), f"edit {uid} {wish!r}"
        if kind == "all":
            return lambda s: s.documents.writer.delete_all(uid, terms), f"delete all of {uid}"
        if kind == "end":
            return lambda s: s.documents.writer.delete_index(uid), f"delete index {uid}"
        if kind == "create":
            return lambda s: s.settings.lifecycle.create_index(uid, "id"), f"create {uid}"
        patch = {"stopWords": [f"w{chance.randrange(3)}"]}
        request = NodeRequest("PATCH", "/settings", orjson.dumps(patch), "application/json")
        change = SettingsWrite(uid, patch, request, resets=False)
        return lambda s: s.settings.registrar.change_settings(change), f"settings {uid} {patch}"


Workload = Callable[[DocsWorld], Coroutine[Any, Any, None]]


async def three_clients(world: DocsWorld) -> None:
    """Have clients send what comes to their mind."""
    async with asyncio.TaskGroup() as clients:
        for number in range(3):
            clients.create_task(Client(world, number).run())


def simulate(
    seed: int,
    faults: FaultPlan | None = None,
    *,
    workload: Workload = three_clients,
    world_type: type[DocsWorld] = DocsWorld,
) -> DocsWorld:
    """Run one seed to its end; `failure` of the returned world is what went wrong."""
    worlds: list[DocsWorld] = []

    async def main(loop: VirtualLoop) -> None:
        world = world_type(loop, seed, faults or plan_for(seed))
        worlds.append(world)
        befalls = asyncio.ensure_future(world.befall())
        failed = asyncio.ensure_future(world.failed.wait())
        done = asyncio.ensure_future(workload(world))
        await asyncio.wait({done, failed}, return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            done.result()  # What a client fell over is a finding, too.
        world.note("the faults are over")
        world.heal()
        until_s = loop.time() + _END_MAX_S
        while world.failure is None and (left := await world.at_rest()):
            await asyncio.sleep(1.0)
            if loop.time() > until_s:
                world.fail(f"does not come to rest: {left}")
        if world.failure is None:
            await world.judge()
        befalls.cancel()
        failed.cancel()

    structlog.configure(
        processors=[lambda _l, _m, event: _drop(worlds, event)], cache_logger_on_first_use=False
    )
    try:
        run_virtual(main, seed=seed)
    except Exception as error:  # noqa: BLE001 - reported with the seed
        worlds[0].fail(f"{type(error).__name__}: {error}")
    finally:
        structlog.reset_defaults()
    return worlds[0]


def _drop(worlds: list[DocsWorld], event: Mapping[str, Any]) -> Any:
    if worlds:
        worlds[0].note(f"log: {dict(event)}"[:300])
    raise structlog.DropEvent
