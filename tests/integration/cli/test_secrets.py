"""`miroir secrets rekey`: all or nothing, offline, and nobody is told a secret."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.store_contract import (
    MOVIES,
    commit_record,
    committing,
    converged,
    lead,
    new_intent,
    started,
)
from typer.testing import CliRunner

from miroir.adapters.store_rekey import SEALED, rekey_store
from miroir.adapters.store_seal import AesSeal, NoSeal
from miroir.adapters.store_sqlite import DATABASE_NAME, open_store
from miroir.cli import app
from miroir.errors import ConfigError
from miroir.ports.records import Webhook

PLANTED = "sk-planted-90aa"
OLD, NEW, MASTER = "the old secret", "the new secret", "a master of keys"
WITH_SECRET = {"embedders": {"default": {"source": "openAi", "apiKey": PLANTED}}}


@asynccontextmanager
async def opened(directory, secret):
    seal = AesSeal(secret) if secret else NoSeal()
    store = await open_store(directory, seal=seal)
    try:
        yield store
    finally:
        await store.aclose()


def filled(directory, secret=OLD, settings=WITH_SECRET):
    """Write a store with a value in every sealed column; return what can be read of it."""

    async def scene():
        async with opened(directory, secret) as store:
            lease = await lead(store)
            wanted = new_intent(patch=settings, target=settings, undo=settings)
            intent = await started(store, lease, wanted)
            intent = await store.save_intent(intent, committing(), lease)
            version = await store.commit(intent, commit_record(settings=settings), lease)
            await store.save_intent(intent, converged(version), lease)
            await store.keep_expected("hash", "1.50.0", settings)
            headers = {"Authorization": PLANTED} if settings is WITH_SECRET else {}
            await store.put_webhook(Webhook("uuid", "https://a/hook", headers))

    asyncio.run(scene())
    return read(directory, secret)


def read(directory, secret):
    """Return everything that was sealed, opened."""

    async def scene():
        async with opened(directory, secret) as store:
            (intent,) = await store.recent_intents(2)
            return {
                "index": (await store.index(MOVIES)).settings,
                "history": await store.settings_of(MOVIES, 1),
                "expected": await store.expected("hash", "1.50.0"),
                "intent": (intent.patch, intent.target, intent.undo),
                "webhooks": await store.webhooks(),
            }

    return asyncio.run(scene())


def sealed(directory):
    """Return the bytes of every sealed value, as they stand in the file."""
    connection = sqlite3.connect(directory / DATABASE_NAME)
    values = {
        (table, column): [row[0] for row in connection.execute(f"SELECT {column} FROM {table}")]
        for table, _, columns in SEALED
        for column, _ in columns
    }
    connection.close()
    return values


@pytest.fixture
def rekey(tmp_path, monkeypatch):
    """Run the command on a data directory, with these variables."""
    config = tmp_path / "miroir.yaml"
    config.write_text(
        "data_dir: data\ntopology: {shards: 1, nodes: [{name: n0, url: 'http://127.0.0.1:1'}]}\n"
    )

    def run(**variables):
        for name in ("MIROIR_SECRET_KEY", "MIROIR_SECRET_KEY_OLD", "MIROIR_MASTER_KEY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(f"MIROIR_{name.upper()}", value)
        return CliRunner().invoke(app, ["secrets", "rekey", "--config", str(config)])

    return run


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def assert_says_no_secret(result):
    said = f"{result.output} {result.exception}"
    assert not [secret for secret in (OLD, NEW, MASTER, PLANTED) if secret in said]


def test_everything_opens_under_the_new_secret_and_nothing_under_the_old(data, rekey):
    """Who has left the company has seen the old one."""
    before, was = filled(data), sealed(data)

    result = rekey(secret_key=NEW, secret_key_old=OLD)

    assert result.exit_code == 0, result.exception
    assert AesSeal(NEW).key_id in result.output
    assert_says_no_secret(result)
    assert read(data, NEW) == before
    with pytest.raises(ConfigError, match="MIROIR_SECRET_KEY"):
        read(data, OLD)
    everything = b"".join(path.read_bytes() for path in data.iterdir())
    for place, values in was.items():
        assert values, f"nothing was sealed in {place}: the test sees nothing there"
        assert not [value for value in values if value in everything], place


def test_nothing_sealed_under_the_old_secret_is_left_in_free_pages(data, rekey):
    """A database keeps what was replaced until it needs the room: years of secrets of others."""
    large = {"synonyms": {f"word-{n}": [f"meaning-{n}"] for n in range(3_000)}, **WITH_SECRET}
    filled(data, settings=large)
    (blob,) = sealed(data)["index_record", "settings"]
    pieces = [blob[at : at + 200] for at in range(0, len(blob) - 200, 1_000)]
    connection = sqlite3.connect(data / DATABASE_NAME)
    connection.execute("PRAGMA secure_delete = OFF")  # As most builds of SQLite have it.
    small = AesSeal(OLD).seal("index_record.settings", {})
    connection.execute("UPDATE index_record SET settings = ?", (small,))
    connection.commit()
    connection.close()
    everything = (data / DATABASE_NAME).read_bytes()
    assert [piece for piece in pieces if piece in everything], "nothing is left over: no test"

    assert rekey(secret_key=NEW, secret_key_old=OLD).exit_code == 0

    everything = b"".join(path.read_bytes() for path in data.iterdir())
    assert not [piece for piece in pieces if piece in everything]


def test_every_column_that_holds_settings_is_known(data):
    """One that is left out could never be opened again."""
    filled(data)
    connection = sqlite3.connect(data / DATABASE_NAME)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema")]
    blobs = {
        (table, column[1])
        for table in tables
        for column in connection.execute(f"PRAGMA table_info({table})")
        if column[2] == "BLOB"
    }
    connection.close()
    documents = {("write_part", "body")}  # Not settings: never sealed.
    assert blobs - documents == {(t, column) for t, _, columns in SEALED for column, _ in columns}


def test_the_master_key_is_the_former_secret_where_a_secret_key_is_new(data, rekey):
    """That is how most stores begin, and how they grow up."""
    before = filled(data, MASTER)

    result = rekey(secret_key=NEW, master_key=MASTER)

    assert result.exit_code == 0, result.exception
    assert read(data, NEW) == before


def test_a_new_master_key_is_taken_with_the_old_one_given(data, rekey):
    """Master keys are rotated, too, and seal where there is no secret key."""
    before = filled(data, MASTER)

    assert rekey(master_key=NEW, secret_key_old=MASTER).exit_code == 0
    assert read(data, NEW) == before


@pytest.mark.parametrize("former", [{"secret_key_old": "wrong"}, {"master_key": "wrong"}, {}])
def test_a_wrong_old_secret_is_refused_by_its_id(data, rekey, former):
    """The operator has to see which of their secrets is the right one; nothing may change."""
    before, was = filled(data), sealed(data)

    result = rekey(secret_key=NEW, **former)

    assert isinstance(result.exception, ConfigError)
    assert AesSeal(OLD).key_id in str(result.exception)
    assert "MIROIR_SECRET_KEY_OLD" in str(result.exception)
    assert_says_no_secret(result)
    assert sealed(data) == was
    assert read(data, OLD) == before


def test_without_a_new_secret_nothing_is_done(data, rekey):
    """Taking the seal off is not what was asked for."""
    was = filled(data) and sealed(data)
    result = rekey(secret_key_old=OLD)
    assert isinstance(result.exception, ConfigError)
    assert "MIROIR_SECRET_KEY" in str(result.exception)
    assert sealed(data) == was


def test_a_store_without_a_key_gets_one(data, rekey):
    """What was written in clear before is sealed now."""
    before = filled(data, None, {"stopWords": ["planted-word"]})

    assert rekey(secret_key=NEW).exit_code == 0

    assert read(data, NEW) == before
    everything = b"".join(path.read_bytes() for path in data.iterdir())
    assert b'{"stopWords":["planted-word"]}' not in b"".join(
        value for values in sealed(data).values() for value in values
    )
    assert len(everything) > 0


def test_again_is_harmless(data, rekey):
    """The first time may have been cut off after the last change and before the last word."""
    before = filled(data)
    for _ in range(2):
        assert rekey(secret_key=NEW, secret_key_old=OLD).exit_code == 0
        assert read(data, NEW) == before


def test_a_store_in_use_is_refused(data, rekey):
    """The running Miroir would go on writing under the old secret."""
    before = filled(data)

    async def scene():
        async with opened(data, OLD):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                None, lambda: rekey(secret_key=NEW, secret_key_old=OLD)
            )

    result = asyncio.run(scene())

    assert isinstance(result.exception, ConfigError)
    assert "in use" in str(result.exception)
    assert read(data, OLD) == before


def test_a_missing_store_is_named_and_not_made(data, rekey):
    """A wrong data_dir must not look like success."""
    result = rekey(secret_key=NEW, secret_key_old=OLD)
    assert isinstance(result.exception, ConfigError)
    assert str(data) in str(result.exception)
    assert not data.exists()


def test_a_damaged_value_leaves_everything_as_it_was(data):
    """Half of a store under each secret would open under none."""
    filled(data)
    connection = sqlite3.connect(data / DATABASE_NAME)
    connection.execute("UPDATE intent SET undo = CAST('1' || hex(randomblob(40)) AS BLOB)")
    connection.commit()
    connection.close()
    was = sealed(data)

    with pytest.raises(ConfigError, match="damaged"):
        asyncio.run(rekey_store(data, old=AesSeal(OLD), new=AesSeal(NEW)))

    assert sealed(data) == was


VICTIM = """
import asyncio, os, sys
from pathlib import Path
from miroir.adapters.store_rekey import rekey_store
from miroir.adapters.store_seal import AesSeal

class Killer(AesSeal):
    left = int(sys.argv[2])
    def seal(self, label, value):
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), 9)
        return super().seal(label, value)

asyncio.run(rekey_store(Path(sys.argv[1]), old=AesSeal("the old secret"), new=Killer("x")))
"""


@pytest.mark.slow
@pytest.mark.parametrize("sealed_before", [0, 1, 3, 5])
def test_killed_in_the_middle_it_leaves_the_old_state(data, sealed_before):
    """Power goes when it goes; there is one transaction, or there is a heap of shards."""
    before = filled(data)

    child = subprocess.run(
        [sys.executable, "-c", VICTIM, str(data), str(sealed_before)],
        cwd=Path(__file__).parents[3],
        check=False,
    )

    assert child.returncode == -9, "it was killed in the middle"
    assert read(data, OLD) == before
