"""Bodies of writes in files beside the database: durable with their rows, never in each other."""

import asyncio
import errno
import os
import random
from contextlib import asynccontextmanager

import pytest
from tests.support.store_contract import A, new_task, part, share

from miroir.adapters import store_payloads
from miroir.adapters.store_payloads import FOLDER
from miroir.adapters.store_seal import NoSeal
from miroir.adapters.store_sqlite import open_store
from miroir.core.topology import ShardId
from miroir.errors import ConfigError, Unavailable
from miroir.ports.records import NodeTaskRecord

LARGE = 20_000


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    """Have a file be full soon."""
    monkeypatch.setattr(store_payloads, "FILE_BYTES", 3 * LARGE)


@asynccontextmanager
async def opened(directory):
    """Open a store and close it."""
    store = await open_store(directory, seal=NoSeal())
    try:
        yield store
    finally:
        await store.aclose()


def body(number, size=LARGE):
    """Return a body that tells itself from others at every place."""
    return (b"%08d" % number * (size // 8 + 1))[:size]


async def write(store, *bodies):
    """Accept a write with these parts; return its task."""
    unsent = NodeTaskRecord(0, A, ShardId(0), None, "unsent")
    task = new_task(type="documentAdditionOrUpdate")
    return await store.open_write(task, tuple(part(b) for b in bodies), (unsent,))


async def sent(store, task):
    """Every replica has the write."""
    await store.save_shares((share(task, A, "sent", node_task_uid=1),), out_of_sync={})


async def waiting(store):
    """Return task uid -> bodies that some node has yet to be sent."""
    unfinished = await store.unfinished_writes()
    return {task.uid: [p.body for p in parts] for task, parts, _ in unfinished if parts}


def files(directory):
    """Return the files of bodies."""
    return sorted((directory / FOLDER).iterdir())


def test_bodies_of_every_size_are_there_after_a_restart(tmp_path):
    """A 202 was answered for them; the nodes have yet to get them."""
    bodies = [body(n, size) for n, size in enumerate([1, 16_384, 16_385, LARGE, 9 * LARGE])]

    async def scene():
        async with opened(tmp_path) as store:
            task = await write(store, *bodies)
        async with opened(tmp_path) as store:
            assert await waiting(store) == {task.uid: bodies}

    asyncio.run(scene())


def test_files_are_used_again_and_do_not_pile_up(tmp_path):
    """A cluster that takes documents all day would fill its disk in one."""

    async def scene():
        async with opened(tmp_path) as store:
            for number in range(60):
                await sent(store, await write(store, body(number), body(number)))
        assert len(files(tmp_path)) <= 4
        assert sum(file.stat().st_size for file in files(tmp_path)) <= 4 * 5 * LARGE

    asyncio.run(scene())


@pytest.mark.parametrize("seed", range(8))
def test_no_body_is_ever_in_the_place_of_another(tmp_path, monkeypatch, seed):
    """Some wait for long, some fail, the disk is full at times, the process ends at any time."""
    chance, numbers = random.Random(seed), iter(range(1, 10_000))
    expected, tasks = {}, {}

    async def accept(store):
        bodies = [body(next(numbers), chance.choice((100, LARGE, 2 * LARGE)))]
        task = await write(store, *bodies)
        expected[task.uid], tasks[task.uid] = bodies, task

    async def finish(store):
        if tasks:
            uid = chance.choice(sorted(tasks))
            task = tasks.pop(uid)
            try:
                await sent(store, task)
                del expected[uid]
            except Unavailable:
                tasks[uid] = task

    async def fail(store):
        await write(store, body(0), None)

    async def scene():
        refused = 0
        for _ in range(6):
            async with opened(tmp_path) as store:
                assert await waiting(store) == expected
                for _ in range(12):
                    deeds = chance.choices((accept, finish, fail), (6, 5, 1), k=6)
                    with monkeypatch.context() as full:
                        if chance.random() < 0.3:
                            full.setattr(os, "fdatasync", _no_space)
                        together = (deed(store) for deed in deeds)
                        outcomes = await asyncio.gather(*together, return_exceptions=True)
                    refused += sum(isinstance(one, Unavailable) for one in outcomes)
                    wrong = {type(one) for one in outcomes} - {type(None), Unavailable, TypeError}
                    assert not wrong
                assert await waiting(store) == expected
        assert len(files(tmp_path)) > 1
        assert refused

    asyncio.run(scene())


def test_a_body_is_on_the_disk_before_its_row_is(tmp_path, monkeypatch):
    """After a power cut a row must not point to what is not there."""
    seen = []
    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (seen.append("body"), sync(file)))

    async def scene():
        async with opened(tmp_path) as store:
            await store._database._in_worker(
                lambda: store._database._connection.set_trace_callback(seen.append)
            )
            await write(store, body(1))

    asyncio.run(scene())
    assert seen.count("body") == 1
    assert seen.index("body") < seen.index("COMMIT")


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_full_disk_refuses_the_write_and_no_other(tmp_path, monkeypatch, call):
    """Nothing of it is durable, so the client may not be told that it is."""

    async def scene():
        async with opened(tmp_path) as store:
            first = await write(store, body(1))
            with monkeypatch.context() as full:
                full.setattr(os, call, _no_space)
                with pytest.raises(Unavailable, match="No space left"):
                    await write(store, body(2))
            third = await write(store, body(3))
        async with opened(tmp_path) as store:
            assert await waiting(store) == {first.uid: [body(1)], third.uid: [body(3)]}

    asyncio.run(scene())


def _no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_files_that_were_lost_are_named_at_the_start(tmp_path):
    """A copy of the database alone is not the store: better no start than silent loss."""

    async def scene():
        async with opened(tmp_path) as store:
            await write(store, body(1))
        (file,) = files(tmp_path)
        file.unlink()
        with pytest.raises(ConfigError, match=r"miroir\.payloads/1"):
            async with opened(tmp_path):
                pass

    asyncio.run(scene())


def test_a_body_that_is_not_whole_is_no_body(tmp_path):
    """Half a payload, sent on, would be documents that nobody has written."""

    async def scene():
        async with opened(tmp_path) as store:
            await write(store, body(1))
            (file,) = files(tmp_path)
            os.truncate(file, LARGE - 1)
            with pytest.raises(Unavailable, match="ends before"):
                await waiting(store)

    asyncio.run(scene())
