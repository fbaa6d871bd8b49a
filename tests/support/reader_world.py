"""
A main process and its readers without processes: messages that take their time, in order.

Every message is encoded and decoded as between processes. A reader here is what
`runtime/reader.py` is without sockets: it keeps a copy of the view, a gate and the searches that
run, and does as told. Hangs and deaths are the test's to cause.
"""

import asyncio
import random
from collections.abc import Callable

import msgspec

from miroir.core.topology import GroupId, IndexUid, Node, NodeId, ShardId, Topology
from miroir.ports.reader import (
    Close,
    Confirmed,
    Drain,
    Drained,
    Open,
    Picture,
    ToMain,
    ToReader,
)
from miroir.ports.records import IndexRecord
from miroir.services.cluster import Cluster
from miroir.services.fence import Fence
from miroir.services.gate import Gate
from miroir.services.known_keys import CopiedKeys
from miroir.services.pictures import Pictures, take_over
from miroir.services.running import Running
from tests.support.virtual_loop import VirtualClock, VirtualLoop

MOVIES = IndexUid("movies")
_APART_S = 1e-5
"""The loop runs timers that fall together in any order; a socket keeps it."""
NODES = tuple(NodeId(f"n{n}") for n in range(4))


def topology() -> Topology:
    """Two shards in two groups."""
    nodes = [
        Node(name, ShardId(n % 2), GroupId(n // 2), f"http://{name}:1")
        for n, name in enumerate(NODES)
    ]
    return Topology(1, 2, 2, tuple(nodes))


def record(version: int, uid: IndexUid = MOVIES) -> IndexRecord:
    """Return an index at a version."""
    return IndexRecord(uid, "id", version, {"synonyms": {}}, {}, None, False, 1, 1)


class FakeReader:
    """
    A reader, as the main process reaches it, and what it knows.

    Attributes:
        hangs: It takes messages and does nothing.
        gone: It is no more.
        heard: Every message that it has taken.
        drains: Its answers to `Drain`, given or not.
    """

    def __init__(self, world: "ReaderWorld", delay_s: Callable[[], float]) -> None:
        self._world = world
        self._delay_s = delay_s
        self._due_s = 0.0
        self._back_s = 0.0
        self.cluster = Cluster(topology())
        self.keys = CopiedKeys(clock=world.clock, value_of=lambda uid: f"value-of-{uid}")
        self.gate = Gate()
        self.running = Running()
        self.heard: list[ToReader] = []
        self.drains: list[asyncio.Future[None]] = []
        self.hangs = False
        self.gone = False

    def tell(self, message: ToReader) -> None:
        """See `Reader.tell`."""
        body = msgspec.msgpack.encode(message)
        self._due_s = max(self._world.loop.time() + self._delay_s(), self._due_s + _APART_S)
        self._world.loop.call_at(self._due_s, self._hear, body)

    async def end(self) -> None:
        """See `Reader.end`."""
        self.gone = True
        await asyncio.sleep(0.01)

    def _hear(self, body: bytes) -> None:
        if self.hangs or self.gone:
            return
        message: ToReader = msgspec.msgpack.decode(body, type=ToReader)
        self.heard.append(message)
        match message:
            case Picture():
                take_over(message, self.cluster, self.keys)
                self._answer(Confirmed(message.number))
            case Close(number=number, index_uids=uids):
                self.gate.close(number, uids)
                self._answer(Confirmed(number))
            case Open(number=number):
                self.gate.open(number)
            case Drain():
                self.drains.append(asyncio.ensure_future(self._drain(message)))
            case _:
                raise AssertionError(f"a fake reader is told nothing like {message}")

    async def _drain(self, asked: Drain) -> None:
        done = await self.running.drained(asked.index_uid, asked.nodes, within_s=asked.within_s)
        self._answer(Drained(asked.question, done))

    def _answer(self, message: ToMain) -> None:
        self._back_s = max(self._world.loop.time() + self._delay_s(), self._back_s + _APART_S)
        self._world.loop.call_at(self._back_s, self._world.hear, self, message)

    @property
    def version(self) -> int | None:
        """The version that it would answer with, or None where it does not know the index."""
        index = self.cluster.view.live(MOVIES)
        return index.record.version if index is not None else None


class ReaderWorld:
    """The main process: a view, a fence, and who is behind it."""

    def __init__(self, loop: VirtualLoop, seed: int = 0) -> None:
        self.loop = loop
        self.clock = VirtualClock(loop)
        self.chance = random.Random(seed)
        self.cluster = Cluster(topology())
        self.commons = Cluster(topology(), commons=True)
        self.keys = CopiedKeys(clock=self.clock, value_of=lambda uid: f"value-of-{uid}")
        self.running = Running()
        self.fence = Fence(running=self.running, clock=self.clock)
        self.fence.begin(Pictures(cluster=self.cluster, commons=self.commons, keys=self.keys))
        for node_id in NODES:
            self.cluster.apply_health(node_id, healthy=True, engine="1.50.0")

    def reader(self, delay_s: Callable[[], float] = lambda: 0.001) -> FakeReader:
        """Make a reader, and count it in."""
        reader = FakeReader(self, delay_s)
        self.fence.join(reader)
        return reader

    def hear(self, reader: FakeReader, message: ToMain) -> None:
        """A message of a reader has come."""
        match message:
            case Confirmed(number=number):
                self.fence.confirmed(reader, number)
            case Drained(question=question, done=done):
                self.fence.answered(reader, question, done=done)
            case _:
                raise AssertionError(f"a fake reader says nothing like {message}")

    async def commit(self, version: int) -> None:
        """Raise the version, as `IntentRun` does: the store takes it, then the view."""
        async with self.fence.switching([MOVIES]):
            await asyncio.sleep(self.chance.uniform(0, 0.01))
            self.cluster.apply_record(record(version))
            self.cluster.apply_proof(MOVIES, NODES, version)
