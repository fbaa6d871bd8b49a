"""
Settings of one plain Meilisearch: no versions, so everything is proved by reading back.

A change is one task, sent only while the settings are still those that were planned upon (read
again right before; between that and the PATCH lies one round trip). A history is kept in a local
file where one is named (`journal.py`). Golden queries need a second half, which one node has not.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal
from urllib.parse import quote

from miroir.cli.admin_client import AdminClient, Refused
from miroir.cli.settings.durations import seconds_of
from miroir.cli.settings.journal import Journal
from miroir.cli.settings.target import (
    Json,
    Live,
    Moved,
    NodeInfo,
    NodeProgress,
    Order,
    Past,
    Progress,
    Running,
    Ticket,
    Unfit,
    Version,
)
from miroir.core import settings as rules
from miroir.core.estimate import Pace, PastChange, PastIndexing, paced
from miroir.core.fingerprint import fingerprint
from miroir.core.rollback import patch as patch_to, target as target_of
from miroir.core.setting_cost import class_of

_OPEN: Final = "statuses=enqueued,processing"
_NO_VERSIONS: Final = "one plain Meilisearch keeps no versions"


class PlainTarget:
    """
    One Meilisearch.

    Args:
        client: For it, with its key.
        journal: Local history, if one is kept.
    """

    kind: Literal["meilisearch", "miroir"] = "meilisearch"
    versioned = False

    def __init__(self, client: AdminClient, journal: Journal | None = None) -> None:
        self._client = client
        self._journal = journal
        self._pace: Pace | None = None
        self.url = client.url

    def nodes(self) -> tuple[NodeInfo, ...]:
        """Return the one node; its version where the key may ask for it."""
        try:
            engine = str(self._client.get("/version")["pkgVersion"])
        except Refused:
            engine = None  # A narrow key: settings can be changed all the same.
        return (NodeInfo("meilisearch", self.url, healthy=True, engine=engine),)

    def indexes(self) -> tuple[str, ...]:
        """Return the names of all indexes that the key may see."""
        found: list[str] = []
        while True:
            page = self._client.get(f"/indexes?limit=1000&offset={len(found)}")
            found += [index["uid"] for index in page["results"]]
            if not page["results"] or len(found) >= page["total"]:
                return tuple(sorted(found))

    def live(self, index: str) -> Live:
        """Return an index as it is now."""
        answer = self._client.request("GET", f"{_path(index)}/settings")
        if answer.status == 404:
            return Live(index, None)
        settings = answer.ok()
        open_tasks = self._tasks(f"indexUids={quote(index)}&types=settingsUpdate&{_OPEN}")
        return Live(
            index,
            settings,
            fingerprint=fingerprint(settings),
            documents=self._documents(index),
            busy=tuple(f"task {task['uid']} is {task['status']}" for task in open_tasks),
            phase="task" if open_tasks else "idle",
        )

    def past(self, index: str) -> Past:  # noqa: ARG002 - learnt from all indexes
        """Return ended tasks."""
        done = "statuses=succeeded&limit=200"
        changes = self._tasks(f"types=settingsUpdate&{done}")
        writes = self._tasks(f"types=documentAdditionOrUpdate&{done}")
        return Past(
            tuple(_past_change(task) for task in changes if _worked(task)),
            tuple(
                PastIndexing(
                    int((task.get("details") or {}).get("indexedDocuments") or 0),
                    seconds_of(task.get("duration")) or 0.0,
                )
                for task in writes
            ),
        )

    def submit(self, order: Order) -> Ticket:
        """Send the patch, if the settings are those of the plan."""
        if order.canary is not None:
            raise Unfit(
                "golden queries compare a changed half of the nodes with an unchanged one, and "
                "one plain Meilisearch has no halves; leave --canary out, or go through Miroir"
            )
        now = self.live(order.index)
        if now.fingerprint != order.base.fingerprint:
            raise Moved(
                f"`{order.index}`: the settings have moved since they were planned upon; see "
                f"what is in force with `miroir settings plan`, then apply again"
            )
        body = dict(order.patch)
        sent = self._client.request("PATCH", f"{_path(order.index)}/settings", body).ok()
        return Ticket(order, int(sent["taskUid"]))

    def progress(self, ticket: Ticket) -> Progress:
        """Return where the task stands; when it has succeeded, what the settings are now."""
        task = self._client.get(f"/tasks/{ticket.task}")
        node = self._node(task)
        if task["status"] in {"enqueued", "processing"}:
            state: Literal["waiting", "running"] = (
                "waiting" if task["status"] == "enqueued" else "running"
            )
            return Progress(state, task["status"], (node,))
        if task["status"] != "succeeded":
            error = (task.get("error") or {}).get("message") or f"task {task['status']}"
            return Progress("failed", task["status"], (node,), error=str(error))
        return self._read_back(ticket, node)

    def _read_back(self, ticket: Ticket, node: NodeProgress) -> Progress:
        order = ticket.order
        seen = self.live(order.index).settings or {}
        wrong = rules.contradictions(order.target, seen)
        if wrong:
            keys = ", ".join(wrong)
            said = f"its task succeeded, but these keys read back otherwise: {keys}"
            return Progress("failed", "read back", (node,), error=said)
        version = self._journal.note(order, seen) if self._journal else None
        return Progress("succeeded", "read back", (node,), version=version)

    def history(self, index: str, limit: int) -> tuple[Version, ...]:
        """Return what the local file has."""
        return self._book(index).versions(index)[:limit]

    def version(self, index: str, number: int) -> Version:
        """Return one entry of the local file."""
        return self._book(index).version(index, number)

    def rollback(self, index: str, number: int, *, by: str, reason: str) -> Ticket | None:
        """Send what leads back to an entry of the local file; secrets stay those in force."""
        former = self.version(index, number).settings or {}
        base = self.live(index)
        if base.settings is None:
            raise Unfit(f"there is no index `{index}`")
        target = target_of(base.settings, former)
        patch = patch_to([base.settings], target)
        if not patch:
            return None
        if rules.EMBEDDERS in patch:
            raise Unfit(
                "its embedders differ, and a local history keeps no secrets; bring them back "
                "from your files: miroir settings apply"
            )
        said = reason or f"back to version {number}"
        return self.submit(Order(index, patch, target, base, by=by, reason=said))

    def cancel(self, change: int) -> str:  # noqa: ARG002
        """Refuse: what waits there is a task, and waits for other tasks alone."""
        raise Unfit(
            "one plain Meilisearch has its changes in its queue of tasks; take one out with "
            "`POST /tasks/cancel?uids=`"
        )

    def confirm(self, index: str, version: int | None) -> Json:  # noqa: ARG002
        """Refuse: the command that made the change waits for it itself."""
        raise Unfit(
            f"{_NO_VERSIONS}; `apply --confirm` asks in its own terminal and undoes by itself"
        )

    def thaw(self, index: str) -> Json:  # noqa: ARG002
        """Refuse: nothing freezes here."""
        raise Unfit("one plain Meilisearch freezes nothing; there is nothing to thaw")

    def stats(self) -> Json | None:
        """Return what the node tells of its databases; None if the key does not open that."""
        try:
            found: Json = self._client.get("/stats")
        except Refused:
            return None
        return found

    def clock(self) -> str | None:
        """Return the `Date` of an answer, if there is one."""
        return self._client.request("GET", "/health").headers.get("date")

    def read(self, path: str) -> Any:
        """Return what a GET answers; `Refused` where the key does not open it."""
        return self._client.get(path)

    def failed_tasks(self) -> list[Json]:
        """Return the newest failed tasks of settings."""
        return self._tasks("types=settingsUpdate&statuses=failed&limit=5")

    def running(self) -> tuple[Running, ...]:
        """Return settings tasks that have not ended."""
        return tuple(
            Running(
                str(task["indexUid"]),
                f"task {task['uid']}",
                Progress(
                    "running" if task["status"] == "processing" else "waiting",
                    task["status"],
                    (self._node(task),),
                ),
            )
            for task in self._tasks(f"types=settingsUpdate&{_OPEN}")
        )

    def _book(self, index: str) -> Journal:
        if self._journal is None:
            raise Unfit(
                f"{_NO_VERSIONS}; let `apply` write a local history with --history FILE and read "
                f"it with `miroir settings history {index} --history FILE`, or run Miroir"
            )
        return self._journal

    def _documents(self, index: str) -> int | None:
        try:
            return int(self._client.get(f"{_path(index)}/stats")["numberOfDocuments"])
        except Refused:
            return None  # A key without `stats.get`: the plan says that it does not know.

    def _tasks(self, query: str) -> list[Json]:
        try:
            found: list[Json] = self._client.get(f"/tasks?{query}")["results"]
        except Refused as refused:
            if refused.status in {401, 403}:
                return []  # A key without `tasks.get`: no estimate, no news of other changes.
            raise
        return found

    def _node(self, task: Mapping[str, Any]) -> NodeProgress:
        """Return how far the node is with a task; what its batch tells, where it can be asked."""
        node = NodeProgress("meilisearch", task["status"])
        uid = task.get("batchUid")
        if task["status"] != "processing" or uid is None:
            return node
        try:
            told = self._client.get(f"/batches/{uid}").get("progress")
        except Refused:
            return node  # An engine before 1.12, or a narrow key.
        if not told:
            return node
        pace = paced(self._pace, uid, told["percentage"], time.monotonic())
        self._pace = pace
        step = " > ".join(each["currentStep"] for each in told["steps"])
        return replace(node, percent=pace.percent, left_s=pace.left_s, step=step)


def _path(index: str) -> str:
    return f"/indexes/{quote(index, safe='')}"


def _worked(task: Json) -> bool:
    return bool(task.get("details")) and bool(seconds_of(task.get("duration")))


def _past_change(task: Json) -> PastChange:
    """Class it from its details: what it was sent, not what it changed, is all that is known."""
    details = {k: v for k, v in task["details"].items() if v is not None}
    took_s = seconds_of(task["duration"]) or 0.0
    return PastChange(str(task["indexUid"]), class_of(details), took_s)
