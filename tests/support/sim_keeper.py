"""
The client of a simulated cluster that keeps its API keys and experimental features.

What it was told is shown to the checker; what it was not told (a broken connection, a change that
is still being carried out) may have happened or not.
"""

import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import orjson

from miroir.core.commons import FEATURES, KEYS
from miroir.errors import Unavailable
from miroir.ports.node import NodeRequest
from miroir.services.keys import ApiKeyExists, ApiKeyNotFound
from miroir.services.registrar import RefusedByNode
from tests.support import sim_events as e
from tests.support.sim_choices import KEY_UIDS
from tests.support.sim_world import World


class Keeper:
    """Keeps keys and features; `counts` says what happened to it."""

    def __init__(self, world: World, counts: Counter[str]) -> None:
        self._counts = counts
        self._world = world
        self._chance = random.Random(f"keeper {world.seed}")

    async def do_something(self) -> None:
        """Make, change or delete a key, or switch a feature."""
        kind = self._chance.random()
        try:
            if kind < 0.4:
                await self._make()
            elif kind < 0.55:
                await self._rename()
            elif kind < 0.75:
                await self._delete()
            else:
                await self._switch()
        except (ApiKeyExists, ApiKeyNotFound) as error:
            self._world.written(str(error))
        except Unavailable as error:
            self._counts["commons, unknown"] += 1
            self._world.written(str(error))
        except RefusedByNode as refused:
            self._counts["commons, refused"] += 1
            self._world.written(refused.reply.body.decode())
            if refused.reply.status in {401, 403}:
                self._world.fail("the key that a client shows is good, and is refused")

    async def _make(self) -> None:
        body = {
            "name": self._chance.choice(("shop", "admin", None)),
            "actions": self._chance.choice((["search"], ["*"], ["documents.*", "search"])),
            "indexes": self._chance.choice((["*"], ["movies"])),
            "expiresAt": self._end() if self._chance.random() < 0.25 else None,
        }
        uid = self._chance.choice((None, *KEY_UIDS))
        asked = body if uid is None else {**body, "uid": uid}
        await self._ask(f"make key {uid}", lambda s: s.settings.commons.ring.create(asked))

    def _end(self) -> str:
        end_s = self._world.clock.wall_ms() / 1000 + self._chance.uniform(15.0, 120.0)
        return datetime.fromtimestamp(end_s, tz=UTC).isoformat(timespec="seconds")

    async def _rename(self) -> None:
        uid, body = self._some_key(), {"name": self._chance.choice(("one", "two"))}
        if uid:
            await self._ask(
                f"rename key {uid}", lambda s: s.settings.commons.ring.change(uid, body)
            )

    async def _delete(self) -> None:
        uid = self._some_key()
        if uid:
            await self._ask(
                f"delete key {uid}",
                lambda s: s.settings.commons.ring.delete(uid),
                lambda _: (KEYS, {uid: None}),
            )

    def _some_key(self) -> str:
        process = self._world.process
        live = sorted(process.services.settings.commons.ring.live()) if process.serves else []
        return self._chance.choice(live) if live else ""

    async def _switch(self) -> None:
        name = self._chance.choice(("metrics", "containsFilter"))
        on = self._chance.random() < 0.5
        request = NodeRequest(
            "PATCH", "/experimental-features", orjson.dumps({name: on}), "application/json"
        )
        await self._ask(
            f"switch {name} {on}",
            lambda s: s.settings.commons.flags.change(request),
            lambda _: (FEATURES, {name: on}),
        )

    async def _ask(
        self, what: str, work: Any, told: Any = lambda shown: (KEYS, {shown["uid"]: shown})
    ) -> None:
        """Ask for something, and show what came of it."""
        world, began_s = self._world, self._world.loop.time()
        world.note(f"a client: {what}")
        shown = await world.process.ask(work)
        self._counts["commons"] += 1
        world.note(f"a client is told: {what}")
        world.see(e.CommonAnswered(world.loop.time(), began_s, *told(shown)))
