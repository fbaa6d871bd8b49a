"""Tickets of swaps: names by which a node tells what it has done."""

from miroir.services.carriers import tickets as names
from miroir.services.carriers.tickets import Tickets


def test_a_node_tells_what_it_has_done_of_one_swap():
    """Tickets of another swap, and indexes of users, say nothing about this one."""
    present = [
        "movies",
        names.issue("17-5", "go", 2),
        names.issue("17-5", "go", 1),
        names.used("17-5", "back"),
        names.used("1-5", "go"),
        names.issue("170-5", "go", 1),
        "_miroir_ticket_17-5_gone_too",
        "_miroir_ticket_17-6_gone",
    ]
    held = names.held(present, "17-5")

    assert held == Tickets(
        go=("_miroir_ticket_17-5_go_1", "_miroir_ticket_17-5_go_2"), gone=False, undone=True
    )
    assert names.held(present, "1-5").gone
    assert names.held(present, "3-5") == Tickets()


def test_a_swap_can_still_come_as_long_as_a_ticket_is_unused():
    """An abort that believed otherwise would be overtaken."""
    assert Tickets().never
    assert not Tickets(go=(names.issue("1-5", "go", 1),)).never
    assert not Tickets(gone=True).never


def test_another_store_that_counts_anew_has_tickets_of_its_own():
    """A ticket of the former intent 17 would say that this one has taken place."""
    present = ["_miroir_ticket_17-1700000000000_gone"]
    assert names.held(present, "17-1700000000000").gone
    assert not names.held(present, "17-1700000099999").gone
    assert names.intent_id("17-1700000000000") == 17


def test_only_tickets_have_an_owner():
    """What is no ticket is never taken off a node."""
    assert (
        names.owner(names.issue("9-5", "back", 3)) == names.owner(names.used("9-5", "go")) == "9-5"
    )
    assert names.owner("_miroir_probe") is names.owner("movies") is None
    assert names.is_unused(names.issue("9-5", "back", 3))
    assert not names.is_unused(names.used("9-5", "back"))
