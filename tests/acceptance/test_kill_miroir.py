"""
kill -9 of Miroir at each durable step of a settings change, then restart: everywhere or nowhere.

A fault on a node holds the change in a step; where no node is involved (the commit) the log is
watched and the kill follows the line. The faults stay in force over the restart, since whatever
slowed the change down is still there in life, too.
"""

import random
import threading
import time

import pytest

from miroir.cli.admin_client import CliFault
from miroir.cli.layout import Shape
from tests.support.live_cluster import PROBE, until

SHAPE = Shape(2, 2)
SETTINGS = {"settings_broadcast": {"max_repair_retries": 30, "probe_wait_s": 25}}
OLD, NEW = {"boat": ["ferry"]}, {"car": ["automobile"]}
HELD = "n1"
CLOSED = {"converged", "aborted", "refused", "frozen"}


def task_rule(fault, index, **more):
    return {"fault": fault, "type": "settingsUpdate", "index": index, **more}


def request_rule(fault, method, index, **more):
    return {"fault": fault, "method": method, "path": f"{index}/settings$", **more}


@pytest.fixture
def version(cluster, uid):
    """An index at committed settings, with a document."""
    cluster.create(uid, [{"id": 0}])
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": OLD})
    return cluster.version(uid)


def newest(cluster, uid):
    return cluster.intents(uid)[0]


def held_node(cluster, uid):
    return newest(cluster, uid)["nodes"].get(HELD, {}).get("state")


def kill_and_restart(cluster):
    cluster.kill_miroir()
    cluster.start_miroir()


def let_go(cluster):
    for name in cluster.nodes:
        cluster.faults(name)


def wait_until_ended(cluster, uid):
    """Every change of the index has ended, and whatever a dead process still did is repaired."""

    def quiet():
        ended = {intent["phase"] for intent in cluster.intents(uid)} <= CLOSED
        return ended and cluster.proved(uid) == cluster.everywhere(cluster.version(uid))

    until(quiet, "every change ended, every node in use")


def assert_committed(cluster, uid, accepted, before):
    wait_until_ended(cluster, uid)
    assert cluster.ended(accepted)["status"] == "succeeded"
    assert cluster.shown(uid, "synonyms") == cluster.everywhere(NEW)
    assert cluster.version(uid) == before + 1
    versions = [entry["version"] for entry in cluster.look(uid)["history"]]
    assert versions.count(before + 1) == 1
    assert cluster.search(uid, floor=before + 1).status == 200


def assert_aborted(cluster, uid, accepted, before):
    wait_until_ended(cluster, uid)
    assert cluster.ended(accepted)["status"] == "failed"
    assert cluster.shown(uid, "synonyms") == cluster.everywhere(OLD)
    assert cluster.version(uid) == before
    assert cluster.search(uid, floor=before).status == 200


def test_while_the_probe_is_asked(cluster, uid, version):
    """Nothing live was touched yet; the change was accepted, so it must come all the same."""
    cluster.faults("n0", task_rule("task_stall", PROBE))
    accepted = cluster.change(uid, {"synonyms": NEW})
    until(lambda: newest(cluster, uid)["phase"] == "probing", "probing")

    kill_and_restart(cluster)
    let_go(cluster)

    assert_committed(cluster, uid, accepted, version)


def test_while_a_proposal_is_on_its_way(cluster, uid, version):
    """Whether the node got it is unknown, and it may still act on it later."""
    cluster.faults(HELD, request_rule("latency", "PATCH", uid, ms=1500))
    accepted = cluster.change(uid, {"synonyms": NEW})
    until(lambda: cluster.matches(HELD), "the proposal at the node's door")
    assert held_node(cluster, uid) == "sending"

    kill_and_restart(cluster)
    let_go(cluster)

    assert_committed(cluster, uid, accepted, version)


def test_while_a_node_works_on_it(cluster, uid, version):
    """The others have it already: going back or going on, but never staying apart."""
    cluster.faults(HELD, task_rule("task_stall", uid))
    accepted = cluster.change(uid, {"synonyms": NEW})
    until(lambda: held_node(cluster, uid) == "sent", "the task known")
    until(lambda: cluster.shown(uid, "synonyms")["n0"] == NEW, "the others changed")

    kill_and_restart(cluster)
    until(lambda: cluster.matches(HELD) == 1, "still the one task")
    let_go(cluster)

    assert_committed(cluster, uid, accepted, version)
    counts = cluster.settings_tasks(uid)
    assert counts == cluster.everywhere(2), "what was known to be sent was sent again"


def test_while_it_is_read_back(cluster, uid, version):
    """What was read before the crash is no evidence after it."""
    cluster.faults(HELD, request_rule("latency", "GET", uid, ms=1500, skip=1))
    accepted = cluster.change(uid, {"synonyms": NEW})
    until(lambda: newest(cluster, uid)["phase"] == "verifying", "verifying")

    kill_and_restart(cluster)
    let_go(cluster)

    assert_committed(cluster, uid, accepted, version)


def test_between_two_rounds(cluster, uid, version):
    """The backoff must not be forgotten, and the rounds before it not be counted anew."""
    cluster.faults(HELD, task_rule("setting_ignored", uid, keys=["synonyms"]))
    accepted = cluster.change(uid, {"synonyms": NEW})
    until(lambda: newest(cluster, uid)["retries"] >= 3, "a few rounds")
    until(lambda: newest(cluster, uid)["phase"] == "waiting", "waiting")
    retries = newest(cluster, uid)["retries"]

    kill_and_restart(cluster)
    assert newest(cluster, uid)["retries"] >= retries
    let_go(cluster)

    assert_committed(cluster, uid, accepted, version)


def test_while_it_is_taken_back(cluster, uid, version):
    """The decision to abort was durable: no restart may turn it round."""
    cluster.faults("n0", request_rule("status", "PATCH", uid, status=400, message="not here"))
    cluster.faults(HELD, task_rule("task_stall", uid, skip=1))
    accepted = cluster.change(uid, {"synonyms": NEW})
    until(lambda: newest(cluster, uid)["decision"] == "abort", "the decision")
    until(lambda: cluster.matches(HELD) == 2, "the undoing in work, and held up")

    cluster.kill_miroir()
    cluster.faults("n0")  # What was refused would be taken now.
    cluster.start_miroir()
    let_go(cluster)

    assert_aborted(cluster, uid, accepted, version)


def test_while_another_change_waits_behind_it(cluster, uid, version):
    """Both were accepted: both come, in order, and each counts once."""
    cluster.faults(HELD, task_rule("task_stall", uid))
    first = cluster.change(uid, {"synonyms": {"one": ["two"]}})
    second = cluster.change(uid, {"synonyms": NEW, "stopWords": ["the"]})
    until(lambda: held_node(cluster, uid) or cluster.matches(HELD), "the first in work")

    kill_and_restart(cluster)
    let_go(cluster)

    assert cluster.ended(first)["status"] == "succeeded"
    assert_committed(cluster, uid, second, version + 1)
    assert cluster.shown(uid, "stopWords") == cluster.everywhere(["the"])


def test_when_the_commit_is_about_to_be_written(cluster, uid, version):
    """Before or after the transaction, never in between: one version more, once."""
    hits = 0
    for turn in range(12):
        synonyms = {"turn": [str(turn)]}
        log = cluster.local.miroir.command.log.open()
        log.seek(0, 2)
        killer = threading.Thread(target=_kill_at_commit, args=(cluster, log))
        killer.start()
        accepted = cluster.change(uid, {"synonyms": synonyms})
        killer.join()
        cluster.start_miroir()

        wait_until_ended(cluster, uid)
        assert cluster.ended(accepted)["status"] == "succeeded"
        assert cluster.shown(uid, "synonyms") == cluster.everywhere(synonyms)
        assert cluster.version(uid) == version + turn + 1
        hits += "committing" in _taken_up(log)
        log.close()
        if hits == 2:
            return
    assert hits, "the kill always came after the end"


def _kill_at_commit(cluster, log):
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        if '"phase": "committing"' in log.readline():
            break
    cluster.kill_miroir()


def _taken_up(log):
    return "".join(line for line in log if "intent_taken_up" in line)


def test_at_any_moment(cluster, uid, version):
    """Twenty kills at moments drawn from a seed, with changes and documents under way."""
    chance = random.Random(20)
    shown, kept = OLD, {0}
    for turn in range(1, 21):
        sent = _Sending(cluster, uid, turn)
        time.sleep(chance.uniform(0.0, 0.25))  # The moment of the kill, not a wait.
        cluster.kill_miroir()
        sent.join()
        cluster.start_miroir()

        wait_until_ended(cluster, uid)
        (now,) = {str(value): value for value in cluster.shown(uid, "synonyms").values()}.values()
        assert now in (shown, sent.synonyms)
        assert cluster.version(uid) == version + (now != shown)
        if sent.change_accepted:
            assert now == sent.synonyms, f"turn {turn}: an accepted change vanished"
        if sent.document_accepted:
            kept.add(turn)
        shown, version = now, cluster.version(uid)
    until(lambda: kept <= _held(cluster, uid), "every acknowledged document on both replicas")


def test_at_any_moment_of_a_creation(cluster, uid):
    """Settings for an index that is not there create it: on every node with them, or on none."""
    chance = random.Random(8)
    for turn in range(1, 9):
        index = f"{uid}-{turn}"
        sent = _Sending(cluster, index, turn)
        time.sleep(chance.uniform(0.0, 0.3))  # The moment of the kill, not a wait.
        cluster.kill_miroir()
        sent.join()
        cluster.start_miroir()

        until(lambda i=index: {n["phase"] for n in cluster.intents(i)} <= CLOSED, "all ended")
        there = {name: _has(cluster, name, index) for name in cluster.nodes}
        assert len(set(there.values())) == 1, there
        assert there["n0"] == (cluster.send("GET", f"/indexes/{index}").status == 200)
        if sent.change_accepted or sent.document_accepted:
            assert there["n0"], f"turn {turn}: an accepted write vanished"
        if sent.change_accepted:
            assert cluster.shown(index, "synonyms") == cluster.everywhere(sent.synonyms)
        if sent.document_accepted:
            until(lambda i=index, t=turn: t in _held(cluster, i), "the document on both replicas")


def _has(cluster, name, index):
    return cluster.on_node(name).request("GET", f"/indexes/{index}").status == 200


class _Sending:
    """A change and a document sent from threads of their own; the kill may cut them off."""

    def __init__(self, cluster, uid, turn):
        self.synonyms = {"turn": [str(turn)]}
        self.change_accepted = self.document_accepted = False
        self._threads = [
            threading.Thread(target=self._change, args=(cluster, uid)),
            threading.Thread(target=self._document, args=(cluster, uid, turn)),
        ]
        for thread in self._threads:
            thread.start()

    def _change(self, cluster, uid):
        try:
            accepted = cluster.change(uid, {"synonyms": self.synonyms})
            self.change_accepted = accepted.status == 202
        except CliFault:
            pass  # Cut off: it may have been accepted or not.

    def _document(self, cluster, uid, turn):
        try:
            accepted = cluster.send("POST", f"/indexes/{uid}/documents", [{"id": turn}])
            self.document_accepted = accepted.status == 202
        except CliFault:
            pass  # Likewise.

    def join(self):
        for thread in self._threads:
            thread.join()


def _held(cluster, uid):
    """Ids that both replicas of their shard hold."""
    shards = range(cluster.local.layout.shape.shards)
    columns = [[set(cluster.documents(n, uid)) for n in cluster.column(s)] for s in shards]
    return set().union(*(set.intersection(*column) for column in columns))
