"""Covering sets over random clusters: what must hold whatever is known of the nodes."""

from hypothesis import given, strategies as st

from miroir.core.routing import Candidates, covering_set
from miroir.core.topology import GroupId, Node, NodeId, ShardId, Topology
from miroir.errors import NoCoveringSet, SettingsVersionStale


@st.composite
def clusters(draw: st.DrawFn) -> Candidates:
    shards, groups = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    nodes = tuple(
        Node(NodeId(f"{s}-{g}"), ShardId(s), GroupId(g), "http://localhost")
        for s in range(shards)
        for g in range(groups)
    )
    names = st.sampled_from([node.node_id for node in nodes])
    return Candidates(
        topology=Topology(1, shards, groups, nodes),
        proved=draw(st.dictionaries(names, st.integers(1, 4))),
        ready=draw(st.frozensets(names)),
        committed=4,
        in_flight=draw(st.booleans()),
        load=draw(st.dictionaries(names, st.integers(0, 3))),
        when_no_cover=draw(st.sampled_from(["available", "consistent"])),
    )


@given(clusters(), st.none() | st.integers(1, 5), st.integers(0, 5))
def test_a_cover_is_ready_complete_and_of_the_version_it_claims(known, floor, turn):
    """The header is true, the floor is kept, and no shard is forgotten or asked twice."""
    try:
        cover = covering_set(known, floor=floor, turn=turn)
    except NoCoveringSet:
        assert any(not known.ready & set(column) for column in known.topology.columns)
        return
    except SettingsVersionStale:
        assert floor is not None or known.when_no_cover == "consistent"
        return
    assert [known.topology.by_id[n].shard_id for n in cover.nodes] == list(
        range(known.topology.shard_count)
    )
    assert known.ready >= set(cover.nodes)
    versions = {known.proved.get(node) for node in cover.nodes}
    assert cover.inconsistent or versions == {cover.version}
    assert floor is None or (not cover.inconsistent and cover.version >= floor)


@given(clusters())
def test_the_best_version_that_can_cover_is_used(known):
    """No client sees older settings than it has to."""
    full = [
        version
        for version in range(1, 5)
        if all(
            any(n in known.ready and known.proved.get(n) == version for n in column)
            for column in known.topology.columns
        )
    ]
    try:
        cover = covering_set(known)
    except (NoCoveringSet, SettingsVersionStale):
        assert not full
        return
    assert cover.inconsistent is not bool(full)
    assert not full or cover.version == max(full)
