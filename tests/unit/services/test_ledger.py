"""Telling our tasks from others': every doubt makes a task somebody else's, never ours."""

import asyncio
from dataclasses import dataclass, field

import pytest

from miroir.core.swaps import Swap
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeRefused, NodeUnreachable
from miroir.ports.node import NodeReply, NodeRequest, NodeTask
from miroir.services.ledger import Ledger, Origin, concerned

pytestmark = pytest.mark.anyio
N0 = NodeId("n0")
MOVIES, BOOKS = IndexUid("movies"), IndexUid("books")
WORDS = {"stopWords": ["the", "a"]}


@dataclass
class Node:
    """
    A node that answers when it is told to.

    Attributes:
        answer: The next task uid; an error is raised; None: no answer before `release`.
        tasks: What its feed shows.
    """

    answer: int | Exception | None = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: tuple[NodeTask, ...] = ()

    async def _answered(self) -> int:
        if self.answer is None:
            await self.release.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        assert self.answer is not None
        return self.answer

    async def patch_settings(self, _node, _index, _patch):
        return await self._answered()

    async def create_index(self, _node, _index, _key):
        return await self._answered()

    async def swap_indexes(self, _node, _swaps):
        return await self._answered()

    async def forward(self, _node, _request):
        return NodeReply(202, {}, b'{"taskUid": %d}' % await self._answered())

    async def feed(self, _node, after_uid):
        if isinstance(self.answer, Exception):
            raise self.answer
        return tuple(task for task in self.tasks if task.uid > after_uid)


@pytest.fixture
def node():
    return Node()


@pytest.fixture
def ledger(node):
    return Ledger(node)


def settings(uid, details=WORDS, index_uid=MOVIES):
    return NodeTask(uid, index_uid, "settingsUpdate", "enqueued", details=details)


async def lost(ledger, node, patch=WORDS):
    node.answer = NodeUnreachable("timeout")
    with pytest.raises(NodeUnreachable):
        await ledger.patch_settings(N0, MOVIES, patch)


async def answered(ledger, node, uid, patch):
    node.answer = uid
    assert await ledger.patch_settings(N0, MOVIES, patch) == uid


async def test_a_task_whose_uid_was_answered_is_ours(ledger, node):
    """The usual case; its neighbours are not."""
    await answered(ledger, node, 7, WORDS)
    assert ledger.origin(N0, settings(7)) is Origin.OURS
    assert ledger.origin(N0, settings(8)) is Origin.FOREIGN
    assert ledger.origin(NodeId("n1"), settings(7)) is Origin.FOREIGN
    assert ledger.last(N0, MOVIES) == 7
    assert ledger.last(N0, BOOKS) == -1


async def test_nothing_is_judged_while_a_request_is_unanswered(ledger, node):
    """The answer that makes it ours may be on its way; of other indexes it says nothing."""
    node.answer = None
    asking = asyncio.ensure_future(ledger.patch_settings(N0, MOVIES, WORDS))
    await asyncio.sleep(0)
    assert ledger.origin(N0, settings(3)) is Origin.UNDECIDED
    assert ledger.origin(N0, settings(3, index_uid=BOOKS)) is Origin.FOREIGN
    node.answer = 3
    node.release.set()
    assert await asking == 3
    assert ledger.origin(N0, settings(3)) is Origin.OURS


async def test_a_lost_request_is_known_by_what_it_said(ledger, node):
    """Else every lost answer would demote the node that the broadcast is working on."""
    await lost(ledger, node)
    assert ledger.origin(N0, settings(4, {"stopWords": ["x"]})) is Origin.FOREIGN
    sorted_by_the_node = {"stopWords": ["a", "the"]}
    assert ledger.origin(N0, settings(5, sorted_by_the_node)) is Origin.OURS
    assert ledger.origin(N0, settings(5, sorted_by_the_node)) is Origin.OURS


async def test_a_lost_request_makes_one_task_only(ledger, node):
    """The second one of the same words is somebody's who undoes us with our own old settings."""
    await lost(ledger, node)
    assert ledger.origin(N0, settings(5)) is Origin.OURS
    assert ledger.origin(N0, settings(6)) is Origin.FOREIGN


async def test_a_request_that_arrives_after_its_successor_is_not_ours(ledger, node):
    """It was wanted once; now it undoes what has been committed since."""
    await lost(ledger, node)
    await answered(ledger, node, 9, {"stopWords": []})
    assert ledger.origin(N0, settings(10)) is Origin.FOREIGN
    assert ledger.origin(N0, settings(8)) is Origin.OURS


async def test_a_cancelled_request_may_have_acted(ledger, node):
    """The run was deposed; what it has sent still arrives."""
    node.answer = None
    asking = asyncio.ensure_future(ledger.patch_settings(N0, MOVIES, WORDS))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert ledger.origin(N0, settings(1)) is Origin.OURS


async def test_a_refused_request_made_nothing(ledger, node):
    """A node's no is an answer."""
    node.answer = NodeRefused(400, {"code": "bad_request", "message": "no"})
    with pytest.raises(NodeRefused):
        await ledger.patch_settings(N0, MOVIES, WORDS)
    assert ledger.origin(N0, settings(1)) is Origin.FOREIGN


async def test_masked_keys_are_compared_as_nodes_show_them(ledger, node):
    """Details carry masks; the true key is never shown."""
    embedder = {"source": "openAi", "apiKey": "sk-0123456789"}
    await lost(ledger, node, {"embedders": {"e": embedder}})
    masked = {"embedders": {"e": {**embedder, "apiKey": "skXXXX..."}}}
    assert ledger.origin(N0, settings(1, masked)) is Origin.OURS


async def test_raw_writes_are_noted_by_their_answer(ledger, node):
    """The prober sends the client's own request."""
    node.answer = 11
    await ledger.forward(N0, NodeRequest("PUT", f"/indexes/{MOVIES}/settings/stop-words"))
    assert ledger.origin(N0, settings(11)) is Origin.OURS
    node.answer = 12
    await ledger.forward(N0, NodeRequest("POST", f"/indexes/{MOVIES}/documents"))
    assert ledger.origin(N0, settings(12)) is Origin.FOREIGN


async def test_a_swap_concerns_all_its_indexes(ledger, node):
    """Somebody else's changes both; ours is told by its pairs, also when its answer was lost."""
    pairs = [{"indexes": ["movies", "books"], "rename": False}]
    task = NodeTask(2, None, "indexSwap", "enqueued", details={"swaps": pairs})
    assert concerned(task) == ("movies", "books")
    assert ledger.origin(N0, task) is Origin.FOREIGN
    node.answer = NodeUnreachable("timeout")
    with pytest.raises(NodeUnreachable):
        await ledger.swap_indexes(N0, (Swap(MOVIES, BOOKS),))
    assert ledger.origin(N0, task) is Origin.OURS
    assert ledger.last(N0, BOOKS) == 2


async def test_a_rename_concerns_both_names():
    """The old one is gone, and the new one has its documents."""
    details = {"primaryKey": None, "oldIndexUid": "movies", "newIndexUid": "films"}
    task = NodeTask(1, MOVIES, "indexUpdate", "succeeded", details=details)
    assert concerned(task) == ("movies", "films")


async def test_before_a_commit_foreign_tasks_behind_ours_are_named(ledger, node):
    """What was read back is not what will be there when they have run."""
    node.tasks = (settings(3), settings(5), settings(6, index_uid=BOOKS), settings(7))
    await answered(ledger, node, 5, WORDS)
    assert await ledger.foreign_since(MOVIES, {N0: 5}) == {N0: 7}
    assert await ledger.foreign_since(MOVIES, {N0: 7}) == {}
    node.answer = NodeUnreachable("down")
    assert await ledger.foreign_since(MOVIES, {N0: 5}) == {}


async def test_a_node_whose_list_began_anew_has_no_tasks_of_ours(ledger, node):
    """Its uids are given out a second time, to others."""
    await answered(ledger, node, 7, WORDS)
    ledger.forget(N0)
    assert ledger.origin(N0, settings(7)) is Origin.FOREIGN
