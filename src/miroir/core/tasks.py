"""
Node tasks -> one task, as one node would have reported it.

Replicas of a shard hold the same documents, so one of them speaks for its shard; what shards
report is summed. A replica that ended differently from its siblings deviates: it leaves the
in-sync set and does not speak. A node that missed the write does not speak either.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from miroir.core.topology import NodeId, ShardId
from miroir.errors import OutcomeUnknown

_SUMMED: Final = ("indexedDocuments", "deletedDocuments", "editedDocuments")
ENDED: Final = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True)
class Share:
    """
    One node's part of a write.

    Attributes:
        status: unsent, sent, succeeded, failed, canceled or missed.
        details: As the node reported them, if it has ended.
        error: Meilisearch error object of a failed one.
    """

    node_id: NodeId
    shard_id: ShardId
    status: str
    details: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """
    How a whole write ended.

    Attributes:
        status: succeeded, failed or canceled.
        details: Those of the accepted task, with the shards' counts summed into them.
        error: Of the first shard that failed, which it names if others ended differently.
        deviants: Replicas that ended differently from what speaks for their shard.
    """

    status: str
    details: Mapping[str, Any]
    error: Mapping[str, Any] | None
    deviants: tuple[NodeId, ...]


def outcome(details: Mapping[str, Any], shares: Sequence[Share]) -> Outcome | None:
    """Join the shares of one write; None while one of them is still under way."""
    if any(share.status in {"unsent", "sent"} for share in shares):
        return None
    spokesmen: list[Share] = []
    deviants: list[NodeId] = []
    for column in _columns(shares):
        ended = [share for share in column if share.status in ENDED]
        if not ended:
            spokesmen.append(replace(column[0], status="failed", error=_untold(column)))
            continue
        speaker = _speaker(ended)
        spokesmen.append(speaker)
        deviants += [share.node_id for share in ended if share.status != speaker.status]
    failed = [share for share in spokesmen if share.status != "succeeded"]
    status = failed[0].status if failed else "succeeded"
    error = _placed(failed[0], spokesmen) if failed else None
    return Outcome(status, _summed(details, spokesmen), error, tuple(deviants))


def _placed(failed: Share, spokesmen: Sequence[Share]) -> Mapping[str, Any] | None:
    """Return an error with the place where it arose, unless every shard says the same."""
    if failed.error is None or all(share.error == failed.error for share in spokesmen):
        return failed.error
    message = f"{failed.error.get('message', '')} (on shard {failed.shard_id})"
    return {**failed.error, "message": message}


def _untold(column: Sequence[Share]) -> Mapping[str, Any]:
    """Nobody can tell what became of this part: that is no success."""
    nodes = ", ".join(share.node_id for share in column)
    message = f"What became of a part of this write is not known: {nodes} could not tell."
    return OutcomeUnknown(message).body()


def _columns(shares: Sequence[Share]) -> Iterable[list[Share]]:
    columns: dict[ShardId, list[Share]] = {}
    for share in shares:
        columns.setdefault(share.shard_id, []).append(share)
    return columns.values()


def _speaker(ended: list[Share]) -> Share:
    """Prefer what most replicas report, and of equals the success."""
    statuses = [share.status for share in ended]
    return max(ended, key=lambda s: (statuses.count(s.status), s.status == "succeeded"))


def _summed(details: Mapping[str, Any], spokesmen: Sequence[Share]) -> dict[str, Any]:
    summed = dict(details)
    for name in _SUMMED:
        counts = [
            s.details[name] for s in spokesmen if s.details and s.details.get(name) is not None
        ]
        if name in details or counts:
            summed[name] = sum(counts)
    return summed
