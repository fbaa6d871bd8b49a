"""The settings change under every order of answers and every fault that can be drawn."""

import random

from hypothesis import event, given, settings, strategies as st
from tests.support.broadcast_world import World

from miroir.core.broadcast_messages import ApplySettings, CommitVersion
from miroir.core.broadcast_types import Broadcast, Decision, NodeState, Phase

FAULTS_MAX = 40
TURNS_MAX = 2_000
GIVEN_UP = {NodeState.SILENT, NodeState.REJECTED}


@st.composite
def broadcasts(draw):
    """Plans of up to three shards and three groups: plain, in sequence, in halves, or odd."""
    shards, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    columns = tuple(tuple(f"s{s}g{g}" for g in range(groups)) for s in range(shards))
    by_group = tuple(tuple(column[g] for column in columns) for g in range(groups))
    everyone = tuple(n for group in by_group for n in group)
    waves, commit_after = draw(
        st.sampled_from(
            [
                ((everyone,), 1),
                (tuple((n,) for n in everyone), len(everyone)),
                (by_group, 1),
                (by_group, groups),
                ((by_group[0],), 1),  # The others are as they should be, as in a repair.
            ]
        )
    )
    forward = draw(st.booleans())
    return Broadcast(
        "movies",
        columns=columns,
        waves=waves,
        commit_after=commit_after,
        retries_max=draw(st.integers(0, 2)),
        undoable=not forward and draw(st.booleans()),
        drains=draw(st.booleans()),
        canary=not forward and draw(st.booleans()),
        forward=forward,
        freeze=not forward and draw(st.booleans()),
    )


def played(state, seed, check=lambda world: None):
    """Play one history to its end, looking at the world after every turn."""
    chance = random.Random(seed)
    world = World(state, chance, fault_rate=chance.choice([0.05, 0.2, 0.5]))
    world.faults_left = FAULTS_MAX
    world.probe_knows = chance.random() < 0.5
    if chance.random() < 0.3:
        world.stubborn = {chance.choice(state.waves[0]): chance.choice(["old", "odd"])}
    world.take_over()
    for _ in range(TURNS_MAX):
        check(world)
        if world.ended:
            event(world.state.phase.value)
            return world
        assert world.waiting, "nothing is under way and nothing is decided"
        world.turn()
    raise AssertionError("it does not end")


def _commit_is_due(world):
    return any(isinstance(c, CommitVersion) for c in world.waiting)


histories = given(broadcasts(), st.integers(0, 2**32))
quick = settings(max_examples=300)


@quick
@histories
def test_every_change_ends_and_no_way_out_leads_back(state, seed):
    """An accepted change that hangs would block every later one of its index."""
    world = played(state, seed)
    first, *rest = world.decisions() or [None]

    assert rest == []
    assert (
        world.state.phase
        in {
            None: {Phase.REFUSED},
            Decision.COMMIT: {Phase.CONVERGED},
            Decision.ABORT: {Phase.ABORTED, Phase.FROZEN},
        }[first]
    )
    assert (world.state.version is not None) == (first is Decision.COMMIT) == world.committed
    assert (world.state.error is None) == (first is Decision.COMMIT)


@quick
@histories
def test_rounds_are_bounded_by_retries_and_patience(state, seed):
    """Each node gets its retries, each silence its patience; nothing goes on for ever."""
    world = played(state, seed)

    directions = len(state.waves) * 2 + 1  # Sequential may be gone over again after a crash.
    entered = len(state.waves) * (state.retries_max + 2)  # Every doubt begins them anew.
    assert world.state.round <= directions * (state.retries_max + 1) + entered + 2 * FAULTS_MAX


@quick
@histories
def test_a_commit_rests_on_what_every_living_node_last_showed(state, seed):
    """The version promises one set of settings on a complete copy of the data."""

    def check(world):
        if not _commit_is_due(world):
            return
        now = world.state
        asked = {n for wave in now.waves[: now.commit_after] for n in wave}
        alive = {n for n in asked if now.nodes[n].state is not NodeState.SILENT}
        if now.forward:  # Who refuses or stays different is left behind, too.
            alive = set(now.verified)
        assert all(now.nodes[n].state is NodeState.VERIFIED for n in alive)
        # Told to this leader or, before the last crash, to the one who stored it.
        assert all(world.last_read.get(n, now.nodes[n].fingerprint) != "old" for n in alive)
        assert len({now.nodes[n].fingerprint for n in alive}) <= 1, "they agree"
        planned = {n for wave in now.waves for n in wave}
        outside = {n for column in now.columns for n in column} - planned
        assert now.forward or now.covers(alive | outside)
        assert set(now.verified) == alive

    played(state, seed, check)


@quick
@histories
def test_what_goes_only_forward_is_never_given_up_once_a_node_may_have_acted(state, seed):
    """A deletion cannot be taken back: an index that is gone from its nodes must not live on."""
    if not state.forward:
        return

    def check(world):
        now = world.state
        acted = {n for n in world.may_show_the_target() if n in now.nodes}
        assert now.decision is not Decision.ABORT or not acted
        assert world.freezes == 0
        if _commit_is_due(world):
            asked = {n for wave in now.waves[: now.commit_after] for n in wave}
            ended = {*GIVEN_UP, NodeState.VERIFIED, NodeState.DIFFERENT}
            assert all(now.nodes[n].state in ended for n in asked), "nobody is waited for"

    world = played(state, seed, check)

    if world.state.decision is Decision.ABORT:
        assert any(world.refused.values()), "only a no ends it"


@quick
@histories
def test_a_commit_after_a_crash_rests_on_fresh_reads(state, seed):
    """What the dead leader has read may have been overwritten since."""

    def check(world):
        now = world.state
        if now.phase is not Phase.COMMITTING or not _commit_is_due(world):
            return
        waves = now.waves[: now.commit_after]
        if world.taken_over_in is not Phase.COMMITTING:
            waves = waves[-1:]  # Of the earlier ones those reads count that led on from them.
        asked = {n for wave in waves for n in wave}
        assert asked & set(now.verified) <= set(world.last_read)

    played(state, seed, check)


@quick
@histories
def test_never_both_a_commit_and_a_freeze(state, seed):
    """A version that is true and an index that is closed for doubt exclude each other."""
    world = played(state, seed)

    assert not (world.committed and world.freezes)
    assert world.freezes == 0 or (state.freeze and state.undoable)
    assert world.commits == 0 or Phase.COMMITTING in world.phases()


@quick
@histories
def test_a_freeze_is_the_last_resort(state, seed):
    """An index must not be closed while a complete copy of it is at its base."""
    world = played(state, seed)
    if world.state.phase is not Phase.FROZEN:
        return
    read_at_base = {n for n, seen in world.last_read.items() if seen in {"old", "odd"}}
    everyone = {n for column in state.columns for n in column}

    given_up = {n for n, p in world.state.nodes.items() if p.state in GIVEN_UP}
    assert not state.covers((read_at_base - given_up) | (everyone - world.may_show_the_target()))


@quick
@histories
def test_nobody_who_is_needed_is_left_out(state, seed):
    """A shard whose only node is restarting waits for it; it does not go without."""

    def check(world):
        now = world.state
        skipped = {
            n
            for n, p in now.nodes.items()
            if p.state is NodeState.SILENT and p.proposals == 0 and not now.undoing
        }
        assert now.covers({n for column in now.columns for n in column} - skipped)

    played(state, seed, check)


@quick
@histories
def test_an_undo_goes_to_whoever_may_show_the_target_and_to_nobody_else(state, seed):
    """A node left changed would serve an aborted change; one left alone needs no task."""
    world = played(state, seed)
    undone = {n for n, directions in world.sent.items() if "old" in directions}

    if world.state.decision is not Decision.ABORT or not state.undoable:
        assert undone == set()
        return
    assert undone == world.may_show_the_target()


@quick
@histories
def test_an_aborted_change_leaves_a_cover_at_the_base(state, seed):
    """Else it would have to be frozen; readers go on with what was there before."""
    world = played(state, seed)
    if world.state.phase is not Phase.ABORTED or not (state.undoable and state.freeze):
        return
    everyone = {n for column in state.columns for n in column}
    at_base = (everyone - world.may_show_the_target()) | set(world.state.verified)

    assert state.covers(at_base)
    for n in world.state.verified:
        assert world.shows.get(n, "old") in {"old", "odd"}


@quick
@histories
def test_waves_are_touched_in_their_order_and_the_late_ones_only_after_the_commit(state, seed):
    """Before the switch the second half serves the readers."""

    def check(world):
        now = world.state
        if now.undoing:
            return
        furthest = max(state.wave for state in world.history)
        reached = {n for wave in now.waves[: furthest + 1] for n in wave}
        assert set(world.sent) <= reached
        if now.decision is None:
            assert furthest < now.commit_after
        for command in world.waiting:
            if isinstance(command, ApplySettings) and command.round == now.round:
                assert command.node_id in now.waves[now.wave]

    played(state, seed, check)


@quick
@histories
def test_orders_are_for_this_round_and_for_the_nodes_of_the_plan(state, seed):
    """An order of an older round would be answered by nobody's event."""
    planned = {n for wave in state.waves for n in wave}

    def check(world):
        for command in world.waiting:
            node_id = getattr(command, "node_id", None)
            assert node_id is None or node_id in planned
            assert getattr(command, "round", world.state.round) <= world.state.round

    played(state, seed, check)


@quick
@histories
def test_without_faults_everything_is_committed_in_one_round_per_wave(state, seed):
    """The normal day: no retry, no second commit, every node verified."""
    world = World(state, random.Random(seed), faults_left=0)
    world.take_over()
    while not world.ended:
        world.turn()

    assert world.state.phase is Phase.CONVERGED
    assert (world.commits, world.freezes) == (1, 0)
    assert world.state.round == len(state.waves) * (2 if state.drains else 1)
    assert set(world.state.verified) == {n for wave in state.waves for n in wave}
    assert set(world.shows.values()) == {"new"}
