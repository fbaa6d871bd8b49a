"""Hits that are filled in with documents of another index."""

import json
from typing import Any

import pytest
from msgspec import Raw

from miroir.core.merge.joins import Join, displayed, filled, id_of, join_of, named_in, with_key

KEYS = [{"foreignIndexUid": "people", "fieldName": "by"}]
SETTINGS = {"foreignKeys": KEYS}
JOIN = Join("id", {"by": "people", "of.who": "people", "in": "places"})
STORED = {"id": 1, "by": ["a", 7, "a b", None], "of": {"who": "c"}, "in": "p-1"}


def raw(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def test_what_a_document_names_is_read_from_what_is_stored() -> None:
    """Lists and inner fields included; what can be no id names nothing."""
    named = [("people", "a"), ("people", "7"), ("people", "c"), ("places", "p-1")]
    assert list(named_in(STORED, JOIN)) == named
    assert list(named_in({}, JOIN)) == []


def test_only_what_a_node_has_replaced_is_replaced() -> None:
    """An empty object is what a node puts for a document that it does not have."""
    hit = {"by": [{}, {"id": 7}, "a b", None], "of": {"who": {}, "x": 1}, "in": "p-1", "n": 1.5}
    found = {("people", "a"): Raw(b'{"id":"a","n":1.50}'), ("places", "p-1"): Raw(b"{}")}
    done = filled(raw({**hit, "_formatted": {"by": [{}, {}, "a b", None]}}), STORED, JOIN, found)
    by = [{"id": "a", "n": 1.5}, {}, "a b", None]
    assert json.loads(done) == {
        **hit, "by": by, "of": {"who": {}, "x": 1}, "_formatted": {"by": by}
    }  # fmt: skip
    assert b'{"id":"a","n":1.50}' in done


@pytest.mark.parametrize("hit", [{"by": "a"}, {"title": "x"}, {"by": {"id": "a"}}])
def test_a_hit_whose_document_is_gone_stays_as_it_is(hit: dict[str, Any]) -> None:
    """It was there when the node was asked."""
    assert json.loads(filled(raw(hit), {}, JOIN, {})) == hit


@pytest.mark.parametrize(
    ("settings", "key", "query", "added"),
    [
        (SETTINGS, "id", {}, False),
        (SETTINGS, "id", {"attributesToRetrieve": ["by", "id"]}, False),
        (SETTINGS, "id", {"attributesToRetrieve": ["by"]}, True),
        ({**SETTINGS, "displayedAttributes": ["by"]}, "id", {}, None),
        (SETTINGS, None, {}, None),
        ({"foreignKeys": []}, "id", {}, None),
        (None, "id", {}, None),
    ],
)
def test_hits_are_filled_in_where_they_can_show_their_ids(
    settings: dict[str, Any] | None, key: str | None, query: dict[str, Any], added: bool | None
) -> None:
    """Without ids nobody knows which documents they are."""
    join = join_of(settings, key, query)
    assert (None if join is None else join.added) is added
    if join is not None:
        assert join.fields == {"by": "people"}
        assert ("id" in with_key(query, join).get("attributesToRetrieve", ["id"])) is True


def test_an_id_that_was_added_is_taken_out_again() -> None:
    """But not from what is formatted by name."""
    query = {"attributesToRetrieve": ["by"], "attributesToHighlight": ["id"]}
    join = join_of(SETTINGS, "id", query)
    assert join is not None
    hit = {"id": 1, "by": "x", "_formatted": {"id": "1", "by": "x"}}
    assert id_of(raw(hit), join) == "1"
    shown = json.loads(filled(raw(hit), STORED, join, {}))
    assert shown == {"by": "x", "_formatted": {"id": "1", "by": "x"}}


def test_a_document_is_shown_as_its_index_displays_it() -> None:
    """As one node puts it in."""
    document = raw({"id": 1, "name": "x", "secret": 2})
    assert json.loads(bytes(displayed(document, ["id", "name"]))) == {"id": 1, "name": "x"}
    assert json.loads(bytes(displayed(document, ["*"]))) == json.loads(document)
