"""What an operator sees at a glance must be what is."""

import pytest
from rich.console import Console

from miroir.cli.status import all_is_well, picture


def cluster(states, *, down=(), frozen=None, version=3):
    """Return the answer of a 3 x 2 cluster with one index, whose nodes are in these states."""
    nodes = [
        {
            "id": f"n{place}",
            "url": f"http://127.0.0.1:{7701 + place}",
            "shard": place % 3,
            "replicaGroup": place // 3,
            "healthy": f"n{place}" not in down,
            "engine": "1.50.0",
            "embedded": True,
        }
        for place in range(6)
    ]
    index = {
        "uid": "airports",
        "version": version,
        "fingerprint": "ab12cd34ef56",
        "phase": "idle",
        "frozen": frozen,
        "nodes": {
            f"n{place}": {"version": version if state == "synced" else None, "state": state}
            for place, state in enumerate(states)
        },
    }
    topology = {"epoch": 1, "shards": 3, "replicaGroups": 2, "nodes": nodes}
    return {"topology": topology, "indexes": [index]}


def drawn(answer, width=80):
    console = Console(width=width, record=True, highlight=False, quiet=False)
    with console.capture() as captured:
        console.print(picture(answer, console))
    return captured.get()


def test_a_healthy_cluster_is_said_to_be_well():
    """The last line is the one that is read."""
    text = drawn(cluster(["synced"] * 6))
    assert "v3 ab12cd34  idle" in text
    assert text.count(" v3") == 7
    assert text.rstrip().endswith("all is well")


@pytest.mark.parametrize("state", ["unproved", "behind", "out_of_sync", "down"])
def test_a_node_in_another_state_is_marked_and_the_mark_explained(state):
    """A mark without a legend is looked up, or ignored."""
    answer = cluster(["synced"] * 5 + [state])
    text = drawn(answer)
    assert not all_is_well(answer)
    assert "all is well" not in text
    assert "not served by every node: airports" in text
    marks = {"unproved": "?", "behind": "<", "out_of_sync": "…", "down": "✗"}
    legend = [line for line in text.splitlines() if line[:2] == f"{marks[state]} "]
    assert len(legend) == 1
    assert not any(
        line[:2] == f"{m} "
        for m in marks.values()
        if m != marks[state]
        for line in text.splitlines()
    )


def test_a_node_that_is_down_is_not_well_even_without_indexes():
    """An empty cluster with a dead node is a cluster with a dead node."""
    answer = {**cluster([], down=("n4",)), "indexes": []}
    assert not all_is_well(answer)
    assert "n4        1      1  down" in drawn(answer)


def test_a_frozen_index_says_why():
    """Refused writes need their reason where the operator looks first."""
    answer = cluster(["synced"] * 6, frozen="n3 could not be restored")
    assert not all_is_well(answer)
    assert "airports is frozen: n3 could not be restored" in drawn(answer)


@pytest.mark.parametrize("width", [80, 140])
def test_no_line_is_wider_than_the_terminal(width):
    """A wrapped table cannot be read."""
    answer = cluster(
        ["synced", "unproved", "behind", "out_of_sync", "down", "synced"], version=1234
    )
    answer["indexes"][0]["uid"] = "a-long-name-of-an-index-that-somebody-gave-it-in-2026"
    assert max(map(len, drawn(answer, width).splitlines())) <= width
