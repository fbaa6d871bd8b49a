"""Similar documents: what is asked, and how the answers become one."""

import json

import pytest

from miroir.core.merge import CannotMerge, SimilarPlan, merge_similar, plan_similar, vector_of
from miroir.errors import NodeAnswerUnreadable


def plan(settings: dict | None = None, **query) -> SimilarPlan | CannotMerge | None:
    return plan_similar({"id": 7, "embedder": "e", **query}, settings or {})


def hit(number: int, similarity: float | None) -> dict:
    details = {"vectorSort": {"order": 0, "similarity": similarity}}
    return {"id": number, "_rankingScore": similarity or 0.0, "_rankingScoreDetails": details}


def answer(*hits: dict, total: int = 10, **more) -> bytes:
    body = {"hits": hits, **more, "processingTimeMs": 1, "estimatedTotalHits": total}
    return json.dumps(body, separators=(",", ":")).encode()


def test_hits_of_both_kinds_are_put_in_order_and_those_without_a_vector_left_out():
    """One node's `similar` never shows a document without a vector; its search does, last."""
    own = answer(hit(1, 0.9), hit(2, 0.5), id="7", total=3)
    other = answer(hit(3, 0.7), hit(4, 0.5), hit(5, None), total=4)
    merged = merge_similar([other, own], 1, plan(limit=9))
    assert [each["id"] for each in json.loads(merged)["hits"]] == [1, 3, 4, 2]
    assert json.loads(merged)["estimatedTotalHits"] == 7
    assert "_rankingScore" not in json.loads(merged)["hits"][0]


def test_equals_are_put_in_the_order_of_their_ids():
    """As in a search."""
    asked = plan_similar({"id": 7, "embedder": "e"}, {}, "id")
    parts = [answer(hit(10, 0.9), hit(2, 0.5), id="7"), answer(hit(9, 0.9), hit(3, 0.5))]
    merged = json.loads(merge_similar(parts, 0, asked))
    assert [each["id"] for each in merged["hits"]] == [9, 10, 2, 3]


def test_the_window_is_cut_after_merging():
    """Every shard is asked for all up to its end."""
    asked = plan(offset=1, limit=2)
    assert (asked.window["offset"], asked.window["limit"]) == (0, 3)
    parts = [answer(hit(1, 0.9), hit(3, 0.5), id="7"), answer(hit(2, 0.7), hit(4, 0.1))]
    merged = json.loads(merge_similar(parts, 0, asked))
    assert [each["id"] for each in merged["hits"]] == [2, 3]
    assert (merged["offset"], merged["limit"], merged["id"]) == (1, 2, "7")


def test_without_a_vector_the_other_shards_only_count():
    """A document without a vector has no neighbours, but a total."""
    asked = plan(filter="a = 1")
    assert vector_of({"_vectors": {"e": {"embeddings": []}}}, "e") == vector_of({}, "e") == []
    assert asked.search([]) == {"filter": "a = 1", "offset": 0, "limit": 0}
    assert asked.search([1.0])["hybrid"] == {"embedder": "e", "semanticRatio": 1.0}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"distinctAttribute": "a"}, "distinctAttribute"),
        ({"rankingRules": ["sort", "a:asc", "words"]}, "before relevancy"),
        ({"rankingRules": []}, "before relevancy"),
        ({"rankingRules": ["sort", "typo", "a:asc"]}, None),
        ({"rankingRules": ["sort"]}, "before relevancy"),
    ],
)
def test_an_index_whose_searches_look_at_more_than_the_vector_is_refused(settings, why):
    """Its shards would keep other hits than the nearest."""
    found = plan(settings)
    assert isinstance(found, SimilarPlan) if why is None else why in found.reason


def test_a_document_of_several_vectors_is_refused():
    """Nodes compare the first with the first, the second with the second; no search does."""
    several = {"_vectors": {"e": {"embeddings": [[1], [2]]}}}
    assert isinstance(vector_of(several, "e"), CannotMerge)


def test_a_shard_that_was_stopped_by_max_total_hits_is_refused():
    """It may have nearer documents than the others; a shard with fewer hits has shown all."""
    asked = plan({"pagination": {"maxTotalHits": 2}}, limit=3)
    own = answer(id="7")
    full, short = answer(hit(1, 0.9), hit(2, 0.8)), answer(hit(1, 0.9))
    assert isinstance(merge_similar([own, full], 0, asked), CannotMerge)
    assert isinstance(merge_similar([own, short], 0, asked), bytes)


@pytest.mark.parametrize("query", [{"id": None}, {"embedder": 1}, {"limit": -1}, {"offset": "1"}])
def test_what_only_a_node_can_judge_is_left_to_it(query):
    """It says what is wrong, in its words."""
    assert plan(**query) is None


def test_an_answer_to_another_question_is_nobodys_answer():
    """The caller learns whose it was."""
    with pytest.raises(NodeAnswerUnreadable) as error:
        merge_similar([answer(id="7"), b"{}"], 0, plan())
    assert error.value.position == 1
