"""Pauses between tries: they grow, have a maximum, and end with success."""

from miroir.services.patience import Pauses


class HandClock:
    """Time passes when the test says so."""

    def __init__(self):
        self.now_s = 100.0

    def monotonic_s(self):
        return self.now_s


def rested(pauses, clock, key):
    """Return how long a thing is left alone from now on."""
    began_s = clock.now_s
    while pauses.rests(key):
        clock.now_s += 0.5
    return clock.now_s - began_s


def test_each_try_in_vain_doubles_the_pause_up_to_the_maximum():
    """What cannot be repaired now must not cost a node a round trip every two seconds for ever."""
    clock = HandClock()
    pauses = Pauses(clock, first_s=2.0, max_s=10.0)
    assert rested(pauses, clock, "a") == 0.0

    seen = []
    for _ in range(5):
        pauses.lengthen("a")
        seen.append(rested(pauses, clock, "a"))

    assert seen == [2.0, 4.0, 8.0, 10.0, 10.0]


def test_success_and_other_things_begin_anew():
    """One hopeless replica must not slow down another, nor its own next fault."""
    clock = HandClock()
    pauses = Pauses(clock, first_s=2.0, max_s=10.0)
    pauses.lengthen("a")
    pauses.lengthen("a")
    assert not pauses.rests("b")

    pauses.forget("a")

    assert not pauses.rests("a")
    pauses.lengthen("a")
    assert rested(pauses, clock, "a") == 2.0
