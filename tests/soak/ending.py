"""
The end of a soak: everything comes to rest, then what is there is looked at and written down.

Miroir is asked for what it says, and every node, apart from that, for what it has.
"""

import time
from collections.abc import Iterable
from typing import Any, Final

from tests.soak import markers
from tests.soak.history import (
    Change,
    IndexesEnd,
    NodeEnd,
    NodeTask,
    Put,
    Quiet,
    SideIndex,
    Unsettled,
    Version,
)
from tests.soak.stage import CONSTANT, INDEXES, Stage

SETTLE_MAX_S: Final = 90.0
CALM_TAIL_S: Final = 3.0
NOOPS: Final = 6
_POLL_S: Final = 0.3
_PAGE: Final = 1000


class Ending:
    """Waits for rest, and takes stock."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._line, self._admin = stage.line(), stage.line(admin=True)
        self._nodes = {name: stage.node_line(name) for name in stage.shape.names}

    def settle(self) -> float | None:
        """Wait until nothing is left to be done; return when that was, None if it never was."""
        deadline_s = time.monotonic() + SETTLE_MAX_S
        left: list[str] = ["never looked"]
        while time.monotonic() < deadline_s:
            left = self._left()
            if not left:
                return self._stage.clock.now_s()
            time.sleep(_POLL_S)
        for what in left:
            self._stage.history.add(Unsettled(what))
        return None

    def quiet(self) -> None:
        """Ask for nothing, some times, while nothing else goes on; then let readers read on."""
        before = self._task_count()
        for number in range(NOOPS):
            for index in INDEXES:
                key = list(CONSTANT)[number % len(CONSTANT)]
                path = f"/indexes/{index}/settings"
                answer = self._line.ask("PATCH", path, {key: CONSTANT[key]})
                if answer.task is not None:
                    self._stage.task_end(self._line, answer.task, within_s=5.0)
        time.sleep(CALM_TAIL_S)
        grown = self._task_count() - before
        self._stage.history.add(Quiet(self._stage.clock.now_s(), NOOPS * len(INDEXES), grown))

    def take_stock(self) -> None:
        """Write down versions, tasks, and what every node has."""
        for index in INDEXES:
            for version in self._history(index):
                self._stage.history.add(version)
            for name in self._nodes:
                for task in self._settings_tasks(name, index):
                    self._stage.history.add(task)
        self._final_tasks()
        self._node_ends()

    def _left(self) -> list[str]:
        """Return what has not come to rest."""
        intents = self._admin.ask("GET", "/_miroir/intents?state=open&limit=100")
        if intents.status != 200:
            return ["Miroir does not answer"]
        left = [
            f"intent {i['id']} ({i['kind']} of {i['index']}) is {i['phase']}, "
            f"nodes { ({n: p['state'] for n, p in i['nodes'].items()}) }"
            for i in intents.body["results"]
        ]
        for index in INDEXES:
            seen = self._admin.ask("GET", f"/_miroir/settings/{index}").body
            left += [
                f"{index}: {name} is {node['state']} at {node['version']} of {seen['version']}"
                for name, node in seen["nodes"].items()
                if node["state"] != "synced"
            ]
        tasks = self._line.ask("GET", "/tasks?statuses=enqueued,processing&limit=100")
        left += [f"task {t['uid']} ({t['type']}) is {t['status']}" for t in tasks.body["results"]]
        return left

    def _task_count(self) -> int:
        total = 0
        for line in self._nodes.values():
            for index in INDEXES:
                answer = line.ask("GET", f"/tasks?limit=1&indexUids={index}&types=settingsUpdate")
                total += answer.body["total"]
        return total

    def _history(self, index: str) -> Iterable[Version]:
        start = ""
        while True:
            path = f"/_miroir/settings/{index}/history?limit=200{start}"
            page = self._admin.ask("GET", path).body
            for entry in page["results"]:
                yield self._version(index, entry)
            if page["next"] is None:
                return
            start = f"&from={page['next']}"

    def _version(self, index: str, entry: dict[str, Any]) -> Version:
        clock = self._stage.clock
        path = f"/_miroir/settings/{index}/history/{entry['version']}"
        whole = self._admin.ask("GET", path).body
        at_s = clock.from_wall(entry["at"])
        assert at_s is not None
        return Version(
            index=index,
            version=entry["version"],
            marker=markers.of_settings(whole["settings"]),
            task=entry["taskUid"],
            kind=entry["kind"],
            at_s=at_s,
            ended_s=clock.from_wall(entry["endedAt"]),
        )

    def _settings_tasks(self, node: str, index: str) -> Iterable[NodeTask]:
        start, clock = "", self._stage.clock
        while True:
            narrow = f"indexUids={index}&types=settingsUpdate&limit={_PAGE}{start}"
            page = self._nodes[node].ask("GET", f"/tasks?{narrow}").body
            for task in page["results"]:
                details = task["details"] or {}
                enqueued_s = clock.from_wall(task["enqueuedAt"])
                assert enqueued_s is not None
                yield NodeTask(
                    node,
                    index,
                    task["uid"],
                    markers.of_settings(details),
                    tuple(details),
                    task["status"],
                    enqueued_s,
                    clock.from_wall(task["finishedAt"]),
                )
            if page["next"] is None:
                return
            start = f"&from={page['next']}"

    def _final_tasks(self) -> None:
        history = self._stage.history
        accepted: list[Change | Put | SideIndex] = [
            *history.of(Change),
            *history.of(Put),
            *history.of(SideIndex),
        ]
        for record in accepted:
            if record.task is not None:
                seen = self._stage.look_at(self._line, record.task, final=True)
                if seen is not None:
                    history.add(seen)

    def _node_ends(self) -> None:
        topology = self._admin.ask("GET", "/_miroir/topology").body["topology"]
        healthy = {node["id"]: node["healthy"] for node in topology["nodes"]}
        for index in INDEXES:
            seen = self._admin.ask("GET", f"/_miroir/settings/{index}").body["nodes"]
            for name, line in self._nodes.items():
                documents = line.ask("GET", f"/indexes/{index}/documents?limit=100000").body
                values = {d["id"]: d.get("value") for d in documents["results"]}
                loaded = {str(i): v for i, v in values.items() if i < markers.FIRST_ID}
                shown = line.ask("GET", f"/indexes/{index}/settings").body
                self._stage.history.add(
                    NodeEnd(
                        node=name,
                        index=index,
                        healthy=healthy[name],
                        state=seen[name]["state"],
                        version=seen[name]["version"],
                        marker=markers.of_settings(shown),
                        documents=loaded,
                        markers=len(values) - len(loaded),
                    )
                )
        for name, line in self._nodes.items():
            page = line.ask("GET", "/indexes?limit=1000").body["results"]
            uids = sorted(i["uid"] for i in page if not i["uid"].startswith("_miroir"))
            self._stage.history.add(IndexesEnd(name, tuple(uids)))
