"""
Guards of the protocol, each with a way to take it out: does the simulation notice?

`python -m tests.simulation --guards` tells for each how many seeds it took. A guard that is never
missed is either not needed, or is covered by something else, or the simulation is blind there:
`docs/track-record.md` says which.
"""

import asyncio
from dataclasses import replace
from typing import Any, Final

from miroir.core import (
    broadcast as machine,
    broadcast_messages as m,
    broadcast_types as t,
    settings as rules,
)
from miroir.services import carriers, inspector, planner
from miroir.services.broadcaster import Broadcaster
from miroir.services.cluster import Cluster
from miroir.services.intent_run import IntentRun
from miroir.services.prober import Prober, Verdict
from miroir.services.scatter import Scatter
from tests.simulation.guards_around import AROUND
from tests.simulation.taking_out import Guards, Patch
from tests.support.memory_store import MemoryStore
from tests.support.memory_tables import Tables


def _commit_once() -> list[Patch]:
    """Neither the store nor a successor knows that an intent was committed."""
    commit, open_intents = MemoryStore.commit, MemoryStore.open_intents

    async def again(self: MemoryStore, intent: Any, record: Any, lease: Any) -> int:
        row = self._tables.intents[intent.intent_id]
        version = self._tables.version(intent.index_uid)
        row.intent = replace(row.intent, committed_version=None, base_version=version)
        return await commit(self, intent, record, lease)

    async def forgetful(self: MemoryStore) -> Any:
        intents = await open_intents(self)
        return tuple(replace(intent, committed_version=None) for intent in intents)

    return [(MemoryStore, "commit", again), (MemoryStore, "open_intents", forgetful)]


def _compare_and_set() -> list[Patch]:
    """Guarded writes compare neither epoch nor revision."""
    return [(Tables, "guarded", lambda self, intent, lease: self.intents[intent.intent_id])]


def _durable_then_act() -> list[Patch]:
    """Requests leave although the state that orders them is not stored."""
    advance = IntentRun._advance

    async def hasty(self: IntentRun) -> tuple[m.Command, ...]:
        event = await self._events.get()
        state, commands = machine.step(self._intent.state, event)
        if any(isinstance(command, m.ApplySettings) for command in commands):
            self._intent = replace(self._intent, state=state)
            return commands
        self._events.put_nowait(event)
        return await advance(self)

    return [(IntentRun, "_advance", hasty)]


def _verify_before_commit() -> list[Patch]:
    """Whatever is read back is taken as right."""
    read_back = machine._read_back

    def trusting(state: Any, event: Any) -> Any:
        if isinstance(event, m.SettingsRead):
            wanted = state.expected.get(event.engine, event.fingerprint)
            event = replace(event, faults=(), fingerprint=wanted)
        return read_back(state, event)

    return [(machine, "_read_back", trusting)]


def _view_before_acting() -> list[Patch]:
    """Requests leave while searches still trust the nodes that they change."""
    apply = Cluster.apply_progress
    newest: dict[int, Any] = {}

    def later(self: Cluster, intent: Any) -> None:
        newest[intent.intent_id] = intent
        if intent.state.phase is not t.Phase.PROPOSING:
            apply(self, intent)
            return

        def now() -> None:
            if newest[intent.intent_id] is intent:
                apply(self, intent)

        asyncio.get_running_loop().call_later(0.2, now)

    return [(Cluster, "apply_progress", later)]


def _rounds() -> list[Patch]:
    """Events of an older round count for the present one."""
    answered, read_back = machine._proposal_answered, machine._read_back
    return [
        (
            machine,
            "_proposal_answered",
            lambda s, event: answered(s, replace(event, round=s.round)),
        ),
        (machine, "_read_back", lambda s, event: read_back(s, replace(event, round=s.round))),
    ]


def _probe_mismatch() -> list[Patch]:
    """What the probe showed binds nobody."""

    async def nothing(self: Prober, target: Any, touched: Any = ()) -> Verdict:
        return Verdict()

    return [(Prober, "expected", nothing)]


def _demotion() -> list[Patch]:
    """A node found drifted stays proved."""

    async def nothing(self: MemoryStore, *_: Any) -> None:
        return None

    return [
        (MemoryStore, "unprove", nothing),
        (Cluster, "apply_demotion", lambda *_: None),
    ]


def _unfinished_tasks() -> list[Patch]:
    """Nobody looks for tasks that are still queued on a node."""

    async def none(*_: Any) -> None:
        return None

    return [(carriers, "unfinished", none), (inspector, "unfinished", none)]


def _undo_is_verified() -> list[Patch]:
    """An abort believes that its undo has worked."""
    read_back = machine._read_back

    def trusting(state: Any, event: Any) -> Any:
        if isinstance(event, m.SettingsRead) and state.undoing:
            event = replace(event, faults=())
        return read_back(state, event)

    return [(machine, "_read_back", trusting)]


def _true_secrets() -> list[Patch]:
    """What was read back is kept with its masks, and sent so."""
    return [(rules, "adopted", lambda read_back, target: dict(read_back))]


def _removed_embedders() -> list[Patch]:
    """Removed embedders are not named as null."""
    return [(rules, "_whole_embedders", lambda seen, wanted: dict(wanted))]


def _secrets_again() -> list[Patch]:
    """A repair trusts equal masks."""
    return [(rules, "has_secrets", lambda settings: False)]


def _blind_changes() -> list[Patch]:
    """A change of secrets is believed when it is read back."""
    return [(planner, "_is_blind", lambda *_: False)]


def _cover_of_the_rest() -> list[Patch]:
    """A silent node is left behind although the others do not cover."""
    return [(machine.judge, "carries", lambda state: True)]


def _second_look_at_the_view() -> list[Patch]:
    """An answer is not checked again after the nodes have answered."""
    return [(Scatter, "_still_true", lambda *_: True)]


def _lease_lost_is_no_end() -> list[Patch]:
    """A drive that lost its lease is over."""

    async def once(self: Broadcaster, index_uid: Any) -> None:
        try:
            await self._lead(index_uid)
        finally:
            del self._drives[index_uid]

    return [(Broadcaster, "_drive", once)]


def _proof_after_a_change() -> list[Patch]:
    """A proof counts in the view although a change was opened meanwhile."""

    def always(self: Cluster, index_uid: Any, node_ids: Any, version: int) -> None:
        index = self._view.indexes[index_uid]
        proved = {**index.proved, **dict.fromkeys(node_ids, version)}
        self._put(index_uid, replace(index, proved=proved))

    return [(Cluster, "apply_proof", always)]


def _exact_form() -> list[Patch]:
    """What is compared leniently is never sent again."""
    return [(rules, "exact_patch", lambda seen, target: {})]


def _unknown_keys_are_sent() -> list[Patch]:
    """A key that no node shows is not sent."""
    return [(carriers.SettingsCarrier, "_touched", lambda self, state: ())]


GUARDS: Final[Guards] = {
    "commit once": _commit_once,
    "compare and set": _compare_and_set,
    "durable, then act": _durable_then_act,
    "verify before commit": _verify_before_commit,
    "view told before acting": _view_before_acting,
    "old rounds are late": _rounds,
    "the probe's form binds": _probe_mismatch,
    "drift demotes": _demotion,
    "unfinished tasks are awaited": _unfinished_tasks,
    "an undo is verified": _undo_is_verified,
    "true secrets are kept": _true_secrets,
    "removed embedders are named": _removed_embedders,
    "secrets are sent on repair": _secrets_again,
    "secrets are proved by a task": _blind_changes,
    "the rest must cover": _cover_of_the_rest,
    "the view is looked at again": _second_look_at_the_view,
    "a lost lease is taken again": _lease_lost_is_no_end,
    "no proof over a change": _proof_after_a_change,
    "what is lenient is sent exactly": _exact_form,
    "unknown keys are sent": _unknown_keys_are_sent,
    **AROUND,
}
