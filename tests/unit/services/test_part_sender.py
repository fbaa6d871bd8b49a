"""One part on its way to the replicas of its shard."""

import asyncio
from types import SimpleNamespace

import orjson
from tests.support.virtual_loop import run_virtual

from miroir.core.topology import IndexUid, ShardId
from miroir.errors import NodeUnreachable
from miroir.ports.node import NodeReply
from miroir.ports.records import WritePart
from miroir.services.arrivals import Arrivals
from miroir.services.part_sender import PartSender, Sending, must_not_repeat
from miroir.services.strays import Tag

ADD = WritePart(
    ShardId(0), "POST", "/indexes/m/documents?primaryKey=id", "application/json", b"[]"
)
EDIT = WritePart(ShardId(0), "POST", "/indexes/m/documents/edit", "application/json", b"{}")
TAKEN = NodeReply(202, {}, b'{"taskUid": 7}')


class Nodes:
    """A transport: each node answers after its seconds; None for never."""

    def __init__(self, **delays):
        self.delays = delays
        self.sent = []

    def send(self, node_id, request, *, timeout_s):
        self.sent.append((node_id, request))
        return self._answer(node_id, timeout_s)

    async def _answer(self, node_id, timeout_s):
        delay_s = self.delays[node_id]
        await asyncio.sleep(timeout_s if delay_s is None else delay_s)
        if delay_s is None:
            raise NodeUnreachable(f"{node_id}: timeout")
        return TAKEN


class Suspects(list):
    suspect = list.append


def sender(nodes, *, healthy, engines=None, found=None):
    known = engines if engines is not None else dict.fromkeys(nodes.delays, "1.50.0")
    view = SimpleNamespace(healthy=frozenset(healthy), engines=known)

    async def find(node_id, index_uid, tag):
        answer = (found or {}).get(node_id)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return PartSender(
        transport=nodes,
        cluster=SimpleNamespace(view=view),
        health=Suspects(),
        strays=SimpleNamespace(find=find),
        timeout_s=60.0,
    )


def sending(part, *, again=False):
    return Sending(IndexUid("m"), part, Tag(5, ShardId(0)), Arrivals(), again=again)


def test_a_node_that_is_found_down_is_not_waited_for_once_a_sibling_has_the_part():
    """Every write behind this one waits, too."""

    async def main(loop):
        nodes = Nodes(a=0.1, b=None)
        one = sending(ADD)

        replies = await sender(nodes, healthy={"a"}).to_all(one, ["a", "b"])

        assert replies == {"a": TAKEN, "b": None}
        assert loop.time() <= 2
        assert one.arrivals.least([0], ()) == 1

    run_virtual(main)


def test_a_node_that_only_works_hard_is_waited_for():
    """It answers its health check: to be brought up from a sibling would cost it more."""

    async def main(loop):
        nodes = Nodes(a=0.1, b=40.0)
        replies = await sender(nodes, healthy={"a", "b"}).to_all(sending(ADD), ["a", "b"])
        assert replies == {"a": TAKEN, "b": TAKEN}

    run_virtual(main)


def test_the_only_one_that_may_have_the_part_is_waited_for_though_it_is_down():
    """Given up, nobody would have it."""

    async def main(loop):
        nodes = Nodes(a=None, b=30.0)
        replies = await sender(nodes, healthy=()).to_all(sending(ADD), ["a", "b"])
        assert replies == {"a": None, "b": TAKEN}

    run_virtual(main)


def test_an_edit_is_not_sent_again_to_a_node_that_has_it():
    """It would count twice. Any other part does no harm, and nobody looks for it."""

    async def main(loop):
        nodes = Nodes(a=0.1, b=0.1)
        part = sending(EDIT, again=True)
        found = {"a": 33}
        replies = await sender(nodes, healthy={"a", "b"}, found=found).to_all(part, ["a", "b"])
        assert orjson.loads(replies["a"].body) == {"taskUid": 33}
        assert replies["b"] == TAKEN
        assert [node_id for node_id, _ in nodes.sent] == ["b"]
        assert part.arrivals.least([0], ()) == 2

        again = sending(ADD, again=True)
        await sender(nodes, healthy={"a", "b"}, found=found).to_all(again, ["a"])
        assert [node_id for node_id, _ in nodes.sent] == ["b", "a"]

    run_virtual(main)


def test_an_edit_is_not_sent_to_a_node_that_does_not_tell_or_is_not_known():
    """Whoever cannot be asked may have it; whoever was not heard of may keep tags."""

    async def main(loop):
        nodes = Nodes(a=0.1, b=0.1, c=0.1)
        service = sender(
            nodes,
            healthy={"a", "b", "c"},
            engines={"a": "1.50.0", "b": "1.50.0"},
            found={"a": NodeUnreachable("a: reset")},
        )
        replies = await service.to_all(sending(EDIT, again=True), ["a", "b", "c"])
        assert replies == {"a": None, "b": TAKEN, "c": None}
        assert [node_id for node_id, _ in nodes.sent] == ["b"]

    run_virtual(main)


def test_parts_are_sent_with_their_tag_and_outlast_a_failed_health_check():
    """A tag is what a late one is recognized by; compactions have no such parameter."""

    async def main(loop):
        nodes = Nodes(a=0.1)
        for part in (ADD, EDIT, WritePart(ShardId(0), "POST", "/indexes/m/compact", None, b"")):
            await sender(nodes, healthy={"a"}).to_all(sending(part), ["a"])
        paths = [request.path for _, request in nodes.sent]
        assert paths == [
            "/indexes/m/documents?primaryKey=id&customMetadata=miroir%3A5%3A0",
            "/indexes/m/documents/edit?customMetadata=miroir%3A5%3A0",
            "/indexes/m/compact",
        ]
        assert all(request.lasting for _, request in nodes.sent)

    run_virtual(main)


def test_only_edits_make_a_difference_when_they_are_repeated():
    """Whatever the index is called."""
    index = WritePart(ShardId(0), "POST", "/indexes/edit/documents?primaryKey=edit", None, b"")
    assert must_not_repeat(EDIT)
    assert not must_not_repeat(ADD)
    assert not must_not_repeat(index)
