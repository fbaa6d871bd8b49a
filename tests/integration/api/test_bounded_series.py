"""
The number of exposed series does not grow with tasks, indexes, documents, or nonsense.

A whole application in this process, over the store in memory and nodes that never answer: enough
for whatever Miroir answers itself, and the metrics of nodes and of drift are told by hand.
"""

import random

import orjson
import pytest
from tests.support.memory_store import MemoryStore

from miroir.config import Config
from miroir.core import settings as rules
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeUnreachable
from miroir.ports.clock import SystemClock
from miroir.ports.records import IndexRecord, NewTask
from miroir.runtime import Outside, make_app, make_services
from miroir.telemetry import Metrics

pytestmark = pytest.mark.anyio
NODE = NodeId("n0")
LABELS_MAX = 10
OUTCOMES = ("answered", "unreachable", "timeout", "cancelled")


class Nobody:
    """Nodes that never answer: `NodeControl` and `NodeTransport`."""

    def __getattr__(self, name):
        async def call(*_args, **_kwargs):
            raise NodeUnreachable("nobody is there")

        return call


class World:
    """One process under traffic."""

    def __init__(self):
        node = {"name": NODE, "url": "http://n0:7700", "shard": 0, "replica_group": 0}
        config = Config.model_validate({"topology": {"shards": 1, "nodes": [node]}})
        self.metrics = Metrics(index_label_max=LABELS_MAX)
        self.clock = SystemClock()
        self.store = MemoryStore(self.clock)
        outside = Outside(
            control=Nobody(),
            transport=Nobody(),
            store=self.store,
            clock=self.clock,
            chance=random.Random(1),
            metrics=self.metrics,
        )
        services = make_services(config, config.topology.to_core(), outside)
        self.cluster = services.common.cluster
        self.cluster.apply_health(NODE, healthy=True, engine="1.50.0")
        self.app = make_app(config, services, outside)

    def index(self, number, *, deleted=False):
        """Let an index be there, proved at its version, or be gone."""
        uid = IndexUid(f"index-{number}")
        settings = None if deleted else rules.defaults()
        record = IndexRecord(uid, "id", 1, settings, {"1.50.0": "f"}, None, deleted, 0, 0)
        self.cluster.apply_record(record)
        self.cluster.apply_proof(uid, (NODE,), 1)
        return uid

    def task(self, uid):
        """Return a task of an index."""
        return NewTask(uid, "documentAdditionOrUpdate", {}, 1, custom_metadata=None)

    async def ask(self, method, path, body=None):
        """Send one request through the application; return status and body."""
        content = b"" if body is None else orjson.dumps(body)
        sent = []

        async def receive():
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message):
            sent.append(message)

        raw, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "headers": [(b"content-type", b"application/json")],
        }
        await self.app(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]

    async def series(self):
        """Return every exposed series, names of indexes left out."""
        status, text = await self.ask("GET", "/_miroir/metrics")
        assert status == 200
        lines = (line for line in text.decode().splitlines() if not line.startswith("#"))
        return sorted(line.rsplit(" ", 1)[0].split('{index="')[0] for line in lines)


def requests(number, uid):
    """Return one request of each kind, with all the statuses that clients bring about."""
    return (
        ("GET", f"/indexes/{uid}/settings", None, 200),
        ("GET", f"/indexes/{uid}/settings/stop-words", None, 200),
        ("GET", f"/indexes/unknown-{number}/settings", None, 404),
        ("GET", f"/tasks/{number}", None, 200),
        ("GET", f"/tasks/{number + 10**6}", None, 404),
        ("GET", f"/indexes/{uid}/documents/{number}/not/a/path", None, 404),
        ("GET", f"/nonsense/{number}", None, 404),
        ("PUT", f"/indexes/{uid}/search", None, 405),
        ("POST", "/swap-indexes", [number], None),
        ("GET", f"/_miroir/intents/{number + 1}", None, 404),
        ("GET", f"/_miroir/settings/{uid}/history/{number + 2}", None, 404),
        ("GET", f"/_miroir/intents?state=lost-{number}", None, 400),
    )


async def traffic(world, numbers):
    """One task for each number, and what comes along with it."""
    chance = random.Random(2)
    for number in numbers:
        if number % 3 == 0:
            uid = world.index(number)
        if number % 4:  # What only fills the list of tasks need not come by HTTP.
            await world.store.open_task(world.task(uid), status="failed", error={"code": "x"})
        else:
            status, body = await world.ask("PATCH", f"/indexes/{uid}/settings", {"stopWords": []})
            assert (status, orjson.loads(body)["taskUid"]) == (202, number)
        kinds = requests(number, uid)
        method, path, sent, expected = kinds[number % len(kinds)]
        status, _ = await world.ask(method, path, sent)
        assert expected in {None, status}, (method, path, status)
        if number % 50 == 0:  # The store in memory reads every task to list some.
            assert (await world.ask("GET", f"/tasks?from={number}"))[0] == 200
        if number % 9 == 8:
            world.index(number - 2, deleted=True)
        told_by_hand(world.metrics, number, chance)


def told_by_hand(metrics, number, chance):
    """What nodes and sweeps would have brought about."""
    metrics.node_call(NODE, OUTCOMES[number % 4], chance.expovariate(1))
    metrics.drift_repair(("repaired", "failed", "given_up")[number % 3])
    metrics.drift_detected()
    metrics.hash_mismatch()
    for observe in (metrics.time_to_consistent, metrics.mixed_window, metrics.drift_exposure):
        observe(chance.expovariate(0.01))


@pytest.mark.slow
async def test_ten_thousand_tasks_expose_no_more_series_than_a_hundred():
    """Unbounded series bring down the monitoring of everything, not just of Miroir."""
    world = World()
    await traffic(world, range(102))
    await world.series()  # The scrape itself is counted from here on.
    before = await world.series()

    await traffic(world, range(102, 10_000))

    after = await world.series()
    assert after == before
    assert len(before) > 100, "the traffic has left no trace"
    assert len(world.cluster.view.indexes) > 2_000
