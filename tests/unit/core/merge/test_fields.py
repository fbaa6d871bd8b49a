"""The fields of an index over shards."""

import json

import pytest

from miroir.core.merge.fields import merge_fields, rewrite_fields
from miroir.errors import NodeAnswerUnreadable


def listed(*names):
    rows = [{"name": name, "displayed": {"enabled": True}} for name in names]
    return json.dumps({"results": rows, "offset": 0, "limit": 9, "total": len(rows)}).encode()


@pytest.mark.parametrize(
    ("offset", "limit", "names"),
    [(0, 20, ["Zed", "a", "b", "z", "é"]), (1, 2, ["a", "b"]), (9, 9, []), (0, 0, [])],
)
def test_every_field_is_listed_once_by_the_bytes_of_its_name(offset, limit, names):
    """A field that only one shard has is a field of the index."""
    found = json.loads(
        merge_fields([listed("b", "z"), listed("Zed", "a", "b", "é")], offset, limit)
    )
    assert [row["name"] for row in found["results"]] == names
    assert {k: found[k] for k in ("offset", "limit", "total")} == {
        "offset": offset, "limit": limit, "total": 5,
    }  # fmt: skip


def test_every_shard_is_asked_for_all_of_them():
    """Which of them are new is known only beside the others."""
    body, offset, limit = rewrite_fields({"filter": {"displayed": True}, "offset": 3})
    assert (offset, limit) == (3, 20)
    assert body == {"filter": {"displayed": True}, "offset": 0, "limit": 2**64 - 1}


@pytest.mark.parametrize(
    "wrong", [{"limit": -1}, {"offset": "x"}, {"limit": 1.5}, {"limit": None}]
)
def test_what_is_no_number_is_left_to_the_nodes(wrong):
    """They have the words for it."""
    assert rewrite_fields(wrong)[0] == wrong


def test_an_answer_that_lists_no_fields_is_told():
    """A proxy's page must not pass for an index without fields."""
    with pytest.raises(NodeAnswerUnreadable):
        merge_fields([listed("a"), b'{"results": [1]}'], 0, 20)
