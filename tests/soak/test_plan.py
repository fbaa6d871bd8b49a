"""The plan of faults, and the words by which settings show in hits."""

from itertools import pairwise

import pytest

from tests.soak import markers
from tests.soak.plan import DEAF, FOREIGN, KINDS, MIROIR, OF_PROCESSES, Frame, plan

COLUMNS = (("n0", "n2"), ("n1", "n3"))
FRAME = Frame(COLUMNS, ("a", "b"), seconds=600.0, calm_s=5.0)


def test_one_seed_is_one_plan():
    """A failed run is run again by its seed."""
    assert plan(7, FRAME) == plan(7, FRAME)
    assert plan(7, FRAME) != plan(8, FRAME)


def test_a_long_run_has_every_kind_of_fault():
    """A kind that is never planned proves nothing."""
    assert {fault.kind for fault in plan(1, FRAME)} == KINDS
    assert KINDS >= DEAF


def test_real_nodes_get_only_what_befalls_processes():
    """They obey no faults of their own."""
    frame = Frame(COLUMNS, ("a", "b"), 600.0, 5.0, OF_PROCESSES)

    assert {fault.kind for fault in plan(1, frame)} == OF_PROCESSES
    assert not any(fault.rule for fault in plan(1, frame))


@pytest.mark.parametrize("seed", range(20))
def test_of_one_column_one_node_at_most_is_disturbed(seed):
    """A column without a living node could answer nothing, and that is nobody's fault."""
    hurt = [f for f in plan(seed, FRAME) if f.kind not in FOREIGN and f.on != (MIROIR,)]

    for column in COLUMNS:
        mine = [fault for fault in hurt if fault.on[0] in column]
        assert mine
        for before, after in pairwise(mine):
            assert before.until_s < after.at_s


@pytest.mark.parametrize("marker", [0, 1, 15, 16, 255, 256, 4095])
def test_a_marker_is_read_from_the_hits_of_each_shard(marker):
    """The hits are the only witness of which settings a shard has used."""
    found = [d for d in markers.documents(3) if d["text"] in markers.words(marker)]

    assert markers.read(found, 3) == (marker,) * 3
    assert markers.of_settings({"synonyms": markers.synonyms(marker)}) == marker


def test_half_a_marker_is_none():
    """A shard that has lost a document must not pass for another version."""
    found = [d for d in markers.documents(2) if d["text"] in markers.words(77)]
    two = [*found, *(d for d in markers.documents(2) if d["text"] in markers.words(78))]

    assert markers.read([], 2) == (markers.NONE, markers.NONE)
    assert markers.read(found[1:], 2).count(markers.GARBLED) == 1
    assert markers.read(two, 2) == (markers.GARBLED, markers.GARBLED)
