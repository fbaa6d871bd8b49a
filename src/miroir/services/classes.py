"""
Learns how settings in force look to an engine class that no commit has seen.

A feature that is switched, or a new version of Meilisearch, gives all nodes another class, and no
fingerprint of it is known: until one is, nodes are judged by the keys alone, which is weaker. So
the settings go through the probe index of a node of that class; where a live, proved node shows
the same form, that form is bound to the committed version. Nothing live is written to, no version
rises.
"""

import structlog

from miroir.core import settings as rules
from miroir.core.features import class_shown
from miroir.core.fingerprint import fingerprint
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import MiroirError, NodeError
from miroir.ports.node import NodeControl, Settings
from miroir.ports.store import Store
from miroir.services.cluster import Cluster, IndexView
from miroir.services.prober import Prober

_log = structlog.get_logger(__name__)


class Classes:
    """Binds fingerprints of further engine classes to committed versions."""

    def __init__(
        self, *, control: NodeControl, store: Store, cluster: Cluster, prober: Prober
    ) -> None:
        self._control = control
        self._store = store
        self._cluster = cluster
        self._prober = prober

    async def learn(self) -> None:
        """Learn what is not known of any index at rest; nothing to do is the rule."""
        for uid in list(self._cluster.view.indexes):
            for engine, node_id in self._unknown(uid).items():
                try:
                    await self._learn(uid, engine, node_id)
                except MiroirError as error:
                    _log.info("class_not_learnt", index=uid, engine=engine, why=str(error))

    def _unknown(self, uid: IndexUid) -> dict[str, NodeId]:
        """Return engine classes without a fingerprint, with a proved node of each."""
        index = self._at_rest(uid)
        if index is None:
            return {}
        view = self._cluster.view
        proved = [n for n, version in index.proved.items() if version == index.record.version]
        classes = {view.engines[n]: n for n in proved if n in view.healthy and n in view.engines}
        known = index.record.fingerprints
        return {engine: node_id for engine, node_id in classes.items() if engine not in known}

    def _at_rest(self, uid: IndexUid) -> IndexView | None:
        index = self._cluster.view.live(uid)
        return None if index is None or index.accepted or not index.record.settings else index

    async def _learn(self, uid: IndexUid, engine: str, node_id: NodeId) -> None:
        index = self._at_rest(uid)
        if index is None:
            return
        record, desired = index.record, index.record.settings or {}
        verdict = await self._prober.expected(desired)
        shown = await self._shown(uid, node_id)
        if shown is None or class_shown(engine, shown) != engine:
            return
        form = fingerprint(shown)
        if verdict.expected.get(engine) != form or rules.differences(desired, shown):
            _log.info("class_not_learnt", index=uid, engine=engine, why="the probe shows another")
            return
        learnt = await self._store.learn(
            uid, version=record.version, engine=engine, fingerprint=form, settings=_news(shown)
        )
        if learnt is not None:
            self._cluster.apply_record(learnt)
            _log.info("class_learnt", index=uid, engine=engine, version=record.version)

    async def _shown(self, uid: IndexUid, node_id: NodeId) -> Settings | None:
        try:
            return await self._control.read_settings(node_id, uid)
        except NodeError:
            return None  # The next look says what is the matter with it.


def _news(shown: Settings) -> Settings:
    """Leave out what may hold a mask: it is never taken for a value."""
    return {key: value for key, value in shown.items() if key != rules.EMBEDDERS}
