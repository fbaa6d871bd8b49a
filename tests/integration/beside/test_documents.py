"""Documents read, listed and edited over three shards, beside one node that holds everything."""

import random

import pytest

pytestmark = pytest.mark.slow
KINDS = ("boat", "Ferry", "canoe", "éclair", "42", "Zeppelin", "")
SETTINGS = {
    "filterableAttributes": ["kind", "price"],
    "sortableAttributes": ["kind", "price", "tags", "deep.value", "_geo", "rank"],
    "displayedAttributes": ["id", "kind", "price"],
    "embedders": {"own": {"source": "userProvided", "dimensions": 2}},
}


def documents() -> list[dict]:
    chance = random.Random(8)
    made = []
    for number in range(120):
        document = {"id": number, "rank": number, "kind": chance.choice(KINDS)}
        if number % 4:
            document["price"] = chance.choice([1, 2.5, -3, 10**12, "cheap", "Dear"])
        if number % 3:
            document["tags"] = [
                chance.choice(["x", "y", 3, 1]) for _ in range(chance.randrange(4))
            ]
        if number % 5:
            document["deep"] = {"value": chance.randrange(6)}
        if number % 6:
            at = {"lat": chance.uniform(-80, 80), "lng": chance.uniform(-170, 170)}
            document["_geo"] = at
        own = [chance.random(), 1.0] if number % 7 == 0 else None
        document["_vectors"] = {"own": own}
        made.append(document)
    return made


@pytest.fixture(scope="module")
def uid(pair):
    return pair.load(documents(), SETTINGS)


SORTS = [
    ["rank:asc"],
    ["rank:desc"],
    ["price:asc", "rank:asc"],
    ["price:desc", "rank:desc"],
    ["kind:asc", "rank:desc"],
    ["kind:desc", "price:asc", "rank:asc"],
    ["deep.value:desc", "rank:asc"],
    ["_geoPoint(48.8, 2.3):asc", "rank:asc"],
    ["_geoPoint(48.8, 2.3):desc", "rank:asc"],
]


@pytest.mark.parametrize(
    "extra",
    [
        {"limit": 200},
        {"offset": 17, "limit": 30},
        {"limit": 40, "fields": ["id"]},
        {"limit": 50, "filter": "kind = boat OR price = 1"},
        {"limit": 50, "ids": [3, "5", 7, 11, 1000, 90]},
        {"limit": 9, "offset": 4, "retrieveVectors": True},
        {"limit": 0},
        {"offset": 500},
    ],
    ids=str,
)
@pytest.mark.parametrize("sort", SORTS, ids=str)
def test_sorted_documents_are_those_of_one_node(pair, uid, sort, extra):
    """The order is one node's, whatever is shown of the documents; totals are the whole's."""
    whole, found = pair.both("POST", f"/indexes/{uid}/documents/fetch", {"sort": sort, **extra})

    assert whole["status"] == 200
    assert found == whole
    assert list(found) == list(whole)


@pytest.mark.parametrize(
    "query",
    [
        "sort=rank:desc&limit=10",
        "sort=kind:asc,rank:asc&limit=30&offset=5&fields=id,rank",
        "sort=_geoPoint(1,2):asc,rank:asc&limit=20&fields=*",
        "sort=rank:asc&ids=4,8,15&retrieveVectors=true",
        "sort=rank:asc&filter=price%20%3D%201",
        'sort=rank:asc&filter=["price%20%3D%201"]',
    ],
)
def test_get_sorts_as_fetch_does(pair, uid, query):
    """Two ways to say the same."""
    whole, found = pair.both("GET", f"/indexes/{uid}/documents?{query}")

    assert whole["status"] == 200
    assert found == whole


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "documents/fetch", {"sort": ["name:asc"]}),
        ("POST", "documents/fetch", {"sort": "rank:asc"}),
        ("POST", "documents/fetch", {"sort": ["rank:upwards"]}),
        ("POST", "documents/fetch", {"sort": ["rank:asc"], "filter": "name = x"}),
        ("POST", "documents/fetch", {"sort": ["rank:asc"], "limit": -1}),
        ("POST", "documents/fetch", {"sort": ["rank:asc"], "what": 1}),
        ("GET", "documents?sort=name:asc", None),
        ("GET", "documents?sort=rank:asc&limit=x", None),
        ("GET", "documents?sort=rank:asc&retrieveVectors=maybe", None),
        ("POST", "fields", {"limit": -1}),
        ("POST", "fields", {"what": 1}),
        ("POST", "fields", {"filter": {"displayed": 1}}),
        ("POST", "fields", b"{"),
    ],
)
def test_what_a_node_refuses_is_refused_in_its_words(pair, uid, method, path, body):
    """That documents are asked for otherwise than the client did is nobody's business."""
    whole, found = pair.both(
        method, f"/indexes/{uid}/{path}", body, headers={"Content-Type": "application/json"}
    )

    assert 400 <= whole["status"] < 500
    assert found == whole


@pytest.mark.parametrize(
    "body",
    [{"limit": 200}, {"ids": [1, 2, "3", 999]}, {"filter": "kind = boat"}, {"fields": ["kind"]}],
    ids=str,
)
def test_unsorted_documents_are_all_there_once(pair, uid, body):
    """Their order is the cluster's own; which they are, and how many, is not."""
    body = {"limit": 200, **body}
    whole, found = pair.both("POST", f"/indexes/{uid}/documents/fetch", body)

    assert whole["status"] == 200
    assert found["total"] == whole["total"]
    key = str
    assert sorted(found.pop("results"), key=key) == sorted(whole.pop("results"), key=key)
    assert found == whole


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"limit": 3},
        {"offset": 2, "limit": 4},
        {"filter": {"sortable": True}},
        {"filter": {"attributePatterns": ["p*", "deep.*"]}},
        {"offset": 99},
    ],
    ids=str,
)
def test_fields_are_those_of_one_node(pair, uid, body):
    """A field that one document has lies on one shard alone."""
    whole, found = pair.both("POST", f"/indexes/{uid}/fields", body)

    assert whole["status"] == 200
    assert found == whole
    assert list(found) == list(whole)


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("skip", ["true", "TRUE", "false"])
def test_documents_that_are_not_there_are_not_made_where_the_client_says_so(pair, method, skip):
    """Each shard knows of its own documents which are there."""
    uid = pair.load([{"id": n, "old": True} for n in range(0, 40, 2)], {})
    rows = [{"id": n, "new": True} for n in range(40)]
    path = f"/indexes/{uid}/documents"

    tasks = [
        ended(ask, ask(method, f"{path}?skipCreation={skip}", rows))
        for ask in (pair.one_node, pair.through)
    ]

    assert tasks[0] == tasks[1]
    whole, found = (
        sorted(answer["results"], key=lambda row: row["id"])
        for answer in pair.both("GET", f"{path}?limit=100")
    )
    assert found == whole
    assert len(found) == (40 if skip == "false" else 20)


@pytest.mark.parametrize("skip", ["", "maybe", "1"])
def test_what_is_neither_yes_nor_no_is_refused_in_the_words_of_a_node(pair, uid, skip):
    """Taken for no, it would make documents that nobody wants."""
    whole, found = pair.both("POST", f"/indexes/{uid}/documents?skipCreation={skip}", [{"id": 1}])

    assert whole["status"] == 400
    assert found == whole


def test_a_compaction_ends(pair, uid):
    """Every database of the index, on every node, by one task."""
    task = pair.cluster.do("POST", f"/indexes/{uid}/compact")

    assert (task["type"], task["status"]) == ("indexCompaction", "succeeded")
    for name in pair.cluster.nodes:
        tasks = pair.cluster.on_node(name).get("/tasks?types=indexCompaction")["results"]
        assert [one["status"] for one in tasks if one["indexUid"] == uid] == ["succeeded"]


FUNCTION = "if doc.rank % 5 == 0 { doc = () } else { doc.rank += context.by; doc.edited = true }"


@pytest.fixture
def editing(pair):
    """A pair that edits by function; the embedded node cannot run one."""
    if pair.engine.kind == "embedded":
        pytest.skip("the embedded node runs no functions")
    for ask in (pair.one_node, pair.through):
        ask("PATCH", "/experimental-features", {"editDocumentsByFunction": True})
    yield pair
    for ask in (pair.one_node, pair.through):
        ask("PATCH", "/experimental-features", {"editDocumentsByFunction": False})


def ended(ask, accepted):
    """Wait for a task."""
    uid = accepted.json()["taskUid"]
    while (task := ask("GET", f"/tasks/{uid}").json())["status"] in {"enqueued", "processing"}:
        pass
    return {name: task[name] for name in ("status", "type", "details", "error")}


def test_an_edit_does_what_it_does_on_one_node(editing):
    """Each document once, wherever it lies; what was done is counted over all of them."""
    pair, rows = editing, documents()
    uid = pair.load(rows, SETTINGS)
    path = f"/indexes/{uid}/documents"
    for body in (
        {"function": FUNCTION, "context": {"by": 1000}},
        {"function": "doc.rank += 5000", "filter": "kind = boat"},
        {"function": "doc.rank += 1", "filter": "rank = 1"},
        {"function": "doc.id = 5000"},
        {"function": "doc.nothing.at.all = 1"},
    ):
        tasks = [ended(a, a("POST", f"{path}/edit", body)) for a in (pair.one_node, pair.through)]
        errors = [task.pop("error") for task in tasks]
        assert (errors[0] or {}).get("code") == (errors[1] or {}).get("code")
        if errors[0] is None:
            assert tasks[0] == tasks[1]
        assert tasks[0]["status"] == tasks[1]["status"]
    whole, found = pair.both("POST", f"{path}/fetch", {"sort": ["rank:asc"], "limit": 500})
    assert found == whole
    assert any(document.get("edited") for document in found["results"])


@pytest.mark.parametrize(
    "body",
    [
        {"function": "doc.a="},
        {"function": "doc.a=1", "filter": "x ="},
        {"function": "doc.a=1", "filter": "_foreign(a, b = 1)"},
        {"function": "doc.a=1", "filter": ""},
        {"function": "doc.a=1", "context": 5},
        {"function": 5},
        {},
        b"{",
    ],
    ids=str,
)
def test_an_edit_that_cannot_be_is_refused_in_the_words_of_a_node(editing, uid, body):
    """Before any shard has seen it; the index that it names is the client's."""
    path, headers = f"/indexes/{uid}/documents/edit", {"Content-Type": "application/json"}

    whole, found = editing.both("POST", path, body, headers=headers)

    assert whole["status"] == 400
    assert found == whole


def test_an_edit_needs_its_feature(pair, uid):
    """It is an experiment, and off until somebody switches it on."""
    whole, found = pair.both("POST", f"/indexes/{uid}/documents/edit", {"function": "doc.a=1"})

    assert (whole["status"], whole["code"]) == (400, "feature_not_enabled")
    assert found == whole
