"""
Guards around a change: searches while it runs, drift, silent nodes, engines, leftovers.

Those of the change itself are in `guards.py`, which has the table.
"""

from dataclasses import replace
from typing import Any, Final

from miroir.core import broadcast_messages as m, drift
from miroir.services import carriers, cluster, inspector, planner, prober, scatter
from miroir.services.carriers import settings as settings_carrier
from miroir.services.feed import Feed
from miroir.services.inspector import Inspector
from miroir.services.intent_run import IntentRun
from miroir.services.leftovers import Leftovers
from miroir.services.scatter import Gathered, Scatter
from miroir.services.suspects import Suspects
from tests.simulation.taking_out import Guards, Patch
from tests.support.memory_tables import Tables


def _halves() -> list[Patch]:
    """All nodes are changed at once although one half could serve."""
    return [(planner, "halves", lambda *_: None)]


def _stirred() -> list[Patch]:
    """A node that was changed and restored under an answer counts as never changed."""
    return [(cluster, "stirred", lambda before, _proved: before.stirred)]


def _flag() -> list[Patch]:
    """Answers that may mix versions do not say so."""
    ask = Scatter.ask

    async def unflagged(self: Scatter, wish: Any) -> Gathered:
        gathered = await ask(self, wish)
        return Gathered(gathered.replies, gathered.version, inconsistent=False)

    return [(Scatter, "ask", unflagged)]


def _floor() -> list[Patch]:
    """A floor is not looked at when nodes are chosen."""
    choose = scatter.choices

    def any_version(candidates: Any, *, floor: Any = None) -> Any:
        return choose(candidates, floor=None)

    return [(scatter, "choices", any_version)]


def _documents_done() -> list[Patch]:
    """A node returns although documents are queued behind its change."""

    async def at_once(*_: Any) -> None:
        return None

    return [(IntentRun, "_documents_done", at_once)]


def _cancelled_is_ended() -> list[Patch]:
    """A task that somebody has cancelled counts as one that has ended well."""
    wait = IntentRun._await_task

    async def trusting(self: IntentRun, node_id: Any, task_uid: int, round_: int) -> m.Event:
        task = await self._tools.watcher.ended(node_id, task_uid)
        if task is not None and task.status == "canceled":
            return m.TaskEnded(node_id, round_)
        return await wait(self, node_id, task_uid, round_)

    return [(IntentRun, "_await_task", trusting)]


def _upgraded() -> list[Patch]:
    """The engine of a read-back is the one of the last check of health."""

    async def never(*_: Any) -> bool:
        return False

    return [(IntentRun, "_was_upgraded", never)]


def _doubted_secrets() -> list[Patch]:
    """A node that was left behind is believed to have the secrets of its equal mask."""
    return [(planner, "_doubted", lambda *_: False)]


def _verdicts() -> list[Patch]:
    """Any refusal of a node is taken for a judgement of the settings."""
    return [(prober, "_is_verdict", lambda status: status >= 400)]


def _full_target() -> list[Patch]:
    """The client's delta is sent, not what leads to the full target."""
    send = carriers.SettingsCarrier.send

    async def delta(self: Any, node_id: Any, engine: str, state: Any) -> Any:
        patch = self._intent.patch
        if state.undoing or not patch:
            return await send(self, node_id, engine, state)
        return await self._control.patch_settings(node_id, self._intent.index_uid, patch)

    return [(carriers.SettingsCarrier, "send", delta)]


def _left_behind() -> list[Patch]:
    """Nodes that a commit leaves behind keep their proof in the store."""
    return [(settings_carrier, "left_behind", lambda state: ())]


def _foreign_tasks() -> list[Patch]:
    """A foreign task does not demote; the sweep finds what it did."""

    async def nothing(*_: Any, **__: Any) -> None:
        return None

    return [(Suspects, "suspect", nothing)]


def _began_anew() -> list[Patch]:
    """Task uids that went down are not noticed."""

    async def nothing(*_: Any) -> None:
        return None

    return [(Feed, "_began_anew", nothing)]


def _repair_budget() -> list[Patch]:
    """Repairs are made for ever."""
    decide = drift.decide

    def again(watch: Any, finding: Any, **options: Any) -> Any:
        return decide(watch, finding, **{**options, "repairs_max": 10**9})

    return [(inspector.drift, "decide", again)]


def _engine_classes() -> list[Patch]:
    """Fingerprints of different engines are compared with each other."""
    look = drift.look

    def across(desired: Any, forms: Any, engine: str, seen: Any, *rest: Any) -> Any:
        one = dict.fromkeys((engine, *forms), next(iter(forms.values()), ""))
        return look(desired, one, engine, seen, *rest)

    return [(inspector.drift, "look", across)]


def _leftovers() -> list[Patch]:
    """What a silent node has kept of a deleted index stays there."""

    async def nothing(*_: Any) -> None:
        return None

    return [(Leftovers, "look", nothing)]


def _quiet() -> list[Patch]:
    """A look counts also while a change of the index is open."""

    def always(self: Inspector, index_uid: Any, node_id: Any) -> Any:
        view = self._tools.cluster.view
        return view.live(index_uid) if node_id in view.healthy else None

    return [(Inspector, "_quiet", always)]


def _epochs() -> list[Patch]:
    """Guarded writes compare revisions, and no epochs."""
    guarded = Tables.guarded

    def any_epoch(self: Tables, intent: Any, lease: Any) -> Any:
        return guarded(self, intent, replace(lease, epoch=self.leases[lease.scope].epoch))

    return [(Tables, "guarded", any_epoch)]


def _revisions() -> list[Patch]:
    """Guarded writes compare epochs, and no revisions."""
    guarded = Tables.guarded

    def any_revision(self: Tables, intent: Any, lease: Any) -> Any:
        newest = self.intents[intent.intent_id].intent.revision
        return guarded(self, replace(intent, revision=newest), lease)

    return [(Tables, "guarded", any_revision)]


def _unknown_outcomes() -> list[Patch]:
    """A request without an answer has done nothing."""
    apply = IntentRun._apply

    async def hopeful(self: IntentRun, node_id: Any, round_: int) -> m.Event:
        event = await apply(self, node_id, round_)
        if isinstance(event, m.PatchUnanswered):
            return m.TaskEnded(node_id, round_)
        return event

    return [(IntentRun, "_apply", hopeful)]


AROUND: Final[Guards] = {
    "one half serves": _halves,
    "changed and restored is changed": _stirred,
    "an answer that may mix says so": _flag,
    "a floor is kept": _floor,
    "documents are awaited": _documents_done,
    "a cancelled task is no success": _cancelled_is_ended,
    "the engine is asked after a read-back": _upgraded,
    "doubted secrets are sent": _doubted_secrets,
    "only verdicts refuse": _verdicts,
    "the full target is sent": _full_target,
    "who is left behind is not proved": _left_behind,
    "a foreign task demotes": _foreign_tasks,
    "a list that went back is noticed": _began_anew,
    "repairs have a budget": _repair_budget,
    "engines are judged by their own form": _engine_classes,
    "leftovers are taken away": _leftovers,
    "no look while a change is open": _quiet,
    "epochs are compared": _epochs,
    "revisions are compared": _revisions,
    "unknown outcomes are resolved": _unknown_outcomes,
}
