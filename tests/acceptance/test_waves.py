"""
Waves: with two replica groups a change is seen by nobody before its commit, and by all after it.

What settings a shard answered with is told by the hits themselves: each version has a synonym of
its own, `marker` -> `v0003word`, and each shard holds one document for each of these words. So an
answer shows for each shard which settings were used there, whatever its header says.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from miroir.cli.layout import Shape
from miroir.core.routing import shard_of, slot_table
from tests.support.live_cluster import until

SHAPE = Shape(2, 2)
SETTINGS = {"settings_broadcast": {"node_silence_s": 6, "max_repair_retries": 1}}
CHANGES = 6


def word(version):
    return f"v{version:04}word"


def documents(versions):
    """Return one document per shard and version."""
    table, found, number = slot_table(SHAPE.shards), {}, 0
    while len(found) < SHAPE.shards * len(versions):
        number += 1
        missing = [v for v in versions if (shard_of(str(number), table), v) not in found]
        if missing:
            shard = shard_of(str(number), table)
            found[shard, missing[0]] = {"id": number, "text": word(missing[0]), "shard": shard}
    return list(found.values())


class Readers:
    """Search without a pause and keep every answer."""

    def __init__(self, cluster, uid, threads=3):
        self._cluster, self._uid = cluster, uid
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(threads)
        self._reads = [self._pool.submit(self._read) for _ in range(threads)]

    def _read(self):
        client = self._cluster.local.client(timeout_s=30)
        answers = []
        while not self._stop.is_set():
            path = f"/indexes/{self._uid}/search"
            answers.append(client.request("POST", path, {"q": "marker"}))
        return answers

    def answers(self):
        """Stop reading; return all answers, those of each reader in their order."""
        self._stop.set()
        found = [read.result() for read in self._reads]
        self._pool.shutdown()
        return found


def marked(cluster, uid):
    """Make an index whose settings show in its hits; return its version."""
    before = cluster.create(uid) + 1
    cluster.do(
        "PATCH",
        f"/indexes/{uid}/settings",
        {"typoTolerance": {"enabled": False}, "synonyms": {"marker": [word(before)]}},
    )
    versions = range(before, before + CHANGES + 1)
    cluster.do("POST", f"/indexes/{uid}/documents", documents(versions))
    return before


def assert_one_version(answer):
    """Look into the hits: every shard used the settings that the header names."""
    assert answer.status == 200, answer
    version = int(answer.headers["x-miroir-settings-version"])
    shown = {(hit["shard"], hit["text"]) for hit in answer.body["hits"]}
    assert shown == {(shard, word(version)) for shard in range(SHAPE.shards)}, answer.headers
    return version


def test_no_answer_mixes_versions_and_none_is_flagged(cluster, uid):
    """What waves are for: an operator may change settings while customers search."""
    before = marked(cluster, uid)
    readers = Readers(cluster, uid)
    for version in range(before + 1, before + CHANGES + 1):
        cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": {"marker": [word(version)]}})
    until(lambda: set(cluster.proved(uid).values()) == {before + CHANGES}, "the second half")

    seen = set()
    for answers in readers.answers():
        versions = [assert_one_version(answer) for answer in answers]
        assert not any("x-miroir-settings-inconsistent" in a.headers for a in answers)
        assert versions == sorted(versions), "no reader goes back"
        seen |= set(versions)
    assert len(seen) > CHANGES // 2, "the searches ran while the settings changed"
    window = cluster.metric("miroir_settings_mixed_window_seconds_count")
    assert window == 0, "there was no moment in which answers could mix"


def test_the_second_half_answers_while_the_first_is_changed(cluster, uid):
    """A reindex takes hours: until its end readers see nothing of it."""
    before = marked(cluster, uid)
    cluster.faults("n0", {"fault": "task_stall", "index": uid, "type": "settingsUpdate"})

    accepted = cluster.change(uid, {"synonyms": {"marker": [word(before + 1)]}})

    until(lambda: cluster.shown(uid, "synonyms")["n1"] == {"marker": [word(before + 1)]}, "n1")
    assert cluster.proved(uid) == {"n0": None, "n1": None, "n2": before, "n3": before}
    for _ in range(20):
        answer = cluster.search(uid, {"q": "marker"}, floor=before)
        assert assert_one_version(answer) == before
        assert "x-miroir-settings-inconsistent" not in answer.headers
    cluster.faults("n0")
    assert cluster.ended(accepted)["status"] == "succeeded"
    assert assert_one_version(cluster.search(uid, {"q": "marker"})) == before + 1


def test_documents_are_judged_by_settings_that_were_in_force_when_they_came(cluster, uid):
    """The second half must not get them before the settings, and take what it should refuse."""
    cluster.create(uid)
    late = {"fault": "latency", "method": "PATCH", "path": f"{uid}/settings$", "ms": 2000}
    for name in ("n0", "n1", "n2", "n3"):
        cluster.faults(name, {**late, "ms": 2000 if name in {"n2", "n3"} else 0})
    accepted = cluster.change(uid, {"filterableAttributes": ["_geo"]})
    assert cluster.ended(accepted)["status"] == "succeeded"
    proved = cluster.proved(uid)

    wrong = [{"id": n, "_geo": {"lat": None, "lng": 1}} for n in range(10)]
    task = cluster.ended(cluster.send("POST", f"/indexes/{uid}/documents", wrong))

    assert set(proved.values()) != {cluster.version(uid)}, "half of the nodes were behind"
    assert task["status"] == "failed", task
    assert task["error"]["code"] == "invalid_document_geo_field"
    cluster.settle(uid)
    version = cluster.version(uid)
    until(lambda: set(cluster.states(uid).values()) == {"synced"}, "every replica in sync")
    assert set(cluster.proved(uid).values()) == {version}
    assert all(cluster.documents(name, uid) == {} for name in cluster.nodes)


def test_an_abort_before_the_switch_is_seen_by_nobody(cluster, uid):
    """Half of the nodes had the settings that failed, and no customer saw them."""
    before = marked(cluster, uid)
    refused = {"fault": "status", "status": 400, "method": "PATCH", "path": f"{uid}/settings$"}
    cluster.faults("n1", {**refused, "message": "not here", "code": "invalid_settings_synonyms"})
    readers = Readers(cluster, uid)

    task = cluster.ended(cluster.change(uid, {"synonyms": {"marker": [word(before + 1)]}}))

    assert (task["status"], task["error"]["message"]) == ("failed", "not here")
    for answers in readers.answers():
        assert {assert_one_version(answer) for answer in answers} <= {before}
        assert not any("x-miroir-settings-inconsistent" in a.headers for a in answers)
    assert cluster.version(uid) == before
    cluster.faults("n1")
    until(lambda: set(cluster.proved(uid).values()) == {before}, "all in use again")


def test_a_search_that_runs_is_waited_for(cluster, uid):
    """Its answer is computed from one version, although its nodes are next to be changed."""
    before = marked(cluster, uid)
    slow = {"fault": "latency", "ms": 1500, "method": "POST", "path": f"{uid}/search"}
    for name in ("n0", "n1"):
        cluster.faults(name, slow)
    readers = Readers(cluster, uid, threads=4)
    until(lambda: cluster.matches("n0") and cluster.matches("n1"), "searches on the first half")

    cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": {"marker": [word(before + 1)]}})

    for answers in readers.answers():
        for answer in answers:
            assert assert_one_version(answer) in {before, before + 1}
            assert "x-miroir-settings-inconsistent" not in answer.headers


def test_a_column_with_one_usable_node_changes_all_at_once_and_says_so(cluster, uid):
    """There is no second cover: the change is not held up, and answers are honest."""
    before = marked(cluster, uid)
    cluster.kill("n2")
    cluster.faults("n1", {"fault": "task_stall", "index": uid, "type": "settingsUpdate"})

    accepted = cluster.change(uid, {"synonyms": {"marker": [word(before + 1)]}})

    until(lambda: cluster.shown_by("n0", uid, "synonyms") != {"marker": [word(before)]}, "n0")
    answer = cluster.search(uid, {"q": "marker"})
    assert answer.headers["x-miroir-settings-inconsistent"] == "true"
    cluster.faults("n1")
    assert cluster.ended(accepted)["status"] == "succeeded"
    assert cluster.proved(uid)["n2"] is None
    cluster.revive("n2")
    until(lambda: cluster.proved(uid)["n2"] == before + 1, "n2 brought up")


@pytest.mark.parametrize("half", ["n0", "n2"])
def test_a_node_that_dies_in_the_change_mixes_nothing(cluster, uid, half):
    """In the first half it ends the change, in the second it is left behind."""
    before = marked(cluster, uid)
    cluster.faults(half, {"fault": "task_stall", "index": uid, "type": "settingsUpdate"})
    accepted = cluster.change(uid, {"synonyms": {"marker": [word(before + 1)]}})
    until(lambda: cluster.settings_tasks_of(half, uid) > 1, "the change has reached it")
    readers = Readers(cluster, uid)

    cluster.local.nodes[half].kill()
    task = cluster.ended(accepted)

    for answers in readers.answers():
        for answer in answers:
            if "x-miroir-settings-inconsistent" not in answer.headers:
                assert_one_version(answer)
    assert task["status"] == ("failed" if half == "n0" else "succeeded")
    assert cluster.version(uid) == before + (half == "n2")
    cluster.revive(half)
    until(lambda: set(cluster.proved(uid).values()) == {cluster.version(uid)}, "all in use")
