"""
Judges a history from outside: the invariants of the settings protocol, one method each.

The judge has its own idea of what a committed version is: the clients' patches, applied one after
the other by the rules of the engine (`sim_engine`), to an index that began empty. It trusts no
fingerprint, header or flag of Miroir's.

Names of the invariants are those of settings-protocol section 11. Places that are empty until the
protocol has them: waves never mix, a returning replica holds its documents, the feed's bound.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

import orjson

from miroir.node.errors import ApiError
from tests.support.sim_engine import Engine, Stored, digest
from tests.support.sim_events import (
    Accepted,
    Answered,
    Closed,
    Committed,
    Departed,
    Event,
    Guarded,
    NodeChanged,
    NodeRead,
    Opened,
    Proofs,
    Refused,
    Started,
    Switched,
    Ticked,
    Written,
)

SECRET = "PLANTED"
_MASK = re.compile(r"X{3,6}\.\.\.")
_PROBE = "_miroir_probe"


class Violation(Exception):
    """An invariant is broken; the text says which and how."""


@dataclass
class _Node:
    """One (node, index)."""

    truth: bytes | None = None
    foreign_s: float | None = None
    cured_s: float = -1.0
    read_s: float = -1.0
    calm_since_s: float | None = None


@dataclass
class _Index:
    version: int = 0
    deleted: bool = True
    ends: list[tuple[float, int]] = field(default_factory=list)
    """When each version was committed."""
    known: list[tuple[float, int]] = field(default_factory=list)
    """When each was known to those who answer."""
    wanted: dict[int, dict[str, Stored]] = field(default_factory=dict)
    """Version -> engine -> settings that the patches lead to."""
    started: int | None = None
    bound: dict[tuple[int, str], str] = field(default_factory=dict)


class Checker:
    """
    Takes events in; raises `Violation` at the first that cannot be.

    Attributes:
        accepted: Tasks that clients know of, and what they were last told.
        commits: How many commits there were.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        *,
        columns: Sequence[Sequence[str]],
        drift_bound_s: float,
    ) -> None:
        self._engines = engines
        self._columns = columns
        self._kinds = {engine.version: engine for engine in engines.values()}
        self._drift_bound_s = drift_bound_s
        self._indexes: dict[str, _Index] = {}
        self._nodes: dict[tuple[str, str], _Node] = {}
        self._intents: dict[int, Opened] = {}
        self._committed: set[int] = set()
        self._proved: dict[tuple[str, str], dict[str, int]] = {}
        self._fits: dict[tuple[bytes, str, int, str], bool] = {}
        self.accepted: dict[int, Accepted] = {}

    def see(self, event: Event) -> None:
        match event:
            case Ticked():
                pass
            case Opened():
                self._intents[event.intent] = event
            case Started():
                self._one_started_intent(event)
            case Closed():
                self._close(event)
            case Committed():
                self._commit_once(event)
                self._versions_form_a_chain(event)
                self._one_fingerprint_for_ever(event)
                self._rests_on_a_cover(event)
                self._learn(event)
            case Switched():
                self._index(event.index).known.append((event.at_s, event.version))
            case Guarded():
                self._no_write_under_an_old_epoch(event)
            case NodeChanged():
                self._deleted_is_never_created_again(event)
                self._note_truth(event)
            case NodeRead():
                self._node(event.node, event.index).read_s = event.at_s
            case Proofs():
                self._proved_shows_what_was_committed(event)
            case Departed():
                self._durable_before_it_leaves(event)
                self._no_mask_is_sent(event)
            case Answered():
                self._floor_is_kept(event)
                self._header_is_true(event)
            case Accepted():
                self._a_task_never_goes_back(event)
            case Refused():
                if event.valid:
                    raise Violation(f"a valid change of {event.index} was refused")
            case Written():
                self._no_secret_comes_out(event)
            case _:
                assert_never(event)

    # ---- intents and versions

    def _one_started_intent(self, event: Started) -> None:
        index = self._index(event.index)
        if index.started not in {None, event.intent}:
            raise Violation(f"{event.index}: {event.intent} began while {index.started} is open")
        index.started = event.intent

    def _close(self, event: Closed) -> None:
        index = self._index(event.index)
        if index.started == event.intent:
            index.started = None
        converged = event.phase == "converged"
        if converged != (event.intent in self._committed):
            raise Violation(f"intent {event.intent} ended {event.phase}, which is not so")

    def _commit_once(self, event: Committed) -> None:
        if event.intent in self._committed:
            raise Violation(f"intent {event.intent} was committed twice")
        self._committed.add(event.intent)

    def _versions_form_a_chain(self, event: Committed) -> None:
        index = self._index(event.index)
        wanted = index.version + 1 if event.raised else index.version
        if (event.base, event.version) != (index.version, wanted):
            raise Violation(
                f"{event.index}: {event.base} -> {event.version} after {index.version}"
            )

    def _one_fingerprint_for_ever(self, event: Committed) -> None:
        bound = self._index(event.index).bound
        for engine, fingerprint in event.fingerprints.items():
            if bound.setdefault((event.version, engine), fingerprint) != fingerprint:
                raise Violation(f"{event.index}: two fingerprints of version {event.version}")

    def _rests_on_a_cover(self, event: Committed) -> None:
        proved = event.proved
        if proved is not None and not all(set(c) & set(proved) for c in self._columns):
            raise Violation(f"{event.index}: {event.version} was committed on {proved} alone")

    def _learn(self, event: Committed) -> None:
        """Work out what the new version means, from the patch alone."""
        index = self._index(event.index)
        before = {} if index.deleted else index.wanted.get(index.version, {})
        base = {kind: before.get(kind, {}) for kind in self._kinds}
        patch = self._intents[event.intent].patch if event.kind == "change" else None
        if patch is not None:
            base = {kind: self._patched(kind, base[kind], patch, event) for kind in base}
        index.version, index.deleted = event.version, event.deleted
        index.wanted[event.version] = base
        index.ends.append((event.at_s, event.version))

    def _patched(
        self, kind: str, base: Stored, patch: Mapping[str, Any], event: Committed
    ) -> Stored:
        engine = self._kinds[kind]
        known = {k: v for k, v in patch.items() if k not in engine.lacks}
        try:
            return engine.apply(base, [engine.parse(known)])
        except ApiError as error:
            raise Violation(
                f"{event.index}: a patch that {kind} refuses was committed ({error})"
            ) from error

    def _no_write_under_an_old_epoch(self, event: Guarded) -> None:
        if event.epoch < event.newest_epoch:
            raise Violation(f"{event.name} under epoch {event.epoch} of {event.newest_epoch}")
        if event.revision < event.newest_revision:
            raise Violation(
                f"{event.name} over revision {event.newest_revision} from {event.revision}"
            )

    # ---- nodes

    def _deleted_is_never_created_again(self, event: NodeChanged) -> None:
        index = self._indexes.get(event.index)
        if index is None or event.origin != "own" or event.truth is None:
            return
        # A creation that was aborted may still be queued on a node that fell silent: that leaves
        # an index which nobody uses, until laggards are caught up with.
        if (
            index.deleted
            and event.by == "settingsUpdate"
            and self._node(event.node, event.index).truth is None
        ):
            raise Violation(f"{event.index} was deleted, and is created again on {event.node}")

    def _note_truth(self, event: NodeChanged) -> None:
        node = self._node(event.node, event.index)
        again = node.truth == event.truth and node.foreign_s is not None
        node.truth = event.truth
        if event.origin != "own" and not again:
            node.foreign_s = event.at_s

    def _proved_shows_what_was_committed(self, event: Proofs) -> None:
        index = self._index(event.index)
        before = self._proved.get((event.source, event.index), {})
        self._proved[event.source, event.index] = dict(event.proved)
        for (name, uid), node in self._nodes.items():
            if uid != event.index:
                continue
            if name not in event.calm:
                node.calm_since_s = None
            elif node.calm_since_s is None:
                node.calm_since_s = event.at_s
            if self._shows(name, uid, index.version, node.truth):
                self._cure(node, event.at_s)
        for name, version in event.proved.items():
            node = self._node(name, event.index)
            if self._shows(name, event.index, version, node.truth):
                continue
            fresh = before.get(name) != version
            if node.foreign_s is not None and self._only_secrets(name, event.index, version):
                continue  # Nobody can see that, until the feed tells of it.
            if not self._excused(node, event.at_s, fresh=fresh):
                raise Violation(
                    f"{event.index}: the {event.source} holds {name} proved at {version}, but "
                    + self._contrast(name, event.index, version, node.truth)
                )

    @staticmethod
    def _cure(node: _Node, now_s: float) -> None:
        if node.foreign_s is not None:
            node.foreign_s, node.cured_s = None, now_s

    def _excused(self, node: _Node, now_s: float, *, fresh: bool) -> bool:
        """Whether somebody else changed it so lately that nobody could have found out."""
        if node.foreign_s is None:
            return False
        if fresh and node.foreign_s < node.read_s:
            return False  # It was read after that, and should not have been believed.
        if node.calm_since_s is None:
            return True
        return now_s - max(node.foreign_s, node.calm_since_s) <= self._drift_bound_s

    def _shows(self, name: str, uid: str, version: int, truth: bytes | None) -> bool:
        if truth is None:
            return False
        engine = self._engines[name]
        key = (truth, uid, version, engine.version)
        if key not in self._fits:
            self._fits[key] = self._compare(engine, uid, version, truth)
        return self._fits[key]

    def _compare(self, engine: Engine, uid: str, version: int, truth: bytes) -> bool:
        """Among several engines, a default of one may be made explicit on another."""
        wanted = self._index(uid).wanted.get(version)
        if wanted is None:
            return False
        own = engine.truth(wanted[engine.version])
        if digest(own) == truth:
            return True
        if len(self._kinds) == 1:
            return False
        truths = [kind.truth(wanted[kind.version]) for kind in self._kinds.values()]
        seen: dict[str, Any] = orjson.loads(truth)
        return all(any(value == t.get(key, own) for t in truths) for key, value in seen.items())

    def _only_secrets(self, name: str, uid: str, version: int) -> bool:
        """Whether a node serves all that can be seen, under another key with an equal mask."""
        wanted = self._index(uid).wanted.get(version)
        truth = self._node(name, uid).truth
        if wanted is None or truth is None:
            return False
        engine = self._engines[name]
        own, seen = engine.truth(wanted[engine.version]), orjson.loads(truth)
        hidden = "the secrets"
        return digest({**own, hidden: None}) == digest({**seen, hidden: None})

    def _contrast(self, name: str, uid: str, version: int, truth: bytes | None) -> str:
        if truth is None:
            return "it does not have the index"
        wanted = self._index(uid).wanted.get(version)
        if wanted is None:
            return "there is no such version"
        engine = self._engines[name]
        own, seen = engine.truth(wanted[engine.version]), orjson.loads(truth)
        keys = [key for key in seen if seen[key] != own.get(key)]
        return "; ".join(f"{k}: {seen[k]!r} instead of {own.get(k)!r}" for k in keys)

    # ---- what leaves

    def _durable_before_it_leaves(self, event: Departed) -> None:
        if event.index != _PROBE and event.durable != "sending":
            raise Violation(
                f"{event.name} left for {event.node} while the store says {event.durable}"
            )

    def _no_mask_is_sent(self, event: Departed) -> None:
        embedders = event.body.get("embedders") or {}
        for value in embedders.values():
            if _MASK.search(str((value or {}).get("apiKey") or "")):
                raise Violation(f"a masked secret was sent to {event.node}")

    def _no_secret_comes_out(self, event: Written) -> None:
        if SECRET in event.text:
            raise Violation(f"a secret in an output: {event.text}")

    # ---- answers and tasks

    def _floor_is_kept(self, event: Answered) -> None:
        if event.floor is not None and (event.version < event.floor or event.flagged):
            raise Violation(f"floor {event.floor} was answered with {event.version}")

    def _header_is_true(self, event: Answered) -> None:
        versions = {v for at_s, v in self._index(event.index).ends if at_s <= event.at_s}
        known = [v for at_s, v in self._index(event.index).known if at_s <= event.began_s]
        if event.version not in versions or event.version < max(known, default=0):
            raise Violation(f"{event.index}: version {event.version} was not in force")
        if event.flagged:
            return
        for name, truth in event.truths.items():
            node = self._node(name, event.index)
            excused = self._excused(node, event.at_s, fresh=False)
            excused = excused or node.cured_s >= event.began_s
            if not self._shows(name, event.index, event.version, truth) and not excused:
                raise Violation(
                    f"{event.index}: the header says {event.version}, but on {name} "
                    + self._contrast(name, event.index, event.version, truth)
                )

    def _a_task_never_goes_back(self, event: Accepted) -> None:
        order = ("enqueued", "processing", "succeeded", "failed", "canceled")
        known = self.accepted.get(event.task)
        if known is not None:
            ended = known.status in order[2:]
            if ended and known.status != event.status:
                raise Violation(f"task {event.task} was {known.status}, is {event.status}")
            if order.index(event.status) < order.index(known.status):
                raise Violation(f"task {event.task} went back to {event.status}")
        self.accepted[event.task] = event

    # ---- lookups

    def _index(self, uid: str) -> _Index:
        return self._indexes.setdefault(uid, _Index())

    def _node(self, name: str, uid: str) -> _Node:
        return self._nodes.setdefault((name, uid), _Node())
