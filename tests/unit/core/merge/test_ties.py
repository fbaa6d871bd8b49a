"""The order of equals."""

import pytest

from miroir.core.merge.ties import tie_reader


def test_ids_are_in_the_order_in_which_they_are_counted_up() -> None:
    """Which is the order in which documents came, mostly; a number is like its digits as text."""
    ids = [b"7", b'"8"', b"10", b'"11"', b'"item-2"', b'"item-10"', b'"item-11"']
    tie_of = tie_reader("id")
    ties = [tie_of(b'{"id":%b,"t":1}' % one) for one in ids]
    assert ties == sorted(ties)
    assert tie_of(b'{"id":7}') == tie_of(b'{"id":"7"}')


@pytest.mark.parametrize(
    "document",
    [
        b'{"id":12}',
        b'{"id":12,"t":1}',
        b'{"id" : 12 ,"t":1}',
        b'{"t":{"id":3},"id":12}',
        b'{"t":"\\"id\\":4","id":12,"_rankingScore":1.0}',
    ],
)
def test_an_id_is_found_wherever_it_stands(document: bytes) -> None:
    """Fields stand in the order in which a node first met them."""
    assert tie_reader("id")(document) == (2, b"12")


@pytest.mark.parametrize("primary_key", [None, "id"])
def test_documents_that_show_no_id_are_alike(primary_key: str | None) -> None:
    """Then the shard decides; they come after those that show one."""
    tie_of = tie_reader(primary_key)
    assert tie_of(b'{"t":1}') == tie_of(b'{"t":2}') > tie_reader("t")(b'{"t":"zzz"}')
