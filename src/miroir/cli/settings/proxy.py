"""
Settings through Miroir: its admin API, and nothing else of it but two reads of the public one.

Numbers of documents and their past writes come from the public API; where the key does not open
that one, the plan says that it does not know. Everything else is versions, intents and views of
`/_miroir/*`, which the console and others use as well.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal
from urllib.parse import quote

from miroir.cli.admin_client import AdminClient, Refused
from miroir.cli.settings.durations import seconds_of
from miroir.cli.settings.target import (
    Json,
    Live,
    Moved,
    NodeInfo,
    NodeProgress,
    Order,
    Past,
    Progress,
    Running,
    Ticket,
    Unfit,
    Version,
)
from miroir.core.estimate import Estimate, PastChange, PastIndexing, estimate
from miroir.core.secret_places import scrubbed
from miroir.core.setting_cost import class_of, effect, worst

_ENDED_WELL: Final = frozenset({"converged"})
_ENDED_BADLY: Final = frozenset({"refused", "aborted", "frozen", "canceled"})
_HISTORY: Final = 50
_GUESSES_MAX: Final = 20
_MOVED: Final = frozenset({409, 412})


class ProxyTarget:
    """
    A Miroir.

    Args:
        admin: With the admin key.
        public: With a key for its public side.
    """

    kind: Literal["meilisearch", "miroir"] = "miroir"
    versioned = True

    def __init__(self, admin: AdminClient, public: AdminClient) -> None:
        self._admin = admin
        self._public = public
        self._guesses: dict[int, Estimate | None] = {}
        self.url = admin.url

    def nodes(self) -> tuple[NodeInfo, ...]:
        """Return the nodes of the topology."""
        return tuple(
            NodeInfo(
                node["id"],
                node["url"],
                healthy=node["healthy"],
                engine=node.get("engine"),
                where=f"shard {node['shard']}, group {node['replicaGroup']}",
            )
            for node in self.topology()["topology"]["nodes"]
        )

    def topology(self) -> Json:
        """Return nodes and indexes, as `GET /_miroir/topology` shows them."""
        found: Json = self._admin.get("/_miroir/topology")
        return found

    def indexes(self) -> tuple[str, ...]:
        """Return the names of all indexes."""
        return tuple(index["uid"] for index in self.topology()["indexes"])

    def live(self, index: str) -> Live:
        """Return an index as it is now."""
        answer = self._admin.request("GET", _path(index))
        if answer.status == 404:
            return Live(index, None, form=self._form({})[0])
        seen = answer.ok()
        form, second = self._form(seen["nodes"], settling=seen["intent"] is not None)
        return Live(
            index,
            seen["settings"],
            fingerprint=seen["fingerprint"] or "",
            version=seen["version"],
            documents=self._documents(index),
            busy=tuple(_busy(seen)),
            form=form,
            second_cover=second,
            cells=seen["nodes"],
            phase=seen["phase"],
            unconfirmed=seen.get("unconfirmed"),
            frozen=seen["frozen"],
        )

    def past(self, index: str) -> Past:
        """Return what the history and the tasks tell."""
        answer = self._admin.request("GET", f"{_path(index)}/history?limit={_HISTORY}")
        versions = answer.body["results"] if answer.status == 200 else []
        changes = (_past_change(index, entry) for entry in versions)
        return Past(tuple(c for c in changes if c is not None), self._writes())

    def submit(self, order: Order) -> Ticket:
        """Send the change, for the version that it was planned upon."""
        body = {
            "settings": dict(order.patch),
            "baseVersion": order.base.version,
            "by": order.by or None,
            "reason": order.reason or None,
            "confirmWithinS": order.confirm_s,
            "canary": order.canary,
        }
        given = {name: value for name, value in body.items() if value is not None}
        answer = self._admin.request("POST", f"{_path(order.index)}/apply", given)
        code = answer.body.get("code") if isinstance(answer.body, dict) else None
        if code == "miroir_settings_version_mismatch":
            raise Moved(
                f"{answer.body['message']} See what is in force with `miroir settings plan`, "
                "then apply again"
            )
        if code == "miroir_confirmation_pending":
            raise Moved(
                f"{answer.body['message']} Keep it with `miroir settings confirm {order.index}`"
            )
        return self._ticket(order, answer.ok())

    def progress(self, ticket: Ticket) -> Progress:
        """Return where the intent stands."""
        if ticket.intent is None:
            return Progress("succeeded", "nothing to do", version=ticket.order.base.version)
        return _progress(self._admin.get(f"/_miroir/intents/{ticket.intent}"))

    def history(self, index: str, limit: int) -> tuple[Version, ...]:
        """Return versions, newest first."""
        found: list[Json] = []
        start: int | None = None
        while len(found) < limit:
            page_from = "" if start is None else f"&from={start}"
            size = min(limit - len(found), 1000)
            page = self._admin.get(f"{_path(index)}/history?limit={size}{page_from}")
            found += page["results"]
            start = page["next"]
            if start is None:
                break
        return tuple(_version(entry) for entry in found)

    def version(self, index: str, number: int) -> Version:
        """Return one version with its settings."""
        answer = self._admin.request("GET", f"{_path(index)}/history/{number}")
        if answer.status == 404:
            have = f"see what there is: miroir settings history {index}"
            raise Unfit(f"{answer.body['message']} {have}")
        return _version(answer.ok())

    def rollback(self, index: str, number: int, *, by: str, reason: str) -> Ticket | None:
        """Ask for a rollback."""
        base = self.live(index)
        body: Json = {"version": number, **({"reason": reason} if reason else {})}
        headers = {"X-Miroir-By": by} if by else {}
        answer = self._admin.request("POST", f"{_path(index)}/rollback", body, headers=headers)
        ticket = self._ticket(Order(index, {}, {}, base, by=by, reason=reason), answer.ok())
        return None if ticket.intent is None else ticket

    def cancel(self, change: int) -> str:
        """Take a change back."""
        answer = self._admin.request("POST", f"/_miroir/intents/{change}/cancel")
        if answer.status in {404, 409}:
            raise Unfit(f"{answer.body['message']} See what waits with `miroir settings watch`")
        return str(answer.ok()["index"])

    def confirm(self, index: str, version: int | None) -> Json:
        """Confirm a change that would undo itself."""
        wanted = version if version is not None else self.live(index).version
        answer: Json = self._admin.request(
            "POST", f"{_path(index)}/confirm", {"version": wanted}
        ).ok()
        return answer or {}

    def thaw(self, index: str) -> Json:
        """Let document writes through again."""
        answer: Json = self._admin.request("POST", f"{_path(index)}/thaw").ok()
        return answer

    def running(self) -> tuple[Running, ...]:
        """Return changes of settings that have not ended."""
        answer = self._admin.request("GET", "/_miroir/intents?state=open&limit=1000")
        found = list(reversed(answer.ok()["results"]))
        now = answer.headers.get("date")
        return tuple(
            Running(
                i["index"],
                f"{i['kind']} {i['id']} by {i['by']}{_waits(i)}",
                _progress(i),
                self._left_s(i, now) if at < _GUESSES_MAX else None,
            )
            for at, i in enumerate(found)
        )

    def _left_s(self, intent: Mapping[str, Any], now: str | None) -> float | None:
        """Foretell the end from what changes of this class took before; asked once for each."""
        if intent["startedAt"] is None or not intent["patch"] or now is None:
            return None
        index, number = intent["index"], intent["id"]
        if number not in self._guesses:
            cost, past = class_of(intent["patch"]), self.past(index)
            documents = self._documents(index)
            self._guesses[number] = estimate(index, cost, documents, past.changes, past.writes)
        guess = self._guesses[number]
        began = datetime.fromisoformat(intent["startedAt"])
        passed_s = (parsedate_to_datetime(now) - began).total_seconds()  # By Miroir's clock both.
        return None if guess is None or guess.high_s < passed_s else guess.high_s - passed_s

    def drift(self) -> Json:
        """Return what strays."""
        found: Json = self._admin.get("/_miroir/drift")
        return found

    def order_drift(self, index: str, order: Json) -> Json:
        """Say what is wanted of an index from now on; return the rule."""
        path = f"/_miroir/drift/{quote(index, safe='')}"
        rule: Json = self._admin.request("PATCH", path, order).ok()["rule"]
        return rule

    def repair(self, index: str) -> None:
        """Ask for a repair now."""
        self._admin.request("POST", f"/_miroir/drift/{quote(index, safe='')}/repair").ok()

    def adopt(self, index: str, node: str | None) -> None:
        """Want what a node shows; without one, manage an index that nobody manages."""
        uid = quote(index, safe="")
        if node is None:
            self._admin.request("POST", f"/_miroir/indexes/{uid}/adopt").ok()
        else:
            self._admin.request("POST", f"/_miroir/drift/{uid}/adopt?node={quote(node)}").ok()

    def standing(self, of: Literal["keys", "features"]) -> Json:
        """Return where the nodes stand with keys or features."""
        found: Json = self._admin.get(f"/_miroir/{of}")
        return found

    def stats(self) -> Json | None:
        """Return what all nodes tell of their databases; None if the key does not open that."""
        try:
            found: Json = self._public.get("/stats")
        except Refused:
            return None
        return found

    def newest_change(self, index: str) -> Json | None:
        """Return the newest version with the times of every node; None if there is none."""
        answer = self._admin.request("GET", f"{_path(index)}/history?limit=1")
        found = answer.body["results"] if answer.status == 200 else []
        return found[0] if found else None

    def clock(self) -> str | None:
        """Return the `Date` of an answer, if there is one."""
        return self._admin.request("GET", "/health").headers.get("date")

    def _ticket(self, order: Order, accepted: Mapping[str, Any]) -> Ticket:
        task = int(accepted["taskUid"])
        intent = accepted.get("intent", accepted.get("intentId"))
        if intent is None:
            recent = self._admin.get(f"/_miroir/intents?limit=50&index={quote(order.index)}")
            intent = next((i["id"] for i in recent["results"] if i["taskUid"] == task), None)
        return Ticket(order, task, intent)

    def _form(self, cells: Mapping[str, Any], *, settling: bool = False) -> tuple[str, bool]:
        """
        Foretell waves or a mixed window: two usable nodes per shard, or not.

        While another change is `settling`, its nodes are taken for usable again after it.
        """
        usable_states = {"synced", "behind", *(("unproved",) if settling else ())}
        topology = self.topology()["topology"]
        usable: dict[int, int] = dict.fromkeys(range(topology["shards"]), 0)
        for node in topology["nodes"]:
            state = cells.get(node["id"], {}).get("state", "synced")
            usable[node["shard"]] += bool(node["healthy"]) and state in usable_states
        if len(topology["nodes"]) == 1:
            return "one node: new settings are seen when its task has ended", False
        if all(count >= 2 for count in usable.values()):
            return "waves: no answer mixes old and new settings", True
        thin = [str(shard) for shard, count in usable.items() if count < 2]
        return (
            f"mixed window: shard {', '.join(thin)} has one usable node, so answers during the "
            "change may mix settings (and are flagged)",
            False,
        )

    def _documents(self, index: str) -> int | None:
        try:
            stats = self._public.get(f"/indexes/{quote(index, safe='')}/stats")
        except Refused:
            return None  # The key opens the admin side alone.
        return int(stats["numberOfDocuments"])

    def _writes(self) -> tuple[PastIndexing, ...]:
        query = "/tasks?types=documentAdditionOrUpdate&statuses=succeeded&limit=100"
        try:
            tasks = self._public.get(query)["results"]
        except Refused:
            return ()  # Likewise.
        return tuple(
            PastIndexing(
                int((task.get("details") or {}).get("indexedDocuments") or 0),
                seconds_of(task.get("duration")) or 0.0,
            )
            for task in tasks
        )


def _path(index: str) -> str:
    return f"/_miroir/settings/{quote(index, safe='')}"


def _waits(intent: Mapping[str, Any]) -> str:
    nodes = ", ".join(intent["waitsFor"])
    return f", waits for {nodes}" if nodes else ""


def _busy(seen: Mapping[str, Any]) -> list[str]:
    waiting = [seen["intent"], *seen["queued"]]
    said = [f"change {i['id']} ({i['by']}) is {i['phase']}" for i in waiting if i]
    if seen.get("unconfirmed"):
        said.append(f"version {seen['version']} undoes itself unless it is confirmed")
    return said


def _version(entry: Mapping[str, Any]) -> Version:
    return Version(
        version=entry["version"],
        at=entry["at"],
        by=entry["by"],
        reason=entry["reason"],
        kind=entry["kind"],
        diff=entry["diff"],
        settings=entry.get("settings"),
        nodes=entry.get("nodes") or {},
        duration=entry.get("duration"),
    )


def _past_change(index: str, entry: Mapping[str, Any]) -> PastChange | None:
    """From leaving the queue to the last node, both halves; the difference says what was done."""
    diff = entry["diff"]
    seconds = seconds_of(entry.get("duration"))
    if not diff or seconds is None or not all(isinstance(v, list) for v in diff.values()):
        return None
    before = {key: values[0] for key, values in diff.items()}
    after = {key: values[1] for key, values in diff.items()}
    return PastChange(index, worst(effect(key, before, after) for key in diff), seconds)


def _progress(seen: Mapping[str, Any]) -> Progress:
    phase = seen["phase"]
    nodes = tuple(_node(name, node) for name, node in sorted(seen["nodes"].items()))
    error = (seen.get("error") or {}).get("message") or ""
    state: Literal["waiting", "running", "succeeded", "failed"] = "running"
    if phase in _ENDED_BADLY:
        state, error = "failed", error or f"the change was {phase}"
    elif phase in _ENDED_WELL:
        state = "succeeded"
    elif phase == "queued":
        state = "waiting"
    return Progress(state, phase, nodes, error=scrubbed(str(error)), version=seen["version"])


def _node(name: str, node: Mapping[str, Any]) -> NodeProgress:
    batch = node.get("progress") or {}
    return NodeProgress(
        name,
        node["state"] or "-",
        batch.get("percentage"),
        scrubbed(str((node["error"] or {}).get("message", ""))),
        batch.get("estimatedSecondsLeft"),
        batch.get("step", ""),
    )
