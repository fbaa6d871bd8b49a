"""Asking Miroir and a node the same, raw; and all that a bad request could have changed."""

import httpx

DOCUMENTS = [{"id": 1, "name": "boat"}, {"id": 2, "name": "ferry"}, {"id": 3, "name": "train"}]
JSON = {"Content-Type": "application/json"}
INDEX = "/indexes/movies"


def everything(cluster):
    """All that a bad request could have changed."""
    tasks = cluster.client.get("/tasks?limit=1000")
    return {
        "miroir": cluster.client.get("/indexes"),
        "tasks": tasks["total"],
        "settings": cluster.client.get(f"{INDEX}/settings"),
        "version": cluster.version("movies"),
        "node tasks": cluster.all_tasks(),
        "documents": {name: cluster.documents(name, "movies") for name in cluster.nodes},
        "indexes": {
            name: sorted(i["uid"] for i in cluster.on_node(name).get("/indexes")["results"])
            for name in cluster.nodes
        },
    }


def send(url, key, method, path, content=None, headers=None):
    authorization = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        headers = {**authorization, **(headers or {})}
        return client.request(method, path, content=content, headers=headers)


def ask(cluster, *request, **more):
    """Send to Miroir."""
    return send(cluster.local.url, key_of(cluster), *request, **more)


def ask_node(cluster, *request, **more):
    """Send to the node that holds the first shard."""
    return send(cluster.local.nodes["n0"].url, key_of(cluster), *request, **more)


def key_of(cluster):
    return cluster.local.layout.master_key.reveal()


def assert_error(answer, status, code):
    body = answer.json()
    assert (answer.status_code, body.get("code")) == (status, code), body
    assert set(body) == {"message", "code", "type", "link"}
    assert body["message"]
    assert body["link"].endswith(code)
    assert answer.headers["content-type"] == "application/json"
