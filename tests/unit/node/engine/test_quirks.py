"""The switch that lets ranking depend on the other documents, as Meilisearch's does."""

from itertools import product
from string import ascii_lowercase

from tests.unit.node.engine.world import settings

from miroir.node.engine import SearchIndex, SearchQuery

RULES = ["words", "typo", "proximity"]
# A hundred words that begin with `wi`, in a document that does not have the other word.
CROWD = " ".join(f"wi{a}{b}" for a, b in product(ascii_lowercase[:4], ascii_lowercase[:25]))
TEXTS = ["winter best", "best of every winter", "best winter"]


def order(*, quirks: bool, crowd: bool) -> list[str]:
    index = SearchIndex(settings(rankingRules=RULES), "id", quirks=quirks)
    texts = [*TEXTS, CROWD] if crowd else TEXTS
    index.put([(str(at), {"id": at, "text": text}) for at, text in enumerate(texts)])
    return [str(hit["id"]) for hit in index.search(SearchQuery(q="best wi")).hits]


def test_without_quirks_no_other_document_changes_the_order():
    """What makes merged answers exact must hold for the node that most tests stand on."""
    assert order(quirks=False, crowd=True) == order(quirks=False, crowd=False) == ["2", "0", "1"]


def test_with_quirks_a_crowded_prefix_is_not_found_before_its_neighbour():
    """Meilisearch 1.50 answers so; the proxy must be tested against it."""
    assert order(quirks=True, crowd=False) == ["2", "0", "1"]
    assert order(quirks=True, crowd=True) == ["2", "1", "0"]


def test_with_quirks_a_score_is_measured_by_the_readings_of_its_bucket():
    """A greatest cost that nobody can reach any more is not counted."""
    documents = [("0", {"id": 0, "text": "sun flower"}), ("1", {"id": 1, "text": "sunflower"})]
    scores = {}
    for quirks in (False, True):
        index = SearchIndex(settings(rankingRules=RULES), "id", quirks=quirks)
        index.put(documents)
        found = index.search(SearchQuery(q="sun flower", show_ranking_score_details=True)).hits
        scores[quirks] = [hit["_rankingScoreDetails"]["typo"]["maxTypoCount"] for hit in found]
    assert scores[False] != scores[True]
