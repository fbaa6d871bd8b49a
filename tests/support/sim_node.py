"""
One simulated Meilisearch server, as nasty as the true one.

    HTTP ─▶ task queue (persisted) ─▶ one scheduler, first in first out, over all indexes ─▶ index

Neighbouring settings tasks of one index are one batch: applied together, failed together. Until a
batch is committed reads see the old settings. A crash loses the running batch, not the queue: it
runs again. A PATCH of a missing index creates it. Somebody else may cancel tasks, or delete those
that have ended from the list; uids go on. Behind `handle_*` there is no delay and no network: that
is `sim_calls`.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from miroir.core.commons import COMMONS, FEATURES
from miroir.errors import NodeRefused
from miroir.node.errors import ApiError
from tests.support.sim_disk import Disk, SimIndex, SimTask
from tests.support.sim_engine import Engine, Stored, digest
from tests.support.sim_faults import FaultPlan, FaultPoint as F
from tests.support.sim_node_commons import NodeCommons

PROBE = "_miroir_probe"
_FAILS: Final = {"embedders": {"broken": {"source": "ollama", "model": "m", "url": "http://a/b"}}}
"""Settings that a node takes, and whose task then fails."""


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
        mute: Whether its answers get lost while requests get through.
        locked: Whether it runs with another master key and refuses Miroir's.
        commons: Its API keys and experimental features.
        stuck: Whether its scheduler works on nothing until the next start.
        starts: How often it was started: what was asked before is not answered after.
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
        self.mute = False
        self.locked = False
        self.stuck = False
        self.starts = 0
        self.inbox: list[Callable[[], None]] = []
        self.changed: Listener = lambda _node, _index, _origin, _by: None
        self.noted: Callable[[str], None] = lambda _: None
        self.disturbed: Callable[[SimNode], None] = lambda _: None
        self.upgraded: Callable[[SimNode], None] = lambda _: None
        self.commons = NodeCommons(self)
        self.batch_ends_s = 0.0
        self.backlogs: dict[str, int] = {}
        self._chance = chance
        self._faults = faults
        self._running: list[SimTask] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def answers(self) -> bool:
        """Whether who asks it is answered."""
        blind = self.stopped or self.mute or self.locked
        return self.up and self.reachable and not blind

    # ---- HTTP: synchronous answers

    def handle_settings_patch(self, index_uid: str, patch: Mapping[str, Any], origin: str) -> int:
        parsed = self._parsed(patch)
        live = index_uid != PROBE and origin == "own"
        if origin == "own" and self._faults.strikes(F.DISK_FULL):
            self.disturbed(self)
            raise NodeRefused(422, _full().body())
        if live and index_uid in self.disk.indexes and self._faults.strikes(F.QUEUE_BUSY):
            self._append(index_uid, "documentAdditionOrUpdate", {}, "foreign")
            self._kick()
        uid = self._append(index_uid, "settingsUpdate", parsed, origin)
        if live and self._faults.strikes(F.NEIGHBOUR_FAILED):
            self.disturbed(self)
            self._append(index_uid, "settingsUpdate", self._parsed(_FAILS), "foreign")
        if live and index_uid in self.disk.indexes and self._faults.strikes(F.DOCUMENTS_BEHIND):
            self._append(index_uid, "documentAdditionOrUpdate", {}, "foreign")
        self._kick()
        if live and self._faults.strikes(F.FOREIGN_CANCEL):
            soon_s = self._chance.uniform(0.0, 0.03)
            asyncio.get_running_loop().call_later(soon_s, self.cancel_all)
        return uid

    def handle_settings_reset(self, index_uid: str, origin: str) -> int:
        """Take a DELETE of the settings: unlike a PATCH it makes no index."""
        uid = self._append(index_uid, "settingsUpdate", self.reset(), origin)
        self.disk.tasks[uid] = replace(self.disk.tasks[uid], may_create=False)
        self._kick()
        return uid

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

    def handle_swap(self, swaps: Sequence[Mapping[str, Any]], origin: str) -> int:
        return self._enqueue("", "indexSwap", {"swaps": swaps}, origin)

    def handle_documents(self, index_uid: str, origin: str) -> int:
        return self._enqueue(index_uid, "documentDeletion", {}, origin)

    def handle_read(self, index_uid: str) -> Mapping[str, Any]:
        shown = self.index(index_uid).shown
        self.backlogs[index_uid] = next(
            (t.uid for t in self.pending(index_uid) if t.type == "documentAdditionOrUpdate"), -1
        )
        return shown

    def lags(self, index_uid: str) -> bool:
        """Whether documents that were queued at the last reading of settings are not done."""
        uid = self.backlogs.get(index_uid, -1)
        tasks = self.disk.tasks
        return 0 <= uid < len(tasks) and tasks[uid].status in {"enqueued", "processing"}

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

    def known(self, uid: int) -> bool:
        """Whether the list of tasks still has this one."""
        return uid < len(self.disk.tasks) and self.disk.tasks[uid].status != "deleted"

    def cancel_all(self) -> None:
        """Somebody cancels whatever has not ended."""
        if not self.up or self.stopped or not self.pending_any():
            return
        self.disturbed(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._running = []
        for task in self.disk.tasks:
            if task.status in {"enqueued", "processing"}:
                self._mark(task, "canceled")
        self.noted(f"somebody cancels the tasks of {self.node_id}")

    def forget_tasks(self) -> None:
        """Somebody deletes the tasks that have ended."""
        for task in self.disk.tasks:
            if task.status in {"succeeded", "failed", "canceled"}:
                self._mark(task, "deleted")
        self.noted(f"somebody deletes the tasks of {self.node_id}")

    def _enqueue(self, index_uid: str, kind: str, body: Mapping[str, Any], origin: str) -> int:
        uid = self._append(index_uid, kind, body, origin)
        self._kick()
        return uid

    def _append(self, index_uid: str, kind: str, body: Mapping[str, Any], origin: str) -> int:
        uid = len(self.disk.tasks)
        at = f"{asyncio.get_running_loop().time():012.6f}"
        self.disk.tasks.append(SimTask(uid, index_uid, kind, body, origin, enqueued_at=at))
        self.noted(f"{self.node_id} queues task {uid} {kind} {index_uid} ({origin})")
        return uid

    def _kick(self) -> None:
        if not self.up or self.stopped or self.stuck or self._running:
            return
        self._running = self._next_batch()
        if not self._running:
            return
        for task in self._running:
            self._mark(task, "processing")
        duration_s = self._duration_s(self._running[0])
        loop = asyncio.get_running_loop()
        self.batch_ends_s = loop.time() + duration_s
        self._timer = loop.call_later(duration_s, self._finish)

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
            slow = self._faults.strikes(F.PROBE_SLOW)
            return self._chance.uniform(0.5, 6.0) if slow else self._chance.uniform(0.002, 0.02)
        if task.type == "documentAdditionOrUpdate" and task.origin == "foreign":
            return self._chance.uniform(0.3, 20.0)
        if self._faults.strikes(F.TASK_SLOW):
            return min(60.0, self._chance.paretovariate(0.8))  # Heavy tail: a reindex.
        return self._chance.lognormvariate(-4.0, 1.0)

    def _mark(self, task: SimTask, status: str, error: Mapping[str, Any] | None = None) -> None:
        self.disk.tasks[task.uid] = replace(self.disk.tasks[task.uid], status=status, error=error)

    def _finish(self) -> None:
        batch, self._running, self._timer = self._running, [], None
        error = self._applied(batch)
        if self._faults.strikes(F.NODE_CRASHED_AFTER_WORK):
            self._running = batch
            self.crash()
            self.restart_after(self._chance.uniform(0.1, 3.0))
            return
        for task in batch:
            self._mark(task, "failed" if error else "succeeded", error)
        if error:
            uids = [task.uid for task in batch]
            self.noted(f"{self.node_id} fails tasks {uids}: {error['code']}")
        if batch[0].origin == "own" and self._faults.strikes(F.FOREIGN_TASK_DELETION):
            self.forget_tasks()
        self._kick()

    def _applied(self, batch: list[SimTask]) -> Mapping[str, Any] | None:
        """Carry a batch out; return the error that all its tasks share."""
        first = batch[0]
        live = first.index_uid != PROBE
        if live and self._faults.strikes(F.TASK_FAILED):
            self.disturbed(self)
            return ApiError("internal", "no space left for the time being").body()
        if (
            live
            and first.type == "settingsUpdate"
            and not any(_cannot_be_read_back(task.body) for task in batch)
            and self._faults.strikes(F.SETTING_NOT_APPLIED)
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
                if not found and not any(t.may_create for t in batch):
                    raise ApiError("index_not_found", f"Index `{uid}` not found.")
                if not found:  # Made first: it stays, empty, if the settings cannot be applied.
                    self._put(uid, {}, None, task)
                stored = found.stored if found else {}
                after = self.engine.apply(stored, [t.body for t in batch])
                self._put(uid, after, found.primary_key if found else None, task)
            case "indexCreation":
                if found:
                    raise ApiError("index_already_exists", f"Index `{uid}` already exists.")
                self._put(uid, {}, first.body["primaryKey"], task)
            case "indexUpdate":
                existing = self._existing(uid)  # A key can be changed, and not taken away.
                key = first.body["primaryKey"] or existing.primary_key
                self._put(uid, existing.stored, key, task)
            case "indexDeletion":
                self._existing(uid)
                del self.disk.indexes[uid]
                self.changed(self, uid, origin, first.type)
            case "indexSwap":
                self._swap(first.body["swaps"], origin)
            case "documentDeletion" | "documentAdditionOrUpdate":
                self._existing(uid)  # There are no documents here; but the queue is real.
            case _:
                raise AssertionError(first.type)

    def _swap(self, swaps: Sequence[Mapping[str, Any]], origin: str) -> None:
        """Exchange pairs, or rename the first of one: all of them or none."""
        indexes = dict(self.disk.indexes)
        for swap in swaps:
            one, other = swap["indexes"]
            taken = other in indexes
            if one not in indexes or taken == bool(swap.get("rename")):
                raise ApiError("index_not_found", f"Indexes `{one}`, `{other}` cannot be swapped.")
            first, second = indexes.pop(one), indexes.pop(other, None)
            indexes[other] = first
            if second is not None:
                indexes[one] = second
        self.disk.indexes = indexes
        for uid in sorted({uid for swap in swaps for uid in swap["indexes"]}):
            self.changed(self, uid, origin, "indexSwap")

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
        return dict.fromkeys(self.engine.keys)

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
        if self.up and self._running and not self.stuck:
            rest_s = self._chance.uniform(0.05, 4.0)
            self._timer = asyncio.get_running_loop().call_later(rest_s, self._finish)
        self._kick()
        inbox, self.inbox = self.inbox, []
        for arrive in inbox:
            arrive()

    def hold(self) -> None:
        """Work on nothing from now on, until started again; what is asked is queued."""
        self.stuck = True
        self.noted(f"{self.node_id} works on nothing")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

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
        self.up, self.stuck, self.starts = True, False, self.starts + 1
        for task in self.disk.tasks:
            if task.status == "processing":  # As a snapshot has it; what ran is run again.
                self._mark(task, "enqueued")
        self.noted(f"{self.node_id} is up")
        self._kick()

    def upgrade(self, engine: Engine) -> None:
        """Be replaced by a newer version on the same disk."""
        if self.up:
            self.crash()
        self.engine = engine
        self.noted(f"{self.node_id} is upgraded to {engine.version}")
        self.upgraded(self)
        self.commons.changed(self, FEATURES, "first")  # It knows others now.
        for uid, index in list(self.disk.indexes.items()):
            self._put(uid, index.stored, index.primary_key, ("own", "upgrade"))
        self.restart_after(self._chance.uniform(0.1, 2.0))

    def replace(self) -> None:
        """Come back with an empty disk."""
        if self.up:
            self.crash()
        gone, self.disk = list(self.disk.indexes), Disk()
        self.noted(f"{self.node_id} has an empty disk")
        self.commons.first_start()
        for uid in gone:
            self.changed(self, uid, "foreign", "disk")
        self._tell_of_commons()
        self.restart_after(self._chance.uniform(0.1, 2.0))

    def restore(self, disk: Disk) -> None:
        """Come back as it was when the snapshot was made: settings and task uids go back."""
        if self.up:
            self.crash()
        self.disk = disk.copy()
        for uid in list(self.disk.indexes):
            self.changed(self, uid, "foreign", "snapshot")
        self._tell_of_commons()
        self.restart_after(self._chance.uniform(0.1, 2.0))

    def _tell_of_commons(self) -> None:
        for uid in sorted(COMMONS):
            self.commons.changed(self, uid, "foreign")


def _full() -> ApiError:
    return ApiError("no_space_left_on_device", "There is no more space left on the device.")


def _cannot_be_read_back(body: Mapping[str, Any]) -> bool:
    """Whether nobody could find out that it was not applied: secrets, and reset fields."""
    embedders = str(body.get("embedders", ""))
    return "apiKey" in embedders or "None" in embedders
