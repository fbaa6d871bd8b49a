"""
The same script for a simulated node and for one behind HTTP; what each shows after every step.

    script ─▶ play_simulated ─┐
           └▶ play_http ──────┴─▶ [Observation, ...] that must be equal

An observation is what Miroir could see: the status and the error code of the answer, the tasks
that came of it in their order (type, index, status, error code, details), then every index with
primary key and settings, secrets masked. Documents are only there to keep a node's queue busy.

Not compared, because a simulated node has nothing of the kind: messages (only their codes), dates
and durations, documents and searches, batches as objects, keys and rights, experimental features,
webhooks, the task list's filters other than those that Miroir asks with.
"""

import asyncio
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from miroir.errors import NodeRefused
from tests.support.sim_engine import NEW
from tests.support.sim_faults import FaultPlan
from tests.support.sim_node import SimNode
from tests.support.virtual_loop import VirtualLoop, run_virtual

INDEXES: Final = ("movies", "books")
_DETAILED: Final = {"settingsUpdate", "indexCreation", "indexSwap"}
_LONG_S: Final = 100.0
_BUSY_DOCUMENTS: Final = 30_000


@dataclass(frozen=True)
class Step:
    """
    One request to a node, or several that come while it is busy.

    Attributes:
        kind: patch, reset, create, update, delete, swap; or `burst` of them.
        index: Its index.
        body: A patch; a primary key; the other index of a swap; the steps of a burst.
    """

    kind: str
    index: str = ""
    body: Any = None


Observation = dict[str, Any]


def play_simulated(script: Sequence[Step]) -> list[Observation]:
    """Play on a simulated node, under a virtual clock."""
    seen: list[Observation] = []

    async def main(_: VirtualLoop) -> None:
        node = SimNode("n0", NEW, random.Random(1), FaultPlan("calm", random.Random(1), {}))
        for step in script:
            seen.append(await _simulated(node, step))

    run_virtual(main)
    return seen


async def _simulated(node: SimNode, step: Step) -> Observation:
    first = len(node.disk.tasks)
    if step.kind == "burst":
        # The first keeps the node busy, as documents would: the others queue behind it.
        node.hold()
        answers = [_asked(node, each) for each in step.body]
        node.stuck = False
        node._kick()
    else:
        answers = [_asked(node, step)]
    await asyncio.sleep(_LONG_S)
    tasks = [
        _row(t.type, t.index_uid or None, t.status, t.error, t.as_port().details)
        for t in node.disk.tasks[first:]
    ]
    indexes = {
        uid: {"primaryKey": index.primary_key, "settings": dict(index.shown)}
        for uid, index in sorted(node.disk.indexes.items())
    }
    return {"answers": answers, "tasks": tasks, "indexes": _plain(indexes)}


def _asked(node: SimNode, step: Step) -> tuple[int, str | None]:
    try:
        match step.kind:
            case "patch":
                node.handle_settings_patch(step.index, step.body, "own")
            case "reset":
                node.handle_settings_reset(step.index, "own")
            case "create":
                node.handle_create(step.index, step.body, "own")
            case "update":
                node.handle_update(step.index, step.body, "own")
            case "delete":
                node.handle_delete(step.index, "own")
            case "swap":
                node.handle_swap([{"indexes": [step.index, step.body], "rename": False}], "own")
            case _:
                raise AssertionError(step.kind)
    except NodeRefused as refused:
        return refused.status, refused.error["code"]
    return 202, None


# ---- HTTP


class HttpNode:
    """
    A node behind HTTP: the embedded one, or the real binary.

    Attributes:
        batches: Whether it works on neighbouring tasks together.
    """

    def __init__(self, url: str, key: str, *, batches: bool) -> None:
        self.batches = batches
        self._url = url
        self._key = key

    def play(self, script: Sequence[Step]) -> list[Observation]:
        """Play on this node."""
        return [self._observe(step) for step in script]

    def _observe(self, step: Step) -> Observation:
        first = self._newest() + 1
        if step.kind == "burst":
            self._keep_busy()
            first += 1
            answers = [self._ask(each) for each in step.body]
        else:
            answers = [self._ask(step)]
        rows = self._ended(first)
        tasks = [
            _row(t["type"], t["indexUid"], t["status"], t["error"], t["details"]) for t in rows
        ]
        indexes = {
            row["uid"]: {
                "primaryKey": row["primaryKey"],
                "settings": self._call("GET", f"/indexes/{row['uid']}/settings")[1],
            }
            for row in self._call("GET", "/indexes?limit=100")[1]["results"]
            if row["uid"] in INDEXES
        }
        return {"answers": answers, "tasks": tasks, "indexes": dict(sorted(indexes.items()))}

    def _ask(self, step: Step) -> tuple[int, str | None]:
        path = f"/indexes/{step.index}"
        status, answer = {
            "patch": lambda: self._call("PATCH", f"{path}/settings", step.body),
            "reset": lambda: self._call("DELETE", f"{path}/settings"),
            "create": lambda: self._call(
                "POST", "/indexes", {"uid": step.index, "primaryKey": step.body}
            ),
            "update": lambda: self._call("PATCH", path, {"primaryKey": step.body}),
            "delete": lambda: self._call("DELETE", path),
            "swap": lambda: self._call(
                "POST", "/swap-indexes", [{"indexes": [step.index, step.body]}]
            ),
        }[step.kind]()
        return status, None if status == 202 else answer["code"]

    def _keep_busy(self) -> None:
        """Queue documents of another index that take long enough for a few requests."""
        text = "word " * 20
        rows = [{"id": n, "text": f"{text}{n}"} for n in range(_BUSY_DOCUMENTS)]
        self._call("POST", "/indexes/elsewhere/documents", rows)
        deadline_s = time.monotonic() + 30
        while self._newest_row()["status"] == "enqueued":
            assert time.monotonic() < deadline_s, "the documents are not taken up"
            time.sleep(0.002)

    def _newest(self) -> int:
        rows = self._call("GET", "/tasks?limit=1")[1]["results"]
        return int(rows[0]["uid"]) if rows else -1

    def _newest_row(self) -> Any:
        return self._call("GET", "/tasks?limit=1")[1]["results"][0]

    def _ended(self, first: int) -> list[Any]:
        """Return the tasks from `first` on, oldest first, as soon as all have ended."""
        deadline_s = time.monotonic() + 60
        while True:
            pending = self._call("GET", "/tasks?statuses=enqueued,processing&limit=1")[1]
            if not pending["results"]:
                break
            assert time.monotonic() < deadline_s, "a task does not end"
            time.sleep(0.004)  # A node of its own has a clock of its own.
        rows = self._call("GET", "/tasks?limit=100")[1]["results"]
        return sorted((r for r in rows if r["uid"] >= first), key=lambda r: int(r["uid"]))

    def _call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._key}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


# ---- what is compared


def _row(kind: str, index: str | None, status: str, error: Any, details: Any) -> dict[str, Any]:
    """Return what is compared of a task."""
    kept = _plain(dict(details or {})) if kind in _DETAILED else None
    if kind == "indexSwap" and kept is not None:
        pairs = [tuple(swap["indexes"]) for swap in kept["swaps"]]
        kept = {"pairs": pairs}
    return {
        "type": kind,
        "index": index,
        "status": status,
        "error": error["code"] if error else None,
        "details": kept,
    }


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
