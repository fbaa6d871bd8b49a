"""What the commit of a common object makes true: features and keys alike."""

from collections.abc import Mapping
from typing import Any

from miroir.core.broadcast_types import Broadcast
from miroir.ports.records import CommitRecord, Intent, IntentKind
from miroir.services.carriers.base import by_engine, left_behind, proofs


def commit_of(
    intent: Intent, base: Mapping[str, Any], state: Broadcast, at_ms: int
) -> CommitRecord:
    """Adopt what is wanted; what a repair carries is in force already."""
    change = intent.kind is not IntentKind.REPAIR
    pairs = {name: [intent.undo.get(name), value] for name, value in intent.patch.items()}
    return CommitRecord(
        settings={**base, **intent.patch} if change else None,
        fingerprints=by_engine(state),
        proved=proofs(state),
        unproved=left_behind(state),
        raise_version=change,
        diff={name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
        primary_key=None,
        deleted=False,
        task_details={},
        at_ms=at_ms,
    )
