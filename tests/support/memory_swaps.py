"""What a swap does to the tables of `MemoryStore`: written apart from the real statements."""

from collections.abc import Mapping
from dataclasses import replace

from miroir.core.broadcast_types import NodeState
from miroir.core.topology import IndexUid
from miroir.ports.records import NOT_MOVED, HistoryEntry, Intent, SwapRecord
from tests.support.memory_tables import Tables, copy_of


def move(tables: Tables, intent: Intent, record: SwapRecord) -> int:
    """Put what each uid holds now in its place; return the version of the first."""
    assert {moved.record.uid for moved in record.indexes} == set(intent.index_uids)
    for moved in record.indexes:
        after = moved.record
        uid = after.uid
        assert after.version - tables.version(uid) == (0 if after.deleted else 1)
        tables.indexes[uid] = replace(after, settings=copy_of(after.settings))
        for table in (tables.versions, tables.lagging):
            for key in [key for key in table if key[0] == uid]:
                del table[key]
        if after.deleted:
            continue
        tables.prove(uid, moved.proved, after.version, record.at_ms)
        tables.lagging.update({(uid, n): why for n, why in moved.out_of_sync.items()})
        entry = HistoryEntry(
            index_uid=uid,
            version=after.version,
            fingerprints=copy_of(after.fingerprints),
            diff=copy_of(moved.diff),
            kind=str(intent.kind),
            by=intent.by,
            reason=intent.reason,
            intent_id=intent.intent_id,
            at_ms=record.at_ms,
        )
        tables.history.setdefault(uid, []).append(entry)
        if after.settings is not None:
            tables.settings[uid, after.version] = copy_of(after.settings)
    return tables.version(intent.index_uid)


def rename_tasks(tables: Tables, intent: Intent) -> None:
    """Earlier tasks go with their index."""
    names: dict[str, str] = {}
    for swap in intent.swaps:
        names[swap.left], names[swap.right] = swap.right, swap.left
    for task in [t for uid, t in tables.tasks.items() if uid < (intent.task_uid or 0)]:
        uid = names.get(task.index_uid or "", task.index_uid)
        details: Mapping[str, object] = task.details
        if task.type == "indexSwap":
            pairs = [
                pair | {"indexes": [names.get(uid, uid) for uid in pair["indexes"]]}
                for pair in task.details["swaps"]
            ]
            details = {**task.details, "swaps": pairs}
        tables.tasks[task.uid] = replace(
            task, index_uid=None if uid is None else IndexUid(uid), details=details
        )


def record_progress(tables: Tables, intent: Intent) -> None:
    """Who is on the way is proved at nothing; who cannot be brought back misses everything."""
    state = intent.state
    for uid in intent.index_uids:
        for node_id, progress in state.nodes.items():
            if progress.state is NodeState.VERIFIED or node_id not in state.touched:
                continue
            tables.unprove(uid, (node_id,))
            refused = progress.state is NodeState.REJECTED and progress.proposals == 1
            asked = progress.proposals > 0 and not refused
            live = uid in tables.indexes and not tables.indexes[uid].deleted
            if state.closed and state.undoing and asked and live:
                tables.lagging.setdefault((uid, node_id), NOT_MOVED)
