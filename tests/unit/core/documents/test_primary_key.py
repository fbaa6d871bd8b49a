"""
Primary keys and ids. Codes and messages were read off a Meilisearch 1.50 node.

The same cases are asked of a real node in tests/integration/test_documents_against_real.py.
"""

import pytest
from tests.support.payload_cases import (
    BAD_ID,
    CASES,
    CSV,
    JSON,
    NDJSON,
    Case,
)

from miroir.core.documents import PayloadFault, check_ids, find_primary_key, parse_payload
from miroir.errors import MalformedPayload


def outcome(case: Case) -> object:
    payload = parse_payload(case.body, case.content_type)
    primary_key = find_primary_key(payload, None, case.param)
    if primary_key is None or isinstance(primary_key, PayloadFault):
        return primary_key
    return check_ids(payload, primary_key)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.body.decode()[:40])
def test_a_payload_is_accepted_or_refused_whole_as_a_node_does(case: Case):
    """One bad id anywhere refuses everything, with the engine's own code and sentence."""
    found = outcome(case)
    if case.code is None:
        assert found == case.ids
    else:
        assert found == PayloadFault(case.code, case.message)


def test_the_key_of_the_index_wins_and_another_one_is_a_fault():
    """A primary key is set once."""
    payload = parse_payload(b'[{"id":1,"foo":2}]', JSON)
    assert find_primary_key(payload, "foo", None) == "foo"
    assert find_primary_key(payload, "foo", "foo") == "foo"
    assert find_primary_key(payload, "id", "foo") == PayloadFault(
        "index_primary_key_already_exists", "Index already has a primary key: `id`."
    )


def test_an_empty_payload_is_never_at_fault():
    """A node reports success and indexes nothing; a key that was given is set."""
    for content_type, body in ((JSON, b"[]"), (NDJSON, b"\n"), (CSV, b"\n"), (CSV, b"id\n")):
        payload = parse_payload(body, content_type)
        assert find_primary_key(payload, None, None) is None
        assert find_primary_key(payload, None, "foo") == "foo"
        assert find_primary_key(payload, "id", "foo") == "id"
        assert check_ids(payload, "foo") == []


def test_the_first_bad_document_is_the_one_reported():
    """The client mends its file from the top."""
    good = b",".join(b'{"id":%d}' % i for i in range(1, 50))
    payload = parse_payload(b'[%b,{"id":"a b"},{"x":1}]' % good, JSON)
    assert check_ids(payload, "id") == PayloadFault("invalid_document_id", BAD_ID % '"a b"')


def test_a_document_nested_too_deep_for_the_careful_path_is_refused_not_a_crash():
    """Ten thousand brackets must cost the sender an error, not us a process."""
    for depth in (500, 5_000, 100_000):
        body = b'[{"id":null,"a":%b%b}]' % (b"[" * depth, b"]" * depth)
        try:
            assert isinstance(check_ids(parse_payload(body, JSON), "id"), PayloadFault)
        except MalformedPayload:
            assert depth > 500


def test_an_id_of_zero_is_quick_and_minus_zero_is_a_float():
    """Zero-based ids are common; `-0` is a float to the engine and hashes nowhere."""
    assert check_ids(parse_payload(b'[{"id":0},{"id":1}]', JSON), "id") == ["0", "1"]
    assert check_ids(parse_payload(b'[{"id":1},{"id":-0}]', JSON), "id") == PayloadFault(
        "invalid_document_id", BAD_ID % "-0.0"
    )
