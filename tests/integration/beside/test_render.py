"""Who may have a template rendered: keys of a cluster, and the same keys of one node."""

import pytest

pytestmark = pytest.mark.slow
PATH = "/render-template"
TEMPLATE = {"kind": "inlineDocumentTemplate", "inline": "a {{doc.title}}"}


@pytest.fixture(scope="module")
def uid(pair):
    pair.both("PATCH", "/experimental-features", {"renderRoute": True})
    documents = [{"id": n, "title": f"boat {n}"} for n in range(9)]
    yield pair.load(documents, {}, uid="rendered")
    pair.both("PATCH", "/experimental-features", {"renderRoute": False})


def answers(pair, key: dict, body: dict) -> tuple[tuple, tuple]:
    """Return what both say to a key of theirs: the one node, and Miroir."""
    wanted = {"expiresAt": None, **key}
    found = []
    for ask in (pair.one_node, pair.through):
        made = ask("POST", "/keys", wanted).raise_for_status().json()
        answer = ask("POST", PATH, body, headers={"Authorization": f"Bearer {made['key']}"})
        found.append((answer.status_code, answer.json()))
        ask("DELETE", f"/keys/{made['uid']}").raise_for_status()
    return found[0], found[1]


def body_of(uid: str) -> dict:
    return {"template": TEMPLATE, "input": {"kind": "indexDocument", "id": "3", "indexUid": uid}}


@pytest.mark.parametrize(
    ("actions", "indexes", "status"),
    [
        (["settings.get", "documents.get"], ["*"], 200),
        (["settings.get", "documents.get"], ["rend*"], 200),
        (["settings.*", "documents.*"], ["rendered"], 200),
        (["*.get"], ["*"], 200),
        (["*"], ["rendered"], 200),
        (["settings.get"], ["*"], 403),
        (["documents.get"], ["*"], 403),
        (["settings.get", "documents.get"], ["other"], 403),
        (["search"], ["*"], 403),
    ],
    ids=str,
)
def test_a_key_opens_what_it_opens_on_one_node(pair, uid, actions, indexes, status):
    """Both rights, and the index."""
    whole, found = answers(pair, {"actions": actions, "indexes": indexes}, body_of(uid))
    assert found == whole
    assert found[0] == status


def test_the_index_of_a_template_must_be_open_too(pair, uid):
    """It is read as the documents are."""
    key = {"actions": ["settings.get", "documents.get"], "indexes": [uid]}
    template = {"kind": "chatDocumentTemplate", "indexUid": "other"}
    whole, found = answers(pair, key, {**body_of(uid), "template": template})
    assert found == whole
    assert found[0] == 403


def test_a_template_without_an_index_needs_none(pair, uid):
    """Only what comes with the request is shown."""
    key = {"actions": ["settings.get", "documents.get"], "indexes": ["other"]}
    input_ = {"kind": "inlineDocument", "inline": {"title": "raft"}}
    whole, found = answers(pair, key, {"template": TEMPLATE, "input": input_})
    assert found == whole
    assert found[1].get("rendered") == "a raft"
