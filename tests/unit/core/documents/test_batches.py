"""Splitting: every document arrives once, at the shard of its id, byte for byte, in order."""

import json

import pytest

from miroir import errors
from miroir.core.documents import Batch, check_ids, delete_ids, parse_payload, split, split_ids
from miroir.core.routing import shard_of, slot_table

TABLE = slot_table(3)
NO_LIST = "Json deserialize error: invalid type: {}, expected a sequence at line 1 column {}"


def batches(body: bytes, content_type: str, key: str = "id") -> dict[int, Batch]:
    payload = parse_payload(body, content_type)
    return dict(split(payload, check_ids(payload, key), TABLE))


def test_json_documents_go_to_their_shards_byte_for_byte():
    """Nodes store raw JSON: a rewritten number is a changed document."""
    texts = {str(i): b'{"id":%d, "n":1.50,"big":12345678901234567890123}' % i for i in range(30)}
    found = batches(b"[" + b",\n".join(texts.values()) + b"]", "application/json")
    assert sum(batch.count for batch in found.values()) == 30
    for shard, batch in found.items():
        mine = [text for key, text in texts.items() if shard_of(key, TABLE) == shard]
        assert batch.body == b"[" + b",".join(mine) + b"]"
        assert batch.count == len(mine) == len(json.loads(batch.body))


def test_the_number_42_and_the_text_42_are_one_document_and_keep_their_order():
    """The later one wins on a node, so it must also come later on its shard."""
    found = batches(b'[{"id":"42","v":1},{"id":7},{"id":42,"v":2}]', "application/json")
    assert found[shard_of("42", TABLE)].body.endswith(b'{"id":"42","v":1},{"id":42,"v":2}]')


def test_ndjson_stays_ndjson():
    """A batch goes on in the content type that it came in."""
    found = batches(b'{"id":1}\r\n{"id":2} {"id":3}\n\n{"id":4}', "application/x-ndjson")
    lines = [line for batch in found.values() for line in batch.body.split(b"\n")]
    assert sorted(lines) == [b'{"id":%d}' % i for i in (1, 2, 3, 4)]


def test_csv_batches_repeat_the_header_and_keep_raw_records():
    """A quoted line end stays inside its record; an unclosed quote is not fed a line end."""
    body = b'id,a:number,b\r\n1,1.50,"x\r\ny"\r\n2,, z \r\n3,7,"open'
    found = batches(body, "text/csv")
    assert all(batch.body.startswith(b"id,a:number,b\n") for batch in found.values())
    assert found[shard_of("1", TABLE)].body.find(b'\n1,1.50,"x\r\ny"') > 0
    assert found[shard_of("3", TABLE)].body.endswith(b'\n3,7,"open')
    assert sum(batch.count for batch in found.values()) == 3


def test_a_shard_without_documents_gets_no_batch():
    """A node refuses an empty body."""
    assert list(batches(b'[{"id":1}]', "application/json")) == [shard_of("1", TABLE)]
    assert batches(b"[]", "application/json") == {}


def test_ids_to_delete_are_read_as_a_node_reads_them():
    """What cannot be an id matches no document, and is still counted."""
    body = b'[1,"2",1.5,null,true,{"a":1},"a b",[1],18446744073709551615]'
    assert delete_ids(body) == (
        *("1", "2", "1.5", "null", "true", '{"a":1}', "a b", "[1]", "18446744073709551615"),
    )


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (b"", errors.MissingPayload, "A json payload is missing."),
        (b"[1", errors.MalformedPayload, "The json payload provided is malformed. `"),
        (b"{}", errors.RequestRefused, NO_LIST.format("map", 0)),
        (b"1", errors.RequestRefused, NO_LIST.format("integer `1`", 1)),
        (b"-5", errors.RequestRefused, NO_LIST.format("integer `-5`", 2)),
        (b"1.5 ", errors.RequestRefused, NO_LIST.format("floating point `1.5`", 3)),
        (b"true", errors.RequestRefused, NO_LIST.format("boolean `true`", 4)),
        (b"null", errors.RequestRefused, NO_LIST.format("null", 4)),
        (b' "x"', errors.RequestRefused, NO_LIST.format('string "x"', 4)),
    ],
)
def test_a_body_that_is_no_list_of_ids_is_refused(body: bytes, error: type, message: str):
    """Deleting what was not asked for would be worse."""
    with pytest.raises(error) as caught:
        delete_ids(body)
    assert caught.value.message.startswith(message)


def test_ids_to_delete_go_to_their_shards_once():
    """A delete of 1,000 ids is not sent whole to everybody."""
    ids = [str(i) for i in range(100)]
    found = split_ids(ids, TABLE)
    assert sorted(key for batch in found.values() for key in json.loads(batch.body)) == sorted(ids)
    for shard, batch in found.items():
        keys = json.loads(batch.body)
        assert batch.count == len(keys)
        assert {shard_of(key, TABLE) for key in keys} == {shard}
