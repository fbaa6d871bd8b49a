"""What a probe tells, and what it keeps."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from miroir.core.settings import defaults
from miroir.core.topology import IndexUid, NodeId
from miroir.ports.node import NodeReply, NodeRequest
from miroir.services.prober import PROBE_INDEX, Prober, Verdict, said_of

MOVIES = IndexUid("movies")
REFUSED = NodeReply(400, {}, f'{{"message":"Index `{PROBE_INDEX}`: no such model"}}'.encode())


def test_a_refusal_names_the_clients_index() -> None:
    """The probe's index is an inner matter; nobody can find it in his own requests."""
    said = b'{"message":"Index `movies`: no such model"}'
    assert said_of(MOVIES, REFUSED).body == said
    told = Verdict(REFUSED).of(MOVIES).refusal
    assert told is not None
    assert (told.status, told.body) == (400, said)


def test_no_refusal_stays_none() -> None:
    """Most probes refuse nothing."""
    verdict = Verdict(expected={"1.50.0": "f"})
    assert verdict.of(MOVIES) == verdict


class Outside:
    """A node, the store and the view of a cluster that believes the node to be `1.50.0`."""

    def __init__(self, engine: str) -> None:
        self.now = engine
        self.seen: list[str] = []
        self.kept: dict[tuple[str, str], Any] = {}
        topology = SimpleNamespace(node_ids=(NodeId("n0"),))
        self.view = SimpleNamespace(
            topology=topology, healthy={"n0"}, engines={NodeId("n0"): "1.50.0"}
        )

    async def read_settings(self, _node: NodeId, _index: IndexUid) -> Any:
        return defaults()

    async def patch_settings(self, _node: NodeId, _index: IndexUid, _patch: Any) -> int:
        self.seen.append("probes")
        return 7

    async def engine(self, _node: NodeId) -> str:
        return self.now

    async def ended(self, _node: NodeId, uid: int) -> Any:
        self.seen.append(f"waits for {uid}")
        await asyncio.sleep(0)
        self.seen.append(f"{uid} has ended")
        return SimpleNamespace(status="succeeded", error=None)

    async def forward(self, _node: NodeId, request: NodeRequest) -> NodeReply:
        self.seen.append(request.path)
        return NodeReply(202, {}, b'{"taskUid":3}')

    async def expected(self, target: str, engine: str) -> Any:
        return self.kept.get((target, engine))

    async def keep_expected(self, target: str, engine: str, shown: Any) -> None:
        self.kept[target, engine] = shown

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def asked(self, ask: Callable[[Prober], Awaitable[Any]]) -> Any:
        """Return what a prober answers."""
        prober = Prober(
            control=self,
            store=self,
            cluster=self,
            watcher=self,
            clock=self,
            wait_s=5,  # type: ignore[arg-type]
        )
        home = asyncio.ensure_future(prober.run())
        await asyncio.sleep(0)
        answer = await ask(prober)
        home.cancel()
        return answer


@pytest.mark.parametrize("engine", ["1.50.0", "1.51.0", "1.50.0+foreignKeys"])
def test_what_another_engine_shows_is_never_kept(engine: str) -> None:
    """A node is upgraded while its probe waits: others of its class would be wrong for ever."""
    outside = Outside(engine)
    verdict = asyncio.run(outside.asked(lambda prober: prober.expected(None)))
    assert set(verdict.expected) == ({"1.50.0"} if engine == "1.50.0" else set())
    assert len(outside.kept) == len(verdict.expected)


def test_a_probe_waits_until_what_a_client_said_has_failed() -> None:
    """A node carries settings of one index out together: both would fail, the valid one, too."""
    outside = Outside("1.50.0")

    async def ask(prober: Prober) -> None:
        assert await prober.refusal_of_body(NodeRequest("PATCH", "/settings", b"?")) is None
        await prober.expected(None)

    asyncio.run(outside.asked(ask))
    path = f"/indexes/{PROBE_INDEX}/settings"
    assert outside.seen[:4] == [path, "waits for 3", "3 has ended", "probes"]
