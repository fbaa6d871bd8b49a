"""How many replicas a write must reach."""

import pytest

from miroir.core.consistency import replicas_needed, shortage_text


@pytest.mark.parametrize(
    ("groups", "one", "majority", "all_"), [(1, 1, 1, 1), (2, 1, 2, 2), (3, 1, 2, 3), (5, 1, 3, 5)]
)
def test_two_majorities_always_share_a_replica(groups, one, majority, all_):
    """That is what a majority is for: half of two is none."""
    needed = [replicas_needed(level, groups) for level in ("one", "majority", "all")]

    assert needed == [one, majority, all_]
    assert 2 * majority > groups


def test_only_what_is_short_is_told():
    """A header that is there on every answer is read by nobody."""
    assert shortage_text({0: 2, 1: 2}, 2) == ""
    assert shortage_text({2: 1, 0: 0, 1: 2}, 2) == "0=0/2, 2=1/2"
