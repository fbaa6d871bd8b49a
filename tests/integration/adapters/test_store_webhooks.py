"""The store's contract: who is told of ended tasks, and what they have not been told yet."""

import asyncio
from dataclasses import replace

import pytest
from tests.support.store_contract import (
    contract,
    new_task,
)

from miroir.adapters.store_seal import AesSeal, NoSeal
from miroir.adapters.store_sqlite import DATABASE_NAME, open_store
from miroir.errors import SecretsRefused
from miroir.ports.records import Backlog, TaskQuery, Webhook

ONE = Webhook("00000000-0000-4000-8000-000000000001", "https://a/hook", {"Authorization": "Pst!"})
ALL = Backlog(count=100, chars=1 << 20)
TWO = Webhook("00000000-0000-4000-8000-000000000002", "https://b/hook")


async def told(store, webhook):
    """Return the uids of the tasks that a webhook is still to be told of."""
    return [notice.task.uid for notice in await store.notices(webhook.uuid, ALL)]


@contract
async def test_webhooks_come_back_as_they_were_put(store):
    """Headers in clear: they are sent again."""
    await store.put_webhook(TWO)
    await store.put_webhook(ONE)
    assert await store.webhooks() == (ONE, TWO)

    changed = replace(TWO, headers={"X-Key": "é"})
    await store.put_webhook(changed)
    assert await store.webhooks() == (ONE, changed)

    assert await store.drop_webhook(ONE.uuid)
    assert not await store.drop_webhook(ONE.uuid)
    assert await store.webhooks() == (changed,)


@contract
async def test_every_task_leaves_one_notice_per_webhook_when_it_ends(store):
    """Whatever ends it; and only once: a repeated end tells nobody anything."""
    await store.put_webhook(ONE)
    waiting = await store.open_task(new_task(custom_metadata="mine"))
    await store.put_webhook(TWO)
    done = await store.open_task(new_task(), status="succeeded")
    end = {"status": "failed", "details": {"n": 1}, "error": {"code": "x"}, "at_ms": 9}
    await store.finish_task(waiting.uid, **end)
    await store.finish_task(waiting.uid, **end)

    assert await told(store, ONE) == await told(store, TWO) == [done.uid, waiting.uid]
    last = (await store.notices(ONE.uuid, ALL))[-1]
    assert last.task == await store.task(waiting.uid)


@contract
async def test_nobody_is_told_of_what_ended_before(store):
    """A new webhook does not begin with the history of years."""
    await store.open_task(new_task(), status="succeeded")
    await store.put_webhook(ONE)

    assert await told(store, ONE) == []


@contract
async def test_notices_are_forgotten_in_order_for_each_webhook_alone(store):
    """One that does not answer keeps its own, and nobody else's."""
    await store.put_webhook(ONE)
    await store.put_webhook(TWO)
    for _ in range(3):
        await store.open_task(new_task(), status="succeeded")

    first, second = await store.notices(ONE.uuid, Backlog(count=2, chars=1 << 20))
    assert first.number < second.number
    await store.drop_notices(ONE.uuid, second.number)
    assert await told(store, ONE) == [2]
    assert await told(store, TWO) == [0, 1, 2]

    await store.drop_webhook(TWO.uuid)
    assert await told(store, TWO) == []
    await store.put_webhook(TWO)
    assert await told(store, TWO) == []


@contract
async def test_a_notice_outlives_its_task(store):
    """It is told as it was when it ended, also if it was deleted since."""
    await store.put_webhook(ONE)
    task = await store.open_task(new_task(), status="succeeded")
    await store.delete_tasks(TaskQuery(uids=(task.uid,)), new_task(None, type="taskDeletion"))

    assert [n.task for n in await store.notices(ONE.uuid, ALL)][:1] == [task]


@contract
async def test_notices_are_read_and_kept_within_a_limit(store):
    """Settings tasks carry whole patches: ten thousand of them are more than a disk."""
    await store.put_webhook(ONE)
    await store.put_webhook(TWO)
    for _ in range(5):
        await store.open_task(new_task(details={"x": "y" * 1000}), status="succeeded")

    def uids(notices):
        return [notice.task.uid for notice in notices]

    assert uids(await store.notices(ONE.uuid, Backlog(count=3, chars=1 << 20))) == [0, 1, 2]
    assert uids(await store.notices(ONE.uuid, Backlog(count=3, chars=3500))) == [0, 1]
    assert uids(await store.notices(ONE.uuid, Backlog(count=3, chars=1))) == [0], "never stuck"

    assert await store.trim_notices(ONE.uuid, Backlog(count=5, chars=1 << 20)) == 0
    assert await store.trim_notices(ONE.uuid, Backlog(count=4, chars=1 << 20)) == 1
    assert await told(store, ONE) == [1, 2, 3, 4]
    assert await store.trim_notices(ONE.uuid, Backlog(count=4, chars=3500)) == 2
    assert await told(store, ONE) == [3, 4]
    assert await store.trim_notices(ONE.uuid, Backlog(count=4, chars=1)) == 1
    assert await told(store, ONE) == [4], "the newest is told, however long it is"
    assert await told(store, TWO) == [0, 1, 2, 3, 4]


def test_no_secret_of_a_webhook_is_on_the_disk(tmp_path):
    """The token of a receiver is as good as a password."""

    async def scene():
        store = await open_store(tmp_path, seal=AesSeal("a secret"))
        await store.put_webhook(replace(ONE, url="https://a/hook?token=Whisper"))
        await store.open_task(new_task(), status="succeeded")
        await store.aclose()

    asyncio.run(scene())
    kept = b"".join(p.read_bytes() for p in tmp_path.iterdir() if DATABASE_NAME in p.name)
    assert b"Pst!" not in kept
    assert b"Whisper" not in kept


def test_headers_are_refused_where_nothing_can_seal_them(tmp_path):
    """A webhook without headers is taken: it holds no secret that we know of."""

    async def scene():
        store = await open_store(tmp_path, seal=NoSeal())
        with pytest.raises(SecretsRefused):
            await store.put_webhook(ONE)
        await store.put_webhook(TWO)
        assert await store.webhooks() == (TWO,)
        await store.aclose()

    asyncio.run(scene())
