"""The keys of a cluster, as far as no node is asked."""

import pytest

from miroir.services.carriers.asking import by_uid
from miroir.services.keys import KeyRing
from miroir.services.known_keys import MissingMasterKey


def test_without_a_master_key_there_are_no_keys():
    """As on one node: the routes of keys alone are closed, everything else is open."""
    ring = KeyRing(commons=None, control=None, clock=None, value_of=None)

    with pytest.raises(MissingMasterKey) as caught:
        ring.page(0, 20)

    body = caught.value.body()
    assert (caught.value.http_status, body["code"], body["type"]) == (
        401,
        "missing_master_key",
        "auth",
    )
    assert ring.uid_of("whatever") is None


def test_a_value_is_taken_off_before_a_key_is_kept():
    """What is stored, logged and fingerprinted is the definition."""
    shown = {"u": {"uid": "u", "key": "secret", "name": None, "actions": [], "indexes": []}}

    assert by_uid(shown) == {"u": {"name": None, "actions": [], "indexes": []}}
