"""
The feed, the suspects and the look that judges them, over nodes that are lists of tasks.

The index alerts only, so that what is seen is the finding and not a repair; time is virtual.
"""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import orjson
from tests.support.memory_store import MemoryStore
from tests.support.store_contract import (
    ENGINE,
    MOVIES,
    A,
    B,
    commit_once,
    commit_record,
    lead,
    new_intent,
)
from tests.support.virtual_loop import VirtualClock, run_virtual

from miroir.core import settings as rules
from miroir.core.drift import Mode
from miroir.core.fingerprint import fingerprint
from miroir.core.topology import GroupId, IndexUid, Node, NodeId, ShardId, Topology
from miroir.errors import NodeRefused, NodeUnreachable
from miroir.ports.node import NodeReply, NodeTask
from miroir.services.cluster import Cluster
from miroir.services.drift_rules import DriftRules, Modes
from miroir.services.feed import Feed, FeedTools
from miroir.services.inspector import Inspector, InspectorTools
from miroir.services.ledger import Ledger
from miroir.services.prober import Prober
from miroir.services.replicas import Replicas
from miroir.services.suspects import Suspects
from miroir.telemetry import Metrics

SETTINGS = {**rules.defaults(), "stopWords": ["the"]}
OTHER = {**SETTINGS, "stopWords": ["x"]}
TOPOLOGY = Topology(
    1, 1, 2, tuple(Node(n, ShardId(0), GroupId(i), "http://x") for i, n in enumerate((A, B)))
)
INTERVAL_S = 2.0


class ListNode:
    """
    Nodes whose tasks a test writes down, and carries out.

    Attributes:
        lists: Node -> its tasks, oldest first.
        shown: Node -> settings of the index.
        asked: Names of the calls, in order.
        down: Nodes that do not answer.
    """

    def __init__(self) -> None:
        self.lists: dict[NodeId, list[NodeTask]] = {A: [], B: []}
        self.shown: dict[NodeId, dict[str, Any] | None] = {A: SETTINGS, B: SETTINGS}
        self.asked: list[tuple[str, NodeId]] = []
        self.down: set[NodeId] = set()
        self.answers: asyncio.Event | None = None
        self.slow_s: dict[NodeId, float] = {}

    def queue(self, node_id: NodeId, kind: str = "settingsUpdate", **changes: Any) -> int:
        tasks = self.lists[node_id]
        uid = tasks[-1].uid + 1 if tasks else 0
        at = f"2026-01-01T00:00:{uid:02}Z"
        task = NodeTask(uid, MOVIES, kind, "enqueued", details=OTHER, enqueued_at=at)
        tasks.append(replace(task, **changes))
        return uid

    def end(self, node_id: NodeId, status: str = "succeeded") -> None:
        self.lists[node_id] = [replace(t, status=status) for t in self.lists[node_id]]

    def _ask(self, name: str, node_id: NodeId) -> list[NodeTask]:
        self.asked.append((name, node_id))
        if node_id in self.down:
            raise NodeUnreachable("down")
        return self.lists[node_id]

    async def newest_task_uid(self, node_id: NodeId) -> int:
        await asyncio.sleep(self.slow_s.get(node_id, 0.0))
        tasks = self._ask("newest", node_id)
        return tasks[-1].uid if tasks else -1

    async def feed(self, node_id: NodeId, after_uid: int) -> tuple[NodeTask, ...]:
        return tuple(t for t in self._ask("feed", node_id) if t.uid > after_uid)

    async def tasks(self, node_id: NodeId, uids: tuple[int, ...]) -> tuple[NodeTask, ...]:
        return tuple(t for t in self._ask("tasks", node_id) if t.uid in uids)

    async def forward(self, node_id: NodeId, _request: Any) -> NodeReply:
        rows = [{"uid": t.uid} for t in self._ask("unfinished", node_id) if not t.ended]
        return NodeReply(200, {}, orjson.dumps({"results": rows}))

    async def read_settings(self, node_id: NodeId, _index: IndexUid) -> Any:
        self._ask("read", node_id)
        shown = self.shown[node_id]
        if shown is None:
            raise NodeRefused(404, {"code": "index_not_found", "message": "no"})
        return shown

    async def patch_settings(self, node_id: NodeId, index_uid: IndexUid, patch: Any) -> int:
        uid = self.queue(node_id, index_uid=index_uid, details=patch)
        if self.answers is not None:
            await self.answers.wait()
        return uid


class Scene:
    """A cluster of two replicas with one committed index, and a feed over it."""

    def __init__(self, loop: Any, mode: Mode) -> None:
        self.nodes, self.clock = ListNode(), VirtualClock(loop)
        self.store, self.cluster = MemoryStore(self.clock), Cluster(TOPOLOGY)
        self.ledger = Ledger(self.nodes)  # type: ignore[arg-type]
        self.metrics = Metrics()
        replicas = Replicas(store=self.store, cluster=self.cluster, clock=self.clock)
        self.looked: list[NodeId] = []
        nobody: Any = None  # Nothing is repaired here, and nothing probed.
        self.inspector = Inspector(
            InspectorTools(
                control=self.ledger,
                store=self.store,
                cluster=self.cluster,
                clock=self.clock,
                prober=Prober(
                    control=self.ledger,
                    store=self.store,
                    cluster=self.cluster,
                    watcher=nobody,
                    clock=self.clock,
                    wait_s=1.0,
                ),
                registrar=nobody,
                replicas=replicas,
                metrics=self.metrics,
                ended=nobody,
                rules=DriftRules(store=self.store, clock=self.clock, configured=Modes(mode)),
                repairs_max=3,
            )
        )
        self.suspects = Suspects(
            ledger=self.ledger,
            cluster=self.cluster,
            inspector=self.inspector,
            clock=self.clock,
        )
        self.feed = Feed(
            FeedTools(
                ledger=self.ledger,
                cluster=self.cluster,
                inspector=self.inspector,
                suspects=self.suspects,
                clock=self.clock,
                look_at=self.looked.append,
                interval_s=INTERVAL_S,
            )
        )

    @property
    def proved(self) -> set[NodeId]:
        return set(self.cluster.view.indexes[MOVIES].proved)

    @property
    def out_of_sync(self) -> dict[NodeId, str]:
        return dict(self.cluster.view.indexes[MOVIES].out_of_sync)

    async def stored(self) -> set[NodeId]:
        return {v.node_id for v in await self.store.node_versions() if v.version is not None}

    async def pass_ticks(self, count: float = 1.2) -> None:
        await self.clock.sleep(INTERVAL_S * count)

    def calls(self, name: str, node_id: NodeId = A) -> int:
        return self.nodes.asked.count((name, node_id))


def scene(play: Any, mode: Mode = Mode.ALERT, before: Any = None) -> None:
    """Play a scene on a running feed."""

    async def main(loop: Any) -> None:
        s = Scene(loop, mode)
        seen = fingerprint(SETTINGS)
        proved, forms = {A: seen, B: seen}, {ENGINE: seen}
        record = commit_record(settings=SETTINGS, fingerprints=forms, proved=proved)
        await commit_once(s.store, await lead(s.store), record)
        await s.cluster.load(s.store)
        for node_id in (A, B):
            s.cluster.apply_health(node_id, healthy=True, engine=ENGINE)
        if before is not None:
            before(s)
        async with running(s.feed):
            await play(s)

    run_virtual(main)


@asynccontextmanager
async def running(feed: Feed) -> Any:
    await feed.begin()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(feed.run())
        await asyncio.sleep(0)
        yield
        task.cancel()


def test_a_foreign_task_demotes_before_it_takes_effect_and_is_judged_after() -> None:
    """A look at a node that has not changed yet would find it right, and let it serve."""

    async def play(s: Scene) -> None:
        s.nodes.queue(A)
        await s.pass_ticks()
        assert (s.proved, await s.stored()) == ({B}, {B})
        assert [x.node_id for x in s.suspects.all] == [A]
        assert s.calls("read") == 0
        s.nodes.shown[A] = OTHER
        s.nodes.end(A)
        await s.pass_ticks()
        assert [d.finding.faults for d in s.inspector.book.drifts.values()] == [("stopWords",)]
        assert (s.proved, s.suspects.all) == ({B}, ())

    scene(play)


def test_a_foreign_task_that_failed_costs_a_look_and_nothing_else() -> None:
    """Nothing was changed; the node serves again at once."""

    async def play(s: Scene) -> None:
        s.nodes.queue(A, "indexDeletion", details={})
        await s.pass_ticks()
        assert s.proved == {B}
        s.nodes.end(A, "failed")
        await s.pass_ticks()
        assert (s.proved, await s.stored()) == ({A, B}, {A, B})
        assert (s.out_of_sync, s.inspector.book.drifts) == ({}, {})

    scene(play)


def test_a_quiet_node_costs_one_request_a_tick() -> None:
    """Whatever the number of indexes; once in a while one more, for nodes that were replaced."""

    async def play(s: Scene) -> None:
        await s.pass_ticks(30.5)
        assert 30 <= s.calls("feed") <= 31
        assert s.calls("newest") <= 4
        assert s.calls("read") == s.calls("tasks") == 0

    scene(play)


def test_our_own_tasks_and_those_of_indexes_that_are_not_ours_are_no_drift() -> None:
    """The probe patches its index all day long; an unmanaged one is somebody else's business."""

    async def play(s: Scene) -> None:
        await s.ledger.patch_settings(A, MOVIES, {"stopWords": ["y"]})
        s.nodes.queue(A, index_uid=IndexUid("_miroir_probe"))
        s.nodes.queue(A, index_uid=IndexUid("unmanaged"))
        await s.pass_ticks()
        assert s.proved == {A, B}

    scene(play)


def test_a_task_is_not_judged_before_the_answer_that_may_make_it_ours() -> None:
    """Each of our own requests would demote its node, if the feed is quicker than the answer."""

    async def play(s: Scene) -> None:
        s.nodes.answers = asyncio.Event()
        asking = asyncio.ensure_future(s.ledger.patch_settings(A, MOVIES, {"stopWords": ["y"]}))
        await s.pass_ticks()
        assert s.proved == {A, B}
        foreign = s.nodes.queue(A)
        s.nodes.answers.set()
        await asking
        await s.pass_ticks()
        assert [t.uid for x in s.suspects.all for t in x.tasks] == [foreign]

    scene(play)


def test_what_was_queued_before_the_feed_began_is_still_to_come() -> None:
    """The first sweep finds the node right; a moment later it is not."""

    async def play(s: Scene) -> None:
        await s.pass_ticks(0.5)
        assert s.proved == {B}

    def before(s: Scene) -> None:
        s.nodes.queue(A, status="succeeded")
        s.nodes.queue(A)
        s.nodes.queue(A, "documentAdditionOrUpdate", status="enqueued", index_uid=None)

    scene(play, before=before)


def test_one_slow_node_does_not_keep_the_others_from_being_read_after_a_start() -> None:
    """What is changed on them meanwhile would show in answers for as long as it takes its time."""

    def slow(s: Scene) -> None:
        s.nodes.slow_s[B] = 60.0

    async def play(s: Scene) -> None:
        assert s.clock.monotonic_s() < INTERVAL_S
        s.nodes.queue(A)
        await s.pass_ticks()
        assert s.proved == {B}
        s.nodes.slow_s.clear()
        await s.pass_ticks(count=60.0)
        assert s.looked == [B]

    scene(play, before=slow)


def test_a_swap_demotes_both_and_has_the_replica_filled_again() -> None:
    """Settings may even be equal; the documents are those of another index."""

    async def play(s: Scene) -> None:
        pairs = {"swaps": [{"indexes": ["unmanaged", "movies"], "rename": False}]}
        s.nodes.queue(A, "indexSwap", index_uid=None, details=pairs)
        await s.pass_ticks()
        assert (s.proved, s.out_of_sync) == ({B}, {})
        s.nodes.end(A)
        await s.pass_ticks()
        assert set(s.out_of_sync) == set(await s.store.out_of_sync() and {A}) == {A}

    scene(play)


def test_a_list_that_went_back_is_another_node() -> None:
    """Restored or replaced: neither its settings nor its documents are what they were."""

    async def play(s: Scene) -> None:
        ours = await s.ledger.patch_settings(A, MOVIES, {"stopWords": ["y"]})
        await s.pass_ticks()
        s.nodes.lists[A] = s.nodes.lists[A][:ours]
        s.nodes.end(A)
        s.feed.nudge(A, healthy=True)
        await s.pass_ticks(0.1)
        assert (s.proved, await s.stored(), set(s.out_of_sync)) == ({B}, {B}, {A})
        assert s.looked == [A]
        s.feed.nudge(A, healthy=True)
        await s.pass_ticks()
        assert s.looked == [A]
        assert s.nodes.queue(A) == ours  # A uid that was ours once.
        await s.pass_ticks()
        assert [x.node_id for x in s.suspects.all] == [A]

    def before(s: Scene) -> None:
        s.nodes.queue(A, status="succeeded")

    scene(play, before=before)


def test_a_task_of_ours_that_the_feed_had_not_read_is_missed_too() -> None:
    """A restore may take away just what came after the last reading: an answer told of it."""

    async def play(s: Scene) -> None:
        ours = await s.ledger.patch_settings(A, MOVIES, {"stopWords": ["y"]})
        s.nodes.lists[A] = s.nodes.lists[A][:ours]
        s.feed.nudge(A, healthy=True)
        await s.pass_ticks(0.1)
        assert (s.proved, set(s.out_of_sync), s.looked) == ({B}, {A}, [A])

    def before(s: Scene) -> None:
        s.nodes.queue(A, status="succeeded")

    scene(play, before=before)


def test_a_list_that_has_grown_past_the_old_one_is_another_node_too() -> None:
    """Uids alone do not tell: the last task that was seen has to be there, and be the same."""

    async def play(s: Scene) -> None:
        await s.ledger.patch_settings(A, MOVIES, {"stopWords": ["y"]})
        await s.pass_ticks()
        assert s.proved == {A, B}
        s.nodes.lists[A] = []
        for _ in range(5):
            s.nodes.queue(A, index_uid=IndexUid("unmanaged"), enqueued_at="2026-02-02T00:00:00Z")
        await s.pass_ticks()
        assert (s.proved, set(s.out_of_sync)) == ({B}, {A})

    scene(play)


def test_tasks_that_somebody_has_deleted_are_no_other_node() -> None:
    """Tidying up a task list must not have every index copied anew."""

    async def play(s: Scene) -> None:
        await s.ledger.patch_settings(A, MOVIES, {"stopWords": ["y"]})
        await s.pass_ticks()
        s.nodes.queue(A, "taskDeletion", index_uid=None, details={}, status="succeeded")
        s.nodes.lists[A] = s.nodes.lists[A][-1:]
        await s.pass_ticks()
        assert (s.proved, s.out_of_sync, s.looked) == ({A, B}, {}, [A])

    scene(play)


def test_a_node_that_was_upgraded_in_place_is_looked_at_and_not_demoted() -> None:
    """Nobody has changed its settings; its engine may show them otherwise."""

    async def play(s: Scene) -> None:
        s.nodes.queue(A, "upgradeDatabase", index_uid=None, details={})
        await s.pass_ticks()
        assert (s.proved, s.looked) == ({A, B}, [A])

    scene(play)


def test_a_node_that_does_not_answer_is_read_on_from_where_it_stood() -> None:
    """What was done to it while it could not be asked is found when it can."""

    async def play(s: Scene) -> None:
        s.nodes.down = {A}
        await s.pass_ticks()
        s.nodes.queue(A)
        await s.pass_ticks()
        s.nodes.down = set()
        await s.pass_ticks()
        assert s.proved == {B}

    scene(play)


def test_while_a_change_is_open_a_suspect_stays_out_and_is_judged_after_it() -> None:
    """Whoever proves it meanwhile may not have known of the task that is still waiting."""

    async def play(s: Scene) -> None:
        opened = await s.store.open_intent(new_intent())
        s.cluster.apply_queued(opened)
        s.nodes.queue(A)
        await s.pass_ticks()
        assert s.proved == {B}
        index = s.cluster.view.indexes[MOVIES]
        s.cluster._put(MOVIES, replace(index, proved={A: 1, B: 1}))  # As a commit would.
        await s.pass_ticks()
        assert s.proved == {B}
        s.nodes.end(A)
        await s.pass_ticks(2)
        assert (s.proved, len(s.suspects.all)) == ({B}, 1)
        s.cluster.apply_withdrawn(opened)
        s.store._tables.intents[opened.intent_id].intent = replace(
            opened,
            state=replace(opened.state, phase="refused"),  # type: ignore[arg-type]
        )
        await s.pass_ticks(2)
        assert (s.proved, s.suspects.all) == ({A, B}, ())

    scene(play)


def test_what_we_have_changed_since_is_not_suspected_any_more() -> None:
    """The repair came before the feed: the node was read back behind it."""

    async def play(s: Scene) -> None:
        s.nodes.queue(A)
        await s.ledger.patch_settings(A, MOVIES, {"stopWords": ["the"]})
        s.nodes.end(A)
        await s.pass_ticks()
        assert (s.proved, s.inspector.book.doubts) == ({A, B}, {})

    scene(play)


def test_where_drift_is_off_nothing_is_suspected() -> None:
    """Somebody changes these nodes on purpose."""

    async def play(s: Scene) -> None:
        s.nodes.queue(A)
        await s.pass_ticks()
        assert s.proved == {A, B}

    scene(play, Mode.OFF)


def test_the_exposure_counts_from_the_last_reading_that_was_clean() -> None:
    """An operator reads it as: for so long a reader may have seen foreign settings."""

    async def play(s: Scene) -> None:
        await s.pass_ticks(2.6)
        s.nodes.queue(A)
        await s.pass_ticks(1)
        text = s.metrics.exposition().decode()
        rows = [r for r in text.splitlines() if "drift_exposure_seconds_sum" in r]
        assert [round(float(r.split()[-1]), 1) for r in rows] == [INTERVAL_S]

    scene(play)


def test_an_order_to_repair_that_comes_during_a_look_is_not_lost() -> None:
    """The sweep looks at nodes all the time, and in this mode nobody would come back to it."""

    async def play(s: Scene) -> None:
        repaired: list[tuple[NodeId, ...]] = []

        class Repairs:
            async def repair(self, _index: IndexUid, nodes: tuple[NodeId, ...], _why: str) -> Any:
                repaired.append(nodes)
                return SimpleNamespace(intent_id=1)

        s.inspector._tools = replace(s.inspector._tools, registrar=Repairs())  # type: ignore[arg-type]
        s.nodes.shown[A] = OTHER
        async with asyncio.TaskGroup() as group:
            group.create_task(s.inspector.look(MOVIES, A))
            await s.clock.sleep(0.1)
            await s.inspector.repair_now(MOVIES)
        assert repaired == [(A,)]

    scene(play)
