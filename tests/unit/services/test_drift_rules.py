"""What is wanted of an index can be ordered while Miroir runs, and is not forgotten."""

from typing import Any

import pytest
from tests.support.memory_store import MemoryStore
from tests.support.virtual_loop import VirtualClock, run_virtual

from miroir.core.drift import Mode
from miroir.core.topology import IndexUid
from miroir.errors import Unavailable
from miroir.services.drift_rules import DriftRules, Modes, Order

MOVIES, BOOKS = IndexUid("movies"), IndexUid("books")
CONFIGURED = Modes(Mode.REPAIR, {BOOKS: Mode.OFF})


def made(store: Any, loop: Any) -> DriftRules:
    return DriftRules(store=store, clock=VirtualClock(loop), configured=CONFIGURED)


def test_an_order_goes_before_the_configuration_and_outlives_the_process() -> None:
    """Whoever was told to leave an index alone does so after a restart, too."""

    async def main(loop: Any) -> None:
        store = MemoryStore(VirtualClock(loop))
        rules = made(store, loop)
        await rules.order(Order(MOVIES, Mode.ALERT, ("synonyms", "stopWords"), "me", "why"))
        await rules.order(Order(BOOKS, ignored=("synonyms",)))
        again = made(store, loop)
        assert again.of(MOVIES) is Mode.REPAIR, "nothing is known before it was loaded"
        await again.load()
        assert (again.of(MOVIES), again.of(BOOKS)) == (Mode.ALERT, Mode.OFF)
        assert again.ignored(MOVIES) == {"stopWords", "synonyms"}
        assert again.rules == rules.rules
        (_, order) = again.orders
        assert (order.by, order.reason, order.ignored) == ("me", "why", ("stopWords", "synonyms"))

    run_virtual(main)


def test_what_is_taken_back_is_as_configured_and_stays_in_the_records() -> None:
    """Who has switched repair off for a week can be found afterwards."""

    async def main(loop: Any) -> None:
        rules = made(MemoryStore(VirtualClock(loop)), loop)
        await rules.order(Order(BOOKS, Mode.REPAIR, by="first"))
        assert rules.of(BOOKS) is Mode.REPAIR
        await rules.order(Order(BOOKS, by="second"))
        assert (rules.of(BOOKS), rules.rules) == (Mode.OFF, ())
        assert [order.by for order in rules.orders] == ["second", "first"]

    run_virtual(main)


def test_the_records_have_a_limit_and_rules_have_none() -> None:
    """Forgetting an old order must not put an end to what it orders."""

    async def main(loop: Any) -> None:
        rules = made(MemoryStore(VirtualClock(loop)), loop)
        for number in range(103):
            await rules.order(Order(IndexUid(f"i{number}"), Mode.ALERT))
        assert (len(rules.orders), len(rules.rules)) == (100, 103)
        assert rules.of(IndexUid("i0")) is Mode.ALERT

    run_virtual(main)


def test_an_order_that_cannot_be_kept_does_not_hold() -> None:
    """Durable first: else it would be forgotten at the next start, and nobody would know."""

    class Broken(MemoryStore):
        async def set_fact(self, name: str, value: str) -> None:
            raise Unavailable(f"disk full: {name}, {len(value)} bytes")

    async def main(loop: Any) -> None:
        rules = made(Broken(VirtualClock(loop)), loop)
        with pytest.raises(Unavailable):
            await rules.order(Order(MOVIES, Mode.OFF))
        assert (rules.of(MOVIES), rules.orders) == (Mode.REPAIR, ())

    run_virtual(main)
