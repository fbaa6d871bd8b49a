"""Acceptance (6), the other half: `freeze_writes_on_unrepairable: false` freezes nothing."""

from miroir.cli.layout import Shape
from tests.acceptance.test_6_frozen import ALREADY, DOCUMENT, SETTINGS as FREEZING, tear_apart

SHAPE = Shape(2, 1)
SETTINGS = {
    **FREEZING,
    "settings_broadcast": {
        **FREEZING["settings_broadcast"],
        "freeze_writes_on_unrepairable": False,
    },
}


def test_writes_go_on_where_freezing_is_not_configured(cluster, uid):
    """Who chose availability keeps it; the readers' flag still tells the truth."""
    version = cluster.create(uid, ALREADY)
    tear_apart(cluster, uid)

    cluster.do("POST", f"/indexes/{uid}/documents", DOCUMENT)

    assert cluster.intents(uid)[0]["phase"] == "aborted"
    assert cluster.version(uid) == version
    assert cluster.look(uid)["frozen"] is None
    assert cluster.metric("miroir_settings_broadcast_phase", index=uid) == 0
    answer = cluster.send("GET", f"/indexes/{uid}/documents")
    assert answer.ok()["total"] == len(ALREADY) + 1
    assert answer.headers["x-miroir-settings-inconsistent"] == "true"
