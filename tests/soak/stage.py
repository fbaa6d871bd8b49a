"""
The cluster of a soak and what all of its threads share: clock, history, markers, the word to stop.

The configuration is that of a product in use, but for shorter deadlines, so that a fault of some
seconds is as long to it as one of minutes is to others.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from miroir.cli.cluster import LocalCluster
from miroir.cli.layout import Engine, Shape, lay_out
from tests.soak import markers
from tests.soak.history import ENDED, History, TaskSeen
from tests.soak.wire import Answer, Clock, Line

INDEXES: Final = ("soak-a", "soak-b")
POLL_S: Final = 0.1
PROCESSES: Final = 2
SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "settings_broadcast": {
        "probe_wait_s": 2,
        "drain_max_s": 2,
        "document_wait_max_s": 30,
        "verify_timeout_s": 15,
        "node_silence_s": 5,
    },
    "settings_drift_check": {"feed_interval_s": 2, "interval_s": 300},
    "limits": {
        "connect_timeout_s": 1,
        "search_timeout_s": 6,
        "write_timeout_s": 6,
        "control_timeout_s": 3,
    },
    "health": {"interval_s": 0.5},
    "logging": {"format": "json"},
}
CONSTANT: Final[dict[str, Any]] = {
    "typoTolerance": {"enabled": False},
    "pagination": {"maxTotalHits": 2000},
    "filterableAttributes": ["value", "shard"],
}
"""Settings that nobody changes after the setup: to ask for them again is to ask for nothing."""


class Stage:
    """
    A running cluster, and what its load and its faults share.

    Attributes:
        stop_writing: Set when the load ends.
        stop_reading: Set when everything ends.
        setup_version: By index: the version at which the load begins.
        setup_marker: By index: its marker.
    """

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster
        self.clock = Clock()
        self.history = History()
        self.stop_writing = threading.Event()
        self.stop_reading = threading.Event()
        self.mint = Mint()
        self.setup_version: dict[str, int] = {}
        self.setup_marker: dict[str, int] = {}

    @property
    def shape(self) -> Shape:
        """The grid."""
        return self.cluster.layout.shape

    @property
    def columns(self) -> tuple[tuple[str, ...], ...]:
        """The nodes of each shard."""
        names, shards = self.shape.names, self.shape.shards
        return tuple(names[shard::shards] for shard in range(shards))

    def line(self, *, admin: bool = False, timeout_s: float = 30.0) -> Line:
        """Return a connection to Miroir, for one thread."""
        layout = self.cluster.layout
        key = layout.admin_key if admin else layout.master_key
        return Line(layout.ports["miroir"], key.reveal(), self.clock, timeout_s=timeout_s)

    def node_line(self, node: str, *, timeout_s: float = 10.0) -> Line:
        """Return a connection straight to a node, for one thread."""
        layout = self.cluster.layout
        key = layout.master_key.reveal()
        return Line(layout.ports[node], key, self.clock, timeout_s=timeout_s)

    def task_end(self, line: Line, task: int, *, within_s: float) -> str | None:
        """Wait for the end of a task and keep what was seen; None if there is none in time."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            seen = self.look_at(line, task)
            if seen is not None and seen.status not in {"enqueued", "processing"}:
                self.history.add(seen)
                return seen.status if seen.status in ENDED else None
            time.sleep(POLL_S)
        return None

    def look_at(self, line: Line, task: int, *, final: bool = False) -> TaskSeen | None:
        """Ask for a task; one that Miroir does not know has the status `missing`."""
        answer = line.ask("GET", f"/tasks/{task}")
        if answer.status == 404:
            return TaskSeen(task, "missing", answer.received_s, answer.code, final)
        if answer.status != 200:
            return None
        code = (answer.body["error"] or {}).get("code")
        return TaskSeen(task, answer.body["status"], answer.received_s, code, final)

    def prepare(self) -> None:
        """Make the indexes."""
        line, admin = self.line(), self.line(admin=True)
        for index in INDEXES:
            marker = self.mint.change(index)
            settings = {**CONSTANT, "synonyms": markers.synonyms(marker)}
            body = {"uid": index, "primaryKey": "id"}
            self._do(line, line.ask("POST", "/indexes", body))
            self._do(line, line.ask("PATCH", f"/indexes/{index}/settings", settings))
            documents = markers.documents(self.shape.shards)
            self._do(line, line.ask("POST", f"/indexes/{index}/documents", documents))
            seen = admin.ask("GET", f"/_miroir/settings/{index}")
            self.setup_version[index], self.setup_marker[index] = seen.body["version"], marker

    def _do(self, line: Line, accepted: Answer) -> None:
        assert accepted.task is not None, f"the setup failed: {accepted}"
        status = self.task_end(line, accepted.task, within_s=30.0)
        assert status == "succeeded", f"the setup failed: {accepted} {status}"


class Mint:
    """Gives every change of an index its own marker: Miroir's from below, foreign from above."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: dict[str, tuple[int, int]] = {}

    def change(self, index: str) -> int:
        """Return a new marker for a change through Miroir."""
        return self._take(index, 1, 0)

    def foreign(self, index: str) -> int:
        """Return a new marker for somebody else's change."""
        return self._take(index, 0, 1)

    def _take(self, index: str, below: int, above: int) -> int:
        with self._lock:
            low, high = self._given.get(index, (0, markers.COUNT - 1))
            assert low < high, "more changes than there are markers"
            self._given[index] = low + below, high - above
        return low if below else high


def lay(folder: Path, shape: Shape, engine: Engine, changes: Iterable[Sequence[str]]) -> Stage:
    """
    Lay a cluster out, not yet started.

    Args:
        changes: Further keys of the configuration, `processes` or `section.key`, and value.
    """
    settings = {name: dict(section) for name, section in SETTINGS.items()}
    processes = PROCESSES
    for name, value in changes:
        section, _, key = name.partition(".")
        if name == "processes":
            processes = int(value)
        else:
            settings.setdefault(section, {})[key] = float(value) if value[0].isdigit() else value
    whole = {"processes": processes, **settings}
    layout = lay_out(folder, shape, engine, settings=whole)
    return Stage(LocalCluster(layout, faults=engine.kind == "embedded"))
