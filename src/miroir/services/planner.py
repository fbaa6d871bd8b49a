"""
Prepares an intent to be carried: resolves its target, lays out its waves, picks its carrier.

An intent is resolved when it starts, not when it was accepted: a predecessor in the queue may have
been aborted meanwhile. Nothing here waits for a node but `expected`, which asks the prober.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from miroir.core import quantization, rollback, settings as rules
from miroir.core.broadcast_types import Broadcast, Phase
from miroir.core.settings_normal import says_null
from miroir.core.swaps import Swaps, exists_already, fault
from miroir.core.topology import IndexUid, NodeId, Topology
from miroir.core.waves import halves
from miroir.errors import IndexNotFound, NoSecondCover
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeReply, Settings
from miroir.ports.records import Intent, IntentKind
from miroir.services.carriers import (
    AdoptionCarrier,
    Carrier,
    LifecycleCarrier,
    SettingsCarrier,
    SwapCarrier,
)
from miroir.services.carriers.lifecycle import Before, already_exists
from miroir.services.cluster import IndexView, View
from miroir.services.prober import Prober, Verdict
from miroir.services.tickets import TicketOffice

Strategy = Literal["two_phase", "sequential"]


@dataclass(frozen=True)
class Policy:
    """What the operator configured under `settings_broadcast`."""

    strategy: Strategy
    waves: Literal["auto", "off"]
    retries_max: int
    freeze: bool


class Planner:
    """Knows what each kind of intent needs."""

    def __init__(
        self,
        *,
        control: NodeControl,
        prober: Prober,
        clock: Clock,
        policy: Policy,
        tickets: TicketOffice,
    ) -> None:
        self._tickets = tickets
        self._control = control
        self._prober = prober
        self._clock = clock
        self._policy = policy
        self._fresh: Settings = {}

    def machine(
        self, index_uid: IndexUid, kind: IntentKind, topology: Topology, nodes: tuple[NodeId, ...]
    ) -> Broadcast:
        """Return the machine of a fresh intent: plain form, or one node after the other."""
        sequential = self._policy.strategy == "sequential" and kind.changes_settings
        waves = tuple((node_id,) for node_id in nodes) if sequential else (nodes,)
        return Broadcast(
            index_uid=index_uid,
            columns=topology.columns,
            waves=waves,
            commit_after=len(waves),
            retries_max=self._policy.retries_max,
            undoable=_is_undoable(kind),
            patient=kind.moves_indexes,
            forward=kind is IntentKind.DELETE,
            freeze=self._policy.freeze and kind.changes_settings,
        )

    async def prepare(self, intent: Intent) -> None:
        """Learn what null leads to on the engines at hand, if the intent may have to know."""
        if intent.kind is IntentKind.CHANGE and says_null(intent.patch):
            self._fresh = await self._prober.defaults()

    def plan(self, intent: Intent, view: View) -> Intent:
        """Resolve a fresh intent against what is in force now."""
        if intent.kind.moves_indexes:
            return _planned_move(intent, view)
        index = view.indexes.get(intent.index_uid)
        record = index.record if index else None
        base: Settings = (record.settings if record else None) or rules.defaults()
        target = _target(intent, base, self._fresh)
        state = self._in_waves(intent, view)
        return replace(
            intent,
            target=target,
            undo=base,
            state=replace(state, blind=_is_blind(intent, base, target) or _doubted(index, view)),
            base_version=record.version if record else 0,
        )

    def _in_waves(self, intent: Intent, view: View) -> Broadcast:
        """Lay a change out over two covers of the nodes that serve now, if there are two."""
        state, policy = intent.state, self._policy
        index = view.live(intent.index_uid)
        if policy.strategy != "two_phase" or policy.waves == "off" or index is None:
            return state
        if not intent.kind.changes_settings:
            return state
        version = index.record.version
        usable = {n for n in view.ready(index) if index.proved.get(n) == version}
        waves = halves(view.topology, usable)
        if waves is None:
            return state
        canary = intent.care.canary is not None
        return replace(state, waves=waves, commit_after=1, drains=True, canary=canary)

    def impossible(self, intent: Intent, view: View) -> Mapping[str, Any] | None:
        """Return why an intent cannot even begin, e.g. its index is gone; else None."""
        if intent.state.phase is not Phase.QUEUED:
            return None  # Begun: it is carried to its end.
        if intent.kind.moves_indexes:
            return impossible_move(
                intent.kind, intent.swaps, lambda uid: view.live(uid) is not None
            )
        exists = view.live(intent.index_uid) is not None
        if intent.kind in {IntentKind.CREATE, IntentKind.ADOPT}:
            # The deletion before it may have been refused.
            return already_exists(intent.index_uid) if exists else None
        if exists:
            return _no_second_cover(intent) or _lost_vectors(intent)
        return IndexNotFound(f"Index `{intent.index_uid}` not found.").body()

    def carrier(self, intent: Intent, view: View) -> Carrier:
        """Return what carries this kind of intent."""
        index = view.indexes.get(intent.index_uid)
        fingerprints = index.record.fingerprints if index else {}

        async def base_form(engine: str) -> Settings:
            return await self._prober.committed_form(intent.undo, fingerprints, engine)

        if intent.kind.changes_settings or intent.kind is IntentKind.REPAIR:
            return SettingsCarrier(
                intent,
                control=self._control,
                clock=self._clock,
                base_fingerprints=fingerprints,
                base_form=base_form,
            )
        if intent.kind.moves_indexes:
            return SwapCarrier(
                intent,
                control=self._control,
                clock=self._clock,
                tickets=self._tickets,
            )
        if intent.kind is IntentKind.ADOPT:
            return AdoptionCarrier(intent, control=self._control, clock=self._clock)
        before = Before(
            index.record.primary_key if index else None,
            index is not None and index.record.deleted and index.record.version > 0,
            base_form,
            self._prober.fresh_form,
        )
        return LifecycleCarrier(
            intent,
            control=self._control,
            clock=self._clock,
            before=before,
            before_creation=self._tickets.ensure_clear,
        )

    async def expected(self, intent: Intent, view: View) -> Verdict:
        """
        Return the fingerprints that nodes must show.

        Of a change: what the probe shows. Of a creation: what a fresh index shows, so that nobody
        else's settings become version 1. Of a repair: what was committed, which needs no probe. Of
        the rest nothing is known beforehand; nodes of one engine must agree.
        """
        if intent.kind.changes_settings:
            touched = rules.asked_of_nodes(intent.patch)
            verdict = await self._prober.expected(intent.target, touched)
            return verdict.of(intent.index_uid)
        if intent.kind is IntentKind.CREATE:
            return await self._prober.expected(None)
        if intent.kind is IntentKind.REPAIR:
            index = view.indexes[intent.index_uid]
            return Verdict(expected=index.record.fingerprints)
        return Verdict()

    @staticmethod
    def error_of(reply: NodeReply) -> Mapping[str, Any]:
        """Return the Meilisearch error object in a node's refusal."""
        error: Mapping[str, Any] = orjson.loads(reply.body)
        return error


def _is_undoable(kind: IntentKind) -> bool:
    """Whether there is a way back."""
    made = kind in {IntentKind.CREATE, IntentKind.UPDATE}
    return kind.changes_settings or kind.moves_indexes or made


def _planned_move(intent: Intent, view: View) -> Intent:
    """Judge covers by the nodes in sync: who is left behind must not be the last of an index."""
    columns: list[tuple[NodeId, ...]] = []
    for index_uid in intent.index_uids:
        index = view.live(index_uid)
        missing = index.out_of_sync if index is not None else {}
        columns += [tuple(n for n in c if n not in missing) or c for c in view.topology.columns]
    first = view.indexes.get(intent.index_uid)
    return replace(
        intent,
        state=replace(intent.state, columns=tuple(dict.fromkeys(columns))),
        base_version=first.record.version if first is not None else 0,
    )


def impossible_move(
    kind: IntentKind, swaps: Swaps, exists: Callable[[IndexUid], bool]
) -> Mapping[str, Any] | None:
    """Return why a node would fail such a task; None if it would not."""
    if kind is IntentKind.SWAP:
        return fault(swaps, exists)
    (swap,) = swaps
    if not exists(swap.left):
        return IndexNotFound(f"Index `{swap.left}` not found.").body()
    return exists_already(swap.right) if exists(swap.right) else None


def _target(intent: Intent, base: Settings, fresh: Settings) -> Settings:
    """Return where an intent leads from `base`: a patch is relative, a former version is not."""
    if intent.kind is IntentKind.CHANGE:
        return rules.resolve(base, intent.patch, fresh)
    if intent.kind is IntentKind.ROLLBACK:
        return rollback.target(base, intent.target)
    return intent.target if intent.kind is IntentKind.ADOPT else base


def _no_second_cover(intent: Intent) -> Mapping[str, Any] | None:
    """Return why golden queries cannot be put, if they cannot."""
    if intent.care.canary is None or intent.state.canary:
        return None
    message = (
        f"Golden queries cannot be put: index `{intent.index_uid}` has no second cover of usable "
        "nodes that could serve meanwhile."
    )
    return NoSecondCover(message).body()


def _lost_vectors(intent: Intent) -> Mapping[str, Any] | None:
    """Return the error of a change that would have to make an embedder anew."""
    if not intent.kind.changes_settings:
        return None
    name = quantization.undoes_quantization(intent.undo, intent.target)
    return quantization.refusal(intent.index_uid, name) if name is not None else None


def _is_blind(intent: Intent, base: Settings, target: Settings) -> bool:
    """Whether secrets are sent, which no node shows."""
    if intent.kind is IntentKind.REPAIR:
        return rules.has_secrets(target)
    changed = base.get(rules.EMBEDDERS) != target.get(rules.EMBEDDERS)
    return changed and (rules.has_secrets(base) or rules.has_secrets(target))


def _doubted(index: IndexView | None, view: View) -> bool:
    """Whether a node was left behind before, perhaps with another secret behind an equal mask."""
    if index is None or not rules.has_secrets(index.record.settings or {}):
        return False
    version = index.record.version
    return any(index.proved.get(n) != version for n in view.topology.node_ids)
