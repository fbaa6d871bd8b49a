"""The store's contract: intents, commits, and the guards against a second leader."""

from dataclasses import replace

import pytest
from tests.support.store_contract import (
    ENGINE,
    MOVIES,
    NOW_MS,
    A,
    B,
    commit_once,
    commit_record,
    committing,
    contract,
    converged,
    depose,
    lead,
    machine,
    new_intent,
    new_task,
    proved,
    started,
    verified,
    version_of,
)

from miroir.core.broadcast_types import Decision, NodeState, Phase, Progress
from miroir.errors import LeaseLost
from miroir.ports.records import NOT_CREATED, Care, IntentKind, Unconfirmed

SENDING = Progress(NodeState.SENDING, proposals=1)


@contract
async def test_an_intent_comes_back_as_it_was_written(store):
    """A restarted leader goes on from exactly what its predecessor knew."""
    state = machine(
        phase=Phase.WAITING,
        round=3,
        retries=2,
        waves=((A,), (B,)),
        commit_after=2,
        wave=1,
        nodes={
            A: replace(verified(), faults=("synonyms: not as sent", "stopWords: missing")),
            B: Progress(NodeState.DIFFERENT, error={"code": "x", "deep": {"list": [1, None]}}),
        },
        error={"message": "é \u2028 \U0001f600", "code": "invalid_settings"},
    )
    target = {"big": 2**63 - 1, "fine": 0.1, "null": None, "order": ["b", "a"], "Ключ": {"z": 1}}
    wanted = new_intent(state=state, target=target, undo={}, primary_key="id")

    opened = await store.open_intent(wanted)

    assert await store.open_intents() == (opened,)
    assert opened == await store.intent(opened.intent_id)
    assert {name: getattr(opened, name) for name in wanted.__dataclass_fields__} == {
        name: getattr(wanted, name) for name in wanted.__dataclass_fields__
    }
    assert (opened.base_version, opened.task_uid, opened.committed_version) == (0, None, None)
    assert isinstance(opened.state.columns[0], tuple)
    assert opened.kind is IntentKind.CHANGE


@contract
async def test_intents_queue_in_the_order_in_which_they_came(store):
    """Later changes build on earlier ones, so their order is part of their meaning."""
    first = await store.open_intent(new_intent(reason="one"))
    second = await store.open_intent(new_intent(reason="two"))
    third = await store.open_intent(new_intent(reason="three"))

    assert first.intent_id < second.intent_id < third.intent_id
    assert [i.reason for i in await store.open_intents()] == ["one", "two", "three"]
    assert [i.reason for i in await store.recent_intents(2)] == ["three", "two"]


@contract
async def test_a_closed_intent_is_no_longer_open_but_is_remembered(store):
    """What was refused is history; a leader that took it up again would repeat it for ever."""
    lease = await lead(store)
    intent = await started(store, lease)
    closed = await store.save_intent(intent, machine(phase=Phase.REFUSED), lease)

    assert await store.open_intents() == ()
    assert await store.recent_intents(10) == (closed,)


@contract
async def test_acceptance_promises_a_task_along_with_the_intent(store):
    """A change without its task would be carried out, and its client never told."""
    opened, task = await store.accept_intent(new_intent(), new_task())

    assert (task.uid, task.status, task.intent_id) == (0, "enqueued", opened.intent_id)
    assert opened.task_uid == task.uid
    assert await store.open_intents() == (opened,)
    assert await store.task(task.uid) == task


@contract
async def test_a_start_resolves_the_change_anew_and_shows_it_as_processing(store):
    """A predecessor may have aborted: target and base are those of the moment of the start."""
    lease = await lead(store)
    opened, task = await store.accept_intent(new_intent(), new_task())
    planned = replace(
        opened,
        target={"stopWords": ["a"]},
        undo={"stopWords": ["b"]},
        state=machine(retries_max=7),
    )

    begun = await store.start_intent(planned, lease)

    assert begun == replace(planned, revision=planned.revision + 1, started_at_ms=NOW_MS)
    assert await store.intent(opened.intent_id) == begun
    shown = await store.task(task.uid)
    assert (shown.status, shown.started_at_ms) == ("processing", NOW_MS)


@contract
async def test_only_one_intent_of_an_index_is_started(store):
    """Two changes on the way at once could each verify what the other is about to undo."""
    lease = await lead(store)
    await started(store, lease)
    second = await store.open_intent(new_intent())

    with pytest.raises(AssertionError):
        await store.start_intent(second, lease)

    assert (await store.intent(second.intent_id)) == second
    elsewhere = await store.open_intent(new_intent(index_uid="books"))
    assert (await store.start_intent(elsewhere, lease)).revision == 1


@contract
async def test_a_start_from_another_base_than_the_committed_one_is_a_bug(store):
    """Versions form one chain: a change judged against an older base would skip a link."""
    lease = await lead(store)
    opened = await store.open_intent(new_intent())

    with pytest.raises(AssertionError):
        await store.start_intent(replace(opened, base_version=3), lease)


@contract
async def test_an_intent_may_be_started_again_after_a_crash(store):
    """The new leader cannot know whether the start of the old one became durable."""
    lease = await lead(store)
    await started(store, lease)
    (found,) = await store.open_intents()

    again = await store.start_intent(found, await depose(store))

    assert again.revision == found.revision + 1


# ---- guards


@contract
async def test_a_deposed_leader_starts_saves_commits_and_freezes_nothing(store):
    """A leader that was paused must find out before it changes what its successor decides."""
    old = await lead(store)
    intent = await started(store, old)
    queued = await store.open_intent(new_intent(index_uid="books"))
    await depose(store)

    for attempt in (
        store.start_intent(queued, old),
        store.save_intent(intent, committing(), old),
        store.commit(intent, commit_record(), old),
        store.freeze(intent, "why", old),
    ):
        with pytest.raises(LeaseLost):
            await attempt

    assert await store.open_intents() == (intent, queued)
    assert await store.indexes() == ()
    assert await store.node_versions() == ()


@contract
async def test_an_older_revision_starts_saves_commits_and_freezes_nothing(store):
    """Somebody else has moved the machine on: acting on the old state would fork it."""
    lease = await lead(store)
    await commit_once(store, lease)
    stale = await started(store, lease)
    saved = await store.save_intent(stale, machine(phase=Phase.PROBING), lease)

    for attempt in (
        store.start_intent(stale, lease),
        store.save_intent(stale, committing(), lease),
        store.commit(stale, commit_record(), lease),
        store.freeze(stale, "why", lease),
    ):
        with pytest.raises(LeaseLost):
            await attempt

    assert await store.intent(stale.intent_id) == saved
    assert [(i.version, i.frozen_reason) for i in await store.indexes()] == [(1, None)]


@contract
async def test_a_closed_intent_is_closed_for_ever(store):
    """An end was told to the client; what comes later would make it a lie."""
    lease = await lead(store)
    intent = await started(store, lease)
    closed = await store.save_intent(intent, machine(phase=Phase.REFUSED), lease)

    for attempt in (
        store.start_intent(closed, lease),
        store.save_intent(closed, machine(phase=Phase.PROPOSING), lease),
        store.commit(closed, commit_record(), lease),
    ):
        with pytest.raises(AssertionError):
            await attempt

    assert await store.intent(intent.intent_id) == closed


# ---- commit


@contract
async def test_a_commit_makes_index_history_proofs_and_task_true_together(store):
    """A reader between two of them would see a version that no node is proved to serve."""
    lease = await lead(store)
    intent = await started(store, lease)
    intent = await store.save_intent(intent, committing(), lease)

    version = await store.commit(intent, commit_record(primary_key="id"), lease)

    assert version == 1
    (index,) = await store.indexes()
    assert index == await store.index(MOVIES)
    assert (index.version, index.primary_key, index.deleted) == (1, "id", False)
    assert index.settings == {"stopWords": ["the"], "synonyms": {}}
    assert index.fingerprints == {ENGINE: "f1"}
    assert (index.created_at_ms, index.updated_at_ms) == (9, 9)
    (entry,) = await store.history(MOVIES)
    assert (entry.version, entry.fingerprints, entry.kind) == (1, {ENGINE: "f1"}, "change")
    assert (entry.by, entry.reason, entry.at_ms) == ("client", "a test", 9)
    assert (entry.intent_id, entry.diff) == (intent.intent_id, {"stopWords": [[], ["the"]]})
    known = await version_of(store, A)
    assert (known.version, known.fingerprint, known.verified_at_ms) == (1, "f1", 9)
    task = await store.task(0)
    assert (task.status, task.finished_at_ms, task.error) == ("succeeded", 9, None)
    assert (await store.intent(intent.intent_id)).committed_version == 1


@contract
async def test_a_commit_repeated_after_a_crash_changes_nothing(store):
    """The answer to the first one may be lost; a second version for one change would be a lie."""
    lease = await lead(store)
    intent = await started(store, lease)
    intent = await store.save_intent(intent, committing(), lease)
    await store.commit(intent, commit_record(), lease)
    before = (await store.indexes(), await store.history(MOVIES), await store.task(0))

    successor = await depose(store)
    found = await store.intent(intent.intent_id)
    again = await store.commit(found, commit_record(at_ms=99, fingerprints={}), successor)

    assert again == 1
    assert (await store.indexes(), await store.history(MOVIES), await store.task(0)) == before


@contract
async def test_versions_form_one_chain(store):
    """A client that holds a version as its floor counts on the numbers."""
    lease = await lead(store)
    for expected in (1, 2, 3):
        assert await commit_once(store, lease) == expected

    entries = await store.history(MOVIES)
    assert [entry.version for entry in entries] == [3, 2, 1]
    assert await store.history("books") == ()


@contract
async def test_an_intent_that_was_not_started_cannot_be_committed(store):
    """Nothing was sent for it: there is nothing that could be true."""
    lease = await lead(store)
    opened = await store.open_intent(new_intent())

    with pytest.raises(AssertionError):
        await store.commit(opened, commit_record(), lease)


@contract
async def test_a_repair_keeps_the_version_and_its_fingerprints(store):
    """Repair restores what was committed: it is not a new version, and can be no other."""
    lease = await lead(store)
    await commit_once(store, lease)
    await store.unprove(MOVIES, (B,))
    repair = commit_record(raise_version=False, settings=None, proved={B: "f1"}, at_ms=20)

    assert await commit_once(store, lease, repair) == 1
    assert await proved(store) == {A: 1, B: 1}
    assert len(await store.history(MOVIES)) == 1
    (index,) = await store.indexes()
    assert index.settings == {"stopWords": ["the"], "synonyms": {}}

    other = replace(repair, fingerprints={ENGINE: "other"})
    with pytest.raises(AssertionError):
        await commit_once(store, lease, other)
    assert await store.indexes() == (index,)


@contract
async def test_a_new_engine_may_add_its_fingerprint_to_a_version(store):
    """After an upgrade the same settings read back in another shape; that is no other version."""
    lease = await lead(store)
    await commit_once(store, lease)

    await commit_once(
        store, lease, commit_record(raise_version=False, fingerprints={"1.51.0": "g1"})
    )

    (index,) = await store.indexes()
    assert index.fingerprints == {ENGINE: "f1", "1.51.0": "g1"}


@contract
async def test_a_commit_unproves_whom_it_names(store):
    """The second wave still shows the old settings when the first is the committed one."""
    lease = await lead(store)
    await commit_once(store, lease)
    intent = await started(store, lease)

    await store.commit(intent, commit_record(proved={A: "f2"}, unproved=(B,)), lease)

    assert await proved(store) == {A: 2, B: None}


@contract
async def test_a_deleted_index_leaves_a_tombstone_whose_version_goes_on(store):
    """A number that was once bound to settings must never mean others, not even after years."""
    lease = await lead(store)
    await commit_once(store, lease, commit_record(primary_key="id"))
    await store.set_out_of_sync(MOVIES, A, "missed a write")
    await store.set_out_of_sync(MOVIES, B, "missed a write")

    gone = commit_record(deleted=True, raise_version=False, settings=None, fingerprints={})
    await commit_once(store, lease, replace(gone, proved={A: ""}, at_ms=50))

    (index,) = await store.indexes()
    assert (index.deleted, index.version, index.settings) == (True, 1, None)
    assert (index.primary_key, index.fingerprints) == (None, {})
    assert await store.node_versions() == ()
    assert await store.out_of_sync() == {}, "there is nothing left to miss"
    assert len(await store.history(MOVIES)) == 1

    assert await commit_once(store, lease, commit_record(at_ms=60)) == 2
    (index,) = await store.indexes()
    assert (index.deleted, index.created_at_ms, index.primary_key) == (False, 60, None)


@contract
async def test_who_was_not_there_when_an_index_was_made_is_out_of_sync(store):
    """Taken for in sync, it could be the last one left when the replica with the data leaves."""
    lease = await lead(store)
    await store.set_out_of_sync(MOVIES, A, "left over from an index of the same name")
    creation = await started(store, lease, new_intent(MOVIES, IntentKind.CREATE))

    await store.commit(creation, commit_record(proved={A: "f1"}, unproved=(B,)), lease)

    assert await store.out_of_sync() == {(MOVIES, B): NOT_CREATED}


@contract
async def test_a_change_of_settings_leaves_the_in_sync_set_alone(store):
    """Settings and documents are two things: a node may lack one and have the other."""
    lease = await lead(store)
    await commit_once(store, lease)
    await store.set_out_of_sync(MOVIES, A, "missed a write")
    change = await started(store, lease)

    await store.commit(change, commit_record(proved={A: "f2"}, unproved=(B,)), lease)

    assert await store.out_of_sync() == {(MOVIES, A): "missed a write"}


@contract
async def test_a_version_stays_bound_after_its_index_was_deleted(store):
    """Created again under its old number, other settings would wear a fingerprint's name."""
    lease = await lead(store)
    await commit_once(store, lease)
    gone = commit_record(deleted=True, raise_version=False, settings=None, fingerprints={})
    await commit_once(store, lease, gone)

    with pytest.raises(AssertionError):
        await commit_once(
            store, lease, commit_record(raise_version=False, fingerprints={ENGINE: "other"})
        )


@contract
async def test_a_primary_key_and_settings_stay_unless_the_commit_brings_others(store):
    """An update of one must not lose the other."""
    lease = await lead(store)
    await commit_once(store, lease, commit_record(primary_key="id"))

    await commit_once(store, lease, commit_record(settings=None, raise_version=False, at_ms=30))

    (index,) = await store.indexes()
    assert index.primary_key == "id"
    assert index.settings == {"stopWords": ["the"], "synonyms": {}}
    assert (index.created_at_ms, index.updated_at_ms) == (9, 30)


# ---- what a save proves


@contract
async def test_a_node_is_unproved_before_anything_is_sent_to_it(store):
    """From the moment the PATCH may be applied, nobody knows what the node serves."""
    lease = await lead(store)
    await commit_once(store, lease)
    intent = await started(store, lease)

    await store.save_intent(intent, machine(phase=Phase.PROPOSING, nodes={A: SENDING}), lease)

    assert await proved(store) == {A: None, B: 1}
    assert (await version_of(store, A)).fingerprint is None


@contract
async def test_a_node_verified_before_the_decision_is_proved_at_nothing(store):
    """It shows settings that are not committed and perhaps never will be."""
    lease = await lead(store)
    await commit_once(store, lease)
    intent = await started(store, lease)

    await store.save_intent(intent, committing(), lease)

    assert await proved(store) == {A: None, B: None}


@contract
async def test_nodes_of_a_later_wave_are_proved_as_they_are_verified(store):
    """They come back one after the other, without waiting for the whole change."""
    lease = await lead(store)
    await commit_once(store, lease)
    intent = await started(store, lease)
    version = await store.commit(intent, commit_record(proved={A: "f1"}, unproved=(B,)), lease)
    after = machine(
        phase=Phase.PROPOSING,
        decision=Decision.COMMIT,
        version=version,
        waves=((A,), (B,)),
        wave=1,
        nodes={A: verified(), B: SENDING},
    )

    intent = await store.save_intent(intent, after, lease)
    assert await proved(store) == {A: 2, B: None}
    await store.save_intent(intent, replace(after, nodes={A: verified(), B: verified()}), lease)

    assert await proved(store) == {A: 2, B: 2}
    assert (await version_of(store, A)).verified_at_ms == 9  # As the commit left it.
    assert (await version_of(store, B)).verified_at_ms == NOW_MS


@contract
async def test_a_node_found_changed_while_the_others_follow_stays_unproved(store):
    """Somebody else changed it after the commit; later saves of the change know nothing of it."""
    lease = await lead(store)
    await commit_once(store, lease)
    intent = await started(store, lease)
    version = await store.commit(intent, commit_record(proved={A: "f1"}, unproved=(B,)), lease)
    after = machine(
        phase=Phase.PROPOSING,
        decision=Decision.COMMIT,
        version=version,
        waves=((A,), (B,)),
        wave=1,
        nodes={A: verified(), B: SENDING},
    )
    intent = await store.save_intent(intent, after, lease)

    await store.unprove(MOVIES, (A,))
    await store.save_intent(intent, replace(after, nodes={A: verified(), B: verified()}), lease)

    assert await proved(store) == {A: None, B: 2}


@contract
async def test_nodes_restored_by_an_abort_are_proved_at_the_base_again(store):
    """An abort that left its nodes unproved would take them from the readers for nothing."""
    lease = await lead(store)
    await commit_once(store, lease)
    intent = await started(store, lease)
    intent = await store.save_intent(
        intent, machine(phase=Phase.PROPOSING, nodes={A: SENDING, B: SENDING}), lease
    )
    silent = Progress(NodeState.SILENT, proposals=2)

    await store.save_intent(
        intent,
        machine(
            phase=Phase.ABORTED, decision=Decision.ABORT, nodes={A: verified("f0"), B: silent}
        ),
        lease,
    )

    assert await proved(store) == {A: 1, B: None}
    assert (await version_of(store, A)).fingerprint == "f0"


@contract
async def test_without_a_way_back_only_a_repair_proves_at_the_base(store):
    """What was verified before such an abort shows the target; a repair's target is the base."""
    lease = await lead(store)
    await commit_once(store, lease)
    aborted = machine(
        phase=Phase.ABORTED, decision=Decision.ABORT, undoable=False, nodes={A: verified()}
    )

    deletion = await started(store, lease, new_intent(kind=IntentKind.DELETE))
    await store.save_intent(deletion, aborted, lease)
    assert await proved(store) == {A: None, B: 1}

    repair = await started(store, lease, new_intent(kind=IntentKind.REPAIR))
    await store.save_intent(repair, aborted, lease)
    assert await proved(store) == {A: 1, B: 1}


@contract
async def test_an_aborted_creation_proves_nothing(store):
    """There is no index whose version a node could serve."""
    lease = await lead(store)
    intent = await started(store, lease, new_intent(kind=IntentKind.CREATE))

    await store.save_intent(
        intent,
        machine(phase=Phase.ABORTED, decision=Decision.ABORT, nodes={A: verified("")}),
        lease,
    )

    assert await store.node_versions() == ()
    assert await store.indexes() == ()


@contract
async def test_a_change_that_was_not_committed_fails_its_task_with_the_nodes_error(store):
    """The client learns from the task what a node had against it."""
    lease = await lead(store)
    intent = await started(store, lease)
    error = {"message": "no", "code": "invalid_settings_stop_words"}

    await store.save_intent(
        intent, machine(phase=Phase.ABORTED, decision=Decision.ABORT, error=error), lease
    )

    task = await store.task(0)
    assert (task.status, task.error, task.finished_at_ms) == ("failed", error, NOW_MS)
    assert task.details == {"stopWords": ["the"]}


@contract
async def test_the_end_of_a_committed_change_leaves_its_task_succeeded(store):
    """The task has succeeded at the commit; a late wave cannot take that back."""
    lease = await lead(store)
    await commit_once(store, lease)

    assert (await store.task(0)).status == "succeeded"


@contract
async def test_a_decision_is_saved_only_if_the_store_agrees(store):
    """A machine that believes in a commit which never was would carry it to every node."""
    lease = await lead(store)
    intent = await started(store, lease)
    with pytest.raises(AssertionError):
        await store.save_intent(intent, converged(1), lease)

    await store.commit(intent, commit_record(), lease)
    with pytest.raises(AssertionError):
        await store.save_intent(
            intent, machine(phase=Phase.PROPOSING, decision=Decision.ABORT), lease
        )
    await store.save_intent(intent, converged(1), lease)


# ---- freeze


@contract
async def test_a_frozen_index_stays_so_until_it_is_thawed(store):
    """The operator must see why, also after a restart, and have a way out."""
    lease = await lead(store)
    await commit_once(store, lease)
    intent = await started(store, lease)

    await store.freeze(intent, "nodes differ", lease)
    assert (await store.index(MOVIES)).frozen_reason == "nodes differ"
    await store.save_intent(intent, machine(phase=Phase.FROZEN, decision=Decision.ABORT), lease)
    assert (await store.index(MOVIES)).frozen_reason == "nodes differ"
    await store.thaw(MOVIES)
    assert (await store.index(MOVIES)).frozen_reason is None


@contract
async def test_the_next_commit_ends_a_freeze(store):
    """Settings that were verified again are what the freeze waited for."""
    lease = await lead(store)
    await commit_once(store, lease)
    intent = await started(store, lease)
    await store.freeze(intent, "nodes differ", lease)

    await store.commit(intent, commit_record(), lease)

    assert (await store.index(MOVIES)).frozen_reason is None


@contract
async def test_an_unknown_index_can_be_neither_frozen_nor_thawed_into_being(store):
    """A creation that failed must not leave an index behind."""
    lease = await lead(store)
    intent = await started(store, lease, new_intent(kind=IntentKind.CREATE))

    await store.freeze(intent, "nodes differ", lease)
    await store.thaw(MOVIES)

    assert await store.indexes() == ()
    assert await store.index(MOVIES) is None


@contract
async def test_a_change_that_waits_to_be_confirmed_waits_in_its_record(store):
    """It must undo itself also after a crash; only its own confirmation keeps it."""
    lease = await lead(store)
    care = Care({"queries": [{"search": {"q": "a"}}]}, confirm_within_ms=5)
    intent = await started(store, lease, new_intent(care=care))
    assert (await store.intent(intent.intent_id)).care == care
    intent = await store.save_intent(intent, committing(), lease)
    waits = Unconfirmed(base_version=0, until_ms=17)
    version = await store.commit(intent, commit_record(unconfirmed=waits), lease)
    await store.save_intent(intent, converged(version), lease)

    assert (await store.index(intent.index_uid)).unconfirmed == waits
    assert not await store.confirm(intent.index_uid, version + 1)
    assert not await store.confirm("unknown", 1)
    assert await store.confirm(intent.index_uid, version)
    assert (await store.index(intent.index_uid)).unconfirmed is None
    assert not await store.confirm(intent.index_uid, version)


@contract
async def test_a_repair_does_not_confirm_and_a_new_version_does_not_wait(store):
    """A drifted node says nothing about what people think of the change."""
    lease = await lead(store)
    waits = Unconfirmed(base_version=0, until_ms=17)
    version = await commit_once(store, lease, commit_record(unconfirmed=waits))
    repair = commit_record(raise_version=False, settings=None)
    await commit_once(store, lease, repair)
    assert (await store.index("movies")).unconfirmed == waits

    assert await commit_once(store, lease) == version + 1
    assert (await store.index("movies")).unconfirmed is None
