"""What only the SQLite store promises: survival, one process, sealed files, clear refusals."""

import asyncio
import hashlib
import hmac
import signal
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from tests.support.store_contract import (
    MOVIES,
    commit_once,
    commit_record,
    lead,
    new_intent,
    new_task,
    part,
    started,
)
from tests.support.store_victim import large_body

from miroir.adapters.store_schema import MIGRATIONS
from miroir.adapters.store_seal import AesSeal, NoSeal
from miroir.adapters.store_sqlite import DATABASE_NAME, LOCK_NAME, open_store
from miroir.errors import ConfigError, RequestRefused, SecretsRefused, Unavailable
from miroir.ports.records import IntentKind, Lease

SECRET = "planted-secret-7f3a"  # Looked for in every byte that reaches the disk.
WITH_SECRET = {"embedders": {"default": {"source": "openAi", "apiKey": SECRET}}}
SEAL = AesSeal("a secret")


@asynccontextmanager
async def opened(directory, seal=SEAL):
    """Open a store and close it."""
    store = await open_store(directory, seal=seal)
    try:
        yield store
    finally:
        await store.aclose()


@contextmanager
def victim(directory, lines):
    """Run another process on the directory until it has said `lines` lines; yield them."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.store_victim", str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    try:
        yield child, [child.stdout.readline().split() for _ in range(lines)]
    finally:
        child.kill()
        child.stdout.close()
        child.wait()


def bytes_of(directory):
    """Return everything that the store has written to the disk."""
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


# ---- survival


@pytest.mark.slow
@pytest.mark.parametrize("lines", [2, 3, 10, 41])
def test_what_was_answered_survives_kill_9(tmp_path, lines):
    """The client was told 202, the nodes were sent the patch: neither may be forgotten."""
    with victim(tmp_path, lines) as (child, said):
        child.send_signal(signal.SIGKILL)
        said += [line.split() for line in child.stdout.read().splitlines(keepends=True)]

    async def look():
        async with opened(tmp_path) as store:
            index, history = await store.index(MOVIES), await store.history(MOVIES)
            intents = await store.recent_intents(10_000)
            writes = await store.unfinished_writes()
        return index, history, intents, writes

    index, history, intents, writes = asyncio.run(look())
    last = {what: int(number) for what, number in said}
    assert max(intent.intent_id for intent in intents) >= last["started"]
    version = index.version if index else 0
    assert version >= last.get("committed", 0)
    assert [entry.version for entry in history] == list(range(version, 0, -1))  # Whole or not.
    assert sum(intent.committed_version is not None for intent in intents) == version
    assert max((task.uid for task, _, _ in writes), default=-1) >= last.get("written", -1)
    for task, (small, large), _ in writes:
        assert (small.body, large.body) == (part().body, large_body(task.uid - 1))


@pytest.mark.slow
def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path):
    """Two processes on one file would each believe to lead; the message says what to do."""
    with victim(tmp_path, 2) as (child, _):

        async def try_to_open():
            with pytest.raises(ConfigError, match=LOCK_NAME) as refused:
                await open_store(tmp_path, seal=SEAL)
            return str(refused.value)

        message = asyncio.run(try_to_open())
        assert str(child.pid) in message
        assert "data_dir" in message

    async def take_over():
        async with opened(tmp_path) as store:
            return await store.take_lease("index:movies", "successor", ttl_ms=10, now_ms=1)

    assert asyncio.run(take_over()) == Lease("index:movies", "successor", 2)


def test_the_same_process_cannot_open_a_directory_twice(tmp_path):
    """Two stores in one process would hold two views of who leads."""

    async def scene():
        async with opened(tmp_path):
            with pytest.raises(ConfigError, match="in use"):
                await open_store(tmp_path, seal=SEAL)
        async with opened(tmp_path) as store:
            assert await store.fact("nothing") is None

    asyncio.run(scene())


def test_a_restart_finds_everything_and_goes_on_counting(tmp_path):
    """Versions, proofs and uids are promises to clients that outlive any process."""

    async def scene():
        async with opened(tmp_path) as store:
            lease = await lead(store)
            await commit_once(store, lease)
            before = (await store.indexes(), await store.node_versions(), await store.task(0))
        async with opened(tmp_path) as store:
            found = (await store.indexes(), await store.node_versions(), await store.task(0))
            assert found == before
            assert (await store.open_task(new_task())).uid == 1
            again = await store.take_lease(lease.scope, lease.holder, ttl_ms=9, now_ms=0)
            assert again.epoch == lease.epoch + 1  # Even of the same name: it is another process.

    asyncio.run(scene())


def test_a_cancelled_call_leaves_no_half_of_a_transaction(tmp_path):
    """A request that goes away in the middle of a commit must not tear it apart."""

    async def scene():
        async with opened(tmp_path) as store:
            lease = await lead(store)
            intent = await started(store, lease)
            call = asyncio.ensure_future(store.commit(intent, commit_record(), lease))
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            index, entries = await store.index(MOVIES), await store.history(MOVIES)
            assert ([index.version] if index else []) == [entry.version for entry in entries]
            assert await store.commit(intent, commit_record(), lease) == 1

    asyncio.run(scene())


def test_a_failed_transaction_changes_nothing(tmp_path):
    """Half a commit would be a version without proof, or a proof without version."""

    async def scene():
        async with opened(tmp_path) as store:
            lease = await lead(store)
            intent = await started(store, lease)
            before = bytes_of_tables(tmp_path)
            unstorable = commit_record(task_details={"x": object()})  # Fails at the very end.
            with pytest.raises(TypeError):
                await store.commit(intent, unstorable, lease)
            assert bytes_of_tables(tmp_path) == before
            assert await store.commit(intent, commit_record(), lease) == 1

    asyncio.run(scene())


def bytes_of_tables(directory):
    """Return every row of the database as another reader sees it."""
    connection = sqlite3.connect(directory / DATABASE_NAME)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_a_full_disk_is_an_answer_and_not_a_crash(tmp_path):
    """The caller answers 503 and goes on; what was there before is still there."""

    async def scene():
        async with opened(tmp_path) as store:
            await store.set_fact("small", "fits")
            await store._database._in_worker(
                lambda: store._database._connection.execute("PRAGMA max_page_count = 1")
            )
            with pytest.raises(Unavailable, match="full"):
                await store.set_fact("large", "x" * 10**7)
            assert await store.fact("small") == "fits"
            assert await store.fact("large") is None

    asyncio.run(scene())


def test_transactions_that_come_together_are_committed_together_and_fail_alone(tmp_path):
    """What one caller did wrong is nobody else's loss, and what failed has left nothing."""
    statements = []

    async def scene():
        async with opened(tmp_path) as store:
            await store._database._in_worker(
                lambda: store._database._connection.set_trace_callback(statements.append)
            )
            lease = await lead(store)
            intent = await started(store, lease)
            unstorable = commit_record(task_details={"x": object()})  # Fails at the very end.
            statements.clear()
            outcomes = await asyncio.gather(
                *(store.set_fact(f"before {i}", "x") for i in range(20)),
                store.commit(intent, unstorable, lease),
                store.set_fact("before 3", "y"),
                store.fact("before 3"),
                return_exceptions=True,
            )
            assert statements.count("COMMIT") == 2, "the first, and all that came meanwhile"
            assert [type(one) for one in outcomes if one is not None] == [TypeError, str]
            assert outcomes[-1] == "y", "in their order"
            index = await store.index(MOVIES)
            assert index is None or index.version == 0
            assert await store.commit(intent, commit_record(), lease) == 1

    asyncio.run(scene())


def test_a_disk_that_is_full_for_one_of_many_is_told_to_whom_it_concerns(tmp_path):
    """Nobody may be told that what he did is durable when it was rolled back with the rest."""

    async def scene():
        async with opened(tmp_path) as store:
            await store.set_fact("first", "x")
            await store._database._in_worker(
                lambda: store._database._connection.execute("PRAGMA max_page_count = 1")
            )
            names = ["a", "b", "large", "c"]
            outcomes = await asyncio.gather(
                *(store.set_fact(n, "x" * 10**7 if n == "large" else "x") for n in names),
                return_exceptions=True,
            )
            assert isinstance(outcomes[2], Unavailable)
            for name, outcome in zip(names, outcomes, strict=True):
                assert await store.fact(name) == (None if outcome else "x"), name

    asyncio.run(scene())


def test_what_was_cancelled_before_its_turn_is_not_done(tmp_path):
    """As before its connection was lost: a client that is gone has not asked."""

    async def scene():
        async with opened(tmp_path) as store:
            calls = [asyncio.ensure_future(store.set_fact(name, "x")) for name in "abc"]
            await asyncio.sleep(0)
            calls[1].cancel()
            await asyncio.wait(calls)
            assert [await store.fact(name) for name in "abc"] == ["x", None, "x"]

    asyncio.run(scene())


def test_closing_waits_for_what_was_asked_before(tmp_path):
    """The last write of a shutdown is one that somebody was told of."""

    async def scene():
        async with opened(tmp_path) as store:
            asked = [asyncio.ensure_future(store.set_fact(str(n), "x")) for n in range(200)]
            await asyncio.sleep(0)
        assert all(one.done() for one in asked)
        async with opened(tmp_path) as store:
            assert [n for n in range(200) if await store.fact(str(n)) is None] == []

    asyncio.run(scene())


# ---- refusals at the door


def test_a_store_of_a_newer_release_is_refused(tmp_path):
    """An old release that writes into a newer schema would destroy what it does not know."""

    async def scene():
        async with opened(tmp_path):
            pass
        connection = sqlite3.connect(tmp_path / DATABASE_NAME)
        connection.execute(
            "INSERT INTO schema_version (version) VALUES (?)", (len(MIGRATIONS) + 1,)
        )
        connection.commit()
        connection.close()
        with pytest.raises(ConfigError, match=f"{DATABASE_NAME}.*newer release"):
            await open_store(tmp_path, seal=SEAL)

    asyncio.run(scene())


def test_what_is_no_database_is_left_alone(tmp_path):
    """A wrong path must not cost somebody a file."""
    path = tmp_path / DATABASE_NAME
    path.write_bytes(b"somebody's letters, certainly no database" * 100)

    async def scene():
        with pytest.raises(ConfigError, match=str(path)):
            await open_store(tmp_path, seal=SEAL)

    asyncio.run(scene())
    assert path.read_bytes().startswith(b"somebody's letters")


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    """The operator sees which path is meant, not a stack."""
    (tmp_path / "file").write_text("")

    async def scene():
        with pytest.raises(ConfigError, match="file/data"):
            await open_store(tmp_path / "file" / "data", seal=SEAL)

    asyncio.run(scene())


@pytest.mark.parametrize("other", [AesSeal("another secret"), NoSeal()], ids=["wrong", "none"])
def test_another_key_than_ever_is_refused_at_the_door(tmp_path, other):
    """Found out at the first read it would be a change half carried out; and it names the ids."""

    async def scene():
        async with opened(tmp_path):
            pass
        with pytest.raises(ConfigError, match="MIROIR_SECRET_KEY") as refused:
            await open_store(tmp_path, seal=other)
        assert SEAL.key_id in str(refused.value)
        assert "another secret" not in str(refused.value)
        async with opened(tmp_path) as store:  # And nothing was spoilt by the attempt.
            assert await store.indexes() == ()

    asyncio.run(scene())


def test_a_store_without_a_key_may_get_one(tmp_path):
    """The first embedder comes after months; what was written before stays readable."""

    async def scene():
        async with opened(tmp_path, NoSeal()) as store:
            await commit_once(store, await lead(store))
        async with opened(tmp_path, SEAL) as store:
            assert (await store.index(MOVIES)).settings == commit_record().settings
            await commit_once(store, await lead(store), commit_record(settings=WITH_SECRET))
        with pytest.raises(ConfigError, match="no secret is configured"):
            await open_store(tmp_path, seal=NoSeal())

    asyncio.run(scene())


# ---- secrets


def test_no_secret_is_in_the_files(tmp_path):
    """Whoever gets the file, a backup or the journal gets no key of anybody's account."""

    async def scene():
        async with opened(tmp_path) as store:
            lease = await lead(store)
            wanted = new_intent(patch=WITH_SECRET, target=WITH_SECRET, undo=WITH_SECRET)
            intent = await started(store, lease, wanted)
            await store.keep_expected("hash", "1.50.0", WITH_SECRET)
            await store.commit(intent, commit_record(settings=WITH_SECRET), lease)
            assert (await store.index(MOVIES)).settings == WITH_SECRET
            assert await store.expected("hash", "1.50.0") == WITH_SECRET
            found = await store.intent(intent.intent_id)
            assert (found.patch, found.target, found.undo) == (WITH_SECRET,) * 3
            open_bytes = bytes_of(tmp_path)  # The journal too, before it is folded in.
        for written in (open_bytes, bytes_of(tmp_path)):
            assert SECRET.encode() not in written
            assert b"settingsUpdate" in written  # The search would have found it.

    asyncio.run(scene())


@pytest.mark.parametrize(
    "settings",
    [
        WITH_SECRET,
        {"embedders": {"e": {"source": "rest", "headers": {"Authorization": SECRET}}}},
        {"embedders": {"e": {"source": "composite", "searchEmbedder": {"apiKey": SECRET}}}},
    ],
)
def test_without_a_key_secrets_are_refused_before_they_are_written(tmp_path, settings):
    """Better no embedder than a key in clear on a disk that nobody thinks of."""

    async def scene():
        async with opened(tmp_path, NoSeal()) as store:
            for place in ("patch", "target", "undo"):
                with pytest.raises(SecretsRefused, match="MIROIR_SECRET_KEY") as refused:
                    await store.open_intent(new_intent(**{place: settings}))
                assert SECRET not in str(refused.value)
                assert isinstance(refused.value, RequestRefused)
            assert await store.recent_intents(1) == ()
        assert SECRET.encode() not in bytes_of(tmp_path)

    asyncio.run(scene())


def test_without_a_key_settings_without_secrets_are_kept(tmp_path):
    """Most indexes have no embedder with a key, and no operator should need one for them."""
    plain = {
        "embedders": {"e": {"source": "huggingFace", "apiKey": None, "headers": {}}, "gone": None}
    }

    async def scene():
        async with opened(tmp_path, NoSeal()) as store:
            opened_intent = await store.open_intent(new_intent(target=plain))
            assert (await store.intent(opened_intent.intent_id)).target == plain

    asyncio.run(scene())


def test_equal_settings_are_sealed_differently_each_time():
    """Equal bytes would tell which indexes share a key."""
    assert SEAL.seal("x", WITH_SECRET) != SEAL.seal("x", WITH_SECRET)


def test_a_sealed_value_opens_only_in_its_own_column_and_undamaged():
    """Who can write to the file must not be able to make one index's settings another's undo."""
    sealed = SEAL.seal("intent.target", WITH_SECRET)

    assert SEAL.open("intent.target", sealed) == WITH_SECRET
    with pytest.raises(ConfigError, match=r"intent\.undo"):
        SEAL.open("intent.undo", sealed)
    with pytest.raises(ConfigError):
        SEAL.open("intent.target", sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(ConfigError):
        AesSeal("other").open("intent.target", sealed)
    with pytest.raises(ConfigError):
        NoSeal().open("intent.target", sealed)


def test_key_and_key_id_come_from_the_secret_by_hkdf():
    """The id is stored in clear: fixed here by an independent computation (RFC 5869, stdlib)."""

    def hkdf(secret, info, length):
        pseudorandom = hmac.new(bytes(32), secret, hashlib.sha256).digest()
        return hmac.new(pseudorandom, info + b"\x01", hashlib.sha256).digest()[:length]

    assert AesSeal("pw").key_id == hkdf(b"pw", b"miroir store: key id", 8).hex()
    assert "pw" not in repr(AesSeal("pw"))


def test_the_files_are_for_their_owner_only(tmp_path):
    """Documents on their way are not sealed."""

    async def scene():
        async with opened(tmp_path / "new") as store:
            await store.set_fact("a", "b")
            modes = {p.name: oct(p.stat().st_mode & 0o077) for p in (tmp_path / "new").iterdir()}
            assert set(modes.values()) == {"0o0"}, modes
            assert (tmp_path / "new").stat().st_mode & 0o077 == 0

    asyncio.run(scene())


def test_the_event_loop_goes_on_while_the_store_writes(tmp_path):
    """Searches are answered by the same loop; none may wait for a disk."""

    async def scene():
        async with opened(tmp_path) as store:
            calls = [store.open_intent(new_intent(kind=IntentKind.REPAIR)) for _ in range(20)]
            pending = asyncio.gather(*calls)
            turns = 0
            while not pending.done():
                await asyncio.sleep(0)
                turns += 1
            assert turns > len(calls)
            assert len({intent.intent_id for intent in await pending}) == len(calls)

    asyncio.run(scene())
