"""What was let through is remembered, and only for as long as it would be let through again."""

from datetime import UTC, datetime

import pytest
from tests.support.store_contract import FixedClock

from miroir.api.auth import Guard
from miroir.api.http import Request
from miroir.api.router import Access, Route
from miroir.config import Secret
from miroir.errors import InvalidApiKey, MissingAuthorization
from miroir.services.known_keys import CopiedKeys

MASTER = "a-master-key"
SEARCH = Route("POST", "/indexes/{uid}/search", None, Access.NODES)
SETTINGS = Route("GET", "/indexes/{uid}/settings", None, Access.MASTER)
KEY = {"actions": ["search"], "indexes": ["films"], "expiresAt": None}


class Door:
    """A guard, its keys and its clock."""

    def __init__(self):
        self.clock = FixedClock()
        self.keys = CopiedKeys(clock=self.clock, value_of=lambda uid: f"value-of-{uid}")
        self.guard = Guard(Secret(MASTER), None, self.keys)

    def ask(self, token, uid="films", route=SEARCH):
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        scope = {"method": route.method, "raw_path": b"/", "query_string": b"", "headers": headers}
        request = Request(scope)
        self.guard.check(route, {"uid": uid}, request)
        return request


@pytest.fixture
def door():
    door = Door()
    door.keys.take_over(["a"], {"a": KEY})
    return door


def test_a_key_that_is_gone_or_changed_opens_nothing_that_it_opened(door):
    """Somebody takes a key away because it has been stolen."""
    for _ in range(2):
        assert door.ask("value-of-a").confined == ("films",)
    door.keys.take_over(["a"], {"a": {**KEY, "indexes": ["films", "books"]}})
    assert door.ask("value-of-a").confined == ("films", "books")
    door.keys.take_over(["a"], {})
    with pytest.raises(InvalidApiKey):
        door.ask("value-of-a")


def test_what_was_opened_is_this_route_and_this_index_alone(door):
    """A remembered yes must not become a yes to something else."""
    door.ask("value-of-a")
    for uid, route in (("books", SEARCH), ("films", SETTINGS)):
        with pytest.raises(InvalidApiKey):
            door.ask("value-of-a", uid, route)
    with pytest.raises(MissingAuthorization):
        door.ask("")


def test_a_key_that_expires_is_judged_each_time(door):
    """It ends without anybody changing it."""
    ends = datetime.fromtimestamp(door.clock.wall_ms() / 1000 + 60, UTC).isoformat()
    door.keys.take_over(["a"], {"a": {**KEY, "expiresAt": ends}})
    door.ask("value-of-a")
    door.clock.now_ms += 61_000
    with pytest.raises(InvalidApiKey):
        door.ask("value-of-a")


def test_who_is_known_asks_with_the_clusters_key_and_who_is_not_with_their_own(door):
    """A node may know keys that the cluster does not, and the other way round."""
    for token in ("value-of-a", MASTER):
        for _ in range(2):
            assert door.guard.for_nodes(door.ask(token)) is None
    foreign = door.ask("a-key-of-the-nodes")
    assert door.guard.for_nodes(foreign) == "Bearer a-key-of-the-nodes"


def test_refusals_are_not_remembered_and_memory_has_an_end(door):
    """Anybody can ask with as many tokens, for as many names, as they like."""
    for number in range(3000):
        with pytest.raises(InvalidApiKey):
            door.ask("wrong", f"i{number}", SETTINGS)
    assert not door.guard._passed
    for number in range(3000):
        door.ask(MASTER, f"i{number}")
    assert len(door.guard._passed) <= 1024
