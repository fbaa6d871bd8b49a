"""
A process that uses a store until it is killed: `python -m tests.support.store_victim DIRECTORY`.

Prints one line after each call that has returned, so that the test knows what must be durable.
"""

import asyncio
import sys
from pathlib import Path

from miroir.adapters.store_seal import AesSeal
from miroir.adapters.store_sqlite import open_store
from tests.support.store_contract import (
    A,
    commit_record,
    committing,
    converged,
    new_task,
    part,
    share,
    started,
)


async def live(directory: Path) -> None:
    """Write for ever."""
    store = await open_store(directory, seal=AesSeal("a secret"))
    lease = await store.take_lease("index:movies", "victim", ttl_ms=10**15, now_ms=0)
    assert lease is not None
    _say("lease", lease.epoch)
    while True:
        intent = await started(store, lease)
        _say("started", intent.intent_id)
        intent = await store.save_intent(intent, committing(), lease)
        version = await store.commit(intent, commit_record(), lease)
        _say("committed", version)
        await store.save_intent(intent, converged(version), lease)
        task = await store.open_task(new_task())
        parts = (part(), part(large_body(task.uid)))
        write = await store.open_write(new_task(), parts, (share(task, A, "unsent"),))
        _say("written", write.uid)


def large_body(number: int) -> bytes:
    """Return a body that is not kept in its row."""
    return b'[{"id":%d,"text":"%b"}]' % (number, b"%07d" % number * 10_000)


def _say(what: str, number: int) -> None:
    sys.stdout.write(f"{what} {number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1])))
