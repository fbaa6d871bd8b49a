"""Documents: what was sent comes back, whatever it was packed in."""

import gzip
import zlib

import brotli
import pytest
from tests.integration.node.running import RunningNode

RAW = '{"id": 1, "big": 123456789012345678901234567890, "z": 1.0, "a": {"y":1, "b": [1E5]}}'
SHOWN = '{"id":1,"big":123456789012345678901234567890,"z":1.0,"a":{"y":1, "b": [1E5]}}'
JSON = {"Content-Type": "application/json"}


def test_numbers_and_the_order_of_keys_survive(node: RunningNode, uid: str):
    """A node that rounds an account number is useless for money, however fast."""
    node.do("POST", f"/indexes/{uid}/documents", content=RAW, headers=JSON)
    assert node.ask("GET", f"/indexes/{uid}/documents/1").text == SHOWN
    node.do("PUT", f"/indexes/{uid}/documents", content='{"id":1,"n":0.10}', headers=JSON)
    assert node.ask("GET", f"/indexes/{uid}/documents/1").text == SHOWN[:-1] + ',"n":0.10}'


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", brotli.compress)],
)
def test_compressed_payloads_are_unpacked(node: RunningNode, uid: str, encoding: str, pack):
    """The official clients compress large payloads."""
    headers = {**JSON, "Content-Encoding": encoding}
    body = pack(b'[{"id":1},{"id":2}]')
    task = node.do("POST", f"/indexes/{uid}/documents", content=body, headers=headers)
    assert task["details"] == {"receivedDocuments": 2, "indexedDocuments": 2}


def test_broken_compression_is_the_senders_fault(node: RunningNode, uid: str):
    """400, not 500: nobody shall look for it in the node."""
    headers = {**JSON, "Content-Encoding": "gzip"}
    answer = node.ask("POST", f"/indexes/{uid}/documents", content=b"no gzip", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_a_bad_id_anywhere_refuses_the_whole_payload(node: RunningNode, uid: str):
    """Half an import is worse than none."""
    documents = [{"id": number} for number in range(50)] + [{"id": "not valid"}]
    task = node.do("POST", f"/indexes/{uid}/documents", documents)
    assert task["error"]["code"] == "invalid_document_id"
    stats = node.ask("GET", f"/indexes/{uid}/stats").json()
    assert stats["numberOfDocuments"] == 0
    assert node.ask("GET", f"/indexes/{uid}").json()["primaryKey"] is None


def test_large_answers_are_compressed_for_those_who_ask(node: RunningNode, uid: str):
    """A page of a thousand documents is mostly repetition."""
    node.do("POST", f"/indexes/{uid}/documents", [{"id": n, "t": "x" * 200} for n in range(1000)])
    path = f"/indexes/{uid}/documents?limit=1000"
    packed = node.ask("GET", path, headers={"Accept-Encoding": "gzip"})
    plain = node.ask("GET", path, headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.json() == plain.json()
    assert [document["id"] for document in plain.json()["results"]] == list(range(1000))


def test_an_oversized_body_is_refused(node: RunningNode, uid: str):
    """The limit is Meilisearch's: 100 MiB, counted after unpacking."""
    bomb = gzip.compress(b"[" + b" " * (101 * 1024 * 1024) + b"]", 1)
    headers = {**JSON, "Content-Encoding": "gzip"}
    answer = node.ask("POST", f"/indexes/{uid}/documents", content=bomb, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


def test_a_document_of_very_many_fields_is_indexed_in_time(node: RunningNode, uid: str):
    """One word in 40,000 fields was once copied 40,000 times over: the queue stood still."""
    wide = {"id": 1} | {str(number): "I am a text!" for number in range(40_000)}
    wide["tags"] = list(range(40_000))
    node.do("PATCH", f"/indexes/{uid}/settings", {"filterableAttributes": ["tags"]})
    task = node.do("POST", f"/indexes/{uid}/documents", [wide])
    assert task["status"] == "succeeded"
    more = {"id": 2} | {f"more {number}": 1 for number in range(30_000)}
    task = node.do("POST", f"/indexes/{uid}/documents", [more])
    text = "A document cannot contain more than 65,535 fields."
    assert task["error"]["code"] == "max_fields_limit_exceeded"
    assert task["error"]["message"] == f"Index `{uid}`: {text}"
    alone = {"id": 3} | {str(number): 1 for number in range(65_536)}
    task = node.do("POST", f"/indexes/{uid}/documents", [alone])
    assert task["error"]["message"] == text
    assert node.ask("GET", f"/indexes/{uid}/stats").json()["numberOfDocuments"] == 1
