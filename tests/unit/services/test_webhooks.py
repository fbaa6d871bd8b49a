"""The list of webhooks, and who is told how long: over the store in memory, at a virtual time."""

import asyncio

import pytest
from tests.support.memory_store import MemoryStore
from tests.support.store_contract import FixedClock, new_task

from miroir.core.webhooks import NIL, Definition
from miroir.errors import BadParameter, WebhookNotFound
from miroir.ports.records import Backlog, Webhook
from miroir.services.fence import Fence
from miroir.services.herald import Herald, HeraldTools
from miroir.services.running import Running
from miroir.services.webhooks import Webhooks

CONFIGURED = Definition("https://a/", {"Authorization": "Bearer 0123456789abcdef"})
ALL = Backlog(count=20_000, chars=1 << 30)
DAY_MS = 24 * 3600 * 1000


def webhooks(store, configured=None):
    return Webhooks(store=store, configured=configured, changed=lambda: None)


async def made(count, store):
    keeper = webhooks(store)
    return [await keeper.create({"url": f"https://a/{n}"}) for n in range(count)]


def test_the_one_of_the_configuration_comes_and_goes_with_it():
    """It is Meilisearch's way: told like any other, shown under zeros, changed nowhere else."""

    async def scene():
        store = MemoryStore(FixedClock())
        with_it, without = webhooks(store, CONFIGURED), webhooks(store)
        await with_it.begin()
        shown = await with_it.get(NIL)
        assert (shown["isEditable"], shown["url"]) == (False, "https://a/")
        for change in (with_it.change(NIL, {"url": "https://b/"}), with_it.delete(NIL)):
            with pytest.raises(BadParameter, match="is immutable"):
                await change
        await without.begin()
        with pytest.raises(WebhookNotFound):
            await without.get(NIL)

    asyncio.run(scene())


def test_there_are_twenty_at_most_and_the_configured_one_does_not_count():
    """As on one node; the twenty-first would be told by another server."""

    async def scene():
        store = MemoryStore(FixedClock())
        await webhooks(store, CONFIGURED).begin()
        views = await made(20, store)
        with pytest.raises(BadParameter) as refused:
            await made(1, store)
        assert refused.value.code == "invalid_webhooks"
        await webhooks(store).delete(views[0]["uuid"])
        await made(1, store)
        assert len(await webhooks(store).all()) == 21

    asyncio.run(scene())


def herald_of(store, clock, receiver):
    """Return a herald of a process without readers."""
    settled = Fence(running=Running(), clock=clock).synced
    return Herald(HeraldTools(store, clock, receiver, lambda task: {"uid": task.uid}, settled))


class Clock(FixedClock):
    """Lets others have their turn while it jumps."""

    async def sleep(self, duration_s):
        """See `Clock.sleep`."""
        await super().sleep(duration_s)
        await asyncio.sleep(0)


class Receiver:
    """Answers each post by the next word, then with success; ends the scene when it is told."""

    def __init__(self, *faults):
        self.faults = list(faults)
        self.posts = []
        self.done = asyncio.Event()

    async def post(self, url, headers, body):
        """See `Receivers.post`."""
        self.posts.append((url, headers, body))
        if self.faults:
            return self.faults.pop(0)
        self.done.set()
        return None


def told(clock, faults, ended_at_ms):
    """Return who was posted what, and the notices that are left when one post has succeeded."""

    async def scene():
        store, receiver = MemoryStore(clock), Receiver(*faults)
        await store.put_webhook(Webhook("one", "https://a/", {"X": "y"}))
        for at_ms in ended_at_ms:
            await store.open_task(new_task(at_ms=at_ms), status="succeeded")
        herald = herald_of(store, clock, receiver)
        herald.look()
        running = asyncio.create_task(herald.run())
        await receiver.done.wait()
        await asyncio.sleep(0)
        running.cancel()
        return receiver.posts, [n.task.uid for n in await store.notices("one", ALL)]

    return asyncio.run(scene())


def test_headers_of_the_webhook_come_with_ours():
    """The receiver has to know that it is compressed, and who sends it."""
    ((url, headers, _),), left = told(Clock(), (), (1,))

    assert url == "https://a/"
    assert headers == {
        "Content-Type": "application/x-ndjson",
        "Content-Encoding": "gzip",
        "X": "y",
    }
    assert left == []


def test_what_is_older_than_a_day_is_not_tried_for_ever():
    """A receiver that is gone for good must not fill the disk."""
    clock = Clock(now_ms=2 * DAY_MS)

    posts, left = told(clock, ("gone",), (DAY_MS - 1, 2 * DAY_MS))

    first, second = (body for _, _, body in posts)
    assert len(first) > len(second), "the old task was told once, and then forgotten"
    assert left == []


class Silent:
    """Takes nothing, for as many posts as are asked for."""

    def __init__(self, posts):
        self.left = posts
        self.done = asyncio.Event()

    async def post(self, url, headers, body):
        """See `Receivers.post`."""
        self.left -= 1
        if self.left == 0:
            self.done.set()
        return "gone"


def test_of_more_than_can_be_kept_the_newest_are():
    """A thousand tasks a minute, and nobody there for days: that must not fill the disk either."""

    async def scene():
        store, silent = MemoryStore(Clock()), Silent(posts=2)
        await store.put_webhook(Webhook("one", "https://a/"))
        for at_ms in range(10_003):
            await store.open_task(new_task(at_ms=at_ms), status="succeeded")
        herald = herald_of(store, Clock(), silent)
        herald.look()
        running = asyncio.create_task(herald.run())
        await silent.done.wait()
        running.cancel()
        kept = [n.task.uid for n in await store.notices("one", ALL)]
        assert (kept[0], kept[-1], len(kept)) == (3, 10_002, 10_000)

    asyncio.run(scene())
