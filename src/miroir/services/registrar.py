"""
Takes in wanted settings: one entrance to the protocol for every route, the CLI and the sweep.

Accepts or refuses; carrying out is the broadcaster's. Validity is asked of a probe before an
intent is opened, so that a refused change leaves no trace; equal settings open no intent and touch
no node. What a write was made for (`If-Match`) is judged under the lock of the index, where
nothing can be accepted in between.
"""

from dataclasses import dataclass, field

import orjson

from miroir.core import rollback, settings as rules
from miroir.core.settings_normal import says_null
from miroir.core.settings_told import told
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import (
    IndexNotFound,
    MiroirError,
    SettingsVersionMismatch,
    SettingsVersionNotFound,
    SettingsVersionNotKept,
    Unavailable,
)
from miroir.ports.node import NodeReply, NodeRequest, Settings
from miroir.ports.records import Care, Intent, IntentKind, NewTask, TaskRecord
from miroir.services.cluster import IndexView
from miroir.services.intake import Intake, Wish, check_uid, not_found
from miroir.services.prober import Prober, said_of
from miroir.services.view import View


class RefusedByNode(MiroirError):
    """
    A node's own no, to be passed on word for word.

    Attributes:
        reply: The node's answer.
    """

    code = "bad_request"
    http_status = 400
    error_type = "invalid_request"

    def __init__(self, reply: NodeReply) -> None:
        super().__init__(f"a node refused with status {reply.status}")
        self.reply = reply


@dataclass(frozen=True)
class Base:
    """
    The settings that a write was made for.

    Attributes:
        said: As the client said it.
        versions: Any of these; None: whichever, if only there are settings.
    """

    said: str
    versions: frozenset[str] | None = None


@dataclass(frozen=True)
class Rollback:
    """
    A wish to have the settings of a former version back, as a new version.

    Attributes:
        version: The former one.
        base: See `SettingsWrite`.
    """

    index_uid: IndexUid
    version: int
    base: Base | None = None
    by: str = "client"
    reason: str = ""


@dataclass(frozen=True)
class SettingsWrite:
    """
    One settings request of a client.

    Attributes:
        index_uid: Its index.
        patch: What it means for the whole settings object, by key; None if the body is not JSON.
        request: As it came, with the path after `/indexes/{uid}`; asked of the probe for the
            engine's own words.
        resets: Whether it is a DELETE, which never creates an index.
        base: What it was made for; None: it does not matter.
        by: Who asks.
        reason: Why.
        care: How carefully it is made.
    """

    index_uid: IndexUid
    patch: Settings | None
    request: NodeRequest
    resets: bool
    base: Base | None = None
    by: str = "client"
    reason: str = ""
    care: Care = field(default_factory=Care)


class Registrar:
    """Accepts or refuses settings; those of one index one after the other."""

    def __init__(self, *, intake: Intake, prober: Prober) -> None:
        self._intake = intake
        self._prober = prober

    async def change_settings(self, write: SettingsWrite) -> TaskRecord:
        """
        Accept a settings change and return its task.

        Raises:
            RefusedByNode: The engine says that the settings are not valid; nothing was touched.
            InvalidIndexUid: The uid can never name an index.
            SettingsVersionMismatch: They are not those that the write was made for.
        """
        check_uid(write.index_uid)
        async with self._intake.lock(write.index_uid):
            return await self._change_settings(write)

    async def _change_settings(self, write: SettingsWrite) -> TaskRecord:
        view = self._intake.cluster.view
        self._check_base(write.index_uid, write.base)
        missing = not view.will_exist(write.index_uid)
        if missing and write.resets:
            task = self._task(write, write.patch or {})
            return await self._intake.fail(task, not_found(write.index_uid))
        before = view.last_target(write.index_uid)
        if write.patch is None:
            refusal = await self._prober.refusal_of_body(write.request)
            if refusal is None:
                raise Unavailable("no node can judge the body")
            raise RefusedByNode(said_of(write.index_uid, refusal))
        patch = self._reset(write.index_uid) if write.resets and not write.patch else write.patch
        fresh = await self._prober.defaults() if before is None or says_null(patch) else {}
        target = rules.resolve(before or {**rules.defaults(), **fresh}, patch, fresh)
        wish = Wish(
            IntentKind.CHANGE, write.by, patch, target, reason=write.reason, care=write.care
        )
        task = self._task(write, patch)
        return await self._accept(view, wish, write.request, task)

    def _reset(self, index_uid: IndexUid) -> dict[str, None]:
        """Return null for every key in force; keys of changes that wait may never be."""
        index = self._intake.cluster.view.live(index_uid)
        in_force = index.record.settings if index is not None else None
        return rules.reset_patch(in_force or rules.defaults())

    async def roll_back(self, wanted: Rollback) -> TaskRecord:
        """
        Accept a return to a former version, deleted and re-created indexes included.

        Raises:
            IndexNotFound: There is no index to bring anything back to.
            SettingsVersionNotFound: It never had this version.
            SettingsVersionNotKept: Of this version only the difference was kept.
            RefusedByNode: The engine of today refuses these settings; nothing was touched.
            SettingsVersionMismatch: As with a change.
        """
        check_uid(wanted.index_uid)
        async with self._intake.lock(wanted.index_uid):
            return await self._roll_back(wanted)

    async def _roll_back(self, wanted: Rollback) -> TaskRecord:
        uid = wanted.index_uid
        former = await self._former(wanted)
        view = self._intake.cluster.view
        index = view.indexes.get(uid)
        if index is None or not view.will_exist(uid):
            raise IndexNotFound(f"Index `{uid}` not found.")
        self._check_base(uid, wanted.base)
        target = rollback.target(view.last_target(uid) or rules.defaults(), former)
        in_force = index.record.settings or rules.defaults()  # Of one that is being made anew.
        bases = (in_force, *(i.target for i in index.accepted if i.target))
        patch = rollback.patch((rules.defaults(), *bases) if index.accepted else bases, target)
        reason = f"rollback to version {wanted.version}"
        reason += f": {wanted.reason}" if wanted.reason else ""
        # Complete values: what the engine says of them is what it would say of that version.
        body = orjson.dumps(patch)
        request = NodeRequest("PATCH", "/settings", body, "application/json")
        wish = Wish(IntentKind.ROLLBACK, wanted.by, patch, target, reason=reason)
        task = self._intake.task(uid, "settingsUpdate", told(patch))
        return await self._accept(view, wish, request, task)

    async def _former(self, wanted: Rollback) -> Settings:
        store, uid, version = self._intake.store, wanted.index_uid, wanted.version
        # In this order: a version that is committed in between has its settings, too.
        known = [e.version for e in await store.history(uid, limit=1, from_version=version)]
        if known != [version]:
            raise SettingsVersionNotFound(f"Index `{uid}` never had settings version {version}.")
        former = await store.settings_of(uid, version)
        if former is not None:
            return former
        raise SettingsVersionNotKept(
            f"Of settings version {version} of index `{uid}` only the difference is known: it was "
            "committed by a release that did not keep complete settings."
        )

    async def _accept(
        self, seen: View, wish: Wish, request: NodeRequest, task: NewTask
    ) -> TaskRecord:
        """
        Accept what is wanted, unless it is there already or an engine refuses it.

        What waited when the target was made (`seen`) is in it, though it may have ended since.
        """
        intake, index_uid = self._intake, task.index_uid
        assert index_uid is not None, "settings are an index's"
        if self._is_in_force(index_uid, wish.target):
            return await intake.store.open_task(task, status="succeeded")
        index = seen.indexes.get(index_uid)
        alone = index is None or not index.accepted
        asked = rules.asked_of_nodes(wish.patch)
        refusal = await self._prober.refusal(wish.target, asked, request, alone=alone)
        if refusal is not None:
            raise RefusedByNode(said_of(index_uid, refusal))
        if await self._looks_in_force(index_uid, wish.target):
            return await intake.store.open_task(task, status="succeeded")
        if not intake.will_exist(index_uid):
            implied = Wish(IntentKind.CREATE, by="implied by a settings write")
            await intake.open(index_uid, implied)
        return await intake.accept(index_uid, wish, task)

    def _check_base(self, index_uid: IndexUid, base: Base | None) -> None:
        """Refuse what was made for other settings; one accepted and not ended is another."""
        if base is None:
            return
        index = self._intake.cluster.view.live(index_uid)
        if index is None:
            raise SettingsVersionMismatch(f"Index `{index_uid}` has no settings to match.")
        if base.versions is None:
            return
        version = index.record.version
        if any(_moves(index, intent) for intent in index.accepted):
            raise SettingsVersionMismatch(
                f"The settings of index `{index_uid}` are about to leave version {version}: a "
                f"change was accepted and has not ended (`If-Match: {base.said}`)."
            )
        if str(version) not in base.versions:
            raise SettingsVersionMismatch(
                f"The settings of index `{index_uid}` are at version {version}, which does not "
                f"match `If-Match: {base.said}`."
            )

    async def repair(self, index_uid: IndexUid, nodes: tuple[NodeId, ...], reason: str) -> Intent:
        """Open an intent that brings nodes back to the committed settings."""
        settings = self._intake.cluster.view.indexes[index_uid].record.settings
        assert settings is not None, "only a committed version can be repaired to"
        return await self._intake.open(
            index_uid,
            Wish(IntentKind.REPAIR, "reconciler", target=settings, reason=reason, nodes=nodes),
        )

    def _is_in_force(self, index_uid: IndexUid, target: Settings) -> bool:
        """Whether nothing is to be done: equal, nothing queued, and no node known to differ."""
        index = self._at_rest(index_uid)
        if index is None:
            return False
        # To the letter, too: to an engine `The` and `the` are two stop words.
        current = index.record.settings or {}
        return rules.same(current, target) and not rules.exact_patch(current, target)

    async def _looks_in_force(self, index_uid: IndexUid, target: Settings) -> bool:
        """Whether engines are known to make of `target` what is in force, secrets included."""
        forms = await self._prober.known_forms(target)
        index = self._at_rest(index_uid)
        if index is None or set(forms) != set(index.record.fingerprints):
            return False
        secrets = {rules.EMBEDDERS: (index.record.settings or {}).get(rules.EMBEDDERS)}
        equal = rules.same(secrets, {rules.EMBEDDERS: target.get(rules.EMBEDDERS)})
        return equal and forms == dict(index.record.fingerprints)

    def _at_rest(self, index_uid: IndexUid) -> IndexView | None:
        """Return the index if nothing is queued for it and no node is known to differ."""
        view = self._intake.cluster.view
        index = view.live(index_uid)
        if index is None or index.accepted or index.record.settings is None:
            return None
        proved = {n for n, v in index.proved.items() if v == index.record.version}
        rests = index.record.frozen_reason is None and view.healthy <= proved
        return index if rests else None

    def _task(self, write: SettingsWrite, patch: Settings) -> NewTask:
        whole = write.resets and not write.patch  # Of an index that may not be there.
        details = told(rules.reset_patch(rules.defaults()) if whole else patch)
        return self._intake.task(write.index_uid, "settingsUpdate", details)


def _moves(index: IndexView, intent: Intent) -> bool:
    """Whether an open intent may still lead to another version than the committed one."""
    if intent.kind in {IntentKind.REPAIR, IntentKind.UPDATE}:
        return False
    if intent.kind.moves_indexes:
        return True
    begun = index.intent is not None and index.intent.intent_id == intent.intent_id
    # Of one that has committed only the last nodes follow.
    return not (begun and index.record.version > intent.base_version)
