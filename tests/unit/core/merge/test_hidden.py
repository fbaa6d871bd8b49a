"""What hits are ordered by and do not show is read elsewhere, put in, and taken out again."""

import json
from typing import Any

import pytest
from tests.support.search_answers import answer, hit

from miroir.core.merge.hidden import (
    HIDDEN_DISTINCT,
    Hidden,
    documents_of,
    hidden_rules,
    redacted,
    revealed,
    wanted_of,
)
from miroir.core.merge.hits import cut
from miroir.core.merge.sort_rules import SortRule
from miroir.errors import NodeAnswerUnreadable

UP, DOWN = SortRule("year", ascending=True), SortRule("price", ascending=False)
BOTH = Hidden("id", (UP, DOWN))
WORDS = ("words", {"matchingWords": 1, "maxMatchingWords": 1, "score": 1.0})


def rule(order: int) -> tuple[str, dict[str, Any]]:
    """Return a rule as a node hides it."""
    return (f"<hidden-rule-{order}>", {"value": "<hidden>"})


def found(number: int) -> dict[str, Any]:
    return hit({"id": number, "title": "x"}, rule(0), WORDS, rule(2))


def with_values(hits: list[dict], documents: list[dict], hidden: Hidden = BOTH) -> list[dict]:
    """Return the hits of an answer, revealed by these documents."""
    page = json.dumps({"results": documents, "offset": 0, "limit": 20, "total": 1}).encode()
    body = revealed(answer(hits), 0, documents_of(page, 0, "id"), lambda _: hidden)
    shown: list[dict] = json.loads(body)["hits"]
    return shown


def test_only_what_is_displayed_by_its_own_name_is_shown() -> None:
    """A node hides `a.b` where `a` is displayed: it looks for the name, and for nothing else."""
    rules = [SortRule(field, ascending=True) for field in ("a", "a.b", "c")]
    assert hidden_rules(rules, ("a", "d")) == (rules[1], rules[2])


def test_documents_are_asked_for_by_their_ids_and_no_more_of_them_than_needed() -> None:
    """What is asked for may be large, and is nobody's business."""
    hidden = Hidden("id", (UP, DOWN, SortRule("year", ascending=False)), distinct="color")
    wanted = wanted_of(answer([found(3), found(1)]), 0, lambda _: hidden)
    fields = ["id", "year", "price", "color"]
    assert wanted == {"ids": ["3", "1"], "fields": fields, "limit": 2}


def test_nothing_is_asked_for_where_nothing_is_hidden() -> None:
    """A shard without hits, or hits of another query."""
    assert wanted_of(answer([]), 0, lambda _: BOTH) is None
    assert wanted_of(answer([found(1)]), 0, lambda _: None) is None


def test_hits_without_details_are_left_for_merging_to_refuse() -> None:
    """It has the words for it."""
    assert wanted_of(answer([{"id": 1}]), 0, lambda _: BOTH) is None


def test_each_hidden_rule_gets_the_value_of_its_attribute() -> None:
    """In the order in which rules were applied, whatever stands between them."""
    [shown] = with_values([found(1)], [{"id": 1, "year": 1999, "price": "Free"}])
    details = shown["_rankingScoreDetails"]
    assert details["<hidden-rule-0>"] == {"order": 0, "value": 1999.0, "hidden": "asc"}
    assert details["<hidden-rule-2>"] == {"order": 2, "value": "free", "hidden": "desc"}
    assert details["words"]["order"] == 1


def test_a_search_that_was_cut_off_hides_fewer_rules() -> None:
    """Rules that were not applied have no value."""
    [shown] = with_values([hit({"id": 1}, rule(0), ("skipped", {}))], [{"id": 1, "year": 5}])
    assert list(shown["_rankingScoreDetails"]) == ["<hidden-rule-0>", "skipped"]


@pytest.mark.parametrize(
    ("value", "up", "down"),
    [
        ([3, 1, 2], 1.0, 3.0),
        (["b", 2, "a"], 2.0, 2.0),
        (["B", "á", ""], "a\u0301", "b"),
        (True, "true", "true"),
        (None, None, None),
        ("", None, None),
        ({"x": 1}, None, None),
    ],
)
def test_of_several_values_the_node_s_is_taken(value: Any, up: Any, down: Any) -> None:
    """The lowest or the highest; numbers before text; nothing for what cannot be sorted by."""
    hidden = Hidden("id", (SortRule("v", ascending=True), SortRule("v", ascending=False)))
    [shown] = with_values([found(1)], [{"id": 1, "v": value}], hidden)
    values = [rule.get("value") for rule in shown["_rankingScoreDetails"].values()]
    assert (values[0], values[2]) == (up, down)


def test_a_document_that_is_gone_is_no_hit() -> None:
    """Its place is not known, and nobody can open it."""
    shown = with_values([found(1), found(2)], [{"id": 2, "year": 1}])
    assert [one["id"] for one in shown] == [2]


def test_a_distinct_attribute_is_put_into_the_hit() -> None:
    """Under a name of its own, beside what is displayed of its parent."""
    hidden = Hidden("id", (), distinct="a.b")
    hits = [hit({"id": 1, "a": {"c": 1}}, WORDS)]
    [shown] = with_values(hits, [{"id": 1, "a": {"b": "Red"}}], hidden)
    assert (shown["a"], shown[HIDDEN_DISTINCT]) == ({"c": 1}, ["red"])


def test_nothing_is_left_when_it_is_redacted() -> None:
    """The client sees what its node has shown, to the letter."""
    [shown] = with_values([found(1)], [{"id": 1, "year": 1999, "price": "Free"}])
    bare = redacted(cut(json.dumps(shown).encode())[0])
    assert json.loads(bare.raw) == found(1)


@pytest.mark.parametrize("body", [b"{}", b'{"hits":1}', b"[]", b""])
def test_what_is_no_answer_is_told(body: bytes) -> None:
    """The shard is named."""
    with pytest.raises(NodeAnswerUnreadable) as told:
        wanted_of(body, 1, lambda _: BOTH)
    assert told.value.args
    with pytest.raises(NodeAnswerUnreadable):
        documents_of(body, 1, "id")


def test_a_hit_without_its_key_is_told() -> None:
    """It was asked for."""
    with pytest.raises(NodeAnswerUnreadable):
        wanted_of(answer([hit({"title": "x"}, rule(0))]), 1, lambda _: BOTH)
