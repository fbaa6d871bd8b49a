"""The store's contract: what has been, kept for those who ask and for a way back."""

from dataclasses import replace

from tests.support.store_contract import (
    MOVIES,
    NOW_MS,
    A,
    B,
    commit_once,
    commit_record,
    committing,
    contract,
    converged,
    lead,
    machine,
    new_intent,
    started,
)

from miroir.core.broadcast_types import Phase
from miroir.core.topology import IndexUid
from miroir.ports.records import IntentKind, IntentQuery, IntentTask

BOOKS = IndexUid("books")


async def committed(store, lease, stop_words):
    """Commit these stop words; return the version."""
    settings = {"stopWords": stop_words, "synonyms": {}}
    prints = {"1.50.0": f"f-{'-'.join(stop_words)}"}
    return await commit_once(store, lease, commit_record(settings=settings, fingerprints=prints))


async def ended(store, lease, intent, *tasks):
    """Save that these node tasks have ended."""
    return await store.save_intent(intent, committing(), lease, ended=tasks)


@contract
async def test_the_settings_of_every_version_are_kept(store):
    """A rollback is worth what is kept; the newest version alone is no way back."""
    lease = await lead(store)
    versions = [await committed(store, lease, words) for words in (["a"], ["b"], ["c"])]

    kept = [(await store.settings_of(MOVIES, version))["stopWords"] for version in versions]

    assert kept == [["a"], ["b"], ["c"]]
    assert await store.settings_of(MOVIES, 4) is None
    assert await store.settings_of(BOOKS, 1) is None


@contract
async def test_a_commit_that_leaves_the_settings_keeps_them_under_the_new_version(store):
    """The settings of a version are those in force, whether or not its commit changed them."""
    lease = await lead(store)
    await committed(store, lease, ["a"])

    version = await commit_once(store, lease, commit_record(settings=None))

    assert (await store.settings_of(MOVIES, version))["stopWords"] == ["a"]


@contract
async def test_history_outlives_the_deletion_of_the_index(store):
    """Who deleted an index by mistake needs the settings that it had more than anybody."""
    lease = await lead(store)
    await committed(store, lease, ["a"])
    gone = commit_record(settings=None, fingerprints={}, proved={}, raise_version=False,
                         deleted=True)  # fmt: skip
    await commit_once(store, lease, gone)
    again = await committed(store, lease, ["new"])

    assert again == 2
    assert [entry.version for entry in await store.history(MOVIES)] == [2, 1]
    assert (await store.settings_of(MOVIES, 1))["stopWords"] == ["a"]
    assert (await store.settings_of(MOVIES, 2))["stopWords"] == ["new"]


@contract
async def test_history_is_read_page_by_page(store):
    """An index that is changed by every deployment has thousands of versions."""
    lease = await lead(store)
    for word in "abcde":
        await committed(store, lease, [word])

    async def page(**wanted):
        return [entry.version for entry in await store.history(MOVIES, **wanted)]

    assert await page() == [5, 4, 3, 2, 1]
    assert await page(limit=2) == [5, 4]
    assert await page(limit=2, from_version=3) == [3, 2]
    assert await page(limit=0) == []
    assert await page(from_version=0) == []
    assert await page(from_version=99) == [5, 4, 3, 2, 1]


@contract
async def test_node_tasks_are_kept_with_the_save_that_tells_of_them(store):
    """How long each node took is the question behind every slow change, and after an abort."""
    lease = await lead(store)
    intent = await started(store, lease)
    failed = IntentTask(A, 7, "failed", {"code": "x"}, 100, 150)
    intent = await ended(store, lease, intent, failed, IntentTask(B, 3, "succeeded"))
    again = IntentTask(A, 8, "succeeded", None, 200, 260)
    intent = await ended(store, lease, intent, again)
    other = await store.open_intent(new_intent(BOOKS))

    kept = await store.intent_tasks((intent.intent_id, other.intent_id))

    assert kept == {intent.intent_id: (failed, again, IntentTask(B, 3, "succeeded"))}
    assert await store.intent_tasks(()) == {}


@contract
async def test_what_is_told_twice_is_kept_once(store):
    """After a crash a task is awaited, and told, again."""
    lease = await lead(store)
    intent = await started(store, lease)
    first = IntentTask(A, 7, "succeeded", None, 100, 150)
    intent = await ended(store, lease, intent, first)
    told = replace(first, finished_at_ms=151)
    intent = await ended(store, lease, intent, told)

    assert await store.intent_tasks((intent.intent_id,)) == {intent.intent_id: (told,)}


@contract
async def test_an_intent_knows_when_it_started_and_ended(store):
    """Waiting in the queue and being carried are two durations."""
    lease = await lead(store)
    waiting = await store.open_intent(new_intent())
    assert (waiting.started_at_ms, waiting.closed_at_ms) == (None, None)

    begun = await store.start_intent(waiting, lease)
    assert (begun.started_at_ms, begun.closed_at_ms) == (NOW_MS, None)

    closed = await store.save_intent(begun, machine(phase=Phase.REFUSED), lease)
    assert (closed.started_at_ms, closed.closed_at_ms) == (NOW_MS, NOW_MS)
    assert await store.intent(closed.intent_id) == closed


@contract
async def test_intents_are_found_by_index_phase_and_number(store):
    """Who looks for the failed change of one index must not read all of everybody's."""
    lease = await lead(store)
    intent = await started(store, lease)
    await store.save_intent(intent, machine(phase=Phase.ABORTED), lease)
    await store.open_intent(new_intent(BOOKS))
    await store.open_intent(new_intent(kind=IntentKind.ROLLBACK))

    async def found(**wanted):
        return [intent.intent_id for intent in await store.find_intents(IntentQuery(**wanted))]

    assert await found() == [3, 2, 1]
    assert await found(limit=2) == [3, 2]
    assert await found(from_id=2) == [2, 1]
    assert await found(index_uids=("books",)) == [2]
    assert await found(phases=("aborted",)) == [1]
    assert await found(phases=("aborted", "queued"), index_uids=(MOVIES,)) == [3, 1]
    assert await found(ids=(1, 3, 9)) == [3, 1]


@contract
async def test_a_committed_intent_is_found_in_its_last_phase(store):
    """The phase that is searched by is the one that is shown."""
    lease = await lead(store)
    intent = await started(store, lease)
    intent = await store.save_intent(intent, committing(), lease)
    version = await store.commit(intent, commit_record(), lease)
    assert [i.state.phase for i in await store.find_intents(IntentQuery(phases=("committing",)))]
    await store.save_intent(intent, converged(version), lease)

    (found,) = await store.find_intents(IntentQuery(phases=("converged",)))
    assert found.committed_version == version
