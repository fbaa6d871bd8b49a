"""Tickets of swaps: names by which a node tells what it has done."""

from miroir.services.carriers import tickets as names
from miroir.services.carriers.tickets import Tickets


def test_a_node_tells_what_it_has_done_of_one_swap():
    """Tickets of another swap, and indexes of users, say nothing about this one."""
    present = [
        "movies",
        names.issue(17, "go", 2),
        names.issue(17, "go", 1),
        names.used(17, "back"),
        names.used(1, "go"),
        names.issue(170, "go", 1),
        "_miroir_ticket_17_gone_too",
    ]
    held = names.held(present, 17)

    assert held == Tickets(
        go=("_miroir_ticket_17_go_1", "_miroir_ticket_17_go_2"), gone=False, undone=True
    )
    assert names.held(present, 1).gone
    assert names.held(present, 3) == Tickets()


def test_a_swap_can_still_come_as_long_as_a_ticket_is_unused():
    """An abort that believed otherwise would be overtaken."""
    assert Tickets().never
    assert not Tickets(go=(names.issue(1, "go", 1),)).never
    assert not Tickets(gone=True).never


def test_only_tickets_have_an_owner():
    """What is no ticket is never taken off a node."""
    assert names.owner(names.issue(9, "back", 3)) == names.owner(names.used(9, "go")) == 9
    assert names.owner("_miroir_probe") is names.owner("movies") is None
    assert names.is_unused(names.issue(9, "back", 3))
    assert not names.is_unused(names.used(9, "back"))
