"""The picture of a change must be what was seen, and fit."""

import io

import pytest
from rich.console import Console

from miroir.cli.demo_view import ChangeSeen, DemoView, picture

NODES = ("n0", "n1")


def look(phase, **states):
    """Return an intent as the API shows it."""
    nodes = {
        name: {"state": state, "fingerprint": "ab" * 32 if state == "verified" else None}
        for name, state in states.items()
    }
    return {"phase": phase, "nodes": nodes, "decision": None}


def drawn(seen, width=80):
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(picture(seen))
    return console.file.getvalue()


@pytest.fixture
def seen():
    """A change whose second node dies."""
    seen = ChangeSeen(NODES)
    seen.look(look("proposing", n0="sent", n1="sending"), 0.1)
    seen.look(look("verifying", n0="ended", n1="unanswered"), 1.2)
    seen.look(look("converged", n0="verified", n1="silent"), 12.345)
    return seen


def test_each_time_is_the_first_at_which_it_was_seen(seen):
    """The visitor reads the protocol from these numbers."""
    assert seen.nodes["n0"] == {"proposed": 0.1, "applied": 1.2, "verified": 12.345}
    assert "propose 0.10 > verify 1.20 > commit > converged 12.35" in drawn(seen)


def test_a_node_that_died_is_shown_as_neither_applied_nor_verified(seen):
    """A dead node with a tick would be the one lie that nobody forgives."""
    assert seen.nodes["n1"] == {"proposed": 0.1}
    (line,) = [line for line in drawn(seen).splitlines() if line.startswith("n1")]
    assert line.split() == ["n1", "0.100", "s", "silent"]


def test_only_what_is_new_is_told():
    """Plain lines are for logs; a line per poll would bury the news."""
    seen = ChangeSeen(NODES)
    assert seen.look(look("proposing", n0="sent"), 0.1) == ["proposing", "n0 sent"]
    assert seen.look(look("proposing", n0="sent"), 0.2) == []
    assert seen.look(look("proposing", n0="ended"), 0.3) == ["n0 ended"]


def test_a_change_that_was_taken_back_does_not_end_in_converged():
    """An abort must look like one."""
    seen = ChangeSeen(NODES)
    seen.look(look("aborted", n0="verified"), 1.0)
    assert "aborted 1.00" in drawn(seen)
    assert "converged" not in drawn(seen)


@pytest.mark.parametrize("width", [80, 140])
def test_the_picture_fits_the_terminal(seen, width):
    """Ten seconds and more, every phase seen: the longest line that happens."""
    for phase in ("probing", "committing"):
        seen.look(look(phase), 10.5)
    seen.look(look("converged"), 99.0)
    assert max(map(len, drawn(seen, width - 2).splitlines())) <= width - 2
    assert len(drawn(seen, width - 2).splitlines()) == 2 + len(NODES)


def test_one_failed_check_makes_the_verdict():
    """Seventeen ticks do not outweigh one cross."""
    console = Console(width=80, file=io.StringIO(), highlight=False)
    DemoView(console).summary([(True, "a"), (False, "b")], 12.0)
    text = console.file.getvalue()
    assert "✗ b" in text
    assert "1 of 2 checks failed; 12 s" in text
