"""
Statements about swaps of indexes: several rows change in one transaction, all or none.

Parts of transactions of `store_intents`, which has the guards; the contract is `ports/store.py`.
"""

from miroir.adapters import store_history, store_indexes
from miroir.adapters.store_transaction import Transaction
from miroir.core.broadcast_judge import stranded
from miroir.core.broadcast_types import Broadcast, NodeState
from miroir.ports.records import NOT_MOVED, Intent, MovedIndex, SwapRecord


def move(tx: Transaction, intent: Intent, record: SwapRecord) -> int:
    """Write what each uid holds now; return the version of the intent's first one."""
    moved = {one.record.uid: one for one in record.indexes}
    assert tuple(sorted(moved)) == intent.index_uids, "a swap is whole"
    for one in moved.values():
        _put(tx, intent, one, record.at_ms)
    return moved[intent.index_uid].record.version


def _put(tx: Transaction, intent: Intent, moved: MovedIndex, at_ms: int) -> None:
    after = moved.record
    before = store_indexes.index(tx, after.uid)
    version = 0 if before is None else before.version
    assert after.version == version + (not after.deleted), "versions form one chain"
    store_indexes.put_index(tx, after)
    tx.run("DELETE FROM node_settings_version WHERE index_uid = ?", after.uid)
    tx.run("DELETE FROM out_of_sync WHERE index_uid = ?", after.uid)
    if after.deleted:
        return
    store_indexes.set_proved(tx, after.uid, moved.proved, after.version, at_ms)
    for node_id, why in moved.out_of_sync.items():
        store_indexes.set_out_of_sync(tx, after.uid, node_id, why)
    store_history.add_moved(tx, intent, moved, at_ms)


def settle_progress(tx: Transaction, intent: Intent, state: Broadcast) -> None:
    """Unprove whoever is on the way; leave out whoever an abort could not bring back."""
    on_the_way = [n for n in state.touched if state.nodes[n].state is not NodeState.VERIFIED]
    lost = stranded(state) if state.closed and state.undoing else ()
    for index_uid in intent.index_uids:
        store_indexes.unprove(tx, index_uid, on_the_way)
        record = store_indexes.index(tx, index_uid)
        if record is None or record.deleted:
            continue
        for node_id in lost:
            store_indexes.set_out_of_sync(tx, index_uid, node_id, NOT_MOVED)
