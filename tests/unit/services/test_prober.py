"""What a probe tells, and what it keeps."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from miroir.core.settings import defaults
from miroir.core.topology import IndexUid, NodeId
from miroir.ports.node import NodeReply
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
        self.kept: dict[tuple[str, str], Any] = {}
        topology = SimpleNamespace(node_ids=(NodeId("n0"),))
        self.view = SimpleNamespace(
            topology=topology, healthy={"n0"}, engines={NodeId("n0"): "1.50.0"}
        )

    async def read_settings(self, _node: NodeId, _index: IndexUid) -> Any:
        return defaults()

    async def patch_settings(self, _node: NodeId, _index: IndexUid, _patch: Any) -> int:
        return 7

    async def engine(self, _node: NodeId) -> str:
        return self.now

    async def ended(self, _node: NodeId, _uid: int) -> Any:
        return SimpleNamespace(status="succeeded", error=None)

    async def expected(self, target: str, engine: str) -> Any:
        return self.kept.get((target, engine))

    async def keep_expected(self, target: str, engine: str, shown: Any) -> None:
        self.kept[target, engine] = shown

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def probed(self) -> Verdict:
        """Return what a probe of a fresh index says."""
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
        verdict = await prober.expected(None)
        home.cancel()
        return verdict


@pytest.mark.parametrize("engine", ["1.50.0", "1.51.0", "1.50.0+foreignKeys"])
def test_what_another_engine_shows_is_never_kept(engine: str) -> None:
    """A node is upgraded while its probe waits: others of its class would be wrong for ever."""
    outside = Outside(engine)
    verdict = asyncio.run(outside.probed())
    assert set(verdict.expected) == ({"1.50.0"} if engine == "1.50.0" else set())
    assert len(outside.kept) == len(verdict.expected)
