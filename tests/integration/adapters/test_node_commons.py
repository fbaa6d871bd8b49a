"""Features, keys and engine classes of nodes that exist, judged by Meilisearch."""

import uuid
from datetime import UTC, datetime

import pytest
from tests.support.node_process import KEY

from miroir.adapters.node_control import NodeControlHttp
from miroir.adapters.node_http import NodeHttp
from miroir.core import keys as rules
from miroir.core.keys import Step
from miroir.core.topology import IndexUid, NodeId
from miroir.errors import NodeRefused, NodeUnreachable
from miroir.ports.node import NodeReply
from miroir.services.carriers.asking import (
    by_uid,
    read_features,
    read_keys,
    set_features,
    take,
)
from miroir.services.carriers.keys import bring

pytestmark = pytest.mark.anyio

N1 = NodeId("n1")
NOW = datetime(2026, 11, 23, tzinfo=UTC)
SHAPING = {"chatCompletions": "chat", "foreignKeys": "foreignKeys"}


@pytest.fixture
async def control(node):
    """A client of the node; features are off again afterwards."""
    client = NodeHttp({N1: node}, master_key=KEY)
    control = NodeControlHttp(client)
    yield control
    await set_features(control, N1, dict.fromkeys(await read_features(control, N1), False))
    await client.aclose()


def definition(**changes):
    fields = {
        "name": "shop",
        "description": None,
        "actions": ["search", "documents.*"],
        "indexes": ["movies*"],
        "expiresAt": "2040-01-01T00:00:00+02:00",
    }
    return {**fields, **changes}


async def settings_of(control, uid):
    await control.patch_settings(N1, uid, {})
    while True:
        try:
            return await control.read_settings(N1, uid)
        except NodeRefused:
            continue  # Its creation is still queued.


async def test_the_class_of_a_node_is_its_version_and_what_shapes_its_settings(control):
    """Each feature is switched by itself, so that a new one that shapes settings is found here."""
    version = await control.engine(N1)
    assert "+" not in version
    uid = IndexUid(f"shapes-{uuid.uuid4().hex[:8]}")
    plain = set(await settings_of(control, uid))

    for feature in await read_features(control, N1):
        await set_features(control, N1, {feature: True})
        more = set(await settings_of(control, uid)) - plain
        engine = await control.engine(N1)
        await set_features(control, N1, {feature: False})

        assert more == ({SHAPING[feature]} if feature in SHAPING else set()), feature
        assert engine == (f"{version}+{feature}" if more else version)


async def test_several_features_make_one_class_in_one_order(control):
    """Two names of one class would be two fingerprints of one form."""
    version = await control.engine(N1)
    await set_features(control, N1, {"foreignKeys": True, "metrics": True})
    await set_features(control, N1, {"chatCompletions": True})

    assert await control.engine(N1) == f"{version}+chatCompletions,foreignKeys"


async def test_a_flag_that_the_node_does_not_know_is_refused_whole(control):
    """That is why only flags which a node shows are sent to it."""
    with pytest.raises(NodeRefused) as caught:
        await set_features(control, N1, {"metrics": True, "noSuchFeature": True})

    assert caught.value.error["code"] == "bad_request"
    assert (await read_features(control, N1))["metrics"] is False


async def test_a_node_has_the_keys_it_is_brought_to(control):
    """Made, renamed, made anew with other rights, deleted; others are left alone."""
    others = set(await read_keys(control, N1))
    uid, gone = str(uuid.uuid4()), str(uuid.uuid4())

    for wanted in (
        {uid: definition(), gone: definition(name="gone")},
        {uid: definition(name="another"), gone: None},
        {uid: definition(actions=["*"], indexes=["*"]), gone: None},
        {uid: None, gone: None},
    ):
        await bring(control, N1, wanted, NOW)

        shown = await read_keys(control, N1)
        assert rules.faults(wanted, by_uid(shown), NOW) == ()
        assert others <= set(shown)
        assert all(key["key"] == rules.value_of(KEY, u) for u, key in shown.items())

    assert set(await read_keys(control, N1)) == others


async def test_a_key_that_is_gone_already_needs_no_deletion(control):
    """Two processes may bring one node there at the same time."""
    await take(control, N1, (Step("DELETE", f"/keys/{uuid.uuid4()}"),))

    with pytest.raises(NodeRefused):
        await take(control, N1, (Step("PATCH", f"/keys/{uuid.uuid4()}", {"name": "x"}),))


class Older:
    """A node from before a route existed: actix answers 404 without a body."""

    def __init__(self, answers):
        self._answers = answers

    async def send(self, _node_id, request, *, timeout_s):
        """Answer what is listed, and nothing else."""
        body = self._answers.get(request.path)
        return NodeReply(404, {}, b"") if body is None else NodeReply(200, {}, body)


async def test_a_node_without_the_route_has_no_features():
    """Older versions are healthy nodes; their class is their version."""
    control = NodeControlHttp(Older({"/version": b'{"pkgVersion":"1.2.0"}'}))

    assert await control.engine(N1) == "1.2.0"
    assert await read_features(control, N1) == {}


async def test_what_is_no_list_of_keys_is_no_answer():
    """A proxy's page must not look like a node without keys, which would be given them anew."""
    for body in (b"<html>", b"[]", b'{"results":[{"uid":1}]}', b'{"results":null}'):
        control = NodeControlHttp(Older({"/keys?limit=1000&offset=0": body}))
        with pytest.raises(NodeUnreachable):
            await read_keys(control, N1)
