"""
What each index wants done about foreign changes: as configured, or as ordered while Miroir runs.

    order ─▶ kept in the store (one fact) ─▶ in force, and again after a restart

An order goes before the configuration, field by field: a mode, and keys whose foreign values are
left alone. Who ordered what, when and why is kept with it, the newest `_ORDERS_MAX` in all. Rules
belong to names of indexes, as those of the configuration do: they outlive an index. What follows
from a mode is decided in `core/drift.py`; no node is asked here.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import structlog

from miroir.core.drift import Mode
from miroir.core.topology import IndexUid
from miroir.ports.clock import Clock
from miroir.ports.store import Store

_FACT: Final = "drift_rules"
_ORDERS_MAX: Final = 100
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Modes:
    """What each index wants by configuration."""

    default: Mode
    by_index: Mapping[str, Mode] = field(default_factory=dict)

    def of(self, index_uid: IndexUid) -> Mode:
        """Return the mode of an index."""
        return self.by_index.get(index_uid, self.default)


@dataclass(frozen=True)
class Order:
    """
    What somebody wants of an index from now on; the newest of an index is its rule.

    Attributes:
        mode: None: as configured.
        ignored: Keys of the settings, sorted.
        at_ms: Wall time.
    """

    index_uid: IndexUid
    mode: Mode | None = None
    ignored: tuple[str, ...] = ()
    by: str = ""
    reason: str = ""
    at_ms: int = 0

    @property
    def empty(self) -> bool:
        """Whether all is as configured again."""
        return self.mode is None and not self.ignored


class DriftRules:
    """Keeps the orders, and says what holds."""

    def __init__(self, *, store: Store, clock: Clock, configured: Modes) -> None:
        self.configured = configured
        self._store = store
        self._clock = clock
        self._rules: dict[IndexUid, Order] = {}
        self._orders: tuple[Order, ...] = ()
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Take up what was ordered before; call it once, before anything is looked at."""
        kept = json.loads(await self._store.fact(_FACT) or "{}")
        self._rules = {order.index_uid: order for order in map(_read, kept.get("rules", ()))}
        self._orders = tuple(map(_read, kept.get("orders", ())))

    def of(self, index_uid: IndexUid) -> Mode:
        """Return the mode that holds for an index."""
        ordered = self._rules.get(index_uid)
        return (ordered.mode if ordered else None) or self.configured.of(index_uid)

    def ignored(self, index_uid: IndexUid) -> frozenset[str]:
        """Return the keys of an index whose foreign values are left alone."""
        ordered = self._rules.get(index_uid)
        return frozenset(ordered.ignored if ordered else ())

    def ordered(self, index_uid: IndexUid) -> Order:
        """Return what holds for an index by order; an empty order where nothing does."""
        return self._rules.get(index_uid, Order(index_uid))

    @property
    def rules(self) -> tuple[Order, ...]:
        """What holds by order, sorted by index."""
        return tuple(order for _, order in sorted(self._rules.items()))

    @property
    def orders(self) -> tuple[Order, ...]:
        """What was ordered, newest first; also what has been taken back."""
        return self._orders

    async def order(self, wanted: Order) -> Order:
        """
        Have an order hold from now on; durable before it is obeyed.

        Raises:
            Unavailable: The store cannot be written; nothing was changed.
        """
        async with self._lock:
            made = replace(
                wanted, ignored=tuple(sorted(set(wanted.ignored))), at_ms=self._clock.wall_ms()
            )
            rules = {uid: o for uid, o in self._rules.items() if uid != made.index_uid}
            if not made.empty:
                rules[made.index_uid] = made
            orders = (made, *self._orders)[:_ORDERS_MAX]
            await self._store.set_fact(_FACT, _text(rules.values(), orders))
            self._rules, self._orders = rules, orders
        _log.warning(
            "drift_rule_ordered",
            index=made.index_uid,
            mode=made.mode and made.mode.value,
            ignored=made.ignored,
            by=made.by,
            reason=made.reason,
        )
        return made


def _text(rules: Iterable[Order], orders: Iterable[Order]) -> str:
    return json.dumps({"rules": [*map(asdict, rules)], "orders": [*map(asdict, orders)]})


def _read(kept: Mapping[str, Any]) -> Order:
    mode = None if kept["mode"] is None else Mode(kept["mode"])
    return Order(**{**kept, "mode": mode, "ignored": tuple(kept["ignored"])})
