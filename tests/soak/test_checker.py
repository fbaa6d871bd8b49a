"""
The judge is judged: a good history passes, and for every rule there are bad ones that it refuses.

A checker that lets everything through makes every soak green.
"""

from dataclasses import replace

import pytest

from miroir.core.routing import shard_of, slot_table
from tests.soak import markers
from tests.soak.checker import Bounds, check
from tests.soak.history import (
    Change,
    Disturbance,
    Foreign,
    History,
    IndexesEnd,
    NodeEnd,
    NodeTask,
    Put,
    Quiet,
    Read,
    Setup,
    SideIndex,
    TaskSeen,
    Unsettled,
    Version,
    load,
)
from tests.soak.verdict import RULES

A = "soak-a"
COLUMNS = (("n0", "n2"), ("n1", "n3"))
FOREIGN = 4095
HOME = {n: int(shard_of(str(n), slot_table(2))) for n in range(1, 7)}
VALUES = {1: 7, 2: 7, 3: 8, 4: None}


def read(at_s, version, shown, *, reader="r", floor=None, flagged=False, status=200, code=None):
    sent_s = at_s - 0.1
    return Read(reader, A, sent_s, at_s, floor, status, version, flagged, shown, code)


def change(at_s, marker, task, *, aim="change", base=None, status=202, code=None):
    return Change("w", A, aim, marker, base, at_s, at_s + 0.1, status, code, task)


def ended(task, status, at_s):
    return [TaskSeen(task, status, at_s, None, False), TaskSeen(task, status, 90.0, None, True)]


def put(at_s, ids, value, task, status=202):
    return Put("d", A, ids, value, at_s, at_s + 0.1, status, None, task)


def node_end(node, shard):
    mine = {str(n): v for n, v in VALUES.items() if HOME[n] == shard and v is not None}
    return NodeEnd(node, A, True, "synced", 5, 5, mine, markers.PLACES * markers.BASE)


def good():
    """A history in which everything that is allowed happens once."""
    return [
        Setup("2x2", 1, "embedded", COLUMNS, (A,), {A: 2}, {A: 0}, 0.8, 20.0),
        Version(A, 1, None, 1, "create", -3.0, -2.9),
        Version(A, 2, 0, 2, "change", -2.0, -1.9),
        Version(A, 3, 1, 11, "change", 2.0, 3.0),
        Version(A, 4, 4, 99, "change", 6.0, 6.5),
        Version(A, 5, 5, 13, "change", 8.0, 8.5),
        # One that succeeds, one refused, one aborted, one whose answer was lost, one with a base.
        change(1.0, 1, 11),
        *ended(11, "succeeded", 2.5),
        change(4.0, 2, None, aim="invalid", status=400, code="invalid"),
        change(4.2, 3, 12),
        *ended(12, "failed", 4.9),
        change(5.0, 4, None, status=None),
        change(7.0, 5, 13, base=4),
        *ended(13, "succeeded", 8.1),
        change(9.0, None, 14, aim="noop"),
        *ended(14, "succeeded", 9.2),
        Quiet(21.0, 6, 0),
        NodeTask("n0", A, 1, 0, ("synonyms", "typoTolerance"), "succeeded", -2.5, -2.4),
        NodeTask("n0", A, 2, 1, ("synonyms",), "succeeded", 1.5, 1.6),
        # Answers: before the first change, on both sides of a switch, flagged, refused, lost.
        read(0.5, 2, (0, 0)),
        read(2.2, 2, (0, 0)),
        read(2.2, 3, (1, 1), reader="p", floor=2),
        read(4.5, 3, (3, 1), flagged=True),
        read(5.0, 3, (1, 1), reader="p", floor=3),
        read(6.2, None, (), reader="p", floor=4, status=503, code="stale"),
        read(7.0, None, (), status=None),
        read(9.0, 5, (5, 5), reader="p", floor=3),
        # Somebody else's change is seen for a moment, then flagged, then repaired.
        Foreign(A, "n0", FOREIGN, 10.0, 10.02, 202),
        NodeTask("n0", A, 9, FOREIGN, ("synonyms",), "succeeded", 10.01, 10.05),
        read(11.0, 5, (FOREIGN, 5)),
        read(11.5, 5, (FOREIGN, 5), flagged=True),
        read(12.0, 5, (5, 5)),
        Disturbance("pause", "n1", 13.0, 15.0, True),
        read(22.0, 5, (5, 5)),
        # Documents: written over, of unknown outcome, deleted.
        put(1.0, (1, 2, 3), 7, 20),
        *ended(20, "succeeded", 1.5),
        put(2.0, (3,), 8, None, status=None),
        put(3.0, (4,), 8, 21),
        *ended(21, "succeeded", 3.5),
        put(4.0, (4,), None, 22),
        *ended(22, "succeeded", 4.5),
        # Side indexes: one stays, one goes.
        SideIndex("side-1", True, 1.0, 1.1, 202, None, 30),
        *ended(30, "succeeded", 1.5),
        SideIndex("side-2", True, 2.0, 2.1, 202, None, 31),
        *ended(31, "succeeded", 2.5),
        SideIndex("side-2", False, 3.0, 3.1, 202, None, 32),
        *ended(32, "succeeded", 3.5),
        *(IndexesEnd(n, (A, "side-1")) for n in ("n0", "n1", "n2", "n3")),
        *(node_end(n, shard) for shard, column in enumerate(COLUMNS) for n in column),
    ]


def with_(*records):
    return [*good(), *records]


def but(kind, number=0, **fields):
    """A good history in which one record of a kind says something else."""
    history = good()
    places = [place for place, record in enumerate(history) if isinstance(record, kind)]
    history[places[number]] = replace(history[places[number]], **fields)
    return history


def without(kind, **fields):
    return [
        record
        for record in good()
        if not isinstance(record, kind)
        or any(getattr(record, name) != value for name, value in fields.items())
    ]


BAD = [
    ("mixed", with_(read(2.5, 3, (0, 1)))),
    ("header", with_(read(2.5, 3, (0, 0)))),
    ("header", with_(read(12.5, 5, (FOREIGN, 4)))),
    ("unreadable", with_(read(2.5, 3, (markers.NONE, 1)))),
    ("unreadable", with_(read(2.5, 3, (markers.GARBLED, 1)))),
    # A foreign marker before anybody can have set it, and on a shard where nobody did.
    ("mixed", with_(read(9.9, 5, (FOREIGN, 5)))),
    ("mixed", with_(read(12.5, 5, (5, FOREIGN)))),
    ("uncommitted", with_(read(2.5, 6, (1, 1), flagged=True))),
    ("uncommitted", with_(read(1.5, 3, (1, 1)))),
    ("over", with_(read(3.5, 2, (0, 0)))),
    ("floor", with_(read(2.5, 2, (0, 0), reader="x", floor=3))),
    ("floor", with_(read(2.5, 3, (0, 0), reader="x", floor=3, flagged=True))),
    ("went back", with_(read(2.6, 2, (0, 0), reader="p", floor=2))),
    ("aborted", with_(read(4.6, 3, (3, 1)))),
    ("aborted", with_(read(4.6, 3, (2, 2)))),
    ("exposure", with_(read(15.0, 5, (FOREIGN, 5)))),
    ("status", with_(read(4.6, None, (), status=500, code="internal"))),
    ("calm", with_(read(0.6, 2, (0, 0), flagged=True))),
    ("calm", with_(read(23.0, None, (), status=None))),
    ("lost", without(TaskSeen, task=14)),
    ("lost", without(TaskSeen, task=20) + ended(20, "missing", 2.0)),
    ("ended twice", with_(TaskSeen(14, "failed", 91.0, None, True))),
    ("once", but(Change, 4, marker=6)),
    ("once", with_(change(9.5, 8, 15), *ended(15, "succeeded", 9.9))),
    ("zombie", but(Change, 0, status=400)),
    ("zombie", without(TaskSeen, task=11) + ended(11, "failed", 2.5)),
    ("order", but(Change, 4, sent_s=0.2, received_s=0.3)),
    ("chain", with_(Version(A, 7, 4, 99, "change", 9.0, 9.1))),
    ("chain", without(Change, marker=4)),
    ("chain", but(Version, 3, marker=FOREIGN)),
    ("base", but(Change, 4, base=3)),
    ("noop", but(Quiet, node_tasks=1)),
    ("noop", with_(NodeTask("n1", A, 7, None, ("pagination",), "succeeded", 9.0, 9.1))),
    ("rest", with_(Unsettled("intent 4 is open"))),
    ("rest", but(NodeEnd, healthy=False)),
    ("rest", but(NodeEnd, state="unproved")),
    ("rest", but(NodeEnd, version=4)),
    ("rest", but(NodeEnd, marker=FOREIGN)),
    ("rest", without(NodeEnd, node="n3")),
    ("documents", but(NodeEnd, markers=47)),
    ("documents", but(NodeEnd, documents={})),
    ("documents", but(NodeEnd, documents={str(n): 6 for n in VALUES})),
    ("indexes", but(IndexesEnd, indexes=(A,))),
    ("indexes", but(IndexesEnd, indexes=(A, "side-1", "side-2"))),
    ("indexes", but(IndexesEnd, indexes=(A, "side-1", "side-3"))),
    ("indexes", but(IndexesEnd, indexes=("side-1",))),
]


def test_what_is_allowed_is_not_held_against_a_run():
    """A judge that cries wolf is switched off."""
    verdict = check(History(good()))

    assert verdict.findings == ()
    assert verdict.figures["- exposure"].startswith("p50 0.95 s")


@pytest.mark.parametrize(("rule", "history"), BAD)
def test_a_bad_history_is_refused_for_its_reason(rule, history):
    """Each of these is a bug of Miroir that a run must not be able to hide."""
    found = check(History(history)).by_rule

    assert found[rule] > 0, found


def test_there_is_a_bad_history_for_every_rule():
    """A rule that nothing has ever broken may be one that nothing can break."""
    assert {rule for rule, _ in BAD} == set(RULES)


def test_an_exposure_counts_from_when_they_hear_of_each_other():
    """Nobody can find out on a node that is paused; it is found when it goes on."""
    late = read(15.0, 5, (FOREIGN, 5))
    paused = Disturbance("pause", "n0", 10.5, 14.0, True)
    deaf_elsewhere = replace(paused, on="n2")
    only_slow = replace(paused, hearing=False)

    assert check(History(with_(late, paused))).good
    assert not check(History(with_(late, deaf_elsewhere))).good
    assert not check(History(with_(late, only_slow))).good
    assert check(History(with_(late)), Bounds(exposure_p99_s=5.0)).good


def test_an_unknown_outcome_may_come_about_or_not():
    """Who kills Miroir cannot know what it had accepted; the checker must not pretend to."""
    came_about = {str(n): v for n, v in VALUES.items() if HOME[n] == HOME[3] and v is not None}
    shard_of_3 = {**came_about, "3": 7}
    history = [
        replace(r, documents=shard_of_3)
        if isinstance(r, NodeEnd) and r.node in COLUMNS[HOME[3]]
        else r
        for r in good()
    ]

    assert check(History(history)).good


def test_a_history_is_the_same_after_it_was_kept(tmp_path):
    """A bad run is looked at on the next day, from its file."""
    History(good()).save(tmp_path / "history.jsonl")

    assert list(load(tmp_path / "history.jsonl")) == good()
