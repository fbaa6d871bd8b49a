"""
Judges a history from outside: the invariants of the settings protocol, one method each.

The judge has its own idea of what a committed version is (`sim_meanings`), its own book of what
every node shows and by whose doing (`sim_shown`), and its own look into every answer
(`sim_answers`). It trusts no fingerprint, header or flag of Miroir's.

Where each invariant of settings-protocol section 11 is checked (`C.` stands for Checker here, `A.`
for AnswerJudge, `E.` for `sim_ends`, which looks when the faults have stopped):

| invariant | where |
|---|---|
| a version has one fingerprint for ever | C._one_fingerprint_for_ever |
| versions form one chain | C._versions_form_a_chain, C._commit_once |
| a version is committed on a covering set | C._rests_on_a_cover |
| one open intent per index (that was started) | C._one_started_intent |
| no write under an old epoch | C._no_write_under_an_old_epoch |
| an included node serves what was committed, but for young foreign changes | C._proved_shows_what_was_committed |
| with waves no answer mixes versions | A._does_not_mix, A._may_be_flagged, A._was_not_changed_under_way |
| header = truth | A._shows_what_the_header_says, A._names_a_version_in_force |
| a floor is never broken | A._keeps_the_floor, A.judge_denied |
| an accepted change never vanishes | C._a_task_never_goes_back, E.all_ends |
| an aborted change leaves every included node at base | C._close, then C._proved_shows_what_was_committed |
| equal settings send zero tasks | E.nothing_for_equal_settings, C._one_proposal_each |
| what is taken for nothing to do is nothing | AskedJudge.unmoved |
| a write is never committed over a version that its client had not seen | AskedJudge.committed |
| a write that was made for what is in force is not refused as stale | AskedJudge.mismatched |
| a way back leads to exactly what that version meant | C._learn, then C._proved_shows_what_was_committed |
| every node has the committed primary key | E.primary_keys_are_as_committed |
| a deleted index is never re-created | C._deleted_is_never_created_again |
| no masked or planted secret in a request or an output | C._no_mask_is_sent, C._no_secret_comes_out |
| nothing leaves that is not durable | C._durable_before_it_leaves |
| what is right is not repaired (engine skew is no drift) | C._repairs_what_differs |
| a node returns only with its documents done | C.see, at Returned |
| nothing of a deleted index stays on a node | E.nothing_stays_behind |
| a node whose task list went back is filled again | E.what_went_back_is_filled |
| keys and features of a proved node are those committed | CommonsJudge.proofs |
| keys that are nobody's of ours are never touched | CommonsJudge.changed |
| a client is told of no key or feature that is not in force | CommonsJudge.answered |
| in the end every node has the same keys (and values) and features | E.commons_are_equal |
| same seed, same log | tests/simulation/test_repeatable.py |
| every intent ends, every healthy node is included again | E.all_ends |
| repairs stop within their budget | C._repairs_have_a_budget, E.stays_quiet |
"""  # noqa: E501

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

import orjson

from miroir.core.commons import COMMONS
from miroir.node.errors import ApiError
from tests.support.sim_answers import AnswerJudge, Violation
from tests.support.sim_asked import AskedJudge
from tests.support.sim_commons import CommonsJudge
from tests.support.sim_engine import Engine
from tests.support.sim_events import (
    Accepted,
    Answered,
    Closed,
    Committed,
    CommonAnswered,
    CommonChanged,
    Denied,
    Departed,
    Event,
    Guarded,
    Mismatched,
    NodeChanged,
    NodeRead,
    Opened,
    Proofs,
    Refused,
    Returned,
    Started,
    Switched,
    Ticked,
    Unmoved,
    Upgraded,
    Written,
)
from tests.support.sim_meanings import Meanings
from tests.support.sim_shown import Bounds, Shown

__all__ = ["SECRET", "Bounds", "Checker", "Rules", "Violation"]

SECRET: Final = "PLANTED"
_MASK: Final = re.compile(r"X{3,6}\.\.\.")
_PROBE: Final = "_miroir_probe"
_LIFECYCLE: Final = {"create", "delete", "swap"}


@dataclass(frozen=True)
class Rules:
    """
    What a history is judged by.

    Attributes:
        columns: The nodes of each shard.
        bounds: How long somebody else's change may go unseen.
        calm: Nothing goes wrong at all: nobody is asked for the same twice.
        one_version: See `AnswerJudge`.
        repairs_max: In a row, of one index of one node.
    """

    columns: Sequence[Sequence[str]]
    bounds: Bounds
    repairs_max: int = 5
    calm: bool = False
    one_version: bool = False


@dataclass
class _Index:
    version: int = 0
    deleted: bool = True
    started: int | None = None
    bound: dict[tuple[int, str], str] = field(default_factory=dict)


class Checker:
    """
    Takes events in; raises `Violation` at the first that cannot be.

    Attributes:
        accepted: Tasks that clients know of, and what they were last told.
        asked: The judge of what clients asked for.
        commons: The judge of keys and features.
    """

    def __init__(
        self, engines: Mapping[str, Engine], rules: Rules, *, later: Sequence[Engine] = ()
    ) -> None:
        self._rules = rules
        self._meanings = Meanings(engines, later)
        self._shown = Shown(self._meanings, rules.bounds)
        self._answers = AnswerJudge(self._meanings, self._shown, one_version=rules.one_version)
        self.asked = AskedJudge(self._meanings)
        self.commons = CommonsJudge(rules.bounds.other_s)
        self._indexes: dict[str, _Index] = {}
        self._intents: dict[int, Opened] = {}
        self._committed: set[int] = set()
        self._proved: dict[tuple[str, str], dict[str, int]] = {}
        self._repairs: dict[tuple[str, str], list[float]] = {}
        self._proposals: dict[tuple[int, str], int] = {}
        self.accepted: dict[int, Accepted] = {}

    def see(self, event: Event) -> None:
        """Judge one event."""
        match event:
            case Ticked():
                pass
            case Opened() | Started() | Closed() | Committed() | Guarded():
                self._see_intent(event)
            case CommonChanged():
                self.commons.changed(event)
            case CommonAnswered():
                self.commons.answered(event)
            case NodeChanged():
                self._deleted_is_never_created_again(event)
                self._shown.changed(event)
            case Upgraded():
                self._meanings.upgraded(event.node, event.engine)
            case NodeRead():
                self._shown.at(event.node, event.index).read_s = event.at_s
            case Proofs() if event.index in COMMONS:
                self.commons.proofs(event)
            case Proofs():
                self._proved_shows_what_was_committed(event)
            case Returned():
                if event.lags:
                    raise Violation(f"{event.index}: {event.node} answers before its documents")
            case Departed():
                self._durable_before_it_leaves(event)
                self._no_mask_is_sent(event)
                self._one_proposal_each(event)
            case Switched():
                self._answers.switched(event.index, event.at_s, event.version)
            case Answered():
                self._answers.judge(event)
            case Denied():
                self._answers.judge_denied(event)
            case Accepted():
                self._a_task_never_goes_back(event)
            case Refused():
                if event.valid:
                    raise Violation(f"a valid change of {event.index} was refused")
            case Mismatched():
                self.asked.mismatched(event)
            case Unmoved():
                self.asked.unmoved(event)
            case Written():
                self._no_secret_comes_out(event)
            case _:
                assert_never(event)

    def _see_intent(self, event: Opened | Started | Closed | Committed | Guarded) -> None:
        match event:
            case Opened():
                self._open(event)
            case Started():
                self._one_started_intent(event)
            case Closed():
                self._close(event)
                self.asked.closed(event)
                self.commons.closed(event)
            case Committed():
                self._commit_once(event)
                self._versions_form_a_chain(event)
                self._one_fingerprint_for_ever(event)
                self._repairs_have_a_budget(event)
                self._learn(event)
            case Guarded():
                self._no_write_under_an_old_epoch(event)
            case _:
                assert_never(event)

    # ---- intents and versions

    def _open(self, event: Opened) -> None:
        self._intents[event.intent] = event
        if event.index in COMMONS:
            self.commons.opened(event)
            return
        self.asked.opened(event)
        self._repairs_what_differs(event)

    def _one_started_intent(self, event: Started) -> None:
        index = self._index(event.index)
        if index.started not in {None, event.intent}:
            raise Violation(f"{event.index}: {event.intent} began while {index.started} is open")
        index.started = event.intent
        opened = self._intents.get(event.intent)
        if opened is not None and opened.kind in _LIFECYCLE:
            self._answers.ends(event.index, float("inf"))

    def _close(self, event: Closed) -> None:
        index = self._index(event.index)
        if index.started == event.intent:
            index.started = None
            self._answers.ends(event.index, float("inf") if index.deleted else event.at_s)
            self._answers.converged(event.index, event.at_s, index.version)
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
        columns = self._rules.columns
        if proved is not None and not all(set(c) & set(proved) for c in columns):
            raise Violation(f"{event.index}: {event.version} was committed on {proved} alone")

    def _learn(self, event: Committed) -> None:
        """Work out what the new version means, from the patch alone."""
        index, opened = self._index(event.index), self._intents[event.intent]
        if event.index in COMMONS:
            self.commons.committed(event)
            index.version = event.version
            return
        self._rests_on_a_cover(event)
        self.asked.committed(event, opened)
        patch = opened.patch if event.kind == "change" else None
        base = None if index.deleted else index.version
        try:
            self._meanings.learn(
                event.index, event.version, base=base, patch=patch, former=opened.asked.former
            )
        except ApiError as error:
            raise Violation(
                f"{event.index}: a patch that an engine refuses was committed ({error})"
            ) from error
        index.version, index.deleted = event.version, event.deleted
        self._answers.committed(event.index, event.at_s, event.version)

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
            and self._shown.at(event.node, event.index).truth is None
        ):
            raise Violation(f"{event.index} was deleted, and is created again on {event.node}")

    def _proved_shows_what_was_committed(self, event: Proofs) -> None:
        index = self._index(event.index)
        before = self._proved.get((event.source, event.index), {})
        self._proved[event.source, event.index] = dict(event.proved)
        self._shown.looked_at(event, index.version)
        for name, version in event.proved.items():
            node = self._shown.at(name, event.index)
            if self._meanings.shows(name, event.index, version, node.truth):
                continue
            fresh = before.get(name) != version
            if node.foreign_s is not None and self._meanings.shows_but_for_secrets(
                name, event.index, version, node.truth
            ):
                continue  # Nobody can see that, until the feed tells of it.
            if not self._shown.excused(node, event.at_s, fresh=fresh):
                raise Violation(
                    f"{event.index}: the {event.source} holds {name} proved at {version}, but "
                    + self._meanings.contrast(name, event.index, version, node.truth)
                )

    def _repairs_what_differs(self, event: Opened) -> None:
        """
        A repair is for a node that shows something else, or was just changed by somebody.

        Shapes and defaults that differ between engine versions are no reason. A node that was left
        behind by a change of secrets is sent them again, since masks tell nothing.
        """
        if event.kind != "repair":
            return
        index = self._index(event.index)
        proved = self._proved.get(("view", event.index), {})
        for name in event.nodes:
            page = self._shown.at(name, event.index)
            right = self._meanings.shows(name, event.index, index.version, page.truth)
            right = right and self._is_as_its_siblings(name, event.index, index.version)
            lately = event.at_s - max(page.cured_s, page.foreign_s or -1.0) < _LATELY_S
            unsure = proved.get(name) != index.version and b'"apiKey"' in (page.truth or b"")
            engine = self._meanings.engines[name]
            # A version that no node of this engine was there for, and another default in it.
            news = engine.defaults and (index.version, engine.version) not in index.bound
            if right and not lately and not unsure and not news:
                raise Violation(f"{event.index}: {name} is right, and is to be repaired")

    def _is_as_its_siblings(self, name: str, uid: str, version: int) -> bool:
        """
        Whether a node serves what all proved nodes do, as far as its engine knows the keys.

        Where engines have different defaults, a version makes one of them everybody's own: each is
        right by the patches, but a node that begins anew with the other is not like the rest.
        """
        proved = self._proved.get(("view", uid), {})
        truth = self._shown.at(name, uid).truth
        others = [self._shown.at(o, uid).truth for o, v in proved.items() if v == version]
        return all(other is None or _agree(truth, other) for other in others)

    def _repairs_have_a_budget(self, event: Committed) -> None:
        """A repair that does not hold is not made for ever: each may be a reindex."""
        if event.kind != "repair":
            return
        for name in self._intents[event.intent].nodes:
            times = self._repairs.setdefault((event.index, name), [])
            if times and event.at_s - times[-1] > self._rules.bounds.other_s:
                times.clear()
            times.append(event.at_s)
            if len(times) > self._rules.repairs_max:
                raise Violation(f"{event.index}: {name} was repaired {len(times)} times in a row")

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

    def _one_proposal_each(self, event: Departed) -> None:
        """Where nothing goes wrong no node is sent a change twice: each may be a reindex."""
        started = self._index(event.index).started
        if not self._rules.calm or started is None or event.name != "patch_settings":
            return
        count = self._proposals.get((started, event.node), 0) + 1
        self._proposals[started, event.node] = count
        if count > 1:
            raise Violation(f"intent {started} was sent to {event.node} {count} times")

    def _no_secret_comes_out(self, event: Written) -> None:
        if SECRET in event.text:
            raise Violation(f"a secret in an output: {event.text}")

    # ---- tasks

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

    def _index(self, uid: str) -> _Index:
        return self._indexes.setdefault(uid, _Index())


_LATELY_S: Final = 5.0
"""Between a look at a node, a second one, and a repair."""


def _agree(one: bytes | None, other: bytes) -> bool:
    ours, theirs = orjson.loads(one or b"{}"), orjson.loads(other)
    return all(theirs.get(key, value) == value for key, value in ours.items())
