"""What a running Miroir answers on its admin side has the shapes that are published."""

import json
from pathlib import Path

import pytest

from miroir.cli.layout import Shape
from tests.support.live_cluster import until

SHAPE = Shape(2, 2)
PUBLISHED = json.loads(
    (Path(__file__).parents[2] / "docs" / "reference" / "openapi.json").read_text()
)
SHAPES = PUBLISHED["components"]["schemas"]
TYPES = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None),
    "object": dict, "array": list,
}  # fmt: skip


def faults(value, shape, place="$"):
    """Return where a value does not have its shape; as much of JSON Schema as is used here."""
    if "$ref" in shape:
        return faults(value, SHAPES[shape["$ref"].rsplit("/", 1)[1]], place)
    if "anyOf" in shape:
        tried = [faults(value, one, place) for one in shape["anyOf"]]
        return [] if [] in tried else min(tried, key=len)
    kind = shape.get("type")
    if kind is None:
        return []
    if not isinstance(value, TYPES[kind]) or (kind != "boolean" and isinstance(value, bool)):
        return [f"{place} is {value!r}, not {kind}"]
    found = []
    if kind == "array":
        for position, item in enumerate(value):
            found += faults(item, shape["items"], f"{place}[{position}]")
    if kind == "object":
        fields = shape.get("properties", {})
        found += [f"{place}.{n} is missing" for n in shape.get("required", []) if n not in value]
        for name, inner in value.items():
            other = shape.get("additionalProperties", {})
            if name not in fields and other is False:
                found.append(f"{place}.{name} is not published")
            else:
                found += faults(inner, fields.get(name, other or {}), f"{place}.{name}")
    return found


def published(method, path, status):
    """Return the shape of an answer of a route."""
    responses = PUBLISHED["paths"][path][method.lower()]["responses"]
    answer = responses.get(str(status), responses["default"])
    return answer["content"]["application/json"]["schema"]


@pytest.fixture
def ask(cluster):
    def ask(method, path, body=None, *, status=200, **named):
        filled = path.format(**named)
        tail = named.get("query", "")
        answer = cluster.local.admin().request(method, filled + tail, body)
        assert answer.status == status, answer
        assert faults(answer.body, published(method, path, status)) == []
        return answer.body

    return ask


def test_every_answer_has_its_published_shape(cluster, uid, ask):
    """Read, changed, on trial, confirmed, rolled back, in drift, refused."""
    cluster.create(uid, [{"id": 1, "title": "a"}])
    base = "/_miroir/settings/{uid}"
    patch = {"settings": {"stopWords": ["a"]}, "confirmWithinS": 600, "by": "me", "reason": "why"}
    task = ask("POST", f"{base}/apply", patch, status=202, uid=uid)
    cluster.client.wait_task(task["taskUid"], timeout_s=30)
    until(lambda: not cluster.look(uid)["intent"], "at rest")
    waiting = ask("GET", base, uid=uid)
    assert waiting["unconfirmed"]["baseVersion"] == waiting["version"] - 1
    other = {"settings": {"stopWords": ["b"]}}
    ask("POST", f"{base}/apply", other, status=409, uid=uid)
    ask("POST", f"{base}/confirm", {"version": waiting["version"]}, uid=uid)
    ask("POST", f"{base}/confirm", {"version": waiting["version"]}, status=404, uid=uid)
    back = ask("POST", f"{base}/rollback", {"version": 1, "reason": "no"}, status=202, uid=uid)
    cluster.client.wait_task(back["taskUid"], timeout_s=30)
    until(lambda: not cluster.look(uid)["intent"], "at rest")
    assert ask("GET", f"{base}/history", uid=uid)["results"]
    assert ask("GET", f"{base}/history/{{version}}", uid=uid, version=1)["settings"]
    ask("GET", f"{base}/history/{{version}}", status=404, uid=uid, version=99)
    ask("POST", f"{base}/thaw", uid=uid)
    newest = ask("GET", "/_miroir/intents", query=f"?index={uid}&limit=1")["results"][0]
    assert ask("GET", "/_miroir/intents/{id}", id=newest["id"])["nodes"]
    for path in ("topology", "features", "keys", "drift"):
        ask("GET", f"/_miroir/{path}")
    ask("POST", "/_miroir/drift/{uid}/repair", uid=uid)
    ask("POST", "/_miroir/drift/{uid}/adopt", uid=uid, query="?node=nobody", status=400)
    order = {"mode": "alert", "ignoredKeys": ["synonyms"], "by": "me", "reason": "why"}
    assert ask("PATCH", "/_miroir/drift/{uid}", order, uid=uid)["rule"]["ignoredKeys"]
    for wrong in ({"mode": []}, {"mode": "of"}, {"ignoredKeys": "a"}, {"ignoredKeys": [{}]}):
        ask("PATCH", "/_miroir/drift/{uid}", wrong, uid=uid, status=400)
    ask("GET", "/_miroir/drift")
    back = {"mode": None, "ignoredKeys": None}
    assert ask("PATCH", "/_miroir/drift/{uid}", back, uid=uid)["rule"]["mode"] == "repair"


def test_drift_has_its_published_shape(cluster, uid, ask):
    """While there is some."""
    cluster.create(uid)
    stall = {"fault": "task_stall", "type": "settingsUpdate", "index": f"^{uid}$"}
    name = cluster.nodes[0]
    node = cluster.on_node(name)
    cluster.faults(name, {**stall, "skip": 1})  # The repair takes its time, not what is repaired.
    node.request("PATCH", f"/indexes/{uid}/settings", {"stopWords": ["foreign"]}).ok()
    until(lambda: cluster.shown_by(name, uid, "stopWords") == ["foreign"], "changed by hand")
    until(lambda: cluster.drift(uid), "found")
    assert ask("GET", "/_miroir/drift")["results"]
    cluster.faults(name)
