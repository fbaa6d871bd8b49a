"""A store of an earlier release opens in this one, with everything that can be known of it."""

import asyncio
import sqlite3

import msgspec
import pytest
from tests.support.store_contract import (
    MOVIES,
    commit_once,
    commit_record,
    lead,
    machine,
)

from miroir.adapters.store_schema import MIGRATIONS
from miroir.adapters.store_seal import AesSeal
from miroir.adapters.store_sqlite import DATABASE_NAME, open_store
from miroir.core.broadcast_types import Phase
from miroir.errors import ConfigError
from miroir.ports.records import IntentQuery

SEAL = AesSeal("a secret")
IN_FORCE = {"stopWords": ["now"]}
PHASES = (
    *("queued", "probing", "proposing", "verifying", "waiting", "committing"),
    *("converged", "aborted", "refused", "frozen"),
)
"""All that version 1 had."""


def version_1(directory):
    """Write a store as schema version 1 had it: two versions of movies, an intent per phase."""
    connection = sqlite3.connect(directory / DATABASE_NAME)
    for statement in MIGRATIONS[0]:
        connection.execute(statement)
    connection.execute("CREATE TABLE schema_version (version BIGINT NOT NULL)")
    connection.execute("INSERT INTO schema_version VALUES (1)")
    connection.execute("INSERT INTO fact VALUES ('seal_key_id', ?)", (SEAL.key_id,))
    connection.execute(
        "INSERT INTO index_record VALUES ('movies', 'id', 2, ?, '{}', NULL, 0, 1, 1)",
        (SEAL.seal("index_record.settings", IN_FORCE),),
    )
    for version in (1, 2):
        connection.execute(
            "INSERT INTO settings_history VALUES ('movies', ?, '{}', '{}', 'change', 'client', "
            "'', ?, 1)",
            (version, version),
        )
    for number, phase in enumerate(map(Phase, PHASES), start=1):
        state = machine(phase=phase, error={"message": 'the text "phase":"queued" in an error'})
        blobs = [SEAL.seal(f"intent.{name}", {}) for name in ("patch", "target", "undo")]
        connection.execute(
            "INSERT INTO intent VALUES (?, 'movies', 'change', ?, ?, ?, NULL, 'client', '', 1, ?, "
            "1, NULL, 0, 0, 1, NULL)",
            (number, *blobs, msgspec.json.encode(state).decode()),
        )
    connection.execute("UPDATE counter SET next = 100 WHERE name = 'intent'")
    connection.commit()
    connection.close()


def test_the_version_in_force_can_be_gone_back_to(tmp_path):
    """The first change after the upgrade may be the one that somebody wants undone."""
    version_1(tmp_path)

    async def scene():
        store = await open_store(tmp_path, seal=SEAL)
        try:
            assert await store.settings_of(MOVIES, 2) == IN_FORCE
            assert await store.settings_of(MOVIES, 1) is None
            assert [e.version for e in await store.history(MOVIES)] == [2, 1]
            assert await commit_once(store, await lead(store)) == 3
            assert await store.settings_of(MOVIES, 3) == commit_record().settings
            assert await store.settings_of(MOVIES, 2) == IN_FORCE
        finally:
            await store.aclose()

    asyncio.run(scene())


def test_old_intents_are_found_by_their_phase(tmp_path):
    """What failed before the upgrade is still what an operator looks for after it."""
    version_1(tmp_path)

    async def scene():
        store = await open_store(tmp_path, seal=SEAL)
        try:
            for phase in PHASES:
                found = await store.find_intents(IntentQuery(phases=(phase,)))
                assert [intent.state.phase.value for intent in found] == [phase]
        finally:
            await store.aclose()

    asyncio.run(scene())


def test_an_upgrade_with_the_wrong_key_is_refused_with_the_usual_words(tmp_path):
    """And changes nothing: with the right key it goes through afterwards."""
    version_1(tmp_path)

    async def scene():
        with pytest.raises(ConfigError, match="MIROIR_SECRET_KEY"):
            await open_store(tmp_path, seal=AesSeal("another"))
        store = await open_store(tmp_path, seal=SEAL)
        assert await store.settings_of(MOVIES, 2) == IN_FORCE
        await store.aclose()

    asyncio.run(scene())


def test_writes_of_an_older_release_count_as_sent_more_than_once(tmp_path):
    """How often was not written down; what was sent twice is not taken back (docs/adr/0009)."""
    connection = sqlite3.connect(tmp_path / DATABASE_NAME)
    for steps in MIGRATIONS[:4]:
        for statement in steps:
            if isinstance(statement, str):
                connection.execute(statement)
    connection.execute("CREATE TABLE schema_version (version BIGINT NOT NULL)")
    connection.execute("INSERT INTO schema_version VALUES (4)")
    connection.execute(
        "INSERT INTO task (uid, index_uid, type, details, at_ms, status)"
        " VALUES (0, 'movies', 'documentAdditionOrUpdate', '{}', 1, 'enqueued')"
    )
    for node, status in (("a", "sent"), ("b", "unsent"), ("c", "missed")):
        connection.execute(
            "INSERT INTO node_task (task_uid, node_id, shard_id, status) VALUES (0, ?, 0, ?)",
            (node, status),
        )
    connection.execute("UPDATE counter SET next = 1 WHERE name = 'task'")
    connection.commit()
    connection.close()

    async def scene():
        store = await open_store(tmp_path, seal=SEAL)
        try:
            shares = await store.shares(0)
            assert [(s.node_id, s.repeated) for s in shares] == [
                ("a", True),
                ("b", True),
                ("c", False),
            ]
            assert (await store.task(0)).recalled_by is None
        finally:
            await store.aclose()

    asyncio.run(scene())
