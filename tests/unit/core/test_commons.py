"""What belongs to no index."""

from miroir.core.commons import COMMONS, FEATURES, KEYS, is_common


def test_the_commons_can_never_be_the_index_of_a_client():
    """A client that could make an index of this name would write into the keys."""
    assert all(uid.startswith("_miroir_") for uid in COMMONS)


def test_an_index_is_no_common_object():
    """Whatever lists indexes leaves out the commons and nothing else."""
    assert is_common(FEATURES)
    assert is_common(KEYS)
    assert not is_common("movies")
    assert not is_common("_miroir_probe")
