"""Raw hits: cut at the tail, and never believed."""

import json

import pytest
from msgspec import Raw
from tests.support.search_answers import hit

from miroir.core.merge.hits import cut, merge_hits
from miroir.core.merge.ranking import Incomparable

WORDS = ("words", {"matchingWords": 1})
DETAILS = {"words": {"order": 0, "matchingWords": 1}}


def raw(value: dict) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def bodies(text: bytes) -> list[dict]:
    found, _ = cut(text)
    return [
        json.loads(found.body(show_score=score, show_details=details))
        for score, details in ((False, False), (True, False), (False, True), (True, True))
    ]


SCORES = {"_rankingScore": 0.5, "_rankingScoreDetails": DETAILS}
NESTED = {"_rankingScore": 1, "_rankingScoreDetails": {"a": {"order": 0}}}


@pytest.mark.parametrize(
    "members",
    [
        [],
        [("id", 1)],
        [("id", 1), ("text", ',"_rankingScoreDetails":{}')],
        [("id", 1), ("nested", NESTED)],
        [("list", [NESTED, {"x": 1}])],
        [("_rankingScore_", 1), ("x", {"_rankingScore": 2})],
    ],
    ids=str,
)
@pytest.mark.parametrize("scores", ["last", "first", "apart", "turned"])
def test_scores_are_taken_out_wherever_they_are(members, scores):
    """A node may write them elsewhere some day, and documents may contain the same keys."""
    score, details = SCORES.items()
    layout = {
        "last": [*members, score, details],
        "first": [score, details, *members],
        "apart": [score, *members, details],
        "turned": [*members, details, score],
    }[scores]
    plain = dict(members)
    assert bodies(raw(dict(layout))) == [
        plain,
        plain | dict([score]),
        plain | dict([details]),
        plain | SCORES,
    ]


def test_a_document_is_not_rewritten():
    """Big integers, spellings and repeated keys come back as the node wrote them."""
    document = b'{"n":123456789012345678901234567890,"f":1.50,"a":1,"a":"\\u00e9"'
    found, _ = cut(document + b',"_rankingScore":1.0,"_rankingScoreDetails":{}}')
    assert found.body(show_score=False, show_details=False) == document + b"}"
    assert found.document == document[1:]


@pytest.mark.parametrize("text", [b'{"id":1}', b'{"id":1,"_rankingScore":1.0}'])
def test_a_hit_without_details_is_refused(text):
    """It was asked for; without it there is no order."""
    with pytest.raises(Incomparable, match="without score details"):
        cut(text)


def test_details_of_an_unknown_shape_are_refused():
    """Better no answer than a guessed order."""
    with pytest.raises(Incomparable, match="unknown shape"):
        cut(b'{"_rankingScore":1,"_rankingScoreDetails":{"words":[1]}}')


def ids(lists: list[list[dict]], primary_key: str | None = None) -> list[int]:
    hits = merge_hits([[Raw(raw(one)) for one in shard] for shard in lists], primary_key)
    return [json.loads(found.raw)["id"] for found in hits]


def ranked(number: int, words: int) -> dict:
    return hit({"id": number}, ("words", {"matchingWords": words}))


def test_lists_are_merged_and_ties_go_to_the_lower_shard():
    """The order is total, so that the next page goes on where this one ended."""
    assert ids(
        [
            [ranked(1, 3), ranked(2, 2), ranked(3, 2)],
            [],
            [ranked(4, 3), ranked(5, 3), ranked(6, 1)],
            [ranked(7, 2)],
        ]
    ) == [1, 4, 5, 2, 3, 7, 6]


def test_equals_are_put_in_the_order_of_their_ids_and_each_shard_keeps_its_own():
    """One node shows them as they came: in the order of their ids, where those are counted up."""
    lists = [[ranked(9, 3), ranked(10, 2), ranked(4, 2)], [ranked(8, 3), ranked(7, 2)]]
    assert ids(lists, "id") == [8, 9, 7, 10, 4]
    assert ids(lists, None) == [9, 8, 10, 4, 7]


def test_only_hits_that_may_be_shown_are_looked_at():
    """The cost of a search must not grow with the length of the lists."""
    broken = Raw(b"not looked at")
    lists = [[Raw(raw(ranked(s * 10 + i, 5 - i))) for i in range(3)] for s in range(2)]
    merged = merge_hits([[*hits, broken] for hits in lists])
    assert [json.loads(next(merged).raw)["id"] for _ in range(4)] == [0, 10, 1, 11]


@pytest.mark.parametrize("document", [b"", b'"b":2'])
def test_a_document_can_be_replaced_in_its_hit(document):
    """What was asked for on top is taken out again; the scores stay."""
    found, _ = cut(raw(hit({"id": 1}, WORDS)))
    other = found.with_document(document)
    plain = json.loads(b"{%b}" % document)
    assert other.document == document
    assert json.loads(other.body(show_score=False, show_details=False)) == plain
    assert json.loads(other.body(show_score=True, show_details=True)) == plain | SCORES
