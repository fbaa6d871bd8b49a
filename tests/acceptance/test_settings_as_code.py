"""
Settings as code through Miroir: files, versions, confirmation, golden queries, crashes.

What one plain node can do as well is proved in tests/integration/cli/test_settings_plain.py.
"""

import os
import signal

import pytest

from miroir.cli.layout import Shape
from miroir.cli.settings.documents import KINDS
from tests.support.command_line import CommandLine
from tests.support.live_cluster import until

SHAPE = Shape(2, 2)
PLANTED = "PLANTED-secret-0123456789"
REST = {
    "source": "rest",
    "url": f"http://user:{PLANTED}@127.0.0.1:9/embed?key={PLANTED}",
    "apiKey": PLANTED,
    "dimensions": 3,
    "request": {"input": "{{text}}", "options": [{"access_token": PLANTED}]},
    "response": {"data": "{{embedding}}"},
    "headers": {"Authorization": f"Bearer {PLANTED}"},
}
GOLDEN = """\
queries:
  - name: carol
    search: {q: carol}
    expectedIds: [1]
    minOverlap: 0.5
maxZeroHitRate: 0
"""


@pytest.fixture
def miroir(cluster, tmp_path):
    """The command; nothing that it says or Miroir logs may hold a secret."""
    layout = cluster.local.layout
    line = CommandLine(
        tmp_path,
        {
            "MIROIR_URL": cluster.local.url,
            "MIROIR_ADMIN_KEY": layout.admin_key.reveal(),
            "MIROIR_MASTER_KEY": layout.master_key.reveal(),
            "MIROIR_BY": "ci",
        },
    )
    yield line
    told = [*line.said, *(p.read_text() for p in tmp_path.rglob("*") if p.is_file())]
    told.append(cluster.local.miroir.command.log.read_text())
    secrets = (PLANTED, layout.admin_key.reveal(), layout.master_key.reveal())
    assert not [secret for text in told for secret in secrets if secret in text]


@pytest.fixture
def path(cluster, uid, miroir):
    """An index with documents, and its file."""
    cluster.create(uid, [{"id": 1, "title": "Carol", "year": 2015}, {"id": 2, "title": "Heat"}])
    return miroir.folder / "movies.yaml"


def say(path, uid, settings):
    path.write_text(f"index: {uid}\nsettings:\n{settings}")
    return path


def stall(uid):
    return {"fault": "task_stall", "type": "settingsUpdate", "index": f"^{uid}$"}


def hold(cluster, uid):
    for name in cluster.nodes:
        cluster.faults(name, stall(uid))


def followed(cluster, uid, path, miroir):
    """Return a command whose change does not end; it tells of its nodes by now."""
    hold(cluster, uid)
    say(path, uid, "  stopWords: [kept]\n")
    started = miroir.start("settings", "apply", path, "--yes")
    until(lambda: f"{uid}: " in started.said(), "the change is followed")
    return started


def quiet(cluster, uid):
    until(lambda: not cluster.look(uid)["intent"], "no change is open")


def test_a_change_is_planned_applied_and_found_in_the_history(cluster, uid, path, miroir):
    """Who, when, why, what, and how long; and a second time there is nothing to do."""
    say(path, uid, "  stopWords: [the, a]\n  searchableAttributes: [title]\n")
    plan = miroir("settings", "plan", path, "--detailed-exitcode", "-o", "json")
    (index,) = plan.document["indexes"]
    assert plan.status == 2
    assert (index["documents"], index["secondCover"]) == (2, True)
    assert index["form"].startswith("waves")

    applied = miroir("settings", "apply", path, "--yes", "-m", "fewer words")
    assert applied.status == 0, applied
    assert cluster.shown(uid, "stopWords") == cluster.everywhere(["a", "the"])

    tasks = cluster.settings_tasks(uid)
    again = miroir("settings", "apply", path, "--yes")
    assert (again.status, "nothing to do" in again.out) == (0, True)
    assert cluster.settings_tasks(uid) == tasks
    listed = miroir("settings", "history", uid, "-o", "json").document["versions"][0]
    assert (listed["by"], listed["reason"]) == ("ci", "fewer words")
    assert set(listed["diff"]) == {"stopWords", "searchableAttributes"}
    assert set(listed["nodes"]) == set(cluster.nodes)
    shown = miroir("settings", "show", uid, listed["version"]).out
    assert "why      fewer words" in shown
    assert "searchableAttributes:\n  - title\n" in shown


def test_pull_then_plan_is_empty_with_secrets_that_nobody_can_read(cluster, uid, path, miroir):
    """They are written as references, and what is in force stays until one is set."""
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"embedders": {"small": REST}})
    assert miroir("settings", "pull", uid, "--out", "s").status == 0
    ran = miroir("settings", "plan", "s", "--detailed-exitcode")
    assert (ran.status, "not set, so what is in force is kept" in ran.out) == (0, True)
    assert miroir("settings", "show", uid, cluster.version(uid)).status == 0
    for shape in ("table", "json", "yaml"):
        for number in range(1, cluster.version(uid) + 1):
            miroir("settings", "show", uid, number, "-o", shape)
            miroir("settings", "diff", f"{uid}@{number}", "-o", shape)
        for words in (("history", uid), ("status",), ("watch", "--once"), ("plan", "s")):
            miroir("settings", *words, "-o", shape)
        miroir("doctor", "-o", shape)
    name = cluster.nodes[0]
    other = {"small": {**REST, "headers": {"Authorization": f"Basic {PLANTED}"}}}
    miroir("drift", "ignore", uid)
    cluster.on_node(name).request("PATCH", f"/indexes/{uid}/settings", {"embedders": other}).ok()
    until(lambda: cluster.drift(uid), "somebody has put another secret there")
    for shape in ("table", "json", "yaml"):
        explained = miroir("drift", "explain", uid, "-o", shape)
        assert "(secret)" in explained.out, explained
    assert miroir("drift", "repair", uid).status == 0
    until(lambda: not cluster.drift(uid), "repaired")


def test_versions_are_compared_and_brought_back(cluster, uid, path, miroir):
    """A rollback is a change like any other, and can be rolled back."""
    base = cluster.version(uid)
    for word in ("one", "two"):
        miroir("settings", "apply", say(path, uid, f"  stopWords: [{word}]\n"), "--yes")
    quiet(cluster, uid)
    differ = miroir("settings", "diff", f"{uid}@{base + 1}", f"{uid}@{base + 2}", "-o", "json")
    (change,) = differ.document["indexes"][0]["changes"]
    assert (differ.status, change["added"], change["removed"]) == (1, ["two"], ["one"])
    back = miroir("settings", "rollback", uid, base + 1, "--yes", "-m", "two was wrong")
    assert back.status == 0, back
    assert cluster.version(uid) == base + 3
    assert miroir("settings", "diff", f"{uid}@{base + 1}").status == 0
    assert miroir("settings", "rollback", uid, base + 1, "--yes").status == 0
    assert cluster.version(uid) == base + 3


def test_a_saved_plan_is_refused_when_somebody_was_faster(cluster, uid, path, miroir):
    """Approved was a change of another version."""
    say(path, uid, "  stopWords: [the]\n")
    miroir("settings", "plan", path, "--out", "plan.json")
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"synonyms": {"a": ["b"]}})
    quiet(cluster, uid)
    version = cluster.version(uid)
    ran = miroir("settings", "apply", "plan.json", "--yes")
    assert (ran.status, "has moved since the plan" in ran.err) == (1, True)
    assert cluster.version(uid) == version


def test_a_change_undoes_itself_unless_it_is_confirmed(cluster, uid, path, miroir):
    """By Miroir, whatever becomes of the command; and the command says how to keep it."""
    say(path, uid, "  stopWords: [first]\n")
    assert miroir("settings", "apply", path, "-y", "--confirm", "10m").status == 0
    status = miroir("settings", "status")
    assert f"miroir settings confirm {uid}" in " ".join(status.out.split())
    assert miroir("settings", "confirm", uid).status == 0
    assert cluster.look(uid)["unconfirmed"] is None

    say(path, uid, "  stopWords: [second]\n")
    ran = miroir("settings", "apply", path, "-y", "--confirm", "1s")
    assert ran.status == 0, ran
    until(lambda: cluster.shown(uid, "stopWords") == cluster.everywhere(["first"]), "undone")
    assert miroir("settings", "confirm", uid).status == 1


def test_golden_queries_that_do_not_hold_stop_the_change(cluster, uid, path, miroir):
    """Nobody has seen it: the half that answered had the old settings."""
    (miroir.folder / "golden.yaml").write_text(GOLDEN)
    version = cluster.version(uid)
    say(path, uid, "  searchableAttributes: [year]\n")
    ran = miroir("settings", "apply", path, "-y", "--canary", "golden.yaml")
    assert ran.status == 1, ran
    assert "carol" in ran.out
    assert cluster.version(uid) == version
    say(path, uid, "  searchableAttributes: [title]\n")
    ran = miroir("settings", "apply", path, "-y", "--canary", "golden.yaml")
    assert ran.status == 0, ran
    (miroir.folder / "golden.yaml").write_text("queries: []\n")
    bad = miroir("settings", "apply", path, "-y", "--canary", "golden.yaml")
    assert (bad.status, "canary.queries" in bad.err) == (2, True)


def test_without_a_second_cover_the_plan_says_so_and_golden_queries_are_refused(
    cluster, uid, path, miroir
):
    """A mixed window is no place to compare answers in."""
    (miroir.folder / "golden.yaml").write_text(GOLDEN)
    cluster.kill(cluster.nodes[0])
    say(path, uid, "  stopWords: [x]\n")
    plan = miroir("settings", "plan", path)
    assert "mixed window: shard 0 has one usable node" in plan.out
    ran = miroir("settings", "apply", path, "-y", "--canary", "golden.yaml")
    assert (ran.status, "second cover" in ran.err) == (2, True)
    doctor = miroir("doctor")
    assert (doctor.status, "start it; it is used again" in doctor.out) == (1, True)
    assert miroir("node", "list").status == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_an_interrupted_command_loses_nothing(cluster, uid, path, miroir, number):
    """The change is Miroir's; the next command says where it stands, and waits for it."""
    started = followed(cluster, uid, path, miroir)
    os.kill(started.pid, number)
    ended = miroir.ended(started)
    if number == signal.SIGINT:
        assert (ended.status, "goes on without this command" in ended.out) == (130, True)
    watch = miroir("settings", "watch", "--once", "-o", "json").document
    assert [running["index"] for running in watch["running"]] == [uid]
    plan = miroir("settings", "plan", path)
    assert "(ci) is" in plan.out
    for name in cluster.nodes:
        cluster.faults(name)
    tasks = cluster.settings_tasks(uid)
    assert miroir("settings", "apply", path, "--yes").status == 0
    assert cluster.shown(uid, "stopWords") == cluster.everywhere(["kept"])
    assert {name: count <= 1 for name, count in tasks.items()} == cluster.everywhere(True)
    assert cluster.settings_tasks(uid) == cluster.everywhere(1)


def test_a_change_tells_how_far_each_node_is(cluster, uid, path, miroir):
    """As the nodes tell themselves; of an ended change nothing is asked any more."""
    say(path, uid, "  stopWords: [slow]\n")
    hold(cluster, uid)
    accepted = miroir("settings", "apply", path, "-y", "--no-wait", "-o", "json").document
    number = accepted["indexes"][0]["intent"]

    def told():
        nodes = cluster.admin("GET", f"/_miroir/intents/{number}").ok()["nodes"]
        return [node["progress"] for node in nodes.values() if node["progress"]]

    assert until(told, "a node tells")[0]["percentage"] == 0
    (running,) = miroir("settings", "watch", "--once", "-o", "json").document["running"]
    assert 0 in [node["percent"] for node in running["nodes"]]
    for name in cluster.nodes:
        cluster.faults(name)
    until(lambda: not cluster.look(uid)["intent"], "at rest")
    assert told() == []


def test_miroir_killed_under_an_apply_is_said_and_the_change_ends(cluster, uid, path, miroir):
    """Started again it goes on; the command cannot know how it ended, and says what to do."""
    started = followed(cluster, uid, path, miroir)
    cluster.kill_miroir()
    ended = miroir.ended(started)
    assert ended.status == 1
    assert "was accepted as task" in ended.out
    assert "miroir settings watch" in ended.out
    for name in cluster.nodes:
        cluster.faults(name)
    cluster.start_miroir()
    assert miroir("settings", "apply", path, "--yes").status == 0
    assert cluster.shown(uid, "stopWords") == cluster.everywhere(["kept"])


def test_drift_is_listed_explained_and_adopted(cluster, uid, path, miroir):
    """Somebody has changed one node by hand, in alert mode."""
    ran = miroir("drift", "list")
    assert (ran.status, "no node strays" in ran.out) == (0, True)
    name = cluster.nodes[1]
    client = cluster.on_node(name)
    cluster.faults(name, {**stall(uid), "skip": 1})  # The repair takes its time, not the change.
    client.request("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["foreign"]}).ok()
    until(lambda: cluster.shown_by(name, uid, "stopWords") == ["foreign"], "changed by hand")
    until(lambda: cluster.drift(uid), "found")
    listed = miroir("drift", "list", "-o", "json")
    assert listed.status == 1
    assert {row["node"] for row in listed.document["results"]} == {name}
    explained = miroir("drift", "explain", uid)
    assert "added    foreign" in explained.out, explained
    assert miroir("drift", "repair", uid).status == 0
    cluster.faults(name)
    until(lambda: not cluster.drift(uid), "repaired")


def test_a_key_that_is_to_be_ignored_stays_as_somebody_has_made_it(cluster, uid, path, miroir):
    """Also over a restart; the node goes on answering, and it is told who wanted that, and why."""
    said = miroir("drift", "ignore", uid, "synonyms", "-m", "kept by hand")
    assert (said.status, "left alone: synonyms" in said.out) == (0, True)
    cluster.kill_miroir()
    cluster.start_miroir()
    until(lambda: len(cluster.healthy()) == len(cluster.nodes), "every node found again")
    name = cluster.nodes[1]
    by_hand = {"synonyms": {"film": ["movie"]}}
    cluster.on_node(name).request("PATCH", f"/indexes/{uid}/settings", by_hand).ok()
    until(lambda: [d["state"] for d in cluster.drift(uid)] == ["ignored"], "seen")
    until(lambda: cluster.states(uid) == cluster.everywhere("synced"), "answering")
    listed = miroir("drift", "list", "-o", "json")
    assert listed.status == 0
    (row,) = listed.document["results"]
    assert (row["node"], row["faults"], row["state"]) == (name, ["synonyms"], "ignored")
    (rule,) = [r for r in listed.document["rules"] if r["index"] == uid]
    assert (rule["by"], rule["reason"], rule["ignoredKeys"]) == (
        "ci",
        "kept by hand",
        ["synonyms"],
    )
    assert "kept by hand" in miroir("drift", "explain", uid).out
    assert cluster.shown_by(name, uid, "synonyms") == by_hand["synonyms"]

    cluster.on_node(name).request("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["x"]}).ok()
    until(lambda: cluster.shown_by(name, uid, "stopWords") == [], "another key is repaired")
    miroir("drift", "ignore", uid, "--stop")
    cluster.on_node(name).request("PATCH", f"/indexes/{uid}/settings", by_hand).ok()
    until(lambda: cluster.shown(uid, "synonyms") == cluster.everywhere({}), "repaired, too")


def test_one_order_repairs_every_node_that_strays(cluster, uid, path, miroir):
    """The first repair is a change of its own; the second node must not be forgotten over it."""
    miroir("drift", "ignore", uid)
    for name in cluster.nodes[:3]:
        by_hand = {"stopWords": ["by-hand"]}
        cluster.on_node(name).request("PATCH", f"/indexes/{uid}/settings", by_hand).ok()
    until(lambda: [d["action"] for d in cluster.drift(uid)] == ["alert"] * 3, "reported")
    assert miroir("drift", "repair", uid).status == 0
    until(lambda: not cluster.drift(uid), "repaired")
    assert cluster.shown(uid, "stopWords") == cluster.everywhere([])
    miroir("drift", "ignore", uid, "--stop")


def test_a_mode_that_is_ordered_holds_at_once(cluster, uid, path, miroir):
    """Somebody has to work on a node by hand, now."""
    assert miroir("drift", "ignore", uid).status == 0
    name = cluster.nodes[0]
    by_hand = {"stopWords": ["by-hand"]}
    cluster.on_node(name).request("PATCH", f"/indexes/{uid}/settings", by_hand).ok()
    until(lambda: [d["action"] for d in cluster.drift(uid)] == ["alert"], "reported")
    explained = miroir("drift", "explain", uid, "-o", "json").document
    (change,) = explained["differences"][0]["changes"]
    assert (change["key"], change["added"]) == ("stopWords", ["by-hand"])
    back = miroir("drift", "ignore", uid, "--stop")
    assert "foreign changes are undone" in back.out
    until(lambda: cluster.shown(uid, "stopWords") == cluster.everywhere([]), "repaired")
    assert [o["modeIs"] for o in miroir("drift", "list", "-o", "json").document["orders"]][:2] == [
        "configured",
        "ordered",
    ]


def test_an_order_that_makes_no_sense_is_refused_by_name(cluster, uid, path, miroir):
    """A key with a slip in it would be ignored for ever, and guarded never."""
    ran = miroir("drift", "ignore", uid, "synonymes")
    assert (ran.status, '"synonymes"' in ran.err) == (1, True)
    ran = miroir("drift", "ignore", "no-such-index", "synonyms")
    assert (ran.status, "`no-such-index` not found" in ran.err) == (1, True)
    ran = miroir("drift", "ignore", uid, "--stop", "--mode", "off")
    assert ran.status == 2


def test_every_document_of_a_cluster_fits_its_published_schema(cluster, uid, path, miroir):
    """Others build upon them; and nothing but the document is on standard output."""
    say(path, uid, "  stopWords: [a]\n")
    commands = [
        ("settings", "apply", path, "-y", "--confirm", "10m"),
        ("settings", "confirm", uid),
        ("settings", "history", uid),
        ("settings", "show", uid, cluster.version(uid) + 1),
        ("settings", "diff", f"{uid}@1"),
        ("settings", "rollback", uid, 1, "-y"),
        ("settings", "thaw", uid),
        ("settings", "status"),
        ("drift", "ignore", uid, "synonyms", "-m", "why"),
        ("drift", "list"),
        ("drift", "explain", uid),
        ("drift", "repair", uid),
        ("drift", "adopt", uid, "--node", cluster.nodes[0]),
        ("drift", "ignore", uid, "--stop"),
        ("doctor",),
        ("node", "list"),
    ]
    models = {kind.model_fields["kind"].default: kind for kind in KINDS}
    for command in commands:
        ran = miroir(*command, "-o", "json")
        assert ran.out.startswith("{"), (command, ran)
        models[ran.document["kind"]].model_validate_json(ran.out, strict=True)


def test_a_wrong_key_is_told_what_key_is_wanted(miroir):
    """The first thing that goes wrong for everybody."""
    ran = miroir("settings", "status", "--key", "env:OTHER", OTHER="another-key")
    assert (ran.status, "give its admin key" in ran.err) == (1, True)
