"""An estimate without its basis is a promise."""

from miroir.core.estimate import PastChange, PastIndexing, estimate, paced
from miroir.core.settings import Cost

WRITES = [PastIndexing(1000, 2.0), PastIndexing(500, 1.0), PastIndexing(0, 9.0)]
CHANGES = [
    PastChange("movies", Cost.RETOKENISE, 12.0),
    PastChange("books", Cost.RETOKENISE, 400.0),
    PastChange("movies", Cost.RETOKENISE, 8.0),
    PastChange("movies", Cost.INSTANT, 0.1),
    PastChange("books", Cost.FACETS, 3.0),
]


def test_changes_of_the_same_class_on_the_same_index_tell_most():
    """Another index has other documents, another class does other work."""
    found = estimate("movies", Cost.RETOKENISE, 10_000, CHANGES, WRITES)
    assert (found.low_s, found.high_s) == (8.0, 12.0)
    assert found.basis == "2 past re-tokenise changes on this index (median 10 s)"


def test_without_them_the_rate_of_indexing_is_taken_and_said():
    """Tokenising again is most of what indexing is; the range is wide."""
    found = estimate("fresh", Cost.RETOKENISE, 5_000, CHANGES, WRITES)
    assert (found.low_s, found.high_s) == (5.0, 20.0)
    assert found.basis == "2 past document writes (500 documents/s)"


def test_two_halves_one_after_the_other_take_twice_as_long():
    """Changes of the past had their two halves in them; a rate of indexing has not."""
    found = estimate("fresh", Cost.RETOKENISE, 5_000, CHANGES, WRITES, halves=2)
    assert (found.low_s, found.high_s) == (10.0, 40.0)
    assert estimate("movies", Cost.RETOKENISE, 9, CHANGES, WRITES, halves=2).high_s == 12.0


def test_cheap_classes_are_much_alike_on_all_indexes():
    """Better a word from elsewhere than none."""
    assert "other indexes" in estimate("fresh", Cost.FACETS, 10, CHANGES, WRITES).basis


def test_where_nothing_is_known_nothing_is_said():
    """Embedding hangs on a server of somebody else."""
    assert estimate("fresh", Cost.REEMBED, 10_000, CHANGES, WRITES) is None
    assert estimate("fresh", Cost.RETOKENISE, None, CHANGES, WRITES) is None
    assert estimate("fresh", Cost.RETOKENISE, 10, [], [PastIndexing(0, 1.0)]) is None


def test_the_time_left_is_a_straight_line_through_two_looks():
    """One look tells nothing: who knows when the batch began, and by whose clock."""
    first = paced(None, 7, 20.0, 100.0)
    assert first.left_s is None
    assert paced(first, 7, 20.0, 110.0).left_s is None, "it has not moved"
    assert paced(first, 7, 20.3, 110.0).left_s is None, "an hour, it would say; it took 30 s"
    assert paced(first, 7, 60.0, 110.0).left_s == 10.0
    assert paced(paced(first, 7, 30.0, 105.0), 7, 100.0, 120.0).left_s == 0.0


def test_another_batch_begins_anew():
    """The second half of a change has its own pace."""
    first = paced(paced(None, 7, 20.0, 100.0), 7, 90.0, 110.0)
    assert paced(first, 8, 95.0, 111.0).left_s is None
