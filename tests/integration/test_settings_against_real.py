"""
What Miroir thinks that settings patches mean, judged by Meilisearch itself.

Patches drawn from a seed go to one index as a client sent them, and to two others as Miroir would
send the full target: one that followed, one that somebody else keeps changing. All three must end
with the same settings. Needs MIROIR_MEILISEARCH_BIN.
"""

import json
import random
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.support.node_process import BINARY, RunningNode, real_node
from tests.support.sim_patches import valid_patch

from miroir.core import settings as rules
from miroir.core.fingerprint import fingerprint

pytestmark = [
    pytest.mark.meilisearch,
    pytest.mark.skipif(not BINARY, reason="MIROIR_MEILISEARCH_BIN names no binary"),
]
_STEPS = 25


def _call(node: RunningNode, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    request = urllib.request.Request(
        node.url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {node.master_key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _patch(node: RunningNode, index: str, patch: Any) -> Any:
    """Return the error of the patch, whether it came at once or with the task; None if it held."""
    status, answer = _call(node, "PATCH", f"/indexes/{index}/settings", patch)
    if status != 202:
        return answer
    while True:
        _, task = _call(node, "GET", f"/tasks/{answer['taskUid']}")
        if task["status"] in {"succeeded", "failed", "canceled"}:
            return task["error"]
        time.sleep(0.002)  # real time: a real node


def _shown(node: RunningNode, index: str) -> dict[str, Any]:
    status, settings = _call(node, "GET", f"/indexes/{index}/settings")
    assert status == 200, settings
    return dict(settings)


def _drawn(chance: random.Random) -> dict[str, Any]:
    patch = valid_patch(chance)
    key = f"sk-{chance.randrange(3)}{'x' * chance.choice((3, 12, 30))}"
    kinds = (
        {"source": "userProvided", "dimensions": chance.choice((2, 3))},
        {"source": "userProvided", "dimensions": 3, "distribution": {"mean": 0.7, "sigma": 0.3}},
        {"source": "userProvided", "dimensions": 3, "distribution": None},
        {"source": "openAi", "apiKey": key, "documentTemplate": "{{doc.title}}"},
        {"source": "openAi", "apiKey": None, "documentTemplate": None},
        {"source": "openAi", "dimensions": 256},
        {"source": "ollama", "model": "m", "dimensions": 3, "url": "http://localhost:1/api/embed"},
        {
            "source": "rest",
            "dimensions": 3,  # Given, so that the node does not ask the embedder for them.
            "url": "http://localhost:1/",
            "request": {"input": "{{text}}"},
            "response": {"data": "{{embedding}}"},
            "headers": {"X-A": chance.choice("ab")},
        },
    )
    patch.pop("embedders", None)
    if chance.random() < 0.5:
        names = chance.sample(("default", "other"), chance.choice((1, 1, 2)))
        patch["embedders"] = {n: chance.choice((*kinds, None)) for n in names}
    return patch


@pytest.mark.parametrize("seed", [1, 2])
def test_patches_lead_where_meilisearch_goes(seed: int, tmp_path: Path) -> None:
    """Else a change would be judged by an idea of settings that no node shares."""
    chance = random.Random(seed)
    with real_node(tmp_path) as node:
        for index in ("client", "follower", "disturbed"):
            assert _patch(node, index, {}) is None
        base = _shown(node, "client")
        assert rules.differences(rules.defaults(), base) == ()
        for _ in range(_STEPS):
            base = _step(node, base, _drawn(chance), _drawn(chance))


def _step(
    node: RunningNode, base: dict[str, Any], patch: dict[str, Any], foreign: dict[str, Any]
) -> dict[str, Any]:
    """One change on all three; return what is in force then."""
    target = rules.resolve(base, patch)
    refused = _patch(node, "client", patch)
    shown = _shown(node, "client")
    if refused is not None:
        sent = rules.wire_patch(_shown(node, "follower"), target, forced=True)
        assert _patch(node, "follower", sent) is not None, (patch, refused)
        return base
    assert rules.differences(target, shown) == (), patch
    desired = rules.adopted(shown, target)
    _bring(node, "follower", target, desired)
    _patch(node, "disturbed", foreign)
    _bring(node, "disturbed", target, desired)
    for index in ("follower", "disturbed"):
        assert fingerprint(_shown(node, index)) == fingerprint(shown), (index, patch, foreign)
    assert rules.wire_patch(shown, desired) == {}
    return desired


def _bring(node: RunningNode, index: str, target: dict[str, Any], desired: dict[str, Any]) -> None:
    """Send as the rounds of a broadcast do: what differs, then what differs to the letter."""
    for form in (target, desired):
        sent = rules.wire_patch(_shown(node, index), form, forced=True)
        assert _patch(node, index, sent) is None, sent
    exact = rules.exact_patch(_shown(node, index), desired)
    assert _patch(node, index, exact) is None, exact
