"""
What a real node makes of the payloads that the unit tests expect answers for.

If this fails on a new Meilisearch version, the expectations in tests/support/payload_cases.py are
out of date, and with them what core/documents decides. Needs MIROIR_MEILISEARCH_BIN.
"""

import itertools

import httpx
import pytest
from tests.support.node_process import BINARY, KEY, real_node
from tests.support.payload_cases import CASES, Case

from miroir.core.documents import parse_payload
from miroir.errors import MalformedPayload

pytestmark = [
    pytest.mark.meilisearch,
    pytest.mark.slow,
    pytest.mark.skipif(not BINARY, reason="MIROIR_MEILISEARCH_BIN names no binary"),
]

BROKEN = [
    b"nonsense", b'[{"id":1}', b'[{"id":1},]', b'{"id":1} x', b'{"id":1}{"id":2}', b'{"a":tru}',
    b'[{"a":01}]', b'[{"a":"x\ty"}]', b'{"a":"x\ty"}', b'[{"a":[1,]}]', b'{"a":[1,]}', b'{a:1}',
    b'[{"a" 1}]', b'[{"a":1.}]', b'{"a":1.', b'[{"a":"\\x"}]', b'\n[\n{"a":\n"\xc3\xa9" x}]',
    b'[{"a":"\xff"}]', b'{"a":{"b":1,}}', b'[{"a":1},', b"-", b'[{"a":"b',
]  # fmt: skip

numbers = itertools.count()


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Return a client of a fresh node."""
    with real_node(tmp_path_factory.mktemp("node")) as running:
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=running.url, headers=headers, timeout=60) as client:
            yield client


def post(node: httpx.Client, body: bytes, content_type: str, param: str | None = None) -> dict:
    params = {} if param is None else {"primaryKey": param}
    return node.post(
        f"/indexes/x{next(numbers)}/documents",
        params=params,
        content=body,
        headers={"Content-Type": content_type},
    ).json()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.body.decode()[:40])
def test_a_node_agrees_with_what_we_expect_of_it(node, case: Case):
    """The same error, or the same ids."""
    accepted = post(node, case.body, case.content_type, case.param)
    while (task := node.get(f"/tasks/{accepted['taskUid']}").json())["status"] in {
        "enqueued",
        "processing",
    }:
        pass
    if case.code is not None:
        assert (task["error"]["code"], task["error"]["message"]) == (case.code, case.message)
        return
    assert task["status"] == "succeeded"
    for key in case.ids:
        found = node.get(f"/indexes/{task['indexUid']}/documents/{key}")
        assert found.status_code == 200


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize("body", BROKEN)
def test_broken_payloads_are_refused_in_the_same_words(node, body: bytes, content_type: str):
    """Also the place of the fault is the node's, to the column."""
    answer = post(node, body, content_type)
    if "taskUid" in answer:
        assert parse_payload(body, content_type).document_count == 2
        return
    with pytest.raises(MalformedPayload) as error:
        parse_payload(body, content_type)
    assert error.value.message == answer["message"]
