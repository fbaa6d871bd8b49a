"""
A whole cluster for acceptance tests: the product's processes, and eyes and hands on each of them.

Eyes: what Miroir says (public, admin, metrics, log) and, apart from that, what each node says when
it is asked directly. Hands: faults of the embedded nodes, kill -9 and restart of anything. Waiting
is always for something that can be seen, up to `PATIENCE_S`; nothing here knows a test.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from miroir.cli.admin_client import AdminClient, Reply
from miroir.cli.cluster import LocalCluster
from miroir.cli.layout import Engine, Shape, lay_out
from miroir.cli.process import port_is_free

PATIENCE_S: Final = 30.0
_POLL_S: Final = 0.02
PROBE: Final = "_miroir_probe"
EMBEDDED: Final = Engine("embedded")
Found = TypeVar("Found")
Json = dict[str, Any]

QUICK: Final[Json] = {
    "settings_broadcast": {"probe_wait_s": 2, "verify_timeout_s": 20, "node_silence_s": 60},
    "settings_drift_check": {"interval_s": 1},
    "health": {"interval_s": 0.4},
    "limits": {"control_timeout_s": 5},
    "logging": {"format": "json"},
}
"""Intervals in which a test can wait for everything; silence is long, machines are busy."""


def until(look: Callable[[], Found], what: str, *, patience_s: float = PATIENCE_S) -> Found:
    """Return the first true value of `look`; an assertion with the last value when none comes."""
    deadline_s = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < deadline_s, f"still not: {what} (last seen: {found!r})"
        time.sleep(_POLL_S)
    return found


class LiveCluster:
    """
    A running cluster.

    Attributes:
        local: Its processes.
        client: Miroir, with the master key.
    """

    def __init__(self, local: LocalCluster) -> None:
        self.local = local
        self.client = local.client(timeout_s=PATIENCE_S)
        self._admin = local.admin()

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node, group by group."""
        return self.local.layout.shape.names

    def column(self, shard: int) -> tuple[str, ...]:
        """Return the replicas of a shard."""
        return self.nodes[shard :: self.local.layout.shape.shards]

    def everywhere(self, value: Any) -> dict[str, Any]:
        """Return this value for every node: what one hopes to see."""
        return {name: value for name in self.nodes}  # noqa: C420 - values may be mutable

    # ---- through Miroir

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        floor: int | str | None = None,
        key: str | None = None,
    ) -> Reply:
        """Send one request to Miroir, perhaps with a floor or another key."""
        headers = {} if floor is None else {"X-Miroir-Min-Settings-Version": str(floor)}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        return self.client.request(method, path, body, headers=headers)

    def admin(self, method: str, path: str, body: Any = None) -> Reply:
        """Send one request to Miroir's admin API."""
        return self._admin.request(method, path, body)

    def do(self, method: str, path: str, body: Any = None) -> Json:
        """Send a write to Miroir, wait until all of it has ended well, and return its task."""
        task = self.ended(self.send(method, path, body))
        assert task["status"] == "succeeded", task
        self.settle(task["indexUid"])
        return task

    def settle(self, uid: str | None) -> None:
        """Wait until every node has followed: a task ends when the change is committed."""
        query = f"/_miroir/intents?state=open&index={uid}"
        if uid is not None:
            until(lambda: not self._admin.get(query)["results"], f"{uid} at rest")

    def ended(self, accepted: Reply) -> Json:
        """Return the ended task of an accepted write."""
        assert accepted.status == 202, accepted
        task: Json = self.client.wait_task(accepted.body["taskUid"], timeout_s=PATIENCE_S)
        return task

    def create(self, uid: str, documents: list[Json] | None = None) -> int:
        """Create an index, perhaps with documents; return its settings version."""
        self.do("POST", "/indexes", {"uid": uid, "primaryKey": "id"})
        if documents:
            self.do("POST", f"/indexes/{uid}/documents", documents)
        return self.version(uid)

    def change(self, uid: str, patch: Json) -> Reply:
        """Send a settings change; do not wait for it."""
        return self.send("PATCH", f"/indexes/{uid}/settings", patch)

    def search(self, uid: str, body: Json | None = None, *, floor: int | None = None) -> Reply:
        """Search."""
        return self.send("POST", f"/indexes/{uid}/search", body or {"q": ""}, floor=floor)

    # ---- what Miroir says of itself

    def look(self, uid: str) -> Json:
        """Return `GET /_miroir/settings/{uid}`."""
        seen: Json = self._admin.get(f"/_miroir/settings/{uid}")
        return seen

    def topology(self) -> Json:
        """Return the nodes' part of `GET /_miroir/topology`."""
        seen: Json = self._admin.get("/_miroir/topology")["topology"]
        return seen

    def version(self, uid: str) -> int:
        """Return the committed settings version."""
        return int(self.look(uid)["version"])

    def proved(self, uid: str) -> dict[str, int | None]:
        """Return the version that each node is proved to serve."""
        return {name: node["version"] for name, node in self.look(uid)["nodes"].items()}

    def states(self, uid: str) -> dict[str, str]:
        """Return each node's state: synced, unproved, down, ..."""
        return {name: node["state"] for name, node in self.look(uid)["nodes"].items()}

    def intents(self, uid: str) -> list[Json]:
        """Return the newest intents of an index, newest first."""
        newest = self._admin.get("/_miroir/intents?limit=1000")["results"]
        return [intent for intent in newest if intent["index"] == uid]

    def drift(self, uid: str) -> list[Json]:
        """Return the drift that is known of an index."""
        found = self._admin.get("/_miroir/drift")["results"]
        return [drift for drift in found if drift["index"] == uid]

    def thaw(self, uid: str) -> Json:
        """Let document writes through again."""
        thawed: Json = self._admin.request("POST", f"/_miroir/settings/{uid}/thaw").ok()
        return thawed

    def metric(self, name: str, **labels: str) -> float | None:
        """Return one sample, None if there is none."""
        for family in text_string_to_metric_families(self._admin.get("/_miroir/metrics")):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        return None

    def log(self) -> list[Json]:
        """Return every whole event of Miroir's log."""
        lines = self.local.miroir.command.log.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def phases(self, intent_id: int) -> list[str]:
        """Return the phases that an intent went through, from the log."""
        moves = (e for e in self.log() if e["event"] == "intent_moved")
        return [move["phase"] for move in moves if move["intent"] == intent_id]

    # ---- what the nodes say

    def on_node(self, name: str) -> AdminClient:
        """Return a client straight for one node."""
        return self.local.client(name, timeout_s=PATIENCE_S)

    def shown(self, uid: str, key: str) -> dict[str, Any]:
        """Ask every node directly for one key of its settings."""
        return {name: self.shown_by(name, uid, key) for name in self.nodes}

    def shown_by(self, name: str, uid: str, key: str) -> Any:
        """Ask one node directly for one key of its settings."""
        return self.on_node(name).get(f"/indexes/{uid}/settings")[key]

    def settings_tasks_of(self, name: str, uid: str) -> int:
        """Count the settings tasks of an index on one node."""
        return len(self.node_tasks(name, uid, "settingsUpdate"))

    def node_tasks(self, name: str, uid: str | None = None, kind: str | None = None) -> list[Json]:
        """Ask a node directly for its tasks of an index, or of every one but the probe's."""
        narrow = f"&indexUids={uid}" if uid else ""
        narrow += f"&types={kind}" if kind else ""
        tasks = self.on_node(name).get(f"/tasks?limit=1000{narrow}")["results"]
        return [task for task in tasks if task["indexUid"] != PROBE or uid == PROBE]

    def settings_tasks(self, uid: str) -> dict[str, int]:
        """Count the settings tasks of an index on every node."""
        return {name: self.settings_tasks_of(name, uid) for name in self.nodes}

    def all_tasks(self) -> dict[str, int]:
        """Return the number of tasks on every node, those of the probe index left out."""
        return {name: len(self.node_tasks(name)) for name in self.nodes}

    def documents(self, name: str, uid: str) -> dict[Any, Json]:
        """Ask a node directly for all its documents, by id."""
        page = self.on_node(name).get(f"/indexes/{uid}/documents?limit=100000")
        return {document["id"]: document for document in page["results"]}

    # ---- faults

    def faults(self, name: str, *rules: Json) -> None:
        """Put these rules in force on a node, in place of others."""
        self.on_node(name).request("POST", "/_faults", list(rules)).ok()

    def matches(self, name: str, rule: int = 0) -> int:
        """Return how often a rule of a node has matched."""
        return int(self.on_node(name).get("/_faults")[rule]["matched"])

    def heal(self) -> None:
        """Remove all faults, start what is down, and wait until Miroir finds every node."""
        for name, process in self.local.nodes.items():
            process.resume()
            process.start()
            process.wait_healthy(time.monotonic() + PATIENCE_S)
            self.faults(name)
        self.start_miroir()
        until(lambda: all(n["healthy"] for n in self.topology()["nodes"]), "every node healthy")

    def kill(self, name: str) -> None:
        """Kill a node and wait until Miroir has noticed."""
        self.local.nodes[name].kill()
        until(lambda: name not in self.healthy(), f"{name} found down")

    def revive(self, name: str) -> None:
        """Start a killed node and wait until Miroir has noticed."""
        self.local.nodes[name].start()
        until(lambda: name in self.healthy(), f"{name} found up")

    def healthy(self) -> set[str]:
        """Return the nodes that Miroir finds healthy."""
        return {node["id"] for node in self.topology()["nodes"] if node["healthy"]}

    def kill_miroir(self) -> None:
        """Kill -9 Miroir."""
        self.local.miroir.kill()

    def start_miroir(self) -> None:
        """Start Miroir, if it does not run, and wait until it answers."""
        self.local.miroir.start()
        self.local.miroir.wait_healthy(time.monotonic() + PATIENCE_S)

    def wipe(self) -> None:
        """Bring the cluster back to health, delete every index, wait for used tickets to go."""
        self.heal()
        for index in self.client.get("/indexes?limit=1000")["results"]:
            self.do("DELETE", f"/indexes/{index['uid']}")
        for name in self.nodes:
            until(partial(self._is_empty, name), f"{name} keeps nothing")

    def _is_empty(self, name: str) -> bool:
        held = {i["uid"] for i in self.on_node(name).get("/indexes?limit=1000")["results"]}
        return held <= {PROBE}


@contextmanager
def live_cluster(
    folder: Path,
    shape: Shape,
    settings: Mapping[str, Any] | None = None,
    engine: Engine = EMBEDDED,
) -> Iterator[LiveCluster]:
    """Run a cluster; embedded nodes obey faults. Afterwards no port may be left taken."""
    merged = {name: dict(section) for name, section in QUICK.items()}
    for name, section in (settings or {}).items():
        merged[name] = {**merged.get(name, {}), **section} if name in merged else section
    layout = lay_out(folder, shape, engine, settings=merged)
    local = LocalCluster(layout, faults=True)
    with local:
        yield LiveCluster(local)
    assert not [p.name for p in local.processes if p.running], "a process outlives its cluster"
    assert all(map(port_is_free, layout.ports.values())), "a port is still taken"
