"""Many node tasks told as one, as one node would have told it."""

from typing import Any

import pytest

from miroir.core.tasks import Share, outcome
from miroir.core.topology import NodeId, ShardId

ADDED = {"receivedDocuments": 6, "indexedDocuments": 0}
ERROR = {"code": "invalid_document_id", "message": "no"}


def share(node: str, shard: int, status: str, indexed: int | None = None, **other: Any) -> Share:
    details = None if indexed is None else {"indexedDocuments": indexed}
    return Share(NodeId(node), ShardId(shard), status, details, **other)


@pytest.mark.parametrize("status", ["unsent", "sent"])
def test_a_write_under_way_has_no_outcome(status: str) -> None:
    """It is not told before the last replica has ended."""
    assert outcome(ADDED, [share("a", 0, "succeeded", 6), share("b", 0, status)]) is None


def test_shards_add_up_and_replicas_do_not() -> None:
    """Two copies of three documents are three documents."""
    shares = [
        share("a", 0, "succeeded", 2), share("b", 0, "succeeded", 2),
        share("c", 1, "succeeded", 4), share("d", 1, "succeeded", 4),
    ]  # fmt: skip
    ended = outcome(ADDED, shares)
    assert ended is not None
    assert (ended.status, ended.error, ended.deviants) == ("succeeded", None, ())
    assert ended.details == {"receivedDocuments": 6, "indexedDocuments": 6}


def test_one_failed_shard_fails_the_write() -> None:
    """Half a success is none."""
    shares = [share("a", 0, "succeeded", 2), share("c", 1, "failed", 0, error=ERROR)]
    ended = outcome(ADDED, shares)
    assert ended is not None
    assert (ended.status, ended.error) == ("failed", {**ERROR, "message": "no (on shard 1)"})
    assert ended.details["indexedDocuments"] == 2


@pytest.mark.parametrize(
    ("statuses", "told", "deviants"),
    [
        (("succeeded", "failed"), "succeeded", ("b",)),
        (("failed", "failed", "succeeded"), "failed", ("c",)),
        (("succeeded", "missed"), "succeeded", ()),
        (("missed", "failed"), "failed", ()),
        (("canceled", "canceled"), "canceled", ()),
    ],
)
def test_the_majority_of_replicas_speaks(
    statuses: tuple[str, ...], told: str, deviants: tuple[str, ...]
) -> None:
    """Who ended differently from its siblings no longer holds the same documents."""
    names = "abc"
    ended = outcome(ADDED, [share(n, 0, s) for n, s in zip(names, statuses, strict=False)])
    assert ended is not None
    assert (ended.status, ended.deviants) == (told, deviants)


def test_what_nobody_can_tell_is_no_success() -> None:
    """The only replica fell silent: the client must not believe that its documents are there."""
    ended = outcome(ADDED, [share("a", 0, "succeeded", 3), share("b", 1, "missed")])
    assert ended is not None
    assert ended.status == "failed"
    assert ended.error is not None
    assert "b" in ended.error["message"]
    assert ended.details["indexedDocuments"] == 3


def test_an_error_names_its_shard_where_there_are_several() -> None:
    """An operator looks at one column, not at all; what all say is said in a node's own words."""
    failed = share("b", 1, "failed", error=ERROR)

    one = outcome(ADDED, [share("a", 0, "succeeded", 6), failed])
    every = outcome(ADDED, [share("a", 0, "failed", error=ERROR), failed])

    assert one is not None
    assert every is not None
    assert one.error == {**ERROR, "message": "no (on shard 1)"}
    assert every.error == ERROR


def test_a_write_that_one_shard_has_done_and_another_cancelled_was_cancelled() -> None:
    """Its details tell what there is of it all the same."""
    shares = [share("a", 0, "succeeded", 6), share("b", 1, "canceled", 0)]

    ended = outcome(ADDED, shares)

    assert ended is not None
    assert (ended.status, ended.error) == ("canceled", None)
    assert ended.details["indexedDocuments"] == 6
