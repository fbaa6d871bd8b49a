"""Many searches in one request: reading it, and putting the results together."""

import pytest

from miroir.core.merge.multi_search import (
    join_results,
    read_multi_search,
    results_of,
    with_index,
    with_place,
)
from miroir.errors import NodeAnswerUnreadable


def test_queries_are_grouped_by_index_with_their_places():
    """One request to the nodes per index; the results go back where they belong."""
    queries = [{"indexUid": uid} for uid in ("b", "a", "b")]
    asked = read_multi_search({"queries": queries, "federation": None})
    assert asked.by_index == {"b": [0, 2], "a": [1]}
    assert asked.federation is None


def test_a_window_that_is_null_is_not_given():
    """Nodes take null here, and a shard must not be asked for its own default window."""
    query = {"indexUid": "a", "limit": None, "offset": 3, "q": None}
    assert read_multi_search({"queries": [query]}).queries == (
        {"indexUid": "a", "offset": 3, "q": None},
    )


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"queries": {}},
        {"queries": [7]},
        {"queries": [{}]},
        {"queries": [{"indexUid": 7}]},
        {"queries": [], "federation": []},
        {"queries": [], "other": 1},
    ],
)
def test_what_only_a_node_can_judge_is_left_to_it(body):
    """It says what is wrong, in its words."""
    assert read_multi_search(body) is None


def test_results_are_cut_out_and_joined_as_they_are():
    """Nothing of a document is written anew."""
    answer = b'{"results":[{"a":1e400},{"a": 2}]}'
    results = results_of(answer, 0, 2)
    assert join_results(results) == b'{"results":[{"a":1e400},{"a": 2}]}'
    assert with_index("movies", b'{"hits":[]}') == b'{"indexUid":"movies","hits":[]}'


@pytest.mark.parametrize("answer", [b"{}", b"[", b'{"results":[1]}'])
def test_an_answer_to_another_question_is_nobodys_answer(answer):
    """The caller learns whose it was."""
    with pytest.raises(NodeAnswerUnreadable) as error:
        results_of(answer, 1, 2)
    assert error.value.position == 1


def test_a_message_names_the_clients_place_of_a_query():
    """The node had only some of the queries."""
    said = "Inside `.queries[1]`: it is about `.queries[1]`"
    assert with_place(said, [2, 5]) == "Inside `.queries[5]`: it is about `.queries[1]`"
    assert with_place("Unknown field", [2, 5]) == "Unknown field"
