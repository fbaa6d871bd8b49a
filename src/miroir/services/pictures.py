"""
The view as messages, and back: what a reader has to know, and no more.

The main process compares what it told last with what is now, by identity: views are immutable and
replaced where they change. A reader makes the same view of it, in one step. Intents do not travel;
what reads ask of them does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from miroir.core.topology import IndexUid, NodeId
from miroir.ports.reader import IndexSeen, KeysSeen, Picture
from miroir.ports.records import IndexRecord
from miroir.services.cluster import Cluster, IndexView
from miroir.services.known_keys import CopiedKeys, KeyTable, KnownKeys


@dataclass(frozen=True)
class IndexCopy(IndexView):
    """
    One index in the view of a reader.

    Attributes:
        changing: See `IndexView.in_flight`.
        kept_free: See `IndexView.spared`.
    """

    changing: bool = False
    kept_free: frozenset[NodeId] = frozenset()

    @property
    def in_flight(self) -> bool:
        """See `IndexView`."""
        return self.changing

    @property
    def spared(self) -> frozenset[NodeId]:
        """See `IndexView`."""
        return self.kept_free


class Pictures:
    """What readers were told last, and what they are to be told."""

    def __init__(self, *, cluster: Cluster, commons: Cluster, keys: KnownKeys) -> None:
        self._cluster = cluster
        self._commons = commons
        self._keys = keys
        self._told: Mapping[IndexUid, IndexView] = {}
        self._told_keys: KeyTable | None = None

    @property
    def healthy(self) -> frozenset[NodeId]:
        """Nodes that answer."""
        return self._cluster.view.healthy

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener()` whenever there may be something to tell."""
        self._cluster.on_change(listener)
        self._commons.on_change(listener)

    def whole(self, number: int) -> Picture:
        """Return everything, for a reader that knows nothing; the others have been told it."""
        self._told, self._told_keys = self._cluster.view.indexes, self._keys.now_known()
        changed = tuple(_seen(index, None) for index in self._told.values())
        return Picture(number, self.healthy, changed, keys=_keys(self._told_keys))

    def since_last(self, number: int) -> Picture:
        """Return what is not as it was told last."""
        indexes, keys = self._cluster.view.indexes, self._keys.now_known()
        told, self._told = self._told, indexes
        changed = tuple(
            _seen(index, before.record if (before := told.get(uid)) is not None else None)
            for uid, index in indexes.items()
            if told.get(uid) is not index
        )
        gone = tuple(uid for uid in told if uid not in indexes)
        news = None if keys is self._told_keys else _keys(keys)
        self._told_keys = keys
        return Picture(number, self.healthy, changed, gone, news)


def take_over(picture: Picture, cluster: Cluster, keys: CopiedKeys) -> None:
    """Make the step that a picture shows."""
    known = cluster.view.indexes
    if picture.changed or picture.gone or picture.healthy != cluster.view.healthy:
        cluster.take_over(
            healthy=picture.healthy,
            changed=[_copy(seen, known.get(seen.uid)) for seen in picture.changed],
            gone=picture.gone,
        )
    if picture.keys is not None:
        keys.take_over(picture.keys.known, picture.keys.live)


def _seen(index: IndexView, told: IndexRecord | None) -> IndexSeen:
    return IndexSeen(
        uid=index.record.uid,
        record=None if index.record is told else index.record,
        proved=index.proved,
        out_of_sync=index.out_of_sync,
        stirred=index.stirred,
        in_flight=index.in_flight,
        spared=index.spared,
    )


def _copy(seen: IndexSeen, before: IndexView | None) -> IndexCopy:
    record = seen.record
    if record is None:
        assert before is not None, "an index is told whole the first time"
        record = before.record
    return IndexCopy(
        record=record,
        proved=seen.proved,
        out_of_sync=seen.out_of_sync,
        stirred=seen.stirred,
        changing=seen.in_flight,
        kept_free=seen.spared,
    )


def _keys(table: KeyTable) -> KeysSeen:
    return KeysSeen(tuple(table.hashes), table.live)
