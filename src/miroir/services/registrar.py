"""
Takes in wanted settings: one entrance to the protocol for every route, the CLI and the sweep.

Accepts or refuses; carrying out is the broadcaster's. Validity is asked of a probe before an
intent is opened, so that a refused change leaves no trace; equal settings open no intent and touch
no node.
"""

from dataclasses import dataclass

from miroir.core import settings as rules
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import MiroirError, Unavailable
from miroir.ports.node import NodeReply, NodeRequest, Settings
from miroir.ports.records import Intent, IntentKind, NewTask, TaskRecord
from miroir.services.cluster import IndexView
from miroir.services.intake import Intake, Wish, check_uid, not_found
from miroir.services.prober import Prober


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
class SettingsWrite:
    """
    One settings request of a client.

    Attributes:
        index_uid: Its index.
        patch: What it means for the whole settings object, by key; None if the body is not JSON.
        request: As it came, with the path after `/indexes/{uid}`; asked of the probe for the
            engine's own words.
        resets: Whether it is a DELETE, which never creates an index.
        by: Who asks.
        reason: Why.
    """

    index_uid: IndexUid
    patch: Settings | None
    request: NodeRequest
    resets: bool
    by: str = "client"
    reason: str = ""


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
        """
        check_uid(write.index_uid)
        async with self._intake.lock(write.index_uid):
            return await self._change_settings(write)

    async def _change_settings(self, write: SettingsWrite) -> TaskRecord:
        index = self._intake.cluster.view.indexes.get(write.index_uid)
        missing = index is None or not index.will_exist
        if missing and write.resets:
            return await self._intake.fail(self._task(write, {}), not_found(write.index_uid))
        base = (index.last_target if index else None) or rules.defaults()
        if write.patch is None:
            refusal = await self._prober.refusal_of_body(write.request)
            raise RefusedByNode(refusal) if refusal else Unavailable("no node can judge the body")
        patch = rules.reset_patch(base) if write.resets and not write.patch else write.patch
        target = rules.resolve(base, patch)
        if self._is_in_force(write.index_uid, target):
            return await self._intake.store.open_task(self._task(write, patch), status="succeeded")
        alone = index is None or not index.accepted
        refusal = await self._prober.refusal(target, tuple(patch), write.request, alone=alone)
        if refusal is not None:
            raise RefusedByNode(refusal)
        if await self._looks_in_force(write.index_uid, target):
            return await self._intake.store.open_task(self._task(write, patch), status="succeeded")
        if missing:
            implied = Wish(IntentKind.CREATE, by="implied by a settings write")
            await self._intake.open(write.index_uid, implied)
        wish = Wish(IntentKind.CHANGE, write.by, patch, target, reason=write.reason)
        return await self._intake.accept(write.index_uid, wish, self._task(write, patch))

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
        return index is not None and rules.same(index.record.settings or {}, target)

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
        details = {} if write.resets and not write.patch else rules.shown(patch)
        return self._intake.task(write.index_uid, "settingsUpdate", details)
