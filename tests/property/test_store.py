"""The store in memory is worth something only if it does what the real one does."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from hypothesis import given, settings, strategies as st
from tests.support.memory_store import MemoryStore
from tests.support.store_contract import (
    FixedClock,
    commit_record,
    machine,
    new_intent,
    new_task,
    part,
    share,
)

from miroir.adapters.store_seal import NoSeal
from miroir.adapters.store_sqlite import open_store
from miroir.core.broadcast_types import Decision, NodeState, Phase, Progress
from miroir.errors import LeaseLost
from miroir.ports.records import IntentKind, IntentQuery, IntentTask, Lease, TaskQuery

UIDS = ("movies", "books")
NODES = ("a", "b")
LEASE = Lease("s", "x", 1)

uids, nodes, small = st.sampled_from(UIDS), st.sampled_from(NODES), st.integers(0, 3)
fingerprints = st.sampled_from(["f", "g"])
proofs = st.dictionaries(nodes, fingerprints, max_size=2)


@st.composite
def machines(draw):
    progress = st.builds(
        Progress,
        state=st.sampled_from(NodeState),
        fingerprint=st.none() | fingerprints,
        faults=st.lists(st.text(max_size=3), max_size=2).map(tuple),
        error=st.none() | st.dictionaries(st.text(max_size=3), st.none() | st.integers()),
    )
    return machine(
        phase=draw(st.sampled_from((*([Phase.PROPOSING] * 20), *Phase))),
        decision=draw(st.sampled_from([None, None, *Decision])),
        undoable=draw(st.booleans()),
        nodes=draw(st.dictionaries(nodes, progress, max_size=2)),
        error=draw(st.none() | st.just({"code": "x"})),
    )


@st.composite
def commits(draw):
    return commit_record(
        settings=draw(st.none() | st.just({"synonyms": {"a": ["b"]}})),
        fingerprints=draw(st.dictionaries(st.sampled_from(["1", "2"]), st.sampled_from("ffffg"))),
        proved=draw(proofs),
        unproved=draw(st.lists(nodes, max_size=2).map(tuple)),
        raise_version=draw(st.booleans()),
        primary_key=draw(st.none() | st.just("id")),
        deleted=draw(st.integers(0, 4)) == 0,
        at_ms=draw(small),
    )


@st.composite
def queries(draw):
    def several(values):
        return draw(st.lists(values, max_size=2).map(tuple))

    return TaskQuery(
        limit=draw(st.integers(0, 4)),
        from_uid=draw(st.none() | st.integers(0, 12)),
        reverse=draw(st.booleans()),
        uids=several(st.integers(0, 9)),
        statuses=several(st.sampled_from(["enqueued", "processing", "succeeded", "failed"])),
        index_uids=several(uids),
        batches=several(st.integers(0, 9)),
        canceled_by=several(st.integers(0, 9)),
        open_to=draw(st.none() | st.sampled_from([("*",), ("mov*",), ("books",), ()])),
        times=several(
            st.tuples(
                st.sampled_from(["enqueued", "started", "finished"]),
                st.sampled_from("<>"),
                small,
            )
        ),
    )


def call(name, *args, **kwargs):
    """Return one call of a store, with drawn arguments."""
    return st.tuples(st.just(name), st.tuples(*args), st.fixed_dictionaries(kwargs))


ids = st.sampled_from([1, 1, 1, 2, 2, 3, 4])
# Of an intent only the number is drawn; its revision, and the epoch of the lease, are those of the
# store, or rarely the ones before.
rarely = st.integers(0, 14).map(lambda n: n == 0)
held, leases = st.tuples(ids, rarely), rarely
tasks = st.builds(new_task, uids, at_ms=small)
cancelations = st.builds(new_task, st.none(), type=st.just("taskCancelation"), at_ms=small)
node_tasks = st.lists(
    st.builds(
        IntentTask,
        nodes,
        small,
        st.sampled_from(["succeeded", "failed"]),
        st.none() | st.just({"code": "x"}),
        st.none() | small,
        small,
    ),
    max_size=3,
).map(tuple)
phases = st.sampled_from([phase.value for phase in Phase])
intent_queries = st.builds(
    IntentQuery,
    limit=small,
    from_id=st.none() | small,
    ids=st.lists(small, max_size=2).map(tuple),
    index_uids=st.lists(uids, max_size=1).map(tuple),
    phases=st.lists(phases, max_size=3).map(tuple),
)
ends = st.sampled_from(["succeeded", "failed", "canceled"])
intents = st.builds(new_intent, uids, st.sampled_from(IntentKind))

CALLS = st.one_of(
    call(
        "take_lease",
        st.just("s"),
        st.sampled_from("xy"),
        ttl_ms=st.integers(1, 2),
        now_ms=small,
    ),
    call("release_lease", leases),
    call("open_intent", intents),
    call("open_intent", intents),
    call("accept_intent", intents, tasks),
    call("start_intent", held, leases),
    call("start_intent", held, leases),
    call("save_intent", held, machines(), leases),
    call("save_intent", held, machines(), leases, ended=node_tasks),
    call("commit", held, commits(), leases),
    call("commit", held, commits(), leases),
    call("freeze", held, st.just("why"), leases),
    call("thaw", uids),
    call("unprove", uids, st.lists(nodes, max_size=2).map(tuple)),
    call("prove", uids, proofs, version=small, at_ms=small),
    call("keep_expected", st.just("h"), st.just("e"), st.builds(dict, x=small)),
    call("open_task", tasks, status=st.sampled_from(["enqueued", "succeeded"])),
    call("open_task", tasks, status=st.just("failed"), error=st.just({"code": "x"})),
    call("open_write", tasks, st.just((part(),)), st.lists(nodes, unique=True)),
    call(
        "save_shares",
        st.tuples(st.integers(0, 9), nodes, st.sampled_from(["sent", "missed", "succeeded"])),
        out_of_sync=st.dictionaries(nodes, st.just("why"), max_size=1),
    ),
    call("start_task", st.integers(0, 9), at_ms=small),
    call(
        "finish_task",
        st.integers(0, 9),
        status=ends,
        details=st.just({}),
        error=st.none() | st.just({"code": "y"}),
        at_ms=small,
    ),
    call("set_out_of_sync", uids, nodes, st.sampled_from(["p", "q"])),
    call("set_in_sync", uids, nodes),
    call("tasks", queries()),
    call("batches", queries()),
    call("open_cancelation", queries(), cancelations),
    call("open_cancelation", queries(), cancelations),
    call("let_go", st.integers(0, 9), at_ms=small),
    call("cancel_intent", ids, at_ms=small),
    call("delete_tasks", queries(), tasks),
    call("find_intents", intent_queries),
    call("history", uids, limit=st.none() | small, from_version=st.none() | small),
    call("advance"),
)


PRELUDE = (
    ("take_lease", ("s", "x"), {"ttl_ms": 1, "now_ms": 0}),
    ("accept_intent", (new_intent("movies"), new_task()), {}),
    ("open_intent", (new_intent("books"),), {}),
    ("start_intent", ((1, 0), 0), {}),
    ("start_intent", ((2, 0), 0), {}),
)
"""Without these the drawn calls would mostly find nothing to act on."""


GUARDED = {"start_intent", "save_intent", "commit", "freeze"}


class Player:
    """Makes calls on one store and remembers the newest lease that it gave."""

    def __init__(self, store, clock):
        self.store = store
        self._clock = clock
        self._lease = LEASE

    async def made(self, step):
        """Make a call; return what it said, an error by its kind."""
        name, args, kwargs = step
        if name == "advance":
            self._clock.now_ms += 1
            return None
        try:
            args = await self._filled_in(name, args)
            said = await getattr(self.store, name)(*args, **kwargs)
        except LeaseLost:
            return LeaseLost
        except (AssertionError, KeyError, IndexError):
            return AssertionError
        if name == "take_lease" and said is not None:
            self._lease = said
        return said

    async def _filled_in(self, name, args):
        """Put in what only the store can say: revisions, epochs, uids."""
        if name in GUARDED:
            (number, stale), *middle, old = args
            intent = await self.store.intent(number)
            held = replace(intent, revision=intent.revision - stale)
            return (held, *middle, replace(self._lease, epoch=self._lease.epoch - old))
        if name == "release_lease":
            return (replace(self._lease, epoch=self._lease.epoch - args[0]),)
        if name == "open_write":
            task, parts, targets = args
            shares = tuple(share(task_of_uid(0), node, "unsent") for node in targets)
            return (task, parts, shares)
        if name == "save_shares":
            uid, node, status = args[0]
            return ((share(task_of_uid(uid), node, status),),)
        if name in {"start_task", "finish_task"}:
            assert await self.store.task(args[0]) is not None
        return args


def task_of_uid(uid=0):
    """Return a task record of which only the uid matters."""
    return SimpleNamespace(uid=uid)


async def seen(store):
    """Return everything that can be read."""
    return {
        "indexes": await store.indexes(),
        "versions": await store.node_versions(),
        "history": [await store.history(uid) for uid in UIDS],
        "settings": [await store.settings_of(uid, v) for uid in UIDS for v in range(4)],
        "ended": await store.intent_tasks(tuple(range(10))),
        "expected": await store.expected("h", "e"),
        "open": await store.open_intents(),
        "intents": await store.recent_intents(100),
        "tasks": await store.tasks(TaskQuery(limit=100)),
        "batches": await store.batches(TaskQuery(limit=100)),
        "recalled": await store.recalled_tasks(),
        "unfinished": await store.unfinished_tasks(),
        "writes": await store.unfinished_writes(),
        "shares": [await store.shares(uid) for uid in range(10)],
        "lagging": await store.out_of_sync(),
    }


async def same(steps):
    """Play the steps on both stores."""
    clocks = FixedClock(10), FixedClock(10)
    with tempfile.TemporaryDirectory() as directory:
        real = await open_store(Path(directory), seal=NoSeal(), clock=clocks[1])
        players = Player(MemoryStore(clocks[0]), clocks[0]), Player(real, clocks[1])
        try:
            for step in steps:
                said = [await player.made(step) for player in players]
                assert said[0] == said[1], step
            assert await seen(players[0].store) == await seen(real)
        finally:
            await real.aclose()
    return players[0].store


@settings(max_examples=100)
@given(st.lists(CALLS, min_size=10, max_size=40), st.integers(0, len(PRELUDE)))
def test_both_stores_say_and_keep_the_same(steps, prepared):
    """Every finding of the simulation is then a finding about the product."""
    asyncio.run(same([*PRELUDE[:prepared], *steps]))


def test_the_prelude_leads_to_commits_and_conflicts():
    """A property over calls that all fail would hold for any two stores."""
    steps = (
        *PRELUDE,
        ("save_intent", ((1, 1), machine(), 0), {}),
        ("commit", ((1, 0), commit_record(), 0), {}),
    )

    async def scene():
        memory = await same(steps)
        return await memory.indexes(), await memory.task(0)

    indexes, task = asyncio.run(scene())
    assert [index.version for index in indexes] == [1]
    assert task.status == "succeeded"
