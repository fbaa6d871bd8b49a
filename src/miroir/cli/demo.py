"""
`miroir demo`: a tour on a cluster of its own, where every claim is checked.

The story stands in `Tour`, one method for each step; a claim is a call of `_prove` with a
condition that was computed from the nodes or from the data, never from what Miroir says of itself
alone. Drawing is in demo_view.py, the data in demo_data.py, looking at a change in demo_watch.py.
Exit status: 0 when all claims hold, 1 when one does not.
"""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from miroir.cli.admin_client import Reply
from miroir.cli.cluster import LocalCluster
from miroir.cli.demo_data import Story, airports, story_of
from miroir.cli.demo_view import DemoView, several
from miroir.cli.demo_watch import Searches, follow, wait_until
from miroir.cli.faults import CliFault
from miroir.cli.layout import Shape, find_engine, lay_out
from miroir.cli.screen import screen
from miroir.cli.signals import Stop, stop_on_signals

# Short enough that a visitor sees each of them pass; the defaults suit production.
_SETTINGS: Final[dict[str, Any]] = {
    "settings_broadcast": {"node_silence_s": 3},
    "settings_drift_check": {"interval_s": 2},
    "limits": {"search_timeout_s": 8, "control_timeout_s": 2},
}
_TASK_S: Final = 60.0


def demo(
    shards: Annotated[int, typer.Option(min=1, max=16, help="Parts of the data.")] = 3,
    replica_groups: Annotated[int, typer.Option(min=1, max=16, help="Copies of the data.")] = 2,
    data: Annotated[
        Path | None,
        typer.Option(help="JSON, NDJSON or CSV file; default: the airports of the US."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the cluster running at the end, until Ctrl-C.")
    ] = False,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Run embedded nodes even if Meilisearch is there.")
    ] = False,
) -> None:
    """Show on real data what Miroir promises, and check it."""
    story = story_of(data) if data else airports()
    engine = find_engine(os.environ, embedded=embedded)
    view = DemoView(screen())
    with tempfile.TemporaryDirectory(prefix="miroir-demo-") as folder:
        layout = lay_out(
            Path(folder) / "cluster", Shape(shards, replica_groups), engine, settings=_SETTINGS
        )
        cluster = LocalCluster(layout)
        tour = Tour(cluster, story, view)
        with stop_on_signals():
            try:
                tour.run()
                if keep:
                    _stay(cluster, view)
            except Stop:
                view.say("stopping ...")
                raise typer.Exit(130) from None
            finally:
                cluster.stop()
    raise typer.Exit(0 if tour.holds else 1)


def _stay(cluster: LocalCluster, view: DemoView) -> None:
    view.title(f"\nMiroir stays up at {cluster.url} until Ctrl-C")
    view.say(f"master key  {cluster.layout.master_key.reveal()}")
    view.say(f"admin key   {cluster.layout.admin_key.reveal()}")
    try:
        while cluster.miroir.running:
            time.sleep(0.5)
    except Stop:
        view.say("stopping ...")


class Tour:
    """The story, step by step, with its claims."""

    def __init__(self, cluster: LocalCluster, story: Story, view: DemoView) -> None:
        self._cluster = cluster
        self._story = story
        self._view = view
        self._began_s = time.monotonic()
        self._proofs: list[tuple[bool, str]] = []
        self._index = f"/indexes/{story.index_uid}"
        self._names = tuple(cluster.nodes)

    @property
    def _alone(self) -> bool:
        """Whether each document is on one node only."""
        return self._cluster.layout.shape.replica_groups == 1

    @property
    def holds(self) -> bool:
        """Whether every claim held."""
        return bool(self._proofs) and all(ok for ok, _ in self._proofs)

    def run(self) -> None:
        """Tell the whole story; ends early only when the cluster cannot go on."""
        try:
            self._start()
            self._fill()
            self._search()
            with Searches(
                self._cluster.client(), self._story.index_uid, self._story.query
            ) as searches:
                self._change()
                self._floor()
                self._drift()
                self._kill()
            self._all_along(searches)
        except CliFault as fault:
            self._prove(False, f"the tour could go on: {fault}")
            self._view.say(self._cluster.miroir.log_tail().strip())
        except KeyError as missing:
            self._prove(False, f"every answer has its parts, but one lacks {missing}")
        self._view.summary(self._proofs, time.monotonic() - self._began_s)

    # ---- the steps

    def _start(self) -> None:
        shape, engine = self._cluster.layout.shape, self._cluster.layout.engine
        self._view.title(f"Miroir in front of {several(len(self._names), 'node')}: {shape}")
        self._view.say(f"nodes: {engine}")
        self._view.step(1, "Start the cluster")
        began_s = time.monotonic()
        self._cluster.start()
        wait_until(lambda: self._healthy() == set(self._names), 20)
        took_s = time.monotonic() - began_s
        self._view.say(f"Miroir listens on {self._cluster.url}; clients know no other address")
        self._prove(
            self._healthy() == set(self._names),
            f"{several(len(self._names), 'node')} and Miroir are up ({took_s:.1f} s)",
        )

    def _fill(self) -> None:
        story = self._story
        self._view.step(2, "Add documents")
        query = f"?primaryKey={story.primary_key}"
        self._view.request(f"POST {self._index}/documents{query}   {len(story.payload):,} bytes")
        task = self._task(
            self._send(
                "POST", f"/documents{query}", story.payload, content_type=story.content_type
            )
        )
        self._prove(task["status"] == "succeeded", f"the task {_ended(task)}")
        counts = [self._count(name) for name in self._names]
        shards = self._cluster.layout.shape.shards
        groups = [counts[start : start + shards] for start in range(0, len(counts), shards)]
        for number, group in enumerate(groups):
            self._view.say(f"replica group {number}: {' + '.join(map(str, group))} documents")
        wanted = len(story.ids)
        self._prove(
            all(group == groups[0] and sum(group) == wanted for group in groups),
            f"each replica group holds all {wanted:,} documents once",
        )

    def _search(self) -> None:
        self._view.step(3, "Search")
        body = {"q": self._story.query, "limit": 3}
        answer = self._search_for(body).ok()
        attributes = tuple(dict.fromkeys((self._story.title, "city", "state")))
        self._view.hits(answer["hits"], attributes)
        found = {str(hit[self._story.primary_key]) for hit in answer["hits"]}
        self._prove(
            bool(found) and found <= self._story.ids and len(found) == len(answer["hits"]),
            f"`{self._story.query}` finds {answer['estimatedTotalHits']} documents, merged from "
            f"{several(self._cluster.layout.shape.shards, 'shard')}, none twice",
        )

    def _change(self) -> None:
        story = self._story
        self._view.step(4, "Change settings on every node, in two phases")
        before, alias_before = self._version(), self._total(story.alias)
        self._view.request(
            f"PATCH {self._index}/settings   synonyms, rankingRules, filterableAttributes"
        )
        with (
            Searches(self._cluster.client(), story.index_uid, story.alias, 0.01) as searches,
            self._view.change(self._names) as view,
        ):
            seen = follow(self._cluster, story.index_uid, lambda: self._patch(story.change), view)
        self._prove(seen.intent["phase"] == "converged", "propose, verify, commit: converged")
        self._prove(
            self._version() == before + 1, f"the version rose once: {before} to {self._version()}"
        )
        self._prove(
            self._same_everywhere(),
            f"every node ({len(self._names)}), asked directly, shows the same settings",
        )
        after = self._total(story.alias)
        self._prove(
            after > alias_before, f"`{story.alias}` finds {after} instead of {alias_before}"
        )
        self._one_version(searches, {before: alias_before, self._version(): after})
        matching = self._search_for({"q": "", "filter": f"{story.facet} = {story.value!r}"}).ok()
        self._prove(
            matching["estimatedTotalHits"] == story.matching,
            f"{story.facet} = {story.value} matches {story.matching} documents, as in the file",
        )
        first = self._search_for({"q": "", "limit": 20}).ok()["hits"]
        titles = [hit[story.title] for hit in first]
        self._prove(
            titles == sorted(titles, key=str.casefold)
            and {*map(str.casefold, titles)} <= {*map(str.casefold, story.first_titles[:20])},
            f"the first 20 of all shards are in the order of {story.title}, as in the file",
        )

    def _one_version(self, searches: Searches, totals: dict[int, int]) -> None:
        """Whether each answer was that of its version, or said that it may not be."""
        flagged, wrong = searches.flagged, searches.wrong(totals)
        while_ = f"{several(searches.count, 'search')} meanwhile"
        if self._cluster.layout.shape.replica_groups > 1:
            self._prove(
                not (wrong or flagged or searches.failures),
                f"{while_}: one half of the nodes answered while the other changed, no answer "
                "mixed two versions",
            )
        else:
            self._prove(
                not (wrong or searches.failures),
                f"{while_}: {flagged} while nodes differed, each marked as such",
            )

    def _floor(self) -> None:
        self._view.step(5, "Read no older settings than one's own")
        version = self._version()
        self._view.request(f"POST {self._index}/search   X-Miroir-Min-Settings-Version: {version}")
        reply = self._search_for({"q": self._story.alias}, floor=version)
        header = reply.headers.get("x-miroir-settings-version")
        self._view.say(f"{reply.status}   X-Miroir-Settings-Version: {header}")
        self._prove(
            reply.status == 200 and header == str(version),
            f"a floor of {version} is answered with version {version}",
        )
        ahead = self._search_for({"q": self._story.alias}, floor=version + 1)
        code = ahead.body.get("code") if isinstance(ahead.body, dict) else None
        self._prove(
            ahead.status == 503 and code == "miroir_settings_version_stale",
            f"a floor of {version + 1}, not committed yet, is answered 503 {code}",
        )

    def _drift(self) -> None:
        name = self._names[1 % len(self._names)]
        self._view.step(6, f"Change {name} behind Miroir's back")
        self._view.say(
            f"here each node is checked every {_SETTINGS['settings_drift_check']['interval_s']} s"
        )
        node, version = self._cluster.client(name), self._version()
        wanted, repairs = node.get(f"{self._index}/settings"), self._repairs(name)
        self._view.request(
            f"PATCH {self._cluster.nodes[name].url}{self._index}/settings   synonyms: {{}}"
        )
        patched = node.request("PATCH", f"{self._index}/settings", {"synonyms": {}}).ok()
        began_s = time.monotonic()
        task = node.wait_task(patched["taskUid"], timeout_s=_TASK_S)
        changed = task["status"] == "succeeded"  # A look at the node could come after the repair.
        found = wait_until(lambda: self._repairs(name) > repairs, 20)
        self._view.say(f"found after {time.monotonic() - began_s:.1f} s")
        repaired = wait_until(
            lambda: (
                self._node_state(name) == "synced"
                and node.get(f"{self._index}/settings") == wanted
            ),
            30,
        )
        took_s = time.monotonic() - began_s
        self._prove(
            changed and found and repaired and self._same_everywhere(),
            f"{name} was found and repaired within {took_s:.1f} s of the foreign change",
        )
        self._prove(self._version() == version, f"a repair is no new version: still {version}")

    def _kill(self) -> None:
        name = self._names[-1]
        self._view.step(7, f"Kill {name} in the middle of a change")
        node, before = self._cluster.nodes[name], self._version()
        node.pause()  # so that the change is certainly in its middle when the node dies
        died: list[str] = []
        change = {"stopWords": list(self._story.stop_words)}
        self._view.request(f"PATCH {self._index}/settings   {json.dumps(change)}")

        def kill(intent: dict[str, Any], view: Any, elapsed_s: float) -> None:
            if not died and intent["nodes"].get(name, {}).get("state") == "sending":
                node.kill()
                died.append(node.ended)
                view.note(f"{name} {node.ended} with the change in its hands", elapsed_s)
                if self._alone:
                    node.start()  # no other node has its documents: the change waits for it

        with self._view.change(self._names) as view:
            seen = follow(
                self._cluster, self._story.index_uid, lambda: self._patch(change), view, each=kill
            )
        ended = seen.intent
        self._view.say(f"the change ended: {ended['phase']}, decision {ended['decision']}")
        self._prove(died == ["ended by SIGKILL"], f"{name} died in the middle of the change")
        self._prove(
            ended["decision"] == "commit" and self._version() == before + 1,
            f"the change {'waited for it' if self._alone else 'went on without it'} and was "
            f"committed once: version {before} to {before + 1}",
        )
        self._back(name)

    def _back(self, name: str) -> None:
        node = self._cluster.nodes[name]
        node.start()
        node.wait_healthy(time.monotonic() + 30)
        began_s = time.monotonic()
        if not self._alone:
            self._view.say(f"{name} is started again; it was away when the change was committed")
        back = wait_until(lambda: self._node_state(name) == "synced", 45)
        took_s = time.monotonic() - began_s
        self._prove(
            back and self._same_everywhere(),
            f"{name} was brought up to the committed settings, and serves again ({took_s:.1f} s)",
        )

    def _all_along(self, searches: Searches) -> None:
        totals = {answer.total for answer in searches.answers}
        failed, said = searches.failures, f"{several(searches.count, 'search')} meanwhile, "
        if self._alone:
            # The only copy of a shard was down for a while: then an error, never a part.
            failed = [why for why in failed if not why.startswith("503")]
            down = len(searches.failures) - len(failed)
            said += f"{down} failed while the only copy of a shard was down, all with 503"
        else:
            said += f"{len(failed)} failed"
        if len(totals) > 1:
            failed = [f"found {totals} documents", *failed]
        self._prove(bool(totals) and not failed, said + (f", but: {failed[0]}" if failed else ""))

    # ---- what the steps are made of

    def _prove(self, ok: bool, text: str) -> None:
        self._proofs.append((ok, text))
        self._view.proof(ok, text)

    def _send(self, method: str, path: str, body: Any, **options: Any) -> Reply:
        return self._cluster.client(timeout_s=60).request(
            method, self._index + path, body, **options
        )

    def _patch(self, change: dict[str, Any]) -> Reply:
        return self._send("PATCH", "/settings", change)

    def _task(self, reply: Reply) -> Any:
        return self._cluster.client().wait_task(reply.ok()["taskUid"], timeout_s=_TASK_S)

    def _search_for(self, body: dict[str, Any], *, floor: int | None = None) -> Reply:
        headers = {} if floor is None else {"X-Miroir-Min-Settings-Version": str(floor)}
        return self._send("POST", "/search", body, headers=headers)

    def _total(self, query: str) -> int:
        return int(self._search_for({"q": query}).ok()["estimatedTotalHits"])

    def _count(self, name: str) -> int:
        stats = self._cluster.client(name).get(f"{self._index}/stats")
        return int(stats["numberOfDocuments"])

    def _version(self) -> int:
        return int(
            self._cluster.admin().get(f"/_miroir/settings/{self._story.index_uid}")["version"]
        )

    def _healthy(self) -> set[str]:
        nodes = self._cluster.admin().get("/_miroir/topology")["topology"]["nodes"]
        return {node["id"] for node in nodes if node["healthy"]}

    def _repairs(self, name: str) -> int:
        """Count the repairs of a node among the newest changes."""
        newest = self._cluster.admin().get("/_miroir/intents?limit=100")["results"]
        return sum(each["kind"] == "repair" and name in each["nodes"] for each in newest)

    def _node_state(self, name: str) -> str:
        index = self._cluster.admin().get(f"/_miroir/settings/{self._story.index_uid}")
        return str(index["nodes"][name]["state"])

    def _same_everywhere(self) -> bool:
        """Ask the nodes themselves, without Miroir."""
        shown = [self._cluster.client(n).get(f"{self._index}/settings") for n in self._names]
        return all(settings == shown[0] for settings in shown)


def _ended(task: dict[str, Any]) -> str:
    if task["error"]:
        return f"{task['status']}: {task['error']['message']}"
    return f"{task['status']} ({task['duration'].removeprefix('PT').removesuffix('S')} s)"
