"""
One simulated Meilisearch server, as nasty as the true one.

    HTTP ─▶ task queue (persisted) ─▶ one scheduler, first in first out, over all indexes ─▶ index

Neighbouring settings tasks of one index are one batch: applied together, failed together. Until a
batch is committed reads see the old settings. A crash loses the running batch, not the queue: it
runs again. A PATCH of a missing index creates it. Behind `handle_*` there is no delay and no
network: that is `sim_network`.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from miroir.errors import NodeRefused
from miroir.node.errors import ApiError
from miroir.ports.node import NodeTask
from tests.support.sim_engine import Engine, Stored, digest
from tests.support.sim_faults import FaultPlan, FaultPoint

PROBE = "_miroir_probe"


@dataclass
class SimIndex:
    """
    One index.

    Attributes:
        shown: Answer to GET.
        truth: What is served, as bytes: equal means equal.
    """

    primary_key: str | None
    stored: Stored
    shown: Mapping[str, Any]
    truth: bytes


@dataclass(frozen=True)
class SimTask:
    """
    One task.

    Attributes:
        origin: `own` (Miroir waits for the answer), `late` (it no longer does), `foreign`.
    """

    uid: int
    index_uid: str
    type: str
    body: Mapping[str, Any]
    origin: str
    status: str = "enqueued"
    error: Mapping[str, Any] | None = None

    def as_port(self) -> NodeTask:
        return NodeTask(self.uid, self.index_uid, self.type, self.status, self.error)  # type: ignore[arg-type]


@dataclass
class Disk:
    """What survives a crash."""

    indexes: dict[str, SimIndex] = field(default_factory=dict)
    tasks: list[SimTask] = field(default_factory=list)

    def copy(self) -> "Disk":
        return Disk({uid: replace(i) for uid, i in self.indexes.items()}, list(self.tasks))


Listener = Callable[["SimNode", str, str, str], None]
"""Told (node, index, origin, task type) when an index shows something new, came, or went."""


class SimNode:
    """
    One server.

    Attributes:
        up: Whether the process runs.
        reachable: Whether packets get through.
        stopped: Whether the process stands still (SIGSTOP): it answers nothing, works on nothing,
            and goes on with everything later.
        inbox: Requests that came meanwhile.
    """

    def __init__(
        self, node_id: str, engine: Engine, chance: random.Random, faults: FaultPlan
    ) -> None:
        self.node_id = node_id
        self.engine = engine
        self.disk = Disk()
        self.up = True
        self.reachable = True
        self.stopped = False
        self.inbox: list[Callable[[], None]] = []
        self.changed: Listener = lambda _node, _index, _origin, _by: None
        self.noted: Callable[[str], None] = lambda _: None
        self.disturbed: Callable[[SimNode], None] = lambda _: None
        self._chance = chance
        self._faults = faults
        self._running: list[SimTask] = []
        self._timer: asyncio.TimerHandle | None = None

    # ---- HTTP: synchronous answers

    def handle_settings_patch(self, index_uid: str, patch: Mapping[str, Any], origin: str) -> int:
        return self._enqueue(index_uid, "settingsUpdate", self._parsed(patch), origin)

    def _parsed(self, patch: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self.engine.parse(patch)
        except ApiError as error:
            raise NodeRefused(error.status, error.body()) from None

    def handle_create(self, index_uid: str, primary_key: str | None, origin: str) -> int:
        return self._enqueue(index_uid, "indexCreation", {"primaryKey": primary_key}, origin)

    def handle_update(self, index_uid: str, primary_key: str | None, origin: str) -> int:
        return self._enqueue(index_uid, "indexUpdate", {"primaryKey": primary_key}, origin)

    def handle_delete(self, index_uid: str, origin: str) -> int:
        return self._enqueue(index_uid, "indexDeletion", {}, origin)

    def handle_documents(self, index_uid: str, origin: str) -> int:
        return self._enqueue(index_uid, "documentDeletion", {}, origin)

    def handle_read(self, index_uid: str) -> Mapping[str, Any]:
        return self.index(index_uid).shown

    def index(self, index_uid: str) -> SimIndex:
        found = self.disk.indexes.get(index_uid)
        if found is None:
            message = f"Index `{index_uid}` not found."
            raise NodeRefused(404, ApiError("index_not_found", message).body())
        return found

    def pending(self, index_uid: str | None) -> list[SimTask]:
        """Return the tasks of an index (None: of all) that have not ended, newest first."""
        return [
            t
            for t in reversed(self.disk.tasks)
            if index_uid in {None, t.index_uid} and t.status in {"enqueued", "processing"}
        ]

    def pending_any(self) -> bool:
        return any(t.status in {"enqueued", "processing"} for t in self.disk.tasks[-60:])

    # ---- the queue

    def _enqueue(self, index_uid: str, kind: str, body: Mapping[str, Any], origin: str) -> int:
        uid = len(self.disk.tasks)
        self.disk.tasks.append(SimTask(uid, index_uid, kind, body, origin))
        self.noted(f"{self.node_id} queues task {uid} {kind} {index_uid} ({origin})")
        self._kick()
        return uid

    def _kick(self) -> None:
        if not self.up or self.stopped or self._running:
            return
        self._running = self._next_batch()
        if not self._running:
            return
        for task in self._running:
            self._mark(task, "processing")
        duration_s = self._duration_s(self._running[0])
        self._timer = asyncio.get_running_loop().call_later(duration_s, self._finish)

    def _next_batch(self) -> list[SimTask]:
        """The oldest task, and the settings tasks of its index right behind it."""
        waiting = [t for t in self.disk.tasks[-60:] if t.status == "enqueued"]
        if not waiting or waiting[0].type != "settingsUpdate":
            return waiting[:1]
        batch: list[SimTask] = []
        for task in waiting:
            if task.index_uid != waiting[0].index_uid:
                continue
            if task.type != "settingsUpdate":
                break
            batch.append(task)
        return batch

    def _duration_s(self, task: SimTask) -> float:
        if task.index_uid == PROBE:
            return self._chance.uniform(0.002, 0.02)
        if self._faults.strikes(FaultPoint.TASK_SLOW):
            return min(60.0, self._chance.paretovariate(0.8))  # Heavy tail: a reindex.
        return self._chance.lognormvariate(-4.0, 1.0)

    def _mark(self, task: SimTask, status: str, error: Mapping[str, Any] | None = None) -> None:
        self.disk.tasks[task.uid] = replace(self.disk.tasks[task.uid], status=status, error=error)

    def _finish(self) -> None:
        batch, self._running, self._timer = self._running, [], None
        error = self._applied(batch)
        if self._faults.strikes(FaultPoint.NODE_CRASHED_AFTER_WORK):
            self._running = batch
            self.crash()
            self.restart_after(self._chance.uniform(0.1, 3.0))
            return
        for task in batch:
            self._mark(task, "failed" if error else "succeeded", error)
        if error:
            uids = [task.uid for task in batch]
            self.noted(f"{self.node_id} fails tasks {uids}: {error['code']}")
        self._kick()

    def _applied(self, batch: list[SimTask]) -> Mapping[str, Any] | None:
        """Carry a batch out; return the error that all its tasks share."""
        first = batch[0]
        live = first.index_uid != PROBE
        if live and self._faults.strikes(FaultPoint.TASK_FAILED):
            self.disturbed(self)
            return ApiError("internal", "no space left for the time being").body()
        if (
            live
            and first.type == "settingsUpdate"
            and not any("apiKey" in str(task.body) for task in batch)  # Nobody could find out.
            and self._faults.strikes(FaultPoint.SETTING_NOT_APPLIED)
        ):
            self.disturbed(self)
            self.noted(f"{self.node_id} does not apply tasks {[t.uid for t in batch]}")
            return None
        try:
            self._apply(batch)
        except ApiError as error:
            return error.body()
        return None

    def _apply(self, batch: list[SimTask]) -> None:
        first = batch[0]
        uid = first.index_uid
        origin = "own" if all(t.origin == "own" for t in batch) else batch[-1].origin
        origin = (
            origin
            if origin != "own"
            else next((t.origin for t in batch if t.origin != "own"), "own")
        )
        task = (origin, first.type)
        found = self.disk.indexes.get(uid)
        match first.type:
            case "settingsUpdate":
                stored = found.stored if found else {}
                after = self.engine.apply(stored, [t.body for t in batch])
                self._put(uid, after, found.primary_key if found else None, task)
            case "indexCreation":
                if found:
                    raise ApiError("index_already_exists", f"Index `{uid}` already exists.")
                self._put(uid, {}, first.body["primaryKey"], task)
            case "indexUpdate":
                self._put(uid, self._existing(uid).stored, first.body["primaryKey"], task)
            case "indexDeletion":
                self._existing(uid)
                del self.disk.indexes[uid]
                self.changed(self, uid, origin, first.type)
            case "documentDeletion":
                self._existing(uid)  # There are no documents here; but the queue is real.
            case _:
                raise AssertionError(first.type)

    def _existing(self, uid: str) -> SimIndex:
        if uid not in self.disk.indexes:
            raise ApiError("index_not_found", f"Index `{uid}` not found.")
        return self.disk.indexes[uid]

    def _put(
        self, uid: str, stored: Stored, primary_key: str | None, task: tuple[str, str]
    ) -> None:
        truth = digest(self.engine.truth(stored))
        self.disk.indexes[uid] = SimIndex(primary_key, stored, self.engine.shown(stored), truth)
        self.changed(self, uid, *task)

    # ---- its life

    def reset(self) -> dict[str, None]:
        """Return the patch that DELETE means."""
        return dict.fromkeys(self.engine.shown({}))

    def stop(self) -> None:
        """Stand still."""
        self.stopped = True
        self.noted(f"{self.node_id} stands still")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def go_on(self) -> None:
        """Go on where it stood, and then with what has come in."""
        if not self.stopped:
            return
        self.stopped = False
        self.noted(f"{self.node_id} goes on")
        if self.up and self._running:
            rest_s = self._chance.uniform(0.05, 4.0)
            self._timer = asyncio.get_running_loop().call_later(rest_s, self._finish)
        self._kick()
        inbox, self.inbox = self.inbox, []
        for arrive in inbox:
            arrive()

    def crash(self) -> None:
        """Lose the running batch; what is on disk stays."""
        self.up = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._running:
            self._mark(task, "enqueued")
        self._running = []
        self.noted(f"{self.node_id} crashes")

    def restart_after(self, duration_s: float) -> None:
        asyncio.get_running_loop().call_later(duration_s, self.restart)

    def restart(self) -> None:
        if self.up:
            return
        self.up = True
        self.noted(f"{self.node_id} is up")
        self._kick()

    def restore(self, disk: Disk) -> None:
        """Come back as it was when the snapshot was made: settings and task uids go back."""
        if self.up:
            self.crash()
        self.disk = disk.copy()
        for uid in list(self.disk.indexes):
            self.changed(self, uid, "foreign", "snapshot")
        self.restart_after(self._chance.uniform(0.1, 2.0))
