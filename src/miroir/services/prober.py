"""
Asks a real node whether settings are valid and how they will look, before a live index is touched.

The full target goes to a reserved, hidden, permanently empty index on one healthy node per engine
class. Its HTTP answer decides validity; its read-back is the normal form and the fingerprint
that every node of that version must show. Cheap, because an empty index has nothing to reindex;
bounded, because a node's queue may be busy: after `probe_wait_s` the change goes on without it.

The probe index of a node serves one target at a time (a lock per node). Results are kept in the
store for ever; a target that was probed once is never sent again for that engine version.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson
import structlog
from msgspec import structs

from miroir.core import settings as rules
from miroir.core.engine_keys import shared_defaults
from miroir.core.features import class_shown
from miroir.core.fingerprint import digest, fingerprint
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeError, NodeRefused, Unavailable
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeReply, NodeRequest, Settings
from miroir.ports.store import Store
from miroir.services.cluster import Cluster
from miroir.services.ledger import accepted_task
from miroir.services.watcher import TaskWatcher

PROBE_INDEX: Final = IndexUid("_miroir_probe")
_STEPS_MAX: Final = 2  # An embedder may have to be removed before it can be made anew.
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Verdict:
    """
    What the probe said of a target.

    Attributes:
        refusal: The node's own answer that the target is not valid, or None.
        expected: Engine version -> fingerprint; lacks engines that could not be asked in time.
    """

    refusal: NodeReply | None = None
    expected: Mapping[str, str] = field(default_factory=dict)

    def of(self, index_uid: IndexUid) -> "Verdict":
        """Return it with an error that names the client's index instead of the probe's."""
        if self.refusal is None:
            return self
        return replace(self, refusal=said_of(index_uid, self.refusal))


@dataclass(frozen=True)
class _Question:
    """What is to be learnt: the form of a target, or of a fresh index (None)."""

    target: Settings | None
    touched: tuple[str, ...]

    def patch(self, before: Settings) -> dict[str, Any]:
        """Return what brings the probe index there, from whatever it shows."""
        if self.target is None:
            return dict.fromkeys(before)
        return rules.whole_patch(before, self.target, self.touched)

    def faults(self, shown: Settings) -> tuple[str, ...]:
        """Keys that are not as asked for."""
        return () if self.target is None else rules.contradictions(self.target, shown)


@dataclass
class _Run:
    """One target on its way through the probe index of one node."""

    answered: "asyncio.Future[NodeRefused | None]"
    shown: "asyncio.Future[Settings | NodeRefused | None]"


class Prober:
    """Keeps what engines make of settings."""

    def __init__(
        self,
        *,
        control: NodeControl,
        store: Store,
        cluster: Cluster,
        watcher: TaskWatcher,
        clock: Clock,
        wait_s: float,
    ) -> None:
        self._control = control
        self._store = store
        self._cluster = cluster
        self._watcher = watcher
        self._clock = clock
        self._wait_s = wait_s
        self._locks: dict[NodeId, asyncio.Lock] = {}
        self._runs: dict[tuple[str, str], _Run] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Give the probes a home until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await asyncio.get_running_loop().create_future()  # For ever.

    async def refusal(
        self, target: Settings, touched: tuple[str, ...], request: NodeRequest, *, alone: bool
    ) -> NodeReply | None:
        """
        Return the engine's refusal of `target` in its words for the client, or None.

        Args:
            target: Complete settings.
            touched: Keys of the client's own, which an engine has to know.
            request: The client's own, with the path after `/indexes/{uid}`; sent to the probe
                index when the target is refused, so that the client gets the error word for word.
            alone: Whether the target rests on committed settings only. Else what is refused may
                be a change that waits before this one and was never judged.
        """
        for engine, node_id in self._one_node_per_engine().items():
            if await self._kept(target, engine) is not None:
                continue
            asked = _Question(target, touched)
            answer = await self._in_time(self._start(asked, engine, node_id).answered)
            if isinstance(answer, NodeRefused):
                words = await self._own_words(node_id, request)
                if words is not None or alone:
                    return words or _as_reply(answer)
        return None

    async def refusal_of_body(self, request: NodeRequest) -> NodeReply | None:
        """Return what an engine says to a body that cannot be read; None if nobody answers."""
        for node_id in self._one_node_per_engine().values():
            if (reply := await self._own_words(node_id, request)) is not None:
                return reply
        return None

    async def expected(self, target: Settings | None, touched: tuple[str, ...] = ()) -> Verdict:
        """Return what each engine shows for `target` (None: a fresh index), if known in time."""
        expected: dict[str, str] = {}
        for engine, node_id in self._one_node_per_engine().items():
            shown = await self._kept(target, engine)
            if shown is None:
                asked = _Question(target, touched)
                result = await self._in_time(self._start(asked, engine, node_id).shown)
                if isinstance(result, NodeRefused):
                    return Verdict(refusal=_as_reply(result))
                shown = result
            if shown is not None:
                expected[engine] = fingerprint(shown)
        return Verdict(expected=expected)

    async def fresh(self, engines: Iterable[str]) -> Mapping[str, Settings]:
        """Return engine -> what it shows of a fresh index, if known in time: its defaults."""
        await self.expected(None)
        found = {engine: await self._kept(None, engine) for engine in engines}
        return {engine: shown for engine, shown in found.items() if shown is not None}

    async def defaults(self) -> Settings:
        """Return what null leads to on every engine at hand alike, if known in time."""
        return shared_defaults((await self.fresh(self._one_node_per_engine())).values())

    async def fresh_form(self, engine: str) -> Settings:
        """Return what a fresh index shows on an engine class; where not known, on 1.50."""
        return await self._kept(None, engine) or rules.defaults()

    async def committed_form(
        self, settings: Settings, fingerprints: Mapping[str, str], engine: str
    ) -> Settings:
        """
        Return what nodes of an engine class have to show while a version is in force.

        Its settings; but of an index that is as it was made, what a fresh index of that class
        shows: where defaults differ, there is one such form for each class.

        Args:
            settings: Of the version.
            fingerprints: Of the version, per class.
            engine: Class.
        """
        fresh = await self._kept(None, engine)
        was_made_so = fresh is not None and fingerprints.get(engine) == fingerprint(fresh)
        return fresh if fresh is not None and was_made_so else settings

    async def known_forms(self, target: Settings) -> Mapping[str, str]:
        """Return engine -> fingerprint of `target`, as far as it was probed before."""
        kept = {e: await self._kept(target, e) for e in self._one_node_per_engine()}
        return {e: fingerprint(shown) for e, shown in kept.items() if shown is not None}

    def _one_node_per_engine(self) -> dict[str, NodeId]:
        view = self._cluster.view
        chosen: dict[str, NodeId] = {}
        for node_id in view.topology.node_ids:
            if node_id in view.healthy and node_id in view.engines:
                chosen.setdefault(view.engines[node_id], node_id)
        return chosen

    async def _kept(self, target: Settings | None, engine: str) -> Settings | None:
        return await self._store.expected(hash_of(target), engine)

    def _start(self, asked: _Question, engine: str, node_id: NodeId) -> _Run:
        """Join the run of this target, or start one."""
        assert self._group is not None, "run() comes first"
        key = (hash_of(asked.target), engine)
        if key not in self._runs:
            loop = asyncio.get_running_loop()
            self._runs[key] = _Run(loop.create_future(), loop.create_future())
            self._group.create_task(self._probe(key, asked, node_id))
        return self._runs[key]

    async def _probe(self, key: tuple[str, str], asked: _Question, node_id: NodeId) -> None:
        run = self._runs[key]
        lock = self._locks.setdefault(node_id, asyncio.Lock())
        try:
            async with lock:
                shown = await self._through_the_index(run, asked, node_id)
            if shown is not None and not await self._is_of(node_id, key[1], shown):
                _log.info("probe_of_another_class", node=node_id, engine=key[1])
                shown = None
            if shown is not None:
                await self._store.keep_expected(*key, shown)
            run.shown.set_result(shown)
        except NodeRefused as refused:
            # A node that is full, or knows another key, says nothing about the settings.
            _settle(run, refused if _is_verdict(refused.status) else None)
        except (NodeError, Unavailable) as error:
            _log.info("probe_unanswered", node=node_id, why=str(error))
            _settle(run, None)
        finally:
            del self._runs[key]

    async def _is_of(self, node_id: NodeId, engine: str, shown: Settings) -> bool:
        """
        Whether the node was of this engine class when it showed that.

        A feature may have been switched, the node upgraded while its task waited: what is kept
        under the wrong class is what every node of it would be measured by, for ever.
        """
        return class_shown(engine, shown) == engine == await self._control.engine(node_id)

    async def _through_the_index(
        self, run: _Run, asked: _Question, node_id: NodeId
    ) -> Settings | None:
        faults: tuple[str, ...] = ()
        shown: Settings | None = await self._probe_settings(node_id)
        for _ in range(_STEPS_MAX):
            assert shown is not None
            shown = await self._step(run, node_id, asked.patch(shown))
            if shown is None or not (faults := asked.faults(shown)):
                return shown
        _log.warning("probe_shows_other_settings", node=node_id, keys=faults)
        return None  # Not evidence: live nodes are compared with the target itself.

    async def _step(self, run: _Run, node_id: NodeId, patch: Settings) -> Settings | None:
        uid = await self._control.patch_settings(node_id, PROBE_INDEX, patch)
        if not run.answered.done():
            run.answered.set_result(None)
        task = await self._watcher.ended(node_id, uid)
        if task is None or task.status == "canceled":
            return None
        if task.error is not None:
            if task.error.get("type") != "invalid_request":
                return None  # The node's trouble, not the settings'.
            raise NodeRefused(400, task.error)
        return await self._control.read_settings(node_id, PROBE_INDEX)

    async def _probe_settings(self, node_id: NodeId) -> Settings:
        """Return what the probe index shows; make it where it is not there yet."""
        try:
            return await self._control.read_settings(node_id, PROBE_INDEX)
        except NodeRefused:
            uid = await self._control.patch_settings(node_id, PROBE_INDEX, {})
            await self._watcher.ended(node_id, uid)
            return await self._control.read_settings(node_id, PROBE_INDEX)

    async def _own_words(self, node_id: NodeId, request: NodeRequest) -> NodeReply | None:
        """Send the client's own request to the probe index; return the reply if it is a no."""
        assert self._group is not None
        asked = structs.replace(request, path=f"/indexes/{PROBE_INDEX}{request.path}")
        answered: asyncio.Future[NodeReply | None] = asyncio.get_running_loop().create_future()
        self._group.create_task(self._ask(node_id, asked, answered))
        reply: NodeReply | None = await self._in_time(answered)
        return reply if reply is not None and _is_verdict(reply.status) else None

    async def _ask(
        self, node_id: NodeId, request: NodeRequest, answered: "asyncio.Future[NodeReply | None]"
    ) -> None:
        """
        Have a node say what it thinks of a request; next comes who asks when all of it has ended.

        What is accepted may fail as a task, and so would the next probe in the same batch.
        """
        async with self._locks.setdefault(node_id, asyncio.Lock()):
            try:
                reply = await self._control.forward(node_id, request)
                answered.set_result(reply)
                if (uid := accepted_task(reply)) is not None:
                    await self._watcher.ended(node_id, uid)
            except NodeError as error:
                _log.info("probe_unanswered", node=node_id, why=str(error))
                if not answered.done():
                    answered.set_result(None)

    async def _in_time(self, future: "asyncio.Future[Any]") -> Any:
        """Wait for at most `probe_wait_s`; None when it takes longer."""
        assert self._group is not None
        timer = self._group.create_task(self._clock.sleep(self._wait_s))
        try:
            await asyncio.wait({future, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        return future.result() if future.done() else None


def _is_verdict(status: int) -> bool:
    """Whether an answer judges what was sent; others tell of the node, or of our key."""
    return status in {400, 413, 415}


def _settle(run: _Run, outcome: NodeRefused | None) -> None:
    for future in (run.answered, run.shown):
        if not future.done():
            future.set_result(outcome)


def hash_of(target: Settings | None) -> str:
    """Name a target; secrets masked, since the name is stored in clear."""
    return "fresh" if target is None else digest(rules.shown(target))


def said_of(index_uid: IndexUid, reply: NodeReply) -> NodeReply:
    """Return what a node has said of the probe's index as if said of the client's."""
    probe, client = (f"`{uid}`".encode() for uid in (PROBE_INDEX, index_uid))
    return structs.replace(reply, body=reply.body.replace(probe, client))


def _as_reply(refused: NodeRefused) -> NodeReply:
    return NodeReply(refused.status, {}, orjson.dumps(refused.error))
