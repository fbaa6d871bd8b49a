"""
What an engine says of a secret goes no further than to Miroir.

Embedding servers quote the key that they refuse, and engines quote embedding servers. Nodes are
made to quote an embedder's key, the master key and a client's key wherever they can say no; then
all that comes out of Miroir is looked through, its store included.
"""

import json
from urllib.parse import quote

import pytest

from miroir.cli.layout import Shape
from tests.support.command_line import CommandLine
from tests.support.live_cluster import PROBE

SHAPE = Shape(2, 2)
OLD = 'PLANTED+"old"/\\0123456789'
NEW = "PLANTED+new/0123456789"
SHOWN = ("PLANTED-in-a-url", "PLANTED-in-a-header")
"""Nodes show these to whoever may read settings; no disk and no log has them."""
EMBEDDER = {
    "source": "rest",
    "url": f"http://127.0.0.1:9/embed?access_token={SHOWN[0]}",
    "headers": {"Authorization": f"Bearer {SHOWN[1]}"},
    "apiKey": OLD,
    "dimensions": 3,
    "request": {"input": "{{text}}"},
    "response": {"data": "{{embedding}}"},
}
REFUSED = "the embedding server said"
COMMANDS = (
    ("settings", "history", "{uid}"),
    ("settings", "status"),
    ("settings", "watch", "--once"),
    ("settings", "pull", "{uid}", "--out", "s"),
    ("settings", "plan", "s"),
    ("settings", "diff", "s"),
    ("drift", "list"),
    ("doctor",),
)
DOCUMENT = {"id": 2, "title": "Heat", "_vectors": {"small": [1, 0, 0]}}


class Ears:
    """Hears everything that comes out of Miroir."""

    def __init__(self, cluster, uid, folder):
        layout = cluster.local.layout
        self._cluster, self._uid = cluster, uid
        self._master = layout.master_key.reveal()
        rights = {"actions": ["search", "tasks.get"], "indexes": [uid], "expiresAt": None}
        self.key = cluster.send("POST", "/keys", rights).body["key"]
        self.secrets = [OLD, self._master, self.key]
        self._heard = []
        self._miroir = CommandLine(
            folder,
            {
                "MIROIR_URL": cluster.local.url,
                "MIROIR_ADMIN_KEY": layout.admin_key.reveal(),
                "MIROIR_MASTER_KEY": self._master,
            },
        )

    @property
    def quoting(self):
        """What a node says: everything that it must not."""
        in_urls = [f"http://x/?a={quote(secret, safe='')}" for secret in self.secrets]
        return f"{REFUSED}: {' '.join(self.secrets)}, {json.dumps(self.secrets)}, {in_urls}"

    def hear(self, reply):
        """Keep an answer, and return it."""
        self._heard.append(json.dumps(reply.body))
        return reply

    def ask_the_command_line(self):
        """Keep what operators are told."""
        for words in COMMANDS:
            self._miroir(*(word.format(uid=self._uid) for word in words))
        self._heard += self._miroir.said

    def nothing_else(self):
        """Look through what was said; the node's words have to be there, or nothing is proved."""
        cluster, uid = self._cluster, self._uid
        for path in ("/tasks?limit=100", "/batches?limit=100"):
            self.hear(cluster.send("GET", path, key=self.key))
        for path in (f"settings/{uid}", f"settings/{uid}/history", "intents", "drift", "topology"):
            self.hear(cluster.admin("GET", f"/_miroir/{path}"))
        self._heard.append(cluster.admin("GET", "/_miroir/metrics").body)
        assert any(REFUSED in said for said in self._heard), "nobody has heard the node"
        log = cluster.local.miroir.command.log
        kept = [p for p in (cluster.local.layout.folder / "miroir").rglob("*") if p.is_file()]
        assert kept
        stays = [path.read_bytes().decode("latin-1") for path in (log, *kept)]
        self._heard += stays
        forms = {f for s in self.secrets for f in (s, quote(s, safe=""), json.dumps(s)[1:-1])}
        assert not {form for form in forms for said in self._heard if form in said}
        assert not {secret for secret in SHOWN for text in stays if secret in text}


@pytest.fixture
def ears(cluster, uid, tmp_path):
    """An index whose embedder has a secret."""
    cluster.create(uid, [{"id": 1, "title": "Carol"}])
    ears = Ears(cluster, uid, tmp_path)
    cluster.do("PATCH", f"/indexes/{uid}/settings", {"embedders": {"small": EMBEDDER}})
    return ears


def failing(ears, index, kind="settingsUpdate", code="vector_embedding_error"):
    return {
        "fault": "task_fail",
        "type": kind,
        "index": f"^{index}$",
        "code": code,
        "message": ears.quoting,
    }


def refusing(ears, method, path):
    return {
        "fault": "status",
        "status": 400,
        "method": method,
        "path": path,
        "code": "vector_embedding_error",
        "message": ears.quoting,
    }


def everywhere(cluster, rule):
    for name in cluster.nodes:
        cluster.faults(name, rule)


def anew(cluster, uid):
    """Change the secret, by a change that was never probed: the probe is asked once for each."""
    patch = {"stopWords": [uid], "embedders": {"small": {**EMBEDDER, "apiKey": NEW}}}
    return cluster.change(uid, patch)


@pytest.fixture
def new(ears):
    """A secret that a test is about to send."""
    ears.secrets.append(NEW)
    return ears


def test_a_task_of_settings_fails(cluster, uid, new):
    """The change is aborted, and everybody with `tasks.get` may read why."""
    cluster.faults(cluster.nodes[0], failing(new, uid))
    task = cluster.ended(new.hear(anew(cluster, uid)))
    assert (task["status"], REFUSED in task["error"]["message"]) == ("failed", True)
    cluster.settle(uid)
    new.ask_the_command_line()
    new.nothing_else()


def test_a_task_of_settings_fails_after_a_restart(cluster, uid, ears):
    """What is said of a secret that a former process has sent is as secret."""
    cluster.kill_miroir()
    cluster.start_miroir()
    cluster.faults(cluster.nodes[0], failing(ears, uid))
    task = cluster.ended(ears.hear(cluster.change(uid, {"stopWords": ["the"]})))
    assert REFUSED in task["error"]["message"]
    assert OLD not in task["error"]["message"]


def test_a_task_of_the_probe_fails(cluster, uid, new):
    """The change is refused before a node of the index has heard of its secret."""
    everywhere(cluster, failing(new, PROBE, code="invalid_settings_embedders"))
    task = cluster.ended(new.hear(anew(cluster, uid)))
    assert (task["status"], REFUSED in task["error"]["message"]) == ("failed", True)
    new.nothing_else()


def test_the_probe_refuses(cluster, uid, new):
    """Nobody has accepted the new secret: no settings in force know it."""
    everywhere(cluster, refusing(new, "PATCH", f"^/indexes/{PROBE}/settings$"))
    refused = new.hear(anew(cluster, uid))
    assert (refused.status, REFUSED in refused.body["message"]) == (400, True)
    new.nothing_else()


def test_a_node_refuses_settings(cluster, uid, new):
    """Answered with an error, not with a task."""
    cluster.faults(cluster.nodes[0], refusing(new, "PATCH", f"^/indexes/{uid}/settings$"))
    task = cluster.ended(new.hear(anew(cluster, uid)))
    assert REFUSED in task["error"]["message"]
    cluster.settle(uid)
    new.nothing_else()


def test_documents_cannot_be_embedded(cluster, uid, ears):
    """The writer of documents need not know the secrets of the settings."""
    everywhere(cluster, failing(ears, uid, kind="documentAdditionOrUpdate"))
    task = cluster.ended(ears.hear(cluster.send("POST", f"/indexes/{uid}/documents", [DOCUMENT])))
    assert REFUSED in task["error"]["message"]
    ears.nothing_else()


def test_documents_are_refused(cluster, uid, ears):
    """The same, said at once."""
    everywhere(cluster, refusing(ears, "POST", "/documents"))
    task = cluster.ended(ears.hear(cluster.send("POST", f"/indexes/{uid}/documents", [DOCUMENT])))
    assert REFUSED in task["error"]["message"]
    ears.nothing_else()


def test_a_search_cannot_be_embedded(cluster, uid, ears):
    """Whoever may search hears why it was refused, and no secret of the settings."""
    everywhere(cluster, refusing(ears, "POST", "/search"))
    body = {"q": "carol", "hybrid": {"embedder": "small", "semanticRatio": 0.5}}
    answer = ears.hear(cluster.send("POST", f"/indexes/{uid}/search", body, key=ears.key))
    assert (answer.status, REFUSED in answer.body["message"]) == (400, True)
    ears.nothing_else()
