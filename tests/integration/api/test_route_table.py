"""
The whole route table of Meilisearch 1.50, row by row: answered, or refused with its reason.

The table is written down from the engine's source (`routes/*.rs`), not from Miroir's.
"""

import re
from pathlib import Path

import pytest
from tests.integration.api.asking import ask

from miroir.api.public_system import UNSUPPORTED
from miroir.api.reference import offered

_SETTINGS = {
    "PUT": "displayed-attributes searchable-attributes filterable-attributes sortable-attributes "
    "foreign-keys ranking-rules stop-words non-separator-tokens separator-tokens dictionary "
    "synonyms distinct-attribute proximity-precision search-cutoff-ms localized-attributes "
    "facet-search prefix-search",
    "PATCH": "typo-tolerance faceting pagination embedders chat",
}
_ROUTES = """
GET    /health
GET    /version
GET    /stats
GET    /indexes
POST   /indexes
GET    /indexes/{uid}
PATCH  /indexes/{uid}
DELETE /indexes/{uid}
GET    /indexes/{uid}/stats
POST   /indexes/{uid}/fields
POST   /indexes/{uid}/compact
GET    /indexes/{uid}/documents
POST   /indexes/{uid}/documents
PUT    /indexes/{uid}/documents
DELETE /indexes/{uid}/documents
POST   /indexes/{uid}/documents/fetch
POST   /indexes/{uid}/documents/delete
POST   /indexes/{uid}/documents/delete-batch
POST   /indexes/{uid}/documents/edit
GET    /indexes/{uid}/documents/{id}
DELETE /indexes/{uid}/documents/{id}
GET    /indexes/{uid}/search
POST   /indexes/{uid}/search
POST   /indexes/{uid}/facet-search
GET    /indexes/{uid}/similar
POST   /indexes/{uid}/similar
GET    /indexes/{uid}/settings
PATCH  /indexes/{uid}/settings
DELETE /indexes/{uid}/settings
POST   /multi-search
POST   /swap-indexes
GET    /tasks
DELETE /tasks
GET    /tasks/{task}
GET    /tasks/{task}/documents
POST   /tasks/cancel
POST   /tasks/compact
GET    /batches
GET    /batches/{batch}
POST   /dumps
POST   /snapshots
POST   /export
GET    /experimental-features
PATCH  /experimental-features
GET    /network
PATCH  /network
POST   /network/control
GET    /keys
POST   /keys
GET    /keys/{key}
PATCH  /keys/{key}
DELETE /keys/{key}
GET    /webhooks
POST   /webhooks
GET    /webhooks/{webhook}
PATCH  /webhooks/{webhook}
DELETE /webhooks/{webhook}
GET    /metrics
POST   /logs/stream
DELETE /logs/stream
POST   /logs/stderr
GET    /chats
GET    /chats/{workspace}
DELETE /chats/{workspace}
GET    /chats/{workspace}/settings
PATCH  /chats/{workspace}/settings
DELETE /chats/{workspace}/settings
POST   /chats/{workspace}/chat/completions
POST   /dynamic-search-rules
DELETE /dynamic-search-rules
GET    /dynamic-search-rules/{rule}
PATCH  /dynamic-search-rules/{rule}
DELETE /dynamic-search-rules/{rule}
POST   /render-template
"""
TABLE = [
    *(tuple(line.split()) for line in _ROUTES.strip().splitlines()),
    *(
        (method, f"/indexes/{{uid}}/settings/{name}")
        for verb, names in _SETTINGS.items()
        for name in names.split()
        for method in ("GET", verb, "DELETE")
    ),
]
REFUSED = {(method, path): why for method, path, why in UNSUPPORTED}
OFFERED = {(route.method, route.pattern) for route in offered()}
PAGE = Path(__file__).parents[3] / "docs/reference/http-api.md"


def test_the_table_is_whole():
    """A row that is missing here is looked at by nobody."""
    assert len(TABLE) == len(set(TABLE)) == 140


@pytest.mark.parametrize(("method", "path"), TABLE)
def test_a_route_is_offered_or_says_why_not(method, path):
    """And the documentation has it, with the same words."""
    row = re.escape(f"| {method} | `{path}` | ")
    said = re.findall(rf"^{row}(.*) \|$", PAGE.read_text(), re.MULTILINE)

    if (method, path) in REFUSED:
        assert said == [REFUSED[method, path]]
        assert len(REFUSED[method, path]) > 20, "a reason"
    else:
        assert (method, path) in OFFERED
        assert said, "it has a class"


def test_nothing_else_is_refused_by_name():
    """A refusal of what Meilisearch does not have would promise it."""
    assert set(REFUSED) <= set(TABLE)


_CONCRETE = {"uid": "movies", "id": "1", "task": "0", "batch": "0", "key": "x", "webhook": "x"}
_ASKED = [(m, p) for m, p in TABLE if (m, p) not in REFUSED and m in {"GET", "POST"}]


@pytest.mark.parametrize(("method", "path"), _ASKED)
def test_an_offered_route_answers(cluster, method, path):
    """Whatever it says to a bare request, it knows the route, and does not fall over."""
    concrete = re.sub(r"{(\w+)}", lambda name: _CONCRETE[name[1]], path)
    if (method, path) == ("POST", "/indexes/{uid}/compact"):
        concrete = "/indexes/nope/compact"  # No test may change this cluster.
    headers = {"Content-Type": "text/plain"} if method == "POST" else {}

    answer = ask(cluster, method, concrete, content=b"" if method == "POST" else None,
                 headers=headers)  # fmt: skip

    assert answer.status_code < 500
    if answer.status_code >= 400:
        body = answer.json()
        assert set(body) == {"message", "code", "type", "link"}
        assert body["code"] not in {"miroir_route_not_found", "miroir_method_not_allowed"}
