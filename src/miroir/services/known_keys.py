"""
What is looked up for every request that shows an API key: which one it is, and what it opens.

For reading alone: whoever answers requests has one, kept true by its own means (`now_known`).
Values are never kept, only their hashes, whose comparison tells nothing about the value.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from miroir.core.keys import Definition
from miroir.errors import RequestRefused
from miroir.ports.clock import Clock
from miroir.services.carriers.keys import ValueOf, now_of


class MissingMasterKey(RequestRefused):
    """A route of API keys, in a cluster without a master key."""

    code = "missing_master_key"
    http_status = 401
    error_type = "auth"


@dataclass(frozen=True)
class KeyTable:
    """
    The keys of one moment.

    Attributes:
        hashes: Uid of every key of ours -> hash of its value.
        uids: The other way round.
        live: The keys that open something.
    """

    hashes: Mapping[str, bytes] = field(default_factory=dict)
    uids: Mapping[bytes, str] = field(default_factory=dict)
    live: Mapping[str, Definition] = field(default_factory=dict)

    def after(
        self, known: Collection[str], live: Mapping[str, Definition], value_of: ValueOf
    ) -> "KeyTable":
        """Return the table of these keys; hashes that are there already are kept."""
        new = {uid: _hashed(value_of(uid)) for uid in known if uid not in self.hashes}
        hashes = {uid: h for uid, h in {**self.hashes, **new}.items() if uid in known}
        return KeyTable(hashes, {h: uid for uid, h in hashes.items()}, live)


class KnownKeys(ABC):
    """
    The keys of the cluster, for whoever judges requests.

    Args:
        value_of: Key uid -> value; None without a master key, when there are no keys.
    """

    def __init__(self, *, clock: Clock, value_of: ValueOf | None) -> None:
        self._clock = clock
        self._value_of = value_of

    @abstractmethod
    def now_known(self) -> KeyTable:
        """Return the keys of now; the same object until something changes."""

    def require_master_key(self) -> ValueOf:
        """
        Return what gives keys their values.

        Raises:
            MissingMasterKey: The cluster has no master key, and so no keys.
        """
        if self._value_of is None:
            raise MissingMasterKey(
                "Meilisearch is running without a master key. To access this API endpoint, you "
                "must have set a master key at launch."
            )
        return self._value_of

    def now(self) -> datetime:
        """Return the time that keys expire by."""
        return now_of(self._clock)

    def value(self, uid: str) -> str:
        """Return a key's value: a secret."""
        return self.require_master_key()(uid)

    def live(self) -> Mapping[str, Definition]:
        """Return the keys that open something: committed, and not about to be deleted."""
        return self.now_known().live

    def definition(self, uid: str) -> Definition | None:
        """Return a live key."""
        return self.live().get(uid)

    def is_ours(self, uid: str) -> bool:
        """Whether the cluster knows this key, deleted or not."""
        return uid in self.now_known().hashes

    def uid_of(self, value: str) -> str | None:
        """Return the uid of a key of ours, deleted or not, by its value."""
        return self.now_known().uids.get(_hashed(value.lower()))


class CopiedKeys(KnownKeys):
    """Those of a process that is told of every change."""

    def __init__(self, *, clock: Clock, value_of: ValueOf | None) -> None:
        super().__init__(clock=clock, value_of=value_of)
        self._table = KeyTable()

    def now_known(self) -> KeyTable:
        """See `KnownKeys`."""
        return self._table

    def take_over(self, known: Collection[str], live: Mapping[str, Definition]) -> None:
        """The keys are these from now on."""
        if self._value_of is not None:
            self._table = self._table.after(frozenset(known), live, self._value_of)


def _hashed(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
