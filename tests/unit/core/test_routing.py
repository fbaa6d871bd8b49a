"""Routing: the address of stored data, and the choice of who answers."""

import pytest
from xxhash import xxh3_64_intdigest

from miroir.core.routing import (
    SLOT_COUNT,
    Candidates,
    Cover,
    covering_set,
    shard_of,
    slot_of,
    slot_table,
    write_targets,
)
from miroir.core.topology import GroupId, Node, NodeId, ShardId, Topology
from miroir.errors import NoCoveringSet, SettingsVersionStale


def grid(shards: int, groups: int) -> Topology:
    nodes = tuple(
        Node(NodeId(f"n{s}{'abcdef'[g]}"), ShardId(s), GroupId(g), f"http://localhost:{s}{g}")
        for g in range(groups)
        for s in range(shards)
    )
    return Topology(1, shards, groups, nodes)


def candidates(
    topology: Topology, proved: dict[str, int], *, committed: int = 9, **more: object
) -> Candidates:
    fields: dict = {
        "ready": frozenset(topology.node_ids),
        "in_flight": False,
        "load": {},
        "when_no_cover": "available",
    }
    return Candidates(
        topology=topology,
        proved={NodeId(name): version for name, version in proved.items()},
        committed=committed,
        **(fields | more),
    )


# ------------------------------------------------------------------- slots and shards


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        ("1", 344),
        ("42", 401),
        ("-7", 3896),
        ("movie_id-0001", 1281),
        ("a", 3615),
        ("18446744073709551615", 887),
        ("Zz_-9", 314),
        ("0123456789012345678901234567890123456789", 2770),
    ],
)
def test_the_slot_of_a_key_never_changes(key: str, slot: int):
    """Stored documents would be lost. Values from twox-hash (Rust), not from this program."""
    assert slot_of(key) == slot


@pytest.mark.parametrize(
    ("shard_count", "digest", "first"),
    [
        (1, 0x93D76FE148C689BA, (0, 0, 0, 0, 0, 0, 0, 0)),
        (2, 0x3C81ACAD0223B4C0, (1, 0, 0, 0, 0, 0, 1, 0)),
        (3, 0xF1B359F5E65ABEBB, (1, 0, 0, 0, 2, 0, 2, 0)),
        (4, 0x845C23127A23254B, (3, 3, 3, 3, 2, 3, 2, 0)),
        (5, 0x22FE4D43AD115ECD, (3, 3, 4, 3, 2, 3, 2, 0)),
        (8, 0x19F565DA2F2E4ED8, (3, 7, 4, 3, 2, 6, 2, 5)),
    ],
)
def test_the_table_of_slots_never_changes(shard_count: int, digest: int, first: tuple):
    """The same, for the second hop; digest of the table, by the same Rust tool."""
    shards = slot_table(shard_count).shards
    assert shards[:8] == first
    assert xxh3_64_intdigest(bytes(shards)) == digest


@pytest.mark.parametrize("shard_count", range(1, 12))
def test_a_new_shard_takes_its_part_and_moves_nothing_else(shard_count: int):
    """Resharding copies what moves: anything more is wasted hours."""
    before, after = slot_table(shard_count).shards, slot_table(shard_count + 1).shards
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {shard_count}
    assert len(moved) == pytest.approx(SLOT_COUNT / (shard_count + 1), rel=0.15)


def test_the_table_is_computed_once():
    """4096 x n hashes do not belong on the path of a request."""
    assert slot_table(3) is slot_table(3)


def test_a_key_goes_to_the_shard_of_its_slot_and_every_replica_of_it():
    """One document, one column."""
    topology, table = grid(3, 2), slot_table(3)
    shard = shard_of("42", table)
    assert shard == table.shards[401]
    assert write_targets(topology, shard) == (f"n{shard}a", f"n{shard}b")


# --------------------------------------------------------------------- covering sets


def test_a_cover_has_one_node_per_shard_at_the_highest_common_version():
    """An answer is computed from one settings version."""
    proved = {"n0a": 3, "n1a": 4, "n0b": 4, "n1b": 3}
    assert covering_set(candidates(grid(2, 2), proved)) == Cover(("n0b", "n1a"), 4, False)


def test_an_older_version_that_covers_beats_a_newer_one_that_does_not():
    """A mixed answer is worse than one from before the change."""
    proved = {"n0a": 3, "n1a": 3, "n0b": 4}
    assert covering_set(candidates(grid(2, 2), proved)) == Cover(("n0a", "n1a"), 3, False)


def test_the_least_loaded_node_of_each_shard_answers():
    """Load is spread by choice, not by luck."""
    proved = dict.fromkeys(grid(2, 2).node_ids, 1)
    chosen = covering_set(candidates(grid(2, 2), proved, load={"n0a": 5, "n1b": 1}))
    assert chosen.nodes == ("n0b", "n1a")


def test_equals_are_chosen_by_name_and_turn_rotates_them():
    """The same input gives the same nodes, so that a session can stay on its replicas."""
    known = candidates(grid(2, 3), dict.fromkeys(grid(2, 3).node_ids, 1))
    assert covering_set(known).nodes == ("n0a", "n1a")
    assert [covering_set(known, turn=turn).nodes for turn in (1, 2, 3)] == [
        ("n0b", "n1b"),
        ("n0c", "n1c"),
        ("n0a", "n1a"),
    ]


def test_a_spared_node_answers_only_where_no_other_can():
    """A change waits until it is free; but no answer fails for that."""
    proved = dict.fromkeys(grid(2, 2).node_ids, 3)
    spared = frozenset({"n0a", "n1a"})
    everyone = candidates(grid(2, 2), proved, spared=spared)
    assert covering_set(everyone).nodes == ("n0b", "n1b")

    ready = frozenset({"n0a", "n1a", "n0b"})
    lonely = candidates(grid(2, 2), proved, spared=spared, ready=ready)
    assert covering_set(lonely).nodes == ("n0b", "n1a")
    assert not covering_set(lonely).inconsistent


def test_a_proved_node_that_is_not_ready_does_not_answer():
    """A node that is down or behind on documents is no use at any settings version."""
    topology = grid(1, 2)
    known = candidates(topology, {"n0a": 2, "n0b": 1}, ready=frozenset({NodeId("n0b")}))
    assert covering_set(known) == Cover(("n0b",), 1, False)


def test_a_floor_excludes_older_covers():
    """A pinned client never goes back."""
    with pytest.raises(SettingsVersionStale):
        covering_set(candidates(grid(1, 1), {"n0a": 3}), floor=4)
    known = candidates(grid(2, 1), {"n0a": 3, "n1a": 4})
    assert covering_set(candidates(grid(1, 2), {"n0a": 3, "n0b": 4}), floor=4).nodes == ("n0b",)
    with pytest.raises(SettingsVersionStale, match="settings version 4 or later"):
        covering_set(known, floor=4)


def test_a_floor_is_never_met_by_an_unproved_node():
    """The last resort of `available` does not apply to who asked for a version."""
    with pytest.raises(SettingsVersionStale, match="last committed: 9; a change is in flight"):
        covering_set(candidates(grid(1, 1), {}, in_flight=True), floor=1)


def test_without_a_common_version_available_answers_flagged_with_the_committed_version():
    """Searches go on during a change with one replica group, and say so."""
    known = candidates(grid(2, 1), {"n0a": 9}, in_flight=True)
    assert covering_set(known) == Cover(("n0a", "n1a"), 9, True)


def test_without_a_common_version_consistent_refuses():
    """The operator's choice: no answer rather than a mixed one."""
    with pytest.raises(SettingsVersionStale, match="one settings version"):
        covering_set(candidates(grid(2, 1), {"n0a": 9}, when_no_cover="consistent"))


def test_a_drifted_node_serves_only_as_the_last_of_its_column():
    """The flagged answer is kept as right as it can be, whatever the load says."""
    known = candidates(grid(2, 2), {"n0a": 9}, load={"n0a": 50, "n1a": 3})
    assert covering_set(known) == Cover(("n0a", "n1b"), 9, True)


def test_a_shard_without_a_ready_node_is_named():
    """The operator reads which column is lost; the caller may give it up."""
    topology = grid(3, 1)
    known = candidates(topology, {}, ready=frozenset({NodeId("n1a")}))
    with pytest.raises(NoCoveringSet, match="shard 0, 2") as error:
        covering_set(known)
    assert error.value.shards == (0, 2)


def test_a_shard_that_was_given_up_is_left_out():
    """A degraded answer is a decision of the caller, never of this function."""
    topology = grid(2, 1)
    known = candidates(
        topology,
        {"n1a": 2},
        ready=frozenset({NodeId("n1a")}),
        given_up=frozenset({ShardId(0)}),
    )
    assert covering_set(known) == Cover(("n1a",), 2, False)


def test_an_answer_from_no_shard_at_all_is_refused():
    """Giving up everything is no partial answer."""
    known = candidates(grid(1, 1), {}, ready=frozenset(), given_up=frozenset({ShardId(0)}))
    with pytest.raises(NoCoveringSet):
        covering_set(known)


def test_a_node_proved_beyond_the_last_commit_is_our_bug():
    """The header may never show a number that is not committed."""
    with pytest.raises(AssertionError, match="beyond the last commit"):
        covering_set(candidates(grid(1, 1), {"n0a": 5}, committed=4))
