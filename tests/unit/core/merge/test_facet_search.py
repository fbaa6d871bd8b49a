"""The values of one facet, found on many shards."""

import json

import pytest

from miroir.core.merge import CannotMerge, check_facet_search, merge_facet_search
from miroir.errors import NodeAnswerUnreadable


def facet_answer(counts: dict, time: int = 1) -> bytes:
    hits = [{"value": value, "count": count} for value, count in counts.items()]
    body = {"facetHits": hits, "facetQuery": "q", "processingTimeMs": time}
    return json.dumps(body).encode()


def test_facet_search_sums_and_sorts_as_a_node_does():
    """By count the greater value goes first among equals: that is how a node's heap empties."""
    answers = [facet_answer({"Red": 1, "b": 2}, 4), facet_answer({"a": 2, "red": 3}, 7)]
    by_count = json.loads(merge_facet_search(answers, order="count", values_max=100))
    assert [(h["value"], h["count"]) for h in by_count["facetHits"]] == [
        ("Red", 4),
        ("b", 2),
        ("a", 2),
    ]
    by_name = json.loads(merge_facet_search(answers, order="alpha", values_max=2))
    assert [h["value"] for h in by_name["facetHits"]] == ["a", "b"]
    assert (by_name["facetQuery"], by_name["processingTimeMs"]) == ("q", 7)


def test_an_answer_to_another_question_is_nobodys_answer():
    """The caller learns whose it was."""
    with pytest.raises(NodeAnswerUnreadable) as error:
        merge_facet_search([facet_answer({}), b'{"hits":[]}'], order="alpha", values_max=1)
    assert error.value.position == 1


def named(*values: str, query: str | None) -> bytes:
    hits = [{"value": value, "count": 1} for value in values]
    return json.dumps({"facetHits": hits, "facetQuery": query, "processingTimeMs": 0}).encode()


def test_values_that_were_searched_for_are_sorted_without_their_accents():
    """Nodes look values up without accents; without a `facetQuery` they list them as they are."""
    shards = (["été", "of"], ["etf", "œz", "etz"])
    for query, expected in (("", ["été", "etf", "etz", "œz", "of"]), (None, None)):
        answers = [named(*values, query=query) for values in shards]
        found = json.loads(merge_facet_search(answers, order="alpha", values_max=9))
        values = [hit["value"] for hit in found["facetHits"]]
        assert values == (expected or ["etf", "etz", "été", "of", "œz"])


def test_only_nodes_networks_are_refused():
    """Whatever else is wrong with the body, a node says so in its own words."""
    refused = check_facet_search({"facetName": "f", "useNetwork": True})
    assert isinstance(refused, CannotMerge)
    assert check_facet_search({"facetName": 7, "limit": "x"}) is None
