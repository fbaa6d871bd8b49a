"""Who of the replicas has lost something: told by births, task uids and majorities."""

import pytest

from miroir.core.census import REBORN, REWOUND, changed, outvoted

OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def test_a_replica_whose_index_was_born_anew_has_lost_the_one_that_it_had():
    """A node makes an index for whatever documents come, without a word."""
    seen = {"a": OLD, "b": NEW}

    assert changed(seen, {"a": OLD, "b": OLD}, ()) == {"b": REBORN}


def test_a_replica_that_was_never_seen_before_is_taken_as_it_is():
    """After a creation or a copy its birth is new to us, and right."""
    assert changed({"a": OLD, "b": NEW}, {"a": OLD}, ()) == {}


def test_a_rewound_node_has_lost_something_of_every_index_that_it_still_has():
    """A snapshot of yesterday has yesterday's index, of the same birth."""
    assert changed({"a": OLD, "b": OLD}, {"a": OLD, "b": OLD}, {"b"}) == {"b": REWOUND}
    assert changed({"a": OLD}, {"a": OLD, "b": OLD}, {"b"}) == {}


@pytest.mark.parametrize(
    ("counts", "who"),
    [
        ({}, set()),
        ({"a": 3}, set()),
        ({"a": 3, "b": 3}, set()),
        ({"a": 3, "b": 3, "c": 2}, {"c"}),
        ({"a": 3, "b": 3, "c": 4}, {"c"}),
        ({"a": 0, "b": 0, "c": 0, "d": 9}, {"d"}),
        ({"a": 3, "b": 2}, None),
        ({"a": 1, "b": 2, "c": 3}, None),
        ({"a": 1, "b": 1, "c": 3, "d": 3}, None),
    ],
)
def test_only_a_true_majority_outvotes(counts, who):
    """More is not better: of two, either may have missed a deletion or lost a document."""
    assert outvoted(counts) == who
