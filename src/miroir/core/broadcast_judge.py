"""
What the states of the nodes mean for a change: is it carried, by whom, and why not.

Questions only; what follows from the answers is decided in `broadcast.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from miroir.core.broadcast_types import Broadcast, NodeState, Progress
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import SettingsNotVerified


def may_say_no(state: Broadcast) -> bool:
    """Whether a refusal ends the change: what goes only forward ends so while nobody has acted."""
    return not state.forward or all(did_nothing(p) for p in state.nodes.values())


def doubt_disagreeing(state: Broadcast) -> Broadcast:
    """Without a probe result, nodes of one engine must at least agree with each other."""
    by_engine: dict[str, set[str]] = {}
    for node_id in state.verified:
        progress = state.nodes[node_id]
        by_engine.setdefault(progress.engine or "", set()).add(progress.fingerprint or "")
    torn = {e for e, seen in by_engine.items() if len(seen) > 1 and e not in state.expected}
    if not torn or state.undoing:
        return state
    doubted = {
        n: replace(p, state=NodeState.DIFFERENT)
        for n, p in state.nodes.items()
        if p.state is NodeState.VERIFIED and (p.engine or "") in torn
    }
    return replace(state, nodes={**state.nodes, **doubted})


def carries(state: Broadcast) -> bool:
    """Whether the verified nodes are enough to go on to the commit without the silent ones."""
    silent = [n for n, p in state.nodes.items() if p.state is NodeState.SILENT]
    if not silent:
        return True
    planned = {n for wave in state.waves[state.wave + 1 : state.commit_after] for n in wave}
    others = {n for c in state.columns for n in c} - {n for w in state.waves for n in w}
    return state.covers((set(state.verified) | planned | others) - set(silent))


def is_needed(state: Broadcast, node_id: NodeId) -> bool:
    """Whether a patient change has to wait for this node: those not given up do not cover."""
    silent = {n for n, p in state.nodes.items() if p.state is NodeState.SILENT}
    return state.patient and not state.covers(set().union(*state.columns) - silent - {node_id})


def verified_anew(before: Broadcast | None, after: Broadcast) -> frozenset[NodeId]:
    """
    Return the nodes that this step proves: read back in it, or first of all decided in it.

    Of the others it says nothing: whoever was found changed by somebody else since it was read
    stays unproved, however long the change goes on with other nodes.
    """
    same = before is not None and before.decision is after.decision
    return frozenset(after.verified).difference(before.verified if before and same else ())


def restored(state: Broadcast) -> bool:
    """Whether a covering set is back at the base of an abort, or never left it."""
    untouched = set().union(*state.columns) - set(state.touched)
    return state.covers(untouched | set(state.verified))


def stranded(state: Broadcast) -> tuple[NodeId, ...]:
    """Nodes that may have done what was asked, and are neither verified nor brought back."""
    return tuple(
        n
        for n, p in state.nodes.items()
        if p.state is not NodeState.VERIFIED and not did_nothing(p)
    )


def shown(state: Broadcast) -> dict[str, str]:
    """What the verified nodes show binds every later wave, also where no probe could say it."""
    verified = (state.nodes[n] for n in state.verified)
    return {p.engine: p.fingerprint for p in verified if p.engine and p.fingerprint}


def did_nothing(progress: Progress) -> bool:
    """Whether the node was left out from the start, or refused the only proposal it ever got."""
    refused_all = progress.state is NodeState.REJECTED and progress.proposals == 1
    return refused_all or progress.proposals == 0


def cause(state: Broadcast) -> Mapping[str, Any]:
    """Return the node's own error that ended the change; ours where no node gave one."""
    failed = {n: p for n, p in state.nodes.items() if p.state is not NodeState.VERIFIED}
    errors = [p.error for p in failed.values() if p.error is not None]
    if errors:
        return errors[0]
    seen = "; ".join(f"{n}: {', '.join(p.faults) or p.state}" for n, p in failed.items())
    message = f"Settings of index `{state.index_uid}` could not be verified ({seen})."
    return SettingsNotVerified(message).body()


def meddled(index_uid: IndexUid, node_ids: Iterable[NodeId]) -> Mapping[str, Any]:
    """Return the error of a change that somebody else's changes never let come to its commit."""
    names = ", ".join(f"`{node_id}`" for node_id in sorted(node_ids))
    message = f"Index `{index_uid}` was changed directly on {names}, again and again."
    return SettingsNotVerified(message).body()
